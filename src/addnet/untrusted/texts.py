"""Makes untrusted texts (names of files, classes and layouts, and messages with them) safe to show."""

from __future__ import annotations

import html
import json
import re

MOST = 1000  # characters that are shown of a name
MOST_OF_TEXT = 10_000  # characters that are shown of a text that may be a paragraph
# without the joiners U+200C and U+200D, which belong to the spelling of Persian, Hindi and emoji
_FORMAT = r"\u00ad\u061c\u180e\u200b\u200e\u200f\u202a-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\U000e0000-\U000e007f"
_BEYOND_ASCII = r"\x7f-\x9f\u2028\u2029\ud800-\udfff"  # DEL, C1, line separators, surrogates
_CONTROL = re.compile(rf"[\x00-\x1f{_BEYOND_ASCII}]")
CONTROL = r"[\x00-\x1f\x7f-\x{9f}\x{2028}\x{2029}]"  # the same in the syntax of RE2, for whole columns of valid UTF-8
_HIDDEN = re.compile(rf"[\x00-\x1f{_BEYOND_ASCII}{_FORMAT}]")
_HIDDEN_IN_LINES = re.compile(rf"[\x00-\x08\x0b-\x1f{_BEYOND_ASCII}{_FORMAT}]")
_BYTES = re.compile(r"[\ud800-\udfff]")
_ENDS = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}
# emphasis, code, table columns, links, and addresses, which GitHub and others turn into links
_MARKDOWN = re.compile(
    r"([\\`*|]|(?<![^\W_])_|_(?![^\W_])|~(?=~)|\](?=[(:\[])|(?<=\w):(?=//)|(?<=\bwww)\.)", re.IGNORECASE
)
_BLOCK = re.compile(
    r"\d{1,9}(?=[.)](?:\s|$))|(?=#{1,6}(?:\s|$)|[-+](?:\s|$)|[-=]{2,}|~~~)"
)  # starts of blocks, at the beginning of a line
_PLAIN_CODE = re.compile(r"[^`<>&|\\]+")


def shown(text: object, *, most: int = MOST) -> str:
    r"""Prepares a name for one line of a terminal or a log: it can't move the cursor or look like another line.

    Control and bidirectional characters are shown by their codes, and so are bytes that are not UTF-8.

    Args:
        text: A name, a path or any other untrusted text.
        most: Largest number of characters; the middle of a longer text is left out.

    Example:
        >>> print(shown("a\x1b[2J\n.jpg"), shown("gesch\udce4ft.jpg"), shown("aaabbbccc", most=7))
        a\x1b[2J\n.jpg gesch\xe4ft.jpg aaa…ccc
    """
    name = str(text)
    if len(name) > most:
        half = (most - 1) // 2
        name = f"{name[: most - 1 - half]}…{name[len(name) - half :]}"
    return name if name.isascii() and name.isprintable() else _HIDDEN.sub(_number, name)


def shown_lines(text: object) -> str:
    r"""Prepares a message of several lines for a terminal: all other control characters are escaped.

    For whole messages just before they are printed. Apply `shown` to a name before it becomes part of a message.

    Example:
        >>> print(shown_lines("one\ntwo\x1b[2J"))
        one
        two\x1b[2J
    """
    return _HIDDEN_IN_LINES.sub(_number, str(text))


def oddity(name: str) -> str:
    r"""Returns why a name can't be written to tables and logs unchanged, as the end of a sentence; empty if it can.

    Example:
        >>> oddity("Gesicht Ä.jpg"), oddity("a\n.jpg"), oddity("gesch\udce4ft.jpg")
        ('', 'has control characters', 'is not UTF-8')
    """
    if _CONTROL.search(name) is None:
        return ""
    return "is not UTF-8" if _BYTES.search(name) else "has control characters"


def in_data(text: object) -> str:
    r"""Prepares a name for JSON and CSV: unchanged except for bytes that are not UTF-8, which are shown by their codes.

    Example:
        >>> in_data("a\nb.jpg"), in_data("gesch\udce4ft.jpg")
        ('a\nb.jpg', 'gesch\\xe4ft.jpg')
    """
    return _BYTES.sub(_number, str(text))


def in_json(text: str) -> str:
    r"""Escapes control characters in JSON written with `ensure_ascii=False`: the same values, safe in a terminal.

    Example:
        >>> print(in_json('{"path": "Ä\u202e\x9b.jpg"}'))
        {"path": "Ä\u202e\u009b.jpg"}
    """
    return _HIDDEN_IN_LINES.sub(_json_escape, text)


def in_markdown(text: object, *, most: int = MOST_OF_TEXT) -> str:
    r"""Prepares a text for one line of Markdown: it can't add HTML, a table column, emphasis, a heading or a link.

    Example:
        >>> print(in_markdown("a|b <img src=x> [c](d)"), in_markdown("# a_b http://c"))
        a\|b &lt;img src=x&gt; [c\](d) \# a_b http\://c
    """
    escaped = _MARKDOWN.sub(r"\\\1", html.escape(_line(text, most), quote=False))
    start = _BLOCK.match(escaped)
    return f"{start[0]}\\{escaped[start.end() :]}" if start else escaped


def in_markdown_code(text: object, *, most: int = MOST_OF_TEXT) -> str:
    """Formats a text as code in Markdown, or as plain text if it contains characters that could end the code.

    Example:
        >>> print(in_markdown_code("placement=full"), in_markdown_code("<b>"))
        `placement=full` &lt;b&gt;
    """
    line = _line(text, most)
    return f"`{line}`" if _PLAIN_CODE.fullmatch(line) else in_markdown(line, most=most)


def in_html(text: object, *, most: int = MOST_OF_TEXT) -> str:
    """Prepares a text for HTML, between tags or in a quoted attribute.

    Example:
        >>> in_html('<b title="x">')
        '&lt;b title=&quot;x&quot;&gt;'
    """
    return html.escape(shown(text, most=most), quote=True)


def in_plot(text: object, *, most: int = MOST) -> str:
    r"""Prepares a text for a plot, where `$` would begin a formula, and an invalid formula would raise an error.

    Example:
        >>> print(in_plot("a$b$.jpg"))
        a\$b\$.jpg
    """
    return shown(text, most=most).replace("$", r"\$")


def in_markup(text: object, *, most: int = MOST) -> str:
    r"""Prepares a text for rich's markup, where brackets would be styles.

    Example:
        >>> print(in_markup("[bold]a.jpg"))
        \[bold]a.jpg
    """
    from rich.markup import escape  # needed only with a terminal

    return escape(shown(text, most=most))


def _line(text: object, most: int) -> str:
    return shown(" ".join(str(text).split()), most=most)


def _json_escape(match: re.Match[str]) -> str:
    # json.dumps doesn't escape DEL
    return json.dumps(match[0])[1:-1] if match[0] != "\x7f" else "\\u007f"


def _number(match: re.Match[str]) -> str:
    """Returns the escape of a character; Python stores a byte that is not UTF-8 as a surrogate."""
    character = match[0]
    code = ord(character)
    if character in _ENDS:
        return _ENDS[character]
    if 0xDC80 <= code <= 0xDCFF:
        return f"\\x{code - 0xDC00:02x}"
    return f"\\x{code:02x}" if code < 0x80 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
