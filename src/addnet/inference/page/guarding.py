"""Access control in front of Gradio: who may send requests, which ones, and how many at once.

Gradio serves far more than the page needs (files by path and URL, a proxy, functions of components, past runs), and
accepts requests from any page that a browser has open. This middleware passes only requests that are addressed to this
server, come from its own page and use one of the few routes that the page needs; all others are refused. This protects
against pages of other sites, whose scripts run in the visitor's browser. Against programs on the same machine, or on
the network with another `host`, only the limits protect.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Sequence
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode, urlsplit

from addnet.inference.answering.uploads import Uploads
from addnet.inference.page.messages import MessageSender, done, once, refused, with_headers
from addnet.inference.page.visitors import Visitors

if TYPE_CHECKING:
    from starlette.datastructures import Headers
    from starlette.requests import Request
    from starlette.types import ASGIApp, Receive, Scope, Send

_API = "/gradio_api"
_UPLOAD, _PROGRESS = f"{_API}/upload", f"{_API}/upload_progress"
_JOIN, _DATA = f"{_API}/queue/join", f"{_API}/queue/data"
_PAGES = {"/", "/config", "/theme.css", "/favicon.ico", f"{_API}/startup-events"}  # Gradio itself requests the last one
_FILES = re.compile(r"/(assets|static|svelte)/[\w./@+-]+", re.ASCII)  # Gradio's own files
_SESSION = re.compile(r"\w{1,64}", re.ASCII)
_MOST_AT_ONCE = 200  # open requests; a page has three
_MOST_ASKED = 16 << 10  # largest size of a call in bytes
_ASKING = 10.0  # most seconds to receive a call


class Guard:
    """The middleware (ASGI).

    Args:
        app: Gradio's application.
        uploads: Receives files, instead of Gradio.
        visitors: Records which visitors are connected.
        local: Whether only this machine can reach the server.
        names: Host names of the server besides its IP addresses and `localhost`, for example behind a proxy.
    """

    def __init__(
        self, app: ASGIApp, *, uploads: Uploads, visitors: Visitors, local: bool, names: Sequence[str] = ()
    ) -> None:
        self._app = app
        self._uploads, self._visitors = uploads, visitors
        self._local = local
        self._names = {name.lower() for name in names}
        self._open = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Passes a request to Gradio, or refuses it."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
        elif scope["type"] == "http":
            self._open += 1
            try:
                await self._http(scope, self._visitors.until_closed(receive), with_headers(send))
            finally:
                self._open -= 1

    async def _http(self, scope: Scope, receive: Receive, send: Send) -> None:
        from starlette.requests import Request

        request = Request(scope, receive)
        route = scope["method"], scope["path"]
        if self._open > _MOST_AT_ONCE:
            answer = refused(503, "too many requests at once")
        elif reason := self._foreign(scope, request.headers):
            answer = refused(403, reason)
        elif route == ("POST", _UPLOAD):
            answer = await self._uploads.receive(request)
        elif route == ("POST", _JOIN):
            answer = await self._join(request)
        elif route == ("GET", _DATA):
            answer = self._listen(request)
        elif route == ("GET", _PROGRESS):
            answer = done()
        elif route[0] in ("GET", "HEAD") and (route[1] in _PAGES or _FILES.fullmatch(route[1])):
            answer = self._passed({"query_string": b""}, receive)
        else:
            answer = refused(404, "not found")
        await answer(scope, receive, send)

    # ---- origin of requests -----------------------------------------------------------------------------------

    def _foreign(self, scope: Scope, headers: Headers) -> str:
        """Says why a request doesn't come from the server's own page; empty if it does."""
        host = headers.get("host", "")
        if len(headers.getlist("host")) != 1 or not self._is_own(host):
            return "unknown host name; use the address that the server printed, or start it with names=[NAME]"
        origin = headers.get("origin")
        if origin is not None and urlsplit(origin).netloc.lower() != host.lower():
            return "only requests from this server's own page are accepted"
        if scope["path"] != "/" and headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
            return "only requests from this server's own page are accepted"
        return ""

    def _is_own(self, host: str) -> bool:
        """Whether a `Host` is one of this server's names; others may point to this machine by DNS rebinding."""
        try:
            name = (urlsplit(f"//{host}").hostname or "").rstrip(".")
        except ValueError:
            return False
        if name == "localhost" or name in self._names:
            return True
        try:
            return ip_address(name).is_loopback or not self._local
        except ValueError:
            return False

    # ---- calls ------------------------------------------------------------------------------------------------

    async def _join(self, request: Request) -> ASGIApp:
        """Passes a rebuilt call to Gradio, which keeps only the session, the numbers and private names of uploads."""
        body = bytearray()
        try:
            async with asyncio.timeout(_ASKING):
                async for chunk in request.stream():
                    body += chunk
                    if len(body) > _MOST_ASKED:
                        return refused(413, "the request is too large")
        except TimeoutError:
            return refused(408, "the request took too long")
        call = self._call(bytes(body))
        if call is None:
            return refused(400, "not a request of this page")
        self._visitors.expect(call["session_hash"])
        written = json.dumps(call).encode()
        headers = [(name, value) for name, value in request.scope["headers"] if name != b"content-length"]
        headers.append((b"content-length", str(len(written)).encode()))
        return self._passed({"query_string": b"", "headers": headers}, once(written, request.receive))

    def _call(self, body: bytes) -> dict[str, Any] | None:
        try:
            call = json.loads(body)
            session, number, trigger, data = (call[key] for key in ("session_hash", "fn_index", "trigger_id", "data"))
            known = isinstance(session, str) and _SESSION.fullmatch(session) and isinstance(data, list)
            if not known or not isinstance(number, int) or not isinstance(trigger, int) or len(data) > 1:
                return None
            files = [self._uploads.asked(str(one["path"]), session) for one in data]
        except (ValueError, LookupError, TypeError, RecursionError):
            return None
        if None in files:
            return None
        written = [{"path": str(file), "orig_name": "file", "meta": {"_type": "gradio.FileData"}} for file in files]
        return {"session_hash": session, "fn_index": number, "trigger_id": trigger, "data": written}

    def _listen(self, request: Request) -> ASGIApp:
        session = request.query_params.get("session_hash", "")
        if not _SESSION.fullmatch(session):
            return refused(400, "not a session")
        passed = self._passed({"query_string": urlencode({"session_hash": session}).encode()}, request.receive)

        async def listening(scope: Scope, receive: Receive, send: Send) -> None:
            sent = MessageSender(send)
            with self._visitors.listening(session):
                await passed(scope, receive, sent)
            await sent.finish()

        return listening

    def _passed(self, changes: dict[str, Any], receive: Receive) -> ASGIApp:
        """Returns an application that passes a request to Gradio with changes of its scope."""

        async def passed(scope: Scope, _: Receive, send: Send) -> None:
            await self._app({**scope, **changes}, receive, send)

        return passed
