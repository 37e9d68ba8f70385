from __future__ import annotations

import base64
import copy
import stat
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from almena.errors import AlmenaError, ConfigError
from almena.sealing import VARIABLE, Secret

KEY = bytes(range(32))


def test_the_key_file_is_made_once_and_private(tmp_path: Path) -> None:
    path = tmp_path / "data" / "secret.key"
    first = Secret.load(path, {})
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert Secret.load(path, {}).derive("masking") == first.derive("masking")
    assert [item.name for item in path.parent.iterdir()] == ["secret.key"]


def test_processes_that_start_together_agree_on_one_key(tmp_path: Path) -> None:
    path = tmp_path / "secret.key"
    barrier, keys = threading.Barrier(8), []

    def load() -> None:
        barrier.wait()
        keys.append(Secret.load(path, {}).derive("x"))

    threads = [threading.Thread(target=load) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(keys) == 8
    assert len(set(keys)) == 1


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o644, 0o610])
def test_a_key_that_others_may_read_is_refused(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "secret.key"
    Secret.load(path, {})
    path.chmod(mode)
    with pytest.raises(ConfigError, match=r"others may read the secret key .*chmod 600"):
        Secret.load(path, {})


@pytest.mark.parametrize("content", [b"", b"short\n", b"\xff" * 64, b"zz" * 32, b"00" * 31, b"00" * 600])
def test_a_damaged_key_file_is_refused_and_not_replaced(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "secret.key"
    path.write_bytes(content)
    path.chmod(0o600)
    with pytest.raises(ConfigError, match="holds no secret key"):
        Secret.load(path, {})
    assert path.read_bytes() == content


def test_a_folder_that_cannot_be_written_is_told_with_its_name(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("")
    with pytest.raises(ConfigError, match=r"file/secret\.key: cannot make the secret key"):
        Secret.load(blocked / "secret.key", {})


@pytest.mark.parametrize("text", [KEY.hex(), base64.b64encode(KEY).decode(), f"  {KEY.hex().upper()}\n"])
def test_the_environment_takes_the_place_of_the_file(tmp_path: Path, text: str) -> None:
    secret = Secret.load(tmp_path / "secret.key", {VARIABLE: text})
    assert secret.derive("masking") == Secret(KEY).derive("masking")
    assert list(tmp_path.iterdir()) == []


def test_a_wrong_environment_is_refused_without_showing_it(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        Secret.load(tmp_path / "secret.key", {VARIABLE: "hunter2"})
    assert "hunter2" not in str(caught.value)


def test_purposes_have_keys_of_their_own() -> None:
    secret = Secret(KEY)
    keys = {secret.derive(purpose) for purpose in ("masking", "sealing", "sessions", "")}
    assert len(keys) == 4
    assert all(len(key) == 32 and key != KEY for key in keys)


@given(st.binary(max_size=4096))
def test_what_is_sealed_comes_back(data: bytes) -> None:
    secret = Secret(KEY)
    sealed = secret.seal(data)
    assert secret.unseal(sealed) == data
    assert secret.seal(data) != sealed
    assert len(data) < 4 or data not in base64.b64decode(sealed)


@given(st.binary(min_size=1, max_size=64), st.integers(min_value=0), st.integers(1, 255))
def test_one_changed_byte_is_noticed(data: bytes, place: int, change: int) -> None:
    secret = Secret(KEY)
    sealed = bytearray(base64.b64decode(secret.seal(data)))
    sealed[place % len(sealed)] ^= change
    with pytest.raises(AlmenaError, match="cannot be unsealed"):
        secret.unseal(base64.b64encode(sealed).decode())


@given(st.text(max_size=80))
def test_any_text_unseals_or_says_no(text: str) -> None:
    with pytest.raises(AlmenaError, match="cannot be unsealed"):
        Secret(KEY).unseal(text)


def test_another_secret_opens_nothing() -> None:
    with pytest.raises(AlmenaError, match="another secret"):
        Secret(bytes(32)).unseal(Secret(KEY).seal(b"text"))


def test_a_secret_shows_itself_nowhere() -> None:
    secret = Secret(KEY)
    assert repr(secret) == str(secret) == f"{secret}" == "Secret(...)"
    assert not hasattr(secret, "__dict__")
    with pytest.raises(TypeError, match="not copied"):
        copy.copy(secret)
