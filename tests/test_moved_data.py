"""Data sets that were moved, renamed or copied are known again by their content; those that look alike are not."""

from __future__ import annotations

import logging
import os
import shutil

import pytest

from addnet.data.prepared import cut_videos, index_images
from addnet.data.sources import Source
from addnet.faces.landmarks import Landmarker
from addnet.index.faces import FaceIndex
from addnet.preparation.settings import PrepareSettings

pytestmark = pytest.mark.slow

HERE = PrepareSettings(workers=0, frames=1)


class Counting(Landmarker):
    """Finds faces, and counts how often it is asked to."""

    def __call__(self, image):
        _asked.append(image.shape)
        return super().__call__(image)


_asked: list[tuple[int, ...]] = []


def _search(folder, tmp_path):
    """Prepares images; returns their index and how many faces were looked for."""
    source = Source("folder", str(folder), index_dir=str(tmp_path / "index"))
    _asked.clear()
    index_images(source, source.listing.images, landmarker=Counting(), settings=HERE)
    return FaceIndex(source.index_file), len(_asked)


@pytest.fixture
def few(data_dir, tmp_path):
    """Two images of each class and split."""
    for folder in ("train/real", "train/fake", "test/real", "test/fake"):
        (tmp_path / "faces" / folder).mkdir(parents=True)
        for file in sorted((data_dir / folder).iterdir())[:2]:
            shutil.copy2(file, tmp_path / "faces" / folder)
    return tmp_path / "faces"


def test_a_renamed_folder_of_images_is_not_searched_again(few, tmp_path):
    first, asked = _search(few, tmp_path)
    assert asked == 8
    moved = few.rename(tmp_path / "renamed")
    index, asked = _search(moved, tmp_path)
    assert asked == 0
    assert index.file != first.file
    assert [landmarks is None for landmarks in index.landmarks] == [landmarks is None for landmarks in first.landmarks]
    assert (index.landmarks[0] == first.landmarks[0]).all()
    assert index.root == moved
    assert _search(moved, tmp_path)[1] == 0


def test_what_changed_on_the_way_is_looked_at(few, tmp_path):
    """Even if size and time are what they were."""
    _search(few, tmp_path)
    copied = shutil.copytree(few, tmp_path / "copied")
    file = next((copied / "test" / "real").iterdir())
    before = file.stat()
    content = bytearray(file.read_bytes())
    content[-20] ^= 1
    file.write_bytes(content)
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert _search(copied, tmp_path)[1] == 1


def test_images_that_merely_have_the_same_names_are_another_data_set(few, tmp_path, caplog):
    caplog.set_level("INFO", logger="addnet")
    _search(few, tmp_path)
    other = shutil.copytree(few, tmp_path / "other")
    for folder in ("train", "test"):
        real, fake = (sorted((other / folder / name).iterdir()) for name in ("real", "fake"))
        for one, two in zip(real, fake, strict=True):  # each name has the content of another
            content = one.read_bytes()
            one.write_bytes(two.read_bytes())
            two.write_bytes(content)
    assert _search(other, tmp_path)[1] == 8
    assert "starts with the results" not in caplog.text


def _cut(folder, tmp_path):
    source = Source("folder", str(folder), faces_dir=str(tmp_path / "cut"), index_dir=str(tmp_path / "index"))
    cut_videos(source, landmarker=Landmarker(), settings=HERE)
    return source


def _cuts(caplog):
    told = [record.getMessage() for record in caplog.records if " to crop" in record.getMessage()]
    return [int(text.split()[0]) for text in told]


def test_videos_are_known_again_where_they_were_moved_to(video_dir, tmp_path, caplog):
    caplog.set_level("INFO", logger="addnet")
    first = _cut(video_dir, tmp_path)
    moved = video_dir.rename(tmp_path / "renamed")
    for file in moved.rglob("*.mp4"):
        os.utime(file, (1, 1))  # as after a download or an extraction
    second = _cut(moved, tmp_path)
    assert _cuts(caplog) == [8, 0]
    assert second.cut_dir.resolve() == first.cut_dir.resolve()
    assert len(second.records()) == 8
    assert second.records().names("dataset") == ["renamed"]
    assert all((second.root / record.path).is_file() for record in second.records())
    (moved / "train/real/p0.mp4").write_bytes((moved / "test/real/p3.mp4").read_bytes())
    assert len(_cut(moved, tmp_path).records()) == 8
    assert _cuts(caplog)[2:] == [1]


def test_of_copied_videos_it_is_said_where_the_faces_lie(video_dir, tmp_path, caplog):
    first = _cut(video_dir, tmp_path)
    copied = shutil.copytree(video_dir, tmp_path / "copied")
    with caplog.at_level(logging.WARNING, logger="addnet"):
        second = _cut(copied, tmp_path)
    (line,) = [text for record in caplog.records if "To use those" in (text := record.getMessage())]
    assert FaceIndex(line.rpartition("data.index=")[2]).file == first.index_file
    assert second.cut_dir.resolve() != first.cut_dir.resolve()


def test_videos_that_merely_have_the_same_names_are_another_data_set(video_dir, tmp_path, caplog):
    caplog.set_level("INFO", logger="addnet")
    _cut(video_dir, tmp_path)
    moved = video_dir.rename(tmp_path / "renamed")
    files = sorted(moved.rglob("*.mp4"))
    contents = [file.read_bytes() for file in files]
    for file, content in zip(files, contents[1:] + contents[:1], strict=True):
        file.write_bytes(content)
    _cut(moved, tmp_path)
    assert _cuts(caplog) == [8, 8]
    assert "To use those" not in caplog.text
