"""2,100 mutated images, videos, checkpoints and indexes: refused in a sentence or read, and nothing else happens."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import media
from addnet.data import DeepfakeDataModule
from addnet.data.synthetic import Identity, PortraitView, draw_portrait, generate_dataset
from checkpoints import checkpoint

pytestmark = pytest.mark.slow

CLIPS = {"mp4": ("libx264", "yuv420p"), "avi": ("mpeg4", "yuv420p"), "gif": ("gif", "rgb8")}
CLIPS |= {"mkv": ("libx264", "yuv420p"), "webm": ("libvpx-vp9", "yuv420p")}


@pytest.fixture(scope="module")
def seeds(tmp_path_factory):
    """A small file of every kind."""
    folder = tmp_path_factory.mktemp("fuzz")
    face, _ = draw_portrait(
        Identity.draw(np.random.default_rng(7)), PortraitView.draw(np.random.default_rng(8)), size=96
    )
    Image.fromarray(face).save(folder / "face.png")
    for suffix, (codec, pixels) in CLIPS.items():
        frames = [face, face[:, ::-1].copy(), face]
        media.write_video(folder / f"clip.{suffix}", frames, codec=codec, pixels=pixels)
    written = torch.load(checkpoint(folder / "big.ckpt"), weights_only=True)
    (folder / "big.ckpt").unlink()
    written["state_dict"] = dict(list(written["state_dict"].items())[-6:])
    torch.save(written, folder / "small.ckpt")
    generate_dataset(folder / "faces", train=12, test=8, size=64, seed=3, views=1)
    options = {"index": str(folder / "index.parquet"), "index_dir": str(folder / "indexes"), "val_fraction": 0.3}
    DeepfakeDataModule(str(folder / "faces"), image_size=32, num_workers=0, **options).prepare_data()
    return folder


@pytest.mark.skipif(sys.platform != "linux", reason="memory is told by Linux's /proc")
@pytest.mark.parametrize(("kind", "count"), [("images", 1200), ("videos", 300), ("checkpoints", 300), ("indexes", 300)])
def test_mutated_files_are_refused_or_read(seeds, kind, count):
    command = [sys.executable, str(Path(__file__).with_name("fuzz.py")), kind, str(count), "0", str(seeds)]
    result = subprocess.run(command, capture_output=True, text=True, timeout=1200, check=False)
    assert result.returncode == 0, result.stderr[-2000:]  # a crash of native code has a negative one
    told = json.loads(result.stdout.splitlines()[-1])
    assert not told["wrong"]
    assert told["outcomes"].get("refused", 0) > count / 10
    assert sum(told["outcomes"].values()) == count
    assert told["seconds"] < 10  # of the processor, whatever else it does
    assert told["MiB"] < 2048
