"""Sweeps in real processes: jobs apart from each other, several devices, failures, interruptions, other launchers."""

import io
import json
import os
import signal
import subprocess
import sys

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import OmegaConf
from rich.console import Console
from rich.text import Text

from addnet.config import compose
from addnet.errors import UserError
from addnet.overrides import quoted
from addnet.sweeps import Result, make_table, read_result, read_sweep, write_result
from addnet.sweeps.board import Board
from addnet.sweeps.processes import environment, run_all, start_process, visible_devices
from addnet.sweeps.record import SWEEP
from addnet.sweeps.resume import resumed, run_recorded
from trainings import BANDPASS, ONE_STEP, ended, fault, launch, start, sweep_folder, wait_for

pytestmark = pytest.mark.slow

QUIET = ["logger=none", "callbacks.sample_sheet=null", "callbacks.curves=null"]


@pytest.fixture(scope="module")
def two_devices(data_dir, tmp_path_factory):
    """Two learning rates, each on two processes; the root folder and what was printed."""
    root = tmp_path_factory.mktemp("two_devices")
    devices = ["trainer.devices=2", "trainer.accelerator=cpu"]
    return root, ended(start(data_dir, root, "-m", "optimizer.lr=1e-4,3e-4", *devices, *ONE_STEP))


def test_each_job_of_a_sweep_over_devices_runs_once_with_its_own_config(two_devices):
    folder = sweep_folder(two_devices[0])
    assert sorted(path.name for path in folder.iterdir() if path.is_dir()) == ["0", "1"]
    configs = sorted(folder.rglob("config.yaml"))
    assert [OmegaConf.load(file).optimizer.lr for file in configs] == [1e-4, 1e-4, 3e-4, 3e-4]  # ours and Hydra's
    assert len(list(folder.rglob("result.json"))) == 2
    logs = [(folder / job / "train.log").read_text() for job in "01"]
    assert [text.count("Starting with 2 processes") for text in logs] == [1, 1]


def test_a_sweep_leaves_a_table_a_sheet_and_a_plot(two_devices):
    folder = sweep_folder(two_devices[0])
    text = (folder / "summary.md").read_text()
    assert text in two_devices[1]
    for lr in ("1e-4", "3e-4"):
        assert f"| {lr} | nan | 0 of 1 (1 nan) | " in text  # without checkpoints there is no metric to choose by
    assert len((folder / "summary.csv").read_text().splitlines()) == 3
    assert (folder / "summary.png").stat().st_size > 5000


def test_ablations_over_seeds_end_in_a_table_of_paired_differences(data_dir, tmp_path):
    jobs = ["ablation=base,no_add_block", "seed=0,1", "hydra.launcher.n_jobs=2"]
    output = ended(start(data_dir, tmp_path, "-m", *jobs, *ONE_STEP))
    metrics = {}
    for job in read_sweep(sweep_folder(tmp_path)):
        metrics[job.overrides["ablation"], job.seed] = job.metric("test/frame/auroc")
    first, second = (metrics["no_add_block", seed] - metrics["base", seed] for seed in "01")
    mean, sd = (first + second) / 2, abs(first - second) / 2**0.5
    (row,) = make_table(read_sweep(sweep_folder(tmp_path))).comparisons
    assert (row.difference.mean, row.difference.sd) == pytest.approx((mean, sd))
    assert row.difference.is_sampled
    told = f"{mean:+.4f} ".replace("-", "−")
    (line,) = (line for line in output.splitlines() if line.startswith("| no_add_block "))
    assert f"| 2 | {told}" in line
    assert "1 comparison; " in output


@pytest.fixture(scope="module")
def accidents(data_dir, tmp_path_factory):
    """Three jobs, two at once: one is refused, one ends well, one is killed; folder and what was printed."""
    root = tmp_path_factory.mktemp("accidents")
    sizes = [*BANDPASS, "model.kernel_size=4,5,3", "hydra.launcher.n_jobs=2"]
    kill = [*ONE_STEP, "trainer.max_steps=4", fault("kill", 0, "${model.kernel_size}")]  # batches 0 to 3 are reached
    output = ended(start(data_dir, root, "-m", *sizes, *kill), code=1)
    return sweep_folder(root), output


def test_a_failing_job_stops_no_other_and_its_reason_is_in_the_table(accidents):
    folder, output = accidents
    assert [job.status for job in read_sweep(folder)] == ["failed", "success", "failed"]
    text = (folder / "summary.md").read_text()
    assert "kernel_size=4 has no centre pixel" in text
    assert f"2 of 3 jobs failed; the reasons are in {folder / 'summary.md'}" in output
    assert "Traceback" not in output


def test_a_killed_job_is_named_by_its_signal(accidents):
    folder, output = accidents
    assert read_result(folder / "2").killed_by == signal.SIGKILL
    assert "#2 failed: killed by signal 9 (SIGKILL); out of memory?" in output
    assert "SIGKILL" in (folder / "summary.md").read_text()


def test_jobs_print_into_their_folders(accidents):
    folder, output = accidents
    assert "run folder: " in (folder / "1" / "console.log").read_text()
    assert "run folder: " not in output
    assert "#1 starts: model.kernel_size=5\n" in output
    assert "#1 model.kernel_size=5: no score after " in output


def test_a_sweep_is_drawn_in_a_line_for_each_job_that_runs(tmp_path):
    terminal = io.StringIO()
    times = iter(range(0, 1000, 61))
    console = Console(file=terminal, force_terminal=True, width=80)
    board = Board(3, console=console, clock=lambda: next(times))
    (tmp_path / "log").write_text("loading\nepoch 3/4: \x1b[1mtrain/loss\x1b[0m 0.25" + " and so on" * 20 + "\n\n")
    board.start(0, "optimizer.lr=1e-4", output=tmp_path / "log")
    board.start(1, "a.very.long.key.of.a.config=" + "x" * 80, output=tmp_path / "none")
    with console.capture() as drawn:
        console.print(board)
    lines = [Text.from_ansi(line).plain for line in drawn.get().splitlines()]
    assert all(len(line) <= 80 for line in lines)
    assert lines[0].startswith("#0 0:02:02 optimizer.lr=1e-4")
    assert "epoch 3/4: train/loss 0.25" in lines[0]
    assert lines[1].startswith("#1 0:01:01 a.very.long.key")
    assert lines[2] == "0 of 3 jobs done, 0:03:03"


def test_an_interrupted_sweep_goes_on_where_it_was(data_dir, tmp_path):
    short = ["trainer.limit_train_batches=1", "trainer.limit_val_batches=1", "trainer.limit_test_batches=1"]
    process = start(data_dir, tmp_path, "-m", "trainer.max_epochs=1,8,2", *QUIET, *short)
    wait_for(lambda: list(tmp_path.glob("*/*/1/checkpoints/last.ckpt")), process)
    process.send_signal(signal.SIGINT)
    output = ended(process, code=130)
    folder = sweep_folder(tmp_path)
    assert f"2 of 3 jobs did not finish; continue with --resume {folder}" in output
    assert [job.status for job in read_sweep(folder)] == ["success", "interrupted", "unfinished"]

    before = _times(folder / "0")
    output = ended(launch("--resume", str(folder)))
    assert _times(folder / "0") == before
    assert "#0 is already done" in output
    assert [job.status for job in read_sweep(folder)] == ["success"] * 3
    went_on = (folder / "1" / ".hydra" / "overrides.yaml").read_text()
    assert f"ckpt_path='{folder}/1/checkpoints/last.ckpt'" in went_on
    assert "ckpt_path" not in (folder / "summary.md").read_text() + (folder / "2/.hydra/overrides.yaml").read_text()
    assert "# Sweep over trainer.max_epochs\n" in (folder / "summary.md").read_text()


def _times(folder):
    return {path: path.stat().st_mtime_ns for path in folder.rglob("*")}


def test_a_named_sweep_needs_no_flag_and_its_jobs_see_the_same_configs(data_dir, tmp_path):
    (tmp_path / "mine" / "optimizer").mkdir(parents=True)
    (tmp_path / "mine" / "optimizer" / "own.yaml").write_text("name: sgd\nlr: 0.5\n")
    only_built = ["logger=none", "train=false", "test=false", "optimizer=own", "hydra.launcher.n_jobs=3"]
    process = start(data_dir, tmp_path, f"--config-dir={tmp_path / 'mine'}", "sweep=seeds", *only_built)
    output = ended(process)
    jobs = read_sweep(sweep_folder(tmp_path))
    assert [(job.status, job.seed, job.config.optimizer.lr) for job in jobs] == [
        ("success", "0", 0.5),
        ("success", "1", 0.5),
        ("success", "2", 0.5),
    ]
    assert "| score (higher is better) | seeds |" in output
    assert "| nan | 0 of 3 (3 nan) |" in output


@pytest.mark.parametrize("name", ["joblib", "submitit_local"])
def test_other_launchers_leave_the_same_table(data_dir, tmp_path, name):
    sizes = [*BANDPASS, "model.kernel_size=4,3", f"hydra/launcher={name}"]
    own = [f"paths.index_dir={tmp_path}/index"]  # so that each starts processes that find faces
    output = ended(start(data_dir, tmp_path, "-m", *sizes, *own, *ONE_STEP), code=1)
    assert [job.status for job in read_sweep(sweep_folder(tmp_path))] == ["failed", "success"]
    assert "kernel_size=4 has no centre pixel" in (sweep_folder(tmp_path) / "summary.md").read_text()
    assert "1 of 2 jobs failed" in output
    assert "Traceback" not in output
    assert "exists only" not in output


def test_optuna_optimises_the_score_of_isolated_jobs(data_dir, tmp_path):
    search = ["hydra/sweeper=optuna", "hydra.sweeper.direction=maximize", "hydra.sweeper.n_trials=2"]
    search += ["hydra.sweeper.n_jobs=2", "hydra.launcher.n_jobs=2", "hydra.sweeper.max_failure_rate=0.5"]
    short = [*BANDPASS, "model.kernel_size=choice(3,4)"]
    short += ["trainer.max_epochs=1", "trainer.limit_train_batches=1", *QUIET]
    sampler = ["hydra/sweeper/sampler=random", "hydra.sweeper.sampler.seed=0"]  # draws 4, then 3
    output = ended(start(data_dir, tmp_path, "-m", *search, *sampler, *short), code=1)
    assert "Traceback" not in output
    folder = sweep_folder(tmp_path)
    best = OmegaConf.load(folder / "optimization_results.yaml")
    (good,) = (job for job in read_sweep(folder) if job.status == "success")
    assert best.best_params["model.kernel_size"] == 3
    assert best.best_value == pytest.approx(good.result.score)


def test_slurm_jobs_compose_and_may_use_several_devices(monkeypatch):
    from addnet.cli import refuse_sweep_over_ranks

    hydra_config = OmegaConf.create({"runtime": {"choices": {"hydra/launcher": "submitit_slurm"}}})
    hydra_config.mode = "MULTIRUN"
    cfg = compose(["hydra/launcher=submitit_slurm", "trainer.devices=4"])
    monkeypatch.setenv("SLURM_NTASKS", "4")
    refuse_sweep_over_ranks(cfg, hydra_config)


def test_no_more_jobs_run_at_once_than_asked_for():
    running, most, told = [], [], []

    def begin(job, slot):
        running.append(slot)
        most.append(sorted(running))
        code = f"import time; time.sleep({0.3 * (job == 3)}); raise SystemExit({job})"
        return start_process([sys.executable, "-c", code], dict(os.environ), console=None)

    def end(job, code, stopping):
        told.append((job, code, stopping))
        running.pop()

    assert run_all([3, 0, 1], n_jobs=2, start=begin, end=end) is None
    assert sorted(told) == [(0, 0, False), (1, 1, False), (3, 3, False)]
    assert max(map(len, most)) == 2


def test_a_signal_reaches_running_jobs_and_no_other_starts():
    told = []

    def begin(job, slot):
        process = start_process([sys.executable, "-c", "import time; time.sleep(60)"], dict(os.environ), console=None)
        os.kill(os.getpid(), signal.SIGTERM)
        return process

    def end(job, code, stopping):
        told.append((job, code, stopping))

    before = signal.getsignal(signal.SIGTERM)
    assert run_all([0, 1], n_jobs=1, start=begin, end=end) == signal.SIGTERM
    assert told == [(0, -signal.SIGTERM, True)]
    assert signal.getsignal(signal.SIGTERM) == before


def test_gpus_are_found_without_torch(tmp_path, monkeypatch):
    tool = tmp_path / "nvidia-smi"
    gpus = [f"GPU {n}: NVIDIA H200 (UUID: GPU-{n})" for n in (0, 1)]
    parts = ["  MIG 1g.18gb     Device  0: (UUID: MIG-7)"]
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    for lines, found in ((gpus, ["GPU-0", "GPU-1"]), (gpus + parts, ["MIG-7"])):
        tool.write_text("#!/bin/sh\ncat <<END\n" + "\n".join(lines) + "\nEND\n")
        tool.chmod(0o755)
        assert visible_devices() == found
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3, 1")
    assert visible_devices() == ["3", "1"]


def test_a_job_inherits_no_rank_and_gets_its_share(monkeypatch):
    for name in ("LOCAL_RANK", "WORLD_SIZE", "MASTER_PORT", "ADDNET_RUN", "ADDNET_RESUME"):
        monkeypatch.setenv(name, "1")
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    shares = [environment(slot, n_jobs=2, devices=["0", "1", "2"]) for slot in (0, 1)]
    assert [share["CUDA_VISIBLE_DEVICES"] for share in shares] == ["0,2", "1"]
    assert int(shares[0]["OMP_NUM_THREADS"]) >= 1
    assert not {"LOCAL_RANK", "WORLD_SIZE", "MASTER_PORT", "ADDNET_RUN", "ADDNET_RESUME"} & set(shares[0])
    alone = environment(0, n_jobs=1, devices=["0", "1"])
    assert "OMP_NUM_THREADS" not in alone
    assert alone.get("CUDA_VISIBLE_DEVICES") == os.environ.get("CUDA_VISIBLE_DEVICES")


@pytest.mark.parametrize("text", ["/a b/lr=1,2", "it's", "back\\slash", "${now:%Y}", "x\\'y", "'", "end\\"])
def test_any_path_survives_the_grammar_of_overrides(text):
    (parsed,) = OverridesParser.create().parse_overrides([f"key={quoted(text)}"])
    value = OmegaConf.create({"key": parsed.value()}).key
    assert value == text


def test_a_resumed_sweep_skips_what_is_done_under_any_launcher(tmp_path, monkeypatch):
    cfg = OmegaConf.create({"paths": {"output_dir": str(tmp_path)}, "ckpt_path": None})
    write_result(tmp_path, Result(status="interrupted"))
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "checkpoints" / "last.ckpt").touch()
    assert run_recorded(lambda cfg, _: float(cfg.ckpt_path is not None), cfg.copy()) == 0.0
    write_result(tmp_path, Result(status="interrupted"))
    monkeypatch.setenv("ADDNET_RESUME", "1")
    assert run_recorded(lambda cfg, _: float(cfg.ckpt_path is not None), cfg.copy()) == 1.0
    assert run_recorded(lambda cfg, _: pytest.fail("it is done"), cfg.copy()) == 1.0


def test_how_a_run_ended_is_written_whatever_happens(tmp_path):
    cfg = OmegaConf.create({"paths": {"output_dir": str(tmp_path)}, "ckpt_path": None})

    def ending(error):
        def task(cfg, result):
            result.metrics = {"test/frame/auroc": float("nan")}
            raise error

        with pytest.raises(type(error)):
            run_recorded(task, cfg)
        return json.loads((tmp_path / "result.json").read_text())

    assert ending(UserError("mend this"))["reason"] == "mend this"
    assert ending(ZeroDivisionError("so\nlong"))["reason"] == "ZeroDivisionError: so"
    assert ending(KeyboardInterrupt())["status"] == "interrupted"
    assert ending(UserError("x"))["metrics"] == {"test/frame/auroc": None}


def test_only_the_first_process_of_a_run_writes_its_result(tmp_path, monkeypatch):
    monkeypatch.setenv("LOCAL_RANK", "1")
    run_recorded(lambda cfg, result: 0.5, OmegaConf.create({"paths": {"output_dir": str(tmp_path)}}))
    assert read_result(tmp_path) is None


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--resume"], "needs the folder"),
        (["--resume", "nowhere"], "not the folder of a sweep or a run"),
    ],
)
def test_a_wrong_folder_to_resume_is_told_in_a_sentence(arguments, sentence):
    command = [sys.executable, "-m", "addnet.train", *arguments]
    result = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert result.returncode == 1
    assert sentence in result.stderr
    assert "Traceback" not in result.stderr


def test_a_search_is_not_repeated_as_if_it_were_a_grid(tmp_path):
    told = {"arguments": [], "cwd": str(tmp_path), "sweeper": "hydra_plugins.hydra_optuna_sweeper.X", "metric": None}
    (tmp_path / SWEEP).write_text(json.dumps(told))
    with pytest.raises(UserError, match=r"hydra\.sweeper\.storage"):
        resumed(["--resume", str(tmp_path)])


def test_a_sweep_is_resumed_as_it_was(tmp_path):
    (tmp_path / SWEEP).write_text("{}")
    with pytest.raises(UserError, match=r"seed=3 cannot be changed, only hydra\.\* can"):
        resumed([f"--resume={tmp_path}", "seed=3"])


def test_a_run_is_resumed_with_its_own_overrides_wherever_its_folder_lies(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "renamed, it's here"
    (folder / ".hydra").mkdir(parents=True)
    before = ["experiment=demo", "trainer.max_epochs=4", "paths.output_dir=outputs/old", "ckpt_path=other.ckpt"]
    OmegaConf.save(before, folder / ".hydra" / "overrides.yaml")
    sources = [{"path": "addnet/configs", "provider": "main"}, {"path": "/mine", "provider": "command-line"}]
    runtime = {"cwd": str(tmp_path), "config_sources": sources}
    OmegaConf.save({"hydra": {"runtime": runtime}}, folder / ".hydra" / "hydra.yaml")
    arguments = resumed(["--resume", folder.name, "trainer.max_epochs=8"])
    assert arguments[:3] == ["--config-dir=/mine", "experiment=demo", "ckpt_path=auto"]
    assert arguments[3:] == [f"hydra.run.dir={quoted(str(folder))}", "trainer.max_epochs=8"]
