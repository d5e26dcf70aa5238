"""Atomic checkpoints for Lightning: a file is either complete or absent."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pytorch_lightning.plugins.io import TorchCheckpointIO

from addnet.checkpoints.file import write_checkpoint


class AtomicCheckpointIO(TorchCheckpointIO):
    """Writes a checkpoint to a temporary file in the same folder and renames it: a kill leaves the previous one intact.

    Lightning writes to the system's temporary folder, and a move between file systems is a copy, not a rename.
    """

    def save_checkpoint(self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any = None) -> None:
        """Writes the checkpoint; when this returns, it is on the disk and not only in the system's cache.

        Raises:
            UserError: It could not be written, for example because the disk is full.
        """
        write_checkpoint(checkpoint, path, then="resume")
