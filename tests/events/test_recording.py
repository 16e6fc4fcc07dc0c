"""Writing: one statement, in the caller's transaction, waking listeners after it, and never changed again."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager

import asyncpg
import pytest
from sqlalchemy import event, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncSession

from app.database import create_engine
from app.events import forget, record
from app.events.recording import CHANNEL
from app.identity import SYSTEM

REFUSED = "42501"  # insufficient_privilege


@asynccontextmanager
async def statements_of(database):
    """What goes to the database meanwhile."""
    sent: list[str] = []

    def note(_connection, _cursor, statement, *_):
        sent.append(statement)

    event.listen(database.engine.sync_engine, "before_cursor_execute", note)
    yield sent
    event.remove(database.engine.sync_engine, "before_cursor_execute", note)


@asynccontextmanager
async def hearing(database):
    """A listener: the queue of what it heard."""
    heard: asyncio.Queue[int] = asyncio.Queue()
    connection = await asyncpg.connect(database.dsn("listen"))
    await connection.add_listener(CHANNEL, lambda _connection, pid, *_: heard.put_nowait(pid))
    yield heard
    await connection.close()


async def test_an_event_costs_one_statement(database, subject):
    async with statements_of(database) as sent, database.session() as session:
        await record(session, "ticket.created", subject=subject, actor=SYSTEM)
    assert len(sent) == 1


async def test_an_event_exists_exactly_when_its_transaction_commits(database, subject):
    count = text("select count(*) from event where subject_id = :id")
    for fails in (True, False):
        try:
            async with database.session() as session:
                await record(session, "ticket.created", subject=subject, actor=SYSTEM)
                if fails:
                    raise ZeroDivisionError
        except ZeroDivisionError:
            pass
        async with database.session() as session:
            assert await session.scalar(count, {"id": subject.id}) == (0 if fails else 1)


async def backend(session) -> int:
    return int(await session.scalar(text("select pg_backend_pid()")))


async def test_listeners_are_woken_once_a_transaction_and_after_its_commit(database, subject):
    async with hearing(database) as heard, database.session() as session:
        own = await backend(session)
        await record(session, "ticket.created", subject=subject, actor=SYSTEM)
        async with session.begin_nested():
            await record(session, "ticket.assigned", subject=subject, actor=SYSTEM)
        async with database.session() as other:  # its notification comes behind an earlier one of ours
            others = await backend(other)
            await record(other, "ticket.created", subject=subject, actor=SYSTEM)
        assert await asyncio.wait_for(heard.get(), 5) == others
        await session.commit()
        assert await asyncio.wait_for(heard.get(), 5) == own
        assert heard.empty()


async def test_a_transaction_that_rolls_back_or_records_nothing_wakes_nobody(database, subject):
    async with hearing(database) as heard:
        async with AsyncSession(database.engine) as session:
            await record(session, "ticket.created", subject=subject, actor=SYSTEM)
            await session.rollback()
            await session.execute(text("select pg_current_xact_id()"))
            await session.commit()
        async with database.session() as session:
            own = await backend(session)
            await record(session, "ticket.created", subject=subject, actor=SYSTEM)
        assert await asyncio.wait_for(heard.get(), 5) == own
        assert heard.empty()


async def test_what_is_committed_stays_so_when_nobody_can_be_woken(database, subject, monkeypatch, caplog):
    monkeypatch.setattr("app.events.recording.NOTIFY", "notify 'not a channel'")
    async with database.session() as session:
        await record(session, "ticket.created", subject=subject, actor=SYSTEM)
    async with database.session() as session:
        assert await session.scalar(
            text("select count(*) from event where subject_id = :id"), {"id": subject.id}
        )
    assert "not woken" in caplog.text


async def test_a_caller_who_is_cancelled_while_waking_leaves_a_usable_pool(database, subject, monkeypatch):
    monkeypatch.setattr("app.events.recording.NOTIFY", "select pg_sleep(5)")

    async def recording() -> None:
        async with database.session() as session:
            await record(session, "ticket.created", subject=subject, actor=SYSTEM)

    writing = asyncio.create_task(recording())
    stored = text("select exists (select from event where subject_id = :id)")
    async with asyncio.timeout(5), database.session() as session:
        while not await session.scalar(stored, {"id": subject.id}):
            pass
    writing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await writing
    monkeypatch.undo()
    for _ in range(2 * database.settings.database_pool_size):
        async with database.session() as session:
            assert await session.scalar(text("select 1")) == 1
    assert database.engine.pool.checkedout() == 0


CHANGES = [
    "update event set type = 'x'",
    "update event set before = null, after = null",
    "update event set customer_visible = true",
    "delete from event",
    "truncate event",
    "insert into event_epoch default values",
    "update event_epoch set shift = 0",
    "delete from event_epoch",
]


@pytest.mark.parametrize("change", CHANGES)
async def test_the_application_changes_nothing(database, write, change):
    await write("ticket.created", after={"title": "t"})
    with pytest.raises(DBAPIError) as caught:
        async with database.session() as session:
            await session.execute(text(change))
    assert caught.value.orig.sqlstate == REFUSED


@pytest.mark.parametrize(
    "change",
    [
        "update event set type = 'x' where subject_id = :id",
        "update event set after = '{}' where subject_id = :id",
        "update event set before = null where subject_id = :id",
        "update event set before = null, after = null, person_id = null where subject_id = :id",
        "update event set before = null, after = null, occurred_at = now() where subject_id = :id",
        "delete from event where subject_id = :id",
        "truncate event cascade",
    ],
)
async def test_the_owner_changes_nothing_either(database, write, subject, change):
    await write("ticket.created", subject, before={"title": "s"}, after={"title": "t"}, person_id=subject.id)
    owner = create_engine(database.dsn("owner"))
    try:
        with pytest.raises(DBAPIError) as caught:
            async with owner.begin() as connection:
                await connection.execute(text(change), {"id": subject.id} if ":id" in change else {})
    finally:
        await owner.dispose()
    assert caught.value.orig.sqlstate == REFUSED


async def test_forgetting_empties_the_fields_of_one_subject_and_keeps_the_rest(database, write, subject):
    await write("ticket.created", subject, after={"title": "private"}, person_id=subject.id)
    await write("ticket.closed", subject)
    other = await write("ticket.created", after={"title": "kept"})
    async with database.session() as session:
        assert await forget(session, subject) == 1
        assert await forget(session, subject) == 0
    async with database.session() as session:
        rows = (
            await session.execute(
                text(
                    "select type, before, after, person_id from event where subject_id = :id order by number"
                ),
                {"id": subject.id},
            )
        ).all()
        kept = await session.scalar(text("select after from event where id = :id"), {"id": other})
    assert [tuple(row) for row in rows] == [
        ("ticket.created", None, None, subject.id),
        ("ticket.closed", None, None, None),
    ]
    assert kept == {"title": "kept"}
