"""Checkers for the exercises of lesson 00: each looks for an input on which the answer differs from plain loops."""

import io
import math
from contextlib import redirect_stdout

import torch

from exercises import Wrong, call, described, exercise
from lessonkit import puzzles


def refute(answer, loops, drawn, example, usual):
    """Raise Wrong, with the smallest counter-example found, if the answer is not what the loops say.

    drawn: how the inputs are drawn, for `puzzles.counterexample`. example: inputs large enough to tell the usual
    mistakes apart. usual: pairs of what a mistake makes of the example and the message; the first that fits counts.
    """
    result = call(answer, *(tensor.clone() for tensor in example))
    if isinstance(result, float):
        result = torch.tensor(result)
    if not isinstance(result, torch.Tensor):
        raise Wrong(f"a tensor is asked for, and this is {described(result)}.")
    wanted = torch.tensor(loops(*(tensor.tolist() for tensor in example)))
    with redirect_stdout(io.StringIO()):  # it may print, and is called many times
        found = puzzles.counterexample(loops, answer, **drawn)
    if puzzles.same(wanted, result):
        if not found:
            return
        told = "right for one large input, but not for all. "
        if isinstance(found.line, torch.Tensor) and found.line.shape == found.loops.shape:
            told += "What is special about this one?"
        else:
            told += "Which size have you written down?"
    else:
        told = next((message for made, message in usual if puzzles.same(made, result)), None)
        told = told or _shapes(wanted, result)
    raise Wrong(f"{told} Smallest counter-example found: {found.on_one_line()}." if found else told)


def _shapes(wanted, result):
    """What to say where no usual mistake is recognized."""
    if result.shape != wanted.shape:
        return f"the shape is {tuple(result.shape)} where {tuple(wanted.shape)} is wanted. Which dimension is which?"
    return "the shape is right, the numbers are not. Go through the loops with a pencil: what do they do first?"


def _random(*shape, seed):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


# ---------------------------------------------------------------- 0.1


def side_by_side_by_loops(C, X):
    """For each row of X the rows of C that it names, one after another."""
    return [[number for i in row for number in C[i]] for row in X]


@exercise("0.1")
def side_by_side(answer):
    """Look up, and put side by side."""
    C, X = _random(7, 3, seed=1), torch.tensor([[0, 4, 2, 2, 6], [1, 1, 5, 3, 0]]).repeat(2, 1)
    emb = C[X]  # (4, 5, 3)
    usual = [
        (
            emb,
            "all rows are looked up. But they still stand one below the other: how do you read them anew?",
        ),
        (emb.flatten(), "all numbers in their order, but in one long row. How many rows has X?"),
        (emb.view(-1, 3), "each looked-up row stands alone. How many belong to a row of X?"),
        (
            emb.view(5, -1),
            "as many rows as X has columns. Which of its two sizes is the number of rows?",
        ),
        (emb.sum(1), "the looked-up rows are added. Where have their single numbers gone?"),
        (
            emb.transpose(1, 2).flatten(1),
            "the right numbers, in another order. Which number stands second in the loops, and which in yours?",
        ),
        (
            C[X.T].reshape(4, -1),
            "the right numbers, but the rows of X are mixed. What was turned on the way?",
        ),
    ]
    drawn = {
        "C": puzzles.table("symbols", "width"),
        "X": puzzles.places("rows", "columns", below="symbols"),
    }
    refute(answer, side_by_side_by_loops, drawn, (C, X), usual)
    return (
        "With a `C` of 10 columns and windows of 3 this is the first line of lesson 01's network."
    )


# ---------------------------------------------------------------- 0.2


def standardize_by_loops(x):
    """Each column less its mean, divided by the root of its variance (over n) plus 1e-5."""
    columns = []
    for column in zip(*x, strict=True):
        mean = sum(column) / len(column)
        variance = sum((number - mean) ** 2 for number in column) / len(column)
        columns.append([(number - mean) / math.sqrt(variance + 1e-5) for number in column])
    return [list(row) for row in zip(*columns, strict=True)]


@exercise("0.2")
def standardize(answer):
    """Mean 0 and std 1 for each column."""
    x = 3 * _random(6, 4, seed=2) + 2
    away, var = x - x.mean(0), x.var(0, correction=0)
    rows = x - x.mean(1, keepdim=True)
    usual = [
        (
            rows / (x.var(1, correction=0, keepdim=True) + 1e-5).sqrt(),
            "each row has mean 0 now. Along which dimension do the loops go?",
        ),
        (
            (x - x.mean()) / (x.var(correction=0) + 1e-5).sqrt(),
            "that is one mean and one variance for the whole table. How many of them do the loops compute?",
        ),
        (
            away / (x.var(0) + 1e-5).sqrt(),
            "nearly: your columns come out a little too small. What is the sum of squares divided by, "
            "here and in torch's `var`?",
        ),
        (away / (var + 1e-5), "the mean is right. Divided by the variance, or by its root?"),
        (x / (var + 1e-5).sqrt(), "each column has the right size. And its mean?"),
        (away, "each column has mean 0. And its size?"),
        (
            away / (var.sqrt() + 1e-5),
            "nearly: where does the small number stand, within the root or outside of it?",
        ),
    ]
    refute(answer, standardize_by_loops, {"x": puzzles.table("rows", "columns")}, (x,), usual)
    return "This is what BatchNorm does to a batch: lesson 05."


# ---------------------------------------------------------------- 0.3


def mean_cost_by_loops(P, Y):
    """The mean of -log P[n][Y[n]]."""
    return sum(-math.log(P[n][y]) for n, y in enumerate(Y)) / len(Y)


@exercise("0.3")
def mean_cost(answer):
    """The loss, by two lists of places."""
    P, Y = _random(6, 4, seed=3).softmax(1), torch.tensor([2, 0, 3, 3, 1, 2])
    right = P[range(6), Y]
    usual = [
        (-right.log(), "one cost for each row. The loops give a single number: which?"),
        (-right.log().sum(), "the costs are right and added up. What do the loops do last?"),
        (
            -right.mean().log(),
            "the logarithm of a mean. What do the loops do first, the mean or the logarithm?",
        ),
        (
            -P[:, Y].log().mean(),
            "`:` takes all rows for each y. How many entries should be taken from a row?",
        ),
        (
            -P[Y].log().mean(),
            "that takes whole rows of P. What is y the number of, a row or a place in one?",
        ),
        (right.log().mean(), "the right size, and below 0. Which sign has a cost?"),
        (
            -right.log2().mean(),
            "the right idea, with another logarithm. Which one is `math.log`?",
        ),
        (-P.log().mean(), "the mean over all entries of P. What is Y for?"),
    ]
    drawn = {
        "P": puzzles.table("rows", "classes", of=(1, 0.5, 0.25)),
        "Y": puzzles.places("rows", below="classes"),
    }
    refute(answer, mean_cost_by_loops, drawn, (P, Y), usual)
    return "From logits, `F.cross_entropy` does the same: the loss of this whole series."


# ---------------------------------------------------------------- 0.4


def weighted_sum(x, W, G):
    """The sum over n and j of G[n][j] * tanh(sum over i of x[n][i] * W[i][j])."""
    total = 0.0
    for row, weights in zip(x, G, strict=True):
        for j, weight in enumerate(weights):
            total += weight * math.tanh(sum(a * b[j] for a, b in zip(row, W, strict=True)))
    return total


def gradient_by_loops(x, W, G, step=1e-5):
    """How fast the weighted sum changes with each W[i][j], by nudging it."""
    slopes = [[0.0] * len(row) for row in W]
    for i, row in enumerate(W):
        for j, w in enumerate(row):
            row[j] = w + step
            up = weighted_sum(x, W, G)
            row[j] = w - step
            slopes[i][j] = (up - weighted_sum(x, W, G)) / (2 * step)
            row[j] = w
    return slopes


@exercise("0.4")
def gradient(answer):
    """The gradient by W of a linear layer with tanh, from the gradient by its result."""
    x, W, G = _random(5, 3, seed=4), _random(3, 4, seed=5), _random(5, 4, seed=6)
    z = x @ W
    h = z.tanh()
    usual = [
        (
            x.T @ G,
            "right for a layer without tanh. Which factor does tanh put before each entry of G?",
        ),
        (
            x.T @ (G * h),
            "tanh passes on G times its slope, and h is its value. What is its slope?",
        ),
        (x.T @ (G * (1 - h)), "nearly the slope of tanh. Try it at z = 0 and far below 0."),
        (
            x.T @ (G * (1 - z * z)),
            "1 minus a square is right. The square of what: of tanh's input, or of its output?",
        ),
        (
            (G * (1 - h * h)).T @ x,
            "the right numbers, turned. Which shape has W?",
        ),
        (
            x.T @ (G * (1 - h * h)) / len(x),
            "too small, by a factor. Do the loops take a mean over the rows, or a sum?",
        ),
        (
            (G * (1 - h * h)) @ W.T,
            "that is the gradient by x, and it is right. Which one is asked for?",
        ),
    ]
    drawn = {
        "x": puzzles.table("rows", "inputs"),
        "W": puzzles.table("inputs", "outputs"),
        "G": puzzles.table("rows", "outputs"),
    }
    refute(answer, gradient_by_loops, drawn, (x, W, G), usual)
    return "You have written the backward pass of a hidden layer, and checked it against its definition."
