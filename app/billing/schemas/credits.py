"""Credits: granted, shown, suggested."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Annotated
from uuid import UUID

from msgspec import Meta, Struct

from app.billing.constants import REASON_MAX, CreditKind
from app.billing.schemas.fields import NO_NUL
from app.billing.schemas.money import Amount, CurrencyCode, Exponent, Money

Reason = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=REASON_MAX,
        pattern=NO_NUL,
        description="The staff's; kept without card numbers.",
        examples=["Sorry for the outage of 3 November."],
    ),
]


class CreditGrantCreate(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Credit that an account gets."""

    kind: Annotated[
        CreditKind, Meta(description="`goodwill` is capped by the policy; the others are the leads'.")
    ]
    amount: Amount
    currency: CurrencyCode
    reason: Reason
    case_id: Annotated[UUID | None, Meta(description="The billing case that it belongs to.")] = None
    issue_id: Annotated[UUID | None, Meta(description="The known issue behind it.")] = None


class CreditGrantView(Struct, frozen=True, kw_only=True):
    """Credit that an account was given. To customers, what is the staff's is null."""

    id: UUID
    account_id: UUID
    kind: CreditKind
    amount: Amount
    currency: CurrencyCode
    exponent: Exponent
    reason: Annotated[str | None, Meta(description="The staff's.")]
    case_id: UUID | None
    issue_id: Annotated[UUID | None, Meta(description="The staff's.")]
    policy_version: Annotated[int | None, Meta(description="Whose cap it kept, of goodwill; the staff's.")]
    granted_by_id: Annotated[UUID | None, Meta(description="The staff's.")]
    granted_at: datetime
    voided_at: datetime | None
    version: int
    created_at: datetime
    updated_at: datetime


class NoSuggestion(StrEnum):
    """Why no credit is suggested."""

    no_account = "no_account"  # nobody knows whose case it is
    no_currency = "no_currency"  # the account has no invoice and no payment to tell it
    no_similar_cases = "no_similar_cases"  # none that was resolved with credit in the currency
    cap_reached = "cap_reached"


class SimilarCredit(Struct, frozen=True, kw_only=True):
    """A similar case, and what credit it was resolved with."""

    case_id: UUID
    number: Annotated[str, Meta(examples=["BIL-7"])]
    subject: str
    likeness: Annotated[float, Meta(description="0 to 1.", examples=[0.62])]
    granted: Annotated[int, Meta(description="Goodwill and service credit, in minor units.")]


class SuggestedCredit(Struct, frozen=True, kw_only=True):
    """What goodwill similar cases speak for, and what the policy leaves.

    The amount is the median of what the similar cases were granted, or what is left if that is less.
    """

    amount: Annotated[Money | None, Meta(description="Null: see `why_none`.")]
    why_none: NoSuggestion | None
    median: Annotated[Money | None, Meta(description="Of the similar cases, before the cap.")]
    left: Annotated[Money | None, Meta(description="What the caller may grant the account now.")]
    quarter: Annotated[str | None, Meta(description="That the cap counts, UTC.", examples=["2026-Q4"])]
    cases: Annotated[list[SimilarCredit], Meta(description="The reason: the most similar first.")]
