"""How Lightning writes checkpoints: whole under their name, or not there."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pytorch_lightning.plugins.io import TorchCheckpointIO

from addnet.checkpoints.file import write_checkpoint


class AtomicCheckpointIO(TorchCheckpointIO):
    """Writes a checkpoint beside its place and then moves it there: a kill leaves the previous one whole.

    Lightning's own way goes through the system's temporary folder, and a move between file systems is a copy.
    """

    def save_checkpoint(self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any = None) -> None:
        """Writes it; on the disk, not only in the system's cache, when this returns.

        Raises:
            UserError: It could not be written, for example because the disk is full.
        """
        write_checkpoint(checkpoint, path, then="resume")
