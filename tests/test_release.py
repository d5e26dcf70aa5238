"""`addnet release`: weights, description and card of a detector to be given away, measured as they leave."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from addnet.config import compose
from addnet.errors import UserError
from addnet.faces.domain import Domain, FaceMeasures
from addnet.faces.domain.appearance import NUMBERS
from addnet.inference import Detector, shipped
from addnet.inference.answers import Answer
from addnet.inference.export.hub_folder import read_config
from addnet.inference.export.measured import of_real_files
from addnet.release import release
from checkpoints import changed, checkpoint


def _config(folder, *overrides):
    return compose(
        [f"paths.output_dir={folder}/run", f"output={folder}/detectors/lite", *overrides], config_name="release"
    )


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    folder = tmp_path_factory.mktemp("checkpoint")
    plain = checkpoint(folder / "plain.ckpt", name="timm", backbone="test_efficientnet", data={"crop": "face"})
    large = FaceMeasures(1000.0, 10.0, 100.0, 0.1, 0.6, 0.0, np.zeros(NUMBERS))  # no face of these tests is like that
    preprocessing = torch.load(plain, weights_only=True)["addnet"]["preprocessing"]
    preprocessing["domain"] = Domain.of([large], [large]).values()
    return changed(plain, folder / "best.ckpt", preprocessing=preprocessing)


@pytest.fixture(scope="module")
def released(path, data_dir, index_dir, portrait, tmp_path_factory):
    """The folder of a whole run, in which `run/` is what it left behind."""
    folder = tmp_path_factory.mktemp("release")
    (folder / "portraits").mkdir()
    Image.fromarray(portrait[0]).save(folder / "portraits" / "one.png")
    Image.new("RGB", (64, 64)).save(folder / "portraits" / "empty.png")
    (folder / "card.md").write_text("Learnt from *drawn* faces; <b>anyone</b> may use them.\n")
    data = [f"data.data_dir={data_dir}", f"paths.index_dir={index_dir}", "data.num_workers=0", "device=cpu"]
    little = ["robustness=none", "robustness.kinds={jpeg: [50]}", "resamples=20"]
    own = [
        f"ckpt={path}",
        f"card={folder}/card.md",
        f"real={{portraits: {folder}/portraits}}",
        "license=apache-2.0",
        "domain=false",
    ]
    release(_config(folder, *data, *little, *own, "domain=false"))
    return folder


def test_what_is_released_is_a_detector_that_says_what_it_was_measured_to_do(released, monkeypatch):
    monkeypatch.setattr(shipped, "FOLDER", released / "detectors")
    (line,) = Detector.default().background
    wanted = (
        r"Measured on faces [\d.]+ % \(.*\) of \d+ real videos called fake and .* of \d+ fake videos called real; on "
    )
    assert re.search(wanted + r"portraits [\d.]+ % \(.*\) of 1 real image called fake \(95 % intervals\)", line), line
    assert sorted(file.name for file in (released / "detectors" / "lite").iterdir()) == [
        "README.md",
        "config.json",
        "model.safetensors",
    ]


def test_its_description_has_the_metrics_of_the_evaluation(released):
    evaluation = json.loads((released / "run" / "evaluation.json").read_text())
    (found,) = next(iter(evaluation["checkpoints"].values()))["sets"].values()
    config = read_config(released / "detectors" / "lite")
    assert config["preprocessing"]["domain"] is None  # with it, no portrait would have a verdict
    tested, portraits = config["measured"]
    assert (tested["name"], tested["level"]) == ("faces", "video")  # whose videos have several frames
    assert tested["auroc"] == found["levels"]["video"]["metrics"]["auroc"]
    (tn, fp), (fn, tp) = found["levels"]["video"]["called"]["chosen"]["confusion"]
    rates = tested["errors"]
    assert [(rate["count"], rate["of"]) for rate in rates.values()] == [(fp, tn + fp), (fn, fn + tp)]
    assert (portraits["level"], portraits["without_verdict"]) == ("frame", 1)


def test_its_card_has_all_tables_and_what_its_author_says(released):
    text = (released / "detectors" / "lite" / "README.md").read_text(encoding="utf-8")
    assert text.startswith("---\nlicense: apache-2.0\n")
    assert "Learnt from *drawn* faces; <b>anyone</b> may use them.\n" in text
    for told in (
        'Detector.from_exported("lite")',
        "| test set | of | real called fake | fake called real | AUROC | paired accuracy |",
        "| real files | of | real called fake | without a verdict |",
        "**By brightness of the face, images**",
        "| jpeg (quality) | 50 |",
        "no commercial use",
    ):
        assert told in text, told


def test_what_was_measured_is_taken_again_for_the_same_weights_alone(released, path, tmp_path):
    measured = f"measured={released}/run/measured.json"
    again = release(_config(tmp_path, measured, f"ckpt={path}", "domain=false"))
    first = read_config(released / "detectors" / "lite")
    assert read_config(again) == first
    other = checkpoint(tmp_path / "other.ckpt", name="timm", backbone="test_efficientnet", image_size=80)
    with pytest.raises(UserError, match="was measured with other weights; leave it out to measure these"):
        release(_config(tmp_path, measured, f"ckpt={other}", "tensors=float32", "overwrite=true"))
    assert read_config(again) == first
    earlier = Path(measured.removeprefix("measured=")).read_text().replace('"images"', '"pictures"')
    (tmp_path / "earlier.json").write_text(earlier)
    with pytest.raises(UserError, match="has no 'images', because another version wrote it; leave it out"):
        release(_config(tmp_path, f"measured={tmp_path}/earlier.json", f"ckpt={path}", "overwrite=true"))
    (tmp_path / "mine.json").write_text("{}")
    with pytest.raises(UserError, match=r"was not written by addnet release"):
        release(_config(tmp_path, f"measured={tmp_path}/mine.json", f"ckpt={path}", "overwrite=true"))


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        ([], "no test data are named"),
        (["data.data_dir=x", "card=gone.md"], r"gone\.md cannot be read: No such file"),
        (["data.data_dir=x", "real={portraits: gone}"], "gone: no such file or folder"),
    ],
)
def test_mistakes_are_answered_before_any_work(path, tmp_path, monkeypatch, overrides, said):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=said):
        release(_config(tmp_path, f"ckpt={path}", *overrides))
    assert not list(Path().iterdir())


def test_files_without_a_verdict_have_no_part_in_the_rate():
    verdicts = ["real", "real", "fake", "no face", "unusable"]
    answers = [Answer(verdict, None, None, 0.5, "a") for verdict in verdicts]
    answers.append(Answer("no face", None, None, 0.5, "b", kind="video"))
    images, videos = of_real_files("mine", answers, class_names=("real", "fake"))
    assert (images["errors"]["real_called_fake"]["count"], images["errors"]["real_called_fake"]["of"]) == (1, 3)
    assert images["without_verdict"] == 2
    assert videos == {
        "name": "mine",
        "level": "video",
        "errors": dict.fromkeys(images["errors"]),
        "without_verdict": 1,
    }
