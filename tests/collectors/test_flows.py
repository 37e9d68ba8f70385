from __future__ import annotations

from captures import ACK, FIN, SYN

from almena.clock import MINUTE, SECOND
from almena.event import Event
from collectors.flows import Flows, community_id
from collectors.pcap import Segment

ME, YOU = b"\x0a\0\0\x05", b"\xc0\0\x02\x01"
T = 1_795_000_000 * SECOND


def there(flags: int = 0, size: int = 100, port: int = 4000, protocol: int = 6) -> Segment:
    return Segment(ME, YOU, protocol, port, 443, flags, size, b"")


def back(flags: int = 0, size: int = 1000, port: int = 4000, protocol: int = 6) -> Segment:
    return Segment(YOU, ME, protocol, 443, port, flags, size, b"")


def run(*packets: tuple[Segment, int], limit: int = 100) -> list[Event]:
    flows = Flows(limit)
    events = [event for segment, moment in packets for event in flows.add(segment, T + moment)]
    return events + list(flows.flush())


def test_both_ways_are_one_flow() -> None:
    (event,) = run((there(SYN), 0), (back(SYN | ACK), 1 * SECOND), (there(ACK), 2 * SECOND))
    assert event == {
        "@timestamp": "2026-11-18T11:06:42.000000Z",
        "event.dataset": "network.flow",
        "event.kind": "event",
        "event.category": ["network"],
        "event.type": ["connection"],
        "event.start": "2026-11-18T11:06:40.000000Z",
        "event.end": "2026-11-18T11:06:42.000000Z",
        "event.duration": 2_000_000_000,
        "network.type": "ipv4",
        "network.transport": "tcp",
        "network.iana_number": "6",
        "network.bytes": 1200,
        "network.packets": 3,
        "network.community_id": community_id((ME, 4000), (YOU, 443), 6),
        "source.ip": "10.0.0.5",
        "source.port": 4000,
        "source.bytes": 200,
        "source.packets": 2,
        "destination.ip": "192.0.2.1",
        "destination.port": 443,
        "destination.bytes": 1000,
        "destination.packets": 1,
    }


def test_an_answer_whose_question_was_not_captured_shows_who_began() -> None:
    (event,) = run((back(SYN | ACK), 0), (there(ACK), 1))
    assert (event["source.ip"], event["source.bytes"]) == ("10.0.0.5", 100)


def test_silence_ends_a_flow() -> None:
    first, second = run((there(), 0), (there(), 2 * MINUTE))
    assert (first["network.packets"], second["network.packets"]) == (1, 1)


def test_other_packets_let_a_silent_flow_end() -> None:
    flows = Flows()
    assert list(flows.add(there(), T)) == []
    (event,) = flows.add(there(port=5000), T + 2 * MINUTE)
    assert event["source.port"] == 4000


def test_a_long_flow_is_told_in_parts() -> None:
    events = run(*[(there(), number * 30 * SECOND) for number in range(200)])
    assert len(events) == 4
    assert sum(event["network.packets"] for event in events) == 200


def test_a_port_taken_again_is_a_new_flow() -> None:
    events = run((there(SYN), 0), (there(FIN | ACK), SECOND), (there(ACK), 2 * SECOND), (there(SYN), 3 * SECOND))
    assert [event["network.packets"] for event in events] == [3, 1]


def test_the_table_is_bounded_and_nothing_is_lost() -> None:
    flows = Flows(50)
    packets = [there(port=number % 5_000) for number in range(10_000)]
    events: list[Event] = []
    for number, segment in enumerate(packets):
        events += flows.add(segment, T + number)
        assert len(flows._flows) <= 50
    events += flows.flush()
    assert sum(event["network.packets"] for event in events) == 10_000


def test_time_that_goes_back_is_survived() -> None:
    (event,) = run((there(), 10 * SECOND), (there(), 5 * SECOND))
    assert event["event.duration"] == 5_000_000_000


def test_what_has_no_ports_has_none() -> None:
    (event,) = run((there(protocol=1, port=0), 0))
    assert event["network.transport"] == "icmp"
    assert "source.port" not in event
    assert "network.community_id" not in event


def test_the_community_id_is_the_one_others_compute() -> None:
    """The example of the specification's own baseline: 128.232.110.120:34855 to 66.35.250.204:80, TCP."""
    source, destination = (bytes([128, 232, 110, 120]), 34855), (bytes([66, 35, 250, 204]), 80)
    assert community_id(source, destination, 6) == community_id(destination, source, 6)
    assert community_id(source, destination, 6) == "1:LQU9qZlK+B5F3KDmev6m5PMibrg="
