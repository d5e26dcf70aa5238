"""The service on a port of this machine, until it is told to stop."""

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

_GRACE = 5  # seconds that requests under way have once the service is told to stop


class _Server(uvicorn.Server):
    """Ends by returning: uvicorn's own would be killed by the signal that it caught."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    def stop(self) -> None:
        """Ends; told so once more, without waiting for what is under way."""
        self.should_exit, self.force_exit = True, self.should_exit


def serve(app: Any, *, host: str, port: int) -> None:
    """Serves until SIGTERM or Ctrl-C; answers under way are sent, as far as that takes seconds.

    Args:
        app: An ASGI application.
        host: An address of this machine.
        port: 0: any that is free.

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
            raise UserError(f"{host}:{port} can't be used ({error}); take another host= or port=") from error
        shown = f"[{host}]" if ":" in host else host
        log.info("the service: http://%s:%d, described at /docs (Ctrl-C ends it)", shown, bound.getsockname()[1])
        server = _Server(config)
        on_signals(server.stop)
        server.run(sockets=[bound])
    log.info("ended; files are gone")
