"""The data section of helpers: files in, names, vocabulary, examples and splits out."""

import hashlib
import random
from itertools import chain

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import helpers

letters = st.characters(codec="utf-8", exclude_categories=["C", "Z"], exclude_characters=".")
name = st.text(letters, min_size=1, max_size=12)
name_lists = st.lists(name, min_size=1, max_size=30)


@pytest.fixture(scope="module")
def names():
    return helpers.load_names()


def write(folder, content):
    path = folder / "list.txt"
    path.write_bytes(content)
    return path


# ---------------------------------------------------------------- load_names


def test_the_names_are_the_published_ones(names):
    digest = hashlib.sha256(helpers.NAMES_FILE.read_bytes()).hexdigest()
    assert digest == "816d2a728695db28a20e17eae61c9c423091a511b3df09a06a489dccbf0876c7"
    assert len(names) == 32_033
    assert len(set(names)) == 29_494
    assert names[0] == "emma"
    assert names[-1] == "zzyzx"


@pytest.mark.parametrize(
    "content",
    [
        "anna\nbob\n",
        "anna\nbob",
        "anna\r\nbob\r\n",
        "anna\rbob\r",
        "\ufeffanna\nbob\n",
        "\n\n  anna \n\t\nbob\n\n",
    ],
    ids=["plain", "no last line end", "windows", "old mac", "byte order mark", "blank lines"],
)
def test_line_ends_blanks_and_marks_do_not_matter(tmp_path, content):
    assert helpers.load_names(write(tmp_path, content.encode())) == ["anna", "bob"]


def test_other_alphabets(tmp_path):
    words = ["Ζωή", "Øystein", "नीला", "小明", "Anne Marie", "O'Neil"]
    assert helpers.load_names(write(tmp_path, "\n".join(words).encode())) == words


def test_one_letter_is_one_symbol_however_it_is_written(tmp_path):
    composed, combining = "zo\u00eb", "zoe\u0308"
    path = write(tmp_path, f"{composed}\n{combining}\n".encode())
    assert helpers.load_names(path) == [composed, composed]


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(
        FileNotFoundError, match=r"nowhere\.txt does not exist. Give load_names the path"
    ):
        helpers.load_names(tmp_path / "nowhere.txt")


def test_a_folder_is_not_a_file(tmp_path):
    with pytest.raises(FileNotFoundError, match="is a folder, not a file"):
        helpers.load_names(tmp_path)


@pytest.mark.parametrize("content", [b"", b"\n\r\n  \n", b"\xef\xbb\xbf"])
def test_a_file_without_names(tmp_path, content):
    with pytest.raises(ValueError, match=r"list\.txt holds no name. Put one name on each line"):
        helpers.load_names(write(tmp_path, content))


@pytest.mark.parametrize(
    ("content", "line", "what"),
    [
        (b"anna\nbob\n\xff\xfe\n", 3, "not UTF-8 text. Save the file as UTF-8"),
        (b"anna\n\nb\0b\n", 3, "a zero byte"),
        (b"anna\r\nj.r\r\n", 2, "'j.r' contains"),
        (b".", 1, "'.' contains"),
    ],
)
def test_a_bad_line_is_named(tmp_path, content, line, what):
    with pytest.raises(ValueError, match=rf"list\.txt, line {line}: .*{what}"):
        helpers.load_names(write(tmp_path, content))


@given(name_lists)
def test_loading_gives_back_what_was_written(tmp_path_factory, words):
    path = write(tmp_path_factory.mktemp("names"), "\n".join(words).encode())
    loaded = helpers.load_names(path)
    assert len(loaded) == len(words)
    assert helpers.load_names(write(path.parent, "\r\n".join(loaded).encode())) == loaded


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


def test_the_vocabulary_keeps_the_dot_for_itself():
    with pytest.raises(ValueError, match=r"name 2 of the list, 'j\.r', contains"):
        helpers.build_vocabulary(["anna", "j.r"])


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


@given(st.lists(name, max_size=60), st.integers(0, 10_000))
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


def test_the_split_is_the_lectures(names):
    shuffled = list(names)
    random.seed(42)
    random.shuffle(shuffled)
    assert list(chain(*helpers.split_names(names))) == shuffled


def test_the_splits_have_the_published_sizes(names):
    stoi, _ = helpers.build_vocabulary(names)
    sizes = [len(helpers.build_dataset(part, stoi)[0]) for part in helpers.split_names(names)]
    assert sizes == [182_625, 22_655, 22_866]
