"""Where a block that is too long for one chunk may be cut: at its own joints first, inside a word last."""

from __future__ import annotations

import re
from collections.abc import Iterator

from app.parsing.blocks import BlockKind
from app.rag.chunking.ruler import Ruler, Span
from app.rag.tokens import cut_between_graphemes

# Each pattern ends where the next piece begins. All are linear in the length of the text.
_STANZA = re.compile(r"\n(?:[ \t]*\n)+")
_ITEM = re.compile(r"\n(?=(?:[-*+•]|\d{1,9}[.)])[ \t])")
_NESTED_ITEM = re.compile(r"\n(?=[ \t]*(?:[-*+•]|\d{1,9}[.)])[ \t])")
_LINE = re.compile(r"\n")
# Full-width stops end a sentence without a space: 。 and the wide ! and ?, then closing marks.
_SENTENCE = re.compile(
    r"[.!?…]['\"\u2019\u201d)\]]*\s+|[\u3002\uff01\uff1f]['\"\u2019\u201d\uff09\u300d\u300f]*\s*"
)
_CELL = re.compile(r"[ \t]\|[ \t]+")
_CLAUSE = re.compile(r"[,;:][ \t\n]+|[\uff0c\uff1b\u3001\uff1a]")

_JOINTS: dict[BlockKind, tuple[re.Pattern[str], ...]] = {
    BlockKind.TABLE: (_LINE, _CELL, _SENTENCE),
    BlockKind.LIST: (_ITEM, _NESTED_ITEM, _LINE, _SENTENCE, _CLAUSE),
    BlockKind.CODE: (_STANZA, _LINE),
    BlockKind.QUESTION_ANSWER: (_LINE, _SENTENCE, _CLAUSE),
}
_PROSE = (_STANZA, _SENTENCE, _LINE, _CLAUSE)


def split(ruler: Ruler, span: Span, kind: BlockKind, *, limit: int, room: int) -> list[Span]:
    """Pieces without gaps, each of at most ``limit`` units and the first of at most ``room``."""
    return list(_refined(ruler, span, _JOINTS.get(kind, _PROSE), limit=limit, room=room))


def _refined(
    ruler: Ruler, span: Span, joints: tuple[re.Pattern[str], ...], *, limit: int, room: int
) -> Iterator[Span]:
    if not joints:
        yield from fill(ruler, span, limit=limit, room=room)
        return
    cuts = [match.end() for match in joints[0].finditer(ruler.text, span.start, span.end)]
    if cuts and cuts[-1] == span.end:
        cuts.pop()
    pieces = ruler.spans([span.start, *cuts], [*cuts, span.end]) if cuts else [span]
    for number, piece in enumerate(pieces):
        allowed = limit if number else room
        if piece.last - piece.first <= allowed:
            yield piece
        else:
            yield from _refined(ruler, piece, joints[1:], limit=limit, room=allowed)


def fill(ruler: Ruler, span: Span, *, limit: int, room: int) -> Iterator[Span]:
    """As much as fits, piece after piece: up to white space in the last half, else between two graphemes."""
    start, allowed = span.start, room
    rest = span
    while rest.last - rest.first > allowed:
        cut = max(int(ruler.units[rest.first + allowed]), start + 1)
        cut = _at_space(ruler.text, (start + cut) // 2, cut) or cut_between_graphemes(
            ruler.text, cut, after=start
        )
        yield ruler.span(start, cut)
        start, allowed = cut, limit
        rest = ruler.span(start, span.end)
    yield rest


def _at_space(text: str, low: int, high: int) -> int:
    """The place after the last white space in ``[low, high)``, 0 when there is none."""
    return max(text.rfind(space, low, high) for space in " \n\t\u3000") + 1
