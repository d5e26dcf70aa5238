"""Renders a report as one self-contained HTML file: no scripts, no external fonts, embedded images."""

from __future__ import annotations

import base64
from importlib import resources
from typing import Any

from jinja2 import Environment
from markupsafe import Markup

from addnet.evaluation.report.document import Document, ReportImage
from addnet.untrusted.texts import shown_lines

_TEMPLATE = "page.html.j2"


def html_page(document: Document) -> str:
    """The whole page as HTML; untrusted texts (names, paths) are escaped."""
    return rendered((resources.files(__package__) / _TEMPLATE).read_text(encoding="utf-8"), document=document)


def rendered(template: str, **values: Any) -> str:
    """A template with its values, each escaped and without control characters.

    Args:
        template: A trusted Jinja template.
        values: Values by name; their texts may be untrusted.
    """
    environment = Environment(autoescape=True, finalize=_printable)
    environment.filters["data_uri"] = _data_uri
    return environment.from_string(template).render(**values)


def _printable(value: Any) -> Any:
    """A text without characters that an editor or a terminal would interpret; Jinja escapes it afterwards."""
    return value if isinstance(value, Markup) or not isinstance(value, str) else shown_lines(value)


def _data_uri(image: ReportImage) -> str:
    return f"data:image/png;base64,{base64.b64encode(image.png).decode('ascii')}"
