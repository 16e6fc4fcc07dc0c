"""Lengths of stretches of one text, from a single pass of the tokenizer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from app.rag.tokens import Offsets, Tokenizer

Indices = npt.NDArray[np.int64]

# A token may stand for any number of characters (an unknown word, a run of blanks). Counting a unit for every
# so many characters at least bounds a chunk in characters too, which the limits of text search need.
UNIT_CHARACTERS = 32


class Span(NamedTuple):
    """``[start, end)`` in code points; ``[first, last)`` the units that touch it."""

    start: int
    end: int
    first: int
    last: int


class Ruler:
    """Measures in units: tokens, and one more for every 32 characters inside a token.

    ``units`` has shape ``(n_units,)``: where each starts, in code points, non-decreasing. For any span the
    number of units is at least the number of tokens of the whole text that touch it.
    """

    def __init__(self, text: str, tokenizer: Tokenizer) -> None:
        self.text = text
        self._tokens = tokenizer.offsets(text)
        self.units = _with_long_tokens_divided(self._tokens, len(text))

    def spans(self, starts: Sequence[int] | Indices, ends: Sequence[int] | Indices) -> list[Span]:
        """Measured spans; every start must be smaller than its end."""
        from_, to = np.asarray(starts, np.int64), np.asarray(ends, np.int64)
        firsts, lasts = _touching(self.units, from_, to)
        return list(map(Span, from_.tolist(), to.tolist(), firsts.tolist(), lasts.tolist()))

    def span(self, start: int, end: int) -> Span:
        """One measured span."""
        return self.spans([start], [end])[0]

    def tokens(self, starts: Sequence[int], ends: Sequence[int]) -> list[int]:
        """How many tokens touch each span; counted by itself, a span may have a few more or less."""
        if not len(self._tokens):
            return [0] * len(starts)
        firsts, lasts = _touching(self._tokens, np.asarray(starts, np.int64), np.asarray(ends, np.int64))
        counts: list[int] = (lasts - firsts).tolist()
        return counts


def _touching(offsets: Offsets, starts: Indices, ends: Indices) -> tuple[Indices, Indices]:
    """The half-open ranges of tokens that have a character in each span."""
    firsts = np.searchsorted(offsets, starts, side="left")
    begins_before = offsets[np.minimum(firsts, len(offsets) - 1)] != starts
    return np.maximum(firsts - begins_before, 0), np.searchsorted(offsets, ends, side="left")


def _with_long_tokens_divided(offsets: Offsets, length: int) -> Offsets:
    edges = np.concatenate(([0], offsets, [length]))
    gaps = np.diff(edges)
    # The edge at 0 is a unit of its own only where no token starts.
    extra = np.maximum(gaps - 1, 0) // UNIT_CHARACTERS
    extra[0] += gaps[0] > 0
    if not extra.any():
        return offsets
    repeats = extra + 1
    repeats[0] -= 1
    starts = np.repeat(edges[:-1], repeats)
    position = np.arange(len(starts)) - np.repeat(np.cumsum(repeats) - repeats, repeats)
    units: Offsets = starts + position * UNIT_CHARACTERS
    return units
