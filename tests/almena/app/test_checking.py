"""A configuration checked against files and real servers: what is wrong is found, and said in two languages."""

from __future__ import annotations

import secrets
import string
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest
from servers import admin

from almena.app import checking
from almena.app.checking import Finding, check, check_agencies, check_data, check_key, check_rules
from almena.app.checking_elasticsearch import check_elasticsearch
from almena.app.checking_kafka import check_kafka
from almena.app.checktexts import CHECKS
from almena.bus import DEAD, EVENTS, HITS, open_bus
from almena.bus.settings import KafkaSettings
from almena.clock import DAY, SECOND, Span
from almena.config import Agency, Config
from almena.store.settings import ElasticsearchSettings
from almena.traffic import READERS


def codes(found: Iterator[Finding], level: str = "wrong") -> list[str]:
    return [finding.code for finding in found if finding.level == level]


def test_every_sentence_is_there_in_both_languages_and_names_the_same() -> None:
    def names(text: str) -> set[str]:
        return {str(name) for _, name, _, _ in string.Formatter().parse(text) if name}

    assert set(CHECKS["es"]) == set(CHECKS["en"])
    for code, text in CHECKS["es"].items():
        assert names(text) == names(CHECKS["en"][code]), code


# --- this machine -----------------------------------------------------------------------------------------------


def local(folder: Path, **options: Any) -> Config:
    given = {"bus": f"sqlite:{folder}/data/bus.sqlite", "store": f"sqlite:{folder}/data/store.sqlite"} | options
    return Config(data=str(folder / "data"), agencies={"a": Agency(name="A")}, **given)


def test_an_installation_in_files_is_well_before_its_first_start(tmp_path: Path) -> None:
    found = list(check(local(tmp_path)))
    assert codes(iter(found)) == []
    assert {finding.code for finding in found} >= {"data", "key_missing", "rules", "agencies", "file_new"}
    assert not (tmp_path / "data").exists(), "nothing is made"


def test_files_that_others_may_read_or_nobody_may_write(tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    (data / "secret.key").write_text("x")
    (data / "secret.key").chmod(0o644)
    config = local(tmp_path)
    config.kafka = KafkaSettings(user="ana", password_file=str(tmp_path / "none"))
    assert codes(check_key(config)) == ["file_open", "file_missing"]
    (data / "secret.key").chmod(0o600)
    assert codes(check_key(config)) == ["file_missing"]
    (tmp_path / "file").write_text("")
    assert codes(check_data(replace(config, data=str(tmp_path / "file")))) == ["data_closed"]
    assert codes(check(replace(config, store=f"sqlite:{tmp_path}/file/store.sqlite", kafka=KafkaSettings()))) == [
        "file_closed"
    ]


def test_rules_that_are_missing_or_rejected(tmp_path: Path) -> None:
    config = local(tmp_path, rules=[str(tmp_path / "rules")])
    assert codes(check_rules(config)) == ["rules_missing"]
    (tmp_path / "rules").mkdir()
    (tmp_path / "rules" / "bad.yml").write_text("title: Bad\nlogsource: {}\ndetection: {s: {a: b}, condition: x}\n")
    found = list(check_rules(config))
    assert codes(iter(found), "care") == ["rules_none", "rules_rejected"]
    assert "Bad" in found[1].said("en") or "bad" in found[1].said("en")
    assert codes(check_agencies(Config()), "care") == ["agencies_none", "collectors_none"]


def test_it_is_printed_for_people_and_for_programs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = local(tmp_path)
    assert checking.run(config, create=False, role="", json=False) == 0
    said = capsys.readouterr().out
    assert f"✓ data: {tmp_path}/data se puede escribir\n" in said
    assert said.splitlines()[-1].startswith("0 por corregir · ")
    config.language = "en"
    (tmp_path / "file").touch()
    config.data = f"{tmp_path}/file"
    assert checking.run(config, create=False, role="", json=True) == 1
    found = msgspec.json.decode(capsys.readouterr().out)
    assert not found["ok"]
    assert "cannot be written" in next(each["text"] for each in found["findings"] if each["level"] == "wrong")


# --- Kafka ------------------------------------------------------------------------------------------------------


@pytest.fixture
def cluster(kafka: str, elasticsearch: str, tmp_path: Path) -> Iterator[Config]:
    """A configuration on real servers, with names of its own there."""
    prefix = f"check{secrets.token_hex(4)}"
    yield local(
        tmp_path,
        bus=f"kafka://{kafka}",
        store=elasticsearch,
        kafka=KafkaSettings(prefix=prefix),
        elasticsearch=ElasticsearchSettings(prefix=prefix, replicas=0),
    )
    with admin(kafka) as client:
        mine = [each["name"] for each in client.describe_topics() if each["name"].startswith(f"{prefix}.")]
        client.delete_topics(mine)
    for index in httpx.get(f"{elasticsearch}/_resolve/index/{prefix}-*").json()["indices"]:
        httpx.delete(f"{elasticsearch}/{index['name']}")
    httpx.delete(f"{elasticsearch}/_index_template/{prefix}-store")


def asked(config: Config, *, create: bool = False) -> dict[str, Finding]:
    return {found.code: found for found in check_kafka(config, create=create, role="")}


@pytest.mark.timeout(120)
def test_topics_are_missing_then_made_then_well(cluster: Config) -> None:
    assert "topics_missing" in asked(cluster)
    found = asked(cluster, create=True)
    assert [finding.said("en") for finding in found.values() if finding.level == "wrong"] == []
    assert found["topics"].values == {"count": "11"}
    assert set(found) >= {"kafka_brokers", "kafka_version", "rights", "clock_good", "kafka_made"}
    cluster.events.keep = Span(DAY)
    assert asked(cluster)["topics_missing"].values["topics"].endswith(".state.archive.events")


@pytest.mark.timeout(120)
def test_topics_that_are_not_as_they_must_be(cluster: Config, kafka: str) -> None:
    prefix = cluster.kafka.prefix
    good = {"message.timestamp.type": "LogAppendTime", "max.message.bytes": str(16 << 20)}
    with admin(kafka) as client:
        client.create_topics(
            {
                f"{prefix}.{EVENTS}": {"num_partitions": 3, "replication_factor": 1, "configs": {}},
                f"{prefix}.{DEAD}": {
                    "num_partitions": 4,
                    "replication_factor": 1,
                    "configs": good | {"cleanup.policy": "compact", "min.insync.replicas": "2"},
                },
                f"{prefix}.{HITS}": {
                    "num_partitions": 4,
                    "replication_factor": 1,
                    "configs": good | {"retention.ms": "1000"},
                },
                f"{prefix}.state.detect.{EVENTS}": {
                    "num_partitions": 4,
                    "replication_factor": 1,
                    "configs": good | {"cleanup.policy": "compact"},
                },
            },
            wait_for_metadata=True,
        )
    cluster.workers.detect = 4
    found = list(check_kafka(cluster, create=False, role=""))
    named = {(each.code, each.values.get("topic", "").removeprefix(f"{prefix}.")) for each in found}
    assert named >= {
        ("topic_time", EVENTS),
        ("topic_bytes", EVENTS),
        ("topic_partitions", EVENTS),
        ("topic_policy", DEAD),
        ("topic_insync_many", DEAD),
        ("topic_keep", HITS),
        ("state_partitions", f"state.detect.{EVENTS}"),
        ("topics_missing", ""),
        ("members", ""),
    }
    assert ("topic_time", HITS) not in named
    kept = next(each for each in found if each.code == "topic_keep" and each.values["topic"] == f"{prefix}.{HITS}")
    assert "keeps 1s, `keep_bus` says 1w" in kept.said("en")


@pytest.mark.timeout(60)
def test_a_clock_that_is_wrong_is_found(cluster: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    from almena.app import checking_elasticsearch, checking_kafka
    from almena.clock import now

    assert "kafka_made" in asked(cluster, create=True)
    with closing(open_bus(cluster.bus, name="check", kafka=cluster.kafka)) as bus:
        assert all(set(bus.lag(topic, group).values()) == {0} for topic, group in READERS.items()), "nothing to pass by"
    for ahead in (-20 * SECOND, 20 * SECOND):
        for module in (checking_kafka, checking_elasticsearch):
            monkeypatch.setattr(module, "now", lambda ahead=ahead: now() + ahead)
        found = asked(cluster)["clock"]
        assert 15 < float(found.values["seconds"]) < 25
        assert "NTP" in found.said("es")
        assert "clock" in codes(check_elasticsearch(cluster, create=False))


def test_nobody_there_and_files_that_cannot_be_used(tmp_path: Path) -> None:
    config = local(tmp_path, bus="kafka://127.0.0.1:1,nowhere.invalid:9092")
    assert codes(check_kafka(config, create=True, role="")) == ["unreachable", "unreachable"]
    config.kafka = KafkaSettings(tls=True, ca=str(tmp_path / "none.pem"))
    assert codes(check_kafka(config, create=False, role="")) == ["kafka_files"]


@pytest.mark.timeout(90)
def test_certificates_trusted_and_not(kafka_secure: Any, tmp_path: Path) -> None:
    prefix = f"check{secrets.token_hex(4)}"
    trusted = KafkaSettings(
        prefix=prefix, tls=True, ca=str(kafka_secure.ca), user="admin", password=kafka_secure.passwords["admin"]
    )
    config = local(tmp_path, bus=f"kafka://{kafka_secure.address}", kafka=trusted)
    found = asked(config)
    assert found["tls"].level in ("good", "care")
    assert "kafka_brokers" in found
    config.kafka = replace(trusted, ca="")
    assert set(asked(config)) == {"tls_untrusted"}
    config.bus = f"kafka://{kafka_secure.plain}"
    config.kafka = trusted
    assert set(asked(config)) == {"tls_none"}


# --- Elasticsearch ----------------------------------------------------------------------------------------------


@pytest.mark.timeout(60)
def test_the_template_is_missing_then_put_then_of_another_shape(cluster: Config) -> None:
    assert codes(check_elasticsearch(cluster, create=False)) == ["template_missing"]
    found = {each.code for each in check_elasticsearch(cluster, create=True)}
    assert found >= {"template_made", "template", "store_version", "store_rights", "clock_good"}
    assert found & {"health", "health_yellow", "health_red"}, "the node is shared, and an index may be in the making"
    cluster.elasticsearch = replace(cluster.elasticsearch, replicas=1)
    odd = codes(check_elasticsearch(cluster, create=False), "care")
    assert {"template_other", "replicas_many"} <= set(odd)


@pytest.mark.timeout(60)
def test_an_index_that_takes_no_writes(cluster: Config, elasticsearch: str) -> None:
    list(check_elasticsearch(cluster, create=True))
    index = f"{cluster.elasticsearch.prefix}-audit"
    httpx.put(f"{elasticsearch}/{index}").raise_for_status()
    block = {"index.blocks.read_only_allow_delete": True}
    httpx.put(f"{elasticsearch}/{index}/_settings", json=block).raise_for_status()
    (found,) = [each for each in check_elasticsearch(cluster, create=False) if each.level == "wrong"]
    assert (found.code, found.values["index"]) == ("index_blocked", index)
    httpx.put(f"{elasticsearch}/{index}/_settings", json={"index.blocks.read_only_allow_delete": None})


def test_no_store_there(tmp_path: Path) -> None:
    config = local(tmp_path, store="http://127.0.0.1:1")
    assert codes(check_elasticsearch(config, create=False)) == ["store_away"]
