"""Sentences of a text, and which of them speak of the same as another text. Pure functions."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import pairwise
from math import sqrt
from typing import NamedTuple

from app.features.constants import QUOTED_MAX
from app.matching.words import spellings

SHORTEST = 20  # code points; less is a greeting
FEWEST = 4  # words of a sentence that says something
MEANINGFUL = 4  # letters of a word; shorter ones are mostly grammar
# A mark and what closes a quotation behind it, before white space and something that begins a sentence; or
# the end of a line, unless the next goes on in lower case, as mail that was wrapped does.
_ENDS = re.compile(r"[.!?…]+[\"'”\u2019)\]]*(?=\s+[^\sa-z])|\n(?=\s*[^\sa-z])")
_WORD = re.compile(r"[^\W_]+")


class Span(NamedTuple):
    """From ``start`` to before ``stop``, in code points."""

    start: int
    stop: int


def sentences(text: str) -> Iterator[Span]:
    """The sentences that a message says by itself, in order: lines that quote somebody else are left out, as
    are greetings."""
    cuts = [0, *(match.end() for match in _ENDS.finditer(text)), len(text)]
    for start, stop in pairwise(cuts):
        said = text[start:stop]
        stripped = said.strip()
        if stripped.startswith(">") or not SHORTEST <= len(stripped) <= QUOTED_MAX:
            continue
        if len(_WORD.findall(stripped)) >= FEWEST:
            begin = start + len(said) - len(said.lstrip())
            yield Span(begin, begin + len(stripped))


def by_words(wanted: str, offered: Sequence[str]) -> list[float]:
    """How much each text says of the same, by the word stems that it shares: 0 for fewer than two, else
    shared / √(stems of the text)."""
    stems = _stems(wanted)
    return [_overlap(stems, _stems(each)) for each in offered]


def _overlap(wanted: set[str], offered: set[str]) -> float:
    shared = len(wanted & offered)
    return shared / sqrt(len(offered)) if shared > 1 else 0.0


def _stems(text: str) -> set[str]:
    return {lexeme for lexeme in spellings(text) if len(lexeme) >= MEANINGFUL}
