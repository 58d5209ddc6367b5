"""What a class has solved: the checkers' results in the saved notebooks of a folder, as one table.

    found = exercises.summary("answers/")  # a folder, with its folders, or single files
    print(found)
    found.write_csv("answers.csv")
    found.write_json("answers.json")

or `python -m exercises.summary answers/ --csv answers.csv --json answers.json`. It reads what a checker has printed
below its cell, and executes nothing. A saved notebook keeps the last output of a cell, so it does not tell how often a
learner has tried. With `run=True`, or `--run`, rerun.py executes each notebook anew, to find what its code earns today.
"""

import csv
import json
import re
from collections import Counter, defaultdict
from dataclasses import asdict, dataclass, fields, replace
from functools import cache
from pathlib import Path

SOLVED, NOT_YET, NOT_BEGUN = "solved", "not yet", "not begun"  # what a checker says
RAISED, NOT_RUN, MISSING = "raised", "not run", "missing"  # why it has said nothing
NO_EXERCISE, UNREADABLE = "no exercise", "unreadable"  # of a whole file
SIGNS = {SOLVED: "★", NOT_YET: "✗", NOT_BEGUN: "✎", RAISED: "!", NOT_RUN: "·", MISSING: "–"}
BEST_FIRST = list(SIGNS)

# What `exercises.check` prints. The sign before it may have suffered in a wrong encoding.
SAID = {
    SOLVED: re.compile(r"^(?:\S+ )?Exercise (\d+\.\d+) solved\.(.*)$", re.M),
    NOT_YET: re.compile(r"^Exercise (\d+\.\d+), not yet:(.*)$", re.M),
    NOT_BEGUN: re.compile(r"^(?:\S+ )?Exercise (\d+\.\d+) waits for you:(.*)$", re.M),
}
CALL = re.compile(r"""^[^#\n]*\bcheck\(\s*["'](\d+\.\d+)["']""", re.M)
HEADING = re.compile(r"^#+ Exercise (\d+\.\d+)\b", re.M)
COMPANION = re.compile(r"^# (\d\d[a-z]) ·", re.M)  # its title
COMPANION_FILE = re.compile(r"(?<!\d)(\d\d[a-z])_")
LESSONS_FOLDER = Path(__file__).resolve().parents[2] / "notebooks"


@dataclass(frozen=True)
class Result:
    """What is known of one exercise in one file. `when_run`, `message_when_run`: the same after it was executed anew.

    state: one of the constants above. message: the checker's, or that of the error. note: what a teacher should look
    at, such as a ★ that the code does not earn.
    """

    file: str
    exercise: str
    state: str
    message: str = ""
    when_run: str = ""
    message_when_run: str = ""
    note: str = ""


@dataclass(frozen=True)
class Summary:
    """The results of a class. Printed, it is a table for each lesson, with what is not yet right."""

    results: list[Result]

    def write_csv(self, path):
        """Save one row for each file and exercise. The mark at its start tells a spreadsheet that it is UTF-8."""
        with Path(path).open("w", encoding="utf-8-sig", newline="") as file:
            table = csv.DictWriter(file, [field.name for field in fields(Result)])
            table.writeheader()
            table.writerows(map(asdict, self.results))

    def write_json(self, path):
        """Save the same as a list of objects."""
        rows = [asdict(result) for result in self.results]
        text = json.dumps(rows, ensure_ascii=False, indent=1)
        Path(path).write_text(text + "\n", encoding="utf-8")

    @property
    def unreadable(self):
        """The results of the files that could not be read."""
        return [result for result in self.results if result.state == UNREADABLE]

    def __str__(self):
        by_lesson = defaultdict(list)
        for result in self.results:
            if result.exercise:
                by_lesson[int(result.exercise.partition(".")[0])].append(result)
        parts = [_table(by_lesson[lesson]) for lesson in sorted(by_lesson)]
        parts.append(",  ".join(f"{sign} {state}" for state, sign in SIGNS.items()))
        if without := [result.file for result in self.results if result.state == NO_EXERCISE]:
            parts.append(f"Without exercises: {', '.join(without)}")
        if looks := [text for result in self.results if (text := _to_look_at(result))]:
            parts.append("\n".join(["Look at these:", *looks]))
        return "\n\n".join(parts)


CELL_LIMIT = 60  # seconds


def summary(where, run=False, limit=CELL_LIMIT, full=False):
    """The Summary of the notebooks at `where`: a folder with its folders, a file, or a list of those.

    run: also execute each notebook in a fresh kernel, with this series' checkers, whatever the learner's copy holds,
    and with short trainings unless `full`. limit: the seconds after which a cell is interrupted, ten times as many for
    a notebook. This runs what learners have written, with your rights: do so where it can do no harm.

    A file that is no notebook becomes a result of its own, and so does one without exercises. Raises FileNotFoundError
    for a path that does not exist, ValueError where there is no notebook, or none with an exercise.
    """
    results = []
    for path, name in _notebooks(where):
        try:
            cells = _cells(path)
        except ValueError as error:
            results.append(Result(name, "", UNREADABLE, str(error)))
            continue
        found = results_of(cells, name)
        if run and found:
            from exercises.summary import rerun  # nbclient is needed here alone

            again, ending = rerun.executed(cells, limit, full)
            found = _compared(found, results_of(again, name), ending)
        results += found or [Result(name, "", NO_EXERCISE)]
    if all(result.state == NO_EXERCISE for result in results):
        raise ValueError(
            f"no notebook in {where} has an exercise. They stand in the companions, such as "
            f"03b_ask_and_practise.ipynb; this is {', '.join(result.file for result in results)}."
        )
    return Summary(results)


@dataclass
class Cell:
    """What counts of a notebook's cell. said: all that it has printed; error: "NameError: ...", or empty."""

    is_code: bool
    source: str
    said: str = ""
    error: str = ""


def results_of(cells, file):
    """The Results of a notebook, a list of Cells, in the order of the exercises.

    There is one for each exercise of the companion whose title, file name or exercises are found. Where several cells
    check the same exercise, the best one counts.
    """
    seen = defaultdict(list)  # by the exercise's number
    companions, mentioned = {*COMPANION_FILE.findall(file)}, set()
    for cell in cells:
        if cell.is_code:
            for result in _results_of_cell(cell, file):
                seen[result.exercise].append(result)
        else:
            companions.update(COMPANION.findall(cell.source))
            mentioned.update(HEADING.findall(cell.source))
    mentioned |= {*seen}
    expected = {
        number
        for companion, numbers in exercises_of_companions().items()
        if companion in companions or mentioned & numbers
        for number in numbers
    }
    return [_best(seen[number], file, number) for number in sorted(expected | {*seen}, key=_order)]


@cache
def exercises_of_companions():
    """The numbers of the exercises that each companion of the series has: {"03b": {"3.1", "3.2", "3.3"}, ...}."""
    return {
        path.name[:3]: {n for cell in _cells(path) for n in HEADING.findall(cell.source)}
        for path in sorted(LESSONS_FOLDER.glob("[0-9][0-9][a-z]_*.ipynb"))
    }


def _results_of_cell(cell, file):
    """A Result for each time that a code cell's outputs say something of an exercise, or that it calls a checker."""
    called = {*CALL.findall(cell.source)}
    said = [
        Result(file, number, state, message.strip())
        for state, pattern in SAID.items()
        for number, message in pattern.findall(cell.said)
    ]
    for result in said:
        faked = result.state == SOLVED and result.exercise not in called
        yield replace(result, note="says solved without a call of the checker" if faked else "")
    for number in called - {result.exercise for result in said}:
        yield Result(file, number, RAISED if cell.error else NOT_RUN, cell.error)


def _best(results, file, number):
    """The best of an exercise's Results, one without a note before one with."""
    rank = lambda result: (bool(result.note), BEST_FIRST.index(result.state))  # noqa: E731
    return min(results, key=rank, default=Result(file, number, MISSING))


def _order(number):
    """What sorts "2.10" behind "2.9"."""
    return [int(part) for part in number.split(".")]


def _compared(saved, run, ending):
    """The saved Results, each with what became of it when run; ending: why that broke off, or empty."""
    by_number = {result.exercise: result for result in run}
    return [
        _with_run(result, by_number.get(result.exercise, Result("", "", MISSING)), ending)
        for result in saved
    ]


def _with_run(saved, run, ending):
    """A saved Result with that of the same exercise when run."""
    note = saved.note
    message = run.message or (ending if run.state == NOT_RUN else "")
    if saved.state == SOLVED and run.state != SOLVED:
        why = "" if run.state == NOT_YET or not message else f": {message}"
        note = f"says solved, gives {run.state} when run{why}"
    elif saved.state != SOLVED and run.state == SOLVED:
        note = f"is solved when run, and {saved.state} as saved"
    return replace(saved, when_run=run.state, message_when_run=message, note=note)


# ---------------------------------------------------------------- Files


def _notebooks(where):
    """Pairs of a notebook's path and the name it has in the table. Checkpoints and other hidden files are left out."""
    places = [Path(where)] if isinstance(where, str | Path) else [Path(place) for place in where]
    found = {}
    for place in places:
        if place.is_dir():
            inside = sorted(place.rglob("*.ipynb"))
            names = {path: path.relative_to(place) for path in inside}
            names = {p: n for p, n in names.items() if not any(part[0] == "." for part in n.parts)}
            found |= {p: str(n if len(places) == 1 else place / n) for p, n in names.items()}
        elif place.exists():
            found[place] = place.name if len(places) == 1 else str(place)
        else:
            raise FileNotFoundError(f"there is no file or folder {place}")
    if not found:
        raise ValueError(f"there is no notebook (*.ipynb) in {', '.join(map(str, places))}")
    return found.items()


def _cells(path):
    """The Cells of a saved notebook. Raises ValueError that says what is wrong with the file."""
    try:
        saved = json.loads(path.read_bytes())  # it finds out whether this is UTF-8 or UTF-16
    except UnicodeDecodeError as error:
        raise ValueError(f"its text is not UTF-8 (byte {error.start})") from error
    except json.JSONDecodeError as error:
        what = "it is empty" if not path.read_bytes().strip() else f"it is broken: {error}"
        raise ValueError(f"{what}. Ask for the file again") from error
    if not isinstance(saved, dict) or not isinstance(saved.get("cells"), list):
        raise ValueError("it is no notebook of format 4: it has no list of cells")
    try:
        return [_cell(cell) for cell in saved["cells"]]
    except (AttributeError, TypeError) as error:
        raise ValueError(f"one of its cells is none: {error}") from error


def _cell(saved):
    """A Cell from its dict in a notebook's file."""
    outputs = saved.get("outputs") or []
    printed = [_text(output.get("text")) for output in outputs if output.get("name") != "stderr"]
    errors = [
        f"{output.get('ename', 'an error')}: {output.get('evalue', '')}"
        for output in outputs
        if output.get("output_type") == "error"
    ]
    is_code = saved.get("cell_type") == "code"
    return Cell(is_code, _text(saved.get("source")), "".join(printed), "; ".join(errors))


def _text(value):
    """A text that a notebook may save as a list of its lines, or not at all."""
    return "".join(value or "")


# ---------------------------------------------------------------- The table


def _table(results):
    """A lesson's Results as text: a row for each file, then how many solved each exercise, and mistakes."""
    numbers = sorted({result.exercise for result in results}, key=_order)
    by_file = defaultdict(dict)
    for result in results:
        by_file[result.file][result.exercise] = result
    width = max(map(len, by_file))
    lines = [" " * width + "".join(f"{number:>6}" for number in numbers)]
    for file, own in by_file.items():
        signs = [SIGNS[_final(own[n])] if n in own else "" for n in numbers]
        lines.append(f"{file:{width}}" + "".join(f"{sign:>6}" for sign in signs))
    lines.append("")
    for number in numbers:
        own = [result for result in results if result.exercise == number]
        solved = sum(_final(result) == SOLVED for result in own)
        lines.append(f"{number}: solved by {solved} of {len(own)}")
        wrong = Counter(
            result.message_when_run or result.message
            for result in own
            if _final(result) in (NOT_YET, RAISED)
        )
        lines += [f"{count:5} × {message}" for message, count in wrong.most_common()]
    return "\n".join(lines)


def _to_look_at(result):
    """A line about a Result that a table of signs does not tell; empty if there is nothing."""
    if result.state == UNREADABLE:
        return f"{result.file}, {UNREADABLE}: {result.message}"
    return f"{result.file}, {result.exercise}: {result.note}" if result.note else ""


def _final(result):
    """The state that counts: when run, if it was run."""
    return result.when_run or result.state
