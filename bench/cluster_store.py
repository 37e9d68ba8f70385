"""Alerts into Elasticsearch: through the store beside the bare helper, and how long one is on its way there."""

from __future__ import annotations

import os
import secrets
import socket
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from itertools import cycle, islice
from pathlib import Path
from typing import Any

import msgspec

from almena.app import detectors_of, operators_of, store_of
from almena.app.demo import installation
from almena.bus import ALERTS as ALERTS_TOPIC
from almena.bus import EVENTS, HITS, Stored
from almena.clock import format_time, now
from almena.config import Config
from almena.correlate import Correlate
from almena.demo.settings import Cluster
from almena.desk.desk import Desk
from almena.desk.settings import DeskSettings
from almena.desk.suppressions import Suppressions
from almena.detect import Detect
from almena.event import encode
from almena.heap import settle
from almena.masking import Masker
from almena.paths import rules_dir
from almena.state import Partition
from almena.store import ALERTS, ALL, Document, Filter, Query
from almena.store.elasticsearch import ElasticsearchStore
from almena.store.elasticsearch_layout import laid_out
from almena.store.elasticsearch_mapping import index_name
from almena.store.match import encode as document_bytes
from almena.store.memory import MemoryStore
from bench import cluster_bare as bare
from bench.cluster_place import Place, took
from bench.cluster_report import VERSUS, Section, Table, Versus, quantile, say, span
from bench.flow import tended
from bench.latency import _traffic
from bench.stages import raws, steps
from collectors.intake import event_of
from collectors.parsers import PARSERS
from detectors.sigma.detector import SigmaDetector
from detectors.sigma.loader import load_rules

_DOCUMENTS = 5_000
_CHUNK = 500
_SAMPLES = 40
_SETTLING = 8.0
_BETWEEN = 0.15
_PATIENCE = 30.0


def alerts() -> list[Document]:
    """The alerts of the demo's past, as the desk stores them."""
    masker, rules = Masker(os.urandom(32)), load_rules([rules_dir()])
    models = detectors_of(Config())
    detect = Detect(
        0, Partition(), selectors=[SigmaDetector(rules), *models], hit_partitions=1, lateness={}, seal=lambda _: ""
    )
    correlate = Correlate(0, Partition(), operators=operators_of(models, rules), event_partitions=1)
    events = []
    for number, (source, raw) in enumerate(raws()):
        value = encode(event_of(source, raw, PARSERS[source.parser], masker.mask))
        headers = {"source": source.name, "lane": "l", "seq": str(number)}
        events.append(Stored(EVENTS, 0, number, raw.received, "", value, headers))
    hits = _stored(HITS, (output for part in steps(events) for output in detect.step(part).get(HITS, [])))
    made = _stored(ALERTS_TOPIC, (it for part in steps(hits) for it in correlate.step(part).get(ALERTS_TOPIC, [])))
    store = MemoryStore()
    Desk(store, DeskSettings(), Suppressions(Path(os.devnull), zone="UTC", needed=False), {}).alerts(made)
    return [found.document for found in store.scan(ALERTS)]


def _stored(topic: str, records: Iterator[Any]) -> list[Stored]:
    return [Stored(topic, 0, number, now(), it.key, it.value, it.headers) for number, it in enumerate(records)]


def copies(found: Sequence[Document], count: int) -> dict[str, Document]:
    """So many documents under new ids of one month."""
    named: dict[str, Document] = {}
    for document in islice(cycle(found), count):
        identity = f"202611-{secrets.token_hex(16)}"
        named[identity] = document | {"almena.alert.id": identity}
    return named


def bulk(place: Place, lines: Sequence[bytes], rounds: int, scale: float) -> Section:
    """Alerts created by the store, beside the bare helper on the same bodies, and on bodies that are not indexed."""
    found = alerts()
    count = max(int(_DOCUMENTS * scale), 2 * _CHUNK)
    size = sum(len(encode(each)) for each in found) / len(found) / 1000
    as_laid = Versus("beside the same bodies in an index of the same template", count)
    as_given = Versus("beside the documents as given, in an index that looks into none", count)
    prefix = place.name()
    with place.store(prefix) as store:
        store.create_many(ALERTS, copies(found, _CHUNK))
        settle()
        for number in range(rounds):
            as_laid.ours.append(took(partial(_create, store, copies(found, count))))
            documents = copies(found, count)
            bodies = {name: _laid(name, each) for name, each in documents.items()}
            # Every index of these names has the store's template; this month's is not the one that the store fills.
            index = index_name(prefix, ALERTS, f"2027{number + 1:02d}-")
            as_laid.theirs.append(took(partial(bare.bulk, place.elasticsearch, index, bodies, _CHUNK)))
            other = place.name()
            bare.unindexed(place.elasticsearch, other)
            as_given.theirs.append(took(partial(bare.bulk, place.elasticsearch, other, documents, _CHUNK)))
    as_given.ours = as_laid.ours
    header = [f"{len(found)} different alerts of {size:.1f} kB, {_CHUNK} at a time", *VERSUS]
    rows = [as_laid.row(), as_given.row()]
    say(*rows)
    return Section("Storing alerts", [Table(header, rows)], rounds)


def _create(store: ElasticsearchStore, documents: Mapping[str, Document]) -> None:
    items = iter(documents.items())
    while part := dict(islice(items, _CHUNK)):
        store.create_many(ALERTS, part)


def _laid(identity: str, document: Document) -> dict[str, Any]:
    found: dict[str, Any] = msgspec.json.decode(laid_out(identity, document_bytes(ALERTS, identity, document)))
    return found


def latency(place: Place, lines: Sequence[bytes], rounds: int, scale: float) -> Section:
    """From a line on a TCP socket until a search in Elasticsearch finds its alert, beside the demo's traffic."""
    cluster = Cluster(bus=f"kafka://{place.kafka}", store=place.elasticsearch, prefix=place.name(), workers=1)
    samples = max(int(_SAMPLES * scale), 3)
    searchable: list[list[float]] = []
    stored: list[list[float]] = []
    with (
        tempfile.TemporaryDirectory() as folder,
        installation(Path(folder), 0, once=False, cluster=cluster) as (config, targets, supervisor),
        tended(supervisor),
        socket.create_connection(targets.tcp) as link,
    ):
        store = store_of(config)
        assert isinstance(store, ElasticsearchStore)
        stop = _traffic(targets)
        time.sleep(_SETTLING)
        for turn in range(rounds):
            for kind, series, refresh in (("b", searchable, False), ("g", stored, True)):
                names = [f"medida{kind}{turn}x{number}" for number in range(samples)]
                series.append([_sample(link, store, name, refresh, cluster.prefix) for name in names])
        stop.set()
        store.close()
    rows = [_percentiles("until a search finds it", searchable)]
    rows.append(_percentiles("until it is stored (the index is refreshed at every look)", stored))
    say(*rows)
    header = ["one line over TCP, demo traffic beside it", "p50, ms", "p99, ms", "samples"]
    return Section("Latency of an alert", [Table(header, rows)], rounds)


def _percentiles(what: str, series: Sequence[Sequence[float]]) -> list[str]:
    cells = [span([quantile(each, share) * 1000 for each in series]) for share in (0.5, 0.99)]
    return [what, *cells, f"{sum(map(len, series)):,}"]


def _sample(link: socket.socket, store: ElasticsearchStore, name: str, refresh: bool, prefix: str) -> float:
    """Seconds until an alert about this host is found; `refresh` makes the index show what it holds."""
    query = Query(kind=ALERTS, scope=ALL, filters=(Filter("host.name", "in", (name,)),))
    said = f"Accepted password for root from 198.51.100.{secrets.randbelow(250) + 1} port 50000 ssh2"
    began = time.monotonic()
    link.sendall(f"<38>1 {format_time(now())} {name} sshd 100 - - {said}\n".encode())
    while True:
        if refresh:
            store._client.ask("refreshing", lambda client: client.indices.refresh(index=f"{prefix}-alerts-*"))
        if store.count(query):
            break
        if time.monotonic() - began > _PATIENCE:
            raise RuntimeError(f"no alert about {name} within {_PATIENCE:.0f} s")
        time.sleep(0.005)
    seconds = time.monotonic() - began
    time.sleep(_BETWEEN)
    return seconds
