"""What all tests in a browser need: a Chromium, and the rules of axe-core."""

import os

import browser
import lessons
import pytest

REQUIRED = "BROWSER_TESTS"  # set to "required", as .ci/run does, a missing browser is a failure


def without(what):
    """Skip the test, or fail where the browser tests are required."""
    if os.environ.get(REQUIRED) == "required":
        pytest.fail(f"{what} is missing, and {REQUIRED}=required")
    pytest.skip(f"{what} is missing: the panels are not tested in a browser")


@pytest.fixture(scope="session")
def refuse():
    """A function that skips the test for want of something, or fails where the browser tests are required."""
    return without


@pytest.fixture(scope="session")
def chromium():
    if browser.find_chromium() is None:
        without("Chromium")
    with browser.chromium() as opened:
        yield opened


@pytest.fixture(scope="session")
def axe():
    """The source of axe-core, which `npm ci` installs."""
    path = lessons.ROOT / "node_modules" / "axe-core" / "axe.min.js"
    if not path.is_file():
        without("axe-core (`npm ci` installs it)")
    return path.read_text(encoding="utf-8")
