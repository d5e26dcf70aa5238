"""A stranger's checkpoint, export or weight file: refused in a sentence, before it takes memory, whatever is in it."""

import copy
import io
import json
import pickle
import sys
import zipfile

import pytest
import safetensors.torch
import torch

from addnet.checkpoints.entries import check_checkpoint
from addnet.checkpoints.file import read_checkpoint
from addnet.errors import UserError
from addnet.inference.background import background_of
from addnet.inference.evaluated_data import data_of
from addnet.inference.export.card import model_card
from addnet.inference.export.description import describe
from addnet.inference.export.exporting import export_checkpoint
from addnet.inference.loading import _loaded, load
from addnet.inference.network import model_of
from addnet.models.weights import read_weights
from addnet.tested_on import arguments_of
from addnet.training.checkpoints import check_continues, nothing_left
from addnet.training.kept_config import earlier_config
from addnet.training.loggers import known_state
from checkpoints import changed, checkpoint

pytestmark = pytest.mark.slow

CONFIG = {
    "data": {
        "layout": "folder",
        "data_dir": "../x",
        "train": None,
        "test": ["dfd:../x", {"layout": "dfd", "data_dir": "y"}],
    }
    | {"options": {"a": 1}, "test_fraction": 0.2, "generate": None, "group_pattern": None, "limit_test": 3, "seed": 1},
    "trainer": {"precision": "32-true"},
    "model": {"name": "addnet"},
    "optimizer": {"name": "adam", "lr": 0.1},
    "paths": {"output_dir": "."},
}
LEARNT = {
    "data": [{"dataset": "x", "real": 1, "fake": 2, "videos": 3}],
    "validation": {"frame": {"real": 1, "fake": 1, "real_called_fake": 1, "fake_called_real": 0}},
}
WRONG = ["x", -1, 10**30, float("inf"), True, None, ["x"], {"x": 1}, torch.zeros(2), {"_target_": "os.system"}, {1: 2}]


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    return checkpoint(tmp_path_factory.mktemp("checkpoint") / "plain.ckpt")


@pytest.fixture(scope="module")
def export(path):
    """Its folder, and what it says of itself."""
    folder = export_checkpoint(path, path.parent / "export", format="safetensors").output
    return folder, json.loads((folder / "config.json").read_text())


@pytest.fixture(scope="module")
def network(path):
    return load(path).net


def _places(value, place=()):
    """Where the values of a tree are, inner nodes too."""
    yield place
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, part in items:
        yield from _places(part, (*place, key))


def _with(whole, place, value):
    other = {key: part if key == "state_dict" else copy.deepcopy(part) for key, part in whole.items()}
    node = other
    for key in place[:-1]:
        node = node[key]
    node[place[-1]] = value
    return other


def _everything(whole, net, file):
    """All that is asked of a checkpoint's values before an image is looked at."""
    check_checkpoint(whole, path=file)
    loaded = _loaded(file, net, model_of(whole, file), whole["addnet"], None)
    data_of({"data_dir": "faces"}, loaded)
    background_of(loaded)
    arguments_of(loaded)
    model_card({"architectures": ["x"], **describe(whole, file)}, licence="other")
    check_continues(earlier_config(whole["addnet"]["config"] or {}, file.parent), CONFIG, path=file)
    nothing_left(whole, max_epochs=3, max_steps=-1, path=file)


@pytest.mark.parametrize("root", ["addnet", "hyper_parameters"])
def test_a_value_of_a_wrong_kind_anywhere_is_a_sentence(path, network, tmp_path, root):
    (file := tmp_path / "small.ckpt").write_bytes(b"x")
    whole = torch.load(path, weights_only=True)
    whole["addnet"] |= {"config": CONFIG, "learnt_from": LEARNT, "class_weights": [1.0, 2.0]}
    _everything(whole, network, file)
    for place in _places(whole[root]):
        for value in WRONG:
            try:
                _everything(_with(whole, (root, *place), value), network, file)
            except UserError:
                continue
            except Exception as error:
                raise AssertionError(f"{(root, *place)} = {value!r}") from error


def test_whose_an_adopted_detector_is_is_text_or_a_sentence(path, network, tmp_path):
    (file := tmp_path / "small.ckpt").write_bytes(b"x")
    whole = torch.load(path, weights_only=True)
    adopted = dict.fromkeys(("called", "terms", "source", "trained_on", "cite", "file"), "x")
    whole["addnet"] |= {"config": CONFIG, "adopted": adopted}
    _everything(whole, network, file)
    for place in _places(whole["addnet"]["adopted"]):
        for value in WRONG:
            try:
                _everything(_with(whole, ("addnet", "adopted", *place), value), network, file)
            except UserError:
                continue


@pytest.mark.parametrize(
    ("entry", "value", "said"),
    [
        ("adopted", ["x"], "adopted is .*; expected a mapping of names to texts"),
        ("decision", "x", "addnet.decision is 'x'; expected a mapping"),
        ("preprocessing", {"image_size": 10**6}, "image_size is 1000000; expected a number of pixels from 32 to 1,024"),
        ("preprocessing", {"align": {"_target_": "os.system"}}, "align is .*; expected true or false"),
        ("preprocessing", {"margin": float("nan")}, "margin is nan"),
        ("class_names", ["x" * 10**5, "fake"], "class_names is .*; expected a list of printable texts"),
        ("class_names", ["real", "fa\x1b[2Jke"], "class_names is .*; expected a list of printable texts"),
        ("config", {"data": "x"}, "config.data is 'x'"),
        ("version", torch.zeros(3), "its addnet is .*; expected a mapping of plain values"),
    ],
)
def test_what_is_wrong_is_named_with_what_was_expected(path, tmp_path, entry, value, said):
    with pytest.raises(UserError, match=said):
        load(changed(path, tmp_path / "wrong.ckpt", **{entry: value}))


@pytest.mark.parametrize(
    "options", [{"in_chans": 10**9}, {"num_classes": 10**9}, {"name": "bandpass", "kernel_size": 10**9 + 1}]
)
def test_absurd_networks_cost_no_memory(path, tmp_path, options):
    whole = torch.load(path, weights_only=True)
    whole["hyper_parameters"]["model"] |= options
    torch.save(whole, tmp_path / "wrong.ckpt")
    with pytest.raises(UserError, match=r"expected a mapping of names to plain values, with numbers up to 65,536"):
        load(tmp_path / "wrong.ckpt")


def _archive(file, pickled, *parts, how=zipfile.ZIP_STORED):
    with zipfile.ZipFile(file, "w", how) as archive:
        for name, content in (("data.pkl", pickled), ("version", b"3\n"), ("byteorder", b"little"), *parts):
            archive.writestr(f"archive/{name}", content)


def _deflated(file):
    torch.save({"x": torch.zeros(2**22)}, whole := io.BytesIO())
    with zipfile.ZipFile(whole) as archive:
        parts = [(info.filename.partition("/")[2], archive.read(info)) for info in archive.infolist()]
    _archive(file, dict(parts)["data.pkl"], *(part for part in parts if "data/" in part[0]), how=zipfile.ZIP_DEFLATED)


def _reserving(file):  # 64 GB by one call of what torch lets a pickle call
    number = pickle.encode_long(2**36)
    _archive(file, b"\x80\x02cbuiltins\nbytearray\n\x8a" + bytes([len(number)]) + number + b"\x85R.")


def _nested(file):
    _archive(file, b"\x80\x02" + b"]" * 5000 + b"a" * 4999 + b".")


def _laughing(file):  # 10^9 values in a few lists that hold each other
    rows = b"".join(
        b"]q" + bytes([at]) + b"(" + b"h" + bytes([at - 1]) + (b"h" + bytes([at - 1])) * 9 + b"e" for at in range(1, 10)
    )
    _archive(file, b"\x80\x02]q\x00(K\x01K\x02e" + rows + b".")


BOMBS = {
    "deflated": (_deflated, "would unpack to"),
    "expanded": (lambda file: torch.save({"x": torch.zeros(1).expand(2**34)}, file), "has only 4 bytes"),
    "sparse": (lambda file: torch.save({"x": torch.ones(2).to_sparse()}, file), "layout torch.sparse_coo"),
    "reserving": (_reserving, "damaged"),
    "nested": (_nested, "more plain values, or more deeply nested ones"),
    "laughing": (_laughing, "more plain values, or more deeply nested ones"),
    "long text": (lambda file: torch.save({"x": "a" * (2**20)}, file), "text of 1,048,576 characters"),
}


@pytest.mark.parametrize("name", BOMBS)
def test_a_file_that_is_larger_than_it_looks_is_refused_as_checkpoint_and_as_start_weights(tmp_path, name):
    if name == "reserving" and not sys.platform.startswith("linux"):
        pytest.skip("the kernel of Linux keeps the limit")
    make, said = BOMBS[name]
    make(file := tmp_path / "bomb.ckpt")
    for read in (read_checkpoint, read_weights):
        with pytest.raises(UserError, match=said):
            read(file)


def test_an_ordinary_old_file_and_views_of_a_tensor_still_load(tmp_path):
    state = {"conv1.weight": torch.rand(8, 4).t()[1:3], "fc": torch.rand(2)}
    for zipped in (True, False):
        torch.save(state, tmp_path / "old.pth", _use_new_zipfile_serialization=zipped)
        assert torch.equal(read_weights(tmp_path / "old.pth")["conv1.weight"], state["conv1.weight"])


@pytest.mark.parametrize(
    ("key", "value"),
    [("decision", "x"), ("class_names", 3), ("model", {"name": ["x"]}), ("preprocessing", {"crop": 1})],
)
def test_an_export_of_wrong_kinds_is_a_sentence(export, key, value):
    folder, config = export[0], dict(export[1])
    config[key] = config[key] | value if isinstance(value, dict) else value
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(UserError, match=f"its {key}.* expected"):
        load(folder)


def test_what_a_logger_is_built_with_again_is_no_code_no_place_and_no_variable(tmp_path):
    hostile = {
        "_target_": "builtins.print",
        "key": "${oc.env:HOME}",
        "rows": [3],
        "file": "/etc/passwd",
        "run_dir": "/",
    }
    assert known_state(hostile) == {}
    assert known_state({"key": "a1b2", "file": "metrics/metrics.csv", "rows": 3}) == {"key": "a1b2", "rows": 3}


def test_a_cut_header_of_safetensors_is_a_sentence(tmp_path):
    safetensors.torch.save_file({"x": torch.zeros(3)}, file := tmp_path / "x.safetensors")
    file.write_bytes((2**62).to_bytes(8, "little") + file.read_bytes()[8:])
    with pytest.raises(UserError, match="damaged"):
        read_weights(file)
