"""A year with one customer, as Stripe would tell it: objects in the shapes of its API, old and new ones."""

from __future__ import annotations

import hashlib
import hmac
import json
import time
from typing import Any

START = 1_767_225_600  # 2026-01-01T00:00:00Z
DAY = 86_400


class Story:
    """Builds events about things whose ids end in ``tag``."""

    def __init__(self, tag: str, account: str) -> None:
        self.tag = tag
        self.account = account
        self.events: list[dict[str, Any]] = []

    def id(self, kind: str, name: str = "1") -> str:
        return f"{kind}_{name}{self.tag}"

    def tell(self, kind: str, thing: dict[str, Any], day: float) -> None:
        number = len(self.events)
        self.events.append(
            {
                "id": self.id("evt", f"{number:03}"),
                "object": "event",
                "type": kind,
                "created": START + int(day * DAY),
                "livemode": False,
                "data": {"object": thing},
            }
        )

    def customer(self, **extra: Any) -> dict[str, Any]:
        return {
            "id": self.id("cus"),
            "object": "customer",
            "email": "never@kept.example",
            "metadata": {"account": self.account},
        } | extra

    def subscription(self, status: str, **extra: Any) -> dict[str, Any]:
        price = {
            "id": "price_workshop",
            "nickname": "Workshop",
            "currency": "eur",
            "unit_amount": 5583,
            "recurring": {"interval": "month", "interval_count": 1},
        }
        item = {
            "price": price,
            "quantity": 5,
            "current_period_start": START,
            "current_period_end": START + 31 * DAY,
        }
        return {
            "id": self.id("sub"),
            "object": "subscription",
            "customer": self.id("cus"),
            "currency": "eur",
            "status": status,
            "start_date": START,
            "items": {"object": "list", "data": [item]},
        } | extra

    def invoice(self, name: str, status: str, *, paid: int = 0, new_shape: bool = True) -> dict[str, Any]:
        line = {
            "id": self.id("il", name),
            "description": "5 seats Workshop",
            "amount": 27_916,
            "quantity": 5,
            "period": {"start": START, "end": START + 31 * DAY},
            "tax_rates": [{"percentage": 20.0, "inclusive": False}],
        }
        tax = {"amount": 5_583, "tax_behavior": "exclusive"}
        thing: dict[str, Any] = {
            "id": self.id("in", name),
            "object": "invoice",
            "customer": self.id("cus"),
            "currency": "eur",
            "number": f"BW-{name}-{self.tag}",
            "status": status,
            "total": 33_499,
            "amount_paid": paid,
            "starting_balance": 0,
            "created": START,
            "due_date": START + 14 * DAY,
            "status_transitions": {
                "finalized_at": START + 60,
                "paid_at": START + 120 if paid else None,
                "voided_at": None,
            },
            "lines": {"object": "list", "data": [line | {"taxes": [tax]}]},
        }
        if new_shape:
            thing["total_taxes"] = [tax]
            thing["parent"] = {"subscription_details": {"subscription": self.id("sub")}}
        else:
            thing["tax"] = 5_583
            thing["subscription"] = self.id("sub")
            thing["charge"] = self.id("ch", name)
            thing["payment_intent"] = self.id("pi", name)
            thing["lines"]["data"] = [line | {"tax_amounts": [{"amount": 5_583, "inclusive": False}]}]
        return thing

    def charge(self, name: str, status: str = "succeeded", **extra: Any) -> dict[str, Any]:
        return {
            "id": self.id("ch", name),
            "object": "charge",
            "customer": self.id("cus"),
            "payment_intent": self.id("pi", name),
            "currency": "eur",
            "amount": 33_499,
            "amount_captured": 33_499 if status == "succeeded" else 0,
            "captured": status == "succeeded",
            "status": status,
            "created": START + 120,
            "billing_details": {"name": "Never Kept"},
            "payment_method_details": {"type": "card", "card": {"last4": "4242"}},
        } | extra

    def intent(self, name: str, status: str, **extra: Any) -> dict[str, Any]:
        return {
            "id": self.id("pi", name),
            "object": "payment_intent",
            "customer": self.id("cus"),
            "currency": "eur",
            "amount": 33_499,
            "amount_received": 33_499 if status == "succeeded" else 0,
            "latest_charge": self.id("ch", name) if status == "succeeded" else None,
            "status": status,
        } | extra

    def refund(self, name: str, status: str, amount: int, *, of: str, **extra: Any) -> dict[str, Any]:
        return {
            "id": self.id("re", name),
            "object": "refund",
            "amount": amount,
            "currency": "eur",
            "charge": self.id("ch", of),
            "payment_intent": self.id("pi", of),
            "status": status,
            "reason": "requested_by_customer",
            "metadata": {},
        } | extra

    def dispute(self, name: str, status: str, *, of: str, amount: int = 33_499) -> dict[str, Any]:
        return {
            "id": self.id("du", name),
            "object": "dispute",
            "amount": amount,
            "currency": "eur",
            "charge": self.id("ch", of),
            "payment_intent": self.id("pi", of),
            "reason": "fraudulent",
            "status": status,
            "created": START + 40 * DAY,
            "evidence_details": {"due_by": START + 400 * DAY, "has_evidence": False},
        }

    def credit_note(self, status: str) -> dict[str, Any]:
        return {
            "id": self.id("cn"),
            "object": "credit_note",
            "customer": self.id("cus"),
            "invoice": self.id("in", "b"),
            "currency": "eur",
            "number": f"CN-{self.tag}",
            "status": status,
            "total": 8_200,
            "total_excluding_tax": 6_833,
            "total_taxes": [{"amount": 1_367}],
            "pre_payment_amount": 0,
            "post_payment_amount": 8_200,
            "refunds": [{"amount_refunded": 5_000, "refund": self.id("re", "b")}],
            "customer_balance_transaction": self.id("cbtxn"),
            "created": START + 50 * DAY,
        }


def the_year(tag: str, account: str) -> list[dict[str, Any]]:
    """Thirty events: three invoices, a failed attempt, a refund that fails after success and one that does
    not, a dispute that is lost and one that is won, a credit note, the end of the subscription."""
    story = Story(tag, account)
    tell = story.tell
    tell("customer.created", story.customer(), 0)
    tell("customer.subscription.created", story.subscription("incomplete"), 0.01)
    tell("invoice.created", story.invoice("a", "draft"), 0.02)
    tell("invoice.finalized", story.invoice("a", "open"), 0.03)
    tell("payment_intent.created", story.intent("a", "requires_payment_method"), 0.03)
    tell(
        "charge.failed",
        story.charge("a", "failed", id=story.id("ch", "a0"), failure_code="expired_card"),
        0.04,
    )
    tell("payment_intent.payment_failed", story.intent("a", "requires_payment_method"), 0.04)
    tell("payment_intent.succeeded", story.intent("a", "succeeded"), 0.05)
    tell("charge.succeeded", story.charge("a"), 0.05)
    tell("invoice.paid", story.invoice("a", "paid", paid=33_499), 0.05)
    paid = {
        "id": story.id("inpay"),
        "object": "invoice_payment",
        "invoice": story.id("in", "a"),
        "currency": "eur",
        "amount_paid": 33_499,
        "payment": {"type": "payment_intent", "payment_intent": story.id("pi", "a")},
    }
    tell("invoice_payment.paid", paid, 0.05)
    tell("customer.subscription.updated", story.subscription("active"), 0.06)
    tell("invoice.finalized", story.invoice("b", "open", new_shape=False), 31)
    tell("charge.succeeded", story.charge("b", invoice=story.id("in", "b")), 31.1)
    tell("invoice.payment_succeeded", story.invoice("b", "paid", paid=33_499, new_shape=False), 31.1)
    tell("refund.created", story.refund("a", "pending", 10_000, of="a"), 33)
    tell("refund.updated", story.refund("a", "succeeded", 10_000, of="a"), 33)
    tell(
        "refund.failed", story.refund("a", "failed", 10_000, of="a", failure_reason="lost_or_stolen_card"), 35
    )
    tell(
        "charge.refunded",
        story.charge("b", refunds={"data": [story.refund("b", "succeeded", 5_000, of="b")]}),
        36,
    )
    tell("credit_note.created", story.credit_note("issued"), 50)
    tell("charge.dispute.created", story.dispute("a", "needs_response", of="a"), 60)
    tell("charge.dispute.updated", story.dispute("a", "under_review", of="a"), 61)
    tell("charge.dispute.closed", story.dispute("a", "lost", of="a"), 90)
    tell("customer.subscription.updated", story.subscription("past_due"), 62)
    tell("invoice.finalized", story.invoice("c", "open"), 62)
    tell("charge.succeeded", story.charge("c", amount=33_499), 62.1)
    tell("charge.dispute.created", story.dispute("c", "needs_response", of="c", amount=20_000), 63)
    tell("charge.dispute.funds_withdrawn", story.dispute("c", "needs_response", of="c", amount=20_000), 63)
    tell("charge.dispute.closed", story.dispute("c", "won", of="c", amount=20_000), 95)
    tell("invoice.marked_uncollectible", story.invoice("c", "uncollectible"), 96)
    tell("customer.subscription.deleted", story.subscription("canceled", ended_at=START + 97 * DAY), 97)
    tell("customer.updated", story.customer(name="Never Kept"), 98)
    return story.events


def signed(event: Any, secret: str, *, at: float | None = None) -> tuple[bytes, dict[str, str]]:
    """The body and the header of a delivery."""
    body = event if isinstance(event, bytes) else json.dumps(event).encode()
    moment = int(time.time() if at is None else at)
    digest = hmac.new(secret.encode(), f"{moment}.".encode() + body, hashlib.sha256).hexdigest()
    headers = {"Stripe-Signature": f"t={moment},v1={digest}", "content-type": "application/json"}
    return body, headers
