"""One Chromium and one JupyterLab, on a copy of the series with short trainings, for all browser tests."""

import json
from dataclasses import dataclass

import browser
import lessons
import pytest

ENDS = """
import json


def ends_of(control):
    if hasattr(control, "options"):
        labels = control._options_labels
        return [str(labels[0]), str(labels[-1])]
    if hasattr(control, "base"):
        return [control.base**control.min, control.base**control.max]
    return [control.min, control.max] if hasattr(control, "min") else [False, True]


panels_here = [
    value for name, value in list(globals().items())
    if isinstance(value, helpers.Panel) and not name.startswith("_")
]
print(json.dumps([
    [(c.description, type(c).__name__, ends_of(c)) for c in panel.controls.values()] for panel in panels_here
]))
"""


@pytest.fixture(scope="session")
def lab(chromium, tmp_path_factory):
    folder = tmp_path_factory.mktemp("series")
    browser.short_copy(folder / "series", [ENDS], names=4_000)
    with browser.running_lab(folder / "series", folder / "log.txt") as running:
        yield running


@dataclass(frozen=True)
class Control:
    """What a control should look like: its description, the class of its widget, its value at both ends."""

    label: str
    kind: str
    ends: tuple


@dataclass(frozen=True)
class Opened:
    """A lesson after Run All, in a page; and for each of its panels, the controls."""

    page: object
    name: str
    panels: list

    def panel(self, number=0):
        """Scroll to a panel; the locators of it, its picture, and its words."""
        found = browser.scroll_to(self.page, browser.PANEL, number)
        return found, found.locator(".widget-html img[alt]"), found.locator(".widget-html [role]")


@pytest.fixture(
    scope="module",
    params=[path.name for path in lessons.lesson_paths() if browser.has_panel(path)],
    ids=lambda name: name[:2],
)
def opened(request, chromium, lab):
    page = chromium.new_page(viewport=browser.VIEWPORT)
    try:
        browser.run_all(page, lab, request.param)
        saved = lessons.read(lab.root / "notebooks" / request.param)
        panels = json.loads(lessons.output_text(lessons.code_cells(saved)[-2]))
        yield Opened(page, request.param, [[Control(*c) for c in panel] for panel in panels])
    finally:
        page.close()
        browser.stop_kernels(lab)
