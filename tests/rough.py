"""A run of a whole installation under load while somebody disturbs it: what must come of it whatever happens."""

from __future__ import annotations

import os
import random
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from installation import Installation
from load import BATCH, attack_lines, batch, expected_victims, summary, victims

from almena.clock import MINUTE, now

Disturb = Callable[[Installation, threading.Event], None]
"""Makes trouble until it has done enough, or the event says that the load is over."""


@dataclass(frozen=True)
class Outcome:
    """What came of a run."""

    alerts: Counter[tuple[Any, ...]]
    status: dict[str, Any]
    sent: int
    batches: int
    slowest: float = 0.0
    """Seconds until the batch that waited longest was acknowledged."""

    def check(self) -> None:
        """Nothing was lost and nothing came twice: sent = stored + dead + counted drops."""
        found = self.status
        assert found["events"] + found["dead_letters"] + found["drops"] == self.sent
        assert found["dead_letters"] == self.batches * BATCH // 100
        assert found["drops"] == 0
        assert set(self.alerts.values()) == {1}
        assert victims(self.alerts) == expected_victims(self.batches)

    def agrees(self, other: Outcome) -> None:
        """Both are whole, and of the same load came the same."""
        self.check()
        other.check()
        assert self.sent == other.sent
        differences = sorted((self.alerts - other.alerts) | (other.alerts - self.alerts))
        assert not differences


_calm: dict[int, tuple[int, Outcome]] = {}


def calm(folder: Path, batches: int) -> tuple[int, Outcome]:
    """When the load of so many batches starts and what comes of it undisturbed, on one machine with SQLite.

    Remembered while the load is not too old to be sent again.
    """
    start, outcome = _calm.get(batches, (0, None))
    if outcome is None or now() - start > 30 * MINUTE:
        start = now() - 10 * MINUTE
        outcome = play(Installation(folder / f"calm-{batches}"), batches, start)
        _calm[batches] = start, outcome
    return start, outcome


def play(
    place: Installation,
    batches: int,
    start: int,
    disturb: Disturb | None = None,
    *,
    seed: int = 1,
    pause: float = 0.05,
    patience: float = 60,
    beside: AbstractContextManager[object] | None = None,
) -> Outcome:
    """Send `batches` while `disturb` works, wait until all is worked off, and return what is stored.

    `pause` is between two batches, `patience` how long one may take to be acknowledged, both in seconds. `beside` runs
    while the installation does.
    """
    slowest = 0.0
    chance = random.Random(seed)
    over = threading.Event()
    failures: list[BaseException] = []

    def trouble() -> None:
        try:
            if disturb is not None:
                disturb(place, over)
        except BaseException as error:
            failures.append(error)

    with place.running(), beside or nullcontext():
        thread = threading.Thread(target=trouble)
        thread.start()
        lines = 0
        for number in range(batches):
            events = batch(number, start)
            began = time.monotonic()
            place.post(events, f"b{number}", patience=patience)
            slowest = max(slowest, time.monotonic() - began)
            if chance.random() < 0.2:  # the 200 was lost: a client cannot know, and sends again
                place.post(events, f"b{number}", patience=patience)
            if number % 10 == 0:
                with place.log.open("a") as file:
                    for line in attack_lines(number // 10, start):
                        file.write(line + "\n")
                        lines += 1
            if number % 40 == 39:
                place.log.rename(place.log.with_suffix(f".{number}.log"))
            if disturb is not None:
                time.sleep(pause)
        over.set()
        thread.join()
        sent = batches * BATCH + lines
        found = place.settle(sent, seconds=180)
        alerts = place.alerts()
    assert not failures, failures
    assert place.clean, place.tail()
    assert len({alert["almena.alert.id"] for alert in alerts}) == len(alerts)
    return Outcome(summary(alerts), found, sent, batches, slowest)


def killer(kills: int, seed: int, number: signal.Signals = signal.SIGKILL) -> Disturb:
    """Send so many signals to units of the installation, each chosen by chance, at moments chosen by chance."""
    chance = random.Random(seed)

    def disturb(place: Installation, over: threading.Event) -> None:
        done = 0
        while done < kills:
            time.sleep(chance.uniform(0.05, 1.0))
            pid = place.supervisor.pid(chance.choice(place.supervisor.roles))
            if pid is not None:
                os.kill(pid, number)
                done += 1
                if number == signal.SIGSTOP:
                    time.sleep(chance.uniform(0.5, 3.0))
                    os.kill(pid, signal.SIGCONT)

    return disturb
