"""Writes a case as answers come: facts and images of each file, and at the end the record and the report."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, TypeVar

from addnet.case.container import container_facts
from addnet.case.folder import PAGE, PRINT, RECORD, new_folder, require_new, write_sums
from addnet.case.hashes import file_facts, files_of
from addnet.case.images import FileImages, shown_of
from addnet.case.pdf import pdf_of
from addnet.case.provenance import provenance_facts
from addnet.case.record import FORMAT, LIMITS, VERSION, described, device_of, file_record, versions
from addnet.case.report import page_of
from addnet.case.stills import Stills, stills_of
from addnet.case.strongest import StrongestFaces, StrongFace, strongest_of_image
from addnet.errors import NotWrittenError, UserError
from addnet.evaluation.report import plain_values
from addnet.inference.answers import Answer
from addnet.launch import command_form
from addnet.pool import ProcessExecutor, call_within
from addnet.untrusted.limits import Limits
from addnet.untrusted.secrets import shown_command, without_home
from addnet.untrusted.texts import in_data, in_json

if TYPE_CHECKING:
    from addnet.inference import Detector
    from addnet.inference.detector import VideoAnswer
    from addnet.inference.preprocessing import FaceView
    from addnet.inference.videos import FrameFaces

log = logging.getLogger(__name__)

T = TypeVar("T")
IMAGED = 100  # most files whose images the report shows; all files are in the record


class CaseWriter:
    """Writes a case. A context manager: add each answer within it; the case is written when it exits without an error.

    Args:
        folder: The folder of the case; must not exist.
        detector: The detector.
        settings: All settings that change a score, as in the config of `addnet predict`.
        about: The description of the detector from `addnet.predict.about`.
        inputs: The files, whose hashes are computed before anything is scored.
        limits: Limits of memory and time for reading a file.
        apart: Whether files are opened in another process, within these limits.
        block: Stage or module for Grad-CAM; None: the network's default.
    """

    def __init__(
        self,
        folder: Path,
        detector: Detector,
        *,
        settings: Mapping[str, Any],
        about: Mapping[str, Any],
        inputs: Sequence[Path],
        limits: Limits,
        apart: bool = True,
        block: str | None = None,
    ) -> None:
        self.folder = require_new(folder)
        self.detector = detector
        self._settings, self._about, self._inputs = settings, about, inputs
        self._limits, self._apart, self._block = limits, apart, block
        self._strongest = StrongestFaces(detector)
        self._strong: list[StrongFace] = []
        self._before: dict[str, dict[str, Any]] = {}
        self._files: list[dict[str, Any]] = []
        self._shown: list[FileImages] = []

    def __enter__(self) -> CaseWriter:
        self._begun = _now()
        self._stack = ExitStack()
        with ExitStack() as stack:
            self._part = stack.enter_context(new_folder(self.folder))
            self._executor = stack.enter_context(ProcessExecutor(1)) if self._apart else None
            self._weights = files_of(self.detector, self._settings)
            self._before = {str(path): file_facts(path) for path in self._inputs}
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is not None:
            self._stack.__exit__(kind, error, trace)  # removes the incomplete case
            return
        with self._stack:
            self._finish()
        log.info("case: %s", self.folder)

    def watch(self, frames: FrameFaces, *, path: str) -> VideoAnswer:
        """Runs `Detector.watch`, and keeps the faces to explain."""
        watched = self._strongest.watch(frames, path=path)
        self._strong = self._strongest.faces
        return watched

    def see_image(self, answer: Answer, seen: Sequence[FaceView]) -> None:
        """Keeps the faces of an image to explain."""
        self._strong = strongest_of_image(answer, seen)

    def add(self, answer: Answer) -> None:
        """Records one answer; call it right after `watch` or `see_image` of the same file."""
        path, strong = Path(answer.path), self._strong
        self._strong = []
        before = self._before.get(answer.path) or file_facts(path)
        readable = answer.kind in ("image", "video") and not before["reason"]
        imaged = readable and len(self._shown) < IMAGED
        wanted = {face.frame or 0 for face in strong} or set(answer.looked_at[len(answer.looked_at) // 2 :][:1])
        stills = Stills()
        container: dict[str, Any] = {"not_read": in_data(before["reason"] or answer.reason)}
        provenance: dict[str, Any] = {"read": False, "present": None, "told": "not read: the file can't be read"}
        if readable:
            container = self._apart_or("not_read", container_facts, path, answer.kind)
            provenance = self._apart_or("told", provenance_facts, path)
            if answer.looked_at or imaged:
                stills = self._read(stills_of, path, answer.kind, answer.looked_at, wanted) or stills
        shown = shown_of(answer, stills, strong if imaged else [], self.detector, block=self._block)
        self._shown.append(shown if imaged else FileImages())
        how: dict[str, Any] = {"container": container, "provenance": provenance, "times": stills.times}
        changed = file_facts(path)["sha256"] != before["sha256"]
        self._files.append(file_record(answer, before, changed=changed, detector=self.detector, **how))

    def _read(self, function: Callable[..., T], *arguments: object) -> T | None:
        try:
            return self._call(function, *arguments)
        except UserError as error:
            log.debug("%s", error)  # the answer has the reason why the file can't be used
            return None

    def _apart_or(self, key: str, function: Callable[..., dict[str, Any]], *arguments: object) -> dict[str, Any]:
        """Returns what a function reads from a file, or the reason why it can't be read, under a key."""
        try:
            return self._call(function, *arguments)
        except UserError as error:
            return {key: in_data(error)}

    def _call(self, function: Callable[..., T], *arguments: object) -> T:
        if self._executor is None:
            return function(*arguments)
        return call_within(self._limits, self._executor, function, *arguments)

    def _finish(self) -> None:
        record = plain_values(self._record())
        page = page_of(record, self._shown)
        pdf, without = pdf_of(page)
        try:
            text = in_json(json.dumps(record, indent=1, ensure_ascii=False, allow_nan=False))
            (self._part / RECORD).write_text(f"{text}\n", encoding="utf-8")
            (self._part / PAGE).write_text(page, encoding="utf-8")
            if pdf is not None:
                (self._part / PRINT).write_bytes(pdf)
            write_sums(self._part)
        except OSError as error:
            raise NotWrittenError(f"the case {self.folder} could not be written: {error.strerror or error}") from error
        if without:
            log.info("%s", without)

    def _record(self) -> dict[str, Any]:
        return {
            "format": FORMAT,
            "version": VERSION,
            "case": in_data(self.folder.absolute().name),
            "begun": self._begun,
            "finished": _now(),
            "command": in_data(shown_command(command_form(), _typed())),
            "working_folder": in_data(without_home(str(Path.cwd()))),
            "computed_on": device_of(self.detector),
            "versions": versions(),
            "detector": described(self._about, self.detector, self._weights),
            "settings": _without_home(self._settings),
            "files": self._files,
            "limits": list(LIMITS),
        }


def _without_home(node: Any) -> Any:
    """Replaces the user's home folder by `~` in settings."""
    if isinstance(node, Mapping):
        return {name: _without_home(value) for name, value in node.items()}
    return in_data(without_home(node)) if isinstance(node, str) else node


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def _typed() -> list[str]:
    """Returns the arguments as they were typed, before their conversion to Hydra's grammar."""
    words, module = sys.orig_argv, command_form()[-1]
    at = words.index(module) + 1 if module in words else 0
    return words[at:] if at else sys.argv[1:]
