"""Checkpoints as training writes them, with random weights."""

import torch
from torch.nn import functional

from addnet.data import DeepfakeDataModule
from addnet.training import DeepfakeDetector

DECISION = {"frame": {"threshold": 0.4, "temperature": 2.0}, "video": {"threshold": 0.3, "temperature": 1.5}}
FRAMING = {"margin": 1.3, "offset": [0.0, -0.05], "low": 1.1, "high": 1.6}


def checkpoint(path, *, image_size=64, framing=FRAMING, decision=DECISION, data=None, **model):
    """Writes one whose scores differ from image to image: a small network, unless `model` says otherwise.

    Args:
        data: Arguments of its data module.
    """
    torch.manual_seed(0)
    module = DeepfakeDataModule("unused", image_size=image_size, **(data or {}))
    options = {"name": "timm", "backbone": "test_resnet", "pretrained": False} | model
    if options["name"] != "timm":
        del options["backbone"]
    detector = DeepfakeDetector(options, preprocessing=module.preprocessing(), config={"data": {"data_dir": None}})
    detector.decision, detector.images["framing"] = decision, framing
    _spread(detector.net)
    written = {"state_dict": detector.state_dict(), "hyper_parameters": dict(detector.hparams)}
    detector.on_save_checkpoint(written)
    torch.save(written, path)
    return path


def _spread(net):
    """Gives BatchNorm the statistics of noise, coarse and fine, so that a random network still tells images apart."""
    net.train()
    with torch.no_grad():
        for _ in range(12):
            net(_noise(), torch.rand(6, 1, 64, 64))
        net.eval()
        logits = net(_noise(), torch.rand(6, 1, 64, 64))
        scale = 1 / (logits[:, 1] - logits[:, 0]).std()
        net.head.weight *= scale
        net.head.bias *= 0
        logits = net(_noise(), torch.rand(6, 1, 64, 64))
        net.head.bias += torch.tensor([0.5, -0.5]) * (logits[:, 1] - logits[:, 0]).mean()


def _noise():
    """Six images."""
    return torch.cat([functional.interpolate(torch.randn(2, 3, side, side), 64) for side in (2, 8, 64)])


def changed(path, target, **entries):
    """A copy of a checkpoint with other values in its `addnet` entry; None takes one away."""
    written = torch.load(path, weights_only=True)
    for name, value in entries.items():
        written["addnet"][name] = value
    torch.save(written, target)
    return target
