"""YAML from strangers: what is read is plain, and nothing deep, endless or written twice is read at all."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from almena.errors import RuleError
from almena.yamlfile import DEEPEST, LONGEST, load_all

PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text("ab:-?[]{}&*!|> #'\"\n", max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("ab", max_size=3), inner, max_size=3),
    max_leaves=12,
)


@given(st.lists(PLAIN, min_size=1, max_size=3), st.booleans(), st.integers(2, 9))
def test_plain_values_come_back(documents: list[Any], flow: bool, indent: int) -> None:
    text = yaml.safe_dump_all(documents, default_flow_style=flow, indent=indent, allow_unicode=True)
    if "&" not in text and "*" not in text:  # the writer makes aliases of equal objects
        assert load_all(text) == documents


@given(st.text("ab:-?[]{}&*!|> #'\"\n%@`,", max_size=80))
def test_any_text_is_read_or_refused(text: str) -> None:
    with suppress(RuleError):
        assert isinstance(load_all(text), list)


@pytest.mark.parametrize(
    "text",
    [
        "- " * 500_000 + "x",
        "? " * 500_000 + "x",
        "- ? " * 250_000 + "x",
        "[" * 500_000,
        "{a: " * 500_000,
        "".join(" " * depth + "a:\n" for depth in range(DEEPEST + 10)),
        "".join(" " * depth + "a:\n" + " " * depth + "- b:\n" for depth in range(0, 2 * DEEPEST, 2)),
    ],
    ids=["sequences", "keys", "both", "brackets", "braces", "indentation", "indentation and sequences"],
)
def test_depth_is_refused_before_it_is_built(text: str) -> None:
    """Half a million levels would overflow the stack of the C library, and end the process without a word."""
    with pytest.raises(RuleError, match=f"nested deeper than {DEEPEST}|no valid YAML"):
        load_all(text)


def test_what_is_deep_but_not_too_deep_is_read() -> None:
    depth = DEEPEST // 2 - 5
    (found,) = load_all("".join(" " * level + "a:\n" for level in range(depth)) + " " * depth + "x")
    for _ in range(depth):
        found = found["a"]
    assert found == "x"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("a: &x 1\nb: *x", r"line 2: aliases \(\*x\) are refused"),
        ("a: 1\na: 2", "line 2: the key 'a' is written twice"),
        ("a: [", "line 1: no valid YAML|line 2: no valid YAML"),
        ("a: !!python/object:os.system x", "could not determine a constructor"),
        ("x" * (LONGEST + 1), "longer than"),
        ("? [a]\n: b", "no valid YAML"),
    ],
)
def test_what_is_refused_says_where(text: str, says: str) -> None:
    with pytest.raises(RuleError, match=says):
        load_all(text)
