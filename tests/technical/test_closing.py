"""Solved tickets are closed by the timer: when their time has come, each once."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

from sqlalchemy import text

from app.technical.service.closing import close_due
from tests.technical.test_tickets import PATH, move, write


async def events_of(database, ticket, kind: str) -> list[dict]:
    async with database.session() as session:
        found = await session.execute(
            text("select before, after, actor_kind from event where subject_id = :id and type = :kind"),
            {"id": ticket["id"], "kind": kind},
        )
        return [dict(row._mapping) for row in found]


async def test_a_ticket_is_closed_when_its_time_has_come_and_not_before(app, database, caller, open_ticket):
    customer, agent = await caller(), await caller("agent")
    ticket = await open_ticket(customer)
    await move(agent, ticket, "solved")
    desk, now = app.state.technical, datetime.now(UTC)
    await close_due(database, desk, now=now + desk.close_after - timedelta(minutes=5))
    assert (await agent.client.get(f"{PATH}/{ticket['id']}")).json()["status"] == "solved"
    await close_due(database, desk, now=now + desk.close_after + timedelta(minutes=5))
    seen = (await agent.client.get(f"{PATH}/{ticket['id']}")).json()
    assert (seen["status"], seen["closed_at"] is not None) == ("closed", True)
    moves = await events_of(database, ticket, "ticket.moved")
    assert [each["actor_kind"] for each in moves if each["after"]["status"] == "closed"] == ["system"]


async def test_parallel_sweeps_close_each_ticket_once_and_leave_what_was_reopened(
    app, database, caller, open_ticket
):
    customer, agent = await caller(), await caller("agent")
    tickets = [await open_ticket(customer) for _ in range(12)]
    for each in tickets:
        await move(agent, each, "solved")
    await write(customer, tickets[0], "Not yet.")
    later = datetime.now(UTC) + app.state.technical.close_after + timedelta(minutes=5)
    await asyncio.gather(*(close_due(database, app.state.technical, now=later) for _ in range(4)))
    reopened, *others = [(await agent.client.get(f"{PATH}/{each['id']}")).json() for each in tickets]
    assert reopened["status"] == "open"
    assert {each["status"] for each in others} == {"closed"}
    for each in others:
        moves = await events_of(database, each, "ticket.moved")
        assert len([event for event in moves if event["after"]["status"] == "closed"]) == 1
