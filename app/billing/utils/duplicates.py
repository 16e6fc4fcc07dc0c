"""Which of several equal payments belong together, and how much speaks for a duplicate."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from app.billing.schemas.duplicates import DuplicateStrength


@dataclass(frozen=True, kw_only=True, slots=True)
class Charge:
    """A succeeded payment: ``amount`` in minor units, and what its invoice says it was for."""

    payment_id: UUID
    paid_at: datetime
    amount: int
    currency: str
    invoice_id: UUID | None = None
    subscription_id: UUID | None = None
    period_start: datetime | None = None
    period_end: datetime | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Group:
    """Charges that look like one, the first first."""

    strength: DuplicateStrength
    charges: Sequence[Charge]


def strength_of(one: Charge, other: Charge) -> DuplicateStrength:
    """What speaks for two charges of the same amount, account and window being one debt."""
    if one.invoice_id is None or other.invoice_id is None:
        return DuplicateStrength.possible
    if one.invoice_id == other.invoice_id:
        return DuplicateStrength.strong
    if one.subscription_id is None or one.subscription_id != other.subscription_id:
        return DuplicateStrength.possible
    if one.period_start is None or other.period_start is None:
        return DuplicateStrength.possible
    if (one.period_start, one.period_end) == (other.period_start, other.period_end):
        return DuplicateStrength.strong
    return DuplicateStrength.weak


def groups_of(charges: Sequence[Charge], window: timedelta) -> list[Group]:
    """Groups of two and more, the strongest first, the newest of equals first; nobody is in two of them.

    Two charges are neighbours when amount and currency are equal and the window covers both. A group is what
    neighbours of one strength connect; who is in a stronger group is in no weaker one.
    """
    left = sorted(charges, key=lambda each: (each.currency, each.amount, each.paid_at, each.payment_id))
    found: list[Group] = []
    for strength in DuplicateStrength:
        joined = [each for each in _connected(left, window, strength) if len(each) > 1]
        joined.sort(key=lambda each: each[-1].paid_at, reverse=True)
        found += [Group(strength=strength, charges=each) for each in joined]
        taken = {charge.payment_id for each in joined for charge in each}
        left = [each for each in left if each.payment_id not in taken]
    return found


def _connected(
    ordered: Sequence[Charge], window: timedelta, strength: DuplicateStrength
) -> list[list[Charge]]:
    """Components of charges that pairs of this strength connect, each in the order given."""
    parents = list(range(len(ordered)))

    def root(index: int) -> int:
        while parents[index] != index:
            parents[index] = parents[parents[index]]
            index = parents[index]
        return index

    for index, one in enumerate(ordered):
        for further in range(index + 1, len(ordered)):
            other = ordered[further]
            same = (one.currency, one.amount) == (other.currency, other.amount)
            if not same or other.paid_at - one.paid_at > window:
                break
            if strength_of(one, other) is strength:
                parents[root(further)] = root(index)
    components: dict[int, list[Charge]] = {}
    for index, charge in enumerate(ordered):
        components.setdefault(root(index), []).append(charge)
    return list(components.values())
