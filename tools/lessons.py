"""The lessons as documents: notebooks, their cells and outputs, the ledger, the front matter, the links.

What is made of them stands beside: fingerprints.py (were the outputs made by this code?), readme.py (what the README
shows of them), shorten.py (short trainings, for tests), rebuild.py (executes and saves them).
"""

import ast
import base64
import copy
import re
import sys
from dataclasses import dataclass
from pathlib import Path

import nbformat

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))  # where lessonkit is found from `python tools/rebuild.py`

from lessonkit import story  # noqa: E402
from lessonkit.ledger import METADATA  # noqa: E402

# A lesson, 01_what_it_does.ipynb, or its companion, 01b_more_of_it.ipynb. A copy, 01_what_it_does-Copy1.ipynb, is none.
FILE_NAME = re.compile(r"\d\d[a-z]?_[a-z0-9_]+\.ipynb")
# Tags of cells: the output is compared by nbval; it gives the README its picture, or the cheat sheet one of its
# pictures; the source is folded away.
CHECK_TAG = "nbval-check-output"
PICTURE_TAG = "readme-picture"
SHEET_TAG = "cheatsheet-picture"
HIDE_TAG = "hide-input"


def lesson_paths(start=""):
    """The notebooks of the lessons in the order of the series; with `start`, those whose file name starts so.

    Other notebooks in their folder, such as copies, are left out.
    """
    paths = story.LESSONS_FOLDER.glob("*.ipynb")
    return sorted(p for p in paths if FILE_NAME.fullmatch(p.name) and p.name.startswith(start))


def read(path):
    """The notebook at `path`, checked against the format. Raises ValueError that names the file if it is broken."""
    try:
        notebook = nbformat.read(path, as_version=4)
        nbformat.validate(notebook)
    except (ValueError, AttributeError, nbformat.ValidationError) as error:
        # AttributeError: it is JSON, but no notebook
        empty = not Path(path).read_bytes().strip()
        what = "the file is empty" if empty else str(error).partition("\n")[0]
        raise ValueError(f"{path} is not a valid notebook: {what}") from error
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


def output_text(cell):
    """All that the outputs of a code cell say in words."""
    texts = [
        output.get("text", "") or output.get("data", {}).get("text/plain", "")
        for output in cell.outputs
    ]
    return "\n".join(texts)


def ledger(notebook):
    """The claims of a notebook's ledger as data, in order: dicts with claim, text, low, high, measured, mark."""
    return [claim for cell in code_cells(notebook) for claim in claims_in(cell.outputs)]


def claims_in(outputs):
    """The same, of a cell's outputs."""
    return [claim for output in outputs for claim in output.get("metadata", {}).get(METADATA, [])]


def pictures(cell):
    """The pictures in the outputs of a code cell, each as the bytes of a PNG file."""
    data = [output.get("data", {}) for output in cell.outputs]
    return [base64.b64decode(bundle["image/png"]) for bundle in data if "image/png" in bundle]


# A formula, as code hosts show it, of letters, digits and fractions: italics do as well, and need no MathJax.
FORMULA = re.compile(r"(?<![\\$`])\$([\w/ ]+)\$(?!\$)")


def with_plain_formulas(markdown):
    """Markdown with its formulas in italics."""
    return FORMULA.sub(r"*\1*", markdown)


def guess_arguments(call, place):
    """The arguments of a call of helpers.Guess, a node: a dict with question, low, high, step and log.

    Raises ValueError that names the place if one of them is computed or missing.
    """
    names = ("question", "low", "high", "step", "log")
    given = {"log": ast.Constant(False)} | dict(zip(names, call.args, strict=False))
    given |= {keyword.arg: keyword.value for keyword in call.keywords}
    try:
        return {name: ast.literal_eval(given[name]) for name in names}
    except (KeyError, ValueError) as error:
        raise ValueError(
            f"{place}: write the arguments of this guess as plain values: {ast.unparse(call)}"
        ) from error


# ---------------------------------------------------------------- Front matter


@dataclass(frozen=True)
class FrontMatter:
    """What the first cell of a lesson says: "01" or "01b", its title, the question it answers, the minutes it takes."""

    number: str
    title: str
    question: str
    minutes: int


def front_matter(path):
    """Read the first cell of a lesson. Raises ValueError that names the file and the part that is missing."""
    cells = read(path).cells
    text = cells[0].source if cells else ""
    parts = {
        "title, `# 01 · Title`": re.search(r"^# (\d\d[a-z]?) · (.+)$", text, re.M),
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


def is_companion(path):
    """Whether a notebook goes with a lesson, as 02b and 06c do, and is none of its own."""
    return path.name[2] != "_"


def companions(path):
    """The companions of a lesson, in order."""
    return [other for other in lesson_paths(path.name[:2]) if is_companion(other)]


def navigation(path):
    """The line of links near a lesson's top and at its end: previous lesson, contents, companions, next lesson.

    A companion leads back to its lesson, and on to the next one.
    """
    mains = [other for other in lesson_paths() if not is_companion(other)]
    place = next(place for place, main in enumerate(mains) if main.name[:2] == path.name[:2])

    def link(neighbour):
        front = front_matter(neighbour)
        return f"[{front.number} · {front.title}]({neighbour.name})"

    back = mains[place] if is_companion(path) else mains[place - 1] if place else None
    beside = [] if is_companion(path) else companions(path)
    return " | ".join(
        [
            *([f"← {link(back)}"] if back else []),
            "[Contents](../README.md)",
            *map(link, beside),
            *(f"{link(main)} →" for main in mains[place + 1 : place + 2]),
        ]
    )


def with_navigation(notebook, line):
    """A copy of the notebook in which each line that links to the contents is this one."""
    linked = copy.deepcopy(notebook)
    for cell in markdown_cells(linked):
        cell.source = re.sub(
            r"^.*\[Contents\]\(\.\./README\.md\).*$", line, cell.source, flags=re.M
        )
    return linked
