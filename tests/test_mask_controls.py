"""Masks left out or exchanged: the image stays as it is, and chance depends on the address alone."""

from collections import Counter

import cv2
import numpy as np
import pytest
import torch

from addnet.config import load_group
from addnet.data import Augment, DeepfakeDataModule, DeepfakeDataset, Record
from addnet.data.partners import Partners
from addnet.data.samplers import SampleAddress
from addnet.errors import UserError
from addnet.faces import AttentionMask, Geometry
from addnet.faces.geometry import map_landmarks

VIDEOS = ["a", "a", "b", "b", "b", "c"]


@pytest.fixture(scope="module")
def folder(portrait, tmp_path_factory):
    """Six images of three videos: sizes, turns and places of the face differ."""
    root = tmp_path_factory.mktemp("six")
    image, landmarks = portrait
    records, found = [], []
    for number, video in enumerate(VIDEOS):
        width, height = 200 + 20 * number, 240 - 10 * number
        matrix = cv2.getRotationMatrix2D((100, 100), 6.0 * number, 0.8)
        cv2.imwrite(str(root / f"{number}.png"), cv2.warpAffine(image, matrix, (width, height)))
        records.append(
            Record(path=f"{number}.png", label=number % 2, split="train", video_id=video, group_id=video, dataset="d")
        )
        found.append(map_landmarks(landmarks, matrix))
    return root, records, found, [(240 - 10 * n, 200 + 20 * n) for n in range(6)]


def _dataset(folder, **options):
    root, records, landmarks, shapes = folder
    defaults = {"landmarks": landmarks, "shapes": shapes, "geometry": Geometry(size=96), "mask": AttentionMask()}
    return DeepfakeDataset(root, records, **(defaults | options))


# ---- drop-out ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("preset", ["none", "light", "strong"])
def test_left_out_masks_are_ones_and_images_stay(folder, preset):
    settings = load_group("augment", preset)
    assert settings["mask_dropout"] == 0
    kept, half, all_out = (_dataset(folder, augment=Augment(**settings | {"mask_dropout": p})) for p in (0.0, 0.5, 1.0))
    dropped = 0
    for address in (SampleAddress(index, epoch) for index in range(6) for epoch in range(8)):
        one, two, three = kept[address], half[address], all_out[address]
        assert torch.equal(one["image"], two["image"])
        assert torch.equal(one["image"], three["image"])
        assert three["mask"].min() == 1
        out = bool(two["mask"].min() == 1)
        assert out or torch.equal(two["mask"], one["mask"])
        dropped += out
    assert 12 < dropped < 36


def test_a_left_out_mask_leaves_every_other_draw_alone():
    strong = load_group("augment", "strong")
    for sample in range(20):
        one, other = (Augment(**strong | {"mask_dropout": p}).draw((0, 1, sample, 0)) for p in (0.0, 1.0))
        assert one[:2] == other[:2]
        assert (one[2], other[2]) == (False, True)


def test_evaluation_keeps_its_masks(data_dir, index_dir):
    module = _module(data_dir, index_dir, augment=Augment(mask_dropout=1.0))
    assert module.dataset("train")[0]["mask"].min() == 1
    assert module.dataset("val")[0]["mask"].min() < 1


def test_a_probability_that_is_none_is_refused():
    with pytest.raises(UserError, match="mask_dropout"):
        Augment(mask_dropout=1.5)


# ---- masks of others ---------------------------------------------------------------------------------------


def test_partners_are_of_another_video_and_all_of_them_come():
    partners = Partners(VIDEOS)
    for index, video in enumerate(VIDEOS):
        drawn = Counter(partners.of(index, (0, epoch, index, 0)) for epoch in range(600))
        others = [number for number, name in enumerate(VIDEOS) if name != video]
        assert sorted(drawn) == others
        assert min(drawn.values()) > 0.6 * 600 / len(others)


def test_within_one_video_it_is_at_least_another_image():
    partners = Partners(["a"] * 4)
    assert {partners.of(2, (0, epoch, 2, 0)) for epoch in range(99)} == {0, 1, 3}
    with pytest.raises(UserError, match="mask_of=own"):
        Partners(["a"])


@pytest.mark.parametrize("crop", ["image", "face"])
def test_the_mask_is_the_partner_s_through_its_own_levelling_and_this_image_s_changes(folder, crop):
    augment = Augment(**load_group("augment", "strong"))
    geometry = Geometry(size=96, crop=crop)
    own, other = (_dataset(folder, geometry=geometry, augment=augment, mask_of=of) for of in ("own", "other"))
    for address in (SampleAddress(index, epoch) for index in range(6) for epoch in range(3)):
        drawn_from = own._key(address)
        jitter = augment.draw(drawn_from)[0]
        partner = Partners(VIDEOS).of(address.record, drawn_from)
        landmarks, shape = folder[2][partner], folder[3][partner]
        expected = AttentionMask().draw(map_landmarks(landmarks, geometry.matrix(shape, landmarks, jitter)), 96)
        sample = other[address]
        assert np.abs(sample["mask"][0].numpy() - expected).max() < 1e-6
        assert torch.equal(sample["image"], own[address]["image"])
        assert VIDEOS[partner] != VIDEOS[address.record]


def test_partners_depend_on_seed_epoch_and_path_alone(folder):
    def masks(epoch, seed=0):
        dataset = _dataset(folder, mask_of="other", seed=seed)
        return torch.stack([dataset[SampleAddress(index, epoch)]["mask"] for index in range(6)])

    assert torch.equal(masks(3), masks(3))
    assert not torch.equal(masks(3), masks(4))
    assert not torch.equal(masks(3), masks(3, seed=1))


def test_files_tell_what_no_index_knows(folder):
    known, unknown = _dataset(folder, mask_of="other"), _dataset(folder, mask_of="other", shapes=None)
    for index in range(6):
        assert torch.equal(known[index]["mask"], unknown[index]["mask"])


def _module(data_dir, index_dir, **arguments):
    defaults = {"image_size": 64, "batch_size": 4, "num_workers": 0, "val_fraction": 0.2}
    module = DeepfakeDataModule(str(data_dir), index_dir=str(index_dir), **(defaults | arguments))
    module.prepare_data()
    module.setup()
    return module


def test_the_data_module_exchanges_masks_in_every_split_and_says_so(data_dir, index_dir, tmp_path):
    own, other = (_module(data_dir, index_dir, mask_of=of) for of in ("own", "other"))
    fly = _module(data_dir, tmp_path, mask_of="other", landmarks="on_the_fly")
    assert (own.preprocessing()["mask_of"], other.preprocessing()["mask_of"]) == ("own", "other")
    for split in ("train", "val", "test"):
        one, two = own.dataset(split), other.dataset(split)
        masks = [one[index]["mask"] for index in range(len(one))]
        for index in range(len(two)):
            sample = two[index]
            assert not torch.equal(sample["mask"], masks[index])
            partner = next(n for n, mask in enumerate(masks) if torch.equal(sample["mask"], mask))
            assert one.records[partner].video_id != one.records[index].video_id
            assert torch.equal(sample["image"], one[index]["image"])
        assert torch.equal(two[1]["mask"], fly.dataset(split)[1]["mask"])


def test_whose_mask_is_one_of_two():
    with pytest.raises(UserError, match="own, other"):
        DeepfakeDataModule("somewhere", mask_of="nobody")
