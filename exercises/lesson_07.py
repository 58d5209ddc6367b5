"""Checkers for the exercises of lesson 07."""

import math

import torch

from exercises import Wrong, as_number, as_tensor, call, close, exercise, recognize


@exercise("7.1")
def update_ratio(answer):
    """log10 of std(update) / std(weight) of one weight in one step."""
    g = torch.Generator().manual_seed(71)
    for scale, rate in ((1.0, 0.1), (0.05, 0.01)):
        weight = scale * torch.randn((40, 30), generator=g)
        gradient = 0.02 * torch.randn((40, 30), generator=g) + 0.01
        ratio = as_number(call(answer, weight, gradient, rate), "the ratio")
        right = math.log10(rate * gradient.std() / weight.std())
        if close(ratio, right, 1e-3):
            continue
        of_means = (rate * gradient.mean() / weight.mean()).abs()
        usual = [
            (
                math.log10(gradient.std() / weight.std()),
                "that is the gradient against the weight. How large is the step that is really taken?",
            ),
            (
                10**right,
                "that is the ratio itself. The pictures show its logarithm, to the base 10.",
            ),
            (right * math.log(10), "nearly: a logarithm, but to the base e."),
            (-right, "upside down: the weight against its update."),
            (
                math.log10(rate * gradient.std()),
                "that is the update alone. Small against what?",
            ),
            (
                math.log10(of_means),
                "that compares the means, and a mean can be near 0 while the numbers move a lot.",
            ),
        ]
        recognize(ratio, usual, 1e-3)
        raise Wrong(f"{ratio:.3f} for rate {rate}. Which two stds, and what happens to them?")
    return "About -3 is the rule of thumb: each step changes the weights by a thousandth of their size."


@exercise("7.2")
def matching_rate(answer):
    """The learning rate for which a ratio measured at some rate becomes the wished one."""
    for rate, measured, wished in ((0.1, -2.0, -3.0), (0.001, -4.5, -3.0), (1.0, -1.0, -1.0)):
        found = as_number(call(answer, rate, measured, wished), "the rate")
        right = rate * 10 ** (wished - measured)
        if found > 0 and close(math.log10(found), math.log10(right), 1e-3):
            continue
        shown = f"{found:g} for rate {rate}, measured 10^{measured}, wished 10^{wished}"
        usual = [
            (
                rate * 10 ** (measured - wished),
                "the right factor in the wrong direction. Too large updates ask for which rate?",
            ),
            (
                rate * wished / measured,
                "these are logarithms. What does a difference of 1 between them mean?",
            ),
            (
                rate + wished - measured,
                "the difference of two logarithms is a factor, not a summand.",
            ),
        ]
        recognize(found, usual, 1e-3, relative=True, start=f"{shown}: ")
        raise Wrong(
            f"{shown}. The update is proportional to the rate: by which factor must it change?"
        )
    return "The fourth picture tells you not only that a rate is wrong, but by how much."


@exercise("7.3")
def signal(answer):
    """Std of the output of each layer in a stack of linear layers of equal width, with a gain."""
    for gain, depth in ((5 / 3, 4), (1.0, 3), (0.5, 6)):
        stds = as_tensor(call(answer, gain, depth), (depth,), "the list of stds")
        right = torch.tensor([gain ** (k + 1) for k in range(depth)]).double()
        if close(stds / right, 1.0, 0.02):
            continue
        if close(stds * gain / right, 1.0, 0.02):
            raise Wrong("shifted by one: the first layer multiplies, too.")
        if close(stds, torch.full((depth,), gain).double(), 0.02):
            raise Wrong("the first is right. And what does the second layer get as its input?")
        if gain == 1.0 or not close(stds, 1.0, 0.02):
            if gain != 1.0 and close(stds, [gain * (k + 1) for k in range(depth)], 0.02):
                raise Wrong("the first is right; but each layer multiplies, and does not add.")
            raise Wrong(
                f"for gain {gain:.3g}: {[round(s, 2) for s in stds.tolist()]}. What does one layer do to a std?"
            )
        raise Wrong("all 1: that is right for a gain of 1 only, when there is no tanh.")
    return "A factor for each layer is a power of the depth: that is why 5/3 is wrong where no tanh squashes."


def adam_update(gradients, rate, *, keep=(0.9, 0.999), correct=(True, True), root=True):
    """Adam's last update after these gradients; with the options, what is made of it by mistake."""
    m = v = torch.zeros_like(gradients[0])
    for gradient in gradients:
        m = keep[0] * m + (1 - keep[0]) * gradient
        v = keep[1] * v + (1 - keep[1]) * gradient**2
    if correct[0]:
        m = m / (1 - keep[0] ** len(gradients))
    if correct[1]:
        v = v / (1 - keep[1] ** len(gradients))
    return rate * m / ((v.sqrt() if root else v) + 1e-8)


@exercise("7.4")
def adam_ratio(answer):
    """log10 of std(update) / std(weight) of one weight in Adam's last step."""
    g = torch.Generator().manual_seed(74)
    # one gradient; many that are noise; many that agree, small ones
    for count, common, noise, rate in (
        (1, 0.0, 0.02, 0.001),
        (30, 0.0, 2.0, 0.001),
        (12, 1e-3, 1e-4, 0.01),
    ):
        weight = 0.05 * torch.randn((40, 30), generator=g)
        shared = common * torch.randn((40, 30), generator=g)
        gradients = [shared + noise * torch.randn((40, 30), generator=g) for _ in range(count)]
        given = [gradient.clone() for gradient in gradients]
        ratio = as_number(call(answer, weight.clone(), given, rate), "the ratio")

        def power(update, weight=weight):
            return math.log10(update.std() / weight.std())

        right = power(adam_update(gradients, rate))
        if close(ratio, right, 1e-3):
            continue
        usual = [
            (
                10**right,
                "that is the ratio itself. The pictures show its logarithm, to the base 10.",
            ),
            (right * math.log(10), "nearly: a logarithm, but to the base e."),
            (-right, "upside down: the weight against its update."),
            (
                right - math.log10(rate),
                "the rate is missing. How large is the step that is really taken?",
            ),
            (
                math.log10(adam_update(gradients, rate).std()),
                "that is the update alone. Small against what?",
            ),
            (
                power(rate * gradients[-1]),
                "that is a step of gradient descent. By what does Adam divide?",
            ),
            (
                power(adam_update(gradients[-1:], rate)),
                "right for the first step. What does Adam remember of the gradients before the last one?",
            ),
            (
                power(adam_update(gradients, rate, correct=(False, False))),
                "both running means started at 0. What makes up for that?",
            ),
            (
                power(adam_update(gradients, rate, correct=(True, False))),
                "m is divided as it should be. And v?",
            ),
            (
                power(adam_update(gradients, rate, correct=(False, True))),
                "v is divided as it should be. And m?",
            ),
            (
                power(adam_update(gradients, rate, root=False)),
                "v is a mean of squares. How does one get from it to a size?",
            ),
            (
                power(adam_update(gradients, rate, keep=(0.999, 0.9))),
                "which of the two means remembers longer, that of the gradients or that of the squares?",
            ),
        ]
        shown = f"{ratio:.3f} for a list of {count}: "
        recognize(ratio, usual, 1e-3, start=shown)
        raise Wrong(
            f"{shown}what are m and v after the last gradient, and what is then subtracted?"
        )
    return "Where gradients agree, Adam moves by its rate; where they are noise, by far less."
