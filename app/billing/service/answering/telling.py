"""Answers from an account's own rows: ``knowledge.Records`` of this desk."""

from __future__ import annotations

from calendar import month_name
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Select, extract, func, or_, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import InstrumentedAttribute, aliased

from app.billing.constants import DESK, InvoiceStatus, PaymentStatus, SubscriptionStatus
from app.billing.models import Dispute, Invoice, InvoiceLine, Payment, Refund, Subscription
from app.billing.service import ledger
from app.billing.service.access import sees_money_of
from app.billing.service.answering import sentences
from app.billing.utils.money import formatted
from app.billing.utils.questions import Question, Topic, understood
from app.identity.models import Account
from app.identity.principal import Principal
from app.knowledge import RecordStatement, Told

SHOWN = 5  # rows of a kind in one answer
LINES_SHOWN = 12
WINDOW = timedelta(hours=72)  # between two payments that may be one charged twice
NOTHING = Told(statements=())
ISSUED = (InvoiceStatus.open, InvoiceStatus.paid, InvoiceStatus.uncollectible)
LIVE = (
    SubscriptionStatus.trialing,
    SubscriptionStatus.active,
    SubscriptionStatus.past_due,
    SubscriptionStatus.unpaid,
    SubscriptionStatus.paused,
)
Statements = list[RecordStatement]


class BillingRecords:
    """What an account owes, paid, got back and subscribes to, each sentence from SQL.

    Customers are told about their own account alone, if they may see it; the staff about the account that
    they name. An invoice of another account is as if it did not exist.
    """

    name = DESK

    async def tell(
        self,
        session: AsyncSession,
        question: str,
        *,
        principal: Principal,
        account_id: UUID | None = None,
    ) -> Told | None:
        """See ``knowledge.Records``."""
        asked = understood(question)
        if asked is None:
            return None
        owner = account_id if principal.is_staff else principal.account_id
        if owner is None:
            return None if principal.is_staff or principal.account_id is None else NOTHING
        if not asked.own or not sees_money_of(principal, owner):
            return NOTHING
        invoice = None
        if asked.number is not None:
            invoice = await _invoice(session, owner, asked.number)
            if invoice is None:
                return NOTHING
        statements = await _TELLERS[asked.topic](session, owner, asked, invoice)
        if not statements:
            return NOTHING
        return Told(
            statements=tuple(statements),
            rules=asked.rules,
            as_of=None if invoice is None else invoice.issued_at,
        )


async def _invoice(session: AsyncSession, account_id: UUID, number: str) -> Invoice | None:
    statement = select(Invoice).where(
        Invoice.account_id == account_id, func.lower(Invoice.number) == number.lower()
    )
    return await session.scalar(statement.limit(1))


def _invoices(account_id: UUID, asked: Question) -> Select[Invoice]:
    order = (Invoice.issued_at.asc().nulls_last(), Invoice.id.asc())
    times = _within(Invoice.issued_at, asked)
    if asked.ordinal == "last":
        order = (Invoice.issued_at.desc().nulls_last(), Invoice.id.desc())
    return (
        select(Invoice)
        .where(Invoice.account_id == account_id, Invoice.status.in_(ISSUED), *times)
        .order_by(*order)
    )


def _within(
    moment: ColumnElement[datetime] | InstrumentedAttribute[datetime | None], asked: Question
) -> list[ColumnElement[bool]]:
    """That a time is in the month that is asked for, in UTC."""
    local = func.timezone("UTC", moment)
    named = (("month", asked.month), ("year", asked.year))
    return [extract(part, local) == value for part, value in named if value is not None]


def _when(asked: Question) -> str:
    """`` in March 2026``; nothing when no month is asked for."""
    if asked.month is None:
        return ""
    return f" in {month_name[asked.month]}" + ("" if asked.year is None else f" {asked.year}")


async def _one(
    session: AsyncSession, account_id: UUID, asked: Question, invoice: Invoice | None
) -> Invoice | None:
    """The invoice that is named, or else the last (first) one."""
    return invoice or await session.scalar(_invoices(account_id, asked).limit(1))


async def _tell_invoice(
    session: AsyncSession, account_id: UUID, asked: Question, invoice: Invoice | None
) -> Statements:
    found = await _one(session, account_id, asked, invoice)
    return [] if found is None else [sentences.of_invoice(found, account_id)]


async def _tell_lines(
    session: AsyncSession, account_id: UUID, asked: Question, invoice: Invoice | None
) -> Statements:
    found = await _one(session, account_id, asked, invoice)
    if found is None:
        return []
    statement = select(InvoiceLine).where(InvoiceLine.invoice_id == found.id).order_by(InvoiceLine.position)
    lines = await session.scalars(statement.limit(LINES_SHOWN))
    return [
        sentences.of_invoice(found, account_id),
        *(sentences.of_line(found, line, account_id) for line in lines),
    ]


async def _tell_tax(
    session: AsyncSession, account_id: UUID, asked: Question, invoice: Invoice | None
) -> Statements:
    found = await _one(session, account_id, asked, invoice)
    return [] if found is None else [sentences.of_tax(found, account_id)]


async def _tell_owed(
    session: AsyncSession, account_id: UUID, asked: Question, invoice: Invoice | None
) -> Statements:
    """The sum a currency, and the invoices that it is made of."""
    if invoice is not None:
        return [sentences.of_invoice(invoice, account_id)]
    statement = (
        select(Invoice)
        .where(Invoice.account_id == account_id)
        .where(Invoice.status.in_((InvoiceStatus.open, InvoiceStatus.uncollectible)))
        .order_by(Invoice.due_at.asc().nulls_last(), Invoice.id)
    )
    owing = [each for each in await session.scalars(statement) if each.owed]
    if not owing:
        return [await _account(session, account_id, "You owe nothing at the moment.")]
    sums: dict[tuple[str, int], int] = {}
    for each in owing:
        key = (each.currency, each.exponent)
        sums[key] = sums.get(key, 0) + each.owed
    total = " and ".join(
        formatted(amount, currency, exponent) for (currency, exponent), amount in sums.items()
    )
    invoices = "1 invoice" if len(owing) == 1 else f"{len(owing)} invoices"
    first = await _account(
        session, account_id, f"You owe {total} on {invoices}.", owed=total, invoices=len(owing)
    )
    return [first, *(sentences.of_invoice(each, account_id) for each in owing[:SHOWN])]


async def _tell_payment(
    session: AsyncSession, account_id: UUID, asked: Question, invoice: Invoice | None
) -> Statements:
    payments = _payments(account_id, asked, invoice)
    if invoice is None:
        payments = payments.where(Payment.status != PaymentStatus.failed).limit(1)
    found = await _paid(session, account_id, payments)
    if not found and invoice is not None:
        return [sentences.of_invoice(invoice, account_id)]
    return found


async def _tell_failed(
    session: AsyncSession, account_id: UUID, asked: Question, invoice: Invoice | None
) -> Statements:
    failed = _payments(account_id, asked, invoice).where(Payment.status == PaymentStatus.failed)
    found = await _paid(session, account_id, failed)
    if found:
        return found
    text = f"No payment of yours has failed{_when(asked)}."
    if invoice is None:
        return [await _account(session, account_id, text)]
    return [
        await _none(session, account_id, invoice, "No payment for invoice {} has failed.", text),
        sentences.of_invoice(invoice, account_id),
    ]


async def _tell_refund(
    session: AsyncSession, account_id: UUID, asked: Question, invoice: Invoice | None
) -> Statements:
    statement = (
        select(Refund, Invoice)
        .join(Payment, Payment.id == Refund.payment_id)
        .outerjoin(Invoice, Invoice.id == Payment.invoice_id)
        .where(Refund.account_id == account_id)
        .order_by(Refund.created_at.desc(), Refund.id.desc())
    )
    if invoice is not None:
        statement = statement.where(Payment.invoice_id == invoice.id)
    found = await session.execute(statement.limit(SHOWN))
    told = [sentences.of_refund(refund, bill, account_id) for refund, bill in found]
    if told:
        return told
    here, anywhere = "No refund was made for invoice {}.", "No refund was made to your account."
    return [await _none(session, account_id, invoice, here, anywhere)]


async def _tell_credit(
    session: AsyncSession, account_id: UUID, asked: Question, invoice: Invoice | None
) -> Statements:
    """From the ledger, whose book of credit is the truth."""
    told = []
    for balance in await ledger.balances(session, account_id):
        if balance.credit:
            amount = formatted(balance.credit, balance.currency, balance.exponent)
            text = f"You have {amount} of account credit."
            told.append(await _account(session, account_id, text, credit=amount))
    return told or [await _account(session, account_id, "You have no account credit.")]


async def _tell_plan(
    session: AsyncSession, account_id: UUID, asked: Question, invoice: Invoice | None
) -> Statements:
    found = await _subscriptions(session, account_id)
    return [sentences.of_plan(each, account_id) for each in found] or [
        await _account(session, account_id, "You have no running subscription.")
    ]


async def _tell_renewal(
    session: AsyncSession, account_id: UUID, asked: Question, invoice: Invoice | None
) -> Statements:
    found = await _subscriptions(session, account_id)
    return [sentences.of_renewal(each, account_id) for each in found] or [
        await _account(session, account_id, "You have no running subscription.")
    ]


async def _tell_dispute(
    session: AsyncSession, account_id: UUID, asked: Question, invoice: Invoice | None
) -> Statements:
    statement = (
        select(Dispute)
        .where(Dispute.account_id == account_id)
        .order_by(Dispute.opened_at.desc().nulls_last(), Dispute.id.desc())
    )
    if invoice is not None:
        statement = statement.join(Payment, Payment.id == Dispute.payment_id).where(
            Payment.invoice_id == invoice.id
        )
    found = await session.scalars(statement.limit(SHOWN))
    told = [sentences.of_dispute(each, account_id) for each in found]
    here, anywhere = "No payment for invoice {} is disputed.", "None of your payments is disputed."
    return told or [await _none(session, account_id, invoice, here, anywhere)]


async def _tell_duplicate(
    session: AsyncSession, account_id: UUID, asked: Question, invoice: Invoice | None
) -> Statements:
    """Payments of one amount within three days of each other, the newest pair."""
    first, second = aliased(Payment), aliased(Payment)
    statement = (
        select(first, second)
        .join(
            second,
            (second.account_id == first.account_id)
            & (second.currency == first.currency)
            & (second.captured == first.captured)
            & (second.paid_at >= first.paid_at)
            & (second.id != first.id),
        )
        .where(
            first.account_id == account_id,
            first.status == PaymentStatus.succeeded,
            second.status == PaymentStatus.succeeded,
            first.captured > 0,
            second.paid_at - first.paid_at <= WINDOW,
            *([] if invoice is not None else _within(second.paid_at, asked)),
        )
        .order_by(second.paid_at.desc())
        .limit(1)
    )
    if invoice is not None:
        statement = statement.where(or_(first.invoice_id == invoice.id, second.invoice_id == invoice.id))
    pair = (await session.execute(statement)).one_or_none()
    if pair is None:
        here = "No payment for invoice {} looks like one charged twice."
        anywhere = f"No two payments of yours{_when(asked)} look like one charged twice."
        return [await _none(session, account_id, invoice, here, anywhere)]
    told = []
    for payment in pair:
        bill = None if payment.invoice_id is None else await session.get(Invoice, payment.invoice_id)
        told.append(sentences.of_payment(payment, bill, account_id))
    refunds = await session.execute(
        select(Refund, Invoice)
        .join(Payment, Payment.id == Refund.payment_id)
        .outerjoin(Invoice, Invoice.id == Payment.invoice_id)
        .where(Refund.payment_id.in_([payment.id for payment in pair]))
    )
    return told + [sentences.of_refund(refund, bill, account_id) for refund, bill in refunds]


def _payments(account_id: UUID, asked: Question, invoice: Invoice | None) -> Select[Payment, Invoice]:
    moment = func.coalesce(Payment.paid_at, Payment.seen_at, Payment.created_at)
    order = (moment.asc(), Payment.id.asc())
    if asked.ordinal == "last":
        order = (moment.desc(), Payment.id.desc())
    statement = (
        select(Payment, Invoice)
        .outerjoin(Invoice, Invoice.id == Payment.invoice_id)
        .where(Payment.account_id == account_id)
        .order_by(*order)
        .limit(SHOWN)
    )
    if invoice is not None:
        return statement.where(Payment.invoice_id == invoice.id)
    return statement.where(*_within(moment, asked))


async def _paid(session: AsyncSession, account_id: UUID, statement: Select[Payment, Invoice]) -> Statements:
    found = await session.execute(statement)
    return [sentences.of_payment(payment, bill, account_id) for payment, bill in found]


async def _subscriptions(session: AsyncSession, account_id: UUID) -> Sequence[Subscription]:
    statement = (
        select(Subscription)
        .where(Subscription.account_id == account_id, Subscription.status.in_(LIVE))
        .order_by(Subscription.started_at.desc().nulls_last(), Subscription.id)
        .limit(SHOWN)
    )
    return (await session.scalars(statement)).all()


async def _none(
    session: AsyncSession, account_id: UUID, invoice: Invoice | None, here: str, anywhere: str
) -> RecordStatement:
    """That there is nothing of a kind, for the invoice that is named or anywhere; of one, it is said of that
    one alone."""
    if invoice is None:
        return await _account(session, account_id, anywhere)
    number = invoice.number or invoice.external_id
    return sentences.said(
        here.format(number),
        type="invoice",
        id=invoice.id,
        label=sentences.label_of(invoice),
        account_id=account_id,
        number=number,
    )


async def _account(session: AsyncSession, account_id: UUID, text: str, **fields: Any) -> RecordStatement:
    """A sentence about the account as a whole."""
    account = await session.get_one(Account, account_id)
    return sentences.said(
        text,
        type="account",
        id=account_id,
        label=f"account {account.name}",
        account_id=account_id,
        **fields,
    )


_TELLERS: Mapping[Topic, Callable[[AsyncSession, UUID, Question, Invoice | None], Awaitable[Statements]]] = {
    Topic.owed: _tell_owed,
    Topic.lines: _tell_lines,
    Topic.tax: _tell_tax,
    Topic.invoice: _tell_invoice,
    Topic.payment: _tell_payment,
    Topic.failed: _tell_failed,
    Topic.refund: _tell_refund,
    Topic.credit: _tell_credit,
    Topic.plan: _tell_plan,
    Topic.renewal: _tell_renewal,
    Topic.dispute: _tell_dispute,
    Topic.duplicate: _tell_duplicate,
}
