"""Amounts, as the API says them."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct

from app.billing.constants import AMOUNT_MAX

Amount = Annotated[
    int, Meta(ge=1, le=AMOUNT_MAX, description="In the currency's minor units: cents.", examples=[1990])
]
CurrencyCode = Annotated[
    str,
    Meta(pattern="^[A-Z]{3}$", description="ISO 4217.", examples=["EUR"]),
]
Exponent = Annotated[
    int,
    Meta(
        ge=0, le=4, description="Digits after the decimal point: 1990 with exponent 2 is 19.90.", examples=[2]
    ),
]


class Money(Struct, frozen=True, kw_only=True):
    """An amount in a currency. With a locale asked for (`Accept-Language`), also as people there write it."""

    amount: Annotated[int, Meta(description="In minor units; negative where it is owed the other way.")]
    currency: CurrencyCode
    exponent: Exponent
    formatted: Annotated[
        str | None, Meta(description="Such as `€19.90` or `19,90 €`.", examples=["€19.90"])
    ] = None
