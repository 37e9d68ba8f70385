"""Real Kafka brokers and a real Elasticsearch node for tests, as fixtures.

`kafka` and `elasticsearch` are shared by all tests of a run and all its processes: tests take names of their own there.
They start when the first test asks, and end with the run, whatever ends it: their standard input is a FIFO that
the run's first process alone holds open for writing.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import ssl
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn, TypeVar

import pytest

from deploy.dev import jars
from deploy.dev.broker import PASSWORDS, STEP, Broker, Cluster
from deploy.dev.jars import StackError, Unavailable
from deploy.dev.node import Node
from deploy.dev.server import QUICK, Server, free_ports

S = TypeVar("S", bound=Server)

HELD = pytest.StashKey[int]()
FOLDER = pytest.StashKey[Path]()


def pytest_sessionstart(session: pytest.Session) -> None:
    """In the run's first process: make the folder of the servers, and hold what keeps them alive."""
    config = session.config
    if "PYTEST_XDIST_WORKER" in os.environ:
        return
    folder = Path(config._tmp_path_factory.getbasetemp()) / "servers"  # type: ignore[attr-defined]
    folder.mkdir()
    os.mkfifo(folder / "tie")
    config.stash[FOLDER] = folder
    config.stash[HELD] = os.open(folder / "tie", os.O_RDWR)


def pytest_unconfigure(config: pytest.Config) -> None:
    """Let the servers go, wait until they have gone, and remove what they kept."""
    held = config.stash.get(HELD, None)
    if held is None:
        return
    folder = config.stash[FOLDER]
    os.close(held)
    deadline = time.monotonic() + 20
    while _has_readers(folder / "tie") and time.monotonic() < deadline:
        time.sleep(0.02)
    shutil.rmtree(folder, ignore_errors=True)


def _has_readers(fifo: Path) -> bool:
    try:
        os.close(os.open(fifo, os.O_WRONLY | os.O_NONBLOCK))
    except OSError:
        return False
    return True


def missing(reason: str) -> NoReturn:
    """Skip the test and say why; fail it under CI=true, where real servers are a duty."""
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)


def program(name: str) -> None:
    """See that the program of `kafka` or `elasticsearch` is there; the test skips where it cannot be."""
    try:
        jars.program(name)
    except Unavailable as error:
        missing(str(error))


@dataclass(frozen=True)
class SecureKafka:
    """The broker's listener with TLS and SCRAM-SHA-512."""

    address: str
    """HOST:PORT."""
    ca: Path
    """The authority that signed the broker's certificate, as PEM."""
    user: str
    """A user who may do what ACLs say, which is nothing at first."""
    password: str = field(repr=False)
    plain: str
    """HOST:PORT where whoever comes may do everything: to make ACLs (and users, and topics)."""
    passwords: dict[str, str] = field(repr=False)
    """Of all users: `admin`, who may do everything, and who may nothing without ACLs."""

    def tls(self) -> ssl.SSLContext:
        """What trusts the broker."""
        return ssl.create_default_context(cafile=str(self.ca))

    def options(self, user: str = "", password: str = "") -> dict[str, Any]:
        """kafka-python's options to sign in there, as `user` unless told otherwise."""
        user = user or self.user
        return {
            "security_protocol": "SASL_SSL",
            "ssl_context": self.tls(),
            "sasl_mechanism": "SCRAM-SHA-512",
            "sasl_plain_username": user,
            "sasl_plain_password": password or self.passwords[user],
        }


@contextmanager
def admin(address: str, **options: Any) -> Iterator[Any]:
    """kafka-python's admin client (of version 3: plain documents in and out) for a short moment."""
    with warnings.catch_warnings():
        # It reads its protocol by a function of the standard library that is no longer liked.
        warnings.simplefilter("ignore", DeprecationWarning)
        from kafka import KafkaAdminClient
    client = KafkaAdminClient(**{"bootstrap_servers": address.split(","), "bootstrap_timeout_ms": 20_000, **options})
    try:
        yield client
    finally:
        client.close()


@pytest.fixture(scope="session")
def servers_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that all processes of this run share, with the FIFO `tie`."""
    base = tmp_path_factory.getbasetemp()
    return (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "servers"


@pytest.fixture(scope="session")
def shared_broker(servers_folder: Path) -> Broker:
    """The broker that tests share; only its addresses are theirs to use."""
    program("kafka")
    return _shared(servers_folder / "kafka", Broker, STEP, Broker.make)


@pytest.fixture(scope="session")
def kafka(request: pytest.FixtureRequest) -> str:
    """HOST:PORT of a real Kafka broker, plaintext; $ALMENA_TEST_KAFKA names one that runs already."""
    given = os.environ.get("ALMENA_TEST_KAFKA")
    return given or str(request.getfixturevalue("shared_broker").address)


@pytest.fixture(scope="session")
def kafka_secure(shared_broker: Broker) -> SecureKafka:
    """The same broker's listener with TLS, SCRAM and ACLs."""
    password = PASSWORDS["almena"]
    return SecureKafka(shared_broker.secure, shared_broker.ca, "almena", password, shared_broker.address, PASSWORDS)


@pytest.fixture(scope="session")
def elasticsearch(request: pytest.FixtureRequest) -> str:
    """http://HOST:PORT of a real Elasticsearch node; $ALMENA_TEST_ELASTICSEARCH names one that runs already."""
    given = os.environ.get("ALMENA_TEST_ELASTICSEARCH")
    return given or str(request.getfixturevalue("_shared_node").address)


@pytest.fixture(scope="session")
def _shared_node(servers_folder: Path) -> Node:
    program("elasticsearch")
    return _shared(servers_folder / "elasticsearch", Node, 2, Node.make)


@pytest.fixture
def own_broker(servers_folder: Path, tmp_path: Path) -> Iterator[Broker]:
    """A broker of the test's own, started, to be stopped, killed, paused and started again."""
    program("kafka")
    with _ended(Broker.make(tmp_path / "kafka-1", free_ports(STEP), QUICK, servers_folder / "tie")) as broker:
        broker.start()
        yield broker


@pytest.fixture
def own_node(servers_folder: Path, tmp_path: Path) -> Iterator[Node]:
    """An Elasticsearch node of the test's own, started, to be stopped, killed, paused and started again."""
    program("elasticsearch")
    with _ended(Node.make(tmp_path / "elasticsearch", free_ports(2), QUICK, servers_folder / "tie")) as node:
        node.start()
        yield node


@pytest.fixture(scope="session")
def _cluster(servers_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    program("kafka")
    folder = tmp_path_factory.mktemp("cluster")
    cluster = Cluster.make(folder, free_ports(3 * STEP), jvm=QUICK, tie=servers_folder / "tie")
    try:
        yield cluster
    finally:
        cluster.kill()


@pytest.fixture
def kafka_cluster(_cluster: Cluster) -> Cluster:
    """Three brokers that are whole when a test begins, whatever the one before did to them."""
    for broker in _cluster.brokers:
        broker.resume()
    _cluster.start()
    return _cluster


@contextmanager
def _ended(server: S) -> Iterator[S]:
    try:
        yield server
    finally:
        server.kill()


def _shared(folder: Path, kind: type[S], ports: int, make: Callable[[Path, int, list[str], Path], S]) -> S:
    """The run's server in `folder`, started by whichever process asks first; all others wait for it."""
    with (folder.parent / f"{folder.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if folder.exists():
            server = kind(folder)
            if not server.alive():
                pytest.fail(f"{server.name} was started by another process and has ended; see {server.log}")
            return server
        server = make(folder, free_ports(ports), QUICK, folder.parent / "tie")
        try:
            server.start()
        except StackError as error:
            pytest.fail(str(error))
        return server
