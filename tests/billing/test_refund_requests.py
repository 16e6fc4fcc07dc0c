"""Asking for a refund, and who lets it happen."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from uuid import UUID, uuid4

import httpx
import pytest
from sqlalchemy import text

from app.billing.models import Payment
from app.database import Database
from app.identity import Role
from app.identity import service as identity
from tests.billing.refunding import ROUTE, asked, dispute, key, pay, post
from tests.callers import Caller, MakeCaller

CARD = "4111 1111 1111 1111"


@dataclass
class Desk:
    database: Database
    agent: Caller
    lead: Caller
    payment: Payment

    async def ask(self, amount: int = 1_000, *, by: Caller | None = None, **given: object) -> str:
        asking = (by or self.agent).client
        answer = await post(asking, "", **asked(given.pop("payment", self.payment), amount, **given))
        assert answer.status_code == 201, answer.text
        return str(answer.json()["id"])

    async def approve(self, request_id: str, by: Caller | None = None) -> httpx.Response:
        return await post((by or self.lead).client, f"/{request_id}/approve", note="")


@pytest.fixture
async def desk(database: Database, caller: MakeCaller) -> Desk:
    return Desk(database, await caller("agent"), await caller("lead"), await pay(database))


async def test_a_request_reserves_nothing_and_says_who_may_approve(desk):
    answer = await post(desk.agent.client, "", **asked(desk.payment, 4_000, note=f"Their card is {CARD}."))
    shown = answer.json()
    assert answer.status_code == 201, answer.text
    assert shown["status"] == "requested"
    assert shown["number"].startswith("REF-")
    assert (shown["amount"], shown["currency"], shown["exponent"]) == (4_000, "EUR", 2)
    assert shown["requested_by_id"] == str(desk.agent.person_id)
    assert {each["role"]: each["per_request"] for each in shown["limits"]} == {
        "agent": 15_000,
        "lead": 200_000,
        "admin": None,
    }
    assert CARD not in answer.text
    assert answer.headers["etag"] == '"1"'
    again = await post(desk.agent.client, "", **asked(desk.payment, 10_000))
    assert again.status_code == 201


@pytest.mark.parametrize(
    ("given", "status", "code"),
    [
        ({"amount": 0}, 400, "validation_error"),
        ({"amount": -5}, 400, "validation_error"),
        ({"amount": 1.5}, 400, "validation_error"),
        ({"amount": 10_001}, 409, "not_refundable"),
        ({"amount": 10**16}, 400, "validation_error"),
        ({"currency": "USD"}, 422, "currency_mismatch"),
        ({"currency": "eur"}, 400, "validation_error"),
        ({"payment_id": str(uuid4())}, 422, "unknown_reference"),
        ({"reason": "because"}, 400, "validation_error"),
        ({"note": "\0"}, 400, "validation_error"),
        ({"colour": "red"}, 400, "validation_error"),
    ],
)
async def test_what_cannot_be_refunded_is_not_asked_for(desk, given, status, code):
    answer = await post(desk.agent.client, "", **asked(desk.payment) | given)
    assert (answer.status_code, answer.json()["code"]) == (status, code)


async def test_a_key_is_required_and_a_repeated_request_is_one(desk):
    body = asked(desk.payment)
    refused = await desk.agent.client.post(ROUTE, json=body)
    assert refused.json()["code"] == "idempotency_key_required"
    named = key()
    answers = [await desk.agent.client.post(ROUTE, json=body, headers=named) for _ in range(2)]
    assert answers[0].json()["id"] == answers[1].json()["id"]
    assert answers[1].headers["idempotency-replayed"] == "true"


async def test_nothing_is_asked_of_a_disputed_payment(desk):
    await dispute(desk.database, desk.payment.id, amount=100)
    answer = await post(desk.agent.client, "", **asked(desk.payment))
    assert (answer.status_code, answer.json()["code"]) == (409, "payment_disputed")


async def test_customers_ask_for_their_accounts_money_and_see_no_staff_notes(desk, caller):
    own = await caller("customer", account_id=desk.payment.account_id, sees_account=True)
    blind = await caller("customer", account_id=desk.payment.account_id)
    stranger = await caller("customer", sees_account=True)
    for other in (blind, stranger):
        answer = await post(other.client, "", **asked(desk.payment))
        assert (answer.status_code, answer.json()["code"]) == (422, "unknown_reference")
    mine = await desk.ask(by=own, note="Please.")
    theirs = await desk.ask(note="A rude customer.")
    assert (await desk.approve(mine)).status_code == 200
    seen = (await own.client.get(f"{ROUTE}/{mine}")).json()
    assert (seen["status"], seen["note"]) == ("approved", "Please.")
    hidden = ("decided_by_id", "decided_role", "decision_note", "policy_version", "issue_id")
    assert [seen[name] for name in hidden] == [None] * 5
    assert seen["limits"] == []
    assert (await own.client.get(f"{ROUTE}/{theirs}")).json()["note"] is None
    for other in (blind, stranger):
        assert (await other.client.get(f"{ROUTE}/{mine}")).status_code == 404
        assert (await other.client.get(ROUTE)).json()["items"] == []
        assert (await post(other.client, f"/{mine}/cancel")).status_code == 404
    for act in ("approve", "reject", "execute"):
        assert (await post(own.client, f"/{mine}/{act}", note="")).status_code == 404
    issue = await post(own.client, "", **asked(desk.payment, issue_id=str(uuid4())))
    assert issue.status_code == 403
    not_theirs = await post(own.client, f"/{theirs}/cancel")
    assert not_theirs.status_code == 403
    assert (await post(own.client, f"/{mine}/cancel")).json()["status"] == "canceled"


async def test_nobody_approves_their_own_request_with_any_of_their_keys(desk):
    request_id = await desk.ask(by=desk.lead)
    refused = await desk.approve(request_id)
    assert (refused.status_code, refused.json()["code"]) == (403, "self_approval")
    async with desk.database.session() as session:
        _, other = await identity.create_key(
            session, name="Another", role=Role.lead, person_id=desk.lead.person_id
        )
    headers = {"Authorization": f"Bearer {other}", **key()}
    again = await desk.agent.client.post(f"{ROUTE}/{request_id}/approve", json={}, headers=headers)
    assert (again.status_code, again.json()["code"]) == (403, "self_approval")
    by_another = await desk.approve(request_id, by=desk.agent)
    assert by_another.json()["decided_by_id"] == str(desk.agent.person_id)


async def test_a_key_without_a_person_does_not_approve_what_it_asked_for(desk):
    async with desk.database.session() as session:
        made = [await identity.create_key(session, name="Robot", role=Role.lead) for _ in range(2)]
    robots = [{"Authorization": f"Bearer {secret}"} for _, secret in made]
    client = desk.agent.client
    answer = await client.post(ROUTE, json=asked(desk.payment), headers=robots[0] | key())
    path = f"{ROUTE}/{answer.json()['id']}/approve"
    refused = await client.post(path, json={}, headers=robots[0] | key())
    assert refused.json()["code"] == "self_approval"
    assert (await client.post(path, json={}, headers=robots[1] | key())).status_code == 200


async def test_an_approval_says_by_whom_by_which_policy_and_until_when(desk):
    request_id = await desk.ask()
    shown = (await desk.approve(request_id)).json()
    assert (shown["status"], shown["decided_role"]) == ("approved", "lead")
    assert shown["policy_version"] >= 1
    assert shown["expires_at"] > shown["decided_at"]
    again = await desk.approve(request_id)
    assert (again.status_code, again.json()["code"]) == (409, "invalid_transition")
    assert again.json()["allowed"] == ["canceled", "expired", "executing"]


async def test_a_role_approves_up_to_its_limit_and_the_refusal_names_who_could(desk, database):
    payment = await pay(database, captured=300_000)
    limit = await desk.ask(15_000, payment=payment, by=desk.lead)
    above = await desk.ask(15_001, payment=await pay(database, captured=300_000), by=desk.lead)
    assert (await desk.approve(limit, by=desk.agent)).status_code == 200
    refused = await desk.approve(above, by=desk.agent)
    assert refused.status_code == 403
    told = refused.json()
    assert (told["code"], told["left"], told["per_request"]) == ("approval_limit", 15_000, 15_000)
    assert told["roles"] == ["lead", "admin"]


async def test_a_currency_without_a_limit_is_approved_by_nobody_but_who_has_one_for_any(desk, caller):
    payment = await pay(desk.database, currency="CHF")
    request_id = await desk.ask(1, payment=payment)
    refused = await desk.approve(request_id)
    assert (refused.json()["code"], refused.json()["roles"]) == ("approval_limit", ["admin"])
    admin = await caller("admin")
    assert (await desk.approve(request_id, by=admin)).status_code == 200


async def test_splitting_a_refund_does_not_evade_the_limit(desk, caller, database):
    payment = await pay(database, captured=300_000)
    parts = [await desk.ask(8_000, payment=payment, by=desk.lead) for _ in range(2)]
    assert (await desk.approve(parts[0], by=desk.agent)).status_code == 200
    other = await caller("agent")
    refused = await desk.approve(parts[1], by=other)
    assert (refused.json()["code"], refused.json()["left"]) == ("approval_limit", 7_000)
    assert refused.json()["counted_together"] == 8_000


async def test_payments_of_one_invoice_count_together(desk, database):
    async with database.session() as session:
        insert = text(
            "insert into invoice (provider, external_id, currency, exponent)"
            " values ('sandbox', :of, 'EUR', 2) returning id"
        )
        invoice_id: UUID = await session.scalar(insert, {"of": f"in_{uuid4().hex}"})
    account = desk.payment.account_id
    two = [await pay(database, invoice_id=invoice_id, account_id=account) for _ in range(2)]
    parts = [await desk.ask(8_000, payment=each, by=desk.lead) for each in two]
    assert (await desk.approve(parts[0], by=desk.agent)).status_code == 200
    assert (await desk.approve(parts[1], by=desk.agent)).json()["code"] == "approval_limit"
    listed = await desk.agent.client.get(ROUTE, params={"invoice_id": str(invoice_id)})
    assert {each["id"] for each in listed.json()["items"]} == set(parts)


async def test_parallel_approvals_stay_within_the_day(desk, database):
    wanted = []
    for _ in range(6):
        payment = await pay(database, captured=15_000)
        wanted.append(await desk.ask(15_000, payment=payment, by=desk.lead))
    answers = await asyncio.gather(*(desk.approve(each, by=desk.agent) for each in wanted))
    assert sorted(each.status_code for each in answers) == [200] * 4 + [403] * 2
    refused = next(each.json() for each in answers if each.status_code == 403)
    assert (refused["left"], refused["approved_today"], refused["per_day"]) == (0, 60_000, 60_000)


async def test_what_was_rejected_or_canceled_stays_so(desk):
    rejected, canceled = await desk.ask(), await desk.ask()
    answer = await post(desk.lead.client, f"/{rejected}/reject", note=f"No: {CARD}")
    assert answer.json()["status"] == "rejected"
    assert CARD not in answer.text
    assert (await post(desk.agent.client, f"/{canceled}/cancel")).json()["status"] == "canceled"
    for each in (rejected, canceled):
        for act in ("approve", "reject", "cancel", "execute"):
            refused = await post(
                desk.lead.client, f"/{each}/{act}", **({} if act == "cancel" else {"note": ""})
            )
            assert (refused.status_code, refused.json()["code"]) == (409, "invalid_transition"), act


async def test_a_note_changes_until_it_is_decided_and_only_from_the_version_seen(desk):
    request_id = await desk.ask()
    path = f"{ROUTE}/{request_id}"
    stale = await desk.agent.client.patch(path, json={"note": "x"}, headers={"If-Match": '"7"'})
    assert stale.status_code == 412
    changed = await desk.agent.client.patch(path, json={"note": CARD}, headers={"If-Match": '"1"'})
    assert (changed.status_code, changed.headers["etag"]) == (200, '"2"')
    assert CARD not in changed.text
    old = await desk.lead.client.post(f"{path}/approve", json={}, headers=key() | {"If-Match": '"1"'})
    assert old.status_code == 412
    await desk.approve(request_id)
    late = await desk.agent.client.patch(path, json={"note": "x"})
    assert late.json()["code"] == "invalid_transition"


async def test_requests_are_filtered_and_events_hold_no_texts(desk):
    first = await desk.ask(note="A secret of theirs")
    await desk.ask(2_000, reason="goodwill")
    client, mine = desk.agent.client, {"payment_id": str(desk.payment.id)}

    async def found(**asked_for: str) -> list[int]:
        page = await client.get(ROUTE, params=mine | asked_for | {"sort": "amount"})
        assert page.status_code == 200, page.text
        return [each["amount"] for each in page.json()["items"]]

    assert await found() == [1_000, 2_000]
    assert await found(reason="goodwill") == [2_000]
    assert await found(status="approved") == []
    number = (await client.get(f"{ROUTE}/{first}")).json()["number"]
    assert await found(number=number.lower()) == [1_000]
    assert await found(currency="USD") == []
    assert await found(account_id=str(desk.payment.account_id)) == [1_000, 2_000]
    events = await desk.lead.client.get("/v1/events", params={"subject": f"refund_request:{first}"})
    assert [each["type"] for each in events.json()["items"]] == ["refund_request.created"]
    assert "secret" not in events.text
