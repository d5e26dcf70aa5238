"""Several data sets train together and are tested apart; one index is enough to train from."""

import json
import shutil
import subprocess
import sys

import pytest

from addnet.data import DeepfakeDataModule
from addnet.data.named import chosen_sources, configured
from addnet.errors import UserError
from trainings import NETWORK, ONE_STEP, run

pytestmark = pytest.mark.slow


def _module(index_dir, **arguments):
    defaults = {"image_size": 64, "batch_size": 4, "num_workers": 0, "val_fraction": 0.2, "index_dir": str(index_dir)}
    module = DeepfakeDataModule(**(defaults | arguments))
    module.prepare_data()
    module.setup()
    return module


@pytest.fixture
def two(data_dir, tmp_path):
    """The same images as two data sets, so that the same group is in both."""
    other = tmp_path / "other"
    shutil.copytree(data_dir, other)
    return f"folder:{data_dir}", f"folder:{other}"


def test_data_sets_train_together_and_are_tested_apart(two, tmp_path):
    module = _module(tmp_path / "index", train=list(two), test=[two[1]])
    counts = {name: len(part.records) for name, part in module.splits.items()}
    assert counts["train"] + counts["val"] == 2 * 48
    assert counts["test"] == 20
    assert module.splits["train"].records.names("dataset") == ["faces", "other"]
    assert module.test_sets() == {}
    sample = module.dataset("train")[len(module.splits["train"].records) - 1]
    assert sample["valid"]


def test_groups_of_different_data_sets_are_different(two, tmp_path):
    """One trains on what the other tests on, under the same names: no leak by name."""
    module = _module(tmp_path / "index", train=[two[0]], test=[two[1]])
    assert not set(module.splits["train"].records.names("group_id")) & set(
        module.splits["test"].records.names("group_id")
    )


def test_two_data_sets_in_one_folder_are_looked_at_once(own_data_dir, tmp_path):
    rows = [f"{file.relative_to(own_data_dir)},{file.parent.name},test" for file in sorted(own_data_dir.rglob("*.jpg"))]
    (own_data_dir / "list.csv").write_text("\n".join(["path,label,split", *rows]))
    train, test = f"folder:{own_data_dir}", str(own_data_dir / "list.csv")
    module = _module(tmp_path / "index", train=[train], test=[test], allow_overlap=True)
    assert len(module.splits["test"].records) == len(rows)
    assert len(list((tmp_path / "index").glob("*.parquet"))) == 1


def test_every_data_set_gets_metrics_of_its_own(two, tmp_path, data_dir):
    one = f"{{layout: folder, data_dir: {two[1].removeprefix('folder:')}, source: auto}}"
    named = [f"data.train=[{','.join(two)}]", f"data.val=[{one}]", f"data.test=[{','.join(two)}]"]
    folder, _ = run(data_dir, tmp_path / "runs", *named, *ONE_STEP, "data.data_dir=null")
    metrics = json.loads((folder / "result.json").read_text())["metrics"]
    for name in ("faces", "other"):
        assert metrics[f"test/{name}/frame/auroc"] == pytest.approx(metrics["test/frame/auroc"])
        assert f"test/{name}/video/eer" in metrics
    assert "checkpoints and thresholds are chosen on other" in (folder / "train.log").read_text()


def test_an_official_validation_list_is_used_as_it_is(data_dir, tmp_path):
    rows = ["path,label,split,group,video"]
    for number, file in enumerate(sorted(data_dir.rglob("*.jpg"))):
        split = ["train", "val", "test"][number % 3]
        rows.append(f"{file.relative_to(data_dir)},{file.parent.name},{split},{split}-{number},{number}")
    (data_dir.parent / "list.csv").write_text("\n".join(rows))
    options = {"root": str(data_dir)}
    module = _module(tmp_path, layout="manifest", data_dir=str(data_dir.parent / "list.csv"), options=options)
    for name, part in module.splits.items():
        assert {group.split("-")[0] for group in part.records.names("group_id")} == {f"faces/{name}"}


def test_videos_of_one_name_in_two_folders_are_refused(data_dir, tmp_path):
    shutil.copytree(data_dir, tmp_path / data_dir.name)
    with pytest.raises(UserError, match="both have a video 'faces/"):
        _module(tmp_path / "index", train=[f"folder:{data_dir}", f"folder:{tmp_path}/{data_dir.name}"])


ALONE = """
import sys
for name in ("dlib", "comet_ml", "av", "distributed", "face_recognition_models"):
    sys.modules[name] = None  # as if it were not installed
sys.argv[0] = "addnet.train"
from addnet.train import main
main()
"""


def test_an_index_is_enough_to_train_from(data_dir, index_dir, tmp_path):
    module = _module(index_dir, data_dir=str(data_dir))
    index = module.train_sources[0].index_file
    overrides = ["data=index", f"data.index={index}", "data.image_size=64", "data.batch_size=8", "data.num_workers=0"]
    overrides += [
        *NETWORK,
        "model.pretrained=false",
        "trainer.accelerator=cpu",
        *ONE_STEP,
        f"paths.output_root={tmp_path}",
    ]
    ended = subprocess.run([sys.executable, "-c", ALONE, *overrides], capture_output=True, text=True, timeout=300)
    assert ended.returncode == 0, ended.stderr[-3000:]
    again = _module(index_dir, layout="index", index=str(index))
    assert again.splits["val"].records.paths == module.splits["val"].records.paths


def test_an_index_notices_files_that_are_gone_or_changed(own_data_dir, tmp_path):
    index = _module(tmp_path, data_dir=str(own_data_dir)).train_sources[0].index_file
    gone, changed, *_ = sorted((own_data_dir / "train" / "real").iterdir())
    gone.unlink()
    changed.write_bytes(changed.read_bytes() + b"\0")
    module = _module(tmp_path, layout="index", index=str(index), max_bad_fraction=0.05)
    skipped = dict(row for part in module.splits.values() for row in part.skipped)
    assert "cannot open" in skipped[f"train/real/{gone.name}"]
    assert "changed since it was indexed" in skipped[f"train/real/{changed.name}"]
    with pytest.raises(UserError, match="2 of 68"):
        _module(tmp_path, layout="index", index=str(index))


def test_a_moved_data_folder_can_be_named(own_data_dir, tmp_path):
    index = _module(tmp_path, data_dir=str(own_data_dir)).train_sources[0].index_file
    own_data_dir.rename(tmp_path / "moved")
    module = _module(tmp_path, layout="index", index=str(index), data_dir=str(tmp_path / "moved"))
    assert module.dataset("test")[0]["valid"]


@pytest.mark.parametrize(
    ("entry", "hint"),
    [
        ("nowhere", r"data\.train: 'nowhere' .* layout:folder"),
        ({"layout": "foldr", "data_dir": "x"}, "folder"),
        ({"path": "x"}, "layout"),
        ({"layout": "dfd"}, "lacks data_dir"),
        ({"layout": "dfd", "data_dir": ["/d"]}, r"data\.train: data_dir is \['/d'\], which is not a path"),
        ({"layout": "dfd", "data_dir": "/d", "options": "c40"}, "which is not a mapping; give one"),
        (
            {"layout": "dfd", "data_dir": "/d", "compresion": "c40"},
            "it has: .*compression.* Did you mean 'compression'",
        ),
        ({"layout": "dfd", "data_dir": "/d", "options": {"methods": []}}, "'methods' is not an option .*; it has: "),
        ({"layout": "dfd", "data_dir": "/d", "split": "actors", "options": {"split": "test"}}, "'split' twice"),
        (
            {"index": "a.parquet", "compression": "c40"},
            "'compression' is not an option of data.layout=index; it has: outside",
        ),
    ],
)
def test_entries_that_name_nothing_are_explained(entry, hint):
    with pytest.raises(UserError, match=hint):
        DeepfakeDataModule(train=[entry])


# ---- options beside several data sets ---------------------------------------------------------------------------


def _options(**arguments):
    """What each named data set is told."""
    train, _, test = chosen_sources(None, **({"layout": "folder"} | arguments))
    return [source.options for source in (*train, *test)]


def test_options_reach_the_data_sets_whose_layout_they_are():
    named = {"train": ["faceforensics:/ff"], "test": ["celebdf:/cdf", "dfd:/ff"]}
    options = {"methods": ["Deepfakes"], "compression": "c40", "source": "auto"}  # the last is what it does anyway
    told = [{"methods": ["Deepfakes"], "compression": "c40"}, {}, {}]
    assert _options(layout="faceforensics", options=options, **named) == told
    assert _options(options={"compression": "c40"}, **named) == [{"compression": "c40"}, {}, {"compression": "c40"}]


def test_an_entry_s_own_options_come_first():
    entry = {"layout": "celebdf", "data_dir": "/cdf", "options": {"version": "v1"}}
    options = {"version": "v2", "related": "keep"}
    assert _options(train=[entry], layout="celebdf", options=options)[0] == {"version": "v1", "related": "keep"}


def test_options_reach_all_that_have_them_where_no_layout_is_chosen():
    told = [{"source": "videos"}, {"source": "videos"}, {}]
    assert _options(options={"source": "videos"}, train=["folder:/a", "faceforensics:/b", "a.parquet"])[:3] == told


@pytest.mark.parametrize("form", [{"compression": "c40"}, {"options": {"compression": "c40"}}])
def test_an_entry_has_its_options_beside_it_or_below(form):
    entry = {"layout": "faceforensics", "data_dir": "/ff", **form}
    of_train = chosen_sources(None, layout="folder", train=[entry]).train
    chosen = chosen_sources("/own", layout="folder", val=[entry], test=[entry])
    for (source,) in (of_train, chosen.val, chosen.test):
        assert (source.layout, source.data_dir, source.options) == ("faceforensics", "/ff", {"compression": "c40"})


def test_one_data_set_is_one_in_whatever_form_it_is_named():
    forms = ["dfd:/d", {"layout": "dfd", "data_dir": "/d"}, {"layout": "dfd", "data_dir": "/d/", "compression": "c23"}]
    train, _, test = chosen_sources(None, layout="folder", train=forms, test=forms[:1])
    assert len(train) == 1
    assert train[0] is test[0]
    other = {"layout": "dfd", "data_dir": "/d", "compression": "c40"}
    assert len(chosen_sources(None, layout="folder", train=[forms[0], other]).train) == 2


def test_patterns_reach_folders():
    assert _options(train=["folder:/a", "celebdf:/b"], group_pattern=r"id(\d+)")[:2] == [
        {"group_pattern": r"id(\d+)"},
        {},
    ]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"layout": "celebdf", "options": {"version": "v1"}}, r"data\.options\.version=v1 .*\(faceforensics\)"),
        ({"options": {"version": "v1"}}, r"data\.options\.version=v1 .* none of the data sets"),
        ({"group_pattern": "a"}, r"data\.group_pattern=a .* none of the data sets"),
        ({"options": {"version": "v1"}}, r"faceforensics has .*compression"),
        ({"train": None, "options": {"version": "v1"}}, r"data\.options\.version=v1 .* no data set is named"),
        ({"train": "faceforensics:/ff"}, r"data\.train=faceforensics:/ff is not a list; put it in brackets"),
    ],
)
def test_what_no_data_set_would_heed_is_refused(arguments, message):
    with pytest.raises(UserError, match=message):
        _options(**{"train": ["faceforensics:/ff"]} | arguments)


@pytest.mark.parametrize("layout", ["folder", "celebdf", "index"])
def test_an_option_that_the_only_data_set_has_not_is_refused(layout):
    index = {"index": "a.parquet"} if layout == "index" else {}
    with pytest.raises(UserError, match=f"'compression' is not an option of data.layout={layout}; it has: "):
        chosen_sources("/own", layout=layout, options={"compression": "c40"}, **index)


def test_options_of_a_folder_that_an_evaluation_leaves_alone_are_no_mistake():
    """As where a training's own config is tested: train=false ckpt_path=…"""
    how = {"layout": "faceforensics", "options": {"compression": "c40"}, "test": ["celebdf:/cdf"]}
    assert [s.options for s in chosen_sources("/ff", **how, only_test=True).test] == [{}]
    assert [s.options for s in chosen_sources("/ff", **how).train] == [{"compression": "c40"}]


def test_a_folder_beside_named_data_sets_is_not_dropped():
    with pytest.raises(UserError, match=r"data\.data_dir=/own has no effect.*add it to data\.train"):
        chosen_sources("/own", layout="folder", train=["celebdf:/cdf"])
    train, _, test = chosen_sources("/own", layout="folder", test=["celebdf:/cdf"])
    assert [source.data_dir for source in (*train, *test)] == ["/own", "/cdf"]
    data = {"data_dir": "/own", "layout": "folder", "options": {}, "train": None, "val": None, "test": ["celebdf:/cdf"]}
    data |= dict.fromkeys(("index", "group_pattern", "video_pattern")) | {"index_dir": "i", "faces_dir": "f"}
    assert [source.data_dir for source in configured(data).sources] == [
        "/own",
        "/cdf",
    ]  # what check, audit and prepare take


def test_an_evaluation_takes_what_a_training_tested_on():
    train, _, test = chosen_sources("/own", layout="index", test=["celebdf:/cdf"], only_test=True)
    assert [source.data_dir for source in (*train, *test)] == ["/cdf"]
