"""Were a lesson's outputs made by this code? A hash of all that decides them, with names resolved by module.

`helpers.train` in a lesson is what helpers.py imports under this name: the definition of `train` in
lessonkit/training.py, and with it whatever is mentioned there, read with that module's own imports. So two modules may
define the same name. What no file of the series holds, such as torch, is foreign; the pinned versions stand for it.
What is imported under a name that the code computes, as the exercises' checkers are, is not seen.
"""

import ast
import hashlib
from collections import defaultdict

import lessons

from lessonkit import data

PINNED = ("torch=", "numpy=", "matplotlib=", "ipywidgets=")  # they decide what is printed and drawn


def of(notebook):
    """The fingerprint of a notebook: its code, what this reaches in the series, the names, the style, the pins.

    Neither a docstring counts nor a definition that the lesson does not reach: a better sentence or a new helper does
    not make every lesson old.
    """
    sources = [cell.source for cell in lessons.code_cells(notebook)]
    requirements = (lessons.ROOT / "requirements.txt").read_text(encoding="utf-8").splitlines()
    pins = [line for line in requirements if line.startswith(PINNED)]
    names = hashlib.sha256(data.NAMES_FILE.read_bytes()).hexdigest()
    style = (lessons.ROOT / "lessons.mplstyle").read_text(encoding="utf-8")
    parts = [*sources, *reached("\n".join(sources)), *pins, names, style]
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()


def reached(source):
    """The sources of all that a lesson's code reaches in the modules of the series, in the order of their names."""
    series = Series()
    lesson = Module("", source)
    lesson.definitions.clear()  # its own code counts as it stands
    found, waiting = {}, list(series.mentioned(lesson, lesson.tree))
    while waiting:
        place = module, name = waiting.pop()
        if place not in found:
            nodes = series.run_by_import(module) if name is None else module.definitions[name]
            found[place] = "\n".join(module.source_of(node) for node in nodes)
            waiting.append((module, None))
            waiting += [there for node in nodes for there in series.mentioned(module, node)]
    in_order = sorted(found, key=lambda place: (place[0].name, place[1] or ""))
    return [found[place] for place in in_order]


class Module:
    """A module's text, by the names that it binds.

    name: with dots. definitions: from a name to the statements that make it. imports: from a name to what it stands
    for, with dots: `from lessonkit import data as d` makes d stand for lessonkit.data. others: the statements that
    make no name, such as a loop.
    """

    def __init__(self, name, text, package=""):
        self.name, self.lines, self.tree = name, text.split("\n"), ast.parse(text)
        self.definitions, self.imports, self.others = defaultdict(list), defaultdict(list), []
        for bound, target in _imports(self.tree, package):
            self.imports[bound].append(target)
        for node in self.tree.body:
            for bound in _bound(node):
                self.definitions[bound].append(node)
            if not isinstance(node, DEFINES | ast.Import | ast.ImportFrom) and not _is_text(node):
                self.others.append(node)

    def source_of(self, node):
        """The lines of a statement with its decorators, less those of its docstrings."""
        left_out = set()
        for part in ast.walk(node):
            if isinstance(part, FUNCTION | ast.ClassDef) and _is_text(part.body[0]):
                left_out |= set(range(part.body[0].lineno, part.body[0].end_lineno + 1))
        first = min(part.lineno for part in [node, *getattr(node, "decorator_list", [])])
        kept = [n for n in range(first, node.end_lineno + 1) if n not in left_out]
        return "\n".join(self.lines[number - 1] for number in kept)


class Series:
    """The modules of the series, each read when it is first asked for."""

    def __init__(self):
        self.modules = {}

    def module(self, name):
        """The Module of this name, with dots; None if it is foreign."""
        if name not in self.modules:
            stem = lessons.ROOT / name.replace(".", "/")
            package = name.rpartition(".")[0]
            files = [(stem.with_suffix(".py"), package), (stem / "__init__.py", name)]
            self.modules[name] = None
            for path, package in files:
                if path.is_file():
                    self.modules[name] = Module(name, path.read_text(encoding="utf-8"), package)
        return self.modules[name]

    def mentioned(self, module, node):
        """Where the series defines what a statement of a module mentions: pairs of a Module and a name in it.

        The name is None where the module itself is mentioned.
        """
        for name in _names(node):
            yield from self.places(module, name)

    def places(self, module, name):
        """Where the series defines what a module calls by this name, which may have dots."""
        first, *rest = name.split(".")
        if first in module.definitions:
            yield module, first
        for target in module.imports.get(first, ()):
            yield from self.look_up([*target.split("."), *rest])

    def look_up(self, parts):
        """Where the series defines what has this full name: ["lessonkit", "training", "train"]."""
        for end in range(1, len(parts) + 1):
            module = self.module(".".join(parts[:end]))
            if module is not None and end < len(parts):
                yield from self.places(module, ".".join(parts[end:]))
            elif module is not None:
                yield module, None

    def run_by_import(self, module):
        """The statements that do more than make a name: loops, and definitions that a decorator of ours registers."""

        def is_ours(decorator):
            return any(True for _ in self.mentioned(module, decorator))

        return [
            node
            for node in module.tree.body
            if node in module.others or any(map(is_ours, getattr(node, "decorator_list", [])))
        ]


FUNCTION = ast.FunctionDef | ast.AsyncFunctionDef
ASSIGNS = ast.Assign | ast.AnnAssign | ast.AugAssign
DEFINES = FUNCTION | ast.ClassDef | ASSIGNS


def _bound(node):
    """The names that a statement of a module makes or changes."""
    if isinstance(node, FUNCTION | ast.ClassDef):
        yield node.name
    elif isinstance(node, ASSIGNS):
        targets = node.targets if isinstance(node, ast.Assign) else [node.target]
        for part in (part for target in targets for part in ast.walk(target)):
            if isinstance(part, ast.Name):
                yield part.id


def _imports(tree, package):
    """Pairs of a name that is bound by an import anywhere in a module, and what it stands for, with dots."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                first = alias.name.partition(".")[0]
                yield (alias.asname, alias.name) if alias.asname else (first, first)
        elif isinstance(node, ast.ImportFrom):
            above = package.split(".")[: len(package.split(".")) - node.level + 1]
            start = [*(above if node.level else []), *([node.module] if node.module else [])]
            for alias in node.names:
                yield alias.asname or alias.name, ".".join([*start, alias.name])


def _names(node):
    """The names in a syntax tree, each with its attributes: "x", "helpers.train"."""
    if name := _dotted(node):
        yield name
    else:
        for part in ast.iter_child_nodes(node):
            yield from _names(part)


def _dotted(node):
    """A name with its attributes, such as "helpers.train"; None for any other expression."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute) and (start := _dotted(node.value)):
        return f"{start}.{node.attr}"
    return None


def _is_text(node):
    """Whether a statement is nothing but a text, as a docstring is."""
    return isinstance(node, ast.Expr) and isinstance(getattr(node.value, "value", None), str)
