"""A checkup for any network of PyTorch: one batch, a few measurements, and findings in words.

    report = checkup.diagnose(model, inputs, targets, nn.CrossEntropyLoss(), optimizer=optimizer)
    print(report)                                   # in a notebook: report
    report.draw(plt.figure(figsize=(10, 6)))        # needs matplotlib
    assert report.healthy                           # in a test suite; or report.raise_if("warning")

    with checkup.watch(model, optimizer, every=100) as watcher:   # during training
        ...
    print(watcher.report())

It is one file that needs torch alone: copy it into any project. Lesson 11 builds it up and tries it.

A finding names a cause, not a symptom: what follows from it is told within it. What could not be looked at is a note.
The order in this file: limits, findings and reports, the watched pass, the rules one by one, `diagnose`, `watch`.
"""

import base64
import copy
import html
import inspect
import io
import json
import math
import re
import sys
import warnings
from collections import Counter, defaultdict
from collections.abc import Iterable
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from itertools import pairwise
from numbers import Real
from pathlib import Path
from types import SimpleNamespace

import torch
import torch.nn.functional as F
from torch import nn
from torch.overrides import TorchFunctionMode

# ---------------------------------------------------------------- Limits
# When a measurement becomes a finding. Lesson 11 counts the false alarms and the misses that these give.

# Of a first loss: nats above that of equal scores (logits of std 1.4 cost that much), and times that of the best
# constant (a mean of 2.6 stds that the outputs do not know, or positives that are rare).
ABOVE_IGNORANCE, ABOVE_CONSTANT = 1, 8
# |tanh| beyond it is saturated, as the slope there is below 0.06; and of a layer: healthy ones have up to 0.3.
SATURATED, SATURATED_SHARE = 0.97, 0.5
# The mean largest weight of an attention that looks at one place only; healthy ones have 0.1 to 0.4.
ONE_HOT = 0.8
DEAD_SHARE, CONSTANT_SHARE = 0.5, 0.5  # of a layer's units: half of what is paid for does nothing
# Rms of what a layer is given: with less, its bias decides which units are 0, and may learn.
SMALL_SIGNAL = 0.1
FEWEST_EXAMPLES = 8  # before anything is said about examples that come out alike
FEWEST_ROWS = 32  # values of a unit before it is called dead: a sparse unit is active in one of ten
FEWEST_LAYERS = 4  # of one kind and shape, before a change over the depth is a trend
# Last layer over first. Default ReLU layers fade by 0.41 each, and six of them learn well.
FADES, GROWS = 1 / 300, 30
# The std of the directions of examples (0.3 is a cosine of 0.91, healthy layers have 0.38 or more), and its fall.
ALIKE, ALIKE_FALLS = 0.3, 1 / 2
FEWEST_FEATURES = 4  # before directions are compared
# Between the gradients of the first and of the last weight of one role and shape.
GRADIENT_FACTOR = 50
# A bias's gradient against that of its layer's outputs: 1 or more where it counts, rounding errors where it does not.
CANCELLED = {torch.float64: 1e-6, torch.float32: 1e-3, torch.float16: 0.05, torch.bfloat16: 0.15}
# The norm of an update against that of its weight, of the median weight and of the one that moves most. 0.001 is
# usual. Adam's first steps are as large as its rate, so 0.05 for weights of std 0.02 at a rate of 0.001.
USUAL_RATIO = 1e-3
SMALL_UPDATE, LARGE_UPDATE, LARGEST_UPDATE = 1e-5, 0.25, 3
ADADELTA = (
    0.03  # its rate is a factor of steps that it scales by itself: 1 in its paper, and torch's own
)
WORSE = 1.1  # the loss after large steps against that before: if it is not worse, they are not too large
REPLACED = 1  # an optimizer's step on the weight in the middle that is as large as the weight
LARGE_DECAY = 0.05  # of a weight, by weight decay, in one step
# Rms of the numbers that are not 0: pictures of 0..255, prices, years.
LARGE_INPUT, SMALL_INPUT = 15, 5e-3
LARGE_EPS = 0.01, 0.3  # of a norm: its eps, and how small it makes outputs of a std near its weight
FITS_MEAN, FITS_STD = 1.5, 3  # of a batch against a BatchNorm's running ones: stds away, and times
# Of a BatchNorm: with less it learns for thousands of batches, with more it knows one.
MOMENTA = 0.002, 0.95
SMALL_BATCH = 2  # examples from which a BatchNorm takes its statistics
DROPPED = 0.9  # more dropout than that makes noise of three times the signal
# Of the loss that answers within the outputs' range have, and of the slope that saturated outputs leave.
OUT_OF_REACH, SLOPE_LEFT = 0.05, 0.25
# Of the examples' slopes, before a loss is said to fall or to rise towards the targets.
CONSISTENT = 0.8
CONFIDENT = 30, 200  # logits at which a sigmoid, and a softmax, are exactly 0 or 1 in 32 bits
SUMS_TO_ONE = 0.01  # of shares of classes
# The mean of a regression's errors against their std; and LARGE_TARGET times the outputs' size.
BIAS_OF_ERRORS, LARGE_TARGET = 2.6, 15
# Of the best constant's loss: a network that has less works, whatever its units look like.
LEARNED = 0.5
MIXED = 1e-3  # relative change of an example's output when its neighbours are others
REPEATED = 1e-5  # relative difference of outputs when the same batch comes twice
TWINS = 0.5  # correlation of two layers' weights: 0 if drawn apart, 1 of copies, still 0.9 after some training
MOST_SEEN_AHEAD = 8  # examples of which the answer's place is looked at
MOST_EXAMPLES, MOST_FEATURES = 32, 1024  # of a layer's outputs, of which a sample is kept
# Numbers of a constant output, with which a loss is asked, and steps of fitting it.
MOST_ASKED, ASKED_STEPS = 2**19, 12
# Of a training: the median update of its second half. Adam's at usual rates is 0.001 to 0.03; and losses in a third.
LATE_UPDATES, FEWEST_LOSSES = (1e-6, 0.2), 10
FAR_ABOVE = 4  # of the last losses against the first: one that ends there has not learned; a VQ-VAE's rises by 3
VIRTUAL_STEPS = 3  # on a copy: until weights behind zero weights must have got a gradient

# ---------------------------------------------------------------- Kinds of modules

CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
CONVOLUTIONS += (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)
LINEARS = (nn.Linear, *CONVOLUTIONS)
BATCHNORMS = (nn.modules.batchnorm._BatchNorm,)
CANCELLERS = (*BATCHNORMS, nn.modules.instancenorm._InstanceNorm)
NORMS = (*CANCELLERS, nn.LayerNorm, nn.GroupNorm, nn.RMSNorm)
DROPOUTS = (nn.modules.dropout._DropoutNd,)
RECTIFIERS = (nn.ReLU, nn.ReLU6)
SQUASHERS = (nn.Tanh, nn.Hardtanh, nn.Sigmoid, nn.Hardsigmoid)
BENDS = (*RECTIFIERS, *SQUASHERS, nn.LeakyReLU, nn.PReLU, nn.ELU, nn.SELU, nn.GELU, nn.SiLU)
BENDS += (nn.CELU, nn.Softplus, nn.Hardswish, nn.Mish)
# Functions that do the same, by their names in torch, torch.Tensor and torch.nn.functional.
BEND_FUNCTIONS = ("relu", "relu6", "tanh", "sigmoid", "gelu", "silu", "leaky_relu", "elu", "selu")
BEND_FUNCTIONS = {f"{name}{end}": name for name in BEND_FUNCTIONS for end in ("", "_")}
BEND_NAMES = {*BEND_FUNCTIONS.values(), *(kind.__name__.lower() for kind in BENDS)}
GATES = {"sigmoid", "Sigmoid", "Hardsigmoid"}
LIKELIHOODS = {"cross_entropy", "nll_loss", "log_softmax"}
BINARY = {"binary_cross_entropy_with_logits", "binary_cross_entropy"}
DIFFERENCES = {"mse_loss", "l1_loss", "smooth_l1_loss", "huber_loss"}
SUBTRACTIONS, SIGNED = {"sub", "__sub__"}, {"soft_margin_loss", "hinge_embedding_loss"}
ARITHMETIC = {"sub", "__sub__", "__rsub__", "rsub", "add", "mul", "__mul__", "pow", "div"}
COMPARED = LIKELIHOODS | BINARY | DIFFERENCES | SIGNED | ARITHMETIC | {"kl_div", "ctc_loss"}

# ---------------------------------------------------------------- Findings

SEVERITIES = ("error", "warning", "remark")


@dataclass(frozen=True)
class Kind:
    """What all findings of one id have in common, unless a rule says otherwise."""

    severity: str
    lesson: str
    what: str
    remedy: str


# Every id, in the order of cause and consequence: with its severity and lesson, what it says, and a remedy.
# fmt: off
KINDS = {
    "gradients-off": Kind("error", "06", "gradients are switched off",
        "torch.set_grad_enabled(True)  # with torch.no_grad(): ... around evaluations only"),
    "not-initialized": Kind("error", "10", "weights that do not exist yet",
        "model(inputs)  # once, before the optimizer is made"),
    "forward-raises": Kind("error", "10", "the forward pass raises an error",
        "read the message from its end: it says which shapes, types or names do not fit"),
    "inputs-out-of-scale": Kind("warning", "04", "inputs out of scale",
        "inputs = (inputs - inputs.mean(0)) / inputs.std(0)  # pictures of 0..255: / 255"),
    "not-finite": Kind("error", "07", "something is not finite",
        "x.clamp_min(1e-6)  # before logarithms, roots and quotients"),
    "targets-invalid": Kind("error", "02", "targets that the loss cannot take",
        "targets = (targets > 0).float()  # or labels from 0 on, or more outputs"),
    "logits-for-probabilities": Kind("error", "02", "logits where probabilities are expected",
        "loss_fn = nn.CrossEntropyLoss()"),
    "probabilities-for-logits": Kind("error", "02", "probabilities where logits are expected",
        "model = model[:-1]  # without the last softmax or sigmoid: the loss applies it"),
    "shape-mismatch": Kind("error", "10", "outputs and targets of different shapes",
        "loss_fn(output, targets.view_as(output))  # classes are dimension 1: output.transpose(1, 2)"),
    "loss-raises": Kind("error", "10", "the loss raises an error",
        "print(output.shape, targets.shape, output.dtype, targets.dtype)"),
    "loss-not-scalar": Kind("error", "10", "the loss is not one number",
        "loss = loss_fn(output, targets).mean()"),
    "output-range": Kind("warning", "10", "outputs that cannot reach the targets",
        "model = model[:-1]  # without the last nonlinearity"),
    "loss-below-bound": Kind("warning", "02", "the loss is below its bound",
        "loss = loss_fn(output, targets)  # without a minus"),
    "wrong-direction": Kind("error", "02", "training leads away from the targets",
        "loss = 1 - score  # a score is maximized, a loss minimized: maximize=False"),
    "backward-raises": Kind("error", "10", "the backward pass raises an error",
        "x = x + y  # not x += y; state = state.detach() between batches"),
    "not-examined": Kind("warning", "11", "the checkup itself failed, and nothing is known of the rest",
        "report it with the model's code: the checkup should not break"),
    "unregistered": Kind("error", "06", "weights that are not registered",
        "self.layers = nn.ModuleList(layers)  # nn.Parameter(tensor) for a single one"),
    "layers-shared": Kind("warning", "06", "one layer in several places",
        "nn.ModuleList(make_layer() for _ in range(n))  # not [make_layer()] * n"),
    "shared-batchnorm": Kind("warning", "05", "one BatchNorm in several places",
        "self.norms = nn.ModuleList(nn.BatchNorm1d(width) for _ in range(depth))"),
    "statistics-unfit": Kind("error", "05", "running statistics that do not fit",
        "model.train(); [model(batch) for batch in batches]; model.eval()  # with torch.no_grad()"),
    "random-in-eval": Kind("error", "11", "dropout that does not rest in eval mode",
        "F.dropout(x, p, training=self.training)"),
    "targets-visible": Kind("error", "11", "outputs that see their targets",
        "F.scaled_dot_product_attention(q, k, v, is_causal=True)  # convolutions: F.pad(x, (width - 1, 0))"),
    "examples-mix": Kind("error", "11", "examples that mix",
        "x.permute(0, 2, 1)  # not x.view(...); softmax(dim=-1); batch_first=True"),
    "batch-too-small": Kind("warning", "05", "a batch too small for BatchNorm",
        "nn.GroupNorm(8, channels)  # or DataLoader(..., batch_size=32, drop_last=True)"),
    "dropout-high": Kind("warning", "11", "dropout that lets hardly anything pass",
        "nn.Dropout(0.1)  # p is the share that is dropped; 0.5 is already much"),
    "not-in-optimizer": Kind("error", "06", "parameters that the optimizer does not hold",
        "optimizer = torch.optim.AdamW(model.parameters(), lr=lr)  # when the model is complete"),
    "missing-gradient": Kind("warning", "02", "parameters without a gradient",
        "hidden = layer(x)  # no .detach(), .item(), no_grad() or argmax on the way; or freeze: requires_grad_(False)"),
    "units-alike": Kind("warning", "04", "units that are all the same",
        "nn.init.kaiming_normal_(layer.weight)  # random, not constant"),
    "dead-units": Kind("warning", "03", "dead units",
        "nn.init.zeros_(layer.bias); nn.LeakyReLU(0.01)  # and a smaller rate"),
    "saturated": Kind("warning", "03", "saturated outputs",
        'nn.init.xavier_normal_(layer.weight, nn.init.calculate_gain("tanh"))'),
    "signal-grows": Kind("warning", "04", "the outputs grow",
        "nn.init.kaiming_normal_(layer.weight)  # x + block(x): a norm within, or times depth ** -0.5"),
    "signal-fades": Kind("warning", "04", "the signal fades",
        'nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")  # or a norm, or x + block(x)'),
    "collapse": Kind("warning", "04", "examples come out alike",
        "x = x + block(norm(x))  # or tanh with a gain of 1 in place of ReLU"),
    "constant-units": Kind("warning", "02", "constant units",
        "nn.init.kaiming_normal_(layer.weight)  # and look at what the layer is given"),
    "blocked-gradient": Kind("warning", "02", "gradients that are blocked",
        "nn.init.kaiming_normal_(layer.weight)  # for the layers behind them that put out a constant"),
    "gradients-vanish": Kind("warning", "07", "the gradients vanish on their way back",
        "nn.init.kaiming_normal_(layer.weight)  # or ReLU for sigmoid, a norm, x + block(x)"),
    "gradients-explode": Kind("warning", "07", "the gradients explode on their way back",
        "nn.utils.clip_grad_norm_(model.parameters(), 1.0)  # and weights of a smaller std"),
    "first-loss-high": Kind("warning", "02", "the loss is higher than that of knowing nothing",
        "with torch.no_grad(): output_layer.weight.mul_(0.1)  # or a std of 0.02"),
    "update-too-large": Kind("warning", "07", "updates too large for the weights",
        'for group in optimizer.param_groups: group["lr"] *= 0.1'),
    "update-too-small": Kind("warning", "07", "updates too small for the weights",
        'for group in optimizer.param_groups: group["lr"] *= 10'),
    "loss-stands": Kind("warning", "02", "the loss stands still",
        "checkup.diagnose(model, inputs, targets, loss_fn, optimizer=optimizer)  # it says why"),
    "layers-start-alike": Kind("warning", "11", "layers that start with the same weights",
        "[nn.init.xavier_uniform_(p) for p in model.encoder.parameters() if p.ndim > 1]"),
    "mode-hides": Kind("warning", "05", "the model is in eval mode",
        "model.train()  # after each evaluation"),
    "useless-bias": Kind("remark", "05", "a bias that does nothing",
        "nn.Conv2d(..., bias=False)  # the BatchNorm behind it has a bias"),
    "zero-by-design": Kind("remark", "04", "a branch that starts at zero",
        "none is needed"),
}
# fmt: on
ORDER = {name: place for place, name in enumerate(KINDS)}

# What follows from a cause is told within it, and is no finding of its own.
_WEAK = {"constant-units", "collapse", "signal-fades", "blocked-gradient", "gradients-vanish"}
_HOT = {"saturated", "dead-units", "signal-grows", "gradients-explode", "first-loss-high"}
_HOT |= {"update-too-large"}
FOLLOWS = {
    "shape-mismatch": {"first-loss-high", "output-range"},
    "probabilities-for-logits": {"loss-below-bound", "first-loss-high", "update-too-small"}
    | {"saturated", "gradients-vanish", "output-range", "collapse", "constant-units"},
    "logits-for-probabilities": {"loss-below-bound", "first-loss-high", "wrong-direction"},
    "targets-invalid": {"loss-below-bound", "first-loss-high", "output-range", "loss-raises"}
    | {"wrong-direction", "update-too-large", "examples-mix"},
    "output-range": {"first-loss-high", "dead-units", "saturated", "blocked-gradient"}
    | {"update-too-large", "update-too-small"},
    "loss-below-bound": {"wrong-direction"},
    "wrong-direction": {"update-too-large", "first-loss-high"},
    "dropout-high": _WEAK | _HOT,
    "shared-batchnorm": {"layers-shared"},
    "statistics-unfit": _HOT | _WEAK | {"mode-hides"},
    "unregistered": {"not-in-optimizer"},
    "inputs-out-of-scale": _HOT | _WEAK | {"not-finite"},
    "update-too-large": _WEAK
    | {"loss-stands", "dead-units", "saturated", "units-alike", "first-loss-high", "signal-grows"},
    "units-alike": _WEAK | _HOT | {"layers-start-alike", "update-too-small"},
    "dead-units": _WEAK | {"update-too-small"},
    "saturated": _WEAK | {"update-too-small", "gradients-explode", "first-loss-high"},
    "signal-grows": _HOT | _WEAK,
    "signal-fades": _WEAK | {"update-too-small"},
    "collapse": {"constant-units", "gradients-vanish"},
    "missing-gradient": {"blocked-gradient", "mode-hides"},
    "first-loss-high": {"update-too-large"},
}


@dataclass(frozen=True)
class Finding:
    """Something that asks for a look.

    id: stable, for `ignore` and baselines. severity: "error" (it cannot work), "warning" (it works badly) or "remark"
    (a design, or what cannot be known). what: in a few words. where: layers, weights or arguments. evidence: the
    numbers, as sentences. remedy: what to do, as a line of code where there is one. lesson: which one explains it.
    """

    id: str
    severity: str
    what: str
    where: str
    evidence: str
    remedy: str
    lesson: str

    def __str__(self):
        told = f"{self.severity}: {self.what} ({self.where}): {self.evidence}"
        return f"{told} Remedy: {self.remedy} [{self.id}, lesson {self.lesson}]"


def finding(id, where, evidence, severity=None, what=None, remedy=None):
    """A Finding, with what its kind says where nothing else is given."""
    kind = KINDS[id]
    told = (id, severity or kind.severity, what or kind.what, where, evidence)
    return Finding(*told, remedy or kind.remedy, kind.lesson)


class CheckupError(AssertionError):
    """What `Report.raise_if` raises. findings: those that are as severe as was asked."""

    def __init__(self, findings):
        super().__init__("\n".join(str(one) for one in findings))
        self.findings = findings


@dataclass
class Row:
    """What is known of one layer's outputs, of their gradient, or of a weight's gradient.

    layer: its label. mean, std: over all its numbers. alike: std over the examples of the outputs' directions (1: they
    point anywhere; near 0: all examples come out alike), or None. saturation: share of outputs at an end of the range,
    or None. ratio: of the gradient to its weight, in norms, or None. sample: some of its numbers, for the histogram.
    """

    layer: str
    mean: float
    std: float
    alike: float | None = None
    saturation: float | None = None
    ratio: float | None = None
    sample: torch.Tensor | None = field(default=None, repr=False)


@dataclass
class Report:
    """What `diagnose` has measured.

    findings: a list of Finding, the first cause first. notes: what could not be looked at, and why. loss: nan if there
    is none. ignorance: the loss of the best constant output, or None. outputs, gradients: a Row for each innermost
    module, in the order of the calls. weights: one for the gradient of each weight of two or more dimensions.
    updates: by weight, the ratio of its update to it, if there is an lr or an optimizer.
    """

    loss: float = math.nan
    ignorance: float | None = None
    outputs: list = field(default_factory=list)
    gradients: list = field(default_factory=list)
    weights: list = field(default_factory=list)
    updates: dict = field(default_factory=dict)
    findings: list = field(default_factory=list)
    notes: list = field(default_factory=list)

    @property
    def healthy(self):
        """Whether there is neither an error nor a warning."""
        return not self.at_least("warning")

    def at_least(self, severity):
        """The findings that are that severe or more. Raises ValueError for a severity that does not exist."""
        if severity not in SEVERITIES:
            raise ValueError(f"severity is {severity!r}; it must be one of {SEVERITIES}.")
        wanted = SEVERITIES[: SEVERITIES.index(severity) + 1]
        return [one for one in self.findings if one.severity in wanted]

    def raise_if(self, severity="warning"):
        """Raise a CheckupError, which is an AssertionError, if a finding is that severe or more."""
        if found := self.at_least(severity):
            raise CheckupError(found)

    def to_dict(self):
        """All but the samples as dicts, lists, strings and numbers, for JSON: what is not finite is None."""

        def plain(row):
            parts = ("layer", "mean", "std", "alike", "saturation", "ratio")
            return {part: _or_none(getattr(row, part)) for part in parts}

        return {
            "healthy": self.healthy,
            "loss": _or_none(self.loss),
            "ignorance": _or_none(self.ignorance),
            "findings": [dict(vars(one)) for one in self.findings],
            "notes": list(self.notes),
            "outputs": [plain(row) for row in self.outputs],
            "gradients": [plain(row) for row in self.gradients],
            "weights": [plain(row) for row in self.weights],
            "updates": {name: _or_none(ratio) for name, ratio in self.updates.items()},
        }

    def save_baseline(self, path):
        """Write the findings' ids and places as JSON; `diagnose(..., baseline=path)` then leaves them out."""
        known = [{"id": one.id, "where": one.where} for one in self.findings]
        Path(path).write_text(json.dumps(known, indent=1) + "\n", encoding="utf-8")

    def __str__(self):
        seen = f"layers seen: {len(self.outputs)}, weights: {len(self.weights)}"
        known = "" if self.ignorance is None else f" (the best constant: {self.ignorance:.4g})"
        lines = [f"loss {self.loss:.4g}{known}; {seen}"]
        marks = {"error": "✗", "warning": "!", "remark": "·"}
        lines += [f"{marks[one.severity]} {one}" for one in self.findings] or ["No finding."]
        return "\n".join(lines + [f"  ({note})" for note in self.notes])

    def draw(self, figure, most=8):
        """Draw the four pictures into a matplotlib figure. 1 to 3: of at most so many layers, spread over the depth.

        The densities have a log axis, so that narrow and wide layers are seen in one picture: the higher, the narrower.
        """
        axes = figure.subplots(2, 2).flatten()
        pictures = [
            (self.drawn_layers(), "1 Forward: the outputs", "output"),
            (self.gradients, "2 Backward: gradients", "gradient of the output"),
            (self.weights, "3 Gradients of the weights", "gradient of the weight"),
        ]
        for ax, (rows, title, xlabel) in zip(axes[:3], pictures, strict=True):
            _histograms(ax, _spread(rows, most))
            ax.set(title=title, xlabel=xlabel, ylabel="density")
        ratios = list(self.updates.values()) or [row.ratio for row in self.weights if row.ratio]
        axes[3].plot(range(1, len(ratios) + 1), ratios, "o")
        if self.updates:
            axes[3].axhline(USUAL_RATIO, color="black", linestyle="--")
        if any(ratio > 0 for ratio in ratios):
            axes[3].set_yscale("log")
        what = "Updates" if self.updates else "Gradients"
        labels = {"xlabel": "weights, in the network's order", "ylabel": "ratio of norms"}
        axes[3].set(title=f"4 {what} against weights", **labels)
        axes[3].xaxis.get_major_locator().set_params(integer=True)

    def drawn_layers(self):
        """The rows of the most common kind of nonlinearity, or of all layers if there are no two of them."""
        bends = tuple(kind.__name__ for kind in BENDS) + tuple(set(BEND_FUNCTIONS.values()))
        kinds = Counter(row.layer.split()[-1] for row in self.outputs)
        for kind, count in kinds.most_common():
            if count > 1 and kind.startswith(bends):
                return [row for row in self.outputs if row.layer.split()[-1] == kind]
        return self.outputs

    def described(self):
        """The four pictures in words, for those who do not see them."""
        rows = self.drawn_layers()
        parts = ["Four pictures."]
        for what, some in (("outputs", rows), ("gradients", self.gradients)):
            if some:
                parts.append(
                    f"The {what}' std goes from {some[0].std:.2g} ({some[0].layer}) "
                    f"to {some[-1].std:.2g} ({some[-1].layer})."
                )
        if self.updates:
            ratios = sorted(self.updates.values())
            parts.append(f"A step changes the weight in the middle by {_median(ratios):.2g} of it.")
        return " ".join(parts)

    def _repr_html_(self):
        """The findings as a table, and the four pictures with an alternative text if matplotlib is there."""
        heads = ("severity", "what", "where", "evidence", "remedy", "id", "lesson")
        lines = [f"<p>{html.escape(str(self).splitlines()[0])}</p>"]
        if self.findings:
            lines.append("<table><thead><tr>")
            lines += [f'<th scope="col">{head}</th>' for head in heads]
            lines.append("</tr></thead><tbody>")
            for one in self.findings:
                cells = [html.escape(getattr(one, head)) for head in heads]
                cells = [f"<td style='text-align:left'>{cell}</td>" for cell in cells]
                lines.append(f"<tr>{''.join(cells)}</tr>")
            lines.append("</tbody></table>")
        else:
            lines.append("<p>No finding.</p>")
        if self.notes:
            notes = "".join(f"<li>{html.escape(note)}</li>" for note in self.notes)
            lines.append(f"<p>Not looked at, or good to know:</p><ul>{notes}</ul>")
        if self.outputs and (picture := self._picture()):
            lines.append(f'<img alt="{html.escape(self.described())}" src="{picture}">')
        return "\n".join(lines)

    def _picture(self):
        """The four pictures as a data address, or None without matplotlib."""
        try:
            from matplotlib.figure import Figure
        except ImportError:
            return None
        figure, file = Figure(figsize=(10, 6), layout="constrained"), io.BytesIO()
        self.draw(figure)
        figure.savefig(file, format="png", dpi=80, metadata={"Software": None})
        return "data:image/png;base64," + base64.b64encode(file.getvalue()).decode()


def _or_none(value):
    """The value, or None for a number that is not finite."""
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _spread(items, most):
    """At most so many of the items, evenly spread, the first and the last among them."""
    if len(items) <= most:
        return items
    return [items[round(i * (len(items) - 1) / (most - 1))] for i in range(most)]


def _histograms(ax, rows, longest=20):
    """Draw the samples' densities as lines on a log axis; the first layer is the darkest."""
    import matplotlib.pyplot as plt

    colors = plt.get_cmap("viridis")(torch.linspace(0, 0.92, max(len(rows), 1)).numpy())
    drawn = False
    for row, color in zip(rows, colors, strict=False):
        values = row.sample[row.sample.isfinite()] if row.sample is not None else torch.empty(0)
        if len(values) < 2:
            continue
        density, edges = torch.histogram(values, bins=60, density=True)
        label = row.layer if len(row.layer) <= longest else f"…{row.layer[-longest:]}"
        ax.plot((edges[1:] + edges[:-1]) / 2, density, color=color, label=label)
        drawn = True
    if not drawn:
        return
    ax.set_yscale("log")
    low, high = ax.get_ylim()
    ax.set_ylim(bottom=min(low, high / 100))  # so that two powers of ten are labelled
    ax.ticklabel_format(axis="x", style="sci", scilimits=(-2, 3))
    ax.locator_params(axis="x", nbins=4)
    ax.legend(fontsize="small", loc="center left", bbox_to_anchor=(1, 0.5))


def _median(values):
    """The value in the middle, nan if there is none."""
    values = sorted(values)
    return values[len(values) // 2] if values else math.nan


def _listed(names):
    """The first of the names, and how many more there are."""
    names = list(names)
    return names[0] + (f" and {len(names) - 1} more" if len(names) > 1 else "")


def of_worst(id, off, words, **options):
    """The finding for {place: value}, if there is one, with words about the place where the value is the largest."""
    if off:
        worst = max(off, key=off.get)
        yield finding(id, _listed(off), words.format(off[worst], worst), **options)


def _numbers(count):
    """A share as percent, with a digit where it is small."""
    return f"{count:.0%}" if count >= 0.01 or count == 0 else f"{count:.2%}"


# ---------------------------------------------------------------- Looking into values


def tensors_in(value, depth=4):
    """All tensors in what a module takes or returns: in tuples, lists, dicts and objects with attributes."""
    if isinstance(value, torch.Tensor):
        yield value
    elif depth and isinstance(value, tuple | list):
        for part in value:
            yield from tensors_in(part, depth - 1)
    elif depth and isinstance(value, dict):
        for part in value.values():
            yield from tensors_in(part, depth - 1)
    elif depth and hasattr(value, "__dict__") and not isinstance(value, nn.Module | type):
        yield from tensors_in(vars(value), depth - 1)


def first_tensor(value):
    """The first tensor of floats in it, or None."""
    return next((one for one in tensors_in(value) if one.is_floating_point()), None)


def main_tensor(output):
    """What a loss most likely looks at: `.logits` or "logits" if there is one, else the first tensor of floats."""
    logits = output.get("logits") if isinstance(output, dict) else getattr(output, "logits", None)
    return logits if isinstance(logits, torch.Tensor) else first_tensor(output)


def with_main(output, replacement):
    """A copy of the output in which the main tensor is replaced; None where its form is not known."""
    if isinstance(output, torch.Tensor):
        return replacement
    main = main_tensor(output)
    if isinstance(output, dict):
        changed = copy.copy(output)
        for key, value in output.items():
            if value is main:
                changed[key] = replacement
                return changed
    if type(output) in (tuple, list):
        return type(output)(replacement if part is main else part for part in output)
    if getattr(output, "logits", None) is main and hasattr(output, "__dict__"):
        changed = copy.copy(output)
        changed.logits = replacement
        return changed
    return None


def mapped(value, change):
    """The value with `change` applied to its tensors; tuples, lists and dicts are built anew."""
    if isinstance(value, torch.Tensor):
        return change(value)
    if isinstance(value, dict):
        changed = copy.copy(value)
        changed.update({key: mapped(part, change) for key, part in value.items()})
        return changed
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        if type(value).__module__.startswith("torch."):  # a packed sequence
            return value
        return type(value)(*(mapped(part, change) for part in value))
    if isinstance(value, tuple | list):
        return type(value)(mapped(part, change) for part in value)
    return value


def cloned(tensor):
    """A copy that asks for gradients as the tensor does: what a model does to its inputs in place stays here."""
    return tensor.detach().clone().requires_grad_(tensor.requires_grad)


def norm_of(tensor):
    """The Euclidean norm in 32 bits or more, as a tensor; nan or inf if a number is not finite."""
    precise = torch.float32 if tensor.dtype in (torch.float16, torch.bfloat16) else None
    return torch.linalg.vector_norm(dense(tensor.detach()), dtype=precise)


def thinned(values):
    """A sample: at most MOST_EXAMPLES of the first dimension, and about MOST_FEATURES numbers of each: (n, d)."""
    rows = values.detach()
    if rows.ndim < 2:
        rows = rows.reshape(-1, 1)
    rows = rows[:: -(-len(rows) // MOST_EXAMPLES)]
    excess = rows[0].numel() / MOST_FEATURES
    for dim in sorted(range(1, rows.ndim), key=lambda dim: -rows.shape[dim]):
        if excess <= 1:
            break
        step = min(-(-rows.shape[dim] // 8), math.ceil(excess)) if rows.ndim > 2 else excess
        step = max(int(step), 1)
        rows = rows[(slice(None),) * dim + (slice(None, None, step),)]
        excess /= step
    return rows.reshape(len(rows), -1).to(torch.float32, copy=True)


def calling(model, inputs):
    """The model's output: a tuple is several arguments, a dict keywords if `forward` has them, else one argument."""
    if isinstance(inputs, dict):
        try:
            inspect.signature(model.forward).bind(**inputs)
        except (TypeError, ValueError):
            return model(inputs)
        return model(**inputs)
    if isinstance(inputs, tuple) and not hasattr(inputs, "_fields"):
        return model(*inputs)
    return model(inputs)


# ---------------------------------------------------------------- The model stays as it was

INTERNAL = {"training", "_parameters", "_buffers", "_modules"}


def hidden_in(module, most=10_000):
    """What a module holds without registering it: (name, value), modules and tensors in lists, dicts and objects."""
    todo = [
        (name, value, 3)
        for name, value in vars(module).items()
        if name not in INTERNAL and "hooks" not in name
    ]
    while todo and most:
        name, value, depth = todo.pop()
        most -= 1
        if isinstance(value, nn.Module | torch.Tensor):
            yield name, value
        elif not depth or isinstance(value, str | bytes | int | float | type(None) | type):
            continue
        elif isinstance(value, dict):
            todo += [(f"{name}[{key!r}]", part, depth - 1) for key, part in value.items()]
        elif isinstance(value, list | tuple | set):
            todo += [(f"{name}[{i}]", part, depth - 1) for i, part in enumerate(value)]
        elif hasattr(value, "__dict__") and not callable(value):
            todo += [(f"{name}.{key}", part, depth - 1) for key, part in vars(value).items()]


def everything_in(model):
    """({id: (path, module)} registered or not, {id: (path, tensor)} unregistered, {id of the unregistered modules})."""
    modules, tensors, hidden, todo = {}, {}, set(), [("", model, False)]
    while todo:
        path, module, is_hidden = todo.pop()
        if id(module) in modules:
            continue
        modules[id(module)] = path, module
        if is_hidden:
            hidden.add(id(module))
        dot = "." if path else ""
        for name, child in reversed(list(module.named_children())):
            todo.append((f"{path}{dot}{name}", child, is_hidden))
        for name, value in hidden_in(module):
            if isinstance(value, nn.Module):
                todo.insert(0, (f"{path}{dot}{name}", value, True))
            else:
                tensors.setdefault(id(value), (f"{path}{dot}{name}", value))
        if is_hidden:
            for name, value in module.named_parameters(recurse=False):
                tensors.setdefault(id(value), (f"{path}{dot}{name}", value))
    return modules, tensors, hidden


def random_state():
    """The states of torch's random numbers: of the CPU, and of the GPUs in use."""
    gpus = torch.cuda.get_rng_state_all() if torch.cuda.is_initialized() else None
    return torch.random.get_rng_state(), gpus


def set_random_state(state):
    """Put back what `random_state` gave."""
    torch.random.set_rng_state(state[0])
    if state[1] is not None:
        torch.cuda.set_rng_state_all(state[1])


def version_of(tensor):
    """How often a tensor was changed in place; None where torch does not count it."""
    return None if tensor.is_inference() else tensor._version


@contextmanager
def unchanged(*roots):
    """Within it modules may run; afterwards they are what they were, and so are the random numbers.

    That is: parameters, buffers, modes, `.grad`, attributes, lists and dicts, also of modules held in plain lists.
    """
    kept, attributes, containers, numbers = [], [], [], {}
    for root in roots:
        modules, tensors, _ = everything_in(root)
        for _, module in modules.values():
            attributes.append((module, dict(vars(module))))
            for table in (module._buffers, module._parameters):
                if isinstance(table, dict):  # that of a scripted module is none
                    kept.append((table, dict(table)))
                numbers.update({id(one): one for _, one in table.items() if one is not None})
            for value in vars(module).values():
                if type(value) in (list, dict) and value is not module._modules:
                    containers.append((value, copy.copy(value)))
        numbers.update({key: tensor for key, (_, tensor) in tensors.items()})
    lazy = nn.parameter.UninitializedTensorMixin
    values = [one for one in numbers.values() if not isinstance(one, lazy)]
    clones = [
        (one, one.detach().clone(), version_of(one), one.grad if one.is_leaf else None)
        for one in values
    ]
    import random

    state, numpy = random.getstate(), sys.modules.get("numpy")
    numpy_state = numpy.random.get_state() if numpy else None
    try:
        with torch.random.fork_rng():
            yield
    finally:
        random.setstate(state)
        if numpy:
            numpy.random.set_state(numpy_state)
        for module, saved in attributes:
            now = vars(module)
            for name in [name for name in now if name not in saved]:
                del now[name]
            now.update(saved)
        for container, saved in containers:
            if isinstance(container, list):
                container[:] = saved
            else:
                container.clear()
                container.update(saved)
        for table, saved in kept:
            table.clear()
            table.update(saved)
        with torch.no_grad():
            for tensor, clone, version, grad in clones:
                # A BatchNorm moves its statistics without counting it as a change.
                is_weight = isinstance(tensor, nn.Parameter)
                same = version_of(tensor) == version and (is_weight or torch.equal(tensor, clone))
                if not same:
                    tensor.copy_(clone)
                if tensor.is_leaf:
                    tensor.grad = grad


# ---------------------------------------------------------------- One pass, watched


def std_of(norm, mean, count):
    """The std of so many numbers with this norm and mean."""
    return math.sqrt(max(norm**2 / count - mean**2, 0))


@dataclass
class Call:
    """One call of an innermost module, or of a function such as torch.relu.

    numbers: (norm, mean, between, alike) as a tensor: between is the std over the examples, alike that of their
    directions, both of the sample. dead: the share of units that are 0 for all. source: the linear layer called before.
    """

    label: str
    path: str
    kind: str
    module: nn.Module | None
    count: int
    shape: tuple
    dtype: torch.dtype
    sample: torch.Tensor
    numbers: torch.Tensor
    by_example: bool = False
    dead: torch.Tensor | None = None
    source: nn.Module | None = None
    gradient: torch.Tensor | None = None
    gradient_sample: torch.Tensor | None = None
    norm: float = math.nan
    mean: float = math.nan
    between: float = math.nan
    directions: float = math.nan
    gradient_norm: float | None = None
    gradient_mean: float = math.nan
    node: object = None
    gates: bool = False
    asks: bool = False

    @property
    def std(self):
        return std_of(self.norm, self.mean, self.count)

    @property
    def alike(self):
        """The std over the examples of the outputs' directions; None where there are no examples, or only zeros."""
        return self.directions if self.by_example and self.norm else None


def place_of(tensor):
    """Where a tensor's numbers lie, the same for a view of all of them; None for a sparse one."""
    return (tensor.data_ptr(), tensor.numel()) if tensor.layout is torch.strided else None


def unwatched(hook):
    """The hook, with what it computes itself not shown to Functions: that would cost as much again."""

    def quietly(*args):
        with torch._C.DisableTorchFunction():
            return hook(*args)

    return quietly


class Recorder:
    """Writes down the calls of a model's innermost modules, and of known functions, while it is active.

    examples: how many there are, or None. calls: a list of Call. called: the ids of the modules that were called with
    anything. places: {batchnorm: [(module before, input)]}. direct: {label: an input that a linear layer got as it was
    given}. attention: {label: mean largest weight}. dropped: where a function drops out in eval mode.
    """

    def __init__(self, examples, given, measure=True):
        self.examples, self.active, self.trouble, self.measure = examples, True, [], measure
        self.calls, self.at_work, self.handles, self.times = [], [], [], Counter()
        self.called, self.places, self.direct = set(), defaultdict(list), {}
        self.attention, self.dropped, self.order, self.rates = {}, [], [], {}
        self.given = {place_of(one) for one in given if one.numel()} - {None}
        self.channels, self.before, self.learned = False, None, set()

    def watch(self, model):
        """Put hooks on all modules of the model; raises nothing: what cannot be hooked is trouble."""
        for path, module in model.named_modules():
            if "parametrizations" in path.split("."):  # these compute a weight
                continue
            kind = type(module).__name__
            label = f"{path} {kind}" if path.rpartition(".")[2].isdigit() else path or kind
            place = SimpleNamespace(label=label, path=path, module=module, kind=kind)
            try:
                self.handles += [
                    module.register_forward_pre_hook(self.entering(place)),
                    module.register_forward_hook(self.leaving(place)),
                ]
            except Exception as error:
                self.trouble.append(f"{label} takes no hooks ({error}), so it was not seen")

    def stop(self):
        self.active = False
        for handle in self.handles:
            handle.remove()

    def entering(self, place):
        """A hook that notes that a module is at work, and what it is given."""

        @unwatched
        def enter(module, inputs):
            if not self.active:
                return
            for outer in self.at_work[-1:]:
                outer.calls_others = True
            self.at_work.append(SimpleNamespace(place=place, calls_others=False))
            first = inputs[0] if inputs and self.measure else None
            if isinstance(first, torch.Tensor) and first.numel():
                self.given_to(place, module, first)

        return enter

    def given_to(self, place, module, x):
        """What the input of a linear layer or of a BatchNorm tells."""
        takes = isinstance(module, (*LINEARS, nn.RNNBase))
        if takes and x.is_floating_point() and place_of(x) in self.given:
            self.direct[place.label] = x.detach()
        if isinstance(module, BATCHNORMS):
            self.places[module].append((self.before, place.label, thinned_by_unit(x), x.shape))

    def leaving(self, place):
        """A hook that measures an innermost module's output."""

        @unwatched
        def leave(module, inputs, output):
            if not self.active or not self.at_work:
                return
            inner = not self.at_work.pop().calls_others
            out = first_tensor(output)
            if out is None or out.numel():
                self.called.add(id(module))
            if isinstance(module, (*LINEARS, nn.Embedding, nn.RNNBase)):
                self.channels = isinstance(module, CONVOLUTIONS)
                self.before = module
            if isinstance(module, (*LINEARS, *CANCELLERS)):
                self.order.append(module)
            table = module.weight.detach()[:1024] if isinstance(module, nn.Embedding) else out
            if table is not out and table.std() > LARGE_INPUT:
                self.given.add(place_of(out))
            if inner and out is not None and out.numel():
                rectifier = isinstance(module, RECTIFIERS)
                self.add(place.label, place.path, place.kind, module, out, rectifier)
                if self.measure and self.calls and is_learned(inputs, self.learned):
                    self.learned |= {out.grad_fn} - {None}
                    self.calls[-1].by_example = False

        return leave

    def add(self, label, path, kind, module, out, rectifier):
        """Measure an output, and its gradient when that comes."""
        if not self.measure:
            return
        self.times[label] += 1
        if self.times[label] > 1:
            label = f"{label} (call {self.times[label]})"
        try:
            sample = thinned(out)
            by_example = out.ndim > 1 and len(out) == self.examples and len(sample) > 1
            spread = spread_over_examples(sample) if by_example else torch.zeros_like(sample[0, :1])
            mean = out.detach().mean(dtype=torch.float32 if out.dtype.itemsize < 4 else None)
            numbers = torch.cat([torch.stack([norm_of(out), mean]).float(), spread.expand(2)])
            shape = out.numel(), tuple(out.shape), out.dtype
            call = Call(label, path, kind, module, *shape, sample, numbers, by_example)
            call.source, call.node = self.before, out.grad_fn if kind in GATES else None
            if rectifier and out.ndim > 1:
                dim = 1 if self.channels else out.ndim - 1
                if out.numel() >= FEWEST_ROWS * out.shape[dim]:
                    others = [k for k in range(out.ndim) if k != dim]
                    call.dead = (out.detach().amax(others) <= 0).float().mean()
        except Exception as error:  # a nested tensor, or a kind that is still to come
            self.trouble.append(f"the output of {label} could not be measured ({error})")
            return
        self.calls.append(call)
        call.asks = out.requires_grad and torch.is_grad_enabled()
        if call.asks:

            def note(gradient):
                if gradient is None:  # of one output of several that the loss does not use
                    return
                mean = gradient.detach().mean(dtype=torch.float32)
                call.gradient = torch.stack([norm_of(gradient).float(), mean])
                step = -(-gradient.numel() // 4096)
                call.gradient_sample = gradient.detach().flatten()[::step]

            self.handles.append(out.register_hook(note))

    def settle(self):
        """Turn tensors into numbers, all at once: on a GPU each one by itself would wait."""
        if self.calls:
            table = torch.stack([call.numbers for call in self.calls]).tolist()
            for call, row in zip(self.calls, table, strict=True):
                call.norm, call.mean, call.between, call.directions = row
                call.dead = None if call.dead is None else call.dead.item()
        for call in self.calls:
            if call.gradient is not None:
                call.gradient_norm, call.gradient_mean = call.gradient.tolist()
        return self.calls


def is_learned(inputs, nodes):
    """Whether a module is given nothing but parameters, such as learned queries, or what these nodes made of them."""
    given = [maker_of(one.grad_fn) for one in tensors_in(inputs)]
    kinds = [getattr(one, "variable", None) for one in given]
    pairs = zip(given, kinds, strict=True)
    return bool(given) and all(isinstance(v, nn.Parameter) or one in nodes for one, v in pairs)


def spread_over_examples(sample):
    """(std of the numbers over the examples, std of the directions: 0 if all examples point one way, 1 if anywhere)."""
    between = (sample - sample.mean(0)).square().mean().sqrt()
    if sample.shape[1] < FEWEST_FEATURES:
        size = sample.square().mean().sqrt()
        return torch.stack([between, between / size.clamp_min(1e-30)])
    directions = F.normalize(sample, dim=1)
    return torch.stack([between, (directions - directions.mean(0)).square().sum(1).mean().sqrt()])


def thinned_by_unit(x):
    """A sample of a BatchNorm's input, (values, units)."""
    if x.ndim > 2:
        step = max(x[:, 0].numel() // 1024, 1)
        return x.detach().flatten(2)[:, :, ::step].movedim(1, -1).flatten(0, 1).float()
    return x.detach().float().clone()


class Functions(TorchFunctionMode):
    """Shows a Recorder what a `forward` computes by functions instead of modules."""

    def __init__(self, recorder):
        super().__init__()
        self.recorder = recorder

    def __torch_function__(self, function, types, args=(), kwargs=None):
        name, kwargs = getattr(function, "__name__", ""), kwargs or {}
        within_range(name, args, kwargs)
        out = function(*args, **kwargs)
        recorder = self.recorder
        if not recorder.active or not recorder.at_work:
            return out
        place = recorder.at_work[-1].place
        if name in BEND_FUNCTIONS and isinstance(out, torch.Tensor) and out.is_floating_point():
            if not isinstance(place.module, (*BENDS, *BATCHNORMS)) and out.numel() > 1:
                kind = BEND_FUNCTIONS[name]
                label = f"{place.path} {kind}".strip()
                recorder.add(label, place.path, kind, None, out, kind == "relu")
        elif name == "softmax" and isinstance(out, torch.Tensor) and out.ndim > 2:
            self.look(place, out)
        elif name == "scaled_dot_product_attention":
            self.look(place, attention_of(*args, **kwargs))
        elif name.endswith(("dropout", "dropout1d", "dropout2d", "dropout3d")):
            training = args[2] if len(args) > 2 else kwargs.get("training", True)
            rate = args[1] if len(args) > 1 else kwargs.get("p", 0.5)
            if training and rate and not place.module.training:
                recorder.dropped.append(place.label)
            if training and DROPPED < rate < 1:
                recorder.rates[place.label] = rate
        elif name in ("batch_norm", "instance_norm") and not isinstance(place.module, CANCELLERS):
            recorder.order.append(name)
        return out

    def look(self, place, weights):
        """Note how much of an attention goes to one place: (..., queries, keys)."""
        if weights is not None and weights.shape[-1] > 3 and weights.shape[-2] > 1:
            last = weights.detach()[:8, :, -8:] if weights.ndim > 3 else weights.detach()[:8]
            self.recorder.attention[place.label] = last.float().amax(-1).mean()


def attention_of(query, key, value, *_, scale=None, **__):
    """The weights of some heads of a scaled dot product attention, masks aside: (examples, heads, 8, keys)."""
    if query.ndim < 4 or query.shape[1] != key.shape[1]:
        return None
    scale = query.shape[-1] ** -0.5 if scale is None else scale
    some = query.detach()[:4, :2, -8:].float(), key.detach()[:4, :2].float()
    return torch.softmax(some[0] @ some[1].transpose(-1, -2) * scale, -1)


RANGED = {"cross_entropy", "nll_loss", "binary_cross_entropy", "gather", "embedding"}


def within_range(name, args, kwargs):
    """Raise what the CPU raises for indices or probabilities out of range: a GPU ends the whole process."""
    if name not in RANGED or not args or getattr(args[0], "is_cpu", True):
        return
    first, second = args[0], args[1] if len(args) > 1 else kwargs.get("target")
    if name == "binary_cross_entropy":
        for what, some in (("input", first), ("target", second)):
            if some.numel() and not 0 <= some.min() <= some.max() <= 1:
                raise RuntimeError(f"all elements of {what} should be between 0 and 1")
        return
    indices, spared = second, kwargs.get("ignore_index", -100)
    count = first.shape[min(1, first.ndim - 1)]
    if name == "gather":
        indices = args[2] if len(args) > 2 else kwargs["index"]
        count, spared = first.shape[kwargs.get("dim", second)], None
    elif name == "embedding":
        indices, count, spared = first, len(second), None
    fits = spared is None or indices.shape == first.shape[:1] + first.shape[2:] or first.ndim == 1
    if indices.is_floating_point() or not fits:  # probabilities of classes; torch tells of shapes
        return
    wrong = (indices < 0) | (indices >= count)
    wrong = wrong if spared is None else wrong & (indices != spared)
    if wrong.any():
        raise IndexError(f"Target {indices[wrong][0].item()} is out of bounds.")


class Guarded(TorchFunctionMode):
    """Within it, what is out of range raises an error on a GPU, too."""

    def __torch_function__(self, function, types, args=(), kwargs=None):
        within_range(getattr(function, "__name__", ""), args, kwargs or {})
        return function(*args, **(kwargs or {}))


def as_tuple(index):
    """The parts of an index such as that of x[:, None]."""
    return index if isinstance(index, tuple) else (index,)


class LossFunctions(TorchFunctionMode):
    """Notes with what a loss compares what: (name, first tensor, second tensor, result).

    turned: {id: tensor} of those that got a dimension of their own, by x[:, None] or unsqueeze.
    """

    def __init__(self):
        super().__init__()
        self.seen, self.turned = [], {}

    def __torch_function__(self, function, types, args=(), kwargs=None):
        name, kwargs = getattr(function, "__name__", ""), kwargs or {}
        try:
            within_range(name, args, kwargs)
            out = function(*args, **kwargs)
        except Exception:
            self.note(name, args, kwargs, None)
            raise
        self.note(name, args, kwargs, out)
        return out

    def note(self, name, args, kwargs, out):
        index = args[1] if name == "__getitem__" else ()
        if name == "unsqueeze" or any(one is None for one in as_tuple(index)):
            self.turned[id(out)] = out
        if name in COMPARED:
            pair = [
                *args[:2],
                *(kwargs[key] for key in ("input", "target", "other") if key in kwargs),
            ]
            if len(pair) > 1 and all(isinstance(one, torch.Tensor) for one in pair[:2]):
                self.seen.append((name, pair[0], pair[1], out))
            elif name == "log_softmax" and isinstance(out, torch.Tensor):
                self.seen.append((name, args[0], None, out))


# ---------------------------------------------------------------- What the rules look at


@dataclass
class Seen:
    """All that one watched pass has shown, for the rules.

    parameters: by name, those that ask for gradients. gradients: by name, a tensor, or None where none came. sizes:
    {name: (norm of the weight, norm of its gradient or None)}. terms, turned: what the loss compared, as LossFunctions
    notes it. ask: from another main tensor to the loss, or None. leaves: the tensors at the start of the loss's graph.
    """

    model: nn.Module
    inputs: object
    targets: object
    lr: float | None
    optimizers: list
    recorder: Recorder
    report: Report
    parameters: dict
    examples: int | None = None
    output: object = None
    main: torch.Tensor | None = None
    loss: torch.Tensor | None = None
    loss_of: object = None
    loss_fn: object = None
    terms: list = field(default_factory=list)
    turned: dict = field(default_factory=dict)
    gradients: dict = field(default_factory=dict)
    sizes: dict = field(default_factory=dict)
    leaves: list = field(default_factory=list)
    nodes: Counter = field(default_factory=Counter)
    pairwise: bool = False
    rate_is_cause: bool = False
    climb: float | None = None
    random: tuple | None = None

    @property
    def calls(self):
        return self.recorder.calls

    def note(self, text):
        """Add a note, once."""
        if text not in self.report.notes:
            self.report.notes.append(text)

    @property
    def some(self):
        """The main tensor of as many examples as a loss is asked with, without its graph; or None."""
        if self.main is None or not self.main.ndim or not self.main.numel():
            return None
        cuts = isinstance(self.targets, torch.Tensor) and len(self.targets.shape[:1]) == 1
        cuts = cuts and len(self.targets) == len(self.main) and self.main.numel() > MOST_ASKED
        count = max(MOST_ASKED // self.main[0].numel(), 2) if cuts else len(self.main)
        return self.main.detach()[:count]

    def targets_of(self, main):
        """The targets of the examples in a main tensor with fewer of them."""
        whole = not isinstance(self.targets, torch.Tensor) or not self.targets.ndim
        return self.targets if whole or len(main) >= len(self.main) else self.targets[: len(main)]

    def ask(self, main, targets=None, grad=False):
        """The loss with another main tensor; None where the output cannot be rebuilt, or the loss raises."""
        output = with_main(self.output, main)
        if output is None or self.loss_of is None:
            return None
        try:
            with torch.set_grad_enabled(grad), nullcontext() if main.is_cpu else Guarded():
                loss = self.loss_of(output, self.targets_of(main) if targets is None else targets)
        except Exception:
            return None
        return loss if isinstance(loss, torch.Tensor) and loss.numel() == 1 else None

    def costs(self, *mains, targets=None):
        """The losses with other main tensors, as numbers; None if one is missing or not finite."""
        found = [self.ask(one, targets) for one in mains]
        if any(one is None or not one.isfinite() for one in found):
            return None
        return [float(one) for one in found]

    def slope(self, main):
        """The gradient of the loss at another main tensor; None where there is none, or it is not finite."""
        main = main.detach().clone().requires_grad_()
        loss = self.ask(main, grad=True)
        if loss is None or not loss.requires_grad or not loss.isfinite():
            return None
        gradient = torch.autograd.grad(loss, main, allow_unused=True)[0]
        return None if gradient is None or not gradient.isfinite().all() else gradient


def role_of(name):
    """A weight's or layer's place within what repeats: "blocks.3.fc.weight" is "blocks.#.fc.weight"."""
    return re.sub(r"\d+", "#", name)


def graph_of(*tensors):
    """(the leaves at the start of the tensors' graph, how many nodes of which kind, {nodes that are factors})."""
    leaves, kinds, todo, known = [], Counter(), [one.grad_fn for one in tensors], set()
    factors = set()
    while todo:
        node = todo.pop()
        if node is None or node in known:
            continue
        known.add(node)
        name = type(node).__name__
        kinds[name] += 1
        if hasattr(node, "variable"):
            leaves.append(node.variable)
        for before, _ in node.next_functions:
            todo.append(before)
            while name.startswith("Mul") and before is not None:
                factors.add(before)
                before = before.next_functions[0][0] if VIEWS.match(type(before).__name__) else None
    return leaves, kinds, factors


VIEWS = re.compile(
    r"^(View|UnsafeView|Reshape|Squeeze|Unsqueeze|Transpose|Permute|T(?=Backward)|Clone|Slice|Select|Expand"
    r"|ToCopy|AsStrided|Alias|Flatten|Index|Unbind|Split)\w*Backward"
)


def maker_of(node, more=()):
    """The node of the graph behind views, and behind operations with one of these names."""
    while node is not None and (
        VIEWS.match(type(node).__name__) or type(node).__name__.startswith(more)
    ):
        node = node.next_functions[0][0] if node.next_functions else None
    return node


def has_cosines(tensor, scaled=True):
    """Whether a tensor holds products of vectors that were divided by their norms, scaled or not."""
    node = maker_of(tensor.grad_fn, ("Mul", "Div") if scaled else ())
    if not type(node).__name__.startswith(("Mm", "Bmm")):
        return False
    factors = [maker_of(before) for before, _ in node.next_functions]
    return all(type(one).__name__.startswith("Div") for one in factors)


def made_by(tensor):
    """The name of the operation that made a tensor, views aside, such as "Softmax" or "Cosine"; "" for a leaf."""
    if has_cosines(tensor, scaled=False):
        return "Cosine"
    node = maker_of(tensor.grad_fn)
    return "" if node is None else re.sub(r"Backward\d*$", "", type(node).__name__)


def loss_by(loss_fn):
    """From (output, targets) to the loss: loss_fn with the whole output, or else with its main tensor."""

    def own(output, targets):
        known = isinstance(output, dict)
        inside = output.get("loss") if known else getattr(output, "loss", None)
        return first_tensor(output) if inside is None else inside

    def told(output, targets):
        given = () if targets is None and not takes_two(loss_fn) else (targets,)
        main = main_tensor(output)
        try:
            return loss_fn(output, *given)
        except Exception as error:
            if main is None or output is main:
                raise
            try:
                return loss_fn(main, *given)
            except Exception:
                raise error from None  # what the loss says of the output that it was made for

    return own if loss_fn is None else told


def takes_two(function):
    """Whether a function can be called with two arguments; True where that cannot be known."""
    try:
        inspect.signature(function).bind(None, None)
    except TypeError:
        return False
    except ValueError:
        pass
    return True


# ---------------------------------------------------------------- Rules: what is raised, what is not finite


def raised(id, where, error, more=""):
    """The finding that something has raised an error."""
    said = " ".join(str(error).split()).rstrip(".")
    said = said if len(said) < 400 else f"{said[:400]}…"
    return finding(id, where, f"{type(error).__name__}: {said}.{more}")


def loss_raised(seen, error):
    """What a loss that raises an error tells: targets or outputs that it cannot take, or something else."""
    said, main, targets = str(error), seen.main, seen.targets
    has_targets = isinstance(targets, torch.Tensor)
    shape = "no tensor of floats" if main is None else f"of shape {tuple(main.shape)}"
    more = f" The model's output is {shape}"
    more += f", the targets' shape {tuple(targets.shape)}." if has_targets else "."
    if "binary_cross_entropy" in {name for name, *_ in seen.terms} and main is not None:
        low, high = main.detach().min().item(), main.detach().max().item()
        if low < 0 or high > 1:
            evidence = f"BCELoss needs outputs of 0 to 1, and they go from {low:.2g} to {high:.2g}."
            remedy = "loss_fn = nn.BCEWithLogitsLoss()"
            return finding("logits-for-probabilities", "loss_fn", evidence, remedy=remedy)
        if has_targets and "between 0 and 1" in said:
            return invalid_targets(targets, "0 to 1")
    if isinstance(error, IndexError) and "out of bounds" in said and has_targets:
        known = main is not None and main.ndim > 1
        classes = f" (the output has shape {tuple(main.shape)})" if known else ""
        return invalid_targets(targets, f"0 to classes − 1{classes}")
    if has_targets and re.search(r"(size|shape|dimension)", said, re.IGNORECASE):
        return raised("shape-mismatch", "loss_fn", error, more)
    return raised("loss-raises", "loss_fn", error, more)


def invalid_targets(
    targets, allowed, evidence="", remedy="targets = (targets > threshold).float()"
):
    """The finding that targets are not what the loss can take."""
    low, high = targets.min().item(), targets.max().item()
    evidence += f"they go from {low:.4g} to {high:.4g}, and the loss takes {allowed}."
    remedy += "  # or labels from 0 on, or more outputs" if remedy.endswith("ld).float()") else ""
    return finding("targets-invalid", "targets", evidence[0].upper() + evidence[1:], remedy=remedy)


def not_finite(seen):
    """Where something is nan or inf for the first time."""

    def told(what, where, evidence, remedy):
        return finding("not-finite", where, evidence, what=f"{what} not finite", remedy=remedy)

    for name, p in seen.model.named_parameters():
        size = seen.sizes.get(name, (None,))[0]
        if size is not None and math.isfinite(size):
            continue
        if bad := (~p.detach().isfinite()).sum().item():
            evidence = f"{bad:,} of its {p.numel():,} numbers are nan or inf."
            remedy = "load the last good state, and train with a smaller rate or clip_grad_norm_"
            return told("a parameter is", name, evidence, remedy)
    for given in tensors_in((seen.inputs, seen.targets)):
        if not given.is_floating_point() or math.isfinite(norm_of(given).item()):
            continue
        if bad := (~given.isfinite()).sum().item():
            is_target = any(given is one for one in tensors_in(seen.targets))
            where = "targets" if is_target else "inputs"
            evidence = f"{bad:,} of {given.numel():,} numbers are nan or inf."
            remedy = f"assert {where}.isfinite().all()  # where the data are read"
            return told(f"the {where} are", where, evidence, remedy)
    remedy = "x.clamp_min(1e-6)  # before logarithms, roots and quotients"
    for call in seen.calls:
        if not math.isfinite(call.norm) and not call.sample.isfinite().all():
            share = _numbers((~call.sample.isfinite()).float().mean().item())
            evidence = f"{share} of its outputs are nan or inf, and those of no module before it."
            return told("the first layer that is", call.label, evidence, remedy)
    if seen.main is not None and not seen.main.isfinite().all():
        evidence = "No module before it is to blame; a function in forward is."
        return told("the output is", "the output", evidence, remedy)
    if seen.loss is not None and not seen.loss.isfinite():
        evidence = f"It is {seen.loss.item()}, though all outputs of the layers are finite."
        remedy = "use the losses that take logits, and a batch with at least one label that counts"
        return told("the loss is", "loss_fn", evidence, remedy)
    for name, (_, size) in reversed(seen.sizes.items()):
        if size is None or math.isfinite(size) or seen.gradients[name].isfinite().all():
            continue
        sizes = [(call.label, call.gradient_norm) for call in seen.calls]
        back = [label for label, size in sizes if size is not None and not math.isfinite(size)]
        evidence = "On the way back it is the first whose gradient holds nan or inf."
        remedy = "a root or norm at 0 has an infinite slope: (x.square().sum() + 1e-6).sqrt()"
        return told("a gradient is", back[-1] if back else name, evidence, remedy)
    return None


# ---------------------------------------------------------------- Rules: outputs, targets and the loss


def shapes(seen):
    """Outputs and targets that are compared as all pairs, as they are given or by what the loss makes of them."""
    main, targets = seen.main, seen.targets
    if main is None:
        return
    outs = {tuple(one.shape) for one in tensors_in(seen.output)}
    wanted = tuple(targets.shape) if isinstance(targets, torch.Tensor) else None
    for name, one, other, _ in seen.terms:
        if other is None or name not in DIFFERENCES | ARITHMETIC:
            continue
        if one.requires_grad < other.requires_grad:
            one, other = other, one
        out, given = tuple(one.shape), tuple(other.shape)
        as_given = {out, given} == {tuple(main.shape), wanted} and out != given
        if not as_given and not (out in outs and is_mistaken_for_pairs(seen, one, other)):
            continue
        try:
            both = torch.broadcast_shapes(out, given)
        except RuntimeError:
            continue
        grown = both.numel() > max(one.numel(), other.numel())
        if not grown and (name not in DIFFERENCES or not as_given):
            continue
        told = "the targets are" if given == wanted else "what they meet is"
        evidence = (
            f"The output is {out}, {told} {given}: {name} makes {both.numel():,} pairs of them."
        )
        evidence += " The rest of this report is doubtful until they are alike."
        remedy = "loss_fn(output, targets.view_as(output))"
        if given != wanted:
            remedy = "output.squeeze(1)  # in the loss, so that all that it compares has one shape"
        elif math.prod(out) != math.prod(given):
            remedy = "give outputs and targets one shape"
        yield finding("shape-mismatch", "loss_fn", evidence, remedy=remedy)
        return


def is_mistaken_for_pairs(seen, one, other):
    """Whether what the network made meets data of the same sizes, a dimension of 1 aside, that nobody has turned.

    One asks for gradients and the other does not; x[:, None] or unsqueeze in the loss tell that pairs are meant.
    """
    alike = [[size for size in tensor.shape if size > 1] for tensor in (one, other)]
    if one.requires_grad == other.requires_grad or one.ndim == other.ndim or alike[0] != alike[1]:
        return False
    return id(other) not in seen.turned and id(one) not in seen.turned


def is_distribution(scores, dim):
    """Whether the numbers are not negative, and sum to 1 over the dimension."""
    if scores.shape[dim] < 2 or scores.min() < 0:
        return False
    return torch.allclose(
        scores.sum(dim), scores.new_ones(()), atol=0.02 if scores.dtype.itemsize < 4 else 1e-4
    )


BOUNDED = {
    "Sigmoid": (0, 1),
    "Softmax": (0, 1),
    "Tanh": (-1, 1),
    "Cosine": (-1, 1),
    "Relu": (0, math.inf),
    "Softplus": (0, math.inf),
    "Hardtanh": (-1, 1),
    "Hardsigmoid": (0, 1),
}


def expectations(seen):
    """Probabilities where the loss expects logarithms, targets that it cannot take or that cannot be reached."""
    for name, given, wanted, _ in seen.terms:
        if name in ARITHMETIC and wanted.requires_grad > given.requires_grad:
            given, wanted = wanted, given
        if not given.is_floating_point() or given.numel() == 0:
            continue
        scores, made = given.detach(), made_by(given)
        numbers = isinstance(wanted, torch.Tensor) and wanted.numel() > 0
        if name in BINARY | {"kl_div"} and numbers and wanted.requires_grad > given.requires_grad:
            evidence = f"{name} takes the network's answers first, and here they are second."
            what, remedy = "outputs and targets exchanged", "loss_fn(output, targets)"
            yield finding("targets-invalid", "loss_fn", evidence, what=what, remedy=remedy)
        elif name == "cross_entropy" and has_one_logit(seen, scores, wanted):
            evidence = f"The outputs are {tuple(scores.shape)}: a softmax over one class is 1 "
            evidence += "whatever the network says, or it goes over the batch."
            what = "one logit where a score for each class is expected"
            remedy = "loss_fn = nn.BCEWithLogitsLoss()  # or one output for each class"
            yield finding("output-range", "the output", evidence, "error", what, remedy)
        elif name in ("cross_entropy", "nll_loss") and has_swapped_classes(scores, given, wanted):
            evidence = (
                f"The scores are {tuple(scores.shape)}, with their classes last, as a linear "
            )
            evidence += f"layer puts them; {name} takes dimension 1 for the classes. Nothing raises, as both "
            evidence += "are as long."
            remedy = f"F.{name}(scores.transpose(1, 2), targets)"
            yield finding("shape-mismatch", "loss_fn", evidence, remedy=remedy)
        elif name in ("cross_entropy", "nll_loss") and (was := read_across(given)):
            evidence = f"Scores of shape {was} are read as rows of {scores.shape[1]} by a view, though their classes "
            evidence += "are dimension 1: each row holds numbers of several places."
            remedy = f"scores.movedim(1, -1).reshape(-1, {scores.shape[1]})"
            what = "classes and places that are mixed up"
            yield finding("shape-mismatch", "loss_fn", evidence, what=what, remedy=remedy)
        elif is_to_be_shares(seen, name, scores, made, wanted) and (
            told := sums_told(seen, wanted, -1 if name == "kl_div" else 1)
        ):
            remedy = (
                "targets = targets / targets.sum(1, True)  # several labels: nn.BCEWithLogitsLoss()"
            )
            yield invalid_targets(wanted, "shares that sum to 1", told, remedy)
        elif name in ("nll_loss", "ctc_loss") and scores.ndim > 1:
            yield from log_probabilities(scores, 1 if name == "nll_loss" else -1)
        elif name == "kl_div" and wanted.min() < 0 and is_distribution(wanted.exp(), -1):
            evidence = (
                "Unless log_target=True, kl_div takes probabilities, and not their logarithms: "
            )
            yield invalid_targets(wanted, "0 to 1", evidence, "nn.KLDivLoss(log_target=True)")
        elif name == "kl_div" and scores.min() >= 0:
            evidence = f"kl_div takes logarithms of probabilities; here they are {scores.min():.2g} or more."
            what = "probabilities where logarithms are expected"
            remedy = 'F.kl_div(F.log_softmax(output, -1), targets, reduction="batchmean")'
            yield finding("probabilities-for-logits", "loss_fn", evidence, what=what, remedy=remedy)
        elif name in SIGNED and numbers and (wanted.abs() != 1).any():
            yield invalid_targets(wanted, "−1 and 1", remedy="targets = 2 * targets - 1")
        elif name in BINARY and numbers and not 0 <= wanted.min() <= wanted.max() <= 1:
            yield invalid_targets(wanted, "0 to 1: with others it has no lower bound")
        elif made in BOUNDED and numbers and is_compared(seen, name, wanted):
            yield from out_of_reach(made, wanted)


def is_compared(seen, name, wanted):
    """Whether a function compares what it is given with targets, by a loss of torch or by a difference."""
    targets = seen.targets
    same = isinstance(targets, torch.Tensor) and wanted.shape == targets.shape
    same = same and wanted.equal(targets)
    return (name in DIFFERENCES and not wanted.requires_grad) or (name in SUBTRACTIONS and same)


def is_to_be_shares(seen, name, scores, made, wanted):
    """Whether a function takes, beside scores of classes, a share for each of them.

    A product with logarithms of probabilities does if it is with the targets: with others it may weight them.
    """
    if not isinstance(wanted, torch.Tensor) or wanted.shape != scores.shape or scores.ndim < 2:
        return False
    if not wanted.is_floating_point() or wanted.requires_grad:
        return False
    by_hand = name in ("mul", "__mul__") and made == "LogSoftmax" and is_like(seen.targets, wanted)
    return name in ("cross_entropy", "kl_div") or (by_hand and wanted.equal(seen.targets))


def sums_told(seen, shares, dim):
    """What is wrong with shares that should sum to 1 over a dimension, as the beginning of a sentence; "" if nothing.

    Places of pictures and texts may be left out by a row of zeros; examples are not.
    """
    if shares.shape[dim] < 2 or shares.min() < 0:
        return ""
    sums = shares.detach().float().sum(dim)
    off = (sums - 1).abs() > SUMS_TO_ONE
    places = isinstance(seen.targets, torch.Tensor) and seen.targets.ndim > 2
    off = off & (sums != 0) if places or shares.ndim > 2 else off
    if not off.any():
        return ""
    share, zeros = _numbers(off.float().mean().item()), _numbers((sums == 0).float().mean().item())
    told = f"The sums over the classes go from {sums.min():.3g} to {sums.max():.3g}, {share} of them are not 1"
    return f"{told}, {zeros} are 0; " if (sums == 0).any() else f"{told}; "


def read_across(scores):
    """The shape (batch, classes, places) of scores that a view has read as rows of classes; () if none has."""
    if scores.ndim != 2:
        return ()
    node, classes = maker_of(scores.grad_fn, ("LogSoftmax",)), scores.shape[1]
    views, back = [], scores.grad_fn
    while back is not None and back is not node:
        views.append(back)
        back = back.next_functions[0][0]
    if any(type(view).__name__.startswith(("Transpose", "Permute")) for view in views):
        return ()
    channels_first = type(node).__name__.startswith("Convolution")
    for view in views:
        was = tuple(getattr(view, "_saved_self_sym_sizes", ()))
        if (
            len(was) > 2
            and classes in was[1:-1]
            and (channels_first or was[-1] not in (classes, 1))
        ):
            return was
    return ()


def has_swapped_classes(scores, given, wanted):
    """Whether a linear layer made scores (batch, time, classes) with as many times as classes, taken for each other."""
    labels = isinstance(wanted, torch.Tensor) and not wanted.is_floating_point()
    if not labels or scores.ndim != 3 or scores.shape[1] != scores.shape[2]:
        return False
    node, turned = given.grad_fn, False
    while node is not None and node is not maker_of(given.grad_fn, ("LogSoftmax",)):
        turned = turned or type(node).__name__.startswith(("Transpose", "Permute"))
        node = node.next_functions[0][0]
    return not turned and type(node).__name__.startswith(("Addmm", "Mm", "Linear", "Add", "Bmm"))


def has_one_logit(seen, scores, wanted):
    """Whether a cross-entropy over a batch gets one number for each example, (n, 1) or (n,) as its targets."""
    if scores.ndim > 1:
        return scores.shape[1] == 1 and len(scores) > 1
    if not isinstance(wanted, torch.Tensor) or not wanted.is_floating_point():
        return False
    shares = math.isclose(wanted.detach().float().sum().item(), 1, rel_tol=1e-2)
    return scores.ndim == 1 and len(scores) == seen.examples and len(scores) > 1 and not shares


def right_answers(seen):
    """Of each output the right side: 1 or -1 for labels and for targets of two values, between them for shares.

    For as many examples as a loss is asked with. None where it is not known which output a target is for.
    """
    main, targets = seen.some, seen.targets_of(seen.some)
    if main is None or not isinstance(targets, torch.Tensor) or not targets.numel():
        return None
    dim = unit_dimension(main, targets)
    labels = not targets.is_floating_point() and targets.dtype != torch.bool
    if labels and dim is not None and targets.shape == (*main.shape[:dim], *main.shape[dim + 1 :]):
        labels = targets.long().clamp(0, main.shape[dim] - 1)
        return 2 * F.one_hot(labels, main.shape[dim]).movedim(-1, dim).to(main.dtype) - 1
    values = targets.detach().to(main.dtype)
    if targets.numel() != main.numel() or values.min() == values.max():
        return None
    values = values.view_as(main)
    low, high = values.min(), values.max()
    if low in (-1, 0) and ((values == low) | (values == high)).all():
        return torch.where(values == high, 1, -1).to(main.dtype)
    return 2 * values - 1 if low >= 0 and high <= 1 else None


def bounded_outputs(seen):
    """Outputs behind a softmax, sigmoid, tanh or ReLU for a loss that has logits in mind.

    The loss itself is asked: what the right answers cost within the outputs' range, beyond it, and in its middle.
    """
    main, right = seen.some, right_answers(seen)
    made = "" if main is None else made_by(seen.main)
    inner = maker_of(maker_of(seen.main.grad_fn).next_functions[0][0]) if made in BOUNDED else None
    if made in ("Sigmoid", "Softmax") and type(inner).__name__.startswith(("Sigmoid", "Softmax")):
        evidence = f"The {made.lower()} at the end is given what another has put into 0 to 1."
        remedy = f"remove one: {made.lower()} once, behind the last linear layer"
        yield finding("probabilities-for-logits", "the output", evidence, remedy=remedy)
        return
    if right is None or any(name == "nll_loss" for name, *_ in seen.terms):
        return
    dim = unit_dimension(main, seen.targets)
    if made not in BOUNDED and dim is not None and is_distribution(main, dim):
        made = "Softmax"
    if made not in BOUNDED:
        return
    if made == "Softmax" and dim is not None and (told := sums_exceeded(seen, right, dim)):
        remedy = "nn.BCEWithLogitsLoss() without the softmax  # or a sigmoid in its place"
        what = "a softmax for several labels"
        yield finding("output-range", "the output", told, "error", what, remedy)
        return
    low, high = BOUNDED[made]
    share, sizes = (right + 1) / 2, (1, 3, 10, CONFIDENT[0])
    inside = [low + (min(high, size) - low) * share for size in sizes]
    middle = torch.full_like(share, (low + min(high, 1)) / 2)
    costs = seen.costs(middle, *inside, *(size * right for size in sizes))
    if costs is None:
        return
    middle, within, beyond = costs[0], min(costs[1:5]), min(costs[5:])
    family, name = family_of(seen), made.lower()
    misses = beyond + OUT_OF_REACH * (middle - beyond) < within < middle
    if made == "Relu" and (family in ("softmax", "sigmoid") or misses):
        evidence = "A ReLU makes what the loss takes as logits: they cannot be below 0, and there is no gradient at 0."
        remedy = "remove the nonlinearity behind the last linear layer"
        what = "a ReLU behind the last layer"
        yield finding("output-range", "the output", evidence, what=what, remedy=remedy)
        return
    if not misses or beyond < -1e-3 * abs(middle):
        return
    if made == "Softmax" and family == "softmax":
        evidence = "The outputs sum to 1 and are within 0 to 1, and the loss applies a softmax of its own: for "
        evidence += f"{main.shape[dim]} classes it cannot fall below {within:.2f}."
    else:
        evidence = f"A {name} keeps the outputs within {low} to {high:g}: there the right answers cost {within:.2f} at "
        evidence += f"best, and as logits {beyond:.2g}."
    remedy = f"remove the last {name}: loss_fn(logits, targets)"
    if made == "Cosine":
        remedy = "logits = scale * cosines  # a scale of 10 to 30, or one that is learned"
    id, what = "probabilities-for-logits", None
    if low < 0:
        id, what = "output-range", "bounded outputs where logits are expected"
    yield finding(id, "the output", evidence, what=what, remedy=remedy)


def sums_exceeded(seen, right, dim):
    """What tells that targets ask for more, or for less, than 1 over classes of which a softmax makes 1; "" if not.

    The loss is asked what they cost with the best shares that sum to 1, and without that limit.
    """
    if family_of(seen) == "softmax":
        return ""
    share = (right + 1) / 2
    sums, flat = share.sum(dim, keepdim=True), torch.full_like(share, 1 / share.shape[dim])
    shared = torch.where(sums > 0, share / sums.clamp_min(1e-6), flat)
    tried = flat, shared, share, torch.zeros_like(share), torch.ones_like(share)
    costs = seen.costs(*(one.clamp(0.001, 0.999) for one in tried))
    if (
        (sums - 1).abs().max() < 0.1 or not costs or min(costs) != costs[2]
    ):  # no reward, which has no best
        return ""
    if costs[1] < costs[2] + OUT_OF_REACH * (costs[0] - costs[2]):
        return ""
    counts = (right > 0).sum(dim)
    told = f"A softmax shares 1 among {share.shape[dim]} classes, and of the targets there are {counts.min()} to "
    told += f"{counts.max()} at once: at best they cost {costs[1]:.3g}, with a sigmoid for each class {costs[2]:.3g}."
    return told


def two_values(seen):
    """Targets of two values that are not the two for which the loss is made; and logits for one made for 0 to 1."""
    main, right, targets = seen.some, right_answers(seen), seen.targets_of(seen.some)
    if main is None or not isinstance(targets, torch.Tensor) or targets.shape[:1] != main.shape[:1]:
        return
    values = targets.unique().tolist()
    if len(values) != 2 or values[0] not in (-1, 0):
        return
    one_hot = main.ndim > 1 and targets.shape == main.shape and (targets.sum(1) == 1).all()
    if values == [0, 1] and targets.numel() in (len(main), main.numel()) and not one_hot:
        idle = targets.view(main.shape if targets.numel() == main.numel() else len(main)) == 0
        ways = [(which, factor) for which in (idle, ~idle) for factor in (-3, 5)]
        costs = seen.costs(main, *(elsewhere(main, *way) for way in ways))
        flat = costs and [math.isclose(one, costs[0], rel_tol=1e-6) for one in costs[1:]]
        if flat == [True, True, False, False]:
            evidence = f"The loss does not depend on the outputs of the {idle.sum()} targets of 0: "
            yield invalid_targets(targets, "−1 and 1", evidence, "targets = 2 * targets - 1")
            return
    if right is None or not is_like(targets, main):
        return
    if values == [0, 1]:
        costs = seen.costs((right + 1) / 2, 5 * (right + 1))
        if costs and costs[1] < -0.1 < -1e-3 < costs[0] and (main.min() < 0 or main.max() > 1):
            evidence = f"For targets as outputs it is {costs[0]:.3g}, for 10 times them {costs[1]:.3g}: it is made for "
            evidence += (
                f"numbers from 0 to 1, and these go from {main.min():.2g} to {main.max():.2g}."
            )
            remedy = "loss_fn(output.sigmoid(), targets)"
            yield finding("logits-for-probabilities", "loss_fn", evidence, remedy=remedy)
        return
    shares = (right + 1) / 2
    bounded = made_by(seen.main) in ("Sigmoid", "Softmax")
    sure = 0.001 + 0.998 * shares if bounded else CONFIDENT[0] * right
    given, meant = seen.costs(sure), seen.costs(sure, targets=shares)
    if given and meant and given[0] < -0.1 < -1e-3 <= meant[0]:
        evidence = f"With outputs from {sure.min():.2g} to {sure.max():.2g}, on the right sides, it is {given[0]:.3g}: "
        yield invalid_targets(targets, "0 and 1", evidence, "targets = (targets > 0).float()")


def counted(seen):
    """Padding that counts in the loss; and a class that does not: the loss is asked for its slope at each answer."""
    main, targets = seen.main, seen.targets
    if main is None or not isinstance(targets, torch.Tensor) or targets.is_floating_point():
        return
    dim = unit_dimension(main, targets)
    if dim is None or targets.shape != (*main.shape[:dim], *main.shape[dim + 1 :]):
        return
    pads = {m.padding_idx for m in seen.model.modules() if isinstance(m, nn.Embedding)} - {None}
    texts = [one for one in tensors_in(seen.inputs) if one.shape == targets.shape]
    padded = [(p, padding(x, p) & (targets == p)) for p in pads for x in texts if targets.ndim > 1]
    padded = [(p, places) for p, places in padded if places.any()]
    is_one = targets.ndim == 1 and not seen.pairwise and main.shape[dim] > 1
    labels = targets.unique() if is_one else targets[:0]
    if (not padded and len(labels) < 2) or (slope := seen.slope(torch.zeros_like(main))) is None:
        return
    counts = slope.abs().sum(dim) > 0
    for pad, places in padded:
        if counts[places].any():
            share = _numbers((targets == pad).float().mean().item())
            evidence = f"{share} of the targets are padding, {pad}, and the loss depends on them."
            told = "padding that counts in the loss", f"nn.CrossEntropyLoss(ignore_index={pad})"
            yield finding("targets-invalid", "loss_fn", evidence, "warning", *told)
            return
    left = [one for one in labels.tolist() if one >= 0 and not counts[targets == one].any()]
    if left and counts.any():
        evidence = f"The loss does not depend on the outputs for the targets of {left[0]}, a class of the data."
        what, remedy = "a class that the loss ignores", "nn.CrossEntropyLoss()  # ignore_index=-100"
        yield finding("targets-invalid", "loss_fn", evidence, what=what, remedy=remedy)


def padding(text, index):
    """Where a text is padding: an index that stands nowhere but at the ends, and there fills up several lengths."""
    is_index = text == index
    begins = is_index.long().cumprod(-1)
    ends = is_index.long().flip(-1).cumprod(-1).flip(-1)
    lengths = is_index.sum(-1)
    fills = is_index.equal((begins + ends) > 0) and len(lengths.unique()) > 1
    return is_index if fills and lengths.max() > 1 else torch.zeros_like(is_index)


def elsewhere(main, rows, factor):
    """The main tensor, with other outputs in these rows."""
    changed = main.clone()
    changed[rows] = factor * (main[rows].flip(0) + 1)
    return changed


def not_finite_by_hand(seen):
    """A loss that becomes inf or nan as soon as the outputs are sure, right or wrong: a logarithm without a limit."""
    right, made = right_answers(seen), made_by(seen.main) if seen.main is not None else ""
    if right is None or {name for name, *_ in seen.terms} & (LIKELIHOODS | BINARY | DIFFERENCES):
        return
    size = CONFIDENT[family_of(seen) == "softmax"]
    sure, told = [size * right, -size * right], f"±{size}"
    if made in ("Sigmoid", "Softmax", "Hardsigmoid"):
        sure, told = [(right + 1) / 2, (1 - right) / 2], "0 and 1"
    elif made in BOUNDED or (right.abs() < 1).any():
        return
    losses = [loss for loss in map(seen.ask, sure) if loss is not None]
    if not all(loss.isfinite() for loss in losses):
        evidence = f"For outputs of {told}, right and then wrong, it is "
        evidence += f"{' and '.join(f'{loss:.3g}' for loss in losses)}: a logarithm of 0."
        remedy = "F.cross_entropy, F.binary_cross_entropy_with_logits; or log(p.clamp_min(1e-6))"
        what = "a loss that becomes inf or nan"
        yield finding("not-finite", "loss_fn", evidence, "warning", what, remedy)


def prefers(seen):
    """-1 if the loss falls where outputs move towards their targets, 1 if it rises there, 0 if that is not known."""
    known, main, right = known_result(seen), seen.some, right_answers(seen)
    if known and known[1] > 0 and math.isclose(abs(seen.report.loss), known[1], rel_tol=1e-3):
        return -1 if seen.report.loss > 0 else 1
    if main is None:
        return 0
    low, high = BOUNDED.get(made_by(seen.main), (0, 0))
    start = torch.full_like(main, (low + min(high, 1)) / 2)
    if right is None:
        targets = seen.targets_of(main)
        if not is_like(targets, main):
            return 0
        start = targets.detach().to(main.dtype).mean(0, keepdim=True).expand_as(main)
        right = targets - start
    for where in (start, main):
        gradient = seen.slope(where)
        if gradient is None:
            continue
        towards = (gradient * (right - right.mean(0))).reshape(len(main), -1).sum(1)
        if towards.sum().abs() > CONSISTENT * towards.abs().sum():
            return int(towards.sum().sign())
    return 0


def is_like(targets, main):
    """Whether targets are numbers, one for each of the main tensor's."""
    return (
        isinstance(targets, torch.Tensor)
        and targets.is_floating_point()
        and targets.shape == main.shape
        and targets.ndim > 0
    )


def direction(seen):
    """A step that raises a loss, or that lowers what rises with the right answers."""
    if seen.climb is None or seen.climb == 0 or seen.pairwise:
        return
    wanted = prefers(seen)
    if seen.climb > 0 and wanted < 0:
        evidence = "The optimizer's step raises the loss, which falls where outputs come nearer to their targets"
        evidence += ": it has maximize=True." if maximizes(seen) else "."
        yield finding("wrong-direction", where_of(seen), evidence, remedy="maximize=False")
    elif seen.climb < 0 and wanted > 0 and is_score(seen):
        evidence = f"The loss, {seen.report.loss:.3g}, rises where outputs come nearer to their targets, and a step "
        what = "a score that is minimized"
        yield finding("wrong-direction", "loss_fn", f"{evidence}lowers it.", what=what)


def maximizes(seen):
    """Whether an optimizer is asked to raise the loss."""
    return any(group.get("maximize") for one in seen.optimizers for group in one.param_groups)


def is_score(seen):
    """Whether a loss that rises with the right answers is no distance: of probabilities, or below 0 and not linear."""
    if made_by(seen.main) in ("Sigmoid", "Softmax"):
        return True
    main = seen.some
    costs = seen.costs(main, main - 1, main + 1, 2 * main, main + 10, main + 100)
    if not costs:
        return False
    middle, low, high, twice, near, far = costs
    if seen.report.loss >= 0:
        return far < 20 * near < 0  # it falls without a bound, faster and faster
    return not all(math.isclose(one, 2 * middle, rel_tol=1e-4) for one in (low + high, twice))


def log_probabilities(scores, dim):
    """What NLLLoss and CTCLoss take must be logarithms of probabilities."""
    total = scores.float().logsumexp(dim)
    if total.abs().max() < 0.02:
        return
    if is_distribution(scores, dim):
        evidence = "The outputs are probabilities, not their logarithms: the loss of NLLLoss is then negative, to −1."
        what = "probabilities where their logarithms are expected"
        remedy = "nn.LogSoftmax(1) for the softmax, or loss_fn = nn.CrossEntropyLoss() without it"
        yield finding("probabilities-for-logits", "loss_fn", evidence, what=what, remedy=remedy)
        return
    evidence = f"exp(outputs) sum to {total.exp().median():.3g} and not to 1: the loss has no lower bound then."
    what = "logits where log-probabilities are expected"
    remedy = None if dim == 1 else "output.log_softmax(-1)"
    yield finding("logits-for-probabilities", "loss_fn", evidence, what=what, remedy=remedy)


def out_of_reach(made, wanted):
    """Targets that the output's nonlinearity cannot reach."""
    low, high = BOUNDED[made]
    values = wanted.detach().float()
    margin = 0.05 * (values.max() - values.min() + 1e-12)
    share = ((values < low - margin) | (values > high + margin)).float().mean().item()
    if share > 0.02:
        bounds = f"from {low} on" if high == math.inf else f"from {low} to {high}"
        evidence = f"A {made.lower()} gives numbers {bounds}; the targets go from {values.min().item():.3g} to "
        evidence += f"{values.max().item():.3g}, {_numbers(share)} of them outside."
        remedy = f"remove the last {made.lower()}, or scale the targets into its range"
        yield finding("output-range", "the output", evidence, severity="error", remedy=remedy)


def known_result(seen):
    """(name, value) of the one function of torch that the loss is made of; None if there are none or several."""
    names = (LIKELIHOODS | BINARY | DIFFERENCES) - {"log_softmax"}
    results = [(name, one) for name, _, _, one in seen.terms if name in names]
    results = [(name, one.item()) for name, one in results if is_number(one)]
    return results[0] if len(results) == 1 else None


def is_number(result):
    """Whether a function returned a tensor of one number."""
    return isinstance(result, torch.Tensor) and result.numel() == 1


def below_bound(seen):
    """A loss below the bound of the function that it uses."""
    known, loss = known_result(seen), seen.report.loss
    if known is None or loss >= -1e-4 or maximizes(seen):
        return
    name, value = known
    if value < 0 or math.isclose(value, -loss, rel_tol=1e-3):
        evidence = f"It is {loss:.3g}, and {name} has no values below 0"
        end = (
            ": its sign is turned." if value > 0 else ": outputs or targets are not what it takes."
        )
        remedy = "loss = loss_fn(output, targets)  # without a minus, with outputs and targets as it documents"
        yield finding("loss-below-bound", "loss_fn", evidence + end, remedy=remedy)


def family_of(seen):
    """ "softmax", "sigmoid", "difference" or "other": what kind of loss it is, by its functions, or by asking it."""
    names, main = {name for name, *_ in seen.terms}, seen.some
    for family, some in (
        ("softmax", LIKELIHOODS),
        ("sigmoid", BINARY),
        ("difference", DIFFERENCES),
    ):
        if names & some:
            return family
    if main.ndim > 1 and main.shape[-1] > 1:
        by = max(1, seen.targets.std().item()) if is_like(seen.targets, seen.main) else 1
        costs = seen.costs(main, main + by)
        if costs and math.isclose(*costs, rel_tol=1e-4, abs_tol=1e-6):
            return "softmax"
    return "other"


def is_per_example(seen, main, targets, loss):
    """Whether the loss of a batch is made of its parts' losses: their sum, or between them. None: it cannot be known.

    That of a contrastive loss is not: fewer examples are easier to tell apart.
    """
    count = len(main)
    if count < 4 or (
        isinstance(targets, torch.Tensor) and (targets.ndim == 0 or len(targets) != count)
    ):
        return None
    if targets is not None and not isinstance(targets, torch.Tensor):
        return None
    halves = []
    for part in (slice(None, count // 2), slice(count // 2, None)):
        value = seen.ask(main[part], None if targets is None else targets[part])
        if value is None or not value.isfinite():
            return None
        halves.append(value.item())
    room = 0.02 * abs(loss) + 1e-6
    return min(halves) - room <= loss <= max(halves) + room or abs(sum(halves) - loss) <= room


def unit_dimension(main, targets):
    """The dimension of the output that holds classes or units; None if each example has one number."""
    if main.ndim < 2:
        return None
    labels = isinstance(targets, torch.Tensor) and not targets.is_floating_point()
    if labels and targets.shape == (main.shape[0], *main.shape[2:]):
        return 1
    return 1 if main.ndim == 4 else main.ndim - 1


def best_constant(seen, main, targets):
    """(the loss of zeros, of the best constant that was found, a number for each unit), by asking; or None."""
    dim = unit_dimension(main, targets)
    shape = [1] * main.ndim
    if dim is not None:
        shape[dim] = main.shape[dim]
    constant = torch.zeros(shape, dtype=torch.float32, device=main.device, requires_grad=True)
    low, high = BOUNDED.get(made_by(seen.main), (-math.inf, math.inf))

    def ask(value, grad=False):
        value = value.clamp(low, high)
        loss = seen.ask(value.to(main.dtype).expand_as(main).clone(), targets, grad)
        return None if loss is None or not loss.isfinite() else loss.float()

    zero = ask(constant.detach())
    if zero is None:
        return None
    found = [zero.item()]
    if is_like(targets, main):
        others = [k for k in range(main.ndim) if k != dim]
        for middle in (targets.float().mean(others, keepdim=True), targets.float().mean()):
            loss = ask(middle.expand(shape) if middle.ndim else middle.reshape([1] * main.ndim))
            found += [] if loss is None else [loss.item()]
    optimizer = torch.optim.LBFGS([constant], max_iter=ASKED_STEPS, max_eval=2 * ASKED_STEPS)

    def closure():
        optimizer.zero_grad()
        loss = ask(constant, grad=True)
        if loss is None or not loss.requires_grad:
            raise ValueError
        found.append(loss.item())
        constant.grad = torch.autograd.grad(loss, constant)[0]
        return loss

    try:
        with torch.enable_grad():
            optimizer.step(closure)
    except (ValueError, RuntimeError):
        pass
    return zero.item(), min(one for one in found if math.isfinite(one))


def has_variance(targets):
    """Whether labels or targets differ at all, within a unit; True where that cannot be known."""
    if not isinstance(targets, torch.Tensor) or targets.numel() < 2:
        return True
    if not targets.is_floating_point():
        valid = targets[targets >= 0]
        return valid.numel() == 0 or bool(valid.min() < valid.max())
    return bool((targets.float() - targets.float().mean(0)).abs().max() > 1e-6)


def first_loss(seen):
    """A loss above that of knowing nothing, which the loss function itself is asked for."""
    main, targets = seen.main, seen.targets
    if main is None or seen.loss is None or main.numel() < 2 or main.ndim < 1 or seen.pairwise:
        return
    main, loss, targets = seen.some, seen.loss.item(), seen.targets_of(seen.some)
    same = seen.ask(main)
    if len(main) < len(seen.main) and same is not None:
        loss = same.item()
    if same is None or not math.isclose(same.item(), loss, rel_tol=1e-3, abs_tol=1e-5):
        seen.note("the first loss was not compared: the loss cannot be asked with other outputs")
        return
    known = {name for name, *_ in seen.terms} & (LIKELIHOODS | BINARY | DIFFERENCES)
    per_example = is_per_example(seen, main, targets, loss)
    if per_example is False or (per_example is None and not known):
        seen.note("the first loss was not compared: it compares the examples, or cannot be split")
        return
    asked = best_constant(seen, main, targets)
    if asked is None:
        seen.note("the first loss was not compared: the loss gives no number for a constant output")
        return
    zero, best = asked
    seen.report.ignorance = best
    right = seen.ask(main * 0 + targets, targets) if is_like(targets, main) else None
    if not (zero > 0 and best >= 0 and loss > 0) or (right is not None and right < -1e-3 * best):
        return
    if has_cosines(seen.main):  # their scale is a design
        return
    if not has_variance(targets):
        seen.note("the first loss was not compared: the targets do not differ")
        return
    yield from judged_loss(seen, main, targets, loss, zero, best)


def judged_loss(seen, main, targets, loss, zero, best):
    """Compare a loss with that of equal scores and of the best constant."""
    family, dim = family_of(seen), unit_dimension(main, targets)
    classes = 2 if dim is None or family == "sigmoid" else max(main.shape[dim], 2)
    excess = ABOVE_IGNORANCE / math.log(classes)
    size = main.float().std().item()
    if family in ("softmax", "sigmoid") and loss > (1 + excess) * max(zero, best):
        evidence = (
            f"It is {loss:.3g}, and equal scores cost {zero:.3g}; the outputs' std is {size:.2g}."
        )
        yield finding("first-loss-high", "the output layer", evidence)
        return
    enough = isinstance(targets, torch.Tensor) and targets.numel() >= 5 * classes
    if not enough:
        return
    remedy = (
        "nn.init.constant_(output_layer.bias, math.log(p / (1 - p)))  # p: the share of positives"
    )
    if family in ("difference", "other"):
        remedy = "targets = (targets - targets.mean(0)) / targets.std(0)  # or start the last bias at their mean"
    if loss > ABOVE_CONSTANT * best and best >= 1e-7 * zero:
        evidence = f"It is {loss:.3g}, and the best constant costs {best:.3g}; the outputs' std is {size:.2g}."
        yield finding("first-loss-high", "the output layer", evidence, remedy=remedy)
    elif is_like(targets, main) and (told := far_from(seen, main, targets, loss)):
        what = "targets of another scale than the outputs"
        remedy = "targets = (targets - targets.mean(0)) / targets.std(0)"
        yield finding("first-loss-high", "the targets", told, what=what, remedy=remedy)


def far_from(seen, main, targets, loss):
    """What tells that targets lie far from the outputs, or are far larger; "" if not, or if the loss asks for more than
    the difference of the two.
    """
    values, units = targets.detach().float(), tuple(range(targets.ndim - 1)) or (0,)
    spread = values.std().item()
    moved = seen.ask(main + spread, targets + spread)
    if moved is None or not math.isclose(moved.item(), loss, rel_tol=1e-3):
        return ""
    errors = main.float() - values
    ratio = errors.mean(units).norm() / errors.std(units).norm().clamp_min(1e-30)
    size, within = errors.square().mean().sqrt().item(), main.float().std().item()
    if ratio < BIAS_OF_ERRORS and not size > LARGE_TARGET * max(1, within):
        return ""
    told = f"They have a mean of {values.mean():.3g} and a std of {spread:.3g}, the outputs {main.mean():.2g}"
    return f"{told} and {within:.2g}; layers are made for about 1."


# ---------------------------------------------------------------- Rules: what is registered, held and in which mode


def registration(seen):
    """Tensors that reach the loss and that `parameters()` does not know, and modules that are one and the same."""
    if isinstance(seen.model, torch.jit.ScriptModule):  # it holds nothing else
        return
    known = {id(p) for p in seen.model.parameters()}
    known |= {id(one) for one in tensors_in((seen.inputs, seen.targets))}
    loss_modules = [seen.loss_fn] if isinstance(seen.loss_fn, nn.Module) else []
    known |= {id(p) for module in loss_modules for p in module.parameters()}
    outside = [leaf for leaf in seen.leaves if id(leaf) not in known]
    held = {id(p) for one in seen.optimizers for group in one.param_groups for p in group["params"]}
    modules, tensors, _ = everything_in(seen.model)
    drawn = [leaf for leaf in outside if isinstance(leaf, nn.Parameter) and id(leaf) not in held]
    made = [leaf for leaf in drawn if id(leaf) not in tensors]
    if made:
        evidence = f"{sum(leaf.numel() for leaf in made):,} numbers get a gradient, and no module holds them: a layer "
        evidence += "that forward makes is drawn anew in each pass."
        what = "weights that are made in forward"
        remedy = "make the layer in __init__: self.layer = nn.Linear(...)"
        yield finding("unregistered", "the model", evidence, what=what, remedy=remedy)
    named = [tensors[id(leaf)][0] for leaf in outside if id(leaf) in tensors]
    if named:
        count = sum(leaf.numel() for leaf in outside if id(leaf) in tensors)
        evidence = f"{count:,} numbers get a gradient; parameters(), state_dict(), eval() and to() do not know them."
        yield finding("unregistered", _listed(named), evidence)
    paths = defaultdict(list)
    for path, module in seen.model.named_modules(remove_duplicate=False):
        paths[id(module)].append(path)
    for same in paths.values():
        module = modules[id(seen.model.get_submodule(same[0]))][1]
        siblings = Counter(path.rpartition(".")[0] for path in same)
        parent, count = siblings.most_common(1)[0]
        learns = not isinstance(module, BATCHNORMS) and any(True for _ in module.parameters())
        if count > 1 and learns and in_container(seen.model, parent):
            evidence = f"{', '.join(same[:3])} are one object: one set of weights, not {count}."
            yield finding("layers-shared", _listed(same), evidence)
            break


def in_container(model, path):
    """Whether what stands there is a plain container, such as nn.Sequential."""
    return isinstance(model.get_submodule(path), nn.Sequential | nn.ModuleList | nn.ModuleDict)


def held(seen):
    """Parameters with a gradient that no optimizer has."""
    if not seen.optimizers:
        return
    has = {id(p) for one in seen.optimizers for group in one.param_groups for p in group["params"]}
    missing = [name for name, p in seen.parameters.items() if id(p) not in has]
    if missing:
        count = sum(seen.parameters[name].numel() for name in missing)
        total = sum(p.numel() for p in seen.parameters.values())
        evidence = (
            f"{count:,} of {total:,} numbers to learn are in no param_group: they never move."
        )
        if len(missing) == len(seen.parameters):
            evidence += " Was the optimizer made before the model was replaced? It holds others."
        remedy = "optimizer = torch.optim.AdamW(model.parameters(), lr=lr)  # after the model is complete"
        yield finding("not-in-optimizer", _listed(missing), evidence, remedy=remedy)


def modes(seen):
    """An eval mode in which dropout and batch statistics are not seen though a training is looked at."""
    rests = [(path, one) for path, one in seen.model.named_modules() if not one.training]
    drops = [path for path, one in rests if isinstance(one, DROPOUTS) and one.p > 0]
    norms = [path for path, one in rests if isinstance(one, BATCHNORMS)]
    resting = drops + norms
    if not resting:
        return
    if seen.model.training:
        seen.note(f"modules in eval mode within a model in train mode, on purpose?: {len(resting)}")
        return
    training = bool(seen.optimizers) or seen.lr is not None
    severity = "warning" if training else "remark"
    kinds = " and ".join(kind for kind, some in (("dropout", drops), ("BatchNorm", norms)) if some)
    evidence = f"{len(resting)} modules ({kinds}) rest in eval mode: what they do in training was not seen."
    if training:
        evidence += " A rate or an optimizer was given, so a training is meant."
    yield finding("mode-hides", _listed(resting), evidence, severity=severity)


# ---------------------------------------------------------------- Rules: normalization


def dropout(seen):
    """Dropout after which there is more noise than signal."""
    words = "{:.0%} of what {} is given is dropped: the noise is several times what is left."
    yield from of_worst("dropout-high", seen.recorder.rates, words)


def statistics(seen):
    """BatchNorm layers in eval mode whose running statistics do not fit the batch."""
    off, odd = {}, []
    for module, places in seen.recorder.places.items():
        momentum = None if module.running_mean is None else module.momentum
        if momentum is not None and not MOMENTA[0] < momentum < MOMENTA[1]:
            odd.append((places[0][1], momentum))
        if module.training or module.running_mean is None:
            continue
        _, label, table, _ = places[0]
        if len(table) < FEWEST_EXAMPLES:
            seen.note(f"running statistics of {label} were not compared: few values a unit")
            continue
        std = module.running_var.float().add(module.eps).sqrt()
        away = ((table.mean(0) - module.running_mean.float()) / std).abs().median().item()
        times = (table.std(0) / std).median().item()
        if away > FITS_MEAN or not 1 / FITS_STD < times < FITS_STD:
            off[label] = away, times, module
    if odd and not off:
        label, momentum = odd[0]
        evidence = f"The momentum of {label} is {momentum:g}, the share of a new batch: "
        if momentum < 0.5:
            left = _numbers((1 - momentum) ** 100)
            evidence += f"after 100 batches {left} of the statistics are still the first 0 and 1."
        else:
            evidence += "they are those of the last batch. Others call 1 minus it the momentum."
        where, what = _listed(one for one, _ in odd), "running statistics that will not fit"
        remedy = "nn.BatchNorm2d(channels, momentum=0.1)"
        yield finding("statistics-unfit", where, evidence, "warning", what, remedy)
    if not off:
        return
    worst = next(iter(off))
    away, times, module = off[worst]
    evidence = f"In {worst} the batch's mean is {away:.2g} running stds off, its std {times:.2g} times the running one."
    if module.num_batches_tracked is not None:
        count = module.num_batches_tracked.item()
        evidence += f" They have seen {count} batches"
        if module.momentum is not None:
            evidence += f", so {_numbers((1 - module.momentum) ** count)} of them are still the first 0 and 1"
        evidence += "."
    yield finding("statistics-unfit", _listed(off), evidence)


def shared_norms(seen):
    """A BatchNorm that is called behind different layers, and batches that are too small for one."""
    small = []
    for module, places in seen.recorder.places.items():
        before = {id(place[0]) for place in places}
        if len(places) > 1 and len(before) > 1 and module.track_running_stats:
            evidence = f"It runs {len(places)} times in a pass, behind {len(before)} different layers: its running "
            evidence += "statistics mix them, and fit none of them in eval mode."
            yield finding("shared-batchnorm", places[0][1], evidence)
        shape = places[0][3]
        if module.training and shape[0] <= SMALL_BATCH and len(shape) > 1:
            small.append((places[0][1], shape))
    if small:
        _, shape = small[0]
        evidence = f"It takes its mean and variance from {shape[0]} example{'s' * (shape[0] > 1)}"
        pair = len(shape) == 2 and shape[0] == 2
        evidence += ": of two, each unit comes out as 1 and −1." if pair else "."
        yield finding("batch-too-small", _listed(one for one, _ in small), evidence)


def useless_biases(seen):
    """Biases that the normalization behind them takes away."""
    order, off = seen.recorder.order, []
    names = {id(module): path for path, module in seen.model.named_modules()}
    by_module = {id(call.module): call for call in seen.calls if call.module is not None}
    for module, after in pairwise(order):
        if not isinstance(module, LINEARS) or module.bias is None or id(module) not in by_module:
            continue
        cancels = isinstance(after, str) or norm_uses_batch(after)
        call, name = by_module[id(module)], f"{names.get(id(module), '')}.bias".lstrip(".")
        size = seen.sizes.get(name, (0, None))[1]
        if not cancels or size is None or not call.gradient_norm:
            continue
        if size < CANCELLED.get(call.dtype, 1e-3) * call.gradient_norm:
            off.append((name, size, call.gradient_norm))
    if off:
        name, size, back = off[0]
        evidence = f"The gradient of {name} is {size:.0e}, rounding errors, that of its outputs {back:.0e}: "
        evidence += "the mean that the normalization behind it subtracts takes it away."
        yield finding("useless-bias", _listed(one for one, *_ in off), evidence)


def norm_uses_batch(module):
    """Whether a module is a normalization that subtracts the mean of what it is given."""
    return isinstance(module, CANCELLERS) and (module.training or not module.track_running_stats)


# ---------------------------------------------------------------- Rules: inputs and examples


def inputs_scale(seen):
    """Numbers of a size that the first linear layer is not made for."""
    for label, x in seen.recorder.direct.items():
        values = thinned(x)
        present = values[values != 0]
        if not values.isfinite().all():
            continue
        if present.numel() < 2 and len(values) > 1:
            evidence = f"{label} gets nothing but zeros, {tuple(x.shape)}."
            told = "inputs that are all zero", "assert inputs.std() > 0  # integers divided?"
            yield finding("inputs-out-of-scale", label, evidence, "error", *told)
            return
        rms = present.square().mean().sqrt().item()
        low, high = values.min().item(), values.max().item()
        if present.numel() > 1 and not SMALL_INPUT < rms < LARGE_INPUT:
            evidence = f"{label} gets numbers of rms {rms:.3g}, from {low:.3g} to {high:.3g}; "
            evidence += "layers are made for about 1."
            yield finding("inputs-out-of-scale", label, evidence)
            return


@contextmanager
def in_eval_mode(model):
    """Within it all modules, registered or not, are in eval mode; `unchanged` puts them back."""
    modules = [module for _, module in everything_in(model)[0].values()]
    saved = [(module, module.training) for module in modules]
    try:
        for module in modules:
            module.training = False
        yield
    finally:
        for module, training in saved:
            module.training = training


def mixing(seen):
    """In eval mode, an example's output that depends on what else is in the batch; or dropout that does not rest."""
    count, main, targets = seen.examples, seen.main, seen.targets
    if count is None or count < 4 or main is None or main.ndim == 0 or len(main) != count:
        seen.note("whether examples mix was not tested: it takes four, and outputs for each")
        return
    has_targets = isinstance(targets, torch.Tensor)
    if has_targets and (targets.ndim == 0 or len(targets) != count):
        return
    middle = count // 2  # the first and the last stay, since in a recurrence states go one way
    batches = [0, 1, 2, count - 1], [0, middle, middle, count - 1]
    recorder = Recorder(None, [], measure=False)
    recorder.watch(seen.model)
    try:
        with Functions(recorder):
            outs = in_eval(seen, [lambda t, rows=rows: t[rows] for rows in batches])
            if outs is None:  # a model that is bound to the size of its batch
                batches = list(range(count)), [0, *[middle] * (count - 2), count - 1]
                batches = *batches, batches[0]
                outs = in_eval(seen, [lambda t, rows=rows: t[rows] for rows in batches])
    finally:
        recorder.stop()
    if outs is None:
        seen.note("whether examples mix was not tested: the model does not take a part of a batch")
        return
    if recorder.dropped:
        evidence = "F.dropout without training=self.training drops out in eval mode, too."
        yield finding("random-in-eval", _listed(dict.fromkeys(recorder.dropped)), evidence)
        return
    if outs[0].shape == main.shape and len(batches[0]) < count:
        evidence = f"Of {len(batches[0])} examples the model makes {count} outputs, as of {count}: their first "
        evidence += "dimension is not that of the examples."
        yield finding("examples-mix", "the output", evidence)
        return
    if outs[0].shape != (len(batches[0]), *main.shape[1:]):
        seen.pairwise = True
        seen.note(
            "the outputs compare the examples, as in contrastive learning: whether they mix is unknown"
        )
        return
    one, other = (out[[0, -1]] for out in outs[:2])
    if len(outs) > 2 and (outs[0] - outs[2]).abs().max() > REPEATED * outs[0].abs().max():
        evidence = "Two passes over one batch in eval mode differ: a state is kept between them."
        told = "remark", "a state that is kept", "self.state = None  # before each new sequence"
        yield finding("random-in-eval", "the model", evidence, *told)
        return
    sizes = [getattr(one, "normalized_shape", ()) for one in seen.model.modules()]
    if len(outs) > 2 and not any(size[:1] == (count,) for size in sizes):
        seen.note(
            "whether examples mix was not tested: the model may be made for what it is given, as for a graph"
        )
        return
    change = (one - other).abs().max().item() / max(one.abs().max().item(), 1e-12)
    if not math.isfinite(change) or change < MIXED:
        return
    in_time = main.ndim > 2 and has_targets and targets.shape[:2] == main.shape[:2]
    if in_time and not mixes_along_next(seen):
        evidence = "Places along the first dimension change each other's outputs, those along the second do not."
        what = "the first dimension may not be the batch"
        remedy = "nn.LSTM(..., batch_first=True)  # if inputs are (batch, time, features)"
        yield finding("examples-mix", "the model", evidence, "remark", what, remedy)
        return
    evidence = f"With other neighbours in the batch the first example's output changes by {change:.2g} of its size, in "
    evidence += "eval mode, where no normalization explains it."
    yield finding("examples-mix", "the model", evidence)


def visible(seen):
    """Outputs that depend on the input that is their target, where the targets are the inputs one place on."""
    targets = seen.targets
    if seen.main is None or not isinstance(targets, torch.Tensor) or targets.ndim < 2:
        return
    if any(sees_ahead(seen, axis) for axis in dict.fromkeys((1, targets.ndim - 1))):
        evidence = "The targets are the inputs one place on, and an output changes with the input that comes after it: "
        evidence += "it can copy the answer."
        yield finding("targets-visible", "the model", evidence)


def sees_ahead(seen, axis):
    """Whether the targets are the inputs one place on along this dimension, and outputs change with what comes next."""
    targets, main = seen.targets, seen.main
    time = targets.shape[axis]
    texts = sum(is_before(x, targets, axis) for x in tensors_in(seen.inputs))
    dims = [dim for dim in range(1, main.ndim) if main.shape[dim] == time]
    if not texts or len(dims) != 1 or time < 3:
        return False
    for place in range(texts):  # one by one: of two, one may be a source, which is there to be seen
        turns = iter(range(texts))

        def changed(t, place=place, turns=turns):
            if not is_before(t, targets, axis) or next(turns) != place:
                return t
            last = t.narrow(axis, time - 1, 1).roll(1, 0)
            return torch.cat([t.narrow(axis, 0, time - 1), last], axis)

        few = [
            lambda t: t[:MOST_SEEN_AHEAD],
            lambda t, changed=changed: changed(t)[:MOST_SEEN_AHEAD],
        ]
        if (outs := in_eval(seen, few)) is None:  # a model that is bound to the size of its batch
            turns = iter(range(texts))
            outs = in_eval(seen, [lambda t: t, changed])
        if outs is None:
            return False
        one, other = (out.select(dims[0], time - 2) for out in outs)
        if (one - other).abs().max() <= MIXED * one.abs().max():
            return False
    return True


def is_before(text, targets, axis=1):
    """Whether the targets are this text one place on, as told by the places where it does not stay as it is."""
    if text.shape != targets.shape:
        return False
    text, targets = text.transpose(1, axis), targets.transpose(1, axis)
    moves = text[:, 1:] != text[:, :-1]
    return bool(moves.any() and (text[:, 1:] == targets[:, :-1])[moves].float().mean() > 0.9)


def in_eval(seen, changes):
    """The main tensors in eval mode, for inputs changed in these ways; None if a pass fails."""
    outs, state = [], random_state()

    def changed(t, change):
        return change(t).clone() if t.ndim and len(t) == seen.examples else t.clone()

    try:
        with in_eval_mode(seen.model), torch.no_grad():
            for change in changes:
                set_random_state(state)
                inputs = mapped(seen.inputs, lambda t, change=change: changed(t, change))
                outs.append(main_tensor(calling(seen.model, inputs)).float())
    except Exception:
        return None
    return outs


def mixes_along_next(seen):
    """Whether places along the second dimension change each other's outputs, in eval mode."""

    def turned(t):
        return torch.cat([t[:4, :1], t[:4, 1:].flip(1)], 1) if t.ndim > 1 else t

    outs = in_eval(seen, [lambda t: t[:4] if t.ndim > 1 else t, turned])
    if outs is None:
        return True
    ends = (outs[0][:, 0] - outs[1][:, 0]), (outs[0][:, 1:].flip(1) - outs[1][:, 1:])
    return max(one.abs().max().item() for one in ends) > MIXED * max(
        outs[0].abs().max().item(), 1e-12
    )


# ---------------------------------------------------------------- Rules: units and the signal


def dead_units(seen):
    """Rectifiers of which most units are 0 for every example."""
    off = {
        call.label: call.dead
        for place, call in enumerate(seen.calls)
        if (call.dead or 0) >= DEAD_SHARE and not starts_at_zero(call) and gets_signal(seen, place)
    }
    off = {} if has_learned(seen) else off
    words = "{:.0%} of the units in {} put out 0 for every example: they get no gradient."
    remedy = "a smaller rate; nn.init.zeros_(layer.bias); or nn.LeakyReLU(0.01) in place of ReLU"
    yield from of_worst("dead-units", off, words, remedy=remedy)


def has_learned(seen):
    """Whether the loss is far below that of the best constant: then what the layers do is no harm."""
    known = seen.report.ignorance
    return known is not None and known > 0 and seen.report.loss < LEARNED * known


def gets_signal(seen, place):
    """Whether what the layer in front of a rectifier is given differs between the examples; True if it is not known."""
    if any(share > CONSTANT_SHARE for _, share in constant_calls(seen, seen.calls[:place])):
        return False
    before = [
        call
        for call in seen.calls[:place]
        if call.by_example and (call.module is None or isinstance(call.module, BENDS))
    ]
    if not (not before or before[-1].alike is None or before[-1].alike > ALIKE):
        return False
    layer = seen.calls[place].source
    made = [call for call in seen.calls[:place] if call.module is layer]
    if not made or not isinstance(layer, nn.Linear) or layer.bias is None:
        return True
    if made[-1].sample.shape[1] != len(layer.bias):
        return True
    signal = made[-1].sample - layer.bias.detach().float()  # small where the layer is given little
    return bool(signal.square().mean().sqrt() > SMALL_SIGNAL * layer.weight.norm(dim=1).mean())


def saturation_of(call):
    """The share of a squasher's outputs near an end of its range, from the sample; None for other calls.

    Of a sigmoid that something is multiplied with, a gate, twice the share at 0: at 1 it lets pass what it is given.
    """
    module, kind = call.module, call.kind
    if isinstance(module, nn.Hardtanh) and not isinstance(module, nn.ReLU6):
        low, high = module.min_val, module.max_val
    elif isinstance(module, nn.Tanh) or (module is None and kind == "tanh"):
        low, high = -1, 1
    elif isinstance(module, nn.Sigmoid | nn.Hardsigmoid) or (module is None and kind == "sigmoid"):
        low, high = 0, 1
    else:
        return None
    values = (2 * call.sample - low - high) / (high - low)
    if call.gates:
        return min(2 * (values < -SATURATED).float().mean().item(), 1)
    return (values.abs() > SATURATED).float().mean().item()


def saturated(seen):
    """Tanh and sigmoid layers at the ends of their range, the last one too, and attention that looks at one place."""
    off = {call.label: saturation_of(call) or 0 for call in seen.calls if not is_output(seen, call)}
    off = {
        label: one for label, one in off.items() if one > SATURATED_SHARE and not has_learned(seen)
    }
    words = "{:.0%} of the outputs of {} are at an end of the range, where the slope is near 0."
    yield from of_worst("saturated", off, words)
    sharp = {label: value.item() for label, value in seen.recorder.attention.items()}
    sharp = {label: value for label, value in sharp.items() if value > ONE_HOT and not off}
    words = "The largest weight of an attention is {:.2f} in the mean of {}: no slope is left."
    what = "attention that looks at one place only"
    remedy = "scores = q @ k.transpose(-2, -1) / math.sqrt(q.shape[-1])"
    yield from of_worst("saturated", sharp, words, what=what, remedy=remedy)
    if not off and not sharp:
        yield from flat_output(seen)


def flat_output(seen):
    """Outputs at the ends of a sigmoid or tanh, of the model or of the loss, whose slope the loss does not make up for.

    As cross-entropies do: so the slope that is left is compared with that of outputs in the middle.
    """
    known, main = seen.report.ignorance, seen.some
    if main is None or not known or known < 0 or seen.report.loss < known * (1 - 1e-3):
        return
    low, high = 0, 0
    if made_by(seen.main) in ("Sigmoid", "Tanh", "Hardsigmoid", "Hardtanh"):
        low, high = BOUNDED[made_by(seen.main)]
    else:
        ends = seen.costs(1e3 * main.sign(), 2e3 * main.sign())
        if not ends or not math.isclose(*ends, rel_tol=1e-3) or ends[0] <= 0:
            return
    left = []
    for value in (main, torch.full_like(main, (low + high) / 2)):
        gradient = seen.slope(value)
        if gradient is None:
            return
        share = (value - low) / ((high - low) or 1)
        bend = 4 * share * (1 - share) if high else 1
        left.append((gradient * bend).abs().mean().item())
    if left[0] < SLOPE_LEFT * left[1]:
        evidence = f"Behind the last layer the loss has {_numbers(left[0] / left[1])} of the slope that outputs in the "
        evidence += f"middle give, and it is {seen.report.loss:.3g}, no better than the best constant's {known:.3g}."
        remedy = "nn.BCEWithLogitsLoss() without the last sigmoid; or a smaller last layer"
        yield finding("saturated", "the output", evidence, remedy=remedy)


def is_output(seen, call):
    """Whether a call makes the model's output."""
    return seen.main is not None and call is seen.calls[-1] and call.count == seen.main.numel()


def chains(calls):
    """Lists of FEWEST_LAYERS calls or more of one kind, role and size, in the order of the pass."""
    found = defaultdict(list)
    for call in calls:
        kinds = (*LINEARS, *BENDS, nn.RNNCellBase)
        if (isinstance(call.module, kinds) or call.module is None) and not starts_at_zero(call):
            found[call.kind, role_of(call.path), call.shape].append(call)
    return [chain for chain in found.values() if len(chain) >= FEWEST_LAYERS]


def signal(seen):
    """Over layers of one kind: outputs that grow, a signal over the examples that fades, examples that become alike."""
    grows, fades, alike = [], [], []
    norms = [call for call in seen.calls if isinstance(call.module, NORMS)]
    for call in [one for one in norms if (one.module.eps or 0) > LARGE_EPS[0]]:
        weight = getattr(call.module, "weight", None)
        if call.std < LARGE_EPS[1] * (1 if weight is None else weight.detach().abs().mean().item()):
            evidence = f"Its eps of {call.module.eps:g} is above the variance of its inputs: a std of {call.std:.2g}."
            told = "a norm that shrinks the signal", "nn.LayerNorm(width)  # the second one is eps"
            yield finding("signal-fades", call.label, evidence, None, *told)
            return
    for chain in chains(seen.calls):
        if is_output(seen, chain[-1]) and len(chain) > FEWEST_LAYERS:
            chain = chain[:-1]
        first, last = chain[0], chain[-1]
        if first.norm > 0 and last.norm > GROWS * first.norm:
            grows.append((last.norm / first.norm, first, last, len(chain)))
        if not (first.by_example and first.between > 0) or seen.examples < FEWEST_EXAMPLES:
            continue
        if last.between < FADES * first.between:
            fades.append((last.between / first.between, first, last, len(chain)))
        elif last.norm and last.alike < min(ALIKE, ALIKE_FALLS * first.alike):
            alike.append((last.alike, first, last, len(chain)))
    if grows:
        factor, first, last, count = max(grows, key=lambda one: one[0])
        evidence = f"They grow {factor:.3g} times over {count} layers, from a std of {first.std:.2g} to {last.std:.2g}."
        remedy = "nn.init.kaiming_normal_(layer.weight); residual branches: times 1 / sqrt(depth), or a norm"
        yield finding("signal-grows", f"{first.label} to {last.label}", evidence, remedy=remedy)
    if fades:
        factor, first, last, count = min(fades, key=lambda one: one[0])
        evidence = f"The std over the examples goes from {first.between:.2g} to {last.between:.2g} over {count} layers."
        bends = {call.kind.lower() for call in seen.calls if call.kind.lower() in BEND_NAMES}
        remedy = KINDS["signal-fades"].remedy.replace("relu", "tanh") if bends == {"tanh"} else None
        yield finding("signal-fades", f"{first.label} to {last.label}", evidence, remedy=remedy)
    if alike:
        ratio, first, last, count = min(alike, key=lambda one: one[0])
        evidence = f"Over {count} layers the std of the directions goes from {first.alike:.2g} to {ratio:.2g}, "
        evidence += f"a cosine of {max(1 - ratio**2, 0):.3g} between examples."
        yield finding(
            "collapse",
            f"{first.label} to {last.label}",
            evidence,
            remedy="a norm in each block, x + block(x), or tanh with a gain of 1 in place of ReLU",
        )


def starts_at_zero(call):
    """Whether a call is that of a layer, or of a nonlinearity behind one, whose weight is all zero by design."""
    module = call.module if getattr(call.module, "weight", None) is not None else call.source
    weight = getattr(module, "weight", None)
    return isinstance(weight, torch.Tensor) and not weight.any()


def constant_calls(seen, calls):
    """(a layer's first call, the share of its outputs that are one value for all examples), rectifiers aside.

    Of a layer that is called several times, the share in the call where it is the smallest: a recurrence that starts
    from zeros gives its layer nothing to tell examples apart by at first, and something later.
    """
    if seen.examples is None or seen.examples < FEWEST_EXAMPLES:
        return
    smallest = {}
    for call in calls:
        wanted = isinstance(call.module, (*LINEARS, *BENDS, *NORMS))
        wanted = wanted and not isinstance(call.module, RECTIFIERS)
        if call.dtype.itemsize < 4 and isinstance(call.module, BENDS):
            continue  # these types round what differs by less than 0.004 to one value
        if not call.by_example or not wanted or starts_at_zero(call):
            continue
        spans = call.sample.amax(0) - call.sample.amin(0)
        room = 1e-6 * (1 + call.sample.abs().amax(0))
        if isinstance(call.module, NORMS) and getattr(call.module, "weight", None) is not None:
            room = 1e-3 * call.module.weight.detach().abs().mean()  # its outputs have a std near it
        share = (spans < room).float().mean().item()
        first, least = smallest.get(id(call.module), (call, share))
        smallest[id(call.module)] = first, min(least, share)
    yield from smallest.values()


def constant_units(seen):
    """Layers whose outputs do not depend on the example, though those before do."""
    off = {call.label: share for call, share in constant_calls(seen, seen.calls)}
    off = {label: share for label, share in off.items() if share > CONSTANT_SHARE}
    for label, share in list(off.items())[:1]:
        evidence = f"{share:.0%} of the outputs of {label} are one value for all examples."
        yield finding("constant-units", _listed(off), evidence)


# ---------------------------------------------------------------- Rules: gradients


def missing(seen):
    """Parameters that the loss does not depend on."""
    names = [name for name, one in seen.gradients.items() if one is None]
    by_module = defaultdict(list)
    for call in seen.calls:
        if call.asks and call.module is not None and any(True for _ in call.module.parameters()):
            by_module[call.path].append(call.gradient is not None)
    for path, some in by_module.items():
        if len(some) >= FEWEST_LAYERS and some[-1] and not any(some[:-1]):
            evidence = f"Of {len(some)} calls only the last gets a gradient: the state is detached in each step."
            told = "steps without a gradient", "state = state.detach()  # only between batches"
            yield finding("missing-gradient", path, evidence, None, *told)
            return
    if not names or seen.loss is None:
        return
    called = seen.recorder.called
    spared = {name for name in names if is_spare(seen, name, called)}
    if spared:
        seen.note(f"not chosen for this batch, as one of several alike: {_listed(sorted(spared))}")
    names = [name for name in names if name not in spared]
    if names and all(name.endswith("bias") and has_gradient(seen, name) for name in names):
        seen.note(f"biases without influence, unlike the weights beside them: {_listed(names)}")
        return
    if not names:
        return
    count = sum(seen.parameters[name].numel() for name in names)
    modules = dict(seen.model.named_modules())
    idle = [name for name in names if id(modules.get(name.rpartition(".")[0])) not in called]
    reach = {id(leaf) for leaf in seen.leaves}
    unused = [name for name in names if id(seen.parameters[name]) in reach]
    evidence = (
        f"{count:,} of the numbers to learn get no gradient, as the loss does not depend on them: "
    )
    remedy = None
    if len(idle) == len(names):
        evidence += f"forward does not call those of {_listed(idle)}."
    elif len(unused) == len(names):
        evidence += "an output of the model does, and the loss does not use it."
        remedy = (
            "loss = loss_a + loss_b  # each output needs its part; or freeze: requires_grad_(False)"
        )
    else:
        evidence += "their modules are called, and no output depends on what comes of them: it is detached, or dropped."
    yield finding("missing-gradient", _listed(names), evidence, remedy=remedy)


def has_gradient(seen, bias):
    """Whether the weight beside a bias gets a gradient."""
    return seen.gradients.get(f"{bias.removesuffix('bias')}weight") is not None


def is_spare(seen, name, called):
    """Whether a weight belongs to one of several alike in a list, such as experts, of which others were called.

    Or to a part of the last of them, of which nothing is used behind it, as it is in the others.
    """
    parts = name.split(".")
    mates = [one for one in seen.gradients if role_of(one) == role_of(name)]
    used = [one for one, gradient in seen.gradients.items() if gradient is not None]
    block = name[: re.search(r"\d+\.|$", name).end()]
    beside = any(one.startswith(block) for one in used)
    if beside and name == mates[-1] and set(mates) - set(used) == {name} != set(mates):
        return True
    for place, part in enumerate(parts[:-1]):
        parent = seen.model.get_submodule(".".join(parts[:place]))
        if not isinstance(parent, nn.ModuleList) or was_called(parent[int(part)], called):
            continue
        if any(was_called(sibling, called) for sibling in parent):
            return True
    return False


def was_called(module, called):
    """Whether a module, or one within it, was called."""
    return any(id(one) in called for one in module.modules())


def blocked(seen):
    """Gradients of exactly zero: by design, behind a weight of zero that gets one itself; or blocked."""
    zero = [name for name, (_, size) in seen.sizes.items() if size == 0]
    zero = [name for name in zero if not is_spare(seen, name, seen.recorder.called)]
    if not zero:
        return
    if seen.report.loss == 0:
        seen.note("the loss is exactly 0: there is nothing to learn from this batch")
        return
    left = virtual_steps(seen, zero)
    if left is None:
        seen.note(f"gradients of exactly zero, by design or not: {_listed(zero)}")
        return
    by_design = [name for name in zero if name not in left]
    if left and all(seen.parameters[name].ndim < 2 for name in left):
        seen.note(f"gradients of exactly zero, as nothing depends on them: {_listed(left)}")
        left = []
    norms = [path for path, one in seen.model.named_modules() if isinstance(one, NORMS)]
    gammas = {f"{path}.weight" for path in norms}
    nothing = [name for name in left if not seen.sizes[name][0]]
    nothing = [name for name in nothing if seen.parameters[name].ndim > 1 or name in gammas]
    if nothing:
        evidence = f"{nothing[0]} is all zero, and so is its gradient: all units are the same, and nothing can pass."
        remedy = "nn.init.ones_(norm.weight)" if nothing[0] in gammas else None
        what = "weights that are all zero"
        yield finding("units-alike", _listed(nothing), evidence, what=what, remedy=remedy)
    if left:
        count = sum(seen.parameters[name].numel() for name in left)
        evidence = f"{count:,} of the numbers to learn get a gradient of exactly zero, also after some steps of "
        evidence += "the others: what is behind them is dead, saturated or zero."
        yield finding("blocked-gradient", _listed(left), evidence)
    if by_design:
        evidence = "Their gradient is zero only because a weight behind them starts at zero; after a step it is not."
        yield finding("zero-by-design", _listed(by_design), evidence)


def virtual_steps(seen, zero):
    """Those of the names whose gradient stays zero while the other weights move, on a copy; None if that fails."""
    values = {name: p.detach() for name, p in seen.model.named_parameters()}
    gradients, left = dict(seen.gradients), set(zero)
    for _ in range(VIRTUAL_STEPS):
        for name, gradient in gradients.items():
            if gradient is None or name not in values or not gradient.any():
                continue
            size, step = values[name].norm(), gradient.norm()
            wanted = 0.05 * size if size else 0.02 * gradient.numel() ** 0.5
            values[name] = values[name] - (wanted / step) * gradient.to(values[name].dtype)
        loss, gradients = loss_and_gradients_with(seen, values)
        if loss is None or gradients is None:
            return None
        now = {name for name in left if gradients[name] is None or not gradients[name].any()}
        if not now or (now == left and not any(not values[name].any() for name in values)):
            return [name for name in zero if name in now]
        left = now
    return [name for name in zero if name in left]


def functional(model, parameters, inputs):
    """The output with other parameters in place of the model's."""
    if isinstance(inputs, dict):
        try:
            inspect.signature(model.forward).bind(**inputs)
            return torch.func.functional_call(model, parameters, (), inputs)
        except (TypeError, ValueError):
            pass
    given = inputs if isinstance(inputs, tuple) and not hasattr(inputs, "_fields") else (inputs,)
    return torch.func.functional_call(model, parameters, given)


def fresh(inputs):
    """Copies of the inputs, for one more pass."""
    return mapped(inputs, cloned)


def dense(gradient):
    """The gradient as an ordinary tensor."""
    return gradient.to_dense() if gradient.layout is not torch.strided else gradient


def alike(seen):
    """Units of one layer that are and stay the same, and layers that start with the same weights."""
    same, roles = [], defaultdict(list)
    for name, p in seen.parameters.items():
        weight, size = p.detach(), seen.sizes[name][0]
        if weight.ndim < 2 or weight.shape[0] < 3 or size == 0 or weight.is_sparse:
            continue
        roles[role_of(name), weight.shape].append(name)
        gradient, first = seen.gradients.get(name), weight[:1]
        if gradient is None or not weight[1:2].equal(first) or not (weight == first).all():
            continue
        if isinstance(seen.model.get_submodule(name.rpartition(".")[0]), nn.Embedding):
            continue
        if (gradient - gradient[:1]).norm() < 1e-3 * gradient.norm() and gradient.any():
            same.append(name)
    if same:
        evidence = f"All {len(seen.parameters[same[0]])} units of {same[0]} have the same weights and gradient: "
        evidence += "they will never differ, as if there were one."
        yield finding("units-alike", _listed(same), evidence)
    for names in roles.values():
        twins = [name for name in names[1:] if are_copies(seen, names[0], name)]
        if twins:
            twins = [names[0], *twins]
            evidence = f"{', '.join(twins[:3])} have a correlation of {likeness(seen, *twins[:2]):.2f}; layers drawn "
            evidence += "apart have 0: they are copies of one layer."
            remedy = "for p in model.encoder.parameters():\n    if p.ndim > 1: nn.init.xavier_uniform_(p)"
            yield finding("layers-start-alike", _listed(twins), evidence, remedy=remedy)
            return


def are_copies(seen, name, other):
    """Whether two weights are alike, and all others of their blocks, too: a table that each starts with is a design."""
    if likeness(seen, name, other) <= TWINS:
        return False
    pairs = zip(name.split("."), other.split("."), strict=False)
    place = next(k for k, (one, two) in enumerate(pairs) if one != two)
    here, there = (".".join(which.split(".")[: place + 1]) for which in (name, other))
    some = [one.removeprefix(here) for one in seen.parameters if one.startswith(f"{here}.")]
    return all(are_drawn_alike(seen, here + one, there + one) for one in some)


def are_drawn_alike(seen, name, other):
    """Whether two weights are alike, or too small, too plain or too different in kind to tell."""
    one, two = seen.parameters.get(name), seen.parameters.get(other)
    if two is None or one.shape != two.shape or one.ndim < 2 or one.numel() < 64 or one.std() == 0:
        return True
    return likeness(seen, name, other) > TWINS


def likeness(seen, name, other):
    """The correlation of two weights' numbers, from a sample; 0 where there are few, or where they do not differ."""
    one, other = (seen.parameters[which].detach().flatten() for which in (name, other))
    if one.numel() < 64:
        return 0
    step = -(-one.numel() // 4096)
    pair = torch.stack([one[::step], other[::step]]).float()
    pair = pair - pair.mean(1, keepdim=True)
    sizes = pair.norm(dim=1)
    return (pair[0] @ pair[1] / sizes.prod()).item() if sizes.min() > 1e-6 else 0


def over_the_depth(seen):
    """Gradients of weights of one shape and role, from the first layer to the last."""
    roles = defaultdict(list)
    for name, (weight, size) in seen.sizes.items():
        if seen.parameters[name].ndim > 1 and size and weight and math.isfinite(size):
            roles[role_of(name), seen.parameters[name].shape].append((name, size))
    chains = [some for some in roles.values() if len(some) >= FEWEST_LAYERS]
    factors = [math.log(some[0][1] / some[-1][1]) for some in chains]
    for id, turn in (("gradients-vanish", -1), ("gradients-explode", 1)):
        most = max((turn * one for one in factors), default=0)
        if most > math.log(GRADIENT_FACTOR):
            some = chains[[turn * one for one in factors].index(most)]
            (first, start), (last, end) = some[0], some[-1]
            evidence = f"Its norm is {end:.1e} at {last} and {start:.1e} at {first}, {len(some)} layers before."
            yield finding(id, f"{last} to {first}", evidence)


# ---------------------------------------------------------------- Rules: steps


def steps(seen):
    """Updates too small or too large for the weights that they change."""
    trial = Trial(seen)
    moved = trial.step(seen.gradients)
    updates = seen.report.updates = against_weights(seen, moved)
    seen.climb = climb_of(seen, moved) if moved else -1
    if seen.climb > 0 and any(one.state for one in seen.optimizers) and not maximizes(seen):
        seen.climb = climb_of(seen, Trial(seen, keeps=False).step(seen.gradients))  # momentum aside
    live = [ratio for name, ratio in updates.items() if seen.sizes[name][1]]
    groups = [group for one in seen.optimizers for group in one.param_groups]
    decay = max((group["lr"] * group.get("weight_decay", 0) for group in groups), default=0)
    if decay > LARGE_DECAY:
        seen.rate_is_cause = True
        evidence = f"The weight decay takes {_numbers(decay)} of each weight in a step."
        remedy = 'for group in optimizer.param_groups: group["weight_decay"] = 0.01'
        what = "a weight decay too large"
        yield finding("update-too-large", where_of(seen), evidence, what=what, remedy=remedy)
        return
    if not live:
        return
    if is_large(updates, live) or adaptive_scale(seen) > REPLACED:
        yield from too_large(seen, trial, updates, live)
        return
    slow = [group["lr"] for group in groups if "rho" in group and group["lr"] < ADADELTA]
    if slow and all("rho" in group for group in groups) and not is_warming(groups):
        evidence = f"{told_step(seen, live)}. Adadelta scales its steps by itself: its rate is a factor of them, 1 in "
        evidence += f"its paper and in torch; here it is {slow[0]:g}."
        remedy = "torch.optim.Adadelta(model.parameters(), lr=1.0)"
        yield finding("update-too-small", where_of(seen), evidence, remedy=remedy)
        return
    without = live
    if decay and _median(live) < SMALL_UPDATE + decay:  # it may be the decay alone that moves them
        moved = against_weights(seen, Trial(seen, decays=False).step(seen.gradients))
        without = [ratio for name, ratio in moved.items() if seen.sizes[name][1]]
    if without and _median(without) < SMALL_UPDATE:
        warming = is_warming(groups)
        severity = "warning" if seen.optimizers and not warming else "remark"
        evidence = f"{told_step(seen, without)}; {USUAL_RATIO:g} is usual."
        evidence += " The weight decay is left out." if without is not live else ""
        evidence += " The rate is below its schedule's first one: a warm-up." if warming else ""
        yield finding("update-too-small", where_of(seen), evidence, severity=severity)


def is_warming(groups):
    """Whether a rate is below that with which its schedule begins."""
    return any(group["lr"] < group.get("initial_lr", 0) for group in groups)


def climb_of(seen, moved):
    """How much the loss rises with the parameters' changes, to first order."""
    pairs = [(change, seen.gradients.get(name)) for name, change in moved.items()]
    return sum((change * one.conj()).sum().real.item() for change, one in pairs if one is not None)


def where_of(seen):
    """The rate, with its optimizer."""
    if not seen.optimizers:
        return f"lr {seen.lr:g}"
    return ", ".join(f"{type(x).__name__}, lr {x.param_groups[0]['lr']:g}" for x in seen.optimizers)


def told_step(seen, live):
    """How much a step changes the weight in the middle, as the beginning of a sentence."""
    told = f"step changes the weight in the middle by {_median(live):.2g} of itself"
    plain = "For plain gradient descent (for another give optimizer=): a"
    return f"{'A' if seen.optimizers else plain} {told}"


def is_large(updates, live):
    """Whether the weight in the middle, or the one that moves most, moves by more than the limits."""
    return _median(live) > LARGE_UPDATE or max(updates.values()) > LARGEST_UPDATE


def adaptive_scale(seen):
    """The rate of Adam and its kin, which is what its steps are where gradients agree, against He's std; else 0."""
    found = [0]
    names = {id(p): name for name, p in seen.parameters.items()}
    for optimizer in seen.optimizers:
        for group in optimizer.param_groups:
            if "betas" in group:
                weights = [p for p in group["params"] if id(p) in names and p.ndim > 1]
                found += [group["lr"] * math.sqrt(p[0].numel() / 2) for p in weights]
    return _median(found)


def too_large(seen, trial, updates, live):
    """The finding that updates are too large, unless some steps on a copy do no harm."""
    scale, losses = adaptive_scale(seen), trial.losses()
    replaced = (bool(seen.optimizers) and _median(live) > REPLACED) or scale > REPLACED
    if not replaced and losses and losses[-1] <= WORSE * abs(seen.report.loss):
        return
    seen.rate_is_cause = any("betas" in x.param_groups[0] for x in seen.optimizers)
    fastest = max(updates, key=updates.get)
    evidence = (
        f"{told_step(seen, live)}, {fastest} by {updates[fastest]:.2g}; {USUAL_RATIO:g} is usual."
    )
    if scale > REPLACED:
        evidence += f" The rate is {scale:.2g} times the std that such weights should have."
    if losses:
        evidence += f" On a copy the loss goes from {seen.report.loss:.3g} to "
        evidence += f"{', '.join(f'{one:.3g}' for one in losses)}."
    yield finding("update-too-large", where_of(seen), evidence)


def against_weights(seen, moved):
    """{name: norm of its update against its own}, for weights of two dimensions or more that are not zero."""
    return {
        name: norm_of(moved[name]).item() / weight
        for name, (weight, size) in seen.sizes.items()
        if seen.parameters[name].ndim > 1 and weight and size is not None and name in moved
    }


NO_CLOSURE = "updates were not judged: {} makes many steps in one, and asks for the loss at each"


def needs_closure(optimizer):
    """Whether an optimizer's step cannot be made without a function that gives the loss, as that of LBFGS."""
    try:
        inspect.signature(optimizer.step).bind()
    except TypeError:
        return True
    except ValueError:
        pass
    return False


class Trial:
    """Steps of the optimizers on a copy of the parameters; or of gradient descent at the rate alone.

    decays: whether their weight decay is a part of the steps. keeps: whether their momentum is.
    """

    def __init__(self, seen, decays=True, keeps=True):
        self.seen, self.twins = seen, []  # [(a copy of an optimizer, [(name, its parameter)])]
        self.values = {name: p.detach() for name, p in seen.model.named_parameters()}
        names = {id(p): name for name, p in seen.parameters.items()}
        for optimizer in seen.optimizers:
            if needs_closure(optimizer):
                seen.note(NO_CLOSURE.format(type(optimizer).__name__))
                continue
            try:
                twin, pairs = copy.deepcopy(optimizer), []
                if not keeps:
                    twin.state.clear()
                for group, other in zip(optimizer.param_groups, twin.param_groups, strict=True):
                    if not decays and "weight_decay" in other:
                        other["weight_decay"] = 0
                    for p, q in zip(group["params"], other["params"], strict=True):
                        pairs.append((names.get(id(p)), q))
                self.twins.append((twin, pairs))
            except Exception as error:
                seen.note(
                    f"{type(optimizer).__name__} could not be copied ({type(error).__name__}): no step was tried"
                )

    def step(self, gradients):
        """Make a step with these gradients. Returns {name: the change of the parameter}."""
        before, seen = dict(self.values), self.seen
        if not seen.optimizers:
            for name, gradient in gradients.items():
                if seen.lr and gradient is not None:
                    change = seen.lr * gradient.to(self.values[name].dtype)
                    self.values[name] = self.values[name] - change
        for twin, pairs in list(self.twins):
            for name, q in pairs:
                gradient = gradients.get(name)
                q.grad = None if gradient is None else gradient.clone()
            try:
                twin.step()
            except Exception as error:
                seen.note(
                    f"the step of {type(twin).__name__} could not be tried ({type(error).__name__})"
                )
                self.twins.remove((twin, pairs))
                continue
            self.values.update({name: q.detach().clone() for name, q in pairs if name is not None})
        return {
            name: value - before[name]
            for name, value in self.values.items()
            if value is not before[name]
        }

    def losses(self):
        """The losses after one and more steps, as far as they can be had; inf where one is not finite."""
        found = []
        for _ in range(VIRTUAL_STEPS):
            loss, gradients = loss_and_gradients_with(self.seen, self.values)
            if loss is None:
                break
            found.append(loss)
            if loss == math.inf or gradients is None:
                break
            self.step(gradients)
        return found


def loss_and_gradients_with(seen, parameters):
    """(the loss with other parameters and the first pass's random numbers, its gradients); None where it fails."""
    tried = {
        name: value.detach().clone().requires_grad_(name in seen.parameters)
        for name, value in parameters.items()
    }
    asked = {name: tried[name] for name in seen.parameters}
    try:
        set_random_state(seen.random)
        output = functional(seen.model, tried, fresh(seen.inputs))
        with nullcontext() if seen.main is None or seen.main.is_cpu else Guarded():
            loss = seen.loss_of(output, mapped(seen.targets, torch.Tensor.clone)).squeeze()
        if not loss.isfinite():
            return math.inf, None
        found = torch.autograd.grad(loss, list(asked.values()), allow_unused=True)
    except Exception:
        return None, None
    return loss.item(), {
        name: None if one is None else dense(one) for name, one in zip(asked, found, strict=True)
    }


# ---------------------------------------------------------------- The examination

# Each takes a Seen and yields findings. Those of the first list look at the loss and need no gradient.
FIRST_RULES = (
    shapes,
    expectations,
    bounded_outputs,
    two_values,
    counted,
    not_finite_by_hand,
    below_bound,
    mixing,
    visible,
    first_loss,
    modes,
    dropout,
    statistics,
    shared_norms,
    inputs_scale,
)
RULES = (
    registration,
    held,
    missing,
    blocked,
    alike,
    dead_units,
    saturated,
    signal,
    constant_units,
    over_the_depth,
    useless_biases,
    steps,
    direction,
)


def as_module(model):
    """The nn.Module itself, of a compiled one what was compiled; or a copy of a network of the lessons as one."""
    if isinstance(model, nn.Module):
        return getattr(model, "_orig_mod", model)
    kinds = [type(model).__module__]
    if isinstance(model, list | tuple) and model:
        kinds = [type(one).__module__ for one in model]
    lessons = sys.modules.get("lessonkit.layers")  # only there if the model is made of it
    if lessons is not None and all(kind == "lessonkit.layers" for kind in kinds):
        if not isinstance(model, list | tuple):
            return lessons.to_torch(model)
        network = SimpleNamespace(C=torch.zeros(1, 1), layers=model, training=model[0].training)
        return nn.Sequential(*lessons.to_torch(network)[2:])  # without embedding and Flatten
    wanted = "an nn.Module, or a network of the lessons or a list of its layers"
    raise TypeError(f"diagnose needs {wanted}, and got {type(model).__name__}.")


def checked_rate(lr):
    """The rate as a number, or None. Raises TypeError if it is no number, ValueError if it is not positive."""
    if isinstance(lr, torch.Tensor) and lr.numel() == 1:
        lr = lr.item()
    if lr is None:
        return None
    if isinstance(lr, bool) or not isinstance(lr, Real):
        raise TypeError(f"lr is {lr!r}; it must be a positive number, or None.")
    if not 0 < lr < math.inf:
        raise ValueError(f"lr is {lr}; it must be a positive number, or None.")
    return lr


def checked_ids(ignore):
    """The ids as a set. Raises TypeError if they are no list of strings, ValueError if one is unknown."""
    wanted = 'ids in a list, such as ["useless-bias"]'
    if isinstance(ignore, str) or not isinstance(ignore, Iterable):
        raise TypeError(f"ignore is {ignore!r}; it must be {wanted}.")
    ignore = list(ignore)
    if not all(isinstance(one, str) for one in ignore):
        raise TypeError(f"ignore holds what is no string: {ignore!r}; it must be {wanted}.")
    if unknown := set(ignore) - set(KINDS):
        raise ValueError(f"no finding has the id {sorted(unknown)}; there are {sorted(KINDS)}.")
    return set(ignore)


def checked_optimizer(optimizer):
    """The optimizer. Raises TypeError if it is none."""
    wanted = "it must be an optimizer, such as torch.optim.AdamW(model.parameters())"
    if isinstance(optimizer, type):
        raise TypeError(f"optimizer is the class {optimizer.__name__}; {wanted}.")
    if not hasattr(optimizer, "param_groups") or not hasattr(optimizer, "step"):
        held = getattr(optimizer, "optimizer", None)
        hint = ": give the one within it" if hasattr(held, "param_groups") else ""
        told = repr(optimizer) if isinstance(optimizer, str) else f"a {type(optimizer).__name__}"
        raise TypeError(f"optimizer is {told}; {wanted}{hint}.")
    return optimizer


def read_baseline(path):
    """{(id, where)} of a file of `Report.save_baseline`. Raises ValueError if it is none, and OSError."""
    try:
        known = json.loads(Path(path).read_text(encoding="utf-8"))
        if not isinstance(known, list):
            raise TypeError
        return {(one["id"], one["where"]) for one in known}
    except (ValueError, TypeError, KeyError) as error:
        wanted = "a list of findings, as Report.save_baseline writes it"
        raise ValueError(f"baseline is {path!r}; it must be the path of {wanted}.") from error


def diagnose(
    model, inputs, targets=None, loss_fn=None, lr=None, optimizer=None, *, ignore=(), baseline=None
):
    """Examine a network by one pass forward and backward over a batch. Returns a Report.

    model: any nn.Module, or a network of the lessons. inputs: what it takes; a tuple for several arguments, a dict for
    keywords. targets: anything that loss_fn takes. loss_fn: a function of (output, targets), or of the output alone if
    targets is None, that returns one number as a tensor; of an output that is no tensor it may take the whole, or the
    main tensor (`.logits`, or the first). None: the output has a `.loss` or "loss", or is one. lr: the rate of plain
    gradient descent. optimizer: one, or a list: its step is measured on a copy. ignore: ids of findings to leave out.
    baseline: a file of `Report.save_baseline`, whose findings are left out.

    The model stays as it was, and is examined in the mode that it is in, under the caller's autocast and grad mode.
    What goes wrong in the model or in the loss becomes a finding. Raises TypeError if `model`, lr, `optimizer` or
    `ignore` is of another kind, ValueError if lr is not positive, an id is unknown or the baseline holds no findings,
    and OSError if it cannot be read.
    """
    given_model, model = model, as_module(model)
    lr, ignore = checked_rate(lr), checked_ids(ignore)
    known = set() if baseline is None else read_baseline(baseline)
    optimizers = list(optimizer) if isinstance(optimizer, list | tuple) else [optimizer]
    optimizers = [checked_optimizer(one) for one in optimizers if one is not None]
    report = Report()
    learns = {name: p for name, p in model.named_parameters() if p.requires_grad}
    seen = Seen(model, inputs, targets, lr, optimizers, None, report, learns)
    seen.loss_fn = loss_fn
    if given_model is not model and isinstance(given_model, nn.Module):
        seen.note("compiled: what was compiled was examined, not the compiled code")
    try:
        examine(seen)
    except Exception as error:  # a kind of network that nobody has thought of
        report.findings.append(raised("not-examined", "checkup.py", error))
    report.findings = explained(report.findings, seen.rate_is_cause)
    quiet(report, ignore, known)
    return report


def quiet(report, ignore, known):
    """Take out what is ignored or in the baseline, and note how much."""
    left = [one for one in report.findings if one.id not in ignore]
    new = [one for one in left if (one.id, one.where) not in known]
    for count, why in (
        (len(report.findings) - len(left), "ignored"),
        (len(left) - len(new), "in the baseline"),
    ):
        if count:
            report.notes.append(f"findings {why}: {count}")
    report.findings = new


def explained(findings, rate_is_cause=False):
    """Sorted by cause and consequence; what follows from an earlier one is told within it.

    rate_is_cause: whether updates are too large whatever the gradients are, as with Adam or by weight decay.
    """

    def place(one):
        early = rate_is_cause and one.id == "update-too-large"
        return one.severity == "remark", ORDER["units-alike"] - 0.5 if early else ORDER[one.id]

    left, told = sorted(findings, key=place), []
    while left:
        cause, left = left[0], left[1:]
        known = FOLLOWS.get(cause.id, ()) if cause.severity != "remark" else ()
        follows = [one for one in left if one.id in known and one.severity != "remark"]
        if follows:
            words = "; ".join(f"{one.what} ({one.where})" for one in follows)
            cause = replace(cause, evidence=f"{cause.evidence} It explains: {words}.")
            left = [one for one in left if one not in follows]
        told.append(cause)
    return told


def examine(seen):
    """Run the model watched, and apply the rules; the findings and notes go into the report."""
    model, report = seen.model, seen.report
    if any(isinstance(p, nn.parameter.UninitializedParameter) for p in model.parameters()):
        evidence = "A lazy layer draws its weights in its first call."
        report.findings.append(finding("not-initialized", "the model", evidence))
        return
    if frozen := sum(not p.requires_grad for p in model.parameters()):
        seen.note(f"frozen parameters, which get no gradient on purpose: {frozen}")
    if isinstance(model, torch.jit.ScriptModule):
        seen.note("scripted: the inside was seen only as far as hooks reach")
    roots = [model, *([seen.loss_fn] if isinstance(seen.loss_fn, nn.Module) else [])]
    with ExitStack() as stack:
        stack.enter_context(unchanged(*roots))
        stack.enter_context(warnings.catch_warnings())
        warnings.simplefilter("ignore")  # that a loss broadcasts becomes a finding
        if "torch._dynamo" in sys.modules:  # what was compiled in place runs as it was written
            stack.enter_context(torch.compiler.set_stance("force_eager"))
        watched_pass(seen)
        if seen.output is None:
            return
        rules = [*FIRST_RULES, *(RULES if seen.gradients else (held,))]
        if broken := not_finite(seen):
            late = broken.where == "loss_fn" or broken.what.startswith("a gradient")
            causes = list(expectations(seen)) if late else []
            report.findings += causes or [broken]
            rules = [shapes, inputs_scale, registration, held]
        for rule in rules:
            apply(rule, seen)
    fill(seen)


def apply(rule, seen):
    """Add a rule's findings. A rule that fails is a note: the checkup must not break."""
    try:
        seen.report.findings += list(rule(seen))
    except Exception as error:
        seen.note(f"{rule.__name__} could not be looked at: {type(error).__name__}: {error}")


def watched_pass(seen):
    """Forward, loss and backward, with hooks; errors become findings."""
    report, model = seen.report, seen.model
    inputs = fresh(seen.inputs)
    given = list(tensors_in(inputs))
    first = next((one for one in given if one.ndim), None)
    seen.examples = len(first) if first is not None else None
    numbers = [one for one in given if one.is_floating_point()]
    recorder = seen.recorder = Recorder(seen.examples, numbers)
    recorder.watch(model)
    seen.random = random_state()
    seen.loss_of = loss_by(seen.loss_fn)
    try:
        try:
            with Functions(recorder):
                seen.output = calling(model, inputs)
        except Exception as error:  # whatever a model raises is told, with the place
            where = recorder.at_work[-1].place.label if recorder.at_work else "the model"
            report.findings.append(raised("forward-raises", where, error))
            return
        recorder.active = False
        seen.main = main_tensor(seen.output)
        loss_and_gradients(seen)
    finally:
        recorder.stop()
    recorder.settle()
    for trouble in recorder.trouble[:1]:
        more = f", and {len(recorder.trouble) - 1} more" if len(recorder.trouble) > 1 else ""
        seen.note(f"{trouble}{more}")
    if seen.examples is not None and seen.examples < FEWEST_EXAMPLES:
        few = "whether units are dead or constant, and whether examples come out alike, was not tested"
        seen.note(f"{few}: {seen.examples} examples are too few, give {FEWEST_ROWS} or more")
    if any(isinstance(module, nn.MultiheadAttention) for module in model.modules()):
        seen.note("the weights within nn.MultiheadAttention were not seen, only what comes of them")
    if any(isinstance(call.module, nn.RNNBase) for call in recorder.calls):
        seen.note("what happens inside of recurrent layers was not seen, only what comes of it")
    measure_sizes(seen)


def loss_and_gradients(seen):
    """The loss, what it compares, the graph behind it, and the gradients; no `.grad` is touched."""
    report, watch = seen.report, LossFunctions()
    targets = mapped(seen.targets, cloned)
    try:
        with watch:
            loss = seen.loss_of(seen.output, targets)
    except Exception as error:
        seen.terms, seen.turned = watch.seen, watch.turned
        report.findings.append(loss_raised(seen, error))
        return
    seen.terms, seen.turned = watch.seen, watch.turned
    if not isinstance(loss, torch.Tensor) or loss.numel() != 1:
        said = f"of shape {tuple(loss.shape)}" if isinstance(loss, torch.Tensor) else repr(loss)
        evidence = f"It returned {said}, and gradients need one number."
        report.findings.append(finding("loss-not-scalar", "loss_fn", evidence))
        return
    seen.loss = loss.detach().squeeze()
    report.loss = loss.item()
    seen.report.findings += unlearnable(seen, loss)
    if not loss.requires_grad or not seen.parameters:
        return
    roots = [one for one in tensors_in(seen.output) if one.requires_grad]
    seen.leaves, seen.nodes, factors = graph_of(*roots)
    for call in seen.calls:
        call.gates, call.node = call.node in factors, None
    try:
        found = gradients_of(seen, loss.squeeze())
    except Exception as error:
        report.findings.append(raised("backward-raises", "the model", error))
        return
    seen.gradients = {
        name: None if one is None else dense(one.detach())
        for name, one in zip(seen.parameters, found, strict=True)
    }


def unlearnable(seen, loss):
    """Why a loss has no gradients at all."""
    told = ("missing-gradient", "the model"), ("error", "nothing can be learned")
    if not torch.is_grad_enabled():
        evidence = "torch.is_grad_enabled() is False here: a backward pass raises, and gradients were not seen."
        yield finding("gradients-off", "the process", evidence)
    elif not seen.parameters:
        evidence = "The model has no parameters that ask for gradients."
        remedy = "for p in model.parameters(): p.requires_grad_(True)"
        yield finding(*told[0], evidence, *told[1], remedy)
    elif not loss.requires_grad:
        evidence = "The loss depends on no parameter: is something detached, or under no_grad?"
        remedy = "remove .detach(), .item(), torch.no_grad() and argmax on the way to the loss"
        yield finding(*told[0], evidence, *told[1], remedy)


def gradients_of(seen, loss):
    """The gradients of the parameters, in order; None where the loss does not depend on one."""
    parameters = list(seen.parameters.values())
    if not any("Checkpoint" in kind for kind in seen.nodes):
        return torch.autograd.grad(loss, parameters, allow_unused=True)
    kept = [
        (leaf, leaf.grad) for leaf in {id(one): one for one in [*parameters, *seen.leaves]}.values()
    ]
    try:  # torch's older checkpointing takes nothing but backward()
        for leaf, _ in kept:
            leaf.grad = None
        loss.backward()
        return [p.grad for p in parameters]
    finally:
        for leaf, gradient in kept:
            leaf.grad = gradient


def measure_sizes(seen):
    """The norms of all weights and of their gradients, all at once."""
    names = list(seen.parameters)
    weights = [norm_of(seen.parameters[name]) for name in names]
    present = [name for name in names if seen.gradients.get(name) is not None]
    backs = [norm_of(seen.gradients[name]) for name in present]
    numbers = (
        torch.stack([one.float().cpu() for one in (*weights, *backs)]).tolist() if names else []
    )
    backs = dict(zip(present, numbers[len(names) :], strict=True))
    seen.sizes = {name: (size, backs.get(name)) for name, size in zip(names, numbers, strict=False)}


def fill(seen):
    """The rows of the four pictures. What holds a single number has no spread, and is left out."""
    report = seen.report
    for call in seen.calls:
        if call.count < 2:
            continue
        flat = call.sample.flatten().cpu()
        report.outputs.append(
            Row(call.label, call.mean, call.std, call.alike, saturation_of(call), sample=flat)
        )
        if call.gradient_norm is not None and math.isfinite(call.gradient_norm):
            std = std_of(call.gradient_norm, call.gradient_mean, call.count)
            report.gradients.append(
                Row(call.label, call.gradient_mean, std, sample=call.gradient_sample.float().cpu())
            )
    for name, (weight, size) in seen.sizes.items():
        gradient = seen.gradients.get(name)
        if gradient is None or gradient.ndim < 2 or gradient.numel() < 2:
            continue
        if not math.isfinite(size):
            report.notes.append(f"the gradient of {name} is not finite")
            continue
        sample = gradient.flatten()[:: -(-gradient.numel() // 4096)].float().cpu()
        mean = gradient.float().mean().item()
        std = std_of(size, mean, gradient.numel())
        report.weights.append(
            Row(name, mean, std, ratio=size / weight if weight else None, sample=sample)
        )


# ---------------------------------------------------------------- During training


class Watcher:
    """What `watch` has seen. steps: at which steps it looked. ratios: {weight: [its update against it, at each]}.

    dead: {rectifier: [which units were 0 for all, at each]}. losses: those given to `note_loss`.
    """

    def __init__(self, model, optimizer, every):
        self.model, self.optimizer, self.every = model, optimizer, every
        self.step, self.steps, self.ratios = 0, [], defaultdict(list)
        self.dead, self.losses, self.broken, self.handles = defaultdict(list), [], None, []
        self.before, self.looking, self.channels = {}, [], False
        self.names = {name: p for name, p in model.named_parameters() if p.requires_grad}

    def note_loss(self, loss):
        """Keep a loss, a number or a tensor of one number, for the finding that it stands still."""
        self.losses.append(loss.detach() if isinstance(loss, torch.Tensor) else float(loss))

    def start(self):
        """Put hooks on the optimizer, and on the modules for the first step."""
        self.handles = [
            self.optimizer.register_step_pre_hook(lambda *_: self.before_step()),
            self.optimizer.register_step_post_hook(lambda *_: self.after_step()),
        ]
        self.look()

    def stop(self):
        """Take all hooks off."""
        for handle in (*self.handles, *self.looking):
            handle.remove()
        self.handles, self.looking = [], []

    def look(self):
        """Put hooks on rectifiers until the next step is made."""
        for path, module in self.model.named_modules():
            if isinstance(module, LINEARS):
                self.looking.append(module.register_forward_hook(self.linear))
            elif isinstance(module, RECTIFIERS):
                hook = self.rectifier(path or type(module).__name__)
                self.looking.append(module.register_forward_hook(hook))

    def linear(self, module, inputs, output):
        """Remember in which dimension units are."""
        self.channels = isinstance(module, CONVOLUTIONS)

    def rectifier(self, path):
        """A hook that notes which units are 0 for all; several passes before a step count as one."""

        def note(module, inputs, output):
            out = output.detach()
            if out.ndim < 2 or not out.numel():
                return
            out = out.movedim(1, -1) if self.channels and out.ndim > 2 else out
            dead, seen = out.flatten(0, -2).amax(0) <= 0, self.dead[path]
            if len(seen) > len(self.steps):
                seen[-1] = seen[-1] & dead
            else:
                seen.append(dead)

        return note

    def before_step(self):
        """Keep the weights, if this step is one to look at."""
        if self.step % self.every == 0 and self.broken is None:
            self.before = {name: p.detach().clone() for name, p in self.names.items() if p.ndim > 1}

    def after_step(self):
        """Measure what the step has changed, and look again before the next one that counts."""
        for handle in self.looking:
            handle.remove()
        self.looking = []
        if self.before:
            self.steps.append(self.step)
            pairs = [
                (norm_of(self.names[name].detach() - old), norm_of(old))
                for name, old in self.before.items()
            ]
            numbers = torch.stack([torch.stack(pair).float() for pair in pairs]).tolist()
            for name, (moved, size) in zip(self.before, numbers, strict=True):
                self.ratios[name].append(moved / size if size else math.nan)
                if not math.isfinite(moved) and self.broken is None:
                    self.broken = name, self.step
            self.before = {}
        self.step += 1
        if self.step % self.every == 0 and self.broken is None:
            self.look()

    def report(self):
        """A Report with the findings of what was seen: its updates are the medians over the steps."""
        report = Report()
        losses = [float(one) for one in self.losses]
        report.loss = losses[-1] if losses else math.nan
        live = {name: [r for r in some if math.isfinite(r)] for name, some in self.ratios.items()}
        report.updates = {name: _median(some) for name, some in live.items() if some}
        for rule in (self.not_finite, self.updates, self.floor):
            report.findings += rule(losses)
        report.findings += self.dead_units()
        if needs_closure(self.optimizer):
            report.notes.append(NO_CLOSURE.format(type(self.optimizer).__name__))
        report.findings = explained(report.findings, rate_is_cause=True)
        report.notes.append(f"looked at {len(self.steps)} of {self.step} steps")
        if not losses:
            report.notes.append(
                "no losses were given: watcher.note_loss(loss) in the loop keeps them"
            )
        return report

    def not_finite(self, losses):
        """A weight, or else a loss, that became nan or inf."""
        if self.broken is not None:
            name, step = self.broken
            evidence = f"After step {step} it holds nan or inf."
            remedy = "nn.utils.clip_grad_norm_(model.parameters(), 1.0)  # or a smaller rate"
            what = "a parameter is not finite"
            yield finding("not-finite", name, evidence, what=what, remedy=remedy)
        elif bad := [place for place, loss in enumerate(losses) if not math.isfinite(loss)]:
            evidence = f"{len(bad)} of {len(losses)} losses are nan or inf; the first is number {bad[0]}, from 0 on."
            yield finding("not-finite", "the loss", evidence, what="the loss is not finite")

    def updates(self, losses):
        """Losses that end far above their start; and updates whose median over the second half of the steps, and over
        the weights, is beyond the limits: those of an optimizer that makes one step at a time.
        """
        where = f"{type(self.optimizer).__name__}, lr {self.optimizer.param_groups[0]['lr']:g}"
        if rise := far_above(losses):
            evidence = "The loss ends far above its start: "
            evidence += f"{rise[0]:.3g} at first, {rise[1]:.3g} or more in the last third."
            yield finding("update-too-large", where, evidence)
            return
        if needs_closure(self.optimizer):
            return
        moments = zip(*self.ratios.values(), strict=True)
        most = [_median([one for one in some if math.isfinite(one)]) for some in moments]
        if (most := max((one for one in most if one > 0), default=0)) > REPLACED:
            evidence = f"A step has changed the middle weight by {most:.2g} of itself; {USUAL_RATIO:g} is usual."
            yield finding("update-too-large", where, evidence)
            return
        late = [_median(some[len(some) // 2 :]) for some in self.ratios.values()]
        middle = _median([one for one in late if math.isfinite(one)])
        if not late or LATE_UPDATES[0] <= middle <= LATE_UPDATES[1] or math.isnan(middle):
            return
        id = "update-too-large" if middle > LATE_UPDATES[1] else "update-too-small"
        evidence = f"From step {self.steps[len(self.steps) // 2]} on a step changes the middle weight by {middle:.2g} "
        yield finding(id, where, f"{evidence}of itself; {USUAL_RATIO:g} is usual.")

    def dead_units(self):
        """Units that were 0 for all examples each time that they were looked at, in the second half."""
        off = {}
        for path, some in self.dead.items():
            late = [one for one in some[len(some) // 2 :] if one.shape == some[-1].shape]
            if len(some) > 1:
                off[path] = torch.stack(late).all(0).float().mean().item()
        off = {path: share for path, share in off.items() if share >= DEAD_SHARE}
        if off:
            words = "{:.0%} of the units in {} were 0 for all examples, each time since step "
            yield from of_worst("dead-units", off, f"{words}{self.steps[len(self.steps) // 2]}.")

    def floor(self, losses):
        """A loss that stands: over the last two thirds it has not fallen by more than it scatters."""
        third = len(losses) // 3
        if third < FEWEST_LOSSES or not all(map(math.isfinite, losses)):
            return
        middle, last = (torch.tensor(part) for part in (losses[third : 2 * third], losses[-third:]))
        first = torch.tensor(losses[:third])
        room = 2 * (middle.std() + last.std()) / math.sqrt(third) + 1e-3 * last.mean().abs()
        if (
            abs(middle.mean() - last.mean()) < room
            and (first.mean() - last.mean()) < 0.1 * first.mean().abs()
        ):
            evidence = f"Its mean is {middle.mean():.4g} in the second third of the steps, {last.mean():.4g} in the "
            yield finding(
                "loss-stands", "the loss", f"{evidence}last; at the start it was {losses[0]:.4g}."
            )


def far_above(losses):
    """(the first loss, a low one of the last third) if that is FAR_ABOVE times the first; else None.

    A low one, so that losses of single examples, which scatter widely, are not taken for a rise.
    """
    if len(losses) < FEWEST_LOSSES or not all(map(math.isfinite, losses)):
        return None
    late = sorted(losses[-(len(losses) // 3) :])
    first, last = losses[0], late[len(late) // 10]
    return (first, last) if last > FAR_ABOVE * first > 0 else None


@contextmanager
def watch(model, optimizer, every=100):
    """Watch a training at every so many steps. Yields a Watcher, whose `report()` can be asked within and afterwards.

    Between the steps that it looks at it costs nothing but two calls a step, and at them a copy of the weights. In the
    loop, `watcher.note_loss(loss)` is optional. Raises TypeError if `optimizer` is not one that takes hooks, and
    ValueError if `every` is less than 1. All hooks go at the end.
    """
    checked_optimizer(optimizer)
    if not hasattr(optimizer, "register_step_pre_hook"):
        raise TypeError(
            f"optimizer is a {type(optimizer).__name__}; it must be a torch.optim.Optimizer."
        )
    if every < 1:
        raise ValueError(f"every is {every}; it must be 1 or more.")
    watcher = Watcher(as_module(model), optimizer, every)
    watcher.start()
    try:
        yield watcher
    finally:
        watcher.stop()
