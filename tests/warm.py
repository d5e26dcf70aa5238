"""Python processes that are forked from one that has imported the libraries: saves the seconds that takes each time.

The fork server is the standard library's. Each process is a real one, with its own memory, signals and exit code, and
imports most of the code under test anew. Ranks and jobs that it starts are forked by the same server, save those of a
process with a session of its own, whose group they have to be in. Such a process differs from one that is started cold
in its hash seed, which is the server's, and in what is imported already: both show in cold starts alone.
"""

import atexit
import fcntl
import logging
import multiprocessing
import os
import random
import runpy
import signal
import subprocess
import sys
import tempfile
import threading
from multiprocessing import forkserver, reduction
from multiprocessing.connection import wait
from pathlib import Path
from types import SimpleNamespace

import addnet
from addnet.pool import processes

_FREE = 100  # descriptors from here on are nobody's
_Popen = subprocess.Popen


PATH = os.pathsep.join(str(Path(folder).parent) for folder in (addnet.__path__[0], __file__))  # the code tested here
ENVIRONMENT = {"COMET_API_KEY": "", "OMP_NUM_THREADS": "1", "PYTHONPATH": PATH}


def serve():
    """Starts the fork server, unless it runs; libraries may read these variables when they are imported."""
    forkserver.set_forkserver_preload(["preload"])
    before = dict(os.environ)
    os.environ.update(ENVIRONMENT)
    try:
        forkserver.ensure_running()
    finally:
        os.environ.clear()
        os.environ.update(before)


class Process:
    """What tests, Lightning and this package use of `subprocess.Popen`.

    Args:
        words: What follows the interpreter: `-m MODULE ARGUMENTS` or `-c CODE ARGUMENTS`.
        stdout: Where all is printed: a stream, `subprocess.PIPE`, or None for where this process prints.
    """

    def __init__(self, words, environment, *, folder=None, stdout=None, new_session=False, pass_fds=()):
        self.args, self.stdout, self.returncode = [sys.executable, *words], None, None
        descriptors = {fd: _Descriptor(fd) for fd in (1, 2, *pass_fds)}
        if stdout == subprocess.PIPE:
            read, write = os.pipe()
            self.stdout = os.fdopen(read, encoding="utf-8", errors="replace")
            stdout = os.fdopen(write, "wb")
        if stdout is not None:
            descriptors[1] = descriptors[2] = _Descriptor(stdout.fileno())
        what = ([*words], dict(environment), str(folder or Path.cwd()), descriptors, new_session)
        self._process = multiprocessing.get_context("forkserver").Process(target=_become, args=what)
        self._process.start()
        multiprocessing.process._children.discard(self._process)  # whose end would be waited for at the end of tests
        self.pid = self._process.pid
        if self.stdout:
            stdout.close()

    def wait(self, timeout=None):
        """The exit code, once there is one; negative after a signal."""
        if self.returncode is None:
            if not wait([self._process.sentinel], timeout):
                raise subprocess.TimeoutExpired(self.args, timeout)
            self._process.join()
            self.returncode = self._process.exitcode
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

    def terminate(self):
        self.send_signal(signal.SIGTERM)


class _Descriptor:
    """An open file that goes to a process with what it is told."""

    def __init__(self, fd):
        self._fd = fd

    def __reduce__(self):
        return _received, (reduction.DupFd(self._fd),)


def _received(duplicate):
    return duplicate.detach()


def communicated(process, timeout=400):
    """What a process prints; one that hangs is killed."""
    try:
        return process.communicate(timeout=timeout)[0]
    except subprocess.TimeoutExpired:
        process.kill()
        raise


def run(command, *, env=None, cwd=None, code=0):
    """Runs `[sys.executable, "-m" or "-c", …]` to its end, which has to be with this code; returns what was printed."""
    serve()
    process = Process(command[1:], os.environ | (env or {}), folder=cwd, stdout=subprocess.PIPE)
    output = communicated(process)
    assert process.returncode == code, output[-4000:]
    return output


def _become(words, environment, folder, descriptors, new_session):
    """Makes this process what it would be had it been started, and runs the module or the code."""
    import numpy as np
    import torch

    if new_session:
        os.setsid()
    else:
        subprocess.Popen = _Forking
        forkserver._forkserver.ensure_running = lambda: None  # it would start one more
    apart = {number: fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, _FREE) for number, fd in descriptors.items()}
    for number, fd in apart.items():
        os.dup2(fd, number)
        os.close(fd)
    for fd in {*descriptors.values()} - {*descriptors}:
        os.close(fd)
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(folder)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    multiprocessing.set_start_method(None, force=True)
    for name in ("pytorch_lightning", "lightning_fabric"):  # imported after Hydra, they have no handlers of their own
        logging.getLogger(name).handlers.clear()
        logging.getLogger(name).propagate = True
    first = [folder, *filter(None, environment.get("PYTHONPATH", "").split(os.pathsep))]
    sys.path[:] = [*first, *(path for path in sys.path if path not in ("", *first))]
    kind, what, *arguments = words
    sys.argv[:] = [kind, *arguments]
    tempfile.tempdir = None  # for TMPDIR to be read again
    random.seed()
    np.random.seed()  # noqa: NPY002
    torch.seed()
    try:
        if kind == "-c":
            exec(what, sys.modules["__main__"].__dict__)
        else:
            runpy.run_module(what, run_name="__main__", alter_sys=True)
    finally:
        threading._shutdown()  # as an interpreter ends; multiprocessing leaves this out or does it in another order
        atexit._run_exitfuncs()


class _Forking(_Popen):
    """`subprocess.Popen` that forks this package's own commands."""

    def __new__(cls, args, **how):
        python, *words = (word for word in args if word != "-u")  # torchrun's
        if python != sys.executable or words[0] != "-m" or not words[1].startswith("addnet."):
            return super().__new__(cls)
        same = {"pass_fds": how.get("pass_fds", ()), "new_session": how.get("start_new_session", False)}
        return Process(words, how.get("env", os.environ), folder=how.get("cwd"), stdout=how.get("stdout"), **same)


def _worker(*, target, args, daemon):
    """A process of a pool: its parent is the server, so that it notices the end of this process a moment later."""
    assert target is processes._serve_calls
    serve()
    what = (*args, dict(os.environ))
    return multiprocessing.get_context("forkserver").Process(target=_work, args=what, daemon=daemon)


# in the place of `multiprocessing` in `addnet.pool.processes`
workers = SimpleNamespace(
    get_start_method=multiprocessing.get_start_method,
    get_context=lambda _: SimpleNamespace(Pipe=multiprocessing.Pipe, Process=_worker),
)


def _work(pipe, environment):
    os.environ.clear()
    os.environ.update(environment)
    tempfile.tempdir = None
    watching = {"target": processes._wait_for_end, "args": (multiprocessing.parent_process(),), "daemon": True}
    processes._end_with_parent = threading.Thread(**watching).start
    processes._serve_calls(pipe)
