"""The slides of each lesson: how many, that they show what matters, in the lesson's own words, and need no network."""

import re
import sys

import deck
import lessons
import nbformat
import pytest
import slides

MAINS = [path for path in lessons.lesson_paths() if not lessons.is_companion(path)]


@pytest.fixture(scope="module", params=MAINS, ids=lambda path: path.name[:2])
def lesson(request):
    """The path of a lesson, and its slides."""
    return request.param, deck.slides(request.param)


def plain(text):
    """Words alone, without markup, links and line breaks."""
    text = re.sub(r"<[^>]+>", " ", deck._links(text))
    return " ".join(re.sub(r"[*`$#|]", " ", text).lower().split())


def test_it_has_eight_to_fifteen_slides_from_the_question_to_the_rules(lesson):
    path, made = lesson
    front = lessons.front_matter(path)
    assert deck.FEWEST <= len(made) <= deck.MOST
    assert (made[0].kind, made[0].lead) == ("title", front.question)
    rules = deck.rules_of(front.number)
    assert [slide.lead for slide in made[1:] if slide.kind == "end"] == [
        "In short",
        *(["For the cheat sheet"] if rules else []),
    ]
    assert made[-1].kind == "end"
    assert all(rule in made[-1].body for rule in rules)


def test_each_question_is_followed_by_its_result_and_there_are_some(lesson):
    _, made = lesson
    kinds = [slide.kind for slide in made]
    assert kinds.count("question") >= 2
    assert kinds.count("question") == kinds.count("result")
    for place, kind in enumerate(kinds):
        assert kind != "result" or "question" in kinds[:place]


def test_the_climax_and_the_panel_are_shown(lesson):
    path, made = lesson
    shown = {slide.picture.png for slide in made if slide.picture}
    assert len(shown) >= 2
    for item in deck._items(lessons.read(path)):
        if isinstance(item, deck.Code) and (item.is_climax or item.is_panel):
            assert item.picture.png in shown


def test_a_slide_says_what_the_lesson_says(lesson):
    path, made = lesson
    notebook = lessons.read(path)
    said = plain("\n".join(cell.source for cell in lessons.markdown_cells(notebook)))
    for slide in made:
        own = [*deck.SENTENCE.split(slide.lead)]
        if slide.lead not in ("Try it", "In short", "For the cheat sheet", f"{slide.above[:2]}"):
            assert all(plain(sentence) in said for sentence in own), slide.lead
        if slide.kind in ("result", "picture", "text"):
            for sentence in deck.SENTENCE.split(slide.body):
                assert plain(sentence) in said, sentence


def test_a_slide_is_short_and_has_notes_and_words_for_its_picture(lesson):
    _, made = lesson
    for slide in made:
        assert slide.lead
        assert len(slide.body) <= 900
        assert slide.notes
        for shown in (slide.code, slide.printed):
            assert len(shown.splitlines()) <= deck.LINES
        assert max(map(len, slide.code.splitlines()), default=0) <= deck.COLUMNS
        assert not slide.picture or len(slide.picture.alt) > 20


@pytest.fixture
def reveal(tmp_path):
    """A folder with files where reveal.js has its own."""
    for name in ("reveal.css", "reveal.js", "plugin/notes.js"):
        file = tmp_path / "reveal" / "dist" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f"/* {name} */")
    return tmp_path / "reveal"


def test_a_page_holds_all_that_it_needs(reveal):
    (path,) = [path for path in MAINS if path.name.startswith("03")]
    made, page = deck.slides(path), slides.page(path, reveal)
    for name in ("reveal.css", "reveal.js", "plugin/notes.js"):
        assert page.count(f"/* {name} */") == 1
    assert not re.search(
        r"""(?:src|href)\s*=\s*(?!["']?data:)|url\(|@import|import\(|<link""", page
    )
    assert page.count("<aside") == sum(bool(slide.notes) for slide in made)
    assert len(re.findall(r'<div class="slide ', page)) == len(made)
    assert page.count("<img ") == sum(bool(slide.picture) for slide in made)
    assert page.count("<section") == page.count("</section>") == 2 * len(made)
    assert "<title>03 · Fix the saturated tanh</title>" in page


def test_what_is_missing_is_named(reveal, tmp_path, monkeypatch, capsys):
    with pytest.raises(FileNotFoundError, match=r"reveal\.js is not in .*npm ci"):
        slides.page(MAINS[0], tmp_path / "nowhere")
    monkeypatch.setattr(sys, "argv", ["slides", "99"])
    with pytest.raises(SystemExit):
        slides.main()
    assert "there is no lesson 99" in capsys.readouterr().err
    monkeypatch.setattr(sys, "argv", ["slides", "--into", str(tmp_path), "--reveal", "nowhere"])
    with pytest.raises(SystemExit, match="npm ci"):
        slides.main()


def test_the_command_writes_a_page(reveal, tmp_path, monkeypatch, capsys):
    into = tmp_path / "decks"
    monkeypatch.setattr(sys, "argv", ["slides", "03", "--into", str(into), "--reveal", str(reveal)])
    slides.main()
    assert [file.name for file in into.iterdir()] == ["03.html"]
    assert re.search(r"03\.html: \d+ slides, ", capsys.readouterr().out)


def test_a_lesson_with_too_little_is_named(tmp_path):
    texts = [
        "# 03 · Say little\n\n**The question:** What?\n\n**Time:** 5 minutes",
        "## In short\n\n- Nothing.",
    ]
    cells = [nbformat.v4.new_markdown_cell(text) for text in texts]
    cells.insert(1, nbformat.v4.new_code_cell("import helpers"))
    path = tmp_path / "03_say_little.ipynb"
    nbformat.write(nbformat.v4.new_notebook(cells=cells), path)
    with pytest.raises(ValueError, match=r"03_say_little\.ipynb: 3 slides can be made of it"):
        deck.slides(path)


def test_sentences_end_where_they_should():
    text = (
        "It is 2.1027. Compare with [care](x.md): `a.b` (see K. He). **Bold.** It ends. (An aside.)"
    )
    assert deck._sentences(text) == [
        "It is 2.1027.",
        "Compare with care: `a.b` (see K. He).",
        "**Bold.**",
        "It ends.",
    ]
    assert deck._sentences("The next cell trains. Here follow:") == []
    assert deck._fitting(["One.", "Two two.", "Three."], 12) == "One. Two two."
    assert deck._fitting(["One.", "Two two.", "Three."], 11) == "One."
