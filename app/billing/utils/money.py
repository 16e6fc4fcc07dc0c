"""Arithmetic of money: integers and fractions, no floats anywhere."""

from __future__ import annotations

import re
from collections.abc import Sequence
from copy import copy
from decimal import Decimal
from fractions import Fraction

from babel import Locale, UnknownLocaleError

from app.billing.exceptions import UnknownCurrencyError
from app.currencies import EXPONENTS, rounded

DEFAULT_LOCALE = "en"
LETTER_BEFORE_DIGIT = re.compile(r"(?<=[^\W\d_])(?=\d)")  # IQD1.234: CLDR asks for a space, babel puts none


def exponent_of(currency: str) -> int:
    """Digits of the currency's minor unit by ISO 4217, 0 to 4; ``UnknownCurrencyError``."""
    try:
        return EXPONENTS[currency]
    except KeyError:
        raise UnknownCurrencyError(
            f"{currency} is no currency that ISO 4217 has in force.",
            errors=[{"field": "currency", "message": "No active currency"}],
        ) from None


def tax_of(net: int, rate: Decimal) -> int:
    """Tax on a net sum in minor units at a rate in percent, rounded once."""
    return rounded(net * Fraction(rate) / 100)


def allocate(total: int, weights: Sequence[int]) -> list[int]:
    """Shares of ``total`` in the proportion of ``weights``: integers that sum to it exactly.

    Largest remainder (Hamilton): every share is rounded down, and what is left goes, one unit each, to the
    largest remainders, the first of equals first; so no share is a whole unit away from the exact one. A
    weight of the other sign (a discount among an invoice's lines) gets a share of the other sign. Weights
    that sum to zero count by their size, and equally when all are zero. ``ValueError`` for a total and no
    weights.
    """
    if not weights:
        if total:
            raise ValueError("nothing to allocate to")
        return []
    if total < 0:
        return [-share for share in allocate(-total, weights)]
    sizes = list(weights)
    if not sum(sizes):
        sizes = [abs(weight) for weight in weights] if any(weights) else [1] * len(weights)
    whole = sum(sizes)
    if whole < 0:
        sizes, whole = [-size for size in sizes], -whole
    shares = [total * size // whole for size in sizes]
    remainders = [total * size % whole for size in sizes]
    for index in sorted(range(len(sizes)), key=lambda each: -remainders[each])[: total - sum(shares)]:
        shares[index] += 1
    return shares


def formatted(amount: int, currency: str, exponent: int, locale: str = DEFAULT_LOCALE) -> str:
    """As people of the locale write it: ``€19.90``, ``19,90 €``; English for a locale that nobody knows.

    For people's eyes at the edge; the digits are ISO 4217's, which the locale's own data may not share.
    """
    try:
        known = Locale.parse(locale.replace("-", "_"))
    except (UnknownLocaleError, ValueError):
        known = Locale.parse(DEFAULT_LOCALE)
    pattern = copy(known.currency_formats["standard"])
    pattern.frac_prec = (exponent, exponent)
    value = Decimal(amount).scaleb(-exponent)
    said = str(pattern.apply(value, known, currency=currency, currency_digits=False))
    return LETTER_BEFORE_DIGIT.sub("\u00a0", said)
