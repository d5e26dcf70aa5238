"""One thread for the network, in turns: whoever has had least of it is next."""

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
    """Runs what needs the network, or other things that are for one thread only, such as Matplotlib.

    torch keeps buffers for each thread that it computed in, so there is one. Of those who wait the errand comes first
    that has had the fewest seconds: a visitor with one image doesn't wait for all faces of another one's video.
    The thread is a daemon: a program that ends doesn't wait for it.
    """

    def __init__(self) -> None:
        self._waiting: list[tuple[float, int, Callable[[], None]]] = []
        self._numbers = count()
        self._changed = threading.Condition()
        threading.Thread(target=self._serve, name="network", daemon=True).start()

    def do(self, errand: FileTask, function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """Calls a function when its turn comes, and returns what it returns.

        Raises:
            UserError: The errand is given up before.
            Exception: What the function raises.
        """
        future: Future[T] = Future()

        def turn() -> None:
            begun = time.monotonic()
            try:
                errand.check()
                future.set_result(function(*args, **kwargs))
            except BaseException as error:  # is raised where it is waited for
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
            del turn  # the images that it holds
