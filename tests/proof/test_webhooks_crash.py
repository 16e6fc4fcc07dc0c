"""Killed at random points, of dispatchers, writers and Postgres: every event arrives, in order.

Real processes and kill -9. The log of events is the truth: whatever is in it has to arrive at least once, the
messages of a subject in its order; whatever a writer was told is committed has to be in it.
"""

from __future__ import annotations

import asyncio
import os
import random
import signal
import sys
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from sqlalchemy import text
from standardwebhooks import Webhook

from app.config import Settings
from app.database import Database
from app.embedded import EmbeddedPostgres
from app.identity import SYSTEM
from app.migrations import migrate
from app.webhooks.service import endpoints
from tests.proof.test_ingest_crash import postmaster
from tests.rag.library import until
from tests.webhooks.receiver import Message, Receiver, receiving

ROOT = Path(__file__).parent.parent.parent
SUBJECTS = 12

DISPATCH = """
import asyncio, sys
from datetime import timedelta
from app.config import Settings
from app.database import Database
from app.jobs.services import keep_running
from app.webhooks import WebhookDispatcher

async def main():
    database = Database(Settings(database_url=sys.argv[1]))
    database.open()
    quick = (timedelta(milliseconds=100),) * 10_000
    dispatcher = WebhookDispatcher(
        database, allow_private=True, retries=quick, lease=timedelta(seconds=1.5)
    )
    await keep_running(dispatcher, database, asyncio.Event())

asyncio.run(main())
"""
# Says `number subject` when its commit has returned.
WRITE = """
import asyncio, random, sys
from uuid import UUID
from app import events
from app.config import Settings
from app.database import Database
from app.events import Subject
from app.identity import SYSTEM

async def main():
    database = Database(Settings(database_url=sys.argv[1]))
    database.open()
    first, chance = int(sys.argv[2]), random.Random(sys.argv[2])
    for number in range(first, first + 1000):
        subject = UUID(int=chance.randrange(int(sys.argv[3])) + 1)
        while True:
            try:
                async with database.session() as session:
                    subject_of = Subject("crash", subject)
                    after = {"n": number}
                    await events.record(session, "crash.made", subject=subject_of, actor=SYSTEM, after=after)
                    await asyncio.sleep(chance.uniform(0, 0.02))
                break
            except Exception:
                await asyncio.sleep(0.1)
        print(number, subject, flush=True)

asyncio.run(main())
"""


@dataclass
class Stage:
    """The database, the receiver, and the processes of a run."""

    database: Database
    data_dir: Path
    receiver: Receiver
    endpoint_id: object
    dispatchers: list[asyncio.subprocess.Process] = field(default_factory=list)
    told: set[int] = field(default_factory=set)
    _writers: list[asyncio.subprocess.Process] = field(default_factory=list)
    _readers: list[asyncio.Task[None]] = field(default_factory=list)
    _written: int = 0

    async def start(self, script: str, *arguments: object) -> asyncio.subprocess.Process:
        return await asyncio.create_subprocess_exec(
            sys.executable,
            *("-W", "ignore", "-c", script, self.database.dsn(), *map(str, arguments)),
            cwd=ROOT,
            env={"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT)},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
        )

    async def start_dispatcher(self) -> None:
        self.dispatchers.append(await self.start(DISPATCH))

    async def start_writer(self) -> None:
        """Each has a thousand numbers of its own."""
        self._written += 1000
        writer = await self.start(WRITE, self._written, SUBJECTS)
        self._writers.append(writer)
        self._readers.append(asyncio.create_task(self._listen(writer)))

    async def _listen(self, writer: asyncio.subprocess.Process) -> None:
        while line := await writer.stdout.readline():
            self.told.add(int(line.split()[0]))

    async def kill_dispatcher(self, chance: random.Random) -> None:
        victim = self.dispatchers.pop(chance.randrange(len(self.dispatchers)))
        await self.end(victim)
        await self.start_dispatcher()

    async def kill_writer(self) -> None:
        await self.end(self._writers.pop())

    def kill_postgres(self) -> None:
        os.kill(postmaster(self.data_dir), signal.SIGKILL)

    async def end(self, process: asyncio.subprocess.Process) -> None:
        if process.returncode is None:
            process.kill()
        await process.wait()

    async def close(self) -> None:
        for each in (*self.dispatchers, *self._writers):
            await self.end(each)
        await asyncio.gather(*self._readers)

    async def logged(self) -> list[tuple[str, int]]:
        """(subject, number) of every event in the log's order."""
        async with self.database.session() as session:
            statement = text(
                "select subject_id::text, (after ->> 'n')::int from event where type = 'crash.made'"
                ' order by "transaction", number'
            )
            return [tuple(row) for row in await session.execute(statement)]

    async def delivered(self) -> bool:
        """Whether nothing is left to do: the cursor at the end, the queue empty."""
        try:
            expected = len(await self.logged())
            async with self.database.session() as session:
                done = await session.scalar(
                    text("select count(*) from webhook_delivery where status = 'delivered'")
                )
                waiting = await session.scalar(text("select count(*) from webhook_queue"))
            return (done, waiting) == (expected, 0)
        except Exception:  # noqa: BLE001 - Postgres is recovering
            return False


@asynccontextmanager
async def a_stage(data_dir: Path, chance: random.Random) -> AsyncIterator[Stage]:
    """A database of its own with one endpoint, and a receiver that is slow and fails at random."""
    settings = Settings(data_dir=data_dir)
    database = Database(settings, embedded=EmbeddedPostgres(data_dir))
    await database.start()
    try:
        await asyncio.to_thread(migrate, database)

        async def behave(message: Message) -> int:
            await asyncio.sleep(chance.uniform(0, 0.03))
            verify(message.body, message.headers)
            return chance.choice([200] * 9 + [500])

        async with receiving(behave) as receiver:
            async with database.session() as session:
                endpoint = await endpoints.create(
                    session,
                    url=receiver.url,
                    events=["crash.*"],
                    description="",
                    enabled=True,
                    principal=SYSTEM,
                    allow_private=True,
                )
            verify = Webhook(endpoint.secret).verify
            stage = Stage(database, data_dir, receiver, endpoint.id)
            try:
                yield stage
            finally:
                await stage.close()
    finally:
        await database.stop()


def first_arrivals(messages: list[Message]) -> dict[str, list[int]]:
    """Numbers by subject in the order in which they were first taken."""
    arrived: dict[str, list[int]] = defaultdict(list)
    for each in messages:
        if each.n not in arrived[each.subject]:
            arrived[each.subject].append(each.n)
    return arrived


async def assert_all_arrived(stage: Stage, seconds: float) -> int:
    """How many messages came more than once."""
    await until(stage.delivered, seconds=seconds, every=0.2)
    expected: dict[str, list[int]] = defaultdict(list)
    logged = await stage.logged()
    for subject, number in logged:
        expected[subject].append(number)
    assert stage.told <= {number for _, number in logged}, "a committed event is gone"
    assert first_arrivals(stage.receiver.taken) == expected
    return len(stage.receiver.taken) - len(logged)


async def arrived(stage: Stage, count: int) -> None:
    await stage.receiver.until(lambda: len({each.id for each in stage.receiver.taken}) >= count, 90)


async def test_killing_dispatchers_a_writer_and_postgres_loses_nothing_and_keeps_the_order(tmp_path: Path):
    chance = random.Random(0)
    async with a_stage(tmp_path, chance) as stage:
        await asyncio.gather(stage.start_writer(), stage.start_dispatcher(), stage.start_dispatcher())
        await arrived(stage, 20)
        await stage.kill_dispatcher(chance)
        await arrived(stage, 40)
        stage.kill_postgres()
        await arrived(stage, 80)
        await stage.kill_writer()
        await stage.kill_dispatcher(chance)
        await assert_all_arrived(stage, 60)
        assert len(stage.told) >= 60


@pytest.mark.proof
@pytest.mark.parametrize("seed", range(6))
async def test_kills_at_random_points(tmp_path: Path, seed: int, record_property):
    chance = random.Random(seed)
    async with a_stage(tmp_path, chance) as stage:
        await asyncio.gather(stage.start_writer(), stage.start_writer())
        await asyncio.gather(*(stage.start_dispatcher() for _ in range(3)))
        target = 0
        for _ in range(10):
            target += chance.randrange(30, 120)
            await arrived(stage, target)
            await asyncio.sleep(chance.uniform(0, 0.3))
            match chance.choice(["dispatcher", "dispatcher", "all", "writer", "postgres"]):
                case "dispatcher":
                    await stage.kill_dispatcher(chance)
                case "all":
                    for _ in range(3):
                        await stage.kill_dispatcher(chance)
                case "writer":
                    await stage.kill_writer()
                    await stage.start_writer()
                case "postgres":
                    stage.kill_postgres()
        await stage.kill_writer()
        await stage.kill_writer()
        repeated = await assert_all_arrived(stage, 120)
        print(f"\nseed {seed}: {len(await stage.logged())} events, {repeated} repeated")
