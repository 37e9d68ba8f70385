"""A real rsyslog for tests: it reads a file and sends its lines on, as a server of the institution does."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest

_MODULES = [*Path("/usr/lib").glob("*/rsyslog"), Path("/usr/lib/rsyslog")]

_CONFIGURATION = """
global(workDirectory="{folder}" {options})
module(load="imfile")
{modules}
input(type="imfile" file="{folder}/input.log" tag="prueba:" severity="info" facility="local0")
action({action} action.resumeRetryCount="-1" action.resumeInterval="1" queue.type="linkedList" queue.size="100000")
"""


def needed(*modules: str) -> None:
    """Skip the test where rsyslog or one of its modules is not installed; in CI that is an error."""
    found = [folder for folder in _MODULES if folder.exists()]
    missing = [name for name in modules if not any((folder / f"{name}.so").exists() for folder in found)]
    if shutil.which("rsyslogd") is None:
        missing.insert(0, "rsyslogd")
    if missing:
        told = f"no {', '.join(missing)} here: apt-get install rsyslog rsyslog-relp rsyslog-gnutls"
        if os.environ.get("CI") == "true":
            pytest.fail(told)
        pytest.skip(told)


class Rsyslog:
    """One that runs."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def write(self, lines: Sequence[str]) -> None:
        """Put lines at the end of the file that it reads."""
        with (self._folder / "input.log").open("a") as file:
            file.writelines(f"{line}\n" for line in lines)

    def said(self) -> str:
        """What it said of itself, for a test that failed."""
        return (self._folder / "rsyslogd.out").read_text("utf-8", "replace")


@contextlib.asynccontextmanager
async def rsyslog(
    folder: Path, action: str, *, modules: Sequence[str] = (), options: str = ""
) -> AsyncIterator[Rsyslog]:
    """Run one with this output action; `modules` are loaded, `options` are of the `global` statement."""
    folder.mkdir(exist_ok=True)
    (folder / "input.log").touch()
    configuration = folder / "rsyslog.conf"
    loaded = "\n".join(f'module(load="{name}")' for name in modules)
    configuration.write_text(_CONFIGURATION.format(folder=folder, options=options, modules=loaded, action=action))
    command = ["rsyslogd", "-n", "-f", str(configuration), "-i", str(folder / "pid"), "-C"]
    with (folder / "rsyslogd.out").open("wb") as out:
        process = await asyncio.create_subprocess_exec(*command, stdout=out, stderr=out)
        try:
            yield Rsyslog(folder)
        finally:  # whoever it sends to must go on meanwhile, to answer its last word
            process.terminate()
            try:
                await asyncio.wait_for(process.wait(), 10)
            except TimeoutError:
                process.kill()
                await process.wait()
