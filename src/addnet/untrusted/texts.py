"""Texts that strangers chose (names of files, classes, layouts; messages with them) as they are shown."""

from __future__ import annotations

import html
import json
import re

MOST = 1000  # characters that are shown of a name
MOST_OF_TEXT = 10_000  # of what may be a whole paragraph
# the joiners of Persian, Hindi and emoji (U+200C, U+200D) are no part of it: they are letters to those who read them
_FORMAT = r"\u00ad\u061c\u180e\u200b\u200e\u200f\u202a-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\U000e0000-\U000e007f"
_BEYOND_ASCII = r"\x7f-\x9f\u2028\u2029\ud800-\udfff"  # DEL, C1, ends of lines, halves of characters
_CONTROL = re.compile(rf"[\x00-\x1f{_BEYOND_ASCII}]")
CONTROL = r"[\x00-\x1f\x7f-\x{9f}\x{2028}\x{2029}]"  # the same for whole columns of valid UTF-8, as RE2 spells it
_HIDDEN = re.compile(rf"[\x00-\x1f{_BEYOND_ASCII}{_FORMAT}]")
_HIDDEN_IN_LINES = re.compile(rf"[\x00-\x08\x0b-\x1f{_BEYOND_ASCII}{_FORMAT}]")
_BYTES = re.compile(r"[\ud800-\udfff]")
_ENDS = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}
# emphasis, code, columns; links; and addresses, which GitHub and others make links of
_MARKDOWN = re.compile(
    r"([\\`*|]|(?<![^\W_])_|_(?![^\W_])|~(?=~)|\](?=[(:\[])|(?<=\w):(?=//)|(?<=\bwww)\.)", re.IGNORECASE
)
_BLOCK = re.compile(r"\d{1,9}(?=[.)](?:\s|$))|(?=#{1,6}(?:\s|$)|[-+](?:\s|$)|[-=]{2,}|~~~)")  # begins one, on a line
_PLAIN_CODE = re.compile(r"[^`<>&|\\]+")


def shown(text: object, *, most: int = MOST) -> str:
    r"""A name on one line of a terminal or a log, where it can neither move the cursor nor look like another line.

    Control and bidirectional characters are shown by their numbers, and so are bytes that are not UTF-8.

    Args:
        text: A name, a path, or whatever else a stranger may have chosen.
        most: Characters; the middle of a longer text is left out.

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
    r"""A message that may have several lines, without anything else that a terminal heeds.

    For whole messages, at their way out. A name is shown by `shown` before it becomes part of a message.

    Example:
        >>> print(shown_lines("one\ntwo\x1b[2J"))
        one
        two\x1b[2J
    """
    return _HIDDEN_IN_LINES.sub(_number, str(text))


def oddity(name: str) -> str:
    r"""Why a name doesn't fit into tables and logs as it is, as the end of a sentence; empty if it does.

    Example:
        >>> oddity("Gesicht Ä.jpg"), oddity("a\n.jpg"), oddity("gesch\udce4ft.jpg")
        ('', 'has control characters', 'is not UTF-8')
    """
    if _CONTROL.search(name) is None:
        return ""
    return "is not UTF-8" if _BYTES.search(name) else "has control characters"


def in_data(text: object) -> str:
    r"""A name in JSON and CSV: exactly as it is, but for bytes that are not UTF-8, which are shown by their numbers.

    Example:
        >>> in_data("a\nb.jpg"), in_data("gesch\udce4ft.jpg")
        ('a\nb.jpg', 'gesch\\xe4ft.jpg')
    """
    return _BYTES.sub(_number, str(text))


def in_json(text: str) -> str:
    r"""JSON as `ensure_ascii=False` writes it, with what terminals heed as escapes: the same values, safe to look at.

    Example:
        >>> print(in_json('{"path": "Ä\u202e\x9b.jpg"}'))
        {"path": "Ä\u202e\u009b.jpg"}
    """
    return _HIDDEN_IN_LINES.sub(_json_escape, text)


def in_markdown(text: object, *, most: int = MOST_OF_TEXT) -> str:
    r"""On one line of Markdown: no HTML, no column, emphasis, heading, link or address of its own.

    Example:
        >>> print(in_markdown("a|b <img src=x> [c](d)"), in_markdown("# a_b http://c"))
        a\|b &lt;img src=x&gt; [c\](d) \# a_b http\://c
    """
    escaped = _MARKDOWN.sub(r"\\\1", html.escape(_line(text, most), quote=False))
    start = _BLOCK.match(escaped)
    return f"{start[0]}\\{escaped[start.end() :]}" if start else escaped


def in_markdown_code(text: object, *, most: int = MOST_OF_TEXT) -> str:
    """As code in Markdown; as plain text where it holds what would end the code or be HTML without it.

    Example:
        >>> print(in_markdown_code("placement=full"), in_markdown_code("<b>"))
        `placement=full` &lt;b&gt;
    """
    line = _line(text, most)
    return f"`{line}`" if _PLAIN_CODE.fullmatch(line) else in_markdown(line, most=most)


def in_html(text: object, *, most: int = MOST_OF_TEXT) -> str:
    """In HTML, between tags or in an attribute with quotes.

    Example:
        >>> in_html('<b title="x">')
        '&lt;b title=&quot;x&quot;&gt;'
    """
    return html.escape(shown(text, most=most), quote=True)


def in_plot(text: object, *, most: int = MOST) -> str:
    r"""In a plot, where `$` would begin a formula, and one that can't be read would end the program.

    Example:
        >>> print(in_plot("a$b$.jpg"))
        a\$b\$.jpg
    """
    return shown(text, most=most).replace("$", r"\$")


def in_markup(text: object, *, most: int = MOST) -> str:
    r"""In what rich reads as markup, where brackets would be styles.

    Example:
        >>> print(in_markup("[bold]a.jpg"))
        \[bold]a.jpg
    """
    from rich.markup import escape  # not needed where no terminal is

    return escape(shown(text, most=most))


def _line(text: object, most: int) -> str:
    return shown(" ".join(str(text).split()), most=most)


def _json_escape(found: re.Match[str]) -> str:
    # JSON itself lets DEL stand
    return json.dumps(found[0])[1:-1] if found[0] != "\x7f" else "\\u007f"


def _number(found: re.Match[str]) -> str:
    """A character by its number; a byte that is not UTF-8 stands in Python's texts as a surrogate."""
    character = found[0]
    code = ord(character)
    if character in _ENDS:
        return _ENDS[character]
    if 0xDC80 <= code <= 0xDCFF:
        return f"\\x{code - 0xDC00:02x}"
    return f"\\x{code:02x}" if code < 0x80 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
