"""The audit itself: records and their bytes → issues and numbers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from typing import Any

from addnet import wording
from addnet.data.audit.actors import Actors, actor_issues, actors
from addnet.data.audit.balance import balance_issues, count, readability_issues, spread
from addnet.data.audit.blends import BlendedSplit, Blending, blend_issues, blended_splits_of
from addnet.data.audit.confounds import Confound, confound_issues, confounds
from addnet.data.audit.issues import INFO, Issue, count_by_severity, ordered
from addnet.data.audit.likeness import Likeness, across_labels, across_splits, likeness_issues, within_splits
from addnet.data.audit.overlap import identical_files, shared_names, torn
from addnet.data.audit.scan import ImageSignals, Read, measure_all
from addnet.data.audit.unchanged import UnchangedFakes, unchanged_fakes, unchanged_issues
from addnet.errors import UserError, require_choice
from addnet.faces.landmarks import Landmarker
from addnet.index.records import CLASS_NAMES, Records

Advance = Callable[[str, int, int], None]


@dataclass(frozen=True)
class Settings:
    """What an audit examines, and its thresholds; see `configs/audit.yaml`."""

    distance: int = 4
    warn_auroc: float = 0.6
    resamples: int = 200
    unchanged: float = 0.12
    faces: bool = False
    faces_per_group: int = 1
    faces_most: int = 2000
    blends_most: int = 1000
    faces_of: str = "real"
    face_model: str | None = None
    landmark_model: str | None = None
    face_crops: bool = True
    workers: int | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        require_choice("audit.faces_of", self.faces_of, CLASS_NAMES)
        if not 0.5 <= self.warn_auroc <= 1:
            raise UserError(f"audit.warn_auroc={self.warn_auroc} must lie between 0.5 (always warns) and 1 (never)")
        if self.unchanged < 0:
            raise UserError(f"audit.unchanged={self.unchanged} must be 0 (not looked for) or more")
        for name in ("faces_per_group", "faces_most", "blends_most"):
            if getattr(self, name) < 1:
                raise UserError(f"audit.{name}={getattr(self, name)} must be at least 1")


@dataclass(frozen=True)
class Audit:
    """The result of an audit.

    Attributes:
        records: The images.
        signals: Signals of the images.
        issues: All issues, errors first.
        across: Near pairs across splits.
        within: Near pairs of different groups within splits.
        labels: Near pairs of different groups under two labels.
        confounds: Every signal's scores, the strongest first.
        actors: Faces across splits; empty unless requested.
        blends: Self-blends and their real images; empty unless training would make them.
        unchanged: Fakes that hardly differ from their real images; None: they weren't looked for.
        settings: Settings of the audit.
    """

    records: Records
    signals: ImageSignals
    issues: list[Issue]
    across: list[Likeness]
    within: list[Likeness]
    labels: list[Likeness]
    confounds: list[Confound]
    actors: list[Actors] = field(default_factory=list)
    blends: list[BlendedSplit] = field(default_factory=list)
    unchanged: UnchangedFakes | None = None
    settings: Settings = field(default_factory=Settings)

    def numbers(self) -> dict[str, Any]:
        """Every number, for JSON."""
        return {
            "images": len(self.records),
            "unreadable": [[self.records[row].path, reason] for row, reason in self.signals.failures],
            "issues": count_by_severity(self.issues),
            "found": [issue.plain() for issue in self.issues],
            "counts": [asdict(row) for row in count(self.records)],
            "spread": spread(self.records),
            "near": {
                "across_splits": [found.numbers() for found in self.across],
                "within_splits": [found.numbers() for found in self.within],
                "two_labels": [found.numbers() for found in self.labels],
            },
            "confounds": {
                confound.signal.name: {
                    "scores": {split: score.plain() for split, score in confound.scores.items()},
                    "categories": [[name, round(r, 4), round(f, 4)] for name, r, f in confound.shares],
                }
                for confound in self.confounds
            },
            "unchanged": None
            if self.unchanged is None
            else {"pairs": self.unchanged.pairs, "fakes": len(self.unchanged.rows)},
            "actors": [pair.numbers() for pair in self.actors],
            "blends": [split.numbers() for split in self.blends],
            "settings": asdict(self.settings),
        }


def audit(
    records: Records,
    read: Read,
    settings: Settings,
    *,
    carved: Records | None = None,
    guessed: Sequence[str] = (),
    blending: Blending | None = None,
    advance: Advance | None = None,
) -> Audit:
    """Looks for everything that makes metrics of these images wrong.

    Args:
        records: The images of all splits; those for prediction are left out.
        read: Returns the bytes of an image; picklable.
        settings: What to examine.
        carved: The same images, with the split `val` for those that training would carve out for validation; overlaps
            between splits are looked for in these. None: the splits are as they are.
        guessed: Guesses about videos and groups that may be wrong, in sentences.
        blending: How training would make fakes from real images; None: it would not.
        advance: Called with what is being done, the number of images done since the last call, and the total, for a
            progress bar.

    Raises:
        UserError: There are no images, none can be read, or the face models are missing.
    """
    shared = records if carved is None else carved
    if "predict" in records.names("split"):
        kept = records.numbers("split") != records.names("split").index("predict")
        records, shared = records.take(kept), shared.take(kept)
    if not len(records):
        raise UserError("there are no images to audit; `addnet data check` says what was expected where")
    report = advance or (lambda what, done, total: None)
    total = len(records)
    signals = measure_all(
        records, read, workers=settings.workers, advance=lambda done: report("reading images", done, total)
    )
    if not signals.readable.any():
        row, reason = signals.failures[0]
        raise UserError(
            f"none of {wording.count(len(records), 'image')} can be read; the first, {records[row].path}: {reason}"
        )
    near = {"distance": settings.distance}
    across, within = (search(shared, signals, read, **near) for search in (across_splits, within_splits))
    labels = across_labels(shared, signals, **near)
    scored = confounds(records, signals, resamples=settings.resamples, seed=settings.seed)
    people = _people(records, signals, read, settings, partial(report, "finding faces")) if settings.faces else []
    same = _unchanged(shared, signals, read, settings, partial(report, "comparing fakes"))
    blends = _blends(shared, signals, read, settings, blending, partial(report, "blending faces"))
    issues = [
        *balance_issues(records, blended=blending.splits if blending else ()),
        *readability_issues(records, signals),
        *(Issue("guessed", INFO, text, 1, "If this guess is wrong, do what the text says.") for text in guessed),
        *torn(shared),
        *shared_names(shared),
        *identical_files(shared, signals),
        *likeness_issues(shared, across=across, within=within, labels=labels),
        *(unchanged_issues(shared, same, below=settings.unchanged) if same else []),
        *actor_issues(records, people),
        *confound_issues(scored, warn_auroc=settings.warn_auroc),
        *blend_issues(blends, warn_auroc=settings.warn_auroc),
    ]
    return Audit(records, signals, ordered(issues), across, within, labels, scored, people, blends, same, settings)


def _unchanged(
    records: Records, signals: ImageSignals, read: Read, settings: Settings, advance: Callable[[int, int], None]
) -> UnchangedFakes | None:
    if not settings.unchanged:
        return None
    how: dict[str, Any] = {"below": settings.unchanged, "seed": settings.seed, "workers": settings.workers}
    return unchanged_fakes(records, signals, read, **how, advance=advance)


def _blends(
    records: Records,
    signals: ImageSignals,
    read: Read,
    settings: Settings,
    blending: Blending | None,
    advance: Callable[[int, int], None],
) -> list[BlendedSplit]:
    if blending is None:
        return []
    return blended_splits_of(
        records,
        signals,
        read,
        blending,
        landmarker=Landmarker(settings.landmark_model, face_crops=settings.face_crops),
        most=settings.blends_most,
        resamples=settings.resamples,
        seed=settings.seed,
        workers=settings.workers,
        advance=advance,
    )


def _people(
    records: Records, signals: ImageSignals, read: Read, settings: Settings, advance: Callable[[int, int], None]
) -> list[Actors]:
    return actors(
        records,
        signals,
        read,
        images_per_group=settings.faces_per_group,
        most=settings.faces_most,
        label=CLASS_NAMES.index(settings.faces_of),
        seed=settings.seed,
        model=settings.face_model,
        landmark_model=settings.landmark_model,
        face_crops=settings.face_crops,
        workers=settings.workers,
        advance=advance,
    )
