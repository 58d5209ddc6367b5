"""The panel: the picture follows the sliders, errors are shown, and without a kernel there is a picture."""

import base64
import io
from types import SimpleNamespace

import ipywidgets as widgets
import matplotlib.image
import numpy as np
import pytest
from IPython.core.formatters import DisplayFormatter
from IPython.core.pylabtools import select_figure_formats
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

import helpers
from lessonkit import panels


def draw(figure):
    ax = figure.subplots()
    ax.set(xlim=(0, 1), ylim=(-10, 10), xlabel="x")
    (line,) = ax.plot([0, 1], [0, 0])
    ax.legend(["line"])

    def update(slope):
        if slope == 7:
            raise ValueError("no <seven>")
        line.set_data([0, 1], [0, slope])
        ax.set_title(f"slope {slope}")
        return f'the "slope" is {slope}'

    return update


@pytest.fixture
def panel():
    return helpers.Panel(draw, slope=widgets.IntSlider(1, min=-10, max=10, description="slope"))


def pixels(panel):
    return matplotlib.image.imread(io.BytesIO(base64.b64decode(panel.png)))


def test_the_picture_and_the_words_follow_the_slider(panel):
    before = pixels(panel)
    panel.controls["slope"].value = 5
    after = pixels(panel)
    assert panel.words == 'the "slope" is 5'
    assert before.shape == after.shape == (320, 800, 3)
    assert (before != after).any()
    panel.controls["slope"].value = 1
    assert (pixels(panel) == before).all()


def test_the_picture_has_the_canvas_s_colors_exactly(panel):
    shown = matplotlib.image.imread(io.BytesIO(base64.b64decode(panel.png)))
    drawn = np.asarray(panel.canvas.buffer_rgba())
    assert (drawn[:, :, 3] == 255).all(), "what is left out must say nothing"
    assert (np.round(255 * shown) == drawn[:, :, :3]).all()


def test_a_title_moves_from_the_first_change_on():
    def draw(figure):
        left, right = figure.subplots(1, 2)
        left.set_title("stays")

        def update(number):
            right.set_title("large" if number > 3 else "small", loc="left")
            return str(number)

        return update

    panel = helpers.Panel(draw, number=widgets.IntSlider(1, min=0, max=5))
    for number in (2, 4, 1, 5):
        panel.controls["number"].value = number
        fresh = helpers.Panel(draw, number=widgets.IntSlider(number, min=0, max=5))
        assert (pixels(panel) == pixels(fresh)).all(), number


def test_a_moved_picture_is_the_one_drawn_from_scratch(panel):
    panel.controls["slope"].value = -3
    fresh = helpers.Panel(draw, slope=widgets.IntSlider(-3, min=-10, max=10))
    assert (pixels(panel) == pixels(fresh)).all()


def test_the_picture_has_the_words_as_alternative_text(panel):
    shown = panel.box.children[1].value
    assert 'alt="the &quot;slope&quot; is 1"' in shown
    assert 'width="800" height="320"' in shown


def test_an_error_is_shown_and_raised_and_the_next_move_recovers(panel):
    picture = panel.png
    with pytest.raises(ValueError, match="no <seven>"):
        panel.controls["slope"].value = 7
    assert "ValueError: no &lt;seven&gt;" in panel.box.children[2].value
    assert 'role="alert"' in panel.box.children[2].value
    assert panel.png == picture
    panel.controls["slope"].value = 8
    assert "alert" not in panel.box.children[2].value
    assert panel.words == 'the "slope" is 8'


def test_an_error_at_the_start_is_the_cells_own():
    with pytest.raises(ValueError, match="no <seven>"):
        helpers.Panel(draw, slope=widgets.IntSlider(7, max=10))


def test_without_a_widget_manager_it_is_a_picture_that_says_what_is_missing(panel):
    panel.controls["slope"].value = 4
    bundle, metadata = panel._repr_mimebundle_()
    still = matplotlib.image.imread(io.BytesIO(base64.b64decode(bundle["image/png"])))
    assert still.shape == (345, 800, 4)
    assert (still[:320, :, :3] == pixels(panel)).all()
    line = still[320:, :, :3]
    assert 0.02 < (line < 0.9).any(2).mean() < 0.5  # there are letters
    assert (line[:, -10:] == 1).all()  # and they end before the edge
    assert metadata["image/png"]["alt"] == f"{panel.words} {panels.STILL}"
    assert bundle["text/plain"] == f"{panel.words}\n{panels.STILL}"
    assert "JupyterLab with ipywidgets" in panels.STILL


def test_with_a_widget_manager_nothing_says_that_it_is_missing(panel):
    bundle, _ = panel._repr_mimebundle_()
    view = bundle["application/vnd.jupyter.widget-view+json"]
    assert view["model_id"] == panel.box.model_id
    shown = [child.value for child in panel.box.children if isinstance(child, widgets.HTML)]
    assert not any(panels.STILL in words for words in shown)
    assert panel.png in shown[0]


def test_the_still_picture_is_the_same_each_time(panel):
    first, second = (panel._repr_mimebundle_()[0]["image/png"] for _ in range(2))
    assert first == second


@pytest.mark.parametrize("width", [6, 8, 12])
def test_the_line_under_it_fits_panels_of_any_width(width):
    line = np.asarray(panels._line_of_text(panels.STILL, Figure((width, 3), dpi=100)))
    assert line.shape == (25, 100 * width, 4)
    assert (line[:, -10:, :3] == 255).all()
    assert (line[[0, -1], :, :3] == 255).all()


def test_the_static_twin_shows_each_setting(capsys, monkeypatch):
    shown = []
    monkeypatch.setattr(helpers.plt, "show", lambda: shown.append(helpers.plt.gcf()))
    helpers.static_twin(draw, {"slope": 1}, {"slope": 2}, {"slope": 3})
    assert len(shown[0].axes) == 3
    assert [row.get_suptitle() for row in shown[0].subfigs] == [
        "slope 1",
        "slope 2",
        "slope 3",
    ]
    assert capsys.readouterr().out == "".join(f'the "slope" is {i}\n' for i in (1, 2, 3))
    helpers.plt.close(shown[0])


def test_a_figure_is_described_by_its_titles_and_axes():
    figure = Figure()
    left, right, third = figure.subplots(1, 3)
    left.set_title("Loss falls", loc="left")
    left.set(xlabel="step", ylabel="loss, nats")
    right.set_title("All names")
    right.set(ylabel="count")
    third.set(xlabel="letter")
    assert panels.description(figure) == (
        "A picture. Loss falls: loss, nats over step. All names: count. values over letter."
    )
    assert panels.description(Figure()) == "A picture."


@pytest.fixture
def shell(monkeypatch):
    """The part of a notebook's shell that shows figures as PNG, with their words."""
    shell = SimpleNamespace(display_formatter=DisplayFormatter())
    select_figure_formats(shell, {"png"})
    monkeypatch.setattr(panels, "get_ipython", lambda: shell)
    monkeypatch.setattr(panels.plt, "show", lambda: None)
    panels.describe_figures()
    panels.describe_figures()  # as when the setup cell is run twice
    return shell


def test_a_figure_is_shown_with_its_words(shell):
    figure = Figure()
    figure.subplots().set_title("Loss falls")
    FigureCanvasAgg(figure)
    data, metadata = shell.display_formatter.format(figure)
    assert "image/png" in data
    assert metadata["image/png"]["alt"] == "A picture. Loss falls."


def test_an_empty_figure_has_no_picture_and_no_warning(shell):
    figure = Figure()
    FigureCanvasAgg(figure)
    data, metadata = shell.display_formatter.format(figure)  # warnings are errors here
    assert "image/png" not in data
    assert "image/png" not in metadata
