"""Recurrent cells, stacks of networks made of them, and tasks that need memory (lesson 17 and its companion).

A *cell* is a function `cell(x, state, W, U, b)`: from an input x, (..., N, inputs), and a state, (..., N, state), the
next state. W: (..., inputs, gates * units), U: (..., units, gates * units), b: (..., 1, gates * units). The state of
`rnn` and `gru` is h, (..., N, units); that of `lstm` is h and the cell c side by side, (..., N, 2 * units).
The leading dimensions may hold K networks. A sequence of inputs has time first: (time, ..., N, inputs).

LSTM: S. Hochreiter and J. Schmidhuber 1997, with the forget gate of F. Gers and others 2000. GRU: K. Cho and others
2014, arXiv 1406.1078, in torch's form. The gates stand in torch's order.
"""

from collections import Counter

import matplotlib.pyplot as plt
import torch
import torch.nn.functional as F

from lessonkit.data import build_dataset, split_names
from lessonkit.interrupts import progress, stoppable
from lessonkit.training import mean_and_error

# ---------------------------------------------------------------- Cells


def rnn(x, h, W, U, b):
    """The plain cell: tanh of a sum. One gate."""
    return torch.tanh(x @ W + h @ U + b)


def lstm(x, state, W, U, b):
    """Input gate, forget gate, candidate, output gate, in this order. Four gates; the state is h and c."""
    h, c = state.chunk(2, -1)
    i, f, g, o = (x @ W + h @ U + b).chunk(4, -1)
    c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
    return torch.cat([torch.sigmoid(o) * torch.tanh(c), c], -1)


def gru(x, h, W, U, b):
    """Reset gate, update gate, candidate, in this order. Three gates; the update gate says how much is *kept*."""
    xr, xz, xn = (x @ W + b).chunk(3, -1)
    hr, hz, hn = (h @ U).chunk(3, -1)
    keep, new = torch.sigmoid(xz + hz), torch.tanh(xn + torch.sigmoid(xr + hr) * hn)
    return keep * h + (1 - keep) * new


def gru_normed(x, h, W, U, b):
    """A GRU whose sums over x and over h are standardized over the units. J. Ba and others 2016, arXiv 1607.06450.

    Without the gains that they learn.
    """
    from_x, from_h = F.layer_norm(x @ W, W.shape[-1:]) + b, F.layer_norm(h @ U, U.shape[-1:])
    (xr, xz, xn), (hr, hz, hn) = from_x.chunk(3, -1), from_h.chunk(3, -1)
    keep, new = torch.sigmoid(xz + hz), torch.tanh(xn + torch.sigmoid(xr + hr) * hn)
    return keep * h + (1 - keep) * new


GATES = {"rnn": 1, "lstm": 4, "gru": 3}  # by the name of the cell
KEEPS = {"lstm": 1, "gru": 1}  # the place of the gate that keeps: forget gate, update gate
STATES = {"lstm": 2}  # the state's size in units, if it is not 1
TORCH = 3**-0.5  # torch draws U uniformly up to ± 1 / sqrt(units): this gain


def kind_of(cell):
    """ "rnn", "lstm" or "gru": how the cell's name begins. Raises ValueError if it begins otherwise."""
    kind = cell.__name__.partition("_")[0]
    if kind not in GATES:
        raise ValueError(
            f"a cell's name begins with one of {', '.join(GATES)}, and not as {cell.__name__!r}."
        )
    return kind


def unroll(cell, xs, state, *weights):
    """All states, the first one included: time + 1 of them."""
    states = [state]
    for x in xs:
        states.append(cell(x, states[-1], *weights))
    return states


def against_torch(cell, time=12, N=32, inputs=8, units=16):
    """The largest difference to torch's own layer of the same kind: (of all outputs, of all gradients of W and U)."""
    kind = kind_of(cell)
    g = torch.Generator().manual_seed(17)
    theirs = {"rnn": torch.nn.RNN, "lstm": torch.nn.LSTM, "gru": torch.nn.GRU}[kind](inputs, units)
    with torch.no_grad():
        for p in theirs.parameters():
            p.copy_(torch.randn(p.shape, generator=g) / units**0.5)
        theirs.bias_hh_l0.zero_()  # torch has two biases, and our cells one
    xs = torch.randn((time, N, inputs), generator=g)
    arriving = torch.randn((time, N, units), generator=g) / (time * N)
    W = theirs.weight_ih_l0.detach().T.clone().requires_grad_()
    U = theirs.weight_hh_l0.detach().T.clone().requires_grad_()
    start = torch.zeros(N, units * STATES.get(kind, 1))
    states = unroll(cell, xs, start, W, U, theirs.bias_ih_l0.detach())
    ours = torch.stack(states[1:])[..., :units]
    out, _ = theirs(xs)
    (ours * arriving).sum().backward()
    (out * arriving).sum().backward()
    of_gradients = [
        (W.grad - theirs.weight_ih_l0.grad.T).abs().max().item(),
        (U.grad - theirs.weight_hh_l0.grad.T).abs().max().item(),
    ]
    return (ours - out).abs().max().item(), max(of_gradients)


# ---------------------------------------------------------------- A stack of networks


class Recurrent:
    """K networks, one for each generator: a cell, and an output layer that reads h.

    cell: a function as above, whose name begins with rnn, lstm or gru; that decides the shapes. gain: U has the std
    gain / sqrt(units). input_std: the std of W, so also that of x @ W for one-hot x. keep: the bias of the gate that
    keeps. gain, input_std and keep may be lists, one for each network. Torch's own start is
    gain = 1 / sqrt(3) and input_std = 1 / sqrt(3 units), drawn uniformly.
    """

    def __init__(self, cell, units, seeds, inputs, outputs, *, gain=1.0, input_std=0.1, keep=0.0):
        self.cell, self.units = cell, units
        self.generators = [torch.Generator().manual_seed(seed) for seed in seeds]
        K, gates = len(self.generators), GATES[kind_of(cell)]

        def drawn(rows, columns, std):
            drawn = torch.stack(
                [torch.randn((rows, columns), generator=g) for g in self.generators]
            )
            return drawn * torch.as_tensor(std).expand(K).view(K, 1, 1)

        gain, kind = torch.as_tensor(gain, dtype=torch.float32), kind_of(cell)
        self.W = drawn(inputs, gates * units, input_std).requires_grad_()
        self.U = drawn(units, gates * units, gain / units**0.5).requires_grad_()
        self.b = torch.zeros(K, 1, gates * units)
        if kind in KEEPS:
            of_gate = self.b.view(K, 1, gates, units)[:, :, KEEPS[kind]]
            of_gate += torch.as_tensor(keep).expand(K).view(K, 1, 1)
        self.b.requires_grad_()
        self.V = drawn(units, outputs, 0.1 / units**0.5).requires_grad_()
        self.c = torch.zeros(K, 1, outputs).requires_grad_()

    def parameters(self):
        return [self.W, self.U, self.b, self.V, self.c]

    def count(self):
        """The number of parameters of one network."""
        return sum(p[0].numel() for p in self.parameters())

    def states(self, xs):
        """All states, time + 1 of them, (K, N, state), from inputs (time, K or 1, N, inputs) and a state of zeros."""
        K, size = len(self.W), self.units * STATES.get(kind_of(self.cell), 1)
        start = torch.zeros(K, xs.shape[-2], size, requires_grad=torch.is_grad_enabled())
        return unroll(self.cell, xs, start, self.W, self.U, self.b)

    def read(self, state):
        """The logits, (..., outputs), that a state, (..., state), gives."""
        return state[..., : self.units] @ self.V + self.c


def clip(gradients, limit):
    """Scale the gradients of each of K networks to a joint length of at most `limit`. Returns the lengths before."""
    length = sum(g.pow(2).sum((1, 2), keepdim=True) for g in gradients).sqrt()
    factor = (limit / (length + 1e-6)).clamp(max=1)
    for g in gradients:
        g *= factor
    return length.flatten()


class SGD:
    """Plain descent for a stack: a rate for each of the K networks, (K, 1, 1)."""

    def __init__(self, parameters):
        self.parameters = parameters

    def step(self, gradients, lrs):
        for p, g in zip(self.parameters, gradients, strict=True):
            p -= lrs * g


class Adam(SGD):
    """Adam (lesson 14) for a stack."""

    def __init__(self, parameters):
        super().__init__(parameters)
        self.means = [torch.zeros_like(p) for p in parameters]
        self.squares = [torch.zeros_like(p) for p in parameters]
        self.steps = 0

    def step(self, gradients, lrs):
        self.steps += 1
        fill, fill_square = 1 - 0.9**self.steps, 1 - 0.999**self.steps
        for p, g, mean, square in zip(
            self.parameters, gradients, self.means, self.squares, strict=True
        ):
            mean.lerp_(g, 0.1)
            square.mul_(0.999).addcmul_(g, g, value=0.001)
            p -= lrs * (mean / fill) / ((square / fill_square).sqrt() + 1e-8)


def train(network, loss_of, steps, lrs, *, limit=1.0, optimizer=Adam, quiet=True):
    """Train a stack. loss_of(network) draws a minibatch for each network and gives the K losses.

    lrs: a rate, or K. limit: the length that gradients are clipped to, or K of them. Each network learns what it would
    learn alone. Returns the losses, (steps done, K), in nats, and the lengths of the gradients before clipping.
    An interruption ends it, and what was learned is kept.
    """
    parameters, K = network.parameters(), len(network.generators)
    lrs = torch.as_tensor(lrs, dtype=torch.float32).expand(K).view(K, 1, 1)
    limit = torch.as_tensor(limit, dtype=torch.float32).expand(K).view(K, 1, 1)
    chosen, losses, lengths = optimizer(parameters), [], []
    with stoppable():
        for _ in progress(steps, quiet=quiet):
            each = loss_of(network)
            gradients = torch.autograd.grad(each.sum(), parameters, materialize_grads=True)
            with torch.no_grad():
                lengths.append(clip(gradients, limit))
                chosen.step(gradients, lrs)
            losses.append(each.detach())
    if not losses:
        return torch.full((1, K), float("nan")), torch.full((1, K), float("nan"))
    return torch.stack(losses), torch.stack(lengths)


def losses_of(logits, answers, counted=None):
    """The mean loss of each network, (K,): logits (..., K, N, outputs), answers (..., K, N), counted: which count."""
    each = F.cross_entropy(logits.flatten(0, -2), answers.flatten(), reduction="none")
    each = each.view(answers.shape)
    if counted is None:
        return each.mean(-1)
    time_and_names = (0, 2)
    return (each * counted).sum(time_and_names) / counted.sum(time_and_names)


# ---------------------------------------------------------------- A task of pure memory

FIRST = 4  # the letters that may come first; as many others follow


def recall_batch(generators, delay, size=32):
    """Sequences of one letter of four, and then `delay` letters of four others; the answer is the first.

    Returns inputs, one-hot, (delay + 1, K, size, 8), and answers, (K, size), one batch for each generator.
    """
    draws = [torch.randint(0, FIRST, (delay + 1, size), generator=g) for g in generators]
    letters = torch.stack(draws, 1)
    answers = letters[0].clone()
    letters[1:] += FIRST
    return F.one_hot(letters, 2 * FIRST).float(), answers


def recall_loss(delay):
    """For `train`: the loss of the task with this delay."""

    def loss_of(network):
        xs, answers = recall_batch(network.generators, delay)
        return losses_of(network.read(network.states(xs)[-1]), answers)

    return loss_of


def recalled(network, delay, size=500):
    """The share of right answers of each network, (K,), on new sequences."""
    g = torch.Generator().manual_seed(999)
    with torch.no_grad():
        xs, answers = recall_batch([g], delay, size)
        guessed = network.read(network.states(xs)[-1]).argmax(-1)
    return (guessed == answers).float().mean(-1)


# ---------------------------------------------------------------- The names


def padded(names, stoi):
    """Names as columns of numbers, (longest + 1, N): each ends in ".", 0; behind that stands -1."""
    longest = max(len(name) for name in names)
    columns = [
        [stoi[letter] for letter in name] + [0] + [-1] * (longest - len(name)) for name in names
    ]
    return torch.tensor(columns).T.contiguous()


def names_logits(network, answers, own=0.0):
    """The logits for each letter of the names, (time, K, N, symbols), from answers, (time, K or 1, N).

    The input of a step is the letter before; of the first step, ".". own: the probability with which it is a letter
    that the network has drawn itself: S. Bengio and others 2015, arXiv 1506.03099.
    """
    symbols = network.W.shape[-2]
    before = torch.cat([torch.zeros_like(answers[:1]), answers[:-1].clamp(min=0)])
    if not own:
        xs = F.one_hot(before, symbols).float()
        return torch.stack([network.read(state) for state in network.states(xs)[1:]])
    logits, state = [], network.states(torch.zeros(0, 1, answers.shape[-1], symbols))[0]
    for time, true in enumerate(before):
        read = _drawn(logits[-1], true, own, network.generators) if time else true
        x = F.one_hot(read, symbols).float()
        state = network.cell(x, state, network.W, network.U, network.b)
        logits.append(network.read(state))
    return torch.stack(logits)


def _drawn(logits, true, own, generators):
    """Letters, (K, N): drawn from the logits with probability `own`, and the true ones otherwise."""
    letters = []
    for one, given, g in zip(logits.detach().softmax(-1), true, generators, strict=True):
        drawn = torch.multinomial(one, 1, generator=g)[:, 0]
        letters.append(torch.where(torch.rand(len(drawn), generator=g) < own, drawn, given))
    return torch.stack(letters)


def names_loss(columns, size=32, own=0.0):
    """For `train`: the loss per letter on `size` names, from `padded`, drawn for each network. own: of names_logits."""

    def loss_of(network):
        picks = [
            torch.randint(0, columns.shape[1], (size,), generator=g) for g in network.generators
        ]
        answers = columns[:, torch.stack(picks)]
        answers = answers[: (answers >= 0).any((1, 2)).sum()]
        logits = names_logits(network, answers, own)
        return losses_of(logits, answers.clamp(min=0), (answers >= 0).float())

    return loss_of


def all_names_loss(columns):
    """For `train`: the loss per letter on all of columns, as of `padded`."""

    def loss_of(network):
        answers = columns[:, None].expand(-1, len(network.generators), -1)
        logits = names_logits(network, answers)
        return losses_of(logits, answers.clamp(min=0), (answers >= 0).float())

    return loss_of


def names_dev_loss(network, columns):
    """The loss per letter of each network, (K,), on all names of `columns`."""
    K = len(network.generators)
    total, counted = torch.zeros(K), 0
    with torch.no_grad():
        for part in columns.split(500, 1):
            answers = part[: (part >= 0).any(1).sum(), None].expand(-1, K, -1)
            there = (answers >= 0).float()
            loss = losses_of(names_logits(network, answers), answers.clamp(min=0), there)
            total, counted = total + loss * there[:, 0].sum(), counted + there[:, 0].sum()
    return total / counted


class Window:
    """K networks as in part one: they read the last `block` letters, through an embedding and one tanh layer."""

    def __init__(self, block, units, seeds, symbols, embedding=10):
        self.block = block
        self.generators = [torch.Generator().manual_seed(seed) for seed in seeds]
        K, fan_in = len(self.generators), block * embedding

        def drawn(rows, columns, std):
            one_each = [torch.randn((rows, columns), generator=g) for g in self.generators]
            return (std * torch.stack(one_each)).requires_grad_()

        self.C = drawn(symbols, embedding, 1.0)
        self.W = drawn(fan_in, units, (5 / 3) / fan_in**0.5)
        self.b = torch.zeros(K, 1, units).requires_grad_()
        self.V = drawn(units, symbols, 0.1 / units**0.5)
        self.c = torch.zeros(K, 1, symbols).requires_grad_()

    def parameters(self):
        return [self.C, self.W, self.b, self.V, self.c]

    def count(self):
        """The number of parameters of one network."""
        return sum(p[0].numel() for p in self.parameters())

    def __call__(self, X):
        """The logits, (K, N, symbols), for contexts X, (K, N, block)."""
        K, symbols, _ = self.C.shape
        rows = X + symbols * torch.arange(K).view(-1, 1, 1)
        x = F.embedding(rows, self.C.flatten(0, 1)).flatten(2)
        return torch.tanh(x @ self.W + self.b) @ self.V + self.c


def window_loss(X, Y, size):
    """For `train`: the loss of Windows on `size` examples of X, (all, block), and Y, drawn for each network."""

    def loss_of(network):
        picks = torch.stack(
            [torch.randint(0, len(X), (size,), generator=g) for g in network.generators]
        )
        return losses_of(network(X[picks]), Y[picks])

    return loss_of


def window_dev_loss(network, X, Y):
    """The loss of each Window, (K,), on all of X and Y."""
    K = len(network.generators)
    with torch.no_grad():
        pieces = [
            len(x) * losses_of(network(x.expand(K, -1, -1)), y.expand(K, -1))
            for x, y in zip(X.split(2_000), Y.split(2_000), strict=True)
        ]
    return sum(pieces) / len(X)


def train_on_names(data, cell, units, seeds, rates, steps, *, dev=1_000, **options):
    """Train a network for each seed at each rate: (parameters of one, dev losses, lengths of the gradients).

    data: a Splits. The losses are (rates, seeds), per letter on the first `dev` dev names; the lengths are those before
    clipping, (steps, rates, seeds). options: of Recurrent or of `train`.
    """
    train_names, dev_names, _ = split_names(data.names)
    of_training = {name: options.pop(name) for name in ("limit", "optimizer") if name in options}
    symbols, each = len(data.stoi), torch.as_tensor(rates).repeat_interleave(len(seeds))
    network = Recurrent(cell, units, [*seeds] * len(rates), symbols, symbols, **options)
    columns = padded(train_names, data.stoi)
    _, lengths = train(network, names_loss(columns), steps, each, **of_training)
    losses = names_dev_loss(network, padded(dev_names[:dev], data.stoi))
    shape = len(rates), len(seeds)
    return network.count(), losses.view(shape), lengths.view(-1, *shape)


def compare_on_names(data, windows, cells, seeds, steps, dev=1_000):
    """Windows and cells on the names: {name: (parameters, dev losses of the seeds)}.

    windows: {letters: (units, rate)}. cells: {cell: (units, rate)}; GRU and LSTM have torch's gain and a bias of 1 in
    the gate that keeps. A minibatch is 32 names, or 228 letters, which is about as many.
    """
    train_names, dev_names, _ = split_names(data.names)
    found = {}
    for block, (units, rate) in windows.items():
        network = Window(block, units, seeds, len(data.stoi))
        examples = build_dataset(train_names, data.stoi, block)
        train(network, window_loss(*examples, 228), steps, rate)
        loss = window_dev_loss(network, *build_dataset(dev_names[:dev], data.stoi, block))
        found[f"MLP, {block} letters"] = network.count(), loss
    for cell, (units, rate) in cells.items():
        start = {"gain": TORCH, "keep": 1.0} if kind_of(cell) in KEEPS else {}
        count, losses, _ = train_on_names(data, cell, units, seeds, [rate], steps, dev=dev, **start)
        found[cell.__name__.upper()] = count, losses[0]
    return found


def next_letters(names, context):
    """What follows this context of letters, by the letter before it: {letter: Counter of the next letters}."""
    found, size = {}, len(context)
    for name in names:
        text = f".{name}."
        for place in range(1, len(text) - size):
            if text[place : place + size] == context:
                found.setdefault(text[place - 1], Counter())[text[place + size]] += 1
    return dict(sorted(found.items(), key=lambda item: -item[1].total()))


# ---------------------------------------------------------------- Pictures

COLORS = ["C0", "C1", "C2", "C3", "C4"]


def time_axes(ax, top=1e4, bottom=1e-8, far=40):
    """An axis of steps back, and one of gradients in powers of ten, with a line at a thousandth."""
    ax.set(
        yscale="log", ylim=(bottom, top), xlim=(-0.5, far + 0.5), xlabel="steps back from the last"
    )
    ax.set_ylabel("rms of the gradient; 1 at the last step")
    ax.axhline(1e-3, color="0.6", linestyle="--", zorder=0)
    ax.text(0.3, 1.3e-3, "a thousandth", color="0.4", fontsize=8)


def draw_fading(ax, measured, theory, label, color, marker="o", **options):
    """Dots for what was measured, every second step, and a line for theory; both of shape (steps back + 1,)."""
    if theory is not None:
        ax.plot(theory, color=color, label=label)
        label = None
    back = torch.arange(0, len(measured), 2)
    ax.plot(back, measured[::2], marker, color=color, markersize=4, label=label, **options)


def steps_to(gradients, share=1e-3):
    """The first step back at which the gradient is at most this share, or nan."""
    below = (gradients <= share).nonzero()
    return below[0].item() if len(below) else float("nan")


def draw_plain(measured, theory, guess):
    """The gradient over time of plain RNNs, by the name of a gain, and its end in a table. guess: steps, marked."""
    ax = plt.figure(figsize=(8, 4)).gca()
    time_axes(ax, top=1e7, bottom=1e-10)
    for name, color in zip(measured, COLORS, strict=False):
        draw_fading(ax, measured[name], theory[name], f"gain {name}", color)
    ax.set_title("A plain RNN: the gradient over time (lines: theory, dots: measured)")
    ax.legend(loc="upper left")
    guess.mark(ax, "x")
    plt.show()
    for name in measured:
        ends = f"{measured[name][-1]:.1e} (theory {theory[name][-1]:.1e})"
        print(f"gain {name:13} 40 steps back: {ends}")


def fading_panel(figure, curves):
    """A panel over the gain of U and the std of the inputs; returns `update`, as helpers.Panel wants it.

    curves: {(gain, input_std): (measured, theory)}, both (steps back + 1,).
    """
    left, right = figure.subplots(1, 2)
    time_axes(left, 1e7, 1e-17)
    left.set(title="One setting (line: theory)", ylabel="rms of the gradient")
    (dots,), (line,) = (
        left.plot([], [], "o", color="C0", markersize=4),
        left.plot([], [], color="C1"),
    )
    gains = sorted({gain for gain, _ in curves})
    (ends,) = right.plot([], [], color="C1")
    (here,) = right.plot([], [], "o", color="C0")
    right.set(
        xlabel="gain of U", yscale="log", ylim=(1e-17, 1e7), xlim=(gains[0] - 0.1, gains[-1] + 0.1)
    )
    right.set_ylabel("40 steps back")
    right.set_title("All gains, for inputs this loud")
    right.axhline(1, color="0.6", linestyle="--", zorder=0)

    def update(gain, input_std):
        measured, theory = curves[gain, input_std]
        dots.set_data(range(0, len(measured), 2), measured[::2])
        line.set_data(range(len(theory)), theory)
        ends.set_data(gains, [curves[one, input_std][1][-1] for one in gains])
        here.set_data([gain], [measured[-1]])
        return (
            f"Gain {gain:.3g}, inputs of std {input_std:g}: 40 steps back the gradient is {measured[-1]:.2g} "
            f"times that of the last step (theory {theory[-1]:.2g})."
        )

    return update


def print_clipped(rates, losses, lengths, limit):
    """A table of dev losses and of the lengths of gradients, over the learning rate.

    losses: {"not clipped" or "clipped": (rates, seeds)}. lengths: the same, of the gradients, (steps, rates, seeds).
    """
    for name, values in losses.items():
        for n, rate in enumerate(rates):
            mean, error = mean_and_error(values[n])
            long = lengths[name][:, n]
            over = 100 * (long > limit).float().mean()
            words = f"longest gradient {long.max():.1f}, above {limit:g} in {over:.0f} % of steps"
            print(f"{name:11} rate {rate:.0f}: loss {mean:5.2f} ± {error:.2f}; {words}")


def draw_two_cells(plain, gated, gate):
    """The gradient over time of RNNs, left, and of LSTMs, right, and a table.

    plain: (measured, theory), by the name of a gain; the first three are drawn. gated: (along the cell, by both ways,
    products), by the forget bias. gate: the forget gate at the start, by its bias. All curves: (steps back + 1,).
    """
    measured, theory = plain
    along, both_ways, products = gated
    figure, axes = plt.subplots(1, 2, figsize=(11, 5), sharey=True)
    titles = "Plain RNN: gain times slope, step by step", "LSTM: the forget gate, step by step"
    for ax, title in zip(axes, titles, strict=True):
        time_axes(ax, 1e2, 1e-9)
        ax.set_title(title)
    for name, color in zip(list(measured)[:3], COLORS, strict=False):
        draw_fading(axes[0], measured[name], theory[name], f"gain {name}", color)
    for bias, color in zip(along, COLORS, strict=False):
        label = f"bias {bias}: {gate[bias]:.2f} per step"
        draw_fading(axes[1], along[bias], products[bias], label, color)
        draw_fading(axes[1], both_ways[bias], None, None, color, mfc="white")
    axes[1].plot([], [], "o", color="0.3", markersize=4, label="along the cell alone")
    axes[1].plot([], [], "o", color="0.3", markersize=4, mfc="white", label="by both ways")
    axes[1].set_ylabel("")
    for ax in axes:
        ax.legend(loc="lower left")
    figure.suptitle("Gradient over time at the start (lines: theory, dashed: a thousandth)")
    plt.show()
    print(f"20 steps back: RNN, gain 0.58: {next(iter(measured.values()))[20]:.0e}")
    for bias in along:
        print(
            f"20 steps back: LSTM, bias {bias}: along the cell {along[bias][20]:.0e} "
            f"(theory {products[bias][20]:.0e}), by both ways {both_ways[bias][20]:.0e}"
        )


def draw_recall(starts, reach, shares, guess):
    """The share of right answers over the gradient that arrives at the start, a point for each start; and a table.

    starts: {cell: (function, setting, values, larger rate)}. reach: {cell: (values + 1,)}, before training.
    shares: {cell: (values + 1, seeds)}, in %; the last row is the first start at the larger rate. guess: a
    helpers.Guess of a share, marked.
    """
    ax = plt.figure(figsize=(9, 5)).gca()
    ax.axhline(100 / FIRST, color="0.6", linestyle=":")
    for (name, (_, setting, values, rate)), color in zip(starts.items(), COLORS, strict=False):
        (mean, error), n = mean_and_error(shares[name].T), len(values)
        ax.errorbar(
            reach[name][:n], mean[:n], error[:n], fmt="o", color=color, capsize=3, label=name
        )
        ax.errorbar(
            reach[name][n:], mean[n:], error[n:], fmt="o", color=color, mfc="white", capsize=3
        )
        between = {"arrowstyle": "->", "color": color, "linestyle": "--"}
        place = reach[name][0]
        ax.annotate("", (place, mean[n]), (place, mean[0]), arrowprops=between)
        for row, which in ((0, "torch's"), (n - 1, "the last")):
            print(
                f"{name:4} {which:8} start, {'gain' if setting == 'gain' else 'bias'} {values[row]:4.2f}: "
                f"gradient {reach[name][row]:.0e}, right {mean[row]:3.0f} ± {error[row]:2.0f} %"
                + (f"; at rate {rate:g} {mean[n]:3.0f} ± {error[n]:2.0f} %" if row == 0 else "")
            )
    ax.set(xscale="log", ylim=(-5, 105), ylabel="right answers in %, mean of five")
    ax.set_xlabel("rms of the gradient 40 steps back, before training; 1 at the last step")
    ax.set_title("What arrives at the start, and what is learned (open: a larger rate)")
    ax.legend(loc="center", bbox_to_anchor=(0.4, 0.6))
    guess.mark(ax, "y")
    plt.show()


def draw_names(losses, steps):
    """Dev losses, one row for each model, and a table. losses: {name: (parameters, (seeds,))}."""
    plt.figure(figsize=(8, 2.6))
    for row, (name, (count, loss)) in enumerate(losses.items()):
        mean, error = mean_and_error(loss)
        plt.errorbar(mean, row, xerr=error, fmt="o", color="C0", capsize=3)
        print(f"{name:14} {mean:.3f} ± {error:.3f}, {count:,} parameters")
    plt.yticks(range(len(losses)), losses)
    plt.gca().invert_yaxis()
    plt.xlabel(f"dev loss per letter after {steps} steps, mean of five")
    plt.title("The names, at equal parameters")
    plt.show()
