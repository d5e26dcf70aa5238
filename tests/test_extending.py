"""A package of somebody else's adds a network, a loss and a schedule by name: the example of docs/extending.md."""

import re
import sys
import tomllib
from pathlib import Path

import pytest
import torch
from torch import nn

from addnet import registry
from addnet.config import compose
from addnet.errors import UserError
from addnet.inference.loading import load
from addnet.models import MODELS, create_model
from addnet.registry import register
from addnet.train import train
from addnet.training.losses import RowLoss
from trainings import SMALL, last

PAGE = Path(__file__).parents[1] / "docs" / "extending.md"


@pytest.fixture
def clean(monkeypatch):
    """Forgets afterwards what was registered and imported."""
    monkeypatch.setattr(registry, "_plugins", [])
    kept = {kind: dict(makers) for kind, makers in registry._makers.items()}
    yield
    for kind, makers in registry._makers.items():
        makers.clear()
        makers.update(kept[kind])
    sys.modules.pop("my_detectors", None)


@pytest.fixture
def installed(tmp_path, clean):
    """The files of the page, and what installing them leaves; not yet where Python looks."""
    site = tmp_path / "site"
    for name, text in re.findall(r"`([\w./]+)`:\n\n```\w+\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL):
        (site / name).parent.mkdir(parents=True, exist_ok=True)
        (site / name).write_text(text, encoding="utf-8")
    project = tomllib.loads((site / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    landmarks = [
        f"[{group}]\n{key} = {value}\n" for group, of in project["entry-points"].items() for key, value in of.items()
    ]
    info = site / f"{project['name'].replace('-', '_')}-{project['version']}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n")
    (info / "entry_points.txt").write_text("".join(landmarks))
    return site


def test_the_example_trains_by_names_and_its_checkpoint_needs_the_package(installed, data_dir, tmp_path, monkeypatch):
    command = re.search(r"addnet train '(.*?)' (.*)", PAGE.read_text(encoding="utf-8"))
    monkeypatch.syspath_prepend(str(installed))
    paths = [
        f"data.data_dir={data_dir}",
        f"paths.output_dir={tmp_path}/run",
        f"paths.index_dir={data_dir.parent}/index",
    ]
    small = [override for override in SMALL if not override.startswith("model.")]
    quiet = ["trainer.max_epochs=1", "logger=none", "callbacks.progress_bar=null", "test=false"]
    train(compose([*small, *quiet, *paths, "loss.uniformity=0.1", command[1], *command[2].split()]))
    checkpoint = last(tmp_path / "run")
    hparams = checkpoint["hyper_parameters"]
    assert [hparams[section]["name"] for section in ("model", "loss", "scheduler")] == ["patchnet", "poly", "linear"]
    rate = checkpoint["optimizer_states"][0]["param_groups"][0]["lr"]
    assert rate == pytest.approx(1e-4 * 0.1)
    path = tmp_path / "run" / "checkpoints" / "last.ckpt"
    net = load(path).net
    assert type(net).__name__ == "PatchNet"
    assert torch.equal(net.head.weight, checkpoint["state_dict"]["net.head.weight"])

    for name in ("patchnet", "poly", "linear"):
        for makers in registry._makers.values():
            makers.pop(name, None)
    sys.modules.pop("my_detectors")
    monkeypatch.setattr(sys, "path", [folder for folder in sys.path if folder != str(installed)])
    monkeypatch.setattr(registry, "_plugins", [])
    with pytest.raises(UserError) as caught:
        load(path)
    expected = "model.name='patchnet' is unknown; choose one of: addnet, bandpass, timm, or install the package that"
    assert expected in str(caught.value)


def test_a_package_that_fails_is_named(installed, monkeypatch):
    (installed / "my_detectors" / "__init__.py").write_text("1 / 0", encoding="utf-8")
    monkeypatch.syspath_prepend(str(installed))
    assert create_model("addnet").num_classes == 2  # what the program has itself needs no packages
    with pytest.raises(UserError, match=r"plugin my_detectors .* fails: ZeroDivisionError: .*; fix or uninstall"):
        create_model("patchnet")


class Own(nn.Module):
    def __init__(self, width: int = 3):
        super().__init__()


@pytest.mark.usefixtures("clean")
@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("model", "own", Own), "kind='model' is unknown; choose one of: network, loss, schedule"),
        (("network", "my.package", Own), "'my.package' is not a valid name for a network"),
        (("network", "addnet", Own), "the network 'addnet' is already addnet.models.xception.ADDNet2D_Xception"),
        (("loss", "own", 3), "3 is not callable"),
    ],
    ids=lambda value: str(value)[:20],
)
def test_what_can_not_be_registered_is_refused(arguments, told):
    with pytest.raises(UserError) as caught:
        register(*arguments)
    assert told in str(caught.value)


@pytest.mark.usefixtures("clean")
def test_options_are_those_of_the_signature():
    register("network", "own", Own)
    register("network", "own", Own)  # a module that is imported again
    assert MODELS["own"] is Own
    with pytest.raises(UserError, match=r"model\.widht is not an option of 'own'; valid are: width\. Did you mean"):
        create_model("own", widht=3)
    with pytest.raises(UserError, match=r"model\.width='3' must be a whole number"):
        create_model("own", width="3")


@pytest.mark.usefixtures("clean")
def test_a_loss_that_gives_its_mean_is_refused():
    register("loss", "mean", lambda: lambda logits, labels, weights: nn.functional.cross_entropy(logits, labels))
    with pytest.raises(UserError, match=r"loss\.name=mean returned \(\) for 3 rows; it must return the loss of each"):
        RowLoss("mean")
