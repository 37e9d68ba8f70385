"""Kafka and Elasticsearch on this machine, for development: start | stop | status | kill | restart | forget | lock.

`start` brings back what was made before, with its data; the first time it makes one broker (`--brokers 3`: a cluster)
and one Elasticsearch node. Everything is under `.stack/run`: logs, data, configuration.
"""

from __future__ import annotations

import argparse
import shutil
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from deploy.dev import jars
from deploy.dev.broker import PASSWORDS, STEP, Broker, Cluster
from deploy.dev.jars import CACHE, StackError
from deploy.dev.node import Node
from deploy.dev.server import Server, is_free

KAFKA = 9092
ELASTICSEARCH = 9200
"""Where clients look for them unless told."""


class Stack:
    """The servers under one folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def brokers(self) -> list[Broker]:
        """The brokers that were made, running or not."""
        return [Broker(path) for path in sorted(self.folder.glob("kafka-*"))]

    def node(self) -> Node | None:
        """The Elasticsearch node, when it was made."""
        return Node(self.folder / "elasticsearch") if (self.folder / "elasticsearch").exists() else None

    def servers(self) -> list[Server]:
        """All of them."""
        node = self.node()
        return [*self.brokers(), *([node] if node else [])]

    def server(self, name: str) -> Server:
        """The one of that name; raises StackError."""
        for server in self.servers():
            if server.name == name:
                return server
        known = ", ".join(server.name for server in self.servers()) or "none; start makes some"
        raise StackError(f"no server {name!r}; there are: {known}")

    def make(self, brokers: int | None, kafka: int | None, elasticsearch: int | None) -> None:
        """Make what is not there yet; raises StackError when something else is, or a port is taken."""
        found, node = self.brokers(), self.node()
        for wanted, is_so, what in (
            (brokers, len(found), "brokers"),
            (kafka, found[0].port if found else 0, "as Kafka's port"),
            (elasticsearch, node.port if node else 0, "as Elasticsearch's port"),
        ):
            if wanted and is_so and wanted != is_so:
                raise StackError(f"{self.folder} has {is_so} {what}, not {wanted}; `forget` removes it and its data")
        kafka, elasticsearch, brokers = kafka or KAFKA, elasticsearch or ELASTICSEARCH, brokers or 1
        ports = [] if found else list(range(kafka, kafka + STEP * brokers))
        ports += [] if node else [elasticsearch, elasticsearch + 1]
        taken = [str(port) for port in ports if not is_free(port)]
        if taken:
            raise StackError(f"taken by another program: port {', '.join(taken)}; choose others")
        if not found:
            Cluster.make(self.folder, kafka, brokers)
        if node is None:
            Node.make(self.folder / "elasticsearch", elasticsearch)

    def start(self) -> None:
        """Start all that do not run and wait until they answer; raises StackError."""
        for name in ("kafka", "elasticsearch"):
            jars.program(name)
        node = self.node()
        with ThreadPoolExecutor() as pool:
            waiting = [pool.submit(Cluster(self.brokers()).start)]
            if node is not None and not node.alive():
                waiting.append(pool.submit(node.start))
        for each in waiting:
            each.result()

    def stop(self) -> None:
        """Stop all, in good order."""
        node = self.node()
        Cluster(self.brokers()).stop()
        if node is not None:
            node.stop()

    def forget(self) -> None:
        """Stop all and remove them with their data."""
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    def describe(self) -> str:
        """Where everything is, in the words of a configuration."""
        lines = [
            f"{server.name:14} {'runs' if server.alive() else 'stopped':8} {server.address}"
            for server in self.servers()
        ]
        running = [broker for broker in self.brokers() if broker.alive()]
        if running:
            secure = ",".join(broker.secure for broker in running)
            lines.append(f"{'':14} TLS and SCRAM-SHA-512 at {secure}, ca = {running[0].ca}")
            lines.append(f"{'':14} users and passwords: {', '.join(f'{u} {p}' for u, p in PASSWORDS.items())}")
        return "\n".join(lines) or f"nothing under {self.folder}; `start` makes it"


def arguments(words: list[str] | None) -> argparse.Namespace:
    """What the command line asks for."""
    summary, _, more = (__doc__ or "").partition("\n\n")
    parser = argparse.ArgumentParser(prog="python -m deploy.dev.stack", description=summary, epilog=more)
    parser.add_argument("--folder", type=Path, default=CACHE / "run", help="where the servers live")
    commands = parser.add_subparsers(dest="command", required=True)
    start = commands.add_parser("start", help="make, start, wait until all answer, print addresses")
    start.add_argument("--brokers", type=int, choices=(1, 3), help="1 unless said")
    start.add_argument("--kafka", type=int, metavar="PORT", help=f"first port, {STEP} per broker; {KAFKA} unless said")
    start.add_argument("--elasticsearch", type=int, metavar="PORT", help=f"and the next; {ELASTICSEARCH} unless said")
    commands.add_parser("stop", help="stop all in good order; data stays")
    commands.add_parser("status", help="print what there is")
    commands.add_parser("kill", help="kill -9 of one").add_argument("name")
    commands.add_parser("restart", help="stop one if it runs, start it with its data").add_argument("name")
    commands.add_parser("forget", help="stop all, remove them and their data")
    commands.add_parser("lock", help="write the hashes of the jars anew after a change of a POM")
    return parser.parse_args(words)


def run(chosen: argparse.Namespace) -> None:
    """Do what was asked; raises StackError."""
    stack = Stack(chosen.folder.resolve())
    match chosen.command:
        case "start":
            stack.make(chosen.brokers, chosen.kafka, chosen.elasticsearch)
            stack.start()
        case "stop":
            stack.stop()
        case "kill":
            stack.server(chosen.name).kill()
        case "restart":
            server = stack.server(chosen.name)
            server.stop()
            server.start()
        case "forget":
            stack.forget()
        case "lock":
            for name in ("kafka", "elasticsearch"):
                print(f"{name}: {jars.write_lock(name)} jars")
            return
    print(stack.describe())


def main(words: list[str] | None = None) -> int:
    """Run a command; returns the exit status."""
    try:
        run(arguments(words))
    except StackError as error:
        print(f"stack: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
