"""Lower bounds lie above known faults, and `make advisories` never calls unasked questions answered."""

import importlib.util
import re
from pathlib import Path

import pytest
from packaging.version import Version

ROOT = Path(__file__).parents[1]
FIXED = {"torch": "2.10", "torchvision": "0.25", "opencv-python-headless": "4.12", "filelock": "3.20.1"}
FIXED |= {"pillow": "12.1.1", "jinja2": "3.1.6", "pyarrow": "14.0.1", "pytorch-lightning": "2.6.6"}
SKIPPED = {
    "name": "filelock",
    "skip_reason": "Dependency not found on PyPI and could not be audited: filelock (3.20.0)",
}
CLEAN = {"name": "rich", "version": "13.0", "vulns": []}
FAULT = {"id": "GHSA-1", "fix_versions": ["2.10.0"], "aliases": ["CVE-2026-24747"]}
FAULTY = {"name": "torch", "version": "2.6.0", "vulns": [FAULT]}


@pytest.fixture(scope="module")
def advisories():
    spec = importlib.util.spec_from_file_location("advisories", ROOT / "scripts" / "advisories.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_no_lower_bound_lies_below_a_fixed_fault(advisories):
    found = dict(line.split("==") for line in advisories.bounds(ROOT / "pyproject.toml"))
    assert {name for name, fixed in FIXED.items() if Version(found[name]) < Version(fixed)} == set()


def test_every_lower_bound_is_audited_and_has_its_reason(advisories):
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8").split("[project.scripts]")[0]
    dependencies = text.split("\ndependencies = [")[1]
    named = set(re.findall(r'"([\w.-]+)(?:\[\w+\])?>=[\d.]+', dependencies))
    assert named == {line.split("==")[0] for line in advisories.bounds(ROOT / "pyproject.toml")}
    for line in dependencies.splitlines():
        for name in re.findall(r'"([\w.-]+)(?:\[\w+\])?>=', line):
            before = dependencies.split(line)[0].rstrip().rpartition("\n")[2]
            told = line.partition("#")[2] or before.partition("#")[2]
            assert told.strip(), name


def test_a_source_that_knows_nothing_has_not_answered(advisories):
    assert not advisories.answered({"dependencies": [SKIPPED, SKIPPED]})
    assert advisories.answered({"dependencies": [SKIPPED, CLEAN]})


def test_a_fault_is_told_with_what_ends_it_and_what_was_not_looked_up_is_named(advisories):
    assert advisories.lines({"dependencies": [CLEAN, FAULTY, SKIPPED]}, "lower bound") == [
        "torch 2.6.0 (lower bound): GHSA-1, CVE-2026-24747; fixed in 2.10.0",
        "not looked up (lower bound): filelock",
    ]
