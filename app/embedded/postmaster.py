"""One running Postgres server: found again or started, watched, stopped."""

from __future__ import annotations

import os
import signal
import subprocess
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from app.embedded import processes
from app.embedded.account import Account
from app.embedded.places import Places

ENVIRONMENT = {
    "PATH": "/usr/bin:/bin",
    "LC_ALL": "C",
    "TZ": "UTC",
}  # nothing of the caller's, its PG* least of all
NO_PROCESS = 2**31 - 1  # above every possible process id
FAST_STOP = 60.0  # seconds for the shutdown checkpoint
QUIT_STOP = 10.0


@dataclass(frozen=True, kw_only=True)
class PidFile:
    """What ``postmaster.pid`` says; the server rewrites it as it goes (src/include/utils/pidfile.h)."""

    pid: int
    status: str

    @classmethod
    def read(cls, cluster: Path) -> PidFile | None:
        """None when there is none or it is not readable as one."""
        try:
            lines = (cluster / "postmaster.pid").read_text(encoding="utf-8", errors="replace").splitlines()
            pid = int(lines[0])
        except (FileNotFoundError, ValueError, IndexError):
            return None
        if not 0 < pid <= NO_PROCESS:
            return None
        return cls(pid=pid, status=lines[7].strip() if len(lines) > 7 else "")


class Postmaster:
    """The server's first process, ours to watch and to stop: a child, or an orphan of our predecessor."""

    def __init__(self, pid: int, *, descriptor: int, child: subprocess.Popen[bytes] | None = None) -> None:
        self.pid = pid
        self.descriptor = descriptor  # a pidfd
        self._child = child

    @classmethod
    def launch(cls, command: list[str], *, log: int) -> Postmaster:
        """Start the server in a session of its own, where no Ctrl-C of a terminal reaches it."""
        child = subprocess.Popen(  # noqa: S603 - our own command
            command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd="/",
            env=ENVIRONMENT,
            start_new_session=True,
        )
        return cls(child.pid, descriptor=os.pidfd_open(child.pid), child=child)

    @classmethod
    def adopt(cls, places: Places, account: Account, binary: Path) -> Postmaster | None:
        """The server that a dead supervisor left running, if it is provably ours and of the same binary."""
        found = PidFile.read(places.cluster)
        if found is None:
            return None
        try:
            descriptor = os.pidfd_open(found.pid)
        except OSError:
            return None
        postmaster = cls(found.pid, descriptor=descriptor)
        if not processes.is_ours(found.pid, places, account.uid):
            postmaster.close()
            return None
        if found.status == "stopping" or not _runs(found.pid, binary):
            postmaster.stop()
            postmaster.close()
            return None
        return postmaster

    def is_ready(self, cluster: Path) -> bool:
        """Whether it says that it accepts connections."""
        found = PidFile.read(cluster)
        return found is not None and found.pid == self.pid and found.status == "ready"

    def ended(self, timeout: float = 0) -> bool:
        """Whether it ends within so many seconds."""
        return processes.ended(self.descriptor, timeout)

    def stop(self) -> None:
        """Fast shutdown; harder means when that takes too long, since recovery repairs what they leave."""
        steps = ((signal.SIGINT, FAST_STOP), (signal.SIGQUIT, QUIT_STOP), (signal.SIGKILL, QUIT_STOP))
        for number, patience in steps:
            if self.ended():
                return
            with suppress(ProcessLookupError):
                signal.pidfd_send_signal(self.descriptor, number)
            self.ended(patience)

    def close(self) -> None:
        """Forget the process; reap it if it is a child that has ended."""
        os.close(self.descriptor)
        if self._child is not None:
            self._child.poll()


def _runs(pid: int, binary: Path) -> bool:
    """Whether the process runs this very file; unknowable without the right to look, then believed."""
    try:
        return binary.samefile(f"/proc/{pid}/exe")
    except PermissionError:
        return True
    except OSError:
        return False


def clear_stale_files(places: Places) -> None:
    """Make Postgres accept the lock files of a server that is gone; only after all its processes are.

    Postgres takes ``postmaster.pid`` for valid as long as any process of the same account has that id. The id
    is overwritten and the file kept, since Postgres checks by it that no shared memory of the dead is in use.
    """
    path = places.cluster / "postmaster.pid"
    with suppress(FileNotFoundError):
        found = PidFile.read(places.cluster)
        if found is None:  # cut off by a power failure; Postgres would refuse it
            path.unlink()
        else:
            _, _, rest = path.read_bytes().partition(b"\n")
            descriptor = os.open(path, os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
            try:
                os.pwrite(descriptor, str(NO_PROCESS).encode() + b"\n" + rest, 0)  # never shorter than before
            finally:
                os.close(descriptor)
    places.socket.with_name(f"{places.socket.name}.lock").unlink(missing_ok=True)
