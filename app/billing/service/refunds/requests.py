"""Refund requests: asked for, changed, taken back, listed."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy import Select, select, true
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from app.billing.constants import REQUEST_PREFIX, RefundReason, RequestStatus
from app.billing.exceptions import (
    CurrencyMismatchError,
    PaymentNotFoundError,
    RequestTransitionError,
    UnknownReferenceError,
)
from app.billing.models import Payment, RefundRequest
from app.billing.service import cases, payments
from app.billing.service.access import money_of
from app.billing.service.refunds.changes import (
    TOLD,
    change,
    check_transition,
    follow,
    identity_of,
    lock,
    record,
)
from app.exceptions import PermissionDeniedError
from app.identity.principal import Principal
from app.listing import Listing, any_of, within
from app.numbers import Numbering
from app.preconditions import ANYTHING, Expected
from app.redaction import redact

NUMBERS = Numbering(REQUEST_PREFIX)
REQUESTS = Listing(
    RefundRequest,
    sorts={
        "created_at": RefundRequest.created_at,
        "updated_at": RefundRequest.updated_at,
        "number": RefundRequest.number,
        "amount": RefundRequest.amount,
        "expires_at": RefundRequest.expires_at,
    },
    default="-created_at",
)


class RequestFilter(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What requests are wanted: each member that is given must hold, any of its values will do."""

    status: Sequence[RequestStatus] | None = None
    account_id: Sequence[UUID] | None = None
    payment_id: Sequence[UUID] | None = None
    invoice_id: Sequence[UUID] | None = None
    case_id: Sequence[UUID] | None = None
    credit_note_id: Sequence[UUID] | None = None
    issue_id: Sequence[UUID] | None = None
    currency: Sequence[str] | None = None
    reason: Sequence[RefundReason] | None = None
    number: Sequence[str] | None = None
    created_after: datetime | None = None
    created_before: datetime | None = None


async def create(
    session: AsyncSession,
    *,
    actor: Principal,
    payment_id: UUID,
    amount: int,
    currency: str,
    reason: RefundReason | str,
    note: str = "",
    case_id: UUID | None = None,
    issue_id: UUID | None = None,
    credit_note_id: UUID | None = None,
) -> RefundRequest:
    """Ask for ``amount`` minor units of a payment to go back. Nothing is reserved by it.

    ``UnknownReferenceError`` for a payment or case that there is not, or that is another account's;
    ``CurrencyMismatchError``, ``NotRefundableError``, ``PaymentDisputedError``, ``PermissionDeniedError``.
    """
    if issue_id is not None and not actor.is_staff:
        raise PermissionDeniedError("Only staff link a known issue.", fields=["issue_id"])
    payment = await _payment(session, payment_id, actor)
    if currency != payment.currency:
        raise CurrencyMismatchError(
            f"The payment is in {payment.currency}.", currency=payment.currency, exponent=payment.exponent
        )
    await payments.check_refundable(session, payment, amount)
    if case_id is not None:
        await cases.check(session, case_id, account_id=payment.account_id, principal=actor)
    values: dict[str, Any] = {
        "payment_id": payment.id,
        "account_id": payment.account_id,
        "case_id": case_id,
        "issue_id": issue_id,
        "credit_note_id": credit_note_id,
        "amount": amount,
        "currency": payment.currency,
        "exponent": payment.exponent,
        "reason": RefundReason(reason),
        "note": redact(note),
        "requested_by": identity_of(actor),
        "requested_by_id": actor.person_id,
    }
    request = (await session.scalars(insert(RefundRequest).values(values).returning(RefundRequest))).one()
    after = {name: getattr(request, name) for name in TOLD}
    await record(session, "refund_request.created", request, actor=actor, after=after)
    await follow(session, request, actor=actor)
    return request


async def _payment(session: AsyncSession, payment_id: UUID, actor: Principal) -> Payment:
    try:
        return await payments.lock(session, payment_id, principal=actor)
    except PaymentNotFoundError as error:
        raise UnknownReferenceError("There is no such payment.", field="payment_id") from error


async def update(
    session: AsyncSession, request_id: UUID, *, actor: Principal, note: str, expected: Expected = ANYTHING
) -> RefundRequest:
    """Change the note of a request that nobody has decided yet. Errors as ``cancel``."""
    request = await lock(session, request_id, principal=actor)
    _check_own(request, actor)
    expected.check(request.version)
    if request.status != RequestStatus.requested:
        raise RequestTransitionError(
            f"A refund request that is {request.status} is not changed any more.",
            current=request.status,
            allowed=[],
        )
    return await change(session, request, {"note": redact(note)}, actor=actor)


async def cancel(
    session: AsyncSession, request_id: UUID, *, actor: Principal, expected: Expected = ANYTHING
) -> RefundRequest:
    """Take back what has not been executed; by who asked for it or the staff.

    ``RefundRequestNotFoundError``, ``RequestTransitionError``, ``PermissionDeniedError``,
    ``VersionMismatchError``.
    """
    request = await lock(session, request_id, principal=actor)
    _check_own(request, actor)
    expected.check(request.version)
    check_transition(request, RequestStatus.canceled)
    return await change(session, request, {"status": RequestStatus.canceled}, actor=actor)


def _check_own(request: RefundRequest, actor: Principal) -> None:
    if not actor.is_staff and request.requested_by != identity_of(actor):
        raise PermissionDeniedError("Somebody else asked for this refund.")


def wanted(principal: Principal, asked: RequestFilter) -> Select[RefundRequest]:
    """The requests that the caller may see and that the filter wants, without an order.

    ``PermissionDeniedError`` when a customer filters by what only the staff see.
    """
    if asked.issue_id is not None and not principal.is_staff:
        raise PermissionDeniedError("Only staff filter by issue_id.", fields=["issue_id"])
    of_invoice = true()
    if asked.invoice_id is not None:
        paid = select(Payment.id).where(Payment.invoice_id.in_(list(asked.invoice_id)))
        of_invoice = RefundRequest.payment_id.in_(paid)  # type: ignore[assignment]  # both are conditions
    return select(RefundRequest).where(
        money_of(principal, RefundRequest.account_id),
        any_of(RefundRequest.status, asked.status),
        any_of(RefundRequest.account_id, asked.account_id),
        any_of(RefundRequest.payment_id, asked.payment_id),
        any_of(RefundRequest.case_id, asked.case_id),
        any_of(RefundRequest.credit_note_id, asked.credit_note_id),
        any_of(RefundRequest.issue_id, asked.issue_id),
        any_of(RefundRequest.currency, asked.currency),
        any_of(RefundRequest.reason, asked.reason),
        any_of(RefundRequest.number, _numbers(asked.number)),
        of_invoice,
        within(RefundRequest.created_at, asked.created_after, asked.created_before),
    )


def number_of(number: int) -> str:
    """``REF-7`` of 7."""
    return NUMBERS.shown(number)


def _numbers(texts: Sequence[str] | None) -> list[int] | None:
    if texts is None:
        return None
    return [number for each in texts if (number := NUMBERS.parse(each)) is not None]
