"""Lesson 20's models: targets whose density is one, flows against autograd, a VAE's exact density against torch's."""

import math

import pytest
import torch
import torch.nn.functional as F

from lessonkit import generative


def actnorm(x, layer):
    return (x - layer.shift) * torch.exp(-layer.log_scale), -layer.log_scale.sum(-1)


def coupling(x, layer):
    a, b = x.chunk(2, -1)
    s, t = layer.net(a).chunk(2, -1)
    return torch.cat([(b - t) * torch.exp(-s), a], -1), -s[..., 0]


def log_density(x, flow):
    total = 0
    for layer in flow.layers:
        x, log_stretch = layer.step(x, layer)
        total = total + log_stretch
    return generative.log_normal(x).sum(-1) + total


def stirred(seeds, steps=(actnorm, coupling, actnorm, coupling, coupling)):
    """Flows with weights that change something."""
    flow = generative.Flow(steps, seeds, generative.new_points(generative.Banana(), 100))
    g = torch.Generator().manual_seed(5)
    with torch.no_grad():
        for p in flow.parameters():
            p += 0.2 * torch.randn(p.shape, generator=g)
    return flow


def test_the_normal_density_is_torchs():
    x = torch.linspace(-3, 3, 11)
    theirs = torch.distributions.Normal(0.5, 1.5).log_prob(x)
    assert torch.allclose(generative.log_normal(x, 0.5, 1.5), theirs, atol=1e-6)


@pytest.mark.parametrize(
    "target",
    [
        generative.Banana(),
        generative.Bumps(),
        generative.Flipped(generative.Banana()),
        generative.Moved(generative.Bumps(), 2.0, 1.0),
        generative.Noise(),
    ],
    ids=["banana", "bumps", "flipped", "moved", "noise"],
)
def test_a_target_draws_from_the_density_it_tells(target):
    """The integral is 1, and the mean of a point is that of the density."""
    size, reach = 600, 22.0
    grid = generative.grid_of(((-reach, reach), (-reach, reach)), size)
    weight = target.log_p(grid).exp() * (2 * reach / (size - 1)) ** 2
    assert weight.sum().item() == pytest.approx(1, abs=2e-3)
    drawn = generative.new_points(target, 40_000).mean(0)
    assert torch.allclose(drawn, weight @ grid, atol=0.05)


def test_of_the_truth_all_bumps_are_hit():
    hit, inside = generative.Bumps().hits(generative.new_points(generative.Bumps(), 20_000)[None])
    assert hit.tolist() == [8]
    assert inside.item() == pytest.approx(100 * (1 - math.exp(-1.125)), abs=1)


def test_noise_and_a_ring_score_low():
    of = generative.baselines_of(generative.Bumps())
    assert of["noise"][0] < 8 and of["noise"][1] == 0
    assert of["ring"][0] < 33 and of["ring"][2] == pytest.approx(0.64, abs=0.05)
    assert of["truth"][0] > 66 and of["truth"][2] == 0


def test_a_flow_inverts_itself_and_knows_its_stretch():
    flow = stirred([1, 2])
    z = torch.randn((50, 2), generator=torch.Generator().manual_seed(3))
    x = flow.on_the_way(z)[-1]
    back = x
    for layer in flow.layers:
        back, _ = layer.step(back, layer)
    assert torch.allclose(back, z.expand(2, -1, -1), atol=1e-4)

    def to_noise(point):
        each = point.expand(2, 1, 2)
        for layer in flow.layers:
            each, _ = layer.step(each, layer)
        return each[:, 0]

    point = torch.tensor([0.3, 0.7])
    jacobian = torch.autograd.functional.jacobian(to_noise, point)
    wanted = generative.log_normal(to_noise(point)).sum(-1) + jacobian.det().abs().log()
    assert torch.allclose(log_density(point.view(1, 1, 2), flow)[:, 0], wanted, atol=1e-5)


def test_an_actnorm_starts_at_mean_0_and_std_1():
    points = generative.new_points(generative.Moved(generative.Banana(), 10, 50), 200)
    flow = generative.Flow([actnorm, coupling], [1], points)
    x, _ = flow.layers[0].step(points[None], flow.layers[0])
    assert torch.allclose(x.mean(1), torch.zeros(1, 2), atol=1e-4)
    assert torch.allclose(x.std(1), torch.ones(1, 2), atol=1e-4)


def test_a_step_of_another_name_is_refused():
    with pytest.raises(ValueError, match="begins with"):
        generative.Flow([torch.tanh], [1])


def test_a_stack_learns_what_each_network_learns_alone():
    def kl(seeds, lrs):
        steps = [actnorm, coupling]
        banana = generative.Banana()
        flow, _ = generative.fit_flow(log_density, steps, banana, seeds, 8, torch.tensor(lrs))
        return generative.kl_of(log_density, flow, banana, 500)

    alone = torch.cat([kl([3], [0.01]), kl([4], [0.03])])
    assert torch.allclose(kl([3, 4], [0.01, 0.03]), alone, atol=1e-4)


def test_a_linear_vaes_density_is_a_normal():
    vae = generative.Vae([1, 2], (), noise=0.5)
    x = generative.new_points(generative.Bumps(), 20)
    for k, ours in enumerate(vae.log_p(x)):
        W = vae.decoder.weights[0][k].detach()
        covariance = W.T @ W + 0.25 * torch.eye(2)
        theirs = torch.distributions.MultivariateNormal(torch.zeros(2), covariance).log_prob(x)
        assert torch.allclose(ours, theirs, atol=1e-3)


def test_what_theory_says_of_a_code():
    assert generative.used(1.0, [0.5, 1.0, 2.0]).tolist() == pytest.approx([math.log(2), 0, 0])


def test_a_head_start_of_d_and_the_shares_of_the_gradient():
    def d_loss(real, fake):
        return F.softplus(-real).mean((1, 2)) + F.softplus(fake).mean((1, 2))

    def g_loss(fake):
        return F.softplus(-fake).mean((1, 2))

    gan, bumps = generative.Gan([1, 2]), generative.Bumps()
    before = [p.clone() for p in gan.G.parameters()]
    shares = generative.head_starts(gan, bumps, d_loss, [g_loss], [0, 5], seeds=2)
    assert shares.shape == (2, 2, 2)
    assert all(torch.equal(p, q) for p, q in zip(before, gan.G.parameters(), strict=True))
    generative.train_gan(gan, bumps, d_loss, g_loss, (0.01, 0.01), steps=2)
    assert not torch.equal(before[0], gan.G.parameters()[0])


def test_names_in_rows_and_the_table_of_pairs():
    stoi = {".": 0, "a": 1, "b": 2}
    rows = generative.name_columns(["ab", "b", "aaaa"], stoi, places=4)
    assert rows.tolist() == [[1, 2, 0, 0], [2, 0, 0, 0]]
    # after ".": a, b; after a: b; after b: twice the end; one more of each pair
    wanted = -(2 * math.log(2 / 5) + math.log(2 / 4) + 2 * math.log(3 / 5)) / 2
    assert generative.pairs_loss(rows, rows, 3) == pytest.approx(wanted, abs=1e-5)
