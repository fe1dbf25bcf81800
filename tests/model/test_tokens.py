"""Token ids: laid out, padded, kept on disk and found again. With a tokenizer made of words, and with real files."""

import logging
import shutil
import threading
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from nextlabel.model.tokens import (
    MANY,
    TokenCache,
    Tokens,
    joined,
    of_lists,
)
from nextlabel.values.examples import Example


class Words:
    """Tokenises by words and counts what it was asked for: `[1, length of each word …]`, the pair with type 1."""

    def __init__(self) -> None:
        self.asked: list[int] = []

    def __call__(self, examples: Sequence[Example]) -> Tokens:
        self.asked += [example.id for example in examples]
        ids, types = [], []
        for example in examples:
            first, second = ([len(word) for word in (text or "").split()] for text in (example.text, example.pair))
            ids.append([1, *first, *second])
            types.append([0] * (1 + len(first)) + [1] * len(second))
        return of_lists(ids, types)


def examples(count: int, start: int = 0) -> list[Example]:
    rng = np.random.default_rng(start)
    return [
        Example(i, " ".join("x" * n for n in rng.integers(1, 9, 3)), "y " * int(rng.integers(0, 5)))
        for i in range(start, start + count)
    ]


def rows(tokens: Tokens) -> list[tuple[list[int], list[int]]]:
    return [
        (tokens.ids_M[s : s + n].tolist(), tokens.types_M[s : s + n].tolist())
        for s, n in zip(tokens.starts_N, tokens.lengths_N, strict=True)
    ]


@pytest.fixture
def words() -> Words:
    return Words()


def test_lists_become_one_array_and_come_back() -> None:
    tokens = of_lists([[5, 6, 7], [], [8]], [[0, 0, 1], [], [0]])
    assert rows(tokens) == [([5, 6, 7], [0, 0, 1]), ([], []), ([8], [0])]
    assert rows(of_lists([[1, 2]], None)) == [([1, 2], [0, 0])]
    assert len(of_lists([], [])) == 0


@pytest.mark.parametrize(("largest", "size"), [(65535, 2), (65536, 4), (250_001, 4)])
def test_ids_of_large_vocabularies_are_not_cut(largest: int, size: int) -> None:
    tokens = of_lists([[0, largest]], None)
    assert tokens.ids_M.tolist() == [0, largest]
    assert tokens.ids_M.itemsize == size


def test_parts_join_in_their_order_and_rows_are_chosen_in_any() -> None:
    tokens = joined([of_lists([[1], [2, 2]], None), of_lists([[70_000, 3]], [[0, 1]])])
    assert rows(tokens[np.array([2, 0, 2])]) == [([70_000, 3], [0, 1]), ([1], [0]), ([70_000, 3], [0, 1])]


def test_no_text_is_tokenised_twice(tmp_path: Path, words: Words) -> None:
    cache, all_of_them = TokenCache(tmp_path), examples(2 * MANY)
    expected = rows(Words()(all_of_them))
    assert rows(cache.tokens("bert", all_of_them[:MANY], words)) == expected[:MANY]
    shuffled = np.random.default_rng(0).permutation(len(all_of_them))
    got = cache.tokens("bert", [all_of_them[i] for i in shuffled], words)
    assert rows(got) == [expected[i] for i in shuffled]
    assert sorted(words.asked) == list(range(2 * MANY))


def test_another_process_finds_them_on_the_disk(tmp_path: Path, words: Words) -> None:
    here, there = TokenCache(tmp_path), TokenCache(tmp_path)
    assert len(there.tokens("bert", examples(1, start=9_000), Words())) == 1  # it has looked at the directory before
    written = rows(here.tokens("bert", examples(MANY), words))
    assert rows(there.tokens("bert", examples(MANY), words)) == written
    assert len(words.asked) == MANY
    assert not [path for path in tmp_path.rglob("*") if path.name.startswith(".")]


def test_a_few_new_ones_make_no_file(tmp_path: Path, words: Words) -> None:
    cache = TokenCache(tmp_path)
    for start in range(3):
        cache.tokens("bert", examples(MANY - 1), words)
        cache.tokens("bert", examples(2, start=1000 + 2 * start), words)
    assert len(words.asked) == MANY - 1 + 3 * 2
    assert list(tmp_path.rglob("*.npy")) == []


def test_an_edited_text_is_tokenised_anew(tmp_path: Path, words: Words) -> None:
    cache = TokenCache(tmp_path)
    cache.tokens("bert", examples(MANY), words)
    edited = Example(7, "another text", None)
    assert rows(cache.tokens("bert", [edited], words)) == rows(Words()([edited]))
    assert words.asked[MANY:] == [7]
    first, second = Example(8, "a b"), Example(8, "a", "b")
    assert rows(cache.tokens("bert", [first], words)) != rows(cache.tokens("bert", [second], words))


def test_one_id_for_two_texts_mixes_nothing_up(tmp_path: Path, words: Words) -> None:
    twins = [Example(0, "a"), Example(0, "a longer text")]
    assert rows(TokenCache(tmp_path).tokens("bert", twins, words)) == rows(Words()(twins))


def test_a_change_of_tokenizer_forgets_all_and_removes_the_files(tmp_path: Path, words: Words) -> None:
    cache = TokenCache(tmp_path)
    cache.tokens("bert", examples(MANY), words)
    cache.tokens("roberta", examples(MANY), words)
    assert len(words.asked) == 2 * MANY
    assert [path.name for path in tmp_path.iterdir()] == ["roberta"]


@pytest.mark.parametrize("name", ["ids.npy", "types.npy", "index.npy"])
@pytest.mark.parametrize("size", [0, 60, 200])
def test_damaged_files_are_made_again(tmp_path: Path, words: Words, name: str, size: int) -> None:
    expected = rows(TokenCache(tmp_path).tokens("bert", examples(MANY), words))
    (file,) = tmp_path.rglob(name)
    file.write_bytes(file.read_bytes()[:size])
    assert rows(TokenCache(tmp_path).tokens("bert", examples(MANY), words)) == expected
    assert len(words.asked) == 2 * MANY


def test_it_can_be_thrown_away_while_it_is_used(tmp_path: Path, words: Words) -> None:
    cache = TokenCache(tmp_path / "tokens")
    expected = rows(cache.tokens("bert", examples(MANY), words))
    shutil.rmtree(tmp_path / "tokens")
    assert rows(cache.tokens("bert", examples(MANY), words)) == expected
    assert rows(TokenCache(tmp_path / "tokens").tokens("bert", examples(MANY), words)) == expected


def test_without_room_on_the_disk_memory_serves(tmp_path: Path, words: Words, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "tokens").write_text("in the way: no directory can be made here")
    cache = TokenCache(tmp_path / "tokens")
    with caplog.at_level(logging.WARNING):
        first = cache.tokens("bert", examples(MANY), words)
    assert rows(cache.tokens("bert", examples(MANY), words)) == rows(first)
    assert len(words.asked) == MANY
    assert "cannot be kept" in caplog.text


def test_threads_take_turns(tmp_path: Path, words: Words) -> None:
    cache = TokenCache(tmp_path)
    got: dict[int, Tokens] = {}

    def ask(number: int) -> None:
        got[number] = cache.tokens("bert", examples(600, start=300 * number)[: 600 - number], words)

    threads = [threading.Thread(target=ask, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for number, tokens in got.items():
        assert rows(tokens) == rows(Words()(examples(600, start=300 * number)[: 600 - number]))
