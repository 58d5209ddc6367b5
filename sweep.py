"""A sweep: many settings of the deep network, trained at once.

    runs = sweep.train_many([{"gain": 1.0}, {"gain": 5 / 3, "lr": 0.2}], 1_000, X, Y)
    runs[1].losses, runs[1].network

A training step of one small network is mostly the overhead of its operations. K networks of one shape, stacked into
tensors with a first dimension of size K, share it. Lesson 11 shows how, and that the result is the same.
"""

import copy
import inspect
import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F

import helpers

LARGEST_STACK = 16  # networks; in a larger stack, each costs as much
BATCH_SIZE = 32  # examples, as in helpers.train
LR = 0.1

_parameters = inspect.signature(helpers.MLP).parameters.values()
OPTIONS = [option.name for option in _parameters if option.kind is option.KEYWORD_ONLY]


@dataclass(frozen=True)
class Run:
    """One setting, the loss of each of its training steps, and the network that came of it.

    losses: (steps,), in nats; nan or inf from where the training has blown up. network: a helpers.MLP.
    """

    setting: dict
    losses: torch.Tensor
    network: helpers.MLP


def train_many(settings, steps, X, Y, seed=helpers.SEED):
    """Train one network for each setting, as `helpers.train` would one by one. Returns a Run for each, in their order.

    settings: a list of dicts, each with keyword arguments of helpers.MLP and, if it is not to be LR, with "lr", the
    learning rate. X, Y: contexts, (N, block_size), and the next characters, (N,). seed: of each network's own
    generator, which draws its weights and then its minibatches: so nothing but the settings makes a difference.

    Networks of one shape are trained together, up to LARGEST_STACK of them. One that blows up does not touch the
    others. An interruption ends the training; all that was learned by then is in the runs.

    Raises ValueError if there are no settings, if steps is below 1, and, naming the setting, for one that is no dict,
    has an unknown name, or cannot be drawn or stacked.
    """
    if not settings:
        raise ValueError("there are no settings: give a list of dicts, such as [dict(gain=1.0)].")
    if steps < 1:
        raise ValueError(f"steps is {steps}; it must be 1 or more.")
    generators = [torch.Generator().manual_seed(seed) for _ in settings]
    networks = [
        draw(place, *pair) for place, pair in enumerate(zip(settings, generators, strict=True))
    ]
    losses = [torch.empty(0) for _ in settings]
    stacks = stacks_of(networks)
    try:
        with helpers.progress(steps * len(stacks)) as bar:
            for places in stacks:
                rates = torch.tensor([settings[place].get("lr", LR) for place in places])
                stack, kept = Stack([networks[place] for place in places]), []
                try:
                    for _ in range(steps):
                        batch = torch.randint(
                            0, len(X), (BATCH_SIZE,), generator=generators[places[0]]
                        )
                        kept.append(step(stack, X[batch], Y[batch], rates[:, None, None]))
                        bar.update()
                finally:
                    stack.unstack()
                    if kept:
                        for place, some in zip(places, torch.stack(kept, 1), strict=True):
                            losses[place] = some
    except KeyboardInterrupt:
        print("You stopped the sweep. What was learned so far is kept: go on with the next cell.")
    print(
        f"{len(settings)} networks, trained together in groups: {len(stacks)}; steps: {max(map(len, losses)):,}"
    )
    return [Run(*parts) for parts in zip(settings, losses, networks, strict=True)]


def draw(place, setting, generator):
    """The network of the setting at this place of the list. Raises ValueError that names it."""
    if not isinstance(setting, dict):
        raise ValueError(
            f"setting {place} is {setting!r}; it must be a dict, such as dict(gain=1.0)."
        )
    options = {name: value for name, value in setting.items() if name != "lr"}
    if unknown := options.keys() - set(OPTIONS):
        known = ", ".join([*OPTIONS, "lr"])
        raise ValueError(f"setting {place} has {sorted(unknown)[0]!r}; what can be set is {known}.")
    lr = setting.get("lr", LR)
    if not isinstance(lr, int | float) or not 0 < lr < math.inf:
        raise ValueError(
            f"setting {place} has the learning rate {lr!r}; it must be a positive number."
        )
    try:
        network = helpers.MLP(generator, **options)
    except (TypeError, ValueError, RuntimeError) as error:
        raise ValueError(f"setting {place}, {setting}: {error}") from error
    for layer in network.layers:
        if type(layer) not in STACKED and layer.parameters():
            kind = type(layer).__name__
            raise ValueError(f"setting {place}: {kind} has parameters, and cannot be stacked.")
    return network


def stacks_of(networks):
    """The places of the networks that can be trained together: lists of at most LARGEST_STACK."""
    shapes = {}
    for place, network in enumerate(networks):
        shape = (*map(type, network.layers), *(p.shape for p in network.parameters()))
        shapes.setdefault(shape, []).append(place)
    return [
        places[start : start + LARGEST_STACK]
        for places in shapes.values()
        for start in range(0, len(places), LARGEST_STACK)
    ]


def step(stack, X, Y, rates):
    """One step of gradient descent for each network of a stack. rates: (K, 1, 1). Returns their losses, (K,)."""
    logits = stack(X)  # (K, N, symbols)
    each = F.cross_entropy(logits.flatten(0, 1), Y.repeat(len(logits)), reduction="none")
    losses = each.view(len(logits), -1).mean(1)
    for p in stack.parameters():
        p.grad = None
    losses.sum().backward()  # no network's numbers are in another one's loss: each gets its own gradient
    for p in stack.parameters():
        p.data -= p.grad.mul_(rates)
    return losses.detach()


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


STACKED = {helpers.Linear: StackedLinear, helpers.BatchNorm1d: StackedBatchNorm1d}


class Stack:
    """K networks of one shape as one: contexts X, (N, block_size), to logits, (K, N, symbols).

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
        rows = (
            X.flatten() + symbols * torch.arange(K)[:, None]
        )  # in C as one table, (K * symbols, 10)
        x = F.embedding(rows, self.C.view(-1, size)).view(K, len(X), -1)
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
