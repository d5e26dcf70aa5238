"""An image → what the network sees of it, as in the training that its checkpoint tells of. NumPy alone, no torch."""

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
# sides of the landmarks' box that hold a square of margin 1 however it is turned, by `Geometry.crop`
_ROOM = {"face": 2.0, "template": 2.8}
_CROPS, _SCENES = "/crops/", "/scenes/"  # in the signature of a `Landmarker`


@dataclass(frozen=True)
class FaceView:
    """One face as the network sees it.

    Attributes:
        image: (S, S, 3) uint8, RGB.
        mask: (s, s) float32, from `AttentionMask.draw_small`.
        landmarks: (68, 2) in pixels of `image`; None without a face.
        face: What was found, in pixels of the whole image or frame; its step is `none` without a face.
        found: Faces in the image, this one and others.
        unlike: What of it is unlike the images of training, in words; empty where nothing is, or nothing is known.
    """

    image: ImageArray
    mask: Mask
    landmarks: Landmarks | None
    face: Face
    found: int = 0
    unlike: str = ""


@dataclass(frozen=True)
class Preprocessing:
    """What is done with images before the network sees them. Can be pickled.

    Attributes:
        geometry: Which part of an image is seen.
        mask: How masks are drawn.
        landmarker: Finds faces in images that are crops of one face.
        framing: How faces lay in the images of training; None: as in crops that `prepare` makes.
        domain: What those images were like; None: nothing is called unlike them.
    """

    geometry: Geometry
    mask: AttentionMask
    landmarker: Landmarker
    framing: Framing | None = None
    domain: Domain | None = None

    @classmethod
    def from_values(cls, values: Mapping[str, Any], *, landmark_model: str | None = None) -> Preprocessing:
        """What a checkpoint says of the preprocessing.

        Args:
            values: The `preprocessing` of its `addnet` entry.
            landmark_model: Where its landmark model lies, if that is not the packaged one.

        Raises:
            UserError: Something is missing, or can't be done here as it was done in training.
        """
        if lacking := sorted(_KEYS - set(values)):
            raise UserError(f"the checkpoint doesn't say how images were prepared: {', '.join(lacking)} missing")
        if unknown := sorted(set(values) - _KEYS - _MEASURED):
            raise UserError(f"the checkpoint's preprocessing has {', '.join(unknown)}, which this version can't follow")
        if list(values["value_range"]) != VALUE_RANGE:
            raise UserError(f"the checkpoint's value_range={values['value_range']} is not {VALUE_RANGE}")
        if values["mask_of"] != "own":
            raise UserError(
                f"the network was trained with data.mask_of={values['mask_of']}, an ablation in which images have "
                "masks of others: evaluate it by `addnet evaluate`, images alone have no such masks"
            )
        crop = "image" if values["crop"] == "picture" else values["crop"]  # its name until November 2026
        try:
            geometry = Geometry(align=values["align"], crop=crop, margin=values["margin"], size=values["image_size"])
            mask = AttentionMask(**values["mask"])
        except (TypeError, AttributeError) as error:
            raise UserError(f"the checkpoint's preprocessing can't be followed: {error}") from error
        landmarker = Landmarker(landmark_model)
        _require_same(str(values["detector"]), landmarker)
        framing = Framing.from_values(values["framing"]) if values.get("framing") else None
        domain = Domain.from_values(values["domain"]) if values.get("domain") else None
        return cls(geometry, mask, landmarker, framing, domain)

    def of_image(
        self, image: ImageArray, *, kind: str = "auto", faces: str = "largest", without_face: bool = False
    ) -> list[FaceView]:
        """The faces of an image as the network sees them.

        Args:
            image: (H, W, 3) uint8, RGB.
            kind: `crops`: the image is the crop of a face, as in training. `scenes`: faces are cut out of it. `auto`:
                it is taken whole where its only face lies in it as in the images of training, else cut.
            faces: The `largest`, or `all`.
            without_face: Whether an image without a face is seen whole, with a mask of ones, as in training.

        Returns:
            The largest first; empty where there is no face.
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
        """Knows a person in a video again after a cut."""
        return FaceDescriptor()

    def load(self) -> None:
        """Opens what finds faces now instead of at the first image.

        Raises:
            UserError: dlib isn't installed, or the model file is missing or none.
        """
        self.scenes.load()

    def crops(self, **settings: Any) -> CropSettings:
        """How faces are cut out of scenes, so that they lie in crops as in the images of training.

        Args:
            settings: Others of `CropSettings`.
        """
        if self.geometry.crop in _ROOM:  # it cuts itself, and what it cuts may be turned
            return CropSettings(margin=_ROOM[self.geometry.crop] * self.geometry.margin, **settings)
        return FramedCrops(framing=self.framing or Framing(), **settings)

    def cut(self, image: ImageArray, face: Face) -> FaceView:
        """A face that is cut out of an image.

        Raises:
            ValueError: It has no landmarks.
        """
        crop = cut_face(Frame(0, None, image), face, 0, settings=self.crops())
        return replace(self.whole(crop.image, crop.face), face=face)

    def whole(self, image: ImageArray, face: Face) -> FaceView:
        """An image that is taken as it is, as in training.

        Args:
            image: (H, W, 3) uint8, RGB.
            face: What was found in it, in its pixels.
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
    """Raises where faces were found otherwise than they are found here."""
    mine = landmarker.signature()
    if signature.replace(_SCENES, _CROPS) != mine.replace(_SCENES, _CROPS):
        raise UserError(
            f"the checkpoint's faces were found by {signature!r}, here it would be {mine!r}; name the landmark "
            "model of then with detector.landmark_model=PATH (data.landmark_model=PATH to evaluate), or train anew"
        )
