"""What the README and the cheat sheet show of the lessons: the table of them, the loss log, pictures."""

import lessons

from lessonkit import story

README = lessons.ROOT / "README.md"
PICTURE = lessons.ROOT / "picture.png"
SHEET = lessons.ROOT / "CHEATSHEET.md"
SHEET_PICTURES = lessons.ROOT / "pictures"


def blocks():
    """The parts of the README that are made from the lessons: a dict from a block's name to its markdown."""
    table = [
        "| lesson | the question it answers | minutes | to go on, with minutes |",
        "|---|---|---|---|",
    ]
    for path in lessons.lesson_paths():
        if lessons.is_companion(path):
            continue
        front = lessons.front_matter(path)
        link = f"[{front.number} · {front.title}](notebooks/{path.name})"
        more = [
            f"[{beside.number} · {beside.title}](notebooks/{other.name}), {beside.minutes}"
            for other in lessons.companions(path)
            for beside in [lessons.front_matter(other)]
        ]
        table.append(f"| {link} | {front.question} | {front.minutes} | {'; '.join(more)} |")
    rows = {key: row for key in story.STORY if (row := story.saved_row(key)) is not None}
    return {"lessons": "\n".join(table), "loss log": str(story.LossLog(rows))}


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
