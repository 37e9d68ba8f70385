"""RSigma's daemon under the same load, and the one way in which both sides are fed: lines of JSON posted by HTTP."""

from __future__ import annotations

import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import httpx
from installation import TOKEN

from bench.cluster_place import spent
from bench.peer import NAME, ROUTED, PeerError, install

SENDERS = 4
"""Requests under way at the same time."""

_BODY = 900_000  # bytes; the peer takes no more than a megabyte
_BATCH = 500
_PATIENCE = 300.0
_AGAIN = (429, 503)
_DONE = "rsigma_events_processed_total"
_DELIVERED = "rsigma_detection_matches_total"


class Fed(NamedTuple):
    """One request."""

    number: int
    body: bytes
    events: int


def posts(lines: Sequence[bytes]) -> list[Fed]:
    """Lines of JSON in requests of at most 500 events that both sides take."""
    found: list[Fed] = []
    part: list[bytes] = []
    size = 0
    for line in lines:
        if part and (size + len(line) + 1 > _BODY or len(part) >= _BATCH):
            found.append(Fed(len(found), b"\n".join(part), len(part)))
            part, size = [], 0
        part.append(line)
        size += len(line) + 1
    if part:
        found.append(Fed(len(found), b"\n".join(part), len(part)))
    return found


def post_all(url: str, bodies: Sequence[Fed], headers: Callable[[Fed], Mapping[str, str]]) -> None:
    """Post everything, some requests at a time, each until it is accepted; raises RuntimeError where one is refused."""

    def post(client: httpx.Client, each: Fed) -> None:
        deadline = time.monotonic() + _PATIENCE
        while (answer := client.post(url, content=each.body, headers=headers(each))).status_code in _AGAIN:
            if time.monotonic() > deadline:
                break
            time.sleep(0.02)
        if answer.status_code >= 300:
            raise RuntimeError(f"{url}: {answer.status_code} {answer.text[:200]}")

    with httpx.Client(timeout=60) as client, ThreadPoolExecutor(SENDERS) as pool:
        for done in [pool.submit(post, client, each) for each in bodies]:
            done.result()


def post_ours(port: int, bodies: Sequence[Fed]) -> None:
    """Post to our HTTP collector; every answer means durable."""

    def headers(each: Fed) -> dict[str, str]:
        said = {"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/x-ndjson"}
        return said | {"Idempotency-Key": f"b{each.number}"}

    post_all(f"http://127.0.0.1:{port}/v1/events", bodies, headers)


def daemon(rules: Path, bodies: Sequence[Fed]) -> tuple[float, float, int]:
    """Seconds by the clock and of the processor until all events are worked off, and how many lines are in its file.

    Raises PeerError when it cannot be had or does not do it.
    """
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "matches.ndjson"
        with _running(rules, out, Path(folder) / "log") as (process, url), httpx.Client(timeout=30) as client:
            before, began = spent({NAME: process.pid})[NAME], time.monotonic()
            post_all(f"{url}/api/v1/events", bodies, lambda _: {"Content-Type": "application/x-ndjson"})
            wanted = sum(each.events for each in bodies)
            _wait(lambda: counter(client.get(f"{url}/metrics").text, _DONE) >= wanted, process)
            matches = counter(client.get(f"{url}/metrics").text, _DELIVERED)
            _wait(lambda: _lines(out) >= matches, process)
            return time.monotonic() - began, spent({NAME: process.pid})[NAME] - before, _lines(out)


@contextmanager
def _running(rules: Path, out: Path, log: Path) -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{probe.getsockname()[1]}"
    command = [str(install().program), "engine", "daemon", "--rules", str(rules), "--api-addr", address, *ROUTED]
    command += ["--input", "http", "--input-format", "json", "--output", f"file://{out}"]
    command += ["--batch-size", str(_BATCH), "--buffer-size", "100000"]
    with log.open("wb") as said:
        process = subprocess.Popen(command, stdout=said, stderr=said)
    try:
        with httpx.Client(timeout=5) as client:
            _wait(lambda: _answers(client, f"http://{address}/readyz"), process)
        yield process, f"http://{address}"
    finally:
        process.kill()
        process.wait()


def _answers(client: httpx.Client, url: str) -> bool:
    try:
        return client.get(url).status_code == 200
    except httpx.HTTPError:
        return False


def _wait(condition: Callable[[], bool], process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + _PATIENCE
    while not condition():
        if process.poll() is not None or time.monotonic() > deadline:
            raise PeerError(f"{NAME}'s daemon did not do it (exit code {process.returncode})")
        time.sleep(0.02)


def _lines(path: Path) -> int:
    return path.read_bytes().count(b"\n") if path.exists() else 0


def counter(text: str, name: str) -> int:
    """A counter of a page of Prometheus metrics, all its series together; 0 where there is none."""
    total = 0.0
    for line in text.splitlines():
        if line.partition("{")[0].partition(" ")[0] == name:
            total += float(line.rpartition(" ")[2])
    return int(total)
