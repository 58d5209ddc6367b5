"""Attention: networks that look at other places of a sequence (lesson 18 and its companion).

All networks here are stacks: K of them, one for each generator, with a first dimension of size K in each parameter,
trained by `recurrent.train`. A *look* is a function `look(query, keys, values)`: query (..., Q, d), keys (..., T, d),
values (..., T, v); it returns what was read, (..., Q, v), and the weights, (..., Q, T), which sum to 1 over T.

Attention: D. Bahdanau and others 2014, arXiv 1409.0473; with dot products M. Luong and others 2015, arXiv 1508.04025.
Transformer: A. Vaswani and others 2017, arXiv 1706.03762.
"""

import math
from typing import NamedTuple

import matplotlib.pyplot as plt
import torch
import torch.nn.functional as F

from lessonkit import recurrent
from lessonkit.data import split_names
from lessonkit.modern import norm
from lessonkit.training import mean_and_error

# ---------------------------------------------------------------- Looking


def attend(query, keys, values, scale=None, mask=None):
    """Scaled dot-product attention: (what was read, the weights).

    scale: what dot products are multiplied by, 1 / sqrt(d) if None. mask: bool, (..., Q, T), False where not to look.
    """
    scale = query.shape[-1] ** -0.5 if scale is None else scale
    scores = query @ keys.mT * scale
    if mask is not None:
        scores = scores.masked_fill(~mask, -math.inf)
    weights = scores.softmax(-1)
    return weights @ values, weights


def causal(time):
    """Which places each place may look at: itself and those before, (time, time), bool."""
    return torch.ones(time, time, dtype=torch.bool).tril()


def split(x, heads):
    """Heads out of units: (..., T, units) to (..., heads, T, units / heads)."""
    return x.unflatten(-1, (heads, -1)).transpose(-3, -2)


def merge(x):
    """The way back: (..., heads, T, size) to (..., T, heads * size)."""
    return x.transpose(-3, -2).flatten(-2)


def linear(x, W):
    """x, (K, N, T, rows), times W, (K, rows, columns), as one product for each network, which is fast."""
    return (x.flatten(1, 2) @ W).unflatten(1, x.shape[1:3])


def drawn_by(generators):
    """A function of rows, columns and a std: normal weights, (K, rows, columns), each network's by its generator."""

    def drawn(rows, columns, std):
        each = [torch.randn((rows, columns), generator=g) for g in generators]
        return (std * torch.stack(each)).requires_grad_()

    return drawn


# ---------------------------------------------------------------- Reverse a name


def by_length(names, stoi, lengths):
    """{length: the names of this length as columns of numbers, (length, N)}; lengths without a name are left out."""
    found = {n: [[stoi[c] for c in name] for name in names if len(name) == n] for n in lengths}
    return {n: torch.tensor(rows).T.contiguous() for n, rows in found.items() if rows}


class EncoderDecoder:
    """K networks that read a name by one GRU, the encoder, and write by another, the decoder, as many letters.

    The decoder starts with the encoder's last state. At each step it reads the letter written before (at first "."),
    and its state, beside what `look` finds in the encoder's states if there is one, gives the logits of the next.
    point: it writes the letter of the largest weight instead; the logits are not used.
    """

    def __init__(self, units, seeds, symbols, look=None, point=False):
        self.units, self.look, self.point = units, look, point
        self.generators = [torch.Generator().manual_seed(seed) for seed in seeds]
        drawn = drawn_by(self.generators)
        read = units * (1 if look is None else 2)
        self.weights = []
        for _ in range(2):  # encoder, decoder
            self.weights += [drawn(symbols, 3 * units, 0.5), drawn(units, 3 * units, units**-0.5)]
            self.weights.append(drawn(1, 3 * units, 0.0))
        self.weights += [drawn(read, symbols, read**-0.5), drawn(1, symbols, 0.0)]

    def parameters(self):
        return self.weights

    def count(self):
        """The number of parameters of one network."""
        return sum(p[0].numel() for p in self.weights)

    def encode(self, letters):
        """The encoder's states, (K, N, T, units), from letters, (T, K or 1, N)."""
        symbols, K = self.weights[0].shape[1], len(self.generators)
        start = torch.zeros(K, letters.shape[-1], self.units)
        states = recurrent.unroll(
            recurrent.gru, F.one_hot(letters, symbols).float(), start, *self.weights[:3]
        )
        return torch.stack(states[1:], -2)

    def step(self, letter, state, memory):
        """One step of the decoder, letter (K or 1, N), state (K, N, units): the logits, (K, N, symbols), the next
        state, and the weights, (K, N, T), or None."""
        x = F.one_hot(letter, self.weights[0].shape[1]).float()
        state = recurrent.gru(x, state, *self.weights[3:6])
        read, weights = state, None
        if self.look is not None:
            found, weights = self.look(state[..., None, :], memory, memory)
            read, weights = torch.cat([state, found[..., 0, :]], -1), weights[..., 0, :]
        return read @ self.weights[6] + self.weights[7], state, weights

    def write(self, letters, forced=None):
        """The logits, (T, K, N, symbols), and the weights, (K, N, T written, T read) or None.

        forced: the letters, (T, K or 1, N), that it reads (teacher forcing, as in training) instead of its own.
        """
        memory = self.encode(letters)
        state, letter = memory[..., -1, :], torch.zeros_like(letters[0])
        all_logits, all_weights = [], []
        for time in range(len(letters)):
            logits, state, weights = self.step(letter, state, memory)
            all_logits.append(logits)
            all_weights.append(weights)
            if forced is not None:
                letter = forced[time]
            elif self.point:
                places = weights.argmax(-1)
                letter = letters.expand(-1, len(places), -1).gather(0, places[None])[0]
            else:
                letter = logits.argmax(-1)
        weights = None if self.look is None else torch.stack(all_weights, -2)
        return torch.stack(all_logits), weights


def drawn_names(columns, size):
    """A function of K generators that draws `size` names of one length for each: (T, K, size).

    columns: as of `by_length`. A length is drawn as often as it occurs, the same for all networks of the stack.
    """
    lengths, counts = list(columns), torch.tensor([float(c.shape[1]) for c in columns.values()])
    of_length = torch.Generator().manual_seed(18)

    def drawn(generators):
        picked = columns[lengths[torch.multinomial(counts, 1, generator=of_length).item()]]
        rows = [torch.randint(0, picked.shape[1], (size,), generator=g) for g in generators]
        return picked[:, torch.stack(rows)]

    return drawn


def reverse_loss(columns, size=32):
    """For `recurrent.train`: the loss per letter on `size` names of `drawn_names`, drawn anew in each step."""
    drawn = drawn_names(columns, size)

    def loss_of(network):
        letters = drawn(network.generators)
        logits, _ = network.write(letters, letters.flip(0))
        return recurrent.losses_of(logits, letters.flip(0)).mean(0)

    return loss_of


def reversed_right(network, columns, most=300):
    """How many % of the letters each network writes in the right place, by itself: (lengths, K)."""
    shares = []
    with torch.no_grad():
        for letters in columns.values():
            letters = letters[:, None, :most]
            logits, _ = network.write(letters)
            shares.append((logits.argmax(-1) == letters.flip(0)).float().mean((0, 2)))
    return 100 * torch.stack(shares)


def blind(columns):
    """Right letters in % of one who writes the same for all names: each place's most frequent letter, per length."""
    return [
        100 * (letters == letters.mode(1, keepdim=True).values).float().mean().item()
        for letters in columns.values()
    ]


class Trained(NamedTuple):
    """A trained stack, the dev names it was tried on, as of `by_length`, and right letters in %, (lengths, K)."""

    network: EncoderDecoder
    columns: dict
    right: torch.Tensor


def train_reversers(data, units, rate, seeds, look=None, steps=500, lengths=range(3, 9)):
    """Train an EncoderDecoder for each seed to reverse the training names of these lengths: a Trained."""
    train_names, dev_names, _ = split_names(data.names)
    columns, of_dev = (by_length(part, data.stoi, lengths) for part in (train_names, dev_names))
    network = EncoderDecoder(units, seeds, len(data.stoi), look)
    recurrent.train(network, reverse_loss(columns), steps, rate)
    return Trained(network, of_dev, reversed_right(network, of_dev))


def maps_of(network, columns):
    """The longest names of `columns`, (T, N), and where the network looks as it writes them, (K, N, T, T)."""
    longest = columns[max(columns)]
    with torch.no_grad():
        _, maps = network.write(longest[:, None])
    return longest, maps


def all_different(columns):
    """Those names of `columns`, as of `by_length`, that have no letter twice."""
    found = {}
    for n, letters in columns.items():
        ordered = letters.sort(0).values
        found[n] = letters[:, (ordered[1:] != ordered[:-1]).all(0)]
    return {n: letters for n, letters in found.items() if letters.shape[1]}


def sort_loss(columns, size=32):
    """For `recurrent.train`: the loss per letter of writing a name's letters in the order of the alphabet.

    Of one that points, minus the logarithm of the weight on the right place. columns: as of `all_different`.
    """
    drawn = drawn_names(columns, size)

    def loss_of(network):
        letters = drawn(network.generators)
        wanted, order = letters.sort(0)
        logits, weights = network.write(letters, wanted)
        if not network.point:
            return recurrent.losses_of(logits, wanted).mean(0)
        right = weights.gather(-1, order.permute(1, 2, 0)[..., None])
        return -(right + 1e-9).log().mean((1, 2, 3))

    return loss_of


def sorted_right(network, columns, most=300):
    """How many % of the letters each network sorts into the right place, by itself: (lengths, K)."""
    shares = []
    with torch.no_grad():
        for letters in columns.values():
            letters = letters[:, None, :most]
            logits, weights = network.write(letters)
            written = logits.argmax(-1)
            if network.point:
                places = weights.argmax(-1).permute(2, 0, 1)
                written = letters.expand(-1, places.shape[1], -1).gather(0, places)
            shares.append((written == letters.sort(0).values).float().mean((0, 2)))
    return 100 * torch.stack(shares)


# ---------------------------------------------------------------- Attention alone


class Lookup:
    """K networks of attention and nothing else that reverse names of `time` letters.

    A letter's key and value come from x, the sum of its embedding and its position's. The query of each place to write
    is `places @ Wq`. Queries and keys have d numbers of std 1 at the start, queries `start` times that.
    scale: what the dot products are multiplied by. start, scale: numbers.
    """

    def __init__(self, d, seeds, symbols, *, scale=1.0, start=1.0, units=32, time=6):
        self.scale = scale
        self.generators = [torch.Generator().manual_seed(seed) for seed in seeds]
        drawn = drawn_by(self.generators)
        self.letters, self.places = (drawn(rows, units, 0.5**0.5) for rows in (symbols, time))
        self.asking = drawn(time, units, 1.0)
        self.Wq, self.Wk = (drawn(units, d, size * units**-0.5) for size in (start, 1))
        self.Wv = drawn(units, units, units**-0.5)
        self.output = drawn(units, symbols, 0.1 * units**-0.5)

    def parameters(self):
        """The queries' weights come first."""
        return [
            self.Wq,
            self.Wk,
            self.Wv,
            self.letters,
            self.places,
            self.asking,
            self.output,
        ]

    def __call__(self, X):
        """The logits, (K, N, T, symbols), and the weights, (K, N, T, T), of letters X, (K or 1, N, T)."""
        K, symbols, _ = self.letters.shape
        rows = X + symbols * torch.arange(K).view(-1, 1, 1)
        x = F.embedding(rows, self.letters.flatten(0, 1)) + self.places[:, None]
        queries = (self.asking @ self.Wq)[:, None]
        found, weights = attend(queries, linear(x, self.Wk), linear(x, self.Wv), self.scale)
        return linear(found, self.output), weights


def lookup_loss(letters, size=16):
    """For `recurrent.train`: the loss per letter of Lookups on `size` names, from columns of letters, (T, N)."""

    def loss_of(network):
        rows = [
            torch.randint(0, letters.shape[1], (size,), generator=g) for g in network.generators
        ]
        X = letters[:, torch.stack(rows)].permute(1, 2, 0)
        logits, _ = network(X)
        return recurrent.losses_of(logits.movedim(2, 0), X.flip(-1).movedim(2, 0)).mean(0)

    return loss_of


def lookup_right(network, letters):
    """How many % of the letters each Lookup writes in the right place, (K,), for columns of letters, (T, N)."""
    X = letters.T[None]
    with torch.no_grad():
        logits, _ = network(X)
    return 100 * (logits.argmax(-1) == X.flip(-1)).float().mean((1, 2))


def train_lookups(data, d, rates, seeds, steps=150, time=6, optimizer=recurrent.Adam, **options):
    """Train a Lookup for each seed at each rate, on names of `time` letters, without clipping.

    Returns the right letters in %, (rates, seeds), on dev names, and the largest weight, in the mean, before training.
    options: of Lookup.
    """
    train_names, dev_names, _ = split_names(data.names)
    letters, of_dev = (
        by_length(part, data.stoi, [time])[time] for part in (train_names, dev_names)
    )
    network = Lookup(d, [*seeds] * len(rates), len(data.stoi), time=time, **options)
    with torch.no_grad():
        largest = network(of_dev.T[None])[1].amax(-1).mean().item()
    each = torch.as_tensor(rates).repeat_interleave(len(seeds))
    loss = lookup_loss(letters)
    recurrent.train(network, loss, steps, each, limit=math.inf, optimizer=optimizer)
    return lookup_right(network, of_dev).view(len(rates), -1), largest


# ---------------------------------------------------------------- A Transformer


class Transformer:
    """K small Transformers that read a name from the left: each place may look at itself and at those before.

    A letter's embedding and its position's (if positions) are added; then come `blocks` of two residual branches:
    attention with `heads`, and an MLP of `hidden` units, with GELU. order: "pre" (norms before the branches and
    before the output layer) or "post" (norms behind each sum), see lesson 16. look(q, k, v, mask=...): as `attend`.
    window: how many letters each place sees, itself included; all, if None. longest: the number of positions.
    """

    def __init__(
        self,
        seeds,
        symbols,
        longest=16,
        *,
        units=28,
        heads=4,
        blocks=1,
        positions=True,
        order="pre",
        window=None,
        hidden=118,
        look=attend,
    ):
        self.units, self.heads, self.order, self.look = units, heads, order, look
        self.generators = [torch.Generator().manual_seed(seed) for seed in seeds]
        drawn = drawn_by(self.generators)
        self.letters = drawn(symbols, units, 0.5**0.5)
        self.places = drawn(longest, units, 0.5**0.5) if positions else None
        self.blocks = []
        for _ in range(blocks):
            shapes = [(units, 3 * units), (units, units), (units, hidden), (hidden, units)]
            weights = [drawn(rows, columns, rows**-0.5) for rows, columns in shapes]
            self.blocks.append(weights + [drawn(1, size, 0.0) for size in (hidden, units)])
        self.output = [drawn(units, symbols, 0.1 * units**-0.5), drawn(1, symbols, 0.0)]
        self.window = window

    def parameters(self):
        of_blocks = [p for block in self.blocks for p in block]
        places = [] if self.places is None else [self.places]
        return [self.letters, *places, *of_blocks, *self.output]

    def parts(self):
        """{the name of a part: its parameters}, without the output layer."""
        parts = {"letters": [self.letters], "positions": [self.places]}
        for n, block in enumerate(self.blocks, 1):
            parts |= {f"attention {n}": block[:2], f"MLP {n}": block[2:]}
        return parts

    def count(self):
        """The number of parameters of one network."""
        return sum(p[0].numel() for p in self.parameters())

    def mask(self, time):
        """Where each place may look: (time, time), bool."""
        mask = causal(time)
        return mask if self.window is None else mask.triu(1 - self.window)

    def embed(self, X):
        """The first x, (K, N, T, units), of letters X, (K or 1, N, T)."""
        K, symbols, _ = self.letters.shape
        rows = X + symbols * torch.arange(K).view(-1, 1, 1)
        x = F.embedding(rows, self.letters.flatten(0, 1))
        return x if self.places is None else x + self.places[:, None, : X.shape[-1]]

    def attention(self, x, block):
        """What the attention of one block adds to x, and its weights, (K, N, heads, T, T)."""
        qkv, out = block[:2]
        q, k, v = (split(part, self.heads) for part in linear(x, qkv).chunk(3, -1))
        found, weights = self.look(q, k, v, mask=self.mask(x.shape[-2]))
        return linear(merge(found), out), weights

    def branches(self, block):
        """The two functions of x whose results are added to it."""
        into, back, *biases = block[2:]
        b, c = (bias[:, None] for bias in biases)
        return (
            lambda x: self.attention(x, block)[0],
            lambda x: linear(F.gelu(linear(x, into) + b), back) + c,
        )

    def stream(self, X):
        """X at the start and after every block, each (K, N, T, units)."""
        xs = [self.embed(X)]
        for block in self.blocks:
            x = xs[-1]
            for branch in self.branches(block):
                x = x + branch(norm(x)) if self.order == "pre" else norm(x + branch(x))
            xs.append(x)
        return xs

    def __call__(self, X):
        """The logits, (K, N, T, symbols), of letters X, (K or 1, N, T)."""
        return self.logits(self.stream(X)[-1])

    def logits(self, x):
        """The logits, (K, N, T, symbols), that the last x gives."""
        x = norm(x) if self.order == "pre" else x
        return linear(x, self.output[0]) + self.output[1][:, None]

    def read(self, X, memories=None):
        """The logits, and nothing to remember: see Relative."""
        return self(X), None

    def weights(self, X):
        """The attention of the first block, (K, N, heads, T, T), for letters X, (K or 1, N, T)."""
        x = self.embed(X)
        return self.attention(norm(x) if self.order == "pre" else x, self.blocks[0])[1]


def letters_of(answers):
    """What a Transformer reads, (K, N, T): "." and all but the last of answers, (T, K, N), as of `recurrent.padded`."""
    before = torch.cat([torch.zeros_like(answers[:1]), answers[:-1].clamp(min=0)])
    return before.permute(1, 2, 0)


def names_losses(network, answers):
    """The loss per letter of each network, (K,), on names, (T, K or 1, N)."""
    logits = network(letters_of(answers)).permute(2, 0, 1, 3)
    answers = answers.expand(-1, logits.shape[1], -1)
    return recurrent.losses_of(logits, answers.clamp(min=0), (answers >= 0).float())


def names_loss(columns, size=32):
    """For `recurrent.train`: the loss per letter on `size` names, from `recurrent.padded`, drawn for each network."""

    def loss_of(network):
        picks = [
            torch.randint(0, columns.shape[1], (size,), generator=g) for g in network.generators
        ]
        answers = columns[:, torch.stack(picks)]
        return names_losses(network, answers[: (answers >= 0).any((1, 2)).sum()])

    return loss_of


def names_dev_loss(network, columns):
    """The loss per letter of each network, (K,), on all names of `columns`."""
    total, counted = 0.0, 0.0
    with torch.no_grad():
        for part in columns.split(500, 1):
            there = (part >= 0).sum()
            total, counted = total + names_losses(network, part[:, None]) * there, counted + there
    return total / counted


def train_on_names(data, seeds, rate, steps, dev=1_000, **options):
    """Train a Transformer for each seed, as `recurrent.compare_on_names` does: (the stack, dev losses, (seeds,))."""
    train_names, dev_names, _ = split_names(data.names)
    columns = recurrent.padded(train_names, data.stoi)
    network = Transformer(seeds, len(data.stoi), len(columns), **options)
    recurrent.train(network, names_loss(columns), steps, rate)
    return network, names_dev_loss(network, recurrent.padded(dev_names[:dev], data.stoi))


def at_the_start(order, blocks, seeds, columns, rate=0.1):
    """An untrained Transformer's gradients of x after each block, std, (blocks + 1, K), and its blocks' update:data.

    The latter is of the matrix of queries, keys and values, for plain SGD at this rate, (blocks, K).
    """
    symbols, answers = int(columns.max()) + 1, columns[:, None]
    network = Transformer(seeds, symbols, len(columns), blocks=blocks, order=order)
    xs, weights = network.stream(letters_of(answers)), [block[0] for block in network.blocks]
    logits, wanted = network.logits(xs[-1]).permute(2, 0, 1, 3), answers.expand(-1, len(seeds), -1)
    loss = recurrent.losses_of(logits, wanted.clamp(min=0), (wanted >= 0).float())
    gradients = torch.autograd.grad(loss.sum(), [*xs, *weights])
    back = torch.stack([g.std((1, 2, 3)) for g in gradients[: blocks + 1]])
    steps = [
        rate * g.std((1, 2)) / W.detach().std((1, 2))
        for g, W in zip(gradients[blocks + 1 :], weights, strict=True)
    ]
    return back, torch.stack(steps)


# ---------------------------------------------------------------- Longer texts


class Relative(Transformer):
    """Transformers whose positions are distances: each head adds a learned number to a score, by how far it looks.

    Distances of `reach` and more share one number: the bias of C. Raffel and others 2019, arXiv 1910.10683, simplified.
    `read` may get memories, what the blocks read in the segment before: Z. Dai and others 2019, arXiv 1901.02860.
    """

    def __init__(self, seeds, symbols, *, reach=16, **options):
        super().__init__(seeds, symbols, positions=False, **options)
        shape = len(self.generators), self.heads, reach
        self.biases = [torch.zeros(shape).requires_grad_() for _ in self.blocks]

    def parameters(self):
        return [*super().parameters(), *self.biases]

    def look_back(self, x, past, block, bias):
        """What attention adds to the places of x, (K, N, T, units), that look at `past`, which ends with them."""
        wq, wk, wv = block[0].chunk(3, -1)
        q, k, v = (split(linear(*pair), self.heads) for pair in ((x, wq), (past, wk), (past, wv)))
        time, seen = x.shape[-2], past.shape[-2]
        distance = torch.arange(seen - time, seen)[:, None] - torch.arange(seen)
        scores = q @ k.mT / q.shape[-1] ** 0.5
        scores = scores + bias[:, :, distance.clamp(0, bias.shape[-1] - 1)][:, None]
        weights = scores.masked_fill(distance < 0, -math.inf).softmax(-1)
        return linear(merge(weights @ v), block[1])

    def read(self, X, memories=None):
        """The logits of letters X, (K or 1, N, T), and the x that each block has read, without its gradient."""
        x, kept = self.embed(X), []
        for n, (block, bias) in enumerate(zip(self.blocks, self.biases, strict=True)):
            kept.append(x.detach())
            past = x if memories is None else torch.cat([memories[n], x], -2)
            x = x + self.look_back(norm(x), norm(past), block, bias)
            x = x + self.branches(block)[1](norm(x))
        return linear(norm(x), self.output[0]) + self.output[1][:, None], kept

    def __call__(self, X):
        return self.read(X)[0]


def text_of(names, stoi):
    """Names joined to one text, each with a "." behind it: (letters,)."""
    return torch.tensor([stoi[letter] for name in names for letter in name + "."])


def segment_losses(network, pieces, memory=False):
    """The loss at each place of the second half of pieces, (K or 1, N, 2 T + 1), (K, N, T).

    memory: what the network has read in the first half is at hand.
    """
    time, memories = pieces.shape[-1] // 2, None
    if memory:
        with torch.no_grad():
            _, memories = network.read(pieces[..., :time])
    logits, _ = network.read(pieces[..., time:-1], memories)
    wanted = pieces[..., time + 1 :].expand(len(logits), -1, -1)
    return F.cross_entropy(logits.flatten(0, 2), wanted.flatten(), reduction="none").view_as(wanted)


def text_loss(text, time=16, size=32, memory=False):
    """For `recurrent.train`: the loss per letter on `size` segments of `time` letters from anywhere in a text."""
    within = torch.arange(2 * time + 1)

    def loss_of(network):
        most = len(text) - 2 * time
        starts = [torch.randint(0, most, (size, 1), generator=g) for g in network.generators]
        return segment_losses(network, text[torch.stack(starts) + within], memory).mean((1, 2))

    return loss_of


def loss_by_place(network, text, time, memory=False, letters=12_000):
    """The loss at each place of a segment of `time` letters, (K, time), on about so many letters of the text."""
    starts = torch.arange(0, len(text) - 2 * time, time)[: letters // time, None]
    with torch.no_grad():
        return segment_losses(
            network, text[starts + torch.arange(2 * time + 1)][None], memory
        ).mean(1)


def against_torch(self_attention, K=4, time=9, units=24, heads=3):
    """The largest difference to F.scaled_dot_product_attention with a causal mask: (of outputs, of gradients).

    self_attention: a function of x, (K, time, units), three matrices (units, units), and the number of heads.
    """
    g = torch.Generator().manual_seed(18)
    x = torch.randn((K, time, units), generator=g)
    drawn = [torch.randn((units, units), generator=g) / units**0.5 for _ in range(3)]
    arriving = torch.randn((K, time, units), generator=g) / (K * time)

    def theirs(x, Wq, Wk, Wv, heads):
        q, k, v = (split(x @ W, heads) for W in (Wq, Wk, Wv))
        return merge(F.scaled_dot_product_attention(q, k, v, is_causal=True))

    results = []
    for function in (self_attention, theirs):
        weights = [W.clone().requires_grad_() for W in drawn]
        out = function(x, *weights, heads)
        (out * arriving).sum().backward()
        results.append((out.detach(), torch.stack([W.grad for W in weights])))
    (ours, of_ours), (out, of_theirs) = results
    return (ours - out).abs().max().item(), (of_ours - of_theirs).abs().max().item()


# ---------------------------------------------------------------- Pictures

COLORS = ["C1", "C2", "C0", "C4", "C3"]
SIZES = [1, 4, 16, 64, 256, 1024]  # d, numbers in a query
KEY_STDS = [0.25, 0.5, 1, 2, 4]


def draw_right(results, title, guess=None, blind=None):
    """How many % of the letters are right, over the name's length, and a table of the ends.

    results: {name of a network: Trained}. guess: a helpers.Guess of a share, marked. blind: of `blind`, dashed.
    """
    ax = plt.figure(figsize=(7, 3.6)).gca()
    for (name, (_, columns, values)), color, fmt in zip(
        results.items(), COLORS, ("s-", "^-", "o-"), strict=False
    ):
        mean, error = mean_and_error(values.T)
        lengths = [*columns]
        ax.errorbar(
            lengths, mean, error, fmt=fmt, color=color, capsize=6, markersize=3, lw=1, label=name
        )
        ends = [f"{mean[n]:5.1f} ± {error[n]:.1f} % in names of {lengths[n]}" for n in (0, -1)]
        print(f"{name:18} letters right: {', '.join(ends)}")
    if blind is not None:
        ax.plot(lengths, blind, "--", color="0.5", label="the same letters for every name")
        print(f"{'the same letters':18} letters right: at most {max(blind):.0f} %")
    ax.set(xlabel="letters of the name", ylabel="letters right in %, mean of five", ylim=(0, 105))
    ax.set_title(title)
    ax.legend(loc="center left", fontsize=8)
    if guess is not None:
        guess.mark(ax, "y")
    plt.show()


def draw_maps(letters, maps, itos):
    """The attention of the first network for the first name, with its letters, and the mean over all.

    letters: the names, (T, N). maps: (K, N, T written, T read).
    """
    name, one, mean = (
        "".join(itos[i] for i in letters[:, 0].tolist()),
        maps[0, 0],
        maps.mean((0, 1)),
    )
    figure, axes = plt.subplots(1, 2, figsize=(11, 4.9))
    titles = (
        f"One network writes “{name[::-1]}”",
        "Mean over five networks and all dev names this long",
    )
    for ax, weights, title in zip(axes, (one, mean), titles, strict=True):
        image = ax.imshow(weights.numpy(), vmin=0, vmax=1, cmap="viridis")
        ax.set(title=title, xlabel="letter read", ylabel="letter to write")
        ax.grid(visible=False)
        figure.colorbar(image, ax=ax, label="weight", shrink=0.85)
    places = range(len(name))
    axes[0].set_xticks(places, list(name))
    axes[0].set_yticks(places, list(name[::-1]))
    axes[1].set_xticks(places, [str(n + 1) for n in places])
    axes[1].set_yticks(places, [str(n + 1) for n in places])
    plt.show()


def draw_scores(sizes, measured, theory, guess):
    """Std of scores, larger of two weights, slope of the softmax, over d: dots measured, lines theory.

    measured, theory: {divided (a bool): (len(sizes), 3)}. guess: a helpers.Guess of the larger weight, marked.
    """
    figure, axes = plt.subplots(1, 3, figsize=(11, 3.6))
    labels = "std of a score", "larger of two weights, mean", "slope p(1 − p), mean"
    for n, (ax, label) in enumerate(zip(axes, labels, strict=True)):
        for divided, color, dot in (
            (False, "C1", {"markersize": 5}),
            (True, "C0", {"markersize": 9, "mfc": "none"}),
        ):
            name = "divided by √d" if divided else "dot product"
            ax.plot(sizes, theory[divided][:, n], color=color)
            ax.plot(sizes, measured[divided][:, n], "o", color=color, label=name, **dot)
        ax.set(xscale="log", xlabel="d, numbers in a query", ylabel=label)
    axes[0].set(yscale="log")
    axes[1].set(ylim=(0.5, 1.02))
    axes[2].set(ylim=(0, 0.25))
    axes[0].legend(loc="upper left")
    guess.mark(axes[1], "y")
    figure.suptitle("Random queries and keys of std 1 (lines: theory for large d)")
    plt.show()
    for n, d in enumerate(sizes):
        words = [
            f"std {row[n, 0]:5.2f}, larger weight {row[n, 1]:.2f}, slope {row[n, 2]:.3f}"
            for row in (measured[False], measured[True])
        ]
        if d in (4, 64, 1024):
            print(f"d = {d:4}: {words[0]} | divided: {words[1]}")


def random_weights(sizes=SIZES, keys=8, samples=300):
    """A function of d, one of `sizes`, the std of the keys, and whether scores are divided by the root of d.

    It gives the weights, (samples, keys), of random queries over as many random keys.
    """
    g = torch.Generator().manual_seed(18)
    q = torch.randn((samples, 1, sizes[-1]), generator=g)
    k = torch.randn((samples, keys, sizes[-1]), generator=g)
    dots = {d: (q[..., :d] @ k[..., :d].mT)[:, 0] for d in sizes}

    def weights(d, key_std, divided):
        return (dots[d] * key_std / (d**0.5 if divided else 1)).softmax(-1)

    return weights


def look_panel(figure, sizes=SIZES, keys=8):
    """A panel over d, the std of the keys and the division: random attention; returns `update` for helpers.Panel."""
    weights = random_weights(sizes, keys)
    left, right = figure.subplots(1, 2, width_ratios=(1, 1.2))
    image = left.imshow(torch.zeros(keys, keys).numpy(), vmin=0, vmax=1, cmap="viridis")
    left.set(title="Weights of eight queries", xlabel="key", ylabel="query")
    left.set_xticks([])
    left.set_yticks([])
    figure.colorbar(image, ax=left, label="weight")
    (curve,) = right.plot([], [], "o-", color="C1")
    (here,) = right.plot([], [], "o", color="C0", markersize=11)
    right.axhline(1 / keys, color="0.6", linestyle="--", zorder=0)
    right.set(xscale="log", xlim=(sizes[0] / 1.5, sizes[-1] * 1.5), ylim=(0, 1.03))
    right.set(xlabel="d", ylabel="largest of eight weights, mean")
    right.set_title("All sizes (dashed: all weights equal)")

    curves = {
        (std, divided): [weights(d, std, divided).amax(-1).mean().item() for d in sizes]
        for std in KEY_STDS
        for divided in (False, True)
    }

    def update(d, key_std, divided):
        image.set_data(weights(d, key_std, divided)[:keys].numpy())
        largest = curves[key_std, divided]
        curve.set_data(sizes, largest)
        now = largest[sizes.index(d)]
        here.set_data([d], [now])
        std = key_std * (1 if divided else d**0.5)
        return (
            f"d = {d}, keys of std {key_std:g}, {'divided by √d' if divided else 'not divided'}: a score has the std "
            f"{std:.3g}, and the largest weight is {now:.2f} on average."
        )

    return update


LOOKUP_STYLES = {
    "not divided": ("C1", "s-"),
    "smaller start": ("C2", "^-"),
    "smaller steps": ("C3", "v-"),
    "smaller start and steps": ("C4", "D-"),
    "divided": ("C0", "o--"),
}


def draw_lookups(rates, results, at_start):
    """Right letters in % over the learning rate, for each d, and a table.

    results: {(d, one of LOOKUP_STYLES): (rates, seeds)}. at_start: {the same: largest weight before training}.
    """
    sizes = list(dict.fromkeys(d for d, _ in results))
    figure, axes = plt.subplots(1, len(sizes), figsize=(11, 3.8), sharey=True)
    columns = "".join(f"{rate:>8g}" for rate in rates)
    print(f"letters right in %, at rate {columns}  all rates  worst seed*  weight at the start**")
    for (d, name), shares in results.items():
        color, fmt = LOOKUP_STYLES[name]
        mean, error = mean_and_error(shares.T)
        aside = 1.05 ** (list(LOOKUP_STYLES).index(name) - 2)
        axes[sizes.index(d)].errorbar(
            [rate * aside for rate in rates],
            mean,
            error,
            fmt=fmt,
            color=color,
            capsize=3,
            label=name,
        )
        row = "".join(f"{value:8.1f}" for value in mean)
        worst = shares[mean.argmax()].min()
        print(
            f"d = {d:<3} {name:24}{row}{shares.mean():11.1f}{worst:13.1f}{at_start[d, name]:16.2f}"
        )
    print("* at the best rate; ** the largest of six, in the mean")
    for ax, d in zip(axes, sizes, strict=True):
        ax.set(xscale="log", xlabel="learning rate", ylim=(0, 105), title=f"d = {d}")
    axes[0].set_ylabel("letters right in %, mean of five")
    axes[-1].legend(loc="lower left", fontsize=8)
    figure.suptitle("The same task over the rate (points drawn side by side)")
    plt.show()


def draw_pointers(letters, maps, itos):
    """Where a pointer network points, for a few names: letters (T, N), maps (N, T written, T read)."""
    figure, axes = plt.subplots(1, len(maps), figsize=(11, 3.6), squeeze=False)
    for ax, name, weights in zip(axes[0], letters.T.tolist(), maps, strict=True):
        image = ax.imshow(weights.numpy(), vmin=0, vmax=1, cmap="viridis")
        places, name = range(len(name)), [itos[i] for i in name]
        ax.set_xticks(places, name)
        ax.set_yticks(places, [name[place] for place in weights.argmax(-1)])
        ax.set(xlabel="letter read", ylabel="letter pointed at", title="".join(name))
        ax.grid(visible=False)
    figure.colorbar(image, ax=axes, label="weight", shrink=0.8)
    plt.show()


def draw_orders(found):
    """Gradient of x after each block and update:data of each block, at the largest depth, and a table of all depths.

    found: {(blocks, "pre" or "post"): what `at_the_start` returns}.
    """
    _, (left, right) = plt.subplots(1, 2, figsize=(10, 3.6))
    deepest = max(blocks for blocks, _ in found)
    for (blocks, order), (back, steps) in found.items():
        first, last = (
            "{:.2f} ± {:.2f}".format(*(1_000 * v for v in mean_and_error(steps[n])))
            for n in (0, -1)
        )
        print(
            f"{blocks:2} blocks, {order + '-norm':9}: 1,000 update:data first {first}, last {last}"
        )
        if blocks == deepest:
            color, fmt = {"pre": ("C1", "o"), "post": ("C2", "s")}[order]
            style = {"fmt": fmt + "-", "color": color, "capsize": 3, "markersize": 4}
            for ax, rows, start in ((left, back, 0), (right, steps, 1)):
                mean, error = mean_and_error(rows.T)
                places = range(start, start + len(mean))
                ax.errorbar(places, mean, error, label=f"{order}-norm", **style)
    left.set(yscale="log", xlabel="after block", ylabel="gradient of x, std")
    left.set_title(f"Picture 2 at the start, {deepest} blocks")
    right.set(yscale="log", xlabel="block", ylabel="update:data")
    right.set_title("Picture 4 at the start, SGD at rate 0.1")
    left.legend()
    plt.show()


def draw_places(by_place, length, trained):
    """The loss over the place in segments of `length` letters: by_place {(name, length): (K, length)}."""
    ax = plt.figure(figsize=(9, 3.6)).gca()
    shown = [(name, losses) for (name, size), losses in by_place.items() if size == length]
    for (name, losses), color in zip(shown, COLORS, strict=False):
        ax.plot(range(1, length + 1), losses.mean(0), color=color, label=name)
    ax.axvline(trained + 0.5, color="0.6", linestyle="--")
    ax.set(xlabel="place in the segment (dashed: end of those trained on)", ylabel="dev loss")
    ax.set_title("The same texts, read in segments three times as long as in training")
    ax.legend(loc="upper left")
    plt.show()
