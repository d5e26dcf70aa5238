"""The report as PDF, by WeasyPrint from the same HTML: an extra, which needs Pango from the system."""

from __future__ import annotations

import logging

from PIL import ImageFile

_WITHOUT = "report.pdf was not made: {}. report.html prints as it is, from any browser"


def pdf_of(page: str) -> tuple[bytes | None, str]:
    """A page as PDF.

    Nothing is fetched for it: images are in the page, and any address is refused.

    Args:
        page: HTML, of `report.page_of`.

    Returns:
        The bytes; or None, and in a sentence why there are none and how to get them.
    """
    for name in ("fontTools", "weasyprint", "weasyprint.progress"):  # which log each table of each font, and each step
        logging.getLogger(name).setLevel(logging.ERROR)
    truncated = ImageFile.LOAD_TRUNCATED_IMAGES
    try:
        from weasyprint import HTML
        from weasyprint.urls import URLFetcher
    except ImportError:
        return None, _WITHOUT.format("WeasyPrint isn't installed; pip install 'addnet[case]' brings it")
    except OSError:  # it is there, and what it loads from the system isn't
        return None, _WITHOUT.format("WeasyPrint finds no Pango; on Debian, apt-get install libpango-1.0-0 brings it")
    finally:  # WeasyPrint has Pillow take cut images for whole ones, in all of this process
        ImageFile.LOAD_TRUNCATED_IMAGES = truncated
    made: bytes = HTML(string=page, url_fetcher=URLFetcher(allowed_protocols=("data",))).write_pdf()
    return made, ""
