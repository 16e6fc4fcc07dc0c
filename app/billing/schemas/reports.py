"""Reports of the desk. Amounts are in minor units of the row's currency."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Generic, TypeVar
from uuid import UUID

from msgspec import Meta, Struct

from app.billing.schemas.money import CurrencyCode, Exponent

Row = TypeVar("Row")


class RefundsMade(Struct, frozen=True, kw_only=True):
    """Refunds of one reason, month and currency."""

    reason: Annotated[str, Meta(examples=["duplicate"])]
    month: Annotated[str, Meta(description="In UTC.", examples=["2026-11"])]
    currency: CurrencyCode
    exponent: Exponent
    refunds: Annotated[int, Meta(description="That went back.")]
    pending: int
    failed: Annotated[int, Meta(description="Failed or canceled.")]
    amount: Annotated[int, Meta(description="That went back.")]


class ApprovalTimes(Struct, frozen=True, kw_only=True):
    """How long refund requests waited for a decision of one role."""

    role: Annotated[str, Meta(examples=["lead"])]
    currency: CurrencyCode
    exponent: Exponent
    approved: int
    rejected: int
    median_seconds: float
    p90_seconds: float
    amount: Annotated[int, Meta(description="That was approved.")]


class CreditsGiven(Struct, frozen=True, kw_only=True):
    """Credit of one kind and quarter."""

    kind: Annotated[str, Meta(description="Of a grant, or `credit_note`.", examples=["goodwill"])]
    quarter: Annotated[str, Meta(description="In UTC.", examples=["2026-Q4"])]
    currency: CurrencyCode
    exponent: Exponent
    credits: int
    accounts: int
    amount: int


class DisputesDecided(Struct, frozen=True, kw_only=True):
    """Disputes of one reason."""

    reason: Annotated[str, Meta(examples=["fraudulent"])]
    currency: CurrencyCode
    exponent: Exponent
    disputes: int
    won: int
    lost: int
    open: int
    amount: int
    amount_lost: int
    win_rate: Annotated[
        float | None, Meta(description="Of those won or lost; null while none was decided.", examples=[0.4])
    ]


class IncidentCost(Struct, frozen=True, kw_only=True):
    """What one known issue cost in one currency."""

    issue_id: UUID
    number: Annotated[str | None, Meta(examples=["ISS-3"])] = None
    title: str | None = None
    currency: CurrencyCode
    exponent: Exponent
    accounts: int
    refunded: int
    credited: int
    reduced: Annotated[int, Meta(description="Taken off invoices by credit notes, or settled elsewhere.")]
    amount: Annotated[int, Meta(description="The sum of the three.")]


class BillingReport(Struct, Generic[Row], frozen=True, kw_only=True, rename={"from_": "from"}):
    """The rows of a period."""

    from_: datetime
    to: datetime
    rows: list[Row]
