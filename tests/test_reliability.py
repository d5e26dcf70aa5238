"""Whatever ends a preparation, what was finished stays, and what is damaged is noticed."""

import contextlib
import os
import shutil
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from addnet.data.sources import Source
from addnet.errors import UserError
from addnet.index import FaceIndex, IndexUpdate, Record, Records
from addnet.index.file import NAMES, partial_files
from addnet.index.journal import Journal
from addnet.preparation.images import ImageFinding, row_of
from test_prepare import cut, looks

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def _hear(caplog):
    caplog.set_level("INFO", logger="addnet")


def add(update, *names):
    """Adds rows with landmarks that tell the name's length."""
    for name in names:
        row = row_of(
            Record(path=name, label=0, split="train", video_id=name, group_id=name, dataset="d"),
            ImageFinding(0, 1, 1),
            "",
        )
        update.add(row, np.full(136, len(name), np.float32))


def made(folder, *names):
    with IndexUpdate(folder / "i.parquet", folder) as update:
        add(update, *names)
    return folder / "i.parquet"


@pytest.mark.parametrize("share", [0.2, 0.4, 0.6, 0.8])
def test_a_flipped_bit_in_the_landmarks_is_noticed_and_the_index_made_again(tmp_path, caplog, share):
    file = made(tmp_path, *"abcdefgh")
    data = bytearray(file.read_bytes())
    start = data.index(np.full(136, 1, "<f4").tobytes())
    data[start + int(share * 8 * 544)] ^= 1
    file.write_bytes(data)
    with IndexUpdate(file, tmp_path) as update:
        assert len(update.known) == 0
    assert "i.parquet.damaged" in caplog.text


def test_what_a_killed_writer_left_half_written_is_removed(tmp_path):
    file = made(tmp_path, "a")
    for name in (".i.parquet.4194305", ".i.parquet.mine", ".j.parquet.12"):
        (tmp_path / name).write_bytes(b"PAR1")
    made(tmp_path, "b")
    assert list(partial_files(file)) == []
    assert (tmp_path / ".i.parquet.mine").exists()
    assert (tmp_path / ".j.parquet.12").exists()


def test_the_journal_gives_back_rows_without_landmarks(tmp_path):
    journal = Journal(tmp_path / "i.parquet")
    with journal:
        journal.append({"path": "a"}, None)
        journal.append({"path": "b"}, np.arange(136, dtype=np.float32))
    (first, none), (second, landmarks) = journal.replay()
    assert (first["path"], none, second["path"]) == ("a", None, "b")
    np.testing.assert_array_equal(landmarks, np.arange(136))


def test_a_torn_line_costs_only_itself(tmp_path):
    journal = Journal(tmp_path / "i.parquet")
    with journal:
        for name in "abc":
            journal.append({"path": name}, None)
    journal.file.write_bytes(journal.file.read_bytes()[:-5])
    with journal:
        journal.append({"path": "d"}, None)
    assert [row["path"] for row, _ in journal.replay()] == ["a", "b", "d"]


def test_a_journal_of_another_version_costs_only_its_rows(tmp_path, caplog):
    with Journal(tmp_path / "i.parquet") as journal:
        journal.append({"path": "a", "a column of later": 1}, None)
    made(tmp_path, "b")
    assert FaceIndex(tmp_path / "i.parquet").rows["path"].to_pylist() == ["b"]
    assert "skipped 1 line from another version" in caplog.text


def test_landmarks_of_an_index_that_was_replaced_are_never_mixed_with_rows_of_the_old_one(tmp_path):
    file = made(tmp_path, "a")
    reader, early = FaceIndex(file), FaceIndex(file)
    before = early.landmarks
    made(tmp_path, "bb")
    assert before[0][0, 0] == 1
    with pytest.raises(UserError, match="rewritten while it was in use"):
        _ = reader.landmarks
    assert len(FaceIndex(file).landmarks) == 2


def test_training_from_an_unfinished_index_is_told_so(tmp_path, caplog):
    with contextlib.suppress(KeyboardInterrupt), IndexUpdate(tmp_path / "i.parquet", tmp_path) as update:
        add(update, "a")
        raise KeyboardInterrupt
    source = Source("index", index=str(tmp_path / "i.parquet"))
    assert len(source.records()) == 1
    assert caplog.text.count("is unfinished") == 1
    with IndexUpdate(tmp_path / "i.parquet", tmp_path) as update:
        (tmp_path / "a").touch()
        update.finish(Records.of([]))
    caplog.clear()
    assert len(Source("index", index=str(tmp_path / "i.parquet")).records()) == 1
    assert "not finished" not in caplog.text


def test_a_kill_between_the_crops_of_a_video_and_its_entry_doubles_nothing(video_dir, tmp_path, caplog):
    out = tmp_path / "cut"
    rows = cut(video_dir, out).rows.sort_by("path")
    entries = Journal(out / "videos").file
    entries.write_bytes(b"".join(entries.read_bytes().splitlines(keepends=True)[:-1]))
    again = cut(video_dir, out)
    assert looks(caplog) == [8, 1]
    same = [name for name in NAMES if name != "mtime_ns"]
    assert again.rows.sort_by("path").select(same).equals(rows.select(same))


def test_a_crop_that_a_kill_left_half_written_goes_with_the_next_try(video_dir, tmp_path):
    out = tmp_path / "cut"
    record = cut(video_dir, out).records()[0]
    crop = out / record.path
    crop.rename(crop.with_name(f".{crop.name}.partial"))
    cut(video_dir, out)
    assert crop.is_file()
    assert not list(out.rglob("*.partial"))


def test_other_videos_with_the_same_ids_are_refused_the_same_folder(video_dir, tmp_path):
    index = cut(video_dir, tmp_path / "cut")
    crops = {file: file.stat().st_mtime_ns for file in (tmp_path / "cut").rglob("*.jpg")}
    other = Path(shutil.copytree(video_dir, tmp_path / "other" / video_dir.name))
    shutil.copyfile(other / "train" / "fake" / "p1_p8.mp4", other / "train" / "real" / "p0.mp4")
    with pytest.raises(UserError, match="the same id"):
        cut(other, tmp_path / "cut")
    assert {file: file.stat().st_mtime_ns for file in crops} == crops
    assert len(FaceIndex(index.file)) == 24


def test_videos_that_have_moved_are_known_in_their_new_place(video_dir, tmp_path, caplog):
    cut(video_dir, tmp_path / "cut")
    moved = video_dir.rename(tmp_path / "moved")
    cut(moved, tmp_path / "cut")
    video = moved / "train" / "real" / "p0.mp4"
    os.utime(video, (1, 1))  # as a copy would have it
    cut(moved, tmp_path / "cut")
    video.write_bytes((moved / "train" / "real" / "p1.mp4").read_bytes())
    cut(moved, tmp_path / "cut")
    assert looks(caplog) == [8, 0, 0, 1]


def test_a_video_beside_a_folder_of_its_name_leaves_its_crops_alone(video_dir, tmp_path):
    inner = video_dir / "train" / "real" / "p0"
    inner.mkdir()
    (video_dir / "train" / "real" / "p1.mp4").rename(inner / "p1.mp4")
    cut(video_dir, tmp_path / "cut")
    os.utime(video_dir / "train" / "real" / "p0.mp4", (1, 1))
    index = cut(video_dir, tmp_path / "cut")
    assert len(index) == 24
    assert all((tmp_path / "cut" / record.path).is_file() for record in index.records())


def test_a_folder_that_cannot_be_made_is_no_fault_of_the_video(video_dir, tmp_path):
    out = tmp_path / "cut"
    (folder,) = {record.path.split("/")[0] for record in cut(video_dir, tmp_path / "before").records()}
    out.mkdir()
    (out / folder).write_text("a file where a folder has to be")
    with pytest.raises(UserError, match="start again"):
        cut(video_dir, out)
    (out / folder).unlink()
    assert len(cut(video_dir, out)) == 24


def test_a_folder_in_the_place_of_an_image_leaves_no_row_behind(tmp_path):
    file = made(tmp_path, "a", "b")
    (tmp_path / "a").mkdir()
    (tmp_path / "b").touch()
    with IndexUpdate(file, tmp_path) as update:
        update.finish(Records.of([]))
    assert FaceIndex(file).rows["path"].to_pylist() == ["b"]


def test_rows_are_found_by_their_newest_line(tmp_path):
    file = made(tmp_path, "a", "bb", "a")
    index = FaceIndex(file)
    assert sorted(index.rows["path"].to_pylist()) == ["a", "bb"]
    assert index.find(pa.array(["bb"], pa.large_string()))[0] >= 0
