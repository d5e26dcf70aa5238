"""Metadata of a file, read without decoding it: container, streams, tags, dates. Runs in processes with limits.

None of it is proof, since anybody who makes a file can write anything there.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Any

from PIL import ExifTags, Image

from addnet.errors import UserError
from addnet.faces.decoding import opened_video
from addnet.faces.formats import HEAD, VIDEO, image_format, other_format
from addnet.faces.headers import header_of
from addnet.faces.images import MAX_BYTES
from addnet.untrusted.files import read_bytes, reason
from addnet.untrusted.texts import in_data

_LONGEST = 300  # most characters of a tag
_MOST = 32  # most tags of a container, a stream or an image
_STREAMS = 16
_EXIF = (
    *("Make", "Model", "Software", "HostComputer", "DateTime", "Orientation", "Artist", "Copyright"),
    *("DateTimeOriginal", "DateTimeDigitized", "OffsetTime", "OffsetTimeOriginal", "LensModel", "BodySerialNumber"),
)
_DATES = ("date", "creation", "modif")  # parts of the names of tags with dates


def container_facts(path: Path, kind: str) -> dict[str, Any]:
    """Reads the metadata in the headers of a file.

    Args:
        path: The file.
        kind: `image` or `video`.

    Returns:
        `format`; for an image `width`, `height`, `mode`, `exif`, `tags`; for a video `seconds`, `bit_rate`, `tags`,
        `streams`; and `dates`: each with `source` and `text`, unchanged.

    Raises:
        UserError: The file can't be read.
    """
    try:
        return _of_video(path) if kind == VIDEO else _of_image(path)
    except UserError as error:
        raise UserError(reason(error, path)) from error
    except OSError as error:
        raise UserError(f"cannot be read: {error.strerror or error}") from error


def _of_image(path: Path) -> dict[str, Any]:
    data = read_bytes(path, most=MAX_BYTES)
    kind = image_format(data[:HEAD])
    if kind is None:
        raise UserError(f"not an image by its first bytes: {other_format(data[:HEAD]) or 'unknown to this program'}")
    if kind not in ("JPEG2000", "AVIF"):
        header_of(data, kind)  # refuses files that would take Pillow too long
    try:
        with Image.open(io.BytesIO(data), formats=[kind]) as image:  # reads only the header
            exif = dict(_exif(image))
            info = {str(key): value for key, value in image.info.items()}
            facts: dict[str, Any] = {"format": image.format or kind, "width": image.width, "height": image.height}
            facts |= {"mode": image.mode, "progressive": bool(info.get("progressive") or info.get("progression"))}
    except UserError:
        raise
    except Exception as error:  # Pillow's plugins raise many kinds of errors on damaged headers
        raise UserError(f"its header can't be read: {type(error).__name__}") from error
    texts = {key: value for key, value in info.items() if isinstance(value, str) or key == "comment"}
    embedded = [name for name in ("exif", "xmp", "icc_profile", "photoshop") if info.get(name)]
    facts |= {"embedded": embedded, "exif": exif, "tags": _tags(texts)}
    return facts | {"dates": [*_dates(exif, "EXIF "), *_dates(facts["tags"], "text of the file: ")]}


def _exif(image: Image.Image) -> Iterator[tuple[str, str]]:
    """Yields the tags about device, program and dates; of the GPS position only that there is one."""
    found = image.getexif()
    tags = {**found, **found.get_ifd(ExifTags.IFD.Exif)}
    named = {ExifTags.TAGS.get(tag, ""): value for tag, value in tags.items()}
    for name in _EXIF:
        if named.get(name) not in (None, "", b""):
            yield name, _text(named[name])
    if found.get_ifd(ExifTags.IFD.GPSInfo):
        yield "GPSInfo", "present"


def _of_video(path: Path) -> dict[str, Any]:
    with opened_video(path) as (container, _):
        streams = [_stream(stream) for stream in islice(container.streams, _STREAMS)]
        facts: dict[str, Any] = {
            "format": container.format.long_name or container.format.name,
            "seconds": None if container.duration is None else container.duration / 1e6,
            "bit_rate": container.bit_rate or None,
            "tags": _tags(container.metadata),
            "streams": streams,
        }
    dates = _dates(facts["tags"], "container, ")
    for number, stream in enumerate(streams):
        dates += _dates(stream["tags"], f"stream {number}, ")
    return facts | {"dates": dates}


def _stream(stream: Any) -> dict[str, Any]:
    """Describes a stream by its header; `frames` is the number that the header states, 0 if it states none."""
    codec = stream.codec_context
    facts: dict[str, Any] = {"type": stream.type, "codec": codec.name if codec else None}
    if codec and stream.type == "video":
        rate = stream.average_rate
        facts |= {"profile": _text(codec.profile or ""), "width": codec.width, "height": codec.height}
        facts |= {"pixels": codec.pix_fmt, "frame_rate": float(rate) if rate else None, "frames": stream.frames}
    elif codec and stream.type == "audio":
        facts |= {"sample_rate": codec.sample_rate, "channels": codec.channels}
    return facts | {"tags": _tags(stream.metadata)}


def _tags(values: Mapping[str, Any]) -> dict[str, str]:
    return {_text(name): _text(value) for name, value in islice(values.items(), _MOST)}


def _dates(tags: Mapping[str, str], source: str) -> list[dict[str, str]]:
    return [
        {"source": f"{source}{name}", "text": text}
        for name, text in tags.items()
        if any(part in name.lower() for part in _DATES)
    ]


def _text(value: Any) -> str:
    """Returns a value from a file as text of limited length."""
    text = value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
    text = in_data(text.strip().strip("\0"))
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"
