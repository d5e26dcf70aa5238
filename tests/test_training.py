"""Real trainings, small: real Hydra, Lightning, dlib and Comet, in the process that a user would start."""

import json
import shlex
import signal
import sys
import zipfile
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import pytorch_lightning as pl
import torch

import trainings
import warm
from addnet.config import build, compose
from addnet.evaluate import evaluate
from addnet.inference.loading import load
from addnet.sweeps.draws import SCORES
from addnet.tested_on import arguments_of
from addnet.training import DeepfakeDetector
from trainings import NETWORK, SMALL, rows, wait_for

pytestmark = pytest.mark.slow

COMET = "logger.comet.offline=true"


def start(data_dir, root, *overrides):
    """Starts a training that logs to Comet's archive, whatever this machine has configured."""
    return trainings.start(data_dir, root, COMET, *overrides)


def run(data_dir, root, *overrides, code=0):
    """Runs it to the end; returns the run folder and what was printed."""
    return trainings.run(data_dir, root, COMET, *overrides, code=code)


RATE = "optimizer.lr=1e-2"
SECRET = "s3cr3t-0f-mine"


@pytest.fixture(scope="module")
def first(data_dir, tmp_path_factory):
    """Two epochs of the bandpass model, at a rate at which so few steps tell images apart; its folder and output."""
    root = tmp_path_factory.mktemp("first")
    words = ["model=bandpass", "trainer.max_epochs=2", RATE, "logger.comet.workspace=${oc.env:ADDNET_PRIVATE}"]
    return trainings.run(data_dir, root, COMET, *words, env={"ADDNET_PRIVATE": SECRET})


def _archive(folder):
    (file,) = (folder / "comet").glob("*.zip")
    with zipfile.ZipFile(file) as archive:
        lines = archive.read("messages.json").decode().splitlines()
    return [json.loads(line) for line in lines if line.strip()]


def test_a_run_folder_holds_what_was_promised(first):
    folder, output = first
    files = {str(path.relative_to(folder)) for path in folder.rglob("*")}
    expected = "config.yaml config_tree.txt provenance.json train.log checkpoints/best.ckpt checkpoints/last.ckpt"
    metrics = "training_samples curves bandpass_response bandpass_images test_roc val_frame_confusion_matrix"
    metrics += " test_frame_confusion_matrix test_video_confusion_matrix"
    assert set(expected.split()) | {f"plots/{name}.png" for name in metrics.split()} <= files
    assert "reports/test_frame_classification_report.txt" in files
    assert str(folder / "checkpoints" / "best.ckpt") in output
    told = json.loads((folder / "provenance.json").read_text())
    assert "-m addnet.train" in told["command"]
    assert len(told["data_fingerprint"]) == 64
    assert told["packages"]["pytorch-lightning"].startswith("2.6")


def test_no_file_of_a_run_holds_what_the_environment_gave_and_no_checkpoint_a_place(first, data_dir):
    folder, _ = first
    files = [file for file in folder.rglob("*") if file.is_file() and "comet" not in file.parts]
    assert not [file for file in files if SECRET.encode() in file.read_bytes()]
    for file in folder.glob("checkpoints/*.ckpt"):
        content = file.read_bytes()
        assert not [place for place in (folder, data_dir, sys.prefix) if str(place).encode() in content]
        assert b'Logger"' not in content
        assert b"addnet.training.loggers" not in content


def test_a_run_says_in_few_lines_what_matters(first):
    folder, output = first
    lines = output.splitlines()
    before = lines[: next(at for at, line in enumerate(lines) if line.startswith("epoch 1/2: "))]
    assert len(before) <= 15, before
    for start in ("train: ", "val: ", "test: ", "network: bandpass", "recipe: adam", "machine: ", f"folder: {folder}"):
        assert any(line.startswith(start) for line in before), start
    assert [line.split(":")[0] for line in lines if line.startswith("epoch ")] == ["epoch 1/2", "epoch 2/2"]
    assert "[INFO]" not in output
    assert "litlogger" not in output
    assert "_target_" not in output
    assert "[INFO]" in (folder / "train.log").read_text()


def test_every_epoch_logs_loss_and_accuracy_and_the_sigmas(first):
    told = rows(first[0])
    for name in (
        "train/frame/loss",
        "train/frame/accuracy",
        "val/frame/loss",
        "val/frame/accuracy",
        "val/frame/auroc",
    ):
        assert [row["epoch"] for row in told if row.get(name)] == ["0", "1"], name
    for name in ("bandpass/sigma_low", "bandpass/delta", "bandpass/sigma_high", "val/video/eer"):
        assert sum(bool(row.get(name)) for row in told) == 2, name
    assert sum(bool(row.get("test/video/auroc")) for row in told) == 1
    sigmas = [float(row["bandpass/sigma_low"]) for row in told if row.get("bandpass/sigma_low")]
    assert sigmas[0] != sigmas[1]


def test_the_comet_archive_opens_and_holds_everything(first):
    messages = _archive(first[0])
    text = json.dumps(messages)
    kinds = {message["type"] for message in messages}
    assert {"metric_msg", "parameter_msg", "file_upload"} <= kinds
    for name in (
        "train/frame/loss",
        "val/frame/auroc",
        "test/video/auroc",
        "bandpass/sigma_high",
        "model|kernel_size",
    ):
        assert name in text, name
    uploads = [message["payload"] for message in messages if message["type"] == "file_upload"]
    assert any(upload["upload_type"] == "confusion-matrix" for upload in uploads)
    assert "test_frame_classification_report.txt" in text
    images = [upload["additional_params"]["figName"] for upload in uploads if upload["upload_type"] == "visualization"]
    assert "bandpass_images" in images
    assert sorted(images) == sorted(set(images))


def test_comet_is_told_of_a_run_once_and_by_a_telling_name(first):
    messages = [message["payload"] for message in _archive(first[0])]
    told = [payload["param"]["paramName"] for payload in messages if "param" in payload]
    assert {"model|name", "parameters/total", "data/train/images", "data/val/fake", "mask|eyes"} <= set(told), told
    assert not [name for name in told if name.startswith(("data|mask|", "data|augment|", "data|prepare|", "logger"))]
    names = [payload["value"] for payload in messages if payload.get("key") == "Name"]
    assert names == ["bandpass faces train"]


def test_a_checkpoint_alone_reproduces_the_test_metrics(first, data_dir, index_dir):
    folder, _ = first
    detector = DeepfakeDetector.load_from_checkpoint(folder / "checkpoints" / "best.ckpt", weights_only=True)
    overrides = [f"data.data_dir={data_dir}", f"data.index_dir={index_dir}", *SMALL]
    datamodule = build(compose([o for o in overrides if o.startswith("data.")]).data)
    trainer = pl.Trainer(accelerator="cpu", logger=False, enable_progress_bar=False, enable_checkpointing=False)
    (metrics,) = trainer.test(detector, datamodule, verbose=False)
    told = json.loads((folder / "reports" / "test_metrics.json").read_text())
    assert set(told) == set(metrics)
    for name, value in metrics.items():
        assert value == pytest.approx(told[name], abs=1e-6), name


def test_the_scores_that_a_training_leaves_are_those_of_its_test(first):
    from sklearn.metrics import roc_auc_score

    folder, _ = first
    scored = pq.read_table(folder / SCORES).to_pydict()
    told = json.loads((folder / "reports" / "test_metrics.json").read_text())
    assert roc_auc_score(scored["label"], scored["score"]) == pytest.approx(told["test/frame/auroc"], abs=1e-6)
    assert len(set(scored["source"])) < len(scored["source"]) == 20


def test_evaluation_reproduces_the_run_s_own_test(first, tmp_path):
    folder, _ = first
    best = folder / "checkpoints" / "best.ckpt"
    where = [
        f"ckpt={best}",
        f"paths.output_dir={tmp_path}",
        "data.num_workers=0",
        *shlex.split(arguments_of(load(best))),
    ]
    numbers = evaluate(compose([*where, "resamples=1", "mistakes=0", "device=cpu"], config_name="evaluate"))
    (about,) = numbers["checkpoints"].values()
    own = json.loads((folder / "reports" / "test_metrics.json").read_text())
    for level in ("frame", "video"):
        found = about["sets"]["faces"]["levels"][level]
        metrics = found["metrics"] | found["called"]["half"]["metrics"]
        for name in ("auroc", "ap", "eer", "accuracy", "balanced_accuracy", "f1", "log_loss", "paired_accuracy"):
            assert metrics[name]["value"] == pytest.approx(own[f"test/{level}/{name}"], abs=1e-6), name


def test_a_checkpoint_is_plain_and_knows_its_preprocessing(first):
    checkpoint = torch.load(first[0] / "checkpoints" / "last.ckpt", weights_only=True)
    assert checkpoint["addnet"]["class_names"] == ["real", "fake"]
    assert checkpoint["addnet"]["preprocessing"]["image_size"] == 64
    assert checkpoint["addnet"]["preprocessing"]["mask"]["eyes"] == "joint"
    assert checkpoint["hyper_parameters"]["model"]["kernel_size"] == 31
    assert not any(key.startswith("net._orig_mod") for key in checkpoint["state_dict"])


def test_two_processes_leave_one_run(data_dir, tmp_path):
    folder, output = run(data_dir, tmp_path, "model=bandpass", "trainer.devices=2", "trainer.max_epochs=1")
    assert len(list((folder / "comet").glob("*.zip"))) == 1
    assert {file.name for file in (folder / "checkpoints").iterdir()} == {"best.ckpt", "last.ckpt"}
    assert len(list(folder.rglob("config.yaml"))) == 2  # resolved, and Hydra's own
    assert output.count("Comet archive: send it") == 1
    alone = DeepfakeDetector.load_from_checkpoint(folder / "checkpoints" / "best.ckpt", weights_only=True)
    cfg = compose([f"data.data_dir={data_dir}", f"data.index_dir={data_dir.parent}/index", *SMALL])
    trainer = pl.Trainer(accelerator="cpu", logger=False, enable_progress_bar=False, enable_checkpointing=False)
    (metrics,) = trainer.test(alone, build(cfg.data), verbose=False)
    told = json.loads((folder / "reports" / "test_metrics.json").read_text())
    for name, value in metrics.items():
        assert value == pytest.approx(told[name], abs=1e-6), name


def test_an_index_replaces_dlib_and_comet_is_imported_only_where_it_logs(first, data_dir, tmp_path):
    code = "import sys; sys.modules['dlib'] = sys.modules['comet_ml'] = None; from addnet.train import main; main()"
    arguments = [*SMALL, *NETWORK, "logger=none", "trainer.max_steps=1", "test=false"]
    paths = [f"data.data_dir={data_dir}", f"paths.output_root={tmp_path}", f"paths.index_dir={data_dir.parent}/index"]
    command = [sys.executable, "-c", code, *arguments, *paths]
    assert "0 images examined" in warm.run(command)


def test_a_trial_run_leaves_no_experiment(data_dir, tmp_path):
    folder, _ = run(data_dir, tmp_path, "trainer.fast_dev_run=true")
    assert not (folder / "comet").exists()
    assert not (folder / "checkpoints").exists()


def test_a_loss_that_is_no_number_stops_with_the_images_and_a_whole_archive(data_dir, tmp_path):
    folder, output = run(data_dir, tmp_path, "optimizer.lr=1e30", "trainer.max_epochs=3", code=1)
    assert "the loss became" in output
    assert "train/real/p" in output or "train/fake/p" in output
    assert "Traceback" not in output
    assert "train/step/loss" in json.dumps(_archive(folder))


def test_ctrl_c_keeps_the_last_epoch_and_says_how_to_go_on(data_dir, tmp_path):
    process = start(data_dir, tmp_path, "trainer.max_epochs=500", "callbacks.early_stopping=null")
    (last,) = wait_for(lambda: list(Path(tmp_path).glob("train/*/checkpoints/last.ckpt")), process)
    process.send_signal(signal.SIGINT)
    output, _ = process.communicate(timeout=120)
    assert process.returncode == 130
    assert f"continue with ckpt_path={last}" in output
    assert "Traceback" not in output
    torch.load(last, weights_only=True)
    assert (last.parents[1] / "plots" / "curves.png").is_file()
    assert _archive(last.parents[1])


def test_a_wrong_checkpoint_stops_before_anything_is_made(first, data_dir, tmp_path):
    best = first[0] / "checkpoints" / "best.ckpt"
    folder, output = run(data_dir, tmp_path, f"ckpt_path={best}", "model=addnet", RATE, code=1)
    assert "net.bandpass.raw_sigma_low" in output
    assert folder is None


def test_without_network_pretrained_weights_are_refused_in_a_sentence(data_dir, tmp_path):
    _, output = run(data_dir, tmp_path, "model.pretrained=true", "model.weights=nowhere.safetensors", code=1)
    assert "nowhere.safetensors" in output
    assert "Traceback" not in output
