"""Threshold units: what they can compute, and that networks in a stack learn what they would learn alone."""

import pytest
import torch

from lessonkit import thresholds


def test_inputs_are_all_in_the_order_of_binary_numbers():
    assert thresholds.inputs(2).tolist() == [[0, 0], [0, 1], [1, 0], [1, 1]]
    bits = thresholds.inputs(5)
    assert (bits @ 2.0 ** torch.arange(4, -1, -1)).tolist() == list(range(32))


@pytest.mark.parametrize(("N", "count"), [(2, 14), (3, 104), (4, 1882)])
def test_threshold_functions_are_as_many_as_published(N, count):
    """OEIS A000609."""
    assert thresholds.threshold_functions(N).shape == (count, 2**N)


def test_detectors_compute_any_function():
    bits = thresholds.inputs(4)
    g = torch.Generator().manual_seed(1)
    for answers in torch.randint(0, 2, (50, 16), generator=g).float():
        network = thresholds.detectors(bits, answers)
        assert torch.equal(thresholds.two_layers(bits, *network), answers)


def drawn(networks):
    g = torch.Generator().manual_seed(2)
    W1, W2 = torch.randn((3, networks, 2), generator=g), torch.randn((networks, 2), generator=g)
    return W1, W2, torch.zeros(networks)


SQUARE = torch.cat([2 * thresholds.inputs(2) - 1, torch.ones(4, 1)], 1)
XOR = thresholds.inputs(2).sum(1) % 2


@pytest.mark.parametrize("optimizer", [torch.optim.SGD, torch.optim.Adam])
def test_a_network_in_a_stack_learns_what_it_learns_alone(optimizer):
    W1, W2, b2 = drawn(5)
    stack = [p.clone().requires_grad_() for p in (W1, W2, b2)]
    alone = [p.clone().requires_grad_() for p in (W1[:, 3:4], W2[3:4], b2[3:4])]
    for parameters in (stack, alone):
        thresholds.train_many(SQUARE, XOR, parameters, 30, 0.1, optimizer=optimizer, quiet=True)
    assert torch.allclose(stack[0][:, 3:4], alone[0], atol=1e-5)
    assert torch.allclose(stack[1][3:4], alone[1], atol=1e-5)


def test_what_is_frozen_stays_and_the_rest_learns():
    parameters = [p.requires_grad_() for p in drawn(2)]
    before = [p.detach().clone() for p in parameters]
    thresholds.train_many(SQUARE, XOR, parameters, 5, frozen=parameters[:1], quiet=True)
    assert [torch.equal(*pair) for pair in zip(before, parameters, strict=True)] == [
        True,
        False,
        False,
    ]


def test_solved_means_that_all_answers_are_right():
    """Without a step: one network built by hand with steep units, and one that always says no."""
    first = torch.tensor([[1.0, 1], [1, 1], [1, -1]]) * 20
    W1 = torch.stack([first, torch.zeros(3, 2)], 1)
    W2, b2 = torch.tensor([[1.0, -1], [0, 0]]), torch.tensor([-1.0, -1])
    parameters = [p.requires_grad_() for p in (W1, W2, b2)]
    assert thresholds.train_many(SQUARE, XOR, parameters, 0, quiet=True).tolist() == [1, 0]


def test_diagonals_cross_on_a_square_and_not_on_a_dart():
    corners = thresholds.inputs(2)
    assert thresholds.crossing(corners)
    assert not thresholds.crossing(torch.tensor([[0.0, 0], [0.9, 0.1], [0.9, 0], [1, 1]]))
