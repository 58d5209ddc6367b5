"""The lessons as documents: what the rebuild writes and the tests hold against the files."""

import ast
import base64
import copy
import hashlib
import re
import sys
from dataclasses import dataclass
from pathlib import Path

import nbformat

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from lessonkit import data, story  # noqa: E402
from lessonkit.ledger import METADATA  # noqa: E402

# What all lessons import, directly or through helpers; what some of them import; and what makes the clinic's outputs.
SHARED = (
    "helpers",
    *(f"lessonkit.{path.stem}" for path in sorted((ROOT / "lessonkit").glob("[a-z]*.py"))),
)
TOOLS = ("checkup", "sweep")
CLINIC = ("exercises.clinic", "exercises.examination", "exercises.diagnoses")
MODULES = (*SHARED, *TOOLS)

README = ROOT / "README.md"
README_PICTURE = ROOT / "picture.png"
PICTURE_TAG = "readme-picture"
CHECK_TAG = "nbval-check-output"
HIDE_TAG = "hide-input"
# How a lesson says how long it trains. Tests make it shorter.
TRAINING = re.compile(r"^STEPS = ([\d_]+)$", re.M)
SHORT_TRAINING = 300  # steps at most
COUNTS_STEPS = (
    "02",
)  # lessons that fail if a training does not get somewhere in its number of steps
# What trains by the helper: its last loss is repeated, since pictures count on one for each step.
SHORTER = f"""
import functools
import inspect

from exercises import examination


def with_fewer_steps(train):
    signature = inspect.signature(train)

    @functools.wraps(train)
    def train_less(*arguments, **named):
        given = signature.bind(*arguments, **named).arguments
        steps, given["steps"] = given["steps"], min(given["steps"], {SHORT_TRAINING})
        if given.get("record"):  # it may wait for a step
            given["steps"] = steps
        losses = train(**given)
        return losses + losses[-1:] * (steps - len(losses))

    return train_less


helpers.train = with_fewer_steps(helpers.train)
examination.STEPS = {SHORT_TRAINING}
"""


def lesson_paths(start=""):
    """The notebooks in the order of the series; with `start`, those whose file name starts so."""
    return sorted(
        path for path in story.LESSONS_FOLDER.glob("*.ipynb") if path.name.startswith(start)
    )


def read(path):
    """The notebook at `path`, checked against the format. Raises ValueError that names the file if it is broken."""
    try:
        notebook = nbformat.read(path, as_version=4)
        nbformat.validate(notebook)
    except (nbformat.reader.NotJSONError, nbformat.ValidationError) as error:
        raise ValueError(f"{path} is not a valid notebook: {error}") from error
    return notebook


def as_bytes(notebook):
    """The notebook as the content of its file."""
    return (nbformat.writes(notebook) + "\n").encode()


def code_cells(notebook):
    """The notebook's code cells, in order."""
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def markdown_cells(notebook):
    """The notebook's prose cells, in order."""
    return [cell for cell in notebook.cells if cell.cell_type == "markdown"]


def with_short_trainings(path):
    """The lesson at `path`, without outputs, with trainings that are short.

    STEPS is a tenth, and SHORT_TRAINING at most. In most lessons a cell behind the first one limits what trains by a
    helper, and the clinic.
    """
    notebook = read(path)
    for cell in code_cells(notebook):
        cell.source = TRAINING.sub(
            lambda line: f"STEPS = {min(SHORT_TRAINING, int(line[1]) // 10)}", cell.source
        )
        cell.outputs, cell.execution_count = [], None
    if not path.name.startswith(COUNTS_STEPS):
        setup = notebook.cells.index(code_cells(notebook)[0])
        notebook.cells.insert(setup + 1, nbformat.v4.new_code_cell(SHORTER))
    return notebook


def output_text(cell):
    """All that the outputs of a code cell say in words."""
    texts = [
        output.get("text", "") or output.get("data", {}).get("text/plain", "")
        for output in cell.outputs
    ]
    return "\n".join(texts)


def ledger(notebook):
    """The claims of a notebook's ledger as data, in order: dicts with claim, text, low, high, measured, mark."""
    return [
        claim
        for cell in code_cells(notebook)
        for output in cell.outputs
        for claim in output.get("metadata", {}).get(METADATA, [])
    ]


def pictures(cell):
    """The pictures in the outputs of a code cell, each as the bytes of a PNG file."""
    data = [output.get("data", {}) for output in cell.outputs]
    return [base64.b64decode(bundle["image/png"]) for bundle in data if "image/png" in bundle]


# ---------------------------------------------------------------- Front matter


@dataclass(frozen=True)
class FrontMatter:
    """What the first cell of a lesson says: "01", its title, the question it answers, the minutes it takes."""

    number: str
    title: str
    question: str
    minutes: int


def front_matter(path):
    """Read the first cell of a lesson. Raises ValueError that names the file and the part that is missing."""
    text = read(path).cells[0].source
    parts = {
        "title, `# 01 · Title`": re.search(r"^# (\d\d) · (.+)$", text, re.M),
        "question, `**The question:** ...?`": re.search(
            r"^\*\*The question:\*\* (.+\?)$", text, re.M
        ),
        "time, `**Time:** 25 minutes`": re.search(r"^\*\*Time:\*\* (\d+) minutes", text, re.M),
    }
    for part, match in parts.items():
        if match is None:
            raise ValueError(f"{path}: the first cell has no {part}.")
    title, question, minutes = parts.values()
    return FrontMatter(title[1], title[2], question[1], int(minutes[1]))


def navigation(path):
    """The line of links near a lesson's top and at its end: previous lesson, contents, next lesson."""
    paths = lesson_paths()
    place = paths.index(path)

    def link(neighbour):
        front = front_matter(neighbour)
        return f"[{front.number} · {front.title}]({neighbour.name})"

    before = [f"← {link(paths[place - 1])}"] if place > 0 else []
    after = [f"{link(paths[place + 1])} →"] if place + 1 < len(paths) else []
    return " | ".join([*before, "[Contents](../README.md)", *after])


def with_navigation(notebook, line):
    """A copy of the notebook in which each line that links to the contents is this one."""
    linked = copy.deepcopy(notebook)
    for cell in markdown_cells(linked):
        cell.source = re.sub(
            r"^.*\[Contents\]\(\.\./README\.md\).*$", line, cell.source, flags=re.M
        )
    return linked


# ---------------------------------------------------------------- Were the outputs made by this code?


def fingerprint(notebook):
    """A hash of all that decides a lesson's outputs: its code, the helpers it reaches, the data, the versions.

    Of helpers.py and the modules behind it only the definitions count that the lesson uses, directly or through
    others, and of those not the docstrings: so a new helper, or a better sentence, does not make every lesson old.
    Of the clinic, for the lessons that import from it, all counts.
    """
    sources = [cell.source for cell in code_cells(notebook)]
    imported = {name for source in sources for name in _imported(ast.parse(source))}
    clinic = [_text_of(module) for module in CLINIC if imported & set(CLINIC)]
    trees = [ast.parse(text) for text in [*sources, *clinic]]
    used = {name for tree in trees for name in _used_of_modules(tree)}
    pins = [
        line
        for line in (ROOT / "requirements.txt").read_text().splitlines()
        if line.startswith(("torch=", "numpy=", "matplotlib=", "ipywidgets="))
    ]
    names = hashlib.sha256(data.NAMES_FILE.read_bytes()).hexdigest()
    style = (ROOT / "lessons.mplstyle").read_text()
    tools = [tool for tool in TOOLS if tool in imported]
    parts = [*sources, *_reached_sources(used, [*SHARED, *tools]), *clinic, *pins, names, style]
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()


def _text_of(module):
    return (ROOT / f"{module.replace('.', '/')}.py").read_text(encoding="utf-8")


def _imported(tree):
    """The modules that are imported, with dots, and what is imported from them."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def _used_of_modules(tree):
    """The names that a lesson takes out of the modules: `helpers.train`, `from helpers import Linear`."""
    used = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and getattr(node.value, "id", None) in MODULES:
            used.add(node.attr)
        elif isinstance(node, ast.ImportFrom) and node.module in MODULES:
            used |= {alias.name for alias in node.names}
    return used


def _definitions(modules):
    """All top-level definitions of the modules: a dict from a name to its syntax tree and its module's text."""
    found = {}
    for module in modules:
        text = _text_of(module)
        for node in ast.parse(text).body:
            names = []
            if isinstance(node, ast.FunctionDef | ast.ClassDef):
                names = [node.name]
            elif isinstance(node, ast.Assign):
                targets = [part for target in node.targets for part in ast.walk(target)]
                names = [target.id for target in targets if isinstance(target, ast.Name)]
            for name in names:
                if name in found:
                    raise ValueError(
                        f"{module}.py defines {name!r}, as does another module: rename one."
                    )
                found[name] = node, text
    return found


def _reached_sources(names, modules):
    """The sources, without docstrings, of the modules' definitions that are reached from these names."""
    definitions = _definitions(modules)
    reached, waiting = {}, sorted(names & definitions.keys())
    while waiting:
        name = waiting.pop()
        if name not in reached:
            node, text = definitions[name]
            reached[name] = _without_docstrings(text, node)
            mentioned = {part.id for part in ast.walk(node) if isinstance(part, ast.Name)}
            mentioned |= _used_of_modules(node)
            waiting += sorted(mentioned & definitions.keys() - reached.keys())
    return [reached[name] for name in sorted(reached)]


def _without_docstrings(text, definition):
    """The lines of a definition, less those of its docstrings."""
    left_out = set()
    for node in ast.walk(definition):
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and ast.get_docstring(node) is not None:
            left_out |= set(range(node.body[0].lineno, node.body[0].end_lineno + 1))
    lines = range(definition.lineno, definition.end_lineno + 1)
    return "\n".join(text.splitlines()[line - 1] for line in lines if line not in left_out)


# ---------------------------------------------------------------- What the README shows of the lessons


def readme_blocks():
    """The parts of the README that are made from the lessons: a dict from a block's name to its markdown."""
    table = ["| lesson | the question it answers | minutes |", "|---|---|---|"]
    for path in lesson_paths():
        front = front_matter(path)
        link = f"[{front.number} · {front.title}](notebooks/{path.name})"
        table.append(f"| {link} | {front.question} | {front.minutes} |")
    rows = {key: row for key in story.STORY if (row := story.saved_row(key)) is not None}
    return {"lessons": "\n".join(table), "loss log": str(story.LossLog(rows))}


def with_blocks(text, blocks, maker="make rebuild"):
    """The README's text with each block put between its two markers. Raises ValueError for a missing marker."""
    for name, block in blocks.items():
        start, end = f"<!-- {name}: made by `{maker}` -->\n", f"<!-- end of {name} -->"
        before, found, rest = text.partition(start)
        _, found_end, after = rest.partition(end)
        if not found or not found_end:
            raise ValueError(
                f"{README} lacks a marker of the block {name!r}: {start.strip()} or {end}"
            )
        text = f"{before}{start}{block}\n{end}{after}"
    return text


def readme_picture():
    """The picture that the README shows: that of the one cell in all lessons with the tag `readme-picture`."""
    tagged = [
        cell
        for path in lesson_paths()
        for cell in code_cells(read(path))
        if PICTURE_TAG in cell.metadata.get("tags", [])
    ]
    if len(tagged) != 1 or len(pictures(tagged[0])) != 1:
        raise ValueError(
            f"one cell with one picture must have the tag {PICTURE_TAG!r}; {len(tagged)} cells have it."
        )
    return pictures(tagged[0])[0]
