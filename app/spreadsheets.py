"""CSV as spreadsheets open it (RFC 4180, lines end with CR LF) without running what is in it."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from typing import Any

BOM = "\ufeff".encode()  # without it spreadsheets take UTF-8 for an older encoding
# What makes a cell a formula when it comes first: OWASP, "CSV Injection", and line feeds.
FORMULAS = ("=", "+", "-", "@", "\t", "\r", "\n")


def cell(value: Any) -> Any:
    """The cell, behind an apostrophe if a spreadsheet would run it; numbers stay numbers."""
    return f"'{value}" if isinstance(value, str) and value.startswith(FORMULAS) else value


def lines(rows: Iterable[Sequence[Any]], *, spreadsheet: bool = True) -> bytes:
    """Rows as UTF-8; None is an empty cell. ``spreadsheet``: each through ``cell``."""
    buffer = io.StringIO(newline="")
    writer = csv.writer(buffer)
    writer.writerows([cell(each) for each in row] if spreadsheet else row for row in rows)
    return buffer.getvalue().encode("utf-8", "replace")
