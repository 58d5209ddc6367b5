"""GLOSSARY.md has every term of the lessons, in order, in two sentences, with the lesson that introduces it."""

import re
from itertools import pairwise

import lessons
import mistune
import pytest
from glossary import ENTRY

LESSONS = {path.name: path for path in lessons.lesson_paths()}
# The clinic's charts and what to do with them: there, bold names what the reader sees on the screen.
LABELS_ON_A_SCREEN = "10_clinic.ipynb"
# Plain words that a lesson gives a meaning of its own, as a yardstick for one measurement.
YARDSTICKS = {"field", "good", "healthy", "solved"}
parse_markdown = mistune.create_markdown(renderer=None, plugins=["table"])


def plain(name):
    """A name as it is compared: without capitals, hyphens, code marks and the s of a plural or a verb."""
    words = re.sub(r"[-_\s]+", " ", name.replace("`", "").casefold())
    return re.sub(r"(?<=\w\w)s$", "", words.strip())


def place(term):
    """What a term is sorted by: its letters and digits, word by word."""
    return re.sub(r"[^a-z0-9 ]", "", re.sub(r"[-:]", " ", term.casefold()))


def text_of(token):
    """The text of a piece of Markdown; a line break in it is a space."""
    if token["type"] == "softbreak":
        return " "
    return token.get("raw", "") + "".join(map(text_of, token.get("children", [])))


def bold_terms(markdown):
    """The bold phrases of a Markdown text that are terms, by the rule of CONTRIBUTING.md."""

    def walk(tokens, in_prose=False):
        for number, token in enumerate(tokens):
            if token["type"] == "strong":
                phrase = text_of(token)
                label_or_sentence = phrase[-1] in ".:,?!"
                heading = in_prose and number == 0 and phrase[0].isupper()
                code = any(part["type"] == "codespan" for part in token["children"])
                formula = re.search(r"[=≈√²]", phrase)
                if not (label_or_sentence or heading or code or formula):
                    yield phrase
            yield from walk(token.get("children", []), token["type"] in ("paragraph", "block_text"))

    return list(walk(parse_markdown(markdown)))


def bold_in_lessons():
    """{plain name: the first lesson that prints it in bold}."""
    found = {}
    for name, path in LESSONS.items():
        for cell in (
            lessons.markdown_cells(lessons.read(path)) if name != LABELS_ON_A_SCREEN else []
        ):
            for phrase in bold_terms(cell.source):
                found.setdefault(plain(phrase), name)
    return found


@pytest.fixture(scope="module")
def paragraphs():
    """Those from the first letter's heading on."""
    text = (lessons.ROOT / "GLOSSARY.md").read_text(encoding="utf-8")
    return text[text.index("## ") :].strip().split("\n\n")


@pytest.fixture(scope="module")
def entries(paragraphs):
    return [match for match in map(ENTRY.fullmatch, paragraphs) if match]


@pytest.fixture(scope="module")
def lesson_of(entries):
    """{plain name: its lesson, or None} of each term and of what stands in brackets behind it."""
    names = [(entry, name) for entry in entries for name in names_of(entry)]
    return {plain(name): entry["lesson"] for entry, name in names}


def names_of(entry):
    return [entry["term"], *(entry["also"].split(", ") if entry["also"] else [])]


@pytest.mark.parametrize(
    ("markdown", "terms"),
    [
        ("The scores are the **logits**, also *scores*.", ["logits"]),
        (
            "That is **Kaiming** initialization, with a long\n**learning\nrate**.",
            ["Kaiming", "learning rate"],
        ),
        ("- **parity** asks\n- **Deep:** first", ["parity"]),
        ("**You will** learn. **Guess:** a third? **Is it so?** **In use,** no.", []),
        (
            "A std of **`1/√fan_in`**, so **loss ≈ log n**.\n\n```python\n2**3 + 4**5\n```\n\nand `6**7`, `8**9`",
            [],
        ),
        ("<details><summary>Why?</summary>\n\nThe **gain** is.\n\n</details>", ["gain"]),
        ("| what | how |\n|---|---|\n| the **std** | 1 |", ["std"]),
    ],
)
def test_a_term_is_known_by_the_rule(markdown, terms):
    assert bold_terms(markdown) == terms


def test_it_has_every_term_that_a_lesson_prints_in_bold(lesson_of):
    bold = bold_in_lessons()
    missing = {
        name: lesson
        for name, lesson in bold.items()
        if name not in lesson_of and name not in YARDSTICKS
    }
    assert not missing, "write two sentences in GLOSSARY.md, or put the word in italics"
    assert not YARDSTICKS - set(bold), "a word that no lesson prints in bold any more"


def test_it_names_the_lesson_that_introduces_a_term(lesson_of):
    for name, lesson in bold_in_lessons().items():
        if name in lesson_of:
            assert lesson_of[name], f"{name} has a lesson, {lesson}"
            assert lesson_of[name] <= lesson, f"{name} is in bold earlier, in {lesson}"


def test_it_consists_of_entries_under_their_letters(paragraphs):
    letter = None
    for paragraph in paragraphs:
        if paragraph.startswith("## "):
            letter = paragraph.removeprefix("## ")
        else:
            entry = ENTRY.fullmatch(paragraph)
            assert entry, (
                f"**Term** (other names). Two sentences. [NN](notebooks/NN_…) or *no lesson*: {paragraph}"
            )
            assert place(entry["term"])[0].upper() == letter, entry["term"]


def test_its_letters_are_linked_at_the_top(paragraphs):
    letters = [paragraph[3:] for paragraph in paragraphs if paragraph.startswith("## ")]
    bar = " · ".join(f"[{letter}](#{letter.lower()})" for letter in letters)
    assert f"\n{bar}\n" in (lessons.ROOT / "GLOSSARY.md").read_text(encoding="utf-8")


def test_its_entries_are_in_order(entries):
    for before, after in pairwise(place(entry["term"]) for entry in entries):
        assert before < after


def test_no_name_stands_for_two_entries(entries):
    owner = {}
    for entry in entries:
        for name in names_of(entry):
            assert owner.setdefault(plain(name), entry["term"]) == entry["term"], name


def test_an_entry_has_two_sentences(entries):
    for entry in entries:
        ends = re.findall(r"[.?!](?= |$)", entry["text"])
        assert len(ends) == 2, f"{entry['term']}: {len(ends)}"
        assert entry["text"].endswith("."), entry["term"]


def test_its_links_lead_to_lessons(entries):
    for entry in entries:
        if entry["lesson"]:
            assert entry["lesson"] in LESSONS, entry["term"]
            assert entry["lesson"].startswith(f"{entry['number']}_"), entry["term"]
