"""An audit of a training set whose fakes are made: what tells blends from real images by one number."""

import json
from dataclasses import replace

import cv2
import numpy as np
import pytest

from addnet.config import compose
from addnet.data.__main__ import main
from addnet.data.audit.balance import balance_issues
from addnet.data.audit.blends import SIGNALS, Blending, blend_issues, blended_splits_of
from addnet.data.audit.command import listed
from addnet.data.audit.overlap import rows_of
from addnet.data.audit.scan import ImageReader, measure_all
from addnet.faces import Geometry, Landmarker, SelfBlend
from addnet.faces.blend import Blend
from addnet.index.records import Record, Records

pytestmark = pytest.mark.slow


def _records(paths, root):
    names = ({"path": str(path.relative_to(root)), "video_id": path.stem, "group_id": path.stem} for path in paths)
    return Records.of(Record(label=0, split="train", dataset="d", **name) for name in names)


@pytest.fixture(scope="module")
def reals(_data_dir):
    paths = sorted((_data_dir / "train" / "real").glob("*"))[:16]
    return _records(paths, _data_dir)


def _brighter(image, landmarks, address, donor=None):
    return Blend(image, cv2.add(image, (90, 90, 90, 0)), landmarks)


def _same(image, landmarks, address, donor=None):
    return Blend(image, image, landmarks)


def _found(data_dir, records, recipe):
    read = ImageReader(root=data_dir)
    return blended_splits_of(
        records,
        measure_all(records, read, workers=1),
        read,
        Blending(recipe, Geometry(size=64), ["train"]),
        landmarker=Landmarker(),
        most=100,
        resamples=20,
        seed=0,
        workers=1,
    )


def test_a_recipe_that_gives_fakes_away_is_told_by_its_signal(data_dir, reals):
    (found,) = _found(data_dir, reals, _brighter)
    assert set(found.scores) == set(SIGNALS)
    assert found.scores["brightness"]["blended"].auroc > 0.9
    assert found.scores["brightness"]["seen"].larger_in == "fake"
    assert "blend_brightness" in {issue.kind for issue in blend_issues([found], warn_auroc=0.6)}


def test_halves_that_are_equal_tell_nothing_and_what_has_no_blend_is_counted(data_dir, reals):
    (found,) = _found(data_dir, reals, _same)
    assert found.blended == found.looked_at == len(reals)
    assert found.worst == 0.5
    assert not blend_issues([found], warn_auroc=0.6)
    (issue,) = blend_issues([replace(found, blended=15)], warn_auroc=0.6)
    assert issue.text == "1 real image of train can't be blended: no landmarks were found"


def test_a_folder_of_real_images_alone_is_no_error_where_its_fakes_are_made(data_dir, tmp_path):
    root = tmp_path / "reals"
    (root / "train").mkdir(parents=True)
    (root / "train" / "real").symlink_to(data_dir / "train" / "real")
    quick = ["audit.workers=1", "audit.resamples=0", "audit.blends_most=5"]
    arguments = ["audit", f"data.data_dir={root}", f"audit.out={tmp_path}/report", *quick]
    made = ["data.fakes=self_blended", "data.val_fakes=self_blended"]
    assert main([*arguments, *made, "blend.target=2"]) == 2
    assert main([*arguments, *made, "blend=light"]) == 0
    numbers = json.loads((tmp_path / "report" / "audit.json").read_text())
    assert {row["split"]: row["looked_at"] for row in numbers["blends"]}["train"] == 5
    assert "Does a single signal tell self-blends" in (tmp_path / "report" / "report.md").read_text()


def test_only_a_split_whose_fakes_are_made_may_have_none(data_dir, reals):
    assert {issue.kind for issue in balance_issues(reals, blended=["train"])} == {"missing_split"}
    assert "single_class" in {issue.kind for issue in balance_issues(reals, blended=["val"])}


def test_given_fakes_that_training_would_not_use_are_not_audited(data_dir):
    made, given = (
        listed(compose([f"data.data_dir={data_dir}", f"data.fakes={fakes}"], config_name="audit").data)
        for fakes in ("self_blended", "given")
    )
    fakes = [found.carved.take(found.carved.labels == 1) for found in (made, given)]
    counts = [{split: len(rows_of(part, split)) for split in ("train", "val", "test")} for part in fakes]
    assert counts[1]["train"] > 0
    assert counts[0] == counts[1] | {"train": 0}
    assert len(made.records) == len(made.carved)


def test_sbi_tells_nothing_by_one_number(real_data):
    """Real halves of crops, a sample; docs/training-data.md has the metrics of all."""
    paths = sorted((real_data / "dfdc-faces" / "test" / "real").glob("*.jpg"))[:60]
    records = _records(paths, paths[0].parent)
    (found,) = _found(paths[0].parent, records, SelfBlend())
    assert found.blended > 45
    assert found.worst < 0.6
    assert np.isfinite(found.scores["JPEG blocks"]["seen"].auroc)
