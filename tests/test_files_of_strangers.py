"""A file that somebody else made is opened without waiting, if it is a file, and never taken for more than it is."""

import gzip
import io
import os
import signal
import socket

import numpy as np
import pytest
from PIL import Image

from addnet.data.dataset import DeepfakeDataset
from addnet.data.layouts.lists import read_object
from addnet.data.layouts.text_files import read_text
from addnet.errors import UserError
from addnet.faces import check_image, kind_of, read_image
from addnet.faces.decoding import Damage, decoded, length
from addnet.faces.geometry import Geometry
from addnet.faces.masks import AttentionMask
from addnet.index.archives import ArchiveReader
from addnet.index.members import list_members
from addnet.index.records import Record
from addnet.index.seek_points import keep_seek_points
from addnet.index.storage import Storage
from addnet.inference.inputs import Inputs
from addnet.models.weights import read_weights
from addnet.preparation.images import Examine, ImageJob
from addnet.preparation.videos import video_hash
from addnet.untrusted.files import opened, read_bytes, require_regular
from tarballs import make_entry, write_tar


def _fifo(path):
    os.mkfifo(path)


def _socket(path):
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))


def _link_to_device(path):
    path.symlink_to("/dev/zero")


KINDS = [(_fifo, "a FIFO"), (_socket, "a socket"), (_link_to_device, "a device")]


@pytest.mark.parametrize(("make", "told"), KINDS)
def test_what_is_no_regular_file_is_told_and_not_waited_for(tmp_path, make, told):
    make(tmp_path / "a.jpg")
    for read in (read_bytes, require_regular, lambda path, most: opened(path, most=most).__enter__()):
        with pytest.raises(UserError, match=f"a.jpg: {told}"):
            read(tmp_path / "a.jpg", most=1 << 20)


def test_a_file_is_read_whole_or_refused_before_it_is_read(tmp_path):
    (tmp_path / "a").write_bytes(b"x" * 100)
    assert read_bytes(tmp_path / "a", most=100) == b"x" * 100
    with opened(tmp_path / "a", most=100) as file:
        assert file.read(3) == b"xxx"
    with pytest.raises(UserError, match="100 bytes; at most 99 bytes"):
        read_bytes(tmp_path / "a", most=99)
    for name, error in (("b", FileNotFoundError), ("", IsADirectoryError)):
        with pytest.raises(error):
            read_bytes(tmp_path / name, most=99)


@pytest.mark.parametrize("name", ["a\0b.jpg", "a\ud800.jpg"])
def test_a_name_that_no_file_can_have_is_told(name):
    with pytest.raises(UserError, match="not a valid file name"):
        read_bytes(name, most=99)


@pytest.fixture
def in_time():
    """Ends a test that waits for a file."""

    def end(*_):
        raise TimeoutError

    before = signal.signal(signal.SIGALRM, end)
    signal.alarm(20)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


def _decode(path):
    return list(decoded(path, Damage()))


READERS = {
    "check": check_image,
    "read": read_image,
    "index": Storage().read,
    "extent": lambda path: Storage().read(path.parent / "a.tar" / "b.jpg", 512, 10),
    "archive": lambda path: list(list_members(path)),
    "seek points": lambda path: keep_seek_points(path, path.parent),
    "video": _decode,
    "list": read_text,
    "table": read_object,
    "weights": read_weights,
}


@pytest.mark.usefixtures("in_time")
@pytest.mark.parametrize(("make", "told"), KINDS)
@pytest.mark.parametrize("reader", READERS)
def test_every_reader_refuses_what_is_no_file(tmp_path, reader, make, told):
    make(tmp_path / "a.tar")
    with pytest.raises(UserError, match=told):
        READERS[reader](tmp_path / "a.tar")


@pytest.mark.usefixtures("in_time")
@pytest.mark.parametrize(("make", "told"), KINDS)
def test_a_folder_tells_of_what_is_no_file_and_a_name_without_a_suffix_is_not_waited_for(tmp_path, make, told):
    for name in ("a.jpg", "b.mp4", "c"):
        make(tmp_path / name)
    Image.new("RGB", (32, 32)).save(tmp_path / "d.png")
    left_out = Inputs.of([str(tmp_path)]).left_out
    assert [(path.name, told in reason) for path, reason in left_out] == [
        (name, True) for name in ("a.jpg", "b.mp4", "c")
    ]
    assert Inputs.of([str(tmp_path / "c")]).images == (tmp_path / "c",)  # which is then unusable, with its reason
    assert (kind_of(tmp_path / "c"), length(tmp_path / "b.mp4"), video_hash(tmp_path / "b.mp4")) == (None, 0, "")


def test_names_that_no_file_can_have_are_unusable_images(tmp_path):
    for ask in (Storage().read, Storage().stat, lambda path: Storage().stat(f"{path}.tar/c", 512, 3)):
        with pytest.raises(UserError, match="not a valid file name"):
            ask(tmp_path / "a\0b")
    assert video_hash(tmp_path / "a\0b") == ""


def test_a_gzipped_archive_that_expands_a_hundredfold_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("addnet.index.members._FREE", 1 << 20)
    fine, bomb = tmp_path / "a.tar.gz", tmp_path / "b.tar.gz"
    write_tar(fine, make_entry("a.jpg", bytes(1 << 19)), mode="w:gz")
    write_tar(bomb, make_entry("a.jpg", bytes(1 << 23)), mode="w:gz")
    assert [member.length for member in list_members(fine, seek_points=tmp_path)] == [1 << 19]
    assert ArchiveReader().read(fine, 512, 3) == bytes(3)
    for ask in (lambda: list(list_members(bomb)), lambda: ArchiveReader().read(bomb, 512, 3)):
        with pytest.raises(UserError, match="expands to more than"):
            ask()


def test_what_follows_an_archive_counts_as_well(tmp_path, monkeypatch):
    monkeypatch.setattr("addnet.index.members._FREE", 1 << 20)
    file = write_tar(tmp_path / "a.tar.gz", make_entry("a.jpg", b"content"), mode="w:gz")
    with file.open("ab") as stream:
        stream.write(gzip.compress(bytes(1 << 23)))
    with pytest.raises(UserError, match="expands to more than"):
        list(list_members(file))


@pytest.mark.parametrize("shape", [(68, 2), (1 << 50, 2), (68, 3)])
def test_landmarks_of_a_data_set_take_no_more_memory_than_landmarks(tmp_path, shape):
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "<f4", "fortran_order": False, "shape": shape})
    (tmp_path / "a.npy").write_bytes(header.getvalue() + bytes(68 * 2 * 4))
    record = Record(path="a.png", label=0, split="train", video_id="v", group_id="g", dataset="d", landmarks="a.npy")
    face = Examine(tmp_path, None, Storage())._given(record)
    assert (face is not None) == (shape == (68, 2))


@pytest.mark.usefixtures("in_time")
def test_training_goes_on_where_an_index_names_a_bomb_or_a_pipe(tmp_path, monkeypatch):
    Image.new("1", (20_000, 20_000)).save(tmp_path / "bomb.png")
    os.mkfifo(tmp_path / "pipe.png")
    monkeypatch.setattr("addnet.faces.images.cv2.imdecode", lambda *_: pytest.fail("decoded"))
    records = [
        Record(path=name, label=0, split="train", video_id="v", group_id="g", dataset="d")
        for name in ("bomb.png", "pipe.png", "a\0b.png")
    ]
    dataset = DeepfakeDataset(tmp_path, records, landmarks=[None] * 3, geometry=Geometry(size=96), mask=AttentionMask())
    assert [dataset[number]["valid"] for number in range(3)] == [False] * 3


def test_what_an_index_says_of_an_unusable_image_names_no_folder_of_this_machine(tmp_path):
    os.mkfifo(tmp_path / "pipe.png")
    examine = Examine(tmp_path, None, Storage())
    for name in ("pipe.png", "none.png", "a\0b.png"):
        reason = examine(
            ImageJob(0, Record(path=name, label=0, split="train", video_id="v", group_id="g", dataset="d"))
        ).reason
        assert reason
        assert str(tmp_path) not in reason
