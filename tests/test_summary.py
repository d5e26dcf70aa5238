"""What a sweep's table says about its jobs, from folders made by hand."""

import csv
import itertools
import math

import pytest

from addnet.evaluation.metrics import METRICS
from addnet.summarize import main
from addnet.sweeps import Result, make_table, read_result, read_sweep, write_result, write_summary
from addnet.sweeps.plot import summary_figure
from addnet.sweeps.record import Planned, plan
from addnet.sweeps.summary import markdown

AUROC = "test/frame/auroc"


def make_sweep(root, figures, *, config="compare_to: base\n"):
    """A sweep folder: by overrides, a figure, a reason of failure, or None for a job that never started."""
    for number, (overrides, figure) in enumerate(figures.items()):
        folder = root / str(number)
        plan(root, [Planned(number, str(number), tuple(overrides.split()))])
        if figure is None:
            continue
        folder.mkdir()
        (folder / "config.yaml").write_text(config)
        if isinstance(figure, str):
            write_result(folder, Result(reason=figure))
        else:
            write_result(folder, Result("success", score=0.9, figures={AUROC: figure, "test/frame/eer": 1 - figure}))
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
    figures = {f"data.x=1 optimizer.lr={lr} seed={s}": f for lr, s, f in [("1e-4", 0, 0.5), ("1e-4", 1, 0.7)]}
    make_sweep(sweep, figures | {"data.x=1 optimizer.lr=3e-4 seed=0": 0.25})
    assert rows(sweep) == {"1e-4": ["0.6000 ± 0.1414", "2"], "3e-4": ["0.2500", "1"]}


def test_what_has_no_figure_is_counted_and_never_dropped(sweep):
    figures = {"lr=1 seed=0": 0.5, "lr=1 seed=1": math.nan, "lr=1 seed=2": "the loss\nbecame nan", "lr=2 seed=0": None}
    make_sweep(sweep, figures)
    assert rows(sweep)["1"] == ["0.5000", "1 of 3 (1 nan, 1 failed)"]
    assert rows(sweep)["2"] == ["–", "0 of 1 (1 unfinished)"]
    text = markdown(make_table(read_sweep(sweep)))
    assert "Without a result: 2 of 4 jobs." in text
    assert "job 2 (`lr=1 seed=2`) failed: the loss became nan" in text
    assert "- not run to the end: job 3\n" in text


def test_an_ablation_is_compared_seed_by_seed_to_its_reference(sweep):
    base = {f"ablation=base seed={s}": f for s, f in enumerate([0.90, 0.80, 0.70])}
    worse = {f"ablation=ones seed={s}": f for s, f in enumerate([0.88, 0.79, 0.69])}
    make_sweep(sweep, worse | base | {"ablation=far seed=7": 0.9})
    found = rows(sweep)
    assert next(iter(found)) == "base"
    assert found["base"][-1] == "reference"
    assert found["ones"][-1] == "−0.0133 ± 0.0058 to base (0/3 better)"
    assert found["far"][-1] == "no seed in common with base"


def test_better_is_lower_for_errors_and_losses(sweep):
    make_sweep(sweep, {"ablation=base seed=0": 0.9, "ablation=ones seed=0": 0.8})
    assert rows(sweep, metric="test/frame/eer")["ones"][-1] == "+0.1000 to base (0/1 better)"
    lower = {name for name in METRICS if make_table_is_lower(sweep, name)}
    assert lower == {"eer", "log_loss"}


def make_table_is_lower(sweep, name):
    write_result(sweep / "0", Result("success", figures={f"test/frame/{name}": 0.5}))
    return make_table(read_sweep(sweep), metric=f"test/frame/{name}").lower_is_better


def test_a_reference_is_that_of_the_jobs_own_config_and_of_the_same_other_settings(sweep):
    figures = {f"ablation={a} lr={lr} seed=0": f for a, lr, f in [("plain", 1, 0.5), ("plain", 2, 0.7), ("x", 2, 0.8)]}
    make_sweep(sweep, figures, config="compare_to: plain\n")
    table = make_table(read_sweep(sweep))
    assert [row.is_reference for row in table.rows] == [True, True, False]
    assert table.rows[-1].difference.mean == pytest.approx(0.1)


def test_jobs_of_other_launchers_are_found_by_what_hydra_left(sweep):
    for number, lr in enumerate(["1e-4", "3e-4"]):
        hydra = sweep / f"lr={lr}" / ".hydra"
        hydra.mkdir(parents=True)
        (hydra / "overrides.yaml").write_text(f"- sweep=seeds\n- optimizer.lr={lr}\n- ckpt_path=last.ckpt\n")
        (hydra / "hydra.yaml").write_text(f"hydra:\n  job: {{num: {number}}}\n  runtime: {{choices: {{}}}}\n")
        write_result(hydra.parent, Result("success", figures={AUROC: 0.5}))
    jobs = read_sweep(sweep)
    assert [job.number for job in jobs] == ["0", "1"]
    assert make_table(jobs).parameters == ["optimizer.lr"]


def test_the_sheet_has_a_row_for_each_job_with_every_figure(sweep):
    make_sweep(sweep, {"lr=1 seed=0": 0.5, "lr=2 seed=0": "no, that's wrong"})
    files = write_summary(read_sweep(sweep), sweep)
    first, second = csv.DictReader(files.cells.open())
    assert (first["number"], first["lr"], first["seed"], first["status"]) == ("0", "1", "0", "success")
    assert (float(first[AUROC]), float(first["score"])) == (0.5, 0.9)
    assert (second["status"], second["reason"], second[AUROC]) == ("failed", "no, that's wrong", "")


def test_sweeps_are_merged_where_they_asked_the_same(sweep, tmp_path, capsys):
    make_sweep(sweep, {"optimizer.lr=1e-4": 0.5, "optimizer.lr=3e-4": 0.6}, config="seed: 0\n")
    (tmp_path / "b").mkdir()
    make_sweep(tmp_path / "b", {"optimizer.lr=0.0001": 0.7, "optimizer.lr=1e-3": 0.8}, config="seed: 1\n")
    assert main([str(sweep), str(tmp_path / "b"), "--out", str(tmp_path / "both")]) == 0
    text = (tmp_path / "both" / "summary.md").read_text()
    assert text in capsys.readouterr().out
    assert "| 1e-4 | 0.6000 ± 0.1414 | 2 |" in text
    assert text.startswith("# Sweep over optimizer.lr\n")


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
        (["{sweep}x"], "is no folder"),
        (["{sweep}/0"], "holds no jobs"),
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
def test_every_kind_of_sweep_is_drawn_with_all_its_figures(sweep, grid):
    combinations = [
        " ".join(f"{k}={v}" for k, v in zip(grid, c, strict=True)) for c in itertools.product(*grid.values())
    ]
    make_sweep(sweep, {overrides: 0.5 + 0.01 * at for at, overrides in enumerate(combinations)})
    figure = summary_figure(make_table(read_sweep(sweep)))
    parameters = [key for key in grid if key != "seed"]
    assert len(figure.axes) == (len(parameters) if len(parameters) > 2 else 1)
    drawn = [point for line in figure.axes[0].lines for point in (*line.get_xdata(), *line.get_ydata())]
    assert 0.5 in drawn or len(parameters) > 2
    (sweep / "plot.png").unlink(missing_ok=True)
    figure.savefig(sweep / "plot.png")


def test_numbers_over_more_than_a_decade_are_drawn_on_a_logarithmic_axis(sweep):
    make_sweep(sweep, {f"lr={lr}": 0.5 for lr in ("1e-5", "1e-3")})
    assert summary_figure(make_table(read_sweep(sweep))).axes[0].get_xscale() == "log"


def test_undefined_figures_survive_the_file(tmp_path):
    write_result(tmp_path, Result("success", score=math.nan, figures={"a": math.nan, "b": math.inf, "c": 0.5}))
    assert '"a": null' in (tmp_path / "result.json").read_text()
    result = read_result(tmp_path)
    assert result.score is None
    assert math.isnan(result.figures["a"])
    assert result.figures["c"] == 0.5
