"""The work on one visitor's file, which can be cancelled while it runs."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from addnet.errors import UserError


class FileTask:
    """The work on one file.

    The threads that do the work call `check` between steps; `when_given_up` registers how to end a step that can't.

    Attributes:
        had: Seconds of the network that it has used.
        faces: Number of faces scored so far.
    """

    def __init__(self) -> None:
        self.had, self.faces = 0.0, 0
        self._lock = threading.Lock()
        self._reason: str | None = None
        self._end: Callable[[], None] | None = None

    def give_up(self, reason: str) -> None:
        """Cancels the work from another thread; if it is called again, the first reason counts.

        Args:
            reason: The reason for the visitor, who may have left.
        """
        with self._lock:
            if self._reason is not None:
                return
            self._reason, end = reason, self._end
        if end:
            end()

    def check(self) -> None:
        """Raises if the work has been cancelled.

        Raises:
            UserError: The work has been cancelled; the text is the reason.
        """
        if self._reason is not None:
            raise UserError(self._reason)

    @contextmanager
    def when_given_up(self, end: Callable[[], None]) -> Iterator[None]:
        """Calls `end` if the work is cancelled within the block, and raises the reason instead of the block's error.

        Raises:
            UserError: The work is cancelled, or had been before.
        """
        with self._lock:
            self.check()
            self._end = end
        try:
            yield
        except Exception:
            self.check()
            raise
        finally:
            with self._lock:
                self._end = None
        self.check()
