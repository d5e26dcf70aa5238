"""Scores of any detector, in files of any of the forms → the metrics that scikit-learn finds; bad input in words."""

import csv
import gzip
import json

import numpy as np
import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as pq
import pytest
from sklearn.metrics import average_precision_score, balanced_accuracy_score, log_loss, roc_auc_score

from addnet.config import compose
from addnet.errors import UserError
from addnet.evaluate import evaluate
from addnet.evaluation.score_files import Columns, read_scores, told_of_missing, write_scores

pytestmark = pytest.mark.slow

N = 240


@pytest.fixture(scope="module")
def columns():
    """60 videos of four images, two videos a source; scores of two detectors, with ties."""
    random = np.random.default_rng(0)
    labels = np.repeat(np.arange(60) % 2, 4)
    return {
        "path": [f"{row:03}.png" for row in range(N)],
        "video": [f"v{row // 4}" for row in range(N)],
        "group": [f"g{row // 8}" for row in range(N)],
        "label": labels.tolist(),
        "method": ["" if not label else "swap" if row % 16 < 8 else "talk" for row, label in enumerate(labels)],
        "a": np.round(0.3 * labels + 0.7 * random.random(N), 2).tolist(),
        "b": np.round(random.normal(labels, 1), 1).tolist(),
    }


def _csv(file, columns, delimiter=","):
    with gzip.open(file, "wt", newline="") if file.suffix == ".gz" else file.open("w", newline="") as stream:
        writer = csv.writer(stream, delimiter=delimiter)
        writer.writerow(columns)
        writer.writerows(zip(*columns.values(), strict=True))
    return file


def _evaluated(folder, *overrides):
    return evaluate(compose([f"paths.output_dir={folder}", "resamples=20", *overrides], config_name="evaluate"))


def _metrics(numbers, name, level="frame"):
    (found,) = numbers["checkpoints"][name]["sets"].values()
    level = found["levels"][level]
    return {
        key: value["value"]
        for part in (level["metrics"], level["called"]["chosen"]["metrics"])
        for key, value in part.items()
    }


def test_metrics_are_those_of_scikit_learn(columns, tmp_path):
    file = _csv(tmp_path / "scores.csv", columns)
    numbers = _evaluated(tmp_path, f"scores.file={file}", "scores.columns=[a,b]", "threshold=0.6")
    labels, a, b = (np.asarray(columns[name]) for name in ("label", "a", "b"))
    found = _metrics(numbers, "a")
    assert found["auroc"] == pytest.approx(roc_auc_score(labels, a), abs=1e-12)
    assert found["ap"] == pytest.approx(average_precision_score(labels, a), abs=1e-12)
    assert found["log_loss"] == pytest.approx(log_loss(labels, a), abs=1e-12)
    assert found["balanced_accuracy"] == pytest.approx(balanced_accuracy_score(labels, a > 0.6), abs=1e-12)
    means = b.reshape(60, 4).mean(axis=1)
    assert _metrics(numbers, "b", "video")["auroc"] == pytest.approx(roc_auc_score(labels[::4], means), abs=1e-12)
    assert _metrics(numbers, "b")["balanced_accuracy"] == pytest.approx(balanced_accuracy_score(labels, b > 0.6))
    assert _metrics(numbers, "b")["log_loss"] is None  # no probabilities
    assert _metrics(numbers, "b", "video_max")["auroc"] is not None
    assert "video_confidence" not in numbers["checkpoints"]["b"]["decision"]
    assert numbers["differences"]["b"]["sets"]["scores"]["frame"]["auroc"]["p"] is not None
    (groups,) = (found["groups"]["frame"]["method"] for found in numbers["checkpoints"]["a"]["sets"].values())
    assert [(group["name"], group["rows"]) for group in groups] == [("real", 120), ("swap", 60), ("talk", 60)]
    assert "differences" in (tmp_path / "report.md").read_text().lower()


def test_without_a_threshold_numbers_that_are_no_probabilities_are_ranked_alone(columns, tmp_path):
    file = _csv(tmp_path / "b.csv", {"label": columns["label"], "score": columns["b"]})
    numbers = _evaluated(tmp_path, f"scores.file={file}")
    found = _metrics(numbers, "b")
    assert found["auroc"] == pytest.approx(roc_auc_score(columns["label"], columns["b"]))
    assert found["balanced_accuracy"] is None
    text = (tmp_path / "report.md").read_text()
    assert "the scores aren't probabilities" in text
    assert "nan" not in text
    assert (
        json.loads((tmp_path / "evaluation.json").read_text())["checkpoints"]["b"]["decision"]["frame"]["threshold"]
        is None
    )


def test_log_odds_become_probabilities(columns, tmp_path):
    logits = np.log(np.clip(columns["a"], 0.001, 0.999) / (1 - np.clip(columns["a"], 0.001, 0.999)))
    file = _csv(tmp_path / "a.csv", {"label": columns["label"], "score": logits.tolist()})
    (found,) = read_scores({"a": file}, scale="logit").scored["a"].values()
    assert found.probabilities == pytest.approx(np.clip(columns["a"], 0.001, 0.999))
    with pytest.raises(UserError, match=r"aren't probabilities, the first is -.*scores\.scale=logit"):
        read_scores({"a": file}, scale="probability")


@pytest.mark.parametrize("form", ["csv", "csv.gz", "tsv", "parquet", "parquet.gz"])
def test_the_form_of_the_file_makes_no_difference(columns, tmp_path, form):
    file = tmp_path / f"scores.{form}"
    words = {**columns, "label": ["Fake" if label else " real" for label in columns["label"]]}
    if "parquet" in form:
        table = pa.table(columns).set_column(3, "label", pa.array([label == 1 for label in columns["label"]]))
        table = table.set_column(1, "video", table["video"].dictionary_encode())
        pq.write_table(table, tmp_path / "scores.parquet")
        if form.endswith("gz"):
            file.write_bytes(gzip.compress((tmp_path / "scores.parquet").read_bytes()))
    else:
        _csv(file, words, "\t" if form == "tsv" else ",")
    said = read_scores({"x": file}, Columns(scores=["a"]))
    (found,) = said.scored["a"].values()
    assert found.probabilities.tolist() == columns["a"]
    assert found.labels.tolist() == columns["label"]
    assert list(found.video_ids) == [f"v{number}" for number in range(60)]
    assert list(found.sources) == [f"g{number // 2}" for number in range(60)]
    assert list(found.groups["method"])[:5] == ["real"] * 4 + ["swap"]


def test_metrics_do_not_depend_on_the_order_of_rows(columns, tmp_path):
    order = np.random.default_rng(1).permutation(N)
    mixed = {name: [values[row] for row in order] for name, values in columns.items()}
    found = [
        _evaluated(folder, f"scores.file={_csv(folder / 'same.csv', rows)}", "scores.columns=[a]")
        for folder, rows in ((_made(tmp_path / "as_is"), columns), (_made(tmp_path / "mixed"), mixed))
    ]
    one, other = (numbers["checkpoints"]["a"]["sets"]["scores"]["levels"]["video"]["metrics"] for numbers in found)
    for name in one:
        assert other[name] == pytest.approx(one[name], abs=1e-12), name


def _made(folder):
    folder.mkdir()
    return folder


def test_files_are_joined_by_path_and_what_lacks_a_score_is_counted_and_listed(columns, tmp_path):
    shared = {name: columns[name] for name in ("path", "video", "label")}
    first = {**shared, "score": ["" if row in (3, 7) else score for row, score in enumerate(columns["a"])]}
    second = {
        name: values[::-1][:-4]
        for name, values in {"path": columns["path"], "label": columns["label"], "score": columns["b"]}.items()
    }
    files = [_csv(tmp_path / "one.csv", first), _csv(tmp_path / "two.csv", second)]
    numbers = _evaluated(tmp_path, f"scores.file=[{files[0]},{files[1]}]")
    kept = [row for row in range(4, N) if row != 7]  # the last four of the second file are the first four rows
    for name, values in (("one", columns["a"]), ("two", columns["b"])):
        labels, scores = (np.asarray(part)[kept] for part in (columns["label"], values))
        assert _metrics(numbers, name)["auroc"] == pytest.approx(roc_auc_score(labels, scores), abs=1e-12)
    listed = list(csv.reader((tmp_path / "missing_scores.csv").open()))
    assert listed[0] == ["dataset", "path", "detector"]
    assert [row[1:] for row in listed[1:]] == [["003.png", "one"], ["007.png", "one"]] + [
        [f"{row:03}.png", "two"] for row in range(4)
    ]
    assert (
        "6 scores are missing (one 2, two 4): evaluated on the 235 of 240 rows" in (tmp_path / "report.md").read_text()
    )


def test_written_scores_are_read_as_the_same_sets(columns, tmp_path):
    said = read_scores(
        {"x": _csv(tmp_path / "x.csv", {**columns, "country": ["A", "B"] * 120})},
        Columns(scores=["a"], split_by=["country"]),
    )
    scored = {"score": said.scored["a"], "label": said.scored["a"]}  # names that are columns, too
    file = write_scores(tmp_path / "scores.parquet", scored, {"score": {"frame": {"threshold": 0.3}}, "label": None})
    again = read_scores({"x": file})
    assert list(again.scored) == ["score", "score of label"]
    assert again.decisions["score"] == {"frame": {"threshold": 0.3}}
    (one,), (other,) = (sets.values() for sets in (said.scored["a"], again.scored["score"]))
    assert other.probabilities.tolist() == one.probabilities.tolist()
    assert (list(other.video_ids), list(other.sources)) == (list(one.video_ids), list(one.sources))
    assert {kind: list(names) for kind, names in other.groups.items()} == {
        kind: list(names) for kind, names in one.groups.items()
    }
    assert told_of_missing(again) == ""


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"label": None}, r"has no column 'label' \(scores.label\); it has path, video, group, method, a, b"),
        ({"label": [*"01" * 119, "maybe", "1"]}, r"row 240: 'maybe' in column 'label' is not a label; expected"),
        ({"label": [*"01" * 119, "", "1"]}, "row 240 has no label"),
        ({"a": [0.5] * 239 + ["high"]}, "row 241: 'high' in column 'a' is not a number; leave the cell of a missing"),
        ({"a": [0.5] * 239 + ["inf"]}, "row 241: inf in column 'a' is not a finite number"),
        ({"a": [""] * 240}, "a has no score in any row"),
        ({"path": [*"xx", *map(str, range(238))]}, "row 3: x occurs twice"),
        ({"video": ["v"] * 240, "group": None}, "video 'v' has real and fake images"),
        ({"group": [*"ghgh", *"i" * 236]}, "video 'v0' is in two groups"),
        ({"group": ["", *"i" * 239]}, "some images have no group"),
        ({"label": [1, 2, *[0] * 238]}, "row 3: '2' in column 'label' is not a label"),
    ],
)  # fmt: skip
def test_what_can_t_be_used_is_told_with_its_row(columns, tmp_path, changed, said):
    merged = {name: values for name, values in (columns | changed).items() if values is not None}
    with pytest.raises(UserError, match=said):
        read_scores({"x": _csv(tmp_path / "x.csv", merged)}, Columns(scores=["a"]))


@pytest.mark.parametrize("name", ["x.csv", "x.csv.gz", "x.parquet", "x.parquet.gz"])
def test_a_file_of_more_rows_than_memory_holds_is_refused_before_it_is_read(columns, tmp_path, name):
    file = tmp_path / name
    if "csv" in name:
        _csv(file, columns)
    else:
        sink = pa.BufferOutputStream()
        pq.write_table(pa.table(columns), sink)
        data = sink.getvalue().to_pybytes()
        file.write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
    assert read_scores({"x": file}, Columns(scores=["a"]), most=N).rows == N
    with pytest.raises(UserError, match=rf"{name} has more than 239 rows, .*scores\.most=N allows N rows"):
        read_scores({"x": file}, Columns(scores=["a"]), most=N - 1)


def test_one_class_alone_is_measured_as_far_as_that_goes(columns, tmp_path):
    file = _csv(tmp_path / "a.csv", {"label": [0] * N, "score": columns["a"]})
    numbers = _evaluated(tmp_path, f"scores.file={file}", "threshold=0.9")
    assert _metrics(numbers, "a")["auroc"] is None
    assert _metrics(numbers, "a")["accuracy"] == pytest.approx(np.mean(np.asarray(columns["a"]) <= 0.9))


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        (["scores.file={folder}/none.csv"], "none.csv: no such file"),
        (["scores.file={folder}/x.xlsx"], "doesn't have the suffix of a table"),
        (["scores.file={folder}/empty.csv"], "has no column 'label'.*it has none"),
        (["scores.file={folder}/cut.csv.gz"], "can't be read"),
        (["scores.file={folder}/cut.parquet"], "can't be read"),
        (["scores.file={folder}/twins.csv"], "has 2 columns named 'score'"),
        (["scores.file={folder}/x.csv", "scores.video=clip"], "has no column 'clip'"),
        (["scores.file={folder}/x.csv", "scores.columns=[a,a]"], "names 'a' twice"),
        (["scores.file={folder}/x.csv", "scores.columns=[a]", "threshold=3"], r"must be in \[0, 1\]"),
        (["scores.file={folder}/x.csv", "ckpt=other.ckpt"], "ckpt=other.ckpt is only for checkpoints"),
        (["scores.file={folder}/x.csv", "data.data_dir=faces"], "has no effect"),
        (["scores.file=[{folder}/x.csv,{folder}/bare.csv]", "scores.columns=[a]"], "no column of paths"),
        (["scores.file=[{folder}/x.csv,{folder}/apart.csv]", "scores.columns=[a]"], "no image in common"),
        (["scores.file=[{folder}/x.csv,{folder}/other.csv]", "scores.columns=[a]"], "have different labels"),
        (["scores.file={folder}/x.csv", "scores.scale=odds"], "scores.scale.*odds"),
    ],
)
def test_what_can_t_be_done_is_told_before_anything_is_written(columns, tmp_path, overrides, said):
    _csv(tmp_path / "x.csv", columns)
    (tmp_path / "empty.csv").touch()
    (tmp_path / "x.xlsx").touch()
    (tmp_path / "twins.csv").write_text("label,score,score\n0,1,1\n")
    (tmp_path / "cut.csv.gz").write_bytes(gzip.compress(b"label,score\n0,1\n" * 500)[:-20])
    pacsv.write_csv(pa.table({"label": [0, 1], "a": [0.1, 0.2]}), tmp_path / "bare.csv")
    pq.write_table(pa.table({"label": [0, 1], "score": [0.1, 0.2]}), tmp_path / "whole.parquet")
    (tmp_path / "cut.parquet").write_bytes((tmp_path / "whole.parquet").read_bytes()[:-40])
    _csv(tmp_path / "apart.csv", columns | {"path": [f"x{row}" for row in range(N)]})
    _csv(tmp_path / "other.csv", columns | {"label": [1 - label for label in columns["label"]]})
    with pytest.raises(UserError, match=said):
        _evaluated(tmp_path / "report", *(one.format(folder=tmp_path) for one in overrides))
    assert not (tmp_path / "report").exists()
