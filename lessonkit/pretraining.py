"""Networks that read other names first (lesson 19 and its companion): slots, masks, stacks of networks, fine-tuning.

A network predicts one letter from SIDE letters on its left and as many on its right, the *slots*; "." fills those
beyond the name. A slot may be hidden: it then holds a symbol of its own, the mask. A network whose right slots are
always hidden reads from left to right. One whose slots are hidden at random fills gaps (masked language model: J.
Devlin and others 2018, arXiv 1810.04805). K networks are trained as one: tensors have a first dimension of size K.
"""

import itertools
import random

import matplotlib.pyplot as plt
import torch
import torch.nn.functional as F
from matplotlib.colors import PowerNorm

from lessonkit.interrupts import progress, stoppable
from lessonkit.recurrent import Adam
from lessonkit.training import PIECE, mean_and_error

SIDE = 5  # slots on each side
EMBEDDING, UNITS = 10, 64

# ---------------------------------------------------------------- Names


def two_lists(names):
    """The girls' and the boys' list: within each a name stands once, so the first repetition starts the second.

    Without a repetition the names are cut in halves.
    """
    first = {}
    for place, name in enumerate(names):
        first.setdefault(name, place)
    again = (place for place, name in enumerate(names) if first[name] < place)
    border = next(again, len(names) // 2)
    return names[:border], names[border:]


def shuffled(names, seed=0):
    """Each name with its letters in random order."""
    draw = random.Random(seed)
    return ["".join(draw.sample(name, len(name))) for name in names]


def slots(names, stoi):
    """One example for each letter of each name, and for its end: (X, Y), of shapes (N, 2 SIDE) and (N,).

    X: the SIDE letters on the left and the SIDE on the right. Y: the letter itself; 0 is the end, ".".
    """
    X, Y = [], []
    for name in names:
        path = [0] * SIDE + [stoi[letter] for letter in name] + [0] * (SIDE + 1)
        for i in range(SIDE, SIDE + len(name) + 1):
            X.append(path[i - SIDE : i] + path[i + 1 : i + 1 + SIDE])
            Y.append(path[i])
    return torch.tensor(X).view(-1, 2 * SIDE), torch.tensor(Y)


def neighbors(names, stoi):
    """How often each symbol stands beside each other one in names with "." on both sides, (symbols, symbols)."""
    pairs = []
    for name in names:
        pairs += itertools.pairwise([0, *(stoi[letter] for letter in name), 0])
    left, right = torch.tensor(pairs).T
    counts = torch.zeros(len(stoi), len(stoi))
    counts.index_put_((left, right), torch.ones(1), accumulate=True)
    return counts + counts.T


def apart(vectors, sets):
    """The mean cosine within sets of letters less that between them and all other letters, (sets,).

    vectors: a list of (symbols, size), over which the cosines are averaged. sets: numbers of letters, (sets, n).
    """
    V = F.normalize(torch.stack(list(vectors))[:, 1:], dim=-1)  # without the end
    cosine, letters, n = (V @ V.mT).mean(0), V.shape[1], sets.shape[1]
    inside = torch.zeros(len(sets), letters).scatter_(1, sets - 1, 1.0)
    within = ((inside @ cosine) * inside).sum(1)
    across = (inside @ cosine).sum(1) - within
    return (within - n) / (n * (n - 1)) - across / (n * (letters - n))


def gaps(names, stoi):
    """As `slots`, without the ends of the names."""
    X, Y = slots(names, stoi)
    return X[Y > 0], Y[Y > 0]


# ---------------------------------------------------------------- A stack of networks


class Stack:
    """K networks, one for each seed: an embedding of the slots, one tanh layer, an output layer.

    Parameters, each with a first dimension of size K: C (symbols + 1, EMBEDDING), whose last row is that of the mask,
    W (2 SIDE * EMBEDDING, units), b (1, units), V (units, symbols), c (1, symbols). The output layer starts small
    (lesson 02). generators: draw the weights, and then the minibatches and masks.
    """

    def __init__(self, seeds, symbols, units=UNITS):
        self.generators = [torch.Generator().manual_seed(seed) for seed in seeds]
        K, fan_in = len(self.generators), 2 * SIDE * EMBEDDING
        shapes = [((symbols + 1, EMBEDDING), 1), ((fan_in, units), fan_in**-0.5)]
        shapes.append(((units, symbols), 0.1 * units**-0.5))
        C, W, V = (
            std * torch.stack([torch.randn(shape, generator=g) for g in self.generators])
            for shape, std in shapes
        )
        self.weights = [C, W, torch.zeros(K, 1, units), V, torch.zeros(K, 1, symbols)]
        for p in self.weights:
            p.requires_grad_()

    def parameters(self):
        return self.weights

    def count(self):
        """The number of parameters of one network."""
        return sum(p[0].numel() for p in self.weights)

    def start_from(self, weights):
        """Take over values for the parameters, a list of tensors like them. Returns self."""
        with torch.no_grad():
            for p, value in zip(self.weights, weights, strict=True):
                p.copy_(value)
        return self

    def __call__(self, X):
        """The logits, (K, N, symbols), for slots X, (K or 1, N, 2 SIDE)."""
        C, W, b, V, c = self.weights
        x = C[torch.arange(len(C))[:, None, None], X].flatten(2)
        return torch.tanh(x @ W + b) @ V + c


def values(network):
    """The parameters of a stack, without gradients."""
    return [p.detach().clone() for p in network.parameters()]


def side_by_side(lists):
    """One list of parameters for all the networks of several lists, (sum of the K, ...)."""
    return [torch.cat(parts) for parts in zip(*lists, strict=True)]


def losses_of(logits, Y):
    """The mean loss of each network, (K,): logits (K, N, symbols), Y (K or 1, N)."""
    Y = Y.expand(len(logits), -1)
    each = F.cross_entropy(logits.flatten(0, 1), Y.flatten(), reduction="none")
    return each.view(Y.shape).mean(1)


def mean_loss(network, X, Y):
    """The mean loss of each network, (K,), on all examples X, (N, 2 SIDE), and Y, (N,)."""
    with torch.no_grad():
        pieces = zip(X.split(2 * PIECE), Y.split(2 * PIECE), strict=True)
        return sum(losses_of(network(x[None]), y[None]) * len(y) for x, y in pieces) / len(Y)


def train(
    network, X, Y, steps, lrs, *, hide=None, falling=False, size=64, look=None, at=(), factors=None
):
    """Train a stack by Adam. Each network draws its own minibatches, and learns what it would learn alone.

    lrs: a rate, or K. factors(part): what the updates of the parameters are multiplied by, in their order, when this
    part of the steps is done, a number from 0 to 1.
    falling: the rates fall in a line to 0. hide(slots, generator): hides slots of a minibatch, (size, 2 SIDE), of one
    network. look(network): called before the first step and after those in `at`.
    Returns the steps after which it looked, a list that begins with 0, and what it saw, a list. An interruption ends
    it, and what was learned is kept.
    """
    parameters, K = network.parameters(), len(network.generators)
    lrs = torch.as_tensor(lrs, dtype=torch.float32).expand(K).view(K, 1, 1)
    adam = Adam(parameters)
    looked, seen = ([0], [look(network)]) if look else ([], [])
    with stoppable():
        for step in progress(steps, quiet=True):
            rows = torch.stack(
                [torch.randint(0, len(X), (size,), generator=g) for g in network.generators]
            )
            x, y = X[rows], Y[rows]
            if hide:
                x = torch.stack([hide(*one) for one in zip(x, network.generators, strict=True)])
            gradients = torch.autograd.grad(losses_of(network(x), y).sum(), parameters)
            with torch.no_grad():
                before = [p.clone() for p in parameters] if factors else []
                adam.step(gradients, lrs * (1 - step / steps if falling else 1))
                if factors:
                    held_back = zip(parameters, before, factors(step / steps), strict=True)
                    for p, old, factor in held_back:
                        p.copy_(old + factor * (p - old))
            if step + 1 in at:
                looked.append(step + 1)
                seen.append(look(network))
    return looked, seen


# ---------------------------------------------------------------- What a network can be asked


def right_letters(network, X, Y):
    """The share of right letters of each network, (K,): the likeliest letter, the end left out."""
    with torch.no_grad():
        return (network(X[None])[..., 1:].argmax(-1) + 1 == Y).float().mean(1)


def name_scores(network, names, stoi):
    """The log of the probability that networks that read from left to right give to whole names: (K, names)."""
    X, Y = slots(names, stoi)
    X[:, SIDE:] = len(stoi)
    owner = torch.tensor([n for n, name in enumerate(names) for _ in range(len(name) + 1)])
    K = len(network.generators)
    with torch.no_grad():
        of_letters = [
            network(x[None]).log_softmax(-1).gather(-1, y.expand(K, -1)[..., None])[..., 0]
            for x, y in zip(X.split(20_000), Y.split(20_000), strict=True)
        ]
    return torch.zeros(K, len(names)).index_add_(1, owner, torch.cat(of_letters, 1))


def fill_by_scores(network, names, stoi):
    """As `right_letters`, for a network that reads from left to right: try each letter in the gap, score all names."""
    letters = list(stoi)[1:]
    tried = [
        name[:i] + letter + name[i + 1 :]
        for name in names
        for i in range(len(name))
        for letter in letters
    ]
    scores = name_scores(network, tried, stoi).view(len(network.generators), -1, len(letters))
    true = torch.tensor([stoi[letter] - 1 for name in names for letter in name])
    return (scores.argmax(-1) == true).float().mean(1)


def would_repeat(texts, symbols):
    """Which symbols would write three in a row that stand in the text already: bool, (..., symbols).

    texts: numbers of symbols, (..., time).
    """
    repeated = torch.zeros(*texts.shape[:-1], symbols)
    if texts.shape[-1] > 2:
        same = (texts[..., :-2] == texts[..., -2:-1]) & (texts[..., 1:-1] == texts[..., -1:])
        repeated.scatter_add_(-1, texts[..., 2:], same.float())
    return repeated > 0


def print_shares(shares):
    """A line for each: {words: (seeds,), a share}."""
    for words, share in shares.items():
        mean, error = mean_and_error(100 * share)
        print(f"{words}: right letters {mean:.1f} ± {error:.1f} %")


# ---------------------------------------------------------------- Fine-tuning


def at_the_best(dev, test):
    """Early stopping: the test loss where the dev loss is lowest, and that place. dev, test: (looks, K)."""
    place = dev.nan_to_num(float("inf")).argmin(0)
    return test.gather(0, place[None])[0], place


def stopped(curves):
    """{names: {start: (seeds,)}}, test losses after early stopping, from the curves that `draw_curves` takes."""
    return {
        names: {start: at_the_best(*seen.unbind(1))[0] for start, seen in by_start.items()}
        for names, (_, by_start) in curves.items()
    }


# ---------------------------------------------------------------- Pictures

VOWEL, OTHER = "C1", "C0"
STACK = 6  # degrees
MODELS = {"reader": "C0", "filler": "C1", "permutation": "C2"}
STARTS = {"nothing": "0.35", "skip-gram": "C2", "embedding": "C4", "shuffled": "C1", "girls": "C0"}


def draw_letters(vectors, itos, vowels):
    """The directions of vectors of two numbers: each letter at its angle to the mean direction, a picture for each.

    Letters are rounded to STACK degrees, and those with the same angle stand on each other.
    vectors: {title: (symbols, 2)}. vowels: their numbers; they have a color of their own.
    """
    stacks = {}
    for title, V in vectors.items():
        V = V[1:] / V[1:].norm(dim=1, keepdim=True).clamp(min=1e-9)
        mean = V.mean(0)
        across = V[:, 0] * mean[1] - V[:, 1] * mean[0]
        angles = (across.atan2(V @ mean) * 180 / torch.pi).nan_to_num()
        stacks[title] = {}
        for n in angles.argsort().tolist():
            stacks[title].setdefault(STACK * round(angles[n].item() / STACK), []).append(n + 1)
    rows = [max(map(len, stack.values())) + 1 for stack in stacks.values()]
    size = (9.4, min(12, 1.4 + 0.15 * sum(rows)))
    _, axes = plt.subplots(len(rows), 1, figsize=size, sharex=True, height_ratios=rows)
    for ax, top, (title, stack) in zip(axes, rows, stacks.items(), strict=True):
        ax.plot([*stack], [0] * len(stack), alpha=0)  # for the limits
        for angle, letters in stack.items():
            for height, n in enumerate(letters):
                style = {"color": VOWEL, "weight": "bold"} if n in vowels else {"color": OTHER}
                ax.text(angle, height, itos[n], ha="center", va="center", fontsize=8, **style)
        ax.set(title=title, ylabel="letters", yticks=[], ylim=(-0.8, top - 0.2))
    axes[-1].margins(x=0.05)
    words = (
        f"direction of the letter's vector, in degrees from the mean of all (rounded to {STACK})"
    )
    axes[-1].set_xlabel(words)
    plt.show()


def draw_relabelled(of_sets, of_vowels):
    """A histogram of the differences of random sets, and that of the vowels as a line, a picture for each title.

    Each picture has its own scale: without order all differences are tiny.

    of_sets: {title: (sets,)}. of_vowels: {title: (1,)}. Returns how many sets reach the vowels, by title.
    """
    _, axes = plt.subplots(1, len(of_sets), figsize=(9.4, 2.8))
    for ax, (title, sets) in zip(axes, of_sets.items(), strict=True):
        ax.hist(sets.nan_to_num().numpy(), bins=40, color="0.6", label="random sets")
        ax.axvline(of_vowels[title].item(), color=VOWEL, linewidth=2, label="the vowels")
        ax.set(title=title, xlabel="cosine within the set less across (own scale)")
    axes[0].set_ylabel("random sets")
    axes[0].legend(fontsize=8)
    plt.show()
    as_large = {t: (sets >= of_vowels[t]).sum().item() for t, sets in of_sets.items()}
    for (title, found), sets in zip(as_large.items(), of_sets.values(), strict=True):
        print(
            f"{title:16} vowels {of_vowels[title].item():.3f}, random sets above: {found} of {len(sets):,}"
        )
    return as_large


def gap_tables(network, names, stoi):
    """What networks that fill gaps say to each stretch of gaps: {(name, first, count): (length, letters)}.

    The mean of the probabilities of the K networks; nan in the rows of letters that are seen. first counts from 1.
    """
    tables = {}
    for name in names:
        X, _ = slots([name], stoi)
        here = torch.arange(len(name))[:, None] + torch.tensor(
            [*range(-SIDE, 0), *range(1, SIDE + 1)]
        )
        for first, count in itertools.product(range(1, len(name) + 1), repeat=2):
            gap = range(first - 1, min(first - 1 + count, len(name)))
            x = X[:-1].where(~torch.isin(here, torch.tensor(gap)), len(stoi))
            with torch.no_grad():
                table = network(x[None])[..., 1:].softmax(-1).mean(0)
            seen = torch.tensor([i not in gap for i in range(len(name))])
            tables[name, first, count] = table.masked_fill(seen[:, None], float("nan"))
    return tables


def gap_panel(figure, tables, letters):
    """For helpers.Panel: the probability of each letter in each gap, as a heat map. letters: without the end."""
    size = max(len(name) for name, *_ in tables)
    ax = figure.subplots()
    ax.grid(False)
    norm = PowerNorm(0.5, 0, 1)  # small probabilities are seen as well
    image = ax.imshow(
        torch.zeros(len(letters), size).numpy(), cmap="Blues", norm=norm, aspect="auto"
    )
    figure.colorbar(image, ax=ax, label="probability")
    right = ax.scatter([0], [0], s=90, facecolors="none", edgecolors="C1", linewidths=2.5)
    texts = [
        ax.text(n, -1.4, "", ha="center", va="center", weight="bold", fontsize=14)
        for n in range(size)
    ]
    ax.set(xticks=range(size), xticklabels=range(1, size + 1), ylim=(len(letters) - 0.5, -2.4))
    ax.set_yticks(range(len(letters)), letters, fontsize=min(8, 220 / len(letters)))
    ax.set(xlabel="place in the name", ylabel="letter (ring: the right one)")

    def update(name, first, count):
        table = tables[name, first, count]
        image.set_data(table.T.nan_to_num(0.0).numpy())
        hidden = ~table[:, 0].isnan()
        places = hidden.nonzero()[:, 0].tolist()
        right.set_offsets([(n, letters.index(name[n])) for n in places])
        for n, text in enumerate(texts):
            text.set_text("_" if n < len(name) and hidden[n] else name[n : n + 1])
        shown = "".join("_" if gone else letter for letter, gone in zip(name, hidden, strict=True))
        words = []
        for n in places:
            p, best = table[n].max(0)
            own = table[n, letters.index(name[n])]
            words.append(
                f"{letters[best]} {100 * p:.0f} %"
                + (
                    " (right)"
                    if letters[best] == name[n]
                    else f" (the right {name[n]} {100 * own:.0f} %)"
                )
            )
        return f"{shown}: likeliest " + ", then ".join(words) + "."

    return update


def draw_curves(curves):
    """Test loss over the steps of two starts, one picture for each number of names.

    curves: {names: (steps, {start: (looks, 2, seeds)})}, dev and test.
    """
    _, axes = plt.subplots(1, len(curves), figsize=(9.6, 3.6), sharey=True)
    for ax, (names, (steps, by_start)) in zip(axes, curves.items(), strict=True):
        for start in ("nothing", "girls"):
            loss, color = by_start[start][:, 1].mean(1), STARTS[start]
            ax.plot(steps, loss, "o-", color=color, label=start, markersize=4)
        ax.set(title=f"{names:,} boys' names", xlabel="steps")
    axes[0].set_ylabel("test loss, mean of five")
    axes[-1].legend(title="start")
    plt.show()


def draw_fills(shares, found):
    """What each model fills: right letters in %, by letters in sight on the right, and by the share that is hidden.

    shares: of the second picture. found: {model: ((SIDE + 1, seeds), (shares, seeds))}; the second may be None.
    """
    _, axes = plt.subplots(1, 2, figsize=(9.4, 3.6), sharey=True)
    for who, parts in found.items():
        for ax, places, part in zip(axes, (range(SIDE + 1), shares), parts, strict=True):
            if part is not None:
                style = {"fmt": "o-", "capsize": 3, "color": MODELS[who], "label": who}
                ax.errorbar(places, *mean_and_error(part.T), **style)
    axes[0].set(xlabel="letters in sight on the right", ylabel="right letters in %")
    axes[0].set(title="the whole left side in sight")
    axes[1].set(xlabel="probability that a letter is hidden", title="both sides")
    axes[0].legend(fontsize=8)
    plt.show()


def draw_ways(of_ways, untrained):
    """The test loss of each way of fine-tuning, a point with its error. of_ways: {way: (rate, (seeds,))}.

    untrained: (seeds,), without fine-tuning, a dotted line.
    """
    _, ax = plt.subplots(figsize=(9.4, 3.2))
    for place, (_, loss) in enumerate(of_ways.values()):
        mean, error = mean_and_error(loss)
        ax.errorbar(mean, place, xerr=error, fmt="o", capsize=4, color=STARTS["girls"])
    ax.axvline(untrained.mean(), color="0.35", linestyle=":", label="not fine-tuned")
    ax.set_yticks(range(len(of_ways)), of_ways)
    ax.invert_yaxis()
    ax.set(
        xlabel="test loss on boys' names, mean of five", title="What is trained on 100 boys' names"
    )
    ax.margins(y=0.1)
    ax.legend(fontsize=8, loc="center")
    plt.show()


def draw_transfer(best, untrained, guess=None):
    """The test loss after early stopping over the number of names, and a table: the climax.

    best: {size: {kind: (seeds,)}}. untrained: (seeds,), the girls' model as it is.
    """
    plt.figure(figsize=(9.4, 5))
    mean, error = mean_and_error(untrained)
    plt.axhline(mean, color=STARTS["girls"], linestyle=":", label="girls, not trained on")
    sizes = list(best)
    for n, (kind, color) in enumerate(STARTS.items()):
        rows = [mean_and_error(best[size][kind]) for size in sizes]
        means, errors = zip(*rows, strict=True)
        places = [size * 1.09 ** (n - 2) for size in sizes]
        plt.errorbar(places, means, errors, fmt="o-", color=color, capsize=3, label=kind)
    if guess is not None:
        guess.mark(plt.gca(), "y")
    plt.xscale("log")
    plt.xticks(sizes, [f"{size:,}" for size in sizes])
    plt.minorticks_off()
    plt.xlabel("boys' names to train on")
    plt.ylabel("test loss per letter, mean of five")
    plt.legend(title="start")
    plt.title("Five starts (markers are moved aside, so that none hides another)")
    plt.show()
    print("boys' names".ljust(11), *[f"{size:>15,}" for size in sizes])
    for kind in STARTS:
        row = [mean_and_error(best[size][kind]) for size in sizes]
        print(f"{kind:11}", *[f"{mean:.3f} ± {error:.3f}".rjust(15) for mean, error in row])
    print(f"girls, not trained on: {mean:.3f} ± {error:.3f}")
