"""Of several people in a video one is followed, or each is scored: whatever is said, is said about the same person."""

import csv
from contextlib import closing

import av
import numpy as np
import pytest

import media
from addnet.data.synthetic import Identity, PortraitView, draw_portrait
from addnet.faces import CropSettings, Landmarker, extract_faces, extraction
from addnet.faces.descriptors import FaceDescriptor
from addnet.faces.people import people_of
from addnet.inference import Detector
from addnet.inference.annotating import annotate
from addnet.inference.answering.asking import UploadLimits, Visit
from addnet.inference.page.fragment import fragment
from addnet.inference.timeline import timeline_plot
from addnet.inference.videos import VideoSettings
from addnet.inference.writing import AnswerFiles, table_of
from checkpoints import checkpoint

pytestmark = pytest.mark.slow

GREY = (95, 100, 110)


@pytest.fixture(scope="module")
def detector(tmp_path_factory):
    return Detector.from_checkpoint(checkpoint(tmp_path_factory.mktemp("checkpoint") / "best.ckpt"), device="cpu")


@pytest.fixture(scope="module")
def portraits():
    """Of two people, 150 and 170 pixels large."""
    view = PortraitView.draw(np.random.default_rng(8))
    return [draw_portrait(Identity.draw(np.random.default_rng(s)), view, size=n)[0] for s, n in ((7, 150), (11, 170))]


def scene(*placed, colour=GREY):
    image = np.full((200, 400, 3), colour, dtype=np.uint8)
    for portrait, x in placed:
        image[15 : 15 + portrait.shape[0], x : x + portrait.shape[1]] = portrait
    return image


@pytest.fixture(scope="module")
def clip(tmp_path_factory, portraits):
    """Six frames: the person at the left is there throughout, the larger one at the right in the first three."""
    small, large = portraits
    frames = [scene((small, 10 + step), *[(large, 215)] * (step < 3)) for step in range(6)]
    return media.write_video(tmp_path_factory.mktemp("clip") / "two.mp4", frames)


def test_who_is_there_longest_is_followed_and_others_are_counted(detector, clip):
    answer = detector.predict(clip)
    assert [face.frame for face in answer.faces] == list(range(6))
    assert all(face.box[2] < 200 for face in answer.faces)
    assert {face.track for face in answer.faces} == {answer.track} == {1}  # the larger face of the first frame is 0
    assert (answer.people, answer.others) == (2, 1)
    assert answer.score == pytest.approx(np.mean([face.score for face in answer.faces]))


@pytest.mark.parametrize("policy", ["all", "largest"])
def test_of_several_who_are_scored_the_most_suspicious_decides(detector, clip, policy):
    answer = detector.predict_video(clip, VideoSettings(policy=policy))
    means = [np.mean([face.score for face in answer.faces if face.track == track]) for track in (0, 1)]
    assert (answer.people, answer.others) == (2, 0)
    assert answer.score == pytest.approx(max(means))
    assert answer.track == int(np.argmax(means))
    assert {face.track for face in answer.deciding} == {answer.track}
    assert answer.worst.score == max(face.score for face in answer.deciding)


@pytest.mark.parametrize("policy", ["longest_track", "all"])
def test_the_reasons_are_of_the_person_who_decides(detector, clip, policy):
    from addnet.inference.videos import FacesOfVideo

    faces = FacesOfVideo(clip, detector.preprocessing, VideoSettings(policy=policy))
    answer, seen = detector.watch(faces, path=str(clip))
    assert tuple(seen.face.box) == answer.worst.box
    assert detector.scores([seen])[0] == pytest.approx(answer.worst.score, abs=1e-3)


def test_table_sheet_timeline_and_boxes_name_the_same_person(detector, clip, tmp_path):
    followed, everyone = (detector.predict_video(clip, VideoSettings(policy=p)) for p in ("longest_track", "all"))
    remarks = [table_of([answer], title="").columns[-1]._cells[0] for answer in (followed, everyone)]
    assert remarks[0] == "track 1, in 6 of 6 frames; 1 other person not scored"
    assert remarks[1].endswith("the most suspicious of 2 people")
    labels = timeline_plot(everyone).axes[0].get_legend_handles_labels()[1]
    assert labels[:2] == ["track 0", "track 1"]
    assert labels[-1].endswith(f"(track {everyone.track})")
    assert timeline_plot(followed).axes[0].get_legend_handles_labels()[1][0] == "track 1"
    with AnswerFiles(tmp_path) as files:
        files.add(followed)
    with (tmp_path / "answers.csv").open(newline="") as file:
        (row,) = csv.DictReader(file)
    assert (row["people"], row["track"]) == ("2", "1")


def test_a_box_goes_with_its_person(detector, portraits, tmp_path):
    frames = [scene((portraits[0], 10))] * 3 + [scene()] * 3
    answer = detector.predict(media.write_video(tmp_path / "leaves.mp4", frames))
    annotate(answer, tmp_path / "boxes.mp4", class_names=("real", "fake"))
    with av.open(str(tmp_path / "boxes.mp4")) as container:
        shown = [frame.to_ndarray(format="rgb24").astype(int) for frame in container.decode(video=0)]
    inside = [frame[60:160, :200].std() for frame in shown]  # the verdict on the whole stands at the foot
    assert min(inside[:3]) > 20 > 10 > max(inside[3:])


def test_the_page_follows_the_same_person(detector, clip):
    with closing(Visit(detector, UploadLimits(frames=6), workers=1)) as visit:
        said = visit.ask(clip)
    page = fragment(said, detector)
    sentence = "Of 2 people, the one who is visible longest was scored (track 1, in 6 frames); 1 other was not scored."
    assert sentence in page
    assert f"number {said.answer.worst.frame}" in page
    assert said.explanation.seen.face.box[2] < 200


def test_other_faces_of_an_image_are_counted(detector, portraits):
    image = scene((portraits[0], 10), (portraits[1], 215))
    largest, everyone = (detector.predict(image, faces=faces) for faces in ("largest", "all"))
    assert [(answer.people, answer.others) for answer in (largest, everyone)] == [(2, 1), (2, 0)]
    remarks = table_of([largest, everyone], title="").columns[-1]._cells
    assert remarks == ["the largest of 2 faces", "the most suspicious of 2 faces"]


def test_a_person_is_known_again_after_a_cut(detector, portraits, tmp_path):
    small, large = portraits
    shots = [scene((small, 200))] * 3 + [scene((small, 20), (large, 215), colour=(20, 60, 30))] * 3
    answer = detector.predict(media.write_video(tmp_path / "cut.mp4", shots))
    assert [face.frame for face in answer.faces] == list(range(6))
    assert (answer.people, answer.track) == (2, 0)


def test_without_the_model_places_alone_tell_people_apart_and_it_is_said(clip):
    settings, finder = CropSettings(every=1, policy="longest_track"), Landmarker(face_crops=False)
    faces = extract_faces(clip, settings, finder, FaceDescriptor("gone.dat"))
    assert len(list(faces)) == 6
    assert "people are distinguished by position alone" in faces.summary.notes[0]


def test_what_is_too_much_to_keep_is_decoded_again(clip, monkeypatch):
    settings, finder = CropSettings(every=1, policy="longest_track"), Landmarker(face_crops=False)
    kept = list(extract_faces(clip, settings, finder))
    monkeypatch.setattr(extraction, "_KEPT", 200_000)
    again = list(extract_faces(clip, settings, finder))
    assert [(one.frame, one.track) for one in kept] == [(one.frame, one.track) for one in again]
    assert all(np.array_equal(one.image, other.image) for one, other in zip(kept, again, strict=True))


def look(*values):
    return np.asarray(values, dtype=np.float32)


def test_tracks_in_one_frame_are_two_people_however_much_alike():
    assert people_of([[0, 1], [2]], {0: look(0, 0), 1: look(0, 0), 2: look(0.1, 0)}) == {0: 0, 1: 1, 2: 0}
    assert people_of([[0], [1, 2]], {0: look(0, 0), 1: look(0.2, 0), 2: look(0.1, 0)}) == {0: 0, 1: 1, 2: 0}


def test_strangers_and_tracks_without_a_look_stay_apart():
    assert people_of([[0], [1], [], [2]], {0: look(0, 0), 1: look(1, 0)}) == {0: 0, 1: 1, 2: 2}
    assert people_of([], {}) == {}
