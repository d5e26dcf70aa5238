"""DeepSpeak: consenting people talking in front of their webcams, and fakes of them by many engines.

    annotations-real.csv         video-file,identity,…
    annotations-fake.csv         video-file,kind,engine,identity-source,identity-target,recording-source,…
    annotations-split-def.csv    identity,split                     train, test
    …/87-0.mp4                   recording 0 of person 87
    …/facefusion--10-11--4100-4897--0.mp4, …/diff2lip-6868-6860-playht.mp4     fakes of versions 1 and 2

The authors (arXiv 2408.05366 and the pages of faridlab/deepspeak_v1, _v1_1 and _v2 at Hugging Face) document the
versions, their content, the terms, and that there are train and test. The archives `deepspeak-v2-<N>.zip`, the three
lists, their columns and the names of files are known from public loaders. Which folders the archives contain is not
known, so files are looked for by name at any depth. Loaders disagree on whether a fake is in the split of
`identity-source` or of `identity-target`: a fake is used if both are in the same split; otherwise it is left out and
counted. One loader says that `identity-target` is the person filmed. Groups are persons, because the official split is
by person. Whether the numbers of persons mean the same in all versions is not documented; they are assumed to, because
a false alarm about a leak can be overridden, whereas a leak that goes unnoticed can't be corrected. Only images count
here, so a real image with a cloned voice would have the wrong class; none is known, as all fakes in the list have an
engine for the image.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from addnet.data.layouts.frames import clip_paths_below, collect
from addnet.data.layouts.listing import Listing
from addnet.data.layouts.lists import ListFindings, read_pairs, read_rows
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
        root: Holds the three lists and, at any depth, the content of the archives.
        version: `v1`, `v1_1` or `v2`; names the data set.
        split: `official`: by person, as in the official list. `train` or `test`: everything.
        source: `videos`, `images`, or `auto`: images if there are any.

    Raises:
        UserError: Unknown option, no such folder, or a damaged list.
    """
    require_choice("data.options.version", version, VERSIONS)
    require_choice("data.options.split", split, SPLITS)
    tree, findings = Tree(root), ListFindings()
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
        findings.lacks("**/*.mp4", f"videos from the archives ({where})", needed=True)
    part = collect(tree, (record for name in named for record in plan.records(name, present)), source=source)
    plan.add_notes(present)
    return findings.listing([part], named_by="the lists")


def _present(tree: Tree, names: set[str], findings: ListFindings) -> dict[str, str]:
    """Name → path of each video that the lists name."""
    found: dict[str, str] = {}
    others, twice = [], []
    for path in clip_paths_below(tree, "", names.__contains__):
        if stem(path) not in names:
            others.append(path)
        elif found.setdefault(stem(path), path) != path:
            twice.append(path)
    findings.note(others, "video is left out: no list names it", "videos are left out: no list names them")
    findings.note(
        twice, "video is left out: another has the same name", "videos are left out: others have the same names"
    )
    return found


class _ListedVideos:
    """What the lists say about each video.

    Attributes:
        reals: Video → person.
        fakes: Video → engine, the person whose face was inserted, and the person filmed.
    """

    def __init__(self, tree: Tree, split: str, dataset: str, findings: ListFindings) -> None:
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
        """The record of a video, if it exists and is in a split."""
        label = FAKE if name in self.fakes else REAL
        engine, *persons = self.fakes[name] if label == FAKE else ("real", self.reals[name])
        if stem(name) not in present:
            self._gone.append(name)
            return
        splits = {self._split_of(person) for person in persons}
        if len(splits) > 1 or splits == {""}:
            self._left[
                "whose two persons are in different splits"
                if len(splits) > 1
                else "of a person without a name or a split"
            ] += 1
            return
        yield Record(
            path=present[stem(name)],
            label=label,
            split=splits.pop(),
            video_id=f"{self._dataset}/{engine}/{stem(name)}",
            group_id=own_group(DEEPSPEAK, persons[-1]),
            dataset=self._dataset,
            method=engine,
            identity=" ".join(dict.fromkeys(persons)),
        )

    def add_notes(self, present: dict[str, str]) -> None:
        """Adds notes about videos that were left out or are missing."""
        if present:
            self._findings.note(self._gone, "video of the lists is missing", "videos of the lists are missing")
        for which, number in self._left.items():
            self._findings.notes.append(f"left out {count(number, 'video')} {which} ({SPLIT_LIST})")

    def _split_of(self, person: str) -> str:
        if self._splits is None:
            return self._split if person else ""
        return self._splits.get(person, "")


def _splits(file: Path) -> dict[str, str]:
    """Person → split.

    Raises:
        UserError: The file can't be read, or names an unknown split.
    """
    found = {person: split.strip().lower() for person, split in read_pairs(file, "identity", "split").items()}
    if odd := sorted(set(found.values()) - set(_NAMED_SPLITS)):
        raise UserError(f"{file} names the split {shown(odd[0])!r}; expected one of: {', '.join(_NAMED_SPLITS)}")
    return found
