"""Disputes and their evidence: one clock, one case, one submission."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import text

from app.billing.constants import DisputeStatus, InvoiceStatus, PaymentStatus, Provider
from app.billing.providers.base import ProviderRefusedError, ProviderUnknownError
from app.billing.service import mirror
from app.billing.service.evidence import sending
from app.billing.service.mirror import Heard, LineHeard
from app.billing.utils.packs import FIELD_MAX, PACK_MAX, bounded
from app.database import Database
from tests.callers import Caller, MakeCaller

NOW = datetime.now(UTC)


class Bank:
    """A provider that writes down what it gets, and fails first as it is told."""

    name = "sandbox"

    def __init__(self, *failures: Exception) -> None:
        self.failures = list(failures)
        self.got: list[tuple[str, dict[str, str]]] = []

    async def submit_evidence(self, dispute: str, evidence: dict[str, str]) -> None:
        self.got.append((dispute, evidence))
        if self.failures:
            raise self.failures.pop(0)


@pytest.fixture
async def owner(caller: MakeCaller) -> Caller:
    return await caller("customer", sees_account=True)


@pytest.fixture
def bank(app, monkeypatch) -> Bank:
    """The provider that the app uses in this test."""
    made = Bank()
    monkeypatch.setitem(app.state._state, "billing", replace(app.state.billing, provider=made))
    return made


async def disputed(
    database: Database,
    account_id: UUID | None,
    *,
    status: DisputeStatus = DisputeStatus.needs_response,
    due: datetime | None = NOW + timedelta(days=9),
    name: str | None = None,
    events: int = 1,
) -> UUID:
    """A paid invoice whose payment is disputed, as its provider tells it, ``events`` times."""
    name = name or uuid4().hex
    heard = Heard(provider=Provider.manual, at=NOW - timedelta(days=20))
    async with database.session() as session:
        await mirror.record_invoice(
            session,
            heard,
            f"in-{name}",
            customer=None,
            account_id=account_id,
            currency="EUR",
            number=f"N-{name[:8]}",
            status=InvoiceStatus.paid,
            paid=9900,
            issued_at=heard.at,
            lines=[LineHeard(description="Workshop plan", amount=9900, quantity=1)],
        )
        await mirror.record_payment(
            session,
            heard,
            f"pay-{name}",
            customer=None,
            account_id=account_id,
            currency="EUR",
            invoice=f"in-{name}",
            status=PaymentStatus.succeeded,
            amount=9900,
            captured=9900,
            paid_at=heard.at,
        )
        for number in range(events):
            later = Heard(provider=Provider.manual, at=NOW + timedelta(seconds=number), event=f"e{number}")
            dispute = await mirror.record_dispute(
                session,
                later,
                f"dp-{name}",
                currency="EUR",
                payment=f"pay-{name}",
                amount=9900,
                status=status,
                reason="fraudulent",
                opened_at=NOW,
                evidence_due_at=due,
            )
    return dispute.id


def path(dispute_id: UUID, more: str = "") -> str:
    return f"/v1/billing/disputes/{dispute_id}/evidence{more}"


async def submit(by: Caller, dispute_id: UUID, **body: Any) -> Any:
    key = {"Idempotency-Key": str(uuid4())}
    return await by.client.post(path(dispute_id, "/submit"), json={"confirm": True} | body, headers=key)


async def cases_of(database: Database, dispute_id: UUID) -> list[Any]:
    async with database.session() as session:
        statement = "select status, priority, account_id from billing_case where dispute_id = :id"
        return list(await session.execute(text(statement), {"id": dispute_id}))


async def test_a_dispute_opens_one_case_and_one_clock_however_often_it_is_told(database, owner, caller):
    dispute_id = await disputed(database, owner.account_id, events=3)
    assert await cases_of(database, dispute_id) == [("new", "urgent", owner.account_id)]
    agent = await caller("agent")
    shown = (await agent.client.get(path(dispute_id))).json()
    assert [(each["kind"], each["state"]) for each in shown["clocks"]] == [("evidence", "running")]
    assert shown["due_at"][:19] == shown["clocks"][0]["due_at"][:19], "to the second"


@pytest.mark.parametrize(("end", "state"), [("won", "canceled"), ("lost", "canceled")])
async def test_a_decision_ends_the_clock_and_resolves_the_case(database, owner, caller, end, state):
    name = uuid4().hex
    dispute_id = await disputed(database, owner.account_id, name=name)
    async with database.session() as session:
        heard = Heard(provider=Provider.manual, at=NOW + timedelta(days=1))
        await mirror.record_dispute(
            session,
            heard,
            f"dp-{name}",
            currency="EUR",
            payment=f"pay-{name}",
            amount=9900,
            status=DisputeStatus(end),
            closed_at=heard.at,
        )
    assert [row.status for row in await cases_of(database, dispute_id)] == ["resolved"]
    shown = (await (await caller("agent")).client.get(path(dispute_id))).json()
    assert [each["state"] for each in shown["clocks"]] == [state]


async def test_the_pack_says_what_was_sold_and_what_was_written(database, owner, caller):
    name = uuid4().hex
    dispute_id = await disputed(database, owner.account_id, name=name)
    async with database.session() as session:
        find = "select id, number from invoice where external_id = :name"
        invoice_id, number = (await session.execute(text(find), {"name": f"in-{name}"})).one()
    case = {
        "kind": "invoice_question",
        "subject": "About my invoice",
        "description": "I use it daily, thank you. My card is 4242 4242 4242 4242.",
        "invoice_id": str(invoice_id),
    }
    opened = (await owner.client.post("/v1/billing/cases", json=case)).json()
    agent = await caller("agent")
    note = {"body": "A secret note.", "kind": "note"}
    assert (await agent.client.post(f"/v1/billing/cases/{opened['id']}/messages", json=note)).is_success
    pack = (await agent.client.get(path(dispute_id))).json()["pack"]
    assert number in pack["product_description"]
    assert "Workshop plan: €99.00" in pack["product_description"]
    assert "I use it daily" in pack["uncategorized_text"]
    assert "4242 4242" not in str(pack)
    assert "secret note" not in str(pack), "notes are the staff's"
    assert "payment created" in pack["access_activity_log"]


async def test_evidence_is_corrected_with_a_version_and_assembled_anew(database, owner, caller):
    dispute_id = await disputed(database, owner.account_id)
    agent = await caller("agent")
    changed = await agent.client.patch(path(dispute_id), json={"cancellation_rebuttal": "They never did."})
    assert changed.json()["pack"]["cancellation_rebuttal"] == "They never did."
    assert changed.json()["pack"]["product_description"]
    stale = await agent.client.patch(
        path(dispute_id), json={"service_date": "2026"}, headers={"If-Match": '"1"'}
    )
    assert (stale.status_code, stale.json()["code"]) == (412, "version_mismatch")
    removed = await agent.client.patch(path(dispute_id), json={"product_description": ""})
    assert removed.json()["pack"]["product_description"] == ""
    anew = (await agent.client.post(path(dispute_id, "/assemble"))).json()
    assert anew["pack"]["cancellation_rebuttal"] == ""
    assert anew["pack"]["product_description"]


async def test_submission_asks_for_a_lead_and_a_confirmation(database, owner, caller, bank):
    dispute_id = await disputed(database, owner.account_id)
    agent, lead = await caller("agent"), await caller("lead")
    assert (await submit(agent, dispute_id)).status_code == 403
    unsure = await submit(lead, dispute_id, confirm=False)
    assert (unsure.status_code, unsure.json()["code"]) == (422, "confirmation_required")
    assert unsure.json()["characters"]["product_description"] > 10
    keyless = await lead.client.post(path(dispute_id, "/submit"), json={"confirm": True})
    assert keyless.json()["code"] == "idempotency_key_required"
    assert bank.got == []
    done = await submit(lead, dispute_id)
    assert done.status_code == 200, done.text
    assert done.json()["accepted_at"] is not None
    assert [each["state"] for each in done.json()["clocks"]] == ["met"]
    again = await submit(lead, dispute_id)
    assert (again.status_code, again.json()["code"]) == (409, "evidence_submitted")
    late = await agent.client.patch(path(dispute_id), json={"service_date": "2026"})
    assert late.json()["code"] == "evidence_submitted"
    assert len(bank.got) == 1


async def test_twenty_leads_at_once_submit_once(database, owner, caller, bank):
    dispute_id = await disputed(database, owner.account_id)
    lead = await caller("lead")
    answers = await asyncio.gather(*(submit(lead, dispute_id) for _ in range(20)))
    assert sorted(each.status_code for each in answers) == [200] + [409] * 19
    assert len(bank.got) == 1


async def test_what_nobody_answered_is_sent_again_and_accepted_once(database, owner, caller, bank):
    bank.failures = [ProviderUnknownError("time-out"), ProviderUnknownError("time-out")]
    dispute_id = await disputed(database, owner.account_id)
    first = (await submit(await caller("lead"), dispute_id)).json()
    assert (first["accepted_at"], first["attempts"]) == (None, 1)
    async with database.session() as session:
        soon = "update dispute_evidence set next_attempt_at = now() where dispute_id = :id"
        await session.execute(text(soon), {"id": dispute_id})
    await sending.send_waiting(database, bank)
    assert len(bank.got) == 2
    await sending.send(database, bank, dispute_id)
    await sending.send(database, bank, dispute_id)  # accepted by now: nothing is sent
    assert len(bank.got) == 3
    shown = (await (await caller("agent")).client.get(path(dispute_id))).json()
    assert (shown["accepted_at"] is not None, shown["attempts"]) == (True, 3)


async def test_a_process_killed_before_the_call_leaves_it_to_the_next(
    database, owner, caller, app, monkeypatch
):
    """As after kill -9 between the commit and the call: submitted, not sent; the sweep sends it."""
    bank = Bank()

    async def killed(*_: Any) -> None:
        return

    monkeypatch.setitem(app.state._state, "billing", replace(app.state.billing, provider=bank))
    monkeypatch.setattr("app.billing.controllers.evidence.sending.send", killed)
    dispute_id = await disputed(database, owner.account_id)
    done = (await submit(await caller("lead"), dispute_id)).json()
    assert (done["submitted_at"] is not None, done["accepted_at"], bank.got) == (True, None, [])
    monkeypatch.undo()
    async with database.session() as session:
        soon = "update dispute_evidence set next_attempt_at = now() where dispute_id = :id"
        await session.execute(text(soon), {"id": dispute_id})
    assert await sending.send_waiting(database, bank) >= 1
    assert len(bank.got) >= 1
    shown = (await (await caller("agent")).client.get(path(dispute_id))).json()
    assert shown["accepted_at"] is not None


async def test_what_the_provider_refuses_can_be_corrected(database, owner, caller, bank):
    bank.failures = [ProviderRefusedError("evidence_invalid")]
    dispute_id = await disputed(database, owner.account_id)
    lead = await caller("lead")
    refused = (await submit(lead, dispute_id)).json()
    assert (refused["submitted_at"], refused["last_error"]) == (None, "evidence_invalid")
    assert refused["clocks"][-1]["state"] == "running"
    assert (await lead.client.patch(path(dispute_id), json={"service_date": "2026-11"})).is_success
    assert (await submit(lead, dispute_id)).json()["accepted_at"] is not None


@pytest.mark.parametrize(
    ("status", "due", "code"),
    [
        (DisputeStatus.under_review, NOW + timedelta(days=9), "dispute_not_answerable"),
        (DisputeStatus.lost, NOW + timedelta(days=9), "dispute_not_answerable"),
        (DisputeStatus.needs_response, NOW - timedelta(seconds=5), "evidence_overdue"),
    ],
)
async def test_too_late_is_too_late(*, database, owner, caller, bank, status, due, code):
    dispute_id = await disputed(database, owner.account_id, status=status, due=due)
    answer = await submit(await caller("lead"), dispute_id)
    assert (answer.status_code, answer.json()["code"]) == (409, code)
    assert bank.got == []


def test_a_pack_fits_what_the_bank_takes():
    huge = dict.fromkeys(
        ("product_description", "access_activity_log", "uncategorized_text", "service_date"), "x" * 10**6
    )
    packed = bounded(huge)
    assert all(len(each) <= FIELD_MAX for each in packed.values())
    assert sum(len(each) for each in packed.values()) <= PACK_MAX
    assert bounded({"uncategorized_text": "short", "unknown": "y"}) == {"uncategorized_text": "short"}
