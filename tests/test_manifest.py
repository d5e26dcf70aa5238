"""Tables of images as people write them become records; what makes no sense is named with its row."""

from __future__ import annotations

import json
import random
import re
import shlex
from collections import defaultdict
from pathlib import Path

import pytest

from addnet.config import compose, plain
from addnet.data.layouts.bench_json import read_description
from addnet.data.layouts.lists import read_object
from addnet.data.layouts.manifest import scan_manifest
from addnet.errors import UserError
from replicas_b import draw, touch, write

ROWS = ["a/0.jpg,real,train,v1,g1", "a/1.jpg,real,train,v1,g1", "b/0.jpg,fake,train,v1,g1", "c/5.jpg,fake,test,v2,g2"]
PATHS = [row.split(",")[0] for row in ROWS]


def manifest(folder, rows=ROWS, *, header="path,label,split,video,group", name="manifest.csv", encoding="utf-8"):
    """A manifest and the (empty) files that it names."""
    file = folder / name
    file.write_text("\n".join([header, *rows]) + "\n", encoding=encoding)
    touch(folder, *PATHS)
    return file


def test_columns_become_fields(tmp_path):
    records = scan_manifest(manifest(tmp_path), dataset="mine").images
    assert [(r.path, r.label, r.split) for r in records] == [
        ("a/0.jpg", 0, "train"),
        ("a/1.jpg", 0, "train"),
        ("b/0.jpg", 1, "train"),
        ("c/5.jpg", 1, "test"),
    ]
    assert [r.video_id for r in records] == ["mine/real/v1", "mine/real/v1", "mine/fake/v1", "mine/fake/v2"]
    assert [r.group_id for r in records] == ["mine/g1"] * 3 + ["mine/g2"]
    assert [r.frame for r in records] == [0, 1, 0, 5]


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
def test_delimiters_and_byte_order_marks_make_no_difference(tmp_path, delimiter, encoding):
    expected = scan_manifest(manifest(tmp_path)).images
    header = delimiter.join(["path", "label", "split", "video", "group"])
    rows = [row.replace(",", delimiter) for row in ROWS]
    assert scan_manifest(manifest(tmp_path, rows, header=header, encoding=encoding)).images == expected


def test_json_in_all_its_forms_gives_the_same(tmp_path):
    expected = scan_manifest(manifest(tmp_path)).images
    keys = ("path", "label", "split", "video", "group")
    entries = [dict(zip(keys, row.split(","), strict=True)) for row in ROWS]
    by_path = {entry["path"]: {k: v for k, v in entry.items() if k != "path"} for entry in entries}
    lines = "\n".join(json.dumps(entry) for entry in entries)
    forms = {"list.json": entries, "object.json": by_path, "lines.jsonl": lines, "lines.json": lines}
    for name, content in forms.items():
        write(tmp_path, name, content)
        assert scan_manifest(tmp_path / name).images == expected, name


def test_json_numbers_and_plain_labels(tmp_path):
    manifest(tmp_path)
    write(tmp_path, "m.json", [{"file": "a/0.jpg", "label": 0, "frame": 12}, {"file": "b/0.jpg", "label": 1}])
    assert [(r.label, r.frame) for r in scan_manifest(tmp_path / "m.json").images] == [(0, 12), (1, -1)]
    write(tmp_path, "m.json", {"a/0.jpg": "REAL", "b/0.jpg": "FAKE"})
    assert [r.label for r in scan_manifest(tmp_path / "m.json").images] == [0, 1]


@pytest.mark.parametrize("words", [("0", "1"), ("Real", "FAKE"), ("original", " manipulated "), ("pristine", "forged")])
def test_labels_as_people_write_them(tmp_path, words):
    rows = [f"a/0.jpg,{words[0]}", f"b/0.jpg,{words[1]}"]
    records = scan_manifest(manifest(tmp_path, rows, header="path,label")).images
    assert [record.label for record in records] == [0, 1]


def test_true_means_fake_only_where_the_column_asks_for_fakes(tmp_path):
    rows = ["a/0.jpg,False", "b/0.jpg,True"]
    assert list(scan_manifest(manifest(tmp_path, rows, header="path,is_fake")).images.labels) == [0, 1]
    with pytest.raises(UserError, match="row 2: label='False'"):
        scan_manifest(manifest(tmp_path, rows, header="path,label"))


def test_other_words_are_told_by_an_option(tmp_path):
    file = manifest(tmp_path, ["a/0.jpg,1", "b/0.jpg,0"], header="path,label")
    assert list(scan_manifest(file, labels={"1": "real", "0": "fake"}).images.labels) == [0, 1]
    with pytest.raises(UserError, match=r"data\.options\.labels\.1='true'.*real, fake"):
        scan_manifest(file, labels={"1": "true"})


def test_an_unknown_label_is_named_with_its_row_and_what_is_accepted(tmp_path):
    file = manifest(tmp_path, ["a/0.jpg,real", "b/0.jpg,Maybe", "c/5.jpg,maybe"], header="path,label")
    with pytest.raises(UserError, match=r"row 3: label='Maybe' and in 1 more; expected one of: 0, real, .*fake"):
        scan_manifest(file)


def test_an_unknown_split_is_named_with_its_row(tmp_path):
    file = manifest(tmp_path, ["a/0.jpg,real,train", "b/0.jpg,fake,holdout"], header="path,label,split")
    with pytest.raises(UserError, match=r"row 3: split='holdout'; expected one of: train"):
        scan_manifest(file)


def test_a_path_in_two_rows_is_refused_naming_both(tmp_path):
    file = manifest(tmp_path, [*ROWS, "./a\\1.jpg,fake,test,v9,g9"])
    with pytest.raises(UserError, match=r"names 1 file more than once: a/1\.jpg \(row 3, row 6\)"):
        scan_manifest(file)


def test_backslashes_and_absolute_paths_are_taken(tmp_path):
    other = tmp_path / "elsewhere" / "x.jpg"
    touch(tmp_path, "elsewhere/x.jpg")
    file = manifest(tmp_path, ["a\\0.jpg,real", f"{other},fake"], header="path,label")
    assert [record.path for record in scan_manifest(file).images] == ["a/0.jpg", str(other)]


def test_paths_relative_to_another_root(tmp_path):
    (tmp_path / "lists").mkdir()
    file = manifest(tmp_path).rename(tmp_path / "lists" / "m.csv")
    records = scan_manifest(file, root=tmp_path).images
    assert len(records) == 4
    assert {record.root for record in records} == {str(tmp_path)}
    with pytest.raises(UserError, match=r"4 of 4 files of .*m\.csv are not in .*data\.options\.root"):
        scan_manifest(file)


def test_a_few_missing_files_are_left_out_and_counted(tmp_path):
    file = manifest(tmp_path)
    (tmp_path / "b/0.jpg").unlink()
    with pytest.raises(UserError, match=r"1 of 4 files .* b/0\.jpg"):
        scan_manifest(file)
    listing = scan_manifest(file, max_missing=0.5)
    assert [record.path for record in listing.images] == ["a/0.jpg", "a/1.jpg", "c/5.jpg"]
    assert "1 file of the manifest is not there: b/0.jpg" in listing.notes


def test_missing_files_are_the_right_ones_in_any_order_of_rows(tmp_path):
    file = manifest(tmp_path, [ROWS[3], ROWS[1], ROWS[2], ROWS[0]])
    (tmp_path / "b/0.jpg").unlink()
    assert [r.path for r in scan_manifest(file, max_missing=0.5).images] == ["c/5.jpg", "a/1.jpg", "a/0.jpg"]


def test_videos_and_images_are_told_by_their_suffix(tmp_path):
    touch(tmp_path, "v/0001.MP4")
    listing = scan_manifest(manifest(tmp_path, ["a/0.jpg,real", "v/0001.MP4,fake"], header="path,label"), dataset="d")
    assert [record.path for record in listing.images] == ["a/0.jpg"]
    assert [(record.path, record.frame, record.video_id) for record in listing.videos] == [
        ("v/0001.MP4", -1, "d/fake/v/0001")
    ]
    with pytest.raises(UserError, match=r"row 2: 'a/0\.npy' is neither image nor video"):
        scan_manifest(manifest(tmp_path, ["a/0.npy,real"], header="path,label"))


def test_without_a_column_videos_are_told_by_names(tmp_path):
    paths = ["v1/0001.jpg", "v1/frame_0002.jpg", "v2_0003.jpg", "v2_0004.jpg", "portrait.jpg"]
    touch(tmp_path, *paths)
    listing = scan_manifest(manifest(tmp_path, [f"{path},real" for path in paths], header="path,label"), dataset="d")
    assert [r.video_id for r in listing.images] == ["d/real/v1"] * 2 + ["d/real/v2"] * 2 + ["d/real/portrait"]
    assert [r.frame for r in listing.images] == [1, 2, 3, 4, -1]
    assert any("no column tells the source video" in note for note in listing.notes)


def test_the_same_video_under_two_methods_and_as_real_is_three(tmp_path):
    rows = ["a/0.jpg,real,c23,v", "a/1.jpg,fake,Deepfakes,v", "b/0.jpg,fake,FaceSwap,v", "c/5.jpg,fake,,v"]
    records = scan_manifest(manifest(tmp_path, rows, header="path,label,method,video"), dataset="d").images
    assert [r.video_id for r in records] == ["d/real/v", "d/Deepfakes/v", "d/FaceSwap/v", "d/fake/v"]
    assert [r.method for r in records] == ["c23", "Deepfakes", "FaceSwap", ""]


def test_an_empty_group_is_the_video_itself(tmp_path):
    rows = ["a/0.jpg,real,abc,", "b/0.jpg,fake,def,abc"]
    records = scan_manifest(manifest(tmp_path, rows, header="path,label,video,original"), dataset="d").images
    assert [r.group_id for r in records] == ["d/abc", "d/abc"]


def test_columns_of_other_names_are_given_by_an_option(tmp_path):
    file = manifest(tmp_path, ["a/0.jpg,real,k1", "b/0.jpg,fake,k1"], header="where,target,kin")
    with pytest.raises(UserError, match=r"no column for the path among where, target, kin.*data\.options\.columns"):
        scan_manifest(file)
    records = scan_manifest(file, columns={"path": "where", "label": "target", "group": "kin"}, dataset="d").images
    assert [r.group_id for r in records] == ["d/k1", "d/k1"]


def test_an_option_comes_before_the_usual_names(tmp_path):
    file = manifest(tmp_path)
    assert scan_manifest(file, columns={"group": "video"}, dataset="d").images.names("group_id") == ["d/v1", "d/v2"]
    listing = scan_manifest(file, columns={"split": None})
    assert listing.images.names("split") == ["train"]


def test_a_column_that_is_not_there_is_answered_with_the_nearest(tmp_path):
    file = manifest(tmp_path)
    with pytest.raises(UserError, match=r"columns\.group='groop': no such column.*Did you mean 'group'"):
        scan_manifest(file, columns={"group": "groop"})
    with pytest.raises(UserError, match=r"a field of data\.options\.columns='grup' is unknown"):
        scan_manifest(file, columns={"grup": "group"})


def test_without_a_split_column_all_is_for_one_thing(tmp_path):
    rows = [",".join(row.split(",")[:2]) for row in ROWS]
    file = manifest(tmp_path, rows, header="path,label")
    listing = scan_manifest(file)
    assert listing.images.names("split") == ["train"]
    assert any("test_fraction" in note for note in listing.notes)
    assert scan_manifest(file, split="test").images.names("split") == ["test"]


def many(folder, order=None):
    """60 groups of a real video and two fakes of it, two images each, without splits."""
    rows = [
        f"{kind}/{group}_{frame}.jpg,{'real' if kind == 'r' else 'fake'},{kind}{group},g{group}"
        for group in range(60)
        for kind in ("r", "f", "k")
        for frame in range(2)
    ]
    if order is not None:
        random.Random(order).shuffle(rows)
    touch(folder, *(row.split(",")[0] for row in rows))
    return manifest(folder, rows, header="path,label,video,group")


def test_a_test_set_is_kept_in_whole_groups(tmp_path):
    records = scan_manifest(many(tmp_path), test_fraction=0.25).images
    splits = defaultdict(set)
    for record in records:
        splits[record.group_id].add(record.split)
    assert all(len(found) == 1 for found in splits.values())
    assert sum(found == {"test"} for found in splits.values()) == 15


def test_the_test_set_depends_on_its_seed_alone(tmp_path):
    def chosen(order, seed):
        records = scan_manifest(many(tmp_path, order), test_fraction=0.25, seed=seed).images
        return {record.group_id for record in records if record.split == "test"}

    assert chosen(1, 0) == chosen(2, 0) == chosen(None, 0)
    assert chosen(1, 0) != chosen(1, 1)


def test_a_test_set_is_not_taken_from_validation(tmp_path):
    rows = ["a/0.jpg,real,train,g", "a/1.jpg,fake,train,g", "b/0.jpg,real,val,g", "c/5.jpg,fake,train,h"]
    records = scan_manifest(manifest(tmp_path, rows, header="path,label,split,group"), test_fraction=0.9).images
    assert [record.split for record in records] == ["test", "test", "val", "test"]


def test_a_test_set_beside_a_test_set_is_refused(tmp_path):
    with pytest.raises(UserError, match=r"test_fraction=0\.2, but .* has rows for testing"):
        scan_manifest(manifest(tmp_path), test_fraction=0.2)
    with pytest.raises(UserError, match=r"test_fraction=20 must lie between 0 and 1"):
        scan_manifest(manifest(tmp_path), test_fraction=20)


@pytest.mark.parametrize(
    ("name", "content", "answer"),
    [
        ("m.csv", "", "no column for the path among none"),
        ("m.csv", "path,label\n", "has no rows"),
        ("m.csv", "path,label\na/0.jpg,real\nb/0.jpg\n", r"Row #3: Expected 2 columns, got 1"),
        ("m.csv", "path,label,label\na/0.jpg,real,fake\n", "two columns are called 'label'"),
        ("m.csv", "path,label\n,real\n", "row 2: the path is empty"),
        ("m.csv", "path,label,frame\na/0.jpg,real,x7\n", "row 2: frame='x7' is no frame number"),
        ("m.json", '[{"path": "a/0.jpg", "label": 0},\n{]', "damaged: .*line 2, column 2"),
        ("m.json", '["a/0.jpg"]', "entry 1: 'a/0.jpg' is no object"),
        ("m.json", "7", "holds a int; expected a list"),
        ("m.jsonl", '{"path": "a/0.jpg", "label": 0}\n{"path"\n', "line 2: "),
        ("m.parquet", "", "no manifest by its suffix"),
    ],
)
def test_what_is_wrong_with_a_file_is_told(tmp_path, name, content, answer):
    manifest(tmp_path)
    write(tmp_path, name, content)
    with pytest.raises(UserError, match=answer):
        scan_manifest(tmp_path / name)


def test_other_encodings_are_answered(tmp_path):
    file = manifest(tmp_path, ["a/ä.jpg,real"], header="path,label", encoding="latin-1")
    with pytest.raises(UserError, match=r"UTF-?8"):
        scan_manifest(file)


def test_a_folder_with_a_manifest_is_enough(tmp_path):
    manifest(tmp_path)
    assert len(scan_manifest(tmp_path).images) == 4
    (tmp_path / "manifest.csv").rename(tmp_path / "other.csv")
    with pytest.raises(UserError, match=r"holds no single manifest \(none\)"):
        scan_manifest(tmp_path)
    with pytest.raises(UserError, match="no such file"):
        scan_manifest(tmp_path / "nowhere.csv")


def test_real_faces_by_their_manifest(real_data):
    listing = scan_manifest(real_data / "dfdc-faces")
    records = listing.images
    assert len(records) == 19_000
    splits = defaultdict(set)
    classes = defaultdict(set)
    for record in records:
        splits[record.group_id].add(record.split)
        classes[record.group_id].add(record.label)
    assert all(len(found) == 1 for found in splits.values())
    assert all(found == {0, 1} for found in classes.values())
    assert len(listing.videos) == 0


def test_images_can_be_read(tmp_path):
    from addnet.faces.images import read_image

    draw(tmp_path, "a")
    file = manifest(tmp_path, ["a/000.jpg,real", "a/007.jpg,fake"], header="path,label")
    for record in scan_manifest(file).images:
        assert read_image(tmp_path / record.path).shape == (16, 16, 3)


def test_a_root_relative_to_where_one_stands_is_found(tmp_path, monkeypatch):
    from addnet.data.sources import Source

    (tmp_path / "images").mkdir()
    (tmp_path / "lists").mkdir()
    (tmp_path / "images" / "a.png").touch()
    (tmp_path / "lists" / "list.csv").write_text("path,label\na.png,real\n")
    monkeypatch.chdir(tmp_path)
    (record,) = Source("manifest", "lists/list.csv", options={"root": "images"}).records()
    assert Path(record.root, record.path).is_file()


# ---- remedies, as they are printed ------------------------------------------------------------------------------


def _obeyed(error):
    """What the option that an error names in quotes makes of `data=manifest`."""
    (override,) = [word for word in shlex.split(re.search(r"'data\..*'", str(error.value))[0]) if "=" in word]
    return plain(compose(["data=manifest", override])["data"]["options"])


def test_a_column_is_named_as_the_error_says(tmp_path):
    file = manifest(tmp_path, ["a/0.jpg,real", "b/0.jpg,fake"], header="my file,label")
    with pytest.raises(UserError, match="no column for the path") as error:
        scan_manifest(file)
    assert len(scan_manifest(file, **_obeyed(error)).images) == 2


@pytest.mark.parametrize("word", ["unedited", "né à Paris", 'it"s', "a:b", "未编辑"])
def test_a_label_is_explained_as_the_error_says(tmp_path, word):
    quoted = word.replace('"', '""')
    file = manifest(tmp_path, [f'a/0.jpg,"{quoted}"', "b/0.jpg,fake"], header="path,label")
    with pytest.raises(UserError, match="say what it means") as error:
        scan_manifest(file)
    assert list(scan_manifest(file, **_obeyed(error)).images.labels) == [0, 1]


def test_a_split_column_is_left_out_as_the_error_says(tmp_path):
    file = manifest(tmp_path, ["a/0.jpg,real,one", "b/0.jpg,fake,two"], header="path,label,split")
    with pytest.raises(UserError, match="correct it, or") as error:
        scan_manifest(file)
    assert scan_manifest(file, **_obeyed(error)).images.names("split") == ["train"]


def test_classes_may_name_their_words(tmp_path):
    file = manifest(tmp_path, ["a/0.jpg,echt", "b/0.jpg,swap A", "c/5.jpg,swap B"], header="path,label")
    labels = {"real": "echt", "fake": ["Swap A", "swap B"]}
    assert list(scan_manifest(file, labels=labels).images.labels) == [0, 1, 1]


@pytest.mark.parametrize("encoding", ["utf-16", "utf-8-sig", "cp1252"])
@pytest.mark.parametrize("name", ["manifest.csv", "manifest.jsonl"])
def test_manifests_in_other_encodings_are_read(tmp_path, encoding, name):
    touch(tmp_path, "geschäft.jpg", "b/0.jpg")
    rows = [("geschäft.jpg", "real"), ("b/0.jpg", "fake")]
    text = "\n".join(["path,label", *map(",".join, rows)])
    if name.endswith("jsonl"):
        text = "\n".join(json.dumps({"path": path, "label": label}, ensure_ascii=False) for path, label in rows)
    (tmp_path / name).write_text(text, encoding=encoding)
    listing = scan_manifest(tmp_path / name)
    assert listing.images.paths.to_pylist() == ["geschäft.jpg", "b/0.jpg"]
    assert any("Windows-1252" in note for note in listing.notes) == (encoding == "cp1252")


def test_what_stands_above_a_header_is_passed_over_and_rows_keep_their_numbers(tmp_path):
    above = "\n# my data\nsep=,\npath,label,split,video,group"
    assert len(scan_manifest(manifest(tmp_path, header=above)).images) == 4
    with pytest.raises(UserError, match="row 8: label='odd'"):
        scan_manifest(manifest(tmp_path, [*ROWS[:3], "c/5.jpg,odd,test,v2,g2"], header=above))


@pytest.mark.parametrize("first", ["a/0.jpg,real", "a/0.jpg\treal", "a/0.jpg 0"])
def test_a_list_without_a_header_is_told_so(tmp_path, first):
    (tmp_path / "list.txt").write_text(f"{first}\n" * 3)
    with pytest.raises(UserError, match="has no header") as error:
        scan_manifest(tmp_path / "list.txt")
    assert "path" in str(error.value)


def test_the_header_that_the_message_names_works(tmp_path):
    touch(tmp_path, *PATHS)
    text = "".join(f"{path},{number % 2}\n" for number, path in enumerate(PATHS))
    (tmp_path / "list.csv").write_text(text)
    with pytest.raises(UserError) as error:
        scan_manifest(tmp_path / "list.csv")
    (tmp_path / "list.csv").write_text(str(error.value).rpartition("such as ")[2] + "\n" + text)
    assert len(scan_manifest(tmp_path / "list.csv").images) == 4


def test_objects_of_splits_are_read_and_deeper_ones_are_told_in_a_sentence(tmp_path):
    touch(tmp_path, *(f"{number}.jpg" for number in range(200)))
    paths = {f"{number}.jpg": number % 2 for number in range(200)}
    halves = {"train": dict(list(paths.items())[:150]), "test": dict(list(paths.items())[150:])}
    (tmp_path / "nested.json").write_text(json.dumps(halves))
    splits = scan_manifest(tmp_path / "nested.json").images.table["split"].to_pylist()
    assert splits.count("train") == 150
    (tmp_path / "nested.json").write_text(json.dumps({"mine": {"all": halves, **paths}}))
    with pytest.raises(UserError, match="nested more deeply") as error:
        scan_manifest(tmp_path / "nested.json")
    assert len(str(error.value)) < 400


def test_nan_is_no_group_and_numbers_of_columns_with_gaps_are_numbers(tmp_path):
    touch(tmp_path, *PATHS)
    rows = [{"path": path, "label": float(i % 2), "group": float("nan"), "video": 7.0} for i, path in enumerate(PATHS)]
    (tmp_path / "a.json").write_text(json.dumps(rows))
    found = scan_manifest(tmp_path / "a.json", dataset="mine").images
    assert found.labels.tolist() == [0, 1, 0, 1]
    assert set(found.names("group_id")) == {"mine/7"}
    table = [f"{path},{i % 2}.0,nan" for i, path in enumerate(PATHS)]
    found = scan_manifest(manifest(tmp_path, table, header="path,label,group"), dataset="mine").images
    assert found.labels.tolist() == [0, 1, 0, 1]
    assert "mine/nan" not in found.names("group_id")


def test_a_path_without_a_usual_suffix_is_told_by_content(tmp_path):
    for name, head in (("face", b"\xff\xd8\xff\xe0"), ("clip.bin", b"\0\0\0\x18ftypisom")):
        (tmp_path / name).write_bytes(head + bytes(20))
    listing = scan_manifest(manifest(tmp_path, ["face,real", "clip.bin,fake"], header="path,label"))
    assert listing.images.paths.to_pylist() == ["face"]
    assert listing.videos.paths.to_pylist() == ["clip.bin"]


DEEP = 100_000


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("m.json", "[" * DEEP + "]" * DEEP),
        ("m.json", '{"train":' * 400 + '{"a.jpg": 0}' + "}" * 400),
        ("m.json", '[{"path": ' + "[" * 900 + "]" * 900 + ', "label": 0}]'),
        ("m.json", '[{"path": "a.jpg", "label": ' + "1" * 5000 + "}]"),
        ("m.jsonl", '{"path": "a.jpg", "label": ' + "[" * DEEP + "]" * DEEP + "}"),
        ("m.json", '[{"path": "a\\u0000.jpg", "label": 0}]'),
        ("m.csv", "path,label\na\x1b.jpg,0"),
        ("m.csv", "path,label," + "x" * 200_000 + "\na.jpg,0,1"),
    ],
)
def test_what_was_made_to_break_the_reader_ends_in_a_sentence(tmp_path, name, text):
    (tmp_path / name).write_text(text)
    with pytest.raises(UserError, match=name):
        scan_manifest(tmp_path / name)


def test_other_descriptions_may_be_nested_too_deeply_as_well(tmp_path):
    (tmp_path / "deep.json").write_text("[" * DEEP + "]" * DEEP)
    for read in (read_object, lambda file: list(read_description(file, "c23"))):
        with pytest.raises(UserError, match=r"deep\.json.*nested too deeply"):
            read(tmp_path / "deep.json")
