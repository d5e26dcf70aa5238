"""Writes a data set of synthetic portraits and of deepfakes made from them.

Identities come in pairs (a, b) whose faces are swapped with each other. A pair is therefore a group, all of whose
images must be in the same split::

    <root>/train/real/p0012_a_03.jpg    pair 12, identity a, view 3
    <root>/train/fake/p0012_ab_03.jpg   the same image with b's face on it
    <root>/generator.json               the parameters; written last, so that it marks a complete data set
"""

from __future__ import annotations

import contextlib
import itertools
import json
import shutil
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np

from addnet.data.synthetic.people import Identity, PortraitView, acting_like
from addnet.data.synthetic.portraits import ImageArray, develop, draw_portrait
from addnet.data.synthetic.swaps import swap_face
from addnet.errors import UserError

VERSION = 1  # raised whenever the same parameters produce other images
MARK = "generator.json"
RESOLUTION = (0.18, 0.26)  # face width in the generated faces, as a fraction of the image's side


class SwapPair(NamedTuple):
    """One real image, and the fake made from it with the partner's face."""

    split: str
    pair: int
    person: int
    view: int

    def path(self, label: str) -> Path:
        """Path of the image relative to the root; `label` is `real` or `fake`."""
        who = "ab"[self.person]
        name = who if label == "real" else who + "ba"[self.person]
        return Path(self.split, label, f"p{self.pair:04d}_{name}_{self.view:02d}.jpg")


def generate_dataset(
    root: Path,
    *,
    train: int,
    test: int,
    size: int = 160,
    seed: int = 0,
    views: int = 5,
    quality: int = 95,
    progress: Callable[[int, int], None] | None = None,
) -> None:
    """Writes the data set unless it already exists.

    Args:
        root: Folder to create. It appears under this name only when complete.
        train: Number of training images, half of them real.
        test: Number of test images, half of them real.
        size: Side of the images in pixels.
        seed: The same seed and parameters produce identical files.
        views: Number of real images of each identity.
        quality: JPEG quality of every file, 1 to 100.
        progress: Called with (done, total) after every two images.

    Raises:
        UserError: A count is odd or below 2, another parameter is out of range, or `root` holds anything but this data
            set.
    """
    parameters = {
        "version": VERSION,
        "train": train,
        "test": test,
        "size": size,
        "seed": seed,
        "views": views,
        "quality": quality,
    }
    root = root.absolute()
    _check(parameters)
    if _complete(root, parameters):
        return
    draft = root.with_name(f".{root.name}.{uuid.uuid4().hex}")
    first_of_test = -(-train // (4 * views))
    shots = [
        *_shots("train", train // 2, views, first=0),
        *_shots("test", test // 2, views, first=first_of_test),
    ]
    try:
        for done, shot in enumerate(shots, start=1):
            _write(draft, shot, size=size, seed=seed, quality=quality)
            if progress is not None:
                progress(2 * done, 2 * len(shots))
        (draft / MARK).write_text(json.dumps(parameters, indent=2) + "\n", encoding="utf-8")
        _publish(draft, root, parameters)
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def _check(parameters: dict[str, int]) -> None:
    for split in ("train", "test"):
        if parameters[split] < 2 or parameters[split] % 2:
            raise UserError(
                f"{split}={parameters[split]} is not a valid number of images, half of which are real and half fake; "
                "use an even number of at least 2"
            )
    for name, low, high in (("size", 32, 4096), ("views", 1, 100), ("quality", 1, 100), ("seed", 0, 2**63)):
        if not low <= parameters[name] <= high:
            raise UserError(f"{name}={parameters[name]} is not valid; use a whole number from {low} to {high}")


def _complete(root: Path, parameters: dict[str, int]) -> bool:
    """Whether `root` holds this data set: false if it is missing or empty; raises if it holds anything else."""
    if not root.exists() or (root.is_dir() and not any(root.iterdir())):
        return False
    mark = root / MARK
    if not mark.is_file():
        raise UserError(f"{root} holds other files than generated data (no {MARK}); choose an empty or new folder")
    try:
        recorded = json.loads(mark.read_text(encoding="utf-8"))
    except ValueError as error:
        raise UserError(f"{mark} is damaged; delete {root} to generate the data set again") from error
    if recorded != parameters:
        raise UserError(
            f"{root} was generated with other parameters: {recorded} instead of {parameters}; "
            "delete the folder or choose another one"
        )
    return True


def _publish(draft: Path, root: Path, parameters: dict[str, int]) -> None:
    """Renames the finished folder to its final name; if another process was faster, its identical result stays."""
    with contextlib.suppress(OSError):
        root.rmdir()  # an empty folder, because Windows can't rename to a name that exists
    try:
        draft.rename(root)
    except OSError:
        if not _complete(root, parameters):
            raise


def _shots(split: str, number: int, views: int, *, first: int) -> list[SwapPair]:
    every = (
        SwapPair(split, pair, person, view)
        for pair in itertools.count(first)
        for view in range(views)
        for person in (0, 1)
    )
    return list(itertools.islice(every, number))


def _write(root: Path, shot: SwapPair, *, size: int, seed: int, quality: int) -> None:
    """Writes the real and the fake image of one shot, which differ only in the face."""
    # always four numbers: SeedSequence pads with zeros, so that (seed, pair) would equal (seed, pair, 0, 0)
    persons = [Identity.draw(np.random.default_rng((seed, shot.pair, who, 0))) for who in (0, 1)]
    views = [PortraitView.draw(np.random.default_rng((seed, shot.pair, who, shot.view + 1))) for who in (0, 1)]
    view = views[shot.person]
    target, landmarks = draw_portrait(persons[shot.person], view, size=size)
    source, source_landmarks = draw_portrait(
        persons[1 - shot.person], acting_like(view, views[1 - shot.person]), size=size
    )
    share = np.random.default_rng((view.scene, 2)).uniform(*RESOLUTION)
    fake = swap_face(
        target, landmarks, source=source, source_landmarks=source_landmarks, resolution=round(share * size)
    )
    for label, image in (("real", target), ("fake", fake)):
        path = root / shot.path(label)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(encode(develop(image, view), quality=quality))


def encode(image: ImageArray, *, quality: int) -> bytes:
    """The bytes of a JPEG file of an RGB image, (H, W, 3) uint8."""
    _, encoded = cv2.imencode(".jpg", cv2.cvtColor(image, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, quality])
    return encoded.tobytes()
