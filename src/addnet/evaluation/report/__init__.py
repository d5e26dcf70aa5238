"""Reports of an evaluation as a web page, Markdown and JSON."""

from typing import TYPE_CHECKING

from addnet.late import late

if TYPE_CHECKING:
    from addnet.evaluation.report.writing import NUMBERS, plain_values, write_report

__all__ = ["NUMBERS", "plain_values", "write_report"]

# imported late, so that code that only needs a file name doesn't import matplotlib
__getattr__, __dir__ = late(__name__, dict.fromkeys(__all__, "writing"))
