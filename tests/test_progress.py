"""One can see how far it is, on a terminal and in a log."""

import io
import logging

import pytest
from rich.console import Console

from addnet.progress import show_progress


def shown(results, total, **options):
    return list(show_progress(results, total, outcome=lambda step: step, title="finding faces", **options))


def test_a_bar_counts_by_outcome_with_speed_and_passes_all_on():
    screen = io.StringIO()
    console = Console(file=screen, force_terminal=True, width=140, color_system=None)
    assert shown(["detector", "unusable", "detector"], 3, console=console) == ["detector", "unusable", "detector"]
    last = screen.getvalue()[screen.getvalue().rindex("finding faces") :]
    assert "3/3" in last
    assert "images/s" in last
    assert "detector 2 · unusable 1" in last


def test_a_bar_fits_a_line_of_80_columns_and_numbers_stay_whole():
    screen = io.StringIO()
    console = Console(file=screen, force_terminal=True, width=80, color_system=None)
    steps = ["detector", "padded, upsampled", "whole image", "unusable", "none"]
    shown((steps[at % 5] for at in range(12_345)), 12_345, console=console)
    last = screen.getvalue()[screen.getvalue().rindex("finding faces") :].rstrip()
    assert "12345/12345" in last
    assert "images/s" in last
    assert "…" in last
    assert "\n" not in last.split("\x1b[?25h")[0].rstrip()


def test_without_a_terminal_it_is_a_line_now_and_then(caplog):
    caplog.set_level(logging.INFO)
    seconds = iter([float(10 * tick) for tick in range(100)])
    console = Console(file=(file := io.StringIO()))
    shown(["detector"] * 8, 10, console=console, clock=lambda: next(seconds), done=2)
    assert file.getvalue() == ""
    assert caplog.messages == [
        "finding faces: 5 of 10 images, 6.0 images/min, 0:00:50 left (detector 3)",
        "finding faces: 8 of 10 images, 6.0 images/min, 0:00:20 left (detector 6)",
        "finding faces: 10 of 10 images, 5.3 images/min (detector 8)",
    ]


@pytest.mark.parametrize("terminal", [True, False])
def test_an_unknown_total_and_no_work_at_all_are_fine(terminal):
    console = Console(file=io.StringIO(), force_terminal=terminal)
    assert shown([], None, console=console) == []
    assert shown(["none"], None, console=console) == ["none"]


def test_an_error_passes_through_and_leaves_the_terminal_in_order():
    def broken():
        yield "detector"
        raise OSError("disk is gone")

    screen = io.StringIO()
    with pytest.raises(OSError, match="disk is gone"):
        shown(broken(), 5, console=Console(file=screen, force_terminal=True))
    assert screen.getvalue().rstrip("\n").endswith("\x1b[?25h")  # the cursor is back
