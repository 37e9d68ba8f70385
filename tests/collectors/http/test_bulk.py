"""The bulk format: two lines for each document, an answer for each action, and a name for what is sent again."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from collectors.http import bulk
from collectors.http.answers import Refusal
from collectors.http.bulk import Item


def read(body: bytes, most: int = 100) -> list[tuple[str, str, str, bytes, int]]:
    return [(each.action, each.index, each.id, each.document, each.status) for each in bulk.items(body, "path", most)]


def test_actions_and_documents_come_in_pairs() -> None:
    body = b"""{"create":{"_index":"logs","_id":"a"}}
{"n":1}
{"index":{}}\r
{"n":2}\r

{"index":{"_id":7,"_type":"_doc","routing":"x","pipeline":"geo","dynamic_templates":{}}}
{"n":3}"""
    assert read(body) == [
        ("create", "logs", "a", b'{"n":1}', 201),
        ("index", "path", "", b'{"n":2}', 201),
        ("index", "path", "7", b'{"n":3}', 201),
    ]


def test_what_changes_events_is_refused_and_the_others_are_not() -> None:
    body = b'{"update":{"_id":"a"}}\n{"doc":{}}\n{"delete":{"_id":"b"}}\n{"index":{}}\n{"n":1}\n{"create":{}}\n'
    assert [(action, document, status) for action, _, _, document, status in read(body)] == [
        ("update", b'{"doc":{}}', 400),
        ("delete", b"", 400),
        ("index", b'{"n":1}', 201),
        ("create", b"", 400),
    ]


@pytest.mark.parametrize(
    "bad",
    [
        b'{"index":1}\n{"n":0}',
        b'{"upsert":{}}\n{"n":0}',
        b'{"index":{},"create":{}}\n{"n":0}',
        b"[]\n{}",
        b'{"index":{"_id":{"a":1}}}\n{"n":0}',
        b'{"index":' + b"[" * 30_000 + b"\n{}",
        b'{"index":{"_index":"' + b"x" * 70_000 + b'"}}\n{}',
        b"\xff\xfe",
        b'{"index":{"_index":"\\ud800"}}\n{}',
    ],
)
def test_a_line_that_is_no_action_costs_no_other(bad: bytes) -> None:
    body = b'{"index":{}}\n{"n":1}\n' + bad + b'\n{"create":{}}\n{"n":2}\n'
    statuses = [(document, status) for _, _, _, document, status in read(body)]
    assert statuses == [(b'{"n":1}', 201), (b"", 400), (b'{"n":2}', 201)]


@pytest.mark.parametrize("body", [b"", b"\n\n", b" \r\n"])
def test_nothing_is_no_bulk(body: bytes) -> None:
    with pytest.raises(Refusal, match="no action"):
        bulk.items(body, "", 10)


def test_more_than_may_come_at_once_are_to_come_again() -> None:
    found = bulk.items(b'{"index":{}}\n{"n":1}\n{"delete":{}}\n' * 5, "", 3)
    assert [each.status for each in found] == [201, 400] * 3 + [429, 400] * 2
    assert len(bulk.frames(found)) == 3
    with pytest.raises(Refusal) as caught:
        bulk.items(b"\n" * 100, "", 3)
    assert caught.value.status == 413


def test_the_answer_is_one_for_each_in_order() -> None:
    found = bulk.items(b'{"index":{"_index":"i","_id":"a"}}\n{}\n{"create":{}}\n{}\n{"delete":{"_id":"z"}}\n', "p", 9)
    told = bulk.told(found, "lane", 12, brief=False)
    assert (told["errors"], told["took"]) == (True, 12)
    index, create, delete = told["items"]
    assert index["index"] | {"_index": "i", "_id": "a", "status": 201, "result": "created"} == index["index"]
    assert create["create"] | {"_index": "p", "_id": "lane.1", "status": 201} == create["create"]
    assert delete["delete"]["error"]["type"] == "illegal_argument_exception"
    assert delete["delete"]["status"] == 400
    assert bulk.told(found[:1], "lane", 1, brief=True) == {
        "errors": False,
        "took": 1,
        "items": [{"index": {"status": 201}}],
    }


# What is sent again


def item(key: str, document: bytes = b"{}", index: str = "i") -> Item:
    return Item("index", index, key, document)


def test_a_bulk_is_named_by_its_ids_and_documents() -> None:
    name = bulk.lane([item("a"), item("b")])
    assert name is not None
    assert name == bulk.lane([item("a"), item("b")])
    assert name == bulk.lane([item("a"), Item("delete", "i", "x", status=400), item("b")])
    others = [
        [item("b"), item("a")],
        [item("a")],
        [item("a"), item("b", b"{ }")],
        [item("a"), item("b", index="j")],
        [item("ab"), item("")],
        [item("a", b"{}b"), item("b", b"")],
    ]
    assert name not in [bulk.lane(other) for other in others]


def test_documents_without_ids_are_never_taken_for_repeats() -> None:
    assert bulk.lane([item("a"), item("")]) is None
    assert bulk.lane([]) is None


@given(
    st.lists(
        st.one_of(
            st.binary(max_size=40),
            st.sampled_from(
                (b'{"index":{}}', b'{"create":{"_id":"1"}}', b'{"delete":{}}', b'{"update":{}}', b'{"n":1}', b"")
            ),
        ),
        max_size=12,
    ).map(b"\n".join)
)
def test_any_body_is_read(body: bytes) -> None:
    found, status = [], 200
    try:
        found = bulk.items(body, "", 6)
    except Refusal as refused:
        status = refused.status
    assert status in (200, 400, 413)
    assert all(each.status in (201, 400, 429) for each in found)
    assert sum(each.status == 201 for each in found) <= 6
    assert all(each.document for each in found if each.status == 201)
    assert len(msgspec.json.decode(msgspec.json.encode(bulk.told(found, "x", 0, brief=False)))["items"]) == len(found)
