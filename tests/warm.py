"""`python -m MODULE`, forked from a process that has imported the libraries: saves the seconds that takes each time.

The process is a real one, with its own memory, signals and exit code, and it imports the code under test anew. It
differs from one that is started cold in its hash seed, which is its server's: what depends on the order of sets shows
in cold starts alone.
"""

import importlib
import json
import logging
import os
import random
import runpy
import select
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from contextlib import suppress
from pathlib import Path

LIBRARIES = (
    "pytorch_lightning",
    "torchmetrics.classification",
    "torchvision.transforms.v2",
    "timm",
    "dlib",
    "cv2",
    "av",
    "pyarrow.parquet",
    "hydra",
    "rich.progress",
    "matplotlib.figure",
)
_SIZE = 8  # bytes of a number between server and client


class Server:
    """Starts processes until the one that made it ends.

    Args:
        environment: Of the server, whose libraries may read it when they are imported.
    """

    def __init__(self, environment):
        self._socket, theirs = socket.socketpair()
        command = [sys.executable, __file__, str(theirs.fileno())]
        nothing = subprocess.DEVNULL
        self._process = subprocess.Popen(
            command, env=environment, pass_fds=[theirs.fileno()], stdin=nothing, stdout=nothing, stderr=nothing
        )
        theirs.close()

    def start(self, module, arguments, environment):
        """`python -m MODULE ARGUMENTS` in this folder; returns its `Process`."""
        control, theirs = socket.socketpair()
        read, write = os.pipe()
        asked = json.dumps([module, list(arguments), dict(environment), str(Path.cwd())]).encode()
        self._socket.sendall(len(asked).to_bytes(_SIZE, "big"))
        socket.send_fds(self._socket, [asked[:1]], [write, theirs.fileno()])
        self._socket.sendall(asked[1:])
        theirs.close()
        os.close(write)
        return Process(control, os.fdopen(read, encoding="utf-8"), [module, *arguments])


class Process:
    """What tests use of `subprocess.Popen`, for a process that is no child of this one."""

    def __init__(self, control, stdout, args):
        self.args, self.stdout, self.returncode = args, stdout, None
        self._control = control
        self.pid = self._number()

    def _number(self):
        received = self._control.recv(_SIZE, socket.MSG_WAITALL)
        assert received, "the server of processes has ended"
        return int.from_bytes(received, "big", signed=True)

    def wait(self, timeout=None):
        """The exit code, once there is one; negative after a signal."""
        if self.returncode is None:
            if not select.select([self._control], [], [], timeout)[0]:
                raise subprocess.TimeoutExpired(self.args, timeout)
            self.returncode = self._number()
            self._control.close()
        return self.returncode

    def poll(self):
        """The exit code, or None while it runs."""
        try:
            return self.wait(0)
        except subprocess.TimeoutExpired:
            return None

    def communicate(self, timeout=None):
        """What it and its children print from here on, standard error included, and None."""
        printed = []
        reading = threading.Thread(target=lambda: printed.append(self.stdout.read()), daemon=True)
        reading.start()
        reading.join(timeout)
        if not printed:
            raise subprocess.TimeoutExpired(self.args, timeout)
        self.wait(timeout)
        return printed[0], None

    def send_signal(self, number):
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self):
        self.send_signal(signal.SIGKILL)


def _serve(requests):
    """Forks for each request; returns only in the processes, with the module that is to be run."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a Ctrl-C in the terminal is for the processes
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for the keepers
    while size := requests.recv(_SIZE, socket.MSG_WAITALL):
        first, (output, control), *_ = socket.recv_fds(requests, 1, 2)
        rest = requests.recv(int.from_bytes(size, "big") - 1, socket.MSG_WAITALL)
        if os.fork() == 0:
            requests.close()
            _keep(output, socket.socket(fileno=control))
            return json.loads(first + rest), output
        os.close(output)
        os.close(control)
    sys.exit()


def _keep(output, control):
    """Forks the process and returns in it; here, tells its number and how it ended."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    if pid := os.fork():
        os.close(output)
        control.sendall(pid.to_bytes(_SIZE, "big", signed=True))
        code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        control.sendall(code.to_bytes(_SIZE, "big", signed=True))
        os._exit(0)
    control.close()


def _become(arguments, environment, folder, output):
    """Makes this process what it would be had it been started."""
    import numpy as np
    import torch

    for stream in (1, 2):
        os.dup2(output, stream)
    os.close(output)
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(folder)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    sys.path[0], sys.argv[1:] = folder, arguments
    tempfile.tempdir = None  # for TMPDIR to be read again
    random.seed()
    np.random.seed()  # noqa: NPY002
    torch.seed()


if __name__ == "__main__":
    for library in LIBRARIES:
        with suppress(ImportError):
            importlib.import_module(library)
    for name in ("pytorch_lightning", "lightning_fabric"):  # imported after Hydra, they have no handlers of their own
        logging.getLogger(name).handlers.clear()
        logging.getLogger(name).propagate = True
    (module, arguments, environment, folder), output = _serve(socket.socket(fileno=int(sys.argv[1])))
    _become(arguments, environment, folder, output)
    runpy.run_module(module, run_name="__main__", alter_sys=True)
