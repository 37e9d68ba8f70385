from __future__ import annotations

import pytest

from collectors.base import Context
from collectors.parsers import PARSERS
from collectors.parsers.anyjson import parse

CONTEXT = Context(received=0)


@pytest.mark.parametrize(
    ("name", "raw"),
    [
        ("windows", b'{"Event":{"System":{"EventID":1,"TimeCreated":"2026-11-22T19:34:00Z"}}}'),
        ("windows", b'{"EventID":4624,"Channel":"Security","EventTime":"2026-11-22 13:34:00"}'),
        ("windows", b'{"winlog.event_id":"1","@timestamp":"2026-11-22T19:34:00Z"}'),
        ("app", b'{"event":{"dataset":"app.audit","action":"read"},"@timestamp":"2026-11-22T19:34:00Z"}'),
        ("ecs", b'{"event":{"dataset":"network.dns"},"@timestamp":"2026-11-22T19:34:00Z"}'),
        ("ecs", b'{"event":"a text","time":1795376040}'),
    ],
)
def test_each_record_goes_to_the_parser_of_its_shape(name: str, raw: bytes) -> None:
    assert parse(raw, CONTEXT) == PARSERS[name](raw, CONTEXT)
