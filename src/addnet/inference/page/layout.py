"""The layout of the page, and its event handlers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Any

from addnet.errors import UserError
from addnet.faces.images import read_image
from addnet.inference.page.desk import PageHandler
from addnet.inference.page.examples import Example
from addnet.inference.page.fragment import welcome
from addnet.inference.page.panels import image_uri
from addnet.inference.page.words import KEPT


def build(desk: PageHandler, examples: Sequence[Example], *, waiting: int = 8) -> Any:
    """Builds the page as `gradio.Blocks`.

    Args:
        desk: Answers for files.
        examples: Images to try.
        waiting: Largest number of files that wait for their turn.

    Raises:
        UserError: `waiting` is below 1.
    """
    import gradio

    if waiting < 1:
        raise UserError(f"waiting={waiting} must be at least 1")
    visit, limits = desk.visit, desk.visit.limits
    accepted = f"up to {limits.max_mb} MB; videos of up to {limits.max_seconds:g} seconds"
    with gradio.Blocks(title="ADDNet", analytics_enabled=False) as page:
        gradio.HTML(_head(), elem_id="head", js_on_load=None)
        with gradio.Row():
            with gradio.Column(scale=1, min_width=300):
                file = gradio.File(label=f"An image or a short video ({accepted})", elem_id="drop", height=190)
                buttons = _examples(gradio, examples)
            with gradio.Column(scale=3, min_width=320):
                reply = gradio.HTML(welcome(visit.detector.background), elem_id="said", js_on_load=None)
        gradio.HTML(f"<p>{KEPT}</p>", elem_id="foot", js_on_load=None)
        answered: dict[str, Any] = {"outputs": [reply, file], "show_progress_on": reply, "api_visibility": "private"}
        answered |= {"concurrency_limit": visit.workers, "concurrency_id": "files"}
        # without `preprocess`, which would create an empty file for each upload
        file.upload(_of_upload(gradio, desk), inputs=file, preprocess=False, **answered)
        for button, example in zip(buttons, examples, strict=True):
            button.click(_of_example(gradio, desk, example), **answered)
    page.queue(max_size=waiting)
    return page


def style() -> str:
    """Returns the style sheet of the page."""
    return (resources.files(__package__) / "page.css").read_text(encoding="utf-8")


def _of_upload(gradio: Any, desk: PageHandler) -> Callable[..., Any]:
    """Returns the handler of uploads. It gives HTML for the answer, and None to clear the file input."""

    async def answer(file: Mapping[str, Any] | None, request: Any) -> tuple[str, None]:
        name = Path(file["path"]).name if file else ""
        return await desk.answer(name, request.session_hash), None

    answer.__annotations__["request"] = gradio.Request  # tells Gradio to pass the request
    return answer


def _of_example(gradio: Any, desk: PageHandler, example: Example) -> Callable[..., Any]:
    async def answer(request: Any) -> tuple[str, None]:
        return await desk.answer_example(example.file, request.session_hash), None

    answer.__annotations__["request"] = gradio.Request
    return answer


def _examples(gradio: Any, examples: Sequence[Example]) -> list[Any]:
    buttons = []
    with gradio.Row():
        for example in examples:
            with gradio.Column(min_width=120):
                image = image_uri(read_image(example.file))
                shown = f'<img src="{image}" alt="">'  # the button below has the title
                gradio.HTML(shown, elem_classes="example", js_on_load=None)
                buttons.append(gradio.Button(example.title, size="sm"))
    return buttons


def _head() -> str:
    return (
        "<h1>ADDNet</h1><p>Says whether the face in an image or video looks swapped or re-enacted, how sure it is, "
        "and why.</p>"
    )
