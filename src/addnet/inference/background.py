"""What a detector was trained on and its error rates, in words, to be shown with its answers."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from addnet.evaluation.rates import WRONG
from addnet.inference.export.card import adopted_from, trained_on
from addnet.inference.export.description import public_config
from addnet.inference.loading import LoadedNetwork, network_called
from addnet.wording import count

_KINDS = {"frame": ("image", "images"), "video": ("video", "videos")}
_UNMEASURED = (
    "Its threshold was not chosen and its error rates were not measured by addnet: 0.5 is the network's default, and "
    "its probabilities are not calibrated. Measure it on material like yours before relying on it."
)
_BLENDS = {
    "self_blended": ", fakes being blends of the real images with themselves",
    "mixed": ", and blends of the real images with themselves",
}


def background_of(loaded: LoadedNetwork) -> tuple[str, ...]:
    """Returns sentences about the data, image size and errors of a checkpoint or an export, or that they are unknown.

    For a detector that others published, the sentences also name its source and terms. For a detector that comes with
    the program, there is the one line of `shipped_line`.
    """
    if loaded.shipped:
        return (shipped_line(loaded.shipped, loaded.about),)
    if adopted := loaded.about.get("adopted"):
        what, data = _network(loaded.about, loaded.model), adopted.get("trained_on")
        return (
            f"{_called(loaded.path)}: {what}, trained on {data}, as its authors say.",
            f"{adopted_from(adopted)}.",
            _UNMEASURED,
        )
    training = loaded.about.get("learnt_from")
    training = training if isinstance(training, Mapping) else {}
    return (
        f"{_called(loaded.path)}: {_trained_on(loaded.about, loaded.model)}.",
        _errors(training.get("validation"), _others(training)),
    )


def shipped_line(name: str, about: Mapping[str, Any]) -> str:
    """Returns the line that is shown with each answer of a detector that comes with the program.

    Args:
        name: Name of the detector.
        about: Its description, with the error rates that `addnet.release` measured.
    """
    return (
        f"{name}, which comes with addnet: {_trained_on(about, about['model'])}. {measured_in_words(about)} "
        "A detector trained on your own kind of material will do better."
    )


def measured_in_words(about: Mapping[str, Any]) -> str:
    """Returns the error rates of a description with their intervals, or says that there are none."""
    parts = []
    try:
        for found in about.get("measured") or ():
            rates = [_rate(found["errors"][wrong], wrong, found["level"]) for wrong in WRONG if found["errors"][wrong]]
            parts.append(f"on {found['name']} {' and '.join(rates)}")
    except (AttributeError, KeyError, TypeError, ValueError):
        parts = []
    return f"Measured {'; '.join(parts)} (95 % intervals)." if parts else "Its error rates were not measured."


def _rate(found: Mapping[str, Any], wrong: str, level: str) -> str:
    """Returns a rate in words, such as `1.4 % (0.7 to 2.9) of 500 real images called fake`."""
    share, low, high = (100 * float(found[name]) for name in ("value", "low", "high"))
    truth, _, called = wrong.partition("_")
    whose = count(int(found["of"]), *(f"{truth} {kind}" for kind in _KINDS[level]))
    return f"{share:.1f} % ({low:.1f} to {high:.1f}) of {whose} {called.replace('_', ' ')}"


def _trained_on(about: Mapping[str, Any], model: Mapping[str, Any]) -> str:
    """Names the network, the size of its images and its training data."""
    training = about.get("learnt_from")
    training = training if isinstance(training, Mapping) else {}
    config = about.get("config") or {}
    options = config.get("data") or {}
    drawn = "drawn faces, " if options.get("generate") else ""
    data = _data(training.get("data"), "train") or trained_on(public_config(config))
    blends = _BLENDS.get(str(options.get("fakes")), "")
    return f"{_network(about, model)}, trained on {drawn}{data}{blends}"


def _network(about: Mapping[str, Any], model: Mapping[str, Any]) -> str:
    size = about["preprocessing"]["image_size"]
    return f"{network_called(model)} on images of {size} × {size} pixels"


def _called(path: Path) -> str:
    """A checkpoint with its run folder; the path above both isn't shown to visitors."""
    return "/".join([part for part in path.parts if part != "checkpoints"][-2:])


def _data(sets: Any, usual: str) -> str:
    """Lists data sets with their sizes, and the split where it isn't the usual one; empty if unknown."""
    if not isinstance(sets, Sequence) or not sets:
        return ""
    try:
        return "; ".join(_amount(one, usual) for one in sets)
    except (AttributeError, KeyError, OverflowError, TypeError, ValueError):
        return ""


def _amount(one: Mapping[str, Any], usual: str) -> str:
    part = "" if one.get("split") in (None, usual) else f", its {one['split']} part"
    return (
        f"{one['dataset']}{part} ({int(one['real']):,} real and {int(one['fake']):,} fake images of "
        f"{count(int(one['videos']), 'video')})"
    )


def chosen_on(loaded: LoadedNetwork) -> str:
    """Names the data that a checkpoint and its thresholds were chosen on; empty if the checkpoint doesn't say."""
    data = _data(_chosen(loaded), "val")
    return f"chosen on {data}" if data else ""


def chosen_on_tests(loaded: LoadedNetwork, tested: Collection[str]) -> list[str]:
    """Returns the tested data sets whose test part the checkpoint was chosen on: metrics on them are too optimistic."""
    sets = _chosen(loaded)
    found = [one.get("dataset") for one in sets if isinstance(one, Mapping) and one.get("split") == "test"]
    return [str(name) for name in found if name in tested]


def _chosen(loaded: LoadedNetwork) -> Sequence[Any]:
    training = loaded.about.get("learnt_from")
    sets = training.get("chosen_on") if isinstance(training, Mapping) else None
    return sets if isinstance(sets, list | tuple) else []


def _errors(validation: Any, others: str) -> str:
    """States the errors on validation, whose data sets may differ from those of training."""
    parts = []
    try:
        for level, (one, many) in _KINDS.items():
            if found := (validation or {}).get(level):
                real, fake = int(found["real"]), int(found["fake"])
                parts.append(
                    f"{int(found['real_called_fake'])} of {count(real, f'real {one}', f'real {many}')} called fake, "
                    f"{int(found['fake_called_real'])} of {count(fake, f'fake {one}', f'fake {many}')} called real"
                    + (f", {undecided} undecided" if (undecided := _undecided(found)) else "")
                )
    except (AttributeError, KeyError, OverflowError, TypeError, ValueError):
        parts = []
    if not parts:
        return "Its error rates on validation aren't in the checkpoint."
    which = "On its own validation set, on which the thresholds were chosen"
    if others:
        which = f"On {others}, on which checkpoint and thresholds were chosen"
    return f"{which}: {'; '.join(parts)}. It may do far worse on other material."


def _undecided(found: Mapping[str, Any]) -> int:
    return int(found.get("real_undecided", 0)) + int(found.get("fake_undecided", 0))


def _others(training: Mapping[str, Any]) -> str:
    """Names the data sets it was chosen on, if it wasn't trained on all of them; else empty."""
    try:
        trained = {one["dataset"] for one in training.get("data") or ()}
        chosen = {one["dataset"]: None for one in training.get("chosen_on") or ()}
    except (KeyError, TypeError):
        return ""
    return "" if set(chosen) <= trained else ", ".join(map(str, chosen))
