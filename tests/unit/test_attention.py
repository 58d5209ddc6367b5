"""Attention of lesson 18: as torch's; a stack learns what each network learns alone; tasks, masks, memories."""

import math

import pytest
import torch
import torch.nn.functional as F
from matplotlib.figure import Figure

from lessonkit import attention, recurrent

NAMES = ["emma", "olivia", "ava", "isabella", "sophia", "mia", "amelia", "evelyn", "noah", "liam"]
STOI = {letter: n for n, letter in enumerate("." + "".join(sorted(set("".join(NAMES)))))}


def drawn(*shape, seed=1):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def look(query, keys, values):
    return attention.attend(query, keys, values, 1.0)


def test_attend_is_torchs():
    q, k, v = drawn(2, 3, 5, 8), drawn(2, 3, 7, 8, seed=2), drawn(2, 3, 7, 4, seed=3)
    found, weights = attention.attend(q, k, v)
    assert torch.allclose(found, F.scaled_dot_product_attention(q, k, v), atol=1e-6)
    assert torch.allclose(weights.sum(-1), torch.ones(2, 3, 5))


def test_causal_attention_in_heads_is_torchs():
    def ours(x, Wq, Wk, Wv, heads):
        q, k, v = (attention.split(x @ W, heads) for W in (Wq, Wk, Wv))
        return attention.merge(attention.attend(q, k, v, mask=attention.causal(x.shape[-2]))[0])

    assert max(attention.against_torch(ours)) < 1e-6


def test_heads_are_split_and_merged():
    x = drawn(2, 5, 12)
    assert attention.split(x, 3).shape == (2, 3, 5, 4)
    assert torch.equal(attention.merge(attention.split(x, 3)), x)


def test_linear_is_a_product_of_each_network():
    x, W = drawn(3, 2, 5, 4), drawn(3, 4, 6)
    assert torch.allclose(attention.linear(x, W), x @ W[:, None], atol=1e-6)


def test_names_by_length():
    columns = attention.by_length(NAMES, STOI, range(3, 6))
    assert list(columns) == [3, 4]
    assert columns[3].shape == (3, 2)
    assert attention.all_different(columns)[3].shape == (3, 1)  # not ava


@pytest.mark.parametrize("chosen", [None, look])
def test_a_stack_of_reversers_learns_what_each_learns_alone(chosen):
    columns = attention.by_length(NAMES, STOI, range(3, 7))

    def losses(seeds, lrs):
        network = attention.EncoderDecoder(6, seeds, len(STOI), chosen)
        return recurrent.train(network, attention.reverse_loss(columns), 8, lrs)[0]

    together = losses([3, 4], [0.01, 0.03])
    alone = torch.cat([losses([3], 0.01), losses([4], 0.03)], 1)
    assert torch.allclose(together, alone, atol=1e-5)


def test_a_reverser_that_is_forced_reads_the_true_letters():
    letters = attention.by_length(NAMES, STOI, [4])[4][:, None]
    network = attention.EncoderDecoder(6, [1, 2], len(STOI), look)
    free, weights = network.write(letters)
    assert weights.shape == (2, letters.shape[-1], 4, 4)
    own = free.argmax(-1)
    again, _ = network.write(letters, own)
    assert torch.allclose(free, again)


def test_a_pointer_writes_letters_of_the_name():
    columns = attention.all_different(attention.by_length(NAMES, STOI, range(3, 7)))
    network = attention.EncoderDecoder(12, [1, 2], len(STOI), look, point=True)
    recurrent.train(network, attention.sort_loss(columns), 150, 0.03)
    assert attention.sorted_right(network, columns).mean() > 80


class SlowQueries(recurrent.Adam):
    """As in lesson 18."""

    def step(self, gradients, lrs):
        Wq = self.parameters[0]
        before = Wq.clone()
        super().step(gradients, lrs)
        Wq.copy_(before + (Wq - before) / Wq.shape[-1] ** 0.5)


def test_dividing_is_a_smaller_start_and_smaller_steps():
    letters = attention.by_length(NAMES, STOI, [6])[6]
    root = 64**-0.5

    def losses(optimizer, **options):
        network = attention.Lookup(64, [1, 2], len(STOI), **options)
        loss = attention.lookup_loss(letters)
        return recurrent.train(network, loss, 20, 0.003, limit=math.inf, optimizer=optimizer)[0]

    divided = losses(recurrent.Adam, scale=root)
    both = losses(SlowQueries, scale=1.0, start=root)
    assert torch.allclose(divided, both, atol=1e-4)
    start_alone = losses(recurrent.Adam, scale=1.0, start=root)
    assert torch.allclose(divided[0], start_alone[0], atol=1e-5)
    assert not torch.allclose(divided, start_alone, atol=1e-2)


@pytest.mark.parametrize(
    "options", [{}, {"blocks": 2, "order": "post"}, {"positions": False}, {"window": 2}]
)
def test_a_transformer_does_not_see_later_letters(options):
    network = attention.Transformer([1, 2], 9, 8, units=8, heads=2, hidden=10, **options)
    X = torch.randint(0, 9, (1, 4, 8), generator=torch.Generator().manual_seed(5))
    other = X.clone()
    other[..., 5:] = (other[..., 5:] + 1) % 9
    assert torch.allclose(network(X)[:, :, :5], network(other)[:, :, :5], atol=1e-6)
    assert not torch.allclose(network(X)[:, :, 5:], network(other)[:, :, 5:], atol=1e-3)


def test_a_window_hides_what_is_far():
    network = attention.Transformer([1], 9, 8, units=8, heads=2, window=2)
    assert network.mask(4).int().tolist() == [
        [1, 0, 0, 0],
        [1, 1, 0, 0],
        [0, 1, 1, 0],
        [0, 0, 1, 1],
    ]


def test_a_stack_of_transformers_learns_what_each_learns_alone():
    columns = recurrent.padded(NAMES, STOI)

    def losses(seeds):
        network = attention.Transformer(seeds, len(STOI), len(columns), units=8, heads=2, hidden=9)
        return recurrent.train(network, attention.names_loss(columns, 4), 8, 0.01)[0]

    together = losses([3, 4])
    assert torch.allclose(together, torch.cat([losses([3]), losses([4])], 1), atol=1e-5)


def test_the_dev_loss_counts_letters():
    columns = recurrent.padded(NAMES, STOI)
    network = attention.Transformer([1, 2], len(STOI), len(columns), units=8, heads=2)
    with torch.no_grad():
        network.output[0].zero_()
    losses = attention.names_dev_loss(network, columns)
    assert torch.allclose(losses, torch.tensor(math.log(len(STOI))))


def test_a_memory_is_as_good_as_having_read_on():
    network = attention.Relative([1, 2], 9, units=8, heads=2, hidden=10, reach=5)
    with torch.no_grad():
        for bias in network.biases:
            bias.copy_(drawn(*bias.shape))
    X = torch.randint(0, 9, (1, 3, 8), generator=torch.Generator().manual_seed(5))
    _, kept = network.read(X[..., :4])
    later, _ = network.read(X[..., 4:], kept)
    assert torch.allclose(later, network(X)[:, :, 4:], atol=1e-5)


def test_a_text_and_its_losses():
    text = attention.text_of(NAMES, STOI)
    assert len(text) == sum(len(name) + 1 for name in NAMES)
    network = attention.Relative([1, 2], len(STOI), units=8, heads=2)
    losses = attention.loss_by_place(network, text, 6, memory=True)
    assert losses.shape == (2, 6)
    assert losses.isfinite().all()


def test_the_panel_says_what_it_shows():
    sizes = [1, 4, 16]
    update = attention.look_panel(Figure(), sizes)
    assert "a score has the std 4," in update(16, 1, False)
    assert "a score has the std 1," in update(16, 1, True)
    weights = attention.random_weights(sizes)
    assert torch.allclose(weights(4, 2, True).sum(-1), torch.ones(300))


def test_parts_are_all_parameters_but_the_output_layer():
    network = attention.Transformer([1, 2], 9, 8, units=8, heads=2, blocks=2)
    found = [p for part in network.parts().values() for p in part]
    assert [id(p) for p in found] == [id(p) for p in network.parameters()[:-2]]


@pytest.mark.parametrize("order", ["pre", "post"])
def test_gradients_at_the_start_of_each_network(order):
    columns = recurrent.padded(NAMES, STOI)
    both = attention.at_the_start(order, 3, [1, 2], columns)
    alone = attention.at_the_start(order, 3, [2], columns)
    assert [x.shape for x in both] == [(4, 2), (3, 2)]
    for x, y in zip(both, alone, strict=True):
        assert torch.allclose(x[:, 1:], y, rtol=1e-4)


def test_writing_the_same_for_every_name():
    columns = {2: torch.tensor([[1, 1, 2, 3], [4, 5, 5, 5]])}
    assert attention.blind(columns) == [62.5]
