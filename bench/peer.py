"""The peer of the Sigma engine's benchmark: RSigma, installed by its name, run on one core, its verdicts read."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from bench.engine_core import one_core

NAME, VERSION = "rsigma", "0.23.0"

ROOT = Path(__file__).parents[1] / ".bench" / "peer"
"""Where it is installed, out of version control."""

ROUTED = ("--logsource-routing",)
"""Its option that leaves out rules whose product, service or category an event contradicts."""

ECS = ("--pipeline", "ecs_windows")
"""Its own mapping of Sigma's field names to ECS."""

_DONE = re.compile(r"Processed (\d+) events, (\d+)(?: detection)? matches")


class PeerError(Exception):
    """The peer cannot be had, or did not do what was asked; the text says what."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """One run of the peer."""

    events: int
    matches: int
    cpu: float
    """Seconds of processor time, its rule load included."""
    wall: float
    """Seconds by the clock, its rule load included."""
    peak: int
    """Peak memory in MiB."""


class _Event(msgspec.Struct):
    bench: int


class _Match(msgspec.Struct):
    rule_id: str
    event: _Event


class Peer:
    """An installed peer."""

    def __init__(self, program: Path) -> None:
        """`program` is its executable."""
        self.program = program

    def run(self, rules: Path, events: Path, options: Sequence[str] = ()) -> Outcome:
        """Every rule below `rules` over the lines of `events`, on one core; verdicts are written to nowhere."""
        with tempfile.TemporaryFile() as said:
            done = one_core(self._command(rules, events, options), stdout=subprocess.DEVNULL, stderr=said)
            said.seek(0)
            text = said.read().decode("utf-8", "replace")
        found = _DONE.search(text)
        if done.code or found is None:
            raise PeerError(f"{NAME} ended with {done.code}: {text[-500:]}")
        return Outcome(int(found[1]), int(found[2]), done.cpu, done.wall, done.peak)

    def pairs(self, rules: Path, events: Path, options: Sequence[str] = ()) -> Iterator[tuple[int, str]]:
        """(number of the event, id of the rule) for every verdict; events carry their number as `bench`."""
        command = [*self._command(rules, events, options), "--include-event", "--quiet"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
            assert process.stdout is not None
            yield from parse(process.stdout)
        if process.returncode:
            raise PeerError(f"{NAME} ended with {process.returncode}")

    def _command(self, rules: Path, events: Path, options: Sequence[str]) -> list[str]:
        own = ["engine", "eval", "--rules", str(rules), "--event", f"@{events}", "--input-format", "json"]
        return [str(self.program), "--output-format", "ndjson", *own, *options]


def parse(lines: Iterable[bytes]) -> Iterator[tuple[int, str]]:
    """The pairs that lines of its output say; raises msgspec.ValidationError for what is no verdict."""
    decoder = msgspec.json.Decoder(_Match)
    for line in lines:
        if line.strip():
            match = decoder.decode(line)
            yield match.event.bench, match.rule_id


def install(root: Path = ROOT) -> Peer:
    """The peer, built by cargo on the first call; raises PeerError when that cannot be."""
    program = root / "bin" / NAME
    if not program.exists():
        cargo = shutil.which("cargo") or shutil.which("cargo", path=str(Path.home() / ".cargo" / "bin"))
        if cargo is None:
            raise PeerError("cargo is not installed, so the peer was not measured")
        command = [cargo, "install", NAME, "--version", VERSION, "--locked", "--root", str(root)]
        print(f"building the peer, once: {NAME} {VERSION} with cargo", flush=True)
        done = subprocess.run(command, check=False, env=os.environ | {"CARGO_TARGET_DIR": str(root / "target")})
        shutil.rmtree(root / "target", ignore_errors=True)
        if done.returncode:
            raise PeerError(f"cargo could not install {NAME} {VERSION}, so the peer was not measured")
    said = subprocess.run([program, "--version"], check=False, capture_output=True, text=True).stdout
    if not said.startswith(f"{NAME} {VERSION}"):
        raise PeerError(f"the peer says {said.strip()!r}, not {NAME} {VERSION}; it was not measured")
    return Peer(program)
