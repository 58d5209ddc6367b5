"""What myst-nb leaves out of a notebook's outputs: the alternative texts of its pictures."""

import nbformat
from docutils import nodes


def alternatives(path):
    """The alternative texts of the pictures in a notebook's outputs, in order. Raises ValueError if one has none."""
    texts = []
    for cell in nbformat.read(path, as_version=4).cells:
        for output in cell.get("outputs", []):
            if "image/png" in output.get("data", {}):
                text = output.metadata.get("image/png", {}).get("alt")
                if not text:
                    raise ValueError(f"{path}: a picture has no alternative text: {cell.source[:60]}")
                texts.append(text)
    return texts


def in_output(node):
    """Whether a node stands in the output of a cell."""
    while node is not None and "cell_output" not in node.get("classes", []):
        node = node.parent
    return node is not None


def set_alternatives(app, doctree):
    """Give each picture of an output the text that the notebook holds for it."""
    path = app.env.doc2path(app.env.docname)
    if path.suffix != ".ipynb":
        return
    pictures = [node for node in doctree.findall(nodes.image) if in_output(node)]
    for picture, text in zip(pictures, alternatives(path), strict=True):
        picture["alt"] = " ".join(text.split())


def setup(app):
    """Register the above with Sphinx."""
    app.connect("doctree-read", set_alternatives)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
