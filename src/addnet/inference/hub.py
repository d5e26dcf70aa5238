"""Detectors on the Hugging Face Hub: `hf:USER/REPO` → a folder on this machine, and an exported folder → the Hub.

What is fetched is what `addnet.export format=safetensors` writes, three files by their names; nothing else of a
repository is looked at, and nothing in it is run.
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
    """Whether a checkpoint is named as one of the Hub.

    Example:
        >>> is_on_hub("hf:someone/detector"), is_on_hub("best.ckpt")
        (True, False)
    """
    return isinstance(ckpt, str) and ckpt.startswith(PREFIX)


def fetched(name: str) -> Path:
    """The folder of a detector of the Hub in its cache on this machine; fetches what isn't there yet.

    Args:
        name: `hf:USER/REPO`, or `hf:USER/REPO@REVISION` with a branch, a tag or a commit.

    Raises:
        UserError: It has another form, is not there, not open to this user, no detector of this program, or the Hub
            can't be reached and it was never fetched.
    """
    from addnet.evaluation.likelihood_files import BESIDE
    from addnet.inference.export.hub_folder import CONFIG, WEIGHTS

    if not (form := _FORM.fullmatch(name)):
        raise UserError(f"ckpt={shown(name)} is not of the form hf:USER/REPO or hf:USER/REPO@REVISION")
    config = _file(name, form["repo"], CONFIG, form["revision"])
    commit = config.parent.name  # the others are of the same one, whatever is pushed meanwhile
    _file(name, form["repo"], WEIGHTS, commit)
    _file(name, form["repo"], BESIDE, commit, needed=False)
    return config.parent


def name_of(folder: Path) -> str:
    """The name of a detector of the Hub by where it is kept on this machine; empty for any other folder.

    Example:
        >>> name_of(Path("/cache/models--someone--my-detector/snapshots/0123456789abcdef"))
        'hf:someone/my-detector@0123456'
    """
    found = _SNAPSHOT.fullmatch(folder.as_posix())
    return f"{PREFIX}{found[1]}/{found[2]}@{found[3]}" if found else ""


def push(folder: str | Path, repo: str, *, private: bool = False, message: str = "A detector of ADDNet") -> CommitInfo:
    """Puts an exported folder on the Hub, where the token of `hf auth login` or `HF_TOKEN` lets it.

    Args:
        folder: What `addnet export format=safetensors` or `addnet release` wrote.
        repo: `USER/REPO`, which is made if it isn't there.
        private: Whether a repository that is made is for its owner alone.
        message: Of the commit.

    Returns:
        The commit, with its address.

    Raises:
        UserError: It is no such folder, or the Hub refuses it.
    """
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError

    from addnet.evaluation.likelihood_files import BESIDE
    from addnet.inference.export.hub_folder import CARD, CONFIG, WEIGHTS, load_exported

    place = Path(folder)
    load_exported(place)  # whole, and of one export
    kept = [file for file in (CONFIG, WEIGHTS, CARD, BESIDE) if (place / file).is_file()]
    api = HfApi()
    try:
        api.create_repo(repo, private=private, exist_ok=True)
        return api.upload_folder(repo_id=repo, folder_path=place, allow_patterns=kept, commit_message=message)
    except HFValidationError as error:
        raise UserError(f"{shown(repo)} is not of the form USER/REPO: {_first_line(error)}") from error
    except HfHubHTTPError as error:
        raise UserError(f"the Hub refuses {shown(repo)}: {_first_line(error)}; log in by `hf auth login`") from error
    except OSError as error:
        raise UserError(f"the Hub can't be reached: {_first_line(error)}") from error


def _file(name: str, repo: str, file: str, revision: str | None, *, needed: bool = True) -> Path:
    """One file of a repository, in the Hub's cache."""
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
    except LocalEntryNotFoundError as error:  # not on this machine, and the Hub wasn't asked
        if not needed:
            return Path()
        raise UserError(
            f"{called}: the Hub can't be reached ({_first_line(error.__cause__ or error)}) and {file} of it isn't on "
            f"this machine. Fetch it where there is a network (`hf download {repo} --local-dir detector`), bring the "
            "folder here and name it: ckpt=detector"
        ) from error
    except GatedRepoError as error:
        raise UserError(
            f"{called} is open to those alone whom its owner lets in: ask on its page, then log in by `hf auth login`"
        ) from error
    except RevisionNotFoundError as error:
        raise UserError(f"{called}: there is no branch, tag or commit {shown(revision)}") from error
    except RepositoryNotFoundError as error:
        raise UserError(
            f"{called}: there is no such model on the Hub, or it is private; if it is yours, log in by `hf auth login`"
        ) from error
    except EntryNotFoundError as error:
        if not needed:
            return Path()
        raise UserError(
            f"{called} has no {file}: it isn't a detector of this program, as `addnet export format=safetensors` "
            "writes them"
        ) from error
    except HFValidationError as error:
        raise UserError(f"{called} is not of the form hf:USER/REPO: {_first_line(error)}") from error
    except (HfHubHTTPError, OSError) as error:
        raise UserError(f"{called} was not fetched: {_first_line(error)}") from error


def _first_line(error: BaseException) -> str:
    return shown(next(iter(str(error).strip().splitlines()), type(error).__name__))
