"""A lesson as slides: which parts of it are shown, and in which words. `slides.py` makes web pages of them.

Its own sentences are shown. They are chosen by the form that CONTRIBUTING.md gives to a lesson:

- each guess is a slide, and its result the next one: the picture or what was printed, and what the lesson says first;
- so is a picture that is followed by a folded answer, as in the clinic;
- the panel is a slide with its still picture and the questions put to it; other pictures have one each;
- a section of which nothing else is shown has its first sentences, if a term is introduced there.

If these are too many, the lesson's climax and its panel stay, then guesses with a picture or a slider, and so on.
"""

import ast
import base64
import re
import struct
from dataclasses import dataclass, replace

import lessons

SHEET = lessons.ROOT / "CHEATSHEET.md"
FEWEST, MOST = 8, 15  # slides of a lesson
ENOUGH = 120  # characters above a question; then what answers the one before is left out
# Characters: of a headline, above a question, beside a picture, below one, where nothing else stands
LEAD, CONTEXT, BESIDE, BELOW, ALONE = 120, 600, 340, 225, 560
LINES, COLUMNS = 8, 85  # of code, and of what is printed
WIDE = 1.9  # the width of a picture over its height from which on its text stands below
# Pixels for a picture, the same beside a text, the least scale there; characters and pixels of a line below
ACROSS, DOWN, ACROSS_BESIDE, SMALLEST, LINE = 1160, 530, 724, 0.7, (75, 36)
# Which units come first if there are too many
CLIMAX, ASKED, TOLD, SEEN, SAID, SPARE = range(6)  # SPARE: only where there are too few

GUESS = re.compile(r"\*\*Guess(?: first\.|:)\*\*\s*")
FOLDED = re.compile(r"<details>\s*<summary>(.*?)</summary>(.*?)</details>", re.S)
BLOCK = re.compile(r"<details>.*?</details>|^```.*?^```|(?:^[^\n]+$\n?)+", re.S | re.M)
# Not behind an initial, "K. He"
SENTENCE = re.compile(
    r"(?:(?<=[.?!])|(?<=[.?!][)\"])|(?<=[.?!]\*\*))(?<!\b[A-Z]\.)\s+(?=\W*[A-Z0-9]|`)"
)
ASIDE = re.compile(r"(?:^|(?<=[.?!]) )\([^()]+[.?!]\)(?: |$)")
LINK = re.compile(r"(?<!!)\[([^\]]+)\]\([^)]+\)")
MATH = re.compile(r"\$([^$]+)\$")
# Sentences that a slide can do without; not those about the cell of an LSTM.
OF_A_NOTEBOOK = re.compile(
    r"\b(?:next|The|run the|Run the|in the|of a) cells?\b|\bcells? (?:below|above)\b|\bsliders?\b|function below"
)
LEADS_ON = re.compile(r" And [^.?!]*\?$")  # "And inside?", to what is no longer on the slide
LISTED = re.compile(r"(?:[-*|>] |\d+\. |```)")
# What a training says of itself is no result.
PROGRESS = re.compile(r"^.*(?:trained together in groups|steps done).*\n?", re.M)
STILL = "A still picture. To move the sliders"  # what a panel says on paper


@dataclass(frozen=True)
class Slide:
    """One slide. kind: title, question, result, panel, picture, text or end; it decides the look.

    above: a line over the headline. lead: the headline. body and notes: markdown. picture: a Picture or None.
    code, printed: lines, or "".
    """

    kind: str
    above: str
    lead: str
    body: str = ""
    picture: object = None
    code: str = ""
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

    @property
    def room(self):
        """The characters of a text beside it; or below it, so many that it need not shrink."""
        width, height = self.size
        if not self.is_wide:
            return BESIDE if width * SMALLEST < ACROSS_BESIDE else 0
        characters, pixels = LINE
        lines = (DOWN - height * min(1, ACROSS / width)) // pixels
        return min(BELOW, characters * lines)


@dataclass(frozen=True)
class Unit:
    """Slides that belong together, each behind its place in the lesson; and how much they matter: CLIMAX and so on."""

    rank: int
    slides: list

    @property
    def place(self):
        return self.slides[0][0]


def slides(path):
    """The Slides of a lesson, FEWEST to MOST. Raises ValueError that names the file if it has too little to show."""
    front, notebook = lessons.front_matter(path), lessons.read(path)
    items = _items(notebook)
    closing = _closing(front.number, notebook)
    chosen, count = [], 1 + len(closing)
    for unit in sorted(_units(items, front), key=lambda unit: (unit.rank, unit.place)):
        most = FEWEST if unit.rank == SPARE else MOST
        if count + len(unit.slides) <= most:
            chosen.append(unit)
            count += len(unit.slides)
    between = sorted((pair for unit in chosen for pair in unit.slides), key=lambda pair: pair[0])
    made = [_title(front, notebook), *(slide for _, slide in between), *closing]
    if len(made) < FEWEST:
        raise ValueError(f"{path}: {len(made)} slides can be made of it, and {FEWEST} are needed.")
    return made


# ---------------------------------------------------------------- A lesson as a row of items


@dataclass(frozen=True)
class Text:
    """A paragraph, list, table or block of code in the prose."""

    text: str

    @property
    def asks(self):
        """Whether it asks for a guess."""
        return bool(GUESS.match(self.text))


@dataclass(frozen=True)
class Heading:
    """The heading of a section."""

    text: str


@dataclass(frozen=True)
class Folded:
    """A folded answer."""

    summary: str
    text: str


class Code:
    """A code cell with its outputs."""

    def __init__(self, cell):
        self.source, self.tags = cell.source, cell.metadata.get("tags", [])
        printed = [out.text for out in cell.outputs if out.output_type == "stream"]
        self.printed = PROGRESS.sub("", "".join(printed)).rstrip()
        data = [out for out in cell.outputs if "image/png" in out.get("data", {})]
        self.picture = data and Picture(
            "".join(data[0].data["image/png"].split()),
            data[0].metadata.get("image/png", {}).get("alt", ""),
        )
        self.is_panel = any(STILL in out.data["text/plain"] for out in data)
        self.is_twin = "static_twin(" in self.source
        self.is_climax = bool({lessons.SHEET_TAG, lessons.PICTURE_TAG} & {*self.tags})
        self.is_loss_log = "helpers.loss_log(" in self.source
        self.sliders = list(_sliders(self.source, self.printed))

    @property
    def says(self):
        """Whether it shows what was found."""
        return bool(self.printed or self.picture or self.is_loss_log)

    def answers(self, sliders):
        """Whether a guess made with one of these sliders is compared here with what was measured."""
        return any(f"{one.name}.{does}(" in self.source for one in sliders for does in ANSWERS)


ANSWERS = ("mark", "against")


@dataclass(frozen=True)
class Slider:
    """A helpers.Guess: the variable, its words, its lowest and highest value, and what its cell prints."""

    name: str
    words: str
    low: float
    high: float
    given: str


def _sliders(source, printed):
    """The Sliders that a cell makes."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Call):
            call = node.value
            if ast.unparse(call.func) == "helpers.Guess":
                words, *ends = map(ast.literal_eval, call.args[:3])
                if any(keyword.arg == "log" for keyword in call.keywords):
                    ends = [10.0**end for end in ends]
                yield Slider(node.targets[0].id, words, *ends, printed)


def _items(notebook):
    """What comes between the front matter and "In short", in order: Text, Heading, Folded and Code."""
    items = []
    setup = lessons.code_cells(notebook)[0]
    for cell in notebook.cells[1:]:
        if cell.cell_type == "code" and cell is not setup:
            items.append(Code(cell))
        elif cell.cell_type == "markdown":
            for block in BLOCK.findall(cell.source):
                if block.startswith("#"):
                    head, _, rest = block.partition("\n")
                    items.append(Heading(head.lstrip("# ")))
                    block = rest
                if items and items[-1] == Heading("In short"):
                    return items[:-1]
                if folded := FOLDED.search(block):
                    items.append(Folded(folded[1], folded[2].strip()))
                else:
                    parts = re.split(r"\s(?=\*\*Guess:)", block.strip())
                    items += [Text(part) for part in parts if part]
    return items


def _run(items, start, kinds, step=1):
    """The items from `start` on, forward or backward, while they are of these kinds; always in the lesson's order."""
    end = start
    while 0 <= end < len(items) and isinstance(items[end], kinds):
        end += step
    return items[start:end] if step > 0 else items[end + 1 : start + 1]


# ---------------------------------------------------------------- Units


def _units(items, front):
    """All Units that can be made of the items, in no order."""
    shown, units = set(), []  # the places of the code that a unit shows
    for ask, sliders in _questions(items):
        unit, code = _guess(items, ask, sliders, front)
        units.append(unit)
        shown.update(code)
    for place, item in enumerate(items):
        if isinstance(item, Code) and item.picture and not item.is_twin and place not in shown:
            units.append(_seen(items, place, front))
    told = {_section(items, unit.place)[0] for unit in units}
    for place, item in enumerate(items):
        if isinstance(item, Heading) and place not in told and item.text != "The loss log":
            units += _said(_run(items, place + 1, Text), place, item.text, front)
    return units


def _said(texts, place, heading, front):
    """The Unit of a section that has nothing but text to show, in a list; an empty list if it has none."""
    texts = [text for text in texts if not LISTED.match(text.text)]
    bold = [k for k, text in enumerate(texts) if "**" in text.text]
    body = _some(texts, ALONE)
    if bold and "**" not in body:
        body = _some(texts[bold[0] :], ALONE)
    above = f"{front.number} · {front.title}"
    slide = Slide("text", above, heading, body, notes=_notes(texts))
    return [Unit(SAID if bold else SPARE, [(place, slide)])] if body else []


def _questions(items):
    """The places of the texts that ask for a guess, each with its sliders: where none asks, the text above a slider."""
    asked = None  # the question that still waits for its result
    found = {}
    for place, item in enumerate(items):
        if isinstance(item, Text) and item.asks:
            asked = place
            found[asked] = []
        elif isinstance(item, Code) and item.sliders:
            if asked is None:
                asked = max(k for k in range(place) if isinstance(items[k], Text))
            found.setdefault(asked, []).extend(item.sliders)
        elif isinstance(item, Code) and item.says:
            asked = None
    return sorted(found.items())


def _guess(items, ask, sliders, front):
    """The Unit of a question and its result, and the places of the code that it shows."""
    texts = _run(items, ask, Text, -1)
    sentences = SENTENCE.split(_inline(GUESS.sub("", texts[-1].text)))
    question = " ".join(one for one in sentences if not OF_A_NOTEBOOK.search(one))
    options = [text for text in _run(items, ask + 1, Text)[:1] if LISTED.match(text.text)]
    numbers = "".join(
        f"\n\n**Write down a number from {_number(one.low)} to {_number(one.high)}** ({one.words})"
        for one in sliders
    )
    above = _above(front, items, ask)
    before = items[max(ask - len(texts), 0)]
    context = _some(texts[1:-1], CONTEXT, from_end=True)
    if len(context) < ENOUGH or not (isinstance(before, Code) and before.says):
        context = _some(texts[:-1], CONTEXT, from_end=True)
    asks = Slide(
        "question",
        above,
        question[:1].upper() + question[1:],
        "\n\n".join(filter(None, [*(_links(text.text) for text in options), context])) + numbers,
        printed=_lines(sliders[0].given) if sliders and "below" in question else "",
        notes=_notes(texts),
    )

    group = _result(items, ask, sliders)
    code = [items[k] for k in group]
    drawn = [c for c in code if c.picture and not c.is_twin]
    drawn.sort(key=lambda c: (not c.is_climax, c.is_panel))
    best = drawn[0] if drawn else None
    said = best or next((c for c in code if c.answers(sliders)), None)
    said = said or next((c for c in code if c.printed), None)
    answer = _run(items, group[-1] + 1 if group else ask + 1, Text | Folded)
    answer = [text for text in answer if not (isinstance(text, Text) and text.asks)]
    result = _telling("result", above, answer, best and best.picture)
    if said and not best:
        result = replace(result, printed=_lines(said.printed), code=_code(said, texts + answer))
    rank = ASKED if sliders or best else TOLD
    rank = CLIMAX if best and best.is_climax else rank
    unit = Unit(rank, [(ask, asks), (group[0] if group else ask, result)])
    return unit, [k for k in group if items[k] is best]


def _result(items, ask, sliders):
    """The places of the group of code cells, with no text between, that answers a question.

    Before the next question, if there is one that shows something; if not, behind what answers that one.
    """
    groups, later, place = [], [], ask + 1
    questions = 0
    while place < len(items):
        size = len(_run(items, place, Code))
        if size:
            (later if questions else groups).append(range(place, place + size))
        elif isinstance(items[place], Text) and items[place].asks:
            questions += 1
        place += max(size, 1)

    def first(groups, holds):
        return next((g for g in groups if any(holds(items[k]) for k in g)), None)

    return (
        first(groups, lambda code: code.answers(sliders))
        or first(groups, lambda code: code.says and not code.sliders)
        or first(later, lambda code: code.answers(sliders) or code.is_loss_log)
        or range(0)
    )


def _seen(items, place, front):
    """The Unit of a picture that no guess asks for."""
    code, above = items[place], _above(front, items, place)
    after = place + len(_run(items, place, Code))
    before = place - len(_run(items, place, Code, -1))
    told = _run(items, after, Text | Folded)
    asked = _run(items, before, Text | Folded, -1)
    answers = [item for item in [*asked, *told] if isinstance(item, Folded)]
    asked = [item for item in asked if isinstance(item, Text)]
    if code.is_panel:
        asked = [text for text in asked if not text.asks]
        questions = [text for text in asked if "?" in text.text or LISTED.match(text.text)]
        body = _some(questions or asked, BESIDE, from_end=True)
        notes = _notes([*asked, *answers])
        slide = Slide("panel", above, "Try it", body, code.picture, notes=notes)
        return Unit(CLIMAX, [(place, slide)])
    if answers and told and told[0] is answers[0]:
        heading, body = _section(items, place)[1], _some(asked, BESIDE)
        whole = f"{front.number} · {front.title}"
        asks = Slide("question", whole, heading, body, code.picture, notes=_notes(asked))
        tells = _telling("result", above, answers[:1], code.picture)
        return Unit(ASKED, [(place, asks), (place, tells)])
    slide = _telling("picture", above, told or asked, code.picture)
    return Unit(CLIMAX if code.is_climax else SEEN, [(place, slide)])


def _telling(kind, above, told, picture):
    """A Slide that says what the lesson says first: its first sentence is the headline, if it is short enough."""
    texts = [t for t in told if not LISTED.match(t.text)]
    length = picture.room if picture else ALONE
    sentences = [s for text in texts[:2] for s in _sentences(text.text)]
    lead = ""
    if sentences and len(sentences[0]) <= LEAD:
        lead = sentences.pop(0)
        if len(lead) < 25 and sentences and len(lead) + len(sentences[0]) < LEAD:
            lead += " " + sentences.pop(0)
    if not lead:
        above, _, lead = above.partition(" · ")
    body = LEADS_ON.sub("", _fitting(sentences, length))
    return Slide(kind, above, lead, body, picture, notes=_notes(told))


# ---------------------------------------------------------------- The first slide and the last ones


def _title(front, notebook):
    opening = notebook.cells[0].source
    kept = [b.strip() for b in BLOCK.findall(opening) if "[Contents]" not in b]
    notes = "\n\n".join(block for block in kept if not block.startswith("# "))
    title = f"{front.number} · {front.title}"
    return Slide("title", title, front.question, notes=_links(notes))


def _closing(number, notebook):
    """ "In short", and the rules of the cheat sheet if it has some from this lesson."""
    text = next(c.source for c in lessons.markdown_cells(notebook) if "## In short" in c.source)
    points = text.partition("## In short")[2]
    following = re.search(r"^\*\*Next:\*\* (.+?)(?:\n\n|\Z)", points, re.M | re.S)
    points = re.split(r"\n\n(?=\*\*|←)", points)[0].strip()
    ends = [Slide("end", "", "In short", _links(points), notes=_links(points))]
    if rules := rules_of(number):
        body = "\n".join(f"- {rule}" for rule in rules)
        more = f"**Next:** {_inline(following[1])}" if following else ""
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


# ---------------------------------------------------------------- Words


def _above(front, items=(), place=0):
    """The line over a headline: the lesson, and the section that the place is in."""
    section = _section(items, place)[1]
    return f"{front.number} · {section}" if section else f"{front.number} · {front.title}"


def _section(items, place):
    """Where the heading of a place's section stands, and its words; -1 and "" before the first one."""
    heads = [k for k in range(min(place + 1, len(items))) if isinstance(items[k], Heading)]
    return (heads[-1], items[heads[-1]].text) if heads else (-1, "")


def _links(text):
    """Markdown without links and with formulas in italics."""
    return MATH.sub(r"*\1*", LINK.sub(r"\1", text))


def _inline(text):
    return " ".join(_links(text).split())


def _sentences(text):
    """The sentences of a paragraph, without those in brackets and those about the notebook."""
    sentences = SENTENCE.split(ASIDE.sub(" ", _inline(text)).strip())
    return [one for one in sentences if one and one[-1] != ":" and not OF_A_NOTEBOOK.search(one)]


def _fitting(sentences, length):
    """As many of the first sentences as fit."""
    kept = ""
    for sentence in sentences:
        if len(kept) + len(sentence) > length:
            break
        kept = f"{kept} {sentence}".strip()
    return kept


def _some(texts, length, from_end=False):
    """Markdown of as many of the texts as fit, from the first on, or the last ones."""
    kept = []
    for text in reversed(texts) if from_end else texts:
        listed = LISTED.match(text.text)
        words = _links(text.text) if listed else " ".join(_sentences(text.text))
        if sum(map(len, kept)) + len(words) > length:
            if not kept and not listed:
                kept = [_fitting(_sentences(text.text), length)]
            break
        kept.append(words)
    return "\n\n".join(reversed(kept) if from_end else kept).strip()


def _number(value):
    """A number as people write it: 1,000, 0.01, −4."""
    return (
        f"{value:,g}".replace("-", "−") if 1e-4 <= abs(value) < 1e7 or not value else f"{value:g}"
    )


def _notes(parts):
    return "\n\n".join(
        f"*{part.summary}*\n\n{_links(part.text)}"
        if isinstance(part, Folded)
        else _links(part.text)
        for part in parts
    )


def _lines(printed):
    """The first lines of what was printed."""
    lines = printed.splitlines()
    return "\n".join(lines if len(lines) <= LINES else [*lines[: LINES - 1], "…"])


def _code(code, texts):
    """The cell's code, where the text around it speaks of it; "" if it is longer than a slide can show."""
    lines = code.source.splitlines()
    spoken = {span for text in texts for span in re.findall(r"`([^`]{3,})`", text.text)}
    short = len(lines) <= LINES and max(map(len, lines)) <= COLUMNS
    return code.source if short and any(span in code.source for span in spoken) else ""
