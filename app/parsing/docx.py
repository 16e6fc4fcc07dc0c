"""DOCX by python-docx: headings with their numbers, lists, tables and listings in document order.

External relationships (templates, linked pictures) are never followed, entities are not resolved, and
hidden runs and deletions are left out. Headers, footers, footnotes and comments are not part of the text.
"""

from __future__ import annotations

import io
import re
from dataclasses import dataclass, field
from typing import Any

from docx import Document

from app.parsing.archive import check_archive
from app.parsing.blocks import BlockKind, Limits, Parsed, TextBuilder
from app.parsing.docx_numbering import Numbering
from app.parsing.docx_runs import is_monospaced, paragraph_text, qualified, value_of
from app.parsing.docx_styles import Styles
from app.parsing.tables import Grid, add_table

_PARAGRAPH, _TABLE = qualified("p"), qualified("tbl")
_WRAPPERS = frozenset(map(qualified, ("sdt", "sdtContent", "customXml", "ins", "moveTo", "smartTag")))
_CODE_SIGNS = re.compile(r"[{};=<>$]|\w\(|^\s{2,}\S|^\s*[#/]{2}|\):\s*$")
_MAX_INDENT = 6


def parse(data: bytes, *, media_type: str, limits: Limits) -> Parsed:
    """Read a document; raises ``file_too_large`` for a ZIP bomb, ``file_encrypted`` for a protected one."""
    check_archive(data, limits)
    document = Document(io.BytesIO(data))
    reader = _Reader(TextBuilder(limits), Styles.of(document), Numbering.of(document))
    reader.read(document.element.body)
    reader.end_run()
    properties = document.core_properties
    title = reader.title or reader.builder.first_heading() or _property(properties.title)
    return reader.builder.build(media_type=media_type, title=title, language=_property(properties.language))


def _property(value: object) -> str | None:
    """Word fills in these by itself; they are no titles."""
    text = str(value or "").strip()
    return None if text in {"", "Word Document", "Document"} else text


@dataclass(slots=True)
class _Reader:
    builder: TextBuilder
    styles: Styles
    numbering: Numbering
    title: str | None = None
    run: list[str] = field(default_factory=list)
    run_kind: BlockKind = BlockKind.PARAGRAPH

    def read(self, body: Any) -> None:
        """Walk the children of a body or of a wrapper, iteratively."""
        stack = list(reversed(list(body)))
        while stack:
            element = stack.pop()
            if element.tag == _PARAGRAPH:
                self._paragraph(element)
            elif element.tag == _TABLE:
                self.end_run()
                self._table(element)
            elif element.tag in _WRAPPERS:
                stack.extend(reversed(list(element)))

    def _paragraph(self, element: Any) -> None:
        text, boxes = paragraph_text(element)
        if text.strip():
            self._classified(element, text)
        for box in boxes:
            self.read(box)

    def _classified(self, element: Any, text: str) -> None:
        style = self.styles.of_paragraph(element)
        level = self.styles.outline_level(element, style)
        label, depth = self.numbering.label(element, style)
        if style.is_title:
            self.end_run()
            self.title = self.title or text
            self.builder.add(BlockKind.HEADING, text, 1)
        elif level:
            self.end_run()
            self.builder.add(
                BlockKind.HEADING, f"{label} {text}" if label[:1] not in {"", "-"} else text, level
            )
        elif style.is_code or (is_monospaced(element) and self._reads_as_code(text)):
            self._append(BlockKind.CODE, text)
        elif label or style.is_list:
            indent = "  " * min(depth, _MAX_INDENT)
            self._append(BlockKind.LIST, f"{indent}{label or '-'} {' '.join(text.split())}")
        else:
            self.end_run()
            self.builder.add(BlockKind.QUOTE if style.is_quote else BlockKind.PARAGRAPH, text)

    def _reads_as_code(self, text: str) -> bool:
        """Prose may be set in a typewriter face as well: a listing has its signs, or goes on with one that
        has.
        """
        return bool(_CODE_SIGNS.search(text)) or (bool(self.run) and self.run_kind is BlockKind.CODE)

    def _append(self, kind: BlockKind, line: str) -> None:
        if self.run_kind is not kind:
            self.end_run()
        self.run_kind = kind
        self.run.append(line)

    def end_run(self) -> None:
        """Finish the list or listing that consecutive paragraphs make up."""
        if self.run:
            lines, self.run = self.run, []
            self.builder.add(self.run_kind, "\n".join(lines))

    def _table(self, table: Any) -> None:
        grid = Grid()
        above: dict[int, str] = {}
        for row in table.iter(qualified("tr")):
            if _nearest_table(row) is table:
                grid.start_row()
                self._row(row, grid, above)
        add_table(self.builder, grid.rows)

    def _row(self, row: Any, grid: Grid, above: dict[int, str]) -> None:
        """Add the cells; ``above`` keeps the texts of cells that reach down (vMerge) by their column."""
        column = int(value_of(row, "trPr/gridBefore") or 0)
        for _ in range(min(column, 50)):
            grid.add_cell("")
        for cell in row.iter(qualified("tc")):
            if _nearest_table(cell) is not _nearest_table(row):
                continue
            merge = cell.find(f"{qualified('tcPr')}/{qualified('vMerge')}")
            text = " ".join(paragraph_text(part)[0] for part in cell.iter(_PARAGRAPH))
            if merge is not None and merge.get(qualified("val")) != "restart":
                text = above.get(column, text)
            above[column] = text
            span = int(value_of(cell, "tcPr/gridSpan") or 1)
            grid.add_cell(text, colspan=span)
            column += span


def _nearest_table(element: Any) -> Any:
    parent = element.getparent()
    while parent is not None and parent.tag != _TABLE:
        parent = parent.getparent()
    return parent
