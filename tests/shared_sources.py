"""Data sets made from the same videos: of each family small replicas that all hold something made of one source video.

To add one, write a function that makes a replica in a folder and returns the layout's options; what is made of the
family's source has to be in the split that it is told. Name it in `FAMILIES` (and a new source in `PLANTED`);
`test_common_sources.py` does the rest.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from replicas import bench_entry, images, make_pairs, write_description
from replicas_b import write


class Row(NamedTuple):
    """One data set of a family.

    Attributes:
        layout: Its layout.
        make: Makes a replica of it in a folder, with the family's source in a split; gives the layout's options.
        splits: Those that the layout knows.
    """

    layout: str
    make: Callable[[Path, str], dict[str, Any]]
    splits: tuple[str, ...] = ("train", "test")


# ---- the video 071 of FaceForensics++, whose partner is 054 ------------------------------------------------------

_ORIGINALS, _FAKES = "original_sequences/youtube/c23", "manipulated_sequences/{}/c23"


def _lists(root, split, folder="splits"):
    make_pairs(root, folder)
    pairs = {"train": [("087", "081")], "val": [("720", "672")], "test": [("953", "974")]}
    pairs[split] = [*pairs[split], ("071", "054")]
    for name, listed in pairs.items():
        Path(root, folder, f"{name}.json").write_text(json.dumps(listed))


def _faceforensics(root, split, *, method="Deepfakes", original="054"):
    _lists(root, split)
    images(root, f"{_ORIGINALS}/images/{original}", "0000")
    images(root, f"{_FAKES.format(method)}/images/071_054", "0000")
    return {"methods": [method]}


def _faceshifter(root, split):
    _faceforensics(root, split, method="FaceShifter", original="071")
    return {}


def _deeperforensics(root, split):
    images(root, "manipulated_videos/end_to_end/frames/071_W101", "000")
    return {"split": split}


def _deeperforensics_by_its_lists(root, split):
    names = {"train": "087_M004", "val": "720_M005", "test": "953_W103"} | {split: "071_W102"}
    for which, name in names.items():
        write(root, f"lists/splits/{which}.txt", f"{name}.mp4\n")
        images(root, f"manipulated_videos/end_to_end/frames/{name}", "000")
    images(root, f"{_ORIGINALS}/frames/071", "000")
    return {}


def _df40(root, split, *, folder="simswap/frames/071_054", original="054"):
    _lists(root, split, "FaceForensics++")
    images(root, f"DF40_train/{folder}" if split == "train" else f"DF40/{folder.replace('/', '/ff/', 1)}", "000")
    images(root, f"FaceForensics++/{_ORIGINALS}/frames/{original}", "000")
    return {"domains": ["ff"]}


# ---- others -------------------------------------------------------------------------------------------------------


def _celebdf(root, split, *, version="v2", youtube=False):
    """The real video id1_0007, a fake of it, and another one; or a video of YouTube."""
    real, fake = "YouTube-real/00170", "Celeb-synthesis/id8_id9_0001"
    if not youtube:
        real, fake = "Celeb-real/id1_0007", "Celeb-synthesis/id1_id0_0007"
    another = f"Celeb-real/id{5 + youtube}_0005"
    for path in (real, fake, another):
        images(root, path, "000")
    tested = [real, fake] if split == "test" else [another]
    lines = [f"{int('synthesis' not in path)} {path}.mp4" for path in tested]
    write(root, "List_of_testing_videos.txt", "\n".join(lines))
    return {"version": version}


def _celebdfpp(root, split, *, scenario="FaceSwap/GHOST", fake="id1_id3_0007"):
    """A fake of id1_0007, and another one, of which one is in the list; the real videos have no part in it."""
    another = f"id5_id6_{len(fake):04d}"
    for name in (fake, another):
        images(root, f"Celeb-synthesis/{scenario}/frames/{name}", "000")
    images(root, f"Celeb-real/frames/id6_{len(fake):04d}", "000")
    tested = fake if split == "test" else another
    write(root, "List_of_testing_videos.txt", f"0 Celeb-synthesis/{scenario}/{tested}.mp4")
    return {"split": "official", "methods": [scenario.rpartition("/")[2]]}


def _dfdm(root, split):
    images(root, "DFDM_crf23/Dfaker/frames/id1_id3_0007_4dfaker", "000")
    return {"split": split}


def _df40_of_celebdf(root, split, *, fake="simswap/cdf/frames/id1_id0_0007", real="id7_0005"):
    images(root, f"DF40/{fake}", "000")
    images(root, f"Celeb-DF-v2/Celeb-real/frames/{real}", "000")
    write(root, "Celeb-DF-v2/List_of_testing_videos.txt", f"1 Celeb-real/{real}.mp4\n")
    return {"domains": ["cdf"]}


def _dfd(root, split, *, by_actors=False):
    one, other = ("01", "03") if by_actors else ("03", "01")
    images(root, f"original_sequences/actors/c23/images/{one}__kitchen_pan", "0000")
    images(root, f"{_FAKES.format('DeepFakeDetection')}/images/{one}_{other}__kitchen_pan__JZUXXFRB", "0000")
    if not by_actors:
        return {"split": "test"}
    images(root, "original_sequences/actors/c23/images/28__kitchen_pan", "0000")
    return {"split": "actors", "test_actors": [1, 3] if split == "test" else [28]}


def _uadfv(root, split):
    images(root, "real/frames/0007", "000")
    images(root, "fake/frames/0007_fake", "000")
    return {"split": split}


def _dfdc(root, split):
    images(root, "test/frames/aaaaaaaaaa" if split == "test" else "dfdc_train_part_3/frames/bbbbbbbbbb", "000")
    write(root, "test/labels.csv", "filename,label\naaaaaaaaaa.mp4,0\n")
    entry = {"label": "FAKE", "split": "train", "original": "aaaaaaaaaa.mp4"}
    write(root, "dfdc_train_part_3/metadata.json", {"bbbbbbbbbb.mp4": entry})
    return {}


def _dfdcp(root, split):
    name = "method_A/1001/1001_A/1002_1001_A_001"
    images(root, name, "000")
    write(root, "dataset.json", {f"{name}.mp4": {"label": "fake", "set": split, "target_id": "1001"}})
    return {}


def _deepspeak(root, split, *, version="v2"):
    """A recording of person 87 and one of another, who is in the other split."""
    for name in ("87-0", f"{version}-1"):
        images(root, f"frames/{name}", "000")
    write(root, "annotations-real.csv", f"video-file,identity\n87-0.mp4,87\n{version}-1.mp4,{version}\n")
    write(root, "annotations-fake.csv", "video-file,engine,identity-source,identity-target\nno.mp4,memo,87,87\n")
    other = "test" if split == "train" else "train"
    write(root, "annotations-split-def.csv", f"identity,split\n87,{split}\n{version},{other}\n")
    return {"version": version}


def _bench(root, split, *, label, folder, video):
    """DeepfakeBench's list, or DF40's, which has the same form."""
    images(root, f"{folder}/frames/{video}", "000")
    entry = bench_entry(label, folder, video, frames=["000"])
    compressed = folder.endswith("/c23")
    write_description(root, label, {label: {label: {split: {"c23": entry} if compressed else entry}}})
    return {}


def _listed(label, folder, video):
    return Row("deepfakebench", partial(_bench, label=label, folder=folder, video=video))


def _row(layout, make, *, splits=("train", "test"), **options):
    return Row(layout, partial(make, **options), splits)


_FF, _TEST = "FaceForensics++", ("test",)
FAMILIES: dict[str, dict[str, Row]] = {
    "FaceForensics++": {
        "faceforensics": _row("faceforensics", _faceforensics),
        "faceforensics, FaceShifter": _row("faceforensics", _faceforensics, method="FaceShifter", original="071"),
        "faceshifter": _row("faceshifter", _faceshifter),
        "deeperforensics": _row("deeperforensics", _deeperforensics),
        "deeperforensics by its lists": _row("deeperforensics", _deeperforensics_by_its_lists),
        "df40": _row("df40", _df40),
        "df40 of one": _row("df40", _df40, folder="StyleGAN2/071", original="071"),
        "bench FF-real": _listed("FF-real", f"{_FF}/{_ORIGINALS}", "071"),
        "bench FF-DF": _listed("FF-DF", f"{_FF}/{_FAKES.format('Deepfakes')}", "054_071"),
        "bench FF-FH": _listed("FF-FH", f"{_FF}/{_FAKES.format('FaceShifter')}", "071_054"),
        "bench DeeperForensics": _listed("DF_fake", "DeeperForensics-1.0/manipulated_videos/end_to_end", "071_W101"),
        "bench DF40_train": _listed("simswap_Fake", "DF40_train/simswap", "071_054"),
        "bench DF40": _listed("blendface_Fake", "DF40/blendface/ff", "071_054"),
    },
    "Celeb-DF": {
        "celebdf, v1": _row("celebdf", _celebdf, version="v1"),
        "celebdf": _row("celebdf", _celebdf),
        "celebdfpp": _row("celebdfpp", _celebdfpp),
        "celebdfpp, talking": _row(
            "celebdfpp", _celebdfpp, scenario="TalkingFace/SadTalker", fake="id1_0007_test_id08701_aaa"
        ),
        "dfdm": _row("dfdm", _dfdm),
        "bench DFDM": _listed("DFDM_fake", "DFDM_crf23/Dfaker", "id1_id3_0007_4dfaker"),
        "df40": _row("df40", _df40_of_celebdf, splits=_TEST),
        "bench Celeb-DF-v3": _listed(
            "CelebDFv3_fake", "Celeb-DF-v3/Celeb-synthesis/TalkingFace/SadTalker", "id1_0007_test_id2_a"
        ),
        "bench Celeb-DF-v1": _listed("CelebDFv1_fake", "Celeb-DF-v1/Celeb-synthesis", "id1_id3_0007"),
        "bench Celeb-DF-v2": _listed("CelebDFv2_real", "Celeb-DF-v2/Celeb-real", "id1_0007"),
        "bench DF40": _listed("simswap_Fake", "DF40/simswap/cdf", "id1_id0_0007"),
    },
    "YouTube-real of Celeb-DF": {
        "celebdf, v1": _row("celebdf", _celebdf, version="v1", youtube=True),
        "celebdf": _row("celebdf", _celebdf, youtube=True),
        "df40": _row("df40", _df40_of_celebdf, splits=_TEST, fake="StyleGAN2/cdf/YouTube-real/00170", real="id8_0005"),
        "bench Celeb-DF-v2": _listed("CelebDFv2_real", "Celeb-DF-v2/YouTube-real", "00170"),
    },
    "DeepFakeDetection": {
        "dfd": _row("dfd", _dfd, splits=_TEST),
        "dfd by actors": _row("dfd", _dfd, by_actors=True),
        "bench DFD_fake": _listed(
            "DFD_fake", f"{_FF}/{_FAKES.format('DeepFakeDetection')}", "03_01__kitchen_pan__JZUXXFRB"
        ),
        "bench DFD_real": _listed("DFD_real", f"{_FF}/original_sequences/actors/c23", "03__kitchen_pan"),
    },
    "DeepSpeak": {
        "deepspeak, v1": _row("deepspeak", _deepspeak, version="v1"),
        "deepspeak": _row("deepspeak", _deepspeak),
    },
    "UADFV": {
        "uadfv": _row("uadfv", _uadfv),
        "bench UADFV": _listed("UADFV_Fake", "UADFV/fake", "0007_fake"),
    },
    "DFDC": {
        "dfdc": _row("dfdc", _dfdc),
        "bench DFDC": _listed("DFDC_Real", "DFDC/test", "aaaaaaaaaa"),
    },
    "DFDC preview": {
        "dfdcp": _row("dfdcp", _dfdcp),
        "bench DFDCP": _listed("DFDCP_FakeA", "DFDCP/method_A", "1003_1001_A_001"),
    },
}

# what the group of the planted source is called, whichever of its fakes names it
PLANTED = {
    "FaceForensics++": r"FaceForensics\+\+/(054_)?071",
    "Celeb-DF": "Celeb-DF/id1_0007",
    "YouTube-real of Celeb-DF": "Celeb-DF/YouTube-real/00170",
    "DeepFakeDetection": "DeepFakeDetection/kitchen_pan/01_03",
    "DeepSpeak": "DeepSpeak/87",
    "UADFV": "UADFV/0007",
    "DFDC": "DFDC/aaaaaaaaaa",
    "DFDC preview": "DFDCP/1001",
}
