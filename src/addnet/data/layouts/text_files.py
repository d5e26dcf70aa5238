"""Lists and tables as people save them → text: UTF-8, UTF-16, with a byte-order mark or without one, Windows-1252."""

from __future__ import annotations

import codecs
import json
from pathlib import Path
from typing import Any, NamedTuple

from addnet.errors import UserError
from addnet.faces.formats import other_format
from addnet.untrusted.files import read_bytes

MAX_BYTES = 1 << 30  # ten million rows

# the longer marks first: that of UTF-32 begins like that of UTF-16
_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)


class Text(NamedTuple):
    """The content of a text file.

    Attributes:
        text: Without a byte-order mark.
        note: What a user should know about its encoding; empty for UTF-8 and for files with a byte-order mark.
    """

    text: str
    note: str = ""


def read_text(file: Path) -> Text:
    """Reads a text file in any of these encodings.

    Without a byte-order mark, bytes that are not UTF-8 are read as Windows-1252, which is noted: file names in another
    encoding are then not found, and count as missing.

    Raises:
        UserError: It can't be read, is not text or has more than 1 GB.
    """
    try:
        data = read_bytes(file, most=MAX_BYTES)
    except OSError as error:
        raise UserError(f"cannot read {file}: {error.strerror or error}") from error
    try:
        for mark, encoding in _MARKS:
            if data.startswith(mark):
                return Text(data[len(mark) :].decode(encoding))
        if b"\0" in data or other_format(data):
            kind = other_format(data)
            raise UserError(f"{file} is not text{f' but {kind}' if kind else ''}; save it as CSV or text, in UTF-8")
        return Text(data.decode("utf-8"))
    except UnicodeDecodeError as error:
        if error.encoding != "utf-8" or data.startswith(codecs.BOM_UTF8):
            raise UserError(
                f"{file} is damaged: byte {error.start} is not {error.encoding.upper()}, the encoding of its "
                "byte-order mark; save it as UTF-8"
            ) from error
        note = f"{file.name} is not UTF-8 (byte {error.start}) and was read as Windows-1252; save it as UTF-8"
        return Text(data.decode("cp1252", "replace"), note)


def read_json(text: str | bytes) -> Any:
    """Parses JSON from an untrusted source.

    Raises:
        json.JSONDecodeError: It is damaged, nested more deeply than anything that is read here, or holds a number of
            thousands of digits.
        UnicodeDecodeError: Its bytes are not text.
    """
    try:
        return json.loads(text)
    except (json.JSONDecodeError, UnicodeDecodeError):
        raise
    except RecursionError:
        raise json.JSONDecodeError("nested too deeply", "", 0) from None
    except ValueError as error:
        raise json.JSONDecodeError(str(error), "", 0) from error
