"""Where the cluster's benchmark runs: real servers, names of its own on them, and what other processes spend."""

from __future__ import annotations

import os
import secrets
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager, suppress
from pathlib import Path
from urllib.parse import urlsplit

import httpx
from kafkas import admin

from almena.bus.kafka import KafkaBus, open_kafka
from almena.bus.settings import KafkaSettings
from almena.store.elasticsearch import ElasticsearchStore
from almena.store.settings import ElasticsearchSettings
from bench.cluster_report import Took
from deploy.dev.broker import STEP, Broker
from deploy.dev.node import Node
from deploy.dev.server import free_ports

PARTITIONS = 4

_TICKS = os.sysconf("SC_CLK_TCK")
_LISTENS = "0A"


class Place:
    """A broker and a node, and the prefix of all that this run leaves there until it ends."""

    def __init__(self, kafka: str, elasticsearch: str) -> None:
        """`kafka` is HOST:PORT, `elasticsearch` a URL."""
        self.kafka, self.elasticsearch = kafka, elasticsearch
        self.prefix = f"bench{secrets.token_hex(4)}"

    def name(self) -> str:
        """A prefix under this run's own, for topics and indices."""
        return f"{self.prefix}-{secrets.token_hex(4)}"

    @contextmanager
    def bus(self, client: str = "kafka", *, partitions: int = PARTITIONS, prefix: str = "") -> Iterator[KafkaBus]:
        """A bus, on topics of its own unless a prefix is given."""
        settings = KafkaSettings(prefix=prefix or self.name())
        url = f"{client}://{self.kafka}"
        with closing(open_kafka(url, settings, partitions=partitions, name=f"bench-{secrets.token_hex(3)}")) as bus:
            yield bus

    @contextmanager
    def store(self, prefix: str = "") -> Iterator[ElasticsearchStore]:
        """A store, on indices of its own unless a prefix is given."""
        settings = ElasticsearchSettings(prefix=prefix or self.name(), replicas=0)
        with closing(ElasticsearchStore(self.elasticsearch, settings)) as store:
            yield store

    def topic(self, partitions: int = PARTITIONS) -> str:
        """A fresh topic that the bus knows nothing of."""
        name = self.name()
        with admin(self.kafka) as client:
            client.create_topics({name: {"num_partitions": partitions, "replication_factor": 1}})
            client.wait_for_topics([name], timeout_ms=10_000)
        return name

    def forget(self, prefix: str) -> None:
        """Remove all topics and groups under a prefix."""
        with admin(self.kafka) as client:
            topics = [name for name in client.list_topics() if name.startswith(prefix)]
            if topics:
                client.delete_topics(topics, raise_errors=False)
            groups = [each["group_id"] for each in client.list_groups() if each["group_id"].startswith(prefix)]
            if groups:
                client.delete_groups(groups)

    def clean(self) -> None:
        """Remove everything under this run's prefix."""
        self.forget(self.prefix)
        with httpx.Client(base_url=self.elasticsearch, timeout=60) as client:
            names = client.get(f"/_cat/indices/{self.prefix}*?h=index").text.split()
            if names:
                client.delete(f"/{','.join(names)}")
            client.delete(f"/_index_template/{self.prefix}*")

    def servers(self) -> dict[str, int]:
        """The processes behind both addresses, by name, where they run on this machine."""
        ports = {
            "Kafka": int(self.kafka.rpartition(":")[2]),
            "Elasticsearch": urlsplit(self.elasticsearch).port or 9200,
        }
        found = {name: listener(port) for name, port in ports.items()}
        return {name: pid for name, pid in found.items() if pid is not None}


@contextmanager
def place() -> Iterator[Place]:
    """The servers of $ALMENA_TEST_KAFKA and $ALMENA_TEST_ELASTICSEARCH, or some started for the time of the block."""
    kafka, elasticsearch = (os.environ.get(f"ALMENA_TEST_{name}", "") for name in ("KAFKA", "ELASTICSEARCH"))
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        os.mkfifo(folder / "tie")
        held = os.open(folder / "tie", os.O_RDWR)  # the servers end with this process, whatever ends it
        stack.callback(os.close, held)
        if not kafka:
            broker = Broker.make(folder / "kafka", free_ports(STEP), tie=folder / "tie")
            stack.callback(broker.kill)
            broker.start()
            kafka = broker.address
        if not elasticsearch:
            node = Node.make(folder / "elasticsearch", free_ports(2), tie=folder / "tie")
            stack.callback(node.kill)
            node.start()
            elasticsearch = node.address
        found = Place(kafka, elasticsearch)
        stack.callback(found.clean)
        yield found


def took(work: Callable[[], object]) -> Took:
    """What a piece of work cost; call `almena.heap.settle` before, as roles do when they have loaded."""
    wall, cpu = time.perf_counter(), time.process_time()
    work()
    return Took(time.perf_counter() - wall, time.process_time() - cpu)


def spent(pids: Mapping[str, int]) -> dict[str, float]:
    """Seconds of the processor that processes have used so far; 0 for one that has ended."""
    found = {}
    for name, pid in pids.items():
        try:
            fields = Path(f"/proc/{pid}/stat").read_text("utf-8").rpartition(")")[2].split()
            found[name] = (int(fields[11]) + int(fields[12])) / _TICKS
        except (OSError, IndexError):
            found[name] = 0.0
    return found


def listener(port: int) -> int | None:
    """The process that listens on a port of this machine; None when it cannot be told."""
    sockets = {f"socket:[{inode}]" for inode in _inodes(port)}
    for pid in (int(path.name) for path in Path("/proc").iterdir() if path.name.isdigit()):
        if sockets and sockets & set(_links(Path(f"/proc/{pid}/fd"))):
            return pid
    return None


def _inodes(port: int) -> Iterator[str]:
    for name in ("tcp", "tcp6"):
        path = Path("/proc/net") / name
        for line in path.read_text("ascii").splitlines()[1:] if path.exists() else ():
            fields = line.split()
            if fields[3] == _LISTENS and int(fields[1].rpartition(":")[2], 16) == port:
                yield fields[9]


def _links(folder: Path) -> Iterator[str]:
    """Where the links of a folder point; those that go away meanwhile, or are not ours to see, are left out."""
    with suppress(OSError):
        for path in folder.iterdir():
            with suppress(OSError):
                yield str(path.readlink())
