"""Checkers for the exercises of lesson 13."""

import numbers

import torch

from exercises import Wrong, as_number, as_tensor, call, exercise
from lessonkit.thresholds import inputs, two_layers


def parts_of(result, count, what):
    """The parts of what a function returned. Raises Wrong if there are not `count` of them."""
    if not isinstance(result, tuple | list) or len(result) != count:
        raise Wrong(f"{what} are asked for, and your function returned something else.")
    return result


def row_as_text(row):
    """An input in words, such as (0, 1, 1)."""
    return f"({', '.join(f'{bit:.0f}' for bit in row.tolist())})"


@exercise("13.1")
def at_least(answer):
    """Weights, (N,), and a bias of a unit that says whether at least k of N bits are 1."""
    for k, N in ((2, 3), (1, 2), (3, 3), (3, 5)):
        weights, bias = parts_of(call(answer, k, N), 2, "two things, weights and bias,")
        weights = as_tensor(weights, (N,), "weights").double()
        bias = as_number(bias, "bias")
        bits = inputs(N).double()
        said, wanted = bits @ weights + bias > 0, bits.sum(1) >= k
        if torch.equal(said, wanted):
            continue
        start = f"k = {k}, N = {N}: "
        if torch.equal(said, bits.sum(1) > k):
            raise Wrong(
                f"{start}your unit asks for more than k ones. What is its sum with exactly k, and is that above 0?"
            )
        if said.all():
            raise Wrong(f"{start}the unit always says 1. Which sign must the bias have?")
        if torch.equal(said, bits.sum(1) >= k - 1):
            raise Wrong(f"{start}k - 1 ones are enough for your unit. Where must the bias lie?")
        row = bits[said != wanted][0]
        raise Wrong(f"{start}the answer for {row_as_text(row)} is wrong. What is the sum there?")
    return "Any bias between -k and -k + 1 does: a threshold has room, and -k + 0.5 is its middle."


@exercise("13.2")
def exactly_one(answer):
    """W1 (N, 2), b1 (2,), W2 (2,) and b2 of a network that says whether exactly one of N bits is 1."""
    for N in (2, 3, 5):
        parts = parts_of(call(answer, N), 4, "four things, W1, b1, W2, b2,")
        W1 = as_tensor(parts[0], (N, 2), "W1").float()
        b1, W2 = (
            as_tensor(part, (2,), name).float()
            for part, name in zip(parts[1:3], ("b1", "W2"), strict=True)
        )
        b2 = as_number(parts[3], "b2")
        bits = inputs(N)
        said = two_layers(bits, W1, b1, W2, b2) == 1
        ones = bits.sum(1)
        if torch.equal(said, ones == 1):
            continue
        start = f"{N} bits: "
        if torch.equal(said, ones >= 1):
            raise Wrong(
                f"{start}it says yes for two ones as well. What must the second unit take back?"
            )
        if torch.equal(said, ones != 1):
            raise Wrong(f"{start}every answer is turned round. Which sign has each weight of W2?")
        if not said.any():
            raise Wrong(f"{start}it never says yes. What is the output's sum with exactly one 1?")
        row = bits[said != (ones == 1)][0]
        raise Wrong(
            f"{start}the answer for {row_as_text(row)} is wrong. What do the hidden units say there?"
        )
    return "At least one, less at least two: two hidden units are enough for any number of bits."


@exercise("13.3")
def why_not(answer):
    """Two rows with the answer yes and two with no, that have the same middle: the reason why no unit can do it."""
    counts = [(2, (1,)), (2, (0, 2)), (3, (1, 3)), (3, (1,)), (4, (0, 3))]
    for N, yes_for in counts:
        bits = inputs(N)
        answers = torch.isin(bits.sum(1), torch.tensor(yes_for).float())
        rows = parts_of(call(answer, bits.clone(), answers.clone()), 4, "four rows, i, j, k, l,")
        start = f"{N} bits, yes where the number of ones is in {yes_for}: "
        if not all(isinstance(as_whole(row), int) for row in rows):
            raise Wrong(f"{start}the four must be numbers of rows, from 0 to {len(bits) - 1}.")
        i, j, k, l = map(as_whole, rows)
        if not all(0 <= row < len(bits) for row in (i, j, k, l)):
            raise Wrong(f"{start}there are only the rows 0 to {len(bits) - 1}.")
        said = [bool(answers[row]) for row in (i, j, k, l)]
        if said == [False, False, True, True]:
            raise Wrong(f"{start}the right rows, but the two yes's should come first.")
        if said != [True, True, False, False]:
            raise Wrong(f"{start}the first two must have the answer yes, the others no. Do they?")
        if not torch.equal(bits[i] + bits[j], bits[k] + bits[l]):
            shown = [row_as_text(bits[row]) for row in (i, j, k, l)]
            raise Wrong(
                f"{start}{shown[0]} and {shown[1]} do not have the same middle as {shown[2]} and {shown[3]}. "
                "What do two pairs with one middle have in common?"
            )
    return "Four rows are a proof: whatever the weights are, both pairs have the same sum."


def as_whole(value):
    """A whole number from a number or a tensor of one element; anything else as it is."""
    if isinstance(value, torch.Tensor) and value.numel() == 1:
        value = value.item()
    if isinstance(value, numbers.Real) and not isinstance(value, bool) and value == value:
        return int(value) if int(value) == value else value
    return value
