"""A real Elasticsearch node for development: no modules but its transport, no security, loopback only."""

from __future__ import annotations

import http.client
from contextlib import closing
from pathlib import Path

from deploy.dev.jars import program
from deploy.dev.server import Server


class Node(Server):
    """One Elasticsearch node."""

    heap = "768m"

    @classmethod
    def make(cls, folder: Path, port: int, jvm: list[str] | None = None, tie: Path | None = None) -> Node:
        """A new node on `port` (HTTP) and `port` + 1 (transport), not started yet."""
        folder.mkdir(parents=True)
        (folder / "port").write_text(str(port), "utf-8")
        return cls(folder, jvm, tie)

    @property
    def address(self) -> str:
        """http://HOST:PORT."""
        return f"http://127.0.0.1:{self.port}"

    def command(self) -> list[str]:  # noqa: D102
        place = program("elasticsearch")
        # A heap that never grows is one that Elasticsearch does not complain about.
        return [
            *(f"-Xms{self.heap}", "-cp", f"{place}/classes:{place}/lib/*"),
            *("DevNode", str(place / "home"), str(self.folder), str(self.port), str(self.port + 1)),
        ]

    def answers(self) -> bool:
        """Whether it has a master and all primary shards."""
        with closing(http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)) as connection:
            try:
                connection.request("GET", "/_cluster/health?wait_for_status=yellow&timeout=3s")
                return connection.getresponse().status == 200
            except (OSError, http.client.HTTPException):
                return False
