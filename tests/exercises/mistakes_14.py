"""Usual mistakes in the exercises of lesson 14: (exercise, the cell without its last line, words of the message)."""

MOMENTUM = """
def momentum_step(p, velocity, gradient, lr, momentum):
    new = {velocity}
    return {p}, new
"""
RIGHT = "momentum * velocity + gradient"
MEAN = """
def unbiased_mean(gradients, beta):
    mean = torch.zeros_like(gradients[0])
    for gradient in gradients:
        mean = beta * mean + (1 - beta) * gradient
    steps = len(gradients)
    return {}
"""
LIMIT = """
def largest_rate(curvatures, momentum):
    return {}
"""
MISTAKES = [
    (
        "14.1",
        MOMENTUM.format(
            velocity="momentum * velocity + (1 - momentum) * gradient", p="p - lr * new"
        ),
        "a mean of the gradients",
    ),
    ("14.1", MOMENTUM.format(velocity="gradient", p="p - lr * new"), "forgotten what it was"),
    ("14.1", MOMENTUM.format(velocity=RIGHT, p="p - lr * gradient"), "the gradient alone"),
    ("14.1", MOMENTUM.format(velocity=RIGHT, p="p + lr * new"), "p climbs"),
    ("14.1", MOMENTUM.format(velocity=RIGHT, p="p - lr * velocity"), "the old velocity"),
    ("14.2", MEAN.format("mean"), "before its correction"),
    ("14.2", MEAN.format("mean / (1 - beta)"), "right after one step"),
    ("14.2", MEAN.format("mean * (1 - beta ** steps)"), "you make it smaller"),
    ("14.2", MEAN.format("sum(gradients) / steps"), "the same share"),
    ("14.3", LIMIT.format("2 * (1 + momentum) / min(curvatures)"), "flattest direction"),
    ("14.3", LIMIT.format("2 / max(curvatures)"), "right without momentum"),
    ("14.3", LIMIT.format("(1 + momentum) / max(curvatures)"), "half as much"),
    ("14.3", LIMIT.format("2 / max(curvatures) / (1 - momentum)"), "not raise the limit so far"),
    ("14.3", LIMIT.format("2 * (1 + momentum) / sum(curvatures)"), "Which of them decides"),
]
