"""Setup of a loader process before its first batch."""

from __future__ import annotations

import os
import signal
import threading

import cv2


def start_worker(_: int) -> None:
    """Sets up a loader process; for `worker_init_fn` of a `DataLoader`."""
    cv2.setNumThreads(0)  # OpenCV's threads don't survive a fork (pytorch#1355)
    if hasattr(signal, "sigwaitinfo"):  # Linux
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
        threading.Thread(target=_exit_on_parent_sigterm, args=(os.getppid(),), daemon=True).start()


def _exit_on_parent_sigterm(run: int) -> None:
    """Exits when the parent process sends SIGTERM; ignores SIGTERM from other processes.

    SLURM, `timeout` and sweeps send SIGTERM to all processes of a run. The main process then finishes the current
    step, for which it may need one more batch, saves a checkpoint and ends the loader processes itself.
    """
    while signal.sigwaitinfo({signal.SIGTERM}).si_pid != run:
        pass
    os._exit(0)
