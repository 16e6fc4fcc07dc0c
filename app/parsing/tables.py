"""Tables as lines: one ``| cell | cell |`` line a row, so that a row alone can still be understood."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from app.parsing.blocks import BlockKind, TextBuilder
from app.parsing.cleaning import clean_inline

_MAX_SPAN = 50


@dataclass(slots=True)
class Grid:
    """Cells put in place with their spans. A cell spanning rows is repeated in each row; one spanning
    columns is not.
    """

    rows: list[list[str]] = field(default_factory=list)
    pending: dict[int, tuple[int, str]] = field(default_factory=dict)

    def start_row(self) -> None:
        """Begin a row and fill in what spans down into it."""
        self.rows.append([])
        self._fill()

    def add_cell(self, text: str, *, colspan: int = 1, rowspan: int = 1) -> None:
        """Put a cell into the current row; spans are cut at 50, since a page may claim any number."""
        if not self.rows:
            self.start_row()
        row = self.rows[-1]
        cell = clean_inline(text)
        for offset in range(max(1, min(colspan, _MAX_SPAN))):
            if rowspan > 1:
                self.pending[len(row)] = (min(rowspan, _MAX_SPAN) - 1, cell if offset == 0 else "")
            row.append(cell if offset == 0 else "")
        self._fill()

    def _fill(self) -> None:
        row = self.rows[-1]
        while len(row) in self.pending and self.pending[len(row)][0] > 0:
            left, text = self.pending[len(row)]
            self.pending[len(row)] = (left - 1, text)
            row.append(text)


def add_table(builder: TextBuilder, rows: Sequence[Sequence[str]]) -> None:
    """Append rows as one table block; what has only one filled column is no table but paragraphs."""
    cleaned = ([clean_inline(cell) for cell in row] for row in rows)
    filled = [row for row in cleaned if any(row)]
    used = sorted({column for row in filled for column, cell in enumerate(row) if cell})
    if len(used) < 2:
        for row in filled:
            builder.add(BlockKind.PARAGRAPH, " ".join(filter(None, row)))
        return
    # Columns that are empty in every row are layout, and so are ragged ends.
    lines = (
        "| " + " | ".join(row[column] if column < len(row) else "" for column in used) + " |"
        for row in filled
    )
    builder.add(BlockKind.TABLE, "\n".join(lines))
