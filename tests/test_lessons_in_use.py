"""The lessons as a learner uses them: from any folder, interrupted, cells run twice and again after later ones."""

import copy
import os
import signal
import threading

import lessons
import nbformat
import pytest
from nbclient import NotebookClient

SHORT = "STEPS = 300"


def client(notebook, folder=lessons.helpers.LESSONS_FOLDER):
    return NotebookClient(notebook, timeout=300, resources={"metadata": {"path": str(folder)}})


@pytest.mark.parametrize(
    "folder", [lessons.ROOT, lessons.helpers.LESSONS_FOLDER], ids=["root", "notebooks"]
)
def test_helpers_and_names_are_found_from(folder):
    cells = copy.deepcopy(lessons.code_cells(lessons.read(lessons.lesson_paths()[0]))[:1])
    cells.append(nbformat.v4.new_code_cell("print(len(helpers.load_names()), helpers.ROOT)"))
    notebook = nbformat.v4.new_notebook(cells=cells)
    client(notebook, folder).execute()
    assert lessons.output_text(cells[-1]).split() == ["32033", str(lessons.ROOT)]


def shown(cell):
    """What a learner sees below a cell: its words, and its pictures but for live widgets."""
    words, images = "", []
    for output in cell.outputs:
        data = output.get("data", {})
        if "application/vnd.jupyter.widget-view+json" not in data:
            words += output.get("text", "") or data.get("text/plain", "")
            images.append(data.get("image/png"))
    return words, [image for image in images if image]


@pytest.mark.parametrize("path", lessons.lesson_paths(), ids=lambda path: path.stem)
def test_cells_can_be_run_twice_and_again_after_later_ones(path):
    """Run each cell twice, then all of them again from the last to the first (with a shortened training)."""
    cells = lessons.code_cells(lessons.read(path))
    for cell in cells:
        cell.source = cell.source.replace(lessons.TRAINING, SHORT)
    once, twice, again = (copy.deepcopy(cells) for _ in range(3))
    order = [cell for pair in zip(once, twice, strict=True) for cell in pair] + again[::-1]
    for number, cell in enumerate(order):
        cell.id = f"run-{number}"
    client(nbformat.v4.new_notebook(cells=order)).execute()
    for first, second, third in zip(once, twice, again, strict=True):
        assert shown(first) == shown(second), f"another result when run twice:\n{first.source}"
        assert shown(first) == shown(third), (
            f"another result when run after later cells:\n{first.source}"
        )


@pytest.mark.parametrize("path", lessons.lesson_paths(), ids=lambda path: path.stem)
def test_a_training_can_be_interrupted_and_the_rest_still_runs(path):
    notebook = lessons.read(path)
    if not any(lessons.TRAINING in cell.source for cell in notebook.cells):
        pytest.skip("this lesson trains nothing to its end")
    runner = client(notebook)
    with runner.setup_kernel():
        probe = nbformat.v4.new_code_cell("import os; print(os.getpid())")
        notebook.cells.append(probe)
        runner.execute_cell(probe, len(notebook.cells) - 1)
        kernel = int(lessons.output_text(notebook.cells.pop()))
        interrupted = 0
        for index, cell in enumerate(notebook.cells):
            if cell.cell_type == "code" and lessons.TRAINING in cell.source:
                timer = threading.Timer(6, os.kill, [kernel, signal.SIGINT])
                timer.start()
                runner.execute_cell(cell, index)
                timer.join()
                assert "You stopped the training" in lessons.output_text(cell)
                interrupted += 1
            else:
                runner.execute_cell(cell, index)  # raises if the cell does
    assert interrupted
    assert any(
        "stopped at step" in lessons.output_text(cell) for cell in lessons.code_cells(notebook)
    )
