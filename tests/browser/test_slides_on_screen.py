"""Slides in Chromium, from a file: nothing runs over the edge, nothing is too small, nothing comes from elsewhere."""

import lessons
import pytest
import slides

LEAST = 20  # pixels of the smallest text on a slide of 1280 x 720
SMALLEST = 0.7  # of its own size, that a picture is shown in

# What is wrong with the slide on the screen, as texts.
LOOK = """([width, height, least, smallest]) => {
    const slide = Reveal.getCurrentSlide().querySelector('.slide'), found = [];
    for (const element of slide.querySelectorAll('*')) {
        const box = element.getBoundingClientRect(), what = `${element.tagName} ${element.className}`;
        if (box.left < -1 || box.top < -1 || box.right > width + 1 || box.bottom > height + 1)
            found.push(`${what} runs over the edge: ${box.right}, ${box.bottom}`);
        if (element.clientWidth && element.scrollWidth > element.clientWidth + 1)
            found.push(`${what} is wider than its box`);
        const says = [...element.childNodes].some(node => node.nodeType === 3 && node.data.trim());
        const size = parseFloat(getComputedStyle(element).fontSize);
        if (says && size < least) found.push(`${what} is ${size} px small`);
    }
    const parts = [...slide.children].map(part => part.getBoundingClientRect());
    parts.slice(1).forEach((box, k) => {
        if (box.top < parts[k].bottom - 1) found.push(`part ${k + 1} lies over part ${k}`);
    });
    for (const image of slide.querySelectorAll('img')) {
        const box = image.getBoundingClientRect();
        const scale = Math.min(box.width / image.naturalWidth, box.height / image.naturalHeight);
        if (!(scale >= smallest)) found.push(`a picture is shown at ${scale} of its size`);
    }
    return found;
}"""


MAINS = [path.name[:2] for path in lessons.lesson_paths() if not lessons.is_companion(path)]


@pytest.fixture(scope="module", params=MAINS)
def show(request, chromium, refuse, tmp_path_factory):
    """A deck in a page, and what the page has complained about or asked the network for."""
    if not slides.REVEAL.is_dir():
        refuse("reveal.js (`npm ci` installs it)")
    (path,) = [p for p in lessons.lesson_paths(request.param) if not lessons.is_companion(p)]
    file = tmp_path_factory.mktemp("slides") / f"{request.param}.html"
    file.write_text(slides.page(path), encoding="utf-8")
    page = chromium.new_page(viewport={"width": slides.WIDTH, "height": slides.HEIGHT})
    complaints = []
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("request", lambda asked: complaints.append(asked.url))
    page.goto(file.as_uri())
    page.wait_for_function("window.Reveal && Reveal.isReady()")
    yield page, complaints
    page.close()


def test_every_slide_fits_the_screen(show):
    page, complaints = show
    wrong = {}
    for number in range(page.evaluate("Reveal.getTotalSlides()")):
        assert page.evaluate("Reveal.getIndices().h") == number
        if found := page.evaluate(LOOK, [slides.WIDTH, slides.HEIGHT, LEAST, SMALLEST]):
            wrong[number] = found
        page.keyboard.press("ArrowRight")
    assert not wrong
    outside = [what for what in complaints if not what.startswith(("file:", "data:"))]
    assert not outside


@pytest.mark.parametrize("show", ["03"], indirect=True)
def test_the_speaker_has_the_lessons_words(show):
    page, _ = show
    page.evaluate("Reveal.slide(1)")
    notes = page.evaluate("Reveal.getCurrentSlide().querySelector('.notes').innerText")
    assert len(notes) > 50
    with page.expect_popup() as opened:
        page.keyboard.press("s")
    speaker = opened.value
    speaker.wait_for_function(
        "document.querySelector('.speaker-controls-notes .value')?.innerText.trim()"
    )
    shown = speaker.inner_text(".speaker-controls-notes .value")
    assert shown.split()[:8] == notes.split()[:8]
    speaker.close()
