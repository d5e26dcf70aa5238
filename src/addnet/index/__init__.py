"""Which pictures there are and what was found in each: records, and the face index in one Parquet file."""

from addnet.index.records import CLASS_NAMES, FAKE, REAL, UNLABELLED, Record, Records

__all__ = ["CLASS_NAMES", "FAKE", "REAL", "UNLABELLED", "Record", "Records"]
