"""The lessons in a real JupyterLab and a real Chromium: what the browser tests and the benchmark share."""

import json
import os
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import lessons
import nbformat
import shorten

CHROMIUM_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
CHROMIUM_FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
NOTE = "*This copy trains only a little: it is made for a test of the panels.*"
DONE = "the-last-cell-has-run"
PANEL = ".jp-OutputArea-output .widget-vbox:has(.widget-html img[alt])"
GUESS = ".jp-OutputArea-output .widget-vbox:has(label:text-is('your guess'))"
INTERACT = ".jp-OutputArea-output .widget-interact:has(img)"
VIEWPORT = {"width": 1400, "height": 1000}
IDLE = ".jp-Notebook-ExecutionIndicator[data-status='idle']"


def find_chromium():
    """The path of a Chromium on this machine's PATH, or None."""
    return next((path for name in CHROMIUM_NAMES if (path := shutil.which(name))), None)


def at_home(folder):
    """The environment of a program that keeps its settings, workspaces and data in this folder."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("JUPYTER", "XDG_"))
    }
    return kept | {
        "HOME": str(folder),
        "USERPROFILE": str(folder),
        "IPYTHONDIR": f"{folder}/ipython",
    }


@contextmanager
def chromium():
    """A headless Chromium, driven by Playwright. Raises FileNotFoundError if there is none on the PATH."""
    from playwright.sync_api import sync_playwright

    path = find_chromium()
    if path is None:
        raise FileNotFoundError(f"no Chromium on the PATH: none of {', '.join(CHROMIUM_NAMES)}")
    with tempfile.TemporaryDirectory() as home, sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=path, args=CHROMIUM_FLAGS, env=at_home(home)
        )
        try:
            yield browser
        finally:
            browser.close()


# ---------------------------------------------------------------- JupyterLab


@dataclass(frozen=True)
class Lab:
    """A running JupyterLab: its port on localhost, its token, its folder."""

    port: int
    token: str
    root: Path

    def url(self, path=""):
        """The address of a file in this JupyterLab, with the token, in a new workspace."""
        return f"http://localhost:{self.port}/lab/tree/{path}?reset&token={self.token}"


def free_port():
    """A port on localhost that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("localhost", 0))
        return probe.getsockname()[1]


def listens(port):
    """Whether somebody listens on this port of localhost."""
    try:
        socket.create_connection(("localhost", port), timeout=1).close()
    except OSError:
        return False
    return True


@contextmanager
def running_lab(root, log, wait=60):
    """JupyterLab with the settings of `make lab`, for the series in the folder `root`; log: a file for what it says.

    Beside the log stands its home: a workspace of the user's would make the next `make lab` open what the tests did.

    Raises RuntimeError with the log if it does not answer within `wait` seconds.
    """
    port, token = free_port(), secrets.token_hex(16)
    settings = [
        "--config=jupyter_lab_config.py",
        "--no-browser",
        f"--port={port}",
        "--ServerApp.port_retries=0",
    ]
    settings += ["--allow-root"] if hasattr(os, "getuid") and os.getuid() == 0 else []
    home = log.with_name("home")
    home.mkdir(exist_ok=True)
    with log.open("w") as out:
        server = subprocess.Popen(
            [sys.executable, "-m", "jupyter", "lab", *settings],
            cwd=root,
            env=at_home(home) | {"JUPYTER_TOKEN": token},
            stdout=out,
            stderr=subprocess.STDOUT,
        )
    try:
        deadline = time.monotonic() + wait
        while not listens(port):  # its log says so a little too early
            if server.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"JupyterLab did not start:\n{log.read_text()}")
            time.sleep(0.1)
        yield Lab(port, token, root)
    finally:
        server.terminate()
        server.wait(timeout=30)


def stop_kernels(lab):
    """Shut down all kernels of this JupyterLab: a page that is closed leaves its own running, with its memory."""
    address = f"http://localhost:{lab.port}/api/kernels"
    headers = {"Authorization": f"token {lab.token}"}
    with urllib.request.urlopen(urllib.request.Request(address, headers=headers)) as answer:
        kernels = json.load(answer)
    for kernel in kernels:
        stop = urllib.request.Request(f"{address}/{kernel['id']}", headers=headers, method="DELETE")
        urllib.request.urlopen(stop).close()


# ---------------------------------------------------------------- A copy of the series


def has_panel(path):
    """Whether a lesson has a live panel."""
    return any("helpers.Panel(" in cell.source for cell in lessons.code_cells(lessons.read(path)))


def copy_series(folder):
    """Copy into `folder` what a learner needs of the series: not its tests, its tools or what they have built."""
    kept_out = shutil.ignore_patterns(
        ".*", "_build", "node_modules", "__pycache__", "tests", "tools"
    )
    shutil.copytree(lessons.ROOT, folder, ignore=kept_out, dirs_exist_ok=True)


def short_copy(folder, extra_cells=(), names=None):
    """Copy the series into `folder`, with short trainings and no outputs; the copy says so at its top.

    extra_cells: sources of cells to add at the end of each lesson. After them, a cell prints DONE.
    names: keep only so many of them.
    """
    copy_series(folder)
    kept = (folder / "names.txt").read_text(encoding="utf-8").splitlines(keepends=True)[:names]
    (folder / "names.txt").write_text("".join(kept), encoding="utf-8")
    for path in sorted((folder / "notebooks").glob("*.ipynb")):
        notebook = shorten.with_short_trainings(path)
        notebook.cells.insert(0, nbformat.v4.new_markdown_cell(NOTE))
        for source in (*extra_cells, f"print('{DONE}')"):
            notebook.cells.append(nbformat.v4.new_code_cell(source))
        path.write_bytes(lessons.as_bytes(notebook))


# ---------------------------------------------------------------- In the page


def open_lesson(page, lab, name, tries=2, wait=60):
    """Open a lesson and wait for its kernel, `wait` seconds at most for each of the two.

    Raises RuntimeError if JupyterLab asks something each time, Playwright's TimeoutError if it takes longer.
    """
    for _ in range(tries):
        page.goto(lab.url(f"notebooks/{name}"), timeout=1000 * wait)
        page.wait_for_selector(".jp-Notebook .jp-Cell", timeout=1000 * wait)
        page.wait_for_timeout(2000)  # until then the kernel may be shown as idle and be replaced
        page.wait_for_selector(IDLE, timeout=1000 * wait)
        asked = page.locator("dialog").all_inner_texts()  # seen on a machine that was very busy
        if not asked:
            return
    raise RuntimeError(f"{name}: JupyterLab asks {asked}")


def press_run_all(page):
    """Choose *Run All Cells* from JupyterLab's menu."""
    page.get_by_text("Run", exact=True).first.click()
    page.get_by_text("Run All Cells", exact=True).click()


def run_all(page, lab, name, wait=600):
    """Open a lesson, run all its cells, and save it. Raises RuntimeError if it does not reach its last cell."""
    open_lesson(page, lab, name)
    path = lab.root / "notebooks" / name
    deadline, next_click = time.monotonic() + wait, time.monotonic()
    started = False
    while time.monotonic() < deadline:
        if not started and time.monotonic() >= next_click:  # on a busy machine a click may be lost
            press_run_all(page)
            next_click += 90
        page.wait_for_timeout(500)
        if not page.locator(IDLE).count():  # cells are running: to save now would only hold them up
            next_click = time.monotonic() + 90
            continue
        page.keyboard.press("Control+s")
        page.wait_for_timeout(200)
        try:
            cells = lessons.code_cells(lessons.read(path))
        except ValueError:  # JupyterLab is writing the file at this moment: look again
            continue
        started = any(cell.execution_count for cell in cells)
        if DONE in lessons.output_text(cells[-1]):
            return
        for output in (output for cell in cells for output in cell.outputs):
            if output.output_type == "error":
                raise RuntimeError(f"{name}: {output.ename}: {output.evalue}")
    raise RuntimeError(f"{name} did not reach its last cell within {wait} s")


def scroll_to(page, selector, number=0):
    """Scroll an element to the upper part of the screen, and wait until it stands still; return its locator.

    number: which of them, if there are several. Raises Playwright's TimeoutError if the notebook has none.
    """
    element = page.locator(selector).nth(number)
    element.wait_for(state="attached", timeout=10_000)
    scroller = page.locator(".jp-WindowedPanel-outer").first
    wanted, before = 0.2 * page.viewport_size["height"], None
    for _ in range(
        50
    ):  # what stands above gets its real height when it comes near; near the end it cannot move
        top = element.bounding_box()["y"]
        if before is not None and abs(top - before) < 1:
            break
        scroller.evaluate("(element, by) => element.scrollTop += by", top - wanted)
        before = top
        page.wait_for_timeout(100)
    return element


# Resolves when the kernel has had nothing to do, and no panel has changed, for a fifth of a second.
SETTLED = """idle => new Promise((resolve, reject) => {
    const panels = () => [...document.querySelectorAll('.widget-html')].map(e => e.innerHTML).join();
    const start = performance.now();
    let last = panels(), since = start;
    const look = () => {
        const now = performance.now(), seen = panels();
        if (seen !== last || !document.querySelector(idle)) [last, since] = [seen, now];
        if (now - since > 200) resolve();
        else if (now - start > 30000) reject(new Error('the panels go on changing'));
        else setTimeout(look, 20);
    };
    setTimeout(look, 50);
})"""


def settle(page):
    """Wait until no picture is on its way any more. Raises Playwright's Error if that takes half a minute."""
    page.evaluate(SETTLED, IDLE)


# From now until `stop`, look at the panel in every frame that the browser draws.
WATCH = """panel => {
    const seen = {boxes: new Set(), heights: new Set(), blank: 0, frames: 0};
    const page = panel.closest('.jp-WindowedPanel-outer');
    const look = () => {
        const image = panel.querySelector('.widget-html img');
        if (!image || !image.complete || image.naturalWidth === 0) seen.blank += 1;
        if (image) {
            const box = image.getBoundingClientRect();
            seen.boxes.add([box.x, box.y, box.width, box.height].map(Math.round).join(' '));
        }
        seen.heights.add(page.scrollHeight + ' ' + Math.round(panel.getBoundingClientRect().height));
        seen.frames += 1;
        if (!seen.stopped) requestAnimationFrame(look);
    };
    window.seen = seen;
    requestAnimationFrame(look);
}"""
STOP = """() => {
    window.seen.stopped = true;
    const {boxes, heights, blank, frames} = window.seen;
    return {boxes: [...boxes], heights: [...heights], blank, frames};
}"""

# Note the time of the next key press, and of the first frame after it with another picture.
TIME_NEXT_KEY = """image => {
    const cell = image.closest('.jp-OutputArea');
    const now = () => cell.querySelector('img');
    const before = now().src;
    window.milliseconds = null;
    document.addEventListener('keydown', () => {
        const start = performance.now();
        const look = () => {
            const picture = now();
            if (picture && picture.src !== before && picture.complete)
                window.milliseconds = performance.now() - start;
            else if (performance.now() - start < 3000) requestAnimationFrame(look);
        };
        requestAnimationFrame(look);
    }, {capture: true, once: true});
}"""


def key_to_picture(page, handle, image, moves=20):
    """Milliseconds from a key press on a slider's handle to the new picture, for each of `moves` presses.

    A press that changes no picture within three seconds counts as None.
    """
    times = []
    for move in range(moves):
        handle.focus()
        image.evaluate(TIME_NEXT_KEY)
        page.keyboard.press("ArrowLeft" if move % 10 < 5 else "ArrowRight")
        page.wait_for_timeout(300)
        if (measured := page.evaluate("window.milliseconds")) is None:
            page.wait_for_timeout(2700)
            measured = page.evaluate("window.milliseconds")
        times.append(measured)
    return times
