"""The rebuild: the same bytes twice, nothing lost when a cell raises, and outputs that know their code."""

import re
import sys

import fingerprints
import lessons
import limit
import nbformat
import pytest
import rebuild
import shorten
import torch
from nbclient.exceptions import CellExecutionError

import helpers
import sweep
from clinic import examination
from lessonkit import story

SOURCES = [
    "import matplotlib.pyplot as plt\nfrom tqdm.auto import tqdm\nimport ipywidgets",
    "for _ in tqdm(range(1000)):\n    pass",
    "plt.plot([1, 2])\nplt.show()",
    "import helpers",
    "import time\nfor i in range(3):\n    print(i, flush=True)\n    time.sleep(0.5)",
    "ipywidgets.IntSlider()",
]


def write_lesson(path, sources):
    cells = [nbformat.v4.new_code_cell(source, id=f"cell-{i}") for i, source in enumerate(sources)]
    path.write_bytes(lessons.as_bytes(nbformat.v4.new_notebook(cells=cells)))


@pytest.mark.slow
def test_two_rebuilds_differ_in_no_byte(tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(lessons.ROOT))
    path = tmp_path / "lesson.ipynb"
    write_lesson(path, SOURCES)
    rebuild.rebuild(path)
    first = path.read_bytes()
    rebuild.rebuild(path)
    assert path.read_bytes() == first
    assert b"image/png" in first
    assert first.count(b'"output_type": "stream"') == 1
    for leftover in (b"widget-view", b"widgets+json", b"it/s", b"iopub", b'"widgets"'):
        assert leftover not in first


@pytest.mark.slow
def test_a_lesson_that_raises_stays_as_it_was(tmp_path):
    path = tmp_path / "lesson.ipynb"
    write_lesson(path, ["1 / 0"])
    before = path.read_bytes()
    with pytest.raises(CellExecutionError, match="ZeroDivisionError"):
        rebuild.rebuild(path)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_an_unknown_lesson_is_named(capsys):
    assert rebuild.main(["99"]) == 2
    assert "starts with 99" in capsys.readouterr().out


@pytest.mark.parametrize("content", ["", "{", "[]", "{}", '{"cells": [], "nbformat": 4}', "\xff"])
def test_a_broken_notebook_is_named(tmp_path, content):
    path = tmp_path / "lesson.ipynb"
    path.write_text(content, encoding="latin-1")
    with pytest.raises(ValueError, match=r"lesson\.ipynb is not a valid notebook: .+"):
        lessons.read(path)


def test_a_notebook_without_cells_is_named(tmp_path):
    path = tmp_path / "01_lesson.ipynb"
    write_lesson(path, [])
    with pytest.raises(ValueError, match=r"01_lesson\.ipynb: the first cell has no title"):
        lessons.front_matter(path)


def test_copies_and_other_notebooks_are_no_lessons(tmp_path, monkeypatch):
    monkeypatch.setattr(story, "LESSONS_FOLDER", tmp_path)
    real = ["01_starter_mlp.ipynb", "01b_more.ipynb", "02_next.ipynb", "10_last.ipynb"]
    others = ["01_starter_mlp-Copy1.ipynb", "Untitled.ipynb", "1_one.ipynb", "02_next.ipynb.draft"]
    for name in [*real, *others]:
        (tmp_path / name).write_text("")
    assert [path.name for path in lessons.lesson_paths()] == real
    assert [path.name for path in lessons.lesson_paths("02")] == ["02_next.ipynb"]


# ---------------------------------------------------------------- short trainings


@pytest.fixture
def limited(monkeypatch):
    """Trainings end after 3 steps, as in the kernel of a shortened lesson."""
    limited = [(helpers, "train"), (helpers, "evaluate"), (helpers, "progress")]
    limited += [(sweep, "train_many")]
    series = [module for name, module in sys.modules.items() if name.startswith("lessonkit.")]
    limited += [(module, "progress") for module in series if "progress" in vars(module)]
    for module, name in [*limited, (examination, "STEPS"), (examination, "EVALUATED")]:
        monkeypatch.setattr(module, name, getattr(module, name))  # put back after the test
    limit.trainings(3)


def is_short(losses, steps):
    measured = [loss == loss for loss in losses]
    return losses.done == 3 and measured == [True] * 3 + [False] * (steps - 3)


@pytest.mark.parametrize("named", [{}, {"record": lambda step, lr: None}])
def test_a_limited_training_looks_like_an_interrupted_one(limited, named):
    g = torch.Generator().manual_seed(1)
    model = helpers.MLP(g, 5)
    X, Y = torch.zeros((4, 3), dtype=torch.int64), torch.zeros(4, dtype=torch.int64)
    assert is_short(helpers.train(model, X, Y, g, 10, lr=0.1, quiet=True, **named), 10)
    assert is_short(helpers.train(model, X, Y, g, steps=20, quiet=True, **named), 20)
    assert helpers.train(model, X, Y, g, 2, quiet=True).done == 2
    runs = sweep.train_many([{"gain": 1.0}, {"gain": 2.0}], 10, X, Y, 5)
    assert all(is_short(run.losses, 10) for run in runs)
    assert examination.STEPS == 3


def test_a_limited_evaluation_looks_at_the_first_examples(limited):
    X = torch.zeros((1_500, 3), dtype=torch.int64)
    seen = []
    helpers.evaluate(lambda x: seen.append(len(x)) or torch.zeros(len(x), 5), X, X[:, 0])
    assert sum(seen) == limit.EVALUATED


def test_a_shortened_lesson_limits_its_trainings_and_has_no_outputs(tmp_path):
    path = tmp_path / "01_lesson.ipynb"
    write_lesson(path, ["import helpers", "STEPS = 200_000\nx = 1", "STEPS = 1_000"])
    cells = lessons.code_cells(shorten.with_short_trainings(path))
    assert cells[1].source.endswith("limit.trainings(50)")
    assert [cell.source for cell in cells[2:]] == ["STEPS = 50\nx = 1", "STEPS = 50"]


def test_a_lesson_keeps_its_own_row_of_the_loss_log_and_takes_the_others_from_theirs():
    """Whatever the order in which they are saved."""
    path = next(path for path in lessons.lesson_paths() if path.name.startswith("02_"))
    notebook = lessons.read(path)
    (data,) = (
        output.data
        for cell in lessons.code_cells(notebook)
        for output in cell.outputs
        if story.LOG_MIME in output.get("data", {})
    )
    own = {"initial": 3.0, "train": 2.0, "dev": 2.5, "steps": 9}
    for keys in (["starter", "logits"], ["logits", "starter"]):
        data[story.LOG_MIME] = dict.fromkeys(keys, own)
        rebuild.with_earlier_rows(notebook, path)
        assert data[story.LOG_MIME] == {"logits": own, "starter": story.saved_row("starter")}


# ---------------------------------------------------------------- fingerprints

HELPERS = """
from kit.inside import used, unused as other
from kit import inside
"""
INSIDE = '''
import torch
from kit.more import LIMIT, inner as deeper

def used(x):
    """Sentence."""
    return deeper(x)

def unused(x):
    return x

def inner(x):
    return -x
'''
MORE = """
LIMIT = 3
TABLE = {}
TABLE["key"] = 1

def inner(x):
    return x + LIMIT + TABLE["key"]
"""
REGISTRY = """
import functools

KINDS = {}

def kind(name):
    def register(function):
        KINDS[name] = function
        return function
    return register

@kind("one")
def one(x):
    return helper(x)

def helper(x):
    return x

@functools.cache
def two(x):
    return 2 * x

for name in ("a", "b"):
    KINDS[name] = None
"""


@pytest.fixture
def series(tmp_path, monkeypatch):
    """The folder of a small series, with helpers.py and the package kit behind it, in place of the real one."""
    for file in ("requirements.txt", "lessons.mplstyle"):
        (tmp_path / file).write_text((lessons.ROOT / file).read_text())
    monkeypatch.setattr(lessons, "ROOT", tmp_path)
    (tmp_path / "kit").mkdir()
    files = {"__init__": "", "inside": INSIDE, "more": MORE, "registry": REGISTRY}
    for module, text in files.items():
        (tmp_path / "kit" / f"{module}.py").write_text(text)
    (tmp_path / "helpers.py").write_text(HELPERS)
    return tmp_path


def fingerprint(*sources):
    cells = [nbformat.v4.new_code_cell(source) for source in sources]
    return fingerprints.of(nbformat.v4.new_notebook(cells=cells))


def changes(series, file, old, new, *sources):
    """Whether a change in a file of the series changes the fingerprint of a lesson with these cells."""
    before = fingerprint(*sources)
    text = (series / file).read_text()
    assert text.count(old) == 1
    (series / file).write_text(text.replace(old, new))
    return fingerprint(*sources) != before


USES = ["import helpers", "helpers.used(1)"]


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        ("kit/inside.py", "return deeper(x)", "return 2 * deeper(x)"),
        ("kit/more.py", "return x +", "return -x +"),
        ("kit/more.py", "LIMIT = 3", "LIMIT = 4"),
        ("kit/more.py", '["key"] = 1', '["key"] = 2'),
        ("kit/inside.py", "import LIMIT, inner as", "import LIMIT, LIMIT as"),
        ("helpers.py", "import used, unused as other", "import inner as used"),
        ("requirements.txt", "torch==2", "torch==3"),
        ("lessons.mplstyle", "figure.dpi", "savefig.dpi"),
    ],
)
def test_a_change_that_the_lesson_reaches_changes_the_fingerprint(series, file, old, new):
    assert changes(series, file, old, new, *USES)


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        ("kit/inside.py", "Sentence.", "A better sentence."),
        ("kit/inside.py", "return x\n", "return 2 * x\n"),
        ("kit/inside.py", "return -x", "return -2 * x"),  # of the same name as one that is reached
        ("kit/inside.py", "import torch", "import torch, math"),
        ("requirements.txt", "pytest==", "pytest>="),
    ],
)
def test_other_changes_do_not(series, file, old, new):
    assert not changes(series, file, old, new, *USES)


def test_the_lessons_own_code_counts(series):
    assert fingerprint("import helpers", "helpers.used(2)") != fingerprint(*USES)


@pytest.mark.parametrize(
    ("source", "counts"),
    [
        ("import helpers as h\nh.other(1)", True),
        ("from helpers import other as mine\nmine(1)", True),
        ("import helpers\nhelpers.inside.unused(1)", True),
        ("import kit.inside\nkit.inside.unused(1)", True),
        ("from kit import inside\nmany = [inside.unused for _ in range(3)]", True),
        ("import helpers\nunused = nn.unused(1)", False),
        ("import kit.inside\nkit.inside.used(1)", False),
        ("from torch import unused\nunused(1)", False),
    ],
)
def test_a_name_is_followed_to_the_module_that_defines_it(series, source, counts):
    assert changes(series, "kit/inside.py", "return x\n", "return 2 * x\n", source) is counts


@pytest.mark.parametrize(
    ("old", "new", "counts"),
    [
        ('@kind("one")', '@kind("first")', True),
        ("return helper(x)", "return helper(-x)", True),
        ("return x\n", "return -x\n", True),
        ('("a", "b")', '("a", "c")', True),
        ("return 2 * x", "return 3 * x", False),
    ],
)
def test_what_a_module_registers_when_it_is_imported_counts(series, old, new, counts):
    source = "from kit import registry\nregistry.KINDS"
    assert changes(series, "kit/registry.py", old, new, source) is counts


def test_relative_imports_are_followed(series):
    (series / "kit" / "__init__.py").write_text("from .inside import used\n")
    (series / "kit" / "inside.py").write_text(
        "from . import more\n\n\ndef used(x):\n    more.inner(x)\n"
    )
    source = "from kit import used\nused(1)"
    assert changes(series, "kit/more.py", "return x +", "return -x +", source)


def test_each_lesson_reaches_what_it_calls():
    """In the real series: the setup, and for the lessons that call them the training and the loss log."""
    for path in lessons.lesson_paths():
        code = "\n".join(cell.source for cell in lessons.code_cells(lessons.read(path)))
        reached = "\n".join(fingerprints.reached(code))
        for name in ("setup", "train", "loss_log", "Panel", "MLP"):
            if f"helpers.{name}(" in code:
                assert re.search(rf"^(def|class) {name}\b", reached, re.M), f"{path.stem}: {name}"
