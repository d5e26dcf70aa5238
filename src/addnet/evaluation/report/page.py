"""A report as one HTML file that needs nothing else: no scripts, no fonts, pictures inside."""

from __future__ import annotations

import base64
from importlib import resources

from jinja2 import Environment

from addnet.evaluation.report.document import Document, Picture

_TEMPLATE = "page.html.j2"


def html_page(document: Document) -> str:
    """The whole page; whatever comes from outside (names, paths) is escaped."""
    environment = Environment(autoescape=True)
    environment.filters["data_uri"] = _data_uri
    template = (resources.files(__package__) / _TEMPLATE).read_text(encoding="utf-8")
    return environment.from_string(template).render(document=document)


def _data_uri(picture: Picture) -> str:
    return f"data:image/png;base64,{base64.b64encode(picture.png).decode('ascii')}"
