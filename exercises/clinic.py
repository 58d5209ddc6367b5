"""The clinic of lesson 09: networks with one fault each, for the learner to diagnose and to treat.

What is measured of a network stands in examination.py, what the diagnoses read off it in diagnoses.py. Here are the
pictures, and what the lesson calls: show, ward, Consultation, treat, score. The faults stand in PATIENTS, at the end,
out of sight of the lesson.
"""

import base64
import html
import io
import math
from dataclasses import dataclass
from time import monotonic

import ipywidgets as widgets
from IPython.display import display
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.pyplot import get_cmap
from tqdm.auto import tqdm

import helpers
from exercises import Wrong
from exercises.diagnoses import DIAGNOSES, share, small
from exercises.examination import STEPS, Settings, changed, examine

NOTHING_KNOWN = math.log(27)
NAMES = {"tanh": "tanh", "relu": "ReLU"}

# ---------------------------------------------------------------- Drawing


def draw_losses(ax, chart):
    means = helpers.block_means(chart.losses, 50)
    ax.plot(chart.losses, color="0.8", linewidth=0.8)
    ax.plot([50 * k + 25 for k in range(len(means))], means)
    ax.axhline(NOTHING_KNOWN, color="black", linestyle=":")
    ax.set(title="Loss, and its mean of 50", xlabel="step", ylabel="loss")
    ax.set(ylim=(2, max(4, chart.first + 0.5, *(means + 0.5).tolist())), xlim=(-20, STEPS + 20))


def color_of(name, chart):
    """Hidden layers from dark to light; the output layer and the embedding stand out."""
    if not name.startswith("layer"):
        return {"embedding": "0.6", "output": "C1"}[name]
    return get_cmap("viridis")((int(name.split()[1]) - 1) / chart.settings.depth)


def draw_rows(ax, rows, chart, yscale="log", **labels):
    for row in rows:
        middles = (row.edges[1:] + row.edges[:-1]) / 2
        color = color_of(row.layer, chart)
        ax.plot(middles, row.density, color=color, label=row.layer, linewidth=1.2)
    ax.set(ylabel="density", yscale=yscale, **labels)
    ax.locator_params(axis="x", nbins=3)
    ax.xaxis.set_major_formatter("{x:g}")


def draw_updates(ax, chart):
    for name, ratios in chart.ratios.items():
        ax.plot(chart.steps, ratios, color=color_of(name, chart), label=name, linewidth=1)
    ax.axhline(helpers.USUAL_RATIO, color="black", linestyle="--")
    ax.set(title="4 Updates", xlabel="step", ylabel="update / weight")
    ax.set(yscale="log", ylim=(1e-6, 2), xlim=(-20, STEPS + 20))


def draw_pictures(axes, chart):
    """The loss curve and the four pictures."""
    draw_losses(axes[0], chart)
    labels = {"title": "1 Outputs, step 0", "xlabel": "output", "yscale": "linear"}
    draw_rows(axes[1], chart.outputs, chart, **labels)
    axes[1].set_ylim(bottom=0)
    labels = {"title": "2 Gradients, step 0", "xlabel": "gradient of the output"}
    draw_rows(axes[2], chart.gradients, chart, **labels)
    labels = {"title": "3 Weights' gradients", "xlabel": "gradient of the weight"}
    draw_rows(axes[3], chart.weights, chart, **labels)
    hidden = [row for row in chart.weights if row.layer.startswith("layer")]
    if reach := max(row.edges.abs().max().item() for row in hidden):  # 0 if all weights are 0
        axes[3].set_xlim(-reach, reach)  # the output layer's gradients may be far wider
    draw_updates(axes[4], chart)


def record(chart):
    """The extra lines of a chart: (what, value) pairs, the same for every patient."""
    s = chart.settings
    return [
        ("hidden layers", f"{s.depth} of 100 {NAMES[s.nonlinearity]}"),
        ("BatchNorm", "behind each Linear" if s.batchnorm else "none"),
        ("parameters", f"{chart.parameters:,}"),
        ("of these never moved", f"{chart.still:,}"),
        ("stuck units", f"{100 * sum(chart.stuck):.0f} of {100 * s.depth}"),
        ("first loss", f"{chart.first:.2f}"),
        ("last 100 minibatches", f"{chart.late:.2f}"),
        ("train names, evaluated", f"{chart.train:.2f}"),
        ("dev names, evaluated", f"{chart.dev:.2f}"),
        ("320 examples at once", f"{chart.together:.2f}"),
        ("the same, 8 at a time", f"{chart.apart:.2f}"),
        ("one example differs by", f"{chart.difference:.2f}"),
    ]


def draw_chart(chart, title):
    """The whole chart as a figure."""
    figure = Figure((10, 6), layout="constrained")
    figure.suptitle(title, x=0.01, ha="left", weight="bold")
    axes = figure.subplots(2, 3).flatten()
    draw_pictures(axes, chart)
    axes[5].set(title="The record", xticks=[], yticks=[])
    axes[5].axis("off")
    for line, (what, value) in enumerate(record(chart)):
        for x, text, side in ((0, what, "left"), (1, value, "right")):
            axes[5].text(
                x, 0.95 - line / 12, text, ha=side, fontsize=9, transform=axes[5].transAxes
            )
    legend(figure, axes[4], chart)
    return figure


def shown_layers(chart):
    """All layers, or of twenty the first and each fifth."""
    depth = chart.settings.depth
    every = max(1, depth // 4)
    return [k for k in range(1, depth + 1) if k == 1 or k % every == 0]


def legend(figure, ax, chart):
    """One for all pictures, of at most seven lines."""
    shown = ["embedding", *(f"layer {k}" for k in shown_layers(chart)), "output"]
    lines = [line for line in ax.get_lines() if line.get_label() in shown]
    figure.legend(handles=lines, loc="outside lower center", ncols=7, fontsize="small")


def in_words(chart):
    """A chart in words, with numbers: the alternative text of its picture."""
    layers = shown_layers(chart)

    def of(values, say):
        return ", ".join(say(values[k - 1]) for k in layers)

    slowest, fastest = small(min(chart.speeds)), small(max(chart.speeds))
    said = [
        f"Loss from {chart.first:.2f} to {chart.late:.2f}",
        f"of the layers {', '.join(map(str, layers))}: picture 1, std "
        f"{of(chart.stds, '{:.2f}'.format)}, saturated {of(chart.ends, share)}",
        f"picture 2, std {of([row.std for row in chart.gradients], small)}",
        f"picture 3, std {of([row.std for row in chart.weights[1:]], small)}",
        f"picture 4: at the end they change by {slowest} to {fastest} of their size in a step",
    ]
    return "; ".join([*said, *(f"{what}: {value}" for what, value in record(chart))]) + "."


def png(figure):
    """The figure as text, base64 of a PNG file."""
    buffer = io.BytesIO()
    FigureCanvasAgg(figure).print_png(buffer)
    return base64.b64encode(buffer.getvalue()).decode()


def show_picture(picture, words):
    """Show a PNG with its alternative text: as a widget that has it in JupyterLab too, and as a picture on the web."""
    shown = widgets.HTML(
        f'<img alt="{html.escape(words)}" style="max-width: 100%" src="data:image/png;base64,{picture}">'
    )
    bundle = shown._repr_mimebundle_() | {"text/plain": words, "image/png": picture}
    display(bundle, metadata={"image/png": {"alt": words}}, raw=True)


# ---------------------------------------------------------------- What the lesson calls


def show(**changes):
    """Show the chart of a healthy network, or of one that differs from it in these settings. Returns nothing."""
    try:
        chart = examine(changed(Settings(), changes))
    except Wrong as wrong:
        print(f"This network cannot be built: {wrong}")
        return
    said = ", ".join(f"{name} = {short(value)}" for name, value in changes.items())
    show_picture(png(draw_chart(chart, said or "A healthy network")), in_words(chart))


def ward():
    """Examine all patients, with one progress bar. An interruption keeps the charts so far; the others follow later."""
    done = 0
    try:
        for patient in tqdm(PATIENTS, unit=" patients", mininterval=0.5):
            chart(patient)
            done += 1
    except KeyboardInterrupt:
        print("You stopped the round. The patients left over are examined when you come to them.")
    print(f"{done} of {len(PATIENTS)} patients examined")


def the(patient):
    """The Patient of this number. Raises KeyError that names those there are."""
    if patient not in PATIENTS:
        raise KeyError(f"there is no patient {patient!r}; there are 1 to {len(PATIENTS)}")
    return PATIENTS[patient]


def chart(patient):
    """The chart of a patient, before any treatment."""
    return examine(the(patient).settings)


def treated(patient):
    """The chart of a patient after the treatment that the clinic would have chosen."""
    return examine(changed(the(patient).settings, the(patient).treatment))


SETTLED = 2  # seconds
CHOSEN, HEALED = {}, {}  # by patient: the key of the first diagnosis; the treatment that helped


class Consultation:
    """A patient's chart and a list of diagnoses; choosing one answers at once. A cell that ends with one shows it.

    The first diagnosis that is chosen counts for `score`, in this kernel, even if the cell is run again. With the arrow
    keys one comes by others on the way: what is left again within SETTLED seconds does not count.
    """

    def __init__(self, patient):
        self.patient, self.chart = patient, chart(patient)
        self._chosen_at = None  # as long as the first choice has not settled
        names = sorted((found.name, key) for key, found in DIAGNOSES.items())
        self.list = widgets.Dropdown(
            options=[("choose a diagnosis", ""), *names], description="diagnosis"
        )
        self.list.layout.width, self.list.style.description_width = "600px", "6em"
        self.answer = widgets.HTML(status("Choose a diagnosis; the answer appears here."))
        self.box = widgets.VBox([self.list, self.answer])
        self.list.observe(self._on_choice, "value")

    def _on_choice(self, change):
        key = change["new"]
        if not key:
            return
        now = monotonic()
        passing = self._chosen_at is not None and now - self._chosen_at < SETTLED
        if self.patient not in CHOSEN or passing:
            CHOSEN[self.patient], self._chosen_at = key, now
        else:
            self._chosen_at = None
        self.answer.value = status(self.reply(key))

    def reply(self, key):
        """What the chart says to this diagnosis, as HTML. It does not name another one."""
        patient, chosen = the(self.patient), DIAGNOSES[key]
        speaks_for, against = chosen.evidence(self.chart)
        if key == patient.fault:
            parts = [
                f"<b>Yes: {html.escape(chosen.name)}.</b> The chart says so:",
                listed(speaks_for),
            ]
            parts.append(
                "Nothing on it speaks against it. Now treat the patient, in the next cell."
            )
        else:
            parts = ["<b>No.</b> Then the chart would show: ", html.escape(chosen.expects)]
            parts += [" Against it:", listed(against)]
            parts += ["For it:", listed(speaks_for)] if speaks_for else []
            parts.append(f"Lesson {chosen.lesson} has more on it. Look again at {patient.look}.")
        return "".join(parts)

    def _ipython_display_(self):
        title = f"Patient {self.patient}"
        show_picture(png(draw_chart(self.chart, title)), in_words(self.chart))
        words = "*What is wrong? (In JupyterLab a list of diagnoses stands here.)*"
        bundle = self.box._repr_mimebundle_() | {"text/plain": words, "text/markdown": words}
        display(bundle, raw=True)


def status(content):
    return f'<div role="status" style="line-height: 1.4">{content}</div>'


def listed(sentences):
    return "<ul>" + "".join(f"<li>{html.escape(said)}</li>" for said in sentences) + "</ul>"


def short(value):
    return f"{value:.3g}" if isinstance(value, float) else repr(value)


def treat(patient, *untouched, **treatment):
    """Change one setting of a patient, examine again, show both charts and say whether the patient is healthy now."""
    try:
        _treat(patient, untouched, treatment)
    except Wrong as wrong:
        print(f"Patient {patient}, not yet: {wrong}")


def _treat(patient, untouched, treatment):
    sick = the(patient)
    if untouched == (...,) and not treatment:
        print(
            f"✎ Patient {patient} waits for you: replace the `...` by one setting, as in `lr=0.05`."
        )
        return
    if untouched or len(treatment) != 1:
        raise Wrong("a treatment is one setting with its new value, as in `lr=0.05`.")
    ((name, value),) = treatment.items()
    before, after = chart(patient), examine(changed(sick.settings, treatment))
    said = f"{name}={short(value)}"
    figure = Figure((12, 5.2), layout="constrained")
    rows = figure.subfigures(2, 1)
    for row, title, shown in zip(rows, ("before", f"with {said}"), (before, after), strict=True):
        row.suptitle(title, x=0.01, ha="left", weight="bold")
        axes = row.subplots(1, 5)
        draw_pictures(axes, shown)
        for ax in axes[2:4]:
            ax.set_ylabel(None)
    show_picture(png(figure), f"Before: {in_words(before)} With {said}: {in_words(after)}")
    for (what, old), (_, new) in zip(record(before), record(after), strict=True):
        print(f"{what:24} {old:>18} {'→' if old != new else '='} {new}")
    if (before.losses, record(before)) == (after.losses, record(after)):
        raise Wrong(f"{said} is what this patient has already, or has no effect here.")
    _, against = DIAGNOSES["none"].evidence(after)
    if against:
        raise Wrong("this still is not the chart of a healthy network. " + "; ".join(against) + ".")
    HEALED.setdefault(patient, said)
    print(f"★ Patient {patient} is healed by {said}: nothing on the new chart is out of order.")


def score():
    """Print what the learner's first diagnoses were, and which patients are healed."""
    right = 0
    for patient, sick in PATIENTS.items():
        key = CHOSEN.get(patient)
        right += key == sick.fault
        said = "no diagnosis given yet"
        if key is not None:
            said = f"{'right' if key == sick.fault else 'not right'}: {DIAGNOSES[key].name}"
        cure = f"healed by {HEALED[patient]}" if patient in HEALED else "not healed yet"
        print(f"patient {patient:2}: {said}; {cure}")
    print(f"{right} of {len(PATIENTS)} right at first sight, {len(HEALED)} healed")


def files():
    """Print what each patient suffers from, and what was set."""
    for patient, sick in PATIENTS.items():
        ((name, healthy),) = sick.treatment.items()
        was = short(getattr(sick.settings, name))
        print(f"patient {patient:2}: {DIAGNOSES[sick.fault].name}")
        print(f"            {name} was {was}, healthy is {short(healthy)}")


# ---------------------------------------------------------------- The patients. Do not read on before the lesson's end


@dataclass(frozen=True)
class Patient:
    """fault: the key of the diagnosis. treatment: one that heals. look: where to look again."""

    fault: str
    settings: Settings
    treatment: dict
    look: str


RELU = {"nonlinearity": "relu", "gain": 2**0.5}
_ALL = [
    Patient(
        "hot", Settings(output_scale=10.0), {"output_scale": 0.1}, "the loss curve, at its start"
    ),
    Patient("zero", Settings(random_start=False), {"random_start": True}, "picture 1, layer 1"),
    Patient(
        "fan", Settings(fan_in_scaling=False), {"fan_in_scaling": True}, "picture 1, all layers"
    ),
    Patient("fast", Settings(lr=1.0), {"lr": 0.1}, "picture 4, against the dashed line"),
    Patient(
        "dead", Settings(**RELU, bias_start=-1.0), {"bias_start": 0.0}, "picture 1 and the record"
    ),
    Patient(
        "fade", Settings(depth=20, gain=1.0), {"gain": 5 / 3}, "picture 1, from layer to layer"
    ),
    Patient("slow", Settings(lr=0.01), {"lr": 0.1}, "picture 4, against the dashed line"),
    Patient("first", Settings(first_scale=10.0), {"first_scale": 1.0}, "pictures 1 and 4, layer 1"),
    Patient(
        "stats",
        Settings(batchnorm=True, momentum=0.0001),
        {"momentum": 0.1},
        "the record: minibatches against train names",
    ),
    Patient(
        "mode",
        Settings(batchnorm=True, evaluate_in="train"),
        {"evaluate_in": "eval"},
        "the record: the 320 examples",
    ),
    Patient(
        "bias",
        Settings(batchnorm=True, bias_before_batchnorm=True),
        {"bias_before_batchnorm": False},
        "the record: the parameters",
    ),
]
PATIENTS = dict(enumerate(_ALL, 1))
