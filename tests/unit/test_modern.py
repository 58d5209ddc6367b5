"""Deep stacks of lesson 16: each network learns what it would learn alone; theory; norms as torch's."""

import math
import runpy

import pytest
import torch
import torch.nn.functional as F

import helpers
from lessonkit import modern


@pytest.fixture(scope="module")
def examples():
    g = torch.Generator().manual_seed(1)
    return torch.randint(0, 27, (200, 3), generator=g), torch.randint(0, 27, (200,), generator=g)


def by_hand(form, depth, seed, X, Y, steps, lr, last=None):
    """The losses of one network without a stack, by torch.optim.SGD, from the same draws."""
    g = torch.Generator().manual_seed(seed)
    C = torch.randn((27, 10), generator=g).requires_grad_()
    first = (torch.randn((30, 50), generator=g) / 30**0.5).requires_grad_()
    Ws = [(torch.randn((50, 50), generator=g) / 50**0.5).requires_grad_() for _ in range(depth)]
    bs = [torch.zeros(50, requires_grad=True) for _ in Ws]
    output = (0.1 * torch.randn((50, 27), generator=g) / 50**0.5).requires_grad_()
    bias = torch.zeros(27, requires_grad=True)
    sgd = torch.optim.SGD([C, first, *Ws, *bs, output, bias], lr=lr)
    losses = []
    for _ in range(steps):
        rows = torch.randint(0, len(X), (32,), generator=g)
        x = C[X[rows]].flatten(1) @ first
        for W, b in zip(Ws, bs, strict=True):
            x = form(x, lambda z, W=W, b=b: torch.tanh(z @ W + b), depth)
        x = last(x) if last else x
        loss = F.cross_entropy(x @ output + bias, Y[rows])
        sgd.zero_grad()
        loss.backward()
        sgd.step()
        losses.append(loss.item())
    return torch.tensor(losses)


@pytest.mark.parametrize("name", ["plain", "residual", "scaled", "post-norm", "pre-norm"])
def test_each_network_learns_what_it_would_learn_alone(name, examples):
    X, Y = examples
    networks = modern.network(name, 3, [1, 2], 27)
    losses = modern.train(networks, X, Y, 10, [0.1, 0.3], quiet=True)
    last = modern.OPTIONS.get(name, {}).get("last")
    for k, (seed, lr) in enumerate([(1, 0.1), (2, 0.3)]):
        alone = by_hand(modern.FORMS[name], 3, seed, X, Y, 10, lr, last)
        torch.testing.assert_close(losses[:, k], alone, atol=1e-5, rtol=0)


def test_one_that_blows_up_does_not_touch_the_other(examples):
    X, Y = examples
    rates = [1e6, 0.1]
    both = modern.network("residual", 3, [1, 2], 27)
    losses = modern.train(both, X, Y, 10, rates, quiet=True)
    alone = modern.network("residual", 3, [2], 27)
    expected = modern.train(alone, X, Y, 10, 0.1, quiet=True)
    torch.testing.assert_close(losses[:, 1], expected[:, 0], atol=1e-5, rtol=0)
    assert len(modern.train(both, X, Y, 5, [math.inf, math.inf], quiet=True)) < 5


def test_evaluate_is_the_mean_over_all_examples(examples):
    X, Y = examples
    networks = modern.network("pre-norm", 2, [1, 2], 27)
    with torch.no_grad():
        logits = networks(X[None])
    expected = [F.cross_entropy(each, Y).item() for each in logits]
    assert modern.evaluate(networks, X, Y).tolist() == pytest.approx(expected, abs=1e-5)


def test_zeros_start_as_no_layers_at_all(examples):
    X, _ = examples
    networks = modern.network("zero", 8, [1], 27)
    outs = networks.outputs(X[None])
    assert torch.equal(outs[0], outs[-1])


def test_the_norm_is_torchs():
    x = 3 + 2 * torch.randn((32, 50), generator=torch.Generator().manual_seed(1))
    assert torch.allclose(modern.norm(x), torch.nn.LayerNorm(50)(x), atol=1e-6)


def test_calibrated_norms_keep_their_statistics(examples):
    X, _ = examples

    def batch_norm(x, f, depth):
        z = x @ f.W
        f.seen = z.mean(-2, keepdim=True), z.std(-2, keepdim=True)
        mean, std = f.seen if f.kept is None else f.kept
        return torch.tanh((z - mean) / std)

    networks = modern.Deep(batch_norm, 2, [1], 27)
    modern.calibrate(networks, X)
    whole = networks.last_layer(X)
    assert torch.allclose(networks.last_layer(X[:10]), whole[:, :10], atol=1e-5)


@pytest.mark.parametrize("step", [modern.plain_step, modern.residual_step, modern.post_norm_step])
def test_a_step_of_theory_is_that_of_lesson_04(step):
    out, back = helpers.tanh_std(1, 0.7), helpers.gradient_factor(1, 0.7)
    expected = {
        modern.plain_step: (out, back),
        modern.residual_step: (math.hypot(0.7, out), math.hypot(1, back)),
        modern.post_norm_step: (1.0, math.hypot(1, back) / math.hypot(0.7, out)),
    }
    assert step(0.7) == pytest.approx(expected[step])


def test_theory_of_a_wide_pre_norm_layer():
    g = torch.Generator().manual_seed(1)
    x = (2 * torch.randn((400, 1000), generator=g)).requires_grad_()
    W = torch.randn((1000, 1000), generator=g) / 1000**0.5
    out = modern.pre_norm(x, lambda z: torch.tanh(z @ W), 1)
    out.backward(torch.randn((400, 1000), generator=g))
    std, factor = modern.pre_norm_step(2.0)
    assert out.std().item() == pytest.approx(std, rel=0.01)
    assert x.grad.std().item() == pytest.approx(factor, rel=0.01)


def test_the_map_has_every_form_depth_and_rate():
    assert modern.RATE_MAP.keys() == modern.FORMS.keys()
    for of_form in modern.RATE_MAP.values():
        assert list(of_form) == [4, 16, 64]
        assert all(len(losses) == len(modern.RATES) for losses in of_form.values())


def test_the_map_can_be_searched_again():
    again = modern.search("scaled", 4, steps=500, seeds=range(10, 12))
    assert again.shape == (11, 2)
    known = modern.RATE_MAP["scaled"][4]
    assert (again.mean(1)[:10] - known[:10]).abs().max() < 0.05


@pytest.mark.parametrize("depth", [0, -1])
def test_it_refuses_no_layers(depth):
    with pytest.raises(ValueError, match="1 or more layers"):
        modern.Deep(modern.plain, depth, [1], 27)


def test_same_ends_are_the_same_at_any_depth():
    shallow, deep = (modern.network("scaled", d, [1, 2], 27, same_ends=True) for d in (2, 5))
    for name in ("C", "first", "output"):
        assert torch.equal(getattr(shallow, name), getattr(deep, name))
    after = [[torch.rand(1, generator=g) for g in each.generators] for each in (shallow, deep)]
    assert after[0] == after[1]


def test_what_the_layers_add_is_the_whole_way(examples):
    X, _ = examples
    networks = modern.network("scaled", 3, [1, 2], 27)
    outs = networks.outputs(X.expand(2, -1, -1))
    assert torch.allclose(networks.added(X).sum(0), outs[-1] - outs[0], atol=1e-5)


def test_a_best_rate_is_the_middle_of_its_valley(monkeypatch):
    losses = torch.tensor([3.0, 2.504, 2.5, 2.509, 2.6, 2.7, 2.8, 2.9, 3.0, 3.1, math.inf])
    monkeypatch.setitem(modern.RATE_MAP, "plain", {4: losses})
    low, high = modern.best_rates("plain", 4)
    assert (low, high) == pytest.approx((0.003125, 0.0125))
    assert modern.best_rate("plain", 4) == pytest.approx(0.00625)


def test_a_line_ends_where_it_leaves_the_picture():
    losses = torch.tensor([3.0, 2.9, 2.5, 2.9, 2.6, math.inf])
    assert modern.within_view(losses, 2.85).isnan().tolist() == [
        True,
        False,
        False,
        False,
        True,
        True,
    ]


def test_a_part_of_the_map_does_not_replace_it(capsys):
    tool = runpy.run_path(str(modern.RATE_FILE.parent / "tools" / "rate_map.py"))
    for place in ([], ["--save", str(modern.RATE_FILE)]):
        with pytest.raises(SystemExit):
            tool["main"](["--forms", "plain", "--depths", "4", *place])
        assert "--save FILE is needed" in capsys.readouterr().err
