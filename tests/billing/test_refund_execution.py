"""Making a refund: reserve, call, settle; and going on with what was cut off."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import httpx
import pytest
from litestar import Litestar
from sqlalchemy import text

from app.billing.constants import RefundStatus
from app.billing.models import Payment, Refund
from app.billing.service import payments
from app.billing.service.refunds import execution, recovery, state
from app.database import Database
from app.identity import SYSTEM
from tests.billing.refunding import ROUTE, ToldProvider, asked, books, dispute, end_dispute, key, pay, post
from tests.callers import Caller, MakeCaller

LATER = timedelta(hours=2)


@dataclass
class Desk:
    database: Database
    provider: ToldProvider
    agent: Caller
    lead: Caller
    payment: Payment

    async def approved(self, amount: int = 4_000, **given: Any) -> str:
        made = await post(self.agent.client, "", **asked(given.pop("payment", self.payment), amount, **given))
        assert made.status_code == 201, made.text
        request_id: str = made.json()["id"]
        answer = await post(self.lead.client, f"/{request_id}/approve", note="")
        assert answer.status_code == 200, answer.text
        return request_id

    async def execute(self, request_id: str, headers: dict[str, str] | None = None) -> httpx.Response:
        path = f"{ROUTE}/{request_id}/execute"
        return await self.agent.client.post(path, headers=headers or key())

    async def shown(self, request_id: str) -> dict[str, Any]:
        found: dict[str, Any] = (await self.agent.client.get(f"{ROUTE}/{request_id}")).json()
        return found

    async def refunded(self) -> int:
        async with self.database.session() as session:
            return (await payments.get(session, self.payment.id, principal=SYSTEM)).refunded

    async def recover(self, after: timedelta = LATER) -> int:
        """How many calls it made for the payment."""
        before = len(self.provider.calls)
        await recovery.recover(self.database, self.provider, now=datetime.now(UTC) + after)
        return len(self.provider.calls) - before


@pytest.fixture
async def desk(app: Litestar, database: Database, caller: MakeCaller) -> AsyncIterator[Desk]:
    payment, before = await pay(database), app.state.billing
    provider = ToldProvider(payment=payment.external_id)
    app.state.billing = replace(before, provider=provider)
    yield Desk(database, provider, await caller("agent"), await caller("lead"), payment)
    app.state.billing = before


async def test_a_refund_is_made_once_and_stands_in_the_ledger(desk):
    request_id, named = await desk.approved(), key()
    answer = await desk.execute(request_id, named)
    shown = answer.json()
    assert (answer.status_code, shown["status"]) == (200, "refunded")
    assert (shown["refund"]["status"], shown["refund"]["attempts"]) == ("succeeded", 1)
    (order,) = desk.provider.calls
    assert str(order.refund_id) == shown["refund"]["id"]
    assert (order.payment, order.charge) == (desk.payment.external_id, desk.payment.charge_id)
    assert await desk.refunded() == 4_000
    assert await books(desk.database, desk.payment.id) == {
        "cash": 6_000,
        "receivable": -10_000,
        "refunds": 4_000,
    }
    again = await desk.execute(request_id, named)
    assert (again.json(), again.headers["idempotency-replayed"]) == (shown, "true")
    other = await desk.execute(request_id)
    assert (other.status_code, other.json()["code"]) == (409, "invalid_transition")
    assert len(desk.provider.calls) == 1


async def test_no_transaction_is_open_while_the_provider_is_called(desk):
    seen: list[str] = []

    async def look(order: Any) -> None:
        async with desk.database.session() as session:
            refund = await session.get_one(Refund, order.refund_id, with_for_update={"nowait": True})
            await session.execute(
                text("select from payment where id = :id for update nowait"), {"id": refund.payment_id}
            )
            seen.append(refund.status)
            assert refund.called_at is not None
        assert await desk.refunded() == 4_000

    desk.provider.meanwhile = look
    await desk.execute(await desk.approved())
    assert seen == ["pending"]


async def test_a_refusal_releases_what_was_reserved(desk):
    desk.provider.script = ["refuse"]
    shown = (await desk.execute(await desk.approved(10_000))).json()
    assert (shown["status"], shown["failure_reason"]) == ("failed", "charge_disputed")
    assert await desk.refunded() == 0
    assert await books(desk.database, desk.payment.id) == {"cash": 10_000, "receivable": -10_000}
    assert (await desk.execute(await desk.approved(10_000))).json()["status"] == "refunded"


@pytest.mark.parametrize("fault", ["lose_answer", "lose_request", "break"])
async def test_when_nobody_knows_the_same_call_is_made_again(desk, fault):
    desk.provider.script = [fault]
    request_id = await desk.approved()
    shown = (await desk.execute(request_id)).json()
    assert (shown["status"], shown["refund"]["status"]) == ("executing", "pending")
    assert await desk.refunded() == 4_000
    assert await desk.recover(timedelta(0)) == 0
    assert await desk.recover() == 1
    first, second = desk.provider.calls
    assert first == second
    assert desk.provider.made == {first.refund_id: 4_000}
    assert (await desk.shown(request_id))["status"] == "refunded"
    assert await desk.recover() == 0


async def test_calls_are_repeated_after_longer_and_longer_waits(desk):
    desk.provider.script = ["lose_request"] * 4
    shown = (await desk.execute(await desk.approved())).json()
    waits = []
    for _ in range(3):
        async with desk.database.session() as session:
            refund = await session.get_one(Refund, UUID(shown["refund"]["id"]))
        waits.append((refund.next_attempt_at - refund.called_at).total_seconds())
        await desk.recover()
    assert waits == [30, 60, 120]
    assert execution._wait(50) == timedelta(hours=1)


async def test_a_reserve_that_was_never_called_for_is_called_for_after_a_while(desk):
    request_id = UUID(await desk.approved())
    async with desk.database.session() as session:
        await execution.reserve(session, request_id, provider=desk.provider, actor=SYSTEM)
    waiting = await desk.shown(str(request_id))
    assert (waiting["status"], waiting["refund"]["attempts"]) == ("executing", 0)
    assert await desk.recover(timedelta(seconds=25)) == 0
    assert await desk.recover(timedelta(seconds=31)) == 1
    assert (await desk.shown(str(request_id)))["status"] == "refunded"


async def test_a_call_is_not_repeated_when_the_provider_may_have_forgotten_its_key(desk):
    desk.provider.script = ["lose_answer"]
    called, reserved = await desk.approved(), UUID(await desk.approved())
    shown = (await desk.execute(called)).json()
    async with desk.database.session() as session:
        await execution.reserve(session, reserved, provider=desk.provider, actor=SYSTEM)
    assert await desk.recover(timedelta(days=2)) == 1
    assert (await desk.shown(str(reserved)))["status"] == "refunded"
    assert (await desk.shown(called))["refund"]["status"] == "pending"
    assert await desk.refunded() == 8_000
    assert await desk.recover(timedelta(days=3)) == 0
    found = await desk.lead.client.get("/v1/events", params={"subject": f"refund:{shown['refund']['id']}"})
    assert [each["type"] for each in found.json()["items"]][-1] == "refund.unresolved"


async def test_several_recoveries_at_once_call_each_refund_once(desk):
    desk.provider.script = ["lose_request"] * 5
    for _ in range(5):
        await desk.execute(await desk.approved(100))
    soon = timedelta(seconds=40)  # after the first wait, before the second
    await asyncio.gather(*(desk.recover(soon) for _ in range(3)))
    assert len(desk.provider.calls) == 10


async def test_what_the_provider_has_in_work_waits_for_its_event_and_a_late_failure_is_reversed(desk):
    desk.provider.script = ["pend"]
    request_id = await desk.approved()
    shown = (await desk.execute(request_id)).json()
    assert (shown["status"], shown["refund"]["status"]) == ("executing", "pending")
    assert await desk.recover() == 0

    async def hear(to: RefundStatus) -> None:
        async with desk.database.session() as session:
            await payments.lock(session, desk.payment.id)
            refund = await session.get_one(Refund, UUID(shown["refund"]["id"]))
            await state.move(session, refund, to, at=datetime.now(UTC), actor=SYSTEM, heard=True)

    await hear(RefundStatus.succeeded)
    assert (await desk.shown(request_id))["status"] == "refunded"
    await hear(RefundStatus.pending)
    assert (await desk.shown(request_id))["status"] == "refunded"
    await hear(RefundStatus.failed)
    for each in (RefundStatus.succeeded, RefundStatus.pending, RefundStatus.failed):
        await hear(each)
    late = await desk.shown(request_id)
    assert (late["status"], late["refund"]["status"]) == ("failed", "failed")
    assert await desk.refunded() == 0
    assert await books(desk.database, desk.payment.id) == {"cash": 10_000, "receivable": -10_000}


async def test_an_answer_does_not_undo_an_event_that_overtook_it(desk):
    async def fail_first(order: Any) -> None:
        async with desk.database.session() as session:
            await payments.lock(session, desk.payment.id)
            refund = await session.get_one(Refund, order.refund_id)
            named = {"external_id": f"re_{order.refund_id.hex}", "failure_reason": "expired_card"}
            await state.move(
                session, refund, RefundStatus.failed, at=datetime.now(UTC), actor=SYSTEM, heard=True, **named
            )

    desk.provider.meanwhile = fail_first
    shown = (await desk.execute(await desk.approved())).json()
    assert (shown["status"], shown["failure_reason"]) == ("failed", "expired_card")
    assert await desk.refunded() == 0


async def test_a_killed_request_is_answered_pending_to_a_retry(desk):
    """As after a kill: the reserve is committed with its answer, nothing came after it."""
    request_id, named = await desk.approved(), key()
    called = asyncio.Event()

    async def hang(_: Any) -> None:
        called.set()
        await asyncio.Event().wait()

    desk.provider.meanwhile = hang
    running = asyncio.create_task(desk.execute(request_id, named))
    await called.wait()
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    desk.provider.meanwhile = None
    retried = await desk.execute(request_id, named)
    assert (retried.json()["status"], retried.headers["idempotency-replayed"]) == ("executing", "true")
    assert await desk.recover() == 1
    assert (await desk.shown(request_id))["status"] == "refunded"
    assert desk.provider.made == {desk.provider.calls[0].refund_id: 4_000}


async def test_execution_checks_again_what_is_refundable_and_disputed(desk):
    first, second = await desk.approved(6_000), await desk.approved(6_000)
    assert (await desk.execute(first)).json()["status"] == "refunded"
    refused = await desk.execute(second)
    assert (refused.status_code, refused.json()["code"]) == (409, "not_refundable")
    assert refused.json()["refundable"] == 4_000
    third = await desk.approved(4_000)
    disputed = await dispute(desk.database, desk.payment.id, amount=1_000)
    assert (await desk.execute(third)).json()["code"] == "payment_disputed"
    await end_dispute(desk.database, disputed, "lost")
    assert (await desk.execute(third)).json()["refundable"] == 3_000
    assert len(desk.provider.calls) == 1
    assert await desk.refunded() == 6_000


async def test_a_won_dispute_gives_back(desk):
    request_id = await desk.approved(10_000)
    disputed = await dispute(desk.database, desk.payment.id, amount=10_000)
    assert (await desk.execute(request_id)).json()["code"] == "payment_disputed"
    await end_dispute(desk.database, disputed, "won")
    assert (await desk.execute(request_id)).json()["status"] == "refunded"


async def test_an_approval_that_was_not_used_in_time_expires(desk):
    used, swept = await desk.approved(), await desk.approved()
    async with desk.database.session() as session:
        past = text("update refund_request set expires_at = now() - interval '1 s' where id = :id")
        await session.execute(past, {"id": used})
    for _ in range(2):
        refused = await desk.execute(used)
        assert refused.status_code == 409
    assert (await desk.shown(used))["status"] == "expired"
    assert refused.json()["code"] == "invalid_transition"
    assert await recovery.expire(desk.database) == 0
    assert await recovery.expire(desk.database, now=datetime.now(UTC) + timedelta(hours=73)) >= 1
    assert (await desk.shown(swept))["status"] == "expired"
    assert desk.provider.calls == []


async def test_without_the_payments_provider_nothing_is_reserved(desk, app):
    other = await pay(desk.database, provider="manual")
    request_id = await desk.approved(100, payment=other)
    refused = await desk.execute(request_id)
    assert (refused.status_code, refused.json()["code"]) == (503, "provider_unavailable")
    app.state.billing = replace(app.state.billing, provider=None)
    refused = await desk.execute(await desk.approved(100))
    assert (refused.status_code, refused.json()["code"]) == (503, "provider_unavailable")
    assert await desk.refunded() == 0
    assert await recovery.recover(desk.database, None) == 0


async def test_parallel_executions_of_one_request_make_one_refund(desk):
    request_id = await desk.approved(1_000)
    answers = await asyncio.gather(*(desk.execute(request_id) for _ in range(8)))
    assert sorted(each.status_code for each in answers) == [200] + [409] * 7
    assert len(desk.provider.calls) == 1
    assert await desk.refunded() == 1_000


async def test_every_step_is_an_event_of_who_did_it(desk):
    request_id = await desk.approved()
    shown = (await desk.execute(request_id)).json()
    client = desk.lead.client

    async def told(subject: str) -> list[str]:
        page = await client.get("/v1/events", params={"subject": subject})
        return [each["type"] for each in page.json()["items"]]

    assert await told(f"refund_request:{request_id}") == [
        "refund_request.created",
        "refund_request.approved",
        "refund_request.executing",
        "refund_request.refunded",
    ]
    refund = await told(f"refund:{shown['refund']['id']}")
    assert refund == ["refund.created", "refund.called", "refund.succeeded"]
