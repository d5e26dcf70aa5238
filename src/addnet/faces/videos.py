"""Video files → frames: every n-th frame, or evenly spaced over the whole video, one in memory at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from addnet.errors import UserError
from addnet.faces.decoding import Damage, decoded, measured
from addnet.faces.images import ImageArray
from addnet.faces.upright import FrameConverter


class NotIntactError(UserError):
    """A video is damaged, or its frames are not as many as its packets."""


@dataclass(frozen=True)
class Frame:
    """A frame as a player shows it.

    Attributes:
        number: Number of the frame among those that could be decoded, in the order in which they are shown, from 0.
        time: When it is shown, in seconds, according to the file; None if it doesn't say.
        image: (H, W, 3) uint8, RGB, contiguous.
    """

    number: int
    time: float | None
    image: ImageArray


def spaced(total: int, count: int) -> list[int]:
    """Numbers of `count` of `total` frames, each in the middle of an equal share of the video; at most all frames.

    Example:
        >>> spaced(100, 4), spaced(3, 8)
        ([12, 37, 62, 87], [0, 1, 2])
    """
    if total <= count:
        return list(range(total))
    return [(2 * index + 1) * total // (2 * count) for index in range(count)]


@dataclass
class Video:
    """A video file whose frames can be read from start to end, repeatedly.

    Damaged frames are skipped and not counted (see `decoding`); `notes` reports them.

    Attributes:
        path: The file.
        threads: Threads of the decoder where a file proves to be intact; one by default, because many videos are read
            at once. All others are read by one thread, since several may recover other frames from a damaged file.
        notes: What is wrong with the file, in sentences; filled once it has been read to its end.
    """

    path: Path
    threads: int = 1
    notes: tuple[str, ...] = field(default=(), init=False)

    def count(self) -> int:
        """Counts the frames by decoding them all, without converting any.

        The container's own count is missing or wrong if a video was cut, edited or damaged, and hidden frames and
        fields make the number of packets differ from it.

        Raises:
            UserError: The file is unusable for one of the reasons that `decoding.decoded` lists.
        """
        damage = Damage()
        for _ in decoded(self.path, damage, only_count=True):
            pass
        self.notes = damage.notes()
        return damage.frames

    def frames(self, *, every: int | None = None, count: int | None = None) -> Iterator[Frame]:
        """Reads every n-th frame, or `count` frames evenly spaced over the whole video.

        With `count`, the file is first decoded once to count its frames.

        Raises:
            UserError: The file is unusable for one of the reasons that `decoding.decoded` lists, or `every` and
                `count` are not exactly one positive number.
        """
        if (every is None) == (count is None) or (every or count or 0) < 1:
            raise UserError(f"every={every}, count={count}: set exactly one of the two, to at least 1")
        if every is not None:
            return self._read(lambda number: number % every == 0)
        return self.frames_at(spaced(self.count(), count or 1))

    def frames_of_intact(self, count: int) -> Iterator[Frame]:
        """Reads the same frames as `frames(count=count)`, decoding an intact file once instead of twice.

        An intact file usually has a frame in each packet. Whether this one has is known only at its end.

        Raises:
            NotIntactError: At the end, if it hasn't: the frames were perhaps not those that were asked for.
            UserError: The file is unusable for one of the reasons that `decoding.decoded` lists.
        """
        packets = measured(self.path).frames
        damage = Damage()
        yield from self._read(frozenset(spaced(packets, count)).__contains__, damage=damage, threads=self.threads)
        if damage.frames != packets or damage.notes():
            raise NotIntactError(f"{self.path}: {damage.frames} frames in {packets} packets")

    def frames_at(self, numbers: Iterable[int]) -> Iterator[Frame]:
        """Reads the frames with these numbers, in the order of the video; stops after the last one.

        Raises:
            UserError: The file is unusable for one of the reasons that `decoding.decoded` lists.
        """
        wanted = frozenset(numbers)
        return self._read(wanted.__contains__, last=max(wanted, default=-1))

    def _read(
        self, wanted: Callable[[int], bool], *, last: int | None = None, damage: Damage | None = None, threads: int = 1
    ) -> Iterator[Frame]:
        damage, upright = damage or Damage(), FrameConverter()
        if last == -1:
            return
        for number, (frame, stream) in enumerate(decoded(self.path, damage, threads=threads)):
            if wanted(number):
                upright.aspect = stream.sample_aspect_ratio
                try:
                    image = upright(frame)
                except UserError as error:  # the size may change within a file
                    raise UserError(f"{self.path}, frame {number}: {error}") from error
                yield Frame(number, frame.time, image)
            if number == last:
                return
        self.notes = damage.notes()
