"""A database that was restored into a cluster which has counted fewer transactions."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from uuid import uuid4

import pytest
from sqlalchemy import text

from app.database import Database, create_engine
from app.events import Subject, advance_epoch, record
from app.events.service import read_events
from app.events.utils import START, Filters, Place
from app.identity import SYSTEM
from app.migrations import migrate

FAR = 10**12  # more transactions than the run's cluster has counted


@pytest.fixture
async def own(settings, database) -> AsyncIterator[Database]:
    """A migrated schema of the test's own."""
    schema = f"epoch_{uuid4().hex}"
    owner = create_engine(database.dsn("owner"))
    other = Database(settings, embedded=database._embedded, schema=schema)
    try:
        async with owner.begin() as connection:
            await connection.execute(text(f"create schema {schema}"))
        await asyncio.to_thread(migrate, other)
        other.open()
        yield other
    finally:
        await other.engine.dispose()
        async with owner.begin() as connection:
            await connection.execute(text(f"drop schema if exists {schema} cascade"))
        await owner.dispose()


async def owner_does(database: Database, statement: str) -> None:
    owner = create_engine(database.dsn("owner"), schema=database.schema)
    async with owner.begin() as connection:
        await connection.execute(text(statement))
    await owner.dispose()


async def advance(database: Database) -> int | None:
    owner = create_engine(database.dsn("owner"), schema=database.schema)
    try:
        async with owner.begin() as connection:
            return await advance_epoch(connection)
    finally:
        await owner.dispose()


async def write(database: Database, kind: str) -> None:
    async with database.session() as session:
        await record(session, kind, subject=Subject("ticket", uuid4()), actor=SYSTEM)


async def types(database: Database, after: Place = START) -> list[str]:
    async with database.session() as session:
        found = await read_events(session, principal=SYSTEM, filters=Filters(), after=after, limit=100)
    return [each.type for each in found]


@pytest.fixture
async def restored(own) -> Database:
    """As if its events had been written where many more transactions were counted."""
    await owner_does(own, f"update event_epoch set shift = {FAR}")
    await write(own, "ticket.before_1")
    await write(own, "ticket.before_2")
    await owner_does(own, "update event_epoch set shift = 0")
    return own


async def newest(database: Database) -> Place:
    async with database.session() as session:
        row = (
            await session.execute(
                text("select transaction, number from event order by transaction desc, number desc limit 1")
            )
        ).one()
    return Place(*row)


async def test_without_it_new_events_would_come_before_the_stored_ones(restored):
    """What the others would not fail without."""
    last = await newest(restored)
    await write(restored, "ticket.after")
    assert await newest(restored) == last


async def test_new_events_come_after_all_stored_ones_and_followers_go_on(restored):
    last = await newest(restored)
    assert await advance(restored) > 0
    assert await types(restored) == ["ticket.before_1", "ticket.before_2"]
    await write(restored, "ticket.after")
    assert await types(restored, after=last) == ["ticket.after"]
    assert await types(restored) == ["ticket.before_1", "ticket.before_2", "ticket.after"]


async def test_a_database_that_was_not_restored_is_left_alone(own):
    assert await advance(own) is None
    await write(own, "ticket.created")
    assert await advance(own) is None


async def test_it_moves_once_however_often_it_is_done_and_by_however_many(restored):
    moved = await asyncio.gather(*(advance(restored) for _ in range(4)))
    assert len([each for each in moved if each is not None]) == 1
    await write(restored, "ticket.after")
    assert await advance(restored) is None


async def test_it_waits_for_writers_who_count_the_old_way(restored):
    """One that commits later would stand before what readers have already seen."""
    async with restored.session() as writing:
        await record(writing, "ticket.during", subject=Subject("ticket", uuid4()), actor=SYSTEM)
        moving = asyncio.create_task(advance(restored))
        waits = text(
            "select exists (select from pg_locks where not granted and relation = 'event'::regclass)"
        )
        async with asyncio.timeout(5):
            while True:
                async with restored.session() as session:
                    if await session.scalar(waits):
                        break
        assert not moving.done()
    assert await moving > 0
    last = await newest(restored)
    await write(restored, "ticket.after")
    assert await types(restored, after=last) == ["ticket.after"]
