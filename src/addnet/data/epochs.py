"""The samples of an epoch, by `data.fakes`, `data.batch` and related settings. No torch."""

from __future__ import annotations

from dataclasses import dataclass

from addnet.data.fakes import FAKES, GIVEN, MIXED, SELF_BLENDED, blended_splits
from addnet.data.orders import Order, RealsAndBlends, Request, ShuffledOrder
from addnet.data.pair_orders import NO_PARTNER, MixedOrder, PairOrder, source_sets
from addnet.data.usable import UsableRecords
from addnet.errors import UserError, require_choice
from addnet.index.records import REAL
from addnet.signatures import require_number
from addnet.wording import count

BALANCES = ("none", "sampler", "loss_weight")
BATCHES = ("shuffled", "pairs")
PAIR_AUGMENTS = ("same", "own")
HALF = 0.5


@dataclass(frozen=True)
class Epochs:
    """The settings that decide which samples an epoch has and which stay together in a batch; validated on creation.

    Attributes:
        fakes: Fakes of training: `given`, `self_blended` (only blends of its real images), or `mixed` (both).
        val_fakes: Fakes of validation: `given`, `self_blended` or `mixed`.
        blend_share: With `mixed`: share of blends among the fakes of a training epoch.
        batch: `shuffled`, or `pairs`: a real and a fake of one group next to each other in one batch.
        pair_augment: Whether both images of a pair get the same augmentation (`same`) or each its own (`own`).
        balance: `none`, `sampler` or `loss_weight`.

    Raises:
        UserError: A value is not valid, or two values contradict each other.
    """

    fakes: str = GIVEN
    val_fakes: str = GIVEN
    blend_share: float = HALF
    batch: str = BATCHES[0]
    pair_augment: str = PAIR_AUGMENTS[0]
    balance: str = BALANCES[0]

    def __post_init__(self) -> None:
        require_choice("data.fakes", self.fakes, FAKES)
        require_choice("data.val_fakes", self.val_fakes, FAKES)
        require_choice("data.batch", self.batch, BATCHES)
        require_choice("data.pair_augment", self.pair_augment, PAIR_AUGMENTS)
        require_choice("data.balance", self.balance, BALANCES)
        self._check_share()
        if self.pair_augment != PAIR_AUGMENTS[0] and not self._pairs_given:
            raise UserError(
                f"data.pair_augment={self.pair_augment} applies to given pairs, and there are none: set "
                "data.batch=pairs with data.fakes=given or data.fakes=mixed, or leave data.pair_augment at same; a "
                "real image and its blend always get the same augmentation"
            )
        if "train" in self.blending and self.balance != "none":
            raise UserError(
                f"data.balance={self.balance} has no use with data.fakes={self.fakes}, where half of each batch is "
                "fake anyway; use data.balance=none"
            )
        if self._pairs_given and self.balance == "sampler":
            raise UserError(
                "data.balance=sampler draws the classes separately, but data.batch=pairs keeps a real and a fake of "
                "one source together; use data.balance=none, or data.balance=loss_weight if many images have no partner"
            )

    def _check_share(self) -> None:
        require_number("data.blend_share", self.blend_share)
        if not 0 < self.blend_share < 1:
            raise UserError(
                f"data.blend_share={self.blend_share} must be between 0 and 1, exclusive; use data.fakes=given for no "
                "blends, or data.fakes=self_blended for blends only"
            )
        if self.blend_share != HALF and self.fakes != MIXED:
            raise UserError(
                f"data.blend_share={self.blend_share} applies only to data.fakes=mixed, not to "
                f"data.fakes={self.fakes}; leave it at 0.5, or set data.fakes=mixed"
            )

    @property
    def _pairs_given(self) -> bool:
        return self.batch == "pairs" and self.fakes != SELF_BLENDED

    @property
    def blended(self) -> frozenset[str]:
        """Splits whose fakes are all made of their real images, so that they need no given fakes."""
        return blended_splits(self.fakes, self.val_fakes)

    @property
    def blending(self) -> frozenset[str]:
        """Splits that have blends."""
        return frozenset(split for split, kind in self._kinds.items() if kind != GIVEN)

    @property
    def _kinds(self) -> dict[str, str]:
        return {"train": self.fakes, "val": self.val_fakes}

    def check(self, *, landmarks: str, batch_size: int) -> None:
        """Checks that the settings are compatible with how images are loaded.

        Raises:
            UserError: They are not.
        """
        if self.blending and landmarks != "index":
            raise UserError(
                f"data.landmarks={landmarks} does not work with self-blends, which need to know before training which "
                "images have landmarks; use data.landmarks=index"
            )
        if ("train" in self.blending or self._pairs_given) and batch_size % 2:
            what = "data.batch=pairs" if self._pairs_given else f"data.fakes={self.fakes}"
            raise UserError(
                f"data.batch_size={batch_size} is odd, but with {what} a real image and its fake stay in one batch; "
                f"use an even number, such as data.batch_size={batch_size + 1}"
            )

    def order(self, split: str, part: UsableRecords) -> Order:
        """The order of an epoch of training, or of a validation whose fakes are all blends."""
        kind, labels = self._kinds.get(split, GIVEN), part.records.labels
        if kind == SELF_BLENDED:
            return RealsAndBlends(labels, part.with_landmarks)
        sets = source_sets(part.records) if self.batch == "pairs" else None
        same = self.pair_augment == "same"
        if kind == MIXED:
            return MixedOrder(labels, part.with_landmarks, share=self.blend_share, sets=sets, same=same)
        return (
            ShuffledOrder(labels, balance=self.balance == "sampler")
            if sets is None
            else PairOrder(labels, sets, same=same)
        )

    def requests(self, split: str, part: UsableRecords) -> list[Request] | int:
        """The samples that an evaluation of a split requests, in order; a number N: the first N records as they are.

        With `mixed`, these are all given images as they are, followed by both halves of all blends: real and fake
        halves have both been through the processing that makes a blend.
        """
        kind = self._kinds.get(split, GIVEN)
        if kind == GIVEN:
            return len(part.records)
        blends = RealsAndBlends(part.records.labels, part.with_landmarks).requests()
        return blends if kind == SELF_BLENDED else [*map(Request, range(len(part.records))), *blends]

    def told(self, split: str, part: UsableRecords) -> str:
        """A description of a split for the log; empty if its images are used as they are."""
        kind = self._kinds.get(split, GIVEN)
        if split == "train" or kind == SELF_BLENDED:
            return self.order(split, part).told()
        if kind == GIVEN:
            return ""
        blended = len(RealsAndBlends(part.records.labels, part.with_landmarks))
        return f"given fakes, and blends of its {count(blended, 'real image')}"

    def require_pairs(self, part: UsableRecords) -> None:
        """Checks that there is at least one pair if `batch` is `pairs`.

        Args:
            part: The training images.

        Raises:
            UserError: There is no pair.
        """
        if self._pairs_given and (source_sets(part.records) == NO_PARTNER).all():
            raise UserError(
                "data.batch=pairs: no group of the training images has both real and fake images; set "
                "data.group_pattern, or use data.batch=shuffled"
            )

    def told_bare(self, split: str, part: UsableRecords) -> str:
        """A warning about real images without landmarks in a split with blends; empty if all have landmarks."""
        bare = int(((part.records.labels == REAL) & ~part.with_landmarks).sum())
        if split not in self.blending or not bare:
            return ""
        images = count(bare, "real image")
        if self._kinds[split] == SELF_BLENDED:
            return f"skipped {images} without landmarks, of which no blend can be made"
        return f"no blend can be made of {images} without landmarks"
