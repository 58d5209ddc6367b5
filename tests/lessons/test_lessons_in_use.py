"""The lessons as a learner uses them: from any folder, interrupted, cells run again after later ones."""

import ast
import base64
import copy
import inspect
import io
import random
import re
import shutil

import lessons
import nbformat
import pytest
import shorten
from matplotlib.image import imread
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError

from lessonkit import story

pytestmark = pytest.mark.slow


def client(notebook, folder=story.LESSONS_FOLDER):
    """Runs the notebook; an output that comes late is waited for."""
    resources = {"metadata": {"path": str(folder)}}
    late = {"iopub_timeout": 60, "raise_on_iopub_timeout": True}
    return NotebookClient(notebook, timeout=300, resources=resources, **late)


@pytest.mark.parametrize("folder", [lessons.ROOT, story.LESSONS_FOLDER], ids=["root", "notebooks"])
def test_helpers_and_names_are_found_from(folder):
    cells = copy.deepcopy(lessons.code_cells(lessons.read(lessons.lesson_paths()[0]))[:1])
    cells.append(nbformat.v4.new_code_cell("print(len(helpers.load_names()), helpers.ROOT)"))
    notebook = nbformat.v4.new_notebook(cells=cells)
    client(notebook, folder).execute()
    assert lessons.output_text(cells[-1]).split() == ["32033", str(lessons.ROOT)]


def shown(cell):
    """What a learner sees below a cell, but for live widgets: its words, and the pixels of its pictures."""
    words, pictures = "", []
    for output in cell.outputs:
        data = output.get("data", {})
        if "application/vnd.jupyter.widget-view+json" not in data:
            words += output.get("text", "") or data.get("text/plain", "")
            if "image/png" in data:
                pictures.append(imread(io.BytesIO(base64.b64decode(data["image/png"]))))
    return words, pictures


def look_alike(one, other):
    """Whether two pictures are the same but for a trace in the shade of a pixel.

    Constrained layout adds up in the order of memory addresses, so the last bits of a position may differ, and with
    them the shade of a pixel on an edge, by 1/255. What has moved differs by far more.
    """
    return one.shape == other.shape and abs(one - other).max() < 2.5 / 255


LONG_WORK = {"helpers.train", "helpers.progress", "sweep.train_many", "train_many"}
LONG_WORK |= {"clinic.show", "clinic.ward", "clinic.treat"}
LONG_WORK |= {"recurrent.train", "recurrent.compare_on_names", "reversers"}  # lesson 18's reversers
LONG_WORK |= {"attention.train_lookups", "attention.train_on_names"}


def calls(tree):
    """What is called in a part of a cell, as written: {"helpers.train", "trained"}."""
    return {ast.unparse(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)}


def training_cells(cells):
    """The cells that train: they call long work, or a function of the lesson that does, not only define one."""
    known, found = set(LONG_WORK), []
    for cell in cells:
        done = set()
        for statement in ast.parse(cell.source).body:
            if not isinstance(statement, ast.FunctionDef | ast.ClassDef):
                done |= calls(statement)
            elif calls(statement) & known:
                known.add(statement.name)
        if done & known:
            found.append(cell)
    return found


def draw_everywhere(panels):
    """Draw every panel at all combinations of its controls' ends, middles and options; runs in the kernel."""
    import itertools
    import warnings

    def positions(control):
        if hasattr(control, "options"):
            return [value for _, value in control._options_full]
        if hasattr(control, "min"):
            return [control.min, control.value, control.max]
        return [False, True]

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for name, panel in panels.items():
            pictures = set()
            for values in itertools.product(*map(positions, panel.controls.values())):
                panel.show(**dict(zip(panel.controls, values, strict=True)))
                assert panel.words.strip(), f"{name} has no words for {values}"
                pictures.add(panel.png)
            assert len(pictures) > 1, f"{name} always shows the same picture"
            assert all(control.description for control in panel.controls.values())
    print("drawn", *panels)


DRAW_EVERYWHERE = f"""
{inspect.getsource(draw_everywhere)}
panels = {{name: value for name, value in list(globals().items()) if isinstance(value, helpers.Panel)}}
draw_everywhere({{name: panel for name, panel in panels.items() if not name.startswith("_")}})  # _12 is an output
"""


# A list in which everything is other than in ours: more symbols, composed letters, few names.
LETTERS = "aeiouyäöåéíœbcdfghjklmnpqrstvwxzßñšłğ"


@pytest.fixture(scope="session")
def other_names(tmp_path_factory):
    """The series with another list of names; its folder of notebooks."""
    folder = tmp_path_factory.mktemp("other") / "series"
    kept_out = shutil.ignore_patterns(".*", "node_modules", "__pycache__", "tests")
    shutil.copytree(lessons.ROOT, folder, ignore=kept_out)
    draw = random.Random(1)
    names = ["".join(draw.choices(LETTERS, k=draw.randint(2, 9))) for _ in range(1_000)]
    (folder / "names.txt").write_text("\n".join(names), encoding="utf-8")
    return folder / "notebooks"


# The short ones last: they end a whole run, in which no worker should wait long for another.
LONGEST_FIRST = {"argvalues": lessons.lesson_paths()[::-1], "ids": lambda path: path.stem}


def interrupt_trainings():
    """Interrupt each long work 0.1 s after its first step, unless it has ended; runs in the kernel.

    By the work's own clock, not the cell's: on a slow machine a cell may still be at something else.
    """
    import signal

    from lessonkit import interrupts

    class Interrupted(interrupts.tqdm):
        def __iter__(self):
            signal.setitimer(signal.ITIMER_REAL, 0.1)
            try:
                yield from super().__iter__()
            finally:
                signal.setitimer(signal.ITIMER_REAL, 0)

    signal.signal(signal.SIGALRM, signal.default_int_handler)
    interrupts.tqdm = Interrupted


# What `shorten` changes in a lesson, beside its trainings; a default argument keeps what it was when the cell ran.
SHORTENED = re.compile(r"\b(STEPS|evaluate|train_many|helpers\.train)\b")

INTERRUPT_TRAININGS = f"{inspect.getsource(interrupt_trainings)}\ninterrupt_trainings()"
LET_THEM_RUN = """\
from tqdm.auto import tqdm

from lessonkit import interrupts

interrupts.tqdm = tqdm"""


@pytest.mark.parametrize("path", **LONGEST_FIRST)
def test_it_is_interrupted_run_again_and_dragged_with_other_names(path, other_names):
    """All in one kernel, whose start costs as much as a pass.

    Interrupt each training: nothing may raise, in its cell or below. Then run the cells from the first to the last,
    and again from the last to the first (with short trainings): the same is seen. Then draw every panel over the
    whole range of its controls. The names are others than ours: what counts on 27 symbols breaks, and the ledger must
    say that its claims are not for these.

    What stands above the first training is the same for an interrupted run and a whole one: it is run once for both.
    """
    whole = lessons.code_cells(lessons.read(path))
    training = training_cells(whole)
    above = next(
        (n for n, cell in enumerate(whole) if cell in training or SHORTENED.search(cell.source)),
        len(whole),
    )
    hasty = whole[above:]
    setup, limit, *short = lessons.code_cells(shorten.with_short_trainings(path))
    once = [setup, *short]
    again = copy.deepcopy(once)
    drawn = nbformat.v4.new_code_cell(DRAW_EVERYWHERE)
    interrupt, let_run = map(nbformat.v4.new_code_cell, (INTERRUPT_TRAININGS, LET_THEM_RUN))
    order = [*once[:above], interrupt, *hasty, let_run, limit, *once[above:], *again[::-1], drawn]
    for number, cell in enumerate(order):
        cell.id = f"run-{number}"
    client(nbformat.v4.new_notebook(cells=order), other_names).execute()

    stopped = ["You stopped this." in lessons.output_text(cell) for cell in hasty]
    assert any(stopped) or not training, "nothing here takes 0.1 s: is what trains in LONG_WORK?"
    for first, second in zip(once, again, strict=True):
        (words, pictures), (words_again, pictures_again) = shown(first), shown(second)
        assert words == words_again, f"other words when run again:\n{first.source}"
        same = [look_alike(*pair) for pair in zip(pictures, pictures_again, strict=True)]
        assert all(same), f"another picture when run again:\n{first.source}"
    named = sum("helpers.Panel(" in cell.source for cell in once)
    assert len(lessons.output_text(drawn).split()) - 1 == named, "give each panel a name of its own"
    assert lessons.output_text(once[-1]).startswith("Other data")
    claims = lessons.ledger(nbformat.v4.new_notebook(cells=once))
    assert {claim["mark"] for claim in claims} == {"–"}


def test_one_lesson_alone_says_what_is_missing(tmp_path):
    notebook = lessons.read(lessons.lesson_paths()[0])
    for cell in lessons.code_cells(notebook):
        cell.outputs = []
    with pytest.raises(CellExecutionError) as raised:
        client(notebook, tmp_path).execute()
    assert "No module named 'helpers'. This lesson needs the whole series" in str(raised.value)
    assert sum(bool(cell.outputs) for cell in lessons.code_cells(notebook)) == 1
