"""How far each claim's number has moved: one table a lesson in tests/spread/, which `make spread` widens.

A table holds, for each claim of a lesson's ledger, the smallest and the largest value of all runs so far, here or on
other machines, as long as the lesson's code was the same. A test holds every band against it.
"""

import csv

import fingerprints
import lessons

COLUMNS = ("claim", "smallest", "largest", "runs")


def table_of(path):
    """Where the table of a lesson stands, seen from its folder."""
    return path.parent.parent / "tests" / "spread" / f"{path.stem}.csv"


def read_table(path):
    """A lesson's table: its code's fingerprint and {claim: (smallest, largest, runs)}; (None, {}) if there is none."""
    table = table_of(path)
    if not table.is_file():
        return None, {}
    with table.open(encoding="utf-8", newline="") as lines:
        fingerprint = next(lines).removeprefix("# code ").strip()
        rows = {
            row["claim"]: (float(row["smallest"]), float(row["largest"]), int(row["runs"]))
            for row in csv.DictReader(lines)
        }
    return fingerprint, rows


def widen(path, found):
    """Add what was found in one run to the lesson's table."""
    now = fingerprints.of(lessons.read(path))
    fingerprint, rows = read_table(path)
    seen = rows if fingerprint == now else {}
    lines = []
    for claim, measured in found.items():
        value = float(measured)
        if value != value:
            raise ValueError(f"{claim!r} was not measured: nan")
        smallest, largest, runs = seen.get(claim, (value, value, 0))
        lines.append((claim, min(smallest, value), max(largest, value), runs + 1))
    table_of(path).parent.mkdir(parents=True, exist_ok=True)
    with table_of(path).open("w", encoding="utf-8", newline="") as file:
        file.write(f"# code {now}\n")
        writer = csv.writer(file, lineterminator="\n")
        writer.writerows([COLUMNS, *lines])
