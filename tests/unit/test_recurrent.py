"""Recurrent cells of lesson 17: as torch's; a stack learns what each network learns alone; the tasks."""

import math

import pytest
import torch
import torch.nn.functional as F

from lessonkit import recurrent


@pytest.mark.parametrize("cell", [recurrent.rnn, recurrent.lstm, recurrent.gru])
def test_a_cell_is_torchs(cell):
    outputs, gradients = recurrent.against_torch(cell)
    assert outputs < 1e-6
    assert gradients < 1e-6


def test_a_cell_of_another_name_is_refused():
    with pytest.raises(ValueError, match="begins with"):
        recurrent.kind_of(torch.tanh)


@pytest.mark.parametrize("cell", [recurrent.rnn, recurrent.lstm, recurrent.gru])
def test_a_stack_learns_what_each_network_learns_alone(cell):
    def losses(seeds, lrs, keep):
        network = recurrent.Recurrent(cell, 6, seeds, 8, 4, gain=0.9, keep=keep)
        return recurrent.train(network, recurrent.recall_loss(4), 12, lrs, limit=0.3)[0]

    together = losses([3, 4], [0.01, 0.03], torch.tensor([0.0, 2.0]))
    alone = [losses([3], 0.01, 0.0), losses([4], 0.03, 2.0)]
    assert torch.allclose(together, torch.cat(alone, 1), atol=1e-5)


def test_adam_and_clipping_are_torchs():
    g = torch.Generator().manual_seed(1)
    ours = [torch.randn((1, 3, 2), generator=g), torch.randn((1, 1, 2), generator=g)]
    theirs = [p.clone().requires_grad_() for p in ours]
    adam, torchs = recurrent.Adam(ours), torch.optim.Adam(theirs, lr=0.01)
    for size in (0.1, 5.0, 1.0):
        gradients = [size * torch.randn(p.shape, generator=g) for p in ours]
        for p, gradient in zip(theirs, gradients, strict=True):
            p.grad = gradient.clone()
        length = torch.nn.utils.clip_grad_norm_(theirs, 1.0)
        assert torch.allclose(recurrent.clip(gradients, torch.ones(1, 1, 1)), length)
        adam.step(gradients, 0.01)
        torchs.step()
    for p, q in zip(ours, theirs, strict=True):
        assert torch.allclose(p, q, atol=1e-6)


def test_the_bias_of_the_gate_that_keeps():
    for cell, gates in ((recurrent.lstm, 4), (recurrent.gru, 3)):
        network = recurrent.Recurrent(cell, 5, [1], 8, 4, keep=2.0)
        of_gates = network.b.detach().view(gates, 5)
        assert (of_gates[1] == 2).all()
        assert of_gates.sum() == 10


def test_recall_asks_for_the_first_letter():
    xs, answers = recurrent.recall_batch([torch.Generator().manual_seed(s) for s in (1, 2)], 7, 9)
    assert xs.shape == (8, 2, 9, 8)
    assert (xs[0].argmax(-1) == answers).all()
    assert xs[1:].argmax(-1).min() >= recurrent.FIRST


def test_names_in_columns_and_their_loss():
    stoi = {".": 0, "a": 1, "b": 2}
    columns = recurrent.padded(["ab", "b"], stoi)
    assert columns.tolist() == [[1, 2], [2, 0], [0, -1]]
    network = recurrent.Recurrent(recurrent.rnn, 4, [1, 2], 3, 3)
    with torch.no_grad():
        network.V.zero_()
    assert torch.allclose(recurrent.names_dev_loss(network, columns), torch.tensor(math.log(3)))
    assert torch.allclose(
        recurrent.all_names_loss(columns)(network), recurrent.names_dev_loss(network, columns)
    )


def test_own_letters_with_probability_0_are_the_true_ones():
    columns = recurrent.padded(["ab", "ba"], {".": 0, "a": 1, "b": 2})[:, None]
    network = recurrent.Recurrent(recurrent.gru, 4, [1], 3, 3)
    true, same = (recurrent.names_logits(network, columns, own) for own in (0.0, 1e-12))
    assert torch.allclose(true, same, atol=1e-6)


def test_a_window_is_a_network_by_hand():
    network = recurrent.Window(2, 5, [1, 2], 3, embedding=4)
    X = torch.tensor([[0, 1], [2, 2], [1, 0]])
    logits = network(X.expand(2, -1, -1))
    for n in range(2):
        x = network.C[n][X].flatten(1)
        h = torch.tanh(x @ network.W[n] + network.b[n])
        assert torch.allclose(logits[n], h @ network.V[n] + network.c[n], atol=1e-6)
    Y = torch.tensor([0, 1, 2])
    assert torch.allclose(
        recurrent.window_dev_loss(network, X, Y)[1], F.cross_entropy(logits[1], Y), atol=1e-6
    )


def test_steps_to_a_share():
    assert recurrent.steps_to(torch.tensor([1.0, 0.1, 0.001, 0.0001])) == 2
    assert math.isnan(recurrent.steps_to(torch.tensor([1.0, 0.5])))


def test_what_follows_a_context():
    found = recurrent.next_letters(["anab", "bana"], "ana")
    assert {before: dict(after) for before, after in found.items()} == {
        ".": {"b": 1},
        "b": {".": 1},
    }
