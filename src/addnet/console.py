"""What a terminal shows of the log: a message alone. Time, module and level stand in the log file."""

from __future__ import annotations

import logging
import re
import shutil
import sys
import textwrap
from pathlib import Path
from typing import Any, TextIO

from addnet.untrusted.texts import MOST_OF_TEXT, shown, shown_lines

# the framework's own progress reports; they stand in the log file
_QUIET = ("pytorch_lightning", "lightning", "lightning_fabric")
_FORM = "[%(asctime)s][%(name)s][%(levelname)s] - %(message)s"


class ConsoleHandler(logging.StreamHandler[TextIO]):
    """Writes to whatever stdout is at the moment, so that lines pass above a progress bar instead of through it.

    A bar of rich replaces `sys.stdout` while it is drawn; a handler made before would write past it.
    """

    def __init__(self, stream: Any = None) -> None:  # `stream` stands in Hydra's own config of the handler
        super().__init__()
        self.addFilter(_is_for_people)

    @property
    def stream(self) -> TextIO:
        """The present stdout."""
        return sys.stdout

    @stream.setter
    def stream(self, value: object) -> None:
        """Ignored: the stream is never kept."""

    def format(self, record: logging.LogRecord) -> str:
        """The record, wrapped between words where a person reads it."""
        text = super().format(record)
        return wrapped(text, shutil.get_terminal_size().columns) if sys.stdout.isatty() else text


class LogFormatter(logging.Formatter):
    r"""A record as lines of the log file; what strangers chose can neither begin a line nor move a cursor.

    Names, which are arguments of a message, are shown on one line. A whole message (`"%s"`) keeps its lines, and those
    after the first are set in, so that only records begin at the left.

    Args:
        fmt: Of a record.

    Example:
        >>> told = logging.LogRecord("addnet", logging.INFO, "", 0, "%s: bad", ("a\n[2026]\x1b[2J.jpg",), None)
        >>> print(LogFormatter("%(message)s").format(told))
        a\n[2026]\x1b[2J.jpg: bad
    """

    def __init__(self, fmt: str = _FORM) -> None:
        super().__init__(fmt)

    def format(self, record: logging.LogRecord) -> str:
        """One record."""
        return shown_lines(super().format(_with_names_shown(record))).replace("\n", "\n  ")


class ConsoleFormatter(logging.Formatter):
    """The message alone, warnings and errors marked; all of a record while debugging.

    Example:
        >>> told = logging.LogRecord("addnet.data", logging.WARNING, "", 0, "%d files were left out", (3,), None)
        >>> ConsoleFormatter().format(told)
        'warning: 3 files were left out'
    """

    def format(self, record: logging.LogRecord) -> str:
        """One record as it is shown."""
        if record.levelno <= logging.DEBUG:
            return _FULL.format(record)
        record = _with_names_shown(record)
        text = shown_lines(_warned(record.getMessage()) if record.name == "py.warnings" else super().format(record))
        return text if record.levelno < logging.WARNING else f"{record.levelname.lower()}: {text}"


_FULL = LogFormatter()


def say(text: object) -> None:
    """A message on stderr, for what has no log."""
    sys.stderr.write(f"{shown_lines(text)}\n")


def wrapped(text: str, width: int) -> str:
    """Breaks long lines between words; paths stay whole, so that they can be copied.

    Example:
        >>> print(wrapped("folder: /a/long/path and more", 16))
        folder:
          /a/long/path
          and more
    """
    return "\n".join(
        textwrap.fill(line, width, subsequent_indent="  ", break_long_words=False, break_on_hyphens=False)
        if len(line) > width
        else line
        for line in text.split("\n")
    )


def shown_path(path: str | Path) -> str:
    """A path as short as it still works when typed: relative to the working directory if it lies in there."""
    path = Path(path)
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else str(path)


def _with_names_shown(record: logging.LogRecord) -> logging.LogRecord:
    """A copy whose arguments are on one line each, unless one is the whole message."""
    if record.msg == "%s" or not isinstance(record.args, tuple):
        return record
    copied = logging.makeLogRecord(record.__dict__)
    copied.args = tuple(
        shown(value, most=MOST_OF_TEXT) if isinstance(value, (str, Path)) else value for value in record.args
    )
    return copied


def _is_for_people(record: logging.LogRecord) -> bool:
    return record.levelno != logging.INFO or record.name.split(".")[0] not in _QUIET


def _warned(text: str) -> str:
    r"""The sentence of a Python warning, without file, line, class and source.

    Example:
        >>> _warned("/lib/loop.py:32: UserWarning: few batches\n  warn('few batches')\n")
        'few batches'
    """
    found = re.match(r".*?:\d+: \w+: (.*?)(?:\n  [^\n]*)?\n?\Z", text, flags=re.DOTALL)
    return found[1] if found else text.strip()
