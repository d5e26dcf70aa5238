"""The LightningModule: a network, its loss, its optimiser and its metrics."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import pytorch_lightning as pl
import torch
from torch import Tensor, nn

from addnet.checkpoints.file import FORMAT, identity
from addnet.checkpoints.trained_part import complete, is_part, leave_out, start_of
from addnet.errors import UserError, require_choice
from addnet.evaluation import Scores, decide
from addnet.evaluation.decision import check_bounds
from addnet.models import create_model
from addnet.models.registry import without_start_weights
from addnet.models.tuning import ALL, still_entries
from addnet.training.batches import check_single_rows, describe_batches, steps_per_epoch
from addnet.training.callbacks.freeze_backbone import FreezeBackbone
from addnet.training.callbacks.weight_average import WeightAverage, learning_weights
from addnet.training.losses import build_losses
from addnet.training.optim import ENDLESS, build_optimizer, build_schedulers, check_length, step_plateau
from addnet.training.origin import amounts, validation_errors
from addnet.training.process_group import leave_at_exit
from addnet.training.sam import SharpnessAware
from addnet.training.scores import LossMean, ScoreCollector, WeightedMean, metrics_of
from addnet.training.served_data import served_data, with_sources
from addnet.training.terms import FeaturePass
from addnet.wording import count

log = logging.getLogger(__name__)

# configs/optimizer/adam.yaml
OPTIMIZER = {"name": "adam", "lr": 1e-4, "weight_decay": 1e-5, "sigma_lr": 1e-2, "layer_decay": None, "sam_rho": None}
SCHEDULER = {"name": "none"}
MEASURED = ("framing", "domain")  # measured on images by the data module; kept with `preprocessing` in a checkpoint
COMPILE_MODES = ("default", "reduce-overhead", "max-autotune", "max-autotune-no-cudagraphs")


class DeepfakeDetector(pl.LightningModule):
    """Trains and evaluates a network of `addnet.models`.

    All arguments are plain values and are kept in the checkpoint, so that `load_from_checkpoint` rebuilds the network
    by name, without running code from the file.

    Args:
        model: `name` in `addnet.models.MODELS` and the network's arguments.
        optimizer: Arguments of `build_optimizer`; None is Adam with the rates of `configs/optimizer/adam.yaml`.
        scheduler: Settings of `build_schedulers`; None keeps the learning rate constant.
        loss: Arguments of `RowLoss` and `FeatureLoss`; None is cross-entropy over the rows.
        channels_last: Whether convolutions use the channels-last memory layout; changes only the speed.
        grad_checkpointing: Whether to keep less of the forward pass and recompute it in the backward pass.
        compile_net: Compiles the network in place when a Trainer starts; True or a mode of `torch.compile`.
        freeze_backbone_epochs: Number of epochs at the start in which the backbone is frozen.
        ema_decay: Decay of the average of the weights that is validated, tested and stored; None uses the weights.
        average_epochs: Number of last epochs over which the weights are averaged instead.
        max_fpr: Bound on the share of real validation rows that are called fake, in [0, 1).
        max_fnr: Bound on the share of fake validation rows that are called real, in [0, 1). With both bounds some rows
            may be undecided: see `choose_thresholds`.
        class_names: Names of the classes in the order of the labels.
        preprocessing: What is done to an image before the network sees it; stored in the checkpoint.
        config: The part of the run's config from `kept_config`, stored in the checkpoint and used for nothing else.

    Attributes:
        learning: Names of the trainable parameters of the network, as `model.tune` selects them.
        still: Names of the entries of the network's state dict that training doesn't change.
        start: Name of the weights that the backbone starts from; None for random weights.
        trained_only: Whether the checkpoint being written leaves out the entries in `still`.
        to_resume: Whether training can resume from a checkpoint that is written with `trained_only`.
    """

    def __init__(
        self,
        model: Mapping[str, Any],
        *,
        optimizer: Mapping[str, Any] | None = None,
        scheduler: Mapping[str, Any] | None = None,
        loss: Mapping[str, Any] | None = None,
        channels_last: bool = True,
        grad_checkpointing: bool = False,
        compile_net: bool | str = False,
        freeze_backbone_epochs: int = 0,
        ema_decay: float | None = None,
        average_epochs: int | None = None,
        max_fpr: float | None = None,
        max_fnr: float | None = None,
        class_names: Sequence[str] = ("real", "fake"),
        preprocessing: Mapping[str, Any] | None = None,
        config: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__()
        _check_levers(compile_net, grad_checkpointing)
        check_bounds(max_fpr=max_fpr, max_fnr=max_fnr)
        self.row_loss, self.feature_loss = build_losses(loss or {})
        self.feature_loss.check_masks(dict(preprocessing or {}))
        rho: Any = (optimizer or OPTIMIZER).get("sam_rho")
        self.sam = None if rho is None else SharpnessAware(rho)
        # built here, so that invalid values are reported at once
        frozen = freeze_backbone_epochs or model.get("tune", ALL) != ALL
        self._levers: list[pl.Callback] = [FreezeBackbone(freeze_backbone_epochs)] if frozen else []
        self.average = WeightAverage.wanted(ema_decay, average_epochs)
        self._levers += [self.average] if self.average else []
        self.save_hyperparameters(ignore="config", logger=False)  # the whole config is logged instead
        self.config = dict(config) if config else None
        options = dict(model)
        self.net: nn.Module = create_model(options.pop("name"), **options)
        self.learning = frozenset(name for name, value in self.net.named_parameters() if value.requires_grad)
        self.still = still_entries(self.net)
        self.start = start_of(model, self.net)
        self.trained_only, self.to_resume = False, True
        self.feature_loss.check_network(self.net, (preprocessing or {}).get("image_size"))
        self._feature_pass = self._with_features
        self.memory_format = torch.channels_last if channels_last else torch.contiguous_format
        self.net.to(memory_format=self.memory_format)
        if grad_checkpointing:
            self.net.set_grad_checkpointing()  # type: ignore[operator]
        self.register_buffer("class_weights", None, persistent=False)
        self.train_loss, self.val_loss, self.test_loss = (LossMean(self.row_loss.average) for _ in range(3))
        self.train_accuracy = WeightedMean()
        self.val_scores, self.test_scores = ScoreCollector(), ScoreCollector()
        self.scores: dict[str, Scores] = {}
        self.decision: dict[str, Any] | None = None
        self.images: dict[str, Any] = dict.fromkeys(MEASURED)
        self.learnt_from: dict[str, Any] = {}
        self._unreadable = 0

    def forward(self, image: Tensor, mask: Tensor) -> Tensor:
        """Logits of real and fake: (B, 3, S, S) in [-1, 1] and (B, 1, S, S) in [0, 1] → (B, 2)."""
        logits: Tensor = self.net(image.contiguous(memory_format=self.memory_format), mask)
        return logits

    def _with_features(self, image: Tensor, mask: Tensor) -> FeaturePass:
        """The logits of `forward` and the features they are computed from, in one pass."""
        return self.feature_loss.ask(self.net, image.contiguous(memory_format=self.memory_format), mask)

    def loss(self, logits: Tensor, labels: Tensor, valid: Tensor) -> Tensor:
        """The loss over the valid rows, weighted by class if the data module asks for it."""
        return self.row_loss(logits, labels, valid, weights=self.class_weights)

    def setup(self, stage: str) -> None:
        """Compiles the network if `compile_net` is set: in place, so that the keys of a checkpoint don't change."""
        leave_at_exit()
        mode = self.hparams["compile_net"]
        if mode and self.net._compiled_call_impl is None:
            self.net.compile(mode=None if mode is True else mode)
            if self.feature_loss:
                self._feature_pass = torch.compile(self._with_features, mode=None if mode is True else mode)

    # ---- training ------------------------------------------------------------------------------------------

    def check_batch_size(self, batch_size: int) -> None:
        """Checks that training is possible with this many images per process.

        Raises:
            UserError: It is 1, and the images are so small that batch normalisation would fail in the first step.
        """
        size = (self.hparams["preprocessing"] or {}).get("image_size")
        if batch_size == 1 and size:
            check_single_rows(self.hparams["model"], size)

    def check_trainer(self, trainer: pl.Trainer, batch_size: int | None) -> None:
        """Checks that a Trainer supports the loss and the optimiser, with `batch_size` images per process.

        Raises:
            UserError: The Trainer doesn't support one of them.
        """
        if self.sam:
            self.sam.check_trainer(trainer)
        self.feature_loss.check_trainer(trainer, (batch_size or 2) * trainer.world_size)

    def configure_callbacks(self) -> list[pl.Callback]:
        """The callbacks that freeze the backbone and average the weights; only for training."""
        return self._levers if self.trainer.state.fn == "fit" else []

    def on_fit_start(self) -> None:
        """Takes the class weights and the records of the training data from the data module."""
        data = served_data(self.trainer)
        self.row_loss.check_balance(data.balance if data else "none")
        weights = data.class_weights() if data else None
        self.class_weights = None if weights is None else torch.tensor(weights, device=self.device)
        self.images["framing"] = data.framing() if data else None
        splits = data.splits if data else {}
        for name, split in (("data", "train"), ("chosen_on", "val")):
            self.learnt_from[name] = amounts(splits[split].records) if split in splits else []

    def on_train_start(self) -> None:
        """Logs the effective batch size, and checks the Trainer and the length of a schedule from a checkpoint.

        Raises:
            UserError: The schedule was made for another length, or the Trainer doesn't support loss or optimiser.
        """
        check_length(self.trainer)
        self.check_trainer(self.trainer, getattr(self.trainer.train_dataloader, "batch_size", None))
        line = describe_batches(self.trainer)
        if self.trainer.is_global_zero:
            log.info("%s", line)

    def training_step(self, batch: dict[str, Any], batch_idx: int) -> Tensor:
        """Computes the loss of a batch; logs it and, at the end of the epoch, mean loss and accuracy."""
        labels, valid = batch["label"], batch["valid"]
        terms: dict[str, Tensor] = {}
        if self.feature_loss:
            result = self._feature_pass(batch["image"], batch["mask"])
            logits, terms = result.logits, self._terms(result, batch)
        else:
            logits = self(batch["image"], batch["mask"])
        rows = self.row_loss.rows(logits, labels, valid, weights=self.class_weights)
        loss = self.row_loss.mean(rows, labels, valid, weights=self.class_weights)
        if terms:
            loss = loss + self.feature_loss.total(terms)
        if self.sam and self.sam.second:
            return loss
        self.train_loss.update(rows, labels, valid, self.class_weights)
        self.train_accuracy.update(logits.argmax(dim=1) == labels, valid)
        self._unreadable = self._unreadable + (~valid).sum()
        self.log("train/step/loss", loss.detach(), prog_bar=True, batch_size=len(labels))
        self.log_dict({f"train/step/{name}": term.detach() for name, term in terms.items()}, batch_size=len(labels))
        self.log("train/step/lr", self.trainer.optimizers[0].param_groups[0]["lr"], batch_size=len(labels))
        self.log("train/frame/loss", self.train_loss, on_step=False, on_epoch=True)
        self.log("train/frame/accuracy", self.train_accuracy, on_step=False, on_epoch=True)
        return loss

    def _terms(self, result: FeaturePass, batch: dict[str, Any]) -> dict[str, Tensor]:
        """The loss terms of this step: those on pairs use the rows of all processes, the others only its own.

        Each process computes all pairs and receives the gradient of its rows from all processes, which DDP divides by
        their number: the same as one process with all rows. Samplers give every process the same number of rows.
        """
        places = self.feature_loss.of_places(result.evidence, batch["mask"], batch["valid"])
        if not self.feature_loss.pairs:
            return places
        gathered: Any = self.all_gather(result.pooled.float(), sync_grads=True)
        marks: Any = self.all_gather(torch.where(batch["valid"], batch["label"], -1))  # -1 marks invalid rows
        labels = marks.reshape(-1)
        return self.feature_loss.of_pairs(gathered.reshape(-1, result.pooled.shape[1]), labels, labels >= 0) | places

    def optimizer_step(
        self, epoch: int, batch_idx: int, optimizer: Any, optimizer_closure: Callable[[], Any] | None = None
    ) -> None:
        """Takes one optimiser step; a sharpness-aware step runs two passes."""
        if self.sam and optimizer_closure:
            optimizer_closure = self.sam.both(optimizer_closure, self.net, partial(self._learning, optimizer))
        super().optimizer_step(epoch, batch_idx, optimizer, optimizer_closure)

    def _learning(self, optimizer: Any) -> list[nn.Parameter]:
        """The parameters that a step is about to change."""
        for lever in self._levers:  # drops gradients of frozen parameters, as it happens before the step itself
            lever.on_before_optimizer_step(self.trainer, self, optimizer)
        return [p for group in optimizer.param_groups for p in group["params"] if p.grad is not None]

    def on_train_epoch_end(self) -> None:
        """Logs how many images could not be read in this epoch."""
        if unreadable := int(self._unreadable):
            images = count(unreadable, "image")
            log.warning("epoch %d: %s could not be read and did not count", self.current_epoch, images)
        self._unreadable = 0

    @property
    def optimizer_settings(self) -> Mapping[str, Any]:
        """Settings for `build_optimizer`."""
        settings: Mapping[str, Any] = self.hparams["optimizer"] or OPTIMIZER
        return settings

    @property
    def scheduler_settings(self) -> Mapping[str, Any]:
        """Settings for `build_schedulers`."""
        settings: Mapping[str, Any] = self.hparams["scheduler"] or SCHEDULER
        return settings

    def configure_optimizers(self) -> Any:
        """Builds the optimiser and the schedules from their settings."""
        optimizer = build_optimizer(self.net, self.optimizer_settings)
        schedules = build_schedulers(
            optimizer,
            self.scheduler_settings,
            total_steps=int(min(self.trainer.estimated_stepping_batches, ENDLESS)),
            steps_per_epoch=steps_per_epoch(self.trainer),
        )
        return [optimizer], schedules

    def epoch_state(self) -> dict[str, Any]:
        """The running sums of this process in the current epoch, for a checkpoint within an epoch."""
        counted = {name: getattr(self, name).batches() for name in ("train_loss", "train_accuracy")}
        return counted | {"unreadable": int(self._unreadable)}

    def load_epoch_state(self, state: Mapping[str, Any]) -> None:
        """Restores the running sums from before an interruption."""
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

    def _collect(self, batch: dict[str, Any], loss: LossMean, collector: ScoreCollector) -> None:
        labels, valid = batch["label"], batch["valid"]
        logits = self(batch["image"], batch["mask"])
        rows = self.row_loss.rows(logits, labels, valid, weights=self.class_weights)
        loss.update(rows, labels, valid, self.class_weights)
        collector.update(logits, labels, batch["video"], valid, batch["path"], batch.get("face"))

    def on_validation_epoch_end(self) -> None:
        """Logs the metrics of validation and chooses thresholds; in training, also updates a plateau schedule."""
        metrics = self._log_metrics("val", self.val_loss, self.val_scores)
        if not self.trainer.sanity_checking:
            self.decision = decide(self.scores["val"], **{key: self.hparams[key] for key in ("max_fpr", "max_fnr")})
            self.learnt_from["validation"] = validation_errors(self.scores["val"], self.decision)
        if self.trainer.state.fn == "fit" and not self.trainer.sanity_checking:
            step_plateau(self.trainer, metrics)
            if (data := served_data(self.trainer)) and not self.images["domain"]:
                self.images["domain"] = data.domain()

    def on_test_epoch_end(self) -> None:
        """Logs the metrics of test for all images and, if there are several test data sets, for each separately."""
        self._log_metrics("test", self.test_loss, self.test_scores)
        scores, data = self.scores["test"], served_data(self.trainer)
        for name, videos in (data.test_sets() if data else {}).items():
            rows = torch.isin(scores.videos, torch.as_tensor(videos))
            self.log_dict(metrics_of(f"test/{name}", scores.take(rows)), sync_dist=True)

    def _log_metrics(self, split: str, loss: LossMean, collector: ScoreCollector) -> dict[str, float]:
        scores = with_sources(collector.scores(split), self.trainer, split)
        self.scores[split] = scores
        metrics = {f"{split}/frame/loss": float(loss.compute())} | metrics_of(split, scores)
        loss.reset()
        collector.reset()
        # every rank has gathered the same scores: the mean over ranks is the metric itself
        on_bar = f"{split}/frame/auroc"
        self.log(on_bar, metrics[on_bar], prog_bar=True, sync_dist=True)
        self.log_dict({name: value for name, value in metrics.items() if name != on_bar}, sync_dist=True)
        return metrics

    def predict_step(self, batch: dict[str, Any], batch_idx: int) -> dict[str, Any]:
        """Returns paths, video ids and probabilities of fake; images that could not be read are marked invalid."""
        probabilities = self(batch["image"], batch["mask"]).float().softmax(dim=1)[:, 1]
        return {key: batch[key] for key in ("path", "video_id", "valid")} | {"probability": probabilities}

    # ---- checkpoints ---------------------------------------------------------------------------------------

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Adds what is needed to use the weights, and nothing that loading would download or run again."""
        hparams = checkpoint.get("hyper_parameters", {})
        if "model" in hparams:
            hparams["model"] = without_start_weights(hparams["model"])
            hparams["compile_net"] = False  # the machine that loads it may have no compiler
        checkpoint["addnet"] = identity(
            class_names=list(self.hparams["class_names"]),
            preprocessing=dict(self.hparams["preprocessing"] or {}) | self.images,
            config=self.config,
            decision=self.decision,
        )
        checkpoint["addnet"]["learnt_from"] = self.learnt_from
        # so that testing the checkpoint alone gives the same loss as testing after training
        checkpoint["addnet"]["class_weights"] = None if self.class_weights is None else self.class_weights.tolist()
        if self.trained_only:
            leave_out(checkpoint, self.still, self.start, to_resume=self.to_resume)

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Rejects a checkpoint of another format; uses its trainable weights if training resumes without the average.

        A checkpoint of the trained part alone is completed from this network, which must have the same start weights.

        Raises:
            UserError: It isn't a checkpoint of this program, has another format, or needs other start weights.
        """
        about = checkpoint.get("addnet", {})
        if about.get("format") != FORMAT:
            raise UserError(f"checkpoint format {about.get('format')!r} is not {FORMAT}, the format this version reads")
        self.decision = about.get("decision")
        origin = about.get("learnt_from")
        self.learnt_from = dict(origin) if isinstance(origin, Mapping) else {}
        weights = about.get("class_weights")
        self.class_weights = None if weights is None else torch.tensor(weights, device=self.device)
        self.images = {name: (about.get("preprocessing") or {}).get(name) for name in MEASURED}
        if is_part(checkpoint):
            path = (self._trainer and self._trainer.ckpt_path) or "the checkpoint"
            complete(checkpoint, self.state_dict(), path=path, start=self.start)
        if self._trainer is not None and self.trainer.state.fn == "fit" and not self.average:
            checkpoint["state_dict"] |= learning_weights(checkpoint)


def _check_levers(compile_net: bool | str, grad_checkpointing: bool) -> None:
    if isinstance(compile_net, str):
        require_choice("compile", compile_net, COMPILE_MODES)
    if compile_net and grad_checkpointing:
        raise UserError(
            f"compile={compile_net} and grad_checkpointing=true exclude each other: the compiler itself chooses what "
            "to recompute, and can't compile segments chosen in advance; use one of them"
        )
