"""Every logger gets the plots of the run folder, and one that fails stops no training."""

import io
import json
import logging
from importlib.util import find_spec

import numpy as np
import pytest
from PIL import Image
from pytorch_lightning.loggers import Logger

import trainings
from addnet.errors import UserError
from addnet.training.loggers import begun, close_loggers, known_state
from addnet.training.loggers.kinds import kind_of

pytestmark = pytest.mark.slow

TINY = ["model=timm", "model.backbone=test_efficientnet", "trainer.max_epochs=1"]


def _run(data_dir, root, *arguments, **how):
    return trainings.run(data_dir, root, *TINY, *arguments, **how)[0]


def _needs(package):
    return pytest.mark.skipif(not find_spec(package), reason=f"needs {package}, which is an extra")


def _plots(folder):
    return {file.stem: file for file in (folder / "plots").glob("*.png")}


class Failing(Logger):
    """A logger whose server is gone; counts how often it was asked."""

    name = version = "failing"

    def __init__(self):
        super().__init__()
        self.asked, self.down = 0, True

    def log_metrics(self, metrics, step=None):
        self.asked += 1
        if self.down:
            raise ConnectionError("no route to host")

    def log_hyperparams(self, params):
        self.asked += 1
        raise ConnectionError("no route to host")


def test_a_failing_logger_stops_no_training_and_is_left_alone_after_three_failures(data_dir, tmp_path):
    folder = _run(data_dir, tmp_path, "logger=csv", "+logger.mine={_target_:test_loggers.Failing}")
    said = (folder / "train.log").read_text()
    assert said.count("Failing failed (ConnectionError: no route to host)") == 3
    assert said.count("it gets nothing more") == 1
    assert json.loads((folder / "result.json").read_text())["status"] == "success"
    assert {"training_samples", "curves", "test_roc"} <= set(_plots(folder))
    assert trainings.rows(folder)


def test_failures_are_forgotten_once_a_metric_is_taken(caplog):
    logger = begun(Failing())
    for down in (True, True, False, True, True):
        logger.down = down
        logger.log_metrics({})
        logger.save()  # does nothing, and proves nothing
    assert "it gets nothing more" not in caplog.text
    logger.log_metrics({})
    assert caplog.text.count("it gets nothing more") == 1
    logger.log_metrics({})
    close_loggers([logger], status="failed")
    assert logger.asked == 6


def test_a_logger_that_cannot_begin_says_so_before_anything_is_trained():
    class Closed(Failing):
        @property
        def experiment(self):
            raise ConnectionError("no route to host\nin many lines")

    with pytest.raises(UserError, match=r"Closed can't begin a record \(ConnectionError: no route to host\); put that"):
        begun(Closed())


def test_a_class_of_ones_own_is_of_the_kind_of_its_base():
    class TensorBoardLogger(Logger):
        name = version = ""

        def log_metrics(self, metrics, step=None): ...

        def log_hyperparams(self, params): ...

    class Mine(TensorBoardLogger): ...

    assert kind_of(Mine()) is kind_of(TensorBoardLogger) is not kind_of(Failing())


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("WandbLogger", {"id": "a1b2"}),
        ("MLFlowLogger", {"run_id": "a1b2"}),
        ("CometLogger", {"resume": {"key": "a1b2", "run_dir": "run"}}),
        ("TensorBoardLogger", {}),
    ],
)
def test_a_resumed_run_continues_the_record_that_its_checkpoint_names(name, arguments):
    kind = kind_of(type(name, (), {}))
    assert kind.continuing(known_state({"key": "a1b2", "run_id": "../x"}), "run") == arguments


@_needs("tensorboard")
def test_tensorboard_gets_the_plots_of_the_run_folder_pixel_for_pixel(data_dir, tmp_path):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    folder = _run(data_dir, tmp_path, "logger=[csv,tensorboard]")
    assert "Logger failed" not in (folder / "train.log").read_text()
    events = EventAccumulator(str(folder / "tensorboard"), size_guidance={"images": 0, "tensors": 0}).Reload()
    plots, tags = _plots(folder), events.Tags()
    assert set(tags["images"]) == set(plots)
    for name, file in plots.items():
        shown = Image.open(io.BytesIO(events.Images(name)[-1].encoded_image_string))
        assert np.array_equal(np.asarray(shown), np.asarray(Image.open(file).convert("RGB"))), name
    assert {file.name for file in (folder / "reports").glob("*.txt")} <= {
        tag.removesuffix("/text_summary") for tag in tags["tensors"]
    }
    assert {"val/frame/auroc", "test/video/auroc", "train/frame/loss"} <= set(tags["scalars"])
    parameters = events.summary_metadata["_hparams_/session_start_info"].plugin_data.content
    assert b"model/backbone" in parameters
    assert b"test_efficientnet" in parameters


@_needs("wandb")
def test_weights_and_biases_gets_the_plots_counts_and_reports_of_the_run_folder(data_dir, tmp_path):
    folder = _run(data_dir, tmp_path, "logger=[csv,wandb]", "logger.wandb.offline=true")
    assert "Logger failed" not in (folder / "train.log").read_text()
    (files,) = folder.glob("wandb/offline-run-*/files")
    shown = {file.name.rsplit("_", 2)[0] for file in (files / "media" / "images").glob("*.png")}
    assert shown == set(_plots(folder))
    counts = {file.name.partition("_counts_table_")[0] for file in (files / "media" / "table").iterdir()}
    assert counts == {name for name in shown if name.endswith("confusion_matrix")}
    told = {file.name for file in (folder / "reports").iterdir() if file.suffix in (".txt", ".json")}
    assert {file.name for file in (files / "reports").iterdir()} == told


@_needs("wandb")
def test_without_a_server_weights_and_biases_keeps_the_run_here_and_says_so(tmp_path, monkeypatch, caplog):
    from addnet.training.loggers import WandbLogger

    monkeypatch.setenv("WANDB_BASE_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("WANDB_API_KEY", "a" * 40)
    monkeypatch.setenv("WANDB_SILENT", "true")
    with pytest.raises(UserError, match=r"logger\.wandb\.offline=false needs the server: Weights & Biases cannot be"):
        begun(WandbLogger("addnet", save_dir=str(tmp_path), offline=False))
    caplog.set_level(logging.WARNING)
    logger = begun(WandbLogger("addnet", save_dir=str(tmp_path)))
    logger.log_metrics({"loss": 0.5}, step=1)
    close_loggers([logger], status="success")
    assert "cannot be reached at http://127.0.0.1:9 (ConnectionError): the run is kept in" in caplog.text
    assert list(tmp_path.glob("wandb/offline-run-*/*.wandb"))
