"""Merging tickets and undoing it: what goes along, what stays, what comes back."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import text

from tests.callers import Caller
from tests.technical.test_tickets import PATH, move, write

ALIKE = (
    "status",
    "subject",
    "description",
    "priority",
    "tags",
    "status_changed_at",
    "solved_at",
    "waiting_since",
)


async def merge(by: Caller, source: dict[str, Any], target: dict[str, Any], **more: Any) -> Any:
    body = {"target_id": target["id"]} | more
    return await by.client.post(f"{PATH}/{source['id']}/merge", json=body)


async def unmerge(by: Caller, source: dict[str, Any]) -> Any:
    return await by.client.post(f"{PATH}/{source['id']}/unmerge")


async def get(by: Caller, ticket: dict[str, Any], below: str = "") -> Any:
    response = await by.client.get(
        f"{PATH}/{ticket['id']}{below}", params={"limit": 100} if below == "/messages" else None
    )
    assert response.status_code == 200, response.text
    return response.json()


async def bodies(by: Caller, ticket: dict[str, Any]) -> list[str]:
    return [each["body"] for each in (await get(by, ticket, "/messages"))["items"]]


async def numbers(by: Caller, ticket: dict[str, Any]) -> dict[str, int]:
    return {each["body"]: each["number"] for each in (await get(by, ticket, "/messages"))["items"]}


async def clocks(by: Caller, ticket: dict[str, Any], *, exact: bool = False) -> dict[str, Any]:
    """Kind and cycle to state, or to all that does not count on by itself."""
    found = (await get(by, ticket, "/clocks"))["clocks"]
    whole = dict.fromkeys(("consumed_seconds",))
    return {f"{each['kind']}-{each['cycle']}": (each | whole if exact else each["state"]) for each in found}


def waiting(found: dict[str, str]) -> list[str]:
    return [
        name for name, state in found.items() if "resolution" not in name and state in ("running", "paused")
    ]


async def test_a_merge_moves_everything_to_the_target_and_its_undoing_restores_the_source(
    caller, open_ticket
):
    customer, agent = await caller(), await caller("agent")
    colleague = await caller(account_id=customer.account_id)
    target = await open_ticket(customer, subject="Export stops", description="First.")
    source = await open_ticket(colleague, subject="Export again", description="Second.")
    await write(agent, target, "We look into it.", status="pending")
    await write(agent, source, "A note.", kind="note")
    third = await open_ticket(colleague, description="Third.")
    for ticket in (source, target):
        link = {"kind": "related", "other_id": third["id"]}
        assert (await agent.client.post(f"{PATH}/{ticket['id']}/links", json=link)).status_code == 201
    parent = {"kind": "child", "other_id": source["id"]}
    assert (await agent.client.post(f"{PATH}/{third['id']}/links", json=parent)).status_code == 201
    each_other = {"kind": "duplicate", "other_id": target["id"]}
    assert (await agent.client.post(f"{PATH}/{source['id']}/links", json=each_other)).status_code == 201
    thing = {"subject_type": "feature_request", "subject_id": str(uuid4())}
    assert (await agent.client.post(f"{PATH}/{source['id']}/references", json=thing)).status_code == 201
    watcher = {"email": "watcher@example.com"}
    assert (await agent.client.post(f"{PATH}/{source['id']}/watchers", json=watcher)).status_code == 201
    parts = ("/messages", "/links", "/watchers", "/references")
    before = {
        ticket["id"]: [await get(agent, ticket)]
        + [await get(agent, ticket, part) for part in parts]
        + [await clocks(agent, ticket, exact=True)]
        for ticket in (source, target)
    }

    merged = await merge(agent, source, target, reason="The same.")
    assert merged.status_code == 200, merged.text
    assert (merged.json()["status"], merged.json()["merged_into_id"]) == ("merged", target["id"])
    assert await bodies(agent, source) == []
    assert await bodies(agent, target) == ["First.", "Second.", "We look into it.", "A note."]
    assert await bodies(colleague, target) == ["First.", "Second.", "We look into it."]
    seen = await get(agent, target)
    assert seen["waiting_since"] == before[source["id"]][0]["waiting_since"]
    links = {(each["kind"], each["other"]["id"]) for each in (await get(agent, target, "/links"))["links"]}
    assert links == {("related", third["id"]), ("parent", third["id"])}
    assert (await get(agent, source, "/links"))["links"] == []
    assert [each["subject_id"] for each in (await get(agent, target, "/references"))["references"]] == [
        thing["subject_id"]
    ]
    watchers = (await get(agent, target, "/watchers"))["watchers"]
    assert {each["person_id"] or each["email"] for each in watchers} == {
        str(colleague.person_id),
        "watcher@example.com",
    }
    assert waiting(await clocks(agent, source)) == []
    assert len(waiting(await clocks(agent, target))) == 1

    undone = await unmerge(agent, source)
    assert undone.status_code == 200, undone.text
    for ticket in (source, target):
        then = before[ticket["id"]]
        now = [await get(agent, ticket)] + [await get(agent, ticket, part) for part in parts]
        assert {name: now[0][name] for name in ALIKE} == {name: then[0][name] for name in ALIKE}
        assert unversioned(now[1]) == unversioned(then[1])
        assert links_of(now[2]) == links_of(then[2])
        assert now[3:] == then[3:5]
        assert await clocks(agent, ticket, exact=True) == then[5]
    again = await unmerge(agent, source)
    assert (again.status_code, again.json()["code"]) == (409, "ticket_not_merged")


def unversioned(messages: dict[str, Any]) -> list[dict[str, Any]]:
    return [{name: value for name, value in each.items() if name != "version"} for each in messages["items"]]


def links_of(found: dict[str, Any]) -> set[tuple[str, str]]:
    return {(each["kind"], each["other"]["id"]) for each in found["links"]}


async def test_what_cannot_be_merged_is_refused_and_nothing_changes(caller, open_ticket):
    customer, other, lead = await caller(), await caller(), await caller("lead")
    one, two, closed, target = [await open_ticket(customer) for _ in range(4)]
    foreign = await open_ticket(other)
    await move(lead, closed, "solved")
    await move(lead, closed, "closed")
    assert (await merge(lead, two, target)).status_code == 200
    refused = {
        "itself": (one, one, 422, "invalid_merge"),
        "nowhere": (one, {"id": str(uuid4())}, 422, "unknown_ticket"),
        "nothing": ({"id": str(uuid4())}, one, 404, "ticket_not_found"),
        "into a merged one": (one, two, 409, "ticket_merged"),
        "a merged one": (two, one, 409, "ticket_merged"),
        "into a closed one": (one, closed, 409, "ticket_closed"),
        "a closed one": (closed, one, 409, "ticket_closed"),
        "of another customer": (foreign, one, 409, "different_customers"),
        "into another customer's": (one, foreign, 409, "different_customers"),
    }
    for name, (source, into, status, code) in refused.items():
        response = await merge(lead, source, into)
        assert (response.status_code, response.json()["code"]) == (status, code), name
        if code == "ticket_merged":
            assert response.json()["target_id"] == target["id"], name
    assert (await get(lead, one))["version"] == 1
    assert (await merge(customer, one, target)).status_code == 404
    assert (await unmerge(customer, two)).status_code == 404
    stale = await lead.client.post(
        f"{PATH}/{one['id']}/merge", json={"target_id": target["id"]}, headers={"If-Match": '"7"'}
    )
    assert stale.status_code == 412
    assert (await unmerge(lead, one)).json()["code"] == "ticket_not_merged"
    assert (await unmerge(lead, {"id": str(uuid4())})).status_code == 404


async def test_every_write_to_a_merged_ticket_answers_409_with_its_target(caller, open_ticket):
    customer, agent = await caller(), await caller("agent")
    source, target, third = [await open_ticket(customer) for _ in range(3)]
    message = (await get(agent, source, "/messages"))["items"][0]
    await merge(agent, source, target)
    writes = {
        "/messages": {"body": "More."},
        "/transitions": {"to": "open"},
        "/merge": {"target_id": third["id"]},
        "/split": {"message_ids": [message["id"]], "subject": "x"},
        "/links": {"kind": "related", "other_id": third["id"]},
        "/watchers": {},
        "/references": {"subject_type": "feature_request", "subject_id": str(uuid4())},
    }
    answers = {
        path: await agent.client.post(f"{PATH}/{source['id']}{path}", json=body)
        for path, body in writes.items()
    }
    answers["patch"] = await agent.client.patch(f"{PATH}/{source['id']}", json={"priority": "low"})
    answers["reply"] = await write(customer, source, "More.")
    for path, response in answers.items():
        assert (response.status_code, response.json()["target_id"]) == (409, target["id"]), path
        expected = "invalid_transition" if path == "/transitions" else "ticket_merged"
        assert response.json()["code"] == expected
    assert (await get(customer, source))["merged_into_id"] == target["id"]


async def test_pointers_have_one_level_and_undoing_restores_them_in_any_order(caller, open_ticket):
    customer, agent = await caller(), await caller("agent")
    a, b, c = [await open_ticket(customer, description=name) for name in "abc"]

    async def pointers() -> list[str | None]:
        names = {a["id"]: "a", b["id"]: "b", c["id"]: "c", None: None}
        return [names[(await get(agent, each))["merged_into_id"]] for each in (a, b, c)]

    await merge(agent, a, b)
    await merge(agent, b, c)
    assert await pointers() == ["c", "c", None]
    assert await bodies(agent, c) == ["a", "b", "c"]
    await unmerge(agent, b)
    assert await pointers() == ["b", None, None]
    assert [await bodies(agent, each) for each in (a, b, c)] == [[], ["a", "b"], ["c"]]
    await merge(agent, b, c)
    await unmerge(agent, a)
    assert await pointers() == [None, "c", None]
    assert [await bodies(agent, each) for each in (a, b, c)] == [["a"], [], ["b", "c"]]
    await unmerge(agent, b)
    assert await pointers() == [None, None, None]
    assert [await bodies(agent, each) for each in (a, b, c)] == [["a"], ["b"], ["c"]]
    assert [await numbers(agent, each) for each in (a, b, c)] == [{"a": 1}, {"b": 1}, {"c": 1}]
    for each in (a, b, c):
        assert await clocks(agent, each) == {"first_response-1": "running", "resolution-1": "running"}


async def test_merges_into_one_target_are_undone_in_the_order_they_came(caller, open_ticket):
    customer, agent = await caller(), await caller("agent")
    a, b, c = [await open_ticket(customer, description=name) for name in "abc"]
    await merge(agent, a, c)
    await merge(agent, b, c)
    await unmerge(agent, a)
    await unmerge(agent, b)
    for each in (a, b, c):
        found = await clocks(agent, each)
        assert len(waiting(found)) == 1, found
        assert found["resolution-1"] == "running"
        assert (await get(agent, each))["waiting_since"] is not None


async def test_a_reply_while_merged_answers_both_and_stays_with_the_target(caller, open_ticket):
    customer, agent = await caller(), await caller("agent")
    target, source = (
        await open_ticket(customer, description="t"),
        await open_ticket(customer, description="s"),
    )
    await merge(agent, source, target)
    await write(agent, target, "Answer.")
    await unmerge(agent, source)
    assert await bodies(agent, target) == ["t", "Answer."]
    assert await bodies(agent, source) == ["s"]
    for ticket in (source, target):
        assert (await clocks(agent, ticket))["first_response-1"] == "met"
        assert waiting(await clocks(agent, ticket)) == []
        assert (await get(agent, ticket))["waiting_since"] is None
    again = (await write(customer, source, "Still broken.")).json()
    assert again["ticket"]["waiting_since"] == again["message"]["created_at"]
    assert waiting(await clocks(agent, source)) == ["next_reply-1"]


async def test_who_waits_on_the_source_waits_on_a_target_that_was_answered(caller, open_ticket):
    customer, agent = await caller(), await caller("agent")
    target, source = await open_ticket(customer), await open_ticket(customer)
    await write(agent, target, "Answered, after the source was written.")
    since = (await get(agent, source))["waiting_since"]
    await merge(agent, source, target)
    assert (await get(agent, target))["waiting_since"] == since
    assert len(waiting(await clocks(agent, target))) == 1


async def test_on_a_solved_target_nobody_waits_and_undoing_lets_the_source_wait_again(caller, open_ticket):
    customer, agent = await caller(), await caller("agent")
    target, source = await open_ticket(customer), await open_ticket(customer)
    await move(agent, target, "solved")
    before = await clocks(agent, source, exact=True)
    await merge(agent, source, target)
    assert waiting(await clocks(agent, target)) == []
    await unmerge(agent, source)
    assert await clocks(agent, source, exact=True) == before
    assert (await get(agent, target))["status"] == "solved"


@pytest.mark.parametrize("status", ["pending", "on_hold", "solved"])
async def test_undoing_restores_status_and_clocks_of_any_source(caller, open_ticket, status):
    customer, agent = await caller(), await caller("agent")
    target, source = await open_ticket(customer), await open_ticket(customer)
    await move(agent, source, status)
    before, then = await get(agent, source), await clocks(agent, source, exact=True)
    await merge(agent, source, target)
    await unmerge(agent, source)
    after = await get(agent, source)
    assert {name: after[name] for name in ALIKE} == {name: before[name] for name in ALIKE}
    assert await clocks(agent, source, exact=True) == then
    assert after["version"] == before["version"] + 2


async def test_both_tickets_tell_their_customer_of_merge_and_undoing_but_not_why(
    caller, open_ticket, database
):
    customer, agent = await caller(), await caller("agent")
    source, target = await open_ticket(customer), await open_ticket(customer)
    await merge(agent, source, target, reason="Card 4111 1111 1111 1111")
    await unmerge(agent, source)
    told = {}
    for ticket in (source, target):
        items = (await customer.client.get(f"{PATH}/{ticket['id']}/timeline", params={"limit": 100})).json()
        assert "reason" not in str(items)
        told[ticket["id"]] = [each["event"]["type"] for each in items["items"] if each["kind"] == "event"]
    assert told[source["id"]] == ["ticket.created", "ticket.merged", "ticket.unmerged"]
    assert told[target["id"]] == ["ticket.created", "ticket.absorbed", "ticket.released"]
    async with database.session() as session:
        found = await session.scalar(
            text("select after->>'reason' from event where subject_id = :id and type = 'ticket.merged'"),
            {"id": source["id"]},
        )
    assert found
    assert "4111 1111" not in found


async def test_participants_keep_their_silence_and_those_who_were_there_stay(caller, open_ticket, database):
    customer, agent, watcher = await caller(), await caller("agent"), await caller("agent")
    source, target = await open_ticket(customer), await open_ticket(customer)
    for ticket in (source, target):
        made = await agent.client.post(
            f"{PATH}/{ticket['id']}/watchers", json={"person_id": str(watcher.person_id)}
        )
        assert made.status_code == 201, made.text
    quiet = await agent.client.post(f"{PATH}/{source['id']}/watchers", json={"email": "quiet@example.com"})
    async with database.session() as session:
        await session.execute(
            text("update participant set unsubscribed = true where id = :id"), {"id": quiet.json()["id"]}
        )
    await merge(agent, source, target)
    watchers = (await get(agent, target, "/watchers"))["watchers"]
    assert [(each["email"], each["unsubscribed"]) for each in watchers if each["email"]] == [
        ("quiet@example.com", True)
    ]
    await unmerge(agent, source)
    left = (await get(agent, target, "/watchers"))["watchers"]
    assert [each["person_id"] for each in left] == [str(watcher.person_id)]
