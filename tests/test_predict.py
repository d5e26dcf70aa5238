"""`addnet predict`: every file is answered for or listed, and mistakes end in a sentence."""

import csv
import json
import os
import signal

import av
import numpy as np
import pytest
import torch
from PIL import Image

import media
from addnet.errors import UserError
from addnet.inference.answers import Answer
from addnet.inference.inputs import Inputs
from addnet.inference.writing import AnswerFiles, row_of, table_of
from addnet.predict import _cores_shared, error_rate, exit_code
from checkpoints import changed, checkpoint
from trainings import ended, launch, wait_for

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    return checkpoint(tmp_path_factory.mktemp("checkpoint") / "best.ckpt", name="bandpass", kernel_size=7)


@pytest.fixture
def folder(portrait, tmp_path):
    """Ten faces, a clip, and files that aren't what their names say."""
    folder = tmp_path / "in"
    folder.mkdir()
    for number in range(10):
        lighter = np.clip(portrait[0].astype(int) + 3 * number, 0, 255).astype(np.uint8)
        Image.fromarray(lighter).save(folder / f"{number}.jpg", quality=95)
    media.write_video(folder / "clip.mp4", [portrait[0]] * 4)
    (folder / "text.jpg").write_text("no image")
    (folder / "empty.png").touch()
    (folder / "cut.jpg").write_bytes((folder / "0.jpg").read_bytes()[:1500])
    (folder / "text.mp4").write_text("no video")
    return folder


def predict(path, tmp_path, *arguments, code=0):
    out = tmp_path / "out"
    where = [f"ckpt={path}", f"hydra.run.dir={out}"]
    output = ended(launch(*where, *map(str, arguments), module="addnet.predict"), code=code)
    assert "Traceback" not in output
    return out, output


def test_the_good_are_scored_and_the_bad_are_listed(path, folder, tmp_path):
    out, output = predict(path, tmp_path, folder, "explain=true", code=2)
    with (out / "answers.csv").open(newline="") as file:
        rows = {row["path"].rpartition("/")[2]: row for row in csv.DictReader(file)}
    lines = [json.loads(line) for line in (out / "answers.jsonl").read_text().splitlines()]
    bad = {"text.jpg", "empty.png", "cut.jpg", "text.mp4"}
    assert len(rows) == len(lines) == 15
    assert {name for name, row in rows.items() if row["verdict"] == "unusable"} == bad
    assert all(rows[name]["reason"] and name in output for name in bad)
    assert all(0 < float(rows[f"{number}.jpg"]["score"]) < 1 for number in range(10))
    assert "images above a score of 0.4000" in (shown := " ".join(output.split()))
    assert "videos above a score of 0.3000" in shown
    assert len(list((out / "explanations").glob("*.png"))) == 11  # of each image, and of a frame of the clip
    (timeline,), (annotated,) = (out / "videos").glob("*.png"), (out / "videos").glob("*.mp4")
    assert timeline.stat().st_size > 5000
    with av.open(str(annotated)) as container:
        assert len(list(container.decode(video=0))) == 4


def test_ctrl_c_says_where_the_answers_so_far_are(path, folder, tmp_path):
    many = tmp_path / "many"
    many.mkdir()
    for number in range(400):
        (many / f"{number:03}.jpg").hardlink_to(folder / "0.jpg")
    answers = tmp_path / "out" / "answers.csv"
    process = launch(f"ckpt={path}", f"hydra.run.dir={answers.parent}", str(many), module="addnet.predict")
    wait_for(lambda: answers.is_file() and len(answers.read_text().splitlines()) > 1, process)
    process.send_signal(signal.SIGINT)
    output = ended(process, code=130)
    written = len(answers.read_text().splitlines()) - 1
    assert 0 < written < 400
    assert f"{written} of 400 answers are in {answers}" in output
    assert "Traceback" not in output


def test_ctrl_c_waits_until_both_files_have_an_answer(tmp_path, monkeypatch):
    answer = Answer("real", 0.1, 0.1, 0.5, "a.jpg")
    monkeypatch.setattr(Answer, "as_dict", lambda self: signal.raise_signal(signal.SIGINT) or {"path": self.path})
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # tests in the background have it ignored
    try:
        with AnswerFiles(tmp_path) as files, pytest.raises(KeyboardInterrupt):
            files.add(answer)
    finally:
        signal.signal(signal.SIGINT, before)
    assert files.answers == [answer]
    assert all("a.jpg" in (tmp_path / name).read_text() for name in ("answers.csv", "answers.jsonl"))


def test_quiet_says_nothing_about_what_went_well(path, folder, tmp_path):
    out, output = predict(path, tmp_path, "--quiet", folder / "0.jpg", folder / "1.jpg")
    assert output == ""
    assert len((out / "answers.jsonl").read_text().splitlines()) == 2


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["nowhere.jpg"], "no such file or folder"),
        (["input='nothing/*.jpg'"], "no file matches"),
        (["{folder}/text.jpg"], "none of the files could be used (1)"),
        (["{folder}/0.jpg", "detector.device=tpu"], "can't be used"),
        (["{folder}/0.jpg", "images.kind=portrait"], "auto, crops, scenes"),
        (["{folder}/0.jpg", "image.kind=crops"], "did you mean"),
    ],
)
def test_mistakes_end_in_a_sentence(path, folder, tmp_path, arguments, said):
    _, output = predict(path, tmp_path, *(argument.format(folder=folder) for argument in arguments), code=1)
    assert said in output


def _hostile(path):
    torch.save({"addnet": {"format": 1}, "state_dict": {}, "x": Answer}, path)
    return path


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda path, good: path, "no such file"),
        (lambda path, good: path.parent, "is a folder"),
        (lambda path, good: _written(path, b"text"), "damaged"),
        (lambda path, good: _written(path, good.read_bytes()[:100_000]), "damaged"),
        (lambda path, good: changed(good, path, format=7), "format 7"),
        (lambda path, good: _hostile(path), "more than tensors"),
    ],
)
def test_a_wrong_checkpoint_is_a_sentence(path, tmp_path, make, said):
    from addnet.inference import Detector

    with pytest.raises(UserError, match=said):
        Detector.from_checkpoint(make(tmp_path / "x.ckpt", path))


def _written(path, data):
    path.write_bytes(data)
    return path


def test_the_error_rate_counts_verdicts_alone():
    answers = [Answer(verdict, None, None, 0.5) for verdict in ("fake", "real", "real", "no face", "unusable")]
    told = error_rate(answers, "real", ("real", "fake"))
    assert "1 of 3 real files were called fake: 33.3%" in told
    assert "6.1% to 79.2%" in told
    assert "2 without a verdict" in told
    assert "unknown" in error_rate(answers[3:], "real", ("real", "fake"))


@pytest.mark.parametrize(
    ("verdicts", "done", "verdict"),
    [
        ("real", 0, 0),
        ("real fake", 0, 3),
        ("fake unusable undecided", 2, 3),
        ("real unusable undecided", 2, 2),
        ("real undecided", 0, 4),
        ("real,no face", 0, 4),
    ],
)
def test_exit_codes_tell_verdicts_where_that_is_asked_for(verdicts, done, verdict):
    names = verdicts.split("," if "," in verdicts else " ")
    answers = [Answer(name, None, None, 0.5) for name in names]
    assert (exit_code(answers, "done"), exit_code(answers, "verdict")) == (done, verdict)


def test_inputs_are_files_folders_and_patterns(folder, tmp_path):
    found = Inputs.of([str(folder), str(folder / "0.jpg")])
    assert (len(found.images), len(found.videos), len(found)) == (13, 2, 15)
    assert [file.name for file in Inputs.of([str(folder / "[12].*")]).images] == ["1.jpg", "2.jpg"]
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match="no images and no videos"):
        Inputs.of([str(tmp_path / "empty")])


def test_an_image_that_kills_its_process_is_listed(path, folder, monkeypatch):
    from addnet.inference import Detector, files

    monkeypatch.setattr(files, "_look", _dies_over_two)
    detector = Detector.from_checkpoint(path)
    images = sorted(folder.glob("[0-9].jpg"))
    answers = [answer for answer, _ in files.answer_images(detector, images, files.ImageSettings(), workers=2)]
    assert [answer.path for answer in answers] == [str(file) for file in images]
    assert [answer.verdict == "unusable" for answer in answers] == [file.stem == "2" for file in images]
    assert "killed its worker" in answers[2].reason


def _dies_over_two(task, preprocessing, settings):
    import os

    from addnet.inference.files import _FoundFaces

    number, file = task
    if file.stem == "2":
        os.abort()
    return number, _FoundFaces(file, [])


def test_names_that_begin_like_formulas_stay_text(tmp_path):
    from addnet.inference.writing import COLUMNS, AnswerFiles

    with AnswerFiles(tmp_path) as files:
        files.add(Answer("real", 0.1, 0.2, 0.5, path="=cmd()[red].jpg"))
    assert "'=cmd()" in (tmp_path / "answers.csv").read_text()
    assert len(row_of(Answer("real", 0.1, 0.2, 0.5))) == len(COLUMNS)
    assert table_of([Answer("real", 0.1, 0.2, 0.5, path="[red].jpg")], title="x").row_count == 1


def test_what_was_said_of_files_that_are_known_is_measured_as_scores_are(tmp_path):
    from addnet.evaluation.score_files import read_scores

    with AnswerFiles(tmp_path, label="fake") as files:
        files.add(Answer("fake", 0.9, 0.9, 0.5, path="a.jpg"))
        files.add(Answer("no face", None, None, 0.5, path="b.jpg"))
    said = read_scores({"mine": tmp_path / "answers.csv"})
    (found,) = said.scored["mine"].values()
    assert (found.labels.tolist(), found.probabilities.tolist(), found.paths) == ([1], [0.9], ["a.jpg"])
    assert said.missing == [("scores", "b.jpg", "mine")]


def test_every_file_of_a_folder_is_found_or_listed_with_a_reason(tmp_path):
    root = tmp_path / "in"
    (root / "masks").mkdir(parents=True)
    for name in ("a.jpg", "b.tif", "c.mkv", "masks/d.png", "photo.heic", "notes.pdf", "Thumbs.db"):
        (root / name).write_bytes(b"\0\0\0\x18ftypheic" if name == "photo.heic" else b"%PDF")
    (root / "gone.jpg").symlink_to(root / "nowhere")
    (root / "loop").symlink_to(root)
    (tmp_path / "in" / os.fsdecode(b"gesch\xe4ft.jpg")).touch()
    found = Inputs.of([str(root)])
    assert [os.fsencode(file.name) for file in found.images] == [b"a.jpg", b"b.tif", b"gesch\xe4ft.jpg", b"d.png"]
    assert [file.name for file in found.videos] == ["c.mkv"]
    listed = {file.name: reason for file, reason in found.left_out}
    assert set(listed) == {"photo.heic", "notes.pdf", "gone.jpg"}
    assert "HEIC" in listed["photo.heic"]
    assert "broken link" in listed["gone.jpg"]
    assert len(found) == 8
    assert "loop: a link to ., which has been read already" in (said := " ".join(found.notes))
    assert "Thumbs.db 1" in said


def test_a_pattern_of_any_depth_goes_in_no_circles(tmp_path):
    for name in ("a.jpg", "x/b.jpg", "x/y/c.jpg", "x/d.png"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    for number in range(3):
        (tmp_path / "x" / f"loop{number}").symlink_to(tmp_path)
    found = Inputs.of([f"{tmp_path}/**/*.jpg"])
    assert [str(file.relative_to(tmp_path)) for file in found.images] == ["a.jpg", "x/b.jpg", "x/y/c.jpg"]
    assert [file.name for file in Inputs.of([f"{tmp_path}/x/**/c.*"]).images] == ["c.jpg"]


def test_a_name_that_is_not_utf8_can_be_written_everywhere(tmp_path):
    answer = Answer("fake", 0.9, 0.9, 0.5, os.fsdecode(b"gesch\xe4ft.jpg"))
    with AnswerFiles(tmp_path) as files:
        files.add(answer)
    assert r"gesch\xe4ft.jpg" in (tmp_path / "answers.csv").read_text(encoding="utf-8")
    assert json.loads((tmp_path / "answers.jsonl").read_text(encoding="utf-8"))["path"] == r"gesch\xe4ft.jpg"
    assert r"gesch\xe4ft.jpg" in next(iter(table_of([answer], title="").columns[0].cells))


def test_the_network_leaves_cores_to_the_processes_that_find_faces(monkeypatch):
    now = [torch.get_num_threads()]
    monkeypatch.setattr(torch, "get_num_threads", lambda: 4)
    monkeypatch.setattr(torch, "set_num_threads", now.append)
    with _cores_shared(True):
        assert now[-1] == 2
    assert now[-1] == 4
