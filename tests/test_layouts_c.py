"""Data sets of 2021 and later become records as their authors ship them."""

from __future__ import annotations

import inspect
from collections import defaultdict
from pathlib import Path

import pytest

from addnet.config import load_group
from addnet.data.layouts import LAYOUTS
from addnet.data.layouts.dfdm import model_of
from addnet.errors import UserError
from replicas import make_faceforensics, needed, scan
from replicas_b import draw, touch, write
from replicas_c import make_celebdfpp, make_deepspeak, make_dfdm, make_faceshifter, make_fakeavceleb, make_kodf

ALL = {
    "fakeavceleb": (make_fakeavceleb, {"split": "train"}),
    "faceshifter": (make_faceshifter, {}),
    "dfdm": (make_dfdm, {"split": "train"}),
    "kodf": (make_kodf, {"split": "train"}),
    "deepspeak": (make_deepspeak, {}),
    "celebdfpp": (make_celebdfpp, {"split": "official", "methods": ["Celeb-DF", "GHOST", "LIA", "SadTalker"]}),
}


@pytest.fixture(params=ALL)
def layout(request, tmp_path):
    """(root, scan) of each replica; what may be for training is."""
    make, options = ALL[request.param]
    make(tmp_path)
    return tmp_path, lambda **more: scan(request.param, tmp_path, **(options | more))


def extract(root, listing):
    """Images of all videos, in a folder of frames beside each."""
    for video in listing.videos:
        path = Path(video.path)
        beside = path.parent.parent if path.parent.name == "videos" else path.parent
        draw(Path(video.root or root), beside / "frames" / path.stem)


def test_every_record_is_a_file_that_is_there(layout):
    root, listed = layout
    videos = listed().videos
    assert len(videos) >= 6
    assert all(Path(record.root or root, record.path).is_file() for record in videos)


def test_a_whole_data_set_lacks_nothing(layout):
    assert layout[1]().missing == []


def test_no_two_videos_share_an_id(layout):
    ids = [record.video_id for record in layout[1]().videos]
    assert len(set(ids)) == len(ids)


def test_no_group_is_in_two_splits(layout):
    splits = defaultdict(set)
    for record in layout[1]().videos:
        splits[record.group_id].add(record.split)
    assert all(len(found) == 1 for found in splits.values())


def test_every_fake_is_grouped_with_a_real_video(layout):
    videos = layout[1]().videos
    groups = [{record.group_id for record in videos if record.label == label} for label in (0, 1)]
    assert groups[1]
    assert groups[1] <= groups[0]


def test_extracted_images_are_preferred_and_tell_their_frame(layout):
    root, listed = layout
    before = listed()
    extract(root, before)
    after = listed()
    assert len(after.videos) == 0
    assert len(after.images) == 3 * len(before.videos)
    assert [record.frame for record in after.images][:3] == [0, 7, 12]
    assert {r.video_id: (r.label, r.split, r.group_id, r.method) for r in after.images} == {
        r.video_id: (r.label, r.split, r.group_id, r.method) for r in before.videos
    }


def test_images_alone_are_enough(layout):
    root, listed = layout
    before = listed()
    extract(root, before)
    for record in before.videos:
        Path(record.root or root, record.path).unlink()
    images = listed().images
    assert {r.video_id for r in images} == {r.video_id for r in before.videos}
    assert all(Path(r.root or root, r.path).is_file() for r in images)


@pytest.mark.parametrize("name", ALL)
def test_yaml_and_signature_agree(name):
    node = load_group("data", name)
    parameters = inspect.signature(LAYOUTS[name]).parameters
    defaults = {key: p.default for key, p in parameters.items() if key != "root"}
    assert node["layout"] == name
    assert {key: list(v) if isinstance(v, tuple) else v for key, v in defaults.items()} == node["options"]


def test_unknown_source_is_answered(layout):
    with pytest.raises(UserError, match=r"data\.options\.source='frames' is unknown.*auto, videos, images"):
        layout[1](source="frames")


@pytest.mark.parametrize("name", ALL)
def test_an_empty_folder_lacks_what_is_needed_and_no_folder_is_answered(name, tmp_path):
    missing = needed(scan(name, tmp_path))
    assert any("." in what for what in missing.values())  # where it is to be had
    with pytest.raises(UserError, match="no such folder"):
        scan(name, tmp_path / "nowhere")


def test_a_link_that_leads_back_ends(layout):
    root, listed = layout
    before = listed()
    folder = Path(root, before.videos[0].path).parent
    (folder / "back").symlink_to(root, target_is_directory=True)
    assert len(listed().videos) == len(before.videos)


# ---- FakeAVCeleb ------------------------------------------------------------------------------------------------


def by_path(listing):
    return {record.path: record for record in (*listing.images, *listing.videos)}


def test_fakeavceleb_is_one_of_images(tmp_path):
    make_fakeavceleb(tmp_path)
    listing = scan("fakeavceleb", tmp_path)
    fake = by_path(listing)["FakeVideo-FakeAudio/African/men/id00076/00109_2_id10006_wavtolip.mp4"]
    assert (fake.label, fake.split, fake.group_id, fake.method) == (1, "test", "FakeAVCeleb/id00076", "fsgan-wav2lip")
    assert fake.identity == "id00076 id10006"
    assert len(listing.videos) == 15
    assert any(note.startswith("left out 3 videos of RealVideo-FakeAudio") for note in listing.notes)
    with_voices = scan("fakeavceleb", tmp_path, fake_audio="real")
    assert sum(record.label == 0 for record in with_voices.videos) == 6


@pytest.mark.parametrize("base", ["FakeAVCeleb", "FakeAVCeleb_v1.2"])
def test_fakeavceleb_is_found_a_folder_deeper(base, tmp_path):
    make_fakeavceleb(tmp_path, base)
    assert len(scan("fakeavceleb", tmp_path).videos) == 15


def test_fakeavceleb_without_its_list_is_usable_and_says_what_is_unknown(tmp_path):
    make_fakeavceleb(tmp_path)
    (tmp_path / "meta_data.csv").unlink()
    listing = scan("fakeavceleb", tmp_path)
    assert set(listing.videos.names("method")) == {
        "RealVideo-RealAudio",
        "FakeVideo-RealAudio",
        "FakeVideo-FakeAudio",
    }
    assert [(m.path, m.needed) for m in listing.missing] == [("meta_data.csv", False)]


def test_fakeavceleb_tells_what_its_list_and_its_folders_lack(tmp_path):
    make_fakeavceleb(tmp_path)
    (tmp_path / "FakeVideo-RealAudio/African/men/id00076/00109_id10006_faceswap.mp4").unlink()
    touch(tmp_path, "FakeVideo-RealAudio/African/men/id00076/00999.mp4", "RealVideo-RealAudio/00001.mp4")
    notes = " ".join(scan("fakeavceleb", tmp_path).notes)
    assert "1 video of FakeVideo-RealAudio in meta_data.csv is missing: id00076/00109_id10006_faceswap" in notes
    assert "meta_data.csv doesn't name it: FakeVideo-RealAudio/African/men/id00076/00999.mp4" in notes
    assert "it is not in the folder of a person, such as id00076: RealVideo-RealAudio/00001.mp4" in notes


def test_a_list_with_other_columns_is_refused(tmp_path):
    make_fakeavceleb(tmp_path)
    write(tmp_path, "meta_data.csv", "source,method\nid00076,real\n")
    with pytest.raises(
        UserError, match=r"meta_data\.csv has the columns .*expected 'target1', 'target2', 'type', 'path'"
    ):
        scan("fakeavceleb", tmp_path)


# ---- Celeb-DF++ -------------------------------------------------------------------------------------------------


def test_celebdfpp_takes_what_its_list_names_for_testing_alone(tmp_path):
    make_celebdfpp(tmp_path)
    listing = scan("celebdfpp", tmp_path)
    assert set(listing.videos.names("split")) == {"test"}
    assert len(listing.videos) == 8
    assert any("data.options.split=official" in note and note.startswith("9 videos") for note in listing.notes)
    assert {m.path for m in listing.missing} >= {"Celeb-synthesis/FaceSwap/SimSwap"}
    assert not needed(listing)


def test_celebdfpp_trains_on_no_target_video_that_is_tested(tmp_path):
    make_celebdfpp(tmp_path)
    official = scan("celebdfpp", tmp_path, split="official")
    assert {r.group_id for r in official.videos if r.split == "train"} == {
        "Celeb-DF/id2_0001",
        "Celeb-DF/YouTube-real/00171",
    }
    kept = scan("celebdfpp", tmp_path, split="official", related="keep")
    assert {r.group_id for r in kept.videos if r.split == "train"} >= {"Celeb-DF/id16_0000"}


def test_celebdfpp_names_of_talking_faces_tell_their_target(tmp_path):
    make_celebdfpp(tmp_path)
    fake = by_path(scan("celebdfpp", tmp_path))["Celeb-synthesis/TalkingFace/SadTalker/id1_0007_test_id08701_aaa.mp4"]
    assert (fake.group_id, fake.method, fake.identity, fake.label) == ("Celeb-DF/id1_0007", "SadTalker", "id1", 1)


def test_celebdfpp_own_fakes_may_lie_where_its_script_has_them(tmp_path):
    make_celebdfpp(tmp_path / "a")
    make_celebdfpp(tmp_path / "b", own="Celeb-DF-v2")
    one, other = (scan("celebdfpp", tmp_path / name, methods=["Celeb-DF"]).videos for name in "ab")
    assert one.names("video_id") == other.names("video_id")
    assert len(one) == 4


def test_celebdfpp_without_its_list_is_no_data_set(tmp_path):
    make_celebdfpp(tmp_path)
    touch(tmp_path, "Celeb-synthesis/FaceSwap/GHOST/clip.mp4", "Celeb-synthesis/FaceSwap/New/id1_id0_0007.mp4")
    notes = " ".join(scan("celebdfpp", tmp_path).notes)
    assert "1 video is left out: its name doesn't begin with a target video, as id1_id0_0007 does: " in notes
    assert "1 folder is not read: its name is not a known method: Celeb-synthesis/FaceSwap/New" in notes
    (tmp_path / "List_of_testing_videos.txt").unlink()
    listing = scan("celebdfpp", tmp_path)
    assert len(listing.videos) == 0
    assert needed(listing) == {
        "List_of_testing_videos.txt": "official test list (form in the README of github.com/OUC-VAS/Celeb-DF-PP)"
    }


def test_a_damaged_list_says_where_another_is(tmp_path):
    make_celebdfpp(tmp_path)
    write(tmp_path, "List_of_testing_videos.txt", "GHOST/id1_id0_0007.mp4")
    with pytest.raises(UserError, match=r"is not a line such as .*get the list again .*OUC-VAS/Celeb-DF-PP"):
        scan("celebdfpp", tmp_path)


# ---- FaceShifter ------------------------------------------------------------------------------------------------


def test_faceshifter_is_a_data_set_of_its_own_in_the_tree_of_faceforensics(tmp_path):
    make_faceshifter(tmp_path)
    records = by_path(scan("faceshifter", tmp_path))
    fake = records["manipulated_sequences/FaceShifter/c23/videos/953_974.mp4"]
    assert (fake.dataset, fake.method, fake.split) == ("FaceShifter", "FaceShifter", "test")
    assert (fake.group_id, fake.video_id) == ("FaceForensics++/953_974", "FaceShifter/FaceShifter/c23/953_974")
    original = records["original_sequences/youtube/c23/videos/953.mp4"]
    assert (original.dataset, original.group_id) == ("FaceShifter", "FaceForensics++/953_974")
    others = {record.video_id for record in scan("faceforensics", tmp_path).videos}
    assert not others & {record.video_id for record in records.values()}  # both may be tested on at once


def test_faceshifter_that_was_not_downloaded_is_told(tmp_path):
    make_faceforensics(tmp_path)
    missing = needed(scan("faceshifter", tmp_path))
    assert list(missing) == ["manipulated_sequences/FaceShifter/c23"]


# ---- DFDM -------------------------------------------------------------------------------------------------------


def test_dfdm_has_groups_of_celebdf_and_models_out_of_names_or_folders(tmp_path):
    make_dfdm(tmp_path, places=("", "lightweight"))
    records = by_path(scan("dfdm", tmp_path))
    fake = records["DFDM_crf23/id28_id20_0008_4dfaker.mp4"]
    assert (fake.method, fake.group_id, fake.identity) == ("Dfaker", "Celeb-DF/id28_0008", "id28 id20")
    assert records["DFDM_crf23/lightweight/id1_id0_0007_iae.mp4"].method == "IAE"
    assert model_of("DFDM_crf0/Light_weight/id1_id0_0007_2.mp4") == "Lightweight"
    assert model_of("DFDM_crf0/id1_id0_0007_new.mp4") == "new"


def test_dfdm_takes_originals_from_celebdf_those_alone_that_were_used(tmp_path):
    make_dfdm(tmp_path / "celeb")
    make_dfdm(tmp_path / "dfdm")
    for file in (tmp_path / "dfdm" / "Celeb-real").iterdir():
        file.unlink()
    assert {m.path for m in scan("dfdm", tmp_path / "dfdm").missing} == {"Celeb-real"}
    for originals in (tmp_path / "celeb", tmp_path / "celeb" / "Celeb-real"):
        listing = scan("dfdm", tmp_path / "dfdm", originals=str(originals))
        reals = [record for record in listing.videos if record.label == 0]
        assert {Path(r.path).stem for r in reals} == {"id28_0008", "id20_0001", "id1_0007"}
        assert all(Path(r.root, r.path).is_file() for r in reals)
    (tmp_path / "celeb" / "Celeb-real" / "id1_0007.mp4").unlink()
    assert "1 original is missing: id1_0007" in scan("dfdm", tmp_path / "dfdm", originals=str(originals)).notes
    with pytest.raises(UserError, match=r"data\.options\.originals=.*no such folder; expected Celeb-DF"):
        scan("dfdm", tmp_path / "dfdm", originals=str(tmp_path / "nowhere"))


def test_dfdm_says_what_its_authors_do_not(tmp_path):
    make_dfdm(tmp_path)
    touch(tmp_path, "DFDM_crf23/readme.mp4")
    notes = " ".join(scan("dfdm", tmp_path).notes)
    assert "does not document which of the two persons in a name was filmed" in notes
    assert "DFDM_crf23/ holds 7 videos; the data set has 2,150 for each rate factor" in notes
    assert "1 file is left out because of its name (expected id28_id20_0008_<model>): DFDM_crf23/readme.mp4" in notes
    assert needed(scan("dfdm", tmp_path, compression="crf0")) == {
        "DFDM_crf0": "fake videos (form in the README of github.com/shanface33/Deepfake_Model_Attribution)"
    }


# ---- KoDF -------------------------------------------------------------------------------------------------------


def test_kodf_is_grouped_by_actor(tmp_path):
    make_kodf(tmp_path)
    listing = scan("kodf", tmp_path)
    fake = by_path(listing)["synthesized_videos/fsgan/20200817/123456/123456_0a1b2c3d4e5f60718293_3_0001.mp4"]
    assert (fake.label, fake.split, fake.method, fake.group_id) == (1, "test", "fsgan", "KoDF/123456")
    assert fake.identity == "123456 0a1b2c3d4e5f60718293"
    assert set(listing.videos.names("method")) == {"real", "audio-driven", "dffs", "fsgan"}
    assert any("does not document which of the two actors" in note for note in listing.notes)
    assert "original_videos/ holds 4 clips; the data set has 62,166" in listing.notes


def test_kodf_of_other_folders_is_named_and_the_remedy_says_how(tmp_path):
    make_kodf(tmp_path / "release", real="원본영상", fake="변조영상")
    missing = needed(scan("kodf", tmp_path / "release"))
    assert "data.options.real=FOLDER" in missing["original_videos"]
    assert len(scan("kodf", tmp_path / "release", real="원본영상", fake="변조영상/").videos) == 10
    make_kodf(tmp_path / "deeper" / "kodf_release")
    assert len(scan("kodf", tmp_path / "deeper").videos) == 10


def test_kodf_tells_names_that_it_does_not_understand_and_actors_without_a_clip(tmp_path):
    make_kodf(tmp_path)
    touch(tmp_path, "synthesized_videos/adversarial/clip1.mp4", "original_videos/a_1.mp4")
    for file in (tmp_path / "original_videos" / "123456").iterdir():
        file.unlink()
    notes = " ".join(scan("kodf", tmp_path).notes)
    assert "(expected <actor>_<actor>_<code>_<number>): synthesized_videos/adversarial/clip1.mp4" in notes
    assert "(expected <actor>_<number>): original_videos/a_1.mp4" in notes
    assert "1 actor has fakes but no real clip: 123456" in notes


# ---- DeepSpeak --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("version", ["v1", "v2"])
def test_deepspeak_goes_by_its_lists_whatever_the_names(version, tmp_path):
    make_deepspeak(tmp_path, version=version)
    listing = scan("deepspeak", tmp_path, version=version)
    found = {(r.label, r.split, r.group_id, r.method, r.identity) for r in listing.videos}
    assert (1, "train", "DeepSpeak/87", "facefusion", "10 87") in found
    assert (0, "test", "DeepSpeak/12", "real", "12") in found
    assert {r.dataset for r in listing.videos} == {f"DeepSpeak-{version}"}
    assert len(listing.videos) == 10
    assert "left out 1 video whose two persons are in different splits (annotations-split-def.csv)" in listing.notes


def test_deepspeak_without_a_list_is_no_data_set_and_all_of_it_needs_no_split(tmp_path):
    make_deepspeak(tmp_path)
    (tmp_path / "annotations-split-def.csv").unlink()
    missing = needed(scan("deepspeak", tmp_path))
    assert list(missing) == ["annotations-split-def.csv"]
    assert "faridlab/deepspeak_v2" in missing["annotations-split-def.csv"]
    assert {r.split for r in scan("deepspeak", tmp_path, split="test").videos} == {"test"}
    assert len(scan("deepspeak", tmp_path, split="test").videos) == 11


def test_deepspeak_tells_what_its_lists_and_its_folders_lack(tmp_path):
    make_deepspeak(tmp_path)
    (tmp_path / "deepspeak-v2-0" / "87-0.mp4").unlink()
    touch(tmp_path, "deepspeak-v2-0/odd.mp4", "copy/12-5000.mp4")
    notes = " ".join(scan("deepspeak", tmp_path).notes)
    assert "1 video of the lists is missing: 87-0.mp4" in notes
    assert "1 video is left out: no list names it: deepspeak-v2-0/odd.mp4" in notes
    assert "1 video is left out: another has the same name: " in notes
    write(tmp_path, "annotations-split-def.csv", "identity,split\n87,training\n")
    with pytest.raises(UserError, match=r"names the split 'training'; expected one of: train, val, test"):
        scan("deepspeak", tmp_path)
