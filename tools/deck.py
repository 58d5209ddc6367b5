"""A lesson as slides: which parts of it are shown, and in which words. `slides.py` makes web pages of them.

A cell is shown as the slides that its metadata lists, in the lesson's own words, each sentence named by its first ones:

    "slides": [{"kind": "result", "lead": ["Six in ten"], "body": ["Together this makes", "It is a sum …"]}]

- `kind` decides the look: question, result, picture, panel or text.
- `lead`: the sentences of the headline; without it, the heading of the section.
- `body`: the sentences below it. With "…" the rest of the paragraph follows. A list, table or block of code is one.
- A code cell adds its picture, with what was measured for a guess, or else what it printed; and a line for each of its
  helpers.Guess.

The first slide is the lesson's question. The last ones are "In short" and its rules of the cheat sheet.
"""

import ast
import base64
import re
import struct
from dataclasses import dataclass

import lessons

SHEET = lessons.ROOT / "CHEATSHEET.md"
FEWEST, MOST = 8, 15  # slides of a lesson
KINDS = ("question", "result", "picture", "panel", "text")
IN_SHORT = "## In short"
MEASURED = ": measured "  # in what helpers.Guess prints
LINES = 8  # of what is printed
WIDE = 1.9  # the width of a picture over its height from which on its text stands below

GUESS = re.compile(r"\*\*Guess(?: first\.|:)\*\*\s*")
FOLD = re.compile(r"</?details>|<summary>.*?</summary>", re.S)
BLOCK = re.compile(r"^```.*?^```|(?:^[^\n]+$\n?)+", re.S | re.M)
LISTED = re.compile(r"(?:[-*|>] |\d+\. |```)")
# Not behind an initial, "K. He"
SENTENCE = re.compile(
    r"(?:(?<=[.?!])|(?<=[.?!][)\"])|(?<=[.?!]\*\*))(?<!\b[A-Z]\.)\s+(?=\W*[A-Z0-9]|`)"
)
LINK = re.compile(r"(?<!!)\[([^\]]+)\]\([^)]+\)")
# What a training says of itself is no result.
PROGRESS = re.compile(r"^.*(?:trained together in groups|steps done).*\n?", re.M)


@dataclass(frozen=True)
class Slide:
    """One slide. kind: one of KINDS, title or end; it decides the look.

    above: a line over the headline. lead: the headline. body and notes: markdown. picture: a Picture or None.
    printed: lines, or "".
    """

    kind: str
    above: str
    lead: str
    body: str = ""
    picture: object = None
    printed: str = ""
    notes: str = ""


@dataclass(frozen=True)
class Picture:
    """A picture as it is saved in the notebook: a PNG file in base64, and its words."""

    png: str
    alt: str

    @property
    def size(self):
        """Its width and height in pixels, from the first bytes of the file."""
        return struct.unpack(">II", base64.b64decode(self.png)[16:24])

    @property
    def is_wide(self):
        """Whether its text should stand below."""
        width, height = self.size
        return width / height > WIDE


def slides(path):
    """The Slides of a lesson.

    Raises ValueError that names the file, and the cell or the count: for words that no sentence or several begin with,
    for a kind or a key that there is not, for fewer slides than FEWEST or more than MOST.
    """
    front, notebook = lessons.front_matter(path), lessons.read(path)
    quote = Quotes(notebook)
    made, heading, prose = [_title(front, notebook)], "", ""
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            prose = cell.source
            heading = (re.findall(r"^## (.+)$", prose, re.M) or [heading])[-1]
        try:
            for entry in cell.metadata.get("slides", []):
                made.append(_slide(cell, quote, front, heading, prose, *_checked(entry)))
        except ValueError as error:
            raise ValueError(f"{path}, cell {cell.id}: {error}") from error
    if not any(IN_SHORT in cell.source for cell in lessons.markdown_cells(notebook)):
        raise ValueError(f"{path}: no cell has the heading {IN_SHORT!r}.")
    made += _closing(front.number, notebook)
    if not FEWEST <= len(made) <= MOST:
        raise ValueError(f"{path}: {len(made)} slides, and it should be {FEWEST} to {MOST}.")
    return made


def _checked(entry):
    """The kind, lead and body of an entry in a cell's metadata. Raises ValueError that says what is wrong with it."""
    if not isinstance(entry, dict) or entry.keys() - {"kind", "lead", "body"}:
        raise ValueError(f"a slide has a kind, a lead and a body, and no more; this is {entry!r}.")
    kind, lead, body = (
        entry.get(key, empty) for key, empty in (("kind", ""), ("lead", []), ("body", []))
    )
    if kind not in KINDS:
        raise ValueError(f"{kind!r} is no kind of slide; there are {', '.join(KINDS)}.")
    for starts in (lead, body):
        if not isinstance(starts, list) or not all(isinstance(start, str) for start in starts):
            raise ValueError(f"a list of sentences' first words is needed, and this is {starts!r}.")
    return kind, lead, body


def _slide(cell, quote, front, heading, prose, kind, lead, body):
    """The Slide of one entry in a cell's metadata; heading and prose: the last ones before the cell's end."""
    head, below = ([one for start in part for one in quote(start)] for part in (lead, body))
    picture = _picture(cell)
    paragraphs = {}
    for one in below:
        paragraphs.setdefault(one.block, []).append(one.words)
    section = heading if head and heading else front.title
    return Slide(
        kind,
        f"{front.number} · {section}".replace("`", ""),
        " ".join(one.words for one in head) or heading or front.title,
        "\n\n".join([*map(" ".join, paragraphs.values()), *_sliders(cell)]),
        picture,
        _printed(cell, MEASURED if picture else ""),
        "\n\n".join(dict.fromkeys(one.cell for one in head + below)) or _links(prose),
    )


# ---------------------------------------------------------------- The lesson's words


@dataclass(frozen=True)
class Sentence:
    """A sentence, list, table or block of code: its words, a number for its block, and its whole cell, all markdown."""

    words: str
    block: int
    cell: str


class Quotes:
    """The sentences of a lesson, found by their first words."""

    def __init__(self, notebook):
        self.sentences = list(_sentences(notebook))

    def __call__(self, start):
        """The Sentence that begins with these words, in a list; with "…" at their end, also those behind it.

        Raises ValueError if there is none, or more than one.
        """
        words = plain(start.removesuffix("…"))
        found = [k for k, one in enumerate(self.sentences) if plain(one.words).startswith(words)]
        if len(found) != 1:
            raise ValueError(
                f"{len(found)} sentences of the lesson begin with {start!r}, not one: "
                + ("quote more words." if found else "quote the words that it has now.")
            )
        first = self.sentences[found[0]]
        if not start.endswith("…"):
            return [first]
        return [one for one in self.sentences[found[0] :] if one.block == first.block]


def plain(markdown):
    """The words of a markdown text in small letters, without its marks and line breaks."""
    return " ".join(re.sub(r"[*`]", "", markdown).lower().split())


def _sentences(notebook):
    block = 0
    for cell in lessons.markdown_cells(notebook):
        text = FOLD.sub("\n\n", cell.source)
        for part in BLOCK.findall(text):
            block += 1
            part = part.partition("\n")[2] if part.startswith("#") else part
            part = part.strip()
            words = [part] if LISTED.match(part) else SENTENCE.split(" ".join(part.split()))
            for one in words:
                if asked := GUESS.match(one):
                    one = one[asked.end() :]
                    one = one[:1].upper() + one[1:]
                yield Sentence(_links(one), block, _links(text.strip()))


def _links(text):
    """Markdown without links and with formulas in italics."""
    return lessons.with_plain_formulas(LINK.sub(r"\1", text))


# ---------------------------------------------------------------- What a code cell shows


def _picture(cell):
    """Its first picture, or None."""
    for output in cell.get("outputs", []):
        if "image/png" in output.get("data", {}):
            words = output.metadata.get("image/png", {}).get("alt", "")
            return Picture("".join(output.data["image/png"].split()), words)
    return None


def _printed(cell, having):
    """The first lines that it printed, of those that have this in them."""
    texts = [out.text for out in cell.get("outputs", []) if out.output_type == "stream"]
    lines = PROGRESS.sub("", "".join(texts)).rstrip().splitlines()
    lines = [line for line in lines if having in line]
    return "\n".join(lines if len(lines) <= LINES else [*lines[: LINES - 1], "…"])


def _sliders(cell):
    """A line for each helpers.Guess that it makes: which numbers to choose from, and of what."""
    calls = ast.walk(ast.parse(cell.source)) if cell.cell_type == "code" else []
    for call in calls:
        if isinstance(call, ast.Call) and ast.unparse(call.func) == "helpers.Guess":
            given = lessons.guess_arguments(call, cell.id)
            ends = [10.0 ** given[end] if given["log"] else given[end] for end in ("low", "high")]
            low, high = map(_number, ends)
            yield f"**Write down a number from {low} to {high}** ({given['question']})"


def _number(value):
    """A number as people write it: 1,000, 0.01, −4."""
    return (
        f"{value:,g}".replace("-", "−") if 1e-4 <= abs(value) < 1e7 or not value else f"{value:g}"
    )


# ---------------------------------------------------------------- The first slide and the last ones


def _title(front, notebook):
    opening = notebook.cells[0].source
    kept = [b.strip() for b in BLOCK.findall(opening) if "[Contents]" not in b]
    notes = "\n\n".join(block for block in kept if not block.startswith("# "))
    title = f"{front.number} · {front.title}"
    return Slide("title", title, front.question, notes=_links(notes))


def _closing(number, notebook):
    """ "In short", and the rules of the cheat sheet if it has some from this lesson."""
    text = next(c.source for c in lessons.markdown_cells(notebook) if IN_SHORT in c.source)
    points = text.partition(IN_SHORT)[2]
    following = re.search(r"^\*\*Next:\*\* .+?(?:\n\n|\Z)", points, re.M | re.S)
    points = re.split(r"\n\n(?=\*\*|←)", points)[0].strip()
    ends = [Slide("end", "", "In short", _links(points), notes=_links(points))]
    if rules := rules_of(number):
        body = "\n".join(f"- {rule}" for rule in rules)
        more = _links(" ".join(following[0].split())) if following else ""
        ends.append(Slide("end", "", "For the cheat sheet", body, notes=more))
    return ends


def rules_of(number):
    """The rules of the cheat sheet, as markdown, that come from this lesson, such as "03"."""
    rules = []
    for part in SHEET.read_text(encoding="utf-8").split("\n## ")[1:]:
        rows = [line.strip("| ").split(" | ") for line in part.splitlines() if line[:1] == "|"]
        heads, link = rows[0], f"[{number}]"
        if heads[-1] == "lesson":
            rules += [" | ".join(row[:-1]) for row in rows[2:] if link in row[-1]]
        elif link in part:
            rules += [f"**{row[0]}:** {row[1]}" for row in rows[2:]]
    return [_links(rule.replace("\\|", "|")) for rule in rules]
