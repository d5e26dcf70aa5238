"""Checks the record of a case.

    addnet case verify FOLDER [root=FOLDER] [ckpt=CHECKPOINT] [device=cpu]

`verify` compares the hashes of the case's own files, of the examined files and of the detector with the record, and
computes every score again. It prints a table and each problem in words. Exits with 0 if everything is as recorded, with
1 if something differs or can't be checked, with 2 if an argument is invalid.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from omegaconf import DictConfig

from addnet.cli import command, subcommands
from addnet.config import plain
from addnet.errors import UserError
from addnet.overrides import quoted

NAME = "case verify"


def arguments_of(words: Sequence[str]) -> list[str]:
    """Returns the overrides of the command line; a folder without a key is the case.

    Example:
        >>> arguments_of(["cases/one", "root=/media/copy"])
        ["case='cases/one'", 'root=/media/copy']
    """
    return [word if word.startswith("-") or "=" in word else f"case={quoted(word)}" for word in words]


@command(NAME, words=arguments_of)
def verify(cfg: DictConfig) -> int:
    """Checks the case that a composed config names, and prints a table.

    Args:
        cfg: The composed `configs/case.yaml`.

    Returns:
        0 if everything is as recorded, else 1.

    Raises:
        UserError: There is no such case, its record can't be read, or a value is not valid.
    """
    from rich.console import Console

    from addnet.case.checks import Check, table_of, told
    from addnet.case.reading import read_record
    from addnet.case.verify import check_detector, check_sums, detector_of, find_files, repeat
    from addnet.untrusted.limits import Limits

    folder, limits = Path(cfg.case), Limits.of(**plain(cfg.limits))
    if cfg.root and not Path(cfg.root).is_dir():
        raise UserError(f"root={cfg.root}: no such folder; name the folder with the files of the case")
    recorded = read_record(folder)
    found = find_files(recorded, Path(cfg.root) if cfg.root else None)
    try:
        detector = detector_of(recorded, ckpt=cfg.ckpt, device=cfg.device, landmark_model=cfg.landmark_model)
    except UserError as error:
        own = Check(cfg.ckpt or recorded.ckpt, "detector", [f"{error}; scores were not repeated"])
    else:
        own = check_detector(detector, recorded)
        if own.same_hash:
            repeat(detector, recorded, found, workers=cfg.workers, limits=limits)
    checks = [*check_sums(folder), own, *(check for check, _ in found)]
    text, code = told(checks)
    Console().print(table_of(checks, title=str(folder)))
    sys.stdout.write(text)
    return code


main = subcommands("case", {"verify": verify})

if __name__ == "__main__":
    sys.exit(main())
