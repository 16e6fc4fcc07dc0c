"""The sections of a document, each a run of items that are never cut again."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from app.parsing.blocks import Block, BlockKind
from app.rag.chunking.headers import Headers, Heading
from app.rag.chunking.ruler import Ruler, Span
from app.rag.chunking.splitting import split

DEEPEST = 6
LEAD_CHARACTERS = 100  # a shorter paragraph without a full stop belongs to what follows it
COLUMNS_CHARACTERS = 200  # a longer header row is not repeated above the table's continuation
_NO_FOLLOWERS = (None, BlockKind.HEADING)
_FULL_STOPS = ".!?\u2026\u3002\uff01\uff1f"


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
    """Reads blocks into sections. ``limit(path)`` is the most units an item under these headings may have."""

    def __init__(self, ruler: Ruler, headers: Headers, limit: Callable[[tuple[Heading, ...]], int]) -> None:
        self.sections: list[Section] = []
        self._ruler = ruler
        self._headers = headers
        self._limit_of = limit
        self._path: list[Heading] = []
        self._limit = limit(())
        self._items: list[Item] | None = None  # of the section that takes text now
        self._leads: Span | None = None  # headings and lines like headings that wait for text

    def read(self, blocks: Sequence[Block]) -> list[Section]:
        """The sections of all blocks, in order; blocks must be in order and not empty."""
        spans = self._ruler.spans([block.start for block in blocks], [block.end for block in blocks])
        kinds = [block.kind for block in blocks]
        for number, (kind, span, following) in enumerate(zip(kinds, spans, [*kinds[1:], None], strict=True)):
            if kind is BlockKind.HEADING:
                self._descend(number, blocks[number].level, span)
                self._leads = _through(self._leads, span)
                continue
            items = self._items if self._items is not None else self._begin()
            whole = span if self._leads is None else _through(self._leads, span)
            if kind is BlockKind.PARAGRAPH and following not in _NO_FOLLOWERS and self._leads_on(whole, span):
                self._leads = whole
            elif whole.last - whole.first <= self._limit:
                items.append(Item(whole, len(self.sections) - 1, len(self.sections) - 1))
                self._leads = None
            else:
                self._divide(kind, span, items)
        self._close()
        return self.sections

    def _descend(self, number: int, level: int, span: Span) -> None:
        level = min(max(level, 1), DEEPEST)
        while self._path and self._path[-1].level >= level:
            self._path.pop()
        # Enough of the text for one line; a megabyte of heading would be kept once per chunk.
        text = self._ruler.text[span.start : min(span.end, span.start + 1_000)]
        above = self._path[-1] if self._path else None
        self._path.append(self._headers.heading(number, level, text, span.last - span.first, above))
        self._items = None

    def _begin(self) -> list[Item]:
        section = Section(tuple(self._path), [])
        self.sections.append(section)
        self._limit = self._limit_of(section.path)
        self._items = section.items
        return section.items

    def _leads_on(self, whole: Span, span: Span) -> bool:
        """Whether a paragraph introduces the next block: "The limits are:", a heading that is only bold.

        Only so many of them wait for one block.
        """
        return (
            span.end - span.start <= LEAD_CHARACTERS
            and (whole.last - whole.first) * 8 <= self._limit
            and self._ruler.text[span.end - 1] not in _FULL_STOPS
        )

    def _divide(self, kind: BlockKind, span: Span, items: list[Item]) -> None:
        number = len(self.sections) - 1
        columns = self._columns(span) if kind is BlockKind.TABLE else ""
        for index, piece in enumerate(self._pieces(kind, span)):
            items.append(Item(piece, number, number, columns if index else ""))

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
        items, number = self._begin(), len(self.sections) - 1
        pieces = split(self._ruler, headings, BlockKind.HEADING, limit=self._limit, room=self._limit)
        items.extend(Item(piece, number, number) for piece in pieces)


def _through(first: Span | None, second: Span) -> Span:
    return second if first is None else Span(first.start, second.end, first.first, second.last)
