"""One word for one thing: the glossary (docs/glossary.md) against identifiers, config keys, messages and documents."""

import ast
import io
import re
import tokenize
from collections import defaultdict
from functools import cache
from pathlib import Path

import pytest
from omegaconf import DictConfig, OmegaConf

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[1]
SOURCES = sorted((ROOT / "src").rglob("*.py"))
TEMPLATES = sorted((ROOT / "src").rglob("*.j2"))
CONFIGS = sorted((ROOT / "configs").rglob("*.yaml"))
DOCUMENTS = [ROOT / name for name in ("README.md", "MODEL_CARD.md", "CONTRIBUTING.md", "SECURITY.md")]
DOCUMENTS += sorted((ROOT / "docs").rglob("*.md"))

# words that no identifier and no config key is made of, and what the glossary has instead
WORDS = {
    "picture": "image",
    "pictures": "images",
    "figure": "metric or plot",
    "figures": "metrics or plots",
    "points": "landmarks",
}
# … with what they stand for elsewhere
NAMES = {
    "figure": {"figure", "Figure", "FigureCanvasAgg", "add_figure"},  # Matplotlib's, and TensorBoard's method
    "points": {"seek_points", "seek_points_file", "keep_seek_points", "entry_points", "ChosenPoints", "points"},
}
POINTS = {  # files in which `points` are those of a curve, of an outline or of a compressed stream
    "data/synthetic/canvas.py",
    "evaluation/report/plots.py",
    "index/seek_points.py",
    "sweeps/plot.py",
    "training/callbacks/curves.py",
    "training/pairs.py",
}
# expressions that no message, docstring, comment of a config or document has
EXPRESSIONS = {
    r"\bpictures?\b": "image",
    r"\bfigures?\b": "metric or plot",
    r"\b68 points\b": "68 landmarks",
    r"\blandmark detector\b": "landmarker",
    r"(?<![Tt]here )\b(is|are) no (?!longer\b|more\b|less\b|better\b|worse\b|other\b)[a-z]+": "is not a valid …",
    r"\blearnt (from|on)\b": "trained on",
    r"\b(go|goes|going|went) on\b": "continue, resume",
    r"\b(is|are|was|were) told\b": "is reported",
    r"\btold apart\b": "distinguished",
    r"\bso many\b(?! that)": "that many, N",
    r"\bwhat (is|was) there\b": "existing files",
    r"\bwhat (comes|came|becomes|became) of\b": "the result of",
    r"\b(looked at|amid)\b": "examined, during",
    r"\b(image|video|row|line|path) an? (image|video|row|line|path|split)\b": "one … per …",
}
# … but for these, which are quoted or mean something else
EXCEPTIONS = (
    r"[Aa]uthors.{1,3}figures?",  # of the paper
    r"figure 4",
    r"whole_picture",  # a value in indexes
    r"picture-in-picture",
)


def _parts(name):
    """`read_images`, `readImages` → the words of an identifier."""
    return [part.lower() for part in re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+", name)]


@cache
def _tree(path):
    return ast.parse(path.read_text(encoding="utf-8"))


def _defined(tree):
    """Names that a file gives to something: not those that it merely uses."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield node.name
        elif isinstance(node, ast.arg):
            yield node.arg
        elif isinstance(node, ast.Name | ast.Attribute) and isinstance(node.ctx, ast.Store):
            yield node.id if isinstance(node, ast.Name) else node.attr


def _keys(node):
    if isinstance(node, DictConfig):
        for key in node:
            yield str(key)
            if not OmegaConf.is_missing(node, key) and not OmegaConf.is_interpolation(node, key):
                yield from _keys(node[key])


@pytest.mark.parametrize("word", WORDS)
def test_no_identifier_and_no_config_key_has_a_word_of_the_old_vocabulary(word):
    found = []
    for path in SOURCES:
        own = path.relative_to(ROOT / "src").as_posix().removeprefix("addnet/")
        allowed = NAMES.get(word, set()) if word != "points" or own in POINTS else NAMES["points"] - {"points"}
        found += [f"{own}: {name}" for name in _defined(_tree(path)) if word in _parts(name) and name not in allowed]
    for path in CONFIGS:
        keys = _keys(OmegaConf.load(path))
        found += [f"{path.relative_to(ROOT)}: {key}" for key in keys if word in _parts(key)]
    assert not found, f"{word} is called {WORDS[word]}: {sorted(set(found))}"


def test_each_class_has_a_name_of_its_own_which_is_a_noun():
    places, participles = defaultdict(list), []
    for path in SOURCES:
        for node in ast.walk(_tree(path)):
            if isinstance(node, ast.ClassDef):
                places[node.name.lstrip("_")].append(path.relative_to(ROOT).as_posix())
                last = _parts(node.name)[-1]
                if len(_parts(node.name)) == 1 and re.search(
                    r"((?<!e)ed|own|awn|een|aid|sent|osen|(?<!con)found)$", last
                ):
                    participles.append(node.name)
    several = {name: where for name, where in places.items() if len(where) > 1}
    assert several == {}
    assert participles == []


def _texts(path):
    """Comments and strings of a file that are sentences, with their lines."""
    text = path.read_text(encoding="utf-8")
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type == tokenize.COMMENT or (token.type == tokenize.STRING and " " in token.string):
            yield token.start[0], token.string


def _prose(path):
    """What a document says outside of blocks of commands, and what comments of a config say."""
    text = path.read_text(encoding="utf-8")
    if path.suffix in (".md", ".j2"):
        block = r"```.*?```" if path.suffix == ".md" else r"<style>.*?</style>"
        text = re.sub(block, lambda match: "\n" * match.group().count("\n"), text, flags=re.DOTALL)
    for number, line in enumerate(text.splitlines(), 1):
        said = line.partition("#")[2] if path.suffix == ".yaml" else line
        if said:
            yield number, said


@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_no_message_and_no_document_has_an_expression_of_the_old_vocabulary(expression):
    found = []
    for path in [*SOURCES, *TEMPLATES, *CONFIGS, *DOCUMENTS]:
        for number, text in _texts(path) if path.suffix == ".py" else _prose(path):
            text = re.sub(r"`[^`]*`", "", re.sub(r"<[^>]*>", "", text) if path in TEMPLATES else text)
            without = " ".join(re.sub("|".join(EXCEPTIONS), "", text).split())
            if match := re.search(expression, without):
                found.append(f"{path.relative_to(ROOT)}:{number}: {match.group()}")
    assert not found, f"say {EXPRESSIONS[expression]}: {found}"
