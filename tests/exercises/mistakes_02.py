"""Usual mistakes in the exercises of lesson 02: (exercise, the cell without its last line, words of the message)."""

EXPECTED = """
def expected_loss(symbols, together):
    return {}
"""
TRAIN = """
def trained_tables(zero, X, Y, steps):
    all_names = ["C", "W1", "b1", "W2", "b2"]
    drawn = helpers.draw_parameters(torch.Generator().manual_seed(1), 27)
    start = [p * (name not in zero) for name, p in zip(all_names, drawn, strict=True)]
    tables = [{copy}.requires_grad_() for p in start]
    for _ in range({steps}):
        loss = F.cross_entropy(helpers.starter_logits(tables, X), Y)
        for p, d in zip(tables, torch.autograd.grad(loss, tables), strict=True):
            p.data -= 0.1 * d
    return [name for name, p, s in zip(all_names, tables, start) if {chosen}]
"""
CHANGED = "not torch.equal(p, s)"
ANSWER = """
def trained_tables(zero, X, Y, steps):
    return {}
"""
DRAWN = '[name for name in ("C", "W1", "b1", "W2", "b2") if name not in zero]'
BEST = """
def best_start(targets):
    middle = targets.median()
    return {}
"""
MISTAKES = [
    ("2.1", EXPECTED.format("math.log(symbols * together)"), "6, or more"),
    ("2.1", EXPECTED.format("math.log(symbols)"), "one at a time"),
    ("2.1", EXPECTED.format("together * math.log2(symbols)"), "in bits"),
    ("2.1", EXPECTED.format("1 / symbols**together"), "probability"),
    ("2.1", EXPECTED.format("math.log(1 / symbols**together)"), "below 0"),
    ("2.2", ANSWER.format('["C", "W1", "b1", "W2", "b2"]'), "as if every table had a gradient"),
    ("2.2", ANSWER.format("[]"), "does nothing move at all"),
    ("2.2", ANSWER.format(f'{DRAWN} or ["b2"]'), "stay at zero because it starts there"),
    (
        "2.2",
        TRAIN.format(copy="p", steps="steps", chosen=CHANGED),
        "If `start` and the trained tables are the same memory",
    ),
    ("2.2", TRAIN.format(copy="p.clone()", steps="1", chosen=CHANGED), "after one step only"),
    (
        "2.2",
        TRAIN.format(copy="p.clone()", steps="steps", chosen="p.any()"),
        "or are they only not zero",
    ),
    (
        "2.2",
        TRAIN.format(copy="p.clone()", steps="steps", chosen="torch.equal(p, s)"),
        "Asked are those that move",
    ),
    ("2.3", "scale_W2 = 2 * 0.02 / (800 * 0.4)", "the square of the scale"),
    ("2.3", "scale_W2 = math.sqrt(0.02 / (800 * 0.4))", "is not the variance"),
    ("2.3", "scale_W2 = math.sqrt(2 * 0.02 / 800)", "Here their mean square is smaller"),
    ("2.3", "scale_W2 = math.sqrt(2 * 0.02)", "How large is it with weights × 1"),
    ("2.3", "scale_W2 = 0.01", "the factor of the lesson"),
    (
        "2.4",
        BEST.format("targets.mean(), (targets - targets.mean()).abs().mean()"),
        "best for squares",
    ),
    ("2.4", BEST.format("targets.mean(), targets.var(correction=0)"), "best for squares"),
    ("2.4", BEST.format("(targets - middle).abs().mean(), middle"), "in the other order"),
    ("2.4", BEST.format("middle, targets.var(correction=0)"), "the variance goes with squares"),
    ("2.4", BEST.format("middle, (targets - middle).mean()"), "with their signs"),
    ("2.4", BEST.format("0, targets.abs().mean()"), "and the bias"),
]
