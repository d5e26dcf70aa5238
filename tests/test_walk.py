"""Each file below a folder is found once, whatever links there are, and what is left out is told."""

import os
import shutil

import pytest

from addnet.data.layouts.tree import Tree
from addnet.faces import iter_images, kind_of, walk
from addnet.faces.walk import entries

JPEG, EPS = b"\xff\xd8\xff\xe0" + bytes(20), b"%!PS-Adobe-3.0 EPSF-3.0"


def _put(root, *names, data=b""):
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(data)
    return root


def _reasons(found):
    return {left.name: left.reason for left in found.left_out}


@pytest.fixture
def root(tmp_path):
    return _put(tmp_path / "data", "train/real/b.jpg", "train/real/a.PNG", "train/fake/x/1.jpg", "train/fake/0.jpg")


def test_files_come_in_order_those_of_a_folder_before_its_folders(root):
    assert walk(root).images == ["train/fake/0.jpg", "train/fake/x/1.jpg", "train/real/a.PNG", "train/real/b.jpg"]
    assert next(iter_images(root)) == root / "train/fake/0.jpg"


@pytest.mark.parametrize("target", ["train/real", "train", "", "..", "../.."])
def test_a_link_into_or_above_the_folder_is_named_and_not_followed(root, target):
    before = walk(root).images
    (root / "train/real/loop").symlink_to((root / target).resolve())
    found = walk(root)
    assert found.images == before
    assert "link" in _reasons(found)["train/real/loop"]


def test_the_real_place_of_a_file_counts_and_not_a_link_that_comes_first(root):
    (root / "train/fake/aa").symlink_to(root / "train/real")
    (root / "train/fake/a.jpg").symlink_to(root / "train/real/b.jpg")
    found = walk(root)
    assert len(found.images) == 4
    assert "train/real/b.jpg" in found.images
    assert _reasons(found)["train/fake/a.jpg"] == "the same file as train/real/b.jpg"


def test_links_to_what_lies_elsewhere_are_followed_once(root, tmp_path):
    _put(tmp_path / "elsewhere", "c.jpg", "inner/d.jpg")
    (tmp_path / "elsewhere/back").symlink_to(root)
    for name in ("test", "val"):
        (root / name).symlink_to(tmp_path / "elsewhere")
    found = walk(root)
    assert found.images[:2] == ["test/c.jpg", "test/inner/d.jpg"]
    assert len(found.images) == 6
    assert set(_reasons(found)) == {"val", "test/back"}


def test_a_data_set_of_links_to_files_is_read(root, tmp_path):
    other = tmp_path / "links"
    other.mkdir()
    for number, file in enumerate(iter_images(root)):
        (other / f"{number}.jpg").symlink_to(file)
    assert len(walk(other).images) == 4


def test_a_file_with_two_names_counts_once(root):
    os.link(root / "train/real/b.jpg", root / "train/real/c.jpg")
    found = walk(root)
    assert len(found.images) == 4
    assert _reasons(found) == {"train/real/c.jpg": "the same file as train/real/b.jpg"}


def test_broken_links_and_pipes_are_named(root):
    (root / "gone.jpg").symlink_to(root / "nowhere")
    (root / "self.jpg").symlink_to(root / "self.jpg")
    os.mkfifo(root / "pipe.jpg")
    assert set(_reasons(walk(root))) == {"gone.jpg", "self.jpg", "pipe.jpg"}


def test_what_systems_and_tools_leave_behind_is_counted_and_not_read(root):
    _put(root, "@eaDir/a.jpg/SYNOFILE_THUMB_M.jpg", "__MACOSX/._a.jpg", "lost+found/x.jpg", "Thumbs.db", "._b.jpg")
    _put(root, ".ipynb_checkpoints/b-checkpoint.jpg")
    found = walk(root)
    assert len(found.images) == 4
    assert found.junk == {"@eaDir": 1, "__MACOSX": 1, "lost+found": 1, "Thumbs.db": 1, "hidden": 2}
    assert "hidden 2" in found.notes()[0]


def test_folders_of_masks_are_left_out_and_said_but_not_where_everything_is_evidence(root):
    _put(root, "train/fake/masks/0.png")
    assert _reasons(walk(root)) == {"train/fake/masks": "a folder of masks, not of faces"}
    assert "train/fake/masks/0.png" in walk(root, evidence=True).images


def test_names_that_are_not_utf8_are_named_and_read_where_everything_is_evidence(root):
    shutil.copy(root / "train/real/b.jpg", os.fsencode(root) + b"/gesch\xe4ft.jpg")
    found = walk(root)
    assert len(found.images) == 4
    assert r"gesch\xe4ft.jpg: the name is not UTF-8" in found.notes()[0]
    assert len(walk(root, evidence=True).images) == 5


def test_what_no_suffix_tells_is_told_by_content_and_the_rest_is_counted_by_suffix(tmp_path):
    _put(tmp_path, "no_suffix", "face.image", data=JPEG)
    _put(tmp_path, "clip.bin", data=b"\x00\x00\x00\x20ftypisom" + bytes(30))
    _put(tmp_path, "a.heic", "b.heic", data=b"\x00\x00\x00\x18ftypheic\x00\x00\x00\x00mif1heic")
    _put(tmp_path, "list.txt", "drawing.eps", data=EPS)
    found = walk(tmp_path)
    assert found.images == ["face.image", "no_suffix"]
    assert found.videos == ["clip.bin"]
    assert found.notes() == ["4 files are neither images nor videos: .heic 2, .eps 1, .txt 1"]


@pytest.mark.parametrize("suffix", ["tif", "TIFF", "jfif", "jpe", "ppm", "avif", "jp2"])
def test_less_common_suffixes_of_images_are_known(suffix):
    assert kind_of(f"a.{suffix}") == "image"


@pytest.mark.parametrize("suffix", ["gif", "divx", "f4v", "qt", "vob", "mxf", "h264"])
def test_less_common_suffixes_of_videos_are_known(suffix):
    assert kind_of(f"a.{suffix}") == "video"


def test_listings_of_single_folders_leave_out_the_same(root, caplog):
    _put(root / "train/real", "Thumbs.db", ".hidden.jpg", "@eaDir/x.jpg")
    shutil.copy(root / "train/real/b.jpg", os.fsencode(root / "train/real") + b"/gesch\xe4ft.jpg")
    assert sorted(entry.name for entry in entries(root / "train/real")) == ["a.PNG", "b.jpg"]
    assert r"gesch\xe4ft.jpg" in caplog.text


def test_folders_of_frames_are_listed_once_and_without_masks(root):
    (root / "train/fake/x/loop").symlink_to(root)
    _put(root, "train/fake/x/10.jpg", "train/fake/x/2.jpg", "train/fake/masks/1.png", "train/fake/x/models/1.png")
    found = {folder: [name for _, name in found] for folder, found in Tree(root).image_folders("train/fake")}
    assert found == {"train/fake": ["0.jpg"], "train/fake/x": ["1.jpg", "2.jpg", "10.jpg"]}
