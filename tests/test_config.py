"""Every file of `configs/` composes, every key binds, and what people mistype is answered."""

import inspect
import re
import subprocess
import sys
from pathlib import Path

import pytest
from hydra.errors import HydraException
from hydra.utils import get_class, get_method
from omegaconf import DictConfig, OmegaConf

import warm
from addnet.config import compose, config_dir, load_group, plain
from addnet.errors import UserError
from addnet.mistyped import suggestions
from addnet.models import MODELS

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[1]
FILES = sorted(
    f"{file.parent.name}={file.stem}" for file in Path(config_dir()).glob("*/*.yaml") if file.parent.name != "local"
)
GROUPS = {"model", "loss", "data", "mask", "augment", "blend", "optimizer", "scheduler", "trainer"}
GROUPS |= {"callbacks", "logger", "experiment", "ablation", "sweep", "debug", "paths", "hydra", "prepare", "robustness"}
OF_OTHERS = {"robustness": "evaluate", "size": "study"}
GROUPS |= {"size"}


def _targets(node, path=""):
    if isinstance(node, DictConfig):
        if "_target_" in node:
            yield path, node
        for key in node:
            if not OmegaConf.is_missing(node, key):
                yield from _targets(node[key], f"{path}.{key}".strip("."))


def test_all_groups_are_there():
    assert {file.split("=")[0] for file in FILES} == GROUPS


@pytest.mark.parametrize("override", FILES)
def test_every_file_composes_and_every_key_binds(override):
    cfg = compose([override], config_name=OF_OTHERS.get(override.partition("=")[0], "train"))
    OmegaConf.resolve(cfg)
    for path, node in _targets(cfg):
        target = node["_target_"]
        try:
            function = get_class(target).__init__
        except Exception:
            function = get_method(target)
        parameters = inspect.signature(function).parameters
        keys = {str(key) for key in node if not str(key).startswith("_")}
        if not any(p.kind is p.VAR_KEYWORD for p in parameters.values()):
            assert keys <= set(parameters), path
    if "name" in cfg.get("model", {}):
        network = OmegaConf.to_container(cfg.model, resolve=True)  # model=timm has a key that is not given
        assert set(network) - {"name"} <= set(inspect.signature(MODELS[network["name"]]).parameters)


def test_the_ladder_is_that_of_the_code():
    from addnet.data.degradations import LADDER

    node = plain(compose(["robustness=ladder"], config_name="evaluate").robustness)
    assert {kind: tuple(levels) for kind, levels in node["kinds"].items()} == dict(LADDER)


def test_predict_defaults_are_those_of_the_signatures():
    from addnet.inference import Detector
    from addnet.inference.files import ImageSettings
    from addnet.inference.videos import VideoSettings

    cfg = compose(config_name="predict")
    for node, function in (
        ("images", ImageSettings),
        ("frames", VideoSettings),
        ("detector", Detector.from_checkpoint),
    ):
        signature = inspect.signature(function).parameters
        node = plain(cfg[node]) | (plain(cfg.model) | {"mirror": cfg.mirror} if node == "detector" else {})
        assert {name: p.default for name, p in signature.items() if name != "path"} == node


@pytest.mark.parametrize("name", ["folder", "synthetic"])
def test_data_defaults_are_those_of_the_signature(name):
    from addnet.data import DeepfakeDataModule

    signature = inspect.signature(DeepfakeDataModule).parameters
    changed = {"mask", "augment", "blend", "index_dir", "faces_dir", "seed", "prepare", "options"}
    changed |= {"data_dir", "generate", "val_fraction"} if name == "synthetic" else set()
    for key, value in plain(compose([f"data={name}"]).data).items():
        if key not in changed | {"_target_"}:
            assert value == signature[key].default, key


def test_every_layout_has_a_file_with_its_options_and_their_defaults():
    from addnet.data.layouts import LAYOUTS, options_of

    for name, layout in LAYOUTS.items():
        node = plain(compose([f"data={name}"]).data)
        known = {key: list(v) if isinstance(v, tuple) else v for key, v in options_of(layout).items()}
        if name == "folder":
            assert set(known) == {"group_pattern", "video_pattern", "source"}
            known = {}  # patterns are arguments of the data module; the files of other layouts build on this one
        known.pop("cache_dir", None)  # follows from index_dir
        assert node["layout"] == name
        options = {key: None if value == {} else value for key, value in node["options"].items()}
        assert options == known, name


def test_prepare_defaults_are_those_of_the_signatures():
    from addnet.preparation.settings import PrepareSettings

    node = plain(compose(config_name="prepare").prepare)
    signature = inspect.signature(PrepareSettings).parameters
    assert {key: signature[key].default for key in signature} == {k: v for k, v in node.items() if k != "_target_"}


def test_export_defaults_are_those_of_the_signature():
    from addnet.inference.export import export_checkpoint

    node = plain(compose(config_name="export"))
    node |= node["model"]
    signature = inspect.signature(export_checkpoint).parameters
    defaults = {name: node["license" if name == "licence" else name] for name in signature}
    assert defaults.pop("ckpt") == "lite"
    assert defaults.pop("output") is None
    assert {key: signature[key].default for key in defaults} == defaults


@pytest.mark.parametrize("name", ["addnet", "bandpass"])
def test_model_defaults_are_those_of_the_signature(name):
    node = plain(compose([f"model={name}"]).model)
    signature = inspect.signature(MODELS[node.pop("name")]).parameters
    assert node.pop("pretrained") is True  # the constructor alone never reaches for the network
    assert {key: signature[key].default for key in node} == node


def test_mask_and_augment_defaults_are_those_of_the_signature():
    from addnet.data import Augment
    from addnet.faces import AttentionMask

    assert AttentionMask(**load_group("mask", "default")) == AttentionMask()
    assert Augment(**load_group("augment", "none")) == Augment()
    assert len({AttentionMask(**load_group("mask", name)) for name in ("default", "paper", "face_only", "ones")}) == 4


def _flags():
    """The table in the README: flags of the original scripts, and what stands for them here."""
    text = (ROOT / "README.md").read_text(encoding="utf-8").split("| flag that users of the original scripts know |")[1]
    rows = text.split("\n\n")[0].splitlines()[2:]
    return [name for row in rows for name in re.findall(r"`([^`]+)`", row.split("|")[2])]


def test_the_table_of_flags_is_true():
    here = _flags()
    assert len(here) == 16
    for name in here:
        cfg = compose([name] if "=" in name else ["model=bandpass"])
        assert "=" in name or OmegaConf.select(cfg, name, throw_on_missing=False, default="absent") != "absent", name


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("optimizer.lrr=1", "optimizer.lr"),
        ("model.kernelsize=3", "model.kernel_size (with model=bandpass)"),
        ("data.batchsize=3", "data.batch_size"),
        ("lr=1e-3", "optimizer.lr"),
        ("model.kernel_size=31", "exists only (with model=bandpass)"),
        ("loss.gamma=1", "exists only (with loss=focal)"),  # when there was one file it named the keys of both
        ("trainer.max_epoch=1", "trainer.max_epochs"),
    ],
)
def test_a_mistyped_key_fails_with_a_suggestion(typed, meant):
    with pytest.raises(HydraException):
        compose([typed])
    assert meant in suggestions([typed])


def test_a_key_of_the_file_that_was_chosen_is_suggested():
    assert suggestions(["data=dfd", "data.options.compresion=raw"]).endswith("did you mean data.options.compression?\n")
    assert "(with data=" in suggestions(["data.options.compresion=raw"])
    assert not suggestions(["data=faceforensics", "data.options.compression=raw"])


def test_correct_keys_give_no_suggestion():
    assert not suggestions(["optimizer.lr=1", "model=bandpass", "hydra.run.dir=x", "--multirun"])


@pytest.mark.parametrize("arguments", [["--cfg", "job"], ["--help"]])
def test_asking_for_the_config_imports_nothing_heavy(arguments):
    code = (
        f"import sys; sys.argv = ['train', *{arguments!r}]\n"
        "from addnet.train import main\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "heavy = {'torch', 'dlib', 'comet_ml', 'cv2', 'numpy', 'pyarrow', 'rich'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=False)
    assert result.returncode == 0, result.stderr
    assert "optimizer" in result.stdout


def test_mistakes_on_the_command_line_end_in_a_sentence(tmp_path):
    def run(*arguments):
        command = [sys.executable, "-m", "addnet.train", *arguments]
        told = warm.run(command, cwd=tmp_path, code=1)
        assert "Traceback" not in told
        return told

    assert "did you mean optimizer.lr" in run("optimizer.lrr=1")
    assert "bandpass" in run("model=bandpas")
    assert "data.data_dir is not set" in run()
    assert "bf17" in run("trainer.precision=bf17", "data.data_dir=x", "model.pretrained=false")


def test_unknown_presets_name_the_known_ones():
    with pytest.raises(UserError, match="face_only"):
        load_group("mask", "hair")


def test_app_defaults_are_those_of_the_signatures():
    from addnet.inference import Detector
    from addnet.inference.answering.asking import UploadLimits, Visit
    from addnet.inference.page.layout import build
    from addnet.inference.page.serving import PageAddress

    def defaults(function):
        parameters = inspect.signature(function).parameters.items()
        return {name: p.default for name, p in parameters if p.default is not p.empty}

    cfg = plain(compose(config_name="app"))
    assert defaults(UploadLimits) == cfg["limits"]
    assert defaults(Detector.from_checkpoint) == cfg["detector"] | cfg["model"] | {"mirror": False}  # always
    alone = defaults(PageAddress) | defaults(Visit) | defaults(build)
    assert alone.pop("ratios") is cfg["likelihood"] is None
    assert alone == {name: cfg[name] for name in alone}
    assert cfg["host"] == "127.0.0.1"


def test_nothing_imports_the_other_lightning():
    for file in [*ROOT.glob("src/**/*.py"), *ROOT.glob("tests/*.py"), *ROOT.glob("configs/**/*.yaml")]:
        assert not re.search(r"^\s*(from|import) lightning\b|_target_: lightning\.", file.read_text(), re.MULTILINE), (
            file
        )


def test_faces_can_be_used_without_torch():
    code = "import addnet.faces, sys; sys.exit(bool({'torch', 'dlib', 'hydra', 'comet_ml'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], timeout=60, check=False).returncode == 0


def test_a_sweep_over_several_devices_is_refused_where_jobs_are_not_isolated(tmp_path):
    overrides = [
        "hydra/launcher=basic",
        "trainer.devices=2",
        "seed=0,1",
        "data.data_dir=x",
        f"paths.output_root={tmp_path}",
    ]
    command = [sys.executable, "-m", "addnet.train", "-m", *overrides]
    told = warm.run(command, cwd=tmp_path, code=1)
    assert "would start itself again on every rank" in told
    assert "Traceback" not in told


@pytest.mark.parametrize(
    ("flags", "precision", "compiled"), [("fpu avx2", "32-true", False), ("avx2 avx512_bf16", "bf16-mixed", True)]
)
def test_the_fastest_cpu_settings_are_those_that_the_cpu_can_do(monkeypatch, flags, precision, compiled):
    read_text = Path.read_text

    def read(self, *arguments, **options):
        return f"flags : {flags}\n" if str(self) == "/proc/cpuinfo" else read_text(self, *arguments, **options)

    monkeypatch.setattr(Path, "read_text", read)
    cfg = compose(["trainer=cpu_fast"])
    assert (cfg.trainer.precision, cfg.compile, cfg.channels_last) == (precision, compiled, True)
    assert (cfg.trainer.accelerator, cfg.trainer.use_distributed_sampler) == (
        "cpu",
        False,
    )  # all else as in trainer=cpu
    assert compose(["trainer=cpu_fast", "compile=false"]).compile is False
