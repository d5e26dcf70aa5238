"""`python -m addnet.train`: trains a detector, tests its best checkpoint and leaves a run folder."""

from __future__ import annotations

import logging
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

import hydra
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf

from addnet.cli import Command, friendly, refuse_sweep_over_ranks
from addnet.config import build, build_all, config_dir, plain
from addnet.errors import UserError
from addnet.sweeps.resume import run_recorded

if TYPE_CHECKING:
    import pytorch_lightning as pl

    from addnet.sweeps import Result
    from addnet.training import DeepfakeDetector

log = logging.getLogger(__name__)


def train(cfg: DictConfig, result: Result | None = None) -> float | None:
    """Trains and tests what a composed config describes.

    Args:
        cfg: `configs/train.yaml` composed, `paths.output_dir` being the run folder.
        result: Takes the figures, if given.

    Returns:
        The figure that the best checkpoint was chosen by; None if nothing was trained.

    Raises:
        UserError: Something in the config or the data has to be put right.
    """
    import pytorch_lightning as pl
    from rich.console import Console

    from addnet.training.loggers import close_loggers
    from addnet.training.run_folder import config_tree, final_figures, print_summary, write_run_folder

    run_dir = Path(cfg.paths.output_dir)
    # Lightning 2.6.6 still asks torch for LeafSpec; nothing a user could do about it
    warnings.filterwarnings("ignore", message=r".*LeafSpec.*is deprecated")
    pl.seed_everything(cfg.seed, workers=True, verbose=False)

    # whatever the config may have wrong is found before landmarks are searched or an experiment is opened
    datamodule: pl.LightningDataModule = build(cfg.data)
    detector = build_detector(cfg, datamodule)
    trainer: pl.Trainer = build(cfg.trainer, callbacks=build_all(cfg.callbacks), logger=False)
    if trainer.is_global_zero:
        Console().print(config_tree(cfg))
        datamodule.prepare_data()
        datamodule.setup("fit")
        datamodule.summary(run_dir)  # type: ignore[attr-defined]
        write_run_folder(run_dir, cfg, data_fingerprint=datamodule.fingerprint)  # type: ignore[attr-defined]

    trainer.loggers = [] if cfg.trainer.get("fast_dev_run") else build_all(cfg.logger)
    status = "failed"
    try:
        for logger in trainer.loggers:
            logger.log_hyperparams(plain(cfg) | parameter_counts(detector))
        score = fit_and_test(cfg, trainer, detector, datamodule)
        status = "success"
    finally:
        close_loggers(trainer.loggers, status=status)
    if trainer.is_global_zero:
        figures = {name: float(value) for name, value in trainer.callback_metrics.items()}
        print_summary(run_dir, figures, checkpoint=best_checkpoint(trainer))
        if result:
            result.figures = final_figures(trainer)
    return score


def build_detector(cfg: DictConfig, datamodule: pl.LightningDataModule) -> DeepfakeDetector:
    """The LightningModule of a config; with `ckpt_path`, checked against that checkpoint before anything runs."""
    from addnet.training import DeepfakeDetector
    from addnet.training.checkpoints import check_fits, read_checkpoint

    model = plain(cfg.model)
    checkpoint = read_checkpoint(cfg.ckpt_path) if cfg.ckpt_path else None
    if checkpoint:
        model |= {"pretrained": False, "weights": None}  # the checkpoint brings them all
    detector = DeepfakeDetector(
        model,
        optimizer=plain(cfg.optimizer),
        scheduler=plain(cfg.scheduler),
        label_smoothing=cfg.loss.label_smoothing,
        channels_last=cfg.channels_last,
        preprocessing=datamodule.preprocessing(),  # type: ignore[attr-defined]
    )
    if checkpoint:
        check_fits(detector.state_dict(), checkpoint["state_dict"], path=cfg.ckpt_path)
    return detector


def fit_and_test(
    cfg: DictConfig, trainer: pl.Trainer, detector: DeepfakeDetector, datamodule: pl.LightningDataModule
) -> float | None:
    """Fits, then tests the best checkpoint once."""
    score = None
    if cfg.train:
        try:
            trainer.fit(detector, datamodule, ckpt_path=cfg.ckpt_path, weights_only=True)
        except SystemExit as stop:  # what Lightning makes of Ctrl-C
            last = last_checkpoint(trainer)
            raise UserError(
                f"interrupted; {f'go on with ckpt_path={last}' if last else 'no epoch was complete'}"
            ) from stop
        best = getattr(trainer.checkpoint_callback, "best_model_score", None)
        score = None if best is None else float(best)
    if cfg.test:
        chosen = best_checkpoint(trainer) or (None if cfg.train else cfg.ckpt_path)
        trainer.test(detector, datamodule, ckpt_path=chosen, weights_only=True, verbose=False)
    return score


def best_checkpoint(trainer: pl.Trainer) -> str:
    """Path of the checkpoint with the best validation figure; empty if none was written."""
    return _written(trainer, "best")


def last_checkpoint(trainer: pl.Trainer) -> str:
    """Path of the newest checkpoint; empty if none was written."""
    return _written(trainer, "last")


def _written(trainer: pl.Trainer, name: str) -> str:
    kept = {getattr(callback, "filename", None): callback for callback in trainer.checkpoint_callbacks}
    return str(getattr(kept.get(name), "best_model_path", ""))


def parameter_counts(detector: DeepfakeDetector) -> dict[str, int]:
    """Sizes of the network, for the loggers."""
    parameters = list(detector.net.parameters())
    return {
        "parameters/total": sum(p.numel() for p in parameters),
        "parameters/trainable": sum(p.numel() for p in parameters if p.requires_grad),
    }


@hydra.main(version_base="1.3", config_path=config_dir(), config_name="train")
@friendly
def _main(cfg: DictConfig) -> float | None:
    hydra_config = HydraConfig.get()
    refuse_sweep_over_ranks(cfg, hydra_config)
    # every rank must use one folder, whatever the clock says when it starts
    OmegaConf.update(cfg, "paths.output_dir", str(Path(hydra_config.runtime.output_dir).resolve()))
    return run_recorded(train, cfg)


main = Command(_main)

if __name__ == "__main__":
    main()
