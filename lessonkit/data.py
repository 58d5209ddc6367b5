"""The data (lesson 01): names from a file, their characters as numbers, examples, and the split.

Lessons reach these as `helpers.load_names` and so on. Bad input raises an error that says where and what to do.
"""

import random
import unicodedata
from dataclasses import dataclass
from pathlib import Path

import torch

from lessonkit import ROOT

NAMES_FILE = ROOT / "names.txt"
END = "."  # starts and ends every name; always number 0 of the vocabulary


def load_names(path=NAMES_FILE):
    """Read a text file with one name a line into a list of strings, in the file's order.

    UTF-8, with or without a byte order mark, and any line ends. Blank lines and white space around a name are
    left out. Letters are brought to Unicode's composed form (NFC), so that one letter is one symbol.

    Raises FileNotFoundError if there is no such file, and ValueError if the file holds no name, is not text, or
    has a name with the reserved character "."; each names the file, the line where there is one, and what to do.
    """
    path = Path(path)
    if not path.is_file():
        what = "is a folder, not a file" if path.is_dir() else "does not exist"
        raise FileNotFoundError(
            f"{path} {what}. Give load_names the path of a text file with one name a line."
        )
    raw = path.read_bytes()
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise ValueError(
            f"{path}, line {line}: this is not UTF-8 text. Save the file as UTF-8 text."
        ) from error
    names = []
    for line, name in enumerate(text.replace("\r\n", "\n").replace("\r", "\n").split("\n"), 1):
        name = unicodedata.normalize("NFC", name.strip())
        if "\0" in name:
            raise ValueError(
                f"{path}, line {line}: a zero byte, so this is not a text file. Save it as UTF-8 text."
            )
        if END in name:
            raise ValueError(
                f'{path}, line {line}: {name!r} contains "{END}", which marks where a name ends. '
                f"Remove the character or the line."
            )
        if name:
            names.append(name)
    if not names:
        raise ValueError(f"{path} holds no name. Put one name on each line.")
    return names


def build_vocabulary(names):
    """Number the characters of the names: "." is 0, the others follow in sorted order from 1.

    Returns (stoi, itos): a dict from character to number and its inverse, from number to character.
    Raises ValueError if there are no names, or if one contains the reserved ".".
    """
    if isinstance(names, str) or not names:
        raise ValueError(f"build_vocabulary needs a list of names, and got {names!r}.")
    for number, name in enumerate(names, 1):
        if END in name:
            raise ValueError(
                f'name {number} of the list, {name!r}, contains "{END}", which is reserved: remove it.'
            )
    stoi = {END: 0} | {character: i for i, character in enumerate(sorted(set("".join(names))), 1)}
    return stoi, {i: character for character, i in stoi.items()}


def build_dataset(names, stoi, block_size=3):
    """Turn names into training examples: block_size characters of context, and the character that follows.

    A name of n characters gives n + 1 examples, the last of which predicts the end, ".". Before the first
    character the context is filled with ".".

    Returns (X, Y): X of shape (N, block_size) and Y of shape (N,), both int64, holding numbers of stoi.
    Raises ValueError if block_size is below 1 or if a character is not in stoi.
    """
    if isinstance(names, str):
        raise ValueError(f"build_dataset needs a list of names, and got the string {names!r}.")
    if block_size < 1:
        raise ValueError(f"block_size is {block_size}; it must be 1 or more.")
    contexts, targets = [], []
    for number, name in enumerate(names, 1):
        context = [stoi[END]] * block_size
        for character in name + END:
            if character not in stoi:
                raise ValueError(
                    f"name {number} of the list, {name!r}, has {character!r}, which is not in the vocabulary. "
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
    """
    names = list(names)
    random.Random(seed).shuffle(names)
    first, second = int(0.8 * len(names)), int(0.9 * len(names))
    return names[:first], names[first:second], names[second:]


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

    Raises what `load_names` raises.
    """
    names = load_names(path)
    stoi, itos = build_vocabulary(names)
    splits = [build_dataset(part, stoi, block_size) for part in split_names(names)]
    return Splits(names, stoi, itos, *splits)
