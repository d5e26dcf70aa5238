"""An export goes where a checkpoint goes, names are short, and every answer says what its detector learnt from."""

import os
import stat

import numpy as np
import pytest
import torch
from PIL import Image

import addnet.data
import addnet.inference
import addnet.models
import addnet.sweeps
import tiny
from addnet.checkpoints.file import read_checkpoint
from addnet.errors import UserError
from addnet.evaluate import named, names_of
from addnet.evaluation import Scores
from addnet.index.records import Record, Records
from addnet.inference import Detector
from addnet.inference.evaluated_data import data_of
from addnet.inference.export.description import describe
from addnet.inference.export.hub_folder import write_folder
from addnet.inference.loading import load
from addnet.inference.network import network_of
from addnet.inference.page.fragment import fragment, welcome
from addnet.models.registry import MODELS
from addnet.predict import about
from addnet.tested_on import require_data
from addnet.training.origin import amounts, validation_errors
from checkpoints import changed, checkpoint

LEARNT = {
    "data": [{"dataset": "faces", "real": 1200, "fake": 800, "videos": 1}],
    "validation": {"frame": {"real": 120, "real_called_fake": 3, "fake": 1, "fake_called_real": 0}},
}


@pytest.fixture(scope="module")
def run_folder(tmp_path_factory):
    return tmp_path_factory.mktemp("runs") / "2026-11-27_09-15-00-104502"


@pytest.fixture(scope="module")
def path(run_folder):
    (run_folder / "checkpoints").mkdir(parents=True)
    plain = checkpoint(run_folder.parent / "plain.ckpt")
    config = {"data": {"layout": "folder", "data_dir": "/home/anna/faces", "generate": {"train": 9}}}
    return changed(plain, run_folder / "checkpoints" / "best.ckpt", learnt_from=LEARNT, config=config)


@pytest.fixture(scope="module")
def exported(path, tmp_path_factory):
    folder = tmp_path_factory.mktemp("exports") / "detector"
    written = read_checkpoint(path)
    write_folder(network_of(written, path), folder, about=describe(written, path), licence="other")
    return folder


@pytest.fixture(scope="module")
def image(portrait):
    return portrait[0]


@pytest.mark.parametrize("name", ["", "model.safetensors", "config.json"])
def test_an_export_answers_as_its_checkpoint_does(path, exported, image, name):
    ours, theirs = Detector.from_checkpoint(path), Detector.from_checkpoint(exported / name)
    assert theirs.predict(image) == ours.predict(image)
    assert (theirs.loaded.path, theirs.loaded.exported) == (exported, True)
    assert theirs.background[1] == ours.background[1]


def test_an_export_may_be_asked_for_by_name(exported, path, tmp_path):
    assert Detector.from_exported(exported).loaded.exported
    with pytest.raises(UserError, match=r"has no config\.json"):
        Detector.from_exported(path.parent)
    for name in ("a.onnx", "a.pt2", "other.safetensors"):
        with pytest.raises(UserError, match=f"{name}: only exports with format=safetensors"):
            load(tmp_path / name)


def test_weights_have_the_mode_that_the_umask_gives(exported):
    before = os.umask(0)
    os.umask(before)
    assert {stat.S_IMODE(file.stat().st_mode) for file in exported.iterdir()} == {0o666 & ~before}


def test_an_export_has_no_data_of_its_own_to_be_evaluated_on(exported):
    with pytest.raises(UserError, match=r"doesn't contain which data it was tested on; name other data with"):
        require_data({}, load(exported))
    assert data_of({"data_dir": "x"}, load(exported))["image_size"] == 64


def test_what_is_no_checkpoint_is_answered_with_one_that_is_there(path, run_folder, tmp_path):
    for wrong in (run_folder, run_folder / "checkpoints" / "bets.ckpt"):
        with pytest.raises(UserError, match=f"^ckpt={wrong}.*such as {path}$"):
            load(wrong)
    with pytest.raises(UserError, match=f"no such file; {tmp_path} holds no checkpoint"):
        load(tmp_path / "best.ckpt")
    with pytest.raises(UserError, match=r"there is no folder .*gone either"):
        load(tmp_path / "gone" / "best.ckpt")


def test_default_run_folders_get_short_names():
    one, same_time, other = (
        f"out/train/{run}/checkpoints/best.ckpt"
        for run in ("2026-11-27_09-15-00-104502", "2026-11-28_09-15-00-104502", "2026-11-27_21-44-57-1")
    )
    assert names_of([one, other]) == ["09-15-00", "21-44-57"]
    assert names_of([one, same_time]) == ["2026-11-27_09-15-00", "2026-11-28_09-15-00"]
    assert names_of([one, one.replace("best", "last")]) == ["best", "last"]
    assert names_of(["a/x/best.ckpt", "b/x/best.ckpt"]) == ["a", "b"]


def test_checkpoints_may_be_given_names(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("a.ckpt", "epoch=3.ckpt"):
        (tmp_path / name).touch()
    assert named({"plain": "a.ckpt"}) == {"plain": "a.ckpt"}
    assert named(["plain=a.ckpt", "epoch=3.ckpt"]) == {"plain": "a.ckpt", "epoch=3": "epoch=3.ckpt"}
    assert named("a.ckpt") == {"a": "a.ckpt"}
    with pytest.raises(UserError, match="two checkpoints are called 'a'"):
        named(["a=epoch=3.ckpt", "a.ckpt"])
    with pytest.raises(UserError, match="ckpt is not set"):
        named(None)


def test_every_answer_says_what_its_detector_learnt_from(path, image):
    from addnet.inference.answering.asking import Reply

    detector = Detector.from_checkpoint(path)
    data, errors = detector.background
    assert data == (
        "2026-11-27_09-15-00-104502/best.ckpt: timm test_resnet on images of 64 × 64 pixels, trained on drawn faces, "
        "faces (1,200 real and 800 fake images of 1 video)."
    )
    assert "3 of 120 real images called fake, 0 of 1 fake image called real." in errors
    assert about(detector)["in_words"] == [data, errors]
    for page in (fragment(Reply(detector.predict(image)), detector), welcome(detector.background)):
        assert f"Detector: {data} {errors}" in page


@pytest.mark.parametrize("learnt", [None, {}, "text", {"data": "x", "validation": {"frame": 3}}, {"data": [3]}])
def test_checkpoints_that_don_t_say_it_are_said_not_to(path, tmp_path, learnt):
    data, errors = Detector.from_checkpoint(changed(path, tmp_path / "old.ckpt", learnt_from=learnt)).background
    assert data.endswith("trained on drawn faces, folder: faces.")
    assert errors == "Its error rates on validation aren't in the checkpoint."


def test_training_writes_what_it_learnt_from_and_where_it_was_wrong(monkeypatch):
    monkeypatch.setitem(MODELS, "tiny", tiny.TinyNet)
    module = tiny.detector()
    tiny.fit(module)
    written = {"state_dict": module.state_dict(), "hyper_parameters": {}}
    module.on_save_checkpoint(written)
    errors = written["addnet"]["learnt_from"]["validation"]
    assert (errors["frame"]["real"], errors["frame"]["fake"]) == (6, 6)
    assert set(errors) == {"frame", "video"}


def test_images_and_videos_of_each_data_set_are_counted():
    names = [("a", 0, "1"), ("a", 1, "2"), ("a", 1, "2"), ("b", 0, "3")]
    here = {"split": "train"}
    records = Records.of(
        Record(path=f"{number}.png", label=label, split="train", video_id=video, group_id=video, dataset=dataset)
        for number, (dataset, label, video) in enumerate(names)
    )
    assert amounts(records) == [
        {"dataset": "a", **here, "real": 1, "fake": 2, "videos": 2},
        {"dataset": "b", **here, "real": 1, "fake": 0, "videos": 1},
    ]


def test_errors_of_validation_are_counted_at_its_own_thresholds():
    scores = Scores(torch.tensor([0.2, 0.6, 0.55, 0.9]).double(), torch.tensor([0, 0, 1, 1]), torch.arange(4))
    found = validation_errors(scores, {"frame": {"threshold": 0.58}, "video": {"threshold": 0.4}})
    assert found["frame"] == {"real": 2, "real_called_fake": 1, "fake": 2, "fake_called_real": 1}
    assert found["video"] == {"real": 2, "real_called_fake": 1, "fake": 2, "fake_called_real": 0}
    assert validation_errors(scores, None) == {}


def test_a_list_is_answered_with_a_list(path, image, tmp_path):
    detector = Detector.from_checkpoint(path)
    Image.fromarray(image).save(tmp_path / "a.png")
    (tmp_path / "text.jpg").write_text("no image")
    answers = detector.predict([tmp_path / "a.png", image, tmp_path / "text.jpg", tmp_path / "gone.mp4"])
    assert answers[0].score == answers[1].score == detector.predict(image).score
    assert [(answer.verdict, answer.kind) for answer in answers[2:]] == [("unusable", "image"), ("unusable", "video")]
    assert all(answer.reason and str(tmp_path) not in answer.reason for answer in answers[2:])
    with pytest.raises(UserError, match="is not an image"):
        detector.predict([np.zeros((2, 2))])


def test_a_detector_says_what_it_is(path):
    told = repr(Detector.from_checkpoint(path, threshold=0.25, device="cpu"))
    assert str(path) in told
    assert "timm test_resnet at 64 × 64" in told
    assert "fake above 0.25" in told


@pytest.mark.parametrize("package", [addnet.data, addnet.inference, addnet.models, addnet.sweeps])
def test_packages_list_their_public_names_alone(package):
    assert dir(package) == sorted(package.__all__)
    assert all(hasattr(package, name) for name in dir(package))
