"""Networks of timm by name: checked names, options and sizes of images, in words."""

from __future__ import annotations

import dataclasses
import difflib
import inspect
import re
from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache
from typing import Any, get_args

import timm
import torch
from torch import nn

from addnet.errors import UserError, shortened, suggestion
from addnet.signatures import check_arguments

# arguments of timm's that this package gives itself, and what a user types instead
_OURS = {
    "drop_rate": "use model.drop_rate",
    "in_chans": "it follows from the images and from model.front",
    "num_classes": "use model.num_classes",
}
_NOT_PLAIN = {"self", "cfg", "args", "kwargs", "device", "dtype"}
_STEPS = (14, 16, 28, 32, 56, 64, 112, 224)  # patches, strides and windows of the networks there are
_TRIES = 16


def require_backbone(name: object) -> str:
    """Returns `name` if timm knows it, with or without the tag of its weights.

    Raises:
        UserError: It doesn't; the message has the nearest names.
    """
    if not isinstance(name, str) or not name or name == "???":
        raise UserError("model.backbone is missing; name a network of timm, such as model.backbone=convnext_atto")
    if not timm.is_model(name):  # a hub's or a folder's name is none: nothing is fetched by it
        near = nearest(name)
        told = f"the nearest names are {', '.join(near)}" if near else "`timm.list_models()` in Python has them all"
        raise UserError(f"model.backbone={name!r} is not a network of timm {timm.__version__}; {told}")
    architecture, _, tag = name.partition(".")
    if tag and name not in (tagged := timm.list_pretrained(f"{architecture}.*")):
        raise UserError(
            f"model.backbone={name!r} names weights that timm {timm.__version__} doesn't know; there are "
            f"{shortened(tagged) or 'none of this network'}"
        )
    return name


def nearest(name: str, *, most: int = 5) -> list[str]:
    """The names of timm's that are nearest to one that it doesn't know: by its own search, else by their letters.

    Example:
        >>> nearest("resnet_50")[0]
        'resnet50'
    """
    parts = re.findall(r"[a-z]+|\d+", name.lower())
    found = timm.list_models("*" + "*".join(parts) + "*") if parts else []
    if found:
        return sorted(found, key=lambda each: (-difflib.SequenceMatcher(None, name, each).ratio(), each))[:most]
    return difflib.get_close_matches(name, timm.list_models(), n=most)


def backbone_options(
    name: str, options: Mapping[str, Any] | None = None, *, image_size: int | None = None
) -> dict[str, Any]:
    """What a network of timm is made with beside its name, number of classes and channels.

    Args:
        name: As timm knows it.
        options: Given by the user, as `model.options`.
        image_size: Side of the images in pixels, for networks that are made for one size; others don't look at it.

    Raises:
        UserError: The name or an option is not valid.
    """
    require_backbone(name)
    made = dict(options or {})
    if not made and not image_size:
        return made
    network = _class(name)
    check_options(network, made, name=name)
    if image_size and made.get("img_size", image_size) != image_size:
        raise UserError(
            f"model.options.img_size={made['img_size']} does not go with data.image_size={image_size}; use that alone"
        )
    return {**made, "img_size": image_size} if image_size and "img_size" in _parameters(network) else made


def create_backbone(name: str, made: Mapping[str, Any], *, in_chans: int = 3) -> nn.Module:
    """A network of timm with random weights and without classifier.

    Args:
        name: As timm knows it.
        made: From `backbone_options`.
        in_chans: Channels of the image.

    Raises:
        UserError: timm can't build it so.
    """
    try:
        net: nn.Module = timm.create_model(name, num_classes=0, in_chans=in_chans, **made)
    except Exception as error:  # timm's networks promise no class of errors
        raise UserError(f"model.backbone={name} can't be built with {_told(made)}: {reason(error)}") from error
    return net


@lru_cache(maxsize=64)
def _class(name: str) -> type[nn.Module]:
    with torch.device("meta"):
        return type(timm.create_model(name, num_classes=0))


def check_options(network: type[nn.Module], options: Mapping[str, Any], *, name: str) -> None:
    """Compares options with what a network of timm takes.

    Args:
        network: Its class.
        options: Given by the user, as `model.options`.
        name: Of the network, for messages.

    Raises:
        UserError: An option is unknown, given elsewhere, or its value of another kind.
    """
    valid = sorted({*_plain_names(network)} - {*_OURS, *_NOT_PLAIN})
    for option in options:
        if option in _OURS:
            raise UserError(f"model.options.{option} is not an option here: {_OURS[option]}")
        if option not in valid:
            raise UserError(
                f"model.options.{option} is not an option of {name}; it takes: {', '.join(valid)}."
                f"{suggestion(option, valid)}"
            )
    check_arguments(network, options, prefix="model.options.")


def _plain_names(network: type[nn.Module]) -> Iterator[str]:
    """Names of what a class takes, those of its `cfg` included where further arguments are laid over that."""
    parameters = _parameters(network)
    yield from parameters
    if "kwargs" in parameters and "cfg" in parameters:
        annotation = parameters["cfg"].annotation
        for kind in get_args(annotation) or (annotation,):
            if dataclasses.is_dataclass(kind):
                yield from (field.name for field in dataclasses.fields(kind))


def _parameters(network: type[nn.Module]) -> dict[str, inspect.Parameter]:
    """What a class takes; those of its base as well where it hands on what it doesn't know."""
    found: dict[str, inspect.Parameter] = {}
    for each in network.__mro__[: -len(nn.Module.__mro__)]:
        parameters = inspect.signature(each).parameters
        found = {**parameters, **found}
        if not any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters.values()):
            break
    return found


def require_size(name: str, size: int, fits: Callable[[int], str | None], *, own: int) -> None:
    """Checks that a network can be made for images of a size.

    Args:
        name: Of the network, for the message.
        size: Side of the images in pixels.
        fits: Tries a size; returns what the network has against it, in words where it has some, or None.
        own: The side that it was made for.

    Raises:
        UserError: It can't; the message has the nearest sizes that fit.
    """
    objection = fits(size)
    if objection is None:
        return
    multiples = {max(step, side) for step in _STEPS for side in (size // step * step, -(-size // step) * step)}
    valid: list[int] = []
    for side in sorted(multiples - {size}, key=lambda side: (abs(side - size), side))[:_TRIES]:
        answered = any((known < size) == (side < size) for known in valid)  # one that is smaller, one that is larger
        if not answered and fits(side) is None:
            valid.append(side)
    told = " or ".join(f"data.image_size={side}" for side in sorted({*valid} or {own}))
    why = f" ({objection})" if objection else ""
    raise UserError(f"data.image_size={size} does not fit model.backbone={name}{why}; use {told}")


def _told(options: Mapping[str, Any]) -> str:
    return ", ".join(f"{key}={value!r}" for key, value in options.items()) or "its own options"


def reason(error: Exception) -> str:
    """The first line of what an error says."""
    return (str(error).splitlines() or [""])[0] or type(error).__name__
