"""Answers → files: a JSON Lines file and a CSV sheet, written as answers come."""

from __future__ import annotations

import csv
import json
import signal
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import IO, Any

from rich.table import Table

from addnet.errors import NotWrittenError
from addnet.inference.answers import Answer
from addnet.untrusted.texts import in_data, in_json, in_markup
from addnet.wording import count

COLUMNS = (
    *("path", "kind", "verdict", "probability", "score", "threshold", "faces", "frames", "reason"),
    *("people", "track", "log10_lr", "label"),
)
_NAMES = ("answers.csv", "answers.jsonl")
_DETECTOR = "detector.json"


class AnswerFiles:
    """Writes `answers.csv` and `answers.jsonl` line by line, so that both files are valid if the process is killed.

    Args:
        folder: Output folder, created if needed.
        about: Description of the detector, for `detector.json` in the same folder.
        label: True class of all files, `real` or `fake`, if it is known: then `addnet evaluate scores.file=answers.csv`
            computes metrics from them.

    Attributes:
        answers: The answers added so far.
    """

    def __init__(self, folder: Path, *, about: Mapping[str, Any] | None = None, label: str = "") -> None:
        self.folder = folder
        self._label = label
        self._about = about
        self._streams: list[IO[str]] = []
        self.answers: list[Answer] = []

    def __enter__(self) -> AnswerFiles:
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            self._streams = [(self.folder / name).open("w", newline="", encoding="utf-8") for name in _NAMES]
            csv.writer(self._streams[0]).writerow(COLUMNS)
            if self._about is not None:
                text = in_json(json.dumps(self._about, indent=2, ensure_ascii=False))
                (self.folder / _DETECTOR).write_text(f"{text}\n", encoding="utf-8")
        except OSError as error:
            raise NotWrittenError(f"cannot write to {self.folder}: {error.strerror or error}") from error
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for stream in self._streams:
            stream.close()

    def add(self, answer: Answer) -> None:
        """Writes one answer; Ctrl-C waits until both files have it.

        Raises:
            NotWrittenError: The disk is full, or the folder is gone.
        """
        sheet, lines = self._streams
        try:
            with _uninterrupted():
                csv.writer(sheet).writerow([_cell(value) for value in row_of(answer, label=self._label)])
                lines.write(in_json(json.dumps(answer.as_dict(), ensure_ascii=False)) + "\n")
                for stream in self._streams:
                    stream.flush()
                self.answers.append(answer)
        except OSError as error:
            raise NotWrittenError(
                f"cannot write to {self.folder}: {error.strerror or error}; the answers so far are kept"
            ) from error


@contextmanager
def _uninterrupted() -> Iterator[None]:
    """Delays Ctrl-C until the block has ended; does nothing outside the main thread, which alone gets signals."""
    before = signal.getsignal(signal.SIGINT)
    if threading.current_thread() is not threading.main_thread() or not callable(before):
        yield
        return
    pending: list[int] = []
    signal.signal(signal.SIGINT, lambda number, _: pending.append(number))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
    if pending:
        before(pending[0], None)


def row_of(answer: Answer, *, label: str = "") -> tuple[Any, ...]:
    """Returns an answer as a row of `COLUMNS`, with the true class of its file if that is known."""
    about = (in_data(answer.path), answer.kind, answer.verdict, answer.probability, answer.score, answer.threshold)
    return (
        *about,
        len(answer.faces),
        answer.frames or "",
        in_data(answer.reason),
        answer.people,
        answer.track,
        answer.log10_lr,
        label,
    )


def _cell(value: Any) -> Any:
    """Returns a value for a spreadsheet; text that would be run as a formula gets a leading apostrophe."""
    if isinstance(value, str) and value[:1] in ("=", "+", "-", "@", "\t"):
        return f"'{value}"
    return "" if value is None else f"{value:.6f}" if isinstance(value, float) else value


def table_of(answers: Iterable[Answer], *, title: str) -> Table:
    """Returns answers as a table for the terminal."""
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
        table.add_row(in_markup(answer.path), answer.verdict, *numbers, in_markup(_remark(answer)))
    return table


def _remark(answer: Answer) -> str:
    return "; ".join(part for part in (answer.evidence, _about(answer)) if part)


def _about(answer: Answer) -> str:
    if answer.score is None:
        return answer.reason
    why = [answer.reason] if answer.reason else []
    if answer.kind == "video":
        return "; ".join((*why, _people_of_video(answer), *answer.notes))
    if answer.others:
        why.append(f"the largest of {answer.people} faces")
    elif len(answer.faces) > 1:
        why.append(f"the most suspicious of {answer.people} faces")
    return "; ".join(why)


def _people_of_video(answer: Answer) -> str:
    """Says which track the score is of, in how many frames it appears, and how many people weren't scored."""
    seen = len(answer.deciding)
    if answer.people < 2:
        return f"{seen} of {count(answer.frames, 'frame')} with a face"
    who = f"track {answer.track}, in {seen} of {count(answer.frames, 'frame')}"
    if answer.others:
        return f"{who}; {count(answer.others, 'other person', 'other people')} not scored"
    return f"{who}; the most suspicious of {answer.people} people"
