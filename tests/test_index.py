"""Landmarks are found once, found again where a file changed, and never lost."""

import numpy as np
import pytest

from addnet.errors import UserError
from addnet.faces import LandmarkDetector
from addnet.index.faces import FaceIndex


@pytest.fixture(scope="module")
def detector():
    return LandmarkDetector()


@pytest.fixture
def paths(own_data_dir):
    return [f"test/real/{file.name}" for file in sorted((own_data_dir / "test" / "real").iterdir())][:4]


def test_a_second_look_finds_everything_known(tmp_path, own_data_dir, paths, detector):
    index = FaceIndex(tmp_path / "i.parquet", own_data_dir, detector=detector)
    assert index.update(paths) == 4
    again = FaceIndex(tmp_path / "i.parquet", own_data_dir, detector=detector)
    assert again.update(paths) == 0
    for path in paths:
        assert again[path].face.step == index[path].face.step
        np.testing.assert_array_equal(again[path].face.points, index[path].face.points)
        assert again[path].shape == (112, 112)


def test_only_changed_files_are_looked_at_again(tmp_path, own_data_dir, paths, detector):
    file = tmp_path / "i.parquet"
    FaceIndex(file, own_data_dir, detector=detector).update(paths)
    (own_data_dir / paths[0]).write_bytes((own_data_dir / paths[1]).read_bytes())
    index = FaceIndex(file, own_data_dir, detector=detector)
    assert index.update(paths) == 1
    np.testing.assert_array_equal(index[paths[0]].face.points, index[paths[1]].face.points)


def test_unusable_and_faceless_pictures_are_told_apart(tmp_path, own_data_dir, paths):
    import cv2

    (own_data_dir / paths[0]).write_bytes(b"no picture")
    cv2.imwrite(str(own_data_dir / paths[1]), np.full((64, 64, 3), 99, dtype=np.uint8))
    file, scenes = tmp_path / "i.parquet", LandmarkDetector(face_crops=False)
    FaceIndex(file, own_data_dir, detector=scenes).update(paths)
    index = FaceIndex(file, own_data_dir, detector=scenes)
    assert index.update(paths) == 0
    assert index[paths[0]].reason == "not a picture"
    assert index[paths[1]].face.step == "none"
    assert index[paths[1]].face.points is None
    assert index[paths[2]].face.points.shape == (68, 2)


def test_an_interruption_keeps_what_was_found(tmp_path, own_data_dir, paths, detector):
    def interrupted(findings, total):
        for number, finding in enumerate(findings):
            if number == 2:
                raise KeyboardInterrupt
            yield finding

    index = FaceIndex(tmp_path / "i.parquet", own_data_dir, detector=detector)
    with pytest.raises(KeyboardInterrupt):
        index.update(paths, progress=interrupted)
    assert FaceIndex(tmp_path / "i.parquet", own_data_dir, detector=detector).update(paths) == 2


def test_a_check_without_faces_is_completed_later(tmp_path, own_data_dir, paths, detector):
    file = tmp_path / "i.parquet"
    assert FaceIndex(file, own_data_dir, detector=None).update(paths) == 4
    index = FaceIndex(file, own_data_dir, detector=detector)
    assert index.update(paths) == 4
    assert index[paths[0]].face.points is not None
    assert FaceIndex(file, own_data_dir, detector=None).update(paths) == 0


def test_points_of_another_detector_are_not_used(tmp_path, own_data_dir, paths, detector):
    file = tmp_path / "i.parquet"
    FaceIndex(file, own_data_dir, detector=detector).update(paths)
    assert FaceIndex(file, own_data_dir, detector=LandmarkDetector(padding=0.5)).update(paths) == 4


@pytest.mark.parametrize("content", [b"", b"PAR1 and then nothing", b"path,label\na.jpg,real\n"])
def test_a_damaged_index_is_named_with_the_remedy(tmp_path, own_data_dir, detector, content):
    file = tmp_path / "i.parquet"
    file.write_bytes(content)
    with pytest.raises(UserError, match=r"i\.parquet is damaged or not a face index.*delete it"):
        FaceIndex(file, own_data_dir, detector=detector)
    assert file.read_bytes() == content
