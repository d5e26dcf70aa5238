"""A file that somebody else made is opened without waiting, and only if it is a file."""

import os
import socket

import pytest

from addnet.errors import UserError
from addnet.untrusted.files import opened, read_bytes, require_regular


def _fifo(path):
    os.mkfifo(path)


def _socket(path):
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))


def _link_to_device(path):
    path.symlink_to("/dev/zero")


KINDS = [(_fifo, "a FIFO"), (_socket, "a socket"), (_link_to_device, "a device"), (os.mkdir, "a folder")]


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
    with pytest.raises(FileNotFoundError):
        read_bytes(tmp_path / "b", most=99)


@pytest.mark.parametrize("name", ["a\0b.jpg", "a\ud800.jpg"])
def test_a_name_that_no_file_can_have_is_told(name):
    with pytest.raises(UserError, match="not a valid name"):
        read_bytes(name, most=99)
