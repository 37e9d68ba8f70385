"""A store whose Elasticsearch node is killed and paused while threads write: all of it is there, each once."""

from __future__ import annotations

import threading
from collections import Counter

import pytest

from almena.clock import format_time
from almena.errors import Conflict, StoreError
from almena.store import ALERTS, ALL, SESSIONS, Query, Store
from almena.store.elasticsearch import ElasticsearchStore
from almena.store.settings import ElasticsearchSettings
from deploy.dev.node import Node

WRITERS, COUNTERS = 3, 4


def insist(store: Store, documents: dict[str, dict[str, object]]) -> None:
    """Create until the store takes it, as the desk does."""
    while True:
        try:
            assert "different" not in store.create_many(ALERTS, documents).values()
        except StoreError:
            continue
        return


@pytest.mark.faults
def test_kills_and_pauses_under_load(own_node: Node) -> None:
    settings = ElasticsearchSettings(prefix="faults", replicas=0)
    store = ElasticsearchStore(own_node.address, settings, request=2, patience=4)
    store.create_many(SESSIONS, {f"c{number}": {"count": 0} for number in range(COUNTERS)})
    over = threading.Event()
    written: list[str] = []
    added, unclear = Counter[int](), Counter[int]()

    def write(writer: int) -> None:
        batch = 0
        while not over.is_set():
            names = [f"202611-{writer}-{batch}-{number}" for number in range(50)]
            insist(store, {name: {"@timestamp": format_time(0), "x": name} for name in names})
            written.extend(names)
            batch += 1

    def count(number: int) -> None:
        while not over.is_set():
            try:
                found = store.get(SESSIONS, f"c{number}", scope=ALL)
                assert found is not None
                store.replace(SESSIONS, found.id, {"count": found.document["count"] + 1}, found.version)
            except Conflict as error:
                raise AssertionError("nobody else writes it") from error
            except StoreError:
                unclear[number] += 1  # done or not: whoever adds reads it again
            else:
                added[number] += 1

    threads = [threading.Thread(target=write, args=(number,)) for number in range(WRITERS)]
    threads += [threading.Thread(target=count, args=(number,)) for number in range(COUNTERS)]
    for thread in threads:
        thread.start()
    for fault in ("kill", "pause", "kill"):
        over.wait(3)
        if fault == "kill":
            own_node.kill()
            over.wait(2)
            own_node.start()
        else:
            own_node.pause()
            over.wait(5)
            own_node.resume()
    over.wait(3)
    over.set()
    for thread in threads:
        thread.join(60)
        assert not thread.is_alive()
    assert len(written) > 1_000
    found = [item.id for item in store.scan(ALERTS)]
    assert len(found) == len(set(found))
    assert set(written) <= set(found)
    assert store.count(Query(kind=ALERTS, scope=ALL)) == len(found)
    for number in range(COUNTERS):
        counter = store.get(SESSIONS, f"c{number}", scope=ALL)
        assert counter is not None
        assert added[number] <= counter.document["count"] <= added[number] + unclear[number]
        assert added[number] > 10
    store.close()
