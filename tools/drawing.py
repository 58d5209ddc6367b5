"""Draw a lesson's panels beforehand, for pages without a kernel; runs in the lesson's own kernel, behind its cells.

`export` finds what the lesson has shown among its globals, and writes a folder: one picture for each setting, and
panels.json, from which frames.py makes what stands in a page.
"""

import contextlib
import io
import itertools
import json
import math
from pathlib import Path

import ipywidgets as widgets
import numpy as np
from PIL import Image

from lessonkit.panels import Panel

FRAMES = 360  # settings of a panel that are drawn, at most
LIMIT = 4_000_000  # bytes of a panel's pictures, at most
FILE = "panels.json"


def export(names, folder, key="", short=False, most=FRAMES):
    """Draw all panels of a lesson, and write down the clinic's answers if it has patients.

    names: the lesson's globals. folder: a new one. key: says what these frames were made of. short: whether the lesson
    was run with short trainings. most: settings of a panel, at most. Raises ValueError if a panel's pictures cannot
    be kept below LIMIT bytes.
    """
    folder = Path(folder)
    folder.mkdir(parents=True)
    panels = {
        name: draw(panel, name, folder, most)
        for name, panel in list(names.items())
        if isinstance(panel, Panel) and not name.startswith("_")
    }
    patients = answers(names["clinic"]) if "clinic" in names else {}
    content = {"key": key, "short": short, "panels": panels, "patients": patients}
    (folder / FILE).write_text(json.dumps(content, ensure_ascii=False), encoding="utf-8")


# ---------------------------------------------------------------- The grid of settings


def every_position(control):
    """All values that a control can have, in order, and the place of the present one.

    Raises TypeError for a kind of control that is not known here.
    """
    if isinstance(control, widgets.SelectionSlider | widgets.Dropdown):
        return [value for _, value in control._options_full], control.index
    if isinstance(control, widgets.Checkbox):
        return [False, True], int(control.value)
    if not isinstance(control, widgets.IntSlider | widgets.FloatSlider | widgets.FloatLogSlider):
        raise TypeError(f"a {type(control).__name__} cannot be drawn beforehand")
    # Seven digits, as the slider in JupyterLab rounds.
    whole = math.floor(round((control.max - control.min) / control.step, 7))
    values = [round(control.min + control.step * place, 7) for place in range(whole + 1)]
    values += [control.max] if values[-1] < control.max else []
    if isinstance(control, widgets.FloatLogSlider):
        values = [control.base**exponent for exponent in values]
    start = min(range(len(values)), key=lambda place: abs(values[place] - control.value))
    if not math.isclose(values[start], control.value):
        values = sorted([*values, control.value])
        start = values.index(control.value)
    return values, start


def some(count, start, stride):
    """Places among `count` positions: every stride-th from the start on, to both sides, and both ends."""
    last = count - 1
    near_no_end = [
        place
        for place in range(start % stride, count, stride)
        if 2 * min(place, last - place) >= stride
    ]
    return sorted({0, last, start, *near_no_end})


def grid(controls, most):
    """Which positions of each control are drawn: lists of places, by name, with at most `most` combinations.

    All of them, if they are few enough; else the sliders with the most positions get coarser steps. Lists and
    checkboxes keep theirs. Raises ValueError if even the coarsest grid has more combinations.
    """
    strides = dict.fromkeys(controls, 1)
    positions = {name: every_position(control) for name, control in controls.items()}
    while True:
        chosen = {
            name: some(len(values), start, strides[name])
            for name, (values, start) in positions.items()
        }
        combinations = math.prod(map(len, chosen.values()))
        if combinations <= most:
            return chosen
        finer = [
            name
            for name, control in controls.items()
            if not isinstance(control, widgets.Dropdown | widgets.Checkbox)
            and strides[name] < len(positions[name][0])
        ]
        if not finer:
            raise ValueError(f"even the coarsest grid has {combinations} settings, over {most}")
        finest = max(finer, key=lambda name: len(chosen[name]))
        is_long = len(positions[finest][0]) > 20
        strides[finest] = next_stride(strides[finest]) if is_long else strides[finest] + 1


def next_stride(stride):
    """The next larger of 1, 2, 5, 10, 20, 25, 50, 100 and so on: by such steps a long slider's values stay round."""
    decade = 10 ** (len(str(stride)) - 1)
    rounds = [1, 2, *([2.5] if decade > 1 else []), 5, 10]
    return next(int(k * decade) for k in rounds if k * decade > stride)


# ---------------------------------------------------------------- Pictures and words


def draw(panel, name, folder, most=FRAMES, limit=LIMIT):
    """Draw a panel for a grid of its settings: pictures into the folder, and what else a page needs, as a dict.

    The pictures are lossless; equal ones are kept once. If they grow over `limit` bytes, the grid gets coarser.
    Raises ValueError that names the panel if that does not help. The panel is left as it was.
    """
    # What is drawn here is not sent to a page that shows the live panel.
    with contextlib.ExitStack() as quiet:
        for part in panel.box.children:
            quiet.enter_context(part.hold_sync())
        try:
            while True:
                try:
                    chosen = grid(panel.controls, most)
                except ValueError as error:
                    raise ValueError(
                        f"{name}: {error}; a panel's pictures may have {limit:,} bytes in all"
                    ) from error
                words, numbers, pictures, complete = draw_grid(panel, chosen, limit)
                if complete:
                    break
                # Somewhat fewer than fitted in: the next grid's pictures may be larger.
                most = min(most - 1, int(0.9 * len(words)))
        finally:
            panel.show(**panel.settings())
    for number, picture in pictures.items():
        (folder / f"{name}-{number}.webp").write_bytes(picture)
    width, height = panel.canvas.get_width_height()
    return {
        "controls": [describe(panel.controls[name], places) for name, places in chosen.items()],
        "width": width,
        "height": height,
        "bytes": sum(map(len, pictures.values())),
        "words": words,
        "frames": numbers,
    }


def draw_grid(panel, chosen, limit):
    """Draw a panel for all combinations of the chosen places, the last control's changing fastest.

    Returns the words of each setting, the number of its picture, the pictures by number (a picture's number is that of
    the first setting that shows it), and whether all were drawn before they had more than `limit` bytes.
    """
    values = {name: every_position(control)[0] for name, control in panel.controls.items()}
    words, numbers, pictures, known, size = [], [], {}, {}, 0
    for places in itertools.product(*chosen.values()):
        setting = {name: values[name][place] for name, place in zip(chosen, places, strict=True)}
        panel.show(**setting)
        pixels = np.asarray(panel.canvas.buffer_rgba())
        number = known.setdefault(pixels.tobytes(), len(words))
        if number == len(words):
            pictures[number] = as_webp(pixels)
            size += len(pictures[number])
            if size > limit:
                return words, numbers, pictures, False
        words.append(panel.words)
        numbers.append(number)
    return words, numbers, pictures, True


def as_webp(pixels):
    """Pixels, (height, width, 4), as a lossless WebP file; none of them may be transparent."""
    file = io.BytesIO()
    Image.fromarray(pixels).convert("RGB").save(file, "WEBP", lossless=True, method=2)
    return file.getvalue()


def describe(control, places):
    """What a page needs of a control, as a dict.

    label, kind ("range", "select" or "checkbox"), the places that are drawn, the place among them where it starts, and
    how many positions it has in all; then the words beside each place ("labels"), or the number there and how it is
    written ("values", "format").
    """
    values, start = every_position(control)
    kinds = {widgets.Dropdown: "select", widgets.Checkbox: "checkbox"}
    told = {
        "label": control.description,
        "kind": kinds.get(type(control), "range"),
        "places": places,
        "start": places.index(start),
        "positions": len(values),
    }
    if hasattr(control, "options"):
        return told | {"labels": [str(control._options_labels[place]) for place in places]}
    if isinstance(control, widgets.Checkbox):
        return told | {"labels": ["off", "on"]}
    return told | {"values": [values[place] for place in places], "format": control.readout_format}


# ---------------------------------------------------------------- The clinic


def answers(clinic):
    """What the list of diagnoses answers, by patient: its options, and what each says, as HTML.

    Raises RuntimeError if a patient's examination was interrupted.
    """
    told = {}
    for patient in clinic.PATIENTS:
        visit = clinic.Consultation(patient)
        if not visit.chart.complete:
            raise RuntimeError(
                f"the examination of patient {patient} was interrupted: run it again"
            )
        told[patient] = {
            "options": [[label, key] for label, key in visit.list.options],
            "label": visit.list.description,
            "first": visit.answer.value,
            "answers": {key: visit.reply(key) for _, key in visit.list.options if key},
        }
    return told
