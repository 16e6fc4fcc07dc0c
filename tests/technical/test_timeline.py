"""The timeline: everything that happened, in order, each reader's part; and the ticket rebuilt from it."""

from __future__ import annotations

import base64
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, event, example, given, settings
from hypothesis import strategies as st
from sqlalchemy import text

from app.technical.constants import Status
from tests.callers import Caller
from tests.technical.folding import rebuild, state_of
from tests.technical.test_merging import merge, unmerge
from tests.technical.test_tickets import PATH, move, write

Steps = list[tuple[str, int, int]]


async def walk(
    by: Caller, ticket: dict[str, Any], *, limit: int = 100, newest_first: bool = False
) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = []
    cursor = None
    while True:
        asked = {"limit": limit, "newest_first": newest_first} | ({"cursor": cursor} if cursor else {})
        response = await by.client.get(f"{PATH}/{ticket['id']}/timeline", params=asked)
        assert response.status_code == 200, response.text
        page = response.json()
        assert len(page["items"]) <= limit
        items += page["items"]
        cursor = page["next_cursor"]
        if cursor is None:
            return items


def brief(items: list[dict[str, Any]]) -> list[str]:
    return [each["event"]["type"] if each["kind"] == "event" else each["message"]["body"] for each in items]


async def story(caller, open_ticket) -> tuple[Caller, Caller, dict[str, Any]]:
    customer, agent = await caller(), await caller("agent")
    ticket = await open_ticket(customer, description="Help.")
    await write(agent, ticket, "Hm.", kind="note")
    await write(agent, ticket, "Which version?", status="pending")
    await agent.client.patch(f"{PATH}/{ticket['id']}", json={"tags": ["export"]})
    await write(customer, ticket, "The last.")
    await move(agent, ticket, "solved", reason="Fixed in 4.2.")
    return customer, agent, ticket


async def test_staff_read_everything_in_the_order_in_which_it_was_done(caller, open_ticket):
    _, agent, ticket = await story(caller, open_ticket)
    told = [
        each for each in brief(await walk(agent, ticket)) if not each.startswith(("sla.", "conversation."))
    ]
    assert told == [
        "ticket.created",
        "Help.",
        "Hm.",
        "Which version?",
        "ticket.moved",
        "ticket.updated",
        "The last.",
        "ticket.moved",
        "ticket.moved",
    ]
    assert any(each.startswith("sla.") for each in brief(await walk(agent, ticket)))


async def test_customers_read_their_part_and_so_does_whoever_is_in_copy(caller, open_ticket):
    customer, agent, ticket = await story(caller, open_ticket)
    guest, stranger = await caller(), await caller()
    invited = {"person_id": str(guest.person_id)}
    await agent.client.post(f"{PATH}/{ticket['id']}/watchers", json=invited)
    for reader in (customer, guest):
        items = await walk(reader, ticket)
        told = brief(items)
        assert told == [
            "ticket.created",
            "Help.",
            "Which version?",
            "ticket.moved",
            "The last.",
            "ticket.moved",
            "ticket.moved",
        ]
        assert "Fixed in 4.2." not in str(items)
        assert "Hm." not in str(items)
        assert {each["event"]["actor"]["kind"] for each in items if each["kind"] == "event"} == {
            "customer",
            "staff",
        }
    refused = await stranger.client.get(f"{PATH}/{ticket['id']}/timeline")
    assert (refused.status_code, refused.json()["code"]) == (404, "ticket_not_found")


@pytest.mark.parametrize("limit", [1, 2, 3, 7])
async def test_pages_of_any_size_and_direction_give_each_item_once(caller, open_ticket, limit):
    _, agent, ticket = await story(caller, open_ticket)
    whole = await walk(agent, ticket)
    assert await walk(agent, ticket, limit=limit) == whole
    assert await walk(agent, ticket, limit=limit, newest_first=True) == whole[::-1]


async def test_messages_stand_at_their_own_time_and_come_along_with_a_merge(caller, open_ticket, database):
    customer, agent = await caller(), await caller("agent")
    target, source = (
        await open_ticket(customer, description="t"),
        await open_ticket(customer, description="s"),
    )
    async with database.session() as session:
        await session.execute(
            text(
                "update message set created_at = created_at - interval '1 year' where body_raw = 's'"
                " and conversation_id = (select id from conversation where subject_id = :id)"
            ),
            {"id": source["id"]},
        )
    await merge(agent, source, target)
    items = await walk(customer, target)
    assert brief(items) == ["s", "ticket.created", "t", "ticket.absorbed"]
    assert [each for each in brief(await walk(customer, source)) if not each.startswith("ticket.")] == []


async def test_a_foreign_or_broken_cursor_is_refused(caller, open_ticket):
    _, agent, ticket = await story(caller, open_ticket)
    other = await open_ticket(agent)
    path = f"{PATH}/{ticket['id']}/timeline"
    cursor = (await agent.client.get(path, params={"limit": 1})).json()["next_cursor"]
    null = base64.urlsafe_b64encode(b'[null,null,""]').decode().rstrip("=")
    for asked, where in (
        ({"cursor": cursor, "newest_first": True}, path),
        ({"cursor": cursor}, f"{PATH}/{other['id']}/timeline"),
        ({"cursor": "x"}, path),
        ({"cursor": null}, path),
        ({"newest_first": "perhaps"}, path),
        ({"limit": 101}, path),
    ):
        response = await agent.client.get(where, params=asked)
        assert (response.status_code, response.json()["code"]) == (400, "validation_error"), asked


# --- the ticket is what its events tell ---------------------------------------------------------------------

STATUSES = [each.value for each in Status]


class Desk:
    """A few tickets of one customer; ``step`` does something to one of them, if that may be done."""

    def __init__(self, customer: Caller, agent: Caller, lead: Caller, database: Any) -> None:
        self.customer, self.agent, self.lead, self.database = customer, agent, lead, database
        self.tickets: list[dict[str, Any]] = []
        self.seen: dict[tuple[str, int], dict[str, Any]] = {}
        self.done: set[str] = set()

    async def step(self, what: str, first: int, second: int) -> None:
        if not self.tickets:
            what = "create"
        ticket = self.tickets[first % len(self.tickets)] if self.tickets else {}
        other = self.tickets[second % len(self.tickets)] if self.tickets else {}
        response = await getattr(self, what)(ticket, other, second)
        assert response is None or response.status_code < 500, response.text
        if response is not None and response.is_success:
            self.done.add(what)
            made = response.json() if response.content else {}
            await self._remember(made.get("ticket", made))
        for each in self.tickets:
            state = await state_of(self.database, each["id"])
            self.seen[each["id"], state["version"]] = state

    async def _remember(self, made: dict[str, Any]) -> None:
        if "number" in made and made["id"] not in [each["id"] for each in self.tickets]:
            self.tickets.append(made)

    async def create(self, *_: Any) -> Any:
        return await self.customer.client.post(PATH, json={"subject": "s", "description": "d"})

    async def patch(self, ticket: Any, _: Any, number: int) -> Any:
        changes = [
            {"priority": "high"},
            {"tags": ["a", "b"], "product": "Exporter"},
            {"description": f"TypeError: text {number}"},
            {"assignee_id": str(self.agent.person_id), "severity": "major"},
            {"assignee_id": None, "subject": f"Subject {number}"},
        ]
        return await self.agent.client.patch(f"{PATH}/{ticket['id']}", json=changes[number % len(changes)])

    async def transition(self, ticket: Any, _: Any, number: int) -> Any:
        return await move(self.lead, ticket, STATUSES[number % len(STATUSES)], reason="Because.")

    async def ask(self, ticket: Any, *_: Any) -> Any:
        return await write(self.customer, ticket)

    async def reply(self, ticket: Any, _: Any, number: int) -> Any:
        more = {"status": STATUSES[number % 5]} if number % 2 else {}
        return await write(self.agent, ticket, **more)

    async def merge(self, ticket: Any, other: Any, _: Any) -> Any:
        return await merge(self.agent, ticket, other)

    async def unmerge(self, ticket: Any, *_: Any) -> Any:
        return await unmerge(self.agent, ticket)

    async def split(self, ticket: Any, *_: Any) -> Any:
        found = (await self.agent.client.get(f"{PATH}/{ticket['id']}/messages")).json()["items"]
        body = {"message_ids": [each["id"] for each in found[-1:]], "subject": "Split"}
        return await self.agent.client.post(f"{PATH}/{ticket['id']}/split", json=body) if found else None

    async def link(self, ticket: Any, other: Any, number: int) -> Any:
        kind = ["related", "parent", "duplicate", "follow_up"][number % 4]
        body = {"kind": kind, "other_id": other["id"]}
        return await self.agent.client.post(f"{PATH}/{ticket['id']}/links", json=body)

    async def late(self, ticket: Any, *_: Any) -> Any:
        """The reopen window passes; no event tells what a clock does by itself, so neither does this."""
        async with self.database.session() as session:
            solved = await session.execute(
                text("select id, solved_at from ticket where id = :id and status = 'solved'"),
                {"id": ticket["id"]},
            )
            if (row := solved.one_or_none()) is None:
                return None
            age = {"id": row.id, "then": row.solved_at - timedelta(days=20)}
            await session.execute(text("update ticket set solved_at = :then where id = :id"), age)
        try:
            return await write(self.customer, ticket)
        finally:
            async with self.database.session() as session:
                await session.execute(
                    text("update ticket set solved_at = :then where id = :id"),
                    {"id": row.id, "then": row.solved_at},
                )

    async def check(self) -> None:
        for each in self.tickets:
            states = await rebuild(self.database, each["id"])
            now = await state_of(self.database, each["id"])
            assert list(states) == list(range(1, now["version"] + 1))
            assert states[now["version"]] == now
            for (ticket_id, version), state in self.seen.items():
                if ticket_id == each["id"]:
                    assert states[version] == state


KINDS = [
    *("create", "patch", "transition", "ask", "reply"),
    *("merge", "unmerge", "split", "link", "late"),
]
STEPS = st.lists(
    st.tuples(st.sampled_from(KINDS), st.integers(0, 3), st.integers(0, 9)), min_size=3, max_size=14
)
EVERYTHING: Steps = [
    *[("create", 0, 0)] * 3,
    *[("patch", 0, number) for number in range(5)],
    *[("ask", 0, 0), ("reply", 0, 1), ("reply", 0, 3), ("ask", 0, 0), ("split", 0, 0), ("link", 0, 1)],
    *[("merge", 0, 1), ("merge", 1, 2), ("unmerge", 0, 0), ("unmerge", 1, 0), ("link", 1, 2)],
    *[("transition", 1, 4), ("late", 1, 0), ("transition", 2, 4), ("ask", 2, 0)],
    *[("transition", 0, 4), ("transition", 0, 5), ("ask", 0, 0)],
]


async def desk_of(caller, database) -> Desk:
    return Desk(await caller(), await caller("agent"), await caller("lead"), database)


async def test_everything_that_is_done_below_can_be_done(caller, database):
    """So that the property is not one of refused requests."""
    desk = await desk_of(caller, database)
    for each in EVERYTHING:
        await desk.step(*each)
    assert desk.done == set(KINDS)
    await desk.check()


STEPPING = settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


async def assert_events_rebuild(caller, database, steps: Steps) -> None:
    desk = await desk_of(caller, database)
    for each in steps:
        await desk.step(*each)
    for each in desk.done:
        event(each)
    await desk.check()


@settings(STEPPING, max_examples=5)
@given(steps=STEPS)
@example(steps=[("create", 0, 0), ("create", 0, 0), ("merge", 0, 1), ("unmerge", 0, 0), ("unmerge", 0, 0)])
async def test_after_any_sequence_the_events_of_a_ticket_rebuild_it_at_every_version(caller, database, steps):
    await assert_events_rebuild(caller, database, steps)


@pytest.mark.proof
@settings(STEPPING, max_examples=150)
@given(steps=STEPS)
async def test_after_many_sequences_the_events_of_a_ticket_rebuild_it(caller, database, steps):
    await assert_events_rebuild(caller, database, steps)
