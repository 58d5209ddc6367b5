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
ADAM = """
def adam_ratio(weight, gradients, lr):
    m = v = torch.zeros_like(weight)
    for gradient in {those}:
        m = {m}
        v = {v}
    t = len({those})
    m, v = m / {m_by}, v / {v_by}
    update = {update}
    return {ratio}
"""
ADAM_RIGHT = {
    "those": "gradients",
    "m": "0.9 * m + 0.1 * gradient",
    "v": "0.999 * v + 0.001 * gradient**2",
    "m_by": "(1 - 0.9**t)",
    "v_by": "(1 - 0.999**t)",
    "update": "lr * m / (v.sqrt() + 1e-8)",
    "ratio": "(update.std() / weight.std()).log10()",
}


def adam(**wrong):
    return ADAM.format(**ADAM_RIGHT | wrong)


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
    ("7.4", adam(ratio="update.std() / weight.std()"), "the ratio itself"),
    ("7.4", adam(ratio="(update.std() / weight.std()).log()"), "base e"),
    ("7.4", adam(ratio="(weight.std() / update.std()).log10()"), "upside down"),
    ("7.4", adam(ratio="update.std().log10()"), "Small against what"),
    ("7.4", adam(update="m / (v.sqrt() + 1e-8)"), "the rate is missing"),
    ("7.4", adam(update="lr * gradient"), "a step of gradient descent"),
    ("7.4", adam(those="gradients[-1:]"), "before the last one"),
    ("7.4", adam(m_by="1", v_by="1"), "both running means started at 0"),
    ("7.4", adam(v_by="1"), "m is divided as it should be"),
    ("7.4", adam(m_by="1"), "v is divided as it should be"),
    ("7.4", adam(update="lr * m / (v + 1e-8)"), "a mean of squares"),
    (
        "7.4",
        adam(
            m="0.999 * m + 0.001 * gradient",
            v="0.9 * v + 0.1 * gradient**2",
            m_by="(1 - 0.999**t)",
            v_by="(1 - 0.9**t)",
        ),
        "which of the two means remembers longer",
    ),
]
