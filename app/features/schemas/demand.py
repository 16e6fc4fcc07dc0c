"""Demand: how much is asked for, by whom, and what that is worth; with the arithmetic."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Annotated
from uuid import UUID

from msgspec import Meta, Struct

from app.features.schemas.comments import FeatureLinkView
from app.features.schemas.requests import RequestBrief
from app.knowledge import Amount

CurrencyCode = Annotated[str, Meta(pattern="^[A-Z]{3}$", description="ISO 4217.", examples=["EUR"])]
PAID = "What they paid less what was paid back or lost to disputes, taxes included; a sum a currency."


class FeatureTrend(Struct, frozen=True, kw_only=True):
    """How the votes came."""

    last_30_days: int
    previous_30_days: int
    change: Annotated[int, Meta(description="The first less the second.")]
    weeks: Annotated[list[int], Meta(description="Of the last twelve weeks, the oldest first.")]


class FeatureRevenue(Struct, frozen=True, kw_only=True):
    """Revenue in one currency, by rates that an admin gave."""

    total: Amount
    complete: Annotated[bool, Meta(description="Whether all of it is in the total.")]
    unconverted: Annotated[list[Amount], Meta(description="For which there is no rate; not in the total.")]


class FeatureDemandView(Struct, frozen=True, kw_only=True):
    """What is asked for, in numbers; of what was merged into it as well, everybody and everything once."""

    request: RequestBrief
    as_of: Annotated[datetime | None, Meta(description="When; null: now.")]
    votes: Annotated[int, Meta(description="Distinct voters.")]
    accounts: Annotated[int, Meta(description="Distinct accounts of the voters, as they are now.")]
    without_account: Annotated[int, Meta(description="Voters of no account.")]
    revenue: Annotated[list[Amount], Meta(description=f"Of these accounts. {PAID}")]
    converted: FeatureRevenue | None
    open_tickets: Annotated[int | None, Meta(description="That point to it; null of a past moment.")]
    open_cases: Annotated[int | None, Meta(description="Billing's; null of a past moment.")]
    known_issues: Annotated[
        int | None, Meta(description="Unresolved, behind these tickets; null of a past moment.")
    ]
    trend: FeatureTrend


class FeatureDemandAccount(Struct, frozen=True, kw_only=True):
    """An account, counted once however many of its people vote."""

    account_id: UUID
    voters: int
    voted_at: Annotated[datetime, Meta(description="The first vote of its people.")]
    paid: Annotated[list[Amount], Meta(description=PAID)]


class FeatureRateUsed(Struct, frozen=True, kw_only=True):
    """A rate that the total was made with."""

    currency: CurrencyCode
    into: CurrencyCode
    rate: Annotated[Decimal, Meta(examples=["1.0842"])]
    valid_from: datetime


class FeatureDemandDetail(Struct, frozen=True, kw_only=True):
    """Demand of one request, with all that its numbers are made of."""

    demand: FeatureDemandView
    accounts: Annotated[list[FeatureDemandAccount], Meta(description="Whose revenue is summed.")]
    rates: list[FeatureRateUsed]
    links: Annotated[list[FeatureLinkView], Meta(description="Of which the open ones are counted.")]


class FeatureRateGiven(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What one unit of a currency is worth in another, from a moment on."""

    currency: CurrencyCode
    into: Annotated[str, Meta(pattern="^[A-Z]{3}$", description="ISO 4217.", examples=["USD"])]
    rate: Annotated[
        str,
        Meta(
            pattern=r"^[0-9]{1,9}(\.[0-9]{1,10})?$",
            description="A decimal as text, above zero.",
            examples=["1.0842"],
        ),
    ]
    valid_from: Annotated[datetime, Meta(description="Now, when left out.")] | None = None


class FeatureRateView(Struct, frozen=True, kw_only=True):
    """A rate as an admin gave it."""

    id: UUID
    currency: CurrencyCode
    into: CurrencyCode
    rate: Annotated[Decimal, Meta(examples=["1.0842"])]
    valid_from: Annotated[datetime, Meta(description="Until the next of the same pair.")]
    given_by: UUID | None
    created_at: datetime
