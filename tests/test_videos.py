"""Frames come as a player shows them, from the whole video, and whatever is wrong with a file is said."""

import shutil
import subprocess
import sys
from fractions import Fraction

import av
import numpy as np
import pytest

from addnet.errors import UserError
from addnet.faces import decoding, iter_videos, videos
from addnet.faces.decoding import Damage, decoded
from addnet.faces.videos import NotIntactError, Video, spaced
from media import cut_off, number_of, numbered, turn, write_sound, write_video

FAST = {"movflags": "faststart"}  # header first: what is left of a cut file can be read


def read(path, **sampling):
    return list(Video(path).frames(**sampling))


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    """60 numbered frames."""
    return write_video(tmp_path_factory.mktemp("clip") / "clip.mp4", numbered(60), options=FAST)


@pytest.fixture
def own_clip(clip, tmp_path):
    """A copy that a test may damage."""
    return shutil.copy(clip, tmp_path / "clip.mp4")


def test_frames_are_spread_over_the_whole_video(clip):
    frames = read(clip, count=5)
    assert [frame.number for frame in frames] == [6, 18, 30, 42, 54]
    assert [number_of(frame.image) for frame in frames] == [6, 18, 30, 42, 54]


@pytest.mark.parametrize(("total", "count"), [(1000, 32), (33, 32), (7, 3), (300, 1)])
def test_spaced_frames_are_as_far_from_each_other_as_from_the_ends(total, count):
    numbers = np.array(spaced(total, count))
    steps = np.diff(numbers)
    assert len(set(numbers)) == count
    assert set(steps) <= {total // count, -(-total // count)}
    assert abs(numbers[0] - (total - 1 - numbers[-1])) <= 1


def test_a_short_video_gives_all_its_frames(tmp_path):
    path = write_video(tmp_path / "short.mp4", numbered(3))
    assert [frame.number for frame in read(path, count=32)] == [0, 1, 2]


def test_every_nth_frame(clip):
    frames = read(clip, every=25)
    assert [number_of(frame.image) for frame in frames] == [0, 25, 50]
    assert [frame.time for frame in frames] == [0, 1, 2]
    assert frames[0].image.flags.c_contiguous
    assert (frames[0].image.shape, frames[0].image.dtype) == ((96, 128, 3), np.uint8)


def test_only_sampled_frames_are_converted(clip, monkeypatch):
    converted = []

    class Counting(videos.FrameConverter):
        def __call__(self, frame):
            converted.append(frame)
            return super().__call__(frame)

    monkeypatch.setattr(videos, "FrameConverter", Counting)
    read(clip, count=4)
    assert len(converted) == 4


@pytest.mark.parametrize(
    ("suffix", "codec"),
    [
        ("avi", "mpeg4"),
        ("mkv", "libx264"),
        ("webm", "libvpx-vp9"),
        ("mov", "libx264"),
        ("mpg", "mpeg2video"),
        ("wmv", "wmv2"),
    ],
)
def test_containers_that_do_not_say_how_long_they_are(tmp_path, suffix, codec):
    path = write_video(tmp_path / f"clip.{suffix}", numbered(40), codec=codec)
    video = Video(path)
    frames = list(video.frames(count=4))
    assert [frame.number for frame in frames] == [5, 15, 25, 35]
    assert np.abs(np.array([number_of(frame.image) for frame in frames]) - [5, 15, 25, 35]).max() <= 2
    assert video.notes == ()


@pytest.mark.parametrize("pixels", ["gray", "yuv422p10le", "yuv444p", "bgra", "rgb48le", "gray16le"])
def test_whatever_the_pixels_are_they_come_as_eight_bits(tmp_path, pixels):
    path = write_video(tmp_path / "odd.mkv", numbered(4, size=(75, 101)), codec="ffv1", pixels=pixels)
    frames = read(path, every=1)
    assert [number_of(frame.image) for frame in frames] == [0, 1, 2, 3]
    assert (frames[0].image.shape, frames[0].image.dtype) == ((75, 101, 3), np.uint8)


def test_variable_frame_rate_is_sampled_by_frames_and_timed_by_the_file(tmp_path):
    pts = [*range(10), *range(20, 220, 20)]
    frames = read(write_video(tmp_path / "phone.mp4", numbered(20), pts=pts), count=5)
    assert [number_of(frame.image) for frame in frames] == [2, 6, 10, 14, 18]
    assert [frame.time for frame in frames] == pytest.approx([pts[number] / 25 for number in (2, 6, 10, 14, 18)])


@pytest.mark.parametrize(
    ("matrix", "corner"),
    [
        ((1, 0, 0, 1), "top left"),
        ((0, 1, -1, 0), "top right"),  # a quarter turn clockwise: a phone held upright
        ((-1, 0, 0, -1), "bottom right"),
        ((0, -1, 1, 0), "bottom left"),
        ((-1, 0, 0, 1), "top right"),  # mirrored: a phone's front camera
        ((1, 0, 0, -1), "bottom left"),
        ((0, 1, 1, 0), "top left"),
        ((0, -1, -1, 0), "bottom right"),
    ],
)
def test_rotation_and_mirroring_are_applied(own_clip, matrix, corner):
    image = read(turn(own_clip, matrix), every=60)[0].image
    height, width = image.shape[:2]
    assert (height, width) == ((96, 128) if matrix[0] else (128, 96))
    rows, columns = np.nonzero(image[..., 0] > 200)
    found = f"{'top' if rows.mean() < height / 2 else 'bottom'} {'left' if columns.mean() < width / 2 else 'right'}"
    assert found == corner


@pytest.mark.parametrize(("aspect", "shape"), [((3, 2), (96, 192)), ((2, 3), (144, 128)), ((1, 1), (96, 128))])
def test_pixels_become_square(tmp_path, aspect, shape):
    path = write_video(tmp_path / "dvd.mkv", numbered(2), aspect=Fraction(*aspect))
    image = read(path, every=1)[0].image
    assert image.shape[:2] == shape
    bright = image[: shape[0] // 2, : shape[1] // 2, 0] > 200
    assert bright.mean() == pytest.approx(0.25, abs=0.02)  # the patch is a quarter of each side, at any shape


def test_pixels_become_square_before_the_image_is_turned(tmp_path):
    path = turn(write_video(tmp_path / "phone.mp4", numbered(2), aspect=Fraction(3, 2)), (0, 1, -1, 0))
    assert read(path, every=1)[0].image.shape[:2] == (192, 96)


def test_an_absurd_aspect_is_not_believed(tmp_path):
    path = write_video(tmp_path / "odd.mkv", numbered(2), aspect=Fraction(200, 1))
    assert read(path, every=1)[0].image.shape[:2] == (96, 128)


@pytest.mark.parametrize(("suffix", "options"), [("mp4", FAST), ("mkv", {})])
def test_what_is_left_of_a_cut_video_is_used_and_said(tmp_path, suffix, options):
    path = cut_off(write_video(tmp_path / f"cut.{suffix}", numbered(60), options=options), 0.6)
    video = Video(path)
    frames = list(video.frames(count=4))
    last = video.count() - 1
    assert 20 < last < 45
    assert frames[-1].number > 0.8 * last
    assert any(note.startswith(f"truncated after frame {last}:") for note in video.notes)


def test_an_intact_video_is_decoded_once_for_the_same_frames(clip, monkeypatch):
    before = [(frame.number, frame.time, frame.image.tobytes()) for frame in read(clip, count=7)]
    monkeypatch.setattr(Video, "count", None)
    after = [(frame.number, frame.time, frame.image.tobytes()) for frame in Video(clip, 2).frames_of_intact(7)]
    assert after == before


def test_a_video_that_is_not_intact_says_so_at_its_end(tmp_path):
    path = cut_off(write_video(tmp_path / "cut.mp4", numbered(60), options=FAST), 0.6)
    with pytest.raises(NotIntactError):
        list(Video(path, 2).frames_of_intact(4))


def test_damage_in_the_middle_is_passed_over_and_said(own_clip):
    data = bytearray(own_clip.read_bytes())
    middle = len(data) // 2
    data[middle : middle + 3000] = bytes(3000)
    own_clip.write_bytes(data)
    video = Video(own_clip)
    frames = list(video.frames(every=1))
    assert 40 < len(frames) < 60
    assert len(frames) == video.count()  # both ways of reading see the same frames
    assert number_of(frames[-1].image) == 59
    assert video.notes[0].startswith("damaged packets skipped: ")
    assert not any("truncated" in note for note in video.notes)


def test_frames_that_the_decoder_calls_corrupt_are_left_out_and_said(tmp_path):
    path = cut_off(write_video(tmp_path / "cut.mpg", numbered(40), codec="mpeg2video"), 0.5)
    video = Video(path)
    numbers = [number_of(frame.image) for frame in video.frames(every=1)]
    assert video.notes == ("corrupt frames skipped: 1",)
    assert np.abs(np.array(numbers) - np.arange(len(numbers))).max() <= 2


def test_videos_are_opened_by_those_who_need_them_only():
    code = "import sys, addnet.faces; sys.exit('av' in sys.modules or 'dlib' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


class _Broken:
    """A file on a disk that fails after three packets."""

    def demux(self, stream):
        yield from stream
        raise av.error.OSError(5, "Input/output error")


def test_an_error_of_the_disk_ends_the_video():
    class Packet:
        def decode(self):
            return ["frame"]

    damage = decoding.Damage()
    assert list(decoding._frames(_Broken(), [Packet()] * 3, damage)) == ["frame"] * 3
    damage.frames = 3
    assert damage.notes() == ("unreadable after frame 2",)


def test_a_whole_video_has_no_notes(clip):
    video = Video(clip)
    assert video.count() == 60
    assert video.notes == ()


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (lambda path: path.write_bytes(b""), "empty file"),
        (lambda path: path.write_text("no video at all"), "not a video"),
        (lambda path: path.unlink(), "No such file"),
        (lambda path: cut_off(path, 0.01), "no frame can be|not a video"),
        (lambda path: write_video(path, numbered(3), options={}) and cut_off(path, 0.5), "truncated before its header"),
        (lambda path: write_sound(path), "no video stream, only: audio"),
        (lambda path: write_sound(path, cover=numbered(1)[0]), "no video stream, only: audio"),
        (lambda path: path.write_text(f"ffconcat version 1.0\nfile '{path.with_name('other.mp4')}'\n"), "not a video"),
        (lambda path: path.write_text(f"#EXTM3U\n#EXTINF:1,\n{path.with_name('other.mp4')}\n"), "not a video"),
    ],
)
@pytest.mark.parametrize("sampling", [{"every": 1}, {"count": 4}])
def test_unusable_files_are_refused_with_name_and_reason(own_clip, spoil, reason, sampling):
    shutil.copy(own_clip, own_clip.with_name("other.mp4"))
    spoil(own_clip)
    with pytest.raises(UserError, match=rf"clip\.mp4: .*({reason})"):
        read(own_clip, **sampling)


def test_absurd_sizes_are_refused_before_anything_is_decoded(clip, monkeypatch):
    monkeypatch.setattr("addnet.faces.images.MAX_PIXELS", 96 * 128 - 1)
    monkeypatch.setattr(decoding, "_frames", lambda *_: pytest.fail("decoded"))
    with pytest.raises(UserError, match=r"clip\.mp4: 128×96 pixels; at most"):
        read(clip, every=1)


def test_frames_that_become_absurdly_large_amid_a_video_are_not_decoded(tmp_path, monkeypatch):
    small = write_video(tmp_path / "small.h264", numbered(5, size=(64, 64)))
    large = write_video(tmp_path / "large.h264", numbered(5, size=(256, 256)))
    both = tmp_path / "both.h264"
    both.write_bytes(small.read_bytes() + large.read_bytes())
    sizes = [frame.width for frame, _ in decoded(both, Damage())]
    assert (sizes.count(64), sizes.count(256)) == (5, 5)
    monkeypatch.setattr("addnet.faces.decoding.MAX_PIXELS", 128 * 128)
    damage = Damage()
    assert {frame.width for frame, _ in decoded(both, damage)} == {64}
    assert damage.packets
    with pytest.raises(UserError, match="large"):
        list(decoded(large, Damage()))


def test_names_that_look_like_addresses_are_files(clip, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("data:x.mp4", "take %d.mp4", "-.mp4"):
        shutil.copy(clip, tmp_path / name)
        assert Video(type(clip)(name)).count() == 60


@pytest.mark.parametrize("sampling", [{}, {"every": 0}, {"count": 0}, {"every": 2, "count": 2}])
def test_the_sampling_has_to_be_said_once(clip, sampling):
    with pytest.raises(UserError, match="set exactly one of the two"):
        read(clip, **sampling)


def test_videos_of_a_folder_by_suffix(tmp_path):
    for name in ("b/2.MP4", "b/1.mkv", "a.gif", "a.jpg", ".hidden.mp4", ".cache/c.mp4"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    assert [str(path.relative_to(tmp_path)) for path in iter_videos(tmp_path)] == ["a.gif", "b/1.mkv", "b/2.MP4"]
