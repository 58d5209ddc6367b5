"""The sweep: many networks at once learn what each would learn alone."""

import pytest
import torch

import helpers
import sweep

STEPS = 100


def examples(count=500, block_size=3):
    g = torch.Generator().manual_seed(1)
    X = torch.randint(0, 27, (count, block_size), generator=g)
    return X, torch.randint(0, 27, (count,), generator=g)


def alone(setting, X, Y):
    """The same network, drawn and trained by itself."""
    options = {name: value for name, value in setting.items() if name != "lr"}
    g = torch.Generator().manual_seed(helpers.SEED)
    network = helpers.MLP(g, **options)
    rate = setting.get("lr", sweep.LR)
    losses = helpers.train(network, network.parameters(), X, Y, g, STEPS, rate=lambda step: rate)
    return torch.tensor(losses), network


SETTINGS = [
    {"gain": 0.7, "depth": 3, "width": 20},
    {"gain": 5 / 3, "depth": 3, "width": 20, "lr": 0.5},
    {"gain": 3.0, "depth": 2, "width": 20, "last_scale": 0.1},
    {"gain": 1.0, "depth": 3, "width": 20, "batchnorm": True, "lr": 0.3},
    {"gain": 2.0, "depth": 3, "width": 20, "batchnorm": True},
    {"gain": 1.4, "depth": 3, "width": 20, "nonlinearity": helpers.ReLU},
    {"gain": 1.0, "depth": 3, "width": 20, "nonlinearity": None},
]


@pytest.fixture(scope="module")
def runs():
    return sweep.train_many(SETTINGS, STEPS, *examples())


@pytest.mark.parametrize("place", range(len(SETTINGS)))
def test_each_network_learns_what_it_learns_alone(runs, place):
    run = runs[place]
    losses, network = alone(SETTINGS[place], *examples())
    assert run.setting == SETTINGS[place]
    assert (run.losses - losses).abs().max() < 1e-5
    for ours, theirs in zip(run.network.parameters(), network.parameters(), strict=True):
        assert torch.allclose(ours, theirs, atol=1e-5)
    for ours, theirs in zip(run.network.layers, network.layers, strict=True):
        if isinstance(ours, helpers.BatchNorm1d):
            assert torch.allclose(ours.running_mean, theirs.running_mean, atol=1e-5)
            assert torch.allclose(ours.running_var, theirs.running_var, atol=1e-5)


def test_networks_of_one_shape_share_a_stack():
    g = torch.Generator().manual_seed(1)
    narrow = [helpers.MLP(g, width=8, gain=gain) for gain in range(1, 19)]
    others = [helpers.MLP(g, width=8, batchnorm=True), helpers.MLP(g, width=8, depth=2)]
    stacks = sweep.stacks_of([*narrow[:5], *others, *narrow[5:]])
    assert [len(places) for places in stacks] == [16, 2, 1, 1]
    assert sorted(place for places in stacks for place in places) == list(range(20))


def test_one_that_blows_up_does_not_touch_the_others():
    X, Y = examples()
    healthy = {"width": 10, "depth": 2}
    (calm,) = sweep.train_many([healthy], STEPS, X, Y)
    beside, blown = sweep.train_many([healthy, healthy | {"lr": 1e30}], STEPS, X, Y)
    assert not blown.losses.isfinite().all()
    assert (beside.losses - calm.losses).abs().max() < 1e-5


def test_other_block_sizes_and_symbols_fit():
    X, Y = examples(block_size=5)
    (run,) = sweep.train_many([{"block_size": 5, "symbols": 30, "width": 10}], 3, X, Y)
    assert run.network(X).shape == (len(X), 30)


def test_an_interruption_keeps_what_was_learned(monkeypatch, capsys):
    step, done = sweep.step, []

    def interrupted(*arguments):
        if len(done) == 7:
            raise KeyboardInterrupt
        done.append(1)
        return step(*arguments)

    monkeypatch.setattr(sweep, "step", interrupted)
    settings = [{"width": 10, "depth": depth} for depth in (1, 2)]
    first, second = sweep.train_many(settings, 100, *examples())
    assert (len(first.losses), len(second.losses)) == (7, 0)
    g = torch.Generator().manual_seed(helpers.SEED)
    fresh = helpers.MLP(g, **settings[0])
    assert not torch.equal(first.network.layers[0].weight, fresh.layers[0].weight)
    assert "You stopped the sweep" in capsys.readouterr().out


class Leaky(helpers.Tanh):
    """A nonlinearity that learns."""

    def parameters(self):
        return [torch.ones(1, requires_grad=True)]


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ("gain", "setting 1 is 'gain'"),
        ({"gains": 1}, "setting 1 has 'gains'"),
        ({"lr": 0}, "setting 1 has the learning rate 0"),
        ({"lr": "fast"}, "learning rate 'fast'"),
        ({"depth": 0}, "depth is 0"),
        ({"width": "wide"}, "setting 1, "),
        ({"nonlinearity": Leaky}, "setting 1: Leaky has parameters, and cannot be stacked"),
    ],
)
def test_a_bad_setting_is_named(setting, said):
    with pytest.raises(ValueError, match=said):
        sweep.train_many([{}, setting], 1, *examples())


def test_without_steps_there_is_nothing_to_train():
    with pytest.raises(ValueError, match="steps is 0"):
        sweep.train_many([{}], 0, *examples())


def test_without_settings_there_is_nothing_to_train():
    with pytest.raises(ValueError, match="there are no settings"):
        sweep.train_many([], 1, *examples())


def test_the_networks_share_nothing_afterwards():
    first, second = sweep.train_many([{"width": 10}] * 2, 3, *examples())
    pieces = [id(layer) for run in (first, second) for layer in run.network.layers]
    assert len(set(pieces)) == len(pieces)
    assert not any(hasattr(layer, "out") for layer in first.network.layers)  # nor a stack's output
