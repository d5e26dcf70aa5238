"""Names that strangers chose: shown as one harmless line, and never the way out of the folder that the user named."""

from __future__ import annotations

import csv
import json
import logging
import re
import signal

import pyarrow as pa
import pytest
from markdown_it import MarkdownIt
from matplotlib.figure import Figure
from rich.console import Console

from addnet.console import ConsoleFormatter, LogFormatter
from addnet.data.audit.issues import Issue
from addnet.data.audit.report import _issue_lines as issue_lines
from addnet.errors import UserError
from addnet.inference.answers import unusable
from addnet.inference.export.card import model_card
from addnet.inference.writing import AnswerFiles, table_of
from addnet.plotting import heading
from addnet.predict import _name, tell_unusable
from addnet.preparation.report import _unusable as unusable_files
from addnet.untrusted import patterns
from addnet.untrusted.places import below, first_outside
from addnet.untrusted.texts import in_data, in_html, in_json, in_markdown, in_markdown_code, in_markup, shown

HOSTILE = "\x7f\x1b]0;x\x07\x1b[2J\r\nERROR\u2028forged\u202egpj.\x9b\udce4<script>![a](http://b)|`*[bold]x[/]"


@pytest.mark.parametrize("show", [shown, in_markdown, in_markdown_code, in_html, in_markup])
def test_no_way_of_showing_lets_anything_through_that_a_terminal_heeds(show):
    assert all(character.isprintable() for character in show(HOSTILE))
    assert len(show("a" * 100_000)) <= 10_002


def test_letters_of_all_languages_are_shown_as_they_are():
    names = ("Gesicht Ä.jpg", "顔.png", "چهره\u200cها.jpg", "👩\u200d💻.webp", "a\u202fb.png")
    assert [shown(name) for name in names] == list(names)


def test_json_holds_exactly_what_it_held_and_nothing_that_a_terminal_heeds():
    values = {"path": in_data(HOSTILE), "lines": "a\nb"}
    text = in_json(json.dumps(values, ensure_ascii=False, indent=1))
    assert json.loads(text) == values
    assert all(character.isprintable() or character == "\n" for character in text)
    text.encode()


@pytest.mark.parametrize(
    "text",
    [
        *("<img src=x onerror=y>", "[a](http://b)", "[a][b]", "[a]: http://b", "![a](b)", "# a", "```", "---", "~~~"),
        *("1. a", "- a", "+ a", "***a***", "__a__", "a|b", "www.a.org", "http://a.org", "&lt;b&gt;", "<!--", "===="),
    ],
)
def test_markdown_says_the_text_and_nothing_more(text):
    reader = MarkdownIt("commonmark", {"html": True, "linkify": False}).enable(["table", "strikethrough"])
    for written in (in_markdown(text), in_markdown(f"a {text}"), in_markdown_code(text)):
        tokens = reader.parse(written)
        assert [token.type for token in tokens] == ["paragraph_open", "inline", "paragraph_close"]
        assert {token.type for token in tokens[1].children} <= {"text", "text_special", "code_inline"}
        assert "".join(token.content for token in tokens[1].children) in (text, f"a {text}")


@pytest.mark.parametrize(
    "name", ["/etc/hostname", "../secret.png", "a/../../secret.png", "link.png", "away/secret.png"]
)
def test_a_name_that_leads_out_of_the_folder_is_refused_unless_the_user_says_so(tmp_path, name):
    (root := tmp_path / "root").mkdir()
    (tmp_path / "secret.png").touch()
    (root / "link.png").symlink_to(tmp_path / "secret.png")
    (root / "away").symlink_to(tmp_path)
    with pytest.raises(UserError, match="out"):
        below(root, name)
    assert below(root, name, outside=True) == root / name


def test_names_below_the_folder_are_left_as_they_are(tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "inner").symlink_to(tmp_path / "real")
    for name in ("a.jpg", "real/../a.jpg", "inner/a.jpg", str(tmp_path / "a.jpg"), "a.tar/b/c.png", "..a/b..jpg"):
        assert below(tmp_path, name) == tmp_path / name
    (tmp_path.parent / "link").symlink_to(tmp_path)
    assert first_outside(tmp_path.parent / "link", ["real/a.jpg", str(tmp_path.parent / "link/real/a.jpg")]) is None


def test_a_nul_is_refused_whatever_the_user_says(tmp_path):
    with pytest.raises(UserError, match="NUL"):
        below(tmp_path, "a\0.jpg", outside=True)


@pytest.mark.parametrize("formatter", [ConsoleFormatter(), LogFormatter()])
@pytest.mark.parametrize("arguments", [("%s: left out", HOSTILE), ("%s", UserError(f"cannot open {HOSTILE}"))])
def test_a_name_can_neither_forge_a_line_of_the_log_nor_move_the_cursor(formatter, arguments):
    message, name = arguments
    record = logging.LogRecord("addnet", logging.WARNING, "", 0, message, (name,), None)
    first, *others = formatter.format(record).split("\n")
    assert "warning" in first.lower()
    assert all(character.isprintable() for character in first + "".join(others))
    if message != "%s" or isinstance(formatter, LogFormatter):
        assert all(line.startswith("  ") for line in others)


def test_names_in_tables_are_no_markup(capsys):
    said = unusable(f"[/]{HOSTILE}[red]", "damaged [bold]", threshold=0.5)
    Console(width=400, force_terminal=False).print(table_of([said], title="one"))
    text = capsys.readouterr().out
    assert [part for part in ("[/]", "[red]", "damaged [bold]") if part not in text] == []
    assert all(character.isprintable() or character == "\n" for character in text)


def test_thousands_of_unusable_files_are_ten_lines_and_a_count(caplog, tmp_path):
    tell_unusable([unusable(f"{number}.jpg", "damaged", threshold=0.5) for number in range(5000)], tmp_path / "a.csv")
    assert len(caplog.messages) == 11
    assert caplog.messages[-1] == f"5,000 files could not be used; the reasons are in {tmp_path / 'a.csv'}"


def test_answers_name_files_exactly_and_stay_valid(tmp_path):
    names = ("a\nb\x1b[2J\u202e[bold].jpg", "gesch\udce4ft.jpg")
    with AnswerFiles(tmp_path) as files:
        for name in names:
            files.add(unusable(name, f"cannot open {name}", threshold=0.5))
    lines = (tmp_path / "answers.jsonl").read_bytes().decode().splitlines()
    assert [json.loads(line)["path"] for line in lines] == [names[0], r"gesch\xe4ft.jpg"]
    assert all(line.isprintable() for line in lines)
    with (tmp_path / "answers.csv").open(newline="", encoding="utf-8") as stream:
        assert [row["path"] for row in csv.DictReader(stream)] == [names[0], r"gesch\xe4ft.jpg"]


def plain_markdown(text):
    """Whether Markdown has no HTML, no link and no image but those of the program's own metrics."""
    html = MarkdownIt("gfm-like", {"html": True, "linkify": False}).render(text)
    tags = set(re.findall(r"<\s*/?\s*([a-z]+\d?)", html))
    sources = set(re.findall(r'src="([^"]*)"', html))
    return (
        not tags & {"script", "a", "del"}
        and "<em>a<" not in html
        and all(source.endswith(".png") for source in sources)
    )


NAME = "<script>alert(1)</script>![x](http://a.b/c)<img src=x onerror=y>|*a*\n\n# b [c](d) http://e.f `"


def test_a_model_card_says_what_strangers_wrote_as_text():
    about = {
        "model": {"name": NAME, "placement": NAME},
        "architectures": [NAME],
        "source": {"file": NAME, "epoch": 1, "global_step": 2, "sha256": NAME},
        "preprocessing": {"image_size": 64},
        "inputs": {"image": {"shape": [1, 3, 64, 64]}},
        "class_names": [NAME, "fake"],
        "config": {"data": {"layout": NAME, "data_dir": NAME}},
        "decision": {NAME: {NAME: NAME}},
        "licences": {NAME: NAME},
        "version": NAME,
    }
    card = model_card(about, licence="other", folder=f'a"{NAME}').partition("---\n\n")[2]
    assert "<script" not in card.replace('a\\"<script', "")
    assert plain_markdown(card.replace("https://", "").replace("http\\://", ""))


def test_reports_of_preparations_and_audits_say_what_strangers_wrote_as_text():
    bad = pa.table({"path": [NAME], "reason": [NAME]})
    report = "\n\n".join(unusable_files(bad))
    issue = Issue("same_video", "error", NAME, 1, NAME, [NAME])
    audit = "\n".join(issue_lines([issue]))
    assert plain_markdown(report)
    assert plain_markdown(audit)
    assert "<script" not in report + audit


def test_a_name_with_dollars_is_drawn_as_it_is(tmp_path):
    figure = Figure()
    heading(figure, r"$\frac{$.jpg and $\undefined$")
    figure.savefig(tmp_path / "a.png")


def test_a_pattern_that_would_take_for_ever_ends_in_a_sentence(monkeypatch):
    monkeypatch.setattr(patterns, "SECONDS", 0.05)
    pattern = patterns.compiled("data.group_pattern", "b|(?:a+)+$")
    with pytest.raises(UserError, match=r"takes longer than 0\.05 s in names such as a+!; write it without"):
        patterns.searched(["b", "a" * 60 + "!"], pattern, "data.group_pattern")
    assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)


@pytest.mark.parametrize("pattern", ["(", "(" * 5000 + ")" * 5000, "a{99999999999999999999}"])
def test_what_is_no_pattern_ends_in_a_sentence(pattern):
    with pytest.raises(UserError, match="is not a regular expression"):
        patterns.compiled("data.group_pattern", pattern)


def test_what_is_drawn_about_a_file_has_a_name_that_can_be_written_and_shown(tmp_path):
    names = [_name(str(tmp_path / name)) for name in ("ä" * 120 + ".jpg", "a\n\x1b[2J\udce4.jpg", "b/a.jpg", "c/a.jpg")]
    assert all(name.isprintable() for name in names)
    assert len(set(names)) == 4
    for name in names:
        (tmp_path / f"{name}_frame123456_timeline.png").touch()
