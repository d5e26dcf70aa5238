"""Validation and test never see what training saw."""

import shutil

import pytest

from addnet.data.layouts import LAYOUTS, list_data, scan_folder
from addnet.data.splits import carve_validation, check_overlap, limit
from addnet.errors import UserError
from addnet.index.records import Record

KINDS = ("real", "fake")


def _records(groups, labels=(0, 1), per_group=3):
    return [
        Record(
            path=f"train/{label}/{group}_{n}.jpg",
            label=label,
            split="train",
            video_id=f"{group}-{label}",
            group_id=group,
            dataset="d",
        )
        for group in groups
        for label in labels
        for n in range(per_group)
    ]


def _touch(root, *paths):
    for path in paths:
        file = root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(b"x")


@pytest.mark.parametrize("fraction", [0.1, 0.3])
@pytest.mark.parametrize("seed", [0, 1])
def test_no_group_is_in_training_and_validation(fraction, seed):
    records = _records([f"g{n:03d}" for n in range(100)])
    train, val = carve_validation(records, fraction, seed=seed)
    assert not {r.group_id for r in train} & {r.group_id for r in val}
    assert len(train) + len(val) == len(records)
    assert {r.split for r in val} == {"val"}
    assert len(val) == pytest.approx(fraction * len(records), rel=0.1)


def test_groups_of_one_class_each_still_give_both_classes():
    records = _records([f"r{n}" for n in range(20)], labels=(0,)) + _records([f"f{n}" for n in range(200)], labels=(1,))
    _, val = carve_validation(records, 0.1, seed=0)
    assert sum(r.label == 0 for r in val) == 6
    assert sum(r.label == 1 for r in val) == 60


def test_validation_depends_on_the_seed_and_on_nothing_else():
    records = _records([f"g{n}" for n in range(50)])
    first, again, other = (carve_validation(records, 0.2, seed=seed)[1] for seed in (0, 0, 1))
    assert first == again
    assert first != other


def test_too_few_groups_are_refused():
    with pytest.raises(UserError, match="no real and no fake"):
        carve_validation(_records(["only"]), 0.1, seed=0)


def test_limits_keep_groups_whole_and_classes_balanced():
    limited = limit(_records([f"g{n}" for n in range(50)]), 30, seed=0)
    assert len(limited) == 30
    assert len({r.group_id for r in limited}) == 5
    assert sum(r.label for r in limited) == 15


def test_a_leak_stops_training_with_the_list(own_data_dir, index_dir):
    from addnet.data import DeepfakeDataModule

    stolen = next((own_data_dir / "train" / "real").iterdir())
    shutil.copy(stolen, own_data_dir / "test" / "real")
    with pytest.raises(UserError, match=stolen.name.split("_")[0]):
        DeepfakeDataModule(str(own_data_dir), index_dir=str(index_dir)).prepare_data()
    allowed = DeepfakeDataModule(str(own_data_dir), index_dir=str(index_dir), allow_overlap=True, val_fraction=0.3)
    allowed.prepare_data()


def test_frames_in_a_folder_are_a_video_and_a_group(tmp_path):
    _touch(tmp_path, "train/real/v1/0001.png", "train/real/v1/0007.png", "train/fake/deep/v1_v2/0001.png")
    _touch(tmp_path, "test/real/v9/1.png", "test/fake/v8/1.png")
    records = {r.path: r for r in scan_folder(tmp_path)}
    assert records["train/real/v1/0001.png"].video_id == records["train/real/v1/0007.png"].video_id
    assert records["train/real/v1/0001.png"].group_id == "v1"
    assert records["train/fake/deep/v1_v2/0001.png"].group_id == "v1"  # with what it was made of
    assert records["train/fake/deep/v1_v2/0001.png"].video_id.endswith("fake/deep/v1_v2")


def test_flat_names_group_by_their_first_word(tmp_path):
    _touch(tmp_path, "train/real/abc.jpg", "train/fake/abc_def.jpg", "train/fake/abc_def_012.jpg")
    _touch(tmp_path, "test/real/x.jpg", "test/fake/x_y.JPG", "test/fake/.hidden.jpg", "test/fake/notes.txt")
    records = scan_folder(tmp_path)
    train = [r for r in records if r.split == "train"]
    assert {r.group_id for r in train} == {"abc"}
    fakes = {r.video_id for r in train if r.label == 1}
    assert len(fakes) == 1  # abc_def_012 is a frame of abc_def
    assert not fakes & {r.video_id for r in train if r.label == 0}
    assert len(records) == 5
    assert not check_overlap(train, [r for r in records if r.split == "test"])


def test_patterns_replace_the_defaults(tmp_path):
    for split, name in (("train", "id7-a"), ("test", "id8-a")):
        _touch(tmp_path, f"{split}/real/{name}.jpg", f"{split}/fake/{name}.jpg")
    records = scan_folder(tmp_path, group_pattern=r"id(\d+)")
    assert {r.group_id for r in records} == {"7", "8"}
    records = scan_folder(tmp_path, video_pattern=r"(id\d+)-")
    assert {(r.video_id.partition("/")[2], r.group_id) for r in records if r.label} == {
        ("fake/id7", "id7"),
        ("fake/id8", "id8"),
    }
    with pytest.raises(UserError, match="matches nothing in"):
        scan_folder(tmp_path, group_pattern=r"person(\d+)")
    with pytest.raises(UserError, match="not a regular expression"):
        scan_folder(tmp_path, video_pattern="(")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda root: shutil.rmtree(root), "no such folder"),
        (lambda root: [shutil.rmtree(root / split) for split in ("train", "test")], "neither a folder 'train'"),
        (lambda root: (root / "train" / "fake").rename(root / "train" / "altar"), "unknown class folders"),
        (lambda root: [file.unlink() for file in root.rglob("*.jpg")], "holds no images"),
    ],
)
def test_a_wrong_layout_is_shown_beside_the_right_one(tmp_path, change, message):
    _touch(tmp_path, *(f"faces/{split}/{name}/a.jpg" for split in ("train", "test") for name in ("real", "fake")))
    change(tmp_path / "faces")
    with pytest.raises(UserError, match=message) as error:
        scan_folder(tmp_path / "faces")
    assert "train/real/**/*" in str(error.value)


def test_what_lacks_is_listed_and_what_is_there_is_not_refused(tmp_path):
    _touch(tmp_path, "train/real/a.jpg", "train/fake/b.jpg", "test/real/c.jpg")
    listing = list_data(LAYOUTS, "folder", tmp_path, options={})
    assert [missing.path for missing in listing.missing] == ["test/fake"]
    shutil.rmtree(tmp_path / "test")
    assert [missing.path for missing in list_data(LAYOUTS, "folder", tmp_path, options={}).missing] == ["test"]


def _selected(root, **arguments):
    from addnet.data.selection import select, select_test
    from addnet.data.sources import Source

    source = Source("folder", str(root))
    limits = dict.fromkeys(("train", "val", "test"))
    splits = select([source], [source], val_fraction=0.2, allow_overlap=False, limits=limits, **arguments)
    tested = select_test([source], limit_to=None, seed=99, test_fraction=arguments["test_fraction"])
    return splits, tested


def test_a_test_set_kept_from_training_is_the_same_for_every_seed_and_every_evaluation(tmp_path):
    _touch(
        tmp_path, *(f"train/{kind}/g{n}_{frame}.jpg" for kind in ("real", "fake") for n in range(9) for frame in "12")
    )
    found = [_selected(tmp_path, seed=seed, test_fraction=0.3) for seed in range(4)]
    tests = {tuple(part.paths.to_pylist()) for splits, tested in found for part in (splits["test"], tested)}
    assert [len(test) for test in tests] == [12]
    for splits, _ in found:
        groups = [set(splits[name].names("group_id")) for name in ("train", "val", "test")]
        assert sum(map(len, groups)) == len(set.union(*groups)) == 9
    assert len({tuple(splits["val"].paths.to_pylist()) for splits, _ in found}) > 1


def test_a_folder_for_validation_is_used_as_it_is(tmp_path):
    names = [f"{split}/{kind}/{split}{n}.jpg" for split in ("train", "val", "test") for kind in KINDS for n in range(3)]
    _touch(tmp_path, *names)
    splits, _ = _selected(tmp_path, seed=0, test_fraction=None)
    for name, part in splits.items():
        assert {path.split("/")[0] for path in part.paths.to_pylist()} == {name}
        assert len(part) == 6
