"""The loss log: the table of losses, and where it finds what the earlier lessons have measured."""

import json
import math
import shutil

import nbformat
import pytest

import helpers
from lessonkit import story

ROW = {"initial": 27.9, "train": 2.1, "dev": 2.2, "steps": story.TRAINING_STEPS}


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
            "first": story.Step("01_a", "start", ("2.0", "2.5")),
            "second": story.Step("02_b", "repair", ("1.75", "1.9")),
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


def test_a_lesson_can_measure_two_steps(tmp_path, two_steps):
    save_lesson(
        tmp_path, "01_a.ipynb", story.loss_log("first", **(ROW | {"dev": 9.9}), folder=tmp_path)
    )
    log = story.loss_log("first", **ROW, folder=tmp_path)
    both = story.loss_log("second", **(ROW | {"dev": 1.5}), before=log, folder=tmp_path)
    assert both.rows == {"first": ROW, "second": ROW | {"dev": 1.5}}


def test_an_unknown_step_is_named():
    with pytest.raises(KeyError, match="'startr' is no step of the story; the steps are starter"):
        story.loss_log("startr", **ROW)


def test_each_step_has_its_lesson():
    for step in helpers.STORY.values():
        assert (story.LESSONS_FOLDER / f"{step.file}.ipynb").exists()


COPIES = ["01_a-Copy1", "01_a copy", "01_a (1)", "01_A", "01_a_backup", "01_0_mine", "01_"]


@pytest.mark.parametrize("copy", COPIES)
def test_a_copy_of_a_lesson_does_not_count(tmp_path, two_steps, copy):
    other = story.loss_log("first", **(ROW | {"train": 9.9}), folder=tmp_path)
    save_lesson(tmp_path, f"{copy}.ipynb", other)
    if not (
        tmp_path / "01_a.ipynb"
    ).exists():  # where capital letters count, the copy is another file
        assert story.loss_log("second", **ROW, folder=tmp_path).rows["first"] is None
    save_lesson(tmp_path, "01_a.ipynb", story.loss_log("first", **ROW, folder=tmp_path))
    assert story.loss_log("second", **ROW, folder=tmp_path).rows["first"] == ROW


def test_a_lesson_that_was_not_run_has_no_row(tmp_path, two_steps):
    nbformat.write(nbformat.v4.new_notebook(), tmp_path / "01_a.ipynb")
    assert story.saved_row("first", tmp_path) is None


BROKEN = {
    "empty": (lambda text: "", "it is empty"),
    "blank": (lambda text: "\n", "it is empty"),
    "truncated": (lambda text: text[: len(text) // 2], "line "),
    "a conflict": (lambda text: "<<<<<<< HEAD\n" + text, "line 1"),
    "another JSON": (lambda text: "[1, 2]", "it has no cells"),
    "an old notebook": (lambda text: '{"worksheets": [], "nbformat": 3}', "it has no cells"),
}


@pytest.mark.parametrize(("breaking", "reason"), BROKEN.values(), ids=BROKEN.keys())
def test_a_broken_notebook_is_named_and_does_not_stop_the_lesson(
    tmp_path, two_steps, breaking, reason
):
    save_lesson(tmp_path, "01_a.ipynb", story.loss_log("first", **ROW, folder=tmp_path))
    path = tmp_path / "01_a.ipynb"
    path.write_text(breaking(path.read_text(encoding="utf-8")), encoding="utf-8")
    with pytest.warns(UserWarning) as caught:
        log = story.loss_log("second", **ROW, folder=tmp_path)
    (said,) = {str(warning.message) for warning in caught}
    assert said.startswith(f"{path} cannot be read as a notebook (")
    assert reason in said
    assert said.endswith("run that lesson and save it.")
    assert "\n" not in said
    assert "run and save this lesson" in str(log)


def test_a_notebook_of_other_bytes_or_a_folder_in_its_place_is_named(tmp_path, two_steps):
    path = tmp_path / "01_a.ipynb"
    path.write_bytes(b"\xff\xfe{\0}\0")
    with pytest.warns(UserWarning, match=r"01_a\.ipynb cannot be read as a notebook"):
        assert story.saved_row("first", tmp_path) is None
    path.unlink()
    path.mkdir()
    with pytest.warns(UserWarning, match=r"01_a\.ipynb cannot be read as a notebook"):
        assert story.saved_row("first", tmp_path) is None


def test_a_broken_copy_is_nobodys_business(tmp_path, two_steps):
    save_lesson(tmp_path, "01_a.ipynb", story.loss_log("first", **ROW, folder=tmp_path))
    (tmp_path / "01_a-Copy1.ipynb").write_text("")
    shutil.copy(
        tmp_path / "01_a-Copy1.ipynb", tmp_path / "02_b.ipynb"
    )  # this lesson's own file is not read
    assert story.loss_log("second", **ROW, folder=tmp_path).rows["first"] == ROW
