"""The layers and the deep network, as lesson 06 builds them, with the interface of torch.nn.

Shapes are written (rows, columns). N is a number of examples.
"""

from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import nn

from lessonkit.devices import known_device


class Linear:
    """x @ weight + bias, from (N, fan_in) to (N, fan_out); the interface of torch.nn.Linear.

    Two things are not as in torch: weight has the shape (fan_in, fan_out), the transpose of torch's; and it is drawn
    from N(0, 1 / fan_in), with a bias of zeros, where torch draws both uniformly from ±1 / sqrt(fan_in).
    """

    training = True

    def __init__(self, fan_in, fan_out, bias=True, generator=None):
        weight = torch.randn((fan_in, fan_out), generator=generator) / fan_in**0.5
        self.weight = weight.requires_grad_()
        self.bias = torch.zeros(fan_out, requires_grad=True) if bias else None

    def __call__(self, x):
        self.out = x @ self.weight
        if self.bias is not None:
            self.out = self.out + self.bias
        return self.out

    def parameters(self):
        return [self.weight] if self.bias is None else [self.weight, self.bias]


class BatchNorm1d:
    """Normalize each column of x, (N, dim), then scale by weight and shift by bias; as torch.nn.BatchNorm1d.

    In training by the batch's own mean and variance (over N), which also move the running ones (with the variance
    over N - 1) by the share `momentum`; else by the running ones. An empty batch has no mean: it moves nothing, and
    gives (0, dim). weight and bias are gamma and beta of Ioffe and Szegedy 2015, arXiv 1502.03167, algorithm 1.

    Raises ValueError if x is not (N, dim), and in training if N is 1: a single example has no spread.
    """

    def __init__(self, dim, eps=1e-5, momentum=0.1):
        self.eps, self.momentum, self.training = eps, momentum, True
        self.weight = torch.ones(dim, requires_grad=True)
        self.bias = torch.zeros(dim, requires_grad=True)
        self.running_mean, self.running_var = torch.zeros(dim), torch.ones(dim)

    def __call__(self, x):
        dim = len(self.weight)
        if x.ndim != 2 or x.shape[1] != dim:
            raise ValueError(f"BatchNorm1d({dim}) needs (N, {dim}), and got {tuple(x.shape)}.")
        if self.training and len(x) == 1:
            raise ValueError("BatchNorm1d in training needs 2 examples or more, and got 1.")
        # torch's own is one operation where lesson 06 has a dozen, and it moves the running statistics in place.
        running = self.running_mean, self.running_var
        training = self.training and len(x) > 0
        self.out = F.batch_norm(
            x, *running, self.weight, self.bias, training, self.momentum, self.eps
        )
        return self.out

    def parameters(self):
        return [self.weight, self.bias]


class Tanh:
    """tanh of each value."""

    training = True

    def __call__(self, x):
        self.out = torch.tanh(x)
        return self.out

    def parameters(self):
        return []


class ReLU(Tanh):
    """max(0, x) of each value."""

    def __call__(self, x):
        self.out = torch.relu(x)
        return self.out


class MLP:
    """The deep network: embedding, `depth` hidden layers of `width` units, output layer.

    A hidden layer is Linear, BatchNorm1d if `batchnorm`, and `nonlinearity` (a class, or None for none). The output
    layer is Linear; and BatchNorm1d, the lecture's form, if `batchnorm` is True and not "hidden", the usual form. A
    Linear before a BatchNorm1d has no bias.

    generator: draws C, (symbols, 10), then each Linear's weight in order. symbols: of the vocabulary.
    gain: a factor on the weights of the hidden Linear layers. gamma: the weight of each hidden BatchNorm1d at first.
    last_scale: a factor on the last layer's weight, that of its BatchNorm1d if it has one: less confident at first.

    C: the embedding. layers: all layers in order. hidden: of each hidden layer the last piece, whose `out` is its
    output. weights: the 2-d parameters by name. training: see `train` and `eval`.
    """

    def __init__(
        self,
        generator,
        symbols,
        *,
        depth=5,
        width=100,
        gain=1.0,
        gamma=1.0,
        last_scale=1.0,
        nonlinearity=Tanh,
        batchnorm=False,
        block_size=3,
    ):
        if depth < 1:
            raise ValueError(f"depth is {depth}; it must be 1 or more hidden layers.")
        if batchnorm not in (False, True, "hidden"):
            raise ValueError(f'batchnorm is {batchnorm!r}; it can be False, True or "hidden".')
        self.C = torch.randn((symbols, 10), generator=generator).requires_grad_()
        self.layers, self.hidden, self.weights = [], [], {"embedding": self.C}
        sizes = [10 * block_size, *[width] * depth, symbols]
        for number, (fan_in, fan_out) in enumerate(pairwise(sizes), 1):
            normalized = batchnorm is True or (batchnorm == "hidden" and number <= depth)
            linear = Linear(fan_in, fan_out, bias=not normalized, generator=generator)
            self.layers += [linear, BatchNorm1d(fan_out)] if normalized else [linear]
            self.weights["output" if number > depth else f"layer {number}"] = linear.weight
            if number <= depth:
                linear.weight.data *= gain
                if normalized:
                    self.layers[-1].weight.data *= gamma
                self.layers += [nonlinearity()] if nonlinearity else []
                self.hidden.append(self.layers[-1])
        self.layers[-1].weight.data *= last_scale

    def __call__(self, X):
        """The logits, (N, symbols), for contexts X, (N, block_size)."""
        x = self.C[X].flatten(1)
        for layer in self.layers:
            x = layer(x)
        return x

    def parameters(self):
        return [self.C, *(p for layer in self.layers for p in layer.parameters())]

    def to(self, device):
        """Move all numbers to this device, such as "cuda", in place, and without their gradients. Returns the network.

        Raises ValueError if the device cannot be used on this machine.
        """
        device = known_device(device)
        for p in self.parameters():
            if p.device != device:
                p.grad = None
                p.data = p.data.to(device)
        for layer in self.layers:
            if isinstance(layer, BatchNorm1d):
                layer.running_mean = layer.running_mean.to(device)
                layer.running_var = layer.running_var.to(device)
        return self

    @property
    def training(self):
        return self.layers[0].training

    def train(self, mode=True):
        for layer in self.layers:
            layer.training = mode

    def eval(self):
        self.train(False)


def to_torch(network):
    """The same network as a torch.nn.Sequential with copies of its weights, biases and running statistics."""
    twin = nn.Sequential(nn.Embedding.from_pretrained(network.C.detach().clone(), freeze=False))
    twin.append(nn.Flatten())
    for layer in network.layers:
        if isinstance(layer, Linear):
            twin.append(nn.Linear(*layer.weight.shape, bias=layer.bias is not None))
            state = {"weight": layer.weight.T, "bias": layer.bias}
        elif isinstance(layer, BatchNorm1d):
            twin.append(nn.BatchNorm1d(len(layer.weight), layer.eps, layer.momentum))
            state = {
                name: getattr(layer, name)
                for name in ("weight", "bias", "running_mean", "running_var")
            }
        else:
            twin.append(getattr(nn, type(layer).__name__)())
            state = {}
        state = {name: value for name, value in state.items() if value is not None}
        twin[-1].load_state_dict(state, strict=False)
    return twin.train(network.training)
