"""One Chromium and one JupyterLab, on a copy of the series with short trainings, for all browser tests."""

import json
import shutil
from dataclasses import dataclass

import browser
import drawing
import frames
import lessons
import pytest
import rebuild

# Draws some settings of the lesson's panels, for a page without a kernel, and prints the folder with them.
EXPORT = f"""
import tempfile

frames_folder = tempfile.mkdtemp(dir="..", prefix="frames-") + "/drawn"
{frames.export_cell("frames_folder", short=True, most=30)}
print(frames_folder)
"""
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
    browser.short_copy(folder / "series", [EXPORT, ENDS], names=4_000)
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


@dataclass(frozen=True)
class Still:
    """The same lesson as a page without a kernel; what its console says; for each control of a panel, its places."""

    page: object
    console: list
    panels: list


@pytest.fixture(scope="session")
def page_without_a_kernel(chromium, lab, tmp_path_factory):
    """A function of a lesson's file name, which JupyterLab has run and saved, to its Still from what is drawn there."""
    opened = []

    def open_page(name):
        stem, folder = name.removesuffix(".ipynb"), tmp_path_factory.mktemp("still")
        notebook = lessons.read(lab.root / "notebooks" / name)
        said = lessons.output_text(lessons.code_cells(notebook)[-3]).split()[-1]
        shutil.copytree((lab.root / "notebooks" / said).resolve(), folder / "drawn" / stem)
        rebuild.normalize(notebook)
        file = frames.plain_page(notebook, stem, folder / "drawn", folder / "site")
        page, console = chromium.new_page(viewport=browser.VIEWPORT), []
        opened.append(page)
        page.on("console", lambda message: console.append(message.text))
        page.on("pageerror", lambda error: console.append(str(error)))
        page.goto(file.as_uri())
        content = json.loads((folder / "drawn" / stem / drawing.FILE).read_text(encoding="utf-8"))
        return Still(page, console, [panel["controls"] for panel in content["panels"].values()])

    yield open_page
    for page in opened:
        page.close()  # a second time does nothing


@pytest.fixture(scope="module")
def still(opened, page_without_a_kernel):
    made = page_without_a_kernel(opened.name)
    yield made
    made.page.close()
