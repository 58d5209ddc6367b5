"""Links from the lessons' prose to the glossary: where a page first uses a term, with its meaning as a title."""

import re

import glossary
import pages
from docutils import nodes

# Names that are plain words, too, such as "a bit more": they are terms only where a lesson prints them in bold.
PLAIN = set(
    """
    baseline, bit, blend, buffer, calibrate, calibration, channel, context, control, coupling, cut, dead, depth,
    detect, detector, edge, explode, fade, filtering, finding, flow, fold, freeze, frozen, gain, gap, gate, generator,
    head, heads,
    hook, in use, interpolation, key, mask, mode, module, n − 1, neighbor, plateau, precision, query, recall, rival,
    saddle, sampling, score, shape, shortcut, skew, smoothing, specification, stride, sweep, table, target,
    temperature, test, training, unit, update, value, vanish, view, weight, width
    """.strip().split(",")
)
PLAIN = {" ".join(name.split()) for name in PLAIN}
# Parts of a page whose words stay as they are.
KEPT = (nodes.title, nodes.literal, nodes.literal_block, nodes.reference, nodes.thead, nodes.raw)


def spelled(name):
    """A pattern for a name in prose: its first letter may be a capital or not, and a plural counts."""
    first, rest = name[0], name[1:].split(" ")
    start = f"[{first.upper()}{first.lower()}]" if first.isalpha() else re.escape(first)
    return start + r"\s+".join(map(re.escape, rest)) + "(?:s|es)?"


class Names:
    """The names of all entries as one pattern, the longest first."""

    def __init__(self, entries):
        named = {name: entry for entry in entries for name in entry.names}
        self.names = sorted(named, key=len, reverse=True)
        self.entries = [named[name] for name in self.names]
        words = "|".join(f"(?P<n{k}>{spelled(name)})" for k, name in enumerate(self.names))
        self.pattern = re.compile(rf"(?<![\w:-])(?:{words})(?![\w-]|:\w)")

    def find(self, text, is_bold, used):
        """The first use of each entry in a text, as pairs of a match and the entry; it is added to the set `used`."""
        for match in self.pattern.finditer(text):
            number = int(match.lastgroup[1:])
            entry, name = self.entries[number], self.names[number]
            is_plain = name[0].lower() + name[1:] in PLAIN
            if entry.term not in used and (is_bold or not is_plain):
                used.add(entry.term)
                yield match, entry


def ancestors(node):
    """The nodes that a node stands in, from the nearest on."""
    while (node := node.parent) is not None:
        yield node


def link_terms(app, doctree, docname, names):
    """Link the first use of each term in the prose of a lesson's page."""
    if not docname.startswith("notebooks/"):
        return
    address = app.builder.get_relative_uri(docname, pages.GLOSSARY.removesuffix(".md"))
    used = set()
    for text in [*doctree.findall(nodes.Text)]:
        around = [*ancestors(text)]
        kept = any(
            isinstance(node, KEPT) or "cell_output" in node.get("classes", []) for node in around
        )
        if kept or not any(isinstance(node, nodes.paragraph) for node in around):
            continue
        is_bold = any(isinstance(node, nodes.strong) for node in around)
        parts, end = [], 0
        for match, entry in names.find(str(text), is_bold, used):
            link = nodes.reference(
                "",
                match[0],
                refuri=f"{address}#{entry.anchor}",
                internal=True,
                reftitle=entry.text,
                classes=["term"],
            )
            parts += [nodes.Text(text[end : match.start()]), link]
            end = match.end()
        if parts:
            text.parent.replace(text, [*parts, nodes.Text(text[end:])])


def setup(app):
    """Register the above with Sphinx."""
    text = (pages.ROOT / pages.GLOSSARY).read_text(encoding="utf-8")
    names = Names(glossary.entries(text).values())
    app.connect(
        "doctree-resolved", lambda app, doctree, docname: link_terms(app, doctree, docname, names)
    )
    return {"parallel_read_safe": True, "parallel_write_safe": True}
