"""Checkers for the exercises of lesson 19."""

from collections import Counter
from itertools import pairwise

import torch

from exercises import Wrong, as_tensor, call, exercise


def pairs_of(name, reach):
    """(letter, neighbor) for all neighbors at most `reach` places away."""
    return [
        (name[i], name[j])
        for i in range(len(name))
        for j in range(max(0, i - reach), min(len(name), i + reach + 1))
        if i != j
    ]


@exercise("19.1")
def pairs(answer):
    """A function of a name and a reach: the list of pairs (letter, neighbor) of skip-gram."""
    for name, reach in (("emma", 1), ("olivia", 2), ("al", 3)):
        result = call(answer, name, reach)
        try:
            found = Counter((a, b) for a, b in result)
        except (TypeError, ValueError):
            raise Wrong("a list of tuples is asked for, each a letter and a neighbor.") from None
        wanted = Counter(pairs_of(name, reach))
        if found == wanted:
            continue
        start = f"{name!r}, reach {reach}: "
        ahead = Counter((name[i], b) for i in range(len(name)) for b in name[i + 1 : i + 1 + reach])
        back = Counter((b, a) for a, b in ahead.elements())
        selves = wanted + Counter((letter, letter) for letter in name)
        usual = [
            (ahead, "the neighbors on the right are there. Who stands on the left?"),
            (back, "the neighbors on the left are there. Who stands on the right?"),
            (
                selves,
                "each letter is its own neighbor here, too. At which distance does it stand?",
            ),
            (
                Counter(set(wanted)),
                "each pair stands once. What if two places have the same letters?",
            ),
            (
                Counter({pair: n for pair, n in wanted.items() if pair[0] != pair[1]}),
                "pairs of equal letters are missing. Is the second m of emma no neighbor of the first?",
            ),
        ]
        for mistake, words in usual:
            if found == mistake:
                raise Wrong(start + words)
        raise Wrong(
            start + f"you have {found.total()} pairs, and there are {wanted.total()}. "
            "Which neighbors has the first letter, and which a letter in the middle?"
        )
    return "These pairs are all that skip-gram ever sees of a name."


@exercise("19.2")
def mask_batch(answer):
    """A function of X, (N, time), hidden, bool, and a number: inputs with masks, and answers at the masks alone."""
    g = torch.Generator().manual_seed(19)
    for N, time, mask in ((4, 6, 27), (3, 5, 99)):
        X = torch.randint(1, 27, (N, time), generator=g)
        hidden = torch.rand(X.shape, generator=g) < 0.4
        hidden[0, 0], hidden[0, 1] = True, False
        given = X.clone()
        result = call(answer, given, hidden.clone(), mask)
        if not isinstance(result, list | tuple) or len(result) != 2:
            raise Wrong("two tensors are asked for: the inputs and the answers.")
        inputs, answers = (
            as_tensor(part, X.shape, f"the tensor of {what}").long()
            for part, what in zip(result, ("inputs", "answers"), strict=True)
        )
        if not torch.equal(given, X):
            raise Wrong("X itself was changed. The answers need its letters: how do you keep them?")
        wanted, targets = torch.where(hidden, mask, X), torch.where(hidden, X, -100)
        right_inputs, right_answers = torch.equal(inputs, wanted), torch.equal(answers, targets)
        if right_inputs and right_answers:
            continue
        if torch.equal(inputs, targets) and torch.equal(answers, wanted):
            raise Wrong("inputs and answers are swapped. Which one does the network read?")
        if torch.equal(inputs, torch.where(hidden, X, mask)):
            raise Wrong("what is to be seen is hidden, and what is to be hidden is seen.")
        if not right_inputs:
            raise Wrong(
                "the inputs are not right yet. What stands at a hidden place, and what elsewhere?"
            )
        usual = [
            (X, "there is an answer everywhere. What does a network learn from copying?"),
            (
                torch.where(hidden, -100, X),
                "the answers stand where nothing is hidden. Where is something to be guessed?",
            ),
            (
                torch.where(hidden, X, 0),
                "0 is a symbol, and the loss would count it. Which number is left out?",
            ),
            (
                torch.where(hidden, mask, -100),
                "the answer at a gap is the mask itself. What is to be predicted there?",
            ),
        ]
        for mistake, words in usual:
            if torch.equal(answers, mistake):
                raise Wrong("the inputs are right. " + words)
        raise Wrong("the inputs are right, and the answers are not. What stands at a hidden place?")
    return "Only the gaps are asked for, so nothing is learned from copying what is in sight."


@exercise("19.3")
def block(answer):
    """A function of logits, (symbols,), and a list of symbols: logits with -inf where a trigram would come again."""
    g = torch.Generator().manual_seed(19)
    for text in (
        [1, 2, 3, 1, 2],
        [1, 1, 1],
        [1, 2, 3, 4, 2, 5, 4, 2],
        [4, 5, 6, 4, 5, 2, 4, 5],
        [1, 2],
        [3],
        [],
        [2, 1, 3],
    ):
        logits = torch.randn(8, generator=g)
        given = logits.clone()
        result = call(answer, given, list(text))
        finite = result.nan_to_num(0, 0, 0) if isinstance(result, torch.Tensor) else result
        as_tensor(finite, logits.shape, "the tensor of logits")
        if not torch.equal(given, logits):
            raise Wrong("the logits that came in were changed. Make a copy first.")
        banned = {
            c for a, b, c in zip(text, text[1:], text[2:], strict=False) if [a, b] == text[-2:]
        }
        where = torch.zeros(8, dtype=torch.bool)
        where[sorted(banned)] = True
        if torch.equal(result, logits.masked_fill(where, -torch.inf)):
            continue
        start = f"text {text}: "
        gone = {n for n in range(8) if result[n] == -torch.inf}
        if gone == banned:
            if banned and not torch.equal(result[~where], logits[~where]):
                raise Wrong(start + "the right symbols are forbidden, but the others have changed.")
            raise Wrong(start + "nothing is to be forbidden here, and the logits have changed.")
        if banned and torch.equal(result[~where], logits[~where]) and not gone:
            zero = (result[where] == 0).all()
            words = "0 is a logit like any other, not a small one. Which one has probability 0?"
            raise Wrong(
                start + (words if zero else "the symbol that would repeat is still allowed.")
            )
        pairs_ban = {b for a, b in pairwise(text) if a == text[-1]}
        if gone == pairs_ban:
            raise Wrong(start + "you forbid what would repeat *two* in a row. And three?")
        if gone == set(text):
            raise Wrong(
                start + "you forbid every symbol of the text. Which three are to come twice?"
            )
        words = f"forbidden are {sorted(gone)}, and should be {sorted(banned)}. "
        raise Wrong(start + words + "Which two symbols would the next one join?")
    return (
        "What is forbidden has probability 0 after the softmax, and the others share what it had."
    )
