"""Generative models in one and two dimensions: targets whose density is known, stacks of flows, VAEs and GANs
(lesson 20 and its companion).

A stack holds K networks, one for each seed, and each learns what it would learn alone. Points are (K or 1, N, 2);
densities are logarithms in nats, (K, N). All weights have three dimensions, (K, rows, columns), so that `train` and
`Adam` of lesson 17's stack serve here too.

Flows: L. Dinh and others 2017, arXiv 1605.08803; actnorm: D. Kingma and P. Dhariwal 2018, arXiv 1807.03039.
VAE: D. Kingma and M. Welling 2014, arXiv 1312.6114. GAN: I. Goodfellow and others 2014, arXiv 1406.2661.
"""

import copy
import math
from itertools import pairwise, product

import matplotlib.pyplot as plt
import torch
import torch.nn.functional as F

from lessonkit.data import build_dataset
from lessonkit.interrupts import progress, stoppable
from lessonkit.recurrent import SGD, Adam, Window, train, window_dev_loss, window_loss
from lessonkit.training import mean_and_error

__all__ = ["SGD", "Adam", "train"]

# ---------------------------------------------------------------- Targets


def log_normal(x, mean=0.0, std=1.0):
    """The logarithm of the normal density, of each number by itself."""
    std = torch.as_tensor(std)
    return -0.5 * ((x - mean) / std) ** 2 - std.log() - 0.5 * math.log(2 * math.pi)


class Banana:
    """x1 is normal, and x2 is normal around x1 ** 2 with the std `width`."""

    name, width = "banana", 0.4
    window = ((-3.5, 3.5), (-2.0, 7.0))

    def draw(self, n, g):
        """Points, (n, 2)."""
        z = torch.randn((n, 2), generator=g)
        return torch.stack([z[:, 0], z[:, 0] ** 2 + self.width * z[:, 1]], -1)

    def log_p(self, x):
        """The log-density of points (..., 2)."""
        first, second = x.unbind(-1)
        return log_normal(first) + log_normal(second, first**2, self.width)


class Moved:
    """Another target in other units: each point times `scale`, plus `shift`."""

    def __init__(self, target, scale, shift):
        self.target, self.scale, self.shift = target, scale, shift

    def draw(self, n, g):
        """Points, (n, 2)."""
        return self.scale * self.target.draw(n, g) + self.shift

    def log_p(self, x):
        """The log-density of points (..., 2)."""
        return self.target.log_p((x - self.shift) / self.scale) - 2 * math.log(self.scale)


class Flipped:
    """Another target with its two coordinates swapped."""

    def __init__(self, target):
        self.target, self.name, self.window = target, target.name, target.window[::-1]

    def draw(self, n, g):
        """Points, (n, 2)."""
        return self.target.draw(n, g).flip(-1)

    def log_p(self, x):
        """The log-density of points (..., 2)."""
        return self.target.log_p(x.flip(-1))


class Bumps:
    """Eight normal bumps of std `width` on a circle, each as likely."""

    name, width, radius, count = "eight bumps", 0.2, 2.0, 8
    window = ((-3.2, 3.2), (-3.2, 3.2))

    def __init__(self):
        angle = torch.arange(self.count) * 2 * math.pi / self.count
        self.centers = self.radius * torch.stack([angle.cos(), angle.sin()], -1)

    def draw(self, n, g):
        """Points, (n, 2)."""
        which = torch.randint(0, self.count, (n,), generator=g)
        return self.centers[which] + self.width * torch.randn((n, 2), generator=g)

    def log_p(self, x):
        """The log-density of points (..., 2)."""
        each = log_normal(x[..., None, :], self.centers, self.width).sum(-1)
        return each.logsumexp(-1) - math.log(self.count)

    def shares(self, x):
        """Of points (K, N, 2): the share in each bump, (K, bumps).

        A point lies in a bump if its center is at most 1.5 widths away. (Of the truth 67.5 % lie in one, an eighth of
        that in each; of a blurred ring through the centers 29 %, of standard noise 5 %.)
        """
        reach = 1.5 * self.width
        return (torch.cdist(x, self.centers.expand(len(x), -1, -1)) <= reach).float().mean(1)

    def hits(self, x, least=0.02):
        """Of points (K, N, 2): how many bumps hold at least the share `least`, and the share of all in %, each (K,)."""
        shares = self.shares(x)
        return (shares >= least).sum(-1), 100 * shares.sum(-1)


class Ring(Bumps):
    """A ring through the centers of the eight bumps, blurred by the same width: a model that sees no bumps."""

    name, count = "ring", 360


class Noise:
    """Standard normal noise."""

    name = "noise"

    def draw(self, n, g):
        """Points, (n, 2)."""
        return torch.randn((n, 2), generator=g)

    def log_p(self, x):
        """The log-density of points (..., 2)."""
        return log_normal(x).sum(-1)


def minibatch(target, generators, size=128):
    """A batch for each generator: (K, size, 2)."""
    return torch.stack([target.draw(size, g) for g in generators])


def noise_for(generators, size=128, columns=2):
    """Standard normal numbers, (K, size, columns)."""
    return torch.stack([torch.randn((size, columns), generator=g) for g in generators])


def new_points(target, n=4_000, seed=999):
    """Points that no training has seen: (n, 2)."""
    return target.draw(n, torch.Generator().manual_seed(seed))


# ---------------------------------------------------------------- Networks


class Net:
    """K small networks with tanh in between: sizes such as (1, 32, 2).

    The weights have the std 1 / sqrt(fan-in), those of the last layer `last` / sqrt(fan-in). Biases start at zero.
    """

    def __init__(self, sizes, generators, last=1.0, first=1.0):
        self.weights, self.biases = [], []
        for rows, columns in pairwise(sizes):
            drawn = torch.stack([torch.randn((rows, columns), generator=g) for g in generators])
            self.weights.append(drawn / rows**0.5)
            self.biases.append(torch.zeros(len(generators), 1, columns))
        self.weights[-1] *= last
        if len(sizes) > 2:
            self.weights[0] *= first
            drawn = [torch.randn((1, sizes[1]), generator=g) for g in generators]
            self.biases[0] += first * torch.stack(drawn)
        for p in self.parameters():
            p.requires_grad_()

    def parameters(self):
        return [*self.weights, *self.biases]

    def __call__(self, x):
        for W, b in zip(self.weights[:-1], self.biases[:-1], strict=True):
            x = torch.tanh(x @ W + b)
        return x @ self.weights[-1] + self.biases[-1]


class Layer:
    """What one step of a flow learns. For an actnorm: `shift` and `log_scale`, (K, 1, 2), at first 0.

    For a coupling: `net`, from one coordinate to two numbers, at first 0 and 0.
    """

    def __init__(self, step, generators, units):
        self.step, self.kind = step, step.__name__.partition("_")[0]
        if self.kind == "actnorm":
            self.shift = torch.zeros(len(generators), 1, 2, requires_grad=True)
            self.log_scale = torch.zeros(len(generators), 1, 2, requires_grad=True)
        elif self.kind == "coupling":
            self.net = Net((1, *units, 2), generators, last=0.0, first=2.0)
        else:
            raise ValueError(f"a step's name begins with actnorm or coupling, not as {step!r}.")

    def parameters(self):
        return [self.shift, self.log_scale] if self.kind == "actnorm" else self.net.parameters()

    def back(self, z):
        """The inverse of the step."""
        if self.kind == "actnorm":
            return z * self.log_scale.exp() + self.shift
        changed, kept = z.chunk(2, -1)
        s, t = self.net(kept).chunk(2, -1)
        return torch.cat([kept, changed * s.exp() + t], -1)


class Flow:
    """K flows from data to a standard normal, each made of the same steps.

    steps: functions step(x, layer) that return the new points and the logarithm of the step's stretch,
    (K, N) or (K, 1), whose names begin with actnorm or coupling. first: points, (N, 2) or (K, N, 2), on which each
    actnorm starts with mean 0 and std 1; None leaves them as they are.
    """

    def __init__(self, steps, seeds, first=None, units=(32,)):
        self.generators = [torch.Generator().manual_seed(seed) for seed in seeds]
        self.layers = [Layer(step, self.generators, units) for step in steps]
        if first is not None:
            self.start_on(first)

    def start_on(self, first):
        """Set each actnorm so that these points leave it with mean 0 and std 1."""
        with torch.no_grad():
            x = first.expand(len(self.generators), -1, -1)
            for layer in self.layers:
                if layer.kind == "actnorm":
                    layer.shift.copy_(x.mean(1, keepdim=True))
                    layer.log_scale.copy_(x.std(1, keepdim=True).log())
                x, _ = layer.step(x, layer)

    def parameters(self):
        return [p for layer in self.layers for p in layer.parameters()]

    def on_the_way(self, z):
        """The points from noise to data, with those after each inverse step: a list of layers + 1."""
        points = [z.expand(len(self.generators), -1, -1)]
        with torch.no_grad():
            for layer in reversed(self.layers):
                points.append(layer.back(points[-1]))
        return points

    def sample(self, n, seed=7):
        """Points from each flow: (K, n, 2)."""
        return self.on_the_way(torch.randn((n, 2), generator=torch.Generator().manual_seed(seed)))[
            -1
        ]


class Vae:
    """K pairs of an encoder and a decoder, with a latent code of `latent` numbers, and the decoder's noise.

    units: of the hidden layers; () makes both linear. noise: the std of the decoder's noise at the start, a number or
    K of them. learn_noise: whether it is learned. `log_noise` is (K, 1, 1).
    """

    def __init__(self, seeds, units=(32, 32), noise=1.0, learn_noise=True, latent=2):
        self.generators = [torch.Generator().manual_seed(seed) for seed in seeds]
        self.encoder = Net((2, *units, 2 * latent), self.generators, last=0.3)
        self.decoder = Net((latent, *units[::-1], 2), self.generators)
        self.latent = latent
        start = torch.as_tensor(noise, dtype=torch.float32).log()
        self.log_noise = start.expand(len(self.generators)).view(-1, 1, 1).clone()
        self.log_noise.requires_grad_(learn_noise)

    def parameters(self):
        nets = [*self.encoder.parameters(), *self.decoder.parameters()]
        return [*nets, self.log_noise] if self.log_noise.requires_grad else nets

    def log_p(self, x, points=121, reach=4.5, block=40, only=slice(None)):
        """The exact log-density of x, (N, 2) or (K, N, 2), by adding up the latent codes on a grid: (K, N).

        only: a slice, of the networks that are asked for."""
        line = torch.linspace(-reach, reach, points)
        z = torch.cartesian_prod(*[line] * self.latent).view(-1, self.latent)
        weight = log_normal(z).sum(-1) + self.latent * math.log(line[1] - line[0])
        x = x.expand(len(self.generators), -1, -1)[only]
        with torch.no_grad():
            log_noise = self.log_noise[only]
            variance = (2 * log_noise).exp()
            centers = self.decoder(z)[only]
            parts = []
            for part in x.split(block, 1):
                far = torch.cdist(part, centers) ** 2  # (K, N, grid)
                parts.append((weight - far / (2 * variance)).logsumexp(-1))
            return torch.cat(parts, 1) - (math.log(2 * math.pi) + 2 * log_noise[..., 0])

    def sample(self, n, seed=7):
        """Points from each: (K, n, 2)."""
        g = torch.Generator().manual_seed(seed)
        z, noise = torch.randn((n, self.latent), generator=g), torch.randn((n, 2), generator=g)
        with torch.no_grad():
            return self.decoder(z) + self.log_noise.exp() * noise


class Gan:
    """K pairs: a generator from two normal numbers to points, and a discriminator from points to a logit."""

    def __init__(self, seeds, units=(32, 32)):
        self.generators = [torch.Generator().manual_seed(seed) for seed in seeds]
        self.G = Net((2, *units, 2), self.generators)
        self.D = Net((2, *units, 1), self.generators)
        self.d_optimizer = Adam(self.D.parameters())

    def fakes(self, size=128):
        return self.G(noise_for(self.generators, size))

    def sample(self, n, seed=7):
        """Points from each: (K, n, 2)."""
        with torch.no_grad():
            return self.G(torch.randn((n, 2), generator=torch.Generator().manual_seed(seed)))


def train_gan(gan, target, d_loss, g_loss, lrs, *, steps, alone=0, optimizer=Adam, size=64):
    """Train D and G in turn, one step each, after `alone` steps of D by itself.

    d_loss(logits of real points, of fakes) and g_loss(logits of fakes) give K losses. lrs: rates of D and of G, each
    a number or K. D learns by Adam, which goes on where it was, G by a new `optimizer`.
    An interruption ends it, and what was learned is kept.
    """
    K = len(gan.generators)
    lr_d, lr_g = (torch.as_tensor(lr, dtype=torch.float32).expand(K).view(K, 1, 1) for lr in lrs)
    of_d, of_g = gan.D.parameters(), gan.G.parameters()
    g_optimizer = optimizer(of_g)
    with stoppable():
        for step in progress(alone + steps, quiet=True):
            with torch.no_grad():
                fake = gan.fakes(size)
            loss = d_loss(gan.D(minibatch(target, gan.generators, size)), gan.D(fake))
            gradients = torch.autograd.grad(loss.sum(), of_d)
            with torch.no_grad():
                gan.d_optimizer.step(gradients, lr_d)
            if step < alone:
                continue
            gradients = torch.autograd.grad(g_loss(gan.D(gan.fakes(size))).sum(), of_g)
            with torch.no_grad():
                g_optimizer.step(gradients, lr_g)


def lengths_of_gradient(losses, network):
    """The length of the gradient of each of K losses, (K,), in all parameters of a stack."""
    gradients = torch.autograd.grad(losses.sum(), network.parameters(), retain_graph=True)
    return sum(g.pow(2).sum((1, 2)) for g in gradients).sqrt()


# ---------------------------------------------------------------- Experiments of the lesson


def kl_of(log_density, flow, target, n=20_000):
    """KL(p‖q) of each flow, by n points of the target that no training has seen: (K,)."""
    x = new_points(target, n)
    with torch.no_grad():
        return (target.log_p(x) - log_density(x[None], flow)).mean(-1)


def fit_flow(log_density, steps, target, seeds, training_steps, lrs=0.01, film_at=(), without=()):
    """Train flows made of these steps by minus their log-density of the target's points.

    Each actnorm starts from a first batch of 512. film_at: training steps before which to look. without: which of
    the first actnorm's numbers, "shift" and "log_scale", start at 0 all the same.
    Returns the flow and {training steps: (frames of `film`, KL of the first network)}, the end included.
    """
    flow = Flow(steps, seeds, new_points(target, 512, seed=1))
    with torch.no_grad():
        for name in without:
            getattr(flow.layers[0], name).zero_()
    seen, count = {}, 0

    def loss(flow):
        nonlocal count
        if count in film_at:
            seen[count] = film(flow), kl_of(log_density, flow, target)[0].item()
        count += 1
        return -log_density(minibatch(target, flow.generators), flow).mean(-1)

    train(flow, loss, training_steps, lrs, limit=5)
    seen[training_steps] = film(flow), kl_of(log_density, flow, target)[0].item()
    return flow, seen


def compare_starts(log_density, steps, target, seeds, rates, training_steps):
    """Flows that take shift, scale, both or neither from a first batch: {start: KL (rates, seeds)}, and a table.

    One that is not taken is 0 for the shift, 1 for the scale.
    """
    each, found = torch.tensor(rates).repeat_interleave(len(seeds)), {}
    print(f"{'rate':20}", *[f"{rate:<13g}" for rate in rates])
    starts = {"shift and scale": (), "shift alone": ("log_scale",), "scale alone": ("shift",)}
    for name, without in (starts | {"neither": ("shift", "log_scale")}).items():
        many = [*seeds] * len(rates)
        flow, _ = fit_flow(log_density, steps, target, many, training_steps, each, without=without)
        found[name] = kl_of(log_density, flow, target).view(len(rates), len(seeds))
        rows = [mean_and_error(kl) for kl in found[name]]
        print(f"{name:20}", *[f"{mean:.2f} ± {error:.2f}  " for mean, error in rows])
    return found


def fit_vae(elbo, target, vae, steps, lrs=0.01):
    """Train VAEs by minus their ELBO: elbo(x, vae, noise) returns it, (K, N), and the price of each dimension."""

    def loss(vae):
        noise = noise_for(vae.generators, columns=vae.latent)
        return -elbo(minibatch(target, vae.generators), vae, noise)[0].mean(-1)

    train(vae, loss, steps, lrs, limit=5)
    return vae


def bounds_of(elbo, vae, target, n=1_000, tries=20):
    """ELBO, exact log-density of the model and of the target, means over n new points: {name: (K,)}, and a table."""
    x = new_points(target, n)
    with torch.no_grad():
        noises = [noise_for(vae.generators, n, vae.latent) for _ in range(tries)]
        bound = torch.stack([elbo(x[None], vae, noise)[0].mean(-1) for noise in noises]).mean(0)
    truth = target.log_p(x).mean().expand(len(bound))
    found = {"ELBO": bound, "log q, by a grid": vae.log_p(x).mean(-1), "truth": truth}
    for name, values in found.items():
        print(f"{name:16} {{:.3f}} ± {{:.3f}}".format(*mean_and_error(values)))
    return found


def prices_of_linear(elbo, target, noises, seeds, steps=700, lr=0.03):
    """What each latent dimension of a linear VAE costs, the dearer first: (noises, seeds, 2), in nats."""
    each = torch.tensor(noises).repeat_interleave(len(seeds))
    vae = Vae([*seeds] * len(noises), (), noise=each, learn_noise=False)
    fit_vae(elbo, target, vae, steps, lr)
    with torch.no_grad():
        price = elbo(new_points(target)[None], vae, torch.zeros(1))[1].mean(1)
    return price.sort(-1, descending=True).values.view(len(noises), len(seeds), 2)


def vae_starts(elbo, target, seeds, starts, rates, steps):
    """VAEs whose learned noise starts at each of `starts`, at each rate; and a table.

    Returns the stack, the noise at the end and the KL to the target, both (starts, rates, seeds).
    """
    shape = len(starts), len(rates), len(seeds)
    noise = torch.tensor(starts).repeat_interleave(len(rates) * len(seeds))
    lrs = torch.tensor(rates).repeat_interleave(len(seeds)).repeat(len(starts))
    vae = Vae([*seeds] * (len(starts) * len(rates)), noise=noise)
    fit_vae(elbo, target, vae, steps, lrs)
    x = new_points(target, 500)
    kl = (target.log_p(x) - vae.log_p(x)).mean(-1).view(shape)
    ends = vae.log_noise.detach().exp().view(shape)
    many = new_points(target, 200_000)
    sigma = many.var(0).mean().sqrt()
    collapsed = (target.log_p(many) - log_normal(many, many.mean(0), sigma).sum(-1)).mean()
    print(f"{target.name}, code unused  σ {sigma:.2f}, KL {collapsed:.2f}")
    for n, start in enumerate(starts):
        print(f"{target.name}, σ starts at {start}")
        for r, rate in enumerate(rates):
            words = "KL {:.2f} ± {:.2f}".format(*mean_and_error(kl[n, r]))
            print(f"   rate {rate:<5g} σ ends at {ends[n, r].mean():.2f}, {words}")
    return vae, ends, kl


def head_starts(gan, target, d_loss, g_losses, heads, seeds=5):
    """Let D learn alone, and after each number of steps in `heads` measure what of G's gradient is left.

    Returns the mean of D, a probability, on the points of G, and for each loss the length of G's gradient over that of
    the mean logit: (1 + losses, heads, seeds).
    """
    rows, before = [], 0
    for alone in heads:
        train_gan(gan, target, d_loss, g_losses[0], (0.003, 0.003), steps=0, alone=alone - before)
        before, logits = alone, gan.D(gan.fakes(500))
        whole = lengths_of_gradient(logits.mean((1, 2)), gan.G)
        shares = [lengths_of_gradient(loss(logits), gan.G) / whole for loss in g_losses]
        rows.append(torch.stack([logits.detach().sigmoid().mean((1, 2)), *shares])[:, :seeds])
    return torch.stack(rows, 1)


def from_behind(gan, target, d_loss, losses, optimizers, steps):
    """Copies of `gan`, trained on: {(optimizer, loss): points in a bump in %, (rates, seeds)}, and a table.

    losses: {name: function}. optimizers: {name: (class, rates of G)}; the stack holds as many seeds for each rate.
    """
    found = {}
    for (kind, (optimizer, rates)), (name, loss) in product(optimizers.items(), losses.items()):
        one, each = copy.deepcopy(gan), len(gan.generators) // len(rates)
        lrs = 0.003, torch.tensor(rates).repeat_interleave(each)
        train_gan(one, target, d_loss, loss, lrs, steps=steps, optimizer=optimizer)
        found[kind, name] = target.hits(one.sample(2_000))[1].view(len(rates), each)
        rows = zip(rates, found[kind, name], strict=True)
        words = ["rate {:<6g} {:2.0f} ± {:2.0f} %".format(r, *mean_and_error(x)) for r, x in rows]
        print(f"{kind:4} {name:10} points in a bump: {words[0]} | {words[1]}")
    return found


def watch_gan(gan, target, d_loss, g_loss, lrs, steps, every=100, looks=5):
    """Train a GAN, and look at what it draws every so many steps, at the last `looks` times: {step: (K, N, 2)}."""
    chosen, seen = Adam(gan.G.parameters()), {}
    for step in range(every, steps + 1, every):
        train_gan(gan, target, d_loss, g_loss, lrs, steps=every, optimizer=lambda _: chosen)
        if step > steps - looks * every:
            seen[step] = gan.sample(2_000)
    return seen


def bumps_hit(target, seen, rates):
    """Of looks {step: points (K, N, 2)}: bumps hit at the last and at any of them, (rates, seeds) each, and a table."""
    hit = torch.stack([target.shares(points) >= 0.02 for points in seen.values()])
    last, ever = (one.sum(-1).view(len(rates), -1) for one in (hit[-1], hit.any(0)))
    inside = target.hits([*seen.values()][-1])[1].view(len(rates), -1)
    for n, rate in enumerate(rates.tolist()):
        print(f"rate of G {rate:g}: points in a bump {inside[n].mean():.0f} %")
        print("   bumps hit by the five, at the end  ", *last[n].tolist())
        print("   at any of the last five looks      ", *ever[n].tolist())
    return last, ever


def baselines_of(target, n=20_000):
    """Of noise, a ring and the truth: {name: (points in a bump in %, bumps hit, KL)}, and a table."""
    x, found = new_points(target, 4_000), {}
    for name, one in {"noise": Noise(), "ring": Ring(), "truth": target}.items():
        hit, share = target.hits(new_points(one, n, seed=5)[None])
        kl = (target.log_p(x) - one.log_p(x)).mean().item()
        found[name] = share.item(), hit.item(), kl
        print(f"{name:5} points in a bump {share.item():2.0f} %, KL {abs(kl):.2f}")
    return found


def side_by_side(log_density, flow, of_vae, gans, n=2_000):
    """For `draw_all`: what the flow, the VAE and the GAN draw, the density that they tell, and their KLs.

    of_vae: of `vae_starts`, of which the first start at the last rate is taken. gans: the last five are taken.
    """
    target = Bumps()
    vae, _, kl = of_vae
    place = kl[0, :-1].numel()  # of the first network at the last rate
    seeds = kl.shape[-1]
    samples = {
        "Truth": new_points(target)[None],
        "Flow": flow.sample(n),
        "VAE": vae.sample(n)[place : place + seeds],
        "GAN": gans.sample(n)[-seeds:],
    }
    tells = {
        "Truth": target.log_p,
        "Flow": lambda x: log_density(x[None], flow)[0],
        "VAE": lambda x: vae.log_p(x, only=slice(place, place + 1))[0],
        "GAN": None,
    }
    return samples, tells, {"Flow": kl_of(log_density, flow, target), "VAE": kl[0, -1]}


# ---------------------------------------------------------------- Pictures

MAP = "Blues"


def grid_of(window, size=90):
    """Points of a grid over ((left, right), (bottom, top)): (size * size, 2)."""
    (left, right), (bottom, top) = window
    across, up = torch.linspace(left, right, size), torch.linspace(bottom, top, size)
    return torch.stack(torch.meshgrid(across, up, indexing="xy"), -1).view(-1, 2)


def show_density(ax, log_density, window, top, size=90):
    """A density as a map, from 0 (white) to `top`. log_density: of points (N, 2), (N,)."""
    with torch.no_grad():
        values = log_density(grid_of(window, size)).view(size, size).exp()
    across = [*window[0], *window[1]]
    return ax.imshow(
        values, origin="lower", extent=across, cmap=MAP, vmin=0, vmax=top, aspect="auto"
    )


def plane(ax, window, title=""):
    """An axis of x1 and one of x2, with the limits of a window, without a grid."""
    ax.set(xlim=window[0], ylim=window[1], xlabel="x1", ylabel="x2", title=title)
    ax.grid(False)


def dots(ax, points, color="C1", **options):
    """Points (N, 2) as small dots."""
    ax.plot(*points.T, "o", color=color, markersize=2, markeredgewidth=0, alpha=0.6, **options)


def top_of(target):
    """The largest density of a target on its window."""
    return target.log_p(grid_of(target.window, 200)).exp().max().item()


def draw_targets(targets):
    """Each target's density as a map, with 400 points drawn from it."""
    figure, axes = plt.subplots(1, len(targets), figsize=(8.5, 3.6))
    for ax, target in zip(axes, targets, strict=True):
        image = show_density(ax, target.log_p, target.window, top_of(target), 150)
        dots(ax, new_points(target, 400))
        plane(ax, target.window, f"{target.name.capitalize()}: density and 400 points")
        figure.colorbar(image, ax=ax, label="density")
    plt.show()


def draw_stretch(z, x, q):
    """Left the map from z to x, right its density over a histogram of mapped points: all (N,). Returns q's integral."""
    z, x, q = z.detach(), x.detach(), q.detach()
    _, (left, right) = plt.subplots(1, 2, figsize=(9, 3))
    left.plot(z, x)
    left.set(
        xlabel="z, standard normal", ylabel="x = f(z)", title="The map", xlim=(-3, 3), ylim=(-5, 5)
    )
    drawn = torch.randn(20_000, generator=torch.Generator().manual_seed(1))
    mapped = drawn + 2 * torch.tanh(3 * drawn)
    right.hist(mapped.numpy(), 80, (-5, 5), density=True, color="0.8", label="20,000 mapped points")
    right.plot(x, q, color="C1", label="φ(z) / f′(z)")
    right.set(
        xlabel="x", ylabel="density", title="One bump has become two", xlim=(-5, 5), ylim=(0, 0.33)
    )
    right.legend(loc="upper center")
    plt.show()
    integral = torch.trapezoid(q, x).item()
    print(f"integral of q: {integral:.4f}")
    return integral


def draw_flows(target, log_density, flows):
    """The target's density as a map, and contours of the first of each stack; a table of KLs, which it returns."""
    _, axes = plt.subplots(1, len(flows), figsize=(8.5, 3.4), sharey=True)
    size, found = 90, {}
    (left, right), (bottom, upper) = target.window
    across, up = torch.linspace(left, right, size), torch.linspace(bottom, upper, size)
    for ax, (title, flow) in zip(axes, flows.items(), strict=True):
        show_density(ax, target.log_p, target.window, top_of(target))
        with torch.no_grad():
            values = log_density(grid_of(target.window, size)[None], flow)[0].view(size, size).exp()
        ax.contour(across, up, values, levels=[0.01, 0.03, 0.1, 0.3], colors="C1", linewidths=1.2)
        plane(ax, target.window, title.capitalize())
        found[title] = kl_of(log_density, flow, target)
    axes[1].set_ylabel("")
    plt.show()
    for title, kl in found.items():
        print(f"{title:24} KL {{:.3f}} ± {{:.3f}}".format(*mean_and_error(kl)))
    return found


def lattice(reach=2.5, lines=11, points=161):
    """Lines of a square grid over (-reach, reach), and nan between them: (2 * lines * (points + 1), 2)."""
    along, places = torch.linspace(-reach, reach, points), torch.linspace(-reach, reach, lines)
    gap, parts = torch.full((1, 2), float("nan")), []
    for swap in (False, True):
        for place in places:
            line = torch.stack([along, place.expand(points)], -1)
            parts += [line.flip(-1) if swap else line, gap]
    return torch.cat(parts)


def film(flow, points=400):
    """The first network's lattice and points after each step from noise to data.

    A coupling swaps the coordinates; here they are put back in their places. Returns (layers + 1, lattice + points, 2).
    """
    z = torch.randn((points, 2), generator=torch.Generator().manual_seed(7))
    frames = torch.stack([frame[0] for frame in flow.on_the_way(torch.cat([lattice(), z]))])
    left = [
        sum(layer.kind == "coupling" for layer in flow.layers[: len(flow.layers) - n])
        for n in range(len(frames))
    ]
    return torch.stack(
        [frame.flip(-1) if odd % 2 else frame for frame, odd in zip(frames, left, strict=True)]
    )


def flow_panel(figure, films, target, curve=True):
    """A panel over the steps from noise to data and of the training; returns `update`, as helpers.Panel wants it.

    One latent point, of the cloud's first ones, is followed on its way.

    films: {training steps: (frames of `film`, KL of this network)}, as of `fit_flow`. curve: whether to draw the KLs.
    """
    if curve:
        ax, right = figure.subplots(1, 2, width_ratios=(1.2, 1))
    else:
        ax = figure.subplots()
    window = ((-4, 4), (-4, 4))
    show_density(ax, target.log_p, window, 3 * top_of(target))
    (grid,) = ax.plot([], [], color="0.45", linewidth=0.7)
    (cloud,) = ax.plot([], [], "o", color="C1", markersize=3, markeredgewidth=0, alpha=0.7)
    (path,) = ax.plot([], [], "k.-", linewidth=1.2, markersize=4)
    (followed,) = ax.plot([], [], "kD", markersize=7)
    plane(ax, window, "From noise to data (blue: the target)")
    ax.set_aspect("equal")
    steps, size = list(films), len(lattice())
    if curve:
        right.plot(steps, [films[n][1] for n in steps], "o-", color="C0")
        (here,) = right.plot([], [], "o", color="C1", markersize=10)
        right.set(
            xlabel="training steps",
            ylabel="KL to the target, nats",
            title="How far off the flow is",
        )

    def update(layers, steps_trained, point=0):
        frames, kl = films[steps_trained]
        frame = frames[layers]
        way = frames[: layers + 1, size + point]
        path.set_data(*way.T)
        followed.set_data(*way[-1:].T)
        grid.set_data(*frame[:size].T)
        cloud.set_data(*frame[size:].T)
        if curve:
            here.set_data([steps_trained], [kl])
        bumps = target.hits(frame[None, size:])[1].item()
        return (
            f"After {layers} of {len(frames) - 1} steps, with {steps_trained} training steps: "
            f"{bumps:.0f} % of the points lie in a bump; KL of the whole flow {kl:.2f} nats. "
            f"The black point is at ({way[-1][0]:.1f}, {way[-1][1]:.1f})."
        )

    return update


def used(variance, noise):
    """Theory: the KL of a latent dimension of a linear VAE, in nats. J. Lucas and others 2019, arXiv 1911.02469."""
    return 0.5 * (torch.as_tensor(variance) / torch.as_tensor(noise) ** 2).log().clamp(min=0)


def draw_collapse(noises, measured, variances):
    """KL of two latent dimensions over the decoder's noise: measured (noises, seeds, 2), sorted; lines: theory."""
    plt.figure(figsize=(8, 3.6))
    fine = torch.linspace(noises[0], noises[-1], 300)
    for n, (variance, color) in enumerate(zip(variances, ("C0", "C1"), strict=True)):
        plt.plot(
            fine, used(variance, fine), color=color, label=f"variance {variance:.2f} of the data"
        )
        for seed in range(measured.shape[1]):
            plt.plot(noises, measured[:, seed, n], "o", color=color, markersize=4)
    plt.xlabel("std of the decoder's noise")
    plt.ylabel("KL of this dimension, nats")
    plt.title("What a linear VAE puts into each latent dimension (lines: theory)")
    plt.legend()
    plt.show()


def draw_push(heads, chance, saturating, other):
    """How much of the gradient reaches the generator: all (head starts, seeds); lines: theory. The first's in a table.

    chance: the mean of D on what G draws.
    """
    plt.figure(figsize=(8, 3.8))
    low = min(1e-4, chance.min().item() / 2)
    line = torch.logspace(math.log10(low), math.log10(0.9), 200)
    for share, theory, color, label in (
        (saturating, line, "C1", "log(1 − D), theory: D"),
        (other, 1 - line, "C0", "−log D, theory: 1 − D"),
    ):
        plt.plot(line, theory, color=color, label=label)
        plt.plot(chance.flatten(), share.flatten(), "o", color=color, markersize=4)
    plt.xscale("log")
    plt.yscale("log")
    plt.xlabel("mean of D on what G draws (further left: D is farther ahead)")
    plt.ylabel("share of the gradient")
    plt.title("What is left of G's gradient before G has learned (dots: measured)")
    plt.legend(loc="lower right")
    plt.show()
    for row, head in enumerate(heads):
        if head in (0, 100, heads[-1]):
            parts = f"log(1 - D) {saturating[row, 0]:.2g}, -log D {other[row, 0]:.2f}"
            print(f"first pair, D alone for {head:5,} steps: D {chance[row, 0]:.2g}, left: {parts}")


def draw_all(target, samples, densities, kls, baselines, n=1_000):
    """Above what each draws, below the density that it tells, if any; and a table.

    samples: {name: points (K, N, 2)}, of which the first network's are drawn. densities: {name: a function, or None}.
    kls: {name: (K,)}, of those that tell one. baselines: of `baselines_of`.
    """
    figure, axes = plt.subplots(2, len(samples), figsize=(11, 5.8), sharex=True, sharey=True)
    top = top_of(target)
    for (above, below), name in zip(axes.T, samples, strict=True):
        dots(above, samples[name][0, :n])
        plane(above, target.window, name)
        plane(below, target.window)
        if densities[name] is None:
            below.text(0, 0, "no density", ha="center", va="center", color="0.4")
        else:
            image = show_density(below, densities[name], target.window, top)
        above.set_xlabel("")
        if name != next(iter(samples)):
            above.set_ylabel("")
            below.set_ylabel("")
    axes[0, 0].set_ylabel("draws: x2")
    axes[1, 0].set_ylabel("density: x2")
    figure.colorbar(image, ax=axes[1], label="density")
    plt.show()
    words = "{:5} bumps hit {:.1f}, points in a bump {:2.0f} %  {}"
    for name, (share, hit, kl) in baselines.items():
        print(words.format(name.capitalize(), hit, share, f"KL {abs(kl):.2f}"))
    for name, points in list(samples.items())[1:]:
        hit, inside = target.hits(points)
        told = ""
        if name in kls:
            told = "KL {:.2f} ± {:.2f}".format(*mean_and_error(kls[name]))
            told += f" (drawn above: {kls[name][0]:.2f})"
        print(words.format(name, hit.float().mean(), inside.mean(), told))


# ---------------------------------------------------------------- The companion


class Symbols:
    """K autoregressive models of the plane, each coordinate cut into symbols: first those of x1, then of x2 given x1.

    first: the logits of x1's symbols, (K, 1, symbols). net: from x1 to the logits of x2's symbols.
    """

    def __init__(self, seeds, window, symbols=64, units=(32, 32)):
        self.generators = [torch.Generator().manual_seed(seed) for seed in seeds]
        self.first = torch.zeros(len(self.generators), 1, symbols, requires_grad=True)
        self.net = Net((1, *units, symbols), self.generators, last=0.0, first=2.0)
        self.low, self.width, self.symbols = window[0], (window[1] - window[0]) / symbols, symbols

    def parameters(self):
        return [self.first, *self.net.parameters()]

    def symbols_of(self, x):
        """The symbols of points (K or 1, N, 2): two tensors (K, N, 1)."""
        cells = ((x - self.low) / self.width).long().clamp(0, self.symbols - 1)
        return cells.expand(len(self.generators), -1, -1).split(1, -1)

    def center(self, symbols):
        """The middle of each symbol's stretch."""
        return self.low + (symbols + 0.5) * self.width


def fit_symbols(log_q, target, seeds, steps, lr=0.01):
    """Train `Symbols` by minus their log-density log_q(x, model), (K, N)."""
    model = Symbols(seeds, target.window[0])

    def loss(model):
        return -log_q(minibatch(target, model.generators), model).mean(-1)

    train(model, loss, steps, lr, limit=5)
    return model


def draw_maps(target, densities):
    """Densities beside each other as maps. densities: {title: a function of points (N, 2), (N,)}."""
    figure, axes = plt.subplots(1, len(densities), figsize=(10, 3.3), sharey=True)
    for ax, (title, log_density) in zip(axes, densities.items(), strict=True):
        image = show_density(ax, log_density, target.window, top_of(target), 128)
        plane(ax, target.window, title)
    for ax in axes[1:]:
        ax.set_ylabel("")
    figure.colorbar(image, ax=axes, label="density")
    plt.show()


class NamesVae:
    """K VAEs that write all letters of a name at once: a code of `latent` numbers, `places` letters of `symbols`."""

    def __init__(self, seeds, symbols, places=9, latent=8, units=100):
        self.generators = [torch.Generator().manual_seed(seed) for seed in seeds]
        self.encoder = Net((places * symbols, units, 2 * latent), self.generators, last=0.3)
        self.decoder = Net((latent, units, places * symbols), self.generators, last=0.3)
        self.symbols, self.places, self.latent = symbols, places, latent

    def parameters(self):
        return [*self.encoder.parameters(), *self.decoder.parameters()]

    def encode(self, letters):
        """Mean and log-std of the codes, (K, N, latent) each, of letters (K or 1, N, places)."""
        ones = F.one_hot(letters, self.symbols).float().flatten(-2)
        return self.encoder(ones).chunk(2, -1)

    def letters_of(self, z):
        """Logits, (K, N, places, symbols), for codes (K, N, latent)."""
        return self.decoder(z).unflatten(-1, (self.places, self.symbols))

    def by_many_codes(self, letters, codes=100, seed=1):
        """-log q of each name by importance sampling over codes that the encoder proposes, nats: (K, N).

        With one code it is the bound, and with many it comes down to the exact value. Y. Burda and others 2016,
        arXiv 1509.00519.
        """
        found, g = [], torch.Generator().manual_seed(seed)
        with torch.no_grad():
            mean, log_std = self.encode(letters)
            for _ in range(codes):
                noise = torch.randn(mean.shape, generator=g)
                z = mean + log_std.exp() * noise
                logits = self.letters_of(z).log_softmax(-1)
                picked = logits.gather(-1, letters.expand(len(z), -1, -1)[..., None]).sum((-1, -2))
                weight = (log_normal(z) - log_normal(noise) + log_std).sum(-1)
                found.append(picked + weight)
        return math.log(codes) - torch.stack(found).logsumexp(0)

    def parts(self, letters, noise):
        """What the reconstruction of the letters costs, and the price of the code, nats a name: (K, N) each."""
        mean, log_std = self.encode(letters)
        logits = self.letters_of(mean + log_std.exp() * noise).log_softmax(-1)
        picked = logits.gather(-1, letters.expand(len(logits), -1, -1)[..., None])
        price = (0.5 * (mean**2 + (2 * log_std).exp() - 1) - log_std).sum(-1)
        return -picked.sum((-1, -2)), price


def name_columns(names, stoi, places=9):
    """Names of fewer than `places` letters, with "." behind them: (N, places)."""
    short = [name for name in names if len(name) < places]
    return torch.tensor([[*[stoi[c] for c in name], *[0] * (places - len(name))] for name in short])


def fit_names(vae, columns, steps, lr=0.01, size=64):
    """Train on rows of `columns`; nats a name."""

    def loss(vae):
        picks = [torch.randint(0, len(columns), (size,), generator=g) for g in vae.generators]
        letters = columns[torch.stack(picks)]
        again, price = vae.parts(letters, noise_for(vae.generators, size, vae.latent))
        return (again + price).mean(-1)

    return train(vae, loss, steps, lr, limit=5)


def update_ratios(gan, target, d_loss, g_loss, lrs, steps=300, last=20):
    """Picture 4 for both networks: std of an update over std of the weight, over the last steps.

    Returns {"D" or "G": the mean of log10 over weights and steps, (K,)}, at the key "hit" how many bumps are hit.
    """
    rows, chosen = {"D": [], "G": []}, Adam(gan.G.parameters())
    train_gan(gan, target, d_loss, g_loss, lrs, steps=steps - last, optimizer=lambda _: chosen)
    weights = {"D": gan.D.weights, "G": gan.G.weights}
    for _ in range(last):
        old = {name: [W.detach().clone() for W in those] for name, those in weights.items()}
        train_gan(gan, target, d_loss, g_loss, lrs, steps=1, optimizer=lambda _: chosen)
        for name, those in weights.items():
            moved = [
                (W - V).detach().std((1, 2)) / V.std((1, 2))
                for W, V in zip(those, old[name], strict=True)
            ]
            rows[name].append(torch.stack(moved).log10().mean(0))
    found = {name: torch.stack(each).mean(0) for name, each in rows.items()}
    return found | {"hit": target.hits(gan.sample(2_000))[0]}


def pairs_loss(columns, new, symbols):
    """Minus the log-probability of a name, in nats, by counting pairs of letters: of rows of `name_columns`."""
    counts = torch.ones(symbols, symbols)
    for rows, add in ((columns, True), (new, False)):
        before = torch.cat([torch.zeros_like(rows[:, :1]), rows[:, :-1]], 1)
        counted = (before != 0) | (torch.arange(rows.shape[1]) == 0)
        i, j = before[counted], rows[counted]
        if add:
            counts.index_put_((i, j), torch.ones(len(i)), accumulate=True)
    logs = (counts / counts.sum(1, keepdim=True)).log()
    return -logs[i, j].sum().item() / len(new)


def _texts(rows, data):
    return ["".join(data.itos[i] for i in row).split(".")[0] for row in rows.tolist()]


def walk(vae, first, second, data, steps=7):
    """What the first network writes on the way from one name's code to another's: a list."""
    with torch.no_grad():
        ends, _ = vae.encode(name_columns([first, second], data.stoi, vae.places)[None])
        share = torch.linspace(0, 1, steps)[:, None]
        way = ends[:, :1] * (1 - share) + ends[:, 1:] * share
        return _texts(vae.letters_of(way)[0].argmax(-1), data)


def letters_changed(vae, columns, steps=7):
    """In how many of the places two texts differ, the likeliest letter at each: {which two: (K,)}.

    The first half of the rows of `columns` is paired with the second half, and each pair's codes are joined by a line.
    """
    with torch.no_grad():
        even = columns[: len(columns) // 2 * 2]
        one, other = vae.encode(even[None])[0].chunk(2, 1)
        ways = [one * (1 - share) + other * share for share in torch.linspace(0, 1, steps)]
        texts = torch.stack([vae.letters_of(way).argmax(-1) for way in ways])
    return {
        "neighbors on a line": (texts[1:] != texts[:-1]).float().sum(-1).mean((0, 2)),
        "its two ends": (texts[0] != texts[-1]).float().sum(-1).mean(-1),
    }


def names_window(names, dev_names, data, seeds, steps, size=448):
    """Lesson 17's `Window` of three letters and 100 units, as in part one: -log p of a dev name, in nats, (K,)."""
    window = Window(3, 100, seeds, len(data.stoi))
    train(window, window_loss(*build_dataset(names, data.stoi), size), steps, 0.01)
    X, Y = build_dataset(dev_names, data.stoi)
    return window_dev_loss(window, X, Y) * len(Y) / len(dev_names)


def written(vae, data, n=1_000):
    """At each place the likeliest letter, for n random codes: a list of names for each network."""
    z = torch.randn((n, vae.latent), generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        return [_texts(one, data) for one in vae.letters_of(z).argmax(-1)]
