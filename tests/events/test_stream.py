"""GET /v1/events/stream: what arrives, in which order, after what, and what is left when it ends."""

from __future__ import annotations

import asyncio
from collections import Counter
from functools import partial
from types import SimpleNamespace
from uuid import uuid4

import asyncpg
import pytest
from sqlalchemy import text

from app.events import Subject, controllers, record, streaming
from app.events import feed as feeds
from app.events.constants import STREAM_BATCH, STREAMS_A_CALLER
from app.events.dependencies import FEED
from app.events.feed import Feed
from app.identity import SYSTEM, Role
from app.identity import service as identity
from tests.events.conftest import named, until
from tests.events.follower import following

NOBODY = "00000000-0000-0000-0000-000000000000"


@pytest.fixture
async def admin(make_reader):
    return await make_reader(Role.admin)


@pytest.fixture
def feed(app, database):
    """A feed of the test's own, whose holdings can be counted and which looks only when it is told to."""
    app.state[FEED] = feed = Feed(database, poll=60)
    yield feed
    assert not feed._watchers
    assert not feed._streams
    assert feed._watching is None
    del app.state[FEED]


@pytest.fixture
def brief(monkeypatch):
    """Heartbeats every fifth of a second."""
    monkeypatch.setattr(controllers, "Tail", partial(streaming.Tail, heartbeat=0.2))


@pytest.fixture
def connections(monkeypatch):
    """Connections that the feed opened, and nobody else: the pool uses the same library."""
    opened = []

    async def noting(*args, **options):
        opened.append(await asyncpg.connect(*args, **options))
        return opened[-1]

    monkeypatch.setattr(feeds, "asyncpg", SimpleNamespace(connect=noting))
    return opened


async def test_events_arrive_as_they_happen_and_as_the_list_shows_them(*, app, feed, admin, write, subject):
    async with following(app, admin.key, subject=named(subject)) as stream:
        assert stream.status == 200
        assert stream.headers["content-type"].startswith("text/event-stream")
        assert stream.headers["cache-control"] == "no-store"
        first = await write("ticket.created", subject, after={"title": "a\nb\u2028c"})
        assert await stream.has(1) == ["ticket.created"]
        await write("ticket.closed", subject)
        assert await stream.has(2) == ["ticket.created", "ticket.closed"]
    assert stream.events[0]["id"] == str(first)
    assert [each["data"] for each in stream.events] == await admin.list(subject=named(subject))


async def test_it_begins_with_now_and_says_where_that_is(*, app, feed, admin, write, subject):
    """A client that loses the connection before the first event must be able to come back."""
    await write("ticket.before", subject)
    async with following(app, admin.key, subject=named(subject)) as stream:
        begun = stream.blocks[0]
        assert set(begun) == {"id", "retry"}
    await write("ticket.meanwhile", subject)
    async with following(app, admin.key, subject=named(subject), last_event_id=begun["id"]) as stream:
        assert await stream.has(1) == ["ticket.meanwhile"]


async def test_who_can_see_nothing_yet_comes_back_to_the_beginning(*, app, feed, make_reader, write, subject):
    customer = await make_reader(Role.customer)
    async with following(app, customer.key) as stream:
        assert stream.blocks[0]["id"] == NOBODY
    await write("ticket.meanwhile", subject, person_id=customer.person_id, customer_visible=True)
    async with following(app, customer.key, last_event_id=NOBODY) as stream:
        assert await stream.has(1) == ["ticket.meanwhile"]


async def test_it_goes_on_after_an_event_and_the_header_wins(*, app, feed, admin, write, subject):
    ids = [str(await write(f"ticket.step_{n}", subject)) for n in range(3)]
    async with following(app, admin.key, subject=named(subject), after=ids[0]) as stream:
        assert await stream.has(2) == ["ticket.step_1", "ticket.step_2"]
    async with following(
        app, admin.key, subject=named(subject), after=ids[0], last_event_id=ids[1]
    ) as stream:
        assert await stream.has(1) == ["ticket.step_2"]


@pytest.mark.parametrize(
    "given", [{"after": str(uuid4())}, {"last_event_id": str(uuid4())}, {"last_event_id": "x"}]
)
async def test_a_place_that_does_not_exist_is_refused_as_an_answer(*, app, feed, admin, given):
    async with following(app, admin.key, **given) as stream:
        assert stream.status == 400
        assert ("Last-Event-ID" if "last_event_id" in given else "after") in stream.received


async def test_more_than_a_batch_arrives_whole(*, app, feed, admin, database, subject):
    count = 2 * STREAM_BATCH + 3
    async with database.session() as session:
        for _ in range(count):
            await record(session, "ticket.changed", subject=subject, actor=SYSTEM)
    async with following(app, admin.key, subject=named(subject), after=NOBODY) as stream:
        await stream.has(count)
    assert [each["data"] for each in stream.events] == await admin.list(subject=named(subject))


async def test_each_reader_gets_their_own(*, app, feed, make_reader, write, subject):
    customer, other = await make_reader(Role.customer), await make_reader(Role.customer)
    async with following(app, customer.key) as theirs, following(app, other.key) as others:
        await write("ticket.triaged", subject, person_id=customer.person_id)
        await write("ticket.created", subject, person_id=other.person_id, customer_visible=True)
        await write(
            "ticket.closed",
            subject,
            person_id=customer.person_id,
            customer_visible=True,
            after={"state": "closed", "cost": 5},
            staff_fields=["cost"],
        )
        assert await theirs.has(1) == ["ticket.closed"]
        assert await others.has(1) == ["ticket.created"]
    assert theirs.events[0]["data"]["after"] == {"state": "closed"}


async def test_filters_are_those_of_the_list(*, app, feed, admin, write, subject):
    async with following(app, admin.key, subject=named(subject), type="ticket.*") as stream:
        await write("ticketing.changed", subject)
        await write("ticket.changed", Subject("ticket", uuid4()))
        await write("ticket.last", subject)
        assert await stream.has(1) == ["ticket.last"]


async def test_commits_in_reverse_order_arrive_in_the_logs(*, app, feed, admin, database, subject):
    async with following(app, admin.key, subject=named(subject)) as stream:
        async with database.session() as early:
            await record(early, "ticket.early", subject=subject, actor=SYSTEM)
            async with database.session() as late:
                await record(late, "ticket.late", subject=subject, actor=SYSTEM)
        assert await stream.has(2) == ["ticket.early", "ticket.late"]


async def test_a_stream_beside_many_writers_misses_nothing(*, app, feed, admin, database, subject):
    async def writer(number: int) -> None:
        for n in range(10):
            async with database.session() as session:
                await record(session, f"ticket.w{number}_{n}", subject=subject, actor=SYSTEM)
                await asyncio.sleep((number * 7 + n) % 5 / 500)

    async with following(app, admin.key, subject=named(subject)) as stream:
        await asyncio.gather(*map(writer, range(8)))
        await stream.has(80)
    assert Counter(stream.types) == Counter(f"ticket.w{number}_{n}" for number in range(8) for n in range(10))


async def test_a_lost_notification_is_made_up_for(*, app, database, admin, write, subject, monkeypatch):
    monkeypatch.setattr("app.events.recording.NOTIFY", "select 1")
    app.state[FEED] = Feed(database, poll=0.1)
    try:
        async with following(app, admin.key, subject=named(subject)) as stream:
            await write("ticket.created", subject)
            assert await stream.has(1) == ["ticket.created"]
    finally:
        del app.state[FEED]


async def test_one_connection_listens_for_all_and_only_while_there_are_any(
    *, app, feed, make_reader, database, write, subject, connections
):
    readers = [await make_reader(Role.agent) for _ in range(3)]
    async with (
        following(app, readers[0].key, subject=named(subject)) as first,
        following(app, readers[1].key, subject=named(subject)) as second,
    ):
        async with following(app, readers[2].key, subject=named(subject)) as third:
            await write("ticket.created", subject)
            for each in (first, second, third):
                await each.has(1)
        await write("ticket.closed", subject)
        for each in (first, second):
            await each.has(2)
        assert len(connections) == 1
        await no_connection_is_held(database)
        assert not connections[0].is_closed()
    assert connections[0].is_closed()


async def test_it_goes_on_when_the_listening_connection_dies(
    *, app, feed, admin, database, write, subject, connections
):
    async with following(app, admin.key, subject=named(subject)) as stream:
        await write("ticket.first", subject)
        await stream.has(1)
        pid = connections[0].get_server_pid()
        async with database.session() as session:
            await session.execute(text("select pg_terminate_backend(:pid)"), {"pid": pid})
        await write("ticket.second", subject)
        await stream.has(2)
        await write("ticket.third", subject)
        assert await stream.has(3) == ["ticket.first", "ticket.second", "ticket.third"]
    assert len(connections) > 1
    assert all(each.is_closed() for each in connections[:-1])


async def test_it_waits_for_a_database_that_is_away_and_goes_on(
    *, app, feed, admin, database, write, subject, connections, brief, monkeypatch
):
    async def away(*_args, **_options):
        raise ConnectionRefusedError(111, "Connection refused")

    async with following(app, admin.key, subject=named(subject)) as stream:
        await write("ticket.first", subject)
        await stream.has(1)
        with monkeypatch.context() as patch:
            patch.setattr(feeds, "asyncpg", SimpleNamespace(connect=away))
            patch.setattr(streaming.service, "read_events", away)
            async with database.session() as session:
                pid = connections[0].get_server_pid()
                await session.execute(text("select pg_terminate_backend(:pid)"), {"pid": pid})
            await write("ticket.second", subject)
            beats = stream.received.count("heartbeat")
            await stream.until(lambda each: each.received.count("heartbeat") > beats + 1)
            assert stream.types == ["ticket.first"]
        assert await stream.has(2) == ["ticket.first", "ticket.second"]


async def test_silence_is_filled_with_comments(*, app, feed, admin, subject, brief):
    async with following(app, admin.key, subject=named(subject)) as stream:
        await stream.until(lambda each: each.received.count(": heartbeat\r\n\r\n") >= 2)
    assert stream.events == []


async def test_a_revoked_keys_stream_ends_and_says_why(*, app, feed, admin, database, write, subject, brief):
    async with following(app, admin.key, subject=named(subject)) as stream:
        async with database.session() as session:
            await identity.revoke_key(session, admin.principal.key_id)
        await stream.until(lambda each: "error" in each.types)
        await asyncio.wait_for(ended(feed), 5)
    (failure,) = stream.events
    assert (failure["data"]["problem"]["status"], failure["data"]["problem"]["code"]) == (401, "key_revoked")
    assert failure["id"] is None


async def no_connection_is_held(database) -> None:
    await until(lambda: not database.engine.pool.checkedout())


async def ended(feed: Feed) -> None:
    await until(lambda: not feed._watchers)


async def test_what_a_reader_may_see_follows_them_while_they_read(
    *, app, feed, make_reader, make_account, database, write, subject, brief
):
    customer = await make_reader(Role.customer, account_id=await make_account(), sees_account=True)
    account = customer.principal.account_id
    async with following(app, customer.key) as stream:
        await write("ticket.first", subject, account_id=account, customer_visible=True)
        await stream.has(1)
        async with database.session() as session:
            await session.execute(
                text("update person set sees_account = false where id = :id"), {"id": customer.person_id}
            )
        beats = stream.received.count("heartbeat")
        await stream.until(lambda each: each.received.count("heartbeat") > beats + 1)
        await write("ticket.second", subject, account_id=account, customer_visible=True)
        await write("ticket.own", subject, person_id=customer.person_id, customer_visible=True)
        assert await stream.has(2) == ["ticket.first", "ticket.own"]


async def test_a_server_that_stops_ends_it_without_an_error(*, app, feed, admin, subject):
    async with following(app, admin.key, subject=named(subject)) as stream:
        app.state.draining = True
        try:
            await asyncio.wait_for(ended(feed), 2)
        finally:
            app.state.draining = False
    assert stream.events == []


async def test_a_fault_of_ours_ends_it_with_a_problem_that_tells_nothing(
    *, app, feed, admin, write, subject, monkeypatch, caplog
):
    async def broken(*_args, **_options):
        raise RuntimeError("a secret of the house")

    async with following(app, admin.key, subject=named(subject)) as stream:
        monkeypatch.setattr(streaming.service, "read_events", broken)
        await write("ticket.created", subject)
        await stream.until(lambda each: "error" in each.types)
    assert stream.events[0]["data"]["problem"]["code"] == "internal_error"
    assert "secret" not in stream.received
    assert "event stream failed" in caplog.text


async def test_a_caller_has_so_many_streams_and_gets_one_back_by_leaving(*, app, feed, make_reader, admin):
    agent = await make_reader(Role.agent)
    open_streams = [following(app, agent.key) for _ in range(STREAMS_A_CALLER)]
    for each in open_streams:
        assert (await each.__aenter__()).status == 200
    async with following(app, agent.key) as one_more:
        assert one_more.status == 429
        assert "too_many_streams" in one_more.received
        assert one_more.headers["retry-after"] == "5"
    async with following(app, admin.key) as another:
        assert another.status == 200
    await open_streams.pop().__aexit__(None, None, None)
    async with following(app, agent.key) as again:
        assert again.status == 200
    for each in open_streams:
        await each.__aexit__(None, None, None)


async def test_a_reader_who_does_not_read_holds_one_batch(
    *, app, feed, admin, database, subject, monkeypatch
):
    reads = []
    read = streaming.service.read_events

    async def noting(*args, **options):
        reads.append(await read(*args, **options))
        return reads[-1]

    monkeypatch.setattr(streaming.service, "read_events", noting)
    async with (
        following(app, admin.key, subject=named(subject)) as slow,
        following(app, admin.key, subject=named(subject)) as quick,
    ):
        slow.may_read.clear()
        for _ in range(4):
            async with database.session() as session:
                for _ in range(STREAM_BATCH):
                    await record(session, "ticket.changed", subject=subject, actor=SYSTEM)
        await quick.has(4 * STREAM_BATCH)
        assert len(slow.events) <= STREAM_BATCH
        await no_connection_is_held(database)
        slow.may_read.set()
        await slow.has(4 * STREAM_BATCH)
    assert max(map(len, reads)) <= STREAM_BATCH


async def test_a_head_shows_how_it_would_begin_and_ends_at_once(*, admin, feed):
    async with asyncio.timeout(5):
        headed = await admin.client.head("/v1/events/stream")
    assert headed.status_code == 200
    assert headed.headers["content-type"].startswith("text/event-stream")
    await ended(feed)
