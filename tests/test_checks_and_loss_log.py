"""The lines that hold the text against a run, and the table of losses."""

import json
import math

import nbformat
import pytest
import story
import torch

import helpers

ROW = {"initial": 27.9, "train": 2.1, "dev": 2.2, "steps": story.TRAINING_STEPS}


@pytest.mark.parametrize("measured", [2.1220, 2.1129, 2.1311, torch.tensor(2.1220)])
def test_a_check_within_its_band_says_what_the_text_says(capsys, measured):
    helpers.check("train loss", measured, 2.1220, within=0.0092)
    assert capsys.readouterr().out == "✓ train loss: 2.122 (within 0.0092)\n"


@pytest.mark.parametrize("measured", [2.14, -2.122, math.nan, math.inf, torch.tensor(math.nan)])
def test_a_check_outside_its_band_says_what_came_out(capsys, measured):
    helpers.check("train loss", measured, 2.1220, within=0.01)
    out = capsys.readouterr().out
    assert out.startswith("✗ train loss: the text says 2.122 (within 0.01), this run gave ")
    assert f"{float(measured):,.6g}" in out


def test_without_a_band_only_the_same_number_passes(capsys):
    helpers.check("parameters", 11_897, 11_897)
    helpers.check("parameters", 11_898, 11_897)
    right, wrong = capsys.readouterr().out.splitlines()
    assert right == "✓ parameters: 11,897"
    assert wrong.startswith("✗ parameters: the text says 11,897, this run gave 11,898")


def save_lesson(folder, name, log):
    cell = nbformat.v4.new_code_cell("log")
    cell.outputs = [nbformat.v4.new_output("display_data", log._repr_mimebundle_())]
    nbformat.write(nbformat.v4.new_notebook(cells=[cell]), folder / name)


@pytest.fixture
def two_steps(monkeypatch):
    monkeypatch.setattr(
        story,
        "STORY",
        {
            "first": story.Step("01", "start", ("2.0", "2.5")),
            "second": story.Step("02", "repair", ("1.75", "1.9")),
        },
    )


def test_the_log_takes_earlier_rows_from_the_saved_lessons(tmp_path, two_steps):
    save_lesson(tmp_path, "01_a.ipynb", story.loss_log("first", **ROW, folder=tmp_path))
    log = story.loss_log("second", initial=3.3, train=1.5, dev=1.6, steps=200_000, folder=tmp_path)
    assert list(log.rows) == ["first", "second"]
    assert log.rows["first"] == ROW
    assert str(log).splitlines()[2:] == [
        "| start             | 01     | 27.9000      | 2.1000 | 2.0       | 2.2000 | 2.5       |",
        "| repair            | 02     | 3.3000       | 1.5000 | 1.75      | 1.6000 | 1.9       |",
    ]


def test_a_lesson_runs_alone(tmp_path, two_steps):
    log = story.loss_log("second", **ROW, folder=tmp_path)
    assert log.rows["first"] is None
    assert "| start             | 01     | run and save this lesson |" in str(log)


def test_the_first_lesson_does_not_read_the_later_ones(tmp_path, two_steps):
    save_lesson(tmp_path, "02_b.ipynb", story.loss_log("second", **ROW, folder=tmp_path))
    assert list(story.loss_log("first", **ROW, folder=tmp_path).rows) == ["first"]


def test_an_interrupted_training_is_marked(tmp_path, two_steps):
    log = story.loss_log("first", **(ROW | {"steps": 1234}), folder=tmp_path)
    assert "| start, stopped at step 1,234 |" in str(log)


def test_a_diverged_loss_is_shown_and_can_be_saved(tmp_path, two_steps):
    log = story.loss_log("first", **(ROW | {"train": math.nan, "dev": math.inf}), folder=tmp_path)
    assert "| nan " in str(log)
    assert "| inf " in str(log)
    bundle = log._repr_mimebundle_()
    json.dumps(bundle, allow_nan=False)
    save_lesson(tmp_path, "01_a.ipynb", log)
    assert "| nan " in str(story.loss_log("second", **ROW, folder=tmp_path))


def test_an_unknown_step_is_named():
    with pytest.raises(KeyError, match="'startr' is no step of the story; the steps are starter"):
        story.loss_log("startr", **ROW)
