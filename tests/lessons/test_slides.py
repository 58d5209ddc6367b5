"""The slides of each lesson: how many, that they show what matters, in the lesson's own words, and need no network."""

import itertools
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
    for kind, next_kind in itertools.pairwise(kinds):
        assert kind != "question" or next_kind == "result"


def test_the_climax_and_the_panel_are_shown(lesson):
    path, made = lesson
    shown = {slide.picture.png for slide in made if slide.picture}
    assert len(shown) >= 2
    for cell in lessons.code_cells(lessons.read(path)):
        tags = {lessons.SHEET_TAG, lessons.PICTURE_TAG} & {*cell.metadata.get("tags", [])}
        if tags or "To move the sliders" in lessons.output_text(cell):
            assert deck._picture(cell).png in shown


def test_a_slide_is_short_and_has_notes_and_words_for_its_picture(lesson):
    _, made = lesson
    for slide in made:
        assert 0 < len(slide.lead) < 250
        assert len(slide.body) <= 900
        assert slide.notes
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


@pytest.fixture
def make(tmp_path):
    """Writes a lesson of one section, whose picture has these slides, and returns its path."""

    def write(*entries):
        texts = [
            "# 03 · Say little\n\n**The question:** What?\n\n**Time:** 5 minutes",
            "## A section\n\nIt is 2.1027. Compare with [care](x.md): `a.b` (see K. He). **Bold.** It ends.\n\n"
            "It is late.\n\n- (a) one\n- (b) two\n\n"
            "<details><summary>The answer</summary>\n\nFolded.\n\n</details>\n\n**Guess:** which one?",
            "## In short\n\n- Nothing.",
        ]
        cells = [nbformat.v4.new_markdown_cell(text) for text in texts]
        said = nbformat.v4.new_output("stream", text="\n".join(map(str, range(20))))
        source = "guess = helpers.Guess('how many', -3, 3, 0.1, log=True)"
        code = nbformat.v4.new_code_cell(source, outputs=[said], metadata={"slides": [*entries]})
        cells.insert(2, code)
        path = tmp_path / "03_say_little.ipynb"
        nbformat.write(nbformat.v4.new_notebook(cells=cells), path)
        return path

    return write


ENTRY = {"kind": "question", "lead": ["Which one"], "body": ["Compare …", "Folded", "- (a)"]}


def test_a_slide_quotes_sentences_and_lists_by_their_first_words(make):
    made = deck.slides(make(*[ENTRY] * 5))[1]
    assert (made.above, made.lead) == ("03 · A section", "Which one?")
    assert made.body.split("\n\n") == [
        "Compare with care: `a.b` (see K. He). **Bold.** It ends.",
        "Folded.",
        "- (a) one\n- (b) two",
        "**Write down a number from 0.001 to 1,000** (how many)",
    ]
    assert made.printed.splitlines() == ["0", "1", "2", "3", "4", "5", "6", "…"]
    assert made.notes.startswith("## A section")


def test_the_headline_is_the_sections_if_none_is_quoted(make):
    made = deck.slides(make(*[{"kind": "text", "body": ["It ends"]}] * 5))[1]
    assert (made.above, made.lead) == ("03 · Say little", "A section")


@pytest.mark.parametrize(
    "entry, wrong",
    [
        ({"kind": "text", "body": ["It is"]}, "2 sentences .* begin with 'It is'"),
        ({"kind": "text", "lead": ["Nowhere"]}, "0 sentences .* begin with 'Nowhere'"),
        ({"kind": "film"}, "'film' is no kind of slide; there are question, "),
        ({"kind": "text", "title": "A"}, "a kind, a lead and a body, and no more; this is .*title"),
        ({"lead": ["It ends"]}, "'' is no kind of slide"),
        ({"kind": "text", "lead": "It ends"}, "a list .* is needed, and this is 'It ends'"),
        ({"kind": "text", "body": [5]}, "a list .* is needed, and this is"),
        ("It ends", "a kind, a lead and a body"),
    ],
)
def test_an_entry_that_cannot_be_a_slide_is_named(make, entry, wrong):
    path = make(entry)
    cell = lessons.code_cells(lessons.read(path))[0].id
    with pytest.raises(ValueError, match=rf"03_say_little\.ipynb, cell {cell}: .*{wrong}"):
        deck.slides(path)


def test_a_lesson_without_its_end_is_named(make):
    path = make(ENTRY)
    notebook = lessons.read(path)
    notebook.cells.pop()
    nbformat.write(notebook, path)
    with pytest.raises(
        ValueError, match=r"03_say_little\.ipynb: no cell has the heading '## In short'"
    ):
        deck.slides(path)


def test_a_lesson_with_too_little_is_named(make):
    with pytest.raises(ValueError, match=r"03_say_little\.ipynb: 4 slides, and it should be 8 to"):
        deck.slides(make(ENTRY))
