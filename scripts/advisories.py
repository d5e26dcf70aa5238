"""Known faults of what is installed, and of the lowest versions that pyproject.toml admits: `make advisories`.

Asks pip-audit, which stands in the environment that runs this, first of PyPI, then of OSV. Ends with 0 where nothing is
known, with 1 where something is, and with 2, and a sentence, where nobody could be asked.
"""

import json
import re
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path
from typing import Any

SOURCES = {"pypi": "PyPI", "osv": "OSV"}
_BOUND = re.compile(r"([A-Za-z0-9._-]+)(?:\[[^]]*\])?\s*>=\s*([0-9][0-9A-Za-z.]*)")


def bounds(pyproject: Path) -> list[str]:
    """`name==version` at the lower bound of each requirement, those of all extras included."""
    project = tomllib.loads(pyproject.read_text(encoding="utf-8"))["project"]
    extras = [line for lines in project["optional-dependencies"].values() for line in lines]
    found = (_BOUND.match(line) for line in (*project["dependencies"], *extras))
    return sorted({f"{match[1]}=={match[2]}" for match in found if match})


def installed(python: Path) -> list[str]:
    """`name==version` of what an environment has, without what is installed from a folder."""
    command = [str(python), "-m", "pip", "freeze", "--exclude-editable"]
    lines = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    return [line.partition("+")[0] for line in lines if "==" in line]  # torch 2.11.0+cpu is 2.11.0


def audit(requirements: list[str], source: str) -> dict[str, Any] | None:
    """What pip-audit says as JSON; None where the source doesn't answer."""
    with tempfile.TemporaryDirectory() as folder:
        listed = Path(folder, "requirements.txt")
        listed.write_text("\n".join(requirements) + "\n", encoding="utf-8")
        command = [sys.executable, "-m", "pip_audit", "--no-deps", "--disable-pip", "--progress-spinner=off"]
        command += ["--format=json", "--desc=off", f"--vulnerability-service={source}", f"--requirement={listed}"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    try:
        told: dict[str, Any] = json.loads(done.stdout)
    except ValueError:  # a traceback instead: no network
        return None
    return told if answered(told) else None


def answered(told: dict[str, Any]) -> bool:
    """Whether anything was looked up: a source that knows no package at all is a mirror without advisories."""
    return any("vulns" in package for package in told["dependencies"])


def lines(told: dict[str, Any], what: str) -> list[str]:
    """A line for each known fault, and one for packages that the source doesn't know."""
    known = [
        f"{package['name']} {package['version']} ({what}): {fault['id']}"
        f"{''.join(f', {alias}' for alias in fault['aliases'])}; fixed in "
        f"{', '.join(fault['fix_versions']) or 'no version yet'}"
        for package in told["dependencies"]
        for fault in package.get("vulns", ())
    ]
    unknown = [package["name"] for package in told["dependencies"] if "vulns" not in package]
    return known + ([f"not looked up ({what}): {', '.join(unknown)}"] if unknown else [])


def main(python: str) -> int:
    """Audits both sets by the first source that answers."""
    sets = {
        "installed": installed(Path(python)),
        "lower bound": bounds(Path(__file__).parents[1] / "pyproject.toml"),
    }
    faults = 0
    for what, requirements in sets.items():
        told = next((told for source in SOURCES if (told := audit(requirements, source))), None)
        if told is None:
            names = " and ".join(SOURCES.values())
            sys.stderr.write(f"No source of advisories can be reached from here ({names}): nothing was checked.\n")
            return 2
        sys.stdout.writelines(f"{line}\n" for line in lines(told, what))
        found = sum(len(package.get("vulns", ())) for package in told["dependencies"])
        sys.stdout.write(f"{what}: {len(requirements)} packages, {found} known faults\n")
        faults += found
    return int(faults > 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
