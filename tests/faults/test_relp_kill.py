"""rsyslog hands over by RELP while the collector is killed again and again: what it sent is on the bus in the end."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import time
from collections import Counter
from contextlib import closing
from pathlib import Path

import pytest
from installation import Installation, free_port
from rsyslogs import needed, rsyslog
from sinks import events

from almena.app import bus_of

RELP = """
[collectors.centro]
type = "relp"
listen = "127.0.0.1:{port}"
agency = "cdo"
"""


@pytest.mark.parametrize("kills", [1, pytest.param(12, marks=pytest.mark.faults)])
@pytest.mark.timeout(300)
def test_kills_lose_nothing_that_rsyslog_sent(kills: int, tmp_path: Path) -> None:
    needed("omrelp", "imfile")
    port = free_port()
    place = Installation(tmp_path / "place", more=RELP.format(port=port), roles=["collect", "console"])
    chance = random.Random(kills)
    action = f'type="omrelp" target="127.0.0.1" port="{port}" template="RSYSLOG_SyslogProtocol23Format"'
    lines = [f"texto {number}" for number in range(5_000 * kills + 100)]

    async def run() -> None:
        async with rsyslog(tmp_path / "rsyslog", action, modules=["omrelp"]) as sender:
            for number in range(kills):
                sender.write(lines[number * 5_000 : (number + 1) * 5_000])
                await asyncio.sleep(chance.uniform(0.3, 1.0))
                while (pid := place.supervisor.pid("collect")) is None:  # it waits longer after each death
                    await asyncio.sleep(0.1)
                os.kill(pid, signal.SIGKILL)
            sender.write(lines[5_000 * kills :])
            with closing(bus_of(place.config)) as bus:
                deadline = time.monotonic() + 60
                while missing := set(lines) - {str(event.get("message")) for event in events(bus)}:
                    told = f"{len(missing)} missing, such as {min(missing)}\n{place.tail()}\n{sender.said()}"
                    assert time.monotonic() < deadline, told
                    await asyncio.sleep(0.5)

    with place.running():
        asyncio.run(run())
        with closing(bus_of(place.config)) as bus:
            found = Counter(str(event.get("message")) for event in events(bus))
    assert place.restarts["collect"] >= kills
    assert set(found) == set(lines)
    assert sum(found.values()) < len(lines) + 600 * kills, "only what was not acknowledged comes again"
