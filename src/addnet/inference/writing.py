"""Answers → files: a line of JSON each as they come, and a CSV sheet."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import IO, Any

from rich.table import Table

from addnet.errors import NotWrittenError
from addnet.faces.walk import printable
from addnet.inference.answers import Answer

COLUMNS = ("path", "kind", "verdict", "probability", "score", "threshold", "faces", "frames", "reason")
_NAMES = ("answers.csv", "answers.jsonl")


class AnswerFiles:
    """`answers.csv` and `answers.jsonl` of a folder, written while answers come: what is there is whole after a kill.

    Args:
        folder: Made if it is not there.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._streams: list[IO[str]] = []

    def __enter__(self) -> AnswerFiles:
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            self._streams = [(self.folder / name).open("w", newline="", encoding="utf-8") for name in _NAMES]
            csv.writer(self._streams[0]).writerow(COLUMNS)
        except OSError as error:
            raise NotWrittenError(f"cannot write to {self.folder}: {error.strerror or error}") from error
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for stream in self._streams:
            stream.close()

    def add(self, answer: Answer) -> None:
        """Writes one answer.

        Raises:
            NotWrittenError: The disk is full, or the folder is gone.
        """
        sheet, lines = self._streams
        try:
            csv.writer(sheet).writerow([_cell(value) for value in row_of(answer)])
            lines.write(json.dumps(answer.as_dict(), ensure_ascii=False) + "\n")
            for stream in self._streams:
                stream.flush()
        except OSError as error:
            raise NotWrittenError(
                f"cannot write to {self.folder}: {error.strerror or error}; the answers so far are there"
            ) from error


def row_of(answer: Answer) -> tuple[Any, ...]:
    """An answer by `COLUMNS`."""
    about = (printable(answer.path), answer.kind, answer.verdict, answer.probability, answer.score, answer.threshold)
    return (*about, len(answer.faces), answer.frames or "", answer.reason)


def _cell(value: Any) -> Any:
    """A value for a spreadsheet, where text that begins like a formula would be run as one."""
    if isinstance(value, str) and value[:1] in ("=", "+", "-", "@", "\t"):
        return f"'{value}"
    return "" if value is None else f"{value:.6f}" if isinstance(value, float) else value


def table_of(answers: Iterable[Answer], *, title: str) -> Table:
    """Answers as a table for the terminal."""
    table = Table(title=title)
    for name, justify in (
        ("file", "left"),
        ("verdict", "left"),
        ("P(fake)", "right"),
        ("score", "right"),
        ("", "left"),
    ):
        table.add_column(name, justify=justify, overflow="fold")  # type: ignore[arg-type]
    for answer in answers:
        numbers = ("" if value is None else f"{value:.3f}" for value in (answer.probability, answer.score))
        table.add_row(_escaped(printable(answer.path)), answer.verdict, *numbers, _escaped(_remark(answer)))
    return table


def _remark(answer: Answer) -> str:
    if answer.reason:
        return answer.reason
    if answer.kind == "video":
        seen = answer.frames - answer.frames_without_face
        return f"{seen} of {answer.frames} frames with a face" + "".join(f"; {note}" for note in answer.notes)
    return f"{len(answer.faces)} faces" if len(answer.faces) > 1 else ""


def _escaped(text: str) -> str:
    return text.replace("[", "\\[")
