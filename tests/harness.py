"""Runs a detector over a list of events as the roles do: any batches, any cuts, restored from its state anywhere."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from almena import metrics
from almena.alert import Alert
from almena.clock import FOREVER
from almena.correlate import drive, owner
from almena.ecs import check
from almena.event import Event
from almena.hit import Hit, decode_hit, encode_hit
from almena.state import Partition, State
from detectors.base import Detector, Operator


def select(detector: Detector, events: Sequence[Event], rng: random.Random | None = None) -> list[Hit]:
    """The hits of the events, cut into batches at random (one batch without `rng`), in (time, id) order."""
    hits: dict[tuple[int, str, str], Hit] = {}
    for batch in _cut(events, rng):
        for found in detector.select(batch):
            assert isinstance(found, Hit)
            data = encode_hit(found)
            assert len(data) <= 4_096, found
            hits[found.time, found.id, found.group] = decode_hit(data)
    return [hits[key] for key in sorted(hits)]


def driven(operator: Operator, hits: Sequence[Hit], watermark: int, state: State) -> list[Alert]:
    """What `drive` gives; it swallows and counts what an operator raises, here that fails the test."""
    failures = _failures(operator)
    alerts = [found for found in drive(operator, hits, watermark, state) if not isinstance(found, Hit)]
    assert _failures(operator) == failures, f"{operator.name} raised; the log says where"
    return alerts


def _failures(operator: Operator) -> float:
    # Looking it up in the registry would go through every metric of every rule that other tests loaded.
    return float(metrics.DETECTOR_ERRORS.labels(operator.name)._value.get())


def replay(
    make: Callable[[], Operator],
    hits: Sequence[Hit],
    *,
    rng: random.Random | None = None,
    until: int = FOREVER,
    partition: Partition | None = None,
) -> list[Alert]:
    """Every alert in the order it was raised; with `rng` in random steps with restores between some of them."""
    detector = make()
    partition = Partition() if partition is None else partition
    saved: dict[str, bytes] = {}
    alerts: list[Alert] = []
    for step in _cut([hit for hit in hits if hit.time <= until], rng):
        # More hits of the last moment may follow, so nothing is woken at that moment yet.
        alerts += driven(detector, step, step[-1].time - 1, partition.state(owner(detector)))
        _save(partition, saved)
        if rng is not None and rng.random() < 0.3:
            detector, partition = make(), Partition(dict(saved))
    alerts += driven(detector, (), until, partition.state(owner(detector)))
    return alerts


def run(
    make: Callable[[], Detector], events: Sequence[Event], *, rng: random.Random | None = None, until: int = FOREVER
) -> dict[str, Alert]:
    """The final revision of every alert, by id."""
    return final(replay(make, select(make(), events, rng), rng=rng, until=until))


def final(alerts: Iterable[Alert]) -> dict[str, Alert]:
    """Of every alert the revision that wins; two of the same rank must be equal, and all are documents as they are."""
    best: dict[str, Alert] = {}
    for alert in alerts:
        assert check(alert) == alert, alert.get("almena.misfit")
        assert "almena.misfit" not in alert, alert["almena.misfit"]
        known = best.setdefault(alert["almena.alert.id"], alert)
        if alert["almena.alert.revision"] > known["almena.alert.revision"]:
            best[alert["almena.alert.id"]] = alert
        elif alert["almena.alert.revision"] == known["almena.alert.revision"]:
            assert alert == known
    return best


def _save(partition: Partition, saved: dict[str, bytes]) -> None:
    for key, value in partition.changes().items():
        if value is None:
            saved.pop(key, None)
        else:
            saved[key] = value


def _cut(items: Sequence[Any], rng: random.Random | None) -> list[Sequence[Any]]:
    """The items in pieces of random length, or each alone where there is no `rng`."""
    if rng is None:
        return [[item] for item in items]
    pieces = []
    start = 0
    while start < len(items):
        stop = start + rng.choice((1, 1, 2, 5, 20, 100))
        pieces.append(items[start:stop])
        start = stop
    return pieces
