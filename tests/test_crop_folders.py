"""Folders of crops: whatever ids a data set has, nothing outside the output folder or of another video is touched."""

from pathlib import PurePosixPath

import pytest

from addnet.preparation.folders import crop_folders


def test_ordinary_ids_are_kept_as_they_are():
    ids = ["UADFV/real/0000", "FaceForensics++/Deepfakes/c23/071_054", "DFDC/fake/part_0/ä b"]
    assert crop_folders(ids) == ids


@pytest.mark.parametrize(
    "video_id",
    ["", "..", ".", "/", "../../etc", "/etc/passwd", "C:\\Windows\\a", "a/../../b", "a\0b", "x" * 300, "é" * 200],
)
def test_no_id_leaves_the_folder_or_breaks_a_file_system(video_id):
    (folder,) = crop_folders([video_id])
    path = PurePosixPath(folder)
    assert path.parts
    assert not path.is_absolute()
    assert ".." not in path.parts
    assert not set(folder) & set('\\:*?"<>|\0')
    assert max(len(part.encode()) for part in path.parts) <= 130


def test_ids_that_some_file_system_takes_for_one_have_different_folders():
    folders = crop_folders(
        ["d/A", "d/a", "d/..", "d", "d/CON", "d/\u00e9", "d/e\u0301", "a:b", "a?b", "a./b", "x" * 300, "x" * 301]
    )
    assert len({folder.casefold() for folder in folders}) == len(folders)


def test_no_folder_lies_in_that_of_another_video():
    folders = [PurePosixPath(folder) for folder in crop_folders(["clips/a", "clips/a/b", "clips/A/b/c", "clips"])]
    assert not any(one in other.parents for one in folders for other in folders)
