"""What one file may take of the process that opens it: memory and time, stated here and kept by others.

Memory is kept by the kernel: a soft limit on the data of the process (`RLIMIT_DATA`) makes OpenCV, FFmpeg, Pillow and
NumPy fail to get memory, which becomes a reason in words instead of a machine that swaps. Linux has it; elsewhere
(macOS, Windows) only the sizes bound it that are looked at before a file is decoded.

Time is kept by the parent of the process (`addnet.pool`), which ends it: code that hangs in a decoder hears nothing
else. So bounds are kept in the processes of a pool alone; in any other, a `Bound` does nothing. It is the time by the
clock, less that in which the process waited for a core (known on Linux alone), so that a busy machine refuses nothing.
"""

from __future__ import annotations

import errno
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from math import inf
from types import TracebackType
from typing import Self, TypeAlias

from addnet.errors import UserError

MEMORY = 2 << 30  # bytes that a file may take
SECONDS = 60.0  # of work on a file; a video gets more:
SECONDS_A_SECOND = 10.0  # for each second that it lasts,
SECONDS_A_FRAME = 5.0  # and for each frame in which faces are looked for
FRAMES_A_SECOND = 60  # frames of a video that count, where all of them are looked at
BYTES_A_SECOND = 8_000  # a second of a video counts as far as its file has so many bytes for it
_OUT_OF_MEMORY = -4  # cv2.Error.StsNoMem
_STATM = "/proc/self/statm"

Tell: TypeAlias = Callable[[float, float, bool], None]


class OverLimitError(UserError):
    """A file takes more memory or time than a file may."""


class OverTimeError(OverLimitError):
    """A process was ended because it took too long.

    Args:
        message: What is told.
        begun: Which of the files that it was given it was at, from 1.
    """

    def __init__(self, message: str, begun: int = 1) -> None:
        super().__init__(message)
        self.begun = begun


@dataclass(frozen=True)
class Limits:
    """What one file may take.

    Attributes:
        memory: Bytes, beyond those that its process has when it opens the file; None: any.
        seconds: Of work; None: any.
        seconds_a_second: More of them for each second that a video lasts.
        seconds_a_frame: More of them for each frame of a video in which faces are looked for.

    Raises:
        UserError: One is not above 0.
    """

    memory: int | None = MEMORY
    seconds: float | None = SECONDS
    seconds_a_second: float = SECONDS_A_SECOND
    seconds_a_frame: float = SECONDS_A_FRAME

    def __post_init__(self) -> None:
        for name in ("memory", "seconds", "seconds_a_second", "seconds_a_frame"):
            _require_limit(name, getattr(self, name))

    @classmethod
    def of(cls, *, memory_gb: float | None = MEMORY / 2**30, seconds: float | None = SECONDS) -> Limits:
        """Limits as a config has them.

        Args:
            memory_gb: GB that a file may take; None: any.
            seconds: As for the class.

        Raises:
            UserError: One is not a number above 0.
        """
        for name, value in (("memory_gb", memory_gb), ("seconds", seconds)):
            _require_limit(name, value)
        return cls(None if memory_gb in (None, inf) else int((memory_gb or 0) * 2**30), seconds)

    def more_for_video(self, *, lasts: float, size: int, every: int | None, frames: int | None) -> float:
        """Seconds that a video gets beyond `seconds`.

        Args:
            lasts: Seconds of the video. A file can say anything, so that they count as far as it has bytes for them.
            size: Bytes of the file.
            every: Every n-th frame is looked at; None: `frames` are.
            frames: How many.

        Example:
            >>> Limits().more_for_video(lasts=20, size=10**6, every=None, frames=32)
            360.0
        """
        lasts = min(lasts, size / BYTES_A_SECOND)
        looked_at = FRAMES_A_SECOND * lasts / every if every else frames or 0
        return self.seconds_a_second * lasts + self.seconds_a_frame * looked_at


def _require_limit(name: str, value: object) -> None:
    if value is None or (isinstance(value, (int, float)) and not isinstance(value, bool) and value > 0):
        return
    raise UserError(f"{name}={value!r} is not a valid limit; use a number above 0, or null for none")


class Bound:
    """Keeps the limits of one file, entered as often as the work on it goes on: what lies between doesn't count.

    Args:
        limits: What it may take, from now on.
    """

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._allowed = self._left = limits.seconds
        self._begun = 0.0  # by the clock of `_worked`
        self._data = _data_bytes()
        self._soft = -1  # of the process, to be given back

    def __enter__(self) -> Self:
        global _bound
        _bound = self
        self._begun = _worked()
        self._tell(self._left, new=True)
        if self._limits.memory is not None and self._data is not None and _tell:
            self._soft = _limit_data(self._data + self._limits.memory)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        global _bound
        _bound = None
        if self._left is not None:
            self._left -= _worked() - self._begun
        if self._limits.memory is not None and self._data is not None and _tell:
            _limit_data(self._soft, lower=False)
        if error is not None and is_memory_error(error):
            raise self.over_memory() from error

    def prolong(self, more: Callable[[Limits], float]) -> None:
        """Gives the file more time, such as `lambda limits: limits.more_for_video(…)`."""
        if self._left is not None and self._allowed is not None:
            seconds = more(self._limits)
            self._allowed, self._left = self._allowed + seconds, self._left + seconds
            self._tell(self._left - (_worked() - self._begun), new=False)

    def over_memory(self) -> OverLimitError:
        """What is said of a file for which there was no memory."""
        most = self._limits.memory
        bounded = most is not None and self._data is not None
        return OverLimitError(f"it needs more than {bytes_in_words(most or 0)} of memory" if bounded else _TOO_LITTLE)

    def _tell(self, left: float | None, *, new: bool) -> None:
        if _tell:
            _tell(inf if left is None else left, self._allowed or inf, new)


_TOO_LITTLE = "it needs more memory than there is"
_bound: Bound | None = None
_tell: Tell | None = None  # in a process that keeps bounds: its parent is told the seconds left, and of how many


def keep_bounds(tell: Tell) -> None:
    """Makes this process one that keeps bounds; it is at one file at a time.

    Args:
        tell: Called with the seconds that are left for a file, those that it may take in all, and whether it is
            another one.
    """
    global _tell
    _tell = tell


def prolong(more: Callable[[Limits], float]) -> None:
    """Gives the file that this process is at more time; nothing where no bound is kept."""
    if _bound and _tell:
        _bound.prolong(more)


@contextmanager
def memory_in_words() -> Iterator[None]:
    """Raises an `OverLimitError`, which is a `UserError`, where any library says that there was no memory."""
    try:
        yield
    except Exception as error:
        if isinstance(error, OverLimitError) or not is_memory_error(error):
            raise
        raise (_bound.over_memory() if _bound else OverLimitError(_TOO_LITTLE)) from error


def is_memory_error(error: BaseException) -> bool:
    """Whether an error, or what it came from, says that there was no memory.

    Example:
        >>> is_memory_error(MemoryError()), is_memory_error(OSError(12, "ENOMEM")), is_memory_error(ValueError())
        (True, True, False)
    """
    seen: BaseException | None = error
    while seen is not None:
        no_memory = getattr(seen, "errno", None) == errno.ENOMEM or getattr(seen, "code", None) == _OUT_OF_MEMORY
        if no_memory or isinstance(seen, MemoryError) or "bad_alloc" in str(seen):
            return True
        seen = seen.__cause__
    return False


def waited_for_core(pid: int | None = None) -> float:
    """Seconds in which a process was ready and no core was free; 0 where that isn't known.

    Args:
        pid: Of the process; None: this one.
    """
    try:
        with open(f"/proc/{pid or 'self'}/schedstat", "rb", buffering=0) as file:  # noqa: PTH123 - once a file
            return int(file.read(64).split()[1]) / 1e9
    except (OSError, IndexError, ValueError):
        return 0.0


def _worked() -> float:
    """A clock that stands still while this process waits for a core."""
    return time.monotonic() - waited_for_core()


@contextmanager
def memory_at_most(more: int) -> Iterator[None]:
    """Lets what is done within take so many bytes more than the process has now, in any process, Linux alone.

    For what is short and done once, such as reading a checkpoint: other threads share the bound.
    """
    data = _data_bytes()
    soft = -1 if data is None else _limit_data(data + more)
    try:
        yield
    finally:
        if data is not None:
            _limit_data(soft, lower=False)


def bytes_in_words(count: int) -> str:
    """Bytes as people say them.

    Example:
        >>> bytes_in_words(2 << 30), bytes_in_words(50 << 20)
        ('2 GB', '50 MB')
    """
    return f"{count / 2**30:g} GB" if count >= 1 << 30 else f"{count / 2**20:g} MB"


def _data_bytes() -> int | None:
    """What the kernel counts against `RLIMIT_DATA`, and the stack; None where it keeps no such limit."""
    try:
        import resource

        with open(_STATM, "rb", buffering=0) as file:  # noqa: PTH123 - once a file
            return int(file.read(128).split()[5]) * resource.getpagesize()
    except (ImportError, OSError):
        return None


def _limit_data(most: int, *, lower: bool = True) -> int:
    """Sets the soft limit, unless it is lower already, and returns what it was."""
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_DATA)
    if not lower or soft == resource.RLIM_INFINITY or most < soft:
        resource.setrlimit(resource.RLIMIT_DATA, (most, hard))
    return soft
