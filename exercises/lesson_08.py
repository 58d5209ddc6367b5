"""Checkers for the exercises of lesson 08."""

import copy
import math

import torch
from torch import nn

from exercises import Wrong, as_number, as_tensor, call, close, exercise, recognize


def trained_pair(seed):
    """An nn.Linear and the nn.BatchNorm1d behind it, in eval mode, with numbers as after a training."""
    g = torch.Generator().manual_seed(seed)
    linear, norm = nn.Linear(6, 4), nn.BatchNorm1d(4, eps=0.01)
    with torch.no_grad():
        for p in (*linear.parameters(), *norm.parameters(), norm.running_mean):
            p.copy_(torch.randn(p.shape, generator=g))
        norm.running_var.copy_(torch.rand(4, generator=g) + 0.2)
    return linear.eval(), norm.eval(), torch.randn((9, 6), generator=g)


@exercise("8.1")
def fold(answer):
    """The lecture's E02: one weight, (4, 6), and one bias, (4,), that do the work of Linear and BatchNorm1d."""
    for seed in (81, 82):
        linear, norm, x = trained_pair(seed)
        with torch.no_grad():
            wanted = norm(linear(x))
        result = call(answer, *copy.deepcopy((linear, norm)))
        if not isinstance(result, tuple | list) or len(result) != 2:
            raise Wrong("two things are asked for: return weight, bias.")
        weight = as_tensor(result[0], (4, 6), "the weight").float()
        bias = as_tensor(result[1], (4,), "the bias").float()
        with torch.no_grad():
            std = (norm.running_var + norm.eps).sqrt()
            scale = norm.weight / std
            if close(x @ weight.T + bias, wanted, 1e-5):
                continue
            weights = [
                (
                    linear.weight,
                    "the weight is that of the linear layer alone. By what does BatchNorm multiply?",
                ),
                (
                    linear.weight / std[:, None],
                    "the weight is divided by the std, but gamma is missing.",
                ),
                (
                    linear.weight * (norm.weight / (norm.running_var + norm.eps))[:, None],
                    "the weight is divided by the variance: how does one get from it to the std?",
                ),
                (
                    linear.weight * (norm.weight / norm.running_var.sqrt())[:, None],
                    "the weight lacks epsilon. It is small, but 1e-5 is smaller.",
                ),
            ]
            recognize(weight, weights, 1e-5)
            if close(weight, linear.weight * scale[:, None], 1e-5):
                biases = [
                    (linear.bias * scale + norm.bias, "the running mean is missing."),
                    (
                        norm.bias - norm.running_mean * scale,
                        "the linear layer's own bias is missing.",
                    ),
                    ((linear.bias - norm.running_mean) * scale, "beta is missing."),
                    (
                        linear.bias * scale - norm.running_mean + norm.bias,
                        "the running mean is not scaled as the outputs are.",
                    ),
                ]
                recognize(bias, biases, 1e-5, start="the weight is right. In the bias, ")
                raise Wrong(
                    "the weight is right, the bias is not. What comes out for an input of zeros?"
                )
        raise Wrong(
            "the shapes are right, the outputs differ. Write the two layers as one formula in x first."
        )
    return "Two layers for training, one for use: this is what happens before a network is shipped."


@exercise("8.2")
def same_ratio(answer):
    """The rate that keeps update : weight, when all weights before a BatchNorm are multiplied by a factor."""
    for rate, factor in ((0.1, 10.0), (0.01, 0.5), (0.1, 3.0)):
        found = as_number(call(answer, rate, factor), "the rate")
        shown = f"{found:g} for rate {rate} and weights × {factor:g}"
        if close(found, rate * factor**2, 1e-6 * rate * factor**2):
            continue
        wrong_way = "are the updates too large or too small, when the weights have grown?"
        usual = [
            (rate, "the outputs stay the same, but do the gradients?"),
            (
                rate * factor,
                "that makes up for the larger weights. The gradients have changed, too.",
            ),
            (rate / factor, wrong_way),
            (rate / factor**2, wrong_way),
        ]
        recognize(found, usual, 1e-6, relative=True, start=f"{shown}: ")
        raise Wrong(f"{shown}. By which factor does the gradient change, and by which the weight?")
    return "BatchNorm hides the scale from the outputs; the learning rate still sees it, twice."


@exercise("8.3")
def average_probability(answer):
    """From a loss in nats to the (geometric) mean probability of the right character, and to its `1 in k`."""
    for loss in (math.log(27), 2.0, 0.0):
        result = call(answer, loss)
        if not isinstance(result, tuple | list) or len(result) != 2:
            raise Wrong("two numbers are asked for: return probability, k.")
        p, k = as_number(result[0], "the probability"), as_number(result[1], "k")
        if close(p, math.exp(-loss), 1e-6) and close(k, math.exp(loss), 1e-4):
            continue
        if close(p, math.exp(loss), 1e-4) and loss:
            raise Wrong("a probability above 1? A loss is minus a logarithm.")
        if close(p, 2**-loss, 1e-6) or close(p, 10**-loss, 1e-6):
            raise Wrong("the right idea with another base. In which logarithm are the losses here?")
        if close(p, math.exp(-loss), 1e-6):
            raise Wrong(
                "the probability is right. How many equally likely characters give it to each? "
                "(It need not be a whole number.)"
            )
        raise Wrong(
            f"{p:.4g} and {k:.4g} for a loss of {loss:.4f}. "
            "Among 27 equally likely characters the loss is 3.2958: does yours then give 1/27 and 27?"
        )
    return "2.1 nats are 1 in 8: after all this training, as unsure as with eight equally likely characters."
