"""Runs the server as long as it has a user: starts or adopts it, restarts it when it dies, then stops it."""

from __future__ import annotations

import os
import select
import threading
import time
import traceback
from pathlib import Path

from app.embedded.account import choose_account
from app.embedded.cluster import Cluster
from app.embedded.logfile import LogFile
from app.embedded.places import Places, prepare_runtime, remove_runtime, reported
from app.embedded.postmaster import Postmaster, clear_stale_files
from app.embedded.processes import kill_leftovers
from app.embedded.state import Phase, State, open_lock, wait_exclusive, write_state
from app.embedded.tuning import write_settings
from app.exceptions import ConfigurationError

GIVE_UP_AFTER = 5  # failed starts, if there never was a good one: about three seconds
LONGEST_PAUSE = 10.0  # seconds between attempts
STABLE = 30.0  # seconds of service that make up for earlier failures
TICK = 60.0  # seconds between looks at the size of the log


class Supervisor:
    """One run from the first user to the last; ``descriptor`` holds the exclusive supervisor lock."""

    def __init__(self, data_dir: Path, binaries: Path, descriptor: int, *, durable: bool) -> None:
        self.places = Places(data_dir)
        self.binaries = binaries
        self.durable = durable
        self._state = descriptor
        os.set_inheritable(descriptor, False)  # noqa: FBT003 - takes no keyword
        self._gone = os.eventfd(0)  # readable when the last user has left
        self._failures = 0
        self._served = False

    def run(self) -> None:
        """Everything, and the last word in the state."""
        try:
            with reported():
                self._prepare()
                self._serve()
        except ConfigurationError as error:
            self._publish(Phase.FAILED, error.detail)
        except Exception as error:  # noqa: BLE001 - users wait for the state, the log has the stack
            self._publish(Phase.FAILED, f"Embedded Postgres: {error!r} (see {self.places.log})")
            traceback.print_exc()
        else:
            remove_runtime(self.places)
            self._publish(Phase.STOPPED)

    def _publish(self, phase: Phase, detail: str = "") -> None:
        write_state(self._state, State(phase=phase, detail=detail, socket=os.fspath(self.places.runtime)))

    def _prepare(self) -> None:
        self.log = LogFile(self.places.log)
        self.log.rotate()
        os.dup2(self.log.descriptor, 2)  # a stack trace goes to the log
        threading.Thread(target=self._watch_users, daemon=True).start()
        self.account = choose_account(self.places.cluster)
        prepare_runtime(self.places, self.account.uid, self.account.gid)
        self.cluster = Cluster(
            places=self.places,
            account=self.account,
            binaries=self.binaries,
            log=self.log,
            durable=self.durable,
        )

    def _watch_users(self) -> None:
        wait_exclusive(open_lock(self.places.users_lock))
        os.eventfd_write(self._gone, 1)

    def _users_gone(self, timeout: float = 0) -> bool:
        return bool(select.select([self._gone], [], [], timeout)[0])

    def _serve(self) -> None:
        while not self._users_gone():
            postmaster = self._adopt() or self._launch()
            try:
                self._attend(postmaster)
            finally:
                postmaster.close()
        self._publish(Phase.STOPPING)
        self._finish()

    def _adopt(self) -> Postmaster | None:
        found = Postmaster.adopt(self.places, self.account, self.binaries / "postgres")
        if found is not None:
            self.log.note(f"took over the running server, process {found.pid}")
        return found

    def _launch(self) -> Postmaster:
        kill_leftovers(self.places, self.account.uid)
        self.log.mark()
        if not self.cluster.exists():
            self._publish(Phase.CREATING)
            self.cluster.create()
        self.cluster.prepare()
        self._publish(Phase.STARTING)
        clear_stale_files(self.places)
        self.cluster.update_extensions()
        write_settings(self.places, durable=self.durable)
        binary, link = self.binaries / "postgres", self.places.link
        command = [os.fspath(binary), "-D", os.fspath(link), "-c", f"config_file={self.places.configuration}"]
        return Postmaster.launch(
            self.account.command(command, reach=[binary, link, self.places.configuration]),
            log=self.log.descriptor,
        )

    def _attend(self, postmaster: Postmaster) -> None:
        """From start to end of one server process; a death is counted and waited upon."""
        if self._await_ready(postmaster):
            self._publish(Phase.READY)
            self._served = True
            began = time.monotonic()
            self._await_end(postmaster)
            if time.monotonic() - began > STABLE:
                self._failures = 0
        if self._users_gone():
            self._publish(Phase.STOPPING)
            postmaster.stop()
            return
        self._pause()

    def _await_ready(self, postmaster: Postmaster) -> bool:
        began = time.monotonic()
        shown = 0
        while not self._users_gone():
            if postmaster.is_ready(self.places.cluster):
                return True
            if postmaster.ended(0.01):
                return False
            if (waited := int(time.monotonic() - began)) > shown:
                shown = waited
                self._publish(Phase.STARTING, f"starting, or recovering after a crash, since {waited} s")
        return False

    def _await_end(self, postmaster: Postmaster) -> None:
        """Until the server ends or the last user has left."""
        while not select.select([self._gone, postmaster.descriptor], [], [], TICK)[0]:
            self.log.rotate()
            prepare_runtime(self.places, self.account.uid, self.account.gid)  # against a cleaner of /tmp

    def _pause(self) -> None:
        self._failures += 1
        reason = self.log.reason()
        self.log.note(f"the server ended unasked, {self._failures} times now; last words: {reason}")
        if not self._served and self._failures >= GIVE_UP_AFTER:
            raise ConfigurationError(f"Embedded Postgres does not start: {reason}")
        self._publish(Phase.STARTING, f"the server ended unasked ({reason}) and is started again")
        self._users_gone(min(0.1 * 2 ** (self._failures - 1), LONGEST_PAUSE))

    def _finish(self) -> None:
        """The last user left before or while a server was attended to; an orphan may still run."""
        if (orphan := self._adopt()) is not None:
            orphan.stop()
            orphan.close()
        kill_leftovers(self.places, self.account.uid)
