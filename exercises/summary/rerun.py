"""Executes a learner's notebook anew, in a fresh kernel with this series' helpers and checkers."""

import os
import sys
import tempfile
import time
from pathlib import Path

import nbformat
from nbclient import NotebookClient

from exercises.summary import CALL, _cell

ROOT = Path(__file__).resolve().parents[2]
sys.path.append(str(ROOT / "tools"))

import shorten  # noqa: E402

IMPORTS = "import exercises, helpers"
STARTING = 120  # seconds for the kernel, and for the imports
NOTEBOOK_LIMIT = 10  # times that of a cell
LATE = {
    "ename": "TimeLimit",
    "evalue": "it did not end in time; --limit gives it more",
    "traceback": [],
}


def executed(cells, limit, full=False):
    """The same Cells, those of code with what they say now, and why the run broke off, or "".

    limit: seconds for a cell, after which it is interrupted and the next one runs; after ten times as many the rest
    gets a second each. full: train as long as the notebook says; otherwise trainings end early, as in the tests.

    The kernel works in an empty folder that is removed. It finds `helpers` and `exercises` here, not beside the file.
    """
    sources = [cell.source for cell in cells if cell.is_code]
    if not full:  # a line STEPS in a learner's answer is the learner's
        sources = [s if CALL.search(s) else shorten.with_short_steps(s) for s in sources]
    start, *made = map(nbformat.v4.new_code_cell, [IMPORTS if full else shorten.LIMIT, *sources])
    end = None  # of the notebook's time, which begins when torch is there

    def seconds(cell):
        nonlocal end
        if cell is start:
            return STARTING
        end = end or time.monotonic() + NOTEBOOK_LIMIT * limit
        return max(1, min(limit, int(end - time.monotonic())))

    def note_late(cell, cell_index, execute_reply):
        told = execute_reply["content"]
        if told["ename"] == LATE["ename"]:
            # The interrupt's own error may have come in time, or not.
            said = [output for output in cell.outputs if output.output_type != "error"]
            cell.outputs = [*said, nbformat.v4.new_output("error", **LATE)]

    ending = ""
    with tempfile.TemporaryDirectory() as folder:
        client = NotebookClient(
            nbformat.v4.new_notebook(cells=[start, *made]),
            kernel_name="python3",
            startup_timeout=STARTING,
            allow_errors=True,
            timeout_func=seconds,
            interrupt_on_timeout=True,
            error_on_timeout=LATE,
            on_cell_error=note_late,
            resources={"metadata": {"path": folder}},
        )
        try:
            client.execute(env=os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"})
        except (
            RuntimeError
        ) as error:  # the kernel did not start, or died; nbclient has no closer name for both
            ending = f"the run broke off: {error}"
    run = iter(map(_cell, made))
    return [next(run) if cell.is_code else cell for cell in cells], ending
