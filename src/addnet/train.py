"""`addnet train`: trains a detector, tests its best checkpoint and writes a run folder."""

from __future__ import annotations

import logging
import shlex
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf

from addnet.cli import hydra_command, refuse_sweep_over_ranks
from addnet.config import build, build_all, check_values, plain
from addnet.errors import RunStoppedError, UserError
from addnet.launch import divert_output, process_name
from addnet.surroundings import require_writable
from addnet.sweeps.resume import run_recorded

if TYPE_CHECKING:
    import pytorch_lightning as pl
    from pytorch_lightning.loggers import Logger

    from addnet.data import DeepfakeDataModule
    from addnet.evaluation import Scores
    from addnet.sweeps import Result
    from addnet.training import DeepfakeDetector
    from addnet.training.served_data import ServedData

log = logging.getLogger(__name__)


def train(cfg: DictConfig, result: Result | None = None) -> float | None:
    """Trains and tests the network of a composed config.

    Args:
        cfg: `configs/train.yaml`, composed, with the run folder as `paths.output_dir`.
        result: Receives the metrics, if given.

    Returns:
        The value of the metric that chose the best checkpoint; None without training.

    Raises:
        UserError: A setting or the data are not valid.
    """
    import pytorch_lightning as pl

    from addnet.training.loggers import close_loggers, log_results
    from addnet.training.overview import overview
    from addnet.training.run_folder import (
        final_metrics,
        last_metrics,
        parameters,
        print_config,
        print_summary,
        write_run_folder,
    )

    run_dir = Path(cfg.paths.output_dir)
    check_switches(cfg)
    # Lightning 2.6.6 still uses torch's LeafSpec; users can't do anything about it
    warnings.filterwarnings("ignore", message=r".*LeafSpec.*is deprecated")
    # true for Lightning's own loaders; here the sampler continues where the checkpoint was written
    warnings.filterwarnings("ignore", message=r".*your dataloader is not resumable")
    # every epoch is logged, however few steps it has
    warnings.filterwarnings("ignore", message=r".*smaller than the logging interval")
    pl.seed_everything(cfg.seed, workers=True, verbose=False)

    # errors in the config are reported before weights are fetched, landmarks searched or an experiment is opened
    datamodule: DeepfakeDataModule = build(cfg.data, **data_used(cfg))
    trainer: pl.Trainer = build(cfg.trainer, callbacks=build_all(cfg.callbacks), logger=False)
    checkpoint = find_checkpoint(cfg)
    module = check_config(cfg, datamodule, trainer, checkpoint)
    datamodule.list_data()
    if wants_start_weights(cfg, checkpoint):
        pl.seed_everything(cfg.seed, workers=True, verbose=False)
        module = build_module(cfg, datamodule, checkpoint)
    if trainer.is_global_zero:
        print_config(cfg)
        datamodule.prepare_data()
        datamodule.setup("fit")
        datamodule.summary(run_dir)
        write_run_folder(run_dir, cfg, data_fingerprint=datamodule.fingerprint)
        for line in overview(cfg, module, trainer):
            log.info("%s", line)

    trainer.loggers = build_loggers(cfg, checkpoint)
    status = "failed"
    try:
        if trainer.is_global_zero:
            hyperparameters = parameters(cfg, datamodule, module.net)
            for logger in trainer.loggers:
                logger.log_hyperparams(hyperparameters)
        score = fit_and_test(cfg, trainer, module, datamodule)
        status = "success"
        if trainer.is_global_zero:
            log_results(trainer, hyperparameters, last_metrics(trainer))
    finally:
        close_loggers(trainer.loggers, status=status, checkpoint=best_checkpoint(trainer))
    if trainer.is_global_zero:
        metrics = {name: float(value) for name, value in trainer.callback_metrics.items()}
        print_summary(run_dir, metrics, checkpoint=best_checkpoint(trainer))
        if result:
            result.metrics = final_metrics(trainer)
            if "test" in module.scores:
                keep_test(run_dir, module.scores["test"], datamodule)
    return score


def keep_test(run_dir: Path, scores: Scores, datamodule: DeepfakeDataModule) -> None:
    """Writes the test scores and resamples into the run folder, for tables over several runs."""
    from addnet.evaluation.levels import draws_of_test
    from addnet.sweeps.draws import write_draws, write_scores

    write_draws(run_dir, draws_of_test(scores))
    if scores.sources is not None:
        names = datamodule.splits["test"].records.names("group_id")
        sources = [names[number] for number in scores.sources.tolist()]
        write_scores(run_dir, scores.probabilities.numpy(), scores.labels.numpy(), sources)


def data_used(cfg: DictConfig) -> dict[str, bool]:
    """Returns arguments of the data module for the splits that a run doesn't need, whose files may be missing."""
    if cfg.train and not cfg.test:
        return {"no_test": True}
    return {"only_test": True} if cfg.test and not cfg.train else {}


def check_switches(cfg: DictConfig) -> None:
    """Checks the values at the top level of the config, which no constructor checks.

    Raises:
        UserError: A value has the wrong type; `test=no`, for example, is a text, and would count as true.
    """
    from addnet.faces.geometry import require_side

    for name in ("train", "test", "channels_last", "grad_checkpointing"):
        if not isinstance(cfg[name], bool):
            raise UserError(f"{name}={cfg[name]!r} must be true or false")
    if not isinstance(cfg.seed, int) or not 0 <= cfg.seed < 2**32:
        raise UserError(f"seed={cfg.seed!r} must be a whole number from 0 to 4294967295")
    if isinstance(cfg.data.image_size, int):  # the data module reports values that aren't numbers
        require_side(cfg.data.image_size)


def check_config(
    cfg: DictConfig, datamodule: ServedData, trainer: pl.Trainer, checkpoint: dict[str, Any] | None
) -> DeepfakeDetector:
    """Builds everything that needs no data, weights or server, and returns the module with random weights.

    Raises:
        UserError: A setting is not valid.
    """
    from addnet.training.preflight import (
        check_average,
        check_checkpoints,
        check_loggers,
        check_monitors,
        check_rates,
    )

    for option in ("paths.output_dir", "paths.index_dir"):
        require_writable(option, OmegaConf.select(cfg, option))
    for node in (cfg.logger or {}).values():
        check_values(node)
    check_loggers(cfg.logger)
    module = build_module(cfg, datamodule, checkpoint, start_weights=False)
    if cfg.train:
        check_rates(module, trainer)
        check_average(module, trainer)
        module.check_trainer(trainer, cfg.data.get("batch_size"))
        check_monitors(module, trainer)
        check_checkpoints(module, trainer)
    return module


def wants_start_weights(cfg: DictConfig, checkpoint: dict[str, Any] | None) -> bool:
    """Returns whether start weights are needed: without a checkpoint, or with one that has only the trained part."""
    from addnet.checkpoints.trained_part import is_part

    return bool(cfg.model.get("pretrained") or cfg.model.get("weights")) and (not checkpoint or is_part(checkpoint))


def find_checkpoint(cfg: DictConfig) -> dict[str, Any] | None:
    """Reads the checkpoint that `ckpt_path` names; `auto` becomes the last one in this run folder, or null."""
    from addnet.checkpoints.file import read_checkpoint, run_of
    from addnet.checkpoints.trained_part import check_resumable
    from addnet.training.checkpoints import check_continues, nothing_left
    from addnet.training.kept_config import earlier_config, kept_config

    if cfg.ckpt_path == "auto":
        last = Path(cfg.paths.output_dir, "checkpoints", "last.ckpt")
        cfg.ckpt_path = str(last) if last.is_file() else None
    if not cfg.ckpt_path:
        return None
    if cfg.ckpt_path in ("last", "best") and not Path(cfg.ckpt_path).exists():  # as in Lightning's fit and test
        raise UserError(_which_checkpoint(cfg))
    checkpoint = read_checkpoint(cfg.ckpt_path)
    if cfg.train:
        check_resumable(checkpoint, cfg.ckpt_path)
    if cfg.train and (before := checkpoint["addnet"].get("config")):
        earlier = run_of(cfg.ckpt_path)
        check_continues(earlier_config(before, earlier), kept_config(cfg, earlier), path=cfg.ckpt_path)
    length = {name: cfg.trainer.get(name, -1) for name in ("max_epochs", "max_steps")}
    if cfg.train and (done := nothing_left(checkpoint, **length, path=cfg.ckpt_path)):
        log.warning("%s%s", done, "; its best checkpoint is tested" if cfg.test else "")
    return checkpoint


def _which_checkpoint(cfg: DictConfig) -> str:
    """Returns the message for `ckpt_path=last`, which names no checkpoint, since each run has its own folder."""
    files = Path(cfg.paths.output_root, cfg.task).glob(f"*/checkpoints/{cfg.ckpt_path}.ckpt")
    newest = max(files, key=lambda file: file.stat().st_mtime, default=None)
    named = shlex.quote(f"ckpt_path={newest or 'outputs/train/TIME/checkpoints/last.ckpt'}")
    return (
        f"ckpt_path={cfg.ckpt_path}: a new run has no checkpoint yet; give the file of another run, such as {named}; "
        "ckpt_path=auto continues a run with the same paths.output_dir"
    )


def build_module(
    cfg: DictConfig,
    datamodule: ServedData,
    checkpoint: dict[str, Any] | None = None,
    *,
    start_weights: bool = True,
) -> DeepfakeDetector:
    """Builds the LightningModule of a config, and checks that it fits the checkpoint, if there is one.

    Args:
        cfg: `configs/train.yaml`, composed.
        datamodule: Provides the preprocessing of images.
        checkpoint: The checkpoint that will be loaded into it.
        start_weights: Whether to fetch and read the start weights that the config names.
    """
    from addnet.checkpoints.file import check_fits
    from addnet.checkpoints.trained_part import complete, start_of
    from addnet.models.registry import without_start_weights
    from addnet.training import DeepfakeDetector
    from addnet.training.kept_config import kept_config

    model = plain(cfg.model)
    if not start_weights or not wants_start_weights(cfg, checkpoint):
        model = without_start_weights(model)
    module = DeepfakeDetector(
        model,
        optimizer=plain(cfg.optimizer),
        scheduler=plain(cfg.scheduler),
        loss=plain(cfg.loss),
        channels_last=cfg.channels_last,
        grad_checkpointing=cfg.grad_checkpointing,
        compile_net=cfg.compile,
        freeze_backbone_epochs=cfg.freeze_backbone_epochs,
        ema_decay=cfg.ema_decay,
        average_epochs=cfg.average_epochs,
        **plain(cfg.decision),
        preprocessing=datamodule.preprocessing(),
        config=kept_config(cfg, Path(cfg.paths.output_dir)),
    )
    module.row_loss.check_balance(cfg.data.get("balance", "none"))
    if cfg.train and not cfg.trainer.get("sync_batchnorm"):  # synchronised batch norm averages over processes
        module.check_batch_size(cfg.data.get("batch_size", 0))
    module.start = start_of(plain(cfg.model), module.net)
    if checkpoint and (start_weights or not wants_start_weights(cfg, checkpoint)):
        complete(checkpoint, module.state_dict(), path=cfg.ckpt_path, start=module.start)
        check_fits(module.state_dict(), checkpoint["state_dict"], path=cfg.ckpt_path)
    return module


def build_loggers(cfg: DictConfig, checkpoint: dict[str, Any] | None) -> list[Logger]:
    """Builds the loggers, none for a trial run; when resuming, loggers continue their earlier records if they can."""
    from hydra.utils import get_class

    from addnet.checkpoints.file import run_of
    from addnet.training.loggers import begun, kind_of, known_state

    if cfg.trainer.get("fast_dev_run"):
        return []
    states = checkpoint.get("resume", {}).get("loggers", {}) if cfg.train and checkpoint else {}
    run_dir = str(run_of(cfg.ckpt_path)) if states else None
    loggers = []
    for node in (cfg.logger or {}).values():
        state = known_state(states.get(node["_target_"].rpartition(".")[2]))
        continuing = kind_of(get_class(node["_target_"])).continuing(state, run_dir) if state else {}
        loggers.append(begun(build(node, **continuing)))
    return loggers


def fit_and_test(
    cfg: DictConfig, trainer: pl.Trainer, module: DeepfakeDetector, datamodule: DeepfakeDataModule
) -> float | None:
    """Trains, then tests the best checkpoint once."""
    from pytorch_lightning.utilities.exceptions import SIGTERMException

    score = None
    if cfg.train:
        try:
            trainer.fit(module, datamodule, ckpt_path=cfg.ckpt_path, weights_only=True)
        except SystemExit as stop:  # Lightning raises it for Ctrl-C, and a subclass for SIGTERM
            last = last_checkpoint(trainer)
            how = f"continue with {shlex.quote(f'ckpt_path={last}')}" if last else "there is no checkpoint yet"
            code = 143 if isinstance(stop, SIGTERMException) else 130
            raise RunStoppedError(f"interrupted; {how}", code=code) from stop
        best = getattr(trainer.checkpoint_callback, "best_model_score", None)
        score = None if best is None else float(best)
    if cfg.test:
        chosen = best_checkpoint(trainer) or (None if cfg.train else cfg.ckpt_path)
        if not chosen and (lost := getattr(trainer.checkpoint_callback, "lost", "")):
            raise UserError(
                f"nothing was tested: {lost}, and no better one has been written since. Restore it, or test the last "
                f"weights with train=false {shlex.quote(f'ckpt_path={last_checkpoint(trainer)}')}"
            )
        trainer.test(module, datamodule, ckpt_path=chosen, weights_only=True, verbose=False)
    return score


def best_checkpoint(trainer: pl.Trainer) -> str:
    """Returns the path of the checkpoint with the best validation metric; empty if none was written."""
    return _written(trainer, "best")


def last_checkpoint(trainer: pl.Trainer) -> str:
    """Returns the path of the latest checkpoint; empty if none was written."""
    return _written(trainer, "last")


def _written(trainer: pl.Trainer, name: str) -> str:
    kept = {getattr(callback, "filename", None): callback for callback in trainer.checkpoint_callbacks}
    return str(getattr(kept.get(name), "best_model_path", ""))


@hydra_command("train")
def main(cfg: DictConfig) -> float | None:
    """Runs the command; returns the metric, which sweepers use."""
    hydra_config = HydraConfig.get()
    refuse_sweep_over_ranks(cfg, hydra_config)
    logging.captureWarnings(True)
    if process_name():
        divert_output(Path(cfg.paths.output_dir) / f"{hydra_config.job.name}.log")
    return run_recorded(train, cfg)


if __name__ == "__main__":
    main()
