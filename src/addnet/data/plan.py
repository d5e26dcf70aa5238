"""Data sets → the usable records of each split: lists, prepares, selects, and looks up in the indexes. No torch."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from addnet.data.epochs import Epochs
from addnet.data.named import ChosenSources
from addnet.data.prepared import by_root, cut_videos, index_images, open_indexes, require_listed
from addnet.data.selection import select, select_test
from addnet.data.sources import INDEX, Source
from addnet.data.splits import require_usable
from addnet.data.usable import UsableRecords, describe, fingerprint, origins, refuse_too_many_bad, usable, write_skipped
from addnet.errors import UserError
from addnet.faces.landmarks import Landmarker
from addnet.index.records import Records
from addnet.preparation.settings import PrepareSettings
from addnet.wording import count

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Shares:
    """How images are divided between splits; validated on creation.

    Attributes:
        val_fraction: Share of `train/` that becomes validation.
        test_fraction: Share of `train/` that is held out for testing if there are no test images.
        allow_overlap: Turns a leak into a warning.
        max_bad_fraction: Largest share of unusable files with which work starts.
        limits: Approximate limit on the number of images of each split, in whole groups; None: no limit.
        seed: Decides which groups are carved out and which are left out.
        leave_out: A list of images that are left out of training.
        held_method: A method of making fakes that is held out for the test.

    Raises:
        UserError: A value is not valid.
    """

    val_fraction: float
    test_fraction: float | None
    allow_overlap: bool
    max_bad_fraction: float
    limits: Mapping[str, int | None]
    seed: int
    leave_out: str | None = None
    held_method: str | None = None

    def __post_init__(self) -> None:
        if not 0 <= self.val_fraction < 1:
            raise UserError(f"data.val_fraction={self.val_fraction} must be in [0, 1); 0.1 is usual")


@dataclass
class DataPlan:
    """Prepares data sets and decides which of their images each split has.

    Args:
        chosen: The data sets.
        predict: Images to predict, without labels.
        generate: Creates the data before they are read, if they don't exist.
        shares: How images are divided between splits.
        epochs: Which splits get their fakes by blending, and which images are paired.
        landmarker: Finds faces.
        settings: How faces are found and cropped from videos.
        on_the_fly: Landmarks are found in the loader, so that preparation only checks files for damage.
        verify: Checks that files of an index still exist and have the size recorded there.
        only_test: Only the test images are prepared and loaded.
        no_test: No test images are prepared or loaded.

    Attributes:
        splits: The usable records of each split; empty before `setup`.
        fingerprint: Hash over all images of all splits; empty before `setup`.
    """

    chosen: ChosenSources
    predict: list[Source]
    generate: Callable[[], None] | None
    shares: Shares
    epochs: Epochs
    landmarker: Landmarker
    settings: PrepareSettings
    on_the_fly: bool
    verify: bool
    only_test: bool
    no_test: bool
    splits: dict[str, UsableRecords] = field(default_factory=dict, init=False)
    fingerprint: str = field(default="", init=False)
    _prepared: bool = field(default=False, init=False)
    _found: dict[str, Records] | None = field(default=None, init=False, repr=False)

    @property
    def sources(self) -> list[Source]:
        """The data sets that are used, each once."""
        train, val, test = self.chosen
        trained = [] if self.only_test else [*train, *(val or [])]
        return list(dict.fromkeys([*trained, *([] if self.no_test else test), *self.predict]))

    def list_data(self) -> None:
        """Lists the files in the data folders without opening any.

        Raises:
            UserError: A data set doesn't exist or is incomplete.
        """
        if not self.generate:
            require_listed(self.sources)

    def prepare(self) -> None:
        """Brings the indexes up to date; later calls do nothing.

        Raises:
            UserError: A data set is incomplete, leaks between its splits, or has too many unusable files.
        """
        if self._prepared:
            return
        if self.generate:
            self.generate()
        sources = self.sources
        how: dict[str, Any] = {"settings": self.settings, "max_bad_fraction": self.shares.max_bad_fraction}
        for source in sources:
            if source.from_videos:
                cut_videos(source, landmarker=self.landmarker, **how)
        wanted = [records for records in self._selected().values() if len(records)]
        for root, source in by_root(sources).items():
            if source.layout == INDEX or source.from_videos:
                continue
            index_images(
                source,
                Records.concat(records.of_root(root) for records in wanted),
                landmarker=None if self.on_the_fly else self.landmarker,
                **how,
            )
        self._prepared = True

    def setup(self) -> None:
        """Reads the indexes and builds the splits; later calls do nothing.

        Raises:
            UserError: Too many files are unusable, or the rest of a split can't be used.
        """
        if self.splits:
            return
        sources = self.sources
        indexes = open_indexes(sources)
        verify = {str(source.root) for source in sources if source.layout == INDEX} if self.verify else set()
        splits = {name: usable(part, indexes, verify=verify) for name, part in self._selected().items()}
        skipped = [row for part in splits.values() for row in part.skipped]
        total = len(skipped) + sum(len(part.records) for part in splits.values())
        refuse_too_many_bad(skipped, total, max_fraction=self.shares.max_bad_fraction)
        left_out = {name: len(part.skipped) for name, part in splits.items()}
        served = {name: part.records for name, part in splits.items()}
        require_usable(served, left_out=left_out, blended=self.epochs.blended)
        if "train" in splits:
            self.epochs.require_pairs(splits["train"])
        self.splits, self.fingerprint, self._found = splits, fingerprint(splits), None

    def _selected(self) -> dict[str, Records]:
        """The records of each split, before unusable files are known; selected once, so warnings are logged once."""
        if self._found is None:
            self._found = self._select()
        return self._found

    def _select(self) -> dict[str, Records]:
        shares, (train, val, test) = self.shares, self.chosen
        common: dict[str, Any] = {"seed": shares.seed, "test_fraction": shares.test_fraction}
        common |= {"held_method": shares.held_method}
        if self.only_test:
            return {"test": select_test(test, limit_to=shares.limits["test"], **common)}
        splits = {}
        if train:
            splits = select(
                train,
                None if self.no_test else test,
                val=val,
                val_fraction=shares.val_fraction,
                allow_overlap=shares.allow_overlap,
                limits=shares.limits,
                blended=self.epochs.blended,
                leave_out=shares.leave_out,
                **common,
            )
        if self.predict:
            splits["predict"] = Records.concat(source.records() for source in self.predict)
        return splits

    def summary(self, run_dir: str | Path) -> None:
        """Logs the contents of each split, and lists skipped files in `skipped.csv` in the run folder."""
        for line in describe(self.splits):
            log.info("%s", line)
        if self.chosen.val is not None and "val" in self.splits:
            log.info("checkpoints and thresholds are chosen on %s", ", ".join(origins(self.splits["val"])))
        for split, part in self.splits.items():
            if description := self.epochs.told(split, part):
                log.info("%s: %s", split, description)
            if warning := self.epochs.told_bare(split, part):
                log.warning("%s: %s", split, warning)
        if file := write_skipped(self.splits, Path(run_dir, "skipped.csv")):
            left_out = sum(len(part.skipped) for part in self.splits.values())
            log.warning("skipped %s; see %s", count(left_out, "unusable file"), file)
