"""The theory of wide tanh layers gives what is known, and what wide networks do."""

import math

import pytest
import torch

import helpers


def test_the_moments_of_a_normal_variable():
    assert helpers.gaussian_mean(lambda x: x**2, std=3) == pytest.approx(9, rel=1e-6)
    assert helpers.gaussian_mean(lambda x: x**4) == pytest.approx(3, rel=1e-6)
    assert helpers.gaussian_mean(torch.cos) == pytest.approx(math.exp(-0.5), rel=1e-6)


@pytest.mark.parametrize(
    ("gain", "std", "share"), [(5 / 3, 0.651, 0.054), (3, 0.837, 0.405)], ids=["5/3", "3"]
)
def test_the_length_map_settles_at_its_fixed_point(gain, std, share):
    stds = helpers.tanh_stds(gain, 1_000)
    assert len(stds) == 1_001
    assert stds[-1] == pytest.approx(std, abs=0.0005)
    assert helpers.tanh_std(gain, stds[-1]) == pytest.approx(stds[-1], abs=1e-9)
    assert helpers.tanh_fixed_point(gain) == pytest.approx(stds[-1], abs=1e-9)
    assert helpers.saturated_share(gain, stds[-1]) == pytest.approx(share, abs=0.001)


def test_at_gain_one_the_signal_fades_by_a_power_law():
    layers = 5_000
    assert helpers.tanh_stds(1, layers)[-1] == pytest.approx((2 * layers) ** -0.5, rel=0.01)
    assert helpers.tanh_fixed_point(1) == pytest.approx(0, abs=1e-9)
    assert helpers.tanh_fixed_point(0.5) == pytest.approx(0, abs=1e-9)


def test_the_gradients_factor_at_the_fixed_point():
    std = helpers.tanh_stds(5 / 3, 100)[-1]
    assert helpers.gradient_factor(5 / 3, std) ** 2 == pytest.approx(1.21, abs=0.005)
    assert helpers.gradient_factor(0.5, 1e-6) == pytest.approx(0.5)  # tanh is a straight line there


@pytest.mark.parametrize("gain", [0.5, 5 / 3, 4])
def test_the_correlation_map(gain):
    std = helpers.tanh_std(gain, 1.0)
    assert helpers.tanh_correlation(gain, std, 0.0) == pytest.approx(0, abs=1e-6)
    assert helpers.tanh_correlation(gain, std, 1.0) == pytest.approx(1, abs=1e-6)
    assert helpers.tanh_correlation(gain, std, -1.0) == pytest.approx(-1, abs=1e-6)
    # Where the signal settles, the slope at 1 is chi, the square of the gradient's factor.
    if gain > 1:
        std = helpers.tanh_fixed_point(gain)
        lost = (1 - helpers.tanh_correlation(gain, std, 1 - 1e-5)) / 1e-5
        assert lost == pytest.approx(helpers.gradient_factor(gain, std) ** 2, rel=0.01)


def test_a_wide_layer_does_what_the_theory_says():
    g = torch.Generator().manual_seed(1)
    x = torch.randn(2_000, 1_000, generator=g)
    weight = 5 / 3 * torch.randn(1_000, 1_000, generator=g) / 1_000**0.5
    h = torch.tanh(x @ weight)
    assert h.std().item() == pytest.approx(helpers.tanh_std(5 / 3, 1.0), rel=0.01)
    back = (torch.randn(2_000, 1_000, generator=g) * (1 - h**2)) @ weight.T
    assert back.std().item() == pytest.approx(helpers.gradient_factor(5 / 3, 1.0), rel=0.01)
    other = 0.6 * x + 0.8 * torch.randn(2_000, 1_000, generator=g)
    cosine = torch.cosine_similarity(h, torch.tanh(other @ weight), dim=1).mean().item()
    assert cosine == pytest.approx(helpers.tanh_correlation(5 / 3, 1.0, 0.6), abs=0.01)
