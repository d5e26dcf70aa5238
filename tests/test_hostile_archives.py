"""What is damaged, hostile or no tar archive at all is refused with its reason, never believed and never a crash."""

import gzip
import tarfile

import pytest

from addnet.errors import UserError
from addnet.index.archives import ArchiveReader, list_members
from tarballs import FILES, make_entry, write_images, write_tar


@pytest.fixture(params=["w", "w:gz"], ids=["plain", "gzipped"])
def archive(request, tmp_path):
    """Twelve files, of a kind that its name does not tell."""
    return write_images(tmp_path / "1.tar.gz", request.param)


@pytest.fixture
def gzipped(tmp_path):
    return write_images(tmp_path / "2.tar.gz", "w:gz")


@pytest.mark.parametrize(
    ("entry", "reason"),
    [
        (make_entry("/etc/passwd"), "absolute"),
        (make_entry("a/../../b"), "leaves the archive"),
        (make_entry("..", b"", type=tarfile.DIRTYPE), "leaves the archive"),
        (make_entry("a\\..\\b"), "Windows"),
        (make_entry("C:/a"), "Windows"),
        (make_entry("a\nb"), "control characters"),
        (make_entry("a", b"", type=tarfile.SYMTYPE, linkname="/etc/passwd"), "symbolic link"),
        (make_entry("a", b"", type=tarfile.LNKTYPE, linkname="first"), "hard link"),
        (make_entry("a", b"", type=tarfile.CHRTYPE), "device"),
        (make_entry("a", b"", type=tarfile.BLKTYPE), "device"),
        (make_entry("a", b"", type=tarfile.FIFOTYPE), "pipe"),
        (make_entry("a", b"", type=b"V"), "not a regular file"),
        (make_entry("./first"), "twice"),
    ],
)
@pytest.mark.parametrize("mode", ["w", "w:gz"])
def test_hostile_entries_are_refused(tmp_path, entry, reason, mode):
    file = write_tar(tmp_path / "a.tar", make_entry("first"), entry, make_entry("last"), mode=mode)
    with pytest.raises(UserError, match=reason) as caught:
        list(list_members(file))
    assert str(file) in str(caught.value)


def test_sparse_files_are_refused(tmp_path):
    entry, data = make_entry("a", b"7\n")
    entry.pax_headers = {"GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.realsize": "9999999999"}
    data = b"1\n0\n1\n".ljust(512, b"\0") + b"x"
    entry.size = len(data)
    with pytest.raises(UserError, match="not a regular file"):
        list(list_members(write_tar(tmp_path / "a.tar", (entry, data), form=tarfile.PAX_FORMAT)))


def _header(name, size, kind=tarfile.REGTYPE):
    entry = tarfile.TarInfo(name)
    entry.type = kind
    entry.size = size
    return entry.tobuf(tarfile.GNU_FORMAT)


@pytest.mark.parametrize("size", [10**9, 8 * 10**18, 2**80, -512, -(2**40)])
@pytest.mark.parametrize("kind", [tarfile.REGTYPE, tarfile.GNUTYPE_LONGNAME, tarfile.XHDTYPE, tarfile.GNUTYPE_SPARSE])
@pytest.mark.parametrize("write", [open, gzip.open], ids=["plain", "gzipped"])
def test_declared_sizes_are_not_believed(tmp_path, size, kind, write):
    with write(tmp_path / "a.tar", "wb") as stream:
        stream.write(_header("first", 0) + _header("a", size, kind) + bytes(2048))
    with pytest.raises(UserError, match=r"a\.tar"):
        list(list_members(tmp_path / "a.tar"))


def test_a_chain_of_long_names_ends(tmp_path):
    (tmp_path / "a.tar").write_bytes(_header("a", 0, tarfile.GNUTYPE_LONGNAME) * 5_000)
    with pytest.raises(UserError, match="damaged"):
        list(list_members(tmp_path / "a.tar"))


def test_a_header_that_would_stall_the_parser_is_refused(tmp_path):
    digits = b"1" * 10_000
    (tmp_path / "a.tar").write_bytes(_header("a", len(digits), tarfile.XHDTYPE) + digits.ljust(10_240, b"\0"))
    with pytest.raises(UserError, match="digits"):
        list(list_members(tmp_path / "a.tar"))


@pytest.mark.parametrize("keep", [0.0005, 0.3, 0.6, 0.85])
def test_a_truncated_archive_tells_how_much_of_it_is_whole(archive, keep):
    data = archive.read_bytes()
    archive.write_bytes(data[: int(len(data) * keep)])
    whole = []
    with pytest.raises(UserError, match=r"damaged or truncated .* after \d+ intact members") as caught:
        whole.extend(list_members(archive))
    assert f"after {len(whole)} intact members" in str(caught.value)
    assert len(whole) < len(FILES)


def test_a_cut_between_two_members_is_noticed(tmp_path):
    file = write_images(tmp_path / "a.tar")
    last = list(list_members(file))[-1]
    file.write_bytes(file.read_bytes()[: last.offset - 512])
    with pytest.raises(UserError, match="no end-of-archive block"):
        list(list_members(file))


def test_a_damaged_header_is_not_taken_for_the_end(tmp_path):
    file = write_images(tmp_path / "a.tar")
    data = bytearray(file.read_bytes())
    data[list(list_members(file))[6].offset - 512 + 10] ^= 1
    file.write_bytes(data)
    with pytest.raises(UserError, match="checksum"):
        list(list_members(file))


def test_a_damaged_gzip_is_noticed_by_its_checksum(gzipped):
    data = bytearray(gzipped.read_bytes())
    data[-8] ^= 1
    gzipped.write_bytes(data)
    with pytest.raises(UserError, match="damaged"):
        list(list_members(gzipped))
    with pytest.raises(UserError, match="damaged"):
        ArchiveReader().read(gzipped, 512, 100)


@pytest.mark.parametrize(
    ("start", "reason"),
    [
        (b"", "empty"),
        (b"BZh91AY", "bzip2"),
        (b"\xfd7zXZ\0", "xz"),
        (b"\x28\xb5\x2f\xfd", "zstd"),
        (b"PK\x03\x04", "zip"),
        (b"version https://git-lfs.github.com/spec/v1\n", "git lfs pull"),
        (b"<!DOCTYPE html>", "damaged"),
        (b"\x1f\x8b", "damaged"),
    ],
)
def test_other_files_are_named_for_what_they_are(tmp_path, start, reason):
    file = tmp_path / "a.tar.gz"
    file.write_bytes(start + b"x" * 600 if start else b"")
    with pytest.raises(UserError, match=reason):
        list(list_members(file))


def test_a_missing_archive_is_named(tmp_path):
    with pytest.raises(UserError, match=r"cannot open .*none\.tar"):
        list(list_members(tmp_path / "none.tar"))
    with pytest.raises(UserError, match=r"cannot open .*none\.tar"):
        ArchiveReader().read(tmp_path / "none.tar", 0, 1)


@pytest.mark.parametrize(("offset", "length"), [(-1, 5), (0, -1), (0, 1 << 62), (1 << 40, 10), (1 << 62, 10)])
def test_pieces_that_are_not_there_are_refused(archive, offset, length):
    with pytest.raises(UserError, match=r"1\.tar\.gz"):
        ArchiveReader().read(archive, offset, length)
