"""What events cost: ``python -m tests.bench.bench_events``

Events written a second by 1 and by 8 writers, each event in a transaction of its own, with a listener; how a
NOTIFY inside the writing transaction compares (it makes commits wait for each other); and what one event
adds to a plain write, as a ratio of medians in one interleaved run. On a durable server of its own.
"""

from __future__ import annotations

import asyncio
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from unittest.mock import patch
from uuid import UUID, uuid4

import asyncpg
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from app.config import Settings
from app.database import Database
from app.embedded import EmbeddedPostgres
from app.events import Subject, record, recording
from app.events.constants import CHANNEL
from app.events.recording import INSERT
from app.identity import SYSTEM
from app.identity import service as identity
from app.migrations import migrate

Write = Callable[[AsyncSession], Awaitable[object]]
IN_TRANSACTION = text(f"with made as ({INSERT.text}) select id, pg_notify('{CHANNEL}', '') from made")
RENAME = text("update account set name = :name, updated_at = now() where id = :id")


async def event(session: AsyncSession) -> None:
    """One event of usual size."""
    await record(
        session,
        "ticket.updated",
        subject=Subject("ticket", uuid4()),
        actor=SYSTEM,
        before={"state": "open", "priority": 3},
        after={"state": "pending", "priority": 2},
        account_id=uuid4(),
        person_id=uuid4(),
        customer_visible=True,
        staff_fields=["priority"],
    )


async def event_notifying_inside(session: AsyncSession) -> None:
    """The same with the notification in its transaction, by the same statement."""
    await event(session)
    session.info.clear()


VARIANTS = (("record", event, INSERT), ("NOTIFY inside", event_notifying_inside, IN_TRANSACTION))


async def rate(database: Database, write: Write, *, writers: int, seconds: float) -> float:
    """Transactions a second."""
    until = time.perf_counter() + seconds

    async def work() -> int:
        count = 0
        while time.perf_counter() < until:
            async with database.session() as session:
                await write(session)
            count += 1
        return count

    started = time.perf_counter()
    done = await asyncio.gather(*(work() for _ in range(writers)))
    return sum(done) / (time.perf_counter() - started)


async def cost(database: Database, account_id: UUID, *, rounds: int) -> tuple[float, float]:
    """Median milliseconds of a transaction with one UPDATE, without and with an event."""
    seen: dict[bool, list[float]] = {False: [], True: []}
    for n in range(2 * rounds):
        with_event = bool(n % 2)
        started = time.perf_counter()
        async with database.session() as session:
            await session.execute(RENAME, {"id": account_id, "name": f"Name {n}"})
            if with_event:
                await event(session)
        seen[with_event].append((time.perf_counter() - started) * 1000)
    return statistics.median(seen[False]), statistics.median(seen[True])


@asynccontextmanager
async def migrated(folder: Path) -> AsyncIterator[Database]:
    """A database with a listener, as a server with open streams has one."""
    settings = Settings(data_dir=folder)
    database = Database(settings, embedded=EmbeddedPostgres(folder))
    await database.start()
    await asyncio.to_thread(migrate, database)
    listener = await asyncpg.connect(database.dsn("listen"))
    await listener.add_listener(CHANNEL, lambda *_: None)
    try:
        yield database
    finally:
        await listener.close()
        await database.stop()


async def main(seconds: float) -> None:
    """Print the figures."""
    with tempfile.TemporaryDirectory() as folder:
        async with migrated(Path(folder)) as database:
            async with database.session() as session:
                account = await identity.upsert_account(session, "bench", "Bench")
            for writers in (1, 8):
                for name, write, statement in VARIANTS:
                    with patch.object(recording, "INSERT", statement):
                        rates = [
                            await rate(database, write, writers=writers, seconds=seconds) for _ in range(3)
                        ]
                    print(f"{writers} writers, {name}: {statistics.median(rates):.0f} events/s")
            plain, with_event = await cost(database, account.id, rounds=1500)
            print(f"a plain write {plain:.2f} ms, with an event {with_event:.2f} ms")
            print(f"ratio {with_event / plain:.2f}")


if __name__ == "__main__":
    asyncio.run(main(float(sys.argv[1]) if len(sys.argv) > 1 else 3.0))
