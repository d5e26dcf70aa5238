"""What an audit found: one issue per kind, with its severity, examples and remedy."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

ERROR, WARNING, INFO = "error", "warning", "info"
SEVERITIES = (ERROR, WARNING, INFO)
EXAMPLES = 5


@dataclass(frozen=True)
class Issue:
    """One thing that is wrong with a data set, or worth knowing.

    Attributes:
        kind: Short name for programs, such as `same_video`.
        severity: `error` (metrics would be wrong), `warning` (they may be) or `info`.
        text: What was found, in a sentence with its number.
        count: How often it was found.
        remedy: What can be done about it.
        examples: A few examples, each a line of names or paths.
    """

    kind: str
    severity: str
    text: str
    count: int
    remedy: str = ""
    examples: list[str] = field(default_factory=list)

    def plain(self) -> dict[str, Any]:
        """Its fields, for JSON."""
        return asdict(self)


def count_by_severity(issues: list[Issue]) -> dict[str, int]:
    """How many issues there are of each severity.

    Example:
        >>> count_by_severity([Issue("flat", "info", "1 image is flat", 1)])
        {'error': 0, 'warning': 0, 'info': 1}
    """
    return {severity: sum(issue.severity == severity for issue in issues) for severity in SEVERITIES}


def ordered(issues: list[Issue]) -> list[Issue]:
    """Errors first, then warnings."""
    return sorted(issues, key=lambda issue: SEVERITIES.index(issue.severity))
