"""The proxies before Elasticsearch do what their names say, to the client that the product uses."""

from __future__ import annotations

import secrets
import ssl
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import msgspec
import proxies
import pytest
from elasticsearch import ApiError, AuthenticationException, Elasticsearch, UnsupportedProductError
from elasticsearch import ConnectionError as NoConnection
from proxies import CheckingProxy, FaultyProxy


@pytest.fixture(scope="module")
def index(elasticsearch: str) -> Iterator[str]:
    name = f"proxies-{secrets.token_hex(4)}"
    settings = {"settings": {"number_of_replicas": 0}, "mappings": {"properties": {"n": {"type": "long"}}}}
    assert httpx.put(f"{elasticsearch}/{name}", json=settings, timeout=30).status_code == 200
    yield name
    httpx.delete(f"{elasticsearch}/{name}", timeout=30)


@pytest.fixture
def faulty(elasticsearch: str) -> Iterator[FaultyProxy]:
    with FaultyProxy(elasticsearch) as proxy:
        yield proxy


@pytest.fixture
def client(faulty: FaultyProxy) -> Iterator[Elasticsearch]:
    with Elasticsearch(faulty.url, max_retries=0, request_timeout=30) as made:
        yield made


def bulk(*ids: str, n: Any = 1) -> list[dict[str, Any]]:
    return [line for identifier in ids for line in ({"create": {"_id": identifier}}, {"n": n})]


def statuses(answer: Any) -> list[int]:
    return [item["create"]["status"] for item in answer["items"]]


def test_what_is_not_spoiled_passes_unchanged(
    faulty: FaultyProxy, client: Elasticsearch, elasticsearch: str, index: str
) -> None:
    client.index(index=index, id="passes", document={"n": 7, "text": "ñ"})
    path = f"/{index}/_doc/passes"
    through, direct = httpx.get(faulty.url + path), httpx.get(elasticsearch + path)
    assert (through.status_code, through.content) == (direct.status_code, direct.content)
    assert through.headers["x-elastic-product"] == "Elasticsearch"
    assert client.exists(index=index, id="passes")
    assert not client.exists(index=index, id="nobody")
    assert faulty.failed == 0
    assert [request.method for request in faulty.seen] == ["PUT", "GET", "HEAD", "HEAD"]


def test_compressed_requests_are_understood(faulty: FaultyProxy, index: str) -> None:
    faulty.fail(proxies.refuse_items(429, ids=["gz1"]))
    with Elasticsearch(faulty.url, http_compress=True) as client:
        assert statuses(client.bulk(index=index, operations=bulk("gz1", "gz2"))) == [429, 201]


@pytest.mark.parametrize(("fault", "status"), [(proxies.too_many, 429), (proxies.unavailable, 503)])
def test_whole_requests_are_refused_as_often_as_told(
    fault: proxies.Fault, status: int, faulty: FaultyProxy, client: Elasticsearch
) -> None:
    faulty.fail(fault, times=2, path="_cluster")
    client.indices.exists(index="nobody")
    for _ in range(2):
        with pytest.raises(ApiError) as refused:
            client.cluster.health()
        assert refused.value.status_code == status
    assert client.cluster.health()["status"]
    assert faulty.failed == 2


def test_items_are_refused_and_not_done(faulty: FaultyProxy, client: Elasticsearch, index: str) -> None:
    faulty.fail(proxies.refuse_items(503, count=2), path="_bulk", times=1)
    answer = client.bulk(index=index, operations=bulk("i1", "i2", "i3"))
    assert answer["errors"]
    assert statuses(answer) == [503, 503, 201]
    assert [bool(client.exists(index=index, id=each)) for each in ("i1", "i2", "i3")] == [False, False, True]
    assert statuses(client.bulk(index=index, operations=bulk("i1", "i2", "i3"))) == [201, 201, 409]


def test_all_items_are_refused_without_the_node(faulty: FaultyProxy, client: Elasticsearch, index: str) -> None:
    faulty.fail(proxies.refuse_items(), times=1)
    operations = [*bulk("a1"), {"delete": {"_id": "a2"}}]
    answer = client.bulk(index=index, operations=operations)
    assert [next(iter(item.items())) for item in answer["items"]][1][0] == "delete"
    assert not client.exists(index=index, id="a1")


def test_a_refused_document_is_worded_as_the_server_words_it(
    faulty: FaultyProxy, client: Elasticsearch, index: str
) -> None:
    real = client.bulk(index=index, operations=bulk("m1", n="no number"))["items"][0]["create"]
    faulty.fail(proxies.refuse_items(400, ids=["m2"]))
    ours, fine = client.bulk(index=index, operations=bulk("m2", "m3"))["items"]
    assert fine["create"]["status"] == 201
    assert (ours["create"]["status"], ours["create"]["error"]["type"]) == (real["status"], real["error"]["type"])
    assert set(ours["create"]) <= set(real)


def test_a_read_only_cluster_lets_read_and_words_it_as_the_server_does(
    faulty: FaultyProxy, client: Elasticsearch, elasticsearch: str
) -> None:
    name = f"proxies-{secrets.token_hex(4)}"
    httpx.put(f"{elasticsearch}/{name}", json={"settings": {"number_of_replicas": 0}}, timeout=30)
    try:
        httpx.put(f"{elasticsearch}/{name}/_settings", json={"index.blocks.write": True}, timeout=30)
        real = httpx.put(f"{elasticsearch}/{name}/_doc/1", json={"n": 1}, timeout=30)
    finally:
        httpx.delete(f"{elasticsearch}/{name}", timeout=30)
    faulty.fail(proxies.read_only)
    with pytest.raises(ApiError) as refused:
        client.index(index="proxies-any", document={"n": 1})
    assert refused.value.status_code == real.status_code == 403
    assert refused.value.error == real.json()["error"]["type"] == "cluster_block_exception"
    assert set(refused.value.body["error"]) <= set(real.json()["error"])
    assert client.search(index="proxies-*", size=0)["hits"] is not None
    faulty.heal()
    assert client.cluster.health()["status"]


def test_an_answer_is_lost_after_the_deed(faulty: FaultyProxy, client: Elasticsearch, index: str) -> None:
    faulty.fail(proxies.lose_answer, times=1)
    with pytest.raises(NoConnection):
        client.create(index=index, id="lost", document={"n": 1})
    assert client.exists(index=index, id="lost")


def test_a_request_is_lost_before_the_deed(faulty: FaultyProxy, client: Elasticsearch, index: str) -> None:
    faulty.fail(proxies.drop, times=1)
    with pytest.raises(NoConnection):
        client.create(index=index, id="dropped", document={"n": 1})
    assert not client.exists(index=index, id="dropped")


def test_a_hanging_request_waits_until_healed(faulty: FaultyProxy, client: Elasticsearch) -> None:
    faulty.fail(proxies.hang)
    ended = threading.Event()

    def ask() -> None:
        with pytest.raises(NoConnection):
            client.cluster.health()
        ended.set()

    thread = threading.Thread(target=ask)
    thread.start()
    assert not ended.wait(0.3)
    faulty.heal()
    assert ended.wait(10)
    thread.join()
    assert client.cluster.health()["status"]


def test_closing_lets_go_what_hangs(elasticsearch: str) -> None:
    ended = threading.Event()

    def ask(url: str) -> None:
        with pytest.raises(httpx.TransportError):
            httpx.get(url, timeout=30)
        ended.set()

    with FaultyProxy(elasticsearch) as proxy:
        proxy.fail(proxies.hang)
        thread = threading.Thread(target=ask, args=(proxy.url,))
        thread.start()
        while not proxy.seen:
            time.sleep(0.01)
    assert ended.wait(10)
    thread.join()


@pytest.fixture
def checking(elasticsearch: str, tmp_path: Path) -> Iterator[CheckingProxy]:
    with CheckingProxy(elasticsearch, tmp_path, users={"almena": "clave: larga"}) as proxy:
        yield proxy


def test_only_who_has_the_password_enters(checking: CheckingProxy) -> None:
    with Elasticsearch(checking.url, ca_certs=str(checking.ca), basic_auth=("almena", "clave: larga")) as client:
        assert client.cluster.health()["status"]
        assert client.info()["version"]["number"] == "8.19.21"
    for wrong in (None, ("almena", "otra"), ("otro", "clave: larga")):
        with Elasticsearch(checking.url, ca_certs=str(checking.ca), basic_auth=wrong) as client:
            with pytest.raises(AuthenticationException):
                client.cluster.health()
            with pytest.raises(AuthenticationException):
                client.info()


def test_only_who_has_a_key_enters(checking: CheckingProxy) -> None:
    checking.keys.add("aWQ6c2VjcmV0")
    with Elasticsearch(checking.url, ca_certs=str(checking.ca), api_key="aWQ6c2VjcmV0") as client:
        assert client.cluster.health()["status"]
    guessing = Elasticsearch(checking.url, ca_certs=str(checking.ca), api_key="aWQ6Z3Vlc3M")
    with guessing as client, pytest.raises(AuthenticationException):
        client.cluster.health()


def test_its_certificate_is_of_its_own_authority(checking: CheckingProxy) -> None:
    with pytest.raises(httpx.ConnectError, match="CERTIFICATE_VERIFY_FAILED"):
        httpx.get(checking.url)
    trusted = ssl.create_default_context(cafile=str(checking.ca))
    assert httpx.get(checking.url, verify=trusted).status_code == 401


@pytest.mark.parametrize("right", [True, False])
def test_its_fingerprint_is_what_the_client_computes(right: bool, checking: CheckingProxy) -> None:
    given = checking.fingerprint if right else "0" * 64
    with Elasticsearch(
        checking.url,
        ssl_assert_fingerprint=given,
        verify_certs=True,
        ca_certs=str(checking.ca),
        basic_auth=("almena", "clave: larga"),
        max_retries=0,
    ) as client:
        if right:
            assert client.cluster.health()["status"]
        else:
            with pytest.raises(NoConnection):
                client.cluster.health()


def test_it_says_any_version_and_hides_the_product(checking: CheckingProxy) -> None:
    checking.version, checking.product = "7.17.0", False
    with Elasticsearch(checking.url, ca_certs=str(checking.ca), basic_auth=("almena", "clave: larga")) as client:
        with pytest.raises(UnsupportedProductError):
            client.info()
        checking.product = True
        assert client.info()["version"]["number"] == "7.17.0"


def test_plain_http_gets_no_answer_and_breaks_nothing(checking: CheckingProxy) -> None:
    with pytest.raises(httpx.TransportError):
        httpx.get(checking.url.replace("https:", "http:"))
    trusted = ssl.create_default_context(cafile=str(checking.ca))
    answer = httpx.get(checking.url, verify=trusted)
    assert answer.headers["www-authenticate"].startswith("Basic")
    assert msgspec.json.decode(answer.content)["error"]["type"] == "security_exception"
