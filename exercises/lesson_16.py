"""Checkers for the exercises of lesson 16."""

import torch
import torch.nn.functional as F

from exercises import Wrong, as_number, as_tensor, call, close, exercise, recognize


@exercise("16.1")
def group_norm(answer):
    """A function of x, (N, units), and the number of groups: each example's groups to mean 0 and std 1."""
    g = torch.Generator().manual_seed(16)
    for N, units, groups in ((6, 12, 3), (4, 8, 4), (1, 6, 1)):
        x = 2 + 3 * torch.randn((N, units), generator=g) + torch.arange(units)
        result = call(answer, x.clone(), groups)
        result = as_tensor(result, x.shape, "the result")
        wanted = F.group_norm(x, groups)
        if close(result, wanted, 1e-5):
            continue
        z = x.unflatten(1, (groups, -1))
        centred = z - z.mean(-1, keepdim=True)
        size = (z.pow(2).mean(-1, keepdim=True) + 1e-5).sqrt()
        strided = x.unflatten(1, (-1, groups)).transpose(1, 2)
        of_stride = F.layer_norm(strided, strided.shape[-1:]).transpose(1, 2).flatten(1)
        of_batch = (z - z.mean(0)) / (z.var(0, unbiased=False) + 1e-5).sqrt()
        usual = [
            (
                F.layer_norm(x, (units,)),
                "each example is normalized as a whole: that is LayerNorm. What is to have mean 0, instead?",
            ),
            (
                (centred / (z.var(-1, keepdim=True) + 1e-5).sqrt()).flatten(1),
                "almost: your std divides by n - 1. What does it have to divide by?",
            ),
            (
                of_batch.flatten(1),
                "you normalize over the examples, as BatchNorm does. Which dimension is that of a group's units?",
            ),
            (
                of_stride,
                "your groups are not of neighbors. Which shape has x to be given, (groups, -1) or (-1, groups)?",
            ),
            (
                (z / size).flatten(1),
                "the size is right, the mean is not. What has to be subtracted first?",
            ),
            (
                (centred / (z.var(-1, unbiased=False, keepdim=True) + 1e-5)).flatten(1),
                "you divide by the variance. What has a std of 1 afterwards, x over its variance or over its std?",
            ),
        ]
        start = f"x of shape ({N}, {units}), {groups} groups: "
        recognize(result, usual, 1e-4, start=start)
        raise Wrong(
            start + "the shape is right, the numbers are not. "
            "What are mean and std of the first group of the first example?"
        )
    return "One group of all the units would be LayerNorm."


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
            (depth**-0.5, "right for v = 1. What if a branch's variance is smaller?"),
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
def adam_rate(answer):
    """A function of the depth, the base depth and Adam's rate there: the rate at this depth, for branches / √depth."""
    for depth, base, lr in ((64, 4, 0.008), (16, 16, 0.003), (8, 32, 0.002)):
        result = as_number(call(answer, depth, base, lr), "the rate")
        wanted = lr * (base / depth) ** 0.5
        if close(result, wanted, 1e-6 * wanted):
            continue
        usual = [
            (lr, "that is right for SGD, where depth · alpha² is 1. Which alpha does Adam remove?"),
            (
                lr * base / depth,
                "that would suit branches without alpha. How much does each branch add, if alpha is 1/√depth?",
            ),
            (
                lr * (depth / base) ** 0.5,
                "that goes the wrong way. If one step changes more, must the rate be larger?",
            ),
            (
                lr * depth / base,
                "that goes the wrong way. If one step changes more, must the rate be larger?",
            ),
            (lr * depth**-0.5, "right if `base` is 1. What must come out at `base` layers?"),
        ]
        start = f"depth {depth}, base {base}, lr {lr:g}: "
        recognize(result, usual, 1e-7, start=start)
        grows = result * depth**0.5 / (lr * base**0.5)
        raise Wrong(
            f"{start}by your rate one step changes {grows:.3g} times as much as at {base} layers. "
            "How many times should it be?"
        )
    return "With alpha = 1/depth Adam's rate would stay the same at any depth."
