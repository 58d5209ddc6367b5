"""What the lessons share. Each piece is built by hand in the lesson named here and imported by the later ones.

Contents, in the order in which the lessons meet it:

    Setup      setup, progress                                       every lesson, first cell
    Data       load_names, build_vocabulary, build_dataset, split_names               01
    Checks     check                                             every lesson
    Loss log   loss_log                                          every lesson, at its end

Shapes are written (rows, columns). N is a number of examples; losses are in nats (natural logarithm).
"""

import json
import math
import platform
import random
import unicodedata
from dataclasses import dataclass
from pathlib import Path

import matplotlib
import matplotlib.pyplot as plt
import torch
from tqdm.auto import tqdm

ROOT = Path(__file__).resolve().parent
NAMES_FILE = ROOT / "names.txt"
LESSONS_FOLDER = ROOT / "notebooks"

# ---------------------------------------------------------------- Setup


def setup():
    """Start a lesson: the figure style of the series, one torch thread, the versions it runs with.

    One thread is the fastest choice for networks this small: the threads' talk costs more than they save.
    """
    plt.style.use(ROOT / "lessons.mplstyle")
    torch.set_num_threads(1)
    print(
        f"Python {platform.python_version()}, torch {torch.__version__.partition('+')[0]}, "
        f"matplotlib {matplotlib.__version__}"
    )


def progress(steps):
    """Count from 0 to steps - 1 with a progress bar, which `set_postfix` gives a running loss.

    It is drawn once a second at most: nbval reads a cell's messages only after the cell has ended, and loses some,
    with the cell's end among them, when more than a thousand wait.
    """
    return tqdm(range(steps), unit=" steps", mininterval=1, maxinterval=5)


# ---------------------------------------------------------------- Data (lesson 01)

END = "."  # starts and ends every name; always number 0 of the vocabulary


def load_names(path=NAMES_FILE):
    """Read a text file with one name a line into a list of strings, in the file's order.

    UTF-8, with or without a byte order mark, and any line ends. Blank lines and white space around a name are
    left out. Letters are brought to Unicode's composed form (NFC), so that one letter is one symbol.

    Raises FileNotFoundError if there is no such file, and ValueError if the file holds no name, is not text, or
    has a name with the reserved character "."; each names the file, the line where there is one, and what to do.
    """
    path = Path(path)
    if not path.is_file():
        what = "is a folder, not a file" if path.is_dir() else "does not exist"
        raise FileNotFoundError(
            f"{path} {what}. Give load_names the path of a text file with one name a line."
        )
    raw = path.read_bytes()
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise ValueError(
            f"{path}, line {line}: this is not UTF-8 text. Save the file as UTF-8 text."
        ) from error
    names = []
    for line, name in enumerate(text.replace("\r\n", "\n").replace("\r", "\n").split("\n"), 1):
        name = unicodedata.normalize("NFC", name.strip())
        if "\0" in name:
            raise ValueError(
                f"{path}, line {line}: a zero byte, so this is not a text file. Save it as UTF-8 text."
            )
        if END in name:
            raise ValueError(
                f'{path}, line {line}: {name!r} contains "{END}", which marks where a name ends. '
                f"Remove the character or the line."
            )
        if name:
            names.append(name)
    if not names:
        raise ValueError(f"{path} holds no name. Put one name on each line.")
    return names


def build_vocabulary(names):
    """Number the characters of the names: "." is 0, the others follow in sorted order from 1.

    Returns (stoi, itos): a dict from character to number and its inverse, from number to character.
    Raises ValueError if there are no names, or if one contains the reserved ".".
    """
    if isinstance(names, str) or not names:
        raise ValueError(f"build_vocabulary needs a list of names, and got {names!r}.")
    for number, name in enumerate(names, 1):
        if END in name:
            raise ValueError(
                f'name {number} of the list, {name!r}, contains "{END}", which is reserved: remove it.'
            )
    stoi = {END: 0} | {character: i for i, character in enumerate(sorted(set("".join(names))), 1)}
    return stoi, {i: character for character, i in stoi.items()}


def build_dataset(names, stoi, block_size=3):
    """Turn names into training examples: block_size characters of context, and the character that follows.

    A name of n characters gives n + 1 examples, the last of which predicts the end, ".". Before the first
    character the context is filled with ".".

    Returns (X, Y): X of shape (N, block_size) and Y of shape (N,), both int64, holding numbers of stoi.
    Raises ValueError if block_size is below 1 or if a character is not in stoi.
    """
    if isinstance(names, str):
        raise ValueError(f"build_dataset needs a list of names, and got the string {names!r}.")
    if block_size < 1:
        raise ValueError(f"block_size is {block_size}; it must be 1 or more.")
    contexts, targets = [], []
    for number, name in enumerate(names, 1):
        context = [stoi[END]] * block_size
        for character in name + END:
            if character not in stoi:
                raise ValueError(
                    f"name {number} of the list, {name!r}, has {character!r}, which is not in the vocabulary. "
                    f"Build the vocabulary from all names, before they are split."
                )
            contexts.append(context)
            targets.append(stoi[character])
            context = context[1:] + [stoi[character]]
    X = torch.tensor(contexts, dtype=torch.int64).view(-1, block_size)
    return X, torch.tensor(targets, dtype=torch.int64)


def split_names(names, seed=42):
    """Shuffle a copy of the names and cut it into three lists: 80 % to train, 10 % dev, 10 % test.

    The order is that of `random.seed(seed); random.shuffle(names)`. The list that is passed in stays as it is.
    """
    names = list(names)
    random.Random(seed).shuffle(names)
    first, second = int(0.8 * len(names)), int(0.9 * len(names))
    return names[:first], names[first:second], names[second:]


# ---------------------------------------------------------------- Checks (every lesson)


def check(claim, measured, expected, within=0):
    """Say in one line whether a measured number is the one that the text gives.

    The line repeats the text's number, not the measured one, so that it is the same on every machine as long as
    the claim holds. The tests compare these lines; a learner who has changed something sees what came out.

    claim: what was measured, in words. within: the largest difference that counts as the same, in the same unit.
    """
    measured = measured.item() if isinstance(measured, torch.Tensor) else measured
    band = f" (within {within:,})" if within else ""
    if abs(measured - expected) <= within:
        print(f"✓ {claim}: {expected:,}{band}")
    else:
        print(
            f"✗ {claim}: the text says {expected:,}{band}, this run gave {measured:,.6g}. "
            f"If you changed something above, this is your own result."
        )


# ---------------------------------------------------------------- Loss log (every lesson)

TRAINING_STEPS = 200_000
LOG_MIME = "application/vnd.lesson.loss-log+json"


@dataclass(frozen=True)
class Step:
    """A step of the story: the lesson that takes it, what it changes, and the lecture's (train, validation) losses."""

    lesson: str
    change: str
    lecture: tuple[float, float] | None


STORY = {
    "starter": Step("01", "starter", (2.1245, 2.1682)),
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
        return "\n".join(
            "| "
            + " | ".join(f"{cell:{width}}" for cell, width in zip(line, widths, strict=True))
            + " |"
            for line in table
        )

    @staticmethod
    def _line(step, row):
        lecture = [f"{loss:.4f}" for loss in step.lecture] if step.lecture else ["-", "-"]
        if row is None:
            return [
                step.change,
                step.lesson,
                "run and save this lesson",
                "",
                lecture[0],
                "",
                lecture[1],
            ]
        stopped = f", stopped at step {row['steps']:,}" if row["steps"] < TRAINING_STEPS else ""
        initial, train, dev = (
            f"{float(row[column]):.4f}" for column in ("initial", "train", "dev")
        )
        return [step.change + stopped, step.lesson, initial, train, lecture[0], dev, lecture[1]]

    def _repr_mimebundle_(self, **_):
        return {"text/markdown": str(self), "text/plain": str(self), LOG_MIME: self.rows}


def loss_log(key, *, initial, train, dev, steps, folder=LESSONS_FOLDER):
    """The loss log up to the step `key` of the story: this lesson's row as just measured, the earlier ones as saved.

    A saved lesson carries its own row as data in its outputs; this reads the rows of the earlier steps from there.
    So no number is kept anywhere but in the lesson that measured it, and each lesson still runs alone.

    Raises KeyError for a key that is not in STORY.
    """
    if key not in STORY:
        raise KeyError(f"{key!r} is no step of the story; the steps are {', '.join(STORY)}.")
    earlier = list(STORY)[: list(STORY).index(key)]
    rows = {step: saved_row(step, folder) for step in earlier}
    losses = {"initial": initial, "train": train, "dev": dev}
    # A diverged run ends in nan or inf, which JSON does not have: such a loss is saved as its name.
    losses = {column: loss if math.isfinite(loss) else str(loss) for column, loss in losses.items()}
    return LossLog(rows | {key: losses | {"steps": steps}})


def saved_row(key, folder=LESSONS_FOLDER):
    """The row that the lesson of this step has in its saved outputs, or None if it was not run or not saved."""
    for path in sorted(Path(folder).glob(f"{STORY[key].lesson}_*.ipynb")):
        for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]:
            for output in cell.get("outputs", []):
                if key in output.get("data", {}).get(LOG_MIME, {}):
                    return output["data"][LOG_MIME][key]
    return None
