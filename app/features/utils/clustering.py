"""Pairs to clusters. Pure functions."""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from typing import TypeVar

T = TypeVar("T", bound=Hashable)


def clusters(pairs: Iterable[tuple[T, T]], *, apart: Iterable[tuple[T, T]] = ()) -> list[set[T]]:
    """Whatever is connected by pairs, two at least; in the order of their first pair.

    ``apart``: what is never in one, not through others either; of the pairs that would bring it together the
    later ones are left out.
    """
    strangers: dict[T, set[T]] = {}
    for one, other in apart:
        strangers.setdefault(one, set()).add(other)
        strangers.setdefault(other, set()).add(one)
    of: dict[T, set[T]] = {}
    for pair in pairs:
        small, large = sorted((of.setdefault(each, {each}) for each in pair), key=len)
        if small is large or any(not large.isdisjoint(strangers.get(each, ())) for each in small):
            continue
        large |= small
        of.update(dict.fromkeys(small, large))  # the smaller one moves, so that each moves seldom
    return [each for each in {id(each): each for each in of.values()}.values() if len(each) > 1]
