"""The search for a counter-example: it finds what is there, small, the same each time, and leaves nothing behind."""

import warnings

import pytest
import torch

from lessonkit import puzzles


def turned(t):
    return [list(column) for column in zip(*t, strict=True)]


def looked_up(C, X):
    return [[C[i] for i in row] for row in X]


def shares(t):
    return [[number / sum(row) for number in row] for row in t]


TABLE = puzzles.table("rows", "columns")
LOOK_UP = {
    "C": puzzles.table("symbols", "width"),
    "X": puzzles.places("a", "b", below="symbols"),
}
SQUARE = puzzles.table("symbols", "symbols", of=(1, 2, 3))


def test_a_right_line_has_no_counterexample():
    for found in (
        puzzles.counterexample(turned, lambda t: t.T, t=TABLE),
        puzzles.counterexample(looked_up, lambda C, X: C[X], **LOOK_UP),
        puzzles.counterexample(shares, lambda t: t / t.sum(1, keepdim=True), t=SQUARE),
    ):
        assert not found
        assert str(found) == "no counter-example in 200 random inputs"


@pytest.mark.parametrize(
    ("loops", "line", "drawn", "said"),
    [
        (turned, lambda t: t.view(t.shape[::-1]), {"t": TABLE}, "t = [[0, 0], [1, 0]]"),
        (shares, lambda t: t / t.sum(1), {"t": SQUARE}, "t = [[1, 1], [1, 2]]"),
        (looked_up, lambda C, X: C[X.T], LOOK_UP, "X = [[0, 0]]"),
        (shares, lambda t: t / 0, {"t": SQUARE}, "the line says [[inf]]"),
        (shares, lambda t: t.view(7, -1), {"t": SQUARE}, "the line raises RuntimeError"),
        (sum, lambda t: t, {"t": puzzles.table("n")}, "the loops say 0\nthe line says [0]"),
    ],
)
def test_a_wrong_line_has_a_small_one_and_it_is_the_same_each_time(loops, line, drawn, said):
    found, again = (puzzles.counterexample(loops, line, **drawn) for _ in range(2))
    assert found
    assert said in str(found)
    assert str(found) == str(again)
    assert found.on_one_line().count("\n") == 0


def test_sizes_of_one_name_are_equal_and_places_exist():
    seen = []

    def look(C, X):
        seen.append((C.shape, X.shape, X.max().item()))
        return C[X]

    puzzles.counterexample(looked_up, look, **LOOK_UP)
    assert len({C for C, _, _ in seen}) > 4
    assert all(largest < C[0] <= 4 for C, _, largest in seen)
    squares = []
    puzzles.counterexample(shares, lambda t: squares.append(t.shape) or 1 / 0, t=SQUARE)
    assert all(rows == columns for rows, columns in squares)


def test_it_leaves_nothing_behind_and_warns_of_nothing(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        puzzles.counterexample(turned, lambda t: t.std(0), t=TABLE)  # torch warns of one row
    assert not list(tmp_path.iterdir())


def test_a_line_cannot_change_what_the_loops_see():
    found = puzzles.counterexample(turned, lambda t: t.mul_(2), t=puzzles.table("n", "n", of=(1,)))
    assert found.inputs["t"].tolist() == [[1]]
    assert torch.equal(found.line, torch.tensor([[2.0]]))


def test_errors_of_the_loops_and_interruptions_are_not_hidden():
    with pytest.raises(ZeroDivisionError):
        puzzles.counterexample(lambda t: 1 / 0, lambda t: t, t=TABLE)

    def interrupted(t):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        puzzles.counterexample(turned, interrupted, t=TABLE)
