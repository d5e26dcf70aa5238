"""`addnet evaluate`: every image is scored as in training, compared, damaged and reported on."""

import json
import shlex
from pathlib import Path

import numpy as np
import pytest

from addnet.cli import overrides_of
from addnet.config import compose, plain
from addnet.data.degradations import LADDER, Degradation, rungs
from addnet.errors import UserError
from addnet.evaluate import evaluate, load_detectors, names_of
from addnet.evaluation.scored import ScoredSet
from addnet.faces.occlusion import occlude
from addnet.inference.evaluated_data import data_of
from addnet.inference.inputs import Inputs
from addnet.inference.loading import load
from addnet.inference.mistakes import farthest_wrong
from addnet.predict import about as told_of
from addnet.predict import load_detector
from addnet.tested_on import arguments_of, require_data
from addnet.untrusted.secrets import relative
from checkpoints import DECISION, changed, checkpoint

pytestmark = pytest.mark.slow


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
        assert found["counts"]["images"] == 20
        assert {"frame", "video", "video_max", "video_confidence"} == set(found["levels"])
    assert first["sets"]["faces"]["levels"]["frame"]["called"]["chosen"]["threshold"] == DECISION["frame"]["threshold"]
    assert "no threshold" in second["decision"]["frame"]["stated"]
    assert (folder / "report.html").stat().st_size > 100_000
    assert "AUROC" in (folder / "report.md").read_text()
    assert written["settings"]["mirror"] is False


def test_the_scores_that_were_written_give_the_same_report_without_a_network(whole, tmp_path):
    numbers, folder = whole
    cfg = compose(
        [f"scores.file={folder / 'scores.parquet'}", f"paths.output_dir={tmp_path}", "resamples=50"],
        config_name="evaluate",
    )
    again = evaluate(cfg)
    ours, theirs = (
        dict(_leaves({name: one[name] for name in ("checkpoints", "cross_dataset", "differences")}))
        for one in (numbers, again)
    )
    assert ours.keys() == theirs.keys()
    for name, value in ours.items():
        assert theirs[name] == (
            value if not isinstance(value, float) else pytest.approx(value, abs=1e-9, nan_ok=True)
        ), name
    kinds = again["checkpoints"]["plain"]["sets"]["faces"]["groups"]["frame"]
    assert {"method", "brightness of the face"} <= kinds.keys()
    own, read = (
        dict(part.split("\n", 1) for part in (where / "report.md").read_text().split("\n## "))
        for where in (folder, tmp_path)
    )
    assert own.keys() - read.keys() == {"Robustness", "Worst mistakes"}
    for title in read.keys() - {"About this evaluation"}:
        assert read[title] == own[title]


def _leaves(node, prefix=""):
    items = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    if isinstance(node, (dict, list)):
        for key, value in items:
            yield from _leaves(value, f"{prefix}/{key}")
    else:
        yield prefix, node


def test_pairs_of_one_group_are_compared(whole):
    numbers, _ = whole
    for about in numbers["checkpoints"].values():
        found = about["sets"]["faces"]
        assert found["pairs"] == {"sources": 3, "with_both": 3, "pairs": 36, "why_not": ""}
        assert 0 <= found["levels"]["video"]["metrics"]["paired_accuracy"]["value"] <= 1


def test_the_ladder_ends_elsewhere_than_it_began(whole):
    numbers, folder = whole
    kinds = json.loads((folder / "evaluation.json").read_text())["robustness"]
    steps = next(iter(kinds.values()))["faces"]
    assert [len(steps[kind]) for kind in steps] == [1, 2, 1]
    assert {(step["images"], step["videos"]) for kind in steps.values() for step in kind} == {(20, 12)}
    assert "20 images of 12 videos, the same at every step" in (folder / "report.md").read_text()
    clean, worst = steps["clean"][0]["metrics"], steps["jpeg (quality)"][1]["metrics"]
    assert clean["frame/log_loss"]["value"] != worst["frame/log_loss"]["value"]
    plain = next(iter(numbers["checkpoints"].values()))["sets"]["faces"]["levels"]["frame"]["metrics"]
    assert clean["frame/auroc"]["value"] == pytest.approx(plain["auroc"]["value"])


def test_mistakes_are_shown_with_their_explanation(whole):
    _, folder = whole
    assert len(list((folder / "plots").glob("mistake_*.png"))) == 2


def _trained_on(path, folder, **data):
    """A checkpoint in a run folder, trained on such data."""
    (folder / "checkpoints").mkdir(parents=True)
    config = {"data": {"layout": "folder"} | data, "paths": {"output_dir": "."}}
    return changed(path, folder / "checkpoints" / "own.ckpt", config=config)


def test_without_data_the_checkpoint_s_own_are_told_and_the_line_works_as_it_stands(
    paths, data_dir, index_dir, tmp_path
):
    own = _trained_on(paths[0], tmp_path / "run", data_dir=relative(data_dir, tmp_path / "run"), options={})
    with pytest.raises(UserError, match="no test data are named") as caught:
        evaluate(_config(own, tmp_path, index_dir))
    line = str(caught.value).splitlines()[1]
    assert line == f"  data.layout=folder data.data_dir={data_dir}"
    numbers = evaluate(_config(own, tmp_path, index_dir, "mistakes=0", "resamples=1", *shlex.split(line)))
    assert numbers["checkpoints"]["own"]["sets"]["faces"]["counts"]["images"] == 20


@pytest.mark.parametrize(
    ("data", "typed"),
    [
        ({"data_dir": "../it's (1), ü"}, {"data_dir": "it's (1), ü"}),
        ({"layout": "index", "index": "../faces/index.parquet"}, {"layout": "index", "index": "faces/index.parquet"}),
        (
            {"data_dir": "../faces", "test_fraction": 0.2, "group_pattern": r"(\d+)_'x'", "video_pattern": "[a]{2}"},
            {"data_dir": "faces", "test_fraction": 0.2, "group_pattern": r"(\d+)_'x'", "video_pattern": "[a]{2}"},
        ),
        (
            {"layout": "faceforensics", "data_dir": "~/ff", "options": {"names": ["FF-DF", "a,b"], "split": "actors"}},
            {"layout": "faceforensics", "data_dir": "~/ff", "options": {"names": ["FF-DF", "a,b"], "split": "actors"}},
        ),
        (
            {
                "train": ["../x"],
                "test": ["celebdf:../C DF", "../own/index.parquet", {"layout": "dfd", "data_dir": "../d"}],
            },
            {"test": ["celebdf:{}/C DF", "{}/own/index.parquet", {"layout": "dfd", "data_dir": "{}/d"}]},
        ),
        ({"train": ["dfd:../d"], "test_fraction": 0.2}, {"train": ["dfd:{}/d"], "test_fraction": 0.2}),
        (
            {
                "layout": "faceforensics",
                "options": {"compression": "c40", "methods": ["Deepfakes"]},
                "val": ["celebdf:../v"],
                "test": [
                    "celebdf:../c",
                    {"layout": "manifest", "data_dir": "../a.csv", "columns": {"path": "my, file"}},
                ],
            },
            {  # options of what is trained on are no business of theirs, and nothing is chosen in an evaluation
                "layout": "folder",
                "options": {},
                "val": None,
                "test": [
                    "celebdf:{}/c",
                    {"layout": "manifest", "data_dir": "{}/a.csv", "columns": {"path": "my, file"}},
                ],
            },
        ),
        (
            {
                "options": {"compression": "c40"},
                "test": ["dfd:../d", {"layout": "dfd", "data_dir": "../e", "split": "x"}],
            },
            {
                "options": {"compression": "c40"},
                "test": ["dfd:{}/d", {"layout": "dfd", "data_dir": "{}/e", "split": "x"}],
            },
        ),
        ({"data_dir": "../d", "limit_test": 40, "seed": 3}, {"data_dir": "d", "limit_test": 40, "seed": 3}),
    ],
)
def test_what_is_told_of_the_test_data_says_the_same_when_it_is_typed(paths, tmp_path, monkeypatch, data, typed):
    monkeypatch.chdir(tmp_path)
    own = _trained_on(paths[0], tmp_path / "run", **data)
    words = overrides_of(shlex.split(arguments_of(load(own))), command="evaluate")
    found = plain(compose([f"ckpt={own}", *words], config_name="evaluate").data)
    home = {"~/ff": str(Path("~/ff").expanduser())}  # config.expand_home
    for key, value in typed.items():
        expected = json.loads(json.dumps(value).replace("{}/", ""))
        assert home.get(str(found[key]), found[key]) == home.get(str(expected), expected)


def test_a_checkpoint_names_no_place_pattern_or_code_of_its_evaluation(paths, data_dir, tmp_path):
    hostile = {"index_dir": "/etc/x", "faces_dir": "/etc/y", "options": {"_target_": "os.system"}}
    hostile |= {"data_dir": "/etc", "test": [{"_target_": "os.system"}], "group_pattern": "(a+)+$", "verify": False}
    loaded = load(changed(paths[0], tmp_path / "hostile.ckpt", config={"data": hostile}))
    taken = data_of({"data_dir": str(data_dir)}, loaded)
    assert set(taken) == {"image_size", "align", "crop", "margin", "mask_of", "face_crops", "mask"}


@pytest.mark.parametrize(
    "name", ["a\nb", "a\x1b[2J", "a\u202eb", "${oc.env:HOME}", "x" * 3000, 3, ["a"], None, {"a": 1}]
)
def test_what_can_t_be_typed_as_it_stands_is_not_offered(paths, tmp_path, name):
    file = _trained_on(paths[0], tmp_path / "run", data_dir=name, options={"split": name})
    with pytest.raises(UserError, match=r"no test data are named|was not loaded") as caught:
        require_data({}, load(file))
    assert "add to the command" not in str(caught.value) or name is None


def test_a_told_line_is_one_argument_each_whatever_a_stranger_wrote(paths, tmp_path):
    loaded = load(_trained_on(paths[0], tmp_path / "run", data_dir="../$(touch x); 'rm' \"-rf\" `a` && b"))
    assert len(shlex.split(arguments_of(loaded))) == 2


def test_the_part_that_was_kept_for_testing_needs_the_patterns_that_chose_it(paths, tmp_path):
    own = load(_trained_on(paths[0], tmp_path / "run", data_dir="../f", test_fraction=0.2, group_pattern=r"(\d+)"))
    with pytest.raises(UserError, match=r"chosen with another data\.group_pattern"):
        require_data({"data_dir": str(tmp_path / "f")}, own)
    require_data({"data_dir": str(tmp_path / "f"), "group_pattern": r"(\d+)"}, own)
    require_data({"data_dir": str(tmp_path / "g")}, own)


def test_several_test_sets_make_a_table(paths, data_dir, own_data_dir, index_dir, tmp_path):
    other = own_data_dir.rename(own_data_dir.with_name("others"))
    sets = f"data.test=['folder:{data_dir}','folder:{other}']"
    numbers = evaluate(_config(paths[0], tmp_path, index_dir, sets, "mistakes=0", "resamples=2", "mirror=true"))
    (found,) = numbers["checkpoints"].values()
    assert set(found["sets"]) == {"faces", "others"}
    table = next(iter(numbers["cross_dataset"]["video"]["auroc"].values()))
    assert table["average"]["over"] == 2
    assert json.loads((tmp_path / "evaluation.json").read_text())["settings"]["mirror"] is True
    assert "the mean of the logits of each image and of its mirror image" in (tmp_path / "report.md").read_text()


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


def test_the_share_kept_for_testing_stays_the_share_of_the_training(paths, tmp_path):
    trained = {"data": {"data_dir": str(tmp_path / "faces"), "test_fraction": 0.2}}
    loaded = load(changed(paths[0], tmp_path / "kept.ckpt", config=trained))
    assert data_of({"data_dir": str(tmp_path / "faces")}, loaded)["test_fraction"] == 0.2
    assert "test_fraction" not in data_of({"data_dir": str(tmp_path / "others")}, loaded)
    with pytest.raises(UserError, match="images that it was trained on"):
        data_of({"data_dir": str(tmp_path / "faces"), "test_fraction": 0.5}, loaded)


def test_mirroring_reaches_the_detectors_of_evaluate_and_predict(paths, tmp_path, index_dir):
    for asked in (True, False):
        cfg = _config(paths[0], tmp_path, index_dir, f"mirror={asked}")
        assert [detector.mirror for detector in load_detectors(cfg).values()] == [asked]
        cfg = compose([f"ckpt={paths[0]}", "input=face.jpg", f"mirror={asked}"], config_name="predict")
        assert told_of(load_detector(cfg, paths[0], Inputs((), ())))["mirror"] is asked


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
    image, landmarks = portrait
    damage = [
        np.abs(step.damaged(image, landmarks, seed=1).astype(int) - image.astype(int)).mean()
        for step in rungs({kind: LADDER[kind]})
    ]
    assert min(damage) > 0
    if kind in ("jpeg", "blur", "resize", "noise", "eyes", "nose", "mouth"):
        assert damage == sorted(damage)


def test_damage_is_the_same_each_time_and_leaves_the_image_alone(portrait):
    image, landmarks = portrait
    before = image.copy()
    one, other = (Degradation("noise", 20).damaged(image, landmarks, seed=5) for _ in range(2))
    assert np.array_equal(one, other)
    assert not np.array_equal(one, Degradation("noise", 20).damaged(image, landmarks, seed=6))
    assert np.array_equal(image, before)


def test_a_cover_hides_the_organ_and_nothing_else(portrait):
    image, landmarks = portrait
    changed = np.abs(occlude(image, landmarks, "mouth").astype(int) - image.astype(int)).sum(axis=2) > 0
    rows = np.flatnonzero(changed.any(axis=1))
    assert changed[tuple(landmarks[62].round().astype(int)[::-1])]
    assert rows.min() > landmarks[30, 1]  # below the tip of the nose
    assert np.array_equal(occlude(image, landmarks, "mouth", scale=0), image)
    assert np.array_equal(Degradation("mouth", 1).damaged(image, None, seed=0), image)


def test_fingerprints_of_the_run_are_in_the_report(whole):
    about = json.loads((Path(whole[1]) / "evaluation.json").read_text())["about"]
    assert len(about["data_fingerprint"]) == 64
