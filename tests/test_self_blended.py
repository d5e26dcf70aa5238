"""Fakes made while training: pairs of a real image and its blend, the same for every worker, rank and resume."""

from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pytest
import torch

from addnet.data import Augment, DeepfakeDataModule
from addnet.data.dataset import BLENDED
from addnet.data.samplers import SampleAddress
from addnet.errors import UserError
from addnet.faces import SelfBlend
from addnet.training.callbacks import SampleSheet, sample_sheet


def _module(data_dir, index_dir, **arguments):
    defaults = {"image_size": 64, "batch_size": 4, "num_workers": 0, "fakes": "self_blended"}
    module = DeepfakeDataModule(str(data_dir), index_dir=str(index_dir), **(defaults | arguments))
    module.prepare_data()
    module.setup()
    return module


@pytest.fixture
def module(data_dir, index_dir):
    return _module(data_dir, index_dir)


def test_every_batch_is_half_real_and_half_blends_of_the_same_images(module):
    batches = list(module.train_dataloader())
    assert len(batches) > 1
    for batch in batches:
        assert batch["label"].tolist() == [0, 1] * 2
        assert batch["valid"].all()
        assert batch["path"][::2] == batch["path"][1::2]
        assert all("/real/" in path for path in batch["path"])
        assert [name + BLENDED for name in batch["video_id"][::2]] == batch["video_id"][1::2]
        assert not set(batch["video"][::2].tolist()) & set(batch["video"][1::2].tolist())


def test_a_blend_differs_from_its_real_image_in_the_face_alone_and_has_its_mask(module):
    dataset = module.dataset("train")
    for record in range(len(dataset)):
        real, fake = (dataset[SampleAddress(record, 2, blend=half)] for half in ("real", "fake"))
        changed = (real["image"] - fake["image"]).abs().amax(dim=0) > 0
        assert 0 < changed.float().mean() < 0.8
        assert torch.equal(real["mask"], fake["mask"])


@pytest.mark.parametrize(("workers", "donors"), [(0, 0.0), (2, 0.7)])
def test_blends_depend_on_their_address_alone(data_dir, index_dir, workers, donors):
    options = {"augment": Augment(flip=0.5), "blend": SelfBlend(donors=donors)}
    module = _module(data_dir, index_dir, **options)
    other = _module(data_dir, index_dir, num_workers=workers, **options)
    for one, two in zip(module.train_dataloader(), other.train_dataloader(), strict=True):
        assert torch.equal(one["image"], two["image"])
    dataset = module.dataset("train")
    first, again, later = (dataset[SampleAddress(0, epoch, blend="fake")]["image"] for epoch in (0, 0, 1))
    assert torch.equal(first, again)
    assert not torch.equal(first, later)


def test_validation_and_test_are_what_was_given_unless_asked_for(module, data_dir, index_dir):
    for split in ("val", "test"):
        batches = list(module.eval_loader(split))
        assert sum(len(batch["path"]) for batch in batches) == len(module.splits[split].records)
        assert not any(name.endswith(BLENDED) for batch in batches for name in batch["video_id"])
    blended = _module(data_dir, index_dir, val_fakes="self_blended")
    labels = np.concatenate([batch["label"] for batch in blended.val_dataloader()])
    assert labels.tolist() == [0, 1] * int((module.splits["val"].records.labels == 0).sum())
    one, other = ([batch["image"] for batch in blended.val_dataloader()] for _ in range(2))
    assert all(map(torch.equal, one, other))


def test_images_without_landmarks_are_not_blended_and_counted(module, caplog, tmp_path):
    caplog.set_level("INFO")
    part = module.splits["train"]
    found_by = part.found_by.to_pylist()
    found_by[0] = "none"
    part.found_by = pa.array(found_by)
    module.summary(tmp_path)
    assert f"blends of its {len(part.records) - 1} real images" in caplog.text
    assert "skipped 1 real image without landmarks" in caplog.text
    served = {path for batch in module.train_dataloader() for path in batch["path"]}
    assert part.records[0].path not in served


def test_the_sheets_show_what_is_served_and_how_blends_are_made(module, monkeypatch):
    drawn = {}
    monkeypatch.setattr(sample_sheet, "log_plot", lambda trainer, name, metric: drawn.update({name: metric}))
    trainer = SimpleNamespace(datamodule=module, is_global_zero=True, train_dataloader=module.train_dataloader())
    SampleSheet(4).on_train_start(trainer, None)
    titles = [axis.get_title() for axis in drawn["training_samples"].axes if axis.get_title()]
    assert titles == ["real", "fake"] * 2
    panels = [axis.images[0].get_array() for axis in drawn["self_blends"].axes if axis.images]
    assert len(panels) == 4 * 4
    for real, fake, difference, mask in zip(*(panels[first::4] for first in range(4)), strict=True):
        assert (difference == np.clip(4 * np.abs(fake.astype(int) - real), 0, 255)).all()
        assert difference[mask > 0.2].sum() > 0.7 * difference.sum() > 0


def test_a_run_without_blends_has_no_sheet_of_them(data_dir, index_dir, monkeypatch):
    names = []
    monkeypatch.setattr(sample_sheet, "log_plot", lambda trainer, name, metric: names.append(name))
    given = _module(data_dir, index_dir, fakes="given")
    trainer = SimpleNamespace(datamodule=given, is_global_zero=True, train_dataloader=given.train_dataloader())
    SampleSheet(4).on_train_start(trainer, None)
    assert names == ["training_samples"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"batch_size": 5}, "batch_size=5 is odd"),
        ({"balance": "sampler"}, "balance=none"),
        ({"landmarks": "on_the_fly"}, "landmarks=index"),
        ({"fakes": "selfblended"}, "self_blended"),
    ],
)
def test_what_cannot_go_together_is_refused(data_dir, index_dir, arguments, words):
    with pytest.raises(UserError, match=words):
        _module(data_dir, index_dir, **arguments)


def test_real_images_alone_are_enough(data_dir, index_dir, tmp_path):
    root = tmp_path / "reals"
    (root / "train").mkdir(parents=True)
    (root / "train" / "real").symlink_to(data_dir / "train" / "real")
    with pytest.raises(UserError, match=r"data\.fakes=self_blended"):
        _module(root, index_dir, fakes="given", no_test=True)
    with pytest.raises(UserError, match=r"data\.val_fakes=self_blended"):
        _module(root, index_dir, no_test=True)
    module = _module(root, index_dir, val_fakes="self_blended", no_test=True)
    assert next(iter(module.train_dataloader()))["label"].tolist() == [0, 1, 0, 1]
