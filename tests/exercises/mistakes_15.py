"""Usual mistakes in the exercises of lesson 15: (exercise, the cell without its last line, words of the message)."""

DROPOUT = """
def dropout(h, p, noise, training):
    if not training:
        return {used}
    return {dropped}
"""
BOTH = """
def both(w, l1, l2):
    return {}
"""
VOTE = """
def vote(logits, Y):
    return {}
"""
RIGHT = "h * (noise >= p) / (1 - p)"
MISTAKES = [
    ("15.1", DROPOUT.format(used=RIGHT, dropped=RIGHT), "still dropped"),
    ("15.1", DROPOUT.format(used="h * (1 - p)", dropped="h * (noise >= p)"), "what is left to do"),
    ("15.1", DROPOUT.format(used="h / (1 - p)", dropped=RIGHT), "nothing was dropped"),
    ("15.1", DROPOUT.format(used="h", dropped="h * (noise >= p)"), "the mean gets smaller"),
    ("15.1", DROPOUT.format(used="h", dropped="h * (noise < p) / p"), "is below p"),
    ("15.1", DROPOUT.format(used="h", dropped="h * (noise >= p) / p"), "you divide by p"),
    ("15.1", DROPOUT.format(used="h", dropped="h"), "nothing is dropped"),
    ("15.2", BOTH.format("l1 * w.abs().sum() + l2 / 2 * (w**2).sum()"), "the price itself"),
    ("15.2", BOTH.format("l1 * w.sign() + 2 * l2 * w"), "twice as large"),
    ("15.2", BOTH.format("l1 * w.abs() + l2 * w"), "L1 part is the price"),
    ("15.2", BOTH.format("l1 + l2 * w"), "away from 0"),
    ("15.2", BOTH.format("-l1 * w.sign() - l2 * w"), "turned round"),
    (
        "15.3",
        VOTE.format("torch.stack([F.cross_entropy(one, Y) for one in logits]).mean()"),
        "average of the losses",
    ),
    ("15.3", VOTE.format("F.cross_entropy(logits.mean(0), Y)"), "average the logits"),
    (
        "15.3",
        VOTE.format("F.cross_entropy(F.softmax(logits, 2).mean(0), Y)"),
        "softmax is taken twice",
    ),
    (
        "15.3",
        VOTE.format("F.nll_loss(F.softmax(logits, 2).mean(0).log(), Y, reduction='sum')"),
        "sum over the examples",
    ),
]
