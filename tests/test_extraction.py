"""From a video file to crops that need no further detection: the right person, centred, whole, every time the same."""

import pickle

import cv2
import numpy as np
import pytest

from addnet.data.synthetic import Identity, PortraitView, draw_portrait
from addnet.errors import UserError
from addnet.faces import CropSettings, Landmarker, check_image, extract_faces, iter_images, save_crop
from addnet.faces.crops import crop_name, cut_face
from addnet.faces.landmarks import Face
from addnet.faces.videos import Frame
from media import cut_off, numbered, read_gif, turn, write_video

BACKGROUND = (95, 100, 110)


@pytest.fixture(scope="module")
def landmarker():
    return Landmarker(face_crops=False)


@pytest.fixture(scope="module")
def people():
    """Two drawn people with their true landmarks, 150 and 170 pixels large."""
    drawn = []
    for seed, size in ((7, 150), (11, 170)):
        identity, view = Identity.draw(np.random.default_rng(seed)), PortraitView.draw(np.random.default_rng(8))
        drawn.append(draw_portrait(identity, view, size=size))
    return drawn


def scene(*placed, size=(240, 480)):
    """An image with people at (x, y) of their upper left corners."""
    image = np.full((*size, 3), BACKGROUND, dtype=np.uint8)
    for (portrait, _), x, y in placed:
        image[y : y + portrait.shape[0], x : x + portrait.shape[1]] = portrait
    return image


@pytest.fixture(scope="module")
def clip(tmp_path_factory, people):
    """24 frames: the first person moves throughout, the second, larger, is there for the first 12."""
    small, large = people
    frames = [scene((small, 10 + 2 * step, 40 + step), *[(large, 300 - step, 30)] * (step < 12)) for step in range(24)]
    return write_video(tmp_path_factory.mktemp("clip") / "two.mp4", frames)


def extracted(path, landmarker, **settings):
    faces = extract_faces(path, CropSettings(**settings), landmarker)
    return list(faces), faces.summary


def test_the_largest_face_of_each_frame(clip, landmarker):
    crops, summary = extracted(clip, landmarker, frames=6)
    assert [crop.frame for crop in crops] == [2, 6, 10, 14, 18, 22]
    assert [crop.original_box[0] > 240 for crop in crops] == [True] * 3 + [False] * 3
    assert (summary.sampled, summary.crops, summary.faces, summary.tracks) == (6, 6, 9, 2)


def test_the_longest_track_is_one_person(clip, landmarker):
    crops, summary = extracted(clip, landmarker, frames=6, policy="longest_track")
    assert [crop.frame for crop in crops] == [2, 6, 10, 14, 18, 22]
    assert all(crop.original_box[2] < 240 for crop in crops)
    assert len({crop.track for crop in crops}) == 1
    assert (summary.crops, summary.faces) == (6, 9)


def test_all_faces_with_their_tracks(clip, landmarker):
    crops, _ = extracted(clip, landmarker, frames=6, policy="all")
    right = {crop.track for crop in crops if crop.original_box[0] > 240}
    left = {crop.track for crop in crops if crop.original_box[0] < 240}
    assert len(crops) == 9
    assert (len(left), len(right), len(left & right)) == (1, 1, 0)


def test_reading_twice_cuts_the_same_as_reading_once(clip, landmarker):
    everyone, _ = extracted(clip, landmarker, every=4, policy="all")
    longest, _ = extracted(clip, landmarker, every=4, policy="longest_track")
    same = [crop for crop in everyone if crop.track == longest[0].track]
    assert [crop.time for crop in same] == [crop.time for crop in longest]
    assert all((a.image == b.image).all() for a, b in zip(same, longest, strict=True))


def test_a_cut_parts_two_people_in_the_same_place(tmp_path, landmarker, people):
    small, large = people
    other = np.full((240, 480, 3), (20, 60, 30), dtype=np.uint8)
    other[40:190, 200:350] = small[0]
    frames = [scene((large, 190, 30))] * 4 + [other] * 8
    crops, summary = extracted(write_video(tmp_path / "cut.mp4", frames), landmarker, every=1, policy="longest_track")
    assert summary.tracks == 2
    assert [crop.frame for crop in crops] == list(range(4, 12))


def test_landmarks_and_box_are_those_of_the_crop(clip, landmarker):
    for size in (None, 96):
        crop = extracted(clip, landmarker, frames=1, size=size)[0][0]
        low, high = crop.face.landmarks.min(axis=0), crop.face.landmarks.max(axis=0)
        side = crop.image.shape[0]
        assert crop.image.shape == (side, side, 3)
        assert (low + high) / 2 == pytest.approx((side - 1) / 2, abs=1)  # the face is in the middle
        assert (high - low).max() * 1.3 == pytest.approx(side, abs=1)
        again = Landmarker()(crop.image)
        between = np.linalg.norm(crop.face.landmarks[36] - crop.face.landmarks[45])
        assert np.linalg.norm(again.landmarks - crop.face.landmarks, axis=1).mean() < 0.1 * between


def test_a_resized_crop_is_the_native_one_made_smaller(clip, landmarker):
    native, small = (extracted(clip, landmarker, frames=1, size=size)[0][0] for size in (None, 64))
    factor = 64 / native.image.shape[0]
    assert small.face.landmarks == pytest.approx((native.face.landmarks + 0.5) * factor - 0.5, abs=0.01)
    assert small.face.box == pytest.approx((native.face.box + 0.5) * factor - 0.5, abs=0.01)
    assert (small.original_box == native.original_box).all()


@pytest.fixture
def face():
    """A face around (60, 50) of 40 × 40 pixels, whose landmarks are the corners and the middle."""
    landmarks = np.tile(np.array([60.0, 50.0], dtype=np.float32), (68, 1))
    landmarks[0], landmarks[1] = (40, 30), (80, 70)
    return Face("detector", landmarks, np.array([42, 32, 78, 68], dtype=np.float32))


def test_native_pixels_are_untouched(face):
    image = np.random.default_rng(0).integers(0, 256, (100, 120, 3), dtype=np.uint8)
    crop = cut_face(Frame(3, 0.1, image), face, 0, settings=CropSettings())
    assert (crop.image == image[25:77, 35:87]).all() or (crop.image == image[24:76, 34:86]).all()
    left, top = face.landmarks[0] - crop.face.landmarks[0]
    assert (crop.image[10, 20] == image[round(top) + 10, round(left) + 20]).all()
    assert crop.face.box == pytest.approx(face.box - [left, top, left, top])


def test_beyond_the_border_the_frame_is_mirrored(face):
    image = np.random.default_rng(0).integers(0, 256, (100, 70, 3), dtype=np.uint8)
    crop = cut_face(Frame(0, 0.0, image), face, 0, settings=CropSettings()).image
    inside = 70 - round(float(face.landmarks[0][0] - 6))
    assert crop.shape == (52, 52, 3)
    columns = [column for column in range(52) if (crop[:, column] == crop[:, column - 2]).all()]
    assert len(columns) == 1  # reflected around the last column, which is not repeated
    assert abs(columns[0] - inside) <= 1


def test_shrinking_averages(face):
    noise = np.random.default_rng(0).integers(0, 256, (100, 120, 3), dtype=np.uint8)
    crop = cut_face(Frame(0, 0.0, noise), face, 0, settings=CropSettings(size=17))
    assert crop.image.std() < 0.4 * noise.std()  # 3 × 3 pixels in one; sampling without averaging leaves .6
    assert crop.face.landmarks[2] == pytest.approx([8, 8], abs=0.3)


def test_a_turned_video_gives_upright_faces(tmp_path, landmarker, people):
    lying = [np.rot90(scene((people[0], 60, 40)), 1).copy()] * 3
    path = turn(write_video(tmp_path / "phone.mp4", lying), (0, 1, -1, 0))
    crops, summary = extracted(path, landmarker, every=1)
    assert summary.without_face == 0
    assert all(crop.original_box[2] < 240 for crop in crops)
    assert crops[0].face.landmarks[36:48, 1].mean() < crops[0].face.landmarks[48:, 1].mean()  # eyes above the mouth


def test_frames_without_a_face_are_counted(tmp_path, landmarker, people):
    frames = [scene((people[0], 40, 40)), scene()] * 3
    crops, summary = extracted(write_video(tmp_path / "gaps.mp4", frames), landmarker, every=1)
    assert [crop.frame for crop in crops] == [0, 2, 4]
    assert (summary.sampled, summary.without_face, summary.crops) == (6, 3, 3)
    assert summary.steps == {"detector": 3}


@pytest.mark.parametrize("policy", ["largest", "all", "longest_track"])
def test_a_video_without_faces_gives_none(tmp_path, landmarker, policy):
    crops, summary = extracted(write_video(tmp_path / "empty.mp4", numbered(3)), landmarker, every=1, policy=policy)
    assert crops == []
    assert (summary.sampled, summary.without_face, summary.tracks) == (3, 3, 0)


def test_what_is_wrong_with_a_file_is_in_the_summary(tmp_path, landmarker, people):
    frames = [scene((people[0], 10 + 2 * step, 40)) for step in range(24)]
    path = cut_off(write_video(tmp_path / "cut.mp4", frames, options={"movflags": "faststart"}), 0.7)
    crops, summary = extracted(path, landmarker, frames=2)
    assert len(crops) == 2
    assert any("truncated after frame" in note for note in summary.notes)
    with pytest.raises(UserError, match=r"gone\.mp4"):
        extracted(tmp_path / "gone.mp4", landmarker)


@pytest.mark.parametrize(("format", "tolerance"), [("jpg", 12), ("png", 0)])
def test_crops_are_kept_whole(clip, tmp_path, landmarker, format, tolerance):  # noqa: A002 - the option's name
    settings = CropSettings(frames=1, format=format)
    crop = next(extract_faces(clip, settings, landmarker))
    path = tmp_path / crop_name(crop, settings)
    save_crop(crop, path, settings)
    assert path.name == f"000012.{format}"
    assert np.abs(check_image(path).astype(int) - crop.image).mean() <= tolerance
    assert [file.name for file in tmp_path.iterdir()] == [path.name]


def test_names_tell_the_track_where_a_frame_gives_several(clip, landmarker):
    settings = CropSettings(frames=1, policy="all")
    names = {
        crop_name(crop, settings) for crop in extract_faces(clip, CropSettings(every=99, policy="all"), landmarker)
    }
    assert names == {"000000_0.jpg", "000000_1.jpg"}


def test_an_interrupted_write_leaves_no_image(clip, tmp_path, landmarker, monkeypatch):
    settings = CropSettings(frames=1)
    crop = next(extract_faces(clip, settings, landmarker))

    def full(path, data):
        path.open("wb").close()
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("pathlib.Path.write_bytes", full)
    with pytest.raises(UserError, match=r"000012\.jpg: No space left"):
        save_crop(crop, tmp_path / "000012.jpg", settings)
    assert list(iter_images(tmp_path)) == []
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("every", 0),
        ("frames", 2.5),
        ("frames", "many"),
        ("policy", "biggest"),
        ("margin", 0),
        ("margin", float("nan")),
        ("margin", "wide"),
        ("size", 8),
        ("size", True),
        ("format", "tiff"),
        ("quality", 101),
        ("quality", None),
    ],
)
def test_settings_are_refused_by_their_name(key, value):
    with pytest.raises(UserError, match=rf"^prepare\.{key}="):
        CropSettings(**{key: value})


def test_some_sampling_is_needed():
    with pytest.raises(UserError, match=r"prepare\.frames=32"):
        CropSettings(frames=None)


def test_crops_and_settings_travel_between_processes(clip, landmarker):
    settings = pickle.loads(pickle.dumps(CropSettings(frames=2, size=64)))
    crop = pickle.loads(pickle.dumps(next(extract_faces(clip, settings, landmarker))))
    assert crop.image.shape == (64, 64, 3)


def test_the_same_person_is_followed_through_a_real_clip(real_data, tmp_path, landmarker):
    gif = real_data / "videos" / "intel_head-pose-face-detection-female-and-male.gif"
    path = write_video(tmp_path / "clip.mp4", read_gif(gif))
    crops, summary = extracted(path, landmarker, every=5, policy="longest_track")
    centres = np.array([(crop.original_box[:2] + crop.original_box[2:]) / 2 for crop in crops])
    assert len(crops) >= 0.9 * summary.sampled
    assert (centres[:, 0] > 240).all()  # the man, at the right
    assert np.linalg.norm(np.diff(centres, axis=0), axis=1).max() < 60
    bright = [cv2.cvtColor(crop.image, cv2.COLOR_RGB2GRAY).mean() for crop in crops]
    assert np.std(bright) < 15


@pytest.mark.parametrize("name", ["female", "male"])
def test_real_crops_need_no_further_detection(real_data, tmp_path, landmarker, name):
    gif = real_data / "videos" / f"intel_head-pose-face-detection-{name}.gif"
    crops, summary = extracted(write_video(tmp_path / "clip.mp4", read_gif(gif)), landmarker, frames=4, size=224)
    assert summary.without_face == 0
    assert all((crop.face.landmarks > -10).all() and (crop.face.landmarks < 234).all() for crop in crops)
    assert {crop.image.shape for crop in crops} == {(224, 224, 3)}
