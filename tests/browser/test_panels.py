"""The panels as a learner meets them: every lesson that has one, after Run All, in JupyterLab in Chromium."""

import base64
import io
import re
from urllib.parse import unquote, urlparse

import browser
import frames
import lessons
import numpy as np
import pytest
from PIL import Image


def slider_handles(panel, controls):
    """The handles of the panel's sliders, each with what its control should look like."""
    sliders = [control for control in controls if control.kind.endswith("Slider")]
    handles = panel.locator(".noUi-handle").all()
    assert len(handles) == len(sliders)
    return list(zip(handles, sliders, strict=True))


def shown_value(handle):
    """What stands beside a slider."""
    row = handle.locator("xpath=ancestor::*[contains(@class, 'widget-inline-hbox')][1]")
    return row.locator(".widget-readout").inner_text().replace("−", "-")


def assert_shows(handle, end):
    """The value beside the slider is this end: a number, as far as it is written out, or a label.

    On a machine that is very busy the value may come late: it is waited for, 5 seconds at most.
    """
    if isinstance(end, str):
        number, expected = str, end.replace("−", "-")
    else:
        number, expected = float, pytest.approx(end, rel=0.01, abs=0.006)
    for _ in range(50):
        if number(shown_value(handle)) == expected:
            break
        handle.page.wait_for_timeout(100)
    assert number(shown_value(handle)) == expected


def same_words(words, picture):
    """Whether the words below a picture are its alternative text (a page shows several spaces as one)."""
    return words.inner_text().split() == picture.get_attribute("alt").split()


def press(opened, handle, *keys):
    handle.focus()
    for key in keys:
        opened.page.keyboard.press(key)
        opened.page.wait_for_timeout(50)
    browser.settle(opened.page)


def each_panel(opened):
    """The panels of the lesson one after the other: locators of panel, picture, words, and the expected controls."""
    assert opened.panels
    for number, controls in enumerate(opened.panels):
        yield (*opened.panel(number), controls)


def test_the_copy_says_that_it_trains_less(opened):
    opened.page.locator(".jp-WindowedPanel-outer").first.evaluate("e => e.scrollTop = 0")
    opened.page.locator("em", has_text="This copy trains only").wait_for(timeout=5000)


def test_every_slider_goes_to_both_ends_by_keyboard(opened):
    for panel, picture, words, controls in each_panel(opened):
        for handle, control in slider_handles(panel, controls):
            pictures = []
            for key, end in (("Home", control.ends[0]), ("End", control.ends[1])):
                press(opened, handle, key)
                assert_shows(handle, end)
                assert words.get_attribute("role") == "status", words.inner_text()
                assert same_words(words, picture)
                pictures.append(picture.get_attribute("src"))
            assert pictures[0] != pictures[1], f"{control.label} changes nothing"
            press(opened, handle, *["ArrowLeft"] * 3)


# On a closed list the arrow keys belong to JupyterLab's notebook: Space opens the list first.
CHANGE = {"Checkbox": ["Space"], "Dropdown": ["Space", "ArrowDown", "Enter"]}
BACK = {"Checkbox": ["Space"], "Dropdown": ["Space", "ArrowUp", "Enter"]}


def test_every_other_control_works_by_keyboard(opened):
    for panel, picture, words, controls in each_panel(opened):
        for control in controls:
            if control.kind.endswith("Slider"):
                continue
            row = panel.locator(".jupyter-widgets:not(.widget-box)", has_text=control.label)
            element = row.locator("select, input[type=checkbox]").first
            before = picture.get_attribute("src")
            press(opened, element, *CHANGE[control.kind])
            assert picture.get_attribute("src") != before, f"{control.label} changes nothing"
            assert words.get_attribute("role") == "status", words.inner_text()
            press(opened, element, *BACK[control.kind])
            assert picture.get_attribute("src") == before


def test_after_a_fast_drag_the_picture_is_that_of_the_last_position(opened):
    for panel, picture, words, controls in each_panel(opened):
        for handle, control in slider_handles(panel, controls):
            for share in (0.95, 0.4):
                track = handle.locator("xpath=ancestor::*[contains(@class, 'noUi-target')][1]")
                at, along = handle.bounding_box(), track.bounding_box()
                y = at["y"] + at["height"] / 2
                opened.page.mouse.move(at["x"] + at["width"] / 2, y)
                opened.page.mouse.down()
                opened.page.mouse.move(along["x"] + share * along["width"], y, steps=25)
                opened.page.mouse.up()
                browser.settle(opened.page)
                dragged, value = picture.get_attribute("src"), shown_value(handle)
                # Away and back; at the right end there is no away.
                press(opened, handle, "ArrowRight")
                if shown_value(handle) != value:
                    press(opened, handle, "ArrowLeft")
                assert shown_value(handle) == value
                assert picture.get_attribute("src") == dragged, f"{control.label} lags behind"
                assert words.get_attribute("role") == "status", words.inner_text()


def test_nothing_flickers_or_jumps_in_twenty_moves(opened):
    for panel, _, _, controls in each_panel(opened):
        handles = slider_handles(panel, controls)
        press(opened, handles[0][0], "ArrowRight")
        panel.evaluate(browser.WATCH)
        for move in range(20):
            handle, _ = handles[move % len(handles)]
            handle.focus()
            opened.page.keyboard.press("ArrowRight" if move % 3 else "ArrowLeft")
            opened.page.wait_for_timeout(120)
        browser.settle(opened.page)
        seen = opened.page.evaluate(browser.STOP)
        assert seen["frames"] > 60
        assert seen["blank"] == 0
        assert len(seen["boxes"]) == 1, seen["boxes"]
        assert len(seen["heights"]) == 1, seen["heights"]


def test_every_control_has_its_label_and_is_reached_by_tab(opened):
    for panel, _, _, controls in each_panel(opened):
        labels = [text.strip() for text in panel.locator(".widget-label, label").all_inner_texts()]
        for control in controls:
            assert control.label.strip()
            assert control.label in " ".join(labels)
        focusable = panel.locator(".noUi-handle, select, input[type=checkbox]")
        assert focusable.count() == len(controls)
        focusable.first.focus()
        for number in range(1, len(controls)):
            opened.page.keyboard.press("Tab")
            if focusable.nth(number).evaluate("e => e !== document.activeElement"):
                opened.page.keyboard.press(
                    "Tab"
                )  # over the value beside a slider, which can be typed into
            assert focusable.nth(number).evaluate("e => e === document.activeElement")


def test_a_guess_is_committed_by_keyboard(opened):
    guess = browser.scroll_to(opened.page, browser.GUESS)
    words = guess.locator("[role=status]")
    assert words.inner_text() == "Move the slider, then run the next cell."
    for key in ("ArrowRight", "Home"):
        handle = guess.locator(".noUi-handle")
        press(opened, handle, key)
        committed = re.fullmatch(
            r"You have committed (\S+)\. Now run the next cell\.", words.inner_text()
        )
        assert float(committed[1]) == pytest.approx(
            float(shown_value(handle).replace(",", "")), rel=0.01, abs=0.006
        )


RIGHT_EDGES = """image => [image, image.closest('.jp-OutputArea-output')].map(
    element => element.getBoundingClientRect().right
)"""


def test_its_pictures_fit_the_page(opened):
    """Beside JupyterLab's list of files, in a window that is 1,400 pixels wide."""
    for _, picture, _, _ in each_panel(opened):
        right, limit = picture.evaluate(RIGHT_EDGES)
        assert right <= limit, f"{right - limit:.0f} pixels are cut off"


def test_its_pictures_have_words_with_numbers(opened):
    for _, picture, words, _ in each_panel(opened):
        assert re.search(r"\d", picture.get_attribute("alt"))
        assert same_words(words, picture)


# What JupyterLab and ipywidgets draw is theirs: the handles of sliders, the values beside them, editors. JupyterLab
# gives the pictures of outputs no words, though the files carry them; the numbers stand below each picture.
AXE = """() => axe.run({
    include: ['.jp-Notebook .jp-RenderedMarkdown', '.jp-Notebook .jp-OutputArea-output:not(.jp-RenderedImage)'],
    exclude: [['.noUi-target'], ['.widget-readout'], ['.cm-editor']],
})"""


SHOW_ALL = """() => {
    for (const cell of document.querySelectorAll('.jp-Cell')) cell.style.contentVisibility = 'visible';
}"""


def test_axe_finds_nothing_serious(opened, axe):
    page = opened.page
    page.evaluate(
        SHOW_ALL
    )  # JupyterLab renders what is near the screen, axe looks at what is rendered
    page.wait_for_timeout(500)
    assert page.locator(browser.PANEL).count() >= len(opened.panels)
    page.evaluate(axe)
    found = page.evaluate(AXE)
    assert found["passes"], "axe has looked at nothing"
    serious = [
        f"{rule['id']}: {rule['help']}: {rule['nodes'][0]['html'][:200]}"
        for rule in found["violations"]
        if rule["impact"] in ("serious", "critical")
    ]
    assert not serious, "\n".join(serious)


def test_no_cell_has_failed(opened, lab):
    saved = lessons.read(lab.root / "notebooks" / opened.name)
    for cell in lessons.code_cells(saved):
        assert not any(output.output_type == "error" for output in cell.outputs)


# ---------------------------------------------------------------- The same lesson as a page without a kernel


def go_to(page, field, place, last):
    """Move a control to one of its places, 0 to last: a slider by keyboard, with steps of five where it has them."""
    if field.evaluate("e => e.matches('select')"):
        field.select_option(index=place)
    elif field.evaluate("e => e.matches('[type=checkbox]')"):
        field.set_checked(bool(place))
    else:
        field.focus()
        fives, ones = divmod(place, 5) if field.get_attribute("role") == "slider" else (0, place)
        to_the_end = ["End"] if place == last else ["Home", *["PageUp"] * fives]
        for key in to_the_end + ["ArrowRight"] * (0 if place == last else ones):
            page.keyboard.press(key)


def assert_same(live_picture, live_words, still, figure):
    """The page without a kernel shows the live panel's pixels and words."""
    image = figure.locator("img")
    assert figure.locator("[role=status]").text_content().split() == live_words.inner_text().split()
    assert image.get_attribute("alt").split() == live_words.inner_text().split()
    assert image.evaluate("e => e.complete && e.naturalWidth === Number(e.getAttribute('width'))")
    png = base64.b64decode(live_picture.get_attribute("src").partition(",")[2])
    live = np.asarray(Image.open(io.BytesIO(png)).convert("RGB"))
    drawn = np.asarray(Image.open(unquote(urlparse(image.evaluate("e => e.src")).path)))
    assert (live == drawn).all()


def test_without_a_kernel_a_panel_shows_what_the_live_one_shows(opened, still):
    """At both ends and the middle of each control's places, the others at their start; the same values stand beside."""
    for number, (panel, picture, words, _) in enumerate(each_panel(opened)):
        controls = still.panels[number]
        figure = still.page.locator("figure.panel").nth(number)
        frames.loaded(still.page, figure)
        live_fields = panel.locator(".noUi-handle, select, input[type=checkbox]")
        fields = figure.locator("input, select")
        assert live_fields.count() == fields.count() == len(controls)

        def to(n, place):
            places = controls[n]["places"]  # noqa: B023 (it is called in this round only)
            last = controls[n]["positions"] - 1  # noqa: B023
            go_to(opened.page, live_fields.nth(n), places[place], last)  # noqa: B023
            go_to(still.page, fields.nth(n), place, len(places) - 1)  # noqa: B023

        for n, control in enumerate(controls):
            to(n, control["start"])
        for n, control in enumerate(controls):
            last = len(control["places"]) - 1
            for place in sorted({0, last // 2, last}) + [control["start"]]:
                to(n, place)
                browser.settle(opened.page)
                assert_same(picture, words, still, figure)
                if control["kind"] == "range":
                    beside = fields.nth(n).locator("xpath=following-sibling::*").inner_text()
                    assert beside.replace("−", "-") == shown_value(live_fields.nth(n))
                    assert fields.nth(n).get_attribute("aria-valuetext") == beside


def test_without_a_kernel_it_answers_fast_and_says_what_it_lacks(still):
    for number, controls in enumerate(still.panels):
        figure = still.page.locator("figure.panel").nth(number)
        frames.loaded(still.page, figure)
        times = frames.latencies(still.page, figure, moves=4)
        assert np.median(times) < 100
        said = figure.locator(".panel-note").inner_text()
        assert "Drawn after a short training" in said
        for control in controls:
            coarse = len(control["places"]) < control["positions"]
            share = f"{len(control['places'])} of the {control['positions']:,} positions of “{control['label']}”"
            assert (share in said) == coarse


# It would fetch the style sheet again, and browsers forbid that in a page that was opened from a file.
AXE_STILL = "() => axe.run({include: ['.panel', '.guess', '.guess-result']}, {preload: false})"


def test_without_a_kernel_axe_finds_nothing_and_the_console_says_nothing(still, axe):
    still.page.evaluate(axe)
    found = still.page.evaluate(AXE_STILL)
    assert found["passes"], "axe has looked at nothing"
    assert not [f"{rule['id']}: {rule['nodes'][0]['html'][:200]}" for rule in found["violations"]]
    assert still.console == []
