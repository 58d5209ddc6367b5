"""Checkers for the exercises of lesson 02."""

import math

import torch

from exercises import Wrong, as_number, call, close, described, exercise, recognize


@exercise("2.1")
def expected_loss(answer):
    """The loss of a network that knows nothing and predicts several symbols at once."""
    for symbols, together in ((27, 2), (10, 3), (4, 5), (27, 1)):
        loss = as_number(call(answer, symbols, together), "the loss")
        classes = symbols**together
        if close(loss, math.log(classes), 1e-5):
            continue
        shown = f"{loss:.3f} for {symbols} symbols, {together} at a time"
        usual = [
            (-math.log(classes), "the size is right and the sign is not: can a loss be below 0?"),
            (
                math.log2(classes),
                "that is the right number in bits. In which logarithm are the losses of this series?",
            ),
            (
                1 / classes,
                "that is the probability of the right answer, and it is right. Which loss does it cost?",
            ),
            (
                math.log(symbols * together),
                "a logarithm is right. How many pairs can be made of 3 symbols: 6, or more?",
            ),
            (
                math.log(symbols),
                "that is right for one at a time. Between how many answers does it choose now?",
            ),
        ]
        recognize(loss, usual, 1e-5, start=f"{shown}: ")
        raise Wrong(f"{shown}. How many answers are there, and what probability has the right one?")
    return (
        "You can tell a wrong first loss in any network that classifies, whatever its classes are."
    )


TABLES = ("C", "W1", "b1", "W2", "b2")
ALL = frozenset(TABLES)
# (zero at the start, steps, changed after them); measured with helpers.starter_logits
RUNS = [
    (TABLES, 1, {"b2"}),
    (TABLES, 100, {"b2"}),
    ((), 1, ALL),
    (("W2", "b2"), 1, {"W2", "b2"}),
    (("W2", "b2"), 2, ALL),
    (("W1", "b1", "W2"), 100, {"b2"}),
    (("C", "W1"), 100, {"b1", "W2", "b2"}),
    (("C", "W1", "b1"), 1, {"b1", "b2"}),
]


def _in_words(tables):
    return ", ".join(name for name in TABLES if name in tables) or "none of them"


def _names(result):
    """The learner's list of tables as a set of their names. Raises Wrong."""
    if not isinstance(result, list | tuple | set | frozenset):
        raise Wrong(f"a list of names is asked for, and this is {described(result)}.")
    for name in result:
        if not isinstance(name, str) or name not in TABLES:
            raise Wrong(
                f"{described(name)} is not the name of a table. They are {', '.join(TABLES)}."
            )
    return set(result)


def _why_not(found, zero, steps, right):
    """The mistake that makes these names come out."""
    drawn = ALL - set(zero)
    if not found:
        return "does nothing move at all? If `start` and the trained tables are the same memory, they move together."
    if found == ALL and not zero:
        return ""
    if found == drawn:
        return "these are the drawn ones. Does a table stay at zero because it starts there?"
    if found == ALL - right:
        return "these are the ones that stay. Asked are those that move."
    if found == right | drawn and zero:
        return "were the drawn ones trained, or are they only not zero? Compare with the start."
    if found == ALL:
        return "as if every table had a gradient. What does each step subtract from a table, and was it zero?"
    if steps > 1 and found == next((run[2] for run in RUNS if run[:2] == (zero, 1)), None):
        return "that is right after one step only. Are the gradients computed anew in each step?"
    return ""


@exercise("2.2")
def trained_tables(answer):
    """The lecture's E01: which tables training changes, when some, or all, start at zero."""
    g = torch.Generator().manual_seed(22)
    X = torch.randint(0, 3, (64, 3), generator=g)  # three symbols, which every vocabulary has
    Y = torch.randint(0, 3, (64,), generator=g)
    for done, (zero, steps, right) in enumerate(RUNS):
        found = _names(call(answer, list(zero), X.clone(), Y.clone(), steps))
        if found != right:
            start = f"{done} of {len(RUNS)} runs are right. " if done else ""
            begin = "all five tables" if zero == TABLES else _in_words(zero)
            why = (
                _why_not(found, zero, steps, right) or "which of them has a gradient that is not 0?"
            )
            raise Wrong(
                f"{start}With zero at the start: {begin}. Steps: {steps}. "
                f"You say that {_in_words(found)} changed; {why}"
            )
    return (
        "From zeros everywhere, b2 alone is trained: h is zero, and so is all that comes back through W2. "
        "Can you say which zero holds back which table?"
    )


@exercise("2.3")
def scale_of_W2(answer):
    """The scale of an output layer's weights for a first loss that is 0.02 above log n."""
    scale = as_number(answer, "the scale")
    units, mean_h2, extra = 800, 0.4, 0.02
    total = units * mean_h2
    if close(-scale, math.sqrt(2 * extra / total), 1e-4):
        raise Wrong("the size is right. As a positive number?")
    usual = [
        (
            2 * extra / total,
            "that is the square of the scale, and it is right. Variances are squares, too.",
        ),
        (
            math.sqrt(extra / total),
            "nearly: the extra cost is not the variance of the logits. How large is it beside the variance?",
        ),
        (
            math.sqrt(2 * extra / units),
            "right for `h` that are all -1 or 1. Here their mean square is smaller.",
        ),
        (
            math.sqrt(2 * extra),
            "that is the std that the logits may have, and it is right. How large is it with weights × 1?",
        ),
        (
            math.sqrt(2 * extra) / total,
            "the std of the logits is right. Does a sum of 800 such products have a std 320 times as large?",
        ),
        (
            math.sqrt(2 * extra) / math.sqrt(units * math.sqrt(mean_h2)),
            "nearly: `E[h²]` is given, and it is a mean of squares already. Was another root taken?",
        ),
        (
            math.sqrt(2 * extra) / (math.sqrt(units) * mean_h2),
            "the std may grow with the root of 800, and with the root of what else?",
        ),
        (
            math.sqrt(total / (2 * extra)),
            "upside down: larger weights would make the first loss larger.",
        ),
        (
            math.sqrt(2 * (math.log(50) + extra) / total),
            "that makes the extra cost as large as the whole first loss. What may be on top of `log 50`?",
        ),
        (
            math.sqrt(2 * extra / (total + 1)),
            "the 1 under the root came from b2. What is b2 here?",
        ),
        (
            0.01,
            "that is the factor of the lesson, for 200 units and 27 classes. Here the sum is another one.",
        ),
    ]
    right = math.sqrt(2 * extra / total)
    if close(scale, right, 0.001 * right):
        return "Units, spread of `h`, extra cost: with these three you can choose the scale of any output layer."
    recognize(scale, usual, 0.001, relative=True)
    if close(scale, right, 0.01 * right):
        raise Wrong("very close: give it more digits, or leave the formula in place of the number.")
    raise Wrong(
        f"with {scale:.3g} the logits get the std {math.sqrt(total) * abs(scale):.3g}. Which one may they have?"
    )


def _cost(targets, constant):
    """The mean absolute difference."""
    return (targets.double() - constant).abs().mean().item()


@exercise("2.4")
def best_start(answer):
    """The best constant output for the mean absolute difference, and the loss that it has."""
    g = torch.Generator().manual_seed(24)
    skewed = -10 * torch.rand(101, generator=g).log()
    for targets in (skewed, torch.cat([-skewed[:40] - 3, torch.tensor([500.0])])):
        result = call(answer, targets.clone())
        if not isinstance(result, tuple | list) or len(result) != 2:
            raise Wrong("two numbers are asked for: return constant, loss.")
        constant, loss = as_number(result[0], "the constant"), as_number(result[1], "the loss")
        best, mean = targets.median().item(), targets.mean().item()
        lowest, cost = _cost(targets, best), _cost(targets, constant)
        if close(constant, lowest, 1e-3) and close(loss, best, 1e-3):
            raise Wrong("both numbers are right, in the other order: the constant comes first.")
        if cost > 1.01 * lowest:
            shown = f"always saying {constant:.2f} costs {cost:.2f} here, and there are constants that cost less"
            if close(constant, mean, 1e-3):
                raise Wrong(
                    f"{shown}: the mean is best for squares. Here a distance counts once, not times itself."
                )
            if close(constant, (targets.min() + targets.max()).item() / 2, 1e-3):
                raise Wrong(
                    f"{shown}: that is the middle of the range. How many targets lie on either side?"
                )
            if close(constant, 0, 1e-6):
                raise Wrong(f"{shown}. Small outputs come from small weights; and the bias?")
            raise Wrong(f"{shown}. Try some constants and plot what they cost.")
        distances = (targets - best).abs()
        usual = [
            (targets.var(correction=0), "the variance goes with squares."),
            (targets.var(), "the variance goes with squares."),
            (targets.std(correction=0), "the std is the root of a mean of squares."),
            (targets.std(), "the std is the root of a mean of squares."),
            ((distances**2).mean(), "that is the mean of the squares."),
            (_cost(targets, mean), "that is what the mean would cost."),
            (distances.sum(), "that is a sum. Is the loss not a mean?"),
            (
                abs(mean - best),
                "that is the mean of differences with their signs, and they cancel.",
            ),
            (distances.median(), "that is the median of the distances. Asked is their mean."),
        ]
        if close(loss, cost, 1e-3 * cost):
            continue
        start = "the constant is right, the loss is not: "
        recognize(abs(loss), usual, 1e-3, relative=True, start=start)
        raise Wrong(
            f"the constant is right. But {loss:.2f} is not what it costs: how far is it from the targets, on average?"
        )
    return (
        "Each loss has a best constant of its own: the mean for squares, the median for distances."
    )
