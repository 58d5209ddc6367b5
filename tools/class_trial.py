"""A class, tried: learners who at once log in to a JupyterHub, open a lesson, run it, and move its slider.

    python tools/class_trial.py                          ten learners; half an hour on two cores; renews the README
    python tools/class_trial.py --learners 2 --short     a quick look: short trainings, and the README stays as it is

The hub is a real one, on this machine only; each learner has a server, a kernel and a Chromium. Then all but one run
the lesson again, and in the middle of it one learner's server is killed. Run it on a machine that does nothing else.
"""

import argparse
import datetime
import math
import os
import platform
import shutil
import statistics
import sys
import tempfile
import threading
import time
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from pathlib import Path

import browser
import classroom
import lessons
import psutil
import rebuild
from playwright.sync_api import TimeoutError as PlaywrightTimeout

LESSON = "03_fixing_the_saturated_tanh.ipynb"
MOVES = 10  # of the slider, in each of its measurements
PATIENCE = 3600  # seconds for the lesson: ten trainings on two cores, with other work beside them
WAIT = 900  # seconds for anything else
UNDER_WAY = 15  # seconds from a second Run All until a server is killed
RUNNING = ".jp-InputPrompt:has-text('[*]')"
NOTE = "  # a note of my own"

# Remembers when the first picture of an output is there, in milliseconds from now.
FIRST_PICTURE = """() => {
    const start = performance.now();
    window.firstPicture = null;
    const look = () => {
        if (document.querySelector('.jp-OutputArea-output img'))
            window.firstPicture = performance.now() - start;
        else requestAnimationFrame(look);
    };
    look();
}"""


# ---------------------------------------------------------------- What a learner does


@dataclass
class Seen:
    """What one learner has met with. Times in seconds, those of the slider in milliseconds (None: no new picture)."""

    opened: float = math.nan
    first_picture: float = math.nan
    last_cell: float = math.nan
    alone: tuple = ()
    together: tuple = ()
    beside: tuple = ()  # while the others train; only the first learner measures it
    after: tuple = ()  # after another learner's server was killed
    returned: float = math.nan  # only for the one whose server was killed


@dataclass
class Trial:
    """What all learners of a trial share: the classroom, their names, where they wait for each other, whose turn it is.

    The first learner moves the slider while the others run the lesson a second time; the last one's server is
    killed then. rest: what `measure_rest` has found. kernels, kernels_after: of all learners, before and after
    that. saved: whether the last one's file was afterwards what it had been, note and all. errors: what has gone
    wrong, the first one first.
    """

    room: classroom.Classroom
    learners: list
    meeting: threading.Barrier
    turn: threading.Lock
    busy_before: float
    rest: dict = None
    kernels: dict = None
    kernels_after: dict = None
    saved: bool = False
    errors: list = field(default_factory=list)


def log_in(page, desk, room):
    """Log in to the hub and wait until the learner's server has started. Raises Playwright's TimeoutError."""
    page.goto(f"{desk.address}/hub/login")
    page.fill("input[name=username]", desk.learner)
    page.fill("input[name=password]", room.password)
    page.click("input[type=submit]")
    wait_for_server(page, desk)


def wait_for_server(page, desk):
    """Wait until the hub has sent the page to the learner's server. Raises Playwright's TimeoutError after WAIT."""
    deadline = time.time() + WAIT
    while True:
        try:
            return page.wait_for_url(f"**/user/{desk.learner}/**", timeout=60_000)
        except PlaywrightTimeout:
            if time.time() > deadline:
                raise
        # On a busy machine the hub's page of patience can miss that the server is up: people reload it.
        page.goto(f"{desk.address}/hub/spawn/{desk.learner}")


def saved_run(path):
    """When the last cell of the saved lesson had run, in seconds since 1970; None if it has not run yet.

    Raises RuntimeError if a cell has raised, or if JupyterLab has not noted the times.
    """
    try:
        cells = lessons.code_cells(lessons.read(path))
    except ValueError:  # JupyterLab is writing the file at this moment
        return None
    for output in (output for cell in cells for output in cell.outputs):
        if output.output_type == "error":
            raise RuntimeError(f"{path}: {output.ename}: {output.evalue}")
    if browser.DONE not in lessons.output_text(cells[-1]):
        return None
    times = cells[-1].metadata.get("execution", {})
    if "shell.execute_reply" not in times:
        raise RuntimeError(f"{path}: JupyterLab has not noted when its cells ran.")
    return datetime.datetime.fromisoformat(times["shell.execute_reply"]).timestamp()


def run_lesson(page, desk, meeting):
    """Press Run All; wait until the last cell has run, and save.

    Returns the seconds from pressing it to the first picture, and to the end of the last cell.
    """
    path = desk.root / "notebooks" / LESSON
    page.evaluate(FIRST_PICTURE)
    watched = time.time()
    pressed = run_all(page)
    while time.time() < pressed + PATIENCE:
        if meeting.broken:
            raise threading.BrokenBarrierError
        page.wait_for_timeout(1000)
        if page.locator(browser.IDLE).count():
            page.keyboard.press("Control+s")
            page.wait_for_timeout(500)
            ended = saved_run(path)
            if ended is not None:
                first_picture = page.evaluate("window.firstPicture") / 1000
                return watched + first_picture - pressed, ended - pressed
    raise RuntimeError(f"{desk.learner} did not reach the last cell within {PATIENCE} s")


def move_slider(page):
    """Milliseconds from key to picture, for MOVES moves of the panel's first slider."""
    panel = browser.scroll_to(page, browser.PANEL)
    image = panel.locator(".widget-html img")
    return browser.key_to_picture(page, panel.locator(".noUi-handle").first, image, MOVES)


def write_note(page, path):
    """Add NOTE to the last code cell and save. Raises RuntimeError if it does not get into the file."""
    page.locator(".jp-CodeCell .cm-content").last.click()
    page.keyboard.press("Control+End")
    page.keyboard.type(NOTE)
    for _ in range(20):
        page.keyboard.press("Control+s")
        page.wait_for_timeout(500)
        if NOTE in path.read_text(encoding="utf-8"):
            return
    raise RuntimeError(f"the note was not saved in {path}")


def attend(trial, learner):
    """All that one learner does, in a Chromium of its own. Returns what it has Seen.

    If anything goes wrong, nobody waits for this learner any more.
    """
    try:
        with browser.chromium() as chromium:
            page = chromium.new_page(viewport=browser.VIEWPORT)
            page.set_default_timeout(1000 * WAIT)
            return take_part(trial, learner, page)
    except BaseException as error:
        error.add_note(f"This happened to {learner}.")
        trial.errors.append(error)
        trial.meeting.abort()
        raise


def take_part(trial, learner, page):
    """The same, in a page."""
    room, desk, meeting, seen = trial.room, trial.room.desk(learner), trial.meeting, Seen()
    first, last = learner == trial.learners[0], learner == trial.learners[-1]

    meeting.wait()
    start = time.time()
    log_in(page, desk, room)
    browser.open_lesson(page, desk, LESSON, wait=WAIT)
    seen.opened = time.time() - start

    meeting.wait()
    seen.first_picture, seen.last_cell = run_lesson(page, desk, meeting)

    meeting.wait()
    if first:
        trial.rest = measure_rest(trial)
    meeting.wait()
    with trial.turn:
        seen.alone = move_slider(page)
    meeting.wait()
    seen.together = move_slider(page)

    meeting.wait()
    if last:
        write_note(page, desk.root / "notebooks" / LESSON)
    if first:
        trial.kernels = kernel_ids(trial)
    meeting.wait()
    if first:
        page.wait_for_timeout(1000 * UNDER_WAY)
        seen.beside = move_slider(page)
    elif last:
        seen.returned = lose_the_server(trial, page, desk)
    else:
        run_all(page)

    meeting.wait()
    if first:
        trial.kernels_after = kernel_ids(trial)
        end_the_runs(room, trial.learners[1:-1])
    if not last:
        page.wait_for_selector(browser.IDLE)
        browser.settle(page)
        seen.after = move_slider(page)
    meeting.wait()
    return seen


def run_all(page):
    """Press Run All; returns when that was, in seconds since 1970. Raises RuntimeError if no cell gets to run."""
    for _ in range(5):
        page.keyboard.press("Escape")  # closes a menu that an earlier try has left open
        pressed = time.time()
        browser.press_run_all(page)
        try:
            page.wait_for_selector(RUNNING, timeout=30_000)
        except PlaywrightTimeout:  # on a busy machine a click may be lost
            continue
        return pressed
    raise RuntimeError("pressed Run All five times, and no cell has run")


def end_the_runs(room, learners):
    """Interrupt the kernels of these learners until none of them works: each of the lesson's trainings ends so."""
    deadline = time.time() + WAIT
    while working := [name for name in learners if room.works(name)]:
        if time.time() > deadline:
            raise RuntimeError(f"the kernels of {', '.join(working)} cannot be interrupted")
        for name in working:
            room.interrupt(name)
        time.sleep(5)


def lose_the_server(trial, page, desk):
    """Run the lesson again, have the server killed in the middle, start it anew and open the lesson again.

    Returns the seconds from the kill until the lesson was open. The server's file must be as it was: trial.saved.
    """
    path = desk.root / "notebooks" / LESSON
    run_all(page)
    page.wait_for_timeout(1000 * UNDER_WAY)
    before = path.read_bytes()
    killed = time.time()
    trial.room.servers()[desk.learner].kill()
    page.goto("about:blank")
    while is_up(trial.room, desk.learner):
        page.wait_for_timeout(500)
        if time.time() > killed + WAIT:
            raise RuntimeError(f"the hub has not noticed that the server of {desk.learner} is gone")
    page.goto(f"{desk.address}/hub/spawn/{desk.learner}")
    wait_for_server(page, desk)
    browser.open_lesson(page, desk, LESSON, wait=WAIT)
    seconds = time.time() - killed
    trial.saved = path.read_bytes() == before and NOTE.encode() in before
    return seconds


def is_up(room, learner):
    """Whether the hub believes that this learner's server runs."""
    return bool(room.ask(f"/hub/api/users/{learner}")["servers"])


def kernel_ids(trial):
    """The kernels of all learners: a dict from the learner's name to a list of ids."""
    return {
        learner: sorted(kernel["id"] for kernel in trial.room.kernels(learner))
        for learner in trial.learners
    }


def measure_rest(trial):
    """What is used when all have run the lesson and nobody does anything, as a dict.

    memory: of each group of processes, [share, resident] in MiB. cpu: of each learner's server and kernel, core
    seconds until now. others: the part of the cores' work since the start that was for other programs than the
    trial's.
    """
    time.sleep(2 * classroom.EVERY)
    groups = trial.room.groups()
    ours = classroom.cpu_seconds(classroom.with_children(psutil.Process()))
    return {
        "memory": trial.room.look(),
        "cpu": {learner: classroom.cpu_seconds(groups[learner]) for learner in trial.learners},
        "others": max(0.0, 1 - ours / (busy() - trial.busy_before)),
    }


def busy():
    """The seconds that the machine's cores have worked since it was started."""
    times = psutil.cpu_times()
    return times.user + times.nice + times.system


# ---------------------------------------------------------------- The trial and its table


def hold(room, learners):
    """Let the learners take part. Returns what was measured, as data: what `table` takes."""
    trial = Trial(room, learners, threading.Barrier(len(learners)), threading.Lock(), busy())
    with ThreadPoolExecutor(len(learners)) as threads:
        futures = [threads.submit(attend, trial, learner) for learner in learners]
        try:
            wait(futures, return_when=FIRST_EXCEPTION)
        finally:  # after an error, or Ctrl-C, nobody is to wait for anything any more
            if not all(future.done() for future in futures):
                trial.meeting.abort()
                close_browsers(room)
    if trial.errors:
        raise trial.errors[0]
    return measured(trial, [future.result() for future in futures])


def close_browsers(room):
    """End all browsers of the trial, with their drivers: who waits for a page gets an error."""
    drivers = [child for child in psutil.Process().children() if child != room.process]
    classroom.stop([each for driver in drivers for each in classroom.with_children(driver)])


def measured(trial, seen):
    """The trial's numbers: MiB, seconds, and milliseconds for the slider (None: no new picture)."""
    rest, peaks = trial.rest, trial.room.peaks
    return {
        "learners": len(seen),
        "minutes": lessons.front_matter(lessons.story.LESSONS_FOLDER / LESSON).minutes,
        "others": rest["others"],
        "memory at rest": [rest["memory"][name][0] for name in trial.learners],
        "memory at peak": [peaks[name][0] for name in trial.learners],
        "resident at peak": [peaks[name][1] for name in trial.learners],
        "opened": [each.opened for each in seen],
        "first picture": [each.first_picture for each in seen],
        "last cell": [each.last_cell for each in seen],
        "cpu": [rest["cpu"][name] for name in trial.learners],
        "alone": [each for one in seen for each in one.alone],
        "together": [each for one in seen for each in one.together],
        "beside": list(seen[0].beside),
        "after": [each for one in seen for each in one.after],
        "hub": peaks["hub"][0],
        "proxy": peaks["proxy"][0],
        "returned": seen[-1].returned,
        "saved": trial.saved,
        "kept": [trial.kernels[name] == trial.kernels_after[name] for name in trial.learners],
    }


def latency(times):
    """From key to picture, in words: median, 90th percentile, and how many moves brought none within 3 s."""
    given = [each for each in times if each is not None]
    lost = len(times) - len(given)
    words = [f"{lost} of {len(times)} moves brought no picture within 3 s"] if lost else []
    if len(given) > 1:
        most = statistics.quantiles(given, n=10)[-1]
        words.insert(0, f"{statistics.median(given):.0f} / {most:.0f} ms")
    return "; ".join(words)


EACH = {  # what is measured for each learner, with its unit
    "memory at rest": ("memory of server and kernel when the lesson has run", "MiB"),
    "memory at peak": ("the same at its peak", "MiB"),
    "resident at peak": ("the same, what processes share counted in full", "MiB"),
    "opened": ("from logging in to the open lesson", "s"),
    "first picture": ("from *Run All* to the first picture", "s"),
    "last cell": ("from *Run All* to the last cell", "s"),
    "cpu": ("time on a core for all of this", "s"),
}


def table(found, versions):
    """The lines of markdown that tell what `measured` has found, and what it means for larger classes."""
    n = found["learners"]
    yield versions
    yield (
        f"{n} learners at once, each in a Chromium on the same machine; other programs had "
        f"{found['others']:.0%} of the cores' work."
    )
    yield ""
    yield "| for each learner, lesson 03 | median | most |"
    yield "|---|---|---|"
    for name, (words, unit) in EACH.items():
        values = found[name]
        yield f"| {words} | {statistics.median(values):,.0f} {unit} | {max(values):,.0f} {unit} |"
    yield ""
    yield "| slider to picture | median / 90th percentile |"
    yield "|---|---|"
    yield f"| one moves, the others do nothing | {latency(found['alone'])} |"
    yield f"| all {n} move at once | {latency(found['together'])} |"
    yield f"| one moves, the others run the lesson | {latency(found['beside'])} |"
    yield ""
    yield f"Hub {found['hub']:,.0f} MiB, proxy {found['proxy']:,.0f} MiB."
    *others, own = found["kept"]
    yield (
        "Then one learner's server was killed in the middle of a *Run All*. "
        f"{found['returned']:.0f} s later the lesson was open again, "
        + ("as it had been saved" if found["saved"] else "NOT as it had been saved")
        + (
            ", with the same kernel. "
            if own
            else ", with a new kernel that knew nothing of the old one. "
        )
        + f"Of the {len(others)} others {sum(others)} kept their kernel; "
        f"their slider to picture: {latency(found['after'])}."
    )
    yield ""
    yield (
        "For larger classes this means, if nothing else gets in the way (an estimate, not tried): memory for "
        "everybody's peak, the largest seen here, and cores for everybody's *Run All*, either within five minutes, "
        f"if all press it at once, or spread over the {found['minutes']} minutes of the lesson."
    )
    yield ""
    yield "| estimate | memory | cores, all at once | cores, spread |"
    yield "|---|---|---|---|"
    for learners in (30, 300):
        yield "| " + " | ".join(estimate(found, learners)) + " |"


def estimate(found, learners):
    """The cells of the estimate for a class of this size: who, memory, cores for all at once, cores on average."""
    mebibytes = learners * max(found["memory at peak"]) + found["hub"] + found["proxy"]
    work = learners * statistics.median(found["cpu"])  # core seconds
    return (
        f"{learners} learners",
        f"{mebibytes / 1024:,.0f} GiB",
        f"{math.ceil(work / 300)}",
        f"{math.ceil(work / (60 * found['minutes']))}",
    )


def versions():
    """When, on what and with what this was measured."""
    packages = classroom.run([classroom.BUILT / "venv" / "bin" / "jupyterhub", "--version"])
    return (
        f"Measured on {datetime.date.today()}, {platform.system()}, {os.cpu_count()} cores, one thread a kernel, "
        f"Python {platform.python_version()}, JupyterHub {packages.strip()}."
    )


def main(arguments):
    """Hold the trial and print its table; with full trainings, renew the README's, too. Returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument(
        "--learners", type=int, default=10, help="how many, at least 2 (default: 10)"
    )
    parser.add_argument(
        "--short", action="store_true", help="train only a little; the README stays as it is"
    )
    chosen = parser.parse_args(arguments)
    if chosen.learners < 2:
        parser.error(
            "--learners: at least 2, because one moves the slider while another's server is killed"
        )
    if browser.find_chromium() is None:
        parser.error(f"no Chromium on the PATH: none of {', '.join(browser.CHROMIUM_NAMES)}")
    try:
        classroom.install()
    except RuntimeError as error:
        print(error, file=sys.stderr)
        return 1
    learners = [f"learner{number:02}" for number in range(1, chosen.learners + 1)]
    folder = Path(tempfile.mkdtemp(prefix="run-", dir=classroom.BUILT))
    try:
        classroom.make_desks(folder / "learners", learners, LESSON, chosen.short)
        with classroom.running_class(folder) as room:
            found = hold(room, learners)
    except BaseException:
        print(f"what the hub and the servers said: {folder / 'hub.log'}", file=sys.stderr)
        raise
    shutil.rmtree(folder)
    lines = list(table(found, versions()))
    print("\n".join(lines))
    if not chosen.short:
        rebuild.renew_block("class", lines, "make class")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
