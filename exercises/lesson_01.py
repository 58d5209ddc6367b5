"""Checkers for the exercises of lesson 01."""

import math

import torch
import torch.nn.functional as F

from exercises import Wrong, as_number, call, close, described, exercise, recognize


@exercise("1.1")
def probability_of_a_name(answer):
    """With which probability a name of six letters is written, from its mean loss."""
    p = as_number(answer, "the probability")
    usual = [
        (
            math.exp(-12),
            "six factors. That is the right idea; but how does the reader of the list see where the name stops?",
        ),
        (
            math.exp(-2),
            "that is the (geometric) mean probability of one symbol, and it is right. How many must all come true?",
        ),
        (
            math.exp(-2 / 7),
            "that is more likely than one symbol alone. The mean is there already; what undoes a division by 7?",
        ),
        (
            7 * math.exp(-2),
            "the right probability of one symbol, seven times. Are probabilities that must all come true added?",
        ),
        (math.exp(14), "a probability above 1? Look at the sign in `−log p`."),
        (
            -14,
            "that is the logarithm of the answer, and it is right. How do you get from log p to p?",
        ),
        (14, "that is what the whole name costs, and it is right. Which p has this `−log p`?"),
        (
            2**-14,
            "the number of symbols is right, the logarithm is not. In which one are the losses of this series?",
        ),
        (
            10**-14,
            "the number of symbols is right, the logarithm is not. In which one are the losses of this series?",
        ),
        (
            math.exp(-16),
            "one symbol too many. The dots before the name are given; which of them is drawn?",
        ),
    ]
    recognize(p, usual, 0.005, relative=True)
    if not 0 < p < 1:
        raise Wrong(f"{p:g} is no probability: that of a name lies between 0 and 1.")
    if not close(p, math.exp(-14), 0.01 * math.exp(-14)):
        raise Wrong(
            f"{p:.3g} lies between 0 and 1, as it should. What does the whole name cost, and which p costs that?"
        )
    return "Now you can read a mean loss as a bet: so likely is it that a whole name comes out."


def _dataset(words, block_size):
    """The examples of words of a, b, c ..., as in the lesson: contexts (N, block_size) and targets (N,)."""
    contexts, targets = [], []
    for word in words:
        context = [0] * block_size
        for symbol in [*(ord(letter) - 96 for letter in word), 0]:
            contexts.append(context)
            targets.append(symbol)
            context = [*context[1:], symbol]
    return torch.tensor(contexts), torch.tensor(targets)


def _broken_datasets():
    """Datasets with one fault each: (X, Y, the fault, the question that leads on)."""
    X, Y = _dataset(["emma", "olivia", "al"], 3)
    carried = torch.tensor([([0, 0, 0, *Y[:i].tolist()])[-3:] for i in range(len(Y))])
    leak = torch.cat([X[:, 1:], Y[:, None]], dim=1)
    older, first = X.clone(), X.clone()
    older[8, 0] = 20  # "oli" → "tli": the oldest symbol, in the middle of a name
    first[0, 0] = 7
    newest = X.clone()
    newest[8, 2] = 20
    newest[9, 1], newest[10, 0] = 20, 20  # the rows after it agree with it
    return [
        (
            leak,
            Y,
            "whose contexts hold their own target",
            "Where does a target turn up in the contexts, and in which row for the first time?",
        ),
        (
            X,
            Y.roll(1),
            "whose targets are shifted by one row",
            "What does the target of a row have to do with the row after it?",
        ),
        (
            torch.cat([X[:1], X[:-1]]),
            Y,
            "whose contexts come one row late",
            "What does the target of a row have to do with the row after it?",
        ),
        (
            older,
            Y,
            "that is wrong in a single older symbol",
            "Which symbols of a context do you compare, and in which rows?",
        ),
        (
            carried,
            Y,
            "that carries the end of a name on into the next name",
            "What stands in the context after a dot?",
        ),
        (
            first,
            Y,
            "that is wrong in its first row only",
            "There is no row before it. What must stand there all the same?",
        ),
        (
            newest,
            Y,
            "whose newest symbol is wrong in one row",
            "What must the last symbol of a context be?",
        ),
        (
            X[:-1],
            Y[:-1],
            "that breaks off in the middle of a name",
            "What is the last target of a whole name?",
        ),
    ]


def _verdict(answer, X, Y):
    """What the learner's function says of a dataset, as a bool. Raises Wrong."""
    said = call(answer, X.clone(), Y.clone())
    if isinstance(said, torch.Tensor) and said.numel() == 1 and said.dtype == torch.bool:
        said = said.item()
    if not isinstance(said, bool):
        raise Wrong(f"True or False is asked for, and this is {described(said)}.")
    return said


@exercise("1.2")
def is_sound(answer):
    """Whether contexts and targets fit together, row by row."""
    right = [(["emma"], 3), (["emma", "olivia", "al"], 3), (["emma", "olivia", "al"], 5)]
    accepted = [_verdict(answer, *_dataset(words, size)) for words, size in right]
    broken = _broken_datasets()
    passed = [_verdict(answer, X, Y) for X, Y, *_ in broken]
    if not any(accepted + passed):
        raise Wrong("nothing passes, not even right datasets. Which rows fail for `emma` alone?")
    if all(accepted + passed):
        raise Wrong("right datasets pass, but so does everything else. Is anything compared?")
    if not accepted[0]:
        raise Wrong(
            "the right dataset of the single name `emma` does not pass. Print it: which rule does it break?"
        )
    if not accepted[1]:
        raise Wrong(
            "a right dataset of one name passes; one of three names does not. What comes after a dot?"
        )
    if not accepted[2]:
        raise Wrong(
            "right for contexts of 3 symbols; but a right dataset with contexts of 5 does not pass."
        )
    for passes, (_, _, fault, question) in zip(passed, broken, strict=True):
        if passes:
            found = len(broken) - sum(passed)
            raise Wrong(
                f"right datasets pass, and {found} of {len(broken)} broken ones do not. "
                f"But one passes {fault}. {question}"
            )
    return "Run such a check before every training: a target that leaks into its context looks like a great network."


@exercise("1.3")
def careful_loss(answer):
    """The mean of -log p, for logits of any size."""
    g = torch.Generator().manual_seed(13)
    for rows, classes in ((6, 27), (4, 5)):
        logits = torch.randn((rows, classes), generator=g)
        targets = torch.randint(0, classes, (rows,), generator=g)
        result = call(answer, logits.clone(), targets.clone())
        if isinstance(result, torch.Tensor) and tuple(result.shape) == (rows,):
            raise Wrong("one loss for each example; asked is the one number that training uses.")
        loss, right = as_number(result, "the loss"), F.cross_entropy(logits, targets).item()
        places = (torch.arange(rows), targets)
        p_right = F.softmax(logits, dim=1)[places]
        over_examples = F.log_softmax(logits, dim=0)[places]
        over_all = logits[places] - logits.flatten().logsumexp(0)
        usual = [
            (-right, "the right size and the wrong sign: can a loss be below 0?"),
            (
                rows * right,
                "that is the sum over the examples. Then a large batch is always worse than a small one.",
            ),
            (-p_right.mean().log(), "the logarithm of the mean p. Mean first, or logarithm first?"),
            (right / math.log(2), "the right loss in bits. Which logarithm is it in this series?"),
            (
                -over_examples.mean(),
                "softmax goes along the examples there. Whose probabilities add up to 1?",
            ),
            (-over_all.mean(), "divided by the sum of all rows. Whose probabilities add up to 1?"),
        ]
        recognize(loss, usual, 1e-3, start="even for small logits: ")
        if not close(loss, right, 1e-3):
            raise Wrong(
                f"{loss:.4f} for {rows} rows of small logits, where `cross_entropy` gives {right:.4f}."
            )
    _large_logits(answer)
    return "No logit is too large for it: this is how `cross_entropy` does it, too."


def _large_logits(answer):
    """The part of 1.3 where naive formulas leave the range of 32 bits. Raises Wrong."""
    cases = [
        (
            [[1000.0, 999.0, 990.0]],
            "a logit of 1000: its exponential is too large for a float. How can you make all logits of a row smaller?",
        ),
        (
            [[1000.0, 999.0, 990.0], [-999.0, -1000.0, -990.0]],
            "one row near 1000 and one near -1000: what is taken away from which row?",
        ),
        (
            [[0.0, 200.0, 0.0], [0.0, 1.0, 2.0]],
            "a right symbol whose p is e^-200: that becomes 0, or is bounded. "
            "Can you get at the logarithm without computing p?",
        ),
    ]
    done = "small logits"
    for rows, question in cases:
        logits, targets = torch.tensor(rows), torch.zeros(len(rows), dtype=torch.int64)
        result = call(answer, logits.clone(), targets.clone())
        number = result.item() if isinstance(result, torch.Tensor) and result.numel() == 1 else None
        loss = result if number is None else number
        if isinstance(loss, float) and not math.isfinite(loss):
            raise Wrong(f"right for {done}. But {loss} with {question}")
        loss, right = as_number(loss, "the loss"), F.cross_entropy(logits, targets).item()
        if not close(loss, right, 1e-3 * right):
            raise Wrong(f"right for {done}. But {loss:.2f} instead of {right:.2f} with {question}")
        done = "small logits, and large ones"
