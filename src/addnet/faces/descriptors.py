"""A face → a descriptor of 128 numbers that is near those of other images of the same person, by dlib.

The network (`dlib_face_recognition_resnet_model_v1.dat`, Davis King, 2017; 99.38 % on Labeled Faces in the Wild) was
placed in the public domain by its author; half of its three million training images come from FaceScrub and VGG Face,
which have terms of their own, the rest from the web.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from addnet.errors import UserError
from addnet.faces.images import ImageArray
from addnet.faces.landmarks import Face, packaged_model

DESCRIPTOR_FILE = "dlib_face_recognition_resnet_model_v1.dat"
SAME_PERSON = 0.6  # dlib's own threshold for one pair; among thousands of faces, some strangers are this near


@dataclass
class FaceDescriptor:
    """Computes descriptors of faces; the distance of two descriptors indicates whether they may be one person.

    Attributes:
        model_path: A model file to use instead of the packaged one.
    """

    model_path: str | None = None

    def __call__(self, image: ImageArray, face: Face) -> NDArray[np.float32]:
        """Describes one face.

        Args:
            image: (H, W, 3) uint8, RGB.
            face: A face with its 68 landmarks.

        Returns:
            (128,) of length about 1.

        Raises:
            UserError: The face has no landmarks, or the model file is not a dlib face recognition network.
        """
        import dlib

        if face.landmarks is None:
            raise UserError("a face without landmarks cannot be described; leave it out")
        corners = np.concatenate([face.landmarks.min(axis=0), face.landmarks.max(axis=0)]).round().astype(int).tolist()
        landmarks = [dlib.point(int(x), int(y)) for x, y in face.landmarks.round()]
        shape = dlib.full_object_detection(dlib.rectangle(*corners), landmarks)
        descriptor = self._network.compute_face_descriptor(np.ascontiguousarray(image), shape)
        return np.asarray(descriptor, dtype=np.float32)

    @cached_property
    def _network(self) -> Any:
        import dlib

        path = Path(self.model_path) if self.model_path else packaged_model(DESCRIPTOR_FILE, option="audit.face_model")
        if not path.is_file():
            raise UserError(f"audit.face_model={path}: no such file")
        try:
            return dlib.face_recognition_model_v1(str(path))
        except RuntimeError as error:
            raise UserError(f"{path} is not a dlib face recognition network: {error}") from error

    def __getstate__(self) -> dict[str, Any]:
        """Excludes dlib's network from pickling: every process opens its own."""
        return {key: value for key, value in self.__dict__.items() if key != "_network"}
