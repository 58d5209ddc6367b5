"""Usual mistakes in the exercises of lesson 08: (exercise, the cell without its last line, words of the message)."""

FOLD = """
def fold(linear, norm):
    std = (norm.running_var + norm.eps).sqrt()
    scale = norm.weight / std
    weight = linear.weight * {scale}
    return weight, {bias}
"""
RIGHT = "scale[:, None]"
BIAS = "(linear.bias - norm.running_mean) * scale + norm.bias"
RATE = """
def same_ratio(rate, factor):
    return {}
"""
MEAN = """
def average_probability(loss):
    return {}
"""
MISTAKES = [
    ("8.1", FOLD.format(scale="(1 / std)[:, None]", bias=BIAS), "gamma is missing"),
    ("8.1", FOLD.format(scale="1", bias=BIAS), "the linear layer alone"),
    ("8.1", FOLD.format(scale="(scale / std)[:, None]", bias=BIAS), "divided by the variance"),
    (
        "8.1",
        FOLD.format(scale="(norm.weight / norm.running_var.sqrt())[:, None]", bias=BIAS),
        "lacks epsilon",
    ),
    (
        "8.1",
        FOLD.format(scale=RIGHT, bias="linear.bias * scale + norm.bias"),
        "the running mean is missing",
    ),
    (
        "8.1",
        FOLD.format(scale=RIGHT, bias="norm.bias - norm.running_mean * scale"),
        "own bias is missing",
    ),
    ("8.2", RATE.format("rate"), "but do the gradients"),
    ("8.2", RATE.format("rate * factor"), "makes up for the larger weights"),
    ("8.2", RATE.format("rate / factor"), "too large or too small"),
    ("8.3", MEAN.format("math.exp(loss), math.exp(-loss)"), "a probability above 1"),
    ("8.3", MEAN.format("2**-loss, 2**loss"), "another base"),
    ("8.3", MEAN.format("math.exp(-loss), loss"), "How many equally likely"),
]
