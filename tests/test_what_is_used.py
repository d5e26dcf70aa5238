"""What isn't used of a data set isn't wanted: an evaluation needs no training part, a training without test no test."""

from __future__ import annotations

import shutil

import pytest

from addnet.config import compose
from addnet.data import DeepfakeDataModule
from addnet.data.named import chosen_sources
from addnet.data.prepared import cut_videos
from addnet.data.selection import select
from addnet.data.sources import Source
from addnet.errors import UserError
from addnet.faces.landmarks import Landmarker
from addnet.preparation.settings import PrepareSettings
from addnet.train import data_used
from replicas import make_faceforensics


def _served(data_dir, tmp_path, **arguments):
    """The splits that a data module serves; faces are looked for when one is asked for, which is never."""
    how = {"landmarks": "on_the_fly", "image_size": 64, "index_dir": str(tmp_path / "index"), "num_workers": 0}
    module = DeepfakeDataModule(str(data_dir), **how, prepare=PrepareSettings(workers=0), **arguments)
    module.prepare_data()
    module.setup()
    return set(module.splits)


def test_an_evaluation_needs_no_training_part(own_data_dir, tmp_path):
    shutil.rmtree(own_data_dir / "train")
    assert _served(own_data_dir, tmp_path, only_test=True) == {"test"}
    with pytest.raises(UserError, match="train"):
        _served(own_data_dir, tmp_path)


def test_a_training_without_test_needs_no_test_part(own_data_dir, tmp_path):
    shutil.rmtree(own_data_dir / "test")
    assert _served(own_data_dir, tmp_path, no_test=True, val_fraction=0.3) == {"train", "val"}
    with pytest.raises(UserError, match="test"):
        _served(own_data_dir, tmp_path, val_fraction=0.3)


def test_no_leak_is_looked_for_where_nothing_is_tested(own_data_dir, tmp_path):
    for file in (own_data_dir / "train" / "real").iterdir():
        shutil.copy(file, own_data_dir / "test" / "real")
    assert _served(own_data_dir, tmp_path, no_test=True, val_fraction=0.3) == {"train", "val"}


@pytest.mark.parametrize(
    ("overrides", "used"),
    [([], {}), (["test=false"], {"no_test": True}), (["train=false"], {"only_test": True})],
)
def test_the_command_asks_for_what_it_uses(overrides, used):
    assert data_used(compose(overrides)) == used


def test_the_lists_of_other_splits_may_be_missing(tmp_path):
    root = make_faceforensics(tmp_path, methods=["Deepfakes"])
    (root / "splits/train.json").unlink()
    options = {"methods": ["Deepfakes"]}
    source = Source("faceforensics", str(root), options=options, splits=("test",))
    assert len(source.used(source.listing.videos)) == 4
    with pytest.raises(UserError, match=r"splits/train\.json: official split list"):
        _ = Source("faceforensics", str(root), options=options, splits=("train", "val")).listing


def test_each_data_set_is_used_for_what_it_is_named_for():
    train, _, test = chosen_sources(
        None, layout="folder", train=["folder:/a", "folder:/b"], test=["folder:/b", "dfd:/c"]
    )
    assert [source.splits for source in train] == [("train", "val"), ("train", "val", "test")]
    assert [source.splits for source in test] == [("train", "val", "test"), ("test",)]
    assert train[1] is test[0]


def test_only_videos_that_are_used_are_cut(tmp_path):
    """None of these files is a video: each that is opened is counted as unusable."""
    root = make_faceforensics(tmp_path / "ff", methods=["Deepfakes"])
    places = {"index_dir": str(tmp_path / "index"), "faces_dir": str(tmp_path / "faces")}
    source = Source("faceforensics", str(root), options={"methods": ["Deepfakes"]}, splits=("test",), **places)
    with pytest.raises(UserError, match="4 of 4 videos are unusable"):
        cut_videos(source, landmarker=Landmarker(), settings=PrepareSettings(workers=0), max_bad_fraction=0.5)


def test_what_has_no_labels_is_not_trained_on(data_dir, tmp_path):
    source = Source("unlabelled", str(data_dir), index_dir=str(tmp_path))
    with pytest.raises(UserError, match=r"faces has no labels .*adds none.*data\.data_dir=FOLDER"):
        select([source], None, val_fraction=0.2, allow_overlap=False, limits={}, seed=0)
