"""The index template of a store in Elasticsearch: put once, newer with the schema, never back."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from functools import partial
from typing import Any

from elastic_transport import ObjectApiResponse
from elasticsearch import ApiError, Elasticsearch, NotFoundError

from almena.errors import StoreError
from almena.store import KINDS
from almena.store.elasticsearch_client import Client
from almena.store.elasticsearch_mapping import index_pattern, is_ours, mappings, meta, version
from almena.store.settings import ElasticsearchSettings

log = logging.getLogger("almena.store")

FIELD_LIMIT = {"mapping": {"total_fields": {"limit": 10_000}}}
"""How many fields an index may have: more than the schema has, twice."""


def put_template(client: Client, settings: ElasticsearchSettings) -> None:
    """Put the template where it is missing or older; without the right to, one that is there serves."""
    name = f"{settings.prefix}-store"
    what = f"putting the index template {name}"
    found = _found(client, name, what)
    if found is not None and (found[0] > version() or found == (version(), meta(settings))):
        return
    try:
        client.ask(what, lambda line: line.indices.put_index_template(name=name, **template(settings)))
        if found is not None and found[0] != version():
            _extend(client, settings.prefix, what)
    except StoreError as error:
        if found is None or not isinstance(error.__cause__, ApiError) or error.__cause__.meta.status != 403:
            raise
        log.warning("%s; the template that is there (version %d) stays", error, found[0])


def template(settings: ElasticsearchSettings) -> dict[str, Any]:
    """The body of the composable index template of all kinds."""
    return {
        "index_patterns": [index_pattern(settings.prefix, kind) for kind in KINDS],
        "priority": 300,
        "version": version(),
        "_meta": meta(settings),
        "template": {
            "settings": {
                "number_of_shards": settings.shards,
                "number_of_replicas": settings.replicas,
                "refresh_interval": "1s",
                "max_result_window": 10_001,  # a page, and whether another one follows
                **FIELD_LIMIT,
            },
            "mappings": mappings(),
        },
    }


def _found(client: Client, name: str, what: str) -> tuple[int, Mapping[str, Any]] | None:
    """Version and settings of the template that is there."""
    try:
        answer = client.ask(what, lambda line: line.indices.get_index_template(name=name))
    except StoreError as error:
        if isinstance(error.__cause__, NotFoundError):
            return None
        raise
    there = answer["index_templates"][0]["index_template"]
    return int(there.get("version", 0)), there.get("_meta", {})


def _extend(client: Client, prefix: str, what: str) -> None:
    """Let the indices that are there index what the schema has gained; one that cannot serves as it is."""
    there = client.ask(what, lambda line: line.indices.resolve_index(name=f"{prefix}-*"))
    for name in [index["name"] for index in there["indices"] if is_ours(prefix, index["name"])]:
        try:
            client.ask(f"extending {name}", partial(_extended, name))
        except StoreError as error:
            log.warning("%s; fields that are new are not found in this index", error)


def _extended(name: str, line: Elasticsearch) -> ObjectApiResponse[Any]:
    line.indices.put_settings(index=name, settings={"index": FIELD_LIMIT})
    return line.indices.put_mapping(index=name, **mappings())
