"""Images unlike those of training: what is measured, where the bounds lie, what is said, and what follows."""

from dataclasses import replace

import cv2
import numpy as np
import pytest

import media
from addnet.data import DeepfakeDataModule
from addnet.errors import UserError
from addnet.faces.domain import Domain, FaceMeasures, measure
from addnet.faces.domain.appearance import NUMBERS, appearance
from addnet.faces.domain.measures import turned
from addnet.faces.landmarks import Face
from addnet.inference import Detector
from addnet.inference.answers import FaceAnswer, too_few, unlike_in_frames
from addnet.inference.preprocessing import Preprocessing
from checkpoints import changed, checkpoint

pytestmark = pytest.mark.slow

UNLIKE = "unlike its training images"


def _measured(random, **changed):
    """A face of images that are much alike."""
    made = random.normal(size=NUMBERS)
    plain = FaceMeasures(100 + random.normal(), 10.0, 120.0, 0.1, 0.6, 0.0, made)
    return plain._replace(**changed)


@pytest.fixture(scope="module")
def domain():
    random = np.random.default_rng(0)
    return Domain.of([_measured(random) for _ in range(300)], [_measured(random) for _ in range(200)])


def test_at_most_a_fiftieth_of_validation_lies_outside_and_other_faces_of_the_kind_seldom():
    random = np.random.default_rng(1)
    training, validation, others = ([_measured(random) for _ in range(400)] for _ in range(3))
    domain = Domain.of(training, validation)
    assert 0 < sum(bool(domain.unlike(face)) for face in validation) <= 8
    assert sum(bool(domain.unlike(face)) for face in others) <= 20


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"size": 31.0}, "its face is small (31 pixels; at least 9"),
        ({"sharpness": 1.0}, "it is blurred (sharpness 1.0; at least 10.0 in them)"),
        ({"exposure": 20.0}, "it is dark (mean grey level 20; at least 120 in them)"),
        ({"exposure": 240.0}, "it is bright (mean grey level 240; at most 120 in them)"),
        ({"yaw": 0.8}, "its face is turned to the side (by 0.80; at most 0.10 in them)"),
        ({"pitch": 0.2}, "its face looks up (nose at 0.20; at least 0.60 in them)"),
        ({"pitch": 0.9}, "its face looks down (nose at 0.90; at most 0.60 in them)"),
        ({"outside": 0.25}, "its face is cut off (25% of its landmarks outside; at most 0% in them)"),
        ({"appearance": np.full(NUMBERS, 6.0)}, "it was made differently (distance "),
    ],
)
def test_each_side_says_what_lies_outside_of_it(domain, changed, said):
    plain = FaceMeasures(100.0, 10.0, 120.0, 0.1, 0.6, 0.0, domain.mean)
    assert domain.unlike(plain) == ""
    assert domain.unlike(plain._replace(**changed)).startswith(said)
    assert domain.unlike(plain._replace(size=500.0)) == ""  # no training has too large faces


def test_a_domain_travels_as_plain_values(domain):
    again = Domain.from_values(domain.values())
    assert again.values() == domain.values()
    assert np.array_equal(again.precision, domain.precision)
    assert (again.bounds, again.faces) == (domain.bounds, (300, 200))


def test_few_faces_say_nothing_about_how_images_were_made():
    random = np.random.default_rng(2)
    few = Domain.of([_measured(random) for _ in range(20)], [_measured(random) for _ in range(9)])
    assert few.unlike(_measured(random, appearance=np.full(NUMBERS, 50.0), size=150.0)) == ""
    assert few.unlike(_measured(random, size=3.0)).startswith("its face is small")
    assert Domain.from_values(few.values()).bounds[-1] is None
    assert Domain.of([], [_measured(random)]) is None


@pytest.mark.parametrize(
    "values",
    [
        {"mean": [0.0]},
        {"scale": [0.0] * NUMBERS},
        {"precision": [float("nan")] * (NUMBERS * (NUMBERS + 1) // 2)},
        {"precision": "much"},
        {"bounds": [1.0]},
        {"bounds": {}},
        {"faces": [1]},
        {"mean": None},
    ],
)
def test_a_damaged_domain_is_refused(domain, values):
    with pytest.raises(UserError, match="domain of the detector"):
        Domain.from_values(domain.values() | values)
    with pytest.raises(UserError, match="domain of the detector"):
        Domain.from_values({})


def test_appearance_is_of_how_an_image_was_made_and_not_of_what_it_shows(portrait):
    image = cv2.resize(portrait[0], (128, 128), interpolation=cv2.INTER_AREA)
    plain = appearance(image)
    assert plain.shape == (NUMBERS,)
    assert np.abs(appearance(np.ascontiguousarray(image[:, ::-1])) - plain).max() < 1e-3
    random = np.random.default_rng(0)
    noisy = np.clip(image + random.normal(0, 8, image.shape), 0, 255).astype(np.uint8)
    assert np.abs(appearance(noisy) - plain).max() > 1
    for side in (32, 33):  # the smallest, flat: every number is finite
        assert np.isfinite(appearance(np.full((side, side, 3), 7, dtype=np.uint8))).all()


def test_yaw_and_pitch_are_those_of_the_head_however_it_is_tilted(portrait):
    _, landmarks = portrait
    yaw, pitch = turned(landmarks)
    assert yaw < 0.3
    assert 0.3 < pitch < 0.8
    assert turned(landmarks @ np.array([[0.8, 0.6], [-0.6, 0.8]]) * 2) == pytest.approx((yaw, pitch), abs=1e-4)
    aside = landmarks.copy()
    aside[30, 0] += 0.6 * (landmarks[16, 0] - landmarks[30, 0])
    assert turned(aside)[0] > yaw + 0.3


def test_a_face_is_measured_in_what_the_network_sees(portrait):
    image, landmarks = portrait
    measured = measure(image, landmarks + 120, size=77.0)
    assert (measured.size, measured.outside > 0.2) == (77.0, True)
    dark = measure((image * 0.3).astype(np.uint8), landmarks, size=77.0)
    plain = measure(image, landmarks, size=77.0)
    assert dark.exposure == pytest.approx(0.3 * plain.exposure, abs=2)
    assert dark.sharpness < 0.5 * plain.sharpness
    assert plain.outside == 0


# ---- in a checkpoint ---------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    return checkpoint(tmp_path_factory.mktemp("checkpoint") / "best.ckpt")


def _with_bound(path, file, domain, number, bound):
    """The same checkpoint, with a domain that has this one bound."""
    bounds = [-1e9, -1e9, -1e9, 1e9, 1e9, -1e9, 1e9, 1e9, 1e9]
    bounds[number] = bound
    values = domain.values() | {"bounds": bounds}
    preprocessing = Detector.from_checkpoint(path).loaded.about["preprocessing"] | {"domain": values}
    return changed(path, file, preprocessing=preprocessing)


def test_a_face_outside_stays_undecided_with_its_reason_unless_asked_otherwise(path, domain, portrait, tmp_path):
    small = _with_bound(path, tmp_path / "small.ckpt", domain, 0, 1000.0)
    detector = Detector.from_checkpoint(small)
    answer = detector.predict(portrait[0])
    assert answer.verdict == answer.faces[0].verdict == "undecided"
    assert answer.reason.startswith(f"{UNLIKE}: its face is small (")
    plain = Detector.from_checkpoint(small, domain=False).predict(portrait[0])
    assert (plain.verdict, plain.reason, plain.score) == (
        Detector.from_checkpoint(path).predict(portrait[0]).verdict,
        "",
        answer.score,
    )
    with pytest.raises(UserError, match="domain='no' is not valid"):
        Detector.from_checkpoint(small, domain="no")


def test_a_video_is_undecided_where_most_of_its_frames_are_outside(path, domain, portrait, tmp_path):
    frames = [np.clip(portrait[0] * light, 0, 255).astype(np.uint8) for light in (1, 0.35, 0.3, 0.25)]
    video = media.write_video(tmp_path / "clip.mp4", frames)
    bright = float(portrait[0].mean()) * 0.6
    answer = Detector.from_checkpoint(_with_bound(path, tmp_path / "dark.ckpt", domain, 2, bright)).predict(video)
    assert [face.verdict == "undecided" for face in answer.faces] == [False, True, True, True]
    assert answer.verdict == "undecided"
    assert answer.reason.startswith(f"{UNLIKE} in 3 of 4 frames with a face, such as frame 2: it is dark (")


def test_half_of_the_frames_outside_leave_a_verdict():
    inside = FaceAnswer("real", 0.1, 0.1, "detector", frame=0)
    outside = replace(inside, verdict="undecided", reason=f"{UNLIKE}: it is dark", frame=7)
    assert unlike_in_frames([inside, outside]) == ""
    said = unlike_in_frames([outside, inside, outside])
    assert said == f"{UNLIKE} in 2 of 3 frames with a face, such as frame 7: it is dark"


def test_a_video_with_a_face_in_few_frames_is_undecided(path, portrait, tmp_path):
    assert too_few(3, 32).startswith("a face in 3 of 32 frames")
    assert too_few(4, 32) == ""
    empty = np.full_like(portrait[0], 128)
    video = media.write_video(tmp_path / "clip.mp4", [portrait[0], *[empty] * 11])
    answer = Detector.from_checkpoint(path).predict(video)
    assert (answer.verdict, answer.reason) == ("undecided", too_few(1, 12))
    assert Detector.from_checkpoint(path, domain=False).predict(video).verdict in ("real", "fake")


def test_a_data_module_measures_its_training_and_validation(data_dir, index_dir):
    module = DeepfakeDataModule(str(data_dir), image_size=64, index_dir=str(index_dir), num_workers=0, val_fraction=0.3)
    assert module.domain() is None
    module.prepare_data()
    module.setup()
    values = module.domain()
    assert values == module.domain()
    assert values["faces"] == [module.splits[split].with_landmarks.sum() for split in ("train", "val")]
    domain = Domain.from_values(values)
    part, dataset = module.splits["val"], module.dataset("val")
    seen = Preprocessing.from_values(module.preprocessing() | {"domain": values})
    row = int(np.flatnonzero(part.with_landmarks)[0])
    assert seen.whole(dataset.read(row), Face("detector", part.landmarks[row])).unlike == ""
    assert domain.bounds[0] > 0
