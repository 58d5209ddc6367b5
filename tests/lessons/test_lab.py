"""`make lab` serves this machine only, and only to those who have the token."""

import json
import socket
import urllib.error
import urllib.request

import browser
import lessons
import pytest

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    with browser.running_lab(lessons.ROOT, tmp_path_factory.mktemp("lab") / "log.txt") as running:
        yield running


def get(lab, path):
    """The status and the body of an answer."""
    try:
        with urllib.request.urlopen(f"http://localhost:{lab.port}{path}", timeout=30) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read()


def test_it_shows_the_lessons_to_those_who_have_the_token(lab):
    status, body = get(lab, f"/api/contents/notebooks?token={lab.token}")
    assert status == 200
    shown = {entry["name"] for entry in json.loads(body)["content"]}
    assert shown >= {path.name for path in lessons.lesson_paths()}


def test_it_opens_the_first_lesson(lab):
    with urllib.request.urlopen(
        f"http://localhost:{lab.port}/?token={lab.token}", timeout=30
    ) as answer:
        opened = answer.url
    assert f"/lab/tree/notebooks/{lessons.lesson_paths()[0].name}" in opened


def test_it_shows_nothing_to_others(lab):
    assert get(lab, "/api/contents/notebooks")[0] == 403


def test_it_listens_on_this_machine_only(lab):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect(
            ("192.0.2.1", 9)
        )  # sends nothing; the system names the address it would send from
        outside = probe.getsockname()[0]
    if outside.startswith("127."):
        pytest.skip("this machine has no address but its own")
    with socket.socket() as probe:
        assert probe.connect_ex((outside, lab.port)) != 0


def test_it_asks_nobody_for_news_or_updates(lab):
    assert get(lab, f"/lab/api/news?token={lab.token}") == (200, b'{"news": []}')
    assert get(lab, f"/lab/api/update?token={lab.token}") == (200, b'{"notification": null}')
