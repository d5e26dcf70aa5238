"""Images are read alike from files and from archives."""

import os
import pickle

import pytest

from addnet.errors import UserError
from addnet.index.archives import list_members
from addnet.index.storage import Storage
from replicas_wild import make_wilddeepfake


@pytest.fixture(params=[False, True], ids=["plain", "gzipped"])
def archive(request, tmp_path):
    root = make_wilddeepfake(tmp_path / "packed", compressed=request.param, archives=1)
    return root / "fake_train" / "1.tar.gz"


def test_members_are_the_files_that_were_packed(archive, tmp_path):
    unpacked = make_wilddeepfake(tmp_path / "unpacked", unpacked=True, archives=1)
    storage = Storage(tmp_path)
    for member in list_members(archive):
        packed = storage.read(f"{archive}/{member.name}", member.offset, member.length)
        assert packed == storage.read(unpacked / "fake_train" / member.name)


def test_a_change_is_seen_by_size_and_time(archive, tmp_path):
    member = next(iter(list_members(archive)))
    storage, name = Storage(tmp_path), f"{archive}/{member.name}"
    assert storage.stat(name, member.offset, member.length) == (member.length, archive.stat().st_mtime_ns)
    os.utime(archive, ns=(1, 1))
    assert storage.stat(name, member.offset, member.length) == (member.length, 1)
    assert storage.stat(archive) == (archive.stat().st_size, 1)


def test_what_cannot_be_opened_is_named(tmp_path):
    for path in (tmp_path / "none.png", tmp_path):
        with pytest.raises(UserError, match=f"cannot open {path}"):
            Storage().read(path)
    with pytest.raises(UserError, match=r"cannot open .*none\.png"):
        Storage().stat(tmp_path / "none.png")
    with pytest.raises(UserError, match=r"cannot open .*1\.tar"):
        Storage().stat(f"{tmp_path}/1.tar/a.png", 512, 3)


def test_an_extent_without_an_archive_is_refused(tmp_path):
    with pytest.raises(UserError, match="names no archive"):
        Storage().read(tmp_path / "a.png", 512, 3)


def test_a_file_below_a_folder_that_is_called_like_an_archive_is_a_file(tmp_path):
    (tmp_path / "1.tar.gz").mkdir()
    (tmp_path / "1.tar.gz" / "a.png").write_bytes(b"content")
    assert Storage().read(tmp_path / "1.tar.gz" / "a.png") == b"content"


def test_it_travels_to_other_processes(archive, tmp_path):
    member = next(iter(list_members(archive)))
    extent = f"{archive}/{member.name}", member.offset, member.length
    storage = Storage(tmp_path)
    assert pickle.loads(pickle.dumps(storage)).read(*extent) == storage.read(*extent)
