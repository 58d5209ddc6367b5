"""The checkup of any network: it finds what is there, changes nothing, and never breaks."""

import copy
import math
from itertools import pairwise

import matplotlib.pyplot as plt
import pytest
import torch
import torch.nn.functional as F
from torch import nn

import checkup
import helpers

LOSS = nn.CrossEntropyLoss()
CLASSES = 27


@pytest.fixture(autouse=True)
def _seed():
    """Dropout draws from torch's own random numbers: whatever ran before, they are the same for each test."""
    torch.manual_seed(0)


def contexts(count=64, length=3):
    g = torch.Generator().manual_seed(1)
    X = torch.randint(0, CLASSES, (count, length), generator=g)
    return X, torch.randint(0, CLASSES, (count,), generator=g)


def points(count=64, size=10):
    g = torch.Generator().manual_seed(2)
    x = torch.randn((count, size), generator=g)
    return x, torch.randint(0, CLASSES, (count,), generator=g)


def pictures(count=32, classes=10):
    g = torch.Generator().manual_seed(3)
    x = torch.randn((count, 3, 16, 16), generator=g)
    return x, torch.randint(0, classes, (count,), generator=g)


def series_network(**options):
    options = {"gain": 5 / 3, "last_scale": 0.1} | options
    return helpers.MLP(torch.Generator().manual_seed(helpers.SEED), CLASSES, **options)


def seeded(build):
    """The network that `build` draws, the same each time."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return build()


def plain(*sizes, bend=nn.Tanh):
    layers = []
    for fan_in, fan_out in pairwise(sizes):
        layers += [nn.Linear(fan_in, fan_out), bend()]
    return nn.Sequential(*layers[:-1])


class Recurrent(nn.Module):
    def __init__(self, kind=nn.LSTM):
        super().__init__()
        self.embedding = nn.Embedding(CLASSES, 16)
        self.memory = kind(16, 64, num_layers=2, batch_first=True)
        self.output = nn.Linear(64, CLASSES)

    def forward(self, X):
        return self.output(self.memory(self.embedding(X))[0][:, -1])


class Encoder(nn.Module):
    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(CLASSES, 32)
        layer = nn.TransformerEncoderLayer(32, 4, 64, batch_first=True)
        self.encoder = nn.TransformerEncoder(layer, 4, enable_nested_tensor=False)
        self.output = nn.Linear(32, CLASSES)

    def forward(self, X):
        return self.output(self.encoder(self.embedding(X))[:, -1])


def convolutions(batchnorm, bias=False):
    layers, channels = [], [3, 16, 32, 32, 32]
    for before, after in pairwise(channels):
        layers.append(nn.Conv2d(before, after, 3, padding=1, bias=bias or not batchnorm))
        layers += [nn.BatchNorm2d(after)] if batchnorm else []
        layers.append(nn.ReLU(inplace=True))
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(32, 10))


def found(report):
    return {finding.what for finding in report.findings}


# ---------------------------------------------------------------- Nothing is changed


def state(model):
    """All of a model that a checkup could change."""
    return copy.deepcopy(
        {
            "numbers": {name: value.clone() for name, value in model.state_dict().items()},
            "gradients": {name: p.grad for name, p in model.named_parameters()},
            "asks": {name: p.requires_grad for name, p in model.named_parameters()},
            "modes": {name: module.training for name, module in model.named_modules()},
            "hooks": {
                name: (len(module._forward_hooks), len(module._forward_pre_hooks))
                for name, module in model.named_modules()
            },
        }
    )


def same(one, other):
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    return torch.equal(one, other) if isinstance(one, torch.Tensor) else one == other


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize(
    ("build", "data"),
    [
        (lambda: convolutions(batchnorm=True), pictures),
        (Recurrent, contexts),
        (Encoder, contexts),
        (lambda: nn.Sequential(nn.Linear(10, 8), nn.Linear(9, 27)), points),  # its forward raises
    ],
)
def test_the_model_stays_as_it_is(build, data, training):
    model, (x, y) = seeded(build).train(training), data()
    first = next(model.parameters())
    first.grad = torch.ones_like(first)
    next(reversed(list(model.parameters()))).requires_grad_(False)
    handle = model.register_forward_hook(lambda *_: None)
    before, random = state(model), torch.random.get_rng_state()
    checkup.diagnose(model, x, y, LOSS, lr=0.1)
    assert same(state(model), before)
    assert torch.equal(torch.random.get_rng_state(), random)
    handle.remove()


def test_buffers_that_a_pass_replaces_are_put_back():
    class Cache(nn.Linear):
        def __init__(self):
            super().__init__(10, CLASSES)
            self.register_buffer("last", torch.zeros(3))
            self.register_buffer("none", None)

        def forward(self, x):
            self.register_buffer("last", x)  # another tensor of another shape
            self.none = x
            return super().forward(x)

    model = Cache()
    last = model.last
    assert checkup.diagnose(model, *points(), LOSS).findings == []
    assert model.last is last
    assert last.tolist() == [0, 0, 0]
    assert model.none is None


def test_no_hook_stays_on_a_tensor():
    """What a module returns may live on, as a weight does."""
    weight = nn.Parameter(torch.randn(64, CLASSES))

    class Same(nn.Module):
        def __init__(self):
            super().__init__()
            self.weight, self.same = weight, nn.Identity()

        def forward(self, x):
            return self.same(self.weight)

    checkup.diagnose(Same(), *points(), LOSS)
    assert not weight._backward_hooks


def test_a_network_of_the_series_stays_as_it_is():
    network, (X, Y) = series_network(batchnorm=True), contexts()
    running = network.layers[1].running_mean.clone()
    report = checkup.diagnose(network, X, Y, LOSS, lr=0.1)
    assert torch.equal(network.layers[1].running_mean, running)
    assert all(p.grad is None for p in network.parameters())
    assert report.loss == pytest.approx(F.cross_entropy(network(X), Y).item(), abs=1e-6)


# ---------------------------------------------------------------- The rows


def test_its_rows_are_those_of_lesson_07():
    network, (X, Y) = series_network(), contexts()
    report = checkup.diagnose(network, X, Y, LOSS, lr=0.1)
    helpers.forward_backward(network, X, Y)
    bends = [row for row in report.outputs if "Tanh" in row.layer]
    for ours, theirs in zip(bends, helpers.activation_rows(network.hidden), strict=True):
        assert ours.std == pytest.approx(theirs.std, rel=1e-5)
        assert ours.saturation == pytest.approx(theirs.saturation, abs=1e-6)
    bends = [row for row in report.gradients if "Tanh" in row.layer]
    for ours, theirs in zip(bends, helpers.gradient_rows(network.hidden), strict=True):
        assert ours.std == pytest.approx(theirs.std, rel=1e-4)
    for ours, theirs in zip(report.weights, helpers.weight_rows(network.weights), strict=True):
        assert ours.ratio == pytest.approx(theirs.ratio, rel=1e-4)
        assert report.updates[ours.layer] == pytest.approx(0.1 * theirs.ratio, rel=1e-4)


def test_a_list_of_layers_is_a_network():
    layers = series_network().layers
    report = checkup.diagnose(layers, torch.randn(64, 30), contexts()[1], LOSS)
    kinds = [type(layer).__name__ for layer in layers]
    assert [row.layer for row in report.outputs] == [f"{k} {kind}" for k, kind in enumerate(kinds)]


def test_shared_modules_are_told_apart_by_their_calls():
    shared = nn.Linear(10, 10)
    model = nn.Sequential(shared, nn.Tanh(), shared, nn.Tanh(), nn.Linear(10, CLASSES))
    report = checkup.diagnose(model, *points(), LOSS)
    names = [row.layer for row in report.outputs]
    assert names == ["0 Linear", "1 Tanh", "0 Linear (call 2)", "3 Tanh", "4 Linear"]
    assert len(report.weights) == 2


def test_only_innermost_modules_have_rows():
    report = checkup.diagnose(seeded(Encoder), *contexts(), LOSS)
    assert not any(
        row.layer in ("encoder", "Encoder", "encoder.layers.0") for row in report.outputs
    )


def test_a_weight_that_is_computed_does_not_hide_its_layer():
    model = nn.Sequential(nn.utils.parametrizations.weight_norm(nn.Linear(10, CLASSES)))
    (row,) = checkup.diagnose(model, *points(), LOSS).outputs
    assert row.layer.startswith("0 ")


def test_sparse_gradients_are_measured():
    model = nn.Sequential(
        nn.Embedding(CLASSES, 8, sparse=True), nn.Flatten(), nn.Linear(24, CLASSES)
    )
    rows = checkup.diagnose(seeded(lambda: model), *contexts(), LOSS, lr=0.1).weights
    assert [row.layer for row in rows] == ["0.weight", "2.weight"]
    assert rows[0].std > 0


class OwnTanh(nn.Tanh):
    """A kind of its own."""


@pytest.mark.parametrize(
    ("bend", "share"),
    [
        (OwnTanh(), 0.75),
        (nn.ReLU6(), None),  # of which 0 and 6 are the ends, and nothing is wrong with 0
        (nn.Hardtanh(-2, 2), 0.5),
        (nn.Tanh(), 0.75),
        (nn.Sigmoid(), 0.5),
    ],
)
def test_each_kind_of_bend_has_its_own_ends(bend, share):
    x = torch.tensor([[-9.0, 1.0, 1.5, 9.0]] * 4)
    x = x * torch.tensor([1.0, 1.0, 2.0, 1.0]) if isinstance(bend, nn.Tanh) else x
    report = checkup.diagnose(nn.Sequential(bend), x, x, nn.MSELoss())
    assert report.outputs[0].saturation == share


@pytest.mark.parametrize("lr", [None, 0.1])
@pytest.mark.parametrize("build", [Encoder, Recurrent])  # the second has no layers to compare
def test_its_pictures_can_be_drawn(build, lr):
    figure = plt.figure()
    checkup.diagnose(seeded(build), *contexts(), LOSS, lr).draw(figure)
    assert len(figure.axes) == 4
    assert all(axes.get_lines() for axes in figure.axes)
    assert all(axes.get_title() and axes.get_xlabel() for axes in figure.axes)
    plt.close(figure)


def test_an_empty_report_can_be_drawn():
    figure = plt.figure()
    checkup.Report().draw(figure)
    figure.canvas.draw()
    assert len(figure.axes) == 4
    plt.close(figure)


# ---------------------------------------------------------------- Healthy networks


def residual():
    class Residual(nn.Module):
        def __init__(self):
            super().__init__()
            self.blocks = nn.ModuleList(plain(64, 64, 64, bend=nn.ReLU) for _ in range(4))
            self.enter, self.output = nn.Linear(10, 64), nn.Linear(64, CLASSES)

        def forward(self, x):
            x = self.enter(x)
            for block in self.blocks:
                x = x + block(x)
            return self.output(x)

    return Residual()


@pytest.mark.parametrize(
    ("build", "data", "lr"),
    [
        (series_network, contexts, 0.1),
        (lambda: series_network(batchnorm=True), contexts, 0.1),
        (lambda: series_network(nonlinearity=helpers.ReLU, gain=2**0.5), contexts, 0.1),
        (lambda: plain(10, 100, 100, CLASSES), points, 0.1),
        (lambda: plain(10, 100, 100, CLASSES, bend=nn.ReLU), points, 0.1),
        (lambda: convolutions(batchnorm=True), pictures, 0.1),
        (Recurrent, contexts, 0.1),
        (lambda: Recurrent(nn.GRU), contexts, 0.1),
        (Encoder, contexts, 0.01),
        (residual, points, 0.1),
    ],
)
def test_a_healthy_network_gets_no_finding(build, data, lr):
    assert checkup.diagnose(seeded(build), *data(), LOSS, lr).findings == []


# ---------------------------------------------------------------- Findings


def with_bias(value):
    model = plain(10, 50, CLASSES, bend=nn.ReLU)
    nn.init.constant_(model[0].bias, value)
    return model


def zeros():
    model = plain(10, 50, CLASSES)
    for p in model.parameters():
        nn.init.zeros_(p)
    return model


class Logarithm(nn.Module):
    def forward(self, x):
        return torch.log(x)


class Detached(nn.Module):
    def forward(self, x):
        return x.detach()


def with_nan():
    model = plain(10, 50, CLASSES)
    model[2].weight.data[0, 0] = math.nan
    return model


FAULTS = [
    ("the loss is higher than", lambda: series_network(last_scale=10), contexts, "output"),
    ("saturated outputs", lambda: series_network(gain=3), contexts, "3 Tanh and 4 more"),
    ("the outputs fade", lambda: series_network(gain=1), contexts, "3 Tanh to 11 Tanh"),
    ("the outputs fade", lambda: convolutions(batchnorm=False), pictures, "1 ReLU to 7 ReLU"),
    (
        "the outputs grow",
        lambda: series_network(gain=3, nonlinearity=helpers.ReLU),
        contexts,
        "3 ReLU to 11 ReLU",
    ),
    ("the gradients vanish", lambda: plain(*[10, *[50] * 20, CLASSES]), points, "1 Tanh"),
    ("the gradients explode", lambda: series_network(gain=3, depth=10), contexts, "3 Tanh"),
    ("dead units", lambda: with_bias(-10), points, "1 ReLU"),
    ("constant units", zeros, points, "0 Linear and 2 more"),
    ("parameters without a gradient", zeros, points, "0.weight"),
    (
        "parameters without a gradient",
        lambda: nn.Sequential(nn.Linear(10, 10), Detached(), nn.Linear(10, CLASSES)),
        points,
        "0.weight and 1 more",
    ),
    (
        "a bias does nothing",
        lambda: convolutions(batchnorm=True, bias=True),
        pictures,
        "0.bias and 3 more",
    ),
    ("a parameter is not finite", with_nan, points, "2.weight"),
    (
        "the first layer that is not finite",
        lambda: nn.Sequential(nn.Linear(10, 10), Logarithm(), nn.Linear(10, CLASSES)),
        points,
        "1 Logarithm",
    ),
    ("nothing can be learned", lambda: nn.Sequential(nn.Tanh()), lambda: points(64, 27), "model"),
    ("the forward pass raises", lambda: plain(9, CLASSES), points, "0 Linear"),
    ("the loss raises", lambda: plain(10, 5, 4), points, "loss_fn"),
    ("weights that do not exist", lambda: nn.Sequential(nn.LazyLinear(CLASSES)), points, "model"),
]


@pytest.mark.parametrize(("what", "build", "data", "where"), FAULTS, ids=[f[0] for f in FAULTS])
def test_a_fault_is_found(what, build, data, where):
    report = checkup.diagnose(seeded(build), *data(), LOSS, lr=0.1)
    findings = [finding for finding in report.findings if finding.what.startswith(what)]
    assert len(findings) == 1, str(report)
    assert where in findings[0].where
    numbers = any(letter.isdigit() for letter in findings[0].evidence)
    assert numbers or what in ("nothing can be learned", "weights that do not exist")
    assert str(findings[0]) in str(report)


@pytest.mark.parametrize(("lr", "what"), [(1e-3, "small updates"), (100, "large updates")])
def test_a_rate_that_does_not_fit_is_found(lr, what):
    assert found(checkup.diagnose(series_network(), *contexts(), LOSS, lr)) == {what}


def test_one_weight_that_is_replaced_in_a_step_is_found():
    """The median does not show it: a single layer is a thousand times too small for its gradient."""
    model = seeded(lambda: plain(10, 100, 100, 100, CLASSES))
    model[2].weight.data *= 1e-4
    (finding,) = (
        one
        for one in checkup.diagnose(model, *points(), LOSS, lr=1).findings
        if one.what == "large updates"
    )
    assert "2.weight moves by" in finding.evidence


def test_layers_of_a_transformer_are_compared_with_their_like():
    chain = checkup.diagnose(seeded(Encoder), *contexts(), LOSS).chain
    assert chain == [f"encoder.layers.{k}.linear1" for k in range(4)]


def test_layers_of_different_kinds_are_not_compared():
    """Neither a last sigmoid with the ReLUs before it, nor an embedding with the logits."""
    layers = [layer for _ in range(4) for layer in (nn.Linear(10, 10), nn.ReLU())]
    report = checkup.diagnose(nn.Sequential(*layers, nn.Sigmoid()), *points(), LOSS)
    assert report.chain == ["1 ReLU", "3 ReLU", "5 ReLU", "7 ReLU"]
    apart = nn.Sequential(
        nn.Embedding(CLASSES, 8), nn.Flatten(), nn.Dropout(), nn.Linear(24, CLASSES)
    )
    assert checkup.diagnose(apart, *contexts(), LOSS).chain == []


def test_running_statistics_that_do_not_fit_are_found():
    model, (x, y) = seeded(lambda: convolutions(batchnorm=True)), pictures()
    fits = nn.Sequential(*copy.deepcopy(model))
    for part in fits:
        if isinstance(part, nn.BatchNorm2d):
            part.momentum = None  # the mean of all batches
    fits(x)
    what = "running statistics that do not fit"
    assert what in found(checkup.diagnose(model.eval(), x, y, LOSS))
    assert what not in found(checkup.diagnose(fits.eval(), x, y, LOSS))


def test_a_regression_is_compared_with_the_variance():
    g = torch.Generator().manual_seed(4)
    x, y = torch.randn((64, 10), generator=g), torch.randn((64, 1), generator=g)
    model = seeded(lambda: plain(10, 50, 1))
    assert found(checkup.diagnose(model, x, y, nn.MSELoss())) == set()
    (finding,) = checkup.diagnose(model, x, y + 6, nn.MSELoss()).findings
    assert finding.what.startswith("the loss is higher")


def test_classes_for_each_place_are_understood():
    """The scores as (N, classes, length), as cross_entropy wants them, and as (N, length, classes)."""
    g = torch.Generator().manual_seed(5)
    scores = nn.Parameter(20 * torch.randn((8, 5, CLASSES), generator=g))
    labels = torch.randint(0, CLASSES, (8, 5), generator=g)

    class Table(nn.Module):
        def __init__(self, order):
            super().__init__()
            self.scores, self.order = scores, order

        def forward(self, x):
            return self.scores.permute(self.order)

    last = checkup.diagnose(
        Table((0, 1, 2)), 0, labels, lambda out, y: LOSS(out.flatten(0, 1), y.flatten())
    )
    second = checkup.diagnose(Table((0, 2, 1)), 0, labels, LOSS)
    for report in (last, second):
        assert any(one.startswith("the loss is higher") for one in found(report))


def test_frozen_layers_are_a_note_and_no_finding():
    model = seeded(lambda: plain(10, 50, CLASSES))
    model[0].requires_grad_(False)
    report = checkup.diagnose(model, *points(), LOSS, lr=0.1)
    assert report.findings == []
    assert "frozen parameters, which get no gradient on purpose: 2" in str(report)


def test_several_inputs_are_given_as_a_tuple():
    (x, y), model = points(), seeded(lambda: nn.Bilinear(10, 10, CLASSES))
    assert checkup.diagnose(model, (x, x), y, LOSS).loss > 0


# ---------------------------------------------------------------- What goes wrong is told


@pytest.mark.parametrize(
    ("loss_fn", "said"),
    [
        (nn.CrossEntropyLoss(reduction="none"), "of shape (64,)"),
        (lambda out, y: 3.0, "It returned 3.0"),
        (lambda out, y: out.sum().detach(), "The loss depends on no parameter"),
        (lambda out, y: 1 / 0, "ZeroDivisionError"),
    ],
)
def test_a_loss_that_is_none_is_told(loss_fn, said):
    assert said in str(checkup.diagnose(seeded(lambda: plain(10, CLASSES)), *points(), loss_fn))


class OneWay(torch.autograd.Function):
    @staticmethod
    def forward(context, x):
        return x.clone()

    @staticmethod
    def backward(context, gradient):
        raise RuntimeError("no way back")


class NoWayBack(nn.Linear):
    def forward(self, x):
        return OneWay.apply(super().forward(x))


def test_a_backward_pass_that_raises_is_told():
    report = checkup.diagnose(seeded(lambda: NoWayBack(10, CLASSES)), *points(), LOSS)
    assert "the backward pass raises an error" in found(report)
    assert "no way back" in str(report)
    assert len(report.outputs) == 1


def test_an_input_that_is_not_finite_is_told():
    x, y = points()
    x[3, 4] = math.inf
    report = checkup.diagnose(seeded(lambda: plain(10, CLASSES)), x, y, LOSS)
    assert found(report) == {"the input is not finite"}


@pytest.mark.parametrize(
    "loss_fn", [lambda out, y: LOSS(out, y) * math.inf, lambda out, y: LOSS(out, y) * math.nan]
)
def test_a_loss_that_is_not_finite_is_told(loss_fn):
    report = checkup.diagnose(seeded(lambda: plain(10, CLASSES)), *points(), loss_fn)
    assert found(report) == {"the loss is not finite"}


def test_a_gradient_that_is_not_finite_is_told_with_its_place():
    class Root(nn.Module):
        def forward(self, x):
            return (x - x.detach()).abs().sqrt()  # at 0 its slope is infinite

    model = seeded(lambda: nn.Sequential(nn.Linear(10, 10), Root(), nn.Linear(10, CLASSES)))
    (finding,) = checkup.diagnose(model, *points(), LOSS).findings
    assert (finding.what, finding.where) == ("a gradient is not finite", "0 Linear")


def test_one_score_for_each_example_is_no_error():
    """A loss that takes no classes: the labels are whole numbers, and there is one score each."""
    x, y = points()

    class Scores(nn.Linear):
        def forward(self, x):
            return super().forward(x).squeeze(1)

    report = checkup.diagnose(
        Scores(10, 1), x, y % 2, lambda out, y: F.binary_cross_entropy_with_logits(out, y.float())
    )
    assert report.findings == []


@pytest.mark.parametrize("model", [None, 3, [], [nn.Tanh()], lambda x: x])
def test_what_is_no_network_is_refused(model):
    with pytest.raises(TypeError, match=r"diagnose needs an nn\.Module"):
        checkup.diagnose(model, *points(), LOSS)


@pytest.mark.parametrize("lr", [0, -0.1, math.nan, math.inf])
def test_what_is_no_learning_rate_is_refused(lr):
    with pytest.raises(ValueError, match="must be a positive number"):
        checkup.diagnose(plain(10, CLASSES), *points(), LOSS, lr)
