"""Whatever a provider tells, in whatever order: the ledger proves itself after every message."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import timedelta
from functools import partial
from random import Random
from typing import Any

import pytest

from app.billing.constants import Provider, RefundStatus
from app.billing.service import ledger, mirror
from app.billing.service.mirror import Heard
from tests.billing.bookkeeping import DAY, an_account, own_ledger

Tell = Callable[..., Awaitable[Any]]


@pytest.fixture(scope="module")
async def alone(settings, database):
    async with own_ledger(settings, database) as scratch:
        yield scratch


def messages(tag: str, account_id: Any) -> list[tuple[Tell, str, dict[str, Any]]]:
    """(who records it, its id, what it says), in the order in which they happened."""
    euros, owner = {"currency": "EUR"}, {"customer": f"cus{tag}"}
    bill = {**euros, **owner, "subtotal": 10_000, "tax": 1_900, "total": 11_900, "issued_at": DAY}
    paid = {**euros, **owner, "amount": 11_900, "invoice": f"in{tag}", "charge": f"ch{tag}"}
    captured = {**paid, "status": "succeeded", "captured": 11_900, "paid_at": DAY}
    of_payment = {**euros, "payment": f"pi{tag}"}
    disputed = {**of_payment, "amount": 2_000, "opened_at": DAY}
    note = {**euros, **owner, "invoice": f"in{tag}", "subtotal": 1_000, "tax": 190, "total": 1_190}
    late = {**of_payment, "amount": 4_000}
    return [
        (mirror.record_invoice, f"in{tag}", {**bill, "status": "open"}),
        (mirror.record_payment, f"pi{tag}", {**paid, "status": "pending"}),
        (mirror.record_payment, f"pi{tag}", captured),
        (mirror.record_invoice, f"in{tag}", {**bill, "status": "paid", "paid": 11_900}),
        (mirror.record_refund, f"re{tag}", {**of_payment, "amount": 3_000, "status": RefundStatus.succeeded}),
        (mirror.record_refund, f"re{tag}late", {**late, "status": RefundStatus.succeeded}),
        (mirror.record_refund, f"re{tag}late", {**late, "status": RefundStatus.failed}),
        (mirror.record_dispute, f"dp{tag}", {**disputed, "status": "needs_response"}),
        (mirror.record_dispute, f"dp{tag}", {**disputed, "status": "lost", "closed_at": DAY}),
        (mirror.record_credit_note, f"cn{tag}", {**note, "status": "issued", "credit_amount": 1_190}),
        (mirror.record_customer, f"cus{tag}", {"account_id": account_id}),
    ]


@pytest.mark.parametrize("seed", range(8))
async def test_after_every_message_in_any_order_and_twice_the_ledger_holds(alone, seed):
    random, tag = Random(seed), f"_{seed}"
    async with alone.session() as session:
        account_id = await an_account(session)
    told = [
        partial(record, external_id=name, heard=_heard(f"evt{tag}_{hours}", hours), **said)
        for hours, (record, name, said) in enumerate(messages(tag, account_id))
    ]
    order = told + random.sample(told, 4)
    random.shuffle(order)
    for tell in order:
        async with alone.session() as session:
            await tell(session)
        async with alone.session() as session:
            report = await ledger.verify(session)
        assert (report.violations, report.differences) == ([], [])
    async with alone.session() as session:
        (balance,) = await ledger.balances(session, account_id)
    assert (balance.owed, balance.paid, balance.refunded, balance.lost) == (0, 11_900, 3_000, 2_000)
    assert (balance.net_paid, balance.disputed, balance.refunds_pending) == (6_900, 0, 0)
    assert balance.credit == 1_190


def _heard(event: str, hours: int) -> Heard:
    return Heard(provider=Provider.stripe, at=DAY + timedelta(hours=hours), event=event)
