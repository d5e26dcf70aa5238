"""`python -m addnet.evaluate`: every picture is scored as in training, compared, damaged and reported on."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from addnet.config import compose
from addnet.data.degradations import LADDER, Degradation, rungs
from addnet.errors import UserError
from addnet.evaluate import evaluate, names_of
from addnet.evaluation.scored import ScoredSet
from addnet.faces.occlusion import occlude
from addnet.inference.evaluated_data import data_of
from addnet.inference.loading import load
from addnet.inference.mistakes import farthest_wrong
from checkpoints import DECISION, changed, checkpoint


@pytest.fixture(scope="module")
def paths(tmp_path_factory):
    folder = tmp_path_factory.mktemp("checkpoints")
    return [
        checkpoint(folder / "plain.ckpt"),
        checkpoint(folder / "band.ckpt", name="bandpass", kernel_size=7, decision=None),
    ]


def _config(ckpt, folder, index_dir, *overrides):
    where = [f"ckpt={ckpt}", f"paths.output_dir={folder}", f"paths.index_dir={index_dir}", "data.num_workers=0"]
    return compose([*where, "resamples=50", "device=cpu", *overrides], config_name="evaluate")


@pytest.fixture(scope="module")
def whole(paths, data_dir, index_dir, tmp_path_factory):
    """Two checkpoints, a small ladder, one mistake; numbers and folder."""
    folder = tmp_path_factory.mktemp("report")
    ladder = ["robustness.kinds={jpeg:[90,5],nose:[1.5]}", "mistakes=2"]
    cfg = _config(f"[{paths[0]},{paths[1]}]", folder, index_dir, f"data.data_dir={data_dir}", *ladder)
    return evaluate(cfg), folder


def test_a_report_holds_both_checkpoints_at_both_levels(whole):
    numbers, folder = whole
    written = json.loads((folder / "evaluation.json").read_text())
    assert list(written["checkpoints"]) == list(numbers["checkpoints"]) == ["plain", "band"]
    first, second = written["checkpoints"].values()
    for about in (first, second):
        (found,) = about["sets"].values()
        assert found["counts"]["pictures"] == 20
        assert {"frame", "video", "video_max", "video_confidence"} == set(found["levels"])
    assert first["sets"]["faces"]["levels"]["frame"]["called"]["chosen"]["threshold"] == DECISION["frame"]["threshold"]
    assert "no threshold" in second["decision"]["frame"]["stated"]
    assert (folder / "report.html").stat().st_size > 100_000
    assert "AUROC" in (folder / "report.md").read_text()


def test_the_ladder_ends_elsewhere_than_it_began(whole):
    numbers, folder = whole
    kinds = json.loads((folder / "evaluation.json").read_text())["robustness"]
    steps = next(iter(kinds.values()))["faces"]
    assert [len(steps[kind]) for kind in steps] == [1, 2, 1]
    assert {(step["pictures"], step["videos"]) for kind in steps.values() for step in kind} == {(20, 12)}
    assert "20 pictures of 12 videos, the same in every step" in (folder / "report.md").read_text()
    clean, worst = steps["clean"][0]["figures"], steps["jpeg (quality)"][1]["figures"]
    assert clean["frame/log_loss"]["value"] != worst["frame/log_loss"]["value"]
    plain = next(iter(numbers["checkpoints"].values()))["sets"]["faces"]["levels"]["frame"]["figures"]
    assert clean["frame/auroc"]["value"] == pytest.approx(plain["auroc"]["value"])


def test_mistakes_are_shown_with_their_explanation(whole):
    _, folder = whole
    assert len(list((folder / "figures").glob("mistake_*.png"))) == 2


def test_without_data_the_checkpoint_s_own_test_is_taken(paths, data_dir, index_dir, tmp_path):
    written = torch.load(paths[0], weights_only=True)
    written["addnet"]["config"] = {"data": {"layout": "folder", "data_dir": str(data_dir), "index_dir": str(index_dir)}}
    torch.save(written, tmp_path / "own.ckpt")
    numbers = evaluate(_config(tmp_path / "own.ckpt", tmp_path, index_dir, "mistakes=0", "resamples=1"))
    assert numbers["checkpoints"]["own"]["sets"]["faces"]["counts"]["pictures"] == 20


def test_several_test_sets_make_a_table(paths, data_dir, own_data_dir, index_dir, tmp_path):
    other = own_data_dir.rename(own_data_dir.with_name("others"))
    sets = f"data.test=['folder:{data_dir}','folder:{other}']"
    numbers = evaluate(_config(paths[0], tmp_path, index_dir, sets, "mistakes=0", "resamples=2"))
    (found,) = numbers["checkpoints"].values()
    assert set(found["sets"]) == {"faces", "others"}
    table = next(iter(numbers["cross_dataset"]["video"]["auroc"].values()))
    assert table["average"]["over"] == 2


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("data.image_size=128", "data.image_size=128"),
        ("data.align=false", "data.align=False"),
        ("precision=8-true", "32-true, 32, bf16-mixed"),
        ("robustness.kinds={jpeg:[300]}", r"robustness\.jpeg=300"),
        ("robustness.kinds={sepia:[1]}", "sepia"),
    ],
)
def test_other_settings_than_those_of_the_training_are_refused(paths, data_dir, index_dir, tmp_path, override, said):
    with pytest.raises(UserError, match=said):
        evaluate(_config(paths[0], tmp_path, index_dir, f"data.data_dir={data_dir}", override, "mistakes=0"))


@pytest.mark.parametrize(
    "hostile",
    [
        {"data_dir": "x", "options": {"_target_": "os.system"}},
        {"data_dir": "x", "test": [{"layout": "folder", "_target_": "os.system"}]},
        {"data_dir": "${oc.env:HOME}"},
    ],
)
def test_a_checkpoint_can_t_name_code_in_its_data(paths, tmp_path, hostile):
    written = torch.load(paths[0], weights_only=True)
    written["addnet"]["config"] = {"data": hostile}
    torch.save(written, tmp_path / "hostile.ckpt")
    with pytest.raises(UserError, match=r"name them by data\.data_dir"):
        data_of({}, load(tmp_path / "hostile.ckpt"))


def test_the_share_kept_for_testing_stays_the_share_of_the_training(paths, tmp_path):
    trained = {"data": {"data_dir": str(tmp_path / "faces"), "test_fraction": 0.2}}
    loaded = load(changed(paths[0], tmp_path / "kept.ckpt", config=trained))
    assert data_of({"data_dir": str(tmp_path / "faces")}, loaded)["test_fraction"] == 0.2
    assert "test_fraction" not in data_of({"data_dir": str(tmp_path / "others")}, loaded)
    with pytest.raises(UserError, match="pictures that it was trained on"):
        data_of({"data_dir": str(tmp_path / "faces"), "test_fraction": 0.5}, loaded)


def test_names_tell_checkpoints_apart():
    assert names_of(["a/best.ckpt", "a/last.ckpt"]) == ["best", "last"]
    with pytest.raises(UserError, match="twice"):
        names_of(["a.ckpt", "a.ckpt"])


def test_the_worst_mistakes_come_first_and_once_a_video():
    scores, labels, videos = np.array([0.9, 0.8, 0.7, 0.1, 0.6]), np.array([0, 0, 0, 1, 1]), np.array([0, 0, 1, 2, 3])
    scored = ScoredSet("a", scores, labels, videos, list("vwxyz"), list("klmn"))
    found = farthest_wrong({"a": scored}, threshold=0.5, most=9)
    assert [mistake.path for mistake in found] == ["v", "y", "x"]


@pytest.mark.parametrize("kind", LADDER)
def test_every_rung_damages_more_than_the_one_before_or_as_it_says(portrait, kind):
    picture, points = portrait
    damage = [
        np.abs(step(picture, points, seed=1).astype(int) - picture.astype(int)).mean()
        for step in rungs({kind: LADDER[kind]})
    ]
    assert min(damage) > 0
    if kind in ("jpeg", "blur", "resize", "noise", "eyes", "nose", "mouth"):
        assert damage == sorted(damage)


def test_damage_is_the_same_each_time_and_leaves_the_picture_alone(portrait):
    picture, points = portrait
    before = picture.copy()
    one, other = (Degradation("noise", 20)(picture, points, seed=5) for _ in range(2))
    assert np.array_equal(one, other)
    assert not np.array_equal(one, Degradation("noise", 20)(picture, points, seed=6))
    assert np.array_equal(picture, before)


def test_a_cover_hides_the_organ_and_nothing_else(portrait):
    picture, points = portrait
    changed = np.abs(occlude(picture, points, "mouth").astype(int) - picture.astype(int)).sum(axis=2) > 0
    rows = np.flatnonzero(changed.any(axis=1))
    assert changed[tuple(points[62].round().astype(int)[::-1])]
    assert rows.min() > points[30, 1]  # below the tip of the nose
    assert np.array_equal(occlude(picture, points, "mouth", scale=0), picture)
    assert np.array_equal(Degradation("mouth", 1)(picture, None, seed=0), picture)


def test_fingerprints_of_the_run_are_in_the_report(whole):
    about = json.loads((Path(whole[1]) / "evaluation.json").read_text())["about"]
    assert len(about["data_fingerprint"]) == 64
