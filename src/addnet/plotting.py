"""What all plots share beside their colours: legends that hide nothing, titles that fit, whole numbers on an axis."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from addnet.untrusted.texts import in_plot

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_WIDE = 16  # characters of a label that leaves no room beside it
_SHARE = 0.98  # of the plot's width, for a title


def legend_below(axis: Axes, **how: Any) -> None:
    """A legend under the axis, where it can hide nothing; none where nothing has a label."""
    handles, labels = axis.get_legend_handles_labels()
    if handles:
        columns = 1 if max(map(len, labels)) > _WIDE else min(len(handles), 3)
        place: dict[str, Any] = {"loc": "upper center", "bbox_to_anchor": (0.5, -0.16), "ncols": columns}
        axis.legend(**(place | {"fontsize": "small", "frameon": False} | how))


def heading(figure: Figure, text: str, **how: Any) -> None:
    """A title above all panels, taken literally; of one that is too long, such as a path, its end is kept."""
    title = figure.suptitle(in_plot(text), **how)
    while len(text) > 1 and (width := title.get_window_extent().width) > _SHARE * figure.bbox.width:
        kept = min(len(text) - 2, int(len(text) * _SHARE * figure.bbox.width / width))
        text = f"…{text[len(text) - kept :]}"
        title.set_text(in_plot(text))


def whole_numbers_along(axis: Axes, values: list[int]) -> None:
    """Whole numbers only on the x axis, also where there is but one."""
    from matplotlib.ticker import MaxNLocator

    axis.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    if values and min(values) == max(values):
        axis.set_xlim(values[0] - 1, values[0] + 1)
        axis.set_xticks(values[:1])
