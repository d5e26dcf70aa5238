"""Every lever at once, through the command's own code: a resume is exact, and the best checkpoint is what was told."""

import json

import pytest
import pytorch_lightning as pl
import timm
import torch
from torch import nn

from addnet.config import build, compose
from addnet.train import train
from addnet.training import DeepfakeDetector

pytestmark = pytest.mark.slow

LEVERS = [
    "model=bandpass",
    "model.pretrained=false",
    "model.combine=mix",
    "model.kernel_size=7",
    "data.image_size=40",
    "data.batch_size=8",
    "data.num_workers=0",
    "data.val_fraction=0.3",
    "data.mask_of=other",
    "augment=harsh",
    "augment.mask_dropout=0.3",
    "loss=focal",
    "loss.uniformity=0.5",
    "loss.alignment=0.1",
    "loss.guide=0.5",
    "model.head=cosine",
    "ema_decay=0.6",
    "freeze_backbone_epochs=1",
    "grad_checkpointing=true",
    "optimizer=adamw",
    "optimizer.lr=1e-3",
    "optimizer.layer_decay=0.8",
    "scheduler=plateau",
    "scheduler.warmup_epochs=1.5",
    "scheduler.patience=0",
    "trainer=cpu",
    "trainer.accumulate_grad_batches=2",
    "trainer.gradient_clip_val=1.0",
    "logger=none",
    "callbacks.progress_bar=null",
]


@pytest.fixture(autouse=True)
def short_backbone(monkeypatch):
    """Xception with one block of eight in the middle: as many kinds of layers, and a third of the time."""
    create = timm.create_model

    def made(*arguments, **options):
        net = create(*arguments, **options)
        for number in range(5, 12):
            setattr(net, f"block{number}", nn.Identity())
        return net

    monkeypatch.setattr(timm, "create_model", made)


def _fit(data_dir, folder, *overrides):
    paths = [f"data.data_dir={data_dir}", f"paths.output_dir={folder}", f"paths.index_dir={data_dir.parent}/index"]
    train(compose([*LEVERS, *paths, *overrides]))
    return torch.load(folder / "checkpoints" / "last.ckpt", weights_only=True)


def _same(one, other, path=""):
    assert type(one) is type(other), path
    if isinstance(one, dict):
        assert one.keys() == other.keys(), path
        for key in one:
            _same(one[key], other[key], f"{path}.{key}")
    elif isinstance(one, (list, tuple)):
        assert len(one) == len(other), path
        for number, pair in enumerate(zip(one, other, strict=True)):
            _same(*pair, f"{path}.{number}")
    else:
        assert torch.equal(one, other) if isinstance(one, torch.Tensor) else one == other, path


def test_a_resume_is_exact_and_the_best_checkpoint_gives_the_metrics_that_were_told(data_dir, tmp_path):
    whole = _fit(data_dir, tmp_path / "whole", "trainer.max_epochs=3")
    _fit(data_dir, tmp_path / "half", "trainer.max_epochs=1", "test=false")
    last = tmp_path / "half" / "checkpoints" / "last.ckpt"
    resumed = _fit(data_dir, tmp_path / "resumed", "trainer.max_epochs=3", "test=false", f"ckpt_path={last}")
    for part in ("state_dict", "weight_average", "optimizer_states", "lr_schedulers"):
        _same(whole[part], resumed[part], part)
    best = tmp_path / "whole" / "checkpoints" / "best.ckpt"
    alone = DeepfakeDetector.load_from_checkpoint(best, weights_only=True)
    trainer = pl.Trainer(accelerator="cpu", logger=False, enable_progress_bar=False, enable_checkpointing=False)
    paths = [f"data.data_dir={data_dir}", f"data.index_dir={data_dir.parent}/index"]
    datamodule = build(compose([*(o for o in LEVERS if o.startswith("data.")), *paths]).data)
    (metrics,) = trainer.test(alone, datamodule, verbose=False)
    told = json.loads((tmp_path / "whole" / "reports" / "test_metrics.json").read_text())
    assert metrics == pytest.approx(told, abs=1e-6)
