"""Checkers for the exercises of lesson 14."""

import torch

from exercises import Wrong, as_number, as_tensor, call, close, exercise, recognize


def gradients(count, shape=(3,)):
    """Some gradients, the same each time: a list of tensors of this shape."""
    g = torch.Generator().manual_seed(14)
    return [torch.randn(shape, generator=g, dtype=torch.float64) for _ in range(count)]


@exercise("14.1")
def momentum_step(answer):
    """(p, velocity, gradient, lr, momentum) to the new p and velocity."""
    lr, keep = 0.1, 0.8
    p = torch.tensor([1.0, -2.0, 3.0], dtype=torch.float64)
    velocity = torch.tensor([0.5, 0.4, -0.3], dtype=torch.float64)
    for number, gradient in enumerate(gradients(3), 1):
        result = call(answer, p.clone(), velocity.clone(), gradient.clone(), lr, keep)
        if not isinstance(result, tuple | list) or len(result) != 2:
            raise Wrong("two things, the new p and the new velocity, are asked for.")
        new_p, new_velocity = (
            as_tensor(part, (3,), name)
            for part, name in zip(result, ("p", "velocity"), strict=True)
        )
        wanted = keep * velocity + gradient
        start = f"step {number}: "
        if close(new_velocity, keep * velocity + (1 - keep) * gradient, 1e-6):
            raise Wrong(
                f"{start}your velocity is a mean of the gradients. "
                "How much of each new gradient does the sum of lesson 14 take?"
            )
        if not close(new_velocity, wanted, 1e-6):
            if close(new_velocity, gradient, 1e-6):
                raise Wrong(f"{start}the velocity has forgotten what it was. What should be kept?")
            raise Wrong(f"{start}the velocity is not right. What is kept of it, and what is added?")
        if close(new_p, p - lr * gradient, 1e-6):
            raise Wrong(
                f"{start}the velocity is right, but p moves along the gradient alone. What should it follow?"
            )
        if close(new_p, p + lr * wanted, 1e-6):
            raise Wrong(
                f"{start}the velocity is right, but p climbs. Which way does the loss fall?"
            )
        if close(new_p, p - lr * velocity, 1e-6):
            raise Wrong(f"{start}p moves along the old velocity. Which one should it follow?")
        if not close(new_p, p - lr * wanted, 1e-6):
            raise Wrong(
                f"{start}the velocity is right, and p is not. How far should it go along it?"
            )
        p, velocity = new_p, new_velocity
    return "Two lines are all of momentum: the velocity forgets and adds, and p follows it."


@exercise("14.2")
def adams_mean(answer):
    """A list of gradients and beta to the unbiased mean after the last."""
    given, beta = gradients(5), 0.9
    for count in (1, 2, 5):
        result = as_tensor(call(answer, [g.clone() for g in given[:count]], beta), (3,))
        mean = torch.zeros(3).double()
        for gradient in given[:count]:
            mean = beta * mean + (1 - beta) * gradient
        wanted = mean / (1 - beta**count)
        if close(result, wanted, 1e-6):
            continue
        start = f"{count} gradient{'s' if count > 1 else ''}: "
        if close(result, mean, 1e-6):
            raise Wrong(
                f"{start}this is the mean before its correction. Which share of it is filled by now?"
            )
        if close(result, mean / (1 - beta), 1e-6):
            raise Wrong(f"{start}right after one step. How much is filled after more?")
        if close(result, mean / (1 - beta ** (count - 1)) if count > 1 else mean * torch.inf, 1e-6):
            raise Wrong(f"{start}you are one step behind. What is the number of the first step?")
        if close(result, torch.stack(given[:count]).mean(0), 1e-6):
            raise Wrong(
                f"{start}all gradients have the same share in yours. Which should count most?"
            )
        if close(result, mean * (1 - beta**count), 1e-6):
            raise Wrong(f"{start}you make it smaller. Is the mean too small or too large at first?")
        raise Wrong(
            f"{start}the mean is not right. What is kept of it, and what is added, in each step?"
        )
    return "The shares of the gradients now add up to 1, from the first step on."


@exercise("14.3")
def largest_rate(answer):
    """Of curvatures, a list, and a momentum: the rate above which training diverges."""
    for curvatures, momentum in (([0.1, 4.0], 0.0), ([3.0, 0.5, 10.0], 0.9), ([2.0], 0.5)):
        result = as_number(call(answer, list(curvatures), momentum))
        wanted = 2 * (1 + momentum) / max(curvatures)
        if abs(result - wanted) <= 1e-6 * wanted:
            continue
        start = f"curvatures {curvatures}, momentum {momentum}: "
        usual = [
            (
                2 * (1 + momentum) / min(curvatures),
                "this is what the flattest direction would bear. Which direction diverges first?",
            ),
            (2 / max(curvatures), "right without momentum. What does momentum do to the limit?"),
            (
                (1 + momentum) / max(curvatures),
                "half as much as it can be. Where does a step land that is twice too long?",
            ),
            (
                2 / (1 - momentum) / max(curvatures),
                "momentum does not raise the limit so far. Where is the red line of lesson 14?",
            ),
            (
                2 * (1 - momentum) / max(curvatures),
                "with momentum you can go faster on this bowl, not slower. Which sign?",
            ),
            (
                2 * (1 + momentum) / sum(curvatures),
                "directions do not see each other. Which of them decides alone?",
            ),
        ]
        recognize(result, usual, 1e-6, relative=True, start=start)
        raise Wrong(f"{start}try it: roll down with a rate just below and just above yours.")
    return "The steepest direction decides alone, and momentum at most doubles its limit."
