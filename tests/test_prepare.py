"""Images and videos become training data with one command, which goes on where it was interrupted."""

import os
import signal
import sys

import pyarrow.compute as pc
import pytest

import warm
from addnet.config import compose
from addnet.data import DeepfakeDataModule
from addnet.errors import UserError
from addnet.index import FaceIndex
from addnet.index.file import NAMES
from addnet.index.journal import Journal
from addnet.index.lock import sole_writer
from addnet.prepare import prepare
from trainings import ended, launch, wait_for

pytestmark = pytest.mark.slow


def cut(video_dir, out, *overrides):
    """Prepares videos in this process; returns the index of their faces."""
    named = [] if any(override.startswith("input=") for override in overrides) else [f"data.data_dir={video_dir}"]
    own = [*named, f"output={out}", f"paths.output_dir={out}/report", "prepare.frames=3"]
    (file,) = prepare(compose([*own, "prepare.workers=1", "report=false", *overrides], config_name="prepare"))
    return FaceIndex(file, columns=NAMES)


def looks(caplog):
    """How many videos were cut in each of the calls so far."""
    told = [record.getMessage() for record in caplog.records if " to crop" in record.getMessage()]
    return [int(text.split()[0]) for text in told]


@pytest.fixture(autouse=True)
def _hear(caplog):
    caplog.set_level("INFO", logger="addnet")


def test_videos_become_training_data(video_dir, tmp_path):
    index = cut(video_dir, tmp_path / "cut")
    assert len(index) == 8 * 3
    record = index.records()[0]
    assert record.path == f"{record.video_id}/{record.frame:06d}.jpg"
    assert {r.group_id for r in index.records()} == {"p0", "p1", "p2", "p3"}
    module = DeepfakeDataModule(layout="index", index=str(index.file), image_size=64, num_workers=0, val_fraction=0.34)
    module.prepare_data()
    module.setup()
    batch = next(iter(module.test_dataloader()))
    assert batch["image"].shape == (6, 3, 64, 64)
    assert batch["mask"].amin() < 0.5
    assert len(set(batch["video_id"])) == 2


def test_training_on_videos_prepares_them_itself(video_dir, tmp_path):
    from addnet.preparation.settings import PrepareSettings

    how = {
        "faces_dir": str(tmp_path / "faces"),
        "index_dir": str(tmp_path),
        "prepare": PrepareSettings(workers=1, frames=2),
    }
    module = DeepfakeDataModule(str(video_dir), image_size=64, num_workers=0, val_fraction=0.3, **how)
    module.prepare_data()
    module.setup()
    assert {name: len(part.records) for name, part in module.splits.items()} == {"train": 8, "val": 4, "test": 4}
    (index,) = (tmp_path / "faces").glob("clips-*/index.parquet")
    assert len(FaceIndex(index)) == 16


def test_what_is_known_is_not_done_again(video_dir, tmp_path, caplog):
    first = cut(video_dir, tmp_path / "cut")
    before = first.file.stat().st_mtime_ns
    cut(video_dir, tmp_path / "cut")
    assert looks(caplog) == [8, 0]
    assert first.file.stat().st_mtime_ns == before


def test_only_what_changed_is_done_again(video_dir, tmp_path, caplog):
    out = tmp_path / "cut"
    index = cut(video_dir, out)
    os.utime(video_dir / "train" / "real" / "p0.mp4", (1, 1))  # the content stays
    with (video_dir / "train" / "real" / "p1.mp4").open("ab") as stream:
        stream.write(bytes(8))
    (out / next(record.path for record in index.records() if "/real/p2" in record.path)).unlink()
    (video_dir / "test" / "real" / "p3.mp4").rename(video_dir / "test" / "real" / "p3_new.mp4")
    again = cut(video_dir, out)
    assert looks(caplog) == [8, 3]
    assert all((out / record.path).is_file() for record in again.records())
    assert len(again) == 9 * 3  # the crops of the video that has gone stay


def test_faces_are_in_the_order_of_the_videos_whichever_was_cut_first(video_dir, tmp_path):
    before = [record.path for record in cut(video_dir, tmp_path / "cut").records()]
    first = min((video_dir / "train" / "real").iterdir())
    first.write_bytes((video_dir / "test" / "real" / "p3.mp4").read_bytes())  # cut again, after all others
    after = [record.path for record in cut(video_dir, tmp_path / "cut").records()]
    assert after == before == [record.path for record in cut(video_dir, tmp_path / "anew").records()]


def test_other_settings_cut_anew_and_leave_no_rows_behind(video_dir, tmp_path):
    cut(video_dir, tmp_path / "cut")
    index = cut(video_dir, tmp_path / "cut", "prepare.frames=2", "prepare.size=96")
    assert len(index) == 8 * 2
    assert set(index.rows["width"].to_pylist()) == {96}
    assert len(list((tmp_path / "cut").rglob("*.jpg"))) == 16


def test_new_labels_reach_the_index_without_another_look(video_dir, tmp_path, caplog):
    cut(video_dir, tmp_path / "cut")
    index = cut(video_dir, tmp_path / "cut", r"data.group_pattern='p(\d+)'")
    assert looks(caplog) == [8, 0]
    assert {record.group_id for record in index.records()} == {"0", "1", "2", "3"}


def test_bad_videos_are_left_out_named_and_counted(video_dir, tmp_path, caplog):
    import numpy as np

    import media

    (video_dir / "train" / "real" / "p0.mp4").write_bytes(b"no video")
    media.write_video(video_dir / "train" / "real" / "p1.mp4", [np.full((96, 96, 3), 90, np.uint8)] * 4)
    index = cut(video_dir, tmp_path / "cut")
    assert len(index) == 6 * 3
    assert "1 without a face, 1 unusable" in caplog.text
    assert "skipped: train/real/p0.mp4" in caplog.text
    cut(video_dir, tmp_path / "cut")
    assert looks(caplog) == [8, 0]
    with pytest.raises(UserError, match=r"1 of 8 .* is unusable"):
        cut(video_dir, tmp_path / "cut", "data.max_bad_fraction=0.1")


def test_nothing_usable_at_all_is_an_error(video_dir, tmp_path):
    for file in video_dir.rglob("*.mp4"):
        file.write_bytes(b"no video")
    with pytest.raises(UserError, match="8 of 8 videos are unusable, which is all of them"):
        cut(video_dir, tmp_path / "cut")


def test_videos_that_have_gone_are_not_trained_on(video_dir, tmp_path):
    from addnet.data.sources import Source

    place = {"output": str(tmp_path / "cut"), "index_dir": str(tmp_path)}
    cut(video_dir, tmp_path / "cut")
    (video_dir / "train" / "real" / "p0.mp4").unlink()
    records = Source("folder", str(video_dir), **place).records()
    assert len(records) == 7 * 3
    assert not any("/real/p0" in record.path for record in records)


def test_unlabelled_files_and_lists(video_dir, tmp_path):
    single = cut(video_dir, tmp_path / "one", f"input={video_dir}/test/real/p3.mp4")
    assert {(r.label, r.split, r.video_id) for r in single.records()} == {(-1, "predict", "real/p3")}
    (video_dir / "list.txt").write_text("# two\ntest/real/p3.mp4\n\ntrain/fake/p0_p7.mp4\n")
    listed = cut(video_dir, tmp_path / "two", f"input={video_dir}/list.txt")
    assert len(listed.records().names("video_id")) == 2


def test_images_get_their_landmarks(own_data_dir, tmp_path):
    overrides = [f"data.data_dir={own_data_dir}", f"paths.index_dir={tmp_path}", "prepare.workers=1"]
    (file,) = prepare(compose([*overrides, f"paths.output_dir={tmp_path}/report"], config_name="prepare"))
    index = FaceIndex(file)
    assert len(index) == 68
    assert pc.sum(pc.is_in(index.rows["step"].cast("string"), pc.pa.array(["none"]))).as_py() < 20
    assert (tmp_path / "report" / "report.md").is_file()


def start(video_dir, out, *overrides):
    own = [f"data.data_dir={video_dir}", f"output={out}", f"paths.output_root={out}-runs", "report=false"]
    return launch(*own, "prepare.frames=6", "prepare.workers=1", *overrides, module="addnet.prepare")


@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM])
def test_an_end_loses_at_most_the_video_in_work(video_dir, tmp_path, caplog, end):
    out = tmp_path / "cut"
    process = start(video_dir, out)
    wait_for(lambda: (out / "videos.journal").is_file() and len(list(Journal(out / "videos").replay())) >= 2, process)
    process.send_signal(end)
    process.communicate(timeout=60)
    assert process.returncode
    done = len(list(Journal(out / "videos").replay()))
    index = cut(video_dir, out, "prepare.frames=6")
    assert looks(caplog) == [8 - done]
    assert len(index) == len(set(index.rows["path"].to_pylist())) == 8 * 6
    assert len(list(out.rglob("*.jpg"))) == 8 * 6


def test_a_second_writer_waits_or_says_who_holds_the_index(video_dir, tmp_path):
    out = tmp_path / "cut"
    with sole_writer(out / "index.parquet"):
        refused = ended(start(video_dir, out, "prepare.wait=false"), code=1)
        assert f"being written by process {os.getpid()} on" in refused
        waiting = start(video_dir, out)
        line = ""
        while "waiting for it" not in line:
            line = waiting.stdout.readline()
            assert line, "ended without waiting"
    ended(waiting)
    assert len(FaceIndex(out / "index.parquet")) == 48


def test_two_at_once_do_the_work_once(video_dir, tmp_path):
    out = tmp_path / "cut"
    told = "".join(ended(process) for process in [start(video_dir, out), start(video_dir, out)])
    assert told.count("8 videos to crop") == told.count("0 videos to crop") == 1
    assert len(FaceIndex(out / "index.parquet")) == 48


FULL = """
import resource, signal, sys
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))  # files cannot grow beyond
sys.argv[0] = "addnet.prepare"
from addnet.prepare import main
main()
"""


def test_a_full_disk_is_told_and_loses_nothing_that_was_finished(video_dir, tmp_path, caplog):

    out = tmp_path / "cut"
    arguments = [f"data.data_dir={video_dir}", f"output={out}", f"paths.output_root={out}-runs", "report=false"]
    run = [sys.executable, "-c", FULL, *arguments, "prepare.frames=3", "prepare.workers=1"]
    assert "start again" in warm.run(run, code=1)
    done = len(list(Journal(out / "videos").replay()))
    assert done < 8
    index = cut(video_dir, out)
    assert looks(caplog) == [8 - done]
    assert len(index) == 24


def test_a_damaged_index_of_crops_is_made_again(video_dir, tmp_path, caplog):
    index = cut(video_dir, tmp_path / "cut")
    index.file.write_bytes(index.file.read_bytes()[:-100])
    assert len(cut(video_dir, tmp_path / "cut")) == 24
    assert "index.parquet.damaged" in caplog.text


def test_mistyped_keys_are_answered(tmp_path):
    output = ended(launch("prepare.frame=3", module="addnet.prepare"), code=1)
    assert "did you mean prepare.frames" in output
