"""Who gets the next ticket of a team: by load relative to capacity, and skills. Pure rules.

The loads are compared as counts over capacities, the quotients of Adams' divisor method: tickets that arrive
one by one are shared out in proportion to the capacities, exactly where that goes without a remainder.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from fractions import Fraction
from uuid import UUID

NEVER = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True, kw_only=True, slots=True)
class Candidate:
    """An active member of a team; ``unfinished`` counts the team's tickets that they have."""

    person_id: UUID
    skills: frozenset[str] = frozenset()  # in lower case
    capacity: int | None = None  # None: never full, weighs like the greatest capacity of the team
    available: bool = True
    unfinished: int = 0
    last_assigned_at: datetime | None = None

    @property
    def is_full(self) -> bool:
        """Whether they have as many tickets as are enough."""
        return self.capacity is not None and self.unfinished >= self.capacity

    def given_one(self, at: datetime) -> Candidate:
        """The same with one ticket more."""
        return replace(self, unfinished=self.unfinished + 1, last_assigned_at=at)


def needed_skills(candidates: Iterable[Candidate], about: Iterable[str | None]) -> frozenset[str]:
    """Of what a ticket is about (tags, component, product), what somebody of the team has as a skill."""
    known = frozenset[str]().union(*(each.skills for each in candidates))
    return known & {each.strip().lower() for each in about if each}


def choose(candidates: Collection[Candidate], needed: Collection[str] = ()) -> Candidate | None:
    """The least loaded of those who are available, below capacity and have every skill; None: nobody.

    Of equals, the one whose last ticket is longest ago.
    """
    free = [each for each in candidates if each.available and not each.is_full and each.skills >= set(needed)]
    most = max((each.capacity for each in candidates if each.capacity is not None), default=1)

    def load(each: Candidate) -> tuple[Fraction, datetime, UUID]:
        share = Fraction(each.unfinished, each.capacity or most)
        return share, each.last_assigned_at or NEVER, each.person_id

    return min(free, key=load, default=None)
