"""Checkers for the exercises of lesson 16."""

import torch
import torch.nn.functional as F

from exercises import Wrong, as_number, as_tensor, call, close, exercise, recognize


@exercise("16.1")
def layer_norm(answer):
    """A function of x, (N, units), and the learned gain and shift, (units,): LayerNorm."""
    g = torch.Generator().manual_seed(16)
    for N, units in ((6, 4), (5, 5), (1, 7)):
        x = 2 + 3 * torch.randn((N, units), generator=g)
        gain, shift = torch.rand((2, units), generator=g) + 0.5
        result = call(answer, x.clone(), gain.clone(), shift.clone())
        result = as_tensor(result, x.shape, "the result")
        wanted = F.layer_norm(x, (units,), gain, shift)
        if close(result, wanted, 1e-5):
            continue
        centred = x - x.mean(1, keepdim=True)
        var = x.var(1, unbiased=False, keepdim=True)
        of_units = (x - x.mean(0)) / (x.var(0, unbiased=False) + 1e-5).sqrt()
        usual = [
            (
                centred / (var + 1e-5).sqrt(),
                "each example is normalized. What is to be done with gain and shift?",
            ),
            (
                centred / (x.var(1, keepdim=True) + 1e-5).sqrt() * gain + shift,
                "almost: your std divides by n - 1. Which does torch's LayerNorm take?",
            ),
            (
                of_units * gain + shift,
                "you normalize each unit over the examples, as BatchNorm does. Which dimension is that of the units?",
            ),
            (
                x / (x.pow(2).mean(1, keepdim=True) + 1e-5).sqrt() * gain + shift,
                "the size is right, the mean is not: that is RMSNorm. What has to be subtracted first?",
            ),
            (
                centred / (var + 1e-5) * gain + shift,
                "you divide by the variance. What has a std of 1 afterwards, x over its variance or over its std?",
            ),
        ]
        recognize(result, usual, 1e-4, start=f"x of shape ({N}, {units}): ")
        raise Wrong(
            f"x of shape ({N}, {units}): the shape is right, the numbers are not. "
            "What are mean and std of each row before gain and shift come in?"
        )
    return "It needs no batch: a single example will do."


@exercise("16.2")
def branch_factor(answer):
    """A function of the depth and a branch's variance: the factor for which the variance ends at 2."""
    for depth, v in ((16, 1.0), (64, 1.0), (10, 0.4)):
        result = as_number(call(answer, depth, v), "alpha")
        wanted = (1 / (depth * v)) ** 0.5
        if close(result, wanted, 1e-6 * wanted):
            continue
        usual = [
            (1 / (depth * v), "that is the factor of the *variance*. What is it for x itself?"),
            (depth**-0.5, "right for v = 1. What if a branch gives on less?"),
            (
                (2 / (depth * v)) ** 0.5,
                "with this the branches add 2, and x ends at 3. How much may they add?",
            ),
            (
                (1 / (2 * depth * v)) ** 0.5,
                "with this the branches add a half. (There may be two branches a layer elsewhere; here is one.)",
            ),
        ]
        recognize(result, usual, 1e-6, relative=True, start=f"depth {depth}, v = {v:g}: ")
        ends = 1 + depth * result**2 * v
        raise Wrong(
            f"depth {depth}, v = {v:g}: with alpha = {result:.3g} the variance ends at {ends:.3g}. What should it be?"
        )
    return "For v = 1 it is 1/√depth, the factor of the form `scaled`."


@exercise("16.3")
def rates(answer):
    """A function of the width, the base width and Adam's rate there: the rates of first, hidden, output weights."""
    for width, base, lr in ((500, 50, 0.01), (64, 64, 0.003), (32, 128, 0.002)):
        result = call(answer, width, base, lr)
        if not isinstance(result, tuple | list) or len(result) != 3:
            raise Wrong("three rates are asked for, and your function returned something else.")
        names = ("the first layer's rate", "the hidden rate", "the output's rate")
        got = [as_number(rate, name) for rate, name in zip(result, names, strict=True)]
        less, more, root = lr * base / width, lr * width / base, lr * (base / width) ** 0.5
        if all(close(a, b, 1e-6 * b) for a, b in zip(got, (lr, less, less), strict=True)):
            continue
        start = f"width {width}, base {base}, lr {lr:g}: "
        usual = [
            ((lr, lr, lr), "all three stay the same. Which layers have more inputs than before?"),
            ((less, less, less), "the first layer's inputs are 30 at any width. What follows?"),
            (
                (lr, more, more),
                "that goes the wrong way. If more moves add up, must each be larger?",
            ),
            (
                (lr, root, root),
                "by the root: that is for the draws, whose signs are random. Do Adam's moves cancel?",
            ),
            ((lr, less, lr), "two are right. How many inputs has a logit?"),
            (
                (lr, lr, less),
                "two are right. How many inputs has a unit of the second hidden layer?",
            ),
        ]
        recognize(torch.tensor(got), [(torch.tensor(p), m) for p, m in usual], 1e-7, start=start)
        raise Wrong(
            start
            + f"you gave {', '.join(f'{rate:.3g}' for rate in got)}. Which depend on the width?"
        )
    return "At the base width nothing changes, so search the rate there, where it is cheap."
