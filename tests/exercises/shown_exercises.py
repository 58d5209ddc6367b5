"""What the lessons show of the exercises: their text, starting cells and solutions; and how a test runs a cell."""

import re
from dataclasses import dataclass
from itertools import pairwise

import lessons

HEADING = re.compile(r"^### Exercise (\d+\.\d+) · (.+)$", re.M)
FACTS = re.compile(r"^\*\*Difficulty:\*\* (●○○|●●○|●●●) · \*\*Minutes:\*\* \d+$", re.M)
FOLDED = re.compile(r"<details><summary>(.+?)</summary>\n(.*?)</details>", re.S)
CODE = re.compile(r"```python\n(.*?)```", re.S)


@dataclass(frozen=True)
class Exercise:
    """An exercise as a lesson shows it: its text, its starting cell, and the code of its worked solution."""

    number: str
    text: str
    start: str
    solution: str


def exercises_of(path):
    """The exercises of a lesson, each a prose cell with the heading, and the code cell after it."""
    cells = lessons.read(path).cells
    for cell, after in pairwise(cells):
        heading = HEADING.search(cell.source)
        if cell.cell_type == "markdown" and heading:
            folded = dict(FOLDED.findall(cell.source))
            assert "Solution" in folded, f"exercise {heading[1]} has no solution"
            solution = "".join(CODE.findall(folded["Solution"]))
            yield Exercise(heading[1], cell.source, after.source, solution)


ALL = [found for path in lessons.lesson_paths() for found in exercises_of(path)]


def run(code, capsys):
    """Run code as a lesson's cell, with only the imports that each lesson has; what it printed."""
    space = {}
    exec(
        "import math\nimport torch\nimport torch.nn.functional as F\nfrom torch import nn\nimport exercises, helpers",
        space,
    )
    capsys.readouterr()
    exec(code, space)
    return capsys.readouterr().out
