"""Small replicas of data sets of 2021 and later: real names and lists, empty videos."""

from __future__ import annotations

from replicas import make_faceforensics
from replicas_b import touch, write

FAVC_HEADER = "source,target1,target2,method,category,type,race,gender,path,\n"
FAVC_KINDS = ("RealVideo-RealAudio", "FakeVideo-RealAudio", "FakeVideo-FakeAudio", "RealVideo-FakeAudio")
FAVC_PERSONS = {"id00076": "African/men", "id00166": "African/men", "id10006": "Asian (East)/women"}


def make_fakeavceleb(root, base=""):
    """Three persons with a real video, four fakes and a cloned voice each, and the list of all."""
    root, lines = root / base, [FAVC_HEADER]
    persons = list(FAVC_PERSONS)
    for number, (person, place) in enumerate(FAVC_PERSONS.items()):
        other = persons[number - 1]
        names = {
            "00109.mp4": (FAVC_KINDS[0], "-", "real"),
            f"00109_{other}_faceswap.mp4": (FAVC_KINDS[1], other, "faceswap"),
            f"00109_{other}_wavtolip.mp4": (FAVC_KINDS[1], other, "wav2lip"),
            f"00109_2_{other}_wavtolip.mp4": (FAVC_KINDS[2], other, "fsgan-wav2lip"),
            f"00109_{other}_SdP_Monh-_4_{other}_wavtolip.mp4": (FAVC_KINDS[2], other, "wav2lip"),
            "00109_fake.mp4": (FAVC_KINDS[3], "-", "rtvc"),
        }
        for name, (kind, target, method) in names.items():
            touch(root, f"{kind}/{place}/{person}/{name}")
            race, gender = place.split("/")
            lines.append(f"{person},{target},-,{method},A,{kind},{race},{gender},{name},FakeAVCeleb/{kind}/{place}\n")
    write(root, "meta_data.csv", "".join(lines))
    return root


CELEBDFPP_METHODS = {"FaceSwap": ("Celeb-DF", "GHOST"), "FaceReenact": ("LIA",), "TalkingFace": ("SadTalker",)}


def make_celebdfpp(root, *, own="Celeb-DF"):
    """Four methods of 22; as in the real one, most target videos have some fake in the list."""
    touch(root, *(f"Celeb-real/{name}.mp4" for name in ("id1_0007", "id16_0000", "id2_0001")))
    touch(root, "YouTube-real/00170.mp4", "YouTube-real/00171.mp4")
    lines = [f"1 {name}.mp4" for name in ("YouTube-real/00170", "Celeb-real/id1_0007", "Celeb-real/id16_0000")]
    for scenario, methods in CELEBDFPP_METHODS.items():
        for method in methods:
            folder = f"Celeb-synthesis/{scenario}/{own if method == 'Celeb-DF' else method}"
            names = ("id1_id0_0007", "id16_id20_0000", "id2_id3_0001")
            if scenario == "TalkingFace":
                names = ("id1_0007_test_id08701_aaa", "id16_0000_test_id1_b", "id2_0001_test_id08701_aaa")
            touch(root, *(f"{folder}/{name}.mp4" for name in names))
            lines += [f"0 {folder}/{name}.mp4" for name in names[: 1 + (method == "GHOST")]]
    write(root, "List_of_testing_videos.txt", "\n".join(lines))
    return root


def make_faceshifter(root):
    """The fakes in the tree of FaceForensics++, beside those of another method."""
    return make_faceforensics(root, methods=("FaceShifter", "Deepfakes"))


def make_dfdm(root, *, rates=(23,), places=("Dfaker", "")):
    """Two models, one of which has a folder, and the real videos of Celeb-DF that they were made of, and one more."""
    for rate in rates:
        for place, tag in zip(places, ("4dfaker", "iae"), strict=True):
            for name in ("id28_id20_0008", "id20_id28_0001", "id1_id0_0007"):
                touch(root, "/".join(filter(None, (f"DFDM_crf{rate}", place, f"{name}_{tag}.mp4"))))
    touch(root, *(f"Celeb-real/{name}.mp4" for name in ("id28_0008", "id20_0001", "id1_0007", "id9_0009")))
    return root


KODF_ACTORS = ("0a1b2c3d4e5f60718293", "123456")
KODF_METHODS = {"audio-driven": 5, "dffs": 2, "fsgan": 3}


def make_kodf(root, *, real="original_videos", fake="synthesized_videos"):
    """Two actors, three methods, folders as in the version that is sent on request."""
    for number, actor in enumerate(KODF_ACTORS):
        touch(root, *(f"{real}/{actor}/{actor}_{clip:03d}.mp4" for clip in (1, 2)))
        other = KODF_ACTORS[1 - number]
        for method, code in KODF_METHODS.items():
            touch(root, f"{fake}/{method}/20200817/{actor}/{actor}_{other}_{code}_0001.mp4")
    return root


DEEPSPEAK_HEADER = (
    "video-file,kind,engine,identity-source,identity-target,recording-source,recording-target,audio-config\n"
)


def make_deepspeak(root, *, version="v2"):
    """Five persons, three of them in train; fakes within each side, and one across; files in folders of archives."""
    reals = {"87-0": "87", "13-1": "13", "10-4100": "10", "11-4897": "11", "12-5000": "12"}
    name = {"v1": "facefusion--{0}-{1}--1-{2}--0", "v2": "facefusion-{0}00{1}-{2}-playht"}[version]
    fakes = [
        ("10", "87", "0"),
        ("13", "10", "4100"),
        ("87", "13", "1"),
        ("11", "12", "5000"),
        ("12", "11", "4897"),
        ("87", "11", "4897"),
    ]
    fakes = {name.format(*who): who for who in fakes}
    rows = [f"{real}.mp4,{person},scripted\n" for real, person in reals.items()]
    write(root, "annotations-real.csv", "".join(["video-file,identity,kind\n", *rows]))
    rows = [f"{fake}.mp4,face-swap,facefusion,{a},{b},1,{c},playht\n" for fake, (a, b, c) in fakes.items()]
    write(root, "annotations-fake.csv", "".join([DEEPSPEAK_HEADER, *rows]))
    write(root, "annotations-split-def.csv", "identity,split\n87,train\n10,train\n13,train\n11,test\n12,test\n")
    for number, video in enumerate([*reals, *fakes]):
        touch(root, f"deepspeak-{version}-{number % 2}/{video}.mp4")
    return root
