"""500 hostile files: each costs only itself, and nothing outside of the folders that were named is read or written.

The whole collection, several times as large, and all of it through the page: ADDNET_HOSTILE=much.
"""

import json
import os
import stat
import subprocess
import sys
from pathlib import Path

import matplotlib
import numpy as np
import pytest
import torch
from PIL import Image

import hostile_files
import watched
from addnet.config import compose
from addnet.data import DeepfakeDataModule
from addnet.data.layouts import text_files
from addnet.data.synthetic import Identity, PortraitView, draw_portrait, generate_dataset
from addnet.faces import geometry, images
from addnet.untrusted import limits, patterns, tensors, texts
from checkpoints import checkpoint

pytestmark = pytest.mark.slow

MUCH = os.environ.get("ADDNET_HOSTILE") == "much"
DRIVER = Path(__file__).with_name("hostile.py")


def _seeds(folder):
    """A good image, checkpoint and index, from which the hostile ones are made."""
    face, _ = draw_portrait(
        Identity.draw(np.random.default_rng(7)), PortraitView.draw(np.random.default_rng(8)), size=96
    )
    Image.fromarray(face).save(folder / "face.png")
    checkpoint(folder / "small.ckpt")
    generate_dataset(folder / "faces", train=8, test=4, size=64, seed=3, views=1)
    options = {"index": str(folder / "index.parquet"), "index_dir": str(folder / "indexes"), "val_fraction": 0.3}
    DeepfakeDataModule(str(folder / "faces"), image_size=32, num_workers=0, **options).prepare_data()
    written = torch.load(folder / "small.ckpt", weights_only=True)
    written["state_dict"] = dict(list(written["state_dict"].items())[-6:])
    torch.save(written, folder / "weightless.ckpt")


@pytest.fixture(scope="module")
def fed(tmp_path_factory):
    """What came of all files, and what the watches saw."""
    return _feed(tmp_path_factory.mktemp("hostile"))


def _feed(folder):
    outside, linked, files = (folder / name for name in ("outside", "linked", "in"))
    outside.mkdir()
    secret, mark = outside / "secret.jpg", folder / "mark"
    secret.write_bytes(hostile_files.saved("JPEG", 64))
    linked.mkdir()  # what links in a folder lead to is read: data sets are made of them
    (linked / "table.csv").write_text("path,label\n")
    (linked / "a.jpg").write_bytes(secret.read_bytes())
    _seeds(folder)
    (folder / "faces" / "link.jpg").symlink_to(secret)
    made = hostile_files.images(files / "images", secret, mark, most=10 if MUCH else 4)
    made += hostile_files.special(files / "special", linked)
    made += hostile_files.manifests(files / "manifests", secret)
    made += hostile_files.indexes(files / "indexes", folder / "index.parquet", secret)
    made += hostile_files.checkpoints(
        files / "checkpoints", folder / "weightless.ckpt", secret, mark, most=600 if MUCH else 60
    )
    before = _listing(folder)
    (folder / "out" / "tmp").mkdir(parents=True)
    (folder / "out" / "home").mkdir()
    variables = watched.environment(
        folder / "watch",
        reads=[folder / name for name in ("in", "linked", "faces", "face.png", "small.ckpt", "index.parquet")],
        writes=[folder / "out", matplotlib.get_cachedir()],
    )
    home, fonts = folder / "out" / "home", matplotlib.get_cachedir()  # a new list of fonts would take seconds
    variables |= {"HOME": str(home), "TMPDIR": str(folder / "out" / "tmp"), "MPLCONFIGDIR": fonts}
    variables |= {"TORCHINDUCTOR_CACHE_DIR": str(home)}
    decoys = watched.Decoys(outside)
    command = [sys.executable, str(DRIVER), str(folder), "much" if MUCH else "some"]
    result = subprocess.run(
        command,
        env=os.environ | variables,
        cwd=folder / "out",
        capture_output=True,
        text=True,
        timeout=3600,
        check=False,
    )
    assert result.returncode == 0, result.stderr[-3000:]
    told = json.loads(result.stdout.splitlines()[-1])
    told |= {"made": made, "decoys": decoys.opened(), "outside": watched.done(folder / "watch"), "mark": mark.exists()}
    told |= {"changed": sorted(set(before.items()) ^ set(_listing(folder, but=("out", "watch")).items()))}
    told["left"] = [
        pid.name for pid in Path("/proc").glob("[0-9]*") if str(folder / "watch").encode() in _environment(pid)
    ]
    return told | {"temporary": sorted(path.name for path in (folder / "out" / "tmp").iterdir())}


def _listing(folder, *, but=()):
    """Each file, link and folder with its kind and size."""
    found = {}
    for path, folders, names in os.walk(folder):
        if Path(path) == folder:
            folders[:] = [name for name in folders if name not in but]
        for name in (*folders, *names):
            file = Path(path, name)
            status = file.lstat()
            found[str(file)] = (status.st_mode, 0 if stat.S_ISDIR(status.st_mode) else status.st_size)
    return found


def _environment(process):
    try:
        return (process / "environ").read_bytes()
    except OSError:
        return b""


def test_every_file_is_answered_for_in_a_sentence(fed):
    assert fed["made"] > 500
    assert not fed["wrong"]


def test_nothing_outside_of_the_folders_that_were_named_is_read_or_written_or_run(fed):
    assert not fed["outside"]
    assert not fed["decoys"]
    assert not fed["changed"]
    assert not fed["mark"]


def test_no_process_and_no_temporary_file_is_left(fed):
    assert not fed["left"]
    assert not fed["temporary"]


def test_no_file_takes_more_than_a_file_may(fed):
    assert fed["slowest"][1] < 600
    assert fed["MiB"] < 3072
    assert fed["MiB of a child"] < 3072


def test_the_watch_sees_what_is_read_written_and_run_outside(tmp_path):
    """Also by native code, which an audit hook doesn't see."""
    decoys, secret = tmp_path / "decoys", tmp_path / "decoys" / "a.png"
    decoys.mkdir()
    secret.write_bytes(hostile_files.saved("PNG"))
    inside, beside = tmp_path / "in", tmp_path / "beside"
    inside.mkdir()
    (inside / "link").symlink_to(tmp_path / "none")
    variables = watched.environment(tmp_path / "watch", reads=[inside], writes=[inside])
    script = f"""
import os, sys, cv2
open({str(inside / "a")!r}, "w").close()
for act in (lambda: open("/etc/passwd"), lambda: open({str(inside / "link")!r}), lambda: open({str(beside)!r}, "w")):
    try:
        act()
    except OSError:
        pass
os.system("true")
seen = cv2.imread({str(secret)!r})
"""
    watch = watched.Decoys(decoys)
    subprocess.run([sys.executable, "-c", script], env=os.environ | variables, check=True, timeout=300)
    expected = ["os.system true", "reads /etc/passwd", f"reads {tmp_path / 'none'}", f"writes {beside}"]
    assert watched.done(tmp_path / "watch") == [repr(line.encode()) for line in expected]
    assert watch.opened() == [str(secret)]


def test_the_limits_that_are_stated_are_those_of_the_code():
    text = (Path(__file__).parents[1] / "SECURITY.md").read_text(encoding="utf-8")
    page = compose(config_name="app").limits
    stated = [
        f"{images.MAX_BYTES >> 20} MB; {images.MAX_PIXELS // 10**6} megapixels",
        f"{images.MAX_SCANS} scans, {images.MAX_SCANNED / 1e9:g} gigapixels",
        f"{limits.MEMORY >> 30} GB beyond",
        f"{limits.SECONDS:g} s; a video {limits.SECONDS_A_SECOND:g} s more",
        f"{limits.BYTES_A_SECOND // 1000} kB for each), and {limits.SECONDS_A_FRAME:g} s",
        f"{geometry.SIDES[0]} to {geometry.SIDES[1]:,} pixels",
        f"{text_files.MAX_BYTES >> 30} GB | `data/layouts/text_files.py`",
        f"{patterns.SECONDS:g} s for 256 names",
        f"{tensors.MOST >> 30} GB; 64 MB",
        f"{texts.MOST:,} characters",
        f"{page.max_mb} MB, {page.max_megapixels} megapixels, {page.max_seconds} s of video",
        f"{page.max_gigapixels} gigapixels of frames × pixels, {page.max_work} s of work",
        f"{page.max_gigapixels} gigapixels of frames × pixels, {page.max_work} s of work",
    ]
    assert [limit for limit in stated if limit not in text] == []
