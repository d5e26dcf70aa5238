"""What `make bench` prints is what was measured, misses included."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from addnet.faces.decoding import measured
from addnet.faces.videos import Video

sys.path.insert(0, str(Path(__file__).parents[1] / "benchmarks"))
import images
from limits import multiply_adds
from measure import Ratio, Times, race
from run import PARTS
from table import Row, save, show

ROWS = [
    Row("1", "this", "that", Ratio(2.0, 1.9, 2.1), (">=", 3), {"this": 0.0021, "that": 4e-6}, "a note"),
    Row("2", "this", "that", Ratio(2.0, 1.9, 2.1), ("<=", 3)),
    Row(
        "3",
        "growth",
        "the smallest",
        Ratio(1.1, 1.1, 1.1),
        None,
        {"1 images": 2e9, "4 images": 3e9},
        "memory",
        "B",
        True,
    ),
]


def test_a_row_passes_on_the_right_side_of_its_target_alone():
    assert [row.passes for row in ROWS] == [False, True, None]


def test_the_table_shows_misses_times_and_notes(capsys):
    show(ROWS)
    one, _, _, two, three, *_ = capsys.readouterr().out.strip().splitlines()[1:]
    assert one.endswith("≥ 3 MISS")
    assert two.endswith("≤ 3 pass")
    assert three.split()[-1] == "1.1"


def test_everything_is_saved_and_drawn(tmp_path):
    content = json.loads(save(ROWS, tmp_path, name="cpu").read_text())
    assert [row["passes"] for row in content["rows"]] == [False, True, None]
    assert content["machine"]["torch"]
    assert sorted(file.name for file in tmp_path.iterdir()) == ["cpu-growth.png", "cpu.json", "cpu.png"]


def test_contenders_take_turns_and_ratios_are_those_of_rounds():
    order = []
    race({"a": lambda: order.append("a"), "b": lambda: order.append("b")}, rounds=2, seconds=0)
    assert order == ["a", "a", "b", "b", *"abab"]  # once to warm up, once to count calls
    assert Times((2.0, 9.0, 4.0)).over(Times((1.0, 3.0, 4.0))) == Ratio(2.0, 1.0, 3.0)


def test_drawn_portraits_train_without_looking_for_faces(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "dlib", None)
    dataset = images.module(images.drawn_index(tmp_path, 16, different=4)).dataset("train")
    assert len(dataset) >= 12
    assert all(sample["valid"] and sample["mask"].min() < 0.1 for sample in (dataset[0], dataset[5]))


def test_multiply_adds_of_a_step_are_those_of_three_forward_passes():
    class Depthwise(torch.nn.Conv2d):
        def forward(self, image, mask):
            return super().forward(image * mask)

    net, image = Depthwise(4, 4, 3, groups=4, padding=1), torch.rand(2, 4, 8, 8)
    assert multiply_adds(net, image, image[:, :1]) == 3 * (2 * 4 * 8 * 8) * 9


@pytest.mark.parametrize("script", ["gpu", *PARTS])
def test_every_part_is_there(script):
    module = __import__(script)
    assert module.__doc__
    assert callable(module.rows)


def test_a_photograph_has_its_person_where_it_says():
    person = np.full((40, 30, 3), 255, dtype=np.uint8)
    photo, (left, top, right, bottom) = images.photograph(person, (300, 400), share=0.5, seed=1)
    assert photo.shape == (300, 400, 3)
    assert bottom - top == 150
    assert (photo[top:bottom, left:right] == 255).all()


def test_the_video_has_as_many_frames_as_it_announces(tmp_path):
    file = images.video(tmp_path / "video.mp4", seconds=6, shape=(96, 128), rate=4)
    assert Video(file).count() == measured(file).frames == 24
