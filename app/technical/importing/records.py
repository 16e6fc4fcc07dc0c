"""Where each record of a file begins and ends, so that reading can go on at any of them.

A record that cannot be read is one that says so, with its raw text: it costs none of the others. A quote that
is never closed costs its own line: reading goes on at the next one.
"""

from __future__ import annotations

import csv
import io
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

import msgspec

RECORD_MAX = 4 * 2**20  # bytes
CELLS_MAX = 1_000  # columns of a file
NEWLINE = b"\n"
DELIMITERS = (",", ";", "\t", "|")

csv.field_size_limit(max(csv.field_size_limit(), RECORD_MAX))  # the module's own, and the process' only one


class Format(StrEnum):
    """How records stand in a file."""

    csv = "csv"
    jsonl = "jsonl"


@dataclass(frozen=True, slots=True)
class Layout:
    """What is found out of a file once: its format, and of CSV the delimiter and the titles."""

    format: Format
    delimiter: str = ","
    header: Sequence[str] = ()
    start: int = 0  # bytes before the first record
    line: int = 1  # its line


@dataclass(frozen=True, slots=True)
class Record:
    """One record: its fields by their names in the file, or what is wrong with it."""

    line: int  # where it begins, from 1
    end: int  # the offset behind it, in bytes
    next_line: int
    raw: str = ""
    fields: Mapping[str, Any] = field(default_factory=dict)
    problem: str | None = None


class LayoutError(Exception):
    """The file cannot be read at all, and why."""


class LineReader:
    """The lines of a file that comes in pieces, with a look ahead: what was looked at can be given back."""

    def __init__(self, pieces: AsyncIterator[bytes]) -> None:
        self._pieces = pieces
        self._buffer = bytearray()
        self._ended = False

    async def peek(self, start: int) -> tuple[bytes, int] | None:
        """The line that begins ``start`` bytes from here, its end included, and where the next one begins.

        None at the end. A line longer than a record may be comes in parts.
        """
        searched = start
        while (found := self._buffer.find(NEWLINE, searched)) < 0:
            searched = max(start, len(self._buffer))
            if len(self._buffer) - start > RECORD_MAX or not await self._more():
                break
        end = found + 1 if found >= 0 else len(self._buffer)
        end = min(end, start + RECORD_MAX + 1)
        return None if end <= start else (bytes(self._buffer[start:end]), end)

    def drop(self, count: int) -> None:
        """These bytes are done with."""
        del self._buffer[:count]

    async def _more(self) -> bool:
        if self._ended:
            return False
        piece = await anext(self._pieces, None)
        if piece is None:
            self._ended = True
            return False
        self._buffer += piece
        return True


async def lay_out(pieces: AsyncIterator[bytes], wanted: Format | None) -> Layout:
    """What the file is; ``LayoutError`` for an empty one, or one that is neither."""
    lines, line, offset = LineReader(pieces), 1, 0
    while (found := await lines.peek(0)) is not None and not found[0].strip():
        lines.drop(found[1])
        line, offset = line + 1, offset + found[1]
    if found is None:
        raise LayoutError("The file is empty.")
    first = found[0].lstrip()
    if first.startswith(b"[") and wanted is not Format.csv:
        raise LayoutError("The file is one JSON array: write one object a line instead.")
    if wanted is Format.jsonl or (wanted is None and first.startswith(b"{")):
        return Layout(Format.jsonl, start=offset, line=line)
    return await _csv_layout(lines, offset, line)


async def _csv_layout(lines: LineReader, offset: int, line: int) -> Layout:
    delimiter = None
    found = await lines.peek(0)
    told = found[0].strip().lower() if found else b""
    if found and told.startswith(b"sep=") and len(told) <= 5:  # a line of spreadsheets' own
        delimiter = told[4:].decode("ascii", "replace") or "\t"
        lines.drop(found[1])
        offset, line = offset + found[1], line + 1
    taken = await _quoted(lines)
    if taken is None:
        raise LayoutError("The first line does not end, or has a quote that is not closed.")
    raw, used = taken
    text = raw.decode("utf-8", "replace")
    delimiter = delimiter or _delimiter(text)
    header = _told_apart([each.strip() for each in _cells(text, delimiter) or ()])
    if len(header) > CELLS_MAX:
        raise LayoutError(f"The file has more than {CELLS_MAX} columns.")
    return Layout(Format.csv, delimiter, tuple(header), offset + used, line + raw.count(NEWLINE))


def _told_apart(titles: list[str]) -> list[str]:
    """The titles, of which a second one of a kind has its place behind it."""
    seen: set[str] = set()
    for index, title in enumerate(titles):
        if title in seen and title:
            titles[index] = f"{title} ({index + 1})"
        seen.add(title)
    return titles


def _delimiter(header: str) -> str:
    """The one that makes the most titles; commas if none does."""
    return max(DELIMITERS, key=lambda each: (len(_cells(header, each) or ()), -DELIMITERS.index(each)))


async def read_records(
    pieces: AsyncIterator[bytes], layout: Layout, *, offset: int, line: int
) -> AsyncIterator[Record]:
    """The records from ``offset`` on, which is where one begins; ``pieces`` begin there. Blank lines pass."""
    lines = LineReader(pieces)
    while (found := await lines.peek(0)) is not None:
        first, used = found
        if not first.strip():
            lines.drop(used)
            offset, line = offset + used, line + first.count(NEWLINE)
            continue
        if layout.format is Format.jsonl:
            record, used = await _json_record(lines, first, used, line)
        else:
            record, used = await _csv_record(lines, layout, first, used, line)
        lines.drop(used)
        offset, line = offset + used, record.next_line
        yield Record(
            line=record.line,
            end=offset,
            next_line=line,
            raw=record.raw,
            fields=record.fields,
            problem=record.problem,
        )


async def _json_record(lines: LineReader, first: bytes, used: int, line: int) -> tuple[Record, int]:
    if len(first) > RECORD_MAX:
        return await _endless(lines, first, used, line)
    raw = first.decode("utf-8", "replace").strip()
    following = line + first.count(NEWLINE)
    try:
        fields = msgspec.json.decode(first)
    except (msgspec.DecodeError, RecursionError):
        return Record(line, 0, following, raw, problem="Malformed JSON"), used
    if not isinstance(fields, dict):
        return Record(line, 0, following, raw, problem="Not a JSON object"), used
    return Record(line, 0, following, raw, fields), used


async def _csv_record(
    lines: LineReader, layout: Layout, first: bytes, used: int, line: int
) -> tuple[Record, int]:
    if len(first) > RECORD_MAX:
        return await _endless(lines, first, used, line)
    taken, cells = await _quoted(lines), None
    whole, whole_used = taken or (first, used)
    if taken is not None:
        cells = _cells(whole.decode("utf-8", "replace"), layout.delimiter)
    if cells is None:  # perhaps a quote in the midst of a cell, which begins nothing
        whole, whole_used = first, used
        cells = _cells(first.decode("utf-8", "replace"), layout.delimiter, strict=True)
    raw, used = whole.decode("utf-8", "replace").rstrip("\n"), whole_used
    following = line + whole.count(NEWLINE)
    if cells is None and taken is None:
        return Record(line, 0, following, raw, problem="A quote is not closed"), used
    if cells is None:
        return Record(line, 0, following, raw, problem="Malformed CSV"), used
    if len(cells) > len(layout.header) and any(each.strip() for each in cells[len(layout.header) :]):
        problem = f"Has {len(cells)} cells, the first line {len(layout.header)}"
        return Record(line, 0, following, raw, problem=problem), used
    named = zip(layout.header, cells, strict=False)
    return Record(line, 0, following, raw, {title: cell for title, cell in named if title}), used


async def _endless(lines: LineReader, first: bytes, used: int, line: int) -> tuple[Record, int]:
    """A line that is too long: read to its end, of which the beginning is kept."""
    kept = first.decode("utf-8", "replace")
    while not first.endswith(NEWLINE):
        lines.drop(used)
        found = await lines.peek(0)
        if found is None:
            used = 0
            break
        first, used = found
    return Record(line, 0, line + 1, kept, problem=f"Longer than {RECORD_MAX} bytes"), used


async def _quoted(lines: LineReader) -> tuple[bytes, int] | None:
    """Lines up to where every quote is closed, and their length; None when that is nowhere within reach."""
    parts, end, quotes = [], 0, 0
    while (found := await lines.peek(end)) is not None:
        part, end = found
        parts.append(part)
        quotes += part.count(b'"')
        if quotes % 2 == 0:
            return b"".join(parts), end
        if end > RECORD_MAX:
            return None
    return None


def _cells(text: str, delimiter: str, *, strict: bool = False) -> list[str] | None:
    """The cells of one record; None for what is more than one, or none; ``strict``: or has an open quote."""
    try:
        rows = list(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=strict))
    except csv.Error:
        return None
    return rows[0] if len(rows) == 1 else None
