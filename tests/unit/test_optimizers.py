"""The optimizers by hand: equal to torch's where torch has them, else to their formula, number by number."""

import math

import pytest
import torch

import helpers
import sweep
from lessonkit import optimizers
from lessonkit.optimizers import with_constants

K, STEPS, LR = 3, 8, 0.02


def drawn():
    """Parameters of a stack of three networks: a matrix and a bias that starts at 0."""
    g = torch.Generator().manual_seed(1)
    W = torch.randn((K, 4, 5), generator=g, dtype=torch.float64)
    return [W.requires_grad_(), torch.zeros((K, 1, 5), dtype=torch.float64, requires_grad=True)]


def loss_of(parameters, step):
    """The losses, (K,), of a minibatch that differs from step to step."""
    g = torch.Generator().manual_seed(100 + step)
    x = torch.randn((K, 6, 4), generator=g, dtype=torch.float64)
    wanted = torch.randn((K, 6, 5), generator=g, dtype=torch.float64)
    W, b = parameters
    return ((torch.tanh(x @ W + b) - wanted) ** 2).mean((1, 2))


def trained(make, rate=None):
    """The parameters after some steps. make: of parameters, an optimizer. rate: of `step`, or None for torch's."""
    parameters = drawn()
    optimizer = make(parameters)
    for step in range(STEPS):
        for p in parameters:
            p.grad = None
        losses = loss_of(parameters, step)
        losses.sum().backward(retain_graph=True)
        if hasattr(optimizer, "observe"):
            optimizer.observe(losses)
        optimizer.step(*([] if rate is None else [rate]))
    return torch.cat([p.detach().flatten(1) for p in parameters], 1)


PAIRS = [
    (optimizers.Momentum, torch.optim.SGD, {"momentum": 0.9}),
    (optimizers.Nesterov, torch.optim.SGD, {"momentum": 0.9, "nesterov": True}),
    (optimizers.AdaGrad, torch.optim.Adagrad, {}),
    (optimizers.RProp, torch.optim.Rprop, {}),
    (optimizers.RMSProp, torch.optim.RMSprop, {}),
    (optimizers.Adam, torch.optim.Adam, {}),
    (optimizers.AdamW, torch.optim.AdamW, {}),
]


@pytest.mark.parametrize(("ours", "theirs", "options"), PAIRS)
def test_an_optimizer_is_torchs(ours, theirs, options):
    by_torch = trained(lambda parameters: theirs(parameters, lr=LR, **options))
    assert torch.allclose(trained(ours, LR), by_torch, rtol=0, atol=1e-6)


EVERY = [ours for ours, *_ in PAIRS] + [
    optimizers.LAMB,
    optimizers.Eve,
    optimizers.EquilibratedSGD,
]


@pytest.mark.parametrize("ours", EVERY)
def test_each_network_of_a_stack_has_its_own_learning_rate(ours):
    """With rates (LR, 0, LR), the second stays and the others go as with LR: but RProp's sizes have a smallest."""
    rates = torch.tensor([LR, 0.0, LR], dtype=torch.float64).view(K, 1, 1)
    moved = trained(ours, rates)
    assert torch.allclose(moved[::2], trained(ours, LR)[::2], rtol=0, atol=1e-12)
    start = torch.cat([p.detach().flatten(1) for p in drawn()], 1)
    assert torch.allclose(moved[1], start[1], atol=1e-4)


@pytest.mark.parametrize("ours", EVERY)
def test_a_step_is_short(ours):
    import inspect

    assert len(inspect.getsource(ours.step).strip().splitlines()) <= 11  # with its def


def by_formula(rate_and_direction):
    """Adam's means with one network at a time, in plain numbers; rate_and_direction says what is done with them."""
    parameters = drawn()
    flat = [[p[k].detach().flatten().tolist() for p in parameters] for k in range(K)]
    means = [[[0.0] * len(part) for part in parts] for parts in flat]
    squares = [[[0.0] * len(part) for part in parts] for parts in flat]
    memory = [{} for _ in range(K)]
    for step in range(STEPS):
        now = [
            torch.tensor([flat[k][i] for k in range(K)], dtype=torch.float64).view(p.shape)
            for i, p in enumerate(parameters)
        ]
        now = [p.requires_grad_() for p in now]
        losses = loss_of(now, step)
        losses.sum().backward()
        for k in range(K):
            for i, p in enumerate(now):
                gradient = p.grad[k].flatten().tolist()
                direction = []
                for j, g in enumerate(gradient):
                    means[k][i][j] = 0.9 * means[k][i][j] + 0.1 * g
                    squares[k][i][j] = 0.999 * squares[k][i][j] + 0.001 * g * g
                    m = means[k][i][j] / (1 - 0.9 ** (step + 1))
                    s = squares[k][i][j] / (1 - 0.999 ** (step + 1))
                    direction.append((m, s))
                rate, moves = rate_and_direction(
                    memory[k], i, losses[k].item(), flat[k][i], direction
                )
                flat[k][i] = [x - rate * move for x, move in zip(flat[k][i], moves, strict=True)]
    return torch.tensor(
        [[x for part in parts for x in part] for parts in flat], dtype=torch.float64
    )


def test_LAMB_is_its_formula():
    def lamb(memory, i, loss, numbers, means):
        moves = [m / (math.sqrt(s) + 1e-6) for m, s in means]
        length, own = math.dist(numbers, [0] * len(numbers)), math.dist(moves, [0] * len(moves))
        return LR * (length / own if length and own else 1), moves

    assert torch.allclose(trained(optimizers.LAMB, LR), by_formula(lamb), rtol=0, atol=1e-9)


def test_Eve_is_its_formula():
    def eve(memory, i, loss, numbers, means):
        if i == 0:  # once a step
            if "loss" in memory:
                change = abs(loss - memory["loss"]) / min(loss, memory["loss"])
                memory["d"] = 0.999 * memory["d"] + 0.001 * min(10, max(0.1, change))
            else:
                memory["d"] = 1.0
            memory["loss"] = loss
        return LR / memory["d"], [m / (math.sqrt(s) + 1e-8) for m, s in means]

    assert torch.allclose(trained(optimizers.Eve, LR), by_formula(eve), rtol=0, atol=1e-9)


def test_LAMBs_update_is_as_long_as_the_matrix_times_the_rate():
    parameters = drawn()
    optimizer = optimizers.LAMB(parameters)
    before = parameters[0].detach().clone()
    loss_of(parameters, 0).sum().backward()
    optimizer.step(LR)
    ratio = (parameters[0].detach() - before).norm(dim=(1, 2)) / before.norm(dim=(1, 2))
    assert torch.allclose(ratio, torch.full_like(ratio, LR))


def test_hessian_products_are_those_of_torchs_hessian():
    g = torch.Generator().manual_seed(3)
    x = torch.randn(7, generator=g, dtype=torch.float64).requires_grad_()
    v = torch.randn(7, generator=g, dtype=torch.float64)

    def function(x):
        return (x.sin() * x.roll(1)).sum() + (x**4).sum()

    (product,) = optimizers.hessian_products(function(x), [x], [v])
    assert torch.allclose(product, torch.autograd.functional.hessian(function, x) @ v)


def test_equilibrated_SGD_estimates_the_lengths_of_the_hessians_rows():
    scales = torch.tensor([1.0, 10.0, 0.1], dtype=torch.float64)
    x = torch.ones((1, 1, 3), dtype=torch.float64, requires_grad=True)
    optimizer = with_constants(optimizers.EquilibratedSGD, every=1)([x])
    for _ in range(3_000):
        optimizer.observe((scales * x**2 / 2).sum((1, 2)))
    rows = (optimizer.squares[0] / optimizer.products).sqrt().flatten()
    assert torch.allclose(rows, scales, rtol=0.1)
    x.grad = torch.ones_like(x)
    optimizer.step(0.5)
    wanted = 1 - 0.5 / (rows + optimizer.damping)
    assert torch.allclose(x.detach().flatten(), wanted)


def examples():
    g = torch.Generator().manual_seed(1)
    return torch.randint(0, 27, (300, 3), generator=g), torch.randint(0, 27, (300,), generator=g)


def settings(optimizer, count=2):
    return [{"optimizer": optimizer, "width": 8, "lr": 0.01, "seed": s} for s in range(count)]


def test_watching_changes_nothing_and_tells_the_updates():
    """More networks than one stack holds: the records stand in the order of the settings."""
    X, Y = examples()
    Watched = optimizers.watched(optimizers.Adam, every=2)
    watched = sweep.train_many(settings(Watched, 18), 4, X, Y, 27)
    plain = sweep.train_many(settings(optimizers.Adam, 18), 4, X, Y, 27)
    assert watched[17].losses == pytest.approx(plain[17].losses, abs=1e-5)
    ratios = optimizers.update_ratios(Watched, 18)
    assert ratios.shape == (18, 2, 7)
    g = torch.Generator().manual_seed(17)
    weight = helpers.MLP(g, 27, width=8).weights["layer 2"].detach()
    # at the first step Adam moves each number by lr
    assert ratios[17, 0, 2].item() == pytest.approx(0.01 / weight.std().item(), rel=0.05)


def test_training_with_an_observer_is_train_many_otherwise():
    X, Y = examples()
    one = optimizers.train_observed(settings(optimizers.Adam), 5, X, Y, 27)
    other = sweep.train_many(settings(optimizers.Adam), 5, X, Y, 27)
    assert one[1].losses == pytest.approx(other[1].losses, abs=1e-5)
    for ours in (optimizers.Eve, optimizers.EquilibratedSGD):
        losses = optimizers.train_observed(settings(ours), 5, X, Y, 27)[0].losses
        assert all(map(math.isfinite, losses))


def test_constants_can_be_changed_and_must_exist():
    assert with_constants(optimizers.Momentum, keep=0.5).keep == 0.5
    with pytest.raises(ValueError, match="no constant 'kept'"):
        with_constants(optimizers.Momentum, kept=0.5)


CURVATURES = torch.tensor([0.1, 4.0])


def roll(lr, momentum, steps=300):
    places, velocity = [torch.tensor([-8.0, 1.5])], 0
    for _ in range(steps):
        velocity = momentum * velocity + CURVATURES * places[-1]
        places.append(places[-1] - lr * velocity)
    return places


@pytest.mark.parametrize("momentum", [0, 0.5, 0.8, 0.9])
def test_the_bowl_has_the_limit_that_is_drawn(momentum):
    limit = 2 * (1 + momentum) / 4
    inside, outside = optimizers.bowl_distances(roll, [momentum], [0.97 * limit, 1.03 * limit])[0]
    assert inside < 1 < outside


def test_the_panel_follows_its_settings():
    from matplotlib.figure import Figure

    rates, momenta = torch.tensor([0.01, 0.1, 1.0]), [0, 0.9]
    losses = torch.tensor([[2.7, 2.6, 2.5], [2.4, 2.8, float("nan")]])
    update = optimizers.draw_momentum(roll, CURVATURES, momenta, rates, losses, Figure((11, 3)))
    assert "diverges above lr 0.50" in update(0.1, 0)
    assert "dev loss 2.60" in update(0.1, 0)
    words = update(1.0, 0.9)
    assert "does not come closer" in words
    assert "dev loss nan" in words


def test_edges_lie_between_the_values():
    assert torch.allclose(optimizers.edges([1.0, 100.0]).float(), torch.tensor([0.1, 10, 1000]))


def test_momenta_are_trained_as_the_table_says():
    from types import SimpleNamespace

    X, Y = examples()
    data = SimpleNamespace(train=(X, Y), dev=(X, Y), stoi=dict.fromkeys(range(27)))
    rates = torch.tensor([0.01, 0.1])
    table = optimizers.train_momenta({"width": 8}, [0, 0.9], rates, 3, data)
    runs = [
        sweep.train_many([{"width": 8, "lr": 0.1, "seed": seed}], 3, X, Y, 27) for seed in (1, 2)
    ]
    alone = [helpers.evaluate(one.network, X, Y) for (one,) in runs]
    assert table[0, 1].item() == pytest.approx(sum(alone) / 2, abs=1e-4)


def test_of_a_training_that_was_stopped_there_are_as_many_updates_as_asked_for():
    X, Y = examples()
    Watched = optimizers.watched(optimizers.Adam, every=2)
    assert optimizers.update_ratios(Watched, 3).isnan().all()
    sweep.train_many(settings(Watched, 2), 4, X, Y, 27)
    ratios = optimizers.update_ratios(Watched, 5)
    assert ratios.shape == (5, 2, 7)
    assert ratios[:2].isfinite().all()
    assert ratios[2:].isnan().all()
