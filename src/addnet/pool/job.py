"""The job: the function that is applied to each task, how it is sent to the workers, and how they run it."""

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
    """The result of one task, pickled by the worker, or the reason why there is no result."""

    result: bytes | None
    reason: str = ""


@dataclass(frozen=True)
class PoolJob(Generic[Task, Result]):
    """The function that is applied to every task, pickled once and unpickled once in each process.

    The state of `function` therefore lives as long as the process: `partial(examine, landmarker=Landmarker())` opens
    the landmarker once. `function` and `start` are pickled together: an object that both refer to stays one object.

    Attributes:
        packed: `function` and `start`, pickled.
        token: Distinguishes this job from others that use the same worker.
        limits: Memory and time that each task may use; enforced only in the processes of a pool.
        version: The version of addnet; a worker with a different version refuses the job.
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
        """Pickles a function, and another one that prepares its process.

        Args:
            function: Task → result. An exception marks its task as failed. It may run again for the same task if a
                worker died. It must be picklable: defined in a module, or a `partial` of such a function.
            start: Called once in each process before its first task; an exception stops the whole job.
            limits: Memory and time that each task may use; default: `Limits()`.
        """
        return cls(pickle.dumps((function, start)), limits or Limits())


@lru_cache(maxsize=2)
def opened(job: PoolJob[Task, Result]) -> Callable[[Task], Result]:
    """Returns the function of a job, unpickled once in each worker."""
    cv2.setNumThreads(1)  # one process per core is running already
    return unpacked(job)


def unpacked(job: PoolJob[Task, Result]) -> Callable[[Task], Result]:
    """Returns the function of a job after calling its `start`."""
    function, start = pickle.loads(job.packed)
    if start:
        start()
    return function  # type: ignore[no-any-return]


def work(job: PoolJob[Task, Result], tasks: Sequence[Task]) -> list[Outcome]:
    """Runs a chunk of tasks in the worker.

    Raises:
        UserError: This process has a different version of addnet.
    """
    if job.version != __version__:
        where = f"process {os.getpid()} on {platform.node()}"
        raise UserError(
            f"{where} has addnet {__version__}, but the job needs {job.version}: install the same version everywhere"
        )
    function = opened(job)
    return [outcome_of(function, task, job.limits) for task in tasks]


def outcome_of(function: Callable[[Task], Result], task: Task, limits: Limits) -> Outcome:
    """Returns the result of one task, or the message of its exception."""
    try:
        with Bound(limits):
            result = function(task)
        return Outcome(pickle.dumps(result))
    except UserError as error:
        return Outcome(None, str(error))
    except Exception as error:  # an exception in one task must not stop the others
        return Outcome(None, f"{type(error).__name__}: {error}")
