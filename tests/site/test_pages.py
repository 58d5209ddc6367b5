"""The built site, file by file and in Chromium: it is whole, light, readable by all, and needs no other host."""

import functools
import http.server
import os
import re
import threading
from html.parser import HTMLParser
from itertools import pairwise
from urllib.parse import unquote, urldefrag

import glossary
import lessons
import pages
import pytest

MOST = 2_000_000  # bytes of a page, before its panels
SAMPLES = ["index", "notebooks/03_fixing_the_saturated_tanh", "GLOSSARY"]
PHONE = {"width": 360, "height": 740}
# What makes a browser load something: attributes of elements, CSS, and calls in scripts.
LOADING = {
    "script": ["src"],
    "img": ["src", "srcset"],
    "source": ["src", "srcset"],
    "iframe": ["src"],
    "video": ["src", "poster"],
    "audio": ["src"],
    "embed": ["src"],
    "object": ["data"],
}
LOADING_LINKS = {"stylesheet", "preload", "modulepreload", "icon", "prefetch", "preconnect"}
OTHER_HOST = r"(?:https?:)?//\w"
IN_CSS = re.compile(rf"""(?:@import\s*["']?|url\(\s*["']?){OTHER_HOST}[^"')\s]*""")
IN_SCRIPT = re.compile(
    rf"""(?<![@\w])(?:fetch|import|importScripts|from|Worker|WebSocket)\s*\(?\s*["'`](?:wss?:|{OTHER_HOST})[^"'`]*"""
)


class Page(HTMLParser):
    """What a page's HTML says: its links, what it loads, its ids, its pictures with their attributes, and its words."""

    def __init__(self, html):
        super().__init__()
        self.links, self.loads, self.ids, self.images, self.inline = [], [], [], [], []
        self.words, self.inside = [], []
        self.feed(html)

    def handle_starttag(self, tag, attributes):
        given = dict(attributes)
        if tag in ("script", "style", "pre", "code"):
            self.inside.append(tag)
        if "id" in given:
            self.ids.append(given["id"])
        if tag == "a" and given.get("href"):
            self.links.append(given["href"])
        if tag == "img":
            self.images.append(given)
        if tag == "link" and LOADING_LINKS & set(given.get("rel", "").split()):
            self.loads.append(given["href"])
        self.loads += [given[name] for name in LOADING.get(tag, []) if given.get(name)]
        if "style" in given:
            self.inline.append(given["style"])

    def handle_endtag(self, tag):
        if self.inside and self.inside[-1] == tag:
            self.inside.pop()

    def handle_data(self, data):
        if self.inside and self.inside[-1] in ("script", "style"):
            self.inline.append(data)
        elif not self.inside:
            self.words.append(data)


def other_hosts(page):
    """What a page loads from another host, by its elements, its styles and its scripts."""
    found = [address for address in page.loads if re.match(OTHER_HOST, address)]
    return found + [
        m[0] for text in page.inline for p in (IN_CSS, IN_SCRIPT) for m in p.finditer(text)
    ]


@pytest.fixture(scope="module")
def site():
    """The folder of the pages, if they were made from the documents as they are now."""
    made_from = pages.MADE_FROM.read_text(encoding="utf-8") if pages.MADE_FROM.exists() else None
    if made_from != pages.fingerprint():
        said = "there is no site made from the documents as they are now: `make site` makes it"
        if os.environ.get("BROWSER_TESTS") == "required":
            pytest.fail(said)
        pytest.skip(said)
    return pages.HTML


@pytest.fixture(scope="module")
def read(site):
    """A dict from each page's path to what it says."""
    files = sorted(path for path in site.rglob("*.html") if "_static" not in path.parts)
    return {path: Page(path.read_text(encoding="utf-8")) for path in files}


# ---------------------------------------------------------------- File by file


@pytest.mark.parametrize(
    ("html", "found"),
    [
        ('<script src="https://a.org/x.js"></script>', 1),
        ('<script src="//a.org/x.js"></script>', 1),
        ('<link rel="stylesheet" href="https://a.org/x.css">', 1),
        ("<style>@import 'https://a.org/x.css'; a {b: url(https://a.org/i.png)}</style>", 2),
        ('<p style="background: url(//a.org/i.png)">', 1),
        ("<script>fetch('https://a.org/x'); import('https://a.org/y')</script>", 2),
        ('<img src="x.png"><a href="https://a.org">there</a><link rel="next" href="//a.org">', 0),
    ],
)
def test_a_load_from_another_host_is_seen(html, found):
    assert len(other_hosts(Page(html))) == found


def test_nothing_is_loaded_from_another_host(site, read):
    assert not {path.name: found for path, page in read.items() if (found := other_hosts(page))}
    for path in [*site.rglob("*.css"), *site.rglob("*.js")]:
        text = path.read_text(encoding="utf-8")
        pattern = IN_CSS if path.suffix == ".css" else IN_SCRIPT
        assert not pattern.search(text), path


def test_every_document_has_its_page(site):
    for path in lessons.lesson_paths():
        assert (site / "notebooks" / f"{path.stem}.html").is_file()
    for name in pages.DOCUMENTS:
        assert (site / name.replace(pages.START, "index.md")).with_suffix(".html").is_file()


def test_every_link_leads_to_a_file_and_a_place(site, read):
    """Relative links only: they work under any path, and without a server."""
    for path, page in read.items():
        for link in page.links + page.loads:
            address, place = urldefrag(link)
            if re.match(r"(https?|mailto|data):", address):
                continue
            assert not address.startswith("/"), (path.name, link)
            target = (
                (path.parent / unquote(address.partition("?")[0])).resolve() if address else path
            )
            target = target / "index.html" if target.is_dir() else target
            assert target.is_file(), (path.name, link)
            if place and target.suffix == ".html" and place != "main-content":
                assert place in read[target].ids, (path.name, link)


def test_pages_follow_each_other_as_the_lessons_do(site, read):
    """A companion comes after its lesson; previous and next lead through all of them."""
    order = [site / "index.html"]
    order += [site / "notebooks" / f"{path.stem}.html" for path in lessons.lesson_paths()]
    for before, after in pairwise(order):
        html = before.read_text(encoding="utf-8")
        (address,) = re.findall(r'<link rel="next" [^>]*href="([^"]+)"', html)
        assert (before.parent / address).resolve() == after


def test_every_picture_has_its_own_words(read):
    for path, page in read.items():
        for image in page.images:
            assert image.get("alt"), (path.name, image["src"])
            assert not re.search(r"\.(png|webp)$", image["alt"]), (path.name, image["src"])


def test_a_saved_picture_has_the_words_that_the_lesson_holds_for_it(site, read):
    lesson = lessons.lesson_paths("03_")[0]
    saved = [
        " ".join(output.metadata["image/png"]["alt"].split())
        for cell in lessons.code_cells(lessons.read(lesson))
        for output in cell.outputs
        if "image/png" in output.get("data", {})
    ]
    page = read[site / "notebooks" / f"{lesson.stem}.html"]
    shown = [image["alt"] for image in page.images if image["alt"] in saved]
    panels = sum("helpers.Panel(" in c.source for c in lessons.code_cells(lessons.read(lesson)))
    assert len(saved) - panels <= len(shown) <= len(saved)


def test_no_formula_is_left_as_it_is_typed(read):
    assert not [path.name for path, page in read.items() if "$" in "".join(page.words)]


def test_details_are_balanced_and_folded(site):
    for path in lessons.lesson_paths():
        html = (site / "notebooks" / f"{path.stem}.html").read_text(encoding="utf-8")
        main = html[html.index("<article") : html.index("</article>")]
        written = sum(
            c.source.count("<details>") for c in lessons.markdown_cells(lessons.read(path))
        )
        assert len(re.findall("<details>", main)) == written
        assert not re.search(r"<details[^>]* open", main)
        depth = 0
        for tag in re.findall(r"</?(?:details|section)\b", main):
            depth += tag.count("<") if "/" not in tag else -1
            assert depth >= 0
        assert depth == 0


def test_the_code_of_a_solution_is_coloured_code(site):
    html = (site / "notebooks/02b_ask_and_practise.html").read_text(encoding="utf-8")
    folded = re.findall(r"<details>(.*?)</details>", html, re.S)
    assert any('<div class="highlight' in inside for inside in folded)
    assert not any("```" in inside for inside in folded)


def weight(site, path, page):
    """The bytes of a page with all that it loads, but for the frames of its panels; fonts count as a whole."""
    files = {path}
    for address in page.loads:
        if "/_static/frames/" not in address and not address.startswith("data:"):
            files.add((path.parent / address.partition("?")[0]).resolve())
    files |= set(site.rglob("fa-solid*.woff2"))  # the one font of icons that the pages use
    return sum(file.stat().st_size for file in files)


def test_a_page_is_light(site, read):
    heavy = {p.name: w for p, page in read.items() if (w := weight(site, p, page)) > MOST}
    assert not heavy


def test_terms_are_linked_once_a_page_and_not_in_code(site):
    text = (lessons.ROOT / pages.GLOSSARY).read_text(encoding="utf-8")
    entry_of = {entry.anchor: entry for entry in glossary.entries(text).values()}
    assert len(entry_of) > 200
    linked = set()
    for path in lessons.lesson_paths():
        html = (site / "notebooks" / f"{path.stem}.html").read_text(encoding="utf-8")
        found = re.findall(
            r'<a class="[^"]*\bterm\b[^"]*" href="[^"]*#(term-[^"]+)" title="([^"]+)">([^<]+)</a>',
            html,
        )
        anchors = [anchor for anchor, _, _ in found]
        assert len(anchors) == len(set(anchors)) > 2, path.stem
        linked |= set(anchors)
        for anchor, _, word in found:
            names = [name.casefold() for name in entry_of[anchor].names]
            plain = " ".join(word.split()).casefold()
            assert any(plain in (name, f"{name}s", f"{name}es") for name in names), (
                path.stem,
                word,
            )
        for part in re.findall(r"<(h\d|pre|code)\b.*?</\1>", html, re.S):
            assert 'class="reference internal term"' not in part
    assert len(linked) > 0.7 * len(entry_of)


# ---------------------------------------------------------------- In Chromium


class Silent(http.server.SimpleHTTPRequestHandler):
    """A server that says nothing."""

    def log_message(self, *_):
        pass


@pytest.fixture(scope="module")
def address(site, tmp_path_factory):
    """The address of the site under a path of a server, as on a host for pages."""
    root = tmp_path_factory.mktemp("server")
    (root / "some" / "path").mkdir(parents=True)
    (root / "some" / "path" / "series").symlink_to(site)
    handler = functools.partial(Silent, directory=str(root))
    with http.server.ThreadingHTTPServer(("localhost", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://localhost:{server.server_port}/some/path/series"
        server.shutdown()


@pytest.fixture
def opened(chromium, request):
    """A page of the browser that refuses other hosts, with what was wrong: requests elsewhere, errors, lost files."""
    context = chromium.new_context(**getattr(request, "param", {}))
    page = context.new_page()
    page.wrong = []

    def allow(route):
        if re.match(r"(file:|data:|blob:|http://localhost)", route.request.url):
            route.continue_()
        else:
            page.wrong.append(route.request.url)
            route.abort()

    page.route("**/*", allow)
    page.on("console", lambda m: page.wrong.append(m.text) if m.type in ("error", "warning") else 0)
    page.on("pageerror", lambda error: page.wrong.append(str(error)))
    page.on("response", lambda r: page.wrong.append(r.url) if r.status >= 400 else None)
    yield page
    context.close()
    assert not page.wrong


def test_the_browser_test_sees_what_is_wrong(chromium, opened):
    opened.set_content("<img src='https://a.org/x.png'><script>console.error('oh')</script>")
    opened.wait_for_timeout(100)
    assert "https://a.org/x.png" in opened.wrong and "oh" in opened.wrong
    opened.wrong.clear()


@pytest.mark.parametrize("opened", [{"viewport": PHONE}], indirect=True, ids=["phone"])
def test_no_page_scrolls_sideways_on_a_phone(opened, site, read):
    """And none of them asks another host or has an error, from the file system."""
    for path in read:
        opened.goto(path.as_uri())
        assert opened.evaluate("document.documentElement.scrollWidth") <= PHONE["width"], path.name


@pytest.mark.parametrize(
    "opened", [{"viewport": PHONE, "has_touch": True}], indirect=True, ids=["phone"]
)
def test_a_phone_has_the_menus_and_enlarges_a_picture(opened, site):
    opened.goto((site / f"{SAMPLES[1]}.html").as_uri())
    opened.locator(".secondary-toggle:visible").tap()
    opened.locator("dialog[open] a", has_text="Does training mend it?").tap()
    assert opened.url.endswith("#does-training-mend-it")
    opened.goto((site / "notebooks" / "05_batchnorm.html").as_uri())
    assert opened.get_by_text("Tap a picture").is_visible()
    picture = opened.locator("article .cell_output img:visible:not(.panel img)").first
    width = "e => e.getBoundingClientRect().width"
    small = picture.evaluate(width)
    picture.tap()
    assert picture.evaluate(width) > 1.5 * small
    assert opened.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
    picture.tap()
    assert picture.evaluate(width) == small
    opened.locator(".primary-toggle:visible").tap()
    opened.locator("dialog[open] a", has_text="06 · PyTorch-ify").tap()
    opened.wait_for_url("**/notebooks/06_*")


def test_the_start_page_begins_with_the_lessons_and_all_else_is_on_the_next():
    text = (lessons.ROOT / pages.START).read_text(encoding="utf-8")
    start, more = pages.parted(text)
    headings = re.compile("^## .+$", re.M)
    assert headings.findall(start) == ["## The lessons"]
    assert headings.findall(more)[0] == "## Start"
    assert {*text.splitlines()} <= {*start.splitlines(), *more.splitlines()}


@pytest.mark.parametrize("heading", ["## Start", "## The lessons"])
def test_a_start_page_without_its_headings_is_an_error(heading):
    text = (lessons.ROOT / pages.START).read_text(encoding="utf-8")
    with pytest.raises(ValueError, match=f"has no heading '{heading}'"):
        pages.parted(text.replace(heading, "## Other"))


def test_it_works_under_a_path_and_its_search_finds_a_lesson(opened, address):
    opened.goto(f"{address}/search.html?q=saturated")
    first = opened.locator("#search-results li a").first
    first.wait_for(timeout=20_000)
    found = opened.locator("#search-results li a").all_inner_texts()
    assert any("saturated tanh" in text for text in found)
    opened.locator("#search-results li a", has_text="saturated tanh").first.click()
    opened.wait_for_url("**/notebooks/03_*")


def test_its_search_works_from_a_file_system(opened, site):
    opened.goto((site / "search.html").as_uri() + "?q=kaiming")
    opened.locator("#search-results li a").first.wait_for(timeout=20_000)


def test_the_switch_makes_the_page_dark_and_pictures_stay_on_white(opened, address):
    opened.emulate_media(color_scheme="light")
    opened.goto(f"{address}/{SAMPLES[1]}.html")
    background = "getComputedStyle(document.body).backgroundColor"
    light = opened.evaluate(background)
    opened.locator(".theme-switch-button").click()
    opened.locator(".theme-change-button[data-mode=dark]").click()
    assert opened.evaluate("document.documentElement.dataset.theme") == "dark"
    assert opened.evaluate(background) != light
    picture = opened.locator("article .cell_output img").first
    assert picture.evaluate("e => getComputedStyle(e).backgroundColor") == "rgb(255, 255, 255)"


def test_on_paper_nothing_is_folded_or_cut(opened, site, tmp_path):
    opened.goto((site / f"{SAMPLES[1]}.html").as_uri())
    opened.emulate_media(media="print")
    opened.evaluate("document.documentElement.dataset.theme = 'dark'")
    opened.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert opened.evaluate("document.documentElement.dataset.theme") == "light"
    folded = (
        "[...document.querySelectorAll('article details:not(.hide)')].filter(d => !d.open).length"
    )
    assert opened.evaluate(folded) == 0
    for hidden in (".bd-sidebar-primary", ".bd-header-article", ".prev-next-footer"):
        assert opened.locator(hidden).first.is_hidden()
    assert opened.locator("article h1").first.is_visible()
    wide = "[...document.querySelectorAll('article pre')].filter(e => e.scrollWidth > e.clientWidth + 1).length"
    opened.set_viewport_size({"width": 700, "height": 1000})  # about the width of A4
    assert opened.evaluate(wide) == 0
    opened.evaluate("dispatchEvent(new Event('afterprint'))")
    assert opened.evaluate(folded) > 0
    assert opened.evaluate("document.documentElement.dataset.theme") == "dark"


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("name", SAMPLES)
def test_the_rules_of_axe_core_hold(opened, site, axe, name, scheme):
    opened.emulate_media(color_scheme=scheme)
    opened.goto((site / f"{name}.html").as_uri())
    opened.evaluate(axe)
    found = opened.evaluate("axe.run(document, {preload: false})")
    assert found["passes"]
    said = [(v["id"], [node["html"][:200] for node in v["nodes"]][:3]) for v in found["violations"]]
    assert not said
