"""The chain finds what it can, says which step served, and never invents a face."""

import pickle

import cv2
import numpy as np
import pytest

from addnet.errors import UserError
from addnet.faces import Landmarker, iter_images
from addnet.faces.__main__ import main
from addnet.faces.scan import count_steps, scan

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def landmarker():
    return Landmarker()


def test_landmarks_of_a_drawn_face_are_found(landmarker, portrait):
    image, truth = portrait
    face = landmarker(image)
    assert face.step == "detector"
    between = np.linalg.norm(truth[36:42].mean(axis=0) - truth[42:48].mean(axis=0))
    assert np.linalg.norm(face.landmarks - truth, axis=1).mean() < 0.2 * between


def test_the_largest_face_wins(landmarker, portrait):
    small = cv2.resize(portrait[0], (120, 120))
    scene = np.full((220, 340, 3), 90, dtype=np.uint8)
    scene[:120, :120] = small
    scene[10:210, 130:330] = portrait[0]
    assert landmarker(scene).landmarks[:, 0].min() > 120


def test_all_faces_come_largest_first_and_the_one_is_the_first_of_them(landmarker, portrait):
    scene = np.full((220, 500, 3), 90, dtype=np.uint8)
    for left, size in ((0, 120), (130, 200), (340, 150)):
        scene[10 : 10 + size, left : left + size] = cv2.resize(portrait[0], (size, size))
    faces = landmarker.all_faces(scene)
    middles = [float(face.landmarks[:, 0].mean()) for face in faces]
    assert [130 < middles[0] < 330, 340 < middles[1] < 490, 0 < middles[2] < 120] == [True] * 3
    assert {face.step for face in faces} == {"detector"}
    one = landmarker(scene)
    assert (one.landmarks == faces[0].landmarks).all()
    assert (one.box == faces[0].box).all()


def test_all_faces_of_large_images_come_back_in_their_own_pixels(portrait):
    large = cv2.resize(np.hstack([portrait[0]] * 2), (2400, 1200), interpolation=cv2.INTER_CUBIC)
    faces = Landmarker(max_side=600).all_faces(large)
    assert sorted(int(face.landmarks[:, 0].mean() // 1200) for face in faces) == [0, 1]
    assert all(face.box[2] - face.box[0] > 400 for face in faces)


def test_large_images_come_back_in_their_own_pixels(portrait):
    large = cv2.resize(portrait[0], (1600, 1600), interpolation=cv2.INTER_CUBIC)
    face = Landmarker(max_side=400)(large)
    assert np.linalg.norm(face.landmarks / 8 - Landmarker()(portrait[0]).landmarks, axis=1).mean() < 4


def test_a_hidden_outline_is_found_by_a_later_step(landmarker, portrait):
    image, landmarks = portrait
    low, high = landmarks.min(axis=0).astype(int), landmarks.max(axis=0).astype(int)
    tight = image[low[1] : high[1], low[0] : high[0]]
    face = landmarker(np.ascontiguousarray(tight))
    assert face.step != "none"
    assert np.linalg.norm(face.landmarks + low - landmarks, axis=1).mean() < 15


def test_nothing_is_found_where_nothing_is(landmarker):
    for grey in (0, 60, 128, 255):  # also where images are known to be crops
        assert landmarker(np.full((150, 150, 3), grey, dtype=np.uint8)).step == "none"
    nothing = Landmarker(face_crops=False)(np.full((150, 150, 3), 128, dtype=np.uint8))
    assert nothing.step == "none"
    assert nothing.landmarks is None
    assert Landmarker().all_faces(np.full((150, 150, 3), 128, dtype=np.uint8)) == []


def test_scenes_are_never_taken_for_a_face_as_a_whole(portrait):
    image, landmarks = portrait
    low, high = landmarks[17:].min(axis=0).astype(int), landmarks[17:].max(axis=0).astype(int)
    inner = np.ascontiguousarray(image[low[1] : high[1], low[0] : high[0]])  # brows to mouth: no outline to detect
    assert [face.step for face in Landmarker(face_crops=True).all_faces(inner)] == ["whole_picture"]
    assert Landmarker(face_crops=False).all_faces(inner) == []


def test_a_detector_travels_to_other_processes(landmarker, portrait):
    landmarker(portrait[0])
    copy = pickle.loads(pickle.dumps(landmarker))
    assert (copy(portrait[0]).landmarks == landmarker(portrait[0]).landmarks).all()


def test_many_files_on_several_processes_give_the_same(landmarker, data_dir):
    paths = list(iter_images(data_dir))
    together = list(scan(paths, landmarker, workers=2))
    assert [finding.path for finding in together] == paths
    assert sum(count_steps(together).values()) == len(paths)
    for finding in together[:5]:
        alone = next(scan([finding.path], landmarker))
        assert (alone.face.landmarks == finding.face.landmarks).all()


def test_a_missing_model_file_is_named(portrait):
    with pytest.raises(UserError, match=r"nowhere\.dat"):
        Landmarker("nowhere.dat")(portrait[0])


def test_the_command_writes_a_sheet_and_counts(data_dir, tmp_path, capsys):
    image = next(iter_images(data_dir))
    assert main([str(image), str(data_dir / "test" / "real"), "--out", str(tmp_path), "--mask", "paper"]) == 0
    sheet = cv2.imread(str(tmp_path / f"{image.stem}_sheet.png"))
    assert sheet.std() > 20
    assert "100.0%" in capsys.readouterr().out


@pytest.mark.parametrize("arguments", [["missing.jpg", "--out", "."], ["{data}"], ["{empty}"]])
def test_the_command_refuses_in_a_sentence(arguments, data_dir, tmp_path, capsys):
    filled = [a.format(data=data_dir / "generator.json", empty=tmp_path) for a in arguments]
    assert main(filled) == 2
    assert capsys.readouterr().err.startswith("addnet.faces: ")


def test_real_portraits_and_crops_are_found(real_data, landmarker):
    portraits = list(iter_images(real_data / "portraits"))[::20]
    crops = list(iter_images(real_data / "dfdc-faces" / "test"))[::20]
    found = count_steps(list(scan(portraits, landmarker)))
    assert found.get("none", 0) <= 0.01 * len(portraits)
    found = count_steps(list(scan(crops, landmarker)))
    by_detector = sum(found.get(step, 0) for step in ("detector", "upsampled", "padded", "padded_upsampled"))
    assert by_detector >= 0.85 * len(crops)  # 92 % over all of them; this is every twentieth
    assert found.get("none", 0) <= 0.05 * len(crops)
