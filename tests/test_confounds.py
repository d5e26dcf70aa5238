"""A signal that alone tells the class is found; one that does not is left in peace."""

import cv2
import numpy as np
import pytest
from PIL import Image

from addnet.data.audit.confounds import confound_issues, confounds
from addnet.data.audit.scan import ImageReader, measure_all
from addnet.data.audit.scores import auroc, score_categories, score_numbers
from addnet.data.audit.signals import FORMATS, SUBSAMPLINGS, measure
from addnet.data.layouts import scan_folder
from addnet.index.records import Records
from planted import image, save, write_set


def _scores(root):
    records = Records.of(scan_folder(root))
    found = confounds(records, measure_all(records, ImageReader(root=root), workers=1), resamples=50, seed=0)
    return found, {confound.signal.name: confound.scores for confound in found}


def _labels(count, seed=0):
    return np.random.default_rng(seed).integers(0, 2, count)


@pytest.mark.parametrize("seed", range(5))
def test_auroc_is_the_share_of_pairs_in_the_right_order(seed):
    rng = np.random.default_rng(seed)
    values, labels = rng.integers(0, 12, 90), _labels(90, seed)
    real, fake = values[labels == 0], values[labels == 1]
    pairs = (fake[:, None] > real[None]).mean() + (fake[:, None] == real[None]).mean() / 2
    assert auroc(values, labels) == pytest.approx(pairs)


def test_auroc_without_a_class_is_undefined():
    assert np.isnan(auroc([1.0, 2.0], [1, 1]))


def test_both_directions_count_and_are_told():
    labels, values = np.repeat([0, 1], 50), np.arange(100.0)
    up, down = (score_numbers(v, labels, np.arange(100), resamples=20, seed=0) for v in (values, -values))
    assert (up.auroc, up.larger_in, down.auroc, down.larger_in) == (1.0, "fake", 1.0, "real")
    assert up.low <= up.auroc <= up.high
    assert down.low <= down.auroc <= down.high


def test_the_interval_knows_that_frames_of_a_group_are_not_independent():
    rng = np.random.default_rng(0)
    groups = np.repeat(np.arange(20), 50)
    labels = groups % 2
    values = rng.normal(size=20)[groups] + rng.normal(0, 0.01, 1000)
    by_group, by_image = (score_numbers(values, labels, g, resamples=200, seed=0) for g in (groups, np.arange(1000)))
    assert by_group.high - by_group.low > 3 * (by_image.high - by_image.low)


def test_a_category_of_each_groups_own_tells_nothing():
    groups = np.repeat(np.arange(100), 10)
    labels = _labels(100)[groups]
    score = score_categories(groups, labels, groups, resamples=20, seed=0)
    assert score.auroc == 0.5


def test_random_categories_tell_nothing_and_fitting_ones_much():
    rng = np.random.default_rng(1)
    groups, labels = np.arange(2000), _labels(2000)
    noise = score_categories(rng.integers(0, 40, 2000), labels, groups, resamples=0, seed=0)
    told = score_categories(np.where(rng.random(2000) < 0.2, 1 - labels, labels), labels, groups, resamples=0, seed=0)
    assert noise.auroc == pytest.approx(0.5, abs=0.03)
    assert told.auroc == pytest.approx(0.8, abs=0.03)


@pytest.mark.parametrize(("quality", "subsampling"), [(60, "4:2:0"), (75, "4:4:4"), (92, "4:2:2")])
def test_how_a_jpeg_was_saved_is_read_from_its_header(tmp_path, quality, subsampling):
    Image.fromarray(image(0)).save(tmp_path / "a.jpg", quality=quality, subsampling=subsampling)
    row = measure((tmp_path / "a.jpg").read_bytes())
    assert row["quality"] == pytest.approx(quality, abs=1)
    assert SUBSAMPLINGS[row["subsampling"]] == subsampling
    assert FORMATS[row["format"]] == "JPEG"


def test_what_an_image_shows_is_measured(tmp_path):
    dark, bright = np.full((40, 60, 3), 20, np.uint8), np.full((40, 60, 3), 200, np.uint8)
    rows = [measure(save(tmp_path / f"{n}.png", p).read_bytes()) for n, p in enumerate((dark, bright, image(0)))]
    assert [float(row["brightness"]) for row in rows[:2]] == [20, 200]
    assert (int(rows[0]["width"]), int(rows[0]["height"])) == (60, 40)
    assert rows[0]["contrast"] == rows[0]["sharpness"] == rows[0]["saturation"] == 0
    assert min(rows[2][name] for name in ("contrast", "sharpness", "saturation")) > 5
    assert np.isnan(rows[0]["quality"])


def test_grey_and_transparent_and_turned_images_are_measured_as_shown(tmp_path):
    turned = Image.fromarray(image(0)[:50])
    exif = turned.getexif()
    exif[0x0112] = 6
    turned.save(tmp_path / "turned.jpg", exif=exif)
    Image.fromarray(image(0)).convert("L").save(tmp_path / "grey.png")
    Image.fromarray(image(0)).convert("RGBA").save(tmp_path / "rgba.png")
    rows = {path.stem: measure(path.read_bytes()) for path in tmp_path.iterdir()}
    assert (int(rows["turned"]["width"]), int(rows["turned"]["height"])) == (50, 96)
    assert rows["grey"]["saturation"] == 0
    assert rows["grey"]["brightness"] == pytest.approx(float(rows["rgba"]["brightness"]), abs=1)


def test_fakes_of_lower_quality_are_found_in_every_split(tmp_path):
    found, scores = _scores(write_set(tmp_path, fake_quality=60))
    for name in ("JPEG quality", "JPEG tables", "file size"):
        for split in ("train", "test"):
            assert scores[name][split].auroc > 0.9, (name, split)
    assert scores["file size"]["train"].larger_in == "real"
    kinds = {issue.kind: issue for issue in confound_issues(found, warn_auroc=0.6)}
    assert kinds["confound_jpeg_tables"].severity == "warning"
    assert any("(quality 60): 0.0% of real, 100.0% of fake" in line for line in kinds["confound_jpeg_tables"].examples)


def test_a_matched_set_gives_no_warning(tmp_path):
    found, scores = _scores(write_set(tmp_path, train=60, test=30))
    assert not [issue for issue in confound_issues(found, warn_auroc=0.6) if issue.severity == "warning"]
    assert scores["JPEG tables"]["train"].auroc == 0.5


def test_sizes_that_lie_on_both_sides_are_found_as_categories(tmp_path):
    for n in range(40):
        side = 96 if n % 2 else (64, 128)[n // 2 % 2]
        save(tmp_path / "train" / ("real", "fake")[n % 2] / f"g{n}.png", cv2.resize(image(n), (side, side)))
        save(tmp_path / "test" / ("real", "fake")[n % 2] / f"t{n}.png", image(n))
    _, scores = _scores(tmp_path)
    assert scores["width"]["train"].auroc == 0.5
    assert scores["image size"]["train"].auroc > 0.9


def test_chance_in_a_tiny_set_is_called_chance(tmp_path):
    found, _ = _scores(write_set(tmp_path, train=4, test=4))
    issues = confound_issues(found, warn_auroc=0.5)
    assert issues
    assert all("may be chance" in issue.text for issue in issues if issue.severity == "info")
