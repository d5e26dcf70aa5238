"""An index opens lean, and loader processes share its pages; with ADDNET_INDEX_ROWS=1200000, at full size."""

import json
import os
import subprocess
import sys

import numpy as np
import pyarrow as pa
import pytest

from addnet.index import FaceIndex
from addnet.index.file import SCHEMA, write_index

pytestmark = pytest.mark.slow

ROWS = int(os.environ.get("ADDNET_INDEX_ROWS", 120_000))
MILLION = ROWS / 1_200_000

# what a process needs beside the index is measured apart; metrics in MB
OPEN = """
import json, sys, time
import numpy, pyarrow.compute, pyarrow.parquet
from addnet.index import FaceIndex
pyarrow.array(numpy.zeros(1))  # brings pandas, where that is installed
peak = lambda: int(open("/proc/self/status").read().split("VmHWM:")[1].split()[0]) / 1024
before, start = peak(), time.monotonic()
index = FaceIndex(sys.argv[1])
records, landmarks = index.records(), index.landmarks
print(json.dumps({"seconds": time.monotonic() - start, "before": before, "peak": peak()}))
"""

SHARE = """
import gc, json, multiprocessing, sys
import numpy as np
from addnet.data.dataset import DeepfakeDataset
from addnet.data.usable import usable
from addnet.faces import AttentionMask, Geometry
from addnet.index import FaceIndex
index = FaceIndex(sys.argv[1])
part = usable(index.records(), {"": index})
dataset = DeepfakeDataset(
    "", part.records, landmarks=part.landmarks, shapes=part.shapes, geometry=Geometry(size=64), mask=AttentionMask()
)

np.random.default_rng()  # imported now, not in the process
gc.freeze()  # a collection there would write into each object of the modules, and hide what the index costs
def changed():  # pages that are a copy of its own
    text = open("/proc/self/smaps_rollup").read()
    return int(text.split("Private_Dirty:")[1].split()[0]) / 1024

def work(queue):
    before = changed()
    for row in np.random.default_rng(0).integers(0, len(dataset), 5000).tolist():
        dataset.records[row], dataset.landmarks[row], dataset.labels[row]
    queue.put({"own": changed() - before})

queue = multiprocessing.get_context("fork").Queue()
process = multiprocessing.get_context("fork").Process(target=work, args=(queue,))
process.start()
print(json.dumps(queue.get() | {"table": part.records.table.nbytes / 2**20}))
process.join()
"""


@pytest.fixture(scope="module")
def large(tmp_path_factory):
    """An index as WildDeepfake's would be: 160 images a video."""
    numbers = np.arange(ROWS)
    random = np.random.default_rng(0)

    def coded(each, name):
        texts = pa.array([name.format(n) for n in range(int(each.max()) + 1)])
        return pa.DictionaryArray.from_arrays(pa.array(each, pa.int32()), texts)

    constant = {"dataset": "wilddeepfake", "method": "", "identity": "", "detector": "dlib", "source": ""}
    columns = {name: coded(numbers * 0, text) for name, text in constant.items()}
    columns |= {name: coded(numbers // 160, "wilddeepfake/fake/{}") for name in ("video_id", "group_id")}
    columns |= {"split": coded(numbers * 2 // ROWS, "{}"), "step": coded(numbers % 3, "step {}")}
    columns["path"] = pa.array([f"fake_train/{n // 9000}.tar.gz/fake/{n // 160}/{n % 160}.png" for n in numbers])
    columns["hash"] = pa.array([random.bytes(16).hex() for _ in numbers])
    box = pa.FixedSizeListArray.from_arrays(pa.array(random.random(4 * ROWS, dtype=np.float32)), 4)
    columns |= {"box": box, "source_box": box, "landmarks": pa.array([""] * ROWS), "reason": pa.nulls(ROWS)}
    columns |= {"label": numbers % 2, "frame": numbers % 160, "width": numbers * 0 + 224, "height": numbers * 0 + 224}
    columns |= {"offset": numbers * 512, "length": numbers % 90_000, "size": numbers % 90_000, "mtime_ns": numbers}
    table = pa.table([pa.array(columns[field.name]).cast(field.type) for field in SCHEMA], schema=SCHEMA)
    file = tmp_path_factory.mktemp("large") / "index.parquet"
    write_index(file, table, lambda start, stop: _landmarks(np.arange(start, stop)), root="/data")
    return file


def _landmarks(rows):
    return (rows[:, None] % 1000 + np.arange(136) / 1000).astype(np.float32)


def measured(script, file):
    ended = subprocess.run([sys.executable, "-c", script, str(file)], capture_output=True, text=True, timeout=300)
    assert ended.returncode == 0, ended.stderr[-3000:]
    found = json.loads(ended.stdout.splitlines()[-1])
    sys.stdout.write(f"\n{ROWS} rows: {found}\n")
    return found


@pytest.mark.skipif(sys.platform != "linux", reason="memory is told by Linux's /proc")
def test_opening_takes_little_memory(large):
    found = measured(OPEN, large)
    assert found["peak"] - found["before"] < 30 + 300 * MILLION


@pytest.mark.skipif(sys.platform != "linux", reason="pages are counted by Linux's /proc")
def test_a_loader_process_owns_next_to_nothing(large):
    found = measured(SHARE, large)
    assert found["own"] < 8 < found["table"]  # though it looked at thousands of rows


def test_rows_and_landmarks_belong_together(large):
    index = FaceIndex(large)
    for row in (0, 16_383, 16_384, ROWS - 1):
        np.testing.assert_array_equal(index.landmarks[row].ravel(), _landmarks(np.array([row]))[0])
        assert index.find(pa.array([index.records()[row].path], pa.large_string())) == [row]
    assert index.landmarks._blocks[0].base is not None  # mapped, not decoded


def test_landmarks_survive_a_rewrite_by_another_program(large, tmp_path):
    import pyarrow.parquet as pq

    table = pq.read_table(large).slice(100, 40_000)
    pq.write_table(table, tmp_path / "part.parquet", compression="snappy", row_group_size=25_000)
    pq.write_table(table, tmp_path / "plain.parquet", compression="none")
    for name in ("part.parquet", "plain.parquet"):
        landmarks = FaceIndex(tmp_path / name).landmarks
        for row in (0, 24_999, 25_000, 39_999):
            np.testing.assert_array_equal(landmarks[row].ravel(), _landmarks(np.array([row + 100]))[0])
