"""Networks that are kept from learning their examples by heart (lesson 15): many of them, trained side by side.

All have the shape of part one's network: an embedding, one hidden layer of tanh units, an output layer. A setting may
give each of them a penalty on its weights, dropout, a rate of its own; see `train_many`. Losses are in nats.
"""

import copy
import math
from dataclasses import dataclass
from itertools import islice

import matplotlib.pyplot as plt
import numpy as np
import torch
import torch.nn.functional as F
from matplotlib.ticker import LogLocator

import sweep
from lessonkit.interrupts import progress, stoppable
from lessonkit.layers import MLP, Tanh
from lessonkit.pictures import layer_colors
from lessonkit.training import mean_and_error, minibatch

WIDTH = 100  # hidden units, if a setting does not say otherwise
TOGETHER = 15  # networks that are trained as one stack: three settings of five seeds
SPLITS = {"train": "C0", "dev": "C1"}  # what the panel shows, and its colours
DASHES = {8: ":", 32: "-", 128: "--"}  # of batch sizes
# What a setting may have, and what it is otherwise.
USUAL = {
    "seed": 1,
    "lr": 0.2,
    "width": WIDTH,
    "batch_size": 32,
    "penalty": None,
    "strength": 0.0,
    "p": 0.0,
}


@dataclass
class Run:
    """One setting and what came of it.

    at: the numbers of steps after which the losses were measured. curves: {name of what was watched: [loss, ...]},
    nan where the training was interrupted before. network: the trained helpers.MLP.
    """

    setting: dict
    at: list
    curves: dict
    network: MLP


def drawn(seed, symbols, width=WIDTH):
    """A fresh network: hidden weights with gain 5/3, an output layer made ten times smaller, biases of 0."""
    g = torch.Generator().manual_seed(seed)
    return MLP(g, symbols, depth=1, width=width, gain=5 / 3, last_scale=0.1)


def dropout(h, p, noise):
    """Set the outputs h of a layer to 0 with probability p, and divide the others by 1 - p.

    h: any shape. p: a number or a tensor that broadcasts. noise: uniform between 0 and 1, of the shape of h. Hinton et
    al. 2012, arXiv 1207.0580; the division, "inverted dropout", makes up for it at once, not at inference.
    """
    return h * (noise >= p) / (1 - p)


def train_many(settings, steps, X, Y, symbols, *, watched=None, every=None, drop=dropout):
    """Train one network for each setting, by plain gradient descent. Returns a Run for each, in their order.

    settings: dicts with any of the names of USUAL. seed: draws the weights, and by a generator of their own each the
    minibatches and the noise for dropout, so that settings of one seed differ in nothing else. penalty: a function
    of (weights, strength), what is added to the gradient of C, W1 and W2, but not to those of the biases. p: the
    share of hidden outputs that `drop`, a function like `dropout`, sets to 0 in training. lr: the learning rate.
    X, Y: contexts, (N, 3), and next characters, (N,). watched: {name: (X, Y)}, on which the losses are measured,
    without dropout and without the penalty, before the first step, after each `every` steps and after the last.

    Networks of one penalty, width and batch size are trained as stacks, which changes nothing for any of them. An
    interruption ends the training; what was learned is kept, and the losses that were not measured are nan.

    Raises ValueError for an unknown name in a setting, for p outside 0 <= p < 1, or if there are no examples.
    """
    if len(X) == 0:
        raise ValueError("there are no examples to train on.")
    settings = [complete(setting) for setting in settings]
    groups = {}
    for place, setting in enumerate(settings):
        key = setting["penalty"], setting["width"], setting["batch_size"], setting["p"] > 0
        groups.setdefault(key, []).append(place)
    stacks = [
        places[start : start + TOGETHER]
        for places in groups.values()
        for start in range(0, len(places), TOGETHER)
    ]
    watched, every = watched or {}, every or steps
    at = [*range(0, steps, every), steps]
    runs = []
    for setting in settings:
        curves = {name: [math.nan] * len(at) for name in watched}
        network = drawn(setting["seed"], symbols, setting["width"])
        runs.append(Run(setting, at, curves, network))
    with stoppable():
        bar = iter(progress(steps * len(stacks)))
        for places in stacks:
            train_stack([runs[k] for k in places], steps, X, Y, watched, drop, bar)
    return runs


def complete(setting):
    """The setting with all names of USUAL. Raises ValueError."""
    if unknown := setting.keys() - USUAL.keys():
        raise ValueError(
            f"{sorted(unknown)[0]!r} is unknown; what can be set is {', '.join(USUAL)}."
        )
    whole = USUAL | setting
    if not 0 <= whole["p"] < 1:
        raise ValueError(f"p is {whole['p']}; it must be 0 or more, and below 1.")
    return whole


def train_stack(runs, steps, X, Y, watched, drop, bar):
    """Train the networks of these runs together: one penalty, width and batch size. bar: counts the steps."""
    first = runs[0].setting
    stack = sweep.Stack([run.network for run in runs])
    weights = [
        p for p in stack.parameters() if p.shape[1] > 1
    ]  # (K, in, out); a bias is (K, 1, out)
    column = {
        name: torch.tensor([float(run.setting[name]) for run in runs]).view(-1, 1, 1)
        for name in ("lr", "strength", "p")
    }
    seeds = sorted({run.setting["seed"] for run in runs})
    row = torch.tensor([seeds.index(run.setting["seed"]) for run in runs])
    batches, noises = (
        [torch.Generator().manual_seed(kind + seed) for seed in seeds] for kind in (1_000, 2_000)
    )
    shape, hidden = (first["batch_size"],), (first["batch_size"], first["width"])
    done = 0
    try:
        for step, _ in enumerate(islice(bar, steps)):
            if step in runs[0].at:
                watch(stack, runs, step, watched)
            picked = torch.stack([torch.randint(len(X), shape, generator=g) for g in batches])[row]
            noise = None
            if first["p"] > 0:
                noise = torch.stack([torch.rand(hidden, generator=g) for g in noises])[row]
            descend(stack, X[picked], Y[picked], noise, column, first["penalty"], weights, drop)
            done += 1
        if done == steps:  # else there was an interruption
            watch(stack, runs, steps, watched)
    finally:
        stack.unstack()


def descend(stack, X, Y, noise, column, penalty, weights, drop):
    """One step of gradient descent for each network of the stack. X: (K, N, 3), Y: (K, N)."""
    logits = forward(stack, X, noise, column["p"], drop)
    losses = F.cross_entropy(logits.flatten(0, 1), Y.flatten(), reduction="sum")
    for p in stack.parameters():
        p.grad = None
    (losses / Y.shape[1]).backward()
    for p in weights if penalty else []:
        p.grad += penalty(p.detach(), column["strength"])
    for p in stack.parameters():
        p.data -= column["lr"] * p.grad


def forward(stack, X, noise=None, p=0.0, drop=dropout):
    """The logits of each network, (K, N, symbols); with noise, (K, N, width), its hidden outputs go through `drop`."""
    x = stack.embed(X).flatten(2)
    for layer in stack.layers:
        x = layer(x)
        if noise is not None and isinstance(layer, Tanh):
            x = drop(x, p, noise)
    return x


def watch(stack, runs, step, watched):
    """Note the losses of all networks on what is watched."""
    place = runs[0].at.index(step)
    with torch.no_grad():
        for name, (X, Y) in watched.items():
            sums = 0
            for x, y in zip(X.split(1_000), Y.split(1_000), strict=True):
                x, y = x.expand(len(runs), *x.shape), y.expand(len(runs), -1)
                sums = sums + sweep.each_loss(stack, x, y).sum(1)
            for run, total in zip(runs, sums.tolist(), strict=True):
                run.curves[name][place] = total / len(X)


# ---------------------------------------------------------------- Five of each


def some(X, Y, count=3_000):
    """That many of the examples, drawn at random without replacement; all, if there are fewer."""
    picked = torch.randperm(len(X), generator=torch.Generator().manual_seed(1))[:count]
    return X[picked], Y[picked]


def five_each(cases, X, Y, *, data, steps, checks=10, drop=dropout):
    """Train five networks for each case, with the seeds 1 to 5: {name: setting} to {name: five Runs}.

    checks: how often the losses are measured, on 2,000 of the examples X, Y and on 3,000 of data.dev and of data.test.
    """
    plan = [setting | {"seed": seed} for setting in cases.values() for seed in range(1, 6)]
    watched = {"train": some(X, Y, 2_000), "dev": some(*data.dev), "test": some(*data.test)}
    every = max(1, steps // checks)
    watch_too = {"watched": watched, "every": every, "drop": drop}
    runs = train_many(plan, steps, X, Y, len(data.stoi), **watch_too)
    return {name: runs[5 * place : 5 * place + 5] for place, name in enumerate(cases)}


def losses(runs, split):
    """The losses of some runs on what they watched by this name: (runs, checks)."""
    return torch.tensor([run.curves[split] for run in runs])


def at_the_end(runs):
    """Train loss, dev loss and gap after the last step: their means over the runs, (3,), and standard errors, (3,)."""
    train, dev = (losses(runs, split)[:, -1] for split in SPLITS)
    return mean_and_error(torch.stack([train, dev, dev - train], 1))


def settle(network, X, Y, penalty, strength, steps=400, lr=0.5):
    """Go on from a network, which stays as it is, by gradient descent on all examples at once.

    The penalty acts as in `train_many`. Returns the weights of layer 1, and what pulls them: minus the gradient of the
    loss, without the penalty. Both are flat. An interruption ends it early.
    """
    network = copy.deepcopy(network)
    parameters, matrices = network.parameters(), list(network.weights.values())
    with stoppable():
        for _ in progress(steps, quiet=True):
            gradients = torch.autograd.grad(F.cross_entropy(network(X), Y), parameters)
            for p, gradient in zip(parameters, gradients, strict=True):
                priced = any(p is w for w in matrices)
                p.data -= lr * (gradient + (penalty(p.data, strength) if priced else 0))
    W1 = network.weights["layer 1"]
    (gradient,) = torch.autograd.grad(F.cross_entropy(network(X), Y), W1)
    return W1.detach().flatten(), -gradient.flatten()


def under_noise(runs, X, Y, p, drop=dropout, quiet=False):
    """What dropout does to trained networks; prints it, too, unless `quiet`. Means over the runs of five numbers.

    They are the root mean square of a hidden output, of an output weight, and of the noise that dropout with p adds to
    a logit; the loss on X, Y without the noise, and with it.
    """
    rows, g = [], torch.Generator().manual_seed(1)
    for run in runs:
        with torch.no_grad():
            logits = run.network(X)
            h, output = run.network.hidden[0].out, run.network.layers[-1]
            noisy = output(drop(h, p, torch.rand(h.shape, generator=g)))
            sizes = [x.square().mean().sqrt().item() for x in (h, output.weight, noisy - logits)]
            rows.append([*sizes, *(F.cross_entropy(x, Y).item() for x in (logits, noisy))])
    h, w, noise, clean, noisy = found = torch.tensor(rows).mean(0).tolist()
    trained = f"dropout {p}" if runs[0].setting["p"] else "no dropout"
    if not quiet:
        print(
            f"trained with {trained:11}: output {h:.2f}, weight {w:.2f}, noise {noise:.2f}; "
            f"train loss {clean:.2f}, with noise {noisy:.2f}"
        )
    return found


def five_by(step_loss, X, Y, symbols, steps, lr=0.2):
    """Five networks, with the seeds 1 to 5, trained one by one on another loss than usual.

    step_loss: a function of (network, X, Y, generator), the loss of a minibatch. An interruption ends it early.
    """
    networks = [drawn(seed, symbols) for seed in range(1, 6)]
    with stoppable():
        for seed, network in enumerate(networks, 1):
            g, parameters = torch.Generator().manual_seed(seed), network.parameters()
            for _ in progress(steps, quiet=True):
                loss = step_loss(network, *minibatch(X, Y, g), g)
                for p, gradient in zip(
                    parameters, torch.autograd.grad(loss, parameters), strict=True
                ):
                    p.data -= lr * gradient
    return networks


def dev_after(runs, steps):
    """The mean dev loss of the runs after so many steps, on a straight line between the measurements."""
    mean = losses(runs, "dev").mean(0)
    return float(np.interp(steps, runs[0].at, mean))


# ---------------------------------------------------------------- The pictures of lesson 15


def plot_losses(cases):
    """Train and dev loss over the steps, with bands of ± the standard error: {title: Runs}; and three numbers of each.

    The dotted line is the mean of the lowest dev losses of each run.
    """
    _, axes = plt.subplots(1, len(cases), figsize=(10, 3.6), sharey=True)
    for ax, (title, runs) in zip(axes, cases.items(), strict=True):
        for split, color in SPLITS.items():
            mean, error = mean_and_error(losses(runs, split))
            ax.plot(runs[0].at, mean, color=color, label=split)
            ax.fill_between(runs[0].at, mean - error, mean + error, color=color, alpha=0.3)
        stopped = losses(runs, "dev").min(1).values.mean()
        ax.axhline(stopped, color="black", linestyle=":", label="dev, stopped early")
        ax.set(title=title, xlabel="step", ylim=(1.7, 3.4))
        (train, dev, _), _ = at_the_end(runs)
        print(
            f"{title:11}: train {train:.2f}, dev {dev:.2f}; dev, each stopped early, {stopped:.2f}"
        )
    axes[0].set_ylabel("loss")
    axes[0].legend()
    plt.show()


def plot_alone(followed, theory):
    """How weights shrink under a penalty alone: {title: (steps, weights)}, and the same by theory."""
    _, axes = plt.subplots(1, 2, figsize=(9, 3), sharey=True)
    for ax, (title, weights) in zip(axes, followed.items(), strict=True):
        ax.plot(weights, linewidth=4, alpha=0.4)
        ax.plot(theory[title], "k:")
        ax.set(title=title, xlabel="step, without any data")
    axes[0].set_ylabel("three weights (dotted: theory)")
    plt.show()


def plot_weights(runs_of):
    """Histograms of the weights of layer 1, one for each case, on shared axes; and three numbers of each."""
    _, axes = plt.subplots(1, len(runs_of), figsize=(10, 3.2), sharex=True, sharey=True)
    for ax, (case, runs) in zip(axes, runs_of.items(), strict=True):
        W1 = torch.cat([run.network.weights["layer 1"].detach().flatten() for run in runs])
        ax.hist(W1.numpy(), bins=161, range=(-1.6, 1.6), density=True)
        name = named(case)
        ax.set(title=name, yscale="log", xlabel="weight of layer 1")
        near, largest = 100 * (W1.abs() < 0.01).float().mean(), W1.abs().max()
        print(f"{name:8}: std {W1.std():.2f}, within ±0.01 {near:2.0f} %, largest {largest:.1f}")
    axes[0].set_ylabel("density, five networks")
    plt.show()


def plot_pull(settled, pushes):
    """What pulls each weight over the weight: {name: (weights, pull)}; and the same by theory, a function of both."""
    _, axes = plt.subplots(1, 2, figsize=(10, 3.8), sharey=True)
    line = torch.linspace(-1, 1, 2_001)
    for ax, (name, (w, pull)) in zip(axes, settled.items(), strict=True):
        ax.plot(line, 1_000 * pushes[name](line), color="C1", linewidth=3, label="theory")
        ax.plot(w, 1_000 * pull, ".", color="C0", markersize=2, label="one weight")
        ax.set(title=name, xlabel="weight of layer 1", xlim=(-0.8, 0.8), ylim=(-2.5, 2.5))
    axes[0].set_ylabel("pull of the data, in thousandths")
    axes[0].legend()
    plt.show()


def plot_strengths(runs_of, methods):
    """Train and dev loss over the strength, for each method; returns the strength with the lowest dev loss of each."""
    _, axes = plt.subplots(1, len(methods), figsize=(10, 5), sharey=True)
    stopped, best = losses(runs_of["none"], "dev").min(1).values.mean(), {}
    for ax, (name, strengths) in zip(axes, methods.items(), strict=True):
        places = range(len(strengths))
        means, errors = means_and_errors(runs_of, name, strengths)
        for column, (split, color) in enumerate(SPLITS.items()):
            mean, error = means[:, column], errors[:, column]
            ax.errorbar(places, mean, error, fmt="o-", color=color, capsize=3, label=split)
        ax.fill_between(places, means[:, 0], means[:, 1], color="0.9", label="gap")
        ax.axhline(stopped, color="black", linestyle=":", label="dev, stopped early")
        ax.set(title=name, xlabel="p" if name == "dropout" else "strength")
        ax.set_xticks(places, strengths)
        dev, gap = means[:, 1], means[:, 2]
        best[name] = strengths[dev.argmin()]
        print(
            f"{name:7}: dev {dev[0]:.2f} at the weakest, {dev.min():.2f} at {best[name]}, "
            f"{dev[-1]:.2f} at the strongest; gap from {gap[0]:.2f} to {gap[-1]:.2f}"
        )
    axes[0].set_ylabel("loss after the last step, mean of five")
    axes[0].legend()
    plt.show()
    return best


def plot_gap(runs_of, methods, more_names):
    """The dev loss over the gap: a line from no remedy through each method's strengths, and one through more names."""
    ax = plt.figure(figsize=(9, 5)).subplots()
    for (name, strengths), color in zip(methods.items(), ("C0", "C2", "C4"), strict=True):
        means, errors = means_and_errors(runs_of, name, strengths)
        ax.errorbar(means[:, 2], means[:, 1], errors[:, 1], fmt="o-", color=color, label=name)
        (_, dev, gap), _ = at_the_end(runs_of["none"])
        ax.plot([gap, means[0, 2]], [dev, means[0, 1]], color=color)
        print(f"{name:7} at its strongest: gap {means[-1, 2]:.2f}, dev {means[-1, 1]:.3f}")
    points = [at_the_end(runs)[0].tolist() for runs in more_names.values()]
    _, dev, gap = zip(*points, strict=True)
    ax.plot(gap, dev, "k*--", markersize=12, label="no remedy, more names")
    for name, x, y in zip(more_names, gap, dev, strict=True):
        ax.annotate(name, (x, y), (10, -12), textcoords="offset points")
        print(f"{name}, no remedy: gap {x:.2f}, dev {y:.3f}")
    ax.set(xlabel="gap after the last step", ylabel="dev loss after the last step")
    ax.set(xlim=(-0.05, 0.92), ylim=(2.3, 2.75))
    ax.set_title("Remedies lead left and down, then up; more names lead left and down all the way")
    ax.legend(loc="lower right")
    plt.show()


def means_and_errors(runs_of, name, strengths):
    """What `at_the_end` gives for each strength: (strengths, 3) twice."""
    ends = [at_the_end(runs_of[name, strength]) for strength in strengths]
    means, errors = zip(*ends, strict=True)
    return torch.stack(means), torch.stack(errors)


def named(case):
    """A case in words: "none", or a method and its strength."""
    return case if isinstance(case, str) else f"{case[0]} {case[1]:g}"


def draw_curves(figure, runs_of, methods):
    """Train and dev loss over the steps, for a method and a strength; returns `update`, as helpers.Panel wants it.

    runs_of: {"none" or (method, strength): Runs that watch "train" and "dev"}. methods: {method: [strength, ...]}.
    Strength 0 of any method is "none", 1 the first of its strengths, and so on. "none" stays in the picture, in grey.
    """
    axes = figure.subplots(1, 2, sharey=True)
    curves = {
        case: {split: torch.tensor([run.curves[split] for run in runs]).mean(0) for split in SPLITS}
        for case, runs in runs_of.items()
    }
    at = runs_of["none"][0].at
    least = min(one.nan_to_num(9).min().item() for pair in curves.values() for one in pair.values())
    lines = {}
    for ax, (split, color) in zip(axes, SPLITS.items(), strict=True):
        ax.plot(at, curves["none"][split], color="0.7", label="none")
        lines[split] = ax.plot(at, curves["none"][split], "o-", color=color, label=split)[0]
        ax.set(title=f"{split} loss, mean of {len(runs_of['none'])}", xlabel="step")
        ax.set(ylim=(least - 0.1, least + 1), xlim=(-0.03 * at[-1], 1.03 * at[-1]))
        ax.legend()
    axes[0].set_ylabel("loss")

    def update(remedy, strength):
        case = (remedy, methods[remedy][strength - 1]) if strength else "none"
        for split, line in lines.items():
            line.set_data(at, curves[case][split])
        name = f"{remedy} {case[1]:g}" if strength else "No remedy"
        train, dev = (curves[case][split][-1].item() for split in SPLITS)
        lowest = curves[case]["dev"].argmin().item()
        return (
            f"{name}: at the end train {train:.2f}, dev {dev:.2f}, gap {dev - train:.2f}; "
            f"dev is lowest, {curves[case]['dev'][lowest]:.2f}, at step {at[lowest]:,}."
        )

    return update


# ---------------------------------------------------------------- The pictures of lesson 15b


def plot_currencies(of_size, overhead):
    """The dev loss of {batch size: Runs} over steps, examples, and examples + overhead × steps."""
    _, axes = plt.subplots(1, 3, figsize=(10, 3.6), sharey=True)
    colors = layer_colors(len(of_size) + 1)[:-1]  # without the palest
    for (size, runs), color in zip(of_size.items(), colors, strict=True):
        at, (mean, error) = torch.tensor(runs[0].at), mean_and_error(losses(runs, "dev"))
        for ax, cost in zip(axes, (1, size, size + overhead), strict=True):
            x = at[1:] * cost
            ax.errorbar(x, mean[1:], error[1:], color=color, label=f"batch of {size}")
    names = "steps", "examples", f"cost: examples + {overhead} × steps"
    for ax, name in zip(axes, names, strict=True):
        ax.set(xscale="log", xlabel=name, ylim=(2.25, 2.7))
        ax.xaxis.set_major_locator(LogLocator(subs=(1, 3)))
        ax.xaxis.set_major_formatter("{x:,.0f}")
        ax.xaxis.set_minor_formatter("")
    axes[0].set_ylabel("dev loss, mean of five")
    axes[2].legend()
    plt.show()


def plot_noisy(noisy):
    """The dev loss over the train loss, for {(batch size, rate): Runs}; returns the mean lowest dev loss of each.

    Equal colours are equal rate / batch size, and equal dashes are equal batch sizes.
    """
    ax = plt.figure(figsize=(8, 4.4)).subplots()
    ratios = sorted({round(lr / size, 9) for size, lr in noisy})
    color_of = dict(zip(ratios, ("C0", "C2", "C1"), strict=False))
    lowest = {}
    for (size, lr), runs in noisy.items():
        train, dev = (losses(runs, split).mean(0)[1:] for split in SPLITS)
        style = {"color": color_of[round(lr / size, 9)], "linestyle": DASHES[size]}
        ax.plot(train, dev, **style, label=f"batch {size}, rate {lr}")
        lowest[size, lr], error = mean_and_error(losses(runs, "dev").min(1).values)
        print(
            f"batch {size:3}, rate {lr:<4}: rate / batch {lr / size:.5f}; "
            f"dev, each stopped early, {lowest[size, lr]:.3f} ± {error:.3f}"
        )
    ax.set(xlabel="train loss (training goes to the right)", ylabel="dev loss, mean of five")
    ax.invert_xaxis()
    ax.legend()
    plt.show()
    return lowest


def plot_search(landscape, rates, decays, grid):
    """The dev loss over rate and decay, with one grid search, at these places of both, and one random search."""
    fig, ax = plt.subplots(figsize=(7, 4.2))
    image = ax.pcolormesh(decays, rates, landscape, cmap="viridis_r")
    g = torch.Generator().manual_seed(3)
    picked = torch.randperm(landscape.numel(), generator=g)[: len(grid) ** 2].tolist()
    columns = len(decays)
    ax.plot(
        [decays[k] for k in grid for _ in grid],
        [rates[k] for k in grid] * len(grid),
        "rs",
        label="a grid",
    )
    x, y = [decays[k % columns] for k in picked], [rates[k // columns] for k in picked]
    ax.plot(x, y, "w^", markeredgecolor="k", label="at random")
    ax.set(xscale="log", yscale="log", xlabel="weight decay", ylabel="rate")
    ax.set_title(f"{landscape.numel()} trainings, and nine trials in two ways")
    ax.grid(False)
    fig.colorbar(image, label="dev loss")
    ax.legend(bbox_to_anchor=(0.5, -0.15), loc="upper center", ncols=2)
    plt.show()
