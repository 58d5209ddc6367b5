"""Ten optimizers by hand (lesson 14), and how large their updates are: all for stacks of networks of sweep.py.

Each is a class that `sweep.train_many` takes as a setting's "optimizer": made from a list of parameters, with gradients in
`p.grad`. `step(lrs)` changes each `p.data` in place. lrs: a number, or the learning rates of K networks, (K, 1, 1), for
parameters of three dimensions that have the K networks as their first. What each does stands in the paper named in
its docstring; constants are torch's where torch has the optimizer.

Two of them need more than the gradient, and say so by a method `observe`: Eve the loss, and EquilibratedSGD the graph of
the loss. `train_observed` trains with them.
"""

import torch

import sweep
from lessonkit.interrupts import progress, stoppable
from lessonkit.training import Losses


class Optimizer:
    """What all share: the parameters, the number of steps, and tensors of zeros for what is remembered."""

    def __init__(self, parameters):
        self.parameters, self.steps = list(parameters), 0

    def zeros(self):
        """A tensor of zeros for each parameter."""
        return [torch.zeros_like(p, requires_grad=False) for p in self.parameters]


class Momentum(Optimizer):
    """Steps along a sum of the gradients so far, of which each step forgets a tenth; torch.optim.SGD(momentum=0.9).

    B. Polyak, 1964: Some methods of speeding up the convergence of iteration methods.
    """

    keep = 0.9

    def __init__(self, parameters):
        super().__init__(parameters)
        self.velocities = self.zeros()

    def step(self, lrs):
        for p, velocity in zip(self.parameters, self.velocities, strict=True):
            velocity.mul_(self.keep).add_(p.grad)
            p.data -= lrs * velocity


class Nesterov(Momentum):
    """Momentum that looks one step ahead; torch.optim.SGD(momentum=0.9, nesterov=True). Y. Nesterov, 1983.

    In the form of Sutskever and others 2013 (On the importance of initialization and momentum in deep learning).
    """

    def step(self, lrs):
        for p, velocity in zip(self.parameters, self.velocities, strict=True):
            velocity.mul_(self.keep).add_(p.grad)
            p.data -= lrs * (p.grad + self.keep * velocity)


class AdaGrad(Optimizer):
    """Divides by the root of the sum of all squared gradients so far; torch.optim.Adagrad.

    J. Duchi, E. Hazan and Y. Singer, 2011: Adaptive subgradient methods for online learning.
    """

    eps = 1e-10

    def __init__(self, parameters):
        super().__init__(parameters)
        self.squares = self.zeros()

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

    The learning rates of the first step are the first sizes, and those of later steps have no effect. M. Riedmiller and
    H. Braun, 1993: A direct adaptive method for faster backpropagation learning.
    """

    shrink, grow, smallest, largest = 0.5, 1.2, 1e-6, 50

    def __init__(self, parameters):
        super().__init__(parameters)
        self.before, self.sizes = self.zeros(), self.zeros()

    def step(self, lrs):
        self.steps += 1
        for p, before, size in zip(self.parameters, self.before, self.sizes, strict=True):
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

    def __init__(self, parameters):
        super().__init__(parameters)
        self.means, self.squares = self.zeros(), self.zeros()

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
        self.squares, self.products = self.zeros(), 0
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

    settings: as there, all with the same optimizer and shape of network; on a CPU, as one stack. Returns a sweep.Run each.
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
        stacks = []  # one list of records for each stack of networks, in the order of their training

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

    Watched.__name__, Watched.__qualname__ = optimizer.__name__, optimizer.__qualname__
    return Watched


def update_ratios(optimizer):
    """What a `watched` optimizer has recorded: std(update) / std(weight), (networks, records, matrices).

    The matrices stand in the order of `helpers.MLP.weights`. The networks stand in the order of the settings, if these are
    of one shape. Of networks that were stopped, only as many records as all have.
    """
    records = min(map(len, optimizer.stacks))
    stacks = [torch.stack(stack[:records]) for stack in optimizer.stacks]  # (records, matrices, K)
    return torch.cat(stacks, 2).permute(2, 0, 1)


def with_constants(optimizer, **constants):
    """The same optimizer as a new class with other constants, such as keep=0.5. Raises ValueError for an unknown one."""
    for name in constants:
        if not hasattr(optimizer, name):
            raise ValueError(f"{optimizer.__name__} has no constant {name!r}.")
    return type(optimizer.__name__, (optimizer,), constants)
