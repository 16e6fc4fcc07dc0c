"""Jobs exist exactly when their transaction commits."""

from __future__ import annotations

import pytest
from sqlalchemy import text

from app.database import Database
from app.jobs import enqueue, enqueue_all


async def queued(database: Database, entrypoint: str) -> int:
    async with database.session() as session:
        found = await session.scalar(
            text("select count(*) from pgqueuer where entrypoint = :name"), {"name": entrypoint}
        )
    assert isinstance(found, int)
    return found


async def test_a_job_enqueued_first_in_a_transaction_vanishes_with_its_rollback(database, unique):
    with pytest.raises(LookupError):  # noqa: PT012 - the block is the transaction
        async with database.session() as session:
            await enqueue(session, unique, {"n": 1})
            raise LookupError
    assert await queued(database, unique) == 0


async def test_a_job_is_unseen_until_the_commit_and_there_after_it(database, unique):
    async with database.session() as session:
        await enqueue(session, unique, {"n": 1})
        assert await queued(database, unique) == 0
    assert await queued(database, unique) == 1


async def test_many_jobs_are_queued_in_one_statement_and_none_is_no_statement(database, unique):
    async with database.session() as session:
        await enqueue_all(session, unique, [{"n": n} for n in range(500)])
        await enqueue_all(session, unique, [])
    async with database.session() as session:
        payloads = await session.scalars(
            text("select convert_from(payload, 'utf8') from pgqueuer where entrypoint = :name order by id"),
            {"name": unique},
        )
        assert payloads.all() == [f'{{"n":{n}}}' for n in range(500)]
