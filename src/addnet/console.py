"""Log output on a terminal: only the message; time, module and level are in the log file."""

from __future__ import annotations

import logging
import re
import shutil
import sys
import textwrap
from pathlib import Path
from typing import Any, TextIO

from addnet.untrusted.texts import MOST_OF_TEXT, shown, shown_lines

# the framework's own progress messages, which are only in the log file
_QUIET = ("pytorch_lightning", "lightning", "lightning_fabric")
_FORM = "[%(asctime)s][%(name)s][%(levelname)s] - %(message)s"


class ConsoleHandler(logging.StreamHandler[TextIO]):
    """Writes to the current stdout, so that lines appear above a progress bar and not inside it.

    While rich draws a bar, it replaces `sys.stdout`; a handler with the earlier stream would write into the bar.
    """

    def __init__(self, stream: Any = None) -> None:  # Hydra's own config of the handler has `stream`
        super().__init__()
        self.addFilter(_is_for_people)

    @property
    def stream(self) -> TextIO:
        """The current stdout."""
        return sys.stdout

    @stream.setter
    def stream(self, value: object) -> None:
        """Ignored: the stream is never kept."""

    def format(self, record: logging.LogRecord) -> str:
        """Formats a record, wrapped between words on a terminal."""
        text = super().format(record)
        return wrapped(text, shutil.get_terminal_size().columns) if sys.stdout.isatty() else text


class LogFormatter(logging.Formatter):
    r"""Formats records for the log file; untrusted text can neither begin a line nor move the cursor.

    Names, as arguments of a message, are shown on one line. A message passed as a whole (`"%s"`) keeps its lines;
    those after the first are indented, so that only records begin at the left.

    Args:
        fmt: The format of a record.

    Example:
        >>> record = logging.LogRecord("addnet", logging.INFO, "", 0, "%s: bad", ("a\n[2026]\x1b[2J.jpg",), None)
        >>> print(LogFormatter("%(message)s").format(record))
        a\n[2026]\x1b[2J.jpg: bad
    """

    def __init__(self, fmt: str = _FORM) -> None:
        super().__init__(fmt)

    def format(self, record: logging.LogRecord) -> str:
        """Formats a record."""
        return shown_lines(super().format(_with_names_shown(record))).replace("\n", "\n  ")


class ConsoleFormatter(logging.Formatter):
    """Formats only the message, with a prefix for warnings and errors; debug records are formatted in full.

    Example:
        >>> record = logging.LogRecord("addnet.data", logging.WARNING, "", 0, "%d files were left out", (3,), None)
        >>> ConsoleFormatter().format(record)
        'warning: 3 files were left out'
    """

    def format(self, record: logging.LogRecord) -> str:
        """Formats a record."""
        if record.levelno <= logging.DEBUG:
            return _FULL.format(record)
        record = _with_names_shown(record)
        text = shown_lines(_warned(record.getMessage()) if record.name == "py.warnings" else super().format(record))
        return text if record.levelno < logging.WARNING else f"{record.levelname.lower()}: {text}"


_FULL = LogFormatter()


def say(text: object) -> None:
    """Writes a message to stderr, for commands without a log."""
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
    """Returns a short path that works when typed: relative to the working directory if it is inside it."""
    path = Path(path)
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else str(path)


def _with_names_shown(record: logging.LogRecord) -> logging.LogRecord:
    """Returns a copy of the record with each argument on one line, unless the argument is the whole message."""
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
    r"""Extracts the sentence of a Python warning, without file, line number, class and source line.

    Example:
        >>> _warned("/lib/loop.py:32: UserWarning: few batches\n  warn('few batches')\n")
        'few batches'
    """
    match = re.match(r".*?:\d+: \w+: (.*?)(?:\n  [^\n]*)?\n?\Z", text, flags=re.DOTALL)
    return match[1] if match else text.strip()
