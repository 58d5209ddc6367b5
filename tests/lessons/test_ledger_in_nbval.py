"""nbval compares the marks of a ledger, and not the digits that a run has measured."""

import os
import subprocess
import sys
from xml.etree import ElementTree

import nbformat
import pytest

from lessonkit import ROOT

pytestmark = pytest.mark.slow

SETUP = f"""
import sys
from math import nan
from pathlib import Path

sys.path.insert(0, {str(ROOT)!r})
from lessonkit.ledger import Ledger

names = Path({str(ROOT / "names.txt")!r}).read_text().split()
"""
CLAIMS = """
table = Ledger(names)
table.claim("train <loss>", {}, 2.122, within=0.01)
table.claim("first loss; this run: large", {}, low=20)
table.claim("the same", {})
table
"""
SAVED = (2.1220, 27.8817, True)
NOW = {  # what this run measures, and whether nbval passes
    SAVED: "passes",
    (2.1294, 28.1, True): "passes",
    (2.1331, 27.8817, True): "failure",
    (2.1220, 19.9, True): "failure",
    (2.1220, 27.8817, False): "failure",
    ("nan", 27.8817, True): "failure",
}


def test_nbval_passes_within_the_bands_whatever_the_digits_and_fails_outside(tmp_path):
    space = {}
    exec(SETUP + CLAIMS.format(*SAVED), space)
    data, metadata = space["table"]._repr_mimebundle_()
    cells = [nbformat.v4.new_code_cell(SETUP, execution_count=1)]
    for count, measured in enumerate(NOW, 2):
        cell = nbformat.v4.new_code_cell(CLAIMS.format(*measured), execution_count=count)
        cell.metadata.tags = ["nbval-check-output"]
        output = nbformat.v4.new_output(
            "execute_result", data, metadata=metadata, execution_count=1
        )
        cell.outputs = [output]
        cells.append(cell)
    nbformat.write(nbformat.v4.new_notebook(cells=cells), tmp_path / "ledger.ipynb")
    options = f"-p no:xdist -p no:cacheprovider -c {os.devnull} --rootdir . --junitxml results.xml"
    nbval = f"--nbval-lax --nbval-current-env --nbval-sanitize-with {ROOT / 'nbval-sanitize.cfg'}"
    own = {name: value for name, value in os.environ.items() if name != "PYTEST_ADDOPTS"}
    run = subprocess.run(
        [sys.executable, "-m", "pytest", *options.split(), *nbval.split(), "ledger.ipynb"],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env=own,
        timeout=600,
    )
    cases = ElementTree.parse(tmp_path / "results.xml").iter("testcase")
    results = ["passes" if case.find("*") is None else case.find("*").tag for case in cases]
    assert results == ["passes", *NOW.values()], run.stdout + run.stderr
