"""The worker runs every job, once, and survives what happens to its connections."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import timedelta

import pytest
from sqlalchemy import text

from app.database import Database
from app.exceptions import DatabaseUnavailableError
from app.jobs import LAST_ATTEMPT, JobHandler, Worker, enqueue, enqueue_all
from tests.rag.library import until


@pytest.fixture(autouse=True)
def quick_retries(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.jobs.execution.FIRST_RETRY", timedelta(milliseconds=20))
    monkeypatch.setattr("app.jobs.worker.POLL", timedelta(seconds=0.2))


@asynccontextmanager
async def running(database: Database, **handlers: JobHandler) -> AsyncIterator[Worker]:
    worker = Worker(database, handlers, concurrency=4)
    worker.start()
    try:
        yield worker
    finally:
        await worker.stop()


async def put(database: Database, entrypoint: str, *payloads: object) -> None:
    async with database.session() as session:
        await enqueue_all(session, entrypoint, payloads)


async def states(database: Database, entrypoint: str) -> list[tuple[str, int]]:
    async with database.session() as session:
        rows = await session.execute(
            text("select status::text, attempts from pgqueuer where entrypoint = :name order by id"),
            {"name": entrypoint},
        )
        return [(row.status, row.attempts) for row in rows]


def gone(database: Database, entrypoint: str) -> Callable[[], object]:
    async def check() -> bool:
        return await states(database, entrypoint) == []

    return check


async def test_a_job_runs_after_its_commit_and_not_before(database, unique):
    ran = asyncio.Event()

    async def handler(payload: bytes, attempts: int) -> None:
        assert (json.loads(payload), attempts) == ({"n": 1}, 0)
        ran.set()

    async with running(database, **{unique: handler}):
        await put(database, unique)  # nothing
        async with database.session() as session:
            await enqueue(session, unique, {"n": 1})
            other = asyncio.Event()

            async def second(payload: bytes, attempts: int) -> None:
                other.set()

            async with running(database, **{f"{unique}-other": second}):
                await put(database, f"{unique}-other", {})
                await asyncio.wait_for(other.wait(), 10)  # a later job of another transaction has run
            assert not ran.is_set()
        await asyncio.wait_for(ran.wait(), 10)
        await until(gone(database, unique))


async def test_a_failing_job_is_tried_again_with_growing_pauses_and_then_succeeds(database, unique):
    tries: list[tuple[int, float]] = []

    async def handler(payload: bytes, attempts: int) -> None:
        tries.append((attempts, asyncio.get_running_loop().time()))
        if attempts < 2:
            raise ValueError("not yet")

    async with running(database, **{unique: handler}):
        await put(database, unique, {})
        await until(gone(database, unique))
    assert [attempt for attempt, _ in tries] == [0, 1, 2]
    assert tries[1][1] - tries[0][1] >= 0.02
    assert tries[2][1] - tries[1][1] >= 0.04


async def test_a_job_that_never_succeeds_is_held_after_its_last_attempt(database, unique):
    tries: list[int] = []

    async def handler(payload: bytes, attempts: int) -> None:
        tries.append(attempts)
        raise ValueError("never")

    async def held() -> bool:
        return await states(database, unique) == [("failed", LAST_ATTEMPT)]

    async with running(database, **{unique: handler}):
        await put(database, unique, {})
        await until(held)
    assert tries == list(range(LAST_ATTEMPT + 1))
    async with running(database, **{unique: handler}):  # a new worker leaves it held
        await put(database, f"{unique}-none")
        await asyncio.sleep(0)
    assert await states(database, unique) == [("failed", LAST_ATTEMPT)]


async def test_a_job_held_because_its_retry_could_not_be_written_runs_again(database, unique):
    ran = asyncio.Event()

    async def handler(payload: bytes, attempts: int) -> None:
        assert attempts == 1
        ran.set()

    await put(database, unique, {})
    async with database.session() as session:
        await session.execute(
            text("update pgqueuer set status = 'failed' where entrypoint = :name"), {"name": unique}
        )
    async with running(database, **{unique: handler}):
        await asyncio.wait_for(ran.wait(), 10)
        await until(gone(database, unique))


async def test_a_database_that_was_away_costs_a_job_no_attempt(database, unique):
    tries: list[int] = []

    async def handler(payload: bytes, attempts: int) -> None:
        tries.append(attempts)
        if len(tries) <= 2:
            raise DatabaseUnavailableError("away")

    async with running(database, **{unique: handler}):
        await put(database, unique, {})
        await until(gone(database, unique))
    assert tries == [0, 0, 0]


async def backends(database: Database, like: str) -> list[int]:
    async with database.session() as session:
        rows = await session.scalars(
            text(
                "select pid from pg_stat_activity where pid <> pg_backend_pid() and query ilike :like"
                " and datname = current_database()"
            ),
            {"like": like},
        )
        return list(rows)


async def test_the_worker_survives_the_loss_of_its_listener(database, unique):
    """And of every other connection: it connects again at once, without waiting for a probe to time out."""
    ran: list[int] = []

    async def handler(payload: bytes, attempts: int) -> None:
        ran.append(json.loads(payload)["n"])

    async with running(database, **{unique: handler}):
        await put(database, unique, {"n": 0})
        await until(gone(database, unique))
        for number in (1, 2):
            listeners = await until(lambda: backends(database, "listen %"))
            async with database.session() as session:
                await session.execute(
                    text("select pg_terminate_backend(pid) from unnest(cast(:pids as int[])) pid"),
                    {"pids": listeners},
                )

            async def listens_again(old: frozenset[int] = frozenset(listeners)) -> bool:
                return any(pid not in old for pid in await backends(database, "listen %"))

            await until(listens_again, seconds=5)
            await put(database, unique, {"n": number})
            await until(gone(database, unique))
    assert ran == [0, 1, 2]


async def test_stopping_lets_the_job_under_way_finish_and_takes_no_other(database, unique):
    """One that was being fetched at that moment may still run; the others stay queued, and none is lost."""
    started, finish = asyncio.Event(), asyncio.Event()
    done: list[int] = []

    async def handler(payload: bytes, attempts: int) -> None:
        started.set()
        await finish.wait()
        done.append(json.loads(payload)["n"])

    worker = Worker(database, {unique: handler}, concurrency=1)
    worker.start()
    await put(database, unique, {"n": 0})
    await asyncio.wait_for(started.wait(), 10)
    stopping = asyncio.create_task(worker.stop())
    await asyncio.sleep(0)
    await put(database, unique, *({"n": n} for n in range(1, 6)))
    assert not stopping.done()
    finish.set()
    await asyncio.wait_for(stopping, 10)
    assert done in ([0], [0, 1], [1, 0])
    assert await states(database, unique) == [("queued", 0)] * (6 - len(done))


async def test_a_worker_stopped_before_it_connected_just_ends(database, unique):
    worker = Worker(database, {unique: lambda payload, attempts: asyncio.sleep(0)}, concurrency=1)
    worker.start()
    await asyncio.wait_for(worker.stop(), 10)
    await asyncio.wait_for(Worker(database, {}, concurrency=1).stop(), 1)


async def test_two_workers_never_run_one_job_twice(database, unique):
    ran: list[int] = []

    async def handler(payload: bytes, attempts: int) -> None:
        ran.append(json.loads(payload)["n"])
        await asyncio.sleep(0.001)

    async with running(database, **{unique: handler}), running(database, **{unique: handler}):
        await put(database, unique, *({"n": n} for n in range(100)))
        await until(gone(database, unique), seconds=60)
    assert sorted(ran) == list(range(100))


async def test_a_worker_takes_the_jobs_of_its_own_schema_only(settings, database, unique):
    """Evaluation works in a schema beside; its jobs are not the server's, and the reverse."""
    taken: list[str] = []

    async def handler(payload: bytes, attempts: int) -> None:
        taken.append(json.loads(payload)["from"])

    from app.database import create_engine
    from app.migrations import migrate

    schema = f"jobs_{unique.replace('-', '_')}"
    owner = create_engine(database.dsn("owner"))
    async with owner.begin() as connection:
        await connection.execute(text(f"create schema {schema}"))
    beside = Database(settings, embedded=database._embedded, schema=schema)
    beside.open()
    try:
        await asyncio.to_thread(migrate, beside)
        await put(database, unique, {"from": "public"})
        await put(beside, unique, {"from": "beside"})
        async with running(beside, **{unique: handler}):
            await until(gone(beside, unique))
        assert taken == ["beside"]
        assert await states(database, unique) == [("queued", 0)]
    finally:
        await beside.engine.dispose()
        async with owner.begin() as connection:
            await connection.execute(text(f"drop schema {schema} cascade"))
        await owner.dispose()
