"""Access control: requests must use a name of the service, not come from another site's page, and have the token."""

from __future__ import annotations

import hmac
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

OPEN = ("/health", "/docs", "/openapi.json", "/static-offline-docs")  # prefixes of paths that need no token


class RequestGate:
    """Middleware that refuses requests with a reason, and reports the status of each request.

    Args:
        app: The application behind it.
        names: Host names of the service, without ports; empty: any.
        token: The token required as `Authorization: Bearer TOKEN`; empty: none.
        tell: Called with the path and the status of each response.
    """

    def __init__(self, app: ASGIApp, *, names: Sequence[str], token: str, tell: Callable[[str, int], None]) -> None:
        self._app, self._names, self._token, self._tell = app, [name.lower() for name in names], token, tell

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Refuses a request, or passes it to the application."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}

        async def sent(message: Message) -> None:
            if message["type"] == "http.response.start":
                route = scope.get("route")
                self._tell(getattr(route, "path", "other"), message["status"])
                message["headers"] = [*message.get("headers", []), (b"x-content-type-options", b"nosniff")]
            await send(message)

        if refused := self._refused(scope["path"], headers):
            await _answer(sent, *refused)
        else:
            await self._app(scope, receive, sent)

    def _refused(self, path: str, headers: dict[str, str]) -> tuple[int, str] | None:
        host = _name(headers.get("host", ""))
        if self._names and host not in self._names:
            return 421, f"{host} is not a name of this service; start it with names=[{host}] to allow it"
        if (origin := headers.get("origin")) and _name(urlsplit(origin).netloc) != host:
            return 403, "pages of other sites can't use this service"
        given = headers.get("authorization", "").removeprefix("Bearer ")
        if self._token and not path.startswith(OPEN) and not hmac.compare_digest(given.encode(), self._token.encode()):
            return 401, "a token is needed: Authorization: Bearer TOKEN"
        return None


def _name(address: str) -> str:
    """Returns a host without its port.

    Example:
        >>> _name("LocalHost:8000"), _name("[::1]:80"), _name("::1")
        ('localhost', '::1', '::1')
    """
    address = address.strip().lower()
    if address.startswith("["):
        return address[1:].partition("]")[0]
    return address if address.count(":") > 1 else address.partition(":")[0]


async def _answer(send: Callable[[Any], Awaitable[None]], status: int, reason: str) -> None:
    import json

    body = json.dumps({"error": reason}).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    if status == 401:
        headers.append((b"www-authenticate", b"Bearer"))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
