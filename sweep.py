"""A sweep: many settings of the deep network, trained at once.

    runs = sweep.train_many([{"gain": 1.0}, {"gain": 5 / 3, "lr": 0.2}], 1_000, X, Y, symbols)
    runs[1].losses, runs[1].network

A training step of one small network is mostly the overhead of its operations. K networks of one shape, stacked into
tensors with a first dimension of size K, share it. Lesson 12 shows how, and that the result is the same.
"""

import copy
import inspect
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import islice

import torch
import torch.nn.functional as F

from lessonkit.interrupts import progress, stoppable
from lessonkit.layers import MLP, BatchNorm1d, Linear
from lessonkit.training import SEED, Losses

LARGEST_STACK = 16  # networks; in a larger stack, each costs as much
BATCH_SIZE = 32  # examples, as in helpers.train
# What a setting may have beside the network's options, and what it is otherwise.
OWN = {"lr": 0.1, "seed": SEED, "optimizer": "sgd"}

_parameters = inspect.signature(MLP).parameters.values()
OPTIONS = [option.name for option in _parameters if option.kind is option.KEYWORD_ONLY]


@dataclass(frozen=True)
class Run:
    """One setting, the loss of each of its training steps, and the network that came of it.

    losses: as of helpers.train, in nats; nan or inf from where the training has blown up. network: a helpers.MLP.
    """

    setting: dict
    losses: Losses
    network: MLP


def train_many(settings, steps, X, Y, symbols):
    """Train one network for each setting, as `helpers.train` would one by one. Returns a Run for each, in their order.

    settings: a list of dicts, each with keyword arguments of helpers.MLP; and with "lr", the learning rate, a number
    or a function of the step, "seed", and "optimizer", "sgd" or "adam", if these are not to be those of OWN. The seed
    is that of the network's own generator, which draws its weights and then its minibatches: so nothing but the
    setting makes a difference.
    X, Y: contexts, (N, block_size), and the next characters, (N,). symbols: of the vocabulary.

    Networks of one shape are trained together, up to LARGEST_STACK of them. One that blows up does not touch the
    others. An interruption ends the training; all that was learned by then is in the runs.

    Raises ValueError if there are no settings or examples, if steps is below 1, and, naming the setting, for one that
    is no dict, has an unknown name, or cannot be drawn or stacked.
    """
    if not settings:
        raise ValueError("there are no settings: give a list of dicts, such as [dict(gain=1.0)].")
    if len(X) == 0:
        raise ValueError("there are no examples to train on.")
    if steps < 1:
        raise ValueError(f"steps is {steps}; it must be 1 or more.")
    plants = [plant(place, setting, symbols) for place, setting in enumerate(settings)]
    stacks = stacks_of(plants)
    with stoppable():
        todo = iter(progress(steps * len(stacks)))
        for places in stacks:
            train_stack([plants[place] for place in places], islice(todo, steps), X, Y)
    done = max(len(one.losses) for one in plants)
    groups = f"trained together in groups: {len(stacks)}"
    print(f"{len(settings)} networks, {groups}; steps: {done:,}")
    return [
        Run(setting, Losses(one.losses, steps), one.network)
        for setting, one in zip(settings, plants, strict=True)
    ]


@dataclass
class Plant:
    """A network in training: what it is trained with, and its losses so far, in nats."""

    network: MLP
    generator: torch.Generator
    lr: float | Callable
    optimizer: str
    losses: list = field(default_factory=list)


def plant(place, setting, symbols):
    """The Plant of the setting at this place of the list. Raises ValueError that names it."""
    if not isinstance(setting, dict):
        raise ValueError(
            f"setting {place} is {setting!r}; it must be a dict, such as dict(gain=1.0)."
        )
    options = OWN | setting
    lr, seed, optimizer = (options.pop(name) for name in OWN)
    if unknown := options.keys() - set(OPTIONS):
        known = ", ".join([*OPTIONS, *OWN])
        raise ValueError(f"setting {place} has {sorted(unknown)[0]!r}; what can be set is {known}.")
    if not callable(lr) and (not isinstance(lr, int | float) or not 0 < lr < math.inf):
        raise ValueError(
            f"setting {place} has the learning rate {lr!r}; it must be a positive number."
        )
    if optimizer not in OPTIMIZERS:
        known = ", ".join(OPTIMIZERS)
        raise ValueError(f"setting {place} has the optimizer {optimizer!r}; there are {known}.")
    try:
        generator = torch.Generator().manual_seed(seed)
        network = MLP(generator, symbols, **options)
    except (TypeError, ValueError, RuntimeError) as error:
        raise ValueError(f"setting {place}, {setting}: {error}") from error
    for layer in network.layers:
        if type(layer) not in STACKED and layer.parameters():
            kind = type(layer).__name__
            raise ValueError(f"setting {place}: {kind} has parameters, and cannot be stacked.")
    return Plant(network, generator, lr, optimizer)


def stacks_of(plants):
    """The places of the networks that can be trained together: lists of at most LARGEST_STACK."""
    shapes = {}
    for place, one in enumerate(plants):
        layers, parameters = one.network.layers, one.network.parameters()
        shape = (one.optimizer, *map(type, layers), *(p.shape for p in parameters))
        shapes.setdefault(shape, []).append(place)
    return [
        places[start : start + LARGEST_STACK]
        for places in shapes.values()
        for start in range(0, len(places), LARGEST_STACK)
    ]


def train_stack(plants, todo, X, Y):
    """Train networks of one shape together, a step for each item of `todo`.

    An interruption is passed on when what was learned by then is in the networks.
    """
    stack = Stack([one.network for one in plants])
    optimizer = OPTIMIZERS[plants[0].optimizer](stack.parameters())
    draw = Batches([one.generator for one in plants], len(X))
    try:
        for number, _ in enumerate(todo):
            batch = draw()  # (K, N)
            losses = gradients(stack, X[batch], Y[batch])
            lrs = [one.lr(number) if callable(one.lr) else one.lr for one in plants]
            optimizer.step(torch.tensor(lrs)[:, None, None])
            for one, loss in zip(plants, losses.tolist(), strict=True):
                one.losses.append(loss)
    finally:
        stack.unstack()


class Batches:
    """Draws the minibatches of K networks of one shape: (K, BATCH_SIZE) places among the `count` examples.

    Generators in the same state, that is of the same seed, draw the same: only one of them does it.
    """

    def __init__(self, generators, count):
        states = [bytes(generator.get_state().numpy()) for generator in generators]
        first = {state: place for place, state in reversed(list(enumerate(states)))}
        self.generators = [generators[place] for place in first.values()]
        row = {state: number for number, state in enumerate(first)}
        self.rows = torch.tensor([row[state] for state in states])
        self.count = count

    def __call__(self):
        shape = (BATCH_SIZE,)
        drawn = [torch.randint(0, self.count, shape, generator=g) for g in self.generators]
        return torch.stack(drawn)[self.rows]


def gradients(stack, X, Y):
    """Give each network of a stack the gradients of its own loss. Returns the losses, (K,).

    X: (K, N, block_size), Y: (K, N).
    """
    logits = stack(X)  # (K, N, symbols)
    each = F.cross_entropy(logits.flatten(0, 1), Y.flatten(), reduction="none")
    losses = each.view(len(logits), -1).mean(1)
    for p in stack.parameters():
        p.grad = None
    losses.sum().backward()  # no network's numbers are in another one's loss: each gets its own gradient
    return losses.detach()


class SGD:
    """Plain gradient descent of a stack's parameters, each with K networks as its first dimension."""

    def __init__(self, parameters):
        self.parameters = parameters

    def step(self, lrs):
        """One step for all. lrs: the learning rates, (K, 1, 1)."""
        for p in self.parameters:
            p.data -= p.grad.mul_(lrs)


class Adam(SGD):
    """The same by Adam, with the constants of torch.optim.Adam: Kingma and Ba 2014, arXiv 1412.6980, algorithm 1."""

    def __init__(self, parameters, beta1=0.9, beta2=0.999, eps=1e-8):
        super().__init__(parameters)
        self.beta1, self.beta2, self.eps, self.steps = beta1, beta2, eps, 0
        self.means = [torch.zeros_like(p) for p in parameters]
        self.squares = [torch.zeros_like(p) for p in parameters]

    def step(self, lrs):
        self.steps += 1
        unbias1, unbias2 = 1 - self.beta1**self.steps, 1 - self.beta2**self.steps
        for p, mean, square in zip(self.parameters, self.means, self.squares, strict=True):
            mean.lerp_(p.grad, 1 - self.beta1)
            square.mul_(self.beta2).addcmul_(p.grad, p.grad, value=1 - self.beta2)
            p.data -= lrs * (mean / unbias1) / ((square / unbias2).sqrt() + self.eps)


OPTIMIZERS = {"sgd": SGD, "adam": Adam}


class StackedLinear:
    """K layers of helpers.Linear at once: x @ weight + bias from (K, N, fan_in) to (K, N, fan_out)."""

    def __init__(self, layers):
        self.layers = layers
        self.weight = stacked(layer.weight for layer in layers)  # (K, fan_in, fan_out)
        self.bias = None
        if layers[0].bias is not None:
            self.bias = stacked(layer.bias[None] for layer in layers)  # (K, 1, fan_out)

    def __call__(self, x):
        if self.bias is None:
            return torch.bmm(x, self.weight)
        return torch.baddbmm(self.bias, x, self.weight)

    def parameters(self):
        return [self.weight] if self.bias is None else [self.weight, self.bias]

    def unstack(self):
        for k, layer in enumerate(self.layers):
            layer.weight.data = self.weight.data[k].clone()
            if self.bias is not None:
                layer.bias.data = self.bias.data[k, 0].clone()


class StackedBatchNorm1d:
    """K layers of helpers.BatchNorm1d at once, in training. All units of x, (K, N, dim), stand in one table for it."""

    def __init__(self, layers):
        self.layers, self.eps, self.momentum = layers, layers[0].eps, layers[0].momentum
        self.weight = stacked(layer.weight[None] for layer in layers)  # (K, 1, dim)
        self.bias = stacked(layer.bias[None] for layer in layers)
        self.running_mean = torch.cat([layer.running_mean for layer in layers])  # (K * dim,)
        self.running_var = torch.cat([layer.running_var for layer in layers])

    def __call__(self, x):
        K, N, dim = x.shape
        table = x.transpose(0, 1).reshape(N, K * dim)
        running = self.running_mean, self.running_var
        learned = self.weight.view(-1), self.bias.view(-1)
        out = F.batch_norm(table, *running, *learned, True, self.momentum, self.eps)
        return out.view(N, K, dim).transpose(0, 1)

    def parameters(self):
        return [self.weight, self.bias]

    def unstack(self):
        means, variances = (
            running.view(len(self.layers), -1) for running in (self.running_mean, self.running_var)
        )
        for k, layer in enumerate(self.layers):
            layer.weight.data = self.weight.data[k, 0].clone()
            layer.bias.data = self.bias.data[k, 0].clone()
            layer.running_mean, layer.running_var = means[k].clone(), variances[k].clone()


STACKED = {Linear: StackedLinear, BatchNorm1d: StackedBatchNorm1d}


class Stack:
    """K networks of one shape as one: contexts X, (K, N, block_size), to logits, (K, N, symbols).

    networks: K of helpers.MLP that differ in their numbers alone. `unstack` puts the numbers back into them.
    """

    def __init__(self, networks):
        self.networks = networks
        self.C = stacked(network.C for network in networks)  # (K, symbols, 10)
        self.layers = []
        for same in zip(*(network.layers for network in networks), strict=True):
            stack_of = STACKED.get(type(same[0]))  # a tanh has no numbers: any one will do
            self.layers.append(stack_of(same) if stack_of else copy.copy(same[0]))

    def __call__(self, X):
        K, symbols, size = self.C.shape
        # In C as one table, (K * symbols, 10), each network's rows stand behind those of the one before.
        rows = X + symbols * torch.arange(K)[:, None, None]
        x = F.embedding(rows, self.C.view(-1, size)).flatten(2)
        for layer in self.layers:
            x = layer(x)
        return x

    def parameters(self):
        return [self.C, *(p for layer in self.layers for p in layer.parameters())]

    def unstack(self):
        for k, network in enumerate(self.networks):
            network.C.data = self.C.data[k].clone()
        for layer in self.layers:
            if hasattr(layer, "unstack"):
                layer.unstack()


def stacked(tensors):
    """Equal shapes to one tensor with a new first dimension, which asks for gradients."""
    return torch.stack([tensor.detach() for tensor in tensors]).requires_grad_()
