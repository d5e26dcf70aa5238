"""The real command on a real cluster, one worker of which is killed amid its work: the index is as if nothing was."""

import os
import signal

import pytest

pytest.importorskip("distributed", reason="needs the extra `cluster`")

from distributed import Client

from addnet.index.file import NAMES
from addnet.index.journal import Journal
from test_engine_on_dask import cluster  # noqa: F401 - a fixture
from test_prepare import cut, start
from trainings import ended, wait_for

pytestmark = pytest.mark.slow


def told_of(index):
    """Rows and landmarks by path, without the times at which the crops were written."""
    kept = [name for name in NAMES if name != "mtime_ns"]
    rows = index.rows.select(kept).to_pylist()
    return sorted((row["path"], str(row), str(index.landmarks[number])) for number, row in enumerate(rows))


def test_a_worker_killed_in_mid_job_loses_and_doubles_nothing(video_dir, tmp_path, request):
    address = request.getfixturevalue("cluster")
    expected = cut(video_dir, tmp_path / "alone", "prepare.frames=6")
    out = tmp_path / "cut"
    process = start(video_dir, out, f"prepare.scheduler={address}")
    with Client(address, set_as_default=False) as client:
        pids = client.run(os.getpid)

        def busy():
            done = len(list(Journal(out / "videos").replay()))
            return [worker for worker, keys in client.processing().items() if keys] if done else []

        os.kill(pids[wait_for(busy, process)[0]], signal.SIGKILL)
    told = ended(process)
    assert "48 images from 8 videos" in told
    index = cut(video_dir, out, "prepare.frames=6")
    assert told_of(index) == told_of(expected)
    assert len(list(out.rglob("*.jpg"))) == 48
    assert not list(out.rglob("*.partial"))
