"""Panels that move without a kernel: pictures drawn beforehand, and the pages' part that shows them.

    python tools/frames.py [START ...]      draw the panels of the lessons whose file name starts with one of these
    python tools/frames.py --short 03       the same after short trainings, for tests; the pages say so
    python tools/frames.py --measure        print a table: pictures, bytes, and how fast a slider answers in Chromium

The pictures stay in _build/frames/ until a lesson's code changes, so a second call draws nothing. An interruption keeps
the lessons that are done. A lesson is run down to its last panel, with its own trainings: the long ones take minutes.

`embed` puts panels, guesses and the clinic's lists into a copy of a notebook; site/_static/panels.js moves them.
"""

import argparse
import ast
import copy
import hashlib
import html
import inspect
import itertools
import json
import math
import os
import re
import shutil
import statistics
import sys
import tempfile
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import browser
import drawing
import fingerprints
import lessons
import nbformat
import rebuild
import shorten
from nbclient.exceptions import CellExecutionError
from nbconvert import HTMLExporter
from tqdm import tqdm

from lessonkit.panels import STILL, readout_format

BUILT = lessons.ROOT / "_build" / "frames"
BUILT_SHORT = lessons.ROOT / "_build" / "frames-short"
LIMIT_FILE = Path(__file__).with_name("limit.py")
STATIC = lessons.ROOT / "site" / "_static"
KINDS = {"helpers.Panel": "panel", "helpers.Guess": "guess"}
TOLD_ENDS = re.compile(r"^(?=##|\*\*Guess|.*\*\*Guess:)", re.M)
MOVES = 20  # of each slider, to measure how fast it answers


# ---------------------------------------------------------------- What a cell shows


def shown(cell):
    """What a code cell ends with: "panel", "guess" or "consultation", its name, and the call that makes it, as a node.

    None for anything else. The name of a consultation is its patient.
    """
    if cell.cell_type != "code":
        return None
    statements = ast.parse(cell.source).body
    if not statements or not isinstance(statements[-1], ast.Expr):
        return None
    last = statements[-1].value
    if isinstance(last, ast.Call) and ast.unparse(last.func) == "clinic.Consultation":
        return "consultation", str(ast.literal_eval(last.args[0])), last
    for statement in statements:
        if isinstance(statement, ast.Assign) and isinstance(statement.value, ast.Call):
            kind = KINDS.get(ast.unparse(statement.value.func))
            if kind and ast.unparse(statement.targets[0]) == ast.unparse(last):
                return kind, last.id, statement.value
    return None


def needs_frames(notebook):
    """Whether a notebook shows something that has to be drawn beforehand: a panel, or the clinic's lists."""
    return any(what and what[0] != "guess" for what in map(shown, notebook.cells))


# ---------------------------------------------------------------- Draw, and keep


def key(path, short):
    """A hash of all that decides a lesson's frames: its fingerprint, how they are drawn, and how long it trains."""
    parts = [fingerprints.of(lessons.read(path)), inspect.getsource(drawing), str(short)]
    parts += [inspect.getsource(shorten), LIMIT_FILE.read_text("utf-8")] if short else []
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()


def export_cell(folder, **named):
    """The source of a cell that draws the lesson's panels into a folder: an expression, in Python."""
    arguments = "".join(f", {name}={value!r}" for name, value in named.items())
    return (
        f"import sys\n\nsys.path.append({str(Path(__file__).parent)!r})\nimport drawing\n\n"
        f"drawing.export(globals(), {folder}{arguments})"
    )


def frames_of(path, short=False):
    """The folder with a lesson's frames, drawn now if they are not there, or not those of the lesson as it is.

    Raises CellExecutionError, with nothing kept, if a cell of the lesson or the drawing raises.
    """
    folder = (BUILT_SHORT if short else BUILT) / path.stem
    wanted = key(path, short)
    if is_there(folder, wanted):
        return folder
    notebook = shorten.with_short_trainings(path) if short else lessons.read(path)
    last = max(
        place
        for place, cell in enumerate(notebook.cells)
        if (what := shown(cell)) and what[0] != "guess"
    )
    draft = folder.with_name(folder.name + ".draft")
    shutil.rmtree(draft, ignore_errors=True)
    source = export_cell(repr(str(draft)), key=wanted, short=short)
    notebook.cells[last + 1 :] = [nbformat.v4.new_code_cell(source)]
    rebuild.execute(notebook)
    shutil.rmtree(folder, ignore_errors=True)
    draft.replace(folder)
    return folder


def is_there(folder, wanted):
    """Whether a folder has the frames of this key."""
    file = folder / drawing.FILE
    return file.is_file() and json.loads(file.read_text(encoding="utf-8"))["key"] == wanted


def place(frames_folder, static):
    """Put the pictures of all lessons in a folder of frames where their pages look for them: static/frames/.

    Raises FileNotFoundError if there are no frames.
    """
    found = sorted(Path(frames_folder).glob(f"*/{drawing.FILE}"))
    if not found:
        raise FileNotFoundError(
            f"{frames_folder} has no frames: draw them with python tools/frames.py"
        )
    for file in found:
        target = Path(static) / "frames" / file.parent.name
        shutil.rmtree(target, ignore_errors=True)
        shutil.copytree(file.parent, target, ignore=shutil.ignore_patterns("*.draft", drawing.FILE))


# ---------------------------------------------------------------- Into a page


def embed(notebook, stem, frames_folder, static="../_static/"):
    """A copy of a lesson with outputs, in which panels, guesses and the clinic's lists are HTML that panels.js moves.

    stem: the lesson's file name without .ipynb. frames_folder: the one that has a folder of this name with frames; None
    leaves panels and lists as they are committed, for a quick look at the rest.
    static: the address of the site's _static/ as seen from the page; it ends in a slash.

    Raises FileNotFoundError if the lesson needs frames and has none there, and ValueError if a cell's panel was not
    drawn, or the result of a guess is not found in an output below it.
    """
    notebook = copy.deepcopy(notebook)
    drawn = {}
    if frames_folder is not None and needs_frames(notebook):
        file = Path(frames_folder) / stem / drawing.FILE
        if not file.is_file():
            raise FileNotFoundError(
                f"{stem} has no frames in {frames_folder}: python tools/frames.py {stem[:3].strip('_')}"
            )
        drawn = json.loads(file.read_text(encoding="utf-8"))
    for number, cell in enumerate(notebook.cells):
        match shown(cell):
            case "panel" | "consultation", _, _ if frames_folder is None:
                continue
            case "panel", name, _:
                if name not in drawn["panels"]:
                    raise ValueError(f"{stem}: {name} is shown, and it was not drawn")
                panel = drawn["panels"][name] | {"short": drawn["short"]}
                frames = f"{static}frames/{stem}/{name}"
                replace_output(
                    cell, stem, "image/png", panel_as_html(cell, panel, frames, f"{stem}-{name}")
                )
            case "guess", name, call:
                identity = f"{stem}-{name}"
                result, words = result_of(notebook.cells[number + 1 :], stem, name, call)
                content = guess_as_html(call, words, identity)
                replace_output(cell, stem, "text/markdown", content)
                hide(notebook, cell, result, identity, result_as_html(identity))
            case "consultation", patient, _:
                if patient not in drawn["patients"]:
                    raise ValueError(f"{stem}: patient {patient} has no answers in {frames_folder}")
                content = consultation_as_html(drawn["patients"][patient], f"{stem}-{patient}")
                replace_output(cell, stem, "text/markdown", content)
    for number, (question, result) in enumerate(spoken_guesses(notebook)):
        identity = f"{stem}-spoken-{number}"
        hide(notebook, question, result, identity, spoken_as_html(identity))
    return notebook


def as_output(content):
    return nbformat.v4.new_output("display_data", {"text/html": content, "text/plain": ""})


def replace_output(cell, stem, mime, content):
    """Put HTML in the place of a cell's output of this type. Raises ValueError if the cell has not just one of them."""
    places = [n for n, output in enumerate(cell.outputs) if mime in output.get("data", {})]
    if mime == "image/png":  # the panel's own, not a picture that the cell has drawn before it
        places = [n for n in places if STILL in cell.outputs[n].data["text/plain"]]
    if len(places) != 1:
        raise ValueError(
            f"{stem}: this cell has {len(places)} outputs of type {mime} to replace:\n{cell.source}"
        )
    new = as_output(content)
    new.data["text/plain"] = cell.outputs[places[0]].data["text/plain"]
    cell.outputs[places[0]] = new


def as_data(value):
    """A value as JSON in a script element: no sign in it can end the element."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":")).replace("<", "\\u003c")
    return f'<script type="application/json">{text}</script>'


def control_as_html(control, identity):
    """One control with its label; the page's script writes the value beside a slider."""
    label = html.escape(control["label"])
    start, named = control["start"], f'id="{identity}" autocomplete="off"'
    if control["kind"] == "checkbox":
        field = f'<input type="checkbox" {named}{" checked" if start else ""}>'
    elif control["kind"] == "select":
        options = "".join(
            f"<option{' selected' if place == start else ''}>{html.escape(text)}</option>"
            for place, text in enumerate(control["labels"])
        )
        field = f"<select {named}>{options}</select>"
    else:
        last = len(control["places"]) - 1
        field = f'<input type="range" {named} min="0" max="{last}" step="1" value="{start}">'
        field += '<span class="panel-value" aria-hidden="true"></span>'
    return f'<div class="panel-control"><label for="{identity}">{label}</label>{field}</div>'


def still_picture(cell):
    """The output of a cell with a panel's still picture, not one that the cell has drawn before it."""
    return next(
        output
        for output in cell.outputs
        if "image/png" in output.get("data", {}) and STILL in output.data["text/plain"]
    )


def start_of(panel):
    """The number of the setting with which a panel starts."""
    start = 0
    for control in panel["controls"]:
        start = start * len(control["places"]) + control["start"]
    return start


def other_words(notebook, folder):
    """Where the frames in a folder start with other words than the committed notebook: lines that say so.

    On another processor the last digits may differ, and the prose then speaks of the committed ones.
    """
    panels = json.loads((folder / drawing.FILE).read_text(encoding="utf-8"))["panels"]
    for cell in notebook.cells:
        match shown(cell):
            case "panel", name, _:
                alternative = still_picture(cell).metadata["image/png"]["alt"]
                committed = alternative.removesuffix(STILL).strip()
                here = panels[name]["words"][start_of(panels[name])]
                if here != committed:
                    yield f"{name}: {here} (committed: {committed})"


def panel_as_html(cell, panel, frames, identity):
    """A panel: the committed picture, and the sliders over drawn frames, which the page's script shows in its place.

    frames: the address of its pictures, up to the number.
    """
    still = still_picture(cell)
    png = "".join(still.data["image/png"].split())
    said = html.escape(still.metadata["image/png"]["alt"])
    controls = panel["controls"]
    start = start_of(panel)
    words = html.escape(panel["words"][start])
    size = f'width="{panel["width"]}" height="{panel["height"]}"'
    fields = "".join(
        control_as_html(control, f"{identity}-{number}") for number, control in enumerate(controls)
    )
    data = {
        "frames": panel["frames"],
        "words": panel["words"],
        "controls": [
            {name: control[name] for name in ("labels", "values", "format") if name in control}
            for control in controls
        ],
    }
    return (
        f'<figure class="panel" id="{identity}" data-panel="{html.escape(frames)}">'
        f'<img class="panel-still" src="data:image/png;base64,{png}" alt="{said}">'
        f'<div class="panel-live" hidden>{fields}'
        f'<div class="panel-picture"><img src="{html.escape(frames)}-{panel["frames"][start]}.webp" '
        f'{size} alt="{words}" loading="lazy" decoding="sync"></div>'
        f'<div role="status" class="panel-words">{words}</div>{note(panel)}</div>'
        f"{as_data(data)}</figure>"
    )


def note(panel):
    """What a panel of drawn frames has less than the live one, as a paragraph; empty if it lacks nothing."""
    coarse = [
        f"{len(control['places'])} of the {control['positions']:,} positions of “{control['label']}”"
        for control in panel["controls"]
        if len(control["places"]) < control["positions"]
    ]
    said = []
    if coarse:
        said.append(f"This page has {' and '.join(coarse)}. JupyterLab has all.")
    if panel["short"]:
        said.append("Drawn after a short training, for a test.")
    return f'<p class="panel-note">{html.escape(" ".join(said))}</p>' if said else ""


# ---------------------------------------------------------------- Guesses


def result_of(cells, stem, name, call):
    """The cell that shows the result of a guess, and what it says: "27.9", or None if it draws the guess alone.

    Raises ValueError if no output below the guess has the line "question: measured ...", nor a cell marks the guess.
    """
    question = lessons.guess_arguments(call, stem)["question"]
    line = re.compile(rf"^{re.escape(question)}: measured (.+?)\.$", re.M)
    codes = [cell for cell in cells if cell.cell_type == "code"]
    for cell in codes:
        if found := line.search(lessons.output_text(cell)):
            return cell, found[1]
    if not any(f"{name}.against(" in cell.source for cell in codes):
        for cell in codes:
            if f"{name}.mark(" in cell.source and cell.outputs:
                return cell, None
    raise ValueError(
        f"{stem}: no output below the guess says what was measured for “{question}”: rebuild the lesson"
    )


def guess_as_html(call, measured, identity):
    """A guess: its question, a slider, and buttons that show the result, which the page's script has hidden."""
    given = lessons.guess_arguments(call, identity)
    low, high, step, log = (given[name] for name in ("low", "high", "step", "log"))
    last = math.floor(round((high - low) / step, 7))
    start = round((high - low) / 2 / step)
    data = {
        "question": given["question"],
        "low": low,
        "step": step,
        "log": log,
        "format": readout_format(low, step, log),
        "hasFactor": log or low >= 0,
        "measured": measured,
    }
    return (
        f'<div class="guess" id="{identity}"><p id="{identity}-question">{html.escape(given["question"])}</p>'
        f"<noscript><p>Guess first. Without JavaScript the page has no slider.</p></noscript>"
        f'<div class="guess-live" hidden><div class="panel-control">'
        f'<label for="{identity}-slider">your guess</label>'
        f'<input type="range" id="{identity}-slider" autocomplete="off" '
        f'aria-describedby="{identity}-question" min="0" max="{last}" step="1" value="{start}">'
        f'<span class="panel-value" aria-hidden="true"></span></div>'
        f'<p class="guess-buttons"><button type="button" data-do="commit" disabled>Reveal</button> '
        f'<button type="button" data-do="skip">Skip the guess</button></p>'
        f'<div role="status">Move the slider, then press Reveal.</div></div>{as_data(data)}</div>'
    )


def result_as_html(identity):
    """What stands at the result of a guess until it is shown."""
    return (
        f'<div class="guess-result" data-guess="{identity}" hidden><p>The result is hidden until you have guessed. '
        f'<a href="#{identity}">To the guess</a> <button type="button">Show it now</button></p></div>'
    )


def hide(notebook, question, result, identity, content):
    """Mark what is hidden until a guess: outputs between the question and its result, and the section's rest below.

    The rest ends at the next heading, guess or panel. content: what stands at the result until then.
    """
    start, end = (notebook.cells.index(cell) for cell in (question, result))
    for cell in notebook.cells[start + 1 : end]:
        if cell.get("outputs"):
            mark(cell, identity, "between")
    if has_guess(result):
        raise ValueError(f"{identity}: its result is that of another guess, too: give each a cell")
    result.outputs.insert(0, as_output(content))
    for cell in notebook.cells[end + 1 :]:
        if cell.cell_type == "code":
            if shown(cell):
                return
            mark(cell, identity, "after")
            continue
        told = TOLD_ENDS.split(cell.source, maxsplit=1)[0]
        onward = cell.source[len(told) :]
        if told.strip():
            box = f'<div class="guess-told" data-guess="{identity}">'
            cell.source = f"{box}\n\n{told.strip()}\n\n</div>\n\n{onward}"
        if onward:
            return


def mark(cell, identity, kind):
    """Put a mark into a code cell's outputs, by which the page finds these ("between") or the whole cell ("after")."""
    cell.outputs.insert(0, as_output(f'<div class="guess-{kind}" data-guess="{identity}"></div>'))


def spoken_guesses(notebook):
    """The questions without a slider, and the code cells that answer them: pairs of cells. The lesson's slides know."""
    entries = [
        (e["kind"], cell) for cell in notebook.cells for e in cell.metadata.get("slides", [])
    ]
    for (kind, question), (next_kind, result) in itertools.pairwise(entries):
        is_pair = (kind, next_kind) == ("question", "result") and question is not result
        if is_pair and result.get("outputs") and not has_guess(result):
            yield question, result


def has_guess(cell):
    """Whether one of a cell's outputs is hidden until a guess."""
    return any(
        "guess-result" in output.get("data", {}).get("text/html", "") for output in cell.outputs
    )


def spoken_as_html(identity):
    """What stands at the result of a question without a slider until it is shown."""
    return (
        f'<div class="guess-result" data-guess="{identity}" hidden><p>Have you guessed? '
        f'<button type="button">Show the result</button></p></div>'
    )


# ---------------------------------------------------------------- The clinic


def consultation_as_html(visit, identity):
    """The list of diagnoses for one patient, with all answers."""
    options = "".join(
        f'<option value="{html.escape(key)}">{html.escape(label)}</option>'
        for label, key in visit["options"]
    )
    return (
        f'<div class="consultation" id="{identity}">'
        f"<noscript><p>What is wrong? Without JavaScript the list of diagnoses does not answer.</p></noscript>"
        f'<div class="consultation-live" hidden><div class="panel-control">'
        f'<label for="{identity}-list">{html.escape(visit["label"])}</label>'
        f'<select id="{identity}-list" autocomplete="off">{options}</select></div>'
        f'{visit["first"]}<p class="panel-note">Treatments, the score and the ward round need JupyterLab.</p></div>'
        f"{as_data(visit['answers'])}</div>"
    )


# ---------------------------------------------------------------- A plain page, and how fast it is


def plain_page(notebook, stem, frames_folder, folder):
    """Write a page of this notebook alone, with its script and pictures, into a folder; return its path."""
    static = folder / "_static"
    static.mkdir(parents=True, exist_ok=True)
    for name in ("panels.js", "panels.css"):
        shutil.copy(STATIC / name, static / name)
    if frames_folder is not None and needs_frames(notebook):
        target = static / "frames" / stem
        shutil.copytree(Path(frames_folder) / stem, target, dirs_exist_ok=True)
    body, _ = HTMLExporter(template_name="basic").from_notebook_node(
        embed(notebook, stem, frames_folder, "_static/")
    )
    page = folder / f"{stem}.html"
    page.write_text(
        f'<!DOCTYPE html><html lang="en"><head><meta charset="utf-8"><title>{stem}</title>'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<link rel="stylesheet" href="_static/panels.css"><script defer src="_static/panels.js"></script>'
        f"</head><body><main><h1>{stem}</h1>{body}</main></body></html>",
        encoding="utf-8",
    )
    return page


# From the key press until the frame with another picture has been painted.
TIME_NEXT_KEY = """panel => {
    const now = () => panel.querySelector('.panel-live img');
    const before = now().src;
    window.painted = new Promise(done => document.addEventListener('keydown', event => {
        const start = event.timeStamp;
        const look = () => {
            const picture = now();
            if (picture.src !== before && picture.complete && picture.naturalWidth) {
                const channel = new MessageChannel();
                channel.port1.onmessage = () => done(performance.now() - start);
                channel.port2.postMessage(null);  // comes after this frame's paint
            } else if (performance.now() - start < 3000) requestAnimationFrame(look);
            else done(null);
        };
        requestAnimationFrame(look);
    }, {capture: true, once: true}));
}"""


def loaded(page, panel):
    """Scroll to a panel and wait until its frames are there. Raises Playwright's TimeoutError after a minute."""
    panel.scroll_into_view_if_needed()
    page.wait_for_function(
        "panel => panel.dataset.loaded", arg=panel.element_handle(), timeout=60_000
    )


def latencies(page, panel, moves=MOVES):
    """Milliseconds from a key press to the painted picture, `moves` for each slider of a panel on a page.

    Moves that change no picture within three seconds, as where the neighbour's picture is the same, are left out.
    """
    found = []
    for slider in panel.locator("input[type=range]").all():
        slider.focus()
        keys = turning(*slider.evaluate("e => [e.value, e.max].map(Number)"), moves)
        for pressed in keys:
            panel.evaluate(TIME_NEXT_KEY)
            page.keyboard.press(pressed)
            found.append(page.evaluate("window.painted"))
    return [milliseconds for milliseconds in found if milliseconds is not None]


def turning(place, last, moves):
    """The keys that take a slider up from a place to its last one, and down again, and so on."""
    up = True
    for _ in range(moves):
        up = (up or place == 0) and place < last
        place += 1 if up else -1
        yield "ArrowRight" if up else "ArrowLeft"


def table(paths, short):
    """The lines of a table of all panels that have been drawn."""
    yield "| panel | settings | drawn | pictures | kB | slider to picture, median / 90th percentile |"
    yield "|---|---|---|---|---|---|"
    with tempfile.TemporaryDirectory() as folder, browser.chromium() as chromium:
        for path in paths:
            built = BUILT_SHORT if short else BUILT
            if not is_there(built / path.stem, key(path, short)):
                print(f"{path.stem} has no frames yet", file=sys.stderr)
                continue
            content = json.loads((built / path.stem / drawing.FILE).read_text(encoding="utf-8"))
            if not content["panels"]:
                continue
            file = plain_page(lessons.read(path), path.stem, built, Path(folder))
            page = chromium.new_page(viewport=browser.VIEWPORT)
            page.goto(file.as_uri())
            for name, panel in content["panels"].items():
                element = page.locator(f"[id='{path.stem}-{name}']")
                loaded(page, element)
                times = latencies(page, element)
                median, slow = statistics.median(times), statistics.quantiles(times, n=10)[-1]
                settings = math.prod(control["positions"] for control in panel["controls"])
                yield (
                    f"| {path.name[:2]} `{name}` | {settings:,} | {len(panel['words'])} "
                    f"| {len(set(panel['frames']))} | {panel['bytes'] / 1000:,.0f} | {median:.0f} / {slow:.0f} ms |"
                )
            page.close()


def main(arguments):
    """Draw frames, or measure them. Returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("starts", nargs="*", default=[""], metavar="START")
    parser.add_argument("--short", action="store_true", help="after short trainings, for tests")
    parser.add_argument(
        "--measure", action="store_true", help="print a table of what has been drawn"
    )
    chosen = parser.parse_args(arguments)
    named = [path for start in chosen.starts for path in lessons.lesson_paths(start)]
    paths = [path for path in named if needs_frames(lessons.read(path))]
    if not paths:
        print(f"no lesson with a panel starts with {' or '.join(chosen.starts)}")
        return 2
    if chosen.measure:
        for line in table(paths, chosen.short):
            print(line, flush=True)
        return 0
    bar = tqdm(paths, unit=" lessons")
    for path in bar:
        bar.set_postfix_str(path.stem[:2])
        try:
            folder = frames_of(path, chosen.short)
        except CellExecutionError as error:
            print(f"{path.name} was not drawn: a cell raised.\n{error}")
            return 1
        for line in [] if chosen.short else other_words(lessons.read(path), folder):
            tqdm.write(f"{path.stem[:2]} starts with other words here: {line}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
