"""A variant of the study differs from its reference in one factor, is in a sweep with it, and builds its network."""

import re
from functools import cache
from pathlib import Path

import pytest
import torch
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import OmegaConf

from addnet.config import compose, config_dir, files_of, plain
from addnet.models import create_model

pytestmark = pytest.mark.slow

SWEEPS = [name for name in files_of("sweep") if name.startswith("study_")]
VARIANTS = [name for name in files_of("ablation") if "/" in name]
PAPER = ["input", "blocks.0", "blocks.1", "blocks.2", "blocks.4"]
EXPECTED = {
    "network/random": {"model.pretrained": False},
    "network/lite2": {"model.backbone": "tf_efficientnet_lite2"},
    "network/xception": {"model.backbone": "legacy_xception", "model.pretrained": False},
    "attention/gate": {"model.placement": "full", "model.combine": "gate"},
    "attention/mix": {"model.placement": "full", "model.combine": "mix"},
    "attention/multiply": {"model.placement": "full"},
    "attention/paper": {"model.placement": PAPER},
    "attention/late": {"model.placement": "late"},
    "attention/late_gate": {"model.placement": "late", "model.combine": "gate"},
    "attention/gate_shuffled": {"data.mask_of": "other"},
    "attention/guide": {"loss.guide": 1.0},
    "attention/guide_shuffled": {"data.mask_of": "other"},
    "attention/guide_gate": {"loss.guide": 1.0},
    "attention/multiply_shuffled": {"data.mask_of": "other"},
    "bandpass/replace": {"model.front": "bandpass"},
    "bandpass/concat": {"model.front": "bandpass", "model.mode": "concat"},
    "bandpass/residual": {"model.front": "bandpass", "model.mode": "residual"},
    "bandpass/fixed": {"model.learnable_sigmas": False},
    # half as many images, since each comes twice
    "fakes/self_blended": {"data.fakes": "self_blended", "data.val_fakes": "self_blended"}
    | {"data.limit_train": 3000, "data.limit_val": 500},
    "fakes/self_blended_swap": "blend",
    "fakes/mixed": {"data.fakes": "mixed"},
    "batches/pairs": {"data.batch": "pairs"},
    "batches/pairs_own": {"data.batch": "pairs", "data.pair_augment": "own"},
    "batches/harsh": "augment",
    "batches/social": "augment",
    "tune/size_160": {"data.image_size": 160, "model.image_size": 160},
    "tune/size_224": {"data.image_size": 224, "model.image_size": 224},
    "tune/epochs_6": {"trainer.max_epochs": 6},
    "tune/epochs_12": {"trainer.max_epochs": 12},
    "tune/rate_2e4": {"optimizer.lr": 2e-4},
    "tune/start": {"optimizer.lr": 5e-4, "model.drop_rate": 0.5},
    "tune/rate_1e3": {"optimizer.lr": 1e-3},
    "tune/rate_1e3_drop_0": {"optimizer.lr": 1e-3, "model.drop_rate": 0.0},
    "tune/rate_1e3_drop_02": {"optimizer.lr": 1e-3, "model.drop_rate": 0.2},
    "tune/rate_2e3": {"optimizer.lr": 2e-3},
    "tune/cosine": "scheduler",
    "tune/constant": "scheduler",
    "tune/ema": {"ema_decay": 0.99},
    "tune/average": {"average_epochs": 2},
    "tune/drop_0": {"model.drop_rate": 0.0},
    "tune/drop_02": {"model.drop_rate": 0.2},
    "tune/drop_path": {"model.options": {"drop_path_rate": 0.2}},
    "tune/decay_5e2": {"optimizer.weight_decay": 5e-2},
    "tune/layer_decay": {"optimizer.layer_decay": 0.75},
    "tune/smoothing": {"loss.label_smoothing": 0.1},
    "tune/sharpness": {"optimizer.sam_rho": 0.05},
    "tune/batch_16": {"data.batch_size": 16},
    "tune/plain": "augment",
    "tune/strong": "augment",
    # shares of all images, as often as makes the same number of steps
    **{f"curve/{name}": {"data.limit_train": 16200 // times, "trainer.max_epochs": 3 * times}
       | {"trainer.check_val_every_n_epoch": times} for name, times in (("half", 2), ("quarter", 4), ("eighth", 8))},
    "curve/all": {"data.limit_train": None},
}  # fmt: skip


def _named(sweep):
    params = OmegaConf.load(Path(config_dir(), "sweep", f"{sweep}.yaml")).hydra.sweeper.params
    parser = OverridesParser.create()
    return list(parser.parse_override(f"ablation={params.ablation},base").sweep_string_iterator())[:-1]


@cache
def _flat(sweep, name):
    cfg = plain(compose([f"sweep={sweep}", f"ablation={name}", "paths.output_dir=outputs/here"]))
    cfg["model"]["options"] = cfg["model"]["options"] and {"whole": cfg["model"]["options"]}
    return dict(_leaves(cfg))


def _leaves(node, prefix=""):
    for key, value in node.items():
        if isinstance(value, dict) and "whole" in value:
            yield f"{prefix}{key}", value["whole"]
        elif isinstance(value, dict):
            yield from _leaves(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def _changed(cfg, reference):
    keys = cfg.keys() | reference.keys()
    return {key: cfg.get(key) for key in keys if cfg.get(key, "absent") != reference.get(key, "absent")}


def test_every_variant_is_expected_and_in_a_sweep():
    assert sorted(EXPECTED) == VARIANTS
    assert set(VARIANTS) <= {name for sweep in SWEEPS for name in _named(sweep)}


@pytest.mark.parametrize("sweep", SWEEPS)
def test_a_variant_changes_one_factor_of_a_reference_of_its_sweep(sweep):
    names = _named(sweep)
    for name in names:
        reference = _flat(sweep, name)["compare_to"]
        if name != "base":
            assert reference in (*names, "base"), f"{name} needs {reference} in {sweep}"
            changed = _changed(_flat(sweep, name), _flat(sweep, reference if reference != name else "base"))
            changed.pop("compare_to", None)
            expected = EXPECTED[name]
            if isinstance(expected, str):  # another file of a group
                assert {key.removeprefix("data.").partition(".")[0] for key in changed} == {expected}
            else:
                assert changed == expected, name


def test_only_the_tuning_is_without_test_and_only_the_last_sweep_is_at_full_size():
    bases = {sweep: _flat(sweep, "base") for sweep in SWEEPS}
    assert [sweep for sweep, cfg in bases.items() if not cfg["test"]] == ["study_tune"]
    assert [sweep for sweep, cfg in bases.items() if cfg["data.limit_train"] is None] == ["study_full"]


def test_a_variant_says_which_question_it_answers():
    for name in VARIANTS:
        text = Path(config_dir(), "ablation", f"{name}.yaml").read_text(encoding="utf-8")
        assert re.match(r"# @package _global_\n# [A-Z][^#]*\?", text), name


@pytest.mark.parametrize("name", [n for n in VARIANTS if any(key.startswith("model.") for key in EXPECTED[n])])
def test_a_variant_of_the_network_is_built(name):
    options = plain(compose(["experiment=study", f"ablation={name}", "model.pretrained=false"]).model)
    with torch.device("meta"):
        create_model(options.pop("name"), **options)


def test_all_start_weights_that_a_variant_needs_are_in_the_extra():
    from addnet.models.published import PACKAGES

    started = {
        cfg["model.backbone"]
        for sweep in SWEEPS
        for name in _named(sweep)
        if (cfg := _flat(sweep, name))["model.pretrained"]
    }
    assert started <= set(PACKAGES)
