"""The examination of lesson 10's clinic: what can be set in a network, and the chart that is measured of it."""

import copy
import math
from dataclasses import dataclass, replace
from functools import cache

import torch
import torch.nn.functional as F

import helpers
from exercises import Wrong, described

STEPS = 1_000  # of each training; read when it starts, so that it can be set
EVALUATED = 10_000  # examples of each split, in batches of 1,000
UNMOVED = 1e-7  # a parameter that training has moved by less counts as still
STUCK = 0.01  # a unit whose outputs lie within it, for 1,000 examples, counts as stuck

# ---------------------------------------------------------------- What can be set


@dataclass(frozen=True)
class Settings:
    """What a network is made of and how it is trained. The defaults are healthy.

    seed: draws the weights, then the minibatches. It, like depth and width, is no treatment.
    """

    depth: int = 5
    width: int = 100
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
    seed: int = helpers.SEED


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

    outputs, gradients, weights: a helpers.Row for each layer or weight at step 0. updates: the helpers.UpdateRatios of
    the training. symbols: of the vocabulary. letters_alone: as of the function of this name. normed: units in front of
    a BatchNorm.

    At the end: train, dev, in nats; apart and together: the loss of the same 320 dev examples in batches of 8 and in
    one; difference: how far the loss of one of them differs, on average; still: parameters that training moved by
    less than UNMOVED; stuck: the share of each hidden layer's units whose outputs for 1,000 examples lie within
    STUCK.

    complete: whether the examination came to its end. If it was interrupted, all that is measured at the end is nan.
    """

    settings: Settings
    losses: helpers.Losses
    outputs: list
    gradients: list
    weights: list
    updates: helpers.UpdateRatios
    symbols: int
    letters_alone: float
    parameters: int
    normed: int
    train: float
    dev: float
    apart: float
    together: float
    difference: float
    still: int
    stuck: list
    complete: bool

    @property
    def first(self):
        return self.losses[0]

    @property
    def late(self):
        """The mean of the last 100 losses."""
        return sum(self.losses[-100:]) / len(self.losses[-100:])

    @property
    def nothing_known(self):
        """The loss of a network that knows nothing, for which all symbols are alike."""
        return math.log(self.symbols)

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
        """The recent update ratio of each hidden layer; 0 for weights that are all 0, inf after a blow-up."""
        if not self.complete:
            return [math.nan] * self.settings.depth
        recent = self.updates.recent()
        found = [recent[f"layer {k}"] for k in range(1, self.settings.depth + 1)]
        instead = 0.0 if math.isfinite(self.late) else math.inf
        return [instead if math.isnan(speed) else speed for speed in found]

    @property
    def speed(self):
        """That of the layer in the middle."""
        return sorted(self.speeds)[len(self.speeds) // 2]


@cache
def data():
    """The names' helpers.Splits: `train` and `dev` are (X, Y) each."""
    return helpers.load_splits()


@cache
def letters_alone():
    """The loss of a network that knows how often each symbol comes, and nothing of the context; on the train names."""
    _, Y = data().train
    frequencies = torch.bincount(Y) / len(Y)
    return -torch.xlogy(frequencies, frequencies).sum().item()


def build(settings, generator, symbols):
    """Draw the network of these settings, for a vocabulary of so many symbols: a helpers.MLP."""
    network = helpers.MLP(
        generator,
        symbols,
        depth=settings.depth,
        width=settings.width,
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


_EXAMINED = {}  # by settings: the charts of the examinations that came to their end


def examine(settings):
    """The Chart of these settings: as of `measure`, made once.

    One that was interrupted is returned, but not kept: another cell that asks for it starts anew.
    """
    if settings in _EXAMINED:
        return _EXAMINED[settings]
    found = measure(settings)
    if found.complete:
        _EXAMINED[settings] = found
    return found


def measure(settings):
    """Draw the network of these settings, train it for STEPS steps without a word, and measure its Chart."""
    X, Y = data().train
    symbols = len(data().stoi)
    g = torch.Generator().manual_seed(settings.seed)
    network = build(settings, g, symbols)
    start = copy.deepcopy(network)  # is looked into, and stays as it is
    helpers.forward_backward(start, *helpers.minibatch(X, Y, g.clone_state()))
    updates = helpers.UpdateRatios(network.weights)
    losses = helpers.train(network, X, Y, g, STEPS, lr=settings.lr, record=updates, quiet=True)
    end = None
    if losses.done == STEPS:
        with helpers.stoppable():
            end = at_the_end(network, start, settings)
    return Chart(
        settings,
        losses,
        helpers.activation_rows(start.hidden),
        helpers.gradient_rows(start.hidden),
        helpers.weight_rows(start.weights),
        updates,
        symbols,
        letters_alone(),
        parameters=sum(p.numel() for p in network.parameters()),
        normed=sum(
            len(layer.bias) for layer in start.layers if isinstance(layer, helpers.BatchNorm1d)
        ),
        complete=end is not None,
        **(end or dict.fromkeys(AT_THE_END, math.nan) | {"stuck": [math.nan] * settings.depth}),
    )


AT_THE_END = ("train", "dev", "apart", "together", "difference", "still", "stuck")


def at_the_end(network, start, settings):
    """What a Chart has of a network after its training, by name; start: the same network before it."""
    train, dev = data().train, data().dev
    pairs = zip(network.parameters(), start.parameters(), strict=True)
    still = sum(((p - q).abs() < UNMOVED).sum().item() for p, q in pairs)
    network.train(settings.evaluate_in == "train")
    together, apart = costs(network, *dev, 320, 320), costs(network, *dev, 320, 8)
    on_train, on_dev = (costs(network, *split, EVALUATED, 1_000) for split in (train, dev))
    network.eval()
    costs(network, *train, 1_000, 1_000)
    spans = [layer.out.amax(0) - layer.out.amin(0) for layer in network.hidden]  # (width,) each
    return {
        "train": on_train.mean().item(),
        "dev": on_dev.mean().item(),
        "apart": apart.mean().item(),
        "together": together.mean().item(),
        "difference": (apart - together).abs().mean().item(),
        "still": still,
        "stuck": [(span < STUCK).float().mean().item() for span in spans],
    }


@torch.no_grad()
def costs(network, X, Y, count, batch_size):
    """The loss of each of the first `count` examples, (count,), in the network's present mode.

    In training mode a last batch of one example would have no spread: it is left out.
    """
    count = min(count, len(X))
    count -= count % batch_size == 1
    batches = zip(X[:count].split(batch_size), Y[:count].split(batch_size), strict=True)
    return torch.cat([F.cross_entropy(network(x), y, reduction="none") for x, y in batches])
