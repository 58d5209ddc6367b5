"""The test bed of the checkup: what a case is, synthetic data, and twenty steps of training.

A case builds a tiny network with one batch, a loss and a rate or an optimizer, as its user would hand them to
`checkup.diagnose`. Faulty ones stand in faults.py, healthy ones in healthy.py.
"""

import warnings
from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import nn

SEEDS = 0, 1, 2
STEPS = 20  # of training, before the second moment at which a case is looked at


@dataclass(frozen=True)
class Case:
    """A network to be looked at.

    build: seed -> dict with model, inputs, targets, loss_fn, and optionally lr or optimizer. causes: ids, of which the
    first finding that is an error or a warning must be one; none for a healthy design. source: the architecture or
    the report that it stands for, and for a fault how it does harm. after: how many steps of training it takes until
    the fault is there. gradients: whether the process has them switched on.

    harm: how verify.py sees that a fault is one. Training "raises"; its loss becomes "not finite", or falls "below 0"
    where it cannot; it "starts worse", or ends "worse", than that of the mended network, which `mended` builds, or
    "relatively worse" where the two have other scales; what should learn is "unmoved"; a parameter has "no effect"; one
    example's output "mixes" with others; training and eval "modes differ", or two "passes differ" in eval mode. Or the
    result is "wrong" in the way that `source` tells.
    """

    name: str
    build: Callable[[int], dict]
    causes: frozenset
    source: str
    after: int = 0
    gradients: bool = True
    harm: str = ""
    mended: Callable[[int], dict] | None = None


def seeded(make, *given):
    """`make(*given)` as a function of a seed; torch's own random numbers stay where they are."""

    def build(seed):
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            return make(*given)

    return build


def adder(cases):
    """A decorator that adds a case to the list `cases`.

    What it decorates builds the case; of a fault that makes training worse it takes whether it is mended.
    """

    def case(name, source, causes=(), harm="", **options):
        causes = frozenset({causes} if isinstance(causes, str) else causes)

        def add(make):
            build, mended = seeded(make), None
            if harm.endswith("worse"):
                build, mended = seeded(make, False), seeded(make, True)
            cases.append(Case(name, build, causes, source, harm=harm, mended=mended, **options))
            return make

        return add

    return case


def setting(model, inputs, targets, loss_fn, lr=None, *, sgd=None, adam=None, **options):
    """What a case's `build` returns. lr: given alone; sgd, adam: the rate of an optimizer, with `options`."""
    built = {"model": model, "inputs": inputs, "targets": targets, "loss_fn": loss_fn}
    if lr is not None:
        built["lr"] = lr
    if sgd is not None:
        built["optimizer"] = torch.optim.SGD(model.parameters(), sgd, **options)
    if adam is not None:
        built["optimizer"] = torch.optim.AdamW(
            model.parameters(), adam, **({"weight_decay": 0.0} | options)
        )
    return built


# ---------------------------------------------------------------- Running a case


@contextmanager
def quiet():
    """Torch's warnings, such as that of a loss that broadcasts, are not what is tested."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def loss_of(built):
    """The loss of a built case; the output's own where it has no loss_fn."""
    inputs, model = built["inputs"], built["model"]
    if isinstance(inputs, dict):
        output = model(**inputs)
    else:
        output = model(*inputs) if isinstance(inputs, tuple) else model(inputs)
    return output.loss if built["loss_fn"] is None else built["loss_fn"](output, built["targets"])


def train(built, steps=STEPS):
    """The losses of so many steps on the case's batch, with its optimizer, or gradient descent at its lr.

    built: with "unseen", an optimizer that `diagnosed` does not hand on.
    """
    optimizer = built.get("optimizer", built.get("unseen"))
    if optimizer is None:
        optimizer = torch.optim.SGD(built["model"].parameters(), built.get("lr", 0.1))
    losses = []
    with torch.random.fork_rng(devices=[]), quiet():
        torch.manual_seed(0)  # dropout
        for _ in range(steps):
            optimizer.zero_grad()
            loss = loss_of(built)
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
    return losses


def diagnosed(diagnose, case, seed, steps=0):
    """The report of `diagnose` on a case, after so many steps of training."""
    built = case.build(seed)
    if steps:
        train(built, steps)
    options = {name: built[name] for name in ("lr", "optimizer") if name in built}
    with quiet(), torch.set_grad_enabled(case.gradients):
        return diagnose(
            built["model"], built["inputs"], built["targets"], built["loss_fn"], **options
        )


def alarms(report):
    """The findings that are errors or warnings, in the report's order."""
    return [finding for finding in report.findings if finding.severity in ("error", "warning")]


def named_by(case, report):
    """The ids by which a report names a fault: its alarms; where there is none, remarks that were expected."""
    known = [finding for finding in report.findings if finding.id in case.causes]
    return [finding.id for finding in alarms(report) or known]


# ---------------------------------------------------------------- Data


def points(count=64, size=16, classes=4):
    """Clouds around `classes` centers: (count, size) numbers of mean near 0 and std near 1, and labels."""
    labels = torch.arange(count) % classes
    return (torch.randn(classes, size)[labels] + torch.randn(count, size)) / 2**0.5, labels


def curve(count=64, size=8, outputs=1):
    """A smooth function of `size` inputs: (count, size) and (count, outputs), of std near 1."""
    x = torch.randn(count, size)
    y = torch.tanh(x @ torch.randn(size, 16) / size**0.5) @ torch.randn(16, outputs)
    return x, (y - y.mean(0)) / y.std(0)


def pictures(count=16, classes=4, channels=3, side=16):
    """Noisy pictures of a pattern a class: (count, channels, side, side), and labels."""
    labels = torch.arange(count) % classes
    patterns = torch.randn(classes, channels, side // 4, side // 4).repeat_interleave(4, 2)
    x = patterns.repeat_interleave(4, 3)[labels] + torch.randn(count, channels, side, side)
    return x / 2**0.5, labels


def tokens(count=16, length=12, vocabulary=32):
    """Sequences in which a token mostly decides the next: (count, length), and the next tokens."""
    follows = torch.randperm(vocabulary)
    text = torch.randint(vocabulary, (count, length + 1))
    for k in range(length):
        sure = torch.rand(count) < 0.8
        text[sure, k + 1] = follows[text[sure, k]]
    return text[:, :-1].contiguous(), text[:, 1:].contiguous()


def waves(count=32, length=12, size=4):
    """Noisy waves of two speeds: (count, length, size), and which speed."""
    labels = torch.arange(count) % 2
    times = torch.arange(length).float()
    phase = 6.28 * torch.rand(count, 1)
    wave = torch.sin(phase + times * (0.4 + 0.6 * labels[:, None]))
    return wave[:, :, None] + 0.3 * torch.randn(count, length, size), labels


# ---------------------------------------------------------------- Parts of networks


def mlp(*sizes, bend=nn.ReLU):
    """Linear layers of these sizes, with a nonlinearity between each two."""
    layers = []
    for fan_in, fan_out in pairwise(sizes):
        layers += [nn.Linear(fan_in, fan_out), bend()]
    return nn.Sequential(*layers[:-1])


def initialized(model, draw, kinds=(nn.Linear, nn.Conv2d), bias=0.0):
    """The model, with its weights of these kinds drawn anew by `draw`, and biases of 0."""
    for module in model.modules():
        if isinstance(module, kinds):
            draw(module.weight)
            if getattr(module, "bias", None) is not None:
                nn.init.constant_(module.bias, bias)
    return model


class Apply(nn.Module):
    """A function as a module."""

    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, x):
        return self.function(x)


class Add(nn.Module):
    """A residual branch: x + branch(x)."""

    def __init__(self, *branch):
        super().__init__()
        self.branch = nn.Sequential(*branch)

    def forward(self, x):
        return x + self.branch(x)


class Attention(nn.Module):
    """Self-attention of several heads over (batch, time, size)."""

    def __init__(self, size, heads=2, causal=True):
        super().__init__()
        self.heads, self.causal = heads, causal
        self.qkv, self.project = nn.Linear(size, 3 * size), nn.Linear(size, size)

    def forward(self, x):
        q, k, v = (
            part.unflatten(-1, (self.heads, -1)).transpose(1, 2)
            for part in self.qkv(x).chunk(3, -1)
        )
        y = F.scaled_dot_product_attention(q, k, v, is_causal=self.causal)
        return self.project(y.transpose(1, 2).flatten(2))


class GPT(nn.Module):
    """A pre-norm Transformer as GPT-2 has it: weights of std 0.02, a linear head without bias.

    zero_projections: each branch's last weight starts at 0. zero_head: the head does. tied: the head is the embedding.
    """

    def __init__(
        self,
        vocabulary=32,
        size=32,
        layers=3,
        length=12,
        zero_projections=False,
        zero_head=False,
        tied=False,
        norm=nn.LayerNorm,
        dropout=0.0,
    ):
        super().__init__()
        self.token = nn.Embedding(vocabulary, size)
        self.position = nn.Embedding(length, size)
        self.blocks = nn.Sequential()
        for _ in range(layers):
            mix = mlp(size, 4 * size, size, bend=nn.GELU)
            self.blocks.append(Add(norm(size), Attention(size), nn.Dropout(dropout)))
            self.blocks.append(Add(norm(size), mix, nn.Dropout(dropout)))
        self.norm = norm(size)
        self.head = nn.Linear(size, vocabulary, bias=False)
        initialized(self, lambda w: nn.init.normal_(w, std=0.02), (nn.Linear, nn.Embedding))
        for name, weight in self.blocks.named_parameters():
            if name.endswith(("project.weight", "branch.1.2.weight")):
                with torch.no_grad():
                    weight.mul_(0 if zero_projections else (2 * layers) ** -0.5)
        if zero_head:
            nn.init.zeros_(self.head.weight)
        if tied:
            self.head.weight = self.token.weight

    def forward(self, text):
        x = self.token(text) + self.position(torch.arange(text.shape[1]))
        return self.head(self.norm(self.blocks(x)))


def next_token(output, targets):
    """The cross-entropy of (batch, time, vocabulary) scores; targets of -100 are left out."""
    return F.cross_entropy(output.flatten(0, 1), targets.flatten())
