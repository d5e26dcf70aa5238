"""Detectors on the Hugging Face Hub: `hf:USER/REPO` → a folder on this machine, and an exported folder → the Hub.

Only the three files that `addnet.export format=safetensors` writes are fetched, by name; other files of a repository
are ignored, and no code in it is run.
"""

from __future__ import annotations

import logging
import re
from pathlib import Path
from typing import TYPE_CHECKING

from addnet.errors import UserError
from addnet.untrusted.texts import shown

if TYPE_CHECKING:
    from huggingface_hub.hf_api import CommitInfo

log = logging.getLogger(__name__)

PREFIX = "hf:"
_FORM = re.compile(r"hf:(?P<repo>[\w.-]+/[\w.-]+)(?:@(?P<revision>[\w./-]+))?")
_SNAPSHOT = re.compile(r".*/models--([\w.-]+?)--([\w.-]+)/snapshots/([0-9a-f]{7})[0-9a-f]*")


def is_on_hub(ckpt: object) -> bool:
    """Whether a checkpoint is named as one on the Hub.

    Example:
        >>> is_on_hub("hf:someone/detector"), is_on_hub("best.ckpt")
        (True, False)
    """
    return isinstance(ckpt, str) and ckpt.startswith(PREFIX)


def fetched(name: str) -> Path:
    """Returns the folder of a Hub detector in the local cache; fetches the files that aren't cached yet.

    Args:
        name: `hf:USER/REPO`, or `hf:USER/REPO@REVISION` with a branch, a tag or a commit.

    Raises:
        UserError: The name has another form; the repository doesn't exist, isn't open to this user or isn't a detector
            of this program; or the Hub can't be reached and the detector isn't cached.
    """
    from addnet.evaluation.likelihood_files import BESIDE
    from addnet.inference.export.hub_folder import CONFIG, WEIGHTS

    if not (form := _FORM.fullmatch(name)):
        raise UserError(f"ckpt={shown(name)} is not of the form hf:USER/REPO or hf:USER/REPO@REVISION")
    config = _file(name, form["repo"], CONFIG, form["revision"])
    commit = config.parent.name  # fetch the other files from the same commit, even if one is pushed meanwhile
    _file(name, form["repo"], WEIGHTS, commit)
    _file(name, form["repo"], BESIDE, commit, needed=False)
    return config.parent


def name_of(folder: Path) -> str:
    """Returns the name of a Hub detector from its folder in the local cache; empty for any other folder.

    Example:
        >>> name_of(Path("/cache/models--someone--my-detector/snapshots/0123456789abcdef"))
        'hf:someone/my-detector@0123456'
    """
    found = _SNAPSHOT.fullmatch(folder.as_posix())
    return f"{PREFIX}{found[1]}/{found[2]}@{found[3]}" if found else ""


def push(folder: str | Path, repo: str, *, private: bool = False, message: str = "A detector of ADDNet") -> CommitInfo:
    """Uploads an exported folder to the Hub, with the token of `hf auth login` or `HF_TOKEN`.

    Args:
        folder: A folder that `addnet export format=safetensors` or `addnet release` wrote.
        repo: `USER/REPO`, created if it doesn't exist.
        private: Whether a new repository is private.
        message: The commit message.

    Returns:
        The commit, with its URL.

    Raises:
        UserError: It is not such a folder, or the Hub refuses it or can't be reached.
    """
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError

    from addnet.evaluation.likelihood_files import BESIDE
    from addnet.inference.export.hub_folder import CARD, CONFIG, WEIGHTS, load_exported

    place = Path(folder)
    load_exported(place)  # raises if a file is damaged or of another export
    kept = [file for file in (CONFIG, WEIGHTS, CARD, BESIDE) if (place / file).is_file()]
    api = HfApi()
    try:
        api.create_repo(repo, private=private, exist_ok=True)
        return api.upload_folder(repo_id=repo, folder_path=place, allow_patterns=kept, commit_message=message)
    except HFValidationError as error:
        raise UserError(f"{shown(repo)} is not of the form USER/REPO: {_first_line(error)}") from error
    except HfHubHTTPError as error:
        raise UserError(f"the Hub refuses {shown(repo)}: {_first_line(error)}; log in with `hf auth login`") from error
    except OSError as error:
        raise UserError(f"the Hub can't be reached: {_first_line(error)}") from error


def _file(name: str, repo: str, file: str, revision: str | None, *, needed: bool = True) -> Path:
    """Returns the path of one file of a repository in the local cache; `Path()` if it is optional and missing."""
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import (
        EntryNotFoundError,
        GatedRepoError,
        HfHubHTTPError,
        HFValidationError,
        LocalEntryNotFoundError,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )

    called = f"ckpt={shown(name)}"
    try:
        return Path(hf_hub_download(repo, file, revision=revision))
    except LocalEntryNotFoundError as error:  # not cached, and the Hub couldn't be reached
        if not needed:
            return Path()
        raise UserError(
            f"{called}: the Hub can't be reached ({_first_line(error.__cause__ or error)}) and its {file} isn't on "
            f"this machine. Fetch it where there is a network (`hf download {repo} --local-dir detector`), copy the "
            "folder to this machine and name it: ckpt=detector"
        ) from error
    except GatedRepoError as error:
        raise UserError(
            f"{called} is restricted to users whom its owner admits: request access on its page, then log in with "
            "`hf auth login`"
        ) from error
    except RevisionNotFoundError as error:
        raise UserError(f"{called}: there is no branch, tag or commit {shown(revision)}") from error
    except RepositoryNotFoundError as error:
        raise UserError(
            f"{called}: there is no such model on the Hub, or it is private; if it is yours, log in with "
            "`hf auth login`"
        ) from error
    except EntryNotFoundError as error:
        if not needed:
            return Path()
        raise UserError(
            f"{called} has no {file}: it isn't a detector of this program, written by "
            "`addnet export format=safetensors`"
        ) from error
    except HFValidationError as error:
        raise UserError(f"{called} is not of the form hf:USER/REPO: {_first_line(error)}") from error
    except (HfHubHTTPError, OSError) as error:
        raise UserError(f"{called} could not be fetched: {_first_line(error)}") from error


def _first_line(error: BaseException) -> str:
    return shown(next(iter(str(error).strip().splitlines()), type(error).__name__))
