"""Runs the page on a port of this machine; no file is sent elsewhere or stays on disk."""

from __future__ import annotations

import logging
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from addnet.errors import UserError
from addnet.inference.answering.addresses import is_loopback, own_names
from addnet.inference.answering.stopping import on_signals
from addnet.inference.answering.uploads import Uploads
from addnet.inference.page.guarding import Guard
from addnet.inference.page.layout import style
from addnet.inference.page.visitors import Visitors

log = logging.getLogger(__name__)

_FONTS = ["system-ui", "-apple-system", "Segoe UI", "Roboto", "Helvetica Neue", "Arial", "sans-serif"]
_MONO = ["ui-monospace", "Consolas", "monospace"]
_SESSIONS = 100  # sessions whose state Gradio keeps; the page itself has no state


@dataclass(frozen=True)
class PageAddress:
    """Where the page is served.

    Attributes:
        host: An address of this machine.
        port: The port; None: the first free port from 7860.
        open_browser: Whether to open the page in the browser of this machine.
    """

    host: str = "127.0.0.1"
    port: int | None = None
    open_browser: bool = False


def require_gradio() -> None:
    """Imports Gradio; call it within `private_folder`, whose environment variables it reads.

    Raises:
        UserError: Gradio isn't installed.
    """
    try:
        import_module("gradio")
    except ImportError as error:
        raise UserError(f"the page needs Gradio ({error}): pip install 'addnet[app]'") from error


def warn_unless_loopback(host: str) -> None:
    """Warns if other machines can reach the page."""
    if not is_loopback(host):
        log.warning(
            "host=%s: everyone who can reach this machine over the network can use the page and upload files to it; "
            "there is no password and no encryption. host=127.0.0.1 restricts it to this machine",
            host,
        )


def serve(
    page: Any, address: PageAddress, *, names: Sequence[str], uploads: Uploads, visitors: Visitors, max_bytes: int
) -> None:
    """Serves until SIGTERM, SIGHUP or Ctrl-C.

    Args:
        page: From `layout.build`.
        address: The address to serve at.
        names: Host names of the server besides its IP addresses and `localhost`, for example behind a proxy.
        uploads: Receives files.
        visitors: Records which visitors are connected.
        max_bytes: Largest size of an upload in bytes; the page doesn't send larger files.

    Raises:
        UserError: The address can't be used.
    """
    import gradio
    from starlette.middleware import Middleware

    local = is_loopback(address.host)
    names = [*names, *([] if local else own_names())]
    guard = Middleware(Guard, uploads=uploads, visitors=visitors, local=local, names=names)
    logging.getLogger("httpx").setLevel(logging.WARNING)  # Gradio sends requests to itself to check that it runs
    logging.getLogger("python_multipart").setLevel(logging.ERROR)  # so that visitors can't fill the log
    stop = threading.Event()
    on_signals(stop.set)
    try:
        _, url, _ = page.launch(
            server_name=address.host,
            server_port=address.port,
            inbrowser=address.open_browser,
            max_file_size=max_bytes,
            theme=gradio.themes.Default(font=_FONTS, font_mono=_MONO),
            css=style(),
            footer_links=[],
            share=False,
            prevent_thread_lock=True,
            state_session_capacity=_SESSIONS,
            app_kwargs={"middleware": [guard], "docs_url": None, "redoc_url": None, "openapi_url": None},
            quiet=True,
            run_history=False,
            enable_monitoring=False,
            mcp_server=False,
            pwa=False,
            ssr_mode=False,
        )
    except OSError as error:
        where = f"{address.host}:{address.port or 'any port from 7860'}"
        raise UserError(f"{where} can't be used ({error}); set another host= or port=") from error
    log.info("the page: %s (Ctrl-C stops it)", url)
    try:
        stop.wait()
    finally:
        visitors.close()
        page.close(verbose=False)
    log.info("stopped; all uploads have been deleted")
