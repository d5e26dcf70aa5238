"""A report as one HTML file that needs nothing else: no scripts, no fonts, images inside."""

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
    """The whole page; whatever comes from outside (names, paths) is escaped."""
    return rendered((resources.files(__package__) / _TEMPLATE).read_text(encoding="utf-8"), document=document)


def rendered(template: str, **values: Any) -> str:
    """A template with values in it, each escaped and without what a terminal would heed.

    Args:
        template: Of Jinja, written here.
        values: By name; texts of anybody's.
    """
    environment = Environment(autoescape=True, finalize=_printable)
    environment.filters["data_uri"] = _data_uri
    return environment.from_string(template).render(**values)


def _printable(value: Any) -> Any:
    """A text without what an editor or a terminal that shows the page would heed; Jinja escapes it afterwards."""
    return value if isinstance(value, Markup) or not isinstance(value, str) else shown_lines(value)


def _data_uri(image: ReportImage) -> str:
    return f"data:image/png;base64,{base64.b64encode(image.png).decode('ascii')}"
