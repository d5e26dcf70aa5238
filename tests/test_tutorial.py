"""docs/tutorial.md is what `scripts/tutorial.py` made of its template; the tutorial itself, of minutes, isn't run."""

import importlib.util
import sys

import numpy as np
import pytest

from addnet.data.synthetic import Identity
from addnet.faces.videos import Video
from test_readme import ROOT


def _script(name):
    """A script as a module, which must not be taken for one of the same name elsewhere."""
    spec = importlib.util.spec_from_file_location(f"scripts_{name}", ROOT / "scripts" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


tutorial = _script("tutorial")
PAGE = tutorial.PAGE.read_text(encoding="utf-8")
TEMPLATE = tutorial.TEMPLATE.read_text(encoding="utf-8")


def test_the_page_has_the_words_and_commands_of_its_template():
    nothing = [""] * len(list(tutorial.blocks(TEMPLATE)))
    assert tutorial.without_output(PAGE) == tutorial.rendered(TEMPLATE, nothing)


def test_the_page_shows_what_commands_printed_and_nothing_of_the_machine():
    assert PAGE.count("```text\n") >= 10
    for stranger in (str(ROOT), "/tmp", "/home", "/root", "Traceback", "=== end"):
        assert stranger not in PAGE


def test_output_stands_below_its_block_and_can_be_cut():
    template = "one\n```bash\na\n```\ntwo\n<!-- cut: first 1, last 1 -->\n```bash\nb\nc\n```\nthree\n"
    page = tutorial.rendered(template, ["", "1\n2\n3"])
    assert page == "one\n```bash\na\n```\ntwo\n```bash\nb\nc\n```\n\n```text\n1\n…\n3\n```\nthree\n"
    assert tutorial.without_output(page) == tutorial.rendered(template, ["", ""])


def test_what_differs_between_runs_is_left_out():
    assert tutorial.stable("at outputs/a/2026-01-02_03-04-05-678901/x  \n\n\n\n18.5 videos/s\n") == (
        "at outputs/a/TIME/x\n\nN videos/s"
    )
    assert tutorial.stable("epoch 1/8: val/auroc 0.5551, 12:02") == "epoch 1/8: val/auroc 0.5551, M:SS"


def test_blocks_run_in_one_shell_and_time_is_the_newest_folder(tmp_path):
    for name in ("2026-01-01_a", "2026-01-02_b"):
        (tmp_path / "deep" / "outputs" / "train" / name).mkdir(parents=True)
    steps = [
        tutorial.Block("false\n", "install"),
        tutorial.Block("cd deep\n", ""),
        tutorial.Block("ls -d outputs/train/TIME/.\n", ""),
    ]
    assert tutorial.run(steps, tmp_path, tutorial.Path(sys.executable)) == ["", "", "outputs/train/2026-01-02_b/."]
    with pytest.raises(RuntimeError, match="ended with 1"):
        tutorial.run(steps, tmp_path, None)


@pytest.mark.slow
def test_the_same_frames_are_the_same_file(tmp_path):
    clips = _script("draw_clips")
    person, other = (Identity.draw(np.random.default_rng((13, who))) for who in (0, 1))
    frames = [real for real, _ in clips.clip(person, other, (13, 0, 1))]
    written = set()
    for number in range(12):
        moved = [np.ones(1000 * number) for _ in range(number)]  # so that memory isn't laid out as before
        clips.write(tmp_path / "clip.mp4", frames)
        written.add((tmp_path / "clip.mp4").read_bytes())
        del moved
    assert len(written) == 1


def test_a_drawn_clip_and_its_fake_are_videos_of_the_same_scene(tmp_path, monkeypatch):
    clips = _script("draw_clips")
    monkeypatch.setattr(clips, "PAIRS", {"train": 1})
    monkeypatch.setattr(clips, "FRAMES", 2)
    clips.main([str(tmp_path / "clips")])
    files = sorted(file.relative_to(tmp_path / "clips/train").as_posix() for file in tmp_path.rglob("*.mp4"))
    assert files == ["fake/pair00_ab.mp4", "fake/pair00_ba.mp4", "real/pair00_a.mp4", "real/pair00_b.mp4"]
    real, fake = (
        [frame.image.astype(float) for frame in Video(tmp_path / "clips/train" / name).frames(every=1)]
        for name in ("real/pair00_a.mp4", "fake/pair00_ab.mp4")
    )
    assert len(real) == len(fake) == 2
    middle = abs(real[0] - fake[0])[84:140, 84:140].mean()
    assert middle > 3 * abs(real[0] - fake[0])[:, :20].mean()  # the face alone was changed
