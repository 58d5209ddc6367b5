"""How fast things are on this machine: panels, training steps, lessons. Prints a table; nothing here passes or fails.

    python tools/bench.py                  all of it, about thirty minutes; also renews the README's table
    python tools/bench.py panels steps     only these parts: panels, steps, lessons

Run it on a machine that does nothing else.
"""

import ast
import contextlib
import datetime
import os
import platform
import statistics
import sys
import tempfile
import time
from functools import cache, partial
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import bench_sweep
import browser
import lessons
import rebuild
import torch
import torch.nn.functional as F

import helpers
import sweep

MOVES = 20  # of each slider
STEPS = 1_000
ROUNDS = 3  # the two loops that are compared take turns; the fastest round of each counts
SETTINGS = 16


# ---------------------------------------------------------------- panels


def plain_twin(source):
    """A cell that draws a panel's picture the usual way: `interact`, a new figure for each move, `plt.show()`."""
    (call,) = [
        node
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "helpers.Panel"
    ]
    given = {keyword.arg: ast.unparse(keyword.value) for keyword in call.keywords}
    figsize = given.pop("figsize", "(8, 3.2)")
    controls = ", ".join(f"{name}={control}" for name, control in given.items())
    return f"""\
def plain_picture(**settings):
    {ast.unparse(call.args[0])}(plt.figure(figsize={figsize}))(**settings)
    plt.show()


widgets.interact(plain_picture, {controls});"""


def latencies(page, box, image):
    """Milliseconds from key to picture, for MOVES moves of each slider in a box of controls."""
    found = []
    for handle in box.locator(".noUi-handle").all():
        found += browser.key_to_picture(page, handle, image, MOVES)
    lost = found.count(None)
    if lost:
        print(
            f"{lost} of {len(found)} moves changed no picture; they are left out", file=sys.stderr
        )
    return [milliseconds for milliseconds in found if milliseconds is not None]


def median_and_90th(milliseconds):
    """The median and the 90th percentile."""
    return statistics.median(milliseconds), statistics.quantiles(milliseconds, n=10)[-1]


def panel_rows():
    """The panels' table: each panel against the same picture drawn by `interact`."""
    yield "| panel of lesson | slider to picture, median / 90th percentile | `interact` and `plt.show()` | ratio |"
    yield "|---|---|---|---|"
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "series"
        browser.short_copy(root)
        names = [path.name for path in lessons.lesson_paths() if browser.has_panel(path)]
        for name in names:
            notebook = lessons.read(root / "notebooks" / name)
            for place, cell in enumerate(notebook.cells):
                if "helpers.Panel(" in cell.source:
                    notebook.cells[place + 1 : -1] = [
                        lessons.nbformat.v4.new_code_cell(plain_twin(cell.source))
                    ]
                    break
            (root / "notebooks" / name).write_bytes(lessons.as_bytes(notebook))
        with (
            browser.running_lab(root, Path(folder) / "log.txt") as lab,
            browser.chromium() as chromium,
        ):
            for name in names:
                page = chromium.new_page(viewport=browser.VIEWPORT)
                browser.run_all(page, lab, name)
                panel = browser.scroll_to(page, browser.PANEL)
                ours = median_and_90th(latencies(page, panel, panel.locator(".widget-html img")))
                plain = browser.scroll_to(page, browser.INTERACT)
                theirs = median_and_90th(latencies(page, plain, plain.locator("img")))
                page.close()
                browser.stop_kernels(lab)
                yield (
                    f"| {name[:2]} | {ours[0]:.0f} / {ours[1]:.0f} ms | {theirs[0]:.0f} / {theirs[1]:.0f} ms "
                    f"| {theirs[0] / ours[0]:.1f} |"
                )


# ---------------------------------------------------------------- training steps


@cache
def data():
    """The names, read once."""
    return helpers.load_splits()


def bare_loop(X, Y, steps):
    """The lecture's arithmetic and nothing else: no progress bar, no losses kept. Returns seconds."""
    g = torch.Generator().manual_seed(helpers.SEED)
    C, W1, b1, W2, b2 = parameters = [
        p.requires_grad_() for p in helpers.draw_parameters(g, len(data().stoi))
    ]
    start = time.perf_counter()
    for step in range(steps):
        batch = torch.randint(0, len(X), (32,), generator=g)
        emb = C[X[batch]]
        h = torch.tanh(emb.view(emb.shape[0], -1) @ W1 + b1)
        loss = F.cross_entropy(h @ W2 + b2, Y[batch])
        for p in parameters:
            p.grad = None
        loss.backward()
        for p in parameters:
            p.data += -(0.1 if step < 100_000 else 0.01) * p.grad
    return time.perf_counter() - start


def lesson_loop(X, Y, steps):
    """The same by `helpers.train`, with its bar. Returns seconds."""
    g = torch.Generator().manual_seed(helpers.SEED)
    parameters = [p.requires_grad_() for p in helpers.draw_parameters(g, len(data().stoi))]
    start = time.perf_counter()
    model = partial(helpers.starter_logits, parameters)
    helpers.train(model, X, Y, g, steps, parameters=parameters)
    return time.perf_counter() - start


def loop_alone(X, Y, steps, **setting):
    """One network of helpers.MLP by `helpers.train`. Returns seconds."""
    g = torch.Generator().manual_seed(helpers.SEED)
    network = helpers.MLP(g, len(data().stoi), **setting)
    start = time.perf_counter()
    helpers.train(network, X, Y, g, steps, lr=0.1)
    return time.perf_counter() - start


def loop_at_once(X, Y, steps, **setting):
    """SETTINGS such networks, of different gains, by `sweep.train_many`. Returns seconds for one of them."""
    settings = [setting | {"gain": 0.5 + k / 8} for k in range(SETTINGS)]
    start = time.perf_counter()
    sweep.train_many(settings, steps, X, Y, len(data().stoi))
    return (time.perf_counter() - start) / SETTINGS


def fastest_of(loops, X, Y):
    """Microseconds for one step of each loop, by its name: the fastest of ROUNDS, in turns."""
    fastest = dict.fromkeys(loops, float("inf"))
    with contextlib.redirect_stdout(sys.stderr):  # what the training says
        for _ in range(ROUNDS):
            for name, loop in loops.items():
                fastest[name] = min(fastest[name], loop(X, Y, STEPS) / STEPS * 1e6)
    return fastest


# Of the starter's size, and of lesson 12's map.
SWEPT = {
    "1 layer of 200": {"depth": 1, "width": 200},
    "4 layers of 50": {"depth": 4, "width": 50},
    "16 layers of 50": {"depth": 16, "width": 50},
    "16 layers of 50, BatchNorm": {"depth": 16, "width": 50, "batchnorm": True},
}


def step_rows():
    """The tables of training steps."""
    torch.set_num_threads(1)
    X, Y = data().train
    loops = {
        "the lecture's bare arithmetic": bare_loop,
        "`helpers.train`, as in lesson 01": lesson_loop,
    }
    fastest = fastest_of(loops, X, Y)
    bare = fastest["the lecture's bare arithmetic"]
    yield "| one step of the starter | time | against the bare arithmetic |"
    yield "|---|---|---|"
    for name, microseconds in fastest.items():
        yield f"| {name} | {microseconds:.0f} µs | {microseconds / bare:.2f} |"
    yield ""
    yield f"| one step of one of {SETTINGS} networks | `helpers.train` | `sweep.train_many` | ratio |"
    yield "|---|---|---|---|"
    for name, setting in SWEPT.items():
        pair = {
            "alone": partial(loop_alone, **setting),
            "at once": partial(loop_at_once, **setting),
        }
        alone, at_once = fastest_of(pair, X, Y).values()
        yield f"| {name} | {alone:.0f} µs | {at_once:.0f} µs | {alone / at_once:.1f} |"
    yield ""
    yield from bench_sweep.rows()


# ---------------------------------------------------------------- lessons


def lesson_rows():
    """The table of lessons: each executed from a fresh kernel, alone, and not saved."""
    yield "| lesson | *Run All* | peak memory of the kernel |"
    yield "|---|---|---|"
    for path in lessons.lesson_paths():
        seconds, mebibytes = rebuild.execute(lessons.read(path))
        yield f"| {path.name[:2]} | {seconds:.0f} s | {mebibytes:.0f} MiB |"


# ---------------------------------------------------------------- all


PARTS = {"panels": panel_rows, "steps": step_rows, "lessons": lesson_rows}


def machine():
    """When and on what this was measured."""
    return (
        f"Measured on {datetime.date.today()}, {platform.system()}, {os.cpu_count()} cores, one thread a process, "
        f"Python {platform.python_version()}, torch {torch.__version__.partition('+')[0]}."
    )


def main(chosen):
    """Measure the chosen parts, or all of them and put them into the README. Returns the exit status."""
    unknown = [part for part in chosen if part not in PARTS]
    if unknown:
        print(f"no such part: {', '.join(unknown)}; the parts are {', '.join(PARTS)}")
        return 2
    lines = [machine()]
    print(lines[0])
    for part in chosen or PARTS:
        lines.append("")
        print()
        for line in PARTS[part]():
            lines.append(line)
            print(line, flush=True)
    if not chosen:
        rebuild.renew_block("benchmark", lines, "make bench")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
