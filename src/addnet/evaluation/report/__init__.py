"""An evaluation as a web page, as Markdown and as JSON."""

from typing import TYPE_CHECKING

from addnet.late import late

if TYPE_CHECKING:
    from addnet.evaluation.report.writing import NUMBERS, plain_values, write_report

__all__ = ["NUMBERS", "plain_values", "write_report"]

# who takes a word or a file's name from here draws nothing
__getattr__, __dir__ = late(__name__, dict.fromkeys(__all__, "writing"))
