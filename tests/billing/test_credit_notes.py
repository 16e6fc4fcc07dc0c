"""Credit notes: what they come to, where the money goes, and how they are taken back."""

from __future__ import annotations

import asyncio
import random
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any
from uuid import uuid4

import httpx
import pytest
from sqlalchemy import text

from app.billing.constants import RefundReason
from app.billing.exceptions import NotCreditableError
from app.billing.service.credit_notes import issuing
from app.billing.service.credit_notes.planning import Allocation
from app.billing.service.credit_notes.taking import Taken
from app.database import Database
from tests.billing.crediting import NOTES, Bill, account_books, bill, issued, note, post
from tests.billing.refunding import dispute
from tests.callers import Caller, MakeCaller

CARD = "4111 1111 1111 1111"


@dataclass
class Desk:
    database: Database
    agent: Caller
    lead: Caller

    async def invoice(self, of: Bill) -> dict[str, Any]:
        statement = text("select reduced, version, total from invoice where id = :id")
        async with self.database.session() as session:
            return dict((await session.execute(statement, {"id": of.id})).mappings().one())


@pytest.fixture
async def desk(database: Database, caller: MakeCaller) -> Desk:
    return Desk(database, await caller("agent"), await caller("lead"))


def refused(answer: httpx.Response, status: int, code: str) -> dict[str, Any]:
    assert answer.status_code == status, answer.text
    problem: dict[str, Any] = answer.json()
    assert problem["code"] == code, answer.text
    return problem


async def test_four_single_line_notes_of_33499_sum_to_it(desk):
    of = await bill(desk.database)
    assert of.total == 33499
    notes = [await issued(desk.lead.client, of, {place: None}) for place in range(4)]
    assert [each["total"] for each in notes] == [8200, 8200, 6900, 10199]
    assert all(each["total"] == each["subtotal"] + each["tax"] for each in notes)
    nothing_left = await post(desk.lead.client, NOTES, **note(of, {0: 1}))
    assert refused(nothing_left, 409, "not_creditable")["left"] == 0
    books = await account_books(desk.database, of.account_id)
    assert books["revenue"] == books["tax"] == 0  # all of both is given back
    assert (books["cash"], books["out_of_band"]) == (33499, -33499)


async def test_the_preview_is_what_is_issued_and_has_no_effect(desk):
    of = await bill(desk.database)
    body = note(of, {1: None, 3: 500})
    seen = await desk.agent.client.post(f"{NOTES}/preview", json=body)
    assert seen.status_code == 200, seen.text
    shown = seen.json()
    assert (shown["subtotal"], shown["tax"], shown["total"]) == (7333, 1467, 8800)
    assert (shown["reduces"], shown["excess"], shown["refundable"]) == (0, 8800, 33499)
    assert shown["lines"][1]["label"] == f"invoice {of.number} line 4"
    assert await desk.invoice(of) == {"reduced": 0, "version": 1, "total": 33499}
    made = await issued(desk.lead.client, of, {1: None, 3: 500}, refund_amount=8800)
    assert [each["amount"] for each in made["lines"]] == [6833, 500]
    assert {name: made[name] for name in ("subtotal", "tax", "total", "lines", "reduces")} == {
        name: shown[name] for name in ("subtotal", "tax", "total", "lines", "reduces")
    }
    mismatched = await desk.agent.client.post(f"{NOTES}/preview", json=note(of, {0: None}, credit_amount=1))
    assert refused(mismatched, 422, "allocation_mismatch")["excess"] == 8200


async def test_a_note_first_reduces_what_is_owed_and_the_excess_is_allocated_exactly(desk):
    of = await bill(desk.database, (10_000,), status="open", payments=[9_000])
    body = note(of, {0: 5_000})  # 6000 in all; 3000 is owed
    for wrong in ({}, {"refund_amount": 2_999}, {"credit_amount": 3_001}, {"refund_amount": 6_000}):
        problem = refused(await post(desk.lead.client, NOTES, **body | wrong), 422, "allocation_mismatch")
        assert (problem["excess"], problem["reduces"], problem["total"]) == (3_000, 3_000, 6_000)
    parts = {"refund_amount": 1_000, "credit_amount": 1_500, "out_of_band_amount": 500}
    made = await issued(desk.lead.client, of, {0: 5_000}, **parts)
    assert made["reduces"] == 3_000
    assert (await desk.invoice(of))["reduced"] == 3_000
    assert [(each["amount"], each["status"]) for each in made["refund_requests"]] == [(1_000, "requested")]
    books = await account_books(desk.database, of.account_id)
    assert books == {
        "cash": 9_000,
        "revenue": -5_000,
        "tax": -1_000,
        "refunds": -1_000,
        "customer_credit": -1_500,
        "out_of_band": -500,
    }


async def test_the_refund_part_is_asked_of_the_oldest_payments_first(desk):
    of = await bill(desk.database, payments=[8_000, 10_000, 15_499])
    made = await issued(desk.lead.client, of, {0: None, 1: None}, refund_amount=16_399)
    asked = {each["payment_id"]: each["amount"] for each in made["refund_requests"]}
    assert asked == {str(of.payments[0].id): 8_000, str(of.payments[1].id): 8_399}
    path = f"/v1/billing/refund-requests/{made['refund_requests'][0]['id']}"
    request = (await desk.lead.client.get(path)).json()
    assert (request["credit_note_id"], request["reason"]) == (made["id"], "billing_error")


async def test_what_earlier_notes_wait_to_refund_is_not_refundable_again(desk):
    of = await bill(desk.database, (10_000, 10_000), payments=[15_000])
    await issued(desk.lead.client, of, {0: None}, refund_amount=12_000)
    answer = await post(desk.lead.client, NOTES, **note(of, {1: None}, refund_amount=12_000))
    assert refused(answer, 409, "not_refundable")["refundable"] == 3_000
    await issued(desk.lead.client, of, {1: None}, refund_amount=3_000, out_of_band_amount=9_000)


async def test_a_rejected_refund_part_can_be_refunded_by_another_note(desk):
    of = await bill(desk.database, (10_000, 10_000), payments=[12_000])
    first = await issued(desk.lead.client, of, {0: None}, refund_amount=12_000)
    path = f"/v1/billing/refund-requests/{first['refund_requests'][0]['id']}/reject"
    assert (await post(desk.agent.client, path, note="")).status_code == 200
    second = await issued(desk.lead.client, of, {1: None}, refund_amount=12_000)
    assert second["refund_requests"][0]["amount"] == 12_000


async def test_a_disputed_payment_is_not_refundable(desk):
    of = await bill(desk.database, payments=[20_000, 13_499])
    await dispute(desk.database, of.payments[0].id, amount=20_000)
    answer = await post(desk.lead.client, NOTES, **note(of, {0: None, 3: None}, refund_amount=18_400))
    assert refused(answer, 409, "not_refundable")["refundable"] == 13_499


async def test_lines_are_the_invoices_once_each_and_of_their_sign(desk):
    of, other = await bill(desk.database), await bill(desk.database)
    lead = desk.lead.client
    problem = refused(await post(lead, NOTES, **note(of, {2: 5_751})), 409, "not_creditable")
    assert (problem["left"], problem["line_id"]) == (5_750, str(of.lines[2]))
    for wrong in (-1, 0):
        refused(await post(lead, NOTES, **note(of, {2: wrong})), 409, "not_creditable")
    body = note(of, {0: 1})
    twice = body | {"lines": body["lines"] * 2}
    refused(await post(lead, NOTES, **twice), 400, "validation_error")
    foreign = body | {"lines": note(other, {0: 1})["lines"]}
    assert (
        refused(await post(lead, NOTES, **foreign), 422, "unknown_reference")["field"] == "lines[0].line_id"
    )
    nowhere = body | {"invoice_id": str(uuid4())}
    assert refused(await post(lead, NOTES, **nowhere), 422, "unknown_reference")["field"] == "invoice_id"
    refused(await post(lead, NOTES, **body | {"lines": []}), 400, "validation_error")


@pytest.mark.parametrize("status", ["draft", "void", "unknown"])
async def test_only_an_invoice_that_was_issued_is_credited(desk, status):
    of = await bill(desk.database, status=status)
    refused(await post(desk.lead.client, NOTES, **note(of, {0: 1})), 409, "not_creditable")


async def test_a_discount_is_never_credited_beyond_the_invoice(desk):
    of = await bill(desk.database, (10_000, -3_000))
    alone = await post(desk.lead.client, NOTES, **note(of, {1: None}))
    refused(alone, 409, "not_creditable")  # comes to less than nothing
    beyond = await post(desk.lead.client, NOTES, **note(of, {0: None}, out_of_band_amount=11_400))
    assert refused(beyond, 409, "not_creditable")["left"] == 8_400
    whole = await issued(desk.lead.client, of, {0: None, 1: None})
    assert whole["total"] == 8_400


async def test_voiding_gives_back_lines_taxes_and_what_was_reduced(desk):
    of = await bill(desk.database, status="open")
    before = await account_books(desk.database, of.account_id)
    made = await issued(desk.lead.client, of, {0: None})
    assert made["reduces"] == 8_200
    answer = await post(desk.lead.client, f"{NOTES}/{made['id']}/void")
    assert answer.status_code == 200, answer.text
    shown = answer.json()
    assert (shown["status"], shown["version"]) == ("void", 2)
    assert shown["voided_at"] is not None
    assert await desk.invoice(of) == {"reduced": 0, "version": 3, "total": 33499}
    assert await account_books(desk.database, of.account_id) == before
    again = await post(desk.lead.client, f"{NOTES}/{made['id']}/void")
    assert refused(again, 409, "not_voidable")["reason"] == "void"
    notes = [await issued(desk.lead.client, of, {place: None}) for place in range(4)]
    assert sum(each["total"] for each in notes) == 33499


async def test_voiding_cancels_the_refund_and_is_refused_once_it_was_executed(desk):
    of = await bill(desk.database)
    first = await issued(desk.lead.client, of, {0: None}, refund_amount=8_200)
    answer = await post(desk.lead.client, f"{NOTES}/{first['id']}/void")
    assert [each["status"] for each in answer.json()["refund_requests"]] == ["canceled"]
    second = await issued(desk.lead.client, of, {0: None}, refund_amount=8_200)
    executed = text("update refund_request set status = 'refunded' where credit_note_id = :id")
    async with desk.database.session() as session:
        await session.execute(executed, {"id": second["id"]})
    answer = await post(desk.lead.client, f"{NOTES}/{second['id']}/void")
    assert refused(answer, 409, "not_voidable")["reason"] == "refund_executed"


async def test_voiding_asks_for_the_version(desk):
    made = await issued(desk.lead.client, await bill(desk.database), {0: None})
    path, client = f"{NOTES}/{made['id']}/void", desk.lead.client
    stale = await client.post(path, headers={"If-Match": '"7"', "Idempotency-Key": f"void-{uuid4()}"})
    assert stale.status_code == 412
    fresh = await client.post(path, headers={"If-Match": '"1"', "Idempotency-Key": f"void-{uuid4()}"})
    assert (fresh.status_code, fresh.headers["etag"]) == (200, '"2"')


async def test_leads_issue_and_void_agents_preview_customers_read_their_own(desk, caller):
    of = await bill(desk.database)
    assert (await post(desk.agent.client, NOTES, **note(of, {0: None}))).status_code == 403
    made = await issued(desk.lead.client, of, {0: None}, note=f"Their card is {CARD}.")
    assert CARD not in made["note"]
    path = f"{NOTES}/{made['id']}"
    assert (await post(desk.agent.client, f"{path}/void")).status_code == 403
    owner = await caller("customer", account_id=of.account_id, sees_account=True)
    colleague = await caller("customer", account_id=of.account_id)
    stranger = await caller("customer", sees_account=True)
    own = (await owner.client.get(path)).json()
    assert (own["number"], own["note"], own["issued_by_id"]) == (made["number"], None, None)
    assert [each["id"] for each in (await owner.client.get(NOTES)).json()["items"]] == [made["id"]]
    for shut_out in (colleague, stranger):
        assert (await shut_out.client.get(path)).status_code == 404
        assert (await shut_out.client.get(NOTES)).json()["items"] == []
    assert (await post(owner.client, f"{path}/void")).status_code == 404
    assert (await owner.client.post(f"{NOTES}/preview", json=note(of, {1: None}))).status_code == 403


async def test_notes_are_found_by_invoice_number_and_status(desk):
    of = await bill(desk.database)
    first, second = [await issued(desk.lead.client, of, {place: None}) for place in range(2)]
    await post(desk.lead.client, f"{NOTES}/{first['id']}/void")

    async def found(**params: Any) -> list[str]:
        answer = await desk.agent.client.get(NOTES, params={"invoice_id": str(of.id)} | params)
        assert answer.status_code == 200, answer.text
        return [each["id"] for each in answer.json()["items"]]

    assert await found() == [second["id"], first["id"]]
    assert await found(number=first["number"]) == [first["id"]]
    assert await found(status="issued") == [second["id"]]
    assert await found(sort="total", account_id=str(of.account_id)) in (
        [first["id"], second["id"]],
        [second["id"], first["id"]],
    )
    assert await found(currency="USD") == []
    assert (await desk.agent.client.get(NOTES, params={"number": "CN-\0"})).status_code == 400


async def test_a_note_needs_an_idempotency_key_and_is_issued_once(desk):
    of = await bill(desk.database)
    body = note(of, {0: None}, out_of_band_amount=8_200)
    assert (await desk.lead.client.post(NOTES, json=body)).status_code == 400
    headers = {"Idempotency-Key": f"note-{uuid4()}"}
    answers = [await desk.lead.client.post(NOTES, json=body, headers=headers) for _ in range(2)]
    assert answers[0].json()["id"] == answers[1].json()["id"]


async def test_its_events_name_amounts_and_no_texts(desk):
    of = await bill(desk.database, status="open")
    made = await issued(desk.lead.client, of, {0: None}, note="between us")
    await post(desk.lead.client, f"{NOTES}/{made['id']}/void")
    statement = text("select type, to_jsonb(event)::text from event where subject_id in (:note, :invoice)")
    async with desk.database.session() as session:
        rows = (await session.execute(statement, {"note": made["id"], "invoice": of.id})).all()
    assert sorted(name for name, _ in rows) == [
        "credit_note.created",
        "credit_note.voided",
        "invoice.updated",
        "invoice.updated",
    ]
    assert not any("between us" in data for _, data in rows)


@pytest.mark.parametrize("status", ["paid", "open"])
async def test_parallel_notes_never_take_more_of_a_line_than_it_has(desk, status):
    of = await bill(desk.database, (10_000,), status=status)
    refund = 1_800 if status == "paid" else 0

    async def take() -> int:
        wanted = issuing.Wanted(
            invoice_id=of.id,
            lines=[Taken(line_id=of.lines[0], amount=1_500)],
            allocation=Allocation(refund=refund),
            reason=RefundReason.duplicate,
        )
        try:
            async with desk.database.session() as session:
                return (await issuing.create(session, wanted, actor=desk.lead.principal)).total
        except NotCreditableError:
            return 0

    totals = await asyncio.gather(*(take() for _ in range(12)))
    assert sorted(totals) == [0] * 6 + [1_800] * 6
    assert (await desk.invoice(of))["reduced"] == (0 if status == "paid" else 10_800)


@pytest.mark.parametrize("seed", range(4))
async def test_random_notes_sum_to_the_invoice_and_never_exceed_what_is_refundable(desk, seed):
    await random_notes(desk, random.Random(seed))


@pytest.mark.proof
@pytest.mark.parametrize("seed", range(100, 160))
async def test_many_random_notes_sum_to_the_invoice_and_never_exceed_what_is_refundable(desk, seed):
    await random_notes(desk, random.Random(seed))


async def random_notes(desk: Desk, chance: random.Random) -> None:
    """Issued and voided in random order; of an invoice that nobody, somebody partly or wholly paid."""
    amounts = [chance.randint(1, 20_000) for _ in range(chance.randint(1, 5))]
    rates = [Decimal(chance.choice(["0", "7", "19", "8.875"])) for _ in amounts]
    paid = [chance.randint(1, sum(amounts)) for _ in range(chance.randint(0, 1))]
    whole = chance.random() < 0.5
    of = await bill(
        desk.database,
        amounts,
        rates=rates,
        status="paid" if whole else "open",
        payments=None if whole else paid,
    )
    captured = of.total if whole else sum(paid)
    standing: dict[str, int] = {}
    for _ in range(8):
        line = chance.randrange(len(amounts))
        standing |= await try_note(desk, of, {line: chance.randint(1, amounts[line])}, chance)
        if standing and chance.random() < 0.3:
            gone = chance.choice(sorted(standing))
            assert (await post(desk.lead.client, f"{NOTES}/{gone}/void")).status_code == 200
            del standing[gone]
        assert sum(standing.values()) <= of.total
        assert await waiting(desk, of) <= captured
    for line in range(len(amounts)):
        standing |= await try_note(desk, of, {line: None}, chance)
    assert sum(standing.values()) == of.total
    assert await waiting(desk, of) <= captured
    books = await account_books(desk.database, of.account_id)
    assert books["revenue"] == books["tax"] == books["receivable"] == 0


async def waiting(desk: Desk, of: Bill) -> int:
    statement = text(
        "select coalesce(sum(amount), 0) from refund_request where account_id = :of and status = 'requested'"
    )
    async with desk.database.session() as session:
        return int(await session.scalar(statement, {"of": of.account_id}) or 0)


async def try_note(
    desk: Desk, of: Bill, lines: dict[int, int | None], chance: random.Random
) -> dict[str, int]:
    """Its id and total; nothing when there was nothing left."""
    taken = [Taken(line_id=of.lines[place], amount=amount) for place, amount in lines.items()]
    bare = issuing.Wanted(
        invoice_id=of.id, lines=taken, allocation=Allocation(), reason=RefundReason.billing_error
    )
    try:
        async with desk.database.session() as session:
            found = await issuing.preview(session, bare, actor=desk.lead.principal)
            refund = chance.randint(0, min(found.excess, found.refundable))
            parts = Allocation(refund=refund, credit=found.excess - refund)
            made = await issuing.create(session, replace(bare, allocation=parts), actor=desk.lead.principal)
            return {str(made.id): made.total}
    except NotCreditableError:
        return {}
