"""Callbacks that run alongside training: monitors, reports, images and guards."""

from addnet.training.callbacks.bandpass_monitor import BandpassMonitor
from addnet.training.callbacks.best_checkpoint import BestCheckpoint
from addnet.training.callbacks.curves import Curves
from addnet.training.callbacks.freeze_backbone import FreezeBackbone
from addnet.training.callbacks.last_checkpoint import LastCheckpoint
from addnet.training.callbacks.non_finite import StopOnNonFiniteLoss
from addnet.training.callbacks.progress_bar import EpochLines, ProgressBar
from addnet.training.callbacks.reports import Reports
from addnet.training.callbacks.resume_state import ResumeState
from addnet.training.callbacks.sample_sheet import SampleSheet
from addnet.training.callbacks.step_seed import StepSeed
from addnet.training.callbacks.weight_average import WeightAverage

__all__ = [
    "BandpassMonitor",
    "BestCheckpoint",
    "Curves",
    "EpochLines",
    "FreezeBackbone",
    "LastCheckpoint",
    "ProgressBar",
    "Reports",
    "ResumeState",
    "SampleSheet",
    "StepSeed",
    "StopOnNonFiniteLoss",
    "WeightAverage",
]
