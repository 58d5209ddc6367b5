"""The sweep: many networks at once learn what each would learn alone."""

import math

import fine_map
import joblib
import pytest
import torch
import torch.nn.functional as F

import helpers
import sweep

SYMBOLS = 27
SHORT, LONG = 10, 100  # steps


def examples(count=500, block_size=3):
    g = torch.Generator().manual_seed(1)
    X = torch.randint(0, SYMBOLS, (count, block_size), generator=g)
    return X, torch.randint(0, SYMBOLS, (count,), generator=g)


def together(settings, steps=SHORT):
    """The runs of these settings, on the examples."""
    return sweep.train_many(settings, steps, *examples(), SYMBOLS)


def alone(setting, steps):
    """The same network, drawn and trained by itself, and its losses."""
    own = {"lr": 0.1, "seed": helpers.SEED} | setting
    options = {name: value for name, value in setting.items() if name not in ("lr", "seed")}
    g = torch.Generator().manual_seed(own["seed"])
    network = helpers.MLP(g, SYMBOLS, **options)
    return helpers.train(network, *examples(), g, steps, own["lr"], quiet=True), network


def apart(one, other):
    """The largest difference between two lists of losses."""
    return (torch.tensor(one) - torch.tensor(other)).abs().max()


SETTINGS = [
    {"gain": 0.7, "depth": 3, "width": 20},
    {"gain": 5 / 3, "depth": 3, "width": 20, "lr": 0.5},
    {"gain": 3.0, "depth": 2, "width": 20, "last_scale": 0.1},
    {"gain": 1.0, "depth": 3, "width": 20, "batchnorm": True, "lr": 0.3},
    {"gain": 1.0, "depth": 3, "width": 20, "batchnorm": "hidden", "gamma": 0.5},
    {"gain": 2.0, "depth": 3, "width": 20, "batchnorm": True},
    {"gain": 1.4, "depth": 3, "width": 20, "nonlinearity": helpers.ReLU},
    {"gain": 1.0, "depth": 3, "width": 20, "nonlinearity": None},
]


@pytest.fixture(scope="module")
def short_runs():
    return together(SETTINGS)


@pytest.fixture(scope="module")
def long_runs():
    return together(SETTINGS, LONG)


@pytest.mark.parametrize("place", range(len(SETTINGS)))
def test_each_network_learns_what_it_learns_alone(short_runs, place):
    """Held tightly over a few steps, where sums in another order differ in their last digits only."""
    run = short_runs[place]
    losses, network = alone(SETTINGS[place], SHORT)
    assert run.setting == SETTINGS[place]
    assert run.losses.done == SHORT
    assert apart(run.losses, losses) < 1e-5
    for ours, theirs in zip(run.network.parameters(), network.parameters(), strict=True):
        assert torch.allclose(ours, theirs, atol=1e-5)
    for ours, theirs in zip(run.network.layers, network.layers, strict=True):
        if isinstance(ours, helpers.BatchNorm1d):
            assert torch.allclose(ours.running_mean, theirs.running_mean, atol=1e-5)
            assert torch.allclose(ours.running_var, theirs.running_var, atol=1e-5)


@pytest.mark.parametrize("place", range(len(SETTINGS)))
def test_over_many_steps_too_it_is_the_same_training(long_runs, place):
    """Held loosely: a training amplifies differences in the last digits, how much depends on the processor.

    Another draw of the minibatches differs by tenths.
    """
    losses, _ = alone(SETTINGS[place], LONG)
    assert apart(long_runs[place].losses, losses) < 0.05
    other, _ = alone(SETTINGS[place] | {"seed": 3}, LONG)
    assert apart(other, losses) > 0.1


SEEDED = [
    {"width": 20, "depth": 2, "gain": gain, "seed": seed} for gain in (1, 2) for seed in (1, 2)
]


@pytest.mark.parametrize("place", range(len(SEEDED)))
def test_a_seed_draws_the_weights_and_the_minibatches(place):
    run = together(SEEDED)[place]
    losses, network = alone(SEEDED[place], SHORT)
    assert apart(run.losses, losses) < 1e-5
    assert torch.allclose(run.network.C, network.C, atol=1e-5)


def test_seeds_of_one_shape_share_a_stack_and_draw_each_minibatch_once():
    runs = together([*SEEDED, SEEDED[0]])
    assert apart(runs[0].losses, runs[4].losses) < 1e-5
    assert apart(runs[0].losses, runs[1].losses) > 1e-3
    generators = [torch.Generator().manual_seed(seed) for seed in (1, 2, 1)]
    batches = sweep.Batches(generators, 500)
    assert batches.rows.tolist() == [0, 1, 0]
    drawn = batches.ahead(3)
    assert drawn.shape == (3, 2, sweep.BATCH_SIZE)
    for row in drawn:  # the generators themselves have drawn nothing yet
        singly = [torch.randint(0, 500, row[0].shape, generator=g) for g in generators[:2]]
        assert torch.equal(row, torch.stack(singly))
    singly = [torch.randint(0, 500, row[0].shape, generator=g) for g in generators[:2]]
    assert torch.equal(batches(), torch.stack([*singly, singly[0]]))


def test_networks_of_one_shape_share_a_stack():
    g = torch.Generator().manual_seed(1)
    narrow = [helpers.MLP(g, SYMBOLS, width=8, gain=gain) for gain in range(1, 19)]
    others = [
        helpers.MLP(g, SYMBOLS, width=8, batchnorm=True),
        helpers.MLP(g, SYMBOLS, width=8, depth=2),
    ]
    networks = [*narrow[:5], *others, *narrow[5:]]
    stacks = sweep.stacks_of([sweep.Plant(network) for network in networks], lambda _: 16)
    assert [len(places) for places in stacks] == [16, 2, 1, 1]
    assert sorted(place for places in stacks for place in places) == list(range(20))


def test_only_the_steps_that_are_made_are_asked_for_their_learning_rate():
    asked = []
    (run,) = together([{"width": 10, "lr": lambda step: asked.append(step) or 0.1}], LONG + 1)
    assert asked == list(range(LONG + 1))
    assert run.losses.done == LONG + 1


def test_the_learning_rate_can_be_a_function_of_the_step():
    falling, plain = {"width": 10, "depth": 2, "lr": lambda step: 0.5 / (1 + step)}, {"width": 10}
    run, beside = together([falling, plain | {"depth": 2}])
    assert apart(run.losses, alone(falling, SHORT)[0]) < 1e-5
    assert apart(beside.losses, alone(plain | {"depth": 2}, SHORT)[0]) < 1e-5


class Momentum(sweep.SGD):
    """An optimizer that sweep.py does not have: torch.optim.SGD with momentum 0.9."""

    def __init__(self, parameters):
        super().__init__(parameters)
        self.velocities = [torch.zeros_like(p) for p in parameters]

    def step(self, lrs):
        for p, velocity in zip(self.parameters, self.velocities, strict=True):
            velocity.mul_(0.9).add_(p.grad)
            p.data -= lrs * velocity


@pytest.mark.parametrize("kind", [{}, {"batchnorm": "hidden", "gamma": 0.5}])
@pytest.mark.parametrize(
    ("own", "others", "twin", "twins_own"),
    [
        ({"optimizer": "adam"}, [{"lr": 1e-3}, {"lr": 0.03}], torch.optim.Adam, {}),
        ({"optimizer": Momentum}, [{"lr": 0.1}, {"lr": 0.2}], torch.optim.SGD, {"momentum": 0.9}),
        ({"lr": 0.3}, [{"weight_decay": 0.1}, {"weight_decay": 0.0}], torch.optim.SGD, {}),
        ({"optimizer": "adam", "lr": 0.01}, [{"weight_decay": 0.1}, {}], torch.optim.Adam, {}),
    ],
)
def test_an_optimizer_is_that_of_torch(kind, own, others, twin, twins_own):
    """Two networks of one stack with other numbers, held against the optimizer of torch, each alone."""
    settings = [kind | {"width": 10, "depth": 2} | own | other for other in others]
    for setting, run in zip(settings, together(settings), strict=True):
        g = torch.Generator().manual_seed(helpers.SEED)
        network = helpers.MLP(g, SYMBOLS, width=10, depth=2, **kind)
        numbers = {name: setting[name] for name in ("lr", "weight_decay") if name in setting}
        optimizer = twin(network.parameters(), **numbers, **twins_own)
        for loss in run.losses:
            X, Y = helpers.minibatch(*examples(), g)
            expected = F.cross_entropy(network(X), Y)
            optimizer.zero_grad()
            expected.backward()
            optimizer.step()
            assert abs(loss - expected.item()) < 1e-5


def test_one_that_blows_up_does_not_touch_the_others():
    """How a loss blows up, to a large number, inf or nan, depends on the processor; that it does, does not."""
    healthy = {"width": 10, "depth": 2}
    (calm,) = together([healthy])
    beside, blown = together([healthy, healthy | {"lr": 1e30}])
    assert not blown.losses[-1] < 1e6
    assert apart(beside.losses, calm.losses) < 1e-5


def test_other_block_sizes_and_symbols_fit():
    X, Y = examples(block_size=5)
    (run,) = sweep.train_many([{"block_size": 5, "width": 10}], 3, X, Y, 30)
    assert run.network(X).shape == (len(X), 30)


def test_an_interruption_keeps_what_was_learned(monkeypatch, capsys):
    gradients, done = sweep.gradients, []

    def interrupted(*arguments):
        if len(done) == 7:
            raise KeyboardInterrupt
        done.append(1)
        return gradients(*arguments)

    monkeypatch.setattr(sweep, "gradients", interrupted)
    settings = [{"width": 10, "depth": depth} for depth in (1, 2)]
    first, second = together(settings, 100)
    assert (first.losses.done, second.losses.done) == (7, 0)
    for losses in (first.losses, second.losses):
        assert len(losses) == 100
        assert all(map(math.isfinite, losses[: losses.done]))
        assert all(map(math.isnan, losses[losses.done :]))
    g = torch.Generator().manual_seed(helpers.SEED)
    fresh = helpers.MLP(g, SYMBOLS, **settings[0])
    assert not torch.equal(first.network.layers[0].weight, fresh.layers[0].weight)
    assert "You stopped this" in capsys.readouterr().out


def test_where_memory_is_short_stacks_are_halved(monkeypatch, capsys):
    """More than three networks do not fit; one stack runs out of memory when it has already learned something."""
    settings = [{"width": 10, "depth": 2, "seed": seed} for seed in range(10)]
    gradients, steps = sweep.gradients, []

    def of_three(stack, *batch):
        steps.append(len(stack.networks))
        if len(stack.networks) > 3 and len(steps) > 4:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return gradients(stack, *batch)

    expected = together(settings)
    monkeypatch.setattr(sweep, "gradients", of_three)
    for run, whole in zip(together(settings), expected, strict=True):
        assert run.losses.done == SHORT
        assert apart(run.losses, whole.losses) < 1e-5
        assert torch.allclose(run.network.C, whole.network.C, atol=1e-5)
    assert set(steps) == {10, 5, 2, 3}
    assert "trained together in groups: 4; steps: 10" in capsys.readouterr().out


def test_a_network_that_does_not_fit_alone_is_an_error(monkeypatch):
    def never(*arguments):
        raise torch.OutOfMemoryError("CUDA out of memory.")

    monkeypatch.setattr(sweep, "gradients", never)
    with pytest.raises(torch.OutOfMemoryError):
        together([{"width": 10}] * 3)


# ---------------------------------------------------------------- devices and types

NEEDS_CUDA = pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device")
LOSSES_HELD = 20  # steps


def test_float64_is_the_same_training_with_more_digits():
    settings = [{"width": 10, "depth": 2}, {"width": 10, "depth": 2, "batchnorm": True}]
    precise = sweep.train_many(settings, SHORT, *examples(), SYMBOLS, dtype=torch.float64)
    for run, usual in zip(precise, together(settings), strict=True):
        assert 0 < apart(run.losses, usual.losses) < 1e-5
        assert {p.dtype for p in run.network.parameters()} == {torch.float64}


def test_another_dtype_is_refused():
    with pytest.raises(ValueError, match=r"dtype is torch\.int64; it can be torch\.float32"):
        sweep.train_many([{}], 1, *examples(), SYMBOLS, dtype=torch.int64)


@pytest.mark.parametrize("device", ["gpu", "cuda:99", 7.5])
def test_a_device_that_is_not_there_is_an_error(device):
    with pytest.raises(ValueError, match="cannot be used here"):
        sweep.train_many([{}], 1, *examples(), SYMBOLS, device=device)


def test_a_stack_on_another_device_looks_up_what_one_on_the_cpu_does(monkeypatch):
    """By a product with one-hot rows. Here a CPU plays the other device."""
    networks = [run.network for run in together(SEEDED)]
    X, Y = (part.expand(len(networks), *part.shape) for part in examples())
    stacks = [sweep.Stack(networks) for _ in range(2)]
    here = sweep.gradients(stacks[0], X, Y)
    monkeypatch.setattr(sweep, "is_cpu", lambda device: False)
    there = sweep.gradients(stacks[1], X, Y)
    assert torch.equal(here, there)
    assert torch.allclose(stacks[0].C.grad, stacks[1].C.grad, atol=1e-6)


@pytest.mark.parametrize("place", range(len(SETTINGS)))
def test_twenty_steps_agree_with_those_of_a_network_alone(place):
    (run,) = together([SETTINGS[place]], LOSSES_HELD)
    assert apart(run.losses, alone(SETTINGS[place], LOSSES_HELD)[0]) < 1e-5


@NEEDS_CUDA
@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_a_gpu_gives_the_losses_of_the_cpu(optimizer):
    """Float64 holds the arithmetic tightly over more steps than one table has rows; float32 over a few."""
    rate = {"sgd": 0.1, "adam": 0.001}[optimizer]
    settings = [setting | {"optimizer": optimizer, "lr": rate} for setting in SETTINGS]
    settings.append({"optimizer": optimizer, "lr": lambda step: rate / (1 + step)})
    for steps, dtype in ((sweep.CHUNK + 20, torch.float64), (LOSSES_HELD, torch.float32)):
        here, there = (
            sweep.train_many(settings, steps, *examples(), SYMBOLS, device=device, dtype=dtype)
            for device in ("cpu", "cuda")
        )
        for one, other in zip(here, there, strict=True):
            assert apart(one.losses, other.losses) < 1e-5
            for p, q in zip(one.network.parameters(), other.network.parameters(), strict=True):
                assert q.device.type == "cpu"
                assert torch.allclose(p, q, atol=1e-4)


@NEEDS_CUDA
def test_a_gpu_gives_the_same_twice():
    runs = [sweep.train_many(SEEDED, 200, *examples(), SYMBOLS, device="cuda")[0] for _ in range(2)]
    assert runs[0].losses == runs[1].losses


@NEEDS_CUDA
def test_a_gpu_whose_memory_is_short_gets_smaller_stacks(monkeypatch, capsys):
    settings = [{"width": 50, "depth": 4, "seed": seed % 5} for seed in range(600)]
    expected = sweep.train_many(settings, 20, *examples(), SYMBOLS, device="cuda")
    assert "groups: 1;" in capsys.readouterr().out
    monkeypatch.setattr(sweep, "SHARE", 1e9)  # it believes that all fit
    torch.cuda.empty_cache()
    total = torch.cuda.get_device_properties(0).total_memory
    room = 40 * 2**20  # bytes
    torch.cuda.set_per_process_memory_fraction((torch.cuda.memory_allocated() + room) / total)
    try:
        runs = sweep.train_many(settings, 20, *examples(), SYMBOLS, device="cuda")
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)
    assert "groups: 1;" not in capsys.readouterr().out
    for run, whole in zip(runs, expected, strict=True):
        assert apart(run.losses, whole.losses) < 1e-5


@NEEDS_CUDA
def test_an_interruption_keeps_what_a_gpu_has_learned(monkeypatch):
    replayed = sweep.Captured.step

    def interrupted(captured):
        if captured.training.done == 150:
            raise KeyboardInterrupt
        replayed(captured)

    monkeypatch.setattr(sweep.Captured, "step", interrupted)
    (run,) = sweep.train_many(SEEDED[:1], 300, *examples(), SYMBOLS, device="cuda")
    assert run.losses.done == 150
    assert all(map(math.isfinite, run.losses[:150]))


# ---------------------------------------------------------------- evaluating


@pytest.mark.parametrize("device", ["cpu", pytest.param("cuda", marks=NEEDS_CUDA)])
def test_many_networks_are_evaluated_as_each_alone(device):
    networks = [run.network for run in together(SETTINGS + SEEDED)]
    X, Y = examples(2_500)
    losses = sweep.evaluate_many(networks, X, Y, device=device)
    for network, loss in zip(networks, losses, strict=True):
        assert loss == pytest.approx(helpers.evaluate(network, X, Y), abs=1e-5)
        assert network.training


def test_without_examples_there_is_nothing_to_evaluate():
    X, Y = examples()
    with pytest.raises(ValueError, match="no examples to evaluate"):
        sweep.evaluate_many([], X[:0], Y[:0])


# ---------------------------------------------------------------- past one process


@pytest.mark.slow
def test_two_processes_learn_exactly_what_one_does():
    """As the README shows it."""
    settings = [SETTINGS[0] | {"seed": seed} for seed in range(20)] + SETTINGS[1:]
    X, Y = examples()
    parts = sweep.split(settings, SYMBOLS)
    assert sorted(place for part in parts for place in part) == list(range(len(settings)))
    train = joblib.delayed(sweep.train_many)
    done = joblib.Parallel(n_jobs=2)(
        train([settings[place] for place in part], SHORT, X, Y, SYMBOLS) for part in parts
    )
    runs = {
        place: run
        for part, some in zip(parts, done, strict=True)
        for place, run in zip(part, some, strict=True)
    }
    for place, whole in enumerate(sweep.train_many(settings, SHORT, X, Y, SYMBOLS)):
        assert runs[place].setting == settings[place]
        assert runs[place].losses == whole.losses
        parameters = zip(runs[place].network.parameters(), whole.network.parameters(), strict=True)
        assert all(torch.equal(p, q) for p, q in parameters)


# ---------------------------------------------------------------- the fine maps


def test_a_fine_map_that_the_tool_has_computed_is_read(tmp_path, monkeypatch):
    """Two by two fields of one layer or two, with a rate at which trainings blow up."""
    monkeypatch.setattr(fine_map, "STEPS", 5)
    path = tmp_path / "maps.json"
    fine_map.main(
        ["--device", "cpu", "--size", "2", "--layers", "2", "--seeds", "2", "--save", str(path)]
    )
    plain = sweep.fine_map("plain", path)
    assert (plain.rows, len(plain.gains), plain.steps, plain.seeds) == ([1, 2], 2, 5, 2)
    assert plain.mean.shape == plain.error.shape == (2, 2)
    assert str(plain).startswith("8 networks, trained on one ")
    data = helpers.load_splits()
    settings = [
        {"depth": 2, "gain": plain.gains[1], "seed": seed, "width": plain.width}
        for seed in range(2)
    ]
    runs = sweep.train_many(settings, 5, *data.train, len(data.stoi))
    dev = [helpers.evaluate(run.network, *(part[:2_000] for part in data.dev)) for run in runs]
    assert plain.mean[1, 1].item() == pytest.approx(sum(dev) / 2, abs=1e-3)
    with pytest.raises(ValueError, match="no map 'fine'; it has plain, rates, BatchNorm"):
        sweep.fine_map("fine", path)
    assert [file.name for file in tmp_path.iterdir()] == ["maps.json"]


def test_a_part_of_the_maps_does_not_take_the_place_of_the_series_own(capsys):
    with pytest.raises(SystemExit):
        fine_map.main(["--device", "cpu", "--maps", "plain"])
    assert "--save FILE is needed" in capsys.readouterr().err


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
        ({"optimizer": "newton"}, "the optimizer 'newton'; there are sgd, adam, or give a class"),
        ({"weight_decay": -0.1}, "the weight decay -0.1; it must be a number, 0 or more"),
        ({"weight_decay": "much"}, "the weight decay 'much'; it must be a number, 0 or more"),
        ({"seed": "lucky"}, "setting 1, "),
        ({"depth": 0}, "depth is 0"),
        ({"width": "wide"}, "setting 1, "),
        ({"nonlinearity": Leaky}, "setting 1: Leaky has parameters, and cannot be stacked"),
    ],
)
def test_a_bad_setting_is_named(setting, said):
    with pytest.raises(ValueError, match=said):
        together([{}, setting], 1)


def test_without_steps_there_is_nothing_to_train():
    with pytest.raises(ValueError, match="steps is 0"):
        together([{}], 0)


def test_without_settings_there_is_nothing_to_train():
    with pytest.raises(ValueError, match="there are no settings"):
        together([], 1)


def test_without_examples_there_is_nothing_to_train_on():
    X, Y = examples()
    with pytest.raises(ValueError, match="there are no examples"):
        sweep.train_many([{}], 1, X[:0], Y[:0], SYMBOLS)


def test_the_networks_share_nothing_afterwards():
    first, second = together([{"width": 10}] * 2, 3)
    pieces = [id(layer) for run in (first, second) for layer in run.network.layers]
    assert len(set(pieces)) == len(pieces)
    assert not any(hasattr(layer, "out") for layer in first.network.layers)  # nor a stack's output
