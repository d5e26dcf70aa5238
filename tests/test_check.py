"""`addnet data check` says what is there, what is missing and where it was expected."""

import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from addnet.data.__main__ import main
from addnet.data.check import problems, rows, warnings
from addnet.data.layouts import Listing
from addnet.errors import UserError
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
    assert "videos are ready to be trained on; faces are cropped from them first" in text
    found = list(rows(scan("faceforensics", tmp_path).videos))
    assert found[0] == ("train", "real", "youtube", 4, 4, 2)
    assert [row[:3] for row in found[::5]] == [(split, "real", "youtube") for split in ("train", "val", "test")]
    assert sum(row.files for row in found) == 40


def test_frames_are_counted_apart_from_videos(tmp_path):
    listing = scan("celebdf", make_celebdf(tmp_path, kind="frames"))
    row = next(row for row in rows(listing.images) if row[:3] == ("test", "fake", "Celeb-synthesis"))
    assert (row.files, row.videos, row.groups) == (4, 2, 2)


def test_what_is_missing_is_told_with_the_place_where_it_was_expected(tmp_path, capsys):
    make_faceforensics(tmp_path, lists=False)
    code, text = check(capsys, "data=faceforensics", f"data.data_dir={tmp_path}")
    assert code == 1
    assert "missing: splits/train.json, official split list (github.com/ondyari/FaceForensics" in text
    assert "missing: manipulated_sequences/Face2Face/c23, fake videos or images (Face2Face)" in text
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
    assert "images are ready to be trained on" in text
    code, text = check(capsys, f"data.data_dir={data_dir / 'train' / 'real'}")
    assert code == 1
    assert "expected:" in text


def test_a_leak_and_a_split_of_one_class_are_told():
    made = [
        Record(path=f"{n}", label=0, split=split, video_id=f"v{n}", group_id="same", dataset="d")
        for n, split in enumerate(("train", "test"))
    ]
    text = " ".join(warnings(Listing(Records.of(made))))
    assert "1 group is in both train and test" in text
    assert "test has no fake images" in text


def test_a_train_split_of_one_class_is_usable_beside_others_only(data_dir, tmp_path, capsys):
    shutil.copytree(data_dir / "train" / "real", tmp_path / "real")
    lines = [f"real/{file.name},real,train" for file in (tmp_path / "real").iterdir()]
    (tmp_path / "list.csv").write_text("\n".join(["path,label,split", *lines]))
    code, text = check(capsys, "data=manifest", f"data.data_dir={tmp_path / 'list.csv'}")
    assert (code, "not ready" in text) == (1, True)
    both = f"data.train=[{tmp_path / 'list.csv'},folder:{data_dir}]"
    code, text = check(capsys, both, f"data.test=[folder:{data_dir}]")
    assert (code, "complete: images are ready to be trained on" in text) == (0, True)


def test_an_empty_listing_is_a_problem(tmp_path):
    assert problems(Listing()) == ["neither images nor videos that belong to a split"]
    assert len(problems(scan("celebdf", tmp_path))) == 1 + len(needed(scan("celebdf", tmp_path)))


def test_an_index_and_a_test_set_are_checked_too(data_dir, index_dir, tmp_path, capsys):
    from addnet.data import DeepfakeDataModule

    module = DeepfakeDataModule(str(data_dir), index_dir=str(index_dir), num_workers=0)
    module.prepare_data()
    code, text = check(capsys, "data=index", f"data.index={module.train_sources[0].index_file}")
    assert (code, "complete: images are ready to be trained on" in text) == (0, True)
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
        (["check", "data=faceforensics", "data.options.compresion=c40"], "did you mean data.options.compression"),
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
            "'frames' is not an option of",
        ),
        (["check", "data=dfd", "data.data_dir=.", "data.group_pattern=x"], "'group_pattern' is not an option"),
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


def _touch(root, *paths):
    for path in paths:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(b"x")


KINDS, BOTH = ("real", "fake"), ("train", "test")


@pytest.mark.parametrize(
    ("paths", "more", "answer"),
    [
        ([f"{split}/{kind}/{split}{n}.jpg" for split in BOTH for kind in KINDS for n in range(4)], [], ""),
        (
            [f"{split}/{kind}/{n}.jpg" for split in BOTH for kind in KINDS for n in range(4)],
            [],
            "in both train and test",
        ),
        ([f"train/{kind}/{n}.jpg" for kind in KINDS for n in range(4)], [], "no test images"),
        ([f"train/{kind}/{n}.jpg" for kind in KINDS for n in range(4)], ["data.test_fraction=0.3"], ""),
        ([f"{kind}/{n}.jpg" for kind in KINDS for n in range(4)], ["data.test_fraction=0.3"], ""),
        (
            [f"train/{kind}/a{n}.jpg" for kind in KINDS for n in range(4)] + ["test/real/b.jpg", "test/fake/b.jpg"],
            ["data.test_fraction=0.3"],
            "there are test images",
        ),
        ([f"{split}/real/{split}{n}.jpg" for split in BOTH for n in range(4)], [], "training would have no fake"),
        ([f"{split}/{kind}/{split}.jpg" for split in BOTH for kind in KINDS], [], "groups: 1; see data.group_pattern"),
        (
            [f"{split}/{kind}/{split}{n}.jpg" for split in BOTH for kind in KINDS for n in range(4)]
            + ["val/real/v.jpg"],
            [],
            "validation would have no fake",
        ),
        (
            [f"{split}/{kind}/{split}{n}.jpg" for split in BOTH for kind in KINDS for n in range(4)]
            + ["val/real/train1.jpg", "val/fake/train1.jpg"],
            [],
            "in both train and val",
        ),
    ],
)
def test_the_verdict_is_that_of_training_by_the_same_code(paths, more, answer, tmp_path, capsys):
    from addnet.config import build, compose

    _touch(tmp_path / "set", *paths)
    code, text = check(capsys, f"data.data_dir={tmp_path / 'set'}", *more)
    assert (code, answer in " ".join(text.split())) == (bool(answer), True)
    module = build(compose([f"data.data_dir={tmp_path / 'set'}", f"data.index_dir={tmp_path}", *more]).data)
    if not answer:
        splits = module.plan._selected()
        assert all(f"{len(splits[name]):,} in" in text for name in ("train", "val", "test"))
        return
    with pytest.raises(UserError, match=answer):
        module.plan._selected()


@pytest.mark.parametrize(
    ("paths", "doubt"),
    [
        ([f"{split}/{kind}/{n:04d}.jpg" for split in BOTH for kind in KINDS for n in range(8)], "(.+)"),
        ([f"{split}/{kind}/{split[:2]}x_{n:04d}.jpg" for split in BOTH for kind in KINDS for n in range(8)], "group"),
        (
            [
                f"{split}/{kind}/celebA_{n + 10 * (split == 'test'):04d}.jpg"
                for split in BOTH
                for kind in KINDS
                for n in range(8)
            ],
            r"celebA_(\d+)",
        ),
        (
            [
                f"{split}/{kind}/{who[split]}/v{n % 4}/{n:04d}.jpg"
                for who in [{"train": "jo", "test": "al"}]
                for split in BOTH
                for kind in KINDS
                for n in range(8)
            ],
            "[^/]+/[^/]+/(.+)/",
        ),
    ],
)
def test_the_line_that_is_printed_works_as_it_is_typed(paths, doubt, tmp_path, capsys):
    """What a shell makes of the line is given to the command, which then finds nothing to refuse."""
    _touch(tmp_path / "set", *paths)
    code, text = check(capsys, f"data.data_dir={tmp_path / 'set'}")
    assert code == 1
    line = re.search(r"""('?data\.(group|video)_pattern=\S+ ?)+""", text)[0]
    assert doubt in line
    code, text = check(capsys, f"data.data_dir={tmp_path / 'set'}", *shlex.split(line))
    assert code == 0, text


def test_a_pattern_that_takes_more_for_one_video_is_named_with_what_it_finds(tmp_path, capsys):
    paths = [
        f"{split}/{kind}/{split}{n}-{side}.jpg" for split in BOTH for kind in KINDS for n in range(4) for side in "lr"
    ]
    _touch(tmp_path / "set", *paths)
    _, text = check(capsys, f"data.data_dir={tmp_path / 'set'}")
    line = re.search(r"type (\S+), which finds 'test0' in test/fake/test0-l.jpg", text)[1]
    code, text = check(capsys, f"data.data_dir={tmp_path / 'set'}", *shlex.split(line))
    assert (code, "doubtful" in text) == (0, False)


def test_groups_that_tear_videos_are_refused_with_a_line_that_works(tmp_path, capsys):
    paths = [f"{split}/{kind}/{split}{n // 3}_{n:04d}.jpg" for split in BOTH for kind in KINDS for n in range(12)]
    _touch(tmp_path / "set", *paths)
    pattern = "data.group_pattern='([^/]+)[.]jpg'"
    code, text = check(capsys, f"data.data_dir={tmp_path / 'set'}", pattern)
    assert (code, "16 videos are in several groups" in text) == (1, True)
    line = re.search(r"'?data\.video_pattern=\S+", text)[0]
    assert check(capsys, f"data.data_dir={tmp_path / 'set'}", pattern, *shlex.split(line))[0] == 0
