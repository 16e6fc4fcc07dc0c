"""Any sequence of requests, approvals, executions, faults and disputes, beside a plain model of the rules."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.billing.constants import RefundStatus
from app.billing.exceptions import NotRefundableError, PaymentDisputedError, RequestTransitionError
from app.billing.models import Payment, Refund
from app.billing.service import payments
from app.billing.service.refunds import approvals, changes, execution, recovery, requests, state
from app.database import Database
from app.exceptions import TrideskError
from app.identity import SYSTEM, Principal, PrincipalKind, Role
from tests.billing.refunding import ToldProvider, books, dispute, end_dispute, pay

CAPTURED = 100
EXAMPLES = 25
ASKER, APPROVER = (
    Principal(
        kind=PrincipalKind.api_key,
        role=Role.admin,
        person_id=None,
        account_id=None,
        name=name,
        key_id=uuid4(),
    )
    for name in ("asker", "approver")
)
AMOUNTS = st.one_of(st.integers(1, CAPTURED // 3), st.integers(1, CAPTURED + 10))
PLACES = st.integers(0, 30)
FAULTS = st.sampled_from(["succeed", "refuse", "lose_answer", "lose_request", "pend", "killed"])
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("refund"), AMOUNTS, FAULTS),
        st.tuples(st.just("ask"), AMOUNTS),
        st.tuples(st.just("approve"), PLACES),
        st.tuples(st.just("execute"), PLACES, FAULTS),
        st.tuples(st.just("recover")),
        st.tuples(st.just("hear"), PLACES, st.sampled_from(list(RefundStatus))),
        st.tuples(st.just("dispute"), AMOUNTS),
        st.tuples(st.sampled_from(["win", "lose"])),
    ),
    min_size=8,
    max_size=30,
)
RANK = {"pending": 0, "succeeded": 1, "canceled": 1, "failed": 2}


@dataclass
class Asked:
    """One request, by the model: where it stands, and its refund's status once there is one."""

    id: UUID
    amount: int
    status: str = "requested"
    refund: str | None = None
    in_work: bool = False  # the provider has given it an id


@dataclass
class Model:
    """The rules in a few lines, over one payment."""

    asked: list[Asked] = field(default_factory=list)
    disputed: int | None = None
    lost: int = 0

    @property
    def out(self) -> int:
        return sum(each.amount for each in self.asked if each.refund in {"pending", "succeeded"})

    def refusal(self, amount: int) -> type[TrideskError] | None:
        if self.disputed is not None:
            return PaymentDisputedError
        return NotRefundableError if amount > CAPTURED - self.out - self.lost else None

    def move(self, one: Asked, to: str) -> None:
        if RANK[to] < RANK[str(one.refund)]:
            return
        one.refund = to
        one.status = {"pending": "executing", "succeeded": "refunded"}.get(to, "failed")


@dataclass
class Played:
    """The real desk, doing what the model does."""

    database: Database
    payment: Payment
    model: Model = field(default_factory=Model)
    provider: ToldProvider = field(default_factory=ToldProvider)
    dispute_id: UUID | None = None

    async def refund(self, amount: int, fault: str) -> None:
        """The whole way."""
        before = len(self.model.asked)
        await self.ask(amount)
        if len(self.model.asked) > before:
            await self.approve(before)
            await self.execute(before, fault)

    async def ask(self, amount: int) -> None:
        given: dict[str, Any] = {"payment_id": self.payment.id, "amount": amount, "currency": "EUR"}
        made = await self._try(
            self.model.refusal(amount), requests.create, actor=ASKER, reason="other", **given
        )
        if made is not None:
            self.model.asked.append(Asked(made.id, amount))

    async def approve(self, place: int) -> None:
        if (one := self._one(place)) is None:
            return
        refusal = self.model.refusal(one.amount) if one.status == "requested" else RequestTransitionError
        if await self._try(refusal, approvals.approve, one.id, actor=APPROVER) is not None:
            one.status = "approved"

    async def execute(self, place: int, fault: str) -> None:
        if (one := self._one(place)) is None:
            return
        refusal = self.model.refusal(one.amount) if one.status == "approved" else RequestTransitionError
        done = await self._try(refusal, execution.reserve, one.id, provider=self.provider, actor=ASKER)
        if done is None:
            return
        one.status, one.refund = "executing", "pending"
        if fault == "killed":
            return
        self.provider.script = [fault]
        _, answer = await execution.attempt(self.database, self.provider, done.refund_id)
        async with self.database.session() as session:
            await execution.settle(session, done.refund_id, answer, actor=ASKER)
        one.in_work = fault == "pend"
        ends = {"succeed": "succeeded", "refuse": "failed"}
        self.model.move(one, ends.get(fault, "pending"))

    async def recover(self) -> None:
        self.provider.script = []
        await recovery.recover(self.database, self.provider, now=datetime.now(UTC) + timedelta(hours=2))
        for each in self.model.asked:
            if each.refund == "pending" and not each.in_work:
                self.model.move(each, "succeeded")

    async def hear(self, place: int, to: RefundStatus) -> None:
        """The provider tells of what it has; of what it does not have it tells nothing."""
        one = self._one(place)
        if one is None or one.refund is None or not (one.in_work or one.refund != "pending"):
            return
        async with self.database.session() as session:
            await payments.lock(session, self.payment.id)
            request = await changes.get(session, one.id)
            refund = await session.get_one(Refund, request.refund_id)
            if RANK[to] == RANK[refund.status] and to != refund.status:
                return  # which of the two ends holds is told by the provider's clock, before
            await state.move(session, refund, to, at=datetime.now(UTC), actor=SYSTEM, heard=True)
        self.model.move(one, to.value)

    async def dispute(self, amount: int) -> None:
        """A bank takes what is there and not more."""
        amount = min(amount, CAPTURED - self.model.out - self.model.lost)
        if self.model.disputed is None and amount > 0:
            self.dispute_id = await dispute(self.database, self.payment.id, amount=amount)
            self.model.disputed = amount

    async def win(self) -> None:
        await self._end("won")

    async def lose(self) -> None:
        self.model.lost += self.model.disputed or 0
        await self._end("lost")

    async def _end(self, status: str) -> None:
        if self.dispute_id is not None:
            await end_dispute(self.database, self.dispute_id, status)
        self.dispute_id = self.model.disputed = None

    async def _try(
        self, refusal: type[TrideskError] | None, act: Callable[..., Any], *names: Any, **given: Any
    ) -> Any:
        """What it did in a transaction of its own; None when it was refused as the model says."""
        if refusal is None:
            async with self.database.session() as session:
                return await act(session, *names, **given)
        with pytest.raises(refusal):
            async with self.database.session() as session:
                await act(session, *names, **given)
        return None

    def _one(self, place: int) -> Asked | None:
        return self.model.asked[place % len(self.model.asked)] if self.model.asked else None

    async def check(self) -> None:
        """The rows, the sums and the ledger are the model's."""
        async with self.database.session() as session:
            payment = await payments.get(session, self.payment.id, principal=SYSTEM)
            stand = [(await changes.get(session, each.id)).status for each in self.model.asked]
        model, out = self.model, self.model.out
        assert stand == [each.status for each in model.asked]
        assert (payment.refunded, payment.lost, payment.overdrawn) == (out, model.lost, 0)
        assert out + model.lost <= CAPTURED
        pending = sum(each.amount for each in model.asked if each.refund == "pending")
        held = model.disputed or 0
        told = {
            "receivable": -CAPTURED,
            "refunds": out,
            "refunds_payable": -pending,
            "disputes_held": held,
            "disputes_lost": model.lost,
            "cash": CAPTURED - (out - pending) - held - model.lost,
        }
        assert await books(self.database, self.payment.id) == {
            book: amount for book, amount in told.items() if amount
        }


async def play(database: Database, steps: list[tuple[Any, ...]]) -> None:
    payment = await pay(database, captured=CAPTURED)
    played = Played(database, payment, provider=ToldProvider(payment=payment.external_id))
    for name, *details in steps:
        await getattr(played, name)(*details)
        await played.check()
    await played.recover()
    await played.check()
    made = sum(played.provider.made.values())
    assert made >= sum(each.amount for each in played.model.asked if each.refund == "succeeded")
    assert not [each for each in played.model.asked if each.refund == "pending" and not each.in_work]


@given(steps=STEPS)
@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
async def test_whatever_happens_in_whatever_order_the_rules_hold(database, steps):
    await play(database, steps)


@pytest.mark.proof
@given(steps=STEPS)
@settings(max_examples=1_000, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
async def test_whatever_happens_the_rules_hold_at_length(database, steps):
    await play(database, steps)
