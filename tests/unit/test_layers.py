"""The layers in helpers against their torch.nn twins, and the deep network against the lecture's figures."""

import ast
import warnings

import lessons
import pytest
import torch
import torch.nn.functional as F
from torch import nn

import helpers
from lessonkit import training

SYMBOLS = 27


def generator(seed=helpers.SEED):
    return torch.Generator().manual_seed(seed)


def numbers(*shape, seed=1):
    return torch.randn(shape, generator=generator(seed))


@pytest.fixture(scope="module")
def examples():
    return helpers.load_splits().train


def gradients(layer, x, weights):
    """The output of a layer, and the gradients of sum(output * weights) in the input and the parameters."""
    x = x.clone().requires_grad_()
    out = layer(x)
    (out * weights).sum().backward()
    return out.detach(), x.grad


# ---------------------------------------------------------------- single layers


@pytest.mark.parametrize("bias", [True, False])
def test_linear_is_torchs_with_the_weight_transposed(bias):
    ours, theirs = helpers.Linear(7, 5, bias=bias), nn.Linear(7, 5, bias=bias)
    with torch.no_grad():
        theirs.weight.copy_(ours.weight.T)
        if bias:
            ours.bias += numbers(5)
            theirs.bias.copy_(ours.bias)
    x, w = numbers(4, 7), numbers(4, 5, seed=2)
    for a, b in zip(gradients(ours, x, w), gradients(theirs, x, w), strict=True):
        torch.testing.assert_close(a, b)
    torch.testing.assert_close(ours.weight.grad, theirs.weight.grad.T)
    if bias:
        torch.testing.assert_close(ours.bias.grad, theirs.bias.grad)
    assert len(ours.parameters()) == len(list(theirs.parameters()))


def test_linear_draws_from_its_generator_with_variance_one_over_fan_in():
    weight = helpers.Linear(400, 300, generator=generator()).weight
    assert torch.equal(weight, torch.randn((400, 300), generator=generator()) / 20)
    assert weight.std().item() == pytest.approx(1 / 20, rel=0.01)
    assert helpers.Linear(3, 2, bias=False).bias is None
    assert torch.equal(helpers.Linear(3, 2).bias, torch.zeros(2))


def test_batchnorm_is_torchs_in_training_and_in_eval_mode():
    ours, theirs = helpers.BatchNorm1d(6), nn.BatchNorm1d(6)
    assert (ours.eps, ours.momentum) == (theirs.eps, theirs.momentum)
    with torch.no_grad():
        for layer in (ours, theirs):
            layer.weight += numbers(6)
            layer.bias += numbers(6, seed=3)
    for step in range(20):
        x, w = 3 * numbers(8, 6, seed=step) + 2, numbers(8, 6, seed=100 + step)
        for p in (*ours.parameters(), *theirs.parameters()):
            p.grad = None
        for a, b in zip(gradients(ours, x, w), gradients(theirs, x, w), strict=True):
            torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-5)
        for name in ("weight", "bias"):
            a, b = getattr(ours, name).grad, getattr(theirs, name).grad
            torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-5)
        for name in ("running_mean", "running_var"):
            torch.testing.assert_close(getattr(ours, name), getattr(theirs, name))
    ours.training = False
    theirs.eval()
    before = ours.running_mean.clone()
    for a, b in zip(gradients(ours, x, w), gradients(theirs, x, w), strict=True):
        torch.testing.assert_close(a, b)
    torch.testing.assert_close(ours(x[:1]), theirs(x[:1]))
    assert torch.equal(ours.running_mean, before)


@pytest.mark.parametrize("training_mode", [True, False])
def test_batchnorm_takes_an_empty_batch_as_torchs(training_mode):
    ours, theirs = helpers.BatchNorm1d(6), nn.BatchNorm1d(6)
    for layer in (ours, theirs):  # what an earlier batch has left
        layer(3 * numbers(8, 6) + 2)
    theirs.train(training_mode)
    ours.training = training_mode
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        of_ours, of_theirs = (
            gradients(layer, torch.zeros(0, 6), torch.ones(0, 6)) for layer in (ours, theirs)
        )
    for a, b in zip(of_ours, of_theirs, strict=True):
        assert a.shape == b.shape == (0, 6)
    for name in ("running_mean", "running_var"):
        torch.testing.assert_close(getattr(ours, name), getattr(theirs, name))
    for name in ("weight", "bias"):
        assert torch.equal(getattr(ours, name).grad, getattr(theirs, name).grad)


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ((4, 5), r"BatchNorm1d\(6\) needs \(N, 6\), and got \(4, 5\)"),
        ((4, 1), r"got \(4, 1\)"),  # would broadcast
        ((6,), r"got \(6,\)"),
        ((2, 3, 6), r"got \(2, 3, 6\)"),
        ((1, 6), "needs 2 examples or more, and got 1"),
    ],
)
def test_batchnorm_refuses_what_it_cannot_normalize(shape, message):
    layer = helpers.BatchNorm1d(6)
    with pytest.raises(ValueError, match=message):
        layer(numbers(*shape))
    assert torch.equal(layer.running_mean, torch.zeros(6))


@pytest.mark.parametrize(
    ("layer", "twin"), [(helpers.Tanh(), nn.Tanh()), (helpers.ReLU(), nn.ReLU())]
)
def test_nonlinearities_are_torchs(layer, twin):
    x = numbers(4, 5)
    assert torch.equal(layer(x), twin(x))
    assert torch.equal(layer.out, twin(x))
    assert layer.parameters() == []


def class_of_lesson_06(name):
    """The class of this name as lesson 06 builds it."""
    (path,) = lessons.lesson_paths("06_")
    (source,) = (
        ast.unparse(node)
        for cell in lessons.code_cells(lessons.read(path))
        for node in ast.parse(cell.source).body
        if isinstance(node, ast.ClassDef) and node.name == name
    )
    space = {"torch": torch}
    exec(source, space)
    return space[name]


@pytest.mark.parametrize(
    ("name", "arguments"), [("Linear", (6, 4)), ("BatchNorm1d", (6,)), ("Tanh", ())]
)
def test_the_helpers_layer_does_what_that_of_lesson_06_does(name, arguments):
    """The helpers' also keeps its output, and refuses what makes no sense; its BatchNorm1d is one operation."""
    given = {"generator": None} if name == "Linear" else {}
    torch.manual_seed(0)
    built = class_of_lesson_06(name)(*arguments, **given)
    torch.manual_seed(0)
    helped = getattr(helpers, name)(*arguments, **given)
    x = torch.randn((5, 6), generator=generator())
    for mode in (True, True, False):
        built.training = helped.training = mode
        assert torch.allclose(built(x), helped(x), atol=1e-6)
    for one, other in zip(built.parameters(), helped.parameters(), strict=True):
        assert torch.equal(one, other)
    for name in ("running_mean", "running_var"):
        assert torch.allclose(getattr(built, name, x), getattr(helped, name, x), atol=1e-6)


# ---------------------------------------------------------------- the deep network


@pytest.mark.parametrize(("batchnorm", "parameters"), [(False, 46_497), (True, 47_024)])
def test_the_deep_network_is_the_lectures(batchnorm, parameters):
    network = helpers.MLP(generator(), SYMBOLS, gain=5 / 3, last_scale=0.1, batchnorm=batchnorm)
    assert sum(p.numel() for p in network.parameters()) == parameters
    assert all(p.requires_grad and p.is_leaf for p in network.parameters())
    g = generator()
    assert torch.equal(network.C, torch.randn((SYMBOLS, 10), generator=g))
    for number, (name, weight) in enumerate(list(network.weights.items())[1:]):
        fan_in, fan_out = weight.shape
        by_hand = torch.randn((fan_in, fan_out), generator=g) / fan_in**0.5
        if number < 5:
            by_hand *= 5 / 3
        elif not batchnorm:
            by_hand *= 0.1
        assert torch.equal(weight, by_hand), name
    if batchnorm:
        assert torch.equal(network.layers[-1].weight, torch.full((SYMBOLS,), 0.1))
    assert [type(layer).__name__ for layer in network.hidden] == ["Tanh"] * 5


def test_the_usual_form_leaves_the_logits_as_they_are():
    network = helpers.MLP(generator(), SYMBOLS, batchnorm="hidden", gamma=0.3, last_scale=0.1)
    assert sum(p.numel() for p in network.parameters()) == 46_997
    norms = [layer for layer in network.layers if isinstance(layer, helpers.BatchNorm1d)]
    assert len(norms) == 5
    assert all(torch.equal(norm.weight, torch.full((100,), 0.3)) for norm in norms)
    lectures = helpers.MLP(generator(), SYMBOLS, batchnorm=True)
    assert torch.equal(network.layers[-1].weight, 0.1 * lectures.layers[-2].weight)
    assert torch.equal(network.layers[-1].bias, torch.zeros(SYMBOLS))


def test_batchnorm_is_one_of_three_forms():
    with pytest.raises(ValueError, match="batchnorm is 'all'; it can be False, True or \"hidden\""):
        helpers.MLP(generator(), SYMBOLS, batchnorm="all")


def test_training_mode_reaches_every_layer():
    network = helpers.MLP(generator(), SYMBOLS, batchnorm=True)
    network.eval()
    assert not any(layer.training for layer in network.layers)
    assert not network.training
    network.train()
    assert all(layer.training for layer in network.layers)
    assert helpers.Tanh.training, "one network must not switch the layers of all others"


def test_a_network_without_hidden_layers_is_refused():
    with pytest.raises(ValueError, match="depth is 0; it must be 1 or more"):
        helpers.MLP(generator(), SYMBOLS, depth=0)


@pytest.mark.parametrize("nonlinearity", [helpers.Tanh, helpers.ReLU, None])
@pytest.mark.parametrize("batchnorm", [False, True])
def test_the_torch_twin_gives_the_same_losses(examples, batchnorm, nonlinearity):
    """To rounding in 10 steps, and nearly so in 100.

    Rounding differs between the two, and with the processor. Where a unit's sum is near 0 it decides on which side a
    ReLU is, whose slope jumps there: from then on the two networks are not quite the same.
    """
    X, Y = examples
    short, long = [], []
    for make in (lambda network: network, helpers.to_torch):
        g = generator()
        options = {"last_scale": 0.1, "batchnorm": batchnorm, "nonlinearity": nonlinearity}
        model = make(helpers.MLP(g, SYMBOLS, **options))
        losses = helpers.train(model, X, Y, g, 10, quiet=True)
        short.append([*losses, helpers.evaluate(model, X[:5000], Y[:5000])])
        assert model.training, "evaluate puts the mode back"
        losses = helpers.train(model, X, Y, g, 90, quiet=True)
        long.append([*losses, helpers.evaluate(model, X[:5000], Y[:5000])])
    short, long = ((ours - theirs).abs().max() for ours, theirs in map(torch.tensor, (short, long)))
    assert short < 1e-5
    assert long < (0.1 if nonlinearity is helpers.ReLU else 1e-4)


def test_the_torch_twin_has_weights_of_its_own(examples):
    X, Y = examples
    network = helpers.MLP(generator(), SYMBOLS, batchnorm=True)
    before = [p.detach().clone() for p in network.parameters()]
    twin = helpers.to_torch(network)
    helpers.train(twin, X, Y, generator(), 3, quiet=True)
    assert all(torch.equal(a, b) for a, b in zip(before, network.parameters(), strict=True))
    assert torch.equal(network.layers[1].running_mean, torch.zeros(100))
    network.eval()
    assert not helpers.to_torch(network).training


# ---------------------------------------------------------------- evaluating and sampling


def test_evaluating_a_model_uses_the_running_statistics_and_changes_nothing(examples):
    X, Y = examples
    network = helpers.MLP(generator(), SYMBOLS, batchnorm=True)
    helpers.train(network, X, Y, generator(), 20, quiet=True)
    bn = network.layers[1]
    before = bn.running_mean.clone()
    measured = helpers.evaluate(network, X[:64], Y[:64])
    assert torch.equal(bn.running_mean, before)
    network.eval()
    with torch.no_grad():
        assert measured == F.cross_entropy(network(X[:64]), Y[:64]).item()
    assert not network.training
    helpers.evaluate(network, X[:64], Y[:64])
    assert not network.training, "a model in eval mode stays in it"


def test_the_mode_is_put_back_when_the_model_raises():
    network = helpers.MLP(generator(), SYMBOLS, batchnorm=True)
    with pytest.raises(IndexError):
        helpers.evaluate(network, torch.tensor([[99, 0, 0]]), torch.tensor([0]))
    assert network.training


@pytest.mark.parametrize("batchnorm", [False, True])
@pytest.mark.parametrize("piece", [1, 7, 64, 1000])
def test_evaluating_in_pieces_gives_the_loss_of_the_whole(examples, monkeypatch, piece, batchnorm):
    X, Y = (part[:500] for part in examples)
    network = helpers.MLP(generator(), SYMBOLS, batchnorm=batchnorm)
    helpers.train(network, *examples, generator(), 5, quiet=True)
    network.eval()
    with torch.no_grad():
        whole = F.cross_entropy(network(X), Y).item()
    monkeypatch.setattr(training, "PIECE", piece)
    assert helpers.evaluate(network, X, Y) == pytest.approx(whole, abs=1e-5)


def test_evaluating_no_examples_is_refused(examples):
    X, Y = examples
    network = helpers.MLP(generator(), SYMBOLS, batchnorm=True)
    with pytest.raises(ValueError, match="no examples to evaluate"):
        helpers.evaluate(network, X[:0], Y[:0])
    assert network.training


def test_samples_are_drawn_from_the_models_probabilities():
    stoi, itos = helpers.build_vocabulary(["ab"])
    logits = torch.full((3, 3), -1e9)
    logits[stoi["."], stoi["a"]] = logits[stoi["a"], stoi["b"]] = logits[stoi["b"], 0] = 0
    assert helpers.sample_names(lambda X: logits[X[:, -1]], itos, generator(), 3) == ["ab"] * 3
    logits[stoi["b"], 0], logits[stoi["b"], stoi["a"]] = -1e9, 0  # never ends
    (endless,) = helpers.sample_names(lambda X: logits[X[:, -1]], itos, generator(), 1, longest=7)
    assert endless == "abababa"


def test_samples_repeat_with_the_same_generator():
    _, itos = helpers.build_vocabulary(helpers.load_names())
    network = helpers.MLP(generator(), SYMBOLS, batchnorm=True)
    once, again = (helpers.sample_names(network, itos, generator(3), 5) for _ in range(2))
    assert once == again
    assert len(once) == 5
    assert network.training
