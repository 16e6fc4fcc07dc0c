"""Automatic numbers of paragraphs (``1.``, ``2.3``, ``b)``), which Word counts when it draws.

Follows ECMA-376 part 1, 17.9: a paragraph belongs to an instance (``num``) of a definition
(``abstractNum``) at a level; the level's text names the counters of itself and the levels above it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

from docx.document import Document

from app.parsing.docx_runs import qualified, value_of
from app.parsing.docx_styles import Style

_PLACEHOLDER = re.compile(r"%([1-9])")
_ROMAN = (
    (1000, "m"),
    (900, "cm"),
    (500, "d"),
    (400, "cd"),
    (100, "c"),
    (90, "xc"),
    (50, "l"),
    (40, "xl"),
    (10, "x"),
    (9, "ix"),
    (5, "v"),
    (4, "iv"),
    (1, "i"),
)
_LEVELS = 9


@dataclass(frozen=True, slots=True)
class _Level:
    number_format: str = "decimal"
    text: str = ""
    start: int = 1


@dataclass(slots=True)
class Numbering:
    """Counters of all lists of one document, advanced in document order."""

    levels: dict[str, dict[int, _Level]] = field(default_factory=dict)
    definition: dict[str, str] = field(default_factory=dict)
    starts: dict[tuple[str, int], int] = field(default_factory=dict)
    counters: dict[str, list[int]] = field(default_factory=dict)
    started: set[str] = field(default_factory=set)

    @classmethod
    def of(cls, document: Document) -> Numbering:
        """Read numbering.xml, if the document has one."""
        numbering = cls()
        parts = [rel.target_part for rel in document.part.rels.values() if not rel.is_external]
        for part in parts:
            if str(part.partname).endswith("/numbering.xml"):
                numbering._read(part.element)
        return numbering

    def _read(self, root: Any) -> None:
        for abstract in root.findall(qualified("abstractNum")):
            levels = {
                _integer(level.get(qualified("ilvl"))): _level(level)
                for level in abstract.findall(qualified("lvl"))
            }
            self.levels[str(abstract.get(qualified("abstractNumId")))] = levels
        for number in root.findall(qualified("num")):
            name = str(number.get(qualified("numId")))
            self.definition[name] = value_of(number, "abstractNumId") or ""
            for override in number.findall(qualified("lvlOverride")):
                start = value_of(override, "startOverride")
                if start:
                    self.starts[name, _integer(override.get(qualified("ilvl")))] = _integer(start)

    def label(self, paragraph: Any, style: Style) -> tuple[str, int]:
        """The label (``-`` for a bullet, empty for none) and the nesting depth, 0 at the top. Advances the
        counters.
        """
        number = value_of(paragraph, "pPr/numPr/numId") or style.num_id
        own = value_of(paragraph, "pPr/numPr/ilvl")
        depth = min(_integer(own) if own else style.level if style.level is not None else 0, _LEVELS - 1)
        if number is None or number not in self.definition:
            return "", depth
        if style.heading and own is None and style.level is None:
            depth = style.heading - 1
        levels = self.levels.get(self.definition[number], {})
        level = levels.get(depth, _Level())
        counts = self._advance(number, depth, levels)
        if level.number_format in {"bullet", "none"}:
            return ("-" if level.number_format == "bullet" else ""), depth
        return _render(level, depth, counts, levels), depth

    def _advance(self, number: str, depth: int, levels: dict[int, _Level]) -> list[int]:
        """Instances of one definition count on together, unless an instance says where it starts."""
        counts = self.counters.setdefault(self.definition[number], [0] * _LEVELS)
        if number not in self.started:
            self.started.add(number)
            for index in range(_LEVELS):
                if (number, index) in self.starts:
                    counts[index] = 0
        for index in range(depth + 1):
            if counts[index] == 0:
                first = self.starts.get((number, index), levels.get(index, _Level()).start)
                counts[index] = first - 1 if index == depth else first
        counts[depth] += 1
        counts[depth + 1 :] = [0] * (_LEVELS - depth - 1)
        return counts


def _level(element: Any) -> _Level:
    return _Level(
        number_format=value_of(element, "numFmt") or "decimal",
        text=value_of(element, "lvlText") or "",
        start=_integer(value_of(element, "start") or "1"),
    )


def _integer(value: str | None) -> int:
    return int(value) if value and value.isascii() and value.isdigit() and len(value) < 8 else 0


def _render(level: _Level, depth: int, counts: list[int], levels: dict[int, _Level]) -> str:
    def number(match: re.Match[str]) -> str:
        index = int(match[1]) - 1
        style = level.number_format if index == depth else levels.get(index, _Level()).number_format
        return _formatted(counts[index], style)

    return _PLACEHOLDER.sub(number, level.text or f"%{depth + 1}.").strip()


def _formatted(value: int, number_format: str) -> str:
    if number_format in {"lowerLetter", "upperLetter"} and 1 <= value <= 780:
        letter = chr(97 + (value - 1) % 26) * ((value - 1) // 26 + 1)
        return letter.upper() if number_format == "upperLetter" else letter
    if number_format in {"lowerRoman", "upperRoman"} and 1 <= value <= 4999:
        roman = ""
        for size, sign in _ROMAN:
            roman, value = roman + sign * (value // size), value % size
        return roman.upper() if number_format == "upperRoman" else roman
    return str(value).zfill(2) if number_format == "decimalZero" else str(value)
