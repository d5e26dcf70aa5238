"""What the documents tell people to type works in the order in which it stands there, on small drawn data.

The commands are taken out of the documents. One training is run, from what was prepared before; the others are brought
to where their first batch could be drawn. `test_readme.py` composes what isn't run here.
"""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pyarrow.csv as pacsv
import pyarrow.parquet as pq
import pytest

import addnet.data.__main__ as data_command
from addnet.config import build, compose
from addnet.evaluate import evaluate
from addnet.export import export
from addnet.inference import shipped
from addnet.inference.export import export_checkpoint
from addnet.predict import arguments_of, predict
from addnet.prepare import prepare
from addnet.release import release
from addnet.train import data_used, train
from replicas_drawn import Replicas
from test_readme import ROOT, _commands
from trainings import NETWORK

pytestmark = pytest.mark.slow

# app.md and first-run.md have no sequences: a page and the demo, which have tests of their own
NAMES = ("how-to", "preparation", "audit", "using", "datasets", "scaling", "export", "detectors", "tutorial")
DOCUMENTS = ["README.md", *(f"docs/{name}.md" for name in NAMES)]
# other programs; machines, networks and data sets that a test doesn't have; what takes minutes or has tests of its own
NOT_HERE = re.compile(
    r"^(?!addnet )|…|\.\./shared/"
    r"|\baddnet (adopt|app|serve|case|models|faces|filter|study|summarize)\b|^addnet -"
    r"|addnet train (-m|--resume)\b|\b(sweep|experiment)=|trainer=ddp|trainer\.devices|audit\.faces|license="
    r"|\{layout:|\b(data=)?(faceshifter|celebdfpp)\b"
)
RUN = "data.index=outputs/clips/index.parquet"  # that what was prepared is trained on is tried to its end
# folders of the documents → data sets, and the options of which the few files of these know less
DRAWN = {"/data/Celeb-DF-v2": "celebdf", "/data/FaceForensics++": "faceforensics", "/data/CDF": "celebdf"}
DRAWN |= {"/data/FF": "faceforensics", "/data/WDF": "wilddeepfake", "/data/rgb": "deepfakebench"}
DRAWN |= {"/data/deepfakes_detection_datasets": "df40"}
OTHER = {"data.options.names=[FF-DF,FF-F2F,FF-FS,FF-NT]": "data.options.names=[FF-DF]"}
OTHER |= {"data.options.split=actors": "data.options={split: actors, test_actors: [27, 28]}"}
ABSENT = ("data.options.json=", "data.options.compression=c40")
SMALL = ["data.image_size=64", "data.batch_size=4", "data.num_workers=0", "data.val_fraction=0.4", "augment=none"]
SMALL += ["model.pretrained=false", "trainer=cpu", "trainer.max_epochs=1", "logger=none"]
SMALL += ["data.limit_train=8", "data.limit_val=8", "data.limit_test=8"]
LITTLE = ["prepare.workers=1", "prepare.frames=1", "data.num_workers=0"]


class Desk:
    """A folder in which somebody types the commands of a document, one after the other."""

    def __init__(self, replicas, index_dir):
        self.replicas, self.places = replicas, [f"paths.index_dir={index_dir}"]

    def type(self, words):
        if NOT_HERE.search(" ".join(words)):
            return
        name, *arguments = words[1:]
        drawn = DRAWN | ({"/data/FaceForensics++": "dfd"} if "data=dfd" in arguments else {})  # they share a tree
        here = [self._here(argument, drawn) for argument in arguments if not argument.startswith(ABSENT)]
        getattr(self, name)(here)

    def _here(self, argument, drawn):
        """An argument with drawn data in the place of what the document names."""
        argument = re.sub(r"=/data/(dfdc-)?faces$", "=faces", OTHER.get(argument, argument))
        for folder, name in drawn.items():
            argument = re.sub(
                rf"([=:]){re.escape(folder)}(?=$|[,\]])", lambda m, n=name: m[1] + str(self.replicas[n]), argument
            )
        if "outputs/faces/NAME" in argument:
            named = max(Path("outputs/faces").iterdir(), key=lambda path: path.stat().st_mtime_ns)
            argument = argument.replace("outputs/faces/NAME", str(named))
        return argument

    def train(self, arguments):
        cfg = compose([*(a for a in arguments if not a.startswith("trainer")), *SMALL, *LITTLE, *self.places])
        if RUN in arguments:
            train(cfg)
            return
        module = build(cfg.data, **data_used(cfg))
        module.prepare_data()
        module.setup("fit")
        assert set(module.splits) == {"train", "val", "test"}
        assert cfg.ckpt_path in (None, "auto") or Path(cfg.ckpt_path).is_file()

    def prepare(self, arguments):
        for file in prepare(compose([*arguments, *LITTLE, *self.places], config_name="prepare")):
            assert Path(file).is_file()

    def evaluate(self, arguments):
        less = ["resamples=10", "mistakes=0", "robustness=none", "data.limit_test=8", *LITTLE, *self.places]
        kept = [a for a in arguments if not a.startswith("robustness")]
        assert evaluate(compose([*kept, *less], config_name="evaluate"))["checkpoints"]

    def predict(self, arguments):
        answers = predict(compose(arguments_of(arguments), config_name="predict"))
        assert {answer.verdict for answer in answers} <= {"fake", "real", "undecided", "no face"}

    def export(self, arguments):
        pytest.importorskip("onnx")
        export(compose(arguments, config_name="export"))

    def release(self, arguments):
        less = ["resamples=10", "robustness=none", "data.limit_test=8", *LITTLE, *self.places]
        assert (release(compose([*arguments, *less], config_name="release")) / "README.md").is_file()

    def data(self, arguments):
        code = data_command.main([*arguments, *self.places])
        assert code == 0 or arguments[0] == "audit"  # which finds faults in so few images


@pytest.fixture(scope="module")
def replicas(tmp_path_factory):
    return Replicas(tmp_path_factory.mktemp("replicas"))


@pytest.fixture(scope="module")
def run(tmp_path_factory, data_dir, index_dir):
    """The folder of a training of one step."""
    folder = tmp_path_factory.mktemp("run") / "run"
    own = [f"data.data_dir={data_dir}", f"paths.output_dir={folder}", f"paths.index_dir={index_dir}", "test=false"]
    train(compose([*own, *SMALL, *LITTLE, *NETWORK]))
    return folder


@pytest.fixture(scope="module")
def detectors(tmp_path_factory, run):
    """That training, as the detectors that come with the program."""
    folder = tmp_path_factory.mktemp("installed")
    for name in ("lite", "lite-clean"):
        export_checkpoint(run / "checkpoints" / "best.ckpt", folder / name, format="safetensors")
    return folder


@pytest.fixture
def desk(tmp_path, data_dir, index_dir, video_dir, replicas, run, detectors, monkeypatch):
    """With `faces/`, `clips/`, a few images, and earlier trainings under the names that documents give them."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(shipped, "FOLDER", detectors)
    Path("faces").symlink_to(data_dir)
    Path("outputs/evaluate/TIME").mkdir(parents=True)
    for name in ("outputs/train/TIME", "outputs/addnet", "outputs/bandpass"):
        shutil.copytree(run, name)
    for name in ("best.ckpt", "a.ckpt", "b.ckpt", "gend.ckpt", "a/best.ckpt", "b/best.ckpt"):
        Path(name).parent.mkdir(exist_ok=True)
        shutil.copy(run / "checkpoints" / "best.ckpt", name)
    for folder in ("images", "crops", "portraits"):
        Path(folder).mkdir()
        shutil.copy(next((data_dir / "test" / "real").iterdir()), f"{folder}/one.png")
    rows = "".join(f"{row}.png,{row % 4},c{row % 4},A,{row % 2},0.{row},0.{row}\n" for row in range(8))
    for name, columns in (
        ("scores", "video,score,b"),
        ("a", "video,score,b"),
        ("b", "video,score,b"),
        ("both", "clip,a,b"),
    ):
        named, *scores = columns.split(",")
        Path(f"{name}.csv").write_text(f"path,group,{named},country,label,{','.join(scores)}\n{rows}")
    pq.write_table(pacsv.read_csv("scores.csv"), "outputs/evaluate/TIME/scores.parquet")
    shutil.copy("images/one.png", "face.jpg")
    shutil.copy(video_dir / "test/real/p3.mp4", "clip.mp4")
    for label, name in (("real", "pair12_a"), ("fake", "pair12_ab")):  # of the tutorial
        shutil.copy(next((video_dir / "test" / label).iterdir()), f"clips/test/{label}/{name}.mp4")
    desk = Desk(replicas, index_dir)
    desk.prepare(["data.data_dir=clips", "output=outputs/faces/own"])
    return desk


@pytest.mark.parametrize("document", DOCUMENTS)
def test_the_commands_of_a_document_work_in_their_order(document, desk):
    typed = list(_commands(ROOT / document))
    for words in typed:
        desk.type(words)
    assert any(not NOT_HERE.search(" ".join(words)) for words in typed)
