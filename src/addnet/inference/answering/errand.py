"""What is done for one visitor, which may be given up while it is under way."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from addnet.errors import UserError


class FileTask:
    """The work on one file.

    Threads that are at it call `check` between two steps, and say by `when_given_up` how a step is ended that can't.

    Attributes:
        had: Seconds that it had of the network.
        faces: That have a score, so far.
    """

    def __init__(self) -> None:
        self.had, self.faces = 0.0, 0
        self._lock = threading.Lock()
        self._reason: str | None = None
        self._end: Callable[[], None] | None = None

    def give_up(self, reason: str) -> None:
        """Ends the work, from another thread; the first reason counts.

        Args:
            reason: What the visitor is told, who may be gone.
        """
        with self._lock:
            if self._reason is not None:
                return
            self._reason, end = reason, self._end
        if end:
            end()

    def check(self) -> None:
        """Goes on only if the work isn't given up.

        Raises:
            UserError: It is; the text is the reason.
        """
        if self._reason is not None:
            raise UserError(self._reason)

    @contextmanager
    def when_given_up(self, end: Callable[[], None]) -> Iterator[None]:
        """Calls `end` if the work is given up within the block, and raises the reason instead of what comes of it.

        Raises:
            UserError: It is given up, or was before.
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
