"""Threshold units (lesson 13): what they can compute, networks of them, and the picture of a plane that bends.

A bit is 0 or 1. Inputs are the rows of (inputs, N) for N bits, in the order of `inputs`; answers are (inputs,).
"""

import torch
import torch.nn.functional as F

from lessonkit.interrupts import progress, stoppable

# ---------------------------------------------------------------- What units can compute


def inputs(N):
    """All inputs of N bits, 2 or more: a row of zeros and ones for each, (2 to the N, N)."""
    return torch.cartesian_prod(*[torch.tensor([0.0, 1.0])] * N)


def threshold_functions(N):
    """Every function of N bits that one threshold unit can compute, for N from 2 to 4: bools, (functions, 2 to the N).

    It tries weights of -3 to 3 and all thresholds between the sums. Up to four bits these give all: there are 14, 104
    and 1,882 (sequence A000609 of the OEIS), and lesson 13b shows of each other function that it is impossible.
    """
    sums = torch.cartesian_prod(*[torch.arange(-3.0, 4.0)] * N) @ inputs(N).T
    thresholds = torch.arange(-3 * N - 0.5, 3 * N + 1)
    return torch.cat([sums > threshold for threshold in thresholds]).unique(dim=0)


def two_layers(bits, W1, b1, W2, b2):
    """The answers of a hidden layer of threshold units, W1 (N, units), and an output unit, W2 (units,)."""
    hidden = (bits @ W1 + b1 > 0).float()
    return (hidden @ W2 + b2 > 0).float()


def detectors(bits, answers):
    """A network for `two_layers` with a hidden unit for each input whose answer is 1: (W1, b1, W2, b2)."""
    patterns = bits[answers == 1]
    return 2 * patterns.T - 1, 0.5 - patterns.sum(1), torch.ones(len(patterns)), torch.tensor(-0.5)


# ---------------------------------------------------------------- Many networks in training


def logits(x, W1, W2, b2):
    """What a stack of networks with tanh units says of inputs x, (N, in): (N, networks), above 0 for yes.

    W1: (in, networks, units), W2: (networks, units), b2: (networks,).
    """
    hidden = torch.tanh(x @ W1.flatten(1)).view(len(x), *W2.shape)
    return (hidden * W2).sum(2) + b2


def train_many(
    x, answers, parameters, steps, lr=1.0, *, optimizer=torch.optim.SGD, frozen=(), quiet=False
):
    """Train a stack on all inputs at once; return 1 for each network with all answers right, else 0: (networks,).

    x, answers: (N, in) and (N,). parameters: W1, W2 and b2 of `logits`, changed in place but for the `frozen` ones.
    optimizer: of torch, one that treats each number on its own, as SGD and Adam do. quiet: without a bar.
    The loss of a network is the binary cross-entropy; no network sees another one.
    """
    moving = [p for p in parameters if not any(p is one for one in frozen)]
    update = optimizer(moving, lr)
    with stoppable():
        for _ in progress(steps, quiet=quiet):
            said = logits(x, *parameters)
            wanted = answers[:, None].expand_as(said)
            losses = F.binary_cross_entropy_with_logits(said, wanted, reduction="none").mean(0)
            update.zero_grad()
            losses.sum().backward()
            update.step()
    return ((logits(x, *parameters) > 0) == (answers[:, None] == 1)).all(0).float()


# ---------------------------------------------------------------- The plane that bends

NO, YES = [0, 3], [1, 2]  # the answers of XOR for the rows of inputs(2)
TICKS = torch.linspace(-0.5, 1.5, 61)
PLANE = torch.stack(torch.meshgrid(TICKS, TICKS, indexing="xy"), 2)  # (e, a, 2)
LINES = [*PLANE[::6], *PLANE.transpose(0, 1)[::6]]  # across, and up


def crossing(corners):
    """Whether the diagonals no-no and yes-yes of four points cross. Then no line separates yes from no."""
    no, yes = corners[NO], corners[YES]
    return _parted(no, yes) and _parted(yes, no)


def _parted(line, points):
    """Whether two points lie on different sides of a line through two others."""
    start, end = line
    sides = [torch.det(torch.stack([end - start, point - start])).item() for point in points]
    return sides[0] * sides[1] < 0


def draw_plane(figure, bend):
    """The plane of two bits and where a hidden layer takes it; returns `update`, as helpers.Panel wants it.

    bend: a function of points, (..., 2), and the settings, to the outputs (h1, h2) of two units between 0 and 1. The
    output says yes where h1 - h2 is above 0.5.
    """
    before, after = figure.subplots(1, 2)
    before.set(title="The plane (green: the output is yes)", xlabel="a", ylabel="e")
    after.set(title="Where the hidden layer takes it", xlabel="h₁", ylabel="h₂")
    after.set(xlim=(-0.06, 1.06), ylim=(-0.06, 1.06))
    for axes in (before, after):
        axes.grid(visible=False)
        axes.set_aspect("equal")
    corners = inputs(2)
    nothing, extent = PLANE[..., 0].numpy(), (-0.5, 1.5, -0.5, 1.5)
    green = before.imshow(nothing, "Greens", vmin=0, vmax=2, extent=extent, origin="lower")
    for line in LINES:
        before.plot(*line.T, color="0.75", linewidth=0.5)
    grid = [after.plot([], [], color="0.75", linewidth=1)[0] for _ in LINES]
    edge = [0.44, 1.06], [-0.06, 0.56]
    after.plot(*edge, color="black", linestyle="--", label="h₁ − h₂ = 0.5")
    for axes in (before, after):
        diagonals = [
            axes.plot(*corners[pair].T, "o:", color=color, label=label, clip_on=False)[0]
            for pair, color, label in ((NO, "C1", "no"), (YES, "C0", "yes"))
        ]
    after.legend(loc="center left", bbox_to_anchor=(1, 0.5))

    def update(**settings):
        moved = bend(corners, **settings)
        yes, said = (h[..., 0] - h[..., 1] > 0.5 for h in (moved, bend(PLANE, **settings)))
        green.set_data(said.float().numpy())
        for line, points in zip(grid, LINES, strict=True):
            line.set_data(*bend(points, **settings).T)
        for line, pair in zip(diagonals, (NO, YES), strict=True):
            line.set_data(*moved[pair].T)
        right = sum(yes.tolist()[row] == (row in YES) for row in range(4))
        words = "cross: no line can separate yes from no" if crossing(moved) else "do not cross"
        return f"Right for {right} of the 4 inputs. The diagonals {words}."

    return update
