"""Tax on invoices and credit notes: reckoned on sums, a rate each; a sum is split by largest remainder."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

from app.billing.utils.money import allocate, tax_of


@dataclass(frozen=True, kw_only=True, slots=True)
class Line:
    """A net amount in minor units and its tax rate in percent."""

    amount: int
    rate: Decimal


def taxes_of(lines: Sequence[Line]) -> dict[Decimal, int]:
    """Tax of each rate, on the sum of its lines."""
    sums: dict[Decimal, int] = {}
    for line in lines:
        sums[line.rate] = sums.get(line.rate, 0) + line.amount
    return {rate: tax_of(net, rate) for rate, net in sums.items()}


def shares_of(lines: Sequence[Line], taxes: Mapping[Decimal, int]) -> list[int]:
    """Each line's share of its rate's tax, in the order of the lines; the shares sum to the taxes exactly."""
    shares = [0] * len(lines)
    for rate, tax in taxes.items():
        places = [index for index, line in enumerate(lines) if line.rate == rate]
        for index, share in zip(places, allocate(tax, [lines[each].amount for each in places]), strict=True):
            shares[index] = share
    return shares


def note_tax(net: int, rate: Decimal, *, whole: int, left: int, completes: bool) -> int:
    """Tax of a credit note's lines of one rate, whose net sum is ``net``.

    ``whole``: the invoice's tax at that rate; ``left``: what of it earlier notes have not taken. A note is
    rounded by itself, but takes no more than is left; the one that completes the rate's lines absorbs the
    rest, so that all notes of an invoice sum to it exactly.
    """
    if completes:
        return left
    exact = tax_of(net, rate)
    return min(exact, left) if whole >= 0 else max(exact, left)
