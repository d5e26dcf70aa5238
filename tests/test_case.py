"""The record of a case: what it says of each file is so, it prints, and its folder is whole or not there."""

import hashlib
import json
import re
import signal

import numpy as np
import pytest
from PIL import Image, ImageFile

import media
from addnet.case import pdf, provenance, writer
from addnet.case.container import container_facts
from addnet.case.folder import new_folder, require_new
from addnet.case.provenance import provenance_facts
from addnet.case.ranges import above_threshold
from addnet.case.record import because
from addnet.config import compose
from addnet.errors import UserError
from addnet.evaluation.decision import Decision
from addnet.inference.answers import Answer, FaceAnswer, between
from addnet.predict import arguments_of, predict
from checkpoints import changed, checkpoint
from trainings import ended, launch, wait_for

pytestmark = pytest.mark.slow

HOSTILE = "<img src=http:⁄⁄x onerror=alert(1)>\u202e.png"  # what a name may hold beside / and NUL


@pytest.fixture(scope="module")
def ckpt(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs")
    plain = checkpoint(folder / "plain.ckpt", name="timm", backbone="test_efficientnet", data={"crop": "face"})
    rate = {"count": 7, "of": 500, "value": 0.014, "low": 0.0068, "high": 0.0286}
    errors = {"real_called_fake": rate, "fake_called_real": None}
    return changed(plain, folder / "best.ckpt", measured=[{"name": "portraits", "level": "frame", "errors": errors}])


@pytest.fixture(scope="module")
def files(portrait, tmp_path_factory):
    """An image with EXIF, one with a hostile name, a clip, and a file that is no image."""
    folder = tmp_path_factory.mktemp("in")
    exif = Image.Exif()
    exif[0x0110], exif[0x0132] = "Camera <b>7</b>", "2024:01:02 03:04:05"
    Image.fromarray(portrait[0]).save(folder / "a.jpg", exif=exif)
    Image.fromarray(portrait[0][:, ::-1]).save(folder / HOSTILE)
    media.write_video(folder / "clip.mp4", [portrait[0]] * 5)
    (folder / "text.jpg").write_text("no image")
    return folder


def run(ckpt, tmp_path, *arguments):
    where = [f"ckpt={ckpt}", f"paths.output_dir={tmp_path / 'out'}", "workers=0", "annotate=false", "quiet=true"]
    cfg = compose(arguments_of([*where, "detector.device=cpu", *map(str, arguments)]), config_name="predict")
    return predict(cfg)


@pytest.fixture(scope="module")
def case(ckpt, files, tmp_path_factory):
    folder = tmp_path_factory.mktemp("cases")
    run(ckpt, folder, files, f"case={folder / 'one'}")
    return folder / "one"


@pytest.fixture(scope="module")
def record(case):
    return json.loads((case / "case.json").read_text(encoding="utf-8"))


def by_name(record):
    return {file["path"].rpartition("/")[2]: file for file in record["files"]}


def test_each_file_has_its_hash_and_what_it_says_of_itself(record, files):
    found = by_name(record)
    assert set(found) == {file.name for file in files.iterdir()}
    for name, file in found.items():
        assert file["sha256"] == hashlib.sha256((files / name).read_bytes()).hexdigest()
        assert file["bytes"] == (files / name).stat().st_size
        assert not file["changed_while_examined"]
    assert found["a.jpg"]["container"]["exif"] == {"Model": "Camera <b>7</b>", "DateTime": "2024:01:02 03:04:05"}
    assert found["a.jpg"]["container"]["dates"] == [{"source": "EXIF DateTime", "text": "2024:01:02 03:04:05"}]
    (stream,) = found["clip.mp4"]["container"]["streams"]
    assert (stream["codec"], stream["width"], stream["frames"]) == ("h264", 200, 5)
    assert "not an image" in found["text.jpg"]["container"]["not_read"]


def test_frames_times_scores_and_verdicts_are_those_of_the_answers(record, case, tmp_path_factory):
    lines = (case.parent / "out" / "answers.jsonl").read_text(encoding="utf-8").splitlines()
    answers = {answer["path"]: answer for answer in map(json.loads, lines)}
    assert [file["answer"] for file in record["files"]] == [answers[file["path"]] for file in record["files"]]
    clip = by_name(record)["clip.mp4"]
    assert [look["frame"] for look in clip["looked_at"]] == list(range(5))
    assert [look["time"] for look in clip["looked_at"]] == pytest.approx([0, 0.04, 0.08, 0.12, 0.16])
    assert by_name(record)["text.jpg"]["verdict"] == "unusable"
    for name in ("a.jpg", "clip.mp4"):
        file = by_name(record)[name]
        assert f"{file['answer']['score']:.4f}" in file["because"]
        assert f"{file['answer']['threshold']:.4f}" in file["because"]


def test_it_says_which_detector_it_was_and_how_it_was_asked(record, ckpt):
    (weights, landmarks) = record["detector"]["files"]
    assert weights["sha256"] == hashlib.sha256(ckpt.read_bytes()).hexdigest()
    assert (weights["role"], landmarks["role"]) == ("weights", "landmark model")
    assert record["detector"]["thresholds"]["video"]["threshold"] == 0.3
    assert record["settings"]["frames"] == {"every": None, "frames": 32, "policy": "longest_track"}
    assert record["versions"]["packages"]["torch"]
    assert record["limits"]


def test_the_page_needs_nothing_else_and_trusts_no_name(case):
    page = (case / "report.html").read_text(encoding="utf-8")
    assert set(re.findall(r'(?:src|href)="(data:image/(?:png|jpeg));', page)) == {"data:image/png", "data:image/jpeg"}
    assert not re.findall(r'(?:src|href)="(?!data:)', page)
    assert "<b>7</b>" not in page
    assert "<img src=http" not in page
    assert "\u202e" not in page
    assert "Camera &lt;b&gt;7" in page
    assert page.count("Why: ") == 2 + 3  # a face of each image, three frames of the clip
    assert "1.4 % (0.7 to 2.9), 7 of 500" in page


def test_the_folder_lists_its_own_hashes(case):
    lines = dict(reversed(line.split("  ")) for line in (case / "SHA256SUMS").read_text().splitlines())
    assert set(lines) == {file.name for file in case.iterdir()} - {"SHA256SUMS"} >= {"case.json", "report.html"}
    assert all(hashlib.sha256((case / name).read_bytes()).hexdigest() == told for name, told in lines.items())


def test_a_folder_that_is_there_is_refused_before_anything_is_done(ckpt, files, tmp_path):
    (tmp_path / "one").mkdir()
    (tmp_path / "one" / "note").write_text("mine")
    with pytest.raises(UserError, match="already exists; a case is written once"):
        run(tmp_path / "no.ckpt", tmp_path, files, f"case={tmp_path / 'one'}")
    assert [file.name for file in tmp_path.rglob("*")] == ["one", "note"]
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    with pytest.raises(UserError, match="already exists"):
        require_new(tmp_path / "link")


def test_what_appears_meanwhile_is_not_overwritten(tmp_path):
    def write():
        with new_folder(tmp_path / "one") as part:
            (part / "case.json").write_text("new")
            (tmp_path / "one").mkdir()

    with pytest.raises(UserError, match="already exists"):
        write()
    assert list((tmp_path / "one").iterdir()) == []
    assert [file.name for file in tmp_path.iterdir()] == ["one"]


def test_an_error_leaves_no_folder(tmp_path):
    def write():
        with new_folder(tmp_path / "one") as part:
            (part / "case.json").touch()
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("number", "left"), [(signal.SIGINT, 0), (signal.SIGKILL, 1)])
def test_a_case_that_is_stopped_does_not_look_complete(ckpt, files, tmp_path, number, left):
    many = tmp_path / "many"
    many.mkdir()
    for copy in range(300):
        (many / f"{copy:03}.jpg").hardlink_to(files / "a.jpg")
    cases, answers = tmp_path / "cases", tmp_path / "out" / "answers.csv"
    arguments = [f"ckpt={ckpt}", f"hydra.run.dir={answers.parent}", f"case={cases / 'one'}", "workers=1", str(many)]
    process = launch(*arguments, module="addnet.predict")
    wait_for(lambda: answers.is_file() and len(answers.read_text().splitlines()) > 1, process)
    process.send_signal(number)
    ended(process, code=130 if number == signal.SIGINT else -9)
    there = list(cases.iterdir())
    assert len(there) == left
    assert all(folder.name.startswith(".one.unfinished-") and not [*folder.glob("*.json")] for folder in there)


def test_a_file_that_changes_while_it_is_examined_is_told(ckpt, files, tmp_path, monkeypatch):
    target = tmp_path / "a.jpg"
    target.write_bytes((files / "a.jpg").read_bytes())
    look = writer.CaseWriter.see_image

    def disturbed(self, answer, seen):
        look(self, answer, seen)
        target.write_bytes(target.read_bytes() + b"!")

    monkeypatch.setattr(writer.CaseWriter, "see_image", disturbed)
    run(ckpt, tmp_path, target, f"case={tmp_path / 'one'}")
    assert by_name(json.loads((tmp_path / "one" / "case.json").read_text()))["a.jpg"]["changed_while_examined"]
    assert "changed while it was examined" in (tmp_path / "one" / "report.html").read_text()


def test_frames_above_the_threshold_are_ranges_of_what_was_looked_at():
    scores = {0: 0.9, 10: 0.8, 20: 0.1, 40: 0.7, 50: 0.95}  # nothing of this person at 30
    faces = tuple(FaceAnswer("real", score, score, "detector", None, at, at / 10, 1) for at, score in scores.items())
    other = FaceAnswer("fake", 0.99, 0.99, "detector", None, 20, 2.0, 0)
    answer = Answer("real", 0.6, 0.6, 0.5, kind="video", faces=(*faces, other), looked_at=(0, 10, 20, 30, 40, 50))
    found = above_threshold(answer, 0.5)
    spans = {(one["track"], one["from_frame"], one["to_frame"], one["frames"]) for one in found["ranges"]}
    assert spans == {(1, 0, 10, 2), (1, 40, 50, 2), (0, 20, 20, 1)}
    assert {one["frame"] for one in found["frames"]} == {0, 10, 20, 40, 50}
    assert (found["ranges"][0]["from_time"], found["ranges"][0]["to_time"]) == (0.0, 1.0)


def test_the_reason_of_a_verdict_holds_what_the_answer_says():
    face = FaceAnswer("fake", 0.9, 0.9, "detector")
    decision = Decision(0.5, "0.5000, from validation")
    assert because(Answer("fake", 0.9, 0.9, 0.5, faces=(face,)), decision) == (
        "the score of the face, 0.9000, lies above the threshold 0.5000 (from validation)"
    )
    gated = Answer("undecided", 0.9, 0.9, 0.5, faces=(face,), reason="unlike its training images")
    assert because(gated, decision).startswith("unlike its training images; the score of the face, 0.9000")
    two = Decision(0.5, "0.5000, from validation", real_up_to=0.3)
    told = because(Answer("undecided", 0.4, 0.4, 0.5, faces=(face,), reason=between(two)), two)
    assert told.startswith("the score lies between 0.3000 and 0.5000, where ")
    assert because(Answer("no face", None, None, 0.5, reason="no face was found"), decision) == "no face was found"


def test_containers_that_are_damaged_are_sentences(tmp_path, files):
    (tmp_path / "cut.jpg").write_bytes((files / "a.jpg").read_bytes()[:40])
    with pytest.raises(UserError, match="damaged image"):
        container_facts(tmp_path / "cut.jpg", "image")
    (tmp_path / "cut.mp4").write_bytes((files / "clip.mp4").read_bytes()[:200])
    with pytest.raises(UserError, match="not a video, or truncated"):
        container_facts(tmp_path / "cut.mp4", "video")
    with pytest.raises(UserError, match="cannot be read: No such file"):
        container_facts(tmp_path / "gone.jpg", "image")


def test_without_weasyprint_the_page_is_there_and_it_is_said_how_to_get_it(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "weasyprint", None)
    made, told = pdf.pdf_of("<p>x</p>")
    assert made is None
    assert "pip install 'addnet[case]'" in told


def test_the_print_has_pages_and_fetches_nothing(case, tmp_path):
    (tmp_path / "secret.png").write_bytes(_png())
    page = f'<img src="file://{tmp_path}/secret.png">'
    with_image, told = pdf.pdf_of(page)
    assert not ImageFile.LOAD_TRUNCATED_IMAGES  # WeasyPrint switches it on, and cut images would pass for whole ones
    if with_image is None:
        pytest.skip(told)
    assert (case / "report.pdf").read_bytes().startswith(b"%PDF")
    (tmp_path / "secret.png").unlink()
    assert len(with_image) == pytest.approx(len(pdf.pdf_of(page)[0]), abs=60)


def _png():
    import io

    data = io.BytesIO()
    noise = np.random.default_rng(0).integers(0, 255, (64, 64, 3), dtype=np.uint8)
    Image.fromarray(noise).save(data, format="PNG")
    return data.getvalue()


# ---- signed provenance -------------------------------------------------------------------------------------


def test_without_c2pa_it_is_said_how_to_get_it(files, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "c2pa", None)
    assert provenance_facts(files / "a.jpg") == {"read": False, "present": None, "told": provenance.NOT_INSTALLED}


def test_a_signature_is_read_and_a_change_after_it_is_told(files, tmp_path):
    pytest.importorskip("c2pa")
    signed = _signed(files / "a.jpg", tmp_path / "signed.jpg")
    found = provenance_facts(signed)
    assert (found["read"], found["present"], found["valid"]) == (True, True, True)
    assert found["signed_by"] == "Drawn Camera of Drawn Studio"
    assert "is not verified" in found["told"]
    data = bytearray(signed.read_bytes())
    data[-100] ^= 1
    (tmp_path / "changed.jpg").write_bytes(data)
    found = provenance_facts(tmp_path / "changed.jpg")
    assert found["valid"] is False
    assert "assertion.dataHash.mismatch" in found["problems"]
    assert provenance_facts(files / "a.jpg")["present"] is False
    (tmp_path / "empty.jpg").touch()
    assert provenance_facts(tmp_path / "empty.jpg")["present"] is not True


def _signed(source, target):
    """A copy of a JPEG that is signed by a certificate which an authority made for this test has issued."""
    import c2pa
    from cryptography.hazmat.primitives import serialization

    chain, key = _certificates()
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    signer = c2pa.Signer.from_info(c2pa.C2paSignerInfo(b"es256", chain, private, None))
    kind = "http://cv.iptc.org/newscodes/digitalsourcetype/digitalCapture"
    actions = {"actions": [{"action": "c2pa.created", "digitalSourceType": kind}]}
    manifest = {"claim_generator_info": [{"name": "drawn"}], "assertions": [{"label": "c2pa.actions", "data": actions}]}
    with source.open("rb") as plain, target.open("w+b") as out:
        c2pa.Builder(manifest).sign(signer, "image/jpeg", plain, out)
    return target


def _certificates():
    from datetime import UTC, datetime, timedelta

    from cryptography import x509
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

    def named(organisation, name):
        pairs = ((NameOID.ORGANIZATION_NAME, organisation), (NameOID.COMMON_NAME, name))
        return x509.Name([x509.NameAttribute(oid, text) for oid, text in pairs])

    def certificate(subject, key, issuer, by, *, authority):
        purposes = dict.fromkeys(
            ("content_commitment", "key_encipherment", "data_encipherment", "key_agreement", "encipher_only"), False
        ) | {"decipher_only": False, "key_cert_sign": authority, "crl_sign": authority}
        built = x509.CertificateBuilder(issuer, subject, key.public_key(), x509.random_serial_number())
        built = built.not_valid_before(datetime.now(UTC) - timedelta(days=1))
        built = built.not_valid_after(datetime.now(UTC) + timedelta(days=30))
        built = built.add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
        built = built.add_extension(x509.KeyUsage(digital_signature=not authority, **purposes), critical=True)
        built = built.add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        whose = x509.AuthorityKeyIdentifier.from_issuer_public_key(by.public_key())
        built = built.add_extension(whose, critical=False)
        if not authority:
            usage = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.EMAIL_PROTECTION])
            built = built.add_extension(usage, critical=True)
        return built.sign(by, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)

    from cryptography.hazmat.primitives import serialization

    root, own = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    above, below = named("Drawn Authority", "Drawn Root"), named("Drawn Studio", "Drawn Camera")
    chain = certificate(below, own, above, root, authority=False) + certificate(
        above, root, above, root, authority=True
    )
    return chain, own
