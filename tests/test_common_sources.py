"""Data sets that are made from the same videos: whichever two are used together, what they share is found."""

from __future__ import annotations

import pytest

from addnet.data.layouts.names import sources_of, united
from addnet.data.selection import select
from addnet.data.sources import Source
from addnet.errors import UserError
from replicas import (
    bench_entry,
    make_celebdf,
    make_df40,
    make_dfd,
    make_faceforensics,
    pictures,
    scan,
    touch,
    write_description,
)
from replicas_b import make_dfdc, make_dfdcp, make_uadfv, write

METHODS = ["Deepfakes"]
# what DeepfakeBench says of each data set: label, folder, name, in descriptions of their own
_BENCH = {
    "faceforensics": [
        ("FF-real", "FaceForensics++/original_sequences/youtube/c23", "071"),
        ("FF-DF", "FaceForensics++/manipulated_sequences/Deepfakes/c23", "071_054"),
    ],
    "deeperforensics": [("DF_fake", "DeeperForensics-1.0/manipulated_videos/end_to_end", "054_W101")],
    "dfd": [
        ("DFD_fake", "FaceForensics++/manipulated_sequences/DeepFakeDetection/c23", "01_03__kitchen_pan__JZUXXFRB")
    ],
    "celebdf": [("CelebDFv1_fake", "Celeb-DF-v1/Celeb-synthesis", "id2_id3_0001")],
    "youtube": [("CelebDFv2_real", "Celeb-DF-v2/YouTube-real", "00171")],
    "uadfv": [("UADFV_Fake", "UADFV/fake", "0007_fake")],
    "dfdc": [("DFDC_Real", "DFDC/test", "tr")],
    "dfdcp": [("DFDCP_FakeA", "DFDCP/method_A", "1002_1001_A_001")],
}


def _bench(root, name):
    for label, folder, video in _BENCH[name]:
        pictures(root, f"{folder}/frames/{video}", "000")
        entry = bench_entry(label, folder, video, frames=["000"])
        compressed = folder.startswith("FaceForensics++")
        write_description(root, label, {name: {label: {"train": {"c23": entry} if compressed else entry}}})
    return scan("deepfakebench", root)


def _deeperforensics(root):
    """All of it is for one purpose: no lists."""
    touch(root, "manipulated_videos/end_to_end/071_W101.mp4", "original_sequences/youtube/c23/videos/071.mp4")
    return scan("deeperforensics", root, split="train")


def _deeperforensics_of_the_other(root):
    touch(root, "manipulated_videos/end_to_end/054_M004.mp4")
    return scan("deeperforensics", root, split="test")


MADE = {
    "faceforensics": lambda root: scan("faceforensics", make_faceforensics(root)),
    "faceshifter": lambda root: scan(
        "faceforensics", make_faceforensics(root, methods=["FaceShifter"]), methods=["FaceShifter"]
    ),
    "df40": lambda root: scan("df40", make_df40(root)),
    "deeperforensics": _deeperforensics,
    "deeperforensics of 054": _deeperforensics_of_the_other,
    "bench faceforensics": lambda root: _bench(root, "faceforensics"),
    "bench deeperforensics": lambda root: _bench(root, "deeperforensics"),
    "celebdf-v1": lambda root: scan("celebdf", make_celebdf(root), version="v1"),
    "celebdf-v2": lambda root: scan("celebdf", make_celebdf(root), version="v2"),
    "bench celebdf": lambda root: _bench(root, "celebdf"),
    "bench youtube": lambda root: _bench(root, "youtube"),
    "dfd": lambda root: scan("dfd", make_dfd(root)),
    "dfd by actors": lambda root: scan("dfd", make_dfd(root), split="actors", test_actors=[27, 28]),
    "bench dfd": lambda root: _bench(root, "dfd"),
    "uadfv": lambda root: scan("uadfv", make_uadfv(root)),
    "bench uadfv": lambda root: _bench(root, "uadfv"),
    "dfdc": lambda root: scan("dfdc", make_dfdc(root)),
    "bench dfdc": lambda root: _bench(root, "dfdc"),
    "dfdcp": lambda root: scan("dfdcp", make_dfdcp(root)),
    "bench dfdcp": lambda root: _bench(root, "dfdcp"),
}
FAMILIES = [
    ["faceforensics", "faceshifter", "df40", "deeperforensics", "bench faceforensics"],
    ["faceforensics", "faceshifter", "df40", "deeperforensics of 054", "bench faceforensics", "bench deeperforensics"],
    ["df40", "celebdf-v1", "celebdf-v2"],
    ["celebdf-v1", "celebdf-v2", "bench celebdf"],
    ["celebdf-v1", "celebdf-v2", "bench youtube"],
    ["dfd", "dfd by actors", "bench dfd"],
    ["uadfv", "bench uadfv"],
    ["dfdc", "bench dfdc"],
    ["dfdcp", "bench dfdcp"],
]
TWO = sorted({tuple(sorted((a, b))) for family in FAMILIES for a in family for b in family if a != b})


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """The groups of each of these data sets."""
    found = {}
    for name, make in MADE.items():
        listing = make(tmp_path_factory.mktemp("made"))
        found[name] = {record.group_id for record in (*listing.pictures, *listing.videos)}
    return found


def _shared(one, other):
    names = united([*one, *other])
    return {names[group] for group in one} & {names[group] for group in other}


@pytest.mark.parametrize(("one", "other"), TWO)
def test_a_source_video_that_two_data_sets_share_is_found(one, other, made):
    assert _shared(made[one], made[other])


def test_data_sets_of_other_videos_share_nothing(made):
    apart = [(a, b) for a in made for b in made if a < b and (a, b) not in TWO]
    assert len(apart) > 100
    assert not {pair: shared for pair in apart if (shared := _shared(made[pair[0]], made[pair[1]]))}


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
        pictures(root / name, f"manipulated_videos/end_to_end/frames/{target}_W101", "000")
        pictures(root / name, f"original_sequences/youtube/c23/frames/{target}", "000")
    return Source("deeperforensics", str(root / name), options={"split": split})


def _select(train, test, *, allow_overlap=False):
    limits = dict.fromkeys(("train", "val", "test"))
    return select(train, test, val_fraction=0.3, allow_overlap=allow_overlap, limits=limits, seed=0)


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
            pictures(tmp_path, f"{split}/{label}", *(f"{label}{n}_a" for n in range(10)))
    same = Source("folder", str(tmp_path), options={"group_pattern": "a"})
    with pytest.raises(UserError, match="1 group is in both train and test"):
        _select([same], [same])
    splits = _select([same], [same], allow_overlap=True)
    assert len(splits["val"]) == 6
    assert "shares groups with training" in caplog.text
