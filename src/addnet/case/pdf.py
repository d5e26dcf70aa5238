"""The report as PDF, made from its HTML with WeasyPrint: an optional extra that needs the system's Pango."""

from __future__ import annotations

import logging

from PIL import ImageFile

_WITHOUT = "report.pdf was not written: {}. report.html can be printed from any browser"


def pdf_of(page: str) -> tuple[bytes | None, str]:
    """Converts a page to PDF.

    Nothing is fetched: images are embedded in the page, and all URLs are refused.

    Args:
        page: HTML from `report.page_of`.

    Returns:
        The bytes and an empty text; or None and a sentence that says why there is no PDF and how to get it.
    """
    for name in ("fontTools", "weasyprint", "weasyprint.progress"):  # they log each table of each font, and each step
        logging.getLogger(name).setLevel(logging.ERROR)
    truncated = ImageFile.LOAD_TRUNCATED_IMAGES
    try:
        from weasyprint import HTML
        from weasyprint.urls import URLFetcher
    except ImportError:
        return None, _WITHOUT.format("WeasyPrint isn't installed; pip install 'addnet[case]' installs it")
    except OSError:  # it is installed, but a library of the system isn't
        return None, _WITHOUT.format("WeasyPrint finds no Pango; on Debian, apt-get install libpango-1.0-0 installs it")
    finally:  # WeasyPrint makes Pillow accept truncated images in the whole process
        ImageFile.LOAD_TRUNCATED_IMAGES = truncated
    made: bytes = HTML(string=page, url_fetcher=URLFetcher(allowed_protocols=("data",))).write_pdf()
    return made, ""
