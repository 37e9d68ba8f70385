"""Status, dead letters, backup and restore on an installation that runs."""

from __future__ import annotations

import contextlib
import io
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import msgspec
import pytest
from installation import TOKEN, Installation

from almena.app import operate
from almena.bus import TOPICS, Position, open_bus
from almena.clock import format_time, now
from almena.console import audit
from almena.errors import UsageError
from almena.store import ALERTS, ALL, AUDIT, DEAD, LEDGER, OUTBOX, Filter, Query, open_store


def revoked(number: int) -> dict[str, object]:
    return {
        "@timestamp": format_time(now()),
        "event.dataset": "app.identity",
        "event.action": "certificate_used",
        "event.outcome": "success",
        "service.name": "identidad",
        "user.name": f"persona{number}",
        "almena.certificate.status": "revoked",
        "almena.citizen.curp": "BOXW310820HNERXN09",
    }


def say(role: object, *arguments: object, **options: object) -> tuple[int, str]:
    output = io.StringIO()
    with contextlib.redirect_stdout(output):
        code = role(*arguments, **options)  # type: ignore[operator]
    return code, output.getvalue()


def everything(place: Installation) -> Iterator[bytes]:
    """All that lies on the bus and in the store, as it was before compression."""
    bus, store = open_bus(place.config.bus), open_store(place.config.store)
    for topic in TOPICS:
        for partition in range(bus.partitions(topic)):
            yield from (item.value for item in bus.read(Position(topic, partition, 0), 100_000))
    for kind in (ALERTS, DEAD, AUDIT, OUTBOX, LEDGER):
        query = Query(kind=kind, scope=ALL, limit=1_000)
        yield from (msgspec.json.encode(item.document) for item in store.search(query).items)
    bus.close()
    store.close()


@pytest.mark.timeout(240)
def test_from_a_dead_letter_back_to_an_alert(tmp_path: Path) -> None:
    place = Installation(tmp_path / "i")
    right = place.file.read_text()
    place.file.write_text(right.replace('parser = "app"', 'parser = "windows"'))
    with place.running():
        place.post([revoked(1), revoked(2)], "one")
        found = place.settle(2, end=False)
        assert (found["dead_letters"], found["events"], found["alerts"]) == (2, 0, 0)
        listed = say(operate.dead_list, place.config, limit=10, every=False)[1].splitlines()
        assert [line.split("\t")[2:5] for line in listed] == [["apps.identidad", "windows", "open"]] * 2
        letter = listed[0].split("\t")[0]
        shown = say(operate.dead_show, place.config, letter)[1]
        assert "BOXW310820HNERXN09" in shown, "the original bytes, for those who hold the key"
        assert "\nalmena.dead.attempt: 1\nalmena.dead.error: ParseError\n" in shown
        assert say(operate.dead_replay, place.config, [], "")[0] == 1, "nothing was fixed yet"
        assert "\nalmena.dead.attempt: 2\n" in say(operate.dead_show, place.config, letter)[1]
        place.file.write_text(right)
        assert say(operate.dead_replay, place.config, [letter], "")[1].startswith("1 put back")
        code, said = say(operate.dead_replay, place.config, [], "apps.identidad")
        assert (code, said) == (0, "1 put back, 0 still not understood\n")
        found = place.settle(2)
        assert (found["dead_letters"], found["events"]) == (0, 2)
        alerts = place.alerts()
        assert {alert["user.name"] for alert in alerts} == {"persona1", "persona2"}
        assert all("BOXW" not in msgspec.json.encode(alert).decode() for alert in alerts)
        assert all(b"BOXW" not in value for value in everything(place))
        assert say(operate.dead_replay, place.config, [], "")[1].startswith("0 put back")
    store = open_store(place.config.store)
    entries = [item.document for item in store.search(Query(kind=AUDIT, scope=ALL)).items]
    assert letter in [entry.get("almena.audit.target") for entry in entries]
    assert audit.verify(store) >= 1
    assert {item.document["almena.dead.status"] for item in store.search(Query(kind=DEAD, scope=ALL)).items} == {
        "replayed"
    }
    store.close()
    with pytest.raises(UsageError, match="there is no dead letter 'nothing'"):
        operate.dead_show(place.config, "nothing")


@pytest.mark.timeout(240)
def test_status_says_what_is_wrong_and_a_backup_keeps_it(tmp_path: Path) -> None:
    rules = tmp_path / "rules"
    rules.mkdir()
    (rules / "bad.yml").write_text(
        "title: Bad\nlogsource: {product: linux}\ndetection: {s: {a|re: '('}, condition: s}\n"
    )
    (rules / "good.yml").write_text("title: Good\nlogsource: {product: linux}\ndetection: {s: {a: b}, condition: s}\n")
    place = Installation(tmp_path / "i")
    place.file.write_text(f'rules = ["{rules}"]\n{place.file.read_text()}')
    with place.running():
        place.post([revoked(1)], "one")
        place.settle(1, end=False)
        code, said = say(operate.show_status, place.config, json=True)
        found = msgspec.json.decode(said)
        assert code == 1
        assert not found["ok"]
        assert found["rules"]["loaded"] == 1
        assert len(found["rules"]["rejected"]) == 1
        assert "fue rechazada" in found["problems"][0]
        (source,) = [item for item in found["sources"] if item["name"] == "apps.identidad"]
        assert source["events"] == 1
        assert source["last_seen"]
        assert set(found["lag"]) == {"events", "hits", "alerts", "dead", "ledger"}
        assert "apps.identidad" in say(operate.show_status, place.config, json=False)[1]
        with operate.only_one(place.config), pytest.raises(UsageError, match="runs there already"):
            operate.restore(place.config, tmp_path / "none", force=False)
        operate.backup(place.config, tmp_path / "b.tar.gz")
        place.post([revoked(2)], "two")
        place.settle(2, end=False)
    operate.restore(place.config, tmp_path / "b.tar.gz", force=True)
    assert place.status()["events"] == 1


@pytest.mark.timeout(240)
def test_tokens_keep_strangers_out_and_a_source_that_never_speaks_is_missed(tmp_path: Path) -> None:
    place = Installation(tmp_path / "i")
    place.file.write_text(place.file.read_text().replace('parser = "syslog"\n', 'parser = "syslog"\nexpect = "2s"\n'))
    place.file.write_text(place.file.read_text().replace('lateness = "1h"', 'lateness = "1s"'))
    with place.running():
        url = f"http://127.0.0.1:{place.http}/v1/events"
        assert httpx.post(url, content=b"{}", headers={"Authorization": f"Bearer {TOKEN}x"}).status_code == 401
        assert httpx.post(url, content=b"{}").status_code == 401
        place.wait_for(place.alerts, "an alert of the silent source", 40)
        (alert,) = place.alerts()
    assert alert["rule.id"] == "almena.silence"
    assert alert["organization.id"] == "cdo"
    assert alert["almena.alert.entity"] == "almena.source.name=servidores"


def told(place: Installation) -> int:
    """Notifications delivered."""
    with contextlib.closing(open_store(place.config.store)) as store:
        delivered = Filter("almena.outbox.status", "in", ("delivered",))
        return store.count(Query(kind=OUTBOX, scope=ALL, filters=(delivered,)))


@pytest.mark.timeout(240)
def test_up_runs_real_sources_until_it_is_told_to_stop(tmp_path: Path) -> None:
    place = Installation(tmp_path / "i")
    process = subprocess.Popen(
        [sys.executable, "-m", "almena", "up", "--config", str(place.file)], stderr=subprocess.PIPE, text=True
    )
    try:
        place.wait_for(place.answers, "the console to answer", 60)
        place.post([revoked(1)], "one")
        assert place.settle(1)["alerts"] == 1
        place.wait_for(lambda: told(place), "the notification to be delivered", 30)
        os.kill(process.pid, signal.SIGTERM)
        _, said = process.communicate(timeout=30)
    finally:
        process.kill()
        process.communicate()
    assert process.returncode == 0
    assert f"console on http://127.0.0.1:{place.console}" in said
    assert "Se aceptó una e.firma vencida o revocada" in said, "the log channel tells people"
    assert "Traceback" not in said
