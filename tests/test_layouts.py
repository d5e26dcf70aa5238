"""Data sets as their authors ship them: official lists are obeyed, nothing is guessed, no two videos share an id."""

from collections import defaultdict
from pathlib import Path

import pytest

from addnet.data.layouts.names import united
from addnet.errors import UserError
from addnet.index.records import FAKE, REAL
from replicas import (
    PAIRS,
    groups,
    images,
    make_celebdf,
    make_deepfakebench,
    make_df40,
    make_dfd,
    make_faceforensics,
    make_pairs,
    needed,
    records,
    scan,
    touch,
    videos,
)

MAKERS = {
    "faceforensics": make_faceforensics,
    "dfd": make_dfd,
    "celebdf": make_celebdf,
    "deepfakebench": make_deepfakebench,
    "df40": make_df40,
}


# ---- what holds for all -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", MAKERS)
def test_a_video_id_stands_for_one_video(name, tmp_path):
    found = defaultdict(set)
    for r in records(scan(name, MAKERS[name](tmp_path))):
        alone = r.frame < 0
        found[r.video_id].add(r.path if alone else str(Path(r.path).parent))
    assert len(found) > 3
    assert all(len(paths) == 1 for paths in found.values())


@pytest.mark.parametrize("name", MAKERS)
def test_no_group_is_on_two_sides(name, tmp_path):
    listing = scan(name, MAKERS[name](tmp_path))
    assert not groups(listing, "train") & groups(listing, "test")
    assert not groups(listing, "train") & groups(listing, "val")
    assert not groups(listing, "val") & groups(listing, "test")


@pytest.mark.parametrize("name", MAKERS)
def test_every_path_is_a_file_of_its_class(name, tmp_path):
    listing = scan(name, MAKERS[name](tmp_path))
    assert all((tmp_path / r.path).is_file() for r in records(listing))
    assert {r.label for r in records(listing)} == {REAL, FAKE}
    assert not needed(listing)


@pytest.mark.parametrize("name", MAKERS)
def test_a_folder_that_is_not_there_is_named(name, tmp_path):
    with pytest.raises(UserError, match="no such folder"):
        scan(name, tmp_path / "absent")


@pytest.mark.parametrize("name", MAKERS)
def test_an_empty_folder_lacks_what_is_needed_and_holds_nothing(name, tmp_path):
    listing = scan(name, tmp_path)
    assert needed(listing)
    assert not records(listing)


@pytest.mark.parametrize("name", MAKERS)
def test_an_unknown_option_is_answered_with_the_known_ones(name, tmp_path):
    with pytest.raises(UserError, match=r"is not an option of data\.layout="):
        scan(name, tmp_path, quality=1)


def test_a_mistyped_option_is_suggested(tmp_path):
    with pytest.raises(UserError, match="Did you mean 'compression'"):
        scan("faceforensics", tmp_path, compresion="c40")


# ---- FaceForensics++ --------------------------------------------------------------------------------------------


def test_faceforensics_obeys_the_official_lists(tmp_path):
    listing = scan("faceforensics", make_faceforensics(tmp_path))
    for split, pairs in PAIRS.items():
        expected = {name for a, b in pairs for name in (a, b, f"{a}_{b}", f"{b}_{a}")}
        assert videos(listing, split) == expected
    assert any("999" in note and "no official list" in note for note in listing.notes)


def test_both_originals_of_a_pair_and_all_their_fakes_are_one_group(tmp_path):
    listing = scan("faceforensics", make_faceforensics(tmp_path))
    group = {r.video_id: r.group_id for r in listing.videos if {"071", "054"} & set(r.identity.split())}
    assert len(group) == 2 + 2 * 2
    assert set(group.values()) == {"FaceForensics++/054_071"}


def test_the_same_fake_by_two_methods_is_two_videos(tmp_path):
    listing = scan("faceforensics", make_faceforensics(tmp_path))
    ids = {r.video_id for r in listing.videos if r.path.endswith("071_054.mp4")}
    assert ids == {"FaceForensics++/Deepfakes/c23/071_054", "FaceForensics++/NeuralTextures/c23/071_054"}


def test_a_fake_of_two_videos_that_are_no_pair_is_left_out(tmp_path):
    make_faceforensics(tmp_path)
    touch(tmp_path, "manipulated_sequences/Deepfakes/c23/videos/071_953.mp4")
    listing = scan("faceforensics", tmp_path)
    assert "071_953" not in videos(listing)
    assert any("071_953" in note and "not a pair" in note for note in listing.notes)


def test_missing_lists_are_named_and_nothing_is_guessed(tmp_path):
    listing = scan("faceforensics", make_faceforensics(tmp_path, lists=False))
    assert set(needed(listing)) == {"splits/train.json", "splits/val.json", "splits/test.json"}
    assert "github.com/ondyari/FaceForensics" in needed(listing)["splits/val.json"]
    assert not records(listing)


@pytest.mark.parametrize("folder", [".", "dataset/splits", "elsewhere"])
def test_lists_are_found_where_people_keep_them(folder, tmp_path):
    make_faceforensics(tmp_path, lists=False)
    make_pairs(tmp_path, folder)
    listing = scan("faceforensics", tmp_path, splits="elsewhere" if folder == "elsewhere" else None)
    assert {r.split for r in listing.videos} == {"train", "val", "test"}
    assert any("720" in note for note in listing.notes)  # shorter than the official list


@pytest.mark.parametrize(
    ("content", "message"), [("{", "not a list of pairs"), ("[1, 2]", "not a list"), ('[["071", "054"]]', "names 071")]
)
def test_damaged_lists_are_refused(content, message, tmp_path):
    make_faceforensics(tmp_path)
    (tmp_path / "splits" / "val.json").write_text(content)
    with pytest.raises(UserError, match=message):
        scan("faceforensics", tmp_path)


@pytest.mark.parametrize("kind", ["images", "frames", "faces"])
def test_images_beside_the_videos_come_first(kind, tmp_path):
    make_faceforensics(tmp_path)
    make_faceforensics(tmp_path, kind=kind)
    listing = scan("faceforensics", tmp_path)
    assert not len(listing.videos)
    assert [r.frame for r in listing.images if "/Deepfakes/" in r.path and "/071_054/" in r.path] == [0, 30]
    assert len(scan("faceforensics", tmp_path, source="videos").videos) == 24


def test_a_method_without_images_is_listed_by_its_videos(tmp_path):
    make_faceforensics(tmp_path)
    images(tmp_path, "original_sequences/youtube/c23/frames/071", "0000")
    listing = scan("faceforensics", tmp_path)
    assert {r.method for r in listing.images} == {"youtube"}
    assert {r.method for r in listing.videos} == {"Deepfakes", "NeuralTextures"}
    assert any("8 videos have no folder with images" in note for note in listing.notes)


def test_absent_methods_are_told_but_not_needed(tmp_path):
    listing = scan("faceforensics", make_faceforensics(tmp_path, methods=["FaceShifter", "FaceSwap"]))
    absent = {missing.path for missing in listing.missing if not missing.needed}
    assert absent == {f"manipulated_sequences/{name}/c23" for name in ("Deepfakes", "Face2Face", "NeuralTextures")}
    assert any("FaceShifter exists but is not among" in note for note in listing.notes)


def test_another_compression_is_another_video_of_the_same_group(tmp_path):
    make_faceforensics(tmp_path)
    make_faceforensics(tmp_path, compression="c40")
    first, second = (scan("faceforensics", tmp_path, compression=name) for name in ("c23", "c40"))
    assert not set(first.videos.names("video_id")) & set(second.videos.names("video_id"))
    assert first.videos.names("group_id") == second.videos.names("group_id")
    with pytest.raises(UserError, match="raw, c23, c40"):
        scan("faceforensics", tmp_path, compression="c0")


def test_a_video_in_two_formats_is_one_and_those_beside_the_folder_of_videos_are_listed_too(tmp_path):
    make_faceforensics(tmp_path)
    folder = "manipulated_sequences/Deepfakes/c23"
    touch(tmp_path, f"{folder}/videos/071_054.avi", f"{folder}/072_055.mp4")
    listing = scan("faceforensics", tmp_path)
    assert len(listing.videos) == 24
    assert any("1 video that no official list names: 072_055" in note for note in listing.notes)


# ---- DeepFakeDetection ------------------------------------------------------------------------------------------


def test_dfd_is_a_test_set_grouped_by_scene(tmp_path):
    listing = scan("dfd", make_dfd(tmp_path))
    assert {r.split for r in listing.videos} == {"test"}
    assert {group.rpartition("/")[0] for group in set(united(groups(listing, "test")).values())} == {
        "DeepFakeDetection/hugging_happy",
        "DeepFakeDetection/kitchen_pan",
    }
    assert {r.identity for r in listing.videos if "01_03__" in r.path} == {"01 03"}
    assert any("no official split" in note for note in listing.notes)


def test_dfd_by_actors_keeps_nobody_on_both_sides(tmp_path):
    listing = scan("dfd", make_dfd(tmp_path), split="actors", test_actors=[27, 28])
    actors = defaultdict(set)
    for r in listing.videos:
        actors[r.split] |= set(r.identity.split())
    assert actors == {"train": {"01", "03"}, "test": {"27", "28"}}
    assert any("with one actor from each side" in note and "01_28" in note for note in listing.notes)


# ---- Celeb-DF ---------------------------------------------------------------------------------------------------


def test_celebdf_tests_what_the_list_names_by_the_folder_s_class(tmp_path):
    listing = scan("celebdf", make_celebdf(tmp_path))
    tested = {r.path: r.label for r in listing.videos if r.split == "test"}
    assert tested == {
        "Celeb-real/id1_0007.mp4": REAL,
        "YouTube-real/00170.mp4": REAL,
        "Celeb-synthesis/id1_id0_0007.mp4": FAKE,
        "Celeb-synthesis/id16_id20_0000.mp4": FAKE,
    }


def test_training_videos_whose_target_is_tested_are_left_out(tmp_path):
    make_celebdf(tmp_path)
    assert videos(scan("celebdf", tmp_path), "train") == {"id2_0001", "id2_id3_0001", "00171"}
    kept = scan("celebdf", tmp_path, related="keep")
    assert videos(kept, "train") >= {"id1_id2_0007", "id16_0000"}
    assert groups(kept, "train") & groups(kept, "test") == {"Celeb-DF/id1_0007", "Celeb-DF/id16_0000"}


def test_a_fake_belongs_to_its_target_video_and_names_both_people(tmp_path):
    listing = scan("celebdf", make_celebdf(tmp_path), version="v1")
    fake = next(r for r in listing.videos if "id2_id3_0001" in r.path)
    assert (fake.video_id, fake.group_id) == ("Celeb-DF-v1/Celeb-synthesis/id2_id3_0001", "Celeb-DF/id2_0001")
    assert fake.identity == "id2 id3"


def test_celebdf_without_its_list_holds_nothing(tmp_path):
    listing = scan("celebdf", make_celebdf(tmp_path, lists=False))
    assert "celeb-deepfakeforensics" in needed(listing)["List_of_testing_videos.txt"]
    assert not records(listing)


def test_lines_that_are_odd_are_refused_or_told(tmp_path):
    make_celebdf(tmp_path)
    file = tmp_path / "List_of_testing_videos.txt"
    file.write_text("0 Celeb-real/id1_0007.mp4\n1 Celeb-synthesis/id9_id9_0009.mp4\n")
    notes = " ".join(scan("celebdf", tmp_path).notes)
    assert "2 lines contradict their folder" in notes
    assert "1 video of the test list is missing: Celeb-synthesis/id9_id9_0009" in notes
    file.write_text("Celeb-real/id1_0007.mp4\n")
    with pytest.raises(UserError, match="is not a line such as"):
        scan("celebdf", tmp_path)


def test_crops_of_celebdf_may_lie_in_folders_beside_or_instead_of_the_videos(tmp_path):
    frames = scan("celebdf", make_celebdf(tmp_path / "a", kind="frames"))
    plain = scan("celebdf", make_celebdf(tmp_path / "b", kind="."))
    assert videos(frames) == videos(plain)
    assert [r.frame for r in plain.images if "id2_0001" in r.path][:2] == [0, 12]


def test_a_data_set_is_trained_on_as_it_lies_there(tmp_path):
    from addnet.config import build, compose

    root = make_faceforensics(tmp_path / "ff", kind="frames")
    overrides = ["data=faceforensics", f"data.data_dir={root}", "data.options.methods=[Deepfakes]"]
    overrides += ["data.landmarks=on_the_fly", "data.val_fraction=0.5", f"data.index_dir={tmp_path}"]
    module = build(compose(overrides).data)
    module.prepare_data()
    module.setup()
    assert {r.method for part in module.splits.values() for r in part.records} == {"youtube", "Deepfakes"}
    assert {r.group_id for r in module.splits["test"].records} == {"FaceForensics++/953_974"}
