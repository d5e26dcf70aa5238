"""Parts of requests and answers (ASGI) that the guard makes itself."""

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
_CLOSE = (b"connection", b"close")  # or the server would go on reading what it refused


def refused(status: int, reason: str) -> ASGIApp:
    """An answer without Gradio."""
    from starlette.responses import PlainTextResponse

    return PlainTextResponse(reason, status)


def done() -> ASGIApp:
    """What Gradio tells a page of an upload that has come; how far others are isn't followed."""
    from starlette.responses import Response

    return Response('data: {"msg": "done"}\n\n', media_type="text/event-stream")


def with_headers(send: Send) -> Send:
    """Sends what keeps pages of others away: they neither frame this one nor load from it, nor it from them."""

    async def sent(message: Message) -> None:
        if message["type"] == "http.response.start":
            refused = [_CLOSE] if message["status"] >= 400 else []
            message = {**message, "headers": [*message.get("headers", []), *_HEADERS, *refused]}
        await send(message)

    return sent


class MessageSender:
    """What is sent, brought to an end where Gradio breaks off because the server closes."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self._open = False

    async def __call__(self, message: Message) -> None:
        """Sends a message."""
        self._open = message["type"] == "http.response.start" or bool(message.get("more_body"))
        await self._send(message)

    async def finish(self) -> None:
        """Sends the end, if it wasn't sent."""
        if self._open:
            await self._send({"type": "http.response.body", "body": b"", "more_body": False})


def once(body: bytes, receive: Receive) -> Receive:
    """Gives a body, then whatever else is received."""
    left = [{"type": "http.request", "body": body, "more_body": False}]

    async def received() -> Message:
        return left.pop() if left else await receive()

    return received
