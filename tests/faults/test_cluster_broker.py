"""Kafka away: collectors keep what comes on their own disk, and nothing is lost that anybody could keep."""

from __future__ import annotations

import os
import signal
import socket
import sqlite3
import threading
import time
from base64 import b64encode
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from cluster import clustered
from installation import Installation, free_port
from load import BATCH, batch, expected_victims, summary, victims
from rough import Disturb, calm, play

from almena.clock import MINUTE, now
from deploy.dev.broker import Broker, Cluster

SEED = int(os.environ.get("FAULTS_SEED", "1"))


def spooled(place: Installation) -> int:
    """How many records wait on disk."""
    with closing(sqlite3.connect(f"file:{place.data}/spool.sqlite?mode=ro", uri=True, timeout=10)) as file:
        return int(file.execute("SELECT coalesce(sum(count), 0) FROM waiting").fetchone()[0])


def until(place: Installation, condition: Callable[[], bool], what: str, seconds: float = 60) -> float:
    """Wait; returns how long it took, in seconds."""
    began = time.monotonic()
    place.wait_for(condition, what, seconds)
    return time.monotonic() - began


def acknowledged(place: Installation, count: int) -> float:
    """Wait until so many batches more are acknowledged; returns how long it took, in seconds."""
    wanted = place.acknowledged + count
    return until(place, lambda: place.acknowledged >= wanted, f"{count} batches to be acknowledged", 60)


def outage(broker: Broker, seconds: float, how: str, kills: int = 0) -> Disturb:
    """Take the broker away under load for so long; collect is killed meanwhile, once it keeps records on disk."""

    def disturb(place: Installation, over: threading.Event) -> None:
        place.wait_for(lambda: place.acknowledged > 5, "the load")
        getattr(broker, how)()
        began = time.monotonic()
        waited = until(place, lambda: "records wait in" in place.log_of("collect"), "the spool to be used", 60)
        for _ in range(kills):
            acknowledged(place, 3)
            pid = place.supervisor.pid("collect")
            assert pid is not None
            os.kill(pid, signal.SIGKILL)
        acknowledged(place, 6)
        over.wait(max(0.0, began + seconds - time.monotonic()))
        count = place.acknowledged
        if how == "pause":
            broker.resume()
        else:
            broker.start()
        drained = until(place, lambda: "that waited in" in place.log_of("collect"), "the spool to be emptied", 60)
        print(f"{how}: spooled after {waited:.1f} s, {count} acknowledged, empty {drained:.1f} s after the end")

    return disturb


@pytest.mark.timeout(300)
def test_a_broker_that_dies_and_collect_that_is_killed_while_its_disk_holds_records(
    tmp_path: Path, own_broker: Broker, elasticsearch: str
) -> None:
    start, expected = calm(tmp_path, 40)
    with clustered(tmp_path / "rough", own_broker.address, elasticsearch) as place:
        rough = play(place, 40, start, outage(own_broker, 12, "kill", kills=1), pause=0.15, patience=60)
    print(f"slowest batch {rough.slowest:.1f} s")
    rough.agrees(expected)


@pytest.mark.faults
@pytest.mark.timeout(900)
@pytest.mark.parametrize("how", ["stop", "kill", "pause"])
def test_a_broker_away_for_a_minute(tmp_path: Path, own_broker: Broker, elasticsearch: str, how: str) -> None:
    start, expected = calm(tmp_path, 400)
    with clustered(tmp_path / "rough", own_broker.address, elasticsearch) as place:
        rough = play(place, 400, start, outage(own_broker, 60, how, kills=3), pause=0.2, patience=120, seed=SEED)
    print(f"slowest batch {rough.slowest:.1f} s")
    rough.agrees(expected)


SOCKET = """
[spool]
megabytes = 1
[collectors.red]
type = "syslog"
listen = "127.0.0.1:{port}"
agency = "cdo"
parser = "syslog"
"""


class Flood:
    """Datagrams that can hardly be compressed and alert nobody, until it is ended."""

    def __init__(self, port: int) -> None:
        self.sent = 0
        self._port = port
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def end(self) -> None:
        """Send no more."""
        self._over.set()
        self._thread.join()

    def _run(self) -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            while not self._over.wait(0.01):
                for _ in range(10):
                    said = (
                        f"<14>1 2026-11-23T00:00:00Z srv9 app {self.sent} - - {b64encode(os.urandom(6_000)).decode()}"
                    )
                    sock.sendto(said.encode(), ("127.0.0.1", self._port))
                    self.sent += 1


@pytest.mark.faults
@pytest.mark.timeout(900)
def test_a_spool_too_small_for_the_outage(tmp_path: Path, own_broker: Broker, elasticsearch: str) -> None:
    """Sockets drop, count and say so; HTTP is told to come back; the sum is exact."""
    port, start = free_port(), now() - 10 * MINUTE
    answers: Counter[int] = Counter()
    with (
        clustered(tmp_path, own_broker.address, elasticsearch, more=SOCKET.format(port=port)) as place,
        place.running(),
    ):
        for number in range(10):
            place.post(batch(number, start), f"b{number}")
        flood = Flood(port)
        try:
            own_broker.kill()
            began = time.monotonic()
            while time.monotonic() < began + 60 or "lost for good: kernel" not in place.log_of("collect"):
                assert time.monotonic() < began + 180, f"no drops announced: {place.tail()}"
                number = 10 + answers.total() % 10
                answer = place.try_to_post(batch(number, start), f"b{number}")
                answers[0 if answer is None else answer.status_code] += 1
                time.sleep(0.5)
        finally:
            flood.end()
        own_broker.start()
        back = time.monotonic()
        for number in range(10, 20):
            place.post(batch(number, start), f"b{number}", patience=120)
        print(f"answers {answers}; the first 200 of all after {time.monotonic() - back:.1f} s")
        sent = 20 * BATCH + flood.sent
        found = place.settle(sent, seconds=180)
        alerts = summary(place.alerts())
    print(f"{flood.sent} datagrams, {found['drops']} counted drops")
    assert place.clean, place.tail()
    assert set(answers) <= {0, 200, 429, 503}
    assert answers[503] > 5
    assert found["events"] + found["dead_letters"] + found["drops"] == sent
    assert 0 < found["drops"] < flood.sent
    assert set(alerts.values()) == {1}
    assert victims(alerts) == expected_victims(20)


@pytest.mark.faults
@pytest.mark.timeout(1200)
def test_leaders_that_change_again_and_again(tmp_path: Path, kafka_cluster: Cluster, elasticsearch: str) -> None:
    """Of three brokers each dies in turn, twice, and comes back."""

    def disturb(place: Installation, over: threading.Event) -> None:
        for number in (1, 2, 3, 1, 2, 3):
            time.sleep(5)
            broker = kafka_cluster.broker(number)
            broker.kill()
            took = acknowledged(place, 4)
            time.sleep(8)
            broker.start()
            whole = until(place, kafka_cluster.whole, "all copies to be up to date", 120)
            print(f"broker {number} died: acknowledged again after {took:.1f} s; whole {whole:.1f} s after its start")

    start, expected = calm(tmp_path, 400)
    with clustered(tmp_path / "rough", kafka_cluster.address, elasticsearch) as place:
        rough = play(place, 400, start, disturb, pause=0.25, patience=120, seed=SEED)
        said = place.log_of("collect")
    print(f"slowest batch {rough.slowest:.1f} s; spooled: {'records wait in' in said}")
    rough.agrees(expected)
