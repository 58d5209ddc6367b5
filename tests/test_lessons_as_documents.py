"""The lessons as documents: what a reader meets on the web, without a kernel."""

import ast
import re
from itertools import pairwise

import lessons
import pytest
import story

PATHS = lessons.lesson_paths()
TAGS = {lessons.CHECK_TAG, lessons.PICTURE_TAG}
SETUP = """\
import sys

sys.path[:0] = [".", ".."]  # helpers.py is in the folder above this one
import helpers

helpers.setup()"""
NUMBER = re.compile(r"(?<![\w.,])\d[\d,]*(?:\.\d+)?")
CODE_NUMBER = re.compile(r"(?<![\w.])\d[\d_]*(?:\.\d+)?(?:e-?\d+)?")


@pytest.fixture(params=PATHS, ids=lambda path: path.stem)
def path(request):
    return request.param


@pytest.fixture
def notebook(path):
    return lessons.read(path)


def test_there_are_lessons_numbered_without_a_gap():
    assert [path.name[:3] for path in PATHS] == [f"{i:02d}_" for i in range(1, len(PATHS) + 1)]


def test_it_opens_with_its_front_matter_and_the_setup_cell(path, notebook):
    front = lessons.front_matter(path)
    assert path.name.startswith(front.number)
    opening = notebook.cells[0].source
    for part in ("**You will** ", "**You will learn** ", "**You need** "):
        assert f"\n{part}" in opening
    assert lessons.code_cells(notebook)[0].source == SETUP


def test_it_links_to_its_neighbours_at_top_and_bottom(path, notebook):
    line = lessons.navigation(path)
    assert lessons.with_navigation(notebook, line) == notebook, "run `make rebuild`"
    prose = lessons.markdown_cells(notebook)
    assert line in prose[0].source.splitlines()
    assert prose[-1].source.splitlines()[-1] == line


def test_its_links_lead_somewhere(path, notebook):
    for cell in lessons.markdown_cells(notebook):
        for target in re.findall(r"\]\((?!https?://)([^)#]+)", cell.source):
            assert (path.parent / target).exists(), f"broken link {target}"


def test_its_headings_are_in_order(notebook):
    levels = []
    for cell in lessons.markdown_cells(notebook):
        levels += [len(marks) for marks in re.findall(r"^(#+) \S", cell.source, re.M)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))


def test_it_was_run_from_top_to_bottom_in_one_go(notebook):
    counts = [cell.execution_count for cell in lessons.code_cells(notebook)]
    assert counts == list(range(1, len(counts) + 1))


def test_its_outputs_were_made_by_its_code(notebook):
    saved = notebook.metadata.get("lesson", {}).get("fingerprint")
    assert saved == lessons.fingerprint(notebook), (
        "code or data changed after the outputs: `make rebuild`"
    )


def test_its_outputs_were_made_with_the_pinned_versions(notebook):
    said = lessons.output_text(lessons.code_cells(notebook)[0])
    pins = dict(
        re.findall(
            r"^(torch|matplotlib)==(\S+)", (lessons.ROOT / "requirements.txt").read_text(), re.M
        )
    )
    for package, version in pins.items():
        assert f"{package} {version}" in said


def test_its_outputs_are_clean(notebook):
    assert "widgets" not in notebook.metadata
    for cell in lessons.code_cells(notebook):
        for output in cell.outputs:
            assert output.output_type != "error"
            assert output.get("name") != "stderr", output.text
            assert "application/vnd.jupyter.widget-view+json" not in output.get("data", {})
        assert "✗" not in lessons.output_text(cell)


def test_its_pictures_have_words(notebook):
    for cell in lessons.code_cells(notebook):
        for output in cell.outputs:
            if "image/png" in output.get("data", {}):
                words = output.metadata.get("image/png", {}).get("alt", "")
                assert len(words) > len("A picture."), f"no title, no axes: {cell.source}"


def test_its_claims_are_compared(notebook):
    for cell in lessons.code_cells(notebook):
        tags = cell.metadata.get("tags", [])
        assert set(tags) <= TAGS, f"unknown tag in {tags}"
        if "helpers.check(" in cell.source:
            assert lessons.CHECK_TAG in tags, f"a check that no test compares: {cell.source}"
        if lessons.CHECK_TAG in tags:
            assert lessons.output_text(cell), f"nothing to compare: {cell.source}"


def prose_numbers(notebook):
    """The numbers in the prose, as written, but for single digits, headings, links and code."""
    for cell in lessons.markdown_cells(notebook):
        text = re.sub(
            r"^(# .*|\*\*(Time|Difficulty):\*\*.*|.*\[Contents\].*)$", "", cell.source, flags=re.M
        )
        text = re.sub(r"```.*?```|`[^`]*`|\]\([^)]*\)|<[^>]*>", " ", text, flags=re.S)
        for match in NUMBER.findall(text):
            written = match.rstrip(",").replace(",", "")
            if len(written) > 1:
                yield written


def test_the_numbers_in_its_prose_are_measured_and_checked(notebook):
    """Each stands in an output that the tests compare, or is a setting in the code."""
    known = set()
    for cell in lessons.code_cells(notebook):
        known |= {float(number) for number in CODE_NUMBER.findall(cell.source)}
        if lessons.CHECK_TAG in cell.metadata.get("tags", []):
            found = NUMBER.findall(lessons.output_text(cell))
            known |= {float(number.rstrip(",").replace(",", "")) for number in found}
    for written in prose_numbers(notebook):
        half = 0.5 * 10.0 ** -len(written.partition(".")[2])
        assert any(abs(float(written) - number) <= half * 1.000001 for number in known), (
            f"{written} stands in the prose, but in no compared output"
        )


def test_its_code_is_short(notebook):
    for cell in lessons.code_cells(notebook):
        ast.parse(cell.source)  # plain Python: no magic, no shell
        lines = [line for line in cell.source.splitlines() if line.strip()]
        assert len(lines) <= 25, f"{len(lines)} lines: {cell.source}"


def test_it_has_as_much_prose_as_code(notebook):
    cells = notebook.cells
    assert len(lessons.markdown_cells(notebook)) >= 0.8 * len(lessons.code_cells(notebook))
    assert not any(cell.source.strip() == "" for cell in cells)


def test_its_loss_log_shows_what_the_earlier_lessons_measured(notebook):
    for cell in lessons.code_cells(notebook):
        for output in cell.outputs:
            for key, row in output.get("data", {}).get(story.LOG_MIME, {}).items():
                assert row == story.saved_row(key), f"the row {key!r} is old: `make rebuild`"


def test_every_step_of_the_story_is_measured():
    for key, step in story.STORY.items():
        row = story.saved_row(key)
        assert row is not None, f"lesson {step.lesson} shows no row {key!r}"
        assert row["steps"] == story.TRAINING_STEPS
