"""Every recipe composes with the numbers of its source, has its network described, and trains a step."""

from pathlib import Path

import pytest
import timm
import torch
from omegaconf import OmegaConf

from addnet.config import compose, config_dir, plain
from addnet.models import create_model
from addnet.train import train

pytestmark = pytest.mark.slow

RECIPES = ("addnet", "addnet_bandpass", "addnet_paper", "xception_deepfakebench")
RECIPES += ("gend_clip_l14", "gend_pe_l14", "gend_dinov3_l", "lite", "study")
GEND = {"model.tune": "norm", "model.head": "cosine_bias", "model.placement": "none", "optimizer.weight_decay": 0.0}
GEND |= {"optimizer.lr": 3e-4, "data.batch_size": 512, "scheduler.cycle_epochs": 10, "trainer.max_epochs": 30}
SEED = {"optimizer.name": "adam", "optimizer.lr": 1e-4, "optimizer.weight_decay": 1e-5, "trainer.max_epochs": 100}
SEED |= {"data.batch_size": 16, "data.image_size": 299}
NUMBERS = {
    "addnet": SEED | {"model.name": "addnet", "model.placement": "full", "mask.eyes": "joint"},
    "addnet_bandpass": SEED | {"model.name": "bandpass", "model.kernel_size": 31, "model.pool": "adaptive"},
    "addnet_paper": SEED | {"model.placement": "paper", "model.pool": "chain", "mask.eyes": "separate"},
    "xception_deepfakebench": {"optimizer.lr": 2e-4, "optimizer.weight_decay": 5e-4, "data.batch_size": 32}
    | {"seed": 1024, "trainer.max_epochs": 10, "data.image_size": 256, "model.placement": "none"},
    "gend_clip_l14": GEND | {"loss.uniformity": 0.5, "loss.alignment": 0.1, "data.image_size": 224},
    "gend_pe_l14": GEND | {"loss.uniformity": 0.0, "loss.alignment": 0.0, "data.image_size": 224},
    "gend_dinov3_l": GEND | {"loss.uniformity": 0.5, "loss.alignment": 0.1, "data.image_size": 256},
    "lite": {"model.combine": "gate", "model.pretrained": True, "optimizer.lr": 1e-3, "scheduler.name": "onecycle"},
    "study": {"model.placement": "none", "model.drop_rate": 0.2, "optimizer.lr": 1e-3, "trainer.max_epochs": 3}
    | {"data.image_size": 128, "data.batch_size": 32, "data.limit_train": 6000, "scheduler.name": "onecycle"}
    | {"model.pretrained": True},
}
# a network of the same kind in the place of one of 300 million parameters
SMALL = {"gend_clip_l14": "test_vit", "gend_pe_l14": "test_vit", "gend_dinov3_l": "test_vit"}


def test_every_recipe_is_tested():
    files = {file.stem for file in Path(config_dir(), "experiment").glob("*.yaml")}
    assert files == {*RECIPES, "demo"} == {*NUMBERS, "demo"}


@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_has_the_numbers_of_its_source(name):
    cfg = compose([f"experiment={name}"])
    assert {key: OmegaConf.select(cfg, key) for key in NUMBERS[name]} == NUMBERS[name]
    assert cfg.task == name


@pytest.mark.parametrize("name", [*SMALL, "lite", "study"])
def test_a_recipe_s_network_takes_its_images(name):
    cfg = compose([f"experiment={name}", "model.pretrained=false"])
    options = plain(cfg.model)
    with torch.device("meta"):  # which computes nothing, so that the largest take no memory
        net = create_model(options.pop("name"), **options).eval()
        side = cfg.data.image_size
        assert net(torch.zeros(1, 3, side, side), torch.ones(1, 1, side, side)).shape == (1, 2)
    assert timm.is_model_pretrained(options["backbone"])


@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_trains_a_step(name, data_dir, index_dir, tmp_path):
    small = [f"model.backbone={SMALL[name]}"] if name in SMALL else []
    small += ["data.image_size=64", "data.batch_size=4", "data.num_workers=0", "model.pretrained=false", "test=false"]
    places = [f"data.data_dir={data_dir}", f"paths.index_dir={index_dir}", f"paths.output_dir={tmp_path}"]
    trainer = ["trainer.accelerator=cpu", "trainer.precision=32-true", "trainer.fast_dev_run=true"]
    train(compose([f"experiment={name}", *small, *places, *trainer]))
