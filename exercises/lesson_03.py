"""Checkers for the exercises of lesson 03."""

import torch
import torch.nn.functional as F

from exercises import Wrong, as_number, as_tensor, call, close, exercise, recognize


@exercise("3.1")
def best_share(answer):
    """The largest share of a gradient that five sigmoids in a row leave."""
    share = as_number(answer, "the share")
    usual = [
        (1, "five tanh would manage that: their best slope is 1. Is the sigmoid ever as steep?"),
        (
            0.25,
            "that is the best slope of one sigmoid, and that is right. What do five in a row leave?",
        ),
        (
            0.5**5,
            "five factors, that is right, but 0.5 is the sigmoid's output in its middle. What is its slope there?",
        ),
        (
            0.75**5,
            "five factors, that is right, but 1 - h² is the slope of tanh. What does the quotient rule give here?",
        ),
        (0.25**4, "the right factor, but once too few. How many sigmoids are there?"),
        (
            0.25 / 5,
            "the right slope, shared out among five. Are slopes in a row added, or multiplied?",
        ),
        (5 * 0.25, "a share above 1? Slopes in a row are not added."),
        (100 * 0.25**5, "the right digits, in percent. As a share?"),
    ]
    recognize(share, usual, 0.002, relative=True)
    if not 0 < share < 1:
        raise Wrong(f"{share:g}: a share lies between 0 and 1, and a sigmoid lets some through.")
    if not close(share, 0.25**5, 3e-5):
        raise Wrong(
            f"{share:.4g}. What does one sigmoid leave at best, and how often is it applied?"
        )
    return "Now you know why deep networks of sigmoids were hard to train: a thousandth, at the very best."


def _examples():
    """Pre-activations of 10 examples and 10 neurons, for which four nonlinearities have different dead neurons."""
    g = torch.Generator().manual_seed(32)
    size = torch.rand((10, 10), generator=g)  # from 0 to 1
    sign = torch.ones(10)
    sign[::2] = -1
    columns = [
        -1.5 - 2 * size[:, 0],
        -0.2 - 0.6 * size[:, 1],  # asleep for a ReLU only
        2 + 2 * size[:, 2],
        sign * (20 + 5 * size[:, 3]),  # at both flat ends, as far as numbers go
        sign * (0.1 + 0.5 * size[:, 4]),
        sign * (0.1 + 2 * size[:, 5]),
        torch.where(torch.arange(10) == 9, 0.3, -0.1 - size[:, 6]),  # alive for one example
        -20 - 5 * size[:, 7],
        sign * (3 + size[:, 8]),  # white from top to bottom, and alive with a tanh
        sign * (6 + size[:, 9]),  # with a slope of some millionths
    ]
    return torch.stack(columns, dim=1)


@exercise("3.2")
def count_dead(answer):
    """How many neurons get no gradient from any example, given pre-activations and a nonlinearity."""
    nonlinearities = {
        "the ReLU": torch.relu,
        "tanh": torch.tanh,
        "the leaky ReLU": F.leaky_relu,
        "hardtanh, which is flat below -1 and above 1": F.hardtanh,
    }
    right = []
    for name, f in nonlinearities.items():
        preact = _examples()
        count = as_number(call(answer, preact.clone(), f), "the count")
        x = preact.requires_grad_()
        (slopes,) = torch.autograd.grad(f(x).sum(), x)
        flat, out = slopes == 0, f(preact)
        if count == flat.all(0).sum():
            right.append(name)
            continue
        usual = [
            (
                (out == 0).all(0).sum(),
                "an output of 0 is no sign of death there. What is the gradient multiplied by?",
            ),
            (
                (preact <= 0).all(0).sum(),
                "negative inputs are the flat side of a ReLU. Is every nonlinearity flat there, and only there?",
            ),
            (
                flat.any(0).sum(),
                "that counts neurons that some example passes no gradient to. When is one dead?",
            ),
            (
                flat.sum(),
                "that counts single squares of the map. What makes a whole neuron dead?",
            ),
            (
                flat.all(1).sum(),
                "that goes along the examples. A neuron is a column: which dimension has to be gone through?",
            ),
            (
                (slopes < 0.02).all(0).sum(),
                "a small slope is not no slope: a little gradient passes. Asked are those that get none.",
            ),
            (
                (out.abs() > 0.99).all(0).sum(),
                "white from top to bottom is a suspect. What is the gradient multiplied by?",
            ),
        ]
        start = f"right for {' and '.join(right)}; but {count:g}" if right else f"{count:g}"
        recognize(count, usual, 0, start=f"{start} for {name}: ")
        raise Wrong(f"{start} for {name}. At how many places is the slope 0, and in which columns?")
    return "One test for every nonlinearity; and the leaky ReLU passes it with nobody dead."


@exercise("3.3")
def wake(answer):
    """Biases that lift the largest pre-activation of each dead ReLU neuron to a margin, and no others."""
    for seed, margin in ((33, 0.5), (34, 0.1)):
        g = torch.Generator().manual_seed(seed)
        x = torch.randn((12, 8), generator=g)
        b1 = torch.randn(8, generator=g)
        highest = torch.tensor([-2.0, 1.5, -0.3, 0.4 * margin, -1.0, 2.5, 0.9, -0.05])
        preact = x - x.amax(0) + highest  # b1 is already in it
        dead = highest <= 0
        new = as_tensor(call(answer, preact.clone(), b1.clone(), margin), (8,), "the new b1")
        right = torch.where(dead, b1 - highest + margin, b1)
        if close(new, right, 1e-5):
            continue
        if close(new, b1, 1e-5):
            raise Wrong("nobody is changed. Which neurons are dead for these examples?")
        if close(new[dead], right[dead], 1e-5):
            if close(new, b1 + (margin - highest).clamp(min=0), 1e-5):
                raise Wrong(
                    "the dead wake; but a living one that lies between 0 and the margin is moved, too."
                )
            raise Wrong(
                "the dead wake, just as asked; but living ones are moved, too. Who may keep the old bias?"
            )
        start = "the living keep their bias; " if close(new[~dead], b1[~dead], 1e-5) else ""
        usual = [
            (
                b1 - highest,
                "raised to the edge, where a ReLU's slope is still 0. How far beyond should it be?",
            ),
            (
                b1 + highest + margin,
                "the dead ones are moved the wrong way. A largest pre-activation of -2 must rise by more than 2.",
            ),
            (b1 - highest - margin, "moved the wrong way by the margin, and still dead."),
            (
                margin - highest,
                "nearly: that would do if the old bias were 0. The pre-activations hold it already.",
            ),
            (
                b1 - preact.amin(0) + margin,
                "that wakes them for every example. Which of their pre-activations is the closest to 0?",
            ),
            (
                b1 - preact.mean(0) + margin,
                "that lifts their mean to the margin. Asked is their largest pre-activation.",
            ),
            (b1 + margin, "each is raised by the margin only. How deep below 0 do they lie?"),
        ]
        of_the_dead = [(produced[dead], message) for produced, message in usual]
        recognize(new[dead], of_the_dead, 1e-5, start=f"right shape; {start}")
        lifted = (preact - b1 + new).amax(0)[dead]
        raise Wrong(
            f"right shape; {start}the largest pre-activations of the dead neurons are now "
            f"{', '.join(f'{value:.2f}' for value in lifted.tolist())}, with the margin {margin}."
        )
    return "You can save neurons that training cannot. A better start and a smaller rate save them before."
