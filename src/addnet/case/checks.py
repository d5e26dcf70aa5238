"""The results of the checks of a case, as a table and in words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from addnet.untrusted.texts import in_markup, shown_lines
from addnet.wording import count

if TYPE_CHECKING:
    from rich.table import Table

_SAME = {True: "the same", False: "differs", None: "–"}


@dataclass
class Check:
    """The result of one check.

    Attributes:
        name: Name of the file that was checked.
        what: Its kind: `case`, `detector`, `image`, `video` or `file`.
        problems: What differs from the record, in sentences; empty if nothing does.
        same_hash: Whether its hash is the recorded one; None if none was recorded.
        largest: The largest difference of a score; None if none was compared.
    """

    name: str
    what: str
    problems: list[str] = field(default_factory=list)
    same_hash: bool | None = None
    largest: float | None = None


def table_of(checks: Sequence[Check], *, title: str) -> Table:
    """Returns the checks as a table for the terminal."""
    from rich.table import Table

    table = Table(title=in_markup(title))
    for name in ("checked", "what", "SHA-256", "scores differ by", "as recorded"):
        table.add_column(name, overflow="fold")
    for check in checks:
        largest = "–" if check.largest is None else f"{check.largest:.1e}" if check.largest else "0"
        cells = (in_markup(check.name), check.what, _SAME[check.same_hash], largest, "no" if check.problems else "yes")
        table.add_row(*cells)
    return table


def told(checks: Sequence[Check]) -> tuple[str, int]:
    """Returns each problem on a line and the outcome; and the exit code: 0 if everything is as recorded, else 1."""
    lines = [f"{check.name}: {problem}" for check in checks for problem in check.problems]
    wrong = sum(bool(check.problems) for check in checks)
    repeated = sum(check.largest is not None for check in checks)
    if wrong:
        lines.append(f"{wrong} of {count(len(checks), 'check')} found a difference from the record")
    else:
        hashes = count(sum(check.same_hash is not None for check in checks), "hash", "hashes")
        lines.append(f"everything is as recorded: {hashes} compared, scores of {count(repeated, 'file')} repeated")
    return shown_lines("\n".join(lines)) + "\n", int(wrong > 0)
