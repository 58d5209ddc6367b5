"""Lessons with short trainings, for tests that run whole lessons and look at other things than their numbers."""

import re
from pathlib import Path

import lessons
import nbformat

TRAINING = re.compile(r"^STEPS = ([\d_]+)$", re.M)  # how a lesson says how long it trains
MOST = 50  # steps
# limit.py stands here, not in the copy of the series that a lesson may run in.
LIMIT = f"""\
import sys

sys.path.append({str(Path(__file__).parent)!r})
import limit

limit.trainings({MOST})"""


def with_short_trainings(path):
    """The lesson at `path`, without outputs, with a tenth of the STEPS it trains, and no training longer than MOST."""
    notebook = lessons.read(path)
    for cell in lessons.code_cells(notebook):
        cell.source = with_short_steps(cell.source)
        cell.outputs, cell.execution_count = [], None
    setup = notebook.cells.index(lessons.code_cells(notebook)[0])
    notebook.cells.insert(setup + 1, nbformat.v4.new_code_cell(LIMIT))
    return notebook


def with_short_steps(source):
    """A cell's source with a tenth of its STEPS, MOST at most."""
    return TRAINING.sub(lambda line: f"STEPS = {min(MOST, int(line[1]) // 10)}", source)
