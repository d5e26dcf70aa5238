"""A report as Markdown, with its pictures in files beside it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from addnet.evaluation.report.document import Block, Cell, Document, Gallery, Paragraph, Section, Table
from addnet.untrusted.texts import in_markdown


def markdown(document: Document, *, pictures: str) -> str:
    """The whole text.

    Args:
        document: What to tell.
        pictures: Folder of the PNG files, relative to the Markdown file.
    """
    lines = [f"# {in_markdown(document.title)}", ""]
    lines += [line for sentence in document.summary for line in (in_markdown(sentence), "")]
    return "\n".join([*lines, in_sections(document.sections, pictures=pictures)])


def in_sections(sections: Sequence[Section], *, pictures: str) -> str:
    """Sections of the second level, and what is below them.

    Args:
        sections: In their order.
        pictures: Folder of the PNG files, relative to the Markdown file.
    """
    lines = [line for section in sections for line in _section(section, 2, pictures)]
    return "\n".join(lines).rstrip() + "\n"


def _section(section: Section, depth: int, pictures: str) -> Iterator[str]:
    yield f"{'#' * min(depth, 6)} {in_markdown(section.title)}"
    yield ""
    for block in section.blocks:
        yield from _block(block, pictures)
        yield ""
    for part in section.parts:
        yield from _section(part, depth + 1, pictures)


def _block(block: Block, pictures: str) -> Iterator[str]:
    if isinstance(block, Paragraph):
        yield in_markdown(block.text)
    elif isinstance(block, Table):
        yield from _table(block)
    else:
        yield from _gallery(block, pictures)


def _table(table: Table) -> Iterator[str]:
    if table.title:
        yield f"**{in_markdown(table.title)}**"
        yield ""
    yield f"| {' | '.join(map(in_markdown, table.head))} |"
    yield "|" + "|".join("---" if i < table.texts else "---:" for i in range(len(table.head))) + "|"
    for row in table.rows:
        yield f"| {' | '.join(map(_cell, row))} |"


def _gallery(gallery: Gallery, pictures: str) -> Iterator[str]:
    for picture in gallery.pictures:
        yield f"![{in_markdown(picture.alt)}]({pictures}/{picture.stem}.png)"
        if picture.caption:
            yield ""
            yield in_markdown(picture.caption)
            yield ""


def _cell(cell: Cell) -> str:
    return in_markdown(f"{cell.text} {cell.small}".strip())
