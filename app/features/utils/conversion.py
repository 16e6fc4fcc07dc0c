"""Sums of money in one currency, by rates that somebody gave. Pure functions, exact until they round."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction

from app.currencies import EXPONENTS, rounded
from app.knowledge import Amount


@dataclass(frozen=True, slots=True)
class Converted:
    """What amounts are in one currency, as far as there are rates; the others are not in it."""

    total: Amount
    unconverted: Sequence[Amount]

    @property
    def is_complete(self) -> bool:
        """Whether everything is in it."""
        return not self.unconverted


def summed(amounts: Sequence[Amount]) -> list[Amount]:
    """One sum a currency, by its code; currencies are never added up."""
    sums: dict[tuple[str, int], int] = {}
    for each in amounts:
        key = (each.currency, each.exponent)
        sums[key] = sums.get(key, 0) + each.amount
    return [Amount(amount=sums[key], currency=key[0], exponent=key[1]) for key in sorted(sums)]


def convert(amounts: Sequence[Amount], target: str, rates: Mapping[str, Decimal]) -> Converted:
    """Sums in ``target``: each currency's sum times its rate, rounded once, halves away from zero.

    ``rates``: what one unit of a currency is worth in units of ``target``. ``KeyError`` for a target that
    ISO 4217 does not have.
    """
    exponent, total, unconverted = EXPONENTS[target], 0, []
    for each in summed(amounts):
        rate = Decimal(1) if each.currency == target else rates.get(each.currency)
        if rate is None:
            unconverted.append(each)
        else:
            units = Fraction(each.amount) / 10**each.exponent
            total += rounded(units * Fraction(rate) * 10**exponent)
    return Converted(Amount(amount=total, currency=target, exponent=exponent), unconverted)
