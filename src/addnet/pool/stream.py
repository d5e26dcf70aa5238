"""A generator that runs in a process of its own: what it yields comes as it is made, and it may die alone."""

from __future__ import annotations

import multiprocessing
import pickle
import signal
from collections.abc import Callable, Generator, Iterable
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from typing import Any, ParamSpec, TypeVar

from addnet.errors import UserError

P = ParamSpec("P")
T = TypeVar("T")

_ITEM, _ERROR, _END = range(3)


def streamed(function: Callable[P, Iterable[T]], /, *args: P.args, **kwargs: P.kwargs) -> Generator[T, None, None]:
    """Iterates over what a function gives, in a process that is spawned for it.

    The process waits while nobody takes what it made, so that memory doesn't grow. Closing the generator kills it.

    Args:
        function: One that can be pickled; its arguments and items too.
        args: Its arguments.
        kwargs: Those with names.

    Raises:
        UserError: The function raised one; or its process died, whether it was killed or crashed in native code.
        RuntimeError: The function raised something else; the text has its traceback.
    """
    context = multiprocessing.get_context("spawn")
    pipe, theirs = context.Pipe(duplex=False)
    process = context.Process(target=_send, args=(theirs, pickle.dumps((function, args, kwargs))), daemon=True)
    process.start()
    theirs.close()  # the process must hold the only other end, for its death to be noticed
    try:
        while True:
            kind, value = _received(pipe, process)
            if kind == _END:
                return
            if kind == _ERROR:
                raise value
            yield value
    finally:
        process.kill()
        process.join()
        pipe.close()


def _received(pipe: Connection, process: BaseProcess) -> tuple[int, Any]:
    try:
        message = pipe.recv_bytes()
    except (EOFError, OSError) as error:
        process.join()
        code = process.exitcode or 0
        how = f"exit code {code}" if code >= 0 else signal.Signals(-code).name
        raise UserError(f"the process that was reading it died ({how})") from error
    kind, value = pickle.loads(message)
    return kind, value


def _send(pipe: Connection, packed: bytes) -> None:
    """What the process does all its life."""
    import traceback

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to handle
    try:
        function, args, kwargs = pickle.loads(packed)
        for item in function(*args, **kwargs):
            pipe.send((_ITEM, item))
        pipe.send((_END, None))
    except BrokenPipeError:  # the parent is gone
        return
    except UserError as error:
        pipe.send((_ERROR, UserError(str(error))))
    except Exception:
        pipe.send((_ERROR, RuntimeError(f"in the process that was reading it:\n{traceback.format_exc()}")))
