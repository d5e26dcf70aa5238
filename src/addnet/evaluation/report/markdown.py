"""Renders a report as Markdown, with its images in separate files."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from addnet.evaluation.report.document import Block, Document, Gallery, Paragraph, ReportTable, Section, TableCell
from addnet.untrusted.texts import in_markdown


def markdown(document: Document, *, images: str) -> str:
    """The whole report as Markdown.

    Args:
        document: The report.
        images: Folder of the PNG files, relative to the Markdown file.
    """
    lines = [f"# {in_markdown(document.title)}", ""]
    lines += [line for sentence in document.summary for line in (in_markdown(sentence), "")]
    return "\n".join([*lines, in_sections(document.sections, images=images)])


def in_sections(sections: Sequence[Section], *, images: str) -> str:
    """Sections of the second level and those below them, as Markdown.

    Args:
        sections: The sections in order.
        images: Folder of the PNG files, relative to the Markdown file.
    """
    lines = [line for section in sections for line in _section(section, 2, images)]
    return "\n".join(lines).rstrip() + "\n"


def _section(section: Section, depth: int, images: str) -> Iterator[str]:
    yield f"{'#' * min(depth, 6)} {in_markdown(section.title)}"
    yield ""
    for block in section.blocks:
        yield from _block(block, images)
        yield ""
    for part in section.parts:
        yield from _section(part, depth + 1, images)


def _block(block: Block, images: str) -> Iterator[str]:
    if isinstance(block, Paragraph):
        yield in_markdown(block.text)
    elif isinstance(block, ReportTable):
        yield from _table(block)
    else:
        yield from _gallery(block, images)


def _table(table: ReportTable) -> Iterator[str]:
    if table.title:
        yield f"**{in_markdown(table.title)}**"
        yield ""
    yield f"| {' | '.join(map(in_markdown, table.head))} |"
    yield "|" + "|".join("---" if i < table.texts else "---:" for i in range(len(table.head))) + "|"
    for row in table.rows:
        yield f"| {' | '.join(map(_cell, row))} |"


def _gallery(gallery: Gallery, images: str) -> Iterator[str]:
    for image in gallery.images:
        yield f"![{in_markdown(image.alt)}]({images}/{image.stem}.png)"
        if image.caption:
            yield ""
            yield in_markdown(image.caption)
            yield ""


def _cell(cell: TableCell) -> str:
    return in_markdown(f"{cell.text} {cell.small}".strip())
