"""`addnet predict FILE …`: classifies images and videos with a detector."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
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

# exit codes if at least one file could be used: another is unusable; and with exit_code=verdict: a file is called fake;
# no file is called fake, and at least one has neither verdict
SOME_UNUSABLE, SOME_FAKE, SOME_NEITHER = 2, 3, 4
EXIT_CODES = ("done", "verdict")
TRUTHS = ("real", "fake")
_MOST_NAMED = 40
_LONGEST = 150  # bytes of a file's name that are used in the names of plots about it
_TOLD = 10  # unusable files that are logged; all are in answers.csv


def predict(cfg: DictConfig) -> list[Answer]:
    """Classifies the inputs of a composed config and writes the answers into the run folder.

    Args:
        cfg: `configs/predict.yaml`, composed, with the run folder as `paths.output_dir`.

    Returns:
        The answers: images first, then videos.

    Raises:
        UserError: A setting, the checkpoint or an input is not valid, or no file could be used.
    """
    from rich.console import Console

    from addnet.case.folder import require_new
    from addnet.inference.files import finders, video_finders
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
        how: dict[str, Any] = {"workers": cfg.workers, "landmark_model": cfg.detector.landmark_model}
        processes = stack.enter_context(finders(len(inputs.images), **how))
        lanes = [] if inputs.images else video_finders(len(inputs.videos), **how)
        for lane in lanes:
            stack.enter_context(lane)
        detector = load_detector(cfg, ckpt, inputs)
        calibration = calibration_of(detector, cfg.likelihood)
        ratios = likelihood_ratios(detector, calibration)
        description = about(detector, ratios)
        files = stack.enter_context(AnswerFiles(folder, about=description, label=cfg.truth or ""))
        answers = files.answers
        case = stack.enter_context(case_of(cfg, detector, inputs, description, calibration)) if cfg.case else None
        try:
            for answer in _answers(cfg, detector, inputs, processes, lanes, case):
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
            log.info(
                "%s in %s", count(len(answers) - _MOST_NAMED, "more answer", "more answers"), folder / "answers.csv"
            )
        log.info("answers: %s", shown_path(folder / "answers.csv"))
    if cfg.truth and not cfg.quiet:
        log.info("%s", error_rate(answers, cfg.truth, detector.loaded.class_names))
    tell_unusable(unreadable, folder / "answers.csv")
    if unreadable and len(unreadable) == len(answers):
        raise UserError(
            f"none of the files could be used ({len(answers)}); the reasons are in {folder / 'answers.csv'}"
        )
    return answers


def case_of(
    cfg: DictConfig, detector: Detector, inputs: Inputs, told: Mapping[str, Any], calibration: Path | None
) -> CaseWriter:
    """Makes the writer of a case record, a context manager; see `addnet.case`."""
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
    """Logs warnings for unusable files: the first ones with reasons, their number, and the file that lists them all."""
    for answer in answers[:_TOLD]:
        log.warning("%s: %s", answer.path, answer.reason)
    if len(answers) > _TOLD:
        log.warning("%s could not be used; the reasons are in %s", count(len(answers), "file"), file)


def load_detector(cfg: DictConfig, ckpt: Path, inputs: Inputs) -> Detector:
    """Loads the detector of a config."""
    from addnet.inference import Detector

    detector = Detector.from_checkpoint(ckpt, weights=cfg.model.weights, mirror=cfg.mirror, **plain(cfg.detector))
    if cfg.explain:
        from addnet.inference.explaining import block_of

        block_of(detector, cfg.block)  # raises now, not at the first face
    if not inputs.images or cfg.workers == 0:  # otherwise only the worker processes need the landmarker
        detector.preprocessing.load()
    return detector


def about(detector: Detector, ratios: Ratios | None = None) -> dict[str, Any]:
    """Describes a detector in plain values: its network, its training data, its thresholds, its likelihood ratios."""
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
    """States the error rate on files that are all real, or all fake, with its 95 % interval, on one line."""
    from addnet.evaluation.intervals import wilson

    (other,) = (name for name in class_names if name != truth)
    verdicts = [answer.verdict for answer in answers if answer.verdict in class_names]
    if not verdicts:
        return f"error rate: unknown, since no {truth} file has a verdict"
    wrong = verdicts.count(other)
    low, high = wilson(wrong, len(verdicts))
    without = len(answers) - len(verdicts)
    return (
        f"error rate: {wrong} of {len(verdicts)} {truth} files were called {other}: {wrong / len(verdicts):.1%}, 95 % "
        f"interval {low:.1%} to {high:.1%} (Wilson); {without} without a verdict"
    )


def exit_code(answers: Sequence[Answer], of: str) -> int:
    """Returns the exit code of the command for its answers.

    Args:
        answers: All answers.
        of: One of `EXIT_CODES`: whether the code depends only on unusable files, or also on the verdicts.
    """
    verdicts = {answer.verdict for answer in answers}
    if of == "verdict" and "fake" in verdicts:
        return SOME_FAKE
    if "unusable" in verdicts:
        return SOME_UNUSABLE
    return SOME_NEITHER if of == "verdict" and verdicts != {"real"} else 0


def _answers(
    cfg: DictConfig,
    detector: Detector,
    inputs: Inputs,
    processes: ProcessExecutor,
    lanes: Sequence[ProcessExecutor],
    case: CaseWriter | None,
) -> Iterator[Answer]:
    """Yields the answers with a progress bar, draws the plots of each, and passes the faces to the case record."""
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
    with _cores_shared(processes.workers > 1):
        for answer, seen in watched:
            if cfg.explain:
                _explain(cfg, detector, answer, seen)
            if case:
                case.see_image(answer, seen)
            yield answer
    processes.shutdown()
    where["watch"] = case.watch if case else None
    videos = answer_videos(detector, inputs.videos, VideoSettings(**plain(cfg.frames)), executors=lanes, **where)
    how = {"title": "videos", "unit": "videos", "outcome": lambda pair: pair[0].verdict}
    with ProcessExecutor(1) as drawers:
        for answer, worst in videos if cfg.quiet else show_progress(videos, len(inputs.videos), **how):
            if answer.worst and worst:
                _draw_video(cfg, detector, answer, folder, drawers)
                if cfg.explain:
                    _explain_video(cfg, detector, answer, worst)
            yield answer
    yield from answer_left_out(detector, inputs.left_out)


@contextmanager
def _cores_shared(shared: bool) -> Iterator[None]:
    """Halves the threads of the network while processes find faces on all cores.

    The threads wait for each other at every layer: where other processes keep the cores busy, they would take several
    times the work of one, and these processes would get less done.
    """
    import torch

    threads = torch.get_num_threads()
    if shared:
        torch.set_num_threads(max(1, threads // 2))
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def _explain(cfg: DictConfig, detector: Detector, answer: Answer, seen: Sequence[FaceView]) -> None:
    """Draws an explanation sheet for each face of an image."""
    for number, (view, face) in enumerate(zip(seen, answer.faces, strict=True)):
        name = _name(answer.path) + (f"_{number + 1}" if len(seen) > 1 else "")
        _sheet(cfg, detector, view, face, name=name, title=shown(Path(answer.path).name))


def _explain_video(cfg: DictConfig, detector: Detector, answer: Answer, worst: FaceView) -> None:
    """Draws an explanation sheet for the frame with the highest score for fake."""
    face = answer.worst
    assert face is not None
    title = f"{shown(Path(answer.path).name)}, frame {face.frame}" + (
        f", track {face.track}" if answer.people > 1 else ""
    )
    _sheet(cfg, detector, worst, face, name=f"{_name(answer.path)}_frame{face.frame}", title=title)


def _sheet(cfg: DictConfig, detector: Detector, view: FaceView, face: FaceAnswer, *, name: str, title: str) -> None:
    from addnet.inference.explaining import explain
    from addnet.inference.sheet import explanation_plot

    title = f"{title}: {face.verdict}, score {face.score:.3f}, P(fake) {face.probability:.3f}"
    plot = explanation_plot(explain(detector, view, block=cfg.block), title=title)
    _save(plot, Path(cfg.paths.output_dir, "explanations", f"{name}.png"))


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
            log.warning("%s: the annotated video could not be written: %s", shown(answer.path), error)


def _save(plot: Any, file: Path) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    plot.savefig(file, dpi=100)


def _name(path: str) -> str:
    """Returns a base name for the plots about a file: its own name, and a checksum of its path.

    The name has no control characters, and leaves room for suffixes: file systems allow 255 bytes.
    """
    import os
    import zlib

    kept = os.fsencode(Path(path).stem).decode("utf-8", "replace").encode()[:_LONGEST].decode("utf-8", "ignore")
    stem = "".join(character if character.isprintable() else "_" for character in kept)
    return f"{stem}-{zlib.crc32(os.fsencode(Path(path).resolve())):08x}"


def _title(answers: Sequence[Answer], detector: Detector) -> str:
    from collections import Counter

    counts = Counter(answer.verdict for answer in answers)
    verdicts = ", ".join(f"{count} {verdict}" for verdict, count in counts.most_common())
    kinds = {"image": detector.frame, "video": detector.video}
    present = {answer.kind for answer in answers}
    above = "; ".join(f"{kind}s above a score of {kinds[kind].stated}" for kind in kinds if kind in present)
    calibrated = "; ".join(f"of {kind}s {kinds[kind].told}" for kind in kinds if kind in present)
    lines = (f"{count(len(answers), 'file')}: {verdicts}", f"(called fake: {above})", f"(P(fake): {calibrated})")
    return "\n".join(map(in_markup, lines))


def arguments_of(words: Sequence[str]) -> list[str]:
    r"""Converts the command line to overrides: `--quiet` and files without a key get Hydra's form.

    An existing path is a file, whatever its name looks like, and so is everything after `--`.

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
    except OSError:  # too long for a file name
        return False


@hydra_command("predict", words=arguments_of)
def main(cfg: DictConfig) -> None:
    """Runs the command."""
    if code := exit_code(predict(cfg), cfg.exit_code):
        sys.exit(code)


if __name__ == "__main__":
    main()
