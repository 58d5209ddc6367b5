"""Usual mistakes in the exercises of lesson 01: (exercise, the cell without its last line, words of the message)."""

SOUND = """
def is_sound(X, Y):
    shifted = torch.cat([X[:-1, 1:], Y[:-1, None]], dim=1)
    {}
"""
LOSS = """
def careful_loss(logits, targets):
    z = logits{}
    rows = torch.arange(len(z))
    {}
"""
NAIVE = "p = z.exp() / z.exp().sum({}, keepdim=True); return {}"
ROW_MAX = " - logits.amax(1, keepdim=True)"
MISTAKES = [
    ("1.1", "p_olivia = math.exp(-6 * 2.0)", "where the name stops"),
    ("1.1", "p_olivia = math.exp(-2.0)", "How many must all come true"),
    ("1.1", "p_olivia = 7 * math.exp(-2.0)", "must all come true added"),
    ("1.1", "p_olivia = math.exp(7 * 2.0)", "Look at the sign"),
    ("1.1", "p_olivia = 2**-14", "In which one are the losses"),
    ("1.1", "p_olivia = 1 / 27**7", "lies between 0 and 1, as it should"),
    ("1.2", SOUND.format("return True"), "Is anything compared"),
    ("1.2", SOUND.format("return torch.equal(X[1:], shifted)"), "What comes after a dot"),
    (
        "1.2",
        SOUND.format("return torch.equal(X[1:, -1], Y[:-1])"),
        "Which symbols of a context do you compare",
    ),
    (
        "1.2",
        SOUND.format(
            "inside = Y[:-1] != 0; return torch.equal(X[1:][inside], shifted[inside])"
            " and not X[0].any()"
        ),
        "carries the end of a name on",
    ),
    (
        "1.2",
        SOUND.format("shifted[Y[:-1] == 0] = 0; return torch.equal(X[1:], shifted)"),
        "There is no row before it",
    ),
    (
        "1.2",
        SOUND.format(
            "shifted[Y[:-1] == 0] = 0;"
            " return torch.equal(X[1:, :-1], shifted[:, :-1]) and not X[0].any() and Y[-1].item() == 0"
        ),
        "What must the last symbol of a context be",
    ),
    (
        "1.2",
        SOUND.format(
            "shifted[Y[:-1] == 0] = 0; return torch.equal(X[1:], shifted) and not X[0].any()"
        ),
        "breaks off in the middle",
    ),
    ("1.3", LOSS.format("", NAIVE.format(1, "-p[rows, targets].log().mean()")), "a logit of 1000"),
    (
        "1.3",
        LOSS.format(ROW_MAX, NAIVE.format(1, "-p[rows, targets].log().mean()")),
        "without computing p",
    ),
    (
        "1.3",
        LOSS.format(ROW_MAX, NAIVE.format(1, "-(p[rows, targets] + 1e-9).log().mean()")),
        "without computing p",
    ),
    (
        "1.3",
        LOSS.format(" - logits.max()", "return (z.exp().sum(1).log() - z[rows, targets]).mean()"),
        "what is taken away from which row",
    ),
    ("1.3", LOSS.format("", NAIVE.format(0, "-p[rows, targets].log().mean()")), "add up to 1"),
    ("1.3", LOSS.format("", NAIVE.format(1, "-p[rows, targets].mean().log()")), "Mean first"),
    ("1.3", LOSS.format("", NAIVE.format(1, "-p[rows, targets].log()")), "one loss for each"),
]
