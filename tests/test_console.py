"""What a terminal shows of the log."""

import io
import logging
import sys

from rich.console import Console
from rich.live import Live

from addnet.console import ConsoleFormatter, ConsoleHandler


def shown(monkeypatch, *records):
    monkeypatch.setattr(sys, "stdout", stream := io.StringIO())
    handler = ConsoleHandler()
    handler.setFormatter(ConsoleFormatter())
    for name, level, message in records:
        handler.handle(logging.LogRecord(name, level, "", 0, message, (), None))
    return stream.getvalue()


def test_messages_are_short_and_the_framework_is_quiet(monkeypatch):
    said = ("addnet.train", logging.INFO, "folder: here"), ("pytorch_lightning.utilities", logging.INFO, "Tip: buy")
    worse = ("pytorch_lightning.utilities", logging.WARNING, "no GPU"), ("addnet", logging.ERROR, "it is not there")
    assert shown(monkeypatch, *said, *worse) == "folder: here\nwarning: no GPU\nerror: it is not there\n"


def test_a_handler_made_before_a_bar_writes_above_it(monkeypatch):
    handler = ConsoleHandler()
    terminal = io.StringIO()
    monkeypatch.setattr(sys, "stdout", terminal)
    with Live("bar", console=Console(file=terminal, force_terminal=True, width=40), refresh_per_second=1):
        assert sys.stdout is not terminal
        handler.handle(logging.LogRecord("addnet", logging.INFO, "", 0, "epoch 1", (), None))
    assert terminal.getvalue().index("epoch 1") < terminal.getvalue().rindex("bar")
