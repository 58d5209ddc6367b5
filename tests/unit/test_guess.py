"""A guess: a number that a learner commits before it is measured."""

import matplotlib.pyplot as plt
import pytest

import helpers


@pytest.fixture
def guess():
    return helpers.Guess("loss, nats", 0, 40, 0.5)


@pytest.fixture
def axes():
    figure, axes = plt.subplots()
    yield axes
    plt.close(figure)


def test_while_nobody_has_moved_the_slider_the_result_stands_alone(guess, axes, capsys):
    guess.mark(axes, "x")
    guess.against(27.8817)
    assert not axes.get_lines()
    assert capsys.readouterr().out == "loss, nats: measured 27.9.\n"


@pytest.mark.parametrize("along", ["x", "y"])
def test_a_guess_is_drawn_into_the_picture(guess, axes, along):
    guess.slider.value = 3.5
    guess.mark(axes, along)
    (line,) = axes.get_lines()
    assert set(line.get_xdata() if along == "x" else line.get_ydata()) == {3.5}
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["your guess"]


@pytest.mark.parametrize(
    ("guessed", "said"),
    [
        (3.5, "measured 27.9, you guessed 3.5, off by a factor of 7.97."),
        (30, "measured 27.9, you guessed 30."),
        (0, "measured 27.9, you guessed 0."),
    ],
)
def test_a_guess_is_compared_with_the_measurement(guess, guessed, said, capsys):
    guess.slider.value = 1  # the slider was moved, and perhaps back to its end
    guess.slider.value = guessed
    guess.against(27.8817)
    assert capsys.readouterr().out == f"loss, nats: {said}\n"


def test_only_a_size_is_off_by_a_factor(capsys):
    guess = helpers.Guess("cosine", -1, 1, 0.02)
    guess.slider.value = 0.5
    guess.against(0.11)
    assert capsys.readouterr().out == "cosine: measured 0.11, you guessed 0.5.\n"


@pytest.mark.parametrize(
    ("low", "step", "log", "readout"),
    [
        (0, 100, False, ".0f"),
        (0, 0.005, False, ".3f"),
        (0.05, 0.1, False, ".2f"),
        (0, 0.05, True, ".3g"),
    ],
)
def test_the_number_beside_the_slider_has_the_decimals_that_it_needs(low, step, log, readout):
    guess = helpers.Guess("loss", low, low + 10 * step, step, log)
    assert guess.slider.readout_format == readout


@pytest.mark.parametrize(("low", "high", "step"), [(1, 0, 0.1), (1, 1, 0.1), (0, 1, 0)])
def test_a_slider_that_cannot_move_is_refused(low, high, step):
    with pytest.raises(ValueError, match="low must be below high, step above 0"):
        helpers.Guess("loss", low, high, step)


def test_running_the_cells_again_keeps_the_picture_to_one_guess(guess, axes):
    guess.slider.value = 3.5
    guess.slider.value = 4
    guess.mark(axes, "x")
    assert [line.get_xdata()[0] for line in axes.get_lines()] == [4]


def test_large_and_small_numbers_are_readable(capsys):
    helpers.Guess("steps", 0, 20_000, 500).against(13_000)
    helpers.Guess("loss", 0, 1, 0.1).against(0.00123)
    assert capsys.readouterr().out == "steps: measured 13,000.\nloss: measured 0.00123.\n"


def test_a_logarithmic_slider_runs_over_powers_of_ten(capsys):
    guess = helpers.Guess("std", -6, 2, 0.1, log=True)
    guess.slider.value = 0.001
    guess.against(0.01)
    assert (
        capsys.readouterr().out == "std: measured 0.01, you guessed 0.001, off by a factor of 10.\n"
    )


def test_without_a_kernel_the_question_stands_alone(guess):
    bundle = guess._repr_mimebundle_()
    assert "loss, nats" in bundle["text/markdown"]
    assert bundle["text/plain"] == bundle["text/markdown"]


def test_its_control_is_labelled_and_its_words_are_announced(guess):
    assert guess.slider.description
    guess.slider.value = 5
    assert 'role="status"' in guess.box.children[-1].value
    assert "5" in guess.box.children[-1].value
