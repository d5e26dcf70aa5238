"""An image → the input of the network, prepared as in the training of its checkpoint. NumPy only, no torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from addnet.errors import UserError, require_choice
from addnet.faces.crops import CropSettings, cut_face
from addnet.faces.descriptors import FaceDescriptor
from addnet.faces.domain import Domain, measure
from addnet.faces.framing import FramedCrops, Framing, box_of
from addnet.faces.geometry import Geometry, Landmarks
from addnet.faces.images import ImageArray
from addnet.faces.landmarks import Face, Landmarker
from addnet.faces.masks import AttentionMask, Mask
from addnet.faces.videos import Frame
from addnet.faces.views import View, view

KINDS = ("auto", "crops", "scenes")
FACES = ("largest", "all")
VALUE_RANGE = [-1.0, 1.0]
_KEYS = {"image_size", "align", "crop", "margin", "mask", "mask_of", "detector", "value_range"}
_MEASURED = {"framing", "domain"}
# by `Geometry.crop`: side, relative to the landmarks' box, that contains a square of margin 1 at any rotation
_ROOM = {"face": 2.0, "template": 2.8}
_CROPS, _SCENES = "/crops/", "/scenes/"  # in the signature of a `Landmarker`


@dataclass(frozen=True)
class FaceView:
    """One face as the network sees it.

    Attributes:
        image: (S, S, 3) uint8, RGB.
        mask: (s, s) float32, from `AttentionMask.draw_small`.
        landmarks: (68, 2) in pixels of `image`; None without a face.
        face: The face in pixels of the whole image or frame; its step is `none` without a face.
        found: Number of faces in the image, this one included.
        unlike: How the face differs from the images of training, in words; empty if it doesn't, or if that is unknown.
    """

    image: ImageArray
    mask: Mask
    landmarks: Landmarks | None
    face: Face
    found: int = 0
    unlike: str = ""


@dataclass(frozen=True)
class Preprocessing:
    """Prepares images for the network. Can be pickled.

    Attributes:
        geometry: Which part of an image the network sees.
        mask: How masks are drawn.
        landmarker: Finds faces in images that are crops of one face.
        framing: Position and size of faces in the images of training; None: as in crops that `prepare` makes.
        domain: Statistics of those images; None: no image is called unlike them.
    """

    geometry: Geometry
    mask: AttentionMask
    landmarker: Landmarker
    framing: Framing | None = None
    domain: Domain | None = None

    @classmethod
    def from_values(cls, values: Mapping[str, Any], *, landmark_model: str | None = None) -> Preprocessing:
        """Builds the preprocessing that a checkpoint describes.

        Args:
            values: The `preprocessing` of its `addnet` entry.
            landmark_model: File of its landmark model, if that isn't the packaged one.

        Raises:
            UserError: A value is missing, or images can't be prepared here as they were in training.
        """
        if lacking := sorted(_KEYS - set(values)):
            raise UserError(f"the checkpoint doesn't say how images were prepared: {', '.join(lacking)} missing")
        if unknown := sorted(set(values) - _KEYS - _MEASURED):
            raise UserError(
                f"the checkpoint's preprocessing has {', '.join(unknown)}, which this version doesn't support"
            )
        if list(values["value_range"]) != VALUE_RANGE:
            raise UserError(
                f"the checkpoint's value_range={values['value_range']} isn't supported; expected {VALUE_RANGE}"
            )
        if values["mask_of"] != "own":
            raise UserError(
                f"the network was trained with data.mask_of={values['mask_of']}, an ablation in which images get the "
                "masks of other images: evaluate it with `addnet evaluate`, since a single image has no such mask"
            )
        crop = "image" if values["crop"] == "picture" else values["crop"]  # its name until November 2026
        try:
            geometry = Geometry(align=values["align"], crop=crop, margin=values["margin"], size=values["image_size"])
            mask = AttentionMask(**values["mask"])
        except (TypeError, AttributeError) as error:
            raise UserError(f"the checkpoint's preprocessing is invalid: {error}") from error
        landmarker = Landmarker(landmark_model)
        _require_same(str(values["detector"]), landmarker)
        framing = Framing.from_values(values["framing"]) if values.get("framing") else None
        domain = Domain.from_values(values["domain"]) if values.get("domain") else None
        return cls(geometry, mask, landmarker, framing, domain)

    def of_image(
        self, image: ImageArray, *, kind: str = "auto", faces: str = "largest", without_face: bool = False
    ) -> list[FaceView]:
        """Finds the faces of an image and prepares them for the network.

        Args:
            image: (H, W, 3) uint8, RGB.
            kind: `crops`: the image is the crop of a face, as in training. `scenes`: faces are cut out of it. `auto`:
                the whole image is used if it has one face, framed as in the images of training; else faces are cut out.
            faces: Which faces: the `largest`, or `all`.
            without_face: Whether an image without a face is used whole, with a mask of ones, as in training.

        Returns:
            The faces, the largest first; empty if there are none.
        """
        require_choice("kind", kind, KINDS)
        require_choice("faces", faces, FACES)
        landmarker = self.landmarker if kind == "crops" else self.scenes
        found = landmarker.all_faces(image)
        chosen = found[: None if faces == "all" and kind != "crops" else 1]
        if not found:
            return [self.whole(image, Face("none"))] if without_face else []
        cut = kind == "scenes" or (kind == "auto" and not (len(chosen) == 1 and self._fits(chosen[0], image)))
        seen = (self.cut(image, face) if cut else self.whole(image, face) for face in chosen)
        return [replace(face, found=len(found)) for face in seen]

    @cached_property
    def scenes(self) -> Landmarker:
        """Finds faces in images that need not be crops."""
        return replace(self.landmarker, face_crops=False)

    @cached_property
    def descriptor(self) -> FaceDescriptor:
        """Recognises a person in a video again after a cut."""
        return FaceDescriptor()

    def load(self) -> None:
        """Loads the landmarker now instead of at the first image.

        Raises:
            UserError: dlib isn't installed, or the model file is missing or invalid.
        """
        self.scenes.load()

    def crops(self, **settings: Any) -> CropSettings:
        """Returns how faces are cut out of scenes, so that crops are framed like the images of training.

        Args:
            settings: Further fields of `CropSettings`.
        """
        if self.geometry.crop in _ROOM:  # the geometry crops again, perhaps rotated: leave room for that
            return CropSettings(margin=_ROOM[self.geometry.crop] * self.geometry.margin, **settings)
        return FramedCrops(framing=self.framing or Framing(), **settings)

    def cut(self, image: ImageArray, face: Face) -> FaceView:
        """Cuts a face out of an image and prepares it for the network.

        Raises:
            ValueError: The face has no landmarks.
        """
        crop = cut_face(Frame(0, None, image), face, 0, settings=self.crops())
        return replace(self.whole(crop.image, crop.face), face=face)

    def whole(self, image: ImageArray, face: Face) -> FaceView:
        """Prepares a whole image for the network, as in training.

        Args:
            image: (H, W, 3) uint8, RGB.
            face: The face found in it, in its pixels.
        """
        seen = view(image, face.landmarks, self.geometry)
        mask = self.mask.draw_small(seen.landmarks, self.geometry.size)
        return FaceView(seen.image, mask, seen.landmarks, face, unlike=self._unlike(seen, face))

    def _unlike(self, seen: View, face: Face) -> str:
        if self.domain is None or seen.landmarks is None or face.landmarks is None:
            return ""
        return self.domain.unlike(measure(seen.image, seen.landmarks, size=box_of(face.landmarks)[1]))

    def _fits(self, face: Face, image: ImageArray) -> bool:
        if self.geometry.crop in _ROOM:
            return True
        return face.landmarks is not None and (self.framing or Framing()).fits(face.landmarks, image.shape)


def _require_same(signature: str, landmarker: Landmarker) -> None:
    """Raises if faces were found in training by another landmarker than the one used here."""
    mine = landmarker.signature()
    if signature.replace(_SCENES, _CROPS) != mine.replace(_SCENES, _CROPS):
        raise UserError(
            f"the checkpoint's faces were found by {signature!r}, but here by {mine!r}; name the landmark model "
            "of its training with detector.landmark_model=PATH (data.landmark_model=PATH to evaluate), or train again"
        )
