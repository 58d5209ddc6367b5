"""The story of the series in numbers: the loss log, which each lesson ends with.

Lessons reach these as `helpers.loss_log` and `helpers.STORY`. Losses are in nats.
"""

import json
import math
import warnings
from dataclasses import dataclass
from pathlib import Path

from lessonkit import ROOT

LESSONS_FOLDER = ROOT / "notebooks"
TRAINING_STEPS = 200_000  # of each network in the log, if its step names no other number
LOG_MIME = "application/vnd.lesson.loss-log+json"


@dataclass(frozen=True)
class Step:
    """A step of the story: its lesson's file, what it changes, and the lecture's (train, validation) losses."""

    file: str  # without .ipynb: a copy of the lesson beside it has another name, and does not count
    change: str
    lecture: tuple[str, str]  # as published
    steps: int = TRAINING_STEPS  # of its training

    @property
    def lesson(self):
        """The lesson's number, such as "01"."""
        return self.file[:2]


STORY = {
    "starter": Step("01_starter_mlp", "starter", ("2.1245", "2.1682")),
    "logits": Step("02_fixing_the_initial_loss", "W2 × 0.01, b2 × 0", ("2.07", "2.13")),
    "tanh": Step("03_fixing_the_saturated_tanh", "and W1 × 0.2, b1 × 0.01", ("2.0356", "2.1027")),
    "kaiming": Step("04_kaiming_init", "and W1 × (5/3)/√30 instead", ("2.0377", "2.1070")),
    "batchnorm": Step("05_batchnorm", "and BatchNorm before the tanh", ("2.0668", "2.1048")),
    # Not published: the lecture does not train these to the end.
    "deep": Step(
        "09_the_whole_story", "five layers, no BatchNorm, half the steps", ("–", "–"), 100_000
    ),
    "normalized": Step("09_the_whole_story", "and BatchNorm in each of them", ("–", "–"), 100_000),
}


class LossLog:
    """The table of losses up to one step of the story; a notebook shows it as a table, print as text.

    rows: a dict from a key of STORY to {"initial", "train", "dev": losses in nats, "steps": training steps done}.
    """

    def __init__(self, rows):
        self.rows = rows

    def __str__(self):
        head = [
            "step of the story",
            "lesson",
            "initial loss",
            "train",
            "lecture's",
            "dev",
            "lecture's",
        ]
        table = [head] + [
            self._line(step, self.rows[key]) for key, step in STORY.items() if key in self.rows
        ]
        widths = [max(map(len, column)) for column in zip(*table, strict=True)]
        table.insert(1, ["-" * width for width in widths])
        rows = [map(str.ljust, line, widths) for line in table]
        return "\n".join(f"| {' | '.join(row)} |" for row in rows)

    @staticmethod
    def _line(step, row):
        change, initial, train, dev = step.change, "run and save this lesson", "", ""
        if row is not None:
            initial, train, dev = (
                f"{float(row[name]):.4f}" for name in ("initial", "train", "dev")
            )
            if row["steps"] < step.steps:
                change += f", stopped at step {row['steps']:,}"
        return [change, step.lesson, initial, train, step.lecture[0], dev, step.lecture[1]]

    def _repr_mimebundle_(self, **_):
        return {"text/markdown": str(self), "text/plain": str(self), LOG_MIME: self.rows}


def loss_log(key, *, initial, train, dev, steps, before=None, folder=LESSONS_FOLDER):
    """The loss log up to the step `key` of the story: this lesson's row as just measured, the earlier ones as saved.

    before: the LossLog of an earlier step that was measured in the same lesson.

    A saved lesson carries its own row as data in its outputs; this reads the rows of the earlier steps from there.
    So no number is kept anywhere but in the lesson that measured it, and each lesson still runs alone.

    Raises KeyError for a key that is not in STORY.
    """
    if key not in STORY:
        raise KeyError(f"{key!r} is no step of the story; the steps are {', '.join(STORY)}.")
    earlier = list(STORY)[: list(STORY).index(key)]
    here = before.rows if before else {}
    rows = {step: here[step] if step in here else saved_row(step, folder) for step in earlier}
    losses = {"initial": initial, "train": train, "dev": dev}
    # A diverged run ends in nan or inf, which JSON does not have: such a loss is saved as its name.
    losses = {column: loss if math.isfinite(loss) else str(loss) for column, loss in losses.items()}
    return LossLog(rows | {key: losses | {"steps": steps}})


def saved_row(key, folder=LESSONS_FOLDER):
    """The row that the lesson of this step has in its saved outputs, or None if it was not run or not saved.

    A notebook that cannot be read counts as not saved, with a warning that names it: an earlier lesson that is broken
    must not keep this one from its end.
    """
    path = Path(folder) / f"{STORY[key].file}.ipynb"
    if not path.exists():
        return None
    try:
        outputs = _saved_outputs(path)
    except (OSError, ValueError) as error:
        warnings.warn(
            f"{path} cannot be read as a notebook ({error}). Its row of the loss log is left out: put the file back "
            f"as it was, run that lesson and save it.",
            stacklevel=3,
        )
        return None
    return next((data[key] for data in outputs if key in data), None)


def _saved_outputs(path):
    """The loss logs in a notebook, as data. Raises OSError or ValueError if it cannot be read."""
    text = path.read_text(encoding="utf-8")
    if not text.strip():
        raise ValueError("it is empty")
    notebook = json.loads(text)
    if not isinstance(notebook, dict) or not isinstance(notebook.get("cells"), list):
        raise ValueError("it has no cells")
    outputs = (output for cell in notebook["cells"] for output in cell.get("outputs", []))
    return [output.get("data", {}).get(LOG_MIME, {}) for output in outputs]
