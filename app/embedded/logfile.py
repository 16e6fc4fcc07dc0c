"""The log that Postgres and its supervisor share, kept small."""

from __future__ import annotations

import os
import shutil
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

LIMIT_BYTES = 8 * 2**20
TAIL_BYTES = 8192

_ADVICE = {
    "No space left on device": "no space is left on the disk: free some, or point DATA_DIR to another disk",
    "could not create shared memory": "not enough shared memory: raise the container's limit",
    "could not map anonymous shared memory": "not enough memory: give the machine or container more",
}
_SIGNS = (
    "FATAL:",
    "PANIC:",
    "tridesk: ",
    "initdb: error:",
    "ERROR:",
    "error while loading",
    "LOG:  could not",
)


class LogFile:
    """Append-only, so that it can be emptied while Postgres writes to it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        flags = os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW
        self.descriptor = os.open(path, flags, 0o600)
        self._reset_mark = os.fstat(self.descriptor).st_size

    def rotate(self, limit: int = LIMIT_BYTES) -> None:
        """Once it has outgrown ``limit`` bytes, keep it as the one older generation and begin anew."""
        if os.fstat(self.descriptor).st_size <= limit:
            return
        with suppress(OSError):  # a full disk loses the copy, not the limit
            shutil.copyfile(self.path, self.path.with_name(f"{self.path.name}.1"))
        os.ftruncate(self.descriptor, 0)
        self._reset_mark = 0

    def mark(self) -> None:
        """``reason`` looks only at what is written from here on."""
        self._reset_mark = os.fstat(self.descriptor).st_size

    def write(self, data: bytes) -> None:
        """Append; a full disk is no reason to fail."""
        with suppress(OSError):
            os.write(self.descriptor, data)

    def note(self, message: str) -> None:
        """A line of the supervisor's own."""
        now = datetime.now(UTC).isoformat(sep=" ", timespec="milliseconds")
        self.write(f"{now} [{os.getpid()}] supervisor: {message}\n".encode())

    def reason(self) -> str:
        """``explain`` of what was written since ``mark``."""
        size = os.fstat(self.descriptor).st_size
        start = max(self._reset_mark, size - TAIL_BYTES)
        return self.explain(os.pread(self.descriptor, max(0, size - start), start).decode(errors="replace"))

    def explain(self, text: str) -> str:
        """The last line that says why something failed, or advice where the cause is known."""
        for sign, advice in _ADVICE.items():
            if sign in text:
                return f"{advice} (see {self.path})."
        lines = [line for line in text.splitlines() if any(sign in line for sign in _SIGNS)]
        last = lines[-1] if lines else "no reason given"
        return f"{last[:300]} (see {self.path})"
