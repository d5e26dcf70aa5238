"""Reports hold every number, need nothing from elsewhere, and trust no name."""

import dataclasses
import io
import json
import re
from html.parser import HTMLParser

import numpy as np
import pytest
from PIL import Image

from addnet.evaluation.assessment import assess
from addnet.evaluation.report import write_report
from drawn_scores import DECISION, drawn_scores

pytestmark = pytest.mark.slow

HOSTILE = "<script>alert('$x$')</script> | `b` *c*"
ABOUT = {"command": "evaluate ckpt=<b>", "versions": {"numpy": "2"}}


def _steps(value):
    return [
        {
            "level": float(number),
            "label": f"step {number}",
            "metrics": {
                "frame/auroc": {"value": value - number / 10, "low": 0.4, "high": 0.9},
                "video/auroc": {"value": value - number / 20, "low": None, "high": None},
            },
        }
        for number in range(3)
    ]


def _write(folder, scored, decisions=None, *, robustness=None, mistakes=()):
    evaluation = assess(scored, decisions or {}, resamples=30)
    paths = write_report(folder, evaluation, scored, robustness=robustness or {}, mistakes=mistakes, about=ABOUT)
    return evaluation, *(path.read_text(encoding="utf-8") for path in paths)


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    folder = tmp_path_factory.mktemp("report")
    scored = {
        name: {which: drawn_scores(which, skill=skill, seed=len(which)) for which in ("first", HOSTILE)}
        for name, skill in (("plain", 0.6), (f"better {HOSTILE}", 1.5))
    }
    robustness = {name: {"first": {"clean": _steps(0.93)[:1], f"noise {HOSTILE}": _steps(0.8)}} for name in scored}
    mistakes = [
        {"path": HOSTILE, "label": 0, "probability": 0.98765, "image": np.full((20, 60, 3), 200, np.uint8)},
        {"path": "b.png", "label": 1, "probability": np.float32(0.01), "image": np.zeros((20, 60, 3), np.uint8)},
    ]
    return folder, *_write(folder, scored, {"plain": DECISION}, robustness=robustness, mistakes=mistakes)


class _Tags(HTMLParser):
    def __init__(self):
        super().__init__()
        self.tags, self.links, self.words = [], [], []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.links += [value for name, value in attrs if name in ("src", "href", "srcset", "action", "data")]

    def handle_data(self, data):
        self.words.append(data)


def _parsed(page):
    parser = _Tags()
    parser.feed(page)
    return parser


def test_the_page_needs_nothing_from_elsewhere(report):
    page = _parsed(report[2])
    assert "link" not in page.tags
    assert page.tags.count("img") == len(list((report[0] / "plots").glob("*.png")))
    assert all(link.startswith(("data:image/png;base64,", "#")) for link in page.links)
    assert "url(" not in report[2]
    assert "@import" not in report[2]


def test_names_are_words_and_never_markup(report):
    page = _parsed(report[2])
    assert "script" not in page.tags
    assert any(HOSTILE in words for words in page.words)
    assert "<script" not in report[3]
    rows = [line for line in report[3].splitlines() if line.startswith("|")]
    bars = [len(re.findall(r"(?<!\\)\|", row)) for row in rows]
    rules = [index for index, row in enumerate(rows) if set(row) <= set("|-:")]
    ends = [index - 1 for index in rules[1:]] + [len(rows)]  # a head stands above its rule
    for rule, end in zip(rules, ends, strict=True):
        assert len(set(bars[rule - 1 : end])) == 1


def _shown(evaluation):
    """Every number of the main tables, as it has to stand in a report."""
    for found in evaluation["checkpoints"].values():
        for numbers in found["sets"].values():
            for level in numbers["levels"].values():
                metrics = [*level["metrics"].values()]
                for called in level["called"].values():
                    metrics += called["metrics"].values()
                    yield f"at {called['threshold']:.4f}"
                for figure in metrics:
                    yield from _as_shown(figure)
    for level in ("frame", "video"):
        for by_checkpoint in evaluation["cross_dataset"][level].values():
            for row in by_checkpoint.values():
                yield from _as_shown(row["average"])
    for found in evaluation["differences"].values():
        for metrics in found["average"].values():
            yield f"{metrics['auroc']['value']:+.4f}"


def _as_shown(metric):
    if metric["value"] is not None:
        yield f"{metric['value']:.4f}"
    if metric["low"] is not None:
        yield f"[{metric['low']:.3f}, {metric['high']:.3f}]"


def test_every_number_stands_in_both_reports(report):
    _, evaluation, page, text, _ = report
    words = " ".join(_parsed(page).words)
    wanted = {number for number in _shown(evaluation) if not number.startswith(("+", "-"))}
    assert len(wanted) > 200
    assert [number for number in wanted if number not in words] == []
    assert [number for number in wanted if number not in text] == []
    differences = [found["average"]["video"]["auroc"]["value"] for found in evaluation["differences"].values()]
    assert all(f"{value:+.4f}" in words and f"{value:+.4f}" in text for value in differences)
    assert "0.8000" in text
    assert "0.9877" in text


def test_the_json_holds_all_that_was_given(report):
    found = json.loads(report[4])
    assert found["checkpoints"] == report[1]["checkpoints"]
    assert found["about"] == ABOUT
    assert found["robustness"]["plain"]["first"]["clean"][0]["metrics"]["frame/auroc"]["value"] == 0.93
    assert [mistake["path"] for mistake in found["mistakes"]] == [HOSTILE, "b.png"]
    assert "image" not in found["mistakes"][0]


def test_each_image_of_the_text_is_a_file_with_something_on_it(report):
    folder, text = report[0], report[3]
    names = re.findall(r"\]\((plots/[^)]*)\)", text)
    assert sorted(names) == sorted(f"plots/{path.name}" for path in (folder / "plots").iterdir())
    for name in names:
        pixels = np.asarray(Image.open(io.BytesIO((folder / name).read_bytes())))
        assert pixels.std() > 1 or "mistake" in name


def test_a_later_report_replaces_the_metrics_of_an_earlier_one(tmp_path):
    few = {"videos": 4, "frames": 1}  # quickly drawn
    scored = {"plain": {name: drawn_scores(name, **few) for name in ("first", "second")}}
    _write(tmp_path, scored)
    mine = tmp_path / "plots" / "my own.png"
    mine.write_bytes(b"kept")
    _write(tmp_path, {"plain": {"first": scored["plain"]["first"]}})
    names = {path.name for path in (tmp_path / "plots").iterdir()}
    assert "my own.png" in names
    assert "roc_1-first.png" in names
    assert not any("second" in name for name in names)


@pytest.mark.parametrize(
    "rows",
    [
        dataclasses.replace(
            drawn_scores("empty"),
            probabilities=np.zeros(0),
            labels=np.zeros(0, int),
            videos=np.zeros(0, int),
            paths=[],
            video_ids=[],
            groups={"method": []},
        ),
        drawn_scores("one video", videos=1),
        drawn_scores("real only", labels=0),
        drawn_scores("fake only", labels=1),
        drawn_scores("two images", videos=2, frames=1),
    ],
    ids=lambda rows: rows.name,
)
def test_sets_that_say_little_are_reported_all_the_same(rows, tmp_path):
    scored = {"one": {rows.name: rows}, "other": {rows.name: rows}}
    _, page, text, numbers = _write(tmp_path, scored, {"one": DECISION})
    for told in (page, text):
        assert rows.name in told
        assert "nan" not in re.sub(r"base64,[^\"]*", "", told).lower()
    assert json.loads(numbers)["checkpoints"]["one"]["sets"][rows.name]["counts"]["images"] == len(rows)


def test_error_rates_stand_by_data_set_class_and_method(report):
    _, evaluation, _, text, _ = report
    part = text.split("\n## Error rates\n")[1].split("\n## ")[0]
    rows = [
        [cell.strip() for cell in line.split("|")[1:-1]] for line in part.splitlines() if line.startswith("| first")
    ]
    rate = evaluation["checkpoints"]["plain"]["sets"]["first"]["levels"]["video"]["called"]["chosen"]["errors"]
    found = next(row for row in rows if row[1] == "real called fake")
    assert f"{rate['real_called_fake']['value']:.4f}" in found[2]
    assert f"{rate['real_called_fake']['count']} of {rate['real_called_fake']['of']}" in found[2]
    methods = [row for row in rows if row[1].startswith("fake called real: ")]
    assert methods
    assert all("fewer than 20 videos" in row[2] for row in methods)
