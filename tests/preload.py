"""What the fork server of `warm` has imported and read before it forks."""

import importlib
from contextlib import suppress

LIBRARIES = (
    "pytorch_lightning",
    "torchmetrics.classification",
    "torchvision.transforms.v2",
    "timm",
    "dlib",
    "cv2",
    "av",
    "pyarrow.parquet",
    "hydra",
    "rich.progress",
    "matplotlib.figure",
)

for library in LIBRARIES:
    with suppress(ImportError):
        importlib.import_module(library)

from addnet.faces.landmarks import Landmarker  # noqa: E402

with suppress(Exception):
    Landmarker().load()  # 100 MB
