"""`make slides`: the decks of the lessons as web pages, slides/NN.html; which parts they show, deck.py decides.

nbconvert's SlidesExporter makes the sections, reveal.js the show. A page holds its pictures, reveal.js and the looks
(slides_template/), so it opens from a folder or a stick, without a server and without a network. The key S opens the
speaker's notes: the lesson's text. `?print-pdf` behind the address lays the slides out for a printer.
"""

import argparse
import sys
from html import escape
from pathlib import Path

import deck
import lessons
import nbformat
from nbconvert import SlidesExporter

FOLDER = lessons.ROOT / "slides"
REVEAL = lessons.ROOT / "node_modules" / "reveal.js"
TEMPLATE = Path(__file__).parent / "slides_template"
WIDTH, HEIGHT = 1280, 720  # pixels of a slide; slides.css says the same
SHORT, LONG = 450, 560  # characters: a text with fewer is set larger, one with more smaller


def page(path, reveal=REVEAL):
    """The web page of a lesson's slides. Raises FileNotFoundError if reveal.js is not there."""
    dist = reveal / "dist"
    if not dist.is_dir():
        raise FileNotFoundError(f"reveal.js is not in {reveal}: install it by `npm ci`.")
    cells = []
    for slide in deck.slides(path):
        cells.append(_cell(markdown(slide), "slide"))
        if slide.notes:
            cells.append(_cell(slide.notes, "notes"))
    notebook = nbformat.v4.new_notebook(cells=cells)
    front = lessons.front_matter(path)
    notebook.metadata.title = f"{front.number} · {front.title}"
    files = {
        "reveal_css": dist / "reveal.css",
        "css": TEMPLATE / "slides.css",
        "reveal_js": dist / "reveal.js",
        "notes_js": dist / "plugin" / "notes.js",
    }
    parts = {name: file.read_text(encoding="utf-8") for name, file in files.items()}
    exporter = SlidesExporter(
        template_name=TEMPLATE.name,
        extra_template_basedirs=[str(TEMPLATE.parent)],
        exclude_anchor_links=True,
    )
    parts |= {"width": WIDTH, "height": HEIGHT}
    return exporter.from_notebook_node(notebook, {"deck": parts})[0]


def _cell(source, kind):
    return nbformat.v4.new_markdown_cell(source, metadata={"slideshow": {"slide_type": kind}})


def markdown(slide):
    """A Slide as the source of a cell: markdown, with HTML for what markdown has no word for."""
    words = [slide.body]
    if slide.printed:
        words.append(f"<pre>{escape(slide.printed)}</pre>")
    if not slide.picture:
        length = len(slide.body) + len(slide.printed)
        size = "short" if length < SHORT else "long" if length > LONG else ""
        parts = [_box(f"words {size}".strip(), *words)]
    else:
        width, height = slide.picture.size
        picture = f'<img src="data:image/png;base64,{slide.picture.png}" alt="{escape(slide.picture.alt)}">'
        drawn = f'<div class="picture" style="--ratio: {width} / {height}">{picture}</div>'
        parts = [drawn, _box("words", *words)] if any(words) else [drawn]
        if any(words) and not slide.picture.is_wide:
            parts = [_box("tall", *parts)]
    above = f'<p class="above">{escape(slide.above)}</p>' if slide.above else ""
    wide = " wide" if slide.picture and slide.picture.is_wide else ""
    return _box(f"slide {slide.kind}{wide}", above, f"## {slide.lead}", *parts)


def _box(kind, *parts):
    """Markdown in a box; the empty lines tell where it begins and ends to be markdown."""
    return "\n\n".join([f'<div class="{kind}">', *filter(None, parts), "</div>"])


def main():
    """Write the pages, and say where they are."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("lesson", nargs="?", default="", help="such as 03; all lessons without it")
    parser.add_argument("--into", type=Path, default=FOLDER, help="the folder for the pages")
    parser.add_argument("--reveal", type=Path, default=REVEAL, help="the folder of reveal.js")
    given = parser.parse_args()
    found = lessons.lesson_paths(given.lesson)
    paths = [path for path in found if not lessons.is_companion(path)]
    if not paths:
        parser.error(f"there is no lesson {given.lesson}")
    given.into.mkdir(parents=True, exist_ok=True)
    for path in paths:
        try:
            made = page(path, given.reveal)
        except (FileNotFoundError, ValueError) as error:
            sys.exit(str(error))
        file = given.into / f"{path.name[:2]}.html"
        file.write_text(made, encoding="utf-8")
        print(f"{file}: {len(deck.slides(path))} slides, {len(made.encode()) / 2**20:.1f} MiB")


if __name__ == "__main__":
    main()
