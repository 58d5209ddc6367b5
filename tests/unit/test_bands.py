"""The claims' bands hold what `make spread` has seen under the arithmetics of other processors, with room beside it."""

import bands
import fingerprints
import lessons
import nbformat
import pytest

from lessonkit.ledger import Ledger

ROOM = 0.25  # on each side of what was seen, as a part of (largest - smallest)


def problems(claims, rows):
    """What does not fit between a ledger's claims and the rows of a table, as sentences.

    claims: dicts as of `lessons.ledger`. rows: {claim: (smallest, largest, runs)}.
    """
    for claim in claims:
        words, low, high = claim["claim"], claim["low"], claim["high"]
        if words not in rows:
            yield f"{words!r} has never been run"
            continue
        smallest, largest, _ = rows[words]
        if low is None and high is None:
            low = high = True  # a claim without a number: it must be true each time
        room = ROOM * (largest - smallest)
        # Written so that nan, from the room between two infinite numbers, fits into no band.
        if low is not None and not low <= smallest - room:
            yield f"{words!r}: {smallest:.6g} to {largest:.6g} was seen, too near to the lower end {low:.6g}"
        if high is not None and not largest + room <= high:
            yield f"{words!r}: {smallest:.6g} to {largest:.6g} was seen, too near to the upper end {high:.6g}"
    for words in rows.keys() - {claim["claim"] for claim in claims}:
        yield f"{words!r} stands in the table, and is claimed no more"


@pytest.mark.parametrize("path", lessons.lesson_paths(), ids=lambda path: path.stem)
def test_the_bands_hold_what_was_seen_with_room(path):
    _, rows = bands.read_table(path)
    again = f"run `make spread LESSON={path.name.partition('_')[0]}`, then widen the band or reword"
    assert rows, f"{bands.table_of(path)} is missing: {again}"
    found = list(problems(lessons.ledger(lessons.read(path)), rows))
    assert not found, "\n".join([f"{again}:", *found])


# ---------------------------------------------------------------- This test can fail

BAND = {"claim": "a loss", "low": 2.0, "high": 3.0}
OPEN = {"claim": "a difference", "low": 2.0, "high": None}
BELOW = {"claim": "a share", "low": None, "high": 0.0}
EXACT = {"claim": "a count", "low": 75, "high": 75}
TRUE = {"claim": "the same", "low": None, "high": None}


@pytest.mark.parametrize(
    ("claim", "smallest", "largest", "said"),
    [
        (BAND, 2.2, 2.8, None),
        (BAND, 2.5, 2.5, None),
        (BAND, 2.1, 2.6, "lower end 2"),
        (BAND, 2.4, 2.9, "upper end 3"),
        (BAND, 2.4, float("inf"), "upper end 3"),
        (OPEN, 2.5, 4.0, None),
        (OPEN, 2.2, 4.0, "lower end 2"),
        (OPEN, float("inf"), float("inf"), "lower end 2"),
        (BELOW, -1.0, -0.5, None),
        (BELOW, -1.0, -0.1, "upper end 0"),
        (EXACT, 75, 75, None),
        (EXACT, 75, 76, "upper end 75"),
        (TRUE, 1, 1, None),
        (TRUE, 0, 1, "lower end 1"),
    ],
)
def test_a_band_without_room_is_told(claim, smallest, largest, said):
    found = list(problems([claim], {claim["claim"]: (smallest, largest, 6)}))
    assert bool(found) == (said is not None)
    assert said is None or any(said in problem for problem in found)


def test_a_claim_without_a_row_and_a_row_without_a_claim_are_told():
    found = list(problems([BAND], {"another": (1.0, 1.0, 6)}))
    assert found == [
        "'a loss' has never been run",
        "'another' stands in the table, and is claimed no more",
    ]


# ---------------------------------------------------------------- The tables


@pytest.fixture
def lesson(tmp_path):
    """The path of a lesson with a ledger of two claims, and an empty folder for the tables."""
    path = tmp_path / "notebooks" / "01_lesson.ipynb"
    path.parent.mkdir()
    write(path, "1 + 1")
    return path


def write(path, source):
    cells = [nbformat.v4.new_code_cell(source)]
    path.write_bytes(lessons.as_bytes(nbformat.v4.new_notebook(cells=cells)))


def test_without_a_table_nothing_was_seen(lesson):
    assert bands.read_table(lesson) == (None, {})


def test_each_run_widens_the_table(lesson):
    bands.widen(lesson, {"a loss, mean of five": 2.5, "the same": True})
    bands.widen(lesson, {"a loss, mean of five": 2.25, "the same": True})
    bands.widen(lesson, {"a loss, mean of five": 2.375, "the same": False})
    fingerprint, rows = bands.read_table(lesson)
    assert fingerprint == fingerprints.of(lessons.read(lesson))
    assert rows == {"a loss, mean of five": (2.25, 2.5, 3), "the same": (0.0, 1.0, 3)}


def test_with_other_code_the_table_starts_anew(lesson):
    bands.widen(lesson, {"a loss": 2.5, "gone": 1})
    write(lesson, "1 + 2")
    bands.widen(lesson, {"a loss": 2.25})
    assert bands.read_table(lesson)[1] == {"a loss": (2.25, 2.25, 1)}


def test_what_was_not_measured_is_refused_and_changes_nothing(lesson):
    bands.widen(lesson, {"a loss": 2.5})
    with pytest.raises(ValueError, match="'a loss' was not measured: nan"):
        bands.widen(lesson, {"a loss": float("nan")})
    assert bands.read_table(lesson)[1] == {"a loss": (2.5, 2.5, 1)}


def test_a_ledger_and_its_table_fit_together(lesson):
    """From the ledger's own data, as a notebook saves it, to the table and back."""
    ledger = Ledger(["emma"])
    ledger.claim("a loss", 2.5, 2.5, within=0.1)
    ledger.claim("it blows up", float("inf"), low=10)
    _, metadata = ledger._repr_mimebundle_()
    claims = metadata["ledger"]
    bands.widen(lesson, {claim["claim"]: claim["measured"] for claim in claims})
    _, rows = bands.read_table(lesson)
    assert rows["it blows up"] == (float("inf"), float("inf"), 1)
    (problem,) = problems(claims, rows)
    assert "it blows up" in problem
