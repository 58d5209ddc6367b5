"""Settings for the whole test run: one torch thread a process, what stays together, and the time of each lesson."""

import os
import re
from collections import defaultdict

from xdist.scheduler import LoadFileScheduling

# Two kernels with two threads each slow each other down several times. Kernels inherit this.
os.environ["OMP_NUM_THREADS"] = "1"


class LessonScheduling(LoadFileScheduling):
    """A file's tests stay on one worker; but each test of a whole lesson counts as a file, or they would queue up."""

    def _split_scope(self, nodeid):
        file = super()._split_scope(nodeid)
        lesson = re.search(r"test_lessons_in_use.*\[(\d\d_\w+)\]", nodeid)
        return f"{file}::{lesson[1]}" if lesson else file


def pytest_xdist_make_scheduler(config, log):
    """Take the scheduler above in place of xdist's."""
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
