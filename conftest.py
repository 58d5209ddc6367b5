"""Settings for the whole test run: one torch thread a process, and the time that each lesson took."""

import os
from collections import defaultdict

# Two kernels with two threads each slow each other down several times. Kernels inherit this.
os.environ["OMP_NUM_THREADS"] = "1"


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
