"""Damage on the way: every kind is done, is the same at the same address, moves nothing, and is refused in words."""

import av
import cv2
import numpy as np
import pytest
import torch

from addnet.config import build, compose, load_group
from addnet.data import Augment, DeepfakeDataModule
from addnet.data.degradations import KINDS, LADDER, Degradation, damage, rungs
from addnet.data.hook import SamplePosition, UnwarpedSample
from addnet.data.random_degradations import RandomDegradations
from addnet.errors import UserError
from addnet.faces.damage import codecs
from addnet.faces.damage.optics import moved

PRESETS = ("harsh", "social", "screen")
KEY = (0, 3, 1234, 0)


def _degrade(**kinds):
    return RandomDegradations.of(kinds)


@pytest.fixture(scope="module")
def harsh():
    return Augment(**load_group("augment", "harsh")).degrade


@pytest.fixture
def odd(portrait):
    """A portrait with odd sides, and its landmarks."""
    image, landmarks = portrait
    return np.ascontiguousarray(image[:181, 3:]), landmarks - [3, 0]


# ---- the kinds ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_changes_an_image_of_odd_sides_and_neither_its_shape_nor_what_came_in(kind, odd, harsh):
    image, landmarks = odd
    before = image.copy()
    for values in zip(*harsh.chances[kind].strengths, strict=True):
        one, again = (damage(kind, image, landmarks, np.random.default_rng(5), values) for _ in range(2))
        assert (one.shape, one.dtype) == (image.shape, np.uint8)
        assert (one != image).any(), values
        assert np.array_equal(one, again)
    assert np.array_equal(image, before)


@pytest.mark.parametrize("kind", KINDS)
def test_the_smallest_images_come_through(kind, harsh):
    for shape in ((1, 1, 3), (2, 17, 3)):
        image = np.full(shape, 90, np.uint8)
        mild, strong = (values for values in zip(*harsh.chances[kind].strengths, strict=True))
        for values in (mild, strong):
            assert damage(kind, image, None, np.random.default_rng(0), values).shape == shape


@pytest.mark.parametrize(
    "kind", ["vignette", "moire", "cast", "speckle", "gamma", "grey", "chroma", "motion", "patches"]
)
def test_what_has_no_strength_changes_next_to_nothing(kind, odd):
    nothing = {"gamma": (1,), "chroma": (1,), "moire": (0, 4), "patches": (0, 1)}.get(kind, (0,))
    changed = damage(kind, odd[0], None, np.random.default_rng(0), nothing)
    assert (np.abs(changed.astype(int) - odd[0]).max(axis=-1) > 2).mean() < 1e-3  # YCrCb rounds; a patch is a pixel


def test_kinds_do_what_their_names_say(odd):
    image = odd[0]
    random = np.random.default_rng(1)
    grey = damage("grey", image, None, random, (1.0,))
    assert (grey.max(axis=-1) - grey.min(axis=-1)).max() == 0
    assert len(np.unique(damage("banding", image, None, random, (8,)))) <= 8
    grains = (damage("salt", image, None, random, (0.01,)) != image).any(axis=-1).mean()
    assert 0.008 < grains <= 0.01
    dark = damage("vignette", image, None, random, (0.8,)).astype(float) / np.maximum(image, 1)
    assert dark[0].mean() < 0.7 < 0.9 < dark[80:100, 90:110].mean()
    covered = damage("patches", image, None, random, (0.3, 1)) != image
    assert 0.02 < covered.any(axis=-1).mean() <= 0.1  # 0.09, less what lies outside
    luma = [cv2.cvtColor(seen, cv2.COLOR_RGB2GRAY).astype(int) for seen in (image, _chroma(image))]
    assert np.abs(luma[0] - luma[1]).mean() < 1


def _chroma(image):
    return damage("chroma", image, None, np.random.default_rng(0), (4,))


def test_motion_blurs_along_its_line_alone():
    point = np.zeros((41, 41, 3), np.uint8)
    point[20, 20] = 255
    level = moved(point, 9.0, angle=0.0)[..., 0]
    assert np.flatnonzero(level.any(axis=1)).tolist() == [20]
    assert np.flatnonzero(level[20]).tolist() == list(range(16, 25))
    assert moved(point, 9.0, angle=np.pi / 2)[..., 0].T.tolist() == level.tolist()
    ys, xs = np.nonzero(moved(point, 15.0, angle=np.pi / 4)[..., 0])
    assert np.corrcoef(xs, ys)[0, 1] > 0.9
    assert xs.mean() == ys.mean() == 20


def test_colours_are_kept_whole_or_halved_in_jpeg():
    stripes = np.zeros((64, 64, 3), np.uint8)
    stripes[:, ::2], stripes[:, 1::2] = (200, 30, 30), (30, 30, 200)
    whole, halved = (np.abs(codecs.jpeg(stripes, 95, chroma=chroma).astype(int) - stripes).mean() for chroma in (1, 2))
    assert whole < 5 < 20 < halved


def test_h264_looks_at_frames_before_and_loses_more_at_a_worse_quality(odd):
    alone, third = (codecs.h264(odd[0], 35, frames=frames) for frames in (1, 3))
    assert not np.array_equal(alone, third)
    errors = [np.abs(codecs.h264(odd[0], quality).astype(int) - odd[0]).mean() for quality in (20, 30, 40)]
    assert errors == sorted(errors)
    assert errors[0] < 4 < errors[2]  # and it lies where it lay


def test_without_an_encoder_of_h264_it_is_said_what_there_is_and_how_to_do_without(monkeypatch):
    monkeypatch.setattr(av, "codecs_available", {"h264", "h264_nvenc"})
    codecs.require_h264.cache_clear()
    told = r"requires the encoder libx264, .*: h264, h264_nvenc\).*augment\.degrade\.h264\.p=0"
    with pytest.raises(UserError, match=told):
        Degradation("h264", 23)
    with pytest.raises(UserError, match=told):
        _degrade(compound={"p": 0.1, "passes": 1})
    assert _degrade(h264={"p": 0, "quality": 30, "frames": 1}).draw(KEY) == []
    assert list(rungs({"h264": [], "compound": None, "grey": [1]})) == [Degradation("grey", 1)]
    codecs.require_h264.cache_clear()


# ---- the ladder --------------------------------------------------------------------------------------------


def _as_ever(kind, level, image, seed):
    """What a step of the ladder did before it shared its code with training."""
    if kind == "jpeg":
        _, encoded = cv2.imencode(".jpg", image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, level])
        return cv2.imdecode(encoded, cv2.IMREAD_COLOR_RGB)
    if kind == "blur":
        sigma = level / 100 * max(image.shape)
        width = 2 * int(np.ceil(2 * sigma)) + 1
        return cv2.GaussianBlur(image, (width, width), sigma)
    if kind == "resize":
        height, width = image.shape[:2]
        shrunk = cv2.resize(image, (round(width * level), round(height * level)), interpolation=cv2.INTER_AREA)
        return cv2.resize(shrunk, (width, height), interpolation=cv2.INTER_LINEAR)
    if kind == "noise":
        noise = np.random.default_rng(seed).standard_normal(image.shape, dtype=np.float32) * level
        return np.clip(np.rint(image + noise), 0, 255)
    mean = float(np.array([0.299, 0.587, 0.114]) @ cv2.mean(image)[:3]) if kind == "contrast" else 0.0
    return cv2.addWeighted(image, level, image, 0, mean * (1 - level) if kind == "contrast" else 0.0)


@pytest.mark.parametrize("kind", ["jpeg", "blur", "resize", "noise", "brightness", "contrast"])
def test_the_rungs_that_were_there_before_give_the_same_pixels(kind, odd):
    for level in LADDER[kind]:
        found = Degradation(kind, level).damaged(*odd, seed=7)
        assert np.array_equal(found, _as_ever(kind, level, odd[0], 7)), level


@pytest.mark.parametrize(
    ("kind", "level", "told"),
    [
        ("h264", 52, r"robustness\.h264=52 is not valid; use a number \(constant rate factor\) in \[0, 51\]"),
        ("chroma", 2.5, r"robustness\.chroma=2\.5 is not valid; use a whole number \(pixels"),
        ("jpeg", "good", r"robustness\.jpeg='good' is not valid; use a whole number \(quality\) in \[1, 100\]"),
        ("sepia", 1, "robustness='sepia' is unknown"),
    ],
)
def test_a_rung_that_is_not_there_is_refused(kind, level, told):
    with pytest.raises(UserError, match=told):
        list(rungs({kind: [level]}))


# ---- drawn for training ------------------------------------------------------------------------------------


@pytest.mark.parametrize("preset", PRESETS)
def test_every_preset_names_every_kind_so_that_each_can_be_set_and_swept(preset):
    words = [f"augment={preset}", *(f"augment.degrade.{kind}.p=0.5" for kind in KINDS), "augment.degrade.most=9"]
    augment = build(compose(words).augment)
    assert set(augment.degrade.chances) == set(KINDS)
    assert {chance.p for chance in augment.degrade.chances.values()} == {0.5}
    assert max(len(augment.degrade.draw((0, 0, number, 0))) for number in range(300)) == 9


def test_an_address_decides_what_happens_and_how(harsh, portrait):
    one, again, later = (harsh.damaged(*portrait, key=key) for key in (KEY, KEY, (0, 4, 1234, 0)))
    assert np.array_equal(one, again)
    assert not np.array_equal(one, later)
    assert len({tuple(kind for kind, _ in harsh.draw((0, 0, number, 0))) for number in range(50)}) > 25


def test_both_halves_of_a_blend_get_the_same_damage(harsh, portrait):
    image, landmarks = portrait
    halves = [
        harsh(UnwarpedSample(image, landmarks, label), SamplePosition(0, KEY, half))
        for label, half in ((0, "real"), (1, "fake"))
    ]
    assert np.array_equal(halves[0].image, halves[1].image)
    assert [half.label for half in halves] == [0, 1]
    assert all(half.landmarks is landmarks for half in halves)


def test_kinds_come_as_often_as_they_say_and_in_any_order():
    degrade = _degrade(grey={"p": 0.3, "amount": 1}, gamma={"p": 0.6, "exponent": [0.5, 2]}, salt=None)
    drawn = [[kind for kind, _ in degrade.draw((0, 0, number, 0))] for number in range(2000)]
    assert np.mean([kinds.count("grey") for kinds in drawn]) == pytest.approx(0.3, abs=0.04)
    assert np.mean([kinds.count("gamma") for kinds in drawn]) == pytest.approx(0.6, abs=0.04)
    both = [kinds for kinds in drawn if len(kinds) == 2]
    assert np.mean([kinds[0] == "grey" for kinds in both]) == pytest.approx(0.5, abs=0.1)


def test_changing_one_kind_leaves_the_others_alone():
    blur = {"p": 1, "sigma": [0.1, 2]}
    alone, together = _degrade(blur=blur), _degrade(blur=blur, noise={"p": 1, "deviation": [1, 9]})
    assert dict(alone.draw(KEY))["blur"] == dict(together.draw(KEY))["blur"]


def test_strengths_cover_their_range_and_whole_ones_reach_both_ends():
    degrade = _degrade(patches={"p": 1, "side": [0.1, 0.2], "count": [1, 3]})
    sides, counts = zip(*(degrade.draw((0, 0, number, 0))[0][1] for number in range(200)), strict=True)
    assert set(counts) == {1, 2, 3}
    assert 0.1 <= min(sides) < 0.11 < 0.19 < max(sides) <= 0.2


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"sepia": {"p": 1}}, "augment.degrade='sepia' is unknown"),
        ({"jpg": None}, "Did you mean 'jpeg'"),
        ({"blur": {"p": 1, "sigmas": [0, 1]}}, "augment.degrade.blur='sigmas' is unknown; choose one of: p, sigma"),
        ({"blur": {"p": 1}}, "augment.degrade.blur needs sigma"),
        ({"blur": {"sigma": [0, 1]}}, "augment.degrade.blur needs p"),
        ({"blur": {"p": 1.5, "sigma": 1}}, "augment.degrade.blur.p=1.5 is not valid; use a probability in [0, 1]"),
        ({"blur": {"p": "often", "sigma": 1}}, "augment.degrade.blur.p='often' is not valid; use a probability"),
        (
            {"blur": {"p": 1, "sigma": [2, 1]}},
            "augment.degrade.blur.sigma=[2, 1] is not a range; use two numbers [low, high]",
        ),
        (
            {"blur": {"p": 1, "sigma": [1, 2, 3]}},
            "augment.degrade.blur.sigma=[1, 2, 3] is not a range",
        ),
        (
            {"blur": {"p": 1, "sigma": [0, 99]}},
            "blur.sigma=[0, 99] is not a range; use two numbers [low, high] in [0, 20]",
        ),
        (
            {"banding": {"p": 1, "levels": [2.5, 8]}},
            "banding.levels=2.5 is not valid; use a whole number (values",
        ),
        ({"blur": 0.5}, "augment.degrade.blur=0.5 is not valid; set augment.degrade.blur.p"),
        ({"most": 0}, "augment.degrade.most=0 must be a whole number of at least 1"),
    ],
)
def test_what_is_not_valid_is_refused_in_words(given, told):
    with pytest.raises(UserError) as caught:
        Augment(degrade=given)
    assert told in str(caught.value)


@pytest.fixture
def served(data_dir, index_dir):
    """Serves training images of a preset, with so many loader processes."""

    def of(**arguments):
        defaults = {"image_size": 64, "batch_size": 8, "index_dir": str(index_dir), "num_workers": 0}
        module = DeepfakeDataModule(str(data_dir), **(defaults | arguments))
        module.prepare_data()
        module.setup()
        return module

    return of


def test_training_images_alone_are_damaged_and_workers_do_not_matter(served, harsh):
    plain, one, two = (
        served(augment=Augment(degrade=degrade), num_workers=workers)
        for degrade, workers in ((None, 0), (harsh, 0), (harsh, 2))
    )
    batches = [list(module.train_dataloader()) for module in (plain, one, two)]
    assert all(map(torch.equal, *([batch["image"] for batch in found] for found in batches[1:])))
    changed = [(a["image"] != b["image"]).flatten(1).any(dim=1) for a, b in zip(*batches[:2], strict=True)]
    assert torch.cat(changed).float().mean() > 0.8
    assert all(torch.equal(a["mask"], b["mask"]) for a, b in zip(*batches[:2], strict=True))
    assert all(torch.equal(plain.dataset("val")[row]["image"], one.dataset("val")[row]["image"]) for row in range(3))
