"""Images and videos in one folder: what is served is said, and nothing is hidden by a stray file."""

import shlex

import pytest
from PIL import Image

import media
from addnet.config import compose, plain
from addnet.data.layouts import LAYOUTS, list_data
from addnet.data.named import configured
from addnet.errors import UserError
from addnet.index import FaceIndex
from addnet.prepare import prepare

CELLS = [(split, name) for split in ("train", "test") for name in ("real", "fake")]


def _folder(root, suffixes):
    """Files `a_0.<suffix>` … for each split and class."""
    for (split, name), some in suffixes.items():
        (root / split / name).mkdir(parents=True)
        for number, suffix in enumerate(some):
            (root / split / name / f"{split}{name}{number}.{suffix}").touch()
    return root


def _listed(root, **options):
    return list_data(LAYOUTS, "folder", root, options=options)


def test_one_stray_image_does_not_hide_the_videos(tmp_path):
    suffixes = {cell: ["mp4"] * 2 for cell in CELLS} | {("train", "real"): ["mp4", "mp4", "jpg"]}
    listing = _listed(_folder(tmp_path / "data", suffixes))
    assert (len(listing.images), len(listing.videos)) == (0, 8)
    assert any("left out 1 image," in note for note in listing.notes)


def test_images_of_all_classes_come_before_videos_unless_videos_are_asked_for(tmp_path):
    root = _folder(tmp_path / "data", {cell: ["jpg", "mp4"] for cell in CELLS})
    assert len(_listed(root).images) == 4
    assert len(_listed(root, source="videos").videos) == 4
    assert len(_listed(root, source="videos").images) == 0


@pytest.mark.parametrize("name", ["plain", "with blank"])
def test_real_ones_as_images_and_fake_ones_as_videos_are_used_as_the_error_says(tmp_path, name):
    suffixes = {cell: ["jpg" if cell[1] == "real" else "mp4"] * 2 for cell in CELLS}
    root = _folder(tmp_path / name, suffixes)
    (source,) = configured(plain(compose([f"data.data_dir='{root}'"]).data)).sources
    with pytest.raises(UserError, match="has only videos") as error:
        _ = source.listing
    (typed,) = [word for word in _words(str(error.value)) if word.startswith("data.train=")]
    images, videos = configured(plain(compose([typed]).data)).sources
    assert (len(images.listing.images), len(images.listing.videos)) == (4, 0)
    assert (len(videos.listing.images), len(videos.listing.videos)) == (0, 4)


def _words(text):
    return shlex.split(text[text.index("'data.train=") :].partition("\n")[0])


def test_images_and_videos_without_labels_are_both_prepared_each_with_its_report(portrait, tmp_path):
    root = tmp_path / "data"
    root.mkdir()
    Image.fromarray(portrait[0]).save(root / "face.tif")
    media.write_video(root / "clip.mp4", [portrait[0]] * 3)
    where = [f"input={root}", f"paths.output_root={tmp_path}", f"paths.output_dir={tmp_path}/reports"]
    images, crops = prepare(compose([*where, "prepare.workers=1"], config_name="prepare"))
    assert FaceIndex(images).records().paths.to_pylist() == ["face.tif"]
    assert len(FaceIndex(crops)) == 3
    assert len(list((tmp_path / "reports").glob("*/report.md"))) == 2
