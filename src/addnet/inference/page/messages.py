"""ASGI requests and responses that the guard creates or changes."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Send

_OWN = "default-src 'self' 'unsafe-inline' 'unsafe-eval' data: blob:; frame-ancestors 'none'; form-action 'self'"
_HEADERS = (
    (b"content-security-policy", _OWN.encode()),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
)
_CLOSE = (b"connection", b"close")  # otherwise the server would continue to read a refused request


def refused(status: int, reason: str) -> ASGIApp:
    """Returns a plain text response that doesn't involve Gradio."""
    from starlette.responses import PlainTextResponse

    return PlainTextResponse(reason, status)


def done() -> ASGIApp:
    """Returns the event that reports a finished upload to Gradio's page; progress isn't tracked."""
    from starlette.responses import Response

    return Response('data: {"msg": "done"}\n\n', media_type="text/event-stream")


def with_headers(send: Send) -> Send:
    """Adds security headers: other sites can't frame the page or load from it, and it can't load from them."""

    async def sent(message: Message) -> None:
        if message["type"] == "http.response.start":
            refused = [_CLOSE] if message["status"] >= 400 else []
            message = {**message, "headers": [*message.get("headers", []), *_HEADERS, *refused]}
        await send(message)

    return sent


class MessageSender:
    """Sends a response, and can finish it if Gradio stops in the middle because the server closes."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self._open = False

    async def __call__(self, message: Message) -> None:
        """Sends a message."""
        self._open = message["type"] == "http.response.start" or bool(message.get("more_body"))
        await self._send(message)

    async def finish(self) -> None:
        """Ends the response if it hasn't ended."""
        if self._open:
            await self._send({"type": "http.response.body", "body": b"", "more_body": False})


def once(body: bytes, receive: Receive) -> Receive:
    """Returns a `receive` that gives this body first, then whatever else is received."""
    left = [{"type": "http.request", "body": body, "more_body": False}]

    async def received() -> Message:
        return left.pop() if left else await receive()

    return received
