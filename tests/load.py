"""What fault tests send to an installation, and what must come of it whatever happens meanwhile."""

from __future__ import annotations

from collections import Counter
from typing import Any

from almena.clock import SECOND, format_time

BATCH = 20
"""Events in one batch."""

EVERY_ATTACK = 25
"""One event of so many must alert."""


def expected_victims(batches: int) -> int:
    """How many events of so many batches must alert."""
    return sum(1 for serial in range(batches * BATCH) if serial % EVERY_ATTACK == 3)


def batch(number: int, start: int) -> list[dict[str, Any]]:
    """Sign-ins of officials; now and then an expired e.firma that must alert, and a malformed event."""
    events: list[dict[str, Any]] = []
    for index in range(BATCH):
        serial = number * BATCH + index
        event: dict[str, Any] = {
            "@timestamp": format_time(start + serial * SECOND // 50),
            "event.dataset": "app.identity",
            "event.action": "login",
            "event.outcome": "success",
            "service.name": "identidad",
            "source.ip": f"10.1.{serial % 4}.{serial % 250}",
            "user.name": f"persona{serial % 40}",
            "almena.actor.kind": "official",
        }
        if serial % EVERY_ATTACK == 3:
            event |= {
                "event.action": "certificate_used",
                "user.name": f"victima{serial}",
                "almena.certificate.status": "revoked",
                "almena.certificate.serial": f"{serial:020d}",
            }
        if serial % 100 == 50:
            del event["event.dataset"]
        events.append(event)
    return events


def attack_lines(number: int, start: int) -> list[str]:
    """A brute force that succeeds, as sshd writes it: a window over many events in a tailed file."""
    user, ip = f"objetivo{number}", f"203.0.113.{number % 250 + 1}"
    lines = []
    for index in range(12):
        moment = format_time(start + (number * 10 + index) * SECOND // 4)
        said = "Failed password" if index < 11 else "Accepted password"
        lines.append(f"<38>1 {moment} srv1 sshd {number * 100 + index} - - {said} for {user} from {ip} port 50000 ssh2")
    return lines


def summary(alerts: list[dict[str, Any]]) -> Counter[tuple[Any, ...]]:
    """What two runs must agree on; ids hold file generations, which differ."""
    return Counter(
        (alert["rule.id"], alert["almena.alert.entity"], alert["@timestamp"], alert["almena.alert.count"])
        for alert in alerts
    )


def victims(alerts: Counter[tuple[Any, ...]]) -> int:
    """How many expired certificates alerted."""
    return sum(1 for _, entity, *_ in alerts if "victima" in entity)
