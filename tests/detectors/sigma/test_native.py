"""Windows records as JSON, flattened for rules that use their own field names."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from almena.errors import ParseError
from detectors.sigma.native import DEEPEST, flat, native_windows


def test_a_windows_record_becomes_flat() -> None:
    record = {
        "Event": {
            "#attributes": {"xmlns": "http://schemas.microsoft.com/win/2004/08/events/event"},
            "System": {
                "Provider": {"#attributes": {"Name": "Microsoft-Windows-Windows Defender", "Guid": "{1}"}},
                "EventID": {"#attributes": {"Qualifiers": 0}, "#text": 1116},
                "Channel": "Microsoft-Windows-Windows Defender/Operational",
                "Security": None,
            },
            "EventData": {"Threat Name": "EICAR", "Data": ["a", "b"]},
        }
    }
    assert native_windows(record) == {
        "Provider_Name": "Microsoft-Windows-Windows Defender",
        "Provider_Guid": "{1}",
        "EventID_Qualifiers": 0,
        "EventID": 1116,
        "Channel": "Microsoft-Windows-Windows Defender/Operational",
        "Security": None,
        "ThreatName": "EICAR",
        "Data": ["a", "b"],
    }


def test_user_data_is_data_too() -> None:
    record = {"Event": {"System": {"EventID": 104}, "UserData": {"LogFileCleared": {"SubjectUserName": "ana"}}}}
    assert native_windows(record) == {"EventID": 104, "SubjectUserName": "ana"}


def test_flat_records_stay_as_they_are() -> None:
    assert native_windows({"EventID": 1, "Image": "a"}) == {"EventID": 1, "Image": "a"}


@pytest.mark.parametrize(
    ("record", "expected"),
    [
        ({"a": {"b": {"c": 1}}}, {"a.b.c": 1}),
        ({"a": [{"b": 1}, {"b": 2}]}, {"a.b": [2, 1]}),
        ({"a": [1, {"b": 2}]}, {"a": [1], "a.b": 2}),
        ({"a": {}}, {"a": {}}),
        ({"a": []}, {"a": []}),
    ],
)
def test_objects_get_dotted_names(record: dict[str, Any], expected: dict[str, Any]) -> None:
    found = flat(record)
    assert {name: sorted(value) if isinstance(value, list) else value for name, value in found.items()} == {
        name: sorted(value) if isinstance(value, list) else value for name, value in expected.items()
    }


def test_depth_is_bounded() -> None:
    record: dict[str, Any] = {}
    for _ in range(DEEPEST + 2):
        record = {"a": record | {"x": 1}}
    with pytest.raises(ParseError, match="nested deeper"):
        flat(record)


ANYTHING = st.recursive(
    st.none() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=10,
)


@given(st.dictionaries(st.sampled_from(["Event", "System", "EventData", "UserData", "a"]), ANYTHING))
def test_any_record_is_flat_or_refused(record: dict[str, Any]) -> None:
    for candidate in (record, {"Event": record}):
        assert all(isinstance(name, str) for name in native_windows(candidate))
