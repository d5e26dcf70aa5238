"""Limits for the memory and time that one file may use; the kernel and the parent process enforce them.

The kernel enforces the memory limit: with a soft limit on the data of the process (`RLIMIT_DATA`), allocations of
OpenCV, FFmpeg, Pillow and NumPy fail, and the user gets an error message instead of a machine that swaps. Only Linux
does so; elsewhere (macOS, Windows) memory is limited only by the size checks before a file is decoded.

The parent process (`addnet.pool`) enforces the time limit by killing the process: nothing else stops code that hangs
in a decoder. Limits therefore hold only in the processes of a pool; in any other process a `Bound` does nothing. The
time is wall-clock time minus the time in which the process waited for a core (known only on Linux), so that no file
is refused because the machine is busy.
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

MEMORY = 2 << 30  # bytes that a file may use
SECONDS = 60.0  # of work on a file; a video gets more:
SECONDS_A_SECOND = 10.0  # for each second of its duration,
SECONDS_A_FRAME = 5.0  # and for each frame that is searched for faces
FRAMES_A_SECOND = 60  # assumed frame rate of a video of which every frame, or every n-th, is searched
BYTES_A_SECOND = 8_000  # the stated duration of a video counts only up to its file size divided by this
_OUT_OF_MEMORY = -4  # cv2.Error.StsNoMem
_STATM = "/proc/self/statm"

Tell: TypeAlias = Callable[[float, float, bool], None]


class OverLimitError(UserError):
    """A file needs more memory or time than the limits allow."""


class OverTimeError(OverLimitError):
    """A process was ended because it took too long.

    Args:
        message: The error message.
        begun: Number of the file that it was processing, among the files it was given; from 1.
    """

    def __init__(self, message: str, begun: int = 1) -> None:
        super().__init__(message)
        self.begun = begun


@dataclass(frozen=True)
class Limits:
    """The memory and time that one file may use.

    Attributes:
        memory: Bytes beyond those that the process uses when it opens the file; None: no limit.
        seconds: Seconds of work; None: no limit.
        seconds_a_second: Additional seconds for each second of a video.
        seconds_a_frame: Additional seconds for each frame of a video that is searched for faces.

    Raises:
        UserError: A limit is not above 0.
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
        """Makes limits from the values of a config.

        Args:
            memory_gb: GB that a file may use; None: no limit.
            seconds: Seconds of work; None: no limit.

        Raises:
            UserError: A limit is not a number above 0.
        """
        for name, value in (("memory_gb", memory_gb), ("seconds", seconds)):
            _require_limit(name, value)
        return cls(None if memory_gb in (None, inf) else int((memory_gb or 0) * 2**30), seconds)

    def more_for_video(self, *, lasts: float, size: int, every: int | None, frames: int | None) -> float:
        """Returns the seconds that a video gets in addition to `seconds`.

        Args:
            lasts: Duration of the video in seconds. A file can state any duration, so only as much of it counts as
                the file size makes plausible (`BYTES_A_SECOND`).
            size: Size of the file in bytes.
            every: Every n-th frame is searched for faces; None: `frames` frames are.
            frames: Number of frames that are searched.

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
    raise UserError(f"{name}={value!r} is not a valid limit; use a number above 0, or null for no limit")


class Bound:
    """Applies limits to the work on one file.

    It can be entered repeatedly, once for each part of the work; the time between the parts doesn't count.

    Args:
        limits: Memory and time that the file may use from now on.
    """

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._allowed = self._left = limits.seconds
        self._begun = 0.0  # by the clock of `_worked`
        self._data = _data_bytes()
        self._soft = -1  # the soft limit of the process, restored on exit

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
        """Returns the error for a file that needs too much memory."""
        most = self._limits.memory
        bounded = most is not None and self._data is not None
        return OverLimitError(f"it needs more than {bytes_in_words(most or 0)} of memory" if bounded else _TOO_LITTLE)

    def _tell(self, left: float | None, *, new: bool) -> None:
        if _tell:
            _tell(inf if left is None else left, self._allowed or inf, new)


_TOO_LITTLE = "it needs more memory than is available"
_bound: Bound | None = None
_tell: Tell | None = None  # in a process of a pool: reports the seconds left and the seconds allowed to its parent


def keep_bounds(tell: Tell) -> None:
    """Enables the limits in this process, which must handle one file at a time.

    Args:
        tell: Called with the seconds left for a file, the seconds that it may take in all, and whether it is a new
            file.
    """
    global _tell
    _tell = tell


def prolong(more: Callable[[Limits], float]) -> None:
    """Gives the file that this process is handling more time; does nothing if limits aren't enabled."""
    if _bound and _tell:
        _bound.prolong(more)


@contextmanager
def memory_in_words() -> Iterator[None]:
    """Raises an `OverLimitError`, which is a `UserError`, if any library reports a lack of memory."""
    try:
        yield
    except Exception as error:
        if isinstance(error, OverLimitError) or not is_memory_error(error):
            raise
        raise (_bound.over_memory() if _bound else OverLimitError(_TOO_LITTLE)) from error


def is_memory_error(error: BaseException) -> bool:
    """Returns whether an error, or one of its causes, reports a lack of memory.

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
    """Returns the seconds in which a process was ready to run but no core was free; 0 if that isn't known.

    Args:
        pid: Process ID; None: this process.
    """
    try:
        with open(f"/proc/{pid or 'self'}/schedstat", "rb", buffering=0) as file:  # noqa: PTH123 - once a file
            return int(file.read(64).split()[1]) / 1e9
    except (OSError, IndexError, ValueError):
        return 0.0


def _worked() -> float:
    """Returns the time in seconds by a clock that stops while this process waits for a core."""
    return time.monotonic() - waited_for_core()


@contextmanager
def memory_at_most(more: int) -> Iterator[None]:
    """Allows the block at most `more` bytes beyond what the process uses now; in any process, only on Linux.

    For short work that is done once, such as reading a checkpoint: other threads share the limit.
    """
    data = _data_bytes()
    soft = -1 if data is None else _limit_data(data + more)
    try:
        yield
    finally:
        if data is not None:
            _limit_data(soft, lower=False)


def bytes_in_words(count: int) -> str:
    """Writes a number of bytes as GB or MB.

    Example:
        >>> bytes_in_words(2 << 30), bytes_in_words(50 << 20)
        ('2 GB', '50 MB')
    """
    return f"{count / 2**30:g} GB" if count >= 1 << 30 else f"{count / 2**20:g} MB"


def _data_bytes() -> int | None:
    """Returns the bytes that count towards `RLIMIT_DATA`, and the stack; None where there is no such limit."""
    try:
        import resource

        with open(_STATM, "rb", buffering=0) as file:  # noqa: PTH123 - once a file
            return int(file.read(128).split()[5]) * resource.getpagesize()
    except (ImportError, OSError):
        return None


def _limit_data(most: int, *, lower: bool = True) -> int:
    """Sets the soft limit, unless it is lower already, and returns the previous one."""
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_DATA)
    if not lower or soft == resource.RLIM_INFINITY or most < soft:
        resource.setrlimit(resource.RLIMIT_DATA, (most, hard))
    return soft
