"""Making a refund: reserve, commit, call the provider, settle (rule 2 of the desk).

No transaction is open while the provider is called. Each step can be the last one of a killed process:

- reserved: the refund is pending and counts; ``recovery`` calls;
- claimed (``attempts``, ``called_at``): the provider may have been called; ``recovery`` calls again with the
  refund's id, which the provider takes once;
- called, not settled: likewise.
"""

from __future__ import annotations

import asyncio
import logging
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from app.billing.constants import RefundStatus, RequestStatus
from app.billing.exceptions import ApprovalExpiredError, NotRefundableError, ProviderUnavailableError
from app.billing.models import Payment, Refund, RefundRequest
from app.billing.providers.base import (
    PaymentProvider,
    ProviderRefusedError,
    ProviderUnknownError,
    RefundOrder,
    RefundReceipt,
)
from app.billing.service import ledger, payments
from app.billing.service.refunds import policies, state
from app.billing.service.refunds.changes import change, check_transition, get, lock
from app.database import Database
from app.identity.principal import SYSTEM, Principal
from app.preconditions import ANYTHING, Expected

logger = logging.getLogger(__name__)

FRESH = {"populate_existing": True}
GRACE = timedelta(seconds=30)  # until a reserve that nobody called for is taken over
CALL_SECONDS = 25.0  # of one call; less than the first wait, so that calls of one refund hardly overlap
LONGEST_WAIT = timedelta(hours=1)


async def reserve(
    session: AsyncSession,
    request_id: UUID,
    *,
    provider: PaymentProvider | None,
    actor: Principal,
    expected: Expected = ANYTHING,
) -> RefundRequest:
    """Take the money out of what is refundable: a pending refund, and the request ``executing``.

    The payment is locked before anything is summed. A request whose approval ran out comes back ``expired``,
    for the caller to commit and then ``check_reserved``. ``NotRefundableError``, ``PaymentDisputedError``,
    ``ProviderUnavailableError``, ``RequestTransitionError``, ``VersionMismatchError``.
    """
    found = await get(session, request_id, principal=actor)
    payment = await payments.lock(session, found.payment_id)
    request = await lock(session, request_id, principal=actor)
    expected.check(request.version)
    check_transition(request, RequestStatus.executing)
    now = datetime.now(UTC)
    if request.expires_at is not None and request.expires_at <= now:
        return await change(session, request, {"status": RequestStatus.expired}, actor=SYSTEM)
    if provider is None or provider.name != payment.provider:
        raise ProviderUnavailableError(
            "The provider of this payment is not connected.", provider=payment.provider
        )
    await payments.check_refundable(session, payment, request.amount)
    refund = await _insert(session, payment, request, now)
    try:
        await payments.recount(session, payment, heard=False)
    except IntegrityError as error:  # the table's check, in case the column had lost count
        raise NotRefundableError("The payment does not have that much left.") from error
    await ledger.bring_up(session, refund)
    await state.record(session, "refund.created", refund, actor=actor, after=_told(refund))
    in_force = (await policies.current(session)).version
    values = {"status": RequestStatus.executing, "refund_id": refund.id, "executed_at": now}
    return await change(session, request, values, actor=actor, told={"policy_in_force": in_force})


def check_reserved(request: RefundRequest) -> None:
    """``ApprovalExpiredError`` for what ``reserve`` found expired."""
    if request.status == RequestStatus.expired:
        raise ApprovalExpiredError("The approval has expired; ask for the refund anew.")


async def _insert(session: AsyncSession, payment: Payment, request: RefundRequest, now: datetime) -> Refund:
    values: dict[str, Any] = {
        "provider": payment.provider,
        "payment_id": payment.id,
        "account_id": payment.account_id,
        "amount": request.amount,
        "currency": request.currency,
        "exponent": request.exponent,
        "reason": request.reason,
        "next_attempt_at": now + GRACE,
    }
    return (await session.scalars(insert(Refund).values(values).returning(Refund))).one()


def _told(refund: Refund) -> dict[str, Any]:
    return {name: getattr(refund, name) for name in ("status", "amount", "currency", "exponent", "reason")}


async def claim(session: AsyncSession, refund_id: UUID, *, attempt: int | None = None) -> RefundOrder | None:
    """Note that the provider is about to be called, for the caller to commit before it calls.

    ``attempt``: how many there have been; None when there have been more, or nothing is to be called.
    """
    refund = await session.get(Refund, refund_id, with_for_update={"key_share": True}, populate_existing=True)
    if refund is None or refund.status != RefundStatus.pending or refund.external_id is not None:
        return None
    if attempt is not None and refund.attempts != attempt:
        return None
    now = datetime.now(UTC)
    values = {
        "attempts": refund.attempts + 1,
        "called_at": now,
        "next_attempt_at": now + _wait(refund.attempts + 1),
    }
    statement = (
        update(Refund)
        .where(Refund.id == refund_id)
        .values(version=Refund.version + 1, updated_at=func.now(), **values)
        .returning(Refund)
    )
    refund = (await session.scalars(statement, execution_options=FRESH)).one()
    after = {"attempts": refund.attempts, "called_at": now}
    await state.record(session, "refund.called", refund, actor=SYSTEM, after=after, customer_visible=False)
    payment = await session.get_one(Payment, refund.payment_id)
    return RefundOrder(
        refund_id=refund.id,
        payment=payment.external_id,
        charge=payment.charge_id,
        amount=refund.amount,
        currency=refund.currency,
        reason=refund.reason,
    )


async def give_up(session: AsyncSession, refund: Refund) -> None:
    """Call no more for a locked refund: what became of it comes by an event or an import, or from people.

    It goes on counting as refunded until then.
    """
    statement = (
        update(Refund)
        .where(Refund.id == refund.id)
        .values(version=Refund.version + 1, updated_at=func.now(), next_attempt_at=None)
        .returning(Refund)
    )
    refund = (await session.scalars(statement, execution_options=FRESH)).one()
    logger.error("nobody knows what became of refund %s: look it up at the provider", refund.id)
    after = {"attempts": refund.attempts, "called_at": refund.called_at}
    await state.record(
        session, "refund.unresolved", refund, actor=SYSTEM, after=after, customer_visible=False
    )


def _wait(attempts: int) -> timedelta:
    """30 s, 1 min, 2 min … an hour."""
    return min(GRACE * (1 << min(attempts - 1, 10)), LONGEST_WAIT)


async def call(provider: PaymentProvider, order: RefundOrder) -> RefundReceipt | ProviderRefusedError | None:
    """What the provider says; None: nobody knows, to be asked again. No transaction is open meanwhile."""
    try:
        async with asyncio.timeout(CALL_SECONDS):
            return await provider.refund(order)
    except ProviderRefusedError as refusal:
        return refusal
    except (ProviderUnknownError, TimeoutError):
        return None
    except Exception as error:  # noqa: BLE001 - whatever broke, the provider may have done it
        logger.warning("the provider's answer to a refund was not understood: %s", type(error).__name__)
        return None


async def settle(
    session: AsyncSession,
    refund_id: UUID,
    answer: RefundReceipt | ProviderRefusedError | None,
    *,
    actor: Principal,
) -> Refund:
    """Write down what came of the call; a refusal releases what was reserved."""
    payment_id = (await session.scalars(select(Refund.payment_id).where(Refund.id == refund_id))).one()
    await payments.lock(session, payment_id)
    refund = await session.get_one(Refund, refund_id, populate_existing=True)
    at = refund.succeeded_at or refund.failed_at or datetime.now(UTC)  # an event may have come before
    if isinstance(answer, RefundReceipt):
        return await state.move(
            session,
            refund,
            answer.status,
            at=at,
            actor=actor,
            external_id=answer.external_id,
            failure_reason=answer.failure_reason,
            heard=True,
        )
    if isinstance(answer, ProviderRefusedError):
        return await state.move(
            session,
            refund,
            RefundStatus.failed,
            at=at,
            actor=actor,
            failure_reason=answer.reason,
            heard=True,
        )
    return refund


async def attempt(
    database: Database, provider: PaymentProvider, refund_id: UUID
) -> tuple[bool, RefundReceipt | ProviderRefusedError | None]:
    """Claim a refund that nobody has called for yet, and call: (whether it was called, the answer)."""
    async with database.session() as session:
        order = await claim(session, refund_id, attempt=0)
    if order is None:
        return False, None
    return True, await call(provider, order)
