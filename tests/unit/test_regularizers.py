"""Regularizers: the steps are torch's, and a network in a stack learns what it learns alone."""

import math

import pytest
import torch
import torch.nn.functional as F

from lessonkit import regularizers
from lessonkit.layers import to_torch

SYMBOLS = 7
G = torch.Generator().manual_seed(3)
X = torch.randint(SYMBOLS, (90, 3), generator=G)
Y = torch.randint(SYMBOLS, (90,), generator=G)
SMALL = {"width": 6, "batch_size": 8}


def l2(w, strength):
    return strength * w


def train(*settings, steps=5, **options):
    return regularizers.train_many(
        [SMALL | one for one in settings], steps, X, Y, SYMBOLS, **options
    )


def numbers(run):
    return torch.cat([p.detach().flatten() for p in run.network.parameters()])


def test_l2_is_the_weight_decay_of_torchs_sgd():
    """Without decay for the biases, on the same minibatches."""
    (run,) = train({"penalty": l2, "strength": 0.05, "lr": 0.3})
    model = to_torch(regularizers.drawn(1, SYMBOLS, 6))
    matrices = [p for p in model.parameters() if p.ndim == 2]
    biases = [p for p in model.parameters() if p.ndim == 1]
    groups = [{"params": matrices, "weight_decay": 0.05}, {"params": biases}]
    optimizer = torch.optim.SGD(groups, lr=0.3)
    g = torch.Generator().manual_seed(1_001)
    for _ in range(5):
        picked = torch.randint(len(X), (8,), generator=g)
        optimizer.zero_grad()
        F.cross_entropy(model(X[picked]), Y[picked]).backward()
        optimizer.step()
    expected = torch.cat([p.detach().flatten() for p in to_torch(run.network).parameters()])
    found = torch.cat([p.detach().flatten() for p in model.parameters()])
    assert torch.allclose(found, expected, atol=1e-6)


def test_dropout_keeps_the_mean_and_divides_what_stays():
    h = torch.tensor([[1.0, 2.0, 3.0, 4.0]])
    noise = torch.tensor([[0.1, 0.5, 0.9, 0.2]])
    assert regularizers.dropout(h, 0.5, noise).tolist() == [[0, 4, 6, 0]]
    noise = torch.rand((20_000, 4), generator=torch.Generator().manual_seed(1))
    assert torch.allclose(regularizers.dropout(h, 0.5, noise).mean(0), h[0], rtol=0.05)


@pytest.mark.parametrize("own", [{"p": 0.5}, {"penalty": l2, "strength": 0.1}, {"lr": 0.5}])
def test_a_network_in_a_stack_learns_what_it_learns_alone(own):
    (alone,) = train(own | {"seed": 2})
    among = train({}, own | {"seed": 1}, own | {"seed": 2}, own | {"seed": 2, "lr": 0.01})
    assert torch.allclose(numbers(alone), numbers(among[2]), atol=1e-5)


def test_settings_of_one_seed_see_the_same_minibatches():
    """A dropout of nearly nothing changes next to nothing."""
    plain, dropped = train({}, {"p": 1e-9})
    assert torch.allclose(numbers(plain), numbers(dropped), atol=1e-5)


def test_what_is_watched_is_the_loss_without_dropout_and_penalty():
    (run,) = train({"p": 0.5}, steps=7, watched={"train": (X, Y)}, every=3)
    assert run.at == [0, 3, 6, 7]
    expected = F.cross_entropy(run.network(X), Y).item()
    assert run.curves["train"][-1] == pytest.approx(expected, abs=1e-5)
    assert not any(map(math.isnan, run.curves["train"]))


def test_what_an_interruption_leaves_out_is_nan():
    def stop(h, p, noise):
        raise KeyboardInterrupt

    (run,) = train({"p": 0.5}, watched={"train": (X, Y)}, drop=stop)
    assert math.isfinite(run.curves["train"][0])
    assert math.isnan(run.curves["train"][1])


def test_settling_brings_the_pull_to_the_push():
    network = regularizers.drawn(1, SYMBOLS, 6)
    before = network.layers[0].weight.detach().clone()
    w, pull = regularizers.settle(network, X, Y, l2, 0.05, steps=3_000)
    assert torch.allclose(pull, 0.05 * w, atol=1e-4)
    assert torch.equal(before, network.layers[0].weight)


def test_noise_without_dropout_is_none():
    runs = train({"p": 0.5}, {"p": 0.5, "seed": 2})
    *_, noise, clean, noisy = regularizers.under_noise(runs, X, Y, 0.0)
    assert (noise, noisy) == (0, clean)
    *_, noise, clean, noisy = regularizers.under_noise(runs, X, Y, 0.9)
    assert noise > 0 and noisy != clean


def test_between_measurements_the_dev_loss_lies_on_a_straight_line():
    network = regularizers.drawn(1, SYMBOLS, 6)
    runs = [regularizers.Run({}, [0, 10], {"dev": [3.0, end]}, network) for end in (1.0, 2.0)]
    assert regularizers.dev_after(runs, 5) == pytest.approx(2.25)
    assert regularizers.dev_after(runs, 99) == pytest.approx(1.5)


def test_five_by_the_usual_loss_fall_alike():
    def usual(network, x, y, g):
        return F.cross_entropy(network(x), y)

    networks = regularizers.five_by(usual, X, Y, SYMBOLS, steps=30)
    first = regularizers.drawn(1, SYMBOLS)
    assert len(networks) == 5
    assert F.cross_entropy(networks[0](X), Y) < F.cross_entropy(first(X), Y)


@pytest.mark.parametrize("wrong", [{"p": 1.0}, {"p": -0.1}, {"dropout": 0.5}])
def test_wrong_settings_are_told(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        train(wrong)


def test_no_examples_are_told():
    with pytest.raises(ValueError, match="no examples"):
        regularizers.train_many([{}], 1, X[:0], Y[:0], SYMBOLS)
