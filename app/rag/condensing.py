"""What tells most of a long text: a ticket is searched for by it, since no question is that long."""

from __future__ import annotations

import math
import re
from collections import Counter

from app.rag.language import Unit, hard_tokens, units, words

LONGEST_QUESTION = 1_200  # characters; about what the local model's window holds
LONGEST_PIECE = 300  # characters; a stack trace has no sentences
LONGEST_READ = 50_000  # characters of a text that are looked at
HARD_WEIGHT = 2.0  # of an error code, version or number beside a word
FIRST_WEIGHT = 1.5  # of the sentences that a writer begins with
FIRST = 3
FEW = 3  # pieces of what is still one question
LONGEST_HEADLINE = 200  # characters
TOPIC = 2  # content words of a line that says anything
NUMBER = re.compile(r"\d+")


def condense(text: str, *, limit: int = LONGEST_QUESTION) -> str:
    """The most telling sentences in their order, at most ``limit`` characters; the first always stays.

    Telling is what holds many words that stand nowhere else in the text, codes and numbers for its length,
    and what stands early.
    """
    text = text[:LONGEST_READ].strip()
    if len(text) <= limit:
        return text
    pieces = _pieces(text)
    telling = _telling(pieces)
    order = sorted(range(len(pieces)), key=lambda place: (place > 0, -telling[place]))
    chosen: list[tuple[int, str]] = []
    room = limit
    for place in order:
        piece = pieces[place][: limit if not chosen else None]
        if len(piece) < room:
            chosen.append((place, piece))
            room -= len(piece) + 1
    return "\n".join(piece for _, piece in sorted(chosen)) or text[:limit]


def headline(text: str, found: str) -> str | None:
    """The line of a long text that says what it is about; None for a text as short as a question.

    A ticket's first line is its subject. Where that says nothing ("Hello,") it is the sentence that has most
    in common with ``found``, the best passage.
    """
    pieces = _pieces(text)
    if len(text) <= LONGEST_PIECE and len(pieces) < FEW:
        return None
    first = text.split("\n", 1)[0].strip()
    if len(first) <= LONGEST_HEADLINE and not first.endswith(",") and len(words(first)) >= TOPIC:
        return first
    there = set(words(found))
    return max(pieces, key=lambda piece: _common(set(words(piece)), there), default=None)


def _common(words_of_piece: set[str], there: set[str]) -> float:
    return len(words_of_piece & there) / math.sqrt(len(words_of_piece) + TOPIC)


def _pieces(text: str) -> list[str]:
    """Each thing said once: the lines of a log differ in their numbers."""
    found: dict[str, str] = {}
    for unit in units(text):
        for piece in _cut(text, unit):
            found.setdefault(NUMBER.sub("0", piece.strip()), piece.strip())
    return [piece for piece in found.values() if piece]


def _cut(text: str, unit: Unit) -> list[str]:
    whole = text[unit.start : unit.end]
    if len(whole) <= LONGEST_PIECE:
        return [whole]
    lines = whole.splitlines()
    return [
        line[at : at + LONGEST_PIECE] for line in lines for at in range(0, max(len(line), 1), LONGEST_PIECE)
    ]


def _telling(pieces: list[str]) -> list[float]:
    """Of each piece how much it tells for its length; a word that many pieces hold tells little."""
    held = [set(words(piece)) for piece in pieces]
    pieces_with = Counter(word for each in held for word in each)
    found = []
    for place, (piece, own) in enumerate(zip(pieces, held, strict=True)):
        weight = sum(1 / pieces_with[word] for word in own) + HARD_WEIGHT * len(hard_tokens(piece))
        early = FIRST_WEIGHT if place < FIRST else 1.0
        found.append(early * weight / math.sqrt(len(piece) + LONGEST_PIECE / 4))
    return found
