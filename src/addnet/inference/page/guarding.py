"""What stands in front of Gradio: who may ask, for what, and how much of it at once.

Gradio serves far more than the page needs (files by their paths and addresses, a proxy, functions of components, runs
of the past), and takes requests from any page that a browser has open. Here a request passes that is meant for this
server, comes from its own page and asks for one of the few things that the page uses; the rest isn't found. Against
pages of others (whose scripts the visitor's browser runs) that is enough; against programs on the same machine, or on
the network with another `host`, only the limits stand.
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
_PAGES = {"/", "/config", "/theme.css", "/favicon.ico", f"{_API}/startup-events"}  # the last one Gradio asks itself
_FILES = re.compile(r"/(assets|static|svelte)/[\w./@+-]+", re.ASCII)  # of Gradio itself
_SESSION = re.compile(r"\w{1,64}", re.ASCII)
_MOST_AT_ONCE = 200  # requests; a page has three open
_MOST_ASKED = 16 << 10  # bytes of a question,
_ASKING = 10.0  # and seconds that it may be on its way


class Guard:
    """The middleware (ASGI).

    Args:
        app: Gradio's.
        uploads: Takes files, instead of Gradio.
        visitors: Are told who is there.
        local: Whether only this machine can reach the server.
        names: By which it is reached besides its numbers and `localhost`, such as behind a proxy.
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
        """Passes a request on, or refuses it."""
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
        asked = scope["method"], scope["path"]
        if self._open > _MOST_AT_ONCE:
            answer = refused(503, "too many requests at once")
        elif reason := self._foreign(scope, request.headers):
            answer = refused(403, reason)
        elif asked == ("POST", _UPLOAD):
            answer = await self._uploads.receive(request)
        elif asked == ("POST", _JOIN):
            answer = await self._join(request)
        elif asked == ("GET", _DATA):
            answer = self._listen(request)
        elif asked == ("GET", _PROGRESS):
            answer = done()
        elif asked[0] in ("GET", "HEAD") and (asked[1] in _PAGES or _FILES.fullmatch(asked[1])):
            answer = self._passed({"query_string": b""}, receive)
        else:
            answer = refused(404, "not found")
        await answer(scope, receive, send)

    # ---- who asks ------------------------------------------------------------------------------------------

    def _foreign(self, scope: Scope, headers: Headers) -> str:
        """Why a request isn't of the own page; empty if it is."""
        host = headers.get("host", "")
        if len(headers.getlist("host")) != 1 or not self._is_own(host):
            return "this server is not called that; use the address that it printed, or start it with names=[NAME]"
        origin = headers.get("origin")
        if origin is not None and urlsplit(origin).netloc.lower() != host.lower():
            return "requests come from the page of this server alone"
        if scope["path"] != "/" and headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
            return "requests come from the page of this server alone"
        return ""

    def _is_own(self, host: str) -> bool:
        """Whether a `Host` is this server's: a name of others would be one that they made lead here."""
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

    # ---- what is asked -------------------------------------------------------------------------------------

    async def _join(self, request: Request) -> ASGIApp:
        """Passes a question on, written anew: of what came only numbers and private names of uploads are left."""
        body = bytearray()
        try:
            async with asyncio.timeout(_ASKING):
                async for chunk in request.stream():
                    body += chunk
                    if len(body) > _MOST_ASKED:
                        return refused(413, "too large a question")
        except TimeoutError:
            return refused(408, "too slow a question")
        question = self._question(bytes(body))
        if question is None:
            return refused(400, "not a question of this page")
        self._visitors.expect(question["session_hash"])
        written = json.dumps(question).encode()
        headers = [(name, value) for name, value in request.scope["headers"] if name != b"content-length"]
        headers.append((b"content-length", str(len(written)).encode()))
        return self._passed({"query_string": b"", "headers": headers}, once(written, request.receive))

    def _question(self, body: bytes) -> dict[str, Any] | None:
        try:
            asked = json.loads(body)
            session, number, trigger, data = (asked[key] for key in ("session_hash", "fn_index", "trigger_id", "data"))
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
        """Gradio, which gets a request with changes."""

        async def passed(scope: Scope, _: Receive, send: Send) -> None:
            await self._app({**scope, **changes}, receive, send)

        return passed
