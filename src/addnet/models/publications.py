"""Detectors published by others: their networks, the names of their tensors, their authors and their licences."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from addnet.models.foreign import Names, of_deepfakebench, of_gend


@dataclass(frozen=True)
class Publication:
    """A detector published by others.

    Attributes:
        name: The name that a user types.
        called: The name in messages, answers and cards.
        model: Name and options of the equivalent network in this package.
        names: Maps our names of tensors to theirs.
        image_size: Side of the images that the network sees, in pixels.
        margin: Side of the square that is cropped over the side of the template: all these authors bring eyes, nose and
            mouth to the same positions.
        licence: Licence of the weights, as model hubs spell it.
        terms: The licence in words.
        source: Where the weights are published.
        trained_on: Training data, according to the authors.
        cite: Reference of the paper.
        unused: Patterns of names in its files that scores don't depend on, and why.
        others: Patterns of names in files that are mistaken for it, and what those files are.
        described: Entries that a `config.json` next to the file must have, if it has these keys.
    """

    name: str
    called: str
    model: Mapping[str, Any]
    names: Names
    image_size: int
    margin: float
    licence: str
    terms: str
    source: str
    trained_on: str
    cite: str
    unused: Mapping[str, str] = field(default_factory=dict)
    others: Mapping[str, str] = field(default_factory=dict)
    described: Mapping[str, str] = field(default_factory=dict)


GEND = Publication(
    name="gend",
    called="GenD on CLIP ViT-L/14",
    model={
        "name": "timm",
        "backbone": "vit_large_patch14_clip_quickgelu_224.openai",
        "num_classes": 2,
        "placement": "none",
        "drop_rate": 0.0,
        "head": "cosine_bias",
        "image_size": 224,
    },
    names=of_gend,
    image_size=224,
    margin=1.3,
    licence="mit",
    terms="MIT, according to its authors; it was trained on FaceForensics++, which is for research only",
    source="github.com/yermandy/GenD, huggingface.co/yermandy/GenD_CLIP_L_14",
    trained_on="FaceForensics++ c23",
    cite="Yermakov, Cech, Matas and Fritz, Deepfake Detection that Generalizes Across Benchmarks, WACV 2026, "
    "arXiv 2508.06248",
    unused={
        r"visual_projection\.weight$": "CLIP's projection into the space of texts, after the features that GenD uses",
        r"embeddings\.position_ids$": "a list of consecutive numbers",
    },
    others={
        r"^feature_extractor\.backbone\.": "GenD on another network (Perception Encoder or DINOv3)",
        r"^(vision_model|text_model)\.": "CLIP itself, which detects no fakes",
        r"backbone\.block1\.": "from DeepfakeBench, whose Xception is adopted as `deepfakebench`",
    },
    described={"head": "LinearNorm", "backbone": "openai/clip-vit-large-patch14"},
)
DEEPFAKEBENCH = Publication(
    name="deepfakebench",
    called="DeepfakeBench's Xception",
    model={"name": "addnet", "num_classes": 2, "placement": "none", "drop_rate": 0.0},
    names=of_deepfakebench,
    image_size=256,
    margin=1.34,  # their 1.3 is relative to landmarks on lids and lips, 3 % closer together than ours (60 portraits)
    licence="cc-by-nc-4.0",
    terms="CC BY-NC 4.0: not for commercial use; it was trained on FaceForensics++, which is for research only",
    source="github.com/SCLBD/DeepfakeBench, release v1.0.1",
    trained_on="FaceForensics++ c23",
    cite="Yan, Zhang, Yuan, Lyu and Wu, DeepfakeBench, NeurIPS 2023, arXiv 2307.01426",
    unused={r"backbone\.adjust_channel\.": "a layer of its other detectors, which this one doesn't run"},
    others={
        r"^feature_extractor\.": "GenD, which is adopted as `gend`",
        r"^(conv1|block1)\.": "the ImageNet weights that its training starts from, which detect no fakes; "
        "model.weights=PATH loads them",
    },
)
PUBLISHED = {publication.name: publication for publication in (GEND, DEEPFAKEBENCH)}
