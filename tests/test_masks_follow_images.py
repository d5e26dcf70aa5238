"""Whatever augmentation does to an image, its mask does too."""

import cv2
import numpy as np
import pytest

from addnet.config import load_group
from addnet.data import Augment, DeepfakeDataset, Record
from addnet.data.samplers import SampleAddress
from addnet.faces import AttentionMask, Geometry


@pytest.fixture(scope="module")
def marked(portrait, tmp_path_factory):
    """An image that is white exactly where its mask is drawn, so that both can be compared."""
    root = tmp_path_factory.mktemp("marked")
    landmarks = portrait[1] + 100  # far from the border, where the image is mirrored in and the mask is not
    shape = (AttentionMask(parts=("face",), face_blur=0.0).draw(landmarks, 400) * 255).astype(np.uint8)
    cv2.imwrite(str(root / "a.png"), cv2.merge([shape] * 3))
    record = Record(path="a.png", label=0, split="train", video_id="a", group_id="a", dataset="d")
    return root, [record], [landmarks]


@pytest.mark.parametrize("augment", ["none", "light", "strong"])
@pytest.mark.parametrize("crop", ["image", "face"])
def test_masks_follow_every_geometric_change(marked, augment, crop):
    root, records, landmarks = marked
    dataset = DeepfakeDataset(
        root,
        records,
        landmarks=landmarks,
        geometry=Geometry(size=160, crop=crop, margin=1.3),
        mask=AttentionMask(parts=("face",), face_blur=0.0),
        augment=Augment(**load_group("augment", augment)),
    )
    for epoch in range(12):
        sample = dataset[SampleAddress(0, epoch)]
        image = (sample["image"].mean(dim=0) > 0).numpy()
        mask = (sample["mask"][0] > 0.5).numpy()
        union = (image | mask).sum()
        assert (image & mask).sum() / union > 0.9, epoch  # a drift of two pixels would show


def test_the_change_depends_on_its_address_alone(marked):
    root, records, landmarks = marked
    strong = Augment(**load_group("augment", "strong"))
    arguments = {"landmarks": landmarks, "geometry": Geometry(size=96), "mask": AttentionMask(), "augment": strong}
    one, other = (DeepfakeDataset(root, records, seed=seed, **arguments) for seed in (0, 1))
    again = DeepfakeDataset(root, records, seed=0, **arguments)
    for _ in range(3):  # however often and in whatever order
        assert (again[SampleAddress(0, 5)]["image"] == one[SampleAddress(0, 5)]["image"]).all()
    for different in (one[SampleAddress(0, 6)], one[SampleAddress(0, 5, repeat=1)], other[SampleAddress(0, 5)]):
        assert not (different["image"] == one[SampleAddress(0, 5)]["image"]).all()


def test_changing_one_range_leaves_the_other_draws_alone():
    plain, jpeg = Augment(rotation=10, flip=0.5), Augment(rotation=10, flip=0.5, jpeg_p=1.0, blur_p=1.0)
    assert plain.draw((1, 2, 3))[0] == jpeg.draw((1, 2, 3))[0]
    assert jpeg.draw((1, 2, 3))[1].jpeg is not None
