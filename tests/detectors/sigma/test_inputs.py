"""What a rule set is made of: which files, their hash, their stamps, and what cannot be read."""

from __future__ import annotations

import io
import os
import tarfile
from dataclasses import replace
from pathlib import Path

import pytest

from almena.errors import UsageError
from detectors.sigma import inputs
from detectors.sigma.inputs import File, Inputs, gather, stamp
from detectors.sigma.loader import load_rules


def write(path: Path, text: str = "title: T\n") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, "utf-8")
    return path


def test_rules_come_in_the_order_of_the_parts_of_their_names(tmp_path: Path) -> None:
    names = ["a/x.yml", "a-b/x.yaml", "a.yml", "b.yaml"]
    for name in names:
        write(tmp_path / name)
    write(tmp_path / "pipelines" / "own.yml", "name: p\ntransformations: []\n")
    write(tmp_path / "deep" / "pipelines" / "none.yml")
    write(tmp_path / "README.md")
    found = gather([tmp_path])
    assert [file.name for file in found.rules] == [
        str(tmp_path / name) for name in ("a/x.yml", "a-b/x.yaml", "a.yml", "b.yaml")
    ]
    assert [file.name for file in found.pipelines] == [str(tmp_path / "pipelines" / "own.yml")]
    assert gather([tmp_path], "native").pipelines == ()
    assert gather([tmp_path / "a"]).pipelines, "those shipped"


def test_the_key_changes_with_all_that_decides(tmp_path: Path) -> None:
    write(tmp_path / "one.yml")
    base = gather([tmp_path])
    file = base.rules[0]
    others = [
        replace(base, mode="native"),
        replace(base, zone="UTC"),
        replace(base, pipelines=()),
        replace(base, rules=()),
        replace(base, rules=(file, file)),
        replace(base, rules=(replace(file, data=file.data + b" "),)),
        replace(base, rules=(replace(file, name=file.name + "x"),)),
        replace(base, rules=(replace(file, reason="gone"),)),
        replace(base, rules=(File(file.name[:-1], b"l" + file.data),)),
    ]
    assert len({base.key, *(other.key for other in others)}) == len(others) + 1
    assert gather([tmp_path]).key == base.key
    assert [other.reading != base.reading for other in others] == [False, True, True] + [False] * 6


def test_a_file_that_cannot_be_read_is_rejected_alone(tmp_path: Path) -> None:
    write(tmp_path / "good.yml", "title: G\nlogsource: {product: x}\ndetection: {s: {a: b}, condition: s}\n")
    (tmp_path / "link.yml").symlink_to(tmp_path / "nowhere")
    os.mkfifo(tmp_path / "pipe.yml")
    found = load_rules([tmp_path])
    assert [rule.title for rule in found.rules] == ["G"]
    assert {(item.rule, item.reason) for item in found.rejected} == {
        (str(tmp_path / "link.yml"), "it is no file"),
        (str(tmp_path / "pipe.yml"), "it is no file"),
    }


def test_a_file_that_is_forbidden_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    forbidden = write(tmp_path / "one.yml")

    def refuse(self: Path, *_: object) -> object:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)
    (file,) = gather([forbidden], "native").rules
    assert (file.data, file.reason) == (b"", "it cannot be read: Permission denied")


def test_no_more_of_a_file_is_read_than_can_be_a_rule(tmp_path: Path) -> None:
    huge = tmp_path / "huge.yml"
    with huge.open("wb") as handle:
        handle.truncate(inputs.MOST_BYTES * 3)
    (file,) = gather([huge]).rules
    assert len(file.data) == inputs.MOST_BYTES + 1
    (rejection,) = load_rules([huge]).rejected
    assert "longer than" in rejection.reason


def test_an_archive_is_one_file_until_it_is_parsed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "rules.tar.gz"
    with tarfile.open(path, "w:gz") as archive:
        for name in ("b.yml", "a.yml", "c.txt"):
            member = tarfile.TarInfo(name)
            member.size = 3
            archive.addfile(member, io.BytesIO(b"a: "))
    (file,) = gather([path]).rules
    assert (file.name, file.archive, file.data) == (str(path), True, path.read_bytes())
    assert list(file.texts()) == [("rules.tar.gz/a.yml", "a: "), ("rules.tar.gz/b.yml", "a: ")]
    with pytest.raises(UsageError, match="no readable archive"):
        list(replace(file, data=file.data[:40]).texts())
    monkeypatch.setattr(inputs, "LARGEST_ARCHIVE", 10)
    with pytest.raises(UsageError, match="larger than 10 bytes"):
        gather([path])


def test_a_folder_named_like_an_archive_is_a_folder(tmp_path: Path) -> None:
    write(tmp_path / "rules.tar" / "one.tar.yml")
    (file,) = gather([tmp_path / "rules.tar"]).rules
    assert not file.archive


def test_the_stamp_tells_every_change(tmp_path: Path) -> None:
    one = write(tmp_path / "one.yml", "a: 1\n")
    pipeline = write(tmp_path / "pipelines" / "p.yml", "name: p\ntransformations: []\n")
    seen = [stamp([tmp_path])]
    assert stamp([tmp_path]) == seen[0]

    def changed() -> bool:
        seen.append(stamp([tmp_path]))
        return seen[-1] not in seen[:-1]

    os.utime(one, ns=(1, 1))
    assert changed()
    one.write_text("a: 12\n", "utf-8")
    os.utime(one, ns=(1, 1))
    assert changed(), "its size"
    other = write(tmp_path / "other", "a: 12\n")
    os.utime(other, ns=(1, 1))
    other.rename(one)
    assert changed(), "its inode"
    write(tmp_path / "two.yml")
    assert changed()
    os.utime(pipeline, ns=(2, 2))
    assert changed()
    one.unlink()
    assert changed()
    (tmp_path / "one.yml").symlink_to(tmp_path / "nowhere")
    assert changed()


def test_what_is_not_there_is_said(tmp_path: Path) -> None:
    for ask in (gather, stamp):
        with pytest.raises(UsageError, match="no such file or folder of rules"):
            ask([tmp_path / "nowhere"])


def test_nothing_given_is_nothing() -> None:
    assert Inputs(()).key == Inputs(()).key
    assert gather([], "native").rules == ()
