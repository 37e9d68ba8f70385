"""Elasticsearch with every fault it can have, under load: the desk waits, the console answers, nothing is missing."""

from __future__ import annotations

import os
import random
import threading
import time
from pathlib import Path

import httpx
import msgspec
import pytest
from cluster import clustered
from forwarding import Reply, Request
from installation import Installation
from proxies import (
    Fault,
    FaultyProxy,
    drop,
    hang,
    lose_answer,
    read_only,
    refuse_items,
    too_many,
    unavailable,
)
from rough import Disturb, calm, play

from deploy.dev.node import Node

SEED = int(os.environ.get("FAULTS_SEED", "1"))
BATCHES = 240

VICTIM = "victima103"
"""Whose alert is refused for what it holds."""


def refuse_what_holds(text: bytes) -> Fault:
    """A document with `text` is against the mapping, unless it is what the desk stores in its place."""

    def fault(request: Request, proxy: FaultyProxy) -> Reply | None:
        lines = request.body.splitlines()
        wrong = [
            next(iter(msgspec.json.decode(action).values()))["_id"]
            for action, source in zip(lines[::2], lines[1::2], strict=True)
            if text in source and b"almena.alert.refused" not in source
        ]
        return refuse_items(400, ids=wrong)(request, proxy) if wrong else proxy.forward(request)

    return fault


FAULTS: dict[str, tuple[Fault, str]] = {
    "requests refused, 429": (too_many, ""),
    "items refused, 429": (refuse_items(429), "_bulk"),
    "some items refused, 429": (refuse_items(429, count=1), "_bulk"),
    "items refused, 503": (refuse_items(503), "_bulk"),
    "unavailable, 503": (unavailable, ""),
    "hangs": (hang, ""),
    "answers cut off": (lose_answer, ""),
    "connections dropped": (drop, ""),
    "read-only": (read_only, ""),
    "items blocked, 403": (refuse_items(403), "_bulk"),
}
"""Faults by name, and which requests have them."""


def console_answers(place: Installation) -> None:
    """People see a page, whatever the store does."""
    began = time.monotonic()
    answer = httpx.get(f"http://127.0.0.1:{place.console}/", timeout=20, follow_redirects=True)
    assert answer.status_code in (200, 503), answer.text
    assert time.monotonic() - began < 10


def each_in_turn(proxy: FaultyProxy, seconds: float, names: list[str]) -> Disturb:
    """Let each fault last for some seconds, and see that it was felt and that the console answers."""

    def disturb(place: Installation, over: threading.Event) -> None:
        for name in names:
            fault, path = FAULTS[name]
            before = proxy.failed
            proxy.fail(fault, path=path)
            began = time.monotonic()
            console_answers(place)
            time.sleep(max(0.0, began + seconds - time.monotonic()))
            place.wait_for(lambda before=before: proxy.failed > before, f"{name}: nobody felt it")
            proxy.heal()
            proxy.fail(refuse_what_holds(f'{VICTIM}"'.encode()), path="_bulk")
            time.sleep(seconds / 4)

    return disturb


def go_through(folder: Path, kafka: str, elasticsearch: str, batches: int, seconds: float, seed: int) -> None:
    """All faults in an order chosen by chance; no role ends, and one alert says that it is not all of it."""
    start, expected = calm(folder, batches)
    names = random.Random(seed).sample(list(FAULTS), len(FAULTS))
    with (
        FaultyProxy(elasticsearch) as proxy,
        clustered(folder / "rough", kafka, proxy.url, remove=elasticsearch) as place,
    ):
        proxy.fail(refuse_what_holds(f'{VICTIM}"'.encode()), path="_bulk")
        rough = play(place, batches, start, each_in_turn(proxy, seconds, names), seed=seed, pause=0.1)
        assert set(place.restarts.values()) == {0}, place.restarts
        partial = [alert for alert in place.alerts() if "almena.alert.refused" in alert]
    rough.agrees(expected)
    assert [alert["almena.alert.entity"] for alert in partial] == [f"user.name={VICTIM}"]
    assert "failed to parse field" in partial[0]["almena.alert.refused"]
    assert set(partial[0]["almena.alert.words"]) == {"es", "en"}


@pytest.mark.timeout(300)
def test_every_fault_in_turn_loses_nothing_and_ends_no_role(tmp_path: Path, kafka: str, elasticsearch: str) -> None:
    go_through(tmp_path, kafka, elasticsearch, batches=40, seconds=1.0, seed=7)


@pytest.mark.faults
@pytest.mark.timeout(1200)
def test_every_fault_for_half_a_minute(tmp_path: Path, kafka: str, elasticsearch: str) -> None:
    go_through(tmp_path, kafka, elasticsearch, batches=1200, seconds=25.0, seed=SEED)


@pytest.mark.faults
@pytest.mark.timeout(1200)
def test_a_node_killed_again_and_again(tmp_path: Path, kafka: str, own_node: Node) -> None:
    chance = random.Random(SEED)

    def disturb(place: Installation, over: threading.Event) -> None:
        for _ in range(5):
            time.sleep(chance.uniform(2, 6))
            own_node.kill()
            time.sleep(chance.uniform(1, 8))
            console_answers(place)
            own_node.start()

    start, expected = calm(tmp_path, BATCHES)
    with clustered(tmp_path / "rough", kafka, own_node.address) as place:
        rough = play(place, BATCHES, start, disturb, seed=SEED, pause=0.25)
        assert set(place.restarts.values()) == {0}, place.restarts
    rough.agrees(expected)
