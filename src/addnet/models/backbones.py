"""Networks of timm by name: checks names, options and image sizes, with messages that say what is possible."""

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

# arguments of timm that this package sets itself, and what a user sets instead
_OURS = {
    "drop_rate": "use model.drop_rate",
    "in_chans": "it follows from the images and from model.front",
    "num_classes": "use model.num_classes",
}
_NOT_PLAIN = {"self", "cfg", "args", "kwargs", "device", "dtype"}
_STEPS = (14, 16, 28, 32, 56, 64, 112, 224)  # patch sizes, strides and windows of timm's networks, in pixels
_TRIES = 16


def require_backbone(name: object) -> str:
    """Returns `name` if timm knows it, with or without the tag of its weights.

    Raises:
        UserError: timm doesn't know it; the message lists the nearest names.
    """
    if not isinstance(name, str) or not name or name == "???":
        raise UserError("model.backbone is missing; name a network of timm, such as model.backbone=convnext_atto")
    if not timm.is_model(name):  # names of hubs or folders are refused too, so that nothing is fetched by name
        near = nearest(name)
        remedy = f"the nearest names are {', '.join(near)}" if near else "`timm.list_models()` in Python lists them all"
        raise UserError(f"model.backbone={name!r} is not a network of timm {timm.__version__}; {remedy}")
    architecture, _, tag = name.partition(".")
    if tag and name not in (tagged := timm.list_pretrained(f"{architecture}.*")):
        raise UserError(
            f"model.backbone={name!r} names weights that timm {timm.__version__} doesn't know; it has "
            f"{shortened(tagged) or 'none for this network'}"
        )
    return name


def nearest(name: str, *, most: int = 5) -> list[str]:
    """Returns the names of timm's networks nearest to an unknown one: by timm's search, otherwise by their letters.

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
    """Returns the arguments of a network of timm other than its name, number of classes and channels.

    Args:
        name: The network's name in timm.
        options: The user's options, `model.options`.
        image_size: Side of the images in pixels, for networks built for a fixed size; others ignore it.

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
            f"model.options.img_size={made['img_size']} can't be combined with data.image_size={image_size}; "
            "set only data.image_size"
        )
    return {**made, "img_size": image_size} if image_size and "img_size" in _parameters(network) else made


def create_backbone(name: str, made: Mapping[str, Any], *, in_chans: int = 3) -> nn.Module:
    """Builds a network of timm with random weights and without a classifier.

    Args:
        name: The network's name in timm.
        made: Arguments from `backbone_options`.
        in_chans: Channels of the image.

    Raises:
        UserError: timm can't build it with these arguments.
    """
    try:
        net: nn.Module = timm.create_model(name, num_classes=0, in_chans=in_chans, **made)
    except Exception as error:  # timm's networks raise errors of any class
        raise UserError(f"model.backbone={name} can't be built with {_listed(made)}: {reason(error)}") from error
    return net


@lru_cache(maxsize=64)
def _class(name: str) -> type[nn.Module]:
    with torch.device("meta"):
        return type(timm.create_model(name, num_classes=0))


def check_options(network: type[nn.Module], options: Mapping[str, Any], *, name: str) -> None:
    """Checks options against the arguments of a network of timm.

    Args:
        network: The network's class.
        options: The user's options, `model.options`.
        name: The network's name, for messages.

    Raises:
        UserError: An option is unknown, is set by another key, or has a value of the wrong type.
    """
    valid = sorted({*_plain_names(network)} - {*_OURS, *_NOT_PLAIN})
    for option in options:
        if option in _OURS:
            raise UserError(f"model.options.{option} can't be set here: {_OURS[option]}")
        if option not in valid:
            raise UserError(
                f"model.options.{option} is not an option of {name}; its options are: {', '.join(valid)}."
                f"{suggestion(option, valid)}"
            )
    check_arguments(network, options, prefix="model.options.")


def _plain_names(network: type[nn.Module]) -> Iterator[str]:
    """Names of a class's arguments, including fields of its `cfg` if further arguments override that."""
    parameters = _parameters(network)
    yield from parameters
    if "kwargs" in parameters and "cfg" in parameters:
        annotation = parameters["cfg"].annotation
        for kind in get_args(annotation) or (annotation,):
            if dataclasses.is_dataclass(kind):
                yield from (field.name for field in dataclasses.fields(kind))


def _parameters(network: type[nn.Module]) -> dict[str, inspect.Parameter]:
    """Parameters of a class's constructor, and of its bases as long as unknown arguments are passed on to them."""
    found: dict[str, inspect.Parameter] = {}
    for each in network.__mro__[: -len(nn.Module.__mro__)]:
        parameters = inspect.signature(each).parameters
        found = {**parameters, **found}
        if not any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters.values()):
            break
    return found


def require_size(name: str, size: int, fits: Callable[[int], str | None], *, own: int) -> None:
    """Checks that a network can be built for images of a size.

    Args:
        name: The network's name, for the message.
        size: Side of the images in pixels.
        fits: Tries a size; returns the reason why it is impossible (possibly empty), or None if it is possible.
        own: The side that the network was designed for.

    Raises:
        UserError: It can't; the message lists the nearest sizes that fit.
    """
    objection = fits(size)
    if objection is None:
        return
    multiples = {max(step, side) for step in _STEPS for side in (size // step * step, -(-size // step) * step)}
    valid: list[int] = []
    for side in sorted(multiples - {size}, key=lambda side: (abs(side - size), side))[:_TRIES]:
        answered = any((known < size) == (side < size) for known in valid)  # one smaller and one larger size suffice
        if not answered and fits(side) is None:
            valid.append(side)
    remedy = " or ".join(f"data.image_size={side}" for side in sorted({*valid} or {own}))
    why = f" ({objection})" if objection else ""
    raise UserError(f"data.image_size={size} does not fit model.backbone={name}{why}; use {remedy}")


def _listed(options: Mapping[str, Any]) -> str:
    return ", ".join(f"{key}={value!r}" for key, value in options.items()) or "its default options"


def reason(error: Exception) -> str:
    """The first line of an error's message, or the name of its class if it has none."""
    return (str(error).splitlines() or [""])[0] or type(error).__name__
