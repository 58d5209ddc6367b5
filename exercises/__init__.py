"""Checkers for the exercises of the lessons: they say what is wrong, in the lesson's words, and never the solution.

A starting cell of a lesson ends with `exercises.check("2.1", answer)`, where the answer is the learner's function or
value. The checkers of lesson 02 stand in exercises/lesson_02.py, and so on; each is a function of the answer that

- raises `Wrong(message)` as soon as something is not right. The message starts with what is right, then says what is
  not, and asks the question that leads on;
- returns a sentence about the solved exercise otherwise.

Lessons find this package as they find helpers.py: it stands beside it. `exercises.summary("answers/")` collects
what the checkers have said in the saved notebooks of a class.
"""

import importlib
import math
import numbers
from pathlib import Path

import torch

from exercises.summary import summary as summary

CHECKERS = {}  # by the exercise's number, such as "2.1"
LESSONS = sorted(
    int(path.stem.removeprefix("lesson_"))
    for path in Path(__file__).parent.glob("lesson_[0-9][0-9].py")
)


class Wrong(Exception):
    """What is wrong with an answer, for the learner."""


class Unsolved(Exception):
    """The answer is still that of the untouched starting cell."""


def exercise(number):
    """Decorate a checker with its exercise's number."""

    def register(checker):
        if number in CHECKERS:
            raise ValueError(f"exercise {number} has two checkers")
        CHECKERS[number] = checker
        return checker

    return register


def check(number, answer):
    """Check an answer, and say in one line what came of it. Raises KeyError for an exercise that does not exist."""
    if number not in CHECKERS:
        raise KeyError(f"there is no exercise {number!r}; there are {', '.join(sorted(CHECKERS))}")
    try:
        said = CHECKERS[number](solved(answer))
    except Unsolved:
        print(
            f"✎ Exercise {number} waits for you: replace the `...` above and run this cell again."
        )
    except Wrong as wrong:
        print(f"Exercise {number}, not yet: {wrong}")
    else:
        print(f"★ Exercise {number} solved. {said}")


# ---------------------------------------------------------------- What checkers are made of


def solved(answer):
    """The answer, unless it is `...` or None. Raises Unsolved."""
    if answer is ... or answer is None:
        raise Unsolved
    return answer


def call(function, *arguments):
    """What the learner's function returns. Raises Wrong if it is no function or raises, and Unsolved for `...`."""
    if not callable(function):
        raise Wrong(f"a function is asked for, and this is {described(function)}.")
    try:
        result = function(*arguments)
    except Exception as error:  # anything may happen in a learner's code, and all of it is told
        shown = ", ".join(described(argument) for argument in arguments)
        told = " ".join(str(error).split())  # on one line
        raise Wrong(
            f"your function raised {type(error).__name__}: {told} (called with {shown})."
        ) from error
    if result is None:
        raise Wrong("your function returned None. Does it return its result, or only print it?")
    return solved(result)


def as_number(value, what="the result"):
    """A finite float from a number or a tensor of one element. Raises Wrong."""
    if isinstance(value, torch.Tensor) and value.numel() == 1:
        value = value.item()
    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        raise Wrong(f"{what} must be a number, and is {described(value)}.")
    if not math.isfinite(value):
        raise Wrong(f"{what} is {value}: somewhere a 0 was divided by, or its logarithm taken.")
    return float(value)


def as_tensor(value, shape, what="the result"):
    """A finite tensor of this shape, in double precision and without its history. Raises Wrong."""
    if not isinstance(value, torch.Tensor):
        raise Wrong(f"{what} must be a tensor, and is {described(value)}.")
    if tuple(value.shape) != tuple(shape):
        raise Wrong(f"{what} has the shape {tuple(value.shape)}, and should have {tuple(shape)}.")
    if not value.isfinite().all():
        raise Wrong(
            f"{what} holds nan or inf: somewhere a 0 was divided by, or its logarithm taken."
        )
    return value.detach().double()


def close(measured, expected, within):
    """Whether two numbers, or all numbers of two tensors, differ by at most `within`."""
    difference = torch.as_tensor(measured).double() - torch.as_tensor(expected).double()
    return difference.abs().max().item() <= within


def recognize(result, usual, within, *, relative=False, start=""):
    """Raise Wrong if the result, a number or a tensor, is what one of the usual mistakes produces.

    usual: pairs of what the mistake produces and the message, of which the first that fits counts. within: the
    difference that is none; relative: as a share of what is produced. start: stands before the message.
    """
    for produced, message in usual:
        if close(result, produced, within * abs(float(produced)) if relative else within):
            raise Wrong(start + message)


def described(value):
    """A value in a few words."""
    if isinstance(value, torch.Tensor):
        return f"a tensor of shape {tuple(value.shape)}"
    text = repr(value)
    return f"{text if len(text) < 40 else text[:37] + '...'} ({type(value).__name__})"


for _lesson in LESSONS:
    importlib.import_module(f"exercises.lesson_{_lesson:02d}")
