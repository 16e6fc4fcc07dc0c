"""After an erasure the desk's tables hold no word of the person; their tickets stay as numbers."""

from __future__ import annotations

import asyncio
from uuid import uuid4

from tests.privacy.test_erasure import places_of
from tests.technical.test_tickets import PATH, move, write

PEOPLE = "/v1/identity/people"


async def test_nothing_a_requester_wrote_is_left_anywhere(as_role, database, caller, open_ticket):
    mark = f"zyx{uuid4().hex[:12]}"
    customer, agent = await caller(), await caller("agent")
    ticket = await open_ticket(
        customer,
        subject=f"Export of {mark} fails",
        description=f"It stops for {mark}.\nKeyError: '{mark}'",
        environment=f"The laptop of {mark}",
    )
    other = await open_ticket(await caller(), subject="Another's")
    await agent.client.patch(
        f"{PATH}/{ticket['id']}", json={"description": f"Summed up:\nKeyError: '{mark}'"}
    )
    await write(customer, ticket, f"And {mark} cannot print.")
    await write(agent, ticket, "Clear the cache and log in again; the export then works.", status="solved")
    before = await places_of(database, mark)
    assert {"ticket.subject", "ticket.description", "ticket.environment", "message.body_raw"} < set(before)
    assert {"ticket.signatures", "event.after", "matchable.body"} < set(before)
    async with as_role("admin") as admin:
        person = str(customer.person_id)
        exported = (await admin.get(f"{PEOPLE}/{person}/export")).json()["rooms"]["technical"]
        assert [each["subject"] for each in exported["tickets"]] == [f"Export of {mark} fails"]
        receipt = await admin.post(f"{PEOPLE}/{person}/erase", json={"confirm": person})
    assert receipt.status_code == 200, receipt.text
    assert receipt.json()["counts"]["technical"]["tickets"] == 1
    assert await places_of(database, mark) == {}
    seen = (await agent.client.get(f"{PATH}/{ticket['id']}")).json()
    assert (seen["subject"], seen["description"], seen["requester_id"]) == ("(erased)", "", None)
    assert (seen["number"], seen["status"]) == (ticket["number"], "solved")
    assert (await agent.client.get(f"{PATH}/{other['id']}")).json()["subject"] == "Another's"


async def test_an_erasure_and_work_on_the_tickets_wait_for_each_other_and_never_deadlock(
    as_role, caller, open_ticket
):
    customer, agent = await caller(), await caller("agent")
    tickets = [await open_ticket(customer) for _ in range(4)]

    async def work(ticket) -> set[int]:
        done = set()
        for number in range(4):
            done.add((await write(agent, ticket, f"Reply {number}")).status_code)
            done.add((await move(agent, ticket, "pending")).status_code)
            done.add((await write(customer, ticket, f"Answer {number}")).status_code)
        return done

    async with as_role("admin") as admin:
        person = str(customer.person_id)
        erase = admin.post(f"{PEOPLE}/{person}/erase", json={"confirm": person})
        receipt, *done = await asyncio.gather(erase, *(work(each) for each in tickets))
    assert receipt.status_code == 200, receipt.text
    # 401: the customer's key is gone; 403, 409: they were erased while they wrote.
    assert set().union(*done) <= {200, 201, 401, 403, 404, 409}
