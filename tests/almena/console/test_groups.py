from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from almena.clock import SECOND, format_time, now
from almena.console.groups import LEVEL, Place, Row, page, read_place
from almena.errors import UsageError
from almena.store import ALERTS, Query, Store, Terms, open_store


def document(number: int, group: str, level: str, seen: int, status: str = "open") -> dict[str, Any]:
    return {
        "@timestamp": format_time(seen * SECOND),
        "almena.alert.id": f"202611-{number:04d}",
        "almena.alert.group": group,
        "almena.alert.level": level,
        "almena.alert.status": status,
        "almena.alert.first_seen": format_time(seen * SECOND - 5),
        "almena.alert.last_seen": format_time(seen * SECOND),
    }


def query(limit: int = 200) -> Query:
    return Query(kind=ALERTS, scope=None, sort="almena.alert.last_seen", limit=limit)


def walk(store: Store, *, by_level: bool, size: int, limit: int) -> list[list[Row]]:
    counts = dict(store.aggregate(query(), Terms(LEVEL)))
    pages: list[list[Row]] = []
    place: Place | None = None
    while True:
        rows, place = page(store, query(limit), counts=counts, by_level=by_level, place=place, size=size)
        pages.append(rows)
        assert len(rows) <= size
        if place is None:
            return pages
        assert read_place(place.text()) == place


alerts = st.lists(
    st.tuples(st.sampled_from("abcdefgh"), st.sampled_from(["critical", "high", "low"]), st.integers(1, 12)),
    max_size=40,
)


@settings(deadline=None, max_examples=150)
@given(alerts, st.integers(1, 4), st.integers(1, 5), st.booleans())
def test_every_group_stands_on_exactly_one_page(
    found: list[tuple[str, str, int]], size: int, limit: int, by_level: bool
) -> None:
    store = open_store("memory:")
    documents = [document(at, *each) for at, each in enumerate(found)]
    store.create_many(ALERTS, {each["almena.alert.id"]: each for each in documents})
    rows = [row for each in walk(store, by_level=by_level, size=size, limit=limit) for row in each]
    key = (lambda g, level: (level, g)) if by_level else (lambda g, level: ("", g))
    expected = Counter(key(group, level) for group, level, _ in found)
    seen = [key(row.alert["almena.alert.group"], row.alert[LEVEL]) for row in rows]
    assert sorted(seen) == sorted(expected)
    assert {name: row.count for name, row in zip(seen, rows, strict=True)} == dict(expected)
    order = [(("critical", "high", "low").index(row.alert[LEVEL]) if by_level else 0) for row in rows]
    assert order == sorted(order)
    times = [row.alert["almena.alert.last_seen"] for row in rows]
    for at in range(1, len(rows)):
        assert order[at] > order[at - 1] or times[at] <= times[at - 1]
    for name, row in zip(seen, rows, strict=True):
        mine = [each for each in documents if key(each["almena.alert.group"], each[LEVEL]) == name]
        assert row.alert["almena.alert.last_seen"] == max(each["almena.alert.last_seen"] for each in mine)
        assert row.first_seen == min(each["almena.alert.first_seen"] for each in mine)


def test_a_noisy_group_does_not_bury_the_others(tmp_path: Path) -> None:
    store = open_store(f"sqlite:{tmp_path / 'store.sqlite'}")
    base = now() // SECOND
    noise = [document(number, "ruido", "high", base - number) for number in range(3_000)]
    quiet = [document(5_000 + number, f"g{number}", "high", base - 4_000 - number) for number in range(3)]
    store.create_many(ALERTS, {each["almena.alert.id"]: each for each in noise + quiet})
    (rows,) = walk(store, by_level=True, size=50, limit=200)
    assert [row.alert["almena.alert.group"] for row in rows] == ["ruido", "g0", "g1", "g2"]
    assert [row.count for row in rows] == [3_000, 1, 1, 1]
    store.close()


def test_alerts_without_a_group_stand_for_themselves(store: Store) -> None:
    documents = [document(number, "", "low", number + 1) for number in range(3)]
    for each in documents:
        del each["almena.alert.group"]
    store.create_many(ALERTS, {each["almena.alert.id"]: each for each in documents})
    rows = [row for each in walk(store, by_level=True, size=2, limit=2) for row in each]
    assert [row.top.id for row in rows] == ["202611-0002", "202611-0001", "202611-0000"]


def test_waiting_counts_what_nobody_acknowledged(store: Store) -> None:
    documents = [document(1, "a", "low", 1), document(2, "a", "low", 2, "acknowledged")]
    store.create_many(ALERTS, {each["almena.alert.id"]: each for each in documents})
    ((row,),) = walk(store, by_level=True, size=9, limit=9)
    assert (row.count, row.waiting) == (2, 1)


@pytest.mark.parametrize(
    "text", ["x", "high~1", "worst~1~a", "high~-1~a", "high~1~../x", "~" * 9, "high~9~" + "a" * 99]
)
def test_a_place_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(UsageError):
        read_place(text)


def test_no_place_is_the_beginning() -> None:
    assert read_place("") is None
