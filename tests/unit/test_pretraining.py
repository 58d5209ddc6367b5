"""Pretraining of lesson 19: the lists, slots and masks; a stack learns what each network learns alone."""

import math

import pytest
import torch
import torch.nn.functional as F

from lessonkit import pretraining
from lessonkit.pretraining import SIDE, Stack

STOI = {".": 0, "a": 1, "b": 2, "c": 3}


def test_the_second_list_begins_with_the_first_repetition():
    assert pretraining.two_lists(["a", "b", "c", "b", "a"]) == (["a", "b", "c"], ["b", "a"])
    assert pretraining.two_lists(["a", "b", "c", "ab"]) == (["a", "b"], ["c", "ab"])


def test_shuffled_names_keep_their_letters():
    names = ["abc", "cab", "bb"]
    mixed = pretraining.shuffled(names)
    assert [sorted(name) for name in mixed] == [sorted(name) for name in names]


def test_slots_are_the_letters_on_both_sides():
    X, Y = pretraining.slots(["abc"], STOI)
    assert Y.tolist() == [1, 2, 3, 0]
    assert X.shape == (4, 2 * SIDE)
    assert X[1, SIDE - 1 : SIDE + 2].tolist() == [1, 3, 0]
    assert X[3, SIDE - 3 :].tolist() == [1, 2, 3] + [0] * SIDE


def data():
    g = torch.Generator().manual_seed(0)
    return torch.randint(0, 4, (50, 2 * SIDE), generator=g), torch.randint(0, 4, (50,), generator=g)


def test_a_stack_is_a_network_by_hand():
    X, Y = data()
    network = Stack([1, 2], 4, units=6)
    logits = network(X[None])
    for k in range(2):
        C, W, b, V, c = (p[k] for p in network.parameters())
        by_hand = torch.tanh(F.embedding(X, C).flatten(1) @ W + b) @ V + c
        assert torch.allclose(logits[k], by_hand, atol=1e-6)
        alone = F.cross_entropy(by_hand, Y)
        assert torch.allclose(pretraining.mean_loss(network, X, Y)[k], alone, atol=1e-6)
    assert network.count() == 5 * 10 + 100 * 6 + 6 + 6 * 4 + 4


def hide(x, g):
    return torch.where(torch.rand(x.shape, generator=g) < 0.3, 4, x)


@pytest.mark.parametrize("hide", [None, hide])
def test_a_stack_learns_what_each_network_learns_alone(hide):
    X, Y = data()
    together, alone = Stack([1, 2], 4), [Stack([1], 4), Stack([2], 4)]
    pretraining.train(together, X, Y, 10, [0.01, 0.03], hide=hide)
    for network, lr in zip(alone, (0.01, 0.03), strict=True):
        pretraining.train(network, X, Y, 10, lr, hide=hide)
    for p, parts in zip(
        together.parameters(), zip(*(n.parameters() for n in alone), strict=True), strict=True
    ):
        assert torch.allclose(p, torch.cat(parts), atol=1e-5)


def test_factors_hold_parameters_back():
    X, Y = data()
    network, free = Stack([1], 4), Stack([1], 4)
    before = pretraining.values(network)
    pretraining.train(network, X, Y, 1, 0.01, factors=lambda part: (0, 0.5, 1, 1, 1))
    pretraining.train(free, X, Y, 1, 0.01)
    assert torch.equal(network.parameters()[0], before[0])
    half, whole = (n.parameters()[1] - before[1] for n in (network, free))
    assert torch.allclose(half, 0.5 * whole, atol=1e-6)
    assert torch.allclose(network.parameters()[3], free.parameters()[3], atol=1e-6)


def test_it_looks_before_the_first_step_and_where_it_is_told():
    X, Y = data()
    network = Stack([1, 2], 4)
    looked, seen = pretraining.train(
        network, X, Y, 5, 0.01, look=lambda n: pretraining.mean_loss(n, X, Y), at=[2, 5]
    )
    assert looked == [0, 2, 5]
    assert len(seen) == 3
    assert abs(seen[0].mean().item() - math.log(4)) < 0.1


def test_a_stack_takes_over_values_side_by_side():
    one, other = Stack([1], 4), Stack([2], 4)
    both = Stack([3, 4], 4).start_from(
        pretraining.side_by_side([pretraining.values(one), pretraining.values(other)])
    )
    X, _ = data()
    assert torch.allclose(both(X[None]), torch.cat([one(X[None]), other(X[None])]), atol=1e-6)


def test_early_stopping_reads_the_test_loss_where_the_dev_loss_is_lowest():
    dev = torch.tensor([[3.0, 1.0], [2.0, float("nan")], [2.5, 2.0]])
    test = torch.tensor([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]])
    best, place = pretraining.at_the_best(dev, test)
    assert best.tolist() == [3.0, 2.0]
    assert place.tolist() == [1, 0]


def test_scores_are_the_products_of_the_letters_probabilities():
    network = Stack([1, 2], 4)
    X, Y = pretraining.slots(["ab"], STOI)
    X[:, SIDE:] = 4
    by_hand = network(X[None]).log_softmax(-1)[:, torch.arange(3), Y].sum(1)
    scores = pretraining.name_scores(network, ["c", "ab"], STOI)
    assert torch.allclose(scores[:, 1], by_hand, atol=1e-5)


def test_a_gap_is_filled_by_the_best_whole_name():
    network, names = Stack([1], 4), ["ab", "cab"]
    right = []
    for name in names:
        for i in range(len(name)):
            tried = [name[:i] + letter + name[i + 1 :] for letter in "abc"]
            best = pretraining.name_scores(network, tried, STOI)[0].argmax().item()
            right.append("abc"[best] == name[i])
    share = pretraining.fill_by_scores(network, names, STOI)
    assert abs(share.item() - sum(right) / len(right)) < 1e-6


def test_tables_of_gaps_hide_what_they_should():
    network = Stack([1, 2], 4)
    tables = pretraining.gap_tables(network, ["abca"], STOI)
    assert len(tables) == 16
    table = tables["abca", 2, 2]
    assert table[:, 0].isnan().tolist() == [True, False, False, True]
    X, _ = pretraining.slots(["abca"], STOI)
    x = X[1].clone()
    x[SIDE] = 4  # the right neighbor, c, is hidden as well
    by_hand = network(x[None, None])[..., 1:].softmax(-1).mean(0)[0]
    assert torch.allclose(table[1], by_hand, atol=1e-6)


def test_neighbors_are_counted_on_both_sides():
    counts = pretraining.neighbors(["ab", "a"], STOI)
    assert torch.equal(counts, counts.T)
    assert counts[0].tolist() == [0, 3, 1, 0]
    assert counts[1, 2] == 1


def test_apart_is_the_mean_cosine_within_less_across():
    V = torch.tensor([[9.0, 9.0], [1.0, 0.0], [2.0, 0.0], [0.0, 1.0]])
    assert abs(pretraining.apart([V], torch.tensor([[1, 2]])).item() - 1) < 1e-6
    assert abs(pretraining.apart([V], torch.tensor([[1, 3]])).item() + 0.5) < 1e-6


def test_what_would_repeat_three_in_a_row_is_found():
    texts = torch.tensor([[1, 2, 3, 1, 2], [1, 1, 1, 1, 1], [3, 2, 1, 2, 3]])
    found = pretraining.would_repeat(texts, 4)
    assert [row.nonzero()[:, 0].tolist() for row in found] == [[3], [1], []]
    assert not pretraining.would_repeat(texts[:, :2], 4).any()
