"""The bandpass layer is a difference of two Gaussians, silent on flat images; its widths can be learnt."""

import copy

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter
from torch.nn import functional

from addnet.errors import UserError
from addnet.models import BandpassLayer

SCIPY_BORDERS = {"reflect": "mirror", "replicate": "nearest"}


def scipy_band(image, layer):
    """The same band from `scipy.ndimage`, in float64."""
    options = {"radius": layer.kernel_size // 2, "mode": SCIPY_BORDERS[layer.border], "axes": (2, 3)}
    image = image.double().numpy()
    narrow, wide = (gaussian_filter(image, s.item(), **options) for s in (layer.sigma_low, layer.sigma_high))
    return torch.from_numpy(narrow - wide)


@pytest.mark.parametrize("border", SCIPY_BORDERS)
@pytest.mark.parametrize(("kernel_size", "sigma_low", "delta"), [(31, 1.0, 1.0), (7, 0.4, 2.3), (15, 3.0, 0.1)])
def test_band_equals_scipy_up_to_the_border(border, kernel_size, sigma_low, delta):
    layer = BandpassLayer(kernel_size, sigma_low=sigma_low, delta=delta, border=border)
    image = torch.rand(2, 3, 37, 52) * 255
    torch.testing.assert_close(layer(image).double(), scipy_band(image, layer), atol=2e-4, rtol=0)
    layer = layer.double()
    torch.testing.assert_close(layer(image.double()), scipy_band(image, layer), atol=1e-10, rtol=0)


@pytest.mark.parametrize("border", SCIPY_BORDERS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.float16, torch.bfloat16, torch.uint8])
def test_flat_images_give_exactly_nothing(border, dtype):
    colours = (torch.rand(4, 3, 1, 1) * 250).to(dtype)
    band = BandpassLayer(sigma_low=0.7, delta=4.0, border=border)(colours.expand(4, 3, 40, 33))
    assert torch.equal(band, torch.zeros_like(band))


def test_a_constant_added_changes_nothing_but_rounding():
    layer, image = BandpassLayer(), torch.rand(2, 3, 48, 48)
    torch.testing.assert_close(layer(image + 1000), layer(image), atol=2e-4, rtol=0)


def test_one_image_does_not_depend_on_its_neighbours():
    layer, images = BandpassLayer(kernel_size=9), torch.rand(4, 3, 30, 30)
    torch.testing.assert_close(layer(images)[2:3], layer(images[2:3]))


def test_both_sigmas_get_a_finite_gradient_that_is_not_zero():
    layer = BandpassLayer()
    layer(torch.rand(2, 3, 64, 64)).square().mean().backward()
    for raw in (layer.raw_sigma_low, layer.raw_delta):
        assert torch.isfinite(raw.grad)
        assert raw.grad != 0


@pytest.mark.parametrize("mode", ["replace", "concat", "residual"])
@pytest.mark.parametrize("border", SCIPY_BORDERS)
def test_gradients_are_those_of_finite_differences(mode, border):
    layer = BandpassLayer(5, sigma_low=0.8, delta=0.9, mode=mode, border=border).double()
    image = torch.rand(1, 2, 6, 7, dtype=torch.float64, requires_grad=True)

    def run(image, raw_low, raw_delta):
        values = {"raw_sigma_low": raw_low, "raw_delta": raw_delta}
        return torch.func.functional_call(layer, values, (image,))

    assert torch.autograd.gradcheck(run, (image, layer.raw_sigma_low, layer.raw_delta))


@pytest.mark.parametrize("scale", [0.1, 10.0])
def test_sigmas_stay_in_order_whatever_the_optimiser_does(scale):
    layer = BandpassLayer(kernel_size=9)
    optimizer = torch.optim.SGD(layer.parameters(), lr=scale)
    for _ in range(200):
        for parameter in layer.parameters():
            parameter.grad = torch.randn_like(parameter)
        optimizer.step()
        assert 0 < layer.sigma_low < layer.sigma_high
    band = layer(torch.rand(1, 3, 32, 32))
    assert band.isfinite().all()


def test_a_vanishing_sigma_gives_neither_nan_nor_an_infinite_gradient():
    layer = BandpassLayer(sigma_low=0.00101, delta=0.00101)
    layer(torch.rand(1, 3, 40, 40)).square().sum().backward()
    assert all(parameter.grad.isfinite() for parameter in layer.parameters())


@pytest.mark.parametrize("mode", ["replace", "concat", "residual"])
def test_float32_inside_autocast(mode):
    layer, image = BandpassLayer(mode=mode), torch.rand(2, 3, 64, 64)
    expected = layer(image)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        band = layer(image)
        half = layer(image.bfloat16())
    assert band.dtype == half.dtype == torch.float32
    assert torch.equal(band, expected)


def test_modes_and_their_channels():
    image = torch.rand(2, 3, 40, 50)
    band = BandpassLayer()(image)
    both = BandpassLayer(mode="concat")
    assert both.out_channels(3) == both(image).shape[1] == 6
    assert torch.equal(both(image), torch.cat([image, band], dim=1))
    torch.testing.assert_close(BandpassLayer(mode="residual")(image), image + band)
    assert BandpassLayer(mode="residual").out_channels(3) == 3


def test_kernels_are_normalised_symmetric_and_ordered():
    narrow, wide = BandpassLayer(sigma_low=0.9, delta=1.3).kernels()
    for kernel in (narrow, wide):
        torch.testing.assert_close(kernel.sum(), torch.ones(()))
        torch.testing.assert_close(kernel, kernel.flip(0))
    assert narrow[15] > wide[15]


def test_frequency_response_is_what_a_wave_meets():
    layer = BandpassLayer(border="replicate")
    frequencies, gain = layer.frequency_response(33)
    assert frequencies[0] == 0
    assert frequencies[-1] == 0.5
    assert gain[0].abs() < 1e-6
    cycles = 5 + np.random.default_rng().integers(20)
    wave = torch.cos(2 * torch.pi * frequencies[cycles] * (torch.arange(129) - 64)).expand(1, 1, 129, 129)
    torch.testing.assert_close(layer(wave)[0, 0, 64, 64], gain[cycles], atol=1e-5, rtol=0)


def test_frozen_sigmas_stay_and_share_the_state_dict():
    frozen, free = BandpassLayer(learnable=False, sigma_low=0.5), BandpassLayer(sigma_low=2.5, delta=0.2)
    assert not any(parameter.requires_grad for parameter in frozen.parameters())
    frozen.load_state_dict(free.state_dict())
    assert torch.equal(frozen.sigma_low, free.sigma_low)
    assert torch.equal(frozen.sigma_high, free.sigma_high)


@pytest.mark.parametrize("value", [0.01, 0.3, 1.0, 7.0, 40.0])
def test_start_values_are_what_was_asked_for(value):
    layer = BandpassLayer(sigma_low=value, delta=value)
    assert layer.sigma_low.item() == pytest.approx(value, rel=1e-4)
    assert layer.sigma_high.item() == pytest.approx(2 * value, rel=1e-4)


@pytest.mark.parametrize("kernel_size", [30, 2, 1, 0, -3, 31.0, "31", None])
def test_a_kernel_without_centre_is_refused_with_examples(kernel_size):
    with pytest.raises(UserError, match=r"kernel_size=.*odd.*7, 15, 31"):
        BandpassLayer(kernel_size)


@pytest.mark.parametrize("options", [{"sigma_low": 0.0}, {"delta": -1.0}, {"delta": float("nan")}, {"mode": "add"}])
def test_other_wrong_values_are_refused_by_name(options):
    with pytest.raises(UserError, match=next(iter(options))):
        BandpassLayer(**options)


def test_small_images_need_a_replicated_border():
    image = torch.rand(1, 3, 15, 40)
    with pytest.raises(UserError, match="border=replicate"):
        BandpassLayer(31)(image)
    assert BandpassLayer(31, border="replicate")(image).shape == image.shape
    assert BandpassLayer(29)(image).shape == image.shape


def test_memory_layout_does_not_matter():
    layer, image = BandpassLayer(), functional.interpolate(torch.rand(2, 3, 8, 9), size=(41, 35))
    torch.testing.assert_close(layer(image.contiguous(memory_format=torch.channels_last)), layer(image))


def two_dimensional(image, layer):
    """The band as usually written, by 2-D kernels."""
    band = 0
    for kernel, sign in zip(layer.kernels(), (1, -1), strict=True):
        square = (kernel[:, None] * kernel).expand(image.shape[1], 1, -1, -1)
        padded = functional.pad(image, (layer.kernel_size // 2,) * 4, mode=layer.border)
        band = band + sign * functional.conv2d(padded, square, groups=image.shape[1])
    return band


@pytest.mark.slow
@pytest.mark.parametrize("border", SCIPY_BORDERS)
@pytest.mark.parametrize(("kernel_size", "shape"), [(31, (2, 3, 75, 61)), (7, (3, 1, 33, 32)), (63, (1, 4, 64, 130))])
def test_float32_is_as_good_as_float64_forward_and_backward(border, kernel_size, shape):
    layer = BandpassLayer(kernel_size, sigma_low=1.2, delta=1.7, border=border)
    exact = copy.deepcopy(layer).double()
    image, gradient = torch.rand(shape, requires_grad=True), torch.randn(shape)
    wide = image.detach().double().requires_grad_()
    band, wanted = layer(image), two_dimensional(wide, exact)
    band.backward(gradient)
    wanted.backward(gradient.double())
    assert (band.double() - wanted).norm() <= 1e-5 * wanted.norm()
    assert (image.grad.double() - wide.grad).norm() <= 1e-5 * wide.grad.norm()
    for found, true in zip(layer.parameters(), exact.parameters(), strict=True):
        torch.testing.assert_close(found.grad.double(), true.grad, rtol=1e-4, atol=1e-5 * wanted.norm().item())


def test_a_second_derivative_is_refused_rather_than_wrong():
    layer = BandpassLayer(5)
    (first,) = torch.autograd.grad(layer(torch.rand(1, 1, 16, 16)).square().sum(), layer.raw_delta, create_graph=True)
    with pytest.raises(RuntimeError, match="once_differentiable"):
        first.backward()


@pytest.mark.slow
def test_it_compiles_with_its_gradient():
    layer, image = BandpassLayer(7), torch.rand(2, 3, 40, 40)
    layer(image).square().sum().backward()
    wanted = [parameter.grad.clone() for parameter in layer.parameters()]
    layer.zero_grad()
    torch.compile(layer, fullgraph=True, backend="aot_eager")(image).square().sum().backward()
    for parameter, gradient in zip(layer.parameters(), wanted, strict=True):
        torch.testing.assert_close(parameter.grad, gradient)
