"""Usual mistakes in the exercises of lesson 03: (exercise, the cell without its last line, words of the message)."""

DEAD = """
def count_dead(preact, bend):
    x = preact.clone().requires_grad_()
    h = bend(x)
    (slopes,) = torch.autograd.grad(h.sum(), x)
    return {}.sum().item()
"""
WAKE = """
def wake(preact, b1, margin):
    highest = preact.amax(0)
    return {}
"""
MISTAKES = [
    ("3.1", "best_share = 0.25", "What do five in a row leave"),
    ("3.1", "best_share = 1.0", "five tanh would manage that"),
    ("3.1", "best_share = 0.5 ** 5", "output in its middle"),
    ("3.1", "best_share = (1 - 0.5**2) ** 5", "the slope of tanh"),
    ("3.1", "best_share = 5 * 0.25", "not added"),
    ("3.1", "best_share = 100 * 0.25**5", "in percent"),
    (
        "3.2",
        DEAD.format("(h == 0).all(0)"),
        "right for the ReLU; but 0 for tanh",
    ),
    ("3.2", DEAD.format("(h == 0).all(0)"), "an output of 0 is no sign"),
    ("3.2", DEAD.format("(x < 0).all(0)"), "the flat side of a ReLU"),
    ("3.2", DEAD.format("(slopes == 0).any(0)"), "some example passes no gradient"),
    ("3.2", DEAD.format("(slopes == 0)"), "single squares"),
    ("3.2", DEAD.format("(slopes == 0).all(1)"), "along the examples"),
    ("3.2", DEAD.format("(slopes < 0.015).all(0)"), "a small slope is not no slope"),
    ("3.2", DEAD.format("(h.abs() > 0.99).all(0)"), "is a suspect"),
    ("3.3", WAKE.format("b1 - highest + margin"), "living ones are moved, too"),
    ("3.3", WAKE.format("b1 + (margin - highest).clamp(min=0)"), "between 0 and the margin"),
    ("3.3", WAKE.format("torch.where(highest <= 0, b1 - highest, b1)"), "still 0"),
    (
        "3.3",
        WAKE.format("torch.where(highest <= 0, b1 + highest + margin, b1)"),
        "moved the wrong way",
    ),
    ("3.3", WAKE.format("torch.where(highest <= 0, margin - highest, b1)"), "hold it already"),
    (
        "3.3",
        WAKE.format("torch.where(highest <= 0, b1 - preact.amin(0) + margin, b1)"),
        "for every example",
    ),
    (
        "3.3",
        WAKE.format("torch.where((preact < 0).any(0), b1 - highest + margin, b1)"),
        "living ones are moved, too",
    ),
]
