"""Data that others prepared: descriptions of DeepfakeBench, crops of DF40."""

import json

import pytest

from addnet.errors import UserError
from addnet.index.records import FAKE
from replicas import (
    bench_entry,
    images,
    make_deepfakebench,
    make_df40,
    make_pairs,
    needed,
    scan,
    videos,
    write_description,
)

# ---- DeepfakeBench ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("sep", "prefix"), [("/", "/home/somebody/datasets"), ("\\", "./datasets"), ("\\", "D:/data")])
def test_paths_of_another_machine_are_found_here(sep, prefix, tmp_path):
    listing = scan("deepfakebench", make_deepfakebench(tmp_path, sep=sep, prefix=prefix))
    assert len(listing.images) == 8 * 2 * 2 + 3 * 2
    assert not listing.missing


def test_landmarks_of_deepfakebench_are_found_where_there_are_any(tmp_path):
    listing = scan("deepfakebench", make_deepfakebench(tmp_path), names=["FF-DF"])
    for r in listing.images:
        assert bool(r.landmarks) == (r.frame == 0)
        assert not r.landmarks or (tmp_path / r.landmarks).is_file()
    assert listing.images[0].landmarks.endswith("/landmarks/071/000.npy")


def test_named_landmarks_are_used(tmp_path):
    make_deepfakebench(tmp_path)
    entry = bench_entry("FF-DF", "FaceForensics++/manipulated_sequences/Deepfakes/c23", "071_054", frames=["000"])
    folder = "x/FaceForensics++/original_sequences/youtube/c23/landmarks/071"
    entry["071_054"]["landmarks"] = [f"{folder}/000.npy"]
    write_description(tmp_path, "one", {"one": {"FF-DF": {"train": {"c23": entry}}}})
    found = scan("deepfakebench", tmp_path, names=["one"]).images
    assert [r.landmarks for r in found] == [folder.removeprefix("x/") + "/000.npy"]


def test_a_video_in_several_splits_is_in_one(tmp_path):
    listing = scan("deepfakebench", make_deepfakebench(tmp_path), names=["Celeb-DF-v2"])
    assert videos(listing, "test") == {"id1_0007"}
    assert videos(listing, "train") == {"id2_0001", "id2_id3_0001"}  # id1_id2_0007 was made from the tested video
    assert any("several splits" in note for note in listing.notes)
    assert any("id1_id2_0007" in note for note in listing.notes)


def test_originals_that_several_descriptions_share_are_listed_once(tmp_path):
    make_deepfakebench(tmp_path)
    description = json.loads((tmp_path / "dataset_json/FF-DF.json").read_text())
    write_description(tmp_path, "FF-F2F", {"FF-F2F": {"FF-real": description["FF-DF"]["FF-real"]}})
    listing = scan("deepfakebench", tmp_path, names=["FF-DF", "FF-F2F"])
    assert len(listing.images) == len({r.path for r in listing.images}) == 32
    assert {r.dataset for r in listing.images} == {"FaceForensics++"}


def test_groups_of_deepfakebench_are_those_of_the_data_set_itself(tmp_path):
    make_deepfakebench(tmp_path)
    listing = scan("deepfakebench", tmp_path, names=["FF-DF"])
    make_pairs(tmp_path, "FaceForensics++")
    itself = scan("faceforensics", tmp_path / "FaceForensics++", methods=["Deepfakes"])
    assert listing.images.names("group_id") == itself.images.names("group_id")
    assert itself.images[0].landmarks  # its landmarks are found without a description too


def test_frames_that_are_named_but_absent_are_told(tmp_path):
    make_deepfakebench(tmp_path)
    (tmp_path / "FaceForensics++/original_sequences/youtube/c23/frames/071/012.png").unlink()
    (missing,) = scan("deepfakebench", tmp_path).missing
    assert missing.path == "FaceForensics++/original_sequences/youtube/c23/frames/071"
    assert "1 in 1 folder like" in missing.what
    assert not missing.needed


def test_labels_are_classes_or_are_asked_for(tmp_path):
    images(tmp_path, "mine/frames/a", "0")
    write_description(tmp_path, "mine", {"mine": {"odd": {"test": bench_entry("odd", "mine", "a", frames=["0"])}}})
    with pytest.raises(UserError, match=r"'data\.options\.labels=\{odd: fake\}'"):
        scan("deepfakebench", tmp_path)
    assert [r.label for r in scan("deepfakebench", tmp_path, labels={"odd": "fake"}).images] == [FAKE]


@pytest.mark.parametrize("content", ["[]", '{"a": []}', '{"a": {"b": {"training": {}}}}', "{"])
def test_what_is_no_description_is_refused(content, tmp_path):
    (tmp_path / "x.json").write_text(content)
    with pytest.raises(UserError, match=r"x\.json"):
        scan("deepfakebench", tmp_path)


def test_an_unknown_description_is_answered_with_those_that_are_there(tmp_path):
    with pytest.raises(UserError, match="Celeb-DF-v2, FF-DF"):
        scan("deepfakebench", make_deepfakebench(tmp_path), names=["FF-DG"])


# ---- DF40 -------------------------------------------------------------------------------------------------------


def test_df40_is_split_by_its_two_folders_and_the_lists_of_its_originals(tmp_path):
    listing = scan("df40", make_df40(tmp_path))
    assert videos(listing, "train") == {"071_054", "071"}
    assert videos(listing, "test") >= {"953_974", "id1_id0_0007", "00170", "953", "id1_0007", "v1"}
    notes = " ".join(listing.notes)
    assert "StyleGAN2/953" in notes  # in DF40_train/, made from an original that is tested
    assert "id2_0001" in notes
    assert "720" in notes


def test_df40_images_that_are_alone_in_a_folder_are_videos_of_their_own(tmp_path):
    listing = scan("df40", make_df40(tmp_path), methods=["MidJourney"], domains=["own"])
    names = [name.removeprefix("DF40/MidJourney/") for name in listing.images.names("video_id")]
    assert names == ["fake/a1", "fake/a2", "real/a1"]
    assert listing.images.labels.sum() == 2


def test_df40_images_that_are_named_after_their_originals_belong_to_them(tmp_path):
    make_df40(tmp_path)
    images(tmp_path, "DF40/e4e/ff/inversions", "953", "974")
    images(tmp_path, "DF40/e4e/cdf/YouTube-real/inversions", "00170")
    found = {r.video_id: r.group_id for r in scan("df40", tmp_path, methods=["e4e"]).images if r.method == "e4e"}
    assert found == {
        "DF40/e4e/ff/inversions/953": "FaceForensics++/953_974",
        "DF40/e4e/ff/inversions/974": "FaceForensics++/953_974",
        "DF40/e4e/cdf/YouTube-real/inversions/00170": "Celeb-DF/YouTube-real/00170",
    }


def test_df40_groups_are_those_of_its_originals(tmp_path):
    listing = scan("df40", make_df40(tmp_path))
    group = {r.video_id: r.group_id for r in listing.images}
    assert group["DF40/simswap/071_054"] == group["DF40/youtube/c23/071"] == "FaceForensics++/054_071"
    assert group["DF40/simswap/cdf/id1_id0_0007"] == group["DF40/Celeb-real/id1_0007"] == "Celeb-DF/id1_0007"
    assert group["DF40/StyleGAN2/cdf/YouTube-real/00170"] == group["DF40/YouTube-real/00170"]


def test_df40_without_the_lists_of_its_originals_says_where_they_belong(tmp_path):
    make_df40(tmp_path)
    (tmp_path / "FaceForensics++/test.json").unlink()
    (tmp_path / "Celeb-DF-v2/List_of_testing_videos.txt").unlink()
    assert set(needed(scan("df40", tmp_path))) == {
        "FaceForensics++/splits/test.json",
        "Celeb-DF-v2/List_of_testing_videos.txt",
    }
    assert not needed(scan("df40", tmp_path, domains=["own"]))
