"""Checkpoints of random networks whose logits differ from image to image, as training writes them."""

import torch
from torch import nn

from addnet.checkpoints.file import FORMAT
from addnet.inference.export.parity import random_batches
from addnet.models import create_model

MASK = {"parts": ["face", "organs"], "eyes": "joint", "face_blur": 0.033, "organ_blur": 0.033}
DECISION = {level: {"threshold": 0.37, "temperature": 1.7, "images": 48} for level in ("frame", "video")}
DETECTOR = "dlib/shape_predictor_68_face_landmarks.dat/crops/padding=0.3/max_spread=0.18/max_side=1024"
CONFIG = {
    "seed": 3,
    "data": {"layout": "folder", "data_dir": "/home/anna/faces", "index_dir": "/home/anna/index", "train": None},
    "paths": {"output_root": "/home/anna/runs"},
    "logger": {"comet": {"workspace": "anna"}},
}


def seasoned(net, *, size=96, spread=0.1):
    """The network with batch normalisation that has seen noise, and logits that differ from image to image."""
    norms = [module for module in net.modules() if isinstance(module, nn.BatchNorm2d)]
    for norm in norms:
        norm.momentum = 1.0
        nn.init.uniform_(norm.weight, 0.5, 1.5)
        nn.init.normal_(norm.bias, std=0.2)
    for block in net.add_blocks.values():
        if block.amount is not None:
            nn.init.constant_(block.amount, 0.6)
    with torch.no_grad():
        net.train()(*noise(size))
    nn.init.normal_(net.head.weight, std=spread)
    return net.eval()


def noise(size):
    return tuple(torch.cat(part) for part in zip(*random_batches(size, seed=9), strict=True))


def write_checkpoint(path, *, size=64, model=None, **entries):
    """A checkpoint as training writes it, of random weights."""
    model = {"name": "addnet", "placement": "full", "pretrained": False, "weights": None} | (model or {})
    torch.manual_seed(2)
    options = {key: value for key, value in model.items() if key != "name"}
    net = seasoned(create_model(model["name"], **options), size=max(size, 96) if model["name"] != "timm" else size)
    preprocessing = {"image_size": size, "align": True, "crop": "image", "margin": 1.3, "mask": MASK}
    preprocessing |= {"mask_of": "own", "detector": DETECTOR, "value_range": [-1.0, 1.0]}
    about = {"format": FORMAT, "version": "0.1.0", "class_names": ["real", "fake"], "preprocessing": preprocessing}
    about |= {"config": CONFIG, "decision": DECISION}
    state = {f"net.{key}": value for key, value in net.state_dict().items()}
    whole = {"state_dict": state, "hyper_parameters": {"model": model}, "epoch": 4, "global_step": 90, "addnet": about}
    torch.save(whole | entries, path)
    return path
