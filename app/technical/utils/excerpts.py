"""The piece of a text that a search found, cut at words."""

from __future__ import annotations

import re
from collections.abc import Sequence

WIDTH = 240  # characters
BEFORE = 60  # of them ahead of the first word found
BLANKS = re.compile(r"\s+")


def excerpt(text: str, terms: Sequence[str], *, width: int = WIDTH) -> str:
    """Up to ``width`` characters on one line, from a little before the first of the terms, or the beginning.

    What is left out at an end shows as an ellipsis.
    """
    line = BLANKS.sub(" ", text).strip()
    if len(line) <= width:
        return line
    start = max(0, _first(line, terms) - BEFORE)
    if start:
        start = line.find(" ", start) + 1 or start
    start = min(start, len(line) - width)
    end = start + width
    if end < len(line):
        end = max(line.rfind(" ", start, end), start + width // 2)
    piece = line[start:end].strip()
    return f"{'…' if start else ''}{piece}{'…' if end < len(line) else ''}"


def _first(line: str, terms: Sequence[str]) -> int:
    choices = "|".join(re.escape(each) for each in sorted(terms, key=len, reverse=True) if each)
    found = re.search(choices, line, re.IGNORECASE) if choices else None
    return found.start() if found else 0
