"""An executor whose processes are independent: when one dies, only the call that it was running fails.

`concurrent.futures.ProcessPoolExecutor` ends all of its processes when one dies, cannot tell which call was to
blame, and waits forever if one dies while writing its answer (Python 3.11 to 3.13: it keeps the other end of that
pipe open). Here each process has its own pipe and its own thread.
"""

from __future__ import annotations

import multiprocessing
import os
import pickle
import queue
import signal
import struct
import sys
import threading
import time
import traceback
from collections.abc import Callable
from concurrent.futures import Executor, Future
from concurrent.futures.process import BrokenProcessPool
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from typing import Any, ParamSpec, TypeVar

from addnet.untrusted.limits import OverTimeError, keep_bounds, waited_for_core

P = ParamSpec("P")
T = TypeVar("T")

_READY = b"ready"
_ANSWER, _TIME = b"a", b"t"  # the first byte of a worker's message: an answer, or how long to wait for it
_TIME_MESSAGE = struct.Struct("!dd?")  # seconds left, seconds allowed in all, whether a new file was begun
_STARTS = 4
_GLANCE = 1.0  # seconds between checks; time with both processes stopped (Ctrl-Z, suspend) counts as at most two
_PR_SET_PDEATHSIG = 1
_METHODS = multiprocessing.get_all_start_methods()  # the first is the default


class WorkerDiedError(BrokenProcessPool):
    """The process that was running this call ended: killed, out of memory, or crashed in native code."""


class ProcessExecutor(Executor):
    """An executor with `workers` processes, each started on demand and restarted after it died.

    Processes are spawned, not forked: OpenCV's threads do not survive a fork. They ignore Ctrl-C, which the parent
    handles, and end when the parent is gone, even if it was killed. The limits of `addnet.untrusted.limits` are
    enforced: a process that takes longer than the time it announced is killed.

    Args:
        workers: Number of processes.

    Attributes:
        workers: Number of processes.
    """

    def __init__(self, workers: int) -> None:
        self.workers = workers
        self._calls: queue.SimpleQueue[tuple[Future[Any], bytes] | None] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._running: set[_Worker] = set()
        self._closed = False
        # daemon threads: a program that ends with an exception must not wait for a video that is being read
        self._threads = [threading.Thread(target=self._serve, daemon=True) for _ in range(workers)]
        for thread in self._threads:
            thread.start()

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Queues a call.

        Returns:
            The call's future. Its exception is `WorkerDiedError` if the process died, and `OverTimeError` if it was
            killed because it took too long.

        Raises:
            RuntimeError: The executor is shut down.
        """
        future: Future[T] = Future()
        call = future, pickle.dumps((fn, args, kwargs))
        with self._lock:
            if self._closed:
                raise RuntimeError("the pool is shut down and accepts no more calls")
            self._calls.put(call)
        return future

    def warm(self, fn: Callable[P, object], /, *args: P.args, **kwargs: P.kwargs) -> None:
        """Starts all processes in the background; each calls `fn`, for example to import modules."""
        for _ in range(self.workers):
            self.submit(fn, *args, **kwargs)

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Kills the processes immediately, whatever they are doing, and cancels the calls in the queue."""
        with self._lock:
            self._closed = True
            for worker in self._running:
                worker.process.kill()
        for _ in self._threads:
            self._calls.put(None)
        for thread in self._threads if wait else ():
            thread.join()

    def _serve(self) -> None:
        """Runs queued calls in one process until the executor is shut down; runs in a thread."""
        worker: _Worker | None = None
        while (call := self._calls.get()) is not None:
            future, message = call
            if self._closed:
                future.cancel()
            if not future.set_running_or_notify_cancel():
                continue
            try:
                worker = worker or self._start()
                succeeded, answer = worker.ask(message)
            except BaseException as error:
                future.set_exception(error)
                self._end(worker)
                worker = None
                continue
            future.set_result(answer) if succeeded else future.set_exception(answer)
        self._end(worker)

    def _start(self) -> _Worker:
        """Starts a process and waits until it is ready; one that was killed during its start is replaced."""
        for left in reversed(range(_STARTS)):
            with self._lock:
                if self._closed:
                    raise WorkerDiedError("the pool is closed")
                worker = _Worker()
                self._running.add(worker)
            try:
                worker.wait_until_ready()
                break
            except RuntimeError:
                self._end(worker)
                if not left or (worker.process.exitcode or 0) > 0:  # an exception would only be raised again
                    raise
        return worker

    def _end(self, worker: _Worker | None) -> None:
        if worker:
            with self._lock:
                self._running.discard(worker)
            worker.end()


class _Worker:
    """One process, seen from its parent."""

    def __init__(self) -> None:
        if (method := multiprocessing.get_start_method(allow_none=True)) and method not in _METHODS:
            # a process of joblib: a process that it spawns would be told of this method and not know it
            multiprocessing.set_start_method(_METHODS[0], force=True)
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self.process: BaseProcess = context.Process(target=_serve_calls, args=(theirs,), daemon=True)
        self.process.start()
        theirs.close()  # the process must hold the only other end, so that its death is noticed

    def wait_until_ready(self) -> None:
        try:
            self._pipe.recv_bytes()
        except (EOFError, OSError) as error:
            raise RuntimeError(
                f"a worker process ended during its start ({self._how_it_ended()}); "
                "a script that uses several processes must do its work under `if __name__ == '__main__':`"
            ) from error

    def ask(self, message: bytes) -> tuple[bool, Any]:
        """Sends a call to the process; returns whether it succeeded, and its result or its exception.

        Raises:
            WorkerDiedError: The process ended.
            OverTimeError: The process took longer than the time it announced for a file.
        """
        left, allowed, begun = None, 0.0, 0
        try:
            self._pipe.send_bytes(message)
            while True:
                if left is not None and not self._answers_within(left):
                    raise OverTimeError(f"took longer than {allowed:.3g} s", max(begun, 1))
                answer = self._pipe.recv_bytes()
                if answer[:1] == _ANSWER:
                    break
                left, allowed, new = _TIME_MESSAGE.unpack(answer[1:])
                begun += new
        except (EOFError, OSError) as error:
            raise WorkerDiedError(f"its worker process died ({self._how_it_ended()})") from error
        succeeded, value = pickle.loads(answer[1:])
        return bool(succeeded), value

    def _answers_within(self, left: float) -> bool:
        waited = None  # read only after the first glance: most files take milliseconds
        while left > 0:
            clock = time.monotonic()
            if self._pipe.poll(min(left, _GLANCE)):
                return True
            before, waited = waited, waited_for_core(self.process.pid)
            passed = min(time.monotonic() - clock, 2 * _GLANCE)
            left -= passed if before is None else max(0.0, passed - (waited - before))
        return self._pipe.poll(0)

    def end(self) -> None:
        self.process.kill()
        self.process.join()
        self._pipe.close()

    def _how_it_ended(self) -> str:
        self.process.join()
        code = self.process.exitcode
        if code is None or code >= 0:
            return f"exit code {code}"
        name = signal.Signals(-code).name
        return f"{name}, perhaps out of memory" if name == "SIGKILL" else name


def _serve_calls(pipe: Connection) -> None:
    """Answers calls until the parent closes the pipe; the main function of a worker process."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _end_with_parent()
    keep_bounds(lambda left, allowed, new: pipe.send_bytes(_TIME + _TIME_MESSAGE.pack(left, allowed, new)))
    try:
        pipe.send_bytes(_READY)
        while True:
            pipe.send_bytes(_ANSWER + _answer(pipe.recv_bytes()))
    except (EOFError, OSError):  # the parent is gone
        return


def _end_with_parent() -> None:
    """Makes this process end as soon as its parent is killed, since nothing would receive its result.

    On Linux the kernel does so: a Python thread might never run while a decoder holds the GIL.
    """
    parent = multiprocessing.parent_process()
    if sys.platform == "linux":
        import ctypes

        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if parent and os.getppid() != parent.pid:  # the parent had ended already
            os._exit(1)
    threading.Thread(target=_wait_for_end, args=(parent,), daemon=True).start()


def _wait_for_end(parent: BaseProcess | None) -> None:
    if parent:
        parent.join()
        os._exit(1)


def _answer(message: bytes) -> bytes:
    """Runs one call; returns whether it succeeded, and its result or its exception, pickled."""
    try:
        function, args, kwargs = pickle.loads(message)
        return pickle.dumps((True, function(*args, **kwargs)))
    except BaseException as error:
        trace = traceback.format_exc()
        error.add_note(f"in a worker process:\n{trace}")
        try:
            answer = pickle.dumps((False, error))
            pickle.loads(answer)  # some exceptions can be pickled, but not unpickled
        except Exception:
            return pickle.dumps((False, RuntimeError(trace)))
        return answer
