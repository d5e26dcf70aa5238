"""Whether the server of a logger answers, asked once before anything is sent to it."""

from __future__ import annotations

_PATIENCE = 10  # seconds for the server to answer, and for a connection to it


def unreachable(service: str, address: str, *, verify: bool = True) -> str:
    """Why a server doesn't answer; empty if it does. Libraries of loggers find out after minutes, in many lines.

    Args:
        service: Its name, for the answer.
        address: Where it is, as an URL.
        verify: Whether its certificate has to be valid.
    """
    import requests

    try:
        requests.get(address, timeout=_PATIENCE, verify=verify)
    except requests.RequestException as error:
        return f"{service} cannot be reached at {address} ({type(error).__name__})"
    return ""
