"""The data: files in, names, vocabulary, examples and splits out; and what is said of files of other kinds."""

import gzip
import hashlib
import json
import os
import random
import tracemalloc
import unicodedata
import warnings
from itertools import chain
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import helpers

UNSEEN = (
    "\u034f\u115f\u1160\u17b4\u17b5\u3164\uffa0"  # letters and marks without a shape of their own
)
letters = st.characters(codec="utf-8", categories=["L", "M"], exclude_characters=UNSEEN)
name = st.text(letters, min_size=1, max_size=12)
name_lists = st.lists(name, min_size=1, max_size=30)
TEN = ["anna", "bob", "carla", "dan", "emma", "finn", "greta", "hugo", "ida", "jan"]


@pytest.fixture(scope="module")
def names():
    return helpers.load_names()


@pytest.fixture
def saved(tmp_path):
    """A function that writes names, or bytes, into a file, and gives its path."""

    def save(content, encoding="utf-8"):
        path = tmp_path / "list.txt"
        lines = content if isinstance(content, bytes) else "\n".join(content).encode(encoding)
        path.write_bytes(lines)
        return path

    return save


# ---------------------------------------------------------------- load_names: what is read


def test_the_names_are_the_published_ones(names):
    digest = hashlib.sha256(helpers.NAMES_FILE.read_bytes()).hexdigest()
    assert digest == "816d2a728695db28a20e17eae61c9c423091a511b3df09a06a489dccbf0876c7"
    assert len(names) == 32_033
    assert len(set(names)) == 29_494
    assert names[0] == "emma"
    assert names[-1] == "zzyzx"


@pytest.mark.parametrize(
    ("first", "end"),
    [
        ("", "\n"),
        ("", "\r\n"),
        ("", "\r"),
        ("\ufeff", "\n"),
        ("\n \n", " \n"),
        ("\t", "\n\t\n\u3000"),
    ],
    ids=[
        "plain",
        "windows",
        "old mac",
        "byte order mark",
        "blanks after",
        "blanks and blank lines",
    ],
)
@pytest.mark.parametrize("last", ["", "\n", "\r\n\r\n"])
def test_line_ends_blanks_and_marks_do_not_matter(saved, first, end, last):
    assert helpers.load_names(saved((first + end.join(TEN) + last).encode())) == TEN


def by_hand(path):
    """The reading rule as lesson 01 can write it."""
    lines = path.read_text(encoding="utf-8-sig").splitlines()
    return [line.strip() for line in lines if line.strip()]


@settings(max_examples=30)
@given(
    st.lists(name, min_size=10, max_size=15), st.sampled_from(["\n", "\r\n", "\r", "\u2028", " \n"])
)
def test_it_reads_as_one_line_of_python_does(tmp_path_factory, words, end):
    path = tmp_path_factory.mktemp("names") / "list.txt"
    path.write_bytes(end.join(words).encode("utf-8-sig"))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # letters in pieces
        assert helpers.load_names(path) == by_hand(path) == words


@pytest.mark.parametrize(
    "words",
    [
        [
            "Ζωή",
            "Øystein",
            "नीला",
            "小明",
            "Anne Marie",
            "O'Neil",
            "Jean-Luc",
            "ʻOkina",
            "Núñez",
            "Đặng",
        ],
        ["אברהם", "שרה", "יצחק", "רבקה", "יעקב", "רחל", "לאה", "יוסף", "בנימין", "צ׳רלי"],
        ["محمد", "فاطمة", "علي", "زينب", "حسن", "مريم", "عمر", "ليلى", "يوسف", "هدى"],
        [
            "Жанна",
            "Ёлка",
            "さくら",
            "ジョン・レノン",
            "민준",
            "สมชาย",
            "თამარ",
            "Արամ",
            "ሰላም",
            "தமிழ்",
        ],
        ["D’Arcy", "Gal·la", "Ana–Maria", "Müller", "ß", "Łukasz", "İpek", "ı", "Ŋ", "𐐀𐐁"],
    ],
    ids=["many", "Hebrew", "Arabic", "scripts", "marks"],
)
def test_names_of_any_alphabet_are_read_without_a_word(saved, words):
    assert helpers.load_names(saved(words)) == words
    stoi, itos = helpers.build_vocabulary(words)
    _, Y = helpers.build_dataset(words, stoi)
    assert "".join(itos[i] for i in Y.tolist()) == "".join(word + "." for word in words)


# ---------------------------------------------------------------- load_names: what is no list of names


def refused(path, kind=ValueError):
    """What load_names and load_splits say about a file that they refuse: the same, naming it, and short."""
    with pytest.raises(kind) as error:
        helpers.load_names(path)
    with pytest.raises(kind) as again:
        helpers.load_splits(path)
    said = str(error.value)
    assert said == str(again.value)
    assert said.startswith(str(path))
    assert len(said) < 500 + len(str(path))
    return said.removeprefix(str(path)).lstrip(": ")


def test_what_is_not_there_is_named(tmp_path):
    assert refused(tmp_path / "nowhere.txt", FileNotFoundError).startswith(
        "does not exist. Give load_names the path"
    )
    (tmp_path / "link.txt").symlink_to(tmp_path / "nowhere.txt")
    assert "is a link to a file that does not exist" in refused(
        tmp_path / "link.txt", FileNotFoundError
    )
    assert "is a folder, not a file" in refused(tmp_path, FileNotFoundError)
    assert "does not exist" in refused(tmp_path / "two\nlines", FileNotFoundError)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_a_pipe_is_named_and_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    assert "is no ordinary file, but a pipe" in refused(tmp_path / "pipe", FileNotFoundError)


@pytest.mark.parametrize("what", ["is_file", "read_bytes"])
def test_a_file_that_may_not_be_read_is_named(saved, monkeypatch, what):
    path = saved(TEN)

    def forbidden(_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, what, forbidden)  # root may read everything, whatever the permissions
    assert refused(path, PermissionError).startswith(
        "may not be read by you. Change its permissions"
    )


LIST = "\n".join(TEN)


@pytest.mark.parametrize(
    ("content", "what", "to_do"),
    [
        (gzip.compress(LIST.encode(), mtime=0), "is compressed by gzip", "Unpack it"),
        (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", "is a PNG picture", "Save the list as UTF-8 text"),
        (b"PK\x03\x04\x14\0", "is a zip archive, or a document", "open it there"),
        (b"%PDF-1.7\n%\xe2", "is a PDF", "Save the list as UTF-8 text"),
        (LIST.encode("utf-16"), "is UTF-16 text", "Save it as UTF-8."),
        (b"\xfe\xff" + LIST.encode("utf-16-be"), "is UTF-16 text", "Save it as UTF-8."),
        (LIST.encode("utf-16-le"), "is probably UTF-16 text", "Save it as UTF-8."),
        (LIST.encode("utf-16-be"), "is probably UTF-16 text", "Save it as UTF-8."),
        (LIST.encode("utf-32"), "is UTF-32 text", "Save it as UTF-8."),
        (json.dumps(TEN).encode(), "is a file of JSON", "one name a line"),
        (json.dumps({"names": TEN}, indent=1).encode(), "is a file of JSON", "one name a line"),
        (b"\n<!DOCTYPE html>\n<p>anna\n" * 10, "is a file of JSON, HTML or XML", "one name a line"),
    ],
)
def test_a_file_of_another_kind_is_named_for_what_it_is(saved, content, what, to_do):
    said = refused(saved(content))
    assert said.startswith(what)
    assert to_do in said


@pytest.mark.parametrize("end", ["\n", "\r", "\r\n"])
def test_text_of_another_encoding_is_named_with_its_lines(saved, end):
    text = end.join([*TEN, "zoë", "", "noah", "jürgen", "andré", "günther"])
    said = refused(saved(text.encode("latin-1")))
    assert said.startswith(
        "is not UTF-8 text: 4 lines cannot be read (line 11: 'zo\ufffd', line 14: "
    )
    assert "line 15: 'andr\ufffd', and 1 more)" in said
    assert said.endswith("save it as UTF-8.")


@pytest.mark.parametrize("end", ["\n", "\r", "\r\n"])
def test_all_names_with_a_dot_are_counted_and_the_first_few_shown(saved, end):
    words = [*TEN, "j.r", "x" * 100 + ".", "st. john", "a.", "b."]
    said = refused(saved(end.join(words).encode()))
    assert said == (
        '5 names hold ".", which marks where a name ends '
        f"(line 11: 'j.r', line 12: '{'x' * 29}…', line 13: 'st. john', and 2 more). "
        "Remove the character, or the lines."
    )
    assert '1 name holds "."' in refused(saved([*TEN, "j.r"]))


def test_a_line_of_almost_a_million_characters_is_not_printed_whole(saved):
    assert "1 name holds" in refused(saved(("ab." * 300_000).encode()))
    assert "holds only 1 name" in refused(saved(("ab," * 300_000).encode()))


@pytest.mark.parametrize(
    ("character", "words"),
    [
        ("\ufffd", "'\ufffd' U+FFFD (REPLACEMENT CHARACTER)"),
        ("\ufeff", "U+FEFF (a byte order mark)"),
        ("\0", "U+0000 (a zero byte)"),
        ("\t", "U+0009 (a tab)"),
        ("\x07", "U+0007 (a control character)"),
        ("\x9f", "U+009F (a control character)"),
    ],
)
def test_characters_of_a_damaged_file_are_shown_and_counted(saved, character, words):
    said = refused(saved([*TEN, f"zo{character}e", f"{character}a{character}b", "noah"]))
    assert said.startswith(f"2 names hold characters that no name has: {words} in 2 (line 11: ")
    assert "get or save it again as UTF-8 text" in said


def test_a_byte_order_mark_where_two_files_were_joined(saved):
    joined = "\n".join([*TEN, ""]).encode("utf-8-sig") * 2
    assert "1 name holds characters that no name has: U+FEFF" in refused(saved(joined))


@pytest.mark.parametrize("content", [b"", b"\n\r\n  \n", b"\xef\xbb\xbf"])
def test_a_file_without_names(saved, content):
    said = refused(saved(content))
    assert said.startswith("holds no name. Put one name on each line; at least 10 are needed")


def test_each_split_needs_a_name(saved):
    said = refused(saved(TEN[:9]))
    assert said.startswith("holds only 9 names (line 1: 'anna', line 2: 'bob', ")
    assert said.endswith("at least 10 are needed, so that each of the three splits gets one.")
    splits = helpers.load_splits(saved(TEN))
    assert all(len(X) > 0 for X, _ in (splits.train, splits.dev, splits.test))


# ---------------------------------------------------------------- load_names: what is odd, and may be meant


def warned(path, load=helpers.load_names):
    """What is said about a file that is read: one warning that names it, at the line that asked for it."""
    with pytest.warns(UserWarning) as caught:
        load(path)
    assert len(caught) == 1
    assert caught[0].filename == __file__
    said = str(caught[0].message)
    assert said.startswith(f"{path}: ")
    assert len(said) < 600 + len(str(path))
    return said.removeprefix(f"{path}: ")


@pytest.mark.parametrize(
    ("character", "words"),
    [
        ("\u200b", "U+200B (ZERO WIDTH SPACE)"),
        ("\u200c", "U+200C (ZERO WIDTH NON-JOINER)"),
        ("\u200d", "U+200D (ZERO WIDTH JOINER)"),
        ("\u202e", "U+202E (RIGHT-TO-LEFT OVERRIDE)"),
        ("\u00ad", "U+00AD (SOFT HYPHEN)"),
        ("\u00a0", "U+00A0 (NO-BREAK SPACE)"),
        ("\u3000", "U+3000 (IDEOGRAPHIC SPACE)"),
        ("\u3164", "U+3164 (HANGUL FILLER)"),
        ("\ue000", "U+E000 (without a name)"),
    ],
)
@pytest.mark.parametrize("load", [helpers.load_names, helpers.load_splits])
def test_characters_that_cannot_be_seen_are_shown_and_counted(saved, character, words, load):
    said = warned(saved([*TEN, f"zo{character}e", f"a{character}b", "noah"]), load)
    assert said.startswith(f"2 names hold characters that cannot be seen: {words} in 2 (line 11: ")


def test_what_looks_like_a_table_is_said(saved):
    said = warned(saved([",Name", *TEN]))
    assert said.startswith(
        "1 name holds characters that are rare in names: ',' U+002C (COMMA) in 1 (line 1: ',Name'). "
    )
    assert "keep the column with the names alone" in said
    said = warned(saved(["id;Name", *(f'{i};"{word}"' for i, word in enumerate(TEN))]))
    assert said.startswith("11 names hold")
    assert "';' U+003B (SEMICOLON) in 11, '\"' U+0022 (QUOTATION MARK) in 10, '0' U+0030" in said
    assert ", and 8 more (line 1: 'id;Name', line 2: " in said


@pytest.mark.parametrize("heading", ["Name", "names", "First Name"])
def test_a_heading_is_said(saved, heading):
    assert f"line 1: '{heading}' looks like a heading" in warned(saved([heading, *TEN]))


def test_lines_that_are_no_names_are_said(saved):
    said = warned(saved([*TEN, "long " * 20]))
    assert said.startswith("1 name has more than 50 characters (line 11: 'long long long")


def test_letters_in_pieces_are_said_and_left(saved):
    pieces = unicodedata.normalize("NFD", "zoë")
    path = saved([*TEN, pieces, "zoë"])
    assert warned(path).startswith(
        "1 name holds letters in pieces, such as e and ¨ for ë (line 11: "
    )
    with pytest.warns(UserWarning):
        assert helpers.load_names(path)[-2:] == [pieces, "zoë"]


def test_several_oddities_are_one_warning(saved):
    said = warned(saved(["Name", *TEN, "a\u200bb", "x2"]))
    for words in ("cannot be seen", "rare in names", "looks like a heading"):
        assert words in said


def test_names_that_are_repeated_in_both_splits_are_said(saved):
    path = saved((TEN * 200)[:1999])
    said = warned(path, helpers.load_splits)
    assert said.startswith("100% of the dev names are training names, too")
    assert helpers.load_names(path)  # the names alone are as they should be


def test_a_few_repeated_names_are_nothing_to_say(saved):
    distinct = [first + second for first in TEN for second in TEN]
    assert len(helpers.load_splits(saved(distinct + TEN)).names) == 110


def test_a_large_file_is_read_in_little_memory(saved):
    words = [f"{first}{second}{third}x" for first in TEN for second in TEN for third in TEN] * 50
    path = saved(words)
    tracemalloc.start()
    helpers.load_names(path)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 50e6


# ---------------------------------------------------------------- load_splits


def test_the_splits_are_what_their_parts_give(names):
    splits = helpers.load_splits()
    assert splits.names == names
    assert (splits.stoi, splits.itos) == helpers.build_vocabulary(names)
    for (X, Y), part in zip(
        (splits.train, splits.dev, splits.test), helpers.split_names(names), strict=True
    ):
        right_X, right_Y = helpers.build_dataset(part, splits.stoi)
        assert torch.equal(X, right_X)
        assert torch.equal(Y, right_Y)


def test_the_splits_have_contexts_of_any_length(saved):
    splits = helpers.load_splits(saved(TEN), block_size=5)
    assert [X.shape[1] for X, _ in (splits.train, splits.dev, splits.test)] == [5, 5, 5]


# ---------------------------------------------------------------- build_vocabulary


@given(name_lists)
def test_the_vocabulary_numbers_every_character_once(words):
    stoi, itos = helpers.build_vocabulary(words)
    assert stoi["."] == 0
    assert sorted(stoi.values()) == list(range(len(stoi)))
    assert set(stoi) == set("".join(words)) | {"."}
    assert {i: c for c, i in stoi.items()} == itos
    assert [c for c in itos.values() if c != "."] == sorted(set("".join(words)))


def test_the_vocabulary_of_the_names(names):
    stoi, _ = helpers.build_vocabulary(names)
    assert len(stoi) == 27
    assert stoi["a"] == 1
    assert stoi["z"] == 26


@pytest.mark.parametrize("bad", [[], "emma"])
def test_a_vocabulary_needs_a_list_of_names(bad):
    with pytest.raises(ValueError, match="needs a list of names"):
        helpers.build_vocabulary(bad)


def test_a_vocabulary_does_not_print_a_whole_file():
    with pytest.raises(ValueError, match="needs a list of names, and got the string 'xxx") as error:
        helpers.build_vocabulary("x" * 800_000)
    assert len(str(error.value)) < 200


def test_the_vocabulary_keeps_the_dot_for_itself():
    with pytest.raises(
        ValueError, match=r"2 names of the list hold \"\.\".* the first is number 2, 'j\.r'"
    ):
        helpers.build_vocabulary(["anna", "j.r", "bob", "x."])


# ---------------------------------------------------------------- build_dataset


@given(name_lists, st.integers(1, 5))
def test_the_examples_spell_the_names(words, block_size):
    stoi, itos = helpers.build_vocabulary(words)
    X, Y = helpers.build_dataset(words, stoi, block_size)
    assert X.shape == (sum(len(word) + 1 for word in words), block_size)
    assert X.shape[:1] == Y.shape
    assert X.dtype == Y.dtype == torch.int64
    assert "".join(itos[i] for i in Y.tolist()) == "".join(word + "." for word in words)
    # each context holds the targets before it, as far back as the name goes, and "." before the name
    padded = ["." * block_size + word + "." for word in words]
    contexts = [word[i : i + block_size] for word in padded for i in range(len(word) - block_size)]
    assert ["".join(itos[i] for i in row) for row in X.tolist()] == contexts


def test_no_names_give_no_examples(names):
    X, Y = helpers.build_dataset([], helpers.build_vocabulary(names)[0])
    assert (X.shape, Y.shape) == ((0, 3), (0,))
    assert X.dtype == Y.dtype == torch.int64


def test_a_letter_outside_the_vocabulary_is_named(names):
    with pytest.raises(
        ValueError, match=r"name 2 of the list, 'zoë', has 'ë', .* Build the vocabulary"
    ):
        helpers.build_dataset(["emma", "zoë"], helpers.build_vocabulary(names)[0])


def test_a_dataset_needs_a_list_and_a_context(names):
    stoi, _ = helpers.build_vocabulary(names)
    with pytest.raises(ValueError, match="got the string 'emma'"):
        helpers.build_dataset("emma", stoi)
    with pytest.raises(ValueError, match="block_size is 0"):
        helpers.build_dataset(["emma"], stoi, block_size=0)


# ---------------------------------------------------------------- split_names


@given(st.lists(name, min_size=10, max_size=40), st.integers(0, 10_000))
def test_splitting_loses_no_name_and_leaves_the_list_alone(words, seed):
    before = list(words)
    parts = helpers.split_names(words, seed)
    assert words == before
    assert sorted(chain(*parts)) == sorted(words)
    assert [len(part) for part in parts[:2]] == [
        int(0.8 * len(words)),
        int(0.9 * len(words)) - int(0.8 * len(words)),
    ]
    assert helpers.split_names(words, seed) == parts


def test_ten_names_or_more_leave_no_split_empty():
    for count in range(10, 1000):
        assert all(helpers.split_names(["anna"] * count))


@pytest.mark.parametrize("count", [0, 1, 5, 9])
def test_fewer_names_cannot_be_split(count):
    with pytest.raises(ValueError, match=rf"{count} names? cannot be split in three: at least 10"):
        helpers.split_names(["anna"] * count)


def test_splitting_needs_a_list():
    with pytest.raises(ValueError, match="got the string 'anna and bob'"):
        helpers.split_names("anna and bob")


def test_the_split_is_the_lectures(names):
    shuffled = list(names)
    random.seed(42)
    random.shuffle(shuffled)
    assert list(chain(*helpers.split_names(names))) == shuffled


def test_the_splits_have_the_published_sizes(names):
    stoi, _ = helpers.build_vocabulary(names)
    sizes = [len(helpers.build_dataset(part, stoi)[0]) for part in helpers.split_names(names)]
    assert sizes == [182_625, 22_655, 22_866]
