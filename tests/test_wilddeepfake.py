"""WildDeepfake is listed packed, gzipped, unpacked or mixed, and everything odd about it is told."""

import logging
import shutil
import tarfile
from collections import Counter

import pytest

from addnet.data.layouts.wilddeepfake import scan_wilddeepfake
from addnet.errors import UserError
from addnet.faces import decode_image
from addnet.index.records import FAKE, REAL
from addnet.index.storage import Storage
from replicas_wild import FRAMES, PARTS, make_wilddeepfake, pack, png

IMAGES = 4 * 2 * 2 * len(FRAMES)
FORMS = {"plain": {}, "gzipped": {"compressed": True}, "unpacked": {"unpacked": True}}


@pytest.fixture
def root(tmp_path):
    return make_wilddeepfake(tmp_path / "wild")


def _facts(listing):
    return sorted((r.video_id, r.group_id, r.frame, r.label, r.split, r.dataset) for r in listing.images)


def _contents(root, listing, storage):
    images = listing.images
    return {(r.video_id, r.frame): storage.read(root / r.path, r.offset, r.length) for r in images}


@pytest.mark.parametrize("form", FORMS)
def test_every_image_is_found_and_is_the_right_one(tmp_path, form):
    root = make_wilddeepfake(tmp_path / "wild", **FORMS[form])
    listing = scan_wilddeepfake(root, cache_dir=tmp_path / "cache")
    contents = _contents(root, listing, Storage(tmp_path / "cache"))
    assert len(listing.images) == IMAGES == len(contents)
    assert contents["wilddeepfake/fake/train/2/1", 112] == png([PARTS.index("fake_train"), 2, 1, 112])
    assert decode_image(contents["wilddeepfake/real/test/1/0", 3]).shape == (24, 24, 3)
    assert not listing.missing


def test_packed_and_unpacked_say_the_same(tmp_path):
    facts = [_facts(scan_wilddeepfake(make_wilddeepfake(tmp_path / form, **FORMS[form]))) for form in FORMS]
    assert facts[0] == facts[1] == facts[2]


def test_labels_splits_and_sequences(root):
    records = scan_wilddeepfake(root).images
    counts = Counter((r.split, r.label) for r in records)
    assert counts == dict.fromkeys([(s, c) for s in ("train", "test") for c in (REAL, FAKE)], IMAGES // 4)
    frames = Counter(r.video_id for r in records)
    assert set(frames.values()) == {len(FRAMES)}
    assert len(frames) == 16
    assert {r.path.split("/")[0] for r in records if r.video_id == "wilddeepfake/real/test/1/0"} == {"real_test"}


def test_no_sequence_is_in_train_and_test(root):
    records = scan_wilddeepfake(root).images
    groups = [{r.group_id for r in records if r.split == split} for split in ("train", "test")]
    assert not groups[0] & groups[1]


def test_groups_may_be_archives(root):
    records = scan_wilddeepfake(root, group="archive").images
    assert {r.group_id for r in records if r.video_id.startswith("wilddeepfake/fake/train/1/")} == {
        "wilddeepfake/fake/train/1"
    }
    with pytest.raises(UserError, match=r"data\.options\.group='video'"):
        scan_wilddeepfake(root, group="video")


def test_other_spellings_and_the_parent_folder(tmp_path, root):
    facts = _facts(scan_wilddeepfake(root))
    shutil.move(root, tmp_path / "new" / "deepfake_in_the_wild")
    for part in PARTS:
        folder = tmp_path / "new" / "deepfake_in_the_wild" / part
        folder.rename(folder.with_name(part.replace("_", " ")))
    listing = scan_wilddeepfake(tmp_path / "new")
    assert _facts(listing) == facts
    assert listing.images[0].path.startswith("deepfake_in_the_wild/real train/1.tar.gz/1/real/0/")


def test_archives_and_folders_may_be_mixed(root):
    facts = _facts(scan_wilddeepfake(root))
    for name, into in (("1", "."), ("2", "2")):
        with tarfile.open(root / "fake_train" / f"{name}.tar.gz") as tar:
            tar.extractall(root / "fake_train" / into, filter="data")
        (root / "fake_train" / f"{name}.tar.gz").unlink()
    (root / "fake_train" / "2").rename(root / "fake_train" / "2.tar.gz")  # a folder by the archive's name
    assert _facts(scan_wilddeepfake(root)) == facts


def test_an_archive_beside_its_folder_counts_once(root):
    facts = _facts(scan_wilddeepfake(root))
    with tarfile.open(root / "fake_train" / "1.tar.gz") as tar:
        tar.extractall(root / "fake_train", filter="data")
    listing = scan_wilddeepfake(root)
    assert _facts(listing) == facts
    assert any("next to it is ignored" in note for note in listing.notes)


def test_a_damaged_archive_is_left_out_and_named(root, tmp_path, caplog):
    archive = root / "fake_train" / "2.tar.gz"
    archive.write_bytes(archive.read_bytes()[:3_000])
    with caplog.at_level(logging.WARNING):
        listing = scan_wilddeepfake(root, cache_dir=tmp_path / "cache")
    assert len(listing.images) == IMAGES - 2 * len(FRAMES)
    assert str(archive) in caplog.text
    assert any(str(archive) in note and "damaged" in note for note in listing.notes)


def test_a_hostile_archive_is_left_out_and_named(root):
    with tarfile.open(root / "fake_train" / "3.tar.gz", "w") as tar:
        tar.addfile(tarfile.TarInfo("../../3/fake/0/1.png"))
    listing = scan_wilddeepfake(root)
    assert len(listing.images) == IMAGES
    assert any("leaves the archive" in note for note in listing.notes)


def test_the_folder_serves_where_its_archive_is_damaged(root):
    facts = _facts(scan_wilddeepfake(root))
    archive = root / "fake_train" / "1.tar.gz"
    with tarfile.open(archive) as tar:
        tar.extractall(root / "fake_train", filter="data")
    archive.write_bytes(b"<html>not found</html>")
    listing = scan_wilddeepfake(root)
    assert _facts(listing) == facts
    assert any("damaged" in note for note in listing.notes)


def test_a_class_that_contradicts_its_part_is_left_out_and_told(root):
    inner = root / "fake_train" / "3" / "real" / "0"
    inner.mkdir(parents=True)
    (inner / "1.png").write_bytes(png(0))
    pack(root / "fake_train" / "3")
    listing = scan_wilddeepfake(root)
    assert len(listing.images) == IMAGES
    assert any("1 image in fake_train/3.tar.gz/3/real/0" in note for note in listing.notes)


def test_what_is_no_image_is_passed_over(root):
    folder = root / "real_train" / "3" / "real" / "0"
    folder.mkdir(parents=True)
    for name in ("._12.png", "Thumbs.db", "12.txt"):
        (folder / name).write_bytes(b"x")
    pack(root / "real_train" / "3")
    assert len(scan_wilddeepfake(root).images) == IMAGES


@pytest.mark.parametrize(("name", "frame"), [("007", 7), ("frame_12", 12), ("portrait", -1), ("9" * 30, -1)])
def test_frames_are_numbered_by_their_names(tmp_path, name, frame):
    root = make_wilddeepfake(tmp_path / "wild", unpacked=True)
    (root / "real_train" / "1" / "real" / "0" / "3.png").rename(
        root / "real_train" / "1" / "real" / "0" / f"{name}.png"
    )
    frames = {r.path.rpartition("/")[2]: r.frame for r in scan_wilddeepfake(root).images}
    assert frames[f"{name}.png"] == frame


def test_missing_parts_are_told(root):
    shutil.rmtree(root / "real_test")
    shutil.rmtree(root / "fake_train")
    (root / "real_train" / "1.tar.gz").rename(root / "real_train" / "5.tar.gz")
    missing = {part.path: part for part in scan_wilddeepfake(root).missing}
    assert missing["fake_train"].needed
    assert not missing["real_test"].needed
    assert "2 of the numbers" in missing["real_train/{3,4}.tar.gz"].what


def test_a_part_without_images_is_missing(root):
    for archive in (root / "real_train").iterdir():
        archive.write_bytes(b"")
    assert "real_train/<N>.tar.gz" in [part.path for part in scan_wilddeepfake(root).missing]


def test_the_same_part_twice_is_refused(root):
    shutil.copytree(root / "real_train", root / "real train")
    with pytest.raises(UserError, match="same part"):
        scan_wilddeepfake(root)
    with pytest.raises(UserError, match="no such folder"):
        scan_wilddeepfake(root / "nothing")


def test_that_source_videos_are_not_known_is_said(root):
    assert "may share some" in scan_wilddeepfake(root).notes[0]


def test_archives_are_walked_once(root, tmp_path, monkeypatch):
    facts = _facts(scan_wilddeepfake(root, cache_dir=tmp_path))
    monkeypatch.setattr("addnet.index.member_cache.list_members", lambda *_, **__: pytest.fail("walked again"))
    assert _facts(scan_wilddeepfake(root, cache_dir=tmp_path)) == facts
