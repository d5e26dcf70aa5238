"""Likelihood ratios are those that there are, cost what they should, end where so many sources end, and travel."""

import json
import math
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from scipy.integrate import quad

from addnet.config import compose
from addnet.errors import UserError
from addnet.evaluate import evaluate, place_of_ratios
from addnet.evaluation.assessment import assess
from addnet.evaluation.levels import ResampledSet
from addnet.evaluation.likelihood import FEWEST, LikelihoodRatio, bounds, cllr, likelihood_numbers
from addnet.evaluation.likelihood_files import place_beside, read_likelihood, write_ratios
from addnet.evaluation.scored import ScoredSet
from addnet.inference import Detector
from addnet.inference.answers import UNLIKE, Answer
from addnet.inference.export import export_checkpoint
from addnet.inference.weighing import calibration_of, likelihood_ratios, weighed
from addnet.inference.writing import COLUMNS, row_of
from checkpoints import checkpoint

pytestmark = pytest.mark.slow

ANSWER = Answer("fake", 0.99, 0.9, 0.5, "face.jpg")


def _normal(apart, *, sources=2000, seed=0):
    """Log odds that are the natural log likelihood ratios themselves: normal, as far apart as their variance."""
    random, labels = np.random.default_rng(seed), np.arange(2 * sources) % 2
    steps = random.normal(apart**2 * (labels - 0.5), apart)
    names = [str(row) for row in range(len(labels))]
    return ScoredSet("simulated", 1 / (1 + np.exp(-steps)), labels, np.arange(len(labels)), names, names)


def _numbers(scored, level="frame"):
    return likelihood_numbers(ResampledSet.of(scored, resamples=1, seed=0), seed=0)[level]


@pytest.mark.parametrize("apart", [1.0, 2.0, 3.0])
def test_the_true_ratios_of_normal_scores_are_found_at_their_cost(apart):
    def cost(step):
        density = math.exp(-((step - apart**2 / 2) ** 2) / (2 * apart**2)) / (apart * math.sqrt(2 * math.pi))
        return math.log2(1 + math.exp(-step)) * density

    found = _numbers(_normal(apart, sources=8000))
    true = quad(cost, -50, 50)[0]
    assert found["cllr"] == pytest.approx(true, rel=0.05)
    assert 0.9 * true < found["cllr_min"] <= found["cllr"]
    assert found["slope"] == pytest.approx(1 / math.log(10), rel=0.06)
    assert found["intercept"] == pytest.approx(0, abs=0.06)


def test_ratios_that_say_nothing_cost_a_bit_and_certain_ones_none():
    labels = np.array([0, 0, 1])
    assert cllr(np.zeros(3), labels) == 1
    assert cllr(np.array([-9.0, -9, 9]), labels) < 1e-8
    assert cllr(np.array([9.0, -9, 9]), labels) > 7


def test_no_ratio_is_told_that_so_many_sources_cannot_support():
    apart = np.array([-5.0] * 60 + [5.0] * 99), np.array([0] * 60 + [1] * 99)
    assert bounds(*apart) == pytest.approx((-2.0, math.log10(61)), abs=0.011)
    assert bounds(np.zeros(40), np.arange(40) % 2) == (0, 0)
    one_wrong = apart[0].copy()
    one_wrong[0] = 5.0  # a real one
    assert bounds(one_wrong, apart[1])[1] == pytest.approx(math.log10(61 / 2), abs=0.021)


def test_bounds_hold_at_each_threshold_what_they_promise():
    """A plain loop over the thresholds between."""
    scored = _normal(2.0, sources=150)
    natural = np.log(scored.probabilities / (1 - scored.probabilities))
    log10, labels = natural / math.log(10), scored.labels
    low, high = bounds(log10, labels)

    def cost(threshold):
        missed = ((log10[labels == 1] <= threshold).sum() + 1) / 151
        accused = ((log10[labels == 0] > threshold).sum() + 1) / 151
        return missed + 10**threshold * accused

    inside = np.arange(round(low, 2) + 0.01, high, 0.01)
    assert all(cost(t) <= min(1, 10**t) for t in inside if abs(t) > 0.005)
    assert cost(high + 0.011) > 1 or high == pytest.approx(log10.max(), abs=0.01)


def test_too_few_sources_and_scores_the_wrong_way_round_say_why_there_is_none():
    why = _numbers(_normal(2.0, sources=FEWEST - 1))["why_not"]
    assert why == "no likelihood ratio: 49 real sources and 49 fake sources; 50 of each are needed"
    good = _normal(2.0, sources=100)
    wrong = ScoredSet("a", 1 - good.probabilities, good.labels, good.videos, good.paths, good.video_ids)
    assert _numbers(wrong)["why_not"] == "no likelihood ratio: fakes don't score higher than real ones"


def test_an_evaluation_writes_them_and_an_answer_tells_them(tmp_path):
    scored = _normal(2.0, sources=200)
    scores = tmp_path / "scores.csv"
    rows = [f"{path},{score},{label}" for path, score, label in
            zip(scored.paths, scored.probabilities, scored.labels, strict=True)]  # fmt: skip
    scores.write_text("\n".join(["path,score,label", *rows]))
    cfg = compose([f"scores.file={scores}", "lr=true", "resamples=5"], config_name="evaluate")
    cfg.paths.output_dir = str(tmp_path / "out")
    evaluate(cfg)
    (file,) = (tmp_path / "out").glob("likelihood_1-*.json")
    ratio = read_likelihood(file).ratios["frame"]
    assert ratio.population == "200 real images and 200 fake images of scores"
    text = (tmp_path / "out" / "report.md").read_text()
    assert "Weight of evidence" in text
    assert f"{ratio.low:+.2f} to {ratio.high:+.2f}" in text
    assert [*(tmp_path / "out" / "plots").glob("tippett_*.png")]
    told = weighed(ANSWER, {"frame": ratio})
    assert told.log10_lr == pytest.approx(min(ratio.slope * math.log(99) + ratio.intercept, ratio.high))
    assert told.evidence.startswith(f"log10 LR {told.log10_lr:+.1f} (bounded at −")
    assert dict(zip(COLUMNS, row_of(told), strict=True))["log10_lr"] == told.log10_lr
    assert weighed(ANSWER, {"video": ratio}) is ANSWER
    outside = replace(ANSWER, verdict="undecided", reason=f"{UNLIKE}: it is dark")
    assert weighed(outside, {"frame": ratio}) is outside


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (None, "can't be read (No such file or directory); create one by addnet evaluate with lr=true"),
        ("[]", "is not a calibration of likelihood ratios; create one by"),
        ('{"format": 1, "levels": {"frame": {"slope": 1}}}', "not a valid likelihood ratio: "),
        ('{"format": 2, "levels": {}}', "has format 2; this version reads format 1"),
    ],
)
def test_another_file_is_told_in_a_sentence(tmp_path, content, sentence):
    file = tmp_path / "likelihood.json"
    if content is not None:
        file.write_text(content)
    with pytest.raises(UserError) as error:
        read_likelihood(file)
    assert sentence in str(error.value)


def test_a_ratio_that_cannot_be_is_refused():
    good = {"slope": 1.0, "intercept": 0.0, "low": -1.0, "high": 1.0, "population": "a", "probability": True}
    assert LikelihoodRatio.of(good).high == 1
    for wrong in ({"slope": -1.0}, {"low": 0.5}, {"high": math.inf}, {"intercept": math.nan}):
        with pytest.raises(UserError, match="slope > 0 and low <= 0 <= high"):
            LikelihoodRatio.of(json.loads(json.dumps(good | wrong)))


@pytest.fixture(scope="module")
def detectors(tmp_path_factory):
    """A checkpoint that has ratios beside it, and another one that has none."""
    folder = tmp_path_factory.mktemp("checkpoints")
    own, other = (
        Detector.from_checkpoint(checkpoint(folder / f"{name}.ckpt", name="bandpass", kernel_size=size))
        for name, size in (("own", 7), ("other", 5))
    )
    numbers = assess({"own": {"simulated": _normal(2.0, sources=60)}}, {"own": None}, resamples=5, likelihood=True)
    whose = {"own": {"weights": own.loaded.hashes[0], "mirror": False}}
    written = write_ratios(folder / "out", numbers, whose=whose, beside={"own": place_beside(own.loaded.path)})
    assert len(written) == 2
    return own, other


def test_ratios_that_lie_beside_a_checkpoint_are_taken_and_go_with_its_export(detectors, tmp_path):
    own, other = detectors
    assert calibration_of(own, None).name == "own.likelihood.json"
    assert calibration_of(own, False) is calibration_of(other, None) is None
    assert likelihood_ratios(own, calibration_of(own, None))["frame"].population.endswith("of simulated")
    export_checkpoint(own.loaded.path, tmp_path / "exported", format="safetensors")
    exported = Detector.from_checkpoint(tmp_path / "exported")
    assert calibration_of(exported, None) == tmp_path / "exported" / "likelihood.json"
    assert set(likelihood_ratios(exported, calibration_of(exported, None))) == {"frame", "video"}


def test_ratios_of_other_scores_are_not_taken(detectors, tmp_path, caplog):
    own, other = detectors
    file = place_beside(own.loaded.path)
    with pytest.raises(UserError, match=r"was made from scores of another detector than .*other\.ckpt"):
        likelihood_ratios(other, file)
    mirrored = Detector.from_checkpoint(own.loaded.path, mirror=True)
    with pytest.raises(UserError, match="mirror=false; use the same setting"):
        likelihood_ratios(mirrored, file)
    unknown = tmp_path / "unknown.json"
    unknown.write_text(json.dumps({**json.loads(file.read_text()), "weights": None}))
    assert likelihood_ratios(other, unknown)
    assert "it isn't known if they are of this detector" in caplog.text
    with pytest.raises(UserError, match="likelihood=true is not valid"):
        calibration_of(own, True)


def test_ratios_are_kept_beside_ones_own_checkpoint_and_of_one_data_set(detectors, monkeypatch):
    own, other = detectors

    def tested(*sets):
        records = SimpleNamespace(names=lambda field: list(sets))
        return SimpleNamespace(splits={"test": SimpleNamespace(records=records)})

    assert place_of_ratios(other, tested("a")) == other.loaded.path.with_name("other.likelihood.json")
    with pytest.raises(UserError, match=r"own\.likelihood\.json exists already"):
        place_of_ratios(own, tested("a"))
    with pytest.raises(UserError, match="exactly one test data set, not a, b"):
        place_of_ratios(other, tested("a", "b"))
    shipped = SimpleNamespace(loaded=SimpleNamespace(path=Path("lite"), shipped="lite", called="lite"))
    with pytest.raises(UserError, match="lite, which came with addnet"):
        place_of_ratios(shipped, tested("a"))
