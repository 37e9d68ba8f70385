"""Counts in Elasticsearch that are exact, however many indices and shards they come from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from almena.clock import format_time
from almena.errors import StoreError
from almena.store import Cardinality, Histogram, Query, Terms
from almena.store.elasticsearch_client import Client
from almena.store.elasticsearch_mapping import MICROS, Place, decode, place
from almena.store.elasticsearch_query import matching
from almena.store.match import TIME, Value, buckets, key_text

AT_ONCE = 20_000
"""Different values in one answer; Elasticsearch gives 65,536 buckets at most."""

MOST_DIFFERENT = 1_000_000
"""Different values that are counted exactly; a search that finds more is refused."""


class Counts:
    """Counts over all documents of one query."""

    def __init__(self, client: Client, pattern: str, query: Query) -> None:
        """`pattern` names the indices of the query's kind."""
        self._client = client
        self._pattern = pattern
        self._kind = query.kind
        self._matching = matching(query)

    def by(self, by: Terms | Histogram | Cardinality) -> Sequence[tuple[str, int]]:
        """Terms by count then value, histograms by time, or how many different values there are."""
        where = place(by.field)
        if isinstance(by, Terms):
            return [(key_text(decode(where, term)), count) for term, count in self._frequent(where, by.limit)]
        if isinstance(by, Cardinality):
            return [(by.field, len(self._all(where)))]
        if by.field == TIME and by.interval > 0:
            return list(self._intervals(by.interval))
        counts: dict[Value, int] = {decode(where, term): count for term, count in self._all(where)}
        return buckets({value: count for value, count in counts.items() if isinstance(value, str)}, by)

    def _frequent(self, where: Place, limit: int) -> list[tuple[str, int]]:
        """The most frequent terms; where shards could have left one out, of all terms."""
        if limit <= 0:
            return []
        if limit <= AT_ONCE:
            found = self._terms(where, {"size": limit, "shard_size": max(limit + 10, 2 * limit, 1_000)})
            if found["doc_count_error_upper_bound"] == 0:
                return _pairs(found)
        return sorted(self._all(where), key=lambda pair: (-pair[1], pair[0]))[:limit]

    def _all(self, where: Place) -> list[tuple[str, int]]:
        """Every term with its count, in as few parts as each come whole."""
        parts = 1
        while parts * AT_ONCE <= 16 * MOST_DIFFERENT:
            found: list[tuple[str, int]] = []
            for number in range(parts):
                part = self._part(where, number, parts)
                if part is None or len(found) + len(part) > MOST_DIFFERENT:
                    break
                found += part
            else:
                return found
            parts *= 8
        raise StoreError(f"{self._kind}: more than {MOST_DIFFERENT} different values; narrow the search")

    def _part(self, where: Place, number: int, parts: int) -> list[tuple[str, int]] | None:
        """One part of all terms; None when it is too large to come whole."""
        options: dict[str, Any] = {"size": AT_ONCE, "shard_size": AT_ONCE}
        if parts > 1:
            options["include"] = {"partition": number, "num_partitions": parts}
        found = self._terms(where, options)
        whole = found["sum_other_doc_count"] == 0 and found["doc_count_error_upper_bound"] == 0
        return _pairs(found) if whole else None

    def _terms(self, where: Place, options: Mapping[str, Any]) -> Mapping[str, Any]:
        return self._ask({"terms": {"field": where.path, **options}})

    def _intervals(self, interval: int) -> Iterator[tuple[str, int]]:
        """Counts per interval of the document's own time; its microseconds stand where milliseconds are expected."""
        source = {"date_histogram": {"field": MICROS, "fixed_interval": f"{interval}ms"}}
        after: Mapping[str, Any] | None = None
        while True:
            page: dict[str, Any] = {"size": 10_000, "sources": [{"start": source}]}
            found = self._ask({"composite": page | ({"after": after} if after else {})})
            for bucket in found["buckets"]:
                yield format_time(bucket["key"]["start"]), bucket["doc_count"]
            after = found.get("after_key")
            if after is None or len(found["buckets"]) < 10_000:
                return

    def _ask(self, aggregation: Mapping[str, Any]) -> Mapping[str, Any]:
        body = {"query": self._matching, "size": 0, "aggs": {"found": aggregation}}
        answer = self._client.search(f"counting {self._kind}", body, index=self._pattern)
        empty = {"buckets": [], "doc_count_error_upper_bound": 0, "sum_other_doc_count": 0}
        found: Mapping[str, Any] = answer.get("aggregations", {}).get("found", empty)
        return found


def _pairs(found: Mapping[str, Any]) -> list[tuple[str, int]]:
    return [(bucket["key"], bucket["doc_count"]) for bucket in found["buckets"]]
