"""Panels without a kernel: what is drawn beforehand, what stands in the page, and how it moves in Chromium.

That every lesson's page shows what its live panel shows is tested beside that one, in tests/browser/test_panels.py.
"""

import base64
import io
import json
import re
import types
from contextlib import redirect_stdout

import browser
import drawing
import frames
import ipywidgets as widgets
import nbformat
import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import expect

import helpers

STEM = "99_a_panel"
SOURCE = """\
panel = helpers.Panel(draw, gain=gain, layers=layers, form=form, batchnorm=batchnorm)
panel"""


def draw(figure):
    ax = figure.subplots()
    ax.set(xlim=(0, 1), ylim=(-10, 10))
    (line,) = ax.plot([0, 1], [0, 0])

    def update(gain, layers, form, batchnorm):
        line.set_data([0, 1], [gain, min(layers, 2)])
        line.set_color("C1" if batchnorm else "C0")
        line.set_linestyle("-" if form == "tanh" else ":")
        return f"gain {gain:.3g} < {layers} {form} </script> {batchnorm}"

    return update


def controls():
    return {
        "gain": widgets.FloatSlider(1.3, min=-2, max=2, step=0.1, description="the <gain>"),
        "layers": widgets.SelectionSlider(options=[("one", 1), ("two", 2), ("all", 9)], value=2),
        "form": widgets.Dropdown(options=["tanh", "relu"], description="form"),
        "batchnorm": widgets.Checkbox(False, description="BatchNorm"),
    }


@pytest.fixture(scope="module")
def panel():
    return helpers.Panel(draw, figsize=(4, 2), **controls())


@pytest.fixture(scope="module")
def drawn(panel, tmp_path_factory):
    """A folder of frames with this panel's."""
    folder = tmp_path_factory.mktemp("frames")
    drawing.export({"panel": panel, "_1": panel}, folder / STEM, most=60)
    return folder


def content(drawn):
    return json.loads((drawn / STEM / drawing.FILE).read_text(encoding="utf-8"))


def guess_cells(question="loss", result="loss: measured 27.9.", log=False, code="a.against(27.9)"):
    """A cell with a guess, and one that shows its result."""
    question_cell = nbformat.v4.new_code_cell(
        f"a = helpers.Guess({question!r}, 0, 3, 0.5, log={log})\na"
    )
    words = {"text/markdown": "*Guess first*", "text/plain": "*Guess first*"}
    question_cell.outputs = [nbformat.v4.new_output("execute_result", words, execution_count=1)]
    result_cell = nbformat.v4.new_code_cell(code)
    result_cell.outputs = [
        nbformat.v4.new_output("stream", name="stdout", text=f"before\n{result}\n")
    ]
    return [question_cell, result_cell]


@pytest.fixture
def notebook(panel):
    """A lesson that shows the panel and a guess, as it is committed."""
    bundle, metadata = panel._repr_mimebundle_()
    bundle = {mime: bundle[mime] for mime in ("image/png", "text/plain")}
    cell = nbformat.v4.new_code_cell(SOURCE)
    cell.outputs = [nbformat.v4.new_output("execute_result", bundle, metadata=metadata)]
    told = nbformat.v4.new_markdown_cell("Far above.\n\n## Onward\n\n**Guess:** and now?")
    told.metadata["slides"] = [{"kind": "question"}]
    _, between = guess_cells(result="it goes on")
    _, spoken = guess_cells(result="it goes up")
    spoken.metadata["slides"] = [{"kind": "result"}]
    rest = [
        nbformat.v4.new_markdown_cell("All the way."),
        nbformat.v4.new_code_cell("even_further()"),
        nbformat.v4.new_markdown_cell("## The end"),
    ]
    return nbformat.v4.new_notebook(cells=[cell, *guess_cells(), told, between, spoken, *rest])


# ---------------------------------------------------------------- The grid


def values(control):
    return drawing.every_position(control)[0]


def test_a_sliders_positions_are_those_of_the_live_one():
    steps = widgets.FloatSlider(0.3, min=0, max=1, step=0.1)
    assert drawing.every_position(steps) == ([k / 10 for k in range(11)], 3)
    assert values(widgets.IntSlider(2, min=1, max=4)) == [1, 2, 3, 4]
    assert values(widgets.FloatSlider(0, min=0, max=0.5, step=0.2)) == [0, 0.2, 0.4, 0.5]
    off = widgets.FloatSlider(0.25, min=0, max=0.4, step=0.2)
    assert drawing.every_position(off) == ([0, 0.2, 0.25, 0.4], 2)
    powers = widgets.FloatLogSlider(0.1, min=-2, max=0, step=0.5)
    assert values(powers) == pytest.approx([0.01, 10**-1.5, 0.1, 10**-0.5, 1])


def test_a_control_that_cannot_be_drawn_is_named():
    with pytest.raises(TypeError, match="a Text cannot be drawn beforehand"):
        drawing.every_position(widgets.Text())


def test_a_small_grid_has_all_settings():
    chosen = drawing.grid(controls(), 41 * 3 * 2 * 2)
    assert [len(places) for places in chosen.values()] == [41, 3, 2, 2]


@pytest.mark.parametrize("most", [491, 300, 100, 36])
def test_a_large_grid_gets_coarser_steps_with_both_ends_and_the_start(most):
    chosen = drawing.grid(controls(), most)
    assert np.prod([len(places) for places in chosen.values()]) <= most
    gain = chosen["gain"]
    assert {0, 33, 40} <= set(gain)
    assert len(gain) >= 3
    steps = np.diff([place for place in gain if place not in (0, 40)])
    assert len(set(steps)) <= 1, "uneven"
    assert [len(chosen[name]) for name in ("layers", "form", "batchnorm")] == [3, 2, 2]


def test_coarser_steps_are_round():
    strides = [1]
    while strides[-1] < 500:
        strides.append(drawing.next_stride(strides[-1]))
    assert strides == [1, 2, 5, 10, 20, 25, 50, 100, 200, 250, 500]


def test_the_finest_slider_is_coarsened_first():
    fine, finer = widgets.IntSlider(0, max=20), widgets.IntSlider(0, max=500)
    chosen = drawing.grid({"fine": fine, "finer": finer}, 21 * 21)
    assert len(chosen["fine"]) == 21
    assert 11 <= len(chosen["finer"]) <= 21


def test_a_grid_that_cannot_be_made_small_enough_is_an_error():
    with pytest.raises(ValueError, match="even the coarsest grid has 36 settings, over 35"):
        drawing.grid(controls(), 35)


# ---------------------------------------------------------------- Drawing


def test_equal_pictures_are_stored_once_and_each_setting_has_its_own_words(drawn):
    told = content(drawn)["panels"]["panel"]
    places = [len(control["places"]) for control in told["controls"]]
    assert len(told["words"]) == len(told["frames"]) == np.prod(places)
    assert len(set(told["words"])) == np.prod(places)
    files = sorted((drawn / STEM).glob("*.webp"))
    assert {f"panel-{number}.webp" for number in told["frames"]} == {file.name for file in files}
    # "two" and "all" look the same: a third of the settings needs no picture of its own
    assert len(files) == np.prod(places) * 2 / 3
    assert told["bytes"] == sum(file.stat().st_size for file in files) <= drawing.LIMIT


def test_a_frame_has_the_panels_pixels(panel, drawn):
    told = content(drawn)["panels"]["panel"]
    (start,) = [n for n, words in enumerate(told["words"]) if words == panel.words]
    frame = np.asarray(Image.open(drawn / STEM / f"panel-{told['frames'][start]}.webp"))
    live = Image.open(io.BytesIO(base64.b64decode(panel.png))).convert("RGB")
    assert (frame == np.asarray(live)).all()


def test_drawing_leaves_the_panel_as_it_was(panel, tmp_path):
    before = panel.png, panel.words, panel.settings()
    drawing.draw(panel, "panel", tmp_path, most=40)
    assert (panel.png, panel.words, panel.settings()) == before


def test_a_panel_with_too_many_bytes_is_drawn_coarser(panel, drawn, tmp_path):
    whole = content(drawn)["panels"]["panel"]
    fewer = drawing.draw(panel, "panel", tmp_path, most=60, limit=int(0.8 * whole["bytes"]))
    assert fewer["bytes"] <= 0.8 * whole["bytes"]
    assert len(fewer["words"]) < len(whole["words"])


def test_a_panel_that_stays_too_large_is_an_error(panel, tmp_path):
    with pytest.raises(ValueError, match=r"panel: even the coarsest grid .* 2,000 bytes in all"):
        drawing.draw(panel, "panel", tmp_path, limit=2_000)
    assert not list(tmp_path.iterdir())


class Consultation:
    """As the clinic's, with a chart that is complete, or not."""

    def __init__(self, patient, complete=True):
        self.patient, self.chart = patient, types.SimpleNamespace(complete=complete)
        self.list = widgets.Dropdown(
            options=[("choose", ""), ("Too < hot", "hot")], description="diagnosis"
        )
        self.answer = widgets.HTML('<div role="status">Choose.</div>')

    def reply(self, key):
        return f"<b>No.</b> {self.patient} is not {key}"


def clinic(**named):
    return types.SimpleNamespace(
        PATIENTS=[7], Consultation=lambda patient: Consultation(patient, **named)
    )


def test_the_clinics_answers_are_written_down():
    told = drawing.answers(clinic())[7]
    assert told["answers"] == {"hot": "<b>No.</b> 7 is not hot"}
    with pytest.raises(RuntimeError, match="patient 7 was interrupted: run it again"):
        drawing.answers(clinic(complete=False))


# ---------------------------------------------------------------- What stands in the page


def test_nothing_but_outputs_and_what_is_told_of_a_guess_changes(notebook, drawn):
    before = notebook.copy()
    page = frames.embed(notebook, STEM, drawn)
    assert notebook == before
    panel, guess, result, told, between, spoken, way, further, last = page.cells
    assert 'data-panel="../_static/frames/99_a_panel/panel"' in panel.outputs[0].data["text/html"]
    assert "image/png" not in panel.outputs[0].data
    assert ">loss</p>" in guess.outputs[0].data["text/html"]
    assert "guess-result" in result.outputs[0].data["text/html"]
    assert result.outputs[1:] == notebook.cells[2].outputs
    box, answer, end, onward = told.source.split("\n\n", 3)
    assert box == f'<div class="guess-told" data-guess="{STEM}-a">'
    assert (answer, end) == ("Far above.", "</div>")
    assert onward == "## Onward\n\n**Guess:** and now?"
    assert "Have you guessed?" in spoken.outputs[0].data["text/html"]
    assert spoken.outputs[1:] == notebook.cells[5].outputs
    assert "guess-between" in between.outputs[0].data["text/html"]
    assert between.outputs[1:] == notebook.cells[4].outputs
    assert "guess-told" in way.source
    assert "guess-after" in further.outputs[0].data["text/html"]
    assert last == notebook.cells[-1]


@pytest.mark.parametrize("text", ["## Onward\n\nNo answer.", "Then **Guess:** and now?"])
def test_where_nothing_is_told_of_a_guess_the_text_stays(notebook, text):
    notebook.cells[3].source = text
    assert frames.embed(notebook, STEM, None).cells[3].source == text


def test_missing_frames_are_an_error_that_says_what_to_do(notebook, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"99_a_panel has no frames .* tools/frames.py 99"):
        frames.embed(notebook, STEM, tmp_path)
    with pytest.raises(FileNotFoundError, match=r"draw them with python tools/frames\.py"):
        frames.place(tmp_path, tmp_path)


def test_a_panel_that_was_not_drawn_is_an_error(notebook, drawn):
    notebook.cells[0].source = "other = helpers.Panel(draw)\nother"
    with pytest.raises(ValueError, match="other is shown, and it was not drawn"):
        frames.embed(notebook, STEM, drawn)


def test_a_guess_without_a_result_is_an_error():
    cells = guess_cells(result="loss: measures nothing")
    with pytest.raises(ValueError, match=r"no output below the guess says .* “loss”: rebuild"):
        frames.embed(nbformat.v4.new_notebook(cells=cells), STEM, None)


def test_a_guess_that_is_only_drawn_shows_its_picture():
    cells = guess_cells(result="a picture", code='a.mark(plt.gca(), "x")')
    page = frames.embed(nbformat.v4.new_notebook(cells=cells), STEM, None)
    assert '"measured":null' in page.cells[0].outputs[0].data["text/html"]
    assert "guess-result" in page.cells[1].outputs[0].data["text/html"]


def test_two_guesses_with_one_result_are_an_error():
    cells = guess_cells()
    other, _ = guess_cells()
    notebook = nbformat.v4.new_notebook(cells=[cells[0], other, cells[1]])
    with pytest.raises(ValueError, match="its result is that of another guess, too: give each a"):
        frames.embed(notebook, STEM, None)


def test_a_guess_with_computed_arguments_is_an_error():
    cells = guess_cells()
    cells[0].source = "a = helpers.Guess('loss', 0, high, 1)\na"
    with pytest.raises(ValueError, match="write the arguments of this guess as plain values"):
        frames.embed(nbformat.v4.new_notebook(cells=cells), STEM, None)


def test_without_frames_a_panel_stays_a_picture_and_guesses_move(notebook):
    page = frames.embed(notebook, STEM, None)
    assert page.cells[0] == notebook.cells[0]
    assert "guess-live" in page.cells[1].outputs[0].data["text/html"]


def test_every_committed_guess_has_its_result():
    sliders = spoken = 0
    for path in frames.lessons.lesson_paths():
        notebook = frames.lessons.read(path)
        page = nbformat.writes(frames.embed(notebook, path.stem, None))
        results = re.findall(r'class=\\"guess-result\\" data-guess=\\"([^"\\]+)', page)
        assert len(results) == len(set(results))
        without = sum("-spoken-" in identity for identity in results)
        assert len(results) - without == page.count("helpers.Guess(")
        sliders, spoken = sliders + len(results) - without, spoken + without
    assert sliders > 20
    assert spoken > 20


def test_the_pictures_are_put_where_the_pages_look(drawn, tmp_path):
    frames.place(drawn, tmp_path)
    there = {file.name for file in (tmp_path / "frames" / STEM).iterdir()}
    assert there == {file.name for file in (drawn / STEM).glob("*.webp")}


def test_frames_are_kept_until_the_lesson_or_the_drawing_changes(monkeypatch):
    path = frames.lessons.lesson_paths("02_")[0]
    keys = {frames.key(path, False), frames.key(path, True)}
    monkeypatch.setattr(frames.fingerprints, "of", lambda notebook: "another")
    keys |= {frames.key(path, False), frames.key(path, True)}
    assert len(keys) == 4


def test_words_that_are_not_the_committed_ones_are_told(notebook, drawn):
    assert list(frames.other_words(notebook, drawn / STEM)) == []
    notebook.cells[0].outputs[0].metadata["image/png"]["alt"] = "gain 1.4"
    (told,) = frames.other_words(notebook, drawn / STEM)
    assert told == "panel: gain 1.3 < 2 tanh </script> False (committed: gain 1.4)"


# ---------------------------------------------------------------- In a browser


PHONE = {"width": 390, "height": 800}


@pytest.fixture(params=[browser.VIEWPORT, PHONE], ids=["desktop", "phone"])
def page(request, chromium, notebook, drawn, tmp_path):
    """The lesson's page, opened from its file; the console must stay empty."""
    file = frames.plain_page(notebook, STEM, drawn, tmp_path)
    context = chromium.new_context(viewport=request.param, has_touch=request.param is PHONE)
    page, said = context.new_page(), []
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.goto(file.as_uri())
    yield page
    context.close()
    assert said == []


def test_a_panel_works_with_the_keyboard_alone(page, drawn):
    second = content(drawn)["panels"]["panel"]["controls"][0]["values"][1]
    frames.loaded(page, page.locator(".panel"))
    status = page.locator(".panel [role=status]")
    assert status.text_content() == "gain 1.3 < 2 tanh </script> False"
    for keys, said in [
        (["Tab", "Home"], "gain -2 < 2 tanh </script> False"),
        (["ArrowRight"], f"gain {second:.3g} < 2 tanh </script> False"),
        (["Tab", "End"], f"gain {second:.3g} < 9 tanh </script> False"),
        (["Tab", "ArrowDown"], f"gain {second:.3g} < 9 relu </script> False"),
        (["Tab", "Space"], f"gain {second:.3g} < 9 relu </script> True"),
    ]:
        for key in keys:
            page.keyboard.press(key)
        assert status.text_content() == said
        assert page.locator(".panel img").get_attribute("alt") == said
        assert page.locator(".panel img").evaluate("e => e.complete && e.naturalWidth") == 400
    beside = page.locator(".panel-value").all_inner_texts()
    assert beside == [f"{second:.2f}".replace("-", "−"), "all", "1.5"]  # the last is the guess's


@pytest.mark.parametrize("page", [PHONE], indirect=True, ids=["phone"])
def test_a_touch_moves_a_slider(page):
    frames.loaded(page, page.locator(".panel"))
    box = page.locator(".panel input[type=range]").first.bounding_box()
    page.touchscreen.tap(box["x"] + box["width"] - 2, box["y"] + box["height"] / 2)
    assert page.locator(".panel [role=status]").text_content().startswith("gain 2 ")
    right = page.locator(".panel, .guess").evaluate_all(
        "all => all.map(e => e.getBoundingClientRect().left + e.scrollWidth)"
    )
    assert max(right) <= page.viewport_size["width"]


def test_a_picture_that_is_missing_is_said(chromium, notebook, drawn, tmp_path):
    file = frames.plain_page(notebook, STEM, drawn, tmp_path)
    for picture in (tmp_path / "_static" / "frames" / STEM).glob("*.webp"):
        picture.unlink()
    page = chromium.new_page()
    page.goto(file.as_uri())
    page.locator(".panel input").first.press("Home")
    status = page.locator(".panel [role=status]")
    expect(status).to_have_text("This picture could not be loaded. Reload the page to try again.")
    page.close()


def test_without_javascript_the_committed_picture_and_all_results_show(
    chromium, notebook, drawn, tmp_path
):
    file = frames.plain_page(notebook, STEM, drawn, tmp_path)
    context = chromium.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(file.as_uri())
    expect(page.locator(".panel-still")).to_be_visible()
    assert "JupyterLab" in page.locator(".panel-still").get_attribute("alt")
    expect(page.locator(".panel-live")).to_be_hidden()
    expect(page.locator(".guess-live")).to_be_hidden()
    expect(page.get_by_text("loss: measured 27.9.")).to_be_visible()
    context.close()


def test_with_javascript_the_still_picture_is_gone(page):
    assert page.locator(".panel-still").count() == 0
    expect(page.locator(".panel-live")).to_be_visible()


def test_a_guess_is_committed_and_then_compared(page):
    result = page.get_by_text("loss: measured 27.9.", exact=False).locator("visible=true")
    told = page.get_by_text("Far above.")
    assert result.count() == 0
    expect(told).to_be_hidden()
    expect(page.get_by_text("and now?")).to_be_visible()
    slider, status = page.locator(".guess input"), page.locator(".guess [role=status]")
    reveal = page.get_by_role("button", name="Reveal")
    expect(reveal).to_be_disabled()
    slider.press("End")
    assert status.inner_text() == "Your guess is 3. Press Reveal to see the result."
    assert page.locator(".guess .panel-value").inner_text() == "3.0"
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    said = "loss: measured 27.9, you guessed 3, off by a factor of 9.3."
    assert status.inner_text() == said
    assert status.evaluate("e => e === document.activeElement")
    assert page.locator(".guess-result >> nth=0").inner_text() == said
    assert result.count() == 1
    expect(told).to_be_visible()
    assert page.locator(".guess button, .guess-result button").count() == 1  # the spoken one


@pytest.mark.parametrize("button", ["Skip the guess", "Show it now"])
def test_a_guess_can_be_skipped(page, button):
    page.get_by_role("button", name=button).click()
    expect(page.get_by_text("loss: measured 27.9.")).to_be_visible()
    assert (
        page.locator(".guess-result >> nth=0").inner_text() == "No guess: the result stands alone."
    )


def test_a_question_without_a_slider_hides_its_result_too(page):
    words = ["it goes on", "it goes up", "All the way.", "even_further"]
    hidden = [page.get_by_text(text) for text in words]
    expect(page.get_by_text("The end")).to_be_visible()
    for output in hidden:
        expect(output).to_be_hidden()
    page.get_by_role("button", name="Show the result").click()
    for output in hidden:
        expect(output).to_be_visible()
    assert page.evaluate("document.activeElement.innerText") == "The result:"


def test_a_printed_page_shows_every_result(page):
    page.emulate_media(media="print")
    expect(page.get_by_text("loss: measured 27.9.")).to_be_visible()
    expect(page.get_by_text("Far above.")).to_be_visible()
    expect(page.get_by_text("it goes up")).to_be_visible()
    expect(page.locator(".panel img")).to_be_visible()
    expect(page.locator(".panel input[type=range]").first).to_be_hidden()


# Moves the slider of each guess on a page, presses its button, and returns what is said.
SAY_ALL = """() => [...document.querySelectorAll('.guess')].map((box, place) => {
    const slider = box.querySelector('input');
    slider.value = place;
    slider.dispatchEvent(new Event('input', {bubbles: true}));
    box.querySelector('button').click();
    return box.querySelector('[role=status]').textContent;
})"""


@pytest.mark.parametrize(
    ("low", "high", "step", "log", "measured"),
    [
        (-1000, 2000, 125, False, "527"),
        (-6, 8, 0.5, True, "8.73e-06"),
        (0, 1, 0.05, False, "0.354"),
        (-1, 0, 0.25, False, "-0.3"),
    ],
)
def test_a_guess_is_compared_in_the_live_ones_words(
    chromium, low, high, step, log, measured, tmp_path
):
    """One guess on the page for each position of the slider."""
    live, cells = [], []
    guess = helpers.Guess("loss", low, high, step, log=log)
    for place, value in enumerate(values(guess.slider)):
        guess.value = value
        with redirect_stdout(io.StringIO()) as said:
            guess.against(float(measured.replace(",", "")))
        live.append(said.getvalue().strip())
        shown, result = guess_cells(result=f"loss: measured {measured}.")
        shown.source = (
            f"a{place} = helpers.Guess('loss', {low}, {high}, {step}, log={log})\na{place}"
        )
        cells += [shown, result]
    page = chromium.new_page()
    lesson = nbformat.v4.new_notebook(cells=cells)
    page.goto(frames.plain_page(lesson, STEM, None, tmp_path).as_uri())
    assert page.evaluate(SAY_ALL) == live
    page.close()


def test_the_clinics_list_answers(chromium, tmp_path):
    cell = nbformat.v4.new_code_cell("clinic.Consultation(7)")
    words = {"text/markdown": "*What is wrong?*", "text/plain": "*What is wrong?*"}
    cell.outputs = [nbformat.v4.new_output("display_data", words)]
    (tmp_path / STEM).mkdir()
    told = {"key": "", "short": False, "panels": {}, "patients": drawing.answers(clinic())}
    (tmp_path / STEM / drawing.FILE).write_text(json.dumps(told), encoding="utf-8")
    lesson = nbformat.v4.new_notebook(cells=[cell])
    page = chromium.new_page()
    page.goto(frames.plain_page(lesson, STEM, tmp_path, tmp_path / "site").as_uri())
    status = page.locator("[role=status]")
    assert status.inner_text() == "Choose."
    page.get_by_label("diagnosis").focus()
    page.keyboard.press("ArrowDown")
    expect(status).to_have_text("No. 7 is not hot")
    page.close()
