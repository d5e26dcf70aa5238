"""`addnet data explain-names` shows what names become, and patterns that work as they are printed."""

import re
import shlex

import pytest
from rich.console import Console

from addnet.data.__main__ import main
from addnet.data.explain_names import explain_names, shape_of
from addnet.data.layouts.folder import list_folder

NAMES = {"real": "p{person}_{frame:03}.png", "fake": "p{person}_q{person}_{frame:03}.png"}


@pytest.fixture
def faces(tmp_path):
    """Four people a split, three frames of each and of a fake of each."""
    for split, people in (("train", range(4)), ("test", range(4, 8))):
        for label, name in NAMES.items():
            (tmp_path / "faces" / split / label).mkdir(parents=True)
            for person in people:
                for frame in range(3):
                    (tmp_path / "faces" / split / label / name.format(person=person, frame=frame)).touch()
    return tmp_path / "faces"


def _shown(folder, **patterns):
    console = Console(width=200, record=True, file=open("/dev/null", "w"))  # noqa: SIM115, PTH123
    explain_names(folder, console, **patterns)
    return console.export_text()


def test_it_shows_videos_and_groups_and_what_patterns_would_make_of_them(faces):
    text = _shown(faces)
    assert re.search(r"train/real/a0_0.png +│ +12 +│ train/real/p0_000.png +│ real/p0 +│ p0 ", text)
    assert re.search(r"train/fake/a0_a0_0.png +│ +12 +│ train/fake/p0_q0_000.png +│ fake/p0_q0 +│ p0 ", text)
    assert "videos: 16 now" in text
    assert "groups: 8 now" in text
    lines = re.findall(r"(\S*data\.(group|video)_pattern=\S+) +│ +(\d+) +│", text)
    assert len(lines) > 4
    for typed, key, number in lines:
        (argument,) = shlex.split(typed)
        pattern = argument.partition("=")[2].strip('"')
        records = list_folder(faces, **{f"{key}_pattern": pattern}).images
        assert len(records.names(f"{key}_id")) == int(number), typed


def test_a_pattern_is_tried_before_training_relies_on_it(faces, capsys):
    assert main(["explain-names", str(faces), 'data.group_pattern="(p\\d+)"']) == 0
    assert "groups: 8 now" in " ".join(capsys.readouterr().out.split())


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["nowhere"], 1, "nowhere"),
        ([], 1, "name a folder in the folder layout"),
        (["data=celebdf", "x"], 1, "other layouts take videos"),
        (["faces", 'data.group_pattern="("'], 1, "data.group_pattern"),
    ],
)
def test_mistakes_are_answered_in_words(faces, monkeypatch, capsys, words, code, said):
    monkeypatch.chdir(faces.parent)
    assert main(["explain-names", *words]) == code
    assert said in capsys.readouterr().err


def test_names_are_told_apart_by_how_they_are_built():
    assert shape_of("train/real/v12/img 003 (2).JPG") == "train/real/a0/a 0 (0).JPG"
    assert shape_of("real/人脸_1") == "real/a_0"
