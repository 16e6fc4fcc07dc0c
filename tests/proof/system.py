"""The whole system in real processes, kept running as a service manager would, and killed without a word."""

from __future__ import annotations

import asyncio
import random
import signal
import socket
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from app.config import Settings
from app.database import Database, is_database_away
from app.embedded import EmbeddedPostgres
from app.embedded.places import Places
from app.embedded.processes import handle, is_ours, our_processes
from app.identity import Role
from app.identity import service as identity
from app.setup import bring_up_to_date
from tests.proof.test_outage import link_models
from tests.rag.library import until
from tests.tridesk import ROOT, Tridesk

POSTGRES = ("postmaster", "backend", "cluster")  # the first process; any other; all of them
VICTIMS = ("server", "worker", *POSTGRES, "everything")


class Program:
    """One command that is started again whenever it ends, until ``stop``."""

    def __init__(self, command: str, settings: dict[str, object]) -> None:
        self.unasked: list[str] = []  # last lines of those that ended by themselves
        self.errors: Counter[str] = Counter()
        self._command = command
        self._settings = settings
        self._running: Tridesk | None = None
        self._is_asked = self._is_last = False
        self._ended = asyncio.Event()
        self._may_run = asyncio.Event()
        self._may_run.set()
        self._keeping = asyncio.create_task(self._keep())

    async def _keep(self) -> int:
        """The last one's exit code."""
        while True:
            await self._may_run.wait()
            self._is_asked = False
            self._ended.clear()
            running = self._running = Tridesk(self._command, **self._settings)
            code = await asyncio.to_thread(self._see_out, running)
            self._ended.set()
            if self._is_last:
                return code
            if not self._is_asked:
                self.unasked.append("\n    ".join(last_words(running.lines)))
                await asyncio.sleep(0.3)

    def _see_out(self, running: Tridesk) -> int:
        with running:
            running.process.wait()
            code = running.end()
        self.errors += Counter(line for line in running.lines if is_error(line))
        return code

    async def kill(self, meanwhile: Callable[[], Awaitable[object]] | None = None) -> None:
        """kill -9; it is started again after ``meanwhile``."""
        self._may_run.clear()
        self._is_asked = True
        if self._running is not None:
            self._running.process.kill()
            await self._ended.wait()
        if meanwhile is not None:
            await meanwhile()
        self._may_run.set()

    async def stop(self, number: int = signal.SIGTERM) -> int:
        """End it for good; the exit code."""
        self._is_asked = self._is_last = True
        if self._running is not None and not self._keeping.done():
            self._running.process.send_signal(number)
        return await self._keeping


def last_words(lines: list[str]) -> list[str]:
    """Where in our code a stack has been, and what it was about."""
    ours = [each.strip() for each in lines[-200:] if f'"{ROOT}/app/' in each]
    return [*ours, *lines[-2:]]


def is_error(line: str) -> bool:
    """Whether a line of the log, or of a stack beside it, says that something is wrong with the code."""
    return '"level":"error"' in line.replace(" ", "").lower() or line.startswith("Traceback")


class System:
    """``tridesk serve`` and ``tridesk worker`` on one embedded Postgres, which they share with the test."""

    def __init__(self, data_dir: Path, database: Database, port: int, *, worker_in_server: bool) -> None:
        self.database = database
        self.address = f"http://127.0.0.1:{port}"
        self.kills: Counter[str] = Counter()
        self._places = Places.of(data_dir)
        settings: dict[str, object] = {
            "DATA_DIR": data_dir,
            "SAMPLE_COMPANY": "false",
            "WEBHOOK_ALLOW_PRIVATE": "true",
            "LOG_LEVEL": "WARNING",
            "LOG_FORMAT": "json",
        }
        within = {"PORT": port, "WORKER_IN_SERVER": str(worker_in_server).lower()}
        self.server = Program("serve", settings | within)
        self.worker = Program("worker", settings)

    async def kill(self, victim: str, chance: random.Random) -> None:
        self.kills[victim] += 1
        if victim in {*POSTGRES, "everything"}:
            self._kill_postgres("cluster" if victim == "everything" else victim, chance)
        if victim in {"server", "everything"}:
            await self.server.kill()
        if victim in {"worker", "everything"}:
            await self.worker.kill()

    async def kill_worker_and_let_its_time_pass(self) -> None:
        """As if its leases and heartbeats had run out; there is no other worker whose they could be."""
        self.kills["worker"] += 1
        await self.worker.kill(meanwhile=self._pass_time)

    async def _pass_time(self) -> None:
        async def passed() -> bool:
            try:
                async with self.database.session() as session:
                    connection = await session.connection()
                    await connection.exec_driver_sql(
                        "update webhook_queue set due_at = now() where lease is not null"
                    )
                    await connection.exec_driver_sql(
                        "update pgqueuer set heartbeat = now() - interval '1 minute' where status = 'picked'"
                    )
            except Exception as error:
                if not is_database_away(error):
                    raise
                return False
            return True

        await until(passed, seconds=30)

    def _kill_postgres(self, which: str, chance: random.Random) -> None:
        """Those of its processes that are proven to be this cluster's."""
        uid = self._places.cluster.stat().st_uid
        ids = sorted(our_processes(self._places, uid))
        first = self._postmaster()
        others = [each for each in ids if each != first]
        if which == "backend" and others:
            ids = [chance.choice(others)]
        elif which == "postmaster" and first in ids:
            ids = [first]
        for each in ids:
            with handle(each) as descriptor:
                if descriptor is not None and is_ours(each, self._places, uid):
                    with suppress(ProcessLookupError):
                        signal.pidfd_send_signal(descriptor, signal.SIGKILL)

    def _postmaster(self) -> int:
        """0 while it is not there."""
        try:
            return int((self._places.cluster / "postmaster.pid").read_text().splitlines()[0])
        except (OSError, ValueError, IndexError):
            return 0

    async def stop(self) -> list[int]:
        """Gently; the exit codes of server and worker."""
        return list(await asyncio.gather(self.server.stop(), self.worker.stop()))

    async def end(self) -> None:
        """Whatever state it is in."""
        await asyncio.gather(self.server.stop(signal.SIGKILL), self.worker.stop(signal.SIGKILL))


@asynccontextmanager
async def a_system(
    data_dir: Path, models: Path, *, worker_in_server: bool
) -> AsyncIterator[tuple[System, str]]:
    """The system and an admin's key; only the local model is shared with other tests."""
    link_models(data_dir, models)
    settings = Settings(data_dir=data_dir)
    database = Database(settings, embedded=EmbeddedPostgres(data_dir))
    await database.start()
    try:
        await bring_up_to_date(settings, database)
        async with database.session() as session:
            _, key = await identity.create_key(session, name="crash", role=Role.admin)
        system = System(data_dir, database, free_port(), worker_in_server=worker_in_server)
        try:
            yield system, key
        finally:
            await system.end()
    finally:
        await database.stop()


def free_port() -> int:
    """The same for every start of a server: clients come back to where it was."""
    with socket.create_server(("127.0.0.1", 0)) as found:
        return int(found.getsockname()[1])
