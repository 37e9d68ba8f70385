"""The installation's secret, and what is sealed with it: dead letters that could not be masked."""

from __future__ import annotations

import base64
import binascii
import contextlib
import os
import secrets
import stat
from collections.abc import Mapping
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from almena.errors import AlmenaError, ConfigError

VARIABLE = "ALMENA_SECRET"
"""The environment variable that takes the place of the key file: 32 bytes as hex or base64."""

_BYTES = 32
_NONCE = 12
_SALT = b"almena secret 1"
_LABEL = b"almena dead letter 1"


class Secret:
    """One key of 32 bytes, from which a key for every purpose is derived; it never shows itself."""

    __slots__ = ("__key", "__sealer")

    def __init__(self, key: bytes) -> None:
        """Take a key of 32 bytes; raises ConfigError for another length."""
        if len(key) != _BYTES:
            raise ConfigError(f"the secret has {len(key)} bytes; it needs {_BYTES}")
        self.__key = key
        self.__sealer = AESGCM(self.derive("sealing"))

    @classmethod
    def load(cls, path: Path, environ: Mapping[str, str] | None = None) -> Secret:
        """The secret of `ALMENA_SECRET`, or of the file `path`, which is made when missing.

        Raises ConfigError when the text is no key, or when others than the file's owner may read it.
        """
        text = (os.environ if environ is None else environ).get(VARIABLE)
        if text is not None:
            return cls(_from_text(text))
        if not path.exists():
            _create(path)
        return cls(_read(path))

    def derive(self, purpose: str) -> bytes:
        """A key of 32 bytes for one purpose, such as `masking`; one purpose's key tells nothing of another's."""
        return HKDF(algorithm=SHA256(), length=_BYTES, salt=_SALT, info=purpose.encode()).derive(self.__key)

    def seal(self, data: bytes) -> str:
        """`data` encrypted and authenticated (AES-256-GCM, random nonce), as base64."""
        nonce = secrets.token_bytes(_NONCE)
        return base64.b64encode(nonce + self.__sealer.encrypt(nonce, data, _LABEL)).decode("ascii")

    def unseal(self, text: str) -> bytes:
        """The bytes back from `seal`; raises AlmenaError when the text was changed or another secret sealed it."""
        try:
            sealed = base64.b64decode(text, validate=True)
            return self.__sealer.decrypt(sealed[:_NONCE], sealed[_NONCE:], _LABEL)
        except (InvalidTag, ValueError):
            raise AlmenaError("cannot be unsealed: it was changed, or another secret sealed it") from None

    def __repr__(self) -> str:
        return "Secret(...)"

    def __reduce__(self) -> str:
        raise TypeError("a secret is not copied or written anywhere")


def _create(path: Path) -> None:
    """A new key file, complete or not there at all; the file of a process that was faster stays."""
    draft = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "wb") as file:
            file.write(secrets.token_hex(_BYTES).encode() + b"\n")
            file.flush()
            os.fsync(file.fileno())
        with contextlib.suppress(FileExistsError):
            path.hardlink_to(draft)  # unlike a rename, never over the key another process has just made
        draft.unlink()
        _sync_folder(path.parent)
    except OSError as error:
        raise ConfigError(f"{path}: cannot make the secret key: {error.strerror or error}") from None


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            status = os.fstat(file.fileno())
            text = file.read(1024)
    except OSError as error:
        raise ConfigError(f"{path}: cannot read the secret key: {error.strerror or error}") from None
    if not stat.S_ISREG(status.st_mode):
        raise ConfigError(f"{path}: the secret key is no regular file")
    if status.st_mode & 0o077:
        mode = stat.S_IMODE(status.st_mode)
        raise ConfigError(f"{path}: others may read the secret key (mode {mode:04o}); run `chmod 600 {path}`")
    try:
        return _from_text(text.decode("ascii"))
    except (ConfigError, UnicodeDecodeError):
        raise ConfigError(f"{path}: holds no secret key; it needs {_BYTES} bytes as hex or base64") from None


def _from_text(text: str) -> bytes:
    compact = text.strip()
    try:
        key = bytes.fromhex(compact) if len(compact) == 2 * _BYTES else base64.b64decode(compact, validate=True)
    except (ValueError, binascii.Error):
        key = b""
    if len(key) != _BYTES:
        raise ConfigError(f"{VARIABLE}: needs {_BYTES} bytes as hex or base64; `openssl rand -hex 32` makes some")
    return key


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
