"""The metrics file of a run folder, which a resumed run continues."""

from __future__ import annotations

import csv
import io
import logging
from pathlib import Path
from typing import Any

from pytorch_lightning import loggers
from pytorch_lightning.utilities import rank_zero_only

from addnet.untrusted.files import read_bytes

log = logging.getLogger(__name__)

_MOST = 256 << 20  # bytes: the largest metrics.csv that is continued


class CSVLogger(loggers.CSVLogger):
    """Lightning's CSV logger, but a resumed run starts with the rows written up to the checkpoint.

    Lightning's logger deletes the files it finds in the folder. Rows after the checkpoint are dropped, since the
    resumed run writes them again.

    Args:
        save_dir: The run folder.
        name: Folder of `metrics.csv` inside the run folder.
        resume: What `state` gave to the checkpoint, and `run_dir`, the folder of the run that wrote it. The file is
            read from where this logger writes it, whatever path the checkpoint gives.
    """

    def __init__(self, save_dir: str, *, name: str = "metrics", resume: dict[str, Any] | None = None) -> None:
        super().__init__(save_dir, name=name, version="")
        self._rows = 0
        if resume:
            self._continue(Path(resume["run_dir"], name, "metrics.csv"), resume.get("rows", 0))

    def state(self) -> dict[str, Any]:
        """The file, relative to the run folder, and its number of rows; all are on the disk when this returns."""
        self.save()
        return {"file": f"{self.name}/metrics.csv", "rows": self._rows}

    @rank_zero_only
    def log_metrics(self, metrics: Any, step: int | None = None) -> None:
        """Adds a row."""
        self._rows += 1
        super().log_metrics(metrics, step)

    @rank_zero_only
    def _continue(self, file: Path, rows: int) -> None:
        if not file.is_file():
            log.warning("%s is missing: metrics.csv begins at the checkpoint", file)
            return
        text = read_bytes(file, most=_MOST).decode("utf-8", "replace")
        before = [row for row, _ in zip(csv.DictReader(io.StringIO(text, newline="")), range(rows), strict=False)]
        self._rows = len(before)
        self.experiment.metrics = [{k: v for k, v in row.items() if v} for row in before]
        self.save()
