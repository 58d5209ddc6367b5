"""The lessons as documents: what a reader meets on the web, without a kernel."""

import ast
import re
from itertools import pairwise
from statistics import median

import fingerprints
import lessons
import mistune
import nbformat
import pytest

from lessonkit import story

PATHS = lessons.lesson_paths()
TAGS = {lessons.CHECK_TAG, lessons.PICTURE_TAG, lessons.SHEET_TAG, lessons.HIDE_TAG}
SETUP = """\
import sys

sys.path[:0] = [".", ".."]
try:
    import helpers
except ImportError as error:
    raise ImportError(f"{error}. This lesson needs the whole series: see README.md.") from None

helpers.setup()"""


@pytest.fixture(params=PATHS, ids=lambda path: path.stem, scope="module")
def path(request):
    return request.param


@pytest.fixture(scope="module")
def notebook(path):
    return lessons.read(path)


# ---------------------------------------------------------------- Its order


def test_there_are_lessons_numbered_without_a_gap():
    """00, 01, 02 and so on; a companion has the number of its lesson and a letter, as in 02b."""
    numbers = [path.name.partition("_")[0] for path in PATHS]
    mains = [number for number in numbers if number.isdigit()]
    assert mains == [f"{place:02d}" for place in range(len(mains))]
    assert {number[:2] for number in numbers} == set(mains)


def test_it_opens_with_its_front_matter_and_the_setup_cell(path, notebook):
    front = lessons.front_matter(path)
    assert path.name.startswith(f"{front.number}_")
    opening = notebook.cells[0].source
    for part in ("**You will** ", "**You will learn** ", "**You need** "):
        assert f"\n{part}" in opening
    assert lessons.code_cells(notebook)[0].source == SETUP


def test_it_says_how_long_its_companions_take(path, notebook):
    for companion in lessons.companions(path) if not lessons.is_companion(path) else []:
        front = lessons.front_matter(companion)
        said = f"[{front.number}]({companion.name}), {front.minutes} minutes"
        assert said in notebook.cells[0].source


def test_it_links_to_its_neighbours_at_top_and_bottom(path, notebook):
    line = lessons.navigation(path)
    assert lessons.with_navigation(notebook, line) == notebook, "run `make rebuild`"
    prose = lessons.markdown_cells(notebook)
    assert line in prose[0].source.splitlines()
    assert prose[-1].source.splitlines()[-1] == line


def test_it_ends_with_its_links_and_then_the_folded_ledger(notebook):
    closing, ledger = notebook.cells[-2:]
    assert (closing.cell_type, ledger.cell_type) == ("markdown", "code")
    assert "helpers.Ledger(" in ledger.source
    assert ledger.metadata.get("jupyter", {}).get("source_hidden") is True, "its source is open"
    assert set(ledger.metadata.get("tags", [])) == {lessons.CHECK_TAG, lessons.HIDE_TAG}


def test_its_links_lead_somewhere(path, notebook):
    for cell in lessons.markdown_cells(notebook):
        for target in re.findall(r"\]\((?!https?://)([^)#]+)", cell.source):
            assert (path.parent / target).exists(), f"broken link {target}"


def test_its_headings_are_in_order(notebook):
    levels = []
    for cell in lessons.markdown_cells(notebook):
        levels += [len(marks) for marks in re.findall(r"^(#+) \S", cell.source, re.M)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))


def lines_of(cell):
    """How many lines of a cell are not empty."""
    return sum(bool(line.strip()) for line in cell.source.splitlines())


def test_its_code_is_short(notebook):
    """All cells but the ledger, which is folded away."""
    for cell in lessons.code_cells(notebook):
        ast.parse(cell.source)  # plain Python: no magic, no shell
    for cell in lessons.code_cells(notebook)[:-1]:
        assert lines_of(cell) <= 25, cell.source


def test_a_guess_starts_on_one_of_its_steps(notebook):
    """Otherwise JupyterLab moves the slider there, and that counts as a guess."""
    for cell in lessons.code_cells(notebook):
        for node in ast.walk(ast.parse(cell.source)):
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "helpers.Guess":
                low, high, step = map(ast.literal_eval, node.args[1:4])
                steps = (high - low) / 2 / step
                assert abs(steps - round(steps)) < 1e-6, ast.unparse(node)


# The lessons that are told as one question. 09, the finale of part one, tells the whole story and may be longer; 10 to
# 12 are about tools.
OTHER_SHAPES = ("09", "10", "11", "12")
ONE_QUESTION = [
    path for path in PATHS if path.name[:2] not in OTHER_SHAPES and not lessons.is_companion(path)
]


@pytest.mark.parametrize("path", ONE_QUESTION, ids=lambda path: path.stem)
def test_it_is_one_question_in_few_cells(path):
    notebook = lessons.read(path)
    assert 28 <= len(notebook.cells) <= 36
    links = lessons.navigation(path)
    prose = " ".join(cell.source for cell in lessons.markdown_cells(notebook)).replace(links, "")
    assert len(prose.split()) <= 2_000
    lines = [lines_of(cell) for cell in lessons.code_cells(notebook)[:-1]]
    assert median(lines) <= 5
    assert max(lines) <= 20
    closing = "".join(cell.source for cell in lessons.markdown_cells(notebook)[-3:])
    for part in ("## In short", "**Who found this", "**Next:**"):
        assert part in closing, part
    panels = sum("helpers.Panel(" in cell.source for cell in lessons.code_cells(notebook))
    assert panels == 1


def test_it_has_as_much_prose_as_code(notebook):
    cells = notebook.cells
    assert len(lessons.markdown_cells(notebook)) >= 0.8 * len(lessons.code_cells(notebook))
    assert not any(cell.source.strip() == "" for cell in cells)


# ---------------------------------------------------------------- Its outputs


def test_it_was_run_from_top_to_bottom_in_one_go(notebook):
    counts = [cell.execution_count for cell in lessons.code_cells(notebook)]
    assert counts == list(range(1, len(counts) + 1))


def test_its_outputs_were_made_by_its_code(notebook):
    saved = notebook.metadata.get("lesson", {}).get("fingerprint")
    assert saved == fingerprints.of(notebook), (
        "code or data changed after the outputs: `make rebuild`"
    )


def test_its_outputs_were_made_with_the_pinned_versions(notebook):
    said = lessons.output_text(lessons.code_cells(notebook)[0])
    pins = dict(
        re.findall(
            r"^(torch|matplotlib)==(\S+)", (lessons.ROOT / "requirements.txt").read_text(), re.M
        )
    )
    for package, version in pins.items():
        assert f"{package} {version}" in said


def test_its_outputs_are_clean(notebook):
    assert "widgets" not in notebook.metadata
    for cell in lessons.code_cells(notebook):
        for output in cell.outputs:
            assert output.output_type != "error"
            assert output.get("name") != "stderr", output.text
            assert "application/vnd.jupyter.widget-view+json" not in output.get("data", {})
        assert "✗" not in lessons.output_text(cell)


def test_its_pictures_have_words(notebook):
    for cell in lessons.code_cells(notebook):
        for output in cell.outputs:
            if "image/png" in output.get("data", {}):
                words = output.metadata.get("image/png", {}).get("alt", "")
                assert len(words) > len("A picture."), f"no title, no axes: {cell.source}"


def test_its_loss_log_shows_what_the_earlier_lessons_measured(notebook):
    for cell in lessons.code_cells(notebook):
        for output in cell.outputs:
            for key, row in output.get("data", {}).get(story.LOG_MIME, {}).items():
                assert row == story.saved_row(key), f"the row {key!r} is old: `make rebuild`"


def test_every_step_of_the_story_is_measured():
    for key, step in story.STORY.items():
        row = story.saved_row(key)
        assert row is not None, f"lesson {step.lesson} shows no row {key!r}"
        assert row["steps"] == step.steps


# ---------------------------------------------------------------- Its claims, and what is compared


def test_its_ledger_holds(notebook):
    claims = lessons.ledger(notebook)
    assert len(claims) >= 5, "a lesson rests on more"
    for claim in claims:
        assert claim["mark"] == "✓", f"{claim['claim']}: {claim['measured']}"
    for cell in lessons.code_cells(notebook)[:-1]:
        assert not any("ledger" in output.get("metadata", {}) for output in cell.outputs)


def called(tree):
    """The dotted names of all that is called in a syntax tree, such as "helpers.train"."""
    names = [ast.unparse(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)]
    return set(names)


WORK = re.compile(r"((helpers|sweep)\.)?(train|train_many|progress)|(time\.)?(perf_counter|time)")


def working_functions(trees):
    """The functions of a lesson that train or look at a clock, directly or through others."""
    functions = {
        node.name: called(node)
        for tree in trees
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef)
    }
    working = {name for name, calls in functions.items() if any(map(WORK.fullmatch, calls))}
    while more := {name for name, calls in functions.items() if calls & working} - working:
        working |= more
    return working


def long_work(notebook, cell):
    """What a cell calls that trains or looks at a clock."""
    trees = [ast.parse(other.source) for other in lessons.code_cells(notebook)]
    calls = called(ast.parse(cell.source))
    return {name for name in calls if WORK.fullmatch(name)} | calls & working_functions(trees)


def test_the_cells_that_are_compared_neither_train_nor_time(notebook):
    """Nbval would compare a progress bar and a time, which differ each time."""
    for cell in lessons.code_cells(notebook):
        tags = cell.metadata.get("tags", [])
        assert set(tags) <= TAGS, f"unknown tag in {tags}"
        if lessons.CHECK_TAG in tags:
            assert lessons.output_text(cell), f"nothing to compare: {cell.source}"
            found = long_work(notebook, cell)
            assert not found, f"{found} in a cell that is compared: {cell.source}"


def test_its_cells_check_nothing(notebook):
    """They print what they measure; whether it is what the text says stands in the ledger."""
    for cell in lessons.code_cells(notebook)[:-1]:
        tree = ast.parse(cell.source)
        assert not any(isinstance(node, ast.Assert) for node in ast.walk(tree)), cell.source
        for name in called(tree):
            last = name.rpartition(".")[2]
            assert last not in ("check", "claim") or name == "exercises.check", cell.source


# ---------------------------------------------------------------- The numbers in its prose

NUMBER = re.compile(r"(?<![\w.,])\d[\d,]*(?:\.\d+)?")
YEARS = range(1900, 2100)
FREE = {"heading", "link", "image", "codespan", "block_code"}
# What is no measurement: lines about the lesson itself, and the names of lessons and exercises.
NAMES = re.compile(
    r"^(Time|Difficulty):.*$|\b(lessons?|exercises?) \d[\d.]*( (to|and) \d[\d.]*)?|\b0\d\b(?!\.\d)",
    re.M | re.I,
)
parse_markdown = mistune.create_markdown(renderer=None, plugins=["table"])


def words_of(tokens):
    """The words that are read as prose: no headings, links, pictures or code, and of HTML not the tags."""
    for token in tokens:
        kind = token["type"]
        if kind in FREE:
            yield " "
        elif kind in ("block_html", "inline_html"):
            yield re.sub(r"<[^>]*>", " ", token["raw"])
        elif "children" in token:
            yield from words_of(token["children"])
            yield "" if kind in ("strong", "emphasis") else "\n"
        else:
            yield token.get("raw", "\n")  # without, it is a line break


def numbers_in(text):
    """The numbers in a text, as written, without the commas of thousands."""
    return [found.rstrip(",").replace(",", "") for found in NUMBER.findall(text)]


def prose_numbers(notebook):
    """The numbers in the prose that must be measured: of two digits or more, and no years."""
    for cell in lessons.markdown_cells(notebook):
        text = "".join(words_of(parse_markdown(cell.source)))
        for written in numbers_in(NAMES.sub("", text)):
            is_year = written.isdigit() and int(written) in YEARS
            if len(written) > 1 and not is_year:
                yield written


def evidence(notebook):
    """The numbers that are measured and compared: in the ledger, and in outputs that are the same everywhere."""
    for claim in lessons.ledger(notebook):
        yield from map(float, numbers_in(claim["claim"]))
        if claim["text"] is not None:
            yield abs(claim["text"])
    for cell in lessons.code_cells(notebook)[:-1]:
        if lessons.CHECK_TAG in cell.metadata.get("tags", []):
            yield from map(float, numbers_in(lessons.output_text(cell)))


def unmeasured(notebook):
    """The numbers of the prose, as written, that no evidence equals to the precision that they are written with."""
    known = set(evidence(notebook))
    for written in prose_numbers(notebook):
        half = 0.5 * 10.0 ** -len(written.partition(".")[2])
        if not any(abs(float(written) - number) <= half * 1.000001 for number in known):
            yield written


def test_the_numbers_in_its_prose_are_measured_and_compared(notebook):
    """A literal in the code is no evidence; what is neither claimed nor compared may change unnoticed."""
    found = list(unmeasured(notebook))
    assert not found, f"in the prose, but neither in the ledger nor in a compared output: {found}"


# ---------------------------------------------------------------- These tests can fail


def made_up(prose, claims=(), compared=""):
    """A notebook of one prose cell, one compared output, and a ledger of (words, text)."""
    stream = nbformat.v4.new_output("stream", text=compared)
    cell = nbformat.v4.new_code_cell("print()", outputs=[stream])
    cell.metadata["tags"] = [lessons.CHECK_TAG]
    rows = [{"claim": words, "text": text} for words, text in claims]
    shown = nbformat.v4.new_output("display_data", metadata={"ledger": rows})
    ledger = nbformat.v4.new_code_cell("ledger", outputs=[shown])
    return nbformat.v4.new_notebook(cells=[nbformat.v4.new_markdown_cell(prose), cell, ledger])


@pytest.mark.parametrize(
    ("prose", "found"),
    [
        ("It falls from 27.88 to 3.30.", ["27.88", "3.30"]),
        ("After 1,700 steps, at 5 places, since 2015.", ["1700"]),
        ("**Time:** 25 minutes, 30 of them", []),
        ("**Difficulty:** ●○○ · **Minutes:** 10\n\nTry 12.", ["12"]),
        ("## Try 12\n\n`13`, [lesson 14](15.md), ![16](17.png)\n\n```python\n18\n```\n", []),
        ("<details><summary>Hint 21</summary>\n\nTry **22**.\n\n</details>", ["21", "22"]),
        ("| a | 31 |\n|---|---|\n| `32` | 33 |", ["31", "33"]),
        ("Lessons 11 and 12, exercise 3.2; 03 to 05. In lesson 07, 34 layers", ["34"]),
        ("- one of 41\n- two of 42", ["41", "42"]),
        (r"$\sqrt{51}$ and -0.52", ["51", "0.52"]),
    ],
)
def test_numbers_are_found_in_prose_only(prose, found):
    assert list(prose_numbers(made_up(prose))) == found


def test_a_number_counts_to_the_precision_it_is_written_with():
    claims = [("mean slope after 1,000 steps", 0.154), ("a difference", -0.52)]
    prose = "After 1,000 steps 0.15 or 0.154, not 0.16 or 0.155, and -0.5. All 228,146, not 99."
    notebook = made_up(prose, claims, compared="X (228146, 3)")
    assert list(unmeasured(notebook)) == ["0.16", "0.155", "99"]


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("many()", {"many"}),
        ("losses = helpers.train(model, X, Y, g, 10)", {"helpers.train"}),
        ("time.perf_counter()", {"time.perf_counter"}),
        ("model.train()\nprint(len(losses))", set()),
    ],
)
def test_a_cell_that_trains_is_found_also_behind_functions(source, found):
    sources = [
        "def one():\n    sweep.train_many([], 10)",
        "def many():\n    [one() for _ in range(3)]",
        source,
    ]
    cells = [nbformat.v4.new_code_cell(text) for text in sources]
    assert long_work(nbformat.v4.new_notebook(cells=cells), cells[-1]) == found
