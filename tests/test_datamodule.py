"""The data module serves documented batches, and survives bad files without losing good ones."""

import csv
import shutil

import cv2
import numpy as np
import pytest
import torch

from addnet.data import DeepfakeDataModule
from addnet.errors import UserError
from addnet.faces import AttentionMask

pytestmark = pytest.mark.slow


def _module(data_dir, index_dir, **arguments):
    defaults = {"image_size": 64, "batch_size": 4, "num_workers": 0, "val_fraction": 0.2}
    module = DeepfakeDataModule(str(data_dir), index_dir=str(index_dir), **(defaults | arguments))
    module.prepare_data()
    module.setup()
    return module


@pytest.mark.parametrize("split", ["train", "val", "test"])
def test_batches_have_the_documented_shapes_and_ranges(data_dir, index_dir, split):
    module = _module(data_dir, index_dir)
    batch = next(iter(getattr(module, f"{split}_dataloader")()))
    assert batch["image"].shape == (4, 3, 64, 64)
    assert batch["mask"].shape == (4, 1, 64, 64)
    assert batch["image"].dtype == batch["mask"].dtype == torch.float32
    assert -1 <= batch["image"].min() < 0 < batch["image"].max() <= 1
    assert batch["mask"].min() >= 0
    assert batch["mask"].amax(dim=(1, 2, 3)).min() == 1
    assert batch["valid"].all()
    assert set(batch["label"].tolist()) <= {0, 1}
    for path, label, video in zip(batch["path"], batch["label"], batch["video_id"], strict=True):
        assert ("/fake/" in path) == bool(label)
        assert f"/{['real', 'fake'][label]}/" in video


@pytest.mark.parametrize("context", ["fork", "spawn"])
def test_workers_change_nothing(data_dir, index_dir, context):
    def epoch(workers):
        loader = _module(data_dir, index_dir, num_workers=workers).train_dataloader()
        if workers:
            loader.multiprocessing_context = context
        return torch.cat([batch["image"] for batch in loader])

    assert (epoch(0) == epoch(2)).all()


def test_finding_landmarks_while_loading_gives_the_same_samples(data_dir, index_dir, tmp_path):
    once = _module(data_dir, index_dir, limit_test=4).dataset("test")
    fly = _module(data_dir, tmp_path, limit_test=4, landmarks="on_the_fly").dataset("test")
    assert [r.path for r in once.records] == [r.path for r in fly.records]
    assert (once[0]["mask"] == fly[0]["mask"]).all()
    assert (once[0]["image"] == fly[0]["image"]).all()


def _spoil(data_dir, number):
    files = sorted((data_dir / "train" / "real").iterdir())[:number]
    for file in files:
        file.write_bytes(file.read_bytes()[:300])
    return files


def test_bad_files_are_left_out_listed_and_counted(own_data_dir, tmp_path):
    (bad,) = _spoil(own_data_dir, 1)
    module = _module(own_data_dir, tmp_path, max_bad_fraction=0.05)
    module.summary(tmp_path / "run")
    assert sum(len(split.records) for split in module.splits.values()) == 67
    (row,) = csv.DictReader((tmp_path / "run" / "skipped.csv").open())
    assert row["path"].endswith(bad.name)
    assert "damaged" in row["reason"]


def test_too_many_bad_files_stop_with_the_list(own_data_dir, tmp_path):
    bad = _spoil(own_data_dir, 3)
    with pytest.raises(UserError, match="3 of 68 images are unusable") as error:
        _module(own_data_dir, tmp_path)
    assert all(file.name in str(error.value) for file in bad)


def test_an_image_without_a_face_is_kept_with_a_mask_of_ones(own_data_dir, tmp_path):
    blank = own_data_dir / "test" / "real" / "q_1.png"
    cv2.imwrite(str(blank), np.full((112, 112, 3), 120, dtype=np.uint8))
    module = _module(own_data_dir, tmp_path)
    dataset = module.dataset("test")
    number = [record.path for record in dataset.records].index("test/real/q_1.png")
    assert dataset[number]["mask"].min() == 1
    assert [dataset[row]["face"] for row in (number, 0)] == [False, True]
    assert module.splits["test"].steps["none"] >= 1


def test_a_file_that_breaks_after_indexing_becomes_an_invalid_row(own_data_dir, tmp_path):
    dataset = _module(own_data_dir, tmp_path).dataset("test")
    (own_data_dir / dataset.records[2].path).unlink()
    assert not dataset[2]["valid"]
    assert dataset[2]["image"].shape == dataset[1]["image"].shape
    assert dataset[1]["valid"]


@pytest.mark.parametrize("options", [{}, {"only_test": True}, {"limit_test": 4}], ids=str)
def test_a_test_set_of_one_class_is_taken_as_it_is(own_data_dir, tmp_path, caplog, options):
    shutil.rmtree(own_data_dir / "test" / "real")
    module = _module(own_data_dir, tmp_path, **options)
    assert set(module.splits["test"].records.labels.tolist()) == {1}
    assert "test has only fake images: accuracy refers to these alone" in caplog.text


def test_training_and_validation_need_both_classes_whether_files_are_unusable_or_not(own_data_dir, tmp_path):
    shutil.rmtree(own_data_dir / "train" / "real")
    with pytest.raises(UserError) as error:
        _module(own_data_dir, tmp_path)
    assert "unusable" not in str(error.value)


def test_prediction_needs_no_labels(data_dir, index_dir):
    module = DeepfakeDataModule(
        predict_dir=str(data_dir / "test"), index_dir=str(index_dir), image_size=64, num_workers=0
    )
    module.prepare_data()
    module.setup()
    batches = list(module.predict_dataloader())
    assert sum(len(batch["path"]) for batch in batches) == 20
    assert {label for batch in batches for label in batch["label"].tolist()} == {-1}


def test_the_mask_of_the_config_is_the_mask_of_the_batch(data_dir, index_dir):
    module = _module(data_dir, index_dir, mask=AttentionMask(parts=()))
    assert next(iter(module.val_dataloader()))["mask"].min() == 1


def test_loss_weights_make_classes_count_alike(own_data_dir, tmp_path):
    for file in sorted((own_data_dir / "train" / "real").iterdir())[:12]:
        file.unlink()
    module = _module(own_data_dir, tmp_path, balance="loss_weight")
    labels = torch.tensor([record.label for record in module.splits["train"].records])
    real, fake = module.class_weights()
    assert real * (labels == 0).sum() == pytest.approx(fake * (labels == 1).sum())
    assert _module(own_data_dir, tmp_path).class_weights() is None


def test_the_fingerprint_tells_data_sets_apart(data_dir, own_data_dir, index_dir, tmp_path):
    first, again = _module(data_dir, index_dir).fingerprint, _module(own_data_dir, tmp_path).fingerprint
    assert first == again
    next((own_data_dir / "test" / "fake").iterdir()).unlink()
    assert _module(own_data_dir, tmp_path).fingerprint != first


@pytest.mark.parametrize(
    ("argument", "valid"),
    [({"balance": "some"}, "sampler"), ({"landmarks": "later"}, "on_the_fly"), ({"layout": "x"}, "folder")],
)
def test_wrong_choices_name_the_right_ones(argument, valid):
    with pytest.raises(UserError, match=valid):
        DeepfakeDataModule("somewhere", **argument)


def test_a_missing_data_dir_says_what_to_do():
    with pytest.raises(UserError, match="experiment=demo"):
        DeepfakeDataModule().prepare_data()
