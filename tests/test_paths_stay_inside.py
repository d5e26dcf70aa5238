"""What an index, a manifest or a list names lies below the folder that the user named, or the user says otherwise."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest

from addnet.data.layouts import LAYOUTS
from addnet.data.layouts.options import list_data
from addnet.data.sources import Source
from addnet.errors import UserError
from addnet.index.file import rows_of, write_index

WAYS_OUT = ["../secret.png", "/etc/hostname.png", "inner/../../secret.png", "link.png", "away/secret.png"]


@pytest.fixture
def root(tmp_path):
    """A data folder with a secret image beside it, and links that lead there."""
    (folder := tmp_path / "data").mkdir()
    for name in ("secret.png", "data/a.png", "data/b.png"):
        (tmp_path / name).write_bytes(b"\x89PNG\r\n\x1a\n")
    (folder / "link.png").symlink_to(tmp_path / "secret.png")
    (folder / "away").symlink_to(tmp_path)
    return folder


def manifest(root, *paths, **options):
    rows = [f"{path},{number % 2}" for number, path in enumerate(paths)]
    (root / "manifest.csv").write_text("\n".join(["path,label", *rows]))
    return list_data(LAYOUTS, "manifest", root, options=options)


def index(file, root, *paths, own=True):
    """An index as the program writes it, or as it comes when somebody sends it: a copy."""
    row = dict.fromkeys(rows_of([]).column_names)
    about = {"video_id": "v", "group_id": "g", "dataset": "d", "method": "", "identity": "", "landmarks": ""}
    row |= {"label": 1, "split": "test", "frame": -1, "offset": -1, "length": 0, "size": 8, "step": "checked"}
    rows = rows_of([row | about | {"path": path} for path in paths])
    write_index(file, rows, lambda i, j: np.full((j - i, 136), np.nan, np.float32), root=str(root))
    if not own:
        shutil.copy(file, file.with_suffix(".copy"))
        file.with_suffix(".copy").replace(file)
    return file


@pytest.mark.parametrize("path", WAYS_OUT)
def test_a_manifest_that_leads_out_of_its_folder_is_refused_with_the_row_and_the_option(root, path):
    with pytest.raises(UserError, match=r"row 3: .* out.*data\.options\.outside=true"):
        manifest(root, "a.png", path)


def test_a_manifest_leads_anywhere_once_the_user_says_so(root, tmp_path):
    listing = manifest(root, "../secret.png", "link.png", str(tmp_path / "data/a.png"), outside=True)
    assert len(listing.images) == 3


def test_absolute_paths_below_the_folder_need_no_leave(root):
    assert len(manifest(root, str(root / "a.png"), "b.png").images) == 2


@pytest.mark.parametrize("path", WAYS_OUT)
def test_rows_of_a_foreign_index_stay_in_its_folder(root, path, tmp_path):
    file = index(root / "x.parquet", ".", "a.png", path, own=False)
    with pytest.raises(UserError, match=r"row 2: .* out.*data\.options\.outside=true"):
        Source("index", index=str(file), index_dir=str(tmp_path / "mine")).records()
    assert len(Source("index", index=str(file), options={"outside": True}).records()) == 2


@pytest.mark.parametrize("there", ["absolute", "relative"])
def test_a_foreign_index_does_not_choose_the_folder_that_is_read(root, tmp_path, there):
    (elsewhere := tmp_path / "sent").mkdir()
    file = index(elsewhere / "x.parquet", tmp_path if there == "absolute" else "..", "secret.png", own=False)
    with pytest.raises(UserError, match=r"not below its own folder; if you trust it, add data\.data_dir="):
        Source("index", index=str(file)).records()
    assert len(Source("index", str(tmp_path), str(file)).records()) == 1


def test_indexes_of_the_program_itself_go_on_working(root, tmp_path):
    mine = tmp_path / "index"
    absolute = index(mine / "x.parquet", root, "a.png", str(tmp_path / "secret.png"), own=False)
    assert len(Source("index", index=str(absolute), index_dir=str(mine)).records()) == 2
    assert len(Source("index", index=str(index(tmp_path / "y.parquet", root, "a.png", "link.png"))).records()) == 2


def test_an_index_as_others_write_it_has_no_control_characters(root):
    file = index(root / "x.parquet", ".", "a\n.png")
    with pytest.raises(UserError, match=r"path=a\\n\.png has control characters"):
        Source("index", index=str(file)).records()


def test_trust_makes_no_other_index(root):
    manifest(root, "a.png")
    one, other = (Source("manifest", str(root), options=options) for options in ({}, {"outside": True}))
    assert one.index_file == other.index_file


def test_a_list_of_files_stays_in_its_folder(root, tmp_path):
    (root / "list.txt").write_text("a.png\n../secret.png\n")
    with pytest.raises(UserError, match=r"secret\.png lies outside .* data=unlabelled .* data\.options\.outside=true"):
        list_data(LAYOUTS, "unlabelled", root / "list.txt", options={})
    assert len(list_data(LAYOUTS, "unlabelled", root / "list.txt", options={"outside": True}).images) == 2


def test_labels_that_come_with_a_data_set_name_no_folder_outside(root, tmp_path):
    (part := root / "dfdc_train_part_0").mkdir()
    (part / "metadata.json").write_text(json.dumps({"../../secret.mp4": {"label": "FAKE", "original": "a.mp4"}}))
    with pytest.raises(UserError, match="lies outside"):
        list_data(LAYOUTS, "dfdc", root, options={})


def test_no_layout_can_hand_on_a_path_that_leads_out(root):
    (root / "manifest.csv").write_text("path,label\n../secret.png,0")

    def careless(folder):
        return LAYOUTS["manifest"](folder, outside=True)

    with pytest.raises(UserError, match=r"\.\./secret\.png lies outside"):
        list_data({"careless": careless}, "careless", root, options={})
