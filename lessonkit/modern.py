"""Deep stacks of equal layers, of any form, and what theory says of them (lesson 16 and its companion).

A *form* is a function `form(x, f, depth)`: from x, (..., width), the output of one layer, to that of the next, of the
same shape. f is the layer's own tanh(x @ f.W + f.b), a callable; depth is the number of layers. A plain network is
`f(x)`, a residual one `x + f(x)`.

The theory is that of wide layers with random weights: G. Yang and S. Schoenholz 2017, arXiv 1712.08969, for residual
branches; a norm divides by the std. Shapes are written (rows, columns).
"""

import json
import math
from pathlib import Path

import matplotlib.pyplot as plt
import torch
import torch.nn.functional as F

from lessonkit.data import load_splits
from lessonkit.interrupts import progress, stoppable
from lessonkit.pictures import layer_colors
from lessonkit.theory import gaussian_mean
from lessonkit.training import mean_and_error

WIDTH = 50  # units of each hidden layer
EMBEDDING = 10
BATCH_SIZE = 32
LAST_SCALE = 0.1  # a factor on the output layer's weights: less confident at first (lesson 02)

# ---------------------------------------------------------------- A stack of networks


class Layer:
    """f(x) = nonlinearity(x @ W + b). W: (K, width, width) or (width, width); b: (K, 1, width) or None for none.

    g, of the shape of b, holds ones: a norm may use it as its learned gain, with b as its shift. A norm over the batch
    leaves its statistics in `seen`, and uses those in `kept` once these are there: see `calibrate`.
    number: its place in a network, from 0. following: the next layer; of the last one, the first.
    """

    def __init__(self, W, b=None, g=None, nonlinearity=torch.tanh):
        self.W, self.b, self.g, self.nonlinearity = W, b, g, nonlinearity
        self.seen = self.kept = None
        self.number, self.following = 0, self

    def __call__(self, x):
        x = x @ self.W
        return self.nonlinearity(x if self.b is None else x + self.b)


class Deep:
    """K networks of one form, one for each seed: embedding, a linear layer to `width`, `depth` layers, output.

    form: see above. last: applied to the last layer's output, before the output layer; such as a norm, or None.
    gain: hidden weights have the std gain / sqrt(width). draw: a function (W, number) that may put other weights,
    (width, width), in the place of those drawn for the hidden layer of this number, from 0. The seed's generator draws
    the embedding, the first layer, the hidden layers, the output layer, and then the minibatches. same_ends: another
    generator draws the hidden layers, so that all the rest is the same at any depth.
    """

    def __init__(
        self,
        form,
        depth,
        seeds,
        symbols,
        *,
        width=WIDTH,
        gain=1.0,
        last=None,
        nonlinearity=torch.tanh,
        draw=None,
        same_ends=False,
        block_size=3,
        device=None,
    ):
        if depth < 1:
            raise ValueError(f"depth is {depth}; it must be 1 or more layers.")
        self.form, self.depth, self.last = form, depth, last
        self.generators = [torch.Generator().manual_seed(seed) for seed in seeds]
        K, fan_in = len(self.generators), EMBEDDING * block_size
        hidden = self.generators
        if same_ends:
            hidden = [torch.Generator().manual_seed(1_000_000 + seed) for seed in seeds]

        def drawn(rows, columns, factor, number=None):
            one_each = []
            for g in self.generators if number is None else hidden:
                W = factor * torch.randn((rows, columns), generator=g)
                one_each.append(W if number is None or draw is None else draw(W, number))
            return torch.stack(one_each).to(device).requires_grad_()

        def filled(value, size):
            return torch.full((K, 1, size), float(value), device=device).requires_grad_()

        self.C = drawn(symbols, EMBEDDING, 1.0)
        self.first = drawn(fan_in, width, fan_in**-0.5)
        self.layers = [
            Layer(
                drawn(width, width, gain * width**-0.5, number),
                filled(0, width),
                filled(1, width),
                nonlinearity,
            )
            for number in range(depth)
        ]
        for number, f in enumerate(self.layers):
            f.number, f.following = number, self.layers[(number + 1) % depth]
        self.output = drawn(width, symbols, LAST_SCALE * width**-0.5)
        self.output_bias = filled(0, symbols)

    def parameters(self):
        hidden = [p for f in self.layers for p in (f.W, f.b, f.g)]
        return [self.C, self.first, *hidden, self.output, self.output_bias]

    def outputs(self, X):
        """What goes into the first hidden layer, and what comes out of each: depth + 1 tensors, (K, N, width)."""
        K, symbols, _ = self.C.shape
        rows = X + symbols * torch.arange(K, device=X.device).view(-1, 1, 1)
        x = F.embedding(rows, self.C.view(-1, EMBEDDING)).flatten(2) @ self.first
        outs = [x]
        for f in self.layers:
            outs.append(self.form(outs[-1], f, self.depth))
        return outs

    def added(self, X):
        """What each layer adds to its input, (depth, K, N, width), for contexts X, (N, block_size)."""
        with torch.no_grad():
            return torch.stack(self.outputs(X.expand(len(self.C), -1, -1))).diff(dim=0)

    def last_layer(self, X):
        """What the output layer reads, (K, N, width), without gradients, for contexts X, (N, block_size)."""
        with torch.no_grad():
            return self.read(X.expand(len(self.C), -1, -1))

    def read(self, X):
        """What the output layer reads, (K, N, width), for contexts X, (K, N, block_size)."""
        x = self.outputs(X)[-1]
        return x if self.last is None else self.last(x)

    def __call__(self, X):
        """The logits, (K, N, symbols), for contexts X, (K, N, block_size) or, the same for all, (1, N, block_size)."""
        return self.read(X.expand(len(self.C), -1, -1)) @ self.output + self.output_bias


def losses_of(networks, X, Y):
    """The mean loss of each of the K networks, (K,), in nats, on X, (K or 1, N, block_size), and Y, (K or 1, N)."""
    logits = networks(X)
    each = F.cross_entropy(
        logits.flatten(0, 1), Y.expand(logits.shape[:2]).flatten(), reduction="none"
    )
    return each.view(logits.shape[:2]).mean(1)


def train(networks, X, Y, steps, lrs, *, batch_size=BATCH_SIZE, quiet=False, optimizer=None):
    """Train a Deep by plain SGD. X, Y: all examples. lrs: a rate, or one for each of the K networks.

    optimizer: a function of the parameters that gives a torch.optim.Optimizer, which then has its own rate. Each
    network has its own minibatches, and learns what it would learn alone; one that blows up has losses of nan. If all
    have, the training ends.
    Returns the losses of all steps, (steps done, K). An interruption ends it, and what was learned is kept.
    """
    device, K = networks.C.device, len(networks.generators)
    lrs = torch.as_tensor(lrs, dtype=torch.float32, device=device).expand(K).view(-1, 1, 1)
    X, Y, parameters, losses = X.to(device), Y.to(device), networks.parameters(), []
    chosen = optimizer(parameters) if optimizer else None
    with stoppable():
        for _ in progress(steps, quiet=quiet):
            batches = [
                torch.randint(0, len(X), (batch_size,), generator=g) for g in networks.generators
            ]
            batch = torch.stack(batches).to(device)
            each = losses_of(networks, X[batch], Y[batch])
            used = [p for p in parameters if p.grad_fn is None]
            gradients = torch.autograd.grad(each.sum(), used, allow_unused=True)
            with torch.no_grad():
                if chosen:
                    for p, gradient in zip(used, gradients, strict=True):
                        p.grad = gradient
                    chosen.step()
                else:
                    for p, gradient in zip(used, gradients, strict=True):
                        if gradient is not None:
                            p -= lrs * gradient
            losses.append(each.detach())
            if not each.isfinite().any():
                break
    return torch.stack(losses).cpu() if losses else torch.zeros(0, K)


def calibrate(networks, X):
    """Let norms over the batch keep, from now on, the statistics of X, (N, block_size), as lesson 05 does it."""
    for f in networks.layers:
        f.kept = None
    networks.last_layer(X)
    for f in networks.layers:
        f.kept = f.seen


def evaluate(networks, X, Y):
    """The loss of each network on all of X and Y, (K,), in nats."""
    device = networks.C.device
    with torch.no_grad():
        pieces = [
            len(x) * losses_of(networks, x[None].to(device), y[None].to(device))
            for x, y in zip(X.split(500), Y.split(500), strict=True)
        ]
    return (sum(pieces) / len(X)).cpu()


# ---------------------------------------------------------------- The forms of lesson 16


def norm(x):
    """Layer normalization without a learned gain and bias: each row to mean 0 and std 1."""
    return F.layer_norm(x, x.shape[-1:])


def plain(x, f, depth):
    return f(x)


def residual(x, f, depth):
    return x + f(x)


def scaled(x, f, depth):
    return x + f(x) / depth**0.5


def post_norm(x, f, depth):
    return norm(x + f(x))


def pre_norm(x, f, depth):
    return x + f(norm(x))


def zeros(W, number):
    """For `draw`: hidden weights that are all 0."""
    return torch.zeros_like(W)


FORMS = {"plain": plain, "residual": residual, "zero": residual, "scaled": scaled}
FORMS |= {"post-norm": post_norm, "pre-norm": pre_norm, "zero, scaled": scaled}
OPTIONS = {"zero": {"draw": zeros}, "pre-norm": {"last": norm}, "zero, scaled": {"draw": zeros}}
RATES = 0.0015625 * 2.0 ** torch.arange(11)  # 0.0016 to 1.6
DEPTHS = [4, 16, 64]
RATE_FILE = Path(__file__).resolve().parent.parent / "rate_map.json"  # made by tools/rate_map.py


def network(form, depth, seeds, symbols, **others):
    """The Deep of this form's name, one network for each seed; others: see Deep."""
    return Deep(FORMS[form], depth, seeds, symbols, **OPTIONS.get(form, {}), **others)


def search(form, depth, *, steps=500, seeds=range(10, 15), device=None):
    """The dev losses of one form and depth, (rates, seeds), in nats.

    form: a name of FORMS. tools/rate_map.py calls this, and saves it. The seeds are not those of the lesson. One core
    takes from some seconds, for four layers, to a minute or two, for 64.
    """
    data = load_splits()
    Xdev, Ydev = (part[:2_000] for part in data.dev)
    every_seed = [seed for _ in RATES for seed in seeds]
    networks = network(form, depth, every_seed, len(data.stoi), device=device)
    train(networks, *data.train, steps, RATES.repeat_interleave(len(seeds)), quiet=True)
    return evaluate(networks, Xdev, Ydev).view(len(RATES), -1)


def rate_map(path=RATE_FILE):
    """What tools/rate_map.py has saved: {form: {depth: mean dev losses over RATES}}, in nats.

    inf: one of the five networks, or more, blew up.
    """
    saved = json.loads(Path(path).read_text(encoding="utf-8"))["mean"]

    def table(losses):
        return torch.tensor([math.inf if loss is None else loss for loss in losses])

    return {
        form: {int(depth): table(losses) for depth, losses in of_form.items()}
        for form, of_form in saved.items()
    }


RATE_MAP = rate_map()


def best_rates(form, depth, within=0.01):
    """The smallest and the largest of RATES whose loss in RATE_MAP is at most `within` above the lowest."""
    losses = RATE_MAP[form][depth]
    good = RATES[losses <= losses.min() + within]
    return good[0].item(), good[-1].item()


def best_rate(form, depth):
    """The middle of `best_rates`, on a logarithmic scale."""
    low, high = best_rates(form, depth)
    return math.sqrt(low * high)


# ---------------------------------------------------------------- Theory of wide layers


def plain_step(std, depth=None, gain=1.0):
    """A tanh layer, x to f(x): the std after it, and what it multiplies a gradient's std by on its way back."""
    return gain_of(std, gain)


def residual_step(std, depth=None, alpha=1.0, gain=1.0):
    """The same for x + alpha f(x): variances add up, forward and backward. Yang and Schoenholz 2017."""
    out, back = gain_of(std, gain)
    return math.hypot(std, alpha * out), math.hypot(1, alpha * back)


def pre_norm_step(std, depth=None, alpha=1.0, gain=1.0):
    """The same for x + alpha f(norm(x)): the branch reads a std of 1, and the norm divides the gradient by std."""
    out, back = gain_of(1.0, gain)
    return math.hypot(std, alpha * out), math.hypot(1, alpha * back / std)


def post_norm_step(std, depth=None, alpha=1.0, gain=1.0):
    """The same for norm(x + alpha f(x)): the norm divides the gradient by the std of what it reads."""
    out, back = gain_of(std, gain)
    return 1.0, math.hypot(1, alpha * back) / math.hypot(std, alpha * out)


def gain_of(std, gain):
    """What a tanh layer makes of inputs of this std, and what it multiplies a gradient's std by."""
    slope = gaussian_mean(lambda x: (1 - torch.tanh(x) ** 2) ** 2, gain * std)
    return gaussian_mean(lambda x: torch.tanh(x) ** 2, gain * std) ** 0.5, gain * slope**0.5


# ---------------------------------------------------------------- Pictures

COLORS = {"plain": "black", "residual": "C1", "zero": "C4", "scaled": "C2", "zero, scaled": "C5"}
COLORS |= {"post-norm": "C3", "pre-norm": "C0"}


def draw_profiles(figure, stds=(0.04, 12), gradients=(0.04, 120)):
    """Two axes: the std of the signal by layer, and that of the gradient, with logarithmic scales. Returns both."""
    axes = figure.subplots(1, 2)
    titles = ("Forward: the signal", "Backward: the gradient")
    labels = ("std", "std / std at the end")
    for ax, title, label, limits in zip(axes, titles, labels, (stds, gradients), strict=True):
        ax.set(title=title, xlabel="layer", ylabel=label, yscale="log", ylim=limits, xlim=(-1, 65))
    return axes


def compare(profiles, title, guess=None, **limits):
    """Draw profiles, lines for theory and dots for what was measured, and print their ends.

    profiles: {name of a form: (measured, theory)}, both (depth + 1, 2). guess: a helpers.Guess of a std, to be marked.
    """
    figure = plt.figure(figsize=(9, 3.2))
    axes = draw_profiles(figure, **limits)
    for name, (measured, theory) in profiles.items():
        for ax, dots, line in zip(axes, measured.T, theory.T, strict=True):
            ax.plot(line, color=COLORS[name], label=name)
            ax.plot(torch.arange(0, len(dots), 4), dots[::4], ".", color=COLORS[name])
    if guess is not None:
        guess.mark(axes[0], "y")
    if len(profiles) > 1:
        axes[1].legend(loc="center left", bbox_to_anchor=(1, 0.5))
    figure.suptitle(title)
    plt.show()
    for name, (measured, theory) in profiles.items():
        (end, _), (_, first) = measured[-1].tolist(), measured[0].tolist()
        (end_too, _), (_, first_too) = theory[-1].tolist(), theory[0].tolist()
        print(
            f"{name:9} std at the end {end:5.2f} (theory {end_too:4.2f}), "
            f"gradient at the start {first:5.2f} (theory {first_too:5.2f})"
        )


def draw_rates(losses, same_rate, reference, guess):
    """Six panels: dev loss over the learning rate, a line for each depth of RATE_MAP; and a table of them.

    losses: {(form, 4 or 64): (seeds,)}, of networks trained at the rate same_rate[form], drawn over the lines.
    reference: a loss, drawn dotted. guess: a helpers.Guess of a rate, marked in the panel "zero".
    """
    top, forms = 2.85, list(same_rate)
    figure, axes = plt.subplots(2, 3, figsize=(10, 6), sharex=True, sharey=True)
    for ax, name in zip(axes.flat, forms, strict=True):
        for depth, color in zip(RATE_MAP[name], layer_colors(4)[:3], strict=True):
            valley = within_view(RATE_MAP[name][depth], top)
            ax.plot(RATES, valley, color=color, label=f"{depth} layers")
        for depth, marker in ((4, "o"), (64, "s")):
            mean, error = mean_and_error(losses[name, depth])
            seen = mean.item() < top
            place = mean.item() if seen else top
            spread = error.item() if seen else 0
            ax.errorbar(
                same_rate[name],
                place,
                spread,
                fmt=f"k{marker}",
                mfc="white",
                clip_on=False,
                zorder=5,
            )
        ax.axvline(same_rate[name], color="0.6", linestyle="--", zorder=0)
        ax.axhline(reference, color="black", linestyle=":")
        ax.set(title=name, xscale="log", ylim=(2.4, top))
        if name == "zero":
            guess.mark(ax, "x")
    axes[0, 0].legend(loc="lower left")
    figure.supxlabel("learning rate")
    figure.supylabel("dev loss after 500 steps, mean of five")
    figure.suptitle(
        "Where the best rate moves with the depth, and where it stays (dotted: the letters' frequencies)"
    )
    plt.show()
    print("           4 layers, best          64 layers, best         64 layers, rate of four")
    for name in forms:
        at = []
        for depth in (4, 64):
            low, high = (f"{rate:.3f}" for rate in best_rates(name, depth))
            rates = low if low == high else f"{low} to {high}"
            at.append(f"{RATE_MAP[name][depth].min():.2f} at {rates}")
        mean, error = mean_and_error(losses[name, 64])
        print(f"{name:9}  {at[0]:22}  {at[1]:22}  " + said(mean.item(), error.item()))


def within_view(losses, top):
    """The losses, with nan where a valley has left the picture at the top, but for the first place above it."""
    shown, above = losses.clone(), (losses > top).nonzero()[:, 0]
    lowest = losses.argmin()
    left, right = above[above < lowest], above[above > lowest]
    if len(left):
        shown[: left[-1]] = math.nan
    if len(right):
        shown[right[0] + 1 :] = math.nan
    return shown


def said(mean, error):
    """A loss in words: blown up, if it is nan or far above any loss of a network that says nothing."""
    return f"{mean:.2f} ± {error:.2f}" if mean < 5 else "blew up"


def draw_changes(changes, depths):
    """What one step changes, over the depth, as a multiple of the first; lines of theory, depth and a constant.

    changes: {name: (depths, seeds)}. Prints the change at the last depth over that at the first, beside the best rate
    of RATE_MAP at 4 layers over that at 64. Returns the former, {name: ratio}.
    """
    for name, each in changes.items():
        mean, error = mean_and_error(each.T / each[0].mean())
        plt.errorbar(depths, mean, error, fmt="o", color=COLORS[name], capsize=3, label=name)
    growing = torch.tensor(depths) / depths[0]
    plt.plot(depths, growing, color=COLORS["zero"], label="depth · 1²")
    plt.plot(depths, growing / growing, color=COLORS["scaled"], label="depth · 1/depth")
    plt.xscale("log")
    plt.yscale("log")
    plt.xticks(depths, depths)
    plt.minorticks_off()
    plt.title("What one step changes, over the depth (lines: theory)")
    plt.xlabel("layers")
    plt.ylabel(f"change / change at {depths[0]} layers")
    plt.legend(loc="center left", bbox_to_anchor=(1, 0.5))
    plt.show()
    ratio = {name: (each[-1].mean() / each[0].mean()).item() for name, each in changes.items()}
    print(
        f"           change at {depths[-1]} layers / at {depths[0]}   best rate at 4 layers / at 64"
    )
    for name in changes:
        falls = best_rate(name, 4) / best_rate(name, 64)
        print(f"{name:9}  {ratio[name]:25.1f}   {falls:29.1f}")
    return ratio


def profile_panel(figure, profiles):
    """A picture of one profile, over the settings alpha and depth; returns `update`, as helpers.Panel wants it.

    profiles: {(alpha, depth): (measured, theory)}, both (depth + 1, 2).
    """
    axes = draw_profiles(figure, stds=(0.5, 12), gradients=(0.5, 120))
    artists = [(ax.plot([], [], ".")[0], ax.plot([], [], color="black")[0]) for ax in axes]

    def update(alpha, depth):
        measured, theory = profiles[alpha, depth]
        layers = torch.arange(depth + 1)
        for (dots, line), seen, said in zip(artists, measured.T, theory.T, strict=True):
            dots.set_data(layers, seen)
            line.set_data(layers, said)
        (end, _), (_, first) = measured[-1].tolist(), measured[0].tolist()
        return (
            f"α = {alpha:.3g}, {depth} layers: the std at the end is {end:.2f}, "
            f"and the gradient at the start is {first:.2f} times that at the end."
        )

    return update
