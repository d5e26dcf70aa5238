"""What each kind of logger accepts beyond metrics and settings, and how it is passed on.

Logger packages are extras: a kind is recognised by the class names of a logger, and nothing is imported here.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

State = dict[str, Any]


class Kind:
    """A logger that takes metrics and settings alone: one that is not known here."""

    def image(self, logger: Any, name: str, file: Path, *, step: int) -> None:
        """Takes a PNG file."""

    def text(self, logger: Any, file: Path, *, step: int) -> None:
        """Takes a file of text."""

    def matrix(self, logger: Any, name: str, rows: Sequence[Sequence[int]], labels: list[str], *, step: int) -> None:
        """Takes counts of a confusion matrix, a row for each true class, where it has a view for them."""

    def results(self, logger: Any, settings: Mapping[str, Any], metrics: dict[str, float], *, step: int) -> None:
        """Takes the last metrics next to the settings, where it has a table of runs that needs both at once."""

    def end(self, logger: Any, status: str, checkpoint: str) -> None:
        """Ends the record, with the best checkpoint where that was asked for."""

    def state(self, logger: Any) -> State:
        """How far the record has come, for a resumed run that continues it; empty where a new one is begun."""
        return {}

    def continuing(self, state: State, run_dir: str | None) -> dict[str, Any]:
        """Arguments of a logger that continues a record.

        Args:
            state: What `state` gave.
            run_dir: The folder of the run that wrote it.
        """
        return {}


class _CSV(Kind):
    def state(self, logger: Any) -> State:
        return dict(logger.state()) if hasattr(logger, "state") else {}

    def continuing(self, state: State, run_dir: str | None) -> dict[str, Any]:
        return {"resume": state | {"run_dir": run_dir}}


class _Comet(_CSV):
    """Of what is drawn anew each epoch it is given the last alone, at the end."""

    def image(self, logger: Any, name: str, file: Path, *, step: int) -> None:
        logger.keep(f"image {name}", "log_image", str(file), name=name, step=step)

    def text(self, logger: Any, file: Path, *, step: int) -> None:
        logger.keep(f"text {file.name}", "log_asset", str(file), file_name=file.name, step=step)

    def matrix(self, logger: Any, name: str, rows: Sequence[Sequence[int]], labels: list[str], *, step: int) -> None:
        counts = [list(row) for row in rows]
        how = {"matrix": counts, "labels": labels, "title": name, "file_name": f"{name}.json", "step": step}
        logger.keep(f"matrix {name}", "log_confusion_matrix", **how)

    def end(self, logger: Any, status: str, checkpoint: str) -> None:
        logger.close(checkpoint)


class _TensorBoard(Kind):
    def image(self, logger: Any, name: str, file: Path, *, step: int) -> None:
        import numpy as np
        from PIL import Image

        with Image.open(file) as image:
            pixels = np.asarray(image.convert("RGB"))
        logger.experiment.add_image(name, pixels, global_step=step, dataformats="HWC")

    def text(self, logger: Any, file: Path, *, step: int) -> None:
        said = file.read_text(encoding="utf-8")
        logger.experiment.add_text(file.name, f"```\n{said}\n```", global_step=step)

    def results(self, logger: Any, settings: Mapping[str, Any], metrics: dict[str, float], *, step: int) -> None:
        logger.log_hyperparams(settings, metrics, step=step)  # its tab HPARAMS


class _Wandb(Kind):
    def image(self, logger: Any, name: str, file: Path, *, step: int) -> None:
        logger.log_image(key=name, images=[str(file)], step=step)

    def text(self, logger: Any, file: Path, *, step: int) -> None:
        run = logger.experiment
        copy = Path(run.dir, file.parent.name, file.name)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, copy)  # a link, which `save` would make, is warned of each time
        run.save(str(copy), base_path=run.dir, policy="end")

    def matrix(self, logger: Any, name: str, rows: Sequence[Sequence[int]], labels: list[str], *, step: int) -> None:
        import wandb

        columns = ["Actual", "Predicted", "nPredictions"]
        cells = [
            [actual, called, count]
            for actual, row in zip(labels, rows, strict=True)
            for called, count in zip(labels, row, strict=True)
        ]
        chart = wandb.plot_table(
            vega_spec_name="wandb/confusion_matrix/v1",
            data_table=wandb.Table(columns=columns, data=cells),
            fields={column: column for column in columns},
            string_fields={"title": name},
        )
        logger.log_metrics({f"{name}_counts": chart}, step)

    def end(self, logger: Any, status: str, checkpoint: str) -> None:
        import wandb

        run = logger.experiment
        if checkpoint and getattr(logger, "log_checkpoint", False):
            artifact = wandb.Artifact(f"best-{run.id}", type="model")
            artifact.add_file(checkpoint)
            run.log_artifact(artifact, aliases=["best"])
        run.finish(exit_code=int(status != "success"))  # otherwise the next job in this process would continue it

    def state(self, logger: Any) -> State:
        return {"key": logger.version} if logger.version else {}

    def continuing(self, state: State, run_dir: str | None) -> dict[str, Any]:
        return {"id": state["key"]} if "key" in state else {}


class _MLFlow(Kind):
    def image(self, logger: Any, name: str, file: Path, *, step: int) -> None:
        logger.experiment.log_artifact(logger.run_id, str(file), "metrics")

    def text(self, logger: Any, file: Path, *, step: int) -> None:
        logger.experiment.log_artifact(logger.run_id, str(file), "reports")

    def matrix(self, logger: Any, name: str, rows: Sequence[Sequence[int]], labels: list[str], *, step: int) -> None:
        counts = {"labels": labels, "matrix": [list(row) for row in rows]}
        logger.experiment.log_dict(logger.run_id, counts, f"reports/{name}.json")

    def state(self, logger: Any) -> State:
        return {"key": logger.version} if logger.version else {}

    def continuing(self, state: State, run_dir: str | None) -> dict[str, Any]:
        return {"run_id": state["key"]} if "key" in state else {}


_KINDS = {
    "CSVLogger": _CSV(),
    "CometLogger": _Comet(),
    "TensorBoardLogger": _TensorBoard(),
    "WandbLogger": _Wandb(),
    "MLFlowLogger": _MLFlow(),
}
_UNKNOWN = Kind()


def kind_of(logger: Any) -> Kind:
    """The kind of a logger, or of one of its base classes.

    Args:
        logger: A logger, or its class.
    """
    classes = (logger if isinstance(logger, type) else type(logger)).__mro__
    return next((_KINDS[one.__name__] for one in classes if one.__name__ in _KINDS), _UNKNOWN)
