"""What a credit note comes to: amounts and taxes of its lines, and how a sum is spread. Pure arithmetic."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Generic, TypeVar

from app.billing.utils.taxes import Line, note_tax, shares_of

Key = TypeVar("Key")


@dataclass(frozen=True, kw_only=True, slots=True)
class Billed:
    """A line of an invoice: net and tax in minor units, and how much of both earlier notes took."""

    amount: int
    rate: Decimal
    tax: int
    credited: int = 0
    tax_credited: int = 0

    @property
    def left(self) -> int:
        """Net that no note took yet; of the line's sign."""
        return self.amount - self.credited

    def takes(self, amount: int) -> bool:
        """Whether a note may take this much of it: not nothing, of its sign, and not more than is left."""
        return amount != 0 and (0 < amount <= self.left or self.left <= amount < 0)


@dataclass(frozen=True, kw_only=True, slots=True)
class Reckoned(Generic[Key]):
    """A note's lines, by the invoice's: net and tax of each; minor units."""

    amounts: Mapping[Key, int]
    taxes: Mapping[Key, int]

    @property
    def subtotal(self) -> int:
        """Net of all lines."""
        return sum(self.amounts.values())

    @property
    def tax(self) -> int:
        """Tax of all lines."""
        return sum(self.taxes.values())

    @property
    def total(self) -> int:
        """Net and tax."""
        return self.subtotal + self.tax


def reckon(billed: Mapping[Key, Billed], taken: Mapping[Key, int]) -> Reckoned[Key]:
    """The note that takes these nets of an invoice's lines, each of which the line ``takes``."""
    keys = list(taken)
    lines = [Line(amount=taken[key], rate=billed[key].rate) for key in keys]
    taxes = {rate: _rate_tax(rate, billed, taken) for rate in {line.rate for line in lines}}
    return Reckoned(amounts=dict(taken), taxes=dict(zip(keys, shares_of(lines, taxes), strict=True)))


def _rate_tax(rate: Decimal, billed: Mapping[Key, Billed], taken: Mapping[Key, int]) -> int:
    own = {key: line for key, line in billed.items() if line.rate == rate}
    return note_tax(
        sum(taken.get(key, 0) for key in own),
        rate,
        whole=sum(line.tax for line in own.values()),
        left=sum(line.tax - line.tax_credited for line in own.values()),
        completes=all(line.left == taken.get(key, 0) for key, line in own.items()),
    )


def spread(amount: int, available: Sequence[int]) -> list[int]:
    """``amount`` taken from the first place on, from each what it has; less in all where they have less."""
    parts = []
    for each in available:
        part = min(amount, max(each, 0))
        parts.append(part)
        amount -= part
    return parts
