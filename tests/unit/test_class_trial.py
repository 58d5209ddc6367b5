"""The trial of a class, as far as it needs no hub: processes, desks, the table, the README."""

import subprocess
import sys

import class_trial
import classroom
import lessons
import psutil
import pytest
import readme

BLOCK = 64 * classroom.MEBI
# Starts a process of its own in a new session, as a server does with a kernel, and tells its number.
PARENT = """
import subprocess, sys, time
sleep = [sys.executable, "-c", "import time; time.sleep(60)"]
child = subprocess.Popen(sleep, start_new_session=True, stdout=subprocess.DEVNULL)
print(child.pid, flush=True)
time.sleep(60)
"""


def start(source):
    """A process of this Python, and the first line that it prints."""
    started = subprocess.Popen([sys.executable, "-c", source], stdout=subprocess.PIPE, text=True)
    return psutil.Process(started.pid), started.stdout.readline().strip(), started


def test_memory_is_what_a_process_has_taken():
    idle, _, popen_idle = start("import time; print(flush=True); time.sleep(60)")
    full, _, popen_full = start(
        f"import time; taken = b'x' * {BLOCK}; print(flush=True); time.sleep(60)"
    )
    try:
        without, _ = classroom.memory([idle])
        share, resident = classroom.memory([full])
        assert share - without == pytest.approx(64, abs=4)
        assert resident >= share
        both, _ = classroom.memory([idle, full])
        assert both == pytest.approx(without + share, abs=4)
    finally:
        classroom.stop([idle, full])
        for popen in (popen_idle, popen_full):
            popen.communicate()
    assert classroom.memory([idle, full]) == (0, 0), "who has ended uses nothing"
    assert classroom.cpu_seconds([full]) == 0


def test_who_outlives_the_hub_is_stopped():
    parent, child, popen = start(PARENT)
    group = classroom.with_children(parent)
    assert [process.pid for process in group] == [parent.pid, int(child)]
    parent.kill()
    popen.communicate()
    assert classroom.with_children(parent) == []
    orphan = group[1]
    assert orphan.is_running()
    assert classroom.stop(group) == [orphan]
    assert not orphan.is_running()
    assert classroom.stop(group) == []


@pytest.mark.slow
def test_each_desk_has_a_series_of_its_own_with_the_lesson_not_yet_run(tmp_path):
    classroom.make_desks(tmp_path, ["ada", "emmy"], class_trial.LESSON, short=False)
    for learner in ("ada", "emmy"):
        series = tmp_path / learner / "series"
        cells = lessons.code_cells(lessons.read(series / "notebooks" / class_trial.LESSON))
        assert not any(cell.outputs or cell.execution_count for cell in cells)
        original = lessons.code_cells(
            lessons.read(lessons.story.LESSONS_FOLDER / class_trial.LESSON)
        )
        assert [cell.source for cell in cells[:-1]] == [cell.source for cell in original]
        assert "recordTiming" in (series / "lab-settings" / "overrides.json").read_text()
        for needed in ("helpers.py", "names.txt", "lessonkit/__init__.py", "jupyter_lab_config.py"):
            assert (series / needed).is_file(), needed
        for foreign in (".venv", ".git", "_build", "node_modules", "tests"):
            assert not (series / foreign).exists(), foreign
    assert not (tmp_path / "ada" / "series" / "names.txt").samefile(
        tmp_path / "emmy" / "series" / "names.txt"
    )


FOUND = {
    "learners": 3,
    "minutes": 40,
    "others": 0.25,
    "memory at rest": [500.0, 510.0, 505.0],
    "memory at peak": [800.0, 1000.0, 900.0],
    "resident at peak": [1000.0, 1200.0, 1100.0],
    "opened": [20.0, 25.0, 30.0],
    "first picture": [5.0, 6.0, 7.0],
    "last cell": [100.0, 200.0, 300.0],
    "cpu": [90.0, 100.0, 120.0],
    "alone": [40.0] * 9 + [100.0],
    "together": [400.0] * 10,
    "beside": [90.0] * 9 + [None],
    "after": [40.0] * 10,
    "hub": 140.0,
    "proxy": 100.0,
    "returned": 21.0,
    "saved": True,
    "kept": [True, True, False],
}


def test_the_table_says_what_was_measured():
    text = "\n".join(class_trial.table(FOUND, "Measured today."))
    for line in (
        "3 learners at once, each in a Chromium on the same machine; other programs had 25% of the cores' work.",
        "| the same at its peak | 900 MiB | 1,000 MiB |",
        "| from *Run All* to the last cell | 200 s | 300 s |",
        "| all 3 move at once | 400 / 400 ms |",
        "| one moves, the others run the lesson | 90 / 90 ms; 1 of 10 moves brought no picture within 3 s |",
        # 30 learners: 30 * 1000 + 240 MiB; 30 * 100 core seconds in 300 s, and in 40 minutes
        "| 30 learners | 30 GiB | 10 | 2 |",
        "| 300 learners | 293 GiB | 100 | 13 |",
    ):
        assert line in text.splitlines()
    assert "21 s later the lesson was open again, as it had been saved, with a new kernel" in text
    assert "Of the 2 others 2 kept their kernel; their slider to picture: 40 / 40 ms." in text


def test_the_table_hides_no_loss():
    text = "\n".join(
        class_trial.table(
            FOUND | {"saved": False, "kept": [True, False, False], "alone": [None] * 10},
            "Measured today.",
        )
    )
    assert "open again, NOT as it had been saved" in text
    assert "Of the 2 others 1 kept their kernel" in text
    assert (
        "| one moves, the others do nothing | 10 of 10 moves brought no picture within 3 s |"
        in text
    )


def test_the_readme_has_its_place():
    text = readme.README.read_text(encoding="utf-8")
    assert "a table" in readme.with_blocks(text, {"class": "a table"}, "make class")


def test_a_run_is_over_when_its_last_cell_has_run(tmp_path):
    path = tmp_path / "lesson.ipynb"
    notebook = lessons.nbformat.v4.new_notebook()
    cell = lessons.nbformat.v4.new_code_cell("print()")
    notebook.cells = [cell]
    path.write_bytes(lessons.as_bytes(notebook))
    assert class_trial.saved_run(path) is None

    cell.outputs = [lessons.nbformat.v4.new_output("stream", text=class_trial.browser.DONE)]
    path.write_bytes(lessons.as_bytes(notebook))
    with pytest.raises(RuntimeError, match="has not noted when"):
        class_trial.saved_run(path)

    cell.metadata["execution"] = {"shell.execute_reply": "1970-01-01T00:01:40.500000Z"}
    path.write_bytes(lessons.as_bytes(notebook))
    assert class_trial.saved_run(path) == 100.5

    path.write_text(path.read_text()[:50])
    assert class_trial.saved_run(path) is None, "a file that is being written is looked at again"

    error = lessons.nbformat.v4.new_output("error", ename="NameError", evalue="no x", traceback=[])
    cell.outputs = [error]
    path.write_bytes(lessons.as_bytes(notebook))
    with pytest.raises(RuntimeError, match="NameError: no x"):
        class_trial.saved_run(path)


@pytest.mark.parametrize(
    ("without", "says"), [("npm", "install Node.js"), ("smaps", "needs Linux 4.14")]
)
def test_what_is_missing_is_named(monkeypatch, without, says):
    if without == "npm":
        monkeypatch.setattr(classroom.shutil, "which", lambda name: None)
    else:
        monkeypatch.setattr(classroom.Path, "is_file", lambda path: False)
    with pytest.raises(RuntimeError, match=says):
        classroom.install()


def test_a_command_that_fails_says_why():
    with pytest.raises(RuntimeError, match="no such package"):
        classroom.run([sys.executable, "-c", "raise SystemExit('no such package')"])


def test_one_learner_is_no_class(capsys):
    with pytest.raises(SystemExit):
        class_trial.main(["--learners", "1"])
    assert "at least 2" in capsys.readouterr().err
