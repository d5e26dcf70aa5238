"""Data sets as stored on disk → records.

A layout is a function `scan_<name>(root, **options) -> Listing`. All layouts use the same names in records: see
`names.py` for groups, and `parts.py` for data sets that consist of a handful of folders.
"""

from addnet.data.layouts.celebdf import scan_celebdf
from addnet.data.layouts.celebdfpp import scan_celebdfpp
from addnet.data.layouts.deeperforensics import scan_deeperforensics
from addnet.data.layouts.deepfakebench import scan_deepfakebench
from addnet.data.layouts.deepspeak import scan_deepspeak
from addnet.data.layouts.df40 import scan_df40
from addnet.data.layouts.dfd import scan_dfd
from addnet.data.layouts.dfdc import scan_dfdc
from addnet.data.layouts.dfdcp import scan_dfdcp
from addnet.data.layouts.dfdm import scan_dfdm
from addnet.data.layouts.faceforensics import scan_faceforensics
from addnet.data.layouts.faceshifter import scan_faceshifter
from addnet.data.layouts.fakeavceleb import scan_fakeavceleb
from addnet.data.layouts.ffiw import scan_ffiw
from addnet.data.layouts.folder import list_folder, list_unlabelled, scan_folder, scan_unlabelled
from addnet.data.layouts.kodf import scan_kodf
from addnet.data.layouts.listing import Listing, MissingPart
from addnet.data.layouts.manifest import scan_manifest
from addnet.data.layouts.options import Layout, list_data, options_of
from addnet.data.layouts.uadfv import scan_uadfv
from addnet.data.layouts.wilddeepfake import scan_wilddeepfake

LAYOUTS: dict[str, Layout] = {
    "folder": list_folder,
    "manifest": scan_manifest,
    "unlabelled": list_unlabelled,
    "wilddeepfake": scan_wilddeepfake,
    "faceforensics": scan_faceforensics,
    "faceshifter": scan_faceshifter,
    "dfd": scan_dfd,
    "celebdf": scan_celebdf,
    "celebdfpp": scan_celebdfpp,
    "dfdm": scan_dfdm,
    "dfdc": scan_dfdc,
    "dfdcp": scan_dfdcp,
    "uadfv": scan_uadfv,
    "deeperforensics": scan_deeperforensics,
    "ffiw": scan_ffiw,
    "fakeavceleb": scan_fakeavceleb,
    "kodf": scan_kodf,
    "deepspeak": scan_deepspeak,
    "deepfakebench": scan_deepfakebench,
    "df40": scan_df40,
}

__all__ = ["LAYOUTS", "Layout", "Listing", "MissingPart", "list_data", "options_of", "scan_folder", "scan_unlabelled"]
