from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from almena.ecs import check
from almena.errors import ParseError
from collectors.base import Context
from collectors.parsers.app import ACTIONS, parse

CONTEXT = Context(received=0)
PAID: dict[str, Any] = {
    "@timestamp": "2026-11-22T13:34:00-06:00",
    "event.dataset": "app.payments",
    "event.action": "line_paid",
}


def event_of(**more: Any) -> dict[str, Any]:
    return parse(msgspec.json.encode(PAID | more), CONTEXT)


@pytest.mark.parametrize(
    ("dataset", "action"), [(name, action) for name in ACTIONS for action in sorted(ACTIONS[name])]
)
def test_every_action_of_the_schema_is_taken(dataset: str, action: str) -> None:
    event = event_of(**{"event.dataset": dataset, "event.action": action, "event.outcome": "failure"})
    assert (event["event.dataset"], event["event.action"], event["event.outcome"]) == (dataset, action, "failure")
    assert event["@timestamp"] == "2026-11-22T19:34:00.000000Z"


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("@timestamp", "2026-11-22T13:34:00"),
        ("event.dataset", "app.none"),
        ("event.action", "login"),
        ("event.outcome", "ok"),
        ("almena.payment.amount", 5),
        ("almena.payment.line", 5),
        ("almena.lookup.valid", "true"),
        ("almena.audit.rows", "x"),
        ("almena.certificate.not_after", "2026-11-22"),
    ],
)
def test_an_error_names_the_field_and_not_its_value(field: str, value: Any) -> None:
    with pytest.raises(ParseError) as caught:
        event_of(**{field: value})
    assert field in caught.value.reason
    assert " be " in caught.value.reason


@given(st.decimals(min_value=0, max_value=10**12, places=2, allow_nan=False).map(str))
def test_amounts_stay_exact_and_fit_the_schema(amount: str) -> None:
    event = event_of(**{"almena.payment.amount": amount})
    assert event["almena.payment.amount"] == amount
    assert check(event)["almena.payment.amount"] == float(amount)


def test_unknown_fields_are_kept_as_text_and_reserved_ones_cannot_be_claimed() -> None:
    event = event_of(
        **{"x": {"y": 1}, "almena.alert.id": "a", "almena.source.name": "b", "rule.id": "c", "event.id": "d"}
    )
    assert event["almena.app.x.y"] == "1"
    assert event["almena.app.alert.id"] == "a"
    assert event["almena.app.source.name"] == "b"
    assert event["almena.app.rule.id"] == "c"
    assert event["almena.app.event_id"] == "d"
    assert not {"almena.alert.id", "almena.source.name", "rule.id", "event.id"} & set(event)


def test_nested_and_dotted_names_are_the_same() -> None:
    nested = {
        "user": {"name": "ana", "target": {"name": "beto"}},
        "session": {"id": "s"},
        "http": {"request": {"method": "GET"}},
    }
    dotted = {"user.name": "ana", "user.target.name": "beto", "session.id": "s", "http.request.method": "GET"}
    assert event_of(**nested) == event_of(**dotted)
    assert event_of(**dotted)["almena.session.id"] == "s"


def test_a_missing_outcome_is_unknown() -> None:
    assert event_of()["event.outcome"] == "unknown"
