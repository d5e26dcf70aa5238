"""The page on a port of this machine: nothing is sent elsewhere, nothing stays on the disk."""

from __future__ import annotations

import ipaddress
import logging
import os
import signal
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from addnet.errors import UserError
from addnet.inference.page.layout import style

log = logging.getLogger(__name__)

_FONTS = ["system-ui", "-apple-system", "Segoe UI", "Roboto", "Helvetica Neue", "Arial", "sans-serif"]
_MONO = ["ui-monospace", "Consolas", "monospace"]
_QUIET = {
    "GRADIO_ANALYTICS_ENABLED": "False",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "HF_HUB_OFFLINE": "1",
    "DO_NOT_TRACK": "1",
}


@dataclass(frozen=True)
class Address:
    """Where the page is served.

    Attributes:
        host: An address of this machine.
        port: None: the first free one from 7860.
        open_browser: Opens the page in the browser of this machine.
    """

    host: str = "127.0.0.1"
    port: int | None = None
    open_browser: bool = False


def require_gradio() -> None:
    """Imports Gradio, which has to find its environment as `private_folder` makes it.

    Raises:
        UserError: It isn't installed.
    """
    try:
        import_module("gradio")
    except ImportError as error:
        raise UserError(f"the page needs Gradio ({error}): pip install 'addnet[app]'") from error


def warn_unless_loopback(host: str) -> None:
    """Warns where others can reach the page."""
    if not is_loopback(host):
        log.warning(
            "host=%s: everyone who can reach this machine over the network can use the page and upload files to it; "
            "there is no password and no encryption. host=127.0.0.1 keeps it to this machine",
            host,
        )


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach an address.

    Example:
        >>> is_loopback("127.0.0.1"), is_loopback("localhost"), is_loopback("0.0.0.0")
        (True, True, False)
    """
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost"


@contextmanager
def private_folder() -> Iterator[Path]:
    """A folder for all temporary files of this process, Gradio's too, removed at the end.

    Settings that others made for Gradio by its environment variables, such as a public link, don't count within.
    """
    before, temporary = dict(os.environ), tempfile.tempdir
    for name in [name for name in os.environ if name.startswith("GRADIO_")]:
        del os.environ[name]
    with tempfile.TemporaryDirectory(prefix="addnet-app-", ignore_cleanup_errors=True) as folder:
        uploads = Path(folder, "uploads")
        uploads.mkdir()
        os.environ.update(_QUIET, GRADIO_TEMP_DIR=str(uploads))
        tempfile.tempdir = folder
        try:
            yield Path(folder)
        finally:
            tempfile.tempdir = temporary
            os.environ.clear()
            os.environ.update(before)


def serve(page: Any, address: Address, *, max_bytes: int) -> None:
    """Serves until SIGTERM, SIGHUP or Ctrl-C.

    Args:
        page: From `layout.build`.
        address: Where.
        max_bytes: Of an upload that the page takes; what is much larger is cut off on its way.

    Raises:
        UserError: The address can't be used.
    """
    import gradio

    logging.getLogger("httpx").setLevel(logging.WARNING)  # Gradio asks itself whether it is there
    stop = _stopped_by_signals()
    try:
        _, url, _ = page.launch(
            server_name=address.host,
            server_port=address.port,
            inbrowser=address.open_browser,
            max_file_size=2 * max_bytes,  # below, the page itself says what is too large; Gradio's words vanish
            theme=gradio.themes.Default(font=_FONTS, font_mono=_MONO),
            css=style(),
            footer_links=[],
            share=False,
            prevent_thread_lock=True,
            max_threads=1,  # torch keeps buffers for each thread that it computed in
            quiet=True,
            run_history=False,
            enable_monitoring=False,
            mcp_server=False,
            pwa=False,
            ssr_mode=False,
        )
    except OSError as error:
        where = f"{address.host}:{address.port or 'any port from 7860'}"
        raise UserError(f"{where} can't be used ({error}); take another host= or port=") from error
    log.info("the page: %s (Ctrl-C ends it)", url)
    try:
        stop.wait()
    finally:
        page.close(verbose=False)
    log.info("ended; uploads are gone")


def _stopped_by_signals() -> threading.Event:
    stop = threading.Event()
    for name in ("SIGTERM", "SIGINT", "SIGHUP"):
        if hasattr(signal, name):  # Windows has no SIGHUP
            signal.signal(getattr(signal, name), lambda *_: stop.set())
    return stop
