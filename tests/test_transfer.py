"""However batches travel, what arrives is what the data set draws."""

import numpy as np
import pytest
import pytorch_lightning as pl
import torch
from torch.nn import functional

from addnet.config import load_group
from addnet.data import Augment, DeepfakeDataModule
from addnet.data.finish import finish_images, finish_masks
from addnet.data.samplers import SampleAddress
from addnet.data.transfer import UnfinishedBatches, finish

QUIET = {
    "logger": False,
    "enable_checkpointing": False,
    "enable_progress_bar": False,
    "enable_model_summary": False,
}


def _module(data_dir, index_dir, **arguments):
    defaults = {
        "image_size": 150,
        "batch_size": 4,
        "num_workers": 0,
        "augment": Augment(**load_group("augment", "strong")),
    }
    module = DeepfakeDataModule(str(data_dir), index_dir=str(index_dir), **(defaults | arguments))
    module.prepare_data()
    module.setup()
    return module


@pytest.mark.parametrize("size", [64, 299])
def test_a_batch_holds_the_samples_of_the_data_set(data_dir, index_dir, size):
    dataset = _module(data_dir, index_dir, image_size=size).dataset("train")
    addresses = [SampleAddress(index, epoch) for index, epoch in ((3, 0), (0, 2), (3, 1))]
    batch = finish(UnfinishedBatches(dataset).__getitems__(addresses))
    for row, address in enumerate(addresses):
        for name, value in dataset[address].items():
            found = batch[name][row]
            if isinstance(value, torch.Tensor):
                torch.testing.assert_close(found, value, rtol=0, atol=1e-6)
            else:
                assert (found.item() if isinstance(found, torch.Tensor) else found) == value


def test_values_of_pixels_are_those_of_float64():
    random = np.random.default_rng()
    images = random.integers(0, 256, (2, 9, 9, 3), dtype=np.uint8)
    exact = images.astype(np.float64).transpose(0, 3, 1, 2) / 127.5 - 1
    assert np.abs(finish_images(torch.from_numpy(images)).double().numpy() - exact).max() < 1e-6


@pytest.mark.parametrize("side", [64, 103])
def test_enlarging_masks_is_that_of_float64(side):
    small = torch.rand(3, 1, side, side)
    exact = functional.interpolate(small.double(), (299, 299), mode="bilinear")
    exact = exact / exact.amax(dim=(2, 3), keepdim=True)
    assert ((finish_masks(small, 299).double() - exact).norm() / exact.norm()) < 1e-5


def test_masks_are_those_that_are_drawn_alone(data_dir, index_dir, portrait):
    dataset = _module(data_dir, index_dir, image_size=299).dataset("val")
    drawn = dataset[0]["mask"][0].numpy()
    record, landmarks = dataset.records[0], dataset.landmarks[0]
    shape = dataset._read(record).shape
    matrix = dataset.geometry.matrix(shape, landmarks)
    expected = dataset.mask.draw(np.asarray(landmarks @ matrix[:, :2].T + matrix[:, 2], dtype=np.float32), 299)
    assert np.abs(drawn - expected).max() < 1e-6


class Keeps(pl.LightningModule):
    """Somebody else's module: all it knows is the documented batch."""

    def __init__(self):
        super().__init__()
        self.layer = torch.nn.Linear(1, 1)
        self.images = []

    def training_step(self, batch, _):
        self.images.append((batch["path"], batch["image"], batch["mask"], batch["label"], batch["valid"]))
        return self.layer(batch["image"].mean().view(1)).sum()

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.0)


@pytest.mark.parametrize("workers", [0, 1])
@pytest.mark.parametrize("by", ["module", "loader"])
def test_a_trainer_and_a_loop_of_one_s_own_see_the_same(data_dir, index_dir, tmp_path, by, workers):
    def module():
        return _module(data_dir, index_dir, num_workers=workers)

    trainer = pl.Trainer(max_epochs=1, accelerator="cpu", default_root_dir=tmp_path, **QUIET)
    keeps = Keeps()
    trainer.fit(
        keeps, **({"datamodule": module()} if by == "module" else {"train_dataloaders": module().train_dataloader()})
    )
    alone = list(module().train_dataloader())
    assert len(keeps.images) == len(alone) > 1
    for (path, *tensors), batch in zip(keeps.images, alone, strict=True):
        assert path == batch["path"]
        assert batch["valid"].dtype == torch.bool
        assert not any(batch[name].is_shared() for name in ("label", "video", "valid", "face"))  # else a file each
        for mine, name in zip(tensors, ("image", "mask", "label", "valid"), strict=True):
            assert torch.equal(mine, batch[name])


def test_after_training_the_loaders_serve_documented_batches(data_dir, index_dir, tmp_path):
    module = _module(data_dir, index_dir)
    pl.Trainer(max_epochs=1, limit_train_batches=1, accelerator="cpu", default_root_dir=tmp_path, **QUIET).fit(
        Keeps(), module
    )
    assert next(iter(module.val_dataloader()))["image"].shape == (4, 3, 150, 150)
