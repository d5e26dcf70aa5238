"""A checkpoint answers for images and videos, sees them as in training, and says when it can't."""

import cv2
import numpy as np
import pytest
import torch
from PIL import Image

import media
from addnet.data import DeepfakeDataModule
from addnet.errors import UserError
from addnet.faces import Landmarker, read_image
from addnet.faces.framing import Framing, box_of
from addnet.inference import Detector
from addnet.inference.loading import load
from addnet.inference.preprocessing import Preprocessing
from checkpoints import DECISION, FRAMING, changed, checkpoint


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    return checkpoint(tmp_path_factory.mktemp("checkpoint") / "best.ckpt")


@pytest.fixture(scope="module")
def detector(path):
    return Detector.from_checkpoint(path)


@pytest.fixture(scope="module")
def face(portrait, tmp_path_factory):
    """A drawn face as a file."""
    file = tmp_path_factory.mktemp("face") / "face.png"
    Image.fromarray(portrait[0]).save(file)
    return file


def test_three_lines_answer_for_an_image(path, face):
    answer = Detector.from_checkpoint(path).predict(face)
    assert answer.verdict == ("fake" if answer.score > DECISION["frame"]["threshold"] else "real")
    odds = np.log(answer.score / (1 - answer.score)) / DECISION["frame"]["temperature"]
    assert answer.probability == pytest.approx(1 / (1 + np.exp(-odds)))
    assert [one.step for one in answer.faces] == ["detector"]


def test_files_arrays_and_pil_images_get_the_same_answer(detector, face):
    scores = {detector.predict(given).score for given in (face, read_image(face), Image.open(face))}
    assert len(scores) == 1


def test_crops_are_seen_as_in_training(path, detector, data_dir, index_dir):
    module = DeepfakeDataModule(str(data_dir), image_size=64, index_dir=str(index_dir), num_workers=0)
    module.prepare_data()
    module.setup()
    dataset = module.dataset("test")
    for row in range(4):
        sample = dataset[row]
        with torch.no_grad():
            logits = detector.net(sample["image"][None], sample["mask"][None])[0].double()
        answer = detector.predict(data_dir / sample["path"], kind="crops", without_face=True)
        assert answer.score == pytest.approx(float((logits[1] - logits[0]).sigmoid()), abs=1e-6)


def _scene(portrait, *, side=640, at=(300, 150)):
    """A face of 200 pixels somewhere in a larger image."""
    scene = np.full((side, side, 3), 90, dtype=np.uint8)
    scene[at[1] : at[1] + 200, at[0] : at[0] + 200] = portrait[0]
    return scene


def test_a_face_in_a_scene_is_cut_out_so_that_it_lies_as_in_training(detector, portrait):
    (seen,) = detector.preprocessing.of_image(_scene(portrait))
    centre, side = box_of(seen.landmarks)
    assert 64 / side == pytest.approx(FRAMING["margin"], rel=0.05)
    assert (31.5 - centre)[1] / side == pytest.approx(FRAMING["offset"][1], abs=0.05)
    assert seen.face.box[0] > 250  # in pixels of the scene


def test_an_image_framed_as_in_training_is_taken_whole(detector, portrait):
    image = portrait[0]
    found = Landmarker(face_crops=False)(image)
    whole = detector.preprocessing.whole(image, found).image
    margin = 200 / box_of(found.landmarks)[1]
    fitting = Framing(margin=margin, low=margin, high=margin)
    auto = Preprocessing(detector.preprocessing.geometry, detector.preprocessing.mask, Landmarker(), fitting)
    assert np.array_equal(auto.of_image(image)[0].image, whole)
    assert not np.array_equal(auto.of_image(_scene(portrait))[0].image, whole)


def test_several_faces_are_answered_for_by_the_most_suspicious(detector, portrait):
    scene = _scene(portrait)
    scene[380:580, 40:240] = np.clip(portrait[0].astype(int) + 25, 0, 255)
    one, both = (detector.predict(scene, faces=faces) for faces in ("largest", "all"))
    assert (len(one.faces), len(both.faces)) == (1, 2)
    assert both.score == max(face.score for face in both.faces)


def test_no_face_is_no_score_unless_asked(detector):
    grey = np.full((120, 120, 3), 128, dtype=np.uint8)
    answer = detector.predict(grey)
    assert (answer.verdict, answer.score, answer.probability) == ("no face", None, None)
    asked = detector.predict(grey, without_face=True)
    assert asked.score is not None
    assert asked.faces[0].step == "none"
    assert detector.preprocessing.of_image(grey, without_face=True)[0].mask.min() == 1


@pytest.mark.parametrize("wrong", [np.zeros((20, 20)), np.zeros((20, 20, 4), np.uint8), np.zeros((4, 4, 3), np.uint8)])
def test_what_is_no_image_is_refused(detector, wrong):
    with pytest.raises(UserError, match="is not an image"):
        detector.predict(wrong)


def test_a_video_is_the_mean_of_its_frames(detector, portrait, tmp_path):
    frames = [np.clip(portrait[0].astype(int) + 4 * number, 0, 255).astype(np.uint8) for number in range(6)]
    frames[2] = np.full_like(frames[0], 128)
    answer = detector.predict(media.write_video(tmp_path / "clip.mp4", frames))
    assert (answer.kind, answer.frames, answer.frames_without_face) == ("video", 6, 1)
    assert [face.frame for face in answer.faces] == [0, 1, 3, 4, 5]
    assert answer.score == pytest.approx(np.mean([face.score for face in answer.faces]))
    assert answer.threshold == DECISION["video"]["threshold"]
    assert answer.faces[1].time == pytest.approx(1 / 25)


def test_a_checkpoint_without_a_decision_says_so(path, tmp_path):
    detector = Detector.from_checkpoint(changed(path, tmp_path / "old.ckpt", decision=None))
    assert detector.frame.threshold == 0.5
    assert "no threshold" in detector.frame.stated
    assert detector.frame.calibrated(0.7) == 0.7


def test_a_threshold_of_one_s_own_wins(path, face):
    assert Detector.from_checkpoint(path, threshold=0).predict(face).verdict == "fake"
    assert Detector.from_checkpoint(path, threshold=1).predict(face).verdict == "real"
    with pytest.raises(UserError, match=r"threshold=2 must lie in \[0, 1\]"):
        Detector.from_checkpoint(path, threshold=2)


def test_mirrored_a_face_and_its_mirror_image_have_one_score_the_mean_of_their_logits(path, detector, face):
    both = Detector.from_checkpoint(path, mirror=True)
    image, mask = detector.tensors(detector.preprocessing.of_image(read_image(face)))
    flipped = image.flip(-1), mask.flip(-1)
    with torch.no_grad():
        one, other = ((logits := detector.net(*seen))[:, 1] - logits[:, 0] for seen in ((image, mask), flipped))
    assert abs(one - other).item() > 1e-3
    expected = torch.sigmoid((one + other).double() / 2).item()
    assert both.probabilities(image, mask) == pytest.approx([expected], abs=1e-6)
    assert both.probabilities(*flipped) == pytest.approx([expected], abs=1e-6)
    assert detector.probabilities(image, mask) == pytest.approx([torch.sigmoid(one.double()).item()], abs=1e-6)
    answer = both.predict(face)
    assert answer.score == pytest.approx(expected, abs=1e-6)
    assert answer.threshold == DECISION["frame"]["threshold"]
    with pytest.raises(UserError, match=r"mirror='yes' is not valid; use true or false"):
        Detector.from_checkpoint(path, mirror="yes")


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ({"preprocessing": {}}, "doesn't say how images were prepared"),
        ({"format": 99}, "format 99"),
        ({"class_names": ["a", "b", "c"]}, "must be real and fake"),
        ({"decision": {"frame": {"threshold": 7}}}, "threshold for frame is 7"),
        ({"decision": {"frame": "0.5"}}, "expected a mapping of levels"),
    ],
)
def test_a_checkpoint_that_can_t_be_followed_is_refused(path, tmp_path, entry, said):
    with pytest.raises(UserError, match=said):
        load(changed(path, tmp_path / "changed.ckpt", **entry))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"value_range": [0, 1]}, "value_range"),
        ({"mask_of": "other"}, "ablation"),
        ({"detector": "dlib/other.dat/crops/padding=0.3"}, "landmark_model=PATH"),
        ({"sharpened": True}, "doesn't support"),
        ({"crop": "moon"}, "crop='moon'"),
        ({"framing": {"margin": "wide"}}, "how faces are framed"),
        ({"mask": {"parts": ["hair"]}}, "face, organs"),
        ({"mask": 3}, "preprocessing is invalid"),
    ],
)
def test_preprocessing_of_another_kind_is_refused(path, change, said):
    values = load(path).about["preprocessing"]
    with pytest.raises(UserError, match=said):
        Preprocessing.from_values(dict(values) | change)


def test_weights_that_are_no_numbers_are_refused(path, tmp_path):
    written = torch.load(path, weights_only=True)
    written["state_dict"]["net.head.weight"][0, 0] = torch.nan
    torch.save(written, tmp_path / "nan.ckpt")
    with pytest.raises(UserError, match=r"weights of head\.weight aren't finite"):
        load(tmp_path / "nan.ckpt")


def test_framing_measures_what_crops_look_like(portrait):
    image, landmarks = portrait
    moved = [landmarks, landmarks + 10, landmarks - 10]
    framing = Framing.of(moved, [image.shape[:2]] * 3)
    centre, side = box_of(landmarks)
    assert framing.margin == pytest.approx(200 / side)
    assert np.allclose(framing.offset, (99.5 - centre) / side)
    assert Framing.from_values(framing.values()) == framing
    assert framing.fits(landmarks, (200, 200))
    assert not framing.fits(landmarks, (400, 300))
    assert Framing.of([], []) is None


def test_finding_faces_needs_no_torch():
    import subprocess
    import sys

    code = "import addnet.inference.preprocessing, addnet.inference.videos, sys; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], timeout=60, check=False).returncode == 0


def test_large_images_shrink_once_for_the_network(detector, portrait):
    large = cv2.resize(portrait[0], (1600, 1600), interpolation=cv2.INTER_CUBIC)
    one, other = (detector.preprocessing.of_image(image)[0] for image in (portrait[0], large))
    assert np.abs(one.image.astype(int) - other.image.astype(int)).mean() < 12
