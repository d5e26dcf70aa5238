"""No plot hides its data or cuts its words, and the colours of real and fake stand for nothing else."""

import numpy as np
import pytest
import torch
from matplotlib.colors import to_hex
from matplotlib.figure import Figure

from addnet.colours import FAKE, REAL
from addnet.data.audit.actors import Actors
from addnet.data.audit.plots import faces_plot
from addnet.evaluation.plots import confusion_plot, curves_plot
from addnet.inference.annotating import drawn
from addnet.inference.answers import Answer, FaceAnswer
from addnet.inference.timeline import timeline_plot
from addnet.models import BandpassLayer
from addnet.plotting import heading
from addnet.sweeps import make_table, read_sweep
from addnet.sweeps.plot import summary_plot
from addnet.training.callbacks.bandpass_monitor import filtered_plot, response_plot
from test_summary import make_sweep


def _faces(tracks):
    return tuple(
        FaceAnswer("fake", 0.6, 0.6, "detector", (0, 2, 50, 60), n, n / 25, t) for t in range(tracks) for n in (0, 1)
    )


def _timeline(tracks, score=0.7):
    video = {"path": "a.mp4", "kind": "video", "people": tracks, "track": 0}
    return Answer("fake" if score > 0.5 else "real", score, score, 0.5, faces=_faces(tracks), **video)


def _sweep(root):
    return make_sweep(root, {f"model={m} ablation={a} seed=0": 0.5 for m in range(7) for a in ("base", "ones")})


def _people():
    values = np.linspace(0.2, 0.8, 40, dtype=np.float32)
    return Actors(("train", "test"), np.zeros((40, 2), np.int64), values, values / 2, (40, 40), (40, 40))


@pytest.fixture
def metrics(tmp_path):
    return {
        "timeline": timeline_plot(_timeline(9)),
        "sweep": summary_plot(make_table(read_sweep(_sweep(tmp_path)))),
        "people": faces_plot([_people()]),
        "response": response_plot(BandpassLayer(kernel_size=7), 0),
    }


def test_no_legend_lies_over_data(metrics):
    for name, figure in metrics.items():
        figure.draw_without_rendering()
        legends = [*figure.legends, *(axis.get_legend() for axis in figure.axes if axis.get_legend())]
        assert legends, name
        boxes = [axis.get_window_extent() for axis in figure.axes]
        assert not any(legend.get_window_extent().overlaps(box) for legend in legends for box in boxes), name


def test_what_is_neither_real_nor_fake_has_colours_of_its_own(metrics):
    drawn_in = {
        to_hex(line.get_color()).upper()
        for name in ("sweep", "response")
        for axis in metrics[name].axes
        for line in axis.lines
    }
    assert drawn_in
    assert not drawn_in & {REAL, FAKE}


@pytest.mark.parametrize(("score", "colour"), [(0.7, FAKE), (0.2, REAL)])
def test_the_score_of_a_video_has_the_colour_of_its_side(score, colour):
    lines = {line.get_label(): line.get_color() for line in timeline_plot(_timeline(1, score)).axes[0].lines}
    assert [of for label, of in lines.items() if label.startswith("video ")] == [colour]
    assert not {REAL, FAKE} & {of for label, of in lines.items() if not label.startswith("video ")}


def test_people_of_a_video_are_told_apart():
    lines = timeline_plot(_timeline(9)).axes[0].lines
    assert (
        len({(line.get_color(), line.get_linestyle()) for line in lines if line.get_label().startswith("track")}) == 9
    )


def test_an_empty_class_has_no_share():
    texts = [text.get_text() for text in confusion_plot([[3, 1], [0, 0]], ["real", "fake"], title="").axes[0].texts]
    assert texts == ["3\n75.0%", "1\n25.0%", "0\n–", "0\n–"]


def test_one_epoch_is_epoch_1_and_nothing_between():
    axis = curves_plot({"val/frame/loss": [(0, 0.5)]}, title="training").axes[0]
    assert axis.get_xticks().tolist() == [1]


def test_a_title_fits_into_its_plot():
    for figure, text in ((Figure(figsize=(12, 3)), "folder/" * 60 + "$a.jpg"), (Figure(figsize=(3, 3)), "W" * 99)):
        heading(figure, text)
        figure.draw_without_rendering()
        box = figure.get_suptitle(), figure._suptitle.get_window_extent()
        assert box[0].endswith(text[-5:].replace("$", r"\$"))
        assert figure.bbox.x0 <= box[1].x0
        assert box[1].x1 <= figure.bbox.x1
    single = filtered_plot(BandpassLayer(kernel_size=7), torch.rand(1, 3, 16, 16), 11)
    single.draw_without_rendering()
    assert single._suptitle.get_window_extent().x0 >= 0


def test_labels_of_faces_at_the_edge_are_whole():
    letters = []
    for left in (300, 620):
        face = FaceAnswer("fake", 0.6, 0.6, "detector", (left, 100, left + 20, 200), 0, 0.0, 0)
        grey = np.full((360, 640, 3), 120, np.uint8)
        image = drawn(grey, [face], class_names=("real", "fake"), answer=_timeline(2))
        letters.append(int((image[70:100].min(axis=2) > 200).sum()))
    assert letters[0] == letters[1] > 0
