"""Build the web site, as `make site` does.

    python tools/pages.py                              where Sphinx is in the same environment
    python tools/pages.py .venv-site/bin/python        where it is in the environment of this Python
    python tools/pages.py ... --still                  panels and the clinic's lists as still pictures: no frames needed

The committed documents are prepared in _build/source: links, formulas, panels, the order of the pages. No notebook is
executed: tools/frames.py has drawn the panels before. Then Sphinx makes the pages in _build/html, with the settings in
site/; a warning is an error.
"""

import argparse
import ast
import hashlib
import re
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path

import glossary
import lessons
import nbformat

from lessonkit import story

ROOT = lessons.ROOT
BUILD = ROOT / "_build"
SOURCE, HTML, FRAMES = BUILD / "source", BUILD / "html", BUILD / "frames"
MADE_FROM = BUILD / "made_from"  # the fingerprint of what the pages were made from
START, GLOSSARY = "README.md", "GLOSSARY.md"
MORE = "running.md"  # the page with the README's second part
DOCUMENTS = [START, "CHEATSHEET.md", GLOSSARY, "CONTRIBUTING.md"]
# The parts of the series in the side bar: the lesson that each begins with.
PARTS = {
    "00": "Before you start",
    "01": "Part one: follow the lecture",
    "10": "Part one: use it",
    "13": "Part two: what comes next",
}
TO_SOLVE = f"*Solve the exercises in JupyterLab ([how to run it](../{MORE})). Here you can unfold hints and solutions.*"
LINK = re.compile(r"\]\((?!https?:|#|mailto:)(?P<path>[^)#\s]+)(?P<place>#[^)\s]*)?\)")


# ---------------------------------------------------------------- Documents


def linked(markdown, path, extra):
    """The Markdown of the document at `path`, a Path; what led to README.md leads to the start page.

    What it links to besides the pages, such as a picture or a module, is added to the set `extra`; in the site those
    are files to look at or to load. Raises ValueError that names the document and the link if there is no such file.
    """

    def link(match):
        target = (path.parent / match["path"]).resolve()
        if not target.is_file():
            raise ValueError(f"{path}: the link to {match['path']} leads to no file.")
        if target == ROOT / START:
            return match[0].replace(START, "index.md")
        if target not in pages():
            extra.add(target)
        return match[0]

    return LINK.sub(link, markdown)


@cache
def pages():
    """The files of all documents that become pages."""
    return {ROOT / name for name in DOCUMENTS} | set(lessons.lesson_paths())


def toctree(names, caption=None):
    """A hidden list of pages, which Sphinx makes the side bar and the order of the pages from."""
    options = [":hidden:", *([f":caption: {caption}"] if caption else [])]
    return "\n".join(["\n\n```{toctree}", *options, "", *names, "```\n"])


def part_toctrees():
    """The lists of the start page: the lessons by parts, then the other documents. Companions are in their lesson's."""
    mains = [path for path in lessons.lesson_paths() if not lessons.is_companion(path)]
    parts = {start: [] for start in PARTS}
    for path in mains:
        part = max(start for start in PARTS if start <= path.name[:2])
        parts[part].append(f"notebooks/{path.stem}")
    others = [Path(name).stem for name in [MORE, *DOCUMENTS] if name != START]
    return "".join(
        [
            *(toctree(names, PARTS[start]) for start, names in parts.items()),
            toctree(others, "To look things up"),
        ]
    )


def parted(readme):
    """The README as two pages, for who reads on the web: what the lessons are; how to run and to teach them.

    Raises ValueError that names the heading if one is missing.
    """
    for heading in ("## Start\n", "## The lessons\n"):
        if heading not in readme:
            raise ValueError(f"{START} has no heading {heading.strip()!r}: its pages begin there.")
    opening, start_begins, rest = readme.partition("## Start\n")
    start, table_begins, rest = rest.partition("## The lessons\n")
    table, onward_begins, onward = rest.partition("\n## ")
    words, picture_begins, picture = opening.partition("\n![")
    first, second = (lessons.lesson_paths(number)[0].name for number in ("00", "01"))
    here = (
        f"\n**Begin** with [00](notebooks/{first}) if tensors are new to you, else with [01](notebooks/{second}). Here "
        f"results stay hidden until you have guessed, and sliders move. [How to run and to teach them]({MORE}).\n"
    )
    begin = [words, here, picture_begins, picture, table_begins, table]
    more = ["# Run it, teach it\n\n", start_begins, start.rstrip(), "\n", onward_begins, onward]
    return "".join(begin), "".join(more)


def with_anchors(markdown):
    """The glossary with a target in front of each entry: `(term-logit)=`."""
    for paragraph, entry in glossary.entries(markdown).items():
        markdown = markdown.replace(paragraph, f"({entry.anchor})=\n{paragraph}")
    return markdown


def prepared(path, extra, frames_folder):
    """A lesson's notebook as the site shows it: links, formulas, folded code, panels, the list of its companions."""
    import frames  # needs more than Sphinx's environment has, where conf.py imports this module

    # The pages have links of their own to the one before and the one after.
    notebook = lessons.with_navigation(lessons.read(path), "")
    for cell in lessons.markdown_cells(notebook):
        cell.source = lessons.with_plain_formulas(linked(cell.source, path, extra))
    for output in (output for cell in lessons.code_cells(notebook) for output in cell.outputs):
        data = output.get("data", {})
        data.pop(story.LOG_MIME, None)  # data for later lessons, nothing to see
        if "text/html" in data:  # a heading without words, in ledgers, is none
            data["text/html"] = data["text/html"].replace("<th></th>", "<td></td>")
    if any("### Exercise" in cell.source for cell in lessons.markdown_cells(notebook)):
        notebook.cells.insert(1, nbformat.v4.new_markdown_cell(TO_SOLVE))
    if not lessons.is_companion(path) and (beside := lessons.companions(path)):
        cell = nbformat.v4.new_markdown_cell(toctree([other.stem for other in beside]))
        notebook.cells.append(cell)
    fold(notebook, frames_folder is not None)
    return frames.embed(notebook, path.stem, frames_folder)


def fold(notebook, moves):
    """Fold away what a reader of the page need not see: code that only sets up or puts a slider there; the ledger.

    And the panel's stills, if the panel moves: they are its answers.
    """
    setup, *others = lessons.code_cells(notebook)
    draws = {draw for cell in others if (draw := panel_function(cell))}
    for cell in (cell for cell in others if is_plumbing(cell, draws)):
        cell.metadata["tags"] = [*cell.metadata.get("tags", []), lessons.HIDE_TAG]
    fold_whole(setup, "Setup")
    for cell in others:
        if "helpers.Ledger(" in cell.source:
            fold_whole(cell, "The ledger: what this lesson claims, and its bands")
        if moves and "helpers.static_twin(" in cell.source:
            fold_whole(cell, "Some settings of the panel as still pictures")


def fold_whole(cell, name):
    """Fold away a code cell with its outputs; name: what stands there then."""
    cell.metadata["tags"] = ["hide-cell"]
    cell.metadata["mystnb"] = {"code_prompt_show": name, "code_prompt_hide": name}


def panel_function(cell):
    """The name of the function that draws the panel of a code cell; None if it has no panel."""
    import frames

    what = frames.shown(cell)
    return ast.unparse(what[2].args[0]) if what and what[0] == "panel" else None


def is_plumbing(cell, draws):
    """Whether a code cell only imports, shows a panel, a guess or the clinic's list, or defines one of these draws."""
    import frames

    body, shown = ast.parse(cell.source).body, frames.shown(cell)
    if shown:
        return shown[0] == "panel" or len(body) <= 2  # a guess's cell may compute more
    imports = all(isinstance(node, ast.Import | ast.ImportFrom) for node in body)
    return imports or any(isinstance(node, ast.FunctionDef) and node.name in draws for node in body)


# ---------------------------------------------------------------- The site


def prepare(frames_folder):
    """Write the source of the site to SOURCE, anew; frames_folder: as for frames.embed."""
    shutil.rmtree(SOURCE, ignore_errors=True)
    (SOURCE / "notebooks").mkdir(parents=True)
    extra = set()
    for name in DOCUMENTS:
        text = linked((ROOT / name).read_text(encoding="utf-8"), ROOT / name, extra)
        if name == START:
            text, more = parted(text)
            text += part_toctrees()
            (SOURCE / MORE).write_text(more, encoding="utf-8")
        if name == GLOSSARY:
            text = with_anchors(text)
        target = SOURCE / ("index.md" if name == START else name)
        target.write_text(text, encoding="utf-8")
    for path in lessons.lesson_paths():
        notebook = prepared(path, extra, frames_folder)
        (SOURCE / "notebooks" / path.name).write_bytes(lessons.as_bytes(notebook))
    for path in sorted(extra):
        target = SOURCE / path.relative_to(ROOT)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, target)


def fingerprint():
    """A number of all that the pages are made from: a test refuses pages that were made from something else."""
    made_from = [*pages(), *(ROOT / "pictures").iterdir(), ROOT / "requirements-site.txt"]
    for folder in ("site", "tools"):
        made_from += (p for p in (ROOT / folder).rglob("*") if p.is_file() and "__" not in str(p))
    digest = hashlib.sha256()
    for path in sorted(made_from):
        digest.update(path.relative_to(ROOT).as_posix().encode() + path.read_bytes())
    return digest.hexdigest()


def build(python, still):
    """Prepare the source and make the pages, with the Sphinx of a Python; still: without frames.

    Raises FileNotFoundError that names a lesson whose frames are missing. Ends the program if Sphinx has an error or a
    warning, which it prints; the pages that were there before stay then.
    """
    import frames

    prepare(None if still else FRAMES)
    draft = HTML.with_name("html.draft")
    for folder in (draft, BUILD / "doctrees", BUILD / "jupyter_execute"):
        shutil.rmtree(folder, ignore_errors=True)
    flags = [
        "-W",
        "--keep-going",
        "-q",
        "-j",
        "auto",
        "-c",
        ROOT / "site",
        "-d",
        BUILD / "doctrees",
    ]
    done = subprocess.run([python, "-m", "sphinx", *flags, SOURCE, draft])
    if done.returncode:
        sys.exit(f"The site is not made: mend what Sphinx says above. It read {SOURCE}.")
    if not still:
        frames.place(FRAMES, draft / "_static")
    MADE_FROM.unlink(missing_ok=True)
    shutil.rmtree(HTML, ignore_errors=True)
    draft.rename(HTML)
    MADE_FROM.write_text(fingerprint(), encoding="utf-8")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("python", nargs="?", default=sys.executable, help="has Sphinx")
    parser.add_argument("--still", action="store_true", help="panels as still pictures")
    asked = parser.parse_args()
    try:
        build(asked.python, asked.still)
    except (FileNotFoundError, ValueError) as error:
        sys.exit(str(error))
    print(f"The site is made. Open {HTML / 'index.html'}")
