"""`python -m addnet.data check` says what is there, what is missing and where it was expected."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from addnet.data.__main__ import main
from addnet.data.check import problems, rows, warnings
from addnet.data.layouts import Listing
from addnet.index.records import Record, Records
from replicas import make_celebdf, make_dfd, make_faceforensics, needed, scan


def check(capsys, *arguments):
    """Exit code and all that was printed."""
    code = main(["check", *arguments])
    printed = capsys.readouterr()
    return code, printed.out + printed.err


def test_a_complete_data_set_is_counted_by_split_class_and_method(tmp_path, capsys):
    make_faceforensics(tmp_path, methods=["Deepfakes", "Face2Face", "FaceSwap", "NeuralTextures"])
    code, text = check(capsys, "data=faceforensics", f"data.data_dir={tmp_path}")
    assert code == 0
    assert "complete" in text
    assert "videos are ready to be trained on: faces are cut out of them first" in text
    found = list(rows(scan("faceforensics", tmp_path).videos))
    assert found[0] == ("train", "real", "youtube", 4, 4, 2)
    assert [row[:3] for row in found[::5]] == [(split, "real", "youtube") for split in ("train", "val", "test")]
    assert sum(row.files for row in found) == 40


def test_frames_are_counted_apart_from_videos(tmp_path):
    listing = scan("celebdf", make_celebdf(tmp_path, kind="frames"))
    row = next(row for row in rows(listing.pictures) if row[:3] == ("test", "fake", "Celeb-synthesis"))
    assert (row.files, row.videos, row.groups) == (4, 2, 2)


def test_what_is_missing_is_told_with_the_place_where_it_was_expected(tmp_path, capsys):
    make_faceforensics(tmp_path, lists=False)
    code, text = check(capsys, "data=faceforensics", f"data.data_dir={tmp_path}")
    assert code == 1
    assert "missing: splits/train.json, official split list (github.com/ondyari/FaceForensics" in text
    assert "missing: manipulated_sequences/Face2Face/c23, fake videos or pictures (Face2Face)" in text
    assert "not ready" in text


def test_what_is_not_needed_does_not_fail_the_check(tmp_path, capsys):
    code, text = check(capsys, "data=faceforensics", f"data.data_dir={make_faceforensics(tmp_path)}")
    assert code == 0
    assert "incomplete, but usable" in text


def test_options_reach_the_layout(tmp_path, capsys):
    make_faceforensics(tmp_path, compression="c40")
    place = f"data.data_dir={tmp_path}"
    assert check(capsys, "data=faceforensics", place)[0] == 1
    assert check(capsys, "data=faceforensics", place, "data.options.compression=c40")[0] == 0


def test_the_plain_folder_is_checked_too(data_dir, capsys):
    code, text = check(capsys, f"data.data_dir={data_dir}")
    assert code == 0
    assert "pictures are ready to be trained on" in text
    code, text = check(capsys, f"data.data_dir={data_dir / 'train' / 'real'}")
    assert code == 1
    assert "expected:" in text


def test_a_leak_and_a_split_of_one_class_are_told():
    made = [Record(f"{n}", 0, split, f"v{n}", "same", "d") for n, split in enumerate(("train", "test"))]
    text = " ".join(warnings(Listing(Records.of(made))))
    assert "1 groups are in train and in test" in text
    assert "test has no fake pictures" in text


def test_a_train_split_of_one_class_is_usable_beside_others_only(data_dir, tmp_path, capsys):
    shutil.copytree(data_dir / "train" / "real", tmp_path / "real")
    lines = [f"real/{file.name},real,train" for file in (tmp_path / "real").iterdir()]
    (tmp_path / "list.csv").write_text("\n".join(["path,label,split", *lines]))
    code, text = check(capsys, "data=manifest", f"data.data_dir={tmp_path / 'list.csv'}")
    assert (code, "to be trained on, beside another data set that has fake ones" in text) == (0, True)


def test_an_empty_listing_is_a_problem(tmp_path):
    assert problems(Listing()) == ["neither pictures nor videos that belong to a split"]
    assert len(problems(scan("celebdf", tmp_path))) == 1 + len(needed(scan("celebdf", tmp_path)))


def test_an_index_and_a_test_set_are_checked_too(data_dir, index_dir, tmp_path, capsys):
    from addnet.data import DeepfakeDataModule

    module = DeepfakeDataModule(str(data_dir), index_dir=str(index_dir), num_workers=0)
    module.prepare_data()
    code, text = check(capsys, "data=index", f"data.index={module.train_sources[0].index_file}")
    assert (code, "complete: pictures are ready to be trained on" in text) == (0, True)
    code, text = check(capsys, "data=dfd", f"data.data_dir={make_dfd(tmp_path)}")
    assert (code, "videos are ready to be tested on" in text) == (0, True)
    assert "name this one in data.test" in text
    assert check(capsys, "data=index", "data.index=absent.parquet")[0] == 1


@pytest.mark.parametrize(
    ("arguments", "answer"),
    [
        (["chekc"], "Did you mean 'check'"),
        (["check", "data.optons.compression=c40", "data=faceforensics"], "did you mean data.options.compression"),
        (["check", "data=faceforensic"], "faceforensics"),
        (["check", "data=faceforensics", "data.options.compresion=c40"], "compression (with data=faceforensics)"),
    ],
)
def test_mistakes_are_answered_with_what_was_meant(arguments, answer, capsys):
    assert main(arguments) == 2
    assert answer in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "answer"),
    [
        (["check"], "data.data_dir is not set"),
        (["check", "data=dfd", "data.data_dir=/absent"], "no such folder"),
        (["check", "data=dfd", "data.data_dir=.", "data.options.split=train"], "choose one of: test, actors"),
        (
            ["check", "data=dfd", "data.data_dir=.", "+data.options.frames=3"],
            "'frames' is no option of",
        ),
        (["check", "data=dfd", "data.data_dir=.", "data.group_pattern=x"], "'group_pattern' is no option"),
    ],
)
def test_a_wrong_folder_or_option_ends_in_a_sentence(arguments, answer, capsys):
    assert main(arguments) == 1
    assert answer in capsys.readouterr().err


def test_looking_at_data_does_not_import_torch():
    code = (
        "import sys, addnet.data.check, addnet.data.__main__\n"
        "heavy = {'torch', 'torchvision', 'pytorch_lightning', 'dlib', 'av', 'comet_ml'}\n"
        "sys.exit(' '.join(heavy & set(sys.modules)) or None)"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=False)
    assert result.returncode == 0, result.stderr


def test_what_the_package_offers_is_there_all_the_same():
    import addnet.data

    assert addnet.data.DeepfakeDataModule.__module__ == "addnet.data.datamodule"
    assert all(hasattr(addnet.data, name) for name in addnet.data.__all__)
    assert not hasattr(addnet.data, "DeepfakeModule")


def test_every_layout_is_on_the_page_about_data_sets():
    from addnet.data.layouts import LAYOUTS

    text = (Path(__file__).parents[1] / "docs" / "datasets.md").read_text(encoding="utf-8")
    for name in LAYOUTS:
        assert f"| `{name}` |" in text, name
        assert any(f"`{name}`" in line for line in text.splitlines() if line.startswith("## ")), name
