"""Which items share a chunk.

A section is packed by itself, so an edit in one moves no boundary in another. Only small neighbouring
sections under the same parent share chunks. Within a long run, boundaries depend on what stands there
rather than on what was counted so far: of the places where a chunk may end, half the target to a little
more, it ends before the item whose first characters have the smallest checksum. So after an insertion the
old boundaries are soon found again (content-defined chunking by local minima, known from deduplication).
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from app.rag.chunking.headers import Heading
from app.rag.chunking.outline import Item, Section
from app.rag.chunking.ruler import Span

MARK_CHARACTERS = 48
SMALL = 2  # a section below 1/2 of the target shares chunks with its neighbours
TINY = 4  # what is left alone below 1/4 joins a larger neighbour


@dataclass(frozen=True, slots=True, kw_only=True)
class Sizes:
    """Units a chunk should have and may have, its header aside."""

    target: int
    maximum: int

    @property
    def whole(self) -> int:
        """A rest up to this size is not cut again."""
        return min(self.maximum, self.target * 5 // 4)


@dataclass(slots=True)
class Group:
    """The text of one chunk and the sections ``[section, last_section]`` it comes from."""

    start: int
    end: int
    units: int
    section: int
    last_section: int
    columns: str


class Packer:
    """Packs the sections of one document into groups."""

    def __init__(
        self, text: str, sections: list[Section], sizes: Callable[[tuple[Heading, ...], str], Sizes]
    ) -> None:
        self._text = text
        self._sections = sections
        self._sizes = sizes
        self._groups: list[Group] = []
        self._waiting: list[Item] = []  # small sections that may share a chunk

    def pack(self) -> list[Group]:
        """All groups in order."""
        if self._sections:
            self._walk(0, len(self._sections), 0)
        return self._groups

    def _walk(self, low: int, high: int, depth: int) -> None:
        """Pack sections ``[low, high)``, whose paths agree in the first ``depth`` headings."""
        if high - low == 1:
            section = self._sections[low]
            self._close(section.path, section.items)
            return
        path = self._sections[low].path[:depth]
        sizes = self._sizes(path, "")
        first_group = len(self._groups)
        for part in self._parts(low, high, depth):
            item = self._whole(*part)
            if _units(item.span) * SMALL <= sizes.target:
                self._waiting.append(item)
                continue
            if self._waiting and _length(self._waiting) * TINY > sizes.target:
                self._close(path, [])
            self._walk(*part, depth + 1)
        self._end(path, first_group, sizes)

    def _parts(self, low: int, high: int, depth: int) -> Iterator[tuple[int, int]]:
        """The parent's own section and each subtree below it."""
        while low < high:
            end = low + 1
            here = self._sections[low].path[depth : depth + 1]
            while here and end < high and self._sections[end].path[depth : depth + 1] == here:
                end += 1
            yield low, end
            low = end

    def _whole(self, low: int, high: int) -> Item:
        first, last = self._sections[low].items[0].span, self._sections[high - 1].items[-1].span
        return Item(Span(first.start, last.end, first.first, last.last), low, high - 1)

    def _end(self, path: tuple[Heading, ...], first_group: int, sizes: Sizes) -> None:
        """What still waits at the end of a parent joins its last chunk when tiny, else is packed."""
        if not self._waiting:
            return
        units = _length(self._waiting)
        if len(self._groups) > first_group and units * TINY <= sizes.target:
            last = self._groups[-1]
            if last.units + units <= sizes.whole:
                last.end = self._waiting[-1].span.end
                last.units += units
                last.last_section = self._waiting[-1].last_section
                self._waiting = []
                return
        self._close(path, [])

    def _close(self, path: tuple[Heading, ...], items: list[Item]) -> None:
        """Pack what waits together with these items."""
        items, self._waiting = [*self._waiting, *items], []
        columns = max((item.columns for item in items), key=len, default="")
        for low, high in runs(self._text, items, self._sizes(path, columns)):
            first, last = items[low], items[high - 1]
            units = last.span.last - first.span.first
            self._groups.append(
                Group(first.span.start, last.span.end, units, first.section, last.last_section, first.columns)
            )


def runs(text: str, items: Sequence[Item], sizes: Sizes) -> Iterator[tuple[int, int]]:
    """Half-open index ranges of the items that go together."""
    low, end = 0, items[-1].span.last
    while low < len(items) and end - items[low].span.first > sizes.whole:
        high = _next_boundary(text, items, low, sizes)
        yield low, high
        low = high
    if low < len(items):
        yield low, len(items)


def _next_boundary(text: str, items: Sequence[Item], low: int, sizes: Sizes) -> int:
    """The item before which a chunk that begins with item ``low`` ends."""
    first, index = items[low].span.first, low + 1
    candidates = []
    while index < len(items) and (size := items[index - 1].span.last - first) <= sizes.whole:
        if size * 2 >= sizes.target:
            candidates.append((_mark(text, items[index].span.start), -index))
        index += 1
    if candidates:
        return -min(candidates)[1]
    # Little text before a large item, which comes along if it can.
    large = index - 1
    return large if large > low and items[large].span.last - first > sizes.maximum else index


def _mark(text: str, start: int) -> int:
    # CRC-32: the same in every process and version, unlike hash().
    return zlib.crc32(text[start : start + MARK_CHARACTERS].encode("utf-8", "replace"))


def _units(span: Span) -> int:
    return span.last - span.first


def _length(items: Sequence[Item]) -> int:
    return items[-1].span.last - items[0].span.first
