"""Data sets in the form their authors ship them, a few files each: for what is listed, never for what is seen."""

import json
from pathlib import Path

import cv2
import numpy as np

from addnet.data.layouts import LAYOUTS, list_data

PAIRS = {"train": [("071", "054"), ("087", "081")], "val": [("720", "672")], "test": [("953", "974")]}


def touch(root, *paths):
    """Empty files."""
    for path in paths:
        file = Path(root, path)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()


def images(root, folder, *names, suffix=".png"):
    """Grey images of 32 pixels in one folder."""
    for name in names:
        file = Path(root, folder, f"{name}{suffix}")
        file.parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(file), np.full((32, 32, 3), 90, np.uint8))


def landmarks(root, folder, *names):
    """81 landmarks a file, as DeepfakeBench finds them."""
    for name in names:
        file = Path(root, folder, f"{name}.npy")
        file.parent.mkdir(parents=True, exist_ok=True)
        np.save(file, np.full((81, 2), 16, np.int64))


def make_pairs(root, folder="splits"):
    """The official lists of FaceForensics++, short."""
    for split, pairs in PAIRS.items():
        file = Path(root, folder, f"{split}.json")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(pairs))


def make_faceforensics(root, *, methods=("Deepfakes", "NeuralTextures"), compression="c23", kind="videos", lists=True):
    """FaceForensics++: originals and fakes of four pairs, and one video that no list names."""
    if lists:
        make_pairs(root)
    pairs = [pair for split in PAIRS.values() for pair in split]
    originals = [name for pair in pairs for name in pair] + ["999"]
    fakes = [f"{a}_{b}" for pair in pairs for a, b in (pair, pair[::-1])]
    folders = [("original_sequences/youtube", originals)]
    folders += [(f"manipulated_sequences/{method}", fakes) for method in methods]
    for folder, names in folders:
        for name in names:
            if kind == "videos":
                touch(root, f"{folder}/{compression}/videos/{name}.mp4")
            else:
                images(root, f"{folder}/{compression}/{kind}/{name}", "0000", "0030")
    return root


def make_dfd(root, *, compression="c23"):
    """DeepFakeDetection: two scenes of three actors."""
    for scene, code in (("hugging_happy", "ISF9SP4G"), ("kitchen_pan", "JZUXXFRB")):
        originals = [f"{actor}__{scene}" for actor in ("01", "03", "28")]
        fakes = [f"{pair}__{scene}__{code}" for pair in ("01_03", "03_01", "01_28", "28_27")]
        touch(root, *(f"original_sequences/actors/{compression}/videos/{name}.mp4" for name in originals))
        fake_folder = f"manipulated_sequences/DeepFakeDetection/{compression}/videos"
        touch(root, *(f"{fake_folder}/{name}.mp4" for name in fakes))
    return root


CELEBDF_TEST = ["1 YouTube-real/00170.mp4", "1 Celeb-real/id1_0007.mp4", "0 Celeb-synthesis/id1_id0_0007.mp4"]
CELEBDF_TEST += ["0 Celeb-synthesis/id16_id20_0000.mp4"]


def make_celebdf(root, *, kind="videos", lists=True):
    """Celeb-DF; as in the real list, a tested fake (id16_id20_0000) has a target video that isn't tested."""
    names = {
        "Celeb-real": ["id1_0007", "id16_0000", "id2_0001"],
        "YouTube-real": ["00170", "00171"],
        "Celeb-synthesis": ["id1_id0_0007", "id1_id2_0007", "id16_id20_0000", "id2_id3_0001"],
    }
    for folder, videos in names.items():
        for name in videos:
            if kind == "videos":
                touch(root, f"{folder}/{name}.mp4")
            else:
                images(root, f"{folder}/{kind}/{name}", "000", "012")
    if lists:
        Path(root, "List_of_testing_videos.txt").write_text("\n".join(CELEBDF_TEST) + "\n")
    return root


def bench_entry(label, folder, name, *, frames=("000", "012"), sep="/", prefix="./datasets"):
    """One video of a description, with the paths of another machine."""
    paths = [f"{prefix}/{folder}/frames/{name}/{frame}.png".replace("/", sep) for frame in frames]
    return {name: {"label": label, "frames": paths}}


def make_deepfakebench(root, *, sep="/", prefix="./datasets"):
    """DeepfakeBench: FF-DF in two compressions with landmarks, and Celeb-DF-v2 whose train holds its test."""
    originals = "FaceForensics++/original_sequences/youtube/c23"
    fakes = "FaceForensics++/manipulated_sequences/Deepfakes/c23"
    description = {"FF-real": {}, "FF-DF": {}}
    for split, pairs in PAIRS.items():
        for label, folder in (("FF-real", originals), ("FF-DF", fakes)):
            videos = {}
            for a, b in pairs:
                for name in (a, b) if label == "FF-real" else (f"{a}_{b}", f"{b}_{a}"):
                    videos |= bench_entry(label, folder, name, sep=sep, prefix=prefix)
                    images(root, f"{folder}/frames/{name}", "000", "012")
                    landmarks(root, f"{folder}/landmarks/{name}", "000")
            description[label][split] = {"c23": videos, "c40": {}}
    celeb = {
        "CelebDFv2_real": {"train": {}, "val": {}, "test": {}},
        "CelebDFv2_fake": {"train": {}, "val": {}, "test": {}},
    }
    for label, folder, name, tested in (
        ("CelebDFv2_real", "Celeb-DF-v2/Celeb-real", "id1_0007", True),
        ("CelebDFv2_real", "Celeb-DF-v2/Celeb-real", "id2_0001", False),
        ("CelebDFv2_fake", "Celeb-DF-v2/Celeb-synthesis", "id1_id2_0007", False),
        ("CelebDFv2_fake", "Celeb-DF-v2/Celeb-synthesis", "id2_id3_0001", False),
    ):
        images(root, f"{folder}/frames/{name}", "000", "012")
        entry = bench_entry(label, folder, name, sep=sep, prefix=prefix)
        for split in ("train", "val", "test") if tested else ("train",):
            celeb[label][split] |= entry
    write_description(root, "FF-DF", {"FF-DF": description})
    write_description(root, "Celeb-DF-v2", {"Celeb-DF-v2": celeb})
    return root


def write_description(root, name, content):
    """One JSON file of DeepfakeBench."""
    file = Path(root, "dataset_json", f"{name}.json")
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(content))


def make_df40(root):
    """DF40: three methods and the real images of FaceForensics++ and Celeb-DF."""
    make_pairs(root, "FaceForensics++")
    images(root, "DF40_train/simswap/frames/071_054", "000", "030")
    images(root, "DF40_train/StyleGAN2/071", "seed0188")
    images(root, "DF40_train/StyleGAN2/953", "seed0001")  # made from an original that is tested
    images(root, "DF40/simswap/ff/frames/953_974", "000")
    images(root, "DF40/simswap/cdf/frames/id1_id0_0007", "000")
    images(root, "DF40/StyleGAN2/cdf/YouTube-real/00170", "458")
    images(root, "DF40/heygen/fake/frames/v1", "000")
    images(root, "DF40/heygen/real/v1", "000")
    images(root, "DF40/MidJourney/fake", "a1", "a2")
    images(root, "DF40/MidJourney/real", "a1")
    for name in ("071", "720", "953"):
        images(root, f"FaceForensics++/original_sequences/youtube/c23/frames/{name}", "000")
    for folder, name in (("Celeb-real", "id1_0007"), ("Celeb-real", "id2_0001"), ("YouTube-real", "00170")):
        images(root, f"Celeb-DF-v2/{folder}/frames/{name}", "000")
    Path(root, "Celeb-DF-v2/List_of_testing_videos.txt").write_text("\n".join(CELEBDF_TEST))
    return root


def scan(name, root, **options):
    """The listing of a layout."""
    return list_data(LAYOUTS, name, root, options=options)


def records(listing):
    """Images and videos."""
    return [*listing.images, *listing.videos]


def videos(listing, split=None):
    """Names of the videos of a split."""
    return {r.video_id.split("/")[-1] for r in records(listing) if split in (None, r.split)}


def groups(listing, split):
    """Groups of a split."""
    return {r.group_id for r in records(listing) if r.split == split}


def needed(listing):
    """Where something was expected without which nothing is trained → what it is."""
    return {missing.path: missing.what for missing in listing.missing if missing.needed}
