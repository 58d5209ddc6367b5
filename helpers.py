"""What the lessons share. Each piece is built by hand in the lesson named here and imported by the later ones.

Contents, in the order in which the lessons meet it:

    Setup        setup, progress                                                         every lesson
    Checks       check; loss_log, from story.py                                          every lesson
    Data         load_names, build_vocabulary, build_dataset, split_names, from data.py            01
    Network      draw_parameters, starter_logits                                                   01
    Training     train, lecture_rate, inference, evaluate, sample_names, block_means               01
    Panels       Guess, Panel, static_twin, from panels.py                               every lesson
    Layers       Linear, BatchNorm1d, Tanh, ReLU, MLP, to_torch                                    06
    Diagnostics  activation_rows, gradient_rows, weight_rows, UpdateRatios; the four pictures      07

Shapes are written (rows, columns). N is a number of examples; losses are in nats (natural logarithm).
"""

import platform
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise, zip_longest
from pathlib import Path

import matplotlib
import matplotlib.pyplot as plt
import torch
import torch.nn.functional as F
from torch import nn
from tqdm.auto import tqdm

from data import END, NAMES_FILE, build_dataset, build_vocabulary, load_names, split_names
from panels import Guess, Panel, describe_figures, static_twin
from story import STORY, TRAINING_STEPS, loss_log, saved_row

ROOT = Path(__file__).resolve().parent

# ---------------------------------------------------------------- Setup


def setup():
    """Start a lesson: the figure style of the series, one torch thread, the versions it runs with.

    One thread is the fastest choice for networks this small: the threads' talk costs more than they save.
    """
    plt.style.use(ROOT / "lessons.mplstyle")
    describe_figures()
    torch.set_num_threads(1)
    print(
        f"Python {platform.python_version()}, torch {torch.__version__.partition('+')[0]}, "
        f"matplotlib {matplotlib.__version__}"
    )


def progress(steps):
    """Count from 0 to steps - 1 with a progress bar, which `set_postfix` gives a running loss.

    It is drawn once a second at most: nbval reads a cell's messages only after the cell has ended, and loses some,
    with the cell's end among them, when more than a thousand wait.
    """
    return tqdm(range(steps), unit=" steps", mininterval=1, maxinterval=5)


# ---------------------------------------------------------------- Checks (every lesson)


def check(claim, measured, expected, within=0):
    """Say in one line whether a measured number is the one that the text gives.

    The line repeats the text's number, not the measured one, so that it is the same on every machine as long as
    the claim holds. The tests compare these lines; a learner who has changed something sees what came out.

    claim: what was measured, in words. within: the largest difference that counts as the same, in the same unit.
    """
    measured = measured.item() if isinstance(measured, torch.Tensor) else measured
    band = f" (within {within:,})" if within else ""
    if abs(measured - expected) <= within:
        print(f"✓ {claim}: {expected:,}{band}")
    else:
        print(
            f"✗ {claim}: the text says {expected:,}{band}, this run gave {measured:,.6g}. "
            f"If you changed something above, this is your own result."
        )


# ---------------------------------------------------------------- Network (lesson 01)

SEED = 2147483647  # the lecture's, for every network


def draw_parameters(generator, hidden_bias=True):
    """Draw the starter's parameters from N(0, 1), always in this order: C, W1, b1, W2, b2.

    Shapes: C (27, 10), W1 (30, 200), b1 (200,), W2 (200, 27), b2 (27,). Without hidden_bias there is no b1, and
    four tensors are returned. They do not ask for gradients yet, so that a lesson can scale them first.
    """
    shapes = [(27, 10), (30, 200), (200,), (200, 27), (27,)]
    if not hidden_bias:
        del shapes[2]
    return [torch.randn(shape, generator=generator) for shape in shapes]


def starter_logits(parameters, X):
    """The starter's logits, (N, 27), for contexts X, (N, 3), and parameters [C, W1, b1, W2, b2]."""
    C, W1, b1, W2, b2 = parameters
    h = torch.tanh(C[X].view(len(X), -1) @ W1 + b1)  # (N, 200)
    return h @ W2 + b2


# ---------------------------------------------------------------- Training (lesson 01)


def lecture_rate(step):
    """The lecture's learning rate: 0.1, and 0.01 from step 100,000."""
    return 0.1 if step < 100_000 else 0.01


def train(model, parameters, X, Y, generator, steps, rate=lecture_rate, batch_size=32, record=None):
    """Train by plain stochastic gradient descent on minibatches; return the loss of each step, in nats, as a list.

    model: a function from contexts, (N, 3), to logits, (N, symbols). parameters: the tensors to change, in place.
    generator: draws the minibatches. rate: a function from the step's number to the learning rate.
    record: a function of (step, learning rate), called in each step when the gradients are there and the
        parameters are not yet changed; for example an UpdateRatios.

    An interruption (Ctrl-C, or the kernel's interrupt button) ends the training, not the lesson: the parameters
    stay as they are by then, and the losses so far are returned.
    """
    losses = []
    bar = progress(steps)
    try:
        for step in bar:
            batch = torch.randint(0, len(X), (batch_size,), generator=generator)
            loss = F.cross_entropy(model(X[batch]), Y[batch])
            for p in parameters:
                p.grad = None
            loss.backward()
            learning_rate = rate(step)
            if record is not None:
                record(step, learning_rate)
            for p in parameters:
                p.data -= learning_rate * p.grad
            losses.append(loss.item())
            if step % 1000 == 999:
                bar.set_postfix(loss=f"{sum(losses[-1000:]) / 1000:.3f}", refresh=False)
    except KeyboardInterrupt:
        print(
            "You stopped the training. What was learned so far is kept: go on with the next cell."
        )
    print(f"{len(losses):,} steps done")
    return losses


@contextmanager
def inference(model):
    """Within it there are no gradients, and a model that is in training mode is in eval mode; then as before."""
    switch = getattr(model, "training", False)
    if switch:
        model.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        if switch:
            model.train()


def evaluate(model, X, Y):
    """The mean loss, in nats, of a model (from contexts to logits) on all examples X, (N, 3), and Y, (N,).

    A model that has a training mode is evaluated outside it and put back.
    """
    with inference(model):
        return F.cross_entropy(model(X), Y).item()


def sample_names(model, itos, generator, count=20, block_size=3, longest=50):
    """Names that the model invents: each character is drawn from its softmax, until it draws the end, ".".

    model and itos: as for `evaluate` and from `build_vocabulary`. A name is cut off at `longest` characters.
    Returns a list of `count` strings; some may be empty.
    """
    names = []
    with inference(model):
        while len(names) < count:
            context, name = [0] * block_size, ""
            while len(name) < longest:
                probabilities = F.softmax(model(torch.tensor([context])), 1)
                symbol = torch.multinomial(probabilities, 1, generator=generator).item()
                if itos[symbol] == END:
                    break
                context = [*context[1:], symbol]
                name += itos[symbol]
            names.append(name)
    return names


def block_means(losses, size):
    """The mean of each `size` losses in a row, as a tensor; a rest that fills no block is left out."""
    return torch.tensor(losses[: len(losses) // size * size]).view(-1, size).mean(1)


# ---------------------------------------------------------------- Layers (lesson 06)


class Linear:
    """x @ weight + bias, from (N, fan_in) to (N, fan_out); the interface of torch.nn.Linear.

    Two things are not as in torch: weight has the shape (fan_in, fan_out), the transpose of torch's; and it is drawn
    from N(0, 1 / fan_in), with a bias of zeros, where torch draws both uniformly from ±1 / sqrt(fan_in).
    """

    training = True

    def __init__(self, fan_in, fan_out, bias=True, generator=None):
        weight = torch.randn((fan_in, fan_out), generator=generator) / fan_in**0.5
        self.weight = weight.requires_grad_()
        self.bias = torch.zeros(fan_out, requires_grad=True) if bias else None

    def __call__(self, x):
        self.out = x @ self.weight
        if self.bias is not None:
            self.out = self.out + self.bias
        return self.out

    def parameters(self):
        return [self.weight] if self.bias is None else [self.weight, self.bias]


class BatchNorm1d:
    """Normalize each column of x, (N, dim), then scale by weight and shift by bias; as torch.nn.BatchNorm1d.

    In training by the batch's own mean and variance (over N), which also move the running ones (with the variance
    over N - 1) by the share `momentum`; else by the running ones. weight and bias are gamma and beta of Ioffe and
    Szegedy 2015, arXiv 1502.03167, algorithm 1.

    Raises ValueError if x is not (N, dim), and in training if N is 1: a single example has no spread.
    """

    def __init__(self, dim, eps=1e-5, momentum=0.1):
        self.eps, self.momentum, self.training = eps, momentum, True
        self.weight = torch.ones(dim, requires_grad=True)
        self.bias = torch.zeros(dim, requires_grad=True)
        self.running_mean, self.running_var = torch.zeros(dim), torch.ones(dim)

    def __call__(self, x):
        dim = len(self.weight)
        if x.ndim != 2 or x.shape[1] != dim:
            raise ValueError(f"BatchNorm1d({dim}) needs (N, {dim}), and got {tuple(x.shape)}.")
        mean, var = self.running_mean, self.running_var
        if self.training:
            if len(x) == 1:
                raise ValueError("BatchNorm1d in training needs 2 examples or more, and got 1.")
            mean, var = x.mean(0), x.var(0, correction=0)
            with torch.no_grad():
                self.running_mean = torch.lerp(self.running_mean, mean, self.momentum)
                self.running_var = torch.lerp(self.running_var, x.var(0), self.momentum)
        self.out = self.weight * (x - mean) / (var + self.eps).sqrt() + self.bias
        return self.out

    def parameters(self):
        return [self.weight, self.bias]


class Tanh:
    """tanh of each value."""

    training = True

    def __call__(self, x):
        self.out = torch.tanh(x)
        return self.out

    def parameters(self):
        return []


class ReLU(Tanh):
    """max(0, x) of each value."""

    def __call__(self, x):
        self.out = torch.relu(x)
        return self.out


class MLP:
    """The deep network: embedding, `depth` hidden layers of `width` units, output layer.

    A hidden layer is Linear, BatchNorm1d if `batchnorm`, and `nonlinearity` (a class, or None for none); the output
    layer is Linear, and BatchNorm1d if `batchnorm`. A Linear before a BatchNorm1d has no bias.

    generator: draws C, (symbols, 10), then each Linear's weight in order.
    gain: a factor on the weights of the hidden Linear layers.
    last_scale: a factor on the last layer's weight, that of its BatchNorm1d if it has one: less confident at first.

    C: the embedding. layers: all layers in order. hidden: of each hidden layer the last piece, whose `out` is its
    output. weights: the 2-d parameters by name. training: see `train` and `eval`.
    """

    def __init__(
        self,
        generator,
        *,
        depth=5,
        width=100,
        gain=1.0,
        last_scale=1.0,
        nonlinearity=Tanh,
        batchnorm=False,
        symbols=27,
        block_size=3,
    ):
        if depth < 1:
            raise ValueError(f"depth is {depth}; it must be 1 or more hidden layers.")
        self.C = torch.randn((symbols, 10), generator=generator).requires_grad_()
        self.layers, self.hidden, self.weights = [], [], {"embedding": self.C}
        sizes = [10 * block_size, *[width] * depth, symbols]
        for number, (fan_in, fan_out) in enumerate(pairwise(sizes), 1):
            linear = Linear(fan_in, fan_out, bias=not batchnorm, generator=generator)
            self.layers += [linear, BatchNorm1d(fan_out)] if batchnorm else [linear]
            self.weights["output" if number > depth else f"layer {number}"] = linear.weight
            if number <= depth:
                linear.weight.data *= gain
                self.layers += [nonlinearity()] if nonlinearity else []
                self.hidden.append(self.layers[-1])
        self.layers[-1].weight.data *= last_scale

    def __call__(self, X):
        """The logits, (N, symbols), for contexts X, (N, block_size)."""
        x = self.C[X].flatten(1)
        for layer in self.layers:
            x = layer(x)
        return x

    def parameters(self):
        return [self.C, *(p for layer in self.layers for p in layer.parameters())]

    @property
    def training(self):
        return self.layers[0].training

    def train(self, mode=True):
        for layer in self.layers:
            layer.training = mode

    def eval(self):
        self.train(False)


def to_torch(network):
    """The same network as a torch.nn.Sequential with copies of its weights, biases and running statistics."""
    twin = nn.Sequential(nn.Embedding.from_pretrained(network.C.detach().clone(), freeze=False))
    twin.append(nn.Flatten())
    for layer in network.layers:
        if isinstance(layer, Linear):
            twin.append(nn.Linear(*layer.weight.shape, bias=layer.bias is not None))
            state = {"weight": layer.weight.T, "bias": layer.bias}
        elif isinstance(layer, BatchNorm1d):
            twin.append(nn.BatchNorm1d(len(layer.weight), layer.eps, layer.momentum))
            state = {
                name: getattr(layer, name)
                for name in ("weight", "bias", "running_mean", "running_var")
            }
        else:
            twin.append(getattr(nn, type(layer).__name__)())
            state = {}
        state = {name: value for name, value in state.items() if value is not None}
        twin[-1].load_state_dict(state, strict=False)
    return twin.train(network.training)


# ---------------------------------------------------------------- Diagnostics (lesson 07)

SATURATED = 0.97  # |tanh| beyond it counts as saturated; the slope there is below 0.06
USUAL_RATIO = 1e-3  # of an update to the weights that it changes; the lecture's rule of thumb


@dataclass(frozen=True)
class Row:
    """What was measured of one layer or weight. A histogram's density, (bins,), stands over its edges, (bins + 1,).

    saturation: the share of values beyond ±SATURATED. ratio: of a gradient to its weight, or of an update to it, in
    standard deviations, at a training step. None where it was not measured.
    """

    layer: str
    mean: float
    std: float
    edges: torch.Tensor
    density: torch.Tensor
    saturation: float | None = None
    ratio: float | None = None


def measure(layer, values, bins=60, **others):
    """The Row of a tensor. bins: how many, from the smallest to the largest value, or their edges.

    Raises ValueError that names the layer if a value is not finite.
    """
    values = values.detach().flatten()
    if not values.isfinite().all():
        raise ValueError(f"{layer} holds values that are not finite: its training has blown up.")
    density, edges = torch.histogram(values, bins, density=True)
    return Row(layer, values.mean().item(), values.std().item(), edges, density, **others)


def forward_backward(network, X, Y):
    """One pass forward and backward without an update; every layer keeps `out` and `out.grad`. Returns the loss."""
    logits = network(X)
    for p in network.parameters():
        p.grad = None
    for layer in network.layers:
        layer.out.retain_grad()
    loss = F.cross_entropy(logits, Y)
    loss.backward()
    return loss.item()


def activation_rows(layers, bins=60):
    """A Row for the `out` of each layer: what it passes on."""
    return [
        measure(f"layer {i}", x, bins, saturation=(x.abs() > SATURATED).float().mean().item())
        for i, x in enumerate((layer.out for layer in layers), 1)
    ]


def gradient_rows(layers, bins=60):
    """A Row for the `out.grad` of each layer: what comes back to it. Needs `forward_backward` before."""
    return [measure(f"layer {i}", layer.out.grad, bins) for i, layer in enumerate(layers, 1)]


def weight_rows(weights, bins=60):
    """A Row for the gradient of each weight, {name: tensor}; ratio is std(gradient) / std(weight)."""
    return [
        measure(name, w.grad, bins, ratio=(w.grad.std() / w.detach().std()).item())
        for name, w in weights.items()
    ]


class UpdateRatios:
    """Record in `train` how large the updates are: ratios[name] is a list of std(update) / std(weight) at `steps`.

    weights: {name: tensor}. every: the steps from one record to the next; 10 keeps the cost of it small.
    """

    def __init__(self, weights, every=10):
        self.weights, self.every = weights, every
        self.steps, self.ratios = [], {name: [] for name in weights}

    def __call__(self, step, rate):
        if step % self.every == 0:
            self.steps.append(step)
            for name, w in self.weights.items():
                self.ratios[name].append((rate * w.grad.std() / w.detach().std()).item())


def plot_histograms(axes, rows, **labels):
    """Draw the histograms of rows as lines, the first layer darkest. Returns the lines, for `move_histograms`."""
    colors = plt.get_cmap("viridis")(torch.linspace(0, 0.92, len(rows)).numpy())
    lines = [
        axes.plot([], [], color=color, label=row.layer)[0]
        for row, color in zip(rows, colors, strict=True)
    ]
    move_histograms(lines, rows)
    axes.relim()
    axes.autoscale_view()
    axes.locator_params(axis="x", nbins=5)
    axes.set(ylabel="density", **labels)
    axes.legend(fontsize="small", loc="center left", bbox_to_anchor=(1, 0.5))
    return lines


def move_histograms(lines, rows):
    """Give lines the histograms of other rows; a line without a row becomes empty."""
    for line, row in zip_longest(lines, rows):
        middles = [] if row is None else (row.edges[1:] + row.edges[:-1]) / 2
        line.set_data(middles, [] if row is None else row.density)


def plot_updates(axes, updates, **labels):
    """Draw the ratios of an UpdateRatios over the steps, and a dashed line at USUAL_RATIO. Returns the lines."""
    colors = plt.get_cmap("viridis")(torch.linspace(0, 0.92, len(updates.ratios)).numpy())
    lines = []
    for (name, ratios), color in zip(updates.ratios.items(), colors, strict=True):
        lines += axes.plot(updates.steps, ratios, color=color, label=name)
    axes.axhline(USUAL_RATIO, color="black", linestyle="--")
    axes.set(yscale="log", xlabel="step", ylabel="std of update / of weight", **labels)
    axes.legend(fontsize="small", loc="center left", bbox_to_anchor=(1, 0.5))
    return lines


def four_pictures(figure, network, updates):
    """The health of a network in four pictures, from the four statistics. Returns the first three's rows, for printing.

    network: an MLP after `forward_backward`. updates: the UpdateRatios of its training.
    """
    axes = figure.subplots(2, 2).flatten()
    pictures = [
        (activation_rows(network.hidden), "1 Forward: the outputs", "output"),
        (gradient_rows(network.hidden), "2 Backward: their gradients", "gradient of the output"),
        (weight_rows(network.weights), "3 Gradients of the weights", "gradient of the weight"),
    ]
    for ax, (rows, title, xlabel) in zip(axes[:3], pictures, strict=True):
        plot_histograms(ax, rows, title=title, xlabel=xlabel)
    for line, row in zip(axes[2].get_lines(), pictures[2][0], strict=True):
        line.set_label(f"{row.layer}: {row.ratio:.2g}")
    axes[2].legend(title="grad:data", fontsize="small", loc="center left", bbox_to_anchor=(1, 0.5))
    plot_updates(axes[3], updates, title="4 Updates against weights")
    return [rows for rows, *_ in pictures]
