"""Whether a store on Elasticsearch will work: nodes, indices, rights, room, and their clocks."""

from __future__ import annotations

import secrets
import ssl
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass
from typing import Any, TypeAlias
from urllib.parse import urlsplit

from elasticsearch import ApiError, NotFoundError

from almena.app.checking import CLOCK_LIMIT, Finding, Findings, care, good, wrong
from almena.app.checking_tls import check_certificate
from almena.clock import SECOND, format_time, now
from almena.config import Config
from almena.errors import AlmenaError, StoreError
from almena.store.elasticsearch import ElasticsearchStore
from almena.store.elasticsearch_client import Client
from almena.store.elasticsearch_mapping import meta, version

PART = "store"

_REQUEST, _PATIENCE = 10.0, 3.0
_LITTLE, _FULL = 0.15, 0.05


@dataclass
class Asked:
    """One cluster."""

    config: Config
    client: Client

    @property
    def prefix(self) -> str:
        """What names of indices and templates begin with."""
        return self.config.elasticsearch.prefix


Check: TypeAlias = Callable[[Asked], Findings]


def check_elasticsearch(config: Config, *, create: bool) -> Findings:
    """All that is looked at; what cannot be asked is a finding, and the rest is asked all the same."""
    settings = config.elasticsearch
    try:
        if config.store.startswith("https:"):
            yield from _certificates(config)
        if create:
            with closing(ElasticsearchStore(config.store, settings, request=_REQUEST, patience=_PATIENCE)):
                yield good(PART, "template_made")
        client = Client(config.store, settings, request=_REQUEST, patience=_PATIENCE)
    except AlmenaError as error:
        yield wrong(PART, "store_away", error=error)
        return
    with closing(client):
        asked = Asked(config, client)
        for check in CHECKS:
            yield from _guarded(check, asked)


def _certificates(config: Config) -> Findings:
    settings = config.elasticsearch
    context = ssl.create_default_context(cafile=settings.ca or None)
    if settings.fingerprint:  # what is pinned is checked by the client; here only the date is wanted
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    for host in config.store.partition("://")[2].split(","):
        address = urlsplit(f"https://{host}")
        yield from check_certificate(PART, str(address.hostname), address.port or 9200, context)


def _guarded(check: Check, asked: Asked) -> Findings:
    try:
        yield from check(asked)
    except StoreError as error:
        refused = isinstance(error.__cause__, ApiError) and error.__cause__.meta.status == 403
        what = (check.__doc__ or "").rstrip(".")
        yield (care if refused else wrong)(PART, "store_closed" if refused else "store_refused", what=what, error=error)


def check_version(asked: Asked) -> Findings:
    """Which version the nodes run."""
    nodes = asked.client.ask("nodes", lambda client: client.nodes.info(metric="http"))["nodes"]
    versions = sorted({str(node["version"]) for node in nodes.values()})
    yield good(PART, "store_version", versions=", ".join(versions), count=len(nodes))


def check_health(asked: Asked) -> Findings:
    """How the cluster feels."""
    found = asked.client.ask("health", lambda client: client.cluster.health())
    color, missing = str(found["status"]), found["unassigned_shards"]
    if color == "red":
        yield wrong(PART, "health_red", missing=missing)
    elif color == "yellow":
        yield care(PART, "health_yellow", missing=missing)
    else:
        yield good(PART, "health")
    replicas, nodes = asked.config.elasticsearch.replicas, int(found["number_of_data_nodes"])
    if replicas >= nodes:
        yield care(PART, "replicas_many", replicas=replicas, nodes=nodes)
    elif replicas == 0 and nodes > 1:
        yield care(PART, "replicas_none", nodes=nodes)


def _cluster_settings(asked: Asked) -> dict[str, str]:
    found = asked.client.ask(
        "settings", lambda client: client.cluster.get_settings(include_defaults=True, flat_settings=True)
    )
    return {**found["defaults"], **found["persistent"], **found["transient"]}


def check_blocks(asked: Asked) -> Findings:
    """Whether anything may be written."""
    settings = _cluster_settings(asked)
    for name in ("cluster.blocks.read_only", "cluster.blocks.read_only_allow_delete"):
        if str(settings.get(name)).lower() == "true":
            yield wrong(PART, "cluster_blocked", setting=name)
    found = asked.client.ask(
        "settings",
        lambda client: client.indices.get_settings(
            index=f"{asked.prefix}-*", name="index.blocks.*", flat_settings=True, expand_wildcards="open"
        ),
    )
    blocked = {
        name: [key for key, value in index["settings"].items() if str(value) == "true"]
        for name, index in found.body.items()
    }
    for name, keys in blocked.items():
        if keys:
            yield wrong(PART, "index_blocked", index=name, setting=", ".join(keys))


def check_disks(asked: Asked) -> Findings:
    """How much room the nodes have."""
    found = asked.client.ask("disks", lambda client: client.nodes.stats(metric="fs"))["nodes"]
    worst: Finding | None = None
    for node in found.values():
        total = node["fs"]["total"]
        share = total["available_in_bytes"] / max(total["total_in_bytes"], 1)
        told = {"node": node["name"], "share": f"{share:.0%}", "free": f"{total['available_in_bytes'] / (1 << 30):.1f}"}
        if share < _LITTLE:
            worst = (wrong if share < _FULL else care)(PART, "node_disk", **told)
            yield worst
    if worst is None:
        yield good(PART, "node_disks")


def check_shards(asked: Asked) -> Findings:
    """How many shards the cluster still takes."""
    limit = int(_cluster_settings(asked).get("cluster.max_shards_per_node") or 1_000)
    found = asked.client.ask("health", lambda client: client.cluster.health())
    most = limit * max(1, int(found["number_of_data_nodes"]))
    used = int(found["active_shards"]) + int(found["unassigned_shards"])
    if used > 0.9 * most:
        yield (wrong if used >= most else care)(PART, "shards", used=used, most=most)


def check_template(asked: Asked) -> Findings:
    """Whether new indices will know the schema."""
    name = f"{asked.prefix}-store"
    try:
        answer = asked.client.ask("template", lambda client: client.indices.get_index_template(name=name))
    except StoreError as error:
        if not isinstance(error.__cause__, NotFoundError):
            raise
        yield wrong(PART, "template_missing", name=name)
        return
    there: Mapping[str, Any] = answer["index_templates"][0]["index_template"]
    has = int(there.get("version", 0))
    if has < version():
        yield wrong(PART, "template_old", name=name, has=has, wanted=version())
    elif has > version():
        yield care(PART, "template_new", name=name, has=has, wanted=version())
    elif there.get("_meta", {}) != meta(asked.config.elasticsearch):
        yield care(PART, "template_other", name=name)
    else:
        yield good(PART, "template", name=name)


def check_rights(asked: Asked) -> Findings:
    """Whether documents may be made, read, changed and removed."""
    name, identity = f"{asked.prefix}-check", secrets.token_hex(8)
    document = {"@timestamp": format_time(now())}
    steps: tuple[tuple[str, Callable[[Any], object]], ...] = (
        ("create", lambda client: client.create(index=name, id=identity, document=document)),
        ("read", lambda client: client.mget(docs=[{"_index": name, "_id": identity}])),
        ("write", lambda client: client.index(index=name, id=identity, document=document)),
        ("refresh", lambda client: client.indices.refresh(index=name)),
        ("search", lambda client: client.search(index=name, query={"match_all": {}}, size=1)),
        ("delete", lambda client: client.delete(index=name, id=identity)),
        ("delete_index", lambda client: client.indices.delete(index=name)),
    )
    refused: list[tuple[str, StoreError]] = []
    for step, action in steps:
        try:
            asked.client.ask(f"trying to {step}", action)
        except StoreError as error:
            refused.append((step, error))
            if step == "create":
                break
    for step, reason in refused:
        yield (care if step == "delete_index" else wrong)(PART, "store_right", step=step, index=name, error=reason)
    if not refused:
        yield good(PART, "store_rights")


def check_clock(asked: Asked) -> Findings:
    """Whether the nodes' clocks agree with this one."""
    before = now()
    found = asked.client.ask("clocks", lambda client: client.nodes.stats(metric="process"))["nodes"]
    after = now()
    worst, who = 0.0, ""
    for node in found.values():
        moment = int(node["timestamp"]) * 1000
        skew = max(before - moment - 1_000_000, moment - after, 0) / SECOND  # its answer may be a second old
        if skew > worst:
            worst, who = skew, str(node["name"])
    if worst > CLOCK_LIMIT:
        yield wrong(PART, "clock", who=who, seconds=f"{worst:.1f}", limit=f"{CLOCK_LIMIT:.0f}")
    else:
        yield good(PART, "clock_good")


CHECKS: tuple[Check, ...] = (
    check_version,
    check_health,
    check_blocks,
    check_disks,
    check_shards,
    check_template,
    check_rights,
    check_clock,
)
"""What is asked of a cluster."""
