"""What stands behind helpers.py, by theme. Lessons reach all of it as `helpers.something`."""

from pathlib import Path

ROOT = (
    Path(__file__).resolve().parent.parent
)  # of the series: names.txt, notebooks/, lessons.mplstyle
