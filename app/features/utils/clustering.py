"""Pairs to clusters. Pure functions."""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from typing import TypeVar

T = TypeVar("T", bound=Hashable)


def clusters(pairs: Iterable[tuple[T, T]]) -> list[set[T]]:
    """Whatever is connected by pairs, by union-find; in the order of each one's first pair."""
    parent: dict[T, T] = {}

    def root(each: T) -> T:
        parent.setdefault(each, each)
        while parent[each] != each:
            parent[each] = parent[parent[each]]
            each = parent[each]
        return each

    for one, other in pairs:
        first, second = root(one), root(other)
        if first != second:
            parent[second] = first
    found: dict[T, set[T]] = {}
    for each in list(parent):
        found.setdefault(root(each), set()).add(each)
    return list(found.values())
