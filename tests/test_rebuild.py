"""The rebuild: the same bytes twice, nothing lost when a cell raises, and outputs that know their code."""

import lessons
import nbformat
import pytest
import rebuild
from nbclient.exceptions import CellExecutionError

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


def test_a_broken_notebook_is_named(tmp_path):
    path = tmp_path / "lesson.ipynb"
    path.write_text("{")
    with pytest.raises(ValueError, match=r"lesson\.ipynb is not a valid notebook"):
        lessons.read(path)


# ---------------------------------------------------------------- fingerprints

HELPERS = '''
LIMIT = 3

def used(x):
    """Sentence."""
    return inner(x)

def inner(x):
    return x + LIMIT

def unused(x):
    return x
'''


@pytest.fixture
def fingerprint_with(tmp_path, monkeypatch):
    """A function that gives the fingerprint of a lesson that calls `helpers.used`, for a text of helpers.py."""
    for file in ("requirements.txt", "lessons.mplstyle"):
        (tmp_path / file).write_text((lessons.ROOT / file).read_text())
    monkeypatch.setattr(lessons, "ROOT", tmp_path)
    for module in lessons.MODULES:
        (tmp_path / f"{module}.py").write_text("")

    def fingerprint(text, source="helpers.used(1)"):
        (tmp_path / "helpers.py").write_text(text)
        return lessons.fingerprint(
            nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source)])
        )

    return fingerprint


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("return inner(x)", "return 2 * inner(x)"),
        ("x + LIMIT", "x - LIMIT"),
        ("LIMIT = 3", "LIMIT = 4"),
    ],
    ids=["the helper", "a helper of the helper", "a constant"],
)
def test_a_change_that_the_lesson_reaches_changes_the_fingerprint(fingerprint_with, old, new):
    assert fingerprint_with(HELPERS) != fingerprint_with(HELPERS.replace(old, new))


@pytest.mark.parametrize(
    ("old", "new"),
    [("Sentence.", "A better sentence."), ("return x\n", "return -x\n")],
    ids=["a docstring", "a helper that it does not use"],
)
def test_other_changes_do_not(fingerprint_with, old, new):
    assert fingerprint_with(HELPERS) == fingerprint_with(HELPERS.replace(old, new))


def test_the_lessons_own_code_and_the_pins_count(fingerprint_with):
    before = fingerprint_with(HELPERS)
    assert fingerprint_with(HELPERS, "helpers.used(2)") != before
    pins = lessons.ROOT / "requirements.txt"
    pins.write_text(pins.read_text().replace("torch==2", "torch==3"))
    assert fingerprint_with(HELPERS) != before


def test_definitions_in_the_modules_behind_helpers_count(fingerprint_with, tmp_path):
    text = HELPERS.replace("x + LIMIT", "deeper(x)")
    (tmp_path / "data.py").write_text("def deeper(x):\n    return x\n")
    before = fingerprint_with(text)
    (tmp_path / "data.py").write_text("def deeper(x):\n    return -x\n")
    assert fingerprint_with(text) != before


def test_a_lessons_own_name_is_not_taken_for_a_helper(fingerprint_with):
    own = "unused = nn.unused(1)"
    changed = HELPERS.replace("return x\n", "return -x\n")
    assert fingerprint_with(HELPERS, own) == fingerprint_with(changed, own)


def test_a_name_defined_in_two_modules_is_refused(fingerprint_with, tmp_path):
    (tmp_path / "data.py").write_text("def used(x):\n    return x\n")
    with pytest.raises(ValueError, match=r"data\.py defines 'used', as does another module"):
        fingerprint_with(HELPERS)


@pytest.mark.parametrize(
    ("source", "counts"),
    [
        ("import sweep\nsweep.many(1)", True),
        ("from sweep import many\nmany(1)", True),
        ("1", False),
    ],
)
def test_a_tool_counts_for_the_lessons_that_import_it(fingerprint_with, tmp_path, source, counts):
    sweep = "LOW, HIGH = 1, 2\n\n\ndef many(x):\n    return helpers.used(x) + HIGH\n"
    (tmp_path / "sweep.py").write_text(sweep)
    before = fingerprint_with(HELPERS, source)
    assert (fingerprint_with(HELPERS.replace("x + LIMIT", "x - LIMIT"), source) != before) is counts
    (tmp_path / "sweep.py").write_text(sweep.replace("1, 2", "1, 3"))
    assert (fingerprint_with(HELPERS, source) != before) is counts


@pytest.mark.parametrize(
    ("source", "counts"),
    [
        ("from exercises import clinic\nclinic.board()", True),
        ("from exercises.examination import examine", True),
        ("import exercises", False),
    ],
)
def test_the_clinic_counts_for_the_lessons_that_import_it(
    fingerprint_with, tmp_path, source, counts
):
    (tmp_path / "exercises").mkdir()
    for module in ("clinic", "diagnoses", "examination"):
        (tmp_path / "exercises" / f"{module}.py").write_text("helpers.used(1)")
    before = fingerprint_with(HELPERS, source)
    assert (fingerprint_with(HELPERS.replace("x + LIMIT", "x - LIMIT"), source) != before) is counts
    (tmp_path / "exercises" / "diagnoses.py").write_text("helpers.used(2)")
    assert (fingerprint_with(HELPERS, source) != before) is counts
