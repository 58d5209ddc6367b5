"""Trainings that end early and short evaluations, for tests that run whole lessons; a cell behind the setup imports it.

To a lesson such a training looks like one that was interrupted: the losses of steps that were not made are nan.
"""

import functools
import inspect
import sys
from dataclasses import replace

import clinic.examination
import helpers
import sweep
from lessonkit import interrupts, training
from lessonkit.training import Losses

TRAIN, TRAIN_MANY, EVALUATE = helpers.train, sweep.train_many, helpers.evaluate
PROGRESS = interrupts.progress
EVALUATED = 1_000  # examples


def trainings(most):
    """End each training of helpers.train, sweep.train_many, the clinic, and a lesson's module after this many steps.

    And helpers.evaluate looks at the first EVALUATED examples alone. The trainings of a lesson's own module in
    lessonkit, and loops of its own, end as if interrupted: they count their steps by `interrupts.progress`, there,
    where it is imported, and as helpers.progress.
    """

    @functools.wraps(TRAIN)
    def train(*arguments, **named):
        given, steps = with_fewer_steps(TRAIN, most, arguments, named)
        return padded(TRAIN(*given.args, **given.kwargs), steps)

    @functools.wraps(TRAIN_MANY)
    def train_many(*arguments, **named):
        given, steps = with_fewer_steps(TRAIN_MANY, most, arguments, named)
        runs = TRAIN_MANY(*given.args, **given.kwargs)
        return [replace(run, losses=padded(run.losses, steps)) for run in runs]

    @functools.wraps(EVALUATE)
    def evaluate(model, X, Y):
        return EVALUATE(model, X[:EVALUATED], Y[:EVALUATED])

    @functools.wraps(PROGRESS)
    def progress(steps, *arguments, **named):
        return PROGRESS(min(steps, most), *arguments, **named)

    helpers.train, sweep.train_many, helpers.evaluate = train, train_many, evaluate
    helpers.progress = progress
    for module in list(sys.modules.values()):
        of_lessons = getattr(module, "__name__", "").startswith("lessonkit.")
        if of_lessons and module is not training and vars(module).get("progress") is PROGRESS:
            module.progress = progress
    clinic.examination.STEPS, clinic.examination.EVALUATED = most, EVALUATED


def with_fewer_steps(function, most, arguments, named):
    """The arguments of a call of `function` with its `steps` limited, and the steps that were asked for."""
    given = inspect.signature(function).bind(*arguments, **named)
    asked = given.arguments["steps"]
    given.arguments["steps"] = min(asked, most)
    return given, asked


def padded(losses, steps):
    """The same Losses, for as many steps as were asked for."""
    return Losses(losses[: losses.done], steps)
