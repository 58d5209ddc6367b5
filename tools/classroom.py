"""A JupyterHub on this machine, for the trial of a class: its environment, its learners' folders, its processes."""

import json
import secrets
import shutil
import subprocess
import sys
import threading
import time
import urllib.request
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import browser
import lessons
import nbformat
import psutil

BUILT = lessons.ROOT / "_build" / "class"
REQUIREMENTS = lessons.ROOT / "requirements-class.txt"
PROXY = lessons.ROOT / "deploy" / "proxy"  # package.json and its lock, for npm
TOOLS = Path(__file__).resolve().parent
RECORD_TIMES = {"@jupyterlab/notebook-extension:tracker": {"recordTiming": True}}
MEBI = 2**20
EVERY = 3  # seconds between two looks at the memory


# ---------------------------------------------------------------- What the hub needs


def install():
    """Make the hub's own environment and its proxy in BUILT, or leave them if their requirements are unchanged.

    The caches of pip and npm in the user's home are left alone.

    Raises RuntimeError that says what is missing on this machine, or what pip or npm says.
    """
    if not Path("/proc/self/smaps_rollup").is_file():
        raise RuntimeError(
            "the trial reads memory from /proc/PID/smaps_rollup: it needs Linux 4.14 or newer."
        )
    if not shutil.which("npm"):
        raise RuntimeError(
            "JupyterHub's proxy is installed by npm: install Node.js, 20 or newer, first."
        )
    wanted = "\n".join(
        path.read_text(encoding="utf-8")
        for path in (REQUIREMENTS, lessons.ROOT / "constraints.txt", PROXY / "package-lock.json")
    )
    ready = BUILT / "ready"
    if ready.is_file() and ready.read_text(encoding="utf-8") == wanted:
        return
    shutil.rmtree(BUILT, ignore_errors=True)
    shutil.copytree(PROXY, BUILT / "proxy")
    venv = BUILT / "venv"
    run([sys.executable, "-m", "venv", venv])
    run(
        [
            venv / "bin" / "python",
            "-m",
            "pip",
            "install",
            "--quiet",
            "--no-cache-dir",
            "-r",
            REQUIREMENTS,
        ]
    )
    run(
        ["npm", "ci", "--cache", BUILT / "npm", "--no-audit", "--no-fund", "--silent"],
        cwd=BUILT / "proxy",
    )
    ready.write_text(wanted, encoding="utf-8")


def run(command, cwd=lessons.ROOT):
    """Run a command to its end; return what it says. Raises RuntimeError with that if it fails."""
    done = subprocess.run(
        [*map(str, command)], cwd=cwd, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    if done.returncode:
        raise RuntimeError(f"`{' '.join(map(str, command))}` failed:\n{done.stdout}")
    return done.stdout


def make_desks(folder, learners, name, short):
    """For each learner a home with a copy of the series of its own; in all of them lesson `name` is not yet run.

    folder: where the homes are made. learners: their names. name: the lesson's file name. short: train only a
    little. At the lesson's end a cell prints browser.DONE. JupyterLab notes when each cell ran.
    """
    first = folder / learners[0] / "series"
    if short:
        browser.short_copy(first)
    else:
        browser.copy_series(first)
        path = first / "notebooks" / name
        notebook = lessons.read(path)
        for cell in lessons.code_cells(notebook):
            cell.outputs, cell.execution_count = [], None
        notebook.cells.append(nbformat.v4.new_code_cell(f"print('{browser.DONE}')"))
        path.write_bytes(lessons.as_bytes(notebook))
    settings = first / "lab-settings" / "overrides.json"
    told = json.loads(settings.read_text(encoding="utf-8")) | RECORD_TIMES
    settings.write_text(json.dumps(told), encoding="utf-8")
    for learner in learners[1:]:
        shutil.copytree(first, folder / learner / "series")


# ---------------------------------------------------------------- Processes


def memory(processes):
    """What some processes use together, in MiB: (their share, resident).

    Their share is PSS: a page that n processes have in common counts as 1/n for each, so shares may be added up.
    Resident counts such a page in full for each. Processes that have ended meanwhile are left out.
    """
    share = resident = 0
    for process in processes:
        try:
            used = process.memory_full_info()  # psutil reads smaps_rollup
        except psutil.NoSuchProcess:
            continue
        share, resident = share + used.pss, resident + used.rss
    return share / MEBI, resident / MEBI


def with_children(process):
    """A process and all below it; none if it has ended."""
    try:
        return [process, *process.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def cpu_seconds(processes):
    """The time that they have spent on a core, in seconds. Processes that have ended are left out."""
    spent = 0.0
    for process in processes:
        try:
            times = process.cpu_times()
        except psutil.NoSuchProcess:
            continue
        spent += times.user + times.system
    return spent


def stop(processes, patience=10):
    """Ask these processes to end, and after `patience` seconds make them. Returns those that still ran at first.

    A process is known by its number and its start, so another one with the same number is left alone.
    """
    running = [process for process in processes if process.is_running()]
    for process in running:
        try:
            process.terminate()
        except psutil.NoSuchProcess:
            continue
    _, left = psutil.wait_procs(running, timeout=patience)
    for process in left:
        try:
            process.kill()
        except psutil.NoSuchProcess:
            continue
    _, left = psutil.wait_procs(left, timeout=patience)
    if left:
        raise RuntimeError(f"these processes of the trial cannot be stopped: {left}")
    return running


# ---------------------------------------------------------------- The hub


@dataclass(frozen=True)
class Desk:
    """Where one learner works: the address of the hub, the learner's name, the folder of the series.

    browser.py takes it in place of a browser.Lab.
    """

    address: str
    learner: str
    root: Path

    def url(self, path=""):
        """The address of a file in this learner's JupyterLab, in a new workspace."""
        return f"{self.address}/user/{self.learner}/lab/tree/{path}?reset"


@dataclass
class Classroom:
    """A running hub. Memory is in MiB, as `memory` counts it.

    peaks: the most that was seen, of "hub", of "proxy", and of each learner's server with its kernels: a dict from
    the name to [share, resident]. seen: all processes that have belonged to it.
    """

    address: str
    password: str
    token: str
    folder: Path
    process: psutil.Process
    peaks: dict = field(default_factory=dict)
    seen: set = field(default_factory=set)

    def desk(self, learner):
        """The desk of a learner."""
        return Desk(self.address, learner, self.folder / "learners" / learner / "series")

    def servers(self):
        """The servers that run: a dict from the learner's name to the process; and "proxy", the hub's proxy."""
        found = {}
        for child in self.process.children():
            try:
                learner = child.environ().get("JUPYTERHUB_USER")
            except psutil.NoSuchProcess:
                continue
            found[learner or "proxy"] = child
        return found

    def groups(self):
        """The processes of each learner, of "hub" and of "proxy": a dict from the name to a list."""
        below = {name: with_children(process) for name, process in self.servers().items()}
        groups = {"hub": [self.process], **below}
        self.seen.update(process for group in groups.values() for process in group)
        return groups

    def look(self):
        """What each of the groups uses now, [share, resident]; the peaks are raised to it."""
        used = {name: memory(group) for name, group in self.groups().items()}
        for name, now in used.items():
            before = self.peaks.get(name, (0, 0))
            self.peaks[name] = [max(pair) for pair in zip(before, now, strict=True)]
        return used

    def ask(self, path, method="GET"):
        """The answer, as data, of the hub or of a learner's server to a request. Raises urllib's errors."""
        request = urllib.request.Request(
            self.address + path, headers={"Authorization": f"token {self.token}"}, method=method
        )
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.loads(answer.read() or "null")

    def kernels(self, learner):
        """The kernels of a learner's server: a list of dicts with id, execution_state, connections."""
        return self.ask(f"/user/{learner}/api/kernels")

    def works(self, learner):
        """Whether one of a learner's kernels is at work."""
        return any(kernel["execution_state"] == "busy" for kernel in self.kernels(learner))

    def interrupt(self, learner):
        """Interrupt what a learner's kernels do."""
        for kernel in self.kernels(learner):
            self.ask(f"/user/{learner}/api/kernels/{kernel['id']}/interrupt", "POST")


@contextmanager
def running_class(folder, wait=120):
    """A hub for the desks in `folder`/learners; its log is `folder`/hub.log. All it has started ends with it.

    Raises RuntimeError with the log's end if it does not answer within `wait` seconds.
    """
    port, hub_port, proxy_port = (browser.free_port() for _ in range(3))
    address = f"http://127.0.0.1:{port}"
    packages = next((BUILT / "venv" / "lib").glob("python*/site-packages"))
    settings = {
        "CLASS_FOLDER": folder,
        "CLASS_TOOLS": TOOLS,
        "CLASS_URL": address,
        "CLASS_HUB_PORT": hub_port,
        "CLASS_PROXY_PORT": proxy_port,
        "CLASS_PROXY": BUILT / "proxy" / "node_modules" / ".bin" / "configurable-http-proxy",
        "CLASS_PYTHON": sys.executable,
        "CLASS_PACKAGES": packages,
        "CLASS_PASSWORD": secrets.token_urlsafe(24),
        "CLASS_TOKEN": secrets.token_hex(32),
    }
    settings = {name: str(value) for name, value in settings.items()}
    log = folder / "hub.log"
    with log.open("w") as out:
        started = subprocess.Popen(
            [BUILT / "venv" / "bin" / "jupyterhub", "--config", TOOLS / "class_hub.py"],
            cwd=folder,
            env=browser.at_home(folder) | settings,
            stdout=out,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # Ctrl-C is for the trial, which then stops the hub in good order
        )
    hub = psutil.Process(started.pid)
    room = Classroom(address, settings["CLASS_PASSWORD"], settings["CLASS_TOKEN"], folder, hub)
    ended = threading.Event()
    watch = threading.Thread(target=_watch, args=(room, ended))
    try:
        _wait_for(room, started, log, wait)
        watch.start()
        yield room
    finally:
        ended.set()
        if watch.ident:
            watch.join()
        if started.poll() is None:
            room.groups()
            started.terminate()
            try:
                started.wait(timeout=60)
            except subprocess.TimeoutExpired:
                print(
                    f"the hub did not end within 60 s and is killed; {log} says why",
                    file=sys.stderr,
                )
        left = stop(room.seen)
        if left:
            print(f"{len(left)} processes had outlived the hub, and were stopped", file=sys.stderr)


def _wait_for(room, started, log, wait):
    deadline = time.monotonic() + wait
    while time.monotonic() < deadline and started.poll() is None:
        try:
            room.ask("/hub/api/")
        except OSError:  # it does not listen yet, or its proxy does not know it yet
            time.sleep(0.5)
            continue
        return
    raise RuntimeError(f"JupyterHub did not start within {wait} s:\n{last_lines(log)}")


def last_lines(log, lines=30):
    """The end of a log."""
    return "\n".join(log.read_text(encoding="utf-8", errors="replace").splitlines()[-lines:])


def _watch(room, ended):
    while not ended.wait(EVERY):
        try:
            room.look()
        except psutil.NoSuchProcess:  # the hub has ended
            return
