"""`data.batch=pairs`, `data.fakes=mixed` and `data.val_fakes` as a data module serves them."""

import shutil

import numpy as np
import pyarrow as pa
import pytest
import torch

from addnet.config import build, compose
from addnet.data import Augment, DeepfakeDataModule
from addnet.data.dataset import BLENDED
from addnet.data.loaders import BatchPlace
from addnet.errors import UserError

TURNED = Augment(flip=0.5, rotation=10.0)


def _module(data_dir, index_dir, **arguments):
    defaults = {"image_size": 64, "batch_size": 4, "num_workers": 0, "no_test": True}
    module = DeepfakeDataModule(str(data_dir), index_dir=str(index_dir), **(defaults | arguments))
    module.prepare_data()
    module.setup()
    return module


@pytest.fixture(scope="module")
def copies(data_dir, tmp_path_factory):
    """Real images, and as fakes of them their copies: what differs within a pair is drawn."""
    root = tmp_path_factory.mktemp("copies") / "faces"
    for number, image in enumerate(sorted((data_dir / "train" / "real").rglob("*.jpg"))[:12]):
        for split, kind in (("train", "real"), ("train", "fake")):
            place = root / split / kind / f"p{number:02}{'_x' * (kind == 'fake')}.jpg"
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(image, place)
    return root


def _batches(module):
    batches = list(module.train_dataloader())
    assert len(batches) > 1
    return batches


def test_real_and_fake_of_one_group_are_neighbours_and_change_alike(copies, index_dir):
    module = _module(copies, index_dir, batch="pairs", augment=TURNED)
    seen = []
    for batch in _batches(module):
        assert batch["label"].tolist() == [0, 1] * 2
        assert torch.equal(batch["image"][::2], batch["image"][1::2])
        assert torch.equal(batch["mask"][::2], batch["mask"][1::2])
        assert [path.split("/")[-1][:3] for path in batch["path"][::2]] == [
            path.split("/")[-1][:3] for path in batch["path"][1::2]
        ]
        seen += batch["path"]
    assert len(set(seen)) == len(seen)


def test_with_own_changes_the_two_of_a_pair_differ(copies, index_dir):
    module = _module(copies, index_dir, batch="pairs", pair_augment="own", augment=TURNED)
    batches = _batches(module)
    assert not any(torch.equal(batch["image"][::2], batch["image"][1::2]) for batch in batches)


def test_mixed_batches_are_half_fake_and_the_share_of_blends_is_kept(data_dir, index_dir):
    module = _module(data_dir, index_dir, fakes="mixed", blend_share=0.25, batch_size=2)
    kinds = []
    for batch in _batches(module):
        assert batch["label"].tolist() == [0, 1]
        kinds.append(batch["video_id"][1].endswith(BLENDED))
        assert kinds[-1] == (batch["path"][0] == batch["path"][1])
        assert not batch["video_id"][0].endswith(BLENDED)
    assert len(kinds) == (module.splits["train"].records.labels == 0).sum()
    assert sum(kinds) == round(0.25 * len(kinds))


def test_mixed_pairs_are_of_one_group(data_dir, index_dir):
    module = _module(data_dir, index_dir, fakes="mixed", batch="pairs", batch_size=2)
    groups = {record.path: record.group_id for record in module.splits["train"].records}
    for batch in _batches(module):
        assert groups[batch["path"][0]] == groups[batch["path"][1]]


def test_mixed_validation_has_all_that_was_given_and_the_same_blends_each_time(data_dir, index_dir):
    module = _module(data_dir, index_dir, val_fakes="mixed")
    records = module.splits["val"].records
    reals = int((records.labels == 0).sum())
    one, other = (list(module.val_dataloader()) for _ in range(2))
    assert all(torch.equal(a["image"], b["image"]) for a, b in zip(one, other, strict=True))
    names = [name for batch in one for name in batch["video_id"]]
    blends = [name for name in names if name.endswith(BLENDED)]
    assert (len(names), len(blends)) == (len(records) + 2 * reals, reals)
    videos = {}
    for batch in one:
        for video, label in zip(batch["video"].tolist(), batch["label"].tolist(), strict=True):
            videos.setdefault(video, set()).add(label)
    assert all(len(labels) == 1 for labels in videos.values())


@pytest.fixture(scope="module")
def everything(data_dir, index_dir):
    """Blends, pairs and damage."""
    augment = build(compose(["augment=harsh"]).augment)
    how = {"fakes": "mixed", "batch": "pairs", "augment": augment}
    return {size: _module(data_dir, index_dir, batch_size=size, **how) for size in (4, 8)}


def _equal(one, other):
    return all(torch.equal(one[key], other[key]) for key in ("image", "mask", "label", "valid"))


def test_two_processes_together_see_what_one_sees(everything, monkeypatch):
    whole = list(everything[8].train_dataloader())
    shares = []
    for rank in (0, 1):
        monkeypatch.setattr(everything[4], "_place", lambda rank=rank: BatchPlace(rank, 2))
        shares.append(list(everything[4].train_dataloader()))
    assert len(shares[0]) == len(shares[1]) >= len(whole) > 1
    for step, batch in enumerate(whole):
        for place in range(0, 8, 2):  # pairs are dealt out in turns
            rank, row = place // 2 % 2, place // 4 * 2
            share = shares[rank][step]
            for offset in (0, 1):
                assert share["path"][row + offset] == batch["path"][place + offset]
                assert torch.equal(share["image"][row + offset], batch["image"][place + offset])


def test_a_training_that_goes_on_gets_the_batches_that_were_left(everything):
    module = everything[4]
    whole = list(module.train_dataloader())
    module.start_at(epoch=0, batch=3)
    rest = list(module.train_dataloader())
    module.start_at(epoch=0, batch=0)
    assert all(map(_equal, rest, whole[3:]))
    assert len(rest) == len(whole) - 3 > 0


def test_the_log_counts_pairs_blends_and_images_without_landmarks(data_dir, index_dir, tmp_path, caplog):
    caplog.set_level("INFO")
    module = _module(data_dir, index_dir, fakes="mixed", batch="pairs", val_fakes="mixed")
    part = module.splits["train"]
    found_by = part.found_by.to_pylist()
    found_by[int(np.flatnonzero(part.records.labels == 0)[0])] = "none"
    part.found_by = pa.array(found_by)
    module.summary(tmp_path)
    order = module.epochs.order("train", part)
    assert f"train: {order.blends} blends and {order.given} given fakes of its source" in caplog.text
    assert "train: no blend can be made of 1 real image without landmarks" in caplog.text
    assert "val: given fakes, and blends of its" in caplog.text


def test_weights_in_the_loss_are_of_what_comes_not_of_what_lies_there(copies, index_dir, tmp_path):
    root = tmp_path / "faces"
    shutil.copytree(copies, root)
    for image in (root / "train" / "fake").iterdir():
        shutil.copy(image, image.with_name(image.stem + "y.jpg"))
    shuffled = _module(root, index_dir, balance="loss_weight").class_weights()
    assert shuffled[0] == pytest.approx(2 * shuffled[1])
    assert _module(root, index_dir, balance="loss_weight", batch="pairs").class_weights() == [1.0, 1.0]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"batch": "pairs", "batch_size": 5}, r"odd, but with data\.batch=pairs .* data\.batch_size=6"),
        ({"batch": "pairs", "balance": "sampler"}, "data.balance=loss_weight"),
        ({"batch": "pair"}, "pairs"),
        ({"batch": "pairs", "fakes": "self_blended", "pair_augment": "own"}, "always get the same augmentation"),
        ({"pair_augment": "own"}, "data.batch=pairs"),
        ({"fakes": "mixed", "batch_size": 5}, "odd, but with data.fakes=mixed"),
        ({"fakes": "mixed", "balance": "sampler"}, "half of each batch is fake anyway"),
        ({"fakes": "mixed", "blend_share": 1.0}, "data.fakes=self_blended for blends only"),
        ({"fakes": "mixed", "blend_share": "much"}, "must be a number"),
        ({"blend_share": 0.3}, "set data.fakes=mixed"),
        ({"fakes": "mixed", "landmarks": "on_the_fly"}, "data.landmarks=index"),
        ({"batch": "pairs", "group_pattern": "(?:real|fake)/.*"}, "no group of the training images has both"),
    ],
)
def test_what_contradicts_is_refused(copies, index_dir, arguments, words):
    with pytest.raises(UserError, match=words):
        _module(copies, index_dir, **arguments)


def test_blends_are_in_the_group_of_their_real_image(data_dir, index_dir):
    module = _module(data_dir, index_dir, val_fakes="self_blended")
    groups = module.video_groups("val")
    for batch in module.val_dataloader():
        assert groups[batch["video"][::2]].tolist() == groups[batch["video"][1::2]].tolist()
    records = module.splits["val"].records
    assert set(groups.tolist()) == set(records.numbers("group_id").tolist())
