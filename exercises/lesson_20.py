"""Checkers for the exercises of lesson 20."""

import math

import torch

from exercises import Wrong, as_number, as_tensor, call, close, exercise, recognize


@exercise("20.1")
def affine(answer):
    """A function of x, (N, 2), A, (2, 2), and b, (2,): log q(x), (N,), if x = z A + b and z is standard normal."""
    g = torch.Generator().manual_seed(20)
    for size in (1.0, 3.0):
        A = size * torch.randn((2, 2), generator=g)
        A[0] *= -torch.det(A).sign()  # one that turns the plane over
        b, x = torch.randn(2, generator=g), torch.randn((6, 2), generator=g)
        result = as_tensor(call(answer, x.clone(), A.clone(), b.clone()), (6,), "log q(x)")
        z = (x - b) @ torch.linalg.inv(A)
        of_z = -0.5 * z.pow(2).sum(-1) - math.log(2 * math.pi)
        stretch = torch.det(A).abs().log()
        if close(result, of_z - stretch, 1e-3 * max(1, of_z.abs().max().item())):
            continue
        usual = [
            (of_z, "that is the density of z. By how much has the map stretched the plane?"),
            (
                of_z + stretch,
                "the stretch has the wrong sign. Is the density of x larger or smaller after a stretch?",
            ),
            (
                of_z - A.diagonal().abs().log().sum(),
                "the diagonal alone is not the determinant, unless A is triangular.",
            ),
            (
                of_z - stretch + math.log(2 * math.pi) / 2,
                "2π is missing by a factor. How many coordinates has x?",
            ),
        ]
        recognize(result, usual, 1e-3 * max(1, of_z.abs().max().item()))
        raise Wrong(
            "the shape is right, the numbers are not. Which z has been mapped to x, and what is its density?"
        )
    return "Any step whose determinant you know can be a step of a flow."


def _kl(a, s, b, t):
    return math.log(t / s) + (s**2 + (a - b) ** 2) / (2 * t**2) - 0.5


@exercise("20.2")
def kl_of_normals(answer):
    """A function of m1, s1, m2, s2: KL(N(m1, s1) ‖ N(m2, s2)) in nats."""
    for m1, s1, m2, s2 in ((0.0, 1.0, 1.0, 1.0), (0.5, 0.3, -1.0, 2.0), (1.0, 2.0, 0.0, 0.7)):
        result = as_number(call(answer, m1, s1, m2, s2), "the KL")
        wanted = _kl(m1, s1, m2, s2)
        start = f"N({m1:g}, {s1:g}) to N({m2:g}, {s2:g}): "
        if close(result, wanted, 1e-4 * max(1, wanted)):
            continue
        usual = [
            (_kl(m2, s2, m1, s1), "that is the KL the other way round. Over which is the mean?"),
            (wanted + 0.5, "there is half a nat too much. What is the KL of a normal to itself?"),
            (
                math.log(s2 / s1) + (s1 + (m1 - m2) ** 2) / (2 * s2) - 0.5,
                "s is taken for a variance. It is a std.",
            ),
            (
                math.log(s2 / s1) + (s1**2 + abs(m1 - m2)) / (2 * s2**2) - 0.5,
                "the distance of the means is not squared.",
            ),
        ]
        recognize(result, usual, 1e-4, start=start)
        raise Wrong(start + f"yours is {result:.4g}. What comes out if the two are the same?")
    return "With m2 = 0 and s2 = 1 this is the price of a code in a VAE."


@exercise("20.3")
def push(answer):
    """A function of logits, (N,): the derivative of -log D with respect to each, with D = sigmoid(logit)."""
    logits = torch.tensor([-6.0, -1.0, 0.0, 0.5, 4.0])
    result = as_tensor(call(answer, logits.clone()), (5,), "the derivatives")
    D = torch.sigmoid(logits)
    wanted = -(1 - D)
    if close(result, wanted, 1e-4):
        return "Where D is sure of a fake, the derivative is −1: all of the push is left."
    usual = [
        (-D, "that is the slope of log(1 − D), the loss that saturates."),
        (1 - D, "the size is right. Does −log D rise or fall with the logit?"),
        (
            -1 / D,
            "that is the slope over D. Over the logit one more factor comes in, the sigmoid's own slope.",
        ),
        (wanted / 5, "the mean's derivatives are asked for? No: those of each loss by itself."),
        (-torch.log(D), "that is the loss itself. And its slope?"),
    ]
    recognize(result.float(), usual, 1e-4)
    raise Wrong("the shape is right, the numbers are not. What does autograd say for a logit of 0?")
