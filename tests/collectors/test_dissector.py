from __future__ import annotations

import ast
import subprocess
import sys
import time
from pathlib import Path

from captures import client_hello, dns
from hypothesis import given, settings
from hypothesis import strategies as st

import collectors.dissector
from collectors.dissector import BATCH, Dissector, Found

FOLDER = Path(collectors.dissector.__file__).parent
HTTP = b"GET /a HTTP/1.1\r\nHost: www.example\r\nUser-Agent: curl/8\r\n\r\n"

FAULTY = """
import json, struct, sys, time
print('"ready"', flush=True)
while len(header := sys.stdin.buffer.read(5)) == 5:
    payload = sys.stdin.buffer.read(struct.unpack("!I", header[:4])[0])
    if payload == b"hang":
        time.sleep(60)
    if payload == b"die":
        sys.exit(1)
    print("rubbish" if payload == b"rubbish" else json.dumps({"name": payload.decode()}), flush=True)
"""


def faulty(folder: Path, **options: float) -> Dissector:
    program = folder / "faulty.py"
    program.write_text(FAULTY)
    return Dissector(program=program, **options)  # type: ignore[arg-type]


def names(found: list[Found | None]) -> list[str | None]:
    return [None if item is None else item.name for item in found]


def test_names_are_found() -> None:
    packets = [
        (b"D", dns("portal.example")),
        (b"D", dns("portal.example", addresses=["192.0.2.1", "192.0.2.2"])),
        (b"D", dns("nothing.example", code=3, addresses=[])),
        (b"T", client_hello("tls.example")),
        (b"T", client_hello(None)),
        (b"H", HTTP),
        (b"H", b"GET"),
        (b"?", b"x"),
    ]
    with Dissector() as dissector:
        query, answer, missing, hello, nameless, request, _, unknown = dissector.find(packets)
        assert dissector.skipped == 0
    assert query == Found(id=7, name="portal.example", type="A")
    assert answer is not None
    assert answer.answers == [("A", "192.0.2.1"), ("A", "192.0.2.2")]
    assert missing is not None
    assert (missing.response, missing.code) == (True, 3)
    assert hello is not None
    assert (hello.name, hello.version) == ("tls.example", 0x0304)
    assert nameless is not None
    assert nameless.name == ""
    assert request == Found(method="GET", path="/a", host="www.example", agent="curl/8")
    assert unknown is None


def test_a_packet_it_hangs_on_is_skipped_and_the_others_are_answered(tmp_path: Path) -> None:
    with faulty(tmp_path, patience=0.5) as dissector:
        began = time.monotonic()
        found = dissector.find([(b"D", text) for text in (b"a", b"hang", b"b", b"die", b"c", b"rubbish", b"d")])
        assert time.monotonic() - began < 10
        assert names(found) == ["a", None, "b", None, "c", None, "d"]
        assert dissector.skipped == 2
        assert names(dissector.find([(b"D", b"again")])) == ["again"]


def test_what_makes_it_die_over_and_over_is_given_up(tmp_path: Path) -> None:
    with faulty(tmp_path, restarts=2) as dissector:
        for _ in range(3):
            assert dissector.find([(b"D", b"die")] * BATCH) == [None] * BATCH
        assert dissector.skipped == 3 * BATCH


def test_a_program_that_does_not_start_is_given_up(tmp_path: Path) -> None:
    with Dissector(program=tmp_path / "missing.py", restarts=1) as dissector:
        assert dissector.find([(b"D", b"x")]) == [None]
        assert dissector.skipped == 1


def test_long_payloads_and_answers_do_not_block() -> None:
    label = "x" * 60
    name = ".".join([label] * 4)
    with Dissector(patience=5) as dissector:
        for _ in range(3):
            found = dissector.find([(b"D", dns(name) + b"\0" * 100_000)] * BATCH)
            assert names(found) == [name] * BATCH
        assert dissector.skipped == 0


@settings(max_examples=1, deadline=None)
@given(st.lists(st.tuples(st.sampled_from([b"D", b"T", b"H"]), st.binary(max_size=600)), min_size=200, max_size=200))
def test_any_bytes_are_answered(packets: list[tuple[bytes, bytes]]) -> None:
    """Beginnings that lead deep into scapy, and then noise."""
    heads = {b"D": dns("a.example", addresses=["192.0.2.1"]), b"T": client_hello("a.example"), b"H": HTTP}
    mixed = [(kind, heads[kind][: len(noise) % 300] + noise) for kind, noise in packets]
    with Dissector() as dissector:
        for start in range(0, len(mixed), BATCH):
            assert len(dissector.find(mixed[start : start + BATCH])) == len(mixed[start : start + BATCH])
        assert dissector.skipped == 0


def test_only_the_process_of_its_own_imports_scapy() -> None:
    imports = {path.name: modules(path) for path in FOLDER.rglob("*.py")}
    assert [name for name, found in imports.items() if "scapy" in found] == ["dissect.py"]
    assert imports["dissect.py"] <= {"scapy", *sys.stdlib_module_names}
    assert not any("dissect" in found for found in imports.values())
    code = "import sys, collectors.packets; sys.exit('scapy' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=FOLDER.parent)


def modules(path: Path) -> set[str]:
    """The top packages a file imports; of the project's own, the module itself."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name.removeprefix("collectors.").split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module.removeprefix("collectors.").split(".")[0])
    return found
