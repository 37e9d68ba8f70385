from __future__ import annotations

import pytest

from almena.event import Event
from collectors.parsers.network import put_user


@pytest.mark.parametrize(
    ("written", "user", "domain"),
    [
        ("ana", "ana", None),
        ("DIF\\ana", "ana", "DIF"),
        ("DIF\\\\ana", "ana", "DIF"),
        ("ana@dif.gob.mx", "ana", "dif.gob.mx"),
        ("a@b@dif.gob.mx", "a@b", "dif.gob.mx"),
        ("@dif", "@dif", None),
        ("ana@", "ana", None),
        ("DIF\\", "DIF\\", None),
        ("-", None, None),
        ("N/A", None, None),
        ("*****", None, None),
        ("", None, None),
        (None, None, None),
    ],
)
def test_names_are_taken_apart(written: str | None, user: str | None, domain: str | None) -> None:
    event: Event = {}
    put_user(event, written, "source.user")
    assert event.get("source.user.name") == user
    assert event.get("source.user.domain") == domain
