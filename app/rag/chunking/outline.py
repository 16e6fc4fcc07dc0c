"""The sections of a document, each a run of items that are never cut again."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from app.parsing.blocks import Block, BlockKind
from app.rag.chunking.headers import Heading, one_line
from app.rag.chunking.ruler import Ruler, Span
from app.rag.chunking.splitting import split

DEEPEST = 6
LEAD_CHARACTERS = 100  # a shorter paragraph without a full stop belongs to what follows it
COLUMNS_CHARACTERS = 200  # a longer header row is not repeated above the table's continuation
_FULL_STOPS = tuple(".!?\u2026\u3002\uff01\uff1f")


class Item(NamedTuple):
    """What is packed as a whole; ``[section, last_section]`` are the sections it belongs to, usually one.

    ``columns`` is the header row when the item continues a table.
    """

    span: Span
    section: int
    last_section: int
    columns: str = ""


@dataclass(frozen=True, slots=True)
class Section:
    """Text under one heading up to the next; a heading without text of its own joins the next section."""

    path: tuple[Heading, ...]
    items: list[Item]


class Outline:
    """Reads blocks into sections. ``limit(headings)`` is the most units an item under them may have."""

    def __init__(self, ruler: Ruler, limit: Callable[[tuple[Heading, ...]], int]) -> None:
        self.sections: list[Section] = []
        self._ruler = ruler
        self._limit_of = limit
        self._path: list[Heading] = []
        self._limit = limit(())
        self._open = False  # the last section still takes text
        self._leads: Span | None = None  # headings and lines like headings that wait for text

    def read(self, blocks: Sequence[Block]) -> list[Section]:
        """The sections of all blocks, in order; blocks must be in order and not empty."""
        spans = self._ruler.spans([block.start for block in blocks], [block.end for block in blocks])
        for number, (block, span) in enumerate(zip(blocks, spans, strict=True)):
            if block.kind is BlockKind.HEADING:
                self._descend(number, block, span.last - span.first)
                self._leads = _through(self._leads, span)
            elif number + 1 < len(blocks) and self._leads_on(block, blocks[number + 1], span):
                self._section()
                self._leads = _through(self._leads, span)
            else:
                self._add(block.kind, span)
        self._close()
        return self.sections

    def _descend(self, number: int, block: Block, units: int) -> None:
        level = min(max(block.level, 1), DEEPEST)
        while self._path and self._path[-1].level >= level:
            self._path.pop()
        # Enough of the text for one line; a megabyte of heading would be kept once per chunk.
        text = one_line(self._ruler.text[block.start : min(block.end, block.start + 1_000)])
        self._path.append(Heading(number, level, text, units))
        self._open = False

    def _leads_on(self, block: Block, following: Block, span: Span) -> bool:
        """Whether a paragraph introduces the next block: "The limits are:", a heading that is only bold."""
        if block.kind is not BlockKind.PARAGRAPH or following.kind is BlockKind.HEADING:
            return False
        waiting = self._leads or span
        return (
            block.end - block.start <= LEAD_CHARACTERS
            and (waiting.last - waiting.first) * 8 <= self._limit
            and not self._ruler.text[block.start : block.end].endswith(_FULL_STOPS)
        )

    def _add(self, kind: BlockKind, span: Span) -> None:
        items = self._section().items
        number = len(self.sections) - 1
        whole = _through(self._leads, span)
        if whole.last - whole.first <= self._limit:
            self._leads = None
            items.append(Item(whole, number, number))
            return
        pieces = self._pieces(kind, span)
        columns = self._columns(span) if kind is BlockKind.TABLE else ""
        items.extend(
            Item(piece, number, number, columns if index else "") for index, piece in enumerate(pieces)
        )

    def _section(self) -> Section:
        if not self._open:
            path = tuple(self._path)
            self.sections.append(Section(path, []))
            self._limit = self._limit_of(path)
            self._open = True
        return self.sections[-1]

    def _pieces(self, kind: BlockKind, span: Span) -> list[Span]:
        """A block too long for one chunk, the headings that wait for it joined to its first piece."""
        headings, self._leads = self._leads, None
        if headings is None:
            return split(self._ruler, span, kind, limit=self._limit, room=self._limit)
        room = self._limit - (headings.last - headings.first) - 2  # the blank line between them
        if room < self._limit // 4:
            above = split(self._ruler, headings, BlockKind.HEADING, limit=self._limit, room=self._limit)
            return [*above, *split(self._ruler, span, kind, limit=self._limit, room=self._limit)]
        first, *others = split(self._ruler, span, kind, limit=self._limit, room=room)
        return [_through(headings, first), *others]

    def _columns(self, span: Span) -> str:
        end = self._ruler.text.find("\n", span.start, min(span.end, span.start + COLUMNS_CHARACTERS + 1))
        return self._ruler.text[span.start : end] if end > 0 else ""

    def _close(self) -> None:
        """Headings at the very end join the text before them, if they can."""
        if self._leads is None:
            return
        headings, self._leads = self._leads, None
        if self.sections:
            last = self.sections[-1].items[-1]
            whole = _through(last.span, headings)
            if whole.last - whole.first <= self._limit:
                self.sections[-1].items[-1] = last._replace(span=whole)
                return
        self._open = False
        items, number = self._section().items, len(self.sections) - 1
        pieces = split(self._ruler, headings, BlockKind.HEADING, limit=self._limit, room=self._limit)
        items.extend(Item(piece, number, number) for piece in pieces)


def _through(first: Span | None, second: Span) -> Span:
    return second if first is None else Span(first.start, second.end, first.first, second.last)
