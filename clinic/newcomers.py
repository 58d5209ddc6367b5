"""The ward round of lesson 10: newcomers without end, drawn at random, each with one fault or with none."""

import random
from collections import Counter
from dataclasses import replace

import ipywidgets as widgets
from IPython.display import display

from clinic.charts import draw_chart, in_words, picture_as_html, png
from clinic.consultation import Consultation, status
from clinic.diagnoses import DIAGNOSES
from clinic.examination import Settings, examine
from clinic.patients import RELU, Patient
from lessonkit import interrupts

# A good gain for each depth (lesson 04b).
TANH_GAINS = {3: 5 / 3, 5: 5 / 3, 8: 1.45, 12: 1.3, 20: 1.2}
MOST_DRAWS = 30  # until one of them has a clear chart

# For each diagnosis: what else such a network must have, how its fault is drawn, and where to look again.
FAULTS = {
    "none": ({}, lambda chance: {}, "all of it: is anything out of order?"),
    "hot": (
        {},
        lambda chance: {"output_scale": chance.uniform(4, 15)},
        "the loss curve, at its start",
    ),
    "zero": ({}, lambda chance: {"random_start": False}, "picture 1, layer 1"),
    "fan": (
        {"batchnorm": False, "nonlinearity": "tanh"},
        lambda chance: {"fan_in_scaling": False},
        "picture 1, all layers",
    ),
    "fast": (
        {"batchnorm": False},
        lambda chance: {"lr": chance.uniform(0.6, 1.5)},
        "picture 4, against the dashed line",
    ),
    "dead": (
        {**RELU, "batchnorm": False},
        lambda chance: {"bias_start": -chance.uniform(0.7, 1.5)},
        "picture 1 and the record",
    ),
    "fade": (
        {"batchnorm": False, "nonlinearity": "tanh", "depth": 20, "width": 100},
        lambda chance: {"gain": chance.uniform(0.6, 0.8)},
        "picture 1, from layer to layer",
    ),
    "slow": (
        {},
        lambda chance: {"lr": chance.uniform(0.003, 0.008)},
        "picture 4, against the dashed line",
    ),
    "first": (
        {"batchnorm": False, "nonlinearity": "tanh"},
        lambda chance: {"first_scale": chance.uniform(7, 20)},
        "pictures 1 and 4, layer 1",
    ),
    "stats": (
        {"batchnorm": True},
        lambda chance: {"momentum": 10 ** chance.uniform(-4.5, -3.7)},
        "the record: minibatches against train names",
    ),
    "mode": (
        {"batchnorm": True},
        lambda chance: {"evaluate_in": "train"},
        "the record: the 320 examples",
    ),
    "bias": (
        {"batchnorm": True},
        lambda chance: {"bias_before_batchnorm": True},
        "the record: the parameters",
    ),
}


def healthy(chance, needs):
    """The Settings of a healthy network of any size that has what is needed, a dict."""
    depth = needs.get("depth", chance.choice([3, 5, 8, 12]))
    size = {"depth": depth, "width": chance.choice([50, 100, 150]), "seed": chance.randrange(10**6)}
    kind = chance.choice([{"gain": TANH_GAINS[depth]}, RELU])
    if needs.get("nonlinearity") == "tanh":
        kind = {"gain": TANH_GAINS[depth]}
    return Settings(**{"batchnorm": chance.random() < 0.4, **size, **kind, **needs})


def draw_patient(chance):
    """A Patient with one fault or none, of any size, depth, nonlinearity, strength and seed; and its Chart.

    chance: a random.Random. An examination that was interrupted ends the drawing. A patient whose chart does not
    speak clearly is drawn anew: exactly one diagnosis may have no evidence against it, the right one. Raises
    RuntimeError if that takes more than MOST_DRAWS.
    """
    fault = chance.choice(list(FAULTS))
    needs, change, look = FAULTS[fault]
    for _ in range(MOST_DRAWS):
        well = healthy(chance, needs)
        changes = change(chance)
        sick = replace(well, **changes)
        chart = examine(sick)
        if not chart.complete or unopposed(chart) == [fault]:
            treatment = {name: getattr(well, name) for name in changes}
            return Patient(fault, sick, treatment, look), chart
    raise RuntimeError(f"{MOST_DRAWS} draws of the fault {fault!r} had no clear chart.")


def unopposed(chart):
    """The keys of the diagnoses that nothing on the chart speaks against."""
    return [key for key, found in DIAGNOSES.items() if not found.evidence(chart)[1]]


class Round:
    """A button that brings the next newcomer, the newcomer's chart and list of diagnoses, and the score so far.

    seed: makes the same newcomers come; without it they are others each time. The first choice counts.
    """

    def __init__(self, seed=None):
        self.chance, self.patients, self.chosen = random.Random(seed), {}, {}
        self.button = widgets.Button(description="next patient", button_style="primary")
        self.score = widgets.HTML(status("Nobody has been seen yet."))
        self.box = widgets.VBox([self.button, self.score])
        self.button.on_click(self._on_click)

    def _on_click(self, _):
        self.button.disabled, self.button.description = True, "examining …"
        interrupts.go_on()
        try:
            self.next()
        except RuntimeError as error:  # an error in a callback shows nothing in JupyterLab
            self.score.value = status(f"{error} Press the button again.")
        finally:
            self.button.disabled, self.button.description = False, "next patient"

    def next(self):
        """Bring the next newcomer."""
        number = len(self.patients) + 1
        sick, chart = draw_patient(self.chance)
        if not chart.complete:
            self.score.value = status(
                "You stopped this examination: press the button for another one."
            )
            return
        self.patients[number] = sick
        visit = Consultation(number, sick=sick, its_chart=chart, chosen=self.chosen)
        visit.list.observe(lambda _: self._show_score(), "value")
        figure = draw_chart(chart, f"Newcomer {number}")
        picture = widgets.HTML(picture_as_html(png(figure), in_words(chart)))
        self.box.children = [self.button, picture, visit.box, self.score]
        self._show_score()

    def _show_score(self):
        self.score.value = status(self.said())

    def said(self):
        """The score in words: how many are right at first sight, and what was taken for what, most often first."""
        pairs = [(self.patients[number].fault, key) for number, key in self.chosen.items()]
        right = sum(fault == key for fault, key in pairs)
        wrong = Counter(pair for pair in pairs if pair[0] != pair[1])
        lines = [f"{right} of {len(self.patients)} newcomers right at first sight."]
        for (fault, key), times in wrong.most_common():
            lines.append(
                f"Taken for “{DIAGNOSES[key].name}”, and it was “{DIAGNOSES[fault].name}”: {times} ×."
            )
        return "<br>".join(lines)

    def _ipython_display_(self):
        words = "*The ward round. (In JupyterLab a button stands here that brings one patient after the other.)*"
        bundle = self.box._repr_mimebundle_() | {"text/plain": words, "text/markdown": words}
        display(bundle, raw=True)


def next_patient(seed=None):
    """The ward round: a cell that ends with this shows a button for newcomers without end, and keeps the score."""
    return Round(seed)
