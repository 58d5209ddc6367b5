"""Usual mistakes in the exercises of lesson 15: (exercise, the cell without its last line, words of the message)."""

MAX_NORM = """
def max_norm(W, limit):
    return {}
"""
BOTH = """
def both(w, l1, l2):
    return {}
"""
VOTE = """
def vote(logits, Y):
    return {}
"""
MISTAKES = [
    ("15.1", MAX_NORM.format("W * limit / W.norm(dim=0)"), "short columns have grown"),
    (
        "15.1",
        MAX_NORM.format("W * (limit / W.norm(dim=1, keepdim=True)).clamp(max=1)"),
        "limit the rows",
    ),
    ("15.1", MAX_NORM.format("W.clamp(-limit, limit)"), "limit each weight"),
    ("15.1", MAX_NORM.format("W * (limit / W.norm()).clamp(max=1)"), "whole matrix"),
    ("15.1", MAX_NORM.format("W * (limit / (W**2).sum(0)).clamp(max=1)"), "or its root"),
    ("15.1", MAX_NORM.format("W * (limit / W.norm(dim=0)).clamp(min=1)"), "long ones stay"),
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
