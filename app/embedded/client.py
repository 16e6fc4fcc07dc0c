"""What a process of Tridesk holds: its share in the embedded server."""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Literal, Self
from urllib.parse import quote

from app.embedded.launcher import Launcher
from app.embedded.places import PORT, Places, reported
from app.embedded.state import Phase, State, open_lock, try_lock, unlock
from app.exceptions import ConfigurationError, DatabaseUnavailableError

Role = Literal["owner", "app"]
Progress = Callable[[str], None]

POLL = 0.01  # seconds; flock has no wait with a timeout
GIVE_UP_AFTER = 3  # supervisors that died without a word


class EmbeddedPostgres:
    """A share in the server of ``data_dir``; threads may use it together, one object a process is enough.

    The first share starts the server, the last one to be released stops it; a process that dies in whatever
    way gives its share back. ``durable=False`` is for tests: a power cut may then destroy the data. It counts
    when the server starts; whoever joins later takes it as it is.
    """

    def __init__(self, data_dir: Path, *, durable: bool = True) -> None:
        self._places = Places.of(data_dir)
        self._launcher = Launcher(places=self._places, durable=durable)
        self._socket_folder: str | None = None  # as the supervisor says, once it has
        self._users: int | None = None  # descriptor whose shared lock is our share
        self._process = 0  # that took the share; a forked child has none
        self._guard = threading.RLock()

    def start(self, timeout: float = 120, *, progress: Progress | None = None) -> None:
        """Take a share and wait until the server accepts connections, through recovery too. Idempotent.

        ``progress`` gets a line whenever there is news. Raises ``ConfigurationError`` with a line that says
        what to do when it cannot start, ``DatabaseUnavailableError`` when ``timeout`` seconds are over.
        """
        with self._guard, reported():
            joined_before = self._joined
            try:
                deadline = time.monotonic() + timeout
                self._join(deadline)
                self._await_ready(deadline, progress or (lambda line: None))
            except BaseException:
                if not joined_before:
                    self._leave()
                raise

    def ensure(self) -> None:
        """Start the supervisor again if it has died, without waiting for the server; cheap if it has not."""
        with self._guard, reported():
            if not self._joined:
                raise DatabaseUnavailableError("The embedded Postgres is not started.")
            self._launcher.launch()

    def release(self, timeout: float = 90) -> None:
        """Give the share back and, if it was the last, wait until the server has stopped. Idempotent."""
        with self._guard, reported():
            if not self._joined:
                self._leave()
                return
            self._launcher.launch()  # a dead supervisor cannot stop the server
            self._leave()
            self._await_stop(time.monotonic() + timeout)

    def dsn(self, role: Role) -> str:
        """libpq URL. Before ``start`` it is what it will be unless the folders of /tmp change."""
        return f"postgresql://{self._address(role)}"

    def url(self, role: Role) -> str:
        """The same for SQLAlchemy's asyncpg dialect."""
        return f"postgresql+asyncpg://{self._address(role)}"

    async def start_async(self, timeout: float = 120, *, progress: Progress | None = None) -> None:  # noqa: ASYNC109 - passed on
        """``start`` in a thread; ``progress`` is called there."""
        await _in_thread(lambda: self.start(timeout, progress=progress))

    async def ensure_async(self) -> None:
        """``ensure`` in a thread."""
        await _in_thread(self.ensure)

    async def release_async(self) -> None:
        """``release`` in a thread."""
        await _in_thread(self.release)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self.release()

    def _address(self, role: Role) -> str:
        host = quote(self._socket_folder or os.fspath(self._places.runtime), safe="/")
        return f"tridesk_{role}@/tridesk?host={host}&port={PORT}"

    @property
    def _joined(self) -> bool:
        return self._users is not None and self._process == os.getpid()

    def _join(self, deadline: float) -> None:
        if self._joined:
            return
        self._leave()
        self._places.data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._users, self._process = open_lock(self._places.users_lock), os.getpid()
        while not try_lock(self._users, exclusive=False):
            _pause(deadline, "the server before is still being stopped")

    def _leave(self) -> None:
        if self._users is None:
            return
        if self._joined:
            unlock(self._users)
        os.close(self._users)  # in a forked child this leaves the parent's share alone
        self._users = None

    def _await_ready(self, deadline: float, progress: Progress) -> None:
        launches, shown = 0, ""
        while True:
            launches += self._launcher.launch(tried=launches > 0 or shown != "")
            state = self._launcher.state()
            if state.phase is Phase.READY and _accepts(state.socket):
                self._socket_folder = state.socket
                return
            if launches > GIVE_UP_AFTER:
                raise ConfigurationError(
                    f"Embedded Postgres: its supervisor dies at once (see {self._places.log})."
                )
            if (line := state.detail or state.phase.value) != shown:
                shown = line
                progress(line)
            _pause(deadline, _excuse(state))

    def _await_stop(self, deadline: float) -> None:
        users, supervisor = open_lock(self._places.users_lock), open_lock(self._places.supervisor_lock)
        try:
            while not _shared_by_others(users) and not try_lock(supervisor, exclusive=False):
                _pause(deadline, "the server is still being stopped")
        finally:
            os.close(users)
            os.close(supervisor)


async def _in_thread(function: Callable[[], None]) -> None:
    import asyncio  # noqa: PLC0415 - the supervisor, which imports this package, starts sooner without

    await asyncio.to_thread(function)


def _accepts(folder: str) -> bool:
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.connect(f"{folder}/.s.PGSQL.{PORT}")
        except OSError:
            return False
    return True


def _shared_by_others(users: int) -> bool:
    """Whether anybody has a share; an exclusive lock is the supervisor's, which stops the server."""
    if try_lock(users, exclusive=True):
        unlock(users)
        return False
    if try_lock(users, exclusive=False):
        unlock(users)
        return True
    return False


def _excuse(state: State) -> str:
    if state.phase is Phase.READY:
        return (
            f"it is said to run, but nothing answers in {state.socket}: if another container uses this"
            " DATA_DIR, give each its own, or set DATABASE_URL"
        )
    return state.detail or state.phase.value


def _pause(deadline: float, line: str) -> None:
    if time.monotonic() > deadline:
        raise DatabaseUnavailableError(f"The embedded Postgres did not get there in time: {line}.")
    time.sleep(POLL)
