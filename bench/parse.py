"""Parsers on one core, bytes to ECS event, beside the least that must be done: `python -m bench parse`.

Every record is unlike the next. The floor is `json.loads` for JSON and one compiled regular expression with named
groups for lines; for NetFlow it is `struct.iter_unpack` over the same bytes. Where rsyslog is installed its mmnormalize
reads the same lines into the same values (`--no-peer` leaves it out).
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import shutil
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from bench import engine_report
from bench.cluster_report import FEWEST_ROUNDS, Section, Table, markdown, say, span
from bench.correlation import PAGE
from bench.parse_lines import FLOWS, KINDS, RECORD, datagrams, records
from collectors.base import Context
from collectors.netflow.decoder import Datagram, Decoder
from collectors.parsers import PARSERS

BEGIN = "<!-- figures: `make bench-parse` writes from here -->"
CONTEXT = Context(received=1_795_376_040_000_000)
GOALS = {"Windows JSON": 50_000}
_GOAL = 100_000
_HEADER = ["what", "ours, /s", "ours, MB/s", "floor, /s", "ratio to the floor", "mmnormalize, /s", "goal"]

_FLOORS = {
    "syslog + sshd": re.compile(
        r"<(?P<pri>\d+)>(?P<month>\w+) (?P<day>\d+) (?P<time>[\d:]+) (?P<host>\S+) (?P<program>\w+)\[(?P<pid>\d+)\]: "
        r"Failed password for (?P<user>\S+) from (?P<ip>\S+) port (?P<port>\d+)",
        re.ASCII,
    ),
    "nginx": re.compile(
        r'(?P<ip>\S+) \S+ (?P<user>\S+) \[(?P<time>[^\]]+)\] "(?P<method>\S+) (?P<url>\S+) (?P<version>[^"]+)" '
        r'(?P<status>\d+) (?P<size>\d+) "(?P<referrer>[^"]*)" "(?P<agent>[^"]*)"',
        re.ASCII,
    ),
    "FortiGate": re.compile(r'(\w+)=(?:"([^"]*)"|(\S+))', re.ASCII),
}
_RULES = {
    "syslog + sshd": "rule=:<%pri:number%>%month:word% %day:number% %time:word% %host:word% sshd[%pid:number%]: "
    "Failed password for %user:word% from %ip:ipv4% port %port:number% ssh2",
    "nginx": 'rule=:%ip:ipv4% %ident:word% %user:word% [%time:char-to:]%] "%method:word% %url:word% '
    '%version:char-to:"%" %status:number% %size:number% "%referrer:char-to:"%" "%agent:char-to:"%"',
}


def main(given: Sequence[str] | None = None) -> None:
    """Measure, print, and write it down where it is whole."""
    parser = argparse.ArgumentParser(
        prog="python -m bench parse", description="Parsers beside the least there is to do."
    )
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--no-peer", action="store_true")
    asked = parser.parse_args(given)
    load = os.getloadavg()[0]
    rows = []
    say(_HEADER)
    for kind, (name, _) in KINDS.items():
        if name in PARSERS:
            rows.append(_lines(kind, name, asked.rounds, peer=not asked.no_peer))
            say(rows[-1])
    rows.append(_netflow(asked.rounds))
    say(rows[-1])
    section = Section("Parsers", [Table(_HEADER, rows)], asked.rounds, (load + os.getloadavg()[0]) / 2)
    if asked.rounds < FEWEST_ROUNDS:
        print(f"not written: that takes {FEWEST_ROUNDS} rounds")
        return
    head = (
        f"Machine: {engine_report.machine()}; one core, one process; other work ran beside. Python"
        f" {platform.python_version()}. Medians; in brackets the lowest and the highest round."
    )
    engine_report.write(PAGE, f"{head}\n\n{markdown(section)}\n", BEGIN)
    print(f"written to docs/{PAGE.name}")


def _lines(kind: str, name: str, rounds: int, *, peer: bool) -> list[str]:
    lines = records(kind)
    parse = PARSERS[name]
    floor = _floor(kind)

    def each(work: Callable[[bytes], object]) -> None:
        for line in lines:  # and let go of it, as whoever hands it on does
            work(line)

    ours, floors = _alternate(lambda: each(lambda line: parse(line, CONTEXT)), lambda: each(floor), len(lines), rounds)
    theirs = [found for _ in range(rounds) if (found := _mmnormalize(kind, lines))] if peer and kind in _RULES else []
    return _row(kind, ours, floors, sum(map(len, lines)) / len(lines), theirs)


def _floor(kind: str) -> Callable[[bytes], object]:
    pattern = _FLOORS.get(kind)
    if pattern is None:
        return json.loads
    if kind == "FortiGate":
        return lambda line: pattern.findall(line.decode())

    def match(line: bytes) -> object:
        found = pattern.match(line.decode())
        assert found is not None
        return found.groupdict()

    return match


def _netflow(rounds: int) -> list[str]:
    first, *rest = datagrams(2_000)

    def ours() -> int:
        decoder = Decoder()
        count = 0
        for at, data in enumerate([first, *rest]):
            datagram = Datagram(data, "192.0.2.1", 2_055, CONTEXT.received, float(at))
            count += sum(len(events) for events in decoder.decode(datagram))
        assert count == FLOWS * len(rest)
        return count

    def floor() -> int:
        size = RECORD.size * FLOWS
        return sum(len(list(RECORD.iter_unpack(data[24 : 24 + size]))) for data in rest)

    flows = FLOWS * len(rest)
    mine, floors = _alternate(ours, floor, flows, rounds)
    return _row("NetFlow v9", mine, floors, sum(map(len, rest)) / flows, [])


def _alternate(
    ours: Callable[[], object], floor: Callable[[], object], count: int, rounds: int
) -> tuple[list[float], list[float]]:
    """Records a second by processor time, round by round."""
    mine: list[float] = []
    floors: list[float] = []
    for _ in range(rounds):
        for work, found in ((ours, mine), (floor, floors)):
            began = time.process_time()
            work()
            found.append(count / (time.process_time() - began))
    return mine, floors


def _row(kind: str, ours: list[float], floors: list[float], size: float, theirs: list[float]) -> list[str]:
    goal = GOALS.get(kind, _GOAL)
    met = "met" if statistics.median(ours) >= goal else "**missed**"
    return [
        kind,
        span(ours),
        span([rate * size / 1e6 for rate in ours], 1),
        span(floors),
        span([one / other for one, other in zip(ours, floors, strict=True)], 2),
        span(theirs) if theirs else "–",
        f"≥ {goal:,}, {met}",
    ]


def _mmnormalize(kind: str, lines: Sequence[bytes]) -> float:
    """Lines a second of rsyslog from the first it wrote to the last; 0 where it is not installed or wrote too few."""
    program = shutil.which("rsyslogd")
    if program is None:
        return 0.0
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        (place / "rules").write_text(f"version=2\n{_RULES[kind]}\n")
        (place / "in").write_bytes(b"\n".join([*lines] * 5) + b"\n")
        (place / "conf").write_text(
            f"""global(workDirectory="{folder}" maxMessageSize="64k")
module(load="imfile" mode="inotify") module(load="mmnormalize")
template(name="all" type="list") {{ property(name="$!all-json") constant(value="\\n") }}
ruleset(name="r") {{
  action(type="mmnormalize" rulebase="{folder}/rules" useRawMsg="on")
  action(type="omfile" file="{folder}/out" template="all" asyncWriting="on" flushOnTXEnd="off" ioBufferSize="64k")
}}
input(type="imfile" file="{folder}/in" tag="in:" ruleset="r")
"""
        )
        command = [program, "-n", "-f", f"{folder}/conf", "-i", f"{folder}/pid"]
        with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
            try:
                return _watched(place / "out", len(lines) * 5)
            finally:
                process.terminate()


def _watched(path: Path, lines: int, patience: float = 60.0) -> float:
    began = 0.0
    deadline = time.monotonic() + patience
    first = seen = 0
    while time.monotonic() < deadline:
        if path.exists():
            seen = path.read_bytes().count(b"\n")
            if seen and not began:
                began, first = time.monotonic(), seen
            if seen >= lines * 0.99:
                break
        time.sleep(0.02)
    if not began or seen < lines * 0.99 or b"unparsed-data" in path.read_bytes()[:65_536]:
        return 0.0
    return (seen - first) / max(time.monotonic() - began, 1e-3)


if __name__ == "__main__":
    main()
