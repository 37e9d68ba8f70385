"""A store in Elasticsearch: plain indices by kind, alerts by month and events by day, one place for every id."""

from __future__ import annotations

import secrets
import threading
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec
from elastic_transport import ObjectApiResponse
from elasticsearch import NotFoundError

from almena.clock import format_time
from almena.errors import Conflict, Refused, StoreError
from almena.store import (
    ALL,
    KINDS,
    Cardinality,
    Document,
    Filter,
    Histogram,
    Outcome,
    Page,
    Query,
    Scope,
    Terms,
    Versioned,
)
from almena.store.elasticsearch_client import PATIENCE_SECONDS, REQUEST_SECONDS, Client, Item
from almena.store.elasticsearch_count import Counts
from almena.store.elasticsearch_layout import HIDDEN, laid_out, read_back, token_of
from almena.store.elasticsearch_mapping import ID, ended, index_name, index_pattern
from almena.store.elasticsearch_query import behind, matching, ordering, sorted_by
from almena.store.elasticsearch_template import put_template
from almena.store.match import TIME, cursor_of, encode, read_cursor, unwritable, visible
from almena.store.settings import ElasticsearchSettings

BODY_BYTES = 5 * 1024 * 1024
"""Bytes of one bulk request, unless a single document has more."""

BODY_DOCUMENTS = 1_000
"""Documents of one bulk request."""

SCANNED_AT_ONCE = 500
"""Documents that `scan` reads in one request."""

_MOMENT = "5m"  # how long a scan's view of the indices is kept between two requests
_TERM_BITS = 44
_HITS: dict[str, Any] = {"_source": {"excludes": HIDDEN}, "seq_no_primary_term": True, "track_total_hits": False}


class ElasticsearchStore:
    """Documents in indices `<prefix>-<kind>`; searches see this object's own writes, and others' within a second."""

    by_period = True

    def __init__(
        self,
        url: str,
        settings: ElasticsearchSettings,
        *,
        request: float = REQUEST_SECONDS,
        patience: float = PATIENCE_SECONDS,
    ) -> None:
        """Connects, checks the servers' version and puts the index template; raises ConfigError or StoreError.

        `request` and `patience` are seconds: for one request, and for trying again what fails in passing.
        """
        self._prefix = settings.prefix
        self._client = Client(url, settings, request=request, patience=patience)
        self._written: dict[str, set[str]] = {kind: set() for kind in KINDS}
        self._noting = threading.Lock()
        self._refreshing = {kind: threading.Lock() for kind in KINDS}
        try:
            put_template(self._client, settings)
        except BaseException:
            self._client.close()
            raise

    def create_many(self, kind: str, documents: Mapping[str, Document]) -> dict[str, Outcome]:
        """Create what is not there yet; nothing that is there changes. Durable when it returns.

        Raises Refused when Elasticsearch refuses a document; others of the call may have been created by then, and
        are found to be the same when created again.
        """
        bodies = {identity: encode(kind, identity, document) for identity, document in documents.items()}
        outcomes: dict[str, Outcome] = {}
        part: dict[str, bytes] = {}
        size = 0
        for identity, body in bodies.items():
            part[identity] = laid_out(identity, body)
            size += len(part[identity])
            if size >= BODY_BYTES or len(part) >= BODY_DOCUMENTS:
                outcomes |= self._create(kind, part, bodies)
                part, size = {}, 0
        outcomes |= self._create(kind, part, bodies)
        return {identity: outcomes[identity] for identity in documents}

    def get(self, kind: str, id: str, *, scope: Scope) -> Versioned | None:  # noqa: A002
        """The document, read after all writes; None when it is not there or outside `scope`."""
        found = self._read(kind, [id]).get(id)
        if found is None:
            return None
        document = read_back(found["_source"])
        return Versioned(id, _version(found), document) if visible(document, scope) else None

    def replace(self, kind: str, id: str, document: Document, version: int) -> int:  # noqa: A002
        """Write over `version` and return the new one; raises Conflict when it is no longer that version."""
        body = encode(kind, id, document)
        term, seq = version >> _TERM_BITS, version & (1 << _TERM_BITS) - 1
        if term < 1:
            raise _conflict(kind, id)
        token = secrets.token_hex(8)
        condition = {"if_seq_no": seq, "if_primary_term": term}
        item = self._write(kind, [self._operation("index", kind, id, laid_out(id, body, token), **condition)], [id])[0]
        if item.status == 409 and item.unsure:
            return self._settled(kind, id, token)
        if item.status == 409:
            raise _conflict(kind, id)
        self._check(kind, id, item)
        return _packed(item.seq, item.term)

    def delete(self, kind: str, id: str) -> None:  # noqa: A002
        """Remove one document; nothing happens when it is not there."""
        if not unwritable(id):
            item = self._write(kind, [self._operation("delete", kind, id)], [id])[0]
            if item.status != 404:
                self._check(kind, id, item)

    def search(self, query: Query, cursor: str | None = None) -> Page:
        """One page of documents; a cursor continues exactly behind the last one, whatever was written since."""
        condition = matching(query)
        after = None if cursor is None else behind(query, read_cursor(query, cursor))
        self._refresh(query.kind)
        body = _HITS | {"query": condition, "sort": ordering(query), "size": query.limit + 1}
        body |= {"search_after": after} if after else {}
        pattern = index_pattern(self._prefix, query.kind)
        hits = self._client.search(f"searching {query.kind}", body, index=pattern)["hits"]["hits"]
        page = hits[: query.limit]
        more = cursor_of(query, sorted_by(query, page[-1]), page[-1]["_id"]) if len(hits) > query.limit else None
        return Page([_versioned(hit) for hit in page], more)

    def count(self, query: Query) -> int:
        """How many documents match."""
        condition = matching(query)
        self._refresh(query.kind)
        pattern = index_pattern(self._prefix, query.kind)
        answer = self._client.ask(
            f"counting {query.kind}",
            lambda client: client.count(index=pattern, query=condition, ignore_unavailable=True, allow_no_indices=True),
        )
        return int(answer["count"])

    def aggregate(self, query: Query, by: Terms | Histogram | Cardinality) -> Sequence[tuple[str, int]]:
        """Counts over all matches: terms by count then value, histograms by time; exact, or refused as too many."""
        counts = Counts(self._client, index_pattern(self._prefix, query.kind), query)
        self._refresh(query.kind)
        return counts.by(by)

    def scan(self, kind: str, scope: Scope = ALL) -> Iterator[Versioned]:
        """Every document of a kind in the order of ids, as they were at one moment."""
        condition = matching(Query(kind=kind, scope=scope))
        self._refresh(kind)
        pattern, what = index_pattern(self._prefix, kind), f"reading all {kind}"
        opened = self._client.ask(
            what, lambda client: client.open_point_in_time(index=pattern, keep_alive=_MOMENT, ignore_unavailable=True)
        )
        body = _by_id(condition, SCANNED_AT_ONCE) | {"pit": {"id": opened["id"], "keep_alive": _MOMENT}}
        try:
            for hits in self._pages(what, body):
                yield from map(_versioned, hits)
        finally:
            self._client.release(opened["id"])

    def expire(self, kind: str, before: int) -> int:
        """Remove documents whose `@timestamp` is before `before` (microseconds); returns how many.

        Alerts go by whole months and events by whole days, each with its index.
        """
        what = f"removing old {kind}"
        pattern = index_pattern(self._prefix, kind)
        self._refresh(kind)
        gone = 0
        if pattern.endswith("*"):
            there = self._client.ask(what, lambda client: client.indices.resolve_index(name=pattern))
            for name in ended(self._prefix, kind, [index["name"] for index in there["indices"]], before):
                gone += self._drop(what, name)
            pattern = f"{pattern[:-1]}other"
        return gone + self._remove_before(kind, pattern, before)

    def close(self) -> None:
        """Close all connections."""
        self._client.close()

    def _create(self, kind: str, part: dict[str, bytes], bodies: Mapping[str, bytes]) -> dict[str, Outcome]:
        """Create the documents of one request; those that are there already are read and compared."""
        outcomes: dict[str, Outcome] = {}
        refused: list[StoreError] = []
        while part:
            operations = [self._operation("create", kind, identity, source) for identity, source in part.items()]
            there: list[str] = []
            for identity, item in zip(part, self._write(kind, operations, list(part)), strict=True):
                if item.status == 409:
                    there.append(identity)
                    continue
                try:
                    self._check(kind, identity, item)
                    outcomes[identity] = "created"
                except Refused as error:
                    refused.append(error)
            found = self._read(kind, there)
            for identity in set(there) & set(found):
                same = encode(kind, identity, read_back(found[identity]["_source"])) == bodies[identity]
                outcomes[identity] = "same" if same else "different"
            part = {identity: part[identity] for identity in there if identity not in found}  # deleted meanwhile
        if refused:
            raise refused[0]
        return outcomes

    def _write(self, kind: str, operations: Sequence[bytes], ids: Sequence[str]) -> list[Item]:
        """Do the operations on documents of these ids, and remember what this object's next search must see."""
        names = {index_name(self._prefix, kind, identity) for identity in ids}
        try:
            return self._client.bulk(f"writing {kind}", operations)
        finally:
            with self._noting:
                self._written[kind] |= names

    def _check(self, kind: str, identity: str, item: Item) -> None:
        """Raise what an operation that failed means: Refused for the document's own fault, StoreError otherwise."""
        if item.status in (400, 413):
            raise Refused(f"{kind}/{identity}: Elasticsearch refuses it: {item.reason[:500]}")
        if item.status >= 300:
            raise self._client.refused(f"writing {kind}/{identity}", item.status, item.reason)

    def _operation(self, action: str, kind: str, identity: str, source: bytes = b"", **condition: int) -> bytes:
        """The lines of one operation of a bulk request."""
        name = index_name(self._prefix, kind, identity)
        head = msgspec.json.encode({action: {"_index": name, "_id": identity, **condition}})
        return head + b"\n" + source if source else head

    def _read(self, kind: str, ids: Sequence[str]) -> dict[str, Mapping[str, Any]]:
        """Those of the documents that are there, after all writes; ids never stand in a request's path."""
        wanted = [
            {"_index": index_name(self._prefix, kind, identity), "_id": identity, "_source": {"excludes": HIDDEN}}
            for identity in ids
            if identity and not unwritable(identity)
        ]
        if not wanted:
            return {}
        answer = self._client.ask(f"reading {kind}", lambda client: client.mget(docs=wanted), _unread)
        return {item["_id"]: item for item in answer["docs"] if item.get("found")}

    def _settled(self, kind: str, identity: str, token: str) -> int:
        """The version that a replacement has whose first answer was lost; raises StoreError when that is unclear."""
        found = self._read(kind, [identity]).get(identity)
        if found is not None and token_of(found["_source"]) == token:
            return _version(found)
        raise StoreError(f"{kind}/{identity}: the connection broke while it was written; read it again")

    def _pages(self, what: str, body: dict[str, Any], index: str = "") -> Iterator[list[dict[str, Any]]]:
        """The hits of a search in the order of ids, page after page."""
        while True:
            hits = self._client.search(what, body, index=index)["hits"]["hits"]
            yield hits
            if len(hits) < body["size"]:
                return
            body = body | {"search_after": hits[-1]["sort"][:1]}

    def _refresh(self, kind: str) -> None:
        """Make what this object wrote visible to its next search."""
        with self._refreshing[kind]:  # another thread's search waits too: it may have written before
            with self._noting:
                names, self._written[kind] = self._written[kind], set()
            if not names:
                return
            try:
                self._client.ask(
                    f"refreshing {kind}",
                    lambda client: client.indices.refresh(
                        index=sorted(names), ignore_unavailable=True, allow_no_indices=True
                    ),
                )
            except BaseException:
                with self._noting:
                    self._written[kind] |= names
                raise

    def _drop(self, what: str, name: str) -> int:
        """Remove a whole index; returns how many documents it had."""
        try:
            count = self._client.ask(what, lambda client: client.count(index=name, ignore_unavailable=True))["count"]
            self._client.ask(what, lambda client: client.indices.delete(index=name, ignore_unavailable=True))
        except StoreError as error:
            if isinstance(error.__cause__, NotFoundError):
                return 0
            raise
        return int(count)

    def _remove_before(self, kind: str, pattern: str, before: int) -> int:
        """Remove documents one by one by their time, except those that change meanwhile."""
        condition = matching(Query(kind=kind, scope=ALL, filters=(Filter(TIME, "lt", (format_time(before),)),)))
        body = _by_id(condition, BODY_DOCUMENTS) | {"_source": False}
        pages = self._pages(f"removing old {kind}", body, pattern)
        return sum(self._remove(kind, hits) for hits in pages)

    def _remove(self, kind: str, hits: Sequence[Mapping[str, Any]]) -> int:
        """Remove documents as they were found; returns how many went."""
        if not hits:
            return 0
        ids = [str(hit["_id"]) for hit in hits]
        operations = [
            self._operation(
                "delete", kind, str(hit["_id"]), if_seq_no=hit["_seq_no"], if_primary_term=hit["_primary_term"]
            )
            for hit in hits
        ]
        gone = 0
        for identity, item in zip(ids, self._write(kind, operations, ids), strict=True):
            if item.status not in (404, 409):
                self._check(kind, identity, item)
                gone += 1
        return gone


def _conflict(kind: str, identity: str) -> Conflict:
    return Conflict(f"{kind}/{identity}: changed since it was read; read it again")


def _by_id(condition: Mapping[str, Any], size: int) -> dict[str, Any]:
    """The body of a search for all that match, in the order of ids."""
    return _HITS | {"query": condition, "sort": [{ID: {"order": "asc"}}], "size": size}


def _packed(seq: int, term: int) -> int:
    return term << _TERM_BITS | seq


def _version(hit: Mapping[str, Any]) -> int:
    return _packed(hit["_seq_no"], hit["_primary_term"])


def _versioned(hit: Mapping[str, Any]) -> Versioned:
    return Versioned(str(hit["_id"]), _version(hit), read_back(hit["_source"]))


def _unread(answer: ObjectApiResponse[Any]) -> str:
    """Why documents could not be read, such as a shard that moves; an index that is not there has none."""
    for item in answer["docs"]:
        kind = item.get("error", {}).get("type", "")
        if kind not in ("", "index_not_found_exception"):
            return f"{kind}: {item['error'].get('reason')}"
    return ""
