"""DeepSpeak: people talking before their webcams, who agreed to it, and fakes of them by many engines.

    annotations-real.csv         video-file,identity,…
    annotations-fake.csv         video-file,kind,engine,identity-source,identity-target,recording-source,…
    annotations-split-def.csv    identity,split                     train, test
    …/87-0.mp4                   recording 0 of person 87
    …/facefusion--10-11--4100-4897--0.mp4, …/diff2lip-6868-6860-playht.mp4     fakes of version 1 and 2

From its authors (arXiv 2408.05366 and the pages of faridlab/deepspeak_v1, _v1_1 and _v2 at Hugging Face): the versions,
what they hold, the terms, and that there are train and test. The archives `deepspeak-v2-<N>.zip`, the three lists,
their columns and the names of files are from public loaders; which folders the archives hold could not be found out, so
that files are looked for by name at any depth. Loaders differ in whose split a fake has, that of `identity-source` or
of `identity-target`: a fake is used where both are in the same, and left out and counted where they are not. The person
filmed is `identity-target`, says one of them; groups are persons, as the official split is one of persons. Whether
numbers of persons mean the same in all versions is not documented: they are taken to do so, since a leak that is none
can be allowed, while one that is not found can't. Only images count here, so that a real image with a cloned voice
would have the wrong class: none is known of, as all fakes of the list have an engine for the image.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from addnet.data.layouts.frames import clip_paths_below, collect
from addnet.data.layouts.listing import Listing
from addnet.data.layouts.lists import Findings, read_pairs, read_rows
from addnet.data.layouts.names import DEEPSPEAK, own_group
from addnet.data.layouts.tree import Tree, stem
from addnet.errors import UserError, require_choice
from addnet.index.records import FAKE, REAL, Record
from addnet.untrusted.texts import shown
from addnet.wording import count

VERSIONS = ("v1", "v1_1", "v2")
SPLITS = ("official", "train", "test")
REAL_LIST, FAKE_LIST, SPLIT_LIST = (f"annotations-{name}.csv" for name in ("real", "fake", "split-def"))
_NAMED_SPLITS = ("train", "val", "test")
_REAL_COLUMNS = ("video-file", "identity")
_FAKE_COLUMNS = ("video-file", "engine", "identity-source", "identity-target")


def scan_deepspeak(root: Path, *, version: str = "v2", split: str = "official", source: str = "auto") -> Listing:
    """Lists DeepSpeak by its own lists.

    Args:
        root: Holds the three lists and, at any depth, what the archives hold.
        version: `v1`, `v1_1` or `v2`; names the data set.
        split: `official`: by persons, as its list says. `train` or `test`: all of it.
        source: `videos`, `images`, or `auto`: images if there are any.

    Raises:
        UserError: Unknown option, no such folder, or a damaged list.
    """
    require_choice("data.options.version", version, VERSIONS)
    require_choice("data.options.split", split, SPLITS)
    tree, findings = Tree(root), Findings()
    where = f"with the data at huggingface.co/datasets/faridlab/deepspeak_{version}, on request"
    lists = (REAL_LIST, FAKE_LIST, *([SPLIT_LIST] if split == "official" else []))
    absent = [name for name in lists if not tree.has_file(name)]
    for name in absent:
        findings.lacks(name, f"official list ({where})", needed=True)
    if absent:
        return findings.listing([])
    plan = _ListedVideos(tree, split, f"{DEEPSPEAK}-{version}", findings)
    named = plan.named()
    present = _present(tree, {stem(name) for name in named}, findings)
    if not present:
        findings.lacks("**/*.mp4", f"videos, out of the archives ({where})", needed=True)
    part = collect(tree, (record for name in named for record in plan.records(name, present)), source=source)
    plan.tell(present)
    return findings.listing([part], named_by="the lists")


def _present(tree: Tree, names: set[str], findings: Findings) -> dict[str, str]:
    """Where each of the videos that the lists name lies, by name."""
    found: dict[str, str] = {}
    others, twice = [], []
    for path in clip_paths_below(tree, "", names.__contains__):
        if stem(path) not in names:
            others.append(path)
        elif found.setdefault(stem(path), path) != path:
            twice.append(path)
    findings.note(others, "video is left out: no list names it", "videos are left out: no list names them")
    findings.note(
        twice, "video is left out: its name is there twice", "videos are left out: their names are there twice"
    )
    return found


class _ListedVideos:
    """What the lists say of each video.

    Attributes:
        reals: Video → person.
        fakes: Video → engine, the person put in and the person filmed.
    """

    def __init__(self, tree: Tree, split: str, dataset: str, findings: Findings) -> None:
        reals = read_rows(tree.root / REAL_LIST, *_REAL_COLUMNS)
        self.reals = {row["video-file"]: row["identity"] for row in reals if row["video-file"]}
        fakes = read_rows(tree.root / FAKE_LIST, *_FAKE_COLUMNS)
        self.fakes = {row["video-file"]: tuple(row[key] for key in _FAKE_COLUMNS[1:]) for row in fakes}
        self._splits = _splits(tree.root / SPLIT_LIST) if split == "official" else None
        self._split, self._dataset, self._findings = split, dataset, findings
        self._left: Counter[str] = Counter()
        self._gone: list[str] = []

    def named(self) -> dict[str, None]:
        """Names of all videos, each once."""
        return dict.fromkeys([*self.reals, *self.fakes])

    def records(self, name: str, present: dict[str, str]) -> Iterator[Record]:
        """The record of a video that is there and in a split."""
        label = FAKE if name in self.fakes else REAL
        engine, *persons = self.fakes[name] if label == FAKE else ("real", self.reals[name])
        if stem(name) not in present:
            self._gone.append(name)
            return
        homes = {self._home(person) for person in persons}
        if len(homes) > 1 or homes == {""}:
            self._left[
                "whose two persons are in different splits"
                if len(homes) > 1
                else "of a person that is not named or in no split"
            ] += 1
            return
        yield Record(
            path=present[stem(name)],
            label=label,
            split=homes.pop(),
            video_id=f"{self._dataset}/{engine}/{stem(name)}",
            group_id=own_group(DEEPSPEAK, persons[-1]),
            dataset=self._dataset,
            method=engine,
            identity=" ".join(dict.fromkeys(persons)),
        )

    def tell(self, present: dict[str, str]) -> None:
        """What was left out, and what is not there."""
        if present:
            self._findings.note(
                self._gone, "video that the lists name is not there", "videos of the lists are not there"
            )
        for why, number in self._left.items():
            left = count(number, "video is", "videos are")
            self._findings.notes.append(f"{left} left out {why} ({SPLIT_LIST})")

    def _home(self, person: str) -> str:
        if self._splits is None:
            return self._split if person else ""
        return self._splits.get(person, "")


def _splits(file: Path) -> dict[str, str]:
    """Person → split.

    Raises:
        UserError: It can't be read, or names a split that is none.
    """
    found = {person: split.strip().lower() for person, split in read_pairs(file, "identity", "split").items()}
    if odd := sorted(set(found.values()) - set(_NAMED_SPLITS)):
        raise UserError(f"{file} names the split {shown(odd[0])!r}; expected one of: {', '.join(_NAMED_SPLITS)}")
    return found
