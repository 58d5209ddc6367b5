"""Ten optimizers by hand (lesson 14), and how large their updates are: all for stacks of networks of sweep.py.

Each is a class that `sweep.train_many` takes as a setting's "optimizer": made from a list of parameters, with gradients
in `p.grad`. `step(lrs)` changes each `p.data` in place. lrs: a number, or the learning rates of K networks, (K, 1, 1),
for parameters of three dimensions that have the K networks as their first. What each does stands in the paper named in
its docstring; constants are torch's where torch has the optimizer.

Two of them need more than the gradient, and say so by a method `observe`: Eve the loss, and EquilibratedSGD the
graph of the loss. `train_observed` trains with them.
"""

import torch

import sweep
from lessonkit.interrupts import progress, stoppable
from lessonkit.training import Losses


class Optimizer:
    """What all share. parameters: a list of tensors, for each of which `means` and `squares` have one of zeros.

    What an optimizer remembers of the gradient is kept in `means`, of its square in `squares`. steps: how many it made.
    """

    def __init__(self, parameters):
        self.parameters, self.steps = list(parameters), 0
        self.means, self.squares = (
            [torch.zeros_like(p, requires_grad=False) for p in self.parameters] for _ in range(2)
        )


class Momentum(Optimizer):
    """Steps along a sum of the gradients so far, of which each step forgets a tenth; torch.optim.SGD(momentum=0.9).

    B. Polyak, 1964: Some methods of speeding up the convergence of iteration methods.
    """

    keep = 0.9

    def step(self, lrs):
        for p, velocity in zip(self.parameters, self.means, strict=True):
            velocity.mul_(self.keep).add_(p.grad)
            p.data -= lrs * velocity


class Nesterov(Momentum):
    """Momentum that looks one step ahead; torch.optim.SGD(momentum=0.9, nesterov=True). Y. Nesterov, 1983.

    In the form of Sutskever and others 2013 (On the importance of initialization and momentum in deep learning).
    """

    def step(self, lrs):
        for p, velocity in zip(self.parameters, self.means, strict=True):
            velocity.mul_(self.keep).add_(p.grad)
            p.data -= lrs * (p.grad + self.keep * velocity)


class AdaGrad(Optimizer):
    """Divides by the root of the sum of all squared gradients so far; torch.optim.Adagrad.

    J. Duchi, E. Hazan and Y. Singer, 2011: Adaptive subgradient methods for online learning.
    """

    eps = 1e-10

    def step(self, lrs):
        for p, square in zip(self.parameters, self.squares, strict=True):
            square.addcmul_(p.grad, p.grad)
            p.data -= lrs * p.grad / (square.sqrt() + self.eps)


class RMSProp(AdaGrad):
    """Divides by the root of a running mean of the squared gradients; torch.optim.RMSprop.

    T. Hinton, 2012: lecture 6e of Neural networks for machine learning. `keep` is torch's `alpha`.
    """

    keep, eps = 0.99, 1e-8

    def step(self, lrs):
        for p, square in zip(self.parameters, self.squares, strict=True):
            square.mul_(self.keep).addcmul_(p.grad, p.grad, value=1 - self.keep)
            p.data -= lrs * p.grad / (square.sqrt() + self.eps)


class RProp(Optimizer):
    """Each number has a step size of its own: it grows while the gradient keeps its sign; torch.optim.Rprop.

    The learning rates of the first step are the first sizes, and those of later steps have no effect. (`means` has the
    gradients of the step before, `squares` the sizes.) M. Riedmiller and
    H. Braun, 1993: A direct adaptive method for faster backpropagation learning.
    """

    shrink, grow, smallest, largest = 0.5, 1.2, 1e-6, 50

    def step(self, lrs):
        self.steps += 1
        for p, before, size in zip(self.parameters, self.means, self.squares, strict=True):
            if self.steps == 1:
                size.add_(lrs)
            same = (p.grad * before).sign()
            factor = torch.where(same > 0, self.grow, torch.where(same < 0, self.shrink, 1.0))
            size.mul_(factor).clamp_(self.smallest, self.largest)
            before.copy_(torch.where(same < 0, 0.0, p.grad))
            p.data -= before.sign() * size


class Adam(Optimizer):
    """Momentum over the root of the mean square, both unbiased; torch.optim.Adam.

    D. Kingma and J. Ba, 2014, arXiv 1412.6980, algorithm 1.
    """

    keep, keep_squares, eps = 0.9, 0.999, 1e-8

    def directions(self):
        """For each parameter the unbiased mean of the gradient over the root of that of its square."""
        self.steps += 1
        for p, mean, square in zip(self.parameters, self.means, self.squares, strict=True):
            mean.lerp_(p.grad, 1 - self.keep)
            square.mul_(self.keep_squares).addcmul_(p.grad, p.grad, value=1 - self.keep_squares)
            unbiased = square / (1 - self.keep_squares**self.steps)
            yield p, mean / (1 - self.keep**self.steps) / (unbiased.sqrt() + self.eps)

    def step(self, lrs):
        for p, direction in self.directions():
            p.data -= lrs * direction


class AdamW(Adam):
    """Adam, and each step shortens the weights by lr · decay; torch.optim.AdamW.

    I. Loshchilov and F. Hutter, 2017, arXiv 1711.05101.
    """

    decay = 0.01

    def step(self, lrs):
        for p, direction in self.directions():
            p.data -= lrs * (direction + self.decay * p.data)


class LAMB(Adam):
    """Adam's direction for each matrix, made as long as the matrix times lr.

    Lengths are norms over the last two dimensions. Where a parameter or its direction is 0, the direction is taken
    as it is. Without weight decay, unless `decay` is set. Y. You and others, 2019, arXiv 1904.00962, algorithm 2.
    """

    eps, decay = 1e-6, 0.0

    def step(self, lrs):
        for p, direction in self.directions():
            direction = direction + self.decay * p.data
            length, own = (x.norm(dim=(-2, -1), keepdim=True) for x in (p.data, direction))
            trust = torch.where((length > 0) & (own > 0), length / own, 1.0)
            p.data -= lrs * trust * direction


class Eve(Adam):
    """Adam with a rate that falls where the loss jumps about, and grows where it changes slowly. For `train_observed`.

    lr / d, where d is a running mean of |loss - loss before| / (the smaller of the two, less `best`), each kept
    between 1 / limit and limit. H. Hayashi, J. Koushik and G. Neubig, 2016, arXiv 1611.01505.
    """

    keep_changes, limit, best = 0.999, 10.0, 0.0

    def __init__(self, parameters):
        super().__init__(parameters)
        self.loss, self.d = None, 1.0

    def observe(self, losses):
        """losses: those of this step, before it, (K,)."""
        now = losses.detach().view(-1, 1, 1)
        if self.loss is not None:
            change = (now - self.loss).abs() / (torch.minimum(now, self.loss) - self.best)
            change = change.clamp(1 / self.limit, self.limit)
            self.d = self.keep_changes * self.d + (1 - self.keep_changes) * change
        self.loss = now

    def step(self, lrs):
        for p, direction in self.directions():
            p.data -= lrs / self.d * direction


class EquilibratedSGD(Optimizer):
    """Divides by the root mean square of the Hessian's products with random vectors. For `train_observed`.

    For a vector v of independent standard normal numbers, the mean of (Hv)² is the sum of the squares of a row of H.
    Y. Dauphin, H. de Vries and Y. Bengio, 2015, arXiv 1502.04390, algorithm 1; `every` 20 steps there are new products.
    """

    every, damping = 20, 1e-2

    def __init__(self, parameters):
        super().__init__(parameters)
        self.products = 0
        self.generator = torch.Generator().manual_seed(1)

    def observe(self, losses):
        """losses: of this step, (K,), with their graph. Adds a squared product every so many steps."""
        if self.steps % self.every == 0:
            self.products += 1
            vectors = [torch.randn(p.shape, generator=self.generator) for p in self.parameters]
            products = hessian_products(losses.sum(), self.parameters, vectors)
            for square, product in zip(self.squares, products, strict=True):
                square.addcmul_(product, product)

    def step(self, lrs):
        self.steps += 1
        for p, square in zip(self.parameters, self.squares, strict=True):
            p.data -= lrs * p.grad / ((square / self.products).sqrt() + self.damping)


def hessian_products(loss, parameters, vectors):
    """The product of the loss's Hessian with a vector: a list of tensors like the parameters.

    loss: a number with its graph, which is kept. vectors: the vector, in tensors like the parameters.
    """
    gradients = torch.autograd.grad(loss, parameters, create_graph=True)
    along = sum((g * v).sum() for g, v in zip(gradients, vectors, strict=True))
    return torch.autograd.grad(along, parameters, retain_graph=True)


def train_observed(settings, steps, X, Y, symbols):
    """sweep.train_many for optimizers with a method `observe`, which gets the step's losses, (K,), before each step.

    settings: as there, all with the same optimizer and shape of network; on a CPU, as one stack. Returns a sweep.Run
    for each.
    """
    plants = [sweep.plant(place, setting, symbols) for place, setting in enumerate(settings)]
    training = sweep.Training(plants, steps, X, Y)
    observe = getattr(training.optimizer, "observe", lambda losses: None)
    with stoppable():
        for _ in progress(steps):
            row = training.next_row()
            batch = training.drawn[row].view(-1, sweep.BATCH_SIZE)[training.rows]
            observe(sweep.each_loss(training.stack, X[batch], Y[batch]).mean(1))
            training.compute(row)
            training.done += 1
    training.hand_over()
    return [
        sweep.Run(setting, Losses(one.losses, steps), one.network)
        for setting, one in zip(settings, plants, strict=True)
    ]


# ---------------------------------------------------------------- Update:data


def watched(optimizer, every=10):
    """The same optimizer as a new class, which records update:data as it trains: see `update_ratios`.

    every: the steps from one record to the next, from step 0 on.
    """

    class Watched(optimizer):
        def __init__(self, parameters):
            super().__init__(parameters)
            self.matrices = [p for p in self.parameters if min(p.shape[1:]) > 1]
            self.taken, self.records = 0, []
            self.stacks.append(self.records)

        def step(self, lrs):
            if self.taken % every:
                super().step(lrs)
            else:
                before = [p.detach().clone() for p in self.matrices]
                super().step(lrs)
                pairs = zip(before, self.matrices, strict=True)
                ratios = [(p.detach() - old).std((1, 2)) / old.std((1, 2)) for old, p in pairs]
                self.records.append(torch.stack(ratios))
            self.taken += 1

    Watched.stacks = []  # a list of records for each stack of networks, in the order of their training
    Watched.__name__, Watched.__qualname__ = optimizer.__name__, optimizer.__qualname__
    return Watched


def update_ratios(optimizer, networks):
    """What a `watched` optimizer has recorded: std(update) / std(weight), (networks, records, matrices).

    networks: how many were to be trained, all of one shape; they stand in the order of the settings. The matrices stand
    in that of `helpers.MLP.weights`. If the training was stopped, there are as many records as all that had begun have,
    and nan for the other networks.
    """
    begun = [stack for stack in optimizer.stacks if stack]
    records = min(map(len, begun), default=1)
    ratios = torch.full((networks, records, len(MATRICES)), torch.nan)
    if begun:
        stacks = [torch.stack(stack[:records]) for stack in begun]  # (records, matrices, K)
        recorded = torch.cat(stacks, 2).permute(2, 0, 1)
        ratios = torch.full((networks, *recorded.shape[1:]), torch.nan)
        ratios[: len(recorded)] = recorded
    return ratios


def std_of_weights(networks):
    """The std of each matrix of networks of helpers.MLP, mean over the networks: (matrices,)."""
    stds = [[w.detach().std() for w in network.weights.values()] for network in networks]
    return torch.tensor(stds).mean(0)


def with_constants(optimizer, **constants):
    """The optimizer as a new class with other constants, such as keep=0.5. Raises ValueError for an unknown one."""
    for name in constants:
        if not hasattr(optimizer, name):
            raise ValueError(f"{optimizer.__name__} has no constant {name!r}.")
    return type(optimizer.__name__, (optimizer,), constants)


# ---------------------------------------------------------------- Pictures

MATRICES = [
    "embedding",
    "1",
    "2",
    "3",
    "4",
    "5",
    "output",
]  # of helpers.MLP with five hidden layers


def plot_by_layer(axes, ratios, title):
    """Draw update:data of each matrix at the first record, and its mean over the second half of the records.

    ratios: of `update_ratios`, for networks of one setting, (networks, records, 7). Returns both, (7,) each.
    """
    first, late = ratios[:, 0].mean(0), ratios[:, ratios.shape[1] // 2 :].mean((0, 1))
    axes.plot(MATRICES, first, "o", color="C1", label="step 0")
    axes.plot(MATRICES, late, "s", color="C0", label="second half")
    axes.set(title=title, yscale="log", xlabel="matrix", ylabel="std of update / of weight")
    axes.legend()
    return first, late


def in_second_half(ratios):
    """Update:data of the hidden layers, its geometric mean over the second half of the records and all networks.

    ratios: of `update_ratios`, for networks of one setting, (networks, records, 7).
    """
    return ratios[:, ratios.shape[1] // 2 :, 1:6].log().mean().exp()


def edges(values):
    """The borders between fields, one more than these values, halfway between them on a logarithmic scale."""
    logs = torch.as_tensor(values, dtype=torch.float64).log()
    middles = (logs[1:] + logs[:-1]) / 2
    ends = 2 * logs[:1] - middles[:1], 2 * logs[-1:] - middles[-1:]
    return torch.cat([ends[0], middles, ends[1]]).exp()


def train_momenta(network, momenta, rates, steps, data, examples=4_000, seeds=(1, 2)):
    """Dev losses of networks trained with Momentum, (momenta, rates): on so many examples, mean over the seeds.

    network: options of helpers.MLP. rates: a tensor of learning rates. data: of helpers.load_splits.
    """
    runs = []
    for momentum in momenta:
        one = network | {"optimizer": with_constants(Momentum, keep=momentum)}
        settings = [one | {"lr": lr, "seed": seed} for lr in rates.tolist() for seed in seeds]
        runs += sweep.train_many(settings, steps, *data.train, len(data.stoi))
    dev = [part[:examples] for part in data.dev]
    losses = torch.tensor(sweep.evaluate_many([run.network for run in runs], *dev))
    return losses.view(len(momenta), len(rates), len(seeds)).mean(2)


def bowl_distances(roll, momenta, rates):
    """How far from the bottom `roll` ends, for each momentum and rate: (momenta, rates). What has blown up is 1e9."""
    ends = roll(torch.as_tensor(rates)[:, None], torch.tensor(momenta)[:, None, None])[-1]
    return ends.norm(dim=2).nan_to_num(1e9).clamp(1e-9, 1e9)


def draw_momentum(roll, curvatures, momenta, rates, losses, figure):
    """A path down a bowl, and two maps over learning rate and momentum; returns `update`.

    As helpers.Panel wants it, once all but the figure is given (functools.partial). roll: from a learning rate and a
    momentum to the places, a list of tensors (2,), or of (momenta, rates, 2). curvatures: of the bowl, (2,). losses:
    those of `train_momenta`, (momenta, rates), for the second map.
    """
    fine = torch.logspace(-2.7, 0.7, 60)
    bowl_map = fine, momenta, bowl_distances(roll, momenta, fine).log10()
    names_map = rates, momenta, losses
    path_axes, *map_axes = figure.subplots(1, 3)
    small, large = curvatures.tolist()
    angles = torch.linspace(0, 2 * torch.pi, 100)
    for height in (0.2, 1, 3, 7, 13):
        x, y = ((2 * height / one) ** 0.5 for one in (small, large))
        path_axes.plot(x * angles.cos(), y * angles.sin(), color="0.75", linewidth=0.8)
    (path,) = path_axes.plot([], [], ".-", color="C0", markersize=3, linewidth=0.8)
    path_axes.set(
        title=f"A bowl, condition number {large / small:.0f}", xlabel="x", ylabel="y, stretched"
    )
    path_axes.set(xlim=(-12, 12), ylim=(-3, 3))
    marks = []
    titles = "Bowl: distance left (powers of 10)", "Names: dev loss"
    for axes, (rates, momenta, values), title in zip(
        map_axes, (bowl_map, names_map), titles, strict=True
    ):
        memories = [1 / (1 - momentum) for momentum in momenta]
        names = axes is map_axes[1]
        limits = {"vmin": 2.4, "vmax": 3.0} if names else {"vmin": -6, "vmax": 2}
        image = axes.pcolormesh(
            edges(rates).numpy(),
            edges(memories).numpy(),
            values.numpy(),
            cmap="viridis_r",
            **limits,
        )
        axes.set(xscale="log", yscale="log", title=title, xlabel="learning rate")
        axes.set_yticks(memories, [f"{momentum:g}" for momentum in momenta])
        axes.minorticks_off()
        axes.grid(visible=False)
        figure.colorbar(image, ax=axes)
        marks += axes.plot([], [], "o", color="red", markersize=9, markerfacecolor="none", mew=2)
        memory = torch.tensor(memories)
        line = (0.2 / memory) if names else (2 * (2 - 1 / memory) / large)
        axes.plot(line, memory, color="red", linestyle=":" if names else "-", linewidth=1.5)
    map_axes[0].set_ylabel("momentum")

    def update(lr, momentum):
        places = torch.stack(roll(lr, momentum)).nan_to_num(1e3).clamp(-1e3, 1e3)
        path.set_data(*places.T)
        for mark in marks:
            mark.set_data([lr], [1 / (1 - momentum)])
        column = min(range(len(rates)), key=lambda k: abs(rates[k] / lr - 1))
        loss, left = losses[list(momenta).index(momentum)][column].item(), places[-1].norm().item()
        limit = 2 * (1 + momentum) / large
        said = f"{left:.2g} is left of the distance" if left < 8 else "it does not come closer"
        return (
            f"Bowl: after {len(places) - 1} steps {said}; it diverges above lr {limit:.2f}. "
            f"Names: lr / (1 − momentum) is {lr / (1 - momentum):.2g}, dev loss {loss:.2f}."
        )

    return update
