"""The programs of the development servers: fetched by Maven, checked against committed hashes, compiled once."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

HERE = Path(__file__).resolve().parent
CACHE = Path(os.environ.get("ALMENA_STACK") or HERE.parents[1] / ".stack")
"""Where programs and the servers of `make stack` live; git ignores it."""

COPY = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies"
MODULE = "transport-netty4"


class StackError(Exception):
    """A server could not be had; the text says why and what to do."""


class Unavailable(StackError):
    """This machine lacks Java, Maven, or the packages and no way to them."""


def program(name: str) -> Path:
    """The folder of `kafka` or `elasticsearch`: `lib/` (jars), `classes/`, and `home/` of Elasticsearch.

    The first call takes some seconds; then it is there until POM, hashes or sources change. Raises Unavailable.
    """
    folder = CACHE / f"{name}-{_key(name)}"
    if folder.exists():
        return folder
    with locked(CACHE / f"{name}.lock"):
        if not folder.exists():
            with tempfile.TemporaryDirectory(dir=CACHE) as scratch:
                built = Path(scratch) / name
                fetch(name, built / "lib")
                check(name, built / "lib")
                _compile(name, built)
                if name == "elasticsearch":
                    _arrange(built)
                built.rename(folder)
    return folder


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the file's lock, among all processes of this machine."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def fetch(name: str, lib: Path) -> None:
    """Let Maven copy what the POM asks for into `lib`."""
    command = [_tool("mvn", "maven"), "--batch-mode", "--quiet", "--strict-checksums", "-Dstyle.color=never"]
    command += ["--file", str(HERE / name / "pom.xml"), COPY, f"-DoutputDirectory={lib}", "-DincludeScope=runtime"]
    result = subprocess.run(command, capture_output=True, text=True)
    if result.returncode != 0:
        said, *_ = (result.stdout + result.stderr).strip().splitlines() or [f"status {result.returncode}"]
        raise Unavailable(f"Maven could not fetch {name}; is its registry reachable from here? It said: {said}")


def hashes(lib: Path) -> dict[str, str]:
    """SHA-256 in hexadecimal by name of jar."""
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(lib.glob("*.jar"))}


def check(name: str, lib: Path) -> None:
    """Refuse jars that are not those of `jars.sha256`, one more or one less; raises StackError."""
    lines = (HERE / name / "jars.sha256").read_text("utf-8").split("\n")
    wanted = {jar: digest for digest, jar in (line.split() for line in lines if line)}
    wrong = sorted({jar for jar, _ in wanted.items() ^ hashes(lib).items()})
    if wrong:
        raise StackError(
            f"{name}: not the jars that deploy/dev/{name}/jars.sha256 names: {', '.join(wrong)}; "
            "after a change of the POM write it anew: python -m deploy.dev.stack lock"
        )


def write_lock(name: str) -> int:
    """Write `jars.sha256` from what Maven fetches now; returns how many jars there are."""
    CACHE.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=CACHE) as scratch:
        fetch(name, Path(scratch))
        found = hashes(Path(scratch))
    text = "".join(f"{digest}  {jar}\n" for jar, digest in found.items())
    (HERE / name / "jars.sha256").write_text(text, "utf-8")
    return len(found)


def java() -> str:
    """The path of `java`; raises Unavailable."""
    return _tool("java", "openjdk-17-jdk-headless")


def _key(name: str) -> str:
    """Changes with whatever the program is made of."""
    sources = sorted((HERE / name).glob("*.java"))
    made_of = [HERE / "Tied.java", HERE / name / "pom.xml", HERE / name / "jars.sha256", *sources]
    return hashlib.sha256(b"\0".join(path.read_bytes() for path in made_of)).hexdigest()[:12]


def _tool(name: str, package: str) -> str:
    found = shutil.which(name)
    if found is None:
        raise Unavailable(f"{name} is not installed (Debian package {package}; `make servers` installs it as root)")
    return found


def _compile(name: str, built: Path) -> None:
    command = [_tool("javac", "openjdk-17-jdk-headless"), "-nowarn", "-cp", f"{built}/lib/*", "-d"]
    command += [str(built / "classes"), str(HERE / "Tied.java"), *map(str, (HERE / name).glob("*.java"))]
    result = subprocess.run(command, capture_output=True, text=True)
    if result.returncode != 0:
        raise StackError(f"deploy/dev/{name} does not compile:\n{result.stderr}")


def _arrange(built: Path) -> None:
    """Put the transport's jars where the node looks for modules, with a descriptor that names no Java module."""
    module = built / "home" / "modules" / MODULE
    module.mkdir(parents=True)
    for jar in [*(built / "lib").glob("netty-*.jar"), *(built / "lib").glob(f"{MODULE}-*.jar")]:
        jar.rename(module / jar.name)
    (jar,) = module.glob(f"{MODULE}-*.jar")
    with zipfile.ZipFile(jar) as archive:
        text = archive.read(f"META-INF/es-plugins/{MODULE}/plugin-descriptor.properties").decode("utf-8")
    kept = [line for line in text.splitlines() if not line.startswith("modulename")]
    (module / "plugin-descriptor.properties").write_text("\n".join(kept) + "\n", "utf-8")
