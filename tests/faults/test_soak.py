"""Minutes under load: memory, descriptors and files of every role stop growing."""

from __future__ import annotations

import os
import random
import shutil
import statistics
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest
from installation import TOKEN, Installation

from almena.app.operate import ROLES
from almena.clock import format_time, now

SECONDS = int(os.environ.get("SOAK_SECONDS", "240"))
"""How long the soak lasts; the first third warms up and is not judged."""

RATE = 400
"""Events per second, half over HTTP and half from a tailed file."""

LARGEST_SLOPE = 256 * 1024
"""Bytes of memory per second that a role may gain once it is warm."""


def events(chance: random.Random, count: int) -> Iterator[dict[str, Any]]:
    """Sign-ins from ever new addresses by a changing crowd, now and then one that alerts."""
    for _ in range(count):
        serial = chance.randrange(1_000_000_000)
        event: dict[str, Any] = {
            "@timestamp": format_time(now()),
            "event.dataset": "app.identity",
            "event.action": "login",
            "event.outcome": chance.choice(["success", "success", "success", "failure"]),
            "service.name": "identidad",
            "source.ip": f"10.{serial % 200}.{serial // 200 % 250}.{serial // 50_000 % 250}",
            "user.name": f"persona{serial % 5_000}",
            "almena.actor.kind": "official",
        }
        if serial % 500 == 0:
            event |= {"event.action": "certificate_used", "almena.certificate.status": "revoked"}
        yield event


def lines(chance: random.Random, count: int) -> Iterator[str]:
    for _ in range(count):
        said = chance.choice(["Accepted password", "Accepted password", "Failed password"])
        user, ip = f"u{chance.randrange(3_000)}", f"198.51.{chance.randrange(250)}.{chance.randrange(250)}"
        begin = f"<38>1 {format_time(now())} srv{chance.randrange(20)} sshd {chance.randrange(60_000)} - -"
        yield f"{begin} {said} for {user} from {ip} port 50000 ssh2\n"


def memory(pid: int) -> int:
    """Bytes that are this process's own."""
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Private_Dirty:"):
            return int(line.split()[1]) * 1024
    return 0


def slope(samples: list[tuple[float, float]]) -> float:
    """Units per second, by Theil and Sen, which a few garbage collections do not move."""
    slopes = [
        (b - a) / (later - earlier)
        for index, (earlier, a) in enumerate(samples)
        for later, b in samples[index + 1 :]
        if later > earlier
    ]
    return statistics.median(slopes)


@pytest.mark.faults
@pytest.mark.timeout(SECONDS + 300)
def test_nothing_grows_without_bound(tmp_path: Path) -> None:
    place = Installation(tmp_path / "i", partitions=4, lateness="5s")
    chance = random.Random(1)
    samples: dict[str, list[tuple[float, float]]] = {}
    descriptors: dict[str, list[int]] = {role: [] for role in ROLES}
    largest_wal = 0
    sent = number = 0
    with place.running(), httpx.Client(timeout=30) as client:
        pids = {role: place.supervisor.pid(role) for role in ROLES}
        began = time.monotonic()
        while (age := time.monotonic() - began) < SECONDS:
            batch = list(events(chance, RATE // 2))
            answer = client.post(
                f"http://127.0.0.1:{place.http}/v1/events",
                content=b"\n".join(map(msgspec.json.encode, batch)),
                headers={
                    "Authorization": f"Bearer {TOKEN}",
                    "Content-Type": "application/x-ndjson",
                    "Idempotency-Key": f"k{number}",
                },
            )
            assert answer.status_code == 200, answer.text
            with place.log.open("a") as log:
                log.writelines(lines(chance, RATE // 2))
            sent += RATE // 2 * 2
            number += 1
            if number % 60 == 0:
                place.log.rename(place.log.with_suffix(f".{number}.log"))
            for role, pid in pids.items():
                samples.setdefault(role, []).append((age, memory(pid or 0)))
                descriptors[role].append(len(list(Path(f"/proc/{pid}/fd").iterdir())))
            wal = max(path.stat().st_size for path in place.folder.glob("*.sqlite-wal"))
            largest_wal = max(largest_wal, wal)
            time.sleep(max(0.0, number - (time.monotonic() - began)))
        found = place.settle(sent, end=False)
        assert {role: place.supervisor.pid(role) for role in ROLES} == pids
    assert place.clean, place.tail()
    report(place, samples, descriptors, largest_wal, sent)
    assert found["events"] + found["dead_letters"] + found["drops"] == sent
    assert largest_wal < 64 << 20
    for role in ROLES:
        warm = [sample for sample in samples[role] if sample[0] > SECONDS / 3]
        assert slope(warm) < LARGEST_SLOPE, role
        half = len(descriptors[role]) // 2
        assert max(descriptors[role][half:]) <= max(descriptors[role][:half]) + 4, role


def report(
    place: Installation,
    samples: dict[str, list[tuple[float, float]]],
    descriptors: dict[str, list[int]],
    largest_wal: int,
    sent: int,
) -> None:
    print(f"\n{sent} events in {SECONDS} s; largest -wal {largest_wal / 1e6:.1f} MB")
    for role, found in samples.items():
        warm = [sample for sample in found if sample[0] > SECONDS / 3]
        first, last = found[min(20, len(found) - 1)][1], found[-1][1]
        print(
            f"{role:10} {first / 1e6:7.1f} -> {last / 1e6:7.1f} MB, {slope(warm) / 1024:7.1f} KiB/s when warm, "
            f"descriptors {min(descriptors[role])} to {max(descriptors[role])}"
        )
    for path in sorted(place.folder.rglob("*")):
        if path.is_file() and path.stat().st_size > 100_000:
            print(f"{path.relative_to(place.folder)}: {path.stat().st_size / 1e6:.1f} MB")
    keep = os.environ.get("SOAK_KEEP")
    if keep:
        shutil.copytree(place.folder, keep, dirs_exist_ok=True)
