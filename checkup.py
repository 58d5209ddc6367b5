"""A checkup for any network: one pass over a batch, the rows behind the four pictures, and findings in words.

    report = checkup.diagnose(model, inputs, targets, nn.CrossEntropyLoss(), lr=0.1)
    print(report)
    report.draw(plt.figure(figsize=(10, 6)))

Lesson 11 builds it up and tries it. By hooks it sees what the *modules* of a network put out. What a `forward`
computes by functions such as torch.tanh, or inside an LSTM, it does not see, only what comes of it.
"""

import math
from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from itertools import pairwise
from types import SimpleNamespace

import torch
import torch.nn.functional as F
from torch import nn

from lessonkit.diagnostics import SATURATED, USUAL_RATIO, measure
from lessonkit.layers import MLP, BatchNorm1d, Linear, Tanh, to_torch
from lessonkit.pictures import plot_histograms

# When a measurement becomes a finding. Lesson 11 counts the false alarms and the misses that these give.
ABOVE_IGNORANCE = 0.5  # nats of a first loss above ln(classes); logits of std 1 cost that much
ABOVE_VARIANCE = 2  # a first squared loss against the targets' variance
SATURATED_SHARE = 1 / 3  # of a layer's outputs
DEAD_SHARE = 1 / 4  # of a layer's units
CONSTANT_SHARE = 1 / 2  # of a layer's units
FEWEST_EXAMPLES = 16  # before a unit can be called dead or constant
FEWEST_LAYERS = 4  # before a change over the depth is a trend
FADES, GROWS = 0.6, 1.7  # the std of the last layer's outputs against the first one's
GRADIENT_FACTOR = 8  # between the gradients of the first and of the last layer
CANCELLED = 1e-5  # the largest gradient of a bias against that of its weight
# The std of an update against that of its weight: of the median weight, and of the one that moves most.
SMALL_UPDATE, LARGE_UPDATE, LARGEST_UPDATE = 1e-4, 3e-2, 1
FITS = 1 / 3, 3  # the std of what a BatchNorm in eval mode puts out, before its weight and bias

PLAIN_CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
CONVOLUTIONS = (*PLAIN_CONVOLUTIONS, nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)
LINEARS = (nn.Linear, *CONVOLUTIONS)
BATCHNORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)
RECTIFIERS = (nn.ReLU, nn.ReLU6)
SQUASHERS = (nn.Tanh, nn.Hardtanh, nn.Sigmoid)
BENDS = (*RECTIFIERS, *SQUASHERS, nn.LeakyReLU, nn.PReLU, nn.ELU, nn.SELU, nn.GELU, nn.SiLU)


@dataclass(frozen=True)
class Finding:
    """Something that asks for a look.

    what: in a few words. where: layers or weights. evidence: the numbers, as sentences. lesson: which one explains it.
    """

    what: str
    where: str
    evidence: str
    lesson: str

    def __str__(self):
        return f"{self.what} ({self.where}): {self.evidence} See lesson {self.lesson}."


@dataclass
class Report:
    """What `diagnose` has measured.

    loss: nan if there is none. outputs, gradients: a helpers.Row for each innermost module, in the order of the
    calls. weights: one for the gradient of each weight of two or more dimensions; its ratio is that of gradient to
    weight, in standard deviations. updates: by weight, the ratio of its update to it, if there is an lr.
    chain: the layers to compare with each other over the depth, by their labels: nonlinearities of one kind, or linear
    layers of one shape; none if there are no two of them.
    findings: a list of Finding. notes: what could not be looked at, and why.
    """

    loss: float = math.nan
    outputs: list = field(default_factory=list)
    gradients: list = field(default_factory=list)
    weights: list = field(default_factory=list)
    updates: dict = field(default_factory=dict)
    chain: list = field(default_factory=list)
    findings: list = field(default_factory=list)
    notes: list = field(default_factory=list)

    def __str__(self):
        seen = f"layers seen: {len(self.outputs)}, weights: {len(self.weights)}"
        lines = [f"loss {self.loss:.4g}; {seen}"]
        lines += [f"! {finding}" for finding in self.findings] or ["No finding."]
        return "\n".join(lines + [f"  ({note})" for note in self.notes])

    def draw(self, figure, most=8):
        """Draw the four pictures. 1 to 3: of at most so many layers or weights, spread over the depth.

        The layers are those of the chain, or all if there is none.

        The densities have a log axis, so that narrow and wide layers are seen in one picture: the higher, the narrower.
        """
        axes = figure.subplots(2, 2).flatten()
        shown = self.chain or [row.layer for row in self.outputs]
        pictures = [
            ([row for row in self.outputs if row.layer in shown], "1 Forward: the outputs"),
            ([row for row in self.gradients if row.layer in shown], "2 Backward: gradients"),
            (self.weights, "3 Gradients of the weights"),
        ]
        xlabels = ("output", "gradient of the output", "gradient of the weight")
        for ax, (rows, title), xlabel in zip(axes[:3], pictures, xlabels, strict=True):
            if rows:
                plot_histograms(ax, [shortly(row) for row in spread(rows, most)])
                ax.set_yscale("log")
                low, high = ax.get_ylim()
                ax.set_ylim(bottom=min(low, high / 100))  # so that two powers of ten are labelled
            ax.set(title=title, xlabel=xlabel, ylabel="density")
            ax.ticklabel_format(axis="x", style="sci", scilimits=(-2, 3))
            ax.locator_params(axis="x", nbins=4)
        ratios = list(self.updates.values()) or [row.ratio for row in self.weights if row.ratio]
        axes[3].plot(range(1, len(ratios) + 1), ratios, "o")
        if self.updates:
            axes[3].axhline(USUAL_RATIO, color="black", linestyle="--")
        if any(ratio > 0 for ratio in ratios):
            axes[3].set_yscale("log")
        what = "Updates" if self.updates else "Gradients"
        labels = {"xlabel": "weights, in the network's order", "ylabel": "ratio of stds"}
        axes[3].set(title=f"4 {what} against weights", **labels)
        axes[3].xaxis.get_major_locator().set_params(integer=True)


def spread(items, most):
    """At most so many of the items, evenly spread, the first and the last among them."""
    if len(items) <= most:
        return items
    return [items[round(i * (len(items) - 1) / (most - 1))] for i in range(most)]


def shortly(row, longest=20):
    """The row with the end of a label that is too long for a legend."""
    return replace(
        row, layer=row.layer if len(row.layer) <= longest else f"…{row.layer[-longest:]}"
    )


# ---------------------------------------------------------------- One pass, watched


@dataclass
class Call:
    """One call of a module: a label (from the second call on with a number), its output's values, their gradient."""

    label: str
    module: nn.Module
    values: torch.Tensor
    gradient: torch.Tensor | None = None


def first_tensor(value):
    """The first tensor of floats in what a module takes or returns, within tuples, lists and dicts too; or None."""
    if isinstance(value, torch.Tensor):
        return value if value.is_floating_point() else None
    if isinstance(value, dict):
        value = list(value.values())
    if not isinstance(value, tuple | list):
        return None
    return next((found for part in value if (found := first_tensor(part)) is not None), None)


def copied(tensor):
    """A copy that later changes in place do not reach, as 32-bit floats, where histograms can be made."""
    return tensor.detach().to("cpu", torch.float32, copy=True)


@contextmanager
def watched(model):
    """Within it the innermost modules' calls are written down: of those in which no other module is called.

    Yields (the calls, the modules now at work, from the outermost on, as objects with a label).
    """
    calls, at_work, handles, times = [], [], [], Counter()

    def watch(path, module):
        kind = type(module).__name__
        label = f"{path} {kind}" if path.rpartition(".")[2].isdigit() else path or kind

        def enter(module, inputs):
            if at_work:
                at_work[-1].calls_others = True
            at_work.append(SimpleNamespace(label=label, calls_others=False))

        def leave(module, inputs, output):
            out = first_tensor(output)
            if at_work.pop().calls_others or out is None:
                return
            times[path] += 1
            number = f" (call {times[path]})" if times[path] > 1 else ""
            call = Call(label + number, module, copied(out))
            calls.append(call)
            if out.requires_grad:
                note = out.register_hook(
                    lambda gradient: setattr(call, "gradient", copied(gradient))
                )
                handles.append(note)

        handles.append(module.register_forward_pre_hook(enter))
        handles.append(module.register_forward_hook(leave))

    try:
        for path, module in model.named_modules():
            if "parametrizations" not in path.split("."):  # these compute a weight
                watch(path, module)
        yield calls, at_work
    finally:
        for handle in handles:
            handle.remove()


@contextmanager
def unchanged(model):
    """Within it the model may run; afterwards its buffers and torch's random numbers are what they were before."""
    kept = [
        (module._buffers, name, buffer, None if buffer is None else buffer.clone())
        for module in model.modules()
        for name, buffer in module._buffers.items()
    ]
    try:
        with torch.random.fork_rng(), torch.enable_grad():
            yield
    finally:
        with torch.no_grad():
            for buffers, name, buffer, numbers in kept:
                buffers[name] = buffer if buffer is None else buffer.copy_(numbers)


def as_module(model):
    """The nn.Module itself; or one with a copy of what a network of this series holds: MLP, or its layers."""
    if isinstance(model, nn.Module):
        return model
    if isinstance(model, MLP):
        return to_torch(model)
    layers = (Linear, BatchNorm1d, Tanh)
    if isinstance(model, list | tuple) and model and all(isinstance(one, layers) for one in model):
        network = SimpleNamespace(C=torch.zeros(1, 1), layers=model, training=model[0].training)
        return nn.Sequential(*to_torch(network)[2:])  # without embedding and Flatten
    wanted = "an nn.Module, a MLP or a list of its layers"
    raise TypeError(f"diagnose needs {wanted}, and got {type(model).__name__}.")


def diagnose(model, inputs, targets, loss_fn, lr=None):
    """Examine a network by one pass forward and backward over a batch. Returns a Report.

    model: any nn.Module, or a network of this series. inputs: what it takes; a tuple if it takes several things.
    loss_fn: a function of (output, targets) that returns one number, as a tensor. lr: the learning rate of plain
    gradient descent, for the ratio of updates to weights.

    The model stays as it is: weights, buffers, mode, `.grad` and hooks. It is examined in the mode that it is in.
    What goes wrong in the model or in the loss becomes a finding. Raises TypeError if `model` is no network, and
    ValueError if lr is not a positive number.
    """
    model = as_module(model)
    if lr is not None and not 0 < lr < math.inf:
        raise ValueError(f"lr is {lr}; it must be a positive number, or None.")
    report = Report()
    if any(isinstance(p, nn.parameter.UninitializedParameter) for p in model.parameters()):
        evidence = "A lazy layer draws its weights in its first call. Call the model once."
        lazy = Finding("weights that do not exist yet", "the model", evidence, "10")
        report.findings.append(lazy)
        return report
    parameters = {name: p for name, p in model.named_parameters() if p.requires_grad}
    if frozen := sum(not p.requires_grad for p in model.parameters()):
        report.notes.append(f"frozen parameters, which get no gradient on purpose: {frozen}")
    with unchanged(model), watched(model) as (calls, at_work):
        try:
            output = model(*inputs) if isinstance(inputs, tuple) else model(inputs)
        except Exception as error:  # whatever a model raises is told, with the place
            where = at_work[-1].label if at_work else "the model"
            report.findings.append(raised("the forward pass", where, error))
            return report
        loss, problem = loss_of(loss_fn, output, targets)
        gradients, more = gradients_of(loss, parameters)
    report.findings += [one for one in (problem, more) if one is not None]
    report.loss = math.nan if loss is None else loss.item()
    broken = not_finite(model, inputs, calls, loss)
    if broken is not None:
        report.findings.append(broken)
        return report
    fill(report, calls, parameters, gradients, lr)
    report.findings += first_loss(report.loss, first_tensor(output), targets)
    report.findings += units(report, calls)
    report.findings += over_the_depth(report)
    report.findings += running_statistics(calls)
    report.findings += parameters_and_biases(model, parameters, gradients)
    report.findings += speed(report, lr)
    return report


def raised(what, where, error, more=""):
    """The finding that something has raised an error."""
    said = " ".join(str(error).split()).rstrip(".")
    return Finding(f"{what} raises an error", where, f"{type(error).__name__}: {said}.{more}", "10")


def loss_of(loss_fn, output, targets):
    """(the loss as a tensor of one number, or None; what is wrong with it, or None)."""
    try:
        loss = loss_fn(output, targets)
    except Exception as error:
        out = first_tensor(output)
        shape = "no tensor of floats" if out is None else f"of shape {tuple(out.shape)}"
        return None, raised("the loss", "loss_fn", error, f" The model's output is {shape}.")
    if isinstance(loss, torch.Tensor) and loss.numel() == 1:
        return loss.squeeze(), None
    said = f"of shape {tuple(loss.shape)}" if isinstance(loss, torch.Tensor) else repr(loss)
    evidence = f"It returned {said}, and gradients need one number."
    return None, Finding("the loss is not one number", "loss_fn", evidence, "10")


def gradients_of(loss, parameters):
    """({name: gradient or None}, what is wrong, or None). No `.grad` is touched."""
    if loss is None:
        return {}, None
    if not parameters or not loss.requires_grad:
        evidence = "The loss depends on no parameter: is something detached, or under no_grad?"
        if not parameters:
            evidence = "The model has no parameters that ask for gradients."
        return {}, Finding("nothing can be learned", "the model", evidence, "10")
    try:
        found = torch.autograd.grad(loss, list(parameters.values()), allow_unused=True)
    except Exception as error:
        return {}, raised("the backward pass", "the model", error)
    dense = [one.to_dense() if one is not None and one.is_sparse else one for one in found]
    return dict(zip(parameters, dense, strict=True)), None


def chain_of(calls):
    """The labels of the layers that can be compared with each other over the depth.

    These are the nonlinearities of the most common kind. If they are few, the linear layers of the most common shape;
    if no two are alike, all but the output layer, whose scale is its own.
    """
    kinds = Counter(type(call.module) for call in calls if isinstance(call.module, BENDS))
    usual_kind = kinds.most_common(1)[0][0] if kinds else None
    chain = [call.label for call in calls if type(call.module) is usual_kind]
    linear = [call for call in calls if isinstance(call.module, LINEARS)]
    if len(chain) >= FEWEST_LAYERS or len(linear) < 2:
        return chain
    shapes = Counter(call.module.weight.shape for call in linear)
    usual, count = shapes.most_common(1)[0]
    alike = linear[:-1] if count == 1 else [x for x in linear if x.module.weight.shape == usual]
    return [call.label for call in alike] if len(alike) > len(chain) else chain


def saturation(call):
    """The share of outputs near an end of the range; None if the module has no range with two ends to saturate at."""
    if not isinstance(call.module, SQUASHERS) or isinstance(call.module, RECTIFIERS):
        return None
    low, high = (0, 1) if isinstance(call.module, nn.Sigmoid) else (-1, 1)
    if isinstance(call.module, nn.Hardtanh):
        low, high = call.module.min_val, call.module.max_val
    values = (2 * call.values - low - high) / (high - low)
    return (values.abs() > SATURATED).float().mean().item()


def fill(report, calls, parameters, gradients, lr):
    """Measure the rows of the four pictures. What holds a single number has no spread, and is left out."""
    report.chain = chain_of(calls)
    for call in calls:
        if call.values.numel() < 2:
            continue
        report.outputs.append(measure(call.label, call.values, saturation=saturation(call)))
        if call.gradient is not None and call.gradient.isfinite().all():
            report.gradients.append(measure(call.label, call.gradient))
    for name, gradient in gradients.items():
        if gradient is None or gradient.ndim < 2 or gradient.numel() < 2:
            continue
        values, weight = copied(gradient), copied(parameters[name]).std().item()
        if not values.isfinite().all():
            report.notes.append(f"the gradient of {name} is not finite")
            continue
        ratio = values.std().item() / weight if weight else None
        report.weights.append(measure(name, values, ratio=ratio))
        if lr is not None and ratio is not None:
            report.updates[name] = lr * ratio


# ---------------------------------------------------------------- Findings


def listed(names):
    """The first of the names, and how many more there are."""
    return names[0] + (f" and {len(names) - 1} more" if len(names) > 1 else "")


def not_finite(model, inputs, calls, loss):
    """A Finding: where something is nan or inf for the first time; or None. loss: a tensor of one number, or None."""
    for name, p in model.named_parameters():
        if bad := (~p.isfinite()).sum().item():
            evidence = f"{bad:,} of its {p.numel():,} numbers are nan or inf."
            return Finding("a parameter is not finite", name, evidence, "07")
    given = first_tensor(inputs)
    if given is not None and not given.isfinite().all():
        return Finding("the input is not finite", "inputs", "It holds nan or inf.", "10")
    for call in calls:
        if not call.values.isfinite().all():
            share = (~call.values.isfinite()).float().mean()
            evidence = (
                f"{share:.0%} of its outputs are nan or inf, and those of no module before it."
            )
            return Finding("the first layer that is not finite", call.label, evidence, "07")
    if loss is not None and not loss.isfinite():
        evidence = f"It is {loss.item()}, though all outputs of the layers are finite."
        return Finding("the loss is not finite", "loss_fn", evidence, "02")
    for call in reversed(calls):
        if call.gradient is not None and not call.gradient.isfinite().all():
            evidence = "On the way back it is the first whose gradient holds nan or inf."
            return Finding("a gradient is not finite", call.label, evidence, "07")
    return None


def first_loss(loss, output, targets):
    """A loss above that of knowing nothing, if it is a cross-entropy or a mean squared difference."""
    if output is None or not isinstance(targets, torch.Tensor) or not math.isfinite(loss):
        return
    output, found = output.detach().float(), None
    if targets.is_floating_point():
        if output.shape == targets.shape and targets.numel() > 1:
            ignorance = targets.float().var(0, correction=0).mean().item()
            usual = F.mse_loss(output, targets.float()).item()
            if math.isclose(usual, loss, rel_tol=1e-4) and loss > ABOVE_VARIANCE * ignorance:
                found = f"It is {loss:.3g}, and always answering the mean costs {ignorance:.3g}."
    elif output.ndim > 1:
        for scores, labels in ((output, targets), (output.flatten(0, -2), targets.flatten())):
            if scores.ndim < 2 or (scores.shape[0], *scores.shape[2:]) != labels.shape:
                continue
            classes = scores.shape[1]
            if not 0 <= labels.min() <= labels.max() < classes:
                continue
            usual = F.cross_entropy(scores, labels.long()).item()
            if math.isclose(usual, loss, rel_tol=1e-4):
                if loss > math.log(classes) + ABOVE_IGNORANCE:
                    nothing = f"ln {classes} = {math.log(classes):.2f}"
                    found = f"It is {loss:.2f}, and knowing nothing costs {nothing}."
                break
    if found is not None:
        what = "the loss is higher than that of knowing nothing"
        yield Finding(what, "the output layer", found, "02")


def by_unit(call, channels):
    """The values of a call, a column for each unit. channels: whether a convolution's order, (N, units, ...), holds."""
    values = call.values.movedim(1, -1) if channels and call.values.ndim > 2 else call.values
    return values.reshape(-1, values.shape[-1])


def units(report, calls):
    """Layers of which too much is saturated, dead or constant."""
    ends = {row.layer: row.saturation for row in report.outputs}
    saturated, dead, constant, channels = {}, {}, {}, False
    for call in calls:
        if isinstance(call.module, (*LINEARS, nn.Embedding, nn.RNNBase)):
            channels = isinstance(call.module, CONVOLUTIONS)
        saturated[call.label] = ends.get(call.label) or 0
        if not isinstance(call.module, (*LINEARS, *BENDS)) or call.values.ndim < 2:
            continue
        table = by_unit(call, channels)
        if len(table) < FEWEST_EXAMPLES:
            continue
        rectifier = isinstance(call.module, RECTIFIERS)
        span, largest = table.amax(0) - table.amin(0), table.abs().amax(0)
        if rectifier:
            dead[call.label] = (largest == 0).float().mean().item()
        else:
            constant[call.label] = (span < 1e-6 * (1 + largest)).float().mean().item()
    for what, shares, limit, words, lesson in (
        (
            "saturated outputs",
            saturated,
            SATURATED_SHARE,
            "outputs are at an end of the range",
            "03",
        ),
        ("dead units", dead, DEAD_SHARE, "units put out 0 for every example", "03"),
        ("constant units", constant, CONSTANT_SHARE, "units put out one value for all", "02"),
    ):
        over = {label: share for label, share in shares.items() if share > limit}
        if over:
            worst = max(over, key=over.get)
            evidence = f"{over[worst]:.0%} of the {words} in {worst}."
            yield Finding(what, listed(list(over)), evidence, lesson)


def over_the_depth(report):
    """Outputs that fade or grow from layer to layer, and gradients that vanish or explode on their way back."""
    chain = report.chain
    stds = {row.layer: row.std for row in report.outputs}
    back = {row.layer: row.std for row in report.gradients}
    forward = [stds[label] for label in chain if stds.get(label)]
    backward = [back[label] for label in chain if back.get(label)]
    if len(forward) >= FEWEST_LAYERS:
        first, last = forward[0], forward[-1]
        falls = all(b <= 1.1 * a for a, b in pairwise(forward)) and last < FADES * first
        rises = all(b >= a / 1.1 for a, b in pairwise(forward)) and last > GROWS * first
        if falls or rises:
            evidence = f"Their std goes from {first:.2g} to {last:.2g} over {len(forward)} layers."
            what = "the outputs fade" if falls else "the outputs grow"
            yield Finding(what, f"{chain[0]} to {chain[-1]}", evidence, "04")
    if len(backward) >= FEWEST_LAYERS:
        first, last = backward[0], backward[-1]
        if not 1 / GRADIENT_FACTOR < first / last < GRADIENT_FACTOR:
            what = "vanish" if first < last else "explode"
            evidence = f"Their std is {last:.1e} at {chain[-1]} and {first:.1e} at {chain[0]}."
            where = f"{chain[-1]} to {chain[0]}"
            yield Finding(f"the gradients {what} on their way back", where, evidence, "07")


def running_statistics(calls):
    """BatchNorm layers in eval mode whose running statistics do not fit the batch."""
    off = {}
    for call in calls:
        if not isinstance(call.module, BATCHNORMS) or call.module.training:
            continue
        table = by_unit(call, channels=True)
        if call.module.affine:
            weight, bias = copied(call.module.weight), copied(call.module.bias)
            table = (table - bias)[:, weight != 0] / weight[weight != 0]
        if len(table) >= FEWEST_EXAMPLES and table.numel():
            std = table.std(0).median().item()
            if not FITS[0] < std < FITS[1]:
                off[call.label] = std
    if off:
        worst = max(off, key=lambda label: abs(math.log(off[label] + 1e-30)))
        evidence = f"{worst} should give its middle unit a std near 1, and gives {off[worst]:.2g}."
        yield Finding("running statistics that do not fit", listed(list(off)), evidence, "05")


def parameters_and_biases(model, parameters, gradients):
    """Biases that what follows takes away, and parameters without a gradient."""
    cancelled = {}
    for path, module in model.named_modules():
        names = [f"{path}.{name}".lstrip(".") for name in ("bias", "weight")]
        if isinstance(module, LINEARS) and all(gradients.get(name) is not None for name in names):
            bias, weight = (gradients[name].abs().max().item() for name in names)
            if 0 < bias < CANCELLED * weight:
                cancelled[names[0]] = (bias, weight)
    if cancelled:
        name, (bias, weight) = next(iter(cancelled.items()))
        evidence = (
            f"The largest gradient of {name} is {bias:.0e}, that of its weight {weight:.0e}: "
            "what follows, such as a normalization, takes it away."
        )
        yield Finding("a bias does nothing", listed(list(cancelled)), evidence, "05")
    without = [name for name, one in gradients.items() if one is None or not one.any()]
    if without:
        numbers = sum(parameters[name].numel() for name in without)
        evidence = f"{numbers:,} of the numbers to learn get no gradient from this batch."
        yield Finding("parameters without a gradient", listed(without), evidence, "02")


def speed(report, lr):
    """Updates too small or too large for the weights that they change."""
    if not report.updates:
        return
    median = sorted(report.updates.values())[len(report.updates) // 2]
    fastest = max(report.updates, key=report.updates.get)
    most = report.updates[fastest]
    said = f"The median weight moves by {median:.2g} of itself in a step; {USUAL_RATIO:g} is usual."
    if median < SMALL_UPDATE:
        yield Finding("small updates", f"lr {lr:g}", said, "07")
    elif median > LARGE_UPDATE or most > LARGEST_UPDATE:
        said += f" {fastest} moves by {most:.2g}."
        yield Finding("large updates", f"lr {lr:g}", said, "07")
