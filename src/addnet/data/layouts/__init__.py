"""Data sets as they lie on disk → records."""

from addnet.data.layouts.folder import scan_folder, scan_unlabelled

LAYOUTS = {"folder": scan_folder}

__all__ = ["LAYOUTS", "scan_folder", "scan_unlabelled"]
