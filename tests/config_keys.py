"""Which command has a key, and what words without one are."""

from functools import cache
from pathlib import Path

from addnet import adopt, predict
from addnet.case import __main__ as case
from addnet.commands import COMMANDS
from addnet.config import config_dir
from addnet.data import __main__ as data
from addnet.mistyped import known_keys

# commands that take some
WORDS = {"predict": predict.arguments_of, "adopt": adopt.arguments_of, "case verify": case.arguments_of}
WORDS |= {"data explain-names": data.folder_of}
CONFIGS = dict.fromkeys(said.config for said in COMMANDS.values() if said.config)


@cache
def known(config):
    """Keys of a config, each with the file of a group that it needs or None."""
    return known_keys(config_name=config)


def homes(key):
    """Configs that have a key, each with the file of a group that brings it or None."""
    name = key.lstrip("+")
    group = "/" in name or Path(config_dir(), name).is_dir()
    for config in CONFIGS:
        if name.startswith("hydra") or (group and name in known(config)):
            yield config, None
        elif name in known(config):
            yield config, known(config)[name]
        elif name.startswith(("data.options.", "model.options.")) and name.rsplit(".", 1)[0] in known(config):
            yield config, known(config)[name.rsplit(".", 1)[0]]
