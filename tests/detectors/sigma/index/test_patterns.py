"""Many patterns at once match what each matches alone."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detectors.sigma.index.patterns import MOST, Patterns
from detectors.sigma.regex import compile_pattern, escape

PLAIN = ["a", "A", "b", "ab", "ñ", "Ñ", "k", "İ", "ς", "Σ", "ß", r"\.", r"\x00", "ab|cd", "(?i:k)", "(?i:ñ)", "(?i:ς)"]
OPEN = [
    "[ab]",
    "[^a]",
    ".",
    ".*",
    r"\w",
    r"\d+",
    "(?:a|b)",
    "x?",
    "a{2,3}",
    "(?s:.)",
    "[[:alpha:]]",
    r"\bab\b",
    r"\p{Lu}",
]
PIECES = st.sampled_from([*PLAIN, *OPEN, r"\p{Lu}"])
PATTERNS = st.builds(
    lambda flags, begin, pieces, end: flags + begin + "".join(pieces) + end,
    st.sampled_from(["", "(?i)", "(?s)", "(?m)", "(?is)"]),
    st.sampled_from(["", "^"]),
    st.lists(PIECES, max_size=4),
    st.sampled_from(["", "$"]),
)
TEXTS = st.text(st.sampled_from("aAbBcdkK\u212añÑİıςΣσß. 0\n\0x?"), max_size=10) | st.text(max_size=5)


def alone(patterns: list[str], text: bytes) -> set[int]:
    return {number for number, pattern in enumerate(patterns) if compile_pattern(pattern).search(text) is not None}


def together(patterns: list[str]) -> Patterns:
    return Patterns({pattern: number for number, pattern in enumerate(patterns)})


@settings(max_examples=300)
@given(st.lists(PATTERNS, min_size=1, max_size=8, unique=True), st.lists(TEXTS, min_size=1, max_size=5))
def test_all_together_as_each_alone(patterns: list[str], texts: list[str]) -> None:
    made = together(patterns)
    for text in texts:
        encoded = text.encode("utf-8", "replace")
        found = made.search(encoded)
        assert len(found) == len(set(found))
        assert set(found) == alone(patterns, encoded), text


@settings(max_examples=200)
@given(
    st.lists(PATTERNS, min_size=1, max_size=4, unique=True),
    st.lists(TEXTS, min_size=1, max_size=5),
    st.sampled_from(["", "\0", "\n", "z"]),
)
def test_what_may_match_in_a_part_is_possible_in_the_whole(patterns: list[str], texts: list[str], between: str) -> None:
    made = together(patterns)
    if any(made.search(text.encode("utf-8", "replace")) for text in texts):
        assert made.possible(between.join(texts).encode("utf-8", "replace"))


def test_some_things_are_not_possible() -> None:
    assert not together(["mimikatz.*lsadump", "^sekurlsa$"]).possible(b"an ordinary line")
    assert together(["mimikatz.*lsadump"]).possible(b"lsadump mimikatz")
    assert together(["a.*", r"\d"]).possible(b"")


def test_more_patterns_than_one_filter_takes() -> None:
    patterns = [f"^word{number}$" for number in range(2 * MOST + 7)]
    made = together(patterns)
    for number in (0, 1, MOST - 1, MOST, 2 * MOST, 2 * MOST + 6):
        assert made.search(f"word{number}".encode()) == [number]
    assert made.search(b"word") == []


def test_patterns_of_any_literal_are_themselves() -> None:
    words = ["a.b", "x*", "(", "é", "\0", "\n", "[a]"]
    made = together([escape(word) for word in words])
    for number, word in enumerate(words):
        assert number in made.search(f"<{word}>".encode())
    assert made.search(b"aXb") == []


@pytest.mark.parametrize("text", [b"", b"a" * 10_000, "ñ".encode()])
def test_the_time_of_a_search_is_shared_among_all(text: bytes) -> None:
    patterns = ["a+b", "(a|b)*c", "^$", "ñ"]
    shares = dict(together(patterns).measured(text))
    assert set(shares) == set(range(4))
    assert all(share >= 0 for share in shares.values())
    assert sum(shares.values()) > 0


def test_the_shares_add_up_to_the_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    ticks = iter([0, 1000, 0, 30, 0, 10, 0, 60])
    monkeypatch.setattr("detectors.sigma.index.patterns.perf_counter_ns", lambda: next(ticks))
    assert together(["a", "b", "c"]).measured(b"abc") == [(0, 300.0), (1, 100.0), (2, 600.0)]
