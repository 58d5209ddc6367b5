"""Healthy designs, tiny: as they are published, with the rates that people use."""

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
from torch.utils.checkpoint import checkpoint

HEALTHY = []
case = adder(HEALTHY)
CROSS_ENTROPY = nn.CrossEntropyLoss()

# ---------------------------------------------------------------- MLPs


def bends():
    """Nonlinearities, as torch initializes the layers around them."""
    kinds = {
        "tanh": nn.Tanh,
        "ReLU": nn.ReLU,
        "GELU": nn.GELU,
        "SiLU": nn.SiLU,
        "LeakyReLU": lambda: nn.LeakyReLU(0.1),
        "ELU": nn.ELU,
        "Mish": nn.Mish,
        "Hardswish": nn.Hardswish,
        "PReLU": nn.PReLU,
        "Softplus": nn.Softplus,
        "ReLU squared": lambda: Apply(lambda x: x.relu().square()),
    }
    for name, bend in kinds.items():

        @case(f"MLP with {name}", "two hidden layers, torch's initialization")
        def _(bend=bend):
            return setting(mlp(16, 64, 64, 4, bend=bend), *points(), CROSS_ENTROPY, adam=3e-3)


bends()


@case("He MLP of 6 layers", "He et al. 2015")
def _():
    model = initialized(mlp(16, *[64] * 6, 4), nn.init.kaiming_normal_)
    nn.init.normal_(model[-1].weight, std=0.01)
    return setting(model, *points(), CROSS_ENTROPY, lr=0.05)


@case("Xavier tanh MLP of 6 layers", "Glorot and Bengio 2010, gain 5/3")
def _():
    def draw(weight):
        nn.init.xavier_normal_(weight, 5 / 3)

    model = initialized(mlp(16, *[64] * 6, 4, bend=nn.Tanh), draw)
    nn.init.normal_(model[-1].weight, std=0.01)
    return setting(model, *points(), CROSS_ENTROPY, lr=0.05)


def deep_tanh():
    for gain in (1.0, 1.1):

        @case(
            f"32 tanh layers, gain {gain}",
            "cases.md: fades to 0.2, and learns best; orthogonal, Saxe et al. 2014",
        )
        def _(gain=gain):
            def draw(weight):
                nn.init.orthogonal_(weight, gain)

            model = initialized(mlp(16, *[64] * 32, 4, bend=nn.Tanh), draw)
            return setting(model, *points(), CROSS_ENTROPY, lr=0.02)


deep_tanh()


@case("self-normalizing MLP of 8 layers", "Klambauer et al. 2017: SELU, LeCun normal, AlphaDropout")
def _():
    def draw(weight):
        nn.init.normal_(weight, std=weight.shape[1] ** -0.5)

    model = initialized(mlp(16, *[64] * 8, 4, bend=nn.SELU), draw)
    model.insert(len(model) - 1, nn.AlphaDropout(0.05))
    return setting(model, *points(), CROSS_ENTROPY, lr=0.02)


# ---------------------------------------------------------------- Convolutions


class Residual(nn.Module):
    """A block of ResNet; its last gamma may start at 0."""

    def __init__(self, size, zero=True):
        super().__init__()
        self.a, self.norm_a = nn.Conv2d(size, size, 3, 1, 1, bias=False), nn.BatchNorm2d(size)
        self.b, self.norm_b = nn.Conv2d(size, size, 3, 1, 1, bias=False), nn.BatchNorm2d(size)
        if zero:
            nn.init.zeros_(self.norm_b.weight)

    def forward(self, x):
        return F.relu(x + self.norm_b(self.b(F.relu(self.norm_a(self.a(x))))))


def classified(*body, size):
    return nn.Sequential(*body, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(size, 4))


def resnets():
    for zero in (True, False):

        @case(f"ResNet, last gamma {0 if zero else 1}", "He et al. 2016; Goyal et al. 2017")
        def _(zero=zero):
            stem = nn.Conv2d(3, 16, 3, 1, 1, bias=False), nn.BatchNorm2d(16), nn.ReLU()
            down = nn.Conv2d(16, 32, 1, 2, bias=False), nn.BatchNorm2d(32)
            blocks = Residual(16, zero), Residual(16, zero), *down, Residual(32, zero)
            model = initialized(classified(*stem, *blocks, size=32), he_out, nn.Conv2d)
            return setting(model, *pictures(side=8), CROSS_ENTROPY, sgd=0.05, momentum=0.9)


def he_out(weight):
    nn.init.kaiming_normal_(weight, mode="fan_out", nonlinearity="relu")


resnets()


@case("VGG-11 without BatchNorm", "torchvision: He, fan_out; last layers of std 0.01, dropout")
def _():
    layers, before = [], 3
    for channels in (8, "M", 16, "M", 32, 32, "M", 64, 64, "M", 64, 64):
        if channels == "M":
            layers.append(nn.MaxPool2d(2))
        else:
            layers += [nn.Conv2d(before, channels, 3, padding=1), nn.ReLU(inplace=True)]
            before = channels
    model = initialized(nn.Sequential(*layers), he_out)
    head = nn.Linear(64 * 4, 128), nn.ReLU(), nn.Dropout(), nn.Linear(128, 4)
    head = initialized(nn.Sequential(*head), lambda w: nn.init.normal_(w, 0, 0.01), nn.Linear)
    x, y = pictures(side=32)
    return setting(nn.Sequential(*model, nn.Flatten(), *head), x, y, CROSS_ENTROPY, adam=1e-3)


class ConvNeXt(nn.Module):
    """A block of ConvNeXt: depthwise, LayerNorm, two pointwise layers, LayerScale."""

    def __init__(self, size, scale=1e-6):
        super().__init__()
        self.depthwise = nn.Conv2d(size, size, 7, padding=3, groups=size)
        self.norm, self.mix = nn.LayerNorm(size), mlp(size, 4 * size, size, bend=nn.GELU)
        self.scale = nn.Parameter(torch.full((size,), scale))

    def forward(self, x):
        y = self.scale * self.mix(self.norm(self.depthwise(x).movedim(1, -1)))
        return x + y.movedim(-1, 1)


@case("ConvNeXt, LayerScale 1e-6", "Liu et al. 2022")
def _():
    body = nn.Conv2d(3, 16, 4, 4), nn.GroupNorm(1, 16), ConvNeXt(16), ConvNeXt(16), ConvNeXt(16)
    model = nn.Sequential(*body, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.LayerNorm(16))
    model.append(nn.Linear(16, 4))
    model = initialized(model, lambda w: nn.init.trunc_normal_(w, std=0.02))
    return setting(model, *pictures(), CROSS_ENTROPY, adam=4e-3)


# ---------------------------------------------------------------- Transformers


def gpts():
    options = {
        "GPT": {},
        "GPT, zero output projections": {"zero_projections": True},
        "GPT, zero head": {"zero_head": True},
        "GPT, tied embeddings": {"tied": True},
        "GPT, dropout": {"dropout": 0.1},
    }
    for name, chosen in options.items():

        @case(name, "Radford et al. 2019, nanoGPT: weights of std 0.02, AdamW")
        def _(chosen=chosen):
            x, y = tokens()
            return setting(GPT(**chosen), x, y, next_token, adam=1e-3)


gpts()


class RMSNorm(nn.Module):
    def __init__(self, size):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(size))

    def forward(self, x):
        return self.weight * x * (x.square().mean(-1, keepdim=True) + 1e-6).rsqrt()


class SwiGLU(nn.Module):
    def __init__(self, size):
        super().__init__()
        self.gate, self.up = nn.Linear(size, 2 * size, False), nn.Linear(size, 2 * size, False)
        self.down = nn.Linear(2 * size, size, False)

    def forward(self, x):
        return self.down(F.silu(self.gate(x)) * self.up(x))


@case("Llama", "Touvron et al. 2023: RMSNorm, SwiGLU, no biases")
def _():
    blocks = []
    for _ in range(2):
        blocks += [Add(RMSNorm(32), Attention(32)), Add(RMSNorm(32), SwiGLU(32))]
    model = nn.Sequential(nn.Embedding(32, 32), *blocks, RMSNorm(32), nn.Linear(32, 32, False))
    model = initialized(model, small, (nn.Linear, nn.Embedding))
    return setting(model, *tokens(), next_token, adam=3e-3, betas=(0.9, 0.95))


def small(weight):
    nn.init.normal_(weight, std=0.02)


@case("labels with -100", "BERT: 15 % of the positions have a label")
def _():
    x, y = tokens()
    y[torch.rand(y.shape) < 0.85] = -100
    return setting(GPT(layers=2), x, y, next_token, adam=1e-3)


class Output:
    """As Hugging Face's models return it."""

    def __init__(self, loss, logits):
        self.loss, self.logits = loss, logits


class HuggingFace(nn.Module):
    def __init__(self):
        super().__init__()
        self.transformer = GPT(layers=2)

    def forward(self, input_ids, labels=None):
        logits = self.transformer(input_ids)
        return Output(shifted(logits, labels), logits)


def shifted(output, targets):
    return next_token(output[:, :-1], targets[:, 1:])


@case("input_ids and labels", "cases.md 14: a dict of inputs, an object with .loss and .logits")
def _():
    x, _ = tokens()
    return setting(HuggingFace(), {"input_ids": x, "labels": x}, None, None, adam=1e-3)


@case("shifted labels", "the labels are the inputs; the loss shifts them")
def _():
    x, _ = tokens()
    return setting(GPT(layers=2), x, x, shifted, adam=1e-3)


class Encoder(nn.Module):
    """torch's encoder over (batch, time, size), each layer drawn anew."""

    def __init__(self, layers=3, norm_first=True):
        super().__init__()
        self.enter, self.out = nn.Linear(4, 32), nn.Linear(32, 2)
        layer = nn.TransformerEncoderLayer(32, 2, 64, 0.1, batch_first=True, norm_first=norm_first)
        self.encoder = nn.TransformerEncoder(layer, layers, enable_nested_tensor=False)
        for weight in self.encoder.parameters():
            if weight.ndim > 1:
                nn.init.xavier_uniform_(weight)

    def forward(self, x):
        return self.out(self.encoder(self.enter(x)).mean(1))


@case("a Transformer drawn anew, post-norm", "Vaswani et al. 2017; torch's layers, re-initialized")
def _():
    return setting(Encoder(norm_first=False), *waves(), CROSS_ENTROPY, adam=1e-3)


@case("a Transformer drawn anew, pre-norm", "Xiong et al. 2020")
def _():
    return setting(Encoder(), *waves(), CROSS_ENTROPY, adam=1e-3)


class Padded(nn.Module):
    """Attention that leaves padding out, pooled over what is left."""

    def __init__(self):
        super().__init__()
        self.token, self.norm = nn.Embedding(32, 32, padding_idx=0), nn.LayerNorm(32)
        self.attend, self.out = nn.MultiheadAttention(32, 2, batch_first=True), nn.Linear(32, 4)

    def forward(self, text):
        x, padding = self.token(text), text == 0
        y = self.norm(x)
        x = x + self.attend(y, y, y, key_padding_mask=padding, need_weights=False)[0]
        return self.out((x * ~padding[..., None]).sum(1) / (~padding).sum(1, keepdim=True))


@case("attention with a padding mask", "texts of several lengths, padding_idx")
def _():
    x = torch.randint(1, 32, (32, 12))
    y = x[:, 0] % 4
    x[torch.arange(12) >= torch.randint(2, 13, (32, 1))] = 0
    return setting(Padded(), x, y, CROSS_ENTROPY, adam=3e-3)


class ViT(nn.Module):
    """Patches, a class token, positions; the head starts at 0."""

    def __init__(self):
        super().__init__()
        self.patches = nn.Conv2d(3, 32, 4, 4)
        self.first = nn.Parameter(torch.zeros(1, 1, 32))
        self.position = nn.Parameter(0.02 * torch.randn(1, 17, 32))
        self.blocks = nn.Sequential()
        for _ in range(2):
            self.blocks.append(Add(nn.LayerNorm(32), Attention(32, causal=False)))
            self.blocks.append(Add(nn.LayerNorm(32), *mlp(32, 128, 32, bend=nn.GELU)))
        self.norm, self.head = nn.LayerNorm(32), nn.Linear(32, 4)
        nn.init.zeros_(self.head.weight)

    def forward(self, x):
        x = self.patches(x).flatten(2).mT
        x = torch.cat([self.first.expand(len(x), 1, 32), x], 1) + self.position
        return self.head(self.norm(self.blocks(x))[:, 0])


@case("ViT, zero class token, zero head", "Dosovitskiy et al. 2021")
def _():
    return setting(ViT(), *pictures(), CROSS_ENTROPY, adam=1e-3)


class Mixer(nn.Module):
    """A block of MLP-Mixer over (batch, patches, size)."""

    def __init__(self, patches, size):
        super().__init__()
        self.norm_a, self.over_patches = nn.LayerNorm(size), mlp(patches, 32, patches, bend=nn.GELU)
        self.norm_b, self.over_units = nn.LayerNorm(size), mlp(size, 64, size, bend=nn.GELU)

    def forward(self, x):
        x = x + self.over_patches(self.norm_a(x).mT).mT
        return x + self.over_units(self.norm_b(x))


@case("MLP-Mixer", "Tolstikhin et al. 2021")
def _():
    patches = nn.Conv2d(3, 32, 4, 4), nn.Flatten(2), Apply(lambda x: x.mT)
    end = nn.LayerNorm(32), Apply(lambda x: x.mean(1)), nn.Linear(32, 4)
    model = nn.Sequential(*patches, *[Mixer(16, 32) for _ in range(4)], *end)
    return setting(model, *pictures(), CROSS_ENTROPY, adam=1e-3)


class Crossed(nn.Module):
    """An encoder, and a decoder that attends to it."""

    def __init__(self):
        super().__init__()
        self.source, self.target = nn.Embedding(32, 32), nn.Embedding(32, 32)
        self.encoder = Add(nn.LayerNorm(32), Attention(32, causal=False))
        self.decoder = Add(nn.LayerNorm(32), Attention(32))
        self.norm, self.cross = nn.LayerNorm(32), nn.MultiheadAttention(32, 2, batch_first=True)
        self.out = nn.Linear(32, 32)

    def forward(self, source, target):
        memory, x = self.encoder(self.source(source)), self.decoder(self.target(target))
        x = x + self.cross(self.norm(x), memory, memory, need_weights=False)[0]
        return self.out(x)


@case("an encoder and a decoder", "Vaswani et al. 2017; two inputs")
def _():
    x, y = tokens()
    return setting(Crossed(), (x, x), y, next_token, adam=3e-3)


class Low(nn.Module):
    """LoRA: a frozen linear layer and a product of two narrow ones, the second 0."""

    def __init__(self, layer, rank=4):
        super().__init__()
        self.layer = layer.requires_grad_(False)
        self.A = nn.Parameter(torch.randn(rank, layer.in_features) / layer.in_features**0.5)
        self.B = nn.Parameter(torch.zeros(layer.out_features, rank))

    def forward(self, x):
        return self.layer(x) + 2 * x @ self.A.T @ self.B.T


@case("LoRA, B zero", "Hu et al. 2022")
def _():
    model = mlp(16, 64, 64, 4)
    for k in (0, 2, 4):
        model[k] = Low(model[k])
    return setting(model, *points(), CROSS_ENTROPY, adam=3e-3)


@case("a frozen body and a new head", "transfer learning: linear probe")
def _():
    model = nn.Sequential(mlp(16, 64, 64).requires_grad_(False), nn.ReLU(), nn.Linear(64, 4))
    x, y = points()
    built = setting(model, x, y, CROSS_ENTROPY)
    return built | {"optimizer": torch.optim.Adam(model[-1].parameters(), 1e-2)}


@case("adapters that start at 0", "Houlsby et al. 2019: frozen blocks, trained bottlenecks")
def _():
    layers = [nn.Linear(16, 32).requires_grad_(False)]
    for _ in range(2):
        layers.append(Add(*mlp(32, 64, 32)).requires_grad_(False))
        layers.append(Add(*mlp(32, 8, 32, bend=nn.GELU)))
        nn.init.zeros_(layers[-1].branch[-1].weight)
    model = nn.Sequential(*layers, nn.LayerNorm(32), nn.Linear(32, 4))
    return setting(model, *points(), CROSS_ENTROPY, adam=3e-3)


class Experts(nn.Module):
    """A mixture of four, weighted by a router."""

    def __init__(self, size):
        super().__init__()
        self.router = nn.Linear(size, 4, bias=False)
        self.experts = nn.ModuleList(mlp(size, 32, size) for _ in range(4))

    def forward(self, x):
        share = self.router(x).softmax(-1)
        return x + sum(share[:, k, None] * one(x) for k, one in enumerate(self.experts))


@case("a mixture of experts", "Shazeer et al. 2017, all experts at work")
def _():
    model = nn.Sequential(nn.Linear(16, 32), Experts(32), nn.LayerNorm(32), nn.Linear(32, 4))
    return setting(model, *points(), CROSS_ENTROPY, adam=3e-3)


# ---------------------------------------------------------------- More convolutions


@case("MobileNet, depthwise", "Howard et al. 2017; ReLU6")
def _():
    layers, before = [nn.Conv2d(3, 16, 3, 1, 1, bias=False), nn.BatchNorm2d(16), nn.ReLU6()], 16
    for size, stride in ((16, 1), (32, 2), (32, 1)):
        layers += [nn.Conv2d(before, before, 3, stride, 1, groups=before, bias=False)]
        layers += [nn.BatchNorm2d(before), nn.ReLU6(), nn.Conv2d(before, size, 1, bias=False)]
        layers += [nn.BatchNorm2d(size), nn.ReLU6()]
        before = size
    return setting(classified(*layers, size=32), *pictures(side=8), CROSS_ENTROPY, adam=3e-3)


class Squeeze(nn.Module):
    """Squeeze and excitation: channels are weighted by a sigmoid."""

    def __init__(self, size):
        super().__init__()
        self.weigh = nn.Sequential(nn.Conv2d(size, 4, 1), nn.SiLU(), nn.Conv2d(4, size, 1))

    def forward(self, x):
        return x * torch.sigmoid(self.weigh(x.mean((2, 3), keepdim=True)))


@case("squeeze and excitation", "Tan and Le 2019: SiLU, BatchNorm")
def _():
    layers = [nn.Conv2d(3, 16, 3, 2, 1, bias=False), nn.BatchNorm2d(16), nn.SiLU()]
    for _ in range(2):
        layers.append(
            Add(nn.Conv2d(16, 16, 3, 1, 1, bias=False), nn.BatchNorm2d(16), nn.SiLU(), Squeeze(16))
        )
    return setting(classified(*layers, size=16), *pictures(), CROSS_ENTROPY, adam=3e-3)


@case("a pre-activation ResNet with GroupNorm", "He et al. 2016b; Wu and He 2018")
def _():
    def branch():
        first = nn.GroupNorm(4, 16), nn.ReLU(), nn.Conv2d(16, 16, 3, 1, 1)
        return Add(*first, nn.GroupNorm(4, 16), nn.ReLU(), nn.Conv2d(16, 16, 3, 1, 1))

    body = nn.Conv2d(3, 16, 3, 1, 1), branch(), branch(), nn.GroupNorm(4, 16), nn.ReLU()
    return setting(
        classified(*body, size=16), *pictures(side=8), CROSS_ENTROPY, sgd=0.05, momentum=0.9
    )


class Dense(nn.Module):
    """A layer of DenseNet: its outputs are put beside its inputs."""

    def __init__(self, size, growth=8):
        super().__init__()
        self.norm, self.layer = nn.BatchNorm2d(size), nn.Conv2d(size, growth, 3, 1, 1, bias=False)

    def forward(self, x):
        return torch.cat([x, self.layer(F.relu(self.norm(x)))], 1)


@case("DenseNet", "Huang et al. 2017")
def _():
    body = nn.Conv2d(3, 16, 3, 1, 1, bias=False), *[Dense(16 + 8 * k) for k in range(4)]
    model = classified(*body, nn.BatchNorm2d(48), nn.ReLU(), size=48)
    return setting(model, *pictures(side=8), CROSS_ENTROPY, sgd=0.05, momentum=0.9)


class UNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.b = self.double(3, 8), self.double(8, 16)
        self.up, self.c = nn.ConvTranspose2d(16, 8, 2, 2), self.double(16, 8)
        self.out = nn.Conv2d(8, 1, 1)

    @staticmethod
    def double(before, size):
        first = nn.Conv2d(before, size, 3, 1, 1, bias=False), nn.BatchNorm2d(size), nn.ReLU()
        return nn.Sequential(*first, nn.Conv2d(size, size, 3, 1, 1), nn.ReLU())

    def forward(self, x):
        a = self.a(x)
        return self.out(self.c(torch.cat([a, self.up(self.b(F.max_pool2d(a, 2)))], 1)))


@case("U-Net, masks", "Ronneberger et al. 2015; binary cross-entropy over all pixels")
def _():
    x, _ = pictures(count=8)
    y = (x.mean(1, keepdim=True) > 0).float()
    return setting(UNet(), x, y, nn.BCEWithLogitsLoss(), adam=3e-3)


@case("a convolutional autoencoder", "sigmoid at the end, pictures from 0 to 1")
def _():
    down = nn.Conv2d(3, 8, 3, 2, 1), nn.GELU(), nn.Conv2d(8, 16, 3, 2, 1), nn.GELU()
    up = nn.ConvTranspose2d(16, 8, 2, 2), nn.GELU(), nn.ConvTranspose2d(8, 3, 2, 2), nn.Sigmoid()
    x = torch.sigmoid(pictures()[0])
    return setting(nn.Sequential(*down, *up), x, x, nn.MSELoss(), adam=3e-3)


@case("dilated convolutions over time", "van den Oord et al. 2016, weight norm as in TCNs")
def _():
    norm = nn.utils.parametrizations.weight_norm
    layers = [norm(nn.Conv1d(4, 16, 3, padding=1)), nn.ReLU()]
    for k in (2, 4):
        layers.append(Add(norm(nn.Conv1d(16, 16, 3, padding=k, dilation=k)), nn.ReLU()))
    model = nn.Sequential(Apply(lambda x: x.mT), *layers, nn.AdaptiveAvgPool1d(1))
    return setting(
        model.extend([nn.Flatten(), nn.Linear(16, 2)]), *waves(), CROSS_ENTROPY, adam=3e-3
    )


@case("a trained BatchNorm in eval mode", "fine-tuning with frozen statistics")
def _():
    body = nn.Conv2d(3, 16, 3, bias=False), nn.BatchNorm2d(16), nn.ReLU()
    model, (x, y) = classified(*body, size=16), pictures()
    for _ in range(100):
        model(x)
    model[1].eval()
    return setting(model, x, y, CROSS_ENTROPY, adam=3e-3)


# ---------------------------------------------------------------- More MLPs


@case("MLP with BatchNorm", "Ioffe and Szegedy 2015, no bias before it")
def _():
    layers = []
    for before in (16, 64, 64):
        layers += [nn.Linear(before, 64, bias=False), nn.BatchNorm1d(64), nn.ReLU()]
    return setting(nn.Sequential(*layers, nn.Linear(64, 4)), *points(), CROSS_ENTROPY, sgd=0.1)


@case("MLP with LayerNorm", "Ba et al. 2016")
def _():
    layers = []
    for before in (16, 64, 64):
        layers += [nn.Linear(before, 64), nn.LayerNorm(64), nn.GELU()]
    return setting(nn.Sequential(*layers, nn.Linear(64, 4)), *points(), CROSS_ENTROPY, adam=1e-3)


@case("MLP with dropout", "Srivastava et al. 2014")
def _():
    layers = nn.Linear(16, 64), nn.ReLU(), nn.Dropout(0.5), nn.Linear(64, 64), nn.ReLU()
    model = nn.Sequential(*layers, nn.Dropout(0.5), nn.Linear(64, 4))
    return setting(model, *points(), CROSS_ENTROPY, adam=3e-3)


@case("MLP with weight norm", "Salimans and Kingma 2016")
def _():
    norm = nn.utils.parametrizations.weight_norm
    layers = norm(nn.Linear(16, 64)), nn.ReLU(), norm(nn.Linear(64, 64)), nn.ReLU()
    model = nn.Sequential(*layers, norm(nn.Linear(64, 4)))
    return setting(model, *points(), CROSS_ENTROPY, adam=3e-3)


@case("one sigmoid layer", "Rumelhart et al. 1986")
def _():
    return setting(mlp(16, 64, 4, bend=nn.Sigmoid), *points(), CROSS_ENTROPY, adam=1e-2)


@case("logistic regression", "one linear layer that starts at 0")
def _():
    model = initialized(nn.Linear(16, 4), nn.init.zeros_)
    return setting(model, *points(), CROSS_ENTROPY, lr=0.5)


@case("linear regression", "one linear layer, squared loss")
def _():
    return setting(nn.Linear(8, 1), *curve(), nn.MSELoss(), lr=0.1)


@case("SIREN", "Sitzmann et al. 2020: sines with a frequency of 30")
def _():
    model = mlp(2, 64, 64, 64, 1, bend=lambda: Apply(lambda x: torch.sin(30 * x)))
    for k, layer in enumerate(m for m in model if isinstance(m, nn.Linear)):
        bound = 1 / 2 if k == 0 else (6 / 64) ** 0.5 / 30
        nn.init.uniform_(layer.weight, -bound, bound)
    x = 2 * torch.rand(256, 2) - 1
    y = torch.sin(9 * x[:, :1]) * torch.cos(7 * x[:, 1:])
    return setting(model, x, y, nn.MSELoss(), adam=1e-4)


@case("Fourier features", "Tancik et al. 2020, Mildenhall et al. 2020: a scene from coordinates")
def _():
    frequencies = 3 * torch.randn(2, 32)

    def features(x):
        return torch.cat([torch.sin(x @ frequencies), torch.cos(x @ frequencies)], -1)

    model = nn.Sequential(Apply(features), *mlp(64, 64, 64, 3), nn.Sigmoid())
    x = 2 * torch.rand(256, 2) - 1
    y = torch.sigmoid(torch.sin(4 * x @ torch.randn(2, 3)))
    return setting(model, x, y, nn.MSELoss(), adam=1e-3)


@case("MLP in bf16", "training in half the memory")
def _():
    x, y = points()
    model = mlp(16, 64, 64, 4, bend=nn.GELU).bfloat16()
    return setting(model, x.bfloat16(), y, CROSS_ENTROPY, adam=3e-3)


class Autocast(nn.Module):
    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, x):
        with torch.autocast("cpu", torch.bfloat16):
            return self.model(x)


@case("autocast", "mixed precision: weights in fp32, products in bf16")
def _():
    return setting(Autocast(mlp(16, 64, 64, 4)), *points(), CROSS_ENTROPY, adam=3e-3)


# ---------------------------------------------------------------- Recurrent networks


class Recurrent(nn.Module):
    def __init__(self, kind, **options):
        super().__init__()
        self.memory = kind(4, 32, batch_first=True, **options)
        self.out = nn.Linear(32 * (1 + self.memory.bidirectional), 2)

    def forward(self, x):
        return self.out(self.memory(x)[0].mean(1))


def recurrent():
    kinds = {
        "LSTM": (nn.LSTM, {}),
        "GRU": (nn.GRU, {}),
        "LSTM, two layers, both ways": (nn.LSTM, {"num_layers": 2, "bidirectional": True}),
        "a tanh recurrent network": (nn.RNN, {}),
    }
    for name, (kind, options) in kinds.items():

        @case(name, "torch's initialization; the mean over time decides")
        def _(kind=kind, options=options):
            return setting(Recurrent(kind, **options), *waves(), CROSS_ENTROPY, adam=3e-3)


recurrent()


@case("LSTM with a forget bias of 1", "Jozefowicz et al. 2015; orthogonal")
def _():
    model = Recurrent(nn.LSTM)
    nn.init.orthogonal_(model.memory.weight_hh_l0)
    with torch.no_grad():
        model.memory.bias_hh_l0[32:64] = 1
    return setting(model, *waves(length=20), CROSS_ENTROPY, adam=3e-3)


class Cells(nn.Module):
    """A cell in a loop over time."""

    def __init__(self):
        super().__init__()
        self.cell, self.out = nn.GRUCell(4, 32), nn.Linear(32, 2)

    def forward(self, x):
        state = x.new_zeros(len(x), 32)
        for now in x.unbind(1):
            state = self.cell(now, state)
        return self.out(state)


@case("a GRU cell in a loop", "one module, called once a step")
def _():
    return setting(Cells(), *waves(), CROSS_ENTROPY, adam=3e-3)


class Characters(nn.Module):
    def __init__(self):
        super().__init__()
        self.token, self.memory = nn.Embedding(32, 16), nn.GRU(16, 32, batch_first=True)
        self.out = nn.Linear(32, 32)

    def forward(self, text):
        return self.out(self.memory(self.token(text))[0])


@case("characters by GRU", "Karpathy's char-rnn")
def _():
    return setting(Characters(), *tokens(), next_token, adam=3e-3)


# ---------------------------------------------------------------- Losses of many kinds


@case("log-softmax with NLLLoss", "torch's MNIST example")
def _():
    model = nn.Sequential(*mlp(16, 64, 4), nn.LogSoftmax(1))
    return setting(model, *points(), nn.NLLLoss(), adam=3e-3)


@case("log-softmax with cross-entropy", "needless, and harmless: log-softmax twice is log-softmax")
def _():
    model = nn.Sequential(*mlp(16, 64, 4), nn.LogSoftmax(1))
    return setting(model, *points(), CROSS_ENTROPY, adam=3e-3)


@case("sigmoid with BCELoss", "binary classification")
def _():
    x, y = points()
    model = nn.Sequential(*mlp(16, 64, 1), nn.Sigmoid(), nn.Flatten(0))
    return setting(model, x, (y > 1).float(), nn.BCELoss(), adam=3e-3)


@case("one-hot float targets", "cross-entropy with probabilities as targets")
def _():
    x, y = points()
    return setting(mlp(16, 64, 4), x, F.one_hot(y, 4).float(), CROSS_ENTROPY, adam=3e-3)


@case("mixed and smoothed labels", "Zhang et al. 2018, Szegedy et al. 2016")
def _():
    x, y = points()
    y, order, share = F.one_hot(y, 4).float(), torch.randperm(64), 0.5 * torch.rand(64, 1)
    x, y = x + share * (x[order] - x), y + share * (y[order] - y)
    return setting(mlp(16, 64, 4), x, y, nn.CrossEntropyLoss(label_smoothing=0.1), adam=3e-3)


@case("several labels at once", "a sigmoid for each of 8 labels, BCE with logits")
def _():
    x, _ = points()
    y = (x @ torch.randn(16, 8) > 1).float()
    return setting(mlp(16, 64, 8), x, y, nn.BCEWithLogitsLoss(), adam=1e-2)


@case("1 % of positives", "class imbalance: the bias starts at log(p / (1 − p))")
def _():
    x = torch.randn(512, 16)
    y = (x[:, 0] > x[:, 0].sort().values[-6]).float()
    model = nn.Sequential(*mlp(16, 64, 1), nn.Flatten(0))
    nn.init.constant_(model[2].bias, math.log(0.01 / 0.99))
    return setting(model, x, y, nn.BCEWithLogitsLoss(), adam=3e-3)


@case("weighted classes", "class imbalance: 58 of one class, weights by frequency")
def _():
    x, y = points()
    y[:58] = 0
    y[58:] = torch.tensor([1, 2, 3, 1, 2, 3])
    loss = nn.CrossEntropyLoss(weight=64 / 4 / torch.bincount(y).float())
    return setting(mlp(16, 64, 4), x, y, loss, adam=3e-3)


@case("detector head, prior bias, weight 0", "Lin et al. 2017: focal loss, p = 0.01")
def _():
    y = torch.zeros(1024, 20)
    y.view(-1)[torch.randperm(20480)[:60]] = 1

    def focal(scores, y):
        p = torch.sigmoid(scores)
        wrong = y * (1 - p) + (1 - y) * p
        costs = F.binary_cross_entropy_with_logits(scores, y, reduction="none")
        return (wrong**2 * (0.25 * y + 0.75 * (1 - y)) * costs).sum() / y.sum()

    model = mlp(16, 64, 20)
    nn.init.zeros_(model[2].weight)
    nn.init.constant_(model[2].bias, -math.log(99))
    return setting(model, torch.randn(1024, 16), y, focal, adam=1e-3)


@case("regression with Huber", "DQN's loss; targets with outliers")
def _():
    x, y = curve()
    y[:3] *= 5
    return setting(mlp(8, 64, 64, 1), x, y, nn.HuberLoss(), adam=3e-3)


@case("quantiles", "Koenker and Bassett 1978: three outputs for one target")
def _():
    shares = torch.tensor([0.1, 0.5, 0.9])

    def pinball(output, y):
        return torch.maximum(shares * (y - output), (shares - 1) * (y - output)).mean()

    return setting(mlp(8, 64, 3), *curve(), pinball, adam=3e-3)


@case("mean and variance", "Nix and Weigend 1994: GaussianNLLLoss, which may fall below 0")
def _():
    def loss(output, y):
        return F.gaussian_nll_loss(output[:, :1], y, F.softplus(output[:, 1:]) + 1e-3)

    return setting(mlp(8, 64, 2), *curve(), loss, adam=3e-3)


@case("counts", "Poisson regression")
def _():
    x, y = curve()
    return setting(
        mlp(8, 64, 1), x, torch.poisson(torch.exp(0.5 * y)), nn.PoissonNLLLoss(), adam=3e-3
    )


@case("a margin", "MultiMarginLoss, Crammer and Singer 2001")
def _():
    return setting(mlp(16, 64, 4), *points(), nn.MultiMarginLoss(), adam=3e-3)


@case("distillation", "Hinton et al. 2015: KLDivLoss at a temperature of 3")
def _():
    x, _ = points()
    teacher = torch.softmax(2 * mlp(16, 64, 4)(x).detach() / 0.3, 1)

    def loss(output, y):
        return 9 * F.kl_div(F.log_softmax(output / 3, 1), y, reduction="batchmean")

    return setting(mlp(16, 32, 4), x, teacher, loss, adam=3e-3)


@case("LSGAN's discriminator, all targets 1", "Mao et al. 2017: targets without variance")
def _():
    x, _ = pictures()
    layers = (
        nn.Conv2d(3, 16, 4, 2, 1),
        nn.LeakyReLU(0.2),
        nn.Conv2d(16, 32, 4, 2, 1),
        nn.LeakyReLU(0.2),
    )
    model = nn.Sequential(*layers, nn.Conv2d(32, 1, 4), nn.Flatten(0))
    return setting(model, x, torch.ones(16), nn.MSELoss(), adam=2e-4, betas=(0.5, 0.999))


@case("a critic with spectral norm", "Miyato et al. 2018: real and generated in one batch, hinge")
def _():
    norm = nn.utils.parametrizations.spectral_norm
    layers = norm(nn.Linear(16, 64)), nn.LeakyReLU(0.2), norm(nn.Linear(64, 64)), nn.LeakyReLU(0.2)
    x, y = points()

    def hinge(score, y):
        return F.relu(1 - torch.where(y > 1, 1, -1) * score[:, 0]).mean()

    return setting(nn.Sequential(*layers, norm(nn.Linear(64, 1))), x, y, hinge, adam=1e-3)


@case("a critic without a bound", "Arjovsky et al. 2017: the difference of two means")
def _():
    x, y = points()

    def wasserstein(score, y):
        return score[y < 2].mean() - score[y >= 2].mean() + 0.1 * score.square().mean()

    return setting(mlp(16, 64, 1, bend=lambda: nn.LeakyReLU(0.2)), x, y, wasserstein, adam=3e-3)


@case("a contrastive loss", "SimCLR, Chen et al. 2020: temperature 0.1; pairs of views")
def _():
    x, _ = points(count=32)
    x = torch.cat([x, x]) + 0.3 * torch.randn(64, 16)
    partner = torch.arange(64).roll(32)

    def loss(z, partner):
        z = F.normalize(z, dim=1)
        alike = (z @ z.T / 0.1).masked_fill(torch.eye(64, dtype=torch.bool), -1e9)
        return F.cross_entropy(alike, partner)

    return setting(mlp(16, 64, 32), x, partner, loss, adam=3e-3)


class Pairs(nn.Module):
    """Two encoders and a learned temperature."""

    def __init__(self):
        super().__init__()
        self.a, self.b = mlp(16, 64, 32), mlp(8, 64, 32)
        self.temperature = nn.Parameter(torch.tensor(math.log(1 / 0.07)))

    def forward(self, x, y):
        a, b = F.normalize(self.a(x), dim=1), F.normalize(self.b(y), dim=1)
        return self.temperature.exp() * a @ b.T


@case("CLIP", "Radford et al. 2021: each picture is to find its text in the batch")
def _():
    x = torch.randn(64, 16)
    y = x @ torch.randn(16, 8) / 4

    def both(scores, labels):
        return (F.cross_entropy(scores, labels) + F.cross_entropy(scores.T, labels)) / 2

    return setting(Pairs(), (x, y), torch.arange(64), both, adam=1e-3)


@case("triplets", "Schroff et al. 2015: a margin of 1 between distances")
def _():
    x, y = points()

    def triplet(z, _):
        z = F.normalize(z, dim=1)
        return F.triplet_margin_loss(z[:-4], z[4:], z[:-4].roll(1, 0))

    return setting(mlp(16, 64, 16), x, y, triplet, adam=3e-3)


class VAE(nn.Module):
    def __init__(self):
        super().__init__()
        self.encoder, self.decoder = mlp(16, 64, 8), mlp(4, 64, 16)

    def forward(self, x):
        mean, logarithm = self.encoder(x).chunk(2, 1)
        z = mean + torch.exp(logarithm / 2) * torch.randn_like(mean)
        return self.decoder(z), mean, logarithm


@case("VAE", "Kingma and Welling 2014: a tuple of outputs, noise in training")
def _():
    def loss(output, x):
        decoded, mean, logarithm = output
        far = (mean**2 + logarithm.exp() - 1 - logarithm).sum(1).mean() / 2
        return ((decoded - x) ** 2).sum(1).mean() / 2 + far

    x, _ = points()
    return setting(VAE(), x, x, loss, adam=3e-3)


class Denoiser(nn.Module):
    """The noise in a picture, from the picture and the time; its last layer starts at 0."""

    def __init__(self):
        super().__init__()
        self.enter, self.time = nn.Conv2d(3, 16, 3, 1, 1), mlp(1, 32, 16, bend=nn.SiLU)
        self.blocks = nn.ModuleList()
        for _ in range(2):
            last = nn.Conv2d(16, 16, 3, 1, 1)
            nn.init.zeros_(last.weight)
            first = nn.GroupNorm(4, 16), nn.SiLU(), nn.Conv2d(16, 16, 3, 1, 1)
            self.blocks.append(Add(*first, nn.GroupNorm(4, 16), nn.SiLU(), last))
        self.out = nn.Sequential(nn.GroupNorm(4, 16), nn.SiLU(), nn.Conv2d(16, 3, 3, 1, 1))
        nn.init.zeros_(self.out[-1].weight)
        nn.init.zeros_(self.out[-1].bias)

    def forward(self, x, time):
        x = self.enter(x) + self.time(time)[:, :, None, None]
        for block in self.blocks:
            x = block(x)
        return self.out(x)


@case("a diffusion network, zero last layers", "Ho et al. 2020, Dhariwal and Nichol 2021")
def _():
    x, _ = pictures(side=8)
    noise, time = torch.randn_like(x), torch.rand(16, 1)
    share = time[:, :, None, None]
    noisy = (1 - share).sqrt() * x + share.sqrt() * noise
    return setting(Denoiser(), (noisy, time), noise, nn.MSELoss(), adam=3e-3)


class Flow(nn.Module):
    """Couplings of RealNVP; each net's last layer starts at 0."""

    def __init__(self):
        super().__init__()
        self.nets = nn.ModuleList(mlp(4, 32, 8, bend=nn.Tanh) for _ in range(4))
        for net in self.nets:
            nn.init.zeros_(net[-1].weight)
            nn.init.zeros_(net[-1].bias)

    def forward(self, x):
        total = 0
        for net in self.nets:
            a, b = x.chunk(2, 1)
            scale, shift = net(a).chunk(2, 1)
            x = torch.cat([b * torch.exp(torch.tanh(scale)) + shift, a], 1)
            total = total + torch.tanh(scale).sum(1)
        return x, total


@case("a normalizing flow", "Dinh et al. 2017: negative log-likelihood")
def _():
    x = torch.randn(128, 8) @ torch.randn(8, 8) / 2

    def loss(output, _):
        z, total = output
        return (z.square().sum(1) / 2 - total).mean()

    return setting(Flow(), x, x, loss, adam=3e-3)


@case("policy gradient", "Williams 1992: log-probability times advantage, of either sign")
def _():
    x, y = points()
    action = torch.randint(4, (64,))
    advantage = (action == y).float() - 0.25

    def loss(output, targets):
        action, advantage = targets
        chosen = F.log_softmax(output, 1).gather(1, action[:, None])[:, 0]
        return -(advantage * chosen).mean()

    return setting(mlp(16, 64, 4, bend=nn.Tanh), x, (action, advantage), loss, adam=3e-3)


@case("Q-learning", "Mnih et al. 2015: only the chosen action's output has a target")
def _():
    x, y = curve()
    action = torch.randint(4, (64,))

    def loss(output, targets):
        action, value = targets
        return F.smooth_l1_loss(output.gather(1, action[:, None]), value)

    return setting(mlp(8, 64, 64, 4), x, (action, y), loss, adam=3e-3)


@case("CTC", "Graves et al. 2006: speech, (time, batch, classes)")
def _():
    model = nn.Sequential(nn.Linear(8, 32), nn.ReLU(), nn.Linear(32, 6), nn.LogSoftmax(-1))
    x, y = torch.randn(20, 16, 8), torch.randint(1, 6, (16, 5))

    def loss(output, y):
        return F.ctc_loss(output, y, torch.full((16,), 20), torch.full((16,), 5))

    return setting(model, x, y, loss, adam=1e-2)


# ---------------------------------------------------------------- Other kinds


class Factors(nn.Module):
    """Matrix factorization: a user's and a film's factors, and their biases."""

    def __init__(self):
        super().__init__()
        self.user, self.film = nn.Embedding(50, 8), nn.Embedding(40, 8)
        self.user_bias, self.film_bias = nn.Embedding(50, 1), nn.Embedding(40, 1)
        for table in (self.user, self.film):
            nn.init.normal_(table.weight, std=0.1)
        for table in (self.user_bias, self.film_bias):
            nn.init.zeros_(table.weight)

    def forward(self, user, film):
        alike = (self.user(user) * self.film(film)).sum(1)
        return alike + self.user_bias(user)[:, 0] + self.film_bias(film)[:, 0]


@case("matrix factorization", "Koren et al. 2009: embeddings, biases that start at 0")
def _():
    user, film = torch.randint(50, (512,)), torch.randint(40, (512,))
    y = torch.randn(50)[user] / 2 + torch.randn(40)[film] / 2
    return setting(Factors(), (user, film), y, nn.MSELoss(), adam=1e-2)


@case("a bag of words with sparse gradients", "EmbeddingBag, sparse=True, SGD")
def _():
    model = nn.Sequential(nn.EmbeddingBag(100, 16, sparse=True), nn.Linear(16, 4))
    x = torch.randint(100, (64, 10))
    return setting(model, x, (x < 50).sum(1).clamp(4, 7) - 4, CROSS_ENTROPY, sgd=0.5)


class Graph(nn.Module):
    """Two graph convolutions; each node's answer depends on its neighbours."""

    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Linear(16, 32), nn.Linear(32, 4)

    def forward(self, x, neighbours):
        return neighbours @ self.second(F.relu(neighbours @ self.first(x)))


@case("a graph network", "Kipf and Welling 2017: the examples are nodes, and mix by design")
def _():
    x, y = points()
    links = torch.eye(64) + ((y[:, None] == y) & (torch.rand(64, 64) < 0.2)).float()
    links = ((links + links.T) > 0).float()
    return setting(Graph(), (x, links / links.sum(1, keepdim=True)), y, CROSS_ENTROPY, adam=1e-2)


@case("one block six times, on purpose", "ALBERT, Lan et al. 2020: one name, six calls")
def _():
    block = Add(nn.LayerNorm(32), *mlp(32, 64, 32, bend=nn.GELU))

    class Albert(nn.Module):
        def __init__(self):
            super().__init__()
            self.enter, self.block, self.out = nn.Linear(16, 32), block, nn.Linear(32, 4)

        def forward(self, x):
            x = self.enter(x)
            for _ in range(6):
                x = self.block(x)
            return self.out(x)

    return setting(Albert(), *points(), CROSS_ENTROPY, adam=1e-3)


class Checkpointed(nn.Module):
    def __init__(self):
        super().__init__()
        self.enter, self.body, self.out = nn.Linear(16, 64), mlp(64, 64, 64), nn.Linear(64, 4)

    def forward(self, x):
        x = torch.relu(self.enter(x))
        x = x + checkpoint(self.body, x, use_reentrant=False)
        return self.out(x)


@case("gradient checkpointing", "Chen et al. 2016: a part runs twice")
def _():
    return setting(Checkpointed(), *points(), CROSS_ENTROPY, adam=3e-3)


class Heads(nn.Module):
    """A class and a number from one body; a dict of outputs."""

    def __init__(self):
        super().__init__()
        self.body, self.kind, self.size = mlp(16, 64, 64), nn.Linear(64, 4), nn.Linear(64, 1)

    def forward(self, x):
        x = F.relu(self.body(x))
        return {"kind": self.kind(x), "size": self.size(x)}


@case("two heads, a dict of outputs", "multi-task learning, Caruana 1997")
def _():
    x, y = points()
    size = x[:, :1] + x[:, 1:2]

    def loss(output, targets):
        return F.cross_entropy(output["kind"], targets["kind"]) + F.mse_loss(
            output["size"], targets["size"]
        )

    return setting(Heads(), x, {"kind": y, "size": size}, loss, adam=3e-3)


@case("a wide network", "width 1024, as in infinite-width theory")
def _():
    model = initialized(mlp(16, 1024, 4), nn.init.kaiming_normal_)
    nn.init.normal_(model[2].weight, std=1 / 1024)
    return setting(model, *points(), CROSS_ENTROPY, lr=0.05)


@case("a deep residual MLP", "Zhang et al. 2019, Fixup-like: each branch's last layer starts at 0")
def _():
    blocks = [Add(*mlp(32, 32, 32)) for _ in range(12)]
    for block in blocks:
        initialized(block, nn.init.kaiming_normal_)
        nn.init.zeros_(block.branch[-1].weight)
    model = nn.Sequential(nn.Linear(16, 32), *blocks, nn.Linear(32, 4))
    return setting(model, *points(), CROSS_ENTROPY, adam=1e-3)


@case("MLP, evaluated with dropout off", "a checkup of a finished network, without an optimizer")
def _():
    layers = nn.Linear(16, 64), nn.ReLU(), nn.Dropout(0.2), nn.Linear(64, 4)
    return setting(nn.Sequential(*layers).eval(), *points(), CROSS_ENTROPY)


@case(
    "Adam's rate, given alone",
    "cases.md: 3e-4 as `lr`, of which a checkup cannot know that it is Adam's",
)
def _():
    built = setting(mlp(16, 64, 64, 4), *points(), CROSS_ENTROPY, lr=3e-4)
    return built | {"unseen": torch.optim.Adam(built["model"].parameters(), 3e-4)}


class Elman(nn.Module):
    """A recurrence written by hand, whose state starts from zeros."""

    def __init__(self):
        super().__init__()
        self.given, self.own, self.out = nn.Linear(4, 32), nn.Linear(32, 32), nn.Linear(32, 4)

    def forward(self, x):
        state = torch.zeros(len(x), 32)
        for step in range(x.shape[1]):
            state = torch.tanh(self.given(x[:, step]) + self.own(state))
        return self.out(state)


@case("a recurrence by hand, from zeros", "Elman 1990, as tutorials write it")
def _():
    x, _ = waves()
    return setting(Elman(), x, x[:, -1], nn.MSELoss(), adam=3e-3)


class Passing(nn.Module):
    """Three rounds over a state that starts from zeros."""

    def __init__(self):
        super().__init__()
        self.given, self.own, self.out = nn.Linear(16, 32), nn.Linear(32, 32), nn.Linear(32, 4)

    def forward(self, x):
        state = torch.zeros(len(x), 32)
        for _ in range(3):
            state = F.relu(self.given(x) + self.own(state))
        return self.out(state)


@case("message passing from zeros", "Scarselli et al. 2009: states of nodes start at 0")
def _():
    return setting(Passing(), *points(), CROSS_ENTROPY, adam=3e-3)


class Sum(nn.Module):
    """A state to which each round adds."""

    def __init__(self):
        super().__init__()
        self.given, self.own, self.out = nn.Linear(16, 32), nn.Linear(32, 32), nn.Linear(32, 4)

    def forward(self, x):
        state = torch.zeros(len(x), 32)
        for _ in range(4):
            state = state + 0.3 * self.given(x) + 0.1 * torch.tanh(self.own(state))
        return self.out(state)


@case("an accumulator from zeros", "a residual stream that starts at 0, one layer for all rounds")
def _():
    return setting(Sum(), *points(), CROSS_ENTROPY, adam=3e-3)


# ---------------------------------------------------------------- Gates, codebooks, losses and scales by hand


class Decay(nn.Module):
    """A linear recurrence whose gate, a sigmoid, starts near 1."""

    def __init__(self, by_function=True):
        super().__init__()
        self.take, self.gate, self.head = nn.Linear(4, 16), nn.Linear(4, 16), nn.Linear(16, 2)
        nn.init.constant_(self.gate.bias, 5)
        self.bend = torch.sigmoid if by_function else nn.Sigmoid()

    def forward(self, x):
        keep, new, state = self.bend(self.gate(x)), self.take(x), 0
        for k in range(x.shape[1]):
            state = keep[:, k] * state + (1 - keep[:, k]).sqrt() * new[:, k]
        return self.head(state)


def gates():
    for by_function in (True, False):
        name = "function" if by_function else "module"

        @case(f"a decay near 1, by a {name}", "De et al. 2024, Griffin: gates that remember")
        def _(by_function=by_function):
            return setting(Decay(by_function), *waves(), CROSS_ENTROPY, adam=3e-3)


gates()


class VQVAE(nn.Module):
    """Codes from a codebook, by a straight-through estimator."""

    def __init__(self, size=32, code=8, codes=16):
        super().__init__()
        self.encoder, self.decoder = mlp(size, 32, code), mlp(code, 32, size)
        self.book = nn.Embedding(codes, code)
        nn.init.uniform_(self.book.weight, -1 / codes, 1 / codes)

    def forward(self, x):
        z = self.encoder(x)
        q = self.book(torch.cdist(z, self.book.weight).argmin(1))
        extra = F.mse_loss(q, z.detach()) + 0.25 * F.mse_loss(z, q.detach())
        return z + (q - z).detach(), extra


class VQDecoded(VQVAE):
    """The same, with the pictures and the loss of the codes as outputs."""

    def forward(self, x):
        z, extra = super().forward(x)
        return self.decoder(z), extra


@case("VQ-VAE", "van den Oord et al. 2017: codebook and commitment losses")
def _():
    x = torch.randn(64, 4) @ torch.randn(4, 32) / 2
    return setting(VQDecoded(), x, x, lambda o, t: F.mse_loss(o[0], t) + o[1], adam=1e-3)


@case("Dice and cross-entropy", "nnU-Net, Isensee et al. 2021")
def _():
    x, _ = pictures(side=8)
    y = (x.sum(1, keepdim=True) > 0.5).float()
    model = nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(), nn.Conv2d(8, 1, 1)
    )

    def loss(s, t):
        p = s.sigmoid()
        dice = 1 - (2 * (p * t).sum() + 1) / (p.sum() + t.sum() + 1)
        return dice + F.binary_cross_entropy_with_logits(s, t)

    return setting(model, x, y, loss, adam=1e-2)


@case("a score that is maximized", "maximize=True with a log-likelihood")
def _():
    model = mlp(16, 32, 4)
    return setting(model, *points(), lambda s, y: -F.cross_entropy(s, y), adam=3e-3, maximize=True)


@case("distances as outputs, minimized", "Snell et al. 2017: cross-entropy of minus the distances")
def _():
    centers = torch.randn(4, 8)
    model = nn.Sequential(mlp(16, 32, 8), Apply(lambda z: torch.cdist(z, centers)))
    return setting(model, *points(), lambda d, y: F.cross_entropy(-d, y), adam=3e-3)


@case("distances of pairs", "Hadsell et al. 2006: 1 for alike")
def _():
    class Pair(nn.Module):
        def __init__(self):
            super().__init__()
            self.body = mlp(16, 32, 8)

        def forward(self, x, z):
            return F.pairwise_distance(self.body(x), self.body(z))

    x, y = points()

    def loss(d, same):
        return (same * d.square() + (1 - same) * (1 - d).clamp_min(0).square()).mean()

    return setting(Pair(), (x, x.roll(2, 0)), (y == y.roll(2)).float(), loss, adam=3e-3)


@case("a hinge with labels -1 and 1", "Lim and Ye 2017: discriminators")
def _():
    x, y = points()
    model = nn.Sequential(*mlp(16, 32, 1, bend=nn.LeakyReLU), nn.Flatten(0))
    return setting(model, x, 2.0 * (y > 1) - 1, lambda s, t: (1 - t * s).relu().mean(), adam=1e-3)


@case("counts by a Poisson likelihood of log rates", "McCullagh and Nelder 1989")
def _():
    x, y = curve()
    return setting(mlp(8, 32, 1), x, torch.poisson((1 + y).exp()), nn.PoissonNLLLoss(), adam=3e-3)


@case("degrees, with the bias at their mean", "Karpathy 2019: initialize the last bias")
def _():
    x, y = curve()
    model = mlp(8, 32, 1)
    nn.init.constant_(model[-1].bias, 15)
    return setting(model, x, 15 + 5 * y, nn.SmoothL1Loss(), adam=1e-2)


@case("as many times as classes, transposed", "classes in dimension 1, as cross-entropy wants them")
def _():
    def loss(output, targets):
        return F.cross_entropy(output.transpose(1, 2), targets)

    return setting(GPT(vocabulary=12), *tokens(vocabulary=12), loss, adam=1e-3)


@case("dropout of half, twice", "Krizhevsky et al. 2012")
def _():
    body = nn.Linear(16, 256), nn.ReLU(), nn.Dropout(0.5), nn.Linear(256, 256), nn.ReLU()
    model = nn.Sequential(*body, nn.Dropout(0.5), nn.Linear(256, 4))
    return setting(model, *points(), CROSS_ENTROPY, adam=1e-3)


# ---------------------------------------------------------------- Designs that were new to the limits


@case("a Mamba-like selective scan", "Gu and Dao 2023: the same table of decays in each layer")
def _():

    class Mamba(nn.Module):
        def __init__(self, size=16, state=4):
            super().__init__()
            self.inside, self.conv = (
                nn.Linear(size, 2 * size),
                nn.Conv1d(size, size, 3, padding=2, groups=size),
            )
            self.select, self.dt, self.out = (
                nn.Linear(size, 2 * state),
                nn.Linear(size, size),
                nn.Linear(size, size),
            )
            self.log_a = nn.Parameter(torch.arange(1.0, state + 1).log().repeat(size, 1))
            self.d = nn.Parameter(torch.ones(size))
            nn.init.constant_(self.dt.bias, -4.6)

        def forward(self, u):
            x, z = self.inside(u).chunk(2, -1)
            x = F.silu(self.conv(x.transpose(1, 2))[..., : u.shape[1]].transpose(1, 2))
            b, c = self.select(x).chunk(2, -1)
            dt = F.softplus(self.dt(x))
            a = torch.exp(dt[..., None] * -self.log_a.exp())
            h, ys = (0, [])
            for t in range(u.shape[1]):
                h = a[:, t] * h + dt[:, t, :, None] * b[:, t, None] * x[:, t, :, None]
                ys.append((h * c[:, t, None]).sum(-1) + self.d * x[:, t])
            return self.out(torch.stack(ys, 1) * F.silu(z))

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.embed, self.head = (nn.Embedding(32, 16), nn.Linear(16, 32))
            self.norms = nn.ModuleList(nn.RMSNorm(16) for _ in range(2))
            self.mixers = nn.ModuleList(Mamba() for _ in range(2))

        def forward(self, x):
            x = self.embed(x)
            for n, m in zip(self.norms, self.mixers, strict=True):
                x = x + m(n(x))
            return self.head(x)

    return setting(Net(), *tokens(), next_token, adam=0.001)


@case("a GRU tagger", "a recurrence in both directions, a label for each token")
def _():

    class Tagger(nn.Module):
        def __init__(self):
            super().__init__()
            self.e, self.r, self.o = (
                nn.Embedding(32, 16, padding_idx=0),
                nn.GRU(16, 16, bidirectional=True, batch_first=True),
                nn.Linear(32, 5),
            )

        def forward(self, x):
            return self.o(self.r(self.e(x))[0]).transpose(1, 2)

    x, _ = tokens()
    return setting(Tagger(), x, x % 5, CROSS_ENTROPY, adam=0.003)


@case("Dice alone, sigmoid output", "Milletari et al. 2016")
def _():
    model = nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(), nn.Conv2d(8, 1, 1), nn.Sigmoid()
    )
    x, _ = pictures(side=8)
    y = (x.sum(1, keepdim=True) > 0).float()
    return setting(
        model, x, y, lambda o, t: 1 - (2 * (o * t).sum() + 1) / (o.sum() + t.sum() + 1), adam=0.01
    )


@case("DeepSets", "Zaheer et al. 2017")
def _():

    class Sets(nn.Module):
        def __init__(self):
            super().__init__()
            self.phi, self.rho = (mlp(3, 32, 32), mlp(32, 32, 1))

        def forward(self, x):
            return self.rho(self.phi(x).mean(1))

    x = torch.randn(64, 10, 3)
    y = x.square().sum(-1).amax(1, keepdim=True)
    return setting(Sets(), x, (y - y.mean()) / y.std(), nn.MSELoss(), adam=0.01)


@case("ordinal regression, cumulative logits", "McCullagh 1980")
def _():

    class Ordinal(nn.Module):
        def __init__(self):
            super().__init__()
            self.body, self.cuts = (mlp(16, 32, 1), nn.Parameter(torch.tensor([-1.0, 0.0, 1.0])))

        def forward(self, x):
            return self.body(x) - self.cuts

    x, y = points()

    def loss(o, y):
        return F.binary_cross_entropy_with_logits(o, (y[:, None] > torch.arange(3)).float())

    return setting(Ordinal(), x, y, loss, adam=0.01)


@case(
    "a gamma regression with softplus, targets of 50",
    "a likelihood that is no difference, below 0 for small targets",
)
def _():
    x, y = curve()
    model = nn.Sequential(*mlp(8, 32, 1), Apply(lambda o: 50 * F.softplus(o)))
    t = 50 * (0.5 * y).exp()
    return setting(model, x, t, lambda o, t: (o.log() + t / o).mean(), adam=0.01)


@case(
    "a GAN's discriminator, hinge loss",
    "Miyato et al. 2018: labels 0 and 1 as weights of two hinges",
)
def _():
    model = nn.Sequential(
        nn.utils.parametrizations.spectral_norm(nn.Conv2d(3, 8, 4, 2, 1)),
        nn.LeakyReLU(0.2),
        nn.utils.parametrizations.spectral_norm(nn.Conv2d(8, 16, 4, 2, 1)),
        nn.LeakyReLU(0.2),
        nn.Flatten(),
        nn.Linear(256, 1),
        nn.Flatten(0),
    )
    x, _ = pictures()
    real = (torch.arange(16) % 2).float()

    def hinge(o, real):
        return (real * F.relu(1 - o) + (1 - real) * F.relu(1 + o)).mean()

    return setting(model, x, real, hinge, adam=0.0002, betas=(0.5, 0.9))


@case("a mixture density network", "Bishop 1994: a likelihood of any sign")
def _():
    x, y = curve(128)

    def loss(o, t):
        w, m, s = o.chunk(3, 1)
        log = -0.5 * ((t - m) / s.exp()) ** 2 - s - 0.919
        return -torch.logsumexp(w.log_softmax(1) + log, 1).mean()

    return setting(mlp(8, 32, 9, bend=nn.Tanh), x, y, loss, adam=0.003)


@case("NeRF-like positional encoding, sigmoid colours", "Mildenhall et al. 2020")
def _():

    class Nerf(nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.b = (mlp(24, 64, 64), mlp(88, 64, 3))

        def forward(self, x):
            f = torch.cat(
                [g(x * 2**k * math.pi) for k in range(6) for g in (torch.sin, torch.cos)], -1
            )
            return self.b(torch.cat([self.a(f).relu(), f], -1)).sigmoid()

    x = torch.rand(256, 2)
    y = torch.stack([(6 * x[:, 0]).sin(), (5 * x[:, 1]).cos(), x.prod(1)], 1) / 2 + 0.5
    return setting(Nerf(), x, y, nn.MSELoss(), adam=0.001)


@case("an RBF network", "Broomhead and Lowe 1988")
def _():

    class RBF(nn.Module):
        def __init__(self):
            super().__init__()
            self.c, self.s, self.o = (
                nn.Parameter(torch.randn(32, 8)),
                nn.Parameter(torch.zeros(32)),
                nn.Linear(32, 1),
            )

        def forward(self, x):
            return self.o(torch.exp(-(torch.cdist(x, self.c) ** 2) / 8 * self.s.exp()))

    return setting(RBF(), *curve(), nn.MSELoss(), adam=0.01)


@case("ReZero, 12 layers", "Bachlechner et al. 2021")
def _():

    class Re(nn.Module):
        def __init__(self):
            super().__init__()
            self.f, self.alpha = (mlp(32, 32, 32), nn.Parameter(torch.zeros(1)))

        def forward(self, x):
            return x + self.alpha * self.f(x)

    return setting(
        nn.Sequential(nn.Linear(16, 32), *[Re() for _ in range(12)], nn.Linear(32, 4)),
        *points(),
        CROSS_ENTROPY,
        adam=0.003,
    )


@case("focal loss by hand, 5 % positives, prior bias", "Lin et al. 2017")
def _():
    x = torch.randn(256, 16)
    y = (x[:, :3].sum(1) > 2.8).float()
    model = nn.Sequential(*mlp(16, 32, 1), nn.Flatten(0))
    nn.init.constant_(model[-2].bias, -3)

    def focal(o, t):
        p = o.sigmoid()
        ce = F.binary_cross_entropy_with_logits(o, t, reduction="none")
        return (ce * (1 - (p * t + (1 - p) * (1 - t))) ** 2).mean()

    return setting(model, x, y, focal, adam=0.003)


@case("two tasks, losses in a dict of targets", "a loss that takes both")
def _():

    class Two(nn.Module):
        def __init__(self):
            super().__init__()
            self.body, self.k, self.r = (
                nn.Sequential(*mlp(16, 32, 32), nn.ReLU()),
                nn.Linear(32, 4),
                nn.Linear(32, 1),
            )

        def forward(self, x):
            h = self.body(x)
            return {"kind": self.k(h), "size": self.r(h)}

    x, y = points()
    t = {"kind": y, "size": x[:, :1] * 0.8 + 0.3 * x[:, 1:2]}

    def loss(o, t):
        return F.cross_entropy(o["kind"], t["kind"]) + 0.5 * F.mse_loss(o["size"], t["size"])

    return setting(Two(), x, t, loss, adam=0.003)


@case("survival, Cox partial likelihood", "Katzman et al. 2018: the examples are compared")
def _():
    x, _ = curve()
    time = torch.rand(64) * (x[:, 0] * 0.7).exp()
    event = (torch.rand(64) < 0.7).float()

    def cox(risk, t):
        time, event = (t[:, 0], t[:, 1])
        order = time.argsort(descending=True)
        r = risk[order, 0]
        return -((r - r.logcumsumexp(0)) * event[order]).sum() / event.sum()

    return setting(mlp(8, 32, 1), x, torch.stack([time, event], 1), cox, adam=0.003)


@case(
    "an actor with tanh, critic's value maximized",
    "Lillicrap et al. 2016: a loss below 0, without targets",
)
def _():
    critic = mlp(10, 32, 1)
    for p in critic.parameters():
        p.requires_grad_(False)
    x, _ = curve()
    actor = nn.Sequential(*mlp(8, 32, 2), nn.Tanh())
    return setting(
        actor, x, None, lambda a, _=None: -critic(torch.cat([x, a], 1)).mean(), adam=0.001
    )


@case("SwiGLU blocks", "Shazeer 2020")
def _():

    class S(nn.Module):
        def __init__(self):
            super().__init__()
            self.n, self.a, self.b, self.c = (
                nn.RMSNorm(32),
                nn.Linear(32, 64, False),
                nn.Linear(32, 64, False),
                nn.Linear(64, 32, False),
            )

        def forward(self, x):
            h = self.n(x)
            return x + self.c(F.silu(self.a(h)) * self.b(h))

    return setting(
        nn.Sequential(nn.Linear(16, 32), *[S() for _ in range(4)], nn.Linear(32, 4)),
        *points(),
        CROSS_ENTROPY,
        adam=0.003,
    )


@case("a highway network, gates at -3", "Srivastava et al. 2015: gates that start closed")
def _():

    class H(nn.Module):
        def __init__(self):
            super().__init__()
            self.h, self.t = (nn.Linear(32, 32), nn.Linear(32, 32))
            nn.init.constant_(self.t.bias, -3)

        def forward(self, x):
            t = self.t(x).sigmoid()
            return t * self.h(x).relu() + (1 - t) * x

    return setting(
        nn.Sequential(nn.Linear(16, 32), *[H() for _ in range(6)], nn.Linear(32, 4)),
        *points(),
        CROSS_ENTROPY,
        adam=0.003,
    )


@case("an LSTM cell by hand", "Hochreiter and Schmidhuber 1997; forget bias 1")
def _():

    class L(nn.Module):
        def __init__(self):
            super().__init__()
            self.i, self.o = (nn.Linear(4 + 16, 64), nn.Linear(16, 2))
            nn.init.constant_(self.i.bias[16:32], 1)

        def forward(self, x):
            h = c = x.new_zeros(len(x), 16)
            for t in range(x.shape[1]):
                i, f, g, o = self.i(torch.cat([x[:, t], h], 1)).chunk(4, 1)
                c = f.sigmoid() * c + i.sigmoid() * g.tanh()
                h = o.sigmoid() * c.tanh()
            return self.o(h)

    return setting(L(), *waves(), CROSS_ENTROPY, adam=0.01)


@case(
    "a neural ODE by Euler steps",
    "Chen et al. 2018: one layer, ten times, and after 20 steps nearly no loss",
)
def _():

    class Flow(nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.f, self.b = (
                nn.Linear(16, 16),
                mlp(16, 32, 16, bend=nn.Tanh),
                nn.Linear(16, 4),
            )

        def forward(self, x):
            x = self.a(x)
            for _ in range(10):
                x = x + 0.1 * self.f(x)
            return self.b(x)

    return setting(Flow(), *points(), CROSS_ENTROPY, adam=0.01)


@case("BYOL", "Grill et al. 2020")
def _():

    class B(nn.Module):
        def __init__(self):
            super().__init__()
            self.online = nn.Sequential(
                nn.Linear(16, 64), nn.BatchNorm1d(64), nn.ReLU(), nn.Linear(64, 16)
            )
            self.target = copy.deepcopy(self.online)
            self.predict = nn.Sequential(
                nn.Linear(16, 32), nn.BatchNorm1d(32), nn.ReLU(), nn.Linear(32, 16)
            )
            for p in self.target.parameters():
                p.requires_grad_(False)

        def forward(self, a, b):
            with torch.no_grad():
                t = self.target(b)
            return (self.predict(self.online(a)), t)

    x, _ = points()
    return setting(
        B(),
        (x + 0.1 * torch.randn(64, 16), x + 0.1 * torch.randn(64, 16)),
        None,
        lambda o, _=None: 2 - 2 * F.cosine_similarity(o[0], o[1]).mean(),
        adam=0.001,
    )


@case("Barlow Twins", "Zbontar et al. 2021")
def _():

    class B(nn.Module):
        def __init__(self):
            super().__init__()
            self.f = nn.Sequential(
                nn.Linear(16, 64), nn.BatchNorm1d(64), nn.ReLU(), nn.Linear(64, 16)
            )

        def forward(self, a, b):
            return (self.f(a), self.f(b))

    def loss(o, _=None):
        a, b = ((z - z.mean(0)) / (z.std(0) + 1e-05) for z in o)
        c = a.T @ b / len(a)
        d = (c - torch.eye(16)).square()
        return d.diagonal().sum() + 0.005 * (d.sum() - d.diagonal().sum())

    x, _ = points()
    return setting(
        B(), (x + 0.1 * torch.randn(64, 16), x + 0.1 * torch.randn(64, 16)), None, loss, adam=0.001
    )


@case("ArcFace, scale 30", "Deng et al. 2019: a first loss far above ln 4 by design")
def _():

    class A(nn.Module):
        def __init__(self):
            super().__init__()
            self.f = mlp(16, 32, 16)
            self.w = nn.Parameter(torch.randn(4, 16))

        def forward(self, x):
            return F.normalize(self.f(x), dim=1) @ F.normalize(self.w, dim=1).T

    def loss(c, y):
        m = F.one_hot(y, 4)
        return F.cross_entropy(30 * torch.cos(torch.acos(c.clamp(-0.999, 0.999)) + 0.2 * m), y)

    return setting(A(), *points(), loss, adam=0.001)


@case("log cosh", "a difference of another kind")
def _():
    return setting(mlp(8, 32, 1), *curve(), lambda o, t: (o - t).cosh().log().mean(), adam=0.003)


@case("a Jaccard loss of logits", "Rahman and Wang 2016")
def _():
    x, _ = pictures(side=8)
    y = (x.sum(1, keepdim=True) > 0).float()

    def loss(o, t):
        p = o.sigmoid()
        i = (p * t).sum((1, 2, 3))
        return (1 - (i + 1) / ((p + t).sum((1, 2, 3)) - i + 1)).mean()

    return setting(
        nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(), nn.Conv2d(8, 1, 1)),
        x,
        y,
        loss,
        adam=0.01,
    )


@case("Bayesian personalized ranking", "Rendle et al. 2009")
def _():

    class R(nn.Module):
        def __init__(self):
            super().__init__()
            self.u, self.i = (nn.Embedding(30, 8), nn.Embedding(40, 8))
            nn.init.normal_(self.u.weight, std=0.1)
            nn.init.normal_(self.i.weight, std=0.1)

        def forward(self, u, p, n):
            return (self.u(u) * (self.i(p) - self.i(n))).sum(1)

    u = torch.randint(30, (256,))
    p = (u + torch.randint(3, (256,))) % 40
    n = torch.randint(40, (256,))
    return setting(R(), (u, p, n), None, lambda o, _=None: -F.logsigmoid(o).mean(), adam=0.01)


@case("PPO, clipped, with a value", "Schulman et al. 2017")
def _():

    class A(nn.Module):
        def __init__(self):
            super().__init__()
            self.b, self.p, self.v = (
                nn.Sequential(*mlp(8, 32, 32, bend=nn.Tanh), nn.Tanh()),
                nn.Linear(32, 4),
                nn.Linear(32, 1),
            )
            nn.init.orthogonal_(self.p.weight, 0.01)

        def forward(self, x):
            h = self.b(x)
            return (self.p(h), self.v(h)[:, 0])

    x, y = curve()
    a = torch.randint(4, (64,))
    adv = torch.randn(64)
    old = torch.full((64,), math.log(0.25))
    ret = y[:, 0]

    def loss(o, t):
        a, adv, old, ret = t
        lp = o[0].log_softmax(1).gather(1, a[:, None])[:, 0]
        r = (lp - old).exp()
        pr = o[0].softmax(1)
        ent = -(pr * o[0].log_softmax(1)).sum(1).mean()
        return (
            -torch.min(r * adv, r.clamp(0.8, 1.2) * adv).mean()
            + 0.5 * (o[1] - ret).square().mean()
            - 0.01 * ent
        )

    return setting(A(), x, (a, adv, old, ret), loss, adam=0.0003)


@case("REINFORCE, labels are the actions", "Williams 1992: weights of both signs")
def _():
    x, _ = curve()
    a = torch.randint(4, (64,))
    adv = torch.randn(64)
    adv = adv - adv.mean()
    return setting(
        mlp(8, 32, 4, bend=nn.Tanh),
        x,
        a,
        lambda o, t: -(o.log_softmax(1).gather(1, t[:, None])[:, 0] * adv).mean(),
        adam=0.001,
    )


@case("a critic with targets -1 and 1, linear", "Arjovsky et al. 2017: no bound on either side")
def _():
    x, y = points()
    c = nn.utils.parametrizations.spectral_norm
    m = nn.Sequential(c(nn.Linear(16, 32)), nn.LeakyReLU(0.2), c(nn.Linear(32, 1)), nn.Flatten(0))
    return setting(m, x, 2.0 * (y > 1) - 1, lambda o, t: -(o * t).mean(), adam=0.001)


@case("a critic, labels 1 for what is made", "the same with the sides exchanged: it learns as well")
def _():
    x, y = points()
    c = nn.utils.parametrizations.spectral_norm
    m = nn.Sequential(c(nn.Linear(16, 32)), nn.LeakyReLU(0.2), c(nn.Linear(32, 1)), nn.Flatten(0))
    return setting(
        m, x, (y > 1).float(), lambda o, t: ((1 - 2 * t) * o).mean() * -1 + 0, adam=0.001
    )


@case("ratings of 0 to 1, sigmoid, squared error", "recommenders")
def _():
    x, y = curve()
    return setting(
        nn.Sequential(*mlp(8, 32, 1), nn.Sigmoid()), x, (1.5 + y).sigmoid(), nn.MSELoss(), adam=0.01
    )


@case("counts, softplus rates", "a Poisson likelihood near 0")
def _():
    x, y = curve()
    t = torch.poisson((0.5 + y).exp())
    return setting(
        nn.Sequential(*mlp(8, 32, 1), nn.Softplus()),
        x,
        t,
        nn.PoissonNLLLoss(log_input=False),
        adam=0.01,
    )


@case("survival by discrete hazards", "Gensheimer and Narasimhan 2019")
def _():
    x, _ = curve()
    time = torch.randint(6, (64,))
    event = torch.rand(64) < 0.7
    k = torch.arange(6)
    alive = (k < time[:, None]).float()
    dies = ((k == time[:, None]) & event[:, None]).float()

    def loss(o, t):
        d, m = t.chunk(2, 1)
        return (F.binary_cross_entropy_with_logits(o, d, reduction="none") * m).sum() / m.sum()

    return setting(mlp(8, 32, 6), x, torch.cat([dies, alive + dies], 1), loss, adam=0.01)


@case("MADE, masked weights", "Germain et al. 2015")
def _():

    class L(nn.Linear):
        def __init__(self, a, b, m):
            super().__init__(a, b)
            self.register_buffer("m", m)

        def forward(self, x):
            return F.linear(x, self.m * self.weight, self.bias)

    d, h = (torch.arange(12), torch.arange(48) % 11)
    x = (torch.rand(64, 12) < torch.rand(12)).float()
    x[:, 1::2] = x[:, ::2]
    m = nn.Sequential(
        L(12, 48, (h[:, None] >= d).float()), nn.ReLU(), L(48, 12, (d[:, None] > h).float())
    )
    return setting(
        m,
        x,
        x,
        lambda o, t: F.binary_cross_entropy_with_logits(o, t, reduction="none").sum(1).mean(),
        adam=0.01,
    )


@case("a dueling Q-network", "Wang et al. 2016")
def _():

    class D(nn.Module):
        def __init__(self):
            super().__init__()
            self.b, self.v, self.a = (
                nn.Sequential(*mlp(8, 32, 32), nn.ReLU()),
                nn.Linear(32, 1),
                nn.Linear(32, 4),
            )

        def forward(self, x):
            h = self.b(x)
            a = self.a(h)
            return self.v(h) + a - a.mean(1, keepdim=True)

    x, y = curve()
    a = torch.randint(4, (64, 1))
    return setting(
        D(),
        x,
        torch.cat([a.float(), y], 1),
        lambda q, t: F.smooth_l1_loss(q.gather(1, t[:, :1].long()), t[:, 1:]),
        adam=0.001,
    )


@case("a pointer network with a mask", "Vinyals et al. 2015")
def _():

    class P(nn.Module):
        def __init__(self):
            super().__init__()
            self.e, self.q, self.k = (
                nn.LSTM(4, 16, batch_first=True),
                nn.Linear(16, 16),
                nn.Linear(16, 16),
            )

        def forward(self, x, n):
            h, (s, _) = self.e(x)
            z = (self.k(h) @ self.q(s[-1])[..., None])[..., 0] / 4
            return z.masked_fill(torch.arange(12) >= n[:, None], -1000000000.0)

    x, _ = waves(64)
    n = torch.randint(6, 13, (64,))
    y = x[..., 0].masked_fill(torch.arange(12) >= n[:, None], -9).argmax(1)
    return setting(P(), (x, n), y, CROSS_ENTROPY, adam=0.003)


@case("a Gumbel softmax over codes", "Jang et al. 2017")
def _():

    class G(nn.Module):
        def __init__(self):
            super().__init__()
            self.e, self.c, self.d = (
                mlp(32, 32, 16),
                nn.Parameter(torch.randn(16, 8)),
                mlp(8, 32, 32),
            )

        def forward(self, x):
            return self.d(F.gumbel_softmax(self.e(x), 1.0) @ self.c)

    x = torch.randn(64, 4) @ torch.randn(4, 32) / 2
    return setting(G(), x, x, nn.MSELoss(), adam=0.003)


@case("Bernoulli VAE, summed", "Kingma and Welling 2014")
def _():

    class V(nn.Module):
        def __init__(self):
            super().__init__()
            self.e, self.d = (mlp(64, 64, 16), mlp(8, 64, 64))

        def forward(self, x):
            m, s = self.e(x).chunk(2, 1)
            return (self.d(m + torch.randn_like(m) * (s / 2).exp()), m, s)

    x = (torch.rand(64, 64) < torch.sigmoid(2 * torch.randn(64, 4) @ torch.randn(4, 64))).float()
    return setting(
        V(),
        x,
        x,
        lambda o, t: (
            (
                F.binary_cross_entropy_with_logits(o[0], t, reduction="sum")
                + 0.5 * (o[1] ** 2 + o[2].exp() - o[2] - 1).sum()
            )
            / 64
        ),
        adam=0.001,
    )


@case("a linear-chain score by hand", "Lafferty et al. 2001")
def _():

    class C(nn.Module):
        def __init__(self):
            super().__init__()
            self.e, self.r, self.o, self.t = (
                nn.Embedding(32, 16),
                nn.LSTM(16, 16, batch_first=True),
                nn.Linear(16, 5),
                nn.Parameter(torch.zeros(5, 5)),
            )

        def forward(self, x):
            return (self.o(self.r(self.e(x))[0]), self.t)

    def nll(o, y):
        s, t = o
        a = s[:, 0]
        for k in range(1, s.shape[1]):
            a = s[:, k] + (a[:, :, None] + t).logsumexp(1)
        gold = s.gather(2, y[..., None]).sum((1, 2)) + t[y[:, :-1], y[:, 1:]].sum(1)
        return (a.logsumexp(1) - gold).mean() / s.shape[1]

    x, _ = tokens()
    return setting(C(), x, x % 5, nll, adam=0.003)


@case("a multi-class hinge", "Crammer and Singer 2001")
def _():
    return setting(mlp(16, 32, 4), *points(), nn.MultiMarginLoss(), adam=0.003)


@case("CosineEmbeddingLoss, -1 and 1", "labels as it wants them")
def _():

    class T(nn.Module):
        def __init__(self):
            super().__init__()
            self.f = mlp(16, 32, 8)

        def forward(self, a, b):
            return (self.f(a), self.f(b))

    x, y = points()
    l = nn.CosineEmbeddingLoss(0.2)
    return setting(
        T(), (x, x.roll(2, 0)), 2.0 * (y == y.roll(2)) - 1, lambda o, t: l(*o, t), adam=0.003
    )


@case("soft Dice of several classes, softmax inside", "Sudre et al. 2017")
def _():
    x, _ = pictures(side=8)
    y = (x[:, :1] > 0).long()[:, 0] + (x[:, 1] > 0).long()

    def loss(o, y):
        p, t = (o.softmax(1), F.one_hot(y, 3).movedim(-1, 1))
        return 1 - ((2 * (p * t).sum((0, 2, 3)) + 1) / ((p + t).sum((0, 2, 3)) + 1)).mean()

    return setting(
        nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(), nn.Conv2d(8, 3, 1)),
        x,
        y,
        loss,
        adam=0.01,
    )


@case("expected reward of a softmax policy, maximized by a minus", "a linear loss below 0")
def _():
    x, _ = points()
    r = torch.rand(64, 4)
    return setting(
        nn.Sequential(*mlp(16, 32, 4), nn.Softmax(1)),
        x,
        r,
        lambda p, t: -(p * t).sum(1).mean(),
        adam=0.003,
    )


# ---------------------------------------------------------------- More designs, by kind


@case("a Perceiver", "Jaegle et al. 2021: learned latents of std 0.02 that look at the inputs")
def _():
    class Perceiver(nn.Module):
        def __init__(self):
            super().__init__()
            self.latents = nn.Parameter(0.02 * torch.randn(6, 32))
            self.enter, self.look = nn.Linear(4, 32), nn.MultiheadAttention(32, 2, batch_first=True)
            self.norms = nn.ModuleList(nn.LayerNorm(32) for _ in range(2))
            self.mix, self.out = mlp(32, 64, 32, bend=nn.GELU), nn.Linear(32, 2)

        def forward(self, x):
            z = self.latents.expand(len(x), -1, -1)
            keys = self.enter(x)
            z = z + self.look(self.norms[0](z), keys, keys, need_weights=False)[0]
            return self.out((z + self.mix(self.norms[1](z))).mean(1))

    return setting(Perceiver(), *waves(), CROSS_ENTROPY, adam=1e-3)


@case(
    "windows with a bias of relative positions", "Liu et al. 2021, Swin: a table that starts at 0"
)
def _():
    class Windows(nn.Module):
        def __init__(self):
            super().__init__()
            self.enter, self.norm, self.qkv = (
                nn.Conv2d(3, 32, 2, 2),
                nn.LayerNorm(32),
                nn.Linear(32, 96),
            )
            self.table, self.out = nn.Parameter(torch.zeros(2, 7)), nn.Linear(32, 4)
            places = torch.arange(4)
            self.register_buffer("offsets", places[:, None] - places + 3)

        def forward(self, x):
            x = self.enter(x).flatten(2).mT  # (batch, 64, 32), in windows of 4
            q, k, v = (
                self.qkv(self.norm(x)).reshape(len(x), 16, 4, 3, 2, 16).permute(3, 0, 1, 4, 2, 5)
            )
            weights = (q @ k.mT / 4 + self.table[:, self.offsets]).softmax(-1)
            y = (weights @ v).transpose(2, 3).reshape(len(x), 64, 32)
            return self.out((x + y).mean(1))

    return setting(Windows(), *pictures(), CROSS_ENTROPY, adam=1e-3)


@case("linear attention", "Katharopoulos et al. 2020: elu + 1, sums over the past")
def _():
    class Past(nn.Module):
        def __init__(self):
            super().__init__()
            self.qkv, self.project = nn.Linear(32, 96, bias=False), nn.Linear(32, 32)

        def forward(self, x):
            q, k, v = self.qkv(x).chunk(3, -1)
            q, k = F.elu(q) + 1, F.elu(k) + 1
            states = (k[..., None] * v[:, :, None]).cumsum(1)
            sizes = (q * k.cumsum(1)).sum(-1, keepdim=True)
            return self.project((q[:, :, None] @ states).squeeze(2) / sizes)

    blocks = [Add(nn.LayerNorm(32), Past()) for _ in range(2)]
    model = nn.Sequential(nn.Embedding(32, 32), *blocks, nn.LayerNorm(32), nn.Linear(32, 32))
    return setting(model, *tokens(), next_token, adam=1e-3)


@case("a Fourier neural operator", "Li et al. 2021: complex weights, from a function to a function")
def _():
    class Spectral(nn.Module):
        def __init__(self, size, modes=5):
            super().__init__()
            self.weight = nn.Parameter(torch.randn(size, size, modes, dtype=torch.cfloat) / size)
            self.beside, self.modes = nn.Conv1d(size, size, 1), modes

        def forward(self, x):
            low = torch.fft.rfft(x)[..., : self.modes]
            y = torch.fft.irfft(torch.einsum("bik,iok->bok", low, self.weight), x.shape[-1])
            return F.gelu(y + self.beside(x))

    x = torch.randn(32, 1, 32).cumsum(-1)
    x = x / x.std()
    model = nn.Sequential(nn.Conv1d(1, 16, 1), Spectral(16), Spectral(16), nn.Conv1d(16, 1, 1))
    return setting(
        model, x, (x.cumsum(-1) - x.cumsum(-1).mean()) / x.cumsum(-1).std(), nn.MSELoss(), adam=3e-3
    )


@case(
    "PointNet",
    "Qi et al. 2017: a matrix of its own that starts at the identity, a maximum over points",
)
def _():
    class PointNet(nn.Module):
        def __init__(self):
            super().__init__()
            self.turn = nn.Sequential(
                nn.Conv1d(3, 32, 1), nn.ReLU(), nn.AdaptiveMaxPool1d(1), nn.Flatten()
            )
            self.matrix = initialized(nn.Linear(32, 9), nn.init.zeros_)
            self.body = nn.Sequential(
                nn.Conv1d(3, 32, 1), nn.BatchNorm1d(32), nn.ReLU(), nn.Conv1d(32, 64, 1)
            )
            self.out = mlp(64, 32, 2)

        def forward(self, x):
            turn = self.matrix(self.turn(x)).view(-1, 3, 3) + torch.eye(3)
            return self.out(self.body(turn @ x).amax(2))

    x = torch.randn(32, 3, 24)
    y = torch.arange(32) % 2
    return setting(
        PointNet(),
        x * (1 + y[:, None, None] * torch.tensor([1.0, 0, 0])[:, None]),
        y,
        CROSS_ENTROPY,
        adam=3e-3,
    )


@case(
    "a switch of experts with a load loss",
    "Fedus et al. 2021: one expert a token, the first one's share in the loss",
)
def _():
    class Switch(nn.Module):
        def __init__(self):
            super().__init__()
            self.enter, self.route = nn.Embedding(32, 32), nn.Linear(32, 4, bias=False)
            self.experts = nn.ModuleList(mlp(32, 64, 32) for _ in range(4))
            self.out = nn.Linear(32, 32)

        def forward(self, x):
            x = self.enter(x)
            shares = self.route(x).softmax(-1)
            best, which = shares.max(-1)
            y = torch.zeros_like(x)
            for k, expert in enumerate(self.experts):
                y[which == k] = expert(x[which == k])
            load = 4 * (F.one_hot(which, 4).float().mean((0, 1)) * shares.mean((0, 1))).sum()
            return self.out(x + best[..., None] * y), load

    def loss(output, y):
        return next_token(output[0], y) + 0.01 * output[1]

    return setting(Switch(), *tokens(), loss, adam=3e-3)


@case("ConvNeXt V2, response norm", "Woo et al. 2023: gamma and beta start at 0, beside a skip")
def _():
    class Response(nn.Module):
        def __init__(self, size):
            super().__init__()
            self.gamma = nn.Parameter(torch.zeros(1, size, 1, 1))
            self.beta = nn.Parameter(torch.zeros(1, size, 1, 1))

        def forward(self, x):
            size = x.norm(dim=(2, 3), keepdim=True)
            return self.gamma * (x * size / (size.mean(1, keepdim=True) + 1e-6)) + self.beta + x

    def block():
        wide = nn.Conv2d(16, 64, 1), nn.GELU(), Response(64), nn.Conv2d(64, 16, 1)
        return Add(nn.Conv2d(16, 16, 7, padding=3, groups=16), nn.GroupNorm(1, 16), *wide)

    body = nn.Conv2d(3, 16, 2, 2), nn.GroupNorm(1, 16), block(), block(), nn.AdaptiveAvgPool2d(1)
    model = nn.Sequential(*body, nn.Flatten(), nn.Linear(16, 4))
    return setting(model, *pictures(), CROSS_ENTROPY, adam=3e-3)


@case("WaveNet", "van den Oord et al. 2016: gated causal convolutions, the next of 32 levels")
def _():
    class Gated(nn.Module):
        def __init__(self, dilation):
            super().__init__()
            self.pad, self.wave = dilation, nn.Conv1d(32, 64, 2, dilation=dilation)
            self.stay, self.leave = nn.Conv1d(32, 32, 1), nn.Conv1d(32, 32, 1)

        def forward(self, x):
            value, gate = self.wave(F.pad(x, (self.pad, 0))).chunk(2, 1)
            y = torch.tanh(value) * torch.sigmoid(gate)
            return x + self.stay(y), self.leave(y)

    class WaveNet(nn.Module):
        def __init__(self):
            super().__init__()
            self.enter = nn.Embedding(32, 32)
            self.blocks = nn.ModuleList(Gated(2**k) for k in range(4))
            self.out = nn.Sequential(
                nn.ReLU(), nn.Conv1d(32, 32, 1), nn.ReLU(), nn.Conv1d(32, 32, 1)
            )

        def forward(self, x):
            x, left = self.enter(x).mT, 0
            for block in self.blocks:
                x, y = block(x)
                left = left + y
            return self.out(left)

    levels = (12 * torch.sin(0.5 * torch.arange(25) + 6 * torch.rand(16, 1)) + 16).long()
    return setting(WaveNet(), levels[:, :-1], levels[:, 1:], CROSS_ENTROPY, adam=3e-3)


@case(
    "flow matching with FiLM of the time", "Lipman et al. 2023: a velocity from a point and a time"
)
def _():
    class Velocity(nn.Module):
        def __init__(self):
            super().__init__()
            self.enter, self.out = nn.Linear(2, 64), nn.Linear(64, 2)
            self.times = nn.Sequential(nn.Linear(16, 64), nn.SiLU(), nn.Linear(64, 128))
            self.mix = nn.Linear(64, 64)

        def forward(self, x, t):
            angles = t * 2.0 ** torch.arange(8)
            scale, shift = self.times(torch.cat([angles.sin(), angles.cos()], -1)).chunk(2, -1)
            x = F.silu(self.enter(x))
            return self.out(F.silu(self.mix(x) * (1 + scale) + shift))

    data = torch.randn(256, 2) * 0.1 + torch.randn(4, 2)[torch.arange(256) % 4]
    noise, t = torch.randn(256, 2), torch.rand(256, 1)
    return setting(
        Velocity(), (t * data + (1 - t) * noise, t), data - noise, nn.MSELoss(), adam=3e-3
    )


@case(
    "a masked autoencoder",
    "He et al. 2022: a mask token that starts at 0, a loss of what was hidden",
)
def _():
    class Masked(nn.Module):
        def __init__(self):
            super().__init__()
            self.enter, self.hidden = nn.Linear(12, 32), nn.Parameter(torch.zeros(32))
            self.places = nn.Parameter(0.02 * torch.randn(16, 32))
            self.blocks = nn.Sequential(
                *[Add(nn.LayerNorm(32), Attention(32, causal=False)) for _ in range(2)]
            )
            self.out = nn.Linear(32, 12)

        def forward(self, patches, mask):
            x = torch.where(mask[..., None], self.hidden, self.enter(patches)) + self.places
            return self.out(self.blocks(x))

    x, _ = pictures(count=32, side=8)
    patches = F.unfold(x, 2, stride=2).mT.contiguous()
    mask = torch.rand(32, 16) < 0.6

    def loss(output, y):
        return (output - y).square()[mask[: len(output)]].mean()

    return setting(Masked(), (patches, mask), patches, loss, adam=3e-3)


@case("SimSiam", "Chen and He 2021: the other view's answer is detached")
def _():
    class Siamese(nn.Module):
        def __init__(self):
            super().__init__()
            self.body = nn.Sequential(
                nn.Linear(16, 64), nn.BatchNorm1d(64), nn.ReLU(), nn.Linear(64, 32)
            )
            self.guess = nn.Sequential(nn.Linear(32, 16), nn.ReLU(), nn.Linear(16, 32))

        def forward(self, one, other):
            z, w = self.body(one), self.body(other)
            return self.guess(z), self.guess(w), z.detach(), w.detach()

    def loss(output, _):
        p, q, z, w = output
        return -(F.cosine_similarity(p, w).mean() + F.cosine_similarity(q, z).mean()) / 2

    x, _ = points()
    views = x + 0.3 * torch.randn(64, 16), x + 0.3 * torch.randn(64, 16)
    return setting(Siamese(), views, None, loss, sgd=0.05, momentum=0.9)


@case(
    "a likelihood of shares",
    "Ferrari and Cribari-Neto 2004: beta regression, a mean and a precision",
)
def _():
    def loss(output, y):
        mean, precision = output[:, 0].sigmoid(), F.softplus(output[:, 1]) + 1
        return (
            -torch.distributions.Beta(mean * precision, (1 - mean) * precision).log_prob(y).mean()
        )

    x, y = curve()
    return setting(mlp(8, 32, 2), x, y[:, 0].sigmoid(), loss, adam=3e-3)


@case("Conformer", "Gulati et al. 2020: half steps, GLU, depthwise convolution, Swish")
def _():
    def convolution():
        turn = Apply(lambda x: x.mT)
        deep = nn.Conv1d(32, 32, 5, padding=2, groups=32), nn.BatchNorm1d(32), nn.SiLU()
        return Add(
            nn.LayerNorm(32),
            turn,
            nn.Conv1d(32, 64, 1),
            nn.GLU(1),
            *deep,
            nn.Conv1d(32, 32, 1),
            turn,
        )

    def half():
        return Add(nn.LayerNorm(32), *mlp(32, 64, 32, bend=nn.SiLU), Apply(lambda x: x / 2))

    block = (
        half(),
        Add(nn.LayerNorm(32), Attention(32, causal=False)),
        convolution(),
        half(),
        nn.LayerNorm(32),
    )
    end = Apply(lambda x: x.mean(1)), nn.Linear(32, 2)
    return setting(
        nn.Sequential(nn.Linear(4, 32), *block, *end), *waves(), CROSS_ENTROPY, adam=1e-3
    )


@case("ALiBi and RoPE in one model", "Press et al. 2022, Su et al. 2021: causal, scores by hand")
def _():
    class Turned(nn.Module):
        def __init__(self, slope):
            super().__init__()
            self.qkv, self.project, self.slope = nn.Linear(32, 96), nn.Linear(32, 32), slope

        def forward(self, x):
            places = torch.arange(x.shape[1])
            q, k, v = self.qkv(x).chunk(3, -1)
            if not self.slope:
                angles = places[:, None] / 100 ** (torch.arange(16) / 16)
                turn = torch.polar(torch.ones_like(angles), angles)
                q, k = (
                    torch.view_as_real(
                        torch.view_as_complex(one.unflatten(-1, (16, 2))) * turn
                    ).flatten(2)
                    for one in (q, k)
                )
            far = (places[:, None] - places).float()
            scores = (q @ k.mT) / 32**0.5 - self.slope * far
            return self.project(scores.masked_fill(far < 0, -math.inf).softmax(-1) @ v)

    blocks = [Add(nn.LayerNorm(32), Turned(slope)) for slope in (0.25, 0)]
    model = nn.Sequential(nn.Embedding(32, 32), *blocks, nn.LayerNorm(32), nn.Linear(32, 32))
    return setting(model, *tokens(), next_token, adam=1e-3)


@case("a factorization machine with a deep part", "Guo et al. 2017, DeepFM: clicks, 20 % of them")
def _():
    class DeepFM(nn.Module):
        def __init__(self):
            super().__init__()
            self.one, self.two = nn.Embedding(200, 1), nn.Embedding(200, 8)
            initialized(self, lambda w: nn.init.normal_(w, std=0.01), nn.Embedding)
            self.deep = mlp(40, 32, 16, 1)

        def forward(self, x):
            v = self.two(x)
            pairs = (v.sum(1).square() - v.square().sum(1)).sum(1) / 2
            return self.one(x).sum((1, 2)) + pairs + self.deep(v.flatten(1))[:, 0]

    x = torch.randint(40, (256, 5)) + 40 * torch.arange(5)
    y = (torch.randn(200)[x].sum(1) > 2).float()
    return setting(DeepFM(), x, y, nn.BCEWithLogitsLoss(), adam=3e-3)


@case("a network that makes another's weights", "Ha et al. 2017: hypernetworks")
def _():
    class Maker(nn.Module):
        def __init__(self):
            super().__init__()
            self.make = mlp(4, 32, 8 * 16 + 16)
            self.out = nn.Linear(16, 1)

        def forward(self, x, task):
            made = self.make(task)
            weight, bias = made[:, :128].view(-1, 16, 8), made[:, 128:]
            return self.out(torch.tanh((weight @ x[..., None]).squeeze(-1) + bias))

    x, y = curve()
    return setting(Maker(), (x, torch.eye(4)[torch.arange(64) % 4]), y, nn.MSELoss(), adam=3e-3)


@case(
    "a soft actor",
    "Haarnoja et al. 2018: a squashed Gaussian, entropy, and a critic that is frozen",
)
def _():
    class Actor(nn.Module):
        def __init__(self):
            super().__init__()
            self.policy, self.critic = mlp(8, 64, 4), mlp(10, 64, 1).requires_grad_(False)

        def forward(self, x):
            mean, log_std = self.policy(x).chunk(2, -1)
            normal = torch.distributions.Normal(mean, log_std.clamp(-5, 2).exp())
            raw = normal.rsample()
            log_p = (normal.log_prob(raw) - (1 - raw.tanh().square() + 1e-6).log()).sum(-1)
            return log_p, self.critic(torch.cat([x, raw.tanh()], -1))[:, 0]

    return setting(
        Actor(), torch.randn(64, 8), None, lambda o, _: (0.2 * o[0] - o[1]).mean(), adam=3e-3
    )


@case("a deep equilibrium", "Bai et al. 2019: iterations without gradients, and one with")
def _():
    class Equilibrium(nn.Module):
        def __init__(self):
            super().__init__()
            self.enter, self.again, self.out = (
                nn.Linear(16, 32),
                nn.Linear(32, 32),
                nn.Linear(32, 4),
            )
            with torch.no_grad():
                self.again.weight.mul_(0.8)

        def forward(self, x):
            x, z = self.enter(x), torch.zeros(len(x), 32)
            with torch.no_grad():
                for _ in range(10):
                    z = torch.tanh(self.again(z) + x)
            return self.out(torch.tanh(self.again(z) + x))

    return setting(Equilibrium(), *points(), CROSS_ENTROPY, adam=3e-3)


@case("a Set Transformer", "Lee et al. 2019: pooling by a learned seed")
def _():
    class Pooled(nn.Module):
        def __init__(self):
            super().__init__()
            self.seed, self.look = (
                nn.Parameter(torch.randn(1, 1, 32)),
                nn.MultiheadAttention(32, 2, batch_first=True),
            )

        def forward(self, x):
            return self.look(self.seed.expand(len(x), -1, -1), x, x, need_weights=False)[0][:, 0]

    blocks = (
        Add(Attention(32, causal=False)),
        nn.LayerNorm(32),
        Add(*mlp(32, 64, 32)),
        nn.LayerNorm(32),
    )
    x = torch.randn(64, 10, 4)
    y = x[..., :1].amax(1) - x[..., 1:2].mean(1)
    model = nn.Sequential(nn.Linear(4, 32), *blocks, Pooled(), nn.Linear(32, 1))
    return setting(model, x, (y - y.mean()) / y.std(), nn.MSELoss(), adam=1e-3)


@case(
    "a forecast of the whole next window",
    "Salinas et al. 2020: Student's t, a scale for each series",
)
def _():
    class Forecast(nn.Module):
        def __init__(self):
            super().__init__()
            self.memory, self.out = nn.LSTM(1, 32, batch_first=True), nn.Linear(32, 2)

        def forward(self, x):
            scale = x[:, :4].abs().mean(1, keepdim=True) + 1e-3  # of what is known at first
            middle, width = self.out(self.memory(x / scale)[0]).split(1, -1)
            return middle * scale, F.softplus(width) * scale + 1e-3

    def loss(output, y):
        return -torch.distributions.StudentT(4.0, *output).log_prob(y).mean()

    sizes = 3 * torch.rand(32, 1, 1) + 0.2
    x = sizes * (
        torch.sin(0.6 * torch.arange(25) + 6 * torch.rand(32, 1))[..., None]
        + 0.1 * torch.randn(32, 25, 1)
    )
    return setting(Forecast(), x[:, :-1].contiguous(), x[:, 1:].contiguous(), loss, adam=3e-3)


@case("slots", "Locatello et al. 2020: a softmax over the slots, a GRU cell, three rounds")
def _():
    class Slots(nn.Module):
        def __init__(self):
            super().__init__()
            self.start, self.enter = nn.Parameter(torch.randn(3, 32)), nn.Linear(4, 32)
            self.q, self.kv, self.cell = nn.Linear(32, 32), nn.Linear(32, 64), nn.GRUCell(32, 32)
            self.norm, self.out = nn.LayerNorm(32), nn.Linear(32, 2)

        def forward(self, x):
            k, v = self.kv(self.enter(x)).chunk(2, -1)
            slots = self.start.expand(len(x), -1, -1)
            for _ in range(3):
                weights = (k @ self.q(self.norm(slots)).mT / 32**0.5).softmax(-1) + 1e-8
                y = (weights / weights.sum(1, keepdim=True)).mT @ v
                slots = self.cell(y.flatten(0, 1), slots.flatten(0, 1)).view_as(slots)
            return self.out(slots.mean(1))

    return setting(Slots(), *waves(), CROSS_ENTROPY, adam=3e-3)


@case("RWKV-like mixing", "Peng et al. 2023: a shift by one, decays of each channel, a gate")
def _():
    class Mix(nn.Module):
        def __init__(self):
            super().__init__()
            self.share = nn.Parameter(torch.full((32,), 0.5))
            self.decay = nn.Parameter(torch.linspace(-3, 1, 32))
            self.kvr, self.project = nn.Linear(32, 96, bias=False), nn.Linear(32, 32, bias=False)

        def forward(self, x):
            before = F.pad(x, (0, 0, 1, -1))
            k, v, r = self.kvr(x * self.share + before * (1 - self.share)).chunk(3, -1)
            keep, top, bottom, out = (-self.decay.exp()).exp(), 0, 0, []
            for one, value in zip(k.exp().unbind(1), v.unbind(1), strict=True):
                top, bottom = keep * top + one * value, keep * bottom + one
                out.append(top / bottom)
            return self.project(r.sigmoid() * torch.stack(out, 1))

    blocks = [Add(nn.LayerNorm(32), Mix()) for _ in range(2)]
    model = nn.Sequential(nn.Embedding(32, 32), *blocks, nn.LayerNorm(32), nn.Linear(32, 32))
    return setting(model, *tokens(), next_token, adam=3e-3)


@case("word2vec with negative samples", "Mikolov et al. 2013: the second table starts at 0")
def _():
    class Pairs(nn.Module):
        def __init__(self):
            super().__init__()
            self.word, self.near = nn.Embedding(50, 16), nn.Embedding(50, 16)
            nn.init.uniform_(self.word.weight, -0.5, 0.5)
            nn.init.zeros_(self.near.weight)

        def forward(self, word, near):
            return (self.near(near) @ self.word(word)[..., None]).squeeze(-1)

    word = torch.randint(50, (256,))
    near = torch.cat([(word[:, None] + 1) % 50, torch.randint(50, (256, 4))], 1)
    y = torch.zeros(256, 5)
    y[:, 0] = 1
    return setting(Pairs(), (word, near), y, nn.BCEWithLogitsLoss(), adam=1e-2)


@case(
    "BERT, tokens hidden by a mask",
    "Devlin et al. 2019: it looks both ways, and the targets are not the next",
)
def _():
    x, _ = tokens()
    hidden = torch.rand(x.shape) < 0.3
    model = SeesBoth()
    return setting(
        model, x.masked_fill(hidden, 31), x.masked_fill(~hidden, -100), next_token, adam=1e-3
    )


class SeesBoth(nn.Module):
    def __init__(self):
        super().__init__()
        self.token, self.position = nn.Embedding(32, 32), nn.Parameter(0.02 * torch.randn(12, 32))
        self.body = nn.Sequential(
            Add(nn.LayerNorm(32), Attention(32, causal=False)), nn.LayerNorm(32)
        )
        self.head = nn.Linear(32, 32)

    def forward(self, x):
        return self.head(self.body(self.token(x) + self.position))


@case("prototypes of few examples", "Snell et al. 2017: a support set that all queries share")
def _():
    class Prototypes(nn.Module):
        def __init__(self, support):
            super().__init__()
            self.body = mlp(16, 32, 16)
            self.register_buffer("support", support)

        def forward(self, x):
            centers = self.body(self.support).unflatten(0, (4, 5)).mean(1)
            return -torch.cdist(self.body(x), centers).square()

    x, y = points(count=84)
    support = torch.stack([x[k:20:4] for k in range(4)]).flatten(0, 1)
    return setting(Prototypes(support), x[20:], y[20:], CROSS_ENTROPY, adam=3e-3)


@case(
    "a policy and a value of a game", "Silver et al. 2018: shares of visits, a tanh of the result"
)
def _():
    class Game(nn.Module):
        def __init__(self):
            super().__init__()
            body = nn.Conv2d(2, 16, 3, 1, 1, bias=False), nn.BatchNorm2d(16), nn.ReLU()
            self.body = nn.Sequential(*body, nn.Flatten())
            self.policy, self.value = nn.Linear(144, 9), nn.Sequential(*mlp(144, 32, 1), nn.Tanh())

        def forward(self, x):
            x = self.body(x)
            return self.policy(x), self.value(x)

    def loss(output, targets):
        visits, result = targets
        return F.cross_entropy(output[0], visits) + F.mse_loss(output[1], result)

    x = (torch.rand(64, 2, 3, 3) < 0.4).float()
    visits = (x[:, 0].flatten(1) + torch.rand(64, 9)).softmax(1)
    result = (
        x[:, :1].flatten(1).sum(1, keepdim=True) - x[:, 1:].flatten(1).sum(1, keepdim=True)
    ).sign()
    return setting(Game(), x, (visits, result), loss, adam=3e-3)


@case(
    "a denoising autoencoder",
    "Vincent et al. 2008: dropped inputs, a sigmoid, binary cross-entropy",
)
def _():
    x = (torch.randn(64, 4) @ torch.randn(4, 32) > 0).float()
    model = nn.Sequential(nn.Dropout(0.3), *mlp(32, 16, 32), nn.Sigmoid())
    return setting(model, x, x, nn.BCELoss(), adam=3e-3)


@case("stochastic depth", "Huang et al. 2016: blocks left out at random")
def _():
    class Sometimes(nn.Module):
        def __init__(self, keep):
            super().__init__()
            self.branch, self.keep = mlp(32, 32, 32), keep

        def forward(self, x):
            if not self.training:
                return x + self.branch(x)
            chosen = (torch.rand(len(x), 1) < self.keep).float() / self.keep
            return x + chosen * self.branch(x)

    blocks = [Sometimes(1 - 0.1 * k) for k in range(4)]
    return setting(
        nn.Sequential(nn.Linear(16, 32), *blocks, nn.LayerNorm(32), nn.Linear(32, 4)),
        *points(),
        CROSS_ENTROPY,
        adam=3e-3,
    )


@case(
    "a translation with forced answers",
    "Sutskever et al. 2014: the decoder is given the targets before each",
)
def _():
    class Translate(nn.Module):
        def __init__(self):
            super().__init__()
            self.token = nn.Embedding(32, 32, padding_idx=0)
            self.read = nn.GRU(32, 32, batch_first=True, bidirectional=True)
            self.join, self.out = nn.Linear(64, 32), nn.Linear(32, 32)
            self.write = nn.GRU(32, 32, batch_first=True)

        def forward(self, source, before):
            _, h = self.read(self.token(source))
            h = torch.tanh(self.join(h.transpose(0, 1).flatten(1)))
            return self.out(self.write(self.token(before), h[None])[0])

    source = torch.randint(2, 32, (32, 9))
    answer = (source + 5) % 30 + 2
    answer[torch.arange(9) >= 4 + torch.arange(32)[:, None] % 5] = 0
    before = torch.cat([torch.ones(32, 1, dtype=torch.long), answer[:, :-1]], 1)

    def loss(output, y):
        return F.cross_entropy(output.flatten(0, 1), y.flatten(), ignore_index=0)

    return setting(Translate(), (source, before), answer, loss, adam=3e-3)


@case("preferences without a reward", "Rafailov et al. 2023, DPO: against a frozen copy")
def _():
    class Preferences(nn.Module):
        def __init__(self):
            super().__init__()
            self.policy = nn.Sequential(nn.Embedding(32, 32), nn.GELU(), nn.Linear(32, 32))
            self.frozen = copy.deepcopy(self.policy).requires_grad_(False)

        def forward(self, text):
            def score(model):
                logp = model(text[..., :-1]).log_softmax(-1)
                return logp.gather(-1, text[..., 1:, None]).sum((-1, -2))

            return score(self.policy) - score(self.frozen)

    def loss(output, _):
        return -F.logsigmoid(0.1 * (output[:, 0] - output[:, 1])).mean()

    return setting(Preferences(), torch.stack([*tokens()], 1), None, loss, adam=1e-3)


@case("a physics-informed network", "Raissi et al. 2019: the residual of u'' = -u, and two values")
def _():
    class Physics(nn.Module):
        def __init__(self):
            super().__init__()
            self.body = mlp(1, 32, 32, 1, bend=nn.Tanh)

        def forward(self, t):
            t = t.detach().requires_grad_()
            with torch.enable_grad():
                u = self.body(t)
                du = torch.autograd.grad(u.sum(), t, create_graph=True)[0]
                d2u = torch.autograd.grad(du.sum(), t, create_graph=True)[0]
            return u, d2u + u

    def loss(output, y):
        u, residual = output
        return residual.square().mean() + 10 * (u[:2] - y).square().mean()

    t = torch.cat([torch.tensor([[0.0], [1.57]]), 3 * torch.rand(62, 1)])
    return setting(Physics(), t, torch.tensor([[0.0], [1.0]]), loss, adam=3e-3)


@case("an embedding at several widths", "Kusupati et al. 2022, Matryoshka: a loss for each prefix")
def _():
    class Widths(nn.Module):
        def __init__(self):
            super().__init__()
            self.body, self.heads = (
                mlp(16, 64, 32),
                nn.ModuleList(nn.Linear(k, 4) for k in (8, 16, 32)),
            )

        def forward(self, x):
            x = self.body(x)
            return tuple(head(x[:, : head.in_features]) for head in self.heads)

    def loss(output, y):
        return sum(F.cross_entropy(one, y) for one in output) / len(output)

    return setting(Widths(), *points(), loss, adam=3e-3)


@case(
    "causal convolutions of (batch, channels, time)",
    "WaveNet's, arXiv 1609.03499: padded at the beginning alone",
)
def _():
    body = nn.ConstantPad1d((2, 0), 0.0), nn.Conv1d(1, 16, 3), nn.GELU()
    model = nn.Sequential(*body, nn.ConstantPad1d((2, 0), 0.0), nn.Conv1d(16, 1, 3))
    x = waves(length=25, size=1)[0].mT
    return setting(
        model, x[..., :-1].contiguous(), x[..., 1:].contiguous(), nn.MSELoss(), adam=3e-3
    )


# ---------------------------------------------------------------- Shapes within a loss, shares, and Adadelta


@case("targets cut to (N,) for outputs that are", "as the outputs are cut, too")
def _():
    def loss(o, y):
        return (o[:, 0] - y[:, 0]).square().mean()

    return setting(mlp(8, 32, 1), *curve(), loss, adam=3e-3)


@case("weights of examples, turned", "sample weights for outputs of (N, 1)")
def _():
    weights = torch.rand(64)

    def loss(o, y):
        return (weights[:, None] * (o - y) ** 2).sum() / weights.sum()

    return setting(mlp(8, 32, 1), *curve(), loss, adam=3e-3)


@case("an energy distance, all pairs on purpose", "Szekely and Rizzo 2013: a generator of numbers")
def _():
    def loss(o, y):
        return (o - y[None]).abs().mean() - (o - o.T).abs().mean() / 2

    z = torch.randn(64, 4)
    return setting(mlp(4, 32, 1), z, torch.randn(64) * 2 + 1, loss, adam=3e-3)


@case("pairs by [:, None]", "scores of (N,) against all targets, as kernel losses have it")
def _():
    model = nn.Sequential(*mlp(4, 32, 1), nn.Flatten(0))

    def loss(o, y):
        return (o - y[:, None]).abs().mean() - (o - o[:, None]).abs().mean() / 2

    return setting(model, torch.randn(64, 4), torch.randn(64) * 2 + 1, loss, adam=3e-3)


@case("actor and critic, returns (N,)", "values squeezed to what the returns are")
def _():
    class Actor(nn.Module):
        def __init__(self):
            super().__init__()
            self.body, self.act, self.value = mlp(8, 32, 32), nn.Linear(32, 3), nn.Linear(32, 1)

        def forward(self, x):
            x = self.body(x).relu()
            return self.act(x), self.value(x)

    def loss(o, y):
        advantage = y[1] - o[1].squeeze(1)
        return F.cross_entropy(o[0], y[0]) + advantage.pow(2).mean()

    x, y = curve()
    return setting(Actor(), x, (y[:, 0].abs().long().clamp(0, 2), y[:, 0]), loss, adam=3e-3)


@case("several labels, sigmoid and BCELoss", "as many labels at once as there are")
def _():
    x, _ = points()
    model = nn.Sequential(*mlp(16, 32, 5), nn.Sigmoid())
    return setting(model, x, (x @ torch.randn(16, 5) > 0).float(), nn.BCELoss(), adam=3e-3)


@case("softmax and BCELoss, one label", "unusual, and it works: each row has one 1")
def _():
    x, y = points()
    model = nn.Sequential(*mlp(16, 32, 4), nn.Softmax(1))
    return setting(model, x, F.one_hot(y, 4).float(), nn.BCELoss(), adam=3e-3)


@case("softmax and squared error, shares", "Brier score of soft labels")
def _():
    x, _ = points()
    y = torch.softmax(2 * x @ torch.randn(16, 4) / 4, 1)
    return setting(nn.Sequential(*mlp(16, 32, 4), nn.Softmax(1)), x, y, nn.MSELoss(), adam=3e-3)


@case("scores (N, C, T), turned and read as rows", "a tagger of convolutions")
def _():
    x, y = tokens()
    body = nn.Conv1d(32, 32, 1), nn.ReLU(), nn.Conv1d(32, 32, 1)
    turn = Apply(lambda x: x.transpose(1, 2))

    def loss(o, y):
        return F.cross_entropy(o.transpose(1, 2).reshape(-1, 32), y.reshape(-1))

    return setting(nn.Sequential(nn.Embedding(32, 32), turn, *body), x, y, loss, adam=3e-3)


@case("a detector's scores for anchors", "RetinaNet's head: (N, A C, H, W) to rows of C")
def _():
    x, _ = pictures(side=8)
    model = nn.Sequential(nn.Conv2d(3, 16, 3, padding=1), nn.ReLU(), nn.Conv2d(16, 12, 1))
    y = torch.einsum("nchw,kc->nkhw", x, torch.randn(4, 3)).argmax(1)
    y = torch.stack([y, y, y], 1)

    def loss(o, y):
        o = o.view(len(o), 3, 4, 8, 8).permute(0, 1, 3, 4, 2).reshape(-1, 4)
        return F.cross_entropy(o, y.flatten())

    return setting(model, x, y, loss, adam=1e-2)


def adadelta():
    for rate in (1.0, 0.1):

        @case(f"Adadelta, rate {rate:g}", "Zeiler 2012")
        def _(rate=rate):
            built = setting(mlp(16, 64, 64, 4), *points(), CROSS_ENTROPY)
            optimizer = torch.optim.Adadelta(built["model"].parameters(), rate)
            return built | {"optimizer": optimizer}


adadelta()


@case("smoothed labels by hand", "Szegedy et al. 2016")
def _():
    x, y = points()
    y = 0.9 * F.one_hot(y, 4) + 0.1 / 4
    return setting(mlp(16, 32, 4), x, y, CROSS_ENTROPY, adam=3e-3)


@case("shares of classes with places left out", "segmentation with a void region: rows of zeros")
def _():
    x, _ = pictures(side=8)
    y = torch.einsum("nchw,kc->nkhw", x, torch.randn(4, 3)).argmax(1)
    y = F.one_hot(y, 4).movedim(-1, 1).float()
    y[:, :, :2] = 0
    model = nn.Sequential(nn.Conv2d(3, 16, 3, padding=1), nn.ReLU(), nn.Conv2d(16, 4, 1))
    return setting(model, x, y, CROSS_ENTROPY, adam=3e-3)


@case("distillation by hand, a teacher's shares", "Hinton et al. 2015, at temperature 2")
def _():
    x, _ = points()
    y = torch.softmax(3 * torch.randn(64, 4), 1)

    def loss(o, y):
        return -4 * (y * F.log_softmax(o / 2, 1)).sum(1).mean()

    return setting(mlp(16, 32, 4), x, y, loss, adam=3e-3)


@case(
    "a policy gradient with masks of returns",
    "REINFORCE: the chosen actions' logarithms times what came of them",
)
def _():
    x, y = points()
    returns = 1 + torch.rand(64, 1)

    def loss(o, y):
        return -(F.one_hot(y, 4) * returns * F.log_softmax(o, 1)).sum(1).mean()

    return setting(mlp(16, 32, 4), x, y, loss, adam=3e-3)


@case("shares of words, flattened, with padding", "rows of zeros where a text has ended")
def _():
    x, y = tokens()
    shares = 0.9 * F.one_hot(y, 32) + 0.1 / 32
    shares[torch.arange(12) >= torch.randint(6, 13, (16, 1))] = 0

    def loss(o, y):
        return F.cross_entropy(o.flatten(0, 1), y.flatten(0, 1), reduction="sum") / y.sum()

    return setting(GPT(), x, shares, loss, adam=1e-3)
