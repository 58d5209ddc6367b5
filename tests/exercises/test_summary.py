"""What a class has solved, read from saved notebooks: whatever learners do to them, and what their code earns."""

import copy
import csv
import json
import runpy
import sys
from dataclasses import asdict

import lessons
import mistakes_03
import pytest
import shown_exercises as shared

import exercises
from exercises.summary import LESSONS_FOLDER, Cell, rerun, results_of

COMPANION = json.loads((LESSONS_FOLDER / "03b_ask_and_practise.ipynb").read_text(encoding="utf-8"))
NUMBERS = ["3.1", "3.2", "3.3"]
SOLVED = "★ Exercise 3.1 solved. Well seen.\n"


def learners(**changes):
    """The companion of lesson 03, where ex_3_1={"outputs": []} changes the cell of exercise 3.1."""
    notebook = copy.deepcopy(COMPANION)
    for number, change in changes.items():
        call = f'exercises.check("{number[3:].replace("_", ".")}"'
        (cell,) = [c for c in notebook["cells"] if c["cell_type"] == "code" and call in source(c)]
        cell.update(change)
    return notebook


def source(cell):
    return "".join(cell["source"])


def printed(text):
    """The saved outputs of a cell that has printed this."""
    return [{"output_type": "stream", "name": "stdout", "text": text}]


def saved(folder, notebook, name="03b_ask_and_practise.ipynb", encoding="utf-8"):
    """The path of the notebook, saved in this folder."""
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(json.dumps(notebook, ensure_ascii=False).encode(encoding))
    return path


def states(found):
    return {result.exercise: result.state for result in found.results}


def result(found, number):
    (only,) = [result for result in found.results if result.exercise == number]
    return only


# ---------------------------------------------------------------- What a cell has said


def test_the_companions_as_they_are_have_every_exercise_not_begun():
    found = exercises.summary(LESSONS_FOLDER)
    asked = [result for result in found.results if result.exercise]
    assert sorted(result.exercise for result in asked) == sorted(exercises.CHECKERS)
    assert {result.state for result in asked} == {"not begun"}
    assert not found.unreadable


@pytest.mark.parametrize(("number", "code", "phrase"), mistakes_03.MISTAKES)
def test_a_mistake_is_told_in_the_checkers_words(number, code, phrase, tmp_path, capsys):
    (call,) = [s.start.splitlines()[-1] for s in shared.ALL if s.number == number]
    said = shared.run(f"{code}\n{call}", capsys)
    changed = {"ex_" + number.replace(".", "_"): {"outputs": printed(said)}}
    found = exercises.summary(saved(tmp_path, learners(**changed)))
    assert states(found) == dict.fromkeys(NUMBERS, "not begun") | {number: "not yet"}
    assert phrase in result(found, number).message
    assert f"1 × {result(found, number).message}" in str(found)


@pytest.mark.parametrize("shown", [s for s in shared.ALL if s.number in NUMBERS])
def test_a_solution_is_solved(shown, tmp_path, capsys):
    said = shared.run(shown.solution, capsys)
    changed = {"ex_" + shown.number.replace(".", "_"): {"outputs": printed(said)}}
    found = exercises.summary(saved(tmp_path, learners(**changed)))
    assert result(found, shown.number).state == "solved"
    assert f"{shown.number}: solved by 1 of 1" in str(found)


RAISES = [{"output_type": "error", "ename": "NameError", "evalue": "no x", "traceback": []}]
CHANGES = {
    "never run": ({"outputs": [], "execution_count": None}, "not run", ""),
    "raises": ({"outputs": RAISES}, "raised", ""),
    "raises behind the checker": ({"outputs": printed(SOLVED) + RAISES}, "solved", ""),
    "no outputs at all": ({"outputs": None}, "not run", ""),
    "saved as lines": ({"outputs": printed(["★ Exercise 3.1 ", "solved. Yes.\n"])}, "solved", ""),
    "in two streams": (
        {"outputs": printed("★ Exercise 3.1") + printed(" solved. Yes.\n")},
        "solved",
        "",
    ),
    "among other prints": ({"outputs": printed(f"x = 3\n{SOLVED}done\n")}, "solved", ""),
    "the sign is lost": ({"outputs": printed("â˜… Exercise 3.1 solved. Yes.\n")}, "solved", ""),
    "on stderr": (
        {"outputs": [{"output_type": "stream", "name": "stderr", "text": SOLVED}]},
        "not run",
        "",
    ),
    "the call is edited": (
        {"source": "exercises.check( '3.1', 0.25**5)", "outputs": printed(SOLVED)},
        "solved",
        "",
    ),
    "printed, not checked": (
        {"source": "print('...')", "outputs": printed(SOLVED)},
        "solved",
        "without a call",
    ),
    "printed, the call commented out": (
        {"source": '# exercises.check("3.1", 1)\nprint("...")', "outputs": printed(SOLVED)},
        "solved",
        "without a call",
    ),
    "another number": (
        {"source": 'exercises.check("3.9", 1)', "outputs": RAISES},
        "missing",
        "",
    ),
    "the cell is emptied": ({"source": "", "outputs": []}, "missing", ""),
    "broken code": ({"source": 'def (:\nexercises.check("3.1", x)', "outputs": []}, "not run", ""),
}


@pytest.mark.parametrize(("change", "state", "note"), CHANGES.values(), ids=CHANGES)
def test_what_learners_do_to_a_cell(change, state, note, tmp_path):
    found = exercises.summary(saved(tmp_path, learners(ex_3_1=change)))
    assert result(found, "3.1").state == state
    assert note in result(found, "3.1").note
    assert bool(note) == bool(result(found, "3.1").note)
    assert states(found)["3.2"] == states(found)["3.3"] == "not begun"


def test_an_unknown_exercise_is_shown_with_its_error(tmp_path):
    change = {"source": 'exercises.check("3.9", 1)', "outputs": RAISES}
    found = exercises.summary(saved(tmp_path, learners(ex_3_1=change)))
    assert (result(found, "3.9").state, result(found, "3.9").message) == (
        "raised",
        "NameError: no x",
    )


def test_of_several_cells_the_best_counts_and_an_honest_one_before_a_faked():
    call, wrong = 'exercises.check("3.1", x)', "Exercise 3.1, not yet: ...\n"
    cells = [Cell(True, call, wrong), Cell(True, call, SOLVED), Cell(True, call)]
    assert results_of(cells, "a.ipynb")[0].state == "solved"
    cells = [Cell(True, "print()", SOLVED), Cell(True, call, wrong)]
    assert results_of(cells, "a.ipynb")[0].state == "not yet"


# ---------------------------------------------------------------- Files


@pytest.mark.parametrize(
    "name", ["Anna.ipynb", "03b_ask_and_practise (1).ipynb", "ü/b 03b_x.ipynb"]
)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_other_names_and_encodings(name, encoding, tmp_path):
    saved(tmp_path, learners(), name, encoding)
    found = exercises.summary(tmp_path)
    assert [(r.file, r.exercise) for r in found.results] == [(name, number) for number in NUMBERS]


def test_a_companion_is_known_by_its_title_its_file_name_or_an_exercise():
    for cells, name in (
        ([Cell(False, "# 03b · Ask and practise")], "a.ipynb"),
        ([], "Anna_03b_ask_and_practise.ipynb"),
        ([Cell(False, "### Exercise 3.2 · Who is dead")], "a.ipynb"),
        ([Cell(True, 'exercises.check("3.2", f)')], "a.ipynb"),
    ):
        assert [result.exercise for result in results_of(cells, name)] == NUMBERS
    assert results_of([Cell(False, "# 03 · Fix the saturated tanh")], "03_fixing.ipynb") == []


BROKEN = {
    "empty": (b"", "it is empty"),
    "cut off": (json.dumps(COMPANION).encode()[:5000], "it is broken"),
    "a conflict of two versions": (b"<<<<<<< HEAD\n{}", "it is broken"),
    "not UTF-8": ('{"cells": [], "a": "é"}'.encode("latin-1"), "not UTF-8"),
    "a list": (b"[]", "no list of cells"),
    "format 3": (b'{"worksheets": []}', "no list of cells"),
    "a cell that is none": (b'{"cells": ["x"]}', "one of its cells is none"),
    "a source that is none": (b'{"cells": [{"cell_type": "code", "source": 3}]}', "is none"),
}


@pytest.mark.parametrize(("content", "why"), BROKEN.values(), ids=BROKEN)
def test_a_broken_file_is_named_and_the_others_are_read(content, why, tmp_path):
    saved(tmp_path, learners(), "Anna.ipynb")
    (tmp_path / "Ben.ipynb").write_bytes(content)
    found = exercises.summary(tmp_path)
    assert [(r.file, r.state) for r in found.unreadable] == [("Ben.ipynb", "unreadable")]
    assert why in found.unreadable[0].message
    assert f"Ben.ipynb, unreadable: {found.unreadable[0].message}" in str(found)
    assert sum(r.file == "Anna.ipynb" for r in found.results) == 3


def test_hidden_copies_are_left_out_and_a_notebook_without_exercises_is_named(tmp_path):
    saved(tmp_path, learners(), "Anna.ipynb")
    saved(tmp_path, learners(), ".ipynb_checkpoints/Anna-checkpoint.ipynb")
    saved(tmp_path, {"cells": []}, "notes.ipynb")
    found = exercises.summary(tmp_path)
    assert {r.file: r.state for r in found.results} == {
        "Anna.ipynb": "not begun",
        "notes.ipynb": "no exercise",
    }
    assert "Without exercises: notes.ipynb" in str(found)


def test_bad_input_says_what_to_do(tmp_path):
    with pytest.raises(ValueError, match=r"there is no notebook \(\*\.ipynb\) in "):
        exercises.summary(tmp_path)
    with pytest.raises(FileNotFoundError, match=r"no file or folder .*nowhere"):
        exercises.summary([tmp_path, tmp_path / "nowhere"])
    saved(tmp_path, {"cells": []}, "notes.ipynb")
    with pytest.raises(ValueError, match=r"has an exercise.*this is notes\.ipynb"):
        exercises.summary(tmp_path)


def test_files_of_several_folders_keep_their_folder(tmp_path):
    folders = [saved(tmp_path, learners(), f"{who}/03b.ipynb").parent for who in ("Anna", "Ben")]
    found = exercises.summary(folders)
    assert {r.file for r in found.results} == {str(folder / "03b.ipynb") for folder in folders}


def command(monkeypatch, *arguments):
    """What `python -m exercises.summary` ends with."""
    monkeypatch.setattr(sys, "argv", ["summary", *map(str, arguments)])
    with pytest.raises(SystemExit) as ended:
        runpy.run_module("exercises.summary", run_name="__main__")
    return ended.value.code


def test_the_command_saves_what_the_function_returns(tmp_path, monkeypatch, capsys):
    saved(tmp_path, learners(ex_3_1={"outputs": printed(SOLVED)}), "Anna.ipynb")
    tables = tmp_path / "a.csv", tmp_path / "a.json"
    assert command(monkeypatch, tmp_path, "--csv", tables[0], "--json", tables[1]) == 0
    found = exercises.summary(tmp_path)
    assert capsys.readouterr().out == f"{found}\n"
    rows = [asdict(result) for result in found.results]
    assert json.loads(tables[1].read_text(encoding="utf-8")) == rows
    with tables[0].open(encoding="utf-8-sig", newline="") as file:
        assert [*csv.DictReader(file)] == rows


def test_the_command_tells_failure(tmp_path, monkeypatch, capsys):
    assert command(monkeypatch, tmp_path) == 2
    assert "there is no notebook" in capsys.readouterr().err
    for wrong in (["--limit", "60"], ["--full"], ["--run", "--limit", "0"]):
        assert command(monkeypatch, tmp_path, *wrong) == 2
        assert "--limit" in capsys.readouterr().err.splitlines()[-1]
    saved(tmp_path, learners(), "Anna.ipynb")
    (tmp_path / "Ben.ipynb").write_text("{")
    assert command(monkeypatch, tmp_path) == 1
    assert "Ben.ipynb, unreadable" in capsys.readouterr().out


# ---------------------------------------------------------------- What the code earns

SETUP = lessons.code_cells(lessons.read(LESSONS_FOLDER / "03b_ask_and_practise.ipynb"))[0].source
BY_NUMBER = {shown.number: shown for shown in shared.ALL}


def test_results_and_those_of_a_run_are_compared_by_their_number(tmp_path, monkeypatch):
    """3.1's cell prints a star without a checker, 3.2's was deleted; when run, nothing says a word."""
    faked = {"source": "print('...')", "outputs": printed(SOLVED)}
    path = saved(tmp_path, learners(ex_3_1=faked, ex_3_2={"source": ""}), "Anna.ipynb")

    def silent(cells, limit, full):
        return [Cell(cell.is_code, cell.source) for cell in cells], "the run broke off: ..."

    monkeypatch.setattr(rerun, "executed", silent)
    found = exercises.summary(path, run=True)
    assert {r.exercise: (r.state, r.when_run, r.message_when_run) for r in found.results} == {
        "3.1": ("solved", "missing", ""),
        "3.2": ("not begun", "missing", ""),
        "3.3": ("not begun", "not run", "the run broke off: ..."),
    }
    assert result(found, "3.1").note == "says solved, gives missing when run"


@pytest.mark.slow
def test_a_star_that_the_code_does_not_earn_is_found_in_a_fresh_kernel(tmp_path):
    cells = {
        "setup": (SETUP + "\nimport exercises, torch", ""),
        "wrong": ('exercises.check("3.1", 0.25)', SOLVED),
        "endless": (
            'import time\ntime.sleep(1_000)\nexercises.check("3.2", 1)',
            SOLVED.replace("3.1", "3.2"),
        ),
        "right": (BY_NUMBER["3.3"].solution, ""),
        "short": ("STEPS = 200_000", ""),
        "own steps": ('STEPS = 400\nexercises.check("13.1", STEPS)', ""),
        "no name": ('exercises.check("13.2", unknown)', ""),
        "dies": ('import os\nos._exit(1)\nexercises.check("13.3", 1)', ""),
    }
    code = [
        {"cell_type": "code", "source": source, "outputs": printed(said)}
        for source, said in cells.values()
    ]
    path = saved(tmp_path, {"cells": code}, "Anna.ipynb")
    found = exercises.summary(path, run=True, limit=12)
    assert {r.exercise: (r.state, r.when_run) for r in found.results} == {
        "3.1": ("solved", "not yet"),
        "3.2": ("solved", "raised"),
        "3.3": ("not run", "solved"),
        "13.1": ("not run", "not yet"),
        "13.2": ("not run", "raised"),
        "13.3": ("not run", "not run"),
    }
    assert result(found, "3.1").note == "says solved, gives not yet when run"
    assert result(found, "3.2").note.startswith("says solved, gives raised when run: TimeLimit")
    assert "NameError: name 'unknown'" in result(found, "13.2").message_when_run
    assert "the run broke off: Kernel died" in result(found, "13.3").message_when_run
    assert "Anna.ipynb, 3.1: says solved, gives not yet when run" in str(found)
    assert json.loads(path.read_text(encoding="utf-8"))["cells"] == code  # the file stays


@pytest.mark.slow
def test_a_cell_that_cannot_be_interrupted_does_not_hold_up_the_class():
    stubborn = (
        "import signal, time\nsignal.signal(signal.SIGINT, signal.SIG_IGN)\ntime.sleep(1_000)"
    )
    cells = [Cell(True, stubborn), Cell(True, 'import exercises\nexercises.check("3.1", 0.25**5)')]
    again, _ = rerun.executed(cells, 1)
    assert [cell.error for cell in again] == [f"TimeLimit: {rerun.LATE['evalue']}"] * 2
