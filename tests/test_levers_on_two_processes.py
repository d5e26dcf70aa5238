"""Freezing, averaging, accumulation and clipping among two processes: one network on both, before and after thawing."""

import json
import os
import subprocess
import sys
from pathlib import Path

SCRIPT = """
import json, logging, sys
import pytorch_lightning as pl
import torch
import tiny
from addnet.models import MODELS
from addnet.training.callbacks import WeightAverage

MODELS["tiny"] = tiny.TinyNet
logging.basicConfig(level=logging.INFO)  # here, for the spawned processes too

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
    arguments = {"strategy": "ddp_spawn", "devices": 2, "accumulate_grad_batches": 2, "gradient_clip_val": 1.0}
    tiny.fit(module, callbacks=[Compare()], max_epochs=3, **arguments)
"""


def test_both_processes_have_one_network_and_learn_all_of_it(tmp_path):
    script, out = tmp_path / "levers.py", tmp_path / "rows.json"
    script.write_text(SCRIPT, encoding="utf-8")
    path = os.pathsep.join([str(Path(__file__).parent), *filter(None, sys.path)])
    environment = os.environ | {"PYTHONPATH": path, "OMP_NUM_THREADS": "1"}
    command = [sys.executable, str(script), str(out)]
    result = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=200, check=False)
    assert result.returncode == 0, result.stderr[-3000:]
    steps, rows = json.loads(out.read_text())
    assert steps == 3 * 2  # 10 rows a process, 3 batches, 2 steps
    assert all(difference == 0 for row in rows for _, difference in row.values())
    backbone, head = ([row[f"weights.{part}"][0] for row in rows] for part in ("backbone", "head"))
    assert len(set(head)) == len(set(backbone)) == 3
    line = "effective batch size 16 = 4 pictures × 2 processes × 2 accumulated; 2 optimiser steps an epoch"
    assert result.stderr.count(line) == 1
