"""The same correlations over the same lines of JSON: ours, the peer's, and what they mean.

`python -m bench.correlation_peer RULES EVENTS [LATENESS]`: our run, in a process of its own; one line of JSON out.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path

import msgspec

from almena.bus import ALERTS, EVENTS, HITS, Stored
from almena.clock import SECOND, parse_time
from almena.detect import Detect
from almena.heap import settle
from almena.stage import LARGEST_STEP
from almena.state import Partition
from bench.correlation_events import Pairs, by_id
from bench.correlation_load import Role, Watch
from bench.engine_core import peak, pin
from bench.peer import NAME, Peer, PeerError
from detectors.sigma.detector import SigmaDetector, operators
from detectors.sigma.loader import load_rules

OPTIONS = ("--logsource-routing", "--timestamp-field", "@timestamp", "--max-state-entries", "10000000")
"""The peer's options beside its defaults: no state is left out for lack of room."""

QUIET = ("--suppress", "5m", "--no-detections")
"""Its options for as few alerts as it gives: one in a timespan."""

SOURCE = "auth"

LATENESS = 5 * SECOND
"""What detect waits for where nothing else is said."""


class Ours(msgspec.Struct):
    """One run of ours."""

    events: int
    cpu: float
    """Seconds of processor time, from bytes to alerts, rules loaded before."""
    wall: float
    detecting: float
    """What of `cpu` the detect role took: bytes to hits."""
    saving: float
    """Processor seconds, beside that, to encode what has to be committed at each step."""
    peak: int
    """Peak memory in MiB."""
    revisions: int
    pairs: list[tuple[str, str]]
    """(correlation, source) of every alert."""


class _Root(msgspec.Struct):
    rule: str
    group: dict[str, str]


class _Explanation(msgspec.Struct):
    root: _Root


class _Alert(msgspec.Struct):
    explanation: _Explanation = msgspec.field(name="almena.alert.explanation")


class _Found(msgspec.Struct):
    rule_id: str
    group_key: list[tuple[str, str]] | None = None
    """None where it is no correlation."""


def _records(path: Path) -> Iterator[Stored]:
    """Lines as records of the bus; an event is appended when the latest so far had happened."""
    latest = 0
    with path.open("rb") as file:
        for number, line in enumerate(file):
            moment = line[len(b'{"@timestamp":"') :].partition(b'"')[0].decode()
            latest = max(latest, parse_time(moment))
            headers = {"source": SOURCE, "lane": "l", "seq": str(number)}
            yield Stored(EVENTS, 0, number, latest, "auth/l", line, headers)


def ours(rules: Path, events: Path, lateness: int = LATENESS) -> Ours:
    """Both roles in one process, in steps as large as the product's, without the bus between them.

    Events may be `lateness` microseconds late.
    """
    ruleset = load_rules([rules], mode="native")
    if ruleset.rejected:
        raise ValueError(ruleset.rejected[0].reason)
    detector = SigmaDetector(ruleset)
    late = {SOURCE: lateness}
    detect = Detect(0, Partition(), selectors=[detector], hit_partitions=1, lateness=late, seal=lambda _: "")
    role = Role(operators(ruleset, limit=10_000_000))
    records = list(_records(events))
    number = len(records)
    records.append(Stored(EVENTS, 0, number, records[-1].time, "", b"", {"marker": "end"}))
    settle()
    found = Ours(number, 0.0, 0.0, 0.0, 0.0, 0, 0, [])
    alerts: list[bytes] = []
    steps, watch = iter(records), Watch()
    while step := list(islice(steps, LARGEST_STEP)):
        detecting = Watch()
        given = role.stored(detect.step(step).get(HITS, ()))
        found.detecting += detecting.cpu
        while given:
            outputs = role.step(given)
            alerts += [record.value for record in outputs.get(ALERTS, ())]
            # Results for other correlations come back by way of the bus.
            given = role.stored(outputs.get(HITS, ()))
        saving = Watch()
        detect.state.changes()
        role.changes()
        found.saving += saving.cpu
    found.cpu, found.wall = watch.cpu - found.saving, watch.wall
    found.peak, found.revisions = peak(), len(alerts)
    roots = [msgspec.json.decode(alert, type=_Alert).explanation.root for alert in alerts]
    titles = by_id()
    found.pairs = sorted({(titles[root.rule], root.group["source"]) for root in roots})
    return found


def start(rules: Path, events: Path, lateness: int = LATENESS) -> Ours:
    """Our run in a process of its own, on one core; raises CalledProcessError."""
    command = [sys.executable, "-m", "bench.correlation_peer", str(rules), str(events), str(lateness)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, cwd=Path(__file__).parents[1])
    return msgspec.json.decode(done.stdout, type=Ours)


def theirs(peer: Peer, rules: Path, events: Path, options: Sequence[str]) -> Pairs:
    """(correlation, source) of every alert of the peer, the source empty where it took one for missing."""
    command = [str(peer.program), "--output-format", "ndjson", "engine", "eval", "--rules", str(rules)]
    command += ["--event", f"@{events}", "--input-format", "json", "--quiet", *options]
    titles, decode = by_id(), msgspec.json.Decoder(_Found).decode
    found: Pairs = set()
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        assert process.stdout is not None
        for line in process.stdout:
            match = decode(line)
            if match.group_key is not None:
                found.add((titles[match.rule_id], dict(match.group_key).get("source", "")))
    if process.returncode:
        raise PeerError(f"{NAME} ended with {process.returncode}")
    return found


def main() -> None:
    """Our run over what the command line names."""
    pin()
    rules, events, *lateness = sys.argv[1:]
    found = ours(Path(rules), Path(events), *map(int, lateness))
    sys.stdout.buffer.write(msgspec.json.encode(found) + b"\n")


if __name__ == "__main__":
    main()
