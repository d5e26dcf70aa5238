"""What a loader process does before its first batch."""

from __future__ import annotations

import os
import signal
import threading

import cv2


def start_worker(_: int) -> None:
    """Runs in each loader process; as `worker_init_fn` of a `DataLoader`."""
    cv2.setNumThreads(0)  # OpenCV's threads do not survive a fork (pytorch#1355)
    if hasattr(signal, "sigwaitinfo"):  # Linux
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
        threading.Thread(target=_end_when_the_run_says_so, args=(os.getppid(),), daemon=True).start()


def _end_when_the_run_says_so(run: int) -> None:
    """Ends this process by a SIGTERM of the one it serves, and by nobody else's.

    SLURM, `timeout` and sweeps send it to all processes of a run. The main one finishes the step under way, for which
    it may need one more batch, writes a checkpoint and ends the loader processes itself.
    """
    while signal.sigwaitinfo({signal.SIGTERM}).si_pid != run:
        pass
    os._exit(0)
