"""GLOSSARY.md as data: its entries, for the test of the glossary and for the site, which links to them."""

import re
from dataclasses import dataclass

# **Term** (other names). Two sentences. [NN](notebooks/NN_…) or *no lesson*
ENTRY = re.compile(
    r"\*\*(?P<term>[^*]+)\*\*(?: \((?P<also>.+?)\))?\. (?P<text>.+) "
    r"(?:\[(?P<number>\w+)\]\(notebooks/(?P<lesson>\S+)\)|\*no lesson\*)"
)


@dataclass(frozen=True)
class Entry:
    """A term, its other names, and its two sentences as plain text."""

    term: str
    also: tuple[str, ...]
    text: str

    @property
    def names(self):
        """The term and its other names, without code marks."""
        return [name.replace("`", "") for name in (self.term, *self.also)]

    @property
    def anchor(self):
        """The name of its place in a page: a word for HTML's id."""
        return "term-" + re.sub(r"\W+", "-", self.term.casefold()).strip("-")


def entries(text):
    """The entries in the text of GLOSSARY.md, a dict from an entry's paragraph to its Entry, in order."""
    found = {}
    for paragraph in text.split("\n\n"):
        if match := ENTRY.fullmatch(paragraph.strip()):
            also = tuple(match["also"].split(", ")) if match["also"] else ()
            found[paragraph] = Entry(match["term"], also, match["text"].replace("`", ""))
    return found
