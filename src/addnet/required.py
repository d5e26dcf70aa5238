"""Required settings of a command, marked `???` in its file in `configs/`, and the message if one is missing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import MissingMandatoryValue

from addnet.commands import COMMANDS, typed_as
from addnet.config_help import REQUIRED, comments_of, own_values
from addnet.errors import UserError


@contextmanager
def given(cfg: DictConfig, command: str, choices: Mapping[str, str | None]) -> Iterator[None]:
    """Checks that all required settings of a command are given, and reports any other that the block finds missing.

    Args:
        cfg: The composed config of the command.
        command: Name of the command, such as `case verify`.
        choices: The file chosen in each group.

    Raises:
        UserError: A setting is missing, null or empty; the message explains it and has an example.
    """
    if missing := [key for key in required_keys(command) if _is_empty(cfg, key)]:
        raise not_given(missing, command, choices)
    try:
        yield
    except MissingMandatoryValue as error:
        raise not_given([str(error.full_key)], command, choices) from error


def required_keys(command: str) -> list[str]:
    """Returns the settings that are `???` in the YAML file of a command, in order.

    Example:
        >>> required_keys("adopt")
        ['detector', 'input']
    """
    return [key for key, value in own_values(COMMANDS[command].config).items() if value == REQUIRED]


def not_given(keys: Sequence[str], command: str, choices: Mapping[str, str | None]) -> UserError:
    """Makes the error for missing settings.

    Args:
        keys: The missing settings.
        command: Name of the command; its first example has every setting that its own file requires.
        choices: The file chosen in each group.
    """
    comments = comments_of(COMMANDS[command].config, choices).beside
    ours = set(keys) <= set(required_keys(command))
    example = f"For example:\n  {typed_as(command)} {COMMANDS[command].examples[0][0]}" if ours else ""
    if len(keys) == 1:
        what = f": {comments[keys[0]]}" if keys[0] in comments else ""
        return UserError(f"{keys[0]} is not set{what}. {example}".strip())
    lines = "".join(f"  {key:{max(map(len, keys))}}  {comments.get(key, '')}".rstrip() + "\n" for key in keys)
    return UserError(f"{', '.join(keys[:-1])} and {keys[-1]} are not set:\n{lines}{example}")


def _is_empty(cfg: DictConfig, key: str) -> bool:
    return OmegaConf.is_missing(cfg, key) or cfg[key] is None or cfg[key] in ("", [])
