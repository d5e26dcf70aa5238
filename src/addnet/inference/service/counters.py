"""Counters of a service, in the text format of Prometheus."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping

_HELP = {
    "addnet_requests_total": ("counter", "Requests by path and HTTP status."),
    "addnet_answers_total": ("counter", "Answered files by verdict."),
    "addnet_answer_seconds_total": ("counter", "Seconds from a file's arrival to its answer, summed."),
    "addnet_files_looked_at": ("gauge", "Files being processed."),
    "addnet_files_waiting": ("gauge", "Files waiting."),
    "addnet_jobs": ("gauge", "Jobs that are running or whose answers are kept."),
}


class Counters:
    """Counts requests and answers. Not thread-safe: used by the server's thread only."""

    def __init__(self) -> None:
        self.requests: Counter[tuple[str, int]] = Counter()
        self.answers: Counter[str] = Counter()
        self.seconds = 0.0

    def requested(self, path: str, status: int) -> None:
        """Counts a request."""
        self.requests[path, status] += 1

    def answered(self, verdict: str, seconds: float) -> None:
        """Counts an answer."""
        self.answers[verdict] += 1
        self.seconds += seconds

    def text(self, gauges: Mapping[str, float]) -> str:
        """Returns all metrics as text.

        Args:
            gauges: Current values of the gauges, by name.

        Example:
            >>> print(Counters().text({"addnet_jobs": 2}).splitlines()[-1])
            addnet_jobs 2
        """
        rows: dict[str, Iterable[tuple[str, float]]] = {
            "addnet_requests_total": [
                (f'{{path="{path}",status="{status}"}}', number) for (path, status), number in self.requests.items()
            ],
            "addnet_answers_total": [(f'{{verdict="{verdict}"}}', number) for verdict, number in self.answers.items()],
            "addnet_answer_seconds_total": [("", round(self.seconds, 3))],
        }
        rows |= {name: [("", value)] for name, value in gauges.items()}
        lines = []
        for name, values in rows.items():
            kind, text = _HELP[name]
            lines += [f"# HELP {name} {text}", f"# TYPE {name} {kind}"]
            lines += [f"{name}{labels} {value:g}" for labels, value in sorted(values)]
        return "\n".join(lines) + "\n"
