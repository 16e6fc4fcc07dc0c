"""Who has a case open: seen by the others, told on the stream of every server, forgotten by itself."""

from __future__ import annotations

import pytest
from sqlalchemy import text

from app.events.dependencies import FEED
from app.events.feed import Feed
from app.main import create_app
from app.presence import purge
from tests.events.follower import following
from tests.technical.test_tickets import PATH


def key_of(by) -> str:
    return by.client.headers["authorization"].removeprefix("Bearer ")


async def put(by, ticket, state: str = "viewing"):
    return await by.client.put(f"{PATH}/{ticket['id']}/presence", json={"state": state})


@pytest.fixture
async def ticket(caller, open_ticket):
    return await open_ticket(await caller())


async def test_each_sees_the_others_and_what_they_do(caller, ticket):
    one, two = await caller("agent"), await caller("agent")
    assert (await put(one, ticket)).json()["viewers"] == []
    seen = (await put(two, ticket, "replying")).json()["viewers"]
    assert [(each["viewer_id"], each["state"]) for each in seen] == [(str(one.person_id), "viewing")]
    seen = (await one.client.get(f"{PATH}/{ticket['id']}/presence")).json()["viewers"]
    assert [(each["viewer_id"], each["state"]) for each in seen] == [(str(two.person_id), "replying")]
    assert (await two.client.delete(f"{PATH}/{ticket['id']}/presence")).status_code == 204
    assert (await one.client.get(f"{PATH}/{ticket['id']}/presence")).json()["viewers"] == []


async def test_it_is_the_staffs_and_no_event(caller, open_ticket, database):
    customer, agent = await caller(), await caller("agent")
    ticket = await open_ticket(customer)
    assert (await put(customer, ticket)).status_code == 404
    await put(agent, ticket)
    async with database.session() as session:
        types = await session.scalars(
            text("select type from event where subject_id = :id"), {"id": ticket["id"]}
        )
        assert not [each for each in types if "presence" in each]


async def test_news_reach_the_streams_of_another_server_and_repeated_beats_do_not(
    *,
    settings,
    database,
    rag,
    caller,
    ticket,
    open_ticket,
):
    """The stream is of a second app with a feed of its own; what is beaten goes to the first."""
    agent, reader, customer = await caller("agent"), await caller("agent"), await caller()
    other = await open_ticket(customer)
    elsewhere = create_app(settings, database=database, rag=rag)
    elsewhere.state[FEED] = Feed(database, poll=60)
    async with following(elsewhere, key_of(reader), subject=f"ticket:{ticket['id']}") as stream:
        await put(agent, other)
        for state in ("viewing", "viewing", "replying"):
            await put(agent, ticket, state)
        await agent.client.delete(f"{PATH}/{ticket['id']}/presence")
        await stream.until(lambda each: len(frames(each)) == 3)
        assert [each["data"]["state"] for each in frames(stream)] == ["viewing", "replying", "left"]
        assert {each["data"]["subject"]["id"] for each in frames(stream)} == {ticket["id"]}
        assert all(each["id"] is None for each in frames(stream))


async def test_customers_are_told_nothing(app, database, caller, open_ticket):
    customer, agent = await caller(), await caller("agent")
    ticket = await open_ticket(customer)
    app.state[FEED] = Feed(database, poll=60)
    async with following(app, key_of(customer), subject=f"ticket:{ticket['id']}") as stream:
        await put(agent, ticket)
        await agent.client.post(f"{PATH}/{ticket['id']}/messages", json={"body": "Hello."})
        await stream.until(lambda each: "message.posted" in each.types)
        assert frames(stream) == []
    del app.state[FEED]


async def test_who_is_not_heard_of_is_counted_out_and_said_to_have_left(
    app,
    database,
    caller,
    ticket,
):
    one, two = await caller("agent"), await caller("agent")
    await put(one, ticket)
    app.state[FEED] = Feed(database, poll=60)
    async with following(app, key_of(two), subject=f"ticket:{ticket['id']}") as stream:
        async with database.session() as session:
            gone = "update presence set expires_at = now() where viewer_id = :id"
            await session.execute(text(gone), {"id": one.person_id})
        assert (await put(two, ticket)).json()["viewers"] == []
        assert await purge(database) >= 1
        await stream.until(lambda each: [one["data"]["state"] for one in frames(each)][-1:] == ["left"])
    del app.state[FEED]


def frames(stream) -> list[dict]:
    return [each for each in stream.events if each.get("event") == "presence"]
