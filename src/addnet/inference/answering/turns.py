"""One thread for the network, shared in turns: the task that has used it least is next."""

from __future__ import annotations

import heapq
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from itertools import count
from typing import Any, ParamSpec, TypeVar

from addnet.inference.answering.errand import FileTask

P = ParamSpec("P")
T = TypeVar("T")


class TaskQueue:
    """Runs functions that need the network, or must run in a single thread, such as those of Matplotlib.

    There is only one thread, because torch keeps buffers for each thread that it has run in. The waiting task that has
    used the fewest seconds is next, so that a visitor with one image doesn't wait for all faces of another's video.
    The thread is a daemon: the program doesn't wait for it when it ends.
    """

    def __init__(self) -> None:
        self._waiting: list[tuple[float, int, Callable[[], None]]] = []
        self._numbers = count()
        self._changed = threading.Condition()
        threading.Thread(target=self._serve, name="network", daemon=True).start()

    def do(self, errand: FileTask, function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """Calls a function when its turn comes, and returns its result.

        Raises:
            UserError: The task is cancelled before its turn.
            Exception: Whatever the function raises.
        """
        future: Future[T] = Future()

        def turn() -> None:
            begun = time.monotonic()
            try:
                errand.check()
                future.set_result(function(*args, **kwargs))
            except BaseException as error:  # raised in the waiting thread
                future.set_exception(error)
            errand.had += time.monotonic() - begun

        with self._changed:
            heapq.heappush(self._waiting, (errand.had, next(self._numbers), turn))
            self._changed.notify()
        return future.result()

    def _serve(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._waiting)
                turn: Any = heapq.heappop(self._waiting)[-1]
            turn()
            del turn  # frees the images that it refers to
