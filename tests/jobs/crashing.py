"""A worker process to be killed: started by the crash test as `python -m tests.jobs.crashing HEARTBEAT`.

Its settings come from the environment, as those of any command.
"""

from __future__ import annotations

import asyncio
import json
import random
import signal
import sys
from datetime import timedelta

from sqlalchemy import text

from app.config import Settings
from app.database import Database
from app.jobs import Schedule, enqueue, execution, worker

FIRST, SECOND = "crash.first", "crash.second"
TABLES = """
create table crash_run (entrypoint text not null, n integer not null);
create table crash_effect (entrypoint text not null, n integer not null, unique (entrypoint, n));
create table crash_sweep (began timestamptz not null default clock_timestamp(), ended timestamptz);
grant all on crash_run, crash_effect, crash_sweep to public;
"""
EFFECT = text("insert into crash_effect values (:entrypoint, :n) on conflict do nothing returning true")


async def work(heartbeat: float) -> None:
    """Until SIGTERM. A job leaves a line a run, one effect and, of the first kind, a job of the second."""
    worker.HEARTBEAT_TIMEOUT = timedelta(seconds=heartbeat)
    worker.POLL = timedelta(seconds=heartbeat / 2)
    execution.FIRST_RETRY = timedelta(milliseconds=20)
    database = Database(Settings.from_environment())
    database.open()

    async def handle(entrypoint: str, payload: bytes, attempts: int) -> None:
        n = json.loads(payload)["n"]
        async with database.session() as session:
            await session.execute(
                text("insert into crash_run values (:entrypoint, :n)"), {"entrypoint": entrypoint, "n": n}
            )
        await asyncio.sleep(random.uniform(0, 0.05))
        if attempts == 0 and n % 7 == 0:
            raise ValueError("at first it fails")
        async with database.session() as session:
            fresh = await session.scalar(EFFECT, {"entrypoint": entrypoint, "n": n})
            if fresh and entrypoint == FIRST:
                await enqueue(session, SECOND, {"n": n})
            await asyncio.sleep(random.uniform(0, 0.01))

    async def sweep() -> None:
        async with database.session() as session:
            began = await session.scalar(text("insert into crash_sweep default values returning began"))
        await asyncio.sleep(random.uniform(0, 0.1))
        async with database.session() as session:
            await session.execute(
                text("update crash_sweep set ended = clock_timestamp() where began = :began"),
                {"began": began},
            )

    running = worker.Worker(
        database,
        {
            FIRST: lambda payload, attempts: handle(FIRST, payload, attempts),
            SECOND: lambda payload, attempts: handle(SECOND, payload, attempts),
        },
        concurrency=4,
        schedules=[Schedule("crash", timedelta(milliseconds=100), sweep)],
    )
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    running.start()
    await stop.wait()
    await running.stop()
    await database.stop()


if __name__ == "__main__":
    asyncio.run(work(float(sys.argv[1])))
