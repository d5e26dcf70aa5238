"""Common parts of all plots: legends that cover no data, titles that fit, whole numbers on an axis."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from addnet.untrusted.texts import in_plot

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_WIDE = 16  # characters; with a longer label, the legend has one column
_SHARE = 0.98  # largest width of a title, as a share of the plot's width


def legend_below(axis: Axes, **how: Any) -> None:
    """Adds a legend below the axes, where it covers no data; does nothing without labels."""
    handles, labels = axis.get_legend_handles_labels()
    if handles:
        columns = 1 if max(map(len, labels)) > _WIDE else min(len(handles), 3)
        place: dict[str, Any] = {"loc": "upper center", "bbox_to_anchor": (0.5, -0.16), "ncols": columns}
        axis.legend(**(place | {"fontsize": "small", "frameon": False} | how))


def heading(figure: Figure, text: str, **how: Any) -> None:
    """Adds a title above all panels, with any `$` shown literally; a title that is too long is cut at its start."""
    title = figure.suptitle(in_plot(text), **how)
    while len(text) > 1 and (width := title.get_window_extent().width) > _SHARE * figure.bbox.width:
        kept = min(len(text) - 2, int(len(text) * _SHARE * figure.bbox.width / width))
        text = f"…{text[len(text) - kept :]}"
        title.set_text(in_plot(text))


def whole_numbers_along(axis: Axes, values: list[int]) -> None:
    """Sets only whole numbers as ticks of the x axis, even if there is just one value."""
    from matplotlib.ticker import MaxNLocator

    axis.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    if values and min(values) == max(values):
        axis.set_xlim(values[0] - 1, values[0] + 1)
        axis.set_xticks(values[:1])
