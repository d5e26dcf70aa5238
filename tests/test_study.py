"""A study goes on where it was, trains no cell twice, and leaves results that say nothing of the machine."""

import importlib.util
import json
import os
import signal
import socket
import subprocess
from copy import deepcopy
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import yaml
from omegaconf import OmegaConf
from sklearn.metrics import roc_auc_score

from addnet.config import compose
from addnet.errors import UserError
from addnet.study.__main__ import found_states, main
from addnet.study.driving import StudyJob, drive, training
from addnet.study.estimates import comparisons, drawn, variants
from addnet.study.folders import StudyFolder, lock, run_recipe, seconds_of
from addnet.study.ladder import best
from addnet.study.overview import overview
from addnet.study.plan import StudyCell, cells
from addnet.study.recipe import digest, recipe
from addnet.study.results import Results, brief, collect
from addnet.sweeps.draws import write_scores
from addnet.sweeps.results import Result, read_result, write_result

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[1]
PLACE = "data.data_dir='/srv/secret place/faces'"
VALUES = {("base", 0): 0.8, ("base", 1): 0.82, ("attention/gate", 0): 0.81, ("attention/gate", 1): 0.85}


@pytest.fixture(scope="module")
def plan():
    return [StudyCell("study_attention", name, seed, (PLACE,)) for name, seed in VALUES]


@pytest.fixture
def study(tmp_path):
    return StudyFolder(tmp_path / "study")


def _finish(study, cell, *, auroc=0.9, seconds=600.0, tested=True):
    """Lays down what a training leaves of a cell."""
    folder = study.of(cell)
    (folder / "metrics").mkdir(parents=True)
    (folder / "config.yaml").write_text(yaml.safe_dump(cell.config))
    (folder / "metrics" / "metrics.csv").write_text("step,test/frame/auroc\n9,\n19,\n20,0.9\n")
    about = {"git": {"commit": "0123456789abcdef", "dirty": True}, "data_fingerprint": "f" * 64, "platform": "here"}
    (folder / "provenance.json").write_text(json.dumps(about))
    metrics = {"val/frame/auroc": auroc}
    if tested:
        scores, labels, sources = _scores(auroc, seed=cell.seed)
        metrics["test/frame/auroc"] = float(roc_auc_score(labels, scores))
        write_scores(folder, scores, labels, sources)
    write_result(folder, Result("success", score=auroc, metrics=metrics, seconds=seconds))
    return folder


def _scores(auroc, *, seed, sources=40):
    """A real and a fake image of each source; the better, the further apart."""
    random = np.random.default_rng([seed, int(auroc * 1000)])
    labels = np.tile([0, 1], sources)
    scores = 1 / (1 + np.exp(-(random.normal(size=2 * sources) + labels * (4 * auroc - 2))))
    return scores, labels, [f"source{number // 2:02}" for number in range(2 * sources)]


# ---- which cells there are ---------------------------------------------------------------------------------


def test_a_cell_of_several_sweeps_is_one_and_seeds_change_slowest():
    found = cells(["study_fakes", "study_tune"])
    names = [cell.name for cell in found]
    assert len(set(names)) == len(names)
    variants = ["fakes/mixed-0", "fakes/self_blended-0", "fakes/self_blended_swap-0"]
    assert names[:5] == ["base-0", *variants, "base-1"]
    assert {cell.sweep for cell in found if cell.variant == "base"} == {"study_fakes"}  # which tests it


def test_a_sweep_that_is_none_of_a_study_is_refused():
    with pytest.raises(UserError, match="seed and ablation"):
        cells(["kernel_size_lr"])
    with pytest.raises(UserError, match="study_attention"):
        cells(["study_atention"])


def test_a_recipe_is_what_is_learnt_not_where_or_by_which_seed(plan):
    cfg = plan[0].config
    other = deepcopy(cfg) | {"seed": 7, "paths": {}, "callbacks": cfg["callbacks"]}
    other["data"] |= {"data_dir": "/elsewhere/faces", "seed": 7, "num_workers": 3, "a_key_of_a_later_version": None}
    assert digest(recipe(cfg)) == digest(recipe(other)) == plan[1].digest != plan[2].digest
    assert "secret" not in json.dumps(recipe(cfg))
    other["optimizer"]["lr"] = 1.0
    assert digest(recipe(other)) != plan[0].digest


@pytest.mark.parametrize(
    ("typed", "answer"),
    [
        ("sweeps=study_attention", "sweeps=study_attention is not a list; use sweeps=[study_attention]"),
        ("seeds=0", "seeds=0 is not a list; use seeds=[0,1]"),
        ("n_jobs=0", "n_jobs=0 is not a valid number"),
        ("data_dir=/nowhere", "data_dir=/nowhere is not a folder"),
        ("do=everything", "do='everything' is unknown; choose one of: run, list, ladder"),
        ("seeds=[7]", "seeds=[7] select no cell"),
        ("size=huge", "size=huge: there is no such file"),
    ],
)
def test_mistakes_are_told_before_anything_is_trained(typed, answer, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["size=tiny", typed] if not typed.startswith("size") else [typed]) == 2
    assert answer in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


# ---- how far they are --------------------------------------------------------------------------------------


def test_a_cell_goes_on_unless_it_is_done_or_failed_by_an_error(study, plan):
    cell, folder = plan[0], study.of(plan[0])
    assert study.state(cell) == "open"
    (folder / "checkpoints").mkdir(parents=True)
    (folder / "checkpoints" / "last.ckpt").touch()
    ends = {"begun": [Result("interrupted"), Result("failed", killed_by=9)], "failed": [Result("failed", "no")]}
    assert study.state(cell) == "begun"  # whoever ran it was killed, too
    for state, results in ends.items():
        for result in results:
            write_result(folder, result)
            assert study.state(cell) == state
    write_result(folder, Result("success"))
    assert study.state(cell) == "done"


def test_a_cell_of_another_config_is_not_taken_for_this_one(study, plan):
    folder = _finish(study, plan[0])
    assert study.state(plan[0]) == "done"
    assert study.state(StudyCell("study_attention", "base", 0, (PLACE, "optimizer.lr=1e-2"))) == "changed"
    (folder / "config.yaml").write_text(yaml.safe_dump(plan[2].config))
    assert study.state(plan[0]) == "changed"


def test_a_cell_that_somebody_is_at_is_left_to_them(study, plan):
    held = lock(study.of(plan[0]))
    assert study.state(plan[0]) == "runs"
    assert lock(study.of(plan[0])) is None
    os.close(held)
    assert study.state(plan[0]) == "open"


def test_what_is_left_is_told_by_what_was_done(study, plan):
    _finish(study, plan[0], seconds=3600.0)
    states = {cell: study.state(cell) for cell in plan}
    size = OmegaConf.create({"name": "small", "images": 16200, "seconds_per_image": 0.04})
    told = overview(plan, states, study, size=size, n_jobs=2)
    assert "4 cells: 1 done, 0 failed, 0 changed, 3 left\nabout 3.0 h of one core, 1.5 h with n_jobs=2\n" in told


# ---- driving them ------------------------------------------------------------------------------------------


def _job(tmp_path, name, *command):
    return StudyJob(name, tmp_path / name, command, lambda: (tmp_path / f"{name} finished").touch(), records=False)


def test_a_failing_cell_stops_no_other(tmp_path, capfd):
    failing, good = _job(tmp_path, "bad", "json.tool", "/nowhere"), _job(tmp_path, "good", "json.tool", "--help")
    assert drive([failing, good], n_jobs=1, minutes=None) is None
    assert [read_result(tmp_path / name).status for name in ("bad", "good")] == ["failed", "success"]
    assert [path.name for path in tmp_path.glob("* finished")] == ["good finished"]
    assert "good: done" in capfd.readouterr().err


def test_when_its_time_is_up_what_runs_is_told_and_nothing_else_starts(tmp_path):
    sleep = ("timeit", "-n1", "-r1", "import time; time.sleep(100)")
    jobs = [_job(tmp_path, name, *sleep) for name in ("first", "second")]
    assert drive(jobs, n_jobs=1, minutes=0.02) == signal.SIGTERM
    assert read_result(tmp_path / "first").status == "interrupted"
    assert not (tmp_path / "second").exists()
    assert 1 < seconds_of(tmp_path / "first", Result()) < 60


def test_a_cell_is_trained_as_a_single_run_in_its_folder(study, plan):
    job = training(study, plan[2], afresh=False, finished=lambda: None)
    module, *arguments = job.command
    assert (module, arguments[:3]) == ("addnet.train", ["sweep=study_attention", "ablation=attention/gate", "seed=0"])
    assert arguments[3:] == [PLACE, "ckpt_path=auto", "hydra.mode=RUN", f"hydra.run.dir='{study.of(plan[2])}'"]
    assert "ckpt_path=auto" not in training(study, plan[2], afresh=True, finished=lambda: None).command


# ---- what remains ------------------------------------------------------------------------------------------


@pytest.fixture
def results(study, plan, tmp_path):
    """Results of four cells, in two steps, one of them twice."""
    found = Results(tmp_path / "results")
    for cell in plan:
        _finish(study, cell, auroc=VALUES[cell.variant, cell.seed])
    for cell in (*plan[::-1], plan[0]):
        collect(study, cell, found, size="small")
    return found


def test_a_finished_cell_is_a_row_a_recipe_and_scores(results, plan):
    rows = results.rows()
    assert [(row["variant"], row["seed"]) for row in rows] == sorted((cell.variant, str(cell.seed)) for cell in plan)
    row = rows[0]
    assert (row["steps"], row["seconds"], row["commit"]) == ("20", "600", "0123456789ab+")
    assert (row["compare_to"], row["val/frame/auroc"]) == ("base", "0.810000")
    assert results.config_file("small", "base").read_text().startswith(f"# {plan[0].digest}\n")
    scored = results.scores(rows[-1])
    assert roc_auc_score(scored.labels, scored.scores) == pytest.approx(float(rows[-1]["test/frame/auroc"]), abs=1e-6)


def test_results_name_no_place_and_no_machine(results, tmp_path):
    files = [path for path in results.path.rglob("*") if path.is_file()]
    assert len(files) == 1 + 2 + 4
    for file in files:
        content = file.read_bytes()
        for word in (str(tmp_path), "secret place", str(Path.home()), socket.gethostname(), "here"):
            assert word.encode() not in content, (file, word)
    for file in results.path.rglob("*.parquet"):
        assert pq.read_schema(file).names == ["source", "label", "score"]


def test_results_do_not_make_a_checkout_another_one(tmp_path, monkeypatch):
    import addnet
    from addnet.training.run_folder import provenance

    (tmp_path / "src" / "addnet").mkdir(parents=True)
    monkeypatch.setattr(addnet, "__file__", str(tmp_path / "src" / "addnet" / "__init__.py"))
    git = ["git", "-C", str(tmp_path), "-c", "user.name=a", "-c", "user.email=a@b"]
    subprocess.run([*git, "init", "-q"], check=True)
    subprocess.run([*git, "commit", "-q", "--allow-empty", "-m", "first"], check=True)
    for file, dirty in (("results/study/cells.csv", False), ("src/addnet/new.py", True)):
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / file).touch()
        assert provenance("")["git"]["dirty"] is dirty


def test_a_difference_is_paired_over_seeds_and_sources(results):
    found = variants(results, "small")
    (estimate,) = comparisons(found, [("attention/gate", "base")], "test/frame/auroc").values()
    gate, base = (found[name].values("test/frame/auroc") for name in ("attention/gate", "base"))
    assert estimate.mean == pytest.approx(np.mean([gate[seed] - base[seed] for seed in "01"]))
    assert estimate.is_sampled
    one, other = (np.mean(list(found[name].draws["auroc"].values()), axis=0) for name in ("attention/gate", "base"))
    assert estimate.sampling == pytest.approx(np.var(one - other, ddof=1))


def test_a_source_is_drawn_with_its_real_and_its_fake_images(results):
    scored = results.scores(results.rows()[0])
    random = np.random.default_rng(0).integers(0, 40, (1000, 40))
    rows = np.concatenate([np.flatnonzero(scored.sources == source) for source in random[3]])
    assert drawn(scored)["auroc"][3] == pytest.approx(roc_auc_score(scored.labels[rows], scored.scores[rows]))
    pairs = scored.scores[scored.labels == 1][random[3]] > scored.scores[scored.labels == 0][random[3]]
    assert drawn(scored)["paired_accuracy"][3] == pytest.approx(pairs.mean())


def test_a_key_of_a_later_version_changes_neither_cell_nor_row(study, plan, results):
    cell = plan[0]
    file = study.of(cell) / "config.yaml"
    earlier = deepcopy(cell.config)
    del earlier["model"]["tune"]  # as if it had come since
    file.write_text(yaml.safe_dump(earlier))
    assert study.state(cell) == "done"
    assert results.row(cell, run_recipe(file), size="small")
    kept = results.config_file("small", "base").read_bytes()
    collect(study, cell, results, size="small")
    assert results.config_file("small", "base").read_bytes() == kept
    assert len(variants(results, "small")["base"].rows) == 2


def test_rows_of_two_recipes_are_never_one_variant(results):
    row = results.rows()[0]
    results.add(row | {"seed": "2", "config": "another"}, {}, None)
    with pytest.raises(UserError, match="several configs"):
        variants(results, "small")


def test_what_only_the_results_have_is_kept_unless_it_was_another_recipe(study, plan, results, tmp_path):
    cfg = compose(["skip_kept=true"], config_name="study")
    elsewhere = StudyFolder(tmp_path / "elsewhere")
    assert set(found_states(cfg, elsewhere, plan, results).values()) == {"kept"}
    assert set(found_states(cfg, study, plan, results).values()) == {"done"}
    changed = [replace(cell, fixed=(PLACE, "optimizer.lr=0.1")) for cell in plan]
    assert set(found_states(cfg, elsewhere, changed, results).values()) == {"open"}
    cfg.skip_kept = False
    assert set(found_states(cfg, elsewhere, plan, results).values()) == {"open"}


def test_the_best_are_chosen_by_validation_over_all_seeds(study, plan, results):
    blends = StudyCell("study_fakes", "fakes/self_blended", 0, (PLACE,))
    once = StudyCell("study_attention", "attention/mix", 0, (PLACE,))
    control = [StudyCell("study_attention", "attention/gate_shuffled", seed, (PLACE,)) for seed in (0, 1)]
    others = [blends, once, *control]  # validated on other images; over fewer seeds; no detector
    for cell in others:
        _finish(study, cell, auroc=0.99)
        collect(study, cell, results, size="small")
    cfg = compose([], config_name="study")
    assert [cell.name for cell in best(cfg, results, [*plan, *others])] == ["attention/gate-0", "base-0"]


def test_of_an_evaluation_only_metrics_are_kept():
    step = {"label": "50", "images": 10, "videos": 10, "metrics": {"frame/auroc": {"value": 0.9}} | {"x": 1}}
    step["metrics"]["frame/balanced_accuracy"] = {"value": 0.8}
    sets = {"faces": {"counts": {"images": 10}, "groups": {"frame": {"found by": []}}, "levels": {}}}
    about = {"decision": {"frame": {"threshold": 0.4}}, "sets": sets}
    found = brief(
        {"checkpoints": {"base": about}, "robustness": {"base": {"faces": {"jpeg": [step]}}}, "about": "/srv/here"}
    )
    kept = {"frame/auroc": {"value": 0.9}, "frame/balanced_accuracy": {"value": 0.8}}
    assert found["checkpoints"]["base"]["ladder"]["jpeg"] == [{"label": "50", "images": 10} | kept]
    assert "/srv" not in json.dumps(found)


# ---- the page ----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def page():
    spec = importlib.util.spec_from_file_location("study_page", ROOT / "scripts" / "study.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_page_is_what_its_script_makes_of_the_results(page):
    assert page.main(["--check"]) == 0, "results or configs have changed: python scripts/study.py"


def test_rows_of_the_page_come_from_results_and_say_what_is_not_done(page, results, tmp_path, monkeypatch):
    monkeypatch.setattr(page, "RESULTS", results)
    monkeypatch.setattr(page, "ROOT", tmp_path)
    monkeypatch.setattr(page, "plots", {})
    lines = page.factor("attention", "small")
    (gate,) = (line for line in lines if line.startswith("| [gate]"))
    (mix,) = (line for line in lines if line.startswith("| [mix]"))
    assert "| 2 of 3 | " in gate
    assert "results/configs/small/attention/gate.yaml" in gate
    assert "not done yet" in mix
    (difference,) = (cell for cell in gate.split(" | ") if cell.startswith(("+", "-")) and "]" in cell)
    assert difference.count(",") == 1
    assert page.differences_plot()[0].startswith("![")
    assert set(page.plots) == {"study_differences"}
    (axis,) = page.plots["study_differences"].axes
    assert [label.get_text() for label in axis.get_yticklabels()] == ["attention/gate"]


# ---- all of it ---------------------------------------------------------------------------------------------


@pytest.mark.study
def test_the_tiny_study_goes_the_whole_way(data_dir, tmp_path, capsys):
    places = [f"data_dir={data_dir}", f"paths.output_root={tmp_path}", f"paths.index_dir={data_dir.parent}/index"]
    assert main(["size=tiny", *places, "n_jobs=2"]) == 0
    found = variants(Results(tmp_path / "study" / "tiny" / "results"), "tiny")
    assert set(found) == {cell.variant for cell in cells(["study_attention", "study_fakes"])}
    assert all(len(variant.rows) == 2 for variant in found.values())
    assert comparisons(found, [("attention/gate", "base")], "test/frame/auroc")
    (evaluation,) = (tmp_path / "study" / "tiny").glob("ladder-*/evaluation.json")
    assert len(json.loads(evaluation.read_text())["checkpoints"]) == 3
    capsys.readouterr()
    assert main(["size=tiny", *places, "n_jobs=2"]) == 0  # nothing is done twice
    assert "starts" not in capsys.readouterr().err
