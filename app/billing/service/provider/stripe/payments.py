"""Stripe's payment intents, charges, refunds and disputes."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from app.billing.constants import DisputeStatus, PaymentStatus, RefundStatus
from app.billing.providers.stripe_amounts import from_stripe
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
    text_of,
    uuid_of,
    whole,
)

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


def read_intent(kind: str, thing: Object, at: datetime) -> list[Call]:
    currency = currency_of(thing)
    status = PAYMENT_STATUSES.get(str(thing.get("status")), PaymentStatus.pending)
    if kind == "payment_intent.payment_failed":
        status = PaymentStatus.failed
    captured = whole(thing.get("amount_received"), default=0)
    values = {
        "customer": reference(thing.get("customer")),
        "currency": currency,
        "charge": reference(thing.get("latest_charge")),
        "invoice": reference(thing.get("invoice")),
        "status": status,
        "amount": from_stripe(whole(thing.get("amount"), default=0), currency),
        "captured": from_stripe(captured, currency),
        "failure_code": object_of(thing, "last_payment_error").get("code"),
        "description": thing.get("description"),
    }
    return [Call(thing="payment", external_id=text_of(thing, "id"), values=values)]


def read_charge(kind: str, thing: Object, at: datetime) -> list[Call]:
    currency, identity = currency_of(thing), text_of(thing, "id")
    captured = whole(
        thing.get("amount_captured"),
        default=whole(thing.get("amount"), default=0) if thing.get("captured") else 0,
    )
    status = PAYMENT_STATUSES.get(str(thing.get("status")), PaymentStatus.pending)
    if status is PaymentStatus.succeeded and not captured:
        status = PaymentStatus.pending  # authorised and not captured yet
    values = {
        "customer": reference(thing.get("customer")),
        "currency": currency,
        "charge": identity,
        "invoice": reference(thing.get("invoice")),
        "status": status,
        "amount": from_stripe(whole(thing.get("amount"), default=0), currency),
        "captured": from_stripe(captured, currency),
        "method": object_of(thing, "payment_method_details").get("type"),
        "failure_code": thing.get("failure_code"),
        "description": thing.get("description"),
        "paid_at": moment(thing.get("created")) if status is PaymentStatus.succeeded else None,
    }
    payment = reference(thing.get("payment_intent")) or identity
    calls = [Call(thing="payment", external_id=payment, values=values)]
    for refund in list_of(object_of(thing, "refunds"), "data"):
        calls += read_refund(kind, refund, at)
    return calls


def read_refund(kind: str, thing: Object, at: datetime) -> list[Call]:
    currency = currency_of(thing)
    values = {
        "currency": currency,
        "amount": from_stripe(whole(thing.get("amount"), default=0), currency),
        "status": REFUND_STATUSES.get(str(thing.get("status")), RefundStatus.pending),
        "payment": reference(thing.get("payment_intent")),
        "charge": reference(thing.get("charge")),
        "refund_id": uuid_of(object_of(thing, "metadata").get("refund_id")),
        "reason": thing.get("reason"),
        "failure_reason": thing.get("failure_reason"),
    }
    if not values["payment"] and not values["charge"]:
        return []  # of a payment that Stripe does not hold
    return [Call(thing="refund", external_id=text_of(thing, "id"), values=values)]


def read_dispute(kind: str, thing: Object, at: datetime) -> list[Call]:
    currency = currency_of(thing)
    status = one_of(DisputeStatus, thing, "status")
    values = {
        "currency": currency,
        "amount": from_stripe(whole(thing.get("amount"), default=0), currency),
        "status": status,
        "payment": reference(thing.get("payment_intent")),
        "charge": reference(thing.get("charge")),
        "reason": thing.get("reason"),
        "opened_at": moment(thing.get("created")),
        "evidence_due_at": moment(object_of(thing, "evidence_details").get("due_by")),
        "closed_at": at if status in DECIDED else None,
    }
    if not values["payment"] and not values["charge"]:
        raise invalid("data.object.charge", "Missing")
    return [Call(thing="dispute", external_id=text_of(thing, "id"), values=values)]
