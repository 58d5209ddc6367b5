"""Usual mistakes in the exercises of lesson 16: (exercise, the cell without its last line, words of the message)."""

NORM = """
def group_norm(x, groups):
    z = x.unflatten(1, {shape})
    mean, var = z.mean({dim}, keepdim=True), z.var({dim}, unbiased={unbiased}, keepdim=True)
    return ({result}).flatten(1)
"""
USUAL = {
    "shape": "(groups, -1)",
    "dim": -1,
    "unbiased": False,
    "result": "(z - mean) / (var + 1e-5).sqrt()",
}
FACTOR = """
def branch_factor(depth, v):
    return {}
"""
RATE = """
def adam_rate(depth, base, lr):
    return {}
"""
MISTAKES = [
    ("16.1", NORM.format(**USUAL | {"unbiased": True}), "divides by n - 1"),
    ("16.1", NORM.format(**USUAL | {"dim": 0}), "as BatchNorm does"),
    ("16.1", NORM.format(**USUAL | {"shape": "(1, -1)"}), "that is LayerNorm"),
    ("16.1", NORM.format(**USUAL | {"shape": "(-1, groups)", "dim": 1}), "not of neighbors"),
    (
        "16.1",
        NORM.format(**USUAL | {"result": "(z - mean) / (var + 1e-5)"}),
        "divide by the variance",
    ),
    (
        "16.1",
        NORM.format(**USUAL | {"result": "z / (z.pow(2).mean(-1, keepdim=True) + 1e-5).sqrt()"}),
        "the mean is not",
    ),
    ("16.1", NORM.format(**USUAL | {"result": "z"}), "mean and std of the first group"),
    ("16.2", FACTOR.format("1 / (depth * v)"), "factor of the *variance*"),
    ("16.2", FACTOR.format("depth**-0.5"), "right for v = 1"),
    ("16.2", FACTOR.format("(2 / (depth * v)) ** 0.5"), "x ends at 3"),
    ("16.2", FACTOR.format("(2 * depth * v) ** -0.5"), "add a half"),
    ("16.2", FACTOR.format("0.5"), "the variance ends at"),
    ("16.3", RATE.format("lr"), "right for SGD"),
    ("16.3", RATE.format("lr * base / depth"), "without alpha"),
    ("16.3", RATE.format("lr * (depth / base) ** 0.5"), "the wrong way"),
    ("16.3", RATE.format("lr * depth / base"), "the wrong way"),
    ("16.3", RATE.format("lr / depth**0.5"), "right if `base` is 1"),
    ("16.3", RATE.format("2 * lr"), "times as much as at"),
]
