"""The ledger: what a lesson claims beside what a run has measured."""

import json
import math
from html.parser import HTMLParser

import numpy as np
import pytest
import torch

import helpers
from lessonkit import ledger

NAMES = helpers.load_names()


@pytest.fixture
def ours():
    return helpers.Ledger(NAMES)


def mark(measured, *text, names=NAMES, **band):
    """The mark of a single claim."""
    table = helpers.Ledger(names)
    table.claim("train loss", measured, *text, **band)
    return table.claims[0].mark


# ---------------------------------------------------------------- Marks


@pytest.mark.parametrize(
    ("measured", "expected"),
    [(2.122, "✓"), (2.113, "✓"), (2.131, "✓"), (2.111, "✗"), (2.133, "✗"), (-2.122, "✗")],
)
def test_within(measured, expected):
    assert mark(measured, 2.122, within=0.01) == expected


@pytest.mark.parametrize(("measured", "expected"), [(11_897, "✓"), (11_897.0, "✓"), (11_898, "✗")])
def test_without_a_band_the_number_is_exact(measured, expected):
    assert mark(measured, 11_897) == expected
    assert mark(measured, 11_897, within=0) == expected


@pytest.mark.parametrize(
    ("band", "inside", "outside"),
    [
        ({"low": 2, "high": 3}, [2, 2.5, 3], [1.999, 3.001, math.inf, -math.inf]),
        ({"low": 2}, [2, 1e9, math.inf], [1.999, -math.inf]),
        ({"high": 3}, [3, -1e9, -math.inf], [3.001, math.inf]),
    ],
)
def test_a_band_may_be_open_on_one_side(band, inside, outside):
    assert [mark(number, **band) for number in inside] == ["✓"] * len(inside)
    assert [mark(number, **band) for number in outside] == ["✗"] * len(outside)
    assert mark(inside[0], 2.5, **band) == "✓"  # the text may have a number, too


@pytest.mark.parametrize(("measured", "expected"), [(True, "✓"), (False, "✗")])
@pytest.mark.parametrize("kind", [bool, torch.tensor, np.bool_])
def test_a_claim_may_be_true_or_false(measured, expected, kind):
    assert mark(kind(measured)) == expected


@pytest.mark.parametrize(
    "kind", [torch.tensor, np.float64, np.float32, lambda x: torch.tensor([[x]])]
)
def test_tensors_and_numbers_of_numpy_count_as_numbers(kind):
    assert mark(kind(2.5), 2.5) == "✓"
    assert mark(kind(2.25), 2.5) == "✗"
    assert mark(torch.tensor(27), 27) == "✓"
    assert mark(np.int64(27), np.int64(27), within=np.float32(0.5)) == "✓"


@pytest.mark.parametrize("kind", [float, torch.tensor, np.float64])
def test_what_was_not_measured_has_no_mark(kind):
    assert mark(kind(math.nan), 2.5, within=0.1) == "–"
    assert mark(kind(math.nan), low=2) == "–"


@pytest.mark.parametrize("measured", [2.5, 99, math.nan])
def test_other_data_have_no_marks(measured):
    assert mark(measured, 2.5, within=0.1, names=NAMES[1:]) == "–"
    assert mark(True, names=["zoë", *NAMES]) == "–"


# ---------------------------------------------------------------- What does not fit together


@pytest.mark.parametrize(
    ("given", "band", "message"),
    [
        ((2.5, 3.0), {"low": 2, "high": 2.9}, "the text's 3.0 lies outside the band 2 to 2.9"),
        ((2.5, 1.0), {"low": 2}, "the text's 1.0 lies outside"),
        ((2.5, math.nan), {"within": 1}, "the text's nan lies outside"),
        ((2.5,), {"within": 1}, "`within` needs `text`"),
        ((2.5, 2.5), {"within": 1, "low": 2}, "`within` needs `text`, and no `low`"),
        ((2.5, 2.5), {"within": -1}, "the band 3.5 to 1.5 is empty"),
        ((2.5,), {"low": 3, "high": 2}, "the band 3 to 2 is empty"),
        ((2.5,), {}, "has no band, and 2.5 is not True or False"),
        ((math.nan,), {}, "has no band"),
        ((True, 1.0), {}, "True or False needs no text and no band"),
        ((True,), {"low": 0}, "True or False needs no text and no band"),
        (("2.5", 2.5), {}, "'2.5' is not a number"),
        ((None, 2.5), {}, "None is not a number"),
        ((1j, 2.5), {}, "is not a number"),
        ((torch.zeros(2), 2.5), {}, "is not a number"),
        ((np.zeros(3), 2.5), {}, "is not a number"),
    ],
)
def test_what_does_not_fit_is_refused(ours, given, band, message):
    with pytest.raises(ValueError, match=message.replace("(", r"\(")) as error:
        ours.claim("train loss", *given, **band)
    assert "'train loss'" in str(error.value)
    assert not ours.claims


def test_words_stand_once(ours):
    ours.claim("train loss", 2.5, 2.5)
    with pytest.raises(ValueError, match="the ledger has 'train loss' already"):
        ours.claim("train loss", 2.6, 2.6)


@pytest.mark.parametrize("words", ["two\nlines", "", " "])
def test_words_are_one_line(ours, words):
    with pytest.raises(ValueError, match="in words, on one line"):
        ours.claim(words, 2.5, 2.5)


# ---------------------------------------------------------------- How it is shown


def test_it_is_a_table_in_words(ours):
    ours.claim("train loss", 2.12345678, 2.122, within=0.01)
    ours.claim("parameters", torch.tensor(11_897), 11_897)
    ours.claim("the other way gives the same", True)
    ours.claim("blown up", 123_456.7, low=10_000)
    assert str(ours).splitlines() == [
        "What this lesson claims, and what this run has measured: all within their bands.",
        "✓ train loss; text: 2.122; band: 2.112 to 2.132; this run: 2.1235",
        "✓ parameters; text: 11,897; band: exact; this run: 11,897",
        "✓ the other way gives the same; text: –; band: true; this run: yes",
        "✓ blown up; text: –; band: at least 10,000; this run: 123,457",
    ]


def test_what_does_not_hold_is_said_above(ours):
    ours.claim("train loss", 3.0, 2.122, within=0.01)
    ours.claim("dev loss", math.nan, high=2.2)
    heading, *rows = str(ours).splitlines()
    assert heading.endswith("✗: other than the text; –: not measured.")
    assert rows == [
        "✗ train loss; text: 2.122; band: 2.112 to 2.132; this run: 3",
        "– dev loss; text: –; band: at most 2.2; this run: nan",
    ]


def test_with_other_data_it_says_so():
    other = helpers.Ledger(["zoë"] * 10)
    other.claim("train loss", 3.0, 2.122, within=0.01)
    assert str(other).startswith("Other data: the claims hold for the names of this series")
    assert "✓ train" not in str(other)
    assert "✗ train" not in str(other)


def test_an_empty_ledger_does_not_boast(ours):
    assert "all within" not in str(ours)


class Table(HTMLParser):
    """The rows of a table, each as the words of its cells."""

    def __init__(self, page):
        super().__init__()
        self.rows, self.tags = [], []
        self.feed(page)

    def handle_starttag(self, tag, _):
        self.tags.append(tag)
        if tag == "tr":
            self.rows.append([])
        elif tag in ("td", "th"):
            self.rows[-1].append("")

    def handle_data(self, data):
        if self.rows and self.rows[-1] and data.strip():
            self.rows[-1][-1] += data.strip()


def test_signs_of_html_stay_what_they_are(ours):
    words = 'loss < 3 & "b2" > <b>0</b>'
    ours.claim(words, 2.5, 2.5)
    bundle, _ = ours._repr_mimebundle_()
    table = Table(bundle["text/html"])
    assert table.rows[1] == ["✓", words, "2.5", "exact", "2.5"]
    assert "b" not in table.tags
    assert words in bundle["text/plain"]


def test_its_data_can_be_saved(ours):
    ours.claim("train loss", math.nan, 2.5, within=0.5)
    ours.claim("blown up", math.inf, low=10)
    ours.claim("gone", torch.tensor(-math.inf), high=torch.tensor(0.0))
    ours.claim("the same", np.bool_(True))
    ours.claim("anything at all", 3.0, low=-math.inf, high=math.inf)
    ours.claim("of numpy", np.float32(2.5), np.float32(2.5))
    bundle, metadata = ours._repr_mimebundle_()
    data = json.loads(json.dumps(metadata, allow_nan=False))[ledger.METADATA]
    assert [row["measured"] for row in data] == ["nan", "inf", "-inf", True, 3.0, 2.5]
    assert [row["mark"] for row in data] == ["–", "✓", "✓", "✓", "✓", "✓"]
    assert data[0] == {
        "claim": "train loss", "text": 2.5, "low": 2.0, "high": 3.0, "measured": "nan", "mark": "–",
    }  # fmt: skip
    json.dumps(bundle, allow_nan=False)
