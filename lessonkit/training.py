"""The starter network and its training (lesson 01). Losses are in nats (natural logarithm)."""

import math
from contextlib import contextmanager

import torch
import torch.nn.functional as F

from lessonkit.data import END
from lessonkit.devices import on_one_device
from lessonkit.interrupts import progress, stoppable, stopped

SEED = 2147483647  # the lecture's, for every network
PIECE = 1_000  # examples that are evaluated at once: a network keeps its layers' outputs for the last ones

# ---------------------------------------------------------------- The starter


def draw_parameters(generator, symbols, hidden_bias=True):
    """Draw the starter's parameters from N(0, 1), always in this order: C, W1, b1, W2, b2.

    symbols: of the vocabulary, 27 for the names of this series. Shapes: C (symbols, 10), W1 (30, 200), b1 (200,),
    W2 (200, symbols), b2 (symbols,). Without hidden_bias there is no b1, and four tensors are returned. They do not
    ask for gradients yet, so that a lesson can scale them first.
    """
    shapes = [(symbols, 10), (30, 200), (200,), (200, symbols), (symbols,)]
    if not hidden_bias:
        del shapes[2]
    return [torch.randn(shape, generator=generator) for shape in shapes]


def starter_logits(parameters, X):
    """The starter's logits, (N, symbols), for contexts X, (N, 3), and parameters [C, W1, b1, W2, b2]."""
    C, W1, b1, W2, b2 = parameters
    h = torch.tanh(C[X].view(len(X), -1) @ W1 + b1)  # (N, 200)
    return h @ W2 + b2


# ---------------------------------------------------------------- Training


def minibatch(X, Y, generator, size=32):
    """Draw `size` examples, with replacement: their contexts, (size, block_size), and next characters, (size,)."""
    batch = torch.randint(0, len(X), (size,), generator=generator)
    return X[batch], Y[batch]


def lecture_lr(step):
    """The lecture's learning rate: 0.1, and 0.01 from step 100,000."""
    return 0.1 if step < 100_000 else 0.01


class Losses(list):
    """The loss of each step, in nats. done: how many were made; the others are nan, and pictures leave them out."""

    def __init__(self, losses, steps):
        self.done = len(losses)
        super().__init__([*losses, *[math.nan] * (steps - self.done)])


def train(
    model,
    X,
    Y,
    generator,
    steps,
    lr=lecture_lr,
    *,
    parameters=None,
    batch_size=32,
    record=None,
    quiet=False,
    device=None,
):
    """Train by plain stochastic gradient descent on minibatches; return the Losses.

    model: a function from contexts, (N, block_size), to logits, (N, symbols). parameters: the tensors to change, in
    place; if None, those of model.parameters(). generator: draws the minibatches. lr: the learning rate, a number or
    a function of the step. record: a function of (step, learning rate), called in each step when the gradients are
    there and the parameters are not yet changed; for example an UpdateRatios. quiet: says nothing. device: moves the
    model and the examples there before; minibatches are drawn by the generator, wherever that is.

    An interruption (Ctrl-C, or the kernel's interrupt button) ends the training, not the lesson: the parameters
    stay as they are by then. Raises ValueError if there are no examples, or if they and the model are on different
    devices.
    """
    if len(X) == 0:
        raise ValueError("there are no examples to train on.")
    parameters = list(model.parameters() if parameters is None else parameters)
    X, Y = on_one_device(model, (X, Y), parameters, device)
    losses = []
    with stoppable():
        bar = progress(steps, quiet=quiet)
        for step in bar:
            Xb, Yb = minibatch(X, Y, generator, batch_size)
            loss = F.cross_entropy(model(Xb), Yb)
            for p in parameters:
                p.grad = None
            loss.backward()
            rate = lr(step) if callable(lr) else lr
            if record is not None:
                record(step, rate)
            for p in parameters:
                p.data -= rate * p.grad
            losses.append(loss.item())
            if step % 1000 == 999:
                bar.set_postfix(loss=f"{sum(losses[-1000:]) / 1000:.3f}", refresh=False)
    if not quiet:
        print(f"{len(losses):,} steps done")
    return Losses(losses, steps)


def block_means(losses, size):
    """The mean of each `size` losses in a row, as a tensor; a rest that fills no block is left out."""
    return torch.tensor(losses[: len(losses) // size * size]).view(-1, size).mean(1)


def mean_and_error(values):
    """The mean over the first dimension, such as seeds, and its standard error: two tensors of the other dimensions.

    values: a tensor, or lists of numbers. The standard error is the std (n - 1) / √n.
    """
    values = torch.as_tensor(values)
    return values.mean(0), values.std(0) / len(values) ** 0.5


# ---------------------------------------------------------------- What was learned


def parameters_of(model):
    """The list of the model's parameters(); of one that is a function, and does not tell them, an empty one."""
    return list(model.parameters()) if hasattr(model, "parameters") else []


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


def evaluate(model, X, Y, *, device=None):
    """The mean loss, in nats, of a model (from contexts to logits) on all examples X, (N, block_size), and Y, (N,).

    A model that has a training mode is evaluated outside it and put back. In a cell that was interrupted the loss is
    nan: what was trained there is not done. device: moves the model and the examples there before.

    Raises ValueError if there are no examples, or if they and the model are on different devices.
    """
    if len(X) == 0:
        raise ValueError("there are no examples to evaluate: this split of the names is empty.")
    X, Y = on_one_device(model, (X, Y), parameters_of(model), device)
    total = math.nan
    with inference(model), stoppable():
        pieces = zip(X.split(PIECE), Y.split(PIECE), strict=True)
        sums = [F.cross_entropy(model(x), y, reduction="sum").item() for x, y in pieces]
        total = sum(sums)
    return math.nan if stopped() else total / len(X)


def sample_names(model, itos, generator, count=20, block_size=3, longest=50, *, device=None):
    """Names that the model invents: each character is drawn from its softmax, until it draws the end, ".".

    model and itos: as for `evaluate` and from `build_vocabulary`. A name is cut off at `longest` characters.
    device: where the model is, or is moved to; if None, where its parameters() are. The generator is the CPU's.
    Returns a list of `count` strings; some may be empty.
    """
    parameters = parameters_of(model)
    if device is None and parameters:
        device = parameters[0].device
    (start,) = on_one_device(model, [torch.zeros(block_size, dtype=int)], parameters, device)
    names = []
    with inference(model):
        while len(names) < count:
            context, name = [0] * block_size, ""
            while len(name) < longest:
                probabilities = F.softmax(model(torch.tensor([context], device=start.device)), 1)
                symbol = torch.multinomial(probabilities.cpu(), 1, generator=generator).item()
                if itos[symbol] == END:
                    break
                context = [*context[1:], symbol]
                name += itos[symbol]
            names.append(name)
    return names
