"""What the lessons share. Each piece is built by hand in the lesson named here and imported by the later ones.

Contents, in the order in which the lessons meet it:

    Setup      setup, progress                                          every lesson
    Checks     check                                                    every lesson
    Data       load_names, build_vocabulary, build_dataset, split_names           01
    Network    draw_parameters, starter_logits                                    01
    Training   train, lecture_rate, evaluate, block_means                         01
    Loss log   loss_log                                                 every lesson
    Panels     Panel, static_twin                                      from 02 on

Shapes are written (rows, columns). N is a number of examples; losses are in nats (natural logarithm).
"""

import base64
import html
import io
import json
import math
import platform
import random
import unicodedata
from dataclasses import dataclass
from pathlib import Path

import ipywidgets as widgets
import matplotlib
import matplotlib.pyplot as plt
import torch
import torch.nn.functional as F
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.image import imsave
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


# ---------------------------------------------------------------- Network (lesson 01)

SEED = 2147483647  # the lecture's, for every network
TRAINING_STEPS = 200_000


def draw_parameters(generator, hidden_bias=True):
    """Draw the starter's parameters from N(0, 1), always in this order: C, W1, b1, W2, b2.

    Shapes: C (27, 10), W1 (30, 200), b1 (200,), W2 (200, 27), b2 (27,). Without hidden_bias there is no b1, and
    four tensors are returned. They do not ask for gradients yet, so that a lesson can scale them first.
    """
    shapes = [(27, 10), (30, 200), (200,), (200, 27), (27,)]
    if not hidden_bias:
        del shapes[2]
    return [torch.randn(shape, generator=generator) for shape in shapes]


def starter_logits(parameters, X):
    """The starter's logits, (N, 27), for contexts X, (N, 3), and parameters [C, W1, b1, W2, b2]."""
    C, W1, b1, W2, b2 = parameters
    h = torch.tanh(C[X].view(len(X), -1) @ W1 + b1)  # (N, 200)
    return h @ W2 + b2


# ---------------------------------------------------------------- Training (lesson 01)


def lecture_rate(step):
    """The lecture's learning rate: 0.1, and 0.01 from step 100,000."""
    return 0.1 if step < 100_000 else 0.01


def train(model, parameters, X, Y, generator, steps, rate=lecture_rate, batch_size=32):
    """Train by plain stochastic gradient descent on minibatches; return the loss of each step, in nats, as a list.

    model: a function from contexts, (N, 3), to logits, (N, symbols). parameters: the tensors to change, in place.
    generator: draws the minibatches. rate: a function from the step's number to the learning rate.

    An interruption (Ctrl-C, or the kernel's interrupt button) ends the training, not the lesson: the parameters
    stay as they are by then, and the losses so far are returned.
    """
    losses = []
    bar = progress(steps)
    try:
        for step in bar:
            batch = torch.randint(0, len(X), (batch_size,), generator=generator)
            loss = F.cross_entropy(model(X[batch]), Y[batch])
            for p in parameters:
                p.grad = None
            loss.backward()
            for p in parameters:
                p.data -= rate(step) * p.grad
            losses.append(loss.item())
            if step % 1000 == 999:
                bar.set_postfix(loss=f"{sum(losses[-1000:]) / 1000:.3f}", refresh=False)
    except KeyboardInterrupt:
        print(
            "You stopped the training. What was learned so far is kept: go on with the next cell."
        )
    print(f"{len(losses):,} steps done")
    return losses


@torch.no_grad()
def evaluate(model, X, Y):
    """The mean loss, in nats, of a model (from contexts to logits) on all examples X, (N, 3), and Y, (N,)."""
    return F.cross_entropy(model(X), Y).item()


def block_means(losses, size):
    """The mean of each `size` losses in a row, as a tensor; a rest that fills no block is left out."""
    return torch.tensor(losses[: len(losses) // size * size]).view(-1, size).mean(1)


# ---------------------------------------------------------------- Loss log (every lesson)

LOG_MIME = "application/vnd.lesson.loss-log+json"


@dataclass(frozen=True)
class Step:
    """A step of the story: its lesson, what it changes, and the lecture's (train, validation) losses as published."""

    lesson: str
    change: str
    lecture: tuple[str, str]


STORY = {
    "starter": Step("01", "starter", ("2.1245", "2.1682")),
    "logits": Step("02", "W2 × 0.01, b2 × 0", ("2.07", "2.13")),
    "tanh": Step("03", "and W1 × 0.2, b1 × 0.01", ("2.0356", "2.1027")),
    "kaiming": Step("04", "and W1 × (5/3)/√30 instead", ("2.0377", "2.1070")),
    "batchnorm": Step("05", "and BatchNorm before the tanh", ("2.0668", "2.1048")),
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
            if row["steps"] < TRAINING_STEPS:
                change += f", stopped at step {row['steps']:,}"
        return [change, step.lesson, initial, train, step.lecture[0], dev, step.lecture[1]]

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


# ---------------------------------------------------------------- Panels (from lesson 02 on)


class Panel:
    """Sliders over a picture that follows them: a cell that ends with one shows it.

    draw: a function of a matplotlib figure. It sets up the axes, with limits that fit all settings, and the
        artists, and returns a function `update(**settings)`, which moves these artists and says in words, with
        numbers, what is to be seen. The words stand below the picture and are its alternative text.
    controls: ipywidgets by the names of update's settings, each with a description.
    figsize: inches, at 100 pixels an inch.

    The figure is laid out and its fixed parts are drawn once; a move draws only lines, patches, images and texts.
    When update raises, the panel shows the error and raises it; the picture stays as it was. Without a kernel
    the output is an ordinary picture.
    """

    def __init__(self, draw, figsize=(8, 3.2), **controls):
        self.controls = controls
        with plt.rc_context({"figure.dpi": 100}):
            self.figure = Figure(figsize)
        self.canvas = FigureCanvasAgg(self.figure)
        self.update = draw(self.figure)
        self._picture = widgets.HTML()
        self._words = widgets.HTML(layout={"min_height": "3em"})
        self.box = widgets.VBox([*controls.values(), self._picture, self._words])
        self.update(**self.settings())
        self.canvas.draw()  # lays the figure out
        self.figure.set_layout_engine("none")
        self._moving = [artist for axes in self.figure.axes for artist in _moving_artists(axes)]
        for artist in self._moving:
            artist.set_animated(True)
        self.canvas.draw()
        self._fixed = self.canvas.copy_from_bbox(self.figure.bbox)
        self.show(**self.settings())
        for control in controls.values():
            control.observe(self._on_move, "value")

    def settings(self):
        """The values of the controls, by name."""
        return {name: control.value for name, control in self.controls.items()}

    def show(self, **settings):
        """Draw the picture for these settings."""
        words = self.update(**settings)
        self.canvas.restore_region(self._fixed)
        for artist in self._moving:
            artist.axes.draw_artist(artist)
        png = io.BytesIO()
        imsave(png, self.canvas.buffer_rgba(), format="png", pil_kwargs={"compress_level": 1})
        self.png = base64.b64encode(png.getvalue()).decode()
        self.words = words
        width, height = self.canvas.get_width_height()
        self._picture.value = (
            f'<img width="{width}" height="{height}" style="max-width: none" alt="{html.escape(words)}" '
            f'src="data:image/png;base64,{self.png}">'
        )
        self._words.value = (
            f'<div role="status" style="line-height: 1.4">{html.escape(words)}</div>'
        )

    def _on_move(self, _):
        try:
            self.show(**self.settings())
        except Exception as error:
            text = html.escape(f"{type(error).__name__}: {error}")
            self._words.value = f'<div role="alert" style="color: #b00020">This setting cannot be drawn. {text}</div>'
            raise

    def _repr_mimebundle_(self, **kwargs):
        # JupyterLab shows the widget; the web, nbconvert and print show the picture.
        bundle = self.box._repr_mimebundle_(**kwargs)
        return bundle | {"text/plain": self.words, "image/png": self.png}


def _moving_artists(axes):
    """All artists of the axes but those that never move: the frame, the axis, the legend."""
    fixed = [axes.patch, axes.xaxis, axes.yaxis, axes.legend_, *axes.spines.values()]
    moving = [artist for artist in axes.get_children() if artist not in fixed]
    return sorted(moving, key=lambda artist: artist.get_zorder())


def static_twin(draw, *settings, figsize=(8, 2.6)):
    """A panel on paper: one row of the picture for each dict of settings, and the words under it.

    draw: as for Panel. figsize: inches, of one row.
    """
    figure = plt.figure(figsize=(figsize[0], figsize[1] * len(settings)))
    words = []
    for row, setting in zip(
        figure.subfigures(len(settings), 1, squeeze=False)[:, 0], settings, strict=True
    ):
        words.append(draw(row)(**setting))
        title = ", ".join(f"{name} = {value}" for name, value in setting.items())
        row.suptitle(title, x=0.01, ha="left", weight="bold")
    plt.show()
    print("\n".join(words))
