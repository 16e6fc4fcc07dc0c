"""Arithmetic on vectors as plain lists of numbers."""

from __future__ import annotations

from collections.abc import Sequence
from math import sqrt


def mean(vectors: Sequence[Sequence[float]]) -> list[float]:
    """The unit vector in the direction of their sum; the cosine of two such is over all pairs of parts."""
    if len(vectors) == 1:
        return list(vectors[0])
    added = [sum(numbers) for numbers in zip(*vectors, strict=True)]
    length = sqrt(sum(number * number for number in added))
    return [number / length for number in added] if length else list(vectors[0])


def literal(vector: Sequence[float]) -> str:
    """pgvector's text form; five digits are more than halfvec keeps."""
    return "[" + ",".join(f"{number:.5g}" for number in vector) + "]"
