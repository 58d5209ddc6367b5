"""Usual mistakes in the exercises of lesson 16: (exercise, the cell without its last line, words of the message)."""

NORM = """
def layer_norm_by_hand(x, gain, shift):
    mean, var = x.mean({dim}, keepdim=True), x.var({dim}, unbiased={unbiased}, keepdim=True)
    return {result}
"""
RESULT = "(x - mean) / (var + 1e-5).sqrt() * gain + shift"
FACTOR = """
def branch_factor(depth, v):
    return {}
"""
RATES = """
def rates(width, base, lr):
    return {}
"""
MISTAKES = [
    ("16.1", NORM.format(dim=-1, unbiased=True, result=RESULT), "divides by n - 1"),
    ("16.1", NORM.format(dim=0, unbiased=False, result=RESULT), "as BatchNorm does"),
    (
        "16.1",
        NORM.format(dim=-1, unbiased=False, result="(x - mean) / (var + 1e-5).sqrt()"),
        "What is to be done with gain and shift",
    ),
    (
        "16.1",
        NORM.format(dim=-1, unbiased=False, result="(x - mean) / (var + 1e-5) * gain + shift"),
        "divide by the variance",
    ),
    (
        "16.1",
        NORM.format(
            dim=-1,
            unbiased=False,
            result="x / (x.pow(2).mean(-1, keepdim=True) + 1e-5).sqrt() * gain + shift",
        ),
        "that is RMSNorm",
    ),
    ("16.1", NORM.format(dim=-1, unbiased=False, result="x * gain"), "mean and std of each row"),
    ("16.2", FACTOR.format("1 / (depth * v)"), "factor of the *variance*"),
    ("16.2", FACTOR.format("depth**-0.5"), "right for v = 1"),
    ("16.2", FACTOR.format("(2 / (depth * v)) ** 0.5"), "x ends at 3"),
    ("16.2", FACTOR.format("(2 * depth * v) ** -0.5"), "add a half"),
    ("16.2", FACTOR.format("0.5"), "the variance ends at"),
    ("16.3", RATES.format("lr, lr, lr"), "all three stay the same"),
    ("16.3", RATES.format("[lr * base / width] * 3"), "30 at any width"),
    ("16.3", RATES.format("lr, lr * width / base, lr * width / base"), "the wrong way"),
    (
        "16.3",
        RATES.format("lr, lr * (base / width) ** 0.5, lr * (base / width) ** 0.5"),
        "the root",
    ),
    ("16.3", RATES.format("lr, lr * base / width, lr"), "has a logit"),
    ("16.3", RATES.format("lr, lr, lr * base / width"), "second hidden"),
    ("16.3", RATES.format("lr"), "three rates are asked for"),
]
