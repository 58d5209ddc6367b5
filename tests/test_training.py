"""The starter network and its training in helpers are the lecture's own arithmetic."""

import pytest
import torch
import torch.nn.functional as F

import helpers


def generator(seed=helpers.SEED):
    return torch.Generator().manual_seed(seed)


@pytest.fixture(scope="module")
def examples():
    names = helpers.load_names()
    stoi, _ = helpers.build_vocabulary(names)
    return helpers.build_dataset(helpers.split_names(names)[0][:500], stoi)


def starter(g):
    parameters = [p.requires_grad_() for p in helpers.draw_parameters(g)]
    return parameters, lambda X: helpers.starter_logits(parameters, X)


def test_the_parameters_are_drawn_in_the_lectures_order():
    g = generator()
    shapes = [(27, 10), (30, 200), (200,), (200, 27), (27,)]
    by_hand = [torch.randn(shape, generator=g) for shape in shapes]
    drawn = helpers.draw_parameters(generator())
    assert all(torch.equal(a, b) for a, b in zip(by_hand, drawn, strict=True))
    assert sum(p.numel() for p in drawn) == 11_897
    assert not any(p.requires_grad for p in drawn)


def test_without_the_hidden_bias_it_is_not_drawn():
    g = generator()
    by_hand = [torch.randn(shape, generator=g) for shape in [(27, 10), (30, 200), (200, 27), (27,)]]
    drawn = helpers.draw_parameters(generator(), hidden_bias=False)
    assert all(torch.equal(a, b) for a, b in zip(by_hand, drawn, strict=True))


def test_training_is_the_lectures_loop_to_the_last_bit(examples, capsys):
    X, Y = examples
    g = generator()
    C, W1, b1, W2, b2 = by_hand = [p.requires_grad_() for p in helpers.draw_parameters(g)]
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
    assert helpers.train(model, parameters, X, Y, g, steps=200) == expected
    assert all(torch.equal(a, b) for a, b in zip(by_hand, parameters, strict=True))
    assert capsys.readouterr().out == "200 steps done\n"


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

    losses = helpers.train(interrupted, parameters, X, Y, g, steps=200)
    assert len(losses) == 10
    said = capsys.readouterr().out
    assert said.startswith("You stopped the training.")
    assert "10 steps done" in said


def test_other_errors_are_not_swallowed(examples):
    X, Y = examples

    def broken(X):
        raise RuntimeError("a mistake in the model")

    with pytest.raises(RuntimeError, match="a mistake in the model"):
        helpers.train(broken, [], X, Y, generator(), steps=5)


def test_the_learning_rate_follows_the_schedule(examples):
    assert [helpers.lecture_rate(step) for step in (0, 99_999, 100_000)] == [0.1, 0.1, 0.01]
    X, Y = examples
    g = generator()
    parameters, model = starter(g)
    before = [p.detach().clone() for p in parameters]
    helpers.train(model, parameters, X, Y, g, steps=5, rate=lambda step: 0)
    assert all(torch.equal(a, b) for a, b in zip(before, parameters, strict=True))


def test_evaluating_needs_no_gradients(examples):
    X, Y = examples
    parameters, model = starter(generator())
    assert helpers.evaluate(model, X, Y) == pytest.approx(F.cross_entropy(model(X), Y).item())
    assert all(p.grad is None for p in parameters)


@pytest.mark.parametrize(("count", "blocks"), [(0, 0), (9, 0), (10, 1), (25, 2)])
def test_block_means_leave_the_rest_out(count, blocks):
    means = helpers.block_means([float(i) for i in range(count)], 10)
    assert means.tolist() == [4.5 + 10 * i for i in range(blocks)]
