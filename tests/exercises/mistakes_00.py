"""Usual mistakes in the exercises of lesson 00: (exercise, the cell without its last line, words of the message)."""

SIDE = """
def side_by_side(C, X):
    return {}
"""
STANDARD = """
def standardize(x):
    return {}
"""
COST = """
def mean_cost(P, Y):
    return {}
"""
GRADIENT = """
def gradient(x, W, G):
    z = x @ W
    h = torch.tanh(z)
    return {}
"""
MISTAKES = [
    ("0.1", SIDE.format("C[X]"), "how do you read them anew"),
    ("0.1", SIDE.format("C[X].view(-1)"), "How many rows has X"),
    ("0.1", SIDE.format("C[X].view(-1, C.shape[1])"), "How many belong to a row of X"),
    ("0.1", SIDE.format("C[X].view(X.shape[1], -1)"), "Which of its two sizes"),
    ("0.1", SIDE.format("C[X].sum(1)"), "Where have their single numbers gone"),
    ("0.1", SIDE.format("C[X].mT.flatten(1)"), "Which number stands second"),
    ("0.1", SIDE.format("C[X.T].reshape(len(X), -1)"), "What was turned on the way"),
    ("0.1", SIDE.format("C[X].view(len(X), 15)"), "Which size have you written down"),
    ("0.1", SIDE.format("C[X].view(4, -1)"), "your function raises RuntimeError"),
    ("0.2", STANDARD.format("(x - x.mean(0)) / x.std(0)"), "What is the sum of squares divided by"),
    (
        "0.2",
        STANDARD.format(
            "(x - x.mean(1, keepdim=True)) / (x.var(1, correction=0, keepdim=True) + 1e-5).sqrt()"
        ),
        "Along which dimension",
    ),
    (
        "0.2",
        STANDARD.format("(x - x.mean()) / (x.var(correction=0) + 1e-5).sqrt()"),
        "How many of them do the loops compute",
    ),
    ("0.2", STANDARD.format("x - x.mean(0)"), "And its size?"),
    ("0.2", STANDARD.format("x / (x.var(0, correction=0) + 1e-5).sqrt()"), "And its mean?"),
    (
        "0.2",
        STANDARD.format("(x - x.mean(0)) / (x.var(0, correction=0) + 1e-5)"),
        "or by its root",
    ),
    ("0.2", STANDARD.format("(x - x.mean(0)) / x.std(0, correction=0)"), "What is special"),
    ("0.2", STANDARD.format("x * 2"), "with a pencil"),
    ("0.2", STANDARD.format("x.mean(0)"), "Which dimension is which"),
    ("0.3", COST.format("-P[range(len(Y)), Y].log()"), "one cost for each row"),
    ("0.3", COST.format("-P[range(len(Y)), Y].log().sum()"), "What do the loops do last"),
    ("0.3", COST.format("-P[range(len(Y)), Y].mean().log()"), "What do the loops do first"),
    ("0.3", COST.format("-P[:, Y].log().mean()"), "How many entries should be taken"),
    ("0.3", COST.format("-P[Y].log().mean()"), "takes whole rows"),
    ("0.3", COST.format("P[range(len(Y)), Y].log().mean()"), "Which sign"),
    ("0.3", COST.format("-P[range(len(Y)), Y].log2().mean()"), "Which one is `math.log`"),
    ("0.3", COST.format("F.cross_entropy(P, Y)"), "with a pencil"),
    ("0.4", GRADIENT.format("x.T @ G"), "Which factor does tanh put"),
    ("0.4", GRADIENT.format("x.T @ (G * h)"), "What is its slope"),
    ("0.4", GRADIENT.format("x.T @ (G * (1 - h))"), "nearly the slope"),
    ("0.4", GRADIENT.format("x.T @ (G * (1 - z * z))"), "or of its output"),
    ("0.4", GRADIENT.format("(G * (1 - h * h)).T @ x"), "Which shape has W"),
    ("0.4", GRADIENT.format("x.T @ (G * (1 - h * h)) / len(x)"), "a mean over the rows"),
    ("0.4", GRADIENT.format("(G * (1 - h * h)) @ W.T"), "Which one is asked for"),
]
