"""Videos made for tests: from arrays or a GIF, whole, turned, stretched, cut off or without an image."""

import struct
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

RATE = 25


def numbered(count, *, size=(96, 128)):
    """Frames whose grey value tells their number: 40 + 3 · number, with a bright patch at the upper left.

    Noise at the bottom gives every frame some weight in the file, so that half of the file is half of the frames.
    """
    noise = np.random.default_rng(0)
    height, width = size
    frames = [np.full((height, width, 3), 40 + 3 * number, dtype=np.uint8) for number in range(count)]
    for frame in frames:
        frame[: height // 4, : width // 4] = 250
        frame[-(height // 4) :] = noise.integers(0, 120, (height // 4, width, 1))
    return frames


def number_of(image):
    """Which of the `numbered` frames an image is."""
    height, width = image.shape[:2]
    return round((float(np.median(image[height // 3 : height * 2 // 3, width // 3 : width * 2 // 3])) - 40) / 3)


def write_video(path, frames, *, codec="libx264", pts=None, aspect=None, options=None, pixels="yuv420p"):
    """Encodes (H, W, 3) uint8 arrays; `pts` in units of 1/25 s, `aspect` of one pixel as a Fraction."""
    with av.open(str(path), "w", options=options or {}) as container:
        stream = container.add_stream(codec, rate=RATE)
        stream.height, stream.width = frames[0].shape[:2]
        stream.pix_fmt = pixels
        stream.codec_context.time_base = Fraction(1, RATE)
        stream.codec_context.gop_size = 12
        if aspect:
            stream.codec_context.sample_aspect_ratio = aspect
        for index, array in enumerate(frames):
            frame = av.VideoFrame.from_ndarray(array, format="rgb24")
            frame.pts = pts[index] if pts else index
            frame.time_base = Fraction(1, RATE)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return Path(path)


def write_sound(path, *, codec="aac", cover=None):
    """One second of silence; with `cover` (H, W, 3) uint8 as the cover image of a song."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=16000, layout="mono")
        image = None
        if cover is not None:
            image = container.add_stream("png")
            image.height, image.width, image.pix_fmt = *cover.shape[:2], "rgb24"
            image.disposition = av.stream.Disposition.attached_pic
        for start in range(0, 16000, 1000):
            frame = av.AudioFrame.from_ndarray(np.zeros((1, 1000), dtype=np.float32), format="fltp", layout="mono")
            frame.sample_rate, frame.pts = 16000, start
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
        if image is not None:
            container.mux(image.encode(av.VideoFrame.from_ndarray(cover, format="rgb24")))
    return Path(path)


def read_gif(path):
    """All frames of a GIF as RGB arrays."""
    with av.open(str(path)) as container:
        return [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]


def turn(path, matrix):
    """Writes (a, b, c, d) of the display matrix into the track header of an MP4 that has one video track."""
    data = bytearray(path.read_bytes())
    start = data.index(b"tkhd") + 4
    start += 52 if data[start] == 1 else 40  # version 1 has 64-bit times
    a, b, c, d = (value << 16 for value in matrix)
    data[start : start + 36] = struct.pack(">9i", a, b, 0, c, d, 0, 0, 0, 1 << 30)
    path.write_bytes(data)
    return path


def cut_off(path, share):
    """Keeps only the first `share` of a file."""
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])
    return path
