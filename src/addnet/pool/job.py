"""What is done with each task, as it travels to workers and as they do it."""

from __future__ import annotations

import os
import pickle
import platform
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Generic, NamedTuple, TypeVar

import cv2

from addnet import __version__
from addnet.errors import UserError
from addnet.untrusted.limits import Bound, Limits

Task = TypeVar("Task")
Result = TypeVar("Result")


class Outcome(NamedTuple):
    """Result of one task, pickled where it was made, or why there is none."""

    result: bytes | None
    reason: str = ""


@dataclass(frozen=True)
class PoolJob(Generic[Task, Result]):
    """What is to be done with every task, packed once and unpacked once in each process.

    So the state of `function` lives as long as the process: `partial(examine, landmarker=Landmarker())` opens the
    landmarker once. `function` and `start` are packed together: what both refer to stays one object.

    Attributes:
        packed: Both of them, pickled.
        token: Tells this job from others that use the same worker.
        limits: What each task may take; kept in processes of a pool alone.
        version: Of addnet; a worker with another one refuses.
    """

    packed: bytes
    limits: Limits = field(default_factory=Limits)
    token: str = field(default_factory=lambda: uuid.uuid4().hex)
    version: str = __version__

    @classmethod
    def of(
        cls,
        function: Callable[[Task], Result],
        start: Callable[[], object] | None = None,
        *,
        limits: Limits | None = None,
    ) -> PoolJob[Task, Result]:
        """Packs what is to be done.

        Args:
            function: Task → result; what it raises makes its task a failure. It may run again if a worker died. It
                has to be one that can be pickled: of a module, or a `partial` of one.
            start: Called once in each process before its first task; what it raises ends everything.
            limits: What each task may take of its process; default: `Limits()`.
        """
        return cls(pickle.dumps((function, start)), limits or Limits())


@lru_cache(maxsize=2)
def opened(job: PoolJob[Task, Result]) -> Callable[[Task], Result]:
    """The function of a job, unpacked once in a worker."""
    cv2.setNumThreads(1)  # there is a process for each core already
    return unpacked(job)


def unpacked(job: PoolJob[Task, Result]) -> Callable[[Task], Result]:
    """The function of a job, after its `start`."""
    function, start = pickle.loads(job.packed)
    if start:
        start()
    return function  # type: ignore[no-any-return]


def work(job: PoolJob[Task, Result], tasks: Sequence[Task]) -> list[Outcome]:
    """Does a chunk of tasks; runs in the worker.

    Raises:
        UserError: This process has another version of addnet.
    """
    if job.version != __version__:
        where = f"process {os.getpid()} on {platform.node()}"
        raise UserError(f"{where} has addnet {__version__}, but {job.version} is needed: install the same everywhere")
    function = opened(job)
    return [outcome_of(function, task, job.limits) for task in tasks]


def outcome_of(function: Callable[[Task], Result], task: Task, limits: Limits) -> Outcome:
    """Result of one task, or what it raised as text."""
    try:
        with Bound(limits):
            result = function(task)
        return Outcome(pickle.dumps(result))
    except UserError as error:
        return Outcome(None, str(error))
    except Exception as error:  # one task must not end the others, whatever it raises
        return Outcome(None, f"{type(error).__name__}: {error}")
