"""What the page says about a file: verdict, threshold, reasons, and words instead of errors."""

import re
from contextlib import closing
from copy import copy
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

import media
from addnet.errors import UserError
from addnet.evaluation import Decision
from addnet.evaluation.likelihood import LikelihoodRatio
from addnet.faces.decoding import length
from addnet.faces.landmarks import STEPS
from addnet.inference import Answer, Detector, FaceAnswer
from addnet.inference.answering.addresses import is_loopback
from addnet.inference.answering.asking import UploadLimits, Visit
from addnet.inference.answering.private import private_folder
from addnet.inference.page.examples import draw_examples
from addnet.inference.page.fragment import bars, fragment, welcome
from addnet.inference.page.serving import PageAddress, warn_unless_loopback
from addnet.inference.page.words import _STEPS, NOTICE, percent, words_of
from checkpoints import checkpoint

pytestmark = pytest.mark.slow

DECISION = Decision(0.4, "0.4000, from validation", 2.0, calibration="calibrated on validation", origin="fitted")
FACE = FaceAnswer("fake", 0.9, 0.75, "upsampled", (10.0, 10.0, 90.0, 90.0))
ANSWER = Answer("fake", 0.9, 0.75, 0.4, "a.jpg", faces=(FACE,))


@pytest.fixture(scope="module")
def detector(tmp_path_factory):
    path = checkpoint(tmp_path_factory.mktemp("checkpoint") / "best.ckpt", name="bandpass", kernel_size=7)
    return Detector.from_checkpoint(path, device="cpu")


@pytest.fixture(scope="module")
def visit(detector):
    limits = UploadLimits(max_mb=1, max_megapixels=1, max_seconds=5, frames=4)
    with closing(Visit(detector, limits, workers=1)) as visit:
        yield visit


@pytest.fixture
def face(portrait, tmp_path):
    Image.fromarray(portrait[0]).save(tmp_path / "face.png")
    return tmp_path / "face.png"


def test_a_verdict_has_its_probability_and_where_the_threshold_comes_from():
    words = words_of(ANSWER, DECISION, fake="fake")
    assert (words.headline, words.tone) == ("Fake", "fake")
    assert words.probability == "Probability of fake: 75.0 %, calibrated on validation"
    assert words.lines[0] == "The network's score is 0.9000, above the threshold: 0.4000, from validation."
    assert "at twice its size" in words.lines[1]


def test_an_undecided_file_says_why_and_nothing_of_real_or_fake():
    why = "unlike its training images: it is dark"
    words = words_of(replace(ANSWER, verdict="undecided", reason=why), DECISION, fake="fake")
    assert (words.headline, words.tone) == ("Undecided", "none")
    assert words.lines[0].startswith("Unlike its training images: it is dark. The network's score is 0.9000; ")


def test_the_weight_of_evidence_stands_below_the_score(visit, face):
    ratio = LikelihoodRatio(0.5, 0.1, -1.0, 2.0, "drawn faces")
    weighing = copy(visit)
    weighing.ratios = {"frame": ratio}
    said = weighing.ask(face)
    assert said.answer.evidence == ratio.told(said.answer.score)
    line = words_of(said.answer, DECISION, fake="fake").lines[1]
    assert line.startswith(f"Weight of evidence: {said.answer.evidence}; above 0 it is evidence for a fake")
    assert words_of(visit.ask(face).answer, DECISION, fake="fake").lines[1].startswith("The largest face")


def test_a_verdict_against_the_probability_is_explained():
    words = words_of(replace(ANSWER, verdict="real", score=0.3, probability=0.6), DECISION, fake="fake")
    assert words.lines[0].endswith("The threshold decides; it is not at a probability of 50 %.")


def test_a_checkpoint_without_a_temperature_is_not_said_to_be_calibrated():
    no_errors = "not calibrated: validation has no errors to learn from"
    decision = replace(DECISION, temperature=None, calibration=no_errors, limits=(0.05, 0.75))
    words = words_of(replace(ANSWER, verdict="real"), decision, fake="fake")
    assert words.tone == "real"
    assert words.probability.endswith(f"75.0 %, {no_errors}; the most extreme value that validation supports")


def test_frames_without_a_face_are_counted_and_damage_is_told():
    notes = {"frames": 8, "frames_without_face": 3, "notes": ("truncated after frame 57",)}
    words = words_of(replace(ANSWER, kind="video", **notes), DECISION, fake="fake")
    assert "8 frames were examined; 3 of them without a face." in words.lines
    assert "Truncated after frame 57." in words.lines


def test_shares_are_never_a_round_0_or_100():
    assert [percent(share) for share in (0.0, 0.5, 1.0)] == ["below 0.1 %", "50.0 %", "above 99.9 %"]


def test_every_step_of_the_landmark_chain_has_words():
    assert {*_STEPS, "none"} == set(STEPS)


def test_an_image_gets_what_predict_says_and_every_reason(visit, detector, face):
    expected = detector.predict(face)
    page = fragment(visit.ask(face), detector)
    assert f"score is {expected.score:.4f}" in page
    assert percent(expected.probability) in page
    titles = re.findall("<h4>(.*?)</h4>", page)
    assert titles[:4] == ["Your image", "Face and landmarks", "Attention mask", "Evidence for fake"]
    assert titles[4:] == ["Filtered image", "Frequency response"]
    assert re.findall('<th scope="row">(.*?)</th>', page) == ["eyes", "nose", "mouth"]
    assert NOTICE in page


def test_every_image_of_the_page_lies_in_it_and_has_words(visit, detector, face):
    page = fragment(visit.ask(face), detector)
    assert len(re.findall(r"<img [^>]*>", page)) == 6
    for image in re.findall(r"<img [^>]*>", page):
        assert re.search(r'src="data:image/(jpeg|png);base64,[^"]{500,}" alt="[^"]{10,}"', image), image[:80]
    assert "http" not in page


def test_a_plain_network_has_no_filtered_image(visit, tmp_path, face):
    plain = copy(visit)
    plain.detector = Detector.from_checkpoint(checkpoint(tmp_path / "plain.ckpt"), device="cpu")
    assert "Filtered" not in fragment(plain.ask(face), plain.detector)


def test_a_video_gets_a_timeline_and_its_worst_frame(visit, detector, video_dir):
    said = visit.ask(video_dir / "test" / "real" / "p3.mp4")
    page = fragment(said, detector)
    worst = max(said.answer.faces, key=lambda one: one.score)
    assert said.explanation.score == pytest.approx(worst.score, abs=1e-6)
    assert f"number {worst.frame}" in page
    assert "Score over time" in page
    assert "4 frames were examined; none of them without a face." in page


def test_an_image_without_a_face_gets_no_score(visit, detector, tmp_path):
    Image.new("RGB", (200, 200), (90, 90, 90)).save(tmp_path / "grey.png")
    page = fragment(visit.ask(tmp_path / "grey.png"), detector)
    assert "No face found" in page
    assert "Probability" not in page


def _truncated(file, portrait):
    Image.fromarray(portrait[0]).save(file)
    file.write_bytes(file.read_bytes()[:3000])


@pytest.mark.parametrize(
    ("name", "write", "words"),
    [
        ("text.jpg", lambda file, _: file.write_text("hello"), "Not an image."),
        ("cut.jpg", _truncated, "Damaged image"),
        ("empty.png", lambda file, _: file.write_bytes(b""), "Empty file"),
        ("bomb.png", lambda file, _: Image.new("1", (20000, 20000)).save(file), "(at most|Larger than) 80 megapixels"),
        ("large.png", lambda file, _: Image.new("L", (1100, 1000)).save(file), "at most 1 are allowed"),
        ("heavy.jpg", lambda file, _: file.write_bytes(bytes(2 << 20)), "File of 2 MB; at most 1 MB"),
        ("none.mp4", lambda file, _: file.write_bytes(b"no video" * 99), "Not a video"),
        ("song.mp4", lambda file, _: media.write_sound(file), "Has no video"),
        ("long.mp4", lambda file, _: media.write_video(file, media.numbered(50) * 3), "Video of 6 seconds; at most 5"),
        ("gone.jpg", lambda file, _: None, "Cannot be read: No such file"),
    ],
)
def test_whatever_is_wrong_with_a_file_is_said_in_words(visit, detector, tmp_path, portrait, name, write, words):
    write(tmp_path / name, portrait)
    page = fragment(visit.ask(tmp_path / name), detector)
    assert "can&#39;t be used" in page
    assert re.search(words, page), page
    assert str(tmp_path) not in page


def test_names_of_files_are_text_and_nothing_else(detector):
    from addnet.inference.answering.asking import Reply

    page = fragment(Reply(replace(ANSWER, path="<script>{{ 7 * 7 }}.jpg")), detector)
    assert "&lt;script&gt;{{ 7 * 7 }}.jpg" in page


def test_seconds_of_a_video_are_those_of_its_images(tmp_path):
    file = media.write_video(tmp_path / "a.mp4", media.numbered(51))
    assert length(file) == pytest.approx(2.0)


def test_bars_of_organs_that_hardly_matter_are_short():
    (organ, value, start, width), _ = bars({"eyes": -0.1, "nose": 0.05})
    assert (organ, value, start, width) == ("eyes", -0.1, pytest.approx(40), pytest.approx(10))
    assert bars({}) == []


def test_limits_below_0_are_refused():
    with pytest.raises(UserError, match=r"limits\.frames=0"):
        UploadLimits(frames=0)


def test_examples_are_drawn_and_differ_in_the_face_alone(tmp_path, detector):
    real, fake = draw_examples(tmp_path)
    assert [detector.predict(one.file).verdict != "no face" for one in (real, fake)] == [True, True]
    difference = np.abs(np.asarray(Image.open(real.file), int) - np.asarray(Image.open(fake.file), int)).max(axis=2)
    assert difference[:40].max() < 30 < difference[100:160, 100:160].max()


def test_only_loopback_needs_no_warning(caplog):
    for host in ("127.0.0.1", "::1", "localhost"):
        warn_unless_loopback(host)
    assert not caplog.records
    assert is_loopback(PageAddress().host)
    for host in ("0.0.0.0", "192.168.1.5", "myhost"):
        warn_unless_loopback(host)
    assert len(caplog.records) == 3
    assert "upload files" in caplog.text


def test_what_the_environment_asks_of_gradio_does_not_count(monkeypatch):
    import os
    import tempfile

    monkeypatch.setenv("GRADIO_SHARE", "True")
    with private_folder() as folder:
        assert "GRADIO_SHARE" not in os.environ
        assert os.environ["GRADIO_ANALYTICS_ENABLED"] == "False"
        assert tempfile.gettempdir() == str(folder)
    assert not folder.exists()
    assert os.environ["GRADIO_SHARE"] == "True"
    assert tempfile.gettempdir() != str(folder)


def test_before_the_first_file_the_page_says_what_to_do():
    assert "Drop an image" in welcome()


def test_a_playlist_named_as_a_video_opens_no_other_file(tmp_path, portrait):
    media.write_video(tmp_path / "other.mp4", [portrait[0]] * 5)
    (tmp_path / "list.mp4").write_text("ffconcat version 1.0\nfile other.mp4\n")
    assert length(tmp_path / "other.mp4") > 0
    assert length(tmp_path / "list.mp4") == 0
