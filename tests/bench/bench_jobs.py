"""Jobs a second: ``python -m tests.bench.bench_jobs [ROUNDS [JOBS]]``

Empty jobs on an embedded Postgres that is as durable as in production. Enqueued one a transaction by eight
writers; run by one and by two worker processes from a full queue; enqueued and run at the same time; and
how long one job waits between its commit and its start. Medians of the rounds.
"""

from __future__ import annotations

import asyncio
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

from sqlalchemy import text

from app.config import Settings
from app.database import Database
from app.embedded import EmbeddedPostgres
from app.jobs import Worker, enqueue, enqueue_all
from app.setup import bring_up_to_date

WRITERS = 8
CONCURRENCY = 4
ENTRYPOINT = "bench"
SINGLE = 200  # jobs whose wait is measured one after the other


async def nothing(payload: bytes, attempts: int) -> None:
    """An empty job."""


async def work() -> None:
    """A worker process, until it is terminated."""
    database = Database(Settings.from_environment())
    database.open()
    await Worker(database, {ENTRYPOINT: nothing}, concurrency=CONCURRENCY).run()


@contextmanager
def workers(folder: Path, count: int) -> Iterator[None]:
    """So many worker processes."""
    environment = {**os.environ, "DATA_DIR": str(folder)}
    command = [sys.executable, "-m", "tests.bench.bench_jobs", "work"]
    started = [subprocess.Popen(command, env=environment) for _ in range(count)]
    try:
        yield
    finally:
        for each in started:
            each.kill()
            each.wait()


async def left(database: Database) -> int:
    """Jobs in the queue."""
    async with database.session() as session:
        return int(await session.scalar(text("select count(*) from pgqueuer")) or 0)


async def until_left(database: Database, most: int) -> float:
    """When there were no more than so many."""
    while await left(database) > most:  # noqa: ASYNC110 - other processes set no event
        await asyncio.sleep(0.02)
    return time.perf_counter()


async def put_one_by_one(database: Database, jobs: int) -> float:
    """Seconds for so many transactions with one job each."""
    numbers = iter(range(jobs))

    async def write() -> None:
        for number in numbers:
            async with database.session() as session:
                await enqueue(session, ENTRYPOINT, {"n": number})

    began = time.perf_counter()
    await asyncio.gather(*(write() for _ in range(WRITERS)))
    return time.perf_counter() - began


async def run_full_queue(database: Database, folder: Path, *, count: int, jobs: int) -> float:
    """Jobs a second from the first that is done on."""
    async with database.session() as session:
        await enqueue_all(session, ENTRYPOINT, list(range(jobs)))
    with workers(folder, count):
        first = await until_left(database, jobs - 50 * count)  # all of them have begun
        return (jobs - 50 * count) / (await until_left(database, 0) - first)


async def put_and_run(database: Database, folder: Path, *, count: int, jobs: int) -> float:
    """Jobs a second from the first enqueued to the last done."""
    with workers(folder, count):
        await put_and_wait(database)
        began = time.perf_counter()
        await put_one_by_one(database, jobs)
        return jobs / (await until_left(database, 0) - began)


async def put_and_wait(database: Database) -> None:
    """The workers are there."""
    async with database.session() as session:
        await enqueue_all(session, ENTRYPOINT, list(range(20)))
    await until_left(database, 0)


async def wait_of_one(database: Database) -> float:
    """Median milliseconds between the commit of a job and its start, the worker idle before."""
    ran = asyncio.Event()
    waits: list[float] = []

    async def handler(payload: bytes, attempts: int) -> None:
        ran.set()

    worker = Worker(database, {"bench-one": handler}, concurrency=CONCURRENCY)
    worker.start()
    for _ in range(SINGLE):
        ran.clear()
        async with database.session() as session:
            await enqueue(session, "bench-one", {})
        began = time.perf_counter()
        await ran.wait()
        waits.append((time.perf_counter() - began) * 1000)
        await until_left(database, 0)
        await asyncio.sleep(0.01)
    await worker.stop()
    return statistics.median(waits)


@asynccontextmanager
async def a_database(folder: Path) -> AsyncIterator[Database]:
    """Migrated, durable, and stopped afterwards."""
    settings = Settings(data_dir=folder)
    database = Database(settings, embedded=EmbeddedPostgres(folder))
    await database.start()
    try:
        await bring_up_to_date(settings, database)
        yield database
    finally:
        await database.stop()


async def main(rounds: int = 5, jobs: int = 2000) -> None:
    """Print the medians."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        async with a_database(folder) as database:
            measured: dict[str, list[float]] = {}
            for _ in range(rounds):
                seconds = await put_one_by_one(database, jobs)
                measured.setdefault("enqueued/s, one a transaction", []).append(jobs / seconds)
                async with database.session() as session:
                    await session.execute(text("delete from pgqueuer"))
                for count in (1, 2):
                    rate = await run_full_queue(database, folder, count=count, jobs=jobs)
                    measured.setdefault(f"run/s, {count} worker(s), full queue", []).append(rate)
                    rate = await put_and_run(database, folder, count=count, jobs=jobs)
                    measured.setdefault(f"enqueued and run/s, {count} worker(s)", []).append(rate)
            measured[f"ms from commit to start, of {SINGLE}"] = [await wait_of_one(database)]
    for what, values in measured.items():
        spread = f"{min(values):.0f} to {max(values):.0f}"
        sys.stdout.write(f"{what:<34} {statistics.median(values):8.1f}   ({spread})\n")


if __name__ == "__main__":
    if sys.argv[1:] == ["work"]:
        asyncio.run(work())
    else:
        asyncio.run(main(*map(int, sys.argv[1:])))
