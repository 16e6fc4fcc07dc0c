"""A schedule runs in one worker of all at a time, once after a pause, and is taken over from the dead."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

import asyncpg
import pytest
from sqlalchemy import text

from app.database import Database
from app.exceptions import ConfigurationError
from app.jobs import Schedule, Worker
from app.jobs.schedules import LOCKS, Timetable
from tests.rag.library import until

MONDAY = datetime(2026, 11, 23, 9, 30, tzinfo=UTC)
Run = Callable[[], Awaitable[None]]


async def nothing() -> None:
    return


class TestDue:
    """When it runs next."""

    @pytest.mark.parametrize(
        ("every", "started", "finished", "due"),
        [
            (timedelta(minutes=5), None, True, MONDAY),
            (timedelta(minutes=5), MONDAY, True, MONDAY + timedelta(minutes=5)),
            (timedelta(minutes=5), MONDAY, False, MONDAY),
            ("15 3 * * *", None, True, datetime(2026, 11, 24, 3, 15, tzinfo=UTC)),
            (
                "15 3 * * *",
                datetime(2026, 11, 25, 3, 15, 1, tzinfo=UTC),
                True,
                datetime(2026, 11, 26, 3, 15, tzinfo=UTC),
            ),
            (
                "15 3 * * *",
                datetime(2026, 11, 25, 3, 15, 1, tzinfo=UTC),
                False,
                datetime(2026, 11, 25, 3, 15, 1, tzinfo=UTC),
            ),
        ],
        ids=["first", "interval", "cut off", "cron first", "cron", "cron cut off"],
    )
    def test_it_follows_from_the_last_run(self, every, started, finished, due):
        schedule = Schedule("sweep", every, nothing)
        assert schedule.due(created_at=MONDAY, started_at=started, finished=finished) == due

    @pytest.mark.parametrize("every", ["often", "* * *", timedelta(0), timedelta(seconds=-1)])
    def test_what_is_no_time_is_refused(self, every):
        with pytest.raises(ConfigurationError, match="sweep"):
            Schedule("sweep", every, nothing)

    def test_two_of_one_name_are_refused(self, database):
        with pytest.raises(ConfigurationError):
            Timetable(database, [Schedule("sweep", timedelta(1), nothing)] * 2)


@asynccontextmanager
async def running(database: Database, *schedules: Schedule, workers: int = 1) -> AsyncIterator[list[Worker]]:
    made = [Worker(database, {}, concurrency=1, schedules=schedules) for _ in range(workers)]
    for each in made:
        each.start()
    try:
        yield made
    finally:
        await asyncio.gather(*(each.stop() for each in made))


async def row(database: Database, name: str) -> tuple[bool, int, str | None]:
    """(finished, failures, error) of the last run."""
    async with database.session() as session:
        found = await session.execute(
            text("select finished_at >= started_at, failures, error from job_schedule where name = :name"),
            {"name": name},
        )
        return tuple(found.one())


async def last_started(database: Database, name: str, *, ago: timedelta, finished: bool = True) -> None:
    async with database.session() as session:
        await session.execute(
            text("""
                insert into job_schedule (name, started_at, finished_at)
                select :name, began, case when cast(:finished as boolean) then began end
                from (select now() - cast(:ago as interval) as began) moment
            """),
            {"name": name, "ago": ago, "finished": finished},
        )


async def test_several_workers_never_run_it_at_once_and_each_turn_is_taken_once(database, unique):
    under_way = most = turns = 0
    enough = asyncio.Event()

    async def sweep() -> None:
        nonlocal under_way, most, turns
        under_way += 1
        most = max(most, under_way)
        turns += 1
        await asyncio.sleep(0.05)
        under_way -= 1
        if turns >= 5:
            enough.set()

    began = asyncio.get_running_loop().time()
    async with running(database, Schedule(unique, timedelta(seconds=0.2), sweep), workers=3):
        await asyncio.wait_for(enough.wait(), 20)
        took = asyncio.get_running_loop().time() - began
    assert most == 1
    assert turns <= took / 0.2 + 1
    assert await row(database, unique) == (True, 0, None)


async def test_after_a_long_pause_it_runs_once(database, unique):
    ran: list[None] = []
    await last_started(database, unique, ago=timedelta(hours=10))

    async def sweep() -> None:
        ran.append(None)

    async def caught_up() -> bool:
        return bool(ran) and (await row(database, unique))[0]

    async with running(database, Schedule(unique, timedelta(minutes=1), sweep), workers=2):
        await until(caught_up)
        await asyncio.sleep(0.3)
    assert len(ran) == 1


async def test_one_that_is_not_due_does_not_run(database, unique):
    ran: list[None] = []
    other = asyncio.Event()
    await last_started(database, unique, ago=timedelta(seconds=30))

    async def sweep() -> None:
        ran.append(None)

    async def beside() -> None:
        other.set()

    schedules = [Schedule(unique, timedelta(minutes=1), sweep), Schedule(f"{unique}-2", timedelta(1), beside)]
    async with running(database, *schedules):
        await asyncio.wait_for(other.wait(), 10)
    assert ran == []


async def test_one_that_was_cut_off_runs_again_at_once(database, unique):
    ran = asyncio.Event()
    await last_started(database, unique, ago=timedelta(seconds=1), finished=False)

    async def sweep() -> None:
        ran.set()

    async with running(database, Schedule(unique, timedelta(days=1), sweep)):
        await asyncio.wait_for(ran.wait(), 10)


async def test_a_failure_is_seen_and_the_next_turn_comes(database, unique, caplog):
    failing = True
    ran: list[None] = []

    async def sweep() -> None:
        ran.append(None)
        if failing:
            raise ValueError("the sweep is broken")

    async def failed_twice() -> bool:
        return len(ran) >= 2 and (await row(database, unique))[1] >= 2

    async def well() -> bool:
        return await row(database, unique) == (True, 0, None)

    async with running(database, Schedule(unique, timedelta(seconds=0.05), sweep)):
        await until(failed_twice)
        assert (await row(database, unique))[2] == "ValueError: the sweep is broken"
        failing = False
        await until(well)
    logged = [each for each in caplog.records if each.name == "app.jobs.schedules"]
    assert logged[0].exc_info
    assert unique in logged[0].getMessage()


async def test_stopping_lets_the_run_under_way_finish(database, unique):
    began, finish = asyncio.Event(), asyncio.Event()

    async def sweep() -> None:
        began.set()
        await finish.wait()

    async with running(database, Schedule(unique, timedelta(days=1), sweep)) as (worker,):
        await asyncio.wait_for(began.wait(), 10)
        stopping = asyncio.create_task(worker.stop())
        await asyncio.sleep(0.05)
        assert not stopping.done()
        finish.set()
        await stopping
    assert await row(database, unique) == (True, 0, None)


async def test_a_turn_that_somebody_had_between_our_look_and_our_lock_is_not_taken_again(database, unique):
    await last_started(database, unique, ago=timedelta(hours=1))
    schedule = Schedule(unique, timedelta(minutes=1), nothing)
    timetable = Timetable(database, [schedule])
    connection = await asyncpg.connect(database.dsn())
    try:
        seen = await connection.fetchval("select started_at from job_schedule where name = $1", unique)
        assert await timetable._take(connection, schedule, seen)
        assert not await timetable._take(connection, schedule, seen)
        assert await connection.fetchval("select pg_advisory_unlock($1, $2)", LOCKS, schedule.lock)
        unlocked = "select count(*) from pg_locks where pid = pg_backend_pid() and locktype = 'advisory'"
        assert await connection.fetchval(unlocked) == 0
    finally:
        await connection.close()


async def test_whoever_loses_the_lock_is_cancelled_and_the_other_takes_over(database, unique, monkeypatch):
    """Losing the connection is what a killed worker and one cut off have in common."""
    monkeypatch.setattr("app.jobs.schedules.LOOK", 0.1)
    monkeypatch.setattr("app.jobs.services.FIRST_RESTART", 0.5)
    runs: list[str] = []
    began: asyncio.Queue[None] = asyncio.Queue()

    async def sweep() -> None:
        began.put_nowait(None)
        try:
            if not runs:
                await asyncio.Event().wait()
        except asyncio.CancelledError:
            runs.append("cancelled")
            raise
        runs.append("done")

    async def finished() -> bool:
        return (await row(database, unique))[0]

    async with running(database, Schedule(unique, timedelta(days=1), sweep), workers=2):
        await asyncio.wait_for(began.get(), 10)
        async with database.session() as session:
            killed = await session.scalars(
                text(
                    "select pg_terminate_backend(pid) from pg_locks"
                    " where locktype = 'advisory' and classid = :locks"
                ),
                {"locks": LOCKS},
            )
            assert killed.all() == [True]
        await asyncio.wait_for(began.get(), 10)
        await until(finished)
    assert runs == ["cancelled", "done"]
