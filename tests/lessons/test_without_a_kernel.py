"""The committed lessons as web pages, made by nbconvert: what people see who run nothing."""

import re
from functools import cache
from html.parser import HTMLParser

import lessons
import pytest
from nbconvert import HTMLExporter

pytestmark = pytest.mark.slow


class Page(HTMLParser):
    """The pictures of a page, each as its attributes, its words, and the words of its tables' cells."""

    def __init__(self, html):
        super().__init__()
        self.images, self.words, self.cells, self.hidden, self.in_cell = [], [], [], 0, False
        self.feed(html)

    def handle_starttag(self, tag, attributes):
        if tag == "img":
            self.images.append(dict(attributes))
        self.hidden += tag in ("script", "style")
        self.in_cell = tag == "td"

    def handle_endtag(self, tag):
        self.hidden -= tag in ("script", "style")

    def handle_data(self, data):
        if not self.hidden:
            self.words.append(data)
            if self.in_cell:
                self.cells.append(data)


@cache
def exporter(template):
    """One for all lessons: it compiles its templates once."""
    return HTMLExporter(template_name=template)


@pytest.fixture(params=lessons.lesson_paths(), ids=lambda path: path.stem, scope="module")
def lesson(request):
    """A lesson's notebook, and its pages: in the default template, and in the one that gives pictures their words."""
    pages = []
    for template in ("lab", "classic"):
        html, _ = exporter(template).from_filename(str(request.param))
        pages.append(Page(html))
    return lessons.read(request.param), *pages


def test_every_picture_is_there_and_has_words(lesson):
    notebook, default, classic = lesson
    saved = [png for cell in lessons.code_cells(notebook) for png in lessons.pictures(cell)]
    assert len(default.images) == len(classic.images) == len(saved)
    for image in default.images:
        assert image["src"].startswith("data:image/png;base64,")
    for image in classic.images:
        assert len(image["alt"]) > len("A picture.")
        assert "No description" not in image["alt"]


def test_each_panel_is_a_picture_with_its_words_and_has_its_twin_beside_it(lesson):
    notebook, _, page = lesson
    cells = notebook.cells
    for place, cell in enumerate(cells):
        if "helpers.Panel(" in cell.source:
            (picture,) = lessons.pictures(cell)
            assert len(picture) > 5_000
            words = cell.outputs[-1].metadata["image/png"]["alt"]
            assert words in [image["alt"] for image in page.images]
            near = [other for other in cells[place + 1 : place + 4] if other.cell_type == "code"]
            twins = [other for other in near if "static_twin(" in other.source]
            assert len(twins) == 1, "no static twin right after the panel"
            assert len(lessons.pictures(twins[0])) == 1


def test_its_ledger_is_a_table_that_shows_every_claim(lesson):
    notebook, page, _ = lesson
    for claim in lessons.ledger(notebook):
        assert claim["claim"] in page.cells, claim["claim"]


def test_nothing_is_empty_or_broken(lesson):
    notebook, page, _ = lesson
    words = " ".join(page.words)
    for broken in (
        "Traceback",
        "VBox(",
        "HBox(",
        "FloatSlider(value",
        "widget-view",
        "Loading widget",
    ):
        code = " ".join(cell.source for cell in lessons.code_cells(notebook))
        assert broken in code or broken not in words, broken
    assert not re.search(r"<Figure size [\d.]+x[\d.]+ with", words)
