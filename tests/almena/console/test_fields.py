from __future__ import annotations

import pytest

from almena.console.fields import plumbing


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("event.id", True),
        ("event.ingested", True),
        ("log.file.path", True),
        ("winlog.record_id", True),
        ("organization.id", True),
        ("event.idle", False),
        ("event.action", False),
        ("winlog.event_data.TargetSid", False),
        ("@timestamp", False),
        ("almena.application", False),
    ],
)
def test_plumbing_is_told_from_what_happened(name: str, expected: bool) -> None:
    assert plumbing(name) is expected
