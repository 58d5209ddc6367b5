"""Usual mistakes in the exercises of lesson 17: (exercise, the cell without its last line, words of the message)."""

GRU = """
def gru_by_hand(x, h, W, U, b):
    xr, xz, xn = (x @ W + b).chunk(3, -1)
    hr, hz, hn = (h @ U).chunk(3, -1)
    r, z = torch.sigmoid(xr + hr), torch.sigmoid(xz + hz)
    return {}
"""
CLIP = """
def clip(gradients, limit):
    length = sum(g.pow(2).sum() for g in gradients).sqrt()
    return {}
"""
HALF = """
def half_life(b):
    import math

    gate = torch.sigmoid(torch.tensor(b)).item()
    return {}
"""
MISTAKES = [
    ("17.1", GRU.format("(1 - z) * h + z * torch.tanh(xn + r * hn)"), "z keeps the *new* state"),
    ("17.1", GRU.format("z * h + (1 - z) * torch.tanh(xn + hn)"), "where does the reset gate"),
    ("17.1", GRU.format("z * h + (1 - z) * torch.tanh(r * (xn + hn))"), "r scales x"),
    ("17.1", GRU.format("z * h + torch.tanh(xn + r * hn)"), "do not add up to 1"),
    ("17.1", GRU.format("r * h + (1 - r) * torch.tanh(xn + z * hn)"), "r and z are swapped"),
    ("17.1", GRU.format("torch.tanh(xn)"), "the numbers are not"),
    ("17.2", CLIP.format("[g * min(1, limit / g.norm()) for g in gradients]"), "by its own length"),
    ("17.2", CLIP.format("[g.clamp(-limit, limit) for g in gradients]"), "each number by itself"),
    ("17.2", CLIP.format("[g * limit / length for g in gradients]"), "are made longer"),
    ("17.2", CLIP.format("gradients"), "nothing was changed"),
    ("17.2", CLIP.format("[g / length for g in gradients]"), "yours has the length"),
    ("17.2", CLIP.format("gradients[0]"), "a list is asked for"),
    ("17.3", HALF.format("math.log(2) / math.log(gate)"), "a negative number"),
    ("17.3", HALF.format("math.log(gate) / math.log(0.5)"), "upside down"),
    ("17.3", HALF.format("-1 / math.log(gate)"), "1/e is left"),
    ("17.3", HALF.format("0.5 / (1 - gate)"), "an equal *amount*"),
    ("17.3", HALF.format("10.0"), "is left"),
]
