"""The README and its fellows promise what is there."""

import re

import lessons
import pytest
import readme


def test_its_tables_are_those_of_the_lessons():
    text = readme.README.read_text(encoding="utf-8")
    assert readme.with_blocks(text, readme.blocks()) == text, "run `make rebuild`"


def test_its_picture_is_that_of_the_lesson():
    assert readme.PICTURE.read_bytes() == readme.picture(), "run `make rebuild`"


def test_the_cheat_sheets_pictures_are_those_of_the_lessons():
    saved = {path.name: path.read_bytes() for path in readme.SHEET_PICTURES.glob("*.png")}
    assert saved == readme.sheet_pictures(), "run `make rebuild`"
    shown = re.findall(r"!\[[^\]]+\]\(pictures/([^)]+)\)", readme.SHEET.read_text(encoding="utf-8"))
    assert sorted(shown) == sorted(saved), "each of them stands in the sheet, with words"


@pytest.mark.parametrize("page", ["README.md", "CONTRIBUTING.md", "CHEATSHEET.md", "GLOSSARY.md"])
def test_its_links_lead_somewhere(page):
    text = (lessons.ROOT / page).read_text(encoding="utf-8")
    for target in re.findall(r"\]\((?!https?://)([^)#]+)", text):
        assert (lessons.ROOT / target).exists(), f"broken link {target}"


@pytest.mark.parametrize("page", ["README.md", "CONTRIBUTING.md"])
def test_its_make_targets_exist(page):
    makefile = (lessons.ROOT / "Makefile").read_text()
    for target in re.findall(r"`make ([a-z]+)", (lessons.ROOT / page).read_text(encoding="utf-8")):
        assert re.search(rf"^{target}:", makefile, re.M), f"no target {target}"


def test_a_missing_marker_is_named():
    with pytest.raises(ValueError, match="lacks a marker of the block 'lessons'"):
        readme.with_blocks("no markers", {"lessons": ""})
