"""Literals are found where Python's own operations on strings find them, whatever stands beside a text."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence

import pytest
from examples import examples
from hypothesis import given
from hypothesis import strategies as st

from detectors.sigma.index import literals as module
from detectors.sigma.index.literals import PIECE, Literals
from detectors.sigma.values import fold

KINDS: dict[str, Callable[[str, str], bool]] = {
    "contains": lambda text, word: word in text,
    "starts": str.startswith,
    "ends": str.endswith,
    "equals": str.__eq__,
}
ALPHABET = "aAbB \0\1éÉİiıßςΣσ\u212aK😀\ud800\udfff"
TEXTS = st.text(st.sampled_from(ALPHABET), max_size=6) | st.text(max_size=4)
WORDS = st.lists(TEXTS.filter(bool), max_size=6, unique=True)


def make(words: Sequence[str], lower: bool) -> tuple[Literals, dict[int, tuple[str, str]]]:
    """Literals that ask every word in every way, and what each number means."""
    every = list(dict.fromkeys(map(fold, words) if lower else words))
    meanings = dict(enumerate((kind, word) for kind in KINDS for word in every))
    asked = {kind: {word: number for number, (own, word) in meanings.items() if own == kind} for kind in KINDS}
    return Literals(**asked, lower=lower), meanings


def expected(text: str, meanings: dict[int, tuple[str, str]], lower: bool) -> set[int]:
    said = fold(text) if lower else text
    return {number for number, (kind, word) in meanings.items() if KINDS[kind](said, word)}


def check(words: Sequence[str], texts: Sequence[str], lower: bool) -> None:
    literals, meanings = make(words, lower)
    found: defaultdict[int, set[int]] = defaultdict(set)
    literals.search(texts, found)
    assert [found[place] for place in range(len(texts))] == [expected(text, meanings, lower) for text in texts]
    assert set(found) <= set(range(len(texts)))


@examples(100)
@given(WORDS, st.lists(TEXTS, max_size=12), st.booleans())
def test_any_texts_in_one_pass(words: list[str], texts: list[str], lower: bool) -> None:
    check(words, texts, lower)


@examples(50)
@given(WORDS, st.lists(TEXTS, min_size=1, max_size=8), st.booleans(), st.integers(1, 9))
def test_pieces_and_windows_of_any_size(words: list[str], texts: list[str], lower: bool, piece: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "PIECE", piece)
        check(words, [*texts, "".join(texts)], lower)


@examples(50)
@given(st.data(), st.booleans())
def test_words_that_are_parts_of_the_texts(data: st.DataObject, lower: bool) -> None:
    texts = data.draw(st.lists(TEXTS, min_size=1, max_size=6))
    joined = "".join(texts)
    cuts = data.draw(st.lists(st.tuples(st.integers(0, len(joined)), st.integers(1, 5)), max_size=6))
    check([word for start, size in cuts if (word := joined[start : start + size])], [*texts, joined], lower)


@pytest.mark.parametrize("lower", [True, False])
@pytest.mark.parametrize("offset", [-9, -8, -5, -1, 0, 1])
@pytest.mark.parametrize("letter", ["x", "é"])
def test_words_across_the_border_of_a_window(offset: int, lower: bool, letter: str) -> None:
    for border in (PIECE, 2 * PIECE):
        text = letter * (border + offset) + "Mimikatz"
        for ending in ("", letter * 10, letter * PIECE):
            check(["Mimikatz", "katz", letter + "M", letter], ["katz", text + ending, "", "mimikatz"], lower)


def test_many_texts_beyond_a_piece_keep_their_places() -> None:
    texts = [("ab" * (number % 7)) + ("é" if number % 11 == 0 else "") for number in range(30_000)]
    texts[777] = "q" * (PIECE + 5) + "ab"
    check(["ab", "ba", "é", "abab"], texts, True)


@pytest.mark.parametrize("lower", [True, False])
def test_a_separator_that_lower_case_would_change_is_none(lower: bool) -> None:
    """When every character up to `@` is asked for, `A` is the next one: in lower case it is a letter."""
    words = ["".join(map(chr, range(65))), "a", "za", "aa", "az"]
    check(words, ["z", "", "", "z", "a", "Z"], lower)


def test_literals_with_surrogates_are_found_one_by_one() -> None:
    check(["\ud800", "a\udfff", "a"], ["a\udfffb", "\ud800", "xa\udfff", "\ud800a", "a" * PIECE + "\ud800"], False)


def test_many_literals_need_a_smaller_automaton() -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "DENSE", 3)
        check(["abc", "bcd"], ["xabcd", "ABC", "bcd"], True)


def test_no_literals_and_no_texts() -> None:
    check([], ["a", ""], True)
    check(["a"], [], True)
    check(["a"], ["", ""], True)
