"""What a command can't do without is `???` in its config, and answered in words, by one place, where it isn't given."""

import shlex

import pytest
from omegaconf import OmegaConf
from omegaconf.errors import MissingMandatoryValue

from addnet.case.__main__ import main as case
from addnet.commands import COMMANDS, typed_as
from addnet.config import compose, plain
from addnet.config_help import comments_of, help_text
from addnet.errors import UserError
from addnet.models.__main__ import main as models
from addnet.overrides import for_hydra
from addnet.required import given, required_keys
from addnet.training.run_folder import config_tree, write_run_folder
from addnet.untrusted.secrets import masked
from config_keys import WORDS
from trainings import ended, launch

REQUIRED = {
    "predict": ["input"],
    "case verify": ["case"],
    "adopt": ["detector", "input"],
    "release": ["ckpt", "output"],
}


def _asked(command, *overrides):
    """What is said where a command gets these overrides; empty where nothing is missing."""
    try:
        with given(compose(overrides, config_name=COMMANDS[command].config), command, {}):
            return ""
    except UserError as error:
        return str(error)


def test_the_commands_that_need_settings_are_these():
    found = {name: required_keys(name) for name, said in COMMANDS.items() if said.config}
    assert {name: keys for name, keys in found.items() if keys} == REQUIRED


@pytest.mark.parametrize("command", REQUIRED)
def test_what_is_missing_is_told_with_what_it_is_and_an_example_that_has_it(command):
    comments = comments_of(COMMANDS[command].config, {}).beside
    words = COMMANDS[command].examples[0][0]
    for empty in ("???", "null", "''"):
        said = _asked(command, *(f"{key}={empty}" for key in REQUIRED[command]))
        assert said.startswith(" and ".join(REQUIRED[command]))
        assert f"{typed_as(command)} {words}" in said
        assert all(comments[key] in said for key in REQUIRED[command])
    typed = WORDS.get(command, list)(shlex.split(words))
    assert not _asked(command, *map(for_hydra, typed))


def test_one_that_is_missing_is_told_alone():
    assert _asked("release", "ckpt=best.ckpt").startswith("output is not set: folder of the release")
    assert _asked("predict", "input=[]").startswith("input is not set: an image, a video")


def test_a_key_of_a_group_that_turns_out_missing_is_answered_too(capsys):
    assert models(["model=timm"]) == 2
    assert capsys.readouterr().err.startswith(
        "model.backbone is not set: a name of timm, such as tf_efficientnet_lite0"
    )


def test_a_command_of_hydra_ends_in_these_words_without_a_run_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    said = ended(launch("output=x", module="addnet.release"), code=1)
    assert "ckpt is not set: the checkpoint to release. For example:\n" in said
    assert "Traceback" not in said
    assert not [*tmp_path.glob("outputs/*/*")]


def test_a_command_without_a_run_folder_ends_in_them(capsys):
    assert case(["verify"]) == 2
    assert capsys.readouterr().err.startswith("case is not set: the folder that `addnet predict case=FOLDER` wrote.")


@pytest.mark.parametrize("command", REQUIRED)
def test_help_says_which_are_required(command):
    shown = help_text(command)
    for key in REQUIRED[command]:
        (line,) = [line for line in shown.splitlines() if line.startswith(f"  {key}: ???")]
        assert "# required: " in line


@pytest.mark.parametrize("command", REQUIRED)
def test_a_whole_config_is_resolved_and_written_down_without_them(command, tmp_path):
    cfg = compose(config_name=COMMANDS[command].config)
    OmegaConf.resolve(cfg)
    assert [key for key, value in masked(cfg).items() if value == "???"] == REQUIRED[command]
    config_tree(cfg)
    write_run_folder(tmp_path, cfg, data_fingerprint="")
    assert f"{REQUIRED[command][0]}: ???" in (tmp_path / "config.yaml").read_text()


def test_what_is_missing_reaches_no_code_as_a_text():
    with pytest.raises(MissingMandatoryValue, match=r"data\.data_dir"):
        plain(compose(["data.data_dir=???"]).data)
