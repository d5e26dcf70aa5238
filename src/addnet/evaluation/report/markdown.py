"""A report as Markdown, with its pictures in files beside it."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator

from addnet.evaluation.report.document import Block, Cell, Document, Gallery, Paragraph, Section, Table


def markdown(document: Document, *, pictures: str) -> str:
    """The whole text.

    Args:
        document: What to tell.
        pictures: Folder of the PNG files, relative to the Markdown file.
    """
    lines = [f"# {_safe(document.title)}", ""]
    lines += [line for sentence in document.summary for line in (_safe(sentence), "")]
    for section in document.sections:
        lines += _section(section, 2, pictures)
    return "\n".join(lines).rstrip() + "\n"


def _section(section: Section, depth: int, pictures: str) -> Iterator[str]:
    yield f"{'#' * min(depth, 6)} {_safe(section.title)}"
    yield ""
    for block in section.blocks:
        yield from _block(block, pictures)
        yield ""
    for part in section.parts:
        yield from _section(part, depth + 1, pictures)


def _block(block: Block, pictures: str) -> Iterator[str]:
    if isinstance(block, Paragraph):
        yield _safe(block.text)
    elif isinstance(block, Table):
        yield from _table(block)
    else:
        yield from _gallery(block, pictures)


def _table(table: Table) -> Iterator[str]:
    if table.title:
        yield f"**{_safe(table.title)}**"
        yield ""
    yield f"| {' | '.join(map(_safe, table.head))} |"
    yield "|" + "|".join("---" if i < table.texts else "---:" for i in range(len(table.head))) + "|"
    for row in table.rows:
        yield f"| {' | '.join(map(_cell, row))} |"


def _gallery(gallery: Gallery, pictures: str) -> Iterator[str]:
    for picture in gallery.pictures:
        yield f"![{_safe(picture.alt)}]({pictures}/{picture.stem}.png)"
        if picture.caption:
            yield ""
            yield _safe(picture.caption)
            yield ""


def _cell(cell: Cell) -> str:
    return _safe(f"{cell.text} {cell.small}".strip())


def _safe(text: str) -> str:
    """On one line, without HTML, table columns, emphasis or links of its own."""
    escaped = html.escape(" ".join(text.split()), quote=False)
    return re.sub(r"([\\`*|]|(?<!\w)_|_(?!\w)|\](?=\())", r"\\\1", escaped)
