"""Reads and writes `result.json` of a run folder: how the run ended, and its metrics."""

from __future__ import annotations

import json
import math
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, Literal

from addnet.errors import RunStoppedError, UserError
from addnet.launch import process_name

RESULT = "result.json"

Status = Literal["success", "failed", "interrupted"]


@dataclass
class Result:
    """How a run ended.

    Attributes:
        status: `success`; `interrupted` by a person or a scheduler; `failed` for any other reason.
        reason: The error in a few lines; empty after a success.
        score: The value that training returned: the metric that the best checkpoint was chosen by.
        metrics: Test metrics and the best validation metric by name, such as `test/frame/auroc`; NaN where undefined.
        seconds: Duration of the run; None if the run couldn't record it.
        killed_by: Number of the signal that ended the process before it could write anything.
    """

    status: Status = "failed"
    reason: str = ""
    score: float | None = None
    metrics: dict[str, float] = field(default_factory=dict)
    seconds: float | None = None
    killed_by: int | None = None

    def in_a_line(self) -> str:
        """Returns status and reason in one line.

        Example:
            >>> Result("failed", "no such file").in_a_line(), Result("interrupted", "interrupted").in_a_line()
            ('failed: no such file', 'interrupted')
        """
        reason = " ".join(self.reason.split())
        return reason if reason.startswith(self.status) else f"{self.status}: {reason}"


def write_result(run_dir: Path, result: Result) -> Path:
    """Writes `result.json` atomically; NaN and infinity become null."""
    run_dir.mkdir(parents=True, exist_ok=True)
    content = asdict(result) | {
        "score": _number(result.score),
        "metrics": {name: _number(value) for name, value in sorted(result.metrics.items())},
    }
    return write_json(run_dir / RESULT, content)


def read_result(run_dir: Path) -> Result | None:
    """Reads the result of a run; None if it has not written one yet.

    Raises:
        UserError: The file is damaged.
    """
    content = read_json(run_dir / RESULT)
    if content is None:
        return None
    content.setdefault("metrics", content.get("figures", {}))  # the key until November 2026
    known = {key.name: content[key.name] for key in fields(Result) if key.name in content}
    metrics = known.pop("metrics")
    return Result(**known, metrics={name: math.nan if value is None else value for name, value in metrics.items()})


@contextmanager
def recorded(run_dir: Path) -> Iterator[Result]:
    """Writes `result.json` when the block ends, also after an exception; only in the first process of a run.

    Yields:
        The result; the block fills in score and metrics.
    """
    result, started = Result(), time.monotonic()
    try:
        yield result
        result.status = "success"
    except BaseException as error:
        result.status = "interrupted" if was_interrupted(error) else "failed"
        result.reason = reason_of(error)
        raise
    finally:
        result.seconds = round(time.monotonic() - started, 1)
        if process_name() is None:
            write_result(run_dir, result)


def was_interrupted(error: BaseException) -> bool:
    """Returns whether a run was ended by Ctrl-C or SIGTERM."""
    return isinstance(error, (KeyboardInterrupt, SystemExit, RunStoppedError))


def reason_of(error: BaseException) -> str:
    """Returns the message of a `UserError`; for other exceptions, the type and the first line of the message."""
    if isinstance(error, UserError):
        return str(error)
    if was_interrupted(error):
        return "interrupted"
    first = str(error).strip().splitlines()[:1]
    return ": ".join([type(error).__name__, *first])


def write_json(path: Path, content: Any) -> Path:
    """Writes a JSON file atomically: no reader ever sees it half written."""
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        draft.write_text(json.dumps(content, indent=2, allow_nan=False) + "\n", encoding="utf-8")
        draft.replace(path)
    finally:
        with suppress(FileNotFoundError):
            draft.unlink()
    return path


def read_json(path: Path) -> Any:
    """Reads a JSON file; None if it doesn't exist.

    Raises:
        UserError: It is not valid JSON.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except ValueError as error:
        raise UserError(f"{path} is damaged ({error}); remove it, and the run counts as unfinished") from error


def _number(value: float | None) -> float | None:
    return float(value) if value is not None and math.isfinite(value) else None
