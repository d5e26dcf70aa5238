"""Monitors the bandpass layer during training."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import pytorch_lightning as pl
import torch
from torch import Tensor

from addnet.colours import BLACK, PINK, SKY
from addnet.models import BandpassLayer
from addnet.plotting import legend_below
from addnet.training.loggers import log_plot

if TYPE_CHECKING:
    from matplotlib.figure import Figure

log = logging.getLogger(__name__)


class BandpassMonitor(pl.Callback):
    """Logs σ_low, Δ and σ_high each epoch, and plots of the frequency response and of filtered images.

    Does nothing for a network without a bandpass layer.

    Args:
        every_n_epochs: Number of epochs between plots.
        images: Number of images of the first validation batch to show.
    """

    def __init__(self, every_n_epochs: int = 1, *, images: int = 4) -> None:
        self.every_n_epochs = every_n_epochs
        self.images = images
        self._images: Tensor | None = None
        self._warned = False

    def on_validation_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Keeps images of the first validation batch, so that every epoch shows the same ones."""
        if self._images is None and bandpass_of(pl_module) is not None:
            step = max(1, len(batch["image"]) // self.images)  # neighbours are frames of one video
            self._images = batch["image"][::step][: self.images].detach().cpu()

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Logs the sigmas and draws the plots."""
        layer = bandpass_of(pl_module)
        if layer is None:
            return
        values = {name: getattr(layer, name).item() for name in ("sigma_low", "delta", "sigma_high")}
        pl_module.log_dict({f"bandpass/{name}": value for name, value in values.items()}, sync_dist=True)
        self._warn_if_cut_off(layer, values["sigma_high"])
        if trainer.is_global_zero and trainer.current_epoch % self.every_n_epochs == 0:
            log_plot(trainer, "bandpass_response", response_plot(layer, trainer.current_epoch))
            if self._images is not None:
                log_plot(trainer, "bandpass_images", filtered_plot(layer, self._images, trainer.current_epoch))

    def _warn_if_cut_off(self, layer: BandpassLayer, sigma_high: float) -> None:
        radius = layer.kernel_size // 2
        if sigma_high > radius / 2 and not self._warned:
            self._warned = True
            log.warning(
                "sigma_high=%.2f is wide for kernel_size=%d: its Gaussian is cut off at %.1f sigma; use a larger "
                "model.kernel_size to cover it",
                sigma_high,
                layer.kernel_size,
                radius / sigma_high,
            )


def bandpass_of(module: torch.nn.Module) -> BandpassLayer | None:
    """The bandpass layer inside a module, or None if it has none."""
    return next((layer for layer in module.modules() if isinstance(layer, BandpassLayer)), None)


@torch.no_grad()
def response_plot(layer: BandpassLayer, epoch: int) -> Figure:
    """Plots the gain of the layer over spatial frequency, and its two Gaussian kernels."""
    from matplotlib.figure import Figure

    frequencies, gain = layer.frequency_response(256)
    low, high = (kernel.detach().cpu().numpy() for kernel in layer.kernels())
    figure = Figure(figsize=(8.4, 3.4), layout="constrained")
    left, right = figure.subplots(1, 2)
    left.plot(frequencies.cpu().numpy(), gain.cpu().numpy(), color=BLACK)
    left.set(xlabel="cycles per pixel", ylabel="gain", title=f"frequency response, epoch {epoch + 1}", ylim=(0, None))
    taps = range(-(layer.kernel_size // 2), layer.kernel_size // 2 + 1)
    for kernel, name, colour in ((low, "sigma_low", PINK), (high, "sigma_high", SKY)):
        right.plot(taps, kernel, label=f"{name} = {getattr(layer, name).item():.3f}", color=colour)
    right.set(xlabel="pixels", title="Gaussians")
    legend_below(right)
    return figure


@torch.no_grad()
def filtered_plot(layer: BandpassLayer, images: Tensor, epoch: int) -> Figure:
    """Plots images above their bandpass-filtered versions, whose contrast covers ±3 standard deviations."""
    from matplotlib.figure import Figure

    device = next(layer.parameters()).device
    bands = layer.band(images.to(device)).cpu()
    figure = Figure(figsize=(max(3.0, 2.2 * len(images)), 4.6), layout="constrained")
    axes = figure.subplots(2, len(images), squeeze=False)
    for column, (image, band) in enumerate(zip(images, bands, strict=True)):
        spread = 6 * float(band.std()) or 1.0
        for row, shown in enumerate((image / 2 + 0.5, band / spread + 0.5)):
            axes[row, column].imshow(shown.clamp(0, 1).permute(1, 2, 0).numpy())
            axes[row, column].axis("off")
    figure.suptitle(f"images and their band, epoch {epoch + 1}")
    return figure
