"""Stripe's invoices, their lines and payments, and credit notes."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal

from app.billing.constants import CreditNoteStatus, InvoiceStatus
from app.billing.providers.stripe_amounts import from_stripe
from app.billing.service.mirror.lines import LineHeard
from app.billing.service.provider.stripe.shapes import (
    Call,
    Object,
    currency_of,
    decimal_of,
    invalid,
    list_of,
    moment,
    object_of,
    one_of,
    reference,
    tax_of,
    text_of,
    whole,
)

ADJUSTMENT = "Discounts and adjustments"


def read_invoice(kind: str, thing: Object, at: datetime) -> list[Call]:
    if not thing.get("id"):
        return []  # an upcoming invoice is a preview
    currency = currency_of(thing)
    total = from_stripe(whole(thing.get("total"), default=0), currency)
    tax = from_stripe(tax_of(thing), currency)
    changes = object_of(thing, "status_transitions")
    subscription = thing.get("subscription") or object_of(
        object_of(thing, "parent"), "subscription_details"
    ).get("subscription")
    start = whole(thing.get("starting_balance"), default=0)
    end = whole(thing.get("ending_balance"), default=start)
    values = {
        "customer": reference(thing.get("customer")),
        "currency": currency,
        "number": thing.get("number"),
        "status": one_of(InvoiceStatus, thing, "status", default=InvoiceStatus.draft),
        "subscription": reference(subscription),
        "total": total,
        "tax": tax,
        "subtotal": total - tax,
        "paid": from_stripe(whole(thing.get("amount_paid"), default=0), currency),
        "credit_applied": from_stripe(max(0, end - start), currency),
        "description": thing.get("description"),
        "issued_at": moment(changes.get("finalized_at")) or moment(thing.get("created")),
        "due_at": moment(thing.get("due_date")),
        "paid_at": moment(changes.get("paid_at")),
        "voided_at": moment(changes.get("voided_at")),
        "lines": _lines(list_of(object_of(thing, "lines"), "data"), currency, total - tax),
    }
    found = [Call(thing="invoice", external_id=text_of(thing, "id"), values=values)]
    payment, charge = reference(thing.get("payment_intent")), reference(thing.get("charge"))
    if (payment or charge) and values["status"] == InvoiceStatus.paid:
        found.append(_link(payment, charge, text_of(thing, "id"), currency))
    return found


def _lines(lines: Sequence[Object], currency: str, subtotal: int) -> list[LineHeard]:
    """Net amounts; what discounts take from the sum is one more line, so that the lines sum to it."""
    found = [_line(line, currency) for line in lines]
    rest = subtotal - sum(line.amount for line in found)
    if rest and found:
        found.append(LineHeard(description=ADJUSTMENT, amount=rest, tax_amount=0))
    return found


def _line(line: Object, currency: str) -> LineHeard:
    taxes = [*list_of(line, "taxes"), *list_of(line, "tax_amounts")]
    inclusive = sum(
        whole(tax.get("amount"), default=0)
        for tax in taxes
        if tax.get("inclusive") or tax.get("tax_behavior") == "inclusive"
    )
    tax = sum(whole(each.get("amount"), default=0) for each in taxes)
    price = object_of(line, "price")
    unit = price.get("unit_amount")
    period = object_of(line, "period")
    rates = [decimal_of(rate.get("percentage")) for rate in list_of(line, "tax_rates")]
    net = whole(line.get("amount"), default=0) - inclusive
    rate = sum(rates, Decimal(0)) if rates else _rate(tax, net)
    return LineHeard(
        description=str(line.get("description") or price.get("nickname") or "Item")[:500],
        amount=from_stripe(net, currency),
        tax_rate=rate,
        tax_amount=from_stripe(tax, currency),
        quantity=whole(line.get("quantity"), default=1),
        unit_amount=None if unit is None else from_stripe(whole(unit, default=0), currency),
        external_id=line.get("id"),
        period_start=moment(period.get("start")),
        period_end=moment(period.get("end")),
    )


def _rate(tax: int, net: int) -> Decimal:
    """The percentage that the tax comes to, where only the amounts are told; to a hundredth."""
    if not net or not tax:
        return Decimal(0)
    return (Decimal(tax * 100) / net).quantize(Decimal("0.01"))


def read_credit_note(kind: str, thing: Object, at: datetime) -> list[Call]:
    currency = currency_of(thing)
    total = from_stripe(whole(thing.get("total"), default=0), currency)
    if total <= 0:
        return []
    tax = from_stripe(tax_of(thing), currency)
    before = thing.get("pre_payment_amount")
    if before is None:
        before = thing.get("total") if thing.get("type") == "pre_payment" else 0
    reduces = from_stripe(whole(before, default=0), currency)
    outside = from_stripe(whole(thing.get("out_of_band_amount"), default=0), currency)
    refunds = list_of(thing, "refunds")
    refunded = sum(whole(each.get("amount_refunded"), default=0) for each in refunds)
    rest = total - reduces - outside - from_stripe(refunded, currency)
    refund_amount = from_stripe(refunded, currency)
    credit = 0
    if rest and thing.get("customer_balance_transaction"):
        credit, rest = rest, 0
    if rest and thing.get("refund"):
        refund_amount, rest = refund_amount + rest, 0
    values = {
        "customer": reference(thing.get("customer")),
        "currency": currency,
        "invoice": reference(thing.get("invoice")),
        "number": thing.get("number"),
        "status": one_of(CreditNoteStatus, thing, "status"),
        "reason": thing.get("reason"),
        "total": total,
        "tax": tax,
        "subtotal": total - tax,
        "reduces": reduces,
        "refund_amount": refund_amount,
        "credit_amount": credit,
        "out_of_band_amount": outside + rest,
        "issued_at": moment(thing.get("created")),
        "voided_at": moment(thing.get("voided_at")),
    }
    if not values["invoice"]:
        raise invalid("data.object.invoice", "Missing")
    return [Call(thing="credit_note", external_id=text_of(thing, "id"), values=values)]


def read_invoice_payment(kind: str, thing: Object, at: datetime) -> list[Call]:
    """Which payment paid an invoice, since invoices do not say it themselves any more."""
    payment = object_of(thing, "payment")
    intent, charge, invoice = (
        reference(payment.get("payment_intent")),
        reference(payment.get("charge")),
        reference(thing.get("invoice")),
    )
    if kind != "invoice_payment.paid" or invoice is None or not (intent or charge):
        return []
    return [_link(intent, charge, invoice, currency_of(thing))]


def _link(payment: str | None, charge: str | None, invoice: str, currency: str) -> Call:
    values = {"payment": payment, "charge": charge, "currency": currency}
    return Call(thing="invoice_payment", external_id=invoice, values=values)
