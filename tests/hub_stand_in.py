"""A server on this machine that answers for repositories as the Hugging Face Hub does, as far as files need."""

import base64
import hashlib
import json
import re
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

_FILE = re.compile(r"/(?P<repo>[^/]+/[^/]+)/resolve/(?P<revision>[^/]+)/(?P<file>[^?]+)")


class Hub:
    """What it keeps: repository → file → bytes; each commit replaces `main`.

    Attributes:
        repos: Repositories.
        gated: Those that are open to nobody here.
        asked: Method and path of each request.
    """

    def __init__(self):
        self.repos, self.gated, self.asked = {}, set(), []

    def commit_of(self, repo):
        files = sorted((name, hashlib.sha1(data).hexdigest()) for name, data in self.repos[repo].items())
        return hashlib.sha1(json.dumps(files).encode()).hexdigest()


@contextmanager
def running():
    """The hub, and its address."""
    hub = Hub()

    class Handler(_Handler):
        kept = hub

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield hub, f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    kept: Hub

    def log_message(self, *_):
        pass

    def do_HEAD(self):
        self._serve(body=False)

    def do_GET(self):
        self._serve(body=True)

    def do_POST(self):
        self.kept.asked.append(("POST", self.path))
        data = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if self.path == "/api/repos/create":
            asked = json.loads(data)
            name = f"{asked.get('organization') or 'someone'}/{asked['name']}"
            self.kept.repos.setdefault(name, {})
            self._answer(200, {"url": f"/{name}", "id": name})
        elif self.path == "/api/validate-yaml":
            self._answer(200, {"errors": [], "warnings": []})
        elif "/preupload/" in self.path:
            names = [file["path"] for file in json.loads(data)["files"]]
            kept = [{"path": name, "uploadMode": "regular", "shouldIgnore": False} for name in names]
            self._answer(200, {"files": kept})
        elif "/commit/" in self.path:
            repo = "/".join(self.path.split("/")[3:5])
            lines = [json.loads(line) for line in data.splitlines()]
            for line in lines:
                if line["key"] == "file":
                    self.kept.repos[repo][line["value"]["path"]] = base64.b64decode(line["value"]["content"])
            commit, address = self.kept.commit_of(repo), f"http://{self.headers['Host']}"
            self._answer(200, {"commitUrl": f"{address}/{repo}/commit/{commit}", "commitOid": commit})
        else:
            self._answer(404, {"error": self.path})

    def _serve(self, *, body):
        self.kept.asked.append((self.command, self.path))
        if self.path == "/api/whoami-v2":
            return self._answer(200, {"name": "someone", "type": "user", "auth": {"accessToken": {}}})
        if not (found := _FILE.fullmatch(self.path)):
            return self._answer(404, {"error": self.path})
        repo, revision, file = found["repo"], found["revision"], found["file"]
        if repo not in self.kept.repos:
            return self._answer(404, {"error": "no"}, code="RepoNotFound")
        if repo in self.kept.gated:
            return self._answer(403, {"error": "no"}, code="GatedRepo")
        commit = self.kept.commit_of(repo)
        if revision not in ("main", commit):
            return self._answer(404, {"error": "no"}, code="RevisionNotFound")
        if file not in self.kept.repos[repo]:
            return self._answer(404, {"error": "no"}, code="EntryNotFound", commit=commit)
        data = self.kept.repos[repo][file]
        return self._answer(200, data, commit=commit, etag=hashlib.sha1(data).hexdigest(), body=body)

    def _answer(self, status, data, *, code="", commit="", etag="", body=True):
        data = data if isinstance(data, bytes) else json.dumps(data).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        for name, value in (("X-Error-Code", code), ("X-Repo-Commit", commit), ("ETag", etag and f'"{etag}"')):
            if value:
                self.send_header(name, value)
        self.end_headers()
        if body and self.command != "HEAD":
            self.wfile.write(data)
