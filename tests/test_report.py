"""The report says what is there, for a handful of images as for a million, and whatever is missing."""

import re

import numpy as np
import pyarrow as pa
import pytest

from addnet.errors import UserError
from addnet.faces import Landmarker, iter_images, read_image
from addnet.faces.scan import scan
from addnet.preparation.census import normalised
from addnet.preparation.plots import overview
from addnet.preparation.report import write_report
from addnet.preparation.sheet import examples_sheet, landmarks_in_row

pytestmark = pytest.mark.slow


def grey(row):
    return np.full((64, 48, 3), 100, dtype=np.uint8)


def rows(**columns):
    """Six images of two videos, one file unusable; columns may be replaced, or left out by None."""
    table = {
        "path": [f"train/{name}.jpg" for name in "abcdef"],
        "label": [0, 0, 0, 1, 1, 1],
        "split": ["train"] * 4 + ["test"] * 2,
        "dataset": ["faces"] * 6,
        "method": ["", "", "", "swap", "swap", "swap"],
        "video_id": ["faces/1"] * 3 + ["faces/2"] * 3,
        "width": [100, 100, 100, 200, 200, 0],
        "height": [120, 120, 90, 200, 210, 0],
        "step": ["detector", "detector", "none", "given", "whole_picture", "none"],
        "reason": [None] * 5 + ["not | a\nline"],
        "size": [1000, 2000, 3000, 4000, 5000, 6],
    } | columns
    return pa.table({name: values for name, values in table.items() if values is not None})


def written(table, folder, **options):
    return write_report(table, folder, read_image=grey, **options).read_text()


def test_it_counts_images_faces_and_misses(tmp_path):
    text = written(rows(), tmp_path / "report")
    assert "| files | 6 |" in text
    assert "| usable images | 5 (83.3%) |" in text
    assert "| with a face | 4 (80.0%) |" in text
    assert "| videos | 2 |" in text
    assert re.search(r"`none` \| 1 \(20.0%\) \| 1 \(33.3%\) \| 0 \(0.0%\)", text)
    assert "| train | 3 | 1 | 4 |" in text
    assert "| faces | swap | 0 | 2 | 2 |" in text
    assert "| shorter side (pixels) | 90 | 92 | 100 | 200 | 200 |" in text
    assert "| brightness, fake (0–255) | 100 |" in text
    assert all((tmp_path / "report" / name).stat().st_size > 5000 for name in ("overview.png", "examples.png"))


@pytest.mark.parametrize(
    ("labels", "said"),
    [
        ([0, 0, 0, 1, 1, 1], "blue frames are real and orange frames are fake."),
        ([1] * 6, "each step; orange frames are fake."),
        ([-1] * 6, "they have no labels."),
    ],
)
def test_colours_are_told_of_classes_that_are_there(tmp_path, labels, said):
    assert said in written(rows(label=labels), tmp_path)


def test_counts_on_axes_are_whole_numbers(tmp_path):
    few = normalised(rows()).slice(0, 1)
    figure = overview(few, (np.array([100.0]), np.array([0])))
    figure.savefig(tmp_path / "few.png")
    axes = figure.axes[1].yaxis, figure.axes[3].yaxis, figure.axes[0].xaxis
    shown = [label.get_text() for axis in axes for label in axis.get_ticklabels()]
    assert shown
    assert not [text for text in shown if "m" in text or "." in text]


def test_unusable_files_are_listed_with_their_reason(tmp_path):
    assert "| `train/f.jpg` | not \\| a line |" in written(rows(), tmp_path)
    many = pa.concat_tables([rows(reason=["empty file (0 bytes)"] * 6)] * 5)
    text = written(many, tmp_path)
    assert text.count("empty file") == 20
    assert "Unusable files (30)" in text
    assert "… and 10 more." in text


@pytest.mark.parametrize("table", [rows().slice(0, 0), rows(label=None, video_id=None), rows(reason=["bad"] * 6)])
def test_an_empty_or_unlabelled_table_has_a_report_too(table, tmp_path):
    text = written(table, tmp_path)
    assert f"| files | {len(table)} |" in text
    assert (tmp_path / "overview.png").is_file()
    assert "nan" not in text


def test_a_column_of_brightness_spares_reading_the_images(tmp_path):
    table = rows(brightness=[10.0, 20.0, 30.0, None, 50.0, None])
    text = written(table, tmp_path)
    assert "| brightness, real (0–255) | 10 | 11 | 20 | 29 | 30 |" in text
    assert "| brightness, fake (0–255) | 50 |" in text
    assert "Brightness was measured on 4 images." in text


def test_columns_of_coded_texts_are_understood(tmp_path):
    plain = rows()
    coded = plain
    for name in ("split", "dataset", "step", "video_id"):
        index = coded.column_names.index(name)
        coded = coded.set_column(index, name, coded[name].dictionary_encode())
    assert written(coded, tmp_path / "coded") == written(plain, tmp_path / "plain")


def test_images_that_are_gone_do_not_spoil_it(tmp_path):
    def gone(row):
        raise UserError("cannot open it")

    text = write_report(rows(), tmp_path, read_image=gone).read_text()
    assert "| usable images | 5 (83.3%) |" in text
    assert "Brightness was measured on 0 images." in text


def test_a_million_rows_are_no_burden(tmp_path):
    draws = np.random.default_rng(0)
    size = 1_000_000
    videos = pa.array([f"video {number}" for number in range(10_000)])
    many = pa.table(
        {
            "path": pa.array(["a.jpg"] * size),
            "label": draws.integers(0, 2, size),
            "split": pa.array(["train"] * size).dictionary_encode(),
            "video_id": pa.DictionaryArray.from_arrays(pa.array(draws.integers(0, 10_000, size)), videos),
            "width": draws.integers(100, 500, size),
            "height": draws.integers(100, 500, size),
            "step": pa.array(["detector"] * size).dictionary_encode(),
            "size": draws.integers(1000, 50_000, size),
        }
    )
    read = []
    text = write_report(many, tmp_path, read_image=lambda row: read.append(row) or grey(row)).read_text()
    assert "| usable images | 1,000,000 (100.0%) |" in text
    assert "| videos | 10,000 |" in text
    assert len(read) <= 2008  # the sample for brightness, and eight examples


def test_landmarks_come_from_a_row_and_nan_means_none():
    landmarks = np.arange(136, dtype=np.float32)
    assert (landmarks_in_row({"points": landmarks.tolist()}) == landmarks.reshape(68, 2)).all()
    assert landmarks_in_row({"points": [float("nan")] * 136}) is None
    assert landmarks_in_row({"points": None}) is None
    assert landmarks_in_row({}) is None


def test_the_sheet_shows_up_to_eight_of_each_step_with_their_landmarks(portrait):
    image, landmarks = portrait
    table = pa.table({"path": ["a.jpg"] * 12, "label": [0] * 12, "step": ["detector"] * 10 + ["none"] * 2})
    figure = examples_sheet(
        table, lambda row: image, landmarks=lambda row: landmarks if row["step"] == "detector" else None
    )
    assert sum(len(axis.images) for axis in figure.axes) == 8 + 2
    dotted = [axis for axis in figure.axes if axis.collections]
    assert len(dotted) == 8
    assert dotted[0].collections[0].get_offsets().shape == (68, 2)


def test_the_choice_of_examples_follows_the_seed():
    table = pa.table({"path": [f"{n}.jpg" for n in range(100)], "label": [0] * 100, "step": ["detector"] * 100})

    def chosen(seed):
        return [axis.get_xlabel() for axis in examples_sheet(table, grey, seed=seed).axes]

    assert chosen(1) == chosen(1) != chosen(2)


def test_a_report_of_real_images(real_data, tmp_path):
    paths = list(iter_images(real_data / "dfdc-faces" / "test"))[::50]
    found = list(scan(paths, Landmarker()))
    table = pa.table(
        {
            "path": [str(f.path) for f in found],
            "label": [int("fake" in f.path.parts) for f in found],
            "step": [f.face.step for f in found],
            "width": [f.shape[1] for f in found],
            "height": [f.shape[0] for f in found],
            "points": [None if f.face.landmarks is None else f.face.landmarks.ravel() for f in found],
        }
    )
    text = write_report(table, tmp_path, read_image=lambda row: read_image(row["path"])).read_text()
    assert "`detector`" in text
    assert "| shorter side (pixels) | 224 | 224 | 224 | 224 | 224 |" in text
