"""Traces of compression in an image: JPEG, H.264 and chroma subsampling."""

from __future__ import annotations

from fractions import Fraction
from functools import cache
from typing import TYPE_CHECKING, Any, cast

import cv2
import numpy as np

from addnet.errors import UserError, shortened
from addnet.faces.images import ImageArray

if TYPE_CHECKING:
    from av.packet import Packet
    from av.video.codeccontext import VideoCodecContext
    from av.video.frame import VideoFrame

ENCODER = "libx264"  # has a constant rate factor (CRF); other H.264 encoders have none, or none that is comparable
_SAMPLING = {1: cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444, 2: cv2.IMWRITE_JPEG_SAMPLING_FACTOR_420}
_OPTIONS = {"threads": "1", "sliced-threads": "0", "keyint": "infinite", "scenecut": "0", "log-level": "none"}


def jpeg(image: ImageArray, quality: int, *, chroma: int = 2) -> ImageArray:
    """Encodes an image as JPEG and decodes it again.

    Args:
        image: (H, W, 3) uint8, RGB.
        quality: 1 to 100.
        chroma: 2: colours at half the resolution (4:2:0, as most programs write them); 1: at full resolution (4:4:4).
    """
    options = [cv2.IMWRITE_JPEG_QUALITY, quality, cv2.IMWRITE_JPEG_SAMPLING_FACTOR, _SAMPLING[chroma]]
    _, encoded = cv2.imencode(".jpg", image[..., ::-1], options)
    return np.asarray(cv2.imdecode(encoded, cv2.IMREAD_COLOR_RGB), dtype=np.uint8)


def coarse_colours(image: ImageArray, factor: int) -> ImageArray:
    """Reduces the resolution of the colours (Cr, Cb) and leaves brightness unchanged, without any other compression.

    Args:
        image: (H, W, 3) uint8, RGB.
        factor: Side of the block that shares a colour, in pixels: 2 is 4:2:0.
    """
    height, width = image.shape[:2]
    luma, *colours = cv2.split(cv2.cvtColor(image, cv2.COLOR_RGB2YCrCb))
    small = (-(-width // factor), -(-height // factor))
    coarse = [cv2.resize(cv2.resize(plane, small, interpolation=cv2.INTER_AREA), (width, height)) for plane in colours]
    return np.asarray(cv2.cvtColor(cv2.merge([luma, *coarse]), cv2.COLOR_YCrCb2RGB), dtype=np.uint8)


@cache
def require_h264() -> None:
    """Checks that this installation can encode H.264 at a given quality.

    Raises:
        UserError: It can't; the message lists the encoders found and says how to run without H.264.
    """
    import av

    if ENCODER in av.codecs_available:
        try:
            av.codec.Codec(ENCODER, "w")
            return
        except ValueError:  # PyAV's UnknownCodecError: it is listed but can't encode
            pass
    others = [name for name in sorted(av.codecs_available) if "264" in name]
    raise UserError(
        f"H.264 requires the encoder {ENCODER}, which the installed PyAV {av.__version__} lacks (H.264 codecs found: "
        f"{shortened(others) or 'none'}); install its wheel: pip install --force-reinstall --only-binary av av. To run "
        "without H.264, set augment.degrade.h264.p=0 in training, and robustness.kinds.h264=[] and "
        "robustness.kinds.compound=[] in an evaluation"
    )


def h264(image: ImageArray, quality: float, *, frames: int = 3) -> ImageArray:
    """Encodes an image as the last frame of a short H.264 video (4:2:0), in which it moves by one pixel per frame.

    The first frame is coded by itself, each later one from the one before, like most frames of a video. A single
    thread encodes, so that the result is deterministic.

    Args:
        image: (H, W, 3) uint8, RGB, of any size: odd sides are extended by a pixel for encoding.
        quality: Constant rate factor: 0 loses least, 23 is usual, 51 is worst.
        frames: Length of the video in frames; 1: a single intra-coded frame.

    Raises:
        UserError: The encoder is missing; see `require_h264`.
    """
    require_h264()
    height, width = image.shape[:2]
    border = cv2.BORDER_REPLICATE
    grown: Any = cv2.copyMakeBorder(image, frames - 1, height % 2, frames - 1, width % 2, border)
    high, wide = height + height % 2, width + width % 2
    encoder = _encoder(wide, high, quality)
    packets: list[Packet[Any]] = []
    for start in range(frames):  # the last frame coincides with the image
        packets += encoder.encode(_frame(grown[start : start + high, start : start + wide], number=start))
    packets += encoder.encode(None)
    return _last_frame(packets)[:height, :width].copy()


def _encoder(width: int, height: int, quality: float) -> VideoCodecContext:
    import av

    encoder = cast("VideoCodecContext", av.CodecContext.create(ENCODER, "w"))
    encoder.width, encoder.height, encoder.pix_fmt = width, height, "yuv420p"
    encoder.time_base = Fraction(1, 25)
    encoder.thread_count = 1
    own = ":".join("=".join(pair) for pair in _OPTIONS.items())
    encoder.options = {"crf": f"{quality:g}", "preset": "veryfast", "tune": "zerolatency", "x264-params": own}
    return encoder


def _frame(image: ImageArray, *, number: int) -> VideoFrame:
    """An image with even sides as a frame: brightness, and the mean colour of each block of 2 × 2 pixels.

    OpenCV alone would use the colour of one pixel per block, and PyAV's own conversion starts threads.
    """
    import av

    half = cv2.resize(image, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
    blocks = cv2.resize(half, image.shape[1::-1], interpolation=cv2.INTER_NEAREST)
    planes, colours = (cv2.cvtColor(seen, cv2.COLOR_RGB2YUV_I420) for seen in (image, blocks))
    planes[len(image) :] = colours[len(image) :]
    frame = av.VideoFrame.from_ndarray(np.asarray(planes, dtype=np.uint8), format="yuv420p")
    frame.pts = number
    return frame


def _last_frame(packets: list[Packet[Any]]) -> ImageArray:
    import av

    decoder = av.CodecContext.create("h264", "r")
    decoder.thread_count = 1
    decoded = [frame for packet in [*packets, None] for frame in decoder.decode(packet)]
    return np.asarray(cv2.cvtColor(decoded[-1].to_ndarray(), cv2.COLOR_YUV2RGB_I420), dtype=np.uint8)
