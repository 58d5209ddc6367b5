"""The clinic as a learner meets it, after Run All, in JupyterLab in Chromium."""

import re

import browser
import pytest
from playwright.sync_api import expect

LIST = ".jp-OutputArea-output .widget-vbox:has(label:text-is('diagnosis'))"


@pytest.fixture(scope="module")
def clinic(chromium, lab):
    page = chromium.new_page(viewport=browser.VIEWPORT)
    try:
        browser.run_all(page, lab, "10_clinic.ipynb")
        yield page
    finally:
        page.close()
        browser.stop_kernels(lab)


def choose(page, box, steps):
    """Choose from the list by keyboard, and wait for the answer; its words."""
    status = box.locator("[role=status]")
    before = status.inner_text()
    box.locator("select").focus()
    for key in ("Space", *["ArrowDown"] * steps, "Enter"):
        page.keyboard.press(key)
        page.wait_for_timeout(50)
    expect(status).not_to_have_text(before)
    return status.inner_text()


def test_a_diagnosis_chosen_by_keyboard_is_answered_at_once(clinic):
    box = browser.scroll_to(clinic, LIST)
    assert "Choose a diagnosis" in box.locator("[role=status]").inner_text()
    for answer in (choose(clinic, box, 1), choose(clinic, box, 1)):
        assert re.match(r"Yes: |No\.", answer)
        assert re.search(r"\d", answer)


def test_the_chart_above_it_has_words_with_numbers(clinic):
    browser.scroll_to(clinic, LIST)
    picture = clinic.locator(".jp-OutputArea-output img[alt^='Loss from']").first
    assert re.search(r"% saturated: \d+, \d+", picture.get_attribute("alt"))
    assert picture.evaluate("image => image.complete && image.naturalWidth > 500")


ROUND = ".jp-OutputArea-output .widget-vbox:has(button:text-is('next patient'))"


def test_the_ward_round_brings_a_newcomer_or_says_why_not(clinic):
    """In this copy, which trains for a hundred steps only, hardly any chart is clear."""
    box = browser.scroll_to(clinic, ROUND)
    status = box.locator("[role=status]").last
    assert status.inner_text() == "Nobody has been seen yet."
    box.locator("button").click()
    expect(status).to_have_text(
        re.compile(r"newcomers right at first sight|no clear chart"), timeout=120_000
    )


def test_without_a_kernel_the_lists_answer_as_the_live_ones(clinic, page_without_a_kernel):
    still = page_without_a_kernel("10_clinic.ipynb")
    lists = still.page.locator(".consultation")
    for number, most in ((0, None), (lists.count() - 1, 3)):
        live, box = browser.scroll_to(clinic, LIST, number), lists.nth(number)
        labels = [" ".join(text.split()) for text in live.locator("option").all_inner_texts()]
        assert box.locator("option").all_inner_texts() == labels
        for place in range(1, len(labels))[:most]:
            for where in (live, box):
                where.locator("select").select_option(index=place)
            browser.settle(clinic)
            answers = [where.locator("[role=status]").inner_text() for where in (live, box)]
            assert answers[0] == answers[1]
            assert re.match(r"Yes: |No\.", answers[1])
    assert still.console == []
