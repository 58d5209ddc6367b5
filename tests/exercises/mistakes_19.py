"""Usual mistakes in the exercises of lesson 19: (exercise, the cell without its last line, words of the message)."""

PAIRS = """
def pairs(name, reach):
    found = []
    for i in range(len(name)):
        for j in {}:
            if {}:
                found.append((name[i], name[j]))
    return {}
"""
AROUND = "range(max(0, i - reach), min(len(name), i + reach + 1))"
MASK = """
def mask_batch(X, hidden, mask):
    return {}
"""
BLOCK = """
def block(logits, text):
    logits = logits{}
    for a, b, c in zip(text, text[1:], text[2:]):
        if {}:
            logits[c] = {}
    return logits
"""
INPUTS = "torch.where(hidden, mask, X), "
WORDS = """
def block(logits, text):
    logits = logits.clone()
    logits[text] = -torch.inf
    return logits
"""
TWO = """
def block(logits, text):
    logits = logits.clone()
    for a, b in zip(text, text[1:]):
        if a == text[-1]:
            logits[b] = -torch.inf
    return logits
"""
MISTAKES = [
    (
        "19.1",
        PAIRS.format(AROUND.replace("max(0, i - reach)", "i"), "i != j", "found"),
        "on the left",
    ),
    ("19.1", PAIRS.format("range(max(0, i - reach), i)", "True", "found"), "on the right?"),
    ("19.1", PAIRS.format(AROUND, "True", "found"), "its own neighbor"),
    ("19.1", PAIRS.format(AROUND, "i != j", "list(set(found))"), "each pair stands once"),
    ("19.1", PAIRS.format(AROUND, "name[i] != name[j]", "found"), "equal letters are missing"),
    ("19.1", PAIRS.format(AROUND.replace(" + 1", ""), "i != j", "found"), "on the right?"),
    ("19.1", PAIRS.format("range(len(name))", "i != j", "found"), "you have"),
    ("19.1", PAIRS.format(AROUND, "i != j", "len(found)"), "a list of tuples"),
    (
        "19.2",
        MASK.format("torch.where(hidden, X, -100), torch.where(hidden, mask, X)"),
        "are swapped",
    ),
    (
        "19.2",
        MASK.format("torch.where(hidden, X, mask), torch.where(hidden, X, -100)"),
        "to be seen is hidden",
    ),
    ("19.2", MASK.format(INPUTS + "X"), "an answer everywhere"),
    ("19.2", MASK.format(INPUTS + "torch.where(hidden, -100, X)"), "where nothing is hidden"),
    ("19.2", MASK.format(INPUTS + "torch.where(hidden, X, 0)"), "0 is a symbol"),
    ("19.2", MASK.format(INPUTS + "torch.where(hidden, mask, -100)"), "the mask itself"),
    ("19.2", MASK.format("X, torch.where(hidden, X, -100)"), "the inputs are not right yet"),
    (
        "19.2",
        MASK.format("X.masked_fill_(hidden, mask), torch.where(hidden, X, -100)"),
        "was changed",
    ),
    ("19.2", MASK.format("torch.where(hidden, mask, X)[0]"), "two tensors are asked for"),
    ("19.3", BLOCK.format("", "[a, b] == text[-2:]", "-torch.inf"), "were changed"),
    ("19.3", BLOCK.format(".clone()", "[a, b] == text[-2:]", "0"), "0 is a logit"),
    ("19.3", BLOCK.format(".clone()", "b == text[-1]", "-torch.inf"), "*two* in a row"),
    ("19.3", BLOCK.format(".clone()", "True", "-torch.inf"), "every symbol of the text"),
    ("19.3", BLOCK.format(".clone()", "False", "-torch.inf"), "is still allowed"),
    ("19.3", WORDS, "every symbol of the text"),
    ("19.3", TWO, "*two* in a row"),
]
