"""A trained detector in three lines: load it, predict, read the answer."""

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
    """The answer about a video, and the face with the largest score.

    Attributes:
        answer: The answer.
        worst: The face with the largest score among those of the person who decides; None without a face.
    """

    answer: Answer
    worst: FaceView | None


class Detector:
    """Tells fake faces from real ones in images and videos. Threads may share it; the network runs one at a time.

    Args:
        loaded: A loaded checkpoint.
        device: `cpu`, `cuda`, `cuda:1` …; `auto` uses a GPU if there is one.
        batch_size: Number of faces per batch of the network.
        threshold: Replaces the thresholds of the checkpoint, for images and videos.
        mirror: Whether each face is scored twice, the second time mirrored together with its mask, and the two logits
            are averaged. Thresholds and temperature stay those of a single pass.
        domain: Whether the verdict is `undecided` for faces that are unlike those of training, and for videos with
            faces in few frames.

    Raises:
        UserError: The device isn't available, or a value is out of range.

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
            raise UserError(f"threshold={threshold} must lie in [0, 1]; null uses that of the checkpoint")
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
        """Names the checkpoint, its network, image size, thresholds and device."""
        size, name = self.preprocessing.geometry.size, self.loaded.network
        return (
            f"<Detector {self.loaded.called}: {name} at {size} × {size}, fake above {self.frame.stated} (images) and "
            f"{self.video.stated} (videos), on {self.device}>"
        )

    @property
    def background(self) -> tuple[str, ...]:
        """Sentences about what it was trained on, and its error rates on its own validation set."""
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
        """Loads a checkpoint, or an export of it; only its tensors and plain values are ever read.

        Args:
            path: A checkpoint such as `outputs/train/<time>/checkpoints/best.ckpt`, an exported folder, or, as a `str`,
                the name of a detector that comes with the program.
            device: See `Detector`.
            batch_size: See `Detector`.
            threshold: See `Detector`.
            mirror: See `Detector`.
            domain: See `Detector`.
            landmark_model: File of its 68-landmark model, if that isn't the packaged one.
            weights: File of the start weights, if the checkpoint holds only its trained part and did not start from
                timm's weights.

        Raises:
            UserError: The checkpoint is missing, damaged or of another kind, or its start weights can't be found.
        """
        loaded = load(path, landmark_model=landmark_model, weights=weights)
        return cls(loaded, device=device, batch_size=batch_size, threshold=threshold, mirror=mirror, domain=domain)

    @classmethod
    def default(cls, **settings: Any) -> Detector:
        """Loads the detector that comes with the program; its `background` gives its training data and error rates.

        Args:
            settings: The keyword arguments of `from_checkpoint`.

        Raises:
            UserError: This installation comes without a detector.
        """
        return cls.from_checkpoint(DEFAULT, **settings)

    @classmethod
    def from_exported(cls, path: str | Path, **settings: Any) -> Detector:
        """Loads a folder that `addnet.export format=safetensors` wrote, or a copy of it; no code in it is run.

        Args:
            path: The folder, or `model.safetensors` in it, or the name of a detector that comes with the program.
            settings: The keyword arguments of `from_checkpoint`.

        Raises:
            UserError: It is not such a folder, a file in it is damaged, or its files don't belong together.
        """
        from addnet.inference.export.hub_folder import CONFIG, folder_of

        place = located(path)
        return cls.from_checkpoint(folder_of(place) or place / CONFIG, **settings)

    @classmethod
    def from_pretrained(cls, name: str | Path, **settings: Any) -> Detector:
        """Loads a detector from the Hugging Face Hub, or the local file or folder of that name if there is one.

        Args:
            name: `USER/REPO` or `USER/REPO@REVISION`; or a path or name that `from_checkpoint` accepts.
            settings: The keyword arguments of `from_checkpoint`.

        Raises:
            UserError: The repository can't be fetched, isn't a detector of this program, or can't be loaded.
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

        Files are opened in this process, where only their sizes are limited. For untrusted files, use `answer_images`
        and `answer_videos` of `addnet.inference.files`.

        Args:
            image: A file, or (H, W, 3) uint8 RGB, or a PIL image; or a list of these, for a list of answers in which
                a file that can't be read gets the verdict `unusable`.
            kind: `auto`, `crops` or `scenes`, see `Preprocessing.of_image`; ignored for videos, which are scenes.
            faces: `largest` or `all`; the face with the largest score decides.
            without_face: Whether an image without a face is scored too, as in training, or has the verdict `no face`.

        Raises:
            UserError: The file can't be read, or the array is not a valid image.
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
        """Answers for one image of a list; a file that can't be read is `unusable`, so that the others are answered."""
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
        """Says whether the person in a video is a fake, by the mean score over the frames.

        If there are several people, the one who is visible longest is scored, unless the settings say otherwise.

        Raises:
            UserError: The file can't be read.
        """
        frames = FacesOfVideo(path, self.preprocessing, settings or VideoSettings())
        return self.answer_video(frames, path=str(path))

    # ---- scores → answers ----------------------------------------------------------------------------------

    def answer(self, seen: Sequence[FaceView], scores: Sequence[float], *, path: str = "") -> Answer:
        """Returns the answer about an image whose faces have these scores; `unusable` if a score isn't finite."""
        if broken := int((~np.isfinite(scores)).sum()):
            return unusable(path, not_finite(broken, len(scores)), threshold=self.frame.threshold)
        faces = tuple(self._face(face, float(score), self.frame) for face, score in zip(seen, scores, strict=True))
        if not faces:
            return Answer(NO_FACE, None, None, self.frame.threshold, path, reason="no face was found")
        worst, found = max(faces, key=lambda face: face.score), max(face.found for face in seen)
        values = worst.verdict, worst.score, worst.probability, self.frame.threshold
        return Answer(*values, path, faces=faces, people=found, reason=worst.reason)

    def answer_video(self, frames: FrameFaces, *, path: str) -> Answer:
        """Returns the answer about a video, whose faces are scored while they are found."""
        return self.watch(frames, path=path).answer

    def watch(self, frames: FrameFaces, *, path: str, by: Score | None = None) -> VideoAnswer:
        """Returns the answer about a video, and the face with the largest score of the person who decides.

        Args:
            frames: The faces of the video.
            path: The `path` of the answer.
            by: Scores a batch instead of `scores_at_once`, for example in another thread.
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
        """Builds the answer from the scores of all faces: the person with the largest mean score decides."""
        faces = tuple(replace(face, track=about.people[face.track or 0]) for face in scored)
        seen = {"people": len(set(about.people.values())), "notes": about.notes, "looked_at": about.looked_at}
        counts = {"frames": len(about.looked_at), "frames_without_face": about.without_face}
        known: dict[str, Any] = {"path": path, "kind": "video", **seen, **counts}
        if broken:
            reason = not_finite(broken, broken + len(faces))
            return Answer(UNUSABLE, None, None, self.video.threshold, reason=reason, **known)
        known["faces"] = faces
        if not faces:
            reason = "no face was found in any of the frames examined"
            return Answer(NO_FACE, None, None, self.video.threshold, reason=reason, **known)
        means = {person: float(np.mean([face.score for face in own])) for person, own in by_track(faces).items()}
        person = max(means, key=means.__getitem__)
        score, decision = means[person], self.video
        own = [face for face in faces if face.track == person]
        against = (too_few(len(own), len(about.looked_at)) or unlike_in_frames(own)) if self.domain else ""
        verdict, reason = self._verdict(score, decision, against)
        values = verdict, score, decision.calibrated(score), decision.threshold
        return Answer(*values, track=person, reason=reason, **known)

    def _verdict(self, score: float, decision: Decision, against: str) -> tuple[str, str]:
        """Returns the class of a score, or `undecided` and why: `against`, or that it lies between the thresholds."""
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
        """Returns the probability of fake of each face, (N,)."""
        return np.asarray([score for _, score in self.scored((None, face) for face in seen)], dtype=np.float64)

    def scored(self, seen: Iterable[tuple[Key, FaceView]], *, by: Score | None = None) -> Iterator[tuple[Key, float]]:
        """Scores faces as they come, a batch at a time.

        Args:
            seen: Pairs of a key and a face; the key is returned with the score.
            by: Scores a batch instead of `scores_at_once`, for example in another thread.
        """
        faces, by = iter(seen), by or self.scores_at_once
        while batch := list(islice(faces, self.batch_size)):
            yield from zip((key for key, _ in batch), by([face for _, face in batch]).tolist(), strict=True)

    def scores_at_once(self, seen: Sequence[FaceView]) -> NDArray[np.float64]:
        """Returns the probability of fake of each face, (N,), computed as one batch."""
        return self.probabilities(*self.tensors(seen))

    @torch.inference_mode()
    def probabilities(self, image: Tensor, mask: Tensor) -> NDArray[np.float64]:
        """Returns the probability of fake, (B,), as training and test compute it; NaN where logits aren't finite.

        With `mirror`, the logits of the image and of its mirror image are averaged first.

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
        """Returns the inputs of the network on its device: (B, 3, S, S) in [-1, 1] and (B, 1, S, S) in [0, 1]."""
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
