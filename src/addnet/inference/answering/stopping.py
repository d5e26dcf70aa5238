"""Handles the signals that stop a server."""

from __future__ import annotations

import signal
from collections.abc import Callable


def on_signals(stop: Callable[[], object]) -> None:
    """Calls a function on SIGTERM, SIGHUP and Ctrl-C, instead of their default actions.

    Args:
        stop: The function; it must return at once.
    """
    for name in ("SIGTERM", "SIGINT", "SIGHUP"):
        if hasattr(signal, name):  # Windows has no SIGHUP
            signal.signal(getattr(signal, name), lambda *_: stop())
