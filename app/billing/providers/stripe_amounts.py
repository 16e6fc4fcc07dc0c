"""Stripe's minor units where they are not ISO 4217's.

Stripe takes Malagasy ariary whole, though ISO gives it two digits, and Icelandic króna and Ugandan shilling
in hundredths, though ISO gives them none: https://docs.stripe.com/currencies#special-cases.
"""

from __future__ import annotations

from app.billing.exceptions import InvalidEventError

COARSER = frozenset({"MGA"})  # one of Stripe's is a hundred of ISO's
FINER = frozenset({"ISK", "UGX"})  # a hundred of Stripe's are one of ISO's


def from_stripe(amount: int, currency: str) -> int:
    """ISO minor units of an amount as Stripe tells it; ``InvalidEventError`` for what does not divide."""
    if currency in COARSER:
        return amount * 100
    if currency in FINER:
        if amount % 100:
            raise InvalidEventError(
                "The amount is no whole number of the currency's units.",
                errors=[{"field": "amount", "message": f"No multiple of 100 in {currency}"}],
            )
        return amount // 100
    return amount


def to_stripe(amount: int, currency: str) -> int:
    """An amount in ISO minor units as Stripe takes it; ``ValueError`` for a part of what Stripe counts."""
    if currency in COARSER:
        if amount % 100:
            raise ValueError(f"Stripe takes no parts of a {currency}")
        return amount // 100
    return amount * 100 if currency in FINER else amount
