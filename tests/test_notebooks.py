"""The notebooks run from their first cell to their last, with little to do."""

import json
from pathlib import Path

import matplotlib as mpl
import pytest

from trainings import SMALL

pytestmark = pytest.mark.slow

NOTEBOOKS = sorted((Path(__file__).parents[1] / "docs" / "notebooks").glob("*.ipynb"))
LESS = {
    "ablate_on_drawn_faces": {
        '("base", "no_add_block"), (0, 1), 3': '("base", "no_add_block"), (0,), 1',
        '"experiment=demo"': '"data.data_dir=faces", *SMALL',
        '"data=synthetic"': '"data.data_dir=faces", "resamples=10", "data.num_workers=0"',
    }
}


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.stem)
def test_every_cell_runs(notebook, tmp_path, monkeypatch, data_dir):
    monkeypatch.chdir(tmp_path)
    Path("faces").symlink_to(data_dir)
    mpl.use("Agg")
    cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
    code = ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]
    assert all(not cell.get("outputs") for cell in cells)  # nobody's images
    for shown, small in LESS.get(notebook.stem, {}).items():
        assert sum(shown in one for one in code) == 1, shown
        code = [one.replace(shown, small) for one in code]
    names = {"__name__": "__main__", "SMALL": [*SMALL, "trainer.limit_train_batches=1"]}
    for one in code:
        exec(compile(one, notebook.name, "exec"), names)


def test_there_are_notebooks():
    assert {"use_a_detector", "ablate_on_drawn_faces"} == {notebook.stem for notebook in NOTEBOOKS}
