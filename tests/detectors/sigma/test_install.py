"""Installing other people's rules: what comes, what stays out, what is kept, and that nothing is written elsewhere."""

from __future__ import annotations

import io
import os
import tarfile
import zipfile
from pathlib import Path
from typing import Any

import msgspec
import pytest
from corpora import corpus
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from almena.errors import UsageError
from detectors.sigma import archive
from detectors.sigma.choosing import LEVELS, STATUSES, Choice, choose
from detectors.sigma.install import MANIFEST, Manifest, Outcome, install
from detectors.sigma.loader import load_rules

NOW = "2026-11-22T10:00:00.000000Z"
LATER = "2026-12-22T10:00:00.000000Z"


def rule(number: int, *, status: str = "test", level: str = "high", extra: str = "") -> bytes:
    return (
        f"title: Rule {number}\nid: 00000000-0000-4000-8000-{number:012}\nstatus: {status}\nlevel: {level}\n"
        f"author: Ana\ndate: 2026-01-01\nlogsource: {{product: windows, category: process_creation}}\n"
        f"detection: {{s: {{Image: x{number}}}, condition: s}}\n{extra}"
    ).encode()


def packed(path: Path, members: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w") as out:
        for name, data in members.items():
            out.writestr(name, data)
    return path


def manifest(to: Path) -> Manifest:
    return msgspec.json.decode((to / MANIFEST).read_bytes(), type=Manifest)


def tree(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


@pytest.fixture
def to(tmp_path: Path) -> Path:
    return tmp_path / "to"


def put(tmp_path: Path, to: Path, members: dict[str, bytes], now: str = NOW, **options: Any) -> Outcome:
    choice = options.pop("choice", Choice())
    return install(packed(tmp_path / "rules.zip", members), to, choice, now, **options)


def test_rules_come_with_licence_and_origin(tmp_path: Path, to: Path) -> None:
    done = put(
        tmp_path,
        to,
        {
            "sigma-r1/LICENSE": b"terms",
            "sigma-r1/README.md": b"no",
            "sigma-r1/rules/a.yml": rule(1),
            "sigma-r1/rules/in/b.yaml": rule(2, level="critical", extra="license: CC0-1.0\n"),
            "sigma-r1/rules/c.yml": rule(3, level="low"),
            "sigma-r1/rules/d.yml": rule(4, status="experimental"),
            "sigma-r1/.github/workflow.yml": b"on: push\n",
            "sigma-r1/tests/pipeline.yml": b"name: x\n",
            "sigma-r1/rules/broken.yml": b"title: [\n",
            "sigma-r1/rules/odd.yml": rule(5).replace(b"Image", b"Image|nope"),
        },
    )
    assert sorted(done.new) == ["LICENSE", "rules/a.yml", "rules/in/b.yaml"]
    assert done.rules == 2
    assert done.note == "its licence is in sigma-r1/LICENSE"
    left = dict(done.left)
    assert left["sigma-r1/rules/c.yml"] == "its level is low"
    assert left["sigma-r1/rules/d.yml"] == "its status is experimental"
    assert left["sigma-r1/tests/pipeline.yml"] == "it holds no Sigma rule"
    assert "no valid YAML" in left["sigma-r1/rules/broken.yml"]
    assert left["sigma-r1/rules/odd.yml"].startswith("it does not load: ")
    assert len(left) == 5
    assert set(tree(to)) == {"LICENSE", "rules/a.yml", "rules/in/b.yaml", MANIFEST}
    assert (to / "rules/a.yml").read_bytes() == rule(1)
    said = manifest(to)
    assert (said.source, said.installed, len(said.sha256)) == ("rules.zip", NOW, 64)
    first, second = said.files["rules/a.yml"], said.files["rules/in/b.yaml"]
    assert (first.path, first.authors, first.dates) == ("sigma-r1/rules/a.yml", ["Ana"], ["2026-01-01"])
    assert (first.ids, first.licences) == (["00000000-0000-4000-8000-000000000001"], ["DRL-1.1"])
    assert second.licences == ["CC0-1.0"]
    assert len(load_rules([to]).rules) == 2


def test_an_archive_without_a_licence_gets_that_of_sigmahq(tmp_path: Path, to: Path) -> None:
    done = put(tmp_path, to, {"rules/a.yml": rule(1)})
    assert "LICENSE.DRL-1.1.md was added" in done.note
    text = (to / "LICENSE.DRL-1.1.md").read_text("utf-8")
    assert "Detection Rule License (DRL) 1.1" in text
    assert "messages based on matches with the Rules must retain" in text
    other = tmp_path / "other"
    done = put(tmp_path, other, {"rules/a.yml": rule(1)}, choice=Choice(licence="CC0-1.0"))
    assert "CC0-1.0" in done.note
    assert set(tree(other)) == {"rules/a.yml", MANIFEST}
    assert manifest(other).files["rules/a.yml"].licences == ["CC0-1.0"]


def test_again_changes_nothing_and_a_newer_release_what_it_must(tmp_path: Path, to: Path) -> None:
    first = {f"sigma-r1/rules/{number}.yml": rule(number) for number in range(4)} | {"sigma-r1/LICENSE": b"1"}
    put(tmp_path, to, first)
    before = tree(to)
    stamps = {path: path.stat().st_mtime_ns for path in to.rglob("*.yml")}
    done = put(tmp_path, to, first, LATER)
    assert (done.new, done.updated, done.removed, done.kept, len(done.unchanged)) == ([], [], [], [], 5)
    assert tree(to) == before, "the manifest too"
    assert {path: path.stat().st_mtime_ns for path in to.rglob("*.yml")} == stamps
    newer = {
        "sigma-r2/rules/0.yml": rule(0),
        "sigma-r2/rules/1.yml": rule(1, extra="tags: [attack.impact]\n"),
        "sigma-r2/rules/2.yml": rule(2, level="low"),
        "sigma-r2/rules/new/4.yml": rule(4),
        "sigma-r2/LICENSE": b"2",
    }
    done = put(tmp_path, to, newer, LATER)
    assert (done.new, done.updated) == (["rules/new/4.yml"], ["LICENSE", "rules/1.yml"])
    assert (done.removed, done.unchanged) == (["rules/2.yml", "rules/3.yml"], ["rules/0.yml"])
    assert set(tree(to)) == {"LICENSE", "rules/0.yml", "rules/1.yml", "rules/new/4.yml", MANIFEST}
    assert manifest(to).installed == LATER
    put(tmp_path, to, {"sigma-r3/rules/0.yml": rule(0), "sigma-r3/LICENSE": b"2"})
    assert not (to / "rules/new").exists(), "empty folders go"


def test_what_was_changed_here_is_kept_and_said(tmp_path: Path, to: Path) -> None:
    first = {f"rules/{number}.yml": rule(number) for number in range(6)}
    put(tmp_path, to, first)
    for number in (1, 2, 3):
        (to / f"rules/{number}.yml").write_bytes(b"mine")
    (to / "rules/4.yml").unlink()
    (to / "rules/6.yml").write_bytes(b"mine too")
    second = {
        **{name: first[name] for name in ("rules/0.yml", "rules/1.yml", "rules/4.yml")},
        "rules/2.yml": rule(2, extra="tags: [attack.impact]\n"),
        "rules/6.yml": rule(6),
    }
    told = [
        ("rules/1.yml", "is not as it was installed"),
        ("rules/2.yml", "is not as it was installed"),
        ("rules/4.yml", "was deleted here"),
        ("rules/6.yml", "is not as it was installed"),
        ("rules/3.yml", "is not as it was installed, and the archive has it no more"),
    ]
    for _ in range(2):
        done = put(tmp_path, to, second)
        assert done.kept == told
        assert (to / "rules/3.yml").read_bytes() == (to / "rules/1.yml").read_bytes() == b"mine"
        assert (to / "rules/6.yml").read_bytes() == b"mine too"
        assert not (to / "rules/4.yml").exists()
        assert not (to / "rules/5.yml").exists()
    done = put(tmp_path, to, second, overwrite=True)
    assert done.kept == []
    assert done.removed == ["rules/3.yml"]
    assert {name: data for name, data in tree(to).items() if name.startswith("rules/")} == second


def test_a_change_that_became_the_original_is_no_change(tmp_path: Path, to: Path) -> None:
    put(tmp_path, to, {"rules/a.yml": rule(1)})
    (to / "rules/a.yml").write_bytes(rule(1, level="critical"))
    done = put(tmp_path, to, {"rules/a.yml": rule(1, level="critical")})
    assert (done.kept, done.unchanged) == ([], ["LICENSE.DRL-1.1.md", "rules/a.yml"])


def test_a_run_that_was_interrupted_is_taken_up(tmp_path: Path, to: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    members = {f"rules/{number}.yml": rule(number) for number in range(5)}
    written = 0
    real = Path.replace

    def replace(path: Path, target: Any) -> Path:
        nonlocal written
        written += 1
        if written == 4:
            raise KeyboardInterrupt
        return real(path, target)

    monkeypatch.setattr(Path, "replace", replace)
    with pytest.raises(KeyboardInterrupt):
        put(tmp_path, to, members)
    monkeypatch.undo()
    done = put(tmp_path, to, members)
    assert (done.kept, len(done.unchanged), len(done.new)) == ([], 2, 4)
    assert set(tree(to)) == {*members, "LICENSE.DRL-1.1.md", MANIFEST}
    assert set(manifest(to).files) == {*members, "LICENSE.DRL-1.1.md"}


def test_a_dry_run_says_the_same_and_writes_nothing(tmp_path: Path, to: Path) -> None:
    members = {"rules/a.yml": rule(1), "rules/b.yml": rule(2)}
    assert put(tmp_path, to, members, dry=True) == put(tmp_path, to, members)
    before = tree(to)
    dry = put(tmp_path, to, {"rules/a.yml": rule(1, level="critical")}, dry=True)
    assert (dry.updated, dry.removed) == (["rules/a.yml"], ["rules/b.yml"])
    assert tree(to) == before


def test_what_a_correlation_reads_comes_with_it() -> None:
    correlation = (
        b"title: C\nname: inner\nstatus: test\nlevel: low\n"
        b"correlation: {type: event_count, rules: [base], group-by: [User], timespan: 1m, condition: {gte: 2}}\n"
    )
    outer = correlation.replace(b"inner", b"outer").replace(b"base", b"inner").replace(b"low", b"high")
    files = {
        "base.yml": rule(1, status="experimental", level="informational", extra="name: base\n"),
        "inner.yml": correlation,
        "outer.yml": outer,
        "other.yml": rule(2, level="low"),
    }
    chosen = choose(files, Choice())
    assert {candidate.name for candidate in chosen.files} == {"base.yml", "inner.yml", "outer.yml"}
    assert chosen.left == [("other.yml", "its level is low")]


def test_field_mappings_of_strangers_are_never_installed(tmp_path: Path, to: Path) -> None:
    mapping = b"name: x\npriority: 1\ntransformations: []\n" + rule(9)
    done = put(tmp_path, to, {"rules/a.yml": rule(1), "pipelines/evil.yml": mapping, "rules/pipelines/b.yml": rule(2)})
    assert [name for name, reason in done.left if "field mappings" in reason] == [
        "pipelines/evil.yml",
        "rules/pipelines/b.yml",
    ]
    assert not (to / "pipelines").exists()


def test_folders_that_hold_something_else_are_left_alone(tmp_path: Path, to: Path) -> None:
    to.mkdir()
    (to / "mine.txt").write_bytes(b"x")
    with pytest.raises(UsageError, match=f"holds files, but no {MANIFEST}"):
        put(tmp_path, to, {"rules/a.yml": rule(1)})
    other = tmp_path / "other"
    put(tmp_path, other, {"rules/a.yml": rule(1)}, choice=Choice(licence="x"))
    with pytest.raises(UsageError, match=r"holds rules of rules\.zip, and .* has none of them"):
        put(tmp_path, other, {"different/b.yml": rule(2)}, choice=Choice(licence="x"))
    assert set(tree(other)) == {"rules/a.yml", MANIFEST}
    with pytest.raises(UsageError, match="or the other way"):
        install(other, other / "in", Choice(), NOW)
    with pytest.raises(UsageError, match="or the other way"):
        install(other / "rules", other, Choice(), NOW)
    with pytest.raises(UsageError, match="is no folder"):
        install(other, to / "mine.txt", Choice(), NOW)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda text: text[:40], "is damaged"),
        (lambda text: text.replace(b'"rules/a.yml":', b'"../outside.yml":'), "names '../outside.yml'"),
        (lambda text: text.replace(b'"rules/a.yml":', b'"/etc/outside.yml":'), "names '/etc/outside.yml'"),
        (lambda text: text.replace(b'"format": 1', b'"format": 2'), "has the format 2"),
    ],
)
def test_a_manifest_that_was_tampered_with_is_refused(tmp_path: Path, to: Path, change: Any, said: str) -> None:
    outside = tmp_path / "outside.yml"
    put(tmp_path, to, {"rules/a.yml": rule(1)})
    outside.write_bytes(rule(1))
    (to / MANIFEST).write_bytes(change((to / MANIFEST).read_bytes()))
    with pytest.raises(UsageError, match=said):
        put(tmp_path, to, {"rules/b.yml": rule(2)})
    assert outside.exists()


def test_links_in_the_folder_lead_nowhere(tmp_path: Path, to: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "b.yml").write_bytes(b"theirs")
    put(tmp_path, to, {"rules/a.yml": rule(1), "rules/in/b.yml": rule(2)})
    (to / "rules/in/b.yml").unlink()
    (to / "rules/in").rmdir()
    (to / "rules/in").symlink_to(outside)
    (to / "rules/a.yml").unlink()
    (to / "rules/a.yml").symlink_to(outside / "b.yml")
    done = put(tmp_path, to, {"rules/a.yml": rule(1), "rules/in/b.yml": rule(2)})
    assert [name for name, _ in done.kept] == ["rules/a.yml", "rules/in/b.yml"]
    assert tree(outside) == {"b.yml": b"theirs"}
    put(tmp_path, to, {"rules/a.yml": rule(1), "rules/in/b.yml": rule(2)}, overwrite=True)
    assert tree(outside) == {"b.yml": b"theirs"}
    assert not (to / "rules/in").is_symlink()
    assert (to / "rules/in/b.yml").read_bytes() == rule(2)
    assert (to / "rules/a.yml").read_bytes() == rule(1)


def test_a_file_where_a_folder_is_needed_costs_itself_alone(tmp_path: Path, to: Path) -> None:
    done = put(tmp_path, to, {"rules/a.yml": rule(1), "rules/a.yml/b.yml": rule(2), "rules/c.yml": rule(3)})
    assert [(name, reason.partition(":")[0]) for name, reason in done.left] == [
        ("rules/a.yml/b.yml", "it cannot be written")
    ]
    assert set(manifest(to).files) == {"rules/a.yml", "rules/c.yml", "LICENSE.DRL-1.1.md"}


def test_a_folder_installs_as_an_archive_does(tmp_path: Path, to: Path) -> None:
    source = tmp_path / "source"
    (source / "rules").mkdir(parents=True)
    (source / "rules" / "a.yml").write_bytes(rule(1))
    (source / "rules" / "secret.yml").symlink_to("/etc/passwd")
    done = install(source, to, Choice(), NOW)
    assert done.left == [("rules/secret.yml", "it is a link, no file")]
    assert (to / "rules/a.yml").read_bytes() == rule(1)


def test_all_of_sigmahq_installs_and_loads(tmp_path: Path, to: Path) -> None:
    source = corpus("sigmahq/rules-994da16.tar.xz")
    choice = Choice(frozenset(STATUSES), frozenset(LEVELS))
    done = install(source, to, choice, NOW)
    assert (done.rules, done.left, done.kept) == (3_132, [], [])
    ruleset = load_rules([to])
    assert (len(ruleset.rules), ruleset.rejected) == (3_132, ())
    said = manifest(to)
    assert all(origin.authors and origin.licences == ["DRL-1.1"] for origin in said.files.values() if origin.path)
    done = install(source, to, Choice(), NOW)
    assert (done.rules, len(done.removed), done.new) == (2_640, 492, [])
    assert len(load_rules([to]).rules) == 2_640


FOLDERS = st.sampled_from([*["", "a/", "rules/", "a/b.yml/", "./", "ñ/"] * 12, "pipelines/", "../", "/", "C:", "x\\"])
FILES = st.sampled_from([*["b.yml", "c.yml", "d.yaml"] * 12, "LICENSE", "manifest.json", "a", "..", "."])
NAMES = st.tuples(FOLDERS, FOLDERS, FILES).map("".join)
CONTENTS = st.integers(1, 6).map(rule) | st.sampled_from([b"x: 1\n", b"", b"\xff\xfe", rule(7) + b"---\n" + rule(8)])
KINDS = st.sampled_from([*[tarfile.REGTYPE] * 6, tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.DIRTYPE, tarfile.FIFOTYPE])


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(NAMES, KINDS, CONTENTS), max_size=8), st.booleans())
def test_no_archive_writes_outside(tmp_path_factory: Any, members: list[tuple[str, bytes, bytes]], again: bool) -> None:
    base = tmp_path_factory.mktemp("archive")
    path, inside = base / "hostile.tar", base / "deep" / "er" / "to"
    with tarfile.open(path, "w") as tar:
        for name, kind, data in members:
            info = tarfile.TarInfo(name)
            info.type, info.linkname = kind, str(base / "outside")
            info.size = len(data) if kind == tarfile.REGTYPE else 0
            tar.addfile(info, io.BytesIO(data) if info.size else None)
    for _ in range(1 + again):
        refused = False
        try:
            install(path, inside, Choice(), NOW)
        except UsageError:
            refused = True
        found = {os.path.relpath(item, base) for item in base.rglob("*") if not item.is_dir() or item.is_symlink()}
        assert all(name == "hostile.tar" or name.startswith("deep/er/to/") for name in found), found
        assert not any(item.is_symlink() for item in base.rglob("*"))
        if not refused and inside.exists():
            written = set(tree(inside)) - {MANIFEST}
            assert written == set(manifest(inside).files)
            assert all(archive.unsafe(name) is None for name in written)
