"""The loops that lesson 00 shows are those that its checkers compare with."""

import pytest
import shown_exercises as shared
import torch

from exercises import lesson_00

SHOWN = {found.number: found.start for found in shared.ALL if found.number.startswith("0.")}


@pytest.mark.parametrize(
    ("number", "name", "example"),
    [
        ("0.1", "side_by_side_by_loops", ([[1, 2], [3, 4], [5, 6]], [[0, 2], [1, 1], [2, 0]])),
        ("0.2", "standardize_by_loops", ([[1.0, 2.0, 0.0], [4.0, -1.0, 0.0]],)),
        ("0.3", "mean_cost_by_loops", ([[0.5, 0.25, 0.25], [0.1, 0.7, 0.2]], [2, 1])),
        (
            "0.4",
            "gradient_by_loops",
            (
                [[1.0, -0.5], [0.3, 2.0]],
                [[0.1, 0.2, 0.3], [-0.4, 0.5, 0.6]],
                [[1.0, 2.0, -1.0]] * 2,
            ),
        ),
    ],
)
def test_the_lesson_and_the_checker_have_the_same_loops(number, name, example, capsys):
    space = {}
    exec("import math, torch, exercises\n" + SHOWN[number], space)
    shown, ours = (
        torch.tensor(loops(*example)) for loops in (space[name], getattr(lesson_00, name))
    )
    assert torch.allclose(shown.double(), ours.double(), rtol=1e-6)
