"""Things of a provider or of a system that is not connected, handed in as they are there."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

from msgspec import structs
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from app.billing.constants import PaymentStatus, Provider
from app.billing.exceptions import ContradictionError, CurrencyMismatchError, UnknownReferenceError
from app.billing.models import CreditNote, Dispute, Invoice, Payment, Refund, Subscription
from app.billing.schemas.mirror_imports import (
    CreditNoteImport,
    DisputeImport,
    ImportItem,
    ImportOutcome,
    ImportResult,
    InvoiceImport,
    InvoiceLineImport,
    OwnedImport,
    PaymentImport,
    RefundImport,
    SubscriptionImport,
)
from app.billing.service import mirror
from app.billing.service.mirror import Heard, LineHeard
from app.billing.utils.moments import in_utc
from app.exceptions import InvalidError
from app.identity.models import Account
from app.identity.principal import Principal

AHEAD = timedelta(days=1)  # how far a source's clock may be ahead; a state of next year would hold until then
COMMON = frozenset(each.name for each in structs.fields(OwnedImport))  # handed on one by one


@dataclass(frozen=True, slots=True)
class Kind:
    """Where things of a kind are kept, and what takes them."""

    model: Any
    record: Callable[..., Awaitable[Any]]


KINDS: Mapping[type[ImportItem], Kind] = {
    SubscriptionImport: Kind(Subscription, mirror.record_subscription),
    InvoiceImport: Kind(Invoice, mirror.record_invoice),
    PaymentImport: Kind(Payment, mirror.record_payment),
    RefundImport: Kind(Refund, mirror.record_refund),
    DisputeImport: Kind(Dispute, mirror.record_dispute),
    CreditNoteImport: Kind(CreditNote, mirror.record_credit_note),
}


async def take(
    session: AsyncSession, item: ImportItem, *, provider: Provider, actor: Principal
) -> ImportOutcome:
    """Take one item: made when it is new, brought to its state unless a later one is known.

    Errors: ``UnknownReferenceError`` for an account that does not exist, ``ContradictionError``,
    ``CurrencyMismatchError``, ``UnknownCurrencyError``, ``InvalidError`` for times out of range.
    """
    kind = KINDS[type(item)]
    columns = [kind.model.id, kind.model.version, kind.model.seen_at, kind.model.status]
    known = (
        await session.execute(
            select(*columns).where(
                kind.model.provider == provider, kind.model.external_id == item.external_id
            )
        )
    ).one_or_none()
    values = _values(item)
    at = _at(item)
    if isinstance(item, RefundImport) and item.at is None and known and known.status == item.status:
        at = known.seen_at or at  # said again: it happened when it did
    if isinstance(item, OwnedImport):
        values |= {"customer": item.customer, "account_id": await _account_id(session, item)}
    heard = Heard(provider=provider, at=at)
    row = await kind.record(session, heard, item.external_id, currency=item.currency, actor=actor, **values)
    await _check_currency(session, row)
    return ImportOutcome(id=row.id, external_id=item.external_id, result=_result(known, row))


def _result(known: Any, row: Any) -> ImportResult:
    if known is None or known.seen_at is None:
        return ImportResult.created
    return ImportResult.unchanged if row.version == known.version else ImportResult.updated


def _at(item: ImportItem) -> datetime:
    now = datetime.now(UTC)
    at = in_utc(item.at, field="at") or now
    if at > now + AHEAD:
        raise InvalidError("at: In the future", errors=[{"field": "at", "message": "In the future"}])
    return at


async def _account_id(session: AsyncSession, item: OwnedImport) -> UUID | None:
    if item.account_id is None and item.account is None:
        return None
    field = "account" if item.account_id is None else "account_id"
    statement = select(Account.id)
    if item.account_id is not None:
        statement = statement.where(Account.id == item.account_id)
    if item.account is not None:
        statement = statement.where(Account.external_id == item.account)
    found = await session.scalar(statement)
    if found is None:
        raise UnknownReferenceError(
            "There is no such account.", field=field, errors=[{"field": field, "message": "Unknown"}]
        )
    return found


async def _check_currency(session: AsyncSession, row: Any) -> None:
    """What is taken from a payment or an invoice is in its currency."""
    of: Payment | Invoice | None = None
    if isinstance(row, (Refund, Dispute)):
        of = await session.get_one(Payment, row.payment_id)
    elif isinstance(row, CreditNote) or (isinstance(row, Payment) and row.invoice_id is not None):
        of = await session.get_one(Invoice, row.invoice_id)
    if of is not None and of.currency != row.currency:
        raise CurrencyMismatchError(f"It is in {of.currency}.", currency=of.currency)


def _values(item: ImportItem) -> dict[str, Any]:
    """The item's own members as the mirror takes them."""
    values = {
        name: in_utc(value, field=name) if isinstance(value, datetime) else value
        for name, value in structs.asdict(item).items()
        if name not in COMMON
    }
    if isinstance(item, SubscriptionImport):
        values["plan_name"] = item.plan_name or item.plan
    elif isinstance(item, InvoiceImport):
        values["lines"] = None if item.lines is None else [_line(each) for each in item.lines]
    elif isinstance(item, PaymentImport):
        values |= _captured(item)
    elif isinstance(item, CreditNoteImport):
        values |= _allocated(item)
    return values


def _line(line: InvoiceLineImport) -> LineHeard:
    values = structs.asdict(line) | {
        "tax_rate": Decimal(line.tax_rate),
        "period_start": in_utc(line.period_start, field="period_start"),
        "period_end": in_utc(line.period_end, field="period_end"),
    }
    return LineHeard(**values)


def _captured(item: PaymentImport) -> dict[str, Any]:
    succeeded = item.status is PaymentStatus.succeeded
    captured = item.captured if item.captured is not None else item.amount * succeeded
    if captured > item.amount * succeeded:
        raise _contradiction("captured", "More than the amount of a payment that succeeded")
    paid_at = in_utc(item.paid_at or (item.at if succeeded else None), field="paid_at")
    return {"captured": captured, "paid_at": paid_at}


def _allocated(item: CreditNoteImport) -> dict[str, Any]:
    total = item.subtotal + item.tax
    rest = total - item.reduces - item.refund_amount - item.credit_amount
    if total == 0:
        raise _contradiction("subtotal", "A note is of more than nothing")
    if rest < 0:
        raise _contradiction("reduces", f"The parts exceed the total of {total}")
    return {"total": total, "out_of_band_amount": rest}


def _contradiction(field: str, message: str) -> ContradictionError:
    return ContradictionError(
        "The amounts contradict each other.", errors=[{"field": field, "message": message}]
    )
