"""Usual mistakes in the exercises of lesson 05: (exercise, the cell without its last line, words of the message)."""

COUNT = """
def wasted_biases(layers):
    return {}
"""
NORMALIZE = """
def normalize(x, mean, var, gain, bias, eps):
    return {}
"""
BATCHES = """
def batches_needed(momentum, share):
    return {}
"""
ALL_BIASES = (
    "sum(m.out_features for m in layers if isinstance(m, nn.Linear) and m.bias is not None)"
)
NORMS = "sum(m.num_features for m in layers if isinstance(m, nn.BatchNorm1d))"
LAYERS = (
    "sum(isinstance(a, nn.Linear) and a.bias is not None and isinstance(b, nn.BatchNorm1d)"
    " for a, b in zip(layers, layers[1:]))"
)
MISTAKES = [
    ("5.1", COUNT.format(ALL_BIASES), "every bias"),
    ("5.1", COUNT.format(NORMS), "took a bias away"),
    ("5.1", COUNT.format(LAYERS), "counting layers"),
    (
        "5.2",
        NORMALIZE.format("gain * (x - mean) / (var + eps) + bias"),
        "is `var` a standard deviation",
    ),
    ("5.2", NORMALIZE.format("gain * (x - mean) / var.sqrt() + bias"), "epsilon is missing"),
    ("5.2", NORMALIZE.format("gain * (x - mean) / (var.sqrt() + eps) + bias"), "outside the root"),
    ("5.2", NORMALIZE.format("gain * ((x - mean) / (var + eps).sqrt() + bias)"), "in which order"),
    (
        "5.2",
        NORMALIZE.format("gain * (x - x.mean(0)) / (x.var(0, correction=0) + eps).sqrt() + bias"),
        "by the batch itself",
    ),
    ("5.3", BATCHES.format("share / momentum"), "as much as the first"),
    ("5.3", BATCHES.format("math.log(share) / math.log(1 - momentum)"), "still missing"),
    ("5.3", BATCHES.format("1 / momentum"), "63 %"),
]
