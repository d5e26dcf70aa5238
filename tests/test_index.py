"""Landmarks are found once, found again where a file changed, and never lost."""

import os

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from addnet.errors import UserError
from addnet.faces import Landmarker
from addnet.index import FaceIndex, IndexUpdate, Record, Records
from addnet.index.file import FORMAT, DamagedIndexError, read_index
from addnet.preparation.images import prepare_images


@pytest.fixture(scope="module")
def landmarker():
    return Landmarker()


@pytest.fixture
def records(own_data_dir):
    files = sorted((own_data_dir / "test" / "real").iterdir())[:4]
    return Records.of(
        Record(
            path=f"test/real/{file.name}",
            label=0,
            split="test",
            video_id=f"faces/real/{file.stem}",
            group_id=file.stem,
            dataset="faces",
        )
        for file in files
    )


def one_by_one(function, jobs, **_):
    yield from map(function, jobs)


def prepare(file, root, records, landmarker, run=one_by_one):
    with IndexUpdate(file, root) as update:
        return prepare_images(update, records, landmarker=landmarker, run=run)


@pytest.fixture
def made(tmp_path, own_data_dir, records, landmarker):
    """An index of four images."""
    file = tmp_path / "i.parquet"
    assert prepare(file, own_data_dir, records, landmarker) == 4
    return file


def landmarks(file, records):
    index = FaceIndex(file)
    return [index.landmarks[row] for row in index.find(records.paths)]


def test_a_second_look_finds_everything_known(made, own_data_dir, records, landmarker):
    before = made.stat().st_mtime_ns, made.stat().st_ino
    assert prepare(made, own_data_dir, records, landmarker) == 0
    assert (made.stat().st_mtime_ns, made.stat().st_ino) == before
    index = FaceIndex(made)
    assert index.records() == list(records)
    assert index.rows["width"].to_pylist() == [112] * 4
    image = own_data_dir / records[2].path
    from addnet.faces import read_image

    np.testing.assert_array_equal(index.landmarks[2], landmarker(read_image(image)).landmarks)


def test_only_changed_files_are_looked_at_again(made, own_data_dir, records, landmarker):
    (own_data_dir / records[0].path).write_bytes((own_data_dir / records[1].path).read_bytes())
    assert prepare(made, own_data_dir, records, landmarker) == 1
    first, second, *_ = landmarks(made, records)
    np.testing.assert_array_equal(first, second)


def test_a_file_that_was_only_touched_keeps_its_landmarks(made, own_data_dir, records):
    class Refuses(Landmarker):
        def __call__(self, image):
            raise AssertionError("no face is looked for in an image that is what it was")

    before = landmarks(made, records)
    os.utime(own_data_dir / records[1].path)
    assert prepare(made, own_data_dir, records, Refuses()) == 1
    np.testing.assert_array_equal(landmarks(made, records), before)
    assert prepare(made, own_data_dir, records, Refuses()) == 0


def test_added_and_deleted_images_change_only_their_rows(made, own_data_dir, records, landmarker):
    (own_data_dir / records[3].path).unlink()
    assert prepare(made, own_data_dir, records[:3], landmarker) == 0
    assert len(FaceIndex(made)) == 3
    (own_data_dir / records[3].path).write_bytes((own_data_dir / records[1].path).read_bytes())
    assert prepare(made, own_data_dir, records, landmarker) == 1
    assert FaceIndex(made).records() == list(records)


def test_images_that_are_not_asked_for_stay_in_the_index(made, own_data_dir, records, landmarker):
    assert prepare(made, own_data_dir, records[:1], landmarker) == 0
    assert len(FaceIndex(made)) == 4


def test_what_is_known_beforehand_is_brought_up_to_date(made, own_data_dir, records, landmarker):
    assert prepare(made, own_data_dir, records.replaced(split="train"), landmarker) == 0
    assert {record.split for record in FaceIndex(made).records()} == {"train"}


def test_unusable_and_faceless_images_are_told_apart(tmp_path, own_data_dir, records):
    import cv2

    (own_data_dir / records[0].path).write_bytes(b"no image")
    cv2.imwrite(str(own_data_dir / records[1].path), np.full((64, 64, 3), 99, dtype=np.uint8))
    file, scenes = tmp_path / "i.parquet", Landmarker(face_crops=False)
    prepare(file, own_data_dir, records, scenes)
    assert prepare(file, own_data_dir, records, scenes) == 0
    index = FaceIndex(file)
    assert index.rows["reason"].to_pylist()[:2] == ["not an image", None]
    assert index.rows["step"].to_pylist()[1] == "none"
    assert index.landmarks[0] is index.landmarks[1] is None
    assert index.landmarks[2].shape == (68, 2)


def test_an_interruption_keeps_what_was_found(tmp_path, own_data_dir, records, landmarker):
    def interrupted(function, jobs, **_):
        for number, job in enumerate(jobs):
            if number == 2:
                raise KeyboardInterrupt
            yield function(job)

    file = tmp_path / "i.parquet"
    with pytest.raises(KeyboardInterrupt):
        prepare(file, own_data_dir, records, landmarker, run=interrupted)
    assert len(FaceIndex(file)) == 2
    assert prepare(file, own_data_dir, records, landmarker) == 2


def test_a_check_without_faces_is_completed_later(tmp_path, own_data_dir, records, landmarker):
    file = tmp_path / "i.parquet"
    assert prepare(file, own_data_dir, records, None) == 4
    assert landmarks(file, records) == [None] * 4
    assert prepare(file, own_data_dir, records, landmarker) == 4
    assert landmarks(file, records)[0].shape == (68, 2)
    assert prepare(file, own_data_dir, records, None) == 0


def test_landmarks_of_another_detector_are_not_used(made, own_data_dir, records):
    assert prepare(made, own_data_dir, records, Landmarker(padding=0.5)) == 4


def test_a_record_is_made_by_the_names_of_its_fields_alone():
    with pytest.raises(TypeError, match="positional"):
        Record("a.jpg", 1, "train", "g", "v", "d")  # a video and a group that have changed places


def test_landmarks_that_came_with_the_data_set_are_used_as_they_are(tmp_path, own_data_dir, records):
    given = np.random.default_rng(0).uniform(0, 112, (81, 2))
    np.save(own_data_dir / "landmarks.npy", given)
    chosen = Records.of(
        [
            Record(
                path="test/real/" + records[0].path.split("/")[-1],
                label=0,
                split="test",
                video_id="v",
                group_id="g",
                dataset="d",
                landmarks="landmarks.npy",
            )
        ]
    )
    file = tmp_path / "i.parquet"
    assert prepare(file, own_data_dir, chosen, Landmarker()) == 1
    np.testing.assert_allclose(landmarks(file, chosen)[0], given[:68], rtol=1e-6)
    assert prepare(file, own_data_dir, chosen, Landmarker()) == 0


@pytest.mark.parametrize("content", [b"", b"PAR1 and then nothing"])
def test_a_damaged_index_is_set_aside_and_made_again(tmp_path, own_data_dir, records, landmarker, caplog, content):
    file = tmp_path / "i.parquet"
    file.write_bytes(content)
    with pytest.raises(UserError, match=r"i\.parquet is damaged or not a face index"):
        FaceIndex(file)
    assert prepare(file, own_data_dir, records, landmarker) == 4
    assert "i.parquet.damaged" in caplog.text
    assert (tmp_path / "i.parquet.damaged").read_bytes() == content
    assert len(FaceIndex(file)) == 4


def test_a_file_that_never_was_an_index_is_left_alone(tmp_path, own_data_dir, records, landmarker):
    file = tmp_path / "faces.csv"
    file.write_text("path,label\na.jpg,real\n")
    with pytest.raises(UserError, match="data=manifest"):
        prepare(file, own_data_dir, records, landmarker)
    assert file.read_text().startswith("path,label")


def test_an_index_that_is_larger_than_it_looks_is_refused(tmp_path):
    file = tmp_path / "sent.parquet"
    about = {"addnet.index": FORMAT, "addnet.root": "."}
    same = pa.DictionaryArray.from_arrays(np.zeros(1_000_000, np.int32), pa.array(["a"]))
    pq.write_table(pa.table({"split": same}).replace_schema_metadata(about), file)
    with pytest.raises(DamagedIndexError, match=r"declares 1,000,000 rows, but the file has only [\d,]+ bytes"):
        read_index(file, columns=["split"])
