"""Presence on the stream of events: for the staff, as they filter, from any server, beside the log."""

from __future__ import annotations

import asyncio
from functools import partial
from uuid import uuid4

import msgspec
import pytest
from sqlalchemy import text

from app.events import Subject, controllers, record, streaming
from app.events import feed as feeds
from app.events.constants import NOTICES, NOTICES_MAX
from app.events.dependencies import FEED
from app.events.schemas import PresenceChange
from app.identity import SYSTEM, Role
from app.presence import State, beat, leave
from tests.events.follower import following


def filter_of(subject: Subject) -> str:
    return f"{subject.type}:{subject.id}"


def states(stream) -> list[str]:
    return [each["data"]["state"] for each in stream.events if each["event"] == "presence"]


@pytest.fixture
def brief(monkeypatch):
    """Heartbeats every fifth of a second."""
    monkeypatch.setattr(controllers, "Tail", partial(streaming.Tail, heartbeat=0.2))


@pytest.fixture
async def say(database, viewer, subject):
    """``await say(State.viewing)`` is a beat of one agent; None: they leave."""
    ada = await viewer("Ada")

    async def say(state, about=subject):
        async with database.session() as session:
            if state is None:
                await leave(session, about, principal=ada)
            else:
                await beat(session, about, principal=ada, state=state)

    return say


@pytest.fixture
def write(database, subject):
    async def write(kind, **fields):
        async with database.session() as session:
            await record(session, kind, subject=subject, actor=SYSTEM, **fields)

    return write


async def test_streams_of_two_servers_tell_the_same_without_an_id(*, servers, make_reader, say, subject):
    readers = [await make_reader(Role.agent) for _ in servers]
    async with (
        following(servers[0], readers[0].key, subject=filter_of(subject)) as one,
        following(servers[1], readers[1].key) as two,
    ):
        for state in (State.viewing, State.viewing, State.replying, State.replying, None):
            await say(state)
        for stream in (one, two):
            await stream.until(lambda each: len(states(each)) == 3)
            assert states(stream) == ["viewing", "replying", "left"]
            assert [each["id"] for each in stream.events] == [None] * 3
            for each in stream.events:
                change = msgspec.convert(each["data"], PresenceChange)
                assert (change.subject.type, change.subject.id) == (subject.type, subject.id)


async def test_last_event_id_is_untouched_by_frames_without_one(*, servers, make_reader, say, write, subject):
    reader = await make_reader(Role.agent)
    async with following(servers[0], reader.key, subject=filter_of(subject)) as stream:
        await write("case.opened")
        await say(State.viewing)
        await stream.until(lambda each: len(each.events) == 2)
        last = [each["id"] for each in stream.blocks if "id" in each][-1]
    await write("case.closed")
    await say(State.replying)
    async with following(servers[0], reader.key, subject=filter_of(subject), last_event_id=last) as stream:
        await stream.has(1)
        assert stream.types == ["case.closed"]  # and not what was told while nobody listened


async def test_filters_apply_as_they_do_to_events(*, servers, make_reader, say, write, subject):
    reader, other = await make_reader(Role.agent), Subject("test_case", uuid4())
    (server, _), key, mine = servers, reader.key, filter_of(subject)
    async with (
        following(server, key, subject=mine, type="case.*") as events,
        following(server, key, subject=mine, type="presence") as notices,
        following(server, key, subject=filter_of(other)) as elsewhere,
        following(server, key, subject=mine, type="*") as all_of_it,
    ):
        await say(State.viewing)
        await say(State.replying, other)
        await write("case.closed")
        await elsewhere.has(1)
        await events.has(1)
        await all_of_it.has(2)
        await notices.has(1)
        assert states(elsewhere) == ["replying"]
        assert events.types == ["case.closed"]
        assert notices.types == ["presence"]
        assert sorted(all_of_it.types) == ["case.closed", "presence"]


async def test_a_customer_is_told_nothing(*, servers, make_reader, say, write):
    customer, agent = await make_reader(Role.customer), await make_reader(Role.agent)
    async with (
        following(servers[0], customer.key) as theirs,
        following(servers[0], agent.key, type="presence") as staffs,
    ):
        await say(State.viewing)
        await staffs.has(1)  # both are told in one go
        await write("case.opened", person_id=customer.person_id, customer_visible=True)
        assert await theirs.has(1) == ["case.opened"]


async def test_who_is_no_longer_staff_is_told_nothing_more(
    *, servers, make_reader, database, say, brief, subject
):
    reader, watcher = await make_reader(Role.agent), await make_reader(Role.agent)
    async with (
        following(servers[0], reader.key, subject=filter_of(subject)) as stream,
        following(servers[0], watcher.key, subject=filter_of(subject)) as control,
    ):
        await say(State.viewing)
        await stream.until(lambda each: states(each) == ["viewing"])
        async with database.session() as session:
            demote = "update api_key set role = 'customer' where id = :id"
            await session.execute(text(demote), {"id": reader.principal.key_id})
        # Notices come all the time and do not put off the look at who reads.
        heard = 1
        for turn in range(30):
            await say(State.replying if turn % 2 == 0 else State.viewing)
            await control.until(lambda each, count=turn + 2: len(states(each)) == count)
            await asyncio.sleep(0.02)
            heard = len(states(stream))
        assert heard < len(states(control)) - 5


async def test_a_notice_lets_nobody_read_the_log(
    *, servers, make_reader, database, say, write, monkeypatch, subject
):
    reads = []
    read = streaming.service.read_events

    async def noting(*args, **options):
        reads.append(options["filters"])
        return await read(*args, **options)

    reader = await make_reader(Role.agent)
    async with following(servers[0], reader.key, subject=filter_of(subject)) as stream:
        await write("case.opened")
        await stream.has(1)
        monkeypatch.setattr(streaming.service, "read_events", noting)
        for heard in range(6, 36, 6):  # again, if something else in this database wrote an event meanwhile
            before = await _asleep(servers[0].state[FEED], database)
            reads.clear()
            for turn in range(6):
                await say((State.viewing, State.replying)[turn % 2])
            await stream.until(lambda each, heard=heard: len(states(each)) == heard)
            noted = list(reads)
            if await _asleep(servers[0].state[FEED], database) == before:
                break
        assert noted == []
        await write("case.closed")
        await stream.until(lambda each: "case.closed" in each.types)
        assert len(reads) >= 1


async def _asleep(feed, database) -> tuple[int, ...]:
    """The feed knows of every event there is, and every stream has read what it was woken for.

    Returns the place of the newest event."""
    async with database.session() as session:
        last = "select transaction, number from event order by transaction desc, number desc limit 1"
        newest = (await session.execute(text(last))).one()
    async with asyncio.timeout(5):
        while feed.settled < tuple(newest) or any(each.is_behind for each in feed._watchers):  # noqa: ASYNC110 - nothing tells
            await asyncio.sleep(0.01)
    return tuple(newest)


async def test_who_asks_once_the_stream_has_begun_misses_nothing(
    *, servers, make_reader, say, monkeypatch, subject
):
    connect = feeds.asyncpg.connect

    async def slow(*args, **options):
        await asyncio.sleep(0.2)
        return await connect(*args, **options)

    monkeypatch.setattr(feeds.asyncpg, "connect", slow)
    reader = await make_reader(Role.agent)
    async with following(servers[0], reader.key, subject=filter_of(subject)) as stream:
        await say(State.viewing)
        await stream.until(lambda each: states(each) == ["viewing"])


async def test_a_reader_who_does_not_read_holds_so_many_notices(*, servers, make_reader, database, subject):
    reader, quick = await make_reader(Role.agent), await make_reader(Role.agent)
    notify = text(
        "select pg_notify(:channel, CAST(json_build_object('kind', 'presence', 'subject_type',"
        " CAST(:type AS text), 'subject_id', CAST(:id AS text), 'data', json_build_object('state', n))"
        " AS text)) from generate_series(1, :count) n"
    )
    values = {"channel": NOTICES, "type": subject.type, "id": str(subject.id)}
    async with (
        following(servers[0], reader.key, subject=filter_of(subject)) as slow,
        following(servers[0], quick.key, subject=filter_of(subject)) as control,
    ):
        slow.may_read.clear()
        async with database.session() as session:
            await session.execute(notify, values | {"count": 1})
        await control.has(1)
        await slow.has(1)  # it is stuck with this one
        async with database.session() as session:
            await session.execute(notify, values | {"count": 3 * NOTICES_MAX})
        await control.until(lambda each: states(each)[-1:] == [3 * NOTICES_MAX])
        slow.may_read.set()
        await slow.until(lambda each: states(each)[-1:] == [3 * NOTICES_MAX])
        assert len(states(slow)) == 1 + NOTICES_MAX


@pytest.mark.parametrize("payload", ["", "x", "[]", "{}", '{"kind": 1}', "[" * 3_000, '"\ud7ff"'])
async def test_what_is_no_notice_of_ours_is_passed_over(
    *, servers, make_reader, database, say, payload, subject, caplog
):
    reader = await make_reader(Role.agent)
    async with following(servers[0], reader.key, subject=filter_of(subject)) as stream:
        async with database.session() as session:
            await session.execute(
                text("select pg_notify(:channel, :payload)"), {"channel": NOTICES, "payload": payload}
            )
        await say(State.viewing)
        await stream.has(1)
        assert states(stream) == ["viewing"]
    assert [each for each in caplog.records if each.levelname == "ERROR"] == []


async def test_the_document_names_the_frame(client):
    document = (await client.get("/schema/openapi.json")).json()
    success = document["paths"]["/v1/events/stream"]["get"]["responses"]["200"]
    schema = success["content"]["text/event-stream"]["schema"]
    assert "- `presence`: PresenceChange" in schema["description"]
    assert {"$ref": "#/components/schemas/PresenceChange"} in schema["contentSchema"]["anyOf"]
    assert "viewer_id" in document["components"]["schemas"]["PresenceChange"]["properties"]
