"""One image is enough: for a batch, a validation, a test, a process; or it is said beforehand why not."""

import pytest
import torch
from torch.utils.data import DataLoader

from addnet.errors import UserError
from addnet.evaluation import assess, binary_metrics, by_video, decide
from addnet.evaluation.scored import ScoredSet
from addnet.models import MODELS, create_model
from addnet.training import DeepfakeDetector
from addnet.training.batches import check_single_rows
from addnet.training.scores import ScoreCollector
from tiny import Images, TinyNet, detector, fit


@pytest.fixture(autouse=True)
def _tiny(monkeypatch):
    monkeypatch.setitem(MODELS, "tiny", TinyNet)


def test_batches_of_one_train(tmp_path):
    trainer = fit(detector(), rows=4, batch_size=1, max_epochs=1, default_root_dir=tmp_path)
    assert trainer.global_step == 4
    assert 0 <= float(trainer.callback_metrics["val/video/auroc"]) <= 1


@pytest.mark.parametrize("rows", [1, 2])
def test_so_few_images_are_validated_and_tested(tmp_path, rows):
    trainer = fit(detector(), rows=4, max_epochs=1, default_root_dir=tmp_path)
    for run in (trainer.validate, trainer.test):
        (metrics,) = run(trainer.lightning_module, DataLoader(Images(rows)), verbose=False)
        (loss,) = (value for name, value in metrics.items() if name.endswith("frame/loss"))
        assert loss == pytest.approx(next(v for k, v in metrics.items() if k.endswith("frame/log_loss")), abs=1e-5)


def test_a_single_row_keeps_its_dimension():
    collector = ScoreCollector()
    collector.update(torch.zeros(1, 2), torch.tensor([1]), torch.tensor([0]), torch.tensor([True]), ["a.png"])
    scores = collector.scores()
    assert all(part.shape == (1,) for part in scores if part is not None)
    assert by_video(scores).probabilities.tolist() == [0.5]
    assert binary_metrics(*by_video(scores)[:2])["accuracy"] == 0
    assert decide(scores) is None


def test_a_data_set_of_one_image_is_assessed():
    one = ScoredSet("one", [0.7], [1], [0], ["a.png"], ["a"])
    levels = assess({"a": {"one": one}}, {}, resamples=3)["checkpoints"]["a"]["sets"]["one"]["levels"]
    assert {level["called"]["chosen"]["metrics"]["accuracy"]["value"] for level in levels.values()} == {1.0}


@pytest.mark.parametrize("name", ["addnet", "bandpass"])
def test_images_too_small_for_batches_of_one_are_refused_beforehand(name):
    model = {"name": name}
    with pytest.raises(UserError, match=r"batch_size=1 .*image_size=32: .*; use data.batch_size=2 or larger"):
        check_single_rows(model, 32)
    check_single_rows(model, 64)
    module = DeepfakeDetector({"name": "tiny"}, preprocessing={"image_size": 7})
    module.check_batch_size(2)
    with pytest.raises(UserError, match=r"backbone\.4"):
        module.check_batch_size(1)


def test_what_is_refused_would_fail_and_what_is_not_trains():
    net = create_model("addnet", pretrained=False).train()
    with pytest.raises(ValueError, match="more than 1 value per channel"):
        net(torch.rand(1, 3, 32, 32), torch.ones(1, 1, 32, 32))
    net(torch.rand(1, 3, 64, 64), torch.ones(1, 1, 64, 64))
