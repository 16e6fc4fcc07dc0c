"""Macros through the real app: whose they are, what they refuse, what they write and do."""

from __future__ import annotations

import asyncio
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import text

from tests.callers import Caller
from tests.technical.test_teams import events_of, join, make_team
from tests.technical.test_tickets import move

MACROS = "/v1/technical/macros"
TICKETS = "/v1/technical/tickets"


async def make_macro(by: Caller, **fields: Any) -> dict[str, Any]:
    response = await by.client.post(MACROS, json={"name": "Ask", "body": "Hello."} | fields)
    assert response.status_code == 201, response.text
    made: dict[str, Any] = response.json()
    return made


async def apply(by: Caller, macro: dict[str, Any], ticket: dict[str, Any], **more: Any) -> Any:
    body = {"ticket_id": ticket["id"], **more}
    return await by.client.post(f"{MACROS}/{macro['id']}/apply", json=body)


async def rename(database, person_id: UUID, name: str) -> None:
    async with database.session() as session:
        await session.execute(
            text("update person set name = :name where id = :id"), {"name": name, "id": person_id}
        )


async def test_a_personal_macro_is_its_makers_alone_a_teams_its_members_a_shared_one_everybodys(caller):
    lead, member, other = await caller("lead"), await caller("agent"), await caller("agent")
    team = await make_team(lead, assignment="manual")
    await join(lead, team, member)
    own = await make_macro(member)
    theirs = await make_macro(member, visibility="team", team_id=team["id"])
    shared = await make_macro(lead, visibility="shared")
    sees = {}
    for name, who in {"lead": lead, "member": member, "other": other}.items():
        statuses = [
            (await who.client.get(f"{MACROS}/{each['id']}")).status_code for each in (own, theirs, shared)
        ]
        sees[name] = statuses
        listed = {
            each["id"] for each in (await who.client.get(MACROS, params={"limit": 100})).json()["items"]
        }
        assert [each["id"] in listed for each in (own, theirs, shared)] == [each == 200 for each in statuses]
    assert sees == {"lead": [404, 200, 200], "member": [200, 200, 200], "other": [404, 404, 200]}
    refused = await member.client.patch(f"{MACROS}/{shared['id']}", json={"name": "Mine now"})
    assert refused.status_code == 403
    assert (
        await member.client.patch(f"{MACROS}/{own['id']}", json={"visibility": "shared"})
    ).status_code == 403
    assert (await other.client.delete(f"{MACROS}/{own['id']}")).status_code == 404
    assert (await member.client.delete(f"{MACROS}/{theirs['id']}")).status_code == 204
    outside = await other.client.post(
        MACROS, json={"name": "x", "body": "y", "visibility": "team", "team_id": team["id"]}
    )
    assert outside.status_code == 403


async def test_an_event_tells_of_a_macro_without_its_text_and_of_a_personal_one_not_to_the_audit(
    database, caller
):
    lead = await caller("lead")
    shared = await make_macro(lead, visibility="shared", body="Something said to customers.")
    own = await make_macro(lead, body="Something else.")
    await lead.client.patch(
        f"{MACROS}/{shared['id']}", json={"body": "Now this."}, headers={"If-Match": '"1"'}
    )
    told = await events_of(database, shared["id"])
    assert [each["type"] for each in told] == ["macro.created", "macro.updated"]
    assert all(each["audit"] for each in told)
    assert "said" not in str(told)
    assert set(told[1]["after"]) == {"body"}
    assert [each["audit"] for each in await events_of(database, own["id"])] == [False]


@pytest.mark.parametrize(
    ("fields", "status", "code"),
    [
        ({"body": "{{ticket.secret}}"}, 400, "invalid_definition"),
        ({"body": "{{ticket.custom.none_such}}"}, 400, "invalid_definition"),
        ({"body": "{{ticket.number"}, 400, "invalid_definition"),
        ({"body": "", "actions": {}}, 400, "invalid_definition"),
        ({"body": "é" * 40_000}, 400, "invalid_definition"),
        ({"actions": {"status": "merged"}}, 400, "invalid_definition"),
        ({"actions": {"status": "new"}}, 400, "invalid_definition"),
        ({"actions": {"assignee_id": "you"}}, 400, "validation_error"),
        ({"actions": {"unheard_of": 1}}, 400, "validation_error"),
        ({"actions": {"custom": {"none_such": 1}}}, 400, "invalid_field"),
        ({"actions": {"team_id": str(uuid4())}}, 422, "unknown_team"),
        ({"actions": {"assignee_id": str(uuid4())}}, 422, "unknown_assignee"),
        ({"visibility": "team"}, 400, "invalid_definition"),
        ({"team_id": str(uuid4())}, 400, "invalid_definition"),
        ({"visibility": "team", "team_id": str(uuid4())}, 422, "unknown_team"),
        ({"name": "\u202eevil"}, 400, "validation_error"),
    ],
)
async def test_a_macro_that_could_not_work_is_refused_when_it_is_saved(caller, fields, status, code):
    lead = await caller("lead")
    refused = await lead.client.post(MACROS, json={"name": "x", "body": "y"} | fields)
    assert (refused.status_code, refused.json()["code"]) == (status, code), refused.text


async def test_a_preview_is_what_is_then_written_and_done(database, caller, open_ticket, field):
    customer, agent = await caller(), await caller("agent")
    await rename(database, customer.person_id, "Ada *Lovelace* [click](http://evil.example)")
    amount = await field("number")
    body = (
        "Hello {{requester.name}}, about {{ticket.number}} ({{ticket.subject}}, {{ticket.severity}}):"
        f" {{{{ticket.custom.{amount['key']}}}}}. {{{{agent.name}}}}"
    )
    actions = {"status": "pending", "assignee_id": "me", "add_tags": ["Logs"], "priority": "high"}
    macro = await make_macro(agent, body=body, actions=actions)
    ticket = await open_ticket(customer, subject="It <b>fails</b>")
    path = f"{TICKETS}/{ticket['id']}"
    await agent.client.patch(path, json={"custom": {amount["key"]: 12.5}, "tags": ["crash"]})
    looked = await agent.client.post(f"{MACROS}/{macro['id']}/preview", json={"ticket_id": ticket["id"]})
    preview = looked.json()
    assert "href" not in preview["html"]
    assert "Ada *Lovelace* [click](http://evil.example), about" in preview["html"]
    assert "It &lt;b&gt;fails&lt;/b&gt;" in preview["html"]
    assert "<em>" not in preview["html"]
    assert "): 12.5. A agent" in preview["html"]
    assert preview["actions"]["assignee_id"] == str(agent.person_id)
    before = (await agent.client.get(path)).json()
    assert (before["status"], before["assignee_id"]) == ("new", None)
    done = (await apply(agent, macro, ticket)).json()
    assert done["message"]["body"] == preview["body"]
    assert done["message"]["kind"] == "public"
    after = done["ticket"]
    assert (after["status"], after["priority"], after["tags"]) == ("pending", "high", ["crash", "logs"])
    assert after["assignee_id"] == str(agent.person_id)
    clocks = (await agent.client.get(f"{path}/clocks")).json()["clocks"]
    assert {each["kind"]: each["state"] for each in clocks}["first_response"] == "met"


async def test_an_edited_text_is_written_as_it_is_and_an_empty_one_not_at_all(caller, open_ticket):
    customer, agent = await caller(), await caller("agent")
    macro = await make_macro(agent, kind="note", actions={"remove_tags": ["x"], "priority": "low"})
    ticket = await open_ticket(customer)
    edited = (await apply(agent, macro, ticket, body="Mine: {{ticket.number}}")).json()
    assert (edited["message"]["body"], edited["message"]["kind"]) == ("Mine: {{ticket.number}}", "note")
    silent = (await apply(agent, macro, ticket, body="")).json()
    assert (silent["message"], silent["ticket"]["priority"]) == (None, "low")
    seen = (await customer.client.get(f"{TICKETS}/{ticket['id']}/messages")).json()["items"]
    assert len(seen) == 1


async def test_a_macro_that_fails_at_its_end_has_done_nothing(caller, open_ticket):
    customer, agent = await caller(), await caller("agent")
    macro = await make_macro(agent, actions={"status": "closed", "priority": "urgent"})
    ticket = await open_ticket(customer)
    refused = await apply(agent, macro, ticket)
    assert (refused.status_code, refused.json()["code"]) == (409, "invalid_transition")
    seen = (await agent.client.get(f"{TICKETS}/{ticket['id']}")).json()
    assert (seen["priority"], seen["version"]) == ("normal", ticket["version"])
    assert len((await agent.client.get(f"{TICKETS}/{ticket['id']}/messages")).json()["items"]) == 1


async def test_a_macro_on_what_is_not_there_or_over_is_refused(caller, open_ticket):
    customer, lead = await caller(), await caller("lead")
    macro = await make_macro(lead)
    none = await apply(lead, macro, {"id": str(uuid4())})
    assert (none.status_code, none.json()["code"]) == (422, "unknown_ticket")
    ticket = await open_ticket(customer)
    for to in ("open", "solved", "closed"):
        assert (await move(lead, ticket, to)).status_code == 200
    over = await apply(lead, macro, ticket)
    assert (over.status_code, over.json()["code"]) == (409, "ticket_closed")
    customers = await apply(customer, macro, ticket)
    assert customers.status_code == 404


async def test_a_macro_applied_twice_at_once_writes_twice_and_counts_each_change_once(caller, open_ticket):
    customer, agent = await caller(), await caller("agent")
    macro = await make_macro(agent, actions={"priority": "urgent", "status": "pending"})
    ticket = await open_ticket(customer)
    done = await asyncio.gather(*(apply(agent, macro, ticket) for _ in range(5)))
    assert {each.status_code for each in done} == {200}
    seen = (await agent.client.get(f"{TICKETS}/{ticket['id']}")).json()
    assert seen["version"] == ticket["version"] + 2
    assert len((await agent.client.get(f"{TICKETS}/{ticket['id']}/messages")).json()["items"]) == 6


async def test_what_a_member_of_the_staff_made_for_themselves_is_exported_and_erased(database, admin, caller):
    agent = await caller("agent")
    own = await make_macro(agent, name="My trick", body="Only mine.")
    made = await agent.client.post("/v1/technical/views", json={"name": "My corner"})
    assert made.status_code == 201
    person = f"/v1/identity/people/{agent.person_id}"
    told = (await admin.client.get(f"{person}/export")).json()
    assert "Only mine." in str(told)
    assert "My corner" in str(told)
    erased = await admin.client.post(f"{person}/erase", json={"confirm": str(agent.person_id)})
    assert erased.is_success, erased.text
    async with database.session() as session:
        for table in ("macro", "ticket_view"):
            left = text(f"select count(*) from {table} where owner_id = :id")
            assert await session.scalar(left, {"id": agent.person_id}) == 0
    assert "My trick" not in str(await events_of(database, own["id"]))
