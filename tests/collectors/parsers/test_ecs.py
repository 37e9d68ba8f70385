from __future__ import annotations

import msgspec
import pytest

from collectors.base import Context
from collectors.parsers.ecs import disarm, parse

CONTEXT = Context(received=0)


@pytest.mark.parametrize("name", ["@timestamp", "timestamp", "time", "eventTime", "ts"])
@pytest.mark.parametrize("value", ["2026-11-22T19:34:00Z", 1795376040, 1795376040_000])
def test_the_time_stands_where_shippers_put_it(name: str, value: object) -> None:
    event = parse(msgspec.json.encode({name: value, "a": {"b": 1}}), CONTEXT)
    assert (event["@timestamp"], event["a.b"], event["event.dataset"]) == ("2026-11-22T19:34:00.000000Z", 1, "unknown")


def test_strangers_cannot_say_what_only_almena_says() -> None:
    claims = {
        "almena.alert.id": "x",
        "almena.misfit": "x",
        "almena.source.name": "x",
        "almena.anomaly.p": 0.1,
        "event.id": "x",
        "event.ingested": "x",
        "almena.payment.line": "7",
    }
    assert disarm(claims) == {
        "almena.app.alert.id": "x",
        "almena.app.misfit": "x",
        "almena.app.source.name": "x",
        "almena.app.anomaly.p": "0.1",
        "almena.app.event_id": "x",
        "almena.payment.line": "7",
    }
