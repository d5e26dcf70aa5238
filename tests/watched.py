"""Says what a Python process, and each that it starts, opens, writes and runs outside of where it may.

`environment` makes the variables: a `sitecustomize` on PYTHONPATH begins the watch (an audit hook, which nothing ends)
in every Python that gets them. Native code opens files unseen: `Decoys` has inotify tell of files that nobody may open.
"""

import ctypes
import json
import os
import struct
import sys
import sysconfig
from pathlib import Path

VARIABLE = "ADDNET_WATCHED"
_SYSTEM = ("/usr", "/lib", "/lib64", "/bin", "/proc", "/sys", "/dev/null", "/dev/urandom", "/dev/shm", "/opt")
_SYSTEM += ("/etc/fonts", "/etc/ssl", "/etc/localtime", "/etc/mime.types", "/etc/ld.so.cache", "/var/cache/fontconfig")
_WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
_CHANGES = ("os.remove", "os.rename", "os.mkdir", "os.rmdir", "os.link", "os.symlink", "os.truncate", "os.chmod")
_CHANGES += ("shutil.rmtree", "shutil.move", "os.chown", "os.utime", "os.setxattr")
_RUNS = ("os.system", "os.exec", "os.posix_spawn", "os.spawn", "subprocess.Popen", "pty.spawn", "ctypes.dlopen")
_TALKS = ("socket.connect", "socket.sendto", "socket.getaddrinfo", "urllib.Request", "http.client.connect")


def environment(folder, *, reads, writes):
    """Variables for a process that may read below some folders (and Python itself), and write below others.

    Args:
        folder: Where the `sitecustomize` and the list of what was done are written.
        reads: Folders whose files may be opened.
        writes: Folders whose files may be changed as well.
    """
    folder.mkdir()
    (folder / "sitecustomize.py").write_text(
        f"import sys\nsys.path.append({str(Path(__file__).parent)!r})\nimport watched\nwatched.begin()\n"
    )
    root = Path(__file__).parents[1]
    python = {sys.prefix, sys.base_prefix, sysconfig.get_paths()["purelib"], *(path for path in sys.path if path)}
    allowed = {
        "reads": [
            *_SYSTEM,
            *python,
            *(str(root / name) for name in ("src", "tests", "configs")),
            str(root / "pyproject.toml"),
            str(folder),
            *map(str, reads),
        ],
        "writes": ["/dev/null", "/dev/shm", *map(str, writes)],
        "log": str(folder / "done.log"),
    }
    (folder / "done.log").touch()
    path = os.pathsep.join([str(folder), str(root / "src"), *filter(None, [os.environ.get("PYTHONPATH")])])
    return {"PYTHONPATH": path, VARIABLE: json.dumps(allowed), "PYTHONDONTWRITEBYTECODE": "1"}


def done(folder):
    """What was done outside, each once."""
    return sorted(set((folder / "done.log").read_text(errors="backslashreplace").splitlines()))


def begin():
    """Begins the watch, for the rest of this process."""
    if VARIABLE not in os.environ:
        return
    allowed = json.loads(os.environ[VARIABLE])
    log = os.open(allowed["log"], os.O_WRONLY | os.O_APPEND)
    may_read, may_write = (tuple(map(_real, (*allowed["writes"], *more))) for more in (allowed["reads"], ()))
    busy = [False]

    def told(text):
        os.write(log, f"{os.fsencode(text)!r}\n".encode())

    def hook(event, arguments):
        if busy[0]:
            return
        busy[0] = True
        try:
            if event == "open":
                path, mode, flags = arguments
                writes = bool((flags or 0) & _WRITES) or (
                    isinstance(mode, str) and any(sign in mode for sign in "wax+")
                )
                _check(path, may_write if writes else may_read, "writes" if writes else "reads", told)
            elif event in _CHANGES:
                for path in arguments[: 2 if event in ("os.rename", "os.link", "shutil.move") else 1]:
                    _check(path, may_write, event, told)
            elif event in _RUNS:
                _ran(event, arguments, may_read, told)
            elif event in _TALKS:
                _talked(event, arguments, told)
        finally:
            busy[0] = False

    sys.addaudithook(hook)


def _real(path):
    return os.path.realpath(path)


def _check(path, allowed, what, told):
    """A descriptor was opened before; a name counts as where it leads, links in it followed."""
    if not isinstance(path, (str, bytes, os.PathLike)):
        return
    try:
        real = os.path.realpath(os.fsdecode(path))
    except ValueError:  # NUL: nothing is opened
        return
    if not any(real == root or real.startswith(f"{root}/") for root in allowed):
        told(f"{what} {real}")


def _ran(event, arguments, may_read, told):
    """Python itself may be started, libraries of it loaded, and ctypes may look for them."""
    name = arguments[0]
    if event == "ctypes.dlopen":
        if name and "/" in str(name):
            _check(name, may_read, event, told)
        return
    if os.path.realpath(str(name)) not in (os.path.realpath(sys.executable), os.path.realpath("/sbin/ldconfig")):
        told(f"{event} {os.fsdecode(name)}")


def _talked(event, arguments, told):
    address = arguments[1] if event in ("socket.connect", "socket.sendto") else arguments[0]
    if (
        not isinstance(address, (str, bytes))
        and event.startswith("socket.")
        and address
        and address[0] in ("127.0.0.1", "::1", "localhost")
    ):
        return
    if event.startswith("socket.") and isinstance(address, (str, bytes)) and event != "socket.getaddrinfo":
        return  # of this machine's own processes
    if event == "socket.getaddrinfo" and address in ("127.0.0.1", "::1", "localhost", None, b"127.0.0.1"):
        return
    told(f"{event} {address}")


class Decoys:
    """Files that nobody may open, whoever does it: the kernel tells."""

    _OPEN, _CLOEXEC_NONBLOCK = 0x20, 0o2004000

    def __init__(self, *folders):
        library = ctypes.CDLL(None, use_errno=True)
        self._descriptor = library.inotify_init1(self._CLOEXEC_NONBLOCK)
        assert self._descriptor >= 0
        self._names = {}
        for folder in folders:
            self._names[library.inotify_add_watch(self._descriptor, os.fsencode(folder), self._OPEN)] = folder

    def opened(self):
        """Files that were opened since, each once."""
        found = set()
        try:
            while data := os.read(self._descriptor, 65536):
                at = 0
                while at < len(data):
                    watch, mask, _, length = struct.unpack_from("iIII", data, at)
                    name = os.fsdecode(data[at + 16 : at + 16 + length].rstrip(b"\0"))
                    at += 16 + length
                    if name and not mask & 0x40000000:  # not the folder itself
                        found.add(str(Path(self._names[watch], name)))
        except BlockingIOError:
            pass
        return sorted(found)
