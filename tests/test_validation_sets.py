"""`data.val` names the data sets that checkpoints and thresholds are chosen on, and what it means is said."""

from __future__ import annotations

import shutil
from types import SimpleNamespace

import pytest

from addnet.data import DeepfakeDataModule
from addnet.data.named import chosen_sources
from addnet.data.selection import select
from addnet.errors import UserError
from addnet.inference.background import chosen_on, chosen_on_tests
from addnet.inference.evaluated_data import require_used
from addnet.training.origin import amounts
from replicas import PAIRS, images, make_faceforensics

CLASSES = ("real", "fake")


def _folder(root, name, **numbers):
    """A data set of its own with so many images of each class in each split."""
    for split, number in numbers.items():
        for label in CLASSES:
            images(root / name, f"{split}/{label}", *(f"{name}{split}{label}{n}" for n in range(number)))
    return f"folder:{root / name}"


def _selected(*, train, val, test=None, **more):
    chosen = chosen_sources(None, layout="folder", train=train, val=val, test=test or train)
    how = {"val_fraction": 0.25, "allow_overlap": False, "limits": dict.fromkeys(("train", "val", "test")), "seed": 0}
    return select(chosen.train, chosen.test if test else None, val=chosen.val, **(how | more))


def _origin(records):
    """Data sets of records, and the splits that they are of there."""
    return {(record.dataset, record.split) for record in records}


@pytest.mark.parametrize(
    ("numbers", "split"),
    [({"train": 4, "val": 4, "test": 4}, "val"), ({"train": 4, "test": 4}, "train"), ({"test": 4}, "test")],
)
def test_another_data_set_gives_its_validation_or_its_training_or_its_test_part(tmp_path, caplog, numbers, split):
    own, other = _folder(tmp_path, "own", train=8), _folder(tmp_path, "other", **numbers)
    splits = _selected(train=[own], val=[other])
    assert _origin(splits["val"]) == {("other", split)}
    assert len(splits["val"]) == 8
    assert len(splits["train"]) == 16  # nothing is carved out
    assert ("has only test images" in caplog.text) == (split == "test")


def test_the_list_of_a_training_set_is_neither_trained_on_nor_validated_on_where_others_are_named(tmp_path, caplog):
    own, other = _folder(tmp_path, "own", train=8, val=4), _folder(tmp_path, "other", train=4)
    with caplog.at_level("INFO"):
        splits = _selected(train=[own], val=[other])
    assert _origin(splits["train"]) == {("own", "train")}
    assert _origin(splits["val"]) == {("other", "train")}
    assert "own: its own validation split (8 images) is not used" in caplog.text


def test_a_training_set_that_is_named_as_well_gives_what_it_would_give_alone(tmp_path):
    with_list, without = _folder(tmp_path, "with", train=8, val=4), _folder(tmp_path, "without", train=8)
    other = _folder(tmp_path, "other", val=4)
    splits = _selected(train=[with_list, without], val=[with_list, without, other])
    assert _origin(splits["val"]) == {("with", "val"), ("without", "val"), ("other", "val")}
    assert len(splits["train"]) == 16 + 12
    alone = _selected(train=[with_list, without], val=None)
    same = _selected(train=[with_list, without], val=[without, with_list])
    assert {record.path for record in alone["val"]} == {record.path for record in same["val"]}


def test_the_limit_of_validation_holds_for_it(tmp_path):
    own, other = _folder(tmp_path, "own", train=8), _folder(tmp_path, "other", val=10)
    limits = {"train": None, "val": 6, "test": None}
    assert len(_selected(train=[own], val=[other], limits=limits)["val"]) == 6


def _c40(root, compression):
    return {"layout": "faceforensics", "data_dir": str(root), "methods": ["Deepfakes"], "compression": compression}


def test_one_data_set_in_another_form_is_another_data_set(tmp_path):
    """Trained on c23, chosen on c40: of the same official lists, so that nothing leaks."""
    root = make_faceforensics(tmp_path / "ff", methods=["Deepfakes"], kind="images")
    for folder in list(root.rglob("c23")):
        shutil.copytree(folder, folder.with_name("c40"))
    splits = _selected(train=[_c40(root, "c23")], val=[_c40(root, "c40")], test=[_c40(root, "c23")])
    assert {record.path.split("/")[2] for record in splits["train"]} == {"c23"}
    assert {record.path.split("/")[2] for record in splits["val"]} == {"c40"}
    assert {record.split for record in splits["val"]} == {"val"}


@pytest.mark.parametrize(("other", "sides"), [("train", "train and val"), ("test", "val and test")])
def test_groups_that_validation_shares_with_training_or_test_stop_the_run(tmp_path, caplog, other, sides):
    """DeeperForensics is made of the videos of FaceForensics++."""
    (first, _), *_ = PAIRS[other]
    images(tmp_path / "deeper", f"manipulated_videos/end_to_end/frames/{first}_W101", "000")
    images(tmp_path / "deeper", f"original_sequences/youtube/c23/frames/{first}", "000")
    entry = {"layout": "deeperforensics", "data_dir": str(tmp_path / "deeper"), "split": "test"}
    root = make_faceforensics(tmp_path / "ff", methods=["Deepfakes"], kind="images")
    how = {"train": [_c40(root, "c23")], "val": [entry], "test": [_c40(root, "c23")]}
    with pytest.raises(UserError, match=rf"1 group is in both {sides}: FaceForensics\+\+/"):
        _selected(**how)
    assert _origin(_selected(**how, allow_overlap=True)["val"]) == {("DeeperForensics-1.0", "test")}
    assert f"1 group is in both {sides}" in caplog.text


def test_what_is_chosen_on_needs_images_of_both_classes(tmp_path):
    own = _folder(tmp_path, "own", train=8)
    images(tmp_path / "half", "val/real", "a", "b")
    with pytest.raises(UserError, match="validation would have no fake images"):
        _selected(train=[own], val=[f"folder:{tmp_path / 'half'}"])
    images(tmp_path / "bare", ".", "a", "b")
    with pytest.raises(UserError, match=r"bare has no labelled images to choose checkpoints on"):
        _selected(train=[own], val=[f"unlabelled:{tmp_path / 'bare'}"])


def test_only_what_is_chosen_on_is_wanted_of_a_data_set(tmp_path):
    """Its training list may be missing, its validation list may not."""
    root = make_faceforensics(tmp_path / "ff", methods=["Deepfakes"])
    entry = {"layout": "faceforensics", "data_dir": str(root), "methods": ["Deepfakes"]}
    (root / "splits/train.json").unlink()
    (source,) = chosen_sources("/own", layout="folder", val=[entry]).val
    assert {record.split for record in source.used(source.listing.videos)} == {"val"}
    (root / "splits/val.json").unlink()
    (source,) = chosen_sources("/own", layout="folder", val=[entry]).val
    with pytest.raises(UserError, match=r"splits/val\.json"):
        _ = source.listing


@pytest.mark.parametrize(
    ("data", "hint"),
    [
        ({"val": ["dfd:/d"]}, "uses the thresholds of the checkpoint"),
        ({"test": ["dfd:/d"], "data_dir": "/own"}, r"data\.data_dir=/own has no effect"),
        ({"test": ["dfd:/d"], "train": ["dfd:/e"]}, r"data\.train=\['dfd:/e'\] has no effect"),
    ],
)
def test_an_evaluation_refuses_data_sets_that_it_would_not_look_at(data, hint):
    with pytest.raises(UserError, match=hint):
        require_used(data)
    require_used({"train": ["dfd:/e"], "test_fraction": 0.2})


def test_an_evaluation_alone_prepares_nothing_to_choose_on(data_dir, tmp_path):
    module = DeepfakeDataModule(str(data_dir), val=["dfd:/nowhere"], only_test=True, index_dir=str(tmp_path))
    module.list_data()
    assert module.val_sources is None


def test_the_run_and_the_checkpoint_say_what_was_chosen_on(data_dir, tmp_path, caplog):
    other = tmp_path / "other"
    shutil.copytree(data_dir, other)
    how = {"image_size": 64, "batch_size": 8, "num_workers": 0, "index_dir": str(tmp_path / "index")}
    module = DeepfakeDataModule(str(data_dir), val=[f"folder:{other}"], limit_val=20, **how)
    with caplog.at_level("INFO"):
        module.prepare_data()
        module.setup()
        module.summary(tmp_path)
    assert "checkpoints and thresholds are chosen on other (its train part)" in caplog.text
    (told,) = amounts(module.splits["val"].records)
    assert (told["dataset"], told["split"], told["real"], told["fake"]) == ("other", "train", 12, 12)  # whole groups
    learnt = {"data": amounts(module.splits["train"].records), "chosen_on": [told]}
    loaded = SimpleNamespace(about={"learnt_from": learnt})
    assert chosen_on(loaded).startswith("chosen on other, its train part (12 real and 12 fake images")
    assert chosen_on_tests(loaded, {"other"}) == []
    told["split"] = "test"
    assert chosen_on_tests(loaded, {"faces", "other"}) == ["other"]
