"""Which visitors are connected: a page listens for its answer, and one that stops listening has left."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from starlette.types import Message, Receive

_GRACE = 3.0  # seconds for a page to begin to listen, or to reconnect


class Visitors:
    """Sessions of pages and their open connections. Not thread-safe: used by the server's thread only.

    Args:
        grace: Seconds after which a session that doesn't listen has left.
    """

    def __init__(self, *, grace: float = _GRACE) -> None:
        self._grace = grace
        self._listening: Counter[str] = Counter()
        self._until: dict[str, float] = {}
        self._closed = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None

    def expect(self, session: str) -> None:
        """Records that a session has sent a request and will listen for the answer."""
        self._until = {one: until for one, until in self._until.items() if until > time.monotonic()}
        self._until[session] = time.monotonic() + self._grace

    @contextmanager
    def listening(self, session: str) -> Iterator[None]:
        """Marks a session as connected within the block, and for the seconds of grace after it."""
        self._listening[session] += 1
        try:
            yield
        finally:
            self._listening[session] -= 1
            if not self._listening[session]:
                del self._listening[session]
            self.expect(session)

    def close(self) -> None:
        """Closes all connections with visitors; may be called from any thread."""
        if self._loop:
            self._loop.call_soon_threadsafe(self._closed.set)

    def until_closed(self, receive: Receive) -> Receive:
        """Returns a `receive` that reports a disconnect once the server closes."""
        self._loop = asyncio.get_running_loop()

        async def received() -> Message:
            message, closed = asyncio.ensure_future(receive()), asyncio.ensure_future(self._closed.wait())
            try:
                await asyncio.wait((message, closed), return_when=asyncio.FIRST_COMPLETED)
                return message.result() if message.done() else {"type": "http.disconnect"}
            finally:
                message.cancel()
                closed.cancel()

        return received

    def has_left(self, session: str) -> bool:
        """Whether the visitor of a session has left, so that nobody would see the answer."""
        return session not in self._listening and self._until.get(session, 0.0) <= time.monotonic()
