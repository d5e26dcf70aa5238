"""Fakes that are their real images are found by the audit, and left out of training alone."""

import csv

import cv2
import numpy as np
import pytest

from addnet.data.__main__ import main
from addnet.data.audit.unchanged import change
from addnet.data.left_out import read_left_out, without
from addnet.data.selection import select
from addnet.data.sources import Source
from addnet.errors import UserError
from addnet.index.records import Record, Records
from planted import image, save, write_set

SAME = ("train/fake/g003_f.jpg", "train/fake/g007_f.jpg", "test/fake/g030_f.jpg")


@pytest.fixture
def faces(tmp_path):
    """A data set of which three fakes are their real images, saved again."""
    root = write_set(tmp_path / "faces")
    for path in SAME:
        save(root / path, image(int(path.split("/g")[1][:3])), quality=60)
    return root


def _select(faces, leave_out, **limits):
    source = Source("folder", str(faces))
    how = {"val_fraction": 0.25, "allow_overlap": False, "seed": 0, "leave_out": leave_out}
    return select([source], [source], **how, limits={"train": None, "val": None, "test": None} | limits)


def _paths(records):
    return set(records.paths.to_pylist())


def test_the_audit_lists_fakes_that_are_their_real_images(faces, capsys):
    out = faces.parent / "report"
    main(["audit", f"data.data_dir={faces}", f"audit.out={out}", "audit.workers=1", "audit.resamples=0"])
    report = (out / "report.md").read_text()
    assert "`unchanged_fake`: 1 fake of test hardly differs from the real image of the same frame" in report
    with (out / "unchanged.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    assert {row["path"] for row in rows} == set(SAME)
    assert all(float(row["change"]) < 0.12 for row in rows)
    assert set(read_left_out(out / "unchanged.csv")) == set(SAME)


def test_what_is_left_out_is_missing_in_training_alone(faces, tmp_path):
    (tmp_path / "list.txt").write_text("\n".join(SAME))
    whole, less = _select(faces, None), _select(faces, str(tmp_path / "list.txt"))
    assert _paths(whole["train"]) - _paths(less["train"]) == set(SAME) & _paths(whole["train"])
    assert _paths(whole["train"]) - _paths(less["train"])
    for split in ("val", "test"):
        assert _paths(whole[split]) == _paths(less[split])


def test_a_limit_is_of_what_is_left(faces, tmp_path):
    (tmp_path / "list.txt").write_text("\n".join(SAME))
    limited = _select(faces, str(tmp_path / "list.txt"), train=12)["train"]
    assert len(limited) >= 12
    assert not _paths(limited) & set(SAME)


def test_a_list_of_another_folder_is_refused_with_a_path_as_it_should_be(faces, tmp_path):
    (tmp_path / "list.txt").write_text("faces/a.jpg\n")
    with pytest.raises(UserError, match=r"its first path is faces/a\.jpg, but that of a training image is train/"):
        _select(faces, str(tmp_path / "list.txt"))
    with pytest.raises(UserError, match="there is no such file"):
        _select(faces, str(tmp_path / "none.csv"))
    (tmp_path / "empty.csv").write_text("path,change\n")
    with pytest.raises(UserError, match="names no image"):
        read_left_out(tmp_path / "empty.csv")


def test_only_what_is_named_is_left_out():
    names = {"label": 0, "split": "train", "video_id": "v", "group_id": "g", "dataset": "d"}
    records = Records.of(Record(path=f"{n}.jpg", **names) for n in range(4))
    assert _paths(without(records, ["1.jpg", "x.jpg"], file="list")) == {"0.jpg", "2.jpg", "3.jpg"}


@pytest.mark.parametrize("brightness", [0.2, 1.0])
def test_saving_again_is_no_change_and_another_mouth_is_one(brightness):
    real = (cv2.GaussianBlur(image(1, side=224), (0, 0), 2) * brightness).astype(np.uint8)
    again = cv2.imdecode(cv2.imencode(".jpg", real, [cv2.IMWRITE_JPEG_QUALITY, 50])[1], cv2.IMREAD_COLOR)
    other = real.copy()
    other[140:170, 80:140] = real[60:90, 80:140]
    assert change(real, again) < 0.12 < change(real, other)
