"""DFDM, "deepfakes from different models": face swaps of Celeb-DF's videos by five autoencoders, for attribution.

    DFDM_{crf0,crf10,crf23}/…/id28_id20_0008_4dfaker.mp4

The README (shanface33/Deepfake_Model_Attribution) and arXiv 2202.12951 document the three folders by H.264 rate factor
with 2,150 videos each, the five models (Faceswap, Lightweight, IAE, Dfaker, DFL-H128), and the names
`id**_id**_(scene)_(model_name)`. Not documented: whether the folders of rate factors contain folders of models, so any
depth is accepted; how names spell the models, so a model is recognised by its letters in the name or else in a folder,
and an unknown one keeps its spelling; and which of the two ids was filmed. The first is assumed, as in Celeb-DF and in
public loaders.

There are no real videos: they are those of Celeb-DF version 2 (`Celeb-real/`), available from there. There is no
official split of real and fake; by default everything is a test set here.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from addnet.data.layouts.frames import VideoCollection, clip_paths, clip_paths_below, collect
from addnet.data.layouts.listing import Listing
from addnet.data.layouts.lists import ListFindings
from addnet.data.layouts.names import celeb_source_group, made_of_celeb
from addnet.data.layouts.tree import Tree, stem
from addnet.errors import UserError, require_choice
from addnet.index.records import FAKE, REAL, Record
from addnet.wording import count

DATASET = "DFDM"
COMPRESSIONS = ("crf0", "crf10", "crf23")
SPLITS = ("test", "train")
VIDEOS = 2150
# what identifies a model in a name or a folder, in lower case and letters only; the more specific first
_MODELS = {"dfaker": "Dfaker", "dfl": "DFL-H128", "iae": "IAE", "light": "Lightweight", "faceswap": "Faceswap"}
_NAME = re.compile(r"id\d+_id\d+_\d+_(.+)")
_REALS = "Celeb-real"
_WHERE = "form in the README of github.com/shanface33/Deepfake_Model_Attribution"
_CELEBDF = "Celeb-DF v2 (github.com/yuezunli/celeb-deepfakeforensics); see data.options.originals"
_ORDER = (
    "DFDM does not document which of the two persons in a name was filmed: the first is assumed, as in Celeb-DF; if it "
    "is the other, groups name the wrong video"
)


def scan_dfdm(
    root: Path,
    *,
    compression: str = "crf23",
    originals: str | None = None,
    split: str = "test",
    source: str = "auto",
) -> Listing:
    """Lists DFDM and the videos of Celeb-DF that it was made from.

    Args:
        root: Holds `DFDM_crf0/`, `DFDM_crf10/` and `DFDM_crf23/`, or one of them.
        compression: H.264 rate factor: `crf0` (lossless), `crf10` or `crf23`.
        originals: Celeb-DF, or its `Celeb-real/`; None: `Celeb-real/` is looked for in `root`.
        split: The split of everything: `test`, or `train` (validation is carved out of it by target video).
        source: `videos`, `images`, or `auto`: images if there are any.

    Raises:
        UserError: Unknown option or no such folder.
    """
    require_choice("data.options.compression", compression, COMPRESSIONS)
    require_choice("data.options.split", split, SPLITS)
    tree, findings = Tree(root), ListFindings()
    folder = f"DFDM_{compression}"
    paths = clip_paths_below(tree, folder, _NAME.fullmatch)
    if not paths:
        findings.lacks(folder, f"fake videos ({_WHERE})", needed=True)
    elif len(paths) != VIDEOS:
        found = count(len(paths), "video")
        findings.notes.append(f"{folder}/ holds {found}; the data set has {VIDEOS:,} for each rate factor")
    fakes = {path: stem(path) for path in paths if _NAME.fullmatch(stem(path))}
    findings.note(
        [path for path in paths if path not in fakes],
        "file is left out because of its name (expected id28_id20_0008_<model>)",
        "files are left out because of their names (expected id28_id20_0008_<model>)",
    )
    if fakes:
        findings.notes.append(_ORDER)
    parts = [collect(tree, _fakes(fakes, compression, split), source=source)]
    targets = {origin.source for name in fakes.values() if (origin := made_of_celeb(name))}
    parts.append(_reals(root, originals, targets, split, source, findings))
    return findings.listing(parts)


def model_of(path: str) -> str:
    """The model that made a fake, from its name or else from a folder; for an unknown model, the end of the name.

    Example:
        >>> model_of("DFDM_crf10/id28_id20_0008_4dfaker.mp4"), model_of("IAE/id28_id20_0008_x.mp4")
        ('Dfaker', 'IAE')
    """
    match = _NAME.fullmatch(stem(path))
    tag = match[1] if match else ""
    for text in (tag, *reversed(path.split("/")[:-1])):
        letters = re.sub(r"[^a-z]", "", text.lower())
        if found := next((name for sign, name in _MODELS.items() if sign in letters), ""):
            return found
    return tag


def _fakes(fakes: dict[str, str], compression: str, split: str) -> Iterator[Record]:
    for path, name in fakes.items():
        if origin := made_of_celeb(name):
            model = model_of(path)
            yield Record(
                path=path,
                label=FAKE,
                split=split,
                video_id=f"{DATASET}/{compression}/{model}/{name}",
                group_id=celeb_source_group(origin),
                dataset=DATASET,
                method=model,
                identity=" ".join(origin.identities),
            )


def _reals(
    root: Path, originals: str | None, targets: set[str], split: str, source: str, findings: ListFindings
) -> VideoCollection:
    """The videos of Celeb-DF that fakes were made from."""
    place = root if originals is None else Path(originals).expanduser().absolute()
    if not place.is_dir():
        raise UserError(f"data.options.originals={originals}: no such folder; expected Celeb-DF")
    tree = Tree(place)
    folder = _REALS if originals is None or tree.has_folder(_REALS) else ""
    present = {stem(path): path for path in clip_paths(tree, folder) if stem(path) in targets}
    if not present:
        where = _REALS if originals is None else f"{originals}/{_REALS}"
        findings.lacks(where, f"real videos: {_CELEBDF}")
    else:
        findings.note(targets - present.keys(), "original is missing", "originals are missing")

    def clips() -> Iterator[Record]:
        for name, path in present.items():
            if origin := made_of_celeb(name):
                yield Record(
                    path=path,
                    label=REAL,
                    split=split,
                    video_id=f"{DATASET}/{_REALS}/{name}",
                    group_id=celeb_source_group(origin),
                    dataset=DATASET,
                    method=_REALS,
                    identity=origin.identities[0],
                )

    found = collect(tree, clips(), source=source)
    return found if originals is None else found.elsewhere(tree.root)
