"""Levers among two processes: one network on both, before and after thawing; pairs and sharpness as in one process."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

SCRIPT = """
import json, logging, sys
import pytorch_lightning as pl
import torch
import tiny
from torch.utils.data import DataLoader, Subset
from addnet.models import MODELS
from addnet.training.callbacks import WeightAverage

MODELS["tiny"], MODELS["timm_like"] = tiny.TinyNet, tiny.TimmLikeNet
logging.basicConfig(level=logging.INFO)  # here, for the forked processes too

class Shared(pl.LightningDataModule):
    def train_dataloader(self):
        ranks, rank = self.trainer.world_size, self.trainer.global_rank
        return DataLoader(Subset(tiny.Images(24), range(rank, 24, ranks)), batch_size=8 // ranks)

class Compare(pl.Callback):
    rows = []

    def on_train_epoch_end(self, trainer, pl_module):
        average = next(c for c in trainer.callbacks if isinstance(c, WeightAverage))._average.module
        row = {}
        for name, net in (("weights", pl_module.net), ("average", average)):
            for part in ("backbone", "head"):
                flat = torch.cat([p.detach().flatten() for p in getattr(net, part).parameters()])
                mine, other = trainer.strategy.all_gather(flat)
                row[f"{name}.{part}"] = [mine.double().sum().item(), (mine - other).abs().max().item()]
        self.rows.append(row)
        if trainer.is_global_zero:
            open(sys.argv[1], "w").write(json.dumps([trainer.global_step, self.rows]))

if __name__ == "__main__":
    module = tiny.detector(freeze_backbone_epochs=1, ema_decay=0.5)
    arguments = {"strategy": "ddp_fork", "devices": 2, "accumulate_grad_batches": 2, "gradient_clip_val": 1.0}
    tiny.fit(module, callbacks=[Compare()], max_epochs=3, **arguments)

    # images of one class on either process: half of all pairs are of two processes
    levers = {"model": {"name": "timm_like", "norm": False, "drop_rate": 0.0}, "freeze_backbone_epochs": 1}
    levers |= {"loss": {"uniformity": 0.5, "alignment": 0.1}, "optimizer": tiny.SGD | {"sam_rho": 0.1}}
    one, two, unlike = tiny.detector(**levers), tiny.detector(**levers), tiny.detector(**levers | {"loss": None})
    for module, how in ((one, {}), (unlike, {}), (two, {"strategy": "ddp_fork", "devices": 2})):
        quiet = {"logger": False, "enable_checkpointing": False, "enable_progress_bar": False, "limit_val_batches": 0}
        trainer = pl.Trainer(max_epochs=2, accelerator="cpu", use_distributed_sampler=False, **quiet, **how)
        trainer.fit(module, datamodule=Shared())
    flat = [torch.cat([p.detach().flatten() for p in module.net.parameters()]) for module in (one, two, unlike)]
    differences = [(flat[0] - other).abs().max().item() for other in flat[1:]]
    open(sys.argv[2], "w").write(json.dumps(differences))
"""


@pytest.fixture(scope="module")
def told(tmp_path_factory):
    """What the script writes, file by file."""
    folder = tmp_path_factory.mktemp("levers")
    script, outputs = folder / "levers.py", [folder / "rows.json", folder / "differences.json"]
    script.write_text(SCRIPT, encoding="utf-8")
    path = os.pathsep.join([str(Path(__file__).parent), *filter(None, sys.path)])
    environment = os.environ | {"PYTHONPATH": path, "OMP_NUM_THREADS": "1"}
    command = [sys.executable, str(script), *map(str, outputs)]
    result = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=300, check=False
    )
    assert result.returncode == 0, result.stderr[-3000:]
    return [json.loads(output.read_text()) for output in outputs], result.stderr


def test_pairs_over_two_processes_and_sharpness_equal_those_of_one(told):
    (_, (two, unlike)), _ = told
    assert two < 1e-6
    assert unlike > 1e-3  # what the terms make of it


def test_both_processes_have_one_network_and_learn_all_of_it(told):
    ((steps, rows), _), output = told
    assert steps == 3 * 2  # 10 rows a process, 3 batches, 2 steps
    assert all(difference == 0 for row in rows for _, difference in row.values())
    backbone, head = ([row[f"weights.{part}"][0] for row in rows] for part in ("backbone", "head"))
    assert len(set(head)) == len(set(backbone)) == 3
    line = "effective batch size 16 = 4 images × 2 processes × 2 accumulated; 2 optimiser steps an epoch"
    assert output.count(line) == 1
