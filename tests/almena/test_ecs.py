"""Whatever an event holds, a document has known fields with values of their type, and loses nothing."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from almena.ecs import KEYWORD_BYTES, check, fields

OF_TYPE = {
    kind: next(name for name, field in fields().items() if field.type == kind and not name.startswith("@"))
    for kind in {field.type for field in fields().values()}
}
ANYTHING = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=20)
    | st.sampled_from(["10.0.0.1", "fe80::1%eth0", "2026-11-22T10:00:00Z", "1601-01-01", "7", "7.5", "x" * 9_000]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)  # fmt: skip


def plain(value: Any) -> bool:
    return isinstance(value, (str, int, float))


@given(st.dictionaries(st.sampled_from([*OF_TYPE.values(), "no.such.field", "almena.misfit", "a..b"]), ANYTHING))
def test_nothing_is_lost_and_twice_is_once(event: dict[str, Any]) -> None:
    document = check(event)
    misfit = document.get("almena.misfit", {})
    for name, value in event.items():
        if value is not None and name != "almena.misfit":
            assert name in document or misfit[name] is value
    for name, value in document.items():
        assert name in fields() or name == "almena.misfit"
        if fields().get(name, ("object",))[0] not in ("object", "flattened", "nested", "geo_point"):
            assert plain(value) or all(map(plain, value))
    assert repr(check(document)) == repr(document)


@pytest.mark.parametrize(
    ("kind", "value", "kept"),
    [
        ("keyword", "x", "x"),
        ("keyword", 7, "7"),
        ("keyword", True, "true"),
        ("keyword", ["a", 1], ["a", "1"]),
        ("keyword", "ñ" * (KEYWORD_BYTES // 2), "ñ" * (KEYWORD_BYTES // 2)),
        ("keyword", "ñ" * (KEYWORD_BYTES // 2) + "x", None),
        ("keyword", {"a": 1}, None),
        ("keyword", ["a", None], None),
        ("wildcard", "x" * 20_000, "x" * 20_000),
        ("long", 7, 7),
        ("long", "7", 7),
        ("long", 7.0, 7),
        ("long", 7.5, None),
        ("long", "7.5", None),
        ("long", "1_000", None),
        ("long", " 7 ", None),
        ("long", "٣", None),
        ("long", True, None),
        ("long", 2**63 - 1, 2**63 - 1),
        ("long", 2**63, None),
        ("long", -(2**63), -(2**63)),
        ("long", -(2**63) - 1, None),
        ("long", "9" * 5_000, None),
        ("float", "7.5", 7.5),
        ("float", "1_0.5", None),
        ("float", float("nan"), None),
        ("float", "inf", None),
        ("float", 10**400, None),
        ("boolean", "true", True),
        ("boolean", "false", False),
        ("boolean", False, False),
        ("boolean", 1, None),
        ("ip", "::FFFF", "::ffff"),
        ("ip", "10.0.0.1, 10.0.0.2", None),
        ("ip", "fe80::1%eth0", None),
        ("ip", 7, None),
        ("date", "2026-11-22T04:00:00-06:00", "2026-11-22T10:00:00.000000Z"),
        ("date", "1970-01-01", "1970-01-01T00:00:00.000000Z"),
        ("date", "1601-01-01T00:00:00Z", None),
        ("date", "soon", None),
        ("date", 7, None),
        ("object", {"a": 1}, {"a": 1}),
        ("object", "x", None),
    ],
)
def test_values_take_the_type_of_their_field_or_move(kind: str, value: Any, kept: Any) -> None:
    name = OF_TYPE[kind]
    expected = {"almena.misfit": {name: value}} if kept is None else {name: kept}
    assert repr(check({name: value})) == repr(expected)


def test_what_moved_before_stays_beside_what_moves_now() -> None:
    assert check({"almena.misfit": {"a": 1}, "b..c": 2}) == {"almena.misfit": {"a": 1, "b..c": 2}}
    assert check({"almena.misfit": "forged"}) == {"almena.misfit": {"almena.misfit": "forged"}}
    assert check({"source.ip": None}) == {}
