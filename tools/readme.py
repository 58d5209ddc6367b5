"""What the README and the cheat sheet show of the lessons: the table of them, the loss log, pictures."""

import itertools
import json
import math

import elsewhere
import lessons

from lessonkit import story

README = lessons.ROOT / "README.md"
PICTURE = lessons.ROOT / "picture.png"
ARCHITECTURES = lessons.ROOT / "architectures.json"  # made by tools/architectures.py
SHEET = lessons.ROOT / "CHEATSHEET.md"
SHEET_PICTURES = lessons.ROOT / "pictures"


def blocks(repository=None):
    """The parts of the README that are made from the lessons: a dict from a block's name to its markdown.

    repository: the elsewhere.Repository whose links it has, if it is not the one that pyproject.toml names.
    """
    repository = repository or elsewhere.repository()
    table = [
        "| lesson | the question it answers | minutes | to go on, with minutes |",
        "|---|---|---|---|",
    ]
    if repository:
        table = [f"{row} {cell} |" for row, cell in zip(table, ["open it on", "---"], strict=True)]
    companions = [path for path in lessons.lesson_paths() if lessons.is_companion(path)]
    mains = [path for path in lessons.lesson_paths() if not lessons.is_companion(path)]
    for path in mains:
        front = lessons.front_matter(path)
        link = f"[{front.number} · {front.title}](notebooks/{path.name})"
        more = [
            f"[{beside.number} · {beside.title}](notebooks/{other.name}), {beside.minutes}"
            for other in lessons.companions(path)
            for beside in [lessons.front_matter(other)]
        ]
        row = f"| {link} | {front.question} | {front.minutes} | {'; '.join(more)} |"
        table.append(f"{row} {elsewhere.links(repository, path)} |" if repository else row)
    together = f"All lessons take about {hours(mains)} hours, and their companions {hours(companions)} more."
    rows = {key: row for key in story.STORY if (row := story.saved_row(key)) is not None}
    return {
        "lessons": "\n".join([*table, "", together]),
        "open elsewhere": elsewhere.hint(repository),
        "loss log": str(story.LossLog(rows)),
        "architectures": architectures(),
    }


def hours(paths):
    """The hours that these lessons take together, rounded."""
    return round(sum(lessons.front_matter(path).minutes for path in paths) / 60)


def architectures():
    """The table of what tools/architectures.py has saved: dev losses at equal steps, and at equal time."""
    saved = json.loads(ARCHITECTURES.read_text(encoding="utf-8"))
    networks = saved["networks"]
    lengths = list(next(iter(networks.values()))["steps"])
    shown, most = lengths[::2], lengths[-1]
    seconds = min(rows["steps"][most]["seconds"] for rows in networks.values())
    heads = [f"{int(steps):,} steps" for steps in shown]
    table = [
        f"| network | parameters | {' | '.join(heads)} | in the time of the fastest |",
        "|---|---|" + "---|" * (len(shown) + 1),
    ]
    for name, network in networks.items():
        cells = ["{dev:.3f} ± {error:.3f}".format(**network["steps"][steps]) for steps in shown]
        cells.append(f"{at_time(network['steps'].values(), seconds):.2f}")
        table.append(f"| {name} | {network['parameters']:,} | {' | '.join(cells)} |")
    counted = saved["count table"]
    table.append(
        f"| counts of the last {counted['letters']} letters | – | {counted['dev']:.3f} |"
        + " |" * len(shown)
    )
    return "\n".join(table)


def at_time(rows, seconds):
    """The dev loss of a training that takes so long, between those saved, on a logarithmic scale of time."""
    rows = sorted(rows, key=lambda row: row["seconds"])
    for low, high in itertools.pairwise(rows):
        if low["seconds"] <= seconds <= high["seconds"]:
            part = math.log(seconds / low["seconds"]) / math.log(high["seconds"] / low["seconds"])
            return low["dev"] + part * (high["dev"] - low["dev"])
    raise ValueError(
        f"no training in {ARCHITECTURES.name} is as short and none as long as {seconds:.0f} s."
    )


def with_blocks(text, made, maker="make rebuild"):
    """The README's text with each block put between its two markers. Raises ValueError for a missing marker."""
    for name, block in made.items():
        start, end = f"<!-- {name}: made by `{maker}` -->\n", f"<!-- end of {name} -->"
        before, found, rest = text.partition(start)
        _, found_end, after = rest.partition(end)
        if not found or not found_end:
            raise ValueError(
                f"{README} lacks a marker of the block {name!r}: {start.strip()} or {end}"
            )
        text = f"{before}{start}{block}\n{end}{after}"
    return text


def picture():
    """The picture that the README shows: that of the one cell in all lessons with the tag `readme-picture`."""
    tagged = [
        cell
        for path in lessons.lesson_paths()
        for cell in lessons.code_cells(lessons.read(path))
        if lessons.PICTURE_TAG in cell.metadata.get("tags", [])
    ]
    if len(tagged) != 1 or len(lessons.pictures(tagged[0])) != 1:
        raise ValueError(
            f"one cell with one picture must have the tag {lessons.PICTURE_TAG!r}; "
            f"{len(tagged)} cells have it."
        )
    return lessons.pictures(tagged[0])[0]


def sheet_pictures():
    """The pictures of the cheat sheet: a dict from a file's name, such as "04.png", to the bytes of the PNG."""
    found = {}
    for path in lessons.lesson_paths():
        for cell in lessons.code_cells(lessons.read(path)):
            if lessons.SHEET_TAG in cell.metadata.get("tags", []):
                number = path.name.partition("_")[0]
                if f"{number}.png" in found or len(lessons.pictures(cell)) != 1:
                    raise ValueError(
                        f"{path}: one cell with one picture may have the tag {lessons.SHEET_TAG!r}."
                    )
                (found[f"{number}.png"],) = lessons.pictures(cell)
    return found
