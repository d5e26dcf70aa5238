"""`addnet predict input=…`: what a trained detector says about images and videos."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

from omegaconf import DictConfig, OmegaConf

from addnet.cli import hydra_command
from addnet.config import plain
from addnet.console import shown_path
from addnet.errors import NotWrittenError, UserError, require_choice
from addnet.inference.shipped import located
from addnet.inference.weighing import calibration_of, likelihood_ratios, weighed
from addnet.overrides import quoted
from addnet.untrusted.secrets import masked, without_home
from addnet.untrusted.texts import in_markup, shown, shown_lines
from addnet.wording import count

if TYPE_CHECKING:
    from addnet.case.writer import CaseWriter
    from addnet.inference import Answer, Detector, FaceAnswer
    from addnet.inference.inputs import Inputs
    from addnet.inference.preprocessing import FaceView
    from addnet.inference.weighing import Ratios
    from addnet.pool import ProcessExecutor

log = logging.getLogger(__name__)

# exit codes where files were answered for: some were unusable; with exit_code=verdict also: one is called fake; none is
# and one is neither
SOME_UNUSABLE, SOME_FAKE, SOME_NEITHER = 2, 3, 4
EXIT_CODES = ("done", "verdict")
TRUTHS = ("real", "fake")
_MOST_NAMED = 40
_LONGEST = 150  # bytes of a file's name that stand in the names of what is drawn about it
_TOLD = 10  # files that could not be used; all are in answers.csv


def predict(cfg: DictConfig) -> list[Answer]:
    """Answers for what a composed config names, and writes the answers into the run folder.

    Args:
        cfg: `configs/predict.yaml` composed, `paths.output_dir` being the run folder.

    Returns:
        The answers: images, then videos.

    Raises:
        UserError: The checkpoint or an input has to be put right, or not one file could be used.
    """
    from rich.console import Console

    from addnet.case.folder import require_new
    from addnet.inference.files import finders
    from addnet.inference.inputs import Inputs
    from addnet.inference.writing import AnswerFiles, table_of
    from addnet.untrusted.limits import Limits

    ckpt = located(cfg.ckpt)
    if cfg.truth:
        require_choice("truth", cfg.truth, TRUTHS)
    require_choice("exit_code", cfg.exit_code, EXIT_CODES)
    Limits.of(**plain(cfg.limits))
    if cfg.case:
        require_new(Path(cfg.case))
    folder = Path(cfg.paths.output_dir)
    inputs = Inputs.of([cfg.input] if isinstance(cfg.input, str) else list(cfg.input))
    for note in inputs.notes:
        log.info("%s", note)
    with ExitStack() as stack:
        model = cfg.detector.landmark_model
        processes = stack.enter_context(finders(len(inputs.images), workers=cfg.workers, landmark_model=model))
        detector = load_detector(cfg, ckpt, inputs)
        calibration = calibration_of(detector, cfg.likelihood)
        ratios = likelihood_ratios(detector, calibration)
        told = about(detector, ratios)
        files = stack.enter_context(AnswerFiles(folder, about=told, label=cfg.truth or ""))
        answers = files.answers
        case = stack.enter_context(case_of(cfg, detector, inputs, told, calibration)) if cfg.case else None
        try:
            for answer in _answers(cfg, detector, inputs, processes, case):
                files.add(weighed(answer, ratios))
                if case:
                    case.add(answers[-1])
        except KeyboardInterrupt:
            log.warning("%d of %s are in %s", len(answers), count(len(inputs), "answer"), folder / "answers.csv")
            raise
    unreadable = [answer for answer in answers if answer.verdict == "unusable"]
    if not cfg.quiet:
        for line in detector.background:
            Console().print(shown_lines(line), style="dim", markup=False, highlight=False)
        Console().print(table_of(answers[:_MOST_NAMED], title=_title(answers, detector)))
        if len(answers) > _MOST_NAMED:
            log.info("%s in %s", count(len(answers) - _MOST_NAMED, "more is", "more are"), folder / "answers.csv")
        log.info("answers: %s", shown_path(folder / "answers.csv"))
    if cfg.truth and not cfg.quiet:
        log.info("%s", error_rate(answers, cfg.truth, detector.loaded.class_names))
    tell_unusable(unreadable, folder / "answers.csv")
    if unreadable and len(unreadable) == len(answers):
        raise UserError(f"not one of {count(len(answers), 'file')} could be used")
    return answers


def case_of(
    cfg: DictConfig, detector: Detector, inputs: Inputs, told: Mapping[str, Any], calibration: Path | None
) -> CaseWriter:
    """The record of a case, to be entered; see `addnet.case`."""
    from addnet.case.writer import CaseWriter
    from addnet.untrusted.limits import Limits

    keys = ["ckpt", "model", "detector", "images", "frames", "workers", "limits", "mirror", "likelihood"]
    settings = masked(OmegaConf.masked_copy(cfg, keys))
    if calibration and cfg.likelihood is None:
        settings["likelihood"] = str(calibration)
    return CaseWriter(
        Path(cfg.case),
        detector,
        settings=settings,
        about=told,
        inputs=[*inputs.images, *inputs.videos, *(path for path, _ in inputs.left_out)],
        limits=Limits.of(**plain(cfg.limits)),
        apart=cfg.workers != 0,
        block=cfg.block,
    )


def tell_unusable(answers: Sequence[Answer], file: Path) -> None:
    """Warns of files that could not be used: the first ones, how many there are, and where all are listed."""
    for answer in answers[:_TOLD]:
        log.warning("%s: %s", answer.path, answer.reason)
    if len(answers) > _TOLD:
        log.warning("%s could not be used, each with its reason in %s", count(len(answers), "file"), file)


def load_detector(cfg: DictConfig, ckpt: Path, inputs: Inputs) -> Detector:
    """The detector of a config, once it is clear that there is something to ask it."""
    from addnet.inference import Detector

    detector = Detector.from_checkpoint(ckpt, weights=cfg.model.weights, mirror=cfg.mirror, **plain(cfg.detector))
    if cfg.explain:
        from addnet.inference.explaining import block_of

        block_of(detector, cfg.block)  # raises now, not at the first face
    if not inputs.images or cfg.workers == 0:  # else the processes do, which are the only ones that need it
        detector.preprocessing.load()
    return detector


def about(detector: Detector, ratios: Ratios | None = None) -> dict[str, Any]:
    """Who answers, as plain values: what it is, what it learnt from, where fake begins, what ratios are about."""
    loaded = detector.loaded
    return {
        "checkpoint": without_home(loaded.called),
        "model": dict(loaded.model),
        "image_size": detector.preprocessing.geometry.size,
        "image_threshold": detector.frame.stated,
        "video_threshold": detector.video.stated,
        "learnt_from": loaded.about.get("learnt_from"),
        "mirror": detector.mirror,
        "in_words": list(detector.background),
        "likelihood_ratios": {level: ratio.population for level, ratio in (ratios or {}).items()},
    }


def error_rate(answers: Sequence[Answer], truth: str, class_names: Sequence[str]) -> str:
    """One line: how many files that are all real, or all fake, are taken for the other, with a 95 % interval."""
    from addnet.evaluation.intervals import wilson

    (other,) = (name for name in class_names if name != truth)
    called = [answer.verdict for answer in answers if answer.verdict in class_names]
    if not called:
        return f"error rate: none, since no file that is {truth} has a verdict"
    wrong = called.count(other)
    low, high = wilson(wrong, len(called))
    without = len(answers) - len(called)
    return (
        f"error rate: {wrong} of {len(called)} that are {truth} were called {other}: {wrong / len(called):.1%}, 95 % "
        f"interval {low:.1%} to {high:.1%} (Wilson); {without} without a verdict"
    )


def exit_code(answers: Sequence[Answer], of: str) -> int:
    """The command's exit code once files were answered for.

    Args:
        answers: What was said.
        of: One of `EXIT_CODES`: whether it tells only what could be used, or also the verdicts.
    """
    verdicts = {answer.verdict for answer in answers}
    if of == "verdict" and "fake" in verdicts:
        return SOME_FAKE
    if "unusable" in verdicts:
        return SOME_UNUSABLE
    return SOME_NEITHER if of == "verdict" and verdicts != {"real"} else 0


def _answers(
    cfg: DictConfig, detector: Detector, inputs: Inputs, processes: ProcessExecutor, case: CaseWriter | None
) -> Iterator[Answer]:
    """Answers as they come, with a bar, and what is to be drawn about each; a case is shown their faces."""
    from addnet.inference.files import ImageSettings, answer_images, answer_left_out, answer_videos
    from addnet.inference.videos import VideoSettings
    from addnet.pool import ProcessExecutor
    from addnet.progress import show_progress
    from addnet.untrusted.limits import Limits

    folder = Path(cfg.paths.output_dir)
    settings = ImageSettings(**plain(cfg.images))
    where: dict[str, Any] = {"workers": cfg.workers, "limits": Limits.of(**plain(cfg.limits))}
    images = answer_images(detector, inputs.images, settings, executor=processes, **where)
    how: dict[str, Any] = {"title": "images", "outcome": lambda pair: pair[0].verdict}
    watched = images if cfg.quiet else show_progress(images, len(inputs.images), **how)
    for answer, seen in watched:
        if cfg.explain:
            _explain(cfg, detector, answer, seen)
        if case:
            case.see_image(answer, seen)
        yield answer
    processes.shutdown()
    where["watch"] = case.watch if case else None
    videos = answer_videos(detector, inputs.videos, VideoSettings(**plain(cfg.frames)), **where)
    how = {"title": "videos", "unit": "videos", "outcome": lambda pair: pair[0].verdict}
    with ProcessExecutor(1) as drawers:
        for answer, worst in videos if cfg.quiet else show_progress(videos, len(inputs.videos), **how):
            if answer.worst and worst:
                _draw_video(cfg, detector, answer, folder, drawers)
                if cfg.explain:
                    _explain_video(cfg, detector, answer, worst)
            yield answer
    yield from answer_left_out(detector, inputs.left_out)


def _explain(cfg: DictConfig, detector: Detector, answer: Answer, seen: Sequence[FaceView]) -> None:
    """A sheet for each face of an image."""
    for number, (face, said) in enumerate(zip(seen, answer.faces, strict=True)):
        name = _name(answer.path) + (f"_{number + 1}" if len(seen) > 1 else "")
        _sheet(cfg, detector, face, said, name=name, title=shown(Path(answer.path).name))


def _explain_video(cfg: DictConfig, detector: Detector, answer: Answer, worst: FaceView) -> None:
    """A sheet for the frame that speaks most for fake."""
    said = answer.worst
    assert said is not None
    title = f"{shown(Path(answer.path).name)}, frame {said.frame}" + (
        f", track {said.track}" if answer.people > 1 else ""
    )
    _sheet(cfg, detector, worst, said, name=f"{_name(answer.path)}_frame{said.frame}", title=title)


def _sheet(cfg: DictConfig, detector: Detector, face: FaceView, said: FaceAnswer, *, name: str, title: str) -> None:
    from addnet.inference.explaining import explain
    from addnet.inference.sheet import explanation_plot

    title = f"{title}: {said.verdict}, score {said.score:.3f}, P(fake) {said.probability:.3f}"
    figure = explanation_plot(explain(detector, face, block=cfg.block), title=title)
    _save(figure, Path(cfg.paths.output_dir, "explanations", f"{name}.png"))


def _draw_video(cfg: DictConfig, detector: Detector, answer: Answer, folder: Path, drawers: ProcessExecutor) -> None:
    from addnet.inference.annotating import annotate_apart
    from addnet.inference.timeline import timeline_plot
    from addnet.untrusted.limits import Limits

    name = _name(answer.path)
    if cfg.timeline:
        _save(timeline_plot(answer), folder / "videos" / f"{name}_timeline.png")
    if cfg.annotate:
        file = folder / "videos" / f"{name}.mp4"
        file.parent.mkdir(parents=True, exist_ok=True)
        try:
            how: dict[str, Any] = {"executor": drawers, "limits": Limits.of(**plain(cfg.limits))}
            annotate_apart(answer, file, class_names=detector.loaded.class_names, **how)
        except NotWrittenError:
            raise
        except UserError as error:
            log.warning("%s: its video with boxes was not made: %s", shown(answer.path), error)


def _save(figure: Any, file: Path) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(file, dpi=100)


def _name(path: str) -> str:
    """A name for what is drawn about a file: its own, and a number that tells it from others.

    Without control characters, and short enough for what is added to it: a file system takes 255 bytes.
    """
    import os
    import zlib

    kept = os.fsencode(Path(path).stem).decode("utf-8", "replace").encode()[:_LONGEST].decode("utf-8", "ignore")
    stem = "".join(character if character.isprintable() else "_" for character in kept)
    return f"{stem}-{zlib.crc32(os.fsencode(Path(path).resolve())):08x}"


def _title(answers: Sequence[Answer], detector: Detector) -> str:
    from collections import Counter

    counts = Counter(answer.verdict for answer in answers)
    said = ", ".join(f"{count} {verdict}" for verdict, count in counts.most_common())
    kinds = {"image": detector.frame, "video": detector.video}
    present = {answer.kind for answer in answers}
    above = "; ".join(f"{kind}s above a score of {kinds[kind].stated}" for kind in kinds if kind in present)
    told = "; ".join(f"of {kind}s {kinds[kind].told}" for kind in kinds if kind in present)
    lines = (f"{count(len(answers), 'file')}: {said}", f"(called fake: {above})", f"(P(fake): {told})")
    return "\n".join(map(in_markup, lines))


def arguments_of(words: Sequence[str]) -> list[str]:
    r"""Overrides of the command line: `--quiet` and files without a key are brought into Hydra's form.

    What exists is a file, whatever its name looks like, and so is all behind `--`.

    Example:
        >>> arguments_of(["ckpt=best.ckpt", "a.jpg", "b.png", "--quiet"])
        ['ckpt=best.ckpt', "input=['a.jpg','b.png']", 'quiet=true']
        >>> print(*arguments_of(["--", "-1.jpg", "${x}.jpg"]))
        input=['-1.jpg','\${x}.jpg']
    """
    words = list(words)
    at = words.index("--") if "--" in words else len(words)
    named = [word for word in words[:at] if (not word.startswith("-") and "=" not in word) or _is_file(word)]
    others = [word for word in words[:at] if word not in named and word != "--quiet"]
    files = ",".join(quoted(word) for word in [*named, *words[at + 1 :]])
    quiet = ["quiet=true"] if "--quiet" in words[:at] else []
    return [*others, *([f"input=[{files}]"] if files else []), *quiet]


def _is_file(word: str) -> bool:
    try:
        return Path(word).exists()
    except OSError:  # too long for the name of a file
        return False


@hydra_command("predict", words=arguments_of)
def main(cfg: DictConfig) -> None:
    """Runs the command."""
    if code := exit_code(predict(cfg), cfg.exit_code):
        sys.exit(code)


if __name__ == "__main__":
    main()
