"""Pictures: the words that a notebook holds for those in its outputs, and a format that loads faster."""

from pathlib import Path

import nbformat
from docutils import nodes
from PIL import Image


def alternatives(path):
    """The alternative texts of the pictures in a notebook's outputs, in order. Raises ValueError if one has none."""
    texts = []
    for cell in nbformat.read(path, as_version=4).cells:
        for output in cell.get("outputs", []):
            if "image/png" in output.get("data", {}):
                text = output.metadata.get("image/png", {}).get("alt")
                if not text:
                    raise ValueError(f"{path}: a picture has no alternative text: {cell.source}")
                texts.append(" ".join(text.split()))
    return texts


def in_output(node):
    """Whether a node stands in the output of a cell."""
    while node is not None and "cell_output" not in node.get("classes", []):
        node = node.parent
    return node is not None


def as_webp(png):
    """Save a picture beside its PNG file without loss, in about half of the bytes."""
    with Image.open(png) as image:
        image.save(
            png.with_suffix(".webp"), lossless=True, quality=50, method=2
        )  # more effort saves next to nothing


def show_pictures(app, doctree):
    """Give each picture of an output its words, and every PNG file a smaller one beside it, which is shown."""
    path = app.env.doc2path(app.env.docname)
    pictures = [*doctree.findall(nodes.image)]
    if path.suffix == ".ipynb":
        of_outputs = [picture for picture in pictures if in_output(picture)]
        for picture, text in zip(of_outputs, alternatives(path), strict=True):
            picture["alt"] = text
    for picture in pictures:
        uri = picture["uri"]
        if uri.endswith(".png"):  # one that begins with a slash starts in the source folder
            as_webp(Path(app.srcdir, uri[1:]) if uri[0] == "/" else path.parent / uri)
            picture["uri"] = uri.removesuffix(".png") + ".webp"


def setup(app):
    """Register the above with Sphinx, before it collects the files of pictures."""
    app.connect("doctree-read", show_pictures, priority=400)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
