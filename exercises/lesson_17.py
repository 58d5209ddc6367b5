"""Checkers for the exercises of lesson 17."""

import math

import torch

from exercises import Wrong, as_number, as_tensor, call, close, exercise, recognize


@exercise("17.1")
def gru(answer):
    """A function of x, (N, inputs), h, (N, units), W, U and b: the next h of a GRU, gates in torch's order."""
    g = torch.Generator().manual_seed(17)
    for N, inputs, units in ((4, 3, 5), (1, 6, 2)):
        x, h = torch.randn((N, inputs), generator=g), torch.randn((N, units), generator=g)
        W = torch.randn((inputs, 3 * units), generator=g)
        U = torch.randn((units, 3 * units), generator=g)
        b = torch.randn((1, 3 * units), generator=g)
        result = call(answer, *(part.clone() for part in (x, h, W, U, b)))
        result = as_tensor(result, h.shape, "the next h")
        xr, xz, xn = (x @ W + b).chunk(3, -1)
        hr, hz, hn = (h @ U).chunk(3, -1)
        r, z = torch.sigmoid(xr + hr), torch.sigmoid(xz + hz)
        new = torch.tanh(xn + r * hn)
        if close(result, z * h + (1 - z) * new, 1e-5):
            continue
        all_at_once = torch.tanh(xn + hn)
        usual = [
            ((1 - z) * h + z * new, "z keeps the *new* state here. Which one is to be kept?"),
            (z * h + (1 - z) * all_at_once, "where does the reset gate r come in?"),
            (z * h + (1 - z) * torch.tanh(r * (xn + hn)), "r scales x, too. What is to be reset?"),
            (z * h + new, "the two shares do not add up to 1. What does the new state get?"),
            (
                r * h + (1 - r) * torch.tanh(xn + z * hn),
                "r and z are swapped. Which third is which?",
            ),
        ]
        recognize(result, usual, 1e-5, start=f"h of shape ({N}, {units}): ")
        raise Wrong(
            f"h of shape ({N}, {units}): the shape is right, the numbers are not. "
            "What do you get if r = 0 and z = 0: does h still matter?"
        )
    return "With z near 1 the state stays as it is, and so does its gradient."


@exercise("17.2")
def clip(answer):
    """A function of a list of gradients and a limit: the gradients, shrunk to that joint length if they are longer."""
    g = torch.Generator().manual_seed(17)
    for size, limit in ((1.0, 0.5), (0.01, 2.0), (3.0, 1.0)):
        gradients = [size * torch.randn(shape, generator=g) for shape in ((4, 3), (3,), (2, 2))]
        result = call(answer, [part.clone() for part in gradients], limit)
        if not isinstance(result, list | tuple) or len(result) != len(gradients):
            raise Wrong("a list is asked for, with one tensor for each gradient.")
        result = torch.cat(
            [
                as_tensor(part, gradient.shape, "a gradient").flatten()
                for part, gradient in zip(result, gradients, strict=True)
            ]
        )
        flat = torch.cat([part.flatten() for part in gradients])
        length = flat.norm()
        wanted = flat * min(1, limit / length)
        if close(result, wanted, 1e-4 * wanted.abs().max().item()):
            continue
        each = torch.cat([(p * min(1, limit / p.norm())).flatten() for p in gradients])
        start = f"length {length:.2f}, limit {limit:g}: "
        usual = [
            (
                each,
                "you clip each tensor by its own length. Does the direction of the whole stay the same?",
            ),
            (
                flat.clamp(-limit, limit),
                "you clip each number by itself. Does the direction stay the same?",
            ),
            (
                flat * limit / length,
                "short gradients are made longer. What is to happen below the limit?",
            ),
            (flat, "nothing was changed, though the whole is longer than the limit."),
        ]
        recognize(result, usual, 1e-5, start=start)
        raise Wrong(start + f"yours has the length {result.norm():.3g}. What should it be?")
    return "The direction stays, so a clipped step is only shorter."


@exercise("17.3")
def half_life(answer):
    """A function of a forget gate's bias: the number of steps after which half of the memory is left."""
    for b in (0.0, 1.0, 3.0, -1.0):
        result = as_number(call(answer, b), "the number of steps")
        gate = 1 / (1 + math.exp(-b))
        wanted = math.log(0.5) / math.log(gate)
        if close(result, wanted, 1e-4 * wanted):
            continue
        usual = [
            (-wanted, "a negative number of steps. Which sign has the logarithm of a gate?"),
            (1 / wanted, "upside down: what do you get for b = 0, where each step keeps a half?"),
            (-1 / math.log(gate), "after that many steps 1/e is left. And a half?"),
            (
                0.5 / (1 - gate),
                "as if each step took away an equal *amount*. It takes away a share.",
            ),
        ]
        recognize(result, usual, 1e-4, relative=True, start=f"b = {b:g}: ")
        raise Wrong(
            f"b = {b:g}: the gate is {gate:.3g}, and after {result:.3g} steps {gate**result:.3g} is left. "
            "How much should it be?"
        )
    return "Solved for b, this is a start for the length that you need."
