"""Custom fields through the real app: defined, filled in, required, hidden, filtered by."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

from tests.callers import Caller
from tests.technical.test_tickets import move

FIELDS = "/v1/technical/fields"
TICKETS = "/v1/technical/tickets"


async def patch(by: Caller, ticket: dict[str, Any], custom: dict[str, Any]) -> Any:
    return await by.client.patch(f"{TICKETS}/{ticket['id']}", json={"custom": custom})


async def test_admins_define_fields_and_others_do_not(admin, caller, field):
    lead, customer = await caller("lead"), await caller()
    body = {"key": f"f_{uuid4().hex}", "label": "x", "type": "text"}
    for who in (lead, customer):
        assert (await who.client.post(FIELDS, json=body)).status_code == 403
    made = await field("select", options=["a", "b"], required_on="none")
    twin = await admin.client.post(FIELDS, json=body | {"key": made["key"]})
    assert (twin.status_code, twin.json()["code"]) == (409, "field_exists")
    path = f"{FIELDS}/{made['id']}"
    for change in ({"key": "other"}, {"type": "text"}):
        assert (await admin.client.patch(path, json=change)).status_code == 400
    for change in ({"options": []}, {"options": ["a", "a"]}, {"editable_by_customers": True}):
        refused = await admin.client.patch(path, json=change)
        assert (refused.status_code, refused.json()["code"]) == (400, "invalid_definition")
    assert (await customer.client.get(path)).status_code == 404
    shown = await admin.client.patch(path, json={"visible_to_customers": True}, headers={"If-Match": '"1"'})
    assert shown.json()["version"] == 2
    assert (await customer.client.get(path)).json()["key"] == made["key"]
    listed = (await customer.client.get(FIELDS, params={"q": made["key"]})).json()["items"]
    assert [each["id"] for each in listed] == [made["id"]]


async def test_a_field_with_values_is_archived_and_one_without_deleted(admin, caller, open_ticket, field):
    agent = await caller("agent")
    used, unused = await field(), await field()
    await open_ticket(agent, custom={used["key"]: "x"})
    macro = {"name": "x", "actions": {"custom": {used["key"]: "y"}}}
    assert (await agent.client.post("/v1/technical/macros", json=macro)).status_code == 201
    refused = await admin.client.delete(f"{FIELDS}/{used['id']}")
    assert (refused.status_code, refused.json()["code"]) == (409, "field_in_use")
    assert (refused.json()["tickets"], refused.json()["macros"], refused.json()["views"]) == (1, 1, 0)
    assert (await admin.client.delete(f"{FIELDS}/{unused['id']}")).status_code == 204
    await admin.client.patch(f"{FIELDS}/{used['id']}", json={"archived": True})
    late = await agent.client.post(
        TICKETS, json={"subject": "x", "description": "y", "custom": {used["key"]: "z"}}
    )
    assert late.json()["errors"] == [{"field": f"custom.{used['key']}", "message": "The field is archived"}]


async def test_values_are_checked_all_at_once_and_kept_in_one_form(caller, open_ticket, field):
    agent = await caller("agent")
    number, choice = await field("number"), await field("multiselect", options=["a", "b", "c"])
    wrong = {number["key"]: "much", choice["key"]: ["z"], "no_such": 1}
    refused = await agent.client.post(TICKETS, json={"subject": "x", "description": "y", "custom": wrong})
    assert (refused.status_code, refused.json()["code"]) == (400, "invalid_field")
    assert {each["field"] for each in refused.json()["errors"]} == {
        f"custom.{number['key']}",
        f"custom.{choice['key']}",
        "custom.no_such",
    }
    ticket = await open_ticket(agent, custom={number["key"]: 12.50, choice["key"]: ["c", "a"]})
    assert ticket["custom"] == {number["key"]: "12.5", choice["key"]: ["a", "c"]}
    same = (await patch(agent, ticket, {number["key"]: "12.500"})).json()
    assert same["version"] == ticket["version"]
    cleared = (await patch(agent, ticket, {number["key"]: None})).json()
    assert cleared["custom"] == {choice["key"]: ["a", "c"]}


async def test_a_value_outlives_its_option_until_it_is_changed(admin, caller, open_ticket, field):
    agent = await caller("agent")
    made = await field("select", options=["old", "new"])
    ticket = await open_ticket(agent, custom={made["key"]: "old"})
    await admin.client.patch(f"{FIELDS}/{made['id']}", json={"options": ["new"]})
    assert (await patch(agent, ticket, {made["key"]: "old"})).status_code == 200
    assert (await patch(agent, ticket, {made["key"]: "new"})).status_code == 200
    assert (await patch(agent, ticket, {made["key"]: "old"})).status_code == 400


async def test_customers_see_and_set_what_they_may(caller, open_ticket, field):
    customer, agent = await caller(), await caller("agent")
    theirs = await field(visible_to_customers=True, editable_by_customers=True)
    shown = await field(visible_to_customers=True)
    hidden = await field()
    for made, message in ((shown, "Only staff set this field"), (hidden, "Unknown field")):
        refused = await customer.client.post(
            TICKETS, json={"subject": "x", "description": "y", "custom": {made["key"]: "z"}}
        )
        assert refused.json()["errors"] == [{"field": f"custom.{made['key']}", "message": message}]
    ticket = await open_ticket(customer, custom={theirs["key"]: "mine"})
    await patch(agent, ticket, {shown["key"]: "s", hidden["key"]: "h"})
    seen = (await customer.client.get(f"{TICKETS}/{ticket['id']}")).json()["custom"]
    assert seen == {theirs["key"]: "mine", shown["key"]: "s"}
    by_hidden = await customer.client.get(TICKETS, params={"custom": f"{hidden['key']}:h"})
    assert (by_hidden.status_code, by_hidden.json()["code"]) == (400, "invalid_field")
    by_shown = await customer.client.get(TICKETS, params={"custom": f"{shown['key']}:s"})
    assert by_shown.status_code == 200, by_shown.text
    assert [each["id"] for each in by_shown.json()["items"]] == [ticket["id"]]


async def test_what_is_required_on_create_is_asked_of_those_who_may_set_it(caller, field):
    customer, agent = await caller(), await caller("agent")
    staffs = await field(required_on="create")
    body = {"subject": "x", "description": "y"}
    assert (await customer.client.post(TICKETS, json=body)).status_code == 201
    refused = await agent.client.post(TICKETS, json=body)
    assert (refused.status_code, refused.json()["code"]) == (422, "missing_fields")
    assert refused.json()["fields"] == [staffs["key"]]
    everybodys = await field(
        "boolean", required_on="create", visible_to_customers=True, editable_by_customers=True
    )
    refused = await customer.client.post(TICKETS, json=body)
    assert refused.json()["fields"] == [everybodys["key"]]
    given = await customer.client.post(TICKETS, json=body | {"custom": {everybodys["key"]: False}})
    assert given.status_code == 201


async def test_what_is_required_on_solve_is_asked_of_the_staff_and_not_of_the_requester(
    caller, open_ticket, field
):
    customer, agent = await caller(), await caller("agent")
    made = await field(required_on="solve")
    tickets = [await open_ticket(customer) for _ in range(2)]
    for each in tickets:
        assert (await move(agent, each, "open")).status_code == 200
    refused = await move(agent, tickets[0], "solved")
    assert (refused.status_code, refused.json()["fields"]) == (422, [made["key"]])
    with_reply = await agent.client.post(
        f"{TICKETS}/{tickets[0]['id']}/messages", json={"body": "Done.", "status": "solved"}
    )
    assert with_reply.status_code == 422
    messages = (await agent.client.get(f"{TICKETS}/{tickets[0]['id']}/messages")).json()["items"]
    assert len(messages) == 1
    await patch(agent, tickets[0], {made["key"]: "it"})
    assert (await move(agent, tickets[0], "solved")).status_code == 200
    assert (await move(customer, tickets[1], "solved")).status_code == 200


async def test_lists_are_filtered_by_values_of_any_type(caller, open_ticket, field):
    agent = await caller("agent")
    number, flag = await field("number"), await field("boolean")
    many = await field("multiselect", options=["a", "b"])
    first = await open_ticket(agent, custom={number["key"]: 2, flag["key"]: True, many["key"]: ["a", "b"]})
    second = await open_ticket(agent, custom={number["key"]: 2, many["key"]: ["b"]})

    async def ids(*asked: str) -> set[str]:
        response = await agent.client.get(TICKETS, params={"custom": list(asked)})
        assert response.status_code == 200, response.text
        return {each["id"] for each in response.json()["items"]}

    both = {first["id"], second["id"]}
    assert await ids(f"{number['key']}:2.00") == both
    assert await ids(f"{number['key']}:2", f"{flag['key']}:true") == {first["id"]}
    assert await ids(f"{many['key']}:b") == both
    assert await ids(f"{many['key']}:b", f"{many['key']}:a") == {first["id"]}
    for asked in ([f"{number['key']}:x"], ["nothing"], [f"{number['key']}:1", f"{number['key']}:2"]):
        refused = await agent.client.get(TICKETS, params={"custom": asked})
        assert (refused.status_code, refused.json()["code"]) == (400, "invalid_field")
