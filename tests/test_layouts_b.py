"""DFDC, its preview, UADFV, DeeperForensics and FFIW as their authors ship them become records."""

from __future__ import annotations

import inspect
import os
from collections import defaultdict
from pathlib import Path

import pytest

from addnet.config import load_group
from addnet.data.layouts.deeperforensics import scan_deeperforensics
from addnet.data.layouts.dfdc import scan_dfdc
from addnet.data.layouts.dfdcp import scan_dfdcp
from addnet.data.layouts.ffiw import scan_ffiw
from addnet.data.layouts.manifest import scan_manifest
from addnet.data.layouts.uadfv import scan_uadfv
from addnet.errors import UserError
from replicas_b import draw, make_deeperforensics, make_dfdc, make_dfdcp, make_ffiw, make_uadfv, touch, write

ALL = {
    "dfdc": (make_dfdc, scan_dfdc),
    "dfdcp": (make_dfdcp, scan_dfdcp),
    "uadfv": (make_uadfv, scan_uadfv),
    "deeperforensics": (make_deeperforensics, scan_deeperforensics),
    "ffiw": (make_ffiw, scan_ffiw),
}


@pytest.fixture(params=ALL)
def layout(request, tmp_path):
    """(root, scan) of each replica."""
    make, scan = ALL[request.param]
    return make(tmp_path), scan


def by_path(listing):
    return {record.path: record for record in (*listing.images, *listing.videos)}


def extract(root, listing):
    """Images of all videos, in a folder of frames beside each."""
    for video in listing.videos:
        path = Path(video.path)
        beside = path.parent.parent if path.parent.name == "videos" else path.parent
        draw(root, beside / "frames" / path.stem)


def test_every_record_is_a_file_that_is_there(layout):
    root, scan = layout
    listing = scan(root)
    assert len(listing.videos) >= 10
    assert all((root / record.path).is_file() for record in listing.videos)


def test_a_whole_data_set_lacks_nothing(layout):
    root, scan = layout
    assert scan(root).missing == []


def test_no_two_videos_share_an_id(layout):
    root, scan = layout
    ids = [record.video_id for record in scan(root).videos]
    assert len(set(ids)) == len(ids)


def test_no_group_is_in_two_splits(layout):
    root, scan = layout
    splits = defaultdict(set)
    for record in scan(root).videos:
        splits[record.group_id].add(record.split)
    assert all(len(found) == 1 for found in splits.values())


def test_most_fakes_are_grouped_with_a_real_video(layout):
    root, scan = layout
    videos = scan(root).videos
    reals = {record.group_id for record in videos if record.label == 0 and record.split == "train"}
    fakes = {record.group_id for record in videos if record.label == 1 and record.split == "train"}
    assert fakes <= reals


def test_extracted_images_are_preferred_and_tell_their_frame(layout):
    root, scan = layout
    before = scan(root)
    extract(root, before)
    after = scan(root)
    assert len(after.videos) == 0
    assert len(after.images) == 3 * len(before.videos)
    assert [record.frame for record in after.images][:3] == [0, 7, 12]
    assert {r.video_id: (r.label, r.split, r.group_id) for r in after.images} == {
        r.video_id: (r.label, r.split, r.group_id) for r in before.videos
    }


def test_images_alone_are_enough(layout):
    root, scan = layout
    before = scan(root)
    extract(root, before)
    for record in before.videos:
        (root / record.path).unlink()
    images = scan(root).images
    assert {r.video_id for r in images} == {r.video_id for r in before.videos}
    assert all((root / r.path).is_file() for r in images)


def test_source_images_leaves_videos_aside(layout):
    root, scan = layout
    listing = scan(root, source="images")
    assert len(listing.images) == len(listing.videos) == 0
    assert any("no images were extracted from them" in note for note in listing.notes)


@pytest.mark.parametrize("name", [*ALL, "manifest"])
def test_yaml_and_signature_agree(name):
    scan = {**{key: value[1] for key, value in ALL.items()}, "manifest": scan_manifest}[name]
    node = load_group("data", name)
    defaults = {key: p.default for key, p in inspect.signature(scan).parameters.items() if key not in ("root", "file")}
    if name == "manifest":
        defaults |= {"root": None}
    assert node["layout"] == name
    assert {key: list(v) if isinstance(v, tuple) else v for key, v in defaults.items()} == node["options"]


def test_a_folder_that_cannot_be_read_is_no_empty_folder(tmp_path, monkeypatch):
    make_uadfv(tmp_path)

    def refused(path):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "scandir", refused)
    with pytest.raises(UserError, match=r"cannot read .*Permission denied"):
        scan_uadfv(tmp_path)


def test_source_videos_leaves_images_aside(layout):
    root, scan = layout
    before = scan(root)
    extract(root, before)
    assert scan(root, source="videos").videos == before.videos


def test_videos_without_images_are_told_when_others_have_some(tmp_path):
    make_uadfv(tmp_path)
    draw(tmp_path, "real/frames/0003")
    listing = scan_uadfv(tmp_path)
    assert {record.video_id for record in listing.images} == {"UADFV/real/0003"}
    assert any(note.startswith("48 videos are left out: no images were extracted from them") for note in listing.notes)


def test_unknown_source_is_answered(layout):
    root, scan = layout
    with pytest.raises(UserError, match=r"data\.options\.source='frames' is unknown.*auto, videos, images"):
        scan(root, source="frames")


def test_an_empty_folder_lacks_what_is_needed(tmp_path):
    for _, scan in ALL.values():
        listing = scan(tmp_path)
        assert any(missing.needed for missing in listing.missing)
        assert all("." in missing.what for missing in listing.missing if missing.needed)  # where it is to be had


def test_no_such_folder_is_answered(tmp_path):
    for _, scan in ALL.values():
        with pytest.raises(UserError, match="no such folder"):
            scan(tmp_path / "nowhere")


def test_landmarks_of_deepfakebench_come_with_the_frames(tmp_path):
    draw(tmp_path, "real/frames/0000")
    touch(tmp_path, "real/landmarks/0000/000.npy", "real/landmarks/0000/012.npy")
    assert [record.landmarks for record in scan_uadfv(tmp_path).images] == [
        "real/landmarks/0000/000.npy",
        "",
        "real/landmarks/0000/012.npy",
    ]


def test_hidden_files_of_other_systems_are_no_videos(tmp_path):
    make_uadfv(tmp_path)
    touch(tmp_path, "real/._0000.mp4", "fake/._0000_fake.mp4")
    listing = scan_uadfv(tmp_path)
    assert len(listing.videos) == 98
    assert listing.notes == []


# DFDC


def test_dfdc_keeps_a_fake_with_its_original_across_parts(tmp_path):
    records = by_path(scan_dfdc(make_dfdc(tmp_path)))
    fake = records["dfdc_train_part_3/fake3.mp4"]
    assert fake.group_id == records["dfdc_train_part_0/aaaaaaaaaa.mp4"].group_id == "DFDC/aaaaaaaaaa"
    assert (fake.label, fake.split, fake.video_id) == (1, "train", "DFDC/fake/part_3/fake3")


def test_dfdc_tells_which_parts_are_there(tmp_path):
    make_dfdc(tmp_path, parts=(0, 1, 2, 7))
    assert "found 4 of 50 parts: 0-2, 7" in scan_dfdc(tmp_path).notes


def test_dfdc_takes_the_parts_asked_for(tmp_path):
    make_dfdc(tmp_path)
    assert {r.path.split("/")[0] for r in scan_dfdc(tmp_path, parts=[3]).videos if r.split == "train"} == {
        "dfdc_train_part_3"
    }
    with pytest.raises(UserError, match=r"data\.options\.parts=\[5\].*choose from \[0, 3\]"):
        scan_dfdc(tmp_path, parts=[5])


def test_dfdc_reads_parts_in_a_folder_train(tmp_path):
    make_dfdc(tmp_path / "train")
    (tmp_path / "train" / "test").rename(tmp_path / "test")
    records = scan_dfdc(tmp_path).videos
    assert sum(record.path.startswith("train/dfdc_train_part_0/") for record in records) == 4
    assert {record.split for record in records} == {"train", "test"}


def test_dfdc_official_sets_apart(tmp_path):
    records = by_path(scan_dfdc(make_dfdc(tmp_path)))
    assert (records["validation/vf.mp4"].split, records["validation/vf.mp4"].label) == ("val", 1)
    assert (records["test/tr.mp4"].split, records["test/tr.mp4"].label) == ("test", 0)


@pytest.mark.parametrize("content", ['{"a.mp4": {"label": "FA', "[1, 2]", "\x00"])
def test_dfdc_names_damaged_metadata_and_reads_the_other_parts(tmp_path, content):
    make_dfdc(tmp_path)
    write(tmp_path, "dfdc_train_part_0/metadata.json", content)
    listing = scan_dfdc(tmp_path)
    (missing,) = listing.missing
    assert missing.path == "dfdc_train_part_0/metadata.json"
    assert "is damaged" in missing.what or "expected an object" in missing.what
    assert sum(record.split == "train" for record in listing.videos) == 4


def test_dfdc_counts_what_is_not_there_and_what_nobody_names(tmp_path):
    make_dfdc(tmp_path)
    (tmp_path / "dfdc_train_part_0" / "fake0.mp4").unlink()
    touch(tmp_path, "dfdc_train_part_3/stray.mp4")
    notes = scan_dfdc(tmp_path).notes
    assert "1 video named by the labels is missing: dfdc_train_part_0/fake0.mp4" in notes
    assert any("metadata.json does not name it: dfdc_train_part_3/stray.mp4" in note for note in notes)


def test_dfdc_test_set_as_labels_beside_videos(tmp_path):
    write(tmp_path, "labels.csv", "filename,label\nx.mp4,0\ny.mp4,1\n")
    touch(tmp_path, "videos/x.mp4", "videos/y.mp4")
    listing = scan_dfdc(tmp_path)
    assert {(r.path, r.label, r.split) for r in listing.videos} == {
        ("videos/x.mp4", 0, "test"),
        ("videos/y.mp4", 1, "test"),
    }
    assert not any(missing.needed for missing in listing.missing)


def test_dfdc_one_part_under_two_names_is_taken_once(tmp_path):
    make_dfdc(tmp_path, parts=("0", "00"))
    listing = scan_dfdc(tmp_path)
    assert {r.path.split("/")[0] for r in listing.videos if r.split == "train"} == {"dfdc_train_part_0"}
    assert any("another holds the same part: dfdc_train_part_00" in note for note in listing.notes)


# DFDC preview


def test_dfdcp_obeys_the_sets_and_tells_the_persons(tmp_path):
    records = by_path(scan_dfdcp(make_dfdcp(tmp_path)))
    fake = records["method_B/2001/2001_A/2002_2001_A_001.mp4"]
    assert (fake.split, fake.label, fake.method, fake.identity) == ("test", 1, "method_B", "2001 2002")
    assert fake.group_id == records["original_videos/2001/2001_A_001.mp4"].group_id


def test_dfdcp_same_name_under_two_methods_is_two_videos(tmp_path):
    ids = {r.video_id for r in scan_dfdcp(make_dfdcp(tmp_path)).videos if r.path.endswith("1002_1001_A_001.mp4")}
    assert ids == {f"DFDCP/{m}/1001/1001_A/1002_1001_A_001" for m in ("method_A", "method_B")}


def test_dfdcp_in_other_peoples_folders(tmp_path):
    make_dfdcp(tmp_path / "dfdc_preview_set")
    base = tmp_path / "dfdc_preview_set"
    moved = "1001/1001_A/1002_1001_A_001.mp4"
    (base / "method_A/videos/1001/1001_A").mkdir(parents=True)
    (base / "method_A" / moved).rename(base / "method_A/videos" / moved)
    assert f"dfdc_preview_set/method_A/videos/{moved}" in by_path(scan_dfdcp(tmp_path))
    draw(base, "method_B/frames/1001_1002_A_001")
    images = scan_dfdcp(tmp_path).images
    assert {r.video_id for r in images} == {"DFDCP/method_B/1002/1002_A/1001_1002_A_001"}


def test_dfdcp_damaged_dataset_json_is_answered_with_the_place(tmp_path):
    write(tmp_path, "dataset.json", '{"a": \n {"label" "real"}}')
    with pytest.raises(UserError, match=r"dataset\.json is damaged: .*line 2, column 11"):
        scan_dfdcp(tmp_path)


def test_dfdcp_entries_without_label_or_set_are_counted(tmp_path):
    make_dfdcp(tmp_path)
    write(tmp_path, "dataset.json", {"method_A/1/1_A/2_1_A_001.mp4": {"label": "fake"}, "method_A/x.mp4": None})
    assert any(note.startswith("2 entries of dataset.json are left out") for note in scan_dfdcp(tmp_path).notes)


# UADFV


def test_uadfv_is_a_test_set_unless_told_otherwise(tmp_path):
    make_uadfv(tmp_path)
    assert set(scan_uadfv(tmp_path).videos.names("split")) == {"test"}
    assert set(scan_uadfv(tmp_path, split="train").videos.names("split")) == {"train"}
    with pytest.raises(UserError, match=r"data\.options\.split='val'"):
        scan_uadfv(tmp_path, split="val")


def test_uadfv_counts_and_odd_names(tmp_path):
    make_uadfv(tmp_path, videos=4)
    touch(tmp_path, "fake/notes.mp4")
    listing = scan_uadfv(tmp_path)
    assert "real/ holds 4 videos; the data set has 49" in listing.notes
    assert "1 file is left out because of its name: fake/notes.mp4" in listing.notes


# DeeperForensics


def test_deeperforensics_obeys_the_lists_and_reals_follow(tmp_path):
    records = by_path(scan_deeperforensics(make_deeperforensics(tmp_path)))
    fake, real = records["manipulated_videos/end_to_end/003_M005.mp4"], records[_original("003")]
    assert (fake.split, real.split) == ("val", "val")
    assert fake.group_id == real.group_id
    assert fake.identity == "003 M005"


def _original(number):
    return f"original_sequences/youtube/c23/videos/{number}.mp4"


def test_deeperforensics_variants_are_different_videos_of_one_group(tmp_path):
    make_deeperforensics(tmp_path)
    listing = scan_deeperforensics(tmp_path, variants=["end_to_end", "end_to_end_level_5"])
    fakes = [record for record in listing.videos if record.label == 1 and "/000_" in record.path]
    assert len({record.video_id for record in fakes}) == 2
    assert len({record.group_id for record in fakes}) == 1


def test_deeperforensics_takes_originals_from_elsewhere(tmp_path):
    make_deeperforensics(tmp_path / "df")
    (tmp_path / "df/original_sequences").rename(tmp_path / "original_sequences")
    listing = scan_deeperforensics(tmp_path / "df", originals=str(tmp_path))
    reals = [record for record in listing.videos if record.label == 0]
    assert len(reals) == 5
    assert all(Path(record.root, record.path).is_file() for record in reals)
    with pytest.raises(UserError, match=r"data\.options\.originals=.*no such folder"):
        scan_deeperforensics(tmp_path / "df", originals=str(tmp_path / "nowhere"))


def test_deeperforensics_says_where_its_reals_are_to_be_had(tmp_path):
    make_deeperforensics(tmp_path)
    (tmp_path / "original_sequences").rename(tmp_path / "elsewhere")
    (missing,) = scan_deeperforensics(tmp_path).missing
    assert missing.path == "original_sequences/youtube/c23/videos"
    assert "FaceForensics" in missing.what


def test_deeperforensics_source_videos_are_no_reals(tmp_path):
    listing = scan_deeperforensics(make_deeperforensics(tmp_path))
    assert not any("source_videos" in record.path for record in listing.videos)
    assert any("source_videos/ is left out" in note for note in listing.notes)


def test_deeperforensics_without_lists_is_a_test_set_at_most(tmp_path):
    make_deeperforensics(tmp_path)
    for split in ("train", "val", "test"):
        (tmp_path / f"lists/splits/{split}.txt").unlink()
    listing = scan_deeperforensics(tmp_path)
    assert [missing.path for missing in listing.missing if missing.needed] == [
        f"lists/splits/{split}.txt" for split in ("train", "val", "test")
    ]
    assert len(listing.videos) == 0
    assert [record.split for record in scan_deeperforensics(tmp_path, split="test").videos] == ["test"] * 10


def test_deeperforensics_a_list_with_a_byte_order_mark_is_read(tmp_path):
    make_deeperforensics(tmp_path)
    write(tmp_path, "lists/splits/test.txt", "\ufeff004_W103.mp4\r\n\n")
    listing = scan_deeperforensics(tmp_path)
    assert sum(record.split == "test" for record in listing.videos) == 2
    assert not any("004" in note for note in listing.notes)


def test_deeperforensics_files_that_no_list_names_are_counted(tmp_path):
    make_deeperforensics(tmp_path)
    touch(tmp_path, "manipulated_videos/end_to_end/900_W101.mp4")
    listing = scan_deeperforensics(tmp_path)
    assert "1 video of end_to_end is left out: no list names it: 900_W101" in listing.notes
    assert not any("900" in record.path for record in listing.videos)


# FFIW


def test_ffiw_source_is_real_and_target_is_its_fake(tmp_path):
    records = by_path(scan_ffiw(make_ffiw(tmp_path)))
    real = records["FFIW10K-v1-release/source/val/val_00000001.mp4"]
    fake = records["FFIW10K-v1-release/target/val/val_00000001.mp4"]
    assert (real.label, fake.label) == (0, 1)
    assert real.split == fake.split == "val"
    assert real.group_id == fake.group_id
    assert not any("mask" in path for path in records)


def test_ffiw_an_archive_alone_is_enough_and_the_test_set_is_missed(tmp_path):
    make_ffiw(tmp_path)
    listing = scan_ffiw(tmp_path / "FFIW10K-v1-release")
    assert len(listing.videos) == 12
    assert [missing.path for missing in listing.missing] == ["source/test", "target/test"]


def test_ffiw_the_same_video_in_two_archives_is_taken_once(tmp_path):
    make_ffiw(tmp_path)
    touch(tmp_path, "FFIW10K-v1-release-test/target/val/val_00000001.mp4")
    listing = scan_ffiw(tmp_path)
    assert len(listing.videos) == 18
    assert any("another archive holds it too" in note for note in listing.notes)
