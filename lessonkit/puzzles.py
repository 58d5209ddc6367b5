"""Does a line of tensor code say what plain loops say? A search for a small input on which the two differ (lesson 00).

Lesson 00 imports it as `puzzles`, and so do its checkers. Hypothesis draws the inputs and makes what it finds smaller.
It is imported when a search starts, because no other lesson needs it.
"""

import tempfile
import warnings
from contextlib import contextmanager
from dataclasses import dataclass, field

import torch

# How large the sizes may be, and how many inputs are tried: small ones first, so that what is found is small.
ROUNDS = ((1, 50), (2, 50), (4, 200))


@dataclass(frozen=True)
class Drawn:
    """How an input is drawn: the names of its sizes, and what its entries may be, the simplest first.

    below: the name of a size; the entries are then places in it, whole numbers from 0.
    """

    sizes: tuple
    of: tuple = ()
    below: str | None = None


def table(*sizes, of=(0.0, 1.0, 2.0, 3.0, -1.0, -2.0, -3.0)):
    """An input whose sizes have these names, with small whole numbers as floats: sums and products are exact.

    Equal names are equal sizes, in all inputs of a search.
    """
    return Drawn(sizes, tuple(float(number) for number in of))


def places(*sizes, below):
    """An input of whole numbers from 0 that are places in something whose size has the name `below`."""
    return Drawn(sizes, below=below)


@dataclass(frozen=True)
class Search:
    """What a search has found; true if it is something. print shows it.

    inputs: the smallest that was found, a dict of tensors. loops, line: what the two make of it, as tensors; words if
    the line raises an error.
    """

    inputs: dict = field(default_factory=dict)
    loops: object = None
    line: object = None

    def __bool__(self):
        return bool(self.inputs)

    def __str__(self):
        if not self:
            return f"no counter-example in {ROUNDS[-1][1]} random inputs"
        drawn = [f"{name} = {shown(value)}" for name, value in self.inputs.items()]
        line = "the line " if isinstance(self.line, str) else "the line says "
        return "\n".join(
            [*drawn, f"the loops say {shown(self.loops)}", f"{line}{shown(self.line)}"]
        )

    def on_one_line(self):
        """The same as part of a sentence."""
        drawn = " and ".join(f"{name} = {shown(value)}" for name, value in self.inputs.items())
        return f"for {drawn} the loops give {shown(self.loops)}, your function {shown(self.line)}"


def shown(value):
    """A tensor as nested lists, with three digits behind the point where they are needed; other things as they are."""
    if not isinstance(value, torch.Tensor):
        return str(value)
    if value.dim():
        return f"[{', '.join(shown(part) for part in value)}]"
    number = round(value.item(), 3) + 0  # + 0 makes 0 of -0
    return f"{number:g}"


def counterexample(loops, line, **inputs):
    """Search for inputs on which `line`, a function of tensors, gives something else than `loops` does.

    loops: the specification, a function of nested lists. inputs: by their names, in the order of the arguments, a
    `table` or `places`. Returns a Search. It is the same each time. An error that the line raises counts as a
    difference; one that the loops raise is raised here.
    """
    import hypothesis

    for largest, tries in ROUNDS:
        settings = hypothesis.settings(
            max_examples=tries, derandomize=True, database=None, deadline=None
        )
        with _away(hypothesis.configuration.set_hypothesis_home_dir):
            try:
                found = hypothesis.find(
                    _some(inputs.values(), largest),
                    lambda drawn: not same(*answers(loops, line, drawn)),
                    settings=settings,
                )
            except hypothesis.errors.NoSuchExample:
                continue
        return Search(dict(zip(inputs, found, strict=True)), *answers(loops, line, found))
    return Search()


def _some(inputs, largest):
    """The strategy for a list of inputs, whose sizes are 1 to `largest`."""
    from hypothesis import strategies

    @strategies.composite
    def some(draw):
        sizes = {}
        for name in (name for drawn in inputs for name in (*drawn.sizes, drawn.below)):
            if name is not None and name not in sizes:
                sizes[name] = draw(strategies.integers(1, largest))
        return [_tensor(draw, strategies, drawn, sizes) for drawn in inputs]

    return some()


def _tensor(draw, strategies, drawn, sizes):
    """One input: a tensor of floats, or of whole numbers where these are places."""
    shape = [sizes[name] for name in drawn.sizes]
    entries = range(sizes[drawn.below]) if drawn.below else drawn.of
    count = torch.Size(shape).numel()
    numbers = [draw(strategies.sampled_from(entries)) for _ in range(count)]
    return torch.tensor(numbers, dtype=torch.int64 if drawn.below else torch.float32).view(shape)


@contextmanager
def _away(set_home):
    """Let hypothesis keep its notes in a folder that goes at the end, and none beside the lesson."""
    with tempfile.TemporaryDirectory() as folder:
        set_home(folder)
        try:
            yield
        finally:
            set_home(None)


def answers(loops, line, drawn):
    """What the loops and the line make of these inputs: two tensors, or words instead of the second."""
    wanted = torch.as_tensor(loops(*(tensor.tolist() for tensor in drawn)))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            got = torch.as_tensor(line(*(tensor.clone() for tensor in drawn))).detach()
        except Exception as error:  # anything may happen in a line that is being tried
            return wanted, f"raises {type(error).__name__}"
    return wanted, got


def same(wanted, got):
    """Whether two answers have the same shape, and the same numbers but for rounding."""
    if not isinstance(got, torch.Tensor) or got.shape != wanted.shape:
        return False
    return torch.allclose(got.double(), wanted.double(), rtol=1e-4, atol=1e-5, equal_nan=True)
