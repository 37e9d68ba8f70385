"""Webhooks reach a real server, and nothing but the one that was meant."""

from __future__ import annotations

import hashlib
import hmac
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import msgspec
import pytest
from webhooks import Server, status

from almena.clock import Span
from almena.desk.notify import Message, Webhook
from almena.desk.notify.base import NotifyError
from almena.desk.notify.webhook import _is_public
from almena.errors import ConfigError

MESSAGE = Message(
    key="k1",
    title="[Alta] Título",
    text="Qué pasó: x\nQué hacer: y",
    level="high",
    agency="fin",
    alert="202605-a",
    group="g",
    rule="r1",
    time="2026-05-28T20:26:40.000000Z",
)


@pytest.fixture
def server() -> Iterator[Server]:
    opened = Server()
    yield opened
    opened.close()


def hook(server: Server, **options: Any) -> Webhook:
    usual: dict[str, Any] = {"url": f"http://127.0.0.1:{server.port}/in?x=1", "allow_http": True, "allow_private": True}
    return Webhook(**(usual | options))


def test_the_message_arrives_as_json(server: Server) -> None:
    hook(server).send(MESSAGE)
    ((path, headers, body),) = server.requests
    assert path == "/in?x=1"
    assert headers["Host"] == f"127.0.0.1:{server.port}"
    assert headers["Content-Type"] == "application/json"
    assert headers["Idempotency-Key"] == "k1"
    assert "Almena-Signature" not in headers
    assert msgspec.json.decode(body, type=Message) == MESSAGE


def test_it_is_signed_with_the_secret(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    secret = tmp_path / "secret"
    secret.write_text("s3cret\n")
    monkeypatch.setenv("HOOK_SECRET", "s3cret")
    hook(server, secret_file=str(secret)).send(MESSAGE)
    hook(server, secret_env="HOOK_SECRET").send(MESSAGE)
    for _, headers, body in server.requests:
        moment, _, digest = headers["Almena-Signature"].removeprefix("t=").partition(",v1=")
        expected = hmac.new(b"s3cret", f"{moment}.".encode() + body, hashlib.sha256).hexdigest()
        assert hmac.compare_digest(digest, expected)
        assert abs(int(moment) - time.time_ns() // 10**9) < 60


@pytest.mark.parametrize("code", [400, 401, 404, 429, 500, 503])
def test_an_error_is_an_error(server: Server, code: int) -> None:
    server.answers = [status(code)]
    with pytest.raises(NotifyError, match=f"127.0.0.1: answered {code}"):
        hook(server).send(MESSAGE)


@pytest.mark.parametrize("code", [301, 302, 303, 307, 308, 304])
def test_a_redirect_is_not_followed(server: Server, code: int) -> None:
    other = Server()
    server.answers = [status(code, Location=f"http://127.0.0.1:{other.port}/")]
    with pytest.raises(NotifyError, match="redirect"):
        hook(server).send(MESSAGE)
    assert other.requests == []
    other.close()


def test_a_server_that_hangs_costs_the_timeout_and_no_more(server: Server) -> None:
    released = threading.Event()
    server.answers = [lambda handler: released.wait(10)]
    started = time.monotonic()
    with pytest.raises(NotifyError, match="no answer within 300ms"):
        hook(server, timeout=Span(300_000)).send(MESSAGE)
    assert time.monotonic() - started < 3
    released.set()


def test_a_server_that_drips_costs_the_timeout_and_no_more(server: Server) -> None:
    def drip(handler: BaseHTTPRequestHandler) -> None:
        for byte in b"HTTP/1.1 200 OK\r\nX-A: " + b"a" * 1_000:
            try:
                handler.wfile.write(bytes([byte]))
            except OSError:
                return
            time.sleep(0.05)

    server.answers = [drip]
    started = time.monotonic()
    with pytest.raises(NotifyError, match="no answer"):
        hook(server, timeout=Span(400_000)).send(MESSAGE)
    assert time.monotonic() - started < 3


def test_an_endless_answer_is_cut(server: Server) -> None:
    sent = 0

    def endless(handler: BaseHTTPRequestHandler) -> None:
        nonlocal sent
        handler.send_response(200)
        handler.send_header("Connection", "close")
        handler.end_headers()
        try:
            while sent < 200_000_000:
                sent += handler.wfile.write(b"x" * 65_536)
        except OSError:
            pass
        handler.close_connection = True

    server.answers = [endless]
    hook(server).send(MESSAGE)
    time.sleep(0.1)
    assert sent < 50_000_000


def test_no_answer_in_http(server: Server) -> None:
    server.answers = [lambda handler: handler.wfile.write(b"\x00\xff garbage\r\n\r\n")]
    with pytest.raises(NotifyError):
        hook(server).send(MESSAGE)


def test_a_private_address_is_refused(server: Server) -> None:
    for url in (
        "http://127.0.0.1:{0}/",
        "http://localhost:{0}/",
        "http://[::ffff:127.0.0.1]:{0}/",
        "http://0.0.0.0:{0}/",
    ):
        with pytest.raises(NotifyError, match="private address"):
            hook(server, url=url.format(server.port), allow_private=False).send(MESSAGE)
    assert server.requests == []


def test_the_address_that_was_judged_is_the_one_called(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """A name that points elsewhere at the second look (DNS rebinding) gains nothing: there is no second look."""
    looked: list[str] = []
    real = socket.getaddrinfo

    def resolve(host: Any, *arguments: Any, **options: Any) -> Any:
        looked.append(str(host))
        return real("127.0.0.1" if host == "hook.example.mx" else host, *arguments, **options)

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    hook(server, url=f"http://hook.example.mx:{server.port}/").send(MESSAGE)
    assert looked.count("hook.example.mx") == 1
    assert server.requests[0][1]["Host"] == f"hook.example.mx:{server.port}"
    with pytest.raises(NotifyError, match="private address"):
        hook(server, url=f"http://hook.example.mx:{server.port}/", allow_private=False).send(MESSAGE)


def test_errors_never_tell_the_path(server: Server) -> None:
    server.answers = [status(500), status(302), lambda handler: None]
    for _ in range(3):
        with pytest.raises(NotifyError) as caught:
            hook(server, url=f"http://127.0.0.1:{server.port}/T0KEN", timeout=Span(500_000)).send(MESSAGE)
        assert "T0KEN" not in str(caught.value)


def test_the_environment_sets_no_proxy(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    hook(server).send(MESSAGE)
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"url": "http://a.mx/"}, "allow_http"),
        ({"url": "ftp://a.mx/"}, "https://"),
        ({"url": "file:///etc/passwd"}, "https://"),
        ({"url": "https:///x"}, "name a host"),
        ({"url": "https://user:pass@a.mx/"}, "no user or password"),
        ({"url": "https://a.mx:99999/"}, "no valid address"),
        ({"url": "https://[::1/"}, "no valid address"),
        ({"url": "https://a.mx/", "hosts": ["b.mx"]}, "the host a.mx is not among hosts"),
        ({"url": "https://a.mx/", "secret_env": "ALMENA_NO_SUCH"}, "is not set"),
        ({"url": "https://a.mx/", "secret_file": "/no/such/file"}, "cannot be read"),
        ({"url": "https://a.mx/", "secret_file": "x", "secret_env": "y"}, "not both"),
    ],
)
def test_what_may_not_be_called_is_refused_at_the_start(options: dict[str, Any], says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        Webhook(**options)


def test_a_certificate_for_another_name_is_refused(tmp_path: Path) -> None:
    """Calling the pinned address must not weaken TLS: an unknown certificate ends the call."""
    import datetime
    import ssl

    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "other.example")])
    start = datetime.datetime(2025, 1, 1, tzinfo=datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(start)
        .not_valid_after(start + datetime.timedelta(days=36_500))
        .sign(key, hashes.SHA256())
    )
    pem = tmp_path / "pair.pem"
    pem.write_bytes(
        certificate.public_bytes(serialization.Encoding.PEM)
        + key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem)
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        connection, _ = listener.accept()
        with connection, suppress(OSError):
            context.wrap_socket(connection, server_side=True).close()

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    with pytest.raises(NotifyError, match="CERTIFICATE_VERIFY_FAILED"):
        Webhook(url=f"https://localhost:{listener.getsockname()[1]}/", allow_private=True).send(MESSAGE)
    thread.join(5)
    listener.close()


@pytest.mark.parametrize(
    ("address", "public"),
    [
        ("8.8.8.8", True),
        ("2606:4700::1111", True),
        ("10.0.0.1", False),
        ("127.0.0.1", False),
        ("169.254.169.254", False),
        ("172.16.0.1", False),
        ("192.168.1.1", False),
        ("100.64.0.1", False),
        ("0.0.0.0", False),
        ("224.0.0.1", False),
        ("255.255.255.255", False),
        ("::1", False),
        ("::", False),
        ("fe80::1%eth0", False),
        ("fc00::1", False),
        ("::ffff:10.0.0.1", False),
        ("2002:0a00:0001::1", False),
        ("64:ff9b::a00:1", False),
        ("ff02::1", False),
    ],
)
def test_public_addresses(address: str, public: bool) -> None:
    assert _is_public(address) is public
