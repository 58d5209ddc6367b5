"""Usual mistakes in the exercises of lesson 04: (exercise, the cell without its last line, words of the message)."""

LEAKY = """
def leaky_gain(slope):
    return {}
"""
BRANCH = """
def branch_gain(depth, growth):
    return {}
"""
MEAN = "(1 - slope) / math.sqrt(2 * math.pi)"
MISTAKES = [
    ("4.1", "weight_std = 1 / math.sqrt(300)", "right for inputs of rms 1"),
    ("4.1", "weight_std = 1 / (0.5 * math.sqrt(27))", "inputs or outputs"),
    ("4.1", "weight_std = 0.5 / math.sqrt(300)", "ask for larger weights"),
    ("4.1", "weight_std = 1 / math.sqrt(0.5 * 300)", "has E[x²]"),
    ("4.1", "weight_std = 1 / (0.5**2 * 300)", "the right E[w²]"),
    ("4.1", "weight_std = 2 * math.sqrt(2 / (300 + 27))", "Xavier"),
    ("4.2", LEAKY.format("math.sqrt(2)"), "the ReLU itself"),
    ("4.2", LEAKY.format("math.sqrt(2 / (1 + slope))"), "And of its square"),
    ("4.2", LEAKY.format("2 / (1 + slope**2)"), "the factor for the mean square"),
    ("4.2", LEAKY.format("math.sqrt((1 + slope**2) / 2)"), "upside down"),
    ("4.2", LEAKY.format("1 / math.sqrt(1 + slope**2)"), "only half of the numbers"),
    ("4.2", LEAKY.format(f"((1 + slope**2) / 2 - ({MEAN}) ** 2) ** -0.5"), "the variance"),
    ("4.3", BRANCH.format("math.sqrt(growth ** (1 / depth) - 1)"), "is the mean square"),
    ("4.3", BRANCH.format("growth ** (1 / depth) - 1"), "their squares do"),
    ("4.3", BRANCH.format("growth ** (1 / depth)"), "without the skip connections"),
    ("4.3", BRANCH.format("math.sqrt((growth**2 - 1) / depth)"), "as much as the first one"),
    ("4.3", BRANCH.format("growth ** (2 / depth) - 1"), "that is gain²"),
]
