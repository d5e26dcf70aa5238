"""Verifies a case: the hashes of its files, the examined files and the detector, and the scores, computed again."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from addnet.case.checks import Check
from addnet.case.folder import SUMS
from addnet.case.hashes import WEIGHTS, files_of
from addnet.case.reading import RecordedCase, RecordedFile
from addnet.errors import UserError
from addnet.faces.walk import walk
from addnet.inference.answers import Answer
from addnet.inference.shipped import names
from addnet.overrides import at_home
from addnet.untrusted.files import read_bytes, reason, sha256_of
from addnet.untrusted.limits import Limits
from addnet.untrusted.texts import in_data, shown
from addnet.wording import count

if TYPE_CHECKING:
    from addnet.inference import Detector

TOLERANCE = 1e-5  # largest difference of a score that counts as equal
_SUM = re.compile(r"([0-9a-f]{64})  ([\w.-]+)")
_MOST_SUMS = 1 << 16  # largest size of the list of hashes in bytes


def check_sums(folder: Path) -> list[Check]:
    """Checks the files of a case against its own list of hashes."""
    try:
        lines = read_bytes(folder / SUMS, most=_MOST_SUMS).decode("utf-8", "replace").splitlines()
    except (OSError, UserError):
        return [Check(SUMS, "case", [f"it can't be read, so it isn't known whether {folder.name} was changed"])]
    found = [_SUM.fullmatch(line) for line in lines]
    checks = [_compared(folder / one[2], one[1], Check(one[2], "case")) for one in found if one]
    damaged = [] if checks and all(found) else [Check(SUMS, "case", ["it is damaged"])]
    return checks + damaged


def check_detector(detector: Detector, recorded: RecordedCase) -> Check:
    """Checks that the files of a detector are those of the record: config and weights of a folder, or a checkpoint."""
    check = Check(shown(detector.loaded.called), "detector")
    own = tuple(file["sha256"] for file in files_of(detector, {}) if file["role"] == WEIGHTS)
    check.same_hash = own == recorded.weights
    if not check.same_hash:
        check.problems.append("it is not the detector of the record: its SHA-256 differs; scores were not repeated")
    return check


def find_files(recorded: RecordedCase, root: Path | None) -> list[tuple[Check, Path | None]]:
    """Finds the files of a record.

    Args:
        recorded: The record.
        root: A folder to search for files with the recorded content, whatever their names; None: use the recorded
            paths.

    Returns:
        The check of each file, and its path; None if the file is missing or its content differs.
    """
    if root is not None:
        return list(_by_content(recorded.files, root))
    found = []
    for file in recorded.files:
        check, path = _check_of(file), _place(recorded, file.path)
        _compared(path, file.sha256, check)
        found.append((check, path if check.same_hash else None))
    return found


def _place(recorded: RecordedCase, name: str) -> Path:
    """Returns the path of a file named in a record."""
    return Path(at_home(recorded.working_folder), at_home(name))


def _by_content(files: Sequence[RecordedFile], root: Path) -> Iterator[tuple[Check, Path | None]]:
    paths: dict[str, Path] = {}  # by SHA-256
    contents = walk(root, evidence=True)
    for name in (*contents.images, *contents.videos, *contents.others):
        try:
            paths.setdefault(sha256_of(root / name), root / name)
        except (OSError, UserError):
            continue
    names_below = {path.name for path in paths.values()}
    for file in files:
        check = _check_of(file)
        path = paths.get(file.sha256 or "")
        check.same_hash = None if file.sha256 is None else path is not None
        if check.same_hash is False:
            other = ", though there is a file of this name" if Path(file.path).name in names_below else ""
            check.problems.append(f"no file below root={root} has its SHA-256{other}")
        yield check, path


def _check_of(file: RecordedFile) -> Check:
    return Check(shown(file.path), file.kind)


def _compared(path: Path, sha256: str | None, check: Check) -> Check:
    """Compares the hash of a file with the recorded one."""
    if sha256 is None:  # the file couldn't be read when the case was recorded
        return check
    try:
        check.same_hash = sha256_of(path) == sha256
    except OSError as error:
        check.same_hash = False
        hint = "; root=FOLDER finds files that have moved" if check.what != "case" else ""
        check.problems.append(f"cannot be read: {error.strerror or error}{hint}")
        return check
    except UserError as error:
        check.same_hash = False
        check.problems.append(in_data(reason(error, path)))
        return check
    if not check.same_hash:
        check.problems.append("its SHA-256 differs: the file has been changed since")
    return check


def repeat(
    detector: Detector,
    recorded: RecordedCase,
    found: Sequence[tuple[Check, Path | None]],
    *,
    workers: int | None,
    limits: Limits,
) -> None:
    """Scores each unchanged file again, and adds differences to its check.

    Raises:
        UserError: A setting of the record is out of range.
    """
    from addnet.inference.files import ImageSettings, answer_images, answer_videos
    from addnet.inference.videos import VideoSettings

    pairs = list(zip(recorded.files, found, strict=True))
    paths: dict[str, list[Path]] = {"image": [], "video": []}
    for file, (_, path) in pairs:
        if path is not None and file.kind in paths and path not in paths[file.kind]:
            paths[file.kind].append(path)
    how: dict[str, Any] = {"workers": workers, "limits": limits}
    answers: dict[tuple[str, str], Answer] = {}
    images, frames = ImageSettings(**recorded.settings["images"]), VideoSettings(**recorded.settings["frames"])
    for answer, _ in answer_images(detector, paths["image"], images, **how):
        answers["image", answer.path] = answer
    if paths["video"]:
        for watched in answer_videos(detector, paths["video"], frames, **how):
            answers["video", watched.answer.path] = watched.answer
    for file, (check, path) in pairs:
        if repeated := answers.get((file.kind, str(path))):
            compare(file, repeated, check)


def compare(file: RecordedFile, answer: Answer, check: Check) -> None:
    """Adds differences between an answer and the recorded one to a check: verdict, faces and scores."""
    if answer.verdict != file.verdict:
        why = f": {in_data(answer.reason)}" if answer.reason else ""
        check.problems.append(f"the verdict was {shown(file.verdict)} and is {answer.verdict} now{why}")
    now = [(face.frame, face.score) for face in answer.faces]
    if [frame for frame, _ in now] != [frame for frame, _ in file.faces]:
        check.problems.append(
            f"{count(len(file.faces), 'face was', 'faces were')} scored, but {len(now)} now, or in other frames"
        )
        return
    pairs = [(frame, before, after) for (frame, before), (_, after) in zip(file.faces, now, strict=True)]
    if answer.score is not None and file.score is not None:
        pairs.append((None, file.score, answer.score))
    check.largest = max((abs(after - before) for _, before, after in pairs), default=None)
    different = [pair for pair in pairs if abs(pair[2] - pair[1]) > TOLERANCE]
    if different:
        frame, before, after = max(different, key=lambda pair: abs(pair[2] - pair[1]))
        where = "" if frame is None else f" of frame {frame}"
        check.problems.append(
            f"{len(different)} of {count(len(pairs), 'score')} differ by more than {TOLERANCE:g}: the one{where} that "
            f"differs most was {before:.6f} and is {after:.6f} now"
        )


def detector_of(
    recorded: RecordedCase, *, ckpt: str | None, device: str | None, landmark_model: str | None
) -> Detector:
    """Loads the detector of a record, with its settings.

    Args:
        recorded: The record.
        ckpt: Its present path; None: as recorded.
        device: The device to compute on; None: as recorded.
        landmark_model: Present path of the 68-landmark model; None: as recorded.

    Raises:
        UserError: The detector can't be found, or a setting of the record is out of range.
    """
    from addnet.inference import Detector

    own = recorded.settings["detector"]
    landmark_model = landmark_model or (own["landmark_model"] and str(_place(recorded, own["landmark_model"])))
    if not ckpt:
        shipped = recorded.ckpt in names()
        ckpt = recorded.ckpt if shipped else str(_place(recorded, recorded.ckpt))
    settings: Mapping[str, Any] = {
        "batch_size": own["batch_size"],
        "threshold": own["threshold"],
        "mirror": recorded.mirror,
        "domain": own["domain"],
        "weights": recorded.start_weights and _place(recorded, recorded.start_weights),
    }
    return Detector.from_checkpoint(ckpt, device=device or recorded.device, landmark_model=landmark_model, **settings)
