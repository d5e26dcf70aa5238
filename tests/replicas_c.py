"""Small replicas of data sets of 2021 and later: real names and lists, empty videos."""

from __future__ import annotations

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
