"""Reading order: rows from top to bottom, two columns one after the other."""

from __future__ import annotations

from statistics import median

from app.parsing.pdf_lines import Line

_MIN_COLUMN_LINES = 6
_FILL = 0.55  # of a column's width: running text fills its column, cells of a table do not
_CELL_GAP = 1.0


def in_reading_order(lines: list[Line]) -> list[Line]:
    """The lines as one reads them; pieces of one row become one line of several cells."""
    if not lines:
        return []
    gutter = _gutter(lines)
    if gutter is None:
        return _rows(lines)
    ordered: list[Line] = []
    for band in _bands(lines, gutter):
        left = [line for line in band if line.right <= gutter + 2]
        right = [line for line in band if line.left >= gutter - 2 and line not in left]
        across = [line for line in band if line.left < gutter - 2 and line.right > gutter + 2]
        ordered += _rows(left) + _rows(right) + _rows(across)
    return ordered


def _gutter(lines: list[Line]) -> float | None:
    """The x of the white stripe between two columns of running text; None for one column and for tables."""
    left_edge, right_edge = min(line.left for line in lines), max(line.right for line in lines)
    width = right_edge - left_edge
    middle = [left_edge + width * share / 160 for share in range(56, 105)]
    crossing, _, gutter = min((_crossing(lines, x), abs(x - left_edge - width / 2), x) for x in middle)
    left = [line for line in lines if line.right <= gutter + 2]
    right = [line for line in lines if line.left >= gutter - 2]
    if min(len(left), len(right)) < _MIN_COLUMN_LINES or crossing > 0.35 * len(lines):
        return None
    overlap = min(_top(left), _top(right)) - max(_bottom(left), _bottom(right))
    if overlap < 0.3 * max(_top(left) - _bottom(left), _top(right) - _bottom(right)):
        return None
    fill_left = median(line.right - line.left for line in left) / (gutter - left_edge)
    fill_right = median(line.right - line.left for line in right) / (right_edge - gutter)
    return gutter if min(fill_left, fill_right) >= _FILL else None


def _crossing(lines: list[Line], x: float) -> int:
    return sum(line.left < x - 1 and line.right > x + 1 for line in lines)


def _bands(lines: list[Line], gutter: float) -> list[list[Line]]:
    """The page cut below each line that runs across both columns."""
    bands: list[list[Line]] = [[]]
    for line in sorted(lines, key=lambda line: -line.top):
        across = line.left < gutter - 2 and line.right > gutter + 2
        if (across and bands[-1] and not _across(bands[-1][-1], gutter)) or (
            not across and bands[-1] and _across(bands[-1][-1], gutter)
        ):
            bands.append([line])
        else:
            bands[-1].append(line)
    return bands


def _across(line: Line, gutter: float) -> bool:
    return line.left < gutter - 2 and line.right > gutter + 2


def _rows(lines: list[Line]) -> list[Line]:
    """Sorted from the top; lines whose middles lie within each other's height are one row, its cells from
    the left.
    """
    rows: list[list[Line]] = []
    for line in sorted(lines, key=lambda line: -(line.top + line.bottom)):
        centre = (line.top + line.bottom) / 2
        if rows and rows[-1][0].bottom <= centre <= rows[-1][0].top:
            rows[-1].append(line)
        else:
            rows.append([line])
    return [_joined(sorted(row, key=lambda line: line.left)) for row in rows]


def _joined(row: list[Line]) -> Line:
    if len(row) == 1:
        return row[0]
    cells, places = list(row[0].cells), list(row[0].places)
    right = row[0].right
    for piece in row[1:]:
        if piece.left - right > _CELL_GAP * piece.size:
            cells += piece.cells
            places += piece.places
        else:
            glue = "" if piece.left - right < 0.15 * piece.size else " "
            cells[-1:] = [f"{cells[-1]}{glue}{piece.cells[0]}", *piece.cells[1:]]
            places[-1:] = [(places[-1][0], piece.places[0][1]), *piece.places[1:]]
        right = max(right, piece.right)
    main = max(row, key=lambda line: len(line.text))
    bold, mono = all(line.bold for line in row), all(line.mono for line in row)
    return Line(cells, places, row[0].left, right, _bottom(row), _top(row), main.size, bold, mono)


def _top(lines: list[Line]) -> float:
    return max(line.top for line in lines)


def _bottom(lines: list[Line]) -> float:
    return min(line.bottom for line in lines)
