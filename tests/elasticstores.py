"""Stores of a test's own in a real Elasticsearch, removed afterwards."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any

from elasticsearch import Elasticsearch

from almena.store import KINDS, Store
from almena.store.elasticsearch import ElasticsearchStore
from almena.store.settings import ElasticsearchSettings


@contextmanager
def fresh(url: str, *, request: float = 15, patience: float = 20, **settings: Any) -> Iterator[ElasticsearchStore]:
    """A store under a prefix that nobody has; its indices and its template go when the block ends."""
    with prefixed(url) as prefix:
        named = ElasticsearchSettings(**{"prefix": prefix, "replicas": 0, **settings})
        with closing(ElasticsearchStore(url, named, request=request, patience=patience)) as store:
            yield store


@contextmanager
def prefixed(url: str) -> Iterator[str]:
    """A prefix that nobody has; all that has come under it goes when the block ends."""
    prefix = f"test-{secrets.token_hex(6)}"
    try:
        yield prefix
    finally:
        remove(url, prefix)


def remove(url: str, prefix: str) -> None:
    """Remove every index and the template of a prefix."""
    with Elasticsearch(url) as client:
        names = [index["name"] for index in client.indices.resolve_index(name=f"{prefix}-*")["indices"]]
        if names:
            client.indices.delete(index=names)
        client.options(ignore_status=404).indices.delete_index_template(name=f"{prefix}-store")


def empty(store: Store, *kinds: str) -> None:
    """Remove every document of these kinds, of all when none is given."""
    for kind in kinds or KINDS:
        ids = [item.id for item in store.scan(kind)]
        if isinstance(store, ElasticsearchStore):
            store._write(kind, [store._operation("delete", kind, identity) for identity in ids], ids)
            continue
        for identity in ids:
            store.delete(kind, identity)
