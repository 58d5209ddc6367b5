"""Every exercise: its solution passes, its usual mistakes are named, its starting cell is friendly, nonsense too."""

import importlib
import math

import pytest
import shown_exercises as shared
import torch
from mistakes_02 import CHANGED, TRAIN

import exercises

ALL = shared.ALL
MISTAKES = [
    pytest.param(number, code, phrase, id=f"{number}: {phrase[:40]}")
    for lesson in exercises.LESSONS
    for number, code, phrase in importlib.import_module(f"mistakes_{lesson:02d}").MISTAKES
]


@pytest.fixture(params=ALL, ids=lambda found: found.number)
def shown(request):
    return request.param


def test_lessons_and_checkers_have_the_same_exercises():
    in_order = sorted(exercises.CHECKERS, key=lambda number: [*map(int, number.split("."))])
    assert [found.number for found in ALL] == in_order
    assert sorted({int(found.number.partition(".")[0]) for found in ALL}) == exercises.LESSONS
    for lesson in exercises.LESSONS:
        count = sum(found.number.startswith(f"{lesson}.") for found in ALL)
        assert 2 <= count <= 4, f"lesson {lesson:02d} has {count} exercises"


def test_it_has_difficulty_minutes_hints_and_a_folded_solution(shown):
    assert shared.FACTS.search(shown.text)
    folded = [summary for summary, _ in shared.FOLDED.findall(shown.text)]
    assert folded[0] == "Hint 1"
    assert folded[-1] == "Solution"
    assert "your code" in shown.start
    assert "..." in shown.start
    assert f'exercises.check("{shown.number}", ' in shown.start


def test_the_worked_solution_passes(shown, capsys):
    said = shared.run(shown.solution, capsys)
    assert said.count("★") == 1, said
    assert f"★ Exercise {shown.number} solved. " in said


def test_the_untouched_starting_cell_is_friendly(shown, capsys):
    said = shared.run(shown.start, capsys)
    assert (
        said
        == f"✎ Exercise {shown.number} waits for you: replace the `...` above and run this cell again.\n"
    )


@pytest.mark.parametrize(("number", "code", "phrase"), MISTAKES)
def test_a_usual_mistake_is_named_and_the_solution_is_not(number, code, phrase, capsys):
    """`code` is the whole cell but for its last line, the call of the checker."""
    by_number = {found.number: found for found in ALL}
    call = next(line for line in by_number[number].start.splitlines() if "exercises.check(" in line)
    said = shared.run(f"{code}\n{call}", capsys)
    assert said.startswith(f"Exercise {number}, not yet: ")
    assert phrase in said


def test_each_exercise_knows_two_mistakes_or_more():
    for number in exercises.CHECKERS:
        assert sum(case.values[0] == number for case in MISTAKES) >= 2, number


def fails(*_):
    raise RuntimeError("a learner's own mistake")


NONSENSE = {
    "a string": "twelve",
    "a list": [1, "two"],
    "an object": object(),
    "nan": math.nan,
    "a tensor of nan": torch.tensor([math.nan]),
    "the wrong shape": torch.zeros(3, 1, 4, 1, 5),
    "a function that returns a string": lambda *_: "twelve",
    "a function that returns nan": lambda *_: math.nan,
    "a function that returns a tensor of the wrong shape": lambda *_: torch.zeros(3, 1, 4, 1, 5),
    "a function that returns a tuple": lambda *_: (1, 2),
    "a function that prints and returns nothing": lambda *_: None,
    "a function that raises": fails,
    "a function of no arguments": lambda: 1,
}


@pytest.mark.parametrize("number", sorted(exercises.CHECKERS))
@pytest.mark.parametrize("answer", NONSENSE.values(), ids=NONSENSE.keys())
def test_nonsense_gets_a_clear_message(number, answer, capsys):
    exercises.check(number, answer)
    said = capsys.readouterr().out
    assert said.startswith(f"Exercise {number}, not yet: ")
    assert said.count("\n") == 1


def test_a_function_that_still_returns_dots_is_unsolved(capsys):
    for number in exercises.CHECKERS:
        exercises.check(number, ...)
        assert "waits for you" in capsys.readouterr().out


def test_an_unknown_exercise_is_named():
    with pytest.raises(KeyError, match=r"there is no exercise '99\.1'; there are"):
        exercises.check("99.1", 3)


def test_an_interruption_is_not_taken_for_a_mistake():
    def interrupted(*_):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        exercises.call(interrupted)


# ---------------------------------------------------------------- recognize


def test_a_usual_mistake_is_recognized_within_a_difference():
    usual = [(2.0, "two."), (2.05, "a little more."), (-100, "minus a hundred.")]
    for result in (1.9, 2.0, 2.1, torch.tensor(2.1)):
        with pytest.raises(exercises.Wrong, match=r"^so: two\.$"):  # the first that fits
            exercises.recognize(result, usual, 0.101, start="so: ")
    for result in (2.2, -100.2, math.inf, torch.tensor(3.0)):
        exercises.recognize(result, usual, 0.101)
    for result in (-99.1, -100.9):
        with pytest.raises(exercises.Wrong, match=r"^minus a hundred\.$"):
            exercises.recognize(result, usual, 0.01, relative=True)
    exercises.recognize(-101.1, usual, 0.01, relative=True)


def test_a_tensor_is_recognized_by_all_of_its_numbers():
    usual = [(torch.tensor([1.0, 2.0]), "these two.")]
    with pytest.raises(exercises.Wrong, match=r"^these two\.$"):
        exercises.recognize(torch.tensor([1.0, 2.1]), usual, 0.2)
    exercises.recognize(torch.tensor([1.0, 2.3]), usual, 0.2)
    exercises.recognize(torch.tensor([1.0, math.nan]), usual, 0.2)


@pytest.mark.parametrize("symbols", [3, 24, 27, 73])
def test_all_weights_and_biases_zero_works_for_any_vocabulary(symbols, capsys):
    """Exercise 2.2, whose checker gives data, with a network as large as a learner's own list of names asks for."""
    right = TRAIN.format(copy="p.clone()", steps="steps", chosen=CHANGED)
    assert right.count(", 27)") == 1
    code = right.replace(", 27)", f", {symbols})")
    said = shared.run(f'{code}\nexercises.check("2.2", trained_tables)', capsys)
    assert said.startswith("★ Exercise 2.2 solved.")
