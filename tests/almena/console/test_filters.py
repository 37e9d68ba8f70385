from __future__ import annotations

from datetime import UTC, datetime
from urllib.parse import parse_qs, urlsplit
from zoneinfo import ZoneInfo

from hypothesis import given
from hypothesis import strategies as st

from almena.clock import from_datetime
from almena.console.filters import Choice, query_of, read
from almena.store import Filter, open_store

ZONE = ZoneInfo("America/Mexico_City")
NOW = from_datetime(datetime(2026, 11, 22, 20, 0, tzinfo=UTC))


def test_an_address_becomes_conditions() -> None:
    choice = read(
        {"q": "  nginx   portal ", "nivel": "high", "estado": "closed", "dependencia": "finanzas", "rango": "1h"}
    )
    query = query_of(choice, scope=frozenset({"finanzas"}), now=NOW, zone=ZONE, limit=9)
    assert query.text == "nginx portal"
    assert query.scope == frozenset({"finanzas"})
    assert set(query.filters) == {
        Filter("almena.alert.status", "in", ("closed",)),
        Filter("almena.alert.level", "in", ("high",)),
        Filter("organization.id", "in", ("finanzas",)),
        Filter("almena.alert.last_seen", "gte", ("2026-11-22T19:00:00.000000Z",)),
    }


def test_without_a_choice_what_waits_is_shown() -> None:
    query = query_of(read({}), scope=None, now=NOW, zone=ZONE, limit=9)
    assert query.filters == (Filter("almena.alert.status", "in", ("open", "acknowledged")),)
    assert not read({}).narrowed
    assert not query_of(read({"estado": "all"}), scope=None, now=NOW, zone=ZONE, limit=9).filters


def test_moments_are_typed_in_the_rooms_zone() -> None:
    query = query_of(read({"desde": "2026-11-22T08:00", "hasta": "2026-11-22T09:30"}), scope=None, now=NOW, zone=ZONE,
                     limit=9)  # fmt: skip
    assert query.filters[1:] == (
        Filter("almena.alert.last_seen", "gte", ("2026-11-22T14:00:00.000000Z",)),
        Filter("almena.alert.last_seen", "lt", ("2026-11-22T15:30:00.000000Z",)),
    )


def test_a_choice_makes_an_address_that_reads_back() -> None:
    choice = Choice(q="a&b=ñ", nivel="low", regla="x/y:z")
    parts = urlsplit(choice.address("/cola"))
    assert read({name: values[0] for name, values in parse_qs(parts.query).items()}) == choice


@given(st.dictionaries(st.sampled_from(sorted(Choice.__dataclass_fields__)), st.text(max_size=300)))
def test_any_address_is_a_question_the_store_takes(params: dict[str, str]) -> None:
    query = query_of(read(params), scope=None, now=NOW, zone=ZONE, limit=9)
    assert open_store("memory:").search(query).items == []


@given(st.text("0123456789-T:", max_size=20))
def test_any_moment_is_read_or_left_out(text: str) -> None:
    query_of(read({"desde": text, "hasta": "9999-12-31T23:59"}), scope=None, now=NOW, zone=ZONE, limit=9)
