"""Detectors that come with the program: their names work wherever a checkpoint is named, and say what they are."""

import json
import logging
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from PIL import Image

from addnet import inference
from addnet.config import compose
from addnet.errors import UserError
from addnet.evaluate import evaluate, named
from addnet.export import export
from addnet.inference import Detector, shipped
from addnet.inference.export import export_checkpoint, load_exported
from addnet.inference.export.hub_folder import describe_folder, read_config
from addnet.inference.loading import load
from addnet.inference.page.fragment import welcome
from addnet.predict import about, predict
from checkpoints import changed, checkpoint

pytestmark = pytest.mark.slow

RATE = {"count": 7, "of": 500, "value": 0.014, "low": 0.0068, "high": 0.0286}
MEASURED = [
    {"name": "dfdc-faces", "level": "frame", "errors": {"real_called_fake": RATE, "fake_called_real": RATE}},
    {"name": "portraits", "level": "frame", "errors": {"real_called_fake": RATE | {"of": 1}, "fake_called_real": None}},
]
LINE = (
    "lite, which comes with addnet: timm test_efficientnet on images of 64 × 64 pixels, trained on crops (1,200 real "
    "and 800 fake images of 900 videos). Measured on dfdc-faces 1.4 % (0.7 to 2.9) of 500 real images called fake and "
    "1.4 % (0.7 to 2.9) of 500 fake images called real; on portraits 1.4 % (0.7 to 2.9) of 1 real image called fake "
    "(95 % intervals). A detector trained on your own kind of material will do better."
)


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    """A checkpoint of somebody's own."""
    folder = tmp_path_factory.mktemp("runs")
    plain = checkpoint(folder / "plain.ckpt", name="timm", backbone="test_efficientnet", data={"crop": "face"})
    learnt = {"data": [{"dataset": "crops", "real": 1200, "fake": 800, "videos": 900}]}
    return changed(plain, folder / "best.ckpt", learnt_from=learnt)


@pytest.fixture(scope="module")
def detectors(path, tmp_path_factory):
    """Where the detectors of an installation lie: `lite` and `lite-clean`."""
    folder = tmp_path_factory.mktemp("installed") / "detectors"
    for name in ("lite-clean", "lite"):
        made = export_checkpoint(path, folder / name, format="safetensors", tensors="float16").output
        describe_folder(made, read_config(made) | {"measured": MEASURED}, licence="other", folder=name)
    return folder


@pytest.fixture
def installed(detectors, monkeypatch, tmp_path):
    """An installation that detectors came with, in an empty folder."""
    monkeypatch.setattr(shipped, "FOLDER", detectors)
    monkeypatch.chdir(tmp_path)
    return detectors


@pytest.fixture
def without(monkeypatch, tmp_path):
    """An installation that none came with."""
    monkeypatch.setattr(shipped, "FOLDER", tmp_path / "detectors")
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def face(portrait, tmp_path):
    Image.fromarray(portrait[0]).save(tmp_path / "face.png")
    return tmp_path / "face.png"


# ---- names -------------------------------------------------------------------------------------------------


def test_the_default_is_what_every_command_asks(installed, path, portrait):
    assert shipped.names() == ["lite", "lite-clean"]
    for command in ("predict", "app", "evaluate", "export"):
        assert compose(config_name=command).ckpt == shipped.DEFAULT
    ours, theirs = Detector.default(device="cpu"), Detector.from_checkpoint(path, device="cpu")
    assert (ours.loaded.shipped, ours.loaded.path) == ("lite", installed / "lite")
    assert ours.predict(portrait[0]).score == pytest.approx(theirs.predict(portrait[0]).score, abs=0.01)
    assert all(weight.dtype == torch.float32 for weight in ours.net.parameters())


@pytest.mark.parametrize("ask", [Detector.from_checkpoint, Detector.from_exported, load])
def test_a_name_stands_for_a_path(installed, ask):
    found = ask("lite-clean")
    assert getattr(found, "loaded", found).shipped == "lite-clean"
    by_path = ask(installed / "lite" / "model.safetensors")
    assert getattr(by_path, "loaded", by_path).shipped == "lite"


def test_a_name_means_the_same_in_every_folder_and_what_lies_there_has_a_path(installed, path, caplog):
    shutil.copytree(installed / "lite-clean", "lite")
    with caplog.at_level(logging.INFO):
        assert load("lite").path == installed / "lite"
    assert "ckpt=lite is the detector that comes with addnet; for the local folder of that name, use ckpt=./lite" in (
        caplog.text
    )
    for here in ("./lite", Path("lite"), str(Path.cwd() / "lite")):
        assert not load(here).shipped
    shutil.copy(path, "best")
    assert load("best").path == Path("best")


def test_without_a_detector_of_that_name_what_lies_there_is_taken_and_said(without, path, caplog):
    shutil.copy(path, "lite")
    with caplog.at_level(logging.INFO):
        assert (load("lite").path, load("lite").shipped) == (Path("lite"), "")
    assert "ckpt=lite is the local file or folder, since this installation" in caplog.text


@pytest.mark.parametrize(("typed", "said"), [("lit", "'lite'"), ("lite-claen", "'lite-clean'"), ("Lite", "'lite'")])
def test_a_mistyped_name_is_answered_with_the_near_one(installed, typed, said):
    with pytest.raises(UserError, match=rf"ckpt={typed}: no such file.*use lite, lite-clean\. Did you mean {said}\?"):
        load(typed)


def test_an_installation_without_detectors_says_so_and_what_to_do(without, face):
    told = r"ckpt=lite: no such file or folder, and this installation comes without detectors\. Train one with"
    for ask in (
        Detector.default,
        lambda: predict(compose([f"input=[{face}]", "paths.output_dir=out"], config_name="predict")),
        lambda: evaluate(compose(["data.data_dir=faces"], config_name="evaluate")),
        lambda: export(compose(config_name="export")),
    ):
        with pytest.raises(UserError, match=told):
            ask()


@pytest.mark.parametrize("ckpt", ["null", "''"])
def test_nothing_named_is_answered_with_what_may_be(installed, ckpt):
    for command, run in (("predict", predict), ("evaluate", evaluate), ("export", export)):
        with pytest.raises(UserError, match=r"ckpt is not set: .*best\.ckpt, or a detector .*: lite, lite-clean$"):
            run(compose([f"ckpt={ckpt}", *(["input=x"] if run is predict else [])], config_name=command))


def test_names_stand_in_lists_beside_paths(installed, path):
    assert named(["lite", str(path)]) == {"lite": "lite", "best": str(path)}
    assert named(["mine=lite-clean", "lite"]) == {"mine": "lite-clean", "lite": "lite"}


# ---- what is said ------------------------------------------------------------------------------------------


def test_a_detector_that_ships_says_in_one_line_what_it_is(installed, path):
    detector = Detector.default(device="cpu")
    assert detector.background == (LINE,)
    assert about(detector)["in_words"] == [LINE]
    assert about(detector)["checkpoint"] == "lite"
    assert f"Detector: {LINE}" in welcome(detector.background)
    own = Detector.from_checkpoint(path, device="cpu").background
    assert not any("comes with addnet" in line or "will do better" in line for line in own)


def test_a_copy_of_it_is_the_user_s_own(installed, tmp_path):
    copy = shutil.copytree(installed / "lite", tmp_path / "copy")
    assert "comes with addnet" not in " ".join(Detector.from_checkpoint(copy).background)


@pytest.mark.parametrize("measured", [None, "text", [3], [{"level": "frame"}], [{"level": "x", "errors": {}}]])
def test_a_detector_that_was_not_measured_says_so(installed, measured, tmp_path, monkeypatch):
    shutil.copytree(installed / "lite", tmp_path / "detectors" / "lite")
    monkeypatch.setattr(shipped, "FOLDER", tmp_path / "detectors")
    describe_folder(Path("detectors/lite"), read_config(installed / "lite") | {"measured": measured}, licence="other")
    assert "Its error rates were not measured. A detector trained" in Detector.default().background[0]


def test_commands_say_it(installed, face, data_dir, index_dir, caplog, capsys):
    (answer,) = predict(compose([f"input=[{face}]", "paths.output_dir=out", "workers=0"], config_name="predict"))
    assert answer.verdict in ("real", "fake")
    assert " ".join(capsys.readouterr().out.split()).count(LINE) == 1
    where = [
        f"data.data_dir={data_dir}",
        f"paths.index_dir={index_dir}",
        "paths.output_dir=report",
        "data.num_workers=0",
    ]
    few = ["resamples=10", "mistakes=0", "data.limit_test=8", "device=cpu", "ckpt=[lite,lite-clean]"]
    with caplog.at_level(logging.INFO):
        evaluate(compose([*where, *few], config_name="evaluate"))
        export(compose(["format=torch_export", "output=lite.pt2"], config_name="export"))
    assert caplog.text.count(LINE) == 2  # of lite, by both commands
    told = json.loads(Path("report/evaluation.json").read_text())["about"]
    assert (told["lite"], told["lite, about it"]) == ("lite", LINE)


ASKED = """
import sys
from pathlib import Path
from addnet import __main__
import addnet.inference, addnet.inference.export.hub_folder
from addnet.inference import Detector, shipped

def told(what):
    heavy = {"pytorch_lightning", "lightning", "torchmetrics", "matplotlib", "scipy", "pandas", "pyarrow", "sklearn"}
    found = sorted(name for name in sys.modules if name in heavy or name.startswith("addnet.training"))
    print(what, found, file=sys.stderr)

told("imported")
shipped.FOLDER = Path(sys.argv[1])
for detector in (Detector.default(), Detector.from_checkpoint(sys.argv[2])):
    told(detector.predict(sys.argv[3]).kind)
sys.argv[1:] = ["predict", sys.argv[3], "workers=0"]
__main__.main()
told("predict")
"""


def test_one_image_is_asked_about_without_what_trains_measures_and_plots(installed, path, face):
    command = [sys.executable, "-c", ASKED, str(installed), str(path), str(face)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=True)
    assert done.stderr.splitlines() == ["imported []", "image []", "image []", "predict []"]
    assert "1 file: 1 " in done.stdout  # the command answered


def test_inference_names_nothing_of_training():
    for file in Path(inference.__path__[0]).rglob("*.py"):
        assert "addnet.training" not in file.read_text(encoding="utf-8"), file


# ---- weights -----------------------------------------------------------------------------------------------


def test_a_damaged_detector_is_answered_in_words(installed, tmp_path, monkeypatch):
    monkeypatch.setattr(shipped, "FOLDER", tmp_path / "detectors")
    file = Path(shutil.copytree(installed / "lite", tmp_path / "detectors" / "lite"), "model.safetensors")
    whole = file.read_bytes()
    for damaged in (whole[:5000], whole[:-3] + bytes([whole[-3] ^ 1]) + whole[-2:], None):
        file.unlink() if damaged is None else file.write_bytes(damaged)
        with pytest.raises(UserError, match=r"model\.safetensors.*; it came with addnet: install addnet again"):
            Detector.default()


def test_half_precision_takes_half_the_room_and_is_computed_in_full(path, tmp_path):
    full = export_checkpoint(path, tmp_path / "full", format="safetensors")
    half = export_checkpoint(path, tmp_path / "half", format="safetensors", tensors="float16")
    assert half.size < 0.6 * full.size
    assert 0 < half.parity.difference <= half.parity.atol == 0.05
    assert full.parity.difference <= full.parity.atol < 1e-3  # in proportion: its logits are large
    one, other = (load_exported(export.output).net.state_dict() for export in (full, half))
    assert {name: value.dtype for name, value in one.items()} == {name: value.dtype for name, value in other.items()}
    assert all(torch.equal(one[name], other[name]) for name, value in one.items() if value.ndim < 2)
    assert read_config(half.output)["weights"]["tensors"] == "float16"


def test_half_precision_that_changes_answers_is_refused(path, tmp_path):
    written = torch.load(path, weights_only=True)
    written["state_dict"]["net.head.weight"] *= 300
    torch.save(written, tmp_path / "steep.ckpt")
    with pytest.raises(UserError, match=r"differ from PyTorch's by up to .*, 5e-02 is allowed"):
        export_checkpoint(tmp_path / "steep.ckpt", tmp_path / "steep", format="safetensors", tensors="float16")
    with pytest.raises(UserError, match=r"atol=0\.1 must be above 0 and at most 5e-02"):
        export_checkpoint(path, tmp_path / "steep", format="safetensors", tensors="float16", atol=0.1)
    with pytest.raises(UserError, match=r"tensors=float16 needs format=safetensors"):
        export_checkpoint(path, tmp_path / "half.pt2", format="torch_export", tensors="float16")


def test_a_detector_that_ships_is_exported_like_a_checkpoint(installed, tmp_path):
    done = export_checkpoint("lite", tmp_path / "own", format="safetensors")
    assert done.about["measured"] == MEASURED
    again, first = read_config(done.output), read_config(installed / "lite")
    assert {name for name in first if first[name] != again[name]} == {"weights"}
    ours, theirs = (load_exported(folder).net.state_dict() for folder in (done.output, "lite"))
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)


# ---- those of this checkout --------------------------------------------------------------------------------


@pytest.mark.parametrize("name", shipped.names())  # skipped in a checkout without any
def test_each_detector_of_this_checkout_is_whole_small_measured_and_has_a_card(name):
    detector = Detector.from_checkpoint(name, device="cpu")
    folder = shipped.FOLDER / name
    assert (folder / "model.safetensors").stat().st_size <= 12e6
    assert detector.preprocessing.geometry.crop == "face"  # what is cut out of whole photographs is what it knows
    assert "Measured on" in detector.background[0]
    card = (folder / "README.md").read_text(encoding="utf-8")
    for told in (
        "iBUG 300-W",
        "| test set |",
        "| real files |",
        "By brightness of the face",
        "at each step",
        "threshold",
    ):
        assert told in card, told


@pytest.mark.parametrize("name", shipped.names())
def test_error_rates_on_the_first_screen_are_those_that_were_measured(name):
    about = json.loads((shipped.FOLDER / name / "config.json").read_text(encoding="utf-8"))
    text = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8").partition("\n## ")[0]
    rates = [rate for measured in about["measured"] for rate in measured["errors"].values() if rate]
    for rate in rates:
        share, low, high = (100 * rate[key] for key in ("value", "low", "high"))
        assert f"{share:.1f} % ({low:.1f} to {high:.1f})" in text, (name, rate)


def test_the_model_card_says_whether_detectors_come_with_this_checkout():
    text = (Path(__file__).parents[1] / "MODEL_CARD.md").read_text(encoding="utf-8")
    assert ("No trained weights are released" in text) != bool(shipped.names())
