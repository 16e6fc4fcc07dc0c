"""Sentences about rows: every number, date and name in one is a field of the record that it cites."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from app.billing.models import Dispute, Invoice, InvoiceLine, Payment, Refund, Subscription
from app.billing.utils.money import formatted
from app.knowledge import RecordCitation, RecordStatement

METHODS = {"card": "card", "sepa_debit": "SEPA direct debit", "bank_transfer": "bank transfer"}


def day(moment: datetime) -> str:
    """``2026-11-01``, in UTC."""
    return f"{moment.astimezone(UTC):%Y-%m-%d}"


def money(amount: int, thing: Any) -> str:
    """An amount in a thing's currency."""
    return formatted(amount, thing.currency, thing.exponent)


def seats_of(subscription: Subscription) -> str:
    """``1 seat``, ``12 seats``."""
    return f"{subscription.quantity} seat" + ("" if subscription.quantity == 1 else "s")


def said(
    text: str,
    *,
    type: str,  # noqa: A002 - as the API calls it
    id: UUID,  # noqa: A002 - likewise
    label: str,
    account_id: UUID,
    **fields: Any,
) -> RecordStatement:
    """A sentence and what it cites; fields without a value are left out."""
    shown = {name: str(value) for name, value in fields.items() if value is not None}
    citation = RecordCitation(type=type, id=id, label=label, fields=shown)
    return RecordStatement(text=text, citation=citation, account_id=account_id)


def label_of(invoice: Invoice) -> str:
    """``invoice BW-2026-004711``."""
    return f"invoice {invoice.number or invoice.external_id}"


def of_invoice(invoice: Invoice, account_id: UUID) -> RecordStatement:
    """What an invoice comes to and where it stands."""
    number, total = invoice.number or invoice.external_id, money(invoice.total, invoice)
    issued = "" if invoice.issued_at is None else f" of {day(invoice.issued_at)}"
    fields: dict[str, Any] = {
        "number": number,
        "total": total,
        "status": invoice.status,
        "issued": None if invoice.issued_at is None else day(invoice.issued_at),
    }
    state = f"it is {invoice.status}"
    if invoice.paid_at is not None and invoice.status == "paid":
        fields["paid"] = day(invoice.paid_at)
        state = f"it was paid on {fields['paid']}"
    elif invoice.owed:
        fields["owed"] = money(invoice.owed, invoice)
        fields["due"] = None if invoice.due_at is None else day(invoice.due_at)
        due = "" if invoice.due_at is None else f", due on {fields['due']}"
        state = f"{fields['owed']} of it is still to be paid{due}"
    tax = ""
    if invoice.tax:
        fields["tax"] = money(invoice.tax, invoice)
        tax = f", {fields['tax']} tax included"
    return said(
        f"Invoice {number}{issued} comes to {total}{tax}; {state}.",
        type="invoice",
        id=invoice.id,
        label=label_of(invoice),
        account_id=account_id,
        **fields,
    )


def of_line(invoice: Invoice, line: InvoiceLine, account_id: UUID) -> RecordStatement:
    """One line of an invoice."""
    amount = money(line.amount, invoice)
    fields: dict[str, Any] = {"description": line.description, "amount": amount, "position": line.position}
    how = ""
    if line.quantity != 1 and line.unit_amount is not None:
        fields |= {"quantity": line.quantity, "unit_amount": money(line.unit_amount, invoice)}
        how = f" ({fields['quantity']} at {fields['unit_amount']} each)"
    tax = ""
    if line.tax_amount:
        fields["tax"] = money(line.tax_amount, invoice)
        tax = f" plus {fields['tax']} tax"
    return said(
        f"Line {line.position} of invoice {invoice.number or invoice.external_id} is"
        f" {line.description}: {amount}{how}{tax}.",
        type="invoice_line",
        id=line.id,
        label=f"{label_of(invoice)} line {line.position}",
        account_id=account_id,
        invoice=invoice.number or invoice.external_id,
        **fields,
    )


def of_tax(invoice: Invoice, account_id: UUID) -> RecordStatement:
    """The tax of an invoice."""
    number = invoice.number or invoice.external_id
    net, tax = money(invoice.subtotal, invoice), money(invoice.tax, invoice)
    text = f"Invoice {number} has {tax} tax on a net amount of {net}."
    if not invoice.tax:
        text = f"No tax was charged on invoice {number}, whose net amount is {net}."
    return said(
        text,
        type="invoice",
        id=invoice.id,
        label=label_of(invoice),
        account_id=account_id,
        number=number,
        subtotal=net,
        tax=tax,
    )


def of_payment(payment: Payment, invoice: Invoice | None, account_id: UUID) -> RecordStatement:
    """A payment that came in, or did not."""
    amount = money(payment.captured or payment.amount, payment)
    number = None if invoice is None else invoice.number or invoice.external_id
    what = "" if number is None else f" for invoice {number}"
    method = METHODS.get(payment.method or "", payment.method)
    by = "" if method is None else f" by {method}"
    moment = payment.paid_at or payment.seen_at or payment.created_at
    fields: dict[str, Any] = {"amount": amount, "invoice": number, "method": method, "status": payment.status}
    fields["date"] = day(moment)
    if payment.status == "succeeded":
        text = f"Your payment of {amount}{what}{by} arrived on {fields['date']}."
    elif payment.status == "failed":
        reason = None if payment.failure_code is None else payment.failure_code.replace("_", " ")
        fields["failure"] = reason
        why = "" if reason is None else f" ({reason})"
        text = f"Your payment of {amount}{what}{by} failed on {fields['date']}{why}."
    else:
        text = f"Your payment of {amount}{what}{by} is {payment.status}, as of {fields['date']}."
    return said(
        text,
        type="payment",
        id=payment.id,
        label=f"payment of {fields['date']}",
        account_id=account_id,
        **fields,
    )


def of_refund(refund: Refund, invoice: Invoice | None, account_id: UUID) -> RecordStatement:
    """Where a refund stands."""
    amount = money(refund.amount, refund)
    number = None if invoice is None else invoice.number or invoice.external_id
    what = "" if number is None else f" for invoice {number}"
    asked = day(min(refund.created_at, refund.succeeded_at or refund.created_at))
    fields: dict[str, Any] = {"amount": amount, "invoice": number, "status": refund.status, "date": asked}
    if refund.status == "succeeded":
        fields["date"] = day(refund.succeeded_at or refund.created_at)
        text = f"A refund of {amount}{what} was paid out on {fields['date']}."
    elif refund.status == "pending":
        text = f"A refund of {amount}{what} is on its way since {asked}."
    else:
        text = f"A refund of {amount}{what} of {asked} is {refund.status}."
    return said(
        text,
        type="refund",
        id=refund.id,
        label=f"refund of {fields['date']}",
        account_id=account_id,
        **fields,
    )


def of_plan(subscription: Subscription, account_id: UUID) -> RecordStatement:
    """What an account subscribes to."""
    price = money(subscription.unit_amount, subscription)
    name = subscription.plan_name or subscription.plan
    per = (
        subscription.interval
        if subscription.interval_count == 1
        else (f"{subscription.interval_count} {subscription.interval}s")
    )
    return said(
        f"You are on the {name} plan with {seats_of(subscription)} at {price} per seat per {per}, net; it is"
        f" {subscription.status.replace('_', ' ')}.",
        type="subscription",
        id=subscription.id,
        label=f"subscription {name}",
        account_id=account_id,
        plan=name,
        seats=subscription.quantity,
        unit_amount=price,
        interval=per,
        status=subscription.status,
    )


def of_renewal(subscription: Subscription, account_id: UUID) -> RecordStatement:
    """When a subscription is billed next, and for how much."""
    name = subscription.plan_name or subscription.plan
    if subscription.cancel_at is not None or subscription.current_period_end is None:
        end = subscription.cancel_at or subscription.ended_at
        date = None if end is None else day(end)
        text = f"Your {name} plan is not billed again" + ("." if date is None else f"; it ends on {date}.")
        return said(
            text,
            type="subscription",
            id=subscription.id,
            label=f"subscription {name}",
            account_id=account_id,
            plan=name,
            ends=date,
        )
    date = day(subscription.current_period_end)
    amount = money(subscription.unit_amount * subscription.quantity, subscription)
    return said(
        f"Your {name} plan is next billed on {date}: {amount} net for {seats_of(subscription)}.",
        type="subscription",
        id=subscription.id,
        label=f"subscription {name}",
        account_id=account_id,
        plan=name,
        date=date,
        amount=amount,
        seats=subscription.quantity,
    )


def of_dispute(dispute: Dispute, account_id: UUID) -> RecordStatement:
    """Where a dispute stands."""
    amount, status = money(dispute.amount, dispute), dispute.status.replace("_", " ")
    opened = None if dispute.opened_at is None else day(dispute.opened_at)
    due = None if dispute.evidence_due_at is None else day(dispute.evidence_due_at)
    since = "" if opened is None else f" opened on {opened}"
    until = ""
    if due is not None and dispute.status in ("needs_response", "warning_needs_response"):
        until = f"; evidence is due by {due}"
    return said(
        f"The dispute of {amount}{since} stands at: {status}{until}.",
        type="dispute",
        id=dispute.id,
        label=f"dispute of {opened or amount}",
        account_id=account_id,
        amount=amount,
        status=status,
        opened=opened,
        evidence_due=due if until else None,
    )
