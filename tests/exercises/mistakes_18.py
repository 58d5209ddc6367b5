"""Usual mistakes in the exercises of lesson 18: (exercise, the cell without its last line, words of the message)."""

ATTEND = """
def attend(query, keys, values):
    scores = keys @ query
    d = len(query)
    return {}
"""
WINDOW = """
def window_weights(scores, window):
    ones = torch.ones_like(scores)
    seen = ones.tril().triu(1 - window).bool()
    hidden = float("-inf")
    return {}
"""
SCALE = """
def right_scale(d, q_std, k_std):
    return {}
"""
MISTAKES = [
    ("18.1", ATTEND.format("scores.softmax(0) @ values"), "are not divided"),
    ("18.1", ATTEND.format("(scores / d).softmax(0) @ values"), "you divide by d"),
    ("18.1", ATTEND.format("(scores / len(keys) ** 0.5).softmax(0) @ values"), "divide by √T"),
    ("18.1", ATTEND.format("(scores * d**0.5).softmax(0) @ values"), "multiply by √d"),
    ("18.1", ATTEND.format("scores / d**0.5 @ values"), "do not sum to 1"),
    ("18.1", ATTEND.format("values[scores.argmax()]"), "one place alone"),
    ("18.1", ATTEND.format("values.mean(0)"), "all places count alike"),
    ("18.1", ATTEND.format("(scores / d**0.5).softmax(0)"), "one for each place"),
    ("18.1", ATTEND.format("values[0]"), "the numbers are not"),
    ("18.2", WINDOW.format("scores.softmax(-1)"), "Where is the mask"),
    (
        "18.2",
        WINDOW.format("scores.masked_fill(~ones.tril().bool(), hidden).softmax(-1)"),
        "Where does the window end",
    ),
    (
        "18.2",
        WINDOW.format("scores.masked_fill(~ones.tril().triu(-window).bool(), hidden).softmax(-1)"),
        "one too many",
    ),
    (
        "18.2",
        WINDOW.format("scores.masked_fill(~ones.tril().triu(2 - window).bool(), -1e9).softmax(-1)"),
        "one too few",
    ),
    (
        "18.2",
        WINDOW.format("scores.masked_fill(~ones.tril(1 - window).bool(), -1e9).softmax(-1)"),
        "near places are hidden",
    ),
    ("18.2", WINDOW.format("scores.softmax(-1).masked_fill(~seen, 0)"), "Mask before the softmax"),
    ("18.2", WINDOW.format("scores.masked_fill(~seen, 0).softmax(-1)"), "still gets a weight"),
    ("18.2", WINDOW.format("scores.masked_fill(~seen.T, hidden).softmax(-1)"), "*later* ones"),
    (
        "18.2",
        WINDOW.format("scores.masked_fill(~(seen | seen.T), hidden).softmax(-1)"),
        "both sides",
    ),
    ("18.2", WINDOW.format("scores.masked_fill(~seen, hidden).softmax(0)"), "the columns sum"),
    ("18.2", WINDOW.format("scores.masked_fill(scores == scores, hidden).softmax(-1)"), "nan"),
    ("18.2", WINDOW.format("ones / len(scores)"), "last row"),
    ("18.3", SCALE.format("d**0.5 * q_std * k_std"), "that is the std of the dot product"),
    ("18.3", SCALE.format("1 / d**0.5"), "right for stds of 1"),
    ("18.3", SCALE.format("1 / (d * q_std * k_std)"), "not under a root"),
    ("18.3", SCALE.format("1 / (d * q_std**2 * k_std**2)"), "Where is a root missing"),
    ("18.3", SCALE.format("1 / (d**0.5 * (q_std + k_std))"), "the stds are added"),
    ("18.3", SCALE.format("1 / (d**0.5 * q_std * k_std**2)"), "is squared"),
    ("18.3", SCALE.format("0.3"), "a score then has the std"),
]
