"""`addnet serve`: files go in over HTTP, the answers of `predict` come out; what is too much is refused in words."""

import base64
import io
import signal
import threading
import time

import numpy as np
import psutil
import pytest
from omegaconf.errors import InterpolationResolutionError
from PIL import Image

import media
import trainings
from addnet.config import compose
from addnet.errors import UserError
from addnet.inference import Detector
from addnet.serve import serve
from addnet.surroundings import in_words
from checkpoints import checkpoint

pytestmark = pytest.mark.slow

httpx = pytest.importorskip("httpx", reason="httpx comes with Gradio")
TOKEN = "not-for-everyone"
ALLOWED = {"Authorization": f"Bearer {TOKEN}"}


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    return checkpoint(tmp_path_factory.mktemp("checkpoint") / "best.ckpt", name="bandpass", kernel_size=5)


@pytest.fixture(scope="module")
def files(portrait, tmp_path_factory):
    folder = tmp_path_factory.mktemp("files")
    Image.fromarray(portrait[0]).save(folder / "face.png")
    (folder / "text.jpg").write_text("no image")
    large = np.random.default_rng(0).integers(0, 255, (900, 900, 3), dtype=np.uint8)
    Image.fromarray(large).save(folder / "large.png")  # more than a megabyte
    media.write_video(folder / "clip.mp4", [portrait[0]] * 40)
    return {file.name: file for file in folder.iterdir()}


@pytest.fixture(scope="module")
def service(path, tmp_path_factory):
    """A running service: its process and a client of it."""
    temporary = tmp_path_factory.mktemp("temporary")
    settings = [
        "port=0",
        "workers=1",
        "waiting=1",
        "files=2",
        "limits.max_mb=1",
        f"token={TOKEN}",
        "detector.device=cpu",
    ]
    process = trainings.launch(f"ckpt={path}", *settings, module="addnet.serve", env={"TMPDIR": str(temporary)})
    for line in process.stdout:
        if "the service: " in line:
            address = line.split("the service: ")[1].split(",")[0]
            break
    with httpx.Client(base_url=address, headers=ALLOWED, timeout=180) as client:
        client.temporary = temporary
        yield process, client


@pytest.mark.parametrize(("value", "said"), [(None, "ADDNET_TOKEN, which is not set"), ("", "token is empty")])
def test_without_the_token_that_was_asked_for_nothing_starts(monkeypatch, value, said):
    if value is None:
        monkeypatch.delenv("ADDNET_TOKEN", raising=False)
    else:
        monkeypatch.setenv("ADDNET_TOKEN", value)
    with pytest.raises((UserError, InterpolationResolutionError)) as refused:
        serve(compose(["host=0.0.0.0", "token=${oc.env:ADDNET_TOKEN}"], config_name="serve"))
    assert said in (in_words(refused.value) or str(refused.value))


def _form(*files):
    return [("file", (file.name, file.read_bytes())) for file in files]


def _idle(client):
    for _ in range(600):
        health = client.get("/health").json()
        if not health["files_looked_at"] + health["files_waiting"]:
            return True
        time.sleep(0.1)
    return False


def test_answers_are_those_of_predict(service, files, path):
    _, client = service
    said = client.post("/v1/answers", files=_form(files["face.png"], files["text.jpg"])).json()["answers"]
    own = Detector.from_checkpoint(path, device="cpu").predict(files["face.png"]).as_dict()
    assert said[0]["score"] == pytest.approx(own["score"], abs=1e-6)
    assert {**said[0], "score": 0, "probability": 0, "faces": 0} == {
        **own, "path": "face.png", "score": 0, "probability": 0, "faces": 0, "looked_at": [], "notes": [],
    }  # fmt: skip
    assert (said[1]["path"], said[1]["verdict"]) == ("text.jpg", "unusable")
    assert client.get("/v1/detector").json()["image_size"] == 64


def test_sheets_are_images(service, files):
    _, client = service
    sheet = client.post("/v1/sheet", files=_form(files["face.png"]))
    assert Image.open(io.BytesIO(sheet.content)).format == "PNG"
    said = client.post("/v1/answers?explain=true", files=_form(files["face.png"], files["text.jpg"])).json()
    assert Image.open(io.BytesIO(base64.b64decode(said["sheets"][0]))).format == "PNG"
    assert said["sheets"][1] is None
    refused = client.post("/v1/sheet", files=_form(files["text.jpg"]))
    assert (refused.status_code, "error" in refused.json()) == (422, True)


def test_a_video_is_a_job_that_is_asked_about_and_forgotten(service, files):
    _, client = service
    begun = client.post("/v1/jobs", files=_form(files["clip.mp4"]))
    assert begun.status_code == 202
    where = begun.headers["location"]
    seen = [begun.json()]
    while seen[-1]["status"] in ("waiting", "working"):
        time.sleep(0.05)
        seen.append(client.get(where).json())
    assert seen[-1]["status"] == "done"
    assert seen[-1]["answer"]["kind"] == "video"
    looked_at = [state["frames_looked_at"] for state in seen]
    assert looked_at == sorted(looked_at)
    assert looked_at[-1] == len(seen[-1]["answer"]["faces"]) <= seen[-1]["frames_at_most"] == 32
    assert client.delete(where).status_code == 204
    assert client.get(where).status_code == client.delete(where).status_code == 404


def test_what_is_too_much_is_answered_with_429_and_nothing_that_was_taken_is_lost(service, files):
    _, client = service
    said = []

    def ask():
        said.append(client.post("/v1/answers", files=_form(files["face.png"])))

    threads = [threading.Thread(target=ask) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(said) == 12
    assert {answer.status_code for answer in said} == {200, 429}
    for answer in said:
        if answer.status_code == 429:
            assert int(answer.headers["retry-after"]) >= 1
        else:
            assert answer.json()["answers"][0]["verdict"] in ("real", "fake")
    assert _idle(client)


def test_who_is_not_let_in_is_told_why(service, files):
    _, client = service
    form = _form(files["face.png"])
    without = {"Authorization": ""}
    assert client.get("/health", headers=without).status_code == 200
    assert client.post("/v1/answers", files=form, headers=without).status_code == 401
    assert client.get("/v1/detector", headers={"Authorization": "Bearer wrong"}).status_code == 401
    assert client.get("/health", headers={"Host": "evil.example"}).status_code == 421
    assert client.post("/v1/answers", files=form, headers={"Origin": "http://evil.example"}).status_code == 403
    refused = client.post("/v1/answers", files=_form(files["large.png"]))
    assert refused.status_code == 413
    assert "the file is too large" in refused.json()["error"]
    assert client.post("/v1/answers", files=_form(*[files["face.png"]] * 3)).status_code == 400
    assert client.post("/v1/answers", content=b"x").status_code == 415
    assert client.get("/elsewhere").json()["error"].startswith("not found")
    assert _idle(client)


def test_a_client_that_leaves_and_a_process_that_dies_cost_their_own_file_alone(service, files):
    process, client = service
    with pytest.raises(httpx.ReadTimeout):
        client.post("/v1/answers", files=_form(files["clip.mp4"]), timeout=0.3)
    assert _idle(client)
    job = client.post("/v1/jobs", files=_form(files["clip.mp4"])).headers["location"]
    for child in psutil.Process(process.pid).children(recursive=True):
        if "spawn_main" in " ".join(child.cmdline()):
            child.kill()
    while (state := client.get(job).json())["status"] in ("waiting", "working"):
        time.sleep(0.05)
    assert state["status"] == "done"
    assert client.post("/v1/answers", files=_form(files["face.png"])).json()["answers"][0]["verdict"] in (
        "real",
        "fake",
    )


def test_it_describes_itself_and_counts_without_reaching_elsewhere(service):
    _, client = service
    paths = client.get("/openapi.json").json()["paths"]
    assert {"/v1/answers", "/v1/jobs", "/v1/sheet", "/health", "/metrics"} <= set(paths)
    assert "multipart/form-data" in paths["/v1/answers"]["post"]["requestBody"]["content"]
    page = client.get("/docs").text
    assert "http://" not in page.replace("http://www.w3.org", "")
    assert "https://" not in page
    metrics = client.get("/metrics").text
    assert 'addnet_requests_total{path="/v1/answers",status="200"}' in metrics
    assert 'addnet_answers_total{verdict="unusable"}' in metrics


def test_it_ends_when_it_is_told_to_and_keeps_nothing(service):
    process, client = service
    assert not [file for file in client.temporary.rglob("*") if file.suffix in (".png", ".jpg", ".mp4")]
    process.send_signal(signal.SIGTERM)
    assert process.wait() == 0
    assert not list(client.temporary.glob("addnet-app-*"))
