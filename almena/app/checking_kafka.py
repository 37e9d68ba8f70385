"""Whether a bus on Kafka will work: brokers, topics, rights, and the time they put on records."""

from __future__ import annotations

import socket
import ssl
import warnings
from collections.abc import Callable, Mapping
from contextlib import closing, suppress
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from almena.app.checking import CLOCK_LIMIT, Findings, care, good, wrong
from almena.app.checking_tls import check_certificate
from almena.app.rights import ADMINISTRATOR, PROBE, Right, needed
from almena.bus import EVENTS, HITS, TOPICS, open_bus
from almena.clock import SECOND, Span, now
from almena.config import Config
from almena.console.security import host_of
from almena.desk.events import GROUP as ARCHIVE
from almena.errors import AlmenaError
from almena.traffic import READERS

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)  # of a standard module that it uses
    from kafka import KafkaAdminClient, KafkaProducer
    from kafka import errors as kafka_errors
    from kafka.admin import ConfigResource, MemberToRemove

PART = "bus"

NEEDED = {"JoinGroup": 5, "TxnOffsetCommit": 3, "InitProducerId": 3, "DeleteRecords": 0, "DescribeCluster": 0}
"""Versions of requests that the brokers must understand; Kafka 2.8 is the first that does."""

LARGEST = 16 << 20
"""Bytes of a record that topics must take."""

_SECONDS = 10.0


@dataclass
class Asked:
    """One cluster, and what is known of it already."""

    config: Config
    role: str
    admin: Any
    options: dict[str, Any]
    topics: dict[str, dict[str, Any]] = field(default_factory=dict)
    """By full name: what the brokers say of each topic that is there."""
    brokers: list[dict[str, Any]] = field(default_factory=list)

    def named(self, name: str) -> str:
        """The name on the cluster."""
        return f"{self.config.kafka.prefix}.{name}"

    def wanted(self) -> dict[str, str]:
        """Every topic there must be as far as the role knows them, and how it is cleaned."""
        states = {f"state.{group}.{topic}": "compact" for group, topic in groups_of(self.config)}
        known = {right.name for right in needed(self.role) if right.kind == "topic"}
        every = dict.fromkeys((*TOPICS, PROBE), "delete") | states
        return {
            self.named(name): cleaned for name, cleaned in every.items() if name in known or self.role == ADMINISTRATOR
        }

    def settings_of(self, name: str) -> dict[str, str]:
        """A topic's settings."""
        found = self.admin.describe_configs([ConfigResource("TOPIC", name)], config_filter="all")
        return {key: str(value["value"]) for key, value in found["topic"].get(name, {}).items()}


def groups_of(config: Config) -> list[tuple[str, str]]:
    """Every group that reads, with its topic."""
    archive = [(ARCHIVE, EVENTS)] if config.events.keep else []
    return [*((group, topic) for topic, group in READERS.items()), *archive]


Check: TypeAlias = Callable[[Asked], Findings]


def check_kafka(config: Config, *, create: bool, role: str) -> Findings:
    """All that is looked at; what cannot be asked is a finding, and the rest is asked all the same."""
    servers = config.bus.partition("://")[2].rstrip("/").split(",")
    try:
        options = options_of(config, servers)
    except (AlmenaError, OSError) as error:
        yield wrong(PART, "kafka_files", error=said(error))
        return
    away = 0
    for server in servers:
        for finding in _reached(server, options.get("ssl_context")):
            away += finding.level == "wrong"
            yield finding
    if not config.kafka.tls and (config.kafka.user or not all(_near(host_of(server)) for server in servers)):
        yield care(PART, "kafka_clear")
    if away == len(servers):
        return
    if create:
        yield from _created(config)
    try:
        with closing(KafkaAdminClient(**options)) as admin:
            asked = Asked(config, role, admin, options)
            for check in CHECKS:
                yield from _guarded(check, asked)
    except (kafka_errors.KafkaError, OSError) as error:
        yield wrong(PART, "kafka_away", servers=", ".join(servers), error=said(error))


def _reached(server: str, context: ssl.SSLContext | None) -> Findings:
    """Whether anybody is there, and with TLS the one who is trusted."""
    host, _, port = server.rpartition(":")
    if context is not None:
        yield from check_certificate(PART, host.strip("[]"), int(port), context)
        return
    try:
        socket.create_connection((host.strip("[]"), int(port)), 5.0).close()
    except OSError as error:
        yield wrong(PART, "unreachable", where=server, error=error.strerror or said(error))


def options_of(config: Config, servers: list[str]) -> dict[str, Any]:
    """How the library reaches the brokers."""
    kafka = config.kafka
    options: dict[str, Any] = {
        "bootstrap_servers": servers,
        "client_id": "almena-check",
        "request_timeout_ms": int(_SECONDS * 1000),
        "bootstrap_timeout_ms": int(_SECONDS * 1000),
        "security_protocol": f"{'SASL_' if kafka.user else ''}{'SSL' if kafka.tls else 'PLAINTEXT'}",
    }
    if kafka.user:
        options |= {
            "sasl_mechanism": kafka.mechanism,
            "sasl_plain_username": kafka.user,
            "sasl_plain_password": kafka.secret(),
        }
    if kafka.tls:
        options["ssl_context"] = ssl.create_default_context(cafile=kafka.ca or None)
        if kafka.certificate:
            options["ssl_context"].load_cert_chain(kafka.certificate, kafka.key or None)
    return options


def said(error: BaseException) -> str:
    """What a broker or the way to it answered."""
    return str(error) or type(error).__name__


def _near(host: str) -> bool:
    return host in ("localhost", "::1") or host.startswith("127.")


def _created(config: Config) -> Findings:
    """Make the topics that are missing, those of state too."""
    try:
        bus = open_bus(
            config.bus, partitions=config.partitions, name="check", kafka=config.kafka, keep=int(config.keep_bus)
        )
        with closing(bus):
            for topic in (*TOPICS, PROBE):
                bus.partitions(topic)
            for group, topic in groups_of(config):
                bus.session(topic, group=group, member="check").close()
    except AlmenaError as error:
        yield wrong(PART, "kafka_not_made", error=error)
    else:
        yield good(PART, "kafka_made")


def _guarded(check: Check, asked: Asked) -> Findings:
    try:
        yield from check(asked)
    except (kafka_errors.KafkaError, OSError, KeyError) as error:
        yield wrong(PART, "kafka_refused", what=(check.__doc__ or "").rstrip("."), error=said(error))


def check_brokers(asked: Asked) -> Findings:
    """Who the brokers are."""
    found = asked.admin.describe_cluster()
    asked.brokers = list(found["brokers"])
    yield good(PART, "kafka_brokers", count=len(asked.brokers), cluster=found["cluster_id"])
    if len(asked.brokers) < 3 and not all(_near(each["host"]) for each in asked.brokers):
        yield care(PART, "kafka_few", count=len(asked.brokers))


def check_listeners(asked: Asked) -> Findings:
    """Whether this machine reaches each broker where it says it is."""
    for broker in asked.brokers:
        where = f"{broker['host']}:{broker['port']}"
        try:
            socket.create_connection((broker["host"], broker["port"]), 5.0).close()
        except OSError as error:
            yield wrong(
                PART, "kafka_listener", broker=broker["broker_id"], where=where, error=error.strerror or said(error)
            )


def check_versions(asked: Asked) -> Findings:
    """Whether the brokers understand what Almena asks."""
    known = {key.name: versions[1] for key, versions in asked.admin.api_versions().items()}
    missing = [name for name, version in NEEDED.items() if known.get(name, -1) < version]
    if missing:
        yield wrong(PART, "kafka_old", missing=", ".join(missing))
    else:
        newest = asked.admin.get_broker_version_data(asked.brokers[0]["broker_id"]).broker_version
        yield good(PART, "kafka_version", version=".".join(map(str, newest)))


def check_topics(asked: Asked) -> Findings:
    """Whether every topic is there, with what it needs."""
    wanted = asked.wanted()
    for found in asked.admin.describe_topics(list(wanted)):
        if found["error_code"] == 0:
            asked.topics[found["name"]] = found
        elif found["error_code"] != kafka_errors.UnknownTopicOrPartitionError.errno:
            error = kafka_errors.for_code(found["error_code"]).__name__
            yield wrong(PART, "topic_refused", topic=found["name"], error=error)
            wanted.pop(found["name"])
    missing = [name for name in wanted if name not in asked.topics]
    if missing:
        yield wrong(PART, "topics_missing", topics=", ".join(missing))
    sound = True
    for name in wanted:
        if name in asked.topics:
            for finding in _topic(asked, name, wanted[name]):
                sound = False
                yield finding
    if sound and not missing and asked.topics:
        yield good(PART, "topics", count=len(asked.topics))


def _topic(asked: Asked, name: str, cleaned: str) -> Findings:
    partitions = asked.topics[name]["partitions"]
    yield from _copies(asked, name, partitions)
    if cleaned == "compact":
        source = asked.named(name.removeprefix(asked.named("state.")).partition(".")[2])
        there = len(asked.topics[source]["partitions"]) if source in asked.topics else len(partitions)
        if there != len(partitions):
            yield wrong(PART, "state_partitions", topic=name, has=len(partitions), source=source, wanted=there)
    elif len(partitions) != asked.config.partitions:
        yield care(PART, "topic_partitions", topic=name, has=len(partitions), wanted=asked.config.partitions)
    try:
        settings = asked.settings_of(name)
    except kafka_errors.KafkaError as error:
        yield care(PART, "topic_closed", topic=name, error=said(error))
        return
    if settings:
        yield from _settings(asked, name, cleaned, settings, len(partitions[0]["replica_nodes"]))


def _copies(asked: Asked, name: str, partitions: list[dict[str, Any]]) -> Findings:
    wanted = asked.config.kafka.replicas or min(3, len(asked.brokers))
    copies = min(len(each["replica_nodes"]) for each in partitions)
    if copies < wanted:
        yield care(PART, "topic_copies", topic=name, has=copies, wanted=wanted)
    behind = [each["partition_index"] for each in partitions if len(each["isr_nodes"]) < len(each["replica_nodes"])]
    if behind:
        yield care(PART, "topic_behind", topic=name, partitions=", ".join(map(str, sorted(behind))))
    headless = [each["partition_index"] for each in partitions if each["leader_id"] < 0]
    if headless:
        yield wrong(PART, "topic_headless", topic=name, partitions=", ".join(map(str, sorted(headless))))


def _settings(asked: Asked, name: str, cleaned: str, settings: Mapping[str, str], copies: int) -> Findings:
    if settings["cleanup.policy"] != cleaned:
        yield wrong(PART, "topic_policy", topic=name, has=settings["cleanup.policy"], wanted=cleaned)
    if settings["message.timestamp.type"] != "LogAppendTime":
        yield wrong(PART, "topic_time", topic=name, has=settings["message.timestamp.type"])
    if int(settings["max.message.bytes"]) < LARGEST:
        yield care(PART, "topic_bytes", topic=name, has=settings["max.message.bytes"], wanted=LARGEST)
    insync = int(settings["min.insync.replicas"])
    if insync > copies:
        yield wrong(PART, "topic_insync_many", topic=name, has=insync, copies=copies)
    elif copies > 2 and insync < 2:
        yield care(PART, "topic_insync_few", topic=name, has=insync)
    keep = int(asked.config.keep_bus) // 1000
    if cleaned == "delete" and int(settings["retention.ms"]) != keep:
        there = int(settings["retention.ms"])
        has = str(Span(there * 1000)) if there >= 0 else "∞"
        yield care(PART, "topic_keep", topic=name, has=has, wanted=asked.config.keep_bus, retention=keep)


def check_members(asked: Asked) -> Findings:
    """Whether there is a partition for each member."""
    for topic, role in ((EVENTS, "detect"), (HITS, "correlate")):
        found = asked.topics.get(asked.named(topic))
        members = asked.config.workers.counts()[role]
        if found is not None and members > len(found["partitions"]):
            yield care(PART, "members", role=role, members=members, partitions=len(found["partitions"]))


def check_rights(asked: Asked) -> Findings:
    """Whether this user may do what it must."""
    missing: dict[str, list[str]] = {}
    for right in needed(asked.role):
        for operation in _refused(asked, right):
            where = f"{right.kind} {asked.named(right.name)}{'*' if right.pattern == 'prefixed' else ''}"
            missing.setdefault(where, []).append(operation)
    for where, operations in missing.items():
        names = ", ".join(dict.fromkeys(operations))
        yield wrong(PART, "right_missing", user=asked.config.kafka.user or "ANONYMOUS", operations=names, where=where)
    if not missing:
        yield good(PART, "rights", user=asked.config.kafka.user or "ANONYMOUS")


def _refused(asked: Asked, right: Right) -> list[str]:
    """Which operations of a right this user lacks, as far as the brokers tell without anything being changed."""
    name = asked.named(right.name)
    if right.kind == "topic" and right.pattern == "literal":
        if name not in asked.topics:
            return []
        return [each for each in right.operations if each.upper() not in asked.topics[name]["authorized_operations"]]
    if right.kind == "group":
        return _refused_group(asked, name, right.operations)
    if right.kind == "transactional-id":
        try:
            _producer(asked, f"{name}check").close(timeout=1)
        except kafka_errors.AuthorizationError:
            return list(right.operations)
    return []


def _refused_group(asked: Asked, name: str, operations: tuple[str, ...]) -> list[str]:
    """Ask for positions (Describe), and let a member leave that is not there (Read)."""
    try:
        if "Read" in operations:
            asked.admin.remove_group_members(name, [MemberToRemove(group_instance_id="almena-check-nobody")])
        else:
            asked.admin.list_group_offsets({name: None})
    except kafka_errors.GroupAuthorizationFailedError:
        return list(operations)
    except kafka_errors.KafkaError:
        pass  # such a member is not there, as it should be
    return []


def check_clock(asked: Asked) -> Findings:
    """Whether the brokers' clocks agree with this one: a record is written that nobody reads, and its time taken."""
    found = asked.topics.get(asked.named(PROBE))
    if found is None or "WRITE" not in found["authorized_operations"]:
        yield care(PART, "clock_unseen")
        return
    options = {name: value for name, value in asked.options.items() if name != "bootstrap_timeout_ms"}
    producer = KafkaProducer(enable_idempotence=False, acks="all", max_block_ms=int(_SECONDS * 1000), **options)
    leaders = {each["leader_id"]: each["partition_index"] for each in found["partitions"]}
    try:
        for leader, partition in leaders.items():
            before = now()
            sent = producer.send(found["name"], b"", partition=partition).get(timeout=_SECONDS)
            stamp, after = sent.timestamp * 1000, now()
            skew = float(max(before - stamp, stamp - after, 0) / SECOND)
            if skew > CLOCK_LIMIT:
                yield wrong(PART, "clock", who=f"broker {leader}", seconds=f"{skew:.1f}", limit=f"{CLOCK_LIMIT:.0f}")
                return
    finally:
        with suppress(kafka_errors.KafkaError):
            producer.close(timeout=2)
    yield good(PART, "clock_good")


def _producer(asked: Asked, transaction: str) -> Any:
    """A transactional producer that the brokers have accepted."""
    options = {name: value for name, value in asked.options.items() if name != "bootstrap_timeout_ms"}
    producer = KafkaProducer(
        transactional_id=transaction, max_block_ms=int(_SECONDS * 1000), transaction_timeout_ms=15_000, **options
    )
    try:
        producer.init_transactions()
    except BaseException:
        with suppress(kafka_errors.KafkaError):
            producer.close(timeout=1)
        raise
    return producer


CHECKS: tuple[Check, ...] = (
    check_brokers,
    check_listeners,
    check_versions,
    check_topics,
    check_members,
    check_rights,
    check_clock,
)
"""What is asked of a cluster, in this order: later ones use what earlier ones found."""
