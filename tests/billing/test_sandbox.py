"""The sandbox provider: one effect a key, faults on demand, its events, and who may play with it."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from uuid import uuid4

import pytest
from sqlalchemy import delete, func, select, text

from app.billing.constants import RefundStatus
from app.billing.models import Payment, Refund, SandboxFault, SandboxRefund
from app.billing.providers import provider_of
from app.billing.providers.base import ProviderRefusedError, ProviderUnknownError, RefundOrder
from app.billing.providers.sandbox import FaultKind, SandboxProvider
from app.billing.providers.stripe import StripeProvider
from app.billing.service import payments
from app.billing.service.provider import sandbox
from tests.billing.refunding import pay

PATH = "/v1/billing/provider/sandbox"


@pytest.fixture
async def provider(database):
    """The sandbox, without faults from elsewhere."""
    async with database.session() as session:
        await session.execute(delete(SandboxFault))
    return SandboxProvider(database)


async def ordered(database, amount=4_000):
    """A refund that is reserved as the desk reserves it, and the order for it."""
    payment = await pay(database)
    async with database.session() as session:
        locked = await payments.lock(session, payment.id)
        row = Refund(
            id=uuid4(),
            provider="sandbox",
            payment_id=payment.id,
            account_id=payment.account_id,
            currency="EUR",
            exponent=2,
            amount=amount,
            status="pending",
        )
        session.add(row)
        await session.flush()
        await payments.recount(session, locked, heard=False)
    order = RefundOrder(
        refund_id=row.id,
        payment=payment.external_id,
        charge=None,
        amount=amount,
        currency="EUR",
        reason=None,
    )
    return payment, order


async def fail(database, kind, count=1):
    async with database.session() as session:
        await sandbox.plan(session, kind, count)


async def effects(database, order):
    async with database.session() as session:
        made = select(func.count()).where(SandboxRefund.idempotency_key == str(order.refund_id))
        return await session.scalar(made)


async def test_a_key_has_one_effect_however_often_and_at_once_it_is_called(provider, database):
    _, order = await ordered(database)
    receipts = await asyncio.gather(*(provider.refund(order) for _ in range(6)))
    assert len({each.external_id for each in receipts}) == 1
    assert await effects(database, order) == 1


async def test_it_takes_more_than_was_captured(provider, database):
    _, order = await ordered(database)
    receipt = await provider.refund(replace(order, amount=10**9))
    assert receipt.status is RefundStatus.succeeded, "only our own rule protects"


@pytest.mark.parametrize(("kind", "done"), [(FaultKind.timeout, 0), (FaultKind.timeout_after_success, 1)])
async def test_a_time_out_says_nothing_of_what_was_done(provider, database, kind, done):
    _, order = await ordered(database)
    await fail(database, kind)
    with pytest.raises(ProviderUnknownError):
        await provider.refund(order)
    assert await effects(database, order) == done
    assert (await provider.refund(order)).status is RefundStatus.succeeded
    assert await effects(database, order) == 1


async def test_a_refusal_does_nothing_and_as_often_as_was_asked(provider, database):
    _, order = await ordered(database)
    await fail(database, FaultKind.refuse, 2)
    for _ in range(2):
        with pytest.raises(ProviderRefusedError):
            await provider.refund(order)
    assert await effects(database, order) == 0
    assert (await provider.refund(order)).status is RefundStatus.succeeded


@pytest.mark.parametrize(
    ("kind", "first", "end"),
    [
        (FaultKind.pending, RefundStatus.pending, ("succeeded", 4_000)),
        (FaultKind.duplicate_event, RefundStatus.pending, ("succeeded", 4_000)),
        (FaultKind.late_failure, RefundStatus.succeeded, ("failed", 0)),
    ],
)
async def test_an_event_tells_the_end(provider, database, kind, first, end):
    payment, order = await ordered(database)
    await fail(database, kind)
    assert (await provider.refund(order)).status is first
    assert await sandbox.deliver(database) >= 1
    async with database.session() as session:
        refund = await session.get_one(Refund, order.refund_id)
        after = await session.get_one(Payment, payment.id)
        assert (refund.status, after.refunded) == end
        version = refund.version
    await sandbox.deliver(database)
    async with database.session() as session:
        again = await session.get_one(Refund, order.refund_id)
        assert again.version == version, "an event is told once it was told"


async def test_evidence_is_taken_unless_a_fault_waits(provider, database):
    await provider.submit_evidence("du_1", {"a": "b"})
    await fail(database, FaultKind.timeout)
    with pytest.raises(ProviderUnknownError):
        await provider.submit_evidence("du_1", {"a": "b"})


async def test_faults_are_planned_listed_and_cleared_by_admins_alone(provider, as_role):
    admin = as_role("admin")
    for role in ("lead", "agent"):
        assert (await as_role(role).get(f"{PATH}/faults")).status_code == 403
        response = await as_role(role).post(f"{PATH}/faults", json={"kind": "refuse"})
        assert response.status_code == 403
    made = await admin.post(f"{PATH}/faults", json={"kind": "pending", "count": 3})
    assert made.status_code == 201, made.text
    listed = (await admin.get(f"{PATH}/faults")).json()["items"]
    assert [(each["kind"], each["remaining"]) for each in listed] == [("pending", 3)]
    assert (await admin.delete(f"{PATH}/faults")).status_code == 204
    assert (await admin.get(f"{PATH}/faults")).json()["items"] == []
    assert (await admin.post(f"{PATH}/faults", json={"kind": "fire"})).status_code == 400


@pytest.mark.parametrize(("decision", "lost"), [("won", 0), ("lost", 10_000)])
async def test_a_dispute_is_opened_and_decided(provider, database, as_role, decision, lost):
    payment = await pay(database)
    admin = as_role("admin")
    made = await admin.post(f"{PATH}/disputes", json={"payment_id": str(payment.id)})
    assert made.status_code == 201, made.text
    assert (made.json()["status"], made.json()["amount"]) == ("needs_response", 10_000)
    path = f"{PATH}/disputes/{made.json()['id']}/decide"
    decided = await admin.post(path, json={"decision": decision})
    assert (decided.status_code, decided.json()["status"]) == (200, decision), decided.text
    async with database.session() as session:
        row = await session.execute(
            text("select lost, overdrawn from payment where id = :id"), {"id": payment.id}
        )
        assert row.one() == (lost, 0)


async def test_a_dispute_of_nothing_known_is_not_found(provider, as_role):
    admin, nobody = as_role("admin"), str(uuid4())
    made = await admin.post(f"{PATH}/disputes", json={"payment_id": nobody})
    assert (made.status_code, made.json()["code"]) == (404, "payment_not_found")
    decided = await admin.post(f"{PATH}/disputes/{nobody}/decide", json={"decision": "won"})
    assert (decided.status_code, decided.json()["code"]) == (404, "dispute_not_found")


def test_the_provider_is_the_one_that_the_settings_name(settings, database):
    def named(**values):
        return provider_of(replace(settings, **values), database)

    assert isinstance(named(billing_provider=None, stripe_api_key=None), SandboxProvider)
    assert isinstance(named(billing_provider=None, stripe_api_key="sk_test_x"), StripeProvider)
    assert isinstance(named(billing_provider="sandbox", stripe_api_key="sk_test_x"), SandboxProvider)
    assert named(billing_provider="none", stripe_api_key="sk_test_x") is None
