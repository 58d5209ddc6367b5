"""Usual mistakes in the exercises of lesson 20: (exercise, the cell without its last line, words of the message)."""

AFFINE = """
def log_q(x, A, b):
    z = (x - b) @ torch.linalg.inv(A)
    of_z = torch.distributions.Normal(0, 1).log_prob(z).sum(-1)
    return {}
"""
KL = """
def kl(m1, s1, m2, s2):
    from math import log

    return {}
"""
PUSH = """
def push(logits):
    D = torch.sigmoid(logits)
    return {}
"""
MISTAKES = [
    ("20.1", AFFINE.format("of_z"), "density of z"),
    ("20.1", AFFINE.format("of_z + torch.det(A).abs().log()"), "the wrong sign"),
    ("20.1", AFFINE.format("of_z - A.diagonal().abs().log().sum()"), "the diagonal alone"),
    ("20.1", AFFINE.format("of_z - torch.det(A).log()"), "nan or inf"),
    ("20.1", AFFINE.format("of_z * 2"), "the numbers are not"),
    ("20.2", KL.format("log(s1 / s2) + (s2**2 + (m1 - m2) ** 2) / (2 * s1**2) - 0.5"), "way round"),
    ("20.2", KL.format("log(s2 / s1) + (s1**2 + (m1 - m2) ** 2) / (2 * s2**2)"), "half a nat"),
    ("20.2", KL.format("log(s2 / s1) + (s1 + (m1 - m2) ** 2) / (2 * s2) - 0.5"), "for a variance"),
    ("20.2", KL.format("log(s2 / s1) + (s1**2 + abs(m1 - m2)) / (2 * s2**2) - 0.5"), "squared"),
    ("20.2", KL.format("7.0"), "yours is"),
    ("20.3", PUSH.format("-D"), "that saturates"),
    ("20.3", PUSH.format("1 - D"), "rise or fall"),
    ("20.3", PUSH.format("-1 / D"), "one more factor"),
    ("20.3", PUSH.format("-torch.log(D)"), "the loss itself"),
    ("20.3", PUSH.format("-(1 - D) / 5"), "each loss by itself"),
    ("20.3", PUSH.format("D * (1 - D)"), "the numbers are not"),
]
