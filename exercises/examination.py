"""The examination of lesson 09's clinic: what can be set in a network, and the chart that is measured of it."""

import math
from dataclasses import dataclass, replace
from functools import cache

import torch
import torch.nn.functional as F

import helpers
from exercises import Wrong, described

STEPS = 1_000
BATCH = 32
EVALUATED = 10_000  # examples of each split, in batches of 1,000

# ---------------------------------------------------------------- What can be set


@dataclass(frozen=True)
class Settings:
    """What a network is made of and how it is trained. The defaults are healthy."""

    depth: int = 5
    nonlinearity: str = "tanh"
    batchnorm: bool = False
    gain: float = 5 / 3
    first_scale: float = 1.0
    output_scale: float = 0.1
    fan_in_scaling: bool = True
    random_start: bool = True
    bias_start: float = 0.0
    bias_before_batchnorm: bool = False
    lr: float = 0.1
    momentum: float = 0.1
    evaluate_in: str = "eval"


# By name: the possible values, or the smallest and the largest.
POSSIBLE = {
    "nonlinearity": ["tanh", "relu"],
    "batchnorm": [True, False],
    "gain": (0, 10),
    "first_scale": (0, 100),
    "output_scale": (0, 100),
    "fan_in_scaling": [True, False],
    "random_start": [True, False],
    "bias_start": (-10, 10),
    "bias_before_batchnorm": [True, False],
    "lr": (0, 10),
    "momentum": (0, 1),
    "evaluate_in": ["eval", "train"],
}


def changed(settings, changes):
    """The settings with these changes. Raises Wrong for a name or a value that is not possible."""
    for name, value in changes.items():
        if name not in POSSIBLE:
            raise Wrong(f"there is no setting {name!r}; there are {', '.join(POSSIBLE)}.")
        possible = POSSIBLE[name]
        if isinstance(possible, list):
            if not any(value is one or (type(value) is str and value == one) for one in possible):
                raise Wrong(
                    f"{name} can be {' or '.join(map(repr, possible))}, and is {described(value)}."
                )
        elif type(value) not in (int, float) or not possible[0] <= value <= possible[1]:
            low, high = possible
            raise Wrong(f"{name} is a number from {low} to {high}, and is {described(value)}.")
    return replace(settings, **changes)


# ---------------------------------------------------------------- The examination


@dataclass(frozen=True)
class Chart:
    """What was measured of one network.

    outputs, gradients, weights: a helpers.Row for each layer or weight at step 0. ratios: of updates to weights, by
    name, at `steps`. The rest at the end: train, dev, in nats; apart and together: the loss of the same 320 dev
    examples in batches of 8 and in one; difference: how far the loss of one of them differs, on average; still:
    parameters that training moved by less than 1e-7; stuck: the share of units of each hidden layer whose outputs for
    1,000 examples lie within 0.01. normed: units in front of a BatchNorm.
    """

    settings: Settings
    losses: list
    outputs: list
    gradients: list
    weights: list
    steps: list
    ratios: dict
    parameters: int
    still: int
    stuck: list
    normed: int
    train: float
    dev: float
    apart: float
    together: float
    difference: float

    @property
    def first(self):
        return self.losses[0]

    @property
    def late(self):
        return sum(self.losses[-100:]) / len(self.losses[-100:])

    @property
    def stds(self):
        return [row.std for row in self.outputs]

    @property
    def ends(self):
        """The saturated share of each layer's outputs. A ReLU has none."""
        tanh = self.settings.nonlinearity == "tanh"
        return [row.saturation if tanh else 0.0 for row in self.outputs]

    @property
    def speeds(self):
        """Of each hidden layer, the mean of the last ten ratios; 0 for weights that are 0, and 0/0."""
        last = [self.ratios[row.layer][-10:] for row in self.outputs]
        return [0.0 if math.isnan(mean := sum(some) / len(some)) else mean for some in last]

    @property
    def speed(self):
        """That of the layer in the middle."""
        return sorted(self.speeds)[len(self.speeds) // 2]


@cache
def data():
    """X and Y of the train names and of the dev names."""
    names = helpers.load_names()
    stoi, _ = helpers.build_vocabulary(names)
    train, dev, _ = helpers.split_names(names)
    return *helpers.build_dataset(train, stoi), *helpers.build_dataset(dev, stoi)


def build(settings, generator):
    """Draw the network of these settings."""
    network = helpers.MLP(
        generator,
        depth=settings.depth,
        gain=settings.gain,
        last_scale=settings.output_scale,
        nonlinearity={"tanh": helpers.Tanh, "relu": helpers.ReLU}[settings.nonlinearity],
        batchnorm=settings.batchnorm,
    )
    place = 0
    for layer in network.layers:
        if isinstance(layer, helpers.BatchNorm1d):
            layer.momentum = settings.momentum
        if isinstance(layer, helpers.Linear):
            fan_in, fan_out = layer.weight.shape
            layer.weight.data *= settings.first_scale if place == 0 else 1
            layer.weight.data *= 1 if settings.fan_in_scaling else fan_in**0.5
            layer.weight.data *= settings.random_start
            if layer.bias is not None or settings.bias_before_batchnorm:
                start = float(settings.bias_start) if place < settings.depth else 0.0
                layer.bias = torch.full((fan_out,), start).requires_grad_()
            place += 1
    return network


@cache
def examine(settings):
    """Draw the network, train it for STEPS steps without a word, and measure its Chart."""
    X, Y, Xdev, Ydev = data()
    g = torch.Generator().manual_seed(helpers.SEED)
    network = build(settings, g)
    parameters = network.parameters()
    before = [p.detach().clone() for p in parameters]
    updates = helpers.UpdateRatios(network.weights)
    losses = []
    for step in range(STEPS):
        batch = torch.randint(0, len(X), (BATCH,), generator=g)
        losses.append(helpers.forward_backward(network, X[batch], Y[batch]))
        if step == 0:
            rows = (
                helpers.activation_rows(network.hidden),
                helpers.gradient_rows(network.hidden),
                helpers.weight_rows(network.weights),
            )
        if not math.isfinite(losses[-1]):
            break  # it has blown up
        updates(step, settings.lr)
        for p in parameters:
            p.data -= settings.lr * p.grad
    still = sum(
        ((p - q).abs() < 1e-7).sum().item() for p, q in zip(parameters, before, strict=True)
    )
    network.train(settings.evaluate_in == "train")
    together, apart = costs(network, Xdev, Ydev, 320, 320), costs(network, Xdev, Ydev, 320, 8)
    train, dev = (costs(network, *split, EVALUATED, 1_000) for split in ((X, Y), (Xdev, Ydev)))
    network.eval()
    costs(network, X, Y, 1_000, 1_000)
    spans = [layer.out.amax(0) - layer.out.amin(0) for layer in network.hidden]  # (100,) each
    return Chart(
        settings,
        losses,
        *rows,
        updates.steps,
        updates.ratios,
        parameters=sum(p.numel() for p in parameters),
        still=still,
        stuck=[(span < 0.01).float().mean().item() for span in spans],
        normed=100 * settings.depth + 27 if settings.batchnorm else 0,
        train=train.mean().item(),
        dev=dev.mean().item(),
        apart=apart.mean().item(),
        together=together.mean().item(),
        difference=(apart - together).abs().mean().item(),
    )


@torch.no_grad()
def costs(network, X, Y, count, batch_size):
    """The loss of each of the first `count` examples, (count,), in the network's present mode."""
    batches = zip(X[:count].split(batch_size), Y[:count].split(batch_size), strict=True)
    return torch.cat([F.cross_entropy(network(x), y, reduction="none") for x, y in batches])
