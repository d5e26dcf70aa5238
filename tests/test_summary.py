"""What a sweep's table says about its jobs, from folders made by hand."""

import csv
import itertools
import math

import numpy as np
import pytest

from addnet.evaluation.table import LOGGED
from addnet.summarize import main
from addnet.sweeps import Result, make_table, read_result, read_sweep, write_result, write_summary
from addnet.sweeps.draws import write_draws
from addnet.sweeps.intervals import Estimate, holm
from addnet.sweeps.plot import summary_plot
from addnet.sweeps.record import PlannedJob, plan
from addnet.sweeps.summary import markdown

AUROC, VAL = "test/frame/auroc", "val/frame/auroc"


def make_sweep(root, told, *, config=""):
    """A sweep folder: by overrides, a value of both splits, a reason of failure, or None if it never started."""
    for number, (overrides, metric) in enumerate(told.items() if isinstance(told, dict) else told):
        folder = root / str(number)
        plan(root, [PlannedJob(number, str(number), tuple(overrides.split()))])
        if metric is None:
            continue
        folder.mkdir()
        (folder / "config.yaml").write_text("callbacks: {best: {monitor: val/frame/auroc, mode: max}}\n" + config)
        if isinstance(metric, str):
            write_result(folder, Result(reason=metric))
        else:
            metrics = {AUROC: metric, "test/frame/eer": 1 - metric, VAL: metric}
            write_result(folder, Result("success", score=0.9, metrics=metrics))
    return root


@pytest.fixture
def sweep(tmp_path):
    (tmp_path / "a").mkdir()
    return tmp_path / "a"


def rows(sweep, **options):
    """Cells of the Markdown table, by the first cell."""
    table = make_table(read_sweep(sweep), **options)
    lines = [line for line in markdown(table).splitlines() if line.startswith("| ")][2:]
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    return {row[0]: row[1:] for row in cells}


def test_a_row_is_the_mean_over_seeds_with_its_spread(sweep):
    metrics = {f"data.x=1 optimizer.lr={lr} seed={s}": f for lr, s, f in [("1e-4", 0, 0.5), ("1e-4", 1, 0.7)]}
    make_sweep(sweep, metrics | {f"data.x=1 optimizer.lr=3e-4 seed={s}": 0.25 for s in (0, 1)})
    assert rows(sweep) == {"1e-4": ["0.6000 ± 0.1414", "2", "1"], "3e-4": ["0.2500 ± 0.0000", "2", "2"]}


def test_what_has_no_metric_is_counted_and_never_dropped(sweep):
    metrics = {"lr=1 seed=0": 0.5, "lr=1 seed=1": math.nan, "lr=1 seed=2": "the loss\nbecame nan", "lr=2 seed=0": None}
    make_sweep(sweep, metrics)
    assert rows(sweep)["1"] == ["0.5000", "1 of 3 (1 nan, 1 failed)", "1"]
    assert rows(sweep)["2"] == ["–", "0 of 1 (1 unfinished)", "–"]
    text = markdown(make_table(read_sweep(sweep)))
    assert "Without a result: 2 of 4 jobs." in text
    assert "job 2 (`lr=1 seed=2`) failed: the loss became nan" in text
    assert "- not finished: job 3\n" in text


def test_values_and_reasons_are_words_and_never_markup(sweep):
    make_sweep(sweep, {"model.name=<img/src=x>": 0.9, "model.name=[a](b)|c": "no <b>file</b> *x*"})
    text = markdown(make_table(read_sweep(sweep)))
    assert "&lt;img/src=x&gt;" in text
    assert [
        mark for mark in ("<img", "<b>", "](b)", " *x*") if mark in text.replace("\\](", "").replace("\\*", "")
    ] == []


def test_an_ablation_is_compared_seed_by_seed_with_an_interval(sweep):
    base = {f"ablation=base seed={s}": f for s, f in enumerate([0.90, 0.80, 0.70])}
    worse = {f"ablation=ones seed={s}": f for s, f in enumerate([0.88, 0.79, 0.69])}
    make_sweep(sweep, worse | base | {"ablation=far seed=7": 0.9})
    found = rows(sweep)
    assert next(iter(found)) == "base"
    assert found["base"][-2:] == ["reference", "–"]
    # scipy.stats.ttest_rel([.88, .79, .69], [.9, .8, .7]): p = 0.0572, interval −0.0277 to 0.0010
    assert found["ones"][-2:] == ["−0.0133 [−0.0277, +0.0010] to base", "0.057"]
    assert found["far"][-2:] == ["no seed in common with base", "–"]
    assert "better)" not in "".join(found["ones"])


def test_better_is_lower_for_errors_and_losses(sweep):
    make_sweep(sweep, {"ablation=base seed=0": 0.9, "ablation=ones seed=0": 0.8})
    assert rows(sweep, metric="test/frame/eer")["ones"][-2:] == ["+0.1000 to base", "–"]
    lower = {name for name in LOGGED if make_table_is_lower(sweep, name)}
    assert lower == {"eer", "log_loss"}


def test_validation_ranks_and_test_stands_beside_the_chosen_row_alone(sweep):
    make_sweep(sweep, {f"lr={lr} seed={s}": 0.5 for lr in (1, 2, 3) for s in (0, 1)})
    for number, (val, test) in enumerate([(0.7, 0.99), (0.71, 0.98), (0.9, 0.6), (0.8, 0.64), (0.8, 0.7), (0.81, 0.7)]):
        write_result(sweep / str(number), Result("success", score=val, metrics={VAL: val, AUROC: test}))
    text = markdown(make_table(read_sweep(sweep), metric=AUROC))
    assert "| 2 | 0.8500 ± 0.0707 | 2 | 1 |" in text
    assert "Chosen by val/frame/auroc: lr=2. The best of 3 is partly the best by chance." in text
    assert "only for this row and after the choice: test/frame/auroc 0.6200, 95 % interval 0.3659 to 0.8741" in text
    assert text.count("test/frame/auroc") == 1
    assert "0.98" not in text
    assert "0.7000" not in text


def test_a_metric_of_test_is_told_where_that_of_validation_ranks(sweep):
    make_sweep(sweep, {"lr=1 seed=0": 0.5, "lr=2 seed=0": 0.5})
    told = {"val/video/eer": 0.2, "test/other/video/eer": 0.3}
    for number in (0, 1):
        metrics = {name: value - 0.1 * number for name, value in told.items()}
        write_result(sweep / str(number), Result("success", score=0.5, metrics=metrics))
    table = make_table(read_sweep(sweep), metric="test/other/video/eer")
    assert (table.metric, table.test_metric, table.lower_is_better) == ("val/video/eer", "test/other/video/eer", True)
    assert table.chosen.parameters == {"lr": 2.0}
    assert table.test.mean == pytest.approx(0.2)


def test_a_seed_that_ran_twice_is_one_seed(sweep):
    make_sweep(sweep, [("lr=1 seed=0", 0.5), ("lr=1 seed=0", 0.7), ("lr=2 seed=0", 0.55)])
    assert rows(sweep) == {"1": ["0.6000", "1 (2 jobs)", "1"], "2": ["0.5500", "1", "2"]}


def test_rows_are_compared_over_the_same_seeds_alone(sweep):
    values = {"lr=1 seed=0": 0.5, "lr=1 seed=1": 0.6, "lr=2 seed=0": 0.55, "lr=2 seed=1": 0.56}
    make_sweep(sweep, values | {"lr=3 seed=0": "diverged", "lr=3 seed=1": 0.99})
    found = rows(sweep)
    assert [found[row][-1] for row in "123"] == ["2", "1", "–"]
    assert found["3"][:2] == ["0.9900", "1 of 2 (1 failed)"]
    text = markdown(make_table(read_sweep(sweep)))
    assert "Rows are compared over seeds 0, 1; means of rows that lack one" in text
    assert "Chosen by val/frame/auroc: lr=2." in text


def test_a_seed_that_only_one_row_has_moves_no_mean(sweep):
    make_sweep(sweep, {"lr=1 seed=0": 0.5, "lr=1 seed=1": 0.6, "lr=2 seed=0": "diverged", "lr=2 seed=1": 0.55})
    assert [rows(sweep)[row][::2] for row in "12"] == [["0.6000", "1"], ["0.5500", "2"]]
    assert "Rows are compared over seed 1." in markdown(make_table(read_sweep(sweep)))


def test_differences_are_between_the_same_seeds_alone(sweep):
    base = {"ablation=base seed=0": 0.9, "ablation=base seed=1": 0.1}
    make_sweep(sweep, base | {"ablation=ones seed=1": 0.2, "ablation=ones seed=2": 0.9})
    (row,) = make_table(read_sweep(sweep)).comparisons
    assert (row.difference.mean, row.difference.seeds) == (pytest.approx(0.1), 1)


def test_other_test_videos_widen_the_intervals(sweep):
    make_sweep(sweep, {f"ablation={a} seed={s}": 0.5 + 0.01 * s for a in ("base", "ones") for s in (0, 1, 2)})
    random = np.random.default_rng(0)
    alone = make_table(read_sweep(sweep)).comparisons[0].difference
    assert not alone.is_sampled
    common = random.normal(0, 0.1, 200)  # videos that are hard for both move both
    for job in read_sweep(sweep):
        write_draws(job.folder, {AUROC: 0.5 + common + random.normal(0, 0.01, 200)})
    table = make_table(read_sweep(sweep))
    (row,) = table.comparisons
    assert 0.006 < row.difference.sampling**0.5 < 0.011  # 0.01 · √(2 / 3), not the 0.1 that is common to both
    assert row.difference.half_width() == pytest.approx(1.96 * row.difference.sampling**0.5, abs=1e-4)
    assert "including the sampling of test videos" in markdown(table)


def test_where_nothing_differs_a_sweep_rarely_claims_that_something_does():
    """21 ablations, 3 seeds, one truth: "3/3 better" somewhere in two of three sweeps, a claim in one of 20."""
    random = np.random.default_rng(0)
    metrics = 0.9 + random.normal(0, 0.01, (500, 22, 3))
    claims, by_signs = 0, 0
    for sweep_of_ones in metrics:
        differences = sweep_of_ones[1:] - sweep_of_ones[0]
        corrected = holm([Estimate.of(row).p_value() for row in differences.tolist()])
        claims += min(corrected) < 0.05
        by_signs += bool((differences > 0).all(axis=1).any())
    assert claims / 500 <= 0.07  # 5 % and chance
    assert by_signs / 500 > 0.5


def test_an_interval_over_seeds_and_videos_covers_the_truth():
    """Both chances present, 3 seeds: at least 95 % of intervals hold the true difference."""
    random = np.random.default_rng(1)
    seeds, videos = random.normal(0, 0.01, (1000, 3)), random.normal(0, 0.01, (1000, 1))
    found = [Estimate.of(row, 0.01**2) for row in (seeds + videos).tolist()]
    assert np.mean([abs(each.mean) <= each.half_width() for each in found]) >= 0.95


def make_table_is_lower(sweep, name):
    write_result(sweep / "0", Result("success", metrics={f"test/frame/{name}": 0.5}))
    return make_table(read_sweep(sweep), metric=f"test/frame/{name}").lower_is_better


def test_a_reference_is_that_of_the_jobs_own_config_and_of_the_same_other_settings(sweep):
    metrics = {f"ablation={a} lr={lr} seed=0": f for a, lr, f in [("plain", 1, 0.5), ("plain", 2, 0.7), ("x", 2, 0.8)]}
    make_sweep(sweep, metrics, config="compare_to: plain\n")
    table = make_table(read_sweep(sweep))
    assert [row.is_reference for row in table.rows] == [True, True, False]
    assert table.rows[-1].difference.mean == pytest.approx(0.1)


def test_jobs_of_other_launchers_are_found_by_what_hydra_left(sweep):
    for number, lr in enumerate(["1e-4", "3e-4"]):
        hydra = sweep / f"lr={lr}" / ".hydra"
        hydra.mkdir(parents=True)
        (hydra / "overrides.yaml").write_text(f"- sweep=seeds\n- optimizer.lr={lr}\n- ckpt_path=last.ckpt\n")
        (hydra / "hydra.yaml").write_text(f"hydra:\n  job: {{num: {number}}}\n  runtime: {{choices: {{}}}}\n")
        write_result(hydra.parent, Result("success", metrics={AUROC: 0.5}))
    jobs = read_sweep(sweep)
    assert [job.number for job in jobs] == ["0", "1"]
    assert make_table(jobs).parameters == ["optimizer.lr"]


def test_the_sheet_has_a_row_for_each_job_with_every_plot(sweep):
    make_sweep(sweep, {"lr=1 seed=0": 0.5, "lr=2 seed=0": "no, that's wrong"})
    files = write_summary(read_sweep(sweep), sweep)
    first, second = csv.DictReader(files.cells.open())
    assert (first["number"], first["lr"], first["seed"], first["status"]) == ("0", "1", "0", "success")
    assert (float(first[AUROC]), float(first["score"])) == (0.5, 0.9)
    assert (second["status"], second["reason"], second[AUROC]) == ("failed", "no, that's wrong", "")


def test_sweeps_are_merged_where_they_asked_the_same(sweep, tmp_path, capsys):
    make_sweep(sweep, {"optimizer.lr=1e-4": 0.5, "optimizer.lr=3e-4": 0.6}, config="seed: 0\n")
    (tmp_path / "b").mkdir()
    make_sweep(tmp_path / "b", {"optimizer.lr=0.0001": 0.7, "optimizer.lr=3e-4": 0.4}, config="seed: 1\n")
    assert main([str(sweep), str(tmp_path / "b"), "--out", str(tmp_path / "both")]) == 0
    text = (tmp_path / "both" / "summary.md").read_text()
    assert text in capsys.readouterr().out
    assert "| 1e-4 | 0.6000 ± 0.1414 | 2 | 1 |" in text
    assert text.startswith("# Sweep over optimizer.lr\n")


def test_what_is_trained_on_stands_beside_what_is_tested_on(sweep):
    make_sweep(sweep, {f"data.data_dir={name} seed={seed}": 0.5 for name in "ab" for seed in (0, 1)})
    for number, values in enumerate([(0.9, 0.6), (0.7, 0.8), (0.5, 0.9), (0.5, 0.9)]):
        metrics = {f"test/{name}/frame/auroc": value for name, value in zip("ab", values, strict=True)}
        write_result(sweep / str(number), Result("success", score=0.9, metrics=metrics | {VAL: 0.5}))
    lines = markdown(make_table(read_sweep(sweep))).split("By test data set")[1].splitlines()
    assert lines[2:] == [
        "| data.data_dir | a | b | mean |",
        "| --- | --- | --- | --- |",
        "| a | 0.8000 | 0.7000 | 0.7500 |",
        "| b | 0.5000 | 0.9000 | 0.7000 |",
    ]
    assert "By test data set" not in markdown(make_table(read_sweep(sweep)[:1]))


def test_sweeps_are_told_apart_only_where_nothing_else_does(sweep, tmp_path):
    (tmp_path / "b").mkdir()
    make_sweep(sweep, {"lr=1 seed=0": 0.5, "lr=2 seed=0": 0.5})
    make_sweep(tmp_path / "b", {"lr=1 seed=0": 0.7, "lr=2 seed=0": 0.7})
    table = make_table(read_sweep(sweep) + read_sweep(tmp_path / "b"))
    assert table.parameters == ["lr", "sweep"]
    assert len(table.rows) == 4


def test_a_parameter_that_one_sweep_left_alone_is_read_from_its_configs(sweep, tmp_path):
    (tmp_path / "b").mkdir()
    make_sweep(sweep, {"optimizer.lr=1e-4": 0.5}, config="optimizer: {lr: 1.0e-4}\nmodel: {kernel_size: 31}\n")
    make_sweep(tmp_path / "b", {"model.kernel_size=63": 0.6}, config="optimizer: {lr: 3.0e-4}\n")
    table = make_table(read_sweep(sweep) + read_sweep(tmp_path / "b"))
    assert [row.parameters for row in table.rows] == [
        {"optimizer.lr": 1e-4, "model.kernel_size": 31.0},
        {"optimizer.lr": 3e-4, "model.kernel_size": 63.0},
    ]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["{sweep}", "--metric", "test/frame/auc"], "Did you mean 'test/frame/auroc'?"),
        (["{sweep}", "{sweep}x"], "--out DIR is needed"),
        (["{sweep}x"], "is not a folder"),
        (["{sweep}/0"], "contains no jobs"),
    ],
)
def test_mistakes_are_answered_in_a_sentence(sweep, capsys, arguments, sentence):
    make_sweep(sweep, {"lr=1": 0.5})
    assert main([argument.format(sweep=sweep) for argument in arguments]) == 2
    assert sentence in capsys.readouterr().err


GRIDS = {
    "seeds": {"seed": [0, 1, 2]},
    "number": {"lr": ["1e-5", "1e-4", "1e-3"], "seed": [0, 1]},
    "lines": {"model": ["addnet", "bandpass"], "lr": ["1e-5", "1e-4"], "seed": [0, 1]},
    "names": {"ablation": ["base", "a_very_long_name_of_an_ablation_that_goes_on"], "seed": [0, 1]},
    "panels": {"a": ["x", "y"], "b": [1, 2], "c": [3, 4], "d": ["u", "v"]},
}


@pytest.mark.parametrize("grid", GRIDS.values(), ids=GRIDS)
def test_every_kind_of_sweep_is_drawn_with_all_its_metrics(sweep, grid):
    combinations = [
        " ".join(f"{k}={v}" for k, v in zip(grid, c, strict=True)) for c in itertools.product(*grid.values())
    ]
    make_sweep(sweep, {overrides: 0.5 + 0.01 * at for at, overrides in enumerate(combinations)})
    figure = summary_plot(make_table(read_sweep(sweep)))
    parameters = [key for key in grid if key != "seed"]
    assert len(figure.axes) == (len(parameters) if len(parameters) > 2 else 1)
    drawn = [point for line in figure.axes[0].lines for point in (*line.get_xdata(), *line.get_ydata())]
    assert 0.5 in drawn or len(parameters) > 2
    (sweep / "plot.png").unlink(missing_ok=True)
    figure.savefig(sweep / "plot.png")


def test_numbers_over_more_than_a_decade_are_drawn_on_a_logarithmic_axis(sweep):
    make_sweep(sweep, {f"lr={lr}": 0.5 for lr in ("1e-5", "1e-3")})
    assert summary_plot(make_table(read_sweep(sweep))).axes[0].get_xscale() == "log"


def test_undefined_metrics_survive_the_file(tmp_path):
    write_result(tmp_path, Result("success", score=math.nan, metrics={"a": math.nan, "b": math.inf, "c": 0.5}))
    assert '"a": null' in (tmp_path / "result.json").read_text()
    result = read_result(tmp_path)
    assert result.score is None
    assert math.isnan(result.metrics["a"])
    assert result.metrics["c"] == 0.5
