"""Loggers whose failures are reported and stop no training: a server may be down for an hour, a training takes days."""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import partial
from typing import Any
from weakref import WeakKeyDictionary

from pytorch_lightning.loggers import Logger

from addnet.errors import UserError
from addnet.training.loggers.csv import CSVLogger

log = logging.getLogger(__name__)

_MOST = 3  # failures, of which each may have waited for a server for minutes
_CALLED = ("log_metrics", "log_hyperparams", "log_graph", "save", "after_save_checkpoint", "finalize")  # by Lightning
_failed: WeakKeyDictionary[Logger, int] = WeakKeyDictionary()


def attempt(logger: Logger, action: Callable[..., Any], *arguments: Any, **how: Any) -> Any:
    """Calls a function of a logger or for one; what it raises becomes a line in the log.

    A logger that fails three times without taking a metric in between is left alone from then on.

    Args:
        logger: Whose failures are counted.
        action: What is called.
        *arguments: Of it.
        **how: Of it.

    Returns:
        What it returns; None where it failed.
    """
    failures = _failed.get(logger, 0)
    if failures >= _MOST:
        return None
    try:
        result = action(*arguments, **how)
    except Exception as error:  # third-party code must not stop a training that doesn't depend on it
        _failed[logger] = failures + 1
        after = "it gets nothing more" if failures + 1 == _MOST else "training continues without this entry"
        said = (str(error).splitlines() or [""])[0]
        log.warning("%s failed (%s: %s); %s", type(logger).__name__, type(error).__name__, said, after)
        log.debug("where it came from", exc_info=error)
        return None
    if getattr(action, "__name__", "") == "log_metrics":  # all else may do nothing, such as `save` of most loggers
        _failed[logger] = 0
    return result


def begun(logger: Logger) -> Logger:
    """A logger whose record is begun, and whose failures stop nothing from then on.

    The metrics file of the run folder stays as it is: where it can't be written, nothing can.

    Raises:
        UserError: The record can't be begun.
    """
    if isinstance(logger, CSVLogger):
        return logger
    try:
        _ = getattr(logger, "experiment", None)
    except UserError:
        raise
    except Exception as error:  # code of others, which speaks to a server
        said = (str(error).splitlines() or [""])[0]
        raise UserError(
            f"{type(logger).__name__} can't begin a record ({type(error).__name__}: {said}); put that right, or train "
            "without it, as with logger=csv"
        ) from error
    for name in _CALLED:
        setattr(logger, name, partial(attempt, logger, getattr(logger, name)))
    return logger
