"""An account's money at a glance: right to the cent, and nobody else's."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

from app.billing.models import Subscription
from app.billing.service.credits.caps import quarter_of
from app.billing.service.facts import BillingFacts, BillingRevenue
from app.main import ACCOUNT_FACTS, REVENUE
from tests.billing.bookkeeping import (
    DAY,
    a_dispute,
    a_grant,
    a_note,
    a_payment,
    a_refund,
    an_account,
    an_invoice,
    book,
    mirrored,
)

LEDGER = "/v1/billing/ledger"


def path(account_id: UUID, what: str = "facts") -> str:
    return f"/v1/billing/accounts/{account_id}/{what}"


@pytest.fixture
async def account_id(database) -> UUID:
    """Of an account with something of everything."""
    async with database.session() as session:
        account_id = await an_account(session)
        invoice = an_invoice(account_id, number="INV-1", due_at=DAY + timedelta(days=14), paid=900)
        payment = a_payment(account_id, invoice_id=None, captured=10_000)
        await book(session, invoice, an_invoice(account_id, status="paid", paid=11_900), payment)
        await book(session, a_payment(None))
        refund, dispute = a_refund(payment), a_dispute(payment, evidence_due_at=DAY + timedelta(days=9))
        settled = a_dispute(payment, status="won", amount=1)
        await book(session, refund, dispute, settled, a_note(invoice), a_grant(account_id))
        old = quarter_of(datetime.now(UTC))[0] - timedelta(seconds=1)
        await book(session, a_grant(account_id, amount=9_999, granted_at=old))
        await book(session, a_grant(account_id, amount=77, kind="service"))
        payment.refunded = refund.amount
        for status in ("active", "canceled"):
            plan = {"plan": "team", "plan_name": "Team", "unit_amount": 900, "interval": "month"}
            session.add(Subscription(**mirrored(account_id, status=status, **plan)))
    return account_id


async def entries(client, **asked: Any) -> list[dict[str, Any]]:
    response = await client.get(LEDGER, params={"limit": 100, **asked})
    assert response.status_code == 200, response.text
    return response.json()["items"]


class TestFacts:
    async def test_the_staff_see_everything_of_an_account(self, as_role, account_id):
        async with as_role("agent") as agent:
            facts = (await agent.get(path(account_id))).json()
        (balance,) = facts["balances"]
        assert balance == {
            "currency": "EUR",
            "exponent": 2,
            "owed": 11_900 * 2 - 10_000 - 500,
            "credit": 200 + 2_500 + 9_999 + 77,
            "paid": 10_000,
            "refunded": 4_000,
            "refunds_pending": 4_000,
            "disputed": 3_000,
            "lost": 0,
            "net_paid": 7_000,
            "goodwill": 2_500 + 9_999 + 77,
        }
        assert [(each["number"], each["owed"]) for each in facts["open_invoices"]] == [("INV-1", 11_000)]
        assert facts["open_invoice_count"] == facts["refund_count"] == 1
        assert [(each["captured"], each["refunded"]) for each in facts["payments"]] == [(10_000, 4_000)]
        assert [(each["status"], each["amount"]) for each in facts["refunds"]] == [("pending", 4_000)]
        assert [each["status"] for each in facts["open_disputes"]] == ["needs_response"]
        assert [(each["plan_name"], each["status"]) for each in facts["subscriptions"]] == [
            ("Team", "active")
        ]

    async def test_goodwill_is_what_the_policy_leaves_of_this_quarter(self, as_role, account_id):
        async with as_role("lead") as lead:
            policies = (await lead.get("/v1/billing/policies")).json()["items"]
            facts = (await lead.get(path(account_id))).json()
        cap = next(each["per_quarter"] for each in policies[0]["goodwill"] if each["currency"] == "EUR")
        euros = next(each for each in facts["goodwill"] if each["currency"] == "EUR")
        assert (euros["granted"], euros["cap"], euros["left"]) == (2_500, cap, max(0, cap - 2_500))

    async def test_a_customer_sees_their_own_accounts_without_what_the_staff_may_give(
        self, caller, account_id
    ):
        owner = await caller("customer", account_id=account_id, sees_account=True)
        facts = (await owner.client.get(path(account_id))).json()
        assert facts["balances"][0]["paid"] == 10_000
        assert facts["goodwill"] is None
        assert (await owner.client.get(path(account_id, "balance"))).status_code == 200

    @pytest.mark.parametrize("what", ["facts", "balance"])
    async def test_nobody_else_learns_that_the_account_exists(self, caller, account_id, what):
        colleague = await caller("customer", account_id=account_id)
        stranger = await caller("customer", sees_account=True)
        agent = await caller("agent")
        asked = [(each, account_id) for each in (colleague, stranger)] + [(agent, uuid4())]
        for someone, wanted in asked:
            response = await someone.client.get(path(wanted, what))
            assert (response.status_code, response.json()["code"]) == (404, "account_not_found")

    async def test_balances_and_things_are_those_of_the_moment_asked_for(self, as_role, account_id):
        before = (DAY - timedelta(days=1)).isoformat()
        async with as_role("agent") as agent:
            facts = (await agent.get(path(account_id), params={"as_of": before})).json()
            balance = (await agent.get(path(account_id, "balance"), params={"as_of": DAY.isoformat()})).json()
        assert facts["balances"] == facts["payments"] == facts["open_invoices"] == facts["refunds"] == []
        assert facts["as_of"].startswith("2026-02-28")
        assert [(each["paid"], each["refunded"]) for each in balance["balances"]] == [(10_000, 0)]

    @pytest.mark.parametrize("moment", ["2026-03-01T00:00:00", "9999-12-31T23:59:59-14:00"])
    async def test_a_moment_without_a_zone_or_out_of_range_is_refused(self, as_role, account_id, moment):
        async with as_role("lead") as lead:
            for url in (path(account_id), path(account_id, "balance"), LEDGER):
                response = await lead.get(url, params={"as_of": moment})
                assert (response.status_code, response.json()["errors"][0]["field"]) == (400, "as_of"), url

    async def test_an_account_that_never_paid_owes_nothing(self, database, as_role):
        async with database.session() as session:
            account_id = await an_account(session)
        async with as_role("agent") as agent:
            facts = (await agent.get(path(account_id))).json()
        assert facts["balances"] == facts["payments"] == facts["subscriptions"] == []


class TestForOtherDesks:
    async def test_the_panel_beside_a_ticket_tells_those_who_may_see_it(self, database, caller, account_id):
        owner = await caller("customer", account_id=account_id, sees_account=True)
        colleague, agent = await caller("customer", account_id=account_id), await caller("agent")
        async with database.session() as session:
            panels = [
                await BillingFacts().facts(session, account_id, principal=each.principal)
                for each in (agent, owner, colleague)
            ]
        assert [each["balances"][0]["net_paid"] for each in panels[:2]] == [7_000, 7_000]
        assert [each["goodwill"] is None for each in panels[:2]] == [False, True]
        assert panels[2] == {}

    async def test_revenue_is_the_ledgers_cash(self, database, account_id):
        async with database.session() as session:
            found = await BillingRevenue().net_paid(session, [account_id, uuid4()])
            then = await BillingRevenue().net_paid(session, [account_id], as_of=DAY - timedelta(days=1))
        assert {key: [each.amount for each in value] for key, value in found.items()} == {account_id: [7_000]}
        assert then == {}

    async def test_both_are_what_the_app_offers(self):
        assert [each.name for each in (*ACCOUNT_FACTS, *REVENUE)] == ["billing", "billing"]


class TestLedgerRoute:
    async def test_a_filters_sum_is_the_balance(self, as_role, account_id):
        async with as_role("lead") as lead:
            all_of_it = await entries(lead, account_id=account_id)
            cash = await entries(lead, account_id=account_id, book="cash")
            early = await entries(lead, account_id=account_id, book="cash", as_of="2026-02-01T00:00:00Z")
        assert sum(each["amount"] for each in all_of_it) == 0
        assert sum(each["amount"] for each in cash) == 7_000
        assert early == []
        assert [each["id"] for each in all_of_it] == sorted((each["id"] for each in all_of_it), reverse=True)

    async def test_entries_are_found_by_what_they_are_about(self, as_role, account_id):
        async with as_role("lead") as lead:
            (paid,) = await entries(lead, account_id=account_id, subject_type="payment", book="cash")
            same = await entries(lead, subject_id=paid["subject_id"])
            of_transaction = await entries(lead, transaction_id=paid["transaction_id"])
            under = await entries(lead, payment_id=paid["subject_id"])
            inside = {"effective_after": DAY.isoformat(), "effective_before": "2026-03-02T00:00:00Z"}
            in_time = await entries(lead, payment_id=paid["subject_id"], **inside)
            outside = await entries(
                lead, subject_id=paid["subject_id"], effective_after="2026-03-02T00:00:00Z"
            )
        assert (
            {each["book"] for each in same}
            == {"cash", "receivable"}
            == {each["book"] for each in of_transaction}
        )
        assert same == of_transaction
        assert {each["subject_type"] for each in under} == {"payment", "refund", "dispute"}
        assert {each["subject_type"] for each in in_time} == {"payment", "dispute"}
        assert outside == []
        assert (paid["amount"], paid["currency"], paid["exponent"], paid["kind"]) == (
            10_000,
            "EUR",
            2,
            "payment",
        )

    @pytest.mark.parametrize("sort", ["id", "-effective_at"])
    async def test_pages_follow_on_without_gap_or_repetition(self, as_role, account_id, sort):
        asked: dict[str, Any] = {"account_id": str(account_id), "sort": sort}
        async with as_role("lead") as lead:
            whole = [each["id"] for each in await entries(lead, **asked)]
            paged, cursor = [], None
            while True:
                extra = {"cursor": cursor} if cursor else {}
                page = (await lead.get(LEDGER, params={**asked, **extra, "limit": 4, "total": True})).json()
                paged += [each["id"] for each in page["items"]]
                if (cursor := page["next_cursor"]) is None:
                    break
        assert paged == whole
        assert page["total"] == len(whole) > 8

    @pytest.mark.parametrize(
        ("role", "status"), [("customer", 403), ("agent", 403), ("lead", 200), ("admin", 200)]
    )
    async def test_it_is_for_leads_and_admins(self, as_role, role, status):
        async with as_role(role) as someone:
            assert (await someone.get(LEDGER)).status_code == status
