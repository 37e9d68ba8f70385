"""Sends syslog messages at a pace, as a process: `python -m bench.listeners_sender udp HOST PORT RATE SECONDS`."""

from __future__ import annotations

import socket
import sys
import time

import msgspec

_LINES = 1_000
_SHORTEST = 0.0005  # seconds of sleep between two bursts


def lines() -> list[bytes]:
    """Lines as a busy server's sshd writes them, none like another, 115 bytes or so."""
    return [
        b"<86>Nov 22 19:34:%02d portal-%d sshd[%d]: Failed password for invalid user ana%d from 198.51.100.%d"
        b" port %d ssh2" % (n % 60, n % 7, 2_000 + n, n, n % 250, 30_000 + n)
        for n in range(_LINES)
    ]


def main() -> None:
    """Send, then say how many and in what time, as JSON."""
    kind, host, port, rate, seconds = sys.argv[1], sys.argv[2], int(sys.argv[3]), float(sys.argv[4]), float(sys.argv[5])
    type_ = socket.SOCK_DGRAM if kind == "udp" else socket.SOCK_STREAM
    with socket.socket(socket.AF_INET, type_) as sock:
        sock.connect((host, port))
        sent, took = paced(sock, kind == "udp", rate, seconds)
    print(msgspec.json.encode({"sent": sent, "seconds": took}).decode())


def paced(sock: socket.socket, datagrams: bool, rate: float, seconds: float) -> tuple[int, float]:
    """How many were sent in how long; a receiver that holds the stream up makes it fewer."""
    texts = lines()
    total, sent = int(rate * seconds), 0
    began = time.perf_counter()
    while sent < total and time.perf_counter() - began < 3 * seconds:
        due = min(total, int((time.perf_counter() - began) * rate))
        if due == sent:
            time.sleep(_SHORTEST)
            continue
        burst = [texts[number % _LINES] for number in range(sent, due)]
        if datagrams:
            for text in burst:
                sock.send(text)
        else:
            sock.sendall(b"\n".join([*burst, b""]))
        sent = due
    return sent, time.perf_counter() - began


if __name__ == "__main__":
    main()
