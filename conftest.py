"""Settings for the whole test run: one torch thread a process, a home of its own, what stays together, times."""

import os
import re
import shutil
import tempfile
from collections import defaultdict
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent
HOME = "SERIES_TEST_HOME"  # marks the process that has made it, and tells the workers where it is

# Two kernels with two threads each slow each other down several times. Kernels inherit this.
os.environ["OMP_NUM_THREADS"] = "1"


def pytest_configure(config):
    """Give kernels, JupyterLab, Chromium and matplotlib a home that goes when the tests end; nbval its settings."""
    config.option.nbval_sanitize_with = str(ROOT / "nbval-sanitize.cfg")
    if HOME not in os.environ:
        config.made_home = os.environ[HOME] = tempfile.mkdtemp(prefix="series-tests-")
        os.environ["HOME"] = os.environ["USERPROFILE"] = os.environ[HOME]
        for name in [*os.environ]:
            if name.startswith(("JUPYTER", "IPYTHONDIR", "XDG_", "MPLCONFIGDIR")):
                del os.environ[name]


def pytest_unconfigure(config):
    """Remove that home, in the process that has made it."""
    if hasattr(config, "made_home"):
        shutil.rmtree(config.made_home, ignore_errors=True)


def pytest_addoption(parser):
    """Any test run can tell how far the claims' numbers move, under its arithmetic."""
    told = "add what the lessons' ledgers measure to the tables in tests/spread"
    parser.addoption("--spread", action="store_true", help=told)


def pytest_runtest_teardown(item):
    """With --spread: when a cell with a ledger has run, widen its lesson's table."""
    if item.config.getoption("spread") and getattr(item, "test_outputs", None):
        import bands
        import lessons

        claims = lessons.claims_in(item.test_outputs)
        if claims:
            bands.widen(item.path, {claim["claim"]: claim["measured"] for claim in claims})


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    """A file's tests stay on one worker; but each test of a whole lesson counts as a file, or they would queue up."""
    from xdist.scheduler import LoadFileScheduling

    class LessonScheduling(LoadFileScheduling):
        def _split_scope(self, nodeid):
            file = super()._split_scope(nodeid)
            lesson = re.search(r"test_lessons_in_use.*\[(\d\d[a-z]?_\w+)\]", nodeid)
            return f"{file}::{lesson[1]}" if lesson else file

    return LessonScheduling(config, log)


def pytest_terminal_summary(terminalreporter):
    """Print the seconds of each lesson, the slowest first."""
    seconds = defaultdict(float)
    for reports in terminalreporter.stats.values():
        for report in reports:
            path = getattr(report, "nodeid", "").partition("::")[0]
            if path.endswith(".ipynb"):
                seconds[path] += getattr(report, "duration", 0)
    if seconds:
        terminalreporter.section("slowest lessons")
        for path, duration in sorted(seconds.items(), key=lambda item: -item[1]):
            terminalreporter.line(f"{duration:6.1f} s  {path}")
