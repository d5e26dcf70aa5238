"""A data set in the form its authors ship it is trained on: nobody writes a script."""

import json

import numpy as np
import pytest
import torch

from addnet.data import DeepfakeDataModule
from addnet.index import member_cache
from addnet.index.faces import GIVEN
from addnet.preparation.settings import PrepareSettings
from replicas_drawn import Replicas, is_marked
from trainings import ONE_STEP, ended, launch

pytestmark = pytest.mark.slow

HOW = {"image_size": 64, "batch_size": 4, "num_workers": 0, "prepare": PrepareSettings(workers=1, frames=2)}
OPTIONS = {
    "faceforensics": {"methods": ["Deepfakes"]},
    "dfd": {"split": "actors", "test_actors": [28, 27]},
    "uadfv": {"split": "test"},
}
OFFICIAL_VAL = {"faceforensics", "faceshifter", "dfdc", "deeperforensics", "ffiw", "deepfakebench", "manifest"}
ALONE = ["wilddeepfake", "wilddeepfake-gzipped", "wilddeepfake-unpacked", "faceforensics", "celebdf", "dfdc"]
ALONE += ["dfdcp", "deeperforensics", "ffiw", "df40", "deepfakebench", "manifest", "faceshifter", "deepspeak"]


@pytest.fixture(scope="session")
def replicas(tmp_path_factory):
    return Replicas(tmp_path_factory.mktemp("replicas"))


@pytest.fixture(scope="session")
def places(tmp_path_factory):
    """Where all of these tests keep what they find, so that it is found once."""
    root = tmp_path_factory.mktemp("prepared")
    return {"index_dir": str(root / "index"), "faces_dir": str(root / "faces")}


def options_of(name, replica):
    if name == "deeperforensics":
        return {"originals": f"{replica}-originals"}
    if name == "manifest":
        return {"root": str(replica / "images")}
    return OPTIONS.get(name, {})


def arguments_of(name, replica):
    place = replica / "list.csv" if name == "manifest" else replica
    return {"layout": name.partition("-")[0], "data_dir": str(place), "options": options_of(name, replica)}


def ready(**arguments):
    module = DeepfakeDataModule(**({"val_fraction": 0.4} | HOW | arguments))
    module.prepare_data()
    module.setup()
    return module


def check_split(module, name):
    """Every image of a split is read, has the class that it shows, and mostly a face."""
    part, dataset = module.splits[name], module.dataset(name)
    assert not part.skipped
    samples = [dataset[number] for number in range(len(dataset))]
    assert all(sample["valid"] for sample in samples)
    assert [sample["label"] for sample in samples] == [is_marked(sample["image"]) for sample in samples]
    assert {sample["label"] for sample in samples} == {0, 1}
    found = [landmarks is not None for landmarks in part.landmarks]
    assert np.mean(found) > 0.7
    assert [bool(sample["mask"].amin() < 0.5) for sample in samples] == found


@pytest.mark.parametrize("name", ALONE)
def test_a_layout_is_trained_on_as_it_is(name, replicas, places):
    module = ready(**arguments_of(name, replicas[name]), **places)
    for split in ("train", "val", "test"):
        check_split(module, split)
    groups = [set(module.splits[split].records.names("group_id")) for split in ("train", "val", "test")]
    assert sum(map(len, groups)) == len(set.union(*groups))
    loaders = (module.train_dataloader(), module.val_dataloader(), module.test_dataloader())
    for batch in (next(iter(loader)) for loader in loaders):
        assert batch["image"].shape[1:] == (3, 64, 64)
        assert torch.isfinite(batch["image"]).all()
    official = official_val(module)
    assert bool(official) == (name in OFFICIAL_VAL)
    assert not official or groups[1] == official


def official_val(module):
    """Groups that the data set itself keeps for validation."""
    (source,) = module.train_sources
    listing = source.listing
    records = [*listing.images, *listing.videos]
    return {record.group_id for record in records if record.split == "val"}


@pytest.mark.parametrize("name", ["uadfv", "dfd", "celebdfpp", "dfdm", "fakeavceleb", "kodf"])
def test_a_test_set_of_the_field_is_tested_on(name, replicas, places, data_dir):
    module = ready(train=[f"folder:{data_dir}"], test=[f"{name}:{replicas[name]}"], **places)
    check_split(module, "test")
    (dataset,) = module.splits["test"].records.names("dataset")
    assert dataset not in module.splits["train"].records.names("dataset")
    assert len(module.splits["train"].records) + len(module.splits["val"].records) == 48


def test_test_sets_can_be_trained_on_if_one_asks_for_it(replicas, places):
    entry = {"layout": "dfd", "data_dir": str(replicas["dfd"]), "options": {"split": "actors", "test_actors": [28, 27]}}
    module = ready(train=[entry], **places)
    check_split(module, "train")
    check_split(module, "test")
    module = ready(
        train=[{"layout": "uadfv", "data_dir": str(replicas["uadfv"]), "options": {"split": "train"}}],
        test=[f"dfd:{replicas['dfd']}"],
        **places,
    )
    check_split(module, "train")


def test_landmarks_that_came_with_the_images_are_used(replicas, places):
    module = ready(**arguments_of("deepfakebench", replicas["deepfakebench"]), **places)
    assert sum(part.steps.get(GIVEN, 0) for part in module.splits.values()) == 16
    assert all(part.steps.get(GIVEN) for part in module.splits.values())


def test_archives_are_listed_once(replicas, tmp_path, monkeypatch):
    arguments = {**arguments_of("wilddeepfake", replicas["wilddeepfake-gzipped"]), "index_dir": str(tmp_path)}
    ready(**arguments)
    assert any((tmp_path / "archives").iterdir())
    monkeypatch.setattr(member_cache, "list_members", None)  # a second listing has no use for it
    module = DeepfakeDataModule(**HOW, val_fraction=0.4, **arguments)
    module.setup()  # as a process does that did not prepare
    check_split(module, "test")


@pytest.mark.parametrize("name", ["wilddeepfake", "faceforensics", "manifest"])
def test_a_process_that_did_not_prepare_sees_the_same(name, replicas, places):
    arguments = {**arguments_of(name, replicas[name]), **places}
    first, second = ready(**arguments), DeepfakeDataModule(**HOW, val_fraction=0.4, **arguments)
    second.setup()
    assert second.fingerprint == first.fingerprint


def test_limits_hold_for_what_is_cut_out_of_videos(replicas, places):
    module = ready(**arguments_of("faceforensics", replicas["faceforensics"]), **places, limit_train=8)
    assert 8 <= len(module.splits["train"].records) < 16
    check_split(module, "train")


def test_videos_are_predicted_on(replicas, places):
    module = ready(predict_dir=str(replicas["ffiw"]), **places)
    batch = next(iter(module.predict_dataloader()))
    assert batch["valid"].all()
    assert set(batch["label"].tolist()) == {-1}


def train(root, *arguments):
    """Runs the command; returns its result and what was printed."""
    process = launch(
        "model.pretrained=false",
        "data.image_size=64",
        "data.batch_size=4",
        "trainer.accelerator=cpu",
        *ONE_STEP,
        "data.val_fraction=0.4",
        "prepare.workers=1",
        "prepare.frames=2",
        f"paths.output_root={root}",
        *arguments,
    )
    output = ended(process)
    (folder,) = root.glob("train/*")
    return json.loads((folder / "result.json").read_text()), output


def test_the_command_trains_from_archives(replicas, tmp_path):
    replica = replicas["wilddeepfake"]
    result, output = train(tmp_path, "data=wilddeepfake", f"data.data_dir={replica}", "data.num_workers=2")
    assert "test/frame/auroc" in result["metrics"]
    assert "test: 12 images (6 real, 6 fake), 6 videos" in output


def test_the_command_trains_on_several_layouts_and_tests_each_apart(replicas, places, tmp_path):
    name_all = ",".join(f"{name}:{replicas[name]}" for name in ("wilddeepfake", "deepfakebench"))
    tests = ",".join(f"{name}:{replicas[name]}" for name in ("celebdf", "uadfv"))
    kept = [f"paths.index_dir={places['index_dir']}", f"paths.faces_dir={places['faces_dir']}", "data.num_workers=0"]
    result, _ = train(tmp_path, f"data.train=[{name_all}]", f"data.test=[{tests}]", *kept)
    for name in ("Celeb-DF-v2", "UADFV"):
        assert 0 <= result["metrics"][f"test/{name}/frame/auroc"] <= 1
