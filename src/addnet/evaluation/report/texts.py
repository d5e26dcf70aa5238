"""The sentences of a report."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from addnet.evaluation.groups import FEWEST_VIDEOS
from addnet.evaluation.report.wording import NAMES, interval, number, p_value, spoken
from addnet.evaluation.table import TABLE
from addnet.wording import count

DIFFERENCES = (
    "Each checkpoint minus the first one, on the same rows and in the same resamples. For errors and losses (EER, log "
    "loss, calibration error) less is better. p is twice the share of resamples in which the difference is 0 or has "
    "the other sign, and at least what so many resamples can show; where many metrics are compared, some are small by "
    "chance."
)
GROUPS = (
    "In sub-groups, accuracy is that of the rows with the name, at the threshold that stands beside it: for a method, "
    "the share of its fakes that is found. AUROC is that of the same rows, for a method that of its fakes against all "
    "real rows of the data set. A dash stands where there is one class only, and in sub-groups of fewer than "
    f"{FEWEST_VIDEOS} videos, whose metrics would mean nothing."
)
INTERVALS = (
    "Percentiles of resamples are too narrow where videos or errors are few. Shares, EER and paired accuracy have "
    "Wilson's interval, for as many rows as would spread as far if each told something of its own; AUROC and AP one "
    "that is symmetric in their logits, log loss one in its logarithm; all with Student's quantile. Where nothing is "
    "wrong, each source counts once. How often these cover the truth was simulated (docs/evaluation.md of the "
    "program). Differences have percentiles."
)
PAIRS = (
    "Paired accuracy is how often the fake of a source scores above its real, ties counted half. Images, or videos, "
    "are of one source where they are in one group; of a source with several, it is the share of its pairs of a real "
    "and a fake one, and the mean is over sources. It asks for the traces alone: people, cameras and places of a pair "
    "are the same."
)
UNDECIDED = (
    "Whoever may say nothing is wrong less often: the curve of what is undecided shows how many verdicts are wrong "
    "among the surest tenth, two tenths …, all of them, by their distance from the threshold; a dot stands at what the "
    "checkpoint's thresholds decide."
)
LIKELIHOOD = (
    "A likelihood ratio says how much more often such a score is seen on fakes than on real ones of the population "
    "that is named; of another population it may say nothing. Each was told by a logistic regression on sources of "
    "other folds (five), at even odds. Cllr is its cost in bits: 0 if ratios are always right and sure, 1 if they say "
    "nothing; its minimum is what the same order of scores could have. No ratio is told beyond what so many sources "
    "support (empirical bounds of Vergeer et al. 2016)."
)
MIRRORED = (
    "Scores are of two passes (mirror=true): the mean of the logits of each image and of its mirror image. Thresholds "
    "and temperatures were chosen on single passes."
)
ERRORS = (
    "Error rates have Wilson's interval for as many rows as would be as steady if those of one source, or video, "
    "weren't alike; where no error was seen, for as many as there are sources."
)
_LEAST = f"{TABLE['tpr_at_1_fpr'].reals} ({TABLE['tpr_at_5_fpr'].reals})"  # real sources for a TPR at 1 % (5 %) FPR
MISTAKES = "The images that were scored farthest from the truth."


def pairs_text(pairs: Mapping[str, Any]) -> str:
    """What paired accuracy is about in a data set, or why there is none."""
    if pairs["why_not"]:
        return f"There is no paired accuracy: {pairs['why_not']}."
    return (
        f"Paired accuracy is about {count(pairs['with_both'], 'source')} with real and fake images, of "
        f"{pairs['sources']:,}: {count(pairs['pairs'], 'pair')} of images."
    )


def summary(evaluation: Mapping[str, Any]) -> list[str]:
    """What was found, in a few sentences."""
    checkpoints = evaluation["checkpoints"]
    sentences = [_measured(checkpoints)]
    for checkpoint, found in checkpoints.items():
        sentences.append(f"{checkpoint}: {_found(found)}.")
    for checkpoint, found in evaluation["differences"].items():
        told = found["average"].get("video", {}).get("auroc", {"value": None})
        if told["value"] is not None:
            p = f", {p_value(told)}" if p_value(told) else ""
            average = " on average" if told["over"] > 1 else ""
            sentences.append(
                f"{checkpoint} minus {found['reference']}: AUROC of videos{average} "
                f"{told['value']:+.4f} {interval(told)}".rstrip()
                + f"{p}."
            )
    return sentences


def _measured(checkpoints: Mapping[str, Any]) -> str:
    sets = {name: numbers["counts"] for found in checkpoints.values() for name, numbers in found["sets"].items()}
    images, videos = (sum(counts[what] for counts in sets.values()) for what in ("images", "videos"))
    return (
        f"{count(len(checkpoints), 'checkpoint')} measured on {count(len(sets), 'data set')}: "
        f"{count(images, 'image')} of {count(videos, 'video')}."
    )


def _found(found: Mapping[str, Any]) -> str:
    """The AUROC of videos on average, and where it is best and worst."""
    name, values = _telling(found)
    average = found["average"]["video"][name]
    if not values:
        return "no metric, since there are no rows"
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


def _telling(found: Mapping[str, Any]) -> tuple[str, dict[str, float]]:
    """The metric to speak of, and its value on each data set: accuracy where no set has both classes."""
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
    """How the numbers came about."""
    settings = evaluation["settings"]
    return [
        *([MIRRORED] if settings.get("mirror") else []),
        f"In brackets: 95 % intervals from {settings['resamples']:,} bootstrap resamples (seed {settings['seed']}). "
        "Whole sources are drawn with replacement where groups are known (a real video with its fakes), else whole "
        "videos, since what is of one is alike; those with real videos alone, with fakes alone and with both apart. "
        "All levels and checkpoints share the draws. A class of a single source gives no interval.",
        INTERVALS,
        "A video's probability is the mean over its images, their maximum, or their mean weighted by how far each is "
        "from 0.5 (by confidence).",
        _decisions(evaluation["checkpoints"]),
        "EER lies where false positive and false negative rate meet, linear between points of the ROC curve. TPR at 1 "
        "% (5 %) FPR is the largest true positive rate of a threshold whose false positive rate is at most that; it "
        f"is chance on few real videos, and given from {_LEAST} of their sources on. AP is the sum of precision times "
        "steps of recall.",
        PAIRS,
        UNDECIDED,
        f"The calibration error sorts the probabilities of fake into {settings['bins']} bins of equal width and is the "
        "mean, weighted by their contents, of |mean probability − share of fakes|. It has no interval: on few videos "
        "it is too large by chance alone (about 0.18 on 40, 0.06 on 400 and 0.03 on 2,000 videos where the true error "
        "is 0), and resamples add as much again. Compare it only between rows of the same data set. Calibrated metrics "
        "are those of the probability that predict tells.",
        "An average is the plain mean over the data sets that have the metric, whatever their size; its "
        "interval comes from independent draws of each.",
        GROUPS,
    ]


_ORIGINS = {
    "fitted": (
        "Thresholds from validation (the largest balanced accuracy) came with the checkpoint; test data had no part in "
        "them."
    ),
    "borrowed": (
        "Where a checkpoint has no threshold for the largest or the confident mean of a video, that of the plain mean "
        "is borrowed."
    ),
    "given": (
        "Thresholds were given with the command, not taken from the checkpoint: chosen by a look at these data, they "
        "make metrics too good."
    ),
    "none": "A checkpoint without a threshold is measured at 0.5.",
    "no_unit": "Scores that are no probabilities are ranked alone where no threshold was given for them.",
}


def _decisions(checkpoints: Mapping[str, Any]) -> str:
    """Where thresholds and probabilities are from, as far as it is so in this evaluation."""
    decisions = [decision for found in checkpoints.values() for decision in found["decision"].values()]
    origins = {decision["origin"] for decision in decisions}
    told = [text for origin, text in _ORIGINS.items() if origin in origins]
    told.append("Each thresholded number names its threshold.")
    if any(decision["temperature"] is not None for decision in decisions):
        told.append("Temperatures were fitted on validation too.")
    if any(decision["limits"] != [0.0, 1.0] for decision in decisions):
        told.append(
            "No probability is told that is more extreme than validation can support: with n real and m fake videos in "
            "it, none below 1 / (n + 2) or above (m + 1) / (m + 2) (Laplace's rule of succession)."
        )
    return " ".join(told)
