"""Every kind of leak that is planted is found and named; a clean set passes."""

import json
import os
import shutil
import signal
from dataclasses import replace

import cv2
import numpy as np
import pytest

from addnet.config import compose
from addnet.data.__main__ import main
from addnet.data.audit import Settings, audit
from addnet.data.audit.actors import STRICT, _chosen, _nearest
from addnet.data.audit.pool import over_records
from addnet.data.audit.scan import ImageReader, measure_all
from addnet.data.audit.signals import SIGNALS
from addnet.errors import UserError
from addnet.index.records import Record, Records
from planted import image, save, write_set

pytestmark = pytest.mark.slow


@pytest.fixture(scope="session")
def _clean_dir(tmp_path_factory):
    return write_set(tmp_path_factory.mktemp("audit") / "faces")


@pytest.fixture
def faces(_clean_dir, tmp_path):
    """A clean data set that a test may plant something in."""
    return shutil.copytree(_clean_dir, tmp_path / "faces")


def _run(faces, *overrides):
    """Exit code, numbers and report of the command."""
    out = faces.parent / "report"
    code = main(
        ["audit", f"data.data_dir={faces}", f"audit.out={out}", "audit.workers=1", "audit.resamples=20", *overrides]
    )
    return code, json.loads((out / "audit.json").read_text()), (out / "report.md").read_text()


def _found(numbers):
    return {issue["kind"]: issue for issue in numbers["found"]}


def _records(*rows):
    return Records.of(
        Record(path=f"{n}.png", label=label, split=split, **names) for n, (label, split, names) in enumerate(rows)
    )


def _audit(records, root):
    return audit(records, ImageReader(root=root), Settings(workers=1, resamples=0))


def test_a_clean_set_passes(faces):
    code, numbers, report = _run(faces, "audit.strict=true", "data.video_pattern='([^/]+)[.]jpg'")
    assert code == 0
    assert numbers["issues"] == {"error": 0, "warning": 0, "info": 0}
    assert "Nothing was found" in report
    assert {row["images"] for row in numbers["counts"]} == {24, 12}
    assert all((faces.parent / "report" / f"audit_{name}.png").is_file() for name in ("confounds", "nearest"))


def test_the_same_file_in_two_splits(faces):
    shutil.copy(faces / "train/real/g003.jpg", faces / "test/real/other.jpg")
    code, numbers, report = _run(faces)
    assert code == 1
    issue = _found(numbers)["same_file_two_splits"]
    assert (issue["severity"], issue["count"]) == ("error", 2)
    assert "train/real/g003.jpg" in report
    assert "test/real/other.jpg" in report


def test_the_same_file_under_two_labels(faces):
    shutil.copy(faces / "train/real/g003.jpg", faces / "train/fake/x.jpg")
    code, numbers, _ = _run(faces)
    assert code == 1
    issue = _found(numbers)["same_file_two_labels"]
    assert set(issue["examples"][0].split(" = ")) == {"train/real/g003.jpg", "train/fake/x.jpg"}


def test_copies_within_training_are_no_error(faces):
    shutil.copy(faces / "train/real/g003.jpg", faces / "train/real/g003_2.jpg")
    shutil.copy(faces / "train/real/g004.jpg", faces / "train/real/h.jpg")
    code, numbers, _ = _run(faces)
    assert code == 0
    found = _found(numbers)
    assert (found["same_file"]["severity"], found["same_file_two_groups"]["severity"]) == ("info", "warning")
    assert _run(faces, "audit.strict=true")[0] == 1


def test_an_image_saved_again_in_the_other_split(faces):
    save(faces / "test/fake/again.jpg", cv2.resize(image(5), (80, 80), interpolation=cv2.INTER_AREA), quality=70)
    code, numbers, report = _run(faces)
    assert code == 1
    assert _found(numbers)["same_image_two_splits"]["count"] == 1
    assert "train/real/g005.jpg ~ test/fake/again.jpg" in report
    assert (faces.parent / "report/audit_near_train_test.png").is_file()


def test_real_and_fake_of_one_frame_are_no_finding_but_of_two_groups_are_told(faces):
    patched = image(5)
    patched[40:50, 40:50] = 128
    save(faces / "train/fake/g005_g.jpg", patched)
    assert _run(faces)[1]["issues"]["error"] == 0
    assert "near_two_labels" not in _found(_run(faces)[1])
    save(faces / "train/fake/x.jpg", patched)
    assert "train/real/g005.jpg ~ train/fake/x.jpg" in _found(_run(faces)[1])["near_two_labels"]["examples"][0]


def test_a_group_in_two_splits(faces):
    save(faces / "test/real/g002_9.jpg", image(99))
    code, numbers, _ = _run(faces)
    assert code == 1
    assert _found(numbers)["same_group"]["examples"] == ["g002"]


def test_frames_of_one_video_in_training_and_in_the_validation_that_it_would_carve_out(tmp_path):
    """Nothing in their names says that these are frames of one video: they are found by what they show."""
    for number in range(12):
        for split, seed in (("train", number // 4), ("test", 90 + number)):
            for label, pixels in (("real", image(seed)), ("fake", image(seed)[:, ::-1])):
                save(tmp_path / "faces" / split / label / f"img_{number + 50 * (split == 'test'):03d}.jpg", pixels)
    code, numbers, _ = _run(tmp_path / "faces", "data.val_fraction=0.3")
    found = _found(numbers)
    assert code == 1
    assert found["same_file_two_splits"]["count"] > 0
    assert "data.group_pattern" in found["guessed"]["text"] or "separate folder" in found["guessed"]["text"]
    assert main(["check", f"data.data_dir={tmp_path}/faces"]) == 0  # which looks at names alone


def test_videos_in_several_groups(tmp_path):
    rows = [(n % 2, "train", {"video_id": f"v{n // 2}", "group_id": f"g{n}", "dataset": "d"}) for n in range(4)]
    for number in range(4):
        save(tmp_path / f"{number}.png", image(number))
    issue = next(issue for issue in _audit(_records(*rows), tmp_path).issues if issue.kind == "torn_video")
    assert (issue.severity, issue.count, issue.examples) == ("error", 2, ["v0", "v1"])


def test_videos_and_identities_in_two_splits(tmp_path):
    names = [("v0", "g0", "ann bob"), ("v1", "g1", "cid"), ("v0", "g2", "bob"), ("v3", "g3", "")]
    keys = ("video_id", "group_id", "identity")
    rows = [
        (n % 2, "train" if n < 2 else "test", {"dataset": "d", **dict(zip(keys, name, strict=True))})
        for n, name in enumerate(names)
    ]
    for n in range(4):
        save(tmp_path / f"{n}.png", image(n))
    found = {issue.kind: issue for issue in _audit(_records(*rows), tmp_path).issues}
    assert found["same_video"].examples == ["v0"]
    assert found["same_identity"].examples == ["bob"]
    assert (found["same_video"].severity, found["same_identity"].severity) == ("error", "warning")


def test_a_split_with_one_class(tmp_path):
    rows = [(0, split, {"video_id": f"v{n}", "group_id": f"g{n}", "dataset": "d"}) for n, split in enumerate("ab")]
    records = _records(*((label, {"a": "train", "b": "test"}[split], names) for label, split, names in rows))
    for n in range(2):
        save(tmp_path / f"{n}.png", image(n))
    assert [issue.kind for issue in _audit(records, tmp_path).issues if issue.severity == "error"] == [
        "single_class"
    ] * 2


def test_a_data_set_that_brings_one_class_alone_is_a_confound(tmp_path):
    rows = []
    for n in range(60):
        dataset = ("films", "web")[n % 2]
        rows.append((n % 2, "train", {"video_id": f"v{n}", "group_id": f"g{n}", "dataset": dataset}))
        save(tmp_path / f"{n}.png", image(n))
    assert "confound_data_set" in {issue.kind for issue in _audit(_records(*rows), tmp_path).issues}


def test_damaged_files_are_counted_and_named(faces):
    whole = (faces / "train/real/g001.jpg").read_bytes()
    (faces / "train/real/g001.jpg").write_bytes(whole[: len(whole) // 2])
    (faces / "train/real/g002.jpg").write_bytes(b"")
    (faces / "test/fake/text.jpg").write_bytes(b"not an image")
    _, numbers, report = _run(faces)
    assert _found(numbers)["unreadable"]["count"] == 3
    reasons = dict(numbers["unreadable"])
    assert reasons["train/real/g002.jpg"] == "empty file (0 bytes)"
    assert "truncated" in reasons["train/real/g001.jpg"]
    assert "test/fake/text.jpg: not an image" in report


def test_flat_images_are_counted_not_compared(faces):
    for n, split in enumerate(("train", "train", "test")):
        save(faces / split / "real" / f"black{n}.jpg", np.full((64 + n, 64, 3), n, np.uint8))
    code, numbers, _ = _run(faces)
    assert (code, _found(numbers)["flat"]["count"]) == (0, 3)


def test_images_are_measured_alike_on_one_and_two_processes(faces):
    from addnet.data.layouts import scan_folder

    records = Records.concat([Records.of(scan_folder(faces))] * 2)
    (faces / "train/real/g001.jpg").write_bytes(b"")
    one, two = (measure_all(records, ImageReader(root=faces), workers=workers) for workers in (1, 2))
    assert one.failures == two.failures
    assert len(one.failures) == 2
    assert one.rows.tobytes() == two.rows.tobytes()


class _KilledBySome:
    def __call__(self, record):
        if record.path == "p3":
            os.kill(os.getpid(), signal.SIGKILL)
        return record.path


def test_an_image_that_kills_its_process_costs_only_itself():
    records = _records(*[(0, "train", {"video_id": "v", "group_id": "g", "dataset": "d"})] * 4)
    records = [replace(record, path=f"p{number}") for number, record in enumerate(records)]
    found = list(over_records(_KilledBySome(), records, failed=lambda record, reason: reason, count=4, workers=1))
    assert found[:3] == ["p0", "p1", "p2"]
    assert "killed its worker twice" in found[3]


def test_a_million_images_fit_into_memory():
    assert SIGNALS.itemsize <= 80


@pytest.mark.parametrize(
    ("overrides", "answer"),
    [
        (["audit.distance=9"], "between 0 and 7"),
        (["audit.distence=4"], "distence"),
        (["audit.warn_auroc=0.3"], "between 0.5"),
        (["audit.faces_of=reel"], "Did you mean 'real'"),
        (["data.data_dir=null"], "data.data_dir is not set"),
        (["data.data_dir=/nowhere"], "no such folder"),
    ],
)
def test_what_cannot_be_done_ends_in_a_sentence_and_code_2(faces, capsys, overrides, answer):
    assert main(["audit", f"data.data_dir={faces}", f"audit.out={faces.parent}/out", *overrides]) == 2
    assert answer in capsys.readouterr().err
    assert not (faces.parent / "out").exists()


def test_the_report_lies_under_outputs_by_default(faces, tmp_path):
    assert main(["audit", f"data.data_dir={faces}", f"paths.output_root={tmp_path}/outputs", "audit.workers=1"]) == 0
    assert (tmp_path / "outputs/audit/faces/report.md").is_file()


def test_settings_are_those_of_the_config():
    node = dict(compose(config_name="audit").audit)
    defaults = {name: getattr(Settings(), name) for name in node if name not in ("out", "strict")}
    assert defaults == {name: value for name, value in node.items() if name in defaults}


def test_no_images_and_none_readable_are_refused(tmp_path):
    with pytest.raises(UserError, match="no images to audit"):
        _audit(Records.of([]), tmp_path)
    with pytest.raises(UserError, match="none of 1 image can be read"):
        _audit(_records((0, "train", {"video_id": "v", "group_id": "g", "dataset": "d"})), tmp_path)


def test_faces_are_chosen_by_seed_a_few_of_each_group():
    rows = [(0, "train", {"video_id": f"{n}", "group_id": f"g{n // 10}", "dataset": "d"}) for n in range(100)]
    records = _records(*rows)
    chosen = _chosen(records, np.arange(100), 2, 15, 0)
    assert len(chosen) == 15
    assert np.bincount(chosen // 10).max() <= 2
    assert chosen.tolist() == _chosen(records, np.arange(100), 2, 15, 0).tolist()
    assert chosen.tolist() != _chosen(records, np.arange(100), 2, 15, 1).tolist()


def test_the_nearest_face_is_of_another_group():
    gallery = np.eye(3, 128, dtype=np.float32)
    distances, nearest = _nearest(gallery[:1] * 0.9, gallery, np.array([5]), np.array([5, 6, 7]))
    assert (distances[0].round(3), nearest[0]) == (np.float32(1.345), 1)


def test_the_same_people_in_two_splits_are_suspected(real_data, tmp_path):
    portraits = sorted((real_data / "portraits").rglob("*.jpg"))[:16]
    rows = []
    for n, file in enumerate([*portraits, *portraits[:4]]):
        pixels = cv2.imread(str(file))
        save(tmp_path / f"{n}.png", pixels if n < 16 else pixels[:, ::-1])
        split = "train" if n < 12 else "test"
        rows.append((0, split, {"video_id": f"v{n}", "group_id": f"g{n}", "dataset": "d"}))
    settings = Settings(faces=True, workers=1, resamples=0)
    found = audit(_records(*rows), ImageReader(root=tmp_path), settings)
    issue = {issue.kind: issue for issue in found.issues}["same_actor"]
    assert issue.severity == "warning"
    assert sum(distance < STRICT for distance in found.actors[0].across) == 4
    assert {example.split(" (")[0] for example in issue.examples[:4]} == {f"{n}.png ~ {n + 16}.png" for n in range(4)}


def test_real_crops_of_two_splits_share_no_source_video(real_data, tmp_path):
    source = real_data / "dfdc-faces"
    for split in ("train", "test"):
        for file in sorted((source / split / "real").iterdir())[:20]:
            for name in ("real", "fake"):
                for twin in (source / split / name).glob(f"{file.stem}*.jpg"):
                    (tmp_path / split / name).mkdir(parents=True, exist_ok=True)
                    shutil.copy(twin, tmp_path / split / name)
    code, numbers, _ = _run(tmp_path)
    assert code == 0
    assert numbers["confounds"]["JPEG tables"]["scores"]["train"]["auroc"] == 0.5
