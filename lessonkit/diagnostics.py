"""What is measured behind the four pictures (lesson 07): rows, one for each layer or weight, and update ratios."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F

SATURATED = 0.97  # |tanh| beyond it counts as saturated; the slope there is below 0.06
USUAL_RATIO = 1e-3  # of an update to the weights that it changes; the lecture's rule of thumb


@dataclass(frozen=True)
class Row:
    """What was measured of one layer or weight. A histogram's density, (bins,), stands over its edges, (bins + 1,).

    saturation: the share of values beyond ±SATURATED. ratio: of a gradient to its weight, or of an update to it, in
    standard deviations, at a training step. None where it was not measured.
    """

    layer: str
    mean: float
    std: float
    edges: torch.Tensor
    density: torch.Tensor
    saturation: float | None = None
    ratio: float | None = None


def measure(layer, values, bins=60, **others):
    """The Row of a tensor. bins: how many, from the smallest to the largest value, or their edges.

    Raises ValueError that names the layer if a value is not finite.
    """
    values = values.detach().flatten()
    if not values.isfinite().all():
        raise ValueError(f"{layer} holds values that are not finite: its training has blown up.")
    density, edges = torch.histogram(values, bins, density=True)
    return Row(layer, values.mean().item(), values.std().item(), edges, density, **others)


def forward_backward(network, X, Y):
    """One pass forward and backward without an update; every layer keeps `out` and `out.grad`. Returns the loss."""
    logits = network(X)
    for p in network.parameters():
        p.grad = None
    for layer in network.layers:
        layer.out.retain_grad()
    loss = F.cross_entropy(logits, Y)
    loss.backward()
    return loss.item()


def activation_rows(layers, bins=60):
    """A Row for the `out` of each layer: what it passes on."""
    return [
        measure(f"layer {i}", x, bins, saturation=(x.abs() > SATURATED).float().mean().item())
        for i, x in enumerate((layer.out for layer in layers), 1)
    ]


def gradient_rows(layers, bins=60):
    """A Row for the `out.grad` of each layer: what comes back to it. Needs `forward_backward` before."""
    return [measure(f"layer {i}", layer.out.grad, bins) for i, layer in enumerate(layers, 1)]


def weight_rows(weights, bins=60):
    """A Row for the gradient of each weight, {name: tensor}; ratio is std(gradient) / std(weight)."""
    return [
        measure(name, w.grad, bins, ratio=(w.grad.std() / w.detach().std()).item())
        for name, w in weights.items()
    ]


class UpdateRatios:
    """Record in `train` how large the updates are: ratios[name] is a list of std(update) / std(weight) at `steps`.

    weights: {name: tensor}. every: the steps from one record to the next; 10 keeps the cost of it small.
    """

    def __init__(self, weights, every=10):
        self.weights, self.every = weights, every
        self.records = []  # of (step, {name: ratio})

    def __call__(self, step, rate):
        if step % self.every == 0:
            ratios = {
                name: (rate * w.grad.std() / w.detach().std()).item()
                for name, w in self.weights.items()
            }
            # Whole or not at all, for a training can be interrupted.
            self.records.append((step, ratios))

    @property
    def steps(self):
        return [step for step, _ in self.records]

    @property
    def ratios(self):
        return {name: [ratios[name] for _, ratios in self.records] for name in self.weights}

    def recent(self, count=10):
        """The mean of the last `count` records of each weight: {name: ratio}; nan if there is none."""
        return {
            name: sum(ratios[-count:]) / len(ratios[-count:]) if ratios else float("nan")
            for name, ratios in self.ratios.items()
        }
