"""The development servers: what they are made of is locked, they start, die, come back with their data, and end."""

from __future__ import annotations

import os
import re
import secrets
import socket
import ssl
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest
from servers import SecureKafka, admin, program

from deploy.dev import jars, stack
from deploy.dev.broker import STEP, Broker, Cluster
from deploy.dev.jars import StackError
from deploy.dev.node import Node
from deploy.dev.server import QUICK, free_ports

ROOT = Path(__file__).resolve().parents[2]
DEV = ROOT / "deploy" / "dev"


def test_a_broker_answers(kafka: str) -> None:
    with admin(kafka) as client:
        assert client.describe_cluster()["controller_id"] >= 0


def test_what_a_broker_knows_is_read_as_a_client_library_reads_it(shared_broker: Broker) -> None:
    topic = f"stack-{secrets.token_hex(4)}"
    with admin(shared_broker.address) as client:
        client.create_topics({topic: {"num_partitions": 3, "replication_factor": 1}})
        try:
            deadline = time.monotonic() + 20
            while not (theirs := client.describe_topics([topic])[0])["partitions"] and time.monotonic() < deadline:
                time.sleep(0.1)  # the client may ask before the broker has heard of its new topic
            ours = shared_broker.metadata(topics=True)
        finally:
            client.delete_topics([topic])
    assert ours is not None
    assert ours.brokers == frozenset([1])
    assert ours.controller == 1
    assert {(each.number, each.leader, *each.replicas) for each in ours.partitions if each.topic == topic} == {
        (each["partition_index"], each["leader_id"], *each["replica_nodes"]) for each in theirs["partitions"]
    }


def test_elasticsearch_answers_with_its_product_header(elasticsearch: str) -> None:
    answer = httpx.get(f"{elasticsearch}/_cluster/health")
    assert answer.json()["status"] in ("green", "yellow")
    assert answer.headers["x-elastic-product"] == "Elasticsearch"


def test_who_signs_in_may_do_what_acls_say(kafka_secure: SecureKafka) -> None:
    with admin(kafka_secure.address, **kafka_secure.options()) as client:
        with pytest.raises(Exception, match="TopicAuthorizationFailed"):
            client.create_topics(["stack-refused"])
        assert client.list_topics() == []
    with admin(kafka_secure.address, **kafka_secure.options("admin")) as client:
        client.create_topics(["stack-allowed"])
        assert "stack-allowed" in client.list_topics()
        client.delete_topics(["stack-allowed"])


def test_the_secure_listener_shows_a_certificate_of_the_authority(kafka_secure: SecureKafka) -> None:
    host, _, port = kafka_secure.address.partition(":")
    for context, trusted in ((kafka_secure.tls(), True), (ssl.create_default_context(), False)):
        with socket.create_connection((host, int(port)), timeout=10) as plain:
            if trusted:
                with context.wrap_socket(plain, server_hostname=host) as encrypted:
                    assert encrypted.version() in ("TLSv1.2", "TLSv1.3")
            else:
                with pytest.raises(ssl.SSLCertVerificationError):
                    context.wrap_socket(plain, server_hostname=host)


def test_a_killed_node_comes_back_with_its_data(own_node: Node) -> None:
    url = f"{own_node.address}/stack/_doc/1"
    assert httpx.put(url, json={"a": 1}, timeout=30).status_code == 201
    own_node.kill()
    with pytest.raises(httpx.TransportError):
        httpx.get(url)
    own_node.start()
    assert httpx.get(url, timeout=30).json()["_source"] == {"a": 1}


def test_servers_end_with_whoever_holds_the_tie(tmp_path: Path) -> None:
    program("elasticsearch")
    tie = tmp_path / "tie"
    os.mkfifo(tie)
    held = os.open(tie, os.O_RDWR)
    node = Node.make(tmp_path / "node", free_ports(2), QUICK, tie)
    try:
        node.launch()
        time.sleep(0.5)
        assert node.alive()
        os.close(held)
        deadline = time.monotonic() + 20
        while node.alive() and time.monotonic() < deadline:
            time.sleep(0.05)
        assert not node.alive()
    finally:
        node.kill()


def test_the_command_line_starts_restarts_and_forgets(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    program("kafka")
    program("elasticsearch")
    ports = free_ports(STEP + 2)
    folder = ["--folder", str(tmp_path / "run")]
    chosen = ["--kafka", str(ports), "--elasticsearch", str(ports + STEP)]
    try:
        assert stack.main([*folder, "start", *chosen]) == 0
        assert re.search(rf"kafka-1 +runs +127\.0\.0\.1:{ports}\n", capsys.readouterr().out)
        with admin(f"127.0.0.1:{ports}") as client:
            client.create_topics(["kept"])
        assert stack.main([*folder, "start", "--brokers", "3"]) == 1
        assert "not 3" in capsys.readouterr().err
        assert stack.main([*folder, "stop"]) == 0
        assert "runs" not in capsys.readouterr().out
        assert stack.main([*folder, "restart", "kafka-1"]) == 0
        with admin(f"127.0.0.1:{ports}") as client:
            assert "kept" in client.list_topics()
        assert stack.main([*folder, "kill", "kafka-1"]) == 0
        assert stack.main([*folder, "kill", "kafka-9"]) == 1
        assert "kafka-1, elasticsearch" in capsys.readouterr().err
    finally:
        assert stack.main([*folder, "forget"]) == 0
    assert not (tmp_path / "run").exists()


def test_a_taken_port_is_told_before_anything_is_made(tmp_path: Path, elasticsearch: str) -> None:
    port = int(elasticsearch.rpartition(":")[2])
    with pytest.raises(StackError, match=f"port {port}"):
        stack.Stack(tmp_path / "run").make(1, free_ports(STEP), port)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("name", ["kafka", "elasticsearch"])
def test_jars_other_than_the_locked_are_refused(name: str, tmp_path: Path) -> None:
    lines = (DEV / name / "jars.sha256").read_text("utf-8").splitlines()
    assert len(lines) > 40
    assert all(re.fullmatch(r"[0-9a-f]{64}  [\w.-]+\.jar", line) for line in lines)
    program(name)
    lib = tmp_path / "lib"
    lib.mkdir()
    for path in jars.program(name).rglob("*.jar"):
        (lib / path.name).symlink_to(path)
    jars.check(name, lib)
    victim = next(lib.iterdir())
    victim.unlink()
    with pytest.raises(StackError, match=re.escape(victim.name)):
        jars.check(name, lib)
    victim.write_bytes(b"something else")
    with pytest.raises(StackError, match=re.escape(victim.name)):
        jars.check(name, lib)


def test_versions_are_those_of_the_containers() -> None:
    compose = (ROOT / "deploy" / "compose.yml").read_text("utf-8")
    for name, artifact in (("kafka", "kafka_2.13"), ("elasticsearch", "elasticsearch")):
        (ours,) = re.findall(
            rf"<artifactId>{artifact}</artifactId>\s*<version>([\d.]+)<", (DEV / name / "pom.xml").read_text("utf-8")
        )
        (theirs,) = re.findall(rf"image: \S*{name}:([\d.]+)", compose)
        assert ours.split(".")[:2] == theirs.split(".")[:2]


def test_without_maven_it_says_what_to_install(tmp_path: Path) -> None:
    script = "from deploy.dev import jars; jars.program('kafka')"
    environment = {"PATH": str(tmp_path), "ALMENA_STACK": str(tmp_path / "cache")}
    result = subprocess.run([sys.executable, "-c", script], cwd=ROOT, env=environment, capture_output=True, text=True)
    assert "Unavailable: mvn is not installed (Debian package maven" in result.stderr


def test_without_a_registry_it_says_so(tmp_path: Path) -> None:
    program("kafka")
    closed = free_ports(1)
    proxies = [
        f"-D{scheme}.proxy{part}" for scheme in ("http", "https") for part in ("Host=127.0.0.1", f"Port={closed}")
    ]
    options = " ".join([f"-Dmaven.repo.local={tmp_path / 'packages'}", *proxies])
    environment = {**os.environ, "MAVEN_OPTS": options, "ALMENA_STACK": str(tmp_path / "cache")}
    command = [sys.executable, "-m", "deploy.dev.stack", "--folder", str(tmp_path / "run"), "start"]
    ports = ["--kafka", str(free_ports(STEP)), "--elasticsearch", str(free_ports(2))]
    result = subprocess.run([*command, *ports], cwd=ROOT, env=environment, capture_output=True, text=True)
    assert result.returncode == 1
    assert result.stderr.startswith("stack: Maven could not fetch kafka; is its registry reachable")
    assert not list((tmp_path / "cache").glob("kafka-*")), "half a program would be taken for one"


@pytest.mark.faults
def test_a_cluster_survives_the_kill_of_a_broker(kafka_cluster: Cluster) -> None:
    with admin(kafka_cluster.address) as client:
        client.create_topics({"three": {"num_partitions": 3, "replication_factor": 3}})
    kafka_cluster.broker(1).kill()
    assert not kafka_cluster.whole()
    deadline = time.monotonic() + 30
    while not _led_by(kafka_cluster.broker(2), {2, 3}) and time.monotonic() < deadline:
        time.sleep(0.2)
    assert _led_by(kafka_cluster.broker(2), {2, 3})
    kafka_cluster.start()
    assert kafka_cluster.whole()


def _led_by(broker: Broker, numbers: set[int]) -> bool:
    known = broker.metadata(topics=True)
    return known is not None and {each.leader for each in known.partitions} <= numbers
