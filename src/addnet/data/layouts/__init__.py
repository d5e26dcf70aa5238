"""Data sets as they lie on disk → records."""

from collections.abc import Callable

from addnet.data.layouts.folder import list_folder, list_unlabelled, scan_folder, scan_unlabelled
from addnet.data.layouts.listing import Listing, Missing

LAYOUTS: dict[str, Callable[..., Listing]] = {"folder": list_folder, "unlabelled": list_unlabelled}

__all__ = ["LAYOUTS", "Listing", "Missing", "list_folder", "list_unlabelled", "scan_folder", "scan_unlabelled"]
