"""Stripe's events as what they say about our mirror: pure functions from JSON to calls.

Both the shapes before and after the API versions of 2025 are understood, where invoices lost ``charge``,
``payment_intent``, ``subscription`` and ``tax``, and subscriptions their period. What an event does not tell
is left out, never guessed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from app.billing.constants import SubscriptionStatus
from app.billing.providers.stripe_amounts import from_stripe
from app.billing.service.provider.stripe.invoices import read_credit_note, read_invoice, read_invoice_payment
from app.billing.service.provider.stripe.payments import read_charge, read_dispute, read_intent, read_refund
from app.billing.service.provider.stripe.shapes import (
    Call,
    Object,
    currency_of,
    invalid,
    list_of,
    moment,
    object_of,
    one_of,
    reference,
    storable,
    text_of,
    whole,
)


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
        raise invalid("event", "Not an object")
    event = storable(event)
    kind, identity = text_of(event, "type"), text_of(event, "id")
    data = event.get("data")
    thing = data.get("object") if isinstance(data, dict) else None
    if not isinstance(thing, dict):
        raise invalid("data.object", "Not an object")
    at = moment(event.get("created"))
    if at is None:
        raise invalid("created", "Not a Unix time")
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
    metadata = object_of(thing, "metadata")
    account = metadata.get("account") or metadata.get("account_id")
    return [Call(thing="customer", external_id=text_of(thing, "id"), values={"account": account})]


def _subscription(kind: str, thing: Object, at: datetime) -> list[Call]:
    items = list_of(object_of(thing, "items"), "data")
    item: Object = items[0] if items else {}
    price = object_of(item, "price") or object_of(item, "plan") or object_of(thing, "plan")
    recurring = object_of(price, "recurring") or price
    currency = currency_of(thing if thing.get("currency") else price)
    unit = price.get("unit_amount", price.get("amount"))
    period = thing if thing.get("current_period_end") else item
    values = {
        "customer": reference(thing.get("customer")),
        "currency": currency,
        "plan": str(price.get("id") or "unknown"),
        "plan_name": str(price.get("nickname") or reference(price.get("product")) or price.get("id") or ""),
        "status": one_of(SubscriptionStatus, thing, "status"),
        "quantity": whole(item.get("quantity", thing.get("quantity")), default=1),
        "unit_amount": from_stripe(whole(unit, default=0), currency),
        "interval": recurring.get("interval") or "month",
        "interval_count": whole(recurring.get("interval_count"), default=1),
        "started_at": moment(thing.get("start_date")),
        "current_period_start": moment(period.get("current_period_start")),
        "current_period_end": moment(period.get("current_period_end")),
        "cancel_at": moment(thing.get("cancel_at")),
        "canceled_at": moment(thing.get("canceled_at")),
        "ended_at": moment(thing.get("ended_at")),
    }
    return [Call(thing="subscription", external_id=text_of(thing, "id"), values=values)]


# The first prefix that fits.
READERS: Sequence[tuple[str, Callable[[str, Object, datetime], list[Call]]]] = (
    ("customer.subscription.", _subscription),
    *((f"customer.{each}", _customer) for each in ("created", "updated", "deleted")),
    ("invoice_payment.", read_invoice_payment),
    *(
        (f"invoice.{each}", read_invoice)
        for each in (
            *("created", "finalized", "updated", "paid", "payment_succeeded", "payment_failed"),
            *("payment_action_required", "voided", "marked_uncollectible", "sent", "overdue"),
        )
    ),
    ("payment_intent.", read_intent),
    ("charge.dispute.", read_dispute),
    ("charge.refund.", read_refund),
    ("charge.", read_charge),
    ("refund.", read_refund),
    ("credit_note.", read_credit_note),
)
