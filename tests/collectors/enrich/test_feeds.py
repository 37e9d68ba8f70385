from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from almena.errors import ConfigError
from collectors.enrich.feeds import Entry, entry, read, url_form

SHA = "ab" * 32


def entries(folder: Path, data: bytes) -> list[Entry | None]:
    path = folder / "feed"
    path.write_bytes(data)
    return list(read(str(path)))


@pytest.mark.parametrize(
    ("value", "kind", "form"),
    [
        ("203.0.113.9", "ip", "203.0.113.9"),
        ("203.0.113.9:4444", "ip", "203.0.113.9"),
        ("203[.]0[.]113[.]9", "ip", "203.0.113.9"),
        ("203.0.113.0/24", "network", "203.0.113.0/24"),
        ("2001:DB8::1", "ip", "2001:db8::1"),
        ("Evil[.]Example", "domain", "evil.example"),
        ("*.evil.example.", "domain", "evil.example"),
        ("hxxp://Evil.example/A?b#c", "url", "http://evil.example/A?b"),
        (SHA.upper(), "hash", SHA),
        ("Mal@Evil.example", "email", "mal@evil.example"),
    ],
)
def test_values_show_their_kind(value: str, kind: str, form: str) -> None:
    found = entry(value)
    assert found is not None
    assert (found.kind, found.value) == (kind, form)


@pytest.mark.parametrize("value", ["", "hello", "0.0.0.0/0", "10.0.0.0/4", "a b.com", "@x", "..", "-.-", "x@y"])
def test_what_is_no_indicator_or_would_match_the_world_is_none(value: str) -> None:
    assert entry(value) is None


@given(st.text(max_size=60))
def test_any_text_is_an_entry_or_none(value: str) -> None:
    entry(value)


@pytest.mark.parametrize(
    ("url", "form"),
    [
        ("HTTP://A.example", "http://a.example/"),
        ("http://a.example?x=1", "http://a.example/?x=1"),
        ("http://a.example/B#c", "http://a.example/B"),
    ],
)
def test_urls_have_one_form(url: str, form: str) -> None:
    assert url_form(url) == form


def test_lists_with_and_without_a_first_line(tmp_path: Path) -> None:
    plain = entries(tmp_path, b"# a comment\n203.0.113.9\n\nevil.example\nnonsense\n")
    assert [each and each.value for each in plain] == ["203.0.113.9", "evil.example", None]
    table = entries(
        tmp_path,
        b"\xef\xbb\xbftype,value,description,confidence,valid_until\n"
        b'domain,evil.example,"Botnet, panel",90,2026-12-01T00:00:00Z\n',
    )
    assert table == [
        Entry("domain", "evil.example", name="Botnet, panel", confidence="90", until=1_796_083_200_000_000)
    ]


def stix(*patterns: str, **more: object) -> bytes:
    objects = [{"type": "indicator", "name": "n", "pattern": each, "pattern_type": "stix"} | more for each in patterns]
    return msgspec.json.encode({"type": "bundle", "objects": [{"type": "identity", "name": "x"}, *objects]})


def test_stix_patterns_of_alternatives_are_read_and_others_counted(tmp_path: Path) -> None:
    found = entries(
        tmp_path,
        stix(
            "[ipv4-addr:value = '203.0.113.9']",
            "[ipv4-addr:value ISSUBSET '203.0.113.0/24' OR domain-name:value = 'evil.example']",
            f"[file:hashes.'SHA-256' = '{SHA}']",
            f"[file:hashes.MD5 = '{SHA[:32]}'] OR [url:value = 'http://evil.example/a\\'b']",
            "[ipv4-addr:value = '203.0.113.9' AND domain-name:value = 'evil.example']",
            "[process:name = 'x']",
            "[domain-name:value LIKE '%.example']",
        ),
    )
    assert [each and (each.kind, each.value) for each in found] == [
        ("ip", "203.0.113.9"),
        ("network", "203.0.113.0/24"),
        ("domain", "evil.example"),
        ("hash", SHA),
        ("hash", SHA[:32]),
        ("url", "http://evil.example/a'b"),
        None,
        None,
        None,
    ]
    assert entries(tmp_path, stix("[ipv4-addr:value = '203.0.113.9']", revoked=True)) == []
    (until,) = entries(tmp_path, stix("[ipv4-addr:value = '203.0.113.9']", valid_until="2026-12-01T00:00:00Z"))
    assert until is not None
    assert until.until == 1_796_083_200_000_000


def test_misp_events_are_read(tmp_path: Path) -> None:
    attributes = [
        {"type": "ip-dst|port", "value": "203.0.113.9|443", "to_ids": True, "comment": "C2"},
        {"type": "domain|ip", "value": "evil.example|203.0.113.10", "to_ids": True},
        {"type": "filename|sha256", "value": f"a.exe|{SHA}", "to_ids": True},
        {"type": "ip-src", "value": "198.51.100.1", "to_ids": False},
        {"type": "mutex", "value": "x", "to_ids": True},
    ]
    event = {"info": "Campaña", "uuid": "u", "Attribute": attributes[:2], "Object": [{"Attribute": attributes[2:]}]}
    for document in ({"Event": event}, {"response": [{"Event": event}]}, [{"Event": event}]):
        found = entries(tmp_path, msgspec.json.encode(document))
        assert [each and (each.value, each.name) for each in found] == [
            ("203.0.113.9", "C2"),
            ("evil.example", "Campaña"),
            ("203.0.113.10", "Campaña"),
            (SHA, "Campaña"),
            None,
        ]


@given(data=st.binary(max_size=80) | st.binary(max_size=60).map(lambda tail: b'{"objects":[' + tail))
def test_any_file_gives_entries_or_a_configuration_error(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    folder = tmp_path_factory.mktemp("feed")
    with suppress(ConfigError):
        entries(folder, data)


def test_json_that_is_something_else_is_refused(tmp_path: Path) -> None:
    for data in (b'{"a":1}', b"[1]", b"{" * 100_000):
        with pytest.raises(ConfigError, match="neither a STIX"):
            entries(tmp_path, data)
