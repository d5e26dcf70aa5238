"""A run with a Comet key keeps its record where there is no network: in an archive, and says so in a line."""

import json
import threading
import zipfile
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from addnet.errors import UserError
from addnet.training.loggers import CometLogger, close_loggers

pytestmark = pytest.mark.slow

NOBODY = "http://127.0.0.1:9/clientlib/"


class Refusing(BaseHTTPRequestHandler):
    """Comet's server as it answers a key that it doesn't know."""

    def do_GET(self):
        self._answer()

    def do_POST(self):
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self._answer()

    def _answer(self):
        content = json.dumps({"msg": "invalid", "sdk_error_code": 90212}).encode()
        self.send_response(400)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_):
        pass


@contextmanager
def refusing():
    server = ThreadingHTTPServer(("127.0.0.1", 0), Refusing)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/clientlib/"
    server.shutdown()


def _recorded(folder, **options):
    """Logs a metric; returns what the archive says of itself."""
    logger = CometLogger("addnet", name="mine", offline_directory=str(folder), **options)
    logger.log_metrics({"loss": 0.5}, step=1)
    close_loggers([logger], status="success")
    (archive,) = folder.glob("*.zip")
    with zipfile.ZipFile(archive) as content:
        return json.loads(content.read("experiment.json")), content.read("messages.json").decode()


def test_a_key_without_a_network_falls_back_to_the_archive_and_says_so(tmp_path, monkeypatch, caplog):
    monkeypatch.setenv("COMET_API_KEY", "abc")
    monkeypatch.setenv("COMET_URL_OVERRIDE", NOBODY)
    caplog.set_level("INFO")
    _, messages = _recorded(tmp_path)
    assert '"loss"' in messages
    reason = f"Comet cannot be reached at {NOBODY} (ConnectionError)"
    assert f"{reason}: the experiment is written to an archive" in caplog.text
    assert "send it with `comet upload" in caplog.text
    assert "Traceback" not in caplog.text


def test_a_key_that_the_server_refuses_falls_back_to_the_archive(tmp_path, monkeypatch, caplog):
    monkeypatch.setenv("COMET_API_KEY", "abc")
    with refusing() as address:
        monkeypatch.setenv("COMET_URL_OVERRIDE", address)
        _recorded(tmp_path)
    assert "the experiment is written to an archive" in caplog.text


def test_a_resumed_experiment_keeps_its_key_in_the_archive(tmp_path, monkeypatch):
    monkeypatch.setenv("COMET_API_KEY", "abc")
    monkeypatch.setenv("COMET_URL_OVERRIDE", NOBODY)
    key = "0123456789abcdef0123456789abcdef"
    told, _ = _recorded(tmp_path, resume={"key": key})
    assert told["offline_id"] == key
    assert told["resume_strategy"] == "get_or_create"


def test_who_insists_on_the_server_is_told_in_a_sentence(tmp_path, monkeypatch):
    monkeypatch.setenv("COMET_API_KEY", "abc")
    monkeypatch.setenv("COMET_URL_OVERRIDE", NOBODY)
    with pytest.raises(UserError, match=r"logger\.comet\.offline=false needs the server: Comet cannot be reached"):
        CometLogger("addnet", offline=False, offline_directory=str(tmp_path))
