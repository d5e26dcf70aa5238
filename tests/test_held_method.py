"""One method of making fakes is neither trained nor validated on, and alone tested; a sweep holds back each in turn."""

import csv
import shutil
from pathlib import Path

import pytest
from omegaconf import OmegaConf

from addnet.config import compose
from addnet.data.held_method import hold_back, methods_of, to_sweep
from addnet.data.named import configured
from addnet.data.selection import select
from addnet.errors import UserError
from addnet.index.records import FAKE, REAL
from addnet.sweeps import make_table, read_sweep
from addnet.sweeps.summary import markdown
from test_summary import make_sweep
from trainings import ended, start, sweep_folder

pytestmark = pytest.mark.slow

METHODS = ("Face, swap", "blend")


@pytest.fixture(scope="module")
def manifest(data_dir, tmp_path_factory):
    """The drawn images with two methods in turn."""
    root = Path(shutil.copytree(data_dir, tmp_path_factory.mktemp("methods") / "faces"))
    file = root / "manifest.csv"
    with file.open("w", newline="", encoding="utf-8") as stream:
        rows = csv.writer(stream)
        rows.writerow(["path", "label", "split", "group", "method"])
        for path in sorted(root.rglob("*.jpg")):
            place = path.relative_to(root)
            group = path.stem.split("_")[0]
            method = METHODS[int(group[-1]) % 2] if place.parts[1] == "fake" else ""
            rows.writerow([place, place.parts[1], place.parts[0], group, method])
    return file


def _data(file, *more):
    node = compose([f"data.data_dir={file}", "data.val_fraction=0.3", *more]).data
    return OmegaConf.to_container(node, resolve=True)


def _select(manifest, method):
    train, _, test = configured(_data(manifest, "data=manifest"))
    limits = dict.fromkeys(("train", "val", "test"))
    how = {"val_fraction": 0.3, "allow_overlap": False, "limits": limits, "seed": 0}
    return select(train, test, held_method=method, **how)


def test_only_the_test_has_the_held_method_and_all_keep_their_reals(manifest):
    whole, held = _select(manifest, None), _select(manifest, METHODS[1])
    assert methods_of(whole["train"]) == methods_of(whole["test"]) == [*METHODS]
    assert methods_of(held["train"]) == methods_of(held["val"]) == [METHODS[0]]
    assert methods_of(held["test"]) == [METHODS[1]]
    for name, part in whole.items():
        assert (held[name].labels == REAL).sum() == (part.labels == REAL).sum()


def test_what_cannot_be_held_back_is_said_with_what_is_there(manifest):
    with pytest.raises(UserError, match=r"no fakes in test are of .* Methods in test: Face, swap, blend"):
        _select(manifest, "swap")
    train = _select(manifest, None)["train"]
    one = train.take(train.labels == FAKE).replaced(method="blend")
    with pytest.raises(UserError, match="all fakes in train are of it"):
        hold_back({"train": one, "val": one}, "blend")


def test_a_sweep_needs_two_methods(manifest, data_dir):
    assert to_sweep(_data(manifest, "data=manifest")) == r"'Face, swap','blend'"
    with pytest.raises(UserError, match="names 0 methods of making fakes"):
        to_sweep(_data(data_dir))


def test_each_method_is_held_back_once(manifest, tmp_path):
    sweep = ["sweep=leave_one_method_out", "data=manifest", "data.val_fraction=0.3", "hydra.launcher.n_jobs=2"]
    output = ended(start(manifest, tmp_path, *sweep, "train=false", "test=false", "logger=none"))
    jobs = read_sweep(sweep_folder(tmp_path))
    assert [(job.status, job.value("data.held_method")) for job in jobs] == [("success", name) for name in METHODS]
    assert "rank" not in output


def test_the_table_ranks_no_method(tmp_path):
    held = {f"data.held_method={name} seed={seed}": value for name, seed, value in
            [("a", 0, 0.9), ("a", 1, 0.8), ("b", 0, 0.6), ("b", 1, 0.7), ("c", 0, "no file")]}  # fmt: skip
    text = markdown(make_table(read_sweep(make_sweep(tmp_path, held))))
    assert "rank" not in text
    assert "| a | 0.8500 ± 0.0707 | 2 |" in text
    assert "over 2 of 3 held-out methods: mean 0.7500, worst 0.6500 (b)." in text
    assert "Chosen" not in text
