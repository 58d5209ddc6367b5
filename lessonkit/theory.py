"""Theory of wide tanh layers (lesson 04): how the std of the signal and of its gradient change from layer to layer.

Of a layer of weights with std gain / sqrt(fan_in) the pre-activations are normal, with std gain · (std of the inputs),
if it is wide enough: Poole and others 2016, arXiv 1606.05340; Schoenholz and others 2017, arXiv 1611.01232.
"""

import torch

_Z = torch.linspace(-8, 8, 4001, dtype=torch.float64)  # values of a standard normal variable
_P = torch.softmax(-(_Z**2) / 2, 0)  # and their probabilities


def gaussian_mean(f, std=1.0):
    """The mean of f(x), a float, for normal x with mean 0 and this std; f maps a tensor to one of the same shape."""
    return (_P @ f(std * _Z).double()).item()


def tanh_std(gain, std):
    """The std of a tanh layer's outputs, for this gain and inputs of this std: the length map."""
    return gaussian_mean(lambda x: torch.tanh(x) ** 2, gain * std) ** 0.5


def tanh_stds(gain, depth, std=1.0):
    """The stds at the input and after each of `depth` tanh layers: a list of depth + 1. std: of the inputs."""
    stds = [std]
    for _ in range(depth):
        stds.append(tanh_std(gain, stds[-1]))
    return stds


def tanh_fixed_point(gain):
    """The std that a tanh layer of this gain keeps, a float: where tanh_std(gain, std) is std. 0 for gains up to 1.

    The length map is concave and has slope `gain` at 0, so it crosses the diagonal once above 0 if gain > 1.
    """
    low, high = 0.0, 1.0
    for _ in range(50):
        middle = (low + high) / 2
        low, high = (middle, high) if tanh_std(gain, middle) > middle else (low, middle)
    return low


def saturated_share(gain, std, beyond=0.97):
    """The share of a tanh layer's outputs beyond ±`beyond`, for this gain and inputs of this std."""
    return gaussian_mean(lambda x: torch.tanh(x).abs() > beyond, gain * std)


def gradient_factor(gain, std):
    """What a gradient's std is multiplied by on its way back through a tanh layer, whose inputs have this std.

    The square root of chi = gain² E[tanh'(x)²]: as many units go out of the layer as come in.
    """
    return gain * gaussian_mean(lambda x: (1 - torch.tanh(x) ** 2) ** 2, gain * std) ** 0.5


def tanh_correlation(gain, std, correlation):
    """The correlation of two signals after a tanh layer, a float, if both come in with this std and correlation.

    E[tanh(u) tanh(v)] / E[tanh(u)²] for normal u and v, both with std gain · std: Poole and others 2016, equation 5.
    """
    z, p = _Z[::20], torch.softmax(-(_Z[::20] ** 2) / 2, 0)
    u, v = z[:, None], correlation * z[:, None] + max(0, 1 - correlation**2) ** 0.5 * z
    product = torch.tanh(gain * std * u) * torch.tanh(gain * std * v)
    return (p @ product @ p).item() / tanh_std(gain, std) ** 2
