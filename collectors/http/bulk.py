"""The bulk format of Elasticsearch: an action and its document on a line each, and an answer for every action.

    {"create": {"_index": "logs-nginx", "_id": "a1"}}
    {"@timestamp": "2026-11-22T19:34:00Z", "message": "..."}

`create` and `index` add a document. `update` and `delete` are refused: what happened stays. A line that is no action
is refused with its document, and never costs the others. The index is told back to the client and used for nothing.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from collectors.framing import Frame
from collectors.http import bodies
from collectors.http.answers import Refusal

_LONGEST_NAME = 512
_LONGEST_ACTION = 64 << 10


class _Meta(msgspec.Struct):
    index: str | None = msgspec.field(default=None, name="_index")
    id: str | int | None = msgspec.field(default=None, name="_id")


class _Action(msgspec.Struct):
    create: _Meta | None = None
    index: _Meta | None = None
    update: _Meta | None = None
    delete: _Meta | None = None


_read_action = msgspec.json.Decoder(_Action).decode


@dataclass(slots=True)
class Item:
    """One action of a bulk."""

    action: str
    index: str
    id: str
    """As the client gave it; empty where it gave none."""
    document: bytes = b""
    status: int = 201
    reason: str = ""
    """Why it is refused."""


def items(body: bytes, index: str, most: int) -> list[Item]:
    """The actions of a body in their order; `index` is that of the path. More than `most` are asked to come again.

    Raises Refusal when there is none.
    """
    if body.count(b"\n") > 16 * most:
        raise Refusal(413, f"more than {most} documents; send smaller batches")
    found = list(_items(body, index))
    if not found:
        raise Refusal(400, "the body holds no action; a bulk has two lines for each document")
    room = most
    for item in found:
        if item.status == 201 and room <= 0:
            item.status, item.reason = 429, f"more than {most} documents at once; send this one again"
        room -= item.status == 201
    return found


def _items(body: bytes, index: str) -> Iterator[Item]:
    lines = body.split(b"\n")
    place, count = 0, len(lines)
    while place < count:
        line = lines[place].strip(b"\r \t")
        place += 1
        if not line:
            continue
        item = _item(line, index)
        if item is None:
            if place < count and _item(lines[place], index) is None:
                place += 1  # its document
            yield Item("index", index, "", status=400, reason='no action; write it like {"create": {}}')
            continue
        if item.action != "delete":
            item.document = lines[place].strip(b"\r \t") if place < count else b""
            place += 1
            if not item.document and item.status == 201:
                item.status, item.reason = 400, "an action without a document"
        yield item


def _item(line: bytes, index: str) -> Item | None:
    if len(line) > _LONGEST_ACTION:
        return None
    try:
        read = _read_action(line)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None
    named: list[tuple[str, _Meta | None]]
    named = [("create", read.create), ("index", read.index), ("update", read.update), ("delete", read.delete)]
    given = [(action, meta) for action, meta in named if meta is not None]
    if len(given) != 1:
        return None
    action, meta = given[0]
    assert meta is not None
    item = Item(action, (meta.index or index)[:_LONGEST_NAME], "" if meta.id is None else str(meta.id)[:_LONGEST_NAME])
    if action in ("update", "delete"):
        item.status, item.reason = 400, f"{action} is refused: events are added, never changed"
    return item


def frames(found: Sequence[Item]) -> list[tuple[int, Frame]]:
    """The documents to be stored, each with its place in the bulk."""
    return [(place, bodies.frame(item.document)) for place, item in enumerate(found) if item.status == 201]


def lane(found: Sequence[Item]) -> str | None:
    """The name of a bulk that is recognised when it is sent again, or None where documents have no ids.

    It stands for the ids together with the documents, in their order: a client that sends other documents under ids
    that it used before sends something new.
    """
    stored = [item for item in found if item.status == 201]
    if not stored or not all(item.id for item in stored):
        return None
    digest = hashlib.blake2b(digest_size=16)
    for item in stored:
        for part in (item.index.encode("utf-8", "replace"), item.id.encode("utf-8", "replace"), item.document):
            digest.update(len(part).to_bytes(8, "big"))
            digest.update(part)
    return f"i.{digest.hexdigest()}"


def told(found: Sequence[Item], name: str, took: int, *, brief: bool) -> dict[str, Any]:
    """The answer to a bulk stored in the lane `name` in `took` milliseconds; `brief` leaves out what many never ask."""
    return {
        "errors": any(item.status != 201 for item in found),
        "took": took,
        "items": [{item.action: _told(place, item, name, brief)} for place, item in enumerate(found)],
    }


def _told(place: int, item: Item, name: str, brief: bool) -> dict[str, Any]:
    answer: dict[str, Any] = {"status": item.status}
    if not brief:
        answer = {"_index": item.index, "_id": item.id or f"{name}.{place}", **answer}
    if item.status != 201:
        kind = "es_rejected_execution_exception" if item.status == 429 else "illegal_argument_exception"
        return answer | {"error": {"type": kind, "reason": item.reason}}
    return answer if brief else answer | _STORED


_STORED = {
    "_version": 1,
    "result": "created",
    "_shards": {"total": 1, "successful": 1, "failed": 0},
    "_seq_no": 0,
    "_primary_term": 1,
}
