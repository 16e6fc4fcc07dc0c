"""The lines of one PDF page with their places: what pdfium says about characters, gathered into lines.

Lengths are in points (1/72 inch), the origin is the lower left corner of the page.
"""

from __future__ import annotations

import ctypes
import math
import re
from dataclasses import dataclass
from typing import Any

import pypdfium2 as pdfium  # type: ignore[import-untyped]  # it ships no types
from pypdfium2 import raw

_LIGATURES = str.maketrans({"ﬀ": "ff", "ﬁ": "fi", "ﬂ": "fl", "ﬃ": "ffi", "ﬄ": "ffl", "ﬅ": "st", "ﬆ": "st"})
# pdfium writes one of the first two for a hyphen at the end of a line, and then no line end.
_HYPHENS = ("\x02", "\ufffe", "\xad")
_PIECE = re.compile(r"[^\r\n\x02\ufffe]+[\x02\ufffe]?")
_MONOSPACED = re.compile(
    r"courier|mono(?!type)|consol|menlo|typewriter|cmtt|nimbusmon|\bcode\b|sourcecode", re.IGNORECASE
)
_CELL_GAP = 1.5  # in font sizes: words farther apart are cells
_ASCENT = 0.75  # of the font size: about the height of a capital
_SMALLEST = 2.0  # points; smaller is not meant to be read
_SPACE = re.compile(r" +")


@dataclass(slots=True)
class Line:
    """Cells of text on one base line; ``left`` to ``right`` and ``bottom`` to ``top`` are its box.

    ``places`` are the left and right ends of each cell, ``bottom`` is the base line.
    """

    cells: list[str]
    places: list[tuple[float, float]]
    left: float
    right: float
    bottom: float
    top: float
    size: float
    bold: bool = False
    mono: bool = False
    page: int = 0

    @property
    def text(self) -> str:
        """The cells as one line."""
        return " ".join(self.cells)


def read_lines(page: pdfium.PdfPage) -> list[Line]:
    """Lines in the order of the page's content stream."""
    textpage = page.get_textpage()
    try:
        return _read(textpage, page.get_size())
    finally:
        textpage.close()


def _read(textpage: pdfium.PdfTextPage, size: tuple[float, float]) -> list[Line]:
    count = textpage.count_chars()
    unicode_of = raw.FPDFText_GetUnicode
    text = "".join(map(_character, (unicode_of(textpage.raw, index) for index in range(count))))
    reader = _Reader(textpage.raw)
    pieces = [match.span() for match in _PIECE.finditer(text)]
    # Text at an angle is a watermark or a stamp in the margin, unless the whole page stands so.
    upright = [piece for piece in pieces if reader.is_upright(text, *piece)]
    lines = (reader.line(text, start, end) for start, end in upright or pieces)
    width, height = size
    return [
        line
        for line in lines
        if line and line.right > 0 and line.left < width and line.top > 0 and line.bottom < height
    ]


def _character(code: int) -> str:
    """One character for one index. Codes of a UTF-16 pair stand alone: they become a replacement sign."""
    return chr(code) if 0 < code < 0x110000 and not 0xD800 <= code < 0xE000 else "\ufffd" if code else " "


class _Reader:
    """Reused out-parameters for the calls into pdfium."""

    def __init__(self, handle: Any) -> None:
        self._handle = handle
        self._box = [ctypes.c_double() for _ in range(4)]
        self._name = ctypes.create_string_buffer(128)
        self._flags = ctypes.c_int()
        self._matrix = raw.FS_MATRIX()

    def is_upright(self, text: str, start: int, end: int) -> bool:
        """True for horizontal text, and for blank pieces."""
        first = start + len(text[start:end]) - len(text[start:end].lstrip(" "))
        angle = raw.FPDFText_GetCharAngle(self._handle, first) if first < end else 0.0
        return abs(math.sin(angle)) < 0.1 and math.cos(angle) > 0

    def line(self, text: str, start: int, end: int) -> Line | None:
        """The line of the characters ``[start, end)``; None for blank and for invisibly small ones."""
        while start < end and text[start] == " ":
            start += 1
        while start < end and text[end - 1] == " ":
            end -= 1
        if start >= end:
            return None
        size, base = self._size(start), self._base(start)
        if size < _SMALLEST:
            return None
        cells, places = self._cells(text, start, end, size)
        bold, mono = self._font(start)
        bold = bold and (end - start == 1 or self._font(end - 1)[0])
        if not mono:
            cells = [_SPACE.sub(" ", cell).strip() for cell in cells]
        return Line(
            cells,
            places,
            places[0][0],
            places[-1][1],
            base,
            base + size * _ASCENT,
            round(size, 1),
            bold,
            mono,
        )

    def _size(self, index: int) -> float:
        """The size as drawn: the font's size scaled by the text matrix."""
        raw.FPDFText_GetMatrix(self._handle, index, self._matrix)
        scale = math.hypot(self._matrix.c, self._matrix.d)
        return float(raw.FPDFText_GetFontSize(self._handle, index)) * (scale or 1.0)

    def _base(self, index: int) -> float:
        x, y = self._box[:2]
        raw.FPDFText_GetCharOrigin(self._handle, index, x, y)
        return y.value

    def _cells(
        self, text: str, start: int, end: int, size: float
    ) -> tuple[list[str], list[tuple[float, float]]]:
        """Cut at gaps that are wider than a space between words can be; the cells and their ends."""
        cells: list[str] = []
        places: list[tuple[float, float]] = []
        position, left = start, self._ends(start)[0]
        for match in re.finditer(r" +", text[start:end]):
            before, after = start + match.start(), start + match.end()
            right, following = self._ends(before - 1)[1], self._ends(after)[0]
            if following - right > size * _CELL_GAP:
                cells.append(_readable(text[position:before]))
                places.append((left, right))
                position, left = after, following
        cells.append(_readable(text[position:end]))
        places.append((left, self._ends(end - 1)[1]))
        return cells, places

    def _ends(self, index: int) -> tuple[float, float]:
        """The left and right end of a character."""
        left, right, bottom, top = self._box
        raw.FPDFText_GetCharBox(self._handle, index, left, right, bottom, top)
        return left.value, right.value

    def _font(self, index: int) -> tuple[bool, bool]:
        raw.FPDFText_GetFontInfo(self._handle, index, self._name, 128, self._flags)
        name = self._name.value.decode("latin-1")
        bold = (
            "bold" in name.lower()
            or "black" in name.lower()
            or raw.FPDFText_GetFontWeight(self._handle, index) >= 600
        )
        return bold, bool(_MONOSPACED.search(name))


def _readable(text: str) -> str:
    for sign in _HYPHENS:
        text = text.replace(sign, "-")
    return text.translate(_LIGATURES)
