"""Networks with one fault each, as their users have reported them.

`source` says where the fault is met and how it does harm. `causes` are what an engineer would accept as the first
cause; symptoms that follow from it are not among them.
"""

import copy
import math

import torch
import torch.nn.functional as F
from cases import (
    GPT,
    Add,
    Apply,
    Attention,
    adder,
    curve,
    initialized,
    mlp,
    next_token,
    pictures,
    points,
    setting,
    tokens,
    waves,
)
from torch import nn

FAULTS = []
case = adder(FAULTS)
CROSS_ENTROPY = nn.CrossEntropyLoss()
MSE = nn.MSELoss()


def scaled(model, factor):
    """The model, with its last linear layer scaled."""
    with torch.no_grad():
        [m for m in model.modules() if isinstance(m, nn.Linear)][-1].weight.mul_(factor)
    return model


def classifier(*body, size):
    return nn.Sequential(*body, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(size, 4))


def binary_points():
    x, y = points()
    return x, (y > 1).float()


# ---------------------------------------------------------------- What the loss is given


@case(
    "softmax before cross-entropy, next character",
    "cases.md 1: the first loss looks perfect, and cannot fall below ln(1 + 64/e) = 3.20",
    "probabilities-for-logits",
    "worse",
)
def _(mended):
    model = nn.Sequential(nn.Embedding(65, 128), *mlp(128, 64, 65))
    if not mended:
        model.append(nn.Softmax(-1))
    x = torch.randint(65, (128,))
    return setting(model, x, torch.randperm(65)[x], CROSS_ENTROPY, sgd=0.1)


@case(
    "softmax before cross-entropy, pictures",
    "forum threads on a classifier that learns slowly: bounded below by ln(1 + 3/e) = 0.74",
    "probabilities-for-logits",
    "worse",
)
def _(mended):
    body = nn.Conv2d(3, 8, 3, 2), nn.ReLU(), nn.Flatten(), nn.Linear(392, 4)
    end = nn.Identity() if mended else nn.Softmax(1)
    return setting(nn.Sequential(*body, end), *pictures(), CROSS_ENTROPY, adam=1e-3)


@case(
    "sigmoid before cross-entropy",
    "as softmax: scores within 0 to 1 tell classes apart too little; bounded below by 0.74",
    "probabilities-for-logits",
    "worse",
)
def _(mended):
    model = nn.Sequential(*mlp(16, 32, 4), nn.Identity() if mended else nn.Sigmoid())
    return setting(model, *points(), CROSS_ENTROPY, adam=3e-3)


@case(
    "sigmoid before BCE with logits",
    "forum threads on segmentation: a positive's loss stays above 0.31, a negative's above 0.69",
    "probabilities-for-logits",
    "worse",
)
def _(mended):
    end = nn.Identity() if mended else nn.Sigmoid()
    model = nn.Sequential(*mlp(16, 32, 1), end, nn.Flatten(0))
    return setting(model, *binary_points(), nn.BCEWithLogitsLoss(), adam=3e-3)


@case(
    "softmax with NLLLoss",
    "cases.md 1: NLLLoss wants log-probabilities; so the loss is negative, its gradient weak where the answer is wrong",
    {"probabilities-for-logits", "loss-below-bound"},
    "below 0",
)
def _():
    return setting(nn.Sequential(*mlp(16, 32, 4), nn.Softmax(1)), *points(), nn.NLLLoss(), lr=0.1)


@case(
    "logits with NLLLoss",
    "cases.md 1: the loss falls without a bound",
    {"logits-for-probabilities", "loss-below-bound"},
    "below 0",
)
def _():
    return setting(mlp(16, 32, 4), *points(), nn.NLLLoss(), lr=0.01)


@case(
    "logits with BCELoss",
    "torch raises: all elements of input should be between 0 and 1",
    {"logits-for-probabilities", "loss-raises", "forward-raises"},
    "raises",
)
def _():
    model = nn.Sequential(*mlp(16, 32, 1), nn.Flatten(0))
    return setting(model, *binary_points(), nn.BCELoss(), adam=1e-3)


@case(
    "softmax with KLDivLoss",
    "forum threads on a negative KL divergence in distillation: it wants log-probabilities",
    {"probabilities-for-logits", "loss-below-bound"},
    "below 0",
)
def _():
    x, _ = points()
    y = torch.softmax(3 * torch.randn(64, 4), 1)
    loss = nn.KLDivLoss(reduction="batchmean")
    return setting(nn.Sequential(*mlp(16, 32, 4), nn.Softmax(1)), x, y, loss, lr=0.1)


@case(
    "softmax over one unit",
    "forum threads on a loss that stays: a softmax over a single output is always 1",
    {"blocked-gradient", "constant-units", "collapse"},
    "unmoved",
)
def _():
    model = nn.Sequential(*mlp(16, 32, 1), nn.Softmax(1), nn.Flatten(0))
    return setting(model, *binary_points(), nn.BCELoss(), adam=1e-3)


@case(
    "outputs (N, 1), targets (N,)",
    "cases.md 7: MSELoss compares all pairs, so that the best answer is the mean",
    "shape-mismatch",
    "worse",
)
def _(mended):
    x, y = curve()
    return setting(mlp(8, 32, 1), x, y if mended else y[:, 0], MSE, adam=1e-2)


@case(
    "outputs (N,), targets (N, 1), Huber",
    "the same the other way round",
    "shape-mismatch",
    "worse",
)
def _(mended):
    x, y = curve()
    model = nn.Sequential(*mlp(8, 32, 1), nn.Flatten(0))
    return setting(model, x, y[:, 0] if mended else y, nn.SmoothL1Loss(), adam=1e-2)


@case(
    "outputs (N, 1, H, W), targets (N, H, W)",
    "U-Net threads: each mask is compared with every picture",
    "shape-mismatch",
    "worse",
)
def _(mended):
    model = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(), nn.Conv2d(8, 1, 1))
    x, _ = pictures(side=8)
    y = (x.sum(1) > 0).float()
    return setting(model, x, y[:, None] if mended else y, MSE, adam=1e-2)


@case(
    "BCE with logits, outputs (N, 1), targets (N,)",
    "torch raises: target size must be the same as input size",
    {"shape-mismatch", "loss-raises", "forward-raises"},
    "raises",
)
def _():
    return setting(mlp(16, 32, 1), *binary_points(), nn.BCEWithLogitsLoss(), adam=1e-3)


@case(
    "scores (N, T, C) in cross-entropy",
    "torch raises: it wants classes in dimension 1",
    {"shape-mismatch", "loss-raises", "forward-raises"},
    "raises",
)
def _():
    return setting(GPT(), *tokens(), CROSS_ENTROPY, adam=1e-3)


@case(
    "labels from 1",
    "torch raises: target out of bounds",
    {"targets-invalid", "loss-raises", "forward-raises"},
    "raises",
)
def _():
    x, y = points()
    return setting(mlp(16, 32, 4), x, y + 1, CROSS_ENTROPY, adam=1e-3)


@case(
    "binary labels 0 and 255",
    "masks read from PNG files: the loss of a positive falls without a bound",
    {"targets-invalid", "loss-below-bound"},
    "below 0",
)
def _():
    x, y = binary_points()
    model = nn.Sequential(*mlp(16, 32, 1), nn.Flatten(0))
    return setting(model, x, 255 * y, nn.BCEWithLogitsLoss(), adam=1e-3)


@case(
    "binary labels -1 and 1",
    "labels of a hinge loss given to BCE: the loss of a negative falls without a bound",
    {"targets-invalid", "loss-below-bound"},
    "below 0",
)
def _():
    x, y = binary_points()
    model = nn.Sequential(*mlp(16, 32, 1), nn.Flatten(0))
    return setting(model, x, 2 * y - 1, nn.BCEWithLogitsLoss(), adam=1e-3)


@case(
    "a last ReLU, targets of both signs",
    "regression threads: negative targets cannot be reached",
    {"output-range"},
    "worse",
)
def _(mended):
    model = nn.Sequential(*mlp(8, 32, 1), nn.Identity() if mended else nn.ReLU())
    return setting(model, *curve(), MSE, adam=1e-2)


@case(
    "a last sigmoid, targets to 100",
    "regression threads: all answers run to 1",
    {"output-range"},
    "worse",
)
def _(mended):
    x, y = curve()
    model = nn.Sequential(*mlp(8, 32, 1), nn.Identity() if mended else nn.Sigmoid())
    return setting(model, x, 50 + 20 * y, MSE, adam=1e-2)


@case(
    "a sigmoid decoder, standardized pictures",
    "autoencoder threads: inputs were normalized to mean 0, the decoder ends at 0 and 1",
    {"output-range"},
    "worse",
)
def _(mended):
    x, _ = pictures(side=8)
    x = x.flatten(1)
    model = nn.Sequential(*mlp(192, 32, 192), nn.Identity() if mended else nn.Sigmoid())
    return setting(model, x, x, MSE, adam=1e-2)


# ---------------------------------------------------------------- The first loss


@case(
    "detector head without a prior",
    "cases.md 6, RetinaNet: 29 positives of 81,920 cost 0.72, where the base rate costs 0.003",
    "first-loss-high",
    "worse",
)
def _(mended):
    y = torch.zeros(4096, 20)
    y.view(-1)[torch.randperm(81920)[:29]] = 1
    head = nn.Linear(64, 20)
    if mended:
        nn.init.constant_(head.bias, math.log(29 / 81920))
    return setting(head, torch.randn(4096, 64), y, nn.BCEWithLogitsLoss(), lr=0.1)


@case("a hot head", "a last layer of weights 40 times too large", "first-loss-high", "starts worse")
def _(mended):
    model = scaled(mlp(16, 64, 64, 4, bend=nn.Tanh), 1 if mended else 40)
    return setting(model, *points(), CROSS_ENTROPY, adam=1e-3)


@case(
    "a hot head, labels with -100",
    "cases.md 9: the first loss is many times ln 32",
    "first-loss-high",
    "starts worse",
)
def _(mended):
    x, y = tokens()
    y[torch.rand(y.shape) < 0.7] = -100
    return setting(scaled(GPT(), 1 if mended else 100), x, y, next_token, adam=1e-3)


def shifted(output, targets):
    """The labels are the inputs; the loss shifts them, as Hugging Face's models do."""
    return next_token(output[:, :-1], targets[:, 1:])


@case("a hot head, shifted labels", "cases.md 9", "first-loss-high", "starts worse")
def _(mended):
    x, _ = tokens()
    return setting(scaled(GPT(), 1 if mended else 100), x, x, shifted, adam=1e-3)


@case("a hot head, one-hot targets", "cases.md 9", "first-loss-high", "starts worse")
def _(mended):
    x, y = points()
    model = scaled(mlp(16, 32, 4), 1 if mended else 60)
    return setting(model, x, F.one_hot(y, 4).float(), CROSS_ENTROPY, adam=1e-3)


@case(
    "tied embeddings of std 1",
    "nn.Embedding draws std 1; as the head's weight too it gives logits of std 6: forum threads on a loss of 30",
    "first-loss-high",
    "starts worse",
)
def _(mended):
    model = GPT(tied=True)
    nn.init.normal_(model.token.weight, std=0.02 if mended else 1)
    return setting(model, *tokens(), next_token, adam=1e-3)


@case(
    "targets near 300",
    "prices and years predicted without scaling: a hundred thousand times the targets' variance",
    "first-loss-high",
    "worse",
)
def _(mended):
    x, y = curve()
    model = mlp(8, 32, 1)
    if mended:
        nn.init.constant_(model[-1].bias, 300)
    return setting(model, x, y + 300, MSE, adam=1e-2)


# ---------------------------------------------------------------- Inputs


@case(
    "inputs to -910",
    "cases.md 5: summed squared loss at lr 1e-6 grows 140 times a step",
    "inputs-out-of-scale",
    "worse",
)
def _(mended):
    x = (300 * torch.randn(64, 20) - 10) / (300 if mended else 1)
    return setting(nn.Linear(20, 80), x, torch.randn(64, 80), nn.MSELoss(reduction="sum"), lr=1e-6)


@case(
    "pictures of 0 to 255",
    "pictures read without ToTensor or a division: first losses of 20 to 100",
    "inputs-out-of-scale",
    "starts worse",
)
def _(mended):
    body = nn.Conv2d(3, 8, 3, 2), nn.ReLU(), nn.Flatten(), nn.Linear(392, 4)
    x, y = pictures()
    pixels = (127 + 50 * x).clamp(0, 255).round()
    x = pixels / 127 - 1 if mended else pixels
    return setting(nn.Sequential(*body), x, y, CROSS_ENTROPY, adam=1e-3)


@case(
    "a table with incomes and years",
    "columns of 50,000 beside columns of 1",
    "inputs-out-of-scale",
    "worse",
)
def _(mended):
    x, y = points()
    if not mended:
        x = x * torch.tensor([15000.0, 10.0, *[1.0] * 14]) + torch.tensor(
            [50000.0, 1990.0, *[0.0] * 14]
        )
    return setting(mlp(16, 64, 64, 4), x, y, CROSS_ENTROPY, adam=1e-3)


@case(
    "sigmoid units fed with 0 to 255",
    "the inputs, not the weights, saturate the first layer",
    "inputs-out-of-scale",
    "worse",
)
def _(mended):
    x, y = points()
    x = x if mended else 127 + 50 * x
    return setting(mlp(16, 64, 4, bend=nn.Sigmoid), x, y, CROSS_ENTROPY, adam=1e-2)


@case(
    "inputs of 1e-5",
    "lengths in metres of what is micrometres large, or pixels divided by 255 twice",
    {"inputs-out-of-scale"},
    "worse",
)
def _(mended):
    x, y = points()
    return setting(mlp(16, 64, 4), x * (1 if mended else 1e-5), y, CROSS_ENTROPY, sgd=0.1)


@case(
    "pictures of zeros",
    "integer division by 255 before the conversion to float: nothing can be told apart",
    {"inputs-out-of-scale", "collapse", "constant-units", "blocked-gradient"},
    "worse",
)
def _(mended):
    x, y = points()
    return setting(mlp(16, 64, 4), x if mended else 0 * x, y, CROSS_ENTROPY, adam=1e-2)


@case(
    "a constant column, standardized",
    "(x − mean) / std of a column without variance is nan",
    "not-finite",
    "not finite",
)
def _():
    x, y = points()
    x[:, 3] = 7
    return setting(mlp(16, 32, 4), (x - x.mean(0)) / x.std(0), y, CROSS_ENTROPY, adam=1e-3)


@case("a target of nan", "missing values in the table of targets", "not-finite", "not finite")
def _():
    x, y = curve()
    y[5] = math.nan
    return setting(mlp(8, 32, 1), x, y, MSE, adam=1e-3)


@case(
    "token ids beyond the vocabulary",
    "a tokenizer with added tokens, an embedding of the old size: index out of range",
    {"forward-raises"},
    "raises",
)
def _():
    x, y = tokens(vocabulary=40)
    x[0, 0] = 39
    return setting(GPT(), x, y.clamp(max=31), next_token, adam=1e-3)


@case(
    "a linear layer of the wrong width",
    "after a change of the pictures' size: mat1 and mat2 shapes cannot be multiplied",
    {"forward-raises", "shape-mismatch"},
    "raises",
)
def _():
    body = nn.Conv2d(3, 8, 3, 2), nn.ReLU(), nn.Flatten(), nn.Linear(400, 4)
    return setting(nn.Sequential(*body), *pictures(), CROSS_ENTROPY, adam=1e-3)


@case(
    "float64 inputs",
    "arrays from NumPy: mat1 and mat2 must have the same dtype",
    {"forward-raises"},
    "raises",
)
def _():
    x, y = points()
    return setting(mlp(16, 32, 4), x.double(), y, CROSS_ENTROPY, adam=1e-3)


# ---------------------------------------------------------------- Not finite


@case(
    "a logarithm of 0",
    "cross-entropy by hand, −log of a softmax that has run to 0",
    {"not-finite", "first-loss-high"},
    "not finite",
)
def _():
    def loss(p, y):
        return -torch.log(p[torch.arange(64), y]).mean()

    model = nn.Sequential(*scaled(mlp(16, 32, 4), 2000), nn.Softmax(1))
    return setting(model, *points(), loss, adam=1e-3)


@case(
    "the slope of a root at 0",
    "distances of a contrastive loss: sqrt of exactly 0 has an infinite slope, the gradient is nan",
    "not-finite",
    "not finite",
)
def _():
    def loss(z, y):
        return ((z[:, None] - z[None]) ** 2).sum(-1).sqrt()[y[:, None] == y[None]].mean()

    return setting(mlp(16, 32, 8), *points(), loss, adam=1e-3)


@case(
    "no label at all",
    "threads on Hugging Face's models: all labels are −100, the loss is 0 / 0",
    "not-finite",
    "not finite",
)
def _():
    x, y = tokens()
    return setting(GPT(), x, torch.full_like(y, -100), next_token, adam=1e-3)


class Masked(nn.Module):
    """Attention with a mask by hand."""

    def __init__(self, mask):
        super().__init__()
        self.enter, self.out, self.mask = nn.Embedding(32, 32), nn.Linear(32, 32), mask
        self.qkv = nn.Linear(32, 96)

    def forward(self, x):
        x = self.enter(x)
        q, k, v = self.qkv(x).chunk(3, -1)
        return self.out(x + (q @ k.mT / 32**0.5 + self.mask).softmax(-1) @ v)


@case(
    "an attention mask without a key",
    "triu(diagonal=0) masks the diagonal too: the first position attends to nothing, softmax gives nan",
    "not-finite",
    "not finite",
)
def _():
    mask = torch.zeros(12, 12).masked_fill(torch.ones(12, 12).triu() > 0, -math.inf)
    return setting(Masked(mask), *tokens(), next_token, adam=1e-3)


@case(
    "a half-precision overflow",
    "sums of squares above 65,504 in float16",
    {"not-finite"},
    "not finite",
)
def _():
    def root_mean_square(x):
        squares = (100 * x).half().square().sum(1, keepdim=True)
        return x * squares.float() / 1e4

    model = nn.Sequential(nn.Linear(16, 64), Apply(root_mean_square), nn.Linear(64, 4))
    return setting(model, *points(), CROSS_ENTROPY, adam=1e-3)


@case(
    "a parameter of nan",
    "a checkpoint that was saved after training had diverged",
    "not-finite",
    "not finite",
)
def _():
    model = mlp(16, 32, 4)
    with torch.no_grad():
        model[2].weight[1, 2] = math.nan
    return setting(model, *points(), CROSS_ENTROPY, adam=1e-3)


# ---------------------------------------------------------------- Gradients that do not arrive


@case(
    "gradients are off in the process",
    "cases.md 8: torch.set_grad_enabled(False) left behind by an evaluation; backward raises",
    "gradients-off",
    "raises",
    gradients=False,
)
def _():
    return setting(mlp(16, 32, 4), *points(), CROSS_ENTROPY, adam=1e-3)


@case(
    "an encoder detached by NumPy",
    "x.detach().numpy() between two parts: the first part never learns",
    "missing-gradient",
    "unmoved",
)
def _():
    through = Apply(lambda x: torch.from_numpy(x.detach().numpy().copy()))
    model = nn.Sequential(nn.Linear(16, 32), nn.ReLU(), through, nn.Linear(32, 4))
    return setting(model, *points(), CROSS_ENTROPY, adam=1e-3)


class WithoutGradient(nn.Module):
    def __init__(self):
        super().__init__()
        self.body, self.head = mlp(16, 32, 32), nn.Linear(32, 4)

    def forward(self, x):
        with torch.no_grad():
            x = self.body(x)
        return self.head(x)


@case(
    "an encoder under no_grad",
    "left in forward after feature extraction, while its parameters ask for gradients",
    "missing-gradient",
    "unmoved",
)
def _():
    return setting(WithoutGradient(), *points(), CROSS_ENTROPY, adam=1e-3)


@case(
    "argmax in the loss",
    "a loss of accuracy: element 0 of tensors does not require grad",
    {"missing-gradient", "backward-raises"},
    "raises",
)
def _():
    def loss(output, y):
        return MSE(output.argmax(1).float(), y.float())

    return setting(mlp(16, 32, 4), *points(), loss, adam=1e-3)


@case(
    "a loss made anew from a number",
    "torch.tensor(loss.item(), requires_grad=True): backward runs, and no parameter gets a gradient",
    "missing-gradient",
    "unmoved",
)
def _():
    def loss(output, y):
        return torch.tensor(F.cross_entropy(output, y).item(), requires_grad=True)

    return setting(mlp(16, 32, 4), *points(), loss, adam=1e-3)


@case(
    "all frozen, the new head too",
    "requires_grad = False in a loop after the head was replaced",
    "missing-gradient",
    "raises",
)
def _():
    model = mlp(16, 32, 4).requires_grad_(False)
    return setting(model, *points(), CROSS_ENTROPY, adam=1e-3)


class Forgotten(nn.Module):
    """Its second layer is forgotten: fc3(fc1(x))."""

    def __init__(self):
        super().__init__()
        self.fc1, self.fc2, self.fc3 = nn.Linear(16, 32), nn.Linear(32, 32), nn.Linear(32, 4)

    def forward(self, x):
        return self.fc3(torch.relu(self.fc1(x)))


@case(
    "a layer that forward forgets",
    "DistributedDataParallel's error: parameters that were not used in producing loss",
    "missing-gradient",
    "unmoved",
)
def _():
    return setting(Forgotten(), *points(), CROSS_ENTROPY, adam=1e-3)


@case(
    "a sign as nonlinearity",
    "binary networks without a straight-through estimator: its slope is 0 everywhere",
    "blocked-gradient",
    "unmoved",
)
def _():
    model = nn.Sequential(nn.Linear(16, 32), Apply(torch.sign), nn.Linear(32, 4))
    return setting(model, *points(), CROSS_ENTROPY, adam=1e-3)


@case(
    "outputs clamped away",
    "clamp(0, 1) on outputs that start near 3: no gradient",
    {"blocked-gradient", "constant-units", "output-range", "collapse"},
    "unmoved",
)
def _():
    x, y = curve()
    model = nn.Sequential(*mlp(8, 32, 1), Apply(lambda x: x.clamp(0, 1)))
    nn.init.constant_(model[2].bias, 3)
    return setting(model, x, torch.sigmoid(y), MSE, adam=1e-3)


@case(
    "a branch times 0",
    "x + 0 * branch(x), left from a debugging session",
    "blocked-gradient",
    "unmoved",
)
def _():
    class Off(Add):
        def forward(self, x):
            return x + 0 * self.branch(x)

    model = nn.Sequential(nn.Linear(16, 32), Off(*mlp(32, 32, 32)), nn.ReLU(), nn.Linear(32, 4))
    return setting(model, *points(), CROSS_ENTROPY, adam=1e-3)


@case(
    "dropout of everything",
    "nn.Dropout(p) with p meant as the share to keep, 1.0",
    {"blocked-gradient", "constant-units", "collapse"},
    "unmoved",
)
def _():
    model = nn.Sequential(nn.Linear(16, 32), nn.ReLU(), nn.Dropout(1.0), nn.Linear(32, 4))
    return setting(model, *points(), CROSS_ENTROPY, adam=1e-3)


@case(
    "LayerNorm over one feature",
    "LayerNorm(1) on the last output: x − mean is 0, whatever x is",
    {"blocked-gradient", "constant-units", "collapse"},
    "unmoved",
)
def _():
    model = nn.Sequential(*mlp(8, 32, 1), nn.LayerNorm(1))
    return setting(model, *curve(), MSE, sgd=0.1)


@case(
    "GroupNorm with a group a unit",
    "GroupNorm(32, 32) behind a linear layer: each group is one number, and becomes 0",
    {"blocked-gradient", "constant-units", "collapse"},
    "worse",
)
def _(mended):
    norm = nn.GroupNorm(1 if mended else 32, 32)
    model = nn.Sequential(nn.Linear(16, 32), norm, nn.ReLU(), nn.Linear(32, 4))
    return setting(model, *points(), CROSS_ENTROPY, sgd=0.02)


class Remembering(nn.Module):
    """A recurrent network that keeps its state, with its graph, for the next batch."""

    def __init__(self):
        super().__init__()
        self.memory, self.out, self.state = nn.GRU(4, 16, batch_first=True), nn.Linear(16, 2), None

    def forward(self, x):
        y, self.state = self.memory(x, self.state)
        return self.out(y[:, -1])


@case(
    "a hidden state that is not detached",
    "trying to backward through the graph a second time, from the second batch on",
    "backward-raises",
    "raises",
)
def _():
    model, (x, y) = Remembering(), waves()
    F.cross_entropy(model(x), y).backward()
    return setting(model, x, y, CROSS_ENTROPY, adam=1e-3)


@case(
    "a change in place",
    "one of the variables needed for gradient computation has been modified by an inplace operation",
    "backward-raises",
    "raises",
)
def _():
    def add(x):
        y = torch.sigmoid(x)
        y += 1
        return y

    model = nn.Sequential(nn.Linear(16, 32), Apply(add), nn.Linear(32, 4))
    return setting(model, *points(), CROSS_ENTROPY, adam=1e-3)


class BothWays(nn.Module):
    """An LSTM in both directions, of which the last outputs are read."""

    def __init__(self):
        super().__init__()
        self.memory = nn.LSTM(4, 16, batch_first=True, bidirectional=True)
        self.out = nn.Linear(32, 2)

    def forward(self, x):
        return self.out(self.memory(x)[0][:, -1])


@case(
    "the last output of an LSTM in both directions",
    "output[:, -1]: backwards it has seen one step, so the weights of its memory get no gradient",
    {"blocked-gradient", "missing-gradient"},
    "unmoved",
)
def _():
    return setting(BothWays(), *waves(), CROSS_ENTROPY, adam=3e-3)


# ---------------------------------------------------------------- Units and layers at the start


@case(
    "weights all zero",
    "only the last bias learns, for ever",
    {"blocked-gradient", "constant-units", "units-alike", "layers-start-alike", "collapse"},
    "unmoved",
)
def _():
    model = initialized(mlp(16, 32, 32, 4), nn.init.zeros_)
    return setting(model, *points(), CROSS_ENTROPY, adam=1e-3)


@case(
    "weights all 0.1",
    "the units of a layer start and stay alike: as one unit",
    {"units-alike", "layers-start-alike", "collapse"},
    "worse",
)
def _(mended):
    model = mlp(16, 32, 32, 4, bend=nn.Tanh)
    if not mended:
        initialized(model, lambda w: nn.init.constant_(w, 0.1))
    return setting(model, *points(), CROSS_ENTROPY, adam=1e-2)


@case(
    "dead ReLUs",
    "biases of −10 after a step that was too large",
    {"dead-units", "blocked-gradient"},
    "unmoved",
)
def _():
    model = mlp(16, 32, 32, 4)
    nn.init.constant_(model[0].bias, -10)
    return setting(model, *points(), CROSS_ENTROPY, adam=1e-3)


@case(
    "dead ReLUs of a convolution",
    "half of the channels with a bias of −8",
    {"dead-units", "blocked-gradient"},
    "unmoved",
)
def _():
    first = nn.Conv2d(3, 16, 3)
    with torch.no_grad():
        first.bias[:8] = -8
    model = classifier(first, nn.ReLU(), nn.Conv2d(16, 16, 3), nn.ReLU(), size=16)
    return setting(model, *pictures(), CROSS_ENTROPY, adam=1e-3)


@case(
    "a dead last ReLU",
    "ReLU at the output, its bias far below 0: no gradient at all",
    {"dead-units", "blocked-gradient", "output-range"},
    "unmoved",
)
def _():
    x, y = curve()
    model = nn.Sequential(*mlp(8, 32, 1), nn.ReLU())
    nn.init.constant_(model[2].bias, -5)
    return setting(model, x, y.abs(), MSE, adam=1e-3)


@case(
    "ReLUs killed by the rate",
    "lr 2: after a few steps most units of two layers are dead, and the loss stands",
    {"dead-units", "blocked-gradient", "update-too-large"},
    "unmoved",
    after=20,
)
def _():
    x, y = points()
    return setting(mlp(16, 32, 32, 32, 4), x, y, CROSS_ENTROPY, sgd=2)


@case("weights of std 1, tanh", "torch.randn without a scale", {"saturated"}, "worse")
def _(mended):
    model = mlp(16, *[64] * 8, 1, bend=nn.Tanh)
    initialized(model[:-1], nn.init.orthogonal_ if mended else nn.init.normal_)
    return setting(model, *curve(size=16), MSE, sgd=0.05)


@case(
    "weights of std 1, ReLU",
    "torch.randn without a scale: each layer is 5 times larger than the last",
    {"signal-grows", "gradients-explode"},
    "starts worse",
)
def _(mended):
    model = mlp(64, *[64] * 6, 4)
    if not mended:
        initialized(model, nn.init.normal_)
    return setting(model, *points(size=64), CROSS_ENTROPY, adam=1e-3)


@case(
    "an exploding ReLU net of 16 layers",
    "cases.md: blamed on a bias; std 2 times He's",
    {"signal-grows", "gradients-explode"},
    "starts worse",
)
def _(mended):
    def draw(weight):
        nn.init.normal_(weight, std=(2 if not mended else 1) * (2 / weight.shape[1]) ** 0.5)

    model = initialized(mlp(16, *[64] * 15, 4), draw)
    return setting(model, *points(), CROSS_ENTROPY, adam=1e-3)


@case(
    "a residual net without norms",
    "each block triples the variance: a std of 60,000 after 20",
    {"signal-grows", "gradients-explode"},
    "starts worse",
)
def _(mended):
    blocks = [Add(*mlp(32, 32, 32)) for _ in range(20)]
    for block in blocks:
        initialized(block, nn.init.kaiming_normal_)
        if mended:
            nn.init.zeros_(block.branch[-1].weight)
    model = nn.Sequential(nn.Linear(16, 32), *blocks, nn.Linear(32, 4))
    return setting(model, *points(), CROSS_ENTROPY, adam=1e-3)


def collapsing():
    """Deep networks in which the signal over the examples is lost."""

    def tanh(draw):
        return lambda: initialized(mlp(16, *[64] * 10, 4, bend=nn.Tanh), draw)

    nets = (
        (
            "weights of std 0.01, 10 tanh layers",
            "Glorot and Bengio 2010: each layer is a tenth of the last",
            {"signal-fades", "gradients-vanish", "collapse"},
            tanh(lambda w: nn.init.normal_(w, std=0.01)),
        ),
        (
            "8 sigmoid layers",
            "Hochreiter 1991: each layer takes a factor of 4 or more from the gradient",
            {"gradients-vanish", "signal-fades", "collapse"},
            lambda: mlp(16, *[64] * 8, 4, bend=nn.Sigmoid),
        ),
        (
            "20 ReLU layers, torch's initialization",
            "nn.Linear's weights are a factor of 2.4 too small for ReLU",
            {"collapse", "signal-fades", "gradients-vanish"},
            lambda: mlp(16, *[64] * 20, 4),
        ),
        (
            "30 ReLU layers, He",
            "cases.md: all examples come out alike, cosine 0.95",
            {"collapse"},
            lambda: initialized(mlp(16, *[64] * 30, 4), nn.init.kaiming_normal_),
        ),
        (
            "50 ReLU layers, He",
            "cases.md: all examples come out alike",
            {"collapse"},
            lambda: initialized(mlp(16, *[64] * 50, 4), nn.init.kaiming_normal_),
        ),
    )
    for name, source, causes, build in nets:

        @case(name, source, causes, "worse")
        def _(mended, build=build):
            model = build()
            if mended:
                depth = sum(isinstance(m, nn.Linear) for m in model) - 1
                net = mlp(16, *[64] * depth, 4, bend=nn.Tanh)
                model = initialized(net, nn.init.orthogonal_)
            return setting(model, *points(), CROSS_ENTROPY, sgd=0.02)


collapsing()


@case(
    "12 attentions without skips",
    "Dong et al. 2021: pure attention loses rank doubly exponentially with depth",
    {"collapse", "signal-fades", "gradients-vanish"},
    "worse",
)
def _(mended):
    layers = [Attention(32, causal=False) for _ in range(12)]
    if mended:
        layers = [Add(nn.LayerNorm(32), layer) for layer in layers]
    model = nn.Sequential(nn.Embedding(32, 32), *layers, nn.Linear(32, 32))
    x, _ = tokens(count=8)
    return setting(model, x, x, next_token, adam=1e-3)


class Unscaled(nn.Module):
    """Causal attention by hand, without 1 / sqrt(size) in its scores."""

    def __init__(self, size, scale=1.0):
        super().__init__()
        self.q, self.k, self.v = (nn.Linear(size, size, bias=False) for _ in range(3))
        self.softmax, self.scale = nn.Softmax(-1), scale
        initialized(self, lambda w: nn.init.normal_(w, std=size**-0.5))

    def forward(self, x):
        later = torch.ones(x.shape[1], x.shape[1], dtype=torch.bool).triu(1)
        scores = (self.scale * self.q(x) @ self.k(x).mT).masked_fill(later, -torch.inf)
        return self.softmax(scores) @ self.v(x)


@case(
    "attention without its scale",
    "Vaswani et al. 2017, 3.2.1: scores of std 16, a softmax that is 0 or 1",
    {"saturated"},
    "wrong",
)
def _():
    layers = [Add(nn.LayerNorm(256), Unscaled(256)) for _ in range(2)]
    model = nn.Sequential(nn.Embedding(32, 256), *layers, nn.LayerNorm(256), nn.Linear(256, 32))
    return setting(model, *tokens(count=8), next_token, adam=1e-4)


class Recurrent(nn.Module):
    """A ReLU or tanh recurrent network as a loop over a cell."""

    def __init__(self, gain, nonlinearity="relu"):
        super().__init__()
        self.cell, self.out = nn.RNNCell(4, 32, nonlinearity=nonlinearity), nn.Linear(32, 2)
        nn.init.orthogonal_(self.cell.weight_hh, gain)

    def forward(self, x):
        state = torch.zeros(len(x), 32)
        for now in x.unbind(1):
            state = self.cell(now, state)
        return self.out(state)


@case(
    "an exploding recurrent network",
    "Pascanu et al. 2013: 30 steps, each a factor of 1.5",
    {"signal-grows", "gradients-explode"},
    "worse",
)
def _(mended):
    model = Recurrent(1.2 if mended else 2.2)
    return setting(model, *waves(length=30), CROSS_ENTROPY, adam=1e-3)


class Encoder(nn.Module):
    """torch's encoder, whose layers are copies of one."""

    def __init__(self, layers=4, batch_first=True):
        super().__init__()
        self.enter, self.out = nn.Linear(4, 32), nn.Linear(32, 2)
        layer = nn.TransformerEncoderLayer(32, 2, 64, 0.0, batch_first=batch_first)
        self.encoder = nn.TransformerEncoder(layer, layers, enable_nested_tensor=False)

    def forward(self, x):
        return self.out(self.encoder(self.enter(x)).mean(1))


@case(
    "a Transformer whose layers start alike",
    "torch's documentation of TransformerEncoder: copies of one layer; initialize them yourself",
    "layers-start-alike",
    "wrong",
)
def _():
    return setting(Encoder(), *waves(), CROSS_ENTROPY, adam=1e-3)


@case(
    "blocks by deepcopy",
    "a list of deepcopy(block): all start alike",
    "layers-start-alike",
    "wrong",
)
def _():
    block = Add(nn.LayerNorm(32), *mlp(32, 64, 32))
    blocks = [copy.deepcopy(block) for _ in range(4)]
    model = nn.Sequential(nn.Linear(16, 32), *blocks, nn.LayerNorm(32), nn.Linear(32, 4))
    return setting(model, *points(), CROSS_ENTROPY, adam=1e-3)


@case(
    "one block six times",
    "ModuleList([block] * 6): six names, one block; a sixth of the parameters",
    {"layers-shared", "layers-start-alike"},
    "wrong",
)
def _():
    blocks = nn.ModuleList([Add(nn.LayerNorm(32), *mlp(32, 64, 32))] * 6)
    model = nn.Sequential(nn.Linear(16, 32), *blocks, nn.LayerNorm(32), nn.Linear(32, 4))
    return setting(model, *points(), CROSS_ENTROPY, adam=1e-3)


# ---------------------------------------------------------------- Unknown to the model or the optimizer


class Listed(nn.Module):
    """Layers in a Python list."""

    def __init__(self):
        super().__init__()
        self.layers = [nn.Linear(16, 32), nn.BatchNorm1d(32), nn.ReLU()]
        self.out = nn.Linear(32, 4)

    def forward(self, x):
        for layer in self.layers:
            x = layer(x)
        return self.out(x)


@case(
    "layers in a Python list",
    "cases.md 3: parameters(), eval() and to() do not know them",
    "unregistered",
    "unmoved",
)
def _():
    model = Listed()
    built = setting(model, *points(), CROSS_ENTROPY, adam=1e-3)
    return built | {"meant": [model.layers[0].weight]}


class ByName(nn.Module):
    """Heads in a Python dict."""

    def __init__(self):
        super().__init__()
        self.body, self.heads = mlp(16, 32, 32), {"class": nn.Linear(32, 4)}

    def forward(self, x):
        return self.heads["class"](torch.relu(self.body(x)))


@case(
    "a head in a dict",
    "multi-task networks: a dict in place of a ModuleDict",
    "unregistered",
    "unmoved",
)
def _():
    model = ByName()
    built = setting(model, *points(), CROSS_ENTROPY, adam=1e-3)
    return built | {"meant": [model.heads["class"].weight]}


class BareTensor(nn.Module):
    """A weight that is no nn.Parameter."""

    def __init__(self):
        super().__init__()
        self.weight = (torch.randn(16, 32) / 4).requires_grad_()
        self.out = nn.Linear(32, 4)

    def forward(self, x):
        return self.out(torch.relu(x @ self.weight))


@case(
    "a tensor that is no Parameter",
    "torch.randn(..., requires_grad=True) in __init__: the optimizer does not get it",
    "unregistered",
    "unmoved",
)
def _():
    model = BareTensor()
    built = setting(model, *points(), CROSS_ENTROPY, adam=1e-3)
    return built | {"meant": [model.weight]}


class Fresh(nn.Module):
    """A layer that is made anew in each pass."""

    def __init__(self, mended):
        super().__init__()
        self.enter, self.out = nn.Linear(16, 32), nn.Linear(32, 4)
        self.middle = nn.Linear(32, 32) if mended else None

    def forward(self, x):
        middle = self.middle or nn.Linear(32, 32)
        return self.out(torch.relu(middle(torch.relu(self.enter(x)))))


@case(
    "a layer made in forward",
    "nn.Linear(...) within forward: new random weights in each pass",
    "unregistered",
    "worse",
)
def _(mended):
    return setting(Fresh(mended), *points(), CROSS_ENTROPY, adam=3e-3)


@case(
    "a head replaced behind the optimizer",
    "model.fc = nn.Linear(...) after the optimizer was made: the new head never learns",
    "not-in-optimizer",
    "unmoved",
)
def _():
    model = mlp(16, 32, 10)
    built = setting(model, *points(), CROSS_ENTROPY, adam=1e-3)
    model[2] = nn.Linear(32, 4)
    return built


@case(
    "an optimizer of the head alone",
    "the body was to be trained too, and asks for gradients",
    "not-in-optimizer",
    "unmoved",
)
def _():
    model = mlp(16, 32, 32, 4)
    built = setting(model, *points(), CROSS_ENTROPY)
    return built | {"optimizer": torch.optim.SGD(model[-1].parameters(), 0.1)}


@case(
    "an optimizer of another network",
    "the network was built anew after the optimizer, as in a cell that is run twice",
    "not-in-optimizer",
    "unmoved",
)
def _():
    built = setting(mlp(16, 32, 4), *points(), CROSS_ENTROPY, adam=1e-3)
    return built | {"model": mlp(16, 32, 4)}


# ---------------------------------------------------------------- BatchNorm, modes


@case(
    "BatchNorm in eval mode after one batch",
    "cases.md 2: its running variance is still 90 % of 1, and pictures of std 0.3 come out too small",
    "statistics-unfit",
    "modes differ",
)
def _():
    x, y = pictures()
    model = classifier(nn.Conv2d(3, 8, 3, bias=False), nn.BatchNorm2d(8), nn.ReLU(), size=8)
    with torch.no_grad():
        model(0.3 * x)
    return setting(model.eval(), 0.3 * x, y, CROSS_ENTROPY)


def with_batchnorm(momentum=0.1):
    norm = nn.BatchNorm1d(32, momentum=momentum)
    return nn.Sequential(nn.Linear(16, 32, bias=False), norm, nn.ReLU(), nn.Linear(32, 4))


@case(
    "running means that are far off",
    "cases.md 2: the std is right, the mean is 6 off, and the output layer gets the blame",
    "statistics-unfit",
    "modes differ",
)
def _():
    (x, y), model = points(), with_batchnorm()
    for _ in range(100):
        model(x)
    model[1].running_mean -= 6 * model[1].running_var.sqrt()
    return setting(model.eval(), x, y, CROSS_ENTROPY)


@case(
    "a momentum of 0.001",
    "TensorFlow's 0.999 taken for torch's momentum turned round: after 20 batches 98 % are still 0 and 1",
    "statistics-unfit",
    "modes differ",
)
def _():
    (x, y), model = points(), with_batchnorm(0.001)
    x = 4 * x + 2
    for _ in range(20):
        model(x)
    return setting(model.eval(), x, y, CROSS_ENTROPY)


@case(
    "a checkpoint without buffers",
    "only parameters() were saved: running statistics are 0 and 1",
    "statistics-unfit",
    "modes differ",
)
def _():
    x, y = pictures()
    layers, before = [], 3
    for size in (16, 16, 16):
        layers += [
            nn.Conv2d(before, size, 3, padding=1, bias=False),
            nn.BatchNorm2d(size),
            nn.ReLU(),
        ]
        before = size
    return setting(classifier(*layers, size=16).eval(), x, y, CROSS_ENTROPY)


@case(
    "one BatchNorm at two depths",
    "cases.md 4: its running statistics mix two places, and eval mode differs from training",
    "shared-batchnorm",
    "modes differ",
)
def _():
    norm, second = nn.BatchNorm1d(32), nn.Linear(32, 32, bias=False)
    nn.init.normal_(second.weight, std=1)
    first = nn.Linear(16, 32, bias=False)
    model = nn.Sequential(first, norm, nn.ReLU(), second, norm, nn.ReLU(), nn.Linear(32, 4))
    return setting(model, *points(), CROSS_ENTROPY, sgd=0.01)


@case(
    "a batch of two with BatchNorm",
    "each unit is −1 or 1 for the two examples, whatever they are",
    "batch-too-small",
    "wrong",
)
def _():
    x, y = points(count=2)
    return setting(with_batchnorm(), x, y, CROSS_ENTROPY, adam=1e-3)


@case(
    "a batch of one with BatchNorm",
    "the last batch of an epoch: expected more than 1 value per channel",
    {"forward-raises", "batch-too-small"},
    "raises",
)
def _():
    x, y = points(count=1)
    return setting(with_batchnorm(), x, y, CROSS_ENTROPY, adam=1e-3)


@case(
    "a bias before BatchNorm, bf16",
    "cases.md 10: the mean takes it away; what is learned there is rounding noise",
    "useless-bias",
    "no effect",
)
def _():
    model = nn.Sequential(nn.Linear(16, 32), nn.BatchNorm1d(32), nn.ReLU(), nn.Linear(32, 4))
    x, y = points()
    return setting(model.bfloat16(), x.bfloat16(), y, CROSS_ENTROPY, adam=1e-3)


@case("a bias before BatchNorm", "the same in fp32", "useless-bias", "no effect")
def _():
    model = classifier(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), size=8)
    return setting(model, *pictures(), CROSS_ENTROPY, adam=1e-3)


@case(
    "training in eval mode",
    "cases.md 11: train() is missing after an evaluation; dropout does nothing, so it overfits",
    "mode-hides",
    "wrong",
)
def _():
    model = nn.Sequential(nn.Linear(16, 64), nn.ReLU(), nn.Dropout(0.5), nn.Linear(64, 4))
    return setting(model.eval(), *points(), CROSS_ENTROPY, adam=1e-3)


@case(
    "F.dropout without training=self.training",
    "eval mode does not switch it off: two passes differ",
    {"mode-hides", "random-in-eval"},
    "passes differ",
)
def _():
    model = nn.Sequential(nn.Linear(16, 64), nn.ReLU(), Apply(F.dropout), nn.Linear(64, 4))
    return setting(model.eval(), *points(), CROSS_ENTROPY)


# ---------------------------------------------------------------- Examples that mix


@case(
    "a Transformer without batch_first",
    "torch's default is (time, batch, size): attention runs over the examples of the batch",
    "examples-mix",
    "mixes",
)
def _():
    model = Encoder(2, batch_first=False)
    for layer in model.encoder.layers:
        initialized(layer, nn.init.xavier_uniform_)
        nn.init.xavier_uniform_(layer.self_attn.in_proj_weight)
    return setting(model, *waves(), CROSS_ENTROPY, adam=1e-3)


class Sequences(nn.Module):
    def __init__(self):
        super().__init__()
        self.memory, self.out = nn.LSTM(4, 16), nn.Linear(16, 2)

    def forward(self, x):
        return self.out(self.memory(x)[0][:, -1])


@case(
    "an LSTM without batch_first",
    "an example's state comes from the example before it in the batch",
    "examples-mix",
    "mixes",
)
def _():
    return setting(Sequences(), *waves(), CROSS_ENTROPY, adam=1e-2)


@case(
    "log-softmax over the batch",
    "log_softmax(dim=0): examples compete, in place of classes",
    {"examples-mix", "logits-for-probabilities"},
    "mixes",
)
def _():
    model = nn.Sequential(*mlp(16, 32, 4), nn.LogSoftmax(0))
    return setting(model, *points(), nn.NLLLoss(), adam=1e-2)


@case(
    "normalized over the batch",
    "F.normalize(x, dim=0): an answer depends on who else is in the batch",
    "examples-mix",
    "mixes",
)
def _():
    norm = Apply(lambda x: 8 * F.normalize(x, dim=0))
    model = nn.Sequential(nn.Linear(16, 32), norm, nn.ReLU(), nn.Linear(32, 4))
    return setting(model, *points(), CROSS_ENTROPY, adam=1e-2)


@case(
    "view in place of transpose",
    "(batch, time, size) viewed as (time, batch, size): sequences are cut and mixed",
    "examples-mix",
    "mixes",
)
def _():
    def turn(x):
        return x.reshape(x.shape[1], x.shape[0], x.shape[2])

    model = nn.Sequential(Apply(turn), nn.GRU(4, 16), Apply(lambda y: y[0][-1]), nn.Linear(16, 2))
    return setting(model, *waves(), CROSS_ENTROPY, adam=1e-2)


# ---------------------------------------------------------------- Steps


def rates():
    """Optimizers with a rate or a decay that does not fit: each beside one that does."""

    def sgd(rate, momentum=0.0, decay=0.0):
        return {"sgd": rate, "momentum": momentum, "weight_decay": decay}

    chosen = (
        ("SGD at 100", "update-too-large", sgd(100), sgd(0.1)),
        ("SGD at 1e-6", "update-too-small", sgd(1e-6), sgd(0.1)),
        ("momentum 0.99 at 2", "update-too-large", sgd(2, 0.99), sgd(0.02, 0.9)),
        ("a warm-up that starts at 0 and is never stepped", "update-too-small", sgd(0.0), sgd(0.1)),
        ("a weight decay of 10", "update-too-large", sgd(0.1, 0, 10), sgd(0.1, 0, 1e-4)),
        ("Adam at 1", "update-too-large", {"adam": 1.0}, {"adam": 3e-3}),
        ("Adam at 1e-7", "update-too-small", {"adam": 1e-7}, {"adam": 3e-3}),
        ("SGD at 1000, given alone", "update-too-large", {"lr": 1000}, {"lr": 0.1}),
        ("momentum 0.9 at 1e-5", "update-too-small", sgd(1e-5, 0.9), sgd(0.02, 0.9)),
    )
    for name, cause, wrong, right in chosen:

        @case(name, "a rate or a decay that does not fit", cause, "worse")
        def _(mended, wrong=wrong, right=right):
            options = right if mended else wrong
            return setting(mlp(8, 64, 64, 4, bend=nn.Tanh), *curve(outputs=4), MSE, **options)


rates()


@case(
    "a summed loss with a mean's rate",
    "reduction='sum' over 512 examples at lr 0.1",
    "update-too-large",
    "worse",
)
def _(mended):
    loss = nn.CrossEntropyLoss(reduction="sum")
    x, y = points(count=512)
    return setting(mlp(16, 32, 32, 4), x, y, loss, sgd=0.1 / (512 if mended else 1))


@case(
    "GPT with AdamW at 0.03",
    "cases.md 12: the first step is 1.5 times the weights of std 0.02",
    "update-too-large",
    "wrong",
)
def _():
    return setting(GPT(), *tokens(), next_token, adam=0.03)


@case(
    "GPT with AdamW at 0.3",
    "an order more: the first step is 15 times the weights",
    "update-too-large",
    "worse",
)
def _(mended):
    return setting(GPT(), *tokens(), next_token, adam=3e-3 if mended else 0.3)


@case(
    "a diverged regression",
    "lr 3 for a squared loss: the weights grow without a bound, and are nan",
    {"not-finite", "update-too-large"},
    "worse",
    after=20,
)
def _(mended):
    return setting(mlp(8, 32, 32, 1), *curve(), MSE, sgd=0.05 if mended else 3)


# ---------------------------------------------------------------- What others have found


@case(
    "a tanh behind a regression",
    "targets from 11 on: the last nonlinearity was left where the hidden ones have it",
    "output-range",
    "worse",
)
def _(mended):
    x, y = curve()
    model = mlp(8, 32, 32, 1)
    if not mended:
        model.append(nn.Tanh())
    return setting(model, x, 5 * y, MSE, adam=1e-2)


@case(
    "a tanh behind a classifier",
    "4 classes: the loss cannot fall below ln(1 + 3 exp(-2)) = 0.34",
    "output-range",
    "wrong",
)
def _():
    return setting(mlp(16, 64, 4).append(nn.Tanh()), *points(), CROSS_ENTROPY, adam=1e-2)


@case(
    "cross-entropy on one logit",
    "two classes, one output: the softmax over one class is 1, so the loss is 0 and nothing is learned",
    "output-range",
    "wrong",
)
def _():
    x, y = binary_points()
    return setting(mlp(16, 32, 1), x, y[:, None], CROSS_ENTROPY, adam=3e-3)


@case(
    "AdamW with an eps of 100",
    "only the weight decay moves the weights",
    "update-too-small",
    "worse",
)
def _(mended):
    options = {"eps": 1e-8 if mended else 100.0, "weight_decay": 0.05}
    return setting(mlp(16, 64, 64, 4), *points(), CROSS_ENTROPY, adam=3e-3, **options)


# ---------------------------------------------------------------- Losses by hand, signs and scales


def by_hand(output, labels):
    """Cross-entropy of scores, as a formula."""
    return -(F.one_hot(labels, output.shape[-1]) * output.log_softmax(-1)).sum(-1).mean()


def targets_out_of_scale():
    losses = {"MSE": MSE, "L1": nn.L1Loss(), "by hand": lambda o, t: (o - t).square().sum(1).mean()}
    for mean, std, kind in ((0, 4000, "MSE"), (200, 40, "L1"), (0, 300, "by hand")):

        @case(
            f"targets of {mean} ± {std}, {kind}",
            "regression threads: prices and counts as they are; outputs start near 0 and need thousands of steps",
            {"first-loss-high", "update-too-large"},
            "worse",
        )
        def _(mended, mean=mean, std=std, kind=kind):
            x, y = curve(outputs=2)
            y = y if mended else mean + std * y
            scale = 1 if mended else std

            def loss(output, targets):
                return losses[kind](output, targets) / scale ** (1 if kind == "L1" else 2)

            return setting(mlp(8, 32, 2), x, y, losses[kind] if mended else loss, adam=1e-3)


targets_out_of_scale()


@case(
    "tanh in the loss, targets beyond it",
    "(out.tanh() - y)**2 with standardized targets: a third of them is out of reach",
    "output-range",
    "worse",
)
def _(mended):
    def loss(output, targets):
        return ((output if mended else output.tanh()) - targets).square().mean()

    x, y = curve()
    return setting(mlp(8, 32, 1), x, 2 * y, loss, adam=1e-2)


@case(
    "softmax, then cross-entropy by hand",
    "as softmax before nn.CrossEntropyLoss, with a formula in its place",
    "probabilities-for-logits",
    "worse",
)
def _(mended):
    model = nn.Sequential(*mlp(16, 32, 4), nn.Identity() if mended else nn.Softmax(1))
    return setting(model, *points(), by_hand, adam=3e-3)


@case(
    "a ReLU before a logistic loss by hand",
    "log(1 + exp(-y s)) of labels -1 and 1: a negative's loss cannot fall below ln 2",
    {"output-range", "probabilities-for-logits"},
    "worse",
)
def _(mended):
    x, y = binary_points()
    end = nn.Identity() if mended else nn.ReLU()
    model = nn.Sequential(*mlp(16, 32, 1), end, nn.Flatten(0))
    return setting(model, x, 2 * y - 1, lambda s, t: F.softplus(-t * s).mean(), adam=3e-3)


def logarithms_of_zero():
    def binary(output, targets):
        p = output.sigmoid()
        return -(targets * p.log() + (1 - targets) * (1 - p).log()).mean()

    def classes(output, labels):
        p = output.exp() / output.exp().sum(1, keepdim=True)
        return -p.gather(1, labels[:, None]).log().mean()

    for name, loss in (("sigmoid", binary), ("softmax", classes)):

        @case(
            f"the logarithm of a {name}, by hand",
            "inf or nan as soon as the network is sure, thousands of steps later",
            "not-finite",
            "wrong",
        )
        def _(loss=loss, name=name):
            x, y = points()
            if name == "softmax":
                return setting(mlp(16, 32, 4), x, y, loss, adam=1e-3)
            model = nn.Sequential(*mlp(16, 32, 1), nn.Flatten(0))
            return setting(model, x, (y > 1).float(), loss, adam=1e-3)


logarithms_of_zero()


def wrong_directions():
    for name in ("SGD", "AdamW"):

        @case(
            f"{name} with maximize=True",
            "copied from a policy gradient: the loss grows",
            "wrong-direction",
            "worse",
        )
        def _(mended, name=name):
            built = setting(mlp(16, 32, 4), *points(), CROSS_ENTROPY)
            kind, rate = getattr(torch.optim, name), 0.1 if name == "SGD" else 1e-3
            built["optimizer"] = kind(built["model"].parameters(), rate, maximize=not mended)
            return built

    @case(
        "the overlap minimized",
        "segmentation threads: the Dice score itself as the loss",
        "wrong-direction",
        "wrong",
    )
    def _():
        x, _ = pictures(side=8)
        y = (x.sum(1) > 0).float()
        model = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(), nn.Conv2d(8, 1, 1))
        model.extend([nn.Sigmoid(), nn.Flatten(1), nn.Unflatten(1, (8, 8))])

        def dice(p, t):
            return (2 * (p * t).sum((1, 2)) / (p.sum((1, 2)) + t.sum((1, 2)) + 1e-6)).mean()

        return setting(model, x, y, dice, adam=1e-2)

    @case(
        "log-likelihood minimized",
        "a formula from a paper without its minus: the loss falls, the likelihood too",
        {"wrong-direction", "loss-below-bound"},
        "wrong",
    )
    def _():
        return setting(mlp(16, 32, 4), *points(), lambda s, y: -by_hand(s, y), adam=1e-3)


wrong_directions()


def flat_ends():
    for kind, loss in ((nn.Sigmoid, MSE), (nn.Tanh, lambda o, t: (o - t).abs().pow(1.5).mean())):

        @case(
            f"a {kind.__name__} at its ends behind the last layer",
            "squared error of a saturated output: no slope, however wrong it is",
            "saturated",
            "worse",
        )
        def _(mended, kind=kind, loss=loss):
            x, y = binary_points()
            model = scaled(mlp(16, 32, 1), 1 if mended else 500)
            y = y if kind is nn.Sigmoid else 1.8 * y - 0.9
            return setting(nn.Sequential(*model, kind(), nn.Flatten(0)), x, y, loss, adam=1e-3)


flat_ends()


def too_much_dropout():
    for share in (0.95, 0.99):

        @case(
            f"dropout of {share}",
            "p meant as the share to keep",
            "dropout-high",
            "worse",
        )
        def _(mended, share=share):
            drop = nn.Dropout(0.05 if mended else share)
            body = nn.Linear(16, 128), nn.ReLU(), drop, nn.Linear(128, 64), nn.ReLU(), drop
            return setting(
                nn.Sequential(*body, nn.Linear(64, 4)), *points(), CROSS_ENTROPY, adam=3e-3
            )


too_much_dropout()

# ---------------------------------------------------------------- Labels of another loss


class Twins(nn.Module):
    """Two inputs, each through the same network."""

    def __init__(self, *sizes):
        super().__init__()
        self.body = mlp(*sizes)

    def forward(self, x, z):
        return self.body(x), self.body(z)


def labels_of_another_loss():
    pairs = nn.CosineEmbeddingLoss(), nn.MarginRankingLoss(0.5)
    single = nn.SoftMarginLoss(), lambda s, t: (1 - t * s).clamp_min(0).mean()
    names = "CosineEmbeddingLoss", "MarginRankingLoss", "SoftMarginLoss", "a hinge by hand"
    for name, loss in zip(names, (*pairs, *single), strict=True):

        @case(
            f"labels 0 and 1 in {name}",
            "it takes -1 and 1: what is labelled 0 has no influence",
            "targets-invalid",
            "wrong",
        )
        def _(loss=loss, name=name):
            x, y = binary_points()
            if loss not in pairs:
                model = nn.Sequential(*mlp(16, 32, 1), nn.Flatten(0))
                return setting(model, x, y, loss, adam=3e-3)
            model = Twins(16, 32, 8) if name.startswith("Cos") else Twins(16, 32, 1)
            z, same = x.flip(0), (y == y.roll(1)).float()
            return setting(
                model, (x, z), same, lambda o, t: loss(*(one.squeeze(1) for one in o), t), adam=3e-3
            )


labels_of_another_loss()


def labels_for_probabilities():
    for low, high in ((-1, 1), (0, 255)):

        @case(
            f"labels {low} and {high} in a cross-entropy by hand",
            "the loss of one side has no bound",
            {"targets-invalid", "loss-below-bound"},
            "below 0",
        )
        def _(low=low, high=high):
            x, y = binary_points()
            model = nn.Sequential(*mlp(16, 32, 1), nn.Flatten(0))

            def loss(s, t):
                return (F.softplus(s) - s * t).mean()

            return setting(model, x, low + (high - low) * y, loss, adam=1e-2)


labels_for_probabilities()


@case(
    "one-hot targets of 0 and 255",
    "masks of several classes read from pictures: the loss is 255 times as large",
    "targets-invalid",
    "wrong",
)
def _():
    x, y = points()
    return setting(mlp(16, 32, 4), x, 255.0 * F.one_hot(y, 4), CROSS_ENTROPY, sgd=0.1)


@case(
    "a sigmoid decoder, pixels of 0 to 255, by hand",
    "autoencoder threads: the targets were not divided",
    "output-range",
    "worse",
)
def _(mended):
    x, _ = pictures(side=8)
    x = x.flatten(1).sigmoid()
    model = nn.Sequential(*mlp(192, 32, 192), nn.Sigmoid())
    loss = lambda o, t: (o - t).square().mean() / (1 if mended else 255**2)  # noqa: E731
    return setting(model, x, x if mended else 255 * x, loss, adam=1e-2)


def mixing_over_the_batch():
    ways = {
        "LayerNorm": (nn.LayerNorm((64, 32)), None),
        "softmax": (nn.Softmax(0), 64),
        "a standardization": (Apply(lambda x: (x - x.mean(0)) / (x.std(0) + 1e-5)), None),
    }
    for name, (mix, factor) in ways.items():

        @case(
            f"{name} over the batch",
            "dim=0 in place of dim=-1: what is said of an example depends on the others, and on how many there are",
            "examples-mix",
            "mixes",
        )
        def _(mix=mix, factor=factor):
            times = Apply(lambda x: x * (factor or 1))
            model = nn.Sequential(nn.Linear(16, 32), copy.deepcopy(mix), times, nn.ReLU())
            return setting(model.append(nn.Linear(32, 4)), *points(), CROSS_ENTROPY, adam=3e-3)


mixing_over_the_batch()


def as_many_times_as_classes():
    for recurrent in (False, True):

        @case(
            f"as many times as classes, {'GRU' if recurrent else 'GPT'}",
            "scores (N, T, C) in cross-entropy, T = C: nothing raises, and times are taken for classes",
            "shape-mismatch",
            "worse",
        )
        def _(mended, recurrent=recurrent):
            class Tagger(nn.Module):
                def __init__(self):
                    super().__init__()
                    self.embed, self.head = nn.Embedding(12, 16), nn.Linear(16, 12)
                    self.memory = nn.GRU(16, 16, batch_first=True)

                def forward(self, text):
                    return self.head(self.memory(self.embed(text))[0])

            model = Tagger() if recurrent else GPT(vocabulary=12)
            loss = next_token if mended else CROSS_ENTROPY
            return setting(model, *tokens(vocabulary=12), loss, adam=1e-2)


as_many_times_as_classes()


@case(
    "gammas of 0 without a skip",
    "zero_init_residual where there is no residual: nothing passes",
    {"units-alike", "blocked-gradient"},
    "unmoved",
)
def _():
    body = nn.Conv2d(3, 8, 3, 2), nn.BatchNorm2d(8), nn.ReLU()
    model = classifier(*body, nn.Conv2d(8, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), size=8)
    for module in model:
        if isinstance(module, nn.BatchNorm2d):
            nn.init.zeros_(module.weight)
    return setting(model, *pictures(), CROSS_ENTROPY, adam=1e-3)


@case(
    "SGD at 20 with momentum",
    "a rate of another loss: after some steps all ReLUs are dead, and the loss stands",
    "update-too-large",
    "worse",
)
def _(mended):
    rate = 0.02 if mended else 20
    return setting(mlp(16, 64, 64, 4), *points(), CROSS_ENTROPY, sgd=rate, momentum=0.9)


@case(
    "F.normalize over the batch",
    "dim=0 in place of dim=1: what is said of an example depends on the others",
    "examples-mix",
    "mixes",
)
def _():

    class Norm(nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.b = (nn.Linear(16, 32), nn.Linear(32, 4))

        def forward(self, x):
            return self.b(F.normalize(self.a(x), dim=0).relu() * 8)

    return setting(Norm(), *points(), CROSS_ENTROPY, adam=0.001)


@case(
    "pooling by a softmax over the batch",
    "weights that sum to 1 over examples, not over places",
    "examples-mix",
    "mixes",
)
def _():

    class Pool(nn.Module):
        def __init__(self):
            super().__init__()
            self.score, self.out = (nn.Linear(4, 1), nn.Linear(4, 2))

        def forward(self, x):
            w = F.softmax(self.score(x), 0)
            return self.out((w * x).sum(1))

    return setting(Pool(), *waves(), CROSS_ENTROPY, adam=0.001)


@case(
    "focal loss by hand with labels -1 and 1",
    "the loss of the negatives falls below 0",
    "targets-invalid",
    "wrong",
)
def _():
    x, y = points()
    model = nn.Sequential(*mlp(16, 32, 1), nn.Flatten(0))

    def focal(o, t):
        p = torch.sigmoid(o)
        return -(
            t * (1 - p) ** 2 * p.clamp_min(1e-07).log()
            + (1 - t) * p**2 * (1 - p).clamp_min(1e-07).log()
        ).mean()

    return setting(model, x, 2 * (y > 1).float() - 1, focal, adam=0.001)


@case(
    "a temperature of 0.001",
    "a division by a temperature meant as a factor: a first loss of hundreds",
    "first-loss-high",
    "wrong",
)
def _():
    x, y = points()
    model = nn.Sequential(
        *mlp(16, 32, 8),
        Apply(lambda e: F.normalize(e, dim=1)),
        nn.Linear(8, 4),
        Apply(lambda s: s / 0.001),
    )
    return setting(model, x, y, CROSS_ENTROPY, adam=0.001)


@case(
    "logits in a Dice loss",
    "without its sigmoid the score has no bound: the loss falls below 0, and the masks do not fit",
    {"logits-for-probabilities", "loss-below-bound"},
    "wrong",
)
def _():
    x, _ = pictures(side=8)
    y = (x.sum(1, keepdim=True) > 0).float()
    m = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(), nn.Conv2d(8, 1, 1))
    return setting(
        m, x, y, lambda o, t: 1 - (2 * (o * t).sum() + 1) / (o.sum() + t.sum() + 1), adam=0.001
    )


@case(
    "cosines as logits of 50 classes",
    "a missing scale: within -1 to 1 the loss cannot fall below ln(1 + 49 exp(-2)) = 2.03",
    {"output-range", "probabilities-for-logits"},
    "wrong",
)
def _():

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.f = mlp(16, 32, 16)
            self.w = nn.Parameter(torch.randn(50, 16))

        def forward(self, x):
            return F.normalize(self.f(x), dim=1) @ F.normalize(self.w, dim=1).T

    x = torch.randn(200, 16)
    return setting(Net(), x, torch.arange(200) % 50, CROSS_ENTROPY, adam=0.001)


@case(
    "logits in CTC",
    "it wants log-probabilities: the loss falls without a bound",
    "logits-for-probabilities",
    "wrong",
)
def _():

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.r = nn.GRU(4, 16, batch_first=True)
            self.o = nn.Linear(16, 6)

        def forward(self, x):
            return self.o(self.r(x)[0])

    x, _ = waves()
    y = torch.randint(1, 6, (32, 3))
    n, m = (torch.full((32,), 12), torch.full((32,), 3))
    return setting(Net(), x, y, lambda o, t: F.ctc_loss(o.transpose(0, 1), t, n, m), adam=0.001)


@case(
    "log-probabilities as targets of KLDivLoss",
    "without log_target=True: nan",
    {"loss-below-bound", "targets-invalid"},
    "not finite",
)
def _():
    x, _ = points()
    y = torch.log_softmax(2 * torch.randn(64, 4), 1)
    return setting(
        nn.Sequential(*mlp(16, 32, 4), nn.LogSoftmax(1)),
        x,
        y,
        nn.KLDivLoss(reduction="batchmean"),
        adam=0.001,
    )


@case("PSNR minimized", "a score as a loss: the pictures get worse", "wrong-direction", "wrong")
def _():
    x, _ = pictures(side=8)
    x = x.sigmoid()
    m = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(), nn.Conv2d(8, 3, 1), nn.Sigmoid())
    return setting(m, x, x, lambda o, t: -10 * (o - t).square().mean().log10(), adam=0.001)


@case(
    "expected accuracy minimized",
    "a missing minus: the network learns to be wrong",
    "wrong-direction",
    "wrong",
)
def _():
    return setting(
        nn.Sequential(*mlp(16, 32, 4), nn.Softmax(1)),
        *points(),
        lambda p, y: p.gather(1, y[:, None]).mean(),
        adam=0.001,
    )


@case(
    "sigmoid before SoftMarginLoss",
    "scores within 0 to 1: the loss of a negative cannot fall below ln 2",
    "probabilities-for-logits",
    "wrong",
)
def _():
    x, y = binary_points()
    return setting(
        nn.Sequential(*mlp(16, 32, 1), nn.Sigmoid(), nn.Flatten(0)),
        x,
        2 * y - 1,
        nn.SoftMarginLoss(),
        adam=0.001,
    )


@case(
    "a rate of 0",
    "a schedule whose first factor is 0, or a group that was forgotten",
    "update-too-small",
    "unmoved",
)
def _():
    return setting(GPT(), *tokens(), next_token, sgd=0.0)


@case(
    "an optimizer of one's own that adds",
    "p += lr * gradient: the loss rises",
    "wrong-direction",
    "wrong",
)
def _():

    class Plus(torch.optim.Optimizer):
        def __init__(self, p, lr):
            super().__init__(p, {"lr": lr})

        @torch.no_grad()
        def step(self, closure=None):
            for g in self.param_groups:
                for p in g["params"]:
                    if p.grad is not None:
                        p.add_(p.grad, alpha=g["lr"])

    b = setting(mlp(16, 32, 4), *points(), CROSS_ENTROPY)
    b["optimizer"] = Plus(b["model"].parameters(), 0.05)
    return b


@case(
    "R squared minimized", "a score as a loss: it falls without a bound", "wrong-direction", "wrong"
)
def _():
    return setting(
        mlp(8, 32, 1),
        *curve(),
        lambda o, t: 1 - (o - t).square().sum() / (t - t.mean()).square().sum(),
        adam=0.001,
    )


@case(
    "HingeEmbeddingLoss with 0 and 1",
    "it takes -1 and 1: pairs that are labelled 0 count as both",
    "targets-invalid",
    "wrong",
)
def _():

    class Pair(nn.Module):
        def __init__(self):
            super().__init__()
            self.f = mlp(16, 32, 8)

        def forward(self, a, b):
            return F.pairwise_distance(self.f(a), self.f(b))

    x, y = points()
    return setting(
        Pair(), (x, x.roll(2, 0)), (y == y.roll(2)).float(), nn.HingeEmbeddingLoss(), adam=0.001
    )


@case(
    "as many times as classes, log-softmax and NLL",
    "times are taken for classes",
    {"logits-for-probabilities", "shape-mismatch"},
    "wrong",
)
def _():
    m = nn.Sequential(
        nn.Embedding(12, 16), nn.Linear(16, 32), nn.Tanh(), nn.Linear(32, 12), nn.LogSoftmax(-1)
    )
    return setting(m, *tokens(vocabulary=12), nn.NLLLoss(), adam=0.001)


@case(
    "GroupNorm with gamma 0 without a skip",
    "nothing passes",
    {"blocked-gradient", "units-alike"},
    "unmoved",
)
def _():
    m = nn.Sequential(
        nn.Conv2d(3, 8, 3, 2),
        nn.GroupNorm(4, 8),
        nn.ReLU(),
        nn.Conv2d(8, 8, 3),
        nn.GroupNorm(4, 8),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(200, 4),
    )
    for k in m:
        if isinstance(k, nn.GroupNorm):
            nn.init.zeros_(k.weight)
    return setting(m, *pictures(), CROSS_ENTROPY, adam=0.001)


@case(
    "sigmoid, log by hand without a limit",
    "inf or nan as soon as the network is sure",
    "not-finite",
    "wrong",
)
def _():
    return setting(
        nn.Sequential(*mlp(16, 32, 1), nn.Sigmoid(), nn.Flatten(0)),
        *binary_points(),
        lambda p, t: -(t * p.log() + (1 - t) * (1 - p).log()).mean(),
        adam=0.001,
    )


# ---------------------------------------------------------------- Reported in forums and issues: masks, labels, memory


class SeesAll(nn.Module):
    """A language model of attention without a causal mask."""

    def __init__(self, causal):
        super().__init__()
        self.token, self.position = nn.Embedding(32, 32), nn.Embedding(12, 32)
        self.blocks = nn.Sequential(
            *[Add(nn.LayerNorm(32), Attention(32, causal=causal)) for _ in range(2)]
        )
        self.head = nn.Linear(32, 32)

    def forward(self, x):
        return self.head(self.blocks(self.token(x) + self.position(torch.arange(12))))


@case(
    "a language model without a causal mask",
    "threads on a loss that falls to 0 and texts that are noise: the next token stands in the inputs",
    "targets-visible",
    "wrong",
)
def _():
    return setting(SeesAll(causal=False), *tokens(), next_token, adam=1e-3)


@case(
    "log-softmax over the time",
    "F.log_softmax(x, dim=1) of (batch, time, classes): the scores of a place do not sum to 1",
    {"logits-for-probabilities", "examples-mix"},
    "wrong",
)
def _():
    model = nn.Sequential(nn.Embedding(32, 32), nn.Linear(32, 32), nn.LogSoftmax(1))

    def loss(output, y):
        return F.nll_loss(output.transpose(1, 2), y)

    return setting(model, *tokens(), loss, adam=1e-3)


@case(
    "a generator of parameters that is used up",
    "parameters() was counted before the optimizer got it: its group is empty",
    "not-in-optimizer",
    "unmoved",
)
def _():
    model = nn.Sequential(mlp(16, 32, 32), nn.ReLU(), nn.Linear(32, 4))
    body = model[0].parameters()
    sum(p.numel() for p in body)
    built = setting(model, *points(), CROSS_ENTROPY)
    groups = [{"params": list(body), "lr": 1e-4}, {"params": list(model[2].parameters())}]
    return built | {"optimizer": torch.optim.Adam(groups, 1e-3)}


class DetachedSteps(nn.Module):
    """A recurrence that detaches its state in each step."""

    def __init__(self, mended):
        super().__init__()
        self.cell, self.out, self.mended = nn.GRUCell(4, 16), nn.Linear(16, 2), mended

    def forward(self, x):
        state = x.new_zeros(len(x), 16)
        for step in x.unbind(1):
            state = self.cell(step, state if self.mended else state.detach())
        return self.out(state)


@case(
    "a state detached in each step",
    "detach() between batches, as tutorials have it, put into the loop: only the last step learns",
    "missing-gradient",
    "wrong",
)
def _():
    return setting(DetachedSteps(mended=False), *waves(), CROSS_ENTROPY, adam=3e-3)


@case(
    "a loss divided by the data's size",
    "divided by len(dataset), not by the batch: 60,000 times too small for SGD",
    "update-too-small",
    "relatively worse",
)
def _(mended):
    def loss(output, y):
        return F.cross_entropy(output, y) / (1 if mended else 60000)

    return setting(mlp(16, 32, 4), *points(), loss, sgd=0.1)


@case(
    "gradients clipped to nothing",
    "hooks that clamp to 1e-8, meant as 1e8",
    "update-too-small",
    "worse",
)
def _(mended):
    model = mlp(16, 32, 4)
    for p in model.parameters():
        if not mended:
            p.register_hook(lambda g: g.clamp(-1e-8, 1e-8))
    return setting(model, *points(), CROSS_ENTROPY, sgd=0.1)


@case(
    "bf16 weights, Adam at 1e-6",
    "issues on pure bf16 training: steps below half of the last bit are rounded away",
    "update-too-small",
    "unmoved",
)
def _():
    x, y = points()
    model = mlp(16, 32, 4).bfloat16()
    return setting(model, x.bfloat16(), y, CROSS_ENTROPY, adam=1e-6)


class LoudEmbedding(nn.Module):
    def __init__(self, scale):
        super().__init__()
        self.token = nn.Embedding(32, 32)
        with torch.no_grad():
            self.token.weight.mul_(scale)
        self.memory, self.out = nn.GRU(32, 32, batch_first=True), nn.Linear(32, 32)

    def forward(self, x):
        return self.out(self.memory(self.token(x))[0])


@case(
    "embeddings of std 50 before a GRU",
    "embeddings read from a file without a norm: all gates are at an end",
    {"saturated", "inputs-out-of-scale", "first-loss-high", "signal-grows"},
    "worse",
)
def _(mended):
    return setting(LoudEmbedding(1 if mended else 50), *tokens(), next_token, adam=3e-3)


@case(
    "LayerNorm(width, width)",
    "the second argument is eps: a variance of 1 beside 64, so the norm divides by 8, layer by layer",
    "signal-fades",
    "worse",
)
def _(mended):
    layers = []
    for fan_in in (16, 64, 64):
        layers += [nn.Linear(fan_in, 64), nn.LayerNorm(64, 1e-5 if mended else 64), nn.ReLU()]
    return setting(nn.Sequential(*layers, nn.Linear(64, 4)), *points(), CROSS_ENTROPY, sgd=0.1)


class Continued(nn.Module):
    """A recurrent network that keeps its state, detached, for batches that do not continue each other."""

    def __init__(self):
        super().__init__()
        self.memory, self.out, self.state = nn.GRU(4, 16, batch_first=True), nn.Linear(16, 2), None

    def forward(self, x):
        y, state = self.memory(x, self.state)
        self.state = state.detach()
        return self.out(y[:, -1])


@case(
    "a state that is never reset",
    "shuffled batches: an answer depends on the batch before, which had other examples",
    {"examples-mix", "random-in-eval"},
    "passes differ",
)
def _():
    return setting(Continued(), *waves(), CROSS_ENTROPY, adam=3e-3)


@case(
    "a loss with .item()",
    "'float' object has no attribute 'backward'",
    "loss-not-scalar",
    "raises",
)
def _():
    def loss(output, y):
        return F.cross_entropy(output, y).item()

    return setting(mlp(16, 32, 4), *points(), loss, adam=1e-3)


@case(
    "RMSprop with lr and alpha exchanged",
    "RMSprop(parameters, 0.99, 1e-3): a step of nearly 1 for each number, which throws the first weights away",
    "update-too-large",
    "starts worse",
)
def _(mended):
    built = setting(mlp(16, 32, 4), *points(), CROSS_ENTROPY)
    given = (1e-3, 0.99) if mended else (0.99, 1e-3)
    return built | {"optimizer": torch.optim.RMSprop(built["model"].parameters(), *given)}


@case(
    "weight_decay=0.9 for momentum=0.9",
    "SGD(parameters, 0.1, weight_decay=0.9): each step takes 9 % of each weight",
    "update-too-large",
    "worse",
)
def _(mended):
    options = {"momentum": 0.9} if mended else {"weight_decay": 0.9}
    return setting(mlp(16, 64, 64, 4), *points(), CROSS_ENTROPY, sgd=0.1, **options)


@case(
    "binary labels 1 and 2",
    "labels of a table from 1 on, with BCEWithLogitsLoss: the loss falls without a bound",
    {"targets-invalid", "loss-below-bound"},
    "below 0",
)
def _():
    x, y = binary_points()
    model = nn.Sequential(*mlp(16, 32, 1), nn.Flatten(0))
    return setting(model, x, y + 1, nn.BCEWithLogitsLoss(), adam=1e-3)


class Doubled(nn.Module):
    """`x = block(x); x += x`: the residual is what it is added to."""

    def __init__(self, mended):
        super().__init__()
        self.blocks = nn.ModuleList(mlp(32, 32, 32) for _ in range(12))
        self.enter, self.out, self.mended = nn.Linear(16, 32), nn.Linear(32, 4), mended

    def forward(self, x):
        x = self.enter(x)
        for block in self.blocks:
            y = block(x)
            x = x + y if self.mended else y + y
        return self.out(x)


@case(
    "a residual that was overwritten",
    "x = block(x); x = x + x: no skip is left, and after 12 blocks the examples are alike",
    {"collapse", "signal-fades", "signal-grows", "gradients-vanish", "gradients-explode"},
    "worse",
)
def _(mended):
    return setting(Doubled(mended), *points(), CROSS_ENTROPY, adam=1e-3)


@case(
    "BatchNorm put to eval before it has seen a batch",
    "frozen norms of a network that was not pretrained: they do nothing but add a bias",
    "statistics-unfit",
    "modes differ",
)
def _():
    body = nn.Conv2d(3, 16, 3), nn.BatchNorm2d(16), nn.ReLU()
    model = nn.Sequential(*body, nn.Conv2d(16, 16, 3), nn.BatchNorm2d(16), nn.ReLU())
    model = classifier(*model, size=16)
    initialized(model, lambda w: nn.init.normal_(w, std=0.02), nn.Conv2d)
    model[1].eval(), model[4].eval()
    return setting(model, *pictures(), CROSS_ENTROPY, adam=1e-3)


class LastStates(nn.Module):
    """The last states of an LSTM in both directions, of (directions, batch, size)."""

    def __init__(self):
        super().__init__()
        self.memory = nn.LSTM(4, 16, batch_first=True, bidirectional=True)
        self.out = nn.Linear(32, 2)

    def forward(self, x):
        _, (h, _) = self.memory(x)
        return self.out(h.reshape(len(x), -1))


@case(
    "h_n viewed as (batch, -1)",
    "h_n is (directions, batch, size): a view puts states of two examples together",
    "examples-mix",
    "mixes",
)
def _():
    return setting(LastStates(), *waves(), CROSS_ENTROPY, adam=3e-3)


@case(
    "a sigmoid twice",
    "in forward and in the loop before BCELoss: all answers are within 0.5 and 0.73",
    {"probabilities-for-logits", "output-range"},
    "worse",
)
def _(mended):
    end = nn.Identity() if mended else nn.Sigmoid()
    model = nn.Sequential(*mlp(16, 32, 1), end, nn.Sigmoid(), nn.Flatten(0))
    return setting(model, *binary_points(), nn.BCELoss(), adam=1e-2)


class Padded(nn.Module):
    def __init__(self):
        super().__init__()
        self.token = nn.Embedding(32, 32, padding_idx=0)
        self.memory, self.out = nn.GRU(32, 32, batch_first=True), nn.Linear(32, 32)

    def forward(self, x):
        return self.out(self.memory(self.token(x))[0])


@case(
    "padding that counts in the loss",
    "no ignore_index: two thirds of the targets are padding, and the loss looks small",
    "targets-invalid",
    "wrong",
)
def _():
    x = torch.randint(1, 32, (32, 13))
    x[torch.arange(13) >= 2 + torch.arange(32)[:, None] % 6] = 0
    return setting(Padded(), x[:, :-1].contiguous(), x[:, 1:].contiguous(), next_token, adam=3e-3)


@case(
    "ignore_index=0 where 0 is a class",
    "a loss copied from a translation: the first class is never learned",
    "targets-invalid",
    "wrong",
)
def _():
    return setting(mlp(16, 32, 4), *points(), nn.CrossEntropyLoss(ignore_index=0), adam=1e-3)


@case(
    "pixels divided by 255 twice",
    "ToTensor has divided already: pixels go from 0 to 0.004",
    "inputs-out-of-scale",
    "worse",
)
def _(mended):
    body = nn.Conv2d(3, 8, 3, 2), nn.ReLU(), nn.Flatten(), nn.Linear(392, 4)
    x, y = pictures()
    x = x.sigmoid()
    return setting(nn.Sequential(*body), x if mended else x / 255, y, CROSS_ENTROPY, sgd=0.1)


@case(
    "outputs and targets exchanged in BCELoss",
    "loss(targets, outputs): its logarithms are those of 0 and 1, cut at -100",
    "targets-invalid",
    "wrong",
)
def _():
    def loss(output, y):
        return F.binary_cross_entropy(y, output)

    model = nn.Sequential(*mlp(16, 32, 1), nn.Sigmoid(), nn.Flatten(0))
    return setting(model, *binary_points(), loss, adam=1e-3)


@case(
    "a mask that scores are multiplied with",
    "scores * tril: what is masked has a score of 0 and not of -inf, so later tokens are seen",
    "targets-visible",
    "wrong",
)
def _():
    class Multiplied(nn.Module):
        def __init__(self):
            super().__init__()
            self.qkv, self.project = nn.Linear(32, 96), nn.Linear(32, 32)

        def forward(self, x):
            q, k, v = self.qkv(x).chunk(3, -1)
            scores = (q @ k.mT / 32**0.5) * torch.ones(x.shape[1], x.shape[1]).tril()
            return self.project(scores.softmax(-1) @ v)

    body = nn.Embedding(32, 32), Add(nn.LayerNorm(32), Multiplied()), nn.LayerNorm(32)
    return setting(nn.Sequential(*body, nn.Linear(32, 32)), *tokens(), next_token, adam=1e-3)


@case(
    "a causal convolution padded on both sides",
    "padding='same' in a forecast of the next value: the kernel holds it",
    "targets-visible",
    "wrong",
)
def _():
    x, _ = waves(length=25, size=1)
    turn = Apply(lambda x: x.mT)
    body = (
        turn,
        nn.Conv1d(1, 16, 3, padding="same"),
        nn.ReLU(),
        nn.Conv1d(16, 1, 3, padding=1),
        turn,
    )
    return setting(
        nn.Sequential(*body), x[:, :-1].contiguous(), x[:, 1:].contiguous(), MSE, adam=3e-3
    )


@case(
    "a class of weight 0",
    "weights computed from counts of another split: the third class is never learned",
    "targets-invalid",
    "wrong",
)
def _():
    loss = nn.CrossEntropyLoss(weight=torch.tensor([1.0, 1.0, 0.0, 1.0]))
    return setting(mlp(16, 32, 4), *points(), loss, adam=1e-3)


@case(
    "nn.init.uniform_ without bounds",
    "it draws from 0 to 1: each layer is 30 times larger than the last, and all examples are alike",
    {"signal-grows", "collapse", "gradients-explode"},
    "worse",
)
def _(mended):
    draw = nn.init.kaiming_uniform_ if mended else nn.init.uniform_
    model = initialized(mlp(16, *[64] * 5, 4), draw)
    return setting(model, *points(), CROSS_ENTROPY, adam=1e-3)


class TwoBranches(nn.Module):
    def __init__(self):
        super().__init__()
        self.left, self.right, self.out = nn.Linear(16, 32), nn.Linear(16, 32), nn.Linear(64, 4)

    def forward(self, x):
        return self.out(torch.cat([self.left(x).relu(), self.right(x).data.relu()], 1))


@case(
    "one of two branches read by .data",
    "an old way to silence an error: this branch never learns",
    "missing-gradient",
    "unmoved",
)
def _():
    return setting(TwoBranches(), *points(), CROSS_ENTROPY, adam=1e-3)


@case(
    "features viewed with a wrong width",
    "x.view(-1, 196) of (16, 8, 7, 7): there are 32 rows for 16 labels",
    {"shape-mismatch", "loss-raises", "forward-raises"},
    "raises",
)
def _():
    view = Apply(lambda x: x.view(-1, 196))
    body = nn.Conv2d(3, 8, 3, 2), nn.ReLU(), view, nn.Linear(196, 4)
    return setting(nn.Sequential(*body), *pictures(), CROSS_ENTROPY, adam=1e-3)


@case(
    "one column of prices among the targets",
    "rooms and prices with one squared error: the price is all of the loss",
    "first-loss-high",
    "worse",
)
def _(mended):
    x, y = curve(outputs=3)
    if not mended:
        y = y * torch.tensor([1.0, 1.0, 5e4]) + torch.tensor([3.0, 2.0, 2e5])
    return setting(mlp(8, 32, 3), x, y, MSE, adam=1e-2)


@case(
    "BatchNorm2d(16, 16)",
    "the second argument is eps, and not the number of channels",
    "signal-fades",
    "worse",
)
def _(mended):
    layers = []
    for fan_in in (3, 16, 16):
        norm = nn.BatchNorm2d(16, 1e-5 if mended else 16)
        layers += [nn.Conv2d(fan_in, 16, 3, 1, 1, bias=False), norm, nn.ReLU()]
    return setting(classifier(*layers, size=16), *pictures(), CROSS_ENTROPY, sgd=0.05)


@case(
    "softmax of a sigmoid, with NLLLoss of its logarithm",
    "a model that ends with two of them",
    {"probabilities-for-logits", "output-range"},
    "worse",
)
def _(mended):
    def loss(output, y):
        return F.nll_loss(output.log(), y)

    end = [] if mended else [nn.Sigmoid()]
    model = nn.Sequential(*mlp(16, 32, 4), *end, nn.Softmax(1))
    return setting(model, *points(), loss, adam=1e-2)


@case(
    "standardized over the whole batch in forward",
    "x - x.mean() of all examples, in place of each: an answer depends on the others",
    "examples-mix",
    "mixes",
)
def _():
    model = nn.Sequential(Apply(lambda x: (x - x.mean()) / x.std()), *mlp(16, 32, 4))
    return setting(model, *points(), CROSS_ENTROPY, adam=1e-3)


@case(
    "Adam in float16",
    "model.half(): the squares of small gradients and eps are 0, a step is 0 / 0 or endless",
    {"update-too-large", "not-finite"},
    "not finite",
)
def _():
    x, y = points()
    model = mlp(16, 32, 4).half()
    return setting(model, x.half(), y, CROSS_ENTROPY, adam=1e-3)


@case(
    "a convolution padded on both sides, time last",
    "the same fault on series of (batch, channels, time), as Conv1d has them",
    "targets-visible",
    "wrong",
)
def _():
    x, _ = waves(length=25, size=1)
    body = nn.Conv1d(1, 16, 3, padding="same"), nn.ReLU(), nn.Conv1d(16, 1, 3, padding=1)
    x = x.mT
    return setting(
        nn.Sequential(*body), x[..., :-1].contiguous(), x[..., 1:].contiguous(), MSE, adam=3e-3
    )


@case(
    "the last example's states in place of the last step's",
    "batch_first=True and out[-1], in batches as large as the texts are long: no error tells",
    "examples-mix",
    "mixes",
)
def _():
    class Last(nn.Module):
        def __init__(self):
            super().__init__()
            self.memory, self.out = nn.LSTM(1, 32, batch_first=True), nn.Linear(32, 2)

        def forward(self, x):
            return self.out(self.memory(x)[0][-1])

    x, _ = waves(length=32, size=1)
    return setting(Last(), x[:32], (x[:32].sum((1, 2)) > 0).long(), CROSS_ENTROPY, adam=1e-3)


# ---------------------------------------------------------------- Shapes within a loss, shares, and Adadelta


@case(
    "targets cut to (N,) within the loss",
    "threads on a regression that predicts the mean: y[:, 0] meets outputs of (N, 1) as all pairs",
    "shape-mismatch",
    "worse",
)
def _(mended):
    def loss(o, y):
        return (o - (y if mended else y[:, 0])).square().mean()

    return setting(mlp(8, 32, 1), *curve(), loss, adam=1e-2)


@case(
    "targets flattened within an L1 loss",
    "the same by .view(-1), in a function of torch",
    "shape-mismatch",
    "worse",
)
def _(mended):
    def loss(o, y):
        return F.l1_loss(o, y if mended else y.view(-1))

    return setting(mlp(8, 32, 1), *curve(), loss, adam=1e-2)


@case(
    "weights of examples that meet (N, 1)",
    "threads on sample weights: (N,) times (N, 1) gives each error the mean weight, so that they count for nothing",
    "shape-mismatch",
    "wrong",
)
def _():
    weights = torch.rand(64)

    def loss(o, y):
        return (weights * (o - y) ** 2).mean()

    return setting(mlp(8, 32, 1), *curve(), loss, adam=1e-2)


@case(
    "values (N, 1) and returns (N,)",
    "actor and critic: all values go to the mean return",
    "shape-mismatch",
    "worse",
)
def _(mended):
    class Actor(nn.Module):
        def __init__(self):
            super().__init__()
            self.body, self.act, self.value = mlp(8, 32, 32), nn.Linear(32, 3), nn.Linear(32, 1)

        def forward(self, x):
            x = self.body(x).relu()
            return self.act(x), self.value(x)

    def loss(o, y):
        values = o[1].squeeze(1) if mended else o[1]
        return 0.1 * F.cross_entropy(o[0], y[0]) + (y[1] - values).pow(2).mean()

    x, y = curve()
    return setting(Actor(), x, (y[:, 0].abs().long().clamp(0, 2), y[:, 0]), loss, adam=1e-2)


@case(
    "masks cut to (N, H, W) within the loss",
    "U-Net threads: each mask meets every picture",
    "shape-mismatch",
    "worse",
)
def _(mended):
    model = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(), nn.Conv2d(8, 1, 1))
    x, _ = pictures(side=8)
    y = (x.sum(1, keepdim=True) > 0).float()

    def loss(o, y):
        return (o - (y if mended else y[:, 0])).square().mean()

    return setting(model, x, y, loss, adam=1e-2)


def labels_of(x, count=5):
    """Several labels for each example, 0 to `count` of them."""
    return (x @ torch.randn(x.shape[1], count) > 0).float()


@case(
    "softmax for several labels, BCELoss",
    "threads on multi-label pictures: two labels at once cost ln 2 each at best",
    {"output-range", "probabilities-for-logits"},
    "worse",
)
def _(mended):
    x, _ = points()
    model = nn.Sequential(*mlp(16, 32, 5), nn.Sigmoid() if mended else nn.Softmax(1))
    return setting(model, x, labels_of(x), nn.BCELoss(), adam=1e-2)


@case(
    "softmax for several labels, squared error",
    "the same, with MSELoss",
    {"output-range", "probabilities-for-logits"},
    "worse",
)
def _(mended):
    x, _ = points()
    model = nn.Sequential(*mlp(16, 32, 5), nn.Sigmoid() if mended else nn.Softmax(1))
    return setting(model, x, labels_of(x), MSE, adam=1e-2)


@case(
    "softmax over masks that overlap",
    "segmentation of organs: a pixel belongs to several masks, or to none",
    {"output-range", "probabilities-for-logits"},
    "worse",
)
def _(mended):
    x, _ = pictures(side=8)
    y = (torch.einsum("nchw,kc->nkhw", x, torch.randn(4, 3)) > 0).float()
    end = nn.Sigmoid() if mended else nn.Softmax(1)
    model = nn.Sequential(nn.Conv2d(3, 16, 1), nn.ReLU(), nn.Conv2d(16, 4, 1), end)
    return setting(model, x, y, nn.BCELoss(), adam=2e-2)


@case(
    "scores (N, C, T) read by view(-1, C)",
    "threads on a tagger of convolutions that learns nothing: a row holds numbers of several times",
    "shape-mismatch",
    "worse",
)
def _(mended):
    x, y = tokens()
    body = nn.Conv1d(32, 32, 1), nn.ReLU(), nn.Conv1d(32, 32, 1)
    turn = Apply(lambda x: x.transpose(1, 2))

    def loss(o, y):
        rows = o.transpose(1, 2).reshape(-1, 32) if mended else o.view(-1, 32)
        return F.cross_entropy(rows, y.reshape(-1))

    return setting(nn.Sequential(nn.Embedding(32, 32), turn, *body), x, y, loss, adam=1e-2)


@case(
    "scores (N, C, H, W) read by view(-1, C)",
    "threads on segmentation: the flattened scores do not fit the flattened masks",
    "shape-mismatch",
    "worse",
)
def _(mended):
    x, _ = pictures(side=8)
    y = torch.einsum("nchw,kc->nkhw", x, torch.randn(5, 3)).argmax(1)
    model = nn.Sequential(nn.Conv2d(3, 16, 1), nn.ReLU(), nn.Conv2d(16, 5, 1))

    def loss(o, y):
        rows = o.permute(0, 2, 3, 1).reshape(-1, 5) if mended else o.reshape(-1, 5)
        return F.nll_loss(F.log_softmax(rows, 1), y.flatten())

    return setting(model, x, y, loss, adam=2e-2)


@case(
    "Adadelta with lr 0.001",
    "code taken over from another library, whose default it is: there is hardly a step",
    "update-too-small",
    "worse",
)
def _(mended):
    built = setting(mlp(16, 64, 64, 4), *points(), CROSS_ENTROPY)
    parameters = built["model"].parameters()
    return built | {"optimizer": torch.optim.Adadelta(parameters, 1.0 if mended else 1e-3)}


@case(
    "several labels in cross-entropy",
    "multi-label threads: of rows with three ones, each can get a third at best",
    "targets-invalid",
    "worse",
)
def _(mended):
    x, _ = points()
    loss = nn.BCEWithLogitsLoss() if mended else CROSS_ENTROPY
    return setting(mlp(16, 32, 5), x, labels_of(x), loss, adam=1e-2)


@case(
    "one-hot rows of zeros",
    "a class that the encoder does not know: a quarter of the examples teach nothing, and lower the loss",
    "targets-invalid",
    "wrong",
)
def _():
    x, y = points()
    return setting(
        mlp(16, 32, 4), x, F.one_hot(y, 4).float() * (y[:, None] < 3), CROSS_ENTROPY, adam=3e-3
    )


@case(
    "smoothed labels that sum to more than 1",
    "label smoothing by hand that forgets to divide by the classes",
    "targets-invalid",
    "worse",
)
def _(mended):
    x, y = points()
    y = 0.9 * F.one_hot(y, 4) + (0.1 / 4 if mended else 0.1)
    return setting(mlp(16, 32, 4), x, y, CROSS_ENTROPY, adam=1e-2)


@case(
    "a teacher's softmax over the batch",
    "distillation with softmax(dim=0): an example's shares sum to anything",
    "targets-invalid",
    "wrong",
)
def _():
    x, _ = points()
    y = torch.softmax(3 * torch.randn(64, 4), 0)

    def loss(o, y):
        return F.kl_div(F.log_softmax(o, 1), y, reduction="batchmean")

    return setting(mlp(16, 32, 4), x, y, loss, adam=3e-3)


@case(
    "soft labels by hand that sum to anything",
    "a cross-entropy by hand, with votes of annotators that nobody has divided by their number",
    "targets-invalid",
    "worse",
)
def _(mended):
    x, y = points()
    y = F.one_hot(y, 4) * torch.randint(1, 6, (64, 1)) + torch.rand(64, 4).round()
    y = y / y.sum(1, keepdim=True) if mended else y

    def loss(o, y):
        return -(y * F.log_softmax(o, 1)).sum(1).mean()

    return setting(mlp(16, 32, 4), x, y, loss, adam=1e-2)
