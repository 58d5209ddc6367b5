"""Checkers for the exercises of lesson 05."""

import math

import torch
from torch import nn

from exercises import Wrong, as_number, as_tensor, call, close, exercise, recognize


@exercise("5.1")
def wasted_biases(answer):
    """How many bias values of a list of layers are cancelled by a BatchNorm1d right behind them."""
    deep = [nn.Linear(10, 20), nn.BatchNorm1d(20), nn.Tanh(), nn.Linear(20, 30), nn.Tanh()]
    deep += [
        nn.Linear(30, 40, bias=False),
        nn.BatchNorm1d(40),
        nn.Linear(40, 50),
        nn.BatchNorm1d(50),
    ]
    for layers, expected in ((deep, 70), (deep[:5], 20), (deep[2:5], 0)):
        counted = as_number(call(answer, list(layers)), "the count")
        linear = [layer for layer in layers if isinstance(layer, nn.Linear)]
        biased = [layer for layer in linear if layer.bias is not None]
        norms = [layer for layer in layers if isinstance(layer, nn.BatchNorm1d)]
        if counted == expected:
            continue
        found = f"{counted:g} for {len(linear)} linear layers with {len(norms)} BatchNorms"
        if counted == sum(layer.out_features for layer in biased):
            raise Wrong(
                f"{found}: that is every bias. Which of them has something behind it that takes it away?"
            )
        if counted == sum(layer.num_features for layer in norms):
            raise Wrong(
                f"{found}: as if each BatchNorm took a bias away. Does every linear layer in front of one have a bias?"
            )
        if counted in (1, 2):
            raise Wrong(f"{found}: are you counting layers? Asked are single numbers.")
        raise Wrong(f"{found}. Look at each linear layer together with its next neighbour.")
    return "These are the numbers that `bias=False` saves, at no loss."


@exercise("5.2")
def normalize(answer):
    """BatchNorm in use: from x, (N, units), and fixed statistics and parameters, (units,)."""
    g = torch.Generator().manual_seed(52)
    x = 3 * torch.randn((6, 4), generator=g) + 2
    mean, gain, bias = (torch.randn(4, generator=g) for _ in range(3))
    var = torch.rand(4, generator=g) + 0.5
    eps = 0.3  # large, so that it shows
    given = (x, mean, var, gain, bias, eps)
    out = as_tensor(call(answer, *given), (6, 4), "the output")
    away = x - mean
    z = away / (var + eps).sqrt()
    z_of_batch = (x - x.mean(0)) / (x.var(0, correction=0) + eps).sqrt()
    usual = [
        (
            gain * away / (var + eps) + bias,
            "right shape, and the mean is taken away; but the spread is wrong: is `var` a standard deviation?",
        ),
        (
            gain * away / var.sqrt() + bias,
            "nearly: epsilon is missing, or stands outside the root.",
        ),
        (
            gain * away / (var.sqrt() + eps) + bias,
            "nearly: epsilon stands outside the root. What is it added to, the variance or the std?",
        ),
        (gain * (z + bias), "normalized well, but in which order do gain and bias act?"),
        (
            z,
            "normalized well; but gain and bias are for the learner of the network to use, too.",
        ),
        (
            gain * z_of_batch + bias,
            "that is normalized by the batch itself. In use, which statistics are there?",
        ),
    ]
    recognize(out, usual, 1e-4)
    if not close(out, gain * z + bias, 1e-4):
        raise Wrong(
            "right shape, other values. Mean away, spread to 1, then gain, then bias: which step differs?"
        )
    one = as_tensor(call(answer, x[:1], *given[1:]), (1, 4), "the output for a single example")
    if not close(one, (gain * z + bias)[:1], 1e-4):
        raise Wrong(
            "right for six examples, but not for one alone: does anything still depend on the batch?"
        )
    return "A single example is no problem any more: nothing here looks at its neighbours."


@exercise("5.3")
def batches_needed(answer):
    """After how many batches a running mean has covered a share of the way to a new value."""
    for momentum, share in ((0.1, 0.99), (0.001, 0.99), (0.01, 0.5)):
        batches = as_number(call(answer, momentum, share), "the number of batches")
        right = math.log(1 - share) / math.log(1 - momentum)
        where = f"{batches:,.1f} batches for momentum {momentum} and a share of {share}"
        if abs(batches - right) <= 1.001:
            continue
        if close(batches, share / momentum, 0.05):
            raise Wrong(
                f"{where}: as if each batch covered as much as the first. Of what does it cover its share?"
            )
        still = math.log(share) / math.log(1 - momentum)
        if close(batches, still, 0.01 * still):
            raise Wrong(
                f"{where}: that is how long `share` is still missing. Which part is missing at the end?"
            )
        if close(batches, 1 / momentum, 0.05):
            raise Wrong(f"{where}: that is when 63 % are covered, whatever share is asked for.")
        raise Wrong(f"{where}. What is left of the way after one batch, after two, after k?")
    return "So with momentum 0.001 a short training ends with running statistics that know little."
