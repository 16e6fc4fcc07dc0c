"""Lines of all pages to blocks: paragraphs, headings, lists, tables and listings."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field
from itertools import pairwise
from statistics import median

from app.parsing.blocks import BlockKind, TextBuilder
from app.parsing.pdf_lines import Line
from app.parsing.tables import add_table

_BULLET = re.compile(r"(?:[•▪‣◦●○■□➢✓·]|[-\u2013*](?=\s)|\(?(?:\d{1,2}|[a-z])[.)](?=\s))\s*")
_SIGN = re.compile(r"^[•▪‣◦●○■□➢✓·\u2013*-]\s*")
_ENDED = re.compile(r"[.!?:;。\uff0e\uff01\uff1f][\"'”\u2019)\]]*$")
_HEADING_RATIO = 1.12
_HEADING_SHARE = 0.2  # of all characters: what is more frequent is text
_MAX_HEADING = 200
_MAX_BOLD_HEADING = 100
_ALIGNED = 4.0  # points


@dataclass(slots=True)
class _Page:
    """What is usual in the document and on the page."""

    body_size: float
    levels: dict[float, int]
    outline: dict[int, dict[str, int]]
    bold_is_rare: bool
    leading: float = 0.0
    right: float = 0.0


def size_counts(pages: list[list[Line]]) -> Counter[float]:
    """How many characters there are of each font size."""
    sizes = Counter[float]()
    for page in pages:
        for line in page:
            sizes[line.size] += len(line.text)
    return sizes


def body_size(pages: list[list[Line]]) -> float:
    """The font size that most characters have, in points."""
    return max(size_counts(pages).items(), key=lambda item: item[1], default=(0.0, 0))[0]


def add_blocks(builder: TextBuilder, pages: list[list[Line]], outline: dict[int, dict[str, int]]) -> None:
    """Append the blocks of a document; ``outline`` is page → {folded title: level}."""
    sizes = size_counts(pages)
    if not sizes:
        return
    body = body_size(pages)
    bold = sum(len(line.text) for page in pages for line in page if line.bold)
    context = _Page(body, _levels(sizes, body), outline, bold_is_rare=bold < _HEADING_SHARE * sizes.total())
    assembler = _Assembler(builder, context)
    for page in pages:
        gaps = [
            above.bottom - below.bottom
            for above, below in pairwise(page)
            if 0 < above.bottom - below.bottom < 60
        ]
        context.leading = median(gaps) if gaps else body * 1.3
        context.right = max((line.right for line in page), default=0.0)
        for line in page:
            assembler.add(line)
    assembler.end()


def _levels(sizes: Counter[float], body: float) -> dict[float, int]:
    """Heading levels of the sizes above the body's, the largest first."""
    levels: dict[float, int] = {}
    characters = 0
    for size in sorted((size for size in sizes if size > body * _HEADING_RATIO), reverse=True):
        characters += sizes[size]
        if characters > _HEADING_SHARE * sizes.total():
            break
        levels[size] = min(len(levels) + 1, 6)
    return levels


@dataclass(slots=True)
class _Assembler:
    builder: TextBuilder
    context: _Page
    lines: list[Line] = field(default_factory=list)
    kind: BlockKind = BlockKind.PARAGRAPH
    level: int = 0

    def add(self, line: Line) -> None:
        """Take one line: it goes on with the current block or begins the next."""
        if (
            line.size < self.context.body_size * 0.8
            and line.text.strip("*\u2217†‡,").isdigit()
            and len(line.text) < 4
        ):
            return  # the sign of a footnote, raised out of its line
        level = self._heading_level(line)
        kind = self._kind(line, level)
        if kind is BlockKind.PARAGRAPH and self.kind is BlockKind.TABLE and self._continues_row(line):
            kind = BlockKind.TABLE
        if not self.lines or kind is not self.kind or level != self.level or self._begins(line):
            continues_item = (
                self.kind is BlockKind.LIST and kind is BlockKind.PARAGRAPH and self._continues_item(line)
            )
            if not continues_item:
                self.end()
                self.kind, self.level = kind, level
        self.lines.append(line)

    def end(self) -> None:
        """Write the current block."""
        lines, self.lines = self.lines, []
        if not lines:
            return
        match self.kind:
            case BlockKind.TABLE if len(lines) > 1:
                add_table(self.builder, _aligned(lines))
            case BlockKind.CODE:
                self.builder.add(BlockKind.CODE, _listing(lines))
            case BlockKind.LIST:
                self.builder.add(BlockKind.LIST, "\n".join(_items(lines)))
            case BlockKind.HEADING:
                self.builder.add(BlockKind.HEADING, joined(lines).replace("\n", " "), self.level)
            case _:
                self.builder.add(BlockKind.PARAGRAPH, joined(lines))

    def _kind(self, line: Line, level: int) -> BlockKind:
        if level:
            return BlockKind.HEADING
        if line.mono:
            return BlockKind.CODE
        if _BULLET.match(line.text) and len(line.cells) <= 2:
            return BlockKind.LIST
        return BlockKind.TABLE if len(line.cells) > 1 else BlockKind.PARAGRAPH

    def _heading_level(self, line: Line) -> int:
        """From the bookmarks if they name the line, else from its size."""
        if len(line.text) > _MAX_HEADING or line.mono:
            return 0
        folded = "".join(line.text.split()).casefold()
        named = self.context.outline.get(line.page, {}).get(folded)
        if named is not None and line.size >= self.context.body_size:
            return min(named, 6)
        if len(line.cells) > 2 or not any(character.isalpha() for character in line.text):
            return 0
        return self.context.levels.get(line.size, 0) or self._bold_level(line)

    def _bold_level(self, line: Line) -> int:
        """A bold line of its own, in a text that is not bold, is a heading below those that are larger."""
        text = line.text
        if not (
            line.bold
            and self.context.bold_is_rare
            and len(line.cells) == 1
            and 2 < len(text) < _MAX_BOLD_HEADING
        ):
            return 0
        if (
            _ENDED.search(text)
            or text[-1] == ","
            or line.size < self.context.body_size * 0.95
            or _BULLET.match(text)
        ):
            return 0
        after_text = (
            bool(self.lines) and self.kind is BlockKind.PARAGRAPH and not _ENDED.search(self.lines[-1].text)
        )
        return 0 if after_text and self.lines[-1].page == line.page else min(len(self.context.levels) + 1, 6)

    def _begins(self, line: Line) -> bool:
        """True when the line does not go on with the block before it, though it is of the same kind."""
        last = self.lines[-1]
        gap = last.bottom - line.bottom
        if self.kind is BlockKind.TABLE:
            return line.page != last.page or gap > 3 * self.context.leading
        if self.kind in {BlockKind.LIST, BlockKind.CODE}:
            return gap > 3 * self.context.leading
        if line.page != last.page or gap < 0:
            return bool(_ENDED.search(last.text)) or not line.text[:1].islower()
        if gap > 1.35 * max(self.context.leading, line.size) or abs(line.size - last.size) > 1:
            return True
        short = last.right < self.context.right * 0.75 and self.kind is not BlockKind.HEADING
        return short and bool(_ENDED.search(last.text)) and line.bold == last.bold

    def _continues_row(self, line: Line) -> bool:
        """A wrapped cell stands below its column; a row of close cells reaches into the second column."""
        if not self.lines or self.lines[-1].page != line.page:
            return False
        gap = self.lines[-1].bottom - line.bottom
        if not 0 < gap < 1.8 * max(self.context.leading, line.size):
            return False
        first, *others = max(self.lines, key=lambda row: len(row.cells)).places
        below = any(abs(line.left - left) < _ALIGNED for left, _ in others)
        across = abs(line.left - first[0]) < _ALIGNED and bool(others) and line.right > others[0][0]
        return below or across

    def _continues_item(self, line: Line) -> bool:
        """A wrapped item goes on indented, close below its first line."""
        first = next(item for item in reversed(self.lines) if _BULLET.match(item.text))
        gap = self.lines[-1].bottom - line.bottom
        return 0 < gap < 1.4 * max(self.context.leading, line.size) and line.left > first.left + 2


def joined(lines: list[Line]) -> str:
    """Lines as running text.

    A hyphen at a line's end is dropped when the next line begins in lower case. A line stays a line when
    the first word of the next one would have fitted on it.
    """
    edge = max(line.right for line in lines)
    text = ""
    last: Line | None = None
    for line in lines:
        words = line.text.strip()
        if last is None:
            text = words
        elif text[-1:] == "-" and words[:1].islower() and text[-2:-1].isalpha():
            text = text[:-1] + words
        elif (
            text[-1:] == "/"
            and "://" in text.rsplit(" ", 1)[-1]
            and re.search(r"[/.]", words.split(" ", 1)[0])
        ):
            text += words  # an address broken at a slash
        else:
            text += ("\n" if _broken(last, line, edge) else " ") + words
        last = line
    return text


def _broken(last: Line, line: Line, edge: float) -> bool:
    word = line.text.split(" ", 1)[0]
    width = (line.right - line.left) * (len(word) + 2) / max(len(line.text), 1)
    return last.right + width < edge and not line.text[:1].islower()


def _aligned(lines: list[Line]) -> list[list[str]]:
    """The cells in the columns of the row that has most of them."""
    columns = max(lines, key=lambda line: len(line.cells)).places
    rows: list[list[str]] = []
    for line in lines:
        row = [""] * len(columns)
        for cell, (left, right) in zip(line.cells, line.places, strict=False):
            nearest = min(range(len(columns)), key=lambda index: _distance(columns[index], (left, right)))
            row[nearest] = f"{row[nearest]} {cell}".strip()
        if rows and len(line.cells) == 1 and not row[0]:
            rows[-1] = [f"{above} {below}".strip() for above, below in zip(rows[-1], row, strict=True)]
        else:
            rows.append(row)
    return rows


def _distance(column: tuple[float, float], cell: tuple[float, float]) -> float:
    """Cells of a column share their left end, their right end (numbers) or their middle."""
    left, right = column[0] - cell[0], column[1] - cell[1]
    return min(abs(left), abs(right), abs(left + right) / 2)


def _items(lines: list[Line]) -> list[str]:
    """One line an item; its sign becomes ``- ``, a number stays."""
    items: list[list[Line]] = []
    for line in lines:
        if _BULLET.match(line.text) or not items:
            items.append([line])
        else:
            items[-1].append(line)
    edge = min(item[0].left for item in items)
    return [
        "  " * min(3, int((item[0].left - edge) // max(item[0].size, 6)))
        + _SIGN.sub("- ", joined(item).replace("\n", " "))
        for item in items
    ]


def _listing(lines: list[Line]) -> str:
    """Code with its indentation, measured in the width of a character."""
    edge = min(line.left for line in lines)
    widths = [(line.right - line.left) / len(line.text) for line in lines if len(line.text) > 3]
    width = median(widths) if widths else 6.0
    return "\n".join(" " * min(60, round((line.left - edge) / max(width, 1))) + line.text for line in lines)
