"""Where things stand on the page, and what a dropped file sets off."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from importlib import resources
from pathlib import Path
from shutil import copyfile
from tempfile import gettempdir, mkdtemp
from typing import Any

from addnet.errors import UserError
from addnet.faces.pictures import read_picture
from addnet.inference.page.asking import Visit
from addnet.inference.page.examples import Example
from addnet.inference.page.fragment import fragment, welcome
from addnet.inference.page.panels import picture_uri
from addnet.inference.page.words import KEPT

_FORGET = (60, 600)  # uploads that nobody asked about: looked for each minute, gone after ten
_ONE_AT_A_TIME = {"concurrency_limit": 1, "concurrency_id": "network", "api_visibility": "private"}


def build(visit: Visit, examples: Sequence[Example], *, waiting: int = 8) -> Any:
    """The page as `gradio.Blocks`.

    Args:
        visit: Answers for files.
        examples: To be tried.
        waiting: Files that may wait for their turn.

    Raises:
        UserError: Nothing may wait.
    """
    import gradio

    if waiting < 1:
        raise UserError(f"waiting={waiting} must be at least 1")
    limits = visit.limits
    taken = f"up to {limits.max_mb} MB; videos of up to {limits.max_seconds:g} seconds"
    with gradio.Blocks(title="ADDNet", analytics_enabled=False, delete_cache=_FORGET) as page:
        gradio.HTML(_head(), elem_id="head", js_on_load=None)
        with gradio.Row():
            with gradio.Column(scale=1, min_width=300):
                file = gradio.File(label=f"A picture or a short video ({taken})", elem_id="drop", height=190)
                buttons = _examples(gradio, examples)
            with gradio.Column(scale=3, min_width=320):
                said = gradio.HTML(welcome(visit.detector.background), elem_id="said", js_on_load=None)
        gradio.HTML(f"<p>{KEPT}</p>", elem_id="foot", js_on_load=None)
        answered: dict[str, Any] = {"outputs": [said, file], "show_progress_on": said, **_ONE_AT_A_TIME}
        file.upload(partial(_answer, visit), inputs=file, **answered)
        for button, example in zip(buttons, examples, strict=True):
            button.click(partial(_try, visit, example.file), **answered)
    page.queue(max_size=waiting)
    return page


def style() -> str:
    """The style sheet of the page."""
    return (resources.files(__package__) / "page.css").read_text(encoding="utf-8")


def _answer(visit: Visit, path: str | None) -> tuple[str, None]:
    """HTML for the place of the verdict, and None for that of the file: another can be dropped at once."""
    if path is None or not _is_temporary(Path(path)):
        return welcome(visit.detector.background), None
    return fragment(visit.ask_and_forget(Path(path)), visit.detector), None


def _is_temporary(path: Path) -> bool:
    """Whether a file is this program's to delete. Gradio lets none through that isn't; here it would be lost."""
    return path.resolve().is_relative_to(Path(gettempdir()).resolve())


def _try(visit: Visit, example: Path) -> tuple[str, None]:
    own = Path(mkdtemp(), example.name)  # an upload is deleted with its folder, the example is still needed
    copyfile(example, own)
    return _answer(visit, str(own))


def _examples(gradio: Any, examples: Sequence[Example]) -> list[Any]:
    buttons = []
    with gradio.Row():
        for example in examples:
            with gradio.Column(min_width=120):
                picture = picture_uri(read_picture(example.file))
                shown = f'<img src="{picture}" alt="">'  # the button below says what it is
                gradio.HTML(shown, elem_classes="example", js_on_load=None)
                buttons.append(gradio.Button(example.title, size="sm"))
    return buttons


def _head() -> str:
    return (
        "<h1>ADDNet</h1><p>Says whether the face in a picture or video looks swapped or re-enacted, how sure it is, "
        "and what speaks for it.</p>"
    )
