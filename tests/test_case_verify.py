"""`addnet case verify`: a case that is as it was passes; whatever differs is told in words."""

import json
import shutil

import numpy as np
import pytest
from PIL import Image

import media
from addnet.case.__main__ import main
from addnet.case.folder import write_sums
from addnet.case.reading import read_record
from addnet.config import compose
from addnet.errors import UserError
from addnet.predict import arguments_of, predict
from checkpoints import checkpoint

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def _made(portrait, tmp_path_factory):
    """A folder with a checkpoint, two images, a clip and the case about them."""
    folder = tmp_path_factory.mktemp("made")
    checkpoint(folder / "best.ckpt", name="timm", backbone="test_efficientnet", data={"crop": "face"})
    (folder / "in").mkdir()
    Image.fromarray(portrait[0]).save(folder / "in" / "a.jpg")
    Image.fromarray(portrait[0][:, ::-1]).save(folder / "in" / "b.png")
    media.write_video(folder / "in" / "clip.mp4", [portrait[0]] * 4)
    where = [f"ckpt={folder / 'best.ckpt'}", f"paths.output_dir={folder / 'out'}", "detector.device=cpu"]
    how = ["workers=0", "annotate=false", "quiet=true", "mirror=true", "frames.frames=3"]
    cfg = compose(arguments_of([*where, *how, f"case={folder / 'one'}", str(folder / "in")]), config_name="predict")
    predict(cfg)
    return folder


@pytest.fixture
def made(_made, tmp_path, monkeypatch):
    """A copy of it that a test may change; its case names files relative to it."""
    shutil.copytree(_made, tmp_path / "made", ignore=shutil.ignore_patterns("out"))
    record = (_made / "one" / "case.json").read_text().replace(str(_made), str(tmp_path / "made"))
    (tmp_path / "made" / "one" / "case.json").write_text(record)
    sums_again(tmp_path / "made" / "one")
    monkeypatch.setenv("COLUMNS", "200")
    return tmp_path / "made"


def sums_again(case):
    (case / "SHA256SUMS").unlink()
    write_sums(case)


def verify(capsys, case, *arguments):
    code = main(["verify", str(case), "workers=0", *map(str, arguments)])
    told = capsys.readouterr()
    return code, told.out + told.err


def edited(case, change):
    """The case with another record, whose hash is set right: what a forger would do."""
    record = json.loads((case / "case.json").read_text())
    change(record)
    (case / "case.json").write_text(json.dumps(record))
    sums_again(case)


def test_a_case_that_is_as_it_was_passes(made, capsys):
    code, told = verify(capsys, made / "one")
    assert code == 0
    assert "everything is as recorded" in told
    assert "scores of 3 files repeated" in told


def test_a_changed_file_is_told_and_the_others_are_still_checked(made, portrait, capsys):
    darker = np.asarray(portrait[0] // 2, dtype=np.uint8)
    Image.fromarray(darker).save(made / "in" / "a.jpg")
    (made / "in" / "clip.mp4").unlink()
    code, told = verify(capsys, made / "one")
    assert code == 1
    assert "a.jpg: its SHA-256 differs: the file has been changed since" in told
    assert "clip.mp4: cannot be read: No such file or directory; root=FOLDER finds files that have moved" in told
    assert "2 of " in told


def test_files_that_moved_are_found_by_their_content(made, capsys):
    (made / "in").rename(made / "elsewhere")
    (made / "elsewhere" / "a.jpg").rename(made / "elsewhere" / "renamed.jpg")
    (made / "elsewhere" / "b.png").write_bytes(b"another")
    code, told = verify(capsys, made / "one", f"root={made / 'elsewhere'}")
    assert code == 1
    assert "b.png: no file below root=" in told
    assert "though there is a file of this name" in told
    assert "1 of " in told


def test_a_score_that_was_edited_is_found(made, capsys):
    def change(record):
        face = record["files"][0]["answer"]["faces"][0]
        face["score"] = 0.5 * face["score"]

    edited(made / "one", change)
    code, told = verify(capsys, made / "one")
    assert code == 1
    assert "1 of 2 scores differ by more than 1e-05" in told


def test_a_verdict_that_was_edited_is_found(made, capsys):
    was = read_record(made / "one").files[0].verdict
    edited(made / "one", lambda record: record["files"][0]["answer"].update(verdict="nonsense"))
    code, told = verify(capsys, made / "one")
    assert code == 1
    assert f"the verdict was nonsense and is {was} now" in told


def test_an_edited_page_is_found(made, capsys):
    page = made / "one" / "report.html"
    page.write_text(page.read_text().replace("real", "fake"))
    code, told = verify(capsys, made / "one")
    assert code == 1
    assert "report.html: its SHA-256 differs" in told


def test_another_detector_is_told_and_not_asked(made, capsys):
    checkpoint(made / "other.ckpt", name="timm", backbone="test_efficientnet", data={"crop": "face"}, image_size=32)
    code, told = verify(capsys, made / "one", f"ckpt={made / 'other.ckpt'}")
    assert code == 1
    assert "it is not the detector of the record" in told
    assert "scores were not repeated" in told
    (made / "best.ckpt").unlink()
    code, told = verify(capsys, made / "one")
    assert code == 1
    assert "no such file" in told
    assert "a.jpg" in told


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda record: record.update(format="x"), "is not the record of a case"),
        (lambda record: record.update(version=9), "has version 9; this program reads version 1"),
        (lambda record: record.pop("files"), "files is missing"),
        (lambda record: record["files"][1].update(sha256="../x"), r"files\[1\].sha256 is '../x'; expected 64"),
        (lambda record: record["files"][0]["answer"].update(score="a"), r"files\[0\].answer.score is 'a'; expected"),
        (
            lambda record: record["files"][0]["answer"].update(faces=[{"frame": None, "score": 7}]),
            "score is 7; expected",
        ),
        (lambda record: record["files"][0]["answer"].update(kind="FIFO"), "kind is 'FIFO'; expected one of image"),
        (lambda record: record["settings"].update(mirror="yes"), "settings.mirror is 'yes'; expected true or false"),
        (lambda record: record["settings"]["frames"].update(frames=True), "frames is True; expected a whole number"),
    ],
)
def test_a_record_with_wrong_entries_is_a_sentence(made, change, said):
    edited(made / "one", change)
    with pytest.raises(UserError, match=said):
        read_record(made / "one")


@pytest.mark.parametrize("text", ["", "{", "[1", '{"format": NaN}', "[" * 100_000])
def test_a_damaged_record_is_a_sentence(tmp_path, text, capsys):
    (tmp_path / "case.json").write_text(text)
    code, told = verify(capsys, tmp_path)
    assert code == 2
    assert "is damaged" in told


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["verify", "nowhere"], "nowhere is not a case"),
        (["verify", "nowhere", "root=lost"], "root=lost: no such folder"),
        (["verify", "nowhere", "wurzel=x"], "wurzel"),
        (["check", "x"], "choose one of: verify"),
    ],
)
def test_mistakes_are_sentences(tmp_path, monkeypatch, capsys, arguments, said):
    monkeypatch.chdir(tmp_path)
    assert main(arguments) == 2
    told = capsys.readouterr()
    assert said in told.err
    assert "Traceback" not in told.err
