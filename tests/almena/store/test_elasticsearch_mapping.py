"""Names of indices, terms that sort as values do, and documents that come back as they went."""

from __future__ import annotations

import math

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from almena.clock import DAY, SECOND
from almena.ecs import fields
from almena.errors import StoreError
from almena.store.elasticsearch_layout import laid_out, read_back
from almena.store.elasticsearch_mapping import (
    OURS,
    Place,
    decode,
    encode,
    ended,
    index_name,
    index_pattern,
    mappings,
    native,
    other_key,
    place,
)
from almena.store.match import encode as as_json
from almena.store.match import order

ENCODED = Place("", False)
NOVEMBER = 1_793_491_200 * SECOND  # 2026-11-01

numbers = st.one_of(
    st.integers(-(2**63), 2**63 - 1),
    st.floats(allow_nan=False, allow_infinity=False).filter(
        lambda number: not (number.is_integer() and -(2**63) <= number < 2**63)
    ),
    st.sampled_from([0, 2**53, 2**53 + 1, 2**62 + 1, -(2**62) - 1, 5e-324, -5e-324, 1.7e308, -1.7e308]),
)
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=5)


@given(st.lists(numbers | texts, min_size=2, max_size=20))
def test_terms_sort_as_values_do_and_come_back(values: list[int | float | str]) -> None:
    terms = {encode(ENCODED, value): value for value in values}
    assert [terms[term] for term in sorted(terms, key=lambda term: str(term).encode())] == sorted(
        terms.values(), key=order
    )
    for value in values:
        back = decode(ENCODED, str(encode(ENCODED, value)))
        assert (back, type(back)) == (value, type(value))


def test_terms_of_numbers_do_not_reach_those_of_texts() -> None:
    assert "n" < str(encode(ENCODED, -math.inf)) < str(encode(ENCODED, math.inf)) < "o" < str(encode(ENCODED, "")) < "u"


@pytest.mark.parametrize(
    ("kind", "identity", "expected"),
    [
        ("alerts", "202611-0f", "x-alerts-2026.11"),
        ("alerts", "202613-0f", "x-alerts-other"),
        ("alerts", "2026110f", "x-alerts-other"),
        ("alerts", "٢٠٢٦١١-0f", "x-alerts-other"),
        ("alerts", "", "x-alerts-other"),
        ("events", "20261123-s:l:1", "x-events-2026.11.23"),
        ("events", "20261132-s:l:1", "x-events-other"),
        ("events", "202611-s", "x-events-other"),
        ("users", "202611-ana", "x-users"),
        ("ledger", "drop/a/b", "x-ledger"),
    ],
)
def test_an_id_says_its_index(kind: str, identity: str, expected: str) -> None:
    assert index_name("x", kind, identity) == expected


@pytest.mark.parametrize("kind", ["", "Alerts", "*", "alerts,users", "_all", "other", "../x"])
def test_no_other_index_is_named(kind: str) -> None:
    with pytest.raises(StoreError, match="kind"):
        index_name("x", kind, "a")
    with pytest.raises(StoreError, match="kind"):
        index_pattern("x", kind)


def test_only_whole_months_and_days_of_the_own_prefix_have_ended() -> None:
    names = ["x-alerts-2026.09", "x-alerts-2026.10", "x-alerts-2026.11", "x-alerts-other", "x-alerts-2026.10.01"]
    names += ["x-alerts-2026.13", "x-alerts-0000.01", "x-alerts-x-alerts-2026.10", "y-alerts-2026.10", "x-alerts-"]
    assert ended("x", "alerts", names, NOVEMBER - 1) == ["x-alerts-2026.09", "x-alerts-2026.10.01"]
    assert ended("x", "alerts", names, NOVEMBER)[:2] == ["x-alerts-2026.09", "x-alerts-2026.10"]
    assert ended("x", "events", ["x-events-2026.10.31"], NOVEMBER - 1) == []
    assert ended("x", "events", ["x-events-2026.10.31"], NOVEMBER + DAY) == ["x-events-2026.10.31"]
    assert ended("x", "alerts", ["x-alerts-2026.12"], NOVEMBER + 61 * DAY) == ["x-alerts-2026.12"]


def test_every_field_of_the_schema_has_a_place() -> None:
    properties = mappings()["properties"]
    for name, field in fields().items():
        if field.type in ("object", "flattened", "nested", "geo_point", "binary"):
            assert name not in native()
            continue
        tree = properties
        *parents, leaf = place(name).path.split(".")
        if not place(name).path.startswith(f"{OURS}.other."):
            for parent in parents:
                tree = tree[parent]["properties"]
            assert tree[leaf]["type"] == "keyword"
    assert not [name for name in fields() if name == OURS or name.startswith(f"{OURS}.")]


@given(st.text())
def test_any_name_is_a_short_plain_key(name: str) -> None:
    key = other_key(name)
    assert 0 < len(key) <= 128
    assert key.isascii()
    assert key.isprintable()
    assert not set(key) & set("*?\\\x00 ")


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=8,
)
names = st.sampled_from(["event.severity", "user.name", "source.ip", "@timestamp", "message", "event.risk_score"])


@given(st.dictionaries(names | texts | st.just("almena"), values, max_size=6))
def test_a_document_comes_back_byte_by_byte(document: dict[str, object]) -> None:
    body = as_json("alerts", "a", document)
    source = msgspec.json.decode(laid_out("a", body, "token"))
    assert as_json("alerts", "a", read_back(source)) == body
    assert set(source) - {"almena"} <= set(native())


def test_what_fits_stands_at_the_top_and_the_rest_apart() -> None:
    document = {
        "event.severity": "73",
        "event.risk_score": 73.5,
        "user.name": ["b", "a"],
        "source.ip": "10.0.0.1, 10.0.0.2",
        "destination.ip": "2001:DB8::1",
        "message": "hola",
        "host": "x",
        "almena.alert.evidence": {"a..b": 1},
    }
    source = msgspec.json.decode(laid_out("a", as_json("alerts", "a", document)))
    assert {name: value for name, value in source.items() if name != "almena"} == {
        "event.severity": [73],
        "event.risk_score": 73.5,
        "user.name": ["b", "a"],
        "destination.ip": ["2001:db8::1"],
        "message": "hola",
    }
    assert set(msgspec.json.decode(source["almena"]["store"]["rest"])) == {
        "event.severity",
        "source.ip",
        "destination.ip",
        "host",
        "almena.alert.evidence",
    }
