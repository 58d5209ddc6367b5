"""A sweep: many settings of the deep network, trained at once.

    runs = sweep.train_many([{"gain": 1.0}, {"gain": 5 / 3, "lr": 0.2}], 1_000, X, Y, symbols)
    runs[1].losses, runs[1].network

A training step of one small network is mostly the overhead of its operations. K networks of one shape, stacked into
tensors with a first dimension of size K, share it. Lesson 12 shows how, and that the result is the same. On a GPU
(`device="cuda"`) thousands of networks share it.
"""

import copy
import inspect
import json
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from pathlib import Path

import torch
import torch.nn.functional as F

from lessonkit import ROOT
from lessonkit.devices import known_device
from lessonkit.interrupts import progress, stoppable
from lessonkit.layers import MLP, BatchNorm1d, Linear
from lessonkit.training import PIECE, SEED, Losses

FINE_MAPS = ROOT / "fine_maps.json"  # what tools/fine_map.py has computed
LARGEST_STACK = 16  # networks on a CPU; in a larger stack, each costs as much
LARGEST_EVALUATED = 1_024  # networks on a GPU
BATCH_SIZE = 32  # examples, as in helpers.train
CHUNK = 100  # steps whose minibatches are drawn in one go
WARM_UP = 3  # steps on a GPU before one is captured
TRIED = 16  # networks whose step shows how much of a GPU's memory one needs
SHARE = 0.4  # of a GPU's free memory for a stack, by that: a captured step holds as much again
# What a setting may have beside the network's options, and what it is otherwise.
OWN = {"lr": 0.1, "seed": SEED, "optimizer": "sgd", "weight_decay": 0.0}

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


def train_many(settings, steps, X, Y, symbols, *, device=None, dtype=None):
    """Train one network for each setting, as `helpers.train` would one by one. Returns a Run for each, in their order.

    settings: a list of dicts, each with keyword arguments of helpers.MLP; and with "lr", the learning rate, a number
    or a function of the step, "seed", "optimizer", and "weight_decay", if these are not to be those of OWN. The seed
    is that of the network's own generator, which draws its weights and then its minibatches: so nothing but the
    setting makes a difference. The optimizer is "sgd", "adam", or a class like SGD below. As in torch.optim.SGD, the
    weight decay times a parameter is added to its gradient; the losses are without it.
    X, Y: contexts, (N, block_size), and the next characters, (N,). symbols: of the vocabulary.
    device: where to train, such as "cuda"; the CPU, if None. dtype: torch.float64 instead of torch.float32. Weights and
    minibatches are drawn on the CPU in any case, so that runs compare across devices, and the networks end there.
    (On "mps" no step is captured, and nobody has tried it.)

    Networks of one shape are trained together: on a CPU up to LARGEST_STACK of them, on a GPU as many as its memory
    holds, and if that was too many, one half after the other. One that blows up does not touch the others. An
    interruption ends the training; all that was learned by then is in the runs.

    Raises ValueError if there are no settings or examples, if steps is below 1, if there is no such device, or for
    another dtype; and, naming the setting, for one that is no dict, has an unknown name, or cannot be drawn or stacked.
    Raises torch.OutOfMemoryError if one network alone is too large.
    """
    if not settings:
        raise ValueError("there are no settings: give a list of dicts, such as [dict(gain=1.0)].")
    if len(X) == 0:
        raise ValueError("there are no examples to train on.")
    if steps < 1:
        raise ValueError(f"steps is {steps}; it must be 1 or more.")
    if dtype not in (None, torch.float32, torch.float64):
        raise ValueError(f"dtype is {dtype}; it can be torch.float32 or torch.float64.")
    device = known_device(device)
    plants = [plant(place, setting, symbols) for place, setting in enumerate(settings)]
    X, Y = X.to(device), Y.to(device)
    waiting, groups = stacks_of(plants, partial(largest_stack, X=X, Y=Y, dtype=dtype)), 0
    with stoppable():
        todo = iter(progress(steps * len(waiting)))
        while waiting:
            places = waiting.pop(0)
            try:
                training = Training([plants[place] for place in places], steps, X, Y, dtype)
                train_stack(training, islice(todo, steps))
                groups += 1
            except torch.OutOfMemoryError:
                if len(places) == 1:
                    raise
                half = len(places) // 2
                waiting[:0] = places[:half], places[half:]
                todo = iter(progress(steps * len(waiting)))
    done = max(len(one.losses) for one in plants)
    print(f"{len(settings)} networks, trained together in groups: {groups}; steps: {done:,}")
    return [
        Run(setting, Losses(one.losses, steps), one.network)
        for setting, one in zip(settings, plants, strict=True)
    ]


def split(settings, symbols):
    """Which settings train_many trains together on a CPU: lists of their places.

    Settings are independent, so an engine such as joblib may spread these lists over processes or machines (the README
    shows it); each network then learns exactly what it learns in one process. Raises ValueError as train_many does.
    """
    plants = [plant(place, setting, symbols) for place, setting in enumerate(settings)]
    return stacks_of(plants, lambda _: LARGEST_STACK)


def evaluate_many(networks, X, Y, *, device=None):
    """For many networks of helpers.MLP what helpers.evaluate gives for one: the mean loss over all examples, in nats.

    Returns a list. Networks of one shape are evaluated together. X, Y, device: as for train_many.
    """
    if len(X) == 0:
        raise ValueError("there are no examples to evaluate.")
    device = known_device(device)
    X, Y = X.to(device), Y.to(device)
    largest = LARGEST_STACK if is_cpu(device) else LARGEST_EVALUATED
    losses = [math.nan] * len(networks)
    with torch.no_grad():
        for places in stacks_of([Plant(network) for network in networks], lambda _: largest):
            stack = Stack([networks[place] for place in places], device)
            stack.eval()
            pieces = zip(X.split(PIECE), Y.split(PIECE), strict=True)
            sums = [
                each_loss(stack, *(part.expand(len(places), *part.shape) for part in piece)).sum(1)
                for piece in pieces
            ]
            for place, total in zip(places, sum(sums).tolist(), strict=True):
                losses[place] = total / len(X)
    return losses


@dataclass(frozen=True)
class FineMap:
    """A map of many fields that tools/fine_map.py has computed: dev losses, in nats, over gains and something else.

    gains: of the columns. rows: depths, or learning rates. mean, error: the means over the seeds and their standard
    errors, (rows, gains); nan where a training has blown up. seeds, steps, width: of all its networks. made: on what
    device, with which versions, and when. seconds: how long that took.
    """

    gains: list
    rows: list
    mean: torch.Tensor
    error: torch.Tensor
    seeds: int
    steps: int
    width: int
    made: dict
    seconds: int

    def __str__(self):
        count = len(self.rows) * len(self.gains) * self.seeds
        on = f"on one {self.made['device']} with torch {self.made['torch']}, {self.made['date']}"
        return f"{count:,} networks, trained {on}"


def fine_map(name, path=FINE_MAPS):
    """The FineMap of this name: "plain" or "BatchNorm", over gains and depths, or "rates", over gains and rates.

    Raises ValueError if there is no such map, and FileNotFoundError if there is no file.
    """
    saved = json.loads(Path(path).read_text(encoding="utf-8"))
    if name not in saved["maps"]:
        raise ValueError(f"{path} has no map {name!r}; it has {', '.join(saved['maps'])}.")
    one = saved["maps"][name]
    mean, error = (
        torch.tensor([[math.nan if x is None else x for x in row] for row in one[table]])
        for table in ("mean", "error")
    )
    common = {key: saved[key] for key in ("gains", "seeds", "steps", "width", "made")}
    return FineMap(rows=one["rows"], mean=mean, error=error, seconds=one["seconds"], **common)


@dataclass
class Plant:
    """A network in training: what it is trained with, and its losses so far, in nats."""

    network: MLP
    generator: torch.Generator | None = None
    lr: float | Callable = OWN["lr"]
    optimizer: str | type = OWN["optimizer"]
    weight_decay: float = OWN["weight_decay"]
    losses: list = field(default_factory=list)


def plant(place, setting, symbols):
    """The Plant of the setting at this place of the list. Raises ValueError that names it."""
    if not isinstance(setting, dict):
        raise ValueError(
            f"setting {place} is {setting!r}; it must be a dict, such as dict(gain=1.0)."
        )
    options = OWN | setting
    lr, seed, optimizer, weight_decay = (options.pop(name) for name in OWN)
    if unknown := options.keys() - set(OPTIONS):
        known = ", ".join([*OPTIONS, *OWN])
        raise ValueError(f"setting {place} has {sorted(unknown)[0]!r}; what can be set is {known}.")
    if not callable(lr) and (not isinstance(lr, int | float) or not 0 < lr < math.inf):
        raise ValueError(
            f"setting {place} has the learning rate {lr!r}; it must be a positive number."
        )
    if not isinstance(optimizer, type) and optimizer not in OPTIMIZERS:
        known = ", ".join(OPTIMIZERS)
        raise ValueError(
            f"setting {place} has the optimizer {optimizer!r}; there are {known}, or give a class."
        )
    if not isinstance(weight_decay, int | float) or not 0 <= weight_decay < math.inf:
        raise ValueError(
            f"setting {place} has the weight decay {weight_decay!r}; it must be a number, 0 or more."
        )
    try:
        generator = torch.Generator().manual_seed(seed)
        network = MLP(generator, symbols, **options)
    except (TypeError, ValueError, RuntimeError) as error:
        raise ValueError(f"setting {place}, {setting}: {error}") from error
    for layer in network.layers:
        if type(layer) not in STACKED and layer.parameters():
            kind = type(layer).__name__
            raise ValueError(f"setting {place}: {kind} has parameters, and cannot be stacked.")
    return Plant(network, generator, lr, optimizer, weight_decay)


def stacks_of(plants, largest):
    """The places of the networks that are trained together: lists, each as long as largest(the plants of one shape)."""
    shapes = {}
    for place, one in enumerate(plants):
        layers, parameters = one.network.layers, one.network.parameters()
        shape = (one.optimizer, *map(type, layers), *(p.shape for p in parameters))
        shapes.setdefault(shape, []).append(place)
    stacks = []
    for places in shapes.values():
        size = largest([plants[place] for place in places])
        stacks += [places[start : start + size] for start in range(0, len(places), size)]
    return stacks


def largest_stack(plants, X, Y, dtype):
    """How many networks like these fit together on the device of X and Y: on a GPU by what a step of some needs."""
    if not X.is_cuda:
        return LARGEST_STACK
    if len(plants) <= TRIED:
        return TRIED
    before = torch.cuda.memory_allocated(X.device)
    torch.cuda.reset_peak_memory_stats(X.device)
    Training(plants[:TRIED], 1, X, Y, dtype).step()
    needed = torch.cuda.max_memory_allocated(X.device) - before
    torch.cuda.empty_cache()
    free, _ = torch.cuda.mem_get_info(X.device)
    return max(1, int(SHARE * free / needed * TRIED))


def train_stack(training, todo):
    """Make a step of the Training for each item of `todo`, and put what was learned into the networks.

    An interruption is passed on when that is done.
    """
    step = step_of(training)
    try:
        for _ in todo:
            step()
    except KeyboardInterrupt:
        training.hand_over()
        raise
    training.hand_over()


def step_of(training):
    """What makes the next step of a Training, as fast as its device can."""
    return Captured(training).step if training.X.is_cuda else training.step


class Training:
    """K networks of one shape in training together, on the device of X and Y.

    What a step needs from the CPU stands in tables that have a row for each of the next CHUNK steps: `drawn`, the
    minibatches of each of G generators, (CHUNK, G, BATCH_SIZE), and `lrs`, (CHUNK, K). A step leaves a row of
    `losses`, (CHUNK, K). steps: how many there will be.
    """

    def __init__(self, plants, steps, X, Y, dtype=None):
        self.plants, self.steps, self.X, self.Y = plants, steps, X, Y
        self.stack = Stack([one.network for one in plants], X.device, dtype)
        optimizer = plants[0].optimizer
        self.optimizer = OPTIMIZERS.get(optimizer, optimizer)(self.stack.parameters())
        self.batches = Batches([one.generator for one in plants], len(X))
        self.functions = {k: one.lr for k, one in enumerate(plants) if callable(one.lr)}
        numbers = [0.0 if callable(one.lr) else one.lr for one in plants]
        like_weights = {"dtype": self.stack.C.dtype, "device": X.device}
        self.lrs = torch.tensor(numbers, **like_weights).repeat(CHUNK, 1)
        self.losses = torch.zeros((CHUNK, len(plants)), **like_weights)
        self.decays = None  # or (K, 1, 1)
        if any(one.weight_decay for one in plants):
            decays = [one.weight_decay for one in plants]
            self.decays = torch.tensor(decays, **like_weights).view(-1, 1, 1)
        self.rows = self.batches.rows.to(X.device)
        self.drawn = torch.zeros(
            (CHUNK, len(self.batches.generators), BATCH_SIZE), dtype=int, device=X.device
        )
        self.done = self.kept = 0
        for one in plants:
            one.losses.clear()  # of an attempt for which there was not enough memory

    def step(self):
        """The next step, for all networks."""
        self.compute(self.next_row())
        self.done += 1

    def next_row(self):
        """The row of the next step. Fills the tables when they are used up."""
        row = self.done % CHUNK
        if row == 0:
            self.keep_losses()
            rows = min(CHUNK, self.steps - self.done)
            self.drawn[:rows] = self.batches.ahead(rows).to(self.drawn.device)
            for k, lr in self.functions.items():
                self.lrs[:rows, k] = torch.tensor([lr(self.done + ahead) for ahead in range(rows)])
        return row

    def compute(self, row):
        """The step of this row of the tables: a number, or a tensor of one number on the device."""
        batch = self.drawn[row].view(-1, BATCH_SIZE)[self.rows]  # (K, N)
        losses = gradients(self.stack, self.X[batch], self.Y[batch])
        if self.decays is not None:
            for p in self.stack.parameters():
                p.grad.addcmul_(self.decays, p.detach())
        self.optimizer.step(self.lrs[row].view(-1, 1, 1))
        self.losses[row] = losses

    def keep_losses(self):
        """Give the losses since the last time to the plants."""
        since = self.losses[: self.done - self.kept].T.tolist()
        for one, losses in zip(self.plants, since, strict=True):
            one.losses[self.kept :] = losses
        self.kept = self.done

    def hand_over(self):
        """Put what was learned into the networks and their losses into the plants."""
        self.keep_losses()
        self.stack.unstack()


class Captured:
    """A Training's steps on a GPU: after WARM_UP of them one is captured as a CUDA graph, and then replayed.

    So the CPU launches a step's some hundred operations at once. The graph finds its row of the tables on the device.
    """

    def __init__(self, training):
        self.training, self.graph = training, None
        self.stream = torch.cuda.Stream(training.X.device)
        self.row = torch.zeros(1, dtype=int, device=training.X.device)

    def step(self):
        with torch.cuda.device(self.row.device):
            if self.training.next_row() == 0:
                self.row.zero_()
            if self.training.done < WARM_UP:
                self.warm_up()
            else:
                self.graph = self.graph or self.capture()
                self.graph.replay()
        self.training.done += 1

    def compute(self):
        self.training.compute(self.row)
        self.row += 1

    def warm_up(self):
        """A step that is made at once, on the stream that will be captured."""
        self.stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(self.stream):
            self.compute()
        torch.cuda.current_stream().wait_stream(self.stream)

    def capture(self):
        """The graph of a step, which is not made by that."""
        torch.cuda.empty_cache()
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph, stream=self.stream):
            self.compute()
        return graph


class Batches:
    """Draws the minibatches of K networks of one shape, as places among the `count` examples.

    Generators in the same state, that is of the same seed, draw the same: only one of them does it. `rows`, (K,), says
    which of the G that are left is a network's. They are copies: the generators stay as they are.
    """

    def __init__(self, generators, count):
        states = [bytes(generator.get_state().numpy()) for generator in generators]
        first = {state: place for place, state in reversed(list(enumerate(states)))}
        self.generators = [generators[place].clone_state() for place in first.values()]
        row = {state: number for number, state in enumerate(first)}
        self.rows = torch.tensor([row[state] for state in states])
        self.count = count

    def __call__(self):
        """The minibatch of each network for the next step, (K, BATCH_SIZE)."""
        return self.ahead(1)[0][self.rows]

    def ahead(self, steps):
        """Those of the next steps, drawn in one go and each once, (steps, G, BATCH_SIZE)."""
        shape = (steps, BATCH_SIZE)
        drawn = [torch.randint(0, self.count, shape, generator=g) for g in self.generators]
        return torch.stack(drawn, 1)


def gradients(stack, X, Y):
    """Give each network of a stack the gradients of its own loss. Returns the losses, (K,).

    X: (K, N, block_size), Y: (K, N).
    """
    losses = each_loss(stack, X, Y).mean(1)
    for p in stack.parameters():
        p.grad = None
    losses.sum().backward()  # no network's numbers are in another one's loss: each gets its own gradient
    return losses.detach()


def each_loss(stack, X, Y):
    """The loss of each network for each of its examples: (K, N)."""
    logits = stack(X)  # (K, N, symbols)
    each = F.cross_entropy(logits.flatten(0, 1), Y.flatten(), reduction="none")
    return each.view(len(logits), -1)


class SGD:
    """Plain gradient descent of a stack's parameters, each with K networks as its first of three dimensions.

    Another optimizer is a class with the same two methods. Its `step` changes `p.data` by `p.grad`, of the same shape,
    number by number, or with sums over the last two dimensions: then a network learns what it would alone.
    """

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
        if parameters[0].is_cuda:  # a captured step must find their number on the device
            self.steps = torch.zeros((), dtype=torch.float64, device=parameters[0].device)
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

    def __init__(self, layers, place):
        self.layers = layers
        self.weight = place([layer.weight for layer in layers])  # (K, fan_in, fan_out)
        self.bias = None
        if layers[0].bias is not None:
            self.bias = place([layer.bias[None] for layer in layers])  # (K, 1, fan_out)

    def __call__(self, x):
        if self.bias is None:
            return torch.bmm(x, self.weight)
        return torch.baddbmm(self.bias, x, self.weight)

    def parameters(self):
        return [self.weight] if self.bias is None else [self.weight, self.bias]

    def unstack(self):
        unstack(self.weight, [layer.weight for layer in self.layers])
        if self.bias is not None:
            unstack(self.bias, [layer.bias for layer in self.layers])


class StackedBatchNorm1d:
    """K layers of helpers.BatchNorm1d at once. All units of x, (K, N, dim), stand in one table for it."""

    training = True

    def __init__(self, layers, place):
        self.layers, self.eps, self.momentum = layers, layers[0].eps, layers[0].momentum
        self.weight = place([layer.weight[None] for layer in layers])  # (K, 1, dim)
        self.bias = place([layer.bias[None] for layer in layers])
        self.running_mean = place([layer.running_mean for layer in layers]).detach()  # (K, dim)
        self.running_var = place([layer.running_var for layer in layers]).detach()

    def __call__(self, x):
        K, N, dim = x.shape
        table = x.transpose(0, 1).reshape(N, K * dim)
        running = self.running_mean.view(-1), self.running_var.view(-1)
        learned = self.weight.view(-1), self.bias.view(-1)
        out = F.batch_norm(table, *running, *learned, self.training, self.momentum, self.eps)
        return out.view(N, K, dim).transpose(0, 1)

    def parameters(self):
        return [self.weight, self.bias]

    def unstack(self):
        unstack(self.weight, [layer.weight for layer in self.layers])
        unstack(self.bias, [layer.bias for layer in self.layers])
        means, variances = self.running_mean.cpu(), self.running_var.cpu()
        for k, layer in enumerate(self.layers):
            layer.running_mean, layer.running_var = means[k].clone(), variances[k].clone()


STACKED = {Linear: StackedLinear, BatchNorm1d: StackedBatchNorm1d}


class Stack:
    """K networks of one shape as one: contexts X, (K, N, block_size), to logits, (K, N, symbols).

    networks: K of helpers.MLP that differ in their numbers alone. Here these are on the device of X, and of this
    dtype; `unstack` puts them back into the networks, on the CPU.
    """

    def __init__(self, networks, device=None, dtype=None):
        self.networks = networks
        place = partial(stacked, device=device, dtype=dtype)
        self.C = place([network.C for network in networks])  # (K, symbols, 10)
        self.layers = []
        for same in zip(*(network.layers for network in networks), strict=True):
            stack_of = STACKED.get(type(same[0]))  # a tanh has no numbers: any one will do
            self.layers.append(stack_of(same, place) if stack_of else copy.copy(same[0]))

    def __call__(self, X):
        x = self.embed(X).flatten(2)
        for layer in self.layers:
            x = layer(x)
        return x

    def embed(self, X):
        """Each network's embeddings of its own contexts: (K, N, block_size, 10)."""
        K, symbols, size = self.C.shape
        if is_cpu(X.device):
            # In C as one table, (K * symbols, 10), each network's rows stand behind those of the one before.
            rows = X + symbols * torch.arange(K)[:, None, None]
            return F.embedding(rows, self.C.view(-1, size))
        # The same as a product with one-hot rows: on a GPU a look-up's gradient would be summed in a random order.
        one_hot = X.flatten(1)[:, :, None] == torch.arange(symbols, device=X.device)
        return torch.bmm(one_hot.to(self.C.dtype), self.C).view(*X.shape, size)

    def parameters(self):
        return [self.C, *(p for layer in self.layers for p in layer.parameters())]

    def eval(self):
        """Normalize by the running statistics from now on."""
        for layer in self.layers:
            layer.training = False

    def unstack(self):
        unstack(self.C, [network.C for network in self.networks])
        for layer in self.layers:
            if hasattr(layer, "unstack"):
                layer.unstack()


def is_cpu(device):
    return device.type == "cpu"


def stacked(tensors, device=None, dtype=None):
    """Equal shapes to one tensor with a new first dimension, there and of this type, which asks for gradients."""
    together = torch.stack([tensor.detach() for tensor in tensors])
    return together.to(device=device, dtype=dtype).requires_grad_()


def unstack(together, tensors):
    """Give each of K tensors its own numbers, in its own shape, of a stacked tensor: a copy on the CPU."""
    for tensor, numbers in zip(tensors, together.detach().cpu(), strict=True):
        tensor.data = numbers.reshape(tensor.shape).clone()
