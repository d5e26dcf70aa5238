"""What the plots of a training show, and that nothing lies over anything."""

import pytest
import torch
from matplotlib.colors import to_hex

from addnet.colours import FAKE, REAL, TRAIN, VAL, rgb
from addnet.evaluation.plots import curves_plot, roc_plot
from addnet.evaluation.report.plots import FAKE as FAKE_IN_REPORTS
from addnet.inference import annotating
from addnet.preparation.plots import COLOURS

PANELS = {
    "loss": ["train/frame/loss", "val/frame/loss"],
    "accuracy": ["train/frame/accuracy", "val/frame/accuracy", "val/video/accuracy"],
    "auroc": ["val/frame/auroc", "val/video/auroc"],
    "sigma in pixels": ["bandpass/sigma_low", "bandpass/delta", "bandpass/sigma_high"],
}


@pytest.fixture(scope="module")
def curves():
    names = [name for names in PANELS.values() for name in names]
    return curves_plot({name: [(0, 0.5), (1, 0.6)] for name in names}, title="training")


@pytest.fixture(scope="module")
def roc():
    labels = torch.arange(40) % 2
    scores = (labels + torch.linspace(0, 1, 40)).double() / 2
    return roc_plot({"images": (scores, labels), "videos": (scores[:10], labels[:10])}, title="test")


def test_training_and_validation_have_one_colour_in_all_panels(curves):
    assert [axis.get_ylabel() for axis in curves.axes] == list(PANELS)
    seen = {line.get_label(): to_hex(line.get_color()) for axis in curves.axes for line in axis.lines}
    assert (seen["training"], seen["validation"]) == (TRAIN.lower(), VAL.lower())
    assert seen["validation, videos"] == seen["validation"]
    for axis in curves.axes:
        for line in axis.lines:
            assert seen[line.get_label()] == to_hex(line.get_color())


def test_epochs_are_counted_from_1(curves):
    assert all(list(line.get_xdata()) == [1, 2] for axis in curves.axes for line in axis.lines)


def test_the_roc_of_a_test_has_images_and_videos_with_their_auroc(roc):
    labels = [text.get_text() for text in roc.axes[0].get_legend().get_texts()]
    assert [label.split(", AUROC ")[0] for label in labels] == ["images", "videos"]
    assert all(0 <= float(label.split("AUROC ")[1]) <= 1 for label in labels)
    assert [axis.get_title() for axis in roc.axes[1:]] == ["scores of images", "scores of videos"]


def test_real_and_fake_have_one_colour_each_everywhere(roc):
    for axis in roc.axes[1:]:
        handles, labels = axis.get_legend_handles_labels()
        drawn = {label: to_hex(bar.get_facecolor()).upper() for bar, label in zip(handles, labels, strict=True)}
        assert drawn == {"real": REAL, "fake": FAKE}
    assert (COLOURS[0], COLOURS[1], FAKE_IN_REPORTS) == (REAL, FAKE, FAKE)
    assert (rgb(REAL), rgb(FAKE)) == annotating._COLOURS


@pytest.mark.parametrize("name", ["curves", "roc"])
def test_a_legend_lies_over_no_data(name, request):
    figure = request.getfixturevalue(name)
    figure.draw_without_rendering()
    for axis in figure.axes:
        assert not axis.get_legend().get_window_extent().overlaps(axis.get_window_extent())
