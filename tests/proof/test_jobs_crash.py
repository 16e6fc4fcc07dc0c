"""Workers killed at random under load: every job ends, its effect is there once, none is lost.

Real processes (``tests.jobs.crashing``), real commits, kill -9; in the full size also of Postgres.
"""

from __future__ import annotations

import asyncio
import os
import random
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from sqlalchemy import text

from app.config import Settings
from app.database import Database, is_database_away
from app.embedded import EmbeddedPostgres
from app.jobs import enqueue_all
from app.setup import bring_up_to_date
from tests.jobs.crashing import FIRST, SECOND, TABLES
from tests.rag.library import until

ROOT = Path(__file__).parent.parent.parent


@dataclass
class Workers:
    """Two at a time."""

    settings: dict[str, str]
    heartbeat: float
    log: Path
    alive: list[subprocess.Popen[bytes]] = field(default_factory=list)
    killed: int = 0

    def start(self) -> None:
        environment = {"PATH": os.environ["PATH"], "HOME": "/", "PYTHONPATH": str(ROOT)} | self.settings
        command = [sys.executable, "-m", "tests.jobs.crashing", str(self.heartbeat)]
        with self.log.open("ab") as log:
            started = subprocess.Popen(command, env=environment, cwd=ROOT, stdout=log, stderr=log)
        self.alive.append(started)

    async def kill(self, victim: subprocess.Popen[bytes]) -> None:
        victim.kill()
        await asyncio.to_thread(victim.wait)
        self.alive.remove(victim)
        self.killed += 1

    async def stop(self) -> list[int]:
        """Their exit codes after SIGTERM."""
        for each in self.alive:
            each.terminate()
        return [await asyncio.to_thread(each.wait, 30) for each in self.alive]


@asynccontextmanager
async def two_workers(
    database: Database, heartbeat: float, folder: Path, **settings: str
) -> AsyncIterator[Workers]:
    await execute_as_owner(database, TABLES)
    workers = Workers(settings, heartbeat, folder / "workers.log")
    workers.start()
    workers.start()
    try:
        yield workers
    finally:
        for each in list(workers.alive):
            await workers.kill(each)
        await execute_as_owner(database, "drop table crash_run, crash_effect, crash_sweep")


async def execute_as_owner(database: Database, sql: str) -> None:
    import asyncpg

    connection = await asyncpg.connect(database.dsn("owner"))
    try:
        await connection.execute(sql)
    finally:
        await connection.close()


async def scalar(database: Database, statement: str) -> int:
    async with database.session() as session:
        return int(await session.scalar(text(statement)) or 0)


async def put(database: Database, numbers: range) -> None:
    """However often the database is killed meanwhile; a job put twice has one effect, too."""
    while True:
        try:
            async with database.session() as session:
                await enqueue_all(session, FIRST, [{"n": n} for n in numbers])
        except Exception as error:
            if not is_database_away(error):
                raise
            await database.revive()
            await asyncio.sleep(0.1)
        else:
            return


async def ended(database: Database) -> bool:
    """Whether the queue is empty of ours; False while the database is being killed."""
    try:
        left = await scalar(
            database, f"select count(*) from pgqueuer where entrypoint in ('{FIRST}', '{SECOND}')"
        )
    except Exception as error:
        if not is_database_away(error):
            raise
        return False
    return left == 0


async def assert_all_ended(database: Database, count: int) -> None:
    for entrypoint in (FIRST, SECOND):
        effects = f"select count(*) from crash_effect where entrypoint = '{entrypoint}'"
        assert await scalar(database, effects) == count
    overlapping = """
        select count(*) from crash_sweep a join crash_sweep b on a.ctid <> b.ctid
        and a.began < b.ended and b.began < a.ended
    """
    assert await scalar(database, overlapping) == 0


async def test_workers_killed_under_load_lose_nothing(database: Database, tmp_path: Path):
    chance = random.Random(1)
    async with two_workers(
        database, 1, tmp_path, DATABASE_URL=database.dsn(), MIGRATION_DATABASE_URL=database.dsn("owner")
    ) as workers:
        for start in range(0, 200, 50):
            await put(database, range(start, start + 50))
            done = f"select count(*) >= {start // 2 + 10} from crash_run"
            await until(lambda done=done: scalar(database, done), seconds=60)
            await asyncio.sleep(chance.uniform(0, 0.2))
            await workers.kill(chance.choice(workers.alive))
            workers.start()
        await until(lambda: ended(database), seconds=60)
        await assert_all_ended(database, 200)
        assert await scalar(database, "select count(*) from crash_sweep where ended is not null") > 0
        assert await workers.stop() == [0, 0], workers.log.read_text()


@pytest.mark.proof
@pytest.mark.parametrize("seed", range(4))
async def test_workers_and_postgres_killed_at_random(tmp_path: Path, seed: int):
    """1,000 jobs and the 1,000 that they bring, 15 kills, with the heartbeat of real life."""
    chance = random.Random(seed)
    folder = tmp_path / "data"
    database = Database(Settings(data_dir=folder), embedded=EmbeddedPostgres(folder))
    await database.start()
    killed = 0
    try:
        await bring_up_to_date(database.settings, database)
        async with two_workers(database, 10, tmp_path, DATA_DIR=str(folder)) as workers:
            for start in range(0, 1000, 67):
                await put(database, range(start, min(start + 67, 1000)))
                await asyncio.sleep(chance.uniform(0.2, 1.5))
                victim = chance.choice(["first", "second", "both", "postgres"])
                if victim == "postgres":
                    (file,) = folder.rglob("postmaster.pid")
                    os.kill(int(file.read_text().splitlines()[0]), signal.SIGKILL)
                    killed += 1
                for index, name in ((1, "second"), (0, "first")):
                    if victim in {name, "both"}:
                        await workers.kill(workers.alive[index])
                while len(workers.alive) < 2:
                    workers.start()
            await until(lambda: ended(database), seconds=240)
            await assert_all_ended(database, 1000)
            runs = await scalar(database, "select count(*) from crash_run")
            sys.stdout.write(
                f"seed {seed}: {workers.killed} workers and {killed} Postgres killed, {runs} runs\n"
            )
            assert await workers.stop() == [0, 0], workers.log.read_text()
    finally:
        await database.stop()
