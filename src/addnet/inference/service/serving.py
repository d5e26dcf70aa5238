"""Runs the service on a port of this machine until it is stopped."""

from __future__ import annotations

import logging
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import uvicorn

from addnet.errors import UserError
from addnet.inference.answering.stopping import on_signals

log = logging.getLogger(__name__)

_GRACE = 5  # seconds to finish running requests once the service is stopped


class _Server(uvicorn.Server):
    """Returns when stopped, whereas uvicorn's own server raises the signal again that it caught."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    def stop(self) -> None:
        """Stops the server; a second call stops it without waiting for running requests."""
        self.should_exit, self.force_exit = True, self.should_exit


def serve(app: Any, *, host: str, port: int) -> None:
    """Serves until SIGTERM or Ctrl-C; running requests then have a few seconds to finish.

    Args:
        app: An ASGI application.
        host: An address of this machine.
        port: The port; 0: any free port.

    Raises:
        UserError: The address can't be used.
    """
    config = uvicorn.Config(
        app, log_config=None, access_log=False, timeout_graceful_shutdown=_GRACE, server_header=False, lifespan="off"
    )
    logging.getLogger("uvicorn.error").setLevel(logging.WARNING)
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as bound:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            bound.bind((host, port))
        except (OSError, OverflowError) as error:
            raise UserError(f"{host}:{port} can't be used ({error}); set another host= or port=") from error
        shown = f"[{host}]" if ":" in host else host
        log.info("the service: http://%s:%d, documented at /docs (Ctrl-C stops it)", shown, bound.getsockname()[1])
        server = _Server(config)
        on_signals(server.stop)
        server.run(sockets=[bound])
    log.info("stopped; all files have been deleted")
