"""Usual mistakes in the exercises of lesson 07: (exercise, the cell without its last line, words of the message)."""

RATIO = """
def update_ratio(weight, gradient, rate):
    return {}
"""
RATE = """
def matching_rate(rate, measured, wished):
    return {}
"""
SIGNAL = """
def signal(gain, depth):
    return torch.tensor([{} for k in range(depth)])
"""
MISTAKES = [
    (
        "7.1",
        RATIO.format("(gradient.std() / weight.std()).log10()"),
        "the step that is really taken",
    ),
    ("7.1", RATIO.format("rate * gradient.std() / weight.std()"), "the ratio itself"),
    ("7.1", RATIO.format("(rate * gradient.std() / weight.std()).log()"), "base e"),
    ("7.1", RATIO.format("(weight.std() / (rate * gradient.std())).log10()"), "upside down"),
    ("7.2", RATE.format("rate * 10 ** (measured - wished)"), "wrong direction"),
    ("7.2", RATE.format("rate * wished / measured"), "these are logarithms"),
    ("7.2", RATE.format("rate + wished - measured"), "not a summand"),
    ("7.3", SIGNAL.format("gain**k"), "shifted by one"),
    ("7.3", SIGNAL.format("gain"), "what does the second layer get"),
    ("7.3", SIGNAL.format("gain * (k + 1)"), "does not add"),
    ("7.3", SIGNAL.format("1.0"), "for a gain of 1 only"),
]
