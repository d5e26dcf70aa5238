"""The images of a data set and the face found in each: records, and the face index in one Parquet file."""

from addnet.index.faces import CHECKED, GIVEN, FaceIndex
from addnet.index.records import CLASS_NAMES, FAKE, REAL, UNLABELLED, Record, Records
from addnet.index.update import IndexUpdate

__all__ = [
    "CHECKED",
    "CLASS_NAMES",
    "FAKE",
    "GIVEN",
    "REAL",
    "UNLABELLED",
    "FaceIndex",
    "IndexUpdate",
    "Record",
    "Records",
]
