"""What strangers may post: JSON that breaks readers, bombs, and connections that only hold on."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import resource
import time
from collections import Counter
from pathlib import Path

import httpx
import pytest
import zstandard
from posting import SECRET, http, running
from sinks import Kept, events, letters

from almena.bus import open_bus
from collectors.http import Token
from collectors.intake import Intake
from collectors.parsers import PARSERS

TIME = b'"@timestamp":"2026-11-22T19:34:00Z"'
FIRST, LAST = b'{"n":1,' + TIME + b"}", b'{"n":2,' + TIME + b"}"
HOSTILE = {
    "arrays 100,000 deep": b"{" + TIME + b',"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    "objects 100,000 deep": b"{" + TIME + b',"a":' + b'{"a":' * 100_000 + b"1" + b"}" * 100_000 + b"}",
    "unclosed": b"{" + TIME + b',"a":' + b"{" * 100_000,
    "a million digits": b"{" + TIME + b',"a":' + b"9" * 1_000_000 + b"}",
    "an exponent": b"{" + TIME + b',"a":1e999999999}',
    "NaN": b"{" + TIME + b',"a":NaN}',
    "infinity": b"{" + TIME + b',"a":-Infinity}',
    "a lone surrogate": b"{" + TIME + b',"a":"\\ud800"}',
    "a surrogate in UTF-8": b"{" + TIME + b',"a":"\xed\xa0\x80"}',
    "no UTF-8": b"{" + TIME + b',"a":"\xff"}',
    "UTF-16": ('{"a":1}').encode("utf-16"),
    "NUL": b"{" + TIME + b',"a":"\x00"}',
    "10,000 fields": b"{" + TIME + b"".join(b',"f%d":1' % number for number in range(10_000)) + b"}",
    "no object": b"[1,2]",
    "no JSON": b"<html>",
}


def posted(path: str, body: bytes, folder: Path, kind: str) -> tuple[httpx.Response, list[int], int]:
    """The answer, the numbers of the events that arrived, and how many records are dead letters."""
    bus = open_bus(f"sqlite:{folder / 'bus.sqlite'}")
    tokens = {"app": Token(agency="finanzas", token=SECRET)}

    async def run() -> httpx.Response:
        intake = Intake(bus, parsers=PARSERS, mask=lambda event: event, seal=bytes.hex)
        async with intake as sink, running(http(tokens=tokens), sink) as client:
            return await client.post(path, content=body, headers={"Content-Type": kind})

    answer = asyncio.run(run())
    arrived = [int(event["n"]) for event in events(bus) if "n" in event]
    dead = len(letters(bus))
    bus.close()
    return answer, arrived, dead


FORMS = [(form, name) for form in ("lines", "array", "bulk") for name in HOSTILE]
FORMS.remove(("array", "unclosed"))  # there the others are inside of it


@pytest.mark.parametrize(("form", "name"), FORMS)
def test_a_record_that_breaks_readers_is_a_dead_letter_and_costs_no_other(form: str, name: str, tmp_path: Path) -> None:
    bad = HOSTILE[name]
    if form == "lines":
        answer, arrived, dead = posted("/v1/events", b"\n".join((FIRST, bad, LAST)), tmp_path, "application/x-ndjson")
    elif form == "array":
        body = b"[" + b",".join((FIRST, bad, LAST)) + b"]"
        answer, arrived, dead = posted("/v1/events", body, tmp_path, "application/json")
    else:
        body = b"".join(b'{"create":{}}\n' + each + b"\n" for each in (FIRST, bad, LAST))
        answer, arrived, dead = posted("/_bulk", body, tmp_path, "application/x-ndjson")
        assert [item["create"]["status"] for item in answer.json()["items"]] == [201] * 3
    assert answer.status_code == 200
    assert (arrived, dead) == ([1, 2], 1)


def test_of_equal_keys_the_last_counts(tmp_path: Path) -> None:
    body = b'{"n":7,' + TIME + b',"n":8}'
    _, arrived, dead = posted("/v1/events", body, tmp_path, "application/x-ndjson")
    assert (arrived, dead) == ([8], 0)


@pytest.mark.parametrize("path", ["/v1/events", "/_bulk"])
@pytest.mark.parametrize("encoding", ["gzip", "zstd"])
def test_bombs_are_refused_and_take_no_memory(path: str, encoding: str) -> None:
    """Twenty at once, each of them hundreds of times what may be held."""
    if encoding == "gzip":
        bomb = gzip.compress(bytes(256 << 20), mtime=0, compresslevel=5)
    else:
        stream = zstandard.ZstdCompressor(write_content_size=False).compressobj()
        block = bytes(8 << 20)
        bomb = b"".join([stream.compress(block) for _ in range(64)]) + stream.flush()

    async def run() -> list[int]:
        async with running(http(max_body=1 << 20), Kept()) as client:
            before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
            headers = {"Content-Encoding": encoding}
            asked = [client.post(path, content=bomb, headers=headers) for _ in range(20)]
            answers = [answer.status_code for answer in await asyncio.gather(*asked)]
            assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 300 << 10
            assert (await client.post("/v1/events", content=FIRST)).status_code == 200
            return answers

    assert len(bomb) < 1 << 20
    assert asyncio.run(run()) == [413] * 20


def test_idle_connections_make_room_for_who_speaks() -> None:
    """Far more connections than may be open, from one address; who asks is answered all the while."""
    most, idle = 50, 600

    async def run() -> tuple[Counter[int], int]:
        collector = http(max_connections=most)
        answers: Counter[int] = Counter()
        async with running(collector, Kept()) as client:
            host, _, port = collector.address.rpartition(":")
            opened = []
            for number in range(idle):
                opened.append(await asyncio.open_connection(host, int(port)))
                if number % 60 == 59:
                    answers[await _ask(client)] += 1
            await asyncio.sleep(0.2)
            alive = sum(not reader.at_eof() for reader, _ in opened)
            for _, writer in opened:
                writer.close()
                with contextlib.suppress(ConnectionError):
                    await writer.wait_closed()
        return answers, alive

    began = time.monotonic()
    answers, alive = asyncio.run(run())
    assert answers == Counter({200: 10})
    assert alive <= 50
    assert time.monotonic() - began < 30


async def _ask(client: httpx.AsyncClient) -> int:
    """A client whose idle connection had to go asks once more, as clients do."""
    for _ in range(3):
        with contextlib.suppress(httpx.HTTPError):
            return (await client.post("/v1/events", content=b"1")).status_code
    return 0
