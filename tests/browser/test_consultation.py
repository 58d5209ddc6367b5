"""The clinic as a learner meets it, after Run All, in JupyterLab in Chromium."""

import re

import browser
import pytest

LIST = ".jp-OutputArea-output .widget-vbox:has(label:text-is('diagnosis'))"


@pytest.fixture(scope="module")
def clinic(chromium, lab):
    page = chromium.new_page(viewport=browser.VIEWPORT)
    try:
        browser.run_all(page, lab, "09_clinic.ipynb")
        yield page
    finally:
        page.close()
        browser.stop_kernels(lab)


def choose(page, box, steps):
    """Choose from the list by keyboard; the words of the answer."""
    box.locator("select").focus()
    for key in ("Space", *["ArrowDown"] * steps, "Enter"):
        page.keyboard.press(key)
        page.wait_for_timeout(50)
    page.wait_for_timeout(700)
    return box.locator("[role=status]").inner_text()


def test_a_diagnosis_chosen_by_keyboard_is_answered_at_once(clinic):
    box = browser.scroll_to(clinic, LIST)
    assert "Choose a diagnosis" in box.locator("[role=status]").inner_text()
    answers = [choose(clinic, box, 1), choose(clinic, box, 1)]
    assert answers[0] != answers[1]
    for answer in answers:
        assert re.match(r"Yes: |No\.", answer)
        assert re.search(r"\d", answer)


def test_the_chart_above_it_has_words_with_numbers(clinic):
    browser.scroll_to(clinic, LIST)
    picture = clinic.locator(".jp-OutputArea-output img[alt^='Loss from']").first
    assert re.search(r"saturated \d+ %", picture.get_attribute("alt"))
    assert picture.evaluate("image => image.complete && image.naturalWidth > 500")
