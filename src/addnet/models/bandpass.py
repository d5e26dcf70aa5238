"""A learnable bandpass in front of a network: the difference of two Gaussian blurs."""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from addnet.errors import UserError, require_choice
from addnet.models.blurs import difference_of_blurs

MODES = ("replace", "concat", "residual")
BORDERS = ("reflect", "replicate")
_SMALLEST = 1e-3  # pixels: there the blur is the identity, and float32 still distinguishes the two sigmas


class BandpassLayer(nn.Module):
    """Keeps the detail between two scales: `G(sigma_low) − G(sigma_low + delta)`, both widths learnable.

    Both `sigma_low` and `delta` are kept positive by a softplus, so that no optimiser step can swap the two sigmas.
    The Gaussians are sampled at whole pixels, truncated to `kernel_size` taps and normalised, as in
    `scipy.ndimage.gaussian_filter(radius=...)`.

    An image of one colour gives exactly 0: adding a constant to an image does not change the response, so one pixel of
    every channel is subtracted first. This also keeps rounding errors small for bright images.

    Each separable pass is a product with blocks of a banded matrix (`addnet.models.blurs`). The products are float32
    inside autocast too; `torch.set_float32_matmul_precision` other than "highest" lets a GPU round their inputs.

    Shapes:
        image: (B, C, H, W), any range; only differences between pixels matter.
        returns: (B, C, H, W), or (B, 2C, H, W) with `concat`; float32, or float64 for a float64 image.

    Args:
        kernel_size: Taps of each Gaussian, odd, at least 3. 31 taps cover three sigmas of up to 5 pixels.
        sigma_low: Initial sigma of the narrower blur in pixels. A larger value removes more fine detail.
        delta: Initial value of `sigma_high − sigma_low` in pixels. A larger value passes coarser structure.
        mode: `replace` returns the band, `concat` the image with the band as further channels, `residual` their sum.
        border: `reflect` (the border pixel is not repeated) or `replicate`.
        learnable: False freezes both widths.

    Raises:
        UserError: An option lies outside these values.

    Example:
        >>> import torch
        >>> layer = BandpassLayer(kernel_size=15, sigma_low=1.0, delta=0.6)
        >>> layer(torch.rand(2, 3, 32, 40)).shape
        torch.Size([2, 3, 32, 40])
        >>> layer(torch.full((1, 3, 32, 32), 0.7)).abs().max().item()
        0.0
        >>> round(layer.sigma_high.item(), 4)
        1.6
    """

    raw_sigma_low: nn.Parameter
    raw_delta: nn.Parameter

    def __init__(
        self,
        kernel_size: int = 31,
        *,
        sigma_low: float = 1.0,
        delta: float = 1.0,
        mode: str = "replace",
        border: str = "reflect",
        learnable: bool = True,
    ) -> None:
        super().__init__()
        self.kernel_size = _odd(kernel_size)
        self.mode = require_choice("mode", mode, MODES)
        self.border = require_choice("border", border, BORDERS)
        for name, value in (("sigma_low", sigma_low), ("delta", delta)):
            raw = torch.tensor(_inverse_width(name, value))
            self.register_parameter(f"raw_{name}", nn.Parameter(raw, requires_grad=learnable))

    @property
    def sigma_low(self) -> Tensor:
        """Width of the narrower blur in pixels, a differentiable scalar above 0."""
        return _width(self.raw_sigma_low)

    @property
    def delta(self) -> Tensor:
        """`sigma_high − sigma_low` in pixels, a differentiable scalar above 0."""
        return _width(self.raw_delta)

    @property
    def sigma_high(self) -> Tensor:
        """Width of the wider blur in pixels, a differentiable scalar above `sigma_low`."""
        return self.sigma_low + self.delta

    def out_channels(self, in_channels: int) -> int:
        """Returns the number of output channels for `in_channels` input channels."""
        return 2 * in_channels if self.mode == "concat" else in_channels

    def kernels(self) -> tuple[Tensor, Tensor]:
        """Returns the narrow and the wide 1-D Gaussian: (kernel_size,) each, sum 1, differentiable."""
        return self._gaussian(self.sigma_low), self._gaussian(self.sigma_high)

    def band(self, image: Tensor) -> Tensor:
        """Returns the band of `image`, regardless of the mode.

        Args:
            image: (B, C, H, W).

        Raises:
            UserError: The image is too small for a reflected border.
        """
        height, width = image.shape[-2:]
        self._check_size(height, width)
        with torch.autocast(image.device.type, enabled=False):  # two nearly equal blurs cancel in bfloat16
            centred = image.to(torch.promote_types(image.dtype, torch.float32))
            centred = centred - centred[..., :1, :1].detach()
            narrow, wide = (kernel.to(centred.dtype) for kernel in self.kernels())
            return difference_of_blurs(centred, narrow, wide, self.border)

    def forward(self, image: Tensor) -> Tensor:
        """Returns the band, the image with the band, or their sum, according to `mode`."""
        band = self.band(image)
        if self.mode == "replace":
            return band
        if self.mode == "concat":
            return torch.cat([image.to(band.dtype), band], dim=1)
        return image.to(band.dtype) + band

    @torch.no_grad()
    def frequency_response(self, n: int = 256) -> tuple[Tensor, Tensor]:
        """Returns the gain at each spatial frequency along one axis of the image.

        Args:
            n: Number of frequencies, at least 2.

        Returns:
            Frequencies in cycles per pixel, (n,) from 0 to 0.5, and the gain at each, (n,), 0 at frequency 0.
        """
        narrow, wide = self.kernels()
        frequencies = torch.linspace(0, 0.5, n, dtype=narrow.dtype, device=narrow.device)
        waves = torch.cos(2 * math.pi * frequencies[:, None] * self._offsets(narrow))
        return frequencies, (waves * (narrow - wide)).sum(dim=1)

    def extra_repr(self) -> str:
        """Returns what `print(layer)` shows."""
        widths = f"sigma_low={self.sigma_low.item():.3f}, sigma_high={self.sigma_high.item():.3f}"
        return f"kernel_size={self.kernel_size}, {widths}, mode={self.mode!r}, border={self.border!r}"

    def _offsets(self, like: Tensor) -> Tensor:
        radius = self.kernel_size // 2
        return torch.arange(-radius, radius + 1, dtype=like.dtype, device=like.device)

    def _gaussian(self, sigma: Tensor) -> Tensor:
        weights = torch.exp(-0.5 * (self._offsets(sigma) / sigma) ** 2)
        return weights / weights.sum()

    def _check_size(self, height: int, width: int) -> None:
        radius = self.kernel_size // 2
        if self.border == "reflect" and min(height, width) <= radius:
            raise UserError(
                f"An image of {height} × {width} pixels is too small for kernel_size={self.kernel_size} and "
                f"border=reflect, which require more than {radius} pixels a side; use "
                "model.border=replicate or a smaller model.kernel_size."
            )


def _odd(kernel_size: int) -> int:
    if not isinstance(kernel_size, int) or kernel_size < 3 or kernel_size % 2 == 0:
        raise UserError(
            f"kernel_size={kernel_size!r} has no centre pixel or no neighbours; use an odd whole number of "
            "at least 3, such as 7, 15, 31 or 63."
        )
    return kernel_size


def _width(raw: Tensor) -> Tensor:
    return functional.softplus(raw.to(torch.promote_types(raw.dtype, torch.float32))) + _SMALLEST


def _inverse_width(name: str, value: float) -> float:
    """Returns the number that `_width` maps to `value`."""
    if not _SMALLEST < value < math.inf:
        raise UserError(f"{name}={value!r} is not a valid width; use more than {_SMALLEST} pixels, such as 1.0.")
    positive = value - _SMALLEST
    return positive + math.log(-math.expm1(-positive))
