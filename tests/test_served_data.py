"""What training asks of a data module is said in one place, and answered by the one there is."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

import tiny
from addnet.data import DeepfakeDataModule
from addnet.errors import UserError
from addnet.training.served_data import ResumableData, ServedData, resumable_data, served_data


def test_the_data_module_answers_all_that_training_asks(tmp_path):
    module = DeepfakeDataModule(str(tmp_path))
    assert isinstance(module, ServedData)
    assert isinstance(module, ResumableData)
    assert served_data(SimpleNamespace(datamodule=module)) is module
    assert module.splits == {}
    assert module.fingerprint == ""


def test_loaders_alone_train_and_are_asked_nothing():
    for trainer in (SimpleNamespace(), SimpleNamespace(datamodule=None), SimpleNamespace(datamodule=tiny.Loaders())):
        assert served_data(trainer) is None
        with pytest.raises(UserError, match=r"callbacks\.resume_state needs a data module"):
            resumable_data(trainer)
