"""What the page takes from whom: its own visitors' files, one a request, and nothing that it has no need of."""

import asyncio
import json
from contextlib import asynccontextmanager

import pytest

from addnet.inference.answering.uploads import Uploads
from addnet.inference.page.guarding import Guard
from addnet.inference.page.visitors import Visitors

pytest.importorskip("gradio", reason="Gradio is not installed: pip install 'addnet[app]'")
httpx = pytest.importorskip("httpx")

MOST = 100_000
URL = "http://127.0.0.1:7860"


class Gradio:
    """What stands behind the guard: it tells what reaches it."""

    def __init__(self):
        self.asked = []

    async def __call__(self, scope, receive, send):
        body = (await receive()).get("body", b"") if scope["method"] == "POST" else b""
        self.asked.append((scope["method"], scope["path"], scope["query_string"], body))
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"gradio"})


class Server:
    """A guard with what it needs."""

    def __init__(self, folder, *, local=True, quota=3 * MOST, grace=0.0, seconds=60.0, **settings):
        self.gradio, self.visitors = Gradio(), Visitors(grace=grace)
        has_left = self.visitors.has_left
        self.uploads = Uploads(folder, most=MOST, quota=quota, seconds=seconds, has_left=has_left)
        self.guard = Guard(self.gradio, uploads=self.uploads, visitors=self.visitors, local=local, **settings)
        self.files = lambda: sorted(file for file in folder.rglob("*") if file.is_file())

    @asynccontextmanager
    async def visited(self):
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app=self.guard), base_url=URL) as client:
            yield client

    def asks(self, method, path, **what):
        async def asked():
            async with self.visited() as client:
                return await client.request(method, path, **what)

        return asyncio.run(asked())

    def uploads_file(self, data=b"data", name="a.png", **what):
        return self.asks("POST", "/gradio_api/upload", files={"files": (name, data)}, **what)

    def joins(self, data, *, session="abc123", **more):
        question = {"data": data, "fn_index": 0, "trigger_id": 4, "session_hash": session} | more
        return self.asks("POST", "/gradio_api/queue/join?x=y", content=json.dumps(question))


@pytest.fixture
def server(tmp_path):
    return Server(tmp_path / "uploads")


@pytest.mark.parametrize(
    "host", ["127.0.0.1:7860", "127.0.0.1", "localhost:9000", "LOCALHOST", "[::1]:7860", "127.0.0.9"]
)
def test_the_server_answers_to_its_own_names(server, host):
    assert server.asks("GET", "/", headers={"host": host}).text == "gradio"


@pytest.mark.parametrize(
    "host", ["evil.example:7860", "127.0.0.1.evil.example", "192.168.1.5", "", "localhost@evil", "["]
)
def test_a_name_that_others_made_lead_here_is_refused(server, host):
    assert server.asks("GET", "/", headers={"host": host}).status_code == 403
    assert not server.gradio.asked


def test_on_a_network_it_answers_to_its_numbers_and_to_names_that_are_set(tmp_path):
    server = Server(tmp_path / "uploads", local=False, names=["Detector.example"])
    for host, status in (("192.168.1.5:7860", 200), ("detector.example", 200), ("evil.example", 403)):
        assert server.asks("GET", "/", headers={"host": host}).status_code == status, host


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "http://evil.example"},
        {"origin": "http://127.0.0.1:3000"},
        {"origin": "null"},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
    ],
)
def test_pages_of_others_get_and_send_nothing(server, headers):
    assert server.asks("GET", "/config", headers=headers).status_code == 403
    assert server.uploads_file(headers=headers).status_code == 403
    assert not server.gradio.asked
    assert not server.files()


def test_a_link_to_the_page_works_and_its_own_requests_do(server):
    assert server.asks("GET", "/", headers={"sec-fetch-site": "cross-site"}).status_code == 200
    assert server.uploads_file(headers={"origin": URL, "sec-fetch-site": "same-origin"}).status_code == 200


def test_of_all_that_gradio_serves_only_what_the_page_needs_is_reached(server):
    import gradio
    from gradio.routes import App

    with gradio.Blocks() as blocks:
        gradio.File()
    served = App.create_app(blocks).openapi()["paths"]
    assert len(served) > 60
    for path, methods in served.items():
        for method in methods:
            server.asks(method.upper(), path.replace("{path}", "x.js").replace("{session_hash}", "abc"))
    files = {"/assets/x.js", "/static/x.js", "/svelte/x.js"}
    reached = {path for method, path, _, _ in server.gradio.asked if method in ("GET", "HEAD")}
    assert len(reached) == len({path for _, path, _, _ in server.gradio.asked})
    assert reached == {"/", "/config", "/theme.css", "/favicon.ico", "/gradio_api/startup-events"} | files


@pytest.mark.parametrize(
    "path", ["file=/etc/passwd", "file=http://evil.example/", "run/predict", "call/x", "component_server"]
)
def test_gradio_serves_no_files_and_calls_no_functions(server, path):
    for method in ("GET", "POST"):
        assert server.asks(method, f"/gradio_api/{path}").status_code == 404
    assert not server.gradio.asked


def test_no_page_of_others_frames_this_one_and_it_loads_nothing_of_others(server):
    policy = server.asks("GET", "/").headers["content-security-policy"]
    assert "default-src 'self'" in policy
    assert "frame-ancestors 'none'" in policy


# ---- uploads -------------------------------------------------------------------------------------------------


def test_an_upload_lies_under_a_private_name_which_tells_nothing_of_the_folder(server):
    (name,) = server.uploads_file(b"data", "../../Ä\x1b[2J.PNG").json()
    (file,) = server.files()
    assert file.name == name
    assert file.suffix == ".png"
    assert file.read_bytes() == b"data"
    assert server.uploads.claim(name).name.endswith("Ä\x1b[2J.PNG")


@pytest.mark.parametrize("name", ["a.svg", "a.html", "a.jpg\0.exe", "..", "a." + "x" * 300, ""])
def test_no_other_suffix_reaches_the_disk(server, name):
    server.uploads_file(name=name or "x")
    assert all(not file.suffix for file in server.files())


def test_the_same_image_sent_twice_is_two_files(server):
    first, second = (server.uploads_file().json()[0] for _ in range(2))
    server.uploads.discard(server.uploads.claim(first))
    assert [file.name for file in server.files()] == [second]


def test_a_request_carries_one_file(server):
    many = [("files", (f"{number}.png", b"data")) for number in range(3)]
    assert server.asks("POST", "/gradio_api/upload", files=many).status_code == 400
    assert server.asks("POST", "/gradio_api/upload", files={"files": ("a", b"")}, data={"x": "y"}).status_code == 400
    assert server.asks("POST", "/gradio_api/upload", content=b"data").status_code == 415
    assert not server.files()


def test_too_large_a_file_is_refused_whether_or_not_it_says_so(server):
    refused = server.uploads_file(bytes(2 * MOST))
    assert refused.status_code == 413
    assert refused.headers["connection"] == "close"  # what is still on its way isn't read

    async def unannounced():
        yield b'--x\r\nContent-Disposition: form-data; name="files"; filename="a.png"\r\n\r\n'
        for _ in range(1000):
            yield bytes(MOST // 10)

    form = {"content-type": "multipart/form-data; boundary=x"}
    assert server.asks("POST", "/gradio_api/upload", content=unannounced(), headers=form).status_code == 413
    assert not server.files()


def received(*messages):
    """A request's body, message by message; then nothing comes any more."""
    left = list(messages)

    async def receive():
        if not left:
            await asyncio.Event().wait()
        return left.pop(0)

    return receive


FORM = (b"content-type", b"multipart/form-data; boundary=x")


def scope_of(method, path, query=b"", *headers):
    headers = [(b"host", b"localhost"), *headers]
    return {"type": "http", "method": method, "path": path, "query_string": query, "headers": headers}


def status_of(server, receive):
    """Status of the answer to an upload, which is received so."""
    scope = scope_of("POST", "/gradio_api/upload", b"", FORM)
    sent = []

    async def send(message):
        sent.append(message)

    asyncio.run(server.guard(scope, receive, send))
    return sent[0]["status"]


BEGUN = b'--x\r\nContent-Disposition: form-data; name="files"; filename="a.png"\r\n\r\n' + bytes(5000)


def test_an_upload_that_is_cut_off_leaves_nothing(server):
    body = {"type": "http.request", "body": BEGUN, "more_body": True}
    assert status_of(server, received(body, {"type": "http.disconnect"})) == 400
    assert not server.files()
    assert server.uploads._held == 0


def test_an_upload_that_never_ends_is_given_up(tmp_path):
    server = Server(tmp_path / "uploads", seconds=0.05)
    assert status_of(server, received({"type": "http.request", "body": BEGUN, "more_body": True})) == 408
    assert not server.files()
    assert server.uploads._held == 0


def test_all_uploads_together_have_a_quota_which_is_given_back(server):
    names = []
    while (answer := server.uploads_file(bytes(MOST))).status_code == 200:
        names += answer.json()
    assert answer.status_code == 503
    assert len(names) == 2
    assert sum(file.stat().st_size for file in server.files()) == 2 * MOST
    server.uploads.discard(server.uploads.claim(names[0]))
    assert server.uploads_file(bytes(MOST)).status_code == 200


def test_what_nobody_asks_about_goes_and_what_somebody_waits_for_stays(server):
    forgotten, left, waited = (server.uploads_file().json()[0] for _ in range(3))
    assert server.uploads.asked(left, "gone")
    assert server.uploads.asked(waited, "there")
    with server.visitors.listening("there"):
        server.uploads.sweep(unasked=0.0)
        assert [file.name for file in server.files()] == [waited]
        assert server.uploads.claim(left) is None
        assert server.uploads.claim(forgotten) is None


def test_uploads_are_swept_without_anybody_asking(tmp_path, monkeypatch):
    monkeypatch.setattr("addnet.inference.answering.uploads._TICK", 0.01)
    server = Server(tmp_path / "uploads")

    async def visit():
        async with server.visited() as client:
            (name,) = (await client.post("/gradio_api/upload", files={"files": ("a.png", b"data")})).json()
            assert server.uploads.asked(name, "gone")
            while server.files():
                await asyncio.sleep(0.01)

    asyncio.run(visit())


# ---- questions -----------------------------------------------------------------------------------------------


def test_of_a_question_only_the_private_name_of_an_upload_is_passed_on(server):
    (name,) = server.uploads_file().json()
    file = {"path": name, "url": "http://evil.example/", "meta": {"_type": "gradio.FileData"}, "is_stream": True}
    assert server.joins([file], event_data={"x": 1}, oauth_token="x").text == "gradio"
    ((_, _, query, body),) = server.gradio.asked
    assert json.loads(body) == {
        "data": [{"path": str(server.files()[0]), "orig_name": "file", "meta": {"_type": "gradio.FileData"}}],
        "fn_index": 0,
        "trigger_id": 4,
        "session_hash": "abc123",
    }
    assert query == b""


def test_no_question_names_another_file(server, tmp_path):
    (tmp_path / "other.png").write_bytes(b"data")
    (name,) = server.uploads_file().json()
    for path in (str(tmp_path / "other.png"), "../other.png", "http://evil.example/a.png", f"x/{name}", "", 3, None):
        assert server.joins([{"path": path}]).status_code == 400, path
    assert server.joins([{"path": name}], session="mine").status_code == 200
    assert server.joins([{"path": name}], session="another").status_code == 400


@pytest.mark.parametrize(
    "question",
    [
        b"",
        b"[]",
        b"{}",
        b"\xff",
        b"[" * 9999,
        json.dumps({"data": [], "fn_index": 0, "trigger_id": 1, "session_hash": ""}),
    ],
)
def test_what_is_no_question_of_the_page_is_refused(server, question):
    assert server.asks("POST", "/gradio_api/queue/join", content=question).status_code == 400
    assert server.asks("POST", "/gradio_api/queue/join", content=bytes(1 << 20)).status_code == 413
    assert not server.gradio.asked


def test_a_visitor_is_there_as_long_as_the_page_listens(server):
    there = []
    tell = server.gradio.__class__.__call__

    async def gradio(scope, receive, send):
        there.append(server.visitors.has_left("abc"))
        await tell(server.gradio, scope, receive, send)

    server.guard._app = gradio
    assert server.visitors.has_left("abc")
    server.asks("GET", "/gradio_api/queue/data?session_hash=abc&x=y")
    assert there == [False]
    assert server.visitors.has_left("abc")
    assert server.gradio.asked[0][2] == b"session_hash=abc"


def test_those_who_listen_are_let_go_when_the_server_closes(server):
    sent, heard = [], []

    async def gradio(_, receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"data", "more_body": True})
        server.visitors.close()
        heard.append(await receive())

    async def send(message):
        sent.append(message)

    server.guard._app = gradio
    scope = scope_of("GET", "/gradio_api/queue/data", b"session_hash=abc")
    asyncio.run(asyncio.wait_for(server.guard(scope, received(), send), 60))
    assert heard == [{"type": "http.disconnect"}]
    assert sent[-1]["more_body"] is False
