"""The parts of a report, independent of whether it becomes a web page or Markdown."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_DPI = 130


@dataclass(frozen=True)
class TableCell:
    """One cell of a table: a value, and small print below it, such as its interval and its threshold."""

    text: str
    small: str = ""


@dataclass(frozen=True)
class ReportTable:
    """Rows under a head; the first `texts` columns are texts, the others numbers."""

    kind: ClassVar[str] = "table"
    head: Sequence[str]
    rows: Sequence[Sequence[TableCell]]
    texts: int = 1
    title: str = ""
    folded: bool = False  # whether the web page shows it only when it is opened


@dataclass(frozen=True)
class Paragraph:
    """Plain text."""

    kind: ClassVar[str] = "paragraph"
    text: str


@dataclass(frozen=True)
class ReportImage:
    """A PNG file with the stem of its name, its caption and its alternative text."""

    stem: str
    png: bytes
    caption: str
    alt: str

    @classmethod
    def of_plot(cls, stem: str, figure: Figure, *, alt: str, caption: str = "") -> ReportImage:
        """Renders a plot at once, so that the plot itself needn't be kept."""
        buffer = io.BytesIO()
        figure.savefig(buffer, format="png", dpi=_DPI, metadata={"Software": None})
        return cls(stem, buffer.getvalue(), caption, alt)

    @classmethod
    def of_array(cls, stem: str, pixels: NDArray[np.uint8], *, alt: str, caption: str = "") -> ReportImage:
        """An image from (H, W, 3) uint8 RGB."""
        buffer = io.BytesIO()
        Image.fromarray(np.ascontiguousarray(pixels)).save(buffer, format="PNG")
        return cls(stem, buffer.getvalue(), caption, alt)


@dataclass(frozen=True)
class Gallery:
    """Images side by side, or below each other on a narrow screen."""

    kind: ClassVar[str] = "gallery"
    images: Sequence[ReportImage]
    wide: bool = False  # whether each image takes the whole width, as sheets do


Block = ReportTable | Paragraph | Gallery


@dataclass(frozen=True)
class Section:
    """A title, the blocks below it, and sections of the next level."""

    title: str
    blocks: Sequence[Block] = ()
    parts: Sequence[Section] = ()


@dataclass(frozen=True)
class Document:
    """A whole report.

    Attributes:
        title: The heading.
        summary: The sentences at the top.
        sections: The sections in order.
    """

    title: str
    summary: Sequence[str]
    sections: Sequence[Section] = field(default_factory=list)

    def images(self) -> list[ReportImage]:
        """All images of the report, in order."""

        def within(section: Section) -> list[ReportImage]:
            own = [image for block in section.blocks if isinstance(block, Gallery) for image in block.images]
            return own + [image for part in section.parts for image in within(part)]

        return [image for section in self.sections for image in within(section)]
