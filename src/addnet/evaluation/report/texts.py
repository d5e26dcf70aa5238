"""The texts of a report."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from addnet.evaluation.groups import FEWEST_VIDEOS
from addnet.evaluation.report.wording import NAMES, interval, number, p_value, spoken
from addnet.evaluation.table import TABLE
from addnet.wording import count

DIFFERENCES = (
    "Each checkpoint minus the first one, on the same rows and in the same resamples. For errors and losses (EER, log "
    "loss, calibration error) lower is better. p is twice the share of resamples in which the difference is 0 or has "
    "the opposite sign, but not less than the number of resamples can show; if many metrics are compared, some p are "
    "small by chance."
)
GROUPS = (
    "In sub-groups, accuracy is that of the rows of the sub-group at the threshold shown with it; for a method, the "
    "share of its fakes that is detected. AUROC is that of the same rows; for a method, of its fakes against all real "
    "rows of the data set. A dash means that there is a single class, or that the sub-group has fewer than "
    f"{FEWEST_VIDEOS} videos, too few for meaningful metrics."
)
INTERVALS = (
    "Percentiles of resamples are too narrow if there are few videos or few errors. Shares, EER and paired accuracy "
    "therefore have Wilson's interval, for the number of independent rows with the same spread; the intervals of AUROC "
    "and AP are symmetric in their logits, those of log loss in its logarithm; all use Student's quantile. If nothing "
    "is wrong, each source counts once. How often these intervals contain the true value was simulated "
    "(docs/evaluation.md of the program). Intervals of differences are percentiles."
)
PAIRS = (
    "Paired accuracy is how often the fake of a source scores above the real one of the same source; ties count half. "
    "Images, or videos, are of one source if they are in one group. For a source with several pairs of a real and a "
    "fake one it is the share of these pairs, and the result is the mean over sources. It measures only the response "
    "to traces of manipulation, since people, cameras and places are the same within a pair."
)
UNDECIDED = (
    "A detector that may leave images undecided is wrong less often. The curve of undecided rows shows the share of "
    "wrong verdicts among the most confident 10 %, 20 % … and all rows, by their distance from the threshold; a dot "
    "marks the thresholds of the checkpoint."
)
LIKELIHOOD = (
    "A likelihood ratio says how much more often such a score occurs on fakes than on real ones of the population that "
    "is named; it may not hold for another population. Each ratio is from a logistic regression that was fitted, at "
    "even odds, to the sources of the other folds (of five). Cllr is the cost of the ratios in bits: 0 if they are "
    "always right and certain, 1 if they say nothing; its minimum is the lowest cost for the same order of scores. "
    "Ratios are limited to what the number of sources supports (empirical bounds of Vergeer et al. 2016)."
)
MIRRORED = (
    "Scores are from two passes (mirror=true): the mean of the logits of each image and of its mirror image. "
    "Thresholds and temperatures were chosen on single passes."
)
ERRORS = (
    "Error rates have Wilson's interval, for the number of independent rows with the same spread, since rows of one "
    "source, or video, are similar; if there was no error, for the number of sources."
)
_LEAST = f"{TABLE['tpr_at_1_fpr'].reals} ({TABLE['tpr_at_5_fpr'].reals})"  # real sources for a TPR at 1 % (5 %) FPR
MISTAKES = "The images whose scores are farthest from the truth."


def pairs_text(pairs: Mapping[str, Any]) -> str:
    """The number of pairs behind the paired accuracy of a data set, or why there is none."""
    if pairs["why_not"]:
        return f"There is no paired accuracy: {pairs['why_not']}."
    return (
        f"Paired accuracy is from {count(pairs['with_both'], 'source')} with real and fake images, of "
        f"{pairs['sources']:,}: {count(pairs['pairs'], 'pair')} of images."
    )


def summary(evaluation: Mapping[str, Any]) -> list[str]:
    """The results in a few sentences."""
    checkpoints = evaluation["checkpoints"]
    sentences = [_measured(checkpoints)]
    for checkpoint, found in checkpoints.items():
        sentences.append(f"{checkpoint}: {_found(found)}.")
    for checkpoint, found in evaluation["differences"].items():
        difference = found["average"].get("video", {}).get("auroc", {"value": None})
        if difference["value"] is not None:
            p = f", {p_value(difference)}" if p_value(difference) else ""
            average = " on average" if difference["over"] > 1 else ""
            sentences.append(
                f"{checkpoint} minus {found['reference']}: AUROC of videos{average} "
                f"{difference['value']:+.4f} {interval(difference)}".rstrip()
                + f"{p}."
            )
    return sentences


def _measured(checkpoints: Mapping[str, Any]) -> str:
    sets = {name: numbers["counts"] for found in checkpoints.values() for name, numbers in found["sets"].items()}
    images, videos = (sum(counts[what] for counts in sets.values()) for what in ("images", "videos"))
    return (
        f"{count(len(checkpoints), 'checkpoint')} evaluated on {count(len(sets), 'data set')}: "
        f"{count(images, 'image')} of {count(videos, 'video')}."
    )


def _found(found: Mapping[str, Any]) -> str:
    """The AUROC of videos on average, and the data sets on which it is best and worst."""
    name, values = _main_metric(found)
    average = found["average"]["video"][name]
    if not values:
        return "no metrics, since there are no rows"
    what = NAMES[name.split("/")[0]]
    if name != "auroc":
        what = f"{what} (threshold {found['decision']['video']['stated']})"
    if len(values) == 1:
        return f"{what} of videos {spoken(average)} on {next(iter(values))}"
    best, worst = max(values, key=values.__getitem__), min(values, key=values.__getitem__)
    return (
        f"{what} of videos {spoken(average)} on average over {count(len(values), 'data set')}; best on {best} "
        f"({number(values[best])}), worst on {worst} ({number(values[worst])})"
    )


def _main_metric(found: Mapping[str, Any]) -> tuple[str, dict[str, float]]:
    """The metric of the summary and its value on each data set: accuracy if no set has both classes."""
    for name in ("auroc", "accuracy/chosen"):
        values = {}
        for which, numbers in found["sets"].items():
            level = numbers["levels"]["video"]
            place = level["metrics"] if name == "auroc" else level["called"]["chosen"]["metrics"]
            if (value := place[name.split("/")[0]]["value"]) is not None:
                values[which] = value
        if values:
            return name, values
    return "auroc", {}


def method_texts(evaluation: Mapping[str, Any]) -> list[str]:
    """How the numbers were computed."""
    settings = evaluation["settings"]
    return [
        *([MIRRORED] if settings.get("mirror") else []),
        f"In brackets: 95 % intervals from {settings['resamples']:,} bootstrap resamples (seed {settings['seed']}). "
        "Whole sources (a real video with its fakes) are drawn with replacement if groups are known, otherwise whole "
        "videos, since rows of one source are similar; sources with real videos only, with fakes only and with both "
        "are drawn separately. All levels and checkpoints share the draws. With a class of a single source there are "
        "no intervals.",
        INTERVALS,
        "The probability of a video is the mean over its images, their maximum, or their mean weighted by the distance "
        "of each from 0.5 (by confidence).",
        _decisions(evaluation["checkpoints"]),
        "EER is where false positive rate and false negative rate are equal, interpolated linearly along the ROC "
        "curve. TPR at 1 % (5 %) FPR is the largest true positive rate at a threshold with at most that false positive "
        f"rate; with few real videos it depends on chance, so it is given only from {_LEAST} real sources. AP is the "
        "sum of precision times steps of recall.",
        PAIRS,
        UNDECIDED,
        f"The calibration error sorts the probabilities of fake into {settings['bins']} bins of equal width and is the "
        "mean of |mean probability − share of fakes|, weighted by the rows in each bin. It has no interval: on few "
        "videos it is too large by chance alone (about 0.18 on 40, 0.06 on 400 and 0.03 on 2,000 videos if the true "
        "error is 0), and resamples add as much again. Compare it only between rows of the same data set. Calibrated "
        "metrics are those of the probability that predict reports.",
        "An average is the unweighted mean over the data sets that have the metric, whatever their size; its "
        "interval comes from independent draws of each.",
        GROUPS,
    ]


_ORIGINS = {
    "fitted": (
        "Thresholds from validation (the largest balanced accuracy) are from the checkpoint; test data were not used "
        "to choose them."
    ),
    "borrowed": (
        "If a checkpoint has no threshold for the maximum or the mean by confidence of a video, the threshold for the "
        "mean is used."
    ),
    "given": (
        "Thresholds were given with the command instead of taken from the checkpoint; if they were chosen on these "
        "data, the metrics are too good."
    ),
    "none": "A checkpoint without a threshold is evaluated at 0.5.",
    "no_unit": "Scores that aren't probabilities have only ranking metrics unless a threshold was given for them.",
}


def _decisions(checkpoints: Mapping[str, Any]) -> str:
    """Where the thresholds and probabilities of this evaluation are from."""
    decisions = [decision for found in checkpoints.values() for decision in found["decision"].values()]
    origins = {decision["origin"] for decision in decisions}
    sentences = [text for origin, text in _ORIGINS.items() if origin in origins]
    sentences.append("Each metric at a threshold names that threshold.")
    if any(decision["temperature"] is not None for decision in decisions):
        sentences.append("Temperatures were fitted on validation too.")
    if any(decision["limits"] != [0.0, 1.0] for decision in decisions):
        sentences.append(
            "Probabilities are limited to what validation supports: with n real and m fake videos in it, none is below "
            "1 / (n + 2) or above (m + 1) / (m + 2) (Laplace's rule of succession)."
        )
    return " ".join(sentences)
