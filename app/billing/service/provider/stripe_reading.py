"""Stripe's events as what they say about our mirror: pure functions from JSON to calls.

Both the shapes before and after the API versions of 2025 are understood, where invoices lost ``charge``,
``payment_intent``, ``subscription`` and ``tax``, and subscriptions their period. What an event does not tell
is left out, never guessed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Any
from uuid import UUID

from app.billing.constants import (
    CreditNoteStatus,
    DisputeStatus,
    InvoiceStatus,
    PaymentStatus,
    RefundStatus,
    SubscriptionStatus,
)
from app.billing.exceptions import InvalidEventError
from app.billing.providers.stripe_amounts import from_stripe
from app.billing.service.mirror.lines import LineHeard

Object = Mapping[str, Any]

PAYMENT_STATUSES: Mapping[str, PaymentStatus] = {
    "succeeded": PaymentStatus.succeeded,
    "canceled": PaymentStatus.canceled,
    "failed": PaymentStatus.failed,
}
REFUND_STATUSES: Mapping[str, RefundStatus] = {
    "succeeded": RefundStatus.succeeded,
    "failed": RefundStatus.failed,
    "canceled": RefundStatus.canceled,
}
DECIDED = frozenset({DisputeStatus.won, DisputeStatus.lost, DisputeStatus.warning_closed, "prevented"})
ADJUSTMENT = "Discounts and adjustments"
WHOLE_MAX = 10**13  # minor units; a hundred of them in one, where Stripe counts coarser, stay in bounds


@dataclass(frozen=True, kw_only=True, slots=True)
class Call:
    """``mirror.record_<thing>(…, external_id, **values)``."""

    thing: str
    external_id: str
    values: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, slots=True)
class StripeEvent:
    """An event that was read; without calls when it says nothing that the mirror holds."""

    id: str
    type: str
    at: datetime
    object_id: str | None
    calls: list[Call]


def read(event: Any) -> StripeEvent:
    """What an event says. ``InvalidEventError`` for what is none, or lacks what its kind must have."""
    if not isinstance(event, dict):
        raise _invalid("event", "Not an object")
    event = _storable(event)
    kind, identity = _text(event, "type"), _text(event, "id")
    data = event.get("data")
    thing = data.get("object") if isinstance(data, dict) else None
    if not isinstance(thing, dict):
        raise _invalid("data.object", "Not an object")
    at = _moment(event.get("created"))
    if at is None:
        raise _invalid("created", "Not a Unix time")
    reader = _reader(kind)
    object_id = thing.get("id")
    return StripeEvent(
        id=identity,
        type=kind,
        at=at,
        object_id=object_id if isinstance(object_id, str) else None,
        calls=[] if reader is None else reader(kind, thing, at),
    )


def _reader(kind: str) -> Callable[[str, Object, datetime], list[Call]] | None:
    return next((reader for prefix, reader in READERS if kind.startswith(prefix)), None)


def _customer(kind: str, thing: Object, at: datetime) -> list[Call]:
    if kind == "customer.deleted":
        return []
    metadata = _object(thing, "metadata")
    account = metadata.get("account") or metadata.get("account_id")
    return [Call(thing="customer", external_id=_text(thing, "id"), values={"account": account})]


def _subscription(kind: str, thing: Object, at: datetime) -> list[Call]:
    items = _list(_object(thing, "items"), "data")
    item: Object = items[0] if items else {}
    price = _object(item, "price") or _object(item, "plan") or _object(thing, "plan")
    recurring = _object(price, "recurring") or price
    currency = _currency(thing if thing.get("currency") else price)
    unit = price.get("unit_amount", price.get("amount"))
    period = thing if thing.get("current_period_end") else item
    values = {
        "customer": _ref(thing.get("customer")),
        "currency": currency,
        "plan": str(price.get("id") or "unknown"),
        "plan_name": str(price.get("nickname") or _ref(price.get("product")) or price.get("id") or ""),
        "status": _of(SubscriptionStatus, thing, "status"),
        "quantity": _whole(item.get("quantity", thing.get("quantity")), default=1),
        "unit_amount": from_stripe(_whole(unit, default=0), currency),
        "interval": recurring.get("interval") or "month",
        "interval_count": _whole(recurring.get("interval_count"), default=1),
        "started_at": _moment(thing.get("start_date")),
        "current_period_start": _moment(period.get("current_period_start")),
        "current_period_end": _moment(period.get("current_period_end")),
        "cancel_at": _moment(thing.get("cancel_at")),
        "canceled_at": _moment(thing.get("canceled_at")),
        "ended_at": _moment(thing.get("ended_at")),
    }
    return [Call(thing="subscription", external_id=_text(thing, "id"), values=values)]


def _invoice(kind: str, thing: Object, at: datetime) -> list[Call]:
    if not thing.get("id"):
        return []  # an upcoming invoice is a preview
    currency = _currency(thing)
    total = from_stripe(_whole(thing.get("total"), default=0), currency)
    tax = from_stripe(_tax(thing), currency)
    changes = _object(thing, "status_transitions")
    subscription = thing.get("subscription") or _object(_object(thing, "parent"), "subscription_details").get(
        "subscription"
    )
    start = _whole(thing.get("starting_balance"), default=0)
    end = _whole(thing.get("ending_balance"), default=start)
    values = {
        "customer": _ref(thing.get("customer")),
        "currency": currency,
        "number": thing.get("number"),
        "status": _of(InvoiceStatus, thing, "status", default=InvoiceStatus.draft),
        "subscription": _ref(subscription),
        "total": total,
        "tax": tax,
        "subtotal": total - tax,
        "paid": from_stripe(_whole(thing.get("amount_paid"), default=0), currency),
        "credit_applied": from_stripe(max(0, end - start), currency),
        "description": thing.get("description"),
        "issued_at": _moment(changes.get("finalized_at")) or _moment(thing.get("created")),
        "due_at": _moment(thing.get("due_date")),
        "paid_at": _moment(changes.get("paid_at")),
        "voided_at": _moment(changes.get("voided_at")),
        "lines": _lines(_list(_object(thing, "lines"), "data"), currency, total - tax),
    }
    found = [Call(thing="invoice", external_id=_text(thing, "id"), values=values)]
    payment, charge = _ref(thing.get("payment_intent")), _ref(thing.get("charge"))
    if (payment or charge) and values["status"] == InvoiceStatus.paid:
        found.append(_link(payment, charge, _text(thing, "id"), currency))
    return found


def _lines(lines: Sequence[Object], currency: str, subtotal: int) -> list[LineHeard]:
    """Net amounts; what discounts take from the sum is one more line, so that the lines sum to it."""
    found = [_line(line, currency) for line in lines]
    rest = subtotal - sum(line.amount for line in found)
    if rest and found:
        found.append(LineHeard(description=ADJUSTMENT, amount=rest, tax_amount=0))
    return found


def _line(line: Object, currency: str) -> LineHeard:
    taxes = [*_list(line, "taxes"), *_list(line, "tax_amounts")]
    inclusive = sum(
        _whole(tax.get("amount"), default=0)
        for tax in taxes
        if tax.get("inclusive") or tax.get("tax_behavior") == "inclusive"
    )
    tax = sum(_whole(each.get("amount"), default=0) for each in taxes)
    price = _object(line, "price")
    unit = price.get("unit_amount")
    period = _object(line, "period")
    rates = [_decimal(rate.get("percentage")) for rate in _list(line, "tax_rates")]
    net = _whole(line.get("amount"), default=0) - inclusive
    rate = sum(rates, Decimal(0)) if rates else _rate(tax, net)
    return LineHeard(
        description=str(line.get("description") or price.get("nickname") or "Item")[:500],
        amount=from_stripe(net, currency),
        tax_rate=rate,
        tax_amount=from_stripe(tax, currency),
        quantity=_whole(line.get("quantity"), default=1),
        unit_amount=None if unit is None else from_stripe(_whole(unit, default=0), currency),
        external_id=line.get("id"),
        period_start=_moment(period.get("start")),
        period_end=_moment(period.get("end")),
    )


def _rate(tax: int, net: int) -> Decimal:
    """The percentage that the tax comes to, where only the amounts are told; to a hundredth."""
    if not net or not tax:
        return Decimal(0)
    return (Decimal(tax * 100) / net).quantize(Decimal("0.01"))


def _intent(kind: str, thing: Object, at: datetime) -> list[Call]:
    currency = _currency(thing)
    status = PAYMENT_STATUSES.get(str(thing.get("status")), PaymentStatus.pending)
    if kind == "payment_intent.payment_failed":
        status = PaymentStatus.failed
    captured = _whole(thing.get("amount_received"), default=0)
    values = {
        "customer": _ref(thing.get("customer")),
        "currency": currency,
        "charge": _ref(thing.get("latest_charge")),
        "invoice": _ref(thing.get("invoice")),
        "status": status,
        "amount": from_stripe(_whole(thing.get("amount"), default=0), currency),
        "captured": from_stripe(captured, currency),
        "failure_code": _object(thing, "last_payment_error").get("code"),
        "description": thing.get("description"),
    }
    return [Call(thing="payment", external_id=_text(thing, "id"), values=values)]


def _charge(kind: str, thing: Object, at: datetime) -> list[Call]:
    currency, identity = _currency(thing), _text(thing, "id")
    captured = _whole(
        thing.get("amount_captured"),
        default=_whole(thing.get("amount"), default=0) if thing.get("captured") else 0,
    )
    status = PAYMENT_STATUSES.get(str(thing.get("status")), PaymentStatus.pending)
    if status is PaymentStatus.succeeded and not captured:
        status = PaymentStatus.pending  # authorised and not captured yet
    values = {
        "customer": _ref(thing.get("customer")),
        "currency": currency,
        "charge": identity,
        "invoice": _ref(thing.get("invoice")),
        "status": status,
        "amount": from_stripe(_whole(thing.get("amount"), default=0), currency),
        "captured": from_stripe(captured, currency),
        "method": _object(thing, "payment_method_details").get("type"),
        "failure_code": thing.get("failure_code"),
        "description": thing.get("description"),
        "paid_at": _moment(thing.get("created")) if status is PaymentStatus.succeeded else None,
    }
    payment = _ref(thing.get("payment_intent")) or identity
    calls = [Call(thing="payment", external_id=payment, values=values)]
    for refund in _list(_object(thing, "refunds"), "data"):
        calls += _refund(kind, refund, at)
    return calls


def _refund(kind: str, thing: Object, at: datetime) -> list[Call]:
    currency = _currency(thing)
    values = {
        "currency": currency,
        "amount": from_stripe(_whole(thing.get("amount"), default=0), currency),
        "status": REFUND_STATUSES.get(str(thing.get("status")), RefundStatus.pending),
        "payment": _ref(thing.get("payment_intent")),
        "charge": _ref(thing.get("charge")),
        "refund_id": _uuid(_object(thing, "metadata").get("refund_id")),
        "reason": thing.get("reason"),
        "failure_reason": thing.get("failure_reason"),
    }
    if not values["payment"] and not values["charge"]:
        return []  # of a payment that Stripe does not hold
    return [Call(thing="refund", external_id=_text(thing, "id"), values=values)]


def _dispute(kind: str, thing: Object, at: datetime) -> list[Call]:
    currency = _currency(thing)
    status = _of(DisputeStatus, thing, "status")
    values = {
        "currency": currency,
        "amount": from_stripe(_whole(thing.get("amount"), default=0), currency),
        "status": status,
        "payment": _ref(thing.get("payment_intent")),
        "charge": _ref(thing.get("charge")),
        "reason": thing.get("reason"),
        "opened_at": _moment(thing.get("created")),
        "evidence_due_at": _moment(_object(thing, "evidence_details").get("due_by")),
        "closed_at": at if status in DECIDED else None,
    }
    if not values["payment"] and not values["charge"]:
        raise _invalid("data.object.charge", "Missing")
    return [Call(thing="dispute", external_id=_text(thing, "id"), values=values)]


def _credit_note(kind: str, thing: Object, at: datetime) -> list[Call]:
    currency = _currency(thing)
    total = from_stripe(_whole(thing.get("total"), default=0), currency)
    if total <= 0:
        return []
    tax = from_stripe(_tax(thing), currency)
    before = thing.get("pre_payment_amount")
    if before is None:
        before = thing.get("total") if thing.get("type") == "pre_payment" else 0
    reduces = from_stripe(_whole(before, default=0), currency)
    outside = from_stripe(_whole(thing.get("out_of_band_amount"), default=0), currency)
    refunds = _list(thing, "refunds")
    refunded = sum(_whole(each.get("amount_refunded"), default=0) for each in refunds)
    rest = total - reduces - outside - from_stripe(refunded, currency)
    refund_amount = from_stripe(refunded, currency)
    credit = 0
    if rest and thing.get("customer_balance_transaction"):
        credit, rest = rest, 0
    if rest and thing.get("refund"):
        refund_amount, rest = refund_amount + rest, 0
    values = {
        "customer": _ref(thing.get("customer")),
        "currency": currency,
        "invoice": _ref(thing.get("invoice")),
        "number": thing.get("number"),
        "status": _of(CreditNoteStatus, thing, "status"),
        "reason": thing.get("reason"),
        "total": total,
        "tax": tax,
        "subtotal": total - tax,
        "reduces": reduces,
        "refund_amount": refund_amount,
        "credit_amount": credit,
        "out_of_band_amount": outside + rest,
        "issued_at": _moment(thing.get("created")),
        "voided_at": _moment(thing.get("voided_at")),
    }
    if not values["invoice"]:
        raise _invalid("data.object.invoice", "Missing")
    return [Call(thing="credit_note", external_id=_text(thing, "id"), values=values)]


def _invoice_payment(kind: str, thing: Object, at: datetime) -> list[Call]:
    """Which payment paid an invoice, since invoices do not say it themselves any more."""
    payment = _object(thing, "payment")
    intent, charge, invoice = (
        _ref(payment.get("payment_intent")),
        _ref(payment.get("charge")),
        _ref(thing.get("invoice")),
    )
    if kind != "invoice_payment.paid" or invoice is None or not (intent or charge):
        return []
    return [_link(intent, charge, invoice, _currency(thing))]


def _link(payment: str | None, charge: str | None, invoice: str, currency: str) -> Call:
    values = {"payment": payment, "charge": charge, "currency": currency}
    return Call(thing="invoice_payment", external_id=invoice, values=values)


# The first prefix that fits.
READERS: Sequence[tuple[str, Callable[[str, Object, datetime], list[Call]]]] = (
    ("customer.subscription.", _subscription),
    *((f"customer.{each}", _customer) for each in ("created", "updated", "deleted")),
    ("invoice_payment.", _invoice_payment),
    *(
        (f"invoice.{each}", _invoice)
        for each in (
            *("created", "finalized", "updated", "paid", "payment_succeeded", "payment_failed"),
            *("payment_action_required", "voided", "marked_uncollectible", "sent", "overdue"),
        )
    ),
    ("payment_intent.", _intent),
    ("charge.dispute.", _dispute),
    ("charge.refund.", _refund),
    ("charge.", _charge),
    ("refund.", _refund),
    ("credit_note.", _credit_note),
)


def _storable(value: Any) -> Any:
    """Without NUL, which the database takes in no text."""
    if isinstance(value, str):
        return value.replace("\0", "")
    if isinstance(value, dict):
        return {_storable(name): _storable(each) for name, each in value.items()}
    return [_storable(each) for each in value] if isinstance(value, list) else value


def _tax(thing: Object) -> int:
    if thing.get("total_taxes") or thing.get("total_tax_amounts"):
        taxes = [*_list(thing, "total_taxes")] or [*_list(thing, "total_tax_amounts")]
        return sum(_whole(each.get("amount"), default=0) for each in taxes)
    if thing.get("tax") is not None:
        return _whole(thing.get("tax"), default=0)
    if thing.get("total_excluding_tax") is not None:
        return _whole(thing.get("total"), default=0) - _whole(thing.get("total_excluding_tax"), default=0)
    return 0


def _text(thing: Object, name: str) -> str:
    value = thing.get(name)
    if not isinstance(value, str) or not value or len(value) > 255:
        raise _invalid(name, "Not a text of 1 to 255 characters")
    return value


def _object(thing: Object, name: str) -> Object:
    value = thing.get(name)
    return value if isinstance(value, dict) else {}


def _list(thing: Object, name: str) -> list[Object]:
    value = thing.get(name)
    return [each for each in value if isinstance(each, dict)] if isinstance(value, list) else []


def _ref(value: Any) -> str | None:
    """An id, or the id of what was expanded in its place."""
    found = value.get("id") if isinstance(value, dict) else value
    return found if isinstance(found, str) and found else None


def _currency(thing: Object) -> str:
    value = thing.get("currency")
    if not isinstance(value, str):
        raise _invalid("currency", "Missing")
    return value.upper()


def _whole(value: Any, *, default: int) -> int:
    if value is None:
        return default
    if not isinstance(value, int) or isinstance(value, bool) or abs(value) > WHOLE_MAX:
        raise _invalid("amount", "Not an integer of what is known here")
    return value


def _decimal(value: Any) -> Decimal:
    try:
        found = Decimal(str(value or 0))
        is_percentage = 0 <= found <= 100
    except InvalidOperation:  # no number, or NaN, which does not compare
        is_percentage = False
    if not is_percentage:
        raise _invalid("percentage", "Not a number from 0 to 100")
    return found


def _moment(value: Any) -> datetime | None:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < 2**33:
        return None
    return datetime.fromtimestamp(value, UTC)


def _uuid(value: Any) -> UUID | None:
    try:
        return UUID(value) if isinstance(value, str) else None
    except ValueError:
        return None


def _of(states: Any, thing: Object, name: str, *, default: Any = None) -> Any:
    value = thing.get(name)
    if value is None and default is not None:
        return default
    try:
        return states(value)
    except ValueError:
        raise _invalid(f"data.object.{name}", "Unknown") from None


def _invalid(field_name: str, message: str) -> InvalidEventError:
    return InvalidEventError(
        "The event cannot be understood.", errors=[{"field": field_name, "message": message}]
    )
