"""What every parser returns, and the one place where its text is put together.

The stored text is what people see as quotes and what citations count code points in. So it is cleaned here,
once, for all formats: NFC (equal words are equal code points, while nothing changes to the eye, as NFKC
would do to ① or ²), ``\n`` line ends, no trailing spaces, blocks separated by one blank line.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from enum import StrEnum

from app.parsing.cleaning import clean, clean_code, clean_inline, clean_lines
from app.parsing.exceptions import Code, ParsingError


class BlockKind(StrEnum):
    """What a stretch of text is. A chunker keeps every kind but ``paragraph`` and ``quote`` whole if it
    can.
    """

    HEADING = "heading"
    PARAGRAPH = "paragraph"
    LIST = "list"
    TABLE = "table"
    CODE = "code"
    QUOTE = "quote"
    QUESTION_ANSWER = "question_answer"


@dataclass(frozen=True, slots=True)
class Block:
    """``[start, end)`` in code points of :attr:`Parsed.text`; ``level`` is 1 to 6 for headings, else 0."""

    kind: BlockKind
    start: int
    end: int
    level: int = 0


@dataclass(frozen=True, slots=True)
class Parsed:
    """A file as text.

    ``blocks`` are in order, do not overlap and cover every non-space character of ``text``.

    A list is lines beginning with ``- `` or ``1. ``; a table is one ``| a | b |`` line per row, the header
    row first; a question_answer block is the question on its first line and the answer below.
    ``language`` (ISO 639-1) and ``title`` are None when the file does not say; ``pages`` is set for PDF only.
    """

    title: str | None
    text: str
    blocks: tuple[Block, ...]
    media_type: str
    language: str | None = None
    pages: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Sizes beyond which a file is refused as ``file_too_large`` before it can exhaust the machine."""

    characters: int = 20_000_000
    pages: int = 5_000
    expanded_bytes: int = 300_000_000
    expanded_xml_bytes: int = 60_000_000
    expansion_ratio: int = 200
    archive_entries: int = 10_000


_LANGUAGE = re.compile(r"([A-Za-z]{2})(?:[-_][A-Za-z0-9-]+)?")


def language_code(value: str | None) -> str | None:
    """The ISO 639-1 part of a language tag (``en-US`` → ``en``), None when there is none."""
    match = _LANGUAGE.fullmatch((value or "").strip())
    return match[1].lower() if match else None


@dataclass(slots=True)
class TextBuilder:
    """Collects blocks in reading order and keeps their spans. Blocks without text are dropped."""

    limits: Limits
    parts: list[str] = field(default_factory=list)
    blocks: list[Block] = field(default_factory=list)
    length: int = 0

    def add(self, kind: BlockKind, text: str, level: int = 0) -> None:
        """Append one block; raises ``file_too_large`` beyond the character limit."""
        cleaned = _cleaned(kind, text)
        if not cleaned:
            return
        start = self.length + (2 if self.blocks else 0)
        if self.blocks:
            self.parts.append("\n\n")
        self.parts.append(cleaned)
        self.length = start + len(cleaned)
        if self.length > self.limits.characters:
            raise ParsingError(
                f"the text is longer than {self.limits.characters} characters", code=Code.FILE_TOO_LARGE
            )
        self.blocks.append(Block(kind, start, self.length, max(1, min(level, 6)) if level else 0))

    def append_line(self, text: str) -> None:
        """Lengthen the last block by one line."""
        last = self.blocks.pop()
        start, self.length = last.start, last.start
        self.parts = ["".join(self.parts)]
        body = self.parts[0][start:]
        self.parts[0] = self.parts[0][: max(0, start - 2)]
        self.length = max(0, start - 2)
        self.add(last.kind, f"{body}\n{text}", last.level)

    def extend(self, other: TextBuilder) -> None:
        """Append the blocks of another builder."""
        text = "".join(other.parts)
        for block in other.blocks:
            self.add(block.kind, text[block.start : block.end], block.level)

    def first_heading(self) -> str | None:
        """The text of the first level 1 heading."""
        text = ""
        for block in self.blocks:
            if block.kind is BlockKind.HEADING and block.level == 1:
                text = text or "".join(self.parts)
                return text[block.start : block.end]
        return None

    def build(
        self,
        *,
        media_type: str,
        title: str | None = None,
        language: str | None = None,
        pages: int | None = None,
    ) -> Parsed:
        """The result; raises ``file_without_text`` when nothing readable was found."""
        if not self.blocks:
            raise ParsingError("the file holds no readable text", code=Code.FILE_WITHOUT_TEXT)
        return Parsed(
            title=clean_inline(title or "")[:500].rstrip() or self.first_heading(),
            text="".join(self.parts),
            blocks=tuple(self.blocks),
            media_type=media_type,
            language=language_code(language),
            pages=pages,
        )


def _cleaned(kind: BlockKind, text: str) -> str:
    match kind:
        case BlockKind.HEADING:
            return clean_inline(text)
        case BlockKind.CODE:
            return clean_code(text)
        case BlockKind.LIST:
            return clean_lines(clean(text), keep_indent=True)
        case _:
            return clean_lines(clean(text), keep_indent=False)
