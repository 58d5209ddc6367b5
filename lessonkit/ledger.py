"""The ledger at the end of a lesson: what the text claims, beside what this run has measured.

The tests compare the marks ✓, never the measured digits; `make spread` finds out how far these move between
processors, and a test holds the bands against that. Other lists of names have other numbers: there is no mark then.
"""

import hashlib
import html
import math
import numbers
from dataclasses import asdict, dataclass

OUR_NAMES = "0a30b5557f192f32"  # the start of the SHA-256 of the names, one a line
METADATA = "ledger"  # of the output: the claims as data, for `make spread` and the tests


@dataclass(frozen=True)
class Claim:
    """One claim. text: its number in the lesson, or None. low, high: the band, in the same unit; None is open."""

    claim: str
    text: float | None
    low: float | None
    high: float | None
    measured: float
    mark: str  # ✓, ✗, or – where there is nothing to compare

    @property
    def band(self):
        if self.low is None and self.high is None:
            return "true"
        if self.low == self.high:
            return "exact"
        if self.high is None:
            return f"at least {_rounded(self.low, 6)}"
        if self.low is None:
            return f"at most {_rounded(self.high, 6)}"
        return f"{_rounded(self.low, 6)} to {_rounded(self.high, 6)}"


class Ledger:
    """The claims of a lesson; a notebook shows it as a table, print as text.

    names: the names that the lesson has read. If they are not those of the series, nothing is marked.
    """

    def __init__(self, names):
        text = "\n".join(names).encode()
        self.ours = hashlib.sha256(text).hexdigest().startswith(OUR_NAMES)
        self.claims = []

    def claim(self, words, measured, text=None, *, within=None, low=None, high=None):
        """Add a claim in words: that `measured` lies in a band.

        text: the number that the lesson says. The band is text ± within, or from low to high (one may be left open),
        or the text's number exactly if none of these is given. A claim without any number, such as that two things
        are equal, has a bool for `measured`.

        Raises ValueError if these do not fit together, or if the words stand in the ledger already.
        """
        if any(claim.claim == words for claim in self.claims):
            raise ValueError(f"the ledger has {words!r} already: say what is different.")
        if not words.strip() or len(words.splitlines()) > 1:
            raise ValueError(f"{words!r}: say what is claimed in words, on one line.")
        measured, text, within, low, high = (
            _number(words, given) for given in (measured, text, within, low, high)
        )
        if measured is None:
            raise ValueError(f"{words!r}: None is not a number.")
        if isinstance(measured, bool) and (text, within, low, high) != (None,) * 4:
            raise ValueError(f"{words!r}: True or False needs no text and no band.")
        if within is not None:
            if text is None or low is not None or high is not None:
                raise ValueError(f"{words!r}: `within` needs `text`, and no `low` or `high`.")
            low, high = text - within, text + within
        elif low is None and high is None and text is not None:
            low = high = text
        if low is None and high is None and not isinstance(measured, bool):
            raise ValueError(f"{words!r} has no band, and {measured!r} is not True or False.")
        if low is not None and high is not None and low > high:
            raise ValueError(f"{words!r}: the band {low} to {high} is empty.")
        if text is not None and not _inside(text, low, high):
            raise ValueError(f"{words!r}: the text's {text} lies outside the band {low} to {high}.")
        holds = measured if isinstance(measured, bool) else _inside(measured, low, high)
        mark = "–" if math.isnan(measured) or not self.ours else "✓" if holds else "✗"
        self.claims.append(Claim(words, text, low, high, measured, mark))

    def _rows(self):
        for claim in self.claims:
            text = "" if claim.text is None else f"{claim.text:,}"
            yield claim.mark, claim.claim, text, claim.band, _shown(claim.measured)

    def _heading(self):
        if not self.ours:
            return (
                "Other data: the claims hold for the names of this series, so there is no ✓ or ✗."
            )
        if self.claims and all(claim.mark == "✓" for claim in self.claims):
            return (
                "What this lesson claims, and what this run has measured: all within their bands."
            )
        return "What this lesson claims, and what this run has measured. ✗: other than the text; –: not measured."

    def __str__(self):
        lines = [
            f"{mark} {words}; text: {text or '–'}; band: {band}; this run: {shown}"
            for mark, words, text, band, shown in self._rows()
        ]
        return "\n".join([self._heading(), *lines])

    def _repr_mimebundle_(self, **_):
        head = "<tr><th></th><th>claim</th><th>the text</th><th>band</th><th>this run</th></tr>"
        rows = [
            "<tr>"
            + "".join(f"<td>{html.escape(cell)}</td>" for cell in cells)
            + f'<td class="this-run">{shown}</td></tr>'
            for *cells, shown in self._rows()
        ]
        table = "\n".join([f"<p>{self._heading()}</p>", "<table>", head, *rows, "</table>"])
        data = [
            {field: _for_json(value) for field, value in asdict(claim).items()}
            for claim in self.claims
        ]
        return {"text/plain": str(self), "text/html": table}, {METADATA: data}


def _number(words, given):
    """A plain number, or None, from a number, a tensor of one element, or a number of numpy. Raises ValueError."""
    if getattr(given, "size", None) == 1 or (hasattr(given, "numel") and given.numel() == 1):
        given = given.item()
    if given is not None and not isinstance(given, numbers.Real):
        raise ValueError(f"{words!r}: {given!r} is not a number.")
    return given


def _inside(number, low, high):
    """Whether a number lies in a band. nan lies in none."""
    return (low is None or number >= low) and (high is None or number <= high) and number == number


def _shown(measured):
    if isinstance(measured, bool):
        return "yes" if measured else "no"
    return _rounded(measured, 5)


def _rounded(number, digits):
    """A number with this many digits, or more where it is large, so that none is shown as a power of ten."""
    if isinstance(number, int) or 10**digits <= abs(number) < 1e15:
        return f"{number:,.0f}"
    return f"{number:,.{digits}g}"


def _for_json(value):
    """JSON has no nan and no inf: they are saved as their names."""
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value
