"""A network and images so small that a whole training takes a second: for what the Trainer does with them."""

import pytorch_lightning as pl
import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset

from addnet.training import DeepfakeDetector
from addnet.training.callbacks import StepSeed

MODEL = {"name": "tiny", "pretrained": False}
SGD = {"name": "momentum", "lr": 0.05, "weight_decay": 0.1, "momentum": 0.9}


class TinyNet(nn.Module):
    """The parts of an ADDNet that training knows of: backbone, dropout, head and stages."""

    def __init__(self, pretrained: bool = False, weights: str | None = None, drop_rate: float = 0.3):
        super().__init__()
        self.backbone = nn.Sequential(
            nn.Conv2d(3, 4, 3, stride=2), nn.BatchNorm2d(4), nn.ReLU(), nn.Conv2d(4, 6, 3, stride=2), nn.BatchNorm2d(6)
        )
        self.dropout, self.head = nn.Dropout(drop_rate), nn.Linear(6, 2)

    def stages(self):
        for name, modules in (
            ("first", tuple(self.backbone[:3])),
            ("second", tuple(self.backbone[3:])),
            ("head", (self.dropout, self.head)),
        ):
            yield name, modules, tuple(parameter for module in modules for parameter in module.parameters())

    def forward(self, image, mask):
        return self.head(self.dropout(self.backbone(image * mask).relu().mean(dim=(2, 3))))


def timm_model(backbone, tune="all", **options):
    """The config of one of timm's networks that are made for tests."""
    vit = {"options": {"dynamic_img_size": True}} if "vit" in backbone else {}
    return {"name": "timm", "backbone": backbone, "tune": tune, "pretrained": False} | vit | options


class Images(Dataset):
    """Noise; fakes are brighter."""

    def __init__(self, count: int, side: int = 16):
        generator = torch.Generator().manual_seed(count)
        self.labels, self.side = torch.arange(count) % 2, side
        noise = torch.randn(count, 3, side, side, generator=generator)
        self.images = noise + self.labels[:, None, None, None]

    def __len__(self):
        return len(self.labels)

    def __getitem__(self, index):
        row = {"image": self.images[index], "mask": torch.ones(1, self.side, self.side), "label": self.labels[index]}
        return row | {"video": index, "video_id": str(index), "path": f"{index}.png", "valid": True}


def detector(**arguments):
    """The same start weights each time."""
    torch.manual_seed(0)
    return DeepfakeDetector(**({"model": MODEL, "optimizer": SGD} | arguments))


def fit(module, *, rows=20, batch_size=4, callbacks=(), ckpt_path=None, side=16, **arguments):
    """Trains, 5 batches an epoch; returns the trainer."""
    defaults = {"max_epochs": 2, "accelerator": "cpu", "logger": False, "enable_checkpointing": False}
    defaults |= {"enable_progress_bar": False, "enable_model_summary": False, "num_sanity_val_steps": 1}
    trainer = pl.Trainer(callbacks=[StepSeed(0), *callbacks], **(defaults | arguments))
    loaders = (DataLoader(Images(number, side), batch_size=batch_size) for number in (rows, 12))
    trainer.fit(module, *loaders, ckpt_path=ckpt_path, weights_only=True)
    return trainer


class Loaders(pl.LightningDataModule):
    """The same images from a data module."""

    batch_size = 4

    def train_dataloader(self):
        return DataLoader(Images(20), batch_size=self.batch_size)

    def val_dataloader(self):
        return DataLoader(Images(12), batch_size=self.batch_size)

    test_dataloader = val_dataloader


class TimmLikeNet(TinyNet):
    """The same with features as networks of timm give them; without `norm` rows know nothing of each other."""

    def __init__(self, norm: bool = True, drop_rate: float = 0.3):
        super().__init__(drop_rate=drop_rate)
        if not norm:
            self.backbone[1], self.backbone[4] = nn.Identity(), nn.Identity()

    def forward_features(self, image, mask):
        return self.backbone(image * mask)

    def forward_head(self, features, pre_logits=False):
        pooled = self.dropout(features.relu().mean(dim=(2, 3)))
        return pooled if pre_logits else self.head(pooled)

    def get_classifier(self):
        return self.head
