"""A trained detector in three lines: load, ask, read the answer."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import islice
from operator import itemgetter
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias, TypeVar, overload

import numpy as np
import torch
from numpy.typing import NDArray
from PIL.Image import Image
from torch import Tensor

from addnet.data.finish import finish_images, finish_masks
from addnet.errors import UserError
from addnet.evaluation import Decision
from addnet.evaluation.decision import UNDECIDED as NEITHER
from addnet.evaluation.metrics import probabilities_of
from addnet.faces.formats import VIDEO, kind_of
from addnet.faces.images import ImageArray, as_image, named_image
from addnet.inference.answers import (
    NO_FACE,
    UNDECIDED,
    UNLIKE,
    UNUSABLE,
    Answer,
    FaceAnswer,
    between,
    by_track,
    not_finite,
    too_few,
    unlike_in_frames,
    unusable,
)
from addnet.inference.hub import PREFIX
from addnet.inference.loading import LoadedNetwork, load
from addnet.inference.one_at_a_time import alone_with
from addnet.inference.preprocessing import FaceView
from addnet.inference.shipped import DEFAULT, located
from addnet.inference.videos import AboutVideo, FacesOfVideo, FrameFaces, VideoSettings

Key = TypeVar("Key")
Score: TypeAlias = Callable[[Sequence[FaceView]], NDArray[np.float64]]


class VideoAnswer(NamedTuple):
    """What is said about a video, and about which face most.

    Attributes:
        answer: The answer.
        worst: The face with the largest score of the person who decides; None without a face.
    """

    answer: Answer
    worst: FaceView | None


class Detector:
    """Says whether faces in images and videos are fakes. Several threads may ask; the network answers in turns.

    Args:
        loaded: A checkpoint.
        device: `cpu`, `cuda`, `cuda:1` …; `auto` takes a GPU if there is one.
        batch_size: Faces that the network gets at once.
        threshold: Instead of those of the checkpoint, for images and videos.
        mirror: Whether each face is asked about twice, the second time as its mirror image with the mask mirrored too,
            and scored by the mean of the two logits. Thresholds and temperature stay those for one.
        domain: Whether faces that are unlike those of training, and videos with faces in few frames, stay undecided.

    Raises:
        UserError: The device is not there, or a value is out of range.

    Example:
        >>> from addnet.inference import Detector
        >>> detector = Detector.from_checkpoint("best.ckpt")  # doctest: +SKIP
        >>> detector.predict("face.jpg").verdict  # doctest: +SKIP
        'fake'
    """

    def __init__(
        self,
        loaded: LoadedNetwork,
        *,
        device: str = "auto",
        batch_size: int = 16,
        threshold: float | None = None,
        mirror: bool = False,
        domain: bool = True,
    ) -> None:
        if batch_size < 1:
            raise UserError(f"batch_size={batch_size} must be at least 1")
        if threshold is not None and not 0 <= threshold <= 1:
            raise UserError(f"threshold={threshold} must lie in [0, 1]; null takes that of the checkpoint")
        for name, value in {"mirror": mirror, "domain": domain}.items():
            if not isinstance(value, bool):
                raise UserError(f"{name}={value!r} is not valid; use true or false")
        self.loaded = loaded
        self.mirror = mirror
        self.domain = domain
        self.preprocessing = loaded.preprocessing if domain else replace(loaded.preprocessing, domain=None)
        self.batch_size = batch_size
        self.frame, self.video = (_with(threshold, decision) for decision in (loaded.frame, loaded.video))
        self.device = _device(device)
        self.net = loaded.net.to(self.device)

    def __repr__(self) -> str:
        """Which checkpoint, network, size and thresholds."""
        size, name = self.preprocessing.geometry.size, self.loaded.network
        return (
            f"<Detector {self.loaded.called}: {name} at {size} × {size}, fake above {self.frame.stated} (images) and "
            f"{self.video.stated} (videos), on {self.device}>"
        )

    @property
    def background(self) -> tuple[str, ...]:
        """Sentences about what it learnt from, and how often it was wrong on its own validation."""
        from addnet.inference.background import background_of

        return background_of(self.loaded)

    @classmethod
    def from_checkpoint(
        cls,
        path: str | Path,
        *,
        device: str = "auto",
        batch_size: int = 16,
        threshold: float | None = None,
        mirror: bool = False,
        domain: bool = True,
        landmark_model: str | None = None,
        weights: str | Path | None = None,
    ) -> Detector:
        """Loads a checkpoint, or an export of it; only tensors and plain values of it are ever read.

        Args:
            path: Such as `outputs/train/<time>/checkpoints/best.ckpt`, or as for `from_exported`; or as text the name
                of a detector that comes with the program.
            device: As for the class, and all below.
            batch_size: Faces that the network gets at once.
            threshold: Instead of those of the checkpoint.
            mirror: As for the class.
            domain: As for the class.
            landmark_model: Where its 68-point model lies, if that is not the packaged one.
            weights: File of the start weights, where the checkpoint holds the trained part alone and they are not
                timm's own.

        Raises:
            UserError: The checkpoint is missing, damaged or of another kind, or its start weights are not there.
        """
        loaded = load(path, landmark_model=landmark_model, weights=weights)
        return cls(loaded, device=device, batch_size=batch_size, threshold=threshold, mirror=mirror, domain=domain)

    @classmethod
    def default(cls, **settings: Any) -> Detector:
        """The detector that comes with the program, whose `background` says what it learnt from and how often it errs.

        Args:
            settings: As for `from_checkpoint`.

        Raises:
            UserError: None came with this installation.
        """
        return cls.from_checkpoint(DEFAULT, **settings)

    @classmethod
    def from_exported(cls, path: str | Path, **settings: Any) -> Detector:
        """Loads what `addnet.export format=safetensors` wrote, or a copy of it; nothing in it is run.

        Args:
            path: The folder, or `model.safetensors` in it, or the name of a detector that comes with the program.
            settings: As for `from_checkpoint`.

        Raises:
            UserError: It is no such folder, something in it is damaged, or its parts don't belong together.
        """
        from addnet.inference.export.hub_folder import CONFIG, folder_of

        place = located(path)
        return cls.from_checkpoint(folder_of(place) or place / CONFIG, **settings)

    @classmethod
    def from_pretrained(cls, name: str | Path, **settings: Any) -> Detector:
        """Loads a detector of the Hugging Face Hub, or what lies here under that name.

        Args:
            name: `USER/REPO`, perhaps with `@REVISION`; or as for `from_checkpoint`.
            settings: As for `from_checkpoint`.

        Raises:
            UserError: As `addnet.inference.hub.fetched` and `from_checkpoint`.
        """
        here = Path(name).exists() or "/" not in str(name)
        return cls.from_checkpoint(name if here else f"{PREFIX}{str(name).removeprefix(PREFIX)}", **settings)

    @overload
    def predict(
        self, image: str | Path | ImageArray | Image, *, kind: str = ..., faces: str = ..., without_face: bool = ...
    ) -> Answer: ...

    @overload
    def predict(
        self, image: list[Any] | tuple[Any, ...], *, kind: str = ..., faces: str = ..., without_face: bool = ...
    ) -> list[Answer]: ...

    def predict(
        self, image: Any, *, kind: str = "auto", faces: str = "largest", without_face: bool = False
    ) -> Answer | list[Answer]:
        """Says whether the face in an image or video is a fake.

        Files are opened in this process, where nothing but checks of their sizes bounds what they take: files of
        strangers are better given to `answer_images` and `answer_videos` of `addnet.inference.files`.

        Args:
            image: A file, or (H, W, 3) uint8 RGB, or a PIL image; or a list of these, for a list of answers in which
                a file that can't be read is answered for as `unusable`.
            kind: See `Preprocessing.of_image`; videos are scenes.
            faces: `largest` or `all`; the most suspicious face decides.
            without_face: Scores an image without a face too, as in training; otherwise the verdict is `no face`.

        Raises:
            UserError: The file can't be read, or the array is no image.
        """
        how: dict[str, Any] = {"kind": kind, "faces": faces, "without_face": without_face}
        if isinstance(image, (list, tuple)):
            return [self._predict_or_say_why(one, **how) for one in image]
        if isinstance(image, (str, Path)):
            if kind_of(image) == VIDEO:
                return self.predict_video(image)
            path, pixels = str(image), named_image(image)
        else:
            path, pixels = "", as_image(image)
        seen = self.preprocessing.of_image(pixels, **how)
        return self.answer(seen, self.scores(seen).tolist(), path=path)

    def _predict_or_say_why(self, image: Any, **how: Any) -> Answer:
        """One of a list, whose other files are answered for whatever is wrong with this one."""
        try:
            answer: Answer = self.predict(image, **how)
            return answer
        except UserError as error:
            if not isinstance(image, (str, Path)):
                raise
            kind = "video" if kind_of(image) == VIDEO else "image"
            decision, reason = self.video if kind == "video" else self.frame, str(error).removeprefix(f"{image}: ")
            return unusable(str(image), reason, threshold=decision.threshold, kind=kind)

    def predict_video(self, path: str | Path, settings: VideoSettings | None = None) -> Answer:
        """Says whether the person in a video is a fake: the mean of the scores of the frames.

        Of several people the one is followed who is there longest, unless the settings say otherwise.

        Raises:
            UserError: The file can't be read.
        """
        frames = FacesOfVideo(path, self.preprocessing, settings or VideoSettings())
        return self.answer_video(frames, path=str(path))

    # ---- scores → answers ----------------------------------------------------------------------------------

    def answer(self, seen: Sequence[FaceView], scores: Sequence[float], *, path: str = "") -> Answer:
        """What is said about an image whose faces have these scores; `unusable` where one isn't a finite number."""
        if broken := int((~np.isfinite(scores)).sum()):
            return unusable(path, not_finite(broken, len(scores)), threshold=self.frame.threshold)
        faces = tuple(self._face(face, float(score), self.frame) for face, score in zip(seen, scores, strict=True))
        if not faces:
            return Answer(NO_FACE, None, None, self.frame.threshold, path, reason="no face was found")
        worst, found = max(faces, key=lambda face: face.score), max(face.found for face in seen)
        said = worst.verdict, worst.score, worst.probability, self.frame.threshold
        return Answer(*said, path, faces=faces, people=found, reason=worst.reason)

    def answer_video(self, frames: FrameFaces, *, path: str) -> Answer:
        """What is said about a video, whose faces are scored while they are found."""
        return self.watch(frames, path=path).answer

    def watch(self, frames: FrameFaces, *, path: str, by: Score | None = None) -> VideoAnswer:
        """The same, with the face that speaks most for fake.

        Args:
            frames: The faces.
            path: Of the answer.
            by: As for `scored`.
        """
        scored, worst, broken = [], dict[int, tuple[float, FaceView]](), 0
        for crop, score in self.scored(((crop, crop.seen) for crop in frames), by=by):
            if not np.isfinite(score):
                broken += 1
                continue
            face = self._face(crop.seen, score, self.frame)
            scored.append(replace(face, frame=crop.frame, time=crop.time, track=crop.track))
            worst[crop.track] = max(worst.get(crop.track, (-1.0, crop.seen)), (score, crop.seen), key=itemgetter(0))
        about = frames.about()
        answer = self._about_video(scored, broken, about, path)
        own = (worst[track] for track, person in about.people.items() if person == answer.track and track in worst)
        _, seen = max(own, key=itemgetter(0), default=(-1.0, None))
        return VideoAnswer(answer, seen)

    def _about_video(self, scored: Sequence[FaceAnswer], broken: int, about: AboutVideo, path: str) -> Answer:
        """The verdict on the person with the largest mean."""
        faces = tuple(replace(face, track=about.people[face.track or 0]) for face in scored)
        seen = {"people": len(set(about.people.values())), "notes": about.notes, "looked_at": about.looked_at}
        counts = {"frames": len(about.looked_at), "frames_without_face": about.without_face}
        known: dict[str, Any] = {"path": path, "kind": "video", **seen, **counts}
        if broken:
            reason = not_finite(broken, broken + len(faces))
            return Answer(UNUSABLE, None, None, self.video.threshold, reason=reason, **known)
        known["faces"] = faces
        if not faces:
            reason = "no face was found in any of the frames that were looked at"
            return Answer(NO_FACE, None, None, self.video.threshold, reason=reason, **known)
        means = {person: float(np.mean([face.score for face in own])) for person, own in by_track(faces).items()}
        person = max(means, key=means.__getitem__)
        score, decision = means[person], self.video
        own = [face for face in faces if face.track == person]
        against = (too_few(len(own), len(about.looked_at)) or unlike_in_frames(own)) if self.domain else ""
        verdict, reason = self._verdict(score, decision, against)
        said = verdict, score, decision.calibrated(score), decision.threshold
        return Answer(*said, track=person, reason=reason, **known)

    def _verdict(self, score: float, decision: Decision, against: str) -> tuple[str, str]:
        """Name of the class of a score, or `undecided` and why: something else, or its place between thresholds."""
        called = int(decision.called(np.asarray(score)))
        if against:
            return UNDECIDED, against
        return (UNDECIDED, between(decision)) if called == NEITHER else (self.loaded.class_names[called], "")

    def _face(self, seen: FaceView, score: float, decision: Decision) -> FaceAnswer:
        box = None if seen.face.box is None else tuple(float(side) for side in seen.face.box)
        verdict, reason = self._verdict(score, decision, f"{UNLIKE}: {seen.unlike}" if seen.unlike else "")
        found: dict[str, Any] = {"step": seen.face.step, "box": box}
        return FaceAnswer(verdict, score, decision.calibrated(score), **found, reason=reason)

    # ---- images → scores ---------------------------------------------------------------------------------

    def scores(self, seen: Sequence[FaceView]) -> NDArray[np.float64]:
        """(N,) probability of fake of each face."""
        return np.asarray([score for _, score in self.scored((None, face) for face in seen)], dtype=np.float64)

    def scored(self, seen: Iterable[tuple[Key, FaceView]], *, by: Score | None = None) -> Iterator[tuple[Key, float]]:
        """Scores faces as they come, a batch at a time.

        Args:
            seen: Faces, each with whatever tells it from others.
            by: Scores a batch instead of `scores_at_once`, such as in another thread.
        """
        faces, by = iter(seen), by or self.scores_at_once
        while batch := list(islice(faces, self.batch_size)):
            yield from zip((key for key, _ in batch), by([face for _, face in batch]).tolist(), strict=True)

    def scores_at_once(self, seen: Sequence[FaceView]) -> NDArray[np.float64]:
        """(N,) probability of fake of a few faces, which the network gets as one batch."""
        return self.probabilities(*self.tensors(seen))

    @torch.inference_mode()
    def probabilities(self, image: Tensor, mask: Tensor) -> NDArray[np.float64]:
        """(B,) probability of fake, as training and test compute it; nan where the network's answer isn't finite.

        With `mirror` that of the mean of the logits of image and mirror image.

        Args:
            image: (B, 3, S, S) in [-1, 1], on the detector's device.
            mask: (B, 1, S, S) in [0, 1].
        """
        logits = self._logits(image, mask)
        if self.mirror:
            logits = (logits + self._logits(image.flip(-1), mask.flip(-1))) / 2
        found: NDArray[np.float64] = probabilities_of((logits[:, 1] - logits[:, 0]).cpu()).numpy()
        return found

    def _logits(self, image: Tensor, mask: Tensor) -> Tensor:
        with alone_with(self.net):
            logits: Tensor = self.net(image.contiguous(memory_format=torch.channels_last), mask)
        return logits.float()

    def tensors(self, seen: Sequence[FaceView]) -> tuple[Tensor, Tensor]:
        """(B, 3, S, S) in [-1, 1] and (B, 1, S, S) in [0, 1]: what the network gets, on its device."""
        images = torch.from_numpy(np.stack([face.image for face in seen])).to(self.device)
        masks = torch.from_numpy(np.stack([face.mask for face in seen])[:, None]).to(self.device)
        return finish_images(images), finish_masks(masks, self.preprocessing.geometry.size)


def _with(threshold: float | None, decision: Decision) -> Decision:
    return decision if threshold is None else decision.at(threshold)


def _device(name: str) -> torch.device:
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0]
        raise UserError(f"device={name} can't be used ({reason}); use auto, cpu or cuda") from error
    return device
