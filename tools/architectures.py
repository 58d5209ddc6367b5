"""Train every kind of network of the series on the names, at equal parameters, and save their dev losses.

python tools/architectures.py [steps]   writes architectures.json, from which the README has its table. All have about
11,900 parameters; a minibatch has 32 names, or 228 letters where a network reads a window, which is about as many.
Adam, five seeds as one stack, and the rate that the lesson uses for 400 steps (for the deep MLP that of the other
windows), falling to 0 along a cosine, so each length of training is a training of its own. It takes a quarter of an
hour on one core.
"""

import argparse
import json
import math
import sys
import time
from collections import defaultdict
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from lessonkit import ROOT, attention, recurrent
from lessonkit.data import build_dataset, load_splits, split_names
from lessonkit.training import mean_and_error

FILE = ROOT / "architectures.json"
SEEDS = range(5)
LENGTHS = [250, 500, 1_000, 2_000, 4_000]  # steps
DEV_NAMES = 1_000


class DeepWindow(recurrent.Window):
    """A Window with more tanh layers of the same width behind its first, at gain 5/3."""

    def __init__(self, block, units, layers, seeds, symbols):
        super().__init__(block, units, seeds, symbols)
        std = (5 / 3) / units**0.5
        self.more = [
            std * torch.stack([torch.randn((units, units), generator=g) for g in self.generators])
            for _ in range(layers - 1)
        ]
        self.biases = [torch.zeros_like(self.b) for _ in self.more]
        for p in [*self.more, *self.biases]:
            p.requires_grad_()

    def parameters(self):
        return [*super().parameters(), *self.more, *self.biases]

    def __call__(self, X):
        K, symbols, _ = self.C.shape
        rows = X + symbols * torch.arange(K).view(-1, 1, 1)
        x = torch.nn.functional.embedding(rows, self.C.flatten(0, 1)).flatten(2)
        for W, b in zip([self.W, *self.more], [self.b, *self.biases], strict=True):
            x = torch.tanh(x @ W + b)
        return x @ self.V + self.c


class Tree(recurrent.Window):
    """A dilated convolution, read at its last place: three layers that join neighbors, with gated linear units."""

    def __init__(self, units, seeds, symbols):
        super().__init__(2, units, seeds, symbols)  # C, V, c; W and b join two embeddings
        self.block = 8
        shapes = [(20, 2 * units), (2 * units, 2 * units), (2 * units, 2 * units)]
        self.layers = [
            torch.stack([torch.randn(shape, generator=g) for g in self.generators])
            / shape[0] ** 0.5
            for shape in shapes
        ]
        self.biases = [torch.zeros(len(self.generators), 1, 2 * units) for _ in shapes]
        for p in [*self.layers, *self.biases]:
            p.requires_grad_()

    def parameters(self):
        return [self.C, *self.layers, *self.biases, self.V, self.c]

    def __call__(self, X):
        K, symbols, _ = self.C.shape
        rows = X + symbols * torch.arange(K).view(-1, 1, 1)
        x = torch.nn.functional.embedding(rows, self.C.flatten(0, 1)).flatten(1, 2)
        for W, b in zip(self.layers, self.biases, strict=True):
            x = torch.nn.functional.glu(x.reshape(K, -1, W.shape[1]) @ W + b, -1)
        return x @ self.V + self.c


def train(network, loss_of, steps, rate):
    """Adam at a rate that falls to 0 along a cosine. Returns the seconds that this process worked."""
    parameters, began = network.parameters(), time.process_time()
    adam = recurrent.Adam(parameters)
    for step in range(steps):
        gradients = torch.autograd.grad(loss_of(network).sum(), parameters)
        lrs = torch.full((len(SEEDS), 1, 1), rate * (1 + math.cos(math.pi * step / steps)) / 2)
        with torch.no_grad():
            recurrent.clip(gradients, torch.tensor(1.0))
            adam.step(gradients, lrs)
    return time.process_time() - began


def plans(data):
    """{name: (a function that makes the network, its loss for training, its loss on dev, rate)}."""
    symbols, (names, dev_names, _) = len(data.stoi), split_names(data.names)
    dev_names = dev_names[:DEV_NAMES]
    columns, dev = (recurrent.padded(some, data.stoi) for some in (names, dev_names))

    def windows(block):
        train_set, dev_set = (build_dataset(some, data.stoi, block) for some in (names, dev_names))
        return recurrent.window_loss(*train_set, 228), lambda n: recurrent.window_dev_loss(
            n, *dev_set
        )

    def cell(which, units, **start):
        def made():
            return recurrent.Recurrent(which, units, SEEDS, symbols, symbols, **start)

        return made, recurrent.names_loss(columns), lambda n: recurrent.names_dev_loss(n, dev)

    gated, eight = {"gain": recurrent.TORCH, "keep": 1.0}, windows(8)
    return {
        "MLP, 3 letters": (lambda: recurrent.Window(3, 200, SEEDS, symbols), *windows(3), 0.006),
        "MLP, 8 letters": (lambda: recurrent.Window(8, 107, SEEDS, symbols), *eight, 0.006),
        "deep MLP, 8 letters": (lambda: DeepWindow(8, 46, 4, SEEDS, symbols), *eight, 0.006),
        "dilated convolution": (lambda: Tree(34, SEEDS, symbols), *eight, 0.012),
        "RNN": (*cell(recurrent.rnn, 85), 0.006),
        "GRU": (*cell(recurrent.gru, 47, **gated), 0.012),
        "LSTM": (*cell(recurrent.lstm, 40, **gated), 0.024),
        "Transformer": (
            lambda: attention.Transformer(SEEDS, symbols),
            attention.names_loss(columns),
            lambda n: attention.names_dev_loss(n, dev),
            0.006,
        ),
    }


def count_tables(data):
    """The dev losses of tables that count what follows the last letters, smoothed by those of one letter less."""
    names, dev_names, _ = split_names(data.names)
    found, symbols = {}, len(data.stoi)
    share = torch.full((symbols,), 1 / symbols)
    shares = {(): share}
    for size in range(6):
        X, Y = build_dataset(names, data.stoi, max(size, 1))
        counts = defaultdict(lambda: torch.zeros(symbols))
        for context, answer in zip(
            X[:, X.shape[1] - size :].tolist() if size else [()] * len(Y), Y, strict=True
        ):
            counts[tuple(context)][answer] += 1
        below, shares_now = shares, {}
        for context, count in counts.items():
            less = below.get(context[1:], share) if size else share
            shares_now[context] = (count + 5 * less) / (count.sum() + 5)
        shares = {**below, **shares_now}
        X, Y = build_dataset(dev_names[:DEV_NAMES], data.stoi, max(size, 1))
        total = 0.0
        for context, answer in zip(X.tolist(), Y.tolist(), strict=True):
            context = tuple(context[len(context) - size :]) if size else ()
            while context not in shares:
                context = context[1:]
            total -= shares[context][answer].log().item()
        found[size] = total / len(Y)
    return found


def main(lengths):
    torch.set_num_threads(1)
    data, saved = load_splits(), {"dev_names": DEV_NAMES, "networks": {}}
    tables = count_tables(data)
    best = min(tables, key=tables.get)
    saved["count table"] = {"letters": best, "dev": tables[best]}
    print(f"count table of {best} letters: {tables[best]:.3f}", flush=True)
    for name, (made, loss_of, dev_loss, rate) in plans(data).items():
        rows = {}
        for steps in lengths:
            network = made()
            seconds = train(network, loss_of, steps, rate)
            mean, error = (part.item() for part in mean_and_error(dev_loss(network)))
            rows[steps] = {"dev": mean, "error": error, "seconds": seconds}
            print(
                f"{name:20} {steps:5} steps {mean:.3f} ± {error:.3f}, {seconds:.0f} s", flush=True
            )
        parameters = sum(p[0].numel() for p in network.parameters())
        saved["networks"][name] = {"parameters": parameters, "rate": rate, "steps": rows}
    FILE.write_text(json.dumps(saved, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument(
        "steps", nargs="*", type=int, help="lengths of the trainings", default=LENGTHS
    )
    main(parser.parse_args().steps)
