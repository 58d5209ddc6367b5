"""Checkers for the exercises of lesson 06."""

from itertools import pairwise

import torch
from torch import nn

import helpers
from exercises import Wrong, as_number, as_tensor, call, close, described, exercise, recognize


@exercise("6.1")
def count_parameters(answer):
    """How many numbers a network of linear layers with these sizes trains, with or without BatchNorm."""
    for sizes, batchnorm in (
        ([30, 100, 100, 27], False),
        ([30, 100, 100, 27], True),
        ([5, 7], False),
    ):
        counted = as_number(call(answer, list(sizes), batchnorm), "the count")
        weights = sum(a * b for a, b in pairwise(sizes))
        units = sum(sizes[1:])
        expected = weights + (2 * units if batchnorm else units)
        if counted == expected:
            continue
        found = (
            f"{counted:,.0f} for the sizes {sizes}, {'with' if batchnorm else 'without'} BatchNorm"
        )
        usual = [(weights, "the weights are all there. What else does a layer learn?")]
        if batchnorm:
            usual += [
                (
                    weights + units,
                    "one number for each unit. How many does BatchNorm learn for a unit?",
                ),
                (
                    weights + 3 * units,
                    "so you kept the biases of the linear layers. Are they of any use here?",
                ),
                (
                    weights + 4 * units,
                    "you counted the running statistics, too. Does training learn them?",
                ),
            ]
        usual += [(weights + sum(sizes), "does the input have a bias?")]
        recognize(counted, usual, 0, start=f"{found}: ")
        raise Wrong(
            f"{found}. Take one layer of 2 inputs and 3 outputs: how many weights does it have, and what else?"
        )
    return "Count, then compare with `sum(p.numel() for p in network.parameters())`: the cheapest test there is."


@exercise("6.2")
def to_linear(answer):
    """An nn.Linear that computes what a layer of this series does."""
    for seed, fan_in, fan_out, bias in ((61, 5, 3, True), (62, 4, 4, True), (63, 5, 3, False)):
        g = torch.Generator().manual_seed(seed)
        ours = helpers.Linear(fan_in, fan_out, bias=bias, generator=g)
        if bias:
            ours.bias = torch.randn(fan_out, generator=g)
        x = torch.randn((6, fan_in), generator=g)
        theirs = call(answer, ours)
        if not isinstance(theirs, nn.Linear):
            raise Wrong(f"asked for is an nn.Linear, and this is {described(theirs)}.")
        if not bias and theirs.bias is not None and theirs.bias.any():
            raise Wrong("right with a bias. But a layer without one got one that torch has drawn.")
        if theirs.weight.shape != (fan_out, fan_in):
            raise Wrong(
                f"the weight is {tuple(theirs.weight.shape)} for {fan_in} inputs and {fan_out} outputs: "
                "how does torch store it?"
            )
        if bias and theirs.bias is None:
            raise Wrong("our layer has a bias, and yours has none.")
        with torch.no_grad():
            out = as_tensor(theirs(x), (6, fan_out), "the output")
            wanted = ours(x)
            if close(out, wanted, 1e-5):
                continue
            if fan_in == fan_out and close(out, x @ ours.weight.T + ours.bias, 1e-5):
                raise Wrong(
                    "right for 5 inputs and 3 outputs, wrong for 4 and 4: a square weight fits both ways."
                )
            if bias and close(out - wanted, theirs.bias - ours.bias, 1e-5):
                raise Wrong("the weight is right. And the bias?")
        if close(theirs.weight, ours.weight.reshape(fan_out, fan_in), 1e-6):
            raise Wrong(
                "our numbers are in it, but at other places: `view` and `reshape` cut a table anew, and do not turn it."
            )
        raise Wrong("the shapes are right, the outputs differ: did our numbers get into it?")
    return "Moving weights between programs is where silent mistakes live; you have tested the square case, too."


@exercise("6.3")
def layer_norm(answer):
    """A class LayerNorm with the manners of the series' layers: normalize each row, then weight and bias."""
    if not isinstance(answer, type):
        raise Wrong(f"a class is asked for, and this is {described(answer)}.")
    layer = call(answer, 8)
    g = torch.Generator().manual_seed(64)
    x = 3 * torch.randn((5, 8), generator=g) + torch.arange(5.0)[:, None]
    out = as_tensor(call(layer, x), (5, 8), "the output")
    twin = nn.functional.layer_norm(x, (8,))
    away, var = x - x.mean(1, keepdim=True), x.var(1, correction=0, keepdim=True)
    usual = [
        (
            (x - x.mean(0)) / (x.var(0, correction=0) + 1e-5).sqrt(),
            "that normalizes each column, over the examples: it is BatchNorm. LayerNorm takes each row for itself.",
        ),
        (
            away / (x.var(1, keepdim=True) + 1e-5).sqrt(),
            "each row has mean 0, and a std a little below 1: over n, or over n - 1?",
        ),
        (
            (x - x.mean()) / (x.var(correction=0) + 1e-5).sqrt(),
            "that is one mean and one std for the whole table. Each example has its own.",
        ),
        (away / (var + 1e-5), "the mean is right. Divided by the variance, or by the std?"),
    ]
    recognize(out, usual, 1e-4)
    if not close(out, twin, 1e-4):
        raise Wrong(
            "right shape, other values than nn.LayerNorm gives. Look at mean and std of one row of your output."
        )
    parameters = call(getattr(layer, "parameters", ...))
    if not isinstance(parameters, list | tuple) or [tuple(p.shape) for p in parameters] != [
        (8,),
        (8,),
    ]:
        raise Wrong(
            "the output is right. `parameters()` should give two tensors of shape (8,): weight and bias."
        )
    if not all(p.requires_grad for p in parameters):
        raise Wrong("the output is right, but no gradient would reach weight and bias.")
    with torch.no_grad():
        for p in parameters:
            p += torch.randn(8, generator=g)
    weight, bias = parameters
    out = as_tensor(call(layer, x), (5, 8), "the output")
    if not close(out, nn.functional.layer_norm(x, (8,), weight, bias), 1e-4):
        raise Wrong("right as it starts; but when weight and bias have changed, do they act on it?")
    small = 0.001 * x
    out = as_tensor(call(layer, small), (5, 8), "the output")
    if not close(out, nn.functional.layer_norm(small, (8,), weight, bias), 1e-4):
        raise Wrong(
            "right for rows that vary; but for tiny ones epsilon counts. Where does it stand?"
        )
    return "No batch, no running statistics, no two modes: this is what language models use."


@exercise("6.4")
def bottleneck_parameters(answer):
    """The parameters of a bottleneck of ResNet-50, of lesson 06c, from its formula."""
    for inputs, width in ((256, 64), (512, 128), (64, 64), (512, 256)):
        counted = as_number(call(answer, inputs, width), "the count")
        outputs = 4 * width
        adapts = inputs != outputs  # whether the shortcut has a convolution
        shortcut = inputs * outputs + 2 * outputs
        body, channels = inputs * width + 9 * width**2 + width * outputs, 2 * width + outputs
        weights = body + adapts * inputs * outputs
        normalized = channels + adapts * outputs
        expected = weights + 2 * normalized
        if counted == expected:
            continue
        usual = [
            (weights, "the weights are all there. What does a BatchNorm learn?"),
            (
                weights + normalized,
                "one number for each normalized channel. How many does BatchNorm learn?",
            ),
            (weights + 3 * normalized, "did you give the convolutions biases?"),
            (
                weights + 4 * normalized,
                "you counted the running statistics, too. Does training learn them?",
            ),
            (
                expected - 8 * width**2,
                "the middle convolution looks at one place only. How large is its patch?",
            ),
            (
                expected - 6 * width**2,
                "the middle convolution looks at three places only. How many has a patch of 3 × 3?",
            ),
        ]
        if adapts:
            usual += [
                (
                    expected - shortcut,
                    "the body is right. What must happen to the input before it can be added?",
                ),
                (
                    expected - 2 * outputs,
                    "nearly: does nothing stand behind the convolution of the shortcut?",
                ),
            ]
        else:
            usual.append(
                (
                    expected + shortcut,
                    "the body is right. Does an input of this shape need a convolution to be added?",
                )
            )
        found = f"{counted:,.0f} for {inputs} inputs and width {width}: "
        recognize(counted, usual, 0, start=found)
        raise Wrong(f"{found}take one convolution after the other: how many weights has the first?")
    return "Sixteen of these, a start and an end are all of ResNet-50."
