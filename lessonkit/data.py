"""The data (lesson 01): names from a file, their characters as numbers, examples, and the split.

Lessons reach these as `helpers.load_names` and so on. Bad input raises an error that says where and what to do; what
is odd and may yet be meant is read, with a warning.
"""

import json
import unicodedata
import warnings
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from random import Random

import torch

from lessonkit import ROOT

NAMES_FILE = ROOT / "names.txt"
END = "."  # starts and ends every name; always number 0 of the vocabulary
FEWEST = 10  # names, so that each of the three splits gets one

# ---------------------------------------------------------------- From a file to names


def load_names(path=NAMES_FILE):
    """Read a text file with one name a line, in any alphabet, into a list of strings, in the file's order.

    The rule: UTF-8, with or without a byte order mark; white space around a name and blank lines are left out.

    Raises FileNotFoundError or PermissionError if the file cannot be read, and ValueError if it is no UTF-8 text, has
    names with the reserved character "." or with characters that no name has, or has fewer than ten names. Warns,
    once, of what is odd and may be meant. Each names the file, the lines where there are some, and what to do.
    """
    names, remarks = _read(Path(path))
    _warn(path, remarks)
    return names


def _read(path):
    """The names of a file, and remarks on what is odd about them."""
    lines = enumerate(_text(path).splitlines(), 1)
    lines = [(number, name) for number, line in lines if (name := line.strip())]
    _refuse_broken(path, lines)
    if len(lines) < FEWEST:
        holds = f"only {_count(lines, 'name')} ({_such_as(lines)})" if lines else "no name"
        raise ValueError(
            f"{path} holds {holds}. Put one name on each line; at least {FEWEST} are needed, so that each of the three "
            f"splits gets one."
        )
    return [name for _, name in lines], _remarks(lines)


def _warn(path, remarks):
    """Give the remarks on a file, if there are any, as one warning at the line of the lesson."""
    if remarks:
        warnings.warn(f"{path}: {' '.join(remarks)}", stacklevel=3)


# What a file is that begins with these bytes, and what to do. UTF-32 comes before UTF-16, which begins alike.
_SAVE_AS_TEXT = "Save the list as UTF-8 text, one name a line."
_OTHER_FILES = {
    b"\x1f\x8b": ("compressed by gzip", "Unpack it first."),
    b"BZh9": ("compressed by bzip2", "Unpack it first."),
    b"\xfd7zXZ": ("compressed by xz", "Unpack it first."),
    b"\x28\xb5\x2f\xfd": ("compressed by zstd", "Unpack it first."),
    b"7z\xbc\xaf": ("a 7z archive", "Unpack it first."),
    b"PK\x03\x04": (
        "a zip archive, or a document of an office program",
        f"Unpack it, or open it there. {_SAVE_AS_TEXT}",
    ),
    b"\xd0\xcf\x11\xe0": ("a document of an older office program", _SAVE_AS_TEXT),
    b"{\\rtf": ("a document in rich text", _SAVE_AS_TEXT),
    b"%PDF": ("a PDF", _SAVE_AS_TEXT),
    b"\x89PNG": ("a PNG picture", _SAVE_AS_TEXT),
    b"\xff\xd8\xff": ("a JPEG picture", _SAVE_AS_TEXT),
    b"GIF8": ("a GIF picture", _SAVE_AS_TEXT),
    b"SQLite format 3": ("a database of SQLite", _SAVE_AS_TEXT),
    b"\xff\xfe\0\0": ("UTF-32 text", "Save it as UTF-8."),
    b"\0\0\xfe\xff": ("UTF-32 text", "Save it as UTF-8."),
    b"\xff\xfe": ("UTF-16 text", "Save it as UTF-8."),
    b"\xfe\xff": ("UTF-16 text", "Save it as UTF-8."),
}


def _text(path):
    """The text of a file. Raises an error that says what the file is, if it is no UTF-8 text."""
    raw = _bytes(path)
    for start, (what, to_do) in _OTHER_FILES.items():
        if raw.startswith(start):
            raise ValueError(f"{path} is {what}, and not UTF-8 text. {to_do}")
    zeros = raw.count(0)
    if zeros > len(raw) // 4 and zeros in (raw[::2].count(0), raw[1::2].count(0)):
        raise ValueError(
            f"{path} is probably UTF-16 text: every other byte is 0. Save it as UTF-8."
        )
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        lines = enumerate(raw.splitlines(), 1)
        lines = [(n, line.decode("utf-8", "replace")) for n, line in lines if not _is_utf_8(line)]
        raise ValueError(
            f"{path} is not UTF-8 text: {_count(lines, 'line')} cannot be read ({_such_as(lines)}). "
            f"If it comes from an older program, open it there or in an editor, and save it as UTF-8."
        ) from None
    if _is_json(text) or text.lstrip().lower().startswith(("<!doctype html", "<html", "<?xml")):
        raise ValueError(
            f"{path} is a file of JSON, HTML or XML, and not a plain list of names. {_SAVE_AS_TEXT}"
        )
    return text


def _bytes(path):
    """The bytes of a file. Never waits for a pipe."""
    try:
        if path.is_file():
            return path.read_bytes()
        if path.is_dir():
            what = "is a folder, not a file"
        elif path.exists():
            what = "is no ordinary file, but a pipe, a socket or a device"
        elif path.is_symlink():
            what = "is a link to a file that does not exist"
        else:
            what = "does not exist"
    except PermissionError as error:
        raise PermissionError(
            f"{path} may not be read by you. Change its permissions, or copy it to a folder of yours."
        ) from error
    raise FileNotFoundError(
        f"{path} {what}. Give load_names the path of a text file with one name a line."
    )


def _is_json(text):
    try:
        return text.lstrip().startswith(("[", "{")) and json.loads(text) is not None
    except json.JSONDecodeError:
        return False


def _is_utf_8(line):
    try:
        line.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


# ---------------------------------------------------------------- What is wrong or odd about names


def _refuse_broken(path, lines):
    """Raise ValueError if names have the reserved ".", or characters that only a damaged file has."""
    dotted = [(number, name) for number, name in lines if END in name]
    if dotted:
        raise ValueError(
            f'{path}: {_count(dotted, "name")} {_hold(dotted)} "{END}", which marks where a name ends '
            f"({_such_as(dotted)}). Remove the character, or the lines."
        )
    broken, characters = _holding(lines, _is_broken)
    if broken:
        raise ValueError(
            f"{path}: {_count(broken, 'name')} {_hold(broken)} characters that no name has: {characters} "
            f"({_such_as(broken)}). The file was damaged, or is a table: get or save it again as UTF-8 text with "
            f"names alone."
        )


def _remarks(lines):
    """What is odd about names and may yet be meant, in sentences."""
    remarks = []
    unseen, characters = _holding(lines, _is_unseen)
    if unseen:
        remarks.append(
            f"{_count(unseen, 'name')} {_hold(unseen)} characters that cannot be seen: {characters} "
            f"({_such_as(unseen)}). Remove them, unless they belong to the script."
        )
    rare, characters = _holding(lines, _is_rare)
    if rare:
        remarks.append(
            f"{_count(rare, 'name')} {_hold(rare)} characters that are rare in names: {characters} "
            f"({_such_as(rare)}). If this is a table, keep the column with the names alone."
        )
    if lines[0][1].casefold() in ("name", "names", "first name", "firstname", "first_name"):
        remarks.append(f"{_such_as(lines[:1])} looks like a heading. If it is one, remove it.")
    long = [(number, name) for number, name in lines if len(name) > 50]
    if long:
        remarks.append(
            f"{_count(long, 'name')} {_hold(long, 'has', 'have')} more than 50 characters ({_such_as(long)}). "
            f"Is there one name on each line?"
        )
    in_pieces = [
        (n, name) for n, name in lines if len(unicodedata.normalize("NFC", name)) < len(name)
    ]
    if in_pieces:
        remarks.append(
            f"{_count(in_pieces, 'name')} {_hold(in_pieces)} letters in pieces, such as e and ¨ for ë "
            f"({_such_as(in_pieces)}), and each piece counts as a symbol. To put them together, save the text anew "
            f'after `text = unicodedata.normalize("NFC", text)`.'
        )
    return remarks


def _is_broken(character):
    """Control characters, the sign for a lost character (U+FFFD), a byte order mark within the text."""
    return unicodedata.category(character) in ("Cc", "Cs") or character in "\ufffd\ufeff"


def _is_unseen(character):
    """Zero-width and other characters without a shape of their own, and spaces other than the usual one.

    Some scripts need them: Persian has a non-joiner, and Japanese a wide space.
    """
    shapeless = "\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0"  # fillers, which count as letters or signs
    category = unicodedata.category(character)
    return (
        category in ("Cf", "Cn", "Co", "Zl", "Zp")
        or character in shapeless
        or (category == "Zs" and character != " ")
    )


def _is_rare(character):
    """Digits, quotes, commas and other signs, but for those that names have: apostrophes, hyphens, middle dots."""
    usual = "'’‘ʼ`´-‐‑–·・׳״՚"
    return unicodedata.category(character)[0] in "NPS" and character not in usual + "\u2800\ufffd"


def _holding(lines, kind):
    """The lines whose names have characters of a kind, and these in words, with the number of names for each."""
    wanted = {
        character for character in set().union(*(name for _, name in lines)) if kind(character)
    }
    if not wanted:
        return [], ""
    holding = [(number, name) for number, name in lines if not wanted.isdisjoint(name)]
    names_with = Counter(
        character for _, name in holding for character in wanted.intersection(name)
    )
    common = sorted(wanted, key=lambda character: (-names_with[character], character))
    shown = [f"{_in_words(character)} in {names_with[character]:,}" for character in common[:4]]
    return holding, ", ".join(shown) + (
        f", and {len(common) - 4:,} more" if len(common) > 4 else ""
    )


def _in_words(character):
    usual = {"\0": "a zero byte", "\t": "a tab", "\ufeff": "a byte order mark"}
    other = "a control character" if unicodedata.category(character) == "Cc" else "without a name"
    name = usual.get(character) or unicodedata.name(character, other)
    sign = f"{character!r} " if character.isprintable() and not _is_unseen(character) else ""
    return f"{sign}U+{ord(character):04X} ({name})"


def _such_as(lines, shown=3):
    """The first few lines, shortened: `line 2: 'j.r', line 9: 'st. john', and 12 more`."""
    words = [f"line {number}: {_short(name)}" for number, name in lines[:shown]]
    return ", ".join(words) + (f", and {len(lines) - shown:,} more" if len(lines) > shown else "")


def _short(name, length=30):
    return repr(name if len(name) <= length else name[: length - 1] + "…")


def _count(lines, what):
    return f"{len(lines):,} {what}" + "s" * (len(lines) != 1)


def _hold(lines, one="holds", more="hold"):
    return one if len(lines) == 1 else more


# ---------------------------------------------------------------- From names to numbers


def build_vocabulary(names):
    """Number the characters of the names: "." is 0, the others follow in sorted order from 1.

    Returns (stoi, itos): a dict from character to number and its inverse, from number to character.
    Raises ValueError if there are no names, or if some contain the reserved ".".
    """
    if isinstance(names, str) or not names:
        got = f"the string {_short(names)}" if isinstance(names, str) else f"{names!r}"
        raise ValueError(f"build_vocabulary needs a list of names, and got {got}.")
    dotted = [name for name in names if END in name]
    if dotted:
        raise ValueError(
            f'{_count(dotted, "name")} of the list {_hold(dotted)} "{END}", which is reserved; the first is '
            f"number {names.index(dotted[0]) + 1}, {_short(dotted[0])}. Remove the character."
        )
    stoi = {END: 0} | {character: i for i, character in enumerate(sorted(set().union(*names)), 1)}
    return stoi, {i: character for character, i in stoi.items()}


def build_dataset(names, stoi, block_size=3):
    """Turn names into training examples: block_size characters of context, and the character that follows.

    A name of n characters gives n + 1 examples, the last of which predicts the end, ".". Before the first
    character the context is filled with ".".

    Returns (X, Y): X of shape (N, block_size) and Y of shape (N,), both int64, holding numbers of stoi.
    Raises ValueError if block_size is below 1 or if a character is not in stoi.
    """
    if isinstance(names, str):
        raise ValueError(
            f"build_dataset needs a list of names, and got the string {_short(names)}."
        )
    if block_size < 1:
        raise ValueError(f"block_size is {block_size}; it must be 1 or more.")
    contexts, targets = [], []
    for number, name in enumerate(names, 1):
        context = [stoi[END]] * block_size
        for character in name + END:
            if character not in stoi:
                raise ValueError(
                    f"name {number} of the list, {_short(name)}, has {character!r}, which is not in the vocabulary. "
                    f"Build the vocabulary from all names, before they are split."
                )
            contexts.append(context)
            targets.append(stoi[character])
            context = context[1:] + [stoi[character]]
    X = torch.tensor(contexts, dtype=torch.int64).view(-1, block_size)
    return X, torch.tensor(targets, dtype=torch.int64)


def split_names(names, seed=42):
    """Shuffle a copy of the names and cut it into three lists: 80 % to train, 10 % dev, 10 % test.

    The order is that of `random.seed(seed); random.shuffle(names)`. The list that is passed in stays as it is.
    Raises ValueError if there are fewer than ten names: a split would be empty.
    """
    if isinstance(names, str):
        raise ValueError(f"split_names needs a list of names, and got the string {_short(names)}.")
    names = list(names)
    if len(names) < FEWEST:
        raise ValueError(
            f"{_count(names, 'name')} cannot be split in three: at least {FEWEST} are needed."
        )
    Random(seed).shuffle(names)
    first, second = int(0.8 * len(names)), int(0.9 * len(names))
    return names[:first], names[first:second], names[second:]


# ---------------------------------------------------------------- All in one go


@dataclass(frozen=True)
class Splits:
    """What a lesson starts from. train, dev, test: (X, Y) each, as of `build_dataset`. names: in the file's order."""

    names: list
    stoi: dict
    itos: dict
    train: tuple
    dev: tuple
    test: tuple


def load_splits(path=NAMES_FILE, block_size=3):
    """Read the names, number their characters, and build the examples of the three splits, in one go: a Splits.

    Raises and warns of what `load_names` does. Warns also if more than half of the dev names are training names,
    too: their loss then tells nothing about new names.
    """
    names, remarks = _read(Path(path))
    parts = split_names(names)
    train, dev, _ = parts
    seen = set(train)
    known = sum(name in seen for name in dev) / len(dev)
    if known > 0.5:
        remarks.append(
            f"{known:.0%} of the dev names are training names, too, because the file repeats its names: the dev loss "
            f"does not tell how the network does on new names. Leave each name in once."
        )
    _warn(path, remarks)
    stoi, itos = build_vocabulary(names)
    return Splits(names, stoi, itos, *(build_dataset(part, stoi, block_size) for part in parts))
