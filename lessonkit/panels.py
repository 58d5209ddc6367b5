"""Pictures: live panels, sliders over a picture that follows them; the same on paper; and words for all pictures.

Lessons reach these as `helpers.Panel`, `helpers.static_twin`, `helpers.Guess`. How they are built is not part of the
course.
"""

import base64
import html
import io
import struct
import zlib
from decimal import Decimal

import ipywidgets as widgets
import matplotlib.pyplot as plt
import numpy as np
from IPython import get_ipython
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.image import imsave
from matplotlib.text import Text

STILL = "A still picture. To move the sliders, run this cell in JupyterLab with ipywidgets."


def describe_figures():
    """Save with each figure that a notebook shows an alternative text.

    nbconvert's classic pages use it; JupyterLab, and the page template named after it, do not read it yet.
    """
    shell = get_ipython()
    if shell is None:  # a script, or a test
        return
    plt.show()  # nothing yet, but now Jupyter's backend is there and has told the shell how to show figures
    formatter = shell.display_formatter.formatters["image/png"]
    picture = formatter.lookup_by_type(Figure)
    if getattr(picture, "described", False):
        return

    def described_picture(figure):
        png = picture(figure)
        return png and (png, {"alt": description(figure)})  # an empty figure has no picture

    described_picture.described = True
    formatter.for_type(Figure, described_picture)


def description(figure):
    """A figure in words: the titles of its axes, and what they show over what."""
    parts = []
    for axes in figure.axes:
        title = axes.get_title(loc="left") or axes.get_title()
        x, y = axes.get_xlabel(), axes.get_ylabel()
        shown = f"{y or 'values'} over {x}" if x else y
        parts.append(": ".join(part for part in (title, shown) if part))
    words = [part.replace("\n", " ") for part in parts if part]
    return "A picture. " + ". ".join(words) + "." if words else "A picture."


class Panel:
    """Sliders over a picture that follows them: a cell that ends with one shows it.

    draw: a function of a matplotlib figure. It sets up the axes, with limits that fit all settings, and the
        artists, and returns a function `update(**settings)`, which moves these artists and says in words, with
        numbers, what is to be seen. The words stand below the picture and are its alternative text.
    controls: ipywidgets by the names of update's settings, each with a description.
    figsize: inches, at 100 pixels an inch.

    The figure is laid out and its fixed parts are drawn once; a move draws only lines, patches, images and texts, and
    of the titles those that have changed since the beginning.
    When update raises, the panel shows the error and raises it; the picture stays as it was. Where sliders cannot be
    shown, for want of a kernel or of ipywidgets, the output is an ordinary picture, and a line under it says so.
    """

    def __init__(self, draw, figsize=(8, 3.2), **controls):
        self.controls = controls
        for control in controls.values():  # labels and sliders one below the other
            control.layout.width, control.style.description_width = "480px", "11em"
        with plt.rc_context({"figure.dpi": 100}):
            self.figure = Figure(figsize)
        self.canvas = FigureCanvasAgg(self.figure)
        self.update = draw(self.figure)
        self._picture = widgets.HTML()
        self._words = widgets.HTML(layout={"min_height": "3em"})
        self.box = widgets.VBox([*controls.values(), self._picture, self._words])
        self._lay_out()
        self.show(**self.settings())
        for control in controls.values():
            control.observe(self._on_move, "value")

    def _lay_out(self):
        """Lay the figure out for the present settings."""
        self.update(**self.settings())
        self.canvas.draw()
        self.figure.set_layout_engine("none")
        self._titles = [title for axes in self.figure.axes for title in _titles(axes)]
        self._draw_fixed()

    def _draw_fixed(self):
        """Draw once what never moves."""
        artists = [artist for axes in self.figure.axes for artist in _moving_artists(axes)]
        self._moving = [artist for artist in artists if artist not in self._titles]
        for artist in self._moving:
            artist.set_animated(True)
        self.canvas.draw()
        self._fixed = self.canvas.copy_from_bbox(self.figure.bbox)

    def settings(self):
        """The values of the controls, by name."""
        return {name: control.value for name, control in self.controls.items()}

    def show(self, **settings):
        """Draw the picture for these settings."""
        words = self.update(**settings)
        if any(title.stale for title in self._titles):
            self._titles = [title for title in self._titles if not title.stale]
            self._draw_fixed()
        self.canvas.restore_region(self._fixed)
        for artist in self._moving:
            artist.axes.draw_artist(artist)
        self.png = _quick_png(self.canvas.buffer_rgba())
        self.words = words
        width, height = self.canvas.get_width_height()
        self._picture.value = (
            f'<img width="{width}" height="{height}" style="max-width: none" alt="{html.escape(words)}" '
            f'src="data:image/png;base64,{self.png}">'
        )
        self._words.value = (
            f'<div role="status" style="line-height: 1.4">{html.escape(words)}</div>'
        )

    def _on_move(self, _):
        try:
            self.show(**self.settings())
        except Exception as error:
            text = html.escape(f"{type(error).__name__}: {error}")
            self._words.value = (
                '<div role="alert" style="color: var(--jp-error-color1, #b00020)">'
                f"This setting cannot be drawn. {text}</div>"
            )
            raise

    def _repr_mimebundle_(self, **kwargs):
        # A front end with a widget manager shows the widget, any other the picture, which says what is missing.
        bundle = self.box._repr_mimebundle_(**kwargs)
        still = np.vstack([self.canvas.buffer_rgba(), _line_of_text(STILL, self.figure)])
        bundle |= {"text/plain": f"{self.words}\n{STILL}", "image/png": _png(still)}
        return bundle, {"image/png": {"alt": f"{self.words} {STILL}"}}


def _png(pixels):
    """Pixels, (height, width, 4), as a PNG in base64."""
    file = io.BytesIO()
    imsave(file, pixels, format="png")
    return base64.b64encode(file.getvalue()).decode()


def _quick_png(pixels):
    """The colors of opaque pixels, (height, width, 4), as a PNG in base64, in a third of Pillow's time.

    Pillow tries five filters on each line, which takes longer than all the rest and makes a drawing hardly smaller.
    Here no line is filtered. Source: the PNG specification, third edition, sections 5, 7 and 11.
    """
    pixels = np.asarray(pixels)
    height, width, _ = pixels.shape
    lines = np.zeros((height, 1 + 3 * width), np.uint8)  # each behind a 0: no filter
    lines[:, 1:] = pixels[:, :, :3].reshape(height, -1)
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)  # 8 bits a color, RGB
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(lines, 1)), (b"IEND", b""))
    parts = [
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in chunks
    ]
    return base64.b64encode(b"\x89PNG\r\n\x1a\n" + b"".join(parts)).decode()


def _line_of_text(text, figure):
    """A line in small grey letters, as wide as the figure, as pixels of shape (height, width, 4)."""
    line = Figure((figure.get_figwidth(), 0.25), dpi=figure.dpi, layout="none")
    canvas = FigureCanvasAgg(line)
    line.text(0.01, 0.5, text, size=9, style="italic", color="0.4", va="center")
    canvas.draw()
    return canvas.buffer_rgba()


def _titles(axes):
    """The titles of the axes that have a text: on the left, in the middle, on the right."""
    texts = [artist for artist in axes.get_children() if isinstance(artist, Text)]
    return [text for text in texts if text.get_text() and text not in axes.texts]


def _moving_artists(axes):
    """All artists of the axes but those that never move: the frame, the axis, the legend."""
    fixed = [axes.patch, axes.xaxis, axes.yaxis, axes.legend_, *axes.spines.values()]
    moving = [artist for artist in axes.get_children() if artist not in fixed]
    return sorted(moving, key=lambda artist: artist.get_zorder())


def static_twin(draw, *settings, figsize=(8, 2.6)):
    """A panel on paper: one row of the picture for each dict of settings, and the words under it.

    draw: as for Panel. figsize: inches, of one row.
    """
    figure = plt.figure(figsize=(figsize[0], figsize[1] * len(settings)))
    words = []
    for row, setting in zip(
        figure.subfigures(len(settings), 1, squeeze=False)[:, 0], settings, strict=True
    ):
        words.append(draw(row)(**setting))
        title = ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in setting.items())
        row.suptitle(title, x=0.01, ha="left", weight="bold")
    plt.show()
    print("\n".join(words))


def _three_digits(number):
    """A number with three significant digits, such as 0.0123 or 13,000."""
    return f"{float(f'{number:.3g}'):,g}"


def readout_format(low, step, log):
    """How the number beside a guess's slider is written, as ipywidgets names it: with the decimals that it can have."""
    decimals = [-Decimal(str(number)).normalize().as_tuple().exponent for number in (low, step)]
    return ".3g" if log else f".{max(0, *decimals)}f"


class Guess:
    """A slider with which a learner commits a number before it is measured; a cell that ends with one shows it.

    question: what is guessed, with its unit. low, high, step: of the slider. log: the slider runs over powers of ten,
    from 10 ** low to 10 ** high. Raises ValueError if low is not below high, or step is not above 0.

    `mark` draws the guess into the picture of the result, and `against` says how far off it was. While the slider has
    not been moved there is no guess: both then show the result alone.
    """

    def __init__(self, question, low, high, step, log=False):
        if not (low < high and step > 0):
            raise ValueError(
                f"a guess from {low} to {high} in steps of {step}: low must be below high, step above 0"
            )
        self.question, self.value = question, None
        slider = widgets.FloatLogSlider if log else widgets.FloatSlider
        start = 10 ** ((low + high) / 2) if log else (low + high) / 2
        self.slider = slider(start, min=low, max=high, step=step, description="your guess")
        self.slider.readout_format = readout_format(low, step, log)
        # A loss or a size can be off by a factor, a correlation cannot.
        self._has_factor = log or low >= 0
        self.slider.layout.width, self.slider.style.description_width = "480px", "11em"
        self._words = widgets.HTML(
            '<div role="status">Move the slider, then run the next cell.</div>'
        )
        question_line = widgets.HTML(f"<div>{html.escape(question)}</div>")
        self.box = widgets.VBox([question_line, self.slider, self._words])
        self.slider.observe(self._on_move, "value")

    def _on_move(self, change):
        self.value = change["new"]
        self._words.value = (
            f'<div role="status">You have committed {self.value:g}. Now run the next cell.</div>'
        )

    def mark(self, axes, along="x"):
        """Draw the guess as a dotted line across the axes, at this place of the x or the y axis."""
        if self.value is not None:
            line = axes.axvline if along == "x" else axes.axhline
            line(self.value, color="C3", linestyle=":", linewidth=2, label="your guess")
            axes.legend()

    def against(self, measured):
        """Say what was measured, and how far off the guess was."""
        words = f"{self.question}: measured {_three_digits(measured)}"
        if self.value is not None:
            words += f", you guessed {_three_digits(self.value)}"
            sized = self._has_factor and self.value > 0 and measured > 0
            if sized and not 0.5 < self.value / measured < 2:
                factor = max(self.value / measured, measured / self.value)
                words += f", off by a factor of {_three_digits(factor)}"
        print(words + ".")

    def _repr_mimebundle_(self, **kwargs):
        # Without a kernel or a widget manager there is no slider: the question stands alone.
        words = (
            f"*Guess first: {self.question}?* (In JupyterLab with ipywidgets a slider stands here.)"
        )
        bundle = self.box._repr_mimebundle_(**kwargs)
        return bundle | {"text/plain": words, "text/markdown": words}
