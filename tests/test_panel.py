"""The panel: the picture follows the sliders, errors are shown, and without a kernel there is a picture."""

import base64
import io

import ipywidgets as widgets
import matplotlib.image
import panels
import pytest
from matplotlib.figure import Figure

import helpers


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
    assert before.shape == after.shape == (320, 800, 4)
    assert (before != after).any()
    panel.controls["slope"].value = 1
    assert (pixels(panel) == before).all()


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


def test_without_a_kernel_it_is_a_picture(panel):
    bundle, metadata = panel._repr_mimebundle_()
    assert bundle["image/png"] == panel.png
    assert metadata["image/png"]["alt"] == panel.words
    assert bundle["text/plain"] == panel.words
    assert "application/vnd.jupyter.widget-view+json" in bundle


def test_the_static_twin_shows_each_setting(capsys, monkeypatch):
    shown = []
    monkeypatch.setattr(helpers.plt, "show", lambda: shown.append(helpers.plt.gcf()))
    helpers.static_twin(draw, {"slope": 1}, {"slope": 2}, {"slope": 3})
    assert len(shown[0].axes) == 3
    assert [row.get_suptitle() for row in shown[0].subfigs] == [
        "slope = 1",
        "slope = 2",
        "slope = 3",
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
