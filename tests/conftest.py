"""Fixtures that are expensive to make are made once: images, a data set, its index."""

from __future__ import annotations

import multiprocessing
import os
import shutil
from pathlib import Path

import numpy as np
import pytest

os.environ.setdefault("COMET_LOGGING_CONSOLE", "error")
os.environ.setdefault("OMP_NUM_THREADS", "1")  # two files at once; small images gain nothing from threads

REAL_DATA = Path(os.environ.get("ADDNET_REAL_DATA", Path(__file__).parents[2] / "shared" / "data"))


_LONGEST = ("test_resume", "test_distributed", "test_sweeps", "test_training", "test_layouts_train")


@pytest.hookimpl(tryfirst=True)  # before items are chosen by their marks
def pytest_collection_modifyitems(items):
    """Files that take minutes come first, so that no process is left with one of them at the end."""
    for item in items:
        if any(item.get_closest_marker(name) for name in ("families", "study", "coverage")):
            item.add_marker(pytest.mark.slow)
    items.sort(key=lambda item: item.path.stem not in _LONGEST)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item):
    """Processes of pools are forked, but for tests marked `spawns`, whose are started as a user's are."""
    import warm
    from addnet.pool import processes

    processes.multiprocessing = multiprocessing if item.get_closest_marker("spawns") else warm.workers
    return (yield)


@pytest.fixture(scope="session")
def portrait():
    """A drawn face of 200 × 200 pixels with its true 68 landmarks."""
    from addnet.data.synthetic import Identity, PortraitView, draw_portrait

    identity = Identity.draw(np.random.default_rng(7))
    view = PortraitView.draw(np.random.default_rng(8))
    return draw_portrait(identity, view, size=200)


@pytest.fixture(scope="session")
def _data_dir(tmp_path_factory):
    from addnet.data.synthetic import generate_dataset

    root = tmp_path_factory.mktemp("data") / "faces"
    generate_dataset(root, train=48, test=20, size=112, seed=3, views=2)
    return root


@pytest.fixture(scope="session")
def data_dir(_data_dir):
    """48 training and 20 test images in the folder layout; not to be changed."""
    return _data_dir


@pytest.fixture
def own_data_dir(_data_dir, tmp_path):
    """A copy of the data set that a test may damage."""
    return Path(shutil.copytree(_data_dir, tmp_path / "faces"))


@pytest.fixture(scope="session")
def index_dir(tmp_path_factory):
    """Where all tests keep landmarks, so that those of `data_dir` are found once."""
    return tmp_path_factory.mktemp("index")


@pytest.fixture(scope="session")
def real_data():
    """The folder with real images; tests that need it are skipped where it is absent."""
    if not REAL_DATA.is_dir():
        pytest.skip(f"no real images in {REAL_DATA}; set ADDNET_REAL_DATA to their folder")
    return REAL_DATA


@pytest.fixture(scope="session")
def _video_dir(tmp_path_factory):
    import media
    from addnet.data.synthetic import Identity, PortraitView, draw_portrait

    root = tmp_path_factory.mktemp("videos") / "clips"
    for person, (split, other) in enumerate([("train", 7), ("train", 8), ("train", 9), ("test", 10)]):
        for label, name, who in (("real", f"p{person}", person), ("fake", f"p{person}_p{other}", other)):
            identity = Identity.draw(np.random.default_rng(who))
            views = [PortraitView.draw(np.random.default_rng((who, number))) for number in range(6)]
            frames = [draw_portrait(identity, view, size=160)[0] for view in views]
            (root / split / label).mkdir(parents=True, exist_ok=True)
            media.write_video(root / split / label / f"{name}.mp4", frames)
    return root


@pytest.fixture
def video_dir(_video_dir, tmp_path):
    """Eight videos of six frames in the folder layout, `<split>/<class>/<person>.mp4`; a test may damage them."""
    return Path(shutil.copytree(_video_dir, tmp_path / "clips"))
