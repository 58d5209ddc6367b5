"""Usual mistakes in the exercises of lesson 06: (exercise, the cell without its last line, words of the message)."""

COUNT = """
def count_parameters(sizes, batchnorm):
    weights = sum(a * b for a, b in zip(sizes, sizes[1:]))
    units = sum(sizes[1:])
    return {}
"""
LINEAR = """
def to_linear(layer):
    fan_in, fan_out = layer.weight.shape
    twin = nn.Linear(fan_in, fan_out, bias={bias})
    with torch.no_grad():
        {copy}
    return twin
"""
NORM = """
class LayerNorm:
    def __init__(self, dim):
        self.weight = torch.ones(dim, requires_grad=True)
        self.bias = torch.zeros(dim, requires_grad=True)

    def __call__(self, x):
        return {}

    def parameters(self):
        return {}
"""
BOTTLENECK = """
def bottleneck_parameters(inputs, width):
    outputs, nine = 4 * width, {nine}
    adapts = {adapts}
    weights = inputs * width + nine * width**2 + width * outputs + adapts * inputs * outputs
    normalized = 2 * width + outputs + {norms} * outputs
    return weights + {each} * normalized
"""
BOTTLENECK_RIGHT = {"nine": 9, "adapts": "inputs != outputs", "norms": "adapts", "each": 2}


def bottleneck(**wrong):
    return BOTTLENECK.format(**BOTTLENECK_RIGHT | wrong)


BOTH = "[self.weight, self.bias]"
RIGHT = "(x - x.mean(1, keepdim=True)) / (x.var(1, correction=0, keepdim=True) + 1e-5).sqrt()"
MISTAKES = [
    ("6.1", COUNT.format("weights"), "the weights are all there"),
    ("6.1", COUNT.format("weights + units"), "How many does BatchNorm learn"),
    ("6.1", COUNT.format("weights + units + 2 * units * batchnorm"), "Are they of any use"),
    ("6.1", COUNT.format("weights + sum(sizes)"), "does the input have a bias"),
    (
        "6.2",
        LINEAR.format(
            bias="layer.bias is not None",
            copy="twin.weight.copy_(layer.weight.reshape(fan_out, fan_in)); twin.bias.copy_(layer.bias)",
        ),
        "do not turn it",
    ),
    (
        "6.2",
        LINEAR.format(bias="False", copy="twin.weight.copy_(layer.weight.T)"),
        "yours has none",
    ),
    ("6.3", NORM.format(RIGHT, BOTH), "do they act on it"),
    (
        "6.3",
        NORM.format(
            "self.weight * (x - x.mean(1, keepdim=True)) / (x.var(1, correction=0, keepdim=True).sqrt() + 1e-5)"
            " + self.bias",
            BOTH,
        ),
        "Where does it stand",
    ),
    (
        "6.2",
        LINEAR.format(
            bias="layer.bias is not None",
            copy="twin.weight.copy_(layer.weight if layer.weight.shape == twin.weight.shape else layer.weight.T);"
            " twin.bias.copy_(layer.bias)",
        ),
        "a square weight fits both ways",
    ),
    ("6.2", LINEAR.format(bias=True, copy="twin.weight.copy_(layer.weight.T)"), "And the bias?"),
    (
        "6.2",
        LINEAR.format(
            bias=True,
            copy="twin.weight.copy_(layer.weight.T); layer.bias is None or twin.bias.copy_(layer.bias)",
        ),
        "got one that torch has drawn",
    ),
    (
        "6.2",
        LINEAR.format(bias=False, copy="twin.weight.data = layer.weight"),
        "how does torch store it",
    ),
    (
        "6.3",
        NORM.format("(x - x.mean(0)) / (x.var(0, correction=0) + 1e-5).sqrt()", BOTH),
        "it is BatchNorm",
    ),
    (
        "6.3",
        NORM.format("(x - x.mean(1, keepdim=True)) / (x.var(1, keepdim=True) + 1e-5).sqrt()", BOTH),
        "over n, or over n - 1",
    ),
    ("6.3", NORM.format(RIGHT, "[]"), "should give two tensors"),
    ("6.4", bottleneck(each=0), "What does a BatchNorm learn"),
    ("6.4", bottleneck(each=1), "one number for each normalized channel"),
    ("6.4", bottleneck(each=3), "give the convolutions biases"),
    ("6.4", bottleneck(each=4), "the running statistics"),
    ("6.4", bottleneck(nine=1), "one place only"),
    ("6.4", bottleneck(nine=3), "three places only"),
    ("6.4", bottleneck(adapts="False"), "before it can be added"),
    ("6.4", bottleneck(adapts="True"), "Does an input of this shape need"),
    ("6.4", bottleneck(norms="0"), "behind the convolution of the shortcut"),
]
