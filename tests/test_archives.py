"""Archives are read from anywhere in them without unpacking, by processes and threads alike."""

import logging
import multiprocessing
import pickle
import tarfile
import tracemalloc
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from addnet.errors import UserError
from addnet.index.archives import ArchiveReader, list_members, split_path
from addnet.index.member_cache import members_file, members_of
from addnet.index.seek_points import seek_points_file
from tarballs import FILES, make_entry, write_images, write_tar

FDS = Path("/proc/self/fd")


@pytest.fixture(params=["w", "w:gz"], ids=["plain", "gzipped"])
def archive(request, tmp_path):
    """Twelve files, of a kind that its name does not tell."""
    return write_images(tmp_path / "1.tar.gz", request.param)


@pytest.fixture
def gzipped(tmp_path):
    return write_images(tmp_path / "2.tar.gz", "w:gz")


def _all(archive, reader):
    return {m.name: reader.read(archive, m.offset, m.length) for m in list_members(archive)}


# ---- listing and reading ---------------------------------------------------------------------------------------


def test_every_member_is_listed_and_read(archive, tmp_path):
    assert _all(archive, ArchiveReader(tmp_path)) == FILES
    assert _all(archive, ArchiveReader()) == FILES


def test_members_are_read_in_any_order(archive, tmp_path):
    members = list(list_members(archive))
    reader = ArchiveReader(tmp_path)
    for member in [*members[::-1], members[5], members[5]]:
        assert reader.read(archive, member.offset, member.length) == FILES[member.name]


def test_the_kind_is_told_by_the_content(tmp_path):
    assert _all(write_images(tmp_path / "gzipped.tar", "w:gz"), ArchiveReader()) == FILES


@pytest.mark.parametrize("form", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_long_names_and_folders_in_every_format(tmp_path, form):
    name = f"{'folder/' * 25}ü-{'n' * (60 if form == tarfile.USTAR_FORMAT else 190)}.png"[-200:].lstrip("/")
    folder = make_entry("./folder", b"", type=tarfile.DIRTYPE)
    file = write_tar(tmp_path / "a.tar", folder, make_entry(name), make_entry("b.png"), form=form)
    assert list(_all(file, ArchiveReader())) == [name, "b.png"]


def test_an_archive_without_members_is_empty(tmp_path):
    assert list(list_members(write_tar(tmp_path / "a.tar"))) == []


def test_an_empty_member_is_empty(tmp_path):
    assert _all(write_tar(tmp_path / "a.tar", make_entry("a", b""), make_entry("b")), ArchiveReader()) == {
        "a": b"",
        "b": b"content",
    }


def test_names_are_normalised(tmp_path):
    file = write_tar(tmp_path / "a.tar", make_entry("./1//fake/./0/12.png"))
    assert [member.name for member in list_members(file)] == ["1/fake/0/12.png"]


def test_listing_does_not_keep_what_it_listed(tmp_path):
    file = write_tar(tmp_path / "a.tar", *(make_entry(f"{'d' * 60}/{i}", b"") for i in range(1_000)))
    tracemalloc.start()
    assert sum(1 for _ in list_members(file)) == 1_000
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak / 1_000 < 300  # bytes a member; tarfile's own entries take 1,400


def test_a_changed_archive_is_opened_again(archive, tmp_path):
    reader = ArchiveReader(tmp_path)
    _all(archive, reader)
    mode = "w:gz" if archive.read_bytes()[:2] == b"\x1f\x8b" else "w"
    write_tar(tmp_path / "new", make_entry("new", b"news" * 100), mode=mode).replace(archive)
    assert _all(archive, reader) == {"new": b"news" * 100}


# ---- seek points and lists that are kept -----------------------------------------------------------------------


def test_seek_points_are_made_while_listing_and_then_used(gzipped, tmp_path, monkeypatch):
    members = list(list_members(gzipped, seek_points=tmp_path / "points"))
    assert seek_points_file(gzipped, tmp_path / "points").exists()
    monkeypatch.setattr("addnet.index.seek_points._save", lambda *_: pytest.fail("made again"))
    reader = ArchiveReader(tmp_path / "points")
    assert all(reader.read(gzipped, m.offset, m.length) == FILES[m.name] for m in members)


@pytest.mark.parametrize("position", [3, 30, 60, -10])
def test_damaged_seek_points_are_made_again(gzipped, tmp_path, caplog, position):
    _all(gzipped, ArchiveReader(tmp_path))
    file = seek_points_file(gzipped, tmp_path)
    good = file.read_bytes()
    bad = bytearray(good)
    bad[position] ^= 1
    file.write_bytes(bad)
    with caplog.at_level(logging.WARNING):
        assert _all(gzipped, ArchiveReader(tmp_path)) == FILES
    assert "made again" in caplog.text
    assert file.read_bytes() == good


def test_seek_points_of_a_changed_archive_are_made_again(gzipped, tmp_path, caplog):
    _all(gzipped, ArchiveReader(tmp_path))
    write_tar(gzipped, make_entry("other", b"y" * 3_000), mode="w:gz")
    assert _all(gzipped, ArchiveReader(tmp_path)) == {"other": b"y" * 3_000}
    assert "has changed" in caplog.text


def test_reading_goes_on_where_seek_points_cannot_be_kept(gzipped, tmp_path, caplog):
    (tmp_path / "file").write_text("no folder")
    assert _all(gzipped, ArchiveReader(tmp_path / "file" / "points")) == FILES
    assert "cannot save seek points" in caplog.text


def test_a_list_is_kept_until_the_archive_changes(archive, tmp_path, monkeypatch):
    first = members_of(archive, cache_dir=tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr("addnet.index.member_cache.list_members", lambda *_, **__: pytest.fail("listed again"))
        assert members_of(archive, cache_dir=tmp_path) == first == list(list_members(archive))
    write_tar(archive, make_entry("new"))
    assert [member.name for member in members_of(archive, cache_dir=tmp_path)] == ["new"]


@pytest.mark.parametrize("content", [b"", b"PAR1", b"PAR1 nothing of the kind PAR1"])
def test_a_damaged_list_is_made_again(archive, tmp_path, content):
    expected = members_of(archive, cache_dir=tmp_path)
    members_file(archive, tmp_path).write_bytes(content)
    assert members_of(archive, cache_dir=tmp_path) == expected


def test_nothing_is_kept_of_a_refused_archive(tmp_path):
    file = write_tar(tmp_path / "a.tar", make_entry("first"), make_entry("../b"))
    with pytest.raises(UserError, match="leaves"):
        members_of(file, cache_dir=tmp_path / "cache")
    assert not (tmp_path / "cache").exists()


# ---- processes and threads -------------------------------------------------------------------------------------


def _read_in_child(reader, archive, members, queue):
    queue.put(_digest(reader, archive, members))


def _digest(reader, archive, members):
    return [zlib.crc32(reader.read(archive, m.offset, m.length)) for m in members]


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_other_processes_read_the_same_bytes(archive, tmp_path, method):
    reader, members = ArchiveReader(tmp_path), list(list_members(archive))
    expected = _digest(reader, archive, members)
    context = multiprocessing.get_context(method)
    queue = context.Queue()
    children = []
    for i in range(2):
        arguments = (reader, archive, members[i:], queue)
        children.append(context.Process(target=_read_in_child, args=arguments, daemon=True))
        children[i].start()
    during = [_digest(reader, archive, members) for _ in range(5)]
    answers = sorted((queue.get(timeout=60) for _ in children), key=len)
    for child in children:
        child.join()
    assert answers == [expected[1:], expected]
    assert during == [expected] * 5


def test_a_fork_while_a_thread_reads_does_not_hang(gzipped, tmp_path):
    reader, members = ArchiveReader(tmp_path), list(list_members(gzipped))
    expected = _digest(reader, gzipped, members)
    context = multiprocessing.get_context("fork")
    queue = context.Queue()
    with reader._lock:  # as if another thread held it at the moment of the fork
        child = context.Process(target=_read_in_child, args=(reader, gzipped, members, queue), daemon=True)
        child.start()
        assert queue.get(timeout=60) == expected
        child.join()


def test_threads_read_the_same_bytes_while_archives_are_closed_behind_them(tmp_path, monkeypatch):
    monkeypatch.setattr("addnet.index.archives._Tar.limit", 1)
    monkeypatch.setattr("addnet.index.archives._Gzip.limit", 1)
    archives = [write_images(tmp_path / f"{i}.tar", mode) for i, mode in enumerate(["w", "w", "w:gz", "w:gz"])]
    reader = ArchiveReader(tmp_path)

    def right(seed):
        chosen = np.random.default_rng(seed).integers(0, 4, 10)
        return all(_all(archives[i], reader) == FILES for i in chosen)

    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(right, range(4)))


@pytest.mark.skipif(not FDS.is_dir(), reason="counts open files where Linux lists them")
@pytest.mark.parametrize("mode", ["w", "w:gz"])
def test_archives_do_not_stay_open(tmp_path, monkeypatch, mode):
    monkeypatch.setattr("addnet.index.archives._Tar.limit", 1)
    monkeypatch.setattr("addnet.index.archives._Gzip.limit", 1)
    archives = [write_images(tmp_path / f"{i}.tar", mode) for i in range(6)]
    reader, before = ArchiveReader(), len(list(FDS.iterdir()))
    assert all(_all(archive, reader) == FILES for archive in archives)
    assert len(list(FDS.iterdir())) <= before + 1


def test_a_reader_travels_without_what_is_open(archive, tmp_path):
    reader = ArchiveReader(tmp_path)
    _all(archive, reader)
    assert len(pickle.dumps(reader)) < 500
    assert _all(archive, pickle.loads(pickle.dumps(reader))) == FILES


# ---- paths -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "parts"),
    [
        ("a/1.tar.gz/1/fake/0/12.png", ("a/1.tar.gz", "1/fake/0/12.png")),
        ("1.tar/x.png", ("1.tar", "x.png")),
        ("/data/B.TGZ/x.png", ("/data/B.TGZ", "x.png")),
        ("a/1.tar.gz", None),
        ("a/1.tarred/x.png", None),
        ("a/x.png", None),
    ],
)
def test_paths_are_split_at_the_archive(path, parts):
    assert split_path(path) == parts


def test_a_folder_that_is_called_like_an_archive_is_passed_over(tmp_path):
    (tmp_path / "set.tar").mkdir()
    file = write_images(tmp_path / "set.tar" / "1.tar.gz")
    assert split_path(f"{file}/1/a.png") == (str(file), "1/a.png")
