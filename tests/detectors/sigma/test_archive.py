"""Archives of strangers: what is wanted comes out, and nothing else can happen."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import os
import struct
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path, PurePosixPath
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from almena.errors import UsageError
from detectors.sigma import archive
from detectors.sigma.archive import contents, odd, unsafe

DATA = b"title: x\n"


def wanted(path: PurePosixPath) -> int:
    return 1_000 if path.suffix == ".yml" else 0


def tar_of(members: dict[str, bytes], *more: tarfile.TarInfo) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
        for info in more:
            tar.addfile(info)
    return out.getvalue()


def zip_of(members: dict[str, bytes], *more: tuple[zipfile.ZipInfo, bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as packed:
        for name, data in members.items():
            packed.writestr(name, data)
        for info, data in more:
            packed.writestr(info, data)
    return out.getvalue()


PACKERS: dict[str, Callable[[dict[str, bytes]], bytes]] = {
    "tar": tar_of,
    "tar.gz": lambda members: gzip.compress(tar_of(members)),
    "tar.bz2": lambda members: bz2.compress(tar_of(members)),
    "tar.xz": lambda members: lzma.compress(tar_of(members)),
    "tar.xz in two streams": lambda members: b"".join(
        lzma.compress(half) for half in (tar_of(members)[:700], tar_of(members)[700:])
    ),
    "zip": zip_of,
}


@pytest.fixture
def put(tmp_path: Path) -> Callable[[bytes], Path]:
    def write(data: bytes) -> Path:
        path = tmp_path / "archive"
        path.write_bytes(data)
        return path

    return write


@pytest.mark.parametrize("packer", PACKERS)
def test_every_kind_of_archive_is_read(packer: str, put: Callable[[bytes], Path]) -> None:
    members = {"top/a.yml": DATA, "top/b.txt": b"no", "./top/ñ/c.yml": b"", "top/big.yml": b"x" * 1_001}
    found = contents(put(PACKERS[packer](members)), wanted)
    assert found.files == {"top/a.yml": DATA, "top/ñ/c.yml": b""}
    assert found.left == [("top/big.yml", "larger than 1000 bytes")]
    assert len(found.sha256) == 64


@pytest.mark.parametrize("packer", ["tar", "zip"])
@pytest.mark.parametrize(
    "name", ["../a.yml", "/etc/a.yml", "a/../../b.yml", "a/..", "C:\\a.yml", "C:a.yml", "..\\a.yml", "a\\..\\..\\b.sh"]
)
def test_a_name_that_leads_out_refuses_the_whole(packer: str, name: str, put: Callable[[bytes], Path]) -> None:
    with pytest.raises(UsageError, match=r"leads out of its folder; nothing is installed"):
        contents(put(PACKERS[packer]({"good.yml": DATA, name: DATA})), wanted)


@pytest.mark.parametrize("packer", ["tar", "zip"])
@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("a\nb.yml", "characters"),
        ("a\x1b[31m.yml", "characters"),
        ("a\\b.yml", "characters"),
        ("\u202egnp.yml", "characters"),
        ("/".join("d" * 30) + "/a.yml", "too long"),
        ("x" * 300 + ".yml", "too long"),
    ],
)
def test_odd_names_are_left_out(packer: str, name: str, said: str, put: Callable[[bytes], Path]) -> None:
    found = contents(put(PACKERS[packer]({"good.yml": DATA, name: DATA})), wanted)
    assert list(found.files) == ["good.yml"]
    assert [said in reason for _, reason in found.left] == [True]


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE])
def test_links_and_devices_in_tars_are_left_out(kind: bytes, put: Callable[[bytes], Path]) -> None:
    info = tarfile.TarInfo("evil.yml")
    info.type = kind
    info.linkname = "/etc/passwd"
    found = contents(put(tar_of({"good.yml": DATA}, info)), wanted)
    assert list(found.files) == ["good.yml"]
    assert found.left == [("evil.yml", "it is a link or a device, no file")]


def test_links_and_secrets_in_zips_are_left_out(put: Callable[[bytes], Path]) -> None:
    link = zipfile.ZipInfo("link.yml")
    link.external_attr = 0o120777 << 16
    data = bytearray(zip_of({"good.yml": DATA}, (link, b"/etc/passwd"), (zipfile.ZipInfo("secret.yml"), b"x")))
    at = data.rindex(b"PK\x01\x02")
    data[at + 8] |= 1  # the directory says that the last one is encrypted
    found = contents(put(bytes(data)), wanted)
    assert list(found.files) == ["good.yml"]
    assert found.left == [("link.yml", "it is a link or a device, no file"), ("secret.yml", "it is encrypted")]


def test_the_first_of_two_with_one_name_is_taken(put: Callable[[bytes], Path]) -> None:
    first, second = tarfile.TarInfo("a.yml"), tarfile.TarInfo("./a.yml")
    first.size = second.size = 1
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        tar.addfile(first, io.BytesIO(b"1"))
        tar.addfile(second, io.BytesIO(b"2"))
    found = contents(put(out.getvalue()), wanted)
    assert found.files == {"a.yml": b"1"}
    assert found.left == [("a.yml", "the archive holds it twice; the first is taken")]


@pytest.mark.parametrize("pack", [gzip.compress, lzma.compress, bz2.compress])
def test_a_bomb_ends_at_the_limit(
    pack: Callable[[bytes], bytes], put: Callable[[bytes], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archive, "MOST_UNPACKED", 1 << 20)
    packed = pack(tar_of({"zeros.bin": bytes(2 << 20), "a.yml": DATA}))
    assert len(packed) < 10_000
    with pytest.raises(UsageError, match="unpacks to more than 1 MiB"):
        contents(put(packed), wanted)


def test_too_many_or_too_much_is_refused(put: Callable[[bytes], Path], monkeypatch: pytest.MonkeyPatch) -> None:
    members = {f"{number}.yml": DATA for number in range(20)}
    monkeypatch.setattr(archive, "MOST_KEPT", 100)
    for pack in (tar_of, zip_of):
        with pytest.raises(UsageError, match="its rules are larger than"):
            contents(put(pack(members)), wanted)
    monkeypatch.setattr(archive, "MOST_MEMBERS", 10)
    for pack in (tar_of, zip_of):
        with pytest.raises(UsageError, match="more than 10 files"):
            contents(put(pack(members)), wanted)
    monkeypatch.setattr(archive, "MOST_PACKED", 100)
    with pytest.raises(UsageError, match="larger than"):
        contents(put(tar_of(members)), wanted)


def test_a_zip_that_lies_about_sizes_is_refused(put: Callable[[bytes], Path]) -> None:
    data = bytearray(zip_of({"a.yml": b"x" * 5_000}))
    at = data.rindex(b"PK\x01\x02")
    data[at + 24 : at + 28] = struct.pack("<I", 10)
    with pytest.raises(UsageError):
        contents(put(bytes(data)), wanted)


def test_a_zip_with_a_directory_of_its_own_format_is_refused(put: Callable[[bytes], Path]) -> None:
    data = bytearray(zip_of({"a.yml": DATA}))
    end = data.rindex(b"PK\x05\x06")
    with pytest.raises(UsageError, match="more than 50,000 files"):
        contents(put(bytes(data[:end] + b"PK\x06\x07" + bytes(16) + data[end:])), wanted)
    data[end + 12 : end + 16] = b"\xff" * 4
    with pytest.raises(UsageError, match="directory is too large"):
        contents(put(bytes(data)), wanted)


@pytest.mark.parametrize("kind", [tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK])
@pytest.mark.parametrize("size", [8 << 30, (1 << 20) + 1])
def test_a_header_that_claims_much_is_refused_unread(kind: bytes, size: int, put: Callable[[bytes], Path]) -> None:
    info = tarfile.TarInfo("header")
    info.type, info.size = kind, size
    with pytest.raises(UsageError, match=f"a header claims {size} bytes"):
        contents(put(info.tobuf(tarfile.GNU_FORMAT) + bytes(10_240)), wanted)


def test_a_size_below_zero_is_refused(put: Callable[[bytes], Path]) -> None:
    info = tarfile.TarInfo("a.yml")
    data = bytearray(info.tobuf(tarfile.GNU_FORMAT))
    data[124:136] = b"\xff" * 12  # base 256, -1
    data[148:156] = b" " * 8
    data[148:156] = b"%06o\x00 " % sum(data[:512])
    with pytest.raises(UsageError):
        contents(put(bytes(data) + bytes(10_240)), wanted)


def test_an_xz_that_asks_for_much_memory_is_refused(
    put: Callable[[bytes], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archive, "MOST_DICTIONARY", 1 << 20)
    with pytest.raises(UsageError, match="no readable archive"):
        contents(put(lzma.compress(tar_of({"a.yml": DATA}), preset=9)), wanted)


@pytest.mark.parametrize("packer", [name for name in PACKERS if name != "tar"])
def test_one_that_is_cut_is_refused(packer: str, put: Callable[[bytes], Path]) -> None:
    whole = PACKERS[packer]({f"{number}.yml": os.urandom(600) for number in range(20)})
    with pytest.raises(UsageError, match="no readable archive"):
        contents(put(whole[: len(whole) // 2]), wanted)


def test_what_is_no_archive_is_refused(put: Callable[[bytes], Path], tmp_path: Path) -> None:
    for data in (b"", b"PK", b"hello", b"\x1f\x8b", b"\xfd7zXZ\x00", bytes(100)):
        with pytest.raises(UsageError, match="no readable archive"):
            contents(put(data), wanted)
    with pytest.raises(UsageError, match="no such file or folder"):
        contents(tmp_path / "nowhere", wanted)


def test_a_folder_is_read_without_following_links(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    (folder / "in").mkdir(parents=True)
    (folder / ".git").mkdir()
    (tmp_path / "secret.yml").write_bytes(b"secret")
    for name in ("a.yml", "in/b.yml", "c.txt", ".git/d.yml"):
        (folder / name).write_bytes(DATA)
    (folder / "big.yml").write_bytes(b"x" * 1_001)
    (folder / "link.yml").symlink_to(tmp_path / "secret.yml")
    (folder / "round").symlink_to(folder)
    os.mkfifo(folder / "pipe.yml")
    found = contents(folder, wanted)
    assert found.files == {"a.yml": DATA, "in/b.yml": DATA}
    assert found.left == [
        ("big.yml", "larger than 1000 bytes"),
        ("link.yml", "it is a link, no file"),
        ("pipe.yml", "it is a device or a pipe, no file"),
    ]
    before = found.sha256
    assert contents(folder, wanted).sha256 == before
    (folder / "a.yml").write_bytes(b"other")
    assert contents(folder, wanted).sha256 != before


NAMES = st.text(st.sampled_from("a./\\:\n ñ\u202e\x00"), min_size=1, max_size=30)


@given(NAMES)
def test_a_name_that_passes_stays_below_its_folder(name: str) -> None:
    if unsafe(name) is None and odd(name) is None:
        path = PurePosixPath("/safe/place") / name
        assert os.path.normpath(path).startswith("/safe/place")
        assert "\\" not in name
        assert "\x00" not in name


def tried(path: Path) -> tuple[dict[str, bytes], str]:
    """What is read, or what is said instead; any other error fails the test."""
    try:
        return contents(path, wanted).files, ""
    except UsageError as error:
        return {}, str(error)


GOOD = {name: pack({"top/a.yml": DATA, "top/in/b.yml": DATA * 9}) for name, pack in PACKERS.items()}


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_damage_is_an_error_that_says_so_and_nothing_else(tmp_path: Path, data: Any) -> None:
    whole = bytearray(GOOD[data.draw(st.sampled_from(sorted(GOOD)))])
    for _ in range(data.draw(st.integers(1, 8))):
        at = data.draw(st.integers(0, len(whole) - 1))
        whole[at] = data.draw(st.integers(0, 255))
    path = tmp_path / "damaged"
    path.write_bytes(whole)
    found, said = tried(path)
    assert said == "" or said.startswith(str(path))
    for name in found:
        assert unsafe(name) is None
        assert odd(name) is None


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.binary(max_size=3_000),
    st.sampled_from([b"", b"PK\x03\x04", b"PK\x05\x06", b"\x1f\x8b", b"\xfd7zXZ\x00", b"BZh9"]),
)
def test_noise_is_no_archive(tmp_path: Path, noise: bytes, magic: bytes) -> None:
    path = tmp_path / "noise"
    path.write_bytes(magic + noise)
    found, said = tried(path)
    assert found == {}
    assert "\n" not in said
