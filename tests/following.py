"""What tests of followed files share: a tail, what it handed on, and what a detector would have kept of it."""

from __future__ import annotations

from pathlib import Path

from collectors.assemblers import assembler_for
from collectors.base import Raw
from collectors.followed import Reading
from collectors.listing import Listing
from collectors.tail import Tail

LONG = b"".join(b"line %d of a file long enough to be known by its head\n" % number for number in range(60))
LINES = LONG.split(b"\n")[:-1]


def put(path: Path, text: bytes) -> None:
    with path.open("ab") as file:
        file.write(text)


class Follower:
    """A tail, what it handed on, and what a detector that drops repeats would have kept."""

    def __init__(self, folder: Path, pattern: str = "app.log", parser: str = "", **options: object) -> None:
        self.folder = folder
        self.memory = folder / "memory" / "files.json"
        self.patterns = [str(folder / pattern)]
        self.at_end = options.pop("start", "beginning") == "end"
        together = {"limit": 1 << 20, "linger": 0.0, "assembler": assembler_for(parser), **options}
        self.reading = Reading(**together)  # type: ignore[arg-type]
        self.handed: list[Raw] = []
        self.tail = self.opened()

    def opened(self) -> Tail:
        return Tail(Listing(self.patterns), self.memory, self.reading, at_end=self.at_end)

    def read(self) -> list[bytes]:
        """Poll until there is no more; what came is durable."""
        new: list[Raw] = []
        while True:
            new += self.tail.poll()
            self.tail.commit()
            if not self.tail.more:
                self.handed += new
                return [record.data for record in new]

    def restart(self) -> None:
        self.tail.close()
        self.tail = self.opened()

    def lose(self) -> None:
        """Poll once, and be killed between the append and the checkpoint."""
        self.handed += self.tail.poll()
        self.restart()

    def kept(self) -> list[Raw]:
        """Without repeats: a lane's sequence only grows."""
        highest: dict[str, int] = {}
        kept = []
        for record in self.handed:
            if record.seq > highest.get(record.lane, -1):
                highest[record.lane] = record.seq
                kept.append(record)
        return kept
