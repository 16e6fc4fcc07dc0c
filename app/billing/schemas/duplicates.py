"""Payments that look like one debt paid twice."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Annotated
from uuid import UUID

from msgspec import Meta, Struct

from app.billing.schemas.money import CurrencyCode, Exponent


class DuplicateStrength(StrEnum):
    """How much speaks for a duplicate."""

    strong = "strong"  # one invoice was paid twice, or one period of a subscription
    possible = "possible"  # nothing says what at least one of them was for, or the invoices are unrelated
    weak = "weak"  # instalments: invoices of one subscription for different periods


class DuplicatePayment(Struct, frozen=True, kw_only=True):
    """One payment of a group."""

    payment_id: UUID
    external_id: str
    paid_at: datetime
    seconds_after_first: Annotated[int, Meta(ge=0)]
    method: str | None
    invoice_id: UUID | None
    invoice_number: str | None
    subscription_id: UUID | None
    period_start: datetime | None
    period_end: datetime | None
    refunded: Annotated[int, Meta(description="Minor units, pending refunds included.")]
    refundable: int
    disputed: Annotated[bool, Meta(description="Whether a dispute of it is open.")]


class DuplicateGroup(Struct, frozen=True, kw_only=True):
    """Payments of the same amount in the window, the first first."""

    strength: DuplicateStrength
    amount: Annotated[int, Meta(description="Of each of them, minor units.", examples=[4900])]
    currency: CurrencyCode
    exponent: Exponent
    settled: Annotated[bool, Meta(description="Whether all but one are given back already.")]
    payments: list[DuplicatePayment]


class DuplicateCharges(Struct, frozen=True, kw_only=True):
    """Groups, the strongest first and the newest of equals."""

    account_id: UUID | None
    window_hours: int
    groups: list[DuplicateGroup]
    truncated: Annotated[bool, Meta(description="Whether there are more than are shown.")]
