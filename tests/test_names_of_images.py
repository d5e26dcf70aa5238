"""Names as tools write them: which images are frames of one video, what belongs together, which folder is which."""

import pytest

from addnet.data.layouts import LAYOUTS, list_data, scan_folder, scan_unlabelled
from addnet.data.layouts.class_folders import read_folder
from addnet.data.layouts.guesses import guess, guess_groups
from addnet.errors import UserError
from addnet.index.records import Records

FRAMES = [  # a name, its video, its group
    ("name_000123.jpg", "name", "name"),
    ("name-0001.png", "name", "name"),
    ("name frame 12.jpg", "name", "name"),
    ("name.mp4_frame_10.jpg", "name", "name"),
    ("name.mts_frame_10.jpg", "name", "name"),
    ("name.3gp_0010.jpg", "name", "name"),
    ("name_frame_0010_face_1.jpg", "name", "name"),
    ("name_f12.jpg", "name", "name"),
    ("name (3).jpg", "name", "name"),
    ("name_0012_crop.jpg", "name", "name"),
    ("name_0012_fake.jpg", "name", "name"),
    ("name_1500ms.jpg", "name", "name"),
    ("frame10_name.jpg", "name", "name"),
    ("clip0-0000.jpg", "clip0", "clip0"),
    ("clip_0001_0003.jpg", "clip_0001", "clip_0001"),
    ("video 7 frame 3.jpg", "video 7", "video 7"),
    ("face_0_17.jpg", "face_0", "face_0"),
    ("0001_0003.jpg", "0001", "0001"),
    ("id0_id1_0000_12.png", "id0_id1_0000", "id0"),
    ("id0_id1_0000.png", "id0_id1_0000", "id0"),
    ("001_870_0003.png", "001_870", "001_870"),
    ("dQw4w9WgXcQ_12.jpg", "dQw4w9WgXcQ", "dQw4w9WgXcQ"),
    ("_x-Y_12.jpg", "_x-Y", "x-Y"),
    ("cat_jpg.rf.3f2a8811aa.jpg", "cat", "cat"),
    ("人脸_001.jpg", "人脸", "人脸"),
    ("frame_0001.jpg", "frames", "frames"),
    ("abc_def_012.jpg", "abc_def", "abc"),
    ("p0012_ab_03.jpg", "p0012_ab", "p0012"),
    ("v1/0001.png", "v1", "v1"),
    ("v1/frame 12.png", "v1", "v1"),
    ("v1/t_00_01_23.450.png", "v1", "v1"),
    ("v1/frames/0001.png", "v1/frames", "v1"),
    ("deep/v1_v2/0001.png", "deep/v1_v2", "v1"),
    ("007.mp4/0000.jpg", "007.mp4", "007"),
    ("Deepfakes/001_870/0003.png", "Deepfakes/001_870", "001_870"),
    ("Deepfakes/001_870_0003.png", "Deepfakes/001_870", "001_870"),
]
COUNTED = [  # images that are merely counted: a name, its group
    ("0001.jpg", "0001"),
    ("img_0001.jpg", "img_0001"),
    ("image (3).jpg", "image (3)"),
    ("real_00001.jpg", "00001"),
    ("real_0001_train.jpg", "0001_train"),
    ("0001_fake.jpg", "0001"),
    ("fake/0001.jpg", "0001"),
]


@pytest.mark.parametrize(("name", "video", "group"), FRAMES)
def test_frames_of_a_video_are_told_by_their_names(name, video, group):
    assert guess([name]) == [(video, group, False)]


@pytest.mark.parametrize(("name", "group"), COUNTED)
def test_images_that_are_merely_counted_are_images_of_their_own(name, group):
    [found] = guess([name])
    assert (found.group, found.counted) == (group, True)


def test_a_group_is_never_finer_than_a_video():
    names = [name for name, *_ in FRAMES] + [name for name, _ in COUNTED]
    names += [name.replace("1", "2") for name in names] + [f"{name[:-4]}_0002{name[-4:]}" for name in names]
    homes = {}
    for found in guess(names):
        assert homes.setdefault(found.video, found.group) == found.group


def test_a_folder_named_after_a_method_is_no_video_and_any_other_is():
    assert [found.video for found in guess(["simswap/abc.jpg", "simswap/def.jpg"])] == ["simswap/abc", "simswap/def"]
    assert {found.video for found in guess(["v1/abc.jpg", "v1/def.jpg"])} == {"v1"}


def test_files_named_after_videos_tell_these_within_a_folder():
    names = [f"part1/{video}_{frame:04d}.jpg" for video in ("anna", "bert") for frame in range(3)]
    assert {found.video for found in guess(names)} == {"part1/anna", "part1/bert"}
    of_one = [f"v1/t_{minute}_{frame}.jpg" for minute in range(2) for frame in range(3)]
    assert {found.video for found in guess(of_one)} == {"v1"}


def test_the_number_of_a_face_behind_that_of_its_frame_tells_no_video():
    names = [f"{video}_{frame:04d}_0.jpg" for video in ("anna", "bert") for frame in range(5)]
    assert {found.video for found in guess([*names, "anna_0003_1.jpg"])} == {"anna", "bert"}
    frames = [f"anna_{video:04d}_{frame}.jpg" for video in range(2) for frame in range(5)]
    assert {found.video for found in guess(frames)} == {"anna_0000", "anna_0001"}


def test_both_originals_of_a_pair_and_their_fakes_are_one_group():
    names = ["001/0001.png", "870_0001.png", "001_870_0003.png", "870_001_0004.png", "FaceSwap/870_001/0004.png"]
    assert {found.group for found in guess(names)} == {"001_870"}
    assert [found.group for found in guess(["007_012_1.png", "007_013_1.png"])] == ["007", "007"]  # no pairs


def test_groups_of_videos_go_by_their_names():
    videos = ["abc.mp4", "abc_def.mp4", "0000.mp4", "0000_fake.mp4", "video_1.mp4", "video_2.mp4", "001_870.mp4"]
    assert guess_groups(videos) == ["abc", "abc", "0000", "0000", "video_1", "video_2", "001_870"]


def _touch(root, *paths):
    for path in paths:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(b"x")


@pytest.mark.parametrize(
    ("name", "place"),
    [
        ("Train", ("train", None)),
        ("testing", ("test", None)),
        ("valid", ("val", None)),
        ("dev", ("val", None)),
        ("REAL", (None, 0)),
        ("0_real", (None, 0)),
        ("1_fake", (None, 1)),
        ("original", (None, 0)),
        ("Manipulated", (None, 1)),
        ("genuine", (None, 0)),
        ("swap", (None, 1)),
        ("Deepfakes", (None, 1)),
        ("real images", (None, 0)),
        ("training_fake", ("train", 1)),
        ("0", None),
        ("holdout", None),
        ("real_fake", None),
    ],
)
def test_folders_are_known_by_their_usual_names(name, place):
    assert read_folder(name) == place


@pytest.mark.parametrize("val", ["val", "Valid", "validation"])
def test_a_folder_for_validation_is_listed_as_such(tmp_path, val):
    _touch(tmp_path, *(f"{split}/{kind}/{split}.jpg" for split in ("TRAIN", val, "test") for kind in ("Real", "FAKE")))
    assert sorted(record.split for record in scan_folder(tmp_path)) == ["test", "test", "train", "train", "val", "val"]
    listing = list_data(LAYOUTS, "folder", tmp_path, options={})
    assert not listing.missing
    assert val == "val" or f"{val}/ is val" in listing.notes[0]


def test_classes_alone_are_for_training(tmp_path):
    _touch(tmp_path, "training_real/a.jpg", "training_fake/a.jpg")
    assert {(record.split, record.label, record.group_id) for record in scan_folder(tmp_path)} == {
        ("train", 0, "a"),
        ("train", 1, "a"),
    }
    listing = list_data(LAYOUTS, "folder", tmp_path, options={})
    assert [missing.path for missing in listing.missing] == ["test"]


def test_what_lies_elsewhere_is_named(tmp_path):
    _touch(tmp_path, "train/real/a.jpg", "train/fake/b.jpg", "holdout/c.jpg", "poster.jpg", "train/d.jpg")
    notes = " ".join(list_data(LAYOUTS, "folder", tmp_path, options={}).notes)
    assert "left out 3 files outside of the class folders: holdout/c.jpg, poster.jpg" in notes


@pytest.mark.parametrize(
    ("paths", "answer"),
    [
        (["train/0/a.jpg", "train/1/b.jpg"], "mv {root}/train/0 {root}/train/real"),
        (["train/real/a.jpg", "train/GAN x/b.jpg"], "mv '{root}/train/GAN x' '{root}/train/fake/GAN x'"),
        (["faces/v2/train/real/a.jpg"], "data.data_dir={root}/faces/v2"),
        (["train/real/a.jpg", "Train/real/b.jpg"], "both for train; merge them into one folder"),
    ],
)
def test_other_names_are_answered_with_what_to_type(tmp_path, paths, answer):
    _touch(tmp_path, *paths)
    with pytest.raises(UserError) as error:
        scan_folder(tmp_path)
    assert answer.format(root=tmp_path) in str(error.value)


def test_prediction_guesses_videos_by_the_same_names(tmp_path):
    _touch(tmp_path, "v1/0001.png", "v1/0002.png", "clip0-0000.jpg", "clip0-0001.jpg", "img_1.jpg")
    videos = Records.of(scan_unlabelled(tmp_path)).names("group_id")
    assert videos == ["clip0", "img_1", "v1"]


def test_two_videos_that_differ_in_their_suffix_are_two(tmp_path):
    _touch(tmp_path, "train/real/a.mov", "train/real/a.mp4", "train/fake/a.mp4")
    videos = Records.of(scan_folder(tmp_path, videos=True))
    assert len(videos.names("video_id")) == 3
    assert videos.names("group_id") == ["a"]


def test_a_list_without_a_column_for_videos_tells_them_by_the_same_names(tmp_path):
    names = ["x/clip frame 1.jpg", "x/clip frame 2.jpg", "x/id0_id1_0000_1.png", "v1/0001.png", "v1/0002.png"]
    _touch(tmp_path, *names)
    (tmp_path / "manifest.csv").write_text("\n".join(["path,label", *(f"{name},real" for name in names)]))
    images = list_data(LAYOUTS, "manifest", tmp_path, options={}).images
    videos = [video.partition("/real/")[2] for video in images.names("video_id")]
    assert videos == ["v1", "x/clip", "x/id0_id1_0000"]
