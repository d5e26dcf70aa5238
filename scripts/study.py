"""The tables and plots of docs/study.md, made from `results/study` alone.

    python scripts/study.py            writes them into the page
    python scripts/study.py --check    exits with 1 if the page is out of date

The script writes the text between the marks on the page; the text around them is written by hand.
"""

from __future__ import annotations

import math
import re
import sys
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from statistics import NormalDist

from matplotlib.figure import Figure

from addnet.colours import SERIES
from addnet.study.estimates import Variant, comparisons, variants
from addnet.study.plan import StudyCell, cells
from addnet.study.results import Results
from addnet.sweeps.intervals import CONFIDENCE, Estimate, holm

ROOT = Path(__file__).parents[1]
PAGE, IMAGES = ROOT / "docs" / "study.md", ROOT / "docs" / "images"
RESULTS = Results(ROOT / "results" / "study")
MARK = re.compile(r"<!-- begin: scripts/study\.py (\w+) -->\n.*?<!-- end -->", re.DOTALL)
FACTORS = ("network", "attention", "bandpass", "fakes", "batches")
AUROC, PAIRED, VALIDATION = "test/frame/auroc", "test/frame/paired_accuracy", "val/frame/auroc"
OPEN = "not done yet"
found_in = cache(variants)  # resampling takes seconds
plots: dict[str, Figure] = {}  # the plots of the page, by the names of their files
SHARES = {"curve/eighth": 1 / 8, "curve/quarter": 1 / 4, "curve/half": 1 / 2, "curve/all": 1.0}


def planned(sweep: str) -> dict[str, list[StudyCell]]:
    """The cells of a sweep by variant."""
    found: dict[str, list[StudyCell]] = {}
    for cell in cells([sweep]):
        found.setdefault(cell.variant, []).append(cell)
    return found


def interval(found: Estimate | None, *, signed: bool = False) -> str:
    """A mean with its 95 % interval, as this page formats them.

    Example:
        >>> interval(Estimate(0.8401, 0.004, 3, 0.0001)), interval(Estimate(-0.0131, math.nan, 1), signed=True)
        ('.840 [.818, .862]', '-.013')
    """
    if found is None:
        return "–"
    half = half_of(found)
    mean = _short(found.mean, signed=signed)
    if not math.isfinite(half):
        return mean
    low, high = found.mean - half, found.mean + half
    if not signed:  # a share can't leave [0, 1], however wide its interval with few seeds
        low, high = max(low, 0.0), min(high, 1.0)
    return f"{mean} [{_short(low, signed=signed)}, {_short(high, signed=signed)}]"


def half_of(found: Estimate) -> float:
    """Half the width of an interval over seeds and sources (one seed: sources alone); nan if neither is known."""
    if found.seeds == 1 and found.is_sampled:
        return NormalDist().inv_cdf((1 + CONFIDENCE) / 2) * math.sqrt(found.sampling)
    return found.half_width()


def _short(value: float, *, signed: bool = False) -> str:
    text = f"{value:+.3f}" if signed else f"{value:.3f}"
    return re.sub(r"^([+-]?)0\.", r"\1.", text)


def factor(sweep: str, size: str) -> list[str]:
    """The table of a factor: test metrics, and differences to the reference over seeds and sources together."""
    found, plan = found_in(RESULTS, size), planned(f"study_{sweep}")
    pairs = [(name, row[0].compare_to) for name, row in plan.items()]
    differences, of_pairs = (comparisons(found, pairs, metric) for metric in (AUROC, PAIRED))
    order = [name for name, _ in pairs if name in differences]
    corrected = dict(zip(order, holm([differences[name].p_value() for name in order]), strict=True))
    lines = [
        "| variant | seeds | validation AUROC | test AUROC | difference | p | paired accuracy | difference | recipe |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for name, reference in pairs:
        start = f"| {_link(name)} | {_seeds(found, plan, name)} |"
        if name not in found:
            lines.append(f"{start} {OPEN} | | | | | | |")
            continue
        variant, p = found[name], corrected.get(name, math.nan)
        chance = _short(p) if math.isfinite(p) else ""
        against = "" if reference in ("base", name) else f", to `{reference.rpartition('/')[2]}`"
        difference = f"{interval(differences[name], signed=True)}{against}" if name in differences else ""
        paired = interval(of_pairs[name], signed=True) if name in of_pairs else ""
        lines.append(
            f"{start} {interval(variant.estimate(VALIDATION))} | {interval(variant.estimate(AUROC))} | {difference} | "
            f"{chance} | {interval(variant.estimate(PAIRED))} | {paired} | {_recipe(variant)} |"
        )
    return lines


def tuning() -> list[str]:
    """The table of all variants tried for the base recipe, on validation alone."""
    found, plan = found_in(RESULTS, "small"), planned("study_tune")
    lines = [
        "| variant | seeds | validation AUROC | difference | minutes a cell | recipe |",
        "|---|---|---|---|---|---|",
    ]
    differences = comparisons(found, [(name, row[0].compare_to) for name, row in plan.items()], VALIDATION)
    for name in plan:
        start = f"| {_link(name)} | {_seeds(found, plan, name)} |"
        if name not in found:
            lines.append(f"{start} {OPEN} | | | |")
            continue
        difference = interval(differences[name], signed=True) if name in differences else ""
        minutes = [float(row["seconds"]) / 60 for row in found[name].rows.values() if row["seconds"]]
        spent = f"{sum(minutes) / len(minutes):.0f}" if minutes else ""
        mean = interval(found[name].estimate(VALIDATION))
        lines.append(f"{start} {mean} | {difference} | {spent} | {_recipe(found[name])} |")
    return lines


def curve() -> list[str]:
    """The learning curve, as a table and a plot."""
    found = found_in(RESULTS, "small")
    known = [(share, found[name]) for name, share in SHARES.items() if name in found]
    lines = factor("curve", "small")
    estimates = [(share, estimate) for share, variant in known if (estimate := variant.estimate(AUROC))]
    if len(estimates) > 1:
        plot = Figure(figsize=(5.4, 3.6), layout="constrained")
        axis = plot.subplots()
        halves = [half if math.isfinite(half := half_of(estimate)) else 0.0 for _, estimate in estimates]
        means = [estimate.mean for _, estimate in estimates]
        axis.errorbar([share for share, _ in estimates], means, halves, marker="o", capsize=3, color=SERIES[0])
        axis.set_xscale("log", base=2)
        axis.set_xticks(list(SHARES.values()), ["1/8", "1/4", "1/2", "all"])
        axis.set(xlabel="share of the training images", ylabel="AUROC, test images")
        axis.grid(axis="y", color="0.92")
        lines += ["", _image(plot, "study_curve", "AUROC over the share of the training images")]
    return lines


def differences_plot() -> list[str]:
    """All differences to their references as one plot."""
    found = found_in(RESULTS, "small")
    rows: list[tuple[str, Estimate, int]] = []
    for number, sweep in enumerate(FACTORS):
        plan = planned(f"study_{sweep}")
        pairs = [(name, row[0].compare_to) for name, row in plan.items()]
        rows += [(name, estimate, number) for name, estimate in comparisons(found, pairs, AUROC).items()]
    if not rows:
        return [f"The plot of all differences: {OPEN}."]
    plot = Figure(figsize=(7, 1.2 + 0.3 * len(rows)), layout="constrained")
    axis = plot.subplots()
    for y, (_, estimate, number) in enumerate(rows):
        half = half_of(estimate)
        error = half if math.isfinite(half) else None
        axis.errorbar(estimate.mean, y, xerr=error, marker="o", capsize=3, color=SERIES[number % len(SERIES)])
    axis.axvline(0, color="0.6", linewidth=1, zorder=0)
    axis.set_yticks(range(len(rows)), [name for name, *_ in rows])
    axis.set_ylim(len(rows) - 0.5, -0.5)
    axis.set_xlabel("difference of AUROC to the reference\n(95 % interval over seeds and sources)")
    axis.grid(axis="x", color="0.92")
    return [_image(plot, "study_differences", "Differences of AUROC to their references, with intervals")]


def ladder() -> list[str]:
    """The table of the best cells on damaged images: AUROC at each step."""
    checkpoints = RESULTS.ladder().get("checkpoints", {})
    if not checkpoints:
        return [f"The ladder of the best three: {OPEN}."]
    names = list(checkpoints)
    lines = [f"| damage | step | {' | '.join(names)} |", f"|---|---|{'---|' * len(names)}"]
    kinds = next(iter(checkpoints.values()))["ladder"]
    for kind, steps in kinds.items():
        for at, step in enumerate(steps):
            values = [about["ladder"][kind][at]["frame/auroc"] for about in checkpoints.values()]
            lines.append(f"| {kind} | {step['label']} | {' | '.join(_interval(value) for value in values)} |")
    return lines


def steps() -> list[str]:
    """The table of error rates by landmarker step."""
    checkpoints = RESULTS.ladder().get("checkpoints", {})
    if not checkpoints:
        return [f"Error rates by landmarker step: {OPEN}."]
    lines = ["| cell | face found by | images | AUROC | accuracy at its threshold |", "|---|---|---|---|---|"]
    for name, about in checkpoints.items():
        for group in about["groups"].get("found by", []):
            cells_of = f"{group['rows']:,} | {_interval(group['auroc'])} | {_interval(group['accuracy'])}"
            lines.append(f"| {name} | {group['name']} | {cells_of} |")
    return lines


def state() -> list[str]:
    """How many cells of each size are done."""
    rows = RESULTS.rows()
    lines = []
    for size, names in (("small", [*FACTORS, "tune", "curve"]), ("full", ["full"])):
        every = {cell.name for cell in cells([f"study_{name}" for name in names])}
        done = {f"{row['variant']}-{row['seed']}" for row in rows if row["size"] == size} & every
        seconds = sum(float(row["seconds"] or 0) for row in rows if row["size"] == size)
        lines.append(f"- *{size}*: {len(done)} of {len(every)} cells are done, {seconds / 3600:.1f} hours of training.")
    return lines


def _interval(value: dict[str, float | None]) -> str:
    if value["value"] is None:
        return "–"
    if value["low"] is None or value["high"] is None:
        return _short(value["value"])
    return f"{_short(value['value'])} [{_short(value['low'])}, {_short(value['high'])}]"


def _seeds(found: dict[str, Variant], plan: dict[str, list[StudyCell]], name: str) -> str:
    have, want = len(found[name].rows) if name in found else 0, len(plan[name])
    return str(have) if have >= want else f"{have} of {want}"


def _link(name: str) -> str:
    return f"[{name.rpartition('/')[2]}](../configs/ablation/{name}.yaml)"


def _recipe(variant: Variant) -> str:
    row = next(iter(variant.rows.values()))
    file = RESULTS.config_file(row["size"], row["variant"])
    return f"[{row['config'][:8]}](../{file.relative_to(ROOT)})"


def _image(plot: Figure, name: str, text: str) -> str:
    plots[name] = plot
    return f"![{text}](images/{name}.png)"


SECTIONS: dict[str, Callable[[], list[str]]] = {
    "state": state,
    **{name: lambda name=name: factor(name, "small") for name in FACTORS},  # type: ignore[misc]
    "differences": differences_plot,
    "tune": tuning,
    "curve": curve,
    "full": lambda: factor("full", "full"),
    "ladder": ladder,
    "steps": steps,
}


def filled(text: str) -> str:
    """The page with the text between its marks rewritten."""

    def section(found: re.Match[str]) -> str:
        lines = SECTIONS[found[1]]()
        return "\n".join([f"<!-- begin: scripts/study.py {found[1]} -->", "", *lines, "", "<!-- end -->"])

    return MARK.sub(section, text)


def main(arguments: Sequence[str]) -> int:
    """Writes the page, or checks whether it is out of date."""
    before = PAGE.read_text(encoding="utf-8")
    after = filled(before)
    if "--check" in arguments:
        return int(after != before)
    PAGE.write_text(after, encoding="utf-8")
    for name, plot in plots.items():
        plot.savefig(IMAGES / f"{name}.png", dpi=120)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
