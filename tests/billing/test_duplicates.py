"""Duplicate charges are told from instalments."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.billing.constants import Provider
from app.billing.schemas.duplicates import DuplicateStrength
from app.billing.service.mirror import Heard, LineHeard, record_invoice, record_payment, record_refund
from app.billing.utils.duplicates import Charge, groups_of
from tests.billing.mirroring import DAY, account

ROUTE = "/v1/billing/payments/duplicates"
WEEK = timedelta(days=7)


def charge(hours: float, **given) -> Charge:
    values = {"amount": 4_900, "currency": "EUR"} | given
    return Charge(payment_id=uuid4(), paid_at=DAY + timedelta(hours=hours), **values)


def instalment(number: int, every: timedelta, subscription: UUID) -> Charge:
    start = DAY + number * every
    return Charge(
        payment_id=uuid4(),
        paid_at=start,
        amount=4_900,
        currency="EUR",
        invoice_id=uuid4(),
        subscription_id=subscription,
        period_start=start,
        period_end=start + every,
    )


class TestRule:
    @given(
        every=st.sampled_from([1, 7, 30, 365]),
        count=st.integers(2, 24),
        window=st.integers(1, 9_000),
    )
    def test_instalments_are_never_strong_nor_possible(self, every, count, window):
        plan = uuid4()
        found = groups_of(
            [instalment(each, timedelta(days=every), plan) for each in range(count)], timedelta(hours=window)
        )
        assert all(each.strength is DuplicateStrength.weak for each in found)

    def test_one_invoice_paid_twice_stands_out_from_its_instalments(self):
        plan = uuid4()
        paid = [instalment(each, timedelta(days=1), plan) for each in range(10)]
        twice = Charge(
            payment_id=uuid4(),
            paid_at=paid[4].paid_at + timedelta(minutes=2),
            amount=4_900,
            currency="EUR",
            invoice_id=paid[4].invoice_id,
            subscription_id=plan,
            period_start=paid[4].period_start,
            period_end=paid[4].period_end,
        )
        strong, *rest = groups_of([*paid, twice], timedelta(hours=72))
        assert strong.strength is DuplicateStrength.strong
        assert [each.payment_id for each in strong.charges] == [paid[4].payment_id, twice.payment_id]
        assert {each.strength for each in rest} == {DuplicateStrength.weak}

    def test_one_period_billed_twice_is_strong(self):
        plan = uuid4()
        one, other = instalment(0, WEEK, plan), instalment(0, WEEK, plan)
        assert [each.strength for each in groups_of([one, other], WEEK)] == [DuplicateStrength.strong]

    @pytest.mark.parametrize("other", [{"amount": 4_901}, {"currency": "USD"}])
    def test_another_amount_or_currency_is_no_duplicate(self, other):
        assert groups_of([charge(0), charge(1, **other)], WEEK) == []

    def test_the_window_includes_its_end_and_nothing_beyond(self):
        window = timedelta(hours=72)
        assert len(groups_of([charge(0), charge(72)], window)) == 1
        assert groups_of([charge(0), charge(72.01)], window) == []

    @given(
        st.lists(st.tuples(st.integers(0, 300), st.sampled_from([None, 1, 2, 3])), max_size=12), st.randoms()
    )
    def test_groups_are_disjoint_and_the_same_in_any_order(self, drawn, rng):
        charges = [charge(hours, invoice_id=invoice and UUID(int=invoice)) for hours, invoice in drawn]
        found = groups_of(charges, timedelta(hours=72))
        members = [each.payment_id for group in found for each in group.charges]
        assert len(members) == len(set(members))
        rng.shuffle(charges)
        assert groups_of(charges, timedelta(hours=72)) == found


class TestDetector:
    @pytest.fixture
    async def charged(self, database):
        """An account with monthly instalments, one of them paid twice, ten minutes apart."""
        account_id, name = await account(database), uuid4().hex
        own = {"customer": None, "account_id": account_id, "currency": "EUR"}
        async with database.session() as session:
            for month in range(4):
                start = DAY + timedelta(days=30 * month)
                heard = Heard(provider=Provider.manual, at=start)
                line = LineHeard(
                    description="Plan",
                    amount=4_900,
                    period_start=start,
                    period_end=start + timedelta(days=30),
                )
                invoice = f"in-{month}-{name}"
                await record_invoice(
                    session, heard, invoice, status="paid", lines=[line], subscription=f"sub-{name}", **own
                )
                for copy in range(2 if month == 2 else 1):
                    await record_payment(
                        session,
                        heard,
                        f"pi-{month}-{copy}-{name}",
                        status="succeeded",
                        amount=4_900,
                        captured=4_900,
                        invoice=invoice,
                        paid_at=start + timedelta(minutes=10 * copy),
                        method="card",
                        **own,
                    )
        return account_id, name

    async def test_the_invoice_that_was_paid_twice_is_found_with_its_evidence(self, caller, charged):
        account_id, name = charged
        agent = (await caller("agent")).client
        found = (await agent.get(ROUTE, params={"account_id": str(account_id)})).json()
        (group,) = found["groups"]
        assert (group["strength"], group["amount"], group["settled"]) == ("strong", 4_900, False)
        assert [each["external_id"] for each in group["payments"]] == [f"pi-2-0-{name}", f"pi-2-1-{name}"]
        assert [each["seconds_after_first"] for each in group["payments"]] == [0, 600]
        assert len({each["invoice_id"] for each in group["payments"]}) == 1

    async def test_a_wide_window_shows_the_instalments_as_weak_only(self, caller, charged):
        agent = (await caller("agent")).client
        params = {"account_id": str(charged[0]), "window_hours": 31 * 24}
        found = (await agent.get(ROUTE, params=params)).json()["groups"]
        assert [(each["strength"], len(each["payments"])) for each in found] == [("strong", 2), ("weak", 2)]

    async def test_a_refunded_copy_settles_it(self, caller, charged, database):
        account_id, name = charged
        async with database.session() as session:
            heard = Heard(provider=Provider.manual, at=DAY + timedelta(days=80))
            await record_refund(
                session, heard, f"re-{name}", currency="EUR", amount=4_900, status="succeeded",
                payment=f"pi-2-1-{name}",
            )  # fmt: skip
        agent = (await caller("agent")).client
        (group,) = (await agent.get(ROUTE, params={"account_id": str(account_id)})).json()["groups"]
        assert group["settled"]
        assert [each["refunded"] for each in group["payments"]] == [0, 4_900]

    async def test_a_case_shows_those_of_its_account(self, caller, charged):
        account_id, _ = charged
        customer = await caller("customer", account_id=account_id, sees_account=True)
        case = {"kind": "duplicate_charge", "subject": "Charged twice", "description": "In January."}
        made = await customer.client.post("/v1/billing/cases", json=case)
        assert made.is_success, made.text
        route = f"/v1/billing/cases/{made.json()['id']}/duplicates"
        agent = (await caller("agent")).client
        assert [each["strength"] for each in (await agent.get(route)).json()["groups"]] == ["strong"]
        assert (await customer.client.get(route)).status_code == 404

    async def test_an_account_that_does_not_exist_is_not_found(self, caller):
        agent = (await caller("agent")).client
        assert (await agent.get(ROUTE, params={"account_id": str(uuid4())})).status_code == 404
