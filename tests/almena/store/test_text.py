"""Words are cut the same way for documents and for questions, whatever the text."""

from __future__ import annotations

import doctest
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from almena.store import text as module
from almena.store.text import LONGEST_WORD, fold, index_tokens, tokens

strange = st.text(alphabet=st.sampled_from("aAñÑáÜİß℡ﬁ·_.-@+$:/\\ \t0f9\u0303\u0301\u4e2d"), max_size=40) | st.text(
    max_size=60
)


def test_the_examples_in_the_source() -> None:
    assert doctest.testmod(module).failed == 0


@pytest.mark.parametrize(
    ("said", "found"),
    [
        ("svc_backup", ["svc_backup"]),
        ("10.0.0.5:443", ["10.0.0.5", "443"]),
        ("fe80::1 ::1 00:1B:44:11:3a:b7", ["fe80::1", "::1", "00:1b:44:11:3a:b7"]),
        ("/var/log/nginx/access.log", ["var", "log", "nginx", "access.log"]),
        ("HKLM\\Software\\Run", ["hklm", "software", "run"]),
        ("WIN-DC01$ --flag 'O''Higgins'", ["win-dc01", "flag", "o", "higgins"]),
        ("¿Cuándo? ¡Año 2026!", ["cuando", "año", "2026"]),
        ("n\u0303andu\u0301", ["ñandu"]),
        ("a a A á", ["a"]),
        ("…—·", []),
    ],
)
def test_cuts(said: str, found: list[str]) -> None:
    assert tokens(said) == found


def test_pieces_of_words_but_not_of_addresses() -> None:
    assert index_tokens(["10.0.0.5"]) == ["10.0.0.5"]
    assert set(index_tokens(["ana@finanzas.gob.mx"])) == {"ana@finanzas.gob.mx", "ana", "finanzas", "gob", "mx"}


@given(strange)
def test_a_text_is_found_by_itself(said: str) -> None:
    assert set(tokens(said)) <= set(index_tokens([said]))


@given(strange)
def test_a_word_is_its_own_word(said: str) -> None:
    for word in tokens(said):
        assert tokens(word) == [word]
        assert fold(word) == word


@given(strange, strange)
def test_words_of_many_texts_are_the_words_of_each(one: str, other: str) -> None:
    assert set(index_tokens([one, other])) == set(index_tokens([one])) | set(index_tokens([other]))


@given(strange)
def test_words_are_safe_to_hand_to_an_index(said: str) -> None:
    for word in index_tokens([said]):
        assert word
        assert len(word) <= LONGEST_WORD
        assert not set(word) & set(" \"'*()=^\x00\n")


@pytest.mark.parametrize("pattern", ["a", "a:", ":", "a.", "-", "f:-", "a_", "ñ", "\u0303", "aa::", "1 ", "$", "ﷺ"])
def test_time_is_linear_in_the_text(pattern: str) -> None:
    started = time.perf_counter()
    index_tokens([pattern * 65_536])
    assert time.perf_counter() - started < 2.0
