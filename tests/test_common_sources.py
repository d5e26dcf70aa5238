"""Data sets that are made from the same videos: whichever two are used together, what they share is found."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from addnet.data import layouts
from addnet.data.layouts.names import sources_of, united
from addnet.data.selection import select
from addnet.data.sources import Source
from addnet.data.splits import check_overlap
from addnet.errors import UserError
from replicas import images, make_faceforensics
from replicas_b import write
from shared_sources import FAMILIES, PLANTED

METHODS = ["Deepfakes"]
MATRIX = [
    (family, one, other)
    for family, rows in FAMILIES.items()
    for one, trained in rows.items()
    for other in rows
    if one != other and "train" in trained.splits
]


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Of each family each data set, with the family's source video in training and, another copy, in test."""
    found = {}
    for family, rows in FAMILIES.items():
        for name, row in rows.items():
            for split in row.splits:
                root = tmp_path_factory.mktemp(split)
                options = row.make(root, split)
                found[family, name, split] = Source(row.layout, str(root), options=options)
    return found


def _select(train, test, *, allow_overlap=False):
    limits = dict.fromkeys(("train", "val", "test"))
    return select(train, test, val_fraction=0.3, allow_overlap=allow_overlap, limits=limits, seed=0)


@pytest.mark.parametrize(("family", "one", "other"), MATRIX)
def test_training_on_one_and_testing_on_the_other_is_stopped_with_the_list(family, one, other, made):
    train, test = made[family, one, "train"], made[family, other, "test"]
    assert check_overlap(train.records(), test.records())  # as they are, too: groups need not be united before
    with pytest.raises(UserError, match=rf"^\d+ groups? (is|are) in both train and test: .*{PLANTED[family]}.*\n"):
        _select([train], [test])


def test_data_sets_of_other_videos_share_nothing(made):
    """In whichever split a replica has the source, no family has anything in common with another."""
    records = {key: source.records() for key, source in made.items()}
    apart = [(a, b) for a in made for b in made if a[0] < b[0]]
    assert len(apart) > 100
    assert not {pair: leaks for pair in apart if (leaks := check_overlap(records[pair[0]], records[pair[1]]))}


def test_no_layout_makes_up_a_group_s_name_itself():
    folder = Path(layouts.__file__).parent
    given = [
        (file.name, ast.unparse(argument.value))
        for file in folder.glob("*.py")
        for call in ast.walk(ast.parse(file.read_text()))
        if isinstance(call, ast.Call) and ast.unparse(call.func) == "Record"
        for argument in call.keywords
        if argument.arg == "group_id"
    ]
    assert len(given) > 10
    assert not [(name, value) for name, value in given if value.startswith(("f'", "'"))]


def test_groups_that_share_no_source_stay_apart():
    names = united(["FaceForensics++/000_003", "FaceForensics++/003", "FaceForensics++/001", "own/000_003", "own/003"])
    assert names["FaceForensics++/003"] == "FaceForensics++/000_003"
    assert len(set(names.values())) == 4


def test_a_scene_of_an_earlier_index_holds_all_its_actors():
    assert sources_of("DeepFakeDetection/kitchen_pan/03") < sources_of("DeepFakeDetection/kitchen_pan")


# ---- what becomes of it in training -----------------------------------------------------------------------------


def _faceforensics(root, name="ff"):
    return Source("faceforensics", str(make_faceforensics(root / name, kind="images")), options={"methods": METHODS})


def _deeper(root, split, *targets, name="deeper"):
    for target in targets:
        images(root / name, f"manipulated_videos/end_to_end/frames/{target}_W101", "000")
        images(root / name, f"original_sequences/youtube/c23/frames/{target}", "000")
    return Source("deeperforensics", str(root / name), options={"split": split})


def _sources(records):
    return {source for group in records.names("group_id") for source in sources_of(group)}


def test_a_test_on_fakes_of_trained_videos_is_refused(tmp_path):
    train, test = [_faceforensics(tmp_path)], [_deeper(tmp_path, "test", "071", "081")]
    with pytest.raises(UserError, match=r"2 groups are in both train and test: FaceForensics\+\+/054_071, "):
        _select(train, test)
    assert len(_select(train, test, allow_overlap=True)["test"]) == 4


def test_training_on_two_data_sets_keeps_the_list_of_one_for_both(tmp_path):
    both = [_faceforensics(tmp_path), _deeper(tmp_path, "train", "071", "720", "672")]
    splits = _select(both, both[:1])
    assert {r.split for r in splits["val"]} == {"val"}
    assert {r.dataset for r in splits["val"]} == {"FaceForensics++", "DeeperForensics-1.0"}
    assert not _sources(splits["train"]) & _sources(splits["val"])
    assert "DeeperForensics-1.0" in splits["train"].names("dataset")  # 071, whose list is training


def test_lists_that_contradict_each_other_are_refused(tmp_path):
    source = _deeper(tmp_path, "official", "000", "071")
    for split, name in (("train", "000_W101"), ("val", "071_W101"), ("test", "002_W101")):
        write(tmp_path / "deeper", f"lists/splits/{split}.txt", name)
    both = [_faceforensics(tmp_path), source]
    with pytest.raises(UserError, match=r"1 group is in both train and val: FaceForensics\+\+/054_071"):
        _select(both, both[:1])
    assert _select(both, both[:1], allow_overlap=True)["val"].names("dataset") == [
        "DeeperForensics-1.0",
        "FaceForensics++",
    ]


def test_overlap_that_is_allowed_goes_on_even_if_all_is_one_group(tmp_path, caplog):
    for split in ("train", "test"):
        for label in ("real", "fake"):
            images(tmp_path, f"{split}/{label}", *(f"{label}{n}_a" for n in range(10)))
    same = Source("folder", str(tmp_path), options={"group_pattern": "a"})
    with pytest.raises(UserError, match="1 group is in both train and test"):
        _select([same], [same])
    splits = _select([same], [same], allow_overlap=True)
    assert len(splits["val"]) == 6
    assert "shares groups with training" in caplog.text
