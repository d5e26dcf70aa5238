"""The LightningModule: either network, its loss, its optimiser and the field's figures."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any

import pytorch_lightning as pl
import torch
from torch import Tensor, nn
from torch.nn import functional

from addnet.errors import UserError
from addnet.evaluation import Scores, binary_metrics, by_video
from addnet.models import create_model
from addnet.training.checkpoints import FORMAT, identity
from addnet.training.optim import build_optimizer, build_scheduler
from addnet.training.scores import ScoreCollector, WeightedMean

log = logging.getLogger(__name__)

IGNORED = -100  # label of rows that do not count in the loss
OPTIMIZER = {"name": "adam", "lr": 1e-4, "weight_decay": 1e-5, "sigma_lr": 1e-2}  # configs/optimizer/adam.yaml
SCHEDULER = {"name": "none"}


class DeepfakeDetector(pl.LightningModule):
    """Trains and evaluates a network of `addnet.models`.

    Every argument is plain values and kept in the checkpoint, so that `load_from_checkpoint` rebuilds the
    network by name, without running anything that the file brings along.

    Args:
        model: `name` in `addnet.models.MODELS` and the network's arguments.
        optimizer: See `build_optimizer`; None is Adam with the rates of `configs/optimizer/adam.yaml`.
        scheduler: See `build_scheduler`; None keeps the rate.
        label_smoothing: Of the cross-entropy, in [0, 1).
        channels_last: Memory layout of the convolutions; the result is the same, the speed is not.
        class_names: In the order of the labels.
        preprocessing: What was done to a picture before the network sees it; travels in the checkpoint.
        config: The whole resolved config of the run, for the checkpoint alone.
    """

    def __init__(
        self,
        model: Mapping[str, Any],
        *,
        optimizer: Mapping[str, Any] | None = None,
        scheduler: Mapping[str, Any] | None = None,
        label_smoothing: float = 0.0,
        channels_last: bool = True,
        class_names: Sequence[str] = ("real", "fake"),
        preprocessing: Mapping[str, Any] | None = None,
        config: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__()
        if not 0 <= label_smoothing < 1:
            raise UserError(f"loss.label_smoothing={label_smoothing} must lie in [0, 1)")
        self.save_hyperparameters(ignore="config", logger=False)  # the whole config is logged instead
        self.config = dict(config) if config else None
        options = dict(model)
        self.net: nn.Module = create_model(options.pop("name"), **options)
        self.memory_format = torch.channels_last if channels_last else torch.contiguous_format
        self.net.to(memory_format=self.memory_format)
        self.register_buffer("class_weights", None, persistent=False)
        self.train_loss = WeightedMean()
        self.train_accuracy = WeightedMean()
        self.val_loss, self.test_loss = WeightedMean(), WeightedMean()
        self.val_scores, self.test_scores = ScoreCollector(), ScoreCollector()
        self.scores: dict[str, Scores] = {}
        self._unreadable = 0

    def forward(self, image: Tensor, mask: Tensor) -> Tensor:
        """Logits of real and fake: (B, 3, S, S) in [-1, 1] and (B, 1, S, S) in [0, 1] → (B, 2)."""
        logits: Tensor = self.net(image.contiguous(memory_format=self.memory_format), mask)
        return logits

    def loss(self, logits: Tensor, labels: Tensor, valid: Tensor) -> Tensor:
        """Cross-entropy over the rows that count, weighted by class if the data module asks for it."""
        targets = torch.where(valid, labels, IGNORED)
        weights: Tensor | None = self.class_weights
        total = functional.cross_entropy(
            logits.float(),
            targets,
            weight=weights,
            ignore_index=IGNORED,
            label_smoothing=self.hparams["label_smoothing"],
            reduction="sum",
        )
        counted = valid.float() if weights is None else valid * weights[labels]
        # the mean by hand: torch's own is 0/0 where no row counts, and its gradient would reach the weights
        return total / counted.sum().clamp(min=torch.finfo(torch.float32).tiny)

    # ---- training ------------------------------------------------------------------------------------------

    def on_fit_start(self) -> None:
        """Takes the class weights from the data module, once its splits are known."""
        weights = getattr(getattr(self.trainer, "datamodule", None), "class_weights", lambda: None)()
        self.class_weights = None if weights is None else torch.tensor(weights, device=self.device)

    def training_step(self, batch: dict[str, Any], batch_idx: int) -> Tensor:
        """One step; logs its loss and, at the end of the epoch, mean loss and accuracy."""
        labels, valid = batch["label"], batch["valid"]
        logits = self(batch["image"], batch["mask"])
        loss = self.loss(logits, labels, valid)
        self.train_loss.update(loss, valid.sum())
        self.train_accuracy.update(logits.argmax(dim=1) == labels, valid)
        self._unreadable = self._unreadable + (~valid).sum()
        self.log("train/step/loss", loss.detach(), prog_bar=True, batch_size=len(labels))
        self.log("train/step/lr", self.trainer.optimizers[0].param_groups[0]["lr"], batch_size=len(labels))
        self.log("train/frame/loss", self.train_loss, on_step=False, on_epoch=True)
        self.log("train/frame/accuracy", self.train_accuracy, on_step=False, on_epoch=True)
        return loss

    def on_train_epoch_end(self) -> None:
        """Says how many pictures could not be read in this epoch."""
        if unreadable := int(self._unreadable):
            log.warning("epoch %d: %d pictures could not be read and did not count", self.current_epoch, unreadable)
        self._unreadable = 0

    def configure_optimizers(self) -> Any:
        """Optimiser and schedule by name."""
        optimizer = build_optimizer(self.net, self.hparams["optimizer"] or OPTIMIZER)
        total = int(min(self.trainer.estimated_stepping_batches, 2**62))
        schedule = build_scheduler(
            optimizer,
            self.hparams["scheduler"] or SCHEDULER,
            total_steps=total,
            steps_per_epoch=max(1, total // max(1, self.trainer.max_epochs or 1)),
        )
        return {"optimizer": optimizer, **({"lr_scheduler": schedule} if schedule else {})}

    def epoch_state(self) -> dict[str, Any]:
        """What this process has counted in the epoch so far: a checkpoint in mid-epoch needs it."""
        counted = {name: getattr(self, name).batches() for name in ("train_loss", "train_accuracy")}
        return counted | {"unreadable": int(self._unreadable)}

    def load_epoch_state(self, state: Mapping[str, Any]) -> None:
        """Takes up what was counted before an interruption."""
        for name in ("train_loss", "train_accuracy"):
            getattr(self, name).load_batches(state[name])
        self._unreadable = state["unreadable"]

    # ---- evaluation ----------------------------------------------------------------------------------------

    def validation_step(self, batch: dict[str, Any], batch_idx: int) -> None:
        """Collects scores."""
        self._collect(batch, self.val_loss, self.val_scores)

    def test_step(self, batch: dict[str, Any], batch_idx: int) -> None:
        """Collects scores."""
        self._collect(batch, self.test_loss, self.test_scores)

    def _collect(self, batch: dict[str, Any], loss: WeightedMean, collector: ScoreCollector) -> None:
        labels, valid = batch["label"], batch["valid"]
        logits = self(batch["image"], batch["mask"])
        loss.update(self.loss(logits, labels, valid), valid.sum())
        collector.update(logits, labels, batch["video"], valid)

    def on_validation_epoch_end(self) -> None:
        """Logs the figures of validation."""
        self._log_figures("val", self.val_loss, self.val_scores)

    def on_test_epoch_end(self) -> None:
        """Logs the figures of test."""
        self._log_figures("test", self.test_loss, self.test_scores)

    def _log_figures(self, split: str, loss: WeightedMean, collector: ScoreCollector) -> None:
        scores = collector.compute()
        self.scores[split] = scores
        figures = {f"{split}/frame/loss": float(loss.compute())}
        loss.reset()
        collector.reset()
        for level, rows in (("frame", scores), ("video", by_video(scores))):
            values = binary_metrics(rows.probabilities, rows.labels)
            figures |= {f"{split}/{level}/{name}": value for name, value in values.items()}
        # every rank has gathered the same scores: the mean over ranks is the figure itself
        on_bar = f"{split}/frame/auroc"
        self.log(on_bar, figures.pop(on_bar), prog_bar=True, sync_dist=True)
        self.log_dict(figures, sync_dist=True)

    def predict_step(self, batch: dict[str, Any], batch_idx: int) -> dict[str, Any]:
        """Paths, video ids and probabilities of fake; rows that could not be read are marked invalid."""
        probabilities = self(batch["image"], batch["mask"]).float().softmax(dim=1)[:, 1]
        return {key: batch[key] for key in ("path", "video_id", "valid")} | {"probability": probabilities}

    # ---- checkpoints ---------------------------------------------------------------------------------------

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Adds what a reader needs to use the weights, and nothing that would be fetched or run again."""
        hparams = checkpoint.get("hyper_parameters", {})
        if "model" in hparams:
            hparams["model"] = dict(hparams["model"]) | {"pretrained": False, "weights": None}
        checkpoint["addnet"] = identity(
            class_names=list(self.hparams["class_names"]),
            preprocessing=dict(self.hparams["preprocessing"] or {}),
            config=self.config,
        )

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Refuses a checkpoint of another format.

        Raises:
            UserError: It was not written by this program, or by another format of it.
        """
        found = checkpoint.get("addnet", {}).get("format")
        if found != FORMAT:
            raise UserError(f"checkpoint format {found!r} is not {FORMAT}, the one this version reads")
