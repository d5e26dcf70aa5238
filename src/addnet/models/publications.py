"""Detectors that others published: network, names of its tensors there, whose they are, and under which terms."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from addnet.models.foreign import Names, of_deepfakebench, of_gend


@dataclass(frozen=True)
class Publication:
    """A detector that others published.

    Attributes:
        name: As it is typed.
        called: What messages, answers and cards call it.
        model: Name and options of the same network here.
        names: Our names of tensors → theirs.
        image_size: Side of what the network sees, in pixels.
        margin: Side of the square that is cut out of an image over that of the template: all authors bring eyes, nose
            and mouth to the same places.
        licence: Of the weights, as model hubs spell it.
        terms: The same in words.
        source: Where it is from.
        trained_on: In words, as its authors say.
        cite: Paper, in words.
        unused: As for `translated`.
        others: Patterns of names in files that are taken for it, and what these are.
        described: What a `config.json` beside the file has to say, as far as it says it.
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
    terms="MIT, as its authors say; it was learnt from FaceForensics++, which is for research alone",
    source="github.com/yermandy/GenD, huggingface.co/yermandy/GenD_CLIP_L_14",
    trained_on="FaceForensics++ c23",
    cite="Yermakov, Cech, Matas and Fritz, Deepfake Detection that Generalizes Across Benchmarks, WACV 2026, "
    "arXiv 2508.06248",
    unused={
        r"visual_projection\.weight$": "CLIP's projection to texts, behind the features that GenD reads",
        r"embeddings\.position_ids$": "a list of numbers from 0",
    },
    others={
        r"^feature_extractor\.backbone\.": "GenD on another network (Perception Encoder or DINOv3)",
        r"^(vision_model|text_model)\.": "CLIP itself, which tells no fakes",
        r"backbone\.block1\.": "of DeepfakeBench, whose Xception is adopted as `deepfakebench`",
    },
    described={"head": "LinearNorm", "backbone": "openai/clip-vit-large-patch14"},
)
DEEPFAKEBENCH = Publication(
    name="deepfakebench",
    called="DeepfakeBench's Xception",
    model={"name": "addnet", "num_classes": 2, "placement": "none", "drop_rate": 0.0},
    names=of_deepfakebench,
    image_size=256,
    margin=1.34,  # 1.3 by landmarks on lids and lips, 3 % closer together than those taken here (60 portraits)
    licence="cc-by-nc-4.0",
    terms="CC BY-NC 4.0: not for commercial use; it was learnt from FaceForensics++, which is for research alone",
    source="github.com/SCLBD/DeepfakeBench, release v1.0.1",
    trained_on="FaceForensics++ c23",
    cite="Yan, Zhang, Yuan, Lyu and Wu, DeepfakeBench, NeurIPS 2023, arXiv 2307.01426",
    unused={r"backbone\.adjust_channel\.": "a layer of its other detectors, which this one doesn't run"},
    others={
        r"^feature_extractor\.": "GenD, which is adopted as `gend`",
        r"^(conv1|block1)\.": "the ImageNet weights that its training starts from, which tell no fakes; "
        "model.weights=PATH takes them",
    },
)
PUBLISHED = {publication.name: publication for publication in (GEND, DEEPFAKEBENCH)}
