"""What docs/python.md shows works, in its order, with little to do."""

import re
from pathlib import Path

import matplotlib as mpl
import pytest
from PIL import Image

from trainings import ONE_STEP, SMALL

pytestmark = pytest.mark.slow

PAGE = Path(__file__).parents[1] / "docs" / "python.md"
LESS = {
    '"trainer.max_epochs=3"': ", ".join(f'"{word}"' for word in [*SMALL, *ONE_STEP]),
    "image_size=160, batch_size=32": "image_size=64, batch_size=8, num_workers=0, val_fraction=0.3",
    "max_epochs=3": "max_epochs=1, accelerator='cpu', logger=False, enable_progress_bar=False, limit_train_batches=1",
    '"backbone": "tf_efficientnet_lite0"': '"backbone": "test_efficientnet"',
    '"pretrained": True': '"pretrained": False',
}


@pytest.fixture
def desk(tmp_path, monkeypatch, data_dir, portrait):
    monkeypatch.chdir(tmp_path)
    mpl.use("Agg")
    Path("faces").symlink_to(data_dir)
    Image.fromarray(portrait[0]).save("face.jpg", quality=95)
    return tmp_path


def test_every_block_of_the_page_runs(desk):
    blocks = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), flags=re.DOTALL)
    for shown, small in LESS.items():
        assert sum(shown in block for block in blocks) == 1, shown
        blocks = [block.replace(shown, small) for block in blocks]
    names = {}
    for block in blocks:
        exec(compile(block, PAGE.name, "exec"), names)
    assert 0 <= names["metrics"]["test/video/auroc"] <= 1
    assert names["answer"].verdict in ("real", "fake", "undecided")
    assert names["logits"].shape == (2, 2)
    assert names["attention"].mask.shape == (200, 200)
