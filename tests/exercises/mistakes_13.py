"""Usual mistakes in the exercises of lesson 13: (exercise, the cell without its last line, words of the message)."""

UNIT = """
def at_least(k, N):
    return torch.ones(N), {}
"""
NETWORK = """
def exactly_one(N):
    W1, b1 = torch.ones(N, 2), torch.tensor({b1})
    return W1, b1, torch.tensor({W2}), {b2}
"""
SEARCH = """
def why_not(bits, answers):
    rows = range(len(bits))
    for i in rows:
        for j in rows:
            for k in rows:
                for l in rows:
                    fits = {fits}
                    if fits and {same}:
                        return {found}
"""
FITS = "answers[i] and answers[j] and not answers[k] and not answers[l]"
SAME = "torch.equal(bits[i] + bits[j], bits[k] + bits[l])"
MISTAKES = [
    ("13.1", UNIT.format("-k"), "more than k ones"),
    ("13.1", UNIT.format("k - 0.5"), "Which sign must the bias have"),
    ("13.1", UNIT.format("1.5 - k"), "k - 1 ones are enough"),
    ("13.1", UNIT.format("0.5 - k").replace("(N)", "(N) / N"), "What is the sum there"),
    ("13.2", NETWORK.format(b1="[-0.5, -1.5]", W2="[1.0, 0.0]", b2="-0.5"), "two ones as well"),
    ("13.2", NETWORK.format(b1="[-0.5, -1.5]", W2="[-1.0, 1.0]", b2="0.5"), "turned round"),
    ("13.2", NETWORK.format(b1="[-0.5, -1.5]", W2="[1.0, -1.0]", b2="-1.0"), "never says yes"),
    ("13.2", NETWORK.format(b1="[-0.5, -2.5]", W2="[1.0, -1.0]", b2="-0.5"), "two ones as well"),
    ("13.3", SEARCH.format(fits=FITS, same="True", found="i, j, k, l"), "the same middle"),
    ("13.3", SEARCH.format(fits=FITS, same=SAME, found="k, l, i, j"), "should come first"),
    ("13.3", SEARCH.format(fits="True", same=SAME, found="i, j, k, l"), "must have the answer yes"),
    (
        "13.3",
        SEARCH.format(fits=FITS, same=SAME, found="bits[i], bits[j], bits[k], bits[l]"),
        "numbers of rows",
    ),
]
