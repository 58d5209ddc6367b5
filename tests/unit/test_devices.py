"""Where the network and its examples are. `meta`, torch's device without numbers, plays a GPU where there is none."""

import math

import pytest
import torch

import helpers
from lessonkit import devices

NEEDS_CUDA = pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device")
X = torch.randint(0, 27, (200, 3), generator=torch.Generator().manual_seed(1))
Y = X[:, 0]


def generator():
    return torch.Generator().manual_seed(helpers.SEED)


def deep(**options):
    return helpers.MLP(generator(), 27, width=10, depth=2, **options)


def elsewhere():
    """A network whose numbers are all on the device meta, to which none can be moved."""
    network = deep()
    network.C = network.C.detach().to("meta").requires_grad_()
    for layer in network.layers:
        if layer.parameters():
            layer.weight, layer.bias = (
                p.detach().to("meta").requires_grad_() for p in layer.parameters()
            )
    return network


def test_without_a_name_it_is_the_cpu():
    assert devices.known_device(None) == torch.device("cpu")


@pytest.mark.parametrize("device", ["gpu", "cuda:99", "", 7.5])
def test_an_unknown_device_is_named(device):
    with pytest.raises(ValueError, match=f"the device {device!r} cannot be used here: "):
        devices.known_device(device)


@NEEDS_CUDA
def test_a_network_moves_with_all_its_numbers_and_keeps_its_parameters():
    network = deep(batchnorm=True)
    helpers.train(network, X, Y, generator(), 2, quiet=True)
    before = network.parameters()
    assert network.to("cuda") is network
    after = network.parameters()
    assert all(p is q for p, q in zip(before, after, strict=True))
    running = [layer.running_var for layer in network.layers if hasattr(layer, "running_var")]
    assert {str(t.device) for t in [*after, *running, *network.weights.values()]} == {"cuda:0"}
    assert all(p.requires_grad and p.grad is None for p in after)


def test_a_network_that_is_there_already_keeps_its_gradients():
    network = deep()
    helpers.train(network, X, Y, generator(), 1, quiet=True)
    gradients = [p.grad for p in network.parameters()]
    network.to("cpu")
    assert all(p.grad is g for p, g in zip(network.parameters(), gradients, strict=True))


@pytest.mark.parametrize(
    "use",
    [
        lambda network: helpers.evaluate(network, X, Y),
        lambda network: helpers.train(network, X, Y, generator(), 1, quiet=True),
    ],
)
def test_a_network_and_examples_apart_are_an_error(use):
    with pytest.raises(ValueError, match="parameters are on meta, and the examples on cpu: give"):
        use(elsewhere())


def test_a_function_whose_parameters_are_elsewhere_is_an_error_in_training():
    network = elsewhere()
    parameters = network.parameters()
    with pytest.raises(ValueError, match="on meta"):
        helpers.train(network.__call__, X, Y, generator(), 1, parameters=parameters, quiet=True)


def test_contexts_and_answers_apart_are_an_error():
    with pytest.raises(ValueError, match="the examples on cpu and meta"):
        helpers.evaluate(deep(), X, Y.to("meta"))


def test_a_device_can_be_named():
    assert math.isfinite(helpers.evaluate(deep(), X, Y, device="cpu"))
    module = helpers.to_torch(deep())
    losses = helpers.train(module, X, Y, generator(), 3, quiet=True, device="cpu")
    assert losses.done == 3


@NEEDS_CUDA
@pytest.mark.parametrize("batchnorm", [False, True])
def test_a_gpu_gives_the_losses_of_the_cpu(batchnorm):
    here, there = (deep(batchnorm=batchnorm) for _ in range(2))
    losses = helpers.train(here, X, Y, generator(), 20, quiet=True)
    on_gpu = helpers.train(there, X, Y, generator(), 20, quiet=True, device="cuda")
    assert {p.device.type for p in there.parameters()} == {"cuda"}
    assert on_gpu == pytest.approx(losses, abs=1e-5)
    expected = pytest.approx(helpers.evaluate(here, X, Y), abs=1e-4)
    assert helpers.evaluate(there, X, Y, device="cuda") == expected
    assert helpers.evaluate(there, X.cuda(), Y.cuda()) == expected
    with pytest.raises(ValueError, match="on cuda:0, and the examples on cpu"):
        helpers.evaluate(there, X, Y)


@NEEDS_CUDA
def test_names_are_invented_on_a_gpu_as_on_the_cpu():
    itos = dict(enumerate(".abcdefghijklmnopqrstuvwxyz"))
    network = deep()
    names = helpers.sample_names(network, itos, generator())
    assert helpers.sample_names(network, itos, generator(), device="cuda") == names
    assert helpers.sample_names(network, itos, generator()) == names
    function = network.__call__
    assert helpers.sample_names(function, itos, generator(), device="cuda") == names
