"""`ckpt=hf:USER/REPO`: fetched from a hub once, known by its name, and told in words where it can't be had."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from addnet.errors import UserError
from addnet.inference.export import export_checkpoint
from addnet.inference.hub import fetched
from checkpoints import checkpoint
from hub_stand_in import running
from warm import PATH

pytestmark = pytest.mark.slow

SEQUENCE = """
import json, sys
from addnet.errors import UserError
from addnet.inference import Detector
from addnet.inference.hub import fetched, push

folder, image = sys.argv[1:]
commit = push(folder, "someone/detector")
detector = Detector.from_pretrained("someone/detector")
told = {"called": detector.loaded.called, "verdict": detector.predict(image).verdict, "url": commit.commit_url}
told["files"] = sorted(file.name for file in detector.loaded.path.iterdir())
told["hashes"] = detector.loaded.hashes
names = ("someone/nothing", "someone/gated", "someone/detector@v2", "someone/other", "someone", "a/b/c")
for name in (f"hf:{one}" for one in names):
    try:
        fetched(name)
    except UserError as error:
        told[name] = str(error)
print(json.dumps(told))
"""


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    folder = tmp_path_factory.mktemp("hub")
    ckpt = checkpoint(folder / "best.ckpt", name="bandpass", kernel_size=5)
    return export_checkpoint(ckpt, folder / "detector", format="safetensors").output


@pytest.fixture(scope="module")
def after(exported, portrait, tmp_path_factory):
    """What a process says that pushed and fetched, the hub, and the environment with its cache."""
    folder = tmp_path_factory.mktemp("after")
    Image.fromarray(portrait[0]).save(folder / "face.png")
    (exported / "notes.txt").write_text("mine")
    with running() as (hub, address):
        hub.repos |= {"someone/gated": {}, "someone/other": {"pytorch_model.bin": b"code"}}
        hub.gated.add("someone/gated")
        own = {"HF_ENDPOINT": address, "HF_HOME": str(folder / "home"), "HF_TOKEN": "hf_none", "PYTHONPATH": PATH}
        environment = os.environ | own | {"HF_HUB_DISABLE_XET": "1", "HF_HUB_DISABLE_TELEMETRY": "1"}
        command = [sys.executable, "-c", SEQUENCE, str(exported), str(folder / "face.png")]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=300)
        assert done.returncode == 0, done.stderr
        yield json.loads(done.stdout), hub, environment, folder


def test_what_was_pushed_is_fetched_and_asked_under_its_name(after, exported):
    told, hub, *_ = after
    assert set(hub.repos["someone/detector"]) == {"config.json", "model.safetensors", "README.md"}
    assert told["called"].startswith("hf:someone/detector@")
    assert told["verdict"] in ("real", "fake")
    assert told["files"] == ["config.json", "model.safetensors"]
    assert told["hashes"][0] == json.loads((exported / "config.json").read_text())["weights"]["sha256"]
    assert told["url"].startswith("http")


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("hf:someone/nothing", "there is no such model on the Hub, or it is private"),
        ("hf:someone/gated", "is restricted to users whom its owner admits"),
        ("hf:someone/detector@v2", "there is no branch, tag or commit v2"),
        ("hf:someone/other", "has no config.json: it isn't a detector of this program"),
        ("hf:someone", "is not of the form hf:USER/REPO"),
        ("hf:a/b/c", "is not of the form hf:USER/REPO"),
    ],
)
def test_what_can_t_be_had_is_told_in_words(after, name, said):
    assert after[0][name].startswith(f"ckpt={name}")
    assert said in after[0][name]


def test_offline_what_was_fetched_is_asked_and_the_rest_told_in_words(after, tmp_path):
    _, hub, environment, folder = after
    before = len(hub.asked)
    offline = environment | {"HF_HUB_OFFLINE": "1"}

    def asked(ckpt):
        words = [f"ckpt={ckpt}", str(folder / "face.png"), f"hydra.run.dir={tmp_path / 'out'}", "workers=0"]
        command = [sys.executable, "-m", "addnet", "predict", *words]
        return subprocess.run(command, env=offline, capture_output=True, text=True, check=False, timeout=300)

    done = asked("hf:someone/detector")
    assert done.returncode == 0, done.stdout + done.stderr
    assert json.loads((tmp_path / "out" / "detector.json").read_text())["checkpoint"].startswith("hf:someone/detector@")
    missing = asked("hf:someone/gated")
    assert missing.returncode == 1
    assert "isn't on this machine. Fetch it where there is a network" in " ".join(missing.stdout.split())
    assert len(hub.asked) == before


def test_a_name_of_another_form_is_refused_before_anything_is_asked():
    with pytest.raises(UserError, match="is not of the form"):
        fetched("hf:../../etc")


def test_torch_hub_finds_its_entry_points():
    import torch

    detector = torch.hub.load(str(Path(__file__).parents[1]), "lite", source="local", device="cpu")
    assert detector.loaded.called == "lite"
