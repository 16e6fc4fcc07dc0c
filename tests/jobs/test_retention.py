"""The queue's log does not grow for ever, and no count is lost by it."""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy import text

from app.database import Database
from app.jobs import enqueue
from app.jobs.figures import job_figures
from app.jobs.retention import tidy

LOG = text("""
insert into pgqueuer_log (job_id, status, priority, entrypoint, created, aggregated)
values (:job, cast(:status as pgqueuer_status), 0, :name, now() - cast(:age as interval), :aggregated)
""")
COUNT = text("""
insert into pgqueuer_statistics (entrypoint, priority, status, count, created)
values (:name, 0, 'successful', :count, now() - cast(:age as interval))
""")


async def scalar(database: Database, statement: str, **values: object) -> object:
    async with database.session() as session:
        return await session.scalar(text(statement), values)


async def ended(database: Database, entrypoint: str) -> float:
    async with database.session() as session:
        families = {each.name: each for each in await job_figures(session)}
    return sum(
        each.value
        for each in families["tridesk_jobs_ended"].samples
        if each.labels["entrypoint"] == entrypoint
    )


async def test_old_lines_go_but_those_of_a_job_that_is_still_there_and_of_what_is_not_counted(
    database, unique
):
    async with database.session() as session:
        await enqueue(session, unique, {})
    job = await scalar(database, "select id from pgqueuer where entrypoint = :name", name=unique)
    async with database.session() as session:
        for job_id, age, aggregated in [
            (-1, timedelta(days=8), True),
            (-2, timedelta(days=6), True),
            (-3, timedelta(days=8), False),
            (job, timedelta(days=8), True),
        ]:
            await session.execute(
                LOG,
                {"job": job_id, "status": "successful", "name": unique, "age": age, "aggregated": aggregated},
            )
    assert await tidy(database) >= 1
    left = await scalar(
        database,
        "select array_agg(distinct job_id order by job_id) from pgqueuer_log where entrypoint = :name",
        name=unique,
    )
    assert left == [-3, -2, job]


async def test_more_lines_than_a_batch_go_too(database, unique, monkeypatch):
    monkeypatch.setattr("app.jobs.retention.BATCH", 3)
    async with database.session() as session:
        for number in range(8):
            await session.execute(
                LOG,
                {
                    "job": -number,
                    "status": "successful",
                    "name": unique,
                    "age": timedelta(days=9),
                    "aggregated": True,
                },
            )
    assert await tidy(database) >= 8
    assert (
        await scalar(database, "select count(*) from pgqueuer_log where entrypoint = :name", name=unique) == 0
    )


async def test_counts_by_the_second_are_summed_up_and_none_is_lost(database, unique):
    for turn in (1, 2):
        async with database.session() as session:
            for number in range(5):
                await session.execute(
                    COUNT, {"name": unique, "count": 10, "age": timedelta(days=1, seconds=number)}
                )
            await session.execute(COUNT, {"name": unique, "count": 1, "age": timedelta(seconds=turn)})
        assert await ended(database, unique) == 51 * turn
        await tidy(database)
        assert await ended(database, unique) == 51 * turn
        rows = await scalar(
            database, "select count(*) from pgqueuer_statistics where entrypoint = :name", name=unique
        )
        assert rows == 1 + turn
