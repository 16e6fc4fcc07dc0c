"""What Stripe's objects are read as, in the shapes of old and new API versions."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from uuid import uuid4

import pytest

from app.billing.constants import DisputeStatus, PaymentStatus, RefundStatus
from app.billing.exceptions import InvalidEventError
from app.billing.service.provider.stripe import Call, read

MARCH, APRIL = 1_772_323_200, 1_775_001_600  # 2026-03-01, 2026-04-01


def calls(kind: str, **thing: Any) -> list[Call]:
    return read({"id": "evt_1", "type": kind, "created": MARCH, "data": {"object": thing}}).calls


def values(kind: str, **thing: Any) -> dict[str, Any]:
    return calls(kind, **thing)[0].values


def test_a_subscriptions_period_is_its_own_or_its_items():
    period = {"current_period_start": MARCH, "current_period_end": APRIL}
    price = {"id": "price_1", "unit_amount": 900, "recurring": {"interval": "year", "interval_count": 1}}
    plan = {"id": "price_1", "amount": 900, "interval": "year", "interval_count": 1}
    thing = {"id": "sub_1", "status": "active", "currency": "eur", "customer": "cus_1"}
    item: dict[str, Any] = {"quantity": 3}
    new = values("customer.subscription.updated", **thing, items={"data": [item | period | {"price": price}]})
    old = values("customer.subscription.updated", **thing, **period, items={"data": [item | {"plan": plan}]})
    assert new == old
    assert new["current_period_end"] == datetime(2026, 4, 1, tzinfo=UTC)
    assert (new["quantity"], new["unit_amount"], new["interval"]) == (3, 900, "year")


def test_an_invoices_tax_and_subscription_are_found_in_both_shapes():
    thing = {"id": "in_1", "status": "open", "currency": "eur", "customer": "cus_1", "total": 1_200}
    line = {"id": "il_1", "description": "Seat", "amount": 1_000, "quantity": 1}
    old = values(
        "invoice.finalized",
        **thing,
        tax=200,
        subscription="sub_1",
        lines={"data": [line | {"tax_amounts": [{"amount": 200, "inclusive": False}]}]},
    )
    new = values(
        "invoice.finalized",
        **thing,
        total_taxes=[{"amount": 200, "tax_behavior": "exclusive"}],
        parent={"subscription_details": {"subscription": "sub_1"}},
        lines={"data": [line | {"taxes": [{"amount": 200, "tax_behavior": "exclusive"}]}]},
    )
    assert old == new
    assert (new["subtotal"], new["tax"], new["total"], new["subscription"]) == (1_000, 200, 1_200, "sub_1")
    assert (new["lines"][0].tax_amount, new["lines"][0].tax_rate) == (200, Decimal(20))


def test_inclusive_tax_is_taken_out_of_a_line_and_a_discount_is_a_line():
    found = values(
        "invoice.paid",
        id="in_1",
        status="paid",
        currency="eur",
        total=1_080,
        tax=180,
        lines={"data": [{"amount": 1_200, "tax_amounts": [{"amount": 200, "inclusive": True}]}]},
    )
    assert [line.amount for line in found["lines"]] == [1_000, -100]
    assert sum(line.amount for line in found["lines"]) == found["subtotal"] == 900


@pytest.mark.parametrize(
    ("currency", "told", "kept"),
    [("isk", 1_200, 12), ("ugx", 500, 5), ("jpy", 1_200, 1_200), ("kwd", 1_230, 1_230), ("mga", 7, 700)],
)
def test_amounts_become_minor_units_of_the_standard(currency, told, kept):
    found = values(
        "charge.succeeded",
        id="ch_1",
        currency=currency,
        amount=told,
        amount_captured=told,
        captured=True,
        status="succeeded",
    )
    assert (found["amount"], found["captured"]) == (kept, kept)


def test_a_part_of_what_cannot_be_divided_is_refused():
    with pytest.raises(InvalidEventError):
        calls("charge.succeeded", id="ch_1", currency="isk", amount=1_250, status="pending")


def test_a_charge_without_an_intent_is_its_own_payment_and_an_authorised_one_has_taken_nothing():
    (call,) = calls(
        "charge.succeeded", id="ch_1", currency="eur", amount=900, captured=False, status="succeeded"
    )
    assert call.external_id == "ch_1"
    assert (call.values["status"], call.values["captured"]) == (PaymentStatus.pending, 0)


def test_a_refund_names_ours_by_its_metadata_and_passes_over_what_is_no_id():
    ours = uuid4()
    thing = {"id": "re_1", "currency": "eur", "amount": 5, "charge": "ch_1", "status": "requires_action"}
    found = values("refund.updated", **thing, metadata={"refund_id": str(ours)})
    assert (found["refund_id"], found["status"]) == (ours, RefundStatus.pending)
    assert values("charge.refund.updated", **thing, metadata={"refund_id": "x"})["refund_id"] is None


def test_expanded_objects_are_read_as_their_ids():
    found = values(
        "charge.dispute.created",
        id="du_1",
        currency="eur",
        amount=5,
        status="needs_response",
        charge={"id": "ch_1", "object": "charge"},
        evidence_details={"due_by": APRIL},
    )
    assert (found["charge"], found["status"]) == ("ch_1", DisputeStatus.needs_response)
    assert found["evidence_due_at"] == datetime(2026, 4, 1, tzinfo=UTC)


def test_nothing_of_a_cardholder_is_read():
    found = calls(
        "charge.succeeded",
        id="ch_1",
        currency="eur",
        amount=900,
        amount_captured=900,
        status="succeeded",
        receipt_email="kim@example.com",
        billing_details={"name": "Kim", "email": "kim@example.com"},
        payment_method_details={"type": "card", "card": {"last4": "4242"}},
    )
    assert not any(secret in repr(found) for secret in ("kim", "Kim", "4242"))
