"""Query parameters that the lists of the provider's things take."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from litestar.params import QueryParameter

from app.billing.constants import AMOUNT_MAX, Provider
from app.billing.schemas.money import CurrencyCode
from app.listing import SEARCH_MAX, several


def moment(name: str, description: str) -> QueryParameter:
    """One end of a range of time."""
    return QueryParameter(name=name, description=description)


ProviderFilter = Annotated[list[Provider] | None, several("provider", "Of this system.")]
AccountFilter = Annotated[list[UUID] | None, several("account_id", "Of this account.")]
SubscriptionFilter = Annotated[list[UUID] | None, several("subscription_id", "Of this subscription.")]
InvoiceFilter = Annotated[list[UUID] | None, several("invoice_id", "Of this invoice.")]
PaymentFilter = Annotated[list[UUID] | None, several("payment_id", "Of this payment.")]
CurrencyFilter = Annotated[list[CurrencyCode] | None, several("currency", "In this currency.")]
NumberFilter = Annotated[list[str] | None, several("number", "With this number.")]
PlanFilter = Annotated[list[str] | None, several("plan", "Of this plan.")]
MethodFilter = Annotated[list[str] | None, several("method", "Paid this way, such as `card`.")]
ReasonFilter = Annotated[list[str] | None, several("reason", "For this reason.")]
AmountMin = Annotated[
    int | None,
    QueryParameter(
        name="amount_min", ge=-AMOUNT_MAX, le=AMOUNT_MAX, description="This or more, minor units."
    ),
]
AmountMax = Annotated[
    int | None,
    QueryParameter(
        name="amount_max", ge=-AMOUNT_MAX, le=AMOUNT_MAX, description="This or less, minor units."
    ),
]
Words = Annotated[
    str | None,
    QueryParameter(
        name="q",
        min_length=1,
        max_length=SEARCH_MAX,
        description="A part of the number, plan or description; of staff also of the provider's id.",
    ),
]
