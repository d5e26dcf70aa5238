"""FaceShifter: the fifth set of fakes of FaceForensics++, which came later and is tested as a separate data set.

    original_sequences/youtube/<compression>/videos/000.mp4
    manipulated_sequences/FaceShifter/<compression>/videos/000_003.mp4
    splits/{train,val,test}.json                     from the repository of FaceForensics++

"All original videos have been manipulated by the authors and shared with us": FaceForensics `dataset/FaceShifter`
(Li et al. 2020, arXiv 1912.13457); there are no masks, and only the fakes are distributed in addition. The tree, the
originals and the lists are those of FaceForensics++, and so are the groups. The field (DeepfakeBench's `FaceShifter`)
tests on the videos of the test list.
"""

from __future__ import annotations

from pathlib import Path

from addnet.data.layouts.faceforensics import list_faceforensics
from addnet.data.layouts.listing import Listing

DATASET = "FaceShifter"


def scan_faceshifter(
    root: Path, *, compression: str = "c23", splits: str | None = None, source: str = "auto"
) -> Listing:
    """Lists FaceShifter by the lists of FaceForensics++.

    Args:
        root: FaceForensics++: holds `original_sequences/` and `manipulated_sequences/`.
        compression: `raw`, `c23` or `c40`.
        splits: Folder of `train.json`, `val.json` and `test.json`; None: `splits/`, `dataset/splits/` or `root`.
        source: `videos`, `images`, or `auto`: images if there are any.

    Raises:
        UserError: Unknown option, no such folder, or a damaged list.
    """
    return list_faceforensics(root, (DATASET,), compression=compression, splits=splits, source=source, dataset=DATASET)
