"""The installed command in a process group of its own, as a terminal or a container would run it.

Usage::

    with Tridesk("up", DATA_DIR=folder) as up:
        up.wait_for("ready at")
        assert up.stop() == 0
"""

from __future__ import annotations

import os
import queue
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Self

SECONDS = 90  # for anything that is waited for; a slow machine needs a part of it
COMMAND = [sys.executable, "-c", "from app.cli import main; main()"]
ROOT = Path(__file__).parent.parent


def environment(**settings: object) -> dict[str, str]:
    """Nothing of the caller's settings: only where programs are, and what is given."""
    return {"PATH": os.environ["PATH"], "HOME": "/", "PORT": "0"} | {
        name: str(value) for name, value in settings.items()
    }


def tridesk(*arguments: str, **settings: object) -> subprocess.CompletedProcess[str]:
    """One command to its end."""
    return subprocess.run(
        [*COMMAND, *arguments],
        env=environment(**settings),
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
        start_new_session=True,
    )


class Tridesk:
    """A command that runs until it is stopped; its lines, errors included, as they come."""

    def __init__(self, *arguments: str, **settings: object) -> None:
        self.process = subprocess.Popen(
            [*COMMAND, *arguments],
            env=environment(**settings),
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        self.lines: list[str] = []
        self._coming: queue.Queue[str | None] = queue.Queue()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        for line in self.process.stdout:
            self._coming.put(line.rstrip("\n"))
        self._coming.put(None)

    def wait_for(self, part: str) -> str:
        """The first line from here on that contains ``part``; fails with the output when the process ends."""
        deadline = time.monotonic() + SECONDS
        while True:
            line = self._coming.get(timeout=max(0.01, deadline - time.monotonic()))
            assert line is not None, f"ended without {part!r}:\n{self.output}"
            self.lines.append(line)
            if part in line:
                return line

    def send(self, number: int) -> None:
        """To the whole group, as a terminal does."""
        os.killpg(self.process.pid, number)

    def end(self) -> int:
        """The exit code, once the process has ended and all of its output is read."""
        code = self.process.wait(SECONDS)
        self._reader.join(SECONDS)
        while (line := self._coming.get(timeout=SECONDS)) is not None:
            self.lines.append(line)
        return code

    def stop(self, number: int = signal.SIGINT) -> int:
        """Signal, wait, exit code."""
        self.send(number)
        return self.end()

    @property
    def output(self) -> str:
        """All lines so far."""
        return "\n".join(self.lines)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        if self.process.poll() is None:
            self.send(signal.SIGKILL)
            self.process.wait()
        self._reader.join(SECONDS)
        self.process.stdout.close()


def processes_of(folder: Path) -> list[str]:
    """Command lines of the processes that work for a data folder: named in their arguments or environment."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                known = (entry / "cmdline").read_bytes() + (entry / "environ").read_bytes()
            except OSError:  # it has ended, or is another user's
                continue
            if os.fsencode(folder) in known:
                found.append(known[:200].decode(errors="replace"))
    return found
