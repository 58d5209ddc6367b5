"""What lesson 10 calls: show, ward, Consultation, treat, score, files; and the charts of its patients."""

import html
from time import monotonic

import ipywidgets as widgets
from IPython.display import display
from matplotlib.figure import Figure

import helpers
from clinic.charts import draw_chart, draw_pictures, in_words, png, record, show_picture
from clinic.diagnoses import DIAGNOSES
from clinic.examination import Settings, changed, examine
from clinic.patients import PATIENTS
from exercises import Wrong

INTERRUPTED = "This examination has no result yet: run the cell again."


def show(**changes):
    """Show the chart of a healthy network, or of one that differs from it in these settings. Returns nothing."""
    try:
        chart = examine(changed(Settings(), changes))
    except Wrong as wrong:
        print(f"This network cannot be built: {wrong}")
        return
    if not chart.complete:
        print(INTERRUPTED)
        return
    said = ", ".join(f"{name} = {short(value)}" for name, value in changes.items())
    show_picture(png(draw_chart(chart, said or "A healthy network")), in_words(chart))


def ward():
    """Examine all patients, with one progress bar. An interruption keeps the charts so far; the others follow later."""
    done = 0
    rounds = helpers.progress(len(PATIENTS), unit=" patients")
    for patient, _ in zip(PATIENTS, rounds, strict=False):
        if not chart(patient).complete:
            break
        done += 1
    print(f"{done} of {len(PATIENTS)} patients examined")
    if done < len(PATIENTS):
        print("The others are examined when you come to them.")


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

    sick, its_chart, chosen: of a newcomer, its Patient, its Chart, and where the first choices are kept.
    """

    def __init__(self, patient, *, sick=None, its_chart=None, chosen=None):
        self.patient, self.sick = patient, sick or the(patient)
        self.chosen = CHOSEN if chosen is None else chosen
        self.chart = its_chart or chart(patient)
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
        if self.patient not in self.chosen or passing:
            self.chosen[self.patient], self._chosen_at = key, now
        else:
            self._chosen_at = None
        self.answer.value = status(self.reply(key))

    def reply(self, key):
        """What the chart says to this diagnosis, as HTML. It does not name another one."""
        patient, chosen = self.sick, DIAGNOSES[key]
        speaks_for, against = chosen.evidence(self.chart)
        if key == patient.fault:
            parts = [
                f"<b>Yes: {html.escape(chosen.name)}.</b> The chart says so:",
                listed(speaks_for),
            ]
            parts.append("Nothing on it speaks against it.")
            if patient in PATIENTS.values():
                parts.append(" Now treat the patient, in the next cell.")
        else:
            parts = ["<b>No.</b> Then the chart would show: ", html.escape(chosen.expects)]
            parts += [" Against it:", listed(against)]
            parts += ["For it:", listed(speaks_for)] if speaks_for else []
            parts.append(f"Lesson {chosen.lesson} has more on it. Look again at {patient.look}.")
        return "".join(parts)

    def _ipython_display_(self):
        if not self.chart.complete:
            print(INTERRUPTED)
            return
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
    if not (before.complete and after.complete):
        print(INTERRUPTED)
        return
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
