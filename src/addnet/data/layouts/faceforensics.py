"""FaceForensics++ as its download script writes it.

    original_sequences/youtube/<compression>/{videos/000.mp4, images/000/0000.png}
    manipulated_sequences/<method>/<compression>/{videos/000_003.mp4, images/000_003/0000.png}
    splits/{train,val,test}.json                     from the repository

Folders, methods and compressions: FaceForensics `dataset/extract_compressed_videos.py` and `dataset/README.md`;
FaceShifter: `dataset/FaceShifter/README.md`. DeepfakeBench keeps crops in `frames/` next to `videos/` and the lists in
the folder itself; both are found too.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from addnet.data.layouts.listing import Listing
from addnet.data.layouts.names import DFD, FACEFORENSICS
from addnet.data.layouts.pairs import read_official
from addnet.data.layouts.parts import Part, list_parts
from addnet.data.layouts.tree import Tree, join
from addnet.errors import require_choice
from addnet.index.records import FAKE, REAL

METHODS = ("Deepfakes", "Face2Face", "FaceSwap", "NeuralTextures", "FaceShifter")
COMPRESSIONS = ("raw", "c23", "c40")
ORIGINALS = "youtube"


def scan_faceforensics(
    root: Path,
    *,
    methods: Sequence[str] = METHODS[:4],
    compression: str = "c23",
    splits: str | None = None,
    source: str = "auto",
) -> Listing:
    """Lists FaceForensics++ by its official split lists.

    Args:
        root: Holds `original_sequences/` and `manipulated_sequences/`.
        methods: Methods whose fakes are listed; FaceShifter, which came later and is usually tested separately, is not
            among the default ones.
        compression: `raw`, `c23` or `c40`.
        splits: Folder of `train.json`, `val.json` and `test.json`; None: `splits/`, `dataset/splits/` or `root`.
        source: `videos`, `images` or `auto` (images where there are any).

    Raises:
        UserError: Unknown option, no such folder, or a damaged list.
    """
    for method in methods:
        require_choice("data.options.methods", method, METHODS)
    listing = list_faceforensics(root, methods, compression=compression, splits=splits, source=source)
    unused = sorted(Tree(root).folders("manipulated_sequences") - {*methods, DFD})
    notes = [f"manipulated_sequences/{name} exists but is not among data.options.methods" for name in unused]
    return replace(listing, notes=[*listing.notes, *notes])


def list_faceforensics(
    root: Path,
    methods: Sequence[str],
    *,
    compression: str,
    splits: str | None,
    source: str,
    dataset: str = FACEFORENSICS,
) -> Listing:
    """Lists the originals and the fakes of some methods by the official lists, as a data set named `dataset`.

    Raises:
        UserError: Unknown compression or source, no such folder, or a damaged list.
    """
    require_choice("data.options.compression", compression, COMPRESSIONS)
    tree = Tree(root)
    pairs = read_official(root, splits)
    parts = [original_part(compression)]
    parts += [
        Part(f"manipulated_sequences/{method}/{compression}", FAKE, method, f"{method}/{compression}")
        for method in methods
    ]
    listing = list_parts(tree, parts, lambda _, video: pairs.place(video), dataset=dataset, source=source)
    return replace(listing, missing=[*pairs.missing, *listing.missing], notes=[*pairs.notes, *listing.notes])


def original_part(compression: str, *, base: str = "") -> Part:
    """The part with the original videos."""
    path = join(base, "original_sequences", ORIGINALS, compression)
    return Part(path, REAL, ORIGINALS, f"{ORIGINALS}/{compression}")
