"""The starter network and its training in helpers are the lecture's own arithmetic."""

import math
from types import SimpleNamespace

import pytest
import torch
import torch.nn.functional as F

import helpers
from lessonkit import interrupts, training


def generator(seed=helpers.SEED):
    return torch.Generator().manual_seed(seed)


@pytest.fixture(scope="module")
def examples():
    names = helpers.load_names()
    stoi, _ = helpers.build_vocabulary(names)
    return helpers.build_dataset(helpers.split_names(names)[0][:500], stoi)


def starter(g):
    parameters = [p.requires_grad_() for p in helpers.draw_parameters(g, 27)]
    return parameters, lambda X: helpers.starter_logits(parameters, X)


def test_the_parameters_are_drawn_in_the_lectures_order():
    g = generator()
    shapes = [(27, 10), (30, 200), (200,), (200, 27), (27,)]
    by_hand = [torch.randn(shape, generator=g) for shape in shapes]
    drawn = helpers.draw_parameters(generator(), 27)
    assert all(torch.equal(a, b) for a, b in zip(by_hand, drawn, strict=True))
    assert sum(p.numel() for p in drawn) == 11_897
    assert not any(p.requires_grad for p in drawn)


def test_without_the_hidden_bias_it_is_not_drawn():
    g = generator()
    by_hand = [torch.randn(shape, generator=g) for shape in [(27, 10), (30, 200), (200, 27), (27,)]]
    drawn = helpers.draw_parameters(generator(), 27, hidden_bias=False)
    assert all(torch.equal(a, b) for a, b in zip(by_hand, drawn, strict=True))


def test_training_is_the_lectures_loop_to_the_last_bit(examples, capsys):
    X, Y = examples
    g = generator()
    C, W1, b1, W2, b2 = by_hand = [p.requires_grad_() for p in helpers.draw_parameters(g, 27)]
    expected = []
    for _ in range(200):
        ix = torch.randint(0, X.shape[0], (32,), generator=g)
        emb = C[X[ix]]
        h = torch.tanh(emb.view(emb.shape[0], -1) @ W1 + b1)
        loss = F.cross_entropy(h @ W2 + b2, Y[ix])
        for p in by_hand:
            p.grad = None
        loss.backward()
        for p in by_hand:
            p.data += -0.1 * p.grad
        expected.append(loss.item())

    g = generator()
    parameters, model = starter(g)
    assert helpers.train(model, X, Y, g, steps=200, parameters=parameters) == expected
    assert all(torch.equal(a, b) for a, b in zip(by_hand, parameters, strict=True))
    assert capsys.readouterr().out == "200 steps done\n"


def test_a_quiet_training_says_nothing(examples, capsys):
    X, Y = examples
    g = generator()
    parameters, model = starter(g)
    helpers.train(model, X, Y, g, steps=5, parameters=parameters, quiet=True)
    assert capsys.readouterr() == ("", "")


def test_the_parameters_are_the_models_own(examples):
    g = generator()
    network = helpers.MLP(g, 27, depth=1)
    before = [p.detach().clone() for p in network.parameters()]
    helpers.train(network, *examples, g, steps=1, quiet=True)
    moved = [not torch.equal(a, b) for a, b in zip(before, network.parameters(), strict=True)]
    assert all(moved)


def test_an_interruption_keeps_the_losses_so_far(examples, capsys):
    X, Y = examples
    g = generator()
    parameters, model = starter(g)
    calls = []

    def interrupted(X):
        calls.append(1)
        if len(calls) == 11:
            raise KeyboardInterrupt
        return model(X)

    losses = helpers.train(interrupted, X, Y, g, steps=200, parameters=parameters)
    assert losses.done == 10
    assert len(losses) == 200
    assert not any(map(math.isnan, losses[:10]))
    assert all(map(math.isnan, losses[10:]))
    said = capsys.readouterr().out
    assert said.startswith("You stopped this.")
    assert "10 steps done" in said


@pytest.fixture
def cell(monkeypatch):
    """A kernel's shell, as far as interruptions ask for it: which cell runs."""
    shell = SimpleNamespace(execution_count=1)
    monkeypatch.setattr(interrupts, "get_ipython", lambda: shell)
    monkeypatch.setattr(interrupts, "_stopped", [])
    return shell


def test_one_interruption_ends_all_trainings_of_its_cell_and_no_other(examples, cell):
    X, Y = examples
    parameters, model = starter(generator())

    def interrupted(X):
        raise KeyboardInterrupt

    def steps_done(model):
        g = generator()
        return helpers.train(model, X, Y, g, steps=3, parameters=parameters, quiet=True).done

    assert steps_done(model) == 3
    assert steps_done(interrupted) == 0
    assert steps_done(model) == 0
    assert math.isnan(helpers.evaluate(model, X, Y))
    assert list(helpers.progress(5, quiet=True)) == []
    cell.execution_count = 2
    assert steps_done(model) == 3
    assert helpers.evaluate(model, X, Y) < 30


def test_an_interrupted_evaluation_is_nan_and_ends_the_cell(examples, cell):
    def interrupted(X):
        raise KeyboardInterrupt

    assert math.isnan(helpers.evaluate(interrupted, *examples))
    assert list(helpers.progress(5, quiet=True)) == []


def test_other_errors_are_not_swallowed(examples):
    X, Y = examples

    def broken(X):
        raise RuntimeError("a mistake in the model")

    with pytest.raises(RuntimeError, match="a mistake in the model"):
        helpers.train(broken, X, Y, generator(), steps=5, parameters=[])


def test_without_examples_there_is_a_clear_error(examples):
    X, Y = examples[0][:0], examples[1][:0]
    parameters, model = starter(generator())
    with pytest.raises(ValueError, match="no examples to train on"):
        helpers.train(model, X, Y, generator(), steps=5, parameters=parameters)
    with pytest.raises(ValueError, match="no examples to evaluate"):
        helpers.evaluate(model, X, Y)


@pytest.mark.parametrize(
    "lr", [0.03, lambda step: 0.03 if step < 3 else 0], ids=["number", "function"]
)
def test_the_learning_rate_is_a_number_or_a_function_of_the_step(examples, lr):
    X, Y = examples
    g = generator()
    parameters, model = starter(g)
    seen = []
    record = lambda step, lr: seen.append((step, lr))  # noqa: E731
    helpers.train(model, X, Y, g, 5, lr, parameters=parameters, record=record, quiet=True)
    assert seen == [(step, lr(step) if callable(lr) else lr) for step in range(5)]


def test_the_lectures_learning_rate_falls_once():
    assert [helpers.lecture_lr(step) for step in (0, 99_999, 100_000)] == [0.1, 0.1, 0.01]


def test_with_a_learning_rate_of_zero_nothing_moves(examples):
    X, Y = examples
    g = generator()
    parameters, model = starter(g)
    before = [p.detach().clone() for p in parameters]
    helpers.train(model, X, Y, g, steps=5, lr=0, parameters=parameters)
    assert all(torch.equal(a, b) for a, b in zip(before, parameters, strict=True))


def test_evaluating_needs_no_gradients(examples):
    X, Y = examples
    parameters, model = starter(generator())
    assert helpers.evaluate(model, X, Y) == pytest.approx(F.cross_entropy(model(X), Y).item())
    assert all(p.grad is None for p in parameters)


def test_evaluating_in_pieces_is_the_mean_of_all(examples, monkeypatch):
    X, Y = examples
    _, model = starter(generator())
    whole = helpers.evaluate(model, X, Y)
    monkeypatch.setattr(training, "PIECE", 7)
    assert helpers.evaluate(model, X, Y) == pytest.approx(whole, rel=1e-5)


@pytest.mark.parametrize(("count", "blocks"), [(0, 0), (9, 0), (10, 1), (25, 2)])
def test_block_means_leave_the_rest_out(count, blocks):
    means = helpers.block_means([float(i) for i in range(count)], 10)
    assert means.tolist() == [4.5 + 10 * i for i in range(blocks)]


def test_gradients_are_on_again_after_an_interruption():
    with training.stoppable(), torch.no_grad():
        torch.set_grad_enabled(False)
        raise KeyboardInterrupt
    with training.stoppable():
        torch.set_grad_enabled(
            False
        )  # as an interruption leaves it that comes while no_grad() is left
        raise KeyboardInterrupt
    assert torch.is_grad_enabled()


def test_the_mean_over_seeds_and_its_standard_error():
    mean, error = helpers.mean_and_error([[1.0, 5.0], [2.0, 5.0], [3.0, 5.0], [2.0, 5.0]])
    assert mean.tolist() == [2.0, 5.0]
    assert error.tolist() == pytest.approx([(2 / 3) ** 0.5 / 2, 0])
