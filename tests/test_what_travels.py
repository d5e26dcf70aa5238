"""What is given away tells how a network was trained, and nothing of the machine, its user or their secrets."""

import json
import os
from pathlib import Path

import pytest
import torch
import yaml
from omegaconf import OmegaConf

from addnet.config import compose
from addnet.errors import UserError
from addnet.inference.export.description import public_config
from addnet.sweeps.jobs import SweepJob
from addnet.training.callbacks import BestCheckpoint
from addnet.training.checkpoints import check_continues
from addnet.training.kept_config import earlier_config, kept_config
from addnet.training.run_folder import config_tree, provenance, write_run_folder
from addnet.untrusted.secrets import masked, relative, shown_command

SECRET = "s3cr3t-0f-mine"


@pytest.fixture(autouse=True)
def _environment(monkeypatch):
    monkeypatch.setenv("ADDNET_PRIVATE", SECRET)
    monkeypatch.setenv("ADDNET_RATE", "0.01")


def _config(run, *overrides):
    return compose([f"paths.output_dir={run}", "data.data_dir=faces", *overrides])


def test_a_value_of_the_environment_is_masked_wherever_it_was_passed_on():
    cfg = OmegaConf.create(
        {
            "a": {"key": "${oc.env:ADDNET_PRIVATE}", "rate": "${oc.decode:${oc.env:ADDNET_RATE}}"},
            "b": "${a.key}/x",
            "c": "${a}",
            "d": ["${b}", "${oc.env:ADDNET_NOWHERE,default}"],
            "e": "${oc.decode:'[${oc.env:ADDNET_PRIVATE}]'}",
        }
    )
    told = masked(cfg)
    assert SECRET not in json.dumps(told)
    assert told["b"] == "${oc.env:ADDNET_PRIVATE}/x"
    assert told["c"]["rate"] == 0.01
    assert told["d"] == ["${oc.env:ADDNET_PRIVATE}/x", "default"]
    assert cfg.b == f"{SECRET}/x"  # what the run itself uses


def test_passwords_are_masked_also_where_they_were_typed():
    cfg = OmegaConf.create({"logger": {"api_key": SECRET, "uri": f"https://me:{SECRET}@server/x"}})
    assert SECRET not in json.dumps(masked(cfg))
    home = Path.home()
    typed = [f"logger.x.token={SECRET}", f"logger.uri=https://me:{SECRET}@server", f"data.data_dir={home}/faces", "-m"]
    assert shown_command(["/opt/env/bin/python", "-m", "addnet.train"], typed) == (
        "python -m addnet.train 'logger.x.token=***' 'logger.uri=https://***@server' 'data.data_dir=~/faces' -m"
    )
    assert "bin/python" not in provenance("")["command"]


def test_paths_are_told_as_they_lie_to_the_run_and_never_with_a_home(monkeypatch):
    monkeypatch.setenv("HOME", "/home/me")
    assert relative("/home/me/data/x", Path("/home/me/runs/now")) == "../../data/x"
    assert relative("/home/me/data/x", Path("/scratch/run")) == "~/data/x"
    assert relative("/data/x", Path("/scratch/run")) == "../../data/x"


def test_a_checkpoint_keeps_what_trained_it_and_nothing_of_the_machine(tmp_path):
    run = tmp_path / "outputs" / "run"
    sets = "data.train=['dfd:/data/DFD','${oc.env:ADDNET_PRIVATE}/x']"
    cfg = compose([f"paths.output_dir={run}", sets, "tags=['${oc.env:ADDNET_PRIVATE}']", "logger=mlflow"])
    kept = kept_config(cfg, run)
    text = json.dumps(kept)
    assert SECRET not in text
    assert str(tmp_path) not in text
    assert not {"logger", "callbacks", "hydra"} & set(kept)
    assert kept["data"]["train"] == [f"dfd:{os.path.relpath('/data/DFD', run)}", "${oc.env:ADDNET_PRIVATE}/x"]
    assert kept["optimizer"]["lr"] == cfg.optimizer.lr
    assert public_config(kept)["data"]["train"][0] == "dfd:DFD"


def test_a_pattern_that_begins_like_a_path_stays_one(tmp_path):
    assert kept_config(_config(tmp_path, r"data.group_pattern='/real/(\d+)'"), tmp_path)["data"]["group_pattern"] == (
        r"/real/(\d+)"
    )


def test_the_run_folder_tells_how_to_repeat_it_without_secrets(tmp_path):
    cfg = _config(tmp_path, "logger.comet.workspace='${oc.env:ADDNET_PRIVATE}'", "++data.options.x='1e3'")
    write_run_folder(tmp_path, cfg, data_fingerprint="")
    for name in ("config.yaml", "config_tree.txt", "provenance.json"):
        assert SECRET not in (tmp_path / name).read_text()
    again = OmegaConf.load(tmp_path / "config.yaml")
    assert again.logger.comet.workspace == SECRET  # asked for where it is used
    assert again.data.options == {"x": "1e3"}
    assert yaml.safe_load((tmp_path / "config.yaml").read_text())["data"]["data_dir"] == "faces"
    assert config_tree(cfg)


def test_a_rate_out_of_the_environment_counts_on_a_resume(tmp_path, monkeypatch):
    rate = "optimizer.lr='${oc.decode:${oc.env:ADDNET_RATE}}'"
    before = kept_config(_config(tmp_path / "a", rate), tmp_path / "a")
    check_continues(before, kept_config(_config(tmp_path / "b", rate), tmp_path / "a"), path="last.ckpt")
    monkeypatch.setenv("ADDNET_RATE", "0.02")
    with pytest.raises(UserError, match=r"optimizer\.lr was 0\.01 and is 0\.02"):
        check_continues(before, kept_config(_config(tmp_path / "b", rate), tmp_path / "a"), path="last.ckpt")


def test_the_whole_config_of_earlier_checkpoints_is_compared_as_it_was(tmp_path, caplog):
    cfg = _config(tmp_path / "run", "data.data_dir=/data/faces", "trainer.devices=1")
    whole = OmegaConf.to_container(cfg, resolve=True)
    check_continues(earlier_config(whole, tmp_path / "run"), kept_config(cfg, tmp_path / "run"), path="last.ckpt")
    assert "settings differ" not in caplog.text


def _state(folder, **entries):
    best = BestCheckpoint(folder, monitor="val/frame/auroc", mode="max")
    return best.state_dict() | {"best_model_score": torch.tensor(0.5), "best_k_models": {}} | entries


@pytest.mark.parametrize("name", ["victim.txt", "../../../elsewhere/checkpoints/victim.ckpt"])
def test_a_checkpoint_can_t_have_other_files_taken_for_the_best_or_removed(tmp_path, name):
    folder = tmp_path / "outputs" / "run" / "checkpoints"
    for file in (folder / name, victim := Path(os.path.normpath(folder / name))):
        folder.mkdir(parents=True, exist_ok=True)
        file.resolve().parent.mkdir(parents=True, exist_ok=True)
        file.touch()
    for recorded, dirpath in (
        (name, ""),
        (str(victim), str(folder)),
        (f"{folder}/{name}", ""),
        (f"{folder}/{name}", "/"),
    ):
        best = BestCheckpoint(folder, monitor="val/frame/auroc", mode="max")
        best.load_state_dict(_state(folder, dirpath=dirpath, best_model_path=recorded, kth_best_model_path=recorded))
        assert best.lost
        assert not best.best_model_path
        assert not best.kth_best_model_path


def test_a_checkpoint_tells_of_its_best_without_places(tmp_path):
    folder = tmp_path / "outputs" / "run" / "checkpoints"
    best = BestCheckpoint(folder, monitor="val/frame/auroc", mode="max")
    best.best_model_path = best.kth_best_model_path = str(folder / "best.ckpt")
    best.best_k_models = {str(folder / "best.ckpt"): torch.tensor(0.5)}
    assert str(tmp_path) not in repr(best.state_dict())


@pytest.mark.parametrize("name", ["ADDNET_PRIVATE", "ADDNET_NOWHERE"])
def test_the_table_of_a_sweep_names_variables_and_tells_none(tmp_path, name):
    (tmp_path / "0").mkdir()
    (tmp_path / "0" / "config.yaml").write_text(f"model: {{name: '${{oc.env:{name}}}'}}\n")
    job = SweepJob("sweep", "0", tmp_path / "0", {}, None)
    assert job.value("model.name") == f"${{oc.env:{name}}}"
